"""The standard tasks of PTB-XL as targets of a classifier.

Six tasks of Strodthoff et al. 2021 (IEEE J. Biomed. Health Inform. 25:1519): all 71 SCP statements,
the diagnostic, form and rhythm ones among them, and the subclasses and superclasses of the
diagnostic ones. As in the authors' code (`helme/ecg_ptbxl_benchmarking`, `code/utils/utils.py`) a
statement counts whatever its likelihood, also with the likelihood 0 that PTB-XL writes where none
was given. An ECG without any statement of a task is no part of that task.

A cohort keeps no SCP codes. They are read again from the two tables of the release and matched by
the cohort's own `ecg_id`. That column stays within the step: its result names ECGs by their row.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.labels import scp
from ecglib.labels.label_set import ABSENT, CATEGORIES, NOT_ASSESSABLE, PRESENT
from ecglib.training.device import Machine

SOURCE = "ptbxl"
# task -> column of scp_statements.csv that selects its statements, and the column of their class,
# "" where each statement is a class of its own.
TASKS = {
    "all": ("", ""),
    "diagnostic": ("diagnostic", ""),
    "subdiagnostic": ("diagnostic", "diagnostic_subclass"),
    "superdiagnostic": ("diagnostic", "diagnostic_class"),
    "form": ("form", ""),
    "rhythm": ("rhythm", ""),
}
PUBLISHED = Path(__file__).with_name("ptbxl_published.csv")


def classes(statements: pd.DataFrame, task: str) -> dict[str, str]:
    """SCP code -> class of a task; statements outside the task are left out.

    Args:
        statements: `scp_statements.csv`, its index the SCP codes.
        task: one of `TASKS`.

    Raises ValueError: the task is unknown.
    """
    if task not in TASKS:
        raise ValueError(f"expected a task of {', '.join(TASKS)}, got {task!r}")
    chosen, by = TASKS[task]
    of_task = statements[statements[chosen] == 1] if chosen else statements
    names = of_task[by] if by else of_task.index.to_series()
    return {str(code): str(name) for code, name in names.items() if isinstance(name, str)}


def task_states(cells: list[str], of_code: dict[str, str]) -> tuple[np.ndarray, list[str]]:
    """States int8 (n, classes) of one task, and the names of its classes in alphabetical order.

    Args:
        cells: n cells `scp_codes`, e.g. "{'NORM': 100.0, 'SR': 0.0}".
        of_code: SCP code -> class, from `classes`.

    Returns:
        PRESENT, ABSENT, and NOT_ASSESSABLE throughout the row of an ECG without a statement of the
        task; the authors leave these ECGs out of training and test.
    """
    names = sorted(set(of_code.values()))
    states = np.full((len(cells), len(names)), ABSENT, np.int8)
    for row, cell in enumerate(cells):
        stated = {of_code[code] for code in scp.parse(cell) if code in of_code}
        states[row, [names.index(name) for name in stated]] = PRESENT
    states[(states == ABSENT).all(axis=1)] = NOT_ASSESSABLE
    return states, names


def make_targets(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: write the states of a task's classes for each ECG of a cohort.

    Writes targets.parquet: one row per ECG in the order of the cohort, one int8 column per class,
    with the states of `task_states`. ECGs of other sources than PTB-XL are NOT_ASSESSABLE.

    Inputs: cohort, data (a folder laid out like the release of PTB-XL).

    Config:
        task: one of `TASKS`.

    Raises ValueError: the task is unknown, or an ECG of the cohort is not in the release.
    """
    records = Cohort.open(inputs["cohort"]).records
    statements = pd.read_csv(inputs["data"] / "scp_statements.csv", index_col=0)
    of_code = classes(statements, config["task"])
    table = pd.read_csv(inputs["data"] / "ptbxl_database.csv", dtype={"scp_codes": str})
    cell = table.set_index(table["ecg_id"].astype(int).astype(str))["scp_codes"]
    own = np.flatnonzero(records["source"] == SOURCE)
    wanted = records["ecg_id"].iloc[own]
    if lacking := int((~wanted.isin(cell.index)).sum()):
        raise ValueError(
            f"expected all {len(own)} ECGs in ptbxl_database.csv, got {lacking} that it does not "
            "list; give the folder from which the cohort was built"
        )
    states, names = task_states(cell[wanted].tolist(), of_code)
    every = np.full((len(records), len(names)), NOT_ASSESSABLE, np.int8)
    every[own] = states
    pd.DataFrame(every, columns=names).to_parquet(out / "targets.parquet", index=False)


def category_targets(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: write targets of a cohort without SCP codes, so that the study can be tried on it.

    The classes are the six categories of the 77 labels. A category is present where a label of it
    is, and unknown where none of its labels is known. They are no task of the benchmark.

    Writes targets.parquet as `make_targets` does.

    Inputs: cohort.
    """
    labels = Cohort.open(inputs["cohort"]).labels
    columns = {}
    for name, members in CATEGORIES.items():
        states = labels[:, list(members)]
        known = ((states == ABSENT) | (states == PRESENT)).any(axis=1)
        present = (states == PRESENT).any(axis=1)
        columns[name] = np.where(present, PRESENT, np.where(known, ABSENT, NOT_ASSESSABLE))
    pd.DataFrame(columns, dtype=np.int8).to_parquet(out / "targets.parquet", index=False)


def published() -> pd.DataFrame:
    """Published macro-AUCs: columns task, classes, method, value, plus_minus. `plus_minus` is the
    larger arm of the published 90 % bootstrap interval. The head of the file names their source."""
    return pd.read_csv(PUBLISHED, comment="#")
