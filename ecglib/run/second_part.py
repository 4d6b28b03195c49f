"""The second part of a run where the first one was never made: `bash run_all.sh --second-part`.

Notebook 01 is executed, 02 and 03 are *taken*, and all that follows is trained on what was taken.
Of a taken notebook the results are those in reports/<run> and figures/<run>, the tokenizers those
of reports/<run>/models, and their codes are made from these. Classifiers lack files there, so those
that are read are trained again, and so are the floors.

What is trained here has the key of what is committed and, on another machine, other numbers. So all
of it stands in a folder of its own, `second_part` in that of the artifacts, and nothing is shared.
"""

import io
import os
import re
import warnings
from functools import cached_property
from pathlib import Path

import pandas as pd

from ecglib.run import arms, assets, keys, manifest, steps
from ecglib.run.context import Run
from ecglib.run.errors import RunError, pick
from ecglib.run.paths import SECOND_PART
from ecglib.run.stage import Stage

TAKEN = ("02", "03")
LINKED = ("assets", "data")  # of the artifacts
FILES = ("claims/{0}.csv", "predictions/{0}_*", "tables/{0}_*", "{1}.md", "{1}_files/*")
ROW = r"^\| {} \| `\w+` \| (\S+) \| (\S+) \|$"  # of RUN.md: commit and day


def enter(home: Path, tag: str) -> None:
    """Let this process, and the kernels that it starts, work in the folder of second parts. Raises
    RunError: the run has a tag, and so no committed models."""
    if tag:
        raise RunError(
            f"--second-part needs committed models, which a run with the tag {tag} has not; leave "
            "out --tag, --training-seed and `study`"
        )
    place = home / "second_part"
    place.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (home / name).mkdir(exist_ok=True)
        if not (place / name).exists():
            (place / name).symlink_to(home / name)
    os.environ |= {"ECGLIB_HOME": str(place), SECOND_PART: "1"}


def require_first(run: Run, number: str, numbers: list[str], environment: dict[str, str]) -> None:
    """Take the notebooks of `TAKEN` before the first one of `numbers` that comes after them, in
    this process and with the variables of a kernel. Raises RunError: one of their models is not
    committed under the key of today's code."""
    later = [other for other in numbers if other > TAKEN[-1]]
    if number in later[:1]:
        os.environ |= environment
        warnings.filterwarnings("ignore", "A worker stopped while", UserWarning)  # an idle one
        for other in TAKEN:
            _take(run, other)


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
            raise self.refusal(f"has no committed notebook {number}")
        self.machine = run.machine
        self.machine.configure_torch()
        names, local = run.asset_names(run.spec(number)), (run.paths, run.local)
        return record["keys"][number], {"assets": {n: assets.identity(n, *local) for n in names}}

    def refusal(self, what: str) -> RunError:
        """The error of a run that has no first part to take."""
        place, run = self.paths.reports(self.run.name), self.run.name
        remedy = "restore it with git, or make the whole run without --second-part"
        return RunError(f"run {run} {what}, in {place}; {remedy}")

    def require_models(self) -> None:
        """Raises RunError: a model of this notebook is not committed, has another key than it would
        get here, or has been committed again since it was taken."""
        for name in self.spec.models:
            if name not in self.cards:
                raise self.refusal(f"has no committed model {name}")
            if self.cards[name]["key"] != keys.digest(self._own_parts(name)):
                raise self.refusal(f"has a model {name} of other code, settings or versions")
            folder = self.paths.step(self.name, self.number, name)
            before = manifest.read(folder / "manifest.json") or {}
            if "taken_from" in before and before["outputs"] != self.cards[name]["files"]:
                raise RunError(
                    f"{folder} is another model {name} than the committed one; delete "
                    f"{self.paths.home}, which was made from it"
                )

    def take(self, name: str) -> Path:
        """The folder of a part: a committed model, or made from what is taken."""
        part = pick(f"part of notebook {self.number}:", name, self.run.parts)
        folder, parts = self.paths.step(self.name, part.stage, name), self._own_parts(name)
        key = keys.digest(parts)
        if steps.is_whole(folder, part.stage, key):
            return folder
        model, read = self._model(name, key), part.inputs.items()
        print(f"{self.number}/{name}: {'taken' if model else 'made here'}", flush=True)
        inputs = {} if model else {k: self.take(of) for k, of in read if of in self.run.parts}
        inputs |= {} if model else {k: self._made_input(of) for k, of in read if k not in inputs}
        settings = arms.function(part), arms.config(part), inputs, parts
        steps.run_step(folder, *settings, self.machine, self.commit, model)
        return folder

    @cached_property
    def cards(self) -> dict[str, dict]:
        """The cards of the committed models by name."""
        files = sorted(self.paths.reports(self.name).glob("models/*/card.json"))
        return {path.parent.name: manifest.read(path) for path in files}

    def _model(self, name: str, key: str) -> Path | None:
        """The committed model of a part, if all of its files are there. Of a quantiser it is the
        tokenizer that was made of it: both have its codebooks and one encoder, so they encode
        alike."""
        whole = {card["key"]: model for model, card in self.cards.items() if card["whole"]}
        parts = self.run.parts.values()
        tokenizers = [one.name for one in parts if one.inputs.get("quantiser") == name]
        keys_of = [key, *(keys.digest(self._own_parts(of)) for of in tokenizers)]
        models = [whole[one] for one in keys_of if one in whole]
        return self.paths.reports(self.name) / "models" / models[0] if models else None


def _take(run: Run, number: str) -> None:
    """Take a notebook: what later ones read of it, and its manifest."""
    stage = TakenStage(run, number)
    stage.require_models()
    readers = [spec for other, spec in run.stages.items() if other not in TAKEN]
    named = [spec.reads.get(number, ()) for spec in readers]
    read = {name for names in named if names != "*" for name in names}
    lacking = {name for name, card in stage.cards.items() if not card["whole"]}
    wanted = read.union(stage.spec.models) - (lacking - read)
    folders = {name: stage.take(name) for name in sorted(wanted)}
    recorded = {name: manifest.read(folder / "manifest.json") for name, folder in folders.items()}
    content = {
        "taken": True,
        "key": stage.key,
        "steps": {name: of["key"] for name, of in recorded.items()},
        "outputs": _committed_files(run, number),
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
    card, costs = _committed_text(run, "RUN.md"), _committed_text(run, "timings.csv")
    row = re.search(ROW.format(re.escape(run.spec(number).notebook)), card, re.MULTILINE)
    commit, day = row.groups() if row else ("none", "")
    costs = pd.read_csv(io.StringIO(costs), dtype={"stage": str})
    costs = costs[(costs["stage"] == number) & costs["step"].isna()]
    known = dict.fromkeys(manifest.COSTS)
    for name in costs.columns.intersection(manifest.COSTS) if len(costs) else ():
        known[name] = None if costs[name].isna().any() else costs[name].item()
    parts = [known.pop("nominal_seconds"), *of_steps]
    own = None if None in parts else round(parts[0] - sum(parts[1:]), 1)
    return {"commit": commit, "started": day, "own_nominal_seconds": own, **known}


def _committed_text(run: Run, name: str) -> str:
    """A file of the run's reports as it is in the last commit, or as it is where git has none: an
    interrupted run may have written it again."""
    path = run.paths.reports(run.name) / name
    committed = manifest.git(run.paths.repo, "show", f"HEAD:reports/{run.name}/{name}")
    return committed or path.read_text(encoding="utf-8")
