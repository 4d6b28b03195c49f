"""The nine notebooks at their smallest: everything runs, and two of them give their bytes again."""

import json
import re
import shutil
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import AGAIN, smoke
from safetensors.torch import load_file
from test_run_redraw import drawn_page, redrawn

from ecglib.evaluate import claims
from ecglib.run import lab, manifest
from ecglib.run.context import Run
from ecglib.run.manifest import sha256

REPO = Path(__file__).resolve().parents[1]
RUN = "synthetic-smoke"
KINDS = {".csv", ".parquet", ".png", ".safetensors", ".npy"}
pytestmark = pytest.mark.slow


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every table, prediction, picture and model of the notebooks that were made again;
    clock times are in timing* only."""
    numbers = "|".join(AGAIN)
    own = re.compile(rf"artifacts/{RUN}/({numbers})/|/(fig)?({numbers})[_.]|/claims.csv")
    steps = [path for path in folder.glob(f"artifacts/{RUN}/*/*") if path.is_symlink()]
    files = {
        f"{place.relative_to(folder)}/{path.relative_to(place.resolve())}": sha256(path)
        for place in (folder / "reports" / RUN, folder / "figures" / RUN, *steps)
        for path in place.resolve().rglob("*")
        if path.suffix in KINDS and not path.name.startswith("timing")
    }
    return {name: digest for name, digest in files.items() if own.search(name)}


def test_a_notebook_made_again_gives_the_same_bytes(smoke_run, again):
    for number in AGAIN:
        places = [folder / f"artifacts/{RUN}/stages/{number}.json" for folder in (smoke_run, again)]
        assert len({manifest.read(place)["started"] for place in places}) == 2, "not made again"
    first, second = map(hashes, (smoke_run, again))
    assert first.keys() == second.keys()
    different = [name for name in first if first[name] != second[name]]
    assert not different
    for suffix in KINDS:
        assert any(name.endswith(suffix) for name in first), f"no {suffix} file was compared"


def noise(pages: list[Path]) -> list[str]:
    """Warnings, progress bars and lines per step, which disturb the reader of an executed page."""
    line = re.compile(r"^    .*(Warning: |Failed to load|it/s|s/it|made \w+, key )", re.MULTILINE)
    texts = {page.stem: page.read_text() for page in pages}
    return [f"{name}: {match[0]}" for name in texts for match in line.finditer(texts[name])]


def test_pages_without_noise_a_figure_each_and_every_claim_judged(smoke_run):
    reports = smoke_run / "reports" / RUN
    pages = sorted(reports.glob("0[1-9]_*.md"))
    assert len(pages) == 9 and noise(pages) == []
    for number in range(1, 10):
        figures = list((smoke_run / "figures" / RUN).glob(f"fig{number:02d}_*.png"))
        assert figures, f"notebook {number:02d} draws nothing"
        for figure in figures:
            assert figure.with_suffix(".pdf").exists() and figure.with_suffix(".csv").exists()
    judged(reports, "claims.yaml")


def test_every_part_that_the_profile_lists_is_made(smoke_run):
    """A notebook makes all that has its number, and nothing is trained that no list has."""
    home, run = smoke_run / "artifacts" / RUN, Run("smoke", "synthetic", 0)
    listed = {f"{part.stage}/{part.name}" for part in run.parts.values()}
    links = {f"{path.parent.name}/{path.name}" for path in home.glob("*/*") if path.is_symlink()}
    assert listed <= links
    trained = {name for name in links if (home / name / "history.csv").exists()}
    assert trained <= listed
    for name in ("ecg_tok", "no_ecg", "heartllm"):
        spent = json.loads((home / run.parts[name].stage / name / "budget.json").read_text())
        assert spent["supervised_tokens"] > 0 and spent["flops"] > 0
    texts = pd.read_parquet(smoke_run / "reports" / RUN / "predictions" / "04_texts.parquet")
    assert (texts.loc[texts["method"] == "ecg_tok", "prediction"] != "").mean() > 0.5


def test_kept_models_are_the_files_of_their_steps_in_half_precision(smoke_run):
    kept, home = smoke_run / "reports" / RUN / "models", smoke_run / "artifacts" / RUN
    stages = Run("smoke", "synthetic", 0).stages
    listed = [(number, name) for number, spec in stages.items() for name in spec.models]
    assert {path.name for path in kept.iterdir()} == {name for _, name in listed}
    for number, name in listed:
        folder, own = kept / name, home / number / name
        recorded = manifest.read(own / "manifest.json")
        card = json.loads((folder / "card.json").read_text())
        assert card["key"] == recorded["key"]
        files = [file for file in recorded["outputs"] if not file.endswith(".parquet")]
        assert set(manifest.contents(folder)) == {"card.json", *files}
        for file in files:
            if file.endswith("adapter_config.json"):  # without the path of the base
                assert str(smoke_run) not in (folder / file).read_text()
            else:
                assert (folder / file).read_bytes() == (own / file).read_bytes()
            if file.endswith(".safetensors"):
                weights = load_file(folder / file).values()
                assert not any(tensor.dtype == torch.float32 for tensor in weights)


def judged(reports: Path, registry: str) -> pd.DataFrame:
    """The claims of a run by id, each of its registry judged."""
    table = pd.read_csv(reports / "claims.csv")
    registered = claims.load(REPO / "notebooks" / registry)
    assert list(table["id"]) == list(registered)
    due = [claims.is_listed(c["runs"], "synthetic", "smoke") for c in registered.values()]
    known = {"holds", "fails", "not comparable", "cannot be computed", "no margin"}
    assert set(table["verdict"][due]) <= known
    assert (table["verdict"][~np.array(due)] == "not run").all()
    return table.set_index("id")


def test_redraw_gives_the_same_bytes_on_the_same_machine(smoke_run, tmp_path):
    """A PDF may place a text otherwise, by a rounding error."""
    pairs = redrawn(smoke_run, [RUN], tmp_path).items()
    same = {old.name: old.read_bytes() == new.read_bytes() for old, new in pairs}
    assert [name for name, is_same in same.items() if not (is_same or name.endswith(".pdf"))] == []
    for name in ("03_classification", "06_instruction_tuning"):
        page = f"reports/{RUN}/{name}.md"
        before, now = drawn_page(smoke_run / page, tmp_path / page)
        assert before == now


def test_a_sibling_is_read_beside_its_run(again, tmp_path):
    """Other training, the same patients: a row of a table is the mean over both, and says so. Of
    notebooks 03 to 07 the sibling gets copies, whose mean is the run's own value."""
    smoke(again, again / "artifacts" / "assets", "--only", "01,02", "--training-seed", "1")
    own, sibling = again / "reports" / RUN, again / "reports" / f"{RUN}-seed1"
    assert not (sibling / "models").exists()
    record = manifest.read(sibling / "run.json")
    recipes = manifest.read(own / "run.json")["recipes"]
    assert record["recipes"].items() <= recipes.items(), "the same steps but for seeds"
    manifest.write(sibling / "run.json", record | {"recipes": recipes})
    for path in own.glob("predictions/0[3-7]_*.parquet"):
        shutil.copy(path, sibling / "predictions")
    numbers = ("02", "03", "04", "05", "06", "07")
    redrawn(again, [RUN], tmp_path, only=numbers)
    both = tmp_path / "reports" / RUN

    def errors(folder: Path) -> pd.Series:
        return pd.read_csv(folder / "tables/02_reconstruction.csv").set_index(["method", "metric"])

    assert set(errors(both)["seeds"]) == {2} and set(errors(own)["seeds"]) == {1}
    means = [errors(folder)["value"] for folder in (own, sibling, both)]
    assert not means[0].equals(means[1])
    np.testing.assert_allclose(means[2], (means[0] + means[1]) / 2, rtol=1e-6)
    for number in numbers:
        before, now = (
            pd.read_csv(folder / f"claims/{number}.csv").set_index("id") for folder in (own, both)
        )
        assert set(before["seeds"]) == {1} and set(now["seeds"]) - {2} <= {1}
        assert (now["seeds"] == 2).any(), number
        if number != "02":
            np.testing.assert_allclose(now["value"], before["value"], atol=1e-9)


def test_a_notebook_in_lab_runs_on_the_results_and_leaves_the_run_alone(again, monkeypatch):
    """Two notebooks, each in a kernel of its own, as JupyterLab executes them."""
    monkeypatch.setenv("ECGLIB_OUT", str(again))
    monkeypatch.setenv("ECGLIB_HOME", str(again / "artifacts"))
    folder, environment = lab.prepare(Run("smoke", "synthetic", 0))
    places = [again / name / RUN for name in ("artifacts", "reports", "figures")]
    files = [path for place in places for path in sorted(place.rglob("*"))]
    before = [path.stat().st_mtime_ns for path in files]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    for name in ("05_token_pretraining", "07_ablations"):
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        nbclient.NotebookClient(notebook, resources={"metadata": {"path": folder}}).execute()
        assert "steps: 0 made" in notebook.cells[-1].outputs[-1].text
    assert before == [path.stat().st_mtime_ns for path in files]
