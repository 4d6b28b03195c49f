"""Metrics of reports: overlap and findings by hand, and findings against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score

from ecglib.evaluate import finding_agreement, predictions, text_overlap
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT


def rows(item, target, prediction, units=None, method="ecg_tok") -> pd.DataFrame:
    n = len(target)
    units = np.arange(n) if units is None else units
    people = pd.DataFrame({"unit": units, "ecg": np.arange(n), "site": "A", "sex": "", "age": 50})
    return predictions.build(people, method, 0, item, target, prediction)


def test_overlap_by_hand():
    """Reference "a b c d", output "a c b d": all words shared, longest common sequence 3 of 4."""
    rouge_1, rouge_l, bleu = text_overlap.overlap("A b c d.", "a c b d")
    assert rouge_1 == pytest.approx(1.0) and rouge_l == pytest.approx(0.75)
    # bigrams 0 of 3, trigrams 0 of 2, one 4-gram missed; method 1 puts 0.1 in place of 0
    assert bleu == pytest.approx((1.0 * 0.1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25)
    assert text_overlap.overlap("Sinus rhythm, 72/min.", "sinus rhythm 72 / min") == pytest.approx(
        (1, 1, 1)
    )


def test_empty_outputs_score_zero_and_are_counted():
    frame = rows("report", ["sinus rhythm", "atrial flutter"], ["", "atrial flutter"])
    scored = text_overlap.scores(frame)
    assert len(scored) == 6 and set(scored["item"]) == set(text_overlap.METRICS)
    assert scored[scored["ecg"] == 0]["score"].eq(0).all()
    assert text_overlap.empty_outputs(frame).to_dict("records") == [
        {"method": "ecg_tok", "empty": 1, "n": 2}
    ]


def test_an_empty_reference_is_refused_by_ecg():
    with pytest.raises(ValueError, match="ecg 1: the reference report is empty"):
        text_overlap.scores(rows("report", ["a", " . "], ["a", "a"]))


def test_finding_counts_and_f1_by_hand():
    """True 06 in two ECGs, stated in one, and one false 07: tp 1, fp 1, fn 1, F1 1/2."""
    frame = rows(
        ["finding:06", "finding:06", "finding:07", "finding:07", "finding:00", "finding:00"],
        ["1", "1", "0", "0", "1", "1"],
        ["1", "0", "1", "0", "1", "1"],
        units=[0, 1, 0, 1, 0, 1],
    )
    assert finding_agreement.counts(frame).tolist() == [[1, 1, 0], [0, 0, 1]]  # 00 is trivial
    for name in finding_agreement.MEASURES:
        assert finding_agreement.micro(frame, name).value == pytest.approx(0.5)


def test_findings_agree_with_sklearn():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (2, 50, 4))
    items = np.tile([f"finding:{i:02d}" for i in (6, 7, 8, 9)], 50)
    units = np.repeat(np.arange(50) // 2, 4)
    frame = rows(items, y.ravel().astype(str), p.ravel().astype(str), units)
    assert finding_agreement.micro(frame).value == pytest.approx(f1_score(y, p, average="micro"))
    assert finding_agreement.macro_f1(frame).value == pytest.approx(f1_score(y, p, average="macro"))
    expected = precision_score(y, p, average="micro")
    assert finding_agreement.micro(frame, "precision").value == pytest.approx(expected)
    table = finding_agreement.by_finding(frame)
    assert table["f1"].to_list() == pytest.approx(f1_score(y, p, average=None).tolist())


def test_saying_nothing_has_recall_0_f1_0_and_no_precision():
    frame = rows("finding:06", ["1", "1", "0"], ["0", "0", "0"])
    values = [finding_agreement.micro(frame, name).value for name in finding_agreement.MEASURES]
    assert np.isnan(values[0]) and values[1:] == [0.0, 0.0]


def test_share_of_oracle_is_joint_and_differences_are_paired():
    truth = ["1"] * 6 + ["0"] * 6
    oracle = rows("finding:06", truth, truth)
    floor = rows("finding:06", truth, ["0"] * 12)
    assert finding_agreement.share_of_oracle(oracle, floor, oracle).low == 1.0
    assert finding_agreement.share_of_oracle(floor, floor, oracle).high == 0.0
    assert finding_agreement.difference(oracle, floor).value == 1.0
    assert finding_agreement.difference(floor, floor).high == 0.0
    assert finding_agreement.share_of_oracle(floor, oracle, floor).value == -np.inf


AF, SINUS = (
    next(label for label, finding in FINDINGS.items() if finding.name == name)
    for name in ("atrial fibrillation", "sinus rhythm")
)
RECORDS = pd.DataFrame(
    {"unit": [0, 0, 1], "ecg": [5, 6, 7], "site": "A", "sex": "F", "age": 50.0, "report": "r"}
)
WRITTEN = pd.DataFrame(
    {"text": ["Atrial fibrillation.", "", "Sinus rhythm."], "tokens": [3, 0, 2]}
).assign(stop_reason="end")


def truth() -> np.ndarray:
    """The first and second have atrial fibrillation; it is not assessable in the third."""
    states = np.full((3, 77), ABSENT, dtype=np.int8)
    states[:2, AF] = PRESENT
    states[2, AF] = NOT_ASSESSABLE
    return states


def test_texts_and_findings_of_three_reports():
    texts, stated = finding_agreement.read_reports(RECORDS, truth(), "m", 0, WRITTEN, [AF, SINUS])
    assert texts["prediction"].tolist() == WRITTEN["text"].tolist()
    assert texts["tokens"].tolist() == [3, 0, 2] and set(texts["target"]) == {"r"}
    of_af = stated[stated["item"] == f"finding:{AF:02d}"]
    assert of_af["ecg"].tolist() == [5, 6]  # the third is left out
    assert of_af["target"].tolist() == ["1", "1"]
    assert of_af["prediction"].tolist() == ["1", "0"]  # an empty report misses it
    of_sinus = stated[stated["item"] == f"finding:{SINUS:02d}"]
    assert of_sinus["prediction"].tolist() == ["0", "0", "1"]


def test_a_report_too_few_is_refused():
    with pytest.raises(ValueError, match="got 3 records, 3 rows of labels and 2 reports"):
        finding_agreement.read_reports(RECORDS, truth(), "m", 0, WRITTEN[:2], [AF])
