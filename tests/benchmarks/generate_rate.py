"""Texts per second of `write_texts.generate` beside transformers' `generate`, one text at a time.

    bash run_all.sh bench generate_rate

A small model first learns some reports and answers, so that it ends its texts. Both then write a
report and six answers about each ECG greedily, behind the same prefix embeddings of 160 positions
(HeartLLM) and of 12 (ECG-Tok). `ratio` is that of the prefix where it is lower, in the number
format that the machine chooses. `equal` says which share of the texts is the same token by token:
it must be 1 in float32. Transformers writes the texts of the first `PLAIN` ECGs only, so both are
compared per text.
"""

import tempfile
import time
from pathlib import Path

import torch
from _common import write
from _small_llama import END, QUESTIONS, answer_losses, llama, prefixes, texts_of, train
from transformers import LlamaForCausalLM

from ecglib.language.write_texts import generate
from ecglib.training.device import Machine, choose_machine

ECGS, BATCH, PLAIN, MOST, STEPS = 96, 32, 4, 64, 150


def ours(model: LlamaForCausalLM, prefix: torch.Tensor, prompts: list) -> list[list[int]]:
    """Texts of all ECGs, in batches, as `write` calls for them."""
    order = sorted(range(len(prompts)), key=lambda i: sum(map(len, prompts[i])))
    written: dict[int, list] = {}
    for start in range(0, len(order), BATCH):
        group = order[start : start + BATCH]
        full, about = torch.full((len(group),), prefix.shape[1]), [prompts[i] for i in group]
        replies = generate(model, prefix[group], full, about, END, MOST)
        written |= zip(group, replies, strict=True)
    return [ids for i in range(len(prompts)) for ids, _ in written[i]]


@torch.no_grad()
def plain(model: LlamaForCausalLM, prefix: torch.Tensor, prompts: list) -> list[list[int]]:
    """Each text alone, by transformers."""
    embed, written = model.get_input_embeddings(), []
    options = {"do_sample": False, "eos_token_id": END, "pad_token_id": END, "use_cache": True}
    for of_ecg, about in zip(prefix, prompts, strict=True):
        for prompt in about:
            entering = torch.cat([of_ecg, embed(torch.tensor(prompt))])[None]
            seen = torch.ones(entering.shape[:2], dtype=torch.long)
            ids = model.generate(
                inputs_embeds=entering, attention_mask=seen, max_new_tokens=MOST, **options
            )[0].tolist()
            written.append(ids[: ids.index(END)] if END in ids else ids)
    return written


def measure(model: LlamaForCausalLM, positions: int) -> dict[str, float]:
    """Seconds per text of both, and the share of equal texts."""
    prefix = prefixes(ECGS, positions, 0).to(model.dtype)
    prompts = [[text.prompt for text in of_ecg] for of_ecg in texts_of(ECGS, 0)]
    rates, texts = [], []
    for way, count in ((ours, ECGS), (plain, PLAIN)):
        way(model, prefix[:1], prompts[:1])  # not counted
        begun = time.perf_counter()
        texts.append(way(model, prefix[:count], prompts[:count]))
        rates.append(len(texts[-1]) / (time.perf_counter() - begun))
    together, alone = texts
    equal = sum(a == b for a, b in zip(together, alone, strict=False))
    return {
        "prefix": positions,
        "texts_per_second": rates[0],
        "plain_texts_per_second": rates[1],
        "ratio": rates[0] / rates[1],
        "equal": equal / len(alone),
        "tokens_per_text": sum(map(len, together)) / len(together),
    }


def main() -> None:
    """Measure, print and write reports/benchmarks/generate_rate.json."""
    chosen = choose_machine({"device": "cpu", "dtype": "auto", "threads": 2})
    rows = []
    for positions in (12, 160):
        chosen.configure_torch()
        model = llama()
        with tempfile.TemporaryDirectory() as folder:
            train(model, answer_losses(model, positions, chosen), STEPS, Path(folder))
        for dtype in dict.fromkeys(("float32", chosen.dtype)):
            machine = Machine("cpu", dtype, 2, "a benchmark")
            row = measure(model.to(machine.torch_dtype).eval(), positions)
            rows.append({"dtype": dtype, **row})
    slowest = min((row for row in rows if row["dtype"] == chosen.dtype), key=lambda r: r["ratio"])
    result = {
        "value": slowest["texts_per_second"],
        "unit": f"texts per second: a report and {QUESTIONS} answers per ECG, "
        f"{BATCH} ECGs at a time",
        "reference": {
            "what": "transformers' generate, one text at a time",
            "value": slowest["plain_texts_per_second"],
        },
        "ratio": slowest["ratio"],
        "limit": 5,
        "equal_in_float32": min(row["equal"] for row in rows if row["dtype"] == "float32"),
        "dtype": chosen.dtype,
        "threads": chosen.threads,
        "measured": rows,
    }
    write("generate_rate", result, ("torch", "transformers"))


if __name__ == "__main__":
    main()
