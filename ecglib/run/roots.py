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

REPORTS = "machine_measurements.csv"  # of MIMIC-IV-ECG, not read with `reports: false`


def resolve(
    values: list[str], plan: dict, plan_name: str, paths: Paths, download: bool = False
) -> dict[str, Path]:
    """The folder of each cohort that reads one: given, or a release that was downloaded.

    Args:
        values: of `--data-root`, DIR or NAME=DIR.
        download: fetch what is missing of the releases; all other errors come before.
    Raises:
        RunError: a folder that is neither given nor downloaded, or lacks a file that the plan
            requires, or a value that names no cohort, or a download that fails.
    """
    roots, known = parse(values, plan, plan_name), releases.pins()
    lacking = {name: cohort for name, cohort in _readers(plan).items() if name not in roots}
    for name, cohort in lacking.items():
        if cohort["source"] not in known:
            raise RunError(
                f"data plan {plan_name} reads the cohort {name} from a folder laid out like "
                f"{cohort.get('layout', 'its release')}: give it with --data-root {name}=DIR; it "
                "is not among the releases that can be downloaded"
            )
    for name, cohort in lacking.items():
        source = cohort["source"]
        if download:
            roots[name] = releases.fetch(source, [cohort], paths)
        elif root := releases.ready(source, cohort, paths):
            roots[name] = root
        else:
            raise RunError(
                f"data plan {plan_name} reads the release {source}, of which not all is downloaded "
                f"yet; run the notebooks with --data {plan_name}, or fetch it with bash run_all.sh "
                f"--data {plan_name} --prefetch {source}, or give a folder laid out like "
                f"{cohort.get('layout', 'it')} with --data-root DIR"
            )
    return {name: roots[name] for name in plan["cohorts"] if name in roots}


def parse(values: list[str], plan: dict, plan_name: str) -> dict[str, Path]:
    """`--data-root` values, DIR or NAME=DIR, as folders by cohort. Raises RunError: an unknown
    cohort name, a DIR without the name of one of several cohorts, or a folder that is not laid out
    as the plan says."""
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
        if not folder:
            raise RunError(f"--data-root {value!r} names no folder; is a variable in it unset?")
        if name in roots:
            raise RunError(f"--data-root gives the cohort {name} twice: {roots[name]} and {folder}")
        roots[name] = located(folder)
        check_root(name, roots[name], readers[name])
    return roots


def located(folder: str) -> Path:
    """The absolute path of a folder that a command names. Raises RunError: the path holds what
    separates folders where they are passed to a notebook."""
    path = Path(folder).expanduser().resolve()
    if os.pathsep in str(path):
        text = f"{path} holds {os.pathsep!r}, with which folders are passed to notebooks"
        raise RunError(f"{text}; rename it, or move it")
    return path


def _readers(plan: dict) -> dict[str, dict]:
    """The cohorts that read a folder."""
    return {name: cohort for name, cohort in plan["cohorts"].items() if cohort.get("required")}


def check_root(name: str, root: Path, cohort: dict) -> None:
    """Refuse a folder that does not hold the files which the cohort requires. Raises RunError: no
    such folder, or a required file or folder is not in it or cannot be read."""
    if not root.is_dir():
        raise RunError(f"data root {root} is not a folder (--data-root for the cohort {name})")
    for place in (root, *(root / required for required in cohort["required"])):
        if place.exists() and not os.access(place, os.R_OK):
            raise RunError(
                f"{place} cannot be read (--data-root for the cohort {name}); mend its rights"
            )
    unread = {REPORTS} if cohort.get("reports") is False else set()
    for required in [file for file in cohort["required"] if file not in unread]:
        if not (root / required).exists():
            raise RunError(
                f"data root {root} holds no {required}: it is not laid out like "
                f"{cohort.get('layout', name)} (--data-root for the cohort {name})"
            )


def require_usable(plan: dict, roots: dict[str, Path], seed: int) -> None:
    """Read one usable ECG of each folder, as the first notebook does half a minute later. Raises
    FileNotFoundError, ValueError: a table lacks its columns, or no recording can be used."""
    from ecglib.cohorts import build  # with the readers, two seconds that other commands save

    for name, root in roots.items():
        cohort = plan["cohorts"][name]
        if cohort["source"] in build.READERS:
            settings = {key: cohort[key] for key in build.SETTINGS if key in cohort}
            build.example(settings, {"data": root}, seed)


def fingerprint(root: Path, cohort: dict, cache: Path) -> str:
    """The fingerprint of a data folder, 64 hexadecimal digits.

    `cohort`: its entry in the data plan, with glob patterns in `contents` and `listing`. `cache`: a
    JSON file that keeps hashes by path, size and modification time.
    """
    # another plan may have fetched more parts into the same folder
    cohort = releases.narrowed(cohort, releases.pins().get(cohort.get("source", ""), {}))

    def files(part: str) -> list[Path]:
        paths = {path for pattern in cohort.get(part, []) for path in root.glob(pattern)}
        return sorted(path for path in paths if path.is_file())

    if cohort.get("listing"):
        print(f"{root}: listing its files for the fingerprint", flush=True)
    known, combined = manifest.read(cache) or {}, hashlib.sha256()
    fresh: dict[str, str] = {}
    for path in files("contents"):
        status = path.stat()
        # Names of files name patients, and the cache is outside the cohort: it keeps digests.
        entry = keys.digest({"file": f"{path}|{status.st_size}|{status.st_mtime_ns}"})
        fresh[entry] = known.get(entry) or manifest.sha256(path)
        combined.update(f"{path.relative_to(root).as_posix()}\0{fresh[entry]}\n".encode())
    for path in files("listing"):
        name, size = path.relative_to(root).as_posix(), path.stat().st_size
        combined.update(f"{name}\0{size}\n".encode())
    if not fresh.keys() <= known.keys():
        manifest.write(cache, known | fresh)
    return combined.hexdigest()


def short(fingerprints: dict[str, str]) -> str:
    """One 12-digit name for all folders of a run; "none" where it reads none."""
    return keys.digest(fingerprints)[:12] if fingerprints else "none"
