"""Studies: experiments too long for the default run, each a notebook of its own with its settings.

A study NAME is `notebooks/studies/NAME.py` beside `NAME.yaml`:
    after      stages that are executed before it, under the study's own run
    beside     stages whose saved predictions it reads of the main run
    sections, reads, files     what the notebook may read, as in stages.yaml; a step of a stage that
               `after` does not name is made by the study itself, or taken from the models of the
               main run
    assets     of assets.yaml, beside those of the base models
    sources    of which the data plan needs one, where it cannot do with others
    systems    entries of systems that it makes, as in a profile, without `notebook`
    settings   plain data for the notebook (`stage.section("study")`), part of its key; a profile
               may give some of them other values, in its section `studies`, and under `systems`
               there other values to keys of the entries
It runs under the tag `study-NAME`, as the stage "study", so that everything else about a run holds
for it too: keys, resuming, --check, --force.

Its run.json has the digests of the predictions that it read of the main run. The rows of them that
it compares with are kept among its own (`Results.beside`), so that what it compared can still be
computed when that run has been made again.
"""

from ecglib.run.errors import RunError, pick, unknown
from ecglib.run.paths import Paths
from ecglib.run.profiles import StageSpec, only_keys, read_yaml, stage_spec

PREFIX = "study-"
STAGE = "study"  # its number, and the profile section that holds its settings
KEYS = {"after", "assets", "beside", "files", "reads", "sections", "settings", "sources"}
KEYS |= {"systems"}


def names(paths: Paths) -> list[str]:
    """The studies of this checkout."""
    return sorted(path.stem for path in (paths.notebooks / "studies").glob("*.py"))


def is_result(file: str) -> bool:
    """Whether a declared file is a result of a study, which may not have been made yet."""
    return file.startswith("reports/") and f"-{PREFIX}" in file


def named(tag: str) -> str:
    """The study of a run with this tag, or ""."""
    return tag.removeprefix(PREFIX) if tag.startswith(PREFIX) else ""


def apart(tag: str) -> str:
    """What keeps a run apart from one of the same name: a tag, which a study has already."""
    if named(tag):
        return "other folders by the variables ECGLIB_HOME and ECGLIB_OUT"
    return "its own name with --tag NAME"


def registry_file(tag: str, number: str = STAGE) -> str:
    """The registry of the claims that a stage reports, relative to the repository: a study has its
    own, but the numbered notebooks that it makes report those of the main line."""
    study = named(tag) if number == STAGE else ""
    return f"notebooks/studies/{study}_claims.yaml" if study else "notebooks/claims.yaml"


def title(paths: Paths, name: str) -> str:
    """The question that a study asks: the title of its notebook."""
    text = (paths.notebooks / "studies" / f"{name}.py").read_text(encoding="utf-8")
    return next((line[4:] for line in text.splitlines() if line.startswith("# # ")), name)


def require_sources(paths: Paths, tag: str, plan_name: str, plan: dict) -> None:
    """Raises RunError: a study needs ECGs of a source that the data plan has none of."""
    name = named(tag)
    content = read_yaml(paths.notebooks / "studies" / f"{name}.yaml") if name else {}
    needs = content.get("sources", [])
    given = {cohort.get("source", "synthetic") for cohort in plan["cohorts"].values()}
    if needs and not given & set(needs):
        text = f"study {name} needs ECGs of {' or '.join(needs)}, and the data plan {plan_name} has"
        raise RunError(f"{text} {', '.join(sorted(given))}; choose another one with --data")


def load(
    paths: Paths, tag: str, stages: dict[str, StageSpec], profile: dict
) -> tuple[dict[str, StageSpec], dict]:
    """Stages and profile of a run with this tag: those given, unless the tag names a study. Raises
    RunError: no such study, or a key or stage in its YAML file that does not exist."""
    name = named(tag)
    if not name:
        return stages, profile
    if name not in names(paths):
        raise unknown("study", name, names(paths))
    file = f"notebooks/studies/{name}.yaml"
    content, where = read_yaml(paths.repo / file), f"study {name}.yaml"
    only_keys(content, KEYS, where)
    entries, settings = content.get("systems", {}), content.get("settings", {})
    section, given = f"section studies.{name} of the profile", profile.get("studies", {})
    only_keys(given, set(names(paths)), "section studies of the profile")
    values = dict(given.get(name, {}))
    changes = values.pop("systems", {})
    only_keys(values, set(settings), section)
    only_keys(changes, set(entries), f"`systems` in {section}")
    own = {key: {**one, **changes.get(key, {}), "notebook": STAGE} for key, one in entries.items()}
    profile = profile | {STAGE: settings | values}
    profile |= {"systems": profile.get("systems", {}) | own} if own else {}
    after, kind = content.get("after", []), f"stage in `after` of {where}:"
    chosen = {number: pick(kind, number, stages) for number in after}
    own = {"notebook": f"studies/{name}", "sections": [*content.get("sections", []), STAGE]}
    spec = stage_spec(STAGE, content | own, where, stages, profile, declared_in=file)
    missing = [number for number, s in chosen.items() if set(s.reads) - set(chosen)]
    if missing:
        raise RunError(f"{where}: stage {missing[0]} reads stages that `after` does not name")
    return chosen | {STAGE: spec}, profile
