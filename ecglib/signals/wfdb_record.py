"""One 12-lead WFDB record as millivolts with the leads in order."""

from pathlib import Path

import numpy as np
import wfdb

from ecglib.signals.leads import arrange

MILLIVOLTS = {"mv": 1.0, "uv": 0.001, "µv": 0.001, "μv": 0.001, "v": 1000.0}


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
        ValueError: where the file cannot be decoded, has an unknown unit or lacks a lead.
    """
    header = Path(root) / f"{name}.hea"
    if not header.is_file():
        raise FileNotFoundError(f"{header} is missing although the data set's table names it")
    try:
        record = wfdb.rdrecord(str(header.with_suffix("")), physical=True)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{header} names a signal file that is missing") from error
    except (OSError, ValueError, IndexError, TypeError, KeyError) as error:
        raise ValueError(f"{name}: not a readable WFDB record ({_first_line(error)})") from error
    if record.p_signal is None or record.sig_name is None:
        raise ValueError(f"{name}: the header describes no signals")
    factors = [_millivolts(name, unit) for unit in record.units]
    signal = record.p_signal.T * np.array(factors)[:, None]
    return arrange(signal.astype(np.float32), record.sig_name), float(record.fs)


def _millivolts(name: str, unit: str) -> float:
    if unit.strip().lower() not in MILLIVOLTS:
        raise ValueError(f"{name}: unknown unit {unit!r}; known are mV, uV and V")
    return MILLIVOLTS[unit.strip().lower()]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
