"""Chunks of a cohort that is being built, stored so that a rerun makes only the missing ones.

    signals_00000.npy    int16 (k, 12, 2500) in microvolts: the ECGs that one chunk of work kept
    signals_00000.json   its record, written after the shard: the task of the chunk, the sha256 of
                         the shard, the kept records and the rejected files

Both are in the checkpoint folder of the step that builds the cohort. A chunk is made again unless
its record names the same task and the sha256 of the shard beside it. A file is renamed into its
place when it is complete.
"""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np

from ecglib.cohorts.store import microvolts
from ecglib.signals.leads import LEADS, SAMPLES

PART = ".part"  # ends the name of a file that is being written


def shard_name(number: int) -> str:
    """The name of a shard and of the record of its chunk, without the suffix."""
    return f"signals_{number:05d}"


def task_key(*parts: object) -> str:
    """Name the task of a chunk: the sha256 of plain data (settings, seed, items)."""
    return hashlib.sha256(_to_json(parts).encode()).hexdigest()


def write_shard(folder: Path, number: int, signals: list[np.ndarray]) -> dict:
    """Write signals (each (12, 2500) mV) as one shard.

    Returns its entry for ``cohort.json``: ``file``, ``records`` (ECGs) and ``sha256``. Raises
    ValueError: no signal, or one of another shape.
    """
    name = shard_name(number) + ".npy"
    shapes = {np.shape(signal) for signal in signals}
    if shapes != {(len(LEADS), SAMPLES)}:
        wrong = ", ".join(str(shape) for shape in sorted(shapes)) or "none"
        raise ValueError(f"{name}: expected ECGs of ({len(LEADS)}, {SAMPLES}), got {wrong}")
    buffer = io.BytesIO()
    np.save(buffer, microvolts(np.stack(signals)))
    content = buffer.getbuffer()
    _write_whole(Path(folder) / name, content)
    sha256 = hashlib.sha256(content).hexdigest()
    return {"file": name, "records": len(signals), "sha256": sha256}


def write_chunk(
    folder: Path,
    number: int,
    task: str,
    kept: list[dict],
    rejected: list[dict],
    signals: list[np.ndarray],
) -> dict:
    """Write the shard of a chunk, then its record.

    Args:
        folder: the checkpoint folder.
        number: names the files.
        task: its `task_key`.
        kept: the records, plain data and arrays, without signals.
        signals: float32 (12, 2500) mV for each of ``kept``.

    Returns the chunk as ``read_chunk`` will read it, so a rerun cannot differ from the first run.

    Raises:
        ValueError: a signal of another shape.
        TypeError: a record holds what JSON cannot.
    """
    shard = write_shard(folder, number, signals) if signals else None
    text = _to_json({"task": task, "shard": shard, "kept": kept, "rejected": rejected})
    _write_whole(Path(folder) / f"{shard_name(number)}.json", text.encode())
    return json.loads(text)


def read_chunk(folder: Path, number: int, task: str) -> dict | None:
    """Read a chunk that an earlier process finished; None where it has to be made.

    Returns ``kept`` (plain data, in the order of the shard), ``rejected`` and ``shard``, the
    shard's entry for ``cohort.json`` or None for no record.
    """
    path = Path(folder) / f"{shard_name(number)}.json"
    if not path.is_file():
        return None
    chunk = json.loads(path.read_text(encoding="utf-8"))
    shard, file = chunk["shard"], path.with_suffix(".npy")
    if shard and not file.is_file():
        return None
    whole = not shard or shard["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    return chunk if whole and chunk["task"] == task else None


def link_shards(checkpoint: Path, folder: Path, shards: list[dict | None]) -> list[dict]:
    """Link the shards into the cohort's folder, numbered without gaps in the order of the chunks.

    They stay in the checkpoint folder too, so that a kill before the step ends costs no chunk.

    Returns the entries for ``cohort.json``. Raises FileNotFoundError: a shard is missing; a worker
    wrote to another disk, for example.
    """
    entries: list[dict] = []
    for shard in (shard for shard in shards if shard is not None):
        source, name = Path(checkpoint) / shard["file"], f"{shard_name(len(entries))}.npy"
        if not source.is_file():
            raise FileNotFoundError(
                f"{source} is missing; all workers must see the folder {checkpoint} under this name"
            )
        hardlink_or_copy(source, Path(folder) / name)
        entries.append(shard | {"file": name})
    return entries


def hardlink_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, in place of any old file; copy it on a disk without links."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(source, target)


def _write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file under a temporary name and rename it, so that no reader sees half of it."""
    # A name of its own for each writer: a cluster may give one chunk to two workers.
    part = path.with_name(f"{path.name}.{uuid4().hex}{PART}")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _to_json(content: object) -> str:
    """JSON of plain data and numpy values; NaN is written as Python reads it."""
    return json.dumps(content, default=_plain, ensure_ascii=False, separators=(",", ":")) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be stored with a chunk: {value!r}")
