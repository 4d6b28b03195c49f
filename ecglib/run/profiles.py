"""Profiles (sizes), data plans (which cohort plays which role) and stages, from YAML."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from ecglib.cohorts.settings import SETTINGS
from ecglib.run.errors import RunError, pick, unknown
from ecglib.run.paths import Paths

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # that of libyaml is six times as fast
SCHEMA = "laptop"  # the profile whose keys all profiles have
ROLES = ("tokenizer_train", "train", "validation", "test", "transfer")
# What a plan says of a cohort: what its folder holds, and how to build it. The profile says how
# many patients; what is too short to read is the same in every plan.
FOLDER_KEYS = {"layout", "required", "contents", "listing"}
COHORT_KEYS = FOLDER_KEYS | SETTINGS.keys() - {"patients", "min_seconds"}
STAGE_KEYS = {"notebook", "sections", "reads", "files", "models"}
BASE = "base"  # in `reads` and `models`: the step of the profile's language model
EXTENDS = "extends"  # names the profile whose values a profile takes where it has none
LISTS = ("sections", "files", "models", "beside", "assets")  # of names, in a stage's entry
ENTRIES = ("bases", "systems", "studies")  # sections whose entries have keys of their own
MAY_BE_NULL = ("warm_up",)  # keys of an entry
NUMBER_AS_TEXT = re.compile(r"[-+]?\d+(\.\d*)?e[-+]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class StageSpec:
    """What one notebook may read. `reads` maps an earlier stage to its steps, or to "*" (all of
    it); what the parts that it makes read is added (`arms.reads`). `files` are paths in the
    repository; `models` are steps whose models are kept; `beside` are the notebooks whose saved
    predictions a study reads of the main run; `assets` are its own, beside those of its base
    models. The YAML file `declared_in` says so."""

    number: str
    notebook: str
    sections: tuple[str, ...]
    reads: dict[str, list[str] | str]
    files: tuple[str, ...]
    declared_in: str = "notebooks/stages.yaml"
    models: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()

    @property
    def upstream(self) -> list[str]:
        """What it reads: "01" for a whole stage, "01/cohort" for a step."""
        items = []
        for number, steps in self.reads.items():
            items += [number] if steps == "*" else [f"{number}/{step}" for step in steps]
        return items

    def with_base(self, step: str) -> "StageSpec":
        """`BASE` in `reads` and `models` replaced by the step that prepares the run's base model,
        `base_small` in `laptop`."""
        reads = {n: of if of == "*" else _named(of, step) for n, of in self.reads.items()}
        return replace(self, reads=reads, models=tuple(_named(self.models, step)))


def _named(names_of_steps: Iterable[str], base: str) -> list[str]:
    return [base if name == BASE else name for name in names_of_steps]


def read_yaml(path: Path) -> dict:
    """A YAML mapping. Raises RunError: no mapping, or not YAML at all."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), LOADER)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} must hold a YAML mapping, not {type(content).__name__}")
    return content


def names(folder: Path) -> list[str]:
    """The names of the YAML files in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _read_named(folder: Path, kind: str, name: str) -> dict:
    if name not in names(folder):
        raise unknown(kind, name, names(folder))
    return read_yaml(folder / f"{name}.yaml")


def load_profile(paths: Paths, name: str) -> dict:
    """The profile `notebooks/profiles/<name>.yaml`, with exactly the keys of `laptop.yaml`; one
    that extends it names only what differs. Raises RunError: unknown profile, unknown or missing
    key, a value of another type, or a number below 0."""
    folder = paths.notebooks / "profiles"
    profile = _extended(folder, name, ())
    _check_values(profile, read_yaml(folder / f"{SCHEMA}.yaml"), f"profile {name}.yaml", "")
    return profile


def _extended(folder: Path, name: str, before: tuple[str, ...]) -> dict:
    """A profile with the values of the one that it extends, which may extend another."""
    if name in before:
        raise RunError(f"profile {name}.yaml extends itself, by {', '.join(before)}")
    profile = _read_named(folder, "profile", name)
    if EXTENDS not in profile:
        return profile
    return _extend(_extended(folder, str(profile.pop(EXTENDS)), (*before, name)), profile)


def _extend(content: dict, changes: dict) -> dict:
    """`content` with the values of `changes`, mapping by mapping."""
    both = {
        key: _extend(content[key], value)
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(content.get(key), dict)
    }
    return content | changes | both


def _check_values(content: dict, schema: dict, file: str, prefix: str) -> None:
    where = f"section {prefix[:-1]} of {file}" if prefix else file
    only_keys(content, set(schema), f"{where} (keys as in {SCHEMA}.yaml)", prefix)
    for key, expected in schema.items():
        if key not in content:
            raise RunError(f"{file} lacks the key {prefix + key!r} (see {SCHEMA}.yaml)")
        value, name = content[key], f"{prefix}{key}"
        if name in ENTRIES and isinstance(value, dict):
            expected = _of_entries(value, expected)  # `arms` and `studies` check the keys
        kinds = {int, float} if isinstance(expected, float) else {type(expected)}
        if isinstance(expected, dict) and isinstance(value, dict):
            _check_values(value, expected, file, f"{name}.")
        elif isinstance(value, str) and NUMBER_AS_TEXT.fullmatch(value):
            # YAML 1.1 reads 2e-3 as text: the number needs a dot.
            is_whole = float not in kinds and float(value).is_integer()
            number = f"{float(value):.0f}" if is_whole else _dotted(value)
            raise RunError(f"{name} in {file} reads as text: write {value} as {number}")
        elif type(value) not in kinds:
            raise RunError(
                f"{name} in {file} is {value!r}; expected a {type(expected).__name__} like "
                f"{expected!r} in {SCHEMA}.yaml"
            )
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and not 0 <= number < math.inf:
                raise RunError(f"{name} in {file} is {value!r}; expected numbers of at least 0")
            is_word = isinstance(value, list) and isinstance(number, str)
            if is_word and expected and not isinstance(expected[0], str):
                raise RunError(f"{name} in {file} is {value!r}; expected numbers like {expected!r}")


def _of_entries(content: dict, schema: dict) -> dict:
    """What the values of some entries are compared with: those of the schema's entry of this name,
    or else of this kind, and its defaults; the own value of a key that these do not have. The
    entry `defaults` is compared with all, since it holds for all."""
    known = {of["kind"]: of for of in schema.values() if isinstance(of.get("kind"), str)}
    everything = {key: of for entry in schema.values() for key, of in entry.items()}
    expected = {}
    for name, entry in content.items():
        if not isinstance(entry, dict):
            expected[name] = {}
            continue
        like = everything if name == "defaults" else schema.get("defaults", {})
        like = like | schema.get(name, known.get(str(entry.get("kind")), {}))
        null = {key for key, of in entry.items() if of is None and key in MAY_BE_NULL}
        expected[name] = entry | {key: like[key] for key in entry if key in like.keys() - null}
    return expected


def _dotted(value: str) -> str:
    """A number as YAML reads it, 2.0e-3 for 2e-3."""
    mantissa, exponent = value.lower().split("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+d}"


def load_plan(paths: Paths, name: str) -> dict:
    """The data plan `notebooks/data/<name>.yaml`: `cohorts` and `roles`. Raises RunError: unknown
    plan or key, a plan without cohorts or without the role train, a role that is no list of cohorts
    of the plan, or a cohort of transfer with another role."""
    plan, where = _read_named(paths.notebooks / "data", "data plan", name), f"data plan {name}.yaml"
    only_keys(plan, {"cohorts", "roles"}, where)
    for part in ("cohorts", "roles"):
        if not isinstance(plan.get(part), dict) or not plan[part]:
            raise RunError(f"{where} needs a mapping `{part}` with at least one entry")
    for cohort, content in plan["cohorts"].items():
        if not isinstance(content, dict):
            raise RunError(f"cohort {cohort} of {where} must be a mapping, like {{source: mimic}}")
        only_keys(content, COHORT_KEYS, f"cohort {cohort} of {where}")
        if content.get("required") and not content.get("source"):
            raise RunError(f"cohort {cohort} of {where} reads a folder; say of which `source`")
    _check_roles(plan["roles"], plan["cohorts"], where)
    return plan


def _check_roles(roles: dict, cohorts: dict, where: str) -> None:
    """Refuse roles that no cohort could have (see `ecglib.cohorts.merge_cohorts`)."""
    only_keys(roles, set(ROLES), f"roles of {where}")
    for role, members in roles.items():
        if not isinstance(members, list) or not all(isinstance(name, str) for name in members):
            raise RunError(
                f"role {role} of {where} is {members!r}; write a list of cohort names, like "
                f"[{next(iter(cohorts))}], or [] for none"
            )
        for cohort in members:
            pick(f"cohort in role {role} of {where}:", cohort, cohorts)
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
    """The stages of `notebooks/stages.yaml` by number, in order. Raises RunError: unknown key,
    unknown profile section, or a stage that reads a later one."""
    sections = read_yaml(paths.notebooks / "profiles" / f"{SCHEMA}.yaml")
    stages: dict[str, StageSpec] = {}
    for number, entry in sorted(read_yaml(paths.notebooks / "stages.yaml").items()):
        where = f"stage {number} of stages.yaml"
        only_keys(entry, STAGE_KEYS, where)
        stages[number] = stage_spec(number, entry, where, stages, sections)
    return stages


def stage_spec(
    number: str, entry: dict, where: str, stages: dict, sections: dict, **declared_in: str
) -> StageSpec:
    """The specification in a YAML entry; it may read the earlier `stages` and some `sections`.
    Raises RunError: a stage or a section that is not among these, or a value of another type."""
    reads = entry.get("reads", {})
    if reads == "*":
        reads = dict.fromkeys(stages, "*")
    if not isinstance(reads, dict) or not all(_is_names(of) or of == "*" for of in reads.values()):
        raise RunError(f"`reads` of {where} must map stages to lists of steps, or to '*'")
    lists = {key: entry.get(key, []) for key in LISTS}
    for key, given in lists.items():
        if not _is_names(given):
            raise RunError(f"`{key}` of {where} must be a list of names, got {given!r}")
    if not isinstance(entry.get("notebook"), str):
        raise RunError(f"{where} needs the name of its `notebook`, got {entry.get('notebook')!r}")
    listed = {key: tuple(given) for key, given in lists.items()}
    for name in listed["sections"]:
        pick(f"section of {where}:", name, sections)
    for key, given in {"reads": reads, "beside": listed["beside"]}.items():
        for name in given:
            pick(f"earlier stage in `{key}` of {where}:", name, stages)
    return StageSpec(number, entry["notebook"], reads=reads, **listed, **declared_in)


def _is_names(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(name, str) for name in given)


def only_keys(content: dict, valid: set[str], where: str, prefix: str = "") -> None:
    """Raise RunError for what is no mapping, or for a key that is not among the valid ones."""
    if not isinstance(content, dict):
        raise RunError(f"{where} must be a mapping, got {content!r}")
    for key in content:
        if key not in valid:
            names = ", ".join(sorted(valid)) or "none"
            raise RunError(f"unknown key {prefix + str(key)!r} in {where}; valid: {names}")
