"""The effect of each condition on the heart: numbers for the fields of a heart state.

The ranges are those of textbooks. They keep a distance from the limit of a definition, so that a
drawn condition is present in the waveform and one that was not drawn seldom is.
"""

from collections.abc import Callable

import numpy as np

from ecglib.simulator.ischaemia import STAGES

_EXCHANGES = (("RA", "LA"), ("RA", "LL"), ("V1", "V3"), ("V2", "V5"))

Fields = dict[str, object]
Draw = np.random.Generator
Effect = Callable[[Draw, Fields], Fields]


def _numbers(**ranges: object) -> Effect:
    """An effect that draws numbers from ranges; other values are taken as they are."""

    def draw(value: object, rng: Draw) -> object:
        return rng.uniform(*value) if isinstance(value, tuple) else value

    return lambda rng, _: {key: draw(value, rng) for key, value in ranges.items()}


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
    return fields | {"variability": 0.004, "qtc": rng.uniform(0.37, 0.40)}


def _ventricular(low: float, high: float) -> Effect:
    """A rhythm of the ventricles; in most hearts the atria have their own rhythm."""

    def effect(rng: Draw, fields: Fields) -> Fields:
        atria = rng.uniform(62, 95) if rng.random() < 0.6 else 0.0
        return {
            "rhythm": "ventricular",
            "qrs_type": "ventricular",
            "rate": rng.uniform(low, high),
            "qrs": rng.uniform(0.144, 0.176),
            "qtc": rng.uniform(0.43, 0.46),
            "voltage": 1.25 * fields["voltage"],
            "variability": 0.01,
            "atrial_rate": atria,
        }

    return effect


def _complete_block(rng: Draw, fields: Fields) -> Fields:
    drawn: Fields = {"av": "complete", "atrial_rate": rng.uniform(70, 100), "variability": 0.012}
    if rng.random() < 0.55:
        return drawn | {"rate": rng.uniform(38, 52)}
    wide = {"qrs_type": "ventricular", "qrs": rng.uniform(0.142, 0.17), "qtc": 0.44}
    return drawn | wide | {"rate": rng.uniform(27, 40), "voltage": 1.2 * fields["voltage"]}


def _pacing(kind: str) -> Effect:
    """A ventricular pacemaker with sinus rhythm, paced or fibrillating atria, or dissociated."""

    def effect(rng: Draw, _: Fields) -> Fields:
        drawn: Fields = {"qrs_type": kind, "qrs": rng.uniform(0.146, 0.176), "variability": 0.002}
        drawn |= {"rate": rng.uniform(60, 82), "pr": rng.uniform(0.15, 0.18), "qtc": 0.45}
        drawn |= {"paced": "ventricular"}
        atria = rng.choice(4, p=(0.45, 0.22, 0.25, 0.08))
        if atria == 1:
            drawn["paced"] = "dual"
        elif atria == 2:
            drawn["rhythm"] = "afib"
        elif atria == 3:
            drawn["atrial_rate"] = rng.uniform(85, 105)
        return drawn

    return effect


def _preexcited(rng: Draw, _: Fields) -> Fields:
    """The axis follows the delta wave, and so the pathway."""
    pathway = str(rng.choice(("left", "right", "septal")))
    low, high = {"left": (62.0, 84.0), "right": (0.0, 25.0), "septal": (-28.0, -8.0)}[pathway]
    return {
        "qrs_type": "preexcited",
        "qrs": rng.uniform(0.122, 0.142),
        "pathway": pathway,
        "axis": rng.uniform(low, high),
        "pr": rng.uniform(0.088, 0.112),
    }


def _mobitz(kind: str) -> Effect:
    """One of every few atrial beats is not conducted; the rate is that of the others."""

    def effect(rng: Draw, _: Fields) -> Fields:
        drop, atria = int(rng.integers(3, 6)), rng.uniform(68, 92)
        drawn: Fields = {"av": kind, "drop": drop, "atrial_rate": atria, "variability": 0.01}
        pr = rng.uniform(0.17, 0.20) if kind == "mobitz1" else rng.uniform(0.15, 0.185)
        return drawn | {"pr": pr, "rate": atria * (drop - 1) / drop}

    return effect


def _hypertrophy(rng: Draw, fields: Fields) -> Fields:
    """Left ventricular: tall in V5 and deep in V1, or tall in aVL with the axis to the left."""
    strain: Fields = {}
    if rng.random() < 0.5 and not fields.get("t_inverted"):
        strain = {"injury": {"lateral": -rng.uniform(0.08, 0.14)}, "st_slope": -0.7}
        strain |= {"t_inverted": {"lateral": rng.uniform(0.15, 0.3)}}
    if rng.random() < 0.5:
        return strain | {"sokolow": rng.uniform(3.75, 4.9), "axis": min(fields["axis"], 55.0)}
    return strain | {
        "avl": rng.uniform(1.18, 1.45),
        "axis": min(fields["axis"], rng.uniform(-25, -5)),
    }


def _small(rng: Draw, fields: Fields) -> Fields:
    """Low voltage of QRS and T, because fluid or fat around the heart attenuates both."""
    limb = tuple(0.5 * t for t in fields["t_limb"])
    return {
        "low_voltage": rng.uniform(0.28, 0.44),
        "t_limb": limb,
        "t_chest": 0.5 * fields["t_chest"],
    }


def _right_hypertrophy(rng: Draw, _: Fields) -> Fields:
    strain = {"septal": rng.uniform(0.14, 0.3)} if rng.random() < 0.5 else {}
    return {
        "right_force": rng.uniform(1.25, 2.0),
        "axis": rng.uniform(98, 135),
        "t_inverted": strain,
    }


def _infarction(territory: str) -> Effect:
    """Acute infarction of one of its stages (`ischaemia.STAGES`)."""

    def effect(rng: Draw, fields: Fields) -> Fields:
        stage = STAGES[str(rng.choice(("hyperacute", "acute", "subacute"), p=(0.3, 0.4, 0.3)))]
        drawn: Fields = {"injury": {territory: stage.st * rng.uniform(0.20, 0.42)}}
        if territory == "posterior":
            return drawn | {"t_chest": 1.25 * fields["t_chest"]}
        if stage.q:
            drawn["q"] = {territory: stage.q * rng.uniform(0.22, 0.36)}
            drawn["voltage"] = max(fields["voltage"], 1.2)
        if stage.t < 0:
            return drawn | {"t_inverted": {territory: -stage.t * rng.uniform(0.15, 0.3)}}
        return drawn | {"t_limb": tuple(stage.t * t for t in fields["t_limb"])}

    return effect


def _old_q(territory: str) -> Effect:
    """Q waves of a healed infarction, with an axis that keeps them visible."""

    def effect(rng: Draw, fields: Fields) -> Fields:
        depth = rng.uniform(0.24, 0.40) * (1.3 if territory == "anterior" else 1.0)
        drawn: Fields = {"q": {**fields.get("q", {}), territory: depth}}
        low = {"inferior": 15.0, "lateral": 25.0}.get(territory, -15.0)
        drawn |= {"voltage": max(fields["voltage"], 1.2), "axis": max(fields["axis"], low)}
        return drawn | ({"t_chest": 1.3 * fields["t_chest"]} if territory == "posterior" else {})

    return effect


def _depression(territory: str) -> Effect:
    """A depressed ST segment that falls, is level or rises."""

    def effect(rng: Draw, fields: Fields) -> Fields:
        slope = float(rng.choice((-0.8, 0.0, 0.8), p=(0.55, 0.15, 0.3)))
        return {"injury": {territory: -rng.uniform(0.16, 0.26)}, "st_slope": slope} | (
            {"t_chest": 0.5 * fields["t_chest"]} if slope < 0 else {}  # it ends in a flat T wave
        )

    return effect


def _inverted(territory: str) -> Effect:
    """Inverted T waves, deeper in atrial fibrillation, whose waves would hide them."""

    def effect(rng: Draw, fields: Fields) -> Fields:
        deep = 0.20 if fields.get("rhythm") == "afib" else 0.16
        return {"t_inverted": {**fields.get("t_inverted", {}), territory: rng.uniform(deep, 0.4)}}

    return effect


def _extra(kind: str, low: int, high: int, **more: object) -> Effect:
    return lambda rng, _: {kind: int(rng.integers(low, high)), **more}


def _group_beating(rng: Draw, _: Fields) -> Fields:
    kind = "premature" if rng.random() < 0.65 else "premature_atrial"
    return {"every": int(rng.choice((2, 3))), kind: 1, "variability": 0.01}


# In the order in which they apply; each effect gets the fields so far. The position of a condition
# seeds its chronic draws, so entries are only ever appended.
EFFECTS: dict[str, Effect] = {
    "standstill": _numbers(rhythm="standstill", atrial_rate=(60.0, 95.0)),
    "ventricular pacing": _pacing("paced"),
    "left ventricular pacing": _pacing("lv_paced"),
    "atrial pacing": _numbers(
        paced="atrial", rate=(60.0, 84.0), variability=0.002, pr=(0.16, 0.195)
    ),
    "ventricular tachycardia": _ventricular(125, 185),
    "ventricular rhythm": _ventricular(36, 92),
    "third degree AV block": _complete_block,
    "atrial fibrillation": _numbers(rhythm="afib", rate=(62.0, 128.0), variability=(0.16, 0.24)),
    "atrial flutter": _flutter,
    "supraventricular tachycardia": _reentry,
    "atrial tachycardia": _numbers(
        rhythm="atrial", rate=(106.0, 155.0), pr=(0.115, 0.14), qtc=(0.38, 0.41)
    ),
    "ectopic atrial rhythm": _numbers(rhythm="atrial", rate=(62.0, 95.0), pr=(0.12, 0.16)),
    "junctional rhythm": _junctional,
    "left bundle branch block": _numbers(qrs_type="lbbb", qrs=(0.134, 0.164), qtc=(0.42, 0.455)),
    "right bundle branch block": _numbers(qrs_type="rbbb", qrs=(0.126, 0.150)),
    "incomplete right bundle branch block": _numbers(qrs_type="irbbb", qrs=(0.106, 0.116)),
    "intraventricular conduction delay": _numbers(qrs_type="ivcd", qrs=(0.118, 0.138)),
    "pre-excitation": _preexcited,
    "first degree AV block": _numbers(pr=(0.225, 0.32)),
    "Mobitz I": _mobitz("mobitz1"),
    "Mobitz II": _mobitz("mobitz2"),
    "left anterior fascicular block": _numbers(fascicular=True, axis=(-75.0, -50.0)),
    "left posterior fascicular block": _numbers(posterior_fascicular=True, axis=(100.0, 130.0)),
    "left axis deviation": _numbers(axis=(-50.0, -36.0)),
    "right superior axis": _numbers(axis=(-165.0, -105.0)),
    "right axis deviation": _numbers(axis=(98.0, 140.0)),
    "right ventricular hypertrophy": _right_hypertrophy,
    "left atrial enlargement": _numbers(left_atrium=(1.35, 1.7), p_size=1.0),
    "right atrial enlargement": _numbers(right_atrium=(2.9, 3.6), p_size=1.0),
    "bi-atrial enlargement": _numbers(left_atrium=(1.35, 1.7), right_atrium=(2.9, 3.6), p_size=1.0),
    "low voltage": _small,
    "acute inferior infarction": _infarction("inferior"),
    "acute anterior infarction": _infarction("anterior"),
    "acute septal infarction": _infarction("septal"),
    "acute lateral infarction": _infarction("lateral"),
    "acute posterior infarction": _infarction("posterior"),
    "acute pericarditis": _numbers(pericarditis=(0.16, 0.28)),
    "Brugada pattern": _numbers(brugada=(0.26, 0.42)),
    "early repolarization": _numbers(early_repolarisation=(0.15, 0.28)),
    "inferior Q waves": _old_q("inferior"),
    "lateral Q waves": _old_q("lateral"),
    "septal Q waves": _old_q("septal"),
    "anterior Q waves": _old_q("anterior"),
    "posterior Q waves": _old_q("posterior"),
    "inferior ST depression": _depression("inferior"),
    "lateral ST depression": _depression("lateral"),
    "anterior ST depression": _depression("anterior"),
    "septal ST depression": _depression("septal"),
    "inferior T inversion": _inverted("inferior"),
    "lateral T inversion": _inverted("lateral"),
    "anterior T inversion": _inverted("anterior"),
    "septal T inversion": _inverted("septal"),
    "left ventricular hypertrophy": _hypertrophy,
    "prolonged QT": _numbers(qtc=(0.49, 0.56)),
    "U wave": _numbers(u_wave=(0.10, 0.18), rate=(61.0, 70.0)),
    "sinus bradycardia": _numbers(rate=(42.0, 56.0)),
    "sinus tachycardia": _numbers(rate=(102.0, 132.0), pr=(0.125, 0.15)),
    "sinus arrhythmia": _numbers(variability=(0.10, 0.15), rate=(61.0, 78.0)),
    "premature ventricular complexes": _extra("premature", 1, 4),
    "multiform ventricular complexes": _extra("premature", 2, 5, shapes=2),
    "bigeminy or trigeminy": _group_beating,
    "premature atrial complexes": _extra("premature_atrial", 1, 4),
    "lead misplacement": lambda rng, _: {
        "exchanged": _EXCHANGES[int(rng.integers(len(_EXCHANGES)))]
    },
}
