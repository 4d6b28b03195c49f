"""A tenth of MIMIC-IV-ECG, simulated: time, memory and disk of steps that read whole cohorts.

    bash run_all.sh bench large_cohort

Some 8,000 and 80,000 ECGs go through six steps of notebooks 01 to 03, each in a process of its own
with two workers or threads: building the cohort, measuring its beats, codes of the committed RVQ
and FSQ, and one epoch of a classifier of signals and of one of RVQ's vectors, with validation and
scoring. Vectors of more than 2 GB lie in a file without a name, 40 kB per ECG, which `disk_gb` does
not count. `value` is the rate of building at the larger size, the reference that at the smaller.
`rates` are ECGs of the cohort per second by the clock. `peak_mb` is what the process, or one of its
workers, takes at most (MB, 1e6 bytes). `hours_800000` is the time of ten times as many at the
larger size's rates, `disk_gb_800000` their disk. Files of the smaller size may lie in the system's
cache. Simulating takes the place of reading: the benchmark `cohort_rate` reads WFDB files. Takes an
hour and 20 GB of disk.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _common import REPO, peak_bytes, write
from joblib.externals.loky import get_reusable_executor

from ecglib.classify.train_classifier import train
from ecglib.cohorts.build import build
from ecglib.cohorts.cohort_features import measure_cohort
from ecglib.cohorts.store import Cohort
from ecglib.run import arms, profiles
from ecglib.run.paths import Paths
from ecglib.tokenizers.encode import encode
from ecglib.training.device import Machine

PATIENTS = (6_430, 64_300)  # who have some 8,000 and 80,000 ECGs
MODELS, ALL = REPO / "reports" / "synthetic-laptop" / "models", 800_000
TWO = Machine("cpu", "float32", 2, "two cores")
CODED = {"tokenizer": "rvq", "codes": "rvq_codes"}


def steps(patients: int) -> dict[str, tuple[Callable, dict[str, str], dict]]:
    """Function, inputs and settings of each step, in order."""
    listed = arms.parts(profiles.load_profile(Paths.here(), "laptop"))
    once = {"epochs": 1, "label_share": 1.0}
    networks = {name: arms.config(listed[name]) | once for name in ("raw", "head_rvq")}
    cohort, batch = {"cohort": "cohort"}, {"batch": 64}
    simulated = {"source": "synthetic", "prevalence": "graded", "patients": patients}
    return {
        "cohort": (build, {}, simulated),
        "measurements": (measure_cohort, cohort, {}),
        "rvq_codes": (encode, cohort | {"tokenizer": "rvq"}, batch),
        "fsq_codes": (encode, cohort | {"tokenizer": "fsq"}, batch),
        "raw": (train, cohort, networks["raw"]),
        "head_rvq": (train, cohort | CODED, networks["head_rvq"]),
    }


def execute(folder: Path, name: str, patients: int) -> dict:
    """Execute one step on what the earlier ones wrote into the folder; seconds, and peak in MB."""
    function, inputs, config = steps(patients)[name]
    read = {k: MODELS / of if k == "tokenizer" else folder / of for k, of in inputs.items()}
    (folder / name).mkdir()
    begun = time.perf_counter()
    function(folder / name, read, config, 0, TWO)
    seconds = time.perf_counter() - begun
    shutil.rmtree(folder / name / "checkpoint", ignore_errors=True)  # as a run does
    get_reusable_executor().shutdown(wait=True)  # workers count when they have ended
    peak = max(peak_bytes(), peak_bytes(resource.RUSAGE_CHILDREN))
    return {"seconds": seconds, "peak_mb": peak / 1e6}


def size(folder: Path) -> float:
    """What a folder takes on the disk, GB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9


def measure(patients: int) -> dict:
    """ECGs, and of each step their number per second, MB at most and GB of disk.

    Raises CalledProcessError: a step failed."""
    with tempfile.TemporaryDirectory() as folder:
        rows = {}
        for name in steps(patients):
            command = [sys.executable, __file__, folder, name, str(patients)]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows[name] = json.loads(out.splitlines()[-1])
            print(patients, name, rows[name], file=sys.stderr, flush=True)
        count = len(Cohort.open(Path(folder) / "cohort"))
        return {
            "ecgs": count,
            "rates": {name: round(count / row["seconds"], 1) for name, row in rows.items()},
            "peak_mb": {name: round(row["peak_mb"]) for name, row in rows.items()},
            "disk_gb": {name: round(size(Path(folder) / name), 3) for name in rows},
        }


def main() -> None:
    """Measure both sizes, and write reports/benchmarks/large_cohort.json."""
    small, large = (measure(patients) for patients in PATIENTS)
    value, reference = large["rates"]["cohort"], small["rates"]["cohort"]
    result = {
        "value": value,
        "unit": f"ECGs per second, building a cohort of {large['ecgs']} simulated ones",
        "reference": {"what": f"the same of {small['ecgs']}", "value": reference},
        "ratio": value / reference,
        "small": small,
        "large": large,
        "hours_800000": {k: round(ALL / rate / 3600, 2) for k, rate in large["rates"].items()},
        "disk_gb_800000": {
            name: round(gb * ALL / large["ecgs"], 1) for name, gb in large["disk_gb"].items()
        },
    }
    write("large_cohort", result, ("numpy", "torch", "pandas", "pyarrow"))


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(execute(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
    else:
        main()
