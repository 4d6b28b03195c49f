"""Hours of the profile gpu on one GPU, from measured updates, beside those that are estimated.

    bash run_all.sh bench gpu_hours

The trainings of the profile make UPDATES updates each, classifiers one epoch, in the papers' sizes
and with the profile's batches, on some 2,500 simulated ECGs and on Llama-3.2-1B's shape with random
weights. `hours` of a row are its median update times its updates in the profile; `value` is their
sum, the reference the sum of what `--dry-run` estimates for the same rows. `memory_gb` is the most
that torch allocated on the GPU. Looks at validation patients, checkpoints, encoding and writing
texts are in no hours. `tokens_per_second` are those of texts of 256 ECGs, `scoring.batch` of them
at a time; random weights write until `max_new`. Needs a GPU, 8 GB of disk and nine minutes.
"""

import json
import sys
import tempfile
from pathlib import Path

import measure_machine
import torch
from _common import skip, write
from _older_torch import count_grouped_queries

from ecglib.run import dry_run, profiles
from ecglib.run.paths import Paths

UPDATES = 60
PARTS = ["encoder", "vq_quantiser", "vq", "rvq_quantiser", "rvq", "qinco_quantiser", "qinco", "fsq"]
PARTS += ["raw", "deep_ssl", "head_qinco", "deepsl", "ecg_tok", "no_ecg", "heartllm_pretrained"]
PARTS += ["heartllm", "ecg_byte", "ecg_tok_texts", "heartllm_texts", "ecg_byte_texts"]
# Not among them: RVQ with one codebook and HeartLLM without pretraining, which cost what others do.
ORDER = ["--profile", "gpu", "--device", "cuda", "--dtype", "bfloat16", "--patients", "2000"]
ORDER += ["--steps", str(UPDATES), "--only", ",".join(PARTS)]


def beside_the_estimate(report: dict) -> dict:
    """Measured and estimated hours and memory of each training in a report of `measure_machine`."""
    estimate = dry_run.estimate(profiles.load_profile(Paths.here(), report["profile"]))
    titles = {title.split()[0].partition("/")[2]: title for title in estimate.index}
    rows, texts = {}, {}
    for row in report["parts"]:
        name = row["part"]
        if name.endswith("_texts"):
            texts[name] = {key: row.get(key) for key in ("tokens_per_second", "peak_memory_gb")}
        elif name in PARTS and row.get("seconds_a_step"):
            estimated = estimate.loc[titles[name]]
            rows[titles[name]] = {
                "seconds_an_update": row["seconds_a_step"],
                "hours": row["seconds_a_step"] * int(estimated["steps"]) / 3600,
                "estimated_hours": float(estimated["hours"]),
                "memory_gb": row["peak_memory_gb"],
                "estimated_memory_gb": float(estimated["memory"]) / 1e9,
                "losses": [row["first_loss"], row["last_loss"]],
            }
    measured, expected = (sum(of[k] for of in rows.values()) for k in ("hours", "estimated_hours"))
    return {
        "value": measured,
        "unit": f"hours of {len(rows)} trainings of the profile gpu on one GPU, by median update",
        "reference": {"what": "hours that --dry-run estimates for the same", "value": expected},
        "ratio": measured / expected,
        "device": report["device"],
        "trainings": rows,
        "texts": texts,
    }


def main(arguments: list[str]) -> None:
    """Measure, or read a report of `measure_machine`; write reports/benchmarks/gpu_hours.json."""
    count_grouped_queries()
    if arguments:
        report = json.loads(Path(arguments[0]).read_text("utf-8"))
    elif not torch.cuda.is_available():
        skip("gpu_hours: torch sees no GPU.")
    else:
        with tempfile.TemporaryDirectory() as name:
            measure_machine.main([*ORDER, "--out", name])
            report = json.loads((Path(name) / "machine.json").read_text("utf-8"))
    write("gpu_hours", beside_the_estimate(report), ("torch", "transformers", "peft"))


if __name__ == "__main__":
    main(sys.argv[1:])
