"""A LoRA on a language model in 4 bits, beside one on the whole model: memory, time and loss.

    bash run_all.sh bench four_bits

QLoRA (Dettmers et al. 2023) keeps the frozen weights as NF4 with doubly quantised scales. Here
SmolLM2-135M-Instruct learns to write reports of the committed run, without ECGs: the same texts in
the same order and the same LoRA on both, each in a process of its own. `value` is the loss of the
last five updates on 4 bits, the reference that on the whole model in the machine's number format;
wanted is a ratio within 2 per cent of 1. `weights_mb` counts the model's tensors. `peak_mb` is what
the process took at most, above what it had before the model was loaded. On a CPU each product
unpacks its weights first, which costs time (`seconds`). The model is the asset smollm2, which
`bash run_all.sh --prefetch` fetches.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import REPO, peak_bytes, write
from _small_model import GGUF, fetched

from ecglib.training import seeds
from ecglib.training.device import choose_machine

TEXTS = REPO / "reports" / "synthetic-laptop" / "predictions" / "04_texts.parquet"
LORA = {"rank": 16, "alpha": 32, "targets": ["q_proj", "k_proj", "v_proj", "o_proj"]}
UPDATES, BATCH, RATE, LAST = 30, 8, 1e-3, 5
FORMS = ("whole", "nf4")
MB = 2**20


def reports() -> list[str]:
    """The reference reports of the test ECGs, each once, sorted."""
    frame = pd.read_parquet(TEXTS, columns=["target"])
    return sorted(set(frame["target"]) - {""})


def learn(form: str) -> dict:
    """Load the model in a form, train a LoRA, and measure."""
    from ecglib.language import base as base_model  # transformers takes many seconds to import

    machine = choose_machine({"device": "cpu", "dtype": "auto", "threads": 2})
    machine.configure_torch()
    with tempfile.TemporaryDirectory() as name:
        prepared = Path(name)
        # in a process of its own, whose memory does not count here
        code = "import four_bits, sys; four_bits.prepare(*sys.argv[1:])"
        command = [sys.executable, "-c", code, name, form]
        subprocess.run(command, cwd=Path(__file__).parent, check=True)
        before = peak_bytes()
        base = base_model.load(prepared, machine)
        tensors = {t.data_ptr(): t.nbytes for t in base.model.state_dict().values()}
        model = base_model.add_lora(base, LORA, 0)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, RATE)
        texts, losses, begun = reports(), [], time.perf_counter()
        for step in range(UPDATES):
            rows = seeds.epoch_rows(len(texts), BATCH, step, 0, "texts").tolist()
            ids = [torch.tensor([*base.encode(texts[row]), base.eos]) for row in rows]
            read = torch.nn.utils.rnn.pad_sequence(ids, True, base.eos)
            targets = torch.nn.utils.rnn.pad_sequence(ids, True, -100)
            with machine.autocast():
                loss = model(input_ids=read, labels=targets).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        seconds = (time.perf_counter() - begun) / UPDATES
    memory = {"weights_mb": sum(tensors.values()) / MB, "peak_mb": (peak_bytes() - before) / MB}
    return memory | {"seconds": seconds, "losses": losses, "dtype": machine.dtype}


def prepare(folder: str, form: str) -> None:
    """Write the model as the step of a run does."""
    from ecglib.language import base as base_model

    machine = choose_machine({"device": "cpu", "dtype": "auto", "threads": 2})
    config = GGUF | {"quantisation": {"whole": "none"}.get(form, form)}
    base_model.prepare(Path(folder), {"asset": fetched()}, config, 0, machine)


def main() -> None:
    """Measure both forms, and write reports/benchmarks/four_bits.json."""
    fetched()
    measured = {}
    for form in FORMS:
        command = [sys.executable, __file__, form]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        measured[form] = json.loads(out.splitlines()[-1])
    last = {form: float(np.mean(of["losses"][-LAST:])) for form, of in measured.items()}
    four, whole = (measured[form] for form in ("nf4", "whole"))
    result = {
        "value": last["nf4"],
        "unit": "nats per word piece",
        "reference": {"what": f"the whole model in {whole['dtype']}", "value": last["whole"]},
        "ratio": last["nf4"] / last["whole"],
        "first_loss": {form: of["losses"][0] for form, of in measured.items()},
    }
    for what in ("weights_mb", "peak_mb", "seconds"):
        pair = {form: round(of[what], 2) for form, of in measured.items()}
        result[what] = pair | {"ratio": round(four[what] / whole[what], 3)}
    write("four_bits", result, ("torch", "transformers", "peft", "bitsandbytes"))


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(learn(sys.argv[1])))
    else:
        main()
