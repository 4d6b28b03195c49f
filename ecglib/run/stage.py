"""What a notebook uses: its inputs, its steps, and one way to write each kind of result."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ecglib.run import assets, claims_table, keys, manifest, steps, tables
from ecglib.run.context import Run
from ecglib.run.errors import RunError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Stage:
    """One executed notebook of one run.

    Args:
        number: "01" to "09", as in notebooks/stages.yaml, which declares what the stage may read;
            or "study", whose own YAML file does.
        profile, data, seed, tag: the notebook's parameters.
    Attributes:
        name: the run's name, `<data>-<profile>[-tag]`.
        plan: the data plan, `cohorts` and `roles`.
        commit: of the checkout, with "+dirty" where it was changed.
    Raises:
        RunError: an unknown name, an input that does not exist, a run of other data or seed.
    """

    def __init__(self, number: str, profile: str, data: str, seed: int = 0, tag: str = ""):
        self.run = Run(profile, data, seed, tag)
        self.number, self.seed, self.spec = number, seed, self.run.spec(number)
        self.name, self.plan, self.paths = self.run.name, self.run.plan, self.run.paths
        self._library = keys.Library(self.paths.library)
        self.key, self.parts = self._identify()
        self.commit = manifest.git_commit(self.paths.repo)
        self._outputs: set[Path] = set()
        self._steps: dict[str, str] = {}
        self._new_steps = 0
        self._claims: list[dict] = []

    def _identify(self) -> tuple[str, dict]:
        """The stage's key, and the parts of which it is the digest; sets up torch."""
        self.run.guard()
        parts = self.run.stage_parts(self.number, self._library)
        for what, key in parts["upstream"].items():
            if key is None:
                raise self.run.missing_input(self.number, what)
        self.machine = self.run.machine
        self.machine.configure_torch()
        return keys.digest(parts), parts

    def banner(self) -> str:
        """Run, seed, machine with its reason, and the stage's key."""
        machine = self.machine
        return (
            f"run {self.run.name}, notebook {self.spec.notebook}, seed {self.seed}\n"
            f"machine: {machine.device}, {machine.dtype}, {machine.threads} threads "
            f"({machine.reason})\nkey {self.key[:12]}"
        )

    # ---- what the stage reads -------------------------------------------------------------------

    def _undeclared(self, what: str, remedy: str) -> RunError:
        return RunError(
            f"notebook {self.number} does not declare {what}; add {remedy} in "
            f"{self.spec.declared_in}"
        )

    def section(self, name: str) -> dict:
        """A section of the profile (a copy) that is declared for this stage.

        Raises:
            RunError: the section is not declared, so a change in it would go unnoticed.
        """
        if name not in self.spec.sections:
            remedy = f"it to `sections` ({', '.join(self.spec.sections)})"
            raise self._undeclared(f"the profile section {name!r}", remedy)
        return dict(self.parts["profile"][name])

    def input(self, number: str, step: str) -> Path:
        """The folder of another stage's step, checked file by file.

        Raises:
            RunError: not declared, not made yet, or changed since it was written.
        """
        if step not in self.spec.reads.get(number, []) and self.spec.reads.get(number) != "*":
            raise self._undeclared(f"that it reads {number}/{step}", "it to `reads`")
        folder = self.paths.step(self.name, number, step)
        if not steps.is_whole(folder, number):
            raise self.run.missing_input(self.number, f"{number}/{step}")
        return folder

    def asset(self, name: str) -> Path:
        """The folder of an asset that is declared for this stage, checked against its pin.

        Raises:
            RunError: not declared, not fetched, or other bytes than pinned.
        """
        if name not in self.parts["assets"]:
            remedy = "the profile key that names it to `assets`"
            raise self._undeclared(f"the asset {name!r}", remedy)
        return assets.folder(name, self.paths, self.run.local)

    def data_inputs(self, cohort: str) -> dict[str, Path]:
        """Inputs of the step that builds a cohort: {"data": folder}, or {} for simulated ones."""
        return {"data": self.run.roots[cohort]} if cohort in self.run.roots else {}

    def file(self, name: str) -> Path:
        """A file of the repository declared for this stage, such as notebooks/claims.yaml."""
        if name not in self.parts["files"]:
            raise self._undeclared(f"the file {name!r}", "it to `files`")
        return self.paths.repo / name

    def outputs(self, number: str, folder: str, suffix: str = "") -> list[Path]:
        """Files that a whole stage wrote into reports/<run>/<folder>, for example its predictions.

        Raises:
            RunError: it is not declared that this stage reads all of that one (`"*"`), or a file
                was changed after it was written.
        """
        if self.spec.reads.get(number) != "*":
            raise self._undeclared(f"that it reads all of {number}", f'"{number}": "*" to `reads`')
        recorded = manifest.read(self.paths.stage_manifest(self.name, number))
        base = self._relative(self.paths.reports(self.name) / folder) + "/"
        digests = {
            name: digest
            for name, digest in recorded["outputs"].items()
            if name.startswith(base) and name.endswith(suffix)
        }
        manifest.require_intact(self.paths.out, digests, number)
        return [self.paths.out / name for name in sorted(digests)]

    def has(self, name: str) -> bool:
        """Whether predictions/NN_<name>.parquet exists: of real patients no text is published."""
        return self._saved(name).is_file()

    def read(self, name: str, number: str = "") -> pd.DataFrame:
        """What `predictions` or `data` saved under a name, here or in the stage `number`.

        Raises:
            RunError: it is not declared that this stage reads that one, or there is no such file.
        """
        from ecglib.evaluate import predictions

        path = self._saved(name)
        if number:
            wanted = f"{number}_{name}.parquet"
            paths = {path.name: path for path in self.outputs(number, "predictions", wanted)}
            path = paths.get(wanted, path.with_name(wanted))
        if not path.is_file():
            raise RunError(f"{self.number} reads {path}, which does not exist; save it first")
        frame = pd.read_parquet(path)
        is_scored = list(frame.columns) == predictions.COLUMNS
        return predictions.validate(frame, path) if is_scored else frame

    def _saved(self, name: str) -> Path:
        return self.paths.reports(self.name) / "predictions" / f"{self.number}_{name}.parquet"

    def claims(self) -> pd.DataFrame:
        """The run's registered claims, judged by what this notebook and those it reads report."""
        self.file(claims_table.registry_file(self.run))  # must be declared
        read = [number for number, what in self.spec.reads.items() if what == "*"]
        return claims_table.judge(self.run, read, self._library, self._claims)

    # ---- what the stage makes -------------------------------------------------------------------

    def step(
        self,
        name: str,
        fn: steps.StepFunction,
        config: dict,
        inputs: dict[str, Path] | None = None,
        seed: int | None = None,
    ) -> Path:
        """The folder of a step's result, reused while its key stays the same.

        Args:
            fn: a module-level function of the library, `fn(out, inputs, config, seed, machine)`.
            config: plain data; part of the key.
            inputs: folders of steps, assets or data roots; their keys are part of the key.
            seed: where a study trains with several; the run's own without it.
        Raises:
            RunError: an input that is none of these, or a result that was changed by hand.
        """
        inputs = dict(inputs or {})
        steps.check_documented(fn, config, inputs)
        identities = {label: self._identity(label, path) for label, path in inputs.items()}
        seed = self.seed if seed is None else seed
        parts = steps.step_parts(fn, config, identities, seed, self.machine, self._library)
        target = self.paths.step(self.name, self.number, name)
        is_new = steps.run_step(target, fn, config, inputs, parts, self.machine, self.commit)
        self.run.record()
        self._steps[name] = keys.digest(parts)
        self._new_steps += is_new
        return target

    def _identity(self, label: str, path: Path) -> str:
        path = Path(path).resolve()
        recorded = manifest.read(path / "manifest.json")
        homes = self.paths.home, (self.paths.home / steps.STORE).resolve()  # a link, in Lab
        if recorded is not None and any(path.is_relative_to(home) for home in homes):
            return recorded["key"]
        for cohort, root in self.run.roots.items():
            if path == root:
                return self.run.fingerprints[cohort]
        for name in self.parts["assets"]:
            if path == assets.folder(name, self.paths, self.run.local).resolve():
                return self.parts["assets"][name]
        raise RunError(
            f"input {label} ({path}) is neither a step's folder, an asset nor a data folder"
        )

    def predictions(self, name: str, frame: pd.DataFrame) -> Path:
        """Write prediction rows to reports/<run>/predictions/NN_<name>.parquet."""
        from ecglib.evaluate import predictions

        return predictions.write(frame, self._output(self._saved(name)))

    def data(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Write what else a result needs (counts, choices, traces) beside the predictions.

        `frame`: plain columns. Returns the frame as `read` gives it.
        """
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, self._output(self._saved(name)), compression="zstd")
        return self.read(name)

    def table(
        self, name: str, frame: pd.DataFrame, caption: str = "", best: dict | None = None
    ) -> pd.DataFrame:
        """Write tables/NN_<name>.csv, .md and .tex; returns the frame for display.

        `best`: columns whose best value is set in bold, {column: "max" or "min"}.
        """
        for suffix, render in tables.FORMATS.items():
            path = self._report(f"tables/{self.number}_{name}{suffix}")
            path.write_text(render(frame, caption, best), encoding="utf-8")
        return frame

    def write(self, name: str, content: pd.DataFrame | str) -> Path:
        """Write a frame as CSV, or text as it is, to reports/<run>/<name> (cards/model.md)."""
        path = self._report(name)
        path.write_text(content if isinstance(content, str) else tables.csv(content), "utf-8")
        return path

    def figure(
        self, name: str, figure: "Figure", data: pd.DataFrame, caption: str, alt: str
    ) -> None:
        """Write figures/<run>/figNN_<name>.pdf, .png, .csv and .txt, stamped, and show it.

        Args:
            data: the numbers behind the figure.
            caption: what is drawn, from what, and what the intervals are.
            alt: what the picture shows, for a reader who cannot see it.
        """
        from ecglib.figures import style

        stem = self.paths.figures(self.name) / f"fig{self.number}_{name}"
        files = {s: self._output(stem.with_suffix(s)) for s in (".pdf", ".png", ".csv", ".txt")}
        if not os.environ.get("ECGLIB_NO_STAMP"):
            style.stamp(figure, f"{self.name}  {self.key[:12]}")
        style.save(figure, files[".pdf"])
        style.save(figure, files[".png"])
        files[".csv"].write_text(tables.csv(data), encoding="utf-8")
        files[".txt"].write_text(f"{caption}\n\nAlt text: {alt}\n", encoding="utf-8")
        self._show(files[".png"], round(figure.get_figwidth() * 120), caption, alt)

    def _show(self, picture: Path, width: int, caption: str, alt: str) -> None:
        """Show a figure in the notebook; `width` in pixels on a page, the file has more."""
        from IPython.display import Image, Markdown, display

        image = Image(data=picture.read_bytes(), width=width, alt=alt)
        display(image, metadata={"image/png": {"width": width, "alt": alt}})
        display(Markdown(f"*{caption}*"))

    def claim(self, id: str, value: float, low: float, high: float, n: int, seeds: int = 1) -> None:
        """Note a measured value with its 95 % interval over `n` patients, for claims/NN.csv.

        `seeds`: the number of training seeds behind the value.

        Raises:
            RunError: the id was given before in this notebook.
        """
        if any(claim["id"] == id for claim in self._claims):
            raise RunError(f"claim {id!r} was given twice in notebook {self.number}")
        numbers = {"value": float(value), "low": float(low), "high": float(high), "n": int(n)}
        self._claims.append({"id": id, **numbers, "seeds": seeds, "key": self.key})

    def finish(self) -> None:
        """The last cell: write claims/NN.csv, and the list of outputs for the runner."""
        if self._claims:
            self.write(f"claims/{self.number}.csv", pd.DataFrame(self._claims))
        content = {
            "key": self.key,
            "parts": self.parts,
            "commit": self.commit,
            "steps": self._steps,
            "peak_memory_mb": manifest.peak_memory_mb(),
            "outputs": sorted(self._relative(path) for path in self._outputs),
        }
        recorded = self.paths.stage_manifest(self.name, self.number)
        manifest.write(recorded.with_suffix(".finished.json"), content)
        reused = len(self._steps) - self._new_steps
        print(
            f"finished {self.spec.notebook}, key {self.key[:12]}; steps: {self._new_steps} made, "
            f"{reused} reused"
        )

    def _report(self, name: str) -> Path:
        return self._output(self.paths.reports(self.name) / name)

    def _output(self, path: Path) -> Path:
        """Note a path as an output of the stage, and make its folder."""
        self.run.record()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._outputs.add(path)
        return path

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.paths.out).as_posix()
