"""docs/leaderboard.md: what every method of the committed runs reaches, a stranger's included.

A stranger's method is a folder `reports/submissions/<name>` with a `card.md`, whose first line
says what it is, and predictions in the schema of `ecglib.evaluate.predictions`. It is scored on the
same ECGs, items and true answers as the run, or left out with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from committed import MAIN, REPO, interval, markdown, predictions, table

from ecglib.evaluate import auc, exact_match, finding_agreement
from ecglib.evaluate.bootstrap import Estimate
from ecglib.evaluate.predictions import read_table, validate
from ecglib.figures import style

SUBMISSIONS = REPO / "reports" / "submissions"
CELLS = ["unit", "ecg", "item", "target"]


@dataclass(frozen=True)
class Board:
    """One task: the run's tables and predictions, and how a stranger's predictions are scored.

    sources: of a method that several tables have, the first one counts, so *shuffled* is the
    control of the first notebook. file: of predictions, in the run with its notebook's number and
    in a submission without it. reference: a method of the run with a prediction for every cell.
    items: what cells begin with.
    """

    title: str
    file: str
    number: str
    sources: tuple[str, ...]
    column: str
    reference: str
    items: tuple[str, ...]
    score: Callable[[pd.DataFrame], Estimate]
    what: str


BOARDS = (
    Board(
        "Findings, by a classifier",
        "labels",
        "03",
        ("03_auc_overall",),
        "macro",
        "raw",
        ("label:",),
        lambda frame: auc.auc(frame, "macro", 0),
        "macro-AUC over the labels",
    ),
    Board(
        "Findings in reports",
        "reports",
        "04",
        ("04_table1", "06_reports"),
        "macro_f1",
        "ecg_tok",
        ("finding:",),
        lambda frame: finding_agreement.macro_f1(frame, 0),
        "macro-F1 over the conditions",
    ),
    Board(
        "Answers to questions",
        "answers",
        "06",
        ("06_exact_match",),
        "all",
        "heartllm",
        ("verify:", "choose:", "query:"),
        lambda frame: exact_match.accuracy(frame, seed=0),
        "exact match over all questions",
    ),
)


def leaderboard(submissions: Path = SUBMISSIONS) -> str:
    """All boards, each with the strangers that can be scored."""
    parts = []
    for board in BOARDS:
        lines, left_out = ours(board), []
        for folder in sorted(path.parent for path in submissions.glob("*/card.md")):
            file = folder / "predictions" / f"{board.file}.parquet"
            if file.is_file():
                line, fault = theirs(board, folder, file)
                lines += [line] if line else []
                left_out += [f"Left out: {folder.name}, because {fault}."] if fault else []
        lines.sort(key=lambda line: -line[1])
        rows = [[str(i + 1), name, text, of] for i, (name, _, text, of) in enumerate(lines)]
        headings = ["", "method", f"{board.what} [95 % interval]", "from"]
        parts += [f"### {board.title}", "", markdown(headings, rows, "r"), *left_out, ""]
    return "\n".join(parts).rstrip()


def ours(board: Board) -> list[tuple[str, float, str, str]]:
    """Name, value, value with interval, and source of each method of the committed tables."""
    lines = {}
    for source in board.sources:
        page, saved = f"[{MAIN}](../reports/{MAIN}/tables/{source}.md)", table(source)
        if "average" in saved:
            saved = saved[saved["average"] == board.column]
            numbers = saved[["value", "low", "high"]].itertuples(index=False)
            cells, values = [interval(tuple(row), 3) for row in numbers], saved["value"]
        else:
            cells = saved[board.column].str.strip("*")
            values = [float(cell.split()[0]) for cell in cells]
        for method, value, cell in zip(saved["method"], values, cells, strict=True):
            name = style.method(method).name
            lines.setdefault(name, (name, value, cell, page))
    return list(lines.values())


def theirs(board: Board, folder: Path, file: Path) -> tuple[tuple | None, str]:
    """The line of a submission, or None and why it cannot be scored."""
    try:
        frame = validate(read_table(file), file.name)
    except ValueError as error:
        return None, str(error)
    run = predictions(f"{board.number}_{board.file}")
    wanted = _scored(run[run["method"] == board.reference], board)
    frame = _scored(frame, board)
    if frame["method"].nunique() != 1:
        return None, f"{file.name} has {frame['method'].nunique()} methods, one is expected"
    cells = set(wanted[CELLS].itertuples(index=False, name=None))
    for _, part in frame.groupby("seed"):
        given = set(part[CELLS].itertuples(index=False, name=None))
        if given != cells or len(part) != len(given):
            missing, foreign = len(cells - given), len(given - cells)
            return None, (
                f"{file.name} lacks {missing} of {len(cells)} cells of the run and has {foreign} "
                "others (a cell is an ECG, an item and its true answer)"
            )
    value = board.score(frame)
    name = (folder / "card.md").read_text(encoding="utf-8").splitlines()[0].lstrip("# ").strip()
    card = f"[card](../reports/submissions/{folder.name}/card.md)"
    return (name, value.value, value.text(), card), ""


def _scored(frame: pd.DataFrame, board: Board) -> pd.DataFrame:
    return frame[frame["item"].str.startswith(board.items)]
