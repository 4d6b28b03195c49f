"""The table of a cohort: one row per ECG that was kept, and the quarantine of the others.

The columns are those of `EMPTY`, ``cohort``, ``source``, ``label_00`` to ``label_76`` (int8
states), ``split`` and ``tokenizer_train``.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import networkx
import numpy as np
import pandas as pd

from ecglib.cohorts import split
from ecglib.cohorts.shards import hardlink_or_copy
from ecglib.cohorts.store import FORMAT, LABEL_COLUMNS, QUARANTINE, Cohort
from ecglib.signals.leads import LEADS, RATE, SAMPLES

QUALITY_COLUMNS = [f"quality_{lead}" for lead in LEADS]
NAN = float("nan")
# The scalar columns in their order, with the value for a source that lacks one.
EMPTY: dict[str, object] = {
    "ecg_id": "",  # this and the next never leave the cohort
    "patient_id": "",
    "unit": -1,  # public number of the patient
    "ecg": -1,  # public number of the ECG
    "place": -1,  # position among the stored signals
    "site": "",
    "age": NAN,  # years
    "sex": "",  # "F", "M" or ""
    "height": NAN,  # cm
    "weight": NAN,  # kg
    "report": "",
    "report_source": "",
    "verified": False,
    "n_valid": SAMPLES,  # samples at 250 Hz
    "seconds": SAMPLES / RATE,  # length of the original recording, also where it was cut
    "rate": float(RATE),  # Hz, of the original recording
    "device": "",
    "dx": "",  # diagnosis codes of a WFDB header, as written there
    "fold": -1,
    "quality": NAN,  # 0 to 1; per lead in quality_I to quality_V6
    "high_passed": 0,  # leads
    "mains": "",  # Hz of the flattened lines
    "clipped": "",  # names of the leads with clipped spikes
}


def write_records(
    folder: Path,
    kept: list[dict],
    rejected: list[dict],
    shards: list[dict],
    seed: int,
    source: str,
    official: bool = False,
    notes: Sequence[str] = (),
) -> None:
    """Write the table, the quarantine and, last, ``cohort.json``.

    Args:
        folder: holds the shards already.
        kept: the records without signals, in the order of the stored signals.
        rejected: rows of the quarantine: file, reason, value.
        shards: entries of the manifest, from `shards.write_shard`.
        seed: draws the split and the public numbers.
        official: take the source's own folds instead of drawing a split.
        notes: sentences on records that the source left out or changed.

    Raises ValueError: nothing was kept, or two ECGs have the same ecg_id.
    """
    if not kept:
        reasons = sorted({row["reason"] for row in rejected})
        raise ValueError(
            f"no ECG of the {source} source could be kept ({len(rejected)} rejected: "
            f"{', '.join(reasons) or 'none'}); check the data folder and its format"
        )
    distinct, repeated, merged = _without_repeats(kept)
    if merged:
        notes = [*notes, f"{merged} patient numbers share a signal with another: one person each"]
    frame = pd.DataFrame([_row(record) for record in distinct])
    labels = np.stack([np.asarray(record["labels"], np.int8) for record in distinct])
    frame = pd.concat([frame, pd.DataFrame(labels, columns=LABEL_COLUMNS)], axis=1)
    if twice := int(frame["ecg_id"].duplicated().sum()):
        raise ValueError(
            f"{twice} ECGs of the {source} source have the ecg_id of another ECG; make it unique"
        )
    frame.insert(4, "cohort", source)
    frame.insert(5, "source", source)
    frame["split"] = split.folds(frame) if official else split.assign(frame, seed)
    frame["tokenizer_train"] = frame["split"] == "train"
    write_manifest(folder, pseudonymise(frame, seed), [*rejected, *repeated], shards, source, notes)


def pseudonymise(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Number patients and ECGs publicly (`unit`, `ecg`), whatever the order of the records."""
    source = frame["source"].astype(str)
    for name, of, stream in (("unit", "patient_id", 1), ("ecg", "ecg_id", 2)):
        identifiers = (source + "/" + frame[of].astype(str)).to_numpy(dtype=str)
        names, codes = np.unique(identifiers, return_inverse=True)
        frame[name] = np.random.default_rng([seed, stream]).permutation(len(names))[codes]
    return frame


def write_manifest(
    folder: Path,
    frame: pd.DataFrame,
    rejected: list[dict],
    shards: list[dict],
    source: str,
    notes: Sequence[str],
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


def write_beside(out: Path, cohort: Cohort, records: pd.DataFrame, note: str) -> None:
    """Write a cohort that differs from another in its table alone. Its shards are linked.

    Args:
        out: an empty folder.
        records: of all its ECGs, in the order of `cohort.records`.
        note: a sentence on what is different.
    """
    shards = cohort.manifest["shards"]
    for shard in shards:
        hardlink_or_copy(cohort.folder / shard["file"], out / shard["file"])
    notes, rejected = [*cohort.manifest["notes"], note], cohort.quarantine.to_dict("records")
    write_manifest(out, records, rejected, shards, cohort.manifest["source"], notes)


def _without_repeats(kept: list[dict]) -> tuple[list[dict], list[dict], int]:
    """Keep each signal once, that of the smallest ecg_id, whatever the order of the records.

    Patient numbers that share a signal are one person and become one number, so that a split by
    patient does not separate them.

    Returns the records with their place among those stored; quarantine rows of the others; the
    number of patient numbers that were merged into others.
    """
    keeper: dict[str, dict] = {}
    for record in sorted(kept, key=lambda record: str(record["ecg_id"])):
        keeper.setdefault(record["digest"], record)
    both = [(str(r["patient_id"]), str(keeper[r["digest"]]["patient_id"])) for r in kept]
    persons = networkx.Graph([pair for pair in both if pair[0] != pair[1]])
    person = {p: min(group) for group in networkx.connected_components(persons) for p in group}
    distinct, repeated = [], []
    for place, record in enumerate(kept):
        first = keeper[record["digest"]]
        if record is not first:
            value = f"same signal as {file_of(first)}"
            repeated.append({"file": file_of(record), "reason": "repeated record", "value": value})
            continue
        patient = str(record["patient_id"])
        distinct.append(record | {"place": place, "patient_id": person.get(patient, patient)})
    return distinct, repeated, len(person) - len(set(person.values()))


def file_of(record: dict) -> str:
    """The name of a record in the quarantine: its file, or its ecg_id if it has none."""
    return str(record.get("file") or record["ecg_id"])


def _row(record: dict) -> dict:
    """The scalar columns of one record, with the value of `EMPTY` where its source lacks one."""
    row = {name: type(empty)(record.get(name, empty)) for name, empty in EMPTY.items()}
    scores = record.get("quality_leads", [NAN] * len(LEADS))
    return row | {name: float(s) for name, s in zip(QUALITY_COLUMNS, scores, strict=True)}
