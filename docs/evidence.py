"""The tables of docs/evidence.md: headline numbers by training seed, and where a new one may be;
the primary claims of the run beside those of the confirmation."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from committed import MAIN, PATHS, counted, every_seed, markdown, table
from scipy import stats

from ecglib.evaluate import exact_match, finding_agreement
from ecglib.evaluate.bootstrap import LEVEL
from ecglib.run import siblings
from ecglib.run.paths import Paths


def error(frame: pd.DataFrame) -> float:
    """Mean error of decoded test ECGs in µV."""
    return 1000 * float(frame.loc[frame["item"] == "mae_mv", "score"].mean())


def macro_f1(frame: pd.DataFrame) -> float:
    """Macro-F1 of findings in reports."""
    return finding_agreement.macro_f1(frame[frame["item"].str.startswith("finding:")]).value


def exact(frame: pd.DataFrame) -> float:
    """Exact match of all questions."""
    return float(exact_match.score(frame)["score"].mean())


Measure = Callable[[pd.DataFrame], float]
ERROR, F1, MATCH = "error of {}, µV", "macro-F1 of findings, {}", "exact match, {}"
ROWS: list[tuple[str, str, Measure, tuple[str, ...], int]] = [  # (a, b) is a minus b
    (ERROR.format("RVQ"), "02_reconstruction", error, ("rvq",), 2),
    (ERROR.format("QINCo"), "02_reconstruction", error, ("qinco",), 2),
    (ERROR.format("RVQ minus QINCo"), "02_reconstruction", error, ("rvq", "qinco"), 2),
    (F1.format("ECG-Tok"), "04_reports", macro_f1, ("ecg_tok",), 3),
    (F1.format("ECG-Tok minus no ECG"), "04_reports", macro_f1, ("ecg_tok", "no_ecg"), 3),
    (MATCH.format("ECG-Tok"), "06_answers", exact, ("ecg_tok",), 3),
    (MATCH.format("HeartLLM"), "06_answers", exact, ("heartllm",), 3),
    (MATCH.format("ECG-Byte"), "06_answers", exact, ("ecg_byte",), 3),
    (MATCH.format("HeartLLM minus no ECG"), "06_answers", exact, ("heartllm", "no_ecg"), 3),
]


def of_new_seed(values: Sequence[float]) -> tuple[float, float]:
    """Where the value of one more training seed is expected, by the t distribution: mean ± t s
    sqrt(1 + 1/n). NaN for a single value, which says nothing about others."""
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    t = float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
    reach = t * float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / n)
    return float(np.mean(values)) - reach, float(np.mean(values)) + reach


def value(frame: pd.DataFrame, measure: Measure, methods: Sequence[str]) -> float | None:
    """A number of one seed: of a method, or of one minus another; None where one is absent."""
    parts = [frame[frame["method"] == method] for method in methods]
    if any(part.empty for part in parts):
        return None
    of = [measure(part) for part in parts]
    return of[0] - of[1] if len(of) == 2 else of[0]


def seeds(paths: Paths = PATHS, run: str = MAIN) -> str:
    """The table: a column per training seed that stands beside the run, and the interval for a new
    one. A seed of other code, settings or ECGs has no number (`siblings.join`)."""
    numbers, cells, frames = [0, *siblings.folders(paths, run)], [], {}
    for name, file, measure, methods, digits in ROWS:
        if file not in frames:
            frames[file] = every_seed(file, run, paths)
        by_seed = dict(iter(frames[file].groupby("seed")))
        values = [value(by_seed.get(s, frames[file][:0]), measure, methods) for s in numbers]
        low, high = of_new_seed([one for one in values if one is not None])
        known = ["none" if one is None else f"{one:.{digits}f}" for one in values]
        expected = "-" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"
        cells.append([name, *known, expected])
    headings = ["number", *(f"seed {s}" for s in numbers), "a new seed"]
    return markdown(headings, cells, "l" + "r" * (len(headings) - 1))


def confirmation() -> str:
    """The table that notebook 09 made of the primary claims on both cohorts, with counts of the
    outcomes."""
    claims = table("09_confirmation").fillna("-")
    columns = ["statement", "here", "verdict", "there", "verdict there", "outcome"]
    rows = claims[columns].astype(str).to_numpy().tolist()
    text = f"Of {len(claims)} primary claims: {counted(claims['outcome'])}."
    return f"{text}\n\n{markdown(['claim', *columns[1:]], rows)}"
