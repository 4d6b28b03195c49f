"""HeartLLM's pretraining in the papers' form on one GPU: the language model whole, and in 4 bits.

    bash run_all.sh bench on_gpu

`value` is the largest memory that torch allocated on the GPU (GB, 1e9 bytes) with a base of
Llama-3.2-3B's shape in 4 bits (NF4), the reference that with the base in bfloat16. Weights are
random, because they change neither memory nor time. There are 32 ECGs per update and some 37
validation ECGs. `seconds` are those of a training of 12 updates, `seconds_a_step` those of its
median update. `initialise_gb` is the largest memory of drawing HeartLLM's embeddings, which loads
the base.

`nccl` trains the control without the ECG under torchrun in one process: NCCL starts and passes
two barriers, but there is nobody to exchange gradients with. `smoke` counts the parts of notebooks
02 to 07 that `measure_machine` executes in the sizes of the profile smoke, and the seconds of
their runs. Needs a GPU (29 GB were allocated), 16 GB of memory and 13 GB of disk.
"""

import json
import tempfile
from pathlib import Path

import measure_machine
import torch
from _common import skip, write

WHOLE, FOUR = "llama32_3b", "llama32_3b_nf4"
GPU = ["--device", "cuda", "--dtype", "bfloat16", "--patients", "300"]
PRETRAIN = [*GPU, "--profile", "gpu", "--steps", "12", "--only", "heartllm_pretrained"]
NCCL = [*GPU, "--profile", "laptop", "--steps", "40", "--only", "no_ecg", "--processes", "1"]
KEPT = ("steps", "batch", "seconds", "seconds_a_step", "peak_memory_gb")


def measured(arguments: list[str]) -> dict:
    """The report of `measure_machine` with these arguments."""
    with tempfile.TemporaryDirectory() as name:
        measure_machine.main([*arguments, "--out", name])
        return json.loads((Path(name) / "machine.json").read_text("utf-8"))


def row(report: dict, part: str) -> dict:
    """The row of a part."""
    return next(of for of in report["parts"] if of["part"] == part)


def main() -> None:
    """Measure, and write reports/benchmarks/on_gpu.json."""
    if not torch.cuda.is_available():
        skip("on_gpu: torch sees no GPU.")
    nccl, smoke = measured([*NCCL, "--base-entry", "small"]), measured([*GPU, "--profile", "smoke"])
    four, whole = (measured([*PRETRAIN, "--base-entry", base]) for base in (FOUR, WHOLE))
    reports = {"bfloat16": whole, "nf4": four}
    trained = {form: row(of, "heartllm_pretrained") for form, of in reports.items()}
    opened = {form: row(of, "heartllm_pretrained_initial") for form, of in reports.items()}
    least, most = trained["nf4"]["peak_memory_gb"], trained["bfloat16"]["peak_memory_gb"]
    result = {
        "value": least,
        "unit": "GB of GPU memory at most, HeartLLM's pretraining on a 3B base in 4 bits",
        "reference": {"what": "the same on a base in bfloat16", "value": most},
        "ratio": least / most,
        "device": whole["device"],
        "trainings": {form: {key: of[key] for key in KEPT} for form, of in trained.items()},
        "initialise_gb": {form: of["peak_memory_gb"] for form, of in opened.items()},
        "nccl": {key: row(nccl, "no_ecg")[key] for key in (*KEPT[:3], "first_loss", "last_loss")},
        "smoke": {
            "parts": len(smoke["parts"]),
            "seconds": round(sum(of["seconds"] for of in smoke["parts"]), 1),
        },
    }
    write("on_gpu", result, ("torch", "transformers", "peft", "bitsandbytes"))


if __name__ == "__main__":
    main()
