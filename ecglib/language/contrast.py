"""Batches that contrast: ECGs that were asked the same and answered differently come together.

A question can be answered from its words as long as an update holds one ECG that it is asked of.
Beside an ECG with another answer it cannot, and the gradient of the difference is that of the ECG.
That holds where an update has all questions about its ECGs (`questions_per_ecg`), not some of them.
"""

from collections import defaultdict
from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from ecglib.training import seeds

GROUP = 4  # ECGs that share a question, at most


class ContrastingOrder:
    """A walk through epochs in which each ECG comes once, in groups that share a question.

    Args:
        rows: record numbers of the ECGs.
        asked: training questions (columns row, question, answer); none of them may be asked.
        seed: determines the order.
    """

    def __init__(self, rows: np.ndarray, asked: pd.DataFrame | None, seed: int):
        self.number, self.seed = len(rows), seed
        self.own: list[list[tuple[str, str]]] = [[] for _ in rows]  # question and answer
        self.pools: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        index = {row: i for i, row in enumerate(rows.tolist())}
        for one in () if asked is None else asked.itertuples():
            if one.row in index:
                self.own[index[one.row]].append((one.question, one.answer))
                self.pools[one.question][one.answer].append(index[one.row])
        self.order_of = lru_cache(maxsize=2)(self._draw)  # an update may need two epochs

    def rows_of(self, step: int, size: int) -> list[int]:
        """The ECGs of an update, as numbers below that of all; what an epoch lacks at its end, the
        next one gives."""
        return seeds.walk(self.order_of, self.number, size, step).tolist()

    def _draw(self, epoch: int) -> torch.Tensor:
        draw = np.random.default_rng(seeds.sub_seed(self.seed, "epoch", epoch))
        waiting, order = np.ones(self.number, bool), []
        rank = draw.permutation(self.number)  # of two candidates the one with the lower rank comes
        pools: dict[str, dict[str, list[int]]] = defaultdict(dict)
        for question, by_answer in self.pools.items():
            for other, pool in by_answer.items():  # the next candidate is the last one
                pools[question][other] = sorted(pool, key=rank.__getitem__, reverse=True)
        for first in np.argsort(rank).tolist():
            if not waiting[first]:
                continue
            group = [first]
            waiting[first] = False
            if self.own[first]:
                question, answer = self.own[first][draw.integers(len(self.own[first]))]
                for other, pool in pools[question].items():
                    while pool and not waiting[pool[-1]]:
                        pool.pop()
                    if pool and other != answer and len(group) < GROUP:
                        group.append(pool.pop())
                        waiting[group[-1]] = False
            order += group
        return torch.tensor(order)
