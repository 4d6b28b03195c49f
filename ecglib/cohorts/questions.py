"""Questions about ECGs, made from labels: verify, choose, query (the types of ECG-QA).

    verify  Is there left bundle branch block?                       yes | no
    choose  Which is present: low voltage or bradycardia?            a name | both | none
    query   What is the rhythm?                                      names | none

Chance must gain nothing: for every finding as many yes as no are asked, and in "choose" the answer
stands first as often as second. A finding whose state is not plainly present or absent in an ECG
is never asked of it.
"""

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from ecglib.cohorts.findings import FINDINGS, GROUPS, TRIVIAL
from ecglib.cohorts.labels import ABSENT, PRESENT, column

COLUMNS = ["row", "type", "template", "question", "answer", "item"]
_VERIFY = ("Is there {a}?", "Does this ECG show {a}?")
_CHOOSE = ("Which is present: {a} or {b}?", "Which is seen: {a} or {b}?")
_QUERY = {
    "rhythm": ("What is the rhythm?", "Which rhythm and extra beats?"),
    "conduction": ("Which conduction disorder?", "What is wrong with conduction?"),
    "axis": ("Which axis deviation?", "How is the axis deviated?"),
    "chamber": ("Which chamber enlargement?", "Which chamber is enlarged?"),
    "st_t": ("Which ST, T or Q wave change?", "What is abnormal in ST, T or Q?"),
    "other": ("Which other finding?", "What else is abnormal?"),
}
_CHOOSE_KINDS = {"one": 0.6, "both": 0.15, "none": 0.25}


def templates() -> dict[str, str]:
    """All question templates: id -> wording; {a} and {b} stand for findings."""
    found = {f"verify/{i}": wording for i, wording in enumerate(_VERIFY)}
    found |= {f"choose/{i}": wording for i, wording in enumerate(_CHOOSE)}
    for group, wordings in _QUERY.items():
        found |= {f"query_{group}/{i}": wording for i, wording in enumerate(wordings)}
    return found


def questions(
    records: pd.DataFrame,
    rows: Iterable[int],
    per_ecg: int,
    seed: int,
    allowed: Collection[int] | None = None,
) -> pd.DataFrame:
    """Draw questions about some ECGs of a cohort.

    Args:
        records: the cohort's table; only the label columns are read.
        rows: row numbers (positions in `records`) of the ECGs to ask about, each once.
        per_ecg: questions an ECG; at most half verify, at least one query from two on. An ECG with
            too few plain findings gets fewer.
        seed: draws everything.
        allowed: labels that may be asked; all of `FINDINGS` where None.

    Returns:
        `COLUMNS`, ordered by row. item: "verify:06", "choose:06-22", "query:rhythm".

    Raises:
        ValueError: per_ecg is below 1, a row comes twice, or a label is not in `FINDINGS`.
    """
    rows = np.asarray(list(rows), dtype=np.int64)
    asked = [label for label in FINDINGS if allowed is None or label in allowed]
    unknown = sorted(set(allowed or ()) - set(FINDINGS))
    if unknown:
        raise ValueError(f"Label {unknown[0]} has no name in findings.yaml and cannot be asked.")
    if per_ecg < 1 or len(set(rows.tolist())) != len(rows):
        raise ValueError(f"Give per_ecg >= 1 (not {per_ecg}) and each row once.")
    states = records.iloc[rows][[column(label) for label in asked]].to_numpy()
    scored = [i for i, label in enumerate(asked) if label not in TRIVIAL]
    cap = per_ecg // 2
    verify = _verify(states, asked, scored, cap, np.random.default_rng([seed, 1]))
    rng = np.random.default_rng([seed, 2])
    weight = (states == PRESENT).sum(axis=0) + 1.0
    drawn = []
    for i in range(len(rows)):
        query = _query(states[i], asked, per_ecg // 4 + (per_ecg in (2, 3)), rng)
        room = per_ecg - len(verify[i]) - len(query)
        choose = _choose(states[i], asked, scored, weight, room, rng)
        mine = verify[i] + query + choose
        drawn += [(rows[i], *mine[j]) for j in rng.permutation(len(mine))]
    _even_slots(drawn, rng)
    table = pd.DataFrame([_word(entry, rng) for entry in drawn], columns=COLUMNS)
    return table.sort_values("row", kind="stable", ignore_index=True)


def _verify(
    states: np.ndarray, asked: list[int], scored: list[int], cap: int, rng: np.random.Generator
) -> list[list[tuple]]:
    """Per ECG the verify questions; for each finding the same number of yes and no."""
    load = np.zeros(len(states), dtype=int)
    found: list[list[tuple]] = [[] for _ in states]
    quota = max(1, cap * len(states) // (2 * max(1, len(scored))) + 1)
    for j in rng.permutation(scored) if cap else []:
        pools = []
        for state in (PRESENT, ABSENT):
            pool = rng.permutation(np.flatnonzero((states[:, j] == state) & (load < cap)))
            # Those with the fewest questions so far come first.
            pools.append(pool[np.argsort(load[pool], kind="stable")])
        count = min(quota, *map(len, pools))
        for pool, answer in zip(pools, ("yes", "no"), strict=True):
            for i in pool[:count]:
                found[i].append(("verify", asked[j], None, answer))
            load[pool[:count]] += 1
    return found


def _query(states: np.ndarray, asked: list[int], count: int, rng: np.random.Generator) -> list:
    """Questions for a whole group; every second one, where possible, has something to find."""
    members: dict[str, list[int]] = {group: [] for group in GROUPS}
    for j, label in enumerate(asked):
        members[FINDINGS[label].group].append(j)
    plain = [
        group
        for group, inside in members.items()
        if inside and all(states[j] in (ABSENT, PRESENT) for j in inside)
    ]
    full = [
        group
        for group in plain
        if any(states[j] == PRESENT and asked[j] not in TRIVIAL for j in members[group])
    ]
    found = []
    for _ in range(min(count, len(plain))):
        pool = full if full and rng.random() < 0.5 else plain
        group = str(rng.choice(pool))
        plain.remove(group)
        full = [other for other in full if other != group]
        names = [FINDINGS[asked[j]].name for j in members[group] if states[j] == PRESENT]
        found.append(("query", group, None, ", ".join(names) or "none"))
    return found


def _choose(
    states: np.ndarray,
    asked: list[int],
    scored: list[int],
    weight: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> list:
    """Questions between two findings; a present one stands first for now."""
    present = [j for j in scored if states[j] == PRESENT]
    absent = [j for j in scored if states[j] == ABSENT]
    found: list[tuple] = []
    seen: set[frozenset[int]] = set()
    for _ in range(4 * count):
        if len(found) == count:
            break
        kinds = {
            "one": bool(present and absent),
            "both": len(present) > 1,
            "none": len(absent) > 1,
        }
        chance = np.array([_CHOOSE_KINDS[kind] * possible for kind, possible in kinds.items()])
        if not chance.any():
            break
        kind = str(rng.choice(list(kinds), p=chance / chance.sum()))
        # Absent findings are drawn as often as they are present elsewhere: names tell nothing.
        share = weight[absent] / weight[absent].sum() if absent else None
        if kind == "one":
            pair = (int(rng.choice(present)), int(rng.choice(absent, p=share)))
        elif kind == "both":
            pair = tuple(int(j) for j in rng.choice(present, 2, replace=False))
        else:
            pair = tuple(int(j) for j in rng.choice(absent, 2, replace=False, p=share))
        if frozenset(pair) in seen:
            continue
        seen.add(frozenset(pair))
        answer = FINDINGS[asked[pair[0]]].name if kind == "one" else kind
        found.append(("choose", asked[pair[0]], asked[pair[1]], answer))
    return found


def _even_slots(drawn: list[tuple], rng: np.random.Generator) -> None:
    """Swap the two names in half of the "choose" questions, in exactly half of those with one."""
    for single in (True, False):
        which = [
            n
            for n, entry in enumerate(drawn)
            if entry[1] == "choose" and (entry[4] not in ("both", "none")) == single
        ]
        for n in rng.permutation(which)[: len(which) // 2] if which else []:
            row, kind, one, two, answer = drawn[n]
            drawn[n] = (row, kind, two, one, answer)


def _word(entry: tuple, rng: np.random.Generator) -> tuple:
    row, kind, one, two, answer = entry
    if kind == "query":
        pick = int(rng.integers(len(_QUERY[one])))
        return row, kind, f"query_{one}/{pick}", _QUERY[one][pick], answer, f"query:{one}"
    wordings = _VERIFY if kind == "verify" else _CHOOSE
    pick = int(rng.integers(len(wordings)))
    names = {"a": FINDINGS[one].name, "b": FINDINGS[two].name if two is not None else ""}
    item = f"verify:{one:02d}" if kind == "verify" else f"choose:{one:02d}-{two:02d}"
    return row, kind, f"{kind}/{pick}", wordings[pick].format(**names), answer, item
