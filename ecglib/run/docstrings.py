"""The docstring of a step function, read from its source: a profile is checked before any notebook
is executed, and without the seconds that the models' libraries take to load."""

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path

from ecglib.run.errors import RunError
from ecglib.tokenizers import plugin

PACKAGE = Path(__file__).parents[1]


def stand_in(name: str) -> Callable:
    """A function that does nothing, with module, name and docstring of the function `name` of the
    library ("ecglib.room.module.function"). Raises RunError: there is no such function."""
    module, _, function = name.rpartition(".")
    if module == plugin.NAME:
        return of_plugin(function)
    texts = docstrings(module)
    if function not in texts:
        raise RunError(f"the library has no function {name}, which a part of the profile names")

    def stand() -> None:
        """Replaced below."""

    stand.__module__, stand.__qualname__, stand.__doc__ = module, function, texts[function]
    return stand


def of_plugin(name: str) -> Callable:
    """A function of the file of `--plugin`. Raises RunError: the file does not have it."""
    step = plugin.part(name)
    if step is None:
        raise RunError(f"{plugin.path()} has no {name}; docs/adding.md says what a file needs")
    return step


@cache
def docstrings(module: str) -> dict[str, str]:
    """The docstrings of the functions that a module of the library defines or imports from it, by
    name; empty where there is no such module."""
    file = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    if not file.is_file():
        return {}
    texts: dict[str, str] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            texts[node.name] = ast.get_docstring(node) or ""
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == PACKAGE.name:
            imported = docstrings(node.module)
            names = {one.asname or one.name: one.name for one in node.names}
            texts |= {own: imported[of] for own, of in names.items() if of in imported}
    return texts
