"""One heart whose rhythm changes while it is recorded: a stream, and the windows a reader gets.

The parts of a stream are simulated for one person and joined by a short cross-fade. A beat at a
join may look odd. The stream is recorded and cleaned as a whole, and then cut into windows that
overlap.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts.quarantine import digest
from ecglib.cohorts.records import write_records
from ecglib.cohorts.shards import write_shard
from ecglib.cohorts.store import SHARD
from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.signals.clean import clean
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.simulator import recording_device, sample_heart
from ecglib.simulator.patients import DEVICES
from ecglib.simulator.rhythms import SECONDS
from ecglib.simulator.waveform import simulate

FADE = 0.04  # s of a cross-fade


def simulate_streams(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: object
) -> None:
    """Step: windows of streams as a cohort; `streams.npy` float32 (streams, 12, n) in mV, cleaned,
    at 250 Hz; and `windows.parquet`, a row per window.

    Columns: row, stream, condition (in the middle of the stream), start, end (samples), and from,
    to: the samples at which the cross-fades into the condition and out of it begin; each lasts
    `fade` samples.

    Config:
        conditions: names of conditions.csv; each is the middle of `streams` streams.
        streams: persons; the same ones for each condition.
        parts: pieces of ten seconds before, with and after the condition.
        step: samples from a window to the next.
    """
    lengths, fade = config["parts"], round(FADE * RATE)
    streams, records, windows, signals = [], [], [], []
    for condition in config["conditions"]:
        for number in range(config["streams"]):
            person, signal = _stream(condition, lengths, [seed, number])
            joined = [part * round(SECONDS * RATE) - fade * part for part in np.cumsum(lengths)]
            about = {"stream": len(streams), "condition": condition}
            about |= {"from": int(joined[0]), "to": int(joined[1]), "fade": fade}
            for start in range(0, signal.shape[1] - SAMPLES + 1, config["step"]):
                window = signal[:, start : start + SAMPLES]
                windows.append({"row": len(windows), "start": start, "end": start + SAMPLES})
                windows[-1] |= about
                signals.append(window)
                records.append(_record(person, number, len(windows), window))
            streams.append(signal)
    pieces = range(0, len(signals), SHARD)
    shards = [write_shard(out, i, signals[at : at + SHARD]) for i, at in enumerate(pieces)]
    shortest = min(signal.shape[1] for signal in streams)
    np.save(out / "streams.npy", np.stack([signal[:, :shortest] for signal in streams]))
    pd.DataFrame(windows).to_parquet(out / "windows.parquet", index=False)
    write_records(out, records, [], shards, seed, "streams")


def _stream(
    condition: str, lengths: list[int], seed: list[int]
) -> tuple[sample_heart.Person, np.ndarray]:
    """A person, and the cleaned recording (12, n) mV of their heart before, with and after."""
    rng = np.random.default_rng([*seed, 7])
    person, device = sample_heart.draw_person("A", "enriched", rng), DEVICES["A"][0]
    healthy = sample_heart.draw_state(person, frozenset(), rng)
    ill = sample_heart.draw_state(person, frozenset({condition}), rng)
    hearts = [healthy] * lengths[0] + [ill] * lengths[1] + [healthy] * lengths[2]
    joined = simulate(hearts[0], device.rate, rng)
    for heart in hearts[1:]:
        joined = _cross_fade(joined, simulate(heart, device.rate, rng), round(FADE * device.rate))
    return person, clean(recording_device.record(joined, device, rng), device.rate).signal


def _cross_fade(before: np.ndarray, after: np.ndarray, width: int) -> np.ndarray:
    """Two signals (12, n), the last `width` samples of one mixed with the first of the other."""
    share = (np.arange(width) + 0.5) / width
    mixed = (1 - share) * before[:, -width:] + share * after[:, :width]
    joined = [before[:, :-width], mixed.astype(before.dtype), after[:, width:]]
    return np.concatenate(joined, axis=1)


def _record(person: sample_heart.Person, number: int, window: int, signal: np.ndarray) -> dict:
    """The row of one window; its labels are not assessable, because the rhythm may change in it."""
    names = {"ecg_id": f"S{window:06d}", "patient_id": f"S{number:06d}"}
    about = {"site": person.site, "age": person.age, "sex": person.sex, "report": ""}
    states = np.full(len(LABELS), NOT_ASSESSABLE, np.int8)
    return names | about | {"n_valid": SAMPLES, "digest": digest(signal), "labels": states}
