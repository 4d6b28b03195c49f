"""Profiles (sizes), data plans (which cohort plays which role) and stages, from YAML."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from ecglib.cohorts.settings import SETTINGS
from ecglib.run.errors import RunError, unknown
from ecglib.run.paths import Paths

SCHEMA = "laptop"  # the profile whose keys all profiles have
ROLES = ("tokenizer_train", "train", "validation", "test", "transfer")
# What a plan says of a cohort: what its folder holds, and how to build it. The profile says how
# many patients; what is too short to read is the same in every plan.
FOLDER_KEYS = {"layout", "required", "contents", "listing"}
COHORT_KEYS = FOLDER_KEYS | SETTINGS.keys() - {"patients", "min_seconds"}
STAGE_KEYS = {"notebook", "sections", "reads", "assets", "files"}
NUMBER_AS_TEXT = re.compile(r"[-+]?\d+(\.\d*)?e[-+]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class StageSpec:
    """What one notebook may read. `reads` maps an earlier stage to its steps, or to "*" (all of
    it); `assets` are profile keys such as `language.asset`; `files` stand in the repository. The
    YAML file `declared_in` says so."""

    number: str
    notebook: str
    sections: tuple[str, ...]
    reads: dict[str, list[str] | str]
    assets: tuple[str, ...]
    files: tuple[str, ...]
    declared_in: str = "notebooks/stages.yaml"


def read_yaml(path: Path) -> dict:
    """A YAML mapping.

    Raises:
        RunError: no mapping, or not YAML at all.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RunError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} must hold a YAML mapping, not {type(content).__name__}")
    return content


def names(folder: Path) -> list[str]:
    """The names of the YAML files in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_profile(paths: Paths, name: str) -> dict:
    """The profile `notebooks/profiles/<name>.yaml`, with exactly the keys of `laptop.yaml`.

    Raises:
        RunError: unknown profile, unknown or missing key, or a value of another type.
    """
    folder = paths.notebooks / "profiles"
    if name not in names(folder):
        raise unknown("profile", name, names(folder))
    profile = read_yaml(folder / f"{name}.yaml")
    schema = read_yaml(folder / f"{SCHEMA}.yaml")
    _check_keys(profile, schema, f"{name}.yaml", "")
    return profile


def _check_keys(content: dict, schema: dict, file: str, prefix: str) -> None:
    for key in content:
        if key not in schema:
            where = f"section {prefix[:-1]} of profile {file}" if prefix else f"profile {file}"
            raise RunError(
                f"unknown key {prefix + str(key)!r} in {where}; "
                f"valid: {', '.join(map(str, schema))}"
            )
    for key, expected in schema.items():
        if key not in content:
            raise RunError(f"profile {file} lacks the key {prefix + key!r} (see {SCHEMA}.yaml)")
        value, where = content[key], f"{prefix}{key}"
        if isinstance(expected, dict) and isinstance(value, dict):
            _check_keys(value, expected, file, f"{where}.")
        elif isinstance(value, str) and NUMBER_AS_TEXT.fullmatch(value):
            # YAML 1.1 reads 2e-3 as text: the number needs a dot.
            raise RunError(f"{where} in profile {file} reads as text: write {value!r} as 2.0e-3")
        elif not _same_kind(value, expected):
            raise RunError(
                f"{where} in profile {file} is {value!r}; expected a {type(expected).__name__} "
                f"like {expected!r} in {SCHEMA}.yaml"
            )


def _same_kind(value: object, expected: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(expected, float):
        return number
    return type(value) is type(expected)


def load_plan(paths: Paths, name: str) -> dict:
    """The data plan `notebooks/data/<name>.yaml`: `cohorts` and `roles`.

    Raises:
        RunError: unknown plan or key, a plan without cohorts or without the role train, a role that
            is no list of cohorts of the plan, or a cohort of transfer with another role.
    """
    folder = paths.notebooks / "data"
    if name not in names(folder):
        raise unknown("data plan", name, names(folder))
    plan, where = read_yaml(folder / f"{name}.yaml"), f"data plan {name}.yaml"
    only_keys(plan, {"cohorts", "roles"}, where)
    for part in ("cohorts", "roles"):
        if not isinstance(plan.get(part), dict) or not plan[part]:
            raise RunError(f"{where} needs a mapping `{part}` with at least one entry")
    for cohort, content in plan["cohorts"].items():
        if not isinstance(content, dict):
            raise RunError(f"cohort {cohort} of {where} must be a mapping, like {{source: mimic}}")
        only_keys(content, COHORT_KEYS, f"cohort {cohort} of {where}")
    _check_roles(plan["roles"], plan["cohorts"], where)
    return plan


def _check_roles(roles: dict, cohorts: dict, where: str) -> None:
    """What can be said of the roles before any cohort is built (see `ecglib.cohorts.roles`)."""
    only_keys(roles, set(ROLES), f"roles of {where}")
    for role, members in roles.items():
        if not isinstance(members, list) or not all(isinstance(name, str) for name in members):
            raise RunError(
                f"role {role} of {where} is {members!r}; write a list of cohort names, like "
                f"[{next(iter(cohorts))}], or [] for none"
            )
        for cohort in members:
            if cohort not in cohorts:
                raise unknown(f"cohort in role {role} of {where}:", cohort, list(cohorts))
    if not roles.get("train"):
        raise RunError(f"{where} lacks the role train; name under roles what models train on")
    for role, members in roles.items():
        both = sorted(set(members) & set(roles.get("transfer", [])))
        if role != "transfer" and both:
            raise RunError(
                f"cohort {both[0]} of {where} has the roles transfer and {role}; transfer is for "
                "cohorts that nothing was fitted or chosen on: take it out of one of the two"
            )


def is_simulated(plan: dict) -> bool:
    """Whether every cohort of a data plan is simulated."""
    default = SETTINGS["source"]
    return all(cohort.get("source", default) == "synthetic" for cohort in plan["cohorts"].values())


def load_stages(paths: Paths) -> dict[str, StageSpec]:
    """The stages of `notebooks/stages.yaml` by number, in order.

    Raises:
        RunError: unknown key, unknown profile section, or a stage that reads a later one.
    """
    path = paths.notebooks / "stages.yaml"
    sections = read_yaml(paths.notebooks / "profiles" / f"{SCHEMA}.yaml")
    content = read_yaml(path)
    stages = {}
    for number in sorted(content):
        entry = content[number]
        only_keys(entry, STAGE_KEYS, f"stage {number} of stages.yaml")
        for section in entry.get("sections", []):
            if section not in sections:
                raise unknown(f"section of stage {number} in stages.yaml:", section, list(sections))
        reads = entry.get("reads", {})
        if reads == "*":
            reads = {earlier: "*" for earlier in stages}
        for other in reads:
            if other not in stages:
                raise unknown(
                    f"earlier stage read by {number} in stages.yaml:", other, list(stages)
                )
        stages[number] = StageSpec(
            number,
            entry["notebook"],
            tuple(entry.get("sections", [])),
            reads,
            tuple(entry.get("assets", [])),
            tuple(entry.get("files", [])),
        )
    return stages


def only_keys(content: dict, valid: set[str], where: str) -> None:
    """Raise RunError for a key of a YAML mapping that is not among the valid ones."""
    for key in content:
        if key not in valid:
            raise RunError(f"unknown key {key!r} in {where}; valid: {', '.join(sorted(valid))}")
