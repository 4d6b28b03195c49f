"""JupyterLab on copies of the notebooks and on copies of a run's results.

A student may change everything: steps are shared by key and never overwritten, and tables and
figures go to a folder beside the copies. The run stays as it is; each start copies it anew.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from ecglib.run import notebook, runner, steps
from ecglib.run.context import Run
from ecglib.run.errors import RunError

SHARED = (steps.STORE, "assets", "machine.json", "hashes.json")  # linked, not copied


def prepare(run: Run) -> tuple[Path, dict[str, str]]:
    """Lay out a folder for JupyterLab: notebooks as .ipynb with the run's parameters.

    Returns the folder of the notebooks, and the variables with which their kernels must start. A
    notebook that was there is left as its reader changed it. Raises RunError: the run was not made
    yet, or from other data or with another seed."""
    run.guard()
    home = run.paths.home / "lab" / run.name
    if not (run.paths.home / run.name / "stages").is_dir():
        raise RunError(f"run {run.name} was not made yet; make it with: {run.command()}")
    copies = {run.paths.home / run.name: home / run.name}
    for folder in (run.paths.reports(run.name), run.paths.figures(run.name)):
        copies[folder] = home / folder.relative_to(run.paths.out)
    for source, target in copies.items():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)
    for name in SHARED:
        if (run.paths.home / name).exists() and not (home / name).exists():
            (home / name).symlink_to(run.paths.home / name)
    for number in run.stages:
        copy = home / "notebooks" / f"{run.notebook(number).stem}.ipynb"
        if not copy.exists():
            notebook.parameterise(run.notebook(number), copy, run.parameters)
    folders = {"ECGLIB_HOME": str(home), "ECGLIB_OUT": str(home)}
    return home / "notebooks", runner.kernel_environment(run) | folders


def open_lab(run: Run) -> NoReturn:
    """Become JupyterLab in this environment, so that Ctrl-C asks it whether to end."""
    folder, environment = prepare(run)
    print(f"notebooks: {folder}\na copy that you have changed stays; delete it to get a fresh one")
    print("tables and figures are those of the run again", flush=True)
    command = [sys.executable, "-m", "jupyterlab", str(folder)]
    os.execve(sys.executable, command, os.environ | environment)
