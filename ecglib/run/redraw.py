"""Redraw: tables, claims and figures of a finished run, from what it saved, without training.

Of each notebook only what stands below the line `keys.LINE` is executed, after the imports, with a
stage that has the files in reports/<run>/predictions and neither artifacts nor assets. It replaces
that half of the notebook's page, and in the other half the prose beside code that is today's.
"""

import re
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from ecglib.run import (
    claims_table,
    keys,
    manifest,
    notebook,
    page_notebook,
    runner,
    shared_kernel,
    siblings,
    stage,
    studies,
)
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

# Notebooks import `Stage`, so this comes first in their kernel.
FIRST = f"""\
from {__name__} import Redrawn, stage
stage.Stage = Redrawn
"""
PICTURE = re.compile(r"!\[.*?\]\((\w+_files/[\w.]+)\)")


class Redrawn(stage.Stage):
    """A stage whose results are made again. Nothing can be computed or loaded in it."""

    def _identify(self) -> tuple[str, dict]:
        """The key under which the run was made."""
        sections = {name: self.run.profile[name] for name in self.spec.sections}
        parts = {"profile": sections, "assets": {}}
        return recorded(self.paths, self.name)["keys"][self.number], parts

    def _refuse(self, *args: object, **kwargs: object) -> None:
        raise RunError(
            f"a cell below the line of notebook {self.number} needs a model, an asset or the "
            "cohort; let a cell above it save what it needs with stage.data"
        )

    step = make = remake = input = asset = data_inputs = data = predictions = _refuse

    def banner(self) -> str:
        """Run and key."""
        return f"run {self.name}, notebook {self.spec.notebook}, redrawn; key {self.key[:12]}"

    def _saved(self, name: str, number: str = "") -> Path:
        """Of a committed study only its own stage is kept: another one's files are the main run's.
        Raises RunError: that file is not the one that the study has read."""
        own, main = super()._saved(name, number), self.run.main
        file = self.paths.reports(main) / "predictions" / own.name
        if not number or not studies.named(self.run.tag) or (own != file and own.is_file()):
            return own
        digest = recorded(self.paths, self.name).get("read", {}).get(own.name, "")
        if manifest.changed(file.parent, {file.name: digest}):
            raise RunError(
                f"{self.name} was made beside another {own.name} than that of {main} today; make "
                f"the study again: bash run_all.sh study {studies.named(self.run.tag)}"
            )
        return file

    def beside(
        self, name: str, number: str, methods: Collection[str], seeds: bool = False
    ) -> pd.DataFrame:
        """The rows that were kept when the study was made; of one that kept none yet, those of the
        file that it has read, if the main run still has it (RunError otherwise)."""
        kept = f"beside_{number}_{name}"
        rows = self.read(kept) if super().has(kept) else self.read(name, number)
        return rows[rows["method"].isin(methods)].reset_index(drop=True)

    def has(self, name: str, number: str = "") -> bool:
        """Whether predictions were saved under a name, or kept of another stage."""
        return super().has(name, number) or super().has(f"beside_{number}_{name}")

    def _output(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._outputs.add(path)
        return path

    def _require_output(self, number: str, path: Path) -> None:
        """It is committed."""

    def claims(self) -> pd.DataFrame:
        """The run's registered claims, judged by what notebooks of today have reported."""
        rows = claims_table.reported(self.run, finished(self.run))
        others = [row for row in rows if row["key"] != self.key]
        return claims_table.table(self.run, others + self._claims, number=self.number)

    def finish(self) -> None:
        """Write claims/NN.csv. Where `artifacts` has the stage under this key, its manifest gets
        the digests of the files made now, whether or not its data folder is here."""
        self._write_claims()
        print(f"drawn again: {self.spec.notebook}, key {self.key[:12]}")
        place = self.paths.stage_manifest(self.name, self.number)
        content = manifest.read(place)
        if content and content["key"] == self.key:
            files = {self._relative(path): manifest.sha256(path) for path in self._outputs}
            manifest.write(place, content | {"outputs": content["outputs"] | files})


def recorded(paths: Paths, name: str) -> dict:
    """What run.json says of a run whose execution came to its end, and the keys of its stages."""
    return manifest.read(paths.reports(name) / "run.json") or {}


def whole_runs(paths: Paths) -> list[str]:
    """Runs that can be drawn again."""
    folders = sorted(record.parent for record in (paths.out / "reports").glob("*/run.json"))
    return [folder.name for folder in folders if is_whole(paths, folder.name)]


def is_whole(paths: Paths, name: str) -> bool:
    """Whether a run can be drawn again. A committed sibling cannot: it has no pages and too few
    predictions."""
    content = recorded(paths, name)
    if "keys" not in content:
        return False
    has_pages = any(page.name != "RUN.md" for page in paths.reports(name).glob("*.md"))
    return has_pages or not siblings.split(content["tag"])[1]


def require_whole(paths: Paths, name: str) -> None:
    """Raises RunError: there is no such run, no execution of it has come to its end, or only its
    predictions are here."""
    if not is_whole(paths, name):
        known = ", ".join(whole_runs(paths)) or "none"
        raise RunError(f"run {name} cannot be drawn again; those that can: {known}")


def finished(run: Run) -> list[str]:
    """The stages of a run that are drawn again: its own, as far as they have been made."""
    keys_of = recorded(run.paths, run.name)["keys"]
    return [number for number in claims_table.own_stages(run) if number in keys_of]


def redraw(paths: Paths, name: str, kernel_of: shared_kernel.KernelOf) -> None:
    """Make the tables, claims and figures of a run again, in place. Raises RunError: as for
    `require_whole`."""
    require_whole(paths, name)
    content = recorded(paths, name)
    run = Run(content["profile"], content["data"], content["seed"], content["tag"])
    try:
        _ = run.roots
    except RunError:  # recordings are not read, and need not be here
        run.roots = run.fingerprints = {}
    own, client = finished(run), kernel_of(runner.kernel_environment(run))
    with tempfile.TemporaryDirectory() as place:
        for number in own:
            source = run.notebook(number)
            executed = Path(place) / f"{source.stem}.ipynb"
            notebook.execute_saved(source, executed, run.parameters, FIRST, client)
            update_page(run, number, executed, content["keys"])
            print(f"{source.stem}: redrawn", flush=True)
    claims_table.write(run, claims_table.reported(run, own))


def update_page(run: Run, number: str, executed: Path, stage_keys: dict[str, str]) -> None:
    """Put what was drawn again below the line of a notebook's page, with its pictures, and today's
    prose above it; nothing where there is no page, or no line."""
    page = run.paths.reports(run.name) / f"{executed.stem}.md"
    if not page.is_file():
        return
    figures = sorted(run.paths.figures(run.name).glob(f"fig{number}_*.png"))
    above, line, _ = page.read_text("utf-8").partition(keys.LINE)
    caption = above.splitlines()[2].strip("*")
    written = runner.render(run, executed, executed.parent, stage_keys, figures, caption=caption)
    fresh, again, below = written[0].read_text("utf-8").partition(keys.LINE)
    if not (line and again):
        return
    above = page_notebook.with_prose(above, fresh)
    page.write_text(above + line + below, encoding="utf-8")
    folder, named = page.parent / f"{page.stem}_files", set(PICTURE.findall(above + below))
    for picture in written[1:]:
        if f"({folder.name}/{picture.name})" in below:
            folder.mkdir(exist_ok=True)
            shutil.copy(picture, folder)
    for old in folder.glob("*"):
        if f"{folder.name}/{old.name}" not in named:
            old.unlink()
    _note_pages(run, number, stage_keys[number], [page, *sorted(folder.glob("*"))])


def _note_pages(run: Run, number: str, key: str, files: list[Path]) -> None:
    """Where the stage is in `artifacts`, write the digests of its pages into its manifest."""
    place = run.paths.stage_manifest(run.name, number)
    content = manifest.read(place)
    if not content or content["key"] != key:
        return
    outputs = {n: digest for n, digest in content["outputs"].items() if n not in content["pages"]}
    pages = {file.relative_to(run.paths.out).as_posix(): manifest.sha256(file) for file in files}
    manifest.write(place, content | {"outputs": outputs | pages, "pages": list(pages)})
