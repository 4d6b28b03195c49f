"""Lint of the notebooks: what makes them readable, and safe to execute anywhere."""

import ast
import re
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


@pytest.fixture(params=NOTEBOOKS + STUDIES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def code(path: Path) -> list:
    return [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]


def strings(tree: ast.AST) -> list[str]:
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node.value for node in nodes if isinstance(node.value, str)]


def test_each_stage_has_its_notebook():
    stages = yaml.safe_load((REPO / "notebooks" / "stages.yaml").read_text())
    named = [entry["notebook"] for entry in stages.values()]
    assert [path.stem for path in NOTEBOOKS] == named
    assert all(entry["notebook"].startswith(number) for number, entry in stages.items())


def test_title_first(path: Path):
    first = jupytext.read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")


def test_kernelspec(path: Path):
    assert jupytext.read(path).metadata["kernelspec"]["name"] == "python3"


def test_one_parameters_cell_of_literals(path: Path):
    cells = [cell for cell in code(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(cells) == 1
    body = ast.parse(cells[0].source).body
    assert all(isinstance(node, ast.Assign) for node in body)
    assert all(isinstance(node.value, ast.Constant) for node in body)
    assert sorted(node.targets[0].id for node in body) == sorted(PARAMETERS)


def test_cells_are_short(path: Path):
    for cell in code(path):
        assert len(cell.source.splitlines()) <= LONGEST, cell.source.splitlines()[0]


def test_cells_are_plain_python(path: Path):
    """No magics, no shell, no installs: the key is computed from the syntax tree."""
    for cell in code(path):
        ast.parse(cell.source)
        assert "pip install" not in cell.source


def test_no_exit(path: Path):
    """Papermill counts an exit as success, and the cells after it never run."""
    for cell in code(path):
        names = {
            ast.unparse(node.func) for node in ast.walk(ast.parse(cell.source)) if is_call(node)
        }
        assert not names & {"exit", "quit", "sys.exit", "os._exit"}


def is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call)


def test_no_paths(path: Path):
    """The working folder differs between Jupyter and the runner: paths come from the stage."""
    for cell in code(path):
        for text in strings(ast.parse(cell.source)):
            if text.startswith(DECLARED) or "\n" in text or " " in text:
                continue
            written = f"stage.write('{text}'" in ast.unparse(ast.parse(cell.source))
            assert written or not FILE.search(text), text


def test_no_profile_branches(path: Path):
    for cell in code(path):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Compare | ast.Match):
                names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                assert "profile" not in names, ast.unparse(node)


def test_the_stage_is_its_own_and_finishes(path: Path):
    source = "\n".join(cell.source for cell in code(path))
    number = "study" if path in STUDIES else path.stem[:2]
    assert f'Stage("{number}", profile, data, seed, tag)' in source
    assert code(path)[-1].source.strip().endswith("stage.finish()")
