"""The walls between the rooms and the vocabulary, read from the syntax tree: who may import whom,
identifiers that say type or content, and one name for one module."""

import ast
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
LIBRARY = REPO / "ecglib"

# What each room may import from: the direction in which the data flow. `evaluate` and `figures`
# share no code with the models.
MAY = {"signals": set(), "training": set(), "labels": {"signals"}, "evaluate": {"labels"}}
MAY["simulator"] = MAY["sources"] = {"signals", "labels"}
MAY["cohorts"] = {"signals", "labels", "simulator", "sources"}
MAY["questions"] = {"signals", "labels", "cohorts"}
MAY["tokenizers"] = {"signals", "labels", "cohorts", "questions", "training"}
MAY["classify"] = MAY["language"] = {*MAY["tokenizers"], "tokenizers"}
MAY["figures"] = {"signals"}
MAY["run"] = {*MAY}  # above all; nothing imports it
# The parts of a room that another may see, where not all of it.
ONLY = {("figures", "signals"): {"leads"}}
NO_MODELS = {"torch", "transformers", "matplotlib"}
HEAVY = {  # room -> libraries that have no business there
    **dict.fromkeys(("signals", "labels", "simulator", "sources"), NO_MODELS),
    **dict.fromkeys(("cohorts", "questions", "evaluate"), NO_MODELS),
    "training": {"transformers", "matplotlib", "wfdb"},
    "tokenizers": {"transformers", "matplotlib"},
    "figures": {"torch", "transformers", "scipy", "sklearn"},
}


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports when it runs (not for type checkers only)."""
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.parent != LIBRARY)
SOURCES = [path for part in ("notebooks", "tests") for path in sorted((REPO / part).rglob("*.py"))]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_imports(path: Path):
    room = path.relative_to(LIBRARY).parts[0]
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] not in HEAVY.get(room, ()), f"{path}: {room} must not use {parts[0]}"
        if parts[0] != "ecglib" or len(parts) < 2 or parts[1] == room:
            continue
        assert parts[1] in MAY[room], f"{path}: {room} must not import {name}"
        visible = ONLY.get((room, parts[1]))
        assert visible is None or parts[2] in visible, f"{path}: {room} must not import {name}"


def test_no_module_imports_itself_on_a_detour():
    names = {".".join(p.relative_to(LIBRARY.parent).with_suffix("").parts): p for p in MODULES}
    graph = {}
    for name, path in names.items():
        imported = imports(path)
        graph[name] = {
            n for n in names if n in imported or any(i.startswith(n + ".") for i in imported)
        }
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_every_room_is_walled():
    rooms = {path.relative_to(LIBRARY).parts[0] for path in MODULES}
    assert rooms <= set(MAY)


@pytest.mark.parametrize("path", LIBRARY.rglob("__init__.py"), ids=lambda p: p.parent.name)
def test_packages_hold_a_docstring_only(path: Path):
    """An import there would be part of the key of every step that uses the room."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    rest = tree.body[1:] if ast.get_docstring(tree) else tree.body
    assert all(isinstance(node, ast.Assign) for node in rest), path


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_a_file_is_read_in_one_sitting(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300


def test_nothing_asks_which_profile_it_is_in():
    for path in (path for path in MODULES if path.parent.name != "run"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                text = ast.unparse(node)
                assert not any(f"'{name}'" in text for name in ("smoke", "laptop", "gpu")), path


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


@pytest.mark.parametrize(
    "path", MODULES + SOURCES, ids=lambda path: path.relative_to(REPO).as_posix()
)
def test_identifiers_say_type_or_content(path: Path):
    assert identifiers(path) & VAGUE == set()


def test_a_module_name_is_in_one_room_only():
    """And no two names, of modules or rooms, differ by an s."""
    modules = [path.stem for path in MODULES if path.stem not in ("__init__", "__main__")]
    names = Counter(modules) + Counter({path.parent.name for path in MODULES})
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if name + "s" in names] == []
