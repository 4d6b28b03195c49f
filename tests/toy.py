"""A small project of three notebooks and a library in a temporary folder: no ECGs."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecglib.run import check
from ecglib.run.__main__ import command_line
from ecglib.run.context import Run

REPO = Path(__file__).parents[1]

HEADER = """\
# %% [markdown]
# # {name}

# %%
from ecglib.run.stage import Stage
{imports}

# %% tags=["parameters"]
profile = "laptop"
data = "synthetic"
tag = ""
seed = 0

# %%
stage = Stage("{name:.2}", profile, data, seed, tag)
print(stage.banner())
"""
NOTEBOOKS = {  # imports, and what follows the header
    "01_make": (
        "import pandas as pd\nfrom toylib import make\nfrom tqdm.auto import tqdm",
        """
# %%
config = stage.section("make")
cohort = stage.step("cohort", make.numbers, {"n": config["n"]}, stage.data_inputs("cohort"))
(cohort / "numbers.csv").read_text()

# %%
frame = pd.DataFrame({"n": [config["n"]], "share": [0.12345]})
stage.table("sizes", stage.data("sizes", frame), "How many.")

# %%
list(tqdm(range(3)))
stage.claim("made", config["n"], 0.0, 10.0, 3)
stage.finish()
""",
    ),
    "02_train": (
        "from toylib import train",
        """
# %%
cohort = stage.input("01", "cohort")
model = stage.step("model", train.model, stage.section("train"), {"cohort": cohort})
stage.write("model.txt", (model / "model.txt").read_text())

# %%
stage.finish()
""",
    ),
    "03_show": (
        "from toylib import colours",
        """
# %%
stage.write("show.txt", colours.NAME + str(len(stage.read("sizes", "01"))))
stage.finish()
""",
    ),
}
FILES = {
    "toylib/__init__.py": '"""A toy."""\n',
    "toylib/make.py": """\
from pathlib import Path

RULES = Path(__file__).with_name("rules.yaml")


def numbers(out, inputs, config, seed, machine):
    \"\"\"Write n numbers.

    Inputs: data (optional).
    Config: n.
    \"\"\"
    text = inputs["data"].joinpath("list.csv").read_text() if inputs else str(seed)
    out.joinpath("numbers.csv").write_text(text + RULES.read_text() * config["n"])
""",
    "toylib/rules.yaml": "rule: 1\n",
    "toylib/helper.py": "FACTOR = 2  # of the loss\n",
    "toylib/train.py": """\
import os
import signal
import time

from toylib import helper


def model(out, inputs, config, seed, machine):
    \"\"\"Count to `steps` with a checkpoint; a file STOP kills the process at step 3.

    Inputs: cohort.
    Config: steps.
    \"\"\"
    place, log = out / "checkpoint", os.environ["TOY_LOG"]
    place.mkdir(exist_ok=True)
    first = max((int(path.name) for path in place.iterdir()), default=0)
    for step in range(first + 1, config["steps"] + 1):
        with open(log, "a") as file:
            file.write(f"step {step}\\n")
        (place / str(step)).touch()
        if os.path.exists(f"{log}.SLOW"):
            time.sleep(0.4)
        if step == 3 and os.path.exists(f"{log}.STOP"):
            os.kill(os.getpid(), signal.SIGKILL)
    out.joinpath("model.txt").write_text(f"model {config['steps'] * helper.FACTOR}")
""",
    "toylib/colours.py": 'NAME = "blue"\n',
    "toylib/training/__init__.py": "",
    "toylib/training/device.py": """\
from types import SimpleNamespace


def choose_machine(hardware, cache=None):
    sizes = {"device": hardware["device"], "dtype": "float32", "threads": 1, "reason": "a toy"}
    return SimpleNamespace(**sizes, configure_torch=lambda: None)
""",
    "notebooks/stages.yaml": """\
"01": {notebook: 01_make, sections: [make]}
"02": {notebook: 02_train, sections: [train], reads: {"01": [cohort]}}
"03": {notebook: 03_show, reads: "*"}
""",
    "notebooks/profiles/laptop.yaml": """\
hardware: {device: cpu, threads: 1, disk_gb: 0.001}
make: {n: 3}
train: {steps: 5}
other: {x: 1}
""",
    "notebooks/data/synthetic.yaml": """\
cohorts: {cohort: {source: synthetic}}
roles: {train: [cohort]}
""",
    "notebooks/data/real.yaml": """\
cohorts:
  cohort: {source: real, layout: the release of lists, required: [list.csv], contents: ["*.csv"]}
roles: {train: [cohort]}
""",
}


class Toy:
    """The project in `folder`; `run` calls the command line on it, with `variables` set."""

    def __init__(self, folder: Path, **variables: str):
        self.folder, self.log, self.variables = folder, folder / "log", variables
        for name, content in FILES.items():
            self.write(name, content)
        for name, (imports, cells) in NOTEBOOKS.items():
            self.write(f"notebooks/{name}.py", HEADER.format(name=name, imports=imports) + cells)

    def write(self, name: str, content: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, (name, old)
        (self.folder / name).write_text(text.replace(old, new))

    def environment(self) -> dict[str, str]:
        plain = {name: text for name, text in os.environ.items() if not name.startswith("ECGLIB_")}
        search = f"{REPO}{os.pathsep}{self.folder}"
        project = {"PYTHONPATH": search, "ECGLIB_REPO": str(self.folder), "TOY_LOG": str(self.log)}
        project |= {"ECGLIB_PACKAGE": "toylib", "ECGLIB_NO_YARDSTICK": "1"}  # it needs no torch
        return plain | project | self.variables

    def start(self, *options: str) -> subprocess.Popen:
        """The command line in a process of its own, for tests that kill it."""
        command = [sys.executable, "-m", "ecglib.run", *options]
        ends = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=self.environment(), **ends)

    def run(self, *options: str, code: int = 0) -> str:
        """Output and errors of the command line in this process, which must end with `code`. One
        kernel for all notebooks saves the imports of the others; the variable ECGLIB_ONE_KERNEL=""
        gives each its own, as a run does."""
        output = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            self.enter(patch)
            patch.setenv("ECGLIB_ONE_KERNEL", self.variables.get("ECGLIB_ONE_KERNEL", "1"))
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                try:
                    ended = command_line(list(options))
                except SystemExit as exit_status:  # of the parser
                    ended = exit_status.code
        assert ended == code, output.getvalue()
        return output.getvalue()

    def refused(self, *options: str) -> str:
        """The error of a command line: one line without a full stop, and no traceback."""
        text = self.run(*options, code=1)
        line = text.strip().splitlines()[-1]
        assert line.startswith("error: ") and not line.endswith("."), text
        assert "Traceback" not in text
        return line

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process work on the project."""
        environment = self.environment()
        for name in os.environ.keys() - environment.keys():
            monkeypatch.delenv(name)
        for name, text in environment.items():
            monkeypatch.setenv(name, text)
        for name in [name for name in sys.modules if name.split(".")[0] == "toylib"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(str(self.folder))
        monkeypatch.chdir(self.folder)

    def states(self, monkeypatch: pytest.MonkeyPatch, **options: object) -> dict[str, list[str]]:
        """Reasons by stage ("02") and step ("02/model"), as --check finds them; only the stale."""
        self.enter(monkeypatch)
        run = Run(**({"profile": "laptop", "data": "synthetic", "seed": 0} | options))
        states = {}
        for state in check.all_states(run):
            states[state.number] = state.reasons
            states |= {f"{state.number}/{name}": why for name, why in state.steps.items()}
        return {name: reasons for name, reasons in states.items() if reasons}
