"""Where ECG tokens and words are in the model's space, and what an answer attends to.

    embed    matched ECGs and reports, mean-pooled at two levels: the input of the model and its
             last layer
    attend   attention from the position that writes the first word of an answer to the ECG tokens

ECG and report pass through the model separately. In one sequence the report's states could copy
the ECG's through attention, and any model would look aligned.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import nn
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language.base import Base
from ecglib.language.heartllm import EcgTokenEmbedding
from ecglib.language.packing import backbone
from ecglib.language.system import open_system
from ecglib.training.device import Machine

LEVELS = ("input", "hidden")


def embed(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `embeddings.safetensors`, float32 (N, d) of unit length: `ecg_input`, `text_input`,
    `ecg_hidden` and `text_hidden`.

    Config:
        rows: record numbers.
        batch: ECGs at a time.

    Inputs: cohort, codes (of the tokenizer), base, system (a HeartLLM).
    """
    machine.configure_torch()
    rows, size = config["rows"], config["batch"]
    system = open_system(inputs, machine, np.array(rows))
    model, reports = system.model.eval(), Cohort.open(inputs["cohort"]).records["report"].to_numpy()
    parts: dict[str, list[np.ndarray]] = {f"{m}_{at}": [] for m in ("ecg", "text") for at in LEVELS}
    for start in tqdm(range(0, len(rows), size), desc="embed"):
        codes = system.ecgs[0][start : start + size].to(machine.device)
        texts = [str(reports[row]) for row in rows[start : start + size]]
        with torch.no_grad(), machine.autocast():
            clouds = {"ecg": ecg_levels(model, system.prefix, codes)}
            clouds["text"] = text_levels(system.base, model, texts)
        for modality, levels in clouds.items():
            for at, cloud in zip(LEVELS, levels, strict=True):
                parts[f"{modality}_{at}"].append(cloud.float().cpu().numpy())
    embeddings = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    save_file(embeddings, out / "embeddings.safetensors")


def attend(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `attention.npy`, float32 (N, T): the share of each ECG token in the attention that
    falls on ECG tokens, at the position that writes the first word of the answer.

    Config:
        rows: record numbers.
        prompt: a question, the same for all.
        layers: the mean is over the heads of so many last layers, of all where there are fewer.
        batch: ECGs at a time.

    Inputs: codes (of the tokenizer), base, system (a HeartLLM).
    """
    machine.configure_torch()
    system = open_system(inputs, machine, np.array(config["rows"]))
    system.base.model.set_attn_implementation("eager")  # fused kernels never form the weights
    model = system.model.eval()
    prompt = torch.tensor(system.base.encode(config["prompt"]), device=machine.device)
    layers = min(config["layers"], system.base.model.config.num_hidden_layers)
    parts = []
    for codes in tqdm(system.ecgs[0].split(config["batch"]), desc="attend"):
        ids = codes.to(machine.device)
        with torch.no_grad(), machine.autocast():
            parts.append(first_answer_attention(model, system.prefix, ids, prompt, layers))
    np.save(out / "attention.npy", torch.cat(parts).cpu().numpy())


def read(folder: Path) -> dict[str, np.ndarray]:
    """The clouds that `embed` wrote, by name."""
    return load_file(folder / "embeddings.safetensors")


def pool(x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean over the valid positions, scaled to length 1: x (B, L, d), valid (B, L) -> (B, d)."""
    mean = (x.float() * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
    return nn.functional.normalize(mean, dim=-1)


def ecg_levels(
    model: nn.Module, embedding: EcgTokenEmbedding, codes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pooled input and last-layer embeddings of ECGs: codes (B, T) -> twice (B, d).

    The brackets are not part of the means.
    """
    entering = embedding(codes)[0].to(model.dtype)
    hidden = backbone(model)(inputs_embeds=entering, use_cache=False).last_hidden_state
    valid = torch.ones_like(codes, dtype=torch.bool)
    return pool(entering[:, 1:-1], valid), pool(hidden[:, 1:-1], valid)


def text_levels(
    base: Base, model: nn.Module, texts: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pooled input and last-layer embeddings of texts: B texts -> twice (B, d).

    An end token comes first, because language models direct spare attention to it. It is not part
    of the means, and neither is <start_ecg>, its counterpart.

    Raises:
        ValueError: a text is empty.
    """
    tokens = [base.encode(" " + text) for text in texts]
    if not all(tokens) or not all(text.strip() for text in texts):
        raise ValueError("expected reports with words, got an empty one; leave it out of `rows`")
    length = max(map(len, tokens))
    device = base.model.device
    ids = [[base.eos, *words, *[base.eos] * (length - len(words))] for words in tokens]
    valid = torch.tensor([[1] * len(words) + [0] * (length - len(words)) for words in tokens])
    valid = valid.bool().to(device)
    entering = model.get_input_embeddings()(torch.tensor(ids, device=device))
    # the padding is behind the text, where a causal model does not attend to it
    hidden = backbone(model)(inputs_embeds=entering, use_cache=False).last_hidden_state
    return pool(entering[:, 1:], valid), pool(hidden[:, 1:], valid)


def first_answer_attention(
    model: nn.Module,
    embedding: EcgTokenEmbedding,
    codes: torch.Tensor,
    prompt: torch.Tensor,
    layers: int,
) -> torch.Tensor:
    """Attention over the ECG tokens from the last prompt position: codes (B, T) -> (B, T).

    Args:
        prompt: (L,) token ids; layers: how many of the last layers are averaged.

    Raises:
        ValueError: the model has fewer layers, or computes no attention weights.
    """
    question = model.get_input_embeddings()(prompt).expand(len(codes), -1, -1)
    prefix = embedding(codes)[0].to(question.dtype)
    weights = backbone(model)(
        inputs_embeds=torch.cat([prefix, question], 1), use_cache=False, output_attentions=True
    ).attentions
    if not weights or weights[-1] is None:
        raise ValueError(
            "expected attention weights, got none; load the model with eager attention"
        )
    if not 1 <= layers <= len(weights):
        raise ValueError(f"expected layers from 1 to {len(weights)}, got {layers}")
    last = torch.stack([w[:, :, -1, 1 : codes.shape[1] + 1].float() for w in weights[-layers:]])
    mean = last.mean((0, 2))  # over layers and heads
    return mean / mean.sum(1, keepdim=True)
