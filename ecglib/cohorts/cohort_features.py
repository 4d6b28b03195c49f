"""Measurements and named features of a cohort's ECGs, and their distribution.

A distribution is a table without any patient. `reports/benchmarks/beside_reality.csv` holds that of
real ECGs, so a run on simulated ECGs can be compared with them where no real recording is at hand.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecglib.cohorts.split import persons
from ecglib.cohorts.store import Cohort
from ecglib.cohorts.workers import map_signals
from ecglib.signals.ecg_features import DEFECTS, HERTZ, PERCENTILES, ecg_features, feature_names
from ecglib.signals.leads import LEADS, RATE
from ecglib.signals.measure import MEASURES, measure

if TYPE_CHECKING:
    from ecglib.training.device import Machine

QUANTILES = (5, 25, 50, 75, 95)
Q_COLUMNS = tuple(f"q{q:02d}" for q in QUANTILES)
MIN_PATIENTS = 10  # on either side of a quantile that is published
SEED_OFFSET = 1_000_003  # of a comparison cohort
INTERVALS = ("pr", "qrs", "qt", "qtc_bazett", "qtc_fridericia", "p_axis", "qrs_axis", "t_axis")
QUALITY = ("quality", *(f"quality_{lead}" for lead in LEADS))
RHYTHM = ("heart_rate", "rr_sd", "rr_rmssd")
# Groups of features: what a two-sample classifier reads, alone or shuffled.
GROUPS: dict[str, tuple[str, ...]] = {
    "amplitude": tuple(name for name in feature_names() if name.startswith("amplitude")),
    "spectrum": tuple(name for name in feature_names() if name.startswith("power")),
    "disturbance": (*(name for name in feature_names() if name.startswith(DEFECTS)), *QUALITY),
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
    """Step: write a simulated cohort that another cohort is compared with.

    Its patients differ from those of a simulated cohort of the same seed. With the seed itself each
    patient would have a twin there of the same body, device and noise, and a classifier would
    confuse the two.

    Config:
        source: synthetic.
        patients: their number.
        prevalence: "enriched" or "paper", as for `build.build`.
    """
    from ecglib.cohorts import build  # reads files too, which a machine that measures may not

    build.build(out, inputs, config, SEED_OFFSET + seed, machine)


def measure_cohort(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: write `measurements.parquet`, the columns of ``MEASURES`` for every ECG.

    The stored signal is measured, which is cleaned and has 250 Hz, without its padding. An interval
    that cannot be measured is NaN.

    Inputs: cohort.
    """
    rows = Cohort.open(inputs["cohort"]).rows()
    measured = map_signals(inputs["cohort"], rows, partial(measure, rate=RATE), machine)
    progress = tqdm(measured, total=len(rows), desc="measurements", mininterval=2.0)
    frame = pd.DataFrame(list(progress), columns=list(MEASURES))
    frame.astype(np.float32).to_parquet(out / "measurements.parquet", index=False)


def extract_features(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: write `ecg_features.parquet`, one row per ECG.

    Columns: ``row`` (record number), ``patient`` (0, 1, ...: numbers of this table, no
    identifiers) and those of `GROUPS`.

    Inputs: cohort, measurements (of the cohort).

    Config:
        patients: the largest number of patients, who are drawn by the seed.
    """
    cohort = Cohort.open(inputs["cohort"])
    person = np.unique(persons(cohort.records), return_inverse=True)[1]
    drawn = np.random.default_rng([seed, 61]).permutation(person.max() + 1)[: config["patients"]]
    rows = np.flatnonzero(np.isin(person, drawn))
    features = map_signals(inputs["cohort"], rows, partial(ecg_features, rate=RATE), machine)
    frame = pd.DataFrame(list(features), columns=list(feature_names()))
    measured = pd.read_parquet(inputs["measurements"] / "measurements.parquet").iloc[rows]
    ratios = {}
    for lead in LEADS:  # the size of the T wave over that of the QRS (R - S)
        size = measured[f"r_{lead}"] - measured[f"s_{lead}"]
        ratios[f"t_over_qrs_{lead}"] = measured[f"t_{lead}"].abs() / size.where(size > 0)
    more = measured.assign(**ratios).join(cohort.records[list(QUALITY)])
    frame = pd.concat([frame, more.reset_index(drop=True)], axis=1)
    frame = frame[[name for names in GROUPS.values() for name in names]].astype(np.float32)
    frame.insert(0, "row", rows)
    frame.insert(1, "patient", np.unique(person[rows], return_inverse=True)[1])
    frame.to_parquet(out / "ecg_features.parquet", index=False)


def distribution(frame: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of the features over ECGs.

    A quantile is given if at least ten patients lie on either side of it, so that it describes no
    single patient.

    `frame`: the table of `extract_features`. Returns one row per feature: ``view`` (amplitude,
    power or measure), ``lead`` ("" for a measure of the whole ECG), ``of`` (percentile, Hz, or the
    measure's name), ``unit``, ``ecgs`` (number of ECGs in which it is known) and ``q05`` to
    ``q95``, NaN for too few patients.
    """
    rows = []
    for view, name, lead, of, unit in _described():
        known = frame[name].notna()
        patients = frame["patient"][known].nunique()
        row = {"view": view, "lead": lead, "of": of, "unit": unit, "ecgs": int(known.sum())}
        for q, column in zip(QUANTILES, Q_COLUMNS, strict=True):
            enough = patients * min(q, 100 - q) >= 100 * MIN_PATIENTS
            row[column] = np.percentile(frame[name][known], q) if enough else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _described() -> list[tuple[str, str, str, str, str]]:
    """The features of a distribution: view, feature, lead, of, unit."""
    rows = []
    for lead in LEADS:
        rows += [("amplitude", f"amplitude_{q}_{lead}", lead, str(q), "mV") for q in PERCENTILES]
        hertz = [f"{hz:g}" for hz in HERTZ]
        rows += [("power", f"power_{hz}_{lead}", lead, hz, "log10 mV^2/Hz") for hz in hertz]
    rows += [("measure", name, "", name, MEASURES[name]) for name in (*RHYTHM, *INTERVALS)]
    ratio = "t_over_qrs"
    rows += [("measure", f"{ratio}_{lead}", lead, ratio, "1") for lead in ("II", "V5")]
    return [*rows, ("measure", "quality", "", "quality", "1")]


def read_distribution(path: Path) -> pd.DataFrame:
    """Read a table of `distribution` from a CSV; its first lines, after a #, state the origin.
    Raises ValueError: a column is missing."""
    table = pd.read_csv(path, comment="#", dtype={"of": str})
    table["lead"] = table.get("lead", pd.Series("", table.index)).fillna("")
    if missing := {"view", "lead", "of", "unit", "ecgs", *Q_COLUMNS} - set(table.columns):
        raise ValueError(f"{path} lacks the column {min(missing)}; make it with its benchmark")
    return table
