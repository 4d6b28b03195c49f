"""Labels read from a cohort's reports, compared with the cohort's labels.

For simulated ECGs the labels are the truth of the waveform, so a finding that the report omits or
hedges counts as a miss. For real ECGs they are another reading of the same ECG or the same words.
"""

import numpy as np
import pandas as pd

from ecglib.labels.findings import FINDINGS, SCORED
from ecglib.labels.label_set import ABSENT, LABELS, PRESENT, UNCERTAIN, column
from ecglib.labels.labeller import read_labels
from ecglib.simulator import report_text

_UNREAD = -9  # the report does not mention the label
_COLUMNS = (
    *("label", "finding", "present", "plain", "hedged", "unstated", "read", "doubted", "false"),
    *("precision", "recall_of_stated", "recall", "f1"),
)


def agreement(records: pd.DataFrame) -> pd.DataFrame:
    """Compare labels and reports, for every scored finding that is present at least once.

    Only "present" counts as read, as in the scores of generated reports. ECGs without a report, and
    labels that are neither absent nor present, are left out.

    Args:
        records: a cohort's table: site, report and the columns of the labels.

    Returns:
        one row per finding in stating order: label, finding, present (ECGs), plain, hedged and
        unstated (percent of them, by the words that were drawn; NaN where no report is
        simulated), read and doubted (percent of them that the labeller reads as present and as
        uncertain), false (ECGs read as present without it), precision, recall_of_stated (of those
        stated plainly), recall and f1.
    """
    records = records[records["report"] != ""]
    read = _states([read_labels(report) for report in records["report"]])
    written = [
        report_text.written_states(*pair)
        for pair in zip(records["report"], records["site"], strict=True)
    ]
    simulated = np.array([labels is not None for labels in written], dtype=bool)
    written = _states(written)
    rows = []
    for label in SCORED:
        states = records[column(label)].to_numpy()
        present, seen = states == PRESENT, read[:, label] == PRESENT
        if not present.any():
            continue
        plain = present & (written[:, label] == PRESENT)
        hedged, known = present & (written[:, label] == UNCERTAIN), present & simulated
        count = int(present.sum())
        hits, false = int((present & seen).sum()), int((seen & (states == ABSENT)).sum())
        rows.append(
            {
                "label": label,
                "finding": FINDINGS[label].name,
                "present": count,
                "plain": 100 * _share(plain.sum(), known.sum()),
                "hedged": 100 * _share(hedged.sum(), known.sum()),
                "unstated": 100 * _share((known & ~plain & ~hedged).sum(), known.sum()),
                "read": 100 * _share(hits, count),
                "doubted": 100 * _share((present & (read[:, label] == UNCERTAIN)).sum(), count),
                "false": false,
                "precision": _share(hits, hits + false),
                "recall_of_stated": _share((plain & seen).sum(), plain.sum()),
                "recall": _share(hits, count),
                "f1": _share(2 * hits, hits + false + count),
            }
        )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def total(table: pd.DataFrame) -> dict[str, float]:
    """Micro precision, recall and F1 over the findings of an `agreement`, and the share doubted."""
    hits, present = (table["recall"] * table["present"]).sum(), table["present"].sum()
    false = table["false"].sum()
    return {
        "precision": _share(hits, hits + false),
        "recall": _share(hits, present),
        "f1": _share(2 * hits, hits + false + present),
        "doubted": _share((table["doubted"] * table["present"]).sum() / 100, present),
    }


def examples(records: pd.DataFrame, count: int = 3, min_findings: int = 3) -> pd.DataFrame:
    """Reports of the two largest sites with their findings.

    Args:
        records: a cohort's table.
        count: reports per site, the first ones with `min_findings` or more.

    Returns:
        columns site, report, findings (their names; in brackets those that the labeller does not
        read as present).
    """
    rows = []
    present = np.stack([records[column(label)].to_numpy() == PRESENT for label in FINDINGS], axis=1)
    full = records[(present.sum(axis=1) >= min_findings) & (records["report"] != "").to_numpy()]
    for site in sorted(full["site"].value_counts().index[:2]):
        for _, record in full[full["site"] == site].head(count).iterrows():
            read = read_labels(record["report"])
            names = [
                finding.name if read.get(label) == PRESENT else f"({finding.name})"
                for label, finding in FINDINGS.items()
                if record[column(label)] == PRESENT
            ]
            rows.append({"site": site, "report": record["report"], "findings": ", ".join(names)})
    return pd.DataFrame(rows, columns=["site", "report", "findings"])


def _states(labels: list[dict[int, int] | None]) -> np.ndarray:
    """int8 (n, 77) from a dict label -> state per report; None leaves a report unread."""
    table = np.full((len(labels), len(LABELS)), _UNREAD, dtype=np.int8)
    for row, states in zip(table, labels, strict=True):
        for label, state in (states or {}).items():
            row[label] = state
    return table


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
