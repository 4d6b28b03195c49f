"""Simulated hearts without signals, drawn once for all tests of a process."""

from functools import cache

import numpy as np

from ecglib.simulator.heart import HeartState
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.sample_heart import draw_person, draw_state


@cache
def hearts(kind: str) -> list[tuple[str, HeartState, np.ndarray]]:
    """Hospital, state and labels int8 (77,) of the persons of one law of prevalence."""
    drawn = []
    for index in range({"enriched": 1200, "paper": 800, "graded": 700}[kind]):
        rng = np.random.default_rng([0, index])
        person = draw_person("AB"[index % 2], kind, rng)
        state = draw_state(person, person.conditions, rng)
        drawn.append((person.site, state, labels_of(state)))
    return drawn
