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


def agreement(records: pd.DataFrame) -> pd.DataFrame:
    """Compare labels and reports, for every scored finding that is present at least once.

    Only "present" counts as read, as in the scores of generated reports. ECGs without a report, and
    labels that are neither absent nor present, are left out.

    `records`: a cohort's table: site, report and the columns of the labels. Returns one row per
    finding in stating order: label, finding, present (ECGs), plain, hedged and unstated (percent of
    them, by the words that were drawn; NaN where no report is simulated), read and doubted (percent
    of them that the labeller reads as present and as uncertain), false (ECGs read as present
    without it), precision, recall_of_stated (of those stated plainly), recall and f1.
    """
    records = records[records["report"] != ""]
    labels = [label for label in SCORED if (records[column(label)] == PRESENT).any()]
    states = records[[column(label) for label in labels]].to_numpy()
    read = _states([read_labels(report) for report in records["report"]])[:, labels]
    pairs = zip(records["report"], records["site"], strict=True)
    drawn = [report_text.written_states(report, site) for report, site in pairs]
    written, simulated = _states(drawn)[:, labels], [s is not None for s in drawn]
    present, seen = states == PRESENT, read == PRESENT
    known = present & np.array(simulated, dtype=bool)[:, None]
    plain, hedged = known & (written == PRESENT), known & (written == UNCERTAIN)
    masks = {
        "present": present,
        "known": known,
        "plain": plain,
        "hedged": hedged,
        "unstated": known & ~plain & ~hedged,
        "doubted": present & (read == UNCERTAIN),
        "hits": present & seen,
        "stated": plain & seen,
        "false": seen & (states == ABSENT),
    }
    n = pd.DataFrame({name: mask.sum(axis=0) for name, mask in masks.items()})
    return pd.DataFrame(
        {
            "label": labels,
            "finding": [FINDINGS[label].name for label in labels],
            "present": n["present"],
            "plain": 100 * (n["plain"] / n["known"]),
            "hedged": 100 * (n["hedged"] / n["known"]),
            "unstated": 100 * (n["unstated"] / n["known"]),
            "read": 100 * (n["hits"] / n["present"]),
            "doubted": 100 * (n["doubted"] / n["present"]),
            "false": n["false"],
            "precision": n["hits"] / (n["hits"] + n["false"]),
            "recall_of_stated": n["stated"] / n["plain"],
            "recall": n["hits"] / n["present"],
            "f1": 2 * n["hits"] / (n["hits"] + n["false"] + n["present"]),
        }
    )


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
    """Reports of the two largest sites, `count` each, with `min_findings` or more findings.

    Returns columns site, report, findings (their names; in brackets those that the labeller does
    not read as present).
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
