"""Shards written so that a process killed at any time leaves whole files or none.

    signals_00000.npy    int16 (k, 12, 2500) in microvolts: the ECGs that one chunk of work kept
    signals_00000.json   the proof that the chunk is finished: what it was asked to do, the sha256
                         of the shard, the kept records, the rejected files

A file is written under a name of its own (``*.part``), forced to the disk, and renamed. Renaming
within a folder is atomic: a reader sees the old file, the new one, or none, never a part of one.
The proof is written after its shard, so a shard without proof counts as not made.

While a cohort is being built both lie in a scratch folder; a rerun with the same task takes over
the finished chunks. ``link_shards`` then links the shards into the cohort's folder; only when the whole
cohort stands there may the scratch folder go.
"""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np

from ecglib.cohorts.store import microvolts
from ecglib.signals.leads import LEADS, SAMPLES

PART = ".part"  # ends the name of a file that is being written


class Chunk(NamedTuple):
    """What one chunk of work left: records without signals, rejected files, and the shard.

    ``kept`` holds plain data and ``labels`` as int8 (77,), in the order of the shard; ``shard`` is
    its entry for ``cohort.json`` (``file``, ``records``, ``sha256``), None where nothing was kept.
    """

    kept: list[dict]
    rejected: list[dict]
    shard: dict | None


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file that is never seen half: under another name, to the disk, then renamed.

    Raises:
        OSError: the disk is full or the folder is missing; the old file, if any, stays.
    """
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
    _sync_folder(path.parent)


def write_shard(folder: Path, number: int, signals: list[np.ndarray]) -> dict:
    """Write signals (each (12, 2500) mV) as one shard.

    Returns:
        its entry for ``cohort.json``: ``file``, ``records`` (ECGs) and ``sha256``.

    Raises:
        ValueError: no signal, or one of another shape.
    """
    name = shard_name(number) + ".npy"
    shapes = {np.shape(signal) for signal in signals}
    if shapes != {(len(LEADS), SAMPLES)}:
        found = ", ".join(str(shape) for shape in sorted(shapes)) or "none"
        raise ValueError(f"{name}: ECGs must be ({len(LEADS)}, {SAMPLES}), not {found}")
    buffer = io.BytesIO()
    np.save(buffer, microvolts(np.stack(signals)))
    content = buffer.getbuffer()
    write_whole(Path(folder) / name, content)
    digest = hashlib.sha256(content).hexdigest()
    return {"file": name, "records": len(signals), "sha256": digest}


def task(*parts: object) -> str:
    """Name what a chunk was asked to do: the sha256 of plain data (settings, seed, items)."""
    return hashlib.sha256(_text(parts).encode()).hexdigest()


def write_chunk(
    folder: Path,
    number: int,
    task: str,
    kept: list[dict],
    rejected: list[dict],
    signals: list[np.ndarray],
) -> Chunk:
    """Write a chunk's shard, then the proof that it is finished.

    Args:
        folder: the scratch folder.
        number: of the chunk, from 0; names its files.
        task: what ``task`` gave for it; a rerun with another task makes the chunk again.
        kept: the records, plain data and arrays, without signals.
        rejected: rows of the quarantine.
        signals: float32 (12, 2500) mV for each of ``kept``.

    Returns:
        the chunk as ``finished`` will read it, so a rerun cannot differ from the first run.

    Raises:
        ValueError: records and signals of different number, or a signal of another shape.
        TypeError: a record holds what JSON cannot.
    """
    folder = Path(folder)
    if len(kept) != len(signals):
        raise ValueError(f"chunk {number}: {len(kept)} records but {len(signals)} signals")
    shard = write_shard(folder, number, signals) if signals else None
    text = _text({"task": task, "shard": shard, "kept": kept, "rejected": rejected})
    write_whole(folder / f"{shard_name(number)}.json", text.encode())
    return _chunk(text)


def finished(folder: Path, number: int, task: str) -> Chunk | None:
    """A chunk that an earlier process finished, or None where it has to be made.

    Only a proof of the same task counts, and only with a shard of the proven bytes.
    """
    folder = Path(folder)
    proof = folder / f"{shard_name(number)}.json"
    if not proof.is_file():
        return None
    text = proof.read_text(encoding="utf-8")
    if json.loads(text)["task"] != task:
        return None
    chunk = _chunk(text)
    if chunk.shard is not None and _sha256(folder / chunk.shard["file"]) != chunk.shard["sha256"]:
        return None
    return chunk


def prepare_scratch(folder: Path, chunks: int) -> None:
    """Make the scratch folder ready for ``chunks`` chunks.

    Parts that a killed process left are removed, and files of chunks beyond the number.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known = {shard_name(number) for number in range(chunks)}
    for path in folder.iterdir():
        if path.suffix == PART or (path.stem.startswith("signals_") and path.stem not in known):
            path.unlink()


def link_shards(scratch: Path, folder: Path, shards: list[dict | None]) -> list[dict]:
    """Show the shards in the cohort's folder, numbered without gaps in the order of the chunks.

    They stay in the scratch folder too, as links to the same bytes, so that a kill before
    ``cohort.json`` is written costs no chunk; a disk without hard links gets copies. An older
    cohort of the folder ends with this: its table must never stand beside new shards.

    Args:
        scratch: where the chunks were written.
        folder: of the cohort.
        shards: the ``shard`` of each chunk.

    Returns:
        the entries for ``cohort.json``.

    Raises:
        FileNotFoundError: a shard is not there; a worker wrote to another disk, say.
    """
    scratch, folder, entries = Path(scratch), Path(folder), []
    for old in (folder / "cohort.json", *folder.glob("signals_*.npy")):
        old.unlink(missing_ok=True)
    for shard in (shard for shard in shards if shard is not None):
        source, name = scratch / shard["file"], f"{shard_name(len(entries))}.npy"
        if not source.is_file():
            raise FileNotFoundError(
                f"{source} is missing; all workers must see the folder {scratch} under this name"
            )
        hardlink_or_copy(source, folder / name)
        entries.append(shard | {"file": name})
    _sync_folder(folder)
    return entries


def hardlink_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name on the same disk; where that cannot be, copy it whole."""
    try:
        target.hardlink_to(source)
    except OSError:  # another disk, or one without hard links
        write_whole(target, source.read_bytes())


def shard_name(number: int) -> str:
    """The name of a shard and of its proof, without the ending."""
    return f"signals_{number:05d}"


def _chunk(text: str) -> Chunk:
    content = json.loads(text)
    for record in content["kept"]:
        if "labels" in record:
            record["labels"] = np.array(record["labels"], np.int8)
    return Chunk(content["kept"], content["rejected"], content["shard"])


def _text(content: object) -> str:
    """JSON of plain data and numpy values; NaN is written as Python reads it."""
    return json.dumps(content, default=_plain, ensure_ascii=False, separators=(",", ":")) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be kept in the proof of a chunk: {value!r}")


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Force a renamed entry to the disk, so that it outlives a power cut as well as a kill."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
