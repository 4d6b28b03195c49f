"""Data folders from outside: given with --data-root or downloaded, and their fingerprints.

The fingerprint hashes names and contents of the files that a data plan lists under `contents`, and
names and sizes of those under `listing` (for releases too large to read twice). Contents are hashed
once: a file of the same path, size and modification time is taken from a cache.
"""

import hashlib
import os
from pathlib import Path

from ecglib.run import keys, manifest, releases
from ecglib.run.errors import RunError, unknown
from ecglib.run.paths import Paths


def resolve(values: list[str], plan: dict, plan_name: str, paths: Paths) -> dict[str, Path]:
    """The folder of each cohort that reads one: given, or a release that was downloaded.

    Args:
        values: of `--data-root`, DIR or NAME=DIR.
    Raises:
        RunError: a folder that is neither given nor downloaded, or lacks a file that the plan
            requires, or a value that names no cohort.
    """
    roots = parse(values, plan, plan_name)
    for name, cohort in _to_download(roots, plan, plan_name).items():
        source = cohort["source"]
        root = releases.ready(source, cohort, paths)
        if root is None:
            raise RunError(
                f"data plan {plan_name} reads the release {source}, of which not all is downloaded "
                f"yet; run the notebooks with --data {plan_name}, or fetch it with bash run_all.sh "
                f"--data {plan_name} --prefetch {source}, or give a folder laid out like "
                f"{cohort.get('layout', 'it')} with --data-root DIR"
            )
        roots[name] = root
    return {name: roots[name] for name in plan["cohorts"] if name in roots}


def fetch(values: list[str], plan: dict, plan_name: str, paths: Paths) -> None:
    """Download the releases that the plan reads and `values` do not give.

    Raises:
        RunError: a folder that cannot be downloaded is not given, or a given one is not laid out as
            the plan says (both checked before anything is fetched), or a download fails.
    """
    for cohort in _to_download(parse(values, plan, plan_name), plan, plan_name).values():
        releases.fetch(cohort["source"], [cohort], paths)


def fetch_release(name: str, plan: dict, paths: Paths) -> Path:
    """Download one release: the files that the plan's cohorts read, or the usual ones. Files that
    are there are compared with their checksums.

    Raises:
        RunError: an unknown name, or a download that fails.
    """
    cohorts = [cohort for cohort in plan["cohorts"].values() if cohort.get("source") == name]
    readers = [cohort for cohort in cohorts if cohort.get("required")]
    return releases.fetch(name, readers, paths, verify=True)


def is_downloaded(cohort: dict, root: Path, paths: Paths) -> bool:
    """Whether the folder is the one to which the cohort's release is downloaded."""
    source = cohort["source"]
    return source in releases.pins() and root == releases.folder(source, paths)


def parse(values: list[str], plan: dict, plan_name: str) -> dict[str, Path]:
    """`--data-root` values, DIR or NAME=DIR, as folders by cohort.

    Raises:
        RunError: an unknown cohort name, a DIR without the name of one of several cohorts, or a
            folder that is not laid out as the plan says.
    """
    readers = _readers(plan)
    roots: dict[str, Path] = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals:
            if len(readers) != 1:
                remedy = "write --data-root NAME=DIR" if readers else "leave out --data-root"
                raise RunError(f"data plan {plan_name} reads {len(readers)} folders: {remedy}")
            name, folder = next(iter(readers)), value
        if name not in readers:
            raise unknown(f"cohort in --data-root for data plan {plan_name}:", name, list(readers))
        roots[name] = Path(folder).expanduser().resolve()
        check_root(name, roots[name], readers[name])
    return roots


def _readers(plan: dict) -> dict[str, dict]:
    """The cohorts that read a folder."""
    return {name: cohort for name, cohort in plan["cohorts"].items() if cohort.get("required")}


def _to_download(roots: dict[str, Path], plan: dict, plan_name: str) -> dict[str, dict]:
    """The cohorts whose folder is not given, each of a release that can be downloaded.

    Raises:
        RunError: one reads no such release.
    """
    known = releases.pins()
    lacking = {name: cohort for name, cohort in _readers(plan).items() if name not in roots}
    for name, cohort in lacking.items():
        if cohort["source"] not in known:
            raise RunError(
                f"data plan {plan_name} reads the cohort {name} from a folder laid out like "
                f"{cohort.get('layout', 'its release')}: give it with --data-root {name}=DIR; it "
                "is not among the releases that can be downloaded"
            )
    return lacking


def check_root(name: str, root: Path, cohort: dict) -> None:
    """Refuse a folder that does not hold the files which the cohort requires.

    Raises:
        RunError: no such folder, or a required file or folder is not in it.
    """
    if not root.is_dir():
        raise RunError(f"data root {root} is not a folder (--data-root for the cohort {name})")
    for required in cohort["required"]:
        if not (root / required).exists():
            raise RunError(
                f"data root {root} holds no {required}: it is not laid out like "
                f"{cohort.get('layout', name)} (--data-root for the cohort {name})"
            )


def fingerprint(root: Path, cohort: dict, cache: Path) -> str:
    """The fingerprint of a data folder, 64 hexadecimal digits.

    Args:
        cohort: its entry in the data plan, with glob patterns in `contents` and `listing`.
        cache: a JSON file that keeps hashes by path, size and modification time.
    """
    known = manifest.read(cache) or {}
    fresh: dict[str, str] = {}
    combined = hashlib.sha256()
    for path in _files(root, cohort.get("contents", [])):
        status = path.stat()
        # Names of files name patients, and the cache is outside the cohort: it keeps digests.
        entry = keys.digest({"file": f"{path}|{status.st_size}|{status.st_mtime_ns}"})
        fresh[entry] = known.get(entry) or manifest.sha256(path)
        combined.update(f"{path.relative_to(root).as_posix()}\0{fresh[entry]}\n".encode())
    left_out = releases.other_parts(cohort, releases.pins().get(cohort.get("source", ""), {}))
    for path in _files(root, cohort.get("listing", [])):
        if left_out(path.name):  # another plan may fetch more parts into the same folder
            continue
        combined.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\n".encode())
    if not fresh.keys() <= known.keys():
        manifest.write(cache, known | fresh)
    return combined.hexdigest()


def _files(root: Path, patterns: list[str]) -> list[Path]:
    """Files under the patterns, each once, in an order that no file system decides."""
    paths = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(paths)


def from_environment() -> list[str]:
    """The values that `--data-root` had, as the runner passes them to a notebook's kernel."""
    text = os.environ.get("ECGLIB_DATA_ROOT", "")
    return [value for value in text.split(os.pathsep) if value]


def fingerprints_from_environment() -> dict[str, str]:
    """Fingerprints by cohort that the runner has just computed; so they are computed once."""
    pairs = os.environ.get("ECGLIB_FINGERPRINTS", "").split()
    return dict(pair.split("=", 1) for pair in pairs)


def short(fingerprints: dict[str, str]) -> str:
    """One 12-digit name for all folders of a run; "none" where it reads none."""
    return keys.digest(fingerprints)[:12] if fingerprints else "none"
