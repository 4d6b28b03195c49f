"""Public releases of data: pinned versions, downloaded once to artifacts/data, checked, then local.

`releases.yaml` says where each is, under which licence, and how to cite it. The variable
ECGLIB_RELEASES names mirrors: `NAME=URL NAME=URL`, each laid out like the original, its list of
checksums included (which is then believed).
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from ecglib.run import listings
from ecglib.run.download import (
    Item,
    Journal,
    bytes_needed,
    fetch_all,
    free_bytes,
    missing,
    remove_unpacked,
)
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
    items = listings.read_list(place, pinned, listings.wanted([cohort], pinned))
    if listings.unpublished([cohort], pinned, items) or missing(items, Journal(root)):
        return None
    return root


def fetch(name: str, cohorts: Sequence[dict], paths: Paths) -> Path:
    """The folder of a release, with what is missing downloaded.

    Args:
        cohorts: entries of a data plan, all of this release; what any of them reads is fetched.
            Without one, the usual files are.
    Raises:
        RunError: no network, a file that fails for good, too little disk, another process at work;
            one sentence with the URL and the way to do it by hand.
    """
    pinned, where, root = pin(name), base(name), folder(name, paths)
    listings.wanted(cohorts, pinned)  # a plan that says nonsense is refused before anything else
    root.mkdir(parents=True, exist_ok=True)

    def address(file: str) -> str:
        return listings.file_address(pinned["kind"], where, file)

    with _only_downloader(root):
        try:
            items = _items(pinned, where, cohorts, root)
            journal = Journal(root)
            remove_unpacked(_archives(pinned, root), journal)
            todo = missing(items, journal)
            if not todo:
                return root
            _require_disk(pinned, todo, root)
            _announce(pinned, todo, where, root)
            fetch_all(todo, root, address, journal, pinned["connections"], pinned["title"])
        except RunError as error:
            raise RunError(_by_hand(name, pinned, cohorts, str(error))) from error
    print(f"{pinned['title']} {pinned['version']}: all {len(items)} files are whole", flush=True)
    return root


def _items(pinned: dict, where: str, cohorts: Sequence[dict], root: Path) -> list[Item]:
    """What the cohorts read, from the published list; the list is fetched once and kept."""
    wanted = listings.wanted(cohorts, pinned)
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
    if absent := listings.unpublished(cohorts, pinned, items):
        raise RunError(f"{absent}, which the data plan requires, is not published there")
    if not items:
        raise RunError(f"{place} lists none of {', '.join(listings.reads(cohorts, pinned))}")
    return items


def _archives(pinned: dict, root: Path) -> list[Item]:
    """All archives of the release, whatever is wanted of it now."""
    if "archives" not in pinned:
        return []
    held, place = pinned["archives"]["holds"], root / listings.LISTS[pinned["kind"]]
    items = listings.read_list(place, pinned, lambda name: name.endswith(held))
    return [item for item in items if item.member]


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


def _by_hand(name: str, pinned: dict, cohorts: Sequence[dict], reason: str) -> str:
    files = listings.reads(cohorts, pinned)
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
