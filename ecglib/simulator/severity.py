"""Graded severity: how much of a condition a heart has, on either side of its definition.

`condition_effects` draws full conditions, which keep a distance from the limits of the definitions.
A graded heart gets a share of that effect: each field lies between its value without the condition
and its full value, or a little beyond. Whether a label is present is then read off the heart, as
for any other (`labels_from_heart`). severity.yaml holds the shares.
"""

from pathlib import Path

import numpy as np
import yaml

from ecglib.simulator.condition_effects import EFFECTS, Fields
from ecglib.simulator.conditions import CONDITIONS, RHYTHMS
from ecglib.simulator.heart import WIDE

_PATH = Path(__file__).parent / "severity.yaml"
_SETTINGS = yaml.safe_load(_PATH.read_text(encoding="utf-8"))
SEVERITY: dict[str, tuple[float, float]] = {
    name: tuple(_SETTINGS["severity"].get(name, _SETTINGS["usual"])) for name in CONDITIONS
}
_START, _RANGES = _SETTINGS["start"], _SETTINGS["ranges"]
BY_TERRITORY = ("t_inverted", "q", "injury")
# Fields that make an effect visible or belong to its kind; they have no severity.
_WHOLE = ("voltage", "st_slope", "f_size", "atrial_rate", "retrograde")


def graded_effect(condition: str, fields: Fields, rng: np.random.Generator) -> Fields:
    """The fields that a condition changes in a graded heart, at a severity that is drawn.
    `fields` are those of the heart so far."""
    share = rng.uniform(*SEVERITY[condition])
    drawn = EFFECTS[condition](rng, fields)
    drawn |= {name: rng.uniform(*ends) for name, ends in _RANGES.get(condition, {}).items()}
    drawn.pop("p_size", None)  # fixed in full conditions, so that no small P wave hides them
    if fields.get("av") in ("mobitz1", "mobitz2"):
        drawn.pop("rate", None)  # it follows from the dropped beats
    if condition in RHYTHMS:
        return drawn
    return {name: _graded(name, full, fields, share) for name, full in drawn.items()}


def _graded(name: str, full: object, fields: Fields, share: float) -> object:
    """A field at a share of its full effect; what is no size stays as it is drawn."""
    if name in BY_TERRITORY:
        start = _START.get(name, 0.0)
        sizes = {place: start + share * (size - start) for place, size in full.items()}
        return {**fields.get(name, {}), **sizes}
    if not isinstance(full, float) or name in _WHOLE:
        return full
    start = fields.get(name) or _START.get(name, 0.0)
    return start + share * (full - start)


def without_hidden(fields: Fields) -> Fields:
    """Leave out what the QRS of a graded heart hides: a wide QRS makes its own ST and T."""
    if fields.get("qrs_type") not in WIDE:
        return fields
    hidden = {*BY_TERRITORY, "pericarditis", "early_repolarisation", "brugada", "st_slope"}
    return {name: value for name, value in fields.items() if name not in hidden}
