"""Keys: what a result depends on, hashed.

The code on which a function depends is the closure of its module over imports of this library,
found in the syntax tree, so that nothing need be executed. Comments and docstrings do not count.
Code that gives the same results as earlier code, and mends what ended in an error, keeps the hash
of the earlier code: `equal_code.yaml` lists it with the reason.
Data files beside a module (a lexicon, a style sheet) count when the module names them in a string.
A syntax tree's dump differs between Python versions, which is why the version is part of each key.
"""

import ast
import hashlib
import json
import re
import sys
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import yaml

from ecglib.run.environment import installed
from ecglib.run.errors import RunError
from ecglib.tokenizers import plugin

DATA_SUFFIXES = (".yaml", ".csv", ".mplstyle", ".json", ".txt")
CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)  # the line that begins a cell
LINE = "## From here on: saved predictions"  # what stands below it is part of no key
READS_REGISTRY = re.compile(r"\.(print_)?claims\(|\.registry\(")  # a cell that judges claims
DRAWING = ".figures"  # the room that no key depends on, either
PINNED = ("torch", "transformers", "numpy")
PHRASES = {  # why a key changed, by the part that did; an absent key leaves no gap
    "code": "notebook code changed",
    "plan": "data plan changed",
    "profile": "profile section {key} changed",
    "fingerprint": "data folder {key} changed",
    "upstream": "upstream {key} changed",
    "made": "settings of {key} changed",
    "assets": "asset {key} changed",
    "files": "file {key} changed",
    "machine": "{key}: {before} -> {after}",
    "versions": "version of {key}: {before} -> {after}",
}


def canonical(parts: dict) -> str:
    """JSON with sorted keys: equal parts, equal text. Raises RunError: a value that JSON cannot
    hold."""
    try:
        return json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RunError(f"a key holds finite numbers, text, lists and maps only: {error}") from error


def digest(parts: dict) -> str:
    """The key of some parts, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions on which results depend, without a local suffix such as +cpu."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, **{package: installed(package) for package in PINNED}}


def code_hash(source: str, name: str) -> str:
    """Hash of Python source, blind to comments, layout and docstrings.

    >>> code_hash("x = 1  # one", "a") == code_hash("'''Doc.'''\\nx   = 1", "b")
    True
    """
    return _facts(source, name).code


@cache
def equal_code() -> dict[tuple[str, str], str]:
    """(module, hash of its code) -> hash of the earlier code whose results it gives."""
    content = yaml.safe_load(Path(__file__).with_name("equal_code.yaml").read_text("utf-8"))
    return {(row["module"], row["now"]): row["as"] for row in content}


def cells_hash(cells: list[str], name: str) -> str:
    """Hash of code cells, in order."""
    return digest({"cells": [code_hash(source, f"{name}, code cell") for source in cells]})


class Facts(NamedTuple):
    """What keys need of some source. A parse takes most of a key's time, so each text is parsed
    once in a process, for all of this."""

    code: str  # hash of the code
    imported: frozenset[str]  # dotted names that may be modules
    texts: frozenset[str]  # strings that may be names of data files


@cache
def _facts(source: str, name: str) -> Facts:
    tree = _parse(source, name)
    imported = frozenset(_imported(tree, name))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    texts = {t for t in texts if isinstance(t, str) and t.endswith(DATA_SUFFIXES) and "\n" not in t}
    dumped = ast.dump(_without_docstrings(tree))  # the last, because it changes the tree
    return Facts(hashlib.sha256(dumped.encode()).hexdigest(), imported, frozenset(texts))


def _parse(source: str, name: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise RunError(f"{name}, line {error.lineno}: {error.msg}") from error


def _imported(tree: ast.Module, name: str) -> set[str]:
    imported: set[str] = set()
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise RunError(f"{name}, line {node.lineno}: write an import with all names")
            # `from package import x`: x may be a module or a name in the package.
            imported |= {node.module, *(f"{node.module}.{x.name}" for x in node.names)}
    return imported


def _without_docstrings(tree: ast.Module) -> ast.Module:
    holders = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, holders) and node.body and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def _executed(tree: ast.Module) -> list[ast.AST]:
    """All nodes but those that only type checkers read: these cannot change a result."""
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # which grows
        typed = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        nodes += node.orelse if typed else ast.iter_child_nodes(node)
    return nodes


def notebook_cells(path: Path) -> tuple[list[str], list[str], list[str]]:
    """Sources of a py:percent notebook: its code cells above the line `LINE`, those below it, and
    the other cells.

    Read here and not by jupytext, whose import takes two seconds in each kernel. Raises RunError:
    the notebook does not exist."""
    if not path.is_file():
        raise RunError(f"notebook {path.name} does not exist in {path.parent}")
    _, *pieces = CELL.split(path.read_text(encoding="utf-8"))
    above, below, prose = [], [], []
    code = above
    for options, source in zip(pieces[::2], pieces[1::2], strict=True):
        is_prose = "[markdown]" in options
        (prose if is_prose else code).append(source.strip())
        code = below if is_prose and LINE in source else code
    return above, below, prose


class Library:
    """The source of one package. Each file is read once, so the keys of one process all describe
    the code that it started with, even if a file is edited meanwhile."""

    def __init__(self, folder: Path):
        self.folder, self.package = folder, folder.name
        self._files: dict[str, Path | None] = {}
        self._modules: dict[str, tuple[str, frozenset[str], dict[str, str]]] = {}

    def file(self, module: str) -> Path | None:
        """The file of a dotted module name, or None where the package has no such module."""
        package, *rest = module.split(".")
        if module == plugin.NAME:
            return plugin.path()
        if package != self.package:
            return None
        if module not in self._files:  # keys ask for the same modules thousands of times
            base = self.folder.joinpath(*rest)
            candidates = (base / "__init__.py", base.with_suffix(".py"))
            self._files[module] = next((path for path in candidates if path.is_file()), None)
        return self._files[module]

    def closure(self, *modules: str, drawing: bool = True) -> dict[str, str]:
        """Hashes of these modules, of all that they import from the package, and of data files.

        `modules`: dotted names; names outside the package are ignored. Without `drawing` the room
        that draws is left out. Returns sha256 by module name, or by relative path for data files.
        """
        hashes: dict[str, str] = {}
        waiting = [m for module in modules for m in self._with_parents(module)]
        while waiting:
            module = waiting.pop()
            draws = module.startswith(self.package + DRAWING)
            if module in hashes or (draws and not drawing):
                continue
            code, imports, data = self._read(module)
            hashes[module] = code
            hashes.update(data)
            waiting += [m for imported in imports for m in self._with_parents(imported)]
        return dict(sorted(hashes.items()))

    def imports(self, source: str, name: str) -> set[str]:
        """Modules of this library that some source imports, anywhere in it. Raises RunError: a
        relative import, which does not say of what."""
        return {name for name in _facts(source, name).imported if self.file(name)}

    def _with_parents(self, module: str) -> list[str]:
        """Importing a.b.c executes a, a.b and a.b.c; none of a module outside the package."""
        chain = accumulate(module.split("."), "{}.{}".format)
        return [name for name in chain if self.file(name)]

    def _read(self, module: str) -> tuple[str, frozenset[str], dict[str, str]]:
        if module not in self._modules:
            path = self.file(module)
            source = path.read_text(encoding="utf-8")
            facts = _facts(source, str(path))
            imports = frozenset(self.imports(source, str(path)))
            code = equal_code().get((module, facts.code), facts.code)
            self._modules[module] = (code, imports, self._data_files(facts.texts, path))
        return self._modules[module]

    def _data_files(self, texts: frozenset[str], path: Path) -> dict[str, str]:
        hashes, top = {}, self.folder.resolve()
        for text in sorted(texts):
            file = (path.parent / text).resolve()
            if file.is_file() and file.is_relative_to(top):
                name = file.relative_to(top.parent)
                hashes[name.as_posix()] = hashlib.sha256(file.read_bytes()).hexdigest()
        return hashes


def explain(old: dict, new: dict) -> list[str]:
    """Why two keys differ, one phrase for each part that changed."""
    reasons = []
    for part, (before, after) in _changes(old, new).items():
        if isinstance(before, dict) and isinstance(after, dict):
            reasons += [_phrase(part, key, *pair) for key, pair in _changes(before, after).items()]
        else:
            reasons.append(_phrase(part, "", before, after))
    return reasons


def _changes(old: dict, new: dict) -> dict[str, tuple]:
    """The values before and after, by name, where they differ; None for an absent one."""
    pairs = {name: (old.get(name), new.get(name)) for name in sorted({*old, *new})}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _phrase(part: str, key: str, before: object, after: object) -> str:
    if part == "modules":
        kind = "file" if "/" in key else "module"
        verb = "no longer used" if after is None else "new" if before is None else "changed"
        return f"{kind} {key} {verb}"
    text = PHRASES.get(part, f"{part}: {{before}} -> {{after}}")
    text = text.format(key=key, before=before, after=after).replace("  ", " ")
    if part == "profile" and isinstance(before, dict) and isinstance(after, dict):
        changes = [f"{k} {one} -> {other}" for k, (one, other) in _changes(before, after).items()]
        text += f" ({', '.join(changes[:3])}{', ...' if len(changes) > 3 else ''})"
    return text
