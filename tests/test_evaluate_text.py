"""Report metrics: hand-computed overlap, findings as a ratio of sums, answers as sets."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score

from ecglib.evaluate import exact_match, finding_agreement, predictions, text_overlap


def rows(item, target, prediction, units=None, method="ecg_tok") -> pd.DataFrame:
    n = len(target)
    units = np.arange(n) if units is None else units
    people = pd.DataFrame({"unit": units, "ecg": np.arange(n), "site": "A", "sex": "", "age": 50})
    return predictions.rows(people, method, 0, item, target, prediction)


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
    """True 06 in two ECGs, found in one, and one false 07: tp 1, fp 1, fn 1, F1 1/2."""
    frame = rows(
        ["finding:06", "finding:06", "finding:07", "finding:07", "finding:00", "finding:00"],
        ["1", "1", "0", "0", "1", "1"],
        ["1", "0", "1", "0", "1", "1"],
        units=[0, 1, 0, 1, 0, 1],
    )
    counts = finding_agreement.counts(frame, exclude={0})
    assert counts.to_numpy().tolist() == [[1, 1, 0], [0, 0, 1]]
    for name in finding_agreement.MEASURES:
        assert finding_agreement.micro(frame, name, exclude={0}).value == pytest.approx(0.5)
    assert finding_agreement.micro(frame).value == pytest.approx(0.5)  # sinus rhythm is trivial


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


@pytest.mark.parametrize(
    ("target", "prediction", "right"),
    [
        ("yes", " Yes.", True),
        ("lvh, sinus rhythm", "Sinus  rhythm, LVH", True),
        ("lvh", "lvh, sinus rhythm", False),
        ("none", "", False),
        ("", "", False),
    ],
)
def test_answers_match_as_sets(target, prediction, right):
    assert exact_match.matches(target, prediction) is right


def test_exact_match_by_type_and_overall():
    """2 of 2 verify, 0 of 1 choose, 1 of 1 query: overall 3 of 4 questions, not the type mean."""
    frame = rows(
        ["verify:06", "verify:06", "choose:06", "query:rhythm"],
        ["yes", "no", "both", "atrial flutter"],
        ["yes", "no", "none", "Atrial flutter."],
        units=[0, 1, 0, 1],
    )
    table = exact_match.summary(frame).set_index("type")
    assert table["value"].to_dict() == {"verify": 1.0, "choose": 0.0, "query": 1.0, "all": 0.75}
    assert table["questions"].to_dict() == {"verify": 2, "choose": 1, "query": 1, "all": 4}
