"""Text overlap of generated reports: ROUGE-1, ROUGE-L and BLEU-4, one score for each ECG.

Everything is computed on lower-cased word tokens, so that a space before a full stop costs nothing.
An empty output scores 0 and is counted, never dropped. ROUGE is the F measure of the rouge-score
library without stemming; BLEU-4 is nltk's sentence BLEU with smoothing method 1 (ECG-Byte, released
evaluation; there on whitespace tokens).
"""

import re

import numpy as np
import pandas as pd
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from ecglib.evaluate import bootstrap
from ecglib.evaluate.predictions import validate

METRICS = ["rouge_1", "rouge_l", "bleu_4"]


def words(text: str) -> list[str]:
    """Lower-cased words and numbers: "Rhythm, 72/min." -> ["rhythm", "72", "min"]."""
    return re.findall(r"\w+", text.lower())


class _Words:
    """The tokenizer interface of rouge-score."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


_ROUGE = RougeScorer(["rouge1", "rougeL"], tokenizer=_Words())
_SMOOTHING = SmoothingFunction().method1


def overlap(reference: str, output: str) -> tuple[float, float, float]:
    """(ROUGE-1 F, ROUGE-L F, BLEU-4) of one output, each in 0..1.

    Raises ValueError when the reference has no word.
    """
    if not words(reference):
        raise ValueError("the reference text is empty: a report without words cannot be scored")
    if not words(output):
        return 0.0, 0.0, 0.0
    rouge = _ROUGE.score(reference, output)
    bleu = sentence_bleu([words(reference)], words(output), smoothing_function=_SMOOTHING)
    return rouge["rouge1"].fmeasure, rouge["rougeL"].fmeasure, float(bleu)


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Prediction rows `rouge_1`, `rouge_l`, `bleu_4` (value in score) for each `report` row.

    Raises ValueError naming the ecg whose reference is empty.
    """
    reports = frame[frame["item"] == "report"]
    if reports.empty:
        raise ValueError('no "report" rows to score in these predictions')
    known: dict[tuple[str, str], tuple[float, float, float]] = {}
    for row in reports.itertuples():
        pair = (row.target, row.prediction)
        if pair in known:
            continue
        if not words(row.target):
            raise ValueError(
                f"ecg {row.ecg}: the reference report is empty; leave this ECG out of the text task"
            )
        known[pair] = overlap(*pair)
    values = np.array(
        [known[p] for p in zip(reports["target"], reports["prediction"], strict=True)]
    )
    parts = []
    for column, item in enumerate(METRICS):
        part = reports.assign(item=item, target="", prediction="", score=values[:, column])
        parts.append(part)
    return validate(pd.concat(parts), "text scores")


def summary(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean of every score over ECGs: columns method, metric, value, low, high, n."""
    means = [
        {"method": method, "metric": metric, **vars(bootstrap.mean(part, seed=seed))}
        for (method, metric), part in frame.groupby(["method", "item"])
    ]
    return pd.DataFrame(means)


def empty_outputs(frame: pd.DataFrame) -> pd.DataFrame:
    """How many reports of each method hold no word: columns method, empty, n."""
    reports = frame[frame["item"] == "report"]
    empty = reports["prediction"].map(lambda text: not words(text)).astype(int)
    table = empty.groupby(reports["method"]).agg(["sum", "count"]).reset_index()
    return table.set_axis(["method", "empty", "n"], axis=1)
