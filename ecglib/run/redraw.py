"""Redraw: every table, claim and figure of a finished run, from what it saved, without training.

Of each notebook only the cells tagged `redraw` are executed, with a stage that has the files in
reports/<run>/predictions and neither artifacts nor assets.
"""

import contextlib
import io
from pathlib import Path
from unittest.mock import patch

import jupytext
import pandas as pd

from ecglib.run import claims_table, manifest, stage, studies
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths, run_name

TAG = "redraw"


class Redrawn(stage.Stage):
    """A stage whose results are made again. Nothing can be computed or loaded in it."""

    def _identify(self) -> tuple[str, dict]:
        """The key under which the run was made."""
        sections = {name: self.run.profile[name] for name in self.spec.sections}
        parts = {"profile": sections, "assets": {}}
        return recorded(self.paths, self.name)["keys"][self.number], parts

    def _refuse(self, *args: object, **kwargs: object) -> None:
        raise RunError(
            f"a cell of notebook {self.number} tagged {TAG!r} needs a model, an asset or the "
            "cohort; let a cell without the tag save what it needs with stage.data"
        )

    step = make = input = asset = data_inputs = data = predictions = _refuse

    def banner(self) -> str:
        """Run and key."""
        return f"run {self.name}, notebook {self.spec.notebook}, redrawn; key {self.key[:12]}"

    def _saved(self, name: str, number: str = "") -> Path:
        """Of a committed study only its own stage is kept: another one's files are the main run's.
        Raises RunError: the main run has another one today."""
        own = super()._saved(name, number)
        if not number or own.is_file() or not studies.named(self.run.tag):
            return own
        main = run_name(self.run.data_name, self.run.profile_name)
        keys = [recorded(self.paths, run)["keys"].get(number) for run in (self.name, main)]
        if keys[0] != keys[1]:
            raise RunError(
                f"{self.name} was made beside another notebook {number} than that of {main} today; "
                f"make the study again, or list it in reports/older_runs.csv"
            )
        return self.paths.reports(main) / "predictions" / own.name

    def _output(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._outputs.add(path)
        return path

    def _require_output(self, number: str, path: Path) -> None:
        """It is committed."""

    def claims(self) -> pd.DataFrame:
        """The run's registered claims, judged by what the notebooks have reported."""
        rows = claims_table.reported(self.run, claims_table.own_stages(self.run))
        others = [row for row in rows if row["key"] != self.key]
        return claims_table.table(self.run, others + self._claims)

    def close(self) -> None:
        """Write claims/NN.csv; `finish` is in a cell that is not executed here. Where the stage is
        current in `artifacts`, its manifest gets the digests of the files made now."""
        self._write_claims()
        place = self.paths.stage_manifest(self.name, self.number)
        if not place.is_file():
            return
        current = claims_table.current_stages(self.run, [self.number], self._library)
        for content in current.values():
            files = {self._relative(path): manifest.sha256(path) for path in self._outputs}
            manifest.write(place, content | {"outputs": content["outputs"] | files})


def recorded(paths: Paths, name: str) -> dict:
    """What run.json says of a run, and the keys of its stages. Raises RunError: there is no such
    run, or it is older than its record of keys."""
    content = manifest.read(paths.reports(name) / "run.json") or {}
    if "keys" not in content:
        known = ", ".join(whole_runs(paths)) or "none"
        raise RunError(f"run {name} cannot be drawn again; those that can: {known}")
    return content


def whole_runs(paths: Paths) -> list[str]:
    """Runs that can be drawn again."""
    records = sorted((paths.out / "reports").glob("*/run.json"))
    return [path.parent.name for path in records if "keys" in (manifest.read(path) or {})]


def older(paths: Paths, name: str) -> tuple[str, list[str]]:
    """The commit whose notebooks draw a run that reports/older_runs.csv lists, and the numbers of
    these notebooks; "" for another run, and for one of the same name that was made since: none of
    its keys begins with `key`."""
    table, keys = paths.repo / "reports" / "older_runs.csv", recorded(paths, name)["keys"]
    rows = pd.read_csv(table, dtype=str).fillna("").itertuples() if table.is_file() else ()
    for row in rows:
        if row.run == name and row.key in {key[:12] for key in keys.values()}:
            return row.commit, row.notebooks.split() or list(keys)
    return "", []


def redraw(paths: Paths, name: str) -> None:
    """Make the tables, claims and figures of a run again, in place. Raises RunError: these
    notebooks are not those that made the run."""
    content, (commit, of_commit) = recorded(paths, name), older(paths, name)
    keys = [number for number in content["keys"] if number not in of_commit]
    if not keys:
        raise RunError(
            f"run {name} was made by the notebooks of {commit}; draw it with these: git worktree "
            f"add ../{commit} {commit}, and there: bash run_all.sh redraw {name}"
        )
    run = Run(content["profile"], content["data"], content["seed"], content["tag"])
    own = [number for number in claims_table.own_stages(run) if number in keys]
    for number in own:
        source = run.notebook(number)
        if redraw_notebook(source, run.parameters):
            print(f"{source.stem}: redrawn", flush=True)
    claims_table.write(run, claims_table.reported(run, own))


def redraw_notebook(source: Path, parameters: dict) -> bool:
    """Execute the tagged cells of a notebook in one namespace; False where it has none."""
    cells = [(place, cell) for place, cell in enumerate(jupytext.read(source).cells, start=1)]
    tagged = [(place, cell) for place, cell in cells if TAG in cell.metadata.get("tags", [])]
    namespace: dict = {"__name__": "__main__", **parameters}
    with patch.object(stage, "Stage", Redrawn), contextlib.redirect_stdout(io.StringIO()):
        for place, cell in tagged:  # notebooks import `Stage`, so this must precede
            exec(compile(cell.source, f"{source.name}, cell {place}", "exec"), namespace)
        if tagged:
            namespace["stage"].close()
    return bool(tagged)
