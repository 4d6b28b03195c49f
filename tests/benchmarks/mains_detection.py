"""False alarms and misses of the mains detector, on simulated and on real ECGs.

    ECGLIB_PTBXL_MINI=<folder> bash run_all.sh bench mains_detection

Clean records are simulated with wander and muscle noise but no mains. A false alarm is a record in
which any line is found. Tones of several sizes and frequencies are planted through the electrodes
(so the limb leads stay consistent) or into one chest lead; a miss is a tone without a line within
0.15 Hz. The folder of the real records has PTB-XL's layout. Whether mains are in them is unknown,
so they give the rate of detections as such, false alarms at frequencies that no mains have, and
misses of planted tones.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from _common import data, write

from ecglib.signals import mains
from ecglib.signals.clean import clean
from ecglib.signals.leads import LEADS, from_electrodes
from ecglib.simulator import patients, recording_device, sample_heart
from ecglib.simulator.waveform import simulate
from ecglib.sources import ptbxl

CLEAN = 2000
FEWER = 500
PLANTED = 40
MICROVOLTS = (5, 10, 20, 50, 100)
HERTZ = (50.0, 49.9, 50.05, 60.0, 60.1, 100.0, 120.0)
SHAM = (35.0, 40.0, 44.0, 55.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 94.0, 106.0, 110.0, 115.0)
TOLERANCE = 0.15  # Hz


def simulated(count: int, muscle: float = 1.0, seed: int = 11) -> Iterator[tuple]:
    """Records (signal, rate) of both hospitals' devices with their mains hum taken away."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        site = "AB"[index % 2]
        person = sample_heart.draw_person(site, "enriched", rng)
        state = sample_heart.draw_state(person, person.conditions, rng)
        device = patients.DEVICES[site][0]
        device = replace(device, hum=0.0, muscle=muscle * device.muscle)
        yield (
            recording_device.record(simulate(state, device.rate, rng), device, rng),
            float(device.rate),
        )


def real(root: Path) -> list[tuple]:
    """All records (signal, rate) of a PTB-XL folder."""
    return [ptbxl.read(root, name) for name in ptbxl.read_table(root)["record"]]


def tone(
    shape: tuple, rate: float, hertz: float, where: str, rng: np.random.Generator
) -> np.ndarray:
    """A sinusoid (12, n) whose amplitude, root mean square over its leads, is 1."""
    time = np.arange(shape[1]) / rate
    wave = np.sin(2 * np.pi * (hertz * time + rng.random()))
    if where == "V2":
        return np.where(np.arange(len(LEADS))[:, None] == LEADS.index("V2"), wave, 0.0)
    leads = from_electrodes(rng.standard_normal((9, 1)) * wave).astype(float)
    return leads / np.sqrt(2 * (leads**2).mean())


def false_alarms(records: Iterator[tuple], seconds: float = 10.0) -> dict:
    """Share of clean records with any line; beside it that of the two-sd rule on its own."""
    detected = literal = count = 0
    for signal, rate in records:
        done = clean(signal[:, : round(seconds * rate)], rate)
        detected += bool(done.lines)
        literal += two_sd_alone(done.high_passed)
        count += 1
    return {
        "seconds": seconds,
        "records": count,
        "percent": 100 * detected / count,
        "percent_two_sd_rule_alone": 100 * literal / count,
    }


def two_sd_alone(signal: np.ndarray) -> bool:
    """Whether some bin of a line's band passes the paper's rule in some lead."""
    magnitude = np.abs(np.fft.rfft(signal.astype(float), axis=-1))
    hertz = mains.frequencies(signal.shape[-1])
    for centre in mains.line_frequencies(125.0):
        window = magnitude[:, np.abs(hertz - centre) <= mains.LOCAL]
        band = magnitude[:, np.abs(hertz - centre) <= mains.BAND]
        limit = window.mean(axis=1) + mains.DEVIATIONS * window.std(axis=1)
        if (band > limit[:, None]).any():
            return True
    return False


def misses(records: list[tuple]) -> list[dict]:
    """One row a frequency and place: percent missed by size, and what is left of 100 uV."""
    plain = [clean(*item).signal for item in records]
    rows = []
    for where in ("electrodes", "V2"):
        for hertz in HERTZ:
            row = {"where": where, "hertz": hertz, "records": len(records)}
            for size in MICROVOLTS:
                missed, left = 0, []
                for index, (signal, rate) in enumerate(records):
                    rng = np.random.default_rng([5, index, round(100 * hertz)])
                    added = size / 1000 * tone(signal.shape, rate, hertz, where, rng)
                    done = clean(signal + added, rate)
                    missed += not any(abs(x.hertz - hertz) < TOLERANCE for x in done.lines)
                    change = (done.signal - plain[index])[:, 25:-25]
                    change = change[LEADS.index("V2")] if where == "V2" else change
                    left.append(1000 * np.sqrt(2 * (change.astype(float) ** 2).mean()))
                row[f"percent_missed_{size}_uv"] = 100 * missed / len(records)
            row["microvolts_left_of_100"] = float(np.median(left))  # of the last, largest size
            rows.append(row)
    return rows


def detections(records: list[tuple]) -> dict:
    """Real records: how often each line is found, and how often one where no mains are."""
    names = mains.line_frequencies(125.0)
    detected, sham = np.zeros(len(names), int), np.zeros(len(SHAM), int)
    for signal, rate in records:
        done = clean(signal, rate)
        detected += [any(abs(x.hertz - hz) <= 1 for x in done.lines) for hz in names]
        chance = mains.find_lines(done.high_passed, rate / 2, SHAM)
        sham += [any(abs(x.hertz - hz) <= 1 for x in chance) for hz in SHAM]
    return {
        "records": len(records),
        "percent_found": {
            f"{hz:g}": 100 * k / len(records) for hz, k in zip(names, detected, strict=True)
        },
        "sham_frequencies": list(SHAM),
        "percent_found_at_a_sham_frequency": 100 * float(sham.mean()) / len(records),
    }


def main() -> None:
    """Measure, print and write reports/benchmarks/mains_detection.json."""
    records = real(data("ECGLIB_PTBXL_MINI", "PTB-XL or a part of it"))
    clean = false_alarms(simulated(CLEAN))
    result = {
        "value": clean["percent"],
        "unit": "percent of clean simulated records with a false alarm",
        "reference": {
            "what": "more than two sd above the local mean in any lead, nothing else",
            "value": clean["percent_two_sd_rule_alone"],
        },
        "ratio": clean["percent_two_sd_rule_alone"] / max(clean["percent"], 100 / CLEAN),
        "false_alarms": {
            "as_devices_are": clean,
            "four_times_the_muscle_noise": false_alarms(simulated(FEWER, muscle=4.0)),
            "a_tenth_of_the_muscle_noise": false_alarms(simulated(FEWER, muscle=0.1)),
            **{f"{s:g}_s": false_alarms(simulated(FEWER), s) for s in (2.0, 3.0, 5.0, 7.3)},
        },
        "misses_simulated": misses(list(simulated(PLANTED, seed=12))),
        "ptbxl": detections(records) | {"misses": misses(records[:PLANTED])},
    }
    write("mains_detection", result)


if __name__ == "__main__":
    main()
