"""From a person and conditions to a heart state: who is ill, and what the heart is like without.

Age and hospital make some conditions likelier; sex and build show in voltage, QRS and QT; what each
condition then changes stands in `changes`.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ecglib.labels.findings import SITES
from ecglib.simulator import conditions
from ecglib.simulator.anatomy import Person, draw_anatomy
from ecglib.simulator.condition_effects import CHANGES, Fields
from ecglib.simulator.conditions import CONDITIONS, compatible
from ecglib.simulator.heart import HeartState

# Commoner with age; commoner in the young. Factors are 1 on average over the ages drawn here.
_OLD = (
    *("atrial fibrillation", "atrial flutter", "left bundle branch block", "Mobitz II"),
    *("right bundle branch block", "third degree AV block", "first degree AV block"),
    *("ventricular pacing", "atrial pacing", "left atrial enlargement", "inferior Q waves"),
)
_YOUNG = ("early repolarization", "pre-excitation", "Brugada pattern", "sinus arrhythmia")
# Hospital B has more ischaemia and fewer conduction disorders than A.
_MORE_AT_B = (*conditions.ACUTE_INFARCTION, *conditions.Q_WAVES, *conditions.ST_DEPRESSION)
_MORE_AT_A = (*conditions.BLOCKS, *conditions.AV_BLOCKS)
# May have gone by the next ECG; the others stay.
ACUTE = (
    *(*conditions.ST_RAISED[:-2], *conditions.ST_DEPRESSION, *conditions.EXTRA),
    *(*conditions.RATES, "lead misplacement", "standstill", "ventricular tachycardia"),
    *("supraventricular tachycardia", "atrial tachycardia", "atrial flutter", "Mobitz I"),
    *("junctional rhythm", "ectopic atrial rhythm"),
)

Draw = np.random.Generator


@dataclass(frozen=True)
class Patient(Person):
    """A person whose heart, and whose chronic conditions, are the same in all ECGs.

    Attributes:
        seed: draws both.
    """

    seed: int = 0


def draw_person(site: str, kind: str, rng: Draw, only: tuple[str, ...] = ()) -> Patient:
    """One patient of a hospital: age and sex, body, conditions, anatomy.

    Args:
        site: the hospital.
        kind: prevalence, "paper" or "enriched".
        only: conditions that may be drawn; all where none is given.

    Raises:
        ValueError: the hospital, the kind or a condition is unknown.
    """
    if site not in SITES:
        raise ValueError(f"Hospital {site!r} is unknown; choose from {SITES}.")
    sex = "F" if rng.random() < 0.47 else "M"
    age = float(np.clip(round(rng.normal(62 if site == "A" else 67, 15)), 19, 95))
    height = round(rng.normal(163 if sex == "F" else 176, 7))
    weight = round(height**2 * 1e-4 * rng.lognormal(np.log(26), 0.15))
    has = conditions.draw(kind, rng, _likelier(site, age), only)
    anatomy = draw_anatomy(rng)
    return Patient(site, age, sex, height, weight, has, anatomy, int(rng.integers(2**32)))


def _likelier(site: str, age: float) -> np.ndarray:
    """(n,) factors on the chances of the conditions."""
    factor = dict.fromkeys(CONDITIONS, 1.0)
    for name in _OLD:
        factor[name] *= (age / 64) ** 1.5 / 1.02
    for name in _YOUNG:
        factor[name] *= (64 / age) ** 0.7 / 1.05
    for name in CONDITIONS:
        factor[name] *= {"A": 0.85, "B": 1.15}[site] if name in _MORE_AT_B else 1.0
        factor[name] *= {"A": 1.10, "B": 0.90}[site] if name in _MORE_AT_A else 1.0
    return np.array(list(factor.values()))


def later(has: frozenset[str], rng: Draw) -> frozenset[str]:
    """Conditions at a person's next ECG.

    Each acute one has gone in half of the cases; an infarction then leaves its Q waves.
    """
    kept = {c for c in sorted(has) if c not in ACUTE or rng.random() < 0.5}
    for gone in has - kept:
        scar = gone.replace("acute ", "").replace("infarction", "Q waves")
        if gone in conditions.ACUTE_INFARCTION and all(map(partial(compatible, scar), kept)):
            kept.add(scar)
    return frozenset(kept)


def draw_state(person: Patient, has: frozenset[str], rng: Draw) -> HeartState:
    """A heart of this person with these conditions at one moment.

    Args:
        rng: draws what differs from ECG to ECG; the rest follows from the person's seed.
    """
    fields = _healthy(person, np.random.default_rng(person.seed))
    fields |= _today(fields, rng)
    for place, (condition, change) in enumerate(CHANGES.items()):
        if condition in has:
            chronic = np.random.default_rng([person.seed, place])
            fields |= change(rng if condition in ACUTE else chronic, fields)
    fields["anatomy"] = person.anatomy
    if "left ventricular hypertrophy" in has:  # the heavy wall lies to the left and back
        turned = -4 - abs(person.anatomy.rotation)
        fields["anatomy"] = replace(person.anatomy, rotation=turned)
    return HeartState(**_with_room(fields, has))


def _healthy(person: Patient, rng: Draw) -> Fields:
    """Sinus rhythm of this person: sex and build show in voltage, QRS and QT."""
    bulk = (26 / (person.weight / (0.01 * person.height) ** 2)) ** 0.4
    tall = 1.15 * (1.12 - 0.002 * person.age)
    woman = person.sex == "F"
    return {
        "rate": float(np.clip(rng.normal(75, 9), 61, 97)),
        "variability": rng.uniform(0.006, 0.03),
        "pr": rng.uniform(0.130, 0.184),
        "p_size": rng.lognormal(0, 0.12),
        "f_size": rng.uniform(0.05, 0.12),
        "qrs": rng.uniform(0.068, 0.086) + (0.0 if woman else 0.006),
        "axis": float(np.clip(rng.normal(48 - 0.3 * (person.age - 55), 18), -18, 78)),
        "voltage": float(
            np.clip(bulk * rng.lognormal(np.log(1.15 if woman else 1.3), 0.14), 0.9, 2)
        ),
        "qtc": float(np.clip(rng.normal(0.412 if woman else 0.402, 0.014), 0.37, 0.45)),
        "t_limb": (tall * rng.uniform(0.16, 0.30), tall * rng.uniform(0.14, 0.26)),
        "t_chest": tall * rng.uniform(0.22, 0.50),
    }


def _today(fields: Fields, rng: Draw) -> Fields:
    """What changes from day to day: the rate, and a little the sizes."""
    size = rng.lognormal(0, 0.06)
    return {
        "rate": float(np.clip(fields["rate"] + rng.normal(0, 5), 61, 97)),
        "axis": fields["axis"] + rng.normal(0, 2),
        "t_limb": tuple(size * t for t in fields["t_limb"]),
        "t_chest": size * fields["t_chest"],
    }


def _with_room(fields: Fields, has: frozenset[str]) -> Fields:
    """What belongs together: a long PR, a long QT and extra beats need time in the RR interval."""
    fields = dict(fields)
    if fields.get("rhythm", "sinus") == "sinus" and "sinus tachycardia" not in has:
        cramped = {"first degree AV block", "prolonged QT", "U wave"} & has
        top = 74 if len(cramped) > 1 else 84 if cramped or fields.get("premature") else 97
        top = 80 if has & set(conditions.EXTRA) else top
        fields["rate"] = min(fields["rate"], float(top))
    if fields.get("left_atrium", 1.0) > 1 and fields["pr"] < 0.17:
        fields["pr"] = 0.172 + 0.1 * (fields["pr"] - 0.13)
    return fields
