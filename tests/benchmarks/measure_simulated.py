"""Measurement against simulated hearts whose truth is known, and beats against wfdb's detectors.

    bash run_all.sh bench measure_simulated

`agreement` holds bias and 95 % limits of agreement of every measure, `agreement_by_group` those of
the intervals where they are hard, `agreement_by_condition` those of hearts with one condition each.
`beats` counts QRS complexes found by our detector (all leads) and by wfdb's XQRS and GQRS (lead II)
on the same recordings. `value` is the number of recordings measured a second on one core; its
reference is XQRS, which finds the beats only. The limits of the delineation were set on hearts of
other seeds.
"""

import time

import numpy as np
import pandas as pd
from _common import write
from wfdb.processing import gqrs_detect, xqrs_detect

from ecglib.signals.agreement import agreement
from ecglib.signals.heartbeats import INDEPENDENT, r_peaks
from ecglib.signals.measure import MEASURES, measure
from ecglib.signals.resample import to_rate
from ecglib.simulator import recording_device, sample_heart
from ecglib.simulator.conditions import CONDITIONS
from ecglib.simulator.patients import DEVICES
from ecglib.simulator.truth import irregularity, truth
from ecglib.simulator.waveform import beat_times, simulate

HEARTS, SEED = 400, 2026
OF_A_CONDITION = 8  # hearts; "ventricular standstill" has none to measure
NEAR = 0.085  # s between a beat and what was found
EDGE = 0.15  # s at both ends where beats may be cut
CORE = ("heart_rate", "pr", "qrs", "qt", "qrs_axis")
DETECTORS = {
    "ours": lambda ecg, rate: r_peaks(ecg[INDEPENDENT], rate),
    "XQRS": lambda ecg, rate: xqrs_detect(ecg[1].astype(float), rate, verbose=False),
    "GQRS": lambda ecg, rate: gqrs_detect(ecg[1].astype(float), rate),
}


def heart(index: int) -> dict:
    """One noisy ECG, its state, the true beats and what it should measure."""
    rng = np.random.default_rng([SEED, index])
    person = sample_heart.draw_person("AB"[index % 2], "enriched", rng)
    state = sample_heart.draw_state(person, person.conditions, rng)
    device = DEVICES[person.site][index // 2 % len(DEVICES[person.site])]
    times, premature = beat_times(state, np.random.default_rng([SEED, index, 1]))
    clean = simulate(state, device.rate, np.random.default_rng([SEED, index, 1]))
    middle = times + np.where(premature, 0.074, state.qrs / 2)
    return {
        "state": state,
        "rate": device.rate,
        "ecg": recording_device.record(clean, device, rng),
        "beats": middle[(middle > EDGE) & (middle < 10 - EDGE)],
        "truth": truth(state, times[(times > 0.1) & (times < 9.9)]),
    }


def by_condition() -> pd.DataFrame:
    """Agreement of the intervals for every condition that can be simulated, noise included."""
    tables = []
    for name in (condition for condition in CONDITIONS if condition != "standstill"):
        measured, true = [], []
        for seed in range(OF_A_CONDITION):
            state, device = sample_heart.example_heart(name, seed=seed), DEVICES["B"][0]
            clean = simulate(state, device.rate, np.random.default_rng([SEED, seed, 2]))
            ecg = recording_device.record(clean, device, np.random.default_rng([SEED, seed, 3]))
            times, early = beat_times(state, np.random.default_rng([SEED, seed, 2]))
            inside = (times > 0.1) & (times < 9.9)
            measured.append(measure(ecg, device.rate))
            known = {"rr_rmssd": irregularity(times[inside], early[inside])}
            true.append(truth(state, times[inside]) | known)
        units = {key: MEASURES[key] for key in (*CORE, "rr_rmssd", "st_V2")}
        table = agreement(pd.DataFrame(measured), pd.DataFrame(true), units)
        tables.append(table.assign(condition=name))
    return pd.concat(tables)


def count_beats(detected: np.ndarray, true: np.ndarray) -> tuple[int, int]:
    """True beats that were not detected; detected beats that are none."""
    detected = detected[(detected > EDGE / 2) & (detected < 10 - EDGE / 2)]
    if not len(detected):
        return len(true), 0
    gaps = np.abs(detected[:, None] - true)
    # A beat in the margin is neither right nor wrong.
    inside = (detected > EDGE + NEAR) & (detected < 10 - EDGE - NEAR)
    missed = int((gaps.min(axis=0) >= NEAR).sum())
    return missed, int((inside & (gaps.min(axis=1) >= NEAR)).sum())


def judge_beats(cases: list[dict]) -> dict[str, dict]:
    """Sensitivity, precision and milliseconds of each detector."""
    table = {}
    for name, detect in DETECTORS.items():
        missed = false = 0
        begun = time.process_time()
        detected = [np.asarray(detect(case["ecg"], case["rate"])) for case in cases]
        seconds = time.process_time() - begun
        for peaks, case in zip(detected, cases, strict=True):
            wrong = count_beats(peaks / case["rate"], case["beats"])
            missed, false = missed + wrong[0], false + wrong[1]
        total = sum(len(case["beats"]) for case in cases)
        table[name] = {
            "beats": total,
            "missed": missed,
            "false": false,
            "sensitivity": 1 - missed / total,
            "precision": 1 - false / (total - missed + false),
            "ms_a_record": 1000 * seconds / len(cases),
        }
    return table


def groups(cases: list[dict]) -> dict[str, np.ndarray]:
    """Which hearts make measuring hard."""
    hearts = [case["state"] for case in cases]
    return {
        "narrow, sinus": np.array([s.qrs_type == "narrow" and s.rhythm == "sinus" for s in hearts]),
        "left bundle branch block": np.array([s.qrs_type == "lbbb" for s in hearts]),
        "right bundle branch block": np.array([s.qrs_type == "rbbb" for s in hearts]),
        "atrial fibrillation": np.array([s.rhythm == "afib" for s in hearts]),
        "PR above 200 ms": np.array([s.rhythm == "sinus" and s.pr > 0.2 for s in hearts]),
        "premature beats": np.array([s.premature > 0 for s in hearts]),
        "ST elevation": np.array([max(s.injury.values(), default=0.0) > 0 for s in hearts]),
        "low voltage": np.array([s.low_voltage is not None for s in hearts]),
    }


def rounded(table: pd.DataFrame) -> list[dict]:
    """Rows for JSON: three decimals, None for NaN."""
    return table.round(3).astype(object).where(table.notna(), None).to_dict("records")


def main() -> None:
    """Measure, print and write reports/benchmarks/measure_simulated.json."""
    drawn = [heart(index) for index in range(HEARTS)]
    cases = [case for case in drawn if len(case["beats"])]  # a standstill measures nothing
    true = pd.DataFrame([case["truth"] for case in cases])
    units = {name: unit for name, unit in MEASURES.items() if name in true}
    begun = time.process_time()
    ours = pd.DataFrame([measure(case["ecg"], case["rate"]) for case in cases])
    rate = len(cases) / (time.process_time() - begun)
    at_250 = pd.DataFrame([measure(to_rate(case["ecg"], case["rate"]), 250) for case in cases])
    core = {name: units[name] for name in CORE}
    by_group = []
    for name, member in groups(cases).items():
        by_group.append(agreement(ours[member], true[member], core).assign(group=name))
    beats = judge_beats(cases)
    reference = 1000 / beats["XQRS"]["ms_a_record"]
    result = {
        "value": rate,
        "unit": "recordings (12 x 10 s at 400 or 500 Hz) per second, one core",
        "reference": {"what": "wfdb XQRS, beats of lead II only", "value": reference},
        "ratio": rate / reference,
        "hearts": len(cases),
        "without_beats": HEARTS - len(cases),
        "beats": beats,
        "agreement": rounded(agreement(ours, true, units)),
        "agreement_at_250_hz": rounded(agreement(at_250, true, core)),
        "agreement_by_group": rounded(pd.concat(by_group)),
        "agreement_by_condition": rounded(by_condition()),
    }
    write("measure_simulated", result, ("numpy", "scipy", "wfdb"))


if __name__ == "__main__":
    main()
