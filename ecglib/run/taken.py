"""Notebooks that are not executed, because what they made is committed: with `--committed-models`.

    bash run_all.sh --only 01,04,05,06,07,08,09 --committed-models

repeats the second part of a run where the first one was never made. A notebook that is read, not
asked for and not made here is *taken*: its tables, predictions, figures and page are those in
reports/<run> and figures/<run>, its models those of reports/<run>/models. What else of it is read,
such as codes or floors, is made from these.

All of it stands in the folder of the run and not in the store of steps: a model that is trained
here has the same key and, on another machine, other numbers. So a taken notebook that is executed
after all is made again with all of its steps, and so are those after it.
"""

import re
import shutil
from pathlib import Path

import pandas as pd

from ecglib.run import arms, assets, keys, manifest, steps
from ecglib.run.context import Run
from ecglib.run.errors import RunError, pick
from ecglib.run.stage import Stage

FILES = ("claims/{0}.csv", "predictions/{0}_*", "tables/{0}_*", "{1}.md", "{1}_files/*")
ROW = r"^\| {} \| `\w+` \| (\S+) \| (\S+) \|$"  # of RUN.md: commit and day


class TakenStage(Stage):
    """A notebook whose steps are copied from the committed models, or made from them."""

    def __init__(self, run: Run, number: str):
        self._open(run, number)
        self._unexecuted = set(run.parts)  # keys are computed, and nothing is made for them

    def _identify(self) -> tuple[str, dict]:
        """The committed key, and the assets of its parts."""
        run, number = self.run, self.number
        record = manifest.read(run.paths.reports(run.name) / "run.json") or {}
        if number not in record.get("keys", {}):
            raise RunError(
                f"notebook {number} of run {run.name} is not committed; make it with: "
                f"{run.command('--only', number)}"
            )
        self.machine = run.machine
        self.machine.configure_torch()
        names, local = run.asset_names(run.spec(number)), (run.paths, run.local)
        return record["keys"][number], {"assets": {n: assets.identity(n, *local) for n in names}}

    def take(self, name: str) -> Path:
        """The folder of a part: a committed model, or made from what is taken. Raises RunError: the
        committed model of that name has another key, or the part reads what is not here."""
        part = pick(f"part of notebook {self.number}:", name, self.run.parts)
        folder, parts = self.paths.step(self.name, part.stage, name), self._own_parts(name)
        key = keys.digest(parts)
        if steps.is_whole(folder, part.stage, key):
            return folder
        if part.stage != self.number:
            raise self.run.missing_input(self.number, f"{part.stage}/{name}")
        partial = folder.with_name(f".{name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        if model := self._model(name, key):
            print(f"{self.number}/{name}: from the committed model {model.name}", flush=True)
            steps.take(model, partial, parts)
        else:
            print(f"{self.number}/{name}: made from what is committed", flush=True)
            own = {k: of for k, of in part.inputs.items() if of in self.run.parts}
            others = {k: self._made_input(of) for k, of in part.inputs.items() if k not in own}
            inputs = others | {label: self.take(of) for label, of in own.items()}
            partial.mkdir(parents=True)
            settings = arms.function(part), arms.config(part), inputs, parts
            steps.compute(partial, *settings, self.machine, self.commit)
        steps.remove(folder)
        partial.rename(folder)
        return folder

    def cards(self) -> dict[Path, dict]:
        """The cards of the committed models, by folder."""
        place = self.paths.reports(self.name) / "models"
        return {path.parent: manifest.read(path) for path in sorted(place.glob("*/card.json"))}

    def is_committed_whole(self, name: str) -> bool:
        """Whether all files of a model's step are in git. Raises RunError: none of them is."""
        folder = self.paths.reports(self.name) / "models" / name
        if folder not in (cards := self.cards()):
            raise RunError(
                f"{folder} is not there; restore it with git, or make it with: "
                f"{self.run.command('--only', self.number)}"
            )
        return cards[folder]["whole"]

    def _model(self, name: str, key: str) -> Path | None:
        """The committed model of a part, if all of its files are there: a classifier lacks its
        scores, so it is trained. Of a quantiser it is the tokenizer that was made of it: both have
        its codebooks and one encoder, so they encode alike."""
        of_keys = {card["key"]: folder for folder, card in self.cards().items() if card["whole"]}
        if key in of_keys:
            return of_keys[key]
        if name in self.spec.models and self.is_committed_whole(name):
            remedy = self.run.command("--only", self.number)
            raise RunError(
                f"run {self.name} has no committed model {name} of the key that today's code, "
                f"settings and machine give; make it with: {remedy}"
            )
        whole = [one.name for one in self.run.parts.values() if one.inputs.get("quantiser") == name]
        folders = [of_keys.get(keys.digest(self._own_parts(of))) for of in whole]
        return next(filter(None, folders), None)


def take(run: Run, number: str, readers: list[str]) -> None:
    """Take a notebook that the notebooks `readers` read. Raises RunError: it, or one of its models,
    is not committed under the key of today's code and machine."""
    stage = TakenStage(run, number)
    before = manifest.read(run.paths.stage_manifest(run.name, number)) or {}
    wanted = {name for name in stage.spec.models if stage.is_committed_whole(name)}
    for names in [run.spec(reader).reads.get(number, ()) for reader in readers]:
        wanted |= set(stage.spec.models if names == "*" else names)
    folders = {name: stage.take(name) for name in sorted(wanted.union(before.get("steps", ())))}
    recorded = {name: manifest.read(folder / "manifest.json") for name, folder in folders.items()}
    content = {
        "taken": True,
        "key": stage.key,
        "steps": {name: of["key"] for name, of in recorded.items()},
        "read": {},
        "outputs": _committed_files(run, number),
        "pages": [],
        "prose": "",
        **_history(run, number, [of["nominal_seconds"] for of in recorded.values()]),
    }
    manifest.write(run.paths.stage_manifest(run.name, number), content)
    print(f"{run.spec(number).notebook}: taken as it is committed", flush=True)


def _committed_files(run: Run, number: str) -> dict[str, str]:
    """The digests of a notebook's results, by their place below the folder of outputs."""
    reports, spec = run.paths.reports(run.name), run.spec(number)
    files = [of for pattern in FILES for of in reports.glob(pattern.format(number, spec.notebook))]
    files += run.paths.figures(run.name).glob(f"fig{number}_*")
    files += [of for name in spec.models for of in (reports / "models" / name).rglob("*")]
    files = [path for path in files if path.is_file()]
    return {path.relative_to(run.paths.out).as_posix(): manifest.sha256(path) for path in files}


def _history(run: Run, number: str, of_steps: list[float | None]) -> dict:
    """Commit and day of a committed notebook, and its costs beside those of the steps taken."""
    reports, page = run.paths.reports(run.name), run.spec(number).notebook
    card = (reports / "RUN.md").read_text(encoding="utf-8")
    row = re.search(ROW.format(re.escape(page)), card, re.MULTILINE)
    commit, day = row.groups() if row else ("none", "")
    costs = pd.read_csv(reports / "timings.csv", dtype={"stage": str})
    costs = costs[(costs["stage"] == number) & costs["step"].isna()].iloc[0]
    whole = [costs["nominal_seconds"], *(-float("nan") if of is None else -of for of in of_steps)]
    own = None if pd.isna(sum(whole)) else round(sum(whole), 1)
    costs = {name: costs[name].item() for name in ("seconds", "peak_memory_mb")}
    return {"commit": commit, "started": day, "own_nominal_seconds": own, **costs}
