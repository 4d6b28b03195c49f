"""Releases through the command line, from a server of this machine as their mirror."""

import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from fake_ptbxl import GAIN, write_tree
from fake_server import BIG, FakeServer, publish, serving
from real_data import needs, real
from toy import Toy

from ecglib.run import profiles, releases
from ecglib.run.__main__ import command_line
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.sources import ptbxl

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
    """A project whose plan `ptbxl` reads PTB-XL, with the server as the mirror of all releases."""
    project = Toy(tmp_path / "toy")
    project.write("notebooks/data/ptbxl.yaml", PLAN)
    project.edit("toylib/make.py", '"list.csv"', '"ptbxl_database.csv"')
    mirrors = " ".join(f"{name}={server.url}" for name in ("ptbxl", "mimic", "code15"))
    plain = project.environment

    def environment() -> dict[str, str]:
        return plain() | {"ECGLIB_RELEASES": mirrors}

    monkeypatch.setattr(project, "environment", environment)
    return project


@pytest.fixture
def released(server: FakeServer) -> dict[int, np.ndarray]:
    """A small PTB-XL on the server, with SHA256SUMS.txt; returns the signals (12, n) in mV."""
    truth = write_tree(server.folder)
    (server.folder / "LICENSE.txt").write_text("CC BY 4.0\n")
    files = sorted(path for path in server.folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(server.folder)}\n"
        for path in files
    ]
    (server.folder / "SHA256SUMS.txt").write_text("".join(lines))
    return truth


def test_run_downloads_what_its_plan_reads(toy: Toy, server: FakeServer, released, tmp_path: Path):
    """`--data ptbxl` without --data-root: fetched over a bad line, read back, used by a whole run;
    then reused without the server."""
    records = sorted(path.name for path in (server.folder / "records500/00000").iterdir())
    folder = "records500/00000/"
    server.faults["SHA256SUMS.txt"] = [("status", 503), ("drop", 200)]
    server.faults[folder + records[0]] = [("drop", 70_000)]
    server.faults[folder + records[2]] = [("corrupt", 5)]
    server.faults[folder + records[4]] = [("truncate", 100), ("status", 500)]
    text = toy.run("--data", "ptbxl")
    assert "downloading PTB-XL 1.0.3: 19 files" in text and server.url in text
    assert "licence: CC BY 4.0; please cite: Wagner" in text and "03_tell: run" in text
    root = toy.folder / "artifacts/data/ptbxl-1.0.3"
    assert sorted(p.name for p in root.iterdir()) == [
        ".downloaded",
        ".lock",
        "LICENSE.txt",
        "SHA256SUMS.txt",
        "ptbxl_database.csv",
        "records500",
        "scp_statements.csv",
    ], "the 100 Hz records, which the plan does not read, are left out"
    assert not list(root.rglob("*.part*"))
    for record in ptbxl.records(root)[0]:
        signal, rate = ptbxl.read(root, record["file"])
        assert rate == 500
        assert np.abs(signal - released[int(record["ecg_id"])]).max() <= 0.5001 / GAIN
    card = (toy.folder / "reports/ptbxl-laptop/RUN.md").read_text()
    assert "`bash run_all.sh --data ptbxl`" in card, "the data root needs no option"
    asked = len(server.asked)
    assert "01_make: reused" in toy.run("--data", "ptbxl")
    toy.run("--data", "ptbxl", "--check")
    assert len(server.asked) == asked


def test_folder_elsewhere(toy: Toy, released, tmp_path: Path, monkeypatch):
    toy.enter(monkeypatch)
    monkeypatch.setenv("ECGLIB_HOME", str(tmp_path / "home"))
    assert command_line(["--data", "ptbxl", "--prefetch", "ptbxl"]) == 0
    root = tmp_path / "home/data/ptbxl-1.0.3"
    assert Run("laptop", "ptbxl", 0).roots == {"cohort": root}
    (root / "records500/00000/00001_hr.dat").unlink()
    with pytest.raises(RunError, match="not all is downloaded yet; run the notebooks with --data"):
        _ = Run("laptop", "ptbxl", 0).roots


def test_given_folder_is_used_instead(toy: Toy, server: FakeServer, released, monkeypatch):
    toy.enter(monkeypatch)
    run = Run("laptop", "ptbxl", 0, roots=[str(server.folder)])
    run.fetch_data()
    assert run.roots == {"cohort": server.folder} and server.asked == []
    assert run.command() == "bash run_all.sh --data ptbxl --data-root DIR"


def test_killed_download_goes_on(toy: Toy, server: FakeServer):
    """kill -9 in the middle of a large file: the next process asks for the rest only."""
    name = "ptbxl_database.csv"
    checksum = publish(server, name, 3 * BIG)
    other = publish(server, "scp_statements.csv", 100)
    sums = f"{checksum[7:]} {name}\n{other[7:]} scp_statements.csv\n"
    (server.folder / "SHA256SUMS.txt").write_text(sums)
    server.faults[name] = [("slow", 0.05)]
    process = subprocess.Popen(
        toy.command("--prefetch", "ptbxl"),
        env=toy.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    root = toy.folder / "artifacts/data/ptbxl-1.0.3"
    part, deadline = root / f"{name}.part", time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size > 500_000):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (root / name).exists(), "no half file has the name of a whole one"
    assert "all 2 files are whole" in toy.run("--prefetch", "ptbxl")
    assert (root / name).read_bytes() == (server.folder / name).read_bytes()
    first, second = server.requests_of(name)
    assert first[1] is None and second[-1] == 206
    assert int(second[1].removeprefix("bytes=").rstrip("-")) > 400_000
    assert len(server.requests_of("scp_statements.csv")) == 1
    assert len(server.requests_of("SHA256SUMS.txt")) == 1


def test_interrupted_download_says_how_to_go_on(toy: Toy, server: FakeServer):
    checksum = publish(server, "ptbxl_database.csv", 3 * BIG)
    (server.folder / "SHA256SUMS.txt").write_text(f"{checksum[7:]} ptbxl_database.csv\n")
    server.faults["ptbxl_database.csv"] = [("slow", 0.2)]
    process = subprocess.Popen(
        toy.command("--prefetch", "ptbxl"),
        env=toy.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    part = toy.folder / "artifacts/data/ptbxl-1.0.3/ptbxl_database.csv.part"
    deadline = time.monotonic() + 60
    while not part.is_file():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "resume with: bash run_all.sh --prefetch ptbxl" in errors and "Traceback" not in errors
    assert part.is_file()


@pytest.fixture
def refused(toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """A function that gives the error sentence of a command line, run in this process."""

    def run(*options: str) -> str:
        assert command_line(list(options)) == 1
        text = capsys.readouterr().err
        line = text.strip().splitlines()[-1]
        assert "Traceback" not in text and line.startswith("error: ") and line.endswith(".")
        return line

    toy.enter(monkeypatch)
    return run


def test_no_network(refused, monkeypatch, tmp_path: Path):
    """One sentence: the URL, what to fetch by hand, and the option that then gives the folder."""
    monkeypatch.setenv("ECGLIB_RELEASES", "ptbxl=http://127.0.0.1:9/ptb-xl/")
    text = refused("--data", "ptbxl")
    for part in (
        "http://127.0.0.1:9/ptb-xl/SHA256SUMS.txt failed 4 times in a row (ConnectionError",
        "by hand, download ptbxl_database.csv, scp_statements.csv, records500 from "
        "https://physionet.org/content/ptb-xl/1.0.3/ and give the folder with --data-root DIR",
        "ECGLIB_RELEASES=ptbxl=URL",
    ):
        assert part in text


def test_too_little_disk(refused, server: FakeServer, released, monkeypatch):
    """Said before the first file is asked for."""
    monkeypatch.setattr(releases, "free_bytes", lambda folder: 100_000_000)
    text = refused("--data", "ptbxl")
    assert "19 files need 0.2 GB of disk, but" in text and "has 0.1 GB free" in text
    assert [entry[0] for entry in server.asked] == ["SHA256SUMS.txt"]


def test_list_that_is_something_else(refused, server: FakeServer):
    """A page that asks for a login is not kept as the list."""
    (server.folder / "SHA256SUMS.txt").write_text("<html>\n")
    assert "is no list of sha256 checksums" in refused("--data", "ptbxl")
    assert "is no list of sha256 checksums" in refused("--data", "ptbxl"), "not kept"


def test_release_without_what_the_plan_requires(refused, server: FakeServer):
    checksum = publish(server, "ptbxl_database.csv", 100)
    (server.folder / "SHA256SUMS.txt").write_text(f"{checksum[7:]} ptbxl_database.csv\n")
    assert "scp_statements.csv, which the data plan requires, is not published" in refused(
        "--data", "ptbxl"
    )


@pytest.mark.parametrize(
    ("mirrors", "expected"),
    [
        ("moon=http://x", "unknown release 'moon'; valid: code15, mimic, ptbxl"),
        ("ptbxl=ftp://x", "ECGLIB_RELEASES holds 'ptbxl=ftp://x'; write NAME=http://"),
        ("ptbxl", "ECGLIB_RELEASES holds 'ptbxl'"),
    ],
)
def test_bad_mirror(refused, monkeypatch, mirrors: str, expected: str):
    monkeypatch.setenv("ECGLIB_RELEASES", mirrors)
    assert expected in refused("--prefetch", "ptbxl")


def test_unknown_release(refused):
    assert "unknown release 'moon'; valid: code15, mimic, ptbxl" in refused("--prefetch", "moon")


def test_not_downloaded_yet(refused, server: FakeServer):
    """--check only looks."""
    assert "reads the release ptbxl, of which not all is downloaded yet" in refused(
        "--data", "ptbxl", "--check"
    )
    assert server.asked == []


def test_wrong_folder_is_said_before_anything_is_fetched(toy: Toy, refused, server: FakeServer):
    """A plan of two cohorts, one given wrongly: no byte of the other is asked for."""
    second = "  other: {source: mimic, required: [record_list.csv]}\nroles:"
    toy.edit("notebooks/data/ptbxl.yaml", "roles:", second)
    text = refused("--data", "ptbxl", "--data-root", f"other={toy.folder}")
    assert "holds no record_list.csv" in text
    assert "unknown cohort in --data-root" in refused("--data", "ptbxl", "--data-root", "x=y")
    toy.edit("notebooks/data/ptbxl.yaml", "source: mimic", "source: private")
    text = refused("--data", "ptbxl")
    assert "reads the cohort other from" in text and "--data-root other=DIR; it is not" in text
    assert server.asked == []


def test_two_downloads_of_one_folder(toy: Toy, refused, released):
    root = toy.folder / "artifacts/data/ptbxl-1.0.3"
    root.mkdir(parents=True)
    with releases._only_downloader(root):
        assert "another process is downloading to" in refused("--prefetch", "ptbxl")


def test_prefetch_without_a_name_fetches_the_assets(toy: Toy, server: FakeServer):
    toy.run("--prefetch")
    assert server.asked == []


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
