"""The probe through the report templates: targets from reports, thresholds, predicted states."""

import numpy as np
import pandas as pd
import pytest
from _cohort import write_cohort
from builds import read_findings
from sklearn.metrics import f1_score

from ecglib.classify import label_thresholds, report_targets
from ecglib.classify.targets import score_table
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT, UNCERTAIN, Label
from ecglib.language import floors
from ecglib.signals.leads import SAMPLES
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


def test_targets_are_what_the_report_states(tmp_path):
    """Mentioned, doubted and not mentioned findings; labels that no report states are unknown."""
    reports = ["Sinus rhythm. Left bundle branch block.", "Possible left bundle branch block.", ""]
    states = report_targets.report_states(reports)
    assert states[0, Label.LBBB] == PRESENT and states[1, Label.LBBB] == UNCERTAIN
    assert states[0, Label.SINUS_RHYTHM] == PRESENT and states[0, Label.AFIB] == ABSENT
    opened = report_targets.report_states(
        ["Cannot exclude left bundle branch block, T wave changes."]
    )
    assert opened[0, Label.LBBB] not in (PRESENT, ABSENT)
    unstated = [label for label in Label if label not in FINDINGS]
    assert (states[:, unstated] == NOT_ASSESSABLE).all() and (states[2] == NOT_ASSESSABLE).all()
    record = {"signal": np.zeros((12, SAMPLES), np.float32), "labels": np.zeros(77, np.int8)}
    records = [
        record | {"ecg_id": f"e{i}", "patient_id": f"p{i}", "report": report}
        for i, report in enumerate(reports)
    ]
    for i, one in enumerate(records):
        one["signal"] = one["signal"] + i  # equal signals would count once
    write_cohort(tmp_path / "cohort", records, seed=0)
    report_targets.make_targets(tmp_path, {"cohort": tmp_path / "cohort"}, {}, 0, MACHINE)
    written = pd.read_parquet(tmp_path / "targets.parquet")
    assert list(written.columns) == [label.name.lower() for label in Label]
    assert (written.to_numpy() == states).all() and set(written.dtypes.astype(str)) == {"int8"}


def test_thresholds_have_the_highest_f1_of_all():
    """Against every other threshold, computed by scikit-learn; scores have ties."""
    rng = np.random.default_rng(0)
    target = (rng.random((60, 4)) < 0.3).astype(np.float32)
    known, score = rng.random((60, 4)) < 0.8, rng.integers(0, 12, (60, 4)) / 12 + 0.2 * target
    target[:, 3] = 0
    chosen = label_thresholds.best_f1(target, known, score)
    assert np.isinf(chosen[3])
    for label in range(3):
        truth, of = target[known[:, label], label], score[known[:, label], label]
        by_hand = {t: f1_score(truth, of >= t) for t in np.unique(of)}
        best = max(by_hand.values())
        assert by_hand[chosen[label]] == pytest.approx(best)
        assert chosen[label] == max(t for t, f1 in by_hand.items() if f1 > best - 1e-9)


def test_predicted_labels_become_a_report_that_says_them():
    """Two labels, thresholds 0.6 and 0.3 from validation, which themselves are present; the report
    of row 5 names both."""
    labels, rows = [int(Label.AFIB), int(Label.LBBB)], np.arange(6)
    scores = np.array([[0.6, 0.1], [0.5, 0.3], [0.9, 0.3], [0.1, 0.2], [0.5, 0.9], [0.6, 0.3]])
    states = np.full((6, 77), NOT_ASSESSABLE, np.int8)
    states[:4, labels] = [[1, 0], [0, 1], [1, 1], [UNCERTAIN, 0]]
    states[4:] = PRESENT  # test rows, which must not be read
    table = score_table(rows, labels, scores).sample(frac=1, random_state=0)
    predicted = label_thresholds.predicted_states(table, states, np.arange(4), np.array([5, 4]))
    assert predicted[:, labels].tolist() == [[1, 1], [0, 1]] and (predicted == PRESENT).sum() == 3
    assert (predicted == NOT_ASSESSABLE).sum() == 2 * 75  # of the labels that no ECG was read for
    reports = floors.template_reports(predicted, ["A", "a real hospital"])
    stated = [{i for i, s in read_findings(text).items() if s == PRESENT} for text in reports]
    assert [s >= {Label.LBBB} for s in stated] == [True, True]
    assert [Label.AFIB in s for s in stated] == [True, False]
