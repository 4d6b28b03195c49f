"""What stands in the ECG's place before a prompt, and how a tuned system lies on disk.

ear.safetensors, ear.json    the adapter, or the constant of the no-ECG control
lora/                        the LoRA in PEFT's format
history.csv                  the loss of every step
"""

import json
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ecglib.language.adapter import Adapter, Constant
from ecglib.language.base import Base
from ecglib.training import seeds


def embedding_scale(base: Base) -> float:
    """Root mean square of the model's token embeddings."""
    return float(base.model.get_input_embeddings().weight.float().square().mean().sqrt())


def new_ear(base: Base, config: dict, dim: int, positions: int, seed: int) -> Adapter | Constant:
    """A fresh adapter, or the constant of the control (`config["ear"]`: ecg or none)."""
    torch.manual_seed(seeds.sub_seed(seed, "ear"))
    scale = embedding_scale(base)
    if config["ear"] == "none":
        return Constant(config["prefix"], base.width, scale)
    if config["ear"] != "ecg":
        raise ValueError(f"ear is {config['ear']!r}; use ecg or none")
    hidden, heads = config["adapter_hidden"], config["adapter_heads"]
    return Adapter(dim, positions, hidden, heads, config["prefix"], base.width, scale)


def save_ear(ear: Adapter | Constant, folder: Path) -> None:
    """Write an adapter or constant as safetensors and JSON."""
    save_file(
        {k: v.cpu().contiguous() for k, v in ear.state_dict().items()}, folder / "ear.safetensors"
    )
    shape = {"kind": "adapter", **ear.config} if isinstance(ear, Adapter) else {"kind": "constant"}
    (folder / "ear.json").write_text(json.dumps(shape, indent=1))


def load_ear(folder: Path) -> Adapter | Constant:
    """Read back what `save_ear` wrote, in evaluation mode."""
    shape, weights = (
        json.loads((folder / "ear.json").read_text()),
        load_file(folder / "ear.safetensors"),
    )
    if shape.pop("kind") == "adapter":
        ear: Adapter | Constant = Adapter(**shape)
    else:
        ear = Constant(*weights["vectors"].shape, scale=1.0)
    ear.load_state_dict(weights)
    return ear.eval()


def save_lora(model: nn.Module, folder: Path) -> None:
    """Write the LoRA in PEFT's format, without its generated read-me."""
    model.save_pretrained(folder / "lora", safe_serialization=True)
    (folder / "lora" / "README.md").unlink(missing_ok=True)


def write_history(out: Path, losses: list[float]) -> None:
    """Write `history.csv`: columns step and loss."""
    history = pd.DataFrame({"step": range(len(losses)), "loss": losses})
    history.to_csv(out / "history.csv", index=False)
