"""Files over HTTP with pooch: several at once, resumed where they broke off, checked before use.

A file is fetched to `.incoming` and moves to its place only when its checksum is right (an archive:
when it is unpacked). So a file under its own name is complete.
"""

import hashlib
import shutil
import threading
import zipfile
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pooch
import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from ecglib.run.errors import RunError

CHUNK = 1 << 16  # bytes
TIMEOUT = (15, 60)  # seconds to connect, and without a byte
ATTEMPTS = 6  # at each file, one after every broken connection and every wrong checksum
BACKOFF = 1.0  # seconds; the pause doubles with each refused request
BUSY = (429, 500, 502, 503, 504)  # status codes that may pass
GIVE_UP = 5  # files that fail before the others are not tried any more


@dataclass(frozen=True, slots=True)
class Item:
    """One published file.

    Attributes:
        name: path under the folder, with `/`, of the file that is kept.
        url: where it is, or the zip archive that holds it.
        checksum: "sha256:HEX" or "md5:HEX" as published.
        archived: whether `url` and `checksum` are those of a zip archive, which is not kept.
    """

    name: str
    url: str
    checksum: str
    archived: bool = False


def new_session(connections: int = 1) -> requests.Session:
    """A session that keeps its connections open and repeats a request to a busy server after the
    pause that its Retry-After names (RFC 9110, section 10.2.3)."""
    retry = Retry(3, backoff_factor=BACKOFF, status_forcelist=BUSY, raise_on_status=False)
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=retry))
    session.headers["User-Agent"] = "ecglib"
    return session


def missing(items: Sequence[Item], folder: Path, verify: bool = False) -> list[Item]:
    """The items that `folder` does not hold. `verify`: also those whose checksum is wrong, which
    reads every file."""

    def is_whole(item: Item) -> bool:
        path, compare = folder / item.name, verify and not item.archived
        return path.is_file() and (not compare or pooch.hashes.hash_matches(path, item.checksum))

    return [item for item in items if not is_whole(item)]


def fetch_all(items: Sequence[Item], folder: Path, connections: int, label: str) -> None:
    """Bring the items to `folder`, each with its published checksum.

    Args:
        connections: threads, each of which fetches one file at a time.
        label: of the progress bar, which is drawn on a terminal only.
    Raises:
        RunError: some files failed, the others were fetched; names the first one's URL.
    """
    pooch.get_logger().setLevel("ERROR")
    store = pooch.create(
        path=folder / ".incoming",
        base_url="",
        registry={item.name: item.checksum for item in items},
        urls={item.name: item.url for item in items},
        retry_if_failed=ATTEMPTS - 1,
    )
    bar = tqdm(unit="B", unit_scale=True, desc=label, disable=None)
    downloader = _Downloader(new_session(connections), threading.Event(), bar)
    waiting, failures = iter(items), []

    def work() -> None:
        """Fetch from the shared iterator of a list, whose `next` threads may call at once."""
        for item in waiting:
            try:
                _fetch(item, folder, store, downloader)
            except CancelledError:
                return
            except RunError as error:
                failures.append(str(error))
            if len(failures) >= GIVE_UP or downloader.stop.is_set():
                return downloader.stop.set()

    with ThreadPoolExecutor(connections) as pool:
        try:
            for worker in as_completed([pool.submit(work) for _ in range(connections)]):
                worker.result()
        finally:  # also where Ctrl-C ends the wait
            downloader.stop.set()
    bar.close()
    if failures:
        others = f" (and {len(failures) - 1} more files failed)" if failures[1:] else ""
        raise RunError(failures[0] + others)
    shutil.rmtree(folder / ".incoming", ignore_errors=True)


def _fetch(item: Item, folder: Path, store: pooch.Pooch, downloader: "_Downloader") -> None:
    """Put one item in its place. Raises RunError: the server refuses it, its checksum is wrong each
    time, or the disk is full."""
    target, incoming = folder / item.name, store.abspath / item.name
    try:
        incoming.parent.mkdir(parents=True, exist_ok=True)  # pooch's own mkdir fails in threads
        store.fetch(item.name, downloader=downloader)
        target.parent.mkdir(parents=True, exist_ok=True)
        if item.archived:
            unpacked = incoming.with_name(f"{incoming.name}.unpacking")
            unpack(incoming, target.name, unpacked)
            unpacked.replace(target)
            incoming.unlink()
        else:
            incoming.replace(target)
    except requests.RequestException as error:
        raise RunError(f"{item.url} failed {ATTEMPTS} times ({reason(error)})") from error
    except ValueError as error:  # pooch found another checksum than the one in its registry
        raise RunError(
            f"{item.url} has another checksum than the published {item.checksum}, "
            f"{ATTEMPTS} times in a row; {target} was not written"
        ) from error
    except OSError as error:
        raise RunError(f"{target} cannot be written ({error.strerror or error})") from error


@dataclass(frozen=True)
class _Downloader:
    """A downloader for pooch that resumes the part which an earlier attempt or process left.

    The part is not compared with the server's file here: a part of another file gives a wrong
    checksum, and pooch begins again.
    """

    session: requests.Session
    stop: threading.Event
    bar: tqdm

    def __call__(self, url: str, output: str, store: pooch.Pooch) -> None:
        part = store.abspath / f"{hashlib.sha256(url.encode()).hexdigest()}.part"
        start = part.stat().st_size if part.is_file() else 0
        headers = {"Accept-Encoding": "identity"}  # a range counts the bytes as published
        headers |= {"Range": f"bytes={start}-"} if start else {}
        with self.session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            # 416: the part has all bytes already, or too many
            if not (start and answer.status_code == 416):
                self.receive(answer, part, start)
        part.replace(output)

    def receive(self, answer: requests.Response, part: Path, start: int) -> None:
        """Write the body of an answer to the part: behind `start` bytes, or from the beginning."""
        if answer.status_code not in (200, 206, *BUSY):
            raise RunError(f"{answer.url} was answered with status {answer.status_code}")
        answer.raise_for_status()
        continues = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        with part.open("ab" if start and continues else "wb") as stream:
            for chunk in answer.iter_content(CHUNK):
                stream.write(chunk)
                self.bar.update(len(chunk))
                if self.stop.is_set():
                    raise CancelledError  # the beginning of the file is kept


def unpack(archive: Path, name: str, target: Path) -> None:
    """Write the member of a zip archive whose last path component is `name` to `target`. Raises
    RunError: no such member, or a damaged archive."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [m for m in zipped.namelist() if PurePosixPath(m).name == name]
            if not members:
                raise RunError(f"{archive} holds no {name}, but {', '.join(zipped.namelist()[:5])}")
            with zipped.open(members[0]) as source, target.open("wb") as stream:
                shutil.copyfileobj(source, stream, 1 << 20)
    except zipfile.BadZipFile as error:
        raise RunError(f"{archive} is damaged ({error}); delete it and start again") from error


def reason(error: Exception) -> str:
    """The text of a network error, shortened for a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
