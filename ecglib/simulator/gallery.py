"""One ECG per condition, all of the same person, for figures and tests."""

from dataclasses import replace

import numpy as np

from ecglib.simulator import labels_from_heart, sample_heart
from ecglib.simulator.conditions import CONDITIONS
from ecglib.simulator.heart import Anatomy, HeartState
from ecglib.simulator.waveform import simulate

PERSON = sample_heart.Person("A", 60.0, "M", 176, 79, frozenset(), Anatomy(), 11)


def example(*conditions: str, seed: int = 0) -> HeartState:
    """A heart with these conditions; without any, a healthy one.

    Args:
        conditions: names of `CONDITIONS`.
        seed: draws different hearts with the same conditions.

    Raises:
        ValueError: a condition is unknown.
    """
    unknown = [name for name in conditions if name not in CONDITIONS]
    if unknown:
        raise ValueError(f"unknown condition {unknown[0]!r}; choose from conditions.csv")
    person = replace(PERSON, seed=PERSON.seed + seed)
    return sample_heart.draw_state(person, frozenset(conditions), np.random.default_rng([seed, 5]))


def gallery(rate: int, names: tuple[str, ...] = CONDITIONS) -> dict[str, np.ndarray]:
    """Noiseless ECGs of conditions, float32 (12, 10 * rate) mV, by name."""
    return {name: simulate(example(name), rate, np.random.default_rng(3)) for name in names}


def labels(names: tuple[str, ...] = CONDITIONS) -> dict[str, np.ndarray]:
    """int8 (77,) label states of the same hearts, by name."""
    return {name: labels_from_heart.labels_of(example(name)) for name in names}
