"""Draws people, their conditions and the state of their hearts at one ECG.

Age and hospital change how likely conditions are. Sex and build change voltage, QRS and QT. The
effect of each condition is in `condition_effects`.
"""

from dataclasses import dataclass, replace

import numpy as np

from ecglib.labels.findings import SITES
from ecglib.simulator import conditions
from ecglib.simulator.condition_effects import EFFECTS, Fields
from ecglib.simulator.conditions import compatible
from ecglib.simulator.heart import Anatomy, HeartState
from ecglib.simulator.severity import graded_effect, without_hidden

Draw = np.random.Generator
FOCI = np.array([[0.36, -0.71, -0.62], [-0.65, 0.10, 0.70], [0.15, 0.80, -0.55]])  # RV, LV, outflow


@dataclass(frozen=True)
class Person:
    """What stays the same in all ECGs of a person."""

    site: str  # the hospital
    age: float  # years
    sex: str  # "F" or "M"
    height: float  # cm
    weight: float  # kg
    conditions: frozenset[str]  # those at the first ECG
    anatomy: Anatomy
    seed: int  # draws the healthy heart and the chronic conditions
    kind: str = "enriched"  # one of `conditions.PREVALENCE`; "graded" draws severities


def draw_person(site: str, kind: str, rng: Draw, only: tuple[str, ...] = ()) -> Person:
    """One patient of a hospital: age and sex, body, conditions (see `draw_conditions`), anatomy.
    Raises ValueError: the hospital, the kind or a condition is unknown."""
    if site not in SITES:
        raise ValueError(f"expected a hospital of {SITES}, got {site!r}")
    sex = "F" if rng.random() < 0.47 else "M"
    age = float(np.clip(round(rng.normal(62 if site == "A" else 67, 15)), 19, 95))
    height = round(rng.normal(163 if sex == "F" else 176, 7))
    weight = round(height**2 * 1e-4 * rng.lognormal(np.log(26), 0.15))
    has = conditions.draw_conditions(kind, rng, conditions.relative_chances(site, age), only)
    ectopic = np.array([rng.choice([-0.6, 0.5]), rng.choice([-0.7, 0.8]), rng.normal(0.2, 0.4)])
    if kind == "graded":  # many foci are where a pacing lead would be
        ectopic = FOCI[rng.integers(len(FOCI))] if rng.random() < 0.6 else ectopic
    ectopic = ectopic + 0.15 * rng.standard_normal(3)
    more = 1.8 if kind == "graded" else 1.0  # differences between people
    anatomy = Anatomy(
        direction=0.13 * more * rng.standard_normal((5, 3)),
        width=np.exp(0.08 * more * rng.standard_normal(5)),
        rotation=more * float(np.clip(rng.normal(0, 9), -16, 16)),
        placement=np.exp(0.07 * more * rng.standard_normal(6)),
        p_wave=rng.standard_normal((2, 3)),
        ectopic=ectopic / np.linalg.norm(ectopic),
    )
    return Person(site, age, sex, height, weight, has, anatomy, int(rng.integers(2**32)), kind)


def conditions_later(has: frozenset[str], rng: Draw, kind: str = "enriched") -> frozenset[str]:
    """Conditions at a person's next ECG.
    Each acute condition is gone in half of the cases. An infarction that is gone leaves Q waves."""
    kept = {c for c in sorted(has) if c not in conditions.ACUTE or rng.random() < 0.5}
    for gone in has - kept:
        scar = gone.replace("acute ", "").replace("infarction", "Q waves")
        if gone in conditions.ACUTE_INFARCTION and all(compatible(scar, one, kind) for one in kept):
            kept.add(scar)
    return frozenset(kept)


def draw_state(person: Person, has: frozenset[str], rng: Draw) -> HeartState:
    """The heart of this person with these conditions at one ECG.
    `rng` draws what differs between ECGs; the rest follows from the person's seed."""
    graded = person.kind == "graded"
    healthy = _any_healthy if graded else _healthy
    fields = healthy(person, np.random.default_rng(person.seed))
    fields |= _today(fields, rng, *((48, 112) if graded else (61, 97)))
    for number, (condition, effect) in enumerate(EFFECTS.items()):
        if condition in has:
            chronic = np.random.default_rng([person.seed, number])
            draw = rng if condition in conditions.ACUTE else chronic
            fields |= graded_effect(condition, fields, draw) if graded else effect(draw, fields)
    fields["anatomy"] = person.anatomy
    if "left ventricular hypertrophy" in has:  # the thick wall is to the left and back
        turned = -4 - abs(person.anatomy.rotation)
        fields["anatomy"] = replace(person.anatomy, rotation=turned)
    fields = without_hidden(fields) if graded else fields
    return HeartState(**_with_room(fields, has))


def example_heart(*names: str, seed: int = 0) -> HeartState:
    """A heart with these conditions, always of the same person; without any, a healthy one. Raises
    ValueError: a condition is unknown."""
    if unknown := [name for name in names if name not in conditions.CONDITIONS]:
        raise ValueError(f"unknown condition {unknown[0]!r}; choose from conditions.csv")
    person = Person("A", 60.0, "M", 176, 79, frozenset(), Anatomy(), 11 + seed)
    return draw_state(person, frozenset(names), np.random.default_rng([seed, 5]))


def _healthy(person: Person, rng: Draw) -> Fields:
    """Sinus rhythm of this person, without any condition."""
    bulk = (26 / (person.weight / (0.01 * person.height) ** 2)) ** 0.4
    tall = 1.15 * (1.12 - 0.002 * person.age)
    woman = person.sex == "F"
    usual = 1.15 if woman else 1.3  # mV
    return {
        "rate": float(np.clip(rng.normal(75, 9), 61, 97)),
        "variability": rng.uniform(0.006, 0.03),
        "pr": rng.uniform(0.130, 0.184),
        "p_size": rng.lognormal(0, 0.12),
        "f_size": rng.uniform(0.05, 0.12),
        "qrs": rng.uniform(0.068, 0.086) + (0.0 if woman else 0.006),
        "axis": float(np.clip(rng.normal(48 - 0.3 * (person.age - 55), 18), -18, 78)),
        "voltage": float(np.clip(bulk * rng.lognormal(np.log(usual), 0.14), 0.9, 2)),
        "qtc": float(np.clip(rng.normal(0.438 if woman else 0.430, 0.014), 0.40, 0.46)),
        "t_limb": (tall * rng.uniform(0.16, 0.30), tall * rng.uniform(0.14, 0.26)),
        "t_chest": tall * rng.uniform(0.22, 0.50),
    }


def _any_healthy(person: Person, rng: Draw) -> Fields:
    """Sinus rhythm of a graded heart, of sizes up to the limits of the definitions and beyond."""
    fields = _healthy(person, rng)
    t_size = rng.lognormal(0, 0.45, 2)
    return fields | {
        "rate": float(np.clip(rng.normal(70, 14), 48, 112)),
        "variability": rng.uniform(0.006, 0.06),
        "pr": rng.uniform(0.122, 0.198),
        "p_size": rng.lognormal(0, 0.3),
        "qrs": fields["qrs"] + rng.uniform(-0.004, 0.018),
        "axis": float(np.clip(rng.normal(28, 42), -70, 105)),
        "voltage": float(np.clip(fields["voltage"] * rng.lognormal(0.02, 0.3), 0.5, 2.9)),
        "free_voltage": True,
        "qtc": float(np.clip(rng.normal(0.438, 0.020), 0.38, 0.467)),
        "t_limb": tuple(t_size[0] * t for t in fields["t_limb"]),
        "t_chest": t_size[1] * fields["t_chest"],
    }


def _today(fields: Fields, rng: Draw, low: float, high: float) -> Fields:
    """Fields that change from day to day: the rate and, slightly, axis and T wave."""
    size = rng.lognormal(0, 0.06)
    return {
        "rate": float(np.clip(fields["rate"] + rng.normal(0, 5), low, high)),
        "axis": fields["axis"] + rng.normal(0, 2),
        "t_limb": tuple(size * t for t in fields["t_limb"]),
        "t_chest": size * fields["t_chest"],
    }


def _with_room(fields: Fields, has: frozenset[str]) -> Fields:
    """Lower the rate if a long PR, a long QT or extra beats need time in the RR interval."""
    fields = dict(fields)
    if fields.get("rhythm", "sinus") == "sinus" and "sinus tachycardia" not in has:
        cramped = {"first degree AV block", "prolonged QT", "U wave"} & has
        top = 74 if len(cramped) > 1 else 84 if cramped or fields.get("premature") else 97
        top = 80 if has & set(conditions.EXTRA) else top
        fields["rate"] = min(fields["rate"], float(top))
    if fields.get("left_atrium", 1.0) > 1 and fields["pr"] < 0.17:
        fields["pr"] = 0.172 + 0.1 * (fields["pr"] - 0.13)
    return fields
