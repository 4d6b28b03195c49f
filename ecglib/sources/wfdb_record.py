"""One 12-lead WFDB record as millivolts with the leads in order."""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import wfdb

from ecglib.signals.leads import arrange
from ecglib.sources.file_checks import first_line, path_inside, require_file

MILLIVOLTS = {"mv": 1.0, "uv": 0.001, "µv": 0.001, "μv": 0.001, "v": 1000.0}
# The third field of a signal's line: gain(baseline)/unit; WFDB means mV where no unit is given.
GAIN = re.compile(r"(?P<gain>-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\(-?\d+\))?(?:/(?P<unit>.+))?")
NAME_FIELD = 8  # the name of a signal is the rest of its line from this field on
UNREADABLE = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)


def read_record(root: Path, name: str) -> tuple[np.ndarray, float]:
    """Read a record by gain, unit and lead names of its header.

    Args:
        root: the data set's folder.
        name: path of the record under ``root``, without extension.

    Returns:
        float32 (12, n) in mV, leads arranged by name, and the rate in Hz. Samples that the file
        marks as invalid are NaN.

    Raises:
        FileNotFoundError: the header or its signal file is missing.
        ValueError: the file cannot be decoded, states no rate or gain, has an unknown unit, lacks a
            lead or is named outside ``root``.
    """
    path = path_inside(root, name).with_name(f"{Path(name).name}.hea")
    header = require_file(path, "restore it, the data set's table names it")
    lines = _header_lines(header)
    factors = _to_millivolts(name, lines)
    try:
        record = _read_physical(header, lines)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{header} names a signal file that is missing") from error
    except UNREADABLE as error:
        raise ValueError(f"{name}: not a readable WFDB record ({first_line(error)})") from error
    if record.p_signal is None:
        raise ValueError(f"{name}: the header describes no signals")
    if not record.fs > 0:
        raise ValueError(f"{name}: the header states {record.fs:g} samples per second")
    signal = record.p_signal.T * np.array(factors)[:, None]
    return arrange(signal.astype(np.float32), record.sig_name), float(record.fs)


def signal_names(header: Path) -> list[str] | None:
    """Read the names of the signals from a header; None where it describes none by name."""
    names = [" ".join(fields[NAME_FIELD:]) for fields in _header_lines(header)[1:]]
    return names if any(names) else None


def _header_lines(header: Path) -> list[list[str]]:
    """Fields of the record line and of each signal line, without comments."""
    text = header.read_bytes().decode("utf-8", errors="replace")
    return [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]


def _read_physical(header: Path, lines: list[list[str]]) -> wfdb.Record:
    """Read the record by wfdb, which refuses a record name with an extension (``A01.mat 12 500``).

    Such a record is read from a copy whose header has the name without it.
    """
    if "." not in lines[0][0]:
        return wfdb.rdrecord(str(header.with_suffix("")), physical=True)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "record"
        renamed = [[copy.name, *lines[0][1:]], *lines[1:]]
        text = "\n".join(" ".join(fields) for fields in renamed) + "\n"
        copy.with_suffix(".hea").write_text(text, encoding="utf-8")
        for file in {fields[0] for fields in lines[1:]}:
            shutil.copyfile(header.with_name(file), copy.with_name(file))
        return wfdb.rdrecord(str(copy), physical=True)


def _to_millivolts(name: str, lines: list[list[str]]) -> list[float]:
    """Factor of each signal from the header's own text.

    wfdb fills in 250 Hz for a missing rate and 200 units per mV for a missing gain, and drops the
    letter that distinguishes a microvolt from a volt where it is no ASCII. So all three are read
    here.
    """
    if not lines or len(lines[0]) < 3:
        raise ValueError(f"{name}: not a readable WFDB record (its header states no sampling rate)")
    if "/" in lines[0][0]:
        raise ValueError(f"{name}: expected a record of one segment, got one of several")
    if lines[0][1] != str(len(lines) - 1):
        raise ValueError(
            f"{name}: the header describes {len(lines) - 1} signals and announces {lines[0][1]}"
        )
    return [_factor(name, fields) for fields in lines[1:]]


def _factor(name: str, fields: list[str]) -> float:
    if Path(fields[0]).name != fields[0]:
        raise ValueError(f"{name}: the header leads to another folder ({fields[0]})")
    gain = GAIN.fullmatch(fields[2].lower()) if len(fields) > 2 else None
    if not gain or float(gain["gain"]) == 0:
        raise ValueError(f"{name}: the header states no gain for the signal {fields[-1]!r}")
    unit = gain["unit"] or "mv"
    if unit not in MILLIVOLTS:
        raise ValueError(f"{name}: expected the unit mV, uV or V, got {unit!r}")
    return MILLIVOLTS[unit]
