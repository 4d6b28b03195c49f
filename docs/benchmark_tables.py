"""Tables made from the files of reports/benchmarks, for docs/benchmarks.md and docs/gpu.md."""

import json
import math
import re

from committed import REPO, markdown

from ecglib.evaluate import meteor

FOLDER = REPO / "reports" / "benchmarks"


def result_of(name: str) -> dict:
    """The committed result of a benchmark."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def digits3(x: float) -> str:
    """Three significant digits, or a whole number with commas."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def meaning(value: float, reference: float, ratio: float) -> str:
    """How the ratio follows from the two numbers."""
    ways = {"reference / value": reference / value, "value / reference": value / reference}
    nearest = min(ways, key=lambda way: abs(ways[way] - ratio))
    return nearest if math.isclose(ratio, ways[nearest], rel_tol=0.01) else "other"


def benchmarks() -> str:
    """One line per file of reports/benchmarks."""
    rows = []
    for path in sorted(FOLDER.glob("*.json")):
        result = result_of(path.stem)
        value, reference, ratio = result["value"], result["reference"], result["ratio"]
        commit = result["commit"][:7] + ("*" if result["commit"].endswith("-dirty") else "")
        how = meaning(value, reference["value"], ratio)
        script = f"[{path.stem}](../tests/benchmarks/{path.stem}.py)"
        what = re.sub(r"\d+\.\d{4,}", lambda digits: digits3(float(digits[0])), reference["what"])
        cell = f"{what}: {digits3(reference['value'])}"
        rows.append([script, result["unit"], digits3(value), cell, digits3(ratio), how, commit])
    headings = ["name", "unit of the value", "value", "reference", "ratio", "ratio is", "commit"]
    return markdown(headings, rows, "  r r  ")


TRAINED = {  # of the benchmark gpu_hours: how a training is named on the page
    "encoder": "the encoder of the latent tokenizers, end to end",
    "vq_quantiser": "VQ's codebook",
    "vq": "VQ's decoder",
    "rvq_quantiser": "RVQ's codebooks",
    "rvq": "RVQ's decoder",
    "qinco_quantiser": "QINCo",
    "qinco": "QINCo's decoder",
    "fsq": "HeartLLM's tokenizer",
    "raw": "networks of signals, nine",
    "deep_ssl": "DeepSSL",
    "head_qinco": "heads on vectors, six",
    "deepsl": "DeepSL",
    "ecg_tok": "ECG-Tok",
    "no_ecg": "the control without the ECG",
    "heartllm_pretrained": "HeartLLM's pretraining",
    "heartllm": "HeartLLM",
    "ecg_byte": "ECG-Byte",
}


def gpu_hours() -> str:
    """What the trainings of the profile gpu take on one GPU, beside the estimate."""
    rows = []
    for title, of in result_of("gpu_hours")["trainings"].items():
        name = title.split()[0].partition("/")[2]
        hours = (f"{of[key]:.2f}" for key in ("hours", "estimated_hours"))
        memory = (f"{of[key]:.1f}" for key in ("memory_gb", "estimated_memory_gb"))
        rows.append([TRAINED[name], digits3(1000 * of["seconds_an_update"]), *hours, *memory])
    headings = ["training", "ms per update", "hours", "estimated", "GB at most", "estimated"]
    return markdown(headings, rows, " rrrrr")


SCORED = {  # of the benchmark released_scores
    "ecg_tok": "ECG-Tok",
    "heartllm": "HeartLLM",
    "ecg_byte": "ECG-Byte",
    "memoriser": "memoriser",
    "retrieval": "nearest neighbour",
    "majority": "commonest report",
    "no_ecg": "without the ECG",
    "reference": "reference",
}
WAYS = {"ours": "ours", "ecg_byte": "as ECG-Byte and HeartLLM", "ecg_tok": "as ECG-Tok"}


def released_scores() -> str:
    """The same reports by three definitions of each score: a row per method."""
    result, rows = result_of("released_scores"), []
    keys = ("bleu_4", "rouge_l", meteor.NAMES[result["synonyms"]])
    for method, called in SCORED.items():
        of = result["scores"][method]
        rows.append([called, *(f"{of[way][key]:.3f}" for key in keys for way in WAYS)])
    headings = [
        f"{called}, {way}" for called in ("BLEU-4", "ROUGE-L", "METEOR") for way in WAYS.values()
    ]
    return markdown(["reports of", *headings], rows, " " + "r" * len(headings))


STEPS = {  # of the benchmark large_cohort
    "cohort": "simulate, clean and store",
    "measurements": "measure the waves",
    "rvq_codes": "encode with RVQ",
    "fsq_codes": "encode with FSQ",
    "raw": "an epoch of the network that reads signals",
    "head_rvq": "an epoch of the network that reads RVQ's vectors",
}


def large_cohort() -> str:
    """What a tenth of MIMIC-IV-ECG takes, and ten times as many: a row per step."""
    result = result_of("large_cohort")
    parts = result["small"], result["large"]
    rows = [
        [
            text,
            *(f"{part['rates'][name]:,.0f}" for part in parts),
            *(f"{part['peak_mb'][name]:,}" for part in parts),
            f"{result['hours_800000'][name]:.1f}",
            f"{result['disk_gb_800000'][name]:,.1f}",
        ]
        for name, text in STEPS.items()
    ]
    sizes = [f"{part['ecgs']:,}" for part in parts]
    headings = ["step", *(f"ECGs per second, of {size}" for size in sizes)]
    headings += [*(f"MB at most, of {size}" for size in sizes), "hours of 800,000", "GB of 800,000"]
    return markdown(headings, rows, " rrrrrr")
