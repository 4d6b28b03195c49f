"""Studies: experiments too long for the default run, each a notebook of its own with its settings.

A study NAME is `notebooks/studies/NAME.py` beside `NAME.yaml`:
    after      stages that are executed before it, under the study's own run
    sections, reads, assets, files     what the notebook may read, as in stages.yaml
    settings   plain data for the notebook (`stage.section("study")`), part of its key
It runs under the tag `study-NAME`, as the stage "study", so that everything else about a run holds
for it too: keys, resuming, --check, --force.
"""

from pathlib import Path

from ecglib.run.errors import RunError, unknown
from ecglib.run.paths import Paths
from ecglib.run.profiles import StageSpec, only_keys, read_yaml

PREFIX = "study-"
STAGE = "study"  # its number, and the profile section that holds its settings
KEYS = {"after", "sections", "reads", "assets", "files", "settings"}


def names(paths: Paths) -> list[str]:
    """The studies of this checkout."""
    return sorted(path.stem for path in (paths.notebooks / "studies").glob("*.py"))


def title(paths: Paths, name: str) -> str:
    """The question that a study asks: the title of its notebook."""
    lines = _folder(paths).joinpath(f"{name}.py").read_text(encoding="utf-8").splitlines()
    return next((line[4:] for line in lines if line.startswith("# # ")), name)


def load(
    paths: Paths, tag: str, stages: dict[str, StageSpec], profile: dict
) -> tuple[dict[str, StageSpec], dict]:
    """Stages and profile of a run with this tag: those given, unless the tag names a study.

    Raises:
        RunError: no such study, or a key or stage in its YAML file that does not exist.
    """
    if not tag.startswith(PREFIX):
        return stages, profile
    name = tag.removeprefix(PREFIX)
    if name not in names(paths):
        raise unknown("study", name, names(paths))
    content, where = read_yaml(_folder(paths) / f"{name}.yaml"), f"study {name}.yaml"
    only_keys(content, KEYS, where)
    chosen = {}
    for number in content.get("after", []):
        if number not in stages:
            raise unknown(f"stage in `after` of {where}:", number, list(stages))
        chosen[number] = stages[number]
    for number in content.get("reads", {}):
        if number not in chosen:
            raise unknown(f"stage in `reads` of {where}:", number, list(chosen))
    for section in content.get("sections", []):
        if section not in profile:
            raise unknown(f"section of {where}:", section, list(profile))
    spec = StageSpec(
        STAGE,
        f"studies/{name}",
        (*content.get("sections", []), STAGE),
        content.get("reads", {}),
        tuple(content.get("assets", [])),
        tuple(content.get("files", [])),
        f"notebooks/studies/{name}.yaml",
    )
    missing = [number for number, s in chosen.items() if set(s.reads) - set(chosen)]
    if missing:
        raise RunError(f"{where}: stage {missing[0]} reads stages that `after` does not name")
    return chosen | {STAGE: spec}, profile | {STAGE: content.get("settings", {})}


def _folder(paths: Paths) -> Path:
    return paths.notebooks / "studies"
