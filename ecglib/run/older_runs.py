"""Runs of an earlier version: which they are, and the line on their pages that says so.

reports/older_runs.csv lists runs that the notebooks of today cannot draw again. A row of
reports/older_studies.csv is a study of an earlier cohort, which they can. A row holds while one of
the run's keys begins with its `key`: a run of that name that was made since is not older.
"""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from ecglib.run import manifest

RUNS, STUDIES = "older_runs.csv", "older_studies.csv"
BEGINNING = "> **Made by an earlier version**"
KEY = 12  # letters


def listed(repo: Path, file: str) -> list[dict[str, str]]:
    """The rows of one of the two tables; none where it is absent."""
    path = repo / "reports" / file
    return pd.read_csv(path, dtype=str).to_dict("records") if path.is_file() else []


def commit(repo: Path, name: str, keys: Collection[str]) -> str:
    """The commit whose notebooks draw a run that older_runs.csv lists with one of its keys; "" for
    another run."""
    rows = [row for row in listed(repo, RUNS) if row["run"] == name and is_of(row, keys)]
    return rows[0]["commit"] if rows else ""


def is_of(row: dict[str, str], keys: Collection[str]) -> bool:
    """Whether a row is of the run with these keys, and not of an earlier one of the same name."""
    return row["key"] in {key[:KEY] for key in keys}


def banner(row: dict[str, str], page: Path) -> str:
    """The line for a page of an older run. A run that the row names becomes a link to its page of
    the same name, or else to its RUN.md."""

    def link(match: re.Match) -> str:
        folder = page.parent.parent / match[0]
        if not folder.is_dir():
            return match[0]
        target = page.name if (folder / page.name).is_file() else "RUN.md"
        return f"[{match[0]}](../{match[0]}/{target})"

    today = re.sub(r"[a-z]+-[\w-]+\w", link, row["numbers of today"])
    return (
        f"{BEGINNING}, commit `{row['commit']}`. Its differences from today's version: "
        f"{row['what changed since']}. Numbers of today: {today}."
    )


def mark(text: str, line: str) -> str:
    """A page with the line below its title, in place of an earlier such line."""
    title, *rest = text.split("\n")
    while rest and (not rest[0] or rest[0].startswith(BEGINNING)):
        rest.pop(0)
    return "\n".join([title, "", line, "", *rest])


def marked_pages(repo: Path) -> dict[Path, str]:
    """The text that each page and RUN.md of an older run should have, by its path."""
    pages = {}
    for row in listed(repo, RUNS) + listed(repo, STUDIES):
        folder = repo / "reports" / row["run"]
        record = manifest.read(folder / "run.json") or {}
        if is_of(row, record.get("keys", {}).values()):
            for page in sorted(folder.glob("*.md")):
                pages[page] = mark(page.read_text(encoding="utf-8"), banner(row, page))
    return pages
