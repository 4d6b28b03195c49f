"""Build a cohort: read or simulate ECGs, check, clean, split and store them.

The work is divided into chunks of one shard each, whatever the number of workers, so the files do
not depend on it. A killed build leaves whole chunks behind, and the next build with the same
settings makes only the missing ones.
"""

from collections import Counter
from functools import partial
from itertools import chain
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
from ecglib.sources import code15, mhi, mimic, ptbxl, wfdb_records

if TYPE_CHECKING:
    from ecglib.training.device import Machine

READERS = {"ptbxl": ptbxl, "mimic": mimic, "code15": code15, "mhi": mhi, "wfdb": wfdb_records}
UNSTORED = ("signal", "codes", "axis", "states", "findings")  # of a reader's record
SPLITS = ("patients", "folds")


def build(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine") -> None:
    """Step: write a cohort (see ``ecglib.cohorts.store``).

    The seed draws patients, split and public numbers. ``machine.threads`` workers read and clean,
    or those of a Dask cluster (see `run_chunks`).

    Inputs:
        data (optional): folder of real recordings; absent for the simulator.

    Config:
        source (optional): "synthetic" or one of `READERS`.
        patients (optional): the largest number; 0 for all, but the simulator needs a number.
        sites (optional): synthetic: the simulated hospitals.
        prevalence (optional): synthetic: how often people have each condition, "enriched" or
            "paper".
        conditions (optional): synthetic: the conditions that may be drawn; all if empty.
        reported_labels (optional): synthetic: slugs of the labels in reports; all if empty.
        noise (optional): synthetic: factor of muscle noise and wander; 1 is as in PTB-XL.
        translation (optional): ptbxl: a CSV in the folder with ecg_id and report_en.
        label_table (optional): not synthetic: a CSV in the folder (see `cohorts.label_table`).
        reports (optional): mimic: whether machine_measurements.csv is read.
        rate (optional): ptbxl: 500 or 100 Hz; 0 for the higher rate in the folder.
        parts (optional): code15: numbers of the parts; all if empty.
        table (optional): mhi: the Parquet table, if the folder holds several.
        columns (optional): mhi: role -> column, where it differs from `sources.mhi.COLUMNS`.
        verified (optional): mhi: only ECGs with a report that a physician confirmed.
        split (optional): "patients" draws by patient, "folds" takes those of the release.
        min_seconds (optional): shorter recordings are rejected.
        long_recordings (optional): "cut" keeps the first ten seconds, "windows" makes each whole
            ten seconds an ECG.

    Raises:
        ValueError: an unknown key or value, or a source that yields no ECG.
        FileNotFoundError: the data folder is not as the source expects.
    """
    out, settings = Path(out), check(config, inputs)
    scratch = (out / "checkpoint").resolve()
    root = Path(inputs["data"]).resolve() if "data" in inputs else None
    items, notes = _items(settings, root, seed)
    chunks = list(enumerate(items[start : start + SHARD] for start in range(0, len(items), SHARD)))
    scratch.mkdir(parents=True, exist_ok=True)
    work = partial(_chunk, scratch, settings, root, seed)
    results = run_chunks(work, chunks, machine.threads)
    results = list(tqdm(results, total=len(chunks), desc="shards", mininterval=2.0))
    kept = [record for chunk in results for record in chunk["kept"]]
    rejected = [row for chunk in results for row in chunk["rejected"]]
    stored = shards.link_shards(scratch, out, [chunk["shard"] for chunk in results])
    notes += long_recordings.notes(kept, settings["long_recordings"])
    if clipped := sum(record["clipped"] != "" for record in kept):
        notes.append(
            f"{clipped} ECGs reach beyond +-{LARGEST_MV} mV for at most {SPIKE_SECONDS:g} s of a "
            "lead; these spikes are clipped, and the column `clipped` names the leads"
        )
    official = settings["split"] == "folds"
    write_records(out, kept, rejected, stored, seed, settings["source"], official, notes)


def example(config: dict, inputs: dict[str, Path], seed: int) -> dict:
    """Read or simulate the first usable ECG of a `build`, for a figure.

    Returns ``raw`` float32 (12, k) mV at ``rate`` Hz, ``processed`` float32 (12, 2500) mV at 250
    Hz, ``n_valid`` and ``labels`` int8 (77,). Raises ValueError: the quarantine takes every ECG.
    """
    settings = check(config, inputs)
    root = Path(inputs["data"]) if "data" in inputs else None
    items, _ = _items(settings, root, seed)
    rejected: list[tuple[str, str]] = []
    for item in items:
        record, reason = _read(item, settings, root, seed)[0]
        if reason is None:
            raw, rate = clip_spikes(record["signal"])[0], record["rate"]
            processed, n_valid, _ = process(raw, rate)
            ecg = {"raw": raw, "rate": rate, "processed": processed, "n_valid": n_valid}
            return ecg | {"labels": record["labels"]}
        rejected.append((reason.reason, file_of(record)))
    text = f"none of the {len(items)} ECGs of the {settings['source']} source can be used"
    counts = Counter(reason for reason, _ in rejected).most_common()
    why = ", ".join(f"{count} {reason}" for reason, count in counts)
    why = f" ({why}; the first is {rejected[0][1]})" if rejected else ""
    raise ValueError(f"{text}{why}; check the folder {root or ''}".rstrip())


def process(signal: np.ndarray, rate: float) -> tuple[np.ndarray, int, Cleaned]:
    """Clean an ECG, float32 (12, k) mV at `rate` Hz, and bring it to the working length.

    Returns float32 (12, 2500) at 250 Hz, cropped at the end or padded there with zeros; n_valid;
    and the cleaning's own result.
    """
    cleaned = clean(signal, rate)
    cut = cleaned.signal[:, :SAMPLES]
    n_valid = cut.shape[1]
    padded = np.pad(cut, ((0, 0), (0, SAMPLES - n_valid))).astype(np.float32)
    return padded, n_valid, cleaned


def check(config: dict, inputs: dict[str, Path]) -> dict:
    """Complete the settings with their defaults; an unknown key or value is an error."""
    if unknown := sorted(set(config) - set(SETTINGS)):
        raise ValueError(f"unknown cohort key {unknown[0]!r}; valid: {', '.join(SETTINGS)}")
    settings = SETTINGS | config
    source = settings["source"]
    sources, ways = ("synthetic", *READERS), long_recordings.WAYS
    for key, values in (("source", sources), ("split", SPLITS), ("long_recordings", ways)):
        if settings[key] not in values:
            raise ValueError(
                f"unknown value {settings[key]!r} of cohort key `{key}`; valid: {', '.join(values)}"
            )
    if source != "synthetic":
        if "data" not in inputs:
            raise ValueError(f"the {source} source needs a data folder; give --data-root DIR")
        return settings
    if settings["label_table"]:
        raise ValueError("the simulator knows its labels; key `label_table` is for real recordings")
    if settings["patients"] < 1:
        raise ValueError("the synthetic source needs the number of patients (key `patients`)")
    if not (isinstance(settings["noise"], int | float) and settings["noise"] >= 0):
        raise ValueError(f"expected a factor of 0 or more as `noise`, got {settings['noise']!r}")
    prevalences(settings["prevalence"], tuple(settings["conditions"]))
    parse_labels(settings["reported_labels"], "key `reported_labels`")
    return settings


def _items(settings: dict, root: Path | None, seed: int) -> tuple[list, list[str]]:
    """The items of work, simulated patients' numbers or described files, and notes on them."""
    source = settings["source"]
    if source == "synthetic":
        return list(range(settings["patients"])), []
    reader = READERS[source]
    records, notes = reader.records(root, **{name: settings[name] for name in reader.OPTIONS})
    if lacking := sum(str(record["patient_id"]) in split.NO_PATIENT for record in records):
        raise ValueError(
            f"{lacking} ECGs of the {source} source name no patient; give each its own"
        )
    if settings["patients"]:
        names = sorted({record["patient_id"] for record in records})
        chosen = {names[index] for index in split.by_hash(names, seed)[: settings["patients"]]}
        whole, records = len(records), [r for r in records if r["patient_id"] in chosen]
        if len(records) < whole:
            notes.append(
                f"the profile takes {len(chosen)} patients: {whole - len(records)} ECGs of "
                f"{len(names) - len(chosen)} others are left out"
            )
    if settings["label_table"]:
        records = relabel(records, root / settings["label_table"])
        notes.append(f"the labels are those of {settings['label_table']}")
    return records, notes


def _read(
    item: dict | int, settings: dict, root: Path | None, seed: int
) -> list[tuple[dict, Problem | None]]:
    """Records of one item with ``signal`` in mV and ``rate``, each with the reason to reject it."""
    if settings["source"] == "synthetic":
        keys = ("sites", "conditions", "reported_labels")
        sites, conditions, reported = (tuple(settings[key]) for key in keys)
        kind, noise = settings["prevalence"], settings["noise"]
        records = patients.patient(seed, item, sites, kind, conditions, reported, noise)
        records = [record | {"report_source": "template"} for record in records]
    else:
        source = READERS[settings["source"]]
        try:
            signal, rate = source.read(root, item["file"])
        except FileNotFoundError:
            return [(item, Problem("missing file", ""))]
        except (ValueError, OSError) as error:
            return [(item, Problem("unreadable file", str(error)))]
        labels = item["labels"] if "labels" in item else source.labels(item, root)
        record = item | {"signal": signal, "rate": rate, "labels": labels}
        records = long_recordings.cut(record, settings["long_recordings"])
    shortest = settings["min_seconds"]
    return [(record, problem(record["signal"], record["rate"], shortest)) for record in records]


def _chunk(
    scratch: Path, settings: dict, root: Path | None, seed: int, chunk: tuple[int, list]
) -> dict:
    """Make one chunk, or read it where an earlier build finished it."""
    number, items = chunk
    task = shards.task_key(settings, str(root), seed, items)
    if finished := shards.read_chunk(scratch, number, task):
        return finished
    kept, rejected, signals = [], [], []
    for record, reason in chain.from_iterable(_read(i, settings, root, seed) for i in items):
        if reason:
            rejected.append({"file": file_of(record)} | reason._asdict())
            continue
        signal, clipped = clip_spikes(record["signal"])
        processed, n_valid, cleaned = process(signal, record["rate"])
        signals.append(processed)
        quality = score(signal, record["rate"])
        row = {key: value for key, value in record.items() if key not in UNSTORED}
        row |= {"clipped": " ".join(clipped), "n_valid": n_valid, "digest": digest(signal)}
        row["seconds"] = record.get("recorded", signal.shape[1] / record["rate"])
        row |= {"quality": quality.record, "quality_leads": quality.leads}
        row["high_passed"] = int(np.sum(cleaned.filtered))
        row["mains"] = " ".join(f"{line.hertz:g}" for line in cleaned.lines)
        kept.append(row)
    return shards.write_chunk(scratch, number, task, kept, rejected, signals)
