"""Notebooks that are not executed, because what they made is committed (`ecglib.run.taken`)."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from ecglib.run import check, claims_table, keys, manifest, notebook, report, runner, steps, taken
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import TAKES_MODELS

NAME = "synthetic-smoke"
PART_TWO = ["04", "05", "06", "07", "08", "09"]


def lay_out(smoke_run: Path, folder: Path, patch: pytest.MonkeyPatch) -> Run:
    """The smoke run as another machine has it that made notebook 01 alone."""
    for of in ("reports", "figures"):
        shutil.copytree(smoke_run / of / NAME, folder / of / NAME)
    source, home = smoke_run / "artifacts", folder / "artifacts"
    for link in (source / NAME / "01").iterdir():
        if link.is_dir():
            shutil.copytree(link.resolve(), home / "steps" / link.resolve().name)
            steps.link_to(home / NAME / "01" / link.name, home / "steps" / link.resolve().name)
    (home / NAME / "stages").mkdir()
    shutil.copy(source / NAME / "stages" / "01.json", home / NAME / "stages")
    patch.setenv("ECGLIB_OUT", str(folder))
    patch.setenv("ECGLIB_HOME", str(home))
    patch.setenv("ECGLIB_NO_YARDSTICK", "1")
    patch.setenv(TAKES_MODELS, "1")
    return Run("smoke", "synthetic", 0, "", [], [])


def take_what_is_read(run: Run) -> None:
    runner._require_read(run, "04", PART_TWO)


def test_what_cannot_be_taken_is_refused_with_a_remedy(smoke_run, tmp_path, monkeypatch):
    run = lay_out(smoke_run, tmp_path, monkeypatch)
    card = run.paths.reports(NAME) / "models" / "qinco" / "card.json"
    manifest.write(card, manifest.read(card) | {"key": "0" * 64})
    with pytest.raises(RunError, match=r"no committed model qinco of the key .* --only 02"):
        take_what_is_read(run)
    assert not run.paths.stage_manifest(NAME, "02").exists()
    record = run.paths.reports(NAME) / "run.json"
    manifest.write(record, manifest.read(record) | {"keys": {}})
    with pytest.raises(RunError, match="notebook 02 of run synthetic-smoke is not committed; make"):
        taken.take(run, "02", PART_TWO)
    with pytest.raises(RunError, match=r"07 reads 05/heartllm_pretrained of run .* not exist yet"):
        runner._require_read(run, "07", ["07"])
    monkeypatch.delenv(TAKES_MODELS)
    with pytest.raises(RunError, match=r"04 reads 02/qinco of run .*, which does not exist yet"):
        take_what_is_read(run)


@pytest.fixture(scope="module")
def elsewhere(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """That machine, after it took what notebook 04 reads. Its last test spoils it."""
    with pytest.MonkeyPatch.context() as patch:
        run = lay_out(smoke_run, tmp_path_factory.mktemp("elsewhere"), patch)
        take_what_is_read(run)
        yield run


def test_what_a_notebook_reads_has_the_keys_of_the_run_that_was_committed(elsewhere, smoke_run):
    """Codes and floors are those of the run, and stay out of the store of steps."""
    ours, theirs = elsewhere.paths.home / NAME, smoke_run / "artifacts" / NAME
    for item, key in elsewhere.upstream(elsewhere.spec("04")).items():
        number, _, step = item.partition("/")
        same = manifest.read(theirs / number / step / "manifest.json")
        assert key == same["key"], item
        if step.endswith("_codes"):
            recorded = manifest.read(ours / number / step / "manifest.json")
            assert recorded["outputs"] == same["outputs"]
    assert manifest.read(ours / "02/qinco_quantiser/manifest.json")["taken_from"] == "qinco"
    stored = {link.resolve() for link in (ours / "01").iterdir() if link.is_symlink()}
    assert set((elsewhere.paths.home / "steps").glob("[!.]*")) == stored


def test_a_taken_notebook_counts_as_what_is_committed(elsewhere):
    """Its claims, its line of RUN.md and its costs are the committed ones; it is stale without the
    option."""
    run, reports = elsewhere, elsewhere.paths.reports(NAME)
    before = (reports / "RUN.md").read_text()
    costs = pd.read_csv(reports / "timings.csv", dtype={"stage": str})
    recipes = manifest.read(reports / "run.json")["recipes"]
    states = {number: check.inspect(run, number) for number in ("02", "03")}
    assert not any(state.reasons for state in states.values())
    states = {state.number: state for state in check.all_states(run)}
    assert not states["02"].reasons and states["02"].steps["qinco"] == []
    library = keys.Library(run.paths.library)
    assert {"02", "03"} <= claims_table.current_stages(run, ["02", "03"], library).keys()
    report.write_run_card(run)
    after = (reports / "RUN.md").read_text()
    rows = [line for line in before.splitlines() if line.startswith(("| 02_", "| 03_"))]
    assert len(rows) == 2 and all(row in after for row in rows)
    assert "--only 01`" in after and "not trained again: bpe, fsq, qinco" in after
    assert manifest.read(reports / "run.json")["recipes"] == recipes
    for table in (costs, now := report.timings(run).replace("", None)):
        assert len(table[(table["stage"] == "02") & table["step"].isna()]) == 1
    seconds = [of[of["step"].isna()].set_index("stage")["seconds"]["03"] for of in (costs, now)]
    assert seconds[0] == seconds[1]


def test_without_the_option_it_is_made_again_and_so_is_all_that_reads_it(elsewhere, monkeypatch):
    """A model that is trained here has the key of the committed one and other numbers."""
    later = elsewhere.paths.home / NAME / "04" / "ecg_tok"
    later.mkdir(parents=True)
    monkeypatch.delenv(TAKES_MODELS)
    assert check.inspect(elsewhere, "02").reasons == ["taken as it is committed"]

    def stop(*_: object) -> None:
        raise RunError("stopped here")

    monkeypatch.setattr(notebook, "execute", stop)
    with pytest.raises(RunError, match="stopped here"):
        runner.execute(elsewhere, ["02"], set())
    assert not later.exists() and not (elsewhere.paths.home / NAME / "02" / "qinco").exists()
