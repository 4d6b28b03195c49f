"""Public releases of data: pinned versions, downloaded once to artifacts/data, then read there.

`releases.yaml` lists URL, licence and citation of each. PhysioNet publishes
`SHA256SUMS.txt`, Zenodo a JSON record with a checksum per file. The variable ECGLIB_RELEASES names
mirrors, `NAME=URL NAME=URL`, each laid out like the original, its list of checksums included.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import requests

from ecglib.run.download import TIMEOUT, Item, fetch_all, missing, new_session, reason
from ecglib.run.errors import RunError, pick
from ecglib.run.paths import Paths, only_process, require_disk
from ecglib.run.profiles import read_yaml

PINS = Path(__file__).with_name("releases.yaml")
LISTS = {"physionet": "SHA256SUMS.txt", "zenodo": "record.json"}  # the list's name on disk
LINE = re.compile(r"([0-9a-f]{64})[ \t]+\*?(\S.*)")
LISTED = ("contents", "listing")  # what a cohort reads, as patterns
LICENSE = "LICENSE.txt"  # fetched where it is published
SPARE = 0.2  # GB of disk that a download leaves free


def pins() -> dict[str, dict]:
    """The pinned releases by name."""
    return read_yaml(PINS)


def pin(name: str) -> dict:
    """One pinned release. Raises RunError: none has this name."""
    return pick("release", name, pins())


def address(name: str) -> str:
    """The URL of a release: its own, or that of a mirror which ECGLIB_RELEASES names. Raises
    RunError: the variable holds something else than NAME=URL of known releases."""
    mirrors = {}
    for word in os.environ.get("ECGLIB_RELEASES", "").split():
        release, _, url = word.partition("=")
        pin(release)
        if not url.startswith(("http://", "https://")):
            raise RunError(f"ECGLIB_RELEASES holds {word!r}; write NAME=URL, http:// or https://")
        mirrors[release] = url
    return mirrors.get(name, pin(name)["url"]).rstrip("/")


def folder(name: str, paths: Paths) -> Path:
    """The folder of a downloaded release: artifacts/data/<name>-<version>."""
    return paths.home / "data" / f"{name}-{pin(name)['version']}"


def ready(name: str, cohort: dict, paths: Paths) -> Path | None:
    """The folder of a release that holds all files which the cohort reads; else None. It uses no
    network and reads no file but the list."""
    pinned, root = pin(name), folder(name, paths)
    listing = root / LISTS[pinned["kind"]]
    if not listing.is_file():
        return None
    items = read_list(listing, pinned, address(name))
    items, absent = choose([narrowed(cohort, pinned)], items)
    return None if absent or missing(items, root) else root


def fetch(name: str, cohorts: Sequence[dict], paths: Paths, verify: bool = False) -> Path:
    """The folder of a release, with its missing files downloaded.

    Args:
        cohorts: entries of a data plan, all of this release; the files that they read are fetched.
            Without one, the usual files are.
        verify: compare the checksums of files that are there, too.
    Raises:
        RunError: no network, a file that fails, too little disk, another process at work; names
            the URL and the way to do it by hand.
    """
    pinned, root, url = pin(name), folder(name, paths), address(name)
    cohorts = [narrowed(one, pinned) for one in cohorts] or [{"required": pinned["files"]}]
    by_hand = ", ".join(_required(cohorts))
    root.mkdir(parents=True, exist_ok=True)
    refusal = f"another process is downloading to {root}; wait for it"
    try:
        with only_process(root / ".lock", refusal):
            items, absent = choose(cohorts, _published(pinned, url, root))
            if absent:
                raise RunError(f"{absent}, which the data plan requires, is not published there")
            todo = missing(items, root, verify)
            if todo:
                _announce(pinned, len(todo), url, root)
                fetch_all(todo, root, pinned["connections"], pinned["title"])
                print(f"{pinned['title']} {pinned['version']}: all {len(items)} files are complete")
    except RunError as error:
        raise RunError(
            f"release {name} {pinned['version']}: {error}; finished files are kept, and the same "
            f"command resumes; by hand, download {by_hand} from {pinned['page']} and give the "
            f"folder with --data-root DIR; name a mirror with ECGLIB_RELEASES={name}=URL"
        ) from error
    return root


def _announce(pinned: dict, count: int, url: str, root: Path) -> None:
    """Print the size of a download, its licence and citation, after a look at the free disk. Raises
    RunError: too little disk."""
    size = count * pinned["mb_per_file"] / 1e3
    require_disk(root, size + SPARE, f"{count} files need about")
    print(
        f"downloading {pinned['title']} {pinned['version']}: {count} files, about {size:.1f} GB, "
        f"from {url} to {root}\nlicence: {pinned['licence']}; please cite: {pinned['cite']}",
        flush=True,
    )


def _published(pinned: dict, url: str, root: Path) -> list[Item]:
    """All files of a release; the list is downloaded once and kept."""
    listing = root / LISTS[pinned["kind"]]
    if not listing.is_file():
        source = f"{url}/{listing.name}" if pinned["kind"] == "physionet" else url
        fresh = listing.with_name(f"{listing.name}.new")
        try:
            with new_session() as session, session.get(source, timeout=TIMEOUT) as answer:
                answer.raise_for_status()
                fresh.write_bytes(answer.content)
        except requests.RequestException as error:
            raise RunError(f"{source} cannot be fetched ({reason(error)})") from error
        read_list(fresh, pinned, url)  # something else than a list is not kept
        fresh.replace(listing)
    return read_list(listing, pinned, url)


def read_list(path: Path, pinned: dict, url: str) -> list[Item]:
    """The items of a downloaded list. Raises RunError: not such a list, cut off, or a name that
    leads out of the folder."""
    physionet = pinned["kind"] == "physionet"
    place = f"{url}/{{}}" if physionet else f"{url}/files/{{}}/content"
    part = PurePosixPath(pinned.get("parts", "none"))
    is_archive = glob_pattern([str(part.with_suffix(".zip")).format("*")])
    items = []
    for name, checksum in (_physionet if physionet else _zenodo)(path):
        if not {"", ".", ".."}.isdisjoint(name.split("/")) or "\\" in name:
            raise RunError(f"{path} names the file {name!r}, which is no path inside a folder")
        archived = is_archive.fullmatch(name) is not None
        kept = str(PurePosixPath(name).with_suffix(part.suffix)) if archived else name
        items.append(Item(kept, place.format(quote(name)), checksum, archived))
    return items


def _physionet(path: Path) -> list[tuple[str, str]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    if None in matches:
        number = matches.index(None) + 1
        raise RunError(f"{path} is no list of sha256 checksums (see line {number})")
    if not text.endswith("\n"):
        raise RunError(f"{path} is cut off at its end")
    return [(match[2], f"sha256:{match[1]}") for match in matches]


def _zenodo(path: Path) -> list[tuple[str, str]]:
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return [(entry["key"], entry["checksum"]) for entry in files]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is no record with files and checksums ({error})") from error


def narrowed(cohort: dict, pinned: dict) -> dict:
    """The entry of a cohort with the names of the `parts` that it reads in place of the pattern of
    all; as it is where it reads all. Raises RunError: `parts` is no list of numbers."""
    parts = cohort.get("parts", []) if "parts" in pinned else []
    if not isinstance(parts, list) or not all(type(number) is int for number in parts):
        raise RunError(f"`parts` in the data plan is {parts!r}; write numbers, like [0, 1]")
    if not parts:
        return cohort
    names, every = [pinned["parts"].format(n) for n in parts], pinned["parts"].format("*")
    listing = [pattern for pattern in cohort.get("listing", []) if pattern != every]
    return cohort | {"required": cohort.get("required", []) + names, "listing": listing + names}


def choose(cohorts: Sequence[dict], items: Sequence[Item]) -> tuple[list[Item], str | None]:
    """The items that one of the cohorts reads, and the first required name that none of them fits
    (None where each has one). A required name is a file, a pattern, or a folder with all its files.
    """
    listed = [name for one in cohorts for key in LISTED for name in one.get(key, [])]
    pattern = glob_pattern([*listed, LICENSE], _required(cohorts))
    chosen = [item for item in items if pattern.fullmatch(item.name)]
    for name in _required(cohorts):
        pattern = glob_pattern([], [name])
        if not any(pattern.fullmatch(item.name) for item in chosen):
            return chosen, name
    return chosen, None


def _required(cohorts: Sequence[dict]) -> list[str]:
    """Files, folders and patterns that the cohorts must have, each once."""
    return list(dict.fromkeys(name for one in cohorts for name in one.get("required", [])))


def glob_pattern(globs: Sequence[str], folders: Sequence[str] = ()) -> re.Pattern:
    """Paths that fit one of the patterns, or lie in a folder that fits one of `folders` or fit it
    themselves: `*` within a name, `**/` over any folders."""
    rules = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}
    expressions = [
        "".join(rules.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*)", pattern))
        for pattern in [*globs, *folders, *(f"{folder}/**/*" for folder in folders)]
    ]
    return re.compile("|".join(expressions) or r"(?!)")
