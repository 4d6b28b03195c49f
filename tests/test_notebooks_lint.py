"""Lint of the notebooks: what makes them readable, and safe to execute anywhere."""

import ast
import csv
import re
import runpy
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
import yaml

from ecglib.run import keys
from ecglib.run.notebook import OPENS

REPO = Path(__file__).parents[1]
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.py"))
STUDIES = sorted((REPO / "notebooks" / "studies").glob("*.py"))
LONGEST = 40  # lines of a code cell
PARAMETERS = ["data", "profile", "seed", "tag"]
FILE = re.compile(r"^(\.{0,2}/|~|[A-Za-z]:\\)|^[\w.-]+/[\w./-]+\.\w{2,8}$")
DECLARED = ("notebooks/", "reports/")  # beginnings of names of `files` in stages.yaml
COMPUTING = {"step", "make", "remake", "inputs", "input", "data_inputs", "asset"}
COMPUTING |= {"data", "predictions", "finish"}
EXITS = {"exit", "quit", "sys.exit", "os._exit"}


def test_each_stage_has_its_notebook():
    stages = yaml.safe_load((REPO / "notebooks" / "stages.yaml").read_text())
    named = [entry["notebook"] for entry in stages.values()]
    assert [path.stem for path in NOTEBOOKS] == named
    assert all(entry["notebook"].startswith(number) for number, entry in stages.items())


def test_every_deviation_fills_the_columns_of_the_table():
    """Notebook 09 reads it at the end of a long run. A comma without quotes would stop it."""
    with (REPO / "reports" / "deviations.csv").open(newline="", encoding="utf-8") as file:
        columns, *rows = csv.reader(file)
    assert [row for row in rows if len(row) != len(columns) or not all(row)] == []


@pytest.mark.parametrize("path", NOTEBOOKS + STUDIES, ids=lambda path: path.stem)
def test_a_notebook_is_readable_and_safe_to_execute_anywhere(path: Path):
    notebook = jupytext.read(path)
    assert notebook.cells[0].cell_type == "markdown", "the title comes first"
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        assert len(cell.source.splitlines()) <= LONGEST, cell.source.splitlines()[0]
        assert "pip install" not in cell.source
    (parameters,) = (cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    assigned = ast.parse(parameters.source).body
    assert all(isinstance(node, ast.Assign) for node in assigned)
    assert all(isinstance(node.value, ast.Constant) for node in assigned), "parameters are literals"
    assert sorted(node.targets[0].id for node in assigned) == PARAMETERS
    above, below, _ = keys.notebook_cells(path)  # `redraw` executes those below the line
    assert below, f"no line {keys.LINE!r}"
    opens = [code for code in above if OPENS in code]  # `redraw` executes it, too
    pairs = (({"claim", "claims"}, above), (COMPUTING, below[:-1]), (COMPUTING, opens))
    for forbidden, codes in pairs:
        for code in codes:
            assert not forbidden & set(re.findall(r"\bstage\.(\w+)\(", code)), code
    source = "\n".join(cell.source for cell in cells)
    number = "study" if path in STUDIES else path.stem[:2]
    assert f'Stage("{number}", profile, data, seed, tag)' in source, "the stage is its own"
    assert cells[-1].source.strip().endswith("stage.finish()")
    tree = ast.parse(source)  # plain Python: no magics, no shell
    written = ast.unparse(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):  # Papermill counts an exit as success, and goes no further
            assert ast.unparse(node.func) not in EXITS
        elif isinstance(node, ast.Compare | ast.Match):
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            assert "profile" not in names, f"a branch by profile: {ast.unparse(node)}"
    # The working folder differs between Jupyter and the runner: paths come from the stage.
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    for text in [text for text in texts if isinstance(text, str)]:
        if not (text.startswith(DECLARED) or "\n" in text or " " in text):
            assert f"stage.write('{text}'" in written or not FILE.search(text), text


@pytest.mark.parametrize("path", NOTEBOOKS + STUDIES, ids=lambda path: path.stem)
def test_what_stands_below_the_line_needs_nothing_from_above(path: Path):
    """But for imports and parameters. A branch may be taken in one profile only."""
    above, below, _ = keys.notebook_cells(path)
    opened = next(place for place, code in enumerate(above) if OPENS in code)
    source = "\n".join((*above[: opened + 1], *below))
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "-"]
    done = subprocess.run(ruff, input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_documentation_is_current():
    refreshed = runpy.run_path(str(REPO / "docs" / "refresh.py"))["refreshed"]()
    assert REPO / "README.md" in refreshed
    for page, text in refreshed.items():
        assert page.read_text("utf-8") == text, f"{page.name}: run python docs/refresh.py"
