"""One 12-lead WFDB record as millivolts with the leads in order."""

import re
from pathlib import Path

import numpy as np
import wfdb

from ecglib.signals.leads import arrange
from ecglib.sources.checks import first_line, under

MILLIVOLTS = {"mv": 1.0, "uv": 0.001, "µv": 0.001, "μv": 0.001, "v": 1000.0}
# The third field of a signal's line: gain(baseline)/unit; WFDB means mV where no unit is given.
GAIN = re.compile(r"(?P<gain>-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\(-?\d+\))?(?:/(?P<unit>.+))?")


def read_record(root: Path, name: str) -> tuple[np.ndarray, float]:
    """Read a record by gain, unit and lead names of its header.

    Args:
        root: the data set's folder.
        name: path of the record under ``root``, without extension.

    Returns:
        float32 (12, n) in mV, leads arranged by name, and the rate in Hz. Samples that the file
        marks as invalid are NaN.

    Raises:
        FileNotFoundError: where the header or its data file is missing.
        ValueError: where the file cannot be decoded, states no rate or gain, has an unknown unit,
            lacks a lead or is named outside ``root``.
    """
    header = under(root, name).with_name(f"{Path(name).name}.hea")
    if not header.is_file():
        raise FileNotFoundError(f"{header} is missing although the data set's table names it")
    factors = _to_millivolts(name, header)
    try:
        record = wfdb.rdrecord(str(header.with_suffix("")), physical=True)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{header} names a signal file that is missing") from error
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: not a readable WFDB record ({first_line(error)})") from error
    if record.p_signal is None:
        raise ValueError(f"{name}: the header describes no signals")
    if not record.fs > 0:
        raise ValueError(f"{name}: the header states {record.fs:g} samples a second")
    signal = record.p_signal.T * np.array(factors)[:, None]
    return arrange(signal.astype(np.float32), record.sig_name), float(record.fs)


def _to_millivolts(name: str, header: Path) -> list[float]:
    """Factor of each signal from the header's own text.

    wfdb fills in 250 Hz for a missing rate and 200 units per mV for a missing gain, and drops the
    letter that tells a microvolt from a volt where it is no ASCII; so all three are read here.
    """
    text = header.read_bytes().decode("utf-8", errors="replace")
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    if not lines or len(lines[0]) < 3:
        raise ValueError(f"{name}: not a readable WFDB record (its header states no sampling rate)")
    if "/" in lines[0][0]:
        raise ValueError(f"{name}: a record of several segments; an ECG of ten seconds has one")
    if lines[0][1] != str(len(lines) - 1):
        raise ValueError(
            f"{name}: the header describes {len(lines) - 1} signals and announces {lines[0][1]}"
        )
    return [_factor(name, fields) for fields in lines[1:]]


def _factor(name: str, fields: list[str]) -> float:
    if Path(fields[0]).name != fields[0]:
        raise ValueError(f"{name}: the header leads to another folder ({fields[0]})")
    found = GAIN.fullmatch(fields[2].lower()) if len(fields) > 2 else None
    if not found or float(found["gain"]) == 0:
        raise ValueError(f"{name}: the header states no gain for the signal {fields[-1]!r}")
    unit = found["unit"] or "mv"
    if unit not in MILLIVOLTS:
        raise ValueError(f"{name}: unknown unit {unit!r}; known are mV, uV and V")
    return MILLIVOLTS[unit]
