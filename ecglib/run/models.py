"""The models of a run, small enough to be committed, each with its card.

    reports/<run>/models/<step>/    the files of the step but its scores, and card.json

stages.yaml names the steps, under `models`. A card has what decides about the training: the step's
key, its function, configuration, seed, inputs (with their keys) and commit. `tokenizers.load.load`
opens the folder of a tokenizer. `ecglib.load` opens those of `synthetic-laptop` by their names, all
but the base model. With `--committed-models` a step whose key is on a card takes that model as its
result, if all of the step's files were copied.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ecglib.run import keys, manifest, steps, studies
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import TAKES_MODELS
from ecglib.run.profiles import is_simulated
from ecglib.training.part import Part

CARD = ("function", "config", "seed", "inputs", "machine", "versions")


def write(run: Run, number: str, step_keys: dict[str, str]) -> list[str]:
    """Write the models of a stage that has just been made; returns the files, relative to the
    folder of outputs. A study and a sibling write none, and of real patients no language model is
    written: it could recite their reports.

    `step_keys`: name -> key, of the stage. Raises RunError: a listed model is no step of the stage.
    """
    files = []
    if studies.named(run.tag) or run.training_seed:
        return files
    for name in run.spec(number).models:
        if name not in step_keys:
            known = ", ".join(step_keys)
            raise RunError(f"models of stage {number}: {name!r} is no step of it ({known})")
        source = run.paths.step(run.name, number, name)
        recorded = manifest.read(source / "manifest.json")
        room = recorded["parts"]["function"].split(".")[1]
        if room == "language" and not is_simulated(run.plan):
            continue
        files += _copy(source, recorded, run.paths.reports(run.name) / "models" / name)
    return [file.relative_to(run.paths.out).as_posix() for file in files]


def _copy(source: Path, recorded: dict, target: Path) -> list[Path]:
    """Copy a step's files, and write its card; returns the files. Scores stay behind: those of test
    patients are among the predictions."""
    shutil.rmtree(target, ignore_errors=True)
    kept = [name for name in recorded["outputs"] if not name.endswith(".parquet")]
    for name in kept:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    card = {name: recorded[name] for name in ("key", "commit", *manifest.COSTS)}
    card |= {name: recorded["parts"][name] for name in CARD}
    card |= {"files": manifest.contents(target), "whole": len(kept) == len(recorded["outputs"])}
    text = json.dumps(card, indent=1, sort_keys=True) + "\n"
    (target / "card.json").write_text(text, encoding="utf-8")
    return sorted(path for path in target.rglob("*") if path.is_file())


def committed(run: Run, key: str, inputs: dict[str, Path] | None = None) -> Path | None:
    """The folder of the committed model with a step's key, where the run takes such models and all
    of the step's files are there. A study takes those of the main run, and one that stands beside
    it, in any case: it is about them. Raises RunError: the step's `inputs` have a quantiser with
    other codebooks than the model."""
    is_beside = studies.named(run.tag) and run.spec(studies.STAGE).beside
    if not (os.environ.get(TAKES_MODELS) or is_beside):
        return None
    for place in sorted((run.paths.reports(run.main) / "models").glob("*/card.json")):
        card = manifest.read(place)
        if card["key"] == key and card.get("whole"):
            if inputs and "quantiser" in inputs:  # also where the model was taken before
                require_same_codebooks(place.parent, inputs["quantiser"])
            return place.parent
    return None


def of_this_code(run: Run) -> dict[str, bool]:
    """For each committed model of a run whether this code and these libraries give it the key on
    its card, from the inputs that it names there. No artifacts are needed."""
    library, same = keys.Library(run.paths.library), {}
    for place in sorted((run.paths.reports(run.name) / "models").glob("*/card.json")):
        card = manifest.read(place)
        given = (card[name] for name in ("function", "config", "inputs", "seed", "machine"))
        key = keys.digest(steps.parts_of(*given, library))
        same[place.parent.name] = key == card["key"]
    return same


def require_same_codebooks(model: Path, quantiser: Path) -> None:
    """Raises RunError: a committed tokenizer has other codebooks than its quantiser, which was
    trained here. Keys are the same on all machines, trained numbers are not."""
    from safetensors.numpy import load_file  # a library that other commands need not load

    one, other = (load_file(folder / "model.safetensors") for folder in (model, quantiser))
    books = [name for name in one if name.startswith("quantiser.")]
    if not all(np.array_equal(one[name], other[name]) for name in books):
        raise RunError(
            f"the committed model {model.name} has other codebooks than its quantiser, which was "
            "trained on this machine; repeat the command without --committed-models, or repeat its "
            "second part alone: --second-part"
        )


def whole_of(run: Run, part: Part, key_of: Callable[[str], str]) -> str:
    """The tokenizer whose committed model has the codebooks of the quantiser with which a part
    encodes; "" where none is committed. A quantiser that is trained again has the same key and, on
    another machine, other codebooks, so its codes would mean nothing to that model.

    `key_of`: name of a part -> its key.
    """
    for one in run.parts.values():
        same = one.inputs.get("quantiser", "") == part.inputs.get("tokenizer")
        if same and committed(run, key_of(one.name)):
            return one.name
    return ""


def require_key(run: Run, name: str, key: str) -> None:
    """Raises RunError: the main run's model of this name has another key."""
    card = manifest.read(run.paths.reports(run.main) / "models" / name / "card.json")
    if card and card["key"] != key:
        raise RunError(
            f"the model {name} of run {run.main} has another key than today's code, versions and "
            f"machine give; make that run again before {run.name}, which reads its predictions"
        )
