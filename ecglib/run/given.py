"""What a user must give before a run, and what was given that no step of it reads."""

from ecglib.run import arms, assets, studies
from ecglib.run.context import Run
from ecglib.tokenizers import plugin


def require(run: Run, numbers: list[str]) -> None:
    """What no stage makes is there: ECGs of a source that a study needs, assets that must be given,
    the file of a plugin, the run beside which a study stands. Raises RunError: one is not."""
    studies.require_sources(run.paths, run.tag, run.data_name, run.plan)
    require_plugin(run, numbers)
    for spec in (run.stages[number] for number in numbers):
        assets.require_given(run.asset_names(spec), run.paths, run.local)
        run.require_main(spec)


def require_plugin(run: Run, numbers: list[str]) -> None:
    """Raises RunError: a stage needs a file with a tokenizer or a system, and none is named, or it
    lacks something."""
    for spec in (run.stages[number] for number in numbers):
        arms.require_plugin(run.parts_of(spec), run.profile)


def unread(run: Run) -> list[str]:
    """The assets and the plugin that were given and that no step of the run reads."""
    stages = run.stages.values()
    read = {name for spec in stages for name in run.asset_names(spec)}
    options = [f"the asset {name} of --asset" for name in sorted(set(run.local) - read)]
    parts = [part for spec in stages for part in run.parts_of(spec)]
    is_read = arms.needs_of_plugin(parts, run.profile)
    return options + ([f"{plugin.path()} of --plugin"] if plugin.path() and not is_read else [])
