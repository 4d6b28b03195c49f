"""Which conditions people have: how often each, which exclude each other, and why.

A condition is what happens to a heart ("acute inferior infarction"); the labels are read off the
heart afterwards, and one condition may make several of them. The conditions are drawn in the order
of the table, each unless one that excludes it was drawn before. The chance of a condition among
those who may still have it is its prevalence over the share of such people, so the prevalences
come out as they are asked for, whatever excludes what.
"""

from functools import cache

import numpy as np

# condition: (per cent at `paper`, per cent at `enriched`). "paper" follows labels77.csv, less what
# other conditions already bring to the same label; "enriched" gives every label, rare ones too, at
# least 15 cases in the test fifth of 4,000 patients.
PER_CENT: dict[str, tuple[float, float]] = {
    "lead misplacement": (0.004, 2.5),
    # What drives the heart; without any of these it is the sinus node.
    "standstill": (0.037, 2.5),
    "ventricular pacing": (5.17, 3.4),
    "left ventricular pacing": (0.068, 2.7),
    "atrial pacing": (1.40, 2.6),
    "ventricular tachycardia": (0.097, 2.7),
    "ventricular rhythm": (2.90, 2.7),
    "third degree AV block": (0.232, 2.7),
    "atrial fibrillation": (8.30, 6.0),
    "atrial flutter": (1.43, 3.0),
    "supraventricular tachycardia": (0.47, 2.7),
    "atrial tachycardia": (5.73, 3.0),
    "ectopic atrial rhythm": (0.77, 2.7),
    "junctional rhythm": (1.50, 2.7),
    # Conduction.
    "left bundle branch block": (6.13, 4.0),
    "right bundle branch block": (10.45, 5.0),
    "incomplete right bundle branch block": (0.50, 2.7),
    "intraventricular conduction delay": (3.29, 3.0),
    "pre-excitation": (0.17, 2.7),
    "first degree AV block": (9.07, 4.0),
    "Mobitz I": (0.50, 3.0),
    "Mobitz II": (1.15, 2.7),
    "left anterior fascicular block": (4.08, 4.0),
    "left posterior fascicular block": (0.35, 2.7),
    "left axis deviation": (11.0, 3.0),
    "right superior axis": (0.011, 2.7),
    "right axis deviation": (0.50, 2.3),
    # Chambers and size.
    "right ventricular hypertrophy": (0.96, 3.0),
    "left ventricular hypertrophy": (13.17, 8.0),
    "left atrial enlargement": (3.51, 3.0),
    "right atrial enlargement": (0.46, 2.7),
    "bi-atrial enlargement": (0.17, 2.7),
    "low voltage": (3.47, 4.0),
    # Infarction, ischaemia and what looks like them.
    "acute inferior infarction": (0.90, 2.7),
    "acute anterior infarction": (0.45, 2.3),
    "acute septal infarction": (0.40, 2.3),
    "acute lateral infarction": (0.30, 2.3),
    "acute posterior infarction": (0.126, 2.7),
    "acute pericarditis": (0.556, 3.0),
    "Brugada pattern": (0.0, 2.7),
    "early repolarization": (0.69, 2.6),
    "inferior Q waves": (12.8, 3.0),
    "lateral Q waves": (3.0, 2.7),
    "septal Q waves": (4.5, 2.5),
    "anterior Q waves": (5.7, 2.5),
    "posterior Q waves": (0.45, 2.7),
    "inferior ST depression": (0.80, 2.7),
    "lateral ST depression": (3.30, 3.0),
    "anterior ST depression": (0.60, 2.7),
    "septal ST depression": (0.08, 2.7),
    "inferior T inversion": (18.5, 4.0),
    "lateral T inversion": (17.5, 4.0),
    "anterior T inversion": (7.5, 3.0),
    "septal T inversion": (8.5, 3.0),
    "prolonged QT": (5.38, 4.0),
    "U wave": (0.079, 2.7),
    # Rate and extra beats.
    "sinus bradycardia": (16.0, 5.0),
    "sinus tachycardia": (3.0, 3.0),
    "sinus arrhythmia": (2.9, 2.7),
    "premature ventricular complexes": (5.3, 4.0),
    "multiform ventricular complexes": (1.85, 2.6),
    "bigeminy or trigeminy": (1.2, 2.7),
    "premature atrial complexes": (3.6, 3.4),
}
CONDITIONS = tuple(PER_CENT)
PREVALENCE = ("paper", "enriched")
HEALTHY = 0.12  # share of people with none of them
MOST = 0.15  # share of people to which a condition is raised where few conditions are drawn


def _names(*parts: str) -> tuple[str, ...]:
    """Conditions whose name holds one of the parts."""
    return tuple(name for name in CONDITIONS if any(part in name for part in parts))


_PLACE = CONDITIONS.index
RHYTHMS = CONDITIONS[_PLACE("standstill") : _PLACE("left bundle branch block")]
BLOCKS = CONDITIONS[_PLACE("left bundle branch block") : _PLACE("first degree AV block")]
AV_BLOCKS = ("first degree AV block", "Mobitz I", "Mobitz II")
AXES = CONDITIONS[_PLACE("left anterior fascicular block") : _PLACE("left ventricular hypertrophy")]
ATRIA = _names("atrial enlargement")
ACUTE_INFARCTION = _names("infarction")
Q_WAVES, ST_DEPRESSION, T_INVERSION = _names("Q waves"), _names("ST depr"), _names("T inversion")
ST_RAISED = (*ACUTE_INFARCTION, "acute pericarditis", "Brugada pattern", "early repolarization")
EXTRA = CONDITIONS[_PLACE("premature ventricular complexes") :]
RATES = ("sinus bradycardia", "sinus tachycardia", "sinus arrhythmia")
# The QRS of these starts in a ventricle, or there is none.
VENTRICULAR = RHYTHMS[: _PLACE("third degree AV block") - _PLACE("standstill")]
VENTRICULAR = tuple(name for name in VENTRICULAR if name != "atrial pacing")
_SHAPES = CONDITIONS[_PLACE("left bundle branch block") : _PLACE("sinus bradycardia")]
_SHAPES = tuple(name for name in _SHAPES if name not in AV_BLOCKS)
_T_AND_ST = (*ST_RAISED, *Q_WAVES, *ST_DEPRESSION, *T_INVERSION)
_FAST = ("supraventricular tachycardia", "atrial tachycardia", "sinus tachycardia")

# (conditions, those that they exclude, why)
EXCLUDES: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (RHYTHMS, RHYTHMS, "one rhythm drives the heart"),
    (RHYTHMS, (*AV_BLOCKS, *ATRIA, *RATES), "these belong to sinus P waves that lead"),
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
        "an abnormal spread hides voltage, Q, ST and T of the walls",
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
    (("Mobitz I", "Mobitz II"), (*RATES, *EXTRA), "their pauses would not be told apart"),
    (AXES, AXES, "one axis"),
    (AXES[1:2] + AXES[3:], Q_WAVES, "Q waves of a turned axis and of infarction look alike"),
    (("left anterior fascicular block", "left axis deviation"), Q_WAVES, "the same"),
    (
        ("right ventricular hypertrophy",),
        ("left ventricular hypertrophy", *_T_AND_ST, "low voltage"),
        "the heavy ventricle decides V1 to V6",
    ),
    (
        ("left ventricular hypertrophy",),
        (*AXES[1:2], *AXES[3:], "low voltage", *ST_RAISED, *Q_WAVES),
        "strain and loss of R would be mistaken for each other",
    ),
    (ATRIA, ATRIA, "the larger pattern names both"),
    (("low voltage",), (*_T_AND_ST, "right superior axis"), "too small to be measured"),
    (
        ST_RAISED,
        (*ST_RAISED, *ST_DEPRESSION, *T_INVERSION, "U wave"),
        "one cause of ST shift; its stage decides T",
    ),
    (ACUTE_INFARCTION, Q_WAVES, "its stage decides Q"),
    (("acute pericarditis", "Brugada pattern", "early repolarization"), Q_WAVES, "the same"),
    (("posterior Q waves",), (*Q_WAVES, "septal T inversion", "septal ST depression"), "V1, V2"),
    (("anterior Q waves",), ("septal Q waves", "lateral Q waves"), "one old scar in front"),
    (ST_DEPRESSION, ST_DEPRESSION, "one region of ischaemia"),
    (ST_DEPRESSION, T_INVERSION, "their T waves are part of the depression"),
    (RATES, RATES, "one rate"),
    (_FAST, ("prolonged QT", "U wave", "first degree AV block"), "no room in the interval"),
    (
        ("sinus bradycardia", "sinus tachycardia", "sinus arrhythmia", "prolonged QT"),
        EXTRA,
        "rate and pauses would not be told apart",
    ),
    (EXTRA, (*EXTRA, "first degree AV block", "U wave"), "one kind of extra beats, room for it"),
)


@cache
def clashes() -> np.ndarray:
    """(n, n) bool, symmetric: conditions that exclude each other."""
    table = np.zeros((len(CONDITIONS), len(CONDITIONS)), dtype=bool)
    for some, others, _ in EXCLUDES:
        for one in some:
            table[_PLACE(one), [_PLACE(other) for other in others]] = True
    table |= table.T
    np.fill_diagonal(table, False)
    return table


def prevalences(kind: str, only: tuple[str, ...] = ()) -> np.ndarray:
    """(n,) share of people who should have each condition.

    Args:
        kind: one of `PREVALENCE`.
        only: the conditions that are drawn; all where none is given. With fewer each becomes
            likelier in proportion, up to `MOST`, so that people stay as ill as they were.

    Raises:
        ValueError: the kind is not one of `PREVALENCE`, or a condition is unknown.
    """
    if kind not in PREVALENCE:
        raise ValueError(f"prevalence is {kind!r}; choose one of {PREVALENCE}")
    unknown = [name for name in only if name not in PER_CENT]
    if unknown:
        raise ValueError(f"condition {unknown[0]!r} is unknown; choose from {', '.join(PER_CENT)}")
    column = PREVALENCE.index(kind)
    share = np.array([row[column] for row in PER_CENT.values()]) / 100
    if only:
        kept = np.isin(CONDITIONS, only)
        more = share.sum() / max(share[kept].sum(), 1e-9)
        share = np.where(kept, np.minimum(more * share, np.maximum(share, MOST)), 0.0)
    return share


@cache
def chances(kind: str, only: tuple[str, ...] = ()) -> np.ndarray:
    """(n,) chance of each condition for an ill person who has none that excludes it.

    Found on 20,000 people drawn for it: prevalence over the share who may still have it.
    """
    wanted, barred = prevalences(kind, only) / (1 - HEALTHY), clashes()
    rng = np.random.default_rng([77, PREVALENCE.index(kind)])
    has = np.zeros((20_000, len(wanted)), dtype=bool)
    found = np.zeros(len(wanted))
    for i, share in enumerate(wanted):
        free = ~has[:, barred[i]].any(axis=1)
        found[i] = min(0.95, share / max(free.mean(), 1e-9))
        has[:, i] = free & (rng.random(len(has)) < found[i])
    return found


def draw(
    kind: str,
    rng: np.random.Generator,
    likelier: np.ndarray | float = 1.0,
    only: tuple[str, ...] = (),
) -> frozenset[str]:
    """Conditions of one person; empty for a healthy one.

    Args:
        kind: one of `PREVALENCE`.
        likelier: (n,) factors on the chances, for age and hospital.
        only: the conditions that may be drawn; all where none is given.
    """
    chance = np.minimum(chances(kind, only) * likelier, 0.97)
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
    return not clashes()[_PLACE(one), _PLACE(other)]
