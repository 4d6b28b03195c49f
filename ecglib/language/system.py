"""The contract of a language system: a frozen base, its LoRA, and a prefix in the ECG's place.

The module `ecglib.language.<kind>` of each system defines a class `Prefix` (a torch module) with

    kind                    the module's name
    config                  the arguments that construct it again, plain data
    read_ecgs(inputs, rows) what represents the ECGs of these records: tensors on the CPU (or what
                            can be indexed like them), with one entry per record on the first axis
    forward(*ecgs)          embeddings (B, P, d_llm) in front of the text, and valid lengths (B,)
    finding_vectors(*ecgs)  vectors (B, V, d_llm) that the finding warm-up trains, and
    warm_up_name            which seeds its generator; both only for systems with that warm-up

and a step `initialise` that saves an untrained one. All parameters of a prefix that require a
gradient are trained, together with the LoRA. On disk:

    system.json, prefix.safetensors   kind and config, and the weights of the prefix
    lora/                             the LoRA in PEFT's format
    history.csv                       the loss per update
"""

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ecglib.language import base as base_model
from ecglib.language.base import Base
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

LossAt = Callable[[int], list[Callable[[], torch.Tensor]]]  # the losses to add up in an update


@dataclass(frozen=True)
class System:
    """A language system with the ECGs of some records."""

    base: Base
    model: nn.Module  # the base with its LoRA, or the plain base
    prefix: nn.Module
    ecgs: tuple[torch.Tensor, ...]

    def ecg_prefix(self, indices: Sequence[int] | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefixes of these of the ECGs: embeddings (B, P, d), valid lengths (B,)."""
        device = self.base.model.device
        return self.prefix(*(part[indices].to(device) for part in self.ecgs))


def report_prompt(site: str) -> str:
    """What precedes a report: the hospital alone, because it decides the wording."""
    return f"{site}:"


def full_lengths(embeddings: torch.Tensor) -> torch.Tensor:
    """Lengths (B,) of prefixes (B, P, d) without padding."""
    return torch.full((len(embeddings),), embeddings.shape[1], device=embeddings.device)


def save_prefix(prefix: nn.Module, folder: Path) -> None:
    """Write `system.json` and `prefix.safetensors`."""
    tensors = {name: value.cpu().contiguous() for name, value in prefix.state_dict().items()}
    save_file(tensors, folder / "prefix.safetensors")
    config = {"kind": prefix.kind, **prefix.config}
    (folder / "system.json").write_text(json.dumps(config, indent=1))


def load_prefix(folder: Path) -> nn.Module:
    """Read what `save_prefix` wrote, in evaluation mode.

    The system's module is imported by its name. It is part of the key of `initialise`, from which
    the folder descends, and not of the calling step's key. A new system keeps other results valid.
    Raises ValueError: `system.json` names an unknown kind."""
    config = json.loads((folder / "system.json").read_text())
    kind = str(config.pop("kind"))
    is_module = kind.isidentifier() and Path(__file__).with_name(f"{kind}.py").is_file()
    module = importlib.import_module(f"ecglib.language.{kind}") if is_module else None
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
        inputs: `base` and what the prefix reads; for a system that is put together from two
            folders, `lora` and `prefix` instead of `system`. Without a LoRA the base is plain.
        rows: record numbers.
        trainable: the LoRA and the prefix are about to be trained.
    """
    base = base_model.load(inputs["base"], machine)
    prefix = load_prefix(inputs.get("prefix", inputs.get("system"))).to(machine.device)
    lora, model = inputs.get("lora", inputs.get("system")), base.model
    # an untrained system has none, but one that is asked for by name must be in its folder
    if "lora" in inputs or (lora is not None and (lora / "lora").exists()):
        model = base_model.load_lora(base, lora, trainable)
    return System(base, model, prefix.train(trainable), prefix.read_ecgs(inputs, rows))


def fit_system(
    system: System, loss_at: LossAt, config: dict, seed: int, out: Path, name: str
) -> None:
    """Train the LoRA and the prefix, and save the system with its history.

    `config` has `steps`, `lora_rate` and `prefix_rate`. `name` seeds the draws and names the
    checkpoint.
    """
    steps = config["steps"]
    schedule = Schedule(steps, warmup=min(20, steps // 4), checkpoint_every=50)
    modules = {"lora": system.model, "prefix": system.prefix}
    rates = {"lora": config["lora_rate"], "prefix": config["prefix_rate"]}
    losses = fit(loss_at, modules, rates, schedule, seed, out, name)
    base_model.save_lora(system.model, out)
    save_prefix(system.prefix, out)
    write_history(out, losses)


def write_history(out: Path, losses: list[float]) -> None:
    """Write `history.csv`: columns step and loss."""
    history = pd.DataFrame({"step": range(len(losses)), "loss": losses})
    history.to_csv(out / "history.csv", index=False)
