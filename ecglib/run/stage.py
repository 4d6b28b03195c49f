"""What a notebook uses: its inputs, its steps, and one way to write each kind of result."""

from pathlib import Path
from typing import TYPE_CHECKING

from ecglib.run import assets, claims_table, keys, manifest, steps
from ecglib.run.context import Run
from ecglib.run.errors import RunError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Stage:
    """One executed notebook of one run.

    Args:
        number: "01" to "09", as in notebooks/stages.yaml, which declares what the stage may read;
            or "study", whose own YAML file does.
        profile, data, seed, tag: the notebook's parameters.
    Raises:
        RunError: an unknown name, an input that does not exist, a run of other data or seed.
    """

    def __init__(self, number: str, profile: str, data: str, seed: int = 0, tag: str = ""):
        self.run = Run(profile, data, seed, tag)
        self.number, self.seed, self.spec = number, seed, self.run.spec(number)
        self.run.guard()
        self.paths, self.machine = self.run.paths, self.run.machine
        self._library = keys.Library(self.paths.library)
        self.parts = self.run.stage_parts(number, self._library)
        for what, key in self.parts["upstream"].items():
            if key is None:
                raise self.run.missing_input(number, what)
        self.key = keys.digest(self.parts)
        self._commit = manifest.git_commit(self.paths.repo)
        self._outputs: set[Path] = set()
        self._steps: dict[str, str] = {}
        self._new_steps = 0
        self._claims: list[dict] = []
        self.machine.configure_torch()

    @property
    def plan(self) -> dict:
        """The data plan: `cohorts` and `roles`."""
        return self.run.plan

    @property
    def commit(self) -> str:
        """The commit of the checkout, with "+dirty" where it was changed."""
        return self._commit

    @property
    def name(self) -> str:
        """The run's name, `<data>-<profile>[-tag]`."""
        return self.run.name

    def banner(self) -> str:
        """Run, seed, machine with its reason, and the stage's key."""
        machine = self.machine
        return (
            f"run {self.run.name}, notebook {self.spec.notebook}, seed {self.seed}\n"
            f"machine: {machine.device}, {machine.dtype}, {machine.threads} threads "
            f"({machine.reason})\nkey {self.key[:12]}"
        )

    # ---- what the stage reads -------------------------------------------------------------------

    def section(self, name: str) -> dict:
        """A section of the profile (a copy) that is declared for this stage.

        Raises:
            RunError: the section is not declared, so a change in it would go unnoticed.
        """
        if name not in self.spec.sections:
            raise RunError(
                f"notebook {self.number} does not declare the profile section {name!r}; add it to "
                f"`sections` in {self.spec.declared_in}, which has {', '.join(self.spec.sections)}"
            )
        return dict(self.parts["profile"][name])

    def input(self, number: str, step: str) -> Path:
        """The folder of another stage's step, checked file by file.

        Raises:
            RunError: not declared, not made yet, or changed since it was written.
        """
        declared = self.spec.reads.get(number, [])
        if declared != "*" and step not in declared:
            raise RunError(
                f"notebook {self.number} does not declare that it reads {number}/{step}; add it to "
                f"`reads` in {self.spec.declared_in}"
            )
        folder = self.paths.step(self.run.name, number, step)
        recorded = manifest.read(folder / "manifest.json")
        if recorded is None or manifest.missing(folder, recorded["outputs"]):
            raise self.run.missing_input(self.number, f"{number}/{step}")
        manifest.require_intact(folder, recorded["outputs"], number)
        return folder

    def asset(self, name: str) -> Path:
        """The folder of an asset that is declared for this stage, checked against its pin.

        Raises:
            RunError: not declared, not fetched, or other bytes than pinned.
        """
        if name not in self.parts["assets"]:
            raise RunError(
                f"notebook {self.number} does not declare the asset {name!r}; add the profile key "
                f"that names it to `assets` in {self.spec.declared_in}"
            )
        return assets.folder(name, self.paths, self.run.local)

    def data_inputs(self, cohort: str) -> dict[str, Path]:
        """Inputs of the step that builds a cohort: {"data": folder}, or {} for simulated ones."""
        return {"data": self.run.roots[cohort]} if cohort in self.run.roots else {}

    def file(self, name: str) -> Path:
        """A file of the repository declared for this stage, such as notebooks/claims.yaml."""
        if name not in self.parts["files"]:
            raise RunError(
                f"notebook {self.number} does not declare the file {name!r}; add it to `files` in "
                f"{self.spec.declared_in}"
            )
        return self.paths.repo / name

    def outputs(self, number: str, folder: str, suffix: str = "") -> list[Path]:
        """Files that a whole stage wrote into reports/<run>/<folder>, for example its predictions.

        Raises:
            RunError: it is not declared that this stage reads all of that one (`"*"`), or a file
                was changed after it was written.
        """
        if self.spec.reads.get(number) != "*":
            raise RunError(
                f"notebook {self.number} does not declare that it reads all of {number}; write "
                f'"{number}": "*" under `reads` in {self.spec.declared_in}.'
            )
        recorded = manifest.read(self.paths.stage_manifest(self.run.name, number))
        base = self._relative(self.paths.reports(self.run.name) / folder)
        digests = {
            name: digest
            for name, digest in recorded["outputs"].items()
            if name.startswith(base + "/") and name.endswith(suffix)
        }
        manifest.require_intact(self.paths.out, digests, number)
        return [self.paths.out / name for name in sorted(digests)]

    def claims(self) -> "pd.DataFrame":
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
        target = self.paths.step(self.run.name, self.number, name)
        is_new = steps.run_step(target, fn, config, inputs, parts, self.machine, self._commit)
        self.run.record()
        self._steps[name] = keys.digest(parts)
        self._new_steps += is_new
        return target

    def _identity(self, label: str, path: Path) -> str:
        path = Path(path).resolve()
        recorded = manifest.read(path / "manifest.json")
        if recorded is not None and path.is_relative_to(self.paths.home):
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

    def predictions(self, name: str, frame: "pd.DataFrame") -> Path:
        """Write prediction rows to reports/<run>/predictions/NN_<name>.parquet."""
        from ecglib.evaluate import predictions

        path = self._report("predictions", f"{self.number}_{name}.parquet")
        predictions.write(frame, path)
        return self._wrote(path)

    def table(self, name: str, frame: "pd.DataFrame", caption: str = "") -> "pd.DataFrame":
        """Write tables/NN_<name>.csv, .md and .tex; returns the frame for display."""
        from ecglib.run import tables

        stem = self._report("tables", f"{self.number}_{name}")
        for path in tables.write_table(frame, stem, caption):
            self._wrote(path)
        return frame

    def write(self, name: str, content: "pd.DataFrame | str") -> Path:
        """Write a frame as CSV, or text as it is, to reports/<run>/<name> (cards/model.md)."""
        from ecglib.run import tables

        path = self._report(*Path(name).parts)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            tables.write_csv(content, path)
        return self._wrote(path)

    def figure(self, name: str, figure: "Figure", data: "pd.DataFrame") -> None:
        """Write figures/<run>/figNN_<name>.pdf, .png and .csv, stamped, and show it."""
        from IPython.display import Image, display

        from ecglib.figures import style
        from ecglib.run import tables

        stem = self.paths.figures(self.run.name) / f"fig{self.number}_{name}"
        style.stamp(figure, f"{self.run.name}  {self.key[:12]}")
        for suffix in (".pdf", ".png"):
            self._wrote(style.save(figure, stem.with_suffix(suffix)))
        tables.write_csv(data, stem.with_suffix(".csv"))
        self._wrote(stem.with_suffix(".csv"))
        width = round(figure.get_figwidth() * 120)  # pixels on a page; the file has more
        display(Image(data=stem.with_suffix(".png").read_bytes(), width=width))

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
        import pandas as pd

        from ecglib.run import tables

        if self._claims:
            path = self._report("claims", f"{self.number}.csv")
            tables.write_csv(pd.DataFrame(self._claims), path)
            self._wrote(path)
        content = {
            "key": self.key,
            "parts": self.parts,
            "commit": self._commit,
            "steps": self._steps,
            "peak_memory_mb": manifest.peak_memory_mb(),
            "outputs": sorted(self._relative(path) for path in self._outputs),
        }
        recorded = self.paths.stage_manifest(self.run.name, self.number)
        manifest.write(recorded.with_suffix(".finished.json"), content)
        reused = len(self._steps) - self._new_steps
        print(
            f"finished {self.spec.notebook}, key {self.key[:12]}; steps: {self._new_steps} made, "
            f"{reused} reused"
        )

    def _report(self, *parts: str) -> Path:
        self.run.record()
        path = self.paths.reports(self.run.name).joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.paths.out).as_posix()

    def _wrote(self, path: Path) -> Path:
        self._outputs.add(path)
        return path
