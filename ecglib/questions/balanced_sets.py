"""Questions in balanced sets: a model that ignores the ECG gains nothing from their words.

A set asks one question, in the same words, of ECGs that all give different answers. A model that
ignores the ECG answers at most one question per set correctly. Its highest possible accuracy is

    chance = number of sets / number of questions

Every set of an item includes the item's commonest answer, so chance can be computed from a table of
questions: over the items, the sum of the counts of the commonest answer divided by the sum of all
counts (`ecglib.evaluate.exact_match`).
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.questions.facts import GroupFacts, group_facts, without_rare_options
from ecglib.questions.items import Item, answered_items
from ecglib.questions.question_book import GROUPS, TYPES, fill_wording

if TYPE_CHECKING:
    from ecglib.training.device import Machine

COLUMNS = ["row", "type", "template", "question", "answer", "item"]
SHARES = {"verify": 0.5, "choose": 0.25, "query": 0.25}  # of the questions, as far as possible
LOOKAHEAD = 8  # ECGs of a queue among which the one with the fewest questions is taken
SPARE = 4  # ECGs kept of the commonest answer, as a multiple of those of the next answer


def draw_questions(
    facts: list[GroupFacts], rows: Collection[int], per_ecg: int, seed: int, least: int = 1
) -> pd.DataFrame:
    """Draw questions about the given ECGs of a cohort.

    Args:
        facts: of the cohort (`ecglib.questions.facts`).
        rows: row numbers of the ECGs to ask about, each once.
        per_ecg: the largest number of questions about one ECG; an ECG with few facts gets fewer.
        seed: determines all draws.
        least: questions that must come out.

    Returns:
        `COLUMNS`, ordered by row; items as in `ecglib.questions.items`.

    Raises:
        ValueError: per_ecg is below 1, a row is given twice, or too little can be asked.
    """
    rows = np.asarray(list(rows), dtype=np.int64)
    if per_ecg < 1:
        raise ValueError(f"expected per_ecg >= 1, got {per_ecg}")
    if len(np.unique(rows)) != len(rows):
        raise ValueError("expected each row once, got a row twice; remove the repeated rows")
    rng = np.random.default_rng([seed, 5])
    counts = dict.fromkeys(rows.tolist(), 0)
    items = answered_items(facts, np.sort(rows))
    queues = [_Queue.shuffled(item, by_answer, rng) for item, by_answer in items]
    drawn = _draw_sets(queues, counts, per_ecg, rng)
    if len(drawn) < least:
        text = f"expected a question with two different answers among {len(rows)} ECGs, got none"
        raise ValueError(f"{text}; ask about more ECGs")
    table = pd.DataFrame([drawn[i] for i in rng.permutation(len(drawn))], columns=COLUMNS)
    return table.sort_values("row", kind="stable", ignore_index=True)


@dataclass
class _Queue:
    """An item and, per answer, the ECGs that were not asked yet; the commonest answer first."""

    item: Item
    waiting: list[tuple[str, deque[int]]]

    @classmethod
    def shuffled(
        cls, item: Item, by_answer: dict[str, np.ndarray], rng: np.random.Generator
    ) -> "_Queue":
        by_size = sorted(by_answer.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        # Every set needs a second answer, so most ECGs of the commonest answer are never used.
        most = SPARE * (len(by_size[1][1]) + LOOKAHEAD)
        shuffled = [(answer, rng.permutation(rows)[:most].tolist()) for answer, rows in by_size]
        return cls(item, [(answer, deque(rows)) for answer, rows in shuffled])

    def next_set(self, counts: dict[int, int], per_ecg: int) -> list[tuple[int, str]]:
        """(row, answer) of one set; empty if the item has no further set."""
        members = []
        for answer, rows in self.waiting:
            if (row := _take_least_asked(rows, counts, per_ecg)) is not None:
                members.append((row, answer))
            elif not members:  # the commonest answer must be in each set
                return []
        return members if len(members) > 1 else []


def _take_least_asked(rows: deque[int], counts: dict[int, int], per_ecg: int) -> int | None:
    """Take the least asked ECG near the head of a queue; drop those with `per_ecg` questions."""
    head = []
    while rows and len(head) < LOOKAHEAD:
        row = rows.popleft()
        if counts[row] < per_ecg:
            head.append(row)
    if not head:
        return None
    row = head.pop(min(range(len(head)), key=lambda i: counts[head[i]]))
    rows.extendleft(reversed(head))
    return row


def _draw_sets(
    queues: list[_Queue], counts: dict[int, int], per_ecg: int, rng: np.random.Generator
) -> list[tuple]:
    """Draw sets of the type farthest below its share; attributes, groups and items take turns."""
    mixed = [queues[i] for i in rng.permutation(len(queues))]
    turns = {kind: _turns([q for q in mixed if q.item.type == kind]) for kind in TYPES}
    asked = dict.fromkeys(TYPES, 0)
    drawn = []
    while any(turns.values()):
        kind = min((k for k in TYPES if turns[k]), key=lambda k: asked[k] / SHARES[k])
        attribute = turns[kind].popleft()
        group = attribute.popleft()
        queue = group.popleft()
        if members := queue.next_set(counts, per_ecg):
            for row, _ in members:
                counts[row] += 1
            drawn += _word_set(queue.item, members, rng)
            asked[kind] += len(members)
            group.append(queue)
        if group:
            attribute.append(group)
        if attribute:
            turns[kind].append(attribute)
    return drawn


def _turns(queues: list[_Queue]) -> deque[deque[deque[_Queue]]]:
    """Queues by attribute and group, each in the order of its first queue."""
    tree: dict[str, dict[str, deque[_Queue]]] = {}
    for queue in queues:
        group = queue.item.group
        groups = tree.setdefault(GROUPS[group].attribute, {})
        groups.setdefault(group, deque()).append(queue)
    return deque(deque(groups.values()) for groups in tree.values())


def _word_set(item: Item, members: list[tuple[int, str]], rng: np.random.Generator) -> list[tuple]:
    """The table rows of one set; wording and order of the names are drawn once for all members."""
    pick = int(rng.integers(len(item.wordings)))
    slots = dict(item.slots)
    if "b" in slots and rng.random() < 0.5:
        slots |= {"a": slots["b"], "b": slots["a"]}
    text = fill_wording(item.wordings[pick], **slots)
    template = f"{item.template}/{pick}"
    return [(row, item.type, template, text, answer, item.name) for row, answer in members]


def write_questions(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine"
) -> None:
    """Step: write `train`, `validation` and `test.parquet`, tables of balanced questions.

    Columns: `number`, which counts the questions of a file, and `COLUMNS`.

    Inputs:
        cohort: the ECGs with their labels.
        measurements (optional): of the cohort, by `cohorts.cohort_features`; without it, questions
            about measurements are not asked.

    Config:
        per_ecg: the largest number of questions about one ECG.
        min_positives: training ECGs in which an option is present (and absent) to be asked for.
        rows: record numbers of the test ECGs to ask about.
    """
    cohort = Cohort.open(inputs["cohort"])
    measurements = None
    if "measurements" in inputs:
        measurements = pd.read_parquet(inputs["measurements"] / "measurements.parquet")
    train = cohort.rows("train")
    facts = group_facts(cohort.records, measurements)
    facts = without_rare_options(facts, train, config["min_positives"])
    parts = {"train": train, "test": config["rows"], "validation": cohort.rows("validation")}
    for place, (name, rows) in enumerate(parts.items()):
        least = int(name != "validation")  # of few patients, nothing may be worth asking
        table = draw_questions(facts, rows, config["per_ecg"], seed + place, least)
        table.insert(0, "number", np.arange(len(table)))
        table.to_parquet(out / f"{name}.parquet", index=False)
