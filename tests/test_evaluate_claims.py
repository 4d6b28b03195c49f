"""The registry is well formed, verdicts follow the rule, and merging hides nothing."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from ecglib.evaluate import claims, wide_tables
from ecglib.evaluate.bootstrap import Estimate

REGISTRY = Path(__file__).parents[1] / "notebooks" / "claims.yaml"
OWN = {
    "id": "a.b",
    "statement": "A beats B.",
    "metric": "F1",
    "direction": "above",
    "margin": 0.0,
    "tolerance": 0.0,
    "primary": True,
    "seeds": 1,
    "paper": None,
}


def test_the_committed_registry_loads_and_has_the_claims_of_the_reports():
    registry = claims.load(REGISTRY)
    assert {
        "report.ecg_minus_no_ecg.rouge_l",
        "report.ecg_minus_no_ecg.finding_f1",
        "report.ecg_minus_shuffled.rouge_l",
        "report.ecg_minus_shuffled.finding_f1",
        "report.share_of_oracle.finding_f1",
        "qa.ecg_minus_no_ecg.exact_match",
    } <= set(registry)
    assert registry["report.share_of_oracle.finding_f1"]["margin"] == 0.5


@pytest.mark.parametrize(
    ("change", "low", "high", "verdict"),
    [
        ({}, 0.01, 0.2, "holds"),
        ({}, 0.0, 0.2, "fails"),
        ({}, float("nan"), float("nan"), "fails"),
        ({"margin": 0.5}, 0.4, 0.9, "fails"),
        ({"tolerance": 0.02}, -0.01, 0.1, "holds"),
        ({"direction": "below"}, -0.2, -0.01, "holds"),
        ({"direction": "below"}, -0.2, 0.01, "fails"),
        ({"direction": "below", "tolerance": 0.02}, -0.2, 0.01, "holds"),
    ],
)
def test_own_claims_are_judged_by_their_interval(change, low, high, verdict):
    assert claims.judge(OWN | change, (low + high) / 2, low, high, comparable=False) == verdict


def test_the_papers_numbers_are_judged_only_where_comparable():
    paper = OWN | {"paper": 0.542, "tolerance": 0.03}
    assert claims.judge(paper, 0.55, 0.5, 0.6, comparable=False) == "not comparable"
    assert claims.judge(paper, 0.55, 0.5, 0.6, comparable=True) == "holds"
    assert claims.judge(paper, 0.70, 0.5, 0.8, comparable=True) == "fails"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"direction": "up"}, "direction is above or below"),
        ({"margin": "0.1"}, "margin must be a number"),
        ({"extra": 1}, "missing or unknown"),
    ],
)
def test_a_bad_registry_entry_is_named(tmp_path, change, message):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump([OWN | change]))
    with pytest.raises(ValueError, match=f"claim a.b.*{message}"):
        claims.load(path)


MEASURED = pd.DataFrame(
    [{"id": "a.b", "value": 0.1, "low": 0.05, "high": 0.2, "n": 30, "key": "k1"}]
)


def test_merge_judges_in_the_order_of_the_registry():
    registry = {"c": OWN | {"id": "c", "paper": 0.2}, "a.b": OWN}
    measured = pd.concat([MEASURED, MEASURED.assign(id="c")])
    table = claims.merge(measured, registry, comparable=False)
    assert list(table.columns) == claims.JUDGED
    assert table["id"].to_list() == ["c", "a.b"]
    assert table["verdict"].to_list() == ["not comparable", "holds"]
    assert table["n"].to_list() == [30, 30] and table["paper"].isna().to_list() == [False, True]


def test_merge_refuses_repeated_unregistered_and_unreported_claims():
    with pytest.raises(ValueError, match=r"unregistered \['a.b'\]"):
        claims.merge(MEASURED, {}, comparable=False)
    with pytest.raises(ValueError, match=r"not reported \['c'\]"):
        claims.merge(MEASURED, {"a.b": OWN, "c": OWN | {"id": "c"}}, comparable=False)
    with pytest.raises(ValueError, match="reported twice"):
        claims.merge(pd.concat([MEASURED, MEASURED]), {"a.b": OWN}, comparable=False)
    with pytest.raises(ValueError, match="lack the columns key"):
        claims.merge(MEASURED.drop(columns="key"), {"a.b": OWN}, comparable=False)


def test_tables_show_value_and_interval():
    long = pd.DataFrame(
        {
            "method": ["rvq", "rvq", "vq"],
            "metric": ["f1", "em", "f1"],
            "value": [0.5, float("nan"), 0.25],
            "low": [0.4, float("nan"), float("nan")],
            "high": [0.6, float("nan"), float("nan")],
        }
    )
    wide = wide_tables.wide(long, "method", "metric", digits=2)
    assert wide.to_dict("list") == {
        "method": ["rvq", "vq"],
        "f1": ["0.50 [0.40, 0.60]", "0.25"],
        "em": ["-", "-"],
    }
    with pytest.raises(ValueError, match="two results"):
        wide_tables.wide(pd.concat([long, long]), "method", "metric")
    assert Estimate(0.5, 0.25, 0.75, 9).text(1, scale=100) == "50.0 [25.0, 75.0]"
