"""A small Llama and texts as long as those of the default run, for benchmarks of the language room.

Texts are token ids. There are few different reports, chosen by their prompt, and few questions, so
that a model learns them in a minute and writes them with confidence.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ecglib.language.packing import Text, answer_loss, collate
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

END, VOCABULARY, ECGS, QUESTIONS, WIDTH = 0, 1000, 16, 6, 256
Losses = Callable[[int], list[Callable[[], torch.Tensor]]]


def llama() -> LlamaForCausalLM:
    """3.7 million random weights in float32, with the plain attention of `language.base.load`."""
    torch.manual_seed(0)
    heads = dict.fromkeys(("num_attention_heads", "num_key_value_heads"), 4)
    sizes = {"hidden_size": WIDTH, "intermediate_size": 3 * WIDTH, "num_hidden_layers": 4, **heads}
    config = LlamaConfig(vocab_size=VOCABULARY, tie_word_embeddings=True, **sizes)
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")
    return model


def pool(draw: np.random.Generator, prompt: tuple, answer: tuple, size: int) -> list[Text]:
    """Texts with log-normal lengths, each given by median and spread."""

    def words(median: float, spread: float) -> list[int]:
        length = int(np.exp(draw.normal(np.log(median), spread)).round().clip(1, 60))
        return draw.integers(1, VOCABULARY, length).tolist()

    return [Text(words(*prompt), [*words(*answer), END]) for _ in range(size)]


def texts_of(ecgs: int, seed: int) -> list[list[Text]]:
    """Per ECG a report and questions, as long as in the run synthetic-laptop."""
    fixed, draw = np.random.default_rng(0), np.random.default_rng(seed)
    reports = pool(fixed, (2, 0), (22, 0.5), 40)
    questions = pool(fixed, (11, 0.4), (2, 0.6), 60)
    return [
        [reports[draw.integers(40)], *(questions[draw.integers(60)] for _ in range(QUESTIONS))]
        for _ in range(ecgs)
    ]


def prefixes(ecgs: int, positions: int, seed: int) -> torch.Tensor:
    """Embeddings (ecgs, positions, WIDTH) that stand for ECGs, of the size of word embeddings."""
    draw = torch.Generator().manual_seed(seed)
    return 0.02 * torch.randn(ecgs, positions, WIDTH, generator=draw)


def answer_losses(model: LlamaForCausalLM, positions: int, machine: Machine) -> Losses:
    """The loss of an update of ECGS new ECGs, for `training.loop.fit`."""

    def loss(step: int) -> torch.Tensor:
        texts, full = texts_of(ECGS, step + 1), torch.full((ECGS,), positions)
        tokens = sum(len(text.answer) for of_ecg in texts for text in of_ecg)
        with machine.autocast():
            prefix, batch = prefixes(ECGS, positions, step), collate(texts, END)
            return answer_loss(model, prefix, full, batch, tokens)

    return lambda step: [partial(loss, step)]


def train(model: LlamaForCausalLM, loss_at: Losses, steps: int, folder: Path) -> None:
    """`training.loop.fit` of all weights, without a checkpoint."""
    schedule = Schedule(steps, min(20, steps // 4), checkpoint_every=steps)
    fit(loss_at, {"model": model}, {"model": 2e-3}, schedule, 0, folder, "benchmark")
