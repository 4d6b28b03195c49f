"""`redraw` and `lab`: results again from saved predictions; copies that a student may change."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pandas as pd
import pytest

from ecglib.run import lab
from ecglib.run.context import Run

REPO = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


def redrawn(out: Path, run: str, folder: Path) -> dict[Path, Path]:
    """Redraw a run in a folder that has its predictions alone: {its file: the file made now}."""
    reports = folder / "reports" / run
    shutil.copytree(out / "reports" / run / "predictions", reports / "predictions")
    shutil.copy(out / "reports" / run / "run.json", reports)
    env = os.environ | {"ECGLIB_OUT": str(folder), "ECGLIB_HOME": str(folder / "nothing")}
    command = [sys.executable, "-m", "ecglib.run", "redraw", run]
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    kinds = ("reports/*/claims.csv", "reports/*/claims/*", "reports/*/tables/*", "figures/*/fig*")
    files = [
        path.relative_to(out) for kind in kinds for path in out.glob(kind) if run in path.parts
    ]
    assert len(files) > 100
    return {out / file: folder / file for file in files}


def test_redraw_gives_the_same_bytes_on_the_same_machine(runs, tmp_path):
    """A PDF may place a text otherwise, by a rounding error."""
    pairs = redrawn(runs[0], "synthetic-smoke", tmp_path).items()
    same = {old.name: old.read_bytes() == new.read_bytes() for old, new in pairs}
    assert [name for name, is_same in same.items() if not (is_same or name.endswith(".pdf"))] == []


def test_redraw_gives_the_committed_numbers(tmp_path):
    run = "synthetic-laptop"
    if "keys" not in json.loads((REPO / "reports" / run / "run.json").read_text()):
        pytest.skip("the committed run is older than `redraw`")
    for old, new in redrawn(REPO, run, tmp_path).items():
        if old.suffix == ".csv":
            pd.testing.assert_frame_equal(pd.read_csv(old), pd.read_csv(new), obj=old.name)
        assert new.stat().st_size > 0


def test_a_notebook_in_lab_runs_on_the_results_and_leaves_the_run_alone(runs, monkeypatch):
    """Two notebooks, each in a kernel of its own, as JupyterLab executes them."""
    monkeypatch.setenv("ECGLIB_OUT", str(runs[0]))
    monkeypatch.setenv("ECGLIB_HOME", str(runs[0] / "artifacts"))
    folder, environment = lab.prepare(Run("smoke", "synthetic", 0))
    places = [runs[0] / name / "synthetic-smoke" for name in ("artifacts", "reports", "figures")]
    files = [path for place in places for path in sorted(place.rglob("*"))]
    before = [path.stat().st_mtime_ns for path in files]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    for name in ("03_classification", "07_ablations"):
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        nbclient.NotebookClient(notebook, resources={"metadata": {"path": folder}}).execute()
        assert "steps: 0 made" in notebook.cells[-1].outputs[-1].text
    assert before == [path.stat().st_mtime_ns for path in files]
