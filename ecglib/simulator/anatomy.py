"""What a person brings to every ECG: age, sex, build, conditions, and a heart of their own."""

from dataclasses import dataclass

import numpy as np

from ecglib.simulator.heart import Anatomy


@dataclass(frozen=True)
class Person:
    """What a patient brings to every ECG."""

    site: str
    age: float
    sex: str
    height: float
    weight: float
    conditions: frozenset[str]
    anatomy: Anatomy


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
