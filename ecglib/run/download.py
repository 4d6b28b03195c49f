"""Files over HTTP with pooch: several at once, resumed where they broke off, checked before use.

A file is fetched to `.incoming` and moves to its place only when its checksum is right (an archive:
when it is unpacked). So a file under its own name is complete.
"""

import hashlib
import shutil
import threading
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
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
        name: path under the folder, with `/`.
        url: where it is.
        checksum: "sha256:HEX" or "md5:HEX" as published.
        member: for a zip archive, the one file in it that is wanted; the archive is not kept.
    """

    name: str
    url: str
    checksum: str
    member: str = ""

    @property
    def final(self) -> str:
        """The name of the file that is kept."""
        return self.member or self.name


class StoppedError(Exception):
    """The download was stopped; the beginning of the file is kept."""


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
    """The items that `folder` does not hold.

    Args:
        verify: also those whose checksum is wrong, which reads every file.
    """
    return [item for item in items if not _is_whole(item, folder / item.final, verify)]


def _is_whole(item: Item, path: Path, verify: bool) -> bool:
    if not path.is_file():
        return False
    if not verify or item.member:  # the checksum is that of the archive
        return True
    algorithm, _, expected = item.checksum.partition(":")
    return pooch.file_hash(str(path), alg=algorithm) == expected


def fetch_all(items: Sequence[Item], folder: Path, connections: int, label: str) -> None:
    """Bring the items to `folder`, each with its published checksum.

    Args:
        connections: threads, each of which fetches one file at a time.
        label: of the progress bar, which is drawn on a terminal only.
    Raises:
        RunError: some files failed, the others were fetched; names the first one's URL.
    """
    pooch.get_logger().setLevel("ERROR")
    batch = _Batch(items, folder, connections, label)
    with ThreadPoolExecutor(connections) as pool:
        try:
            for worker in as_completed([pool.submit(batch.work) for _ in range(connections)]):
                worker.result()
        finally:  # also where Ctrl-C ends the wait
            batch.stop.set()
    batch.bar.close()
    if batch.failures:
        others = len(batch.failures) - 1
        raise RunError(batch.failures[0] + (f" (and {others} more files failed)" if others else ""))
    shutil.rmtree(folder / ".incoming", ignore_errors=True)


class _Batch:
    """The state that the threads of one `fetch_all` share."""

    def __init__(self, items: Sequence[Item], folder: Path, connections: int, label: str):
        self.folder, self.waiting = folder, iter(items)
        self.session, self.stop = new_session(connections), threading.Event()
        self.failures: list[str] = []
        self.store = pooch.create(
            path=folder / ".incoming",
            base_url="",
            registry={item.name: item.checksum for item in items},
            urls={item.name: item.url for item in items},
            retry_if_failed=ATTEMPTS - 1,
        )
        self.bar = tqdm(unit="B", unit_scale=True, desc=label, disable=None)

    def work(self) -> None:
        """Fetch items until none is left, or all must stop."""
        for item in self.waiting:
            try:
                self.fetch(item)
            except StoppedError:
                return
            except RunError as error:
                self.failures.append(str(error))
                if len(self.failures) >= GIVE_UP:
                    self.stop.set()
            if self.stop.is_set():
                return

    def fetch(self, item: Item) -> None:
        """One item, put in its place.

        Raises:
            RunError: the server refuses it, its checksum is wrong each time, or the disk is full.
        """
        target, incoming = self.folder / item.final, self.store.abspath / item.name
        try:
            incoming.parent.mkdir(parents=True, exist_ok=True)  # pooch's own mkdir fails in threads
            fetched = Path(self.store.fetch(item.name, downloader=self.download))
            target.parent.mkdir(parents=True, exist_ok=True)
            if item.member:
                unpacked = fetched.with_name(f"{item.member}.unpacking")
                unpack(fetched, item.member, unpacked)
                unpacked.replace(target)
                fetched.unlink()
            else:
                fetched.replace(target)
        except requests.RequestException as error:
            raise RunError(f"{item.url} failed {ATTEMPTS} times ({reason(error)})") from error
        except ValueError as error:  # pooch found another checksum than the one in its registry
            raise RunError(
                f"{item.url} has another checksum than the published {item.checksum}, "
                f"{ATTEMPTS} times in a row; {target} was not written"
            ) from error
        except OSError as error:
            raise RunError(f"{target} cannot be written ({error.strerror or error})") from error

    def download(self, url: str, output: str, store: pooch.Pooch) -> None:
        """A downloader for pooch that resumes the part which an earlier attempt or process left.

        The part is not compared with the server's file here: a part of another file gives a wrong
        checksum, and pooch begins again.
        """
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
                    raise StoppedError


def unpack(archive: Path, name: str, target: Path) -> None:
    """Write the member of a zip archive whose last path component is `name` to `target`.

    Raises:
        RunError: no such member, or a damaged archive.
    """
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
