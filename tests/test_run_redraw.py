"""Runs that are older than the notebooks are not drawn with them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from ecglib.run import redraw
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

REPO = Path(__file__).resolve().parents[1]


def folder(tmp_path: Path, key: str) -> Paths:
    """A repository that lists the run `a-b` as older, where its run has `key`."""
    for name in ("a-b", "other"):
        (tmp_path / "reports" / name).mkdir(parents=True)
        record = tmp_path / "reports" / name / "run.json"
        record.write_text(json.dumps({"keys": {"03": key}, "profile": "b", "data": "a"}))
    listed = f"run,commit,key,what changed since\na-b,abc1234,{'1' * 12},a cohort\n"
    (tmp_path / "reports" / "older_runs.csv").write_text(listed)
    return Paths(tmp_path, tmp_path / "artifacts", tmp_path)


def test_an_older_run_is_refused_with_the_commands_that_draw_it(tmp_path):
    paths = folder(tmp_path, "1" * 64)
    assert redraw.older(paths, "a-b") == "abc1234" and redraw.older(paths, "other") == ""
    with pytest.raises(RunError, match=r"git worktree add .*abc1234, and there: bash"):
        redraw.redraw(paths, "a-b")


def test_a_run_of_that_name_that_was_made_since_is_not_older(tmp_path):
    assert redraw.older(folder(tmp_path, "2" * 64), "a-b") == ""


def test_the_list_names_committed_runs_that_are_still_those():
    paths = Paths(REPO, REPO, REPO)
    for row in pd.read_csv(REPO / "reports" / "older_runs.csv", dtype=str).itertuples():
        assert redraw.older(paths, row.run) == row.commit, f"{row.run} was made again; remove it"
