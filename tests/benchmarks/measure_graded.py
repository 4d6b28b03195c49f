"""Rates and P waves that `measure` gets wrong in hearts like those of the default cohort.

    bash run_all.sh bench measure_graded

Simulates one recording of each of 1,000 patients with graded severities, as in the default cohort,
and of as many with the clear ones of an earlier cohort ("enriched"), noise included. `value` is the
share of graded hearts whose measured rate is more than a fifth away from the true one, the
reference that share of the others. `pr_in` counts the hearts in atrial fibrillation or flutter in
which a PR interval is measured, where there is none, and `pr_lost` the hearts in conducted sinus
rhythm without one. Hearts with fewer than two beats have no rate and are left out. Nothing was
chosen by these numbers.
"""

import numpy as np
import pandas as pd
from _common import write

from ecglib.signals.measure import measure
from ecglib.simulator import recording_device, sample_heart
from ecglib.simulator.patients import DEVICES
from ecglib.simulator.waveform import beat_times, simulate

HEARTS, SEED = 1000, 2027
FAR = 0.2  # of the true rate
MARGIN = 0.1  # s at both ends where a beat may be cut


def heart(kind: str, index: int) -> dict:
    """Rhythm, true and measured rate (1/min), and measured PR (ms) of one simulated ECG."""
    rng = np.random.default_rng([SEED, index])
    person = sample_heart.draw_person("AB"[index % 2], kind, rng)
    state = sample_heart.draw_state(person, person.conditions, rng)
    devices = DEVICES[person.site]
    device = devices[index // 2 % len(devices)]
    times, _ = beat_times(state, np.random.default_rng([SEED, index, 1]))
    clean = simulate(state, device.rate, np.random.default_rng([SEED, index, 1]))
    ours = measure(recording_device.record(clean, device, rng), device.rate)
    inside = times[(times > MARGIN) & (times < 10 - MARGIN)]
    true = 60 / np.diff(inside).mean() if len(inside) > 1 else np.nan
    known = {"rhythm": state.rhythm, "conducted": bool(state.follows), "true": true}
    return known | {"measured": ours["heart_rate"], "pr": ours["pr"]}


def counts(kind: str) -> dict:
    """What is wrong among the hearts of one kind."""
    hearts = pd.DataFrame([heart(kind, index) for index in range(HEARTS)])
    hearts = hearts[hearts["true"].notna()]
    ratio, has_pr = hearts["measured"] / hearts["true"], hearts["pr"].notna()
    rhythm = hearts["rhythm"]
    sinus = (rhythm == "sinus") & hearts["conducted"]
    atria = {name: rhythm == name for name in ("afib", "flutter")}
    return {
        "hearts": len(hearts),
        "too_fast": int((ratio > 1 + FAR).sum()),
        "too_slow": int((ratio < 1 - FAR).sum()),
        "no_rate": int(ratio.isna().sum()),
        "far_by_rhythm": rhythm[(ratio - 1).abs() > FAR].value_counts().to_dict(),
        "pr_in": {
            k: {"hearts": int(v.sum()), "pr": int(has_pr[v].sum())} for k, v in atria.items()
        },
        "pr_lost": {"hearts": int(sinus.sum()), "without": int((sinus & ~has_pr).sum())},
    }


def main() -> None:
    """Count, print and write reports/benchmarks/measure_graded.json."""
    by = {kind: counts(kind) for kind in ("graded", "enriched")}
    far = {kind: (of["too_fast"] + of["too_slow"]) / of["hearts"] for kind, of in by.items()}
    result = {
        "value": far["graded"],
        "unit": "share of graded hearts with a measured rate more than a fifth off",
        "reference": {"what": "hearts with clear conditions", "value": far["enriched"]},
        "ratio": far["graded"] / far["enriched"],
        "by_kind": by,
    }
    write("measure_graded", result, ("numpy", "scipy"))


if __name__ == "__main__":
    main()
