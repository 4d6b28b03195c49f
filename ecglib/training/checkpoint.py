"""Checkpoints of a running training: safetensors and JSON; a crash never loses the last one."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def _state(modules: dict[str, nn.Module]) -> dict[str, torch.Tensor]:
    """The tensors that training changes (trained parameters, all buffers) by `module/name`."""
    tensors = {}
    for key, module in modules.items():
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                tensors[f"{key}/{name}"] = parameter.data
        for name, buffer in module.named_buffers():
            tensors[f"{key}/{name}"] = buffer.data
    return tensors


def save(
    folder: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    step: int,
    losses: list[float],
) -> None:
    """Write the state after `step` steps; a crash while writing leaves the old state intact."""
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    tensors = _state(modules)
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": tensor for key, tensor in moments.items()}
    tensors = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    save_file(tensors, new / "state.safetensors")
    (new / "progress.json").write_text(json.dumps({"step": step, "losses": losses}))
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        folder.replace(old)
    new.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def load(
    folder: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[int, list[float]]:
    """Restore a saved state; return the finished steps and their losses, or (0, [])."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and old.exists():  # the process was killed between the two renames
        old.replace(folder)
    if not folder.exists():
        return 0, []
    saved = load_file(folder / "state.safetensors")
    for name, tensor in _state(modules).items():
        tensor.copy_(saved[name])
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in saved.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    progress = json.loads((folder / "progress.json").read_text())
    return progress["step"], progress["losses"]
