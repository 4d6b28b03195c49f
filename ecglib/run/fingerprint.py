"""Data folders from outside: is the folder what it claims to be, and has it changed?

The fingerprint hashes names and contents of the files that a data plan lists under `contents`, and
only names and sizes of those under `listing` (for releases too large to read twice). Contents are
hashed once: a file of the same path, size and modification time is taken from the cache.
"""

import hashlib
import os
from pathlib import Path

from ecglib.run import keys, listings, manifest, releases
from ecglib.run.errors import RunError, unknown


def parse_roots(values: list[str], plan: dict, plan_name: str) -> dict[str, Path]:
    """`--data-root` values, DIR or NAME=DIR, as a folder for each cohort that needs one.

    Raises:
        RunError: unknown cohort name, a folder too few, or one that no cohort reads.
    """
    needing = [name for name, cohort in plan["cohorts"].items() if cohort.get("required")]
    roots: dict[str, Path] = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not equals:
            if len(needing) != 1:
                raise RunError(
                    f"data plan {plan_name} reads {len(needing)} folders: "
                    + ("leave out --data-root." if not needing else "write --data-root NAME=DIR.")
                )
            name, folder = needing[0], value
        if name not in needing:
            raise unknown(f"cohort in --data-root for data plan {plan_name}:", name, needing)
        roots[name] = Path(folder).expanduser().resolve()
    for name in needing:
        if name not in roots:
            layout = plan["cohorts"][name].get("layout", "its release")
            raise RunError(
                f"data plan {plan_name} reads the cohort {name} from a folder laid out like "
                f"{layout}: give it with --data-root DIR."
            )
        check_root(name, roots[name], plan["cohorts"][name])
    return roots


def check_root(name: str, root: Path, cohort: dict) -> None:
    """The folder holds what the cohort's layout promises.

    Raises:
        RunError: no such folder, or a required file or folder is not in it.
    """
    if not root.is_dir():
        raise RunError(f"data root {root} is not a folder (--data-root for the cohort {name}).")
    for required in cohort["required"]:
        if not (root / required).exists():
            raise RunError(
                f"data root {root} holds no {required}: it is not laid out like "
                f"{cohort.get('layout', name)} (--data-root for the cohort {name})."
            )


def fingerprint(root: Path, cohort: dict, cache: Path) -> str:
    """The fingerprint of a data folder, 64 hexadecimal digits.

    Args:
        cohort: its entry in the data plan, with glob patterns in `contents` and `listing`.
        cache: a JSON file that remembers hashes by path, size and modification time.
    """
    known = manifest.read(cache) or {}
    fresh: dict[str, str] = {}
    whole = hashlib.sha256()
    for path in _files(root, cohort.get("contents", [])):
        status = path.stat()
        # Names of files name patients, and the cache lies outside the cohort: it keeps digests.
        entry = keys.digest({"file": f"{path}|{status.st_size}|{status.st_mtime_ns}"})
        fresh[entry] = known.get(entry) or manifest.sha256(path)
        whole.update(f"{path.relative_to(root).as_posix()}\0{fresh[entry]}\n".encode())
    left_out = listings.other_part(cohort, releases.pins().get(cohort.get("source", ""), {}))
    for path in _files(root, cohort.get("listing", [])):
        if left_out(path.name):  # another plan may fetch more parts into the same folder
            continue
        whole.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\n".encode())
    if not fresh.keys() <= known.keys():
        manifest.write(cache, known | fresh)
    return whole.hexdigest()


def _files(root: Path, patterns: list[str]) -> list[Path]:
    """Files under the patterns, each once, in an order that no file system decides."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(found)


def roots_from_environment() -> list[str]:
    """The values that `--data-root` had, as the runner hands them to a notebook's kernel."""
    text = os.environ.get("ECGLIB_DATA_ROOT", "")
    return [value for value in text.split(os.pathsep) if value]


def known_from_environment() -> dict[str, str]:
    """Fingerprints that the runner has just computed, by cohort; so that they are computed once."""
    pairs = os.environ.get("ECGLIB_FINGERPRINTS", "").split()
    return dict(pair.split("=", 1) for pair in pairs)


def short(fingerprints: dict[str, str]) -> str:
    """One 12-digit name for all folders of a run; "none" where it reads none."""
    return keys.digest(fingerprints)[:12] if fingerprints else "none"
