"""How firmly a text states a finding: present, hedged, denied, or not at all.

A hedge is a statement ("consider ...", "cannot rule out ...", "old ...", "age undetermined"): it
counts as stated where the finding is true, and as an invention where it is not. Prediction rows of
findings have prediction "1" for what is stated, and one of these degrees as score.

Words that leave the wall open ("ST elevation") state no finding.
"""

from ecglib.labels.clauses import clauses
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, HISTORY, PRESENT, UNCERTAIN, Label
from ecglib.labels.labeller import read_clause

STATED, HEDGED, UNMENTIONED, DENIED = 1.0, 0.5, 0.0, -1.0
_DEGREE = {PRESENT: STATED, UNCERTAIN: HEDGED, HISTORY: HEDGED, ABSENT: DENIED}


def read_degrees(text: str) -> dict[Label, float]:
    """STATED, HEDGED or DENIED for each finding that a text mentions.

    Of several clauses about one finding the most affirmative counts: "No LVH. Possible LVH." is a
    hedge, because a reader of the report may act on it.
    """
    degrees: dict[Label, float] = {}
    for clause in clauses(text):
        for label, state in read_clause(clause)[0]:
            if label in FINDINGS and state in _DEGREE:
                degrees[label] = max(_DEGREE[state], degrees.get(label, DENIED))
    return degrees
