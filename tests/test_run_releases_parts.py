"""CODE-15 %, a release in zipped parts: those that the plan names, unpacked, and nothing else."""

import hashlib
import json
import multiprocessing
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from fake_server import FakeServer, no_pauses
from toy import Toy

from ecglib.run import download, fingerprint, listings, profiles, releases, roots, transfer
from ecglib.run.__main__ import command_line
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

pytestmark = pytest.mark.usefixtures("at_once")

API = "api/records/4916206"
PARTS = 4
COHORT = """\
  {name}:
    source: code15
    required: [exams.csv]
    contents: [exams.csv]
    listing: ["exams_part*.hdf5"]
    parts: {parts}
"""
# The children of a process without threads are safe to fork; this one runs the server's threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "ecglib.run.releases"])


def plan(**parts: list[int]) -> str:
    """A data plan of CODE-15 % cohorts by name, each with its `parts`."""
    cohorts = "".join(COHORT.format(name=name, parts=numbers) for name, numbers in parts.items())
    return f"cohorts:\n{cohorts}roles: {{train: [{', '.join(parts)}]}}\n"


@pytest.fixture
def zenodo(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server as a mirror of CODE-15 %: four parts of two tracings, each full of its number."""
    contents = {"exams.csv": b"exam_id\n1\n"}
    for part in range(PARTS):
        inner = server.folder / f"exams_part{part}.hdf5"
        with h5py.File(inner, "w") as stored:
            stored["tracings"] = np.full((2, 40, 12), part, np.float32)
        archive = inner.with_suffix(".zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.write(inner, inner.name)
        contents[archive.name] = archive.read_bytes()
    for name, content in contents.items():
        place = server.folder / API / "files" / name / "content"
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
    listed = [
        {"key": name, "size": len(content), "checksum": f"md5:{hashlib.md5(content).hexdigest()}"}
        for name, content in contents.items()
    ]
    # the server keeps files and folders apart; Zenodo answers the record's own address
    (server.folder / "record").write_text(json.dumps({"files": listed}))
    monkeypatch.setattr(listings, "list_address", lambda kind, base: server.url + "record")
    monkeypatch.setenv("ECGLIB_RELEASES", f"code15={server.url}{API}")
    return server


@pytest.fixture
def toy(tmp_path: Path, zenodo: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A project in this process, whose plan `parted` a test writes."""
    project = Toy(tmp_path / "toy")
    project.enter(monkeypatch)
    monkeypatch.setenv("ECGLIB_RELEASES", f"code15={zenodo.url}{API}")
    return project


def held(root: Path) -> list[str]:
    """All files of the download but its journal, its lock and its list."""
    own = (".downloaded", ".lock", "record.json")
    return sorted(path.name for path in root.iterdir() if path.name not in own)


def files(*parts: int) -> list[str]:
    return ["exams.csv", *(f"exams_part{part}.hdf5" for part in parts)]


def archives(server: FakeServer) -> list[str]:
    """The archives that were asked for since this was last called, in the order of their names."""
    asked = sorted(entry[0] for entry in server.asked if entry[0].endswith(".zip/content"))
    server.asked.clear()
    return [path.split("/")[-2] for path in asked]


def root_of(toy: Toy) -> Path:
    return toy.folder / "artifacts/data/code15-1.0.0"


def test_usual_files(toy: Toy, zenodo: FakeServer, capsys: pytest.CaptureFixture):
    """The record gives md5 and size; parts are unpacked and checked, and their archives gone."""
    zenodo.faults[f"{API}/files/exams_part1.zip/content"] = [("drop", 50), ("corrupt", 60)]
    assert command_line(["--prefetch", "code15"]) == 0
    root = root_of(toy)
    assert f"code15: {root}\n" in capsys.readouterr().out
    assert held(root) == files(*range(PARTS))
    with h5py.File(root / "exams_part1.hdf5") as stored:
        assert stored["tracings"].shape == (2, 40, 12) and stored["tracings"][0, 0, 0] == 1
    zenodo.asked.clear()
    assert command_line(["--prefetch", "code15"]) == 0 and zenodo.asked == []
    (root / "exams_part0.hdf5").unlink()
    assert command_line(["--prefetch", "code15"]) == 0
    assert [entry[0] for entry in zenodo.asked] == [f"{API}/files/exams_part0.zip/content"]


def test_a_run_fetches_the_parts_that_its_plan_names(toy: Toy, zenodo: FakeServer):
    """A later request with more parts fetches what is missing, and only with it all is ready."""
    root = root_of(toy)

    def resolved(**parts: list[int]) -> dict[str, Path]:
        """What --data does before the first notebook, with that plan."""
        toy.write("notebooks/data/parted.yaml", plan(**parts))
        paths = Paths.here()
        loaded = profiles.load_plan(paths, "parted")
        with pytest.raises(RunError, match="of which not all is downloaded yet"):
            roots.resolve([], loaded, "parted", paths)
        given = roots.fetch([], loaded, "parted", paths)
        assert given == [f"{name}={root}" for name in parts]
        return roots.resolve([], loaded, "parted", paths)

    assert resolved(cohort=[2]) == {"cohort": root}
    assert held(root) == files(2) and archives(zenodo) == ["exams_part2.zip"]
    assert resolved(cohort=[0, 2]) == {"cohort": root}
    assert held(root) == files(0, 2) and archives(zenodo) == ["exams_part0.zip"]
    assert resolved(cohort=[]) == {"cohort": root}
    assert archives(zenodo) == ["exams_part1.zip", "exams_part3.zip"]
    (root / "exams_part1.hdf5").unlink()
    cohort = profiles.load_plan(Paths.here(), "parted")["cohorts"]["cohort"]
    assert releases.ready("code15", cohort | {"parts": [0, 2]}, Paths.here()) == root
    assert releases.ready("code15", cohort | {"parts": [0, 1]}, Paths.here()) is None
    assert releases.ready("code15", cohort | {"parts": [0, 9]}, Paths.here()) is None
    assert resolved(one=[3], two=[1, 3]) == {"one": root, "two": root}
    assert archives(zenodo) == ["exams_part1.zip"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"one": [3], "two": [0, 3]}, (0, 3)),
        ({"one": [3], "two": []}, range(PARTS)),
        ({"one": [], "two": [3]}, range(PARTS)),
    ],
)
def test_prefetch_serves_all_cohorts_of_the_source(toy: Toy, zenodo: FakeServer, parts, expected):
    toy.write("notebooks/data/parted.yaml", plan(**parts))
    assert command_line(["--data", "parted", "--prefetch", "code15"]) == 0
    assert held(root_of(toy)) == files(*expected)
    assert archives(zenodo) == [f"exams_part{part}.zip" for part in expected]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([0, 9], "exams_part9.hdf5, which the data plan requires, is not published there; "),
        ([0, 9], "by hand, download exams.csv, exams_part0.hdf5, exams_part9.hdf5 from https://"),
        ("first", "error: `parts` in the data plan is 'first'; write numbers, like [0, 1].\n"),
    ],
)
def test_impossible_parts(toy: Toy, zenodo: FakeServer, capsys, parts, expected: str):
    toy.write("notebooks/data/parted.yaml", plan(cohort=parts))
    assert command_line(["--data", "parted", "--prefetch", "code15"]) == 1
    assert expected in capsys.readouterr().err
    assert archives(zenodo) == []


def fetch_until(place: str, folder: Path, url: str) -> None:
    """Download part 1 and be killed by SIGKILL at `place`."""

    def die(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def after(function: Callable) -> Callable:
        def wrapped(*arguments: object, **options: object) -> None:
            function(*arguments, **options)
            die()

        return wrapped

    patch = pytest.MonkeyPatch()
    no_pauses(patch)
    patch.setenv("ECGLIB_RELEASES", f"code15={url}{API}")
    patch.setattr(listings, "list_address", lambda kind, base: url + "record")
    if place == "before its note is gone":
        patch.setattr(transfer, "NOTED", 0)
        patch.setattr(Path, "replace", after(Path.replace))
    if place == "before unpacking":
        patch.setattr(download, "unpack", die)
    if place == "in the middle of unpacking":
        patch.setattr("shutil.copyfileobj", lambda source, stream, n: (stream.write(b"x"), die()))
    if place == "before the part is listed":
        patch.setattr(download, "unpack", after(download.unpack))
    if place == "before the archive is deleted":
        patch.setattr(Path, "unlink", lambda path, **o: path.suffix == ".zip" and die())
    releases.fetch(
        "code15", [{"required": ["exams.csv"], "parts": [1]}], Paths(folder, folder, folder)
    )


@pytest.mark.parametrize(
    ("place", "beside"),
    [
        ("before its note is gone", ["exams_part1.zip.part.json"]),
        ("before unpacking", []),
        ("in the middle of unpacking", ["exams_part1.hdf5.part"]),
        ("before the part is listed", ["exams_part1.hdf5"]),
        ("before the archive is deleted", ["exams_part1.hdf5"]),
    ],
)
def test_kill_between_download_and_deletion(
    zenodo: FakeServer, tmp_path: Path, place: str, beside: list[str]
):
    """A rerun uses the archive, or deletes it: nothing is fetched twice, and nothing left."""
    paths = Paths(tmp_path, tmp_path, tmp_path)
    table = {"required": ["exams.csv"], "listing": [], "parts": []}
    root = releases.fetch("code15", [table], paths)
    process = PROCESSES.Process(target=fetch_until, args=(place, tmp_path, zenodo.url))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert archives(zenodo) == ["exams_part1.zip"]
    assert held(root) == sorted(["exams.csv", "exams_part1.zip", *beside])
    releases.fetch("code15", [table | {"parts": [1]}], paths)
    assert held(root) == files(1) and archives(zenodo) == []
    with h5py.File(root / "exams_part1.hdf5") as stored:
        assert (stored["tracings"][:] == 1).all()


def test_another_request_deletes_only_what_is_of_no_use(zenodo: FakeServer, tmp_path: Path):
    """An unpacked archive goes; one that waits for the request that fetched it stays."""
    paths = Paths(tmp_path, tmp_path, tmp_path)
    cohort = {"required": ["exams.csv"], "parts": [0]}
    root = releases.fetch("code15", [cohort], paths)
    for part in (0, 1):
        content = zenodo.folder / API / "files" / f"exams_part{part}.zip" / "content"
        (root / f"exams_part{part}.zip").write_bytes(content.read_bytes())
    (root / "exams_part0.hdf5.part").write_bytes(b"half")
    archives(zenodo)
    releases.fetch("code15", [cohort], paths)
    assert held(root) == sorted([*files(0), "exams_part1.zip"])
    releases.fetch("code15", [cohort | {"parts": [0, 1]}], paths)
    assert held(root) == files(0, 1) and archives(zenodo) == []


def test_a_part_that_another_plan_fetches_changes_no_fingerprint(tmp_path):
    """The plan names part 0: part 1 beside it is not its data, another part 0 is."""
    (tmp_path / "exams.csv").write_text("exam_id\n1\n")
    (tmp_path / "exams_part0.hdf5").write_bytes(b"00")
    entry = {"source": "code15", "contents": ["exams.csv"], "listing": ["exams_part*.hdf5"]}
    some, every = entry | {"parts": [0]}, entry | {"parts": []}

    def prints() -> list[str]:
        return [
            fingerprint.fingerprint(tmp_path, one, tmp_path / "c.json") for one in (some, every)
        ]

    before = prints()
    (tmp_path / "exams_part1.hdf5").write_bytes(b"1")
    with_another = prints()
    assert with_another[0] == before[0] and with_another[1] != before[1]
    (tmp_path / "exams_part0.hdf5").write_bytes(b"000")
    assert prints()[0] != before[0]
