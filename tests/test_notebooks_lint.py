"""Lint of the notebooks: what makes them readable, and safe to execute anywhere."""

import ast
import re
from functools import cache
from pathlib import Path

import jupytext
import pytest
import yaml

REPO = Path(__file__).parents[1]
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.py"))
STUDIES = sorted((REPO / "notebooks" / "studies").glob("*.py"))
LONGEST = 40  # lines of a code cell
PARAMETERS = ["profile", "data", "tag", "seed"]
FILE = re.compile(r"^(\.{0,2}/|~|[A-Za-z]:\\)|^[\w.-]+/[\w./-]+\.\w{2,8}$")
DECLARED = ("notebooks/", "reports/")  # beginnings of names of `files` in stages.yaml
EXITS = {"exit", "quit", "sys.exit", "os._exit"}

read = cache(jupytext.read)


@pytest.fixture(params=NOTEBOOKS + STUDIES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def code(path: Path) -> list:
    """The code cells, each with its syntax tree as `tree`: plain Python, no magics, no shell."""
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    for cell in cells:
        cell.tree = ast.parse(cell.source)
    return cells


def nodes(cells: list, kind: type) -> list:
    return [node for cell in cells for node in ast.walk(cell.tree) if isinstance(node, kind)]


def test_each_stage_has_its_notebook():
    stages = yaml.safe_load((REPO / "notebooks" / "stages.yaml").read_text())
    named = [entry["notebook"] for entry in stages.values()]
    assert [path.stem for path in NOTEBOOKS] == named
    assert all(entry["notebook"].startswith(number) for number, entry in stages.items())


def test_title_first_kernelspec_and_one_parameters_cell_of_literals(path: Path, code: list):
    notebook = read(path)
    first = notebook.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    (cell,) = (cell for cell in code if "parameters" in cell.metadata.get("tags", []))
    assert all(isinstance(node, ast.Assign) for node in cell.tree.body)
    assert all(isinstance(node.value, ast.Constant) for node in cell.tree.body)
    assert sorted(node.targets[0].id for node in cell.tree.body) == sorted(PARAMETERS)


def test_cells_are_short_install_nothing_and_never_exit(code: list):
    """Papermill counts an exit as success, and the cells after it never run."""
    for cell in code:
        assert len(cell.source.splitlines()) <= LONGEST, cell.source.splitlines()[0]
        assert "pip install" not in cell.source
    assert not {ast.unparse(node.func) for node in nodes(code, ast.Call)} & EXITS


def test_no_paths_and_no_profile_branches(code: list):
    """The working folder differs between Jupyter and the runner: paths come from the stage."""
    written = "\n".join(ast.unparse(cell.tree) for cell in code)
    texts = [node.value for node in nodes(code, ast.Constant) if isinstance(node.value, str)]
    for text in texts:
        if not (text.startswith(DECLARED) or "\n" in text or " " in text):
            assert f"stage.write('{text}'" in written or not FILE.search(text), text
    for node in nodes(code, ast.Compare | ast.Match):
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        assert "profile" not in names, ast.unparse(node)


def test_the_stage_is_its_own_and_finishes(path: Path, code: list):
    source = "\n".join(cell.source for cell in code)
    number = "study" if path in STUDIES else path.stem[:2]
    assert f'Stage("{number}", profile, data, seed, tag)' in source
    assert code[-1].source.strip().endswith("stage.finish()")
