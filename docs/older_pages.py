"""The line on the pages of runs of an earlier version.

reports/older_runs.csv lists runs that the notebooks of today cannot draw again. A row of
reports/older_studies.csv is a study of an earlier cohort, which they can. A row holds while one of
the run's keys begins with its `key`: a run of that name that was made since is not older. Where a
row names `notebooks`, only their pages are older.
"""

import json
import re
from pathlib import Path

import pandas as pd

BEGINNING = "> **Made by an earlier version**"


def listed(repo: Path) -> list[dict[str, str]]:
    """The rows of the two tables; none of an absent one."""
    tables = [repo / "reports" / name for name in ("older_runs.csv", "older_studies.csv")]
    frames = [pd.read_csv(table, dtype=str).fillna("") for table in tables if table.is_file()]
    return [{"notebooks": ""} | row for frame in frames for row in frame.to_dict("records")]


def is_current(repo: Path, row: dict[str, str]) -> bool:
    """Whether a row is of the run that is there, and not of an earlier one of the same name."""
    record = repo / "reports" / row["run"] / "run.json"
    keys = json.loads(record.read_text("utf-8")).get("keys", {}) if record.is_file() else {}
    return row["key"] in {key[:12] for key in keys.values()}


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
    return {
        page: mark(page.read_text(encoding="utf-8"), banner(row, page))
        for row in listed(repo)
        if is_current(repo, row)
        for page in sorted((repo / "reports" / row["run"]).glob("*.md"))
        if not row["notebooks"] or page.name[:2] in row["notebooks"].split()
    }
