"""Scores of words against findings, on tables whose correlations are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builds import refused
from scipy.stats import spearmanr

from ecglib.evaluate import word_scores

REPORTS = Path(__file__).resolve().parents[1] / "reports"


def example(systems: int, reports: int, noise: float) -> pd.DataFrame:
    """Systems of rising quality; `words` follows the findings but for noise, `against` opposes."""
    draw = np.random.default_rng(0)
    parts = []
    for number in range(systems):
        findings = np.clip(number / systems + 0.2 * draw.normal(size=reports), 0, 1).round(1)
        words = findings + noise * draw.normal(size=reports)
        part = {"method": f"m{number}", "unit": np.arange(reports) // 2, "ecg": np.arange(reports)}
        part |= {"findings": findings, "words": words, "against": -findings}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def test_correlations_over_systems_and_within_them_are_those_of_spearman():
    table = example(6, 80, 0.3)
    means = table.groupby("method")[["findings", "words"]].mean()
    expected = spearmanr(means["findings"], means["words"]).statistic
    assert word_scores.over_systems(table, "words").value == pytest.approx(expected)
    assert word_scores.over_systems(table, "against").value == pytest.approx(-1)
    each = [spearmanr(of["findings"], of["words"]).statistic for _, of in table.groupby("method")]
    value = word_scores.within_systems(table, "words")
    assert value.value == pytest.approx(np.mean(each)) and value.low < value.value < value.high
    assert value.n == 40
    gap = word_scores.within_difference(table, "words", "against")
    assert gap.value == pytest.approx(np.mean(each) + 1)
    # a system with one report for all has no correlation, and the others keep theirs
    flat = table[table["method"] == "m0"].assign(method="flat", words=0.5)
    both = pd.concat([table, flat], ignore_index=True)
    assert word_scores.within_systems(both, "words").value == pytest.approx(np.mean(each))
    refused("not aligned", word_scores.over_systems, table[1:], "words")
    other = table.assign(ecg=table["ecg"] + (table["method"] == "m0"))
    refused("not aligned", word_scores.within_systems, other, "words")
    holes = table.assign(words=table["words"].where(table.index != 3))
    refused("m0: 1 reports have no words", word_scores.over_systems, holes, "words")


def test_a_difference_is_over_systems_that_have_both_scores():
    table = example(4, 60, 0.3)
    table["part"] = table["words"].where(table["method"] != "m3", 0.5)
    gap = word_scores.within_difference(table, "words", "part").value
    assert gap == pytest.approx(0.0, abs=1e-9)  # m3, whose `part` is one value, counts in neither


def test_within_an_ecg_systems_are_compared():
    table = example(6, 40, 0.3)
    each = [spearmanr(of["findings"], of["words"]).statistic for _, of in table.groupby("ecg")]
    assert word_scores.within_ecgs(table, "words").value == pytest.approx(np.nanmean(each))
    assert word_scores.within_ecgs(table, "against").value == pytest.approx(-1)


def test_what_exchanged_ecgs_keep_is_a_ratio_of_means():
    own = example(1, 40, 0.0).assign(words=0.8)
    value = word_scores.kept(own, own.assign(words=0.2), "words")
    assert value.value == pytest.approx(0.25) == value.low


def test_a_table_counts_findings_by_report_and_keeps_scores_of_words():
    states = [("1", "1"), ("0", "1"), ("1", "0"), ("0", "0")]  # true, invented, missing, right
    rows = [
        {"ecg": ecg, "item": f"finding:{label:02d}", "target": target, "prediction": stated}
        for ecg, labels in ((0, (0, 1, 2)), (1, (3,)))
        for label, (target, stated) in zip((15, 28, 53, 66), states, strict=True)
        if label in [(15, 28, 53, 66)[i] for i in labels]
    ]
    rows += [{"ecg": ecg, "item": "rouge_l", "target": "", "prediction": ""} for ecg in (0, 1)]
    rows = pd.DataFrame(rows).assign(method="m", seed=0, unit=0, score=0.5)
    table = word_scores.table(rows).set_index("ecg")
    assert table["findings"].to_dict() == {0: 0.5, 1: 1.0}  # 2 / (2 + 1 + 1); nothing to state
    assert (table["rouge_l"] == 0.5).all()


def test_the_committed_study_is_about_the_reports_that_are_committed():
    """Its marks are those of the saved texts, so no study was made again after it."""
    for folder in REPORTS.glob("*-study-word_scores"):
        sources = pd.read_parquet(folder / "predictions" / "study_sources.parquet")
        run = folder.name.removesuffix("-study-word_scores")
        for source, of in sources.groupby("source"):
            name, number = (run, source) if source.isdigit() else (f"{run}-study-{source}", "study")
            file = REPORTS / name / "predictions" / f"{number}_texts.parquet"
            texts = dict(iter(pd.read_parquet(file).groupby("method")))
            for one in of.itertuples():
                content = texts[one.method][["ecg", "prediction"]]
                mark = pd.util.hash_pandas_object(content, index=False).sum()
                assert str(mark) == one.mark, (source, one.method)
