"""What the labeller reads in a cohort's reports, beside the cohort's labels.

Of simulated ECGs the labels are the truth of the waveform, so what a report leaves out or doubts
shows as a miss. Of real ones they are another reading of the same ECG, or of the same words.
"""

import numpy as np
import pandas as pd

from ecglib.labels.findings import FINDINGS, SCORED
from ecglib.labels.label_set import ABSENT, LABELS, PRESENT, UNCERTAIN, column
from ecglib.labels.labeller import read_labels
from ecglib.simulator import report_text

_UNREAD = -9  # the report does not mention the label
_COLUMNS = (
    *("label", "finding", "present", "plain", "hedged", "unsaid", "read", "doubted", "false"),
    *("precision", "recall_of_said", "recall", "f1"),
)


def _states(said: list[dict[int, int] | None]) -> np.ndarray:
    """int8 (n, 77) from dicts label -> state; a report that gives None is unread throughout."""
    table = np.full((len(said), len(LABELS)), _UNREAD, dtype=np.int8)
    for row, states in zip(table, said, strict=True):
        for label, state in (states or {}).items():
            row[label] = state
    return table


def agreement(records: pd.DataFrame) -> pd.DataFrame:
    """Labels beside what their reports say, for every scored finding that is there at least once.

    Only present counts as read, as when generated reports are scored. ECGs without a report, and
    cells that are neither absent nor present, are left out.

    Args:
        records: a cohort's table: site, report and the columns of the labels.

    Returns:
        one row a finding in stating order: label, finding, present (ECGs), plain, hedged and unsaid
        (percent of them, by the words that were drawn; NaN where no report is a simulated one's),
        read and doubted (percent of them that the labeller reads as present and as uncertain),
        false (ECGs read as present without it), precision, recall_of_said (of those stated
        plainly), recall and f1.
    """
    records = records[records["report"] != ""]
    read = _states([read_labels(report) for report in records["report"]])
    drawn = [
        report_text.written_states(*pair)
        for pair in zip(records["report"], records["site"], strict=True)
    ]
    known = np.array([one is not None for one in drawn], dtype=bool)
    said = _states(drawn)
    rows = []
    for label in SCORED:
        states = records[column(label)].to_numpy()
        there, seen = states == PRESENT, read[:, label] == PRESENT
        if not there.any():
            continue
        plain = there & (said[:, label] == PRESENT)
        hedged, simulated = there & (said[:, label] == UNCERTAIN), there & known
        hits, false = int((there & seen).sum()), int((seen & (states == ABSENT)).sum())
        rows.append(
            {
                "label": label,
                "finding": FINDINGS[label].name,
                "present": int(there.sum()),
                "plain": _percent(plain.sum(), simulated.sum()),
                "hedged": _percent(hedged.sum(), simulated.sum()),
                "unsaid": _percent((simulated & ~plain & ~hedged).sum(), simulated.sum()),
                "read": _percent(hits, there.sum()),
                "doubted": _percent((there & (read[:, label] == UNCERTAIN)).sum(), there.sum()),
                "false": false,
                "precision": _share(hits, hits + false),
                "recall_of_said": _share((plain & seen).sum(), plain.sum()),
                "recall": _share(hits, there.sum()),
                "f1": _share(2 * hits, hits + false + there.sum()),
            }
        )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def total(table: pd.DataFrame) -> dict[str, float]:
    """Micro precision, recall and F1 over the findings of an `agreement`, and the share doubted."""
    hits, there = (table["recall"] * table["present"]).sum(), table["present"].sum()
    false = table["false"].sum()
    return {
        "precision": _share(hits, hits + false),
        "recall": _share(hits, there),
        "f1": _share(2 * hits, hits + false + there),
        "doubted": _share((table["doubted"] * table["present"]).sum() / 100, there),
    }


def examples(records: pd.DataFrame, each: int = 3, least: int = 3) -> pd.DataFrame:
    """Some reports of the two largest sites beside their labels.

    Args:
        records: a cohort's table.
        each: reports a site, the first ones with `least` findings or more.

    Returns:
        columns site, report, there (names of the findings; those that the labeller does not read
        as present in brackets).
    """
    rows = []
    there = np.stack([records[column(label)].to_numpy() == PRESENT for label in FINDINGS], axis=1)
    full = records[(there.sum(axis=1) >= least) & (records["report"] != "").to_numpy()]
    for site in sorted(full["site"].value_counts().index[:2]):
        for _, record in full[full["site"] == site].head(each).iterrows():
            read = read_labels(record["report"])
            names = [
                finding.name if read.get(label) == PRESENT else f"({finding.name})"
                for label, finding in FINDINGS.items()
                if record[column(label)] == PRESENT
            ]
            rows.append({"site": site, "report": record["report"], "there": ", ".join(names)})
    return pd.DataFrame(rows, columns=["site", "report", "there"])


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _percent(part: float, whole: float) -> float:
    return 100 * _share(part, whole)
