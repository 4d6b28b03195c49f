"""Labels read from the English reports of PTB-XL against those of its SCP codes.

    ECGLIB_PTBXL_MINI=<folder> bash run_all.sh bench labels_ptbxl_mini

The folder has PTB-XL's layout and `reports_en.csv` (ecg_id, report_en). The rules were written
while reading the reports of folds 1 to 5; `value` is the micro-F1 on folds 6 to 10, with its 95 %
interval over patients. A label counts as stated where its state is present, uncertain or history,
on both sides alike: incomplete blocks, voltage criteria, pacemakers and infarctions are uncertain
by the rules of both. Cells that the codes leave open (-1) are left out. `labels` are those that
the codes state in five or more ECGs with an English report, over all folds; the three that "sinus
rhythm" alone gives are not asked.
"""

from collections import Counter

import numpy as np
import pandas as pd
from _common import data, write

from ecglib.cohorts import scp
from ecglib.cohorts.labeller import read_labels
from ecglib.cohorts.labels import HISTORY, LABELS, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.evaluate.bootstrap import divide, of_totals
from ecglib.evaluate.findings import measure
from ecglib.signals import ptbxl

READ = (1, 2, 3, 4, 5)  # folds whose reports were seen while the rules were written
SCORED = (6, 7, 8, 9, 10)
STATED = (PRESENT, UNCERTAIN, HISTORY)
ASKED = (6, 12, 14, 15, 16, 19, 22, 26, 28, 31, 49, 60, 61)
LEAST = 5
AIM = 0.80
# Every disagreement of the scored folds, read one by one: label, side, fault, number, what it is.
JUDGED: tuple[tuple[int, str, str, int, str], ...] = ()


def table(folder) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows with an English report, and the states (n, 77) of their codes and of their text."""
    rows = ptbxl.list_records(folder)
    english = pd.read_csv(folder / "reports_en.csv")
    rows = rows.merge(english, on="ecg_id", validate="one_to_one")
    statements = ptbxl.list_statements(folder)
    codes = np.stack([scp.labels(scp.parse(cell), statements) for cell in rows["scp_codes"]])
    text = np.zeros_like(codes)
    for row, report in enumerate(rows["report_en"]):
        for label, state in read_labels(report).items():
            text[row, label] = state
    return rows, codes, text


def cells(codes: np.ndarray, text: np.ndarray, states: tuple[int, ...]) -> np.ndarray:
    """tp, fp, fn of every ECG and asked label: (n, labels, 3)."""
    codes, text = codes[:, ASKED], text[:, ASKED]
    open_ = codes == NOT_ASSESSABLE
    if UNCERTAIN not in states:  # neither present nor absent
        open_ |= np.isin(codes, (UNCERTAIN, HISTORY))
    truth, said = np.isin(codes, states), np.isin(text, states)
    return np.stack([truth & said, ~truth & said, truth & ~said], axis=2) & ~open_[..., None]


def micro(counts: np.ndarray, patients: pd.Series) -> dict:
    """Micro-F1, precision and recall with the interval of the first."""
    by_patient = pd.DataFrame(counts.sum(axis=1)).groupby(patients.to_numpy()).sum().to_numpy()
    found = of_totals(lambda totals: measure("f1", totals), by_patient)
    sums = counts.sum(axis=(0, 1), dtype=float)[None]
    return {
        "micro_f1": round(found.value, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "precision": round(float(measure("precision", sums)[0]), 4),
        "recall": round(float(measure("recall", sums)[0]), 4),
        "patients": found.n,
        "ecgs": len(counts),
    }


def disagreements(counts: np.ndarray) -> list[dict]:
    """The judged disagreements; those of a label whose number changed are marked so."""
    found = Counter()
    for place, label in enumerate(ASKED):
        found[label, "only the text"] = int(counts[:, place, 1].sum())
        found[label, "only the codes"] = int(counts[:, place, 2].sum())
    judged = Counter()
    for label, side, _, number, _ in JUDGED:
        judged[label, side] += number
    rows = [
        {"label": label, "stated_by": side, "fault": fault, "number": number, "what": what}
        for label, side, fault, number, what in JUDGED
    ]
    for (label, side), number in found.items():
        if number != judged[label, side]:
            fault = f"{number} found, {judged[label, side]} judged: read them again"
            rows.append({"label": label, "stated_by": side, "fault": fault})
    return rows


def main() -> None:
    """Read, compare, print and write reports/benchmarks/labels_ptbxl_mini.json."""
    folder = data("ECGLIB_PTBXL_MINI", "PTB-XL or a part of it")
    rows, codes, text = table(folder)
    stated = np.isin(codes[:, ASKED], STATED).sum(axis=0)
    if (stated < LEAST).any():
        raise SystemExit(f"labels_ptbxl_mini: {folder} has too few ECGs for the list of labels.")
    counts = cells(codes, text, STATED)
    scored = rows["strat_fold"].isin(SCORED).to_numpy()
    main_ = micro(counts[scored], rows["patient_id"][scored])
    sums = counts[scored].sum(axis=0)
    f1 = divide(2.0 * sums[:, 0], 2.0 * sums[:, 0] + sums[:, 1] + sums[:, 2])
    sure = cells(codes, text, (PRESENT,))
    own = np.array([label != 16 for label in ASKED])
    read = rows["strat_fold"].isin(READ).to_numpy()
    judged = Counter(fault for _, _, fault, number, _ in JUDGED for _ in range(number))
    result = {
        "value": main_.pop("micro_f1"),
        "unit": "micro-F1",
        "reference": {"what": "the least asked", "value": AIM},
        "ratio": None,
        **main_,
        "macro_f1": round(float(np.nanmean(f1)), 4),
        "folds": {"read_while_writing_rules": READ, "scored": SCORED},
        "rules_changed_after_scoring": False,
        "labels": [
            {
                "label": label,
                "name": LABELS[label],
                "stated_over_all_folds": int(stated[place]),
                **dict(zip(("tp", "fp", "fn"), sums[place].tolist(), strict=True)),
                "f1": None if np.isnan(f1[place]) else round(float(f1[place]), 4),
            }
            for place, label in enumerate(ASKED)
        ],
        "faults": dict(judged),
        "disagreements": disagreements(counts[scored]),
        "folds_read": micro(counts[read], rows["patient_id"][read]),
        "without_label_16_which_follows_from_15": micro(
            counts[scored][:, own], rows["patient_id"][scored]
        ),
        "present_against_absent_only": micro(sure[scored], rows["patient_id"][scored]),
    }
    result["ratio"] = round(result["value"] / AIM, 4)
    write("labels_ptbxl_mini", result, ("numpy", "pandas"))


if __name__ == "__main__":
    main()
