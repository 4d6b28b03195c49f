"""One file from a server that drops, refuses, truncates, corrupts and changes it: the whole file
or one clear sentence, and never a wrong file under its own name."""

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from fake_server import BIG, FakeServer, publish

from ecglib.run import transfer
from ecglib.run.errors import RunError
from ecglib.run.transfer import Transfer

pytestmark = pytest.mark.usefixtures("at_once")


def get(server: FakeServer, folder: Path, name: str, checksum: str, **options) -> Path:
    """Fetch one file of the server to `folder`; returns the target."""
    folder.mkdir(exist_ok=True)
    with requests.Session() as session:
        Transfer(server.url + name, folder / name, checksum, **options).run(session)
    assert sorted(path.name for path in folder.iterdir()) == [name], "no part, no note is left"
    return folder / name


@pytest.mark.parametrize("size", [0, 1, 1000, transfer.CHUNK, BIG])
def test_whole(server, tmp_path: Path, size: int):
    checksum = publish(server, "a.dat", size)
    got = get(server, tmp_path / "to", "a.dat", checksum)
    assert got.read_bytes() == (server.folder / "a.dat").read_bytes()


def test_dropped_connections_are_taken_up(server, tmp_path: Path):
    """After each drop the rest is asked for, not the whole, and only of the same file."""
    checksum = publish(server, "a.dat", BIG)
    server.faults["a.dat"] = [("drop", 300_000), ("drop", 700_000), ("drop", 10)]
    counts = []
    get(server, tmp_path / "to", "a.dat", checksum, advance=counts.append)
    asked = server.requests_of("a.dat")
    starts = [
        int(entry[1].removeprefix("bytes=").rstrip("-")) if entry[1] else 0 for entry in asked
    ]
    assert [entry[-1] for entry in asked] == [200, 206, 206, 206]
    assert 300_000 - transfer.CHUNK <= starts[1] <= 300_000 and starts == sorted(starts)
    assert 900_000 < starts[2] == starts[3] <= 1_000_000
    tag = f'"{hashlib.md5((server.folder / "a.dat").read_bytes()).hexdigest()}"'
    assert {entry[2] for entry in asked[1:]} == {tag}
    assert sum(counts) == BIG, "the progress bar counts each byte once"


def test_many_drops_with_progress_are_no_failure(server, tmp_path: Path):
    """Attempts are counted only while they bring nothing new."""
    checksum = publish(server, "a.dat", BIG)
    server.faults["a.dat"] = [("drop", 2 * transfer.CHUNK)] * (2 * transfer.ATTEMPTS)
    get(server, tmp_path / "to", "a.dat", checksum)
    assert len(server.requests_of("a.dat")) == 2 * transfer.ATTEMPTS + 1


def test_drops_at_the_same_place_without_ranges_end(server, tmp_path: Path):
    """A server that begins anew each time and always breaks off there brings nothing new."""
    checksum = publish(server, "a.dat", BIG)
    server.always["a.dat"] = ("break", 200_000)
    with pytest.raises(RunError, match="failed 8 times in a row"):
        get(server, tmp_path / "to", "a.dat", checksum)
    assert len(server.asked) == transfer.ATTEMPTS + 1, "only the first one brought something"


@pytest.mark.parametrize("code", [429, 500, 503])
def test_busy_server_is_asked_again(server, tmp_path: Path, code: int):
    checksum = publish(server, "a.dat", 1000)
    server.faults["a.dat"] = [("status", code)] * (transfer.ATTEMPTS - 1)
    get(server, tmp_path / "to", "a.dat", checksum)


def test_retry_after_is_obeyed(tmp_path: Path):
    """A number, or a date; never longer than the limit."""
    assert transfer.retry_after("7") == 7.0
    assert transfer.retry_after("100000") == transfer.LONGEST_WAIT
    assert transfer.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert transfer.retry_after("Wed, 21 Oct 2115 07:28:00 GMT") == transfer.LONGEST_WAIT
    assert transfer.retry_after("soon") == transfer.retry_after(None) == 0.0
    outcome = SimpleNamespace(exception=lambda: transfer.TransferError("busy", 7.0))
    assert Transfer("", tmp_path / "a.dat")._pause(SimpleNamespace(outcome=outcome)) == 7.0


def test_server_that_stays_busy(server, tmp_path: Path):
    server.always["a.dat"] = ("status", 503)
    with pytest.raises(RunError, match=r"a\.dat failed 8 times in a row \(status 503\)"):
        get(server, tmp_path / "to", "a.dat", "")
    assert len(server.asked) == transfer.ATTEMPTS


def test_refused_for_good_is_asked_once(server, tmp_path: Path):
    with pytest.raises(RunError, match=r"a\.dat was answered with status 404"):
        get(server, tmp_path / "to", "a.dat", "")
    assert len(server.asked) == 1


@pytest.mark.parametrize("fault", [("truncate", 700), ("corrupt", 500)])
def test_wrong_bytes_are_fetched_again(server, tmp_path: Path, fault: tuple):
    """Truncated with a length that fits, or one bit flipped: only the checksum sees it."""
    checksum = publish(server, "a.dat", 1000)
    server.faults["a.dat"] = [fault, fault]
    counts = []
    got = get(server, tmp_path / "to", "a.dat", checksum, advance=counts.append)
    assert got.read_bytes() == (server.folder / "a.dat").read_bytes()
    assert sum(counts) == 1000 and min(counts) < 0


@pytest.mark.parametrize(
    ("fault", "problem"), [(("truncate", 700), "700 bytes"), (("corrupt", 500), "sha256")]
)
def test_wrong_bytes_for_good(server, tmp_path: Path, fault: tuple, problem: str):
    checksum = publish(server, "a.dat", 1000)
    server.always["a.dat"] = fault
    with pytest.raises(RunError, match=rf"a\.dat has {problem}.*3 times in a row"):
        get(server, tmp_path / "to", "a.dat", checksum, size=1000)
    assert list((tmp_path / "to").iterdir()) == [], "a wrong file is left under no name"


def test_server_without_ranges(server, tmp_path: Path):
    checksum = publish(server, "a.dat", BIG)
    server.faults["a.dat"] = [("drop", 500_000), ("whole",)]
    get(server, tmp_path / "to", "a.dat", checksum)
    assert [entry[-1] for entry in server.asked] == [200, 200]


@pytest.mark.parametrize("understood", [True, False])
@pytest.mark.parametrize("size", [BIG, BIG + 1, 400_000])
def test_file_that_changes_between_two_attempts(server, tmp_path, understood: bool, size: int):
    """The halves of two files are never joined, even where the server ignores If-Range."""
    publish(server, "a.dat", BIG)
    server.faults["a.dat"] = [("drop", 500_000)] + [("blind",)] * (not understood)
    target = tmp_path / "to" / "a.dat"
    target.parent.mkdir()
    with requests.Session() as session:
        first = Transfer(server.url + "a.dat", target)  # no checksum is known: only the ETag helps
        with pytest.raises(transfer.TransferError):
            first._attempt(session)
        publish(server, "a.dat", size, seed=1)
        first.run(session)
    assert target.read_bytes() == (server.folder / "a.dat").read_bytes()


def test_part_of_another_file_is_not_taken_up(server, tmp_path: Path):
    """The published checksum is another than that of the part: it belongs to an earlier version."""
    checksum = publish(server, "a.dat", BIG)
    target = tmp_path / "to" / "a.dat"
    target.parent.mkdir()
    target.with_name("a.dat.part").write_bytes(b"old")
    note = {"url": server.url + "a.dat", "checksum": "sha256:0", "validator": "", "total": BIG}
    target.with_name("a.dat.part.json").write_text(json.dumps(note))
    get(server, target.parent, "a.dat", checksum)
    assert server.asked[0][1] is None, "all of it was asked for"


def test_whole_part_is_checked_without_asking(server, tmp_path: Path):
    """Killed between the last byte and the new name."""
    checksum = publish(server, "a.dat", BIG)
    target = tmp_path / "to" / "a.dat"
    target.parent.mkdir()
    shutil.copy(server.folder / "a.dat", target.with_name("a.dat.part"))
    note = {"url": server.url + "a.dat", "checksum": checksum, "validator": "", "total": BIG}
    target.with_name("a.dat.part.json").write_text(json.dumps(note))
    get(server, target.parent, "a.dat", checksum)
    assert server.asked == []
