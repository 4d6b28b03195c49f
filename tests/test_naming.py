"""The vocabulary: identifiers that say type or content, and one name for one module."""

import ast
from collections import Counter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
PARTS = ("ecglib", "notebooks", "tests")
SOURCES = sorted(path for part in PARTS for path in (REPO / part).rglob("*.py"))
MODULES = [
    path for path in (REPO / "ecglib").rglob("*.py") if path.stem not in ("__init__", "__main__")
]
# A participle says neither type nor content.
VAGUE = {"found", "told", "heard", "said", "shown", "made", "mine", "some", "there", "whose"}


def identifiers(path: Path) -> set[str]:
    """Names that a file gives: variables, parameters, keywords, attributes, functions, classes."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.arg | ast.keyword):
            names.add(node.arg or "")
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_identifiers_say_type_or_content(path: Path):
    assert identifiers(path) & VAGUE == set()


def test_a_module_name_is_in_one_room_only():
    """And no two names, of modules or rooms, differ by an s."""
    names = Counter([path.stem for path in MODULES])
    names.update(
        path.name for path in (REPO / "ecglib").iterdir() if (path / "__init__.py").exists()
    )
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if name + "s" in names] == []
