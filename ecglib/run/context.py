"""A run: profile, data plan, seed and tag resolved to folders, machine, fingerprints and keys.

The runner and the notebooks both ask this class, so that they agree on what is current.
"""

import importlib
import json
import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ecglib.run import arms, assets, keys, manifest, releases, roots, siblings, studies
from ecglib.run.errors import RunError, pick
from ecglib.run.paths import PROCESSES, SECOND_PART, TAKES_MODELS, Paths, from_environment, run_name
from ecglib.run.profiles import StageSpec, load_plan, load_profile, load_stages
from ecglib.tokenizers import plugin

if TYPE_CHECKING:
    from ecglib.training.device import Machine
    from ecglib.training.part import Part


class Run:
    """One run of the compendium, `<data>-<profile>[-tag]`.

    Args:
        data_roots: values of `--data-root`; None takes those in the environment.
        local: values of `--asset`; None likewise.
    Raises:
        RunError: an unknown profile, data plan, key or asset, or a seed that is no 32-bit number.
    """

    def __init__(
        self,
        profile: str,
        data: str,
        seed: int,
        tag: str = "",
        data_roots: list[str] | None = None,
        local: list[str] | None = None,
    ):
        if not 0 <= seed < 2**32:
            raise RunError(f"expected --seed from 0 to {2**32 - 1}, got {seed}")
        self.paths = Paths.here()
        self.profile_name, self.data_name, self.seed, self.tag = profile, data, seed, tag
        plain_tag, self.training_seed = siblings.split(tag)
        self.plan = load_plan(self.paths, data)
        stages, sizes = load_stages(self.paths), load_profile(self.paths, profile)
        stages, self.profile = studies.load(self.paths, tag, stages, sizes)
        self.name = run_name(data, profile, tag)
        self.eldest = run_name(data, profile, plain_tag)  # of the siblings: training seed 0
        self.parts = arms.parts(self.profile)
        self._declared = {n: of.with_base(arms.base_step(self.profile)) for n, of in stages.items()}
        self.stages = {number: self._resolve(spec) for number, spec in self._declared.items()}
        self._roots = data_roots if data_roots is not None else from_environment("ECGLIB_DATA_ROOT")
        local = from_environment("ECGLIB_ASSETS") if local is None else local
        self.local = assets.parse_local(local)

    def _resolve(self, spec: StageSpec) -> StageSpec:
        """With what its parts read of the stages that are executed."""
        reads = arms.reads(self.parts, self.parts_of(spec), spec)
        return replace(spec, reads={n: of for n, of in reads.items() if n in self._declared})

    @cached_property
    def roots(self) -> dict[str, Path]:
        """The folder of each cohort that is read from outside: given, or a downloaded release.
        Raises RunError: a folder that is neither, or not what it claims to be."""
        return roots.resolve(self._roots, self.plan, self.data_name, self.paths)

    @property
    def parameters(self) -> dict:
        """The parameters of the run's notebooks."""
        given = {"profile": self.profile_name, "data": self.data_name}
        return given | {"tag": self.tag, "seed": self.seed}

    def fetch_data(self) -> None:
        """Download the releases that the plan reads and nobody gives. Raises RunError: it fails."""
        roots.resolve(self._roots, self.plan, self.data_name, self.paths, download=True)

    @cached_property
    def machine(self) -> "Machine":
        """Device and number format, chosen by the library's training room, with the reason."""
        device = importlib.import_module(f"{self.paths.package}.training.device")
        cache, hardware = self.paths.home / "machine.json", self.profile["hardware"]
        beside = any(spec.beside for spec in self.stages.values())
        if self.training_seed or beside or os.environ.get(SECOND_PART):
            of = self.main if beside else self.eldest  # another format would make a difference
            hardware = hardware | siblings.number_format(self.paths.reports(of))
        return device.choose_machine(hardware, cache=cache)

    def drawn_seed(self, part: "Part") -> int:
        """The seed of a part: training draws it."""
        return self.seed + siblings.APART * self.training_seed + part.seed

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each data folder, by cohort."""
        cache = self.paths.home / "hashes.json"
        known = dict(pair.split("=") for pair in from_environment("ECGLIB_FINGERPRINTS"))
        return {
            name: known.get(name) or roots.fingerprint(root, self.plan["cohorts"][name], cache)
            for name, root in self.roots.items()
        }

    def command(self, *options: str) -> str:
        """The command line of this run; it prints DIR for data folders, never a path, and nothing
        for those that it downloads itself."""
        study = studies.named(self.tag)
        downloaded = [releases.folder(name, self.paths) for name in releases.pins()]
        given = [name for name, root in self.roots.items() if root not in downloaded]
        words = ["bash run_all.sh"]
        words += [f"study {study}"] if study else []
        words += [f"--profile {self.profile_name}"] if self.profile_name != "laptop" else []
        words += [f"--data {self.data_name}"] if self.data_name != "synthetic" else []
        words += ["--data-root " + ("DIR" if len(self.roots) == 1 else f"{n}=DIR") for n in given]
        words += [f"--asset {name}=DIR" for name in sorted(self.local)]
        tag, training_seed = siblings.split(self.tag)
        words += [f"--tag {tag}"] if tag and not study else []
        words += [f"--training-seed {training_seed}"] if training_seed else []
        words += [f"--seed {self.seed}"] if self.seed else []
        words += ["--committed-models"] if os.environ.get(TAKES_MODELS) else []
        words += ["--second-part"] if os.environ.get(SECOND_PART) else []
        words += ["--plugin FILE"] if plugin.path() else []
        shared = os.environ.get(PROCESSES)
        words += [f"--processes {shared}"] if shared else []
        return " ".join([*words, *options])

    def record(self, finished: dict | None = None) -> None:
        """Take the run's name: write data, profile, tag, seed and fingerprint where no stage of the
        name is finished.

        `finished`: what is known of finished stages, written in any case.
        """
        for path in self._records():
            if finished or not (manifest.read(path) or {}).get("keys"):
                manifest.write(path, self._current() | (finished or {}))

    def _records(self) -> list[Path]:
        folders = (self.paths.home / self.name, self.paths.reports(self.name))
        return [folder / "run.json" for folder in folders]

    def _current(self) -> dict:
        return {
            "data": self.data_name,
            "profile": self.profile_name,
            "tag": self.tag,
            "seed": self.seed,
            "fingerprint": roots.short(self.fingerprints),
        }

    def guard(self) -> None:
        """Refuse to write over finished stages of a run made from other data or another seed.
        Raises RunError: the recorded run differs; names the option that gives this one its own
        name, and what to delete."""
        folders = " and ".join(str(path.parent) for path in self._records() if path.is_file())
        remedy = f"; keep both: give this one {studies.apart(self.tag)}, or delete {folders}"
        for recorded in filter(None, map(manifest.read, self._records())):
            if recorded.get("keys"):
                self.require_same(recorded, f"run {self.name}", remedy)

    def require_same(self, recorded: dict, which: str, remedy: str = "") -> None:
        """Raises RunError: a recorded run was made from other data or another seed."""
        current = self._current()
        for part in ("seed", "fingerprint"):
            if recorded[part] != current[part]:
                what = "seed" if part == "seed" else "data folder (fingerprint)"
                raise RunError(
                    f"{which} was made with {what} {recorded[part]}, not {current[part]}{remedy}"
                )

    def require_main(self, spec: StageSpec) -> None:
        """Of a study beside the main run. Raises RunError: that run was not made, or from other
        data or another seed."""
        if not spec.beside:
            return
        recorded = manifest.read(self.paths.reports(self.main) / "run.json")
        if recorded is None:
            raise RunError(
                f"{self.name} stands beside the run {self.main}, which was not made; make that one "
                "first: bash run_all.sh with the same profile and data"
            )
        self.require_same(recorded, f"run {self.main}, beside which it stands,")

    def spec(self, number: str) -> StageSpec:
        """What a stage may read. Raises RunError: there is no such stage."""
        return pick("notebook", number, self.stages)

    def notebook(self, number: str) -> Path:
        """The .py file of a stage."""
        return self.paths.notebooks / f"{self.spec(number).notebook}.py"

    def asset_names(self, spec: StageSpec) -> list[str]:
        """The assets of a stage: its own, and those of the base models that it prepares; a study
        may prepare the run's again."""
        again = [arms.base_step(self.profile)] if spec.number == studies.STAGE else []
        parts = self.parts_of(spec) + [self.parts[name] for name in again if name in self.parts]
        inputs = {of for one in parts for of in one.inputs.values() if of.startswith(arms.ASSET)}
        return sorted({of.removeprefix(arms.ASSET) for of in inputs}.union(spec.assets))

    def parts_of(self, spec: StageSpec) -> list["Part"]:
        """The parts that a stage makes: its own, and those of stages that are not executed."""
        source = self.paths.notebooks / f"{spec.notebook}.py"
        code = source.read_text(encoding="utf-8") if source.is_file() else ""
        own = arms.of_stage(self.parts, spec.number, code)
        listed = [of for part in own for of in part.inputs.values()]
        reads = self._declared[spec.number].reads
        for number in reads.keys() - self._declared.keys():
            what = f"step of {number} in {spec.declared_in} for profile {self.profile_name}:"
            listed += [pick(what, name, self.parts).name for name in reads[number]]
        return own + arms.behind(self.parts, listed, list(self._declared))

    def unexecuted(self, spec: StageSpec) -> set[str]:
        """The parts that a study makes itself, of notebooks that it does not execute."""
        return {part.name for part in self.parts_of(spec) if part.stage not in self._declared}

    @property
    def main(self) -> str:
        """The name of the run beside which a study stands."""
        return run_name(self.data_name, self.profile_name)

    def finished(self) -> dict[str, dict]:
        """The manifests of the stages that were made, current or not."""
        read = {n: manifest.read(self.paths.stage_manifest(self.name, n)) for n in self.stages}
        return {number: content for number, content in read.items() if content}

    def upstream(self, spec: StageSpec) -> dict[str, str | None]:
        """The key of each item of `spec.upstream`; None where it does not exist yet."""
        upstream_keys: dict[str, str | None] = {}
        for item in spec.upstream:
            number, _, step = item.partition("/")
            whole = self.paths.stage_manifest(self.name, number)
            folder = self.paths.step(self.name, number, step)
            recorded = manifest.read(folder / "manifest.json" if step else whole)
            upstream_keys[item] = recorded and recorded["key"]
        return upstream_keys

    def missing_input(self, number: str, what: str) -> RunError:
        """The error for a result of another stage that does not exist."""
        maker = what.split("/")[0]
        return RunError(
            f"notebook {number} reads {what} of run {self.name}, which does not exist yet; "
            f"make it with: {self.command('--only', maker)}"
        )

    def stage_parts(self, number: str, library: keys.Library) -> dict:
        """All that a stage depends on; its key is the digest of this. An upstream result that does
        not exist has the value None."""
        spec, path = self.spec(number), self.notebook(number)
        code, _, _ = keys.notebook_cells(path)
        imports = {m for source in code for m in library.imports(source, path.name)}
        own, names = self.parts_of(spec), self.asset_names(spec)
        imports |= {part.fn.rpartition(".")[0] for part in own}
        parts = {
            "code": keys.cells_hash(code, path.name),
            "modules": library.closure(*sorted(imports), drawing=False),
            "profile": {section: self.profile[section] for section in spec.sections},
            "made": {part.name: [part.fn, part.settings, part.inputs] for part in own},
            "seed": self.seed,
            **({"training_seed": self.training_seed} if self.training_seed else {}),
            "plan": self.plan,
            "fingerprint": self.fingerprints,
            "machine": {"device": self.machine.device, "dtype": self.machine.dtype},
            "versions": keys.versions(),
            "assets": {n: assets.identity(n, self.paths, self.local) for n in names},
            "upstream": self.upstream(spec),
        }
        return json.loads(keys.canonical(parts))

    def drawn_parts(self, number: str, library: keys.Library) -> dict:
        """What a stage draws and writes from saved predictions, which is part of no key: a change
        runs its notebook again and makes nothing else stale."""
        spec, path = self.spec(number), self.notebook(number)
        above, below, _ = keys.notebook_cells(path)
        code = (*above, *below)
        imports = {m for source in code for m in library.imports(source, path.name)}
        files = {file: self._file_hash(number, file) for file in spec.files}
        saved = self.paths.reports(self.main) / "predictions"
        for path in [path for other in spec.beside for path in saved.glob(f"{other}_*.parquet")]:
            files[path.name] = manifest.sha256(path)
        registry = self.paths.repo / studies.registry_file(self.tag, number)
        if any(keys.READS_REGISTRY.search(source) for source in code):
            files[registry.name] = manifest.sha256(registry)
        return {
            "code": keys.cells_hash(below, path.name),
            "modules": library.closure(*sorted(imports)),
            "files": files,
            "profile": {"figures": self.profile.get("figures", {})},
        }

    def _file_hash(self, number: str, file: str) -> str:
        path = self.paths.repo / file
        if path.is_file():
            return manifest.sha256(path)
        if studies.is_result(file):
            return "not run"
        where = self.spec(number).declared_in
        raise RunError(f"{where} lets notebook {number} read {file}, which does not exist")
