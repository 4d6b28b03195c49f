"""Which trained parts of a run or a study are the same as another one, and so trained once."""

from ecglib.run import arms, studies
from ecglib.training.part import Part


def trains(part: Part) -> bool:
    """Whether a part has updates to count; an entry has them once, in its training."""
    has_updates = bool({"steps", "epochs"} & set(part.settings))
    return has_updates and not (part.shared and part.name != part.entry)


def twice(listed: dict[str, Part], stage: str = "") -> dict[str, str]:
    """The trained parts of a stage, or of all, that are the same as an earlier one there, which a
    run takes in their place: name -> name of that one."""
    of_stage = {name for name, part in listed.items() if stage in ("", part.stage)}
    first = first_of(listed, of_stage)
    doubled = (name for name in listed if name in of_stage and first[name] != name)
    return {name: first[name] for name in doubled if trains(listed[name])}


def as_in_run(listed: dict[str, Part]) -> dict[str, str]:
    """The trained parts of a study that have the settings of a part of its run."""
    first, known = first_of(listed, set(listed)), twice(listed, studies.STAGE)
    return {
        name: first[name]
        for name, part in listed.items()
        if part.stage == studies.STAGE and trains(part) and name not in known
        if listed[first[name]].stage != studies.STAGE
    }


def first_of(listed: dict[str, Part], among: set[str]) -> dict[str, str]:
    """For each part the first one that it is the same as, of those `among` which equal ones are
    looked for. Equal are function, config, seed and inputs."""
    first: dict[str, str] = {}
    known: dict[str, str] = {}
    for name, part in listed.items():
        inputs = {label: first.get(of, of) for label, of in part.inputs.items()}
        identity = repr((part.fn, sorted(arms.config(part).items()), part.seed, inputs))
        first[name] = known.setdefault(identity, name) if name in among else name
    return first
