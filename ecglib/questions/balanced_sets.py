"""Questions in sets, so that their wording tells nothing: whoever does not look gains nothing.

A set asks one question, in the same words, of ECGs that all give different answers. An answer that
depends on the words alone is then right for one ECG of the set at most, which is what drawing lots
among the set's answers gets. Over a table of questions that is the chance level:

    chance = number of sets / number of questions

and no reader of questions, however clever, comes above it. One answer of an item, the commonest,
stands in each of its sets, so chance can be read off the table: over the items, the sum of the
counts of the commonest answer over the sum of all counts (`ecglib.evaluate.exact_match`).
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.questions.facts import Facts, facts, learnable
from ecglib.questions.groups import GROUPS, TYPES, word
from ecglib.questions.items import Item, items

if TYPE_CHECKING:
    from ecglib.training.device import Machine

COLUMNS = ["row", "type", "template", "question", "answer", "item"]
SHARES = {"verify": 0.5, "choose": 0.25, "query": 0.25}  # of the questions, as far as they go
AHEAD = 8  # ECGs of a queue among which the one with the fewest questions is taken
SPARE = 4  # ECGs kept of the commonest answer, in multiples of the next


def questions(found: list[Facts], rows: Collection[int], per_ecg: int, seed: int) -> pd.DataFrame:
    """Draw questions about some ECGs of a cohort.

    Args:
        found: what can be asked of the cohort (`ecglib.questions.facts`).
        rows: row numbers of the ECGs to ask about, each once.
        per_ecg: the most questions that an ECG is asked; one of which little is known gets fewer.
        seed: draws everything.

    Returns:
        `COLUMNS`, ordered by row; items as in `ecglib.questions.items`.

    Raises:
        ValueError: per_ecg is below 1, a row comes twice, or nothing can be asked.
    """
    rows = np.asarray(list(rows), dtype=np.int64)
    if per_ecg < 1 or len(np.unique(rows)) != len(rows):
        raise ValueError(f"Give per_ecg >= 1 (not {per_ecg}) and each row once.")
    rng = np.random.default_rng([seed, 5])
    load = dict.fromkeys(rows.tolist(), 0)
    queues = [_Queue.of(item, by_answer, rng) for item, by_answer in items(found, np.sort(rows))]
    drawn = _draw(queues, load, per_ecg, rng)
    if not drawn:
        raise ValueError(
            f"no question has two different answers among these {len(rows)} ECGs; ask about more"
        )
    table = pd.DataFrame([drawn[i] for i in rng.permutation(len(drawn))], columns=COLUMNS)
    return table.sort_values("row", kind="stable", ignore_index=True)


@dataclass
class _Queue:
    """An item and, for each answer, the ECGs that still wait; the commonest answer first."""

    item: Item
    waiting: list[tuple[str, deque[int]]]

    @classmethod
    def of(cls, item: Item, by_answer: dict[str, np.ndarray], rng: np.random.Generator) -> "_Queue":
        by_size = sorted(by_answer.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        # Of the commonest answer only a part can ever be used; the rest need not be held.
        most = SPARE * (len(by_size[1][1]) + AHEAD)
        shuffled = [(answer, rng.permutation(rows)[:most].tolist()) for answer, rows in by_size]
        return cls(item, [(answer, deque(rows)) for answer, rows in shuffled])

    def next_set(self, load: dict[int, int], per_ecg: int) -> list[tuple[int, str]]:
        """(row, answer) of one set; empty when the item can give none any more."""
        found = []
        for answer, rows in self.waiting:
            row = _least(rows, load, per_ecg)
            if row is not None:
                found.append((row, answer))
            elif not found:  # the commonest answer must be in each set
                return []
        return found if len(found) > 1 else []


def _least(rows: deque[int], load: dict[int, int], per_ecg: int) -> int | None:
    """Take from the head of a queue the ECG that was asked least; drop those asked enough."""
    head = []
    while rows and len(head) < AHEAD:
        row = rows.popleft()
        if load[row] < per_ecg:
            head.append(row)
    if not head:
        return None
    best = min(range(len(head)), key=lambda i: load[head[i]])
    row = head.pop(best)
    rows.extendleft(reversed(head))
    return row


def _draw(
    queues: list[_Queue], load: dict[int, int], per_ecg: int, rng: np.random.Generator
) -> list[tuple]:
    """Sets of the type that is most behind its share; attributes, groups and items in turn."""
    mixed = [queues[i] for i in rng.permutation(len(queues))]
    turns = {kind: _turns([q for q in mixed if q.item.type == kind]) for kind in TYPES}
    count = dict.fromkeys(TYPES, 0)
    drawn = []
    while any(turns.values()):
        kind = min((k for k in TYPES if turns[k]), key=lambda k: count[k] / SHARES[k])
        attribute = turns[kind].popleft()
        group = attribute.popleft()
        queue = group.popleft()
        made = queue.next_set(load, per_ecg)
        if made:
            for row, _ in made:
                load[row] += 1
            drawn += _word(queue.item, made, rng)
            count[kind] += len(made)
            group.append(queue)
        if group:
            attribute.append(group)
        if attribute:
            turns[kind].append(attribute)
    return drawn


def _turns(queues: list[_Queue]) -> deque[deque[deque[_Queue]]]:
    """Attributes of groups of items, in the order in which they come first."""
    tree: dict[str, dict[str, deque[_Queue]]] = {}
    for queue in queues:
        group = queue.item.group
        groups = tree.setdefault(GROUPS[group].attribute, {})
        groups.setdefault(group, deque()).append(queue)
    return deque(deque(groups.values()) for groups in tree.values())


def _word(item: Item, made: list[tuple[int, str]], rng: np.random.Generator) -> list[tuple]:
    """The rows of one set: the wording, and which name stands first, are drawn once for all."""
    pick = int(rng.integers(len(item.wordings)))
    slots = dict(item.slots)
    if "b" in slots and rng.random() < 0.5:
        slots |= {"a": slots["b"], "b": slots["a"]}
    text = word(item.wordings[pick], **slots)
    template = f"{item.template}/{pick}"
    return [(row, item.type, template, text, answer, item.name) for row, answer in made]


def ask(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine") -> None:
    """Step: `train.parquet` and `test.parquet` of questions; inputs: `cohort`, `measures`.

    Without `measures` (of `cohorts.measure_cohort`) nothing is asked that is measured. Config:
    `per_ecg`, `rows` (the test records), `min_positives` (cases of each state that the training
    split must hold for an option to be asked). `number` counts the questions of a file.
    """
    cohort = Cohort.open(inputs["cohort"])
    measures = None
    if "measurements" in inputs:
        measures = pd.read_parquet(inputs["measurements"] / "measurements.parquet")
    train = cohort.rows("train")
    found = learnable(facts(cohort.records, measures), train, config["min_positives"])
    for name, rows in (("train", train), ("test", np.array(config["rows"]))):
        draw = seed if name == "train" else seed + 1
        table = questions(found, rows, config["per_ecg"], draw)
        table.insert(0, "number", np.arange(len(table)))
        table.to_parquet(out / f"{name}.parquet", index=False)
