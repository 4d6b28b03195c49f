"""What a report states becomes predictions: worked by hand for two findings."""

import numpy as np
import pandas as pd
import pytest

from ecglib.evaluate.report_rows import report_rows
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, NOT_ASSESSABLE, PRESENT

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
    """The first and second have atrial fibrillation; of the third it cannot be told."""
    states = np.full((3, 77), ABSENT, dtype=np.int8)
    states[:2, AF] = PRESENT
    states[2, AF] = NOT_ASSESSABLE
    return states


def test_texts_and_findings_of_three_reports():
    texts, stated = report_rows(RECORDS, truth(), "m", 0, WRITTEN, [AF, SINUS])
    assert texts["prediction"].tolist() == WRITTEN["text"].tolist()
    assert texts["tokens"].tolist() == [3, 0, 2] and set(texts["target"]) == {"r"}
    of_af = stated[stated["item"] == f"finding:{AF:02d}"]
    assert of_af["ecg"].tolist() == [5, 6]  # the third is left out
    assert of_af["target"].tolist() == ["1", "1"]
    assert of_af["prediction"].tolist() == ["1", "0"]  # an empty report misses it
    of_sinus = stated[stated["item"] == f"finding:{SINUS:02d}"]
    assert of_sinus["prediction"].tolist() == ["0", "0", "1"]


def test_a_report_too_few_is_refused():
    with pytest.raises(ValueError, match="m: 3 records, 3 rows of labels and 2 reports"):
        report_rows(RECORDS, truth(), "m", 0, WRITTEN[:2], [AF])
