"""Siblings: the same run with other training seeds, on the same patients and questions.

`--training-seed K` makes other random draws in training (initial weights, batches, starts of
k-means, the ECGs that byte pairs are learned from) and changes nothing else, so that the difference
of two siblings is what training leaves to chance. A sibling is a run of its own, named
`<run>-seedK`. Of a committed one only predictions, budgets and timings are kept. Whatever is
computed from the predictions of a run reads those of all its siblings, as rows of other seeds.
"""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from ecglib.evaluate import predictions
from ecglib.run import keys, manifest
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

SUFFIX = re.compile(r"(?:(?P<tag>.+)-)?seed(?P<seed>[1-9]\d{0,2})")
APART = 1000  # between the seeds of the trainings of two siblings
CELLS = ["method", "item", "unit", "ecg", "target"]  # what a prediction is about, and whose it is


def tag_of(tag: str, training_seed: int) -> str:
    """The tag of a sibling. Raises RunError: a tag that is one already, or a seed above 999."""
    if SUFFIX.fullmatch(tag):
        raise RunError(f"tag {tag!r} is that of a sibling; write --training-seed in its place")
    if not 0 <= training_seed <= 999:
        raise RunError(f"expected --training-seed from 0 to 999, got {training_seed}")
    return "-".join(filter(None, [tag, f"seed{training_seed}"])) if training_seed else tag


def split(tag: str) -> tuple[str, int]:
    """The tag of the run with training seed 0, and the training seed.

    >>> split("confirm-seed2"), split("mini"), split("seed1")
    (('confirm', 2), ('mini', 0), ('', 1))
    """
    match = SUFFIX.fullmatch(tag)
    return (match["tag"] or "", int(match["seed"])) if match else (tag, 0)


def recipe(steps: dict[str, dict]) -> str:
    """What siblings share of the steps of a stage, of which these are the manifests by name: code,
    settings, number format and versions, but neither seeds nor inputs, which are other stages'
    steps. A step that was deleted, {}, makes it that of no other run."""
    parts = {name: content.get("parts", {}) for name, content in steps.items()}
    return keys.digest(
        {
            name: {key: part for key, part in of.items() if key not in ("seed", "inputs")}
            for name, of in parts.items()
        }
    )


def folders(paths: Paths, name: str) -> dict[int, Path]:
    """The reports of a run's siblings, by training seed."""
    records = paths.out.glob(f"reports/{name}-seed*/run.json")
    ends = {record.parent: record.parent.name.removeprefix(f"{name}-") for record in records}
    seeds = {split(end)[1]: folder for folder, end in ends.items() if split(end)[0] == ""}
    return {seed: seeds[seed] for seed in sorted(seeds) if seed}


def number_format(reports: Path) -> dict[str, str]:
    """{"dtype": name} of the committed models of a run, or as its run.json says; {} of no run."""
    cards = sorted(reports.glob("models/*/card.json"))
    recorded = manifest.read(cards[0])["machine"] if cards else manifest.read(reports / "run.json")
    return {"dtype": recorded["dtype"]} if "dtype" in (recorded or {}) else {}


def join(frame: pd.DataFrame, file: str, name: str, paths: Paths) -> tuple[pd.DataFrame, list[str]]:
    """Predictions of a run and of its siblings, which get their training seed as `seed`; and a
    sentence for each sibling that is left out.

    Args:
        frame: of the run `name`, read from `file`, whose name begins with the stage's number.
    """
    joined, left_out, own = [frame], [], _recipes(paths.reports(name), file[:2])
    for seed, folder in folders(paths, name).items():
        path = folder / "predictions" / file
        if not path.is_file():  # that stage of it has not been made
            continue
        other = predictions.validate(predictions.read_table(path), path)
        if _recipes(folder, file[:2]) != own:
            left_out.append(f"{folder.name} is left out: made by other code or with other settings")
        elif not _same_cells(frame, other):
            left_out.append(f"{folder.name} is left out: {file} is about other ECGs or methods")
        else:
            joined.append(other.assign(seed=seed))
    return pd.concat(joined, ignore_index=True), left_out


def by_method(
    file: Path, name: str, paths: Paths, methods: Collection[str]
) -> dict[str, pd.DataFrame]:
    """The predictions of some methods that the run `name` has in a file, joined with those of its
    siblings, by method; {} of another table."""
    frame = predictions.read_table(file)
    if list(frame.columns) != predictions.COLUMNS:
        return {}
    joined, _ = join(frame, file.name, name, paths)
    return dict(iter(joined[joined["method"].isin(methods)].groupby("method")))


def _recipes(folder: Path, number: str) -> dict[str, str]:
    """The recipes of a run's stages up to this one."""
    recorded = (manifest.read(folder / "run.json") or {}).get("recipes", {})
    return {of: recipe for of, recipe in recorded.items() if of <= number}


def _same_cells(frame: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables are about the same, in any order."""
    one, two = (of[CELLS].reset_index(drop=True) for of in (frame, other))
    if len(one) != len(two) or one.equals(two):  # mostly in one order; sorting takes long
        return len(one) == len(two)
    one, two = (of.sort_values(CELLS, ignore_index=True) for of in (one, two))
    return one.equals(two)
