"""Cohen's kappa: agreement of two readers of the same ECGs beyond what their rates give by chance.

With p the share of cells on which both agree, and e the share on which they would agree if each
kept its rate and answered at random, kappa = (p - e) / (1 - e) (Cohen 1960, Educational and
Psychological Measurement 20:37). ECG-Tok (section 2.1) states a kappa above 0.80 between its two
cardiologists in all six categories.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ecglib.evaluate.bootstrap import RESAMPLES, divide, of_totals


def kappa(totals: np.ndarray) -> np.ndarray:
    """Kappa (r,) of totals (r, 4): both say yes, only the second, only the first, both say no.

    NaN where both readers give one and the same answer to every cell: chance is then certain.
    """
    both, second, first, neither = np.moveaxis(np.asarray(totals, dtype=float), -1, 0)
    count = both + second + first + neither
    agreed = divide(both + neither, count)
    yes_1, yes_2 = divide(both + first, count), divide(both + second, count)
    chance = yes_1 * yes_2 + (1 - yes_1) * (1 - yes_2)
    return divide(agreed - chance, 1 - chance)


def by_category(
    one: np.ndarray,
    other: np.ndarray,
    known: np.ndarray,
    units: Sequence,
    categories: dict[str, Sequence[int]],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Kappa of two readers by category of labels.

    A label of which the first reader has no positive among the known cells is left out: nothing of
    it can be agreed on. It is named, and does not count as 0.

    Args:
        one, other: bool (n, labels), what each reader states.
        known: bool (n, labels), the cells that are compared.
        units: the patient of each ECG.
        categories: numbers of labels by category.

    Returns:
        columns category, labels (those that count), left_out (numbers of the others with a known
        cell), positives of the first reader, value with low and high (kappa of the pooled cells, 95
        % interval over patients), label_mean (mean of the labels' own kappas) and n (patients).
        NaN where no label of the category counts.
    """
    cells = np.stack([one & other, ~one & other, one & ~other, ~one & ~other], axis=2)
    cells = cells & known[..., None]
    table = []
    for category, labels in categories.items():
        asked = [label for label in labels if known[:, label].any()]
        counted = [label for label in asked if (one & known)[:, label].any()]
        row = {"category": category, "labels": len(counted)}
        row["left_out"] = [label for label in asked if label not in counted]
        row["positives"] = int((one & known)[:, counted].sum())
        row |= dict.fromkeys(("value", "low", "high", "label_mean"), np.nan) | {"n": 0}
        if counted:
            of_ecg = pd.DataFrame(cells[:, counted].sum(axis=1))
            of_patient = of_ecg.groupby(np.asarray(units)).sum().to_numpy()
            row |= vars(of_totals(kappa, of_patient, seed=seed, resamples=resamples))
            row["label_mean"] = float(np.nanmean(kappa(cells[:, counted].sum(axis=0))))
        table.append(row)
    return pd.DataFrame(table)
