"""What a notebook uses: its inputs, its steps, and its results (`results`)."""

from pathlib import Path

import pandas as pd

from ecglib.evaluate import predictions
from ecglib.run import arms, assets, claims_table, keys, manifest, models, steps, studies, yardstick
from ecglib.run.context import Run
from ecglib.run.errors import RunError, pick
from ecglib.run.results import Results
from ecglib.training.part import GIVEN, Part


class Stage(Results):
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
        self._open(Run(profile, data, seed, tag), number)

    def _open(self, run: Run, number: str) -> None:
        self.run, self.number, self.seed, self.spec = run, number, run.seed, run.spec(number)
        self.name, self.plan, self.paths = self.run.name, self.run.plan, self.run.paths
        self._library = keys.Library(self.paths.library)
        self.key, self.parts = self._identify()
        self.commit = manifest.git_commit(self.paths.repo)
        self._outputs, self._claims, self._read, self._todays = set(), [], {}, {}
        self._steps, self._beside_earlier = {}, set()
        self._unexecuted = self.run.unexecuted(self.spec)
        self._new_steps: dict[str, float] = {}  # seconds by name, of those that ran here

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
        of = self.machine
        return (
            f"run {self.run.name}, notebook {self.spec.notebook}, seed {self.seed}\nmachine: "
            f"{of.device}, {of.dtype}, {of.threads} threads ({of.reason})\nkey {self.key[:12]}"
        )

    # ---- what the stage reads -------------------------------------------------------------------

    def _undeclared(self, what: str, remedy: str) -> RunError:
        where = f"add {remedy} in {self.spec.declared_in}"
        return RunError(f"notebook {self.number} does not declare {what}; {where}")

    def section(self, name: str) -> dict:
        """A section of the profile (a copy) that is declared for this stage. Raises RunError: the
        section is not declared, so a change in it would go unnoticed."""
        if name not in self.spec.sections:
            remedy = f"it to `sections` ({', '.join(self.spec.sections)})"
            raise self._undeclared(f"the profile section {name!r}", remedy)
        return dict(self.parts["profile"][name])

    def input(self, number: str, step: str) -> Path:
        """The folder of another stage's step, checked file by file. Raises RunError: not declared,
        not made yet, or changed since it was written."""
        if step in self._unexecuted:
            return self._own(step)
        if step not in self.spec.reads.get(number, []) and self.spec.reads.get(number) != "*":
            raise self._undeclared(f"that it reads {number}/{step}", "it to `reads`")
        folder = self.paths.step(self.name, number, step)
        if not steps.is_whole(folder, number):
            raise self.run.missing_input(self.number, f"{number}/{step}")
        return folder

    def asset(self, name: str) -> Path:
        """The folder of an asset that is declared for this stage, checked against its pin. Raises
        RunError: not declared, not fetched, or other bytes than pinned."""
        name = name.removeprefix(arms.ASSET)
        if name not in self.parts["assets"]:
            raise self._undeclared(f"the asset {name!r}", "it, or a base that has it,")
        return assets.folder(name, self.paths, self.run.local)

    def data_inputs(self, cohort: str) -> dict[str, Path]:
        """Inputs of the step that builds a cohort: {"data": folder}, or {} for simulated ones."""
        return {"data": self.run.roots[cohort]} if cohort in self.run.roots else {}

    def file(self, name: str) -> Path:
        """A file of the repository declared for this stage, such as reports/deviations.csv."""
        if name not in self.spec.files:
            raise self._undeclared(f"the file {name!r}", "it to `files`")
        return self.paths.repo / name

    def has_file(self, name: str) -> bool:
        """Whether a declared result of a study is there: it may not have been made yet."""
        return self.file(name).is_file()

    def _require_output(self, number: str, path: Path) -> None:
        """Raises RunError: it is not declared that this stage reads all of that one (`"*"`), or the
        file was changed after it was written."""
        if number in self.spec.beside:
            return self.run.require_main(self.spec)
        if self.spec.reads.get(number) != "*":
            raise self._undeclared(f"that it reads all of {number}", f'"{number}": "*" to `reads`')
        outputs, name = self.run.finished()[number]["outputs"], self._relative(path)
        digests = {name: outputs[name]} if name in outputs else {}
        manifest.require_intact(self.paths.out, digests, number)

    def claims(self) -> pd.DataFrame:
        """The run's registered claims, judged by what this notebook and those it reads report."""
        read = [number for number, what in self.spec.reads.items() if what == "*"]
        return claims_table.judge(self.run, read, self._library, self._claims, self.number)

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
        identities = {label: self._identity(label, path) for label, path in inputs.items()}
        seed = self.seed if seed is None else seed
        parts = steps.step_parts(fn, config, identities, seed, self.machine, self._library)
        return self._result(name, fn, config, inputs, parts)

    def _result(
        self, name: str, fn: steps.StepFunction, config: dict, inputs: dict[str, Path], parts: dict
    ) -> Path:
        """The folder of the result of the key of `parts`, made where it lacks."""
        target, key = self.paths.step(self.name, self.number, name), keys.digest(parts)
        others = self.machine, self.commit, models.committed(self.run, key, inputs)
        is_new = steps.run_step(target, fn, config, inputs, parts, *others)
        self.run.record()
        self._steps[name] = key
        if is_new:
            self._new_steps[name] = manifest.read(target / "manifest.json")["seconds"]
        return target

    def make(self, name: str, step: str = "", **config: object) -> Path:
        """The folder of a part of this notebook (`arms.parts`); what it reads of this notebook is
        made first. Each part that is made or reused is printed as a card, once.

        Args:
            step: the name of the result, where it is not that of the part.
            config: settings that are known in the notebook only, such as record numbers.
        Raises:
            RunError: no such part here, or a key of its entry that no step knows.
        """
        listed = self.run.parts
        part = pick(f"part of notebook {self.number}:", name, listed)
        if part.stage != self.number:
            raise RunError(f"{name} is made by notebook {part.stage}, not by {self.number}")
        if part.shared:
            arms.check_entry(self.run.profile, part.entry, listed)
        inputs, seed = self.inputs(name), self.run.drawn_seed(part)
        settings = arms.config(part) | config
        if (step or name) not in self._steps:
            print(arms.card(part, listed, settings | dict.fromkeys(config, "..."), step))
        return self.step(step or name, arms.function(part), settings, inputs, seed)

    def remake(
        self,
        name: str,
        folders: dict[str, Path],
        suffix: str,
        seed: int | None = None,
        parts: dict[str, Part] | None = None,
    ) -> Path:
        """A study's own copy of a part of another notebook, with all that it reads, as steps
        `<name><suffix>`.

        Args:
            folders: by name, those that are given (the cohort); it gets the others.
            seed: of the trainings, the run's own without it.
            parts: of the study, beside those of the run or instead of them.
        """
        if name.startswith(arms.ASSET):
            return self.asset(name)
        if name not in folders:
            part = (self.run.parts | (parts or {}))[name]
            again = (folders, suffix, seed, parts)
            inputs = {label: self.remake(of, *again) for label, of in part.inputs.items()}
            drawn = (self.seed if seed is None else seed) + part.seed
            step = arms.function(part), arms.config(part), inputs, drawn
            folders[name] = self.step(name + suffix, *step)
        return folders[name]

    def part(self, name: str) -> Part:
        """A part of this notebook, or of one that it reads, with its settings."""
        return pick(f"part that notebook {self.number} reads:", name, self.run.parts)

    def inputs(self, name: str) -> dict[str, Path]:
        """The folders that a part reads, by label; those of this notebook are made."""
        return {label: self._made_input(of) for label, of in self.part(name).inputs.items()}

    def _made_input(self, of: str) -> Path:
        """The folder behind an input of a part."""
        if of.startswith(arms.ASSET):
            return self.asset(of)
        if of in self._steps:
            return self.paths.step(self.name, self.number, of)
        place = GIVEN[of] if of in GIVEN else self.run.parts[of].stage
        return self.input(place, of) if place != self.number else self.make(of)

    def _own(self, name: str) -> Path:
        """A part of a notebook that a study does not execute, as a step of the study. Where its
        result is stored or committed, nothing that it reads is made. Raises RunError: the main run
        has a model of this name and another key, so its saved predictions are of another one."""
        part, parts = self.run.parts[name], self._own_parts(name)
        fn, key = arms.function(part), keys.digest(parts)
        if whole := models.whole_of(self.run, part, lambda of: keys.digest(self._own_parts(of))):
            read = {k: self._made_input(of) for k, of in part.inputs.items() if k != "tokenizer"}
            return self.step(name, fn, arms.config(part), read | {"tokenizer": self._own(whole)})
        entry = steps.entry_of(self.paths.home, fn, key)
        is_there = steps.is_whole(entry, self.number, key) or models.committed(self.run, key)
        if not is_there and self.spec.beside:
            models.require_key(self.run, name, key)
        inputs = {} if is_there else self.inputs(name)
        return self._result(name, fn, arms.config(part), inputs, parts)

    def _own_parts(self, name: str) -> dict:
        """All that its result depends on; nothing is made for it."""
        part = self.run.parts[name]
        keys_of = {label: self._own_key(of) for label, of in part.inputs.items()}
        given = arms.config(part), keys_of, self.run.drawn_seed(part), self.machine, self._library
        return steps.step_parts(arms.function(part), *given)

    def _own_key(self, of: str) -> str:
        if of in self._unexecuted:
            return keys.digest(self._own_parts(of))
        return self._identity(of, self._made_input(of))

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
        raise RunError(f"input {label} ({path}) is no folder of a step, an asset or data")

    def of_study(self, study: str, name: str) -> pd.DataFrame | None:
        """What a study of the main run has saved under a name; None where it has not been made."""
        reports = self.paths.reports(f"{self.run.main}-{studies.PREFIX}{study}")
        file = reports / "predictions" / f"{studies.STAGE}_{name}.parquet"
        return predictions.read_table(file) if file.is_file() else None

    def finish(self) -> None:
        """The last cell: write claims/NN.csv, and the list of outputs for the runner."""
        self._write_claims()
        content = {
            "key": self.key,
            "parts": self.parts,
            "drawn": self.run.drawn_parts(self.number, self._library),
            "commit": self.commit,
            "steps": self._steps,
            "read": self._read,
            "new_step_seconds": sum(self._new_steps.values()),
            "speed": yardstick.speed(self.machine.device),
            "peak_memory_mb": manifest.peak_memory_mb(),
            "outputs": sorted(self._relative(path) for path in self._outputs),
        }
        recorded = self.paths.stage_manifest(self.name, self.number)
        manifest.write(recorded.with_suffix(".finished.json"), content)
        new, kept = len(self._new_steps), len(self._steps) - len(self._new_steps)
        done = f"finished {self.spec.notebook}, key {self.key[:12]}"
        print(f"{done}; steps: {new} made, {kept} reused")
