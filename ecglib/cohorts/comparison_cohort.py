"""Named features of a cohort's ECGs, and their distribution as a table without any patient.

`reports/benchmarks/beside_reality.csv` holds such a table of real ECGs, so a run on simulated ECGs
can be compared with them where no real recording is at hand.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecglib.cohorts import build
from ecglib.cohorts.split import persons
from ecglib.cohorts.store import Cohort
from ecglib.cohorts.workers import map_signals
from ecglib.signals.ecg_features import DEFECTS, HERTZ, PERCENTILES, ecg_features, feature_names
from ecglib.signals.leads import LEADS, RATE
from ecglib.signals.measure import MEASURES

if TYPE_CHECKING:
    from ecglib.training.device import Machine

QUANTILES = (5, 25, 50, 75, 95)
Q_COLUMNS = tuple(f"q{q:02d}" for q in QUANTILES)
BEYOND = 10  # patients on either side of a quantile that is given
SEED_OFFSET = 1_000_003  # of a comparison cohort
INTERVALS = ("pr", "qrs", "qt", "qtc_bazett", "qtc_fridericia", "p_axis", "qrs_axis", "t_axis")
RHYTHM = ("heart_rate", "rr_sd", "rr_rmssd")
# What a classifier may look at, by the question that one would ask of an ECG.
GROUPS: dict[str, tuple[str, ...]] = {
    "amplitude": tuple(name for name in feature_names() if name.startswith("amplitude")),
    "spectrum": tuple(name for name in feature_names() if name.startswith("power")),
    "disturbance": (
        *(name for name in feature_names() if name.startswith(DEFECTS)),
        *("quality", *(f"quality_{lead}" for lead in LEADS)),
    ),
    "rate and rhythm": RHYTHM,
    "intervals and axes": INTERVALS,
    "waves": (
        *(f"{wave}_{lead}" for wave in ("r", "s", "st", "t") for lead in LEADS),
        *(f"t_over_qrs_{lead}" for lead in LEADS),
    ),
}


def build_comparison_cohort(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: `build.build` of simulated patients to compare a cohort with; no inputs.

    A simulated cohort of the same seed has other patients. With the seed itself each would have a
    twin there, of the same body, device and noise, and a classifier that has learned the one would
    take the other for the same set.
    """
    build.build(out, inputs, config, SEED_OFFSET + seed, machine)


def extract_features(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: `ecg_features.parquet`, one row an ECG; inputs: `cohort` and its `measurements`.

    Columns: ``row`` (of the cohort), ``patient`` (0, 1, ...: persons of this table, no identifier)
    and those of `GROUPS`. Config: `patients`, at most so many, drawn by the seed.
    """
    cohort = Cohort.open(inputs["cohort"])
    person = np.unique(persons(cohort.records), return_inverse=True)[1]
    drawn = np.random.default_rng([seed, 61]).permutation(person.max() + 1)[: config["patients"]]
    rows = np.flatnonzero(np.isin(person, drawn))
    found = map_signals(inputs["cohort"], rows, partial(ecg_features, rate=RATE), machine)
    frame = pd.DataFrame(list(found), columns=list(feature_names()))
    known = pd.read_parquet(inputs["measurements"] / "measurements.parquet").iloc[rows]
    frame = pd.concat([frame, with_ratios(known.reset_index(drop=True))], axis=1)
    for name in ("quality", *(f"quality_{lead}" for lead in LEADS)):
        frame[name] = cohort.records[name].to_numpy()[rows]
    frame = frame[[name for names in GROUPS.values() for name in names]].astype(np.float32)
    frame.insert(0, "row", rows)
    frame.insert(1, "patient", np.unique(person[rows], return_inverse=True)[1])
    frame.to_parquet(out / "ecg_features.parquet", index=False)


def with_ratios(measures: pd.DataFrame) -> pd.DataFrame:
    """Measures and, for each lead, the size of the T wave over that of the QRS (R - S)."""
    ratios = {}
    for lead in LEADS:
        size = measures[f"r_{lead}"] - measures[f"s_{lead}"]
        ratios[f"t_over_qrs_{lead}"] = measures[f"t_{lead}"].abs() / size.where(size > 0)
    return pd.concat([measures, pd.DataFrame(ratios)], axis=1)


def distribution(frame: pd.DataFrame) -> pd.DataFrame:
    """How the numbers of `extract_features` are distributed over ECGs.

    A quantile is given where ten patients or more lie on either side of it, so that it says nothing
    about a single one.

    Args:
        frame: the table of `extract_features`.

    Returns:
        one row a number: ``view`` (amplitude, power or measure), ``lead`` ("" for a measure of the
        whole ECG), ``of`` (percentile, Hz, or the measure's name), ``unit``, ``ecgs`` (in which it
        is known) and ``q05`` to ``q95``, NaN where too few patients have it.
    """
    rows = []
    for view, name, lead, of, unit in _listed():
        known = frame[name].notna()
        patients = frame["patient"][known].nunique()
        row = {"view": view, "lead": lead, "of": of, "unit": unit, "ecgs": int(known.sum())}
        for q, column in zip(QUANTILES, Q_COLUMNS, strict=True):
            enough = patients * min(q, 100 - q) >= 100 * BEYOND
            row[column] = np.percentile(frame[name][known], q) if enough else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _listed() -> list[tuple[str, str, str, str, str]]:
    """What a distribution holds: view, column, lead, of, unit."""
    found = []
    for lead in LEADS:
        found += [("amplitude", f"amplitude_{q}_{lead}", lead, str(q), "mV") for q in PERCENTILES]
        named = [(f"power_{hz:g}_{lead}", f"{hz:g}") for hz in HERTZ]
        found += [("power", name, lead, of, "log10 mV^2/Hz") for name, of in named]
    for name in (*RHYTHM, *INTERVALS):
        found.append(("measure", name, "", name, MEASURES[name]))
    for lead in ("II", "V5"):
        found.append(("measure", f"t_over_qrs_{lead}", lead, "t_over_qrs", "1"))
    return [*found, ("measure", "quality", "", "quality", "1")]


def read_distribution(path: Path) -> pd.DataFrame:
    """A table of `distribution` from a CSV whose first lines, behind a #, say where it is from.

    Raises:
        ValueError: a column is missing.
    """
    table = pd.read_csv(path, comment="#", dtype={"of": str})
    table["lead"] = table.get("lead", pd.Series("", table.index)).fillna("")
    missing = {"view", "lead", "of", "unit", "ecgs", *Q_COLUMNS} - set(table.columns)
    if missing:
        raise ValueError(f"{path} lacks the column {min(missing)}; make it with its benchmark")
    return table
