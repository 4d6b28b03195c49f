"""The command line: `bash run_all.sh` calls this module with its arguments."""

import argparse
import logging
import os
import resource
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ecglib.run import arms, check, given, releases, roots, runner, siblings, studies, torchrun
from ecglib.run.context import Run
from ecglib.run.errors import RunError, pick
from ecglib.run.options import parser
from ecglib.run.paths import ONE_KERNEL, PROCESSES, TAKES_MODELS, Paths
from ecglib.tokenizers import plugin

if TYPE_CHECKING:
    from ecglib.run.shared_kernel import KernelOf

NOT_IN_LAB = ("first", "only", "force", "list", "check", "prefetch", "second_part")
OPEN_FILES = 65_536


def select(run: Run, first: str | None, only: str | None) -> list[str]:
    """The stages that --from and --only leave, in order. Raises RunError: no such notebook, or both
    options at once."""
    if first and only:
        raise RunError("give --from or --only, not both")
    if "" in (first, only):
        raise RunError("--from or --only names no notebook; is a variable in it unset?")
    everything = list(run.stages)
    if first:
        return everything[everything.index(run.spec(first).number) :]
    wanted = [run.spec(number).number for number in only.split(",")] if only else everything
    return [number for number in everything if number in wanted]


def forced(run: Run, value: str, numbers: list[str]) -> set[str]:
    """The stages that --force names; `all` means all those selected. Raises RunError: no such
    notebook, or one that --from or --only leaves out."""
    wanted = set(numbers) if value == "all" else set(filter(None, value.split(",")))
    for number in sorted(wanted):
        if run.spec(number).number not in numbers:
            raise RunError(f"--force {number}: --from or --only leaves this notebook out")
    return wanted


def benchmark(paths: Paths, names: list[str]) -> int:
    """Run tests/benchmarks/NAME.py, or all of them; returns 1 where one failed, else 0.

    A benchmark whose data or asset is absent exits with status 77. It counts as skipped where all
    are run, and as failed where it was named. Raises RunError: there is no such benchmark."""
    folder = paths.repo / "tests" / "benchmarks"
    known = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    for name in names:
        pick("benchmark", name, dict.fromkeys(known))
    # PYTHONSAFEPATH, which run_all.sh sets, keeps a script's own folder off the path.
    places = filter(None, [str(folder), str(paths.repo), os.environ.get("PYTHONPATH")])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    failed = False
    for name in names or known:
        command = [sys.executable, folder / f"{name}.py"]
        code = subprocess.run(command, env=environment, check=False).returncode
        if code == 77 and not names:
            print(f"{name}: skipped, its data or asset is absent", flush=True)
        elif code:
            failed = True
    return int(failed)


def draw_again(paths: Paths, names: list[str]) -> int:
    """`redraw [RUN ...]`: the runs named, or all that can be drawn again."""
    from ecglib.run import redraw, shared_kernel

    for name in names:
        redraw.require_whole(paths, name)
    chosen = names or redraw.whole_runs(paths)
    if not chosen:
        raise RunError("no run here can be drawn again; make one with: bash run_all.sh")
    with shared_kernel.kernels() as kernel_of:
        for name in chosen:
            print(f"run {name}", flush=True)
            redraw.redraw(paths, name, kernel_of)
    return 0


def list_stages(run: Run) -> None:
    """Print the notebooks, and the stages and steps that each reads."""
    for number, spec in run.stages.items():
        reads = f"reads {', '.join(spec.upstream)}" if spec.upstream else ""
        print(f"{number}  {spec.notebook:<24}{reads}")


def of_study(arguments: list[str]) -> list[list[str]]:
    """The arguments of each run that is asked for: `study NAME NAME ... [options]` is a run per
    study under its own tag, in this order; other arguments are one run. Raises RunError: an option
    in place of the names, or another tag."""
    if arguments[:1] != ["study"]:
        return [arguments]
    is_option = [word.startswith("-") for word in arguments]
    end = [*is_option, True].index(True)
    names, rest = arguments[1:end], arguments[end:]
    if (
        not all(names)
        or not names
        or {word.split("=")[0] for word in rest} & {"--tag", "--training-seed"}
    ):
        raise RunError(
            "write `study NAME [options]`; a study has a tag and training seeds of its own, so "
            "neither --tag nor --training-seed"
        )
    return [[*rest, "--tag", studies.PREFIX + name] for name in names]


def allow_open_files() -> None:
    """Raise the limit of open files, which kernels inherit, to OPEN_FILES, or as far as the system
    allows. Each shard of an open cohort is a file; all of MIMIC-IV-ECG has 3,000 of them, and many
    systems begin with a limit of 1,024."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        with suppress(ValueError, OSError):  # a system that allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    allow_open_files()
    if arguments[:1] == ["bench"]:
        return benchmark(Paths.here(), arguments[1:])
    if arguments[:1] == ["read"]:
        from ecglib.run import read_command  # with pandas, which other commands need not load

        return read_command.main(arguments[1:])
    if arguments[:1] == ["ipynb"]:
        from ecglib.run import page_notebook

        return page_notebook.main(arguments[1:])
    if arguments[:1] == ["site"]:
        from ecglib.run import site_command

        return site_command.main(arguments[1:])
    if arguments[:1] == ["redraw"]:
        return draw_again(Paths.here(), arguments[1:])
    if arguments == ["study"]:
        for name in studies.names(Paths.here()):
            print(f"{name:<24}{studies.title(Paths.here(), name)}")
        return 0
    in_lab = arguments[:1] == ["lab"]
    runs = [parser().parse_args(words) for words in of_study(arguments[in_lab:])]
    if in_lab and len(runs) > 1:
        raise RunError("lab opens one study; name one")
    for options in runs if len(runs) > 1 else ():  # before hours of another
        run, numbers, _ = chosen(options)
        if not any(getattr(options, name) for name in ("list", "check", "dry_run")):
            given.require(run, numbers)
    with ExitStack() as stack:
        kernel_of = None
        if os.environ.get(ONE_KERNEL):
            from ecglib.run import shared_kernel  # takes two seconds

            kernel_of = stack.enter_context(shared_kernel.kernels())
        return max([make(options, in_lab, kernel_of) for options in runs])


def chosen(options: argparse.Namespace) -> tuple[Run, list[str], set[str]]:
    """The run of some options, its stages that they select, and those of --force. Raises RunError:
    an option, the profile, the data plan or the study is mistaken."""
    if options.plugin:  # the notebooks' kernels inherit it
        os.environ[plugin.VARIABLE] = str(Path(options.plugin).resolve())
        plugin.module()
    tag = siblings.tag_of(options.tag, options.training_seed)
    given = (options.profile, options.data, options.seed, tag)
    run = Run(*given, options.data_root or None, options.asset or None)
    arms.check(run.profile, run.parts)
    numbers = select(run, options.first, options.only)
    return run, numbers, forced(run, options.force, numbers)


def make(options: argparse.Namespace, in_lab: bool, kernel_of: "KernelOf | None") -> int:
    """Do with one run what its options say, in kernels of its own where `kernel_of` is None;
    returns the exit status."""
    if options.second_part and not options.dry_run:
        from ecglib.run import second_part  # with packages that other commands need not load

        tag = siblings.tag_of(options.tag, options.training_seed)
        second_part.enter(Paths.here().home, tag)
    run, numbers, again = chosen(options)
    if options.dry_run:
        from ecglib.run import dry_run  # with the models' libraries

        if options.first or options.only or options.force:
            raise RunError("--dry-run counts a whole run; leave out --from, --only and --force")
        roots.parse(options.data_root or [], run.plan, run.data_name)  # a wrong folder is named
        studies.require_sources(run.paths, run.tag, run.data_name, run.plan)
        given.require_plugin(run, list(run.stages))
        dry_run.print_costs(run)
        return 0
    if options.dask:
        os.environ["ECGLIB_DASK"] = options.dask  # the notebooks' kernels inherit it
    if options.committed_models:
        os.environ[TAKES_MODELS] = "1"
    if options.processes != 1:
        os.environ[PROCESSES] = str(options.processes)
        torchrun.processes({"parts": 1})  # refuses a number below 1
    if in_lab:
        plain = parser().parse_args([])
        if any(getattr(options, name) != getattr(plain, name) for name in NOT_IN_LAB):
            raise RunError("lab opens a whole, finished run; choose it by profile, data or tag")
        from ecglib.run import lab  # with Papermill, two seconds that other commands need not take

        return lab.open_lab(run)
    if options.second_part:
        numbers = [number for number in numbers if number not in second_part.TAKEN]
        again = forced(run, options.force, numbers)
    if options.list:
        list_stages(run)
    elif release := options.prefetch:
        readers = [one for one in run.plan["cohorts"].values() if one.get("source") == release]
        print(f"{release}: {releases.fetch(release, readers, run.paths, verify=True)}")
    elif options.prefetch is not None:
        runner.prefetch(run, numbers)
    elif options.check:
        return 0 if check.print_check(run, numbers) else 1
    else:
        runner.execute(run, numbers, again, kernel_of)
    return 0


def command_line(arguments: list[str]) -> int:
    """`main`, with one sentence instead of a traceback for bad input and for an interrupt."""
    try:
        return main(arguments)
    except (RunError, ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of the kernel that was stopped
        resume = " ".join(["bash run_all.sh", *arguments])
        print(f"\ninterrupted; finished work is kept, resume with: {resume}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    sys.exit(command_line(sys.argv[1:]))
