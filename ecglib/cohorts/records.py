"""The table of a cohort: one row for each ECG that was kept, and the quarantine of the others.

Columns: ecg_id, patient_id (never leave the cohort), unit, ecg (their public numbers), cohort,
source, place (position among the stored signals), site, age (years), sex ("F", "M" or ""), height
(cm), weight (kg), report, report_source, verified, n_valid (samples at 250 Hz), rate (original,
Hz), device, fold, quality and quality_I to quality_V6 (0 to 1), high_passed (leads), mains (Hz that
were flattened), clipped (names of the leads with clipped spikes), label_00 to label_76 (int8
states), split, tokenizer_train.
"""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import networkx
import numpy as np
import pandas as pd

from ecglib.cohorts import split
from ecglib.cohorts.quarantine import digest
from ecglib.cohorts.shards import write_shard
from ecglib.cohorts.store import FORMAT, LABEL_COLUMNS, QUARANTINE, SHARD, Cohort
from ecglib.signals.leads import LEADS, RATE, SAMPLES

QUALITY_COLUMNS = [f"quality_{lead}" for lead in LEADS]


def write_cohort(
    folder: Path, records: Iterable[dict], seed: int, source: str = "records"
) -> Cohort:
    """Write processed records as a cohort, one after another.

    Args:
        folder: an existing or new folder.
        records: dicts with ``signal`` (float32 (12, 2500) mV at 250 Hz), ``labels`` (int8 (77,)),
            ``ecg_id``, ``patient_id`` and whatever else of the table's columns is known.
        seed: draws the split and the public numbers ``unit`` and ``ecg``.
        source: what the manifest says about the origin.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept, shards, stream = [], [], iter(records)
    while chunk := list(islice(stream, SHARD)):
        shards.append(write_shard(folder, len(shards), [record["signal"] for record in chunk]))
        for record in chunk:
            known = {key: value for key, value in record.items() if key != "signal"}
            kept.append({"digest": digest(record["signal"])} | known)
    write_records(folder, kept, [], shards, seed, source)
    return Cohort.open(folder)


def write_records(
    folder: Path,
    kept: list[dict],
    rejected: list[dict],
    shards: list[dict],
    seed: int,
    source: str,
    official: bool = False,
    notes: list[str] | tuple[str, ...] = (),
) -> None:
    """Write the table, the quarantine and, last, ``cohort.json``.

    Args:
        folder: holds the shards already.
        kept: the records without signals, in the order in which their signals are stored.
        rejected: rows of the quarantine: file, reason, value.
        shards: file and number of ECGs of each shard.
        seed: draws the split and the public numbers.
        source: where the records are from.
        official: take the source's own folds instead of drawing a split.
        notes: what the source left out before any file was read.

    Raises:
        ValueError: where nothing was kept or two ECGs have one ecg_id.
    """
    if not kept:
        reasons = sorted({row["reason"] for row in rejected})
        raise ValueError(
            f"no ECG of the {source} source could be kept ({len(rejected)} rejected: "
            f"{', '.join(reasons) or 'none was found'}); see the data folder and its format"
        )
    once, again, joined = _without_repeats(kept)
    if joined:
        notes = [*notes, f"{joined} patient numbers share a signal with another: one person each"]
    frame = pd.DataFrame([_row(record) for record in once])
    labels = np.stack([np.asarray(record["labels"], np.int8) for record in once])
    frame = pd.concat([frame, pd.DataFrame(labels, columns=LABEL_COLUMNS)], axis=1)
    if frame["ecg_id"].duplicated().any():
        twice = int(frame["ecg_id"].duplicated().sum())
        raise ValueError(f"{twice} ECGs of the {source} source have the ecg_id of another one")
    frame.insert(4, "cohort", source)
    frame.insert(5, "source", source)
    frame["split"] = split.folds(frame, "fold") if official else split.assign(frame, seed)
    frame["tokenizer_train"] = frame["split"] == "train"
    write_manifest(folder, pseudonymise(frame, seed), [*rejected, *again], shards, source, notes)


def pseudonymise(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Give patients and ECGs their public numbers, which do not depend on the order of rows."""
    source = frame["source"].astype(str)
    for name, of, place in (("unit", "patient_id", 1), ("ecg", "ecg_id", 2)):
        identifiers = (source + "/" + frame[of].astype(str)).to_numpy(dtype=str)
        names, codes = np.unique(identifiers, return_inverse=True)
        frame[name] = np.random.default_rng([seed, place]).permutation(len(names))[codes]
    return frame


def write_manifest(
    folder: Path,
    frame: pd.DataFrame,
    rejected: list[dict],
    shards: list[dict],
    source: str,
    notes: list[str] | tuple[str, ...],
) -> None:
    """Write records.parquet, quarantine.csv and, last, cohort.json."""
    frame.to_parquet(folder / "records.parquet", index=False)
    quarantine = pd.DataFrame(rejected, columns=QUARANTINE)
    quarantine.to_csv(folder / "quarantine.csv", index=False, lineterminator="\n")
    manifest = {"format": FORMAT, "source": source, "rate": RATE, "samples": SAMPLES}
    manifest |= {"unit": "microvolt", "records": len(frame), "shards": shards}
    manifest["notes"] = list(notes)
    text = json.dumps(manifest, indent=1) + "\n"
    (folder / "cohort.json").write_text(text, encoding="utf-8")


def _without_repeats(kept: list[dict]) -> tuple[list[dict], list[dict], int]:
    """Each signal once, that of the smallest ecg_id, whatever the order of the records.

    Patient numbers that share a signal are one person, and become one: else a split by patient
    would part that person's ECGs.

    Returns:
        the records with their place among those stored; quarantine rows of the others; how many
        patient numbers were given up.
    """
    keeper: dict[str, dict] = {}
    for record in sorted(kept, key=lambda record: str(record["ecg_id"])):
        keeper.setdefault(record["digest"], record)
    both = [(str(r["patient_id"]), str(keeper[r["digest"]]["patient_id"])) for r in kept]
    persons = networkx.Graph([pair for pair in both if pair[0] != pair[1]])
    person = {p: min(group) for group in networkx.connected_components(persons) for p in group}
    once, again = [], []
    for place, record in enumerate(kept):
        first = keeper[record["digest"]]
        if record is not first:
            value = f"same signal as {file_of(first)}"
            again.append({"file": file_of(record), "reason": "repeated record", "value": value})
            continue
        patient = str(record["patient_id"])
        once.append(record | {"place": place, "patient_id": person.get(patient, patient)})
    return once, again, len(person) - len(set(person.values()))


def file_of(record: dict) -> str:
    """What the quarantine calls a record: its file, or its ecg_id where it is from none."""
    return str(record.get("file") or record["ecg_id"])


def _row(record: dict) -> dict:
    """The table's scalar columns of one record, with the empty value where a source lacks one."""
    missing = float("nan")
    row = {
        "ecg_id": str(record["ecg_id"]),
        "patient_id": str(record["patient_id"]),
        "unit": -1,
        "ecg": -1,
        "place": int(record["place"]),
        "site": str(record.get("site", "")),
        "age": float(record.get("age", missing)),
        "sex": str(record.get("sex", "")),
        "height": float(record.get("height", missing)),
        "weight": float(record.get("weight", missing)),
        "report": str(record.get("report", "")),
        "report_source": str(record.get("report_source", "")),
        "verified": bool(record.get("verified", False)),
        "n_valid": int(record.get("n_valid", SAMPLES)),
        "rate": float(record.get("rate", RATE)),
        "device": str(record.get("device", "")),
        "fold": int(record.get("fold", -1)),
        "quality": float(record.get("quality", missing)),
        "high_passed": int(record.get("high_passed", 0)),
        "mains": str(record.get("mains", "")),
        "clipped": str(record.get("clipped", "")),
    }
    scores = record.get("quality_leads", [missing] * len(LEADS))
    return row | {name: float(s) for name, s in zip(QUALITY_COLUMNS, scores, strict=True)}
