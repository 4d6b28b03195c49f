"""Releases through the command line, from a server of this machine as their mirror."""

import hashlib
import json
import signal
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import fake_sources
import h5py
import numpy as np
import pytest
from builds import needs, real
from fake_server import BIG, FakeServer, publish, serving
from toy import Toy

from ecglib.run import profiles, releases, roots
from ecglib.run.__main__ import command_line
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths, only_process

REPO = Path(__file__).parents[1]
MINI = real("ECGLIB_PTBXL_MINI")
PLAN = """\
cohorts:
  cohort:
    source: ptbxl
    layout: the PhysioNet release of PTB-XL
    required: [ptbxl_database.csv, scp_statements.csv, records500]
    contents: ["*.csv", "records500/**/*"]
roles: {train: [cohort]}
"""

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def toy(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A project whose plan `ptbxl` reads PTB-XL, with the server as the mirror of PTB-XL and MIMIC,
    and its folder `api` as that of CODE-15 %. The disk has room for all of them."""
    mirrors = f"ptbxl={server.url} mimic={server.url} code15={server.url}api"
    project = Toy(tmp_path / "toy", ECGLIB_RELEASES=mirrors)
    project.write("notebooks/data/ptbxl.yaml", PLAN)
    project.edit("toylib/make.py", '"list.csv"', '"ptbxl_database.csv"')
    usage = SimpleNamespace(free=1e12)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    project.enter(monkeypatch)
    return project


def sums(server: FakeServer) -> None:
    """Write SHA256SUMS.txt of all files."""
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    lines = [f"{hexa} {path.relative_to(server.folder)}\n" for path, hexa in digests.items()]
    (server.folder / "SHA256SUMS.txt").write_text("".join(lines))


@pytest.fixture
def released(server: FakeServer) -> None:
    """A small PTB-XL on the server, with SHA256SUMS.txt."""
    fake_sources.write_ptbxl(server.folder)
    (server.folder / "LICENSE.txt").write_text("CC BY 4.0\n")
    sums(server)


def test_run_downloads_what_its_plan_reads(toy: Toy, server: FakeServer, released):
    """`--data ptbxl` without --data-root: fetched over a bad line and used by a run; then reused
    without the server."""
    folder = "records500/00000/"
    records = sorted(path.name for path in (server.folder / folder).iterdir())
    server.faults["SHA256SUMS.txt"] = [("status", 503)]
    server.faults[folder + records[0]] = [("drop", 70_000)]
    server.faults[folder + records[2]] = [("corrupt", 5)]
    server.faults[folder + records[4]] = [("truncate", 100), ("status", 500)]
    text = toy.run("--data", "ptbxl", "--only", "01")
    assert "downloading PTB-XL 1.0.3: 19 files" in text and server.url[:-1] in text
    assert "licence: CC BY 4.0; please cite: Wagner" in text and "01_make: run" in text
    root = toy.folder / "artifacts/data/ptbxl-1.0.3"
    stored = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
    top = {"LICENSE.txt", "SHA256SUMS.txt", "ptbxl_database.csv", "scp_statements.csv"}
    stored.discard(Path(".lock"))
    assert stored == {Path(name) for name in (*top, *(folder + record for record in records))}
    for name in stored:  # the 100 Hz records, which the plan does not read, are left out
        assert (root / name).read_bytes() == (server.folder / name).read_bytes()
    card = (toy.folder / "reports/ptbxl-laptop/RUN.md").read_text()
    assert "`bash run_all.sh --data ptbxl --only 01`" in card, "the data root needs no option"
    count = len(server.requests)
    assert "01_make: reused" in toy.run("--data", "ptbxl", "--only", "01")
    toy.run("--data", "ptbxl", "--only", "01", "--check")
    assert len(server.requests) == count


def test_prefetch_repairs(toy: Toy, server: FakeServer, released, tmp_path: Path, monkeypatch):
    """Below another ECGLIB_HOME; a file that is gone is noticed, a changed one when checked."""
    monkeypatch.setenv("ECGLIB_HOME", str(tmp_path / "home"))
    assert command_line(["--data", "ptbxl", "--prefetch", "ptbxl"]) == 0
    root = tmp_path / "home/data/ptbxl-1.0.3"
    assert Run("laptop", "ptbxl", 0).roots == {"cohort": root}
    server.requests.clear()
    names = ["ptbxl_database.csv", "records500/00000/00001_hr.dat"]
    (root / names[1]).unlink()
    with pytest.raises(RunError, match="not all is downloaded yet; run the notebooks with --data"):
        _ = Run("laptop", "ptbxl", 0).roots
    (root / names[0]).write_text("damaged")
    assert command_line(["--data", "ptbxl", "--prefetch", "ptbxl"]) == 0
    assert sorted(entry[0] for entry in server.requests) == names


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_download_resumes(toy: Toy, server: FakeServer, how: signal.Signals):
    """In the middle of a large file: the next process asks for the rest only."""
    name = "ptbxl_database.csv"
    publish(server, name, 3 * BIG)
    publish(server, "records500/00000/00001_hr.hea", 100)
    sums(server)
    server.faults[name] = [("slow", 0.05)]
    process = toy.start("--prefetch", "ptbxl")
    root = toy.folder / "artifacts/data/ptbxl-1.0.3"
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size > 500_000 for part in root.glob(".incoming/*.part")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in errors, errors
        assert "resume with: bash run_all.sh --prefetch ptbxl" in errors
    assert not (root / name).exists(), "no half file has the name of a whole one"
    assert "all 2 files are complete" in toy.run("--prefetch", "ptbxl")
    assert (root / name).read_bytes() == (server.folder / name).read_bytes()
    first, second = [entry for entry in server.requests if entry[0] == name]
    assert first[1] is None and second[-1] == 206 and int(second[1][6:-1]) > 400_000
    assert len(server.requests) == 4, "the list and the other file are fetched once"
    assert not (root / ".incoming").exists()


def test_no_network_bad_mirrors_and_records(toy: Toy, server: FakeServer):
    """One sentence: the URL, the files to fetch by hand, and the option that gives the folder."""
    toy.variables["ECGLIB_RELEASES"] = "ptbxl=http://127.0.0.1:9/ptb-xl/"
    text = toy.refused("--data", "ptbxl")
    for part in (
        "http://127.0.0.1:9/ptb-xl/SHA256SUMS.txt cannot be fetched (ConnectionError",
        "by hand, download ptbxl_database.csv, scp_statements.csv, records500 from "
        "https://physionet.org/content/ptb-xl/1.0.3/ and give the folder with --data-root DIR",
        "ECGLIB_RELEASES=ptbxl=URL",
    ):
        assert part in text
    for mirrors, expected in (
        ("moon=http://x", "unknown release 'moon'; valid: code15, mimic, ptbxl"),
        ("ptbxl=ftp://x", "ECGLIB_RELEASES holds 'ptbxl=ftp://x'; write NAME=URL"),
        ("ptbxl", "ECGLIB_RELEASES holds 'ptbxl'"),
    ):
        toy.variables["ECGLIB_RELEASES"] = mirrors
        assert expected in toy.refused("--prefetch", "ptbxl")
    toy.variables["ECGLIB_RELEASES"] = f"code15={server.url}api"
    (server.folder / "api").mkdir()
    for text in ("[]", "{}", "no", '{"files": [{"key": "exams.csv"}]}'):
        (server.folder / "api/.index").write_text(text)
        assert "is no record with files" in toy.refused("--prefetch", "code15"), text


def test_given_folder_or_too_little_disk(toy: Toy, server: FakeServer, released, monkeypatch):
    """A given folder is used instead; too little disk is refused before the first file."""
    run = Run("laptop", "ptbxl", 0, data_roots=[str(server.folder)])
    run.fetch_data()
    assert run.roots == {"cohort": server.folder} and server.requests == []
    assert run.command() == "bash run_all.sh --data ptbxl --data-root DIR"
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1e8))
    text = toy.refused("--data", "ptbxl")
    assert "19 files need about 0.2 GB of disk, but" in text and "has 0.1 GB free" in text
    assert [entry[0] for entry in server.requests] == ["SHA256SUMS.txt"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>please log in</html>\n", "is no list of sha256 checksums"),
        (f"{'0' * 64} a.csv", "is cut off"),
        (f"{'0' * 64} a.csv\n{'0' * 20}\n", "is no list"),
        (f"{'0' * 64} /a.csv\n", "is no path inside a folder"),
        (f"{'0' * 64} x/../../a.csv\n", "is no path inside a folder"),
        (f"{'0' * 64} ptbxl_database.csv\n", "scp_statements.csv, which the data plan requires"),
    ],
)
def test_list_that_is_something_else(toy: Toy, server: FakeServer, text: str, message: str):
    """A page that asks for a login is not kept as the list."""
    (server.folder / "SHA256SUMS.txt").write_text(text)
    assert message in toy.refused("--data", "ptbxl")
    assert message in toy.refused("--data", "ptbxl"), "not kept"


def test_refused_before_anything_is_fetched(toy: Toy, server: FakeServer):
    """An unknown release; --check, which only looks; two cohorts, one given wrongly; a folder to
    which another process downloads."""
    toy.run("--prefetch")  # the assets, not the data
    assert "unknown release 'moon'; valid: code15, mimic" in toy.refused("--prefetch", "moon")
    text = toy.refused("--data", "ptbxl", "--check")
    assert "reads the release ptbxl, of which not all is downloaded yet" in text
    second = "  other: {source: mimic, required: [record_list.csv]}\nroles:"
    toy.edit("notebooks/data/ptbxl.yaml", "roles:", second)
    text = toy.refused("--data", "ptbxl", "--data-root", f"other={toy.folder}")
    assert "holds no record_list.csv" in text
    assert "unknown cohort in --data-root" in toy.refused("--data", "ptbxl", "--data-root", "x=y")
    toy.edit("notebooks/data/ptbxl.yaml", "source: mimic", "source: private")
    text = toy.refused("--data", "ptbxl")
    assert "reads the cohort other from" in text and "--data-root other=DIR; it is not" in text
    (toy.folder / "artifacts/data/ptbxl-1.0.3").mkdir(parents=True)
    with only_process(toy.folder / "artifacts/data/ptbxl-1.0.3/.lock", "not here"):
        assert "another process is downloading to" in toy.refused("--prefetch", "ptbxl")
    assert server.requests == []


# CODE-15 %, a release in zipped parts: those that the plan names, unpacked
PARTS = 4
COHORT = """\
  {name}:
    source: code15
    required: [exams.csv]
    contents: [exams.csv]
    listing: ["exams_part*.hdf5"]
    parts: {parts}
"""


@pytest.fixture
def zenodo(toy: Toy, server: FakeServer) -> FakeServer:
    """The server with CODE-15 %: four parts of two tracings, each full of its number."""
    for part in range(PARTS):
        inner = server.folder / f"exams_part{part}.hdf5"
        with h5py.File(inner, "w") as stored:
            stored["tracings"] = np.full((2, 40, 12), part, np.float32)
        place = server.folder / f"api/files/exams_part{part}.zip"
        place.mkdir(parents=True)
        with zipfile.ZipFile(place / "content", "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.write(inner, inner.name)
    publish(server, "api/files/exams.csv/content", 20)
    listed = [
        {"key": path.parent.name, "checksum": f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"}
        for path in server.folder.glob("api/files/*/content")
    ]
    (server.folder / "api/.index").write_text(json.dumps({"files": listed}))
    return server


def write_plan(toy: Toy, **parts: list[int]) -> dict:
    """Write the data plan `parted` of CODE-15 % cohorts by name, each with its `parts`."""
    cohorts = "".join(COHORT.format(name=name, parts=numbers) for name, numbers in parts.items())
    text = f"cohorts:\n{cohorts}roles: {{train: [{', '.join(parts)}]}}\n"
    toy.write("notebooks/data/parted.yaml", text)
    return profiles.load_plan(Paths.here(), "parted")


def held(root: Path) -> list[str]:
    """All files of the download but its lock and its list."""
    return sorted(p.name for p in root.iterdir() if p.name not in (".lock", "record.json"))


def files(*parts: int) -> list[str]:
    return ["exams.csv", *(f"exams_part{part}.hdf5" for part in parts)]


def archives(server: FakeServer) -> list[str]:
    """The archives that were asked for since this was last called, in the order of their names."""
    paths = sorted(entry[0] for entry in server.requests if entry[0].endswith(".zip/content"))
    server.requests.clear()
    return [path.split("/")[-2] for path in paths]


def test_all_parts(toy: Toy, zenodo: FakeServer):
    """Parts are unpacked and checked by md5, and their archives are deleted. With a plan, those of
    all its cohorts are fetched."""
    root = toy.folder / "artifacts/data/code15-1.0.0"
    write_plan(toy, one=[3], two=[0, 3])
    toy.run("--data", "parted", "--prefetch", "code15")
    assert held(root) == files(0, 3)
    assert archives(zenodo) == ["exams_part0.zip", "exams_part3.zip"]
    zenodo.faults["api/files/exams_part1.zip/content"] = [("drop", 50), ("corrupt", 60)]
    assert f"code15: {root}\n" in toy.run("--prefetch", "code15")
    assert held(root) == files(*range(PARTS))
    with h5py.File(root / "exams_part1.hdf5") as stored:
        assert stored["tracings"].shape == (2, 40, 12) and (stored["tracings"][:] == 1).all()
    zenodo.requests.clear()
    toy.run("--prefetch", "code15")
    assert zenodo.requests == []


def test_a_run_fetches_the_parts_that_its_plan_names(toy: Toy, zenodo: FakeServer):
    """A later plan with more parts fetches those that are missing, and only with all is ready."""
    root = toy.folder / "artifacts/data/code15-1.0.0"

    def fetched(**parts: list[int]) -> list[str]:
        """Archives that `--data parted` downloads before the first notebook."""
        plan, paths = write_plan(toy, **parts), Paths.here()
        with pytest.raises(RunError, match="of which not all is downloaded yet"):
            roots.resolve([], plan, "parted", paths)
        roots.resolve([], plan, "parted", paths, download=True)
        assert roots.resolve([], plan, "parted", paths) == {name: root for name in parts}
        return archives(zenodo)

    assert fetched(cohort=[2]) == ["exams_part2.zip"] and held(root) == files(2)
    assert fetched(cohort=[0, 2]) == ["exams_part0.zip"] and held(root) == files(0, 2)
    assert fetched(cohort=[]) == ["exams_part1.zip", "exams_part3.zip"]
    (root / "exams_part1.hdf5").unlink()
    cohort = profiles.load_plan(Paths.here(), "parted")["cohorts"]["cohort"]
    ready = [releases.ready("code15", cohort | {"parts": p}, Paths.here()) for p in ([0, 2], [1])]
    assert ready == [root, None]
    assert fetched(one=[3], two=[1, 3]) == ["exams_part1.zip"]


def test_kill_between_download_and_unpacking_and_impossible_parts(toy: Toy, zenodo: FakeServer):
    """A rerun uses the archive and writes the half-unpacked part again; nothing is left."""
    root = toy.folder / "artifacts/data/code15-1.0.0"
    incoming = root / ".incoming"
    incoming.mkdir(parents=True)
    archive = zenodo.folder / "api/files/exams_part1.zip/content"
    (incoming / "exams_part1.hdf5").write_bytes(archive.read_bytes())
    (incoming / "exams_part1.hdf5.unpacking").write_bytes(b"half")
    (incoming / "tmp0123").touch()  # of pooch
    write_plan(toy, cohort=[1])
    toy.run("--data", "parted", "--prefetch", "code15")
    assert held(root) == files(1) and archives(zenodo) == []
    with h5py.File(root / "exams_part1.hdf5") as stored:
        assert (stored["tracings"][:] == 1).all()
    for parts, expected in (
        ([0, 9], "exams_part9.hdf5, which the data plan requires, is not published there; "),
        ("first", "error: `parts` in the data plan is 'first'; write numbers, like [0, 1]"),
        (["1"], "`parts` in the data plan is ['1']"),
        ([True], "`parts` in the data plan is [True]"),
    ):
        write_plan(toy, cohort=parts)
        assert expected in toy.refused("--data", "parted", "--prefetch", "code15")
        assert archives(zenodo) == []


def test_a_part_that_another_plan_fetches_changes_no_fingerprint(tmp_path):
    """The plan names part 0: part 1 beside it is not its data, another part 0 is."""
    (tmp_path / "exams.csv").write_text("exam_id\n1\n")
    (tmp_path / "exams_part0.hdf5").write_bytes(b"00")
    entry = {"source": "code15", "contents": ["exams.csv"], "listing": ["exams_part*.hdf5"]}

    def prints() -> list[str]:
        entries = [entry | {"parts": [0]}, entry | {"parts": []}]
        return [roots.fingerprint(tmp_path, one, tmp_path / "c.json") for one in entries]

    before = prints()
    (tmp_path / "exams_part1.hdf5").write_bytes(b"1")
    with_another = prints()
    assert with_another[0] == before[0] and with_another[1] != before[1]
    (tmp_path / "exams_part0.hdf5").write_bytes(b"000")
    assert prints()[0] != before[0]


def test_real_pins_are_complete_and_patterns_choose_what_the_plan_reads(tmp_path: Path):
    assert set(releases.pins()) == {"ptbxl", "mimic", "code15"}
    for name, pinned in releases.pins().items():
        assert pinned["kind"] in releases.LISTS, name
        assert pinned["url"].startswith("https://") and pinned["page"].startswith("https://")
        assert pinned["licence"] and "doi:10." in pinned["cite"] and pinned["connections"] > 0
        assert isinstance(pinned["version"], str) and pinned["files"] and pinned["mb_per_file"]
    # the patterns choose what the plan reads
    names = ["LICENSE.txt", "RECORDS", "ptbxl_database.csv", "scp_statements.csv", "example/a.csv"]
    names += ["records100/00000/00001_lr.dat", "records500/00000/00001_hr.dat"]
    (tmp_path / "list").write_text("".join(f"{'0' * 64} {name}\n" for name in names))
    pinned = releases.pin("ptbxl")
    items = releases.read_list(tmp_path / "list", pinned, "https://x")
    assert items[6].url == "https://x/records500/00000/00001_hr.dat"
    narrow = {"required": ["ptbxl_database.csv", "records100"], "contents": ["*.csv"]}
    for cohort, expected in [(narrow, [0, 2, 3, 5]), ({"required": pinned["files"]}, [0, 2, 3, 6])]:
        chosen, absent = releases.choose([cohort], items)
        assert [items.index(item) for item in chosen] == expected and absent is None


@needs("ECGLIB_PTBXL_MINI")
def test_real_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The project's own plan, the real list of checksums, and every byte as it was."""
    if not (MINI / "SHA256SUMS.txt").is_file():
        pytest.skip(f"{MINI} holds no SHA256SUMS.txt")
    paths = Paths(REPO, tmp_path / "home", tmp_path)
    cohort = profiles.load_plan(paths, "ptbxl")["cohorts"]["ptbxl"]
    with serving(MINI) as mirror:
        monkeypatch.setenv("ECGLIB_RELEASES", f"ptbxl={mirror.url}")
        root = releases.fetch("ptbxl", [cohort], paths)
    assert releases.ready("ptbxl", cohort, paths) == root
    records = list((root / "records500").rglob("*.dat"))
    assert len(records) == len(list((MINI / "records500").rglob("*.dat"))) > 100
    for record in records:
        assert record.read_bytes() == (MINI / record.relative_to(root)).read_bytes()
