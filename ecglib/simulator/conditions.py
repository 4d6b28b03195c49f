"""Which conditions people have: how often each, which exclude each other, and why.

A condition is what happens to a heart ("acute inferior infarction"). The labels follow from the
heart afterwards, and one condition may bring several of them. Conditions are drawn in the order of
conditions.csv, each unless one that excludes it was drawn before. The chance of a condition for
people who may still have it is its prevalence divided by their share, so each prevalence comes out
as requested.
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import yaml

# Columns of the table:
#   paper_percent: follows labels77.csv, less the share that other conditions bring to the label.
#   enriched_percent: gives every label at least 15 cases in the test fifth of 4,000 patients.
#   graded_percent: of tendencies, whose severity is drawn (`severity`); some stay below the limit.
#   course: acute conditions may be gone at the next ECG.
#   age: commoner in the old or in the young.
#   more_at: the hospital with more of it; B has more ischaemia, A more conduction disorders.
_FOLDER = Path(__file__).parent
with (_FOLDER / "conditions.csv").open(newline="", encoding="utf-8") as _file:
    _TABLE = {row["condition"]: row for row in csv.DictReader(_file)}

CONDITIONS = tuple(_TABLE)
PREVALENCE = ("paper", "enriched", "graded")
# condition: per cent at each of `PREVALENCE`
PER_CENT: dict[str, tuple[float, ...]] = {
    name: tuple(float(row[f"{kind}_percent"]) for kind in PREVALENCE)
    for name, row in _TABLE.items()
}
HEALTHY = 0.12  # share of people without any condition
MOST = 0.15  # largest share to which a condition is raised if few conditions are drawn


def _with(column: str, value: str) -> tuple[str, ...]:
    """Conditions that have a value in a column of the table."""
    return tuple(name for name, row in _TABLE.items() if row[column] == value)


ACUTE = _with("course", "acute")
RHYTHMS, BLOCKS, AV_BLOCKS = (_with("group", name) for name in ("rhythm", "block", "av_block"))
AXES, RATES, EXTRA = (_with("group", name) for name in ("axis", "rate", "extra"))
ACUTE_INFARCTION = _with("group", "infarction")
EXCLUSIONS = yaml.safe_load((_FOLDER / "exclusions.yaml").read_text(encoding="utf-8"))


def _members(names: list[str]) -> set[str]:
    """Conditions of a list of names of exclusions.yaml."""
    members: set[str] = set()
    for name in names:
        plain = name.removeprefix("-")
        more = {plain} if plain in _TABLE else set(_with("group", plain))
        if not more and plain not in EXCLUSIONS["sets"]:
            raise ValueError(f"exclusions.yaml: expected a condition, group or set, got {plain!r}")
        more = more or _members(EXCLUSIONS["sets"][plain])
        members = members - more if name.startswith("-") else members | more
    return members


@cache
def clashes(kind: str = "enriched") -> np.ndarray:
    """(n, n) bool, symmetric: conditions that exclude each other.
    In "graded" only those do that no heart can have together; there a finding may hide another."""
    table = np.zeros((len(CONDITIONS), len(CONDITIONS)), dtype=bool)
    for entry in EXCLUSIONS["graded" if kind == "graded" else "exclusions"]:
        one, other = (
            [name in _members(entry[key]) for name in CONDITIONS]
            for key in ("conditions", "exclude")
        )
        table |= np.outer(one, other)
    table |= table.T
    np.fill_diagonal(table, False)
    return table


def prevalences(kind: str, only: tuple[str, ...] = ()) -> np.ndarray:
    """(n,) share of people who should have each condition.

    If `only` names the conditions that may be drawn, each of them becomes commoner in proportion,
    up to `MOST`, so that people stay as ill as they were. Raises ValueError: the kind is not one of
    `PREVALENCE`, or a condition is unknown."""
    if kind not in PREVALENCE:
        raise ValueError(f"expected a prevalence of {PREVALENCE}, got {kind!r}")
    if unknown := [name for name in only if name not in PER_CENT]:
        raise ValueError(f"unknown condition {unknown[0]!r}; choose from conditions.csv")
    column = PREVALENCE.index(kind)
    share = np.array([per_cent[column] for per_cent in PER_CENT.values()]) / 100
    if only:
        kept = np.isin(CONDITIONS, only)
        more = share.sum() / max(share[kept].sum(), 1e-9)
        share = np.where(kept, np.minimum(more * share, np.maximum(share, MOST)), 0.0)
    return share


@cache
def chances(kind: str, only: tuple[str, ...] = ()) -> np.ndarray:
    """(n,) chance of each condition for an ill person who has none that excludes it.

    It is the prevalence divided by the share of people who may still have the condition, counted on
    20,000 drawn people.
    """
    wanted, barred = prevalences(kind, only) / (1 - HEALTHY), clashes(kind)
    rng = np.random.default_rng([77, PREVALENCE.index(kind)])
    has = np.zeros((20_000, len(wanted)), dtype=bool)
    chance = np.zeros(len(wanted))
    for i, share in enumerate(wanted):
        free = ~has[:, barred[i]].any(axis=1)
        chance[i] = min(0.95, share / max(free.mean(), 1e-9))
        has[:, i] = free & (rng.random(len(has)) < chance[i])
    return chance


def relative_chances(site: str, age: float) -> np.ndarray:
    """(n,) factors on the chances; 1 on average over the ages and hospitals of the simulator."""
    by_age = {"old": (age / 64) ** 1.5 / 1.02, "young": (64 / age) ** 0.7 / 1.05, "": 1.0}
    by_site = {"A": {"A": 1.10, "B": 0.90}, "B": {"A": 0.85, "B": 1.15}, "": {site: 1.0}}
    return np.array([by_age[row["age"]] * by_site[row["more_at"]][site] for row in _TABLE.values()])


def draw_conditions(
    kind: str,
    rng: np.random.Generator,
    relative: np.ndarray | float = 1.0,
    only: tuple[str, ...] = (),
) -> frozenset[str]:
    """Conditions of one person; empty for a healthy one.
    `relative` are (n,) factors on the chances, see `relative_chances`; else as in `prevalences`."""
    chance = np.minimum(chances(kind, only) * relative, 0.97)
    if rng.random() < HEALTHY:
        return frozenset()
    wanted, barred = rng.random(len(chance)) < chance, clashes(kind)
    kept: list[int] = []
    for i in np.flatnonzero(wanted):
        if not barred[i, kept].any():
            kept.append(int(i))
    return frozenset(CONDITIONS[i] for i in kept)


def compatible(one: str, other: str, kind: str = "enriched") -> bool:
    """Whether a person may have both."""
    return not clashes(kind)[CONDITIONS.index(one), CONDITIONS.index(other)]
