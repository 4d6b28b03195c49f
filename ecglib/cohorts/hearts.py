"""From prevalences to heart states: who has what, and what it does to the heart.

Labels are then read off the state alone (`labels_of`), so a label cannot disagree with the
waveform that the state makes.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from ecglib.cohorts.labels import ABSENT, LABELS, NOT_ASSESSABLE, PRESENT
from ecglib.signals.heart import Anatomy, HeartState

AFIB, BRADY, PVC, LBBB, RBBB, AVB1 = 15, 13, 19, 6, 22, 26
LAD, RAD, LAFB, LVH, Q_INF, LOW, QT = 11, 32, 31, 12, 14, 37, 46
T_INVERTED = {"inferior": 5, "lateral": 9, "anterior": 10}
ST_RAISED = {"inferior": 36, "anterior": 24}

# Chance that a person who is not healthy has a condition, when nothing that excludes it was drawn
# before. Enriched: several times what a hospital sees. The two hospitals differ in case mix.
RISK: dict[str, dict[int, float]] = {
    "A": {AFIB: 0.14, BRADY: 0.12, PVC: 0.13, LBBB: 0.11, RBBB: 0.18, AVB1: 0.16, LAFB: 0.14}
    | {LAD: 0.08, RAD: 0.16, LVH: 0.18, LOW: 0.24, QT: 0.13, Q_INF: 0.15}
    | {5: 0.12, 9: 0.10, 10: 0.14, 36: 0.14, 24: 0.16},
    "B": {AFIB: 0.18, BRADY: 0.11, PVC: 0.15, LBBB: 0.09, RBBB: 0.15, AVB1: 0.13, LAFB: 0.12}
    | {LAD: 0.08, RAD: 0.14, LVH: 0.20, LOW: 0.24, QT: 0.15, Q_INF: 0.17}
    | {5: 0.14, 9: 0.11, 10: 0.15, 36: 0.16, 24: 0.17},
}
HEALTHY = 0.22
_ACUTE = (PVC, BRADY, *ST_RAISED.values())  # may have gone by the next ECG
_T, _ST = tuple(T_INVERTED.values()), tuple(ST_RAISED.values())
EXCLUDES: dict[int, tuple[int, ...]] = {
    LBBB: (RBBB, LVH, LAFB, RAD, LOW, QT, Q_INF, *_T, *_ST),
    RBBB: (LVH, LOW, 10, 24),
    AFIB: (AVB1, QT),
    RAD: (LAD, LAFB, LVH, Q_INF),
    Q_INF: (LAD, LAFB, LVH),
    LOW: (LVH, Q_INF, *_T, *_ST),
    LVH: _ST,
    36: (24, 5),
    24: (10,),
}


@dataclass(frozen=True)
class Person:
    """What a patient brings to every ECG."""

    site: str
    age: float
    sex: str
    height: float
    weight: float
    conditions: frozenset[int]
    anatomy: Anatomy


def _clash(one: int, other: int) -> bool:
    return other in EXCLUDES.get(one, ()) or one in EXCLUDES.get(other, ())


def draw_conditions(
    site: str, rng: np.random.Generator, findings: Collection[int] = ()
) -> frozenset[int]:
    """Labels of the conditions a person has; empty for a healthy one.

    Args:
        findings: the labels that may be drawn; all of `RISK` where none is given. With fewer each
            becomes likelier in proportion, so that patients stay as ill as they were.

    Raises:
        ValueError: the hospital is unknown, or one of the findings.
    """
    if site not in RISK:
        raise ValueError(f"Hospital {site!r} is unknown; choose from {tuple(RISK)}.")
    unknown = sorted(set(findings) - set(RISK[site]))
    if unknown:
        raise ValueError(f"Label {unknown[0]} cannot be simulated; choose from {[*RISK[site]]}.")
    if rng.random() < HEALTHY:
        return frozenset()
    risk = {i: chance for i, chance in RISK[site].items() if not findings or i in findings}
    more = sum(RISK[site].values()) / sum(risk.values())
    chosen: set[int] = set()
    while not chosen:
        # Left bundle branch block excludes most of the others, so it is drawn before them.
        others = rng.permutation([label for label in risk if label != LBBB])
        for label in (*({LBBB} & set(risk)), *others):
            chance = min(0.5, more * risk[label])
            if label == T_INVERTED["lateral"] and LVH in chosen:
                chance = 0.4  # strain
            if rng.random() < chance and not any(_clash(label, had) for had in chosen):
                chosen.add(int(label))
    return frozenset(chosen | {LAD}) if LAFB in chosen else frozenset(chosen)


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A person's own directions, widths and electrode places."""
    ectopic = np.array([rng.choice([-0.6, 0.5]), rng.choice([-0.7, 0.8]), rng.normal(0.2, 0.4)])
    ectopic += 0.15 * rng.standard_normal(3)
    return Anatomy(
        direction=0.13 * rng.standard_normal((5, 3)),
        width=np.exp(0.08 * rng.standard_normal(5)),
        rotation=float(np.clip(rng.normal(0, 9), -16, 16)),
        placement=np.exp(0.07 * rng.standard_normal(6)),
        p_wave=rng.standard_normal((2, 3)),
        ectopic=ectopic / np.linalg.norm(ectopic),
    )


def draw_person(site: str, rng: np.random.Generator, findings: Collection[int] = ()) -> Person:
    """One patient of a hospital: age and sex, body, conditions, anatomy."""
    sex = "F" if rng.random() < 0.47 else "M"
    age = float(np.clip(round(rng.normal(62 if site == "A" else 67, 15)), 19, 95))
    height = round(rng.normal(163 if sex == "F" else 176, 7))
    weight = round(height**2 * 1e-4 * rng.lognormal(np.log(26), 0.15))
    has = draw_conditions(site, rng, findings)
    return Person(site, age, sex, height, weight, has, draw_anatomy(rng))


def later(conditions: frozenset[int], rng: np.random.Generator) -> frozenset[int]:
    """Conditions at a person's next ECG: each acute one has gone in half of the cases."""
    return frozenset(c for c in conditions if c not in _ACUTE or rng.random() < 0.5)


def _rate(has: frozenset[int], rng: np.random.Generator) -> float:
    if BRADY in has:
        return rng.uniform(42, 55)
    if AFIB in has:
        return float(np.clip(rng.normal(90, 18), 65, 100 if PVC in has else 135))
    # A long PR or QT, or ectopy, needs room in the RR interval.
    top = 75 if {AVB1, QT} <= has else 88 if has & {AVB1, QT, PVC} else 98
    return float(np.clip(rng.normal(75, 10), 63, top))


def _axis(has: frozenset[int], age: float, rng: np.random.Generator) -> float:
    if LAFB in has:
        return rng.uniform(-75, -50)
    if LAD in has:
        return rng.uniform(-65, -36) if LBBB in has else rng.uniform(-46, -36)
    if RAD in has:
        return rng.uniform(100, 145)
    low = 15 if Q_INF in has else -18
    high = 50 if LVH in has else 78
    return float(np.clip(rng.normal(45 - 0.4 * (age - 55), 20), low, high))


def _qtc(has: frozenset[int], sex: str, rng: np.random.Generator) -> float:
    if QT in has:
        return rng.uniform(0.49, 0.56)
    middle = 0.402 + 0.01 * (sex == "F") + 0.012 * (RBBB in has) + 0.03 * (LBBB in has)
    return float(np.clip(rng.normal(middle, 0.015), 0.37, 0.45))


def draw_state(person: Person, has: frozenset[int], rng: np.random.Generator) -> HeartState:
    """A heart of this person with these conditions at one moment."""
    kind = "lbbb" if LBBB in has else "rbbb" if RBBB in has else "narrow"
    wide = {"narrow": (0.080, 0.104), "rbbb": (0.126, 0.150), "lbbb": (0.134, 0.164)}[kind]
    tall = (1.15 if LOW not in has else 0.5) * (1.12 - 0.002 * person.age)
    voltage = rng.lognormal(np.log(1.3 if person.sex == "M" else 1.18), 0.16)
    anatomy = person.anatomy
    if LVH in has:  # the heavy wall lies to the left and back
        anatomy = replace(anatomy, rotation=-4 - abs(anatomy.rotation))
    deep = 0.20 if AFIB in has else 0.15  # seen through fibrillatory waves too
    state = HeartState(
        rate=_rate(has, rng),
        rhythm="afib" if AFIB in has else "sinus",
        variability=rng.uniform(0.16, 0.24) if AFIB in has else rng.uniform(0.006, 0.03),
        pr=rng.uniform(0.225, 0.32) if AVB1 in has else rng.uniform(0.128, 0.184),
        p_size=rng.lognormal(0, 0.15),
        f_size=rng.uniform(0.05, 0.12),
        qrs_type=kind,
        qrs=rng.uniform(*wide),
        axis=_axis(has, person.age, rng),
        fascicular=LAFB in has,
        voltage=max(voltage, 1.2) if Q_INF in has else voltage,  # the Q leaves an R behind it
        sokolow=rng.uniform(3.8, 5.0) if LVH in has else None,
        low_voltage=rng.uniform(0.28, 0.44) if LOW in has else None,
        qtc=_qtc(has, person.sex, rng),
        t_limb=(tall * rng.uniform(0.14, 0.30), tall * rng.uniform(0.13, 0.26)),
        t_chest=tall * rng.uniform(0.2, 0.55),
        premature=int(rng.integers(1, 4)) if PVC in has else 0,
        anatomy=anatomy,
    )
    return replace(
        state,
        t_inverted={k: rng.uniform(deep, 0.4) for k, v in T_INVERTED.items() if v in has},
        st={k: rng.uniform(0.18, 0.45) for k, v in ST_RAISED.items() if v in has},
        q_inferior=rng.uniform(0.25, 0.42) if Q_INF in has else 0.0,
    )


def labels_of(state: HeartState) -> np.ndarray:
    """int8 (77,) label states, by what a reader would measure in the state's waveform.

    Findings that the simulator does not make, or that left bundle branch block hides, are -1.
    """
    labels = np.full(len(LABELS), NOT_ASSESSABLE, dtype=np.int8)
    afib, lbbb = state.rhythm == "afib", state.qrs_type == "lbbb"
    facts = {
        0: not afib,
        AFIB: afib,
        16: afib,
        BRADY: state.rate < 60,
        PVC: state.premature > 0,
        LBBB: lbbb,
        RBBB: state.qrs_type == "rbbb",
        AVB1: not afib and state.pr > 0.20,
        LAD: state.axis < -30,
        RAD: state.axis > 90,
        LOW: state.low_voltage is not None,
        QT: state.qtc > 0.47,
        LAFB: state.fascicular and not lbbb,
    }
    if not state.premature:
        facts |= {1: not afib, 2: True}
    if not lbbb:
        facts |= {LVH: state.sokolow is not None, Q_INF: state.q_inferior > 0}
        facts |= {label: name in state.t_inverted for name, label in T_INVERTED.items()}
        facts |= {label: name in state.st for name, label in ST_RAISED.items()}
    for label, fact in facts.items():
        labels[label] = PRESENT if fact else ABSENT
    return labels
