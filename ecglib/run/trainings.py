"""The trainings of notebooks 02 to 06 without notebooks, to measure a machine.

    python -m ecglib.run.trainings --out DIR --profile gpu --device cuda --steps 200 --compare-cpu 3

ECGs are simulated; the language model has the shape of the profile's, with random weights where
the real ones are not at hand (`--base FOLDER` gives them). DIR/trainings.json holds, for every
stage, seconds, ECGs and tokens a second, first and last loss, and the speed-up over the CPU.
Start-up (loading a model, k-means) is measured by the same stage with no step, and subtracted.
"""

import argparse
import json
import math
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ecglib.classify import probe
from ecglib.cohorts.records import write_cohort
from ecglib.cohorts.store import Cohort
from ecglib.language import (
    ecg_tok,
    finding_warmup,
    heartllm,
    no_ecg,
    pretraining,
    train_system,
    write_texts,
)
from ecglib.questions import balanced_sets
from ecglib.run import bases, profiles
from ecglib.run.paths import Paths
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.signals.resample import to_rate
from ecglib.simulator import patients as synthetic
from ecglib.tokenizers import encode, train
from ecglib.tokenizers.bpe import fit_bpe
from ecglib.training import device
from ecglib.training.device import Machine

GENERATED = 256  # ECGs for which text is generated at most


@dataclass(frozen=True)
class Job:
    """One stage: a step function, what it reads, and which config keys say how much it does."""

    notebook: str
    name: str
    fn: Callable
    config: dict
    inputs: dict[str, str] = field(default_factory=dict)  # label -> name of an earlier job
    steps: str = ""  # config key; "" for stages that do not train
    batch: str = "batch"


def jobs(profile: dict, cap: int) -> list[Job]:
    """The stages in order; no training is longer than `cap` steps."""
    lora = {"lora": profile["language"]["lora"]}
    tokenizer, leadwise = profile["tokenizer"], profile["leadwise"]
    classify = profile["classify"]["probe"] | {"min_positives": 1}  # a small cohort has rare labels
    tok, pre, ask = (profile[key] for key in ("ecg_tok", "pretraining", "instruction_tuning"))
    vectors = {"vectors": tok["prefix"]["vectors"]}
    latent = {"cohort": "cohort", "tokenizer": "qinco", "codes": "codes", "base": "base"}
    fsq = {"cohort": "cohort", "tokenizer": "leadwise", "codes": "fsq_codes", "base": "base"}
    written, asked = latent | {"lora": "report_style"}, fsq | {"questions": "questions"}
    encode_config, found = tokenizer["encode"], []

    def add(notebook: str, name: str, fn: Callable, config: dict, inputs: dict, **keys: str):
        limit = {k: min(v, cap) for k, v in config.items() if k in keys.values() and k != "batch"}
        limit.pop(keys.get("batch", ""), None)
        found.append(Job(notebook, name, fn, config | limit, inputs, **keys))

    cohort = {"cohort": "cohort"}
    for name in ("vq", "rvq", "qinco"):
        if name != "qinco":
            config = {"method": name, "quantiser": tokenizer["quantisers"][name]}
            config |= tokenizer["train_jointly"]
            add("02", f"joint_{name}", train.train_jointly, config, cohort, steps="steps")
        config = tokenizer["train_frozen_encoder"] | {"method": name}
        if name == "qinco":
            config |= {"networks": tokenizer["quantisers"]["qinco"]}
        begun = cohort | {"joint": "joint_vq" if name == "vq" else "joint_rvq"}
        add("02", name, train.train_frozen_encoder, config, begun, steps="steps")
    add("02", "codes", encode.encode, encode_config, cohort | {"tokenizer": "qinco"})
    heard = {label: latent[label] for label in ("cohort", "tokenizer", "codes")}
    add("03", "probe", probe.train, classify, heard, steps="steps")
    control = {"base": "base"}
    add("04", "style", no_ecg.initialise, vectors | {"control_of": "report_style"}, control)
    style = tok["training"] | tok["report_style"] | lora
    words = {"cohort": "cohort", "base": "base", "prefix": "style"}
    add("04", "report_style", train_system.train, style, words, steps="steps")
    add("04", "initial", ecg_tok.initialise, tok["prefix"], latent)
    cold = latent | {"prefix": "initial"}
    add("04", "warm_adapter", finding_warmup.warm_up, tok["warm_up"], cold, steps="steps")
    warm = written | {"prefix": "warm_adapter"}
    add("04", "ecg_tok", train_system.train, tok["training"], warm, steps="steps")
    add("04", "constant", no_ecg.initialise, vectors | {"control_of": "ecg_tok"}, control)
    without = written | {"prefix": "constant"}
    add("04", "no_ecg", train_system.train, tok["training"], without, steps="steps")
    write = {"batch": 64, "max_new": tok["writing"]["max_new"]}
    add("04", "reports", write_texts.write, write, latent | {"system": "ecg_tok"})
    add("02", "leadwise", train.train_leadwise, leadwise, cohort, steps="steps")
    encode_fsq = cohort | {"tokenizer": "leadwise"}
    add("02", "bpe", fit_bpe, profile["bpe"], cohort)
    add("02", "fsq_codes", encode.encode, {"batch": leadwise["batch"]}, encode_fsq)
    add("05", "untrained", heartllm.initialise, {"start": pre["start"]}, fsq)
    first = fsq | {"lora": "ecg_tok", "prefix": "untrained"}
    add("05", "pretrained", pretraining.pretrain, pre["training"], first, steps="steps")
    pretrained = fsq | {"prefix": "pretrained"}
    add("05", "warmed_up", finding_warmup.warm_up, pre["warm_up"], pretrained, steps="steps")
    begun = asked | {"lora": "pretrained", "prefix": "warmed_up"}
    add("06", "tuned", train_system.train, ask["training"], begun, steps="steps")
    drawn = ask["control"] | {"control_of": "heartllm"}
    add("06", "tuned_constant", no_ecg.initialise, drawn, control)
    without = begun | {"prefix": "tuned_constant"}
    add("06", "tuned_no_ecg", train_system.train, ask["training"], without, steps="steps")
    write = {"batch": 16, "max_new": ask["writing"]["max_new"]}
    add("06", "answers", write_texts.write, write, asked | {"system": "tuned"})
    return found


def records(patients: int, seed: int) -> Iterator[dict]:
    """Simulated recordings at 250 Hz, cut or padded to 10 s."""
    for record in synthetic.patients(patients, seed):
        signal = to_rate(record["signal"], record["rate"], RATE)[:, :SAMPLES]
        n_valid = signal.shape[1]
        signal = np.pad(signal, ((0, 0), (0, SAMPLES - n_valid))).astype(np.float32)
        yield record | {"signal": signal, "n_valid": n_valid}


def prepare(out: Path, profile: dict, base: str, patients: int, seed: int, machine: Machine) -> str:
    """Write `cohort`, `questions` and, unless a folder is given, `base` into `out`.

    Returns:
        What the base model is, in words.

    Raises:
        FileNotFoundError: `base` is neither "random" nor a folder with a model.
    """
    cohort = write_cohort(out / "cohort", records(patients, seed), seed, "synthetic")
    (out / "questions").mkdir()
    rows = cohort.rows("test")[:GENERATED].tolist()
    ask = {"per_ecg": profile["question_sets"]["per_ecg"], "rows": rows, "min_positives": 1}
    balanced_sets.write_questions(out / "questions", {"cohort": out / "cohort"}, ask, seed, machine)
    if base != "random":
        if not (Path(base) / "config.json").is_file():
            raise FileNotFoundError(f"--base {base} holds no config.json; give a model folder")
        (out / "base").symlink_to(Path(base).resolve())
        return f"the model in {base}"
    shape = bases.shape(profile["language"])
    bases.write_random(out / "base", shape, cohort.records["report"], seed, machine)
    return f"random weights in the shape of {profile['language']['asset']}"


def seconds(job: Job, out: Path, folder: Path, config: dict, seed: int, machine: Machine) -> float:
    """Run a stage into `folder`; returns its wall time."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    inputs = {label: out / name for label, name in job.inputs.items()}
    if machine.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    job.fn(folder, inputs, config, seed, machine)
    if machine.device == "cuda":
        torch.cuda.synchronize()
    taken = time.perf_counter() - begin
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return taken


def seconds_a_step(job: Job, out: Path, steps: int, seed: int, machine: Machine) -> float:
    """A few steps of a training in a throw-away folder, start-up subtracted."""
    folder = out / "throw-away"
    whole = seconds(job, out, folder, job.config | {job.steps: steps}, seed, machine)
    start = seconds(job, out, folder, job.config | {job.steps: 0}, seed, machine)
    shutil.rmtree(folder)
    return (whole - start) / steps


def measure(job: Job, out: Path, seed: int, machine: Machine, tokens: dict[str, float]) -> dict:
    """Run a stage; its row of the report. `tokens`: of one ECG in the stages that know."""
    config = job.config
    if job.fn is write_texts.write:
        rows = Cohort.open(out / "cohort").rows("test")[:GENERATED].tolist()
        config = config | {"rows": rows}
    row = {"notebook": job.notebook, "stage": job.name, "device": machine.device}
    if job.steps:  # first, so that kernels are loaded and compiled when it counts
        start = seconds(job, out, out / job.name, config | {job.steps: 0}, seed, machine)
    taken = seconds(job, out, out / job.name, config, seed, machine)
    row["seconds"] = round(taken, 3)
    if job.steps:
        steps, rows = config[job.steps], len(Cohort.open(out / "cohort").rows("train"))
        batch = min(config[job.batch], rows)
        row |= {"steps": steps, "batch": batch, "start_seconds": round(start, 3)}
        row |= {"seconds_a_step": None, "ecgs_per_second": None}
        if taken > start:  # else the steps were too few to be measured
            row["seconds_a_step"] = (taken - start) / steps
            row["ecgs_per_second"] = round(batch / row["seconds_a_step"], 2)
        if job.name in tokens and taken > start:
            row["tokens_per_second"] = round(row["ecgs_per_second"] * tokens[job.name], 1)
        history = out / job.name / "history.csv"
        if history.exists():
            losses, edge = pd.read_csv(history)["loss"], max(1, steps // 10)
            row |= {"first_loss": losses[:edge].mean(), "last_loss": losses[-edge:].mean()}
    elif job.fn is write_texts.write:
        written = pd.read_parquet(out / job.name / "texts.parquet")["tokens"].sum()
        row["tokens_per_second"] = round(float(written) / taken, 1)
    elif job.fn is encode.encode:
        row["ecgs_per_second"] = round(len(Cohort.open(out / "cohort")) / taken, 2)
    if machine.device == "cuda":
        row["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return row


def tokens_per_ecg(out: Path, profile: dict) -> dict[str, float]:
    """Positions that the language model computes for one ECG, by stage."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out / "base")

    def mean(texts: pd.Series) -> float:
        return float(np.mean([len(tokenizer(text).input_ids) for text in texts[:500]]))

    report = mean(Cohort.open(out / "cohort").records["report"]) + 2
    table = pd.read_parquet(out / "questions" / "train.parquet")
    question = mean(table["question"] + " " + table["answer"])
    tuning = profile["instruction_tuning"]
    per_ecg = min(tuning["training"]["questions_per_ecg"], profile["question_sets"]["per_ecg"])
    asked = per_ecg * question
    ecg = -(-SAMPLES // math.prod(profile["leadwise"]["strides"])) + 2
    prefix = profile["ecg_tok"]["prefix"]["vectors"]
    texts = dict.fromkeys(("report_style", "ecg_tok", "no_ecg"), prefix + report)
    none = tuning["control"]["vectors"]
    tuned = {"tuned": ecg + report + asked, "tuned_no_ecg": none + report + asked}
    return texts | tuned | {"pretrained": float(ecg)}


def environment(machine: Machine) -> dict:
    """What the numbers depend on, besides the code."""
    import transformers

    cuda = machine.device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or "cpu",
        "dtype": machine.dtype,
        "threads": machine.threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ecglib.run.trainings", allow_abbrev=False)
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
    tokens = tokens_per_ecg(out, profile)
    report = {"profile": options.profile, "base": base, "patients": patients, "seed": options.seed}
    report |= environment(machine) | {"stages": []}
    for job in jobs(profile, options.steps):
        row = measure(job, out, options.seed, machine, tokens)
        if options.compare_cpu and job.steps:
            cpu = Machine("cpu", machine.dtype, machine.threads, "to compare")
            on_cpu = seconds_a_step(job, out, options.compare_cpu, options.seed, cpu)
            known = on_cpu > 0 and row["seconds_a_step"] is not None
            row["speed_up"] = round(on_cpu / row["seconds_a_step"], 2) if known else None
        report["stages"].append(row)
        print(json.dumps(row), flush=True)
        # after every stage, so that a time limit loses nothing that was measured
        (out / "trainings.json").write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, FileNotFoundError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
