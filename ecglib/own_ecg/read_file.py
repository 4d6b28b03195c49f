"""A recording from a file of the user's own, with what was understood of it.

Nothing is guessed. What a file does not say (the rate, the unit, the names of its leads) has to be
given, and a recording whose size fits no heart is refused, because its unit is wrong. Leads are
taken by name. Missing limb leads are computed from two of I, II and III.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import wfdb
from pydicom.errors import InvalidDicomError

from ecglib.signals.leads import LEADS, from_limb_and_chest
from ecglib.sources import wfdb_records
from ecglib.sources.file_checks import first_line, parse_sex
from ecglib.sources.wfdb_records import COMMENT, MILLIVOLTS, UNREADABLE

RATES = (100.0, 1000.0)  # Hz
LEAST_SECONDS, MOST_SECONDS = 3.0, 3600.0
SPAN = (0.1, 20.0)  # mV, between the percentiles 0.5 and 99.5 of a lead, the median over the leads
STANDARD = "standard"  # as --leads: the order of `LEADS`
LIMB = ("I", "II", "III")
UNITS = {unit: unit.replace("v", "V") for unit in MILLIVOLTS}
UNREAD = {  # formats without a well-kept Python reader
    ".scp": "SCP-ECG",
    ".xml": "XML (HL7 aECG and others)",
    ".pdf": "PDF",
}


@dataclass(frozen=True)
class Recording:
    """One recording: signal float32 (12, n) in mV, leads in the order of `LEADS`; rate in Hz; what
    was understood, in sentences; age in years (NaN: unknown) and sex (F, M or "")."""

    signal: np.ndarray
    rate: float
    notes: tuple[str, ...]
    age: float = np.nan
    sex: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.signal.shape[1] / self.rate


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


def read_file(file: Path, rate: float = 0.0, unit: str = "", leads: str = "") -> Recording:
    """Read a recording.

    Args:
        file: a WFDB record (with or without .hea), .csv, .npy or .dcm.
        rate: Hz, where the file does not say it.
        unit: mV, uV or V, where the file does not say it.
        leads: names of the channels in their order, joined by commas, or "standard"; where the
            file does not say them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown format, something that is neither in the file nor given, given twice
            with different values, or a recording that is no usable ECG.
    """
    file = Path(file)
    if not file.is_file() and file.with_name(f"{file.name}.hea").is_file():
        file = file.with_name(f"{file.name}.hea")
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist; give the path of a recording")
    kind = file.suffix.lower()
    if kind in UNREAD:
        raise ValueError(
            f"{file}: {UNREAD[kind]} is not read, for want of a well-kept Python reader; export "
            "the recording as DICOM, WFDB or CSV"
        )
    if kind not in READERS:
        raise ValueError(f"{file}: expected a file {', '.join(READERS)}, got {kind or 'no suffix'}")
    channels = READERS[kind](file)
    channels.rate = _agreed(file, "rate", channels.rate, rate, "--rate HZ")
    channels.unit = _agreed(file, "unit", channels.unit.lower(), unit.lower(), "--unit mV")
    if leads:
        channels.names = _named(file, channels, leads)
    if not channels.names:
        text = f"{file} names no leads; give them in its order with --leads"
        raise ValueError(f"{text} I,II,III,... (or --leads {STANDARD}: {', '.join(LEADS)})")
    if channels.unit not in MILLIVOLTS:
        raise ValueError(f"{file}: expected the unit mV, uV or V, got {channels.unit!r}")
    return _recording(file, channels)


def _agreed(file: Path, name: str, stated: object, given: object, option: str) -> object:
    """The value of the file, or the given one where it states none."""
    if stated and given and stated != given:
        raise ValueError(f"{file} states the {name} {stated}, not {given}; leave out {option}")
    if not stated and not given:
        raise ValueError(f"{file} does not state its {name}; give it with {option}")
    return stated or given


def _named(file: Path, channels: Channels, leads: str) -> list[str]:
    names = list(LEADS) if leads == STANDARD else [name.strip() for name in leads.split(",")]
    if len(names) != len(channels.values):
        got = f"{len(names)} names for {len(channels.values)} channels"
        raise ValueError(f"{file}: expected a name for each channel, got {got}; correct --leads")
    return names


def _recording(file: Path, channels: Channels) -> Recording:
    """Twelve leads in mV, checked."""
    low, high = RATES
    if not low <= channels.rate <= high:
        raise ValueError(f"{file}: expected {low:g} to {high:g} Hz, got {channels.rate:g}")
    seconds = channels.values.shape[1] / channels.rate
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        text = f"{LEAST_SECONDS:g} seconds to {MOST_SECONDS / 60:g} minutes"
        raise ValueError(f"{file}: expected {text} of ECG, got {seconds:.1f} s")
    signal, derived = _twelve(file, channels)
    signal = (signal * MILLIVOLTS[channels.unit]).astype(np.float32)
    span = np.nanquantile(signal, 0.995, axis=1) - np.nanquantile(signal, 0.005, axis=1)
    middle = float(np.median(span))
    if not SPAN[0] <= middle <= SPAN[1]:
        text = f"{file}: its leads span {middle:.3g} mV, where a heart gives {SPAN[0]} to {SPAN[1]}"
        raise ValueError(f"{text} mV; the unit {channels.unit!r} is wrong, or this is no ECG")
    notes = [
        f"{len(channels.values)} channels at {channels.rate:g} Hz, {seconds:.1f} s, in "
        f"{UNITS[channels.unit]}: {', '.join(channels.names)}.",
        f"The leads span {middle:.2f} mV (median).",
    ]
    if derived:
        notes.append(f"Computed from the other limb leads: {', '.join(derived)}.")
    return Recording(signal, float(channels.rate), tuple(notes), channels.age, channels.sex)


def _twelve(file: Path, channels: Channels) -> tuple[np.ndarray, list[str]]:
    """The leads in the order of `LEADS`, (12, n), and the names of those that were computed."""
    lower = [name.strip().lower() for name in channels.names]
    rows: dict[str, np.ndarray] = {}
    for lead in LEADS:
        if lower.count(lead.lower()) > 1:
            raise ValueError(f"{file} names the lead {lead} more than once")
        if lead.lower() in lower:
            rows[lead] = channels.values[lower.index(lead.lower())].astype(np.float64)
    chest = [lead for lead in LEADS if lead.startswith("V")]
    if len(set(LIMB) & set(rows)) < 2 or not set(chest) <= set(rows):
        missing = ", ".join(lead for lead in LEADS if lead not in rows)
        raise ValueError(
            f"{file}: expected V1 to V6 and two of I, II and III, got {', '.join(rows) or 'none'} "
            f"(without {missing}); limb leads can be computed, chest leads cannot"
        )
    one = rows["I"] if "I" in rows else rows["II"] - rows["III"]
    two = rows["II"] if "II" in rows else rows["I"] + rows["III"]
    computed = from_limb_and_chest(one, two, np.stack([rows[lead] for lead in chest]))
    derived = [lead for lead in LEADS if lead not in rows]
    stacked = [rows.get(lead, row) for lead, row in zip(LEADS, computed, strict=True)]
    return np.stack(stacked), derived


def _wfdb(file: Path) -> Channels:
    """A record of the WFDB format. Twelve leads are read as those of a data set are; of fewer, the
    header must say the same (`sources.wfdb_records`)."""
    header = file.with_suffix(".hea")
    if not header.is_file():
        raise FileNotFoundError(f"{header} is missing; a WFDB record needs its header")
    text = header.read_bytes().decode("utf-8", errors="replace").splitlines()
    lines = [line.split() for line in text if line.strip() and line[0] != "#"]
    comments = [match for line in text if (match := COMMENT.fullmatch(line.strip()))]
    comments = {match["name"].lower(): match["value"].strip() for match in comments}
    age = comments.get("age", "")
    about = {"age": float(age) if age.isdigit() else np.nan}
    about["sex"] = parse_sex(comments.get("sex"))
    if {lead.lower() for lead in LEADS} <= {line[-1].lower() for line in lines[1:]}:
        signal, rate = wfdb_records.read(header.parent, header.stem)
        return Channels(signal, list(LEADS), rate, "mv", **about)
    stated = [len(line) > 2 and re.match(r"[\d.]*[1-9]", line[2]) for line in lines]
    if not all(stated):
        raise ValueError(f"{header}: expected a rate and the gain of each signal, got none of one")
    try:
        record = wfdb.rdrecord(str(header.with_suffix("")), physical=True)
    except UNREADABLE as error:
        raise ValueError(f"{header}: not a readable WFDB record ({first_line(error)})") from error
    units = {unit.lower() for unit in record.units}
    if len(units) > 1:
        raise ValueError(f"{header}: expected one unit, got {', '.join(sorted(units))}")
    return Channels(record.p_signal.T, record.sig_name, float(record.fs), units.pop(), **about)


def _csv(file: Path) -> Channels:
    """A table with a column per lead, named as the lead, perhaps with a unit: "V1 (mV)"; and
    perhaps a column of times, "time (s)" or "time (ms)", from which the rate is taken."""
    try:
        table = pd.read_csv(file)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: not a readable CSV ({first_line(error)})") from error
    table.columns = [str(name).strip() for name in table.columns]
    words = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    if words:
        raise ValueError(f"{file}: expected numbers in the column {words[0]!r}, got words")
    rate, times = 0.0, [name for name in table if name.lower().startswith(("time", "t ("))]
    if times:
        rate = _rate_of(file, times[0], table.pop(times[0]).to_numpy(dtype=float))
    parts = [re.fullmatch(r"([^(\[]+?)\s*(?:[(\[]\s*(\w+)\s*[)\]])?", name) for name in table]
    names = [part[1] if part else name for part, name in zip(parts, table, strict=True)]
    units = {part[2] for part in parts if part and part[2]}
    if len(units) > 1:
        raise ValueError(f"{file}: expected one unit, got {', '.join(sorted(units))}")
    if not {name.lower() for name in names} & {lead.lower() for lead in LEADS}:
        names = []
    return Channels(table.to_numpy(dtype=float).T, names, rate, units.pop() if units else "")


def _rate_of(file: Path, name: str, times: np.ndarray) -> float:
    """Samples per second of a column of times. Raises ValueError: they are not evenly spaced."""
    steps = np.diff(times) / (1000 if "ms" in name.lower() else 1)
    step = np.median(steps)
    if not (step > 0 and np.abs(steps - step).max() < 0.1 * step):
        raise ValueError(f"{file}: expected evenly spaced times in the column {name!r}")
    return float(round(1 / step, 2))


def _npy(file: Path) -> Channels:
    """An array (k, n) or (n, k) of 8 to 12 channels."""
    try:
        values = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{file}: not a readable array ({first_line(error)})") from error
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
    except InvalidDicomError as error:
        raise ValueError(f"{file}: not a readable DICOM file ({first_line(error)})") from error
    if "WaveformSequence" not in content or not content.WaveformSequence:
        raise ValueError(f"{file}: expected a DICOM waveform, got a file without one")
    group = content.WaveformSequence[0]
    names, units = [], set()
    for channel in group.ChannelDefinitionSequence:
        meaning = str(channel.ChannelSourceSequence[0].CodeMeaning)
        names.append(re.sub(r"(?i)^lead\s+|\s*\(.*\)$", "", meaning).strip())
        if "ChannelSensitivityUnitsSequence" in channel:
            units.add(str(channel.ChannelSensitivityUnitsSequence[0].CodeValue).lower())
    if len(units) > 1:
        raise ValueError(f"{file}: expected one unit, got {', '.join(sorted(units))}")
    age = re.fullmatch(r"(\d+)Y", str(content.get("PatientAge", "")))
    about = {"age": float(age[1]) if age else np.nan, "sex": str(content.get("PatientSex", ""))}
    values = content.waveform_array(0).T
    about["sex"] = about["sex"] if about["sex"] in ("F", "M") else ""
    return Channels(values, names, float(group.SamplingFrequency), (units or {""}).pop(), **about)


READERS: dict[str, Callable[[Path], Channels]] = {
    ".hea": _wfdb,
    ".dat": _wfdb,
    ".csv": _csv,
    ".npy": _npy,
    ".dcm": _dicom,
}
