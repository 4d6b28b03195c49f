"""Siblings: a run with other training seeds, and predictions that are read together."""

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from builds import raises

from ecglib.evaluate import predictions
from ecglib.run import manifest, siblings
from ecglib.run.__main__ import of_study
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.run.stage import Stage

REPO = Path(__file__).resolve().parents[1]
FILE = "02_reconstruction.parquet"


def test_a_sibling_differs_in_what_training_draws_and_in_its_name():
    eldest, sibling = Run("smoke", "synthetic", 0), Run("smoke", "synthetic", 0, "mini-seed2")
    assert (sibling.training_seed, sibling.eldest) == (2, "synthetic-smoke-mini")
    assert sibling.command() == "bash run_all.sh --profile smoke --tag mini --training-seed 2"
    for name, part in eldest.parts.items():
        assert eldest.drawn_seed(part) == part.seed
        assert sibling.drawn_seed(sibling.parts[name]) == 2000 + part.seed
    assert siblings.tag_of("", 0) == "" and siblings.split(siblings.tag_of("", 12)) == ("", 12)
    assert siblings.split("seed") == ("seed", 0) and siblings.split("seed0") == ("seed0", 0)


def test_wrong_seeds_are_refused():
    raises(RunError, "tag 'seed1' is that of a sibling", siblings.tag_of, "seed1", 0)
    raises(RunError, "--training-seed from 0 to 999, got 1000", siblings.tag_of, "", 1000)
    words = ["study", "rates", "--training-seed", "1"]
    raises(RunError, "training seeds of its own", of_study, words)


def test_a_sibling_has_the_number_format_of_the_first_run(monkeypatch, tmp_path):
    monkeypatch.setenv("ECGLIB_OUT", str(tmp_path))
    for dtype in ("float32", "bfloat16"):
        manifest.write(tmp_path / "reports/synthetic-smoke/run.json", {"dtype": dtype})
        assert Run("smoke", "synthetic", 0, "seed1").machine.dtype == dtype


def frame(scores: list[float], ecgs: list[int], method: str = "vq") -> pd.DataFrame:
    records = pd.DataFrame({"unit": ecgs, "ecg": ecgs, "site": "a", "sex": "F", "age": 50.0})
    return predictions.build(records, method, 0, "mae_mv", score=np.array(scores))


def saved(out: Path, run: str, rows: pd.DataFrame, recipe: str = "same") -> Paths:
    """The paths of a project in which a run has these predictions."""
    manifest.write(out / "reports" / run / "run.json", {"recipes": {"01": "x", "02": recipe}})
    predictions.write(rows, out / "reports" / run / "predictions" / FILE)
    return Paths(out, out / "artifacts", out)


def test_predictions_of_siblings_are_rows_of_other_seeds(tmp_path):
    own = frame([1.0, 2.0], [0, 1])
    saved(tmp_path, "a-b", own)
    saved(tmp_path, "a-b-seed10", frame([5.0, 4.0], [1, 0]))  # another order of the same ECGs
    saved(tmp_path, "a-b-seed2", frame([2.0, 3.0], [0, 1]))
    saved(tmp_path, "a-b-seed3", own, recipe="other")
    saved(tmp_path, "a-b-seed4", frame([1.0, 2.0], [0, 2]))
    saved(tmp_path, "a-b-seed5", frame([1.0, 2.0], [0, 1], "rvq"))
    paths = saved(tmp_path, "a-b-confirm-seed1", own)  # of another run
    manifest.write(tmp_path / "reports/a-b-seed6/run.json", {})  # without this stage
    joined, left_out = siblings.join(own, FILE, "a-b", paths)
    assert joined.groupby("seed")["score"].mean().to_dict() == {0: 1.5, 2: 2.5, 10: 4.5}
    assert [sentence.split(" is ")[0] for sentence in left_out] == [
        f"a-b-seed{k}" for k in (3, 4, 5)
    ]
    assert "made by other code" in left_out[0] and "about other ECGs" in left_out[1]


def test_a_run_is_joined_by_the_methods_of_its_studies_about_the_same_items(tmp_path, capsys):
    own, stage = frame([1.0, 2.0], [0, 1]), object.__new__(Stage)
    stage.run, stage.name = SimpleNamespace(tag="", seed=0, profile={"systems": {"vq": {}}}), "a-b"
    stage._beside_earlier, stage._todays = set(), {}
    stage.paths = saved(tmp_path, "a-b", own)
    assert stage.join_study("x", "errors", own) is own  # it has not been run
    place = tmp_path / "reports" / "a-b-study-x" / "predictions"
    predictions.write(frame([3.0], [1], "clip"), place / "study_errors.parquet")
    joined = stage.join_study("x", "errors", own)
    assert joined.groupby("method")["score"].sum().to_dict() == {"clip": 3.0, "vq": 3.0}
    predictions.write(frame([3.0], [2], "clip"), place / "study_errors.parquet")
    assert stage.join_study("x", "errors", own) is own
    assert "about other ECGs or items; bash run_all.sh study x" in capsys.readouterr().out
    manifest.write(place.parent / "run.json", {"read": {FILE: "0" * 64}})
    assert stage.studies_note() == ""
    copied = pd.concat([frame([3.0], [1], "clip"), frame([9.0], [1])])  # of the earlier vq
    predictions.write(copied, place / "study_errors.parquet")
    joined = stage.join_study("x", "errors", own)
    assert joined[joined["method"] == "clip"]["score"].tolist() == [3.0]
    assert 9.0 not in joined["score"].tolist(), "today's rows replace the copies"
    assert "study x was made beside an earlier training of this run" in capsys.readouterr().out
    assert stage.studies_note().endswith("training of this run, on the same ECGs: x.")
    note = stage.studies_note(pd.DataFrame({"seeds": [3, 1]}))
    assert note.startswith(" Rows of studies have one training seed. These studies")
    marked = stage.studies_note(pd.DataFrame({"seeds": [3, 1]}), "*")
    assert marked.startswith(" *: rows of studies with one training seed. These studies")
    assert "one training seed" not in stage.studies_note(pd.DataFrame({"seeds": [1, 1]}))
    saved(tmp_path, "a-b-seed2", frame([4.0, 5.0], [0, 1]))
    stage._todays.clear()  # as in another stage
    joined = stage.join_study("x", "errors", own)
    assert joined.loc[joined["seed"] == 2, "score"].tolist() == [4.0, 5.0], "with the siblings"
    assert not capsys.readouterr().out, "it is said once"
    (tmp_path / "reports" / "a-b" / "predictions" / FILE).unlink()  # not made again yet
    stage._todays.clear()
    assert 9.0 not in stage.join_study("x", "errors", own)["score"].tolist()
    stage.run.tag = "seed1"
    assert stage.join_study("x", "errors", own) is own


def test_a_claim_that_fails_the_other_way_is_printed_as_that(monkeypatch, capsys):
    """Below zero and below its margin, or wholly outside of one; one that was not run has no
    numbers. Millivolts are printed as microvolts."""
    stage = object.__new__(Stage)
    stage.number = "study"
    rows = [("more", -0.03, -0.06, -0.01, "fails"), ("loses little", -0.03, -0.06, -0.01, "fails")]
    rows += [("as much", -0.03, -0.06, -0.01, "fails"), ("alike", -0.03, -0.06, -0.021, "fails")]
    rows += [("late", np.nan, np.nan, np.nan, "not run")]
    table = pd.DataFrame(rows, columns=["id", "value", "low", "high", "verdict"])
    table.insert(1, "statement", table["id"] + ".")
    above = {"direction": "above", "margin": 0.0, "tolerance": 0.0}
    registry = {"more": above, "loses little": above | {"margin": -0.03}, "late": above}
    registry |= dict.fromkeys(("as much", "alike"), above | {"direction": "within", "margin": 0.02})
    table["measure_unit"] = ["F1", "F1", "F1", "mV", "F1"]
    monkeypatch.setattr(Stage, "claims", lambda _: table)
    monkeypatch.setattr(Stage, "registry", lambda _: registry)
    stage.print_claims()
    printed = capsys.readouterr().out
    assert printed.count("the opposite is shown") == 2
    assert "-30.000 [-60.000, -21.000] µV: fails; the opposite is shown\n" in printed
    assert printed.startswith("- more.\n  -0.030 [-0.060, -0.010]: fails; the opposite is shown\n")
    assert printed.endswith("- late.\n  -: not run\n")
    registry["more"] = above | {"paper": None}
    table.loc[0, ["value", "low", "high"]] = 0.03, 0.01, 0.06  # which fails by Holm's correction
    for verdict, number in (("holds", "03"), ("fails", "study")):
        stage.number = number
        stage.print_claims(only=["more"])
        assert capsys.readouterr().out == f"- more.\n  0.030 [0.010, 0.060]: {verdict}\n"


def test_the_confirmation_is_of_another_cohort(tmp_path, capsys):
    stage = object.__new__(Stage)
    stage.run, stage.name = SimpleNamespace(tag="", seed=0), "a-b"
    stage.paths = Paths(tmp_path, tmp_path / "artifacts", tmp_path)
    assert stage.confirmation() is None
    reports = tmp_path / "reports" / "a-b-confirm"
    manifest.write(reports / "run.json", {"seed": 0})
    (reports / "claims.csv").write_text("id,value\nx,1\n")
    assert stage.confirmation() is None
    assert "a-b-confirm is left out: it has the seed" in capsys.readouterr().out
    manifest.write(reports / "run.json", {"seed": 7701})
    assert stage.confirmation()["id"].tolist() == ["x"]
    stage.run.tag = "confirm"
    assert stage.confirmation() is None


def test_what_is_read_of_a_sibling_is_committed_and_little_else():
    read = {"04_budget.parquet"}
    for path in (REPO / "notebooks").glob("0*.py"):
        for name, number in re.findall(
            r'read_seeds\("(\w+)"(?:, (?:number=)?"(\d+)")?', path.read_text()
        ):
            read.add(f"{number or path.stem[:2]}_{name}.parquet")
    assert len(read) > 7
    for name in (*read, "03_validation.parquet", "09_ten_ecgs.parquet"):
        file = f"reports/synthetic-laptop-seed1/predictions/{name}"
        asked = ["git", "check-ignore", "--no-index", "-q", file]
        ignored = subprocess.run(asked, cwd=REPO, check=False).returncode == 0
        assert ignored == (name not in read), name


def test_a_study_keeps_the_rows_of_all_seeds_where_it_asks_for_them(tmp_path):
    own, stage = frame([1.0, 2.0], [0, 1]), object.__new__(Stage)
    spec = SimpleNamespace(beside=("02",))
    stage.run = SimpleNamespace(main="a-b", spec=lambda _: spec, record=lambda: None)
    stage.name, stage.number, stage._read = "a-b-study-x", "study", {}
    stage._require_output = lambda *_: None
    stage.paths = saved(tmp_path, "a-b", own)
    saved(tmp_path, "a-b-seed2", frame([4.0, 5.0], [0, 1]))
    file = tmp_path / "reports" / stage.name / "predictions" / f"study_beside_{FILE}"
    for seeds, of_seed in ((False, {0: 3.0}), (True, {0: 3.0, 2: 9.0})):
        stage._outputs = set()
        rows = stage.beside("reconstruction", "02", ["vq"], seeds=seeds)
        assert rows.groupby("seed")["score"].sum().to_dict() == of_seed
        assert predictions.read_table(file)["seed"].nunique() == len(of_seed)
