"""Public releases of data: pinned versions, downloaded once to artifacts/data, checked, then local.

`releases.yaml` says where each is, under which licence, and how to cite it. The variable
ECGLIB_RELEASES names mirrors: `NAME=URL NAME=URL`, each laid out like the original, its list of
checksums included (which is then believed).
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import requests

from ecglib.run import listings
from ecglib.run.download import Item, Journal, bytes_needed, fetch_all, free_bytes, missing
from ecglib.run.errors import RunError, unknown
from ecglib.run.paths import Paths
from ecglib.run.profiles import read_yaml
from ecglib.run.transfer import Transfer

PINS = Path(__file__).with_name("releases.yaml")
LIST_ATTEMPTS = 4  # the first thing that is asked for: where there is no network, say so soon
SPARE = 200_000_000  # bytes of disk that a download leaves free


def pins() -> dict[str, dict]:
    """The pinned releases by name."""
    return read_yaml(PINS)


def pin(name: str) -> dict:
    """One pinned release.

    Raises:
        RunError: none has this name.
    """
    known = pins()
    if name not in known:
        raise unknown("release", name, list(known))
    return known[name]


def base(name: str) -> str:
    """Where a release is: its own place, or a mirror that ECGLIB_RELEASES names.

    Raises:
        RunError: the variable holds something else than NAME=URL of known releases.
    """
    mirrors = {}
    for word in os.environ.get("ECGLIB_RELEASES", "").split():
        release, _, url = word.partition("=")
        pin(release)
        if not url.startswith(("http://", "https://")):
            raise RunError(f"ECGLIB_RELEASES holds {word!r}; write NAME=http://... or https://...")
        mirrors[release] = url
    return mirrors.get(name, pin(name)["url"])


def folder(name: str, paths: Paths) -> Path:
    """Where a release is put: artifacts/data/<name>-<version>."""
    return paths.home / "data" / f"{name}-{pin(name)['version']}"


def ready(name: str, cohort: dict, paths: Paths) -> Path | None:
    """The folder of a release, where all that the cohort reads is there and checked; else None.

    Asks no network and reads no file but the lists.
    """
    pinned, root = pin(name), folder(name, paths)
    place = root / listings.LISTS[pinned["kind"]]
    if not place.is_file():
        return None
    items = listings.read_list(place, pinned, listings.patterns(cohort, pinned))
    return None if missing(items, Journal(root)) else root


def fetch(name: str, cohort: dict | None, paths: Paths) -> Path:
    """The folder of a release, with what is missing downloaded.

    Args:
        cohort: an entry of a data plan, which says what it reads; None for the usual files.
    Raises:
        RunError: no network, a file that fails for good, too little disk, another process at work;
            one sentence with the URL and the way to do it by hand.
    """
    pinned, where, root = pin(name), base(name), folder(name, paths)
    root.mkdir(parents=True, exist_ok=True)

    def address(file: str) -> str:
        return listings.file_address(pinned["kind"], where, file)

    with _only_downloader(root):
        try:
            items = _items(pinned, where, cohort, root)
            journal = Journal(root)
            todo = missing(items, journal)
            if not todo:
                return root
            _require_disk(pinned, todo, root)
            _announce(pinned, todo, where, root)
            fetch_all(todo, root, address, journal, pinned["connections"], pinned["title"])
        except RunError as error:
            raise RunError(_by_hand(name, pinned, cohort, str(error))) from error
    print(f"{pinned['title']} {pinned['version']}: all {len(items)} files are whole", flush=True)
    return root


def _items(pinned: dict, where: str, cohort: dict | None, root: Path) -> list[Item]:
    """What the cohort reads, from the published list; the list is fetched once and kept."""
    wanted = listings.patterns(cohort, pinned)
    place = root / listings.LISTS[pinned["kind"]]
    if not place.is_file():
        fresh = place.with_name(f"{place.name}.new")
        with requests.Session() as session:
            Transfer(listings.list_address(pinned["kind"], where), fresh).run(
                session, LIST_ATTEMPTS
            )
        listings.read_list(fresh, pinned, wanted)  # not kept where it is something else
        fresh.replace(place)
    items = listings.read_list(place, pinned, wanted)
    for required in (cohort or {"required": []})["required"]:
        if not any(f"{item.final}/".startswith(f"{required}/") for item in items):
            raise RunError(f"{required}, which the data plan requires, is not published there")
    if not items:
        raise RunError(f"{place} lists none of {', '.join(wanted)}")
    return items


def _require_disk(pinned: dict, todo: list[Item], root: Path) -> None:
    needed, free = bytes_needed(todo, root, pinned["connections"]) + SPARE, free_bytes(root)
    if free < needed:
        raise RunError(
            f"{len(todo)} files need {needed / 1e9:.1f} GB of disk, but {root} has "
            f"{free / 1e9:.1f} GB free: free some, or set ECGLIB_HOME to a folder on another disk"
        )


def _announce(pinned: dict, todo: list[Item], where: str, root: Path) -> None:
    size = sum(item.size for item in todo) / 1e9
    print(
        f"downloading {pinned['title']} {pinned['version']}: {len(todo)} files, about "
        f"{size:.1f} GB, from {where} to {root}\n"
        f"licence: {pinned['licence']}; please cite: {pinned['cite']}",
        flush=True,
    )


def _by_hand(name: str, pinned: dict, cohort: dict | None, reason: str) -> str:
    files = (cohort or {}).get("required") or pinned["files"]
    return (
        f"release {name} {pinned['version']}: {reason}; what came is kept, the same command goes "
        f"on; by hand, download {', '.join(files)} from {pinned['page']} and give the folder with "
        f"--data-root DIR; a mirror is named with ECGLIB_RELEASES={name}=URL."
    )


@contextlib.contextmanager
def _only_downloader(root: Path) -> Iterator[None]:
    """One download a folder. The lock falls with its process."""
    with (root / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"another process is downloading to {root}; wait for it.") from None
        yield
