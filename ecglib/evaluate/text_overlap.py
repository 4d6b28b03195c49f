"""Text overlap of generated reports: ROUGE-1, ROUGE-L and BLEU-4, one score per ECG.

Everything is computed on lower-cased word tokens, so that a space before a full stop costs nothing.
An empty output scores 0; it is counted, never dropped. ROUGE is the F measure of the rouge-score
library without stemming; BLEU-4 is nltk's sentence BLEU with smoothing method 1 (ECG-Byte, released
evaluation; there on whitespace tokens).
"""

import re
from types import SimpleNamespace

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


_ROUGE = RougeScorer(["rouge1", "rougeL"], tokenizer=SimpleNamespace(tokenize=words))
_SMOOTHING = SmoothingFunction().method1


def overlap(reference: str, output: str) -> tuple[float, float, float]:
    """(ROUGE-1 F, ROUGE-L F, BLEU-4) of one output, each in 0..1.

    Raises ValueError when the reference has no word.
    """
    if not words(reference):
        raise ValueError("the reference text is empty; only a report with words can be scored")
    if not words(output):
        return 0.0, 0.0, 0.0
    rouge = _ROUGE.score(reference, output)
    bleu = sentence_bleu([words(reference)], words(output), smoothing_function=_SMOOTHING)
    return rouge["rouge1"].fmeasure, rouge["rougeL"].fmeasure, float(bleu)


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Prediction rows `rouge_1`, `rouge_l`, `bleu_4` (value in score) per `report` row.

    Raises ValueError naming the ecg whose reference is empty.
    """
    reports = frame[frame["item"] == "report"]
    if reports.empty:
        raise ValueError('expected "report" rows, got none; check the selected predictions')
    empty = reports[reports["target"].map(lambda text: not words(text))]
    if not empty.empty:
        raise ValueError(
            f"ecg {empty['ecg'].iloc[0]}: the reference report is empty; leave this ECG out of the "
            "text task"
        )
    pairs = list(zip(reports["target"], reports["prediction"], strict=True))
    known = {pair: overlap(*pair) for pair in dict.fromkeys(pairs)}
    values = np.array([known[pair] for pair in pairs])
    blank = reports.assign(target="", prediction="")
    parts = [blank.assign(item=item, score=values[:, i]) for i, item in enumerate(METRICS)]
    return validate(pd.concat(parts), "text scores")


def summary(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean of every score over ECGs: columns method, metric, value, low, high, n."""
    means = [
        {"method": method, "metric": metric, **vars(bootstrap.mean(part, seed=seed))}
        for (method, metric), part in frame.groupby(["method", "item"])
    ]
    return pd.DataFrame(means)


def empty_outputs(frame: pd.DataFrame) -> pd.DataFrame:
    """The number of reports of each method without a word: columns method, empty, n."""
    reports = frame[frame["item"] == "report"]
    empty = reports["prediction"].map(lambda text: not words(text)).astype(int)
    table = empty.groupby(reports["method"]).agg(["sum", "count"]).reset_index()
    return table.set_axis(["method", "empty", "n"], axis=1)
