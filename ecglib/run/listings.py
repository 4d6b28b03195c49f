"""What a release publishes: names, checksums and sizes of its files, and which of them are wanted.

PhysioNet has `SHA256SUMS.txt` beside the files: a checksum and a name a line, no sizes. Zenodo has
the JSON of the record, with `key`, `size` and `checksum` ("md5:HEX") of each file; those checksums
are read at the time of the download and written nowhere in this repository.

A release in numbered parts (`parts` in releases.yaml) is fetched part by part: a cohort whose
setting `parts` names some of them needs no others.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def wanted(cohorts: Sequence[dict], pinned: dict) -> Callable[[str], bool]:
    """Tells whether one of the cohorts reads the file of a name; without cohorts, the usual files.

    What is `required` may be a file or a folder with all that is in it.

    Args:
        cohorts: entries of a data plan, all of this release.
    Raises:
        RunError: `parts` of a cohort is no list of numbers.
    """
    if not cohorts:
        usual = _one_of([*pinned["files"], *pinned["always"]])
        return lambda name: usual.fullmatch(name) is not None
    choices = [_of_cohort(cohort, pinned) for cohort in cohorts]
    return lambda name: any(choose(name) for choose in choices)


def _of_cohort(cohort: dict, pinned: dict) -> Callable[[str], bool]:
    folders = [f"{name}/**/*" for name in cohort["required"]]
    needed = _one_of([*cohort["required"], *part_files(cohort, pinned), *folders])
    listed = [*cohort.get("contents", []), *cohort.get("listing", [])]
    further, left_out = _one_of([*listed, *pinned["always"]]), other_part(cohort, pinned)

    def choose(name: str) -> bool:
        if needed.fullmatch(name):
            return True
        return further.fullmatch(name) is not None and not left_out(name)

    return choose


def part_files(cohort: dict, pinned: dict) -> list[str]:
    """The files of the parts that a cohort names; none where it reads all, or there are no parts.

    Raises:
        RunError: `parts` is no list of numbers.
    """
    parts = cohort.get("parts", [])
    if "parts" not in pinned:
        return []
    if not isinstance(parts, list) or not all(type(number) is int for number in parts):
        raise RunError(f"`parts` in the data plan is {parts!r}; write numbers, like [0, 1].")
    return [pinned["parts"].format(number) for number in parts]


def other_part(cohort: dict, pinned: dict) -> Callable[[str], bool]:
    """Tells whether a name is that of a part which the cohort leaves out."""
    named = part_files(cohort, pinned)
    numbered = _one_of([pinned["parts"].format("*")] if named else [])
    return lambda name: numbered.fullmatch(name) is not None and name not in named


def reads(cohorts: Sequence[dict], pinned: dict) -> list[str]:
    """What a sentence names as the files to get: files, folders and patterns, each once."""
    if not cohorts:
        return pinned["files"]
    every = [pinned["parts"].format("*")] if "parts" in pinned else []
    named = [[*c["required"], *(part_files(c, pinned) or every)] for c in cohorts]
    return list(dict.fromkeys(name for names in named for name in names))


def unpublished(cohorts: Sequence[dict], pinned: dict, items: Sequence[Item]) -> str:
    """The first required file, folder or part that is not among the items; "" where all are."""
    for cohort in cohorts:
        for name in [*cohort["required"], *part_files(cohort, pinned)]:
            if not any(f"{item.final}/".startswith(f"{name}/") for item in items):
                return name
    return ""


def read_list(path: Path, pinned: dict, choose: Callable[[str], bool]) -> list[Item]:
    """The items of a downloaded list whose final name `choose` takes (see `wanted`).

    Raises:
        RunError: not such a list, cut off, or a name that leads out of the folder; the message ends
            without a full stop.
    """
    entries = _physionet(path) if pinned["kind"] == "physionet" else _zenodo(path)
    sizes = [(_one_of([pattern]), size) for pattern, size in pinned["bytes"].items()]
    archives = pinned.get("archives")
    is_archive = _one_of([archives["pattern"]] if archives else [])
    items = []
    for name, checksum, size in entries:
        packed = is_archive.fullmatch(name) is not None
        member = str(PurePosixPath(name).with_suffix(archives["holds"])) if packed else ""
        if not choose(member or name):
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
