"""Keys: the closure over imports, what counts in code, and why two keys differ."""

from pathlib import Path

import pytest

from ecglib.run import keys
from ecglib.run.errors import RunError

FILES = {  # a imports b by three spellings, b names a data file, c stands alone
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


def test_closure_is_transitive(tmp_path: Path):
    """With packages on the way, relative imports, imports in functions, and data files."""
    (tmp_path / "lib" / "pkg").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / "lib" / name).write_text(content)
    library = keys.Library(tmp_path / "lib")
    everything = "lib lib.a lib.b lib.c lib.pkg lib.pkg.inner lib.pkg.other lib/table.csv"
    assert " ".join(library.closure("lib.a")) == everything
    assert list(library.closure("lib.b")) == ["lib", "lib.b", "lib/table.csv"]
    assert library.closure("json") == {}
    assert list(library.closure("lib.d")) == ["lib", "lib.d"], "types are not executed"
    source = "import numpy\nfrom lib.pkg import inner as i\nfrom lib.b import TABLE\n"
    assert library.imports(source, "nb") == {"lib.pkg", "lib.pkg.inner", "lib.b"}


def test_what_counts_in_code_and_data():
    """Not comments, layout, docstrings, the file's name or the order of a mapping."""

    def code(*sources: str) -> int:
        """How many different hashes they have."""
        return len({keys.code_hash(source, f"{i}.py") for i, source in enumerate(sources)})

    assert code("x = 1", "x = 1  # one", "x  =  1\n\n") == 1
    assert code("x = 1", "x = 2", "x = 'a'", "x = 'b'") == 4
    assert code("class A:\n    x = 1", "class A:\n    'Doc.'\n    x = 1") == 1
    plain, documented = "def f():\n    return 1", 'def f():\n    """Doc."""\n    return 1'
    assert code(plain, documented) == 1
    assert code(plain, "def f():\n    'Doc.'\n    'text'\n    return 1") == 2
    with pytest.raises(RunError, match=r"a\.py, line 2"):
        keys.code_hash("x = 1\ny = (", "a.py")
    assert keys.digest({"a": 1, "b": [1, 2]}) == keys.digest({"b": [1, 2], "a": 1})
    assert keys.digest({"a": 1}) != keys.digest({"a": 1.5})
    for value in (float("nan"), Path("x")):
        with pytest.raises(RunError, match="finite numbers"):
            keys.digest({"a": value})


def test_explain_names_the_part():
    old = {"seed": 0, "profile": {"train": {"steps": 1}}, "inputs": {"cohort": "k"}}
    new = {"seed": 0, "profile": {"train": {"steps": 2}}, "inputs": {"cohort": "l"}}
    old["modules"] = {"lib.a": "1", "lib/rules.yaml": "1"}
    new["modules"] = {"lib.a": "2", "lib/rules.yaml": "2", "lib.b": "1"}
    assert keys.explain(old, new) == [
        "input cohort changed",
        "module lib.a changed",
        "module lib.b new",
        "file lib/rules.yaml changed",
        "profile section train changed (steps 1 -> 2)",
    ]
    assert keys.explain(old, old) == []
