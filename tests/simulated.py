"""Simulated hearts without signals, drawn once for all tests of a process."""

from functools import cache
from typing import NamedTuple

import numpy as np

from ecglib.simulator.heart import HeartState
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.sample_heart import draw_person, draw_state


class Heart(NamedTuple):
    """The first ECG of a person: hospital, conditions, state, labels int8 (77,)."""

    site: str
    conditions: frozenset[str]
    state: HeartState
    labels: np.ndarray


@cache
def hearts(kind: str, number: int) -> list[Heart]:
    """Hearts of both hospitals at a prevalence; fewer of them are the first of more."""
    if number < MOST[kind]:
        return hearts(kind, MOST[kind])[:number]
    drawn = []
    for index in range(number):
        rng = np.random.default_rng([0, index])
        site = "AB"[index % 2]
        person = draw_person(site, kind, rng)
        state = draw_state(person, person.conditions, rng)
        drawn.append(Heart(site, person.conditions, state, labels_of(state)))
    return drawn


MOST = {"enriched": 1200, "paper": 800}
