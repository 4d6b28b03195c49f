"""A study beside the main run: it reads what that run saved, and makes only what it needs."""

import json

import pandas as pd
import pytest
from toy import HEADER, Toy

from ecglib.run import models
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.profiles import read_yaml

SAVED = "reports/synthetic-laptop/predictions/01_sizes.parquet"


@pytest.fixture
def study(finished) -> Toy:
    """The finished project with a study that executes no notebook before it."""
    head = HEADER.format(name="study", imports="").replace('tag = ""', 'tag = "study-mine"')
    cells = 'stage.write("n.txt", str(stage.read("sizes", "01")["n"].sum()))\nstage.finish()\n'
    head = head.replace('Stage("st"', 'Stage("study"')
    finished.write("notebooks/studies/mine.py", head + "\n# %%\n" + cells)
    finished.write("notebooks/studies/mine.yaml", 'after: []\nbeside: ["01"]\n')
    return finished


def test_it_reads_what_the_main_run_saved(study, monkeypatch):
    """No notebook is executed for it, and another result of the main run makes it stale."""
    study.log.write_text("")
    study.run("study", "mine")
    reports = study.folder / "reports" / "synthetic-laptop-study-mine"
    assert (reports / "n.txt").read_text() == "3" and study.log.read_text() == ""
    assert list(json.loads((reports / "run.json").read_text())["read"]) == ["01_sizes.parquet"]
    assert "study" not in study.states(monkeypatch, tag="study-mine")
    study.edit("notebooks/profiles/laptop.yaml", "n: 3", "n: 4")
    study.run()
    assert study.states(monkeypatch, tag="study-mine")["study"] == ["file 01_sizes.parquet changed"]
    study.run("study", "mine")
    assert (reports / "n.txt").read_text() == "4"


def test_it_keeps_the_rows_that_it_compares_with(study):
    """They are drawn again as they were, also when the main run has been made again."""
    cells = 'rows = stage.read_beside("rows", "01", ["vq"])\n'
    cells += 'stage.write("n.txt", str(rows["n"].tolist()))\nstage.finish()\n'
    file = "notebooks/studies/mine.py"
    head = (study.folder / file).read_text().partition("# %%\nstage.write")[0]
    save = 'stage.data("rows", pd.DataFrame({"method": ["own"], "n": [7]}))\n'
    line = "\n# %% [markdown]\n# ## From here on: saved predictions\n\n# %%\n"
    study.write(file, head + "# %%\nimport pandas as pd\n" + save + line + cells)
    saved = study.folder / "reports/synthetic-laptop/predictions/01_rows.parquet"
    frame = pd.DataFrame({"method": ["vq", "rvq"], "n": [1, 2]})
    frame.to_parquet(saved)
    study.run("study", "mine")
    reports = study.folder / "reports" / "synthetic-laptop-study-mine"
    assert (reports / "n.txt").read_text() == "[1, 7]"
    kept = pd.read_parquet(reports / "predictions" / "study_beside_01_rows.parquet")
    assert kept.to_dict("list") == {"method": ["vq"], "n": [1]}
    frame.assign(n=9).to_parquet(saved)
    (reports / "n.txt").unlink()
    study.run("redraw", reports.name)
    assert (reports / "n.txt").read_text() == "[1, 7]"


def test_without_the_main_run_or_with_another_one_it_says_what_to_do(study):
    record = study.folder / "reports/synthetic-laptop/run.json"
    other = json.loads(record.read_text()) | {"seed": 7}
    record.write_text(json.dumps(other))
    assert "beside which it stands, was made with seed 7, not 0" in study.refused("study", "mine")
    record.unlink()
    assert "make that one first: bash run_all.sh" in study.refused("study", "mine")
    assert not (study.folder / "reports/synthetic-laptop-study-mine/n.txt").exists()


def test_a_step_that_no_study_can_make_is_refused(study):
    study.write("notebooks/studies/mine.yaml", 'after: []\nreads: {"01": [cohort]}\n')
    assert "step of 01 in notebooks/studies/mine.yaml" in study.refused("study", "mine")


def test_a_study_takes_the_committed_models_and_makes_what_they_read_only_where_they_lack(
    monkeypatch,
):
    """Ours: what `systems` makes of notebooks that it does not execute. Models are taken without
    the option, and refused where the main run has another one of that name."""
    run = Run("laptop", "synthetic", 0, "study-systems", [], [])
    parts = run.unexecuted(run.spec("study"))
    assert {"fsq", "fsq_codes", "heartllm", "heartllm_pretrained"} <= parts
    assert "qinco" not in parts
    monkeypatch.delenv("ECGLIB_COMMITTED_MODELS", raising=False)
    for name in ("base_small", "fsq", "heartllm"):
        folder = run.paths.reports("synthetic-laptop") / "models" / name
        card = json.loads((folder / "card.json").read_text())
        assert models.committed(run, card["key"]) == folder
        main = Run("laptop", "synthetic", 0, "", [], [])
        assert models.committed(main, card["key"]) is None, "a run is told to take them"
        models.require_key(run, name, card["key"])
        with pytest.raises(RunError, match=f"the model {name} of run synthetic-laptop has another"):
            models.require_key(run, name, "0" * 64)


def test_every_study_that_stands_beside_the_run_executes_its_first_notebook_only():
    paths = Run("laptop", "synthetic", 0, "", [], []).paths
    files = sorted((paths.notebooks / "studies").glob("*.yaml"))
    contents = {path.stem: read_yaml(path) for path in files if not path.stem.endswith("_claims")}
    beside = {name: one["after"] for name, one in contents.items() if one.get("beside")}
    assert len(beside) >= 6 and set(map(tuple, beside.values())) == {("01",)}


def test_an_undeclared_notebook_is_refused(study, monkeypatch):
    study.write("notebooks/studies/mine.yaml", "after: []\n")
    assert "does not declare" in study.run("study", "mine", code=1)
    study.write("notebooks/studies/mine.yaml", 'after: []\nbeside: ["09"]\n')
    study.enter(monkeypatch)
    with pytest.raises(RunError, match="earlier stage in `beside`"):
        Run("laptop", "synthetic", 0, "study-mine")


def test_a_mistake_about_a_second_study_ends_before_the_first(study):
    study.log.write_text("")
    assert "unknown study 'none'; valid: mine" in study.refused("study", "mine", "none")
    assert not (study.folder / "reports" / "synthetic-laptop-study-mine").exists()
