"""The registries are well formed, verdicts follow the rule, and merging hides nothing."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ecglib.evaluate import claims, wide_tables
from ecglib.evaluate.bootstrap import Estimate

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
OWN = {
    "id": "a.b",
    "statement": "A beats B.",
    "metric": "F1",
    "measure_unit": "F1",
    "direction": "above",
    "margin": 0.0,
    "tolerance": 0.0,
    "primary": True,
    "kind": "confirmatory",
    "registered": {"date": date(2026, 11, 20), "commit": None},
    "runs": ["laptop", "mimic-gpu"],
    "paper": None,
}
PAPER = OWN | {"id": "c", "paper": 0.2, "tolerance": 0.03, "comparable_on": ["mimic-gpu"]}
BELOW = OWN | {"direction": "below"}
REGISTRIES = sorted(NOTEBOOKS.glob("**/*claims.yaml"))
NAN = float("nan")


def test_the_committed_registry_has_the_claims_of_the_reports():
    registry = claims.load(NOTEBOOKS / "claims.yaml")
    assert {
        "report.ecg_minus_no_ecg.rouge_l",
        "report.ecg_minus_no_ecg.finding_f1",
        "report.ecg_minus_shuffled.rouge_l",
        "report.ecg_minus_shuffled.finding_f1",
        "report.share_of_oracle.finding_f1",
        "qa.ecg_minus_no_ecg.exact_match",
    } <= set(registry)
    assert registry["report.share_of_oracle.finding_f1"]["margin"] == 0.5


@pytest.mark.parametrize("path", REGISTRIES, ids=lambda path: path.stem)
def test_registered_runs_exist(path):
    """A misspelt run would make a claim "not run" for ever."""
    profiles = {file.stem for file in (NOTEBOOKS / "profiles").glob("*.yaml")} | {"overnight"}
    plans = {file.stem for file in (NOTEBOOKS / "data").glob("*.yaml")}
    runs = profiles | {f"{plan}-{profile}" for plan in plans for profile in profiles}
    for claim in claims.load(path).values():
        assert {*claim["runs"], *claim.get("comparable_on", [])} <= runs, claim["id"]


def test_withdrawn_claims_keep_their_values_and_say_why():
    withdrawn = yaml.safe_load((NOTEBOOKS / "claims_withdrawn.yaml").read_text())
    registered = {name for path in REGISTRIES for name in claims.load(path)}
    for claim in withdrawn:
        assert claim["reason"] and claim["statement"] and claim["values"], claim["id"]
        for value in claim["values"]:
            assert {"run", "commit", "value", "low", "high", "n", "verdict"} == set(value)
        assert (claim["id"] in registered) == (claim["withdrawn"]["what"] == "protocol")


@pytest.mark.parametrize(
    ("claim", "value", "low", "high", "comparable", "verdict"),
    [
        (OWN, 0.1, 0.01, 0.2, False, "holds"),
        (OWN, 0.1, 0.0, 0.2, False, "fails"),
        (OWN | {"margin": 0.5}, 0.65, 0.4, 0.9, False, "fails"),
        (OWN | {"tolerance": 0.02}, 0.05, -0.01, 0.1, False, "holds"),
        (BELOW, -0.1, -0.2, -0.01, False, "holds"),
        (BELOW, -0.1, -0.2, 0.01, False, "fails"),
        (BELOW | {"tolerance": 0.02}, -0.1, -0.2, 0.01, False, "holds"),
        (PAPER, 0.22, 0.1, 0.3, False, "not comparable"),
        (PAPER, 0.22, 0.1, 0.3, True, "holds"),
        (PAPER, 0.30, 0.1, 0.5, True, "fails"),
        (OWN, NAN, NAN, NAN, False, "cannot be computed"),
        (OWN, 0.5, NAN, NAN, False, "cannot be computed"),
        (PAPER, NAN, NAN, NAN, True, "cannot be computed"),
        (PAPER, 0.2, NAN, NAN, True, "holds"),
    ],
)
def test_own_claims_are_judged_by_their_interval_and_papers_by_their_value(
    claim, value, low, high, comparable, verdict
):
    assert claims.judge(claim, value, low, high, comparable) == verdict


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"direction": "up"}, "expected direction above or below, got 'up'"),
        ({"margin": "0.1"}, "expected a number as margin"),
        ({"extra": 1}, r"differing: \['extra'\]"),
        ({"paper": 0.3}, r"differing: \['comparable_on'\]"),
        ({"runs": []}, "expected a list as runs"),
        ({"tolerance": -1}, "expected a tolerance of 0 or more"),
        ({"registered": {"date": date(2026, 1, 1), "commit": 3e9}}, "quote the commit"),
    ],
)
def test_a_bad_registry_entry_is_named(tmp_path, change, message):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump([OWN | change]))
    with pytest.raises(ValueError, match=f"claim a.b: .*{message}"):
        claims.load(path)


MEASURED = pd.DataFrame(
    [{"id": "a.b", "value": 0.1, "low": 0.05, "high": 0.2, "n": 30, "seeds": 1, "key": "k1"}]
)
REGISTRY = {"c": PAPER, "a.b": OWN}


@pytest.mark.parametrize(
    ("data", "profile", "verdicts"),
    [
        ("synthetic", "laptop", ["not comparable", "holds"]),
        ("mimic", "gpu", ["fails", "holds"]),  # 0.1 is not within 0.03 of 0.2
        ("synthetic", "gpu", ["not run", "not run"]),
    ],
)
def test_the_run_decides_what_is_comparable_and_reported(data, profile, verdicts):
    measured = pd.concat([MEASURED, MEASURED.assign(id="c")])
    table = claims.merge(measured, REGISTRY, data, profile)
    assert list(table.columns) == claims.JUDGED and table["id"].to_list() == ["c", "a.b"]
    assert table["verdict"].to_list() == verdicts
    assert table["paper"].isna().to_list() == [False, True]
    numbers = table[["value", "low", "high", "n", "seeds", "key"]]
    assert numbers.isna().all(axis=None) == ("not run" in verdicts)


def test_a_claim_that_was_not_measured_stays_in_the_table_without_numbers():
    for measured in (MEASURED, MEASURED[:0]):
        table = claims.merge(measured, REGISTRY, "synthetic", "laptop").set_index("id")
        assert table.loc["c", "verdict"] == "not run" and pd.isna(table.loc["c", "n"])
    table = claims.merge(MEASURED, REGISTRY, "synthetic", "laptop")
    text = table.to_csv(index=False).splitlines()
    assert text[1] == "c,A beats B.,,,,,,F1,0.2,0.03,not run,"
    assert text[2] == "a.b,A beats B.,0.1,0.05,0.2,30,1,F1,,0.0,holds,k1"


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        (MEASURED.assign(id="d"), "claim d is reported, but not registered"),
        (pd.concat([MEASURED, MEASURED]), "claim a.b is reported twice"),
        (MEASURED.drop(columns="key"), "got no key"),
    ],
)
def test_merge_refuses_claims_that_do_not_fit(measured, message):
    with pytest.raises(ValueError, match=message):
        claims.merge(measured, REGISTRY, "synthetic", "laptop")


def test_claims_beside_earlier_ones():
    before = claims.merge(MEASURED, REGISTRY, "synthetic", "laptop")
    now = claims.merge(MEASURED.assign(value=0.12), REGISTRY, "synthetic", "laptop")
    rows = [["c", "not run", "not run", True], ["a.b", "0.1 holds", "0.12 holds", False]]
    assert claims.compare(now, before).to_numpy().tolist() == rows


def test_tables_show_value_and_interval():
    rows = [("rvq", "f1", 0.5, 0.4, 0.6), ("rvq", "em", *[NAN] * 3), ("vq", "f1", 0.25, NAN, NAN)]
    long = pd.DataFrame(rows, columns=["method", "metric", "value", "low", "high"])
    wide = wide_tables.wide(long, "method", "metric", digits=2).to_dict("list")
    assert wide == {"method": ["rvq", "vq"], "f1": ["0.50 [0.40, 0.60]", "0.25"], "em": ["-", "-"]}
    with pytest.raises(ValueError, match="two results"):
        wide_tables.wide(pd.concat([long, long]), "method", "metric")
    assert Estimate(0.5, 0.25, 0.75, 9).text(1, scale=100) == "50.0 [25.0, 75.0]"
