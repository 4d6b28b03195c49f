"""Many files over HTTP: a few connections that stay open, a list of what is done, a progress bar.

`.downloaded` in the folder lists each file that was found whole, with its checksum, size and time
of change. A rerun compares size and time (one `stat` a file) and hashes nothing: MIMIC-IV-ECG has
1.6 million files and 100 GB, which nobody wants to read again to learn that nothing is missing. A
file that is there without being listed, or was touched since, is hashed once.
"""

import hashlib
import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from ecglib.run.errors import RunError
from ecglib.run.transfer import StoppedError, Transfer, discard
from ecglib.run.unpack import unpack

GIVE_UP = 5  # files that fail for good before the others are not tried any more
BLOCK = 4096  # bytes; small files take whole blocks of a disk


@dataclass(frozen=True, slots=True)
class Item:
    """One published file.

    Attributes:
        name: path under the folder, with `/`.
        checksum: "sha256:HEX" or "md5:HEX".
        size: bytes; an estimate unless `exact`.
        member: for a zip archive, the one file in it that is wanted; the archive is then deleted.
        unpacked: bytes of that file, an estimate.
    """

    name: str
    checksum: str
    size: int
    exact: bool = False
    member: str = ""
    unpacked: int = 0

    @property
    def final(self) -> str:
        """The name of what stays."""
        return self.member or self.name


class Journal:
    """The list of files that were found whole. Only the process that holds the folder adds to it.

    A line is written at once and in one piece, so a killed process loses none; a torn line (power
    cut) is not read, and its file is hashed again.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / ".downloaded"
        self._known: dict[str, tuple[str, int, int]] = {}
        text = self.path.read_bytes() if self.path.is_file() else b""
        for line in text.decode(errors="replace").split("\n")[:-1]:
            fields = line.split("\t", 3)
            if len(fields) == 4 and fields[1].isdigit() and fields[2].isdigit():
                self._known[fields[3]] = (fields[0], int(fields[1]), int(fields[2]))
        self._torn = bool(text) and not text.endswith(b"\n")
        self._lock = threading.Lock()

    def holds(self, name: str, checksum: str) -> bool:
        """The file is there and as it was when its checksum was compared."""
        known = self._known.get(name)
        if known is None or known[0] != checksum:
            return False
        try:
            status = (self.folder / name).stat()
        except FileNotFoundError:
            return False
        return known[1:] == (status.st_size, status.st_mtime_ns)

    def add(self, name: str, checksum: str) -> None:
        """Note a file that is whole."""
        status = (self.folder / name).stat()
        entry = (checksum, status.st_size, status.st_mtime_ns)
        line = "\n" * self._torn + "\t".join([*map(str, entry), name]) + "\n"
        with self._lock:
            with self.path.open("ab") as stream:
                stream.write(line.encode())
            self._known[name], self._torn = entry, False


def missing(items: Sequence[Item], journal: Journal) -> list[Item]:
    """The items that are not listed as done, or are gone or changed since."""
    return [item for item in items if not journal.holds(item.final, item.checksum)]


def remove_unpacked(items: Sequence[Item], journal: Journal) -> None:
    """Delete archives whose contents are listed as done: a killed process could not do it."""
    for item in items:
        if item.member and journal.holds(item.member, item.checksum):
            archive = journal.folder / item.name
            archive.unlink(missing_ok=True)
            discard(archive)
            discard(journal.folder / item.member)


def bytes_needed(items: Sequence[Item], folder: Path, connections: int) -> int:
    """Disk that the items will still take, estimates among them.

    Archives are deleted after unpacking, so no more of them than connections lie there at once.
    """
    archives = sorted((item.size for item in items if item.member), reverse=True)
    needed = sum(archives[:connections])
    for item in items:
        blocks = -(-(item.unpacked if item.member else item.size) // BLOCK)
        needed += blocks * BLOCK
        if (item.exact and item.size > BLOCK) and (part := folder / f"{item.name}.part").exists():
            needed -= part.stat().st_size
    return max(0, needed)


def free_bytes(folder: Path) -> int:
    """Free disk where `folder` is."""
    return shutil.disk_usage(folder).free


def fetch_all(
    items: Sequence[Item],
    folder: Path,
    address: Callable[[str], str],
    journal: Journal,
    connections: int,
    label: str,
) -> None:
    """Bring the items to `folder`, each whole and with the published checksum.

    Args:
        items: what `missing` returned.
        address: the URL of an item's name.
        connections: threads, each with one connection that is kept open over many files.
        label: stands before the progress bar, which is drawn on a terminal only.
    Raises:
        RunError: some files failed for good; the others are there. The message names the first and
            ends without a full stop.
    """
    waiting, failures, stop = deque(items), [], threading.Event()
    total = sum(item.size for item in items)
    with tqdm(total=total, unit="B", unit_scale=True, desc=label, disable=None) as bar:
        lock = threading.Lock()

        def advance(count: int) -> None:
            with lock:
                bar.update(count)

        def work() -> None:
            """Fetch items with one connection until none is left, or all must stop."""
            with requests.Session() as session:
                session.headers["User-Agent"] = "ecglib"
                while waiting and not stop.is_set():
                    try:
                        item = waiting.popleft()
                    except IndexError:  # another thread took the last one
                        return
                    try:
                        size = _fetch(item, folder, address, journal, session, advance, stop)
                    except StoppedError:
                        return
                    except RunError as error:
                        failures.append(str(error))
                        if len(failures) >= GIVE_UP:
                            stop.set()
                        continue
                    with lock:
                        bar.total += size - item.size  # an estimate becomes a size

        with ThreadPoolExecutor(connections) as pool:
            try:
                for done in as_completed([pool.submit(work) for _ in range(connections)]):
                    done.result()
            finally:  # also where Ctrl-C ends the wait
                stop.set()
    if failures:
        more = f" (and {len(failures) - 1} more files failed)" if len(failures) > 1 else ""
        raise RunError(failures[0] + more)


def _fetch(
    item: Item,
    folder: Path,
    address: Callable[[str], str],
    journal: Journal,
    session: requests.Session,
    advance: Callable[[int], None],
    stop: threading.Event,
) -> int:
    """One item, whole and listed; returns its size."""
    target = folder / item.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is_whole(target, item.checksum):
            advance(target.stat().st_size)
            discard(target)  # a process may have been killed before it did so
        else:
            size = item.size if item.exact else None
            url = address(item.name)
            Transfer(url, target, item.checksum, size, advance, stop).run(session)
        journal.add(item.name, item.checksum)
        size = target.stat().st_size
        if item.member:
            unpack(target, item.member)
            journal.add(item.member, item.checksum)
            target.unlink()
    except OSError as error:
        raise RunError(f"{target} cannot be written ({error.strerror or error})") from error
    return size


def _is_whole(path: Path, checksum: str) -> bool:
    if not path.is_file():
        return False
    algorithm, _, expected = checksum.partition(":")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest() == expected
