"""Files from a server that drops, refuses, truncates and corrupts them: the whole file or one clear
sentence, and never a wrong file under its own name."""

import zipfile
from pathlib import Path

import pytest
from builds import raises
from fake_server import BIG, FakeServer, publish

from ecglib.run import download
from ecglib.run.download import Item, fetch_all, missing, unpack
from ecglib.run.errors import RunError

pytestmark = pytest.mark.usefixtures("at_once")


def published(server: FakeServer, name: str, size: int, seed: int = 0) -> Item:
    return Item(name, server.url + name, publish(server, name, size, seed))


def get(server: FakeServer, item: Item, folder: Path) -> None:
    """Fetch one file of the server; it arrives as it is, and nothing else is left."""
    fetch_all([item], folder, 1, "test")
    assert (folder / item.name).read_bytes() == (server.folder / item.name).read_bytes()
    assert [path.name for path in folder.iterdir()] == [item.name]


def test_dropped_connections_are_resumed(server, tmp_path: Path):
    """After each drop the rest is asked for, not the whole."""
    server.faults["a.dat"] = [("drop", 300_000), ("drop", 700_000), ("drop", 10)]
    get(server, published(server, "a.dat", BIG), tmp_path / "to")
    requests = server.requests
    starts = [int(entry[1][6:-1]) if entry[1] else 0 for entry in requests]
    assert [entry[-1] for entry in requests] == [200, 206, 206, 206]
    assert 300_000 - download.CHUNK <= starts[1] <= 300_000 and starts == sorted(starts)


@pytest.mark.parametrize(
    ("size", "faults"),
    [
        *((size, []) for size in (0, 1, download.CHUNK, BIG)),
        (1000, [("status", 429), ("status", 500), ("status", 503)]),
        (1000, [("status", 503)] * 6),
        (1000, [("truncate", 700)]),  # with a length that fits: only the checksum finds it
        (1000, [("corrupt", 500), ("corrupt", 5)]),
        (1000, [("drop", 500), ("whole",)]),  # a server without ranges
    ],
)
def test_no_and_passing_faults(server, tmp_path: Path, size: int, faults: list[tuple]):
    server.faults["a.dat"] = list(faults)
    get(server, published(server, "a.dat", size), tmp_path / "to")


@pytest.mark.parametrize("size", [400_000, BIG, BIG + 1])
def test_part_of_another_file(server, tmp_path: Path, size: int):
    """A part of a file that was since changed on the server: halves are never joined."""
    item = published(server, "a.dat", BIG)
    server.faults["a.dat"] = [("drop", 500_000), ("status", 404)]
    raises(RunError, "status 404", fetch_all, [item], tmp_path / "to", 1, "test")
    get(server, published(server, "a.dat", size, seed=1), tmp_path / "to")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (("status", 404), r"a\.dat was answered with status 404$"),
        (("status", 503), r"a\.dat failed 6 times \(HTTPError: 503"),
        (("drop", 0), r"a\.dat failed 6 times \(\w*Error"),
        (("corrupt", 500), r"a\.dat has another checksum than the published sha256:.* 6 times"),
        (("truncate", 700), r"a\.dat has another checksum .*to/a\.dat was not written"),
    ],
)
def test_lasting_faults(server, tmp_path: Path, fault: tuple, message: str):
    item = published(server, "a.dat", 1000)
    server.always["a.dat"] = fault
    raises(RunError, message, fetch_all, [item], tmp_path / "to", 1, "test")
    assert not (tmp_path / "to" / "a.dat").exists()
    if fault == ("status", 404):
        assert len(server.requests) == 1, "refused for good"


def many(server: FakeServer, count: int) -> list[Item]:
    return [published(server, f"records/{i % 3}/{i:04d}.dat", 300, i) for i in range(count)]


def test_many_small_files_over_few_connections(server, tmp_path: Path, capsys):
    items = many(server, 60)
    fetch_all(items, tmp_path, 4, "test")
    assert missing(items, tmp_path, verify=True) == []
    assert len({entry[2] for entry in server.requests}) <= 4, "connections are kept open"
    assert len(server.requests) == 60
    assert capsys.readouterr().err == "", "no progress bar where the output is no terminal"
    (tmp_path / items[1].name).write_bytes(bytes(300))
    (tmp_path / items[2].name).unlink()
    assert missing(items, tmp_path) == [items[2]]
    assert missing(items, tmp_path, verify=True) == [items[1], items[2]]


def test_bad_file_and_server_that_goes_away(server, tmp_path: Path):
    """One bad file does not hold up the others; after some failures the rest is not tried."""
    items = many(server, 40)
    server.always[items[3].name] = ("corrupt", 7)
    with pytest.raises(RunError, match=r"0003\.dat has another checksum"):
        fetch_all(items, tmp_path / "one", 2, "test")
    assert missing(items, tmp_path / "one") == [items[3]]
    server.always = {item.name: ("status", 404) for item in items[5:]}
    server.requests.clear()
    with pytest.raises(RunError, match=r"status 404 .*more files failed\)"):
        fetch_all(items, tmp_path / "two", 2, "test")
    assert len(server.requests) <= 5 + download.GIVE_UP + 2


def test_archives(tmp_path: Path):
    """The member is found by its name; no archive can write elsewhere."""
    archive, target = tmp_path / "in" / "a.zip", tmp_path / "in" / "a"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("../../a.hdf5", b"content")
        zipped.writestr("../evil.txt", b"evil")
    unpack(archive, "a.hdf5", target)
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert target.read_bytes() == b"content" and files == ["in/a", "in/a.zip"]
    with pytest.raises(RunError, match=r"a\.zip holds no b\.hdf5, but \.\./\.\./a\.hdf5"):
        unpack(archive, "b.hdf5", target)
    archive.write_bytes(b"no archive")
    raises(RunError, r"a\.zip is damaged", unpack, archive, "a.hdf5", target)
