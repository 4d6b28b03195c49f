"""Many files: few connections, nothing fetched or hashed twice; published lists and archives."""

import zipfile
from pathlib import Path

import pytest
from fake_server import FakeServer, publish

from ecglib.run import download, listings, releases
from ecglib.run.download import Item, Journal, fetch_all, missing
from ecglib.run.errors import RunError
from ecglib.run.unpack import unpack

pytestmark = pytest.mark.usefixtures("at_once")


def items_of(server: FakeServer, count: int, size: int = 300) -> list[Item]:
    names = [f"records/{i % 3}/{i:04d}.dat" for i in range(count)]
    return [Item(name, publish(server, name, size, i), size) for i, name in enumerate(names)]


def fetch(server: FakeServer, items: list[Item], folder: Path, connections: int = 4) -> None:
    folder.mkdir(exist_ok=True)
    journal = Journal(folder)
    todo = missing(items, journal)
    fetch_all(todo, folder, lambda name: server.url + name, journal, connections, "test")


def test_many_small_files_over_few_connections(server, tmp_path: Path, capsys):
    items = items_of(server, 60)
    fetch(server, items, tmp_path / "to")
    for item in items:
        assert (tmp_path / "to" / item.name).read_bytes() == (
            server.folder / item.name
        ).read_bytes()
    assert len({entry[3] for entry in server.asked}) <= 4, "connections are kept open"
    assert len(server.asked) == 60
    assert capsys.readouterr().err == "", "no progress bar where the output is no terminal"


def test_rerun_asks_and_hashes_nothing(server, tmp_path: Path, monkeypatch):
    items = items_of(server, 10)
    fetch(server, items, tmp_path / "to")
    server.asked.clear()
    monkeypatch.setattr(download, "_is_whole", lambda *a: pytest.fail("hashed again"))
    fetch(server, items, tmp_path / "to")
    assert server.asked == []


def test_rerun_after_damage(server, tmp_path: Path):
    """A file deleted, one cut, one changed at the same length: these are fetched, no others."""
    items = items_of(server, 10)
    folder = tmp_path / "to"
    fetch(server, items, folder)
    server.asked.clear()
    (folder / items[2].name).unlink()
    (folder / items[4].name).write_bytes(b"short")
    (folder / items[6].name).write_bytes(bytes(300))
    (folder / items[8].name).touch()  # the same bytes: hashed, not fetched
    fetch(server, items, folder)
    assert {entry[0] for entry in server.asked} == {items[i].name for i in (2, 4, 6)}
    assert missing(items, Journal(folder)) == []


def test_lost_or_torn_list(server, tmp_path: Path):
    """Without the list every file is hashed once; after a torn line, that line's file."""
    items = items_of(server, 6)
    folder = tmp_path / "to"
    fetch(server, items, folder)
    server.asked.clear()
    lines = (folder / ".downloaded").read_bytes()
    (folder / ".downloaded").write_bytes(lines[:-20])
    assert len(missing(items, Journal(folder))) == 1
    fetch(server, items, folder)
    assert missing(items, Journal(folder)) == []
    (folder / ".downloaded").unlink()
    fetch(server, items, folder)
    assert missing(items, Journal(folder)) == [] and server.asked == []


def test_one_bad_file_does_not_hold_up_the_others(server, tmp_path: Path):
    items = items_of(server, 20)
    server.always[items[3].name] = ("corrupt", 7)
    with pytest.raises(RunError, match=r"0003\.dat has sha256 .* is published, 3 times"):
        fetch(server, items, tmp_path / "to")
    assert missing(items, Journal(tmp_path / "to")) == [items[3]]


def test_server_that_goes_away(server, tmp_path: Path):
    """After some failures for good the rest is not tried."""
    items = items_of(server, 40)
    for item in items[5:]:
        server.always[item.name] = ("status", 404)
    with pytest.raises(RunError, match=r"status 404 .*more files failed\)"):
        fetch(server, items, tmp_path / "to", connections=2)
    assert len(server.asked) <= 5 + download.GIVE_UP + 2


def test_disk_of_archives(tmp_path: Path):
    """What is unpacked, and as many archives as lie there at once."""
    items = [Item(f"{i}.zip", "", 1000 + i, True, f"{i}.hdf5", 40_960) for i in range(5)]
    assert download.bytes_needed(items, tmp_path, 2) == 5 * 40_960 + 1004 + 1003
    small = [Item(f"{i}.hea", "", 600) for i in range(3)]
    assert download.bytes_needed(small, tmp_path, 2) == 3 * download.BLOCK


def test_patterns_choose_what_the_plan_reads(tmp_path: Path):
    names = [
        "LICENSE.txt",
        "RECORDS",
        "ptbxl_database.csv",
        "scp_statements.csv",
        "example/a.csv",
        "records100/00000/00001_lr.dat",
        "records500/00000/00001_hr.dat",
        "records500/00000/00001_hr.hea",
    ]
    place = tmp_path / "SHA256SUMS.txt"
    place.write_text("".join(f"{'0' * 64} {name}\n" for name in names))
    pinned = releases.pin("ptbxl")
    cohort = {"required": ["ptbxl_database.csv", "records100"], "contents": ["*.csv"]}
    chosen = listings.read_list(place, pinned, listings.wanted([cohort], pinned))
    assert [item.name for item in chosen] == [names[i] for i in (0, 2, 3, 5)]
    assert chosen[-1].size == 24_000 and not chosen[-1].exact
    usual = listings.read_list(place, pinned, listings.wanted([], pinned))
    assert [item.name for item in usual] == [names[i] for i in (0, 2, 3, 6, 7)]


def test_parts_choose_what_the_plan_reads():
    """A part that the plan names is wanted, the others are not; required is required."""
    pinned = releases.pin("code15")
    names = ["exams.csv", "exams_part1.hdf5", "exams_part11.hdf5", "notes.txt"]
    cohort = {"required": ["exams.csv"], "listing": ["exams_part*.hdf5"]}

    def chosen(*cohorts: dict) -> list[str]:
        return list(filter(listings.wanted(cohorts, pinned), names))

    assert chosen() == chosen(cohort) == chosen(cohort | {"parts": []}) == names[:3]
    assert chosen(cohort | {"parts": [1]}) == names[:2]
    assert chosen(cohort | {"parts": [1], "listing": []}) == names[:2]
    assert chosen(cohort | {"parts": [1]}, cohort | {"parts": [11]}) == names[:3]
    assert chosen(cohort | {"parts": [1]}, cohort) == names[:3]
    both = {"required": ["exams.csv", "exams_part1.hdf5"], "parts": [11]}
    assert chosen(both) == names[:3]
    ptbxl = {"required": ["records500"], "parts": [1]}  # PTB-XL has no parts
    assert listings.wanted([ptbxl], releases.pin("ptbxl"))("records500/00000/1_hr.dat")
    for wrong in (3, ["1"], [True], "1", None):
        with pytest.raises(RunError, match=r"`parts` in the data plan is .*; write numbers"):
            listings.wanted([cohort | {"parts": wrong}], pinned)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>please log in</html>\n", "is no list of sha256 checksums"),
        (f"{'0' * 64} a.csv", "is cut off"),
        (f"{'0' * 64} a.csv\n{'0' * 20}\n", "is no list"),
        (f"{'0' * 64} ../a.csv\n", "is no path inside a folder"),
        (f"{'0' * 64} /a.csv\n", "is no path inside a folder"),
        (f"{'0' * 64} x/../../a.csv\n", "is no path inside a folder"),
    ],
)
def test_bad_list(tmp_path: Path, text: str, message: str):
    place = tmp_path / "SHA256SUMS.txt"
    place.write_text(text)
    with pytest.raises(RunError, match=message):
        listings.read_list(place, releases.pin("ptbxl"), lambda name: True)


@pytest.mark.parametrize("text", ["[]", "{}", "no", '{"files": [{"key": "exams.csv"}]}'])
def test_bad_record(tmp_path: Path, text: str):
    place = tmp_path / "record.json"
    place.write_text(text)
    with pytest.raises(RunError, match="is no record with files"):
        listings.read_list(place, releases.pin("code15"), lambda name: True)


def test_archive_cannot_write_elsewhere(tmp_path: Path):
    archive = tmp_path / "in" / "a.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("../../a.hdf5", b"content")
        zipped.writestr("../evil.txt", b"evil")
    assert unpack(archive, "a.hdf5").read_bytes() == b"content"
    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert found == ["in/a.hdf5", "in/a.zip"]


def test_bad_archives(tmp_path: Path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"no archive")
    with pytest.raises(RunError, match=r"a\.zip is damaged"):
        unpack(archive, "a.hdf5")
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("b.hdf5", b"content")
    with pytest.raises(RunError, match=r"must hold one a\.hdf5, but holds b\.hdf5"):
        unpack(archive, "a.hdf5")
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a.hdf5", bytes(range(256)) * 4)
    damaged = bytearray(archive.read_bytes())
    damaged[200] ^= 1
    archive.write_bytes(damaged)
    with pytest.raises(RunError, match="damaged"):
        unpack(archive, "a.hdf5")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_real_pins_are_complete():
    assert set(releases.pins()) == {"ptbxl", "mimic", "code15"}
    for name, pinned in releases.pins().items():
        assert pinned["kind"] in listings.LISTS, name
        assert pinned["url"].startswith("https://") and pinned["page"].startswith("https://")
        assert pinned["licence"] and "doi:10." in pinned["cite"] and pinned["connections"] > 0
        assert isinstance(pinned["version"], str) and pinned["files"]
    for name in ("ptbxl", "mimic"):
        base = releases.pin(name)["url"]
        assert listings.list_address("physionet", base) == base + "SHA256SUMS.txt"
    url = listings.file_address("zenodo", releases.pin("code15")["url"], "exams.csv")
    assert url == "https://zenodo.org/api/records/4916206/files/exams.csv/content"
