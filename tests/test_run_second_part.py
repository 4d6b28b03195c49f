"""The second part of a run where the first one was never made (`ecglib.run.second_part`)."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from ecglib.run import (
    check,
    claims_table,
    keys,
    manifest,
    models,
    report,
    runner,
    second_part,
    steps,
)
from ecglib.run.context import Run
from ecglib.run.errors import RunError

NAME = "synthetic-smoke"


def lay_out(smoke_run: Path, folder: Path, patch: pytest.MonkeyPatch) -> Run:
    """The smoke run as another machine has it, after notebook 01 of a second part."""
    for of in ("reports", "figures"):
        shutil.copytree(smoke_run / of / NAME, folder / of / NAME)
    variables = {"OUT": str(folder), "NO_YARDSTICK": "1", "HOME": "", "SECOND_PART": ""}
    for name, value in variables.items():
        patch.setenv(f"ECGLIB_{name}", value)
    second_part.enter(folder / "artifacts", "")
    run = Run("smoke", "synthetic", 0, "", [], [])
    source, home = smoke_run / "artifacts", run.paths.home
    for link in (source / NAME / "01").iterdir():
        if link.is_dir():
            shutil.copytree(link.resolve(), home / "steps" / link.resolve().name)
            steps.link_to(home / NAME / "01" / link.name, home / "steps" / link.resolve().name)
    (home / NAME / "stages").mkdir()
    shutil.copy(source / NAME / "stages" / "01.json", home / NAME / "stages")
    return run


def take_first(run: Run) -> None:
    second_part.require_first(run, "04", ["04", "05"], {})


def test_what_cannot_be_taken_is_refused_with_a_remedy(smoke_run, tmp_path, monkeypatch):
    run = lay_out(smoke_run, tmp_path, monkeypatch)
    reports = run.paths.reports(NAME)
    card = reports / "models" / "qinco" / "card.json"
    manifest.write(card, manifest.read(card) | {"key": "0" * 64})
    with pytest.raises(RunError, match=r"a model qinco of other code.* without --second-part"):
        take_first(run)
    assert not run.paths.stage_manifest(NAME, "02").exists()
    shutil.rmtree(reports / "models" / "vq")
    with pytest.raises(RunError, match=r"no committed model vq, in .*; restore it with git"):
        take_first(run)
    manifest.write(reports / "run.json", manifest.read(reports / "run.json") | {"keys": {}})
    with pytest.raises(RunError, match="no committed notebook 02"):
        take_first(run)
    with pytest.raises(RunError, match="a run with the tag mine has not"):
        second_part.enter(tmp_path, "mine")


@pytest.fixture(scope="module")
def elsewhere(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """That machine, after it took what later notebooks read."""
    with pytest.MonkeyPatch.context() as patch:
        run = lay_out(smoke_run, tmp_path_factory.mktemp("elsewhere"), patch)
        take_first(run)
        yield run


def test_what_later_notebooks_read_has_the_keys_of_the_run_that_was_committed(elsewhere, smoke_run):
    """The codes are those of the run, too. The usual folder of artifacts gets nothing."""
    ours, theirs = elsewhere.paths.home / NAME, smoke_run / "artifacts" / NAME
    for item, key in elsewhere.upstream(elsewhere.spec("04")).items():
        number, _, step = item.partition("/")
        same = manifest.read(theirs / number / step / "manifest.json")
        assert key == same["key"], item
        if step.endswith("_codes"):
            recorded = manifest.read(ours / number / step / "manifest.json")
            assert recorded["outputs"] == same["outputs"]
    assert manifest.read(ours / "02/qinco_quantiser/manifest.json")["taken_from"] == "qinco"
    assert {path.name for path in (ours / "02").iterdir()} >= {"vq", "rvq", "fsq", "bpe"}
    usual = elsewhere.paths.home.parent
    assert {path.name for path in usual.iterdir()} == {"assets", "data", "second_part"}


def test_a_taken_notebook_counts_as_what_is_committed(elsewhere):
    """Its claims, its line of RUN.md and its costs are the committed ones."""
    run, reports = elsewhere, elsewhere.paths.reports(NAME)
    before = (reports / "RUN.md").read_text()
    costs = pd.read_csv(reports / "timings.csv", dtype={"stage": str})
    recipes = manifest.read(reports / "run.json")["recipes"]
    states = {state.number: state for state in check.all_states(run)}
    assert not states["02"].reasons and not states["03"].reasons
    assert states["02"].steps["qinco"] == [] and states["04"].reasons == ["not made yet"]
    library = keys.Library(run.paths.library)
    assert {"02", "03"} <= claims_table.current_stages(run, ["02", "03"], library).keys()
    report.write_run_card(run)
    after = (reports / "RUN.md").read_text()
    rows = [line for line in before.splitlines() if line.startswith(("| 02_", "| 03_"))]
    assert len(rows) == 2 and all(row in after for row in rows)
    assert "--second-part --only 01`" in after and "not trained again: bpe, fsq, qinco" in after
    assert manifest.read(reports / "run.json")["recipes"] == recipes
    for table in (costs, now := report.timings(run).replace("", None)):
        assert len(table[(table["stage"] == "02") & table["step"].isna()]) == 1
    seconds = [of[of["step"].isna()].set_index("stage")["seconds"]["03"] for of in (costs, now)]
    assert seconds[0] == seconds[1]


def test_what_comes_after_is_trained_and_a_model_that_was_committed_again_is_not_mixed(elsewhere):
    """Other numbers under the same key need another folder."""
    card = elsewhere.paths.reports(NAME) / "models" / "ecg_tok" / "card.json"
    assert models.committed(elsewhere, manifest.read(card)["key"]) is None
    card = card.parents[1] / "vq" / "card.json"
    manifest.write(card, manifest.read(card) | {"files": {"model.safetensors": "0" * 64}})
    with pytest.raises(RunError, match=r"another model vq than the committed one; delete "):
        take_first(elsewhere)
    assert manifest.read(elsewhere.paths.stage_manifest(NAME, "02"))["taken"]
    assert Run("smoke", "synthetic", 0, "", [], []).command() == (
        "bash run_all.sh --profile smoke --second-part"
    )


def test_the_folder_and_the_number_format_reach_the_kernels(elsewhere):
    variables = runner.kernel_environment(elsewhere)
    assert variables["ECGLIB_HOME"].endswith("artifacts/second_part")
    card = elsewhere.paths.reports(NAME) / "models" / "fsq" / "card.json"
    assert elsewhere.machine.dtype == manifest.read(card)["machine"]["dtype"]
