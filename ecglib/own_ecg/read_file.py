"""A recording from a file of the user's own, with what was understood of it.

Nothing is guessed. What a file does not say (the rate, the unit, the names of its leads) has to be
given, and a recording whose size fits no heart is refused. Leads are taken by name. Missing limb
leads are computed from two of I, II and III.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecglib.own_ecg.file_formats import READERS, UNREAD, Channels, plain_name
from ecglib.signals.leads import LEADS, from_limb_and_chest
from ecglib.signals.resample import can_resample
from ecglib.sources.wfdb_records import MILLIVOLTS, OLDEST

RATES = (100.0, 1000.0)  # Hz
LEAST_SECONDS, MOST_SECONDS = 3.0, 3600.0
SPAN = (0.1, 20.0)  # mV, between the percentiles 0.5 and 99.5 of a lead, the median over the leads
STANDARD = "standard"  # as --leads: the order of `LEADS`
LIMB = ("I", "II", "III")
UNITS = {unit: unit.replace("v", "V") for unit in MILLIVOLTS}
SEXES = {"F": "female", "M": "male"}


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


def read_file(
    file: Path,
    rate: float = 0.0,
    unit: str = "",
    leads: str = "",
    age: float = np.nan,
    sex: str = "",
) -> Recording:
    """Read a recording.

    Args:
        file: a WFDB record (with or without .hea), .csv, .npy or .dcm.
        rate: Hz, where the file does not say it.
        unit: mV, uV or V, where the file does not say it.
        leads: names of the channels in their order, joined by commas, or "standard"; where the
            file does not say them.
        age, sex: years (beyond OLDEST: unknown), and F or M; instead of those of the file. The
            language models read them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown format, something that is neither in the file nor given, given
            although the file says it, or a recording that is no usable ECG.
    """
    file = Path(file)
    if file.is_dir():
        raise ValueError(f"{file} is a folder; give the path of a recording")
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
    if unit and unit.lower() not in MILLIVOLTS:
        raise ValueError(f"{file}: expected the unit mV, uV or V, got {unit!r}")
    channels = READERS[kind](file)
    channels.rate = _once(file, "rate", channels.rate, rate, "--rate HZ")
    channels.unit = _once(file, "unit", channels.unit.lower(), unit.lower(), "--unit mV")
    channels.names = _once(file, "leads", channels.names, _named(file, channels, leads), "--leads")
    channels.age = channels.age if np.isnan(age) else age
    channels.sex = sex or channels.sex
    return _recording(file, channels)


def _once(file: Path, name: str, stated: object, given: object, option: str) -> object:
    """The value that the file states, or else the given one; never both."""
    if stated and given and stated != given:
        raise ValueError(f"{file} states its {name} itself ({stated}); leave out {option}")
    if not stated and not given:
        order = f" I,II,III,... (or {STANDARD}: {', '.join(LEADS)})" if name == "leads" else ""
        raise ValueError(f"{file} does not state its {name}; give it with {option}{order}")
    return stated or given


def _named(file: Path, channels: Channels, leads: str) -> list[str]:
    """The names that were given, one per channel."""
    if not leads:
        return []
    names = list(LEADS) if leads == STANDARD else [name.strip() for name in leads.split(",")]
    if len(names) != len(channels.values):
        got = f"{len(names)} names for {len(channels.values)} channels"
        raise ValueError(f"{file}: expected a name for each channel, got {got}; correct --leads")
    return names


def _recording(file: Path, channels: Channels) -> Recording:
    """Twelve leads in mV, checked, and what is known of them in sentences."""
    low, high = RATES
    if not (low <= channels.rate <= high and can_resample(channels.rate)):
        text = f"{file}: expected {low:g} to {high:g} Hz, a round number, got {channels.rate:g}"
        raise ValueError(f"{text}; correct --rate, or the times of the file")
    seconds = channels.values.shape[1] / channels.rate
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        text = f"{LEAST_SECONDS:g} seconds to {MOST_SECONDS / 60:g} minutes"
        raise ValueError(f"{file}: expected {text} of ECG, got {seconds:.1f} s")
    signal, derived = _twelve(file, channels)
    signal = (signal * MILLIVOLTS[channels.unit]).astype(np.float32)
    if empty := [lead for lead, row in zip(LEADS, signal, strict=True) if np.isnan(row).all()]:
        raise ValueError(
            f"{file}: the lead {empty[0]} has no value; leave out what was not recorded"
        )
    span = np.nanquantile(signal, 0.995, axis=1) - np.nanquantile(signal, 0.005, axis=1)
    middle = float(np.median(span))
    if not SPAN[0] <= middle <= SPAN[1]:
        text = f"{file}: its leads span {middle:.3g} mV, where a heart gives {SPAN[0]} to {SPAN[1]}"
        raise ValueError(f"{text} mV; the unit {UNITS[channels.unit]} is wrong, or this is no ECG")
    age = channels.age if 0 <= channels.age <= OLDEST else np.nan
    who = f"age {age:.0f}" if np.isfinite(age) else "age unknown"
    notes = [
        f"{len(channels.values)} channels at {channels.rate:g} Hz, {seconds:.1f} s, in "
        f"{UNITS[channels.unit]}: {', '.join(channels.names)}.",
        f"The leads span {middle:.2f} mV (median); some 1 mV is usual.",
        f"The language models read: {who}, {SEXES.get(channels.sex, 'sex unknown')}.",
    ]
    if derived:
        notes.append(f"Computed from the other limb leads: {', '.join(derived)}.")
    return Recording(signal, float(channels.rate), tuple(notes), age, channels.sex)


def _twelve(file: Path, channels: Channels) -> tuple[np.ndarray, list[str]]:
    """The leads in the order of `LEADS`, (12, n), and the names of those that were computed."""
    plain = [plain_name(name) for name in channels.names]
    rows: dict[str, np.ndarray] = {}
    for lead in LEADS:
        if plain.count(lead.lower()) > 1:
            raise ValueError(f"{file} names the lead {lead} more than once")
        if lead.lower() in plain:
            rows[lead] = channels.values[plain.index(lead.lower())].astype(np.float64)
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
