"""Where ECG tokens and report words lie in the language model, and what an answer looks at.

    embed    matched ECGs and reports, mean-pooled at two levels: as they enter the model, and
             at its last layer
    attend   attention from the position that writes the first word of an answer to the ECG tokens

ECG and report pass through the model separately. In one sequence the report's states could copy
the ECG's through attention, and any model would look aligned.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import nn
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.ecg_embedding import EcgRows, load_rows
from ecglib.language.packing import backbone
from ecglib.tokenizers.encode import read_codes
from ecglib.training.device import Machine

LEVELS = ("input", "hidden")


def embed(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `embeddings.safetensors`, float32 (N, d) of unit length: `ecg_input`, `text_input`,
    `ecg_hidden`, `text_hidden`; and `rows.json`, the record numbers.

    Inputs: `cohort`, `codes`, `base`, `system` (LoRA and rows of `heartllm.pretrain` or `tune`).
    Config: `rows` (record numbers), `batch`.
    """
    machine.configure_torch()
    base, model, ear = _load(inputs, machine, attention=False)
    reports = Cohort.open(inputs["cohort"]).records["report"].to_numpy()
    found: dict[str, list[np.ndarray]] = {f"{m}_{at}": [] for m in ("ecg", "text") for at in LEVELS}
    for start in tqdm(range(0, len(config["rows"]), config["batch"]), desc="embed"):
        some = config["rows"][start : start + config["batch"]]
        codes = read_codes(inputs["codes"], some)[..., 0].to(machine.device)
        with torch.no_grad(), machine.autocast():
            clouds = {"ecg": ecg_levels(model, ear, codes)}
            clouds["text"] = text_levels(base, model, [str(reports[row]) for row in some])
        for modality, levels in clouds.items():
            for at, cloud in zip(LEVELS, levels, strict=True):
                found[f"{modality}_{at}"].append(cloud.float().cpu().numpy())
    save_file(
        {name: np.concatenate(parts) for name, parts in found.items()},
        out / "embeddings.safetensors",
    )
    (out / "rows.json").write_text(json.dumps(list(map(int, config["rows"]))))


def attend(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `attention.npy`, float32 (N, T): how much of the attention that falls on ECG tokens
    falls on each, at the position that writes the first word of the answer (rows add up to 1).

    Mean over the heads of the last `config["layers"]` layers (of all, where there are fewer).
    Inputs as for `embed`. Config: `rows`, `prompt` (a question, the same for all), `layers`,
    `batch`.
    """
    machine.configure_torch()
    base, model, ear = _load(inputs, machine, attention=True)
    prompt = torch.tensor(base.ids(config["prompt"]), device=machine.device)
    layers = min(config["layers"], base.model.config.num_hidden_layers)
    parts = []
    for start in tqdm(range(0, len(config["rows"]), config["batch"]), desc="attend"):
        some = config["rows"][start : start + config["batch"]]
        codes = read_codes(inputs["codes"], some)[..., 0].to(machine.device)
        with torch.no_grad(), machine.autocast():
            parts.append(first_answer_attention(model, ear, codes, prompt, layers))
    np.save(out / "attention.npy", torch.cat(parts).cpu().numpy())


def read(folder: Path) -> dict[str, np.ndarray]:
    """The clouds that `embed` wrote, by name."""
    return load_file(folder / "embeddings.safetensors")


def _load(
    inputs: dict[str, Path], machine: Machine, attention: bool
) -> tuple[Base, nn.Module, EcgRows]:
    base = base_model.load(inputs["base"], machine)
    if attention:  # the fused kernels never form the weights
        base.model.set_attn_implementation("eager")
    model = base_model.load_lora(base, inputs["system"] / "lora", trainable=False)
    return base, model.eval(), load_rows(inputs["system"]).to(machine.device)


def pool(x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean over the valid positions, scaled to length 1: x (B, L, d), valid (B, L) -> (B, d)."""
    mean = (x.float() * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
    return nn.functional.normalize(mean, dim=-1)


def ecg_levels(
    model: nn.Module, ear: EcgRows, codes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pooled input and last-layer embeddings of ECGs: codes (B, T) -> twice (B, d).

    The brackets are not part of the means.
    """
    inside = ear.embed(ear.bracket(codes)).to(model.dtype)
    hidden = backbone(model)(inputs_embeds=inside, use_cache=False).last_hidden_state
    valid = torch.ones_like(codes, dtype=torch.bool)
    return pool(inside[:, 1:-1], valid), pool(hidden[:, 1:-1], valid)


def text_levels(
    base: Base, model: nn.Module, texts: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pooled input and last-layer embeddings of texts: B texts -> twice (B, d).

    An end token stands in front, where language models park their attention, and is not part of
    the means (nor is <start_ecg>, its counterpart). Raises ValueError for an empty text.
    """
    tokens = [base.ids(" " + text) for text in texts]
    if not all(tokens) or not all(text.strip() for text in texts):
        raise ValueError("a report is empty and has no embedding; leave such records out of `rows`")
    length = max(map(len, tokens))
    device = base.model.device
    ids = [[base.eos, *line, *[base.eos] * (length - len(line))] for line in tokens]
    valid = torch.tensor([[1] * len(line) + [0] * (length - len(line)) for line in tokens])
    valid = valid.bool().to(device)
    inside = model.get_input_embeddings()(torch.tensor(ids, device=device))
    # padding stands behind the text: a causal model does not see it from there
    hidden = backbone(model)(inputs_embeds=inside, use_cache=False).last_hidden_state
    return pool(inside[:, 1:], valid), pool(hidden[:, 1:], valid)


def first_answer_attention(
    model: nn.Module, ear: EcgRows, codes: torch.Tensor, prompt: torch.Tensor, layers: int
) -> torch.Tensor:
    """Attention over the ECG tokens from the last prompt position: codes (B, T) -> (B, T).

    Args:
        prompt: (L,) token ids; layers: how many of the last layers are averaged.

    Raises:
        ValueError: the model has fewer layers, or computes no attention weights.
    """
    asked = model.get_input_embeddings()(prompt).expand(len(codes), -1, -1)
    trunk = ear.embed(ear.bracket(codes)).to(asked.dtype)
    done = backbone(model)(
        inputs_embeds=torch.cat([trunk, asked], 1), use_cache=False, output_attentions=True
    )
    weights = done.attentions
    if not weights or weights[-1] is None:
        raise ValueError("no attention weights: load the model with the eager implementation")
    if not 1 <= layers <= len(weights):
        raise ValueError(f"layers is {layers}, but the model has {len(weights)}")
    last = torch.stack([w[:, :, -1, 1 : codes.shape[1] + 1].float() for w in weights[-layers:]])
    mean = last.mean((0, 2))  # over layers and heads
    return mean / mean.sum(1, keepdim=True)
