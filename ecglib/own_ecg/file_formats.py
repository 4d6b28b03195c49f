"""What a file holds of an ECG, in the words of its format: WFDB, CSV, NumPy, DICOM.

Each reader returns the channels as they are, and says nothing where the file says nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from pydicom.errors import InvalidDicomError

from ecglib.signals.leads import LEADS
from ecglib.sources import wfdb_records
from ecglib.sources.file_checks import first_line, parse_sex
from ecglib.sources.wfdb_records import MILLIVOLTS, UNREADABLE

NO_WAVEFORM = (*UNREADABLE, NotImplementedError, InvalidDicomError)  # of a damaged DICOM file
UNREAD = {  # formats without a well-kept Python reader
    ".scp": "SCP-ECG",
    ".xml": "XML (HL7 aECG and others)",
    ".pdf": "PDF",
}


@dataclass
class Channels:
    """What a file holds: one row per channel, (k, n), in the unit `unit`; "" where it says none,
    and so for a rate of 0 and for no names."""

    values: np.ndarray
    names: list[str]
    rate: float = 0.0
    unit: str = ""
    age: float = np.nan
    sex: str = ""


def plain_name(name: str) -> str:
    """A lead's name in small letters, without what formats put around it: "Lead V1",
    "MDC_ECG_LEAD_V1", "V1 (mV)"."""
    return re.sub(r"(?i)^(mdc_ecg_)?lead[\s_]+|\s*[,(\[].*$", "", name.strip()).lower()


def _wfdb(file: Path) -> Channels:
    """A record of the WFDB format, by the reader of data sets before it asks for twelve leads: the
    header itself must state rate, gain and unit."""
    header = file.with_suffix(".hea")
    if not header.is_file():
        raise FileNotFoundError(f"{header} is missing; a WFDB record needs its header")
    lines = wfdb_records.header_lines(header)
    factors = wfdb_records.to_millivolts(str(header), lines)
    try:
        record = wfdb_records.read_physical(header, lines)
        values = record.p_signal.T * np.array(factors)[:, None]
    except UNREADABLE as error:
        raise ValueError(f"{header}: not a readable WFDB record ({first_line(error)})") from error
    comments = wfdb_records.header_comments(header.parent, header.stem)
    about = {"age": wfdb_records.noted_age(comments), "sex": parse_sex(comments.get("sex"))}
    return Channels(values, record.sig_name, float(record.fs), "mv", **about)


def _csv(file: Path) -> Channels:
    """A table with a column per lead, named as the lead, perhaps with a unit: "V1 (mV)"; and
    perhaps a column of times, "time (s)", "t (s)" or "time (ms)", from which the rate is taken.
    Columns are parted by commas, or by semicolons with decimal commas."""
    try:
        with file.open(encoding="utf-8-sig") as stream:
            is_german = ";" in stream.readline()
        marks = {"sep": ";", "decimal": ","} if is_german else {}
        table = pd.read_csv(file, encoding="utf-8-sig", **marks)
    except (ValueError, OSError) as error:
        raise ValueError(f"{file}: not a readable CSV ({first_line(error)})") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError(f"{file}: its rows have more values than its first row has names")
    table.columns = [str(name).strip() for name in table.columns]
    if table.empty:
        raise ValueError(f"{file} has no row of numbers")
    words = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    if words:
        text = f"{file}: expected numbers in the column {words[0]!r}, got words"
        raise ValueError(f"{text}; part columns by commas, or by semicolons with decimal commas")
    if all(re.fullmatch(r"[-+.\deE]+", name) for name in table):
        raise ValueError(f"{file}: its first row has numbers; write the names of the leads there")
    rate = 0.0
    if times := [name for name in table if re.match(r"time|t\s*[(\[]", name.lower())]:
        rate = _rate_of(file, times[0], table.pop(times[0]).to_numpy(dtype=float))
    names = [re.sub(r"\.\d+$", "", name) for name in table]  # pandas numbers repeated names
    units = {match[1] for name in names if (match := re.search(r"[(\[]\s*(\w+)\s*[)\]]$", name))}
    if not {plain_name(name) for name in names} & {lead.lower() for lead in LEADS}:
        names = []
    return Channels(table.to_numpy(dtype=float).T, names, rate, _one_unit(file, units))


def _one_unit(file: Path, units: set[str]) -> str:
    """The unit of all channels, or "" where none is stated."""
    if len(units) > 1 or not {unit.lower() for unit in units} <= set(MILLIVOLTS):
        got = ", ".join(sorted(units))
        raise ValueError(f"{file}: expected one unit of mV, uV and V, got {got}")
    return next(iter(units), "")


def _rate_of(file: Path, name: str, times: np.ndarray) -> float:
    """Samples per second of a column of times; 0 where its name has no unit. Raises ValueError:
    they are not evenly spaced. Times are rounded in most files, so the whole length counts."""
    unit = re.search(r"[(\[]\s*(ms|s|sec|seconds)\s*[)\]]", name.lower())
    if not unit or len(times) < 2:
        return 0.0
    step = (times[-1] - times[0]) / (len(times) - 1)
    if not (step > 0 and np.abs(np.diff(times) - step).max() < 0.75 * step):
        raise ValueError(f"{file}: expected evenly spaced times in the column {name!r}")
    rate = (1000 if unit[1] == "ms" else 1) / step
    return float(round(rate)) if abs(rate - round(rate)) < 5e-4 * rate else float(round(rate, 2))


def _npy(file: Path) -> Channels:
    """An array (k, n) or (n, k) of 12 channels at most."""
    try:
        values = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file}: not a readable array ({first_line(error)})") from error
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{file}: expected one array, got several; save the ECG alone")
    if values.ndim != 2 or min(values.shape) > len(LEADS) or values.dtype.kind not in "iuf":
        got = f"shape {values.shape} of {values.dtype}"
        raise ValueError(f"{file}: expected numbers (leads, samples), got {got}")
    values = values if values.shape[0] < values.shape[1] else values.T
    return Channels(values.astype(np.float64), [])


def _dicom(file: Path) -> Channels:
    """The first multiplex group of a DICOM waveform, scaled by the sensitivities of its channels;
    their names from the code meanings, such as "Lead V1"."""
    try:
        content = pydicom.dcmread(file)
        if not content.get("WaveformSequence"):
            raise ValueError("it holds no waveform")
        group, units = content.WaveformSequence[0], set()
        definitions = group.ChannelDefinitionSequence
        names = [str(one.ChannelSourceSequence[0].CodeMeaning) for one in definitions]
        for one in definitions:
            if stated := one.get("ChannelSensitivityUnitsSequence"):
                units.add(str(stated[0].CodeValue))
        values, rate = content.waveform_array(0).T, float(group.SamplingFrequency)
    except NO_WAVEFORM as error:
        text = f"{file}: not a readable DICOM waveform ({first_line(error)})"
        raise ValueError(text) from error
    age = re.fullmatch(r"(\d+)Y", str(content.get("PatientAge", "")))
    about = {"age": float(age[1]) if age else np.nan, "sex": str(content.get("PatientSex", ""))}
    about["sex"] = about["sex"] if about["sex"] in ("F", "M") else ""
    return Channels(values, names, rate, _one_unit(file, units), **about)


READERS: dict[str, Callable[[Path], Channels]] = {
    ".hea": _wfdb,
    ".dat": _wfdb,
    ".csv": _csv,
    ".npy": _npy,
    ".dcm": _dicom,
}
