"""The contract of a language system: a base, how it is adapted, and a prefix in the ECG's place.

The module `ecglib.language.<kind>` of each system defines a class `Prefix` (a torch module) with

    kind                    the module's name
    config                  the arguments that construct it again, plain data
    positions               how many embeddings it puts in front of the text
    front                   of these, how many first ones stand for no part of the ECG (for
                            `alignment.embed`; a prefix of token ids has brackets instead)
    build(config, shapes)   class method: an untrained one of these settings (`Shapes`)
    read_ecgs(inputs, rows) what represents the ECGs of these records: tensors on the CPU (or what
                            can be indexed like them), with one entry per record on the first axis
    forward(*ecgs)          embeddings (B, P, d_llm) in front of the text, and valid lengths (B,)

and a step `initialise` that saves an untrained one. All parameters of a prefix that require a
gradient are trained, together with a LoRA or the whole base. On disk, weights in half precision:

    system.json, prefix.safetensors   kind and config, and the weights of the prefix
    lora/ or model/                   the LoRA in PEFT's format, or the whole model as a folder
    history.csv, validation.csv       the loss per update, and on validation patients
    prompt.json                       which words it reads
    budget.json                       what the training has cost so far
"""

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.language.prompt import Prompt
from ecglib.tokenizers import plugin
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import Tokenizer
from ecglib.training.device import Machine
from ecglib.training.seeds import sub_seed


@dataclass(frozen=True)
class Shapes:
    """What the size of a prefix follows from."""

    width: int  # d_llm
    scale: float  # root mean square of the model's own token embeddings
    positions: int = 0  # of the tokens, per ECG
    dim: int = 0  # numbers per vector of a latent tokenizer
    codewords: int = 0  # different codes


@dataclass(frozen=True)
class System:
    """A language system with the ECGs of some records."""

    base: Base
    model: nn.Module  # the base, with its LoRA if it has one
    prefix: nn.Module
    ecgs: tuple[torch.Tensor, ...]
    lines: tuple[tuple[int, ...], ...] = ()  # word pieces about the patient of each, if any

    def ecg_prefix(self, indices: Sequence[int] | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefixes of these of the ECGs, each behind the line about its patient: embeddings
        (B, P, d), valid lengths (B,)."""
        device = self.base.model.device
        ecg, lengths = self.prefix(*(part[indices].to(device) for part in self.ecgs))
        if not self.lines:
            return ecg, lengths
        lines = [self.lines[i] for i in np.arange(len(self.lines))[indices]]
        sizes = list(map(len, lines))
        words = torch.tensor([piece for line in lines for piece in line], device=device)
        words = self.base.model.get_input_embeddings()(words).to(ecg.dtype).split(sizes)
        rows = [torch.cat([w, e[:n]]) for w, e, n in zip(words, ecg, lengths, strict=True)]
        return nn.utils.rnn.pad_sequence(rows, True), lengths + torch.tensor(sizes, device=device)

    def positions(self, indices: Sequence[int]) -> int:
        """How many positions these prefixes take together."""
        return sum(
            self.prefix.positions + len(self.lines[i] if self.lines else ()) for i in indices
        )


def prompted(system: System, prompt: Prompt, records: pd.DataFrame) -> System:
    """The system with what stands in front of each of its ECGs (one record each): the token that
    begins a text, where the base has one, and the line about the patient, where the prompt has."""
    texts = [prompt.line(record) for _, record in records.iterrows()]
    lines = [(*system.base.begin, *system.base.encode(text)) for text in texts]
    return replace(system, lines=tuple(lines) if any(lines) else ())


def full_lengths(embeddings: torch.Tensor) -> torch.Tensor:
    """Lengths (B,) of prefixes (B, P, d) without padding."""
    return torch.full((len(embeddings),), embeddings.shape[1], device=embeddings.device)


def draw_prefix(
    cls: type, base: Base, tokenizer: Tokenizer | None, config: dict, seed: int
) -> nn.Module:
    """An untrained prefix of the class `cls`; `tokenizer`: for a system that reads tokens."""
    shapes = Shapes(base.width, base.embedding_scale)
    if isinstance(tokenizer, LatentTokenizer):
        positions, dim = tokenizer.shape()
        shapes = replace(shapes, positions=positions, dim=dim)
    elif tokenizer is not None:
        rate = tokenizer.rate()
        shapes = replace(shapes, positions=rate.tokens_per_ecg, codewords=rate.vocabulary_size)
    torch.manual_seed(sub_seed(seed, "initialise", cls.kind))
    return cls.build(config, shapes)


def save_prefix(prefix: nn.Module, folder: Path) -> None:
    """Write `system.json` and `prefix.safetensors`, in half precision as it is published."""
    state = prefix.state_dict().items()
    tensors = {name: base_model.halved(value).contiguous() for name, value in state}
    save_file(tensors, folder / "prefix.safetensors")
    config = {"kind": prefix.kind, **prefix.config}
    (folder / "system.json").write_text(json.dumps(config, indent=1))


def load_prefix(folder: Path) -> nn.Module:
    """Read what `save_prefix` wrote, as float32 and in evaluation mode.

    The system's module is imported by its name. It is part of the key of `initialise`, from which
    the folder descends, and not of the calling step's key. A new system keeps other results valid.
    Raises ValueError: `system.json` names an unknown kind."""
    config = json.loads((folder / "system.json").read_text())
    kind = str(config.pop("kind"))
    name = plugin.system_module(kind)
    module = importlib.import_module(name) if name else None
    if not hasattr(module, "Prefix"):
        raise ValueError(f"expected a system of ecglib.language in {folder}, got kind {kind!r}")
    prefix = module.Prefix(**config)
    prefix.load_state_dict(load_file(folder / "prefix.safetensors"))
    return prefix.eval()


def open_system(
    inputs: dict[str, Path], machine: Machine, rows: np.ndarray, trainable: bool = False
) -> System:
    """The system in `inputs["system"]`, with the ECGs of some records.

    Args:
        inputs: `base` and what the prefix reads; `system`, or, where a training begins, `prefix`
            and `start` (optional), the folders of the prefix and of the adapted model. Without
            either the base is plain.
        rows: record numbers.
        trainable: LoRA, model and prefix are about to be trained.
    """
    adapted = inputs.get("start", inputs.get("system"))
    whole = adapted is not None and (adapted / "model").is_dir()
    base = base_model.load(adapted / "model" if whole else inputs["base"], machine)
    prefix = load_prefix(inputs.get("prefix", inputs.get("system"))).to(machine.device)
    model = base.model
    # an untrained system has none, but one that is asked for by name must be in its folder
    if not whole and ("start" in inputs or (adapted is not None and (adapted / "lora").exists())):
        model = base_model.load_lora(base, adapted, trainable)
    return System(base, model, prefix.train(trainable), prefix.read_ecgs(inputs, rows))
