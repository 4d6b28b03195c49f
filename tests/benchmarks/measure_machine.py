"""The parts of the pipeline without notebooks, to measure a machine.

    PYTHONPATH=. python tests/benchmarks/measure_machine.py --out DIR --profile gpu --steps 200

ECGs are simulated. The language model has the shape of the profile's, with random weights where
the real ones are not at hand (`--base FOLDER` gives them). DIR/machine.json holds, for every
part, seconds, ECGs and tokens per second, first and last loss, and the speed-up over the CPU.
`seconds_a_step` is the median time of an update, without the first quarter of them, in which files
and kernels are loaded. Looks at validation patients and checkpoints are in `seconds` alone.
With `--only`, what is read but not named trains for READ updates. With `--processes N` torchrun
starts the trainings that it can divide, also where N is 1. Their updates and their memory are not
measured, because they are those of other processes. `out_of_memory` is the error of a part for
which the memory did not suffice.
"""

import argparse
import gc
import json
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _cohort import write_cohort
from _common import skip
from _older_torch import count_grouped_queries
from transformers import AutoModelForCausalLM

from ecglib.cohorts import cohort_features
from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language import small_model
from ecglib.questions import balanced_sets
from ecglib.run import arms, dry_run, keys, profiles, torchrun
from ecglib.run.assets import pin
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.signals.resample import to_rate
from ecglib.simulator import patients as synthetic
from ecglib.training import device, loop, seeds
from ecglib.training.device import Machine
from ecglib.training.part import GIVEN, Part

GENERATED = 256  # ECGs for which text is generated at most
READ = 10  # updates of what is read, but not measured
SHORT = {"epochs": 1}  # what is changed in every part that has it
SHORT["unquantised_steps"] = 0  # most steps are with the quantiser, and cost more
SHORT["min_positives"] = 1  # a small cohort has rare labels
SHORT["least"] = 1


def measured_parts(profile: dict, cap: int, only: tuple[str, ...] = ()) -> list[Part]:
    """The parts in order, no more than `cap` steps each; with `only`, these and what they read.
    What costs what another does is left out, unless something that is measured reads it.

    Raises ValueError: `only` names a part that is not measured."""
    listed, parts = [], arms.parts(profile).values()
    read = {name for part in parts if not part.like for name in part.inputs.values()}
    for part in parts:
        settings, most = arms.config(part), cap
        if only and part.name not in only:
            most = min(cap, READ)
        changes = {"steps": min(settings["steps"], most)} if "steps" in settings else {}
        changes |= {key: value for key, value in SHORT.items() if key in settings}
        if not part.like or part.name in read:
            listed.append(replace(part, settings=settings | changes, shared=False))
    by_name = {part.name: part for part in listed}
    if unknown := set(only) - set(by_name):
        raise ValueError(f"--only: no part {sorted(unknown)} is measured; {', '.join(by_name)} are")
    needed, waiting = set(), list(only or by_name)
    while waiting:
        if (name := waiting.pop()) in by_name and name not in needed:
            needed.add(name)
            waiting += by_name[name].inputs.values()
    return [part for part in listed if part.name in needed]


def records(patients: int, seed: int) -> Iterator[dict]:
    """Simulated recordings at 250 Hz, cut or padded to 10 s."""
    for record in synthetic.patients(patients, seed):
        signal = to_rate(record["signal"], record["rate"], RATE)[:, :SAMPLES]
        n_valid = signal.shape[1]
        signal = np.pad(signal, ((0, 0), (0, SAMPLES - n_valid))).astype(np.float32)
        yield record | {"signal": signal, "n_valid": n_valid}


def prepare(out: Path, profile: dict, base: str, patients: int, seed: int, machine: Machine) -> str:
    """Write 01/cohort, 01/measurements and 04/questions into `out`, where the parts look for them,
    and what stands for a base whose weights cannot travel.

    Returns:
        What the base model is, in words.

    Raises:
        FileNotFoundError: `base` is neither "random" nor a folder with a model.
        ValueError: the entry is in 4 bits, and the folder is not.
    """
    cohort = write_cohort(out / "01/cohort", records(patients, seed), seed, "synthetic")
    questions, measured = out / "04/questions", out / "01/measurements"
    for folder in (questions, measured):
        folder.mkdir(parents=True)
    cohort_features.measure_cohort(measured, {"cohort": out / "01/cohort"}, {}, seed, machine)
    rows = cohort.rows("test")[:GENERATED].tolist()
    ask = {"per_ecg": profile["questions"]["per_ecg"], "rows": rows, "min_positives": 1}
    balanced_sets.write_questions(questions, {"cohort": out / "01/cohort"}, ask, seed, machine)
    name = profile["systems"]["defaults"]["base"]
    folder, entry = out / f"04/base_{name}", profile["bases"][name]
    is_quantised = entry.get("quantisation", "none") != "none"
    if base != "random":
        if not (Path(base) / "config.json").is_file():
            raise FileNotFoundError(f"--base {base} holds no config.json; give a model folder")
        if is_quantised and not (Path(base) / base_model.QUANTISATION_FILE).is_file():
            raise ValueError(
                f"--base {base} is not prepared in 4 bits; give a run's folder of {name}"
            )
        folder.symlink_to(Path(base).resolve())
        return f"the model in {base}"
    if "asset" not in entry:
        return f"the base {name}, trained here"
    sizes = dict(pin(entry["asset"])["shape"])
    sizes["pieces"] = sizes.pop("vocabulary")
    texts = small_model.training_texts(cohort, questions / "train.parquet")
    if not is_quantised:
        write_random(folder, sizes, texts, seed, machine)
    else:
        folder.mkdir()
        write_random(out / "asset", sizes, texts, seed, machine)
        base_model.prepare(folder, {"asset": out / "asset"}, entry, seed, machine)
        shutil.rmtree(out / "asset")
    return f"random weights in the shape of {entry['asset']}"


def write_random(
    folder: Path, sizes: dict, texts: Iterable[str], seed: int, machine: Machine
) -> None:
    """A random model of these sizes, with a text tokenizer made from the texts. Its speed and
    memory are those of the real model where the texts are those of the trainings: 1,024 word
    pieces make 219 tokens of an ECG's texts, the 49,152 of SmolLM2 232. Its answers mean nothing.
    """
    vocabulary, shape = sizes["pieces"], {k: v for k, v in sizes.items() if k != "pieces"}
    tokenizer = small_model.text_tokenizer(texts, min(1024, vocabulary))
    torch.manual_seed(seeds.sub_seed(seed, "random base"))
    config = small_model.llama_config(vocabulary, **shape, eos=tokenizer.eos_token_id)
    model = AutoModelForCausalLM.from_config(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.to(machine.torch_dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def seconds(
    part: Part, listed: dict[str, Part], out: Path, folder: Path, machine: Machine, **more
) -> float:
    """Run a part into `folder`, on inputs in `out`; its wall time. `more`: seed, settings and,
    for torchrun, processes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    inputs = {label: out / place(name, listed) for label, name in part.inputs.items()}
    if machine.device == "cuda":
        gc.collect()  # models in cycles
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    function, begin = arms.function(part), time.perf_counter()
    order = (folder, inputs, more["settings"], more["seed"], machine)
    if more.get("processes") and "parts" in more["settings"]:
        torchrun.call(function, *order, more["processes"])
    else:
        function(*order)
    if machine.device == "cuda":
        torch.cuda.synchronize()
    elapsed = time.perf_counter() - begin
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return elapsed


@contextmanager
def clock() -> Iterator[list[float]]:
    """The times (s) between the updates of the last training that begins while this is open."""
    between, bar = [], loop.tqdm

    def timed(steps: Iterable[int], **more: object) -> Iterator[int]:
        between.clear()
        before = 0.0
        for step in bar(steps, **more):
            now = time.perf_counter()  # losses were read, so the device has made the update before
            if before:
                between.append(now - before)
            before = now
            yield step

    loop.tqdm = timed
    try:
        yield between
    finally:
        loop.tqdm = bar


def place(name: str, listed: dict[str, Part]) -> str:
    """Where a step is: `02/rvq`."""
    return f"{GIVEN[name] if name in GIVEN else listed[name].stage}/{name}"


def measure(
    part: Part,
    listed: dict[str, Part],
    out: Path,
    seed: int,
    machine: Machine,
    name: str = "",
    processes: int = 0,
) -> dict:
    """Run a part; its row of the report. `name`: of the result's folder in `out`, where it is not
    that of the part. `processes`: that torchrun starts for a training it can divide, or 0."""
    cohort, settings = Cohort.open(out / "01/cohort"), dict(part.settings)
    writes, is_training = part.name.endswith("_texts"), dry_run.trains(part)
    if writes:
        settings["rows"] = cohort.rows("test")[:GENERATED].tolist()
    row = {"notebook": part.stage, "part": part.name, "device": machine.device}
    folder = out / (name or place(part.name, listed))
    more = {"seed": seed, "settings": settings, "processes": processes}
    try:
        with clock() as between:
            elapsed = seconds(part, listed, out, folder, machine, **more)
    except torch.OutOfMemoryError as error:
        shutil.rmtree(folder)  # so that parts which read it are left out
        return row | {"out_of_memory": str(error)}
    row["seconds"] = round(elapsed, 3)
    if is_training:
        losses = pd.read_csv(folder / "history.csv")["loss"]
        steps, batch, reads_ecgs = len(losses), settings["batch"], "latents" not in part.inputs
        if reads_ecgs:
            batch = min(batch, len(cohort.rows("train")))
        row |= {"steps": steps, "batch": batch, "seconds_a_step": None, "ecgs_per_second": None}
        if between:
            row["seconds_a_step"] = float(np.median(between[len(between) // 4 :]))
            if reads_ecgs:
                row["ecgs_per_second"] = round(batch / row["seconds_a_step"], 2)
            if (folder / "budget.json").exists():
                spent = json.loads((folder / "budget.json").read_text())
                tflops = spent["flops"] / spent["updates"] / row["seconds_a_step"] / 1e12
                row["tflops"] = round(tflops, 4)
        edge = max(1, steps // 10)
        row |= {"first_loss": losses[:edge].mean(), "last_loss": losses[-edge:].mean()}
    elif writes:
        written = pd.read_parquet(folder / "texts.parquet")["tokens"].sum()
        row["tokens_per_second"] = round(float(written) / elapsed, 1)
    elif part.name.endswith("_codes"):
        row["ecgs_per_second"] = round(len(cohort) / elapsed, 2)
    if machine.device == "cuda" and not (processes and "parts" in settings):
        row["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return row


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    if not arguments:
        skip("measure_machine: name a new folder with --out DIR; --help lists the options.")
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="a new or empty folder")
    add("--profile", default="smoke", help="sizes: smoke, mini, laptop or gpu")
    add("--device", default="", help="auto, cpu or cuda (default: the profile's)")
    add("--dtype", default="", help="of the language model: float32 or bfloat16")
    add("--only", default="", metavar="PART,...", help="these parts, and what they read")
    add("--processes", type=int, default=0, help="that torchrun starts for what it divides")
    add("--base-entry", default="", metavar="NAME", help="of `bases`, for all systems")
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
    entry = options.base_entry or profile["systems"]["defaults"]["base"]
    if entry not in profile["bases"]:
        known = ", ".join(profile["bases"])
        raise ValueError(f"--base-entry {entry} is no base of the profile; there are {known}")
    profile["systems"]["defaults"]["base"] = entry
    if options.processes < 0:
        raise ValueError(f"--processes: expected 0 or more, got {options.processes}")
    only = tuple(filter(None, options.only.split(",")))
    parts = measured_parts(profile, options.steps, only)
    chosen = {"device": options.device, "dtype": options.dtype}
    machine = device.choose_machine(profile["hardware"] | {k: v for k, v in chosen.items() if v})
    print(f"machine: {machine.reason}", flush=True)
    count_grouped_queries()
    patients = min(options.patients, profile["cohort"]["patients"])
    base = prepare(out, profile, options.base, patients, options.seed, machine)
    cuda = machine.device == "cuda"
    report = {"profile": options.profile, "base": base, "patients": patients, "seed": options.seed}
    report["device"] = torch.cuda.get_device_name() if cuda else platform.processor() or "cpu"
    report |= {"dtype": machine.dtype, "threads": machine.threads, "processes": options.processes}
    report |= {**keys.versions(), "parts": []}
    cpu = replace(machine, device="cpu", reason="to compare")
    listed = arms.parts(profile)
    for part in parts:
        if (out / place(part.name, listed)).exists():
            continue  # what stands for a base
        if lacking := [of for of in part.inputs.values() if not (out / place(of, listed)).exists()]:
            print(f"{part.name} is left out: memory ran out for {lacking[0]}", flush=True)
            continue
        row = measure(part, listed, out, options.seed, machine, processes=options.processes)
        if options.compare_cpu and dry_run.trains(part) and "out_of_memory" not in row:
            least = (
                {"steps": 1 + options.compare_cpu} if "steps" in part.settings else {"epochs": 1}
            )
            few = replace(part, settings=part.settings | least)
            slow = measure(few, listed, out, options.seed, cpu, "throw-away")["seconds_a_step"]
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
    except (RunError, ValueError, FileNotFoundError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
