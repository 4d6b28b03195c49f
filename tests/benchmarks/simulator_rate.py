"""How fast simulated records are made: heart, noise, 250 Hz and report on one core.

    bash run_all.sh bench simulator_rate

`value` counts records of `simulator.patients` of the default data plan, brought to 250 Hz;
`enriched` and `paper` are those of the other two plans, which draw all conditions. The reference
is the waveform alone, at the rates of the devices: no noise, no resampling, no labels, no report.
Its hearts are drawn by the law of `enriched`: `present_labels` holds the mean number of labels that
are present in a record of each side.

Times are processor time of this process on one core; the mixtures are timed in turn, several
times, and the best counts.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import yaml
from _common import REPO, write
from threadpoolctl import threadpool_limits

from ecglib.labels.label_set import PRESENT
from ecglib.signals.resample import to_rate
from ecglib.simulator import labels_from_heart, patients, sample_heart
from ecglib.simulator.waveform import simulate

PATIENTS, TURNS, SEED, TARGET = 200, 3, 11, 100
PLANS = {"default": "synthetic", "enriched": "synthetic_enriched", "paper": "synthetic_paper"}
# Keys of a plan that the simulator takes.
OF_PATIENTS = ("prevalence", "conditions", "reported_labels")


def mixture(plan: str) -> dict:
    """What a data plan asks of the simulator."""
    text = (REPO / "notebooks" / "data" / f"{plan}.yaml").read_text(encoding="utf-8")
    (cohort,) = yaml.safe_load(text)["cohorts"].values()
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in cohort.items()
        if key in OF_PATIENTS
    }


def whole(kind: dict) -> list[np.ndarray]:
    """Records as a cohort gets them, at 250 Hz."""
    records = patients.patients(PATIENTS, SEED, **kind)
    return [to_rate(record["signal"], record["rate"]) for record in records]


def hearts() -> list[tuple]:
    """State, sampling rate and number of first recordings, of the same law."""
    cases = []
    for index in range(PATIENTS):
        rng = np.random.default_rng([SEED, index])
        person = sample_heart.draw_person("AB"[index % 2], "enriched", rng)
        state = sample_heart.draw_state(person, person.conditions, rng)
        cases.append((state, (500, 400)[index % 2], index))
    return cases


def waveforms(cases: list[tuple]) -> list[np.ndarray]:
    """The clean waveforms of some hearts."""
    return [simulate(state, rate, np.random.default_rng(i)) for state, rate, i in cases]


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one run, s."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def present(labels: list[np.ndarray]) -> float:
    """Mean number of labels that are present."""
    return float((np.stack(labels) == PRESENT).sum(axis=1).mean())


def run() -> dict:
    """Time all mixtures and the reference; returns the result."""
    cases = hearts()
    mixtures = {name: mixture(plan) for name, plan in PLANS.items()}
    for work in (partial(whole, mixtures["enriched"]), partial(waveforms, cases[:20])):
        work()  # the chances of the conditions are found once
    best = dict.fromkeys((*mixtures, "reference"), np.inf)
    for _ in range(TURNS):
        for name, kind in mixtures.items():
            best[name] = min(best[name], seconds(partial(whole, kind)))
        best["reference"] = min(best["reference"], seconds(partial(waveforms, cases)))
    counts = {name: len(whole(kind)) for name, kind in mixtures.items()}
    drawn = patients.patients(PATIENTS, SEED, **mixtures["enriched"])
    of_records = [record["labels"] for record in drawn]
    of_hearts = [labels_from_heart.labels_of(state) for state, *_ in cases]
    rates = {name: counts[name] / best[name] for name in mixtures}
    reference = len(cases) / best["reference"]
    return {
        "value": rates["default"],
        "unit": "records (12 x 10 s, noise, 250 Hz, labels, report) per second, one core",
        "reference": {"what": "`simulate` alone, no noise, 400 or 500 Hz", "value": reference},
        "ratio": rates["default"] / reference,
        "target": TARGET,
        "enriched": rates["enriched"],
        "paper": rates["paper"],
        "records": counts,
        "present_labels": [present(labels) for labels in (of_records, of_hearts)],
        "patients": PATIENTS,
        "turns": TURNS,
    }


def main() -> None:
    """Measure, print and write reports/benchmarks/simulator_rate.json."""
    with threadpool_limits(1):
        result = run()
    write("simulator_rate", result)


if __name__ == "__main__":
    main()
