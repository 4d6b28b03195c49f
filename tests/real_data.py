"""Where tests find recordings of people: only in folders that environment variables name."""

import os
from pathlib import Path

import pytest

WHAT = {
    "ECGLIB_PTBXL_MINI": "PTB-XL or a part of it",
    "ECGLIB_LUDB": "LUDB or a part of it",
    "ECGLIB_MIMIC_MINI": "MIMIC-IV-ECG or a part of it",
    "ECGLIB_MIMIC_TEXT": "machine_reports.csv of MIMIC-IV-ECG",
    "ECGLIB_CINC2011": "set-a-half.npz of the PhysioNet/CinC Challenge 2011",
}


def real(variable: str) -> Path | None:
    """The folder that the variable names; None where it is not set.

    Raises:
        ValueError: the variable names no folder; a wrong path must not look like a skipped test.
    """
    value = os.environ.get(variable)
    if value and not Path(value).is_dir():
        raise ValueError(f"{variable} names {value}, which is not a folder; correct or unset it")
    return Path(value) if value else None


def needs(variable: str) -> pytest.MarkDecorator:
    """Skips a test, with the reason, where the variable is not set."""
    reason = f"set {variable} to the folder of {WHAT[variable]}"
    return pytest.mark.skipif(real(variable) is None, reason=reason)
