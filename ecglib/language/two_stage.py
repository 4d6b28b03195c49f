"""ECG-Byte's opponents: an encoder is trained on its own, then gives one vector per ECG.

Stage one trains the encoder on the sum of one or two losses.

    pairs    the ECG's mean vector finds that of its report (CLIP; MERL)
    views    two dropout views of an ECG's mean vector find each other (MERL)
    masked   patches that are hidden are predicted from the others (ViT; He et al. 2022)

Stage two freezes it. One vector per ECG enters the language model through a linear layer, which is
trained with the model. As released, stage two raises an error in training and in generation. It
would also learn padding, hide patches of the ViT and leave the fusion of CLIP and ViT untrained
(see deviations). Here the encoders are as stage one leaves them, and CLIP with ViT is one network.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language import signal_patches
from ecglib.language.clip import TEMPERATURE, fit_on_reports
from ecglib.language.info_nce import info_nce
from ecglib.language.system import Shapes, draw_prefix, full_lengths
from ecglib.signals.leads import LEADS
from ecglib.tokenizers.window_pca import windows
from ecglib.training.device import Machine

LOSSES = ("pairs", "views", "masked")
DROPOUT = 0.1  # of the two views
HIDDEN = 0.75  # share of the patches that are predicted, as published


class PatchTransformer(nn.Module):
    """Patches of all leads through a transformer: (B, 12, n) mV -> (B, T, D).

    Args:
        hop: samples of a patch; dim: D; layers, heads: of the transformer.
    """

    def __init__(self, hop: int, dim: int, layers: int, heads: int):
        super().__init__()
        self.hop, self.dim = hop, dim
        self.patch = nn.Linear(len(LEADS) * hop, dim)
        self.place = nn.Parameter(0.02 * torch.randn(signal_patches.positions(hop), dim))
        self.mask = nn.Parameter(0.02 * torch.randn(dim))  # stands for a hidden patch
        shape = {"dim_feedforward": 2 * dim, "dropout": 0.0, "activation": "gelu"}
        layer = nn.TransformerEncoderLayer(dim, heads, **shape, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.predict = nn.Linear(dim, len(LEADS) * hop)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """`hidden`: which patches (B, T) are replaced by the mask."""
        tokens = self.patch(windows(x, self.hop).transpose(1, 2))
        if hidden is not None:
            tokens = torch.where(hidden[..., None], self.mask.to(tokens.dtype), tokens)
        return self.layers(tokens + self.place)

    def masked_loss(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Mean squared error of the hidden patches, in mV^2."""
        error = self.predict(self(x, hidden)) - windows(x, self.hop).transpose(1, 2)
        return error.square().mean(-1)[hidden].mean()


class TwoStagePrefix(nn.Module):
    """(B, 12, n) mV -> one vector per ECG (B, 1, d_llm).

    Args:
        encoder: arguments of `PatchTransformer` (with `layers`) or of `PatchEncoder`.
        joint: numbers of a vector in the space of ECGs and reports.
        width: d_llm; scale: root mean square of the model's own token embeddings.
    """

    kind = "two_stage"
    front = 0  # positions that stand for no part of the ECG
    positions = 1

    def __init__(self, encoder: dict, joint: int, width: int, scale: float):
        super().__init__()
        self.config = {"encoder": dict(encoder), "joint": joint, "width": width, "scale": scale}
        kind = PatchTransformer if "layers" in encoder else signal_patches.PatchEncoder
        self.encoder = kind(**encoder)
        self.ecg_projection = nn.Linear(self.encoder.dim, joint)
        self.text_projection = nn.Linear(width, joint)
        self.freeze(True)
        self.into_model = nn.Sequential(nn.Linear(self.encoder.dim, width), nn.LayerNorm(width))
        self.gain = nn.Parameter(torch.tensor(float(scale)))

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "TwoStagePrefix":
        """An untrained one; `config` as of `initialise`."""
        return cls(config["encoder"], config["joint"], shapes.width, shapes.scale)

    def freeze(self, frozen: bool) -> None:
        """Freeze what stage one trains, or thaw it."""
        for part in (self.encoder, self.ecg_projection, self.text_projection):
            part.requires_grad_(not frozen)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple:
        """Signals, and valid positions (N,), of these records."""
        return signal_patches.read_signals(Cohort.open(inputs["cohort"]), rows, self.encoder.hop)

    def mean(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Mean of the encoder's vectors over valid positions: (B, 12, n) -> (B, D)."""
        return signal_patches.valid_mean(self.encoder(x), lengths)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, 12, n), lengths (B,) -> embeddings (B, 1, d_llm), and lengths of 1."""
        embeddings = self.gain * self.into_model(self.mean(x, lengths))[:, None]
        return embeddings, full_lengths(embeddings)

    def loss(
        self, losses: list[str], x: torch.Tensor, lengths: torch.Tensor, text: torch.Tensor
    ) -> torch.Tensor:
        """The sum of these losses, of ECGs and the mean vectors of their reports (B, d_llm)."""
        total = x.new_zeros(())
        if "masked" in losses:
            count = signal_patches.positions(self.encoder.hop)
            hidden = torch.rand(len(x), count, device=x.device) < HIDDEN
            hidden &= signal_patches.inside(lengths, count)
            total = total + self.encoder.masked_loss(x, hidden)
        if set(losses) & {"pairs", "views"}:
            mean = self.mean(x, lengths)
        if "pairs" in losses:
            pair = self.ecg_projection(mean), self.text_projection(text)
            total = total + info_nce(*pair, TEMPERATURE)
        if "views" in losses:
            views = (nn.functional.dropout(mean, DROPOUT) for _ in range(2))
            total = total + info_nce(*map(self.ecg_projection, views), TEMPERATURE)
        return total


Prefix = TwoStagePrefix


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the encoder after stage one, and an untrained way into the model.

    Config:
        encoder: widths and strides of convolutions, or hop, dim, layers and heads of a transformer.
        losses: out of pairs, views and masked; the last one needs a transformer.
        joint: numbers of a vector in the common space; 256 in MERL.
        contrast_steps: updates of stage one.
        contrast_batch: ECGs, with their reports, per update.
        contrast_rate: learning rate.

    Inputs: cohort, base.

    Raises ValueError: an unknown loss, or `masked` without a transformer.
    """
    if odd := sorted(set(config["losses"]) - set(LOSSES)):
        raise ValueError(f"expected losses out of {', '.join(LOSSES)}, got {odd[0]!r}")
    if "masked" in config["losses"] and "layers" not in config["encoder"]:
        raise ValueError("the loss masked needs a transformer; give the encoder `layers`")
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    prefix = draw_prefix(TwoStagePrefix, base, None, config, seed).to(machine.device)
    loss = partial(prefix.loss, config["losses"])
    fit_on_reports(prefix, loss, base, inputs, config, seed, machine, out, "stage_one")
