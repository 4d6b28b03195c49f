"""Building a cohort against cleaning alone: what the whole path of a real recording costs.

    bash run_all.sh bench cohort_rate

The whole path is `ecglib.cohorts.build` with one worker on a folder in the layout of PTB-XL: read
the table and each WFDB record (12 x 5000 at 500 Hz), check it, clean it, score its quality, write
shard and table. The reference is `clean` on the same arrays, read beforehand; `differing_ecgs`
counts stored ECGs that are not, to the microvolt, what it gives. The recordings are simulated.
`reading_share` is the part of the whole path that reading the WFDB records takes. Measuring the
stored ECGs (`measure_cohort`) is a step of its own: `measuring_share` is its part of both
steps together.

Times are processor time of this process, which runs on one core, so neither other work on the
machine nor waiting for its disk counts; `elapsed_per_second` is by the clock. All are timed in
turn, several times; the best counts.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb
from _common import write
from threadpoolctl import threadpool_limits

from ecglib.cohorts.build import build
from ecglib.cohorts.cohort_features import measure_cohort
from ecglib.cohorts.store import Cohort, microvolts
from ecglib.signals.clean import clean
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.simulator import patients
from ecglib.sources import ptbxl
from ecglib.training.device import Machine

ECGS, TURNS, ALL = 256, 3, 800_000  # a full shard
ONE = Machine("cpu", "float32", 1, "one core")


def write_tree(root: Path) -> list[str]:
    """Write simulated ECGs as PTB-XL stores them; returns their names under the root."""
    rows = []
    for record in islice(patients.patients(ECGS, seed=3, sites=("A",)), ECGS):
        number = len(rows) + 1
        name = f"records500/{number // 1000 * 1000:05d}/{number:05d}_hr"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        wfdb.wrsamp(
            Path(name).name,
            fs=record["rate"],
            units=["mV"] * 12,
            sig_name=list(LEADS),
            p_signal=record["signal"].T.astype(float),
            fmt=["16"] * 12,
            adc_gain=[1000.0] * 12,
            baseline=[0] * 12,
            write_dir=str((root / name).parent),
        )
        row = {"ecg_id": number, "patient_id": int(record["patient_id"][1:]), "filename_hr": name}
        row |= {"filename_lr": "", "age": record["age"], "sex": int(record["sex"] == "F")}
        rows.append(row | {"scp_codes": "{'NORM': 100.0}", "strat_fold": 1 + number % 10})
    pd.DataFrame(rows).to_csv(root / "ptbxl_database.csv", index=False)
    statements = ",description,diagnostic,form,rhythm\nNORM,normal ECG,1,,\n"
    (root / "scp_statements.csv").write_text(statements)
    return [row["filename_hr"] for row in rows]


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Processor time and time by the clock of one run, s."""
    begun, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - begun, time.perf_counter() - clock


def compare(cohort: Cohort, signals: list[np.ndarray]) -> int:
    """How many stored ECGs are not the cleaned array of the same number."""
    differing = 0
    for ecg_id, stored in zip(cohort.records["ecg_id"], cohort.signals(cohort.rows()), strict=True):
        cleaned = clean(signals[int(ecg_id) - 1], 500.0).signal[:, :SAMPLES]
        padded = np.pad(cleaned, ((0, 0), (0, SAMPLES - cleaned.shape[1])))
        differing += not np.array_equal(microvolts(stored), microvolts(padded))
    return differing


def run(folder: Path) -> dict:
    """Time all turns in an empty folder; returns the result."""
    names, config = write_tree(folder), {"source": "ptbxl"}
    signals = [ptbxl.read(folder, name)[0] for name in names]
    whole, alone, read, measured = [], [], [], []
    for turn in range(TURNS):
        out = folder / f"cohort{turn}"
        out.mkdir()
        whole.append(seconds(partial(build, out, {"data": folder}, config, 0, ONE)))
        alone.append(seconds(lambda: [clean(signal, 500.0) for signal in signals]))
        read.append(seconds(lambda: [ptbxl.read(folder, name) for name in names]))
        measured.append(seconds(partial(measure_cohort, out, {"cohort": out}, {}, 0, ONE)))
    cohort = Cohort.open(out)
    if len(cohort) != ECGS:
        raise ValueError(f"{len(cohort)} of {ECGS} ECGs were kept: not all were cleaned")
    built, cleaned, reading, measuring = (min(t)[0] for t in (whole, alone, read, measured))
    return {
        "value": ECGS / built,
        "unit": "recordings per second on one core, from WFDB files to the finished cohort",
        "reference": {"what": "`clean` alone on the same arrays", "value": ECGS / cleaned},
        "ratio": built / cleaned,
        "hours_800000_records": ALL * built / ECGS / 3600,
        "elapsed_per_second": ECGS / min(clock for _, clock in whole),
        "reading_share": reading / built,
        "measured_per_second": ECGS / measuring,
        "measuring_share": measuring / (built + measuring),
        "differing_ecgs": compare(cohort, signals),
        "ecgs": len(cohort),
        "input": list(signals[0].shape),
        "ecgs_with_mains": int((cohort.records["mains"] != "").sum()),
        "turns": TURNS,
    }


def main() -> None:
    """Measure, print and write reports/benchmarks/cohort_rate.json."""
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        result = run(Path(folder))
    write("cohort_rate", result, ("numpy", "scipy", "pandas", "wfdb"))


if __name__ == "__main__":
    main()
