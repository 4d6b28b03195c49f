"""Macro-F1 of findings over the scored conditions, and over all that occur in the test ECGs.

    bash run_all.sh bench rare_findings

Notebook 04 scores a condition with at least `scoring.min_positives` test ECGs of its findings (30
in `laptop`). Here the committed texts are read again for all findings, so that conditions with
fewer cases count as much as frequent ones. Both cohorts, training seed 0, intervals over patients.

`value` is ECG-Tok minus the memoriser over all conditions of the run.
"""

import numpy as np
import pandas as pd
from _common import REPO, write

from ecglib.evaluate import finding_agreement, predictions
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import COLUMNS

RUNS = ("synthetic-laptop", "synthetic-laptop-confirm")
METHODS = ("ecg_tok", "memoriser", "retrieval", "probe_reports", "decoded", "no_ecg")
SEED = 0


def rows(run: str) -> tuple[pd.DataFrame, set[int]]:
    """Finding rows of all methods for all findings, and the labels that the run has scored."""
    folder = REPO / "reports" / run / "predictions"
    texts = predictions.read_table(folder / "04_texts.parquet")
    truth = predictions.read_table(folder / "01_split.parquet").set_index("ecg")
    saved = predictions.read_table(folder / "04_reports.parquet")["item"].drop_duplicates()
    scored = set(predictions.numbers(saved, "finding")) - {-1}
    every = [int(label) for label in FINDINGS]
    parts = []
    for method in METHODS:
        written = texts[texts["method"] == method].rename(columns={"prediction": "text"})
        records = written.drop(columns="text").rename(columns={"target": "report"})
        records = records.assign(age=float("nan"))  # the table has its band, which no score reads
        labels = truth.loc[written["ecg"], list(COLUMNS)].to_numpy()
        parts.append(
            finding_agreement.read_reports(records, labels, method, SEED, written, every)[1]
        )
    return pd.concat(parts, ignore_index=True), scored


def compared(table: pd.DataFrame) -> dict:
    """Macro-F1 of each method, ECG-Tok minus the memoriser, and the conditions that occur."""
    of = {name: part for name, part in table.groupby("method")}
    conditions = finding_agreement.select_conditions(of["ecg_tok"])
    occur = conditions.loc[conditions["target"] == "1", "item"].nunique()
    values = {name: finding_agreement.macro_f1(of[name], SEED).value for name in METHODS}
    gap = finding_agreement.difference(of["ecg_tok"], of["memoriser"], "macro_f1", SEED)
    lead = {"value": gap.value, "low": gap.low, "high": gap.high}
    return {"conditions": int(occur), "macro_f1": values, "ecg_tok_minus_memoriser": lead}


def main() -> None:
    """Compare, and write the result."""
    results = {}
    for run in RUNS:
        table, scored = rows(run)
        number = predictions.numbers(table["item"], "finding")
        results[run] = {
            "scored": compared(table[np.isin(number, list(scored))]),
            "all": compared(table),
        }
    of_run = results[RUNS[0]]
    lead, reference = (of_run[of]["ecg_tok_minus_memoriser"]["value"] for of in ("all", "scored"))
    result = {
        "unit": "macro-F1, ECG-Tok minus the memoriser, over all conditions",
        "value": round(lead, 4),
        "reference": {
            "what": "over the conditions with 30 test ECGs",
            "value": round(reference, 4),
        },
        "ratio": round(lead / reference, 3),
        "ratio_is": "value / reference",
    }
    write("rare_findings", {**result, "runs": results})


if __name__ == "__main__":
    main()
