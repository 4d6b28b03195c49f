"""The tables of docs/evidence.md: headline numbers by training seed, where a new one may be and how
far two may be apart; the primary claims of the run beside those of the confirmation."""

import math
import textwrap
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from committed import MAIN, PATHS, REPO, counted, every_seed, markdown, table
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ecglib.evaluate import claims, exact_match, finding_agreement
from ecglib.evaluate.bootstrap import LEVEL
from ecglib.run import siblings
from ecglib.run.paths import Paths


def error(frame: pd.DataFrame) -> float:
    """Mean error of decoded test ECGs in µV."""
    return 1000 * float(frame.loc[frame["item"] == "mae_mv", "score"].mean())


def macro_f1(frame: pd.DataFrame) -> float:
    """Macro-F1 of findings in reports."""
    return finding_agreement.macro_f1(frame[frame["item"].str.startswith("finding:")]).value


def rouge_l(frame: pd.DataFrame) -> float:
    """Mean ROUGE-L of reports."""
    return float(frame.loc[frame["item"] == "rouge_l", "score"].mean())


def exact(frame: pd.DataFrame) -> float:
    """Exact match of all questions."""
    return float(exact_match.score(frame)["score"].mean())


Measure = Callable[[pd.DataFrame], float]
ERROR, F1, MATCH = "error of {}, µV", "macro-F1 of findings, {}", "exact match, {}"
WORDS = "ROUGE-L, {}"
ROWS: list[tuple[str, str, Measure, tuple[str, ...], int]] = [  # (a, b) is a minus b
    (ERROR.format("RVQ"), "02_reconstruction", error, ("rvq",), 2),
    (ERROR.format("QINCo"), "02_reconstruction", error, ("qinco",), 2),
    (ERROR.format("RVQ minus QINCo"), "02_reconstruction", error, ("rvq", "qinco"), 2),
    (F1.format("ECG-Tok"), "04_reports", macro_f1, ("ecg_tok",), 3),
    (F1.format("ECG-Tok minus no ECG"), "04_reports", macro_f1, ("ecg_tok", "no_ecg"), 3),
    (F1.format("HeartLLM"), "06_answers", macro_f1, ("heartllm",), 3),
    (F1.format("ECG-Byte"), "06_answers", macro_f1, ("ecg_byte",), 3),
    (WORDS.format("ECG-Tok"), "04_reports", rouge_l, ("ecg_tok",), 3),
    (WORDS.format("HeartLLM"), "06_answers", rouge_l, ("heartllm",), 3),
    (WORDS.format("ECG-Byte"), "06_answers", rouge_l, ("ecg_byte",), 3),
    (MATCH.format("ECG-Tok"), "06_answers", exact, ("ecg_tok",), 3),
    (MATCH.format("HeartLLM"), "06_answers", exact, ("heartllm",), 3),
    (MATCH.format("ECG-Byte"), "06_answers", exact, ("ecg_byte",), 3),
    (MATCH.format("HeartLLM minus no ECG"), "06_answers", exact, ("heartllm", "no_ecg"), 3),
]


def scatter(values: Sequence[float]) -> float:
    """t s of n values: how far a further training may be from the expectation in 95 of 100 cases.
    NaN for one value."""
    if len(values) < 2:
        return math.nan
    return float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1))


def of_new_seed(values: Sequence[float]) -> tuple[float, float]:
    """Where the value of one more training seed is expected: mean ± t s sqrt(1 + 1/n)."""
    if len(values) < 2:
        return math.nan, math.nan
    mean, reach = float(np.mean(values)), scatter(values) * math.sqrt(1 + 1 / len(values))
    return mean - reach, mean + reach


def of_two(values: Sequence[float]) -> float:
    """How far two further trainings of one recipe may be apart: t s sqrt(2)."""
    return scatter(values) * math.sqrt(2)


def value(frame: pd.DataFrame, measure: Measure, methods: Sequence[str]) -> float | None:
    """A number of one seed: of a method, or of one minus another; None where one is absent."""
    parts = [frame[frame["method"] == method] for method in methods]
    if any(part.empty for part in parts):
        return None
    of = [measure(part) for part in parts]
    return of[0] - of[1] if len(of) == 2 else of[0]


def seeds(paths: Paths = PATHS, run: str = MAIN) -> str:
    """The table: a column per training seed that stands beside the run, the interval for a new one,
    and the difference that two may have. A seed of other code, settings or ECGs has no number
    (`siblings.join`)."""
    numbers, cells, frames = [0, *siblings.folders(paths, run)], [], {}
    for name, file, measure, methods, digits in ROWS:
        if file not in frames:
            frames[file] = every_seed(file, run, paths)
        by_seed = dict(iter(frames[file].groupby("seed")))
        values = [value(by_seed.get(s, frames[file][:0]), measure, methods) for s in numbers]
        present = [one for one in values if one is not None]
        low, high = of_new_seed(present)
        known = ["none" if one is None else f"{one:.{digits}f}" for one in values]
        expected = "-" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"
        apart = "-" if math.isnan(low) else f"{of_two(present):.{digits}f}"
        cells.append([name, *known, expected, apart])
    headings = ["number", *(f"seed {s}" for s in numbers), "a new seed", "two trainings"]
    return markdown(headings, cells, "l" + "r" * (len(headings) - 1))


def confirmation() -> str:
    """The table that notebook 09 made of the primary claims on both cohorts, with counts of the
    outcomes."""
    rows = table("09_confirmation").fillna("-")
    columns = ["statement", "here", "verdict", "there", "verdict there", "outcome"]
    cells = rows[columns].astype(str).to_numpy().tolist()
    text = f"Of {len(rows)} primary claims: {counted(rows['outcome'])}."
    return f"{text}\n\n{markdown(['claim', *columns[1:]], cells)}"


def of_studies() -> pd.DataFrame:
    """The claims of all studies that an interval has judged: verdict, and p-value by its ends."""
    registry = {}
    for path in sorted((REPO / "notebooks" / "studies").glob("*_claims.yaml")):
        registry |= claims.load(path)
    rows = pd.concat(map(pd.read_csv, sorted(PATHS.out.glob("reports/*-study-*/claims.csv"))))
    rows = rows[rows["verdict"].str.contains("holds|fails") & rows["paper"].isna()]
    rows = rows.dropna(subset=["value", "low", "high"]).set_index("id")
    numbers = rows[["value", "low", "high"]].itertuples()
    p = [claims.p_value(registry[name], *ends) for name, *ends in numbers]
    return rows[["verdict", "value", "low", "high"]].assign(p=p)


def multiplicity(rows: pd.DataFrame | None = None) -> str:
    """How many claims of studies hold, and which would not if all were corrected together; `rows`
    instead of those of `of_studies`."""
    rows = of_studies() if rows is None else rows
    corrected = multipletests(rows["p"], method="holm")[1]
    holds = rows["verdict"] == "holds"
    lost = sorted(rows.index[holds & (corrected >= claims.LEVEL)])
    names = "; ".join(f"`{name}`" for name in lost)
    text = (
        f"Of {len(rows)} claims of studies that an interval judges, {holds.sum()} hold. If all "
        f"{len(rows)} were corrected together by Holm, {len(lost)} of those that hold would no "
        f"longer hold: {names or 'none'}."
    )
    return textwrap.fill(text, 150, break_long_words=False)
