"""CLIP-style: an encoder trained to find an ECG's own report, then frozen below a language model.

Radford et al. 2021, for ECGs as in MERL (Liu et al. 2024). First the mean vector of the encoder and
the report's mean vector in the frozen base are projected into one space, where InfoNCE pulls the
two of an ECG together. Then the encoder's vectors enter the language model through a linear layer,
which is trained with the model.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import alignment, signal_patches
from ecglib.language import base as base_model
from ecglib.language.info_nce import fit_contrast, info_nce
from ecglib.language.system import Shapes, draw_prefix, full_lengths, load_prefix
from ecglib.training import seeds
from ecglib.training.device import Machine

TEMPERATURE = 0.07  # at the start, as published
CHUNK = 64  # ECGs and reports at a time


class ClipPrefix(nn.Module):
    """(B, 12, n) mV -> (B, T, d_llm), or one vector per ECG.

    Args:
        widths, strides: of `PatchEncoder`.
        joint: numbers of a vector in the space of ECGs and reports.
        pooled: the language model gets the mean over positions only.
        width: d_llm; scale: root mean square of the model's own token embeddings.
    """

    kind = "clip"
    front = 0  # positions that stand for no part of the ECG

    def __init__(
        self,
        widths: list[int],
        strides: list[int],
        joint: int,
        pooled: bool,
        width: int,
        scale: float,
    ):
        super().__init__()
        self.config = {"widths": list(widths), "strides": list(strides), "joint": joint}
        self.config |= {"pooled": pooled, "width": width, "scale": scale}
        self.encoder = signal_patches.PatchEncoder(widths, strides)
        self.ecg_projection = nn.Linear(self.encoder.dim, joint)
        self.text_projection = nn.Linear(width, joint)
        self.log_scale = nn.Parameter(torch.tensor(1 / TEMPERATURE).log())
        self.freeze(True)
        self.pooled = pooled
        self.positions = 1 if pooled else signal_patches.positions(self.encoder.hop)
        self.into_model = nn.Sequential(nn.Linear(self.encoder.dim, width), nn.LayerNorm(width))
        self.gain = nn.Parameter(torch.tensor(float(scale)))

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "ClipPrefix":
        """An untrained one; `config` as of `initialise`."""
        sizes = {key: config[key] for key in ("widths", "strides", "joint", "pooled")}
        return cls(**sizes, width=shapes.width, scale=shapes.scale)

    def freeze(self, frozen: bool) -> None:
        """Freeze what the contrast trains, or thaw it."""
        for part in (self.encoder, self.ecg_projection, self.text_projection, self.log_scale):
            part.requires_grad_(not frozen)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple:
        """Signals, and valid positions (N,), of these records."""
        return signal_patches.read_signals(Cohort.open(inputs["cohort"]), rows, self.encoder.hop)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, 12, n), lengths (B,) -> embeddings (B, T, d_llm) and lengths; T = 1 if pooled."""
        z = self.encoder(x)
        if self.pooled:
            z = signal_patches.valid_mean(z, lengths)[:, None]
        embeddings = self.gain * self.into_model(z)
        return embeddings, full_lengths(embeddings) if self.pooled else lengths

    def contrast(self, x: torch.Tensor, lengths: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """InfoNCE of ECGs (B, 12, n) and the mean vectors of their reports (B, d_llm)."""
        ecg = self.ecg_projection(signal_patches.valid_mean(self.encoder(x), lengths))
        return info_nce(ecg, self.text_projection(text), (-self.log_scale).exp())


Prefix = ClipPrefix


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the encoder after the contrast with reports, and an untrained way into the model.

    Config:
        widths: channels of the encoder after each stride.
        strides: of the encoder; their product is the hop.
        joint: numbers of a vector in the common space; 256 in MERL.
        pooled: the language model gets one vector per ECG.
        contrast_steps: updates of the contrast.
        contrast_batch: ECGs with their reports, per update.
        contrast_rate: learning rate.

    Inputs: cohort, base.
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    prefix = draw_prefix(ClipPrefix, base, None, config, seed).to(machine.device)
    fit_on_reports(prefix, prefix.contrast, base, inputs, config, seed, machine, out, "clip")


def fit_on_reports(
    prefix: nn.Module,
    loss: Callable[..., torch.Tensor],
    base: base_model.Base,
    inputs: dict[str, Path],
    config: dict,
    seed: int,
    machine: Machine,
    out: Path,
    name: str,
) -> None:
    """`fit_contrast` of a prefix on training ECGs that have a report.

    `loss`: of signals (B, 12, n), lengths (B,) and the mean vectors of the reports (B, d_llm).
    """
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("train")
    rows = rows[cohort.records["report"].iloc[rows].str.strip().to_numpy() != ""]
    parts = (*prefix.read_ecgs(inputs, rows), report_vectors(base, cohort, rows))

    def loss_at(step: int) -> torch.Tensor:
        """Of an update."""
        batch = seeds.epoch_rows(len(rows), config["contrast_batch"], step, seed, name).tolist()
        with machine.autocast():
            return loss(*(part[batch].to(machine.device) for part in parts))

    fit_contrast(prefix, loss_at, config, seed, out, name)


@torch.no_grad()
def report_vectors(base: base_model.Base, cohort: Cohort, rows: np.ndarray) -> torch.Tensor:
    """The mean of the last layer over each report, of unit length, float32 (N, d_llm)."""
    reports = cohort.records["report"].iloc[rows].tolist()
    parts = [reports[start : start + CHUNK] for start in range(0, len(reports), CHUNK)]
    means = map(partial(alignment.text_levels, base, base.model), parts)
    return torch.cat([hidden.float().cpu() for _, hidden in means])


def embed_joint(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: `embeddings.safetensors`, float32 (N, joint) of unit length: `ecg_joint` and
    `text_joint`, in the space of the contrast.

    Config:
        rows: record numbers.

    Inputs: cohort, base, prefix (a CLIP after its contrast).
    """
    machine.configure_torch()
    rows, cohort = np.array(config["rows"]), Cohort.open(inputs["cohort"])
    prefix = load_prefix(inputs["prefix"])
    signals, lengths = prefix.read_ecgs(inputs, rows)
    with torch.no_grad():
        mean = signal_patches.valid_mean(prefix.encoder(signals[:]), lengths)
        texts = report_vectors(base_model.load(inputs["base"], machine), cohort, rows)
        clouds = {"ecg_joint": prefix.ecg_projection(mean)}
        clouds |= {"text_joint": prefix.text_projection(texts)}
    clouds = {name: nn.functional.normalize(cloud).numpy() for name, cloud in clouds.items()}
    save_file(clouds, out / "embeddings.safetensors")
