"""Budgets: what each method of a comparison was given in training, as one table beside it.

A training leaves it beside its history.csv: a language system budget.json, a classifier budget.csv.
"""

import json
from pathlib import Path

import pandas as pd

COLUMNS = {  # key in budget.json: heading
    "updates": "updates",
    "ecg_views": "ECG views",  # ECGs that were read, each as often as it was
    "supervised_tokens": "supervised tokens",  # with a loss: words, codes of a pretraining
    "labels": "labels seen",  # ECGs whose labels were read, each once
    "flops": "FLOPs",  # of forward and backward passes
}


def read(folders: dict[str, Path | list[Path]]) -> pd.DataFrame:
    """The table: method and the keys of COLUMNS, one row per method in the given order.

    `folders`: of the trainings behind each method. Those of several add up; of the labels, which
    are of the same ECGs, the largest number counts. Without a training all is 0.

    Raises:
        FileNotFoundError: a folder has no budget.
        ValueError: a budget has other keys, or a value that is no number of 0 or more.
    """
    rows = []
    for method, given in folders.items():
        parts = [of_training(f) for f in (given if isinstance(given, list) else [given])]
        row = {key: sum(part[key] for part in parts) for key in COLUMNS}
        row["labels"] = max((part["labels"] for part in parts), default=0)
        rows.append({"method": method} | row)
    return pd.DataFrame(rows, columns=["method", *COLUMNS])


def of_training(folder: Path) -> dict[str, int]:
    """The budget of one training, with the keys of COLUMNS."""
    path = folder / "budget.json"
    if path.is_file():
        budget = json.loads(path.read_text(encoding="utf-8"))
    elif (folder / "budget.csv").is_file():
        line = pd.read_csv(folder / "budget.csv").iloc[0]
        flops = 3e6 * line["mflops_per_ecg"] * line["ecg_views"]  # a backward pass counts as two
        budget = {"updates": len(pd.read_csv(folder / "history.csv")), "supervised_tokens": 0}
        budget |= {"ecg_views": line["ecg_views"], "labels": line["labelled_ecgs"], "flops": flops}
    else:
        raise FileNotFoundError(f"expected budget.json or budget.csv in {folder}; train it again")
    if set(budget) != set(COLUMNS):
        raise ValueError(f"{path}: expected the keys {', '.join(COLUMNS)}, got {sorted(budget)}")
    for key, value in budget.items():
        if isinstance(value, bool | str | None) or not 0 <= value < float("inf"):
            raise ValueError(f"{path}: expected {key} of 0 or more, got {value!r}")
    return {key: int(value) for key, value in budget.items()}


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """The table for readers: headings in words, counts with commas, FLOPs with two digits."""
    texts = {key: table[key].map("{:,}".format) for key in COLUMNS}
    texts["flops"] = table["flops"].map("{:.1e}".format)
    return pd.DataFrame({"method": table["method"], **texts}).rename(columns=COLUMNS)
