"""Which conditions people have: how often each, which exclude each other, and why.

A condition is what happens to a heart ("acute inferior infarction"). The labels follow from the
heart afterwards, and one condition may bring several of them. Conditions are drawn in the order of
conditions.csv, each unless one that excludes it was drawn before. The chance of a condition for
people who may still have it is its prevalence divided by their share, so each prevalence comes out
as requested.
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np

# Columns of the table:
#   paper_percent: follows labels77.csv, less the share that other conditions bring to the label.
#   enriched_percent: gives every label at least 15 cases in the test fifth of 4,000 patients.
#   course: acute conditions may be gone at the next ECG.
#   age: commoner in the old or in the young.
#   more_at: the hospital with more of it; B has more ischaemia, A more conduction disorders.
with (Path(__file__).parent / "conditions.csv").open(newline="", encoding="utf-8") as _file:
    _TABLE = {row["condition"]: row for row in csv.DictReader(_file)}

CONDITIONS = tuple(_TABLE)
PREVALENCE = ("paper", "enriched")
# condition: (per cent at `paper`, per cent at `enriched`)
PER_CENT: dict[str, tuple[float, ...]] = {
    name: tuple(float(row[f"{kind}_percent"]) for kind in PREVALENCE)
    for name, row in _TABLE.items()
}
HEALTHY = 0.12  # share of people without any condition
MOST = 0.15  # largest share to which a condition is raised if few conditions are drawn


def _with(column: str, *values: str) -> tuple[str, ...]:
    """Conditions that have one of the values in a column of the table."""
    return tuple(name for name, row in _TABLE.items() if row[column] in values)


ACUTE = _with("course", "acute")
RHYTHMS, BLOCKS, AV_BLOCKS = (_with("group", name) for name in ("rhythm", "block", "av_block"))
AXES, ATRIA, RATES, EXTRA = (_with("group", name) for name in ("axis", "atria", "rate", "extra"))
ACUTE_INFARCTION, Q_WAVES = _with("group", "infarction"), _with("group", "q_wave")
ST_DEPRESSION, T_INVERSION = _with("group", "st_depression"), _with("group", "t_inversion")
ST_RAISED = (*ACUTE_INFARCTION, *_with("group", "st_elevation"))
# The QRS of these starts in a ventricle, or there is none.
VENTRICULAR = (
    *("standstill", "ventricular pacing", "left ventricular pacing"),
    *("ventricular tachycardia", "ventricular rhythm"),
)
_T_AND_ST = (*ST_RAISED, *Q_WAVES, *ST_DEPRESSION, *T_INVERSION)
_SHAPES = (*BLOCKS, *AXES, *ATRIA, *_with("group", "voltage", "repolarisation"), *_T_AND_ST)
_FAST = ("supraventricular tachycardia", "atrial tachycardia", "sinus tachycardia")

# (conditions, the conditions that they exclude, why)
EXCLUDES: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (RHYTHMS, RHYTHMS, "one rhythm drives the heart"),
    (RHYTHMS, (*AV_BLOCKS, *ATRIA, *RATES), "these need conducted sinus P waves"),
    (
        tuple(name for name in RHYTHMS if name != "atrial fibrillation"),
        EXTRA,
        "extra beats are simulated on sinus rhythm and atrial fibrillation only",
    ),
    (("atrial fibrillation",), ("bigeminy or trigeminy", "premature atrial complexes"), "no P"),
    (VENTRICULAR, (*_SHAPES, "lead misplacement"), "the QRS starts in a ventricle, or is missing"),
    (("third degree AV block",), _SHAPES, "its escape beats may start in a ventricle"),
    (("lead misplacement",), _SHAPES, "exchanged cables move every finding to other leads"),
    (BLOCKS, BLOCKS, "one delay explains the QRS"),
    (
        ("left bundle branch block", "pre-excitation"),
        (*AXES[:2], *AXES[3:], "left ventricular hypertrophy", "low voltage", *_T_AND_ST),
        "abnormal activation hides voltage, Q, ST and T of the walls",
    ),
    (
        ("left bundle branch block", "pre-excitation", "right bundle branch block"),
        ("prolonged QT", "U wave"),
        "a late QRS lengthens QT by itself",
    ),
    (("pre-excitation",), (*AV_BLOCKS, "left axis deviation", *RHYTHMS), "the pathway conducts"),
    (
        ("right bundle branch block", "incomplete right bundle branch block"),
        (
            *("left ventricular hypertrophy", "low voltage", "right ventricular hypertrophy"),
            *("anterior T inversion", "septal T inversion", "septal ST depression"),
            *("anterior ST depression", "right superior axis", "right axis deviation"),
            *ST_RAISED,
            *("posterior Q waves", "septal Q waves"),
        ),
        "the late force to the right and its T cover V1 to V3",
    ),
    (
        ("intraventricular conduction delay",),
        (*AXES, "low voltage", *ST_RAISED, *Q_WAVES),
        "a slurred QRS of ordinary direction",
    ),
    (AV_BLOCKS, AV_BLOCKS, "one grade at a time"),
    (("Mobitz I", "Mobitz II"), (*RATES, *EXTRA), "their pauses could not be distinguished"),
    (AXES, AXES, "one axis"),
    (AXES[1:2] + AXES[3:], Q_WAVES, "Q waves of a turned axis and of infarction look alike"),
    (("left anterior fascicular block", "left axis deviation"), Q_WAVES, "the same"),
    (
        ("right ventricular hypertrophy",),
        ("left ventricular hypertrophy", *_T_AND_ST, "low voltage"),
        "the thick ventricle determines V1 to V6",
    ),
    (
        ("left ventricular hypertrophy",),
        (*AXES[1:2], *AXES[3:], "low voltage", *ST_RAISED, *Q_WAVES),
        "strain and loss of R look alike",
    ),
    (ATRIA, ATRIA, "bi-atrial enlargement is both"),
    (("low voltage",), (*_T_AND_ST, "right superior axis"), "too small to be measured"),
    (
        ST_RAISED,
        (*ST_RAISED, *ST_DEPRESSION, *T_INVERSION, "U wave"),
        "one cause of ST shift, whose stage determines T",
    ),
    (ACUTE_INFARCTION, Q_WAVES, "its stage determines Q"),
    (("acute pericarditis", "Brugada pattern", "early repolarization"), Q_WAVES, "the same"),
    (("posterior Q waves",), (*Q_WAVES, "septal T inversion", "septal ST depression"), "V1, V2"),
    (("anterior Q waves",), ("septal Q waves", "lateral Q waves"), "one old scar in front"),
    (ST_DEPRESSION, ST_DEPRESSION, "one region of ischaemia"),
    (ST_DEPRESSION, T_INVERSION, "their T waves belong to the depression"),
    (RATES, RATES, "one rate"),
    (
        _FAST,
        ("prolonged QT", "U wave", "first degree AV block"),
        "the interval is too short for them",
    ),
    (
        ("sinus bradycardia", "sinus tachycardia", "sinus arrhythmia", "prolonged QT"),
        EXTRA,
        "rate and pauses could not be distinguished",
    ),
    (
        EXTRA,
        (*EXTRA, "first degree AV block", "U wave"),
        "one kind of extra beats, which need time",
    ),
)


@cache
def clashes() -> np.ndarray:
    """(n, n) bool, symmetric: conditions that exclude each other."""
    table = np.zeros((len(CONDITIONS), len(CONDITIONS)), dtype=bool)
    for names, excluded, _ in EXCLUDES:
        table |= np.outer(np.isin(CONDITIONS, names), np.isin(CONDITIONS, excluded))
    table |= table.T
    np.fill_diagonal(table, False)
    return table


def prevalences(kind: str, only: tuple[str, ...] = ()) -> np.ndarray:
    """(n,) share of people who should have each condition.

    Args:
        kind: one of `PREVALENCE`.
        only: the conditions that are drawn; all where none is given. With fewer conditions each
            becomes commoner in proportion, up to `MOST`, so that people stay as ill as they were.

    Raises:
        ValueError: the kind is not one of `PREVALENCE`, or a condition is unknown.
    """
    if kind not in PREVALENCE:
        raise ValueError(f"expected a prevalence of {PREVALENCE}, got {kind!r}")
    unknown = [name for name in only if name not in PER_CENT]
    if unknown:
        raise ValueError(f"unknown condition {unknown[0]!r}; choose from conditions.csv")
    column = PREVALENCE.index(kind)
    share = np.array([per_cent[column] for per_cent in PER_CENT.values()]) / 100
    if only:
        kept = np.isin(CONDITIONS, only)
        more = share.sum() / max(share[kept].sum(), 1e-9)
        share = np.where(kept, np.minimum(more * share, np.maximum(share, MOST)), 0.0)
    return share


@cache
def chances(kind: str, only: tuple[str, ...] = ()) -> np.ndarray:
    """(n,) chance of each condition for an ill person who has none that excludes it.

    It is the prevalence divided by the share of people who may still have the condition, counted on
    20,000 drawn people.
    """
    wanted, barred = prevalences(kind, only) / (1 - HEALTHY), clashes()
    rng = np.random.default_rng([77, PREVALENCE.index(kind)])
    has = np.zeros((20_000, len(wanted)), dtype=bool)
    chance = np.zeros(len(wanted))
    for i, share in enumerate(wanted):
        free = ~has[:, barred[i]].any(axis=1)
        chance[i] = min(0.95, share / max(free.mean(), 1e-9))
        has[:, i] = free & (rng.random(len(has)) < chance[i])
    return chance


def relative_chances(site: str, age: float) -> np.ndarray:
    """(n,) factors on the chances; 1 on average over the ages and hospitals of the simulator."""
    by_age = {"old": (age / 64) ** 1.5 / 1.02, "young": (64 / age) ** 0.7 / 1.05, "": 1.0}
    by_site = {"A": {"A": 1.10, "B": 0.90}, "B": {"A": 0.85, "B": 1.15}, "": {site: 1.0}}
    return np.array([by_age[row["age"]] * by_site[row["more_at"]][site] for row in _TABLE.values()])


def draw_conditions(
    kind: str,
    rng: np.random.Generator,
    relative: np.ndarray | float = 1.0,
    only: tuple[str, ...] = (),
) -> frozenset[str]:
    """Conditions of one person; empty for a healthy one.

    Args:
        kind: one of `PREVALENCE`.
        relative: (n,) factors on the chances, see `relative_chances`.
        only: the conditions that may be drawn; all where none is given.
    """
    chance = np.minimum(chances(kind, only) * relative, 0.97)
    if rng.random() < HEALTHY:
        return frozenset()
    wanted, barred = rng.random(len(chance)) < chance, clashes()
    kept: list[int] = []
    for i in np.flatnonzero(wanted):
        if not barred[i, kept].any():
            kept.append(int(i))
    return frozenset(CONDITIONS[i] for i in kept)


def compatible(one: str, other: str) -> bool:
    """Whether a person may have both."""
    return not clashes()[CONDITIONS.index(one), CONDITIONS.index(other)]
