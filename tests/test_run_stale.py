"""A change makes exactly what depends on it stale; prose and drawing retrain nothing."""

import json
import subprocess
from pathlib import Path

import pytest
from toy import Toy

from ecglib.run import keys

MAKE, TRAIN = "notebooks/01_make.py", "notebooks/02_train.py"
LAPTOP = "notebooks/profiles/laptop.yaml"
HELPER, RULES = "module toylib.helper changed", "file toylib/rules.yaml changed"
STEPS = "profile section train changed (steps 5 -> 6)"
AFTER_01, AFTER_02 = "upstream 01 is stale", "upstream 02 is stale"
# A changed rule always remakes the labels, and what was trained on them.
RELABELLED = {"01": RULES, "01/cohort": RULES, "02": "upstream 01/cohort is stale"}
RELABELLED |= {"02/model": "input cohort changed", "03": f"{AFTER_01}; {AFTER_02}"}


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        # The stage runs again and its step is kept; 03 reads all of it, 02 only the step.
        (MAKE, '"How many."', '"How?"', {"01": "notebook code changed", "03": AFTER_01}),
        (TRAIN, "# # 02_train", "# # 02_train\n# Some words.", {}),
        (TRAIN, "\nstage.finish()", "\n# the end\nstage.finish()", {}),
        ("toylib/helper.py", "# of the loss", "# of another loss", {}),
        ("toylib/make.py", "Write n numbers.", "Write that many numbers.", {}),
        ("toylib/helper.py", "= 2", "= 3", {"02": HELPER, "02/model": HELPER, "03": AFTER_02}),
        ("toylib/colours.py", "blue", "green", {"03": "module toylib.colours changed"}),
        (LAPTOP, "s: 5", "s: 6", {"02": STEPS, "02/model": STEPS, "03": AFTER_02}),
        (LAPTOP, "x: 1", "x: 2", {}),  # a section that no stage declares
        ("toylib/rules.yaml", "1", "2", RELABELLED),
    ],
)
def test_edit(finished: Toy, monkeypatch: pytest.MonkeyPatch, file, old, new, stale: dict):
    """A file of the finished project is edited: what becomes stale, and why."""
    assert finished.states(monkeypatch) == {}
    finished.edit(file, old, new)
    states = finished.states(monkeypatch)
    assert {name: "; ".join(reasons) for name, reasons in states.items()} == stale


def test_committed_reports_without_artifacts(tmp_path: Path):
    """A fresh clone: one sentence says that the reports in git are of other code, or of this."""
    toy = Toy(tmp_path / "toy")
    identity = ["-c", "user.name=A", "-c", "user.email=a@b"]
    toy.write("reports/synthetic-laptop/RUN.md", "# Run synthetic-laptop")

    def git(*words: str) -> str:
        command = ["git", "-C", str(toy.folder), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert "01_make: stale: not made yet" in toy.run("--check", code=1)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "Reports")
    sentence = (
        "the committed reports of synthetic-laptop were made at commit "
        f"{git('log', '--format=%h')} by {{}}; run `bash run_all.sh` to make them again\n"
    )
    same = sentence.format("this code, and their artifacts are not here")
    assert toy.run("--check", code=1).startswith(same)
    toy.edit("toylib/helper.py", "FACTOR = 2", "FACTOR = 3")
    assert toy.run("--check", code=1).startswith(sentence.format("other code"))
    card = {"function": "toylib.helper.step", "config": {}, "seed": 0, "inputs": {}}
    card |= {"machine": {}, "versions": {}, "key": "0" * 64}
    toy.write("reports/synthetic-laptop/models/one/card.json", json.dumps(card))
    answer = toy.run("--check", code=1).splitlines()[1]
    assert answer.endswith(
        "0 of its 1 models the key that they have: one are of other code or libraries"
    )


def test_seed_machine_and_lost_output(finished: Toy, monkeypatch: pytest.MonkeyPatch):
    states = finished.states(monkeypatch, seed=1)
    assert states["01/cohort"] == ["seed: 0 -> 1"] and states["02/model"][0] == "seed: 0 -> 1"
    assert set(states) == {"01", "01/cohort", "02", "02/model", "03"}
    finished.edit("notebooks/profiles/laptop.yaml", "device: cpu", "device: cuda")
    assert finished.states(monkeypatch)["02/model"][0] == "device: cpu -> cuda"
    finished.edit("notebooks/profiles/laptop.yaml", "device: cuda", "device: cpu")
    (finished.folder / "reports/synthetic-laptop/model.txt").unlink()
    states = finished.states(monkeypatch)
    assert states["02"] == ["output reports/synthetic-laptop/model.txt is missing"]
    assert "02/model" not in states


def test_step_with_own_seed_and_upstream_result(finished: Toy, monkeypatch: pytest.MonkeyPatch):
    """As in a study: it is current, though its seed is not the run's."""
    finished.edit("notebooks/02_train.py", '{"cohort": cohort})', '{"cohort": cohort}, seed=7)')
    finished.run("--only", "02")
    assert finished.states(monkeypatch) == {"03": ["upstream 02 changed"]}
    assert finished.states(monkeypatch, seed=1)["02/model"][0] == "seed: 0 -> 1"
    # 01 alone is made again under another config: 02 sees another key upstream
    finished.edit("notebooks/profiles/laptop.yaml", "n: 3", "n: 4")
    finished.run("--only", "01")
    states = finished.states(monkeypatch)
    assert states["02"] == ["upstream 01/cohort changed"]
    assert states["02/model"] == ["input cohort changed"]


def test_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    toy = Toy(tmp_path / "toy")
    toy.write("lists/list.csv", "a\n")
    root = str(toy.folder / "lists")
    assert "run" in toy.run("--data", "real", "--data-root", root, "--only", "01")
    options = {"data": "real", "data_roots": [root]}
    assert "01" not in toy.states(monkeypatch, **options)
    toy.write("lists/list.csv", "b\n")
    states = toy.states(monkeypatch, **options)
    assert states["01"] == ["data folder cohort changed"]
    assert states["01/cohort"] == ["input data changed"]
    text = toy.run("--data", "real", "--data-root", root, "--only", "01", code=1)
    assert "run real-laptop was made with data folder" in text and "--tag" in text
    place = toy.folder / "artifacts" / "real-laptop"
    assert f"or delete {place} and {toy.folder / 'reports' / 'real-laptop'}" in text
    for folder in (place, toy.folder / "reports" / "real-laptop"):
        recorded = json.loads((folder / "run.json").read_text())
        del recorded["keys"]  # as if its first notebook had failed
        (folder / "run.json").write_text(json.dumps(recorded))
    assert "run" in toy.run("--data", "real", "--data-root", root, "--only", "01")
    published = "".join(p.read_text() for p in (toy.folder / "reports").rglob("*.md"))
    assert str(tmp_path) not in published, "a report shows where this machine keeps its data"


def test_steps_are_blind_to_runner_and_figures():
    """No module under the steps imports the runner, so an edit there cannot retrain anything."""
    library = keys.Library(Path(__file__).parents[1] / "ecglib")
    rooms = ["cohorts", "tokenizers", "classify", "language"]
    steps = [
        f"ecglib.{room}.{path.stem}"
        for room in rooms
        for path in (library.folder / room).glob("*.py")
        if "def " in path.read_text() and "out: Path, inputs: dict" in path.read_text()
    ]
    assert steps
    for module in steps:
        rooms = {name.split(".")[1] for name in library.closure(module) if "." in name}
        assert not rooms & {"run", "figures"}, module


def test_prose_reaches_the_report_without_a_run_and_only_what_is_stale_runs(finished: Toy):
    finished.edit("notebooks/02_train.py", "# # 02_train", "# # 02_train\n# Some words.")
    text = finished.run()
    assert "02_train: reused, new prose" in text
    page = (finished.folder / "reports/synthetic-laptop/01_make.md").read_text()
    assert "list(tqdm(range(3)))" in page and "it/s" not in page and "Warning" not in page
    report = (finished.folder / "reports/synthetic-laptop/02_train.md").read_text()
    assert "Some words." in report and "steps: 1 made, 0 reused" in report
    assert "reused, new prose" not in finished.run()
    # code of 02's notebook changes: 02 runs, its training is reused
    steps = finished.log.read_text() if finished.log.exists() else ""
    finished.edit("notebooks/02_train.py", '"model.txt", (', '"model2.txt", (')
    text = finished.run("--only", "02")
    assert "02_train: notebook code changed" in text
    report = (finished.folder / "reports/synthetic-laptop/02_train.md").read_text()
    assert "steps: 0 made, 1 reused" in report
    assert (finished.log.read_text() if finished.log.exists() else "") == steps
    models = (finished.folder / "reports/synthetic-laptop").glob("model*.txt")
    assert [path.name for path in models] == ["model2.txt"], "an orphan survived"


def test_a_forced_stage_leaves_what_an_earlier_one_has_made(finished: Toy):
    """Notebook 02 makes the step of 01 once more, and reads it: the result of one key is one
    folder. It is made again where 01 is forced."""
    again = 'stage.step("again", make.numbers, {"n": stage.section("make")["n"]})\nmodel ='
    finished.edit(TRAIN, "model =", again)
    finished.edit(TRAIN, "from toylib import train", "from toylib import make, train")
    finished.edit("notebooks/stages.yaml", "sections: [train]", "sections: [train, make]")
    finished.run()
    place = finished.folder / "artifacts" / "synthetic-laptop"
    result = (place / "02" / "again").resolve()
    assert result == (place / "01" / "cohort").resolve()
    before = (result / "manifest.json").stat().st_ino
    finished.run("--only", "02", "--force", "02")
    assert (result / "manifest.json").stat().st_ino == before
    finished.run("--force", "01")
    assert (result / "manifest.json").stat().st_ino != before
    assert (place / "02" / "again" / "numbers.csv").is_file()
