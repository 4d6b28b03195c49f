"""Which stages and steps are current, which are stale, and why."""

from dataclasses import dataclass, field

from ecglib.run import keys, manifest, models, steps
from ecglib.run.context import Run
from ecglib.run.errors import RunError

# Parts of a stage from which its steps' configs and seeds are computed: a study gives its trainings
# seeds of their own, so a step's seed is not compared with the run's.
GIVEN = ("profile", "plan", "seed")


@dataclass
class State:
    """One stage: `reasons` why it would run again (none: it is current), and for each finished step
    the reasons why it would be remade (none: it is kept)."""

    number: str
    parts: dict
    reasons: list[str]
    recorded: dict | None = None
    only_drawn: bool = False  # no key changed: nothing that reads the stage is stale
    steps: dict[str, list[str]] = field(default_factory=dict)


def inspect(run: Run, number: str, library: keys.Library | None = None) -> State:
    """Compare a stage with its recorded parts and outputs. Raises RunError: an output has the right
    key, but was changed after it was written."""
    library = library or keys.Library(run.paths.library)
    parts = run.stage_parts(number, library)
    recorded = manifest.read(run.paths.stage_manifest(run.name, number))
    if recorded is None:
        return State(number, parts, ["not made yet"])
    if recorded.get("taken"):  # the runner compares it with what is committed, each time
        return State(number, parts, [], recorded)
    if recorded["key"] != keys.digest(parts):
        return State(number, parts, keys.explain(recorded["parts"], parts), recorded)
    if lost := _lost(run, number, recorded):
        return State(number, parts, lost, recorded)
    drawn = keys.explain(recorded["drawn"], run.drawn_parts(number, library))
    return State(number, parts, drawn, recorded, bool(drawn))


def _lost(run: Run, number: str, recorded: dict) -> list[str]:
    """Outputs of a current stage that are gone; an altered one is an error."""
    outputs = recorded["outputs"]
    manifest.require_intact(run.paths.out, outputs, number)
    lost = [f"output {name} is missing" for name in manifest.missing(run.paths.out, outputs)]
    for name, key in recorded["steps"].items():
        if not steps.is_whole(run.paths.step(run.name, number, name), number, key):
            lost.append(f"step {name} is missing or not whole")
    return lost


def all_states(run: Run) -> list[State]:
    """The state of each stage and step. A stale one makes its readers stale."""
    library = keys.Library(run.paths.library)
    stale: set[str] = set()  # "01" for a stage, "01/cohort" for a step
    current = set(run.fingerprints.values())  # keys that an input may still have
    states = []
    for number, spec in run.stages.items():
        try:
            state = inspect(run, number, library)
        except RunError as error:
            state = State(number, {}, [str(error)])
        current |= set(state.parts.get("assets", {}).values())
        _judge_steps(run, state, library, current)
        stale |= {f"{number}/{name}" for name, reasons in state.steps.items() if reasons}
        explained = "; ".join(state.reasons)
        upstream = [item for item in spec.upstream if item in stale]
        unsaid = [item for item in upstream if f"upstream {item} " not in explained]
        state.reasons += [f"upstream {item} is stale" for item in unsaid]
        if unsaid or (state.reasons and not state.only_drawn):
            stale.add(number)
        states.append(state)
    return states


def _judge_steps(run: Run, state: State, library: keys.Library, current: set[str]) -> None:
    """Why each finished step of a stage would be remade; keys of the others join `current`.

    A step's config is computed in its notebook, so a changed size or seed counts as a reason, and
    changed notebook code does not: it may or may not touch the config.
    """
    manifests = sorted((run.paths.home / run.name / state.number).glob("*/manifest.json"))
    waiting = {path.parent.name: manifest.read(path) for path in manifests}
    if state.recorded and state.recorded.get("taken"):
        state.steps = {name: [] for name in waiting}
        current |= {recorded["key"] for recorded in waiting.values()}
        return
    sizes = []
    if state.recorded:
        old, new = state.recorded["parts"], state.parts
        sizes = keys.explain({p: old.get(p) for p in GIVEN}, {p: new.get(p) for p in GIVEN})
    for name, recorded in waiting.items():
        state.steps[name] = sizes + _changed(recorded["parts"], state.parts, library)
    # Of a model that a study took, what it was made of is not here.
    taken = [waiting[name] for name in run.unexecuted(run.spec(state.number)) if name in waiting]
    read = {key for one in taken for key in one["parts"]["inputs"].values()}
    of_others = set(state.recorded["parts"]["upstream"].values()) if state.recorded else set()
    current |= read - of_others - {one["key"] for one in waiting.values()}
    progress = True
    while progress:  # a step may read another of the same stage, in any order of names
        fine = [
            name
            for name, recorded in waiting.items()
            if not state.steps[name] and set(recorded["parts"]["inputs"].values()) <= current
        ]
        current |= {waiting.pop(name)["key"] for name in fine}
        progress = bool(fine)
    for name, recorded in waiting.items():
        inputs = recorded["parts"]["inputs"].items()
        changed = [label for label, key in inputs if key not in current]
        state.steps[name] += [f"input {label} changed" for label in changed]


def _changed(old: dict, stage_parts: dict, library: keys.Library) -> list[str]:
    module = old["function"].rpartition(".")[0]
    now = {part: stage_parts.get(part) for part in ("machine", "versions")}
    now["modules"] = library.closure(module)
    return keys.explain({part: old[part] for part in now}, now)


def print_check(run: Run, numbers: list[str]) -> bool:
    """Print the state of stages and their steps; True where all are current."""
    states = [state for state in all_states(run) if state.number in numbers]
    if not any(state.recorded for state in states) and (sentence := committed_reports(run)):
        print(sentence)
    for state in states:
        verdict = "stale: " + "; ".join(state.reasons) if state.reasons else "current"
        print(f"{state.number} {run.stages[state.number].notebook}: {verdict}")
        for name, reasons in state.steps.items():
            print(f"   {name}: {'remade: ' + '; '.join(reasons) if reasons else 'kept'}")
    return not any(state.reasons for state in states)


def committed_reports(run: Run) -> str:
    """Sentences about the run's reports in git, for a checkout without the run's artifacts: the
    commit that holds them, whether its code is that of the checkout, and if not, of which models
    this code has the key. "" without such reports."""
    card = f"reports/{run.name}/RUN.md"
    commit = manifest.git(run.paths.repo, "log", "-1", "--format=%h", "--", card)
    if not commit:
        return ""
    sources = ("--", run.paths.package, "notebooks")
    changed = manifest.git(run.paths.repo, "diff", "--name-only", commit, *sources)
    code = "other code" if changed else "this code, and their artifacts are not here"
    sentence = (
        f"the committed reports of {run.name} were made at commit {commit} by {code}; "
        f"run `{run.command()}` to make them again"
    )
    same = models.of_this_code(run) if changed else {}
    if not same:
        return sentence
    others = ", ".join(name for name in same if not same[name])
    trained = f"{others} are of other code or libraries" if others else "its trainings are the same"
    kept = f"this code gives {sum(same.values())} of its {len(same)} models the key that they have"
    return f"{sentence}\n{kept}: {trained}"
