"""A part of the pipeline: one expensive step, listed before anything is imported or computed."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """One step, by name. `run` resolves the names: a notebook makes it, a dry run prices it.

    Attributes:
        stage: the notebook that makes it, "02" or "study".
        name: of the step in the run, unique.
        fn: dotted name of the step function.
        settings: its configuration.
        inputs: label -> name of another part, of a step in GIVEN, or `asset/NAME`.
        entry: the name of the entry of `systems` that it belongs to.
        shared: the settings are the whole entry; the step takes the keys that it documents.
        like: the part with the same cost per update, with which it is priced.
        seed: number added to the run's seed.
    """

    stage: str
    name: str
    fn: str
    settings: dict
    inputs: dict[str, str] = field(default_factory=dict)
    entry: str = ""
    shared: bool = False
    like: str = ""
    seed: int = 0


# Inputs that cost no training, and their notebooks.
GIVEN = {"cohort": "01", "measurements": "01", "questions": "04"}
