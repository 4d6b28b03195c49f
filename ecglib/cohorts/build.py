"""Build a cohort: read or simulate, check, resample to 250 Hz, split, store.

The work is cut into chunks, one shard each, before it is dealt to the workers, so the files are
the same for any number of them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from ecglib.cohorts import mimic, ptbxl, synthetic
from ecglib.cohorts.quality import MIN_SECONDS, Problem, problem
from ecglib.cohorts.split import by_hash
from ecglib.cohorts.store import SHARD, write_records, write_shard
from ecglib.signals.leads import LEADS, RATE, SAMPLES
from ecglib.signals.resample import to_rate

if TYPE_CHECKING:
    from ecglib.training.device import Machine

SETTINGS = {
    "source": "synthetic",  # or "ptbxl", "mimic"
    "patients": 0,  # 0 = all of the folder; the simulator needs a number
    "sites": ["A", "B"],  # synthetic: the simulated hospitals
    "findings": [],  # synthetic: labels that may be drawn; empty = all that can be
    "translation": "",  # ptbxl: a CSV in the folder with ecg_id, report_en
    "reports": True,  # mimic: read machine_measurements.csv
    "min_seconds": MIN_SECONDS,
}
SOURCES = ("synthetic", "ptbxl", "mimic")


def build(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: "Machine") -> None:
    """Write the cohort that ``config`` describes into ``out`` (see ``ecglib.cohorts.store``).

    Args:
        out: folder of the cohort.
        inputs: ``{"data": root}`` for real recordings, ``{}`` for the simulator.
        config: keys of ``SETTINGS``; absent keys take the value there.
        seed: draws patients, split and public numbers.
        machine: ``machine.threads`` workers read and resample.

    Raises:
        ValueError: for an unknown key or source, or a source that yields no ECG.
        FileNotFoundError: where the data folder is not what the source expects.
    """
    out, settings = Path(out), check(config, inputs)
    out.mkdir(parents=True, exist_ok=True)
    root = Path(inputs["data"]) if "data" in inputs else None
    items = _items(settings, root, seed)
    chunks = [items[start : start + SHARD] for start in range(0, len(items), SHARD)]
    work = (delayed(_chunk)(out, n, c, settings, root, seed) for n, c in enumerate(chunks))
    workers = max(1, min(machine.threads, len(chunks)))
    results = Parallel(n_jobs=workers, return_as="generator")(work)
    kept, rejected, shards = [], [], []
    for good, bad, shard in tqdm(results, total=len(chunks), desc="shards", mininterval=2.0):
        kept += good
        rejected += bad
        shards += shard
    write_records(out, kept, rejected, shards, seed, settings["source"])


def example(config: dict, inputs: dict[str, Path], seed: int, index: int) -> dict:
    """Remake one ECG before and after processing, for a figure.

    Args:
        config, inputs, seed: as for ``build``.
        index: which file of the folder, or which patient of the simulator (the first ECG).

    Returns:
        ``raw`` float32 (12, k) mV at ``rate`` Hz, ``processed`` float32 (12, 2500) mV at 250 Hz,
        ``n_valid`` and ``leads``.

    Raises:
        ValueError: where there is no such item or the quality rules reject it.
    """
    settings = check(config, inputs)
    root = Path(inputs["data"]) if "data" in inputs else None
    items = _items(settings, root, seed)
    if not 0 <= index < len(items):
        raise ValueError(f"index {index} lies outside the {len(items)} items of the source")
    record = _read(items[index], settings, root, seed)[0]
    if isinstance(record.get("signal"), Problem):
        raise ValueError(f"{record['file']} is in the quarantine: {record['signal'].reason}")
    raw, rate = record["signal"], record["rate"]
    found = problem(raw, rate, settings["min_seconds"])
    if found:
        raise ValueError(f"{record['file']} is in the quarantine: {found.reason}")
    processed, n_valid = process(raw, rate)
    return {"raw": raw, "rate": rate, "processed": processed, "n_valid": n_valid, "leads": LEADS}


def process(signal: np.ndarray, rate: float) -> tuple[np.ndarray, int]:
    """Bring an ECG to the working rate and length.

    Args:
        signal: float32 (12, k) in mV.
        rate: samples per second.

    Returns:
        float32 (12, 2500) at 250 Hz, cropped at the end or padded there with zeros, and n_valid.
    """
    resampled = to_rate(signal, rate, RATE)[:, :SAMPLES]
    n_valid = resampled.shape[1]
    return np.pad(resampled, ((0, 0), (0, SAMPLES - n_valid))).astype(np.float32), n_valid


def check(config: dict, inputs: dict[str, Path]) -> dict:
    """Fill in the settings that ``config`` leaves out; a key or source unknown here is an error."""
    unknown = sorted(set(config) - set(SETTINGS))
    if unknown:
        raise ValueError(f"unknown cohort key {unknown[0]!r}; there are {', '.join(SETTINGS)}")
    settings = SETTINGS | config
    source = settings["source"]
    if source not in SOURCES:
        raise ValueError(f"unknown cohort source {source!r}; there are {', '.join(SOURCES)}")
    if source != "synthetic" and "data" not in inputs:
        raise ValueError(f"the {source} source needs a data folder; give it with --data-root DIR")
    if source == "synthetic" and settings["patients"] < 1:
        raise ValueError("the synthetic source needs the number of patients (key `patients`)")
    return settings


def _items(settings: dict, root: Path | None, seed: int) -> list:
    """List the units of work: patient numbers of the simulator, or described files."""
    if settings["source"] == "synthetic":
        return list(range(settings["patients"]))
    if settings["source"] == "ptbxl":
        records = ptbxl.records(root, settings["translation"])
    else:
        records = mimic.records(root, settings["reports"])
    if settings["patients"]:
        names = sorted({record["patient_id"] for record in records})
        chosen = {names[place] for place in by_hash(names, seed)[: settings["patients"]]}
        records = [record for record in records if record["patient_id"] in chosen]
    return records


def _read(item: dict | int, settings: dict, root: Path | None, seed: int) -> list[dict]:
    """Records of one item with ``signal`` in mV (a ``Problem`` where unreadable) and ``rate``."""
    if settings["source"] == "synthetic":
        records = synthetic.patient(
            seed, item, tuple(settings["sites"]), tuple(settings["findings"])
        )
        return [record | {"report_source": "template"} for record in records]
    source = {"ptbxl": ptbxl, "mimic": mimic}[settings["source"]]
    try:
        signal, rate = source.read(root, item["file"])
    except FileNotFoundError:
        return [item | {"signal": Problem("missing file", "")}]
    except ValueError as error:
        return [item | {"signal": Problem("unreadable file", str(error))}]
    labels = source.labels(item, root)
    return [item | {"signal": signal, "rate": rate, "labels": labels}]


def _chunk(
    out: Path, number: int, items: list, settings: dict, root: Path | None, seed: int
) -> tuple[list[dict], list[dict], list[dict]]:
    """Process one chunk: the kept records without signals, the rejected, and the shard."""
    kept, rejected, signals = [], [], []
    for record in (record for item in items for record in _read(item, settings, root, seed)):
        signal = record.pop("signal")
        found = signal if isinstance(signal, Problem) else None
        found = found or problem(signal, record["rate"], settings["min_seconds"])
        if found:
            name = record.get("file", record["ecg_id"])
            rejected.append({"file": name, "reason": found.reason, "value": found.value})
            continue
        processed, record["n_valid"] = process(signal, record["rate"])
        signals.append(processed)
        kept.append(record)
    return kept, rejected, [write_shard(out, number, signals)] if signals else []
