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
MAY["classify"] = MAY["language"] = MAY["fidelity"] = {*MAY["tokenizers"], "tokenizers"}
MAY["figures"] = {"signals"}
MAY["own_ecg"] = {*MAY}
MAY["run"] = {*MAY}  # above all; nothing imports it
# The parts of a room that another may see, where not all of it.
ONLY = {("figures", "signals"): {"leads"}}
NO_MODELS = {"torch", "transformers", "matplotlib"}
HEAVY = {  # room -> libraries that have no business there
    **dict.fromkeys(("signals", "labels", "simulator", "sources"), NO_MODELS),
    **dict.fromkeys(("cohorts", "questions", "evaluate"), NO_MODELS),
    "training": {"transformers", "matplotlib", "wfdb"},
    "tokenizers": {"transformers", "matplotlib"},
    "fidelity": {"transformers", "matplotlib"},
    "figures": {"torch", "transformers", "scipy", "sklearn"},
}
# A participle says neither type nor content.
VAGUE = {"found", "told", "heard", "said", "shown", "made", "mine", "some", "there", "whose"}

MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.parent != LIBRARY)
SOURCES = [path for part in ("notebooks", "tests") for path in sorted((REPO / part).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES + SOURCES}


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports when it runs (not for type checkers only)."""
    return imports_of(TREES[path])


def imports_of(tree: ast.Module) -> set[str]:
    """The same of its syntax tree."""
    names, nodes = set(), [tree]
    for node in nodes:  # which grows
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        nodes += node.orelse if typing_only else ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_a_module_keeps_to_its_room(path: Path):
    """It is read in one sitting, too, and behaves the same in every profile."""
    room = path.relative_to(LIBRARY).parts[0]
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] not in HEAVY.get(room, ()), f"{room} must not use {parts[0]}"
        if parts[0] != "ecglib" or len(parts) < 2 or parts[1] == room:
            continue
        assert parts[1] in MAY[room], f"{room} must not import {name}"
        visible = ONLY.get((room, parts[1]))
        assert visible is None or parts[2] in visible, f"{room} must not import {name}"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 300
    compares = [ast.unparse(n) for n in ast.walk(TREES[path]) if isinstance(n, ast.Compare)]
    profiles = ("smoke", "laptop", "mini", "gpu")
    named = [name for name in profiles if f"'{name}'" in "".join(compares)]
    assert room == "run" or not named, "a module asks for its profile"


def test_packages_hold_a_docstring_only_and_no_module_imports_itself_on_a_detour():
    """An import in a package would be part of the key of every step that uses the room."""
    for path in LIBRARY.rglob("__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        rest = tree.body[1:] if ast.get_docstring(tree) else tree.body
        if path.parent == LIBRARY:  # `ecglib.load` is imported when it is asked for, by a string
            rest = [node for node in rest if not isinstance(node, ast.FunctionDef)]
            assert imports_of(tree) == {"importlib.import_module"}
            rest = [node for node in rest if not isinstance(node, ast.ImportFrom)]
        assert all(isinstance(node, ast.Assign) for node in rest), path
    names = {".".join(p.relative_to(LIBRARY.parent).with_suffix("").parts): p for p in MODULES}
    graph = {}
    for name, path in names.items():
        imported = {f"{one}." for one in imports(path)}
        graph[name] = {n for n in names if any(one.startswith(f"{n}.") for one in imported)}
    TopologicalSorter(graph).prepare()  # raises CycleError
    assert {path.relative_to(LIBRARY).parts[0] for path in MODULES} <= set(MAY), "a room unwalled"


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_identifiers_say_type_or_content(path: Path):
    """Of variables, parameters, keywords, attributes, functions, classes and imports."""
    fields = ("id", "arg", "attr", "name", "asname")
    names = {getattr(node, field, "") for node in ast.walk(TREES[path]) for field in fields}
    assert names & VAGUE == set()


def test_a_module_name_is_in_one_room_only():
    """And no two names, of modules or rooms, differ by an s."""
    modules = [path.stem for path in MODULES if path.stem not in ("__init__", "__main__")]
    names = Counter(modules) + Counter({path.parent.name for path in MODULES})
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if name + "s" in names] == []
