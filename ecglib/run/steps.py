"""A step: an expensive computation whose result is a folder, reused while its key stays the same.

Results are stored by key, in `artifacts/steps/<function>-<key>`; `artifacts/<run>/<stage>/<name>`
is a link to one of them. A study or a run with another tag that needs the same result links to it.
A result to which no run links any more is deleted.

The weights of a `model.safetensors` are stored in half precision. So the model that is published is
the one that all later steps have read. Scores that the step itself wrote are those before rounding.

A step runs in `.<name>.<key>.partial` in the folder of its run and is moved to the store when it is
whole. After a crash the same key gets the same folder back, with only `checkpoint/` left in it, so
that a training continues. A partial folder of another key is deleted.
"""

import inspect
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from safetensors import safe_open
from safetensors.numpy import save_file

from ecglib.run import keys, manifest, torchrun, yardstick
from ecglib.run.errors import RunError
from ecglib.tokenizers import plugin

if TYPE_CHECKING:
    from ecglib.training.device import Machine

NAME = re.compile(r"[a-z0-9_]+")
ENTRY = re.compile(r"(\w+)(?: \((.+)\))?")
WEIGHTS = "model.safetensors"
STORE = "steps"  # the folder of the results, beside those of the runs
StepFunction = Callable[[Path, dict[str, Path], dict, int, "Machine"], None]


def documented(fn: StepFunction, block: str) -> dict[str, bool]:
    """The entries of a block of a step's docstring, `Config:` or `Inputs:`, as name -> required.

    An entry is a line `name: text` or `name (optional): text`, indented below the block's title;
    further lines of its text are indented more. A block without texts is one line, `Inputs: a, b
    (optional).`; there a remark in brackets may follow a name. Raises RunError: another form.
    """
    match = re.search(rf"^{block}:(.*)((?:\n +.*)*)", inspect.getdoc(fn) or "", re.MULTILINE)
    if match is None:
        return {}
    if match[1]:
        entries = " ".join(match[0].split()).removeprefix(f"{block}: ").rstrip(".").split(", ")
    else:
        entries = [line.partition(":")[0] for line in re.findall(r"^ {4}(\S.*)", match[2], re.M)]
    names = [ENTRY.fullmatch(entry) for entry in entries]
    if None in names:
        raise RunError(
            f"docstring of {fn.__module__}.{fn.__qualname__}, block {block}: expected 'name: text' "
            f"or 'name (optional): text', got {entries[names.index(None)]!r}"
        )
    return {name[1]: name[2] != "optional" for name in names}


def check_documented(fn: StepFunction, config: dict, inputs: dict) -> None:
    """Every config key and input that a step gets is documented by its docstring, and none lacks.

    A name in capitals documents any number of inputs, whose labels are the caller's choice. Raises
    RunError: an unknown or a missing config key or input."""
    for block, given in (("Config", config), ("Inputs", inputs)):
        known = documented(fn, block)
        if any(name.isupper() for name in known):
            continue
        name, valid = f"{fn.__module__}.{fn.__qualname__}", ", ".join(sorted(known)) or "none"
        unknown = [key for key in given if key not in known]
        missing = [key for key, required in known.items() if required and key not in given]
        if unknown or missing:
            entry = f"{block.lower()} entry {(unknown or missing)[0]!r}"
            fault = (
                f"unknown {entry} for step {name}" if unknown else f"step {name} lacks the {entry}"
            )
            raise RunError(f"{fault}; valid: {valid}")


def step_parts(
    fn: StepFunction,
    config: dict,
    identities: dict[str, str],
    seed: int,
    machine: "Machine",
    library: keys.Library,
) -> dict:
    """All that a step's result depends on; its key is the digest of this.

    `identities`: for each input its key (a step), sha256 (an asset) or fingerprint (a folder).
    Raises RunError: `fn` is not a module-level function of the library, it does not document a
    config key or input, or config is no plain data."""
    rooms = (library.package, plugin.NAME)
    if fn.__module__.split(".")[0] not in rooms or "." in fn.__qualname__:
        raise RunError(
            f"step function {fn.__module__}.{fn.__qualname__} must be a module-level function of "
            f"{library.package}: only that code is part of a key"
        )
    check_documented(fn, config, identities)
    on = {"device": machine.device, "dtype": machine.dtype}
    return parts_of(f"{fn.__module__}.{fn.__qualname__}", config, identities, seed, on, library)


def parts_of(
    function: str,
    config: dict,
    identities: dict[str, str],
    seed: int,
    on: dict[str, str],
    library: keys.Library,
) -> dict:
    """`step_parts` of a function by its name, for the device and number format of `on`."""
    parts = {
        "function": function,
        "modules": library.closure(function.rpartition(".")[0]),
        "config": config,
        "seed": seed,
        "machine": on,
        "versions": keys.versions(),
        "weights": "float16",
        "inputs": identities,
    }
    return json.loads(keys.canonical(parts))  # as a manifest will hold it: lists for tuples


def run_step(
    target: Path,
    fn: StepFunction,
    config: dict,
    inputs: dict[str, Path],
    parts: dict,
    machine: "Machine",
    commit: str,
    committed: Path | None = None,
) -> bool:
    """Make `target` a link to the result of the key of `parts`, which is computed where it lacks,
    or copied from the `committed` model of that key.

    `target`: `<home>/<run>/<stage>/<name>`. A reused result keeps the nominal seconds of when it
    was made. Returns True where the step ran. Raises RunError: the result's name is odd, or one of
    its files was changed after it was written."""
    stage, name, key = target.parent.name, target.name, keys.digest(parts)
    if not NAME.fullmatch(name):
        raise RunError(f"step name {name!r} may hold only a-z, 0-9 and underscores")
    target.parent.mkdir(parents=True, exist_ok=True)
    entry = entry_of(target.parents[2], fn, key)
    partial = target.with_name(f".{name}.{key[:12]}.partial")
    with FileLock(target.with_name(f".{name}.lock")):
        for other in target.parent.glob(f".{name}.*.partial"):
            if other != partial:
                shutil.rmtree(other)
        reused = is_whole(entry, stage, key)
        if not reused:
            is_made = manifest.read(partial / "manifest.json") is not None  # its move was cut short
            if committed is not None:
                print(f"{name}: the committed model of this key, not trained here")
                _take(committed, partial, parts)
            elif not is_made:
                _clear_but_checkpoint(partial)
                speed, started = yardstick.speed(machine.device), time.time()
                arguments = (dict(inputs), json.loads(json.dumps(config)), parts["seed"], machine)
                if (count := torchrun.processes(config)) > 1:
                    torchrun.call(fn, partial, *arguments, count)
                else:
                    fn(partial, *arguments)
                seconds = time.time() - started
                nominal = yardstick.nominal(seconds, speed, yardstick.speed(machine.device))
                halve(partial / WEIGHTS)
                _record(partial, parts, commit, started, seconds, nominal)
            # Only now: hashing a large result takes minutes, and a kill in them must not cost it.
            shutil.rmtree(partial / "checkpoint", ignore_errors=True)
            entry.parent.mkdir(exist_ok=True)
            with FileLock(entry.parent / ".lock"):  # another run may finish the same step
                shutil.rmtree(entry, ignore_errors=True)
                partial.rename(entry)
        link_to(target, entry)
    return not reused and committed is None


def entry_of(home: Path, fn: StepFunction, key: str) -> Path:
    """Where the result of a key is stored."""
    return home / STORE / f"{fn.__name__}-{key[:16]}"


def is_whole(folder: Path, stage: str, key: str = "") -> bool:
    """Whether a folder holds a step's whole result; if given, the one of this key. Raises RunError:
    a file was changed after it was written."""
    recorded = manifest.read(folder / "manifest.json")
    if recorded is None or (key and recorded["key"] != key):
        return False
    manifest.require_intact(folder, recorded["outputs"], stage)
    return not manifest.missing(folder, recorded["outputs"])


def remove(target: Path, keep_shared: bool = True) -> None:
    """Delete a step of a run: its link, and the result unless another run links to it. Without
    `keep_shared` the result is deleted in any case, so that it is computed again."""
    if not target.is_symlink():
        shutil.rmtree(target, ignore_errors=True)
        return
    entry = target.resolve()
    target.unlink()
    if not keep_shared or not _is_linked(entry):
        shutil.rmtree(entry, ignore_errors=True)


def _is_linked(entry: Path) -> bool:
    links = (path for where in ("*/*/*", "lab/*/*/*/*") for path in entry.parents[1].glob(where))
    return any(path.is_symlink() and path.resolve() == entry for path in links)


def _clear_but_checkpoint(partial: Path) -> None:
    partial.mkdir(exist_ok=True)
    for path in partial.iterdir():
        if path.name != "checkpoint":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def halve(path: Path) -> None:
    """Store the float32 weights of a file in half precision, other tensors as they are. A tensor
    with a number that float16 cannot hold stays as it is."""
    if not path.exists():
        return
    with safe_open(path, "np") as file:
        names, metadata = list(file.keys()), file.metadata()
        kinds = {file.get_slice(name).get_dtype() for name in names}
        if "F32" not in kinds or "BF16" in kinds:
            return
        tensors = {name: file.get_tensor(name) for name in names}
    most = np.finfo(np.float16).max
    for name, tensor in tensors.items():
        if tensor.dtype == np.float32 and (not tensor.size or np.abs(tensor).max() <= most):
            tensors[name] = tensor.astype(np.float16)
    save_file(tensors, path, metadata)


def _record(
    partial: Path, parts: dict, commit: str, started: float, seconds: float, nominal: float | None
) -> None:
    content = {
        "key": keys.digest(parts),
        "parts": parts,
        "commit": commit,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(seconds, 3),
        "nominal_seconds": nominal,
        "peak_memory_mb": manifest.peak_memory_mb(),
        "outputs": manifest.contents(partial),
    }
    manifest.write(partial / "manifest.json", content)


def _take(committed: Path, partial: Path, parts: dict) -> None:
    """Make a committed model the result of a step; the costs are those of its training."""
    card = manifest.read(committed / "card.json")
    files = (committed, card["files"])
    for name in (*manifest.missing(*files), *manifest.changed(*files)):
        raise RunError(
            f"{committed / name} is not the file of its card; restore it with git, or leave out "
            "--committed-models, which trains the model"
        )
    shutil.rmtree(partial, ignore_errors=True)
    for name in card["files"]:
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(committed / name, partial / name)
    content = {name: card[name] for name in ("commit", *manifest.COSTS)}
    content |= {"key": keys.digest(parts), "parts": parts, "outputs": card["files"]}
    manifest.write(partial / "manifest.json", content | {"taken_from": committed.name})


def link_to(target: Path, entry: Path) -> None:
    """Point the run's link at the result; a result that nothing links to any more is deleted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.resolve() if target.is_symlink() else None
    if before == entry.resolve():
        return
    if target.is_dir() and before is None:
        shutil.rmtree(target)
    link = target.with_name(f".{target.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(entry, target.parent), target_is_directory=True)
    link.replace(target)
    if before is not None and before.is_dir() and not _is_linked(before):
        shutil.rmtree(before)
