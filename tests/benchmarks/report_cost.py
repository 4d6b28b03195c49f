"""Floating-point operations of a report of 48 word pieces: ECG-Byte's over ECG-Tok's.

    bash run_all.sh bench report_cost

Both have the same small language model with random weights, which reads a line about the patient,
the ECG and a prompt, and writes 48 word pieces with a cache. ECG-Byte reads the byte pairs of the
segment of the laptop profile, as many as they are on average over the simulated ECGs from which
they were learned, as many as in that profile. ECG-Tok reads
twelve vectors, which its adapter makes from the 79 latents of an ECG; the tokenizers themselves are
not counted. Operations are counted by torch. `ratio` is `value` over the reference; HeartLLM's
operations and the positions of all three stand beside them. `training_step_over_heartllm` compares
the updates of the whole model, with a report and six questions behind each ECG.
"""

import numpy as np
import torch
from _common import write
from _small_llama import WIDTH, answer_losses, llama
from measure_machine import records
from torch.utils.flop_counter import FlopCounterMode

from ecglib.language.adapter import Adapter
from ecglib.language.ecg_byte import ByteEmbedding
from ecglib.language.heartllm import EcgTokenEmbedding
from ecglib.language.write_texts import generate
from ecglib.run import profiles
from ecglib.run.paths import Paths
from ecglib.signals.leads import RATE
from ecglib.tokenizers.amplitude_bins import LETTERS, fit_bins
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.training.device import Machine

PIECES, LINE, PROMPT = 48, 14, 6
PATIENTS, ECGS = 200, 200  # as many ECGs as the laptop profile learns merges from
NONE = -1  # no token ends a report, so each has PIECES


def symbols(profile: dict) -> tuple[int, int]:
    """Symbols of a segment, on average over simulated ECGs, and of the vocabulary."""
    signals = np.stack([record["signal"] for record in records(PATIENTS, 0)])[:ECGS]
    bins = fit_bins(signals)
    tokenizer = BPETokenizer.fit(bins, list(signals), profile["bpe"]["merges"], False)
    samples = round(profile["systems"]["ecg_byte"]["seconds"] * RATE)
    codes = tokenizer.encode(torch.from_numpy(signals[..., :samples]))
    return round(float((codes >= 0).sum() / len(signals))), LETTERS + len(tokenizer.merges)


def operations(model: torch.nn.Module, prefix: torch.nn.Module, ecg: tuple) -> tuple[int, int]:
    """Operations of a report, and positions that the ECG takes."""
    words = model.get_input_embeddings()(torch.arange(1, LINE + 1))[None]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        embeddings, _ = prefix(*ecg)
        entering = torch.cat([words, embeddings], 1)
        lengths, prompt = torch.tensor([entering.shape[1]]), list(range(1, PROMPT + 1))
        ((reply,),) = generate(model, entering, lengths, [[prompt]], NONE, PIECES)
    assert len(reply[0]) == PIECES, reply
    return counter.get_total_flops(), embeddings.shape[1]


def training_step(positions: int) -> int:
    """Operations of an update, forward and backward, with this many positions before the texts."""
    machine = Machine("cpu", "float32", 2, "a benchmark")
    with FlopCounterMode(display=False) as counter:
        answer_losses(llama(), positions, machine)(0)[0]().backward()
    return counter.get_total_flops()


def main() -> None:
    """Count, print and write reports/benchmarks/report_cost.json."""
    profile = profiles.load_profile(Paths.here(), "laptop")
    torch.manual_seed(0)
    model, (count, vocabulary) = llama().eval(), symbols(profile)
    entry, heartllm = profile["systems"]["ecg_tok"], profile["leadwise"]["model"]
    positions, dim = 79, profile["tokenizer"]["fit_pca_rvq"]["dim"]
    sizes = {key: entry[key] for key in ("hidden", "heads", "vectors")}
    adapter = Adapter(dim, positions, **sizes, width=WIDTH, scale=0.02).eval()
    hop = int(np.prod(heartllm["strides"]))
    codes = heartllm["levels"] ** heartllm["dims"]
    tokens = -(-10 * RATE // hop)
    seconds = profile["systems"]["ecg_byte"]["seconds"]
    ecg_byte = ByteEmbedding(vocabulary, WIDTH, count, seconds, released=False)
    heart = EcgTokenEmbedding(codes, WIDTH, tokens)
    of = {
        "ecg_byte": (ecg_byte, (torch.zeros(1, count, dtype=torch.long),)),
        "ecg_tok": (adapter, (torch.randn(1, positions, dim), torch.tensor([positions]))),
        "heartllm": (heart, (torch.zeros(1, tokens, dtype=torch.long),)),
    }
    counted = {name: operations(model, *parts) for name, parts in of.items()}
    ours, theirs = counted["ecg_byte"][0], counted["ecg_tok"][0]
    steps = [training_step(LINE + counted[name][1]) for name in ("ecg_byte", "heartllm")]
    result = {
        "value": ours / 1e9,
        "unit": f"10^9 operations of a report of {PIECES} word pieces by ECG-Byte",
        "reference": {"what": "the same by ECG-Tok", "value": theirs / 1e9},
        "ratio": ours / theirs,
        "limit": 4,
        "heartllm": counted["heartllm"][0] / 1e9,
        "training_step_over_heartllm": steps[0] / steps[1],
        "positions": {name: place for name, (_, place) in counted.items()},
        "seconds_of_the_segment": seconds,
    }
    write("report_cost", result, ("torch", "transformers"))


if __name__ == "__main__":
    main()
