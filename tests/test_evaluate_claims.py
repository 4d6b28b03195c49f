"""The registries are well formed, verdicts follow the rule, and merging hides nothing."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml
from builds import refused

from ecglib.evaluate import claims, wide_tables
from ecglib.evaluate.bootstrap import Estimate
from ecglib.labels.label_set import CATEGORIES
from ecglib.run import profiles
from ecglib.run.context import Run

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
OWN = {"id": "a.b", "statement": "A beats B.", "metric": "F1", "measure_unit": "F1"}
OWN |= {"direction": "above", "margin": 0.0, "tolerance": 0.0, "primary": True}
OWN |= {"kind": "confirmatory", "registered": {"date": date(2026, 11, 20), "commit": None}}
OWN |= {"runs": ["laptop", "mimic-gpu"], "paper": None}
NEEDS = {"data": "mimic", "patients": 100, "base": "large"}
PAPER = OWN | {"id": "c", "paper": 0.2, "tolerance": 0.03, "requires": NEEDS}
BELOW = OWN | {"direction": "below"}
WITHIN = OWN | {"direction": "within", "margin": 0.01}
LEAST = OWN | {"margin": 0.1, "least": 0.15}
REGISTRIES = sorted(NOTEBOOKS.glob("**/*claims.yaml"))
NAN = float("nan")


def test_registered_runs_exist_and_withdrawn_claims_keep_their_values():
    """A misspelt run would make a claim "not run" for ever."""
    profiles = {file.stem for file in (NOTEBOOKS / "profiles").glob("*.yaml")}
    plans = {file.stem for file in (NOTEBOOKS / "data").glob("*.yaml")}
    runs = profiles | {f"{plan}-{profile}" for plan in plans for profile in profiles}
    registered = {}
    for path in REGISTRIES:
        registered |= claims.load(path)
    for claim in registered.values():
        assert {*claim["runs"]} <= runs, claim["id"]
        assert claim.get("requires", {"data": "mimic"})["data"] in plans, claim["id"]
    withdrawn = yaml.safe_load((NOTEBOOKS / "claims_withdrawn.yaml").read_text())
    for claim in withdrawn:
        assert claim["reason"] and claim["statement"], claim["id"]
        assert claim["values"] or "No committed run" in claim["reason"], claim["id"]
        for value in claim["values"]:
            assert {"run", "commit", "value", "low", "high", "n", "verdict"} == set(value)
        assert (claim["id"] in registered) == (claim["withdrawn"]["what"] == "protocol")


VERDICTS = [  # claim, value, low, high, whether comparable; what is reported
    (OWN, 0.1, 0.01, 0.2, False, "holds"),
    (OWN, 0.1, 0.0, 0.2, False, "fails"),
    (OWN | {"margin": 0.5}, 0.65, 0.4, 0.9, False, "fails"),
    (OWN | {"tolerance": 0.02}, 0.05, -0.01, 0.1, False, "holds"),
    (BELOW, -0.1, -0.2, -0.01, False, "holds"),
    (BELOW, -0.1, -0.2, 0.01, False, "fails"),
    (BELOW | {"tolerance": 0.02}, -0.1, -0.2, 0.01, False, "holds"),
    (OWN | {"margin": None}, 0.1, 0.01, 0.2, False, "no margin"),
    (PAPER, 0.22, 0.1, 0.3, False, "not comparable"),
    (PAPER, 0.22, 0.1, 0.3, True, "holds"),
    (PAPER, 0.30, 0.1, 0.5, True, "fails"),
    (OWN, NAN, NAN, NAN, False, "cannot be computed"),
    (OWN, 0.5, NAN, NAN, False, "cannot be computed"),
    (PAPER, NAN, NAN, NAN, True, "cannot be computed"),
    (PAPER, 0.2, NAN, NAN, True, "holds"),
    (WITHIN, 0.0, -0.009, 0.009, False, "holds"),
    (WITHIN, -0.01, -0.02, 0.0, False, "fails"),
    (WITHIN, -0.02, -0.03, -0.015, False, "fails; the opposite is shown"),
    # below the margin, and above or below zero
    (OWN | {"margin": 0.5}, 0.3, 0.2, 0.4, False, "fails"),
    (OWN | {"margin": 0.5}, -0.3, -0.4, -0.2, False, "fails; the opposite is shown"),
    (LEAST, 0.12, 0.11, 0.16, False, "fails"),
    (LEAST, 0.15, 0.11, 0.16, False, "holds (value at least 0.15, interval above 0.1)"),
]
BAD = {
    "expected direction above or below or within, got 'up'": {"direction": "up"},
    "expected a number as margin": {"margin": "0.1"},
    r"differing: \['extra'\]": {"extra": 1},
    r"differing: \['requires'\]": {"paper": 0.3},
    "expected requires {data, patients, base": {"paper": 0.3, "requires": {"data": "mimic"}},
    "expected a list as runs": {"runs": []},
    "expected a tolerance of 0 or more": {"tolerance": -1},
    "quote the commit": {"registered": {"date": date(2026, 1, 1), "commit": 3e9}},
}


def test_claims_are_judged_by_interval_or_value_and_bad_entries_are_named(tmp_path):
    for *case, verdict in VERDICTS:
        claim, _, low, high, _ = case
        assert claims.outcome(claim, claims.judge(*case), low, high) == verdict, case
    path = tmp_path / "claims.yaml"
    for message, change in BAD.items():
        path.write_text(yaml.safe_dump({"claims": [OWN | change]}))
        refused(f"claim a.b: .*{message}", claims.load, path)


def test_an_entry_with_methods_is_a_claim_for_each_and_has_the_defaults(tmp_path):
    def load(entry: dict, **content) -> dict[str, dict]:
        path.write_text(yaml.safe_dump({"claims": [entry]} | content))
        return claims.load(path)

    path = tmp_path / "claims.yaml"
    own = {"id": "mae.<method>", "statement": "The best (<method>)."}
    entry = own | {"methods": {"vq": "VQ", "bpe": "byte pairs"}}
    registry = load(OWN | entry)
    assert registry == load(entry | {"margin": 0.0}, defaults=OWN | {"margin": 3.0})
    assert sorted(registry) == ["mae.bpe", "mae.vq"]
    assert registry["mae.bpe"]["statement"] == "The best (byte pairs)."
    assert "methods" not in registry["mae.vq"] and registry["mae.vq"]["margin"] == OWN["margin"]
    refused("claim a.b: expected <method> in id", load, OWN | {"methods": {"vq": "VQ"}})
    refused("expected methods {method: name}", load, OWN | own | {"methods": []})
    refused("expected a claim as a mapping", load, [OWN])
    refused("expected a mapping with a list `claims`", load, OWN, claims=OWN)


MEASURED = pd.DataFrame(
    [{"id": "a.b", "value": 0.1, "low": 0.05, "high": 0.2, "n": 30, "seeds": 1, "key": "k1"}]
)
REGISTRY = {"c": PAPER, "a.b": OWN}
SIZES = {"cohort": {"patients": 100}, "systems": {"defaults": {"base": "large"}}}
FEW = SIZES | {"cohort": {"patients": 99}}
SMALL = SIZES | {"systems": {"defaults": {"base": "small"}}}
REPORTED = [  # data plan, profile, its content; verdicts
    ("synthetic", "laptop", SIZES, ["not comparable", "holds"]),
    ("mimic", "gpu", SIZES, ["fails", "holds"]),  # 0.1 is not within 0.03 of 0.2
    ("mimic", "gpu", FEW, ["not comparable", "holds"]),
    ("mimic", "gpu", SMALL, ["not comparable", "holds"]),
    ("synthetic", "gpu", SIZES, ["not run", "not run"]),
]


def plan(source: str) -> dict:
    """A data plan with one cohort."""
    return {"cohorts": {"a": {"source": source}}, "roles": {"test": ["a"]}}


def test_numbers_of_a_tokenizer_are_comparable_on_the_papers_data_without_a_cut():
    registry = claims.load(NOTEBOOKS / "studies" / "utilisation_claims.yaml")
    requires = registry["codes.utilisation.qinco"]["requires"]
    comparable = {
        f"{data}-{profile}"
        for data in profiles.names(NOTEBOOKS / "data")
        for profile in profiles.names(NOTEBOOKS / "profiles")
        for run in [Run(profile, data, 0, "", [], [])]
        if claims.is_comparable(requires, run.plan, run.profile)
    }
    assert comparable == {"mimic-gpu", "mimic_to_ptbxl-gpu", "paper-gpu"}


def test_the_run_decides_what_is_comparable_and_reported_and_runs_are_compared():
    measured = pd.concat([MEASURED, MEASURED.assign(id="c")])
    for data, profile, sizes, verdicts in REPORTED:
        table = claims.merge(measured, REGISTRY, data, profile, plan(data), sizes)
        assert list(table.columns) == claims.JUDGED and table["id"].to_list() == ["c", "a.b"]
        assert table["verdict"].to_list() == verdicts
        assert table["paper"].isna().to_list() == [False, True]
        numbers = table[["value", "low", "high", "n", "seeds", "key"]]
        assert numbers.isna().all(axis=None) == ("not run" in verdicts)
    run = (REGISTRY, "synthetic", "laptop", plan("synthetic"), SIZES)
    none = claims.merge(MEASURED[:0], *run)
    assert none["verdict"].eq("not run").all() and none["n"].isna().all()
    before = claims.merge(MEASURED, *run)
    text = before.to_csv(index=False).splitlines()
    assert text[1] == "c,A beats B.,True,,,,,,F1,0.2,0.03,,not run,"
    assert text[2] == "a.b,A beats B.,True,0.1,0.05,0.2,30,1,F1,,0.0,0.004484,holds,k1"
    now = claims.merge(MEASURED.assign(value=0.12), *run)
    rows = [["c", "not run", "not run", True], ["a.b", "0.1 holds", "0.12 holds", False]]
    assert claims.compare(now, before).to_numpy().tolist() == rows
    refused("claim d is reported, but not", claims.merge, MEASURED.assign(id="d"), *run)
    refused("claim a.b is reported twice", claims.merge, pd.concat([MEASURED, MEASURED]), *run)
    refused("got no key", claims.merge, MEASURED.drop(columns="key"), *run)


JUST = {"value": 2.0, "low": 0.02, "high": 3.98}  # p = 0.0239 by itself
CERTAIN = {"value": 2.0, "low": 2.0, "high": 2.0}  # an interval of no width
AGAINST = {"value": -2.0, "low": -2.0, "high": -2.0}
FAMILIES = [  # numbers of primary claims, their corrected p-values and verdicts
    ([JUST], [0.0239], ["holds"]),
    ([JUST, CERTAIN], [0.0239, 0], ["holds", "holds"]),
    ([JUST, AGAINST], [0.0478, 1], ["fails", "fails"]),
    ([JUST, JUST, CERTAIN], [0.0478, 0.0478, 0], ["fails", "fails", "holds"]),
    ([JUST, dict.fromkeys(JUST, NAN)], [0.0239, NAN], ["holds", "cannot be computed"]),
    ([JUST, JUST | {"low": -3.98}], [0.0477, 0.1623], ["fails", "fails"]),
]


def test_primary_claims_of_our_own_are_corrected_by_holm():
    beside = [OWN | {"id": "open", "primary": False}, PAPER]  # not corrected, and not counted
    for family, p_holm, verdicts in FAMILIES:
        names = [*map(str, range(len(family))), "open", "c"]
        registry = {name: OWN | {"id": name} for name in names} | {c["id"]: c for c in beside}
        rows = [MEASURED.iloc[0].to_dict() | numbers for numbers in [*family, JUST, JUST]]
        measured = pd.DataFrame(rows).assign(id=names)
        table = claims.merge(measured, registry, "synthetic", "laptop", plan("synthetic"), SIZES)
        assert table["p_holm"][:-2].to_list() == pytest.approx(p_holm, abs=1e-4, nan_ok=True)
        assert table["p_holm"][-2:].isna().all()
        assert table["verdict"].to_list() == [*verdicts, "holds", "not comparable"]


def test_tables_show_value_and_interval():
    rows = [("rvq", "f1", 0.5, 0.4, 0.6), ("rvq", "em", *[NAN] * 3), ("vq", "f1", 0.25, NAN, NAN)]
    long = pd.DataFrame(rows, columns=["method", "metric", "value", "low", "high"])
    wide = wide_tables.wide(long, "method", "metric", digits=2).to_dict("list")
    assert wide == {"method": ["rvq", "vq"], "f1": ["0.50 [0.40, 0.60]", "0.25"], "em": ["-", "-"]}
    refused("two results", wide_tables.wide, pd.concat([long, long]), "method", "metric")
    assert Estimate(0.5, 0.25, 0.75, 9).text(1, scale=100) == "50.0 [25.0, 75.0]"


def test_figure_2_as_a_table_has_the_order_of_the_paper():
    numbers = {"value": 0.934, "low": 0.9, "high": 0.95}
    rows = [{"method": "vq", "category": name} | numbers for name in (*CATEGORIES, "All")]
    table = wide_tables.by_category(pd.DataFrame(rows), ["qinco", "vq"])
    heads = ["Rhythm", "Conduction", "Chamber", "Pericarditis", "Infarction", "Other"]
    assert list(table.columns) == ["method", *heads]
    assert table["method"].tolist() == ["qinco", "vq"]
    assert set(table.iloc[0, 1:]) == {"-"} and set(table.iloc[1, 1:]) == {"0.93 [0.90, 0.95]"}
    overall = wide_tables.by_category(pd.DataFrame(rows), ["vq"], overall=True)
    assert overall.columns[-1] == "All"
    assert {*wide_tables.FIGURE_2} == {*CATEGORIES}
