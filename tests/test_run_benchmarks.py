"""`bench`: absent data are skipped or named, failures count, results name their commit; and what
some benchmarks compute from their measurements."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bpe_train_vs_released import extrapolate
from exchanged_training import compare as changed
from sim_to_real import compare

from ecglib.run.__main__ import benchmark
from ecglib.run.paths import Paths

REPO = Path(__file__).parents[1]
COMMON = REPO / "tests" / "benchmarks" / "_common.py"
# benchmark: the variable that names its data
PTBXL = ("measure_ptbxl_mini", "mains_detection", "labels_ptbxl_mini", "beside_reality")
PTBXL += ("sim_vs_real", "sim_to_real", "models_on_ptbxl")
NEEDED = dict.fromkeys(PTBXL, "ECGLIB_PTBXL_MINI") | {"quality_cinc2011": "ECGLIB_CINC2011"}
NEEDED |= {"mimic_statement_coverage": "ECGLIB_MIMIC_TEXT", "measure_ludb": "ECGLIB_LUDB"}
ABSENT = 'from _common import data\n\ndata("ECGLIB_CINC2011", "ECGs")\n'
FINE = "import _common, helpers\n"  # of the benchmarks' folder and of the repository


@pytest.fixture(autouse=True)
def as_run_all(monkeypatch: pytest.MonkeyPatch):
    """The environment that run_all.sh makes, without any data."""
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    for variable in NEEDED.values():
        monkeypatch.delenv(variable, raising=False)


def toy(repo: Path, **scripts: str) -> Path:
    """Write benchmarks by name into a repository of their own; returns their folder."""
    folder = repo / "tests" / "benchmarks"
    folder.mkdir(parents=True)
    shutil.copy(COMMON, folder)
    (repo / "helpers.py").touch()
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def script(path: Path) -> subprocess.CompletedProcess[str]:
    """One benchmark on its own, as its docstring may say."""
    environment = os.environ | {"PYTHONPATH": str(path.parent)}
    return subprocess.run([sys.executable, path], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", [*NEEDED, "attention_cpu"])
def test_a_benchmark_without_data_or_asset_says_one_sentence(name, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("ECGLIB_HOME", str(tmp_path))
    assert benchmark(Paths.here(), [name]) == 1
    output, errors = capfd.readouterr()
    assert output == "" and "Traceback" not in errors
    line = errors.splitlines()[-1]  # libraries may warn before it
    if name in NEEDED:
        assert line.startswith(f"{name}: set {NEEDED[name]} to the folder of ")
        assert len(errors.splitlines()) == 1 and line.endswith(".")
    else:
        assets = f"{name}: {tmp_path}/assets holds no smollm2"
        assert line == f"{assets}; fetch it with bash run_all.sh --prefetch."


def test_absent_data_and_failures_fail_only_what_was_asked_for(tmp_path, monkeypatch, capfd):
    folder, paths = toy(tmp_path, absent=ABSENT, fine=FINE), Paths(tmp_path, tmp_path, tmp_path)
    assert benchmark(paths, []) == 0
    out, err = capfd.readouterr()
    assert out == "absent: skipped, its data or asset is absent\n"
    assert err == "absent: set ECGLIB_CINC2011 to the folder of ECGs.\n"
    assert benchmark(paths, ["fine"]) == 0
    assert benchmark(paths, ["fine", "absent"]) == 1
    # A variable that names no folder is a failure, not absent data.
    monkeypatch.setenv("ECGLIB_CINC2011", str(tmp_path))
    assert script(folder / "absent.py").returncode == 0
    monkeypatch.setenv("ECGLIB_CINC2011", "/no/such/folder")
    done = script(folder / "absent.py")
    assert done.returncode == 1
    assert done.stderr == "absent: ECGLIB_CINC2011 names /no/such/folder, which is not a folder.\n"
    assert benchmark(paths, []) == 1
    monkeypatch.delenv("ECGLIB_CINC2011")
    for text in ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "raise ValueError\n"):
        (folder / "broken.py").write_text(text)
        assert benchmark(paths, []) == 1
        assert benchmark(paths, ["broken", "fine"]) == 1


def test_a_result_says_whether_its_code_was_committed(tmp_path):
    """Results of the same row do not make the next ones dirty; a changed source does."""
    one = 'from _common import write\n\nwrite("one", {"value": 1.0}, ())\n'
    path = toy(tmp_path, one=one) / "one.py"
    result = tmp_path / "reports" / "benchmarks" / "one.json"

    def git(*arguments: str) -> str:
        name = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        command = ["git", "-C", str(tmp_path), *name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit() -> str:
        assert script(path).returncode == 0
        return json.loads(result.read_text())["commit"]

    git("init", "--quiet")
    result.parent.mkdir(parents=True)
    result.write_text("{}\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    head = git("rev-parse", "HEAD")
    assert commit() == head
    assert git("status", "--porcelain", "-uno") == "M reports/benchmarks/one.json"
    assert commit() == head
    (tmp_path / "helpers.py").write_text("changed = True\n")
    assert commit() == f"{head}-dirty"


def test_a_cost_proportional_to_the_ecgs_is_extrapolated_so():
    """Sizes below the fit do not count."""
    result = extrapolate({200: 9.0, 400: 4.0, 800: 8.0, 1600: 16.0})
    for name, value in {"seconds": 2000, "low": 2000, "high": 2000, "b": 1, "a": 0.01}.items():
        assert result[name] == pytest.approx(value)
    assert result["fitted_sizes"] == [400, 800, 1600]


def test_the_price_of_simulation_is_a_ratio_of_means_over_the_same_ecgs():
    units, prd = [0, 0, 1, 2], pd.Series([10.0, 20.0, 30.0, 99.0])
    real = pd.DataFrame({"unit": units, "prd_percent": prd})
    tables = {"real": real, "simulated": real.assign(prd_percent=2 * prd)}
    result = compare(tables, np.array([True, True, True, False]))
    assert [result[name] for name in ("ratio", "low", "high")] == pytest.approx([2.0] * 3)
    assert result["prd_percent_real"] == 20.0 and result["median_simulated"] == 40.0


def test_claims_that_depend_on_the_run_are_compared():
    before = pd.DataFrame(
        {"id": list("abcd"), "value": [0.1, 0.2, np.nan, 0.5], "low": 0.0, "high": 0.3}
        | {"verdict": ["holds", "holds", "not run", "no margin"]}
    )
    verdicts = ["holds", "fails", "not run", "no margin"]
    now = before.assign(value=[0.1, 0.15, np.nan, 0.6], verdict=verdicts)
    rows = changed(before, now)
    assert rows.index.tolist() == ["b"]
    assert rows.loc["b", ["verdict", "verdict_now"]].tolist() == ["holds", "fails"]
