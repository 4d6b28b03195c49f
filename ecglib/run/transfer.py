"""One file over HTTP: resumed where it broke off, tried again, checked before it gets its name.

Bytes go to `NAME.part`; the file has its own name only when its length and checksum are right.
`NAME.part.json` notes which file of the server the part is the beginning of (its ETag or date, and
its length), so that another process can go on with it; a part without a note is begun again. Files
of up to NOTED bytes get no note: asking for the rest of one costs as much as asking for all of it,
and a release may hold a million of them.
"""

import email.utils
import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, sleep_using_event

from ecglib.run.errors import RunError

CHUNK = 1 << 16  # bytes; what a dropped connection may cost
NOTED = 1 << 20  # bytes; longer files can be resumed by another process
TIMEOUT = (15, 60)  # seconds to connect, and without a byte
ATTEMPTS = 8  # in a row that bring no new byte
WRONG = 3  # whole files in a row with another checksum
PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds after the first failure; at most after later ones
LONGEST_WAIT = 300.0  # seconds that a server may ask for
PASSING = {408, 425, 429}  # status codes that may pass, besides 5xx
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class TransferError(Exception):
    """An attempt failed in a way that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class StoppedError(Exception):
    """The transfer was told to stop; its part is kept."""


class Transfer:
    """One file between attempts: the bytes on disk, their hash, and which file they belong to.

    Args:
        url: where the file is.
        target: where it goes; its folder exists.
        checksum: "sha256:HEX" or "md5:HEX" as published, "" where none is.
        size: bytes as published, None where unknown.
        advance: told how many bytes came, less than zero where some are thrown away.
        stop: set by another thread to end the transfer soon.
    """

    def __init__(
        self,
        url: str,
        target: Path,
        checksum: str = "",
        size: int | None = None,
        advance: Callable[[int], object] = lambda count: None,
        stop: threading.Event | None = None,
    ):
        self.url, self.target, self.checksum, self.size = url, target, checksum, size
        self.advance, self.stop = advance, stop or threading.Event()
        self.part = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.have, self.validator, self.total = 0, "", size
        self.fruitless, self.wrong, self.furthest = 0, 0, 0
        self.hash = self._new_hash()
        self._take_up()

    def run(self, session: requests.Session, attempts: int = ATTEMPTS) -> None:
        """Bring the whole file to `target`.

        Pauses grow twofold with each attempt that brings no new byte, with jitter, so that many
        threads do not come back at once; a server's Retry-After is obeyed.

        Raises:
            RunError: refused for good, `attempts` fruitless attempts, or wrong bytes again and
                again; the message begins with the URL and ends without a full stop.
            StoppedError: `stop` was set.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(TransferError),
            stop=lambda state: self.fruitless >= attempts,
            wait=self._pause,
            sleep=sleep_using_event(self.stop),
            reraise=True,
        )
        try:
            retrying(self._attempt, session)
        except TransferError as error:
            raise RunError(f"{self.url} failed {attempts} times in a row ({error})") from error
        self.part.replace(self.target)
        self.note.unlink(missing_ok=True)

    def _pause(self, state: RetryCallState) -> float:
        longest = min(LONGEST_PAUSE, PAUSE * 2 ** max(0, self.fruitless - 1))
        # no result depends on this draw
        return max(state.outcome.exception().wait, random.uniform(0.5, 1.0) * longest)

    def _take_up(self) -> None:
        """Go on with the part of an earlier process, where its note says what it is."""
        try:
            known = json.loads(self.note.read_text(encoding="utf-8"))
            size = self.part.stat().st_size
        except (FileNotFoundError, ValueError):
            return
        if known.get("url") != self.url or known.get("checksum") != self.checksum:
            return
        self.have, self.validator, self.total = size, known["validator"], known["total"]
        with self.part.open("rb") as stream:
            self.hash = hashlib.file_digest(stream, self._new_hash)
        self.furthest = self.have
        self.advance(self.have)

    def _attempt(self, session: requests.Session) -> None:
        if self.stop.is_set():
            raise StoppedError
        self.fruitless += 1
        if not self.have or self.have != self.total:  # else only the check was missing
            try:
                self._ask(session)
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                raise TransferError(reason(error)) from error
            except requests.RequestException as error:
                raise RunError(f"{self.url} cannot be asked for ({reason(error)})") from error
        self._check()

    def _ask(self, session: requests.Session) -> None:
        headers = {"Accept-Encoding": "identity"}  # ranges count the bytes as published
        if self.have:
            headers["Range"] = f"bytes={self.have}-"
            if self.validator:
                headers["If-Range"] = self.validator
        with session.get(self.url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            self._judge(answer)
            with self.part.open("ab") as stream:
                stream.truncate(self.have)
                for chunk in answer.iter_content(CHUNK):
                    stream.write(chunk)
                    self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        self.hash.update(chunk)
        self.have += len(chunk)
        self.advance(len(chunk))
        if self.have > self.furthest:  # not where a server sends the same beginning for ever
            self.furthest, self.fruitless = self.have, 0
        if self.stop.is_set():
            raise StoppedError

    def _judge(self, answer: requests.Response) -> None:
        """Decide by status and headers whether the body goes after the part or replaces it."""
        code = answer.status_code
        if code in PASSING or code >= 500:
            raise TransferError(f"status {code}", retry_after(answer.headers.get("Retry-After")))
        if code == 416 and self.have:  # the file is now shorter than the part
            self._restart()
            raise TransferError("the file became shorter on the server")
        if code not in (200, 206):
            raise RunError(f"{self.url} was answered with status {code} ({answer.reason})")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise RunError(f"{self.url} comes compressed, although it was asked for as it is")
        if code == 206:
            if not self._continues(answer):
                self._restart()
                raise TransferError("the file was changed on the server")
            return
        self._restart()  # all of the file: no part yet, no ranges here, or a changed file
        self.validator = _validator(answer)
        length = answer.headers.get("Content-Length", "")
        self.total = int(length) if length.isdigit() else self.size
        if self.total is None or self.total > NOTED:
            known = {"url": self.url, "checksum": self.checksum}
            known |= {"validator": self.validator, "total": self.total}
            self.note.write_text(json.dumps(known), encoding="utf-8")

    def _continues(self, answer: requests.Response) -> bool:
        """The answer is the rest of the same file: right place, same length, same validator. (Some
        servers do not know If-Range, so this is not left to them.)"""
        found = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if not found or int(found[1]) != self.have:
            return False
        if self.total is not None and found[2] not in ("*", str(self.total)):
            return False
        return _validator(answer) in ("", self.validator)

    def _restart(self) -> None:
        self.advance(-self.have)
        self.have, self.validator, self.total = 0, "", self.size
        self.hash = self._new_hash()
        self.note.unlink(missing_ok=True)

    def _check(self) -> None:
        """Length and checksum of the whole part.

        Raises:
            TransferError: too short, or wrong and worth another attempt from the start.
            RunError: wrong for the last time.
        """
        if self.total is not None and self.have < self.total:
            raise TransferError(f"ended after {self.have} of {self.total} bytes")
        algorithm, _, expected = self.checksum.partition(":")
        problem = ""
        announced = self.total if self.size is None else self.size
        if announced not in (None, self.have):
            problem = f"{self.have} bytes, but {announced} are announced"
        elif expected and self.hash.hexdigest() != expected:
            problem = f"{algorithm} {self.hash.hexdigest()}, but {expected} is published"
        if problem:
            self.wrong += 1
            self._restart()
            self.part.unlink(missing_ok=True)
            if self.wrong >= WRONG:
                raise RunError(f"{self.url} has {problem}, {WRONG} times in a row")
            raise TransferError(problem)

    def _new_hash(self) -> "hashlib._Hash":
        return hashlib.new(self.checksum.partition(":")[0] or "sha256", usedforsecurity=False)


def discard(target: Path) -> None:
    """Delete the part of a file, and its note, where a killed process left them."""
    for ending in (".part", ".part.json"):
        target.with_name(f"{target.name}{ending}").unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """What an exception of the network says, shortened for a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"


def retry_after(value: str | None) -> float:
    """The seconds that a Retry-After header asks for, a number or a date; 0 where it is neither."""
    if not value:
        return 0.0
    if value.strip().isdigit():
        return min(float(value), LONGEST_WAIT)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return min(max(0.0, date.timestamp() - time.time()), LONGEST_WAIT)


def _validator(answer: requests.Response) -> str:
    """What may stand in If-Range: a strong ETag, else the date (RFC 9110, section 13.1.5)."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
