"""Build a cohort: read or simulate, check, clean, split, store.

The work is cut into chunks, one shard each, before it is dealt to the workers, so the files are
the same for any number of them. A killed build leaves whole chunks behind; the next one with the
same settings makes only those that are missing.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from ecglib.cohorts import long_recordings, shards, split
from ecglib.cohorts.label_table import relabel
from ecglib.cohorts.quarantine import (
    LARGEST_MV,
    SPIKE_SECONDS,
    Problem,
    clip_spikes,
    digest,
    problem,
)
from ecglib.cohorts.records import file_of, write_records
from ecglib.cohorts.settings import SETTINGS
from ecglib.cohorts.store import SHARD
from ecglib.cohorts.workers import run_chunks
from ecglib.labels.label_set import parse_labels
from ecglib.signals.clean import Cleaned, clean
from ecglib.signals.leads import SAMPLES
from ecglib.signals.quality import score
from ecglib.simulator import patients
from ecglib.simulator.conditions import prevalences
from ecglib.sources import code15, mhi, mimic, ptbxl, wfdb_folder

if TYPE_CHECKING:
    from ecglib.training.device import Machine

READERS = {"ptbxl": ptbxl, "mimic": mimic, "code15": code15, "mhi": mhi, "wfdb": wfdb_folder}
OF_READERS = ("codes", "axis", "states", "findings")  # of no use beside the labels
SPLITS = ("patients", "folds")


def build(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine") -> None:
    """Step: write the cohort that ``config`` describes (see ``ecglib.cohorts.store``).

    Args:
        out: folder of the cohort.
        inputs: ``{"data": root}`` for real recordings, ``{}`` for the simulator.
        config: keys of ``settings.SETTINGS``; absent keys take the value there.
        seed: draws patients, split and public numbers.
        machine: ``machine.threads`` workers read and clean, or those of the Dask cluster whose
            address the environment variable ``ECGLIB_DASK`` holds.

    Raises:
        ValueError: for an unknown key or source, or a source that yields no ECG.
        FileNotFoundError: where the data folder is not what the source expects.
    """
    out, settings = Path(out), check(config, inputs)
    scratch = (out / "checkpoint").resolve()
    root = Path(inputs["data"]).resolve() if "data" in inputs else None
    items, notes = _items(settings, root, seed)
    chunks = list(enumerate(items[start : start + SHARD] for start in range(0, len(items), SHARD)))
    scratch.mkdir(parents=True, exist_ok=True)
    work = partial(_chunk, scratch, settings, root, seed)
    found = run_chunks(work, chunks, machine.threads)
    done = list(tqdm(found, total=len(chunks), desc="shards", mininterval=2.0))
    kept = [record for chunk in done for record in chunk.kept]
    rejected = [row for chunk in done for row in chunk.rejected]
    stored = shards.link_shards(scratch, out, [chunk.shard for chunk in done])
    notes += long_recordings.notes(kept, settings["long_recordings"]) + _clipped(kept)
    official = settings["split"] == "folds"
    write_records(out, kept, rejected, stored, seed, settings["source"], official, notes)


def example(config: dict, inputs: dict[str, Path], seed: int) -> dict:
    """Read or remake the first usable ECG as it came, for a figure.

    Args:
        config, inputs, seed: as for ``build``.

    Returns:
        ``raw`` float32 (12, k) mV at ``rate`` Hz, ``processed`` float32 (12, 2500) mV at 250 Hz
        and ``n_valid``.

    Raises:
        ValueError: where the quality rules reject every ECG.
    """
    settings = check(config, inputs)
    root = Path(inputs["data"]) if "data" in inputs else None
    items, _ = _items(settings, root, seed)
    for item in items:
        record = _read(item, settings, root, seed)[0]
        raw, rate = record["signal"], record.get("rate", 0.0)
        if isinstance(raw, Problem) or problem(raw, rate, settings["min_seconds"]):
            continue
        raw, _ = clip_spikes(raw)
        processed, n_valid, _ = process(raw, rate)
        return {"raw": raw, "rate": rate, "processed": processed, "n_valid": n_valid}
    raise ValueError(f"none of the {len(items)} items of the {settings['source']} source is usable")


def process(signal: np.ndarray, rate: float) -> tuple[np.ndarray, int, Cleaned]:
    """Clean an ECG and bring it to the working length.

    Args:
        signal: float32 (12, k) in mV.
        rate: samples per second.

    Returns:
        float32 (12, 2500) at 250 Hz, cropped at the end or padded there with zeros; n_valid; and
        what the cleaning did.
    """
    cleaned = clean(signal, rate)
    cut = cleaned.signal[:, :SAMPLES]
    n_valid = cut.shape[1]
    padded = np.pad(cut, ((0, 0), (0, SAMPLES - n_valid))).astype(np.float32)
    return padded, n_valid, cleaned


def check(config: dict, inputs: dict[str, Path]) -> dict:
    """Fill in the settings that ``config`` leaves out; a key or source unknown here is an error."""
    unknown = sorted(set(config) - set(SETTINGS))
    if unknown:
        raise ValueError(f"unknown cohort key {unknown[0]!r}; there are {', '.join(SETTINGS)}")
    settings = SETTINGS | config
    source = settings["source"]
    if source != "synthetic" and source not in READERS:
        known = ", ".join(("synthetic", *READERS))
        raise ValueError(f"unknown cohort source {source!r}; there are {known}")
    if settings["split"] not in SPLITS:
        raise ValueError(f"unknown split {settings['split']!r}; there are {', '.join(SPLITS)}")
    if settings["long_recordings"] not in long_recordings.WAYS:
        ways = ", ".join(long_recordings.WAYS)
        raise ValueError(
            f"unknown value {settings['long_recordings']!r} of long_recordings; there are {ways}"
        )
    if source != "synthetic" and "data" not in inputs:
        raise ValueError(f"the {source} source needs a data folder; give it with --data-root DIR")
    if source == "synthetic" and settings["label_table"]:
        raise ValueError("the simulator knows its labels; key `label_table` is for real recordings")
    if source == "synthetic" and settings["patients"] < 1:
        raise ValueError("the synthetic source needs the number of patients (key `patients`)")
    if source == "synthetic":
        prevalences(settings["prevalence"], tuple(settings["conditions"]))
        parse_labels(settings["reported_labels"], "key `reported_labels`")
    return settings


def _items(settings: dict, root: Path | None, seed: int) -> tuple[list, list[str]]:
    """The units of work, patient numbers of the simulator or described files; notes on them."""
    source = settings["source"]
    if source == "synthetic":
        return list(range(settings["patients"])), []
    reader = READERS[source]
    records, notes = reader.records(root, **{name: settings[name] for name in reader.OPTIONS})
    nobody = sum(str(record["patient_id"]) in split.NOBODY for record in records)
    if nobody:
        raise ValueError(f"{nobody} ECGs of the {source} source name no patient; give each its own")
    if settings["patients"]:
        names = sorted({record["patient_id"] for record in records})
        chosen = {names[place] for place in split.by_hash(names, seed)[: settings["patients"]]}
        taken = [record for record in records if record["patient_id"] in chosen]
        if len(taken) < len(records):
            notes.append(
                f"the profile takes {len(chosen)} patients: {len(records) - len(taken)} ECGs of "
                f"{len(names) - len(chosen)} others are left out"
            )
        records = taken
    if settings["label_table"]:
        records = relabel(records, root / settings["label_table"])
        notes.append(f"the labels are those of {settings['label_table']}")
    return records, notes


def _read(item: dict | int, settings: dict, root: Path | None, seed: int) -> list[dict]:
    """Records of one item with ``signal`` in mV (a ``Problem`` where unreadable) and ``rate``."""
    if settings["source"] == "synthetic":
        records = patients.patient(
            seed,
            item,
            tuple(settings["sites"]),
            settings["prevalence"],
            tuple(settings["conditions"]),
            tuple(settings["reported_labels"]),
        )
        return [record | {"report_source": "template"} for record in records]
    source = READERS[settings["source"]]
    try:
        signal, rate = source.read(root, item["file"])
    except FileNotFoundError:
        return [item | {"signal": Problem("missing file", "")}]
    except (ValueError, OSError) as error:
        return [item | {"signal": Problem("unreadable file", str(error))}]
    labels = item["labels"] if "labels" in item else source.labels(item, root)
    record = item | {"signal": signal, "rate": rate, "labels": labels}
    return long_recordings.cut(record, settings["long_recordings"])


def _chunk(
    scratch: Path, settings: dict, root: Path | None, seed: int, chunk: tuple[int, list]
) -> shards.Chunk:
    """Make one chunk, or take over what an earlier build finished of it."""
    number, items = chunk
    task = shards.task_key(settings, str(root), seed, items)
    if done := shards.read_chunk(scratch, number, task):
        return done
    kept, rejected, signals = [], [], []
    for record in (record for item in items for record in _read(item, settings, root, seed)):
        signal = record.pop("signal")
        found = signal if isinstance(signal, Problem) else None
        found = found or problem(signal, record["rate"], settings["min_seconds"])
        if found:
            why = {"reason": found.reason, "value": found.value}
            rejected.append({"file": file_of(record)} | why)
            continue
        signal, clipped = clip_spikes(signal)
        processed, n_valid, cleaned = process(signal, record["rate"])
        signals.append(processed)
        known = {key: value for key, value in record.items() if key not in OF_READERS}
        known["clipped"] = " ".join(clipped)
        kept.append(known | {"n_valid": n_valid} | _noted(signal, record["rate"], cleaned))
    return shards.write_chunk(scratch, number, task, kept, rejected, signals)


def _noted(signal: np.ndarray, rate: float, cleaned: Cleaned) -> dict:
    """What the table says of a signal besides its labels."""
    quality = score(signal, rate)
    return {
        "digest": digest(signal),
        "quality": quality.record,
        "quality_leads": quality.leads,
        "high_passed": int(np.sum(cleaned.high_passed)),
        "mains": " ".join(f"{line:g}" for line in cleaned.mains),
    }


def _clipped(kept: list[dict]) -> list[str]:
    """Count the ECGs with clipped spikes; nothing where there is none."""
    count = sum(record["clipped"] != "" for record in kept)
    if not count:
        return []
    return [
        f"{count} ECGs reach beyond +-{LARGEST_MV} mV for at most {SPIKE_SECONDS:g} s of a lead; "
        "these spikes are clipped, and the column `clipped` names the leads"
    ]
