"""Read committed tables, predictions, claims and benchmarks, and write them as Markdown.

All come from the run MAIN and from the studies.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ecglib.evaluate.bootstrap import Estimate
from ecglib.evaluate.predictions import read_table
from ecglib.run import siblings
from ecglib.run.paths import Paths

REPO = Path(__file__).resolve().parents[1]
PATHS = Paths(REPO, REPO / "artifacts", REPO)
MAIN = "synthetic-laptop"
STUDY = "synthetic-laptop-study"
METHODS = {"vq": "VQ", "rvq": "RVQ", "qinco": "QINCo", "fsq": "FSQ", "bpe": "byte pairs"}
HEADINGS = ["question", "answer [95 % interval]", "numbers"]
Row = tuple[str, str, list[str]]  # question, answer, files below reports/


def markdown(headings: list[str], rows: list[list[str]], align: str = "") -> str:
    """A Markdown table; `align` has an r for every column of numbers."""
    rule = ["--:" if letter == "r" else "---" for letter in align.ljust(len(headings))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headings, rule, *rows])


def table(name: str, run: str = MAIN) -> pd.DataFrame:
    """A committed table by the name of its file, without the suffix."""
    return pd.read_csv(PATHS.reports(run) / "tables" / f"{name}.csv")


def predictions(name: str, run: str = MAIN) -> pd.DataFrame:
    """Committed predictions by the name of their file, without the suffix."""
    return pd.read_parquet(PATHS.reports(run) / "predictions" / f"{name}.parquet")


def every_seed(name: str, run: str = MAIN, paths: Paths = PATHS) -> pd.DataFrame:
    """Predictions of a run with those of its siblings, as rows of other training seeds."""
    file = f"{name}.parquet"
    own = read_table(paths.reports(run) / "predictions" / file)
    return siblings.join(own, file, run, paths)[0]


def benchmark(name: str) -> dict:
    """The result of a benchmark."""
    return json.loads((REPO / "reports" / "benchmarks" / f"{name}.json").read_text("utf-8"))


def interval(numbers: Iterable[float], digits: int, unit: str = "", scale: float = 1.0) -> str:
    """A value in its unit times `scale`, with its interval; numbers are value, low and high."""
    return Estimate(*numbers, n=0).text(digits, scale, unit)


def counted(values: pd.Series) -> str:
    """How often each value occurs, the commonest first: "confirmed 13, fails in both 3"."""
    return ", ".join(f"{value} {n}" for value, n in values.value_counts().items())


def claim(run: str, name: str) -> list[float]:
    """Value, low and high of a claim of a run."""
    files = sorted((REPO / "reports" / run / "claims").glob("*.csv"))
    claims = pd.concat([pd.read_csv(file) for file in files]).set_index("id")
    return claims.loc[name, ["value", "low", "high"]].astype(float).tolist()


def judged(run: str) -> pd.DataFrame:
    """The claims of a run with their verdicts, by id."""
    return pd.read_csv(PATHS.reports(run) / "claims.csv").set_index("id")


def side(numbers: list[float], above: str, below: str, neither: str) -> str:
    """What an interval says: it lies above zero, below zero, or around it."""
    return above if numbers[1] > 0 else below if numbers[2] < 0 else neither


def low(cell: str) -> float:
    """The lower end of "0.012 [0.003, 0.021]"."""
    return float(cell.partition("[")[2].partition(",")[0])


def high(cell: str) -> float:
    """The upper end of "0.012 [0.003, 0.021]"."""
    return float(cell.partition(", ")[2].partition("]")[0])


def lines(rows: list[Row]) -> str:
    """The rows as a table of a page in docs/, with links to their files."""
    cells = []
    for question, answer, files in rows:
        links = [f"[{Path(file).stem}](../reports/{file})" for file in files]
        cells.append([question, answer, ", ".join(links)])
    return markdown(HEADINGS, cells)


def hold(sentence: str, *conditions: bool) -> str:
    """A sentence that was written for the numbers of today.

    Raises:
        ValueError: a condition under which it is true does not hold.
    """
    if not all(conditions):
        raise ValueError(f"{sentence!r} is no longer true of the committed files; rewrite it")
    return sentence
