"""What a release publishes: names, checksums and sizes of its files, and which of them are wanted.

PhysioNet has `SHA256SUMS.txt` beside the files: a checksum and a name a line, no sizes. Zenodo has
the JSON of the record, with `key`, `size` and `checksum` ("md5:HEX") of each file; those checksums
are read at the time of the download and written nowhere in this repository.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from ecglib.run.download import Item
from ecglib.run.errors import RunError

LISTS = {"physionet": "SHA256SUMS.txt", "zenodo": "record.json"}  # the list's name on disk
LINE = re.compile(r"([0-9a-f]{64})[ \t]+\*?(\S.*)")
CHECKSUM = re.compile(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")


def list_address(kind: str, base: str) -> str:
    """The URL of the list of a release at `base`."""
    return f"{base.rstrip('/')}/{LISTS[kind]}" if kind == "physionet" else base.rstrip("/")


def file_address(kind: str, base: str, name: str) -> str:
    """The URL of a file of a release at `base`."""
    if kind == "zenodo":
        return f"{base.rstrip('/')}/files/{quote(name)}/content"
    return f"{base.rstrip('/')}/{quote(name)}"


def patterns(cohort: dict | None, pinned: dict) -> list[str]:
    """Glob patterns of the files that a cohort of a data plan reads; without one, the usual files.

    What is `required` may be a file or a folder with all that is in it.
    """
    if cohort is None:
        return [*pinned["files"], *pinned["always"]]
    required = [name for wanted in cohort["required"] for name in (wanted, f"{wanted}/**/*")]
    further = [*cohort.get("contents", []), *cohort.get("listing", [])]
    return [*required, *further, *pinned["always"]]


def read_list(path: Path, pinned: dict, wanted: list[str]) -> list[Item]:
    """The items of a downloaded list that fit one of the patterns `wanted`.

    Raises:
        RunError: not such a list, cut off, or a name that leads out of the folder; the message ends
            without a full stop.
    """
    entries = _physionet(path) if pinned["kind"] == "physionet" else _zenodo(path)
    choose = _one_of(wanted)
    sizes = [(_one_of([pattern]), size) for pattern, size in pinned["bytes"].items()]
    archives = pinned.get("archives")
    is_archive = _one_of([archives["pattern"]] if archives else [])
    items = []
    for name, checksum, size in entries:
        packed = is_archive.fullmatch(name) is not None
        member = str(PurePosixPath(name).with_suffix(archives["holds"])) if packed else ""
        if not choose.fullmatch(member or name):
            continue
        _require_inside(name, path)
        exact = size is not None
        if not exact:
            size = next((size for fits, size in sizes if fits.fullmatch(name)), 0)
        items.append(Item(name, checksum, size, exact, member, archives["bytes"] if packed else 0))
    return items


def _physionet(path: Path) -> Iterator[tuple[str, str, None]]:
    line = "\n"
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            found = LINE.fullmatch(line.rstrip("\n"))
            if not found:
                raise RunError(f"{path} is no list of sha256 checksums (line {line[:60]!r})")
            yield found[2], f"sha256:{found[1]}", None
    if not line.endswith("\n"):
        raise RunError(f"{path} is cut off at its end")


def _zenodo(path: Path) -> Iterator[tuple[str, str, int]]:
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        found = [(entry["key"], entry["checksum"], int(entry["size"])) for entry in files]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is no record with files, checksums and sizes ({error})") from error
    for name, checksum, _ in found:
        if not CHECKSUM.fullmatch(checksum):
            raise RunError(f"{path}: {name} has the checksum {checksum!r}, neither md5 nor sha256")
    yield from found


def _require_inside(name: str, path: Path) -> None:
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\\" in name or not name.isprintable():
        raise RunError(f"{path} names the file {name!r}, which is no path inside a folder")


def _one_of(globs: Iterable[str]) -> re.Pattern:
    """Paths that fit one of the glob patterns: `*` within a name, `**/` over any folders."""
    rules = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}
    expressions = [
        "".join(rules.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*)", pattern))
        for pattern in globs
    ]
    return re.compile("|".join(expressions) or r"(?!)")
