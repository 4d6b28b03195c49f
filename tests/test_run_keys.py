"""Keys: the closure over imports, what counts in code, and why two keys differ."""

from pathlib import Path

import pytest

from ecglib.run import keys
from ecglib.run.errors import RunError


@pytest.fixture
def library(tmp_path: Path) -> keys.Library:
    """a imports b by three spellings, b names a data file, c stands alone; pkg has a submodule."""
    files = {
        "__init__.py": "",
        "a.py": "from lib import b\nimport lib.pkg.inner\nfrom .pkg import other\nimport json\n",
        "b.py": 'TABLE = "table.csv"\nABSENT = "absent.csv"\n',
        "table.csv": "x\n1\n",
        "d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lib.a\n",
        "c.py": "def f():\n    from lib.b import TABLE\n    return TABLE\n",
        "pkg/__init__.py": "",
        "pkg/inner.py": "from ..c import f\n",
        "pkg/other.py": "",
    }
    for name, content in files.items():
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return keys.Library(tmp_path / "lib")


def test_closure_is_transitive(library: keys.Library):
    """With packages on the way, relative imports, imports in functions, and data files."""
    assert list(library.closure("lib.a")) == [
        "lib",
        "lib.a",
        "lib.b",
        "lib.c",
        "lib.pkg",
        "lib.pkg.inner",
        "lib.pkg.other",
        "lib/table.csv",
    ]
    assert list(library.closure("lib.b")) == ["lib", "lib.b", "lib/table.csv"]
    assert library.closure("json") == {}
    assert list(library.closure("lib.d")) == ["lib", "lib.d"], "types are not executed"


def test_imports_of_a_notebook(library: keys.Library):
    source = "import numpy\nfrom lib.pkg import inner as i\nfrom lib.b import TABLE\n"
    assert library.imports(source, "nb") == {"lib.pkg", "lib.pkg.inner", "lib.b"}


@pytest.mark.parametrize(
    ("before", "after", "equal"),
    [
        ("x = 1", "x = 1  # one", True),
        ("x = 1", "x  =  1\n\n", True),
        ("def f():\n    return 1", 'def f():\n    """Doc."""\n    return 1', True),
        ("class A:\n    x = 1", "class A:\n    'Doc.'\n    x = 1", True),
        ("x = 1", "x = 2", False),
        ("def f():\n    return 1", "def f():\n    'Doc.'\n    'text'\n    return 1", False),
        ("x = 'a'", "x = 'b'", False),
    ],
)
def test_what_counts_as_code(before: str, after: str, equal: bool):
    assert (keys.code_hash(before, "a") == keys.code_hash(after, "b")) is equal


def test_digest_does_not_depend_on_order():
    assert keys.digest({"a": 1, "b": [1, 2]}) == keys.digest({"b": [1, 2], "a": 1})
    assert keys.digest({"a": 1}) != keys.digest({"a": 1.5})


def test_key_holds_plain_data_only():
    with pytest.raises(RunError, match="finite numbers"):
        keys.digest({"a": float("nan")})
    with pytest.raises(RunError, match="finite numbers"):
        keys.digest({"a": Path("x")})


def test_explain_names_the_part():
    old = {
        "seed": 0,
        "modules": {"lib.a": "1", "lib/rules.yaml": "1"},
        "profile": {"train": {"steps": 1}},
        "inputs": {"cohort": "k"},
    }
    new = {
        "seed": 0,
        "modules": {"lib.a": "2", "lib/rules.yaml": "2", "lib.b": "1"},
        "profile": {"train": {"steps": 2}},
        "inputs": {"cohort": "l"},
    }
    assert keys.explain(old, new) == [
        "input cohort changed",
        "module lib.a changed",
        "module lib.b new",
        "file lib/rules.yaml changed",
        "profile section train changed (steps 1 -> 2)",
    ]
    assert keys.explain(old, old) == []


def test_syntax_error_names_file_and_line():
    with pytest.raises(RunError, match=r"a\.py, line 2"):
        keys.code_hash("x = 1\ny = (", "a.py")
