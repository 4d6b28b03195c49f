"""Text overlap of generated reports: ROUGE, BLEU-4 and METEOR, with the counts for a corpus BLEU.

Everything is computed on lower-cased word tokens, so that a space before a full stop costs nothing.
An empty output scores 0; it is counted, never dropped. ROUGE is the F measure of the rouge-score
library without stemming. `bleu_4` is the mean of nltk's sentence BLEU with smoothing method 1
(ECG-Byte, released evaluation; there on whitespace tokens), which is below 1 for a right text of
fewer than four words. `bleu_4_corpus` adds n-gram counts up over all ECGs first (Papineni et al.
2002, no smoothing). METEOR is `meteor`, or `meteor_no_synonyms` where WordNet is not installed.
"""

import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.util import ngrams
from rouge_score.rouge_scorer import RougeScorer

from ecglib.evaluate import bootstrap
from ecglib.evaluate.meteor import NAMES, WordNet, meteor
from ecglib.evaluate.predictions import validate

METRICS = ["rouge_1", "rouge_l", "bleu_4", *NAMES.values()]  # those with a score per ECG
ORDER = 4  # of n-grams, at most
CORPUS = "bleu_4_corpus"
# Per ECG the output's n-grams that the reference has, all its n-grams, the reference's words.
_COUNTS = [f"{CORPUS}:{name}_{n}" for name in ("match", "total") for n in range(1, ORDER + 1)]
_COUNTS += [f"{CORPUS}:reference_words"]


def words(text: str) -> list[str]:
    """Lower-cased words and numbers: "Rhythm, 72/min." -> ["rhythm", "72", "min"]."""
    return re.findall(r"\w+", text.lower())


_ROUGE = RougeScorer(["rouge1", "rougeL"], tokenizer=SimpleNamespace(tokenize=words))
_SMOOTHING = SmoothingFunction().method1


def overlap(reference: str, output: str, wordnet: WordNet | None = None) -> dict[str, float]:
    """ROUGE-1 F, ROUGE-L F, BLEU-4 and METEOR of one output by name, each in 0..1.
    Raises ValueError when the reference has no word."""
    right, given = words(reference), words(output)
    if not right:
        raise ValueError("the reference text is empty; only a report with words can be scored")
    name = NAMES[wordnet is not None]
    if not given:
        return dict.fromkeys(["rouge_1", "rouge_l", "bleu_4", name], 0.0)
    rouge = _ROUGE.score(reference, output)
    bleu = sentence_bleu([right], given, smoothing_function=_SMOOTHING)
    values = {"rouge_1": rouge["rouge1"].fmeasure, "rouge_l": rouge["rougeL"].fmeasure}
    return values | {"bleu_4": float(bleu), name: meteor(right, given, wordnet)}


def ngram_counts(reference: str, output: str) -> dict[str, float]:
    """What an ECG adds to the sums of a corpus BLEU, by item: a match counts at most as often as
    the reference has the n-gram."""
    right, given = words(reference), words(output)
    matches, numbers = [], []
    for n in range(1, ORDER + 1):
        pieces = Counter(ngrams(given, n))
        matches.append((pieces & Counter(ngrams(right, n))).total())
        numbers.append(pieces.total())
    return dict(zip(_COUNTS, [*matches, *numbers, len(right)], strict=True))


def scores(frame: pd.DataFrame, wordnet: WordNet | None = None) -> pd.DataFrame:
    """Prediction rows per `report` row (value in score): ROUGE-1, ROUGE-L, BLEU-4, METEOR, and the
    counts of a corpus BLEU (items `bleu_4_corpus:...`).

    `wordnet`: of `meteor.open_wordnet`; None leaves synonyms out and names the metric so. Raises
    ValueError naming the ecg whose reference is empty.
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
    known = {p: overlap(*p, wordnet) | ngram_counts(*p) for p in dict.fromkeys(pairs)}
    values = pd.DataFrame([known[pair] for pair in pairs])
    blank = reports.assign(target="", prediction="")
    parts = [blank.assign(item=item, score=values[item].to_numpy(float)) for item in values]
    return validate(pd.concat(parts), "text scores")


def _bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU-4 of summed counts (r, 9) in the order of `_COUNTS` -> (r,); 0 without a match of four
    words."""
    match, total, right = sums[:, :ORDER], sums[:, ORDER:-1], sums[:, -1]
    with np.errstate(divide="ignore"):
        precision = np.exp(np.log(match / np.maximum(total, 1)).mean(axis=1))
    return precision * np.exp(np.minimum(0.0, 1.0 - right / np.maximum(total[:, 0], 1)))


def corpus_bleu(frame: pd.DataFrame, seed: int = 0) -> bootstrap.Estimate:
    """Corpus BLEU-4 of one method from its rows `bleu_4_corpus:...`, by patients and seeds."""
    seeds = [
        (part.groupby(["unit", "item"])["score"].sum().unstack()[_COUNTS].sort_index().to_numpy(),)
        for _, part in frame[frame["item"].isin(_COUNTS)].groupby("seed")
    ]
    return bootstrap.bounded(bootstrap.across_seeds(_bleu, seeds, seed=seed))


def summary(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean of every score over ECGs, and the corpus BLEU where the rows have its counts: columns
    method, metric, value, low, high, n, seeds."""
    table = []
    for method, part in frame.groupby("method"):
        counted = part["item"].isin(_COUNTS)
        estimates = {
            metric: bootstrap.bounded(bootstrap.mean(rows, seed=seed))
            for metric, rows in part[~counted].groupby("item")
        }
        if counted.any():
            estimates[CORPUS] = corpus_bleu(part, seed)
        table += [{"method": method, "metric": name, **vars(e)} for name, e in estimates.items()]
    return pd.DataFrame(table)


def empty_outputs(frame: pd.DataFrame) -> pd.DataFrame:
    """The number of reports of each method without a word: columns method, empty, n."""
    reports = frame[frame["item"] == "report"]
    empty = reports["prediction"].map(lambda text: not words(text)).astype(int)
    table = empty.groupby(reports["method"]).agg(["sum", "count"]).reset_index()
    return table.set_axis(["method", "empty", "n"], axis=1)
