"""The effect of each condition on the heart: numbers for the fields of a heart state.

condition_effects.yaml holds the effects that are ranges of numbers. A function here draws each of
the others: it gets the generator and the fields so far, and returns the fields that change. The
ranges are those of textbooks. They keep a distance from the limit of a definition, so that a drawn
condition is present in the waveform and one that was not drawn seldom is.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from ecglib.labels.label_set import TERRITORIES

_EXCHANGES = (("RA", "LA"), ("RA", "LL"), ("V1", "V3"), ("V2", "V5"))
# Factors on ST shift, Q depth and T (< 0: inverted) after hours, a day, and days to weeks of an
# infarction. The Q wave remains.
_STAGES = ((0.8, 0.0, 1.6), (1.0, 0.8, 1.0), (0.65, 1.0, -1.0))

Fields = dict[str, object]
Draw = np.random.Generator
Effect = Callable[[Draw, Fields], Fields]


def _draw_ranges(ranges: Fields, rng: Draw, _: Fields) -> Fields:
    """A number from each range; other values are taken as they are."""
    return {k: rng.uniform(*v) if isinstance(v, list) else v for k, v in ranges.items()}


def _flutter(rng: Draw, _: Fields) -> Fields:
    ratios = ((2,), (3,), (4,), (2, 3, 4), (3, 4))[rng.choice(5, p=(0.3, 0.12, 0.25, 0.18, 0.15))]
    rate = rng.uniform(250, 310)
    fields: Fields = {"rhythm": "flutter", "atrial_rate": rate, "ratios": ratios}
    return fields | {"rate": rate / float(np.mean(ratios)), "f_size": rng.uniform(0.11, 0.20)}


def _junctional(rng: Draw, _: Fields) -> Fields:
    rate = rng.uniform(38, 57) if rng.random() < 0.7 else rng.uniform(62, 90)
    back = (None, rng.uniform(-0.125, -0.110), rng.uniform(0.07, 0.10))[rng.choice(3)]
    return {"rhythm": "junctional", "rate": rate, "retrograde": back, "variability": 0.01}


def _reentry(rng: Draw, _: Fields) -> Fields:
    back = rng.uniform(0.07, 0.09) if rng.random() < 0.4 else None
    fields: Fields = {"rhythm": "svt", "rate": rng.uniform(152, 205), "retrograde": back}
    return fields | {"variability": 0.004, "qtc": rng.uniform(0.40, 0.43)}


def _ventricular(low: float, high: float, rng: Draw, fields: Fields) -> Fields:
    """A rhythm of the ventricles; in most hearts the atria have their own rhythm."""
    drawn: Fields = {"rhythm": "ventricular", "qrs_type": "ventricular", "variability": 0.01}
    drawn["atrial_rate"] = rng.uniform(62, 95) if rng.random() < 0.6 else 0.0
    drawn |= {"rate": rng.uniform(low, high), "qrs": rng.uniform(0.144, 0.176)}
    return drawn | {"qtc": rng.uniform(0.46, 0.49), "voltage": 1.25 * fields["voltage"]}


def _complete_block(rng: Draw, fields: Fields) -> Fields:
    drawn: Fields = {"av": "complete", "atrial_rate": rng.uniform(70, 100), "variability": 0.012}
    if rng.random() < 0.55:
        return drawn | {"rate": rng.uniform(38, 52)}
    wide = {"qrs_type": "ventricular", "qrs": rng.uniform(0.142, 0.17), "qtc": 0.47}
    return drawn | wide | {"rate": rng.uniform(27, 40), "voltage": 1.2 * fields["voltage"]}


def _pacing(kind: str, rng: Draw, _: Fields) -> Fields:
    """A ventricular pacemaker with sinus rhythm, paced or fibrillating atria, or dissociated."""
    drawn: Fields = {"qrs_type": kind, "qrs": rng.uniform(0.146, 0.176), "variability": 0.002}
    drawn |= {"rate": rng.uniform(60, 82), "pr": rng.uniform(0.15, 0.18), "qtc": 0.48}
    atria = rng.choice(4, p=(0.45, 0.22, 0.25, 0.08))
    drawn["paced"] = "dual" if atria == 1 else "ventricular"
    if atria == 2:
        drawn["rhythm"] = "afib"
    elif atria == 3:
        drawn["atrial_rate"] = rng.uniform(85, 105)
    return drawn


def _preexcited(rng: Draw, _: Fields) -> Fields:
    """The axis follows the delta wave, and so the pathway."""
    pathway = str(rng.choice(("left", "right", "septal")))
    low, high = {"left": (62.0, 84.0), "right": (0.0, 25.0), "septal": (-28.0, -8.0)}[pathway]
    drawn: Fields = {"qrs_type": "preexcited", "pathway": pathway, "qrs": rng.uniform(0.122, 0.142)}
    return drawn | {"axis": rng.uniform(low, high), "pr": rng.uniform(0.088, 0.112)}


def _mobitz(kind: str, low: float, high: float, rng: Draw, _: Fields) -> Fields:
    """One of every few atrial beats is not conducted; the rate is that of the others."""
    drop, atria = int(rng.integers(3, 6)), rng.uniform(68, 92)
    drawn: Fields = {"av": kind, "drop": drop, "atrial_rate": atria, "variability": 0.01}
    return drawn | {"pr": rng.uniform(low, high), "rate": atria * (drop - 1) / drop}


def _hypertrophy(rng: Draw, fields: Fields) -> Fields:
    """Left ventricular: tall in V5 and deep in V1, or tall in aVL with the axis to the left."""
    strain: Fields = {}
    if rng.random() < 0.5 and not fields.get("t_inverted"):
        strain = {"injury": {"lateral": -rng.uniform(0.08, 0.14)}, "st_slope": -0.7}
        strain |= {"t_inverted": {"lateral": rng.uniform(0.15, 0.3)}}
    if rng.random() < 0.5:
        return strain | {"sokolow": rng.uniform(3.75, 4.9), "axis": min(fields["axis"], 55.0)}
    strain["avl"] = rng.uniform(1.18, 1.45)
    return strain | {"axis": min(fields["axis"], rng.uniform(-25, -5))}


def _small(rng: Draw, fields: Fields) -> Fields:
    """Low voltage of QRS and T, because fluid or fat around the heart attenuates both."""
    drawn: Fields = {"low_voltage": rng.uniform(0.28, 0.44), "t_chest": 0.5 * fields["t_chest"]}
    return drawn | {"t_limb": tuple(0.5 * t for t in fields["t_limb"])}


def _right_hypertrophy(rng: Draw, _: Fields) -> Fields:
    strain = {"septal": rng.uniform(0.14, 0.3)} if rng.random() < 0.5 else {}
    drawn: Fields = {"t_inverted": strain, "right_force": rng.uniform(1.25, 2.0)}
    return drawn | {"axis": rng.uniform(98, 135)}


def _infarction(territory: str, rng: Draw, fields: Fields) -> Fields:
    """Acute infarction in one of its stages."""
    st, q, t_wave = _STAGES[rng.choice(3, p=(0.3, 0.4, 0.3))]
    drawn: Fields = {"injury": {territory: st * rng.uniform(0.20, 0.42)}}
    if territory == "posterior":
        return drawn | {"t_chest": 1.25 * fields["t_chest"]}
    if q:
        drawn["q"] = {territory: q * rng.uniform(0.22, 0.36)}
        drawn["voltage"] = max(fields["voltage"], 1.2)
    if t_wave < 0:
        return drawn | {"t_inverted": {territory: -t_wave * rng.uniform(0.15, 0.3)}}
    return drawn | {"t_limb": tuple(t_wave * t for t in fields["t_limb"])}


def _old_q(territory: str, rng: Draw, fields: Fields) -> Fields:
    """Q waves of a healed infarction, with an axis that keeps them visible."""
    depth = rng.uniform(0.24, 0.40) * (1.3 if territory == "anterior" else 1.0)
    drawn: Fields = {"q": {**fields.get("q", {}), territory: depth}}
    low = {"inferior": 15.0, "lateral": 25.0}.get(territory, -15.0)
    drawn |= {"voltage": max(fields["voltage"], 1.2), "axis": max(fields["axis"], low)}
    return drawn | ({"t_chest": 1.3 * fields["t_chest"]} if territory == "posterior" else {})


def _depression(territory: str, rng: Draw, fields: Fields) -> Fields:
    """A depressed ST segment that falls, is level or rises."""
    slope = float(rng.choice((-0.8, 0.0, 0.8), p=(0.55, 0.15, 0.3)))
    return {"injury": {territory: -rng.uniform(0.16, 0.26)}, "st_slope": slope} | (
        {"t_chest": 0.5 * fields["t_chest"]} if slope < 0 else {}  # it ends in a flat T wave
    )


def _inverted(territory: str, rng: Draw, fields: Fields) -> Fields:
    """Inverted T waves, deeper in atrial fibrillation, whose waves would hide them."""
    deep = 0.20 if fields.get("rhythm") == "afib" else 0.16
    return {"t_inverted": {**fields.get("t_inverted", {}), territory: rng.uniform(deep, 0.4)}}


def _extra(kind: str, low: int, high: int, rng: Draw, _: Fields, **more: object) -> Fields:
    return {kind: int(rng.integers(low, high)), **more}


def _group_beating(rng: Draw, _: Fields) -> Fields:
    kind = "premature" if rng.random() < 0.65 else "premature_atrial"
    return {"every": int(rng.choice((2, 3))), kind: 1, "variability": 0.01}


def _misplaced_leads(rng: Draw, _: Fields) -> Fields:
    return {"exchanged": _EXCHANGES[int(rng.integers(len(_EXCHANGES)))]}


_DRAWN: dict[str, Effect] = {
    "ventricular pacing": partial(_pacing, "paced"),
    "left ventricular pacing": partial(_pacing, "lv_paced"),
    "ventricular tachycardia": partial(_ventricular, 125, 185),
    "ventricular rhythm": partial(_ventricular, 36, 92),
    "third degree AV block": _complete_block,
    "atrial flutter": _flutter,
    "supraventricular tachycardia": _reentry,
    "junctional rhythm": _junctional,
    "pre-excitation": _preexcited,
    "Mobitz I": partial(_mobitz, "mobitz1", 0.17, 0.20),
    "Mobitz II": partial(_mobitz, "mobitz2", 0.15, 0.185),
    "right ventricular hypertrophy": _right_hypertrophy,
    "low voltage": _small,
    **{f"acute {name} infarction": partial(_infarction, name) for name in TERRITORIES},
    **{f"{name} Q waves": partial(_old_q, name) for name in TERRITORIES},
    **{f"{name} ST depression": partial(_depression, name) for name in TERRITORIES[:4]},
    **{f"{name} T inversion": partial(_inverted, name) for name in TERRITORIES[:4]},
    "left ventricular hypertrophy": _hypertrophy,
    "premature ventricular complexes": partial(_extra, "premature", 1, 4),
    "multiform ventricular complexes": partial(_extra, "premature", 2, 5, shapes=2),
    "bigeminy or trigeminy": _group_beating,
    "premature atrial complexes": partial(_extra, "premature_atrial", 1, 4),
    "lead misplacement": _misplaced_leads,
}
_PATH = Path(__file__).parent / "condition_effects.yaml"
# In the order in which they apply.
EFFECTS: dict[str, Effect] = {
    name: partial(_draw_ranges, ranges) if ranges else _DRAWN[name]
    for name, ranges in yaml.safe_load(_PATH.read_text(encoding="utf-8")).items()
}
