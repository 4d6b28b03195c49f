"""The whole compendium at its smallest, twice: everything runs, and gives the same bytes. The first
run also proves the README's table: every file that it names exists under its own name."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest
from test_privacy import identifiers, is_cohort, leaks

from ecglib.evaluate import claims
from ecglib.run import lab, manifest, pipeline, profiles, redraw
from ecglib.run.context import Run
from ecglib.run.manifest import sha256
from ecglib.run.paths import Paths

REPO = Path(__file__).resolve().parents[1]
RUN = "synthetic-smoke"
KINDS = {".csv", ".parquet", ".png", ".safetensors", ".npy"}
pytestmark = pytest.mark.slow


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every table, prediction, picture and model; clock times are in timing* only."""
    steps = [path for path in folder.glob(f"artifacts/{RUN}/*/*") if path.is_symlink()]
    return {
        f"{place.relative_to(folder)}/{path.relative_to(place.resolve())}": sha256(path)
        for place in (folder / "reports" / RUN, folder / "figures" / RUN, *steps)
        for path in place.resolve().rglob("*")
        if path.suffix in KINDS and not path.name.startswith("timing")
    }


def test_two_runs_give_the_same_bytes(runs):
    first, second = map(hashes, runs)
    assert first.keys() == second.keys()
    different = [name for name in first if first[name] != second[name]]
    assert not different
    for suffix in KINDS:
        assert any(name.endswith(suffix) for name in first), f"no {suffix} file was compared"


def test_pages_without_noise_a_figure_each_and_every_claim_judged(runs):
    """No warning, progress bar or line per step disturbs the reader of an executed page."""
    noise = re.compile(r"^    .*(Warning: |Failed to load|it/s|s/it|made \w+, key )", re.MULTILINE)
    reports = runs[0] / "reports" / RUN
    pages = {page.stem: page.read_text() for page in sorted(reports.glob("0[1-9]_*.md"))}
    assert len(pages) == 9
    studies = reports.parent.glob(f"{RUN}-study-*/[a-z]*.md")
    pages |= {page.stem: page.read_text() for page in studies}
    assert len(pages) >= 9 + 9
    assert [f"{name}: {match[0]}" for name in pages for match in noise.finditer(pages[name])] == []
    for number in range(1, 10):
        figures = list((runs[0] / "figures" / RUN).glob(f"fig{number:02d}_*.png"))
        assert figures, f"notebook {number:02d} draws nothing"
        for figure in figures:
            assert figure.with_suffix(".pdf").exists() and figure.with_suffix(".csv").exists()
    judged(reports, "claims.yaml")


def test_the_list_of_parts_is_what_the_notebooks_do(runs):
    """Step function, config and inputs of every part, as the manifests of the run have them."""
    profile = profiles.load_profile(Paths(REPO, REPO, REPO), "smoke")
    home = runs[0] / "artifacts" / RUN
    links = {f"{path.parent.name}/{path.name}" for path in home.glob("*/*") if path.is_symlink()}
    for part in pipeline.parts(profile):
        parts = manifest.read(home / part.id / "manifest.json")["parts"]
        assert parts["function"] == f"{part.fn.__module__}.{part.fn.__name__}"
        config = {key: parts["config"][key] for key in part.config}
        assert config == part.config and set(parts["config"]) <= {*config, "rows", "ecgs"}
        for label, name in part.inputs.items():
            key = manifest.read(home / name / "manifest.json")["key"]
            assert parts["inputs"][label] == key, f"{part.id}, input {label}"
        assert set(parts["inputs"]) == set(part.inputs), part.id
    listed = {part.id for part in pipeline.parts(profile)}
    trained = {name for name in links if (home / name / "history.csv").exists()}
    assert trained <= listed


def judged(reports: Path, registry: str) -> pd.DataFrame:
    """The claims of a run by id, each of its registry judged."""
    table = pd.read_csv(reports / "claims.csv")
    registered = claims.load(REPO / "notebooks" / registry)
    assert list(table["id"]) == list(registered)
    due = [claims.is_listed(c["runs"], "synthetic", "smoke") for c in registered.values()]
    assert set(table["verdict"][due]) <= {"holds", "fails", "not comparable", "cannot be computed"}
    assert (table["verdict"][~np.array(due)] == "not run").all()
    return table.set_index("id")


def test_the_study_judges_its_claims_for_every_seed(study):
    reports = study / "reports" / f"{RUN}-study-tokenizers"
    table = judged(reports, "studies/tokenizers_claims.yaml")
    seeds = pd.read_csv(reports / "tables" / "study_seeds.csv")
    assert (seeds.groupby("claim").size() == 5).all()  # all, patients alone, and three of them
    errors = pd.read_parquet(reports / "predictions" / "study_errors.parquet")
    mae = errors[errors["item"] == "mae_mv"].groupby("method")["score"].mean()
    value = table.loc["recon.mae.vq_minus_rvq", "value"]
    assert value == pytest.approx(mae["vq"] - mae["rvq"], abs=1e-9)


def test_the_study_of_rates_has_each_method_at_each_rate(study):
    """Three seeds of each point, and a claim per rate at which QINCo and RVQ differ."""
    reports = study / "reports" / f"{RUN}-study-rates"
    judged(reports, "studies/rates_claims.yaml")
    curves = pd.read_csv(reports / "tables" / "study_rates.csv")
    points = curves[curves["setting"] != "own encoder"].groupby(["method", "quantity"])
    assert points["bits_per_second"].nunique().min() >= 2
    assert set(curves["method"]) == {"vq", "rvq", "qinco", "fsq", "bpe"}
    assert (curves.loc[curves["setting"] != "own encoder", "seeds"] == 3).all()
    few = curves[curves["setting"] == "codebooks: 1"].pivot(index="quantity", columns="method")
    assert (few["value", "rvq"] == few["value", "qinco"]).all(), "one codebook has no network"


def test_the_study_of_codebook_use_has_each_way_of_training(study):
    """Eight of each method, with the mean of the errors of its predictions."""
    reports = study / "reports" / f"{RUN}-study-utilisation"
    table = pd.read_csv(reports / "tables" / "study_utilisation.csv")
    assert (table.groupby("method").size() == 8).all() and len(table) == 24
    errors = pd.read_parquet(reports / "predictions" / "study_errors.parquet")
    mean = errors[(errors["method"] == "vq") & (errors["item"] == "mae_mv:ours:kmeans:revival")]
    row = table.set_index(["method", "training", "init", "revival"]).loc["vq", "ours", "kmeans"]
    assert row.loc["revival", "value"] == pytest.approx(mean["score"].mean(), abs=1e-9)


def test_the_study_of_the_warm_up_compares_with_the_reports_of_notebook_04(study):
    """Its differences are those of the two prediction files, on the same cells."""
    reports = study / "reports" / f"{RUN}-study-warm_up"
    table = judged(reports, "studies/warm_up_claims.yaml")
    scores = pd.read_parquet(reports / "predictions" / "study_reports.parquet")
    cold = scores[scores["method"] == "ecg_tok_cold"]
    assert set(scores["method"]) == {"ecg_tok_cold", "ecg_tok_cold_longer"}
    before = pd.read_parquet(reports / "predictions" / "04_reports.parquet")
    warm = before[before["method"] == "ecg_tok"]
    rouge = [part.loc[part["item"] == "rouge_l", "score"].mean() for part in (warm, cold)]
    value = table.loc["report.warm_minus_cold.rouge_l", "value"]
    assert value == pytest.approx(rouge[0] - rouge[1], abs=1e-9)
    cells = [set(zip(part["ecg"], part["item"], strict=True)) for part in (warm, cold)]
    assert cells[0] == cells[1]


def test_the_study_of_few_labels_has_each_share_at_equal_updates(study):
    """Its differences are those of the saved predictions, and all trainings show as many ECGs."""
    reports = study / "reports" / f"{RUN}-study-few_labels"
    table = judged(reports, "studies/few_labels_claims.yaml")
    results = pd.read_csv(reports / "tables" / "study_auc.csv")
    macro = results[results["average"] == "macro"].pivot(index="method", columns="share")["value"]
    assert macro.shape == (4, 3) and macro.notna().all().all()
    for other in ("deepsl", "deepssl", "summary"):
        value = table.loc[f"few_labels.qinco_minus_{other}.1_percent", "value"]
        assert value == pytest.approx(macro.loc["qinco", 0.01] - macro.loc[other, 0.01], abs=1e-9)
    budget = pd.read_csv(reports / "tables" / "study_budget.csv")
    assert budget["ecg_views"].max() < 3 * budget["ecg_views"].min()  # few patients: coarse shares
    labelled = pd.read_csv(reports / "tables" / "study_labelled.csv")
    assert (labelled["labelled_ecgs"].diff().dropna() > 0).all()


def test_the_study_of_transfer_compares_hospitals_on_the_same_test_ecgs(study):
    reports = study / "reports" / f"{RUN}-study-transfer"
    table = judged(reports, "studies/transfer_claims.yaml")
    sites = pd.read_csv(reports / "tables" / "study_sites.csv")
    value = sites.set_index(["method", "category"])["value"]
    cost = value["qinco", "A to B"] - value["qinco", "B to B"]
    assert table.loc["transfer.site.qinco", "value"] == pytest.approx(cost, abs=1e-9)
    assert sites.groupby("category")["ecgs"].nunique().eq(1).all()
    assert not (reports / "predictions" / "study_role_transfer.parquet").exists()


def test_the_study_of_the_tasks_of_ptb_xl_says_what_its_numbers_are_worth(study):
    page = (study / "reports" / f"{RUN}-study-ptbxl_tasks" / "ptbxl_tasks.md").read_text()
    assert "This run has no ECG of PTB-XL" in page


def test_every_file_that_the_readme_names_exists(study):
    readme = (REPO / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    for rest, least in ((r"(?:-signals)?/[\w./-]+", 9), (r"-study-[\w./-]+\.\w+", 1)):
        names = re.findall(rf"\b((?:figures|reports)/synthetic-laptop{rest})", readme)
        names = [name.replace("-laptop-signals", "-laptop") for name in names]
        files = [study / name.replace("synthetic-laptop", RUN) for name in names]
        assert len(files) >= least
        assert [str(path) for path in files if not path.exists()] == []


def test_the_run_names_nobody(runs):
    """The simulator's patients have names of one pattern, such as A000123 and A000123-1."""
    planted = identifiers(runs[0])
    assert len(planted) > 300
    assert all(re.fullmatch(r"[A-Z]\d{6}(-\d)?", name) for name in planted)
    for kind in (".parquet", ".png", ".pdf", ".csv", ".md", ".ipynb", ".json"):
        assert any(not is_cohort(path) for path in runs[0].rglob(f"*{kind}")), kind
    assert leaks(runs[0], planted) == []


def redrawn(out: Path, run: str, folder: Path, code: Path = REPO) -> dict[Path, Path]:
    """Redraw a run in a folder that has its predictions alone: {its file: the file made now}.
    `code` has the notebooks and the library."""
    reports = folder / "reports" / run
    shutil.copytree(out / "reports" / run / "predictions", reports / "predictions")
    shutil.copy(out / "reports" / run / "run.json", reports)
    env = os.environ | {"ECGLIB_OUT": str(folder), "ECGLIB_HOME": str(folder / "nothing")}
    env |= {"PYTHONPATH": str(code), "ECGLIB_REPO": str(code)}
    command = [sys.executable, "-m", "ecglib.run", "redraw", run]
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    kinds = ("reports/*/claims.csv", "reports/*/claims/*", "reports/*/tables/*", "figures/*/fig*")
    files = [
        path.relative_to(out) for kind in kinds for path in out.glob(kind) if run in path.parts
    ]
    assert len(files) > 100
    return {out / file: folder / file for file in files}


def test_redraw_gives_the_same_bytes_on_the_same_machine(runs, tmp_path):
    """A PDF may place a text otherwise, by a rounding error."""
    pairs = redrawn(runs[0], RUN, tmp_path).items()
    same = {old.name: old.read_bytes() == new.read_bytes() for old, new in pairs}
    assert [name for name, is_same in same.items() if not (is_same or name.endswith(".pdf"))] == []


@pytest.mark.parametrize("run", ["synthetic-laptop", "synthetic-laptop-signals"])
def test_redraw_gives_the_committed_numbers(run, tmp_path):
    """A run that is older than the notebooks is drawn with the code of its commit."""
    if not (REPO / "reports" / run).is_dir():
        pytest.skip("the run is not committed")
    paths, code = Paths(REPO, REPO, REPO), REPO
    if commit := redraw.older(paths, run):
        code = tmp_path / "code"
        code.mkdir()
        archive = subprocess.run(["git", "archive", commit], cwd=REPO, capture_output=True)
        if archive.returncode:
            pytest.skip(f"the history has no commit {commit}")
        subprocess.run(["tar", "-x", "-C", code], input=archive.stdout, check=True)
    for old, new in redrawn(REPO, run, tmp_path, code).items():
        if old.suffix == ".csv":
            pd.testing.assert_frame_equal(pd.read_csv(old), pd.read_csv(new), obj=old.name)
        assert new.stat().st_size > 0


def test_a_notebook_in_lab_runs_on_the_results_and_leaves_the_run_alone(runs, monkeypatch):
    """Two notebooks, each in a kernel of its own, as JupyterLab executes them."""
    monkeypatch.setenv("ECGLIB_OUT", str(runs[0]))
    monkeypatch.setenv("ECGLIB_HOME", str(runs[0] / "artifacts"))
    folder, environment = lab.prepare(Run("smoke", "synthetic", 0))
    places = [runs[0] / name / RUN for name in ("artifacts", "reports", "figures")]
    files = [path for place in places for path in sorted(place.rglob("*"))]
    before = [path.stat().st_mtime_ns for path in files]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    for name in ("03_classification", "07_ablations"):
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        nbclient.NotebookClient(notebook, resources={"metadata": {"path": folder}}).execute()
        assert "steps: 0 made" in notebook.cells[-1].outputs[-1].text
    assert before == [path.stat().st_mtime_ns for path in files]
