"""A script of docs/, as its neighbours import it."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


def names_of(script: str) -> dict:
    """The names that a script of docs/ defines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        return runpy.run_path(str(DOCS / script))
