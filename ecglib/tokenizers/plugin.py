"""A tokenizer or a system in one file outside the library: `--plugin FILE` names it.

The file is a module. One with a tokenizer has a class `Tokenizer` (the contract, and `from_saved`),
a step `fit` and its settings, `SETTINGS`; one with a system has `Prefix` and a step `initialise`
(`language.system`). Its code is executed, so use files that you trust.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

VARIABLE = "ECGLIB_PLUGIN"  # set by the option; the notebooks' kernels inherit it
NAME = "ecglib_plugin"  # of the module, whatever the file is called


def path() -> Path | None:
    """The file that was named, if any."""
    given = os.environ.get(VARIABLE)
    return Path(given).resolve() if given else None


def module() -> ModuleType | None:
    """The file as a module, if one was named.

    Raises:
        FileNotFoundError: it does not exist.
        ValueError: it is no Python file, or its code cannot be executed.
    """
    file = path()
    if file is None:
        return None
    if not file.is_file():
        raise FileNotFoundError(f"--plugin: {file} does not exist; give the path of a Python file")
    known = sys.modules.get(NAME)
    if known is None or known.__file__ != str(file):
        spec = importlib.util.spec_from_file_location(NAME, file)
        if spec is None:
            raise ValueError(f"--plugin: expected a file whose name ends in .py, got {file}")
        known = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(known)
        except (SyntaxError, ImportError, NameError, AttributeError, TypeError) as error:
            raise ValueError(f"--plugin: {file} cannot be executed ({error}); mend it") from error
        sys.modules[NAME] = known
    return known


def part(name: str) -> object | None:
    """What the file defines under a name, if there is such a file and such a definition."""
    return getattr(module(), name, None)


def system_module(kind: str) -> str:
    """The name of the module of a kind of system: one of `ecglib.language`, else the file that was
    named; empty where neither has it."""
    language = Path(__file__).parents[1] / "language"
    if kind.isidentifier() and (language / f"{kind}.py").is_file():
        return f"ecglib.language.{kind}"
    return NAME if getattr(part("Prefix"), "kind", None) == kind else ""
