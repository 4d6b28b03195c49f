"""How well do tokenizers that learned on simulated ECGs code real ones?

    export ECGLIB_PTBXL_MINI=<folder> ECGLIB_CINC2011=<folder>
    bash run_all.sh bench sim_to_real
    PYTHONPATH=. python tests/benchmarks/sim_to_real.py --keep <folder>   # can be interrupted

All five tokenizers are trained twice, on real ECGs and on as many simulated ones of the default
data plan, with the same steps and batches. The real ones are PTB-XL's folds 1 to 8 and half of the
ECGs that the PhysioNet/CinC Challenge 2011 marks as acceptable; folds 9 and 10 and the other half
are scored. Sizes are those of the profile `laptop`, steps a share of its steps (`STEPS`).

`ratio` is the mean PRD (percentage root-mean-square difference) over the scored ECGs with the
simulated ones over that with the real ones, of the tokenizer where it is largest. Its interval is
of a bootstrap over patients, each with both of its reconstructions.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from _cohort import write_cohort
from _common import REPO, data, write
from quality_cinc2011 import read

from ecglib.cohorts import build
from ecglib.cohorts.quarantine import clip_spikes, problem
from ecglib.cohorts.split import persons
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, reconstruction
from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE
from ecglib.run import arms
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_profile
from ecglib.tokenizers.load import load
from ecglib.tokenizers.tokenizer_parts import tokenizer_parts
from ecglib.training.device import Machine, choose_machine

SEED, LIMIT, BATCH = 0, 1.5, 32
STEPS = 0.25  # share of the profile's training steps
PLAN = REPO / "notebooks" / "data" / "synthetic.yaml"
METHODS = ("vq", "rvq", "qinco", "fsq", "bpe")
MADE_BY = ("simulated", "real")  # the ECGs that a tokenizer was trained on


def ptbxl(root: Path, scratch: Path, machine: Machine) -> Iterator[dict]:
    """PTB-XL's ECGs, processed; `scored` are those of folds 9 and 10."""
    build.build(scratch, {"data": root}, {"source": "ptbxl", "split": "folds"}, SEED, machine)
    cohort = Cohort.open(scratch)
    people = persons(cohort.records)
    signals, lengths = cohort.signals(cohort.rows()), cohort.records["n_valid"]
    for row, split in enumerate(cohort.records["split"]):
        name = f"ptbxl {row}"
        ecg = {"signal": signals[row], "n_valid": int(lengths[row]), "ecg_id": name}
        yield ecg | {"patient_id": f"ptbxl {people[row]}", "scored": split != "train"}


def challenge(root: Path) -> Iterator[dict]:
    """The acceptable ECGs of the challenge, processed; a drawn half is `scored`.

    Those that a cohort would reject are left out, as they are of PTB-XL.
    """
    signals, marks, ids, rate = read(root)
    rows = np.flatnonzero(marks)[np.argsort(ids[marks])]
    scored = np.zeros(len(marks), bool)
    scored[np.random.default_rng(SEED).permutation(rows)[: len(rows) // 2]] = True
    for row in rows:
        if problem(signals[row], rate):
            continue
        signal, n_valid, _ = build.process(clip_spikes(signals[row])[0], rate)
        name = f"challenge {ids[row]}"
        ecg = {"signal": signal, "n_valid": n_valid, "ecg_id": name, "patient_id": name}
        yield ecg | {"scored": bool(scored[row])}


def simulated(scratch: Path, count: int, machine: Machine) -> list[dict]:
    """So many simulated ECGs of the default data plan, of as many patients as it takes."""
    (settings,) = yaml.safe_load(PLAN.read_text(encoding="utf-8"))["cohorts"].values()
    build.build(scratch, {}, settings | {"patients": count}, SEED, machine)
    cohort = Cohort.open(scratch)
    rows = cohort.rows()[:count]
    signals, table = cohort.signals(rows), cohort.records
    return [
        {"signal": signals[row], "n_valid": int(table["n_valid"][row])}
        | {"ecg_id": str(row), "patient_id": table["patient_id"][row]}
        for row in rows
    ]


def store(folder: Path, ecgs: list[dict]) -> None:
    """Write processed ECGs as a cohort, all of it for training tokenizers."""
    unknown = {"labels": np.full(len(LABELS), NOT_ASSESSABLE, np.int8)}
    kept = [{k: v for k, v in ecg.items() if k != "scored"} | unknown for ecg in ecgs]
    table = write_cohort(folder, kept, SEED).records
    table.assign(tokenizer_train=True).to_parquet(folder / "records.parquet", index=False)


def cohorts(place: Path, roots: tuple[Path, Path], machine: Machine) -> None:
    """Write the cohorts `real` and `simulated`, of equal size, and `scored`."""
    if (place / "scored" / "cohort.json").is_file():
        return
    with tempfile.TemporaryDirectory() as scratch:
        for part in ("ptbxl", "simulated"):
            Path(scratch, part).mkdir()
        ecgs = [*ptbxl(roots[0], Path(scratch, "ptbxl"), machine), *challenge(roots[1])]
        trained = [ecg for ecg in ecgs if not ecg["scored"]]
        store(place / "real", trained)
        count = len(Cohort.open(place / "real"))  # without repeats
        store(place / "simulated", simulated(Path(scratch, "simulated"), count, machine))
        store(place / "scored", [ecg for ecg in ecgs if ecg["scored"]])


def trainings(place: Path, cohort: Path) -> Iterator[tuple]:
    """Step function, folder, inputs and config of each training, as notebook 02 has them."""
    for part in tokenizer_parts(load_profile(Paths.here(), "laptop")):
        config = arms.config(part)
        config |= {key: round(STEPS * config[key]) for key in config if key.endswith("steps")}
        inputs = {k: cohort if of == "cohort" else place / of for k, of in part.inputs.items()}
        yield arms.function(part), place / part.name, inputs, config


def errors(folder: Path, cohort: Cohort) -> pd.DataFrame:
    """PRD and the other errors of each ECG, by a saved tokenizer."""
    tokenizer, n_valid = load(folder), cohort.records["n_valid"].to_numpy()
    tables = []
    for start in range(0, len(cohort), BATCH):
        rows = cohort.rows()[start : start + BATCH]
        x, lengths = cohort.signals(rows), n_valid[rows]
        with torch.no_grad():
            codes = tokenizer.encode(torch.from_numpy(x), torch.from_numpy(lengths))
            y = tokenizer.decode(codes).numpy()
        tables.append(reconstruction.per_record(x, y, lengths))
    return pd.concat(tables, ignore_index=True).assign(unit=persons(cohort.records))


def compare(tables: dict[str, pd.DataFrame], rows: np.ndarray) -> dict:
    """Mean PRD of both trainings on some rows, and their ratio with its interval."""
    chosen = {name: table[rows] for name, table in tables.items()}
    totals = [bootstrap.sum_and_count(chosen[name], "prd_percent") for name in MADE_BY]
    value = bootstrap.of_totals(bootstrap.ratio, *totals, combine=np.divide, seed=SEED)
    result = {f"prd_percent_{name}": float(t["prd_percent"].mean()) for name, t in chosen.items()}
    result |= {f"median_{name}": float(t["prd_percent"].median()) for name, t in chosen.items()}
    return result | {"ratio": value.value, "low": value.low, "high": value.high}


def main() -> None:
    """Measure, print and write reports/benchmarks/sim_to_real.json."""
    roots = (
        data("ECGLIB_PTBXL_MINI", "PTB-XL or a part of it"),
        data("ECGLIB_CINC2011", "set-a-half.npz of the PhysioNet/CinC Challenge 2011"),
    )
    threads = torch.get_num_threads()
    machine = choose_machine({"device": "cpu", "dtype": "float32", "threads": threads})
    with contextlib.ExitStack() as stack:
        keep = sys.argv[sys.argv.index("--keep") + 1] if "--keep" in sys.argv else ""
        place = Path(keep or stack.enter_context(tempfile.TemporaryDirectory()))
        cohorts(place, roots, machine)
        for source in MADE_BY:
            for fn, folder, inputs, config in trainings(place / source, place / source):
                if not (folder / "done").is_file():
                    folder.mkdir(exist_ok=True)
                    fn(folder, inputs, config, SEED, machine)
                    (folder / "done").touch()
                    print(source, folder.name, flush=True)
        scored = Cohort.open(place / "scored")
        counts = {name: len(Cohort.open(place / name)) for name in (*MADE_BY, "scored")}
        of_ptbxl = scored.records["ecg_id"].str.startswith("ptbxl").to_numpy()
        parts = {"all": of_ptbxl | True, "ptbxl": of_ptbxl, "challenge_2011": ~of_ptbxl}
        results = {}
        for name in METHODS:
            tables = {source: errors(place / source / name, scored) for source in MADE_BY}
            results[name] = {part: compare(tables, rows) for part, rows in parts.items()}
    worst = max(METHODS, key=lambda name: results[name]["all"]["ratio"])
    whole = results[worst]["all"]
    above = [name for name in METHODS if results[name]["all"]["ratio"] > LIMIT]
    result = {
        "value": whole["prd_percent_simulated"],
        "unit": "mean PRD (%) on real ECGs, trained on simulated ones, worst tokenizer by ratio",
        "reference": {"what": "trained on real ECGs", "value": whole["prd_percent_real"]},
        "ratio": whole["ratio"],
        "low": whole["low"],
        "high": whole["high"],
        "limit": LIMIT,
        "worst": worst,
        "above_limit": above,
        "ecgs": counts | {"scored_ptbxl": int(of_ptbxl.sum())},
        "share_of_laptop_steps": STEPS,
        "tokenizers": results,
    }
    write("sim_to_real", result, ("torch", "numpy", "numba"))


if __name__ == "__main__":
    main()
