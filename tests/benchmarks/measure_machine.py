"""The parts of the pipeline without notebooks, to measure a machine.

    PYTHONPATH=. python tests/benchmarks/measure_machine.py --out DIR --profile gpu --steps 200

ECGs are simulated. The language model has the shape of the profile's, with random weights where
the real ones are not at hand (`--base FOLDER` gives them). DIR/machine.json holds, for every
part, seconds, ECGs and tokens per second, first and last loss, and the speed-up over the CPU.
Start-up (loading a model, k-means) is measured by the same part with no step, and subtracted.
"""

import argparse
import json
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import skip

from ecglib.cohorts.records import write_cohort
from ecglib.cohorts.store import Cohort
from ecglib.language import write_texts
from ecglib.questions import balanced_sets
from ecglib.run import base_shapes, keys, pipeline, profiles
from ecglib.run.paths import Paths
from ecglib.run.pipeline import Part
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.signals.resample import to_rate
from ecglib.simulator import patients as synthetic
from ecglib.tokenizers import encode
from ecglib.training import device
from ecglib.training.device import Machine

GENERATED = 256  # ECGs for which text is generated at most


def measured_parts(profile: dict, cap: int) -> list[Part]:
    """The parts in order, without those that cost what another does; no more than `cap` steps."""
    listed = []
    for part in pipeline.parts(profile):
        changes = {"steps": min(part.config["steps"], cap)} if "steps" in part.config else {}
        if "unquantised_steps" in part.config:
            changes["unquantised_steps"] = 0  # most steps are with the quantiser, and cost more
        if "epochs" in part.config:
            changes["epochs"] = 1
        if "min_positives" in part.config:
            changes["min_positives"] = 1  # a small cohort has rare labels
        if not part.like:
            listed.append(replace(part, config=part.config | changes))
    return listed


def records(patients: int, seed: int) -> Iterator[dict]:
    """Simulated recordings at 250 Hz, cut or padded to 10 s."""
    for record in synthetic.patients(patients, seed):
        signal = to_rate(record["signal"], record["rate"], RATE)[:, :SAMPLES]
        n_valid = signal.shape[1]
        signal = np.pad(signal, ((0, 0), (0, SAMPLES - n_valid))).astype(np.float32)
        yield record | {"signal": signal, "n_valid": n_valid}


def prepare(out: Path, profile: dict, base: str, patients: int, seed: int, machine: Machine) -> str:
    """Write 01/cohort, 06/questions and 04/base into `out`, where the parts look for them.

    Returns:
        What the base model is, in words.

    Raises:
        FileNotFoundError: `base` is neither "random" nor a folder with a model.
    """
    cohort = write_cohort(out / "01/cohort", records(patients, seed), seed, "synthetic")
    questions = out / "06/questions"
    questions.mkdir(parents=True)
    rows = cohort.rows("test")[:GENERATED].tolist()
    ask = {"per_ecg": profile["question_sets"]["per_ecg"], "rows": rows, "min_positives": 1}
    balanced_sets.write_questions(questions, {"cohort": out / "01/cohort"}, ask, seed, machine)
    if base != "random":
        if not (Path(base) / "config.json").is_file():
            raise FileNotFoundError(f"--base {base} holds no config.json; give a model folder")
        (out / "04").mkdir()
        (out / "04/base").symlink_to(Path(base).resolve())
        return f"the model in {base}"
    shape = base_shapes.shape(profile["language"])
    base_shapes.write_random(out / "04/base", shape, cohort.records["report"], seed, machine)
    return f"random weights in the shape of {profile['language']['asset']}"


def seconds(
    part: Part, out: Path, folder: Path, config: dict, seed: int, machine: Machine
) -> float:
    """Run a part into `folder`, on inputs in `out`; returns its wall time."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    inputs = {label: out / source for label, source in part.inputs.items()}
    if machine.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    part.fn(folder, inputs, config, seed, machine)
    if machine.device == "cuda":
        torch.cuda.synchronize()
    elapsed = time.perf_counter() - begin
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return elapsed


def measure(
    part: Part, out: Path, seed: int, machine: Machine, lengths: tuple, name: str = ""
) -> dict:
    """Run a part; its row of the report.

    Args:
        lengths: mean tokens of a report, and of a question with its answer.
        name: of the result's folder in `out`, if not the part's id.
    """
    cohort, config = Cohort.open(out / "01/cohort"), part.config
    if part.fn is write_texts.write:
        config = config | {"rows": cohort.rows("test")[:GENERATED].tolist()}
    row = {"notebook": part.id[:2], "part": part.id[3:], "device": machine.device}
    folder = out / (name or part.id)
    if part.trains:  # first, so that kernels are loaded and compiled when it counts
        nothing = {"steps": 0} if "steps" in config else {"epochs": 0}
        start = seconds(part, out, folder, config | nothing, seed, machine)
    elapsed = seconds(part, out, folder, config, seed, machine)
    row["seconds"] = round(elapsed, 3)
    if part.trains:
        losses = pd.read_csv(folder / "history.csv")["loss"]
        steps, batch = len(losses), min(config["batch"], len(cohort.rows("train")))
        row |= {"steps": steps, "batch": batch, "start_seconds": round(start, 3)}
        row |= {"seconds_a_step": None, "ecgs_per_second": None}
        if elapsed > start:  # else the steps were too few to be measured
            row["seconds_a_step"] = (elapsed - start) / steps
            row["ecgs_per_second"] = round(batch / row["seconds_a_step"], 2)
            if part.tokens:
                per_ecg = np.dot(part.tokens, (1, *lengths))
                row["tokens_per_second"] = round(row["ecgs_per_second"] * per_ecg, 1)
        edge = max(1, steps // 10)
        row |= {"first_loss": losses[:edge].mean(), "last_loss": losses[-edge:].mean()}
    elif part.fn is write_texts.write:
        written = pd.read_parquet(folder / "texts.parquet")["tokens"].sum()
        row["tokens_per_second"] = round(float(written) / elapsed, 1)
    elif part.fn is encode.encode:
        row["ecgs_per_second"] = round(len(cohort) / elapsed, 2)
    if machine.device == "cuda":
        row["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return row


def mean_lengths(out: Path) -> tuple[float, float]:
    """Mean tokens of a report with its prompt, and of a question with its answer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out / "04/base")
    reports = Cohort.open(out / "01/cohort").records["report"]
    table = pd.read_parquet(out / "06/questions/train.parquet")
    asked = table["question"] + " " + table["answer"]
    counts = [[len(tokenizer(text).input_ids) for text in part[:500]] for part in (reports, asked)]
    report, question = (float(np.mean(count)) for count in counts)
    return report + 2, question


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    if not arguments:
        skip("measure_machine: name a new folder with --out DIR; --help lists the options.")
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="a new or empty folder")
    add("--profile", default="smoke", help="sizes: smoke, laptop or gpu")
    add("--device", default="", help="auto, cpu or cuda (default: the profile's)")
    add("--dtype", default="", help="of the language model: float32 or bfloat16")
    add("--base", default="random", help="random, or the folder of a prepared language model")
    add("--steps", type=int, default=10**9, help="no training is longer than this")
    add("--patients", type=int, default=2000, help="no more simulated patients than this")
    add("--seed", type=int, default=0)
    add("--compare-cpu", type=int, default=0, metavar="N", help="N steps of each on the CPU too")
    options = parser.parse_args(arguments)
    if options.out.exists() and any(options.out.iterdir()):
        raise FileExistsError(f"--out {options.out} is not empty; name a new folder")
    options.out.mkdir(parents=True, exist_ok=True)
    out = options.out.resolve()

    profile = profiles.load_profile(Paths.here(), options.profile)
    chosen = {"device": options.device, "dtype": options.dtype}
    machine = device.choose_machine(profile["hardware"] | {k: v for k, v in chosen.items() if v})
    print(f"machine: {machine.reason}", flush=True)
    patients = min(options.patients, profile["cohort"]["patients"])
    base = prepare(out, profile, options.base, patients, options.seed, machine)
    lengths = mean_lengths(out)
    cuda = machine.device == "cuda"
    report = {"profile": options.profile, "base": base, "patients": patients, "seed": options.seed}
    report["device"] = torch.cuda.get_device_name() if cuda else platform.processor() or "cpu"
    report |= {"dtype": machine.dtype, "threads": machine.threads, **keys.versions(), "parts": []}
    cpu = replace(machine, device="cpu", reason="to compare")
    for part in measured_parts(profile, options.steps):
        row = measure(part, out, options.seed, machine, lengths)
        if options.compare_cpu and part.trains:
            least = {"steps": options.compare_cpu} if "steps" in part.config else {"epochs": 1}
            few = replace(part, config=part.config | least)
            slow = measure(few, out, options.seed, cpu, lengths, "throw-away")["seconds_a_step"]
            known = slow and row["seconds_a_step"]
            row["speed_up"] = round(slow / row["seconds_a_step"], 2) if known else None
            shutil.rmtree(out / "throw-away")
        report["parts"].append(row)
        print(json.dumps(row), flush=True)
        # after every part, so that a time limit loses nothing that was measured
        (out / "machine.json").write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, FileNotFoundError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
