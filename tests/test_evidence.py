"""The table of training seeds: a column for each, and the interval for one more."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from docs_script import names_of

from ecglib.evaluate import predictions
from ecglib.run.paths import Paths


@pytest.fixture(scope="module")
def evidence() -> SimpleNamespace:
    """The script's names."""
    return SimpleNamespace(**names_of("evidence.py"))


def test_the_interval_for_a_new_seed(evidence):
    """t of two degrees of freedom is 4.303; three values 1, 2, 3 have s = 1."""
    low, high = evidence.of_new_seed([1.0, 2.0, 3.0])
    reach = 4.302653 * math.sqrt(4 / 3)
    assert (low, high) == pytest.approx((2 - reach, 2 + reach), abs=1e-5)
    assert all(map(math.isnan, evidence.of_new_seed([1.0])))


def test_it_covers_a_new_seed_as_often_as_it_says(evidence):
    rng, n = np.random.default_rng(0), 3
    draws = rng.normal(size=(4000, n + 2))
    ends = np.array([evidence.of_new_seed(row[:n]) for row in draws])
    inside = (ends[:, 0] < draws[:, n]) & (draws[:, n] < ends[:, 1])
    assert inside.mean() == pytest.approx(0.95, abs=0.012)
    apart = np.array([evidence.of_two(row[:n]) for row in draws])
    assert (abs(draws[:, n] - draws[:, n + 1]) < apart).mean() == pytest.approx(0.95, abs=0.012)


def test_claims_of_studies_that_a_common_correction_would_not_keep(evidence):
    """Three of four hold; the one with p = 0.02 would not, with a limit of 0.025 / 2."""
    rows = pd.DataFrame({"verdict": ["holds", "holds", "holds", "fails"]}, index=list("abcd"))
    text = evidence.multiplicity(rows.assign(p=[0.0, 0.001, 0.02, 0.4]))
    assert text.startswith("Of 4 claims of studies that an interval judges, 3 hold.")
    assert " ".join(text.split()).endswith("1 of those that hold would no longer hold: `c`.")


def test_each_seed_that_stands_beside_the_run_has_a_column(evidence, tmp_path):
    """A difference is of one seed. One of other code, and what was not made, has no number."""
    recipes = ["own", "own", "own", "another"]
    for seed, recipe in enumerate(recipes):
        folder = tmp_path / "reports" / ("run" + f"-seed{seed}" * (seed > 0))
        recorded = {"recipes": {"02": recipe, "04": "own", "06": "own"}}
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(recorded))
        records = synthetic_rows(2)
        errors = {"rvq": [0.012, 0.014], "qinco": [0.010 + seed / 1000, 0.012 + seed / 1000]}
        rows = [
            predictions.build(records, method, 0, "mae_mv", score=values)
            for method, values in errors.items()
        ]
        predictions.write(pd.concat(rows), folder / "predictions" / "02_reconstruction.parquet")
        for file in ("04_reports", "06_answers"):
            other = predictions.build(records, "other", 0, "rouge_l", score=0.5)
            predictions.write(other, folder / "predictions" / f"{file}.parquet")
    lines = evidence.seeds(Paths(tmp_path, tmp_path, tmp_path), "run").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == [
        "number",
        "seed 0",
        "seed 1",
        "seed 2",
        "seed 3",
        "a new seed",
        "two trainings",
    ]
    assert cells[2] == [
        "error of RVQ, µV",
        "13.00",
        "13.00",
        "13.00",
        "none",
        "13.00 to 13.00",
        "0.00",
    ]
    name, *values, expected, apart = cells[4]
    assert name.startswith("error of RVQ minus") and values == ["2.00", "1.00", "0.00", "none"]
    assert expected == f"{1 - 4.302653 * math.sqrt(4 / 3):.2f} to 5.97"
    assert apart == f"{4.302653 * math.sqrt(2):.2f}"
    assert cells[6][1:] == ["none", "none", "none", "none", "-", "-"]


def synthetic_rows(n: int) -> pd.DataFrame:
    """Records of n patients with an ECG each."""
    columns = {"unit": range(n), "ecg": range(n), "site": "A", "sex": "F", "age": 50.0}
    return pd.DataFrame(columns, index=range(n))
