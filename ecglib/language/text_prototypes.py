"""TEST: an encoder drawn to a few vectors of words, then frozen (Sun et al. 2024).

The contrast has three parts, over two views of the same ECGs. *Instances*: the two views of an ECG
find each other. *Features*: the two views of each feature, a column of the batch, find each other.
*Text*: each ECG is near its nearest text prototypes, the k-means centres of the word embeddings,
and its similarities to them are a view of their own. Then the encoder is frozen, and a few learned
vectors, the soft prompt, stand in front of what it gives.
"""

from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language import signal_patches
from ecglib.language.info_nce import fit_contrast, info_nce
from ecglib.language.system import Shapes, draw_prefix
from ecglib.signals.leads import SAMPLES
from ecglib.training import seeds
from ecglib.training.device import Machine

TEMPERATURE = 0.1  # of all contrasts
NOISE = 0.02  # mV, of both views
SCALES = (0.8, 1.2)  # of the weak view
CUTS = 4  # pieces of the strong view, which begins with another than the first


class PrototypePrefix(nn.Module):
    """(B, 12, n) mV -> soft prompt and T vectors of the length of a word embedding.

    Args:
        widths, strides: of `PatchEncoder`.
        soft: vectors of the soft prompt.
        width: d_llm; scale: root mean square of the model's own token embeddings.
    """

    kind = "text_prototypes"

    def __init__(self, widths: list[int], strides: list[int], soft: int, width: int, scale: float):
        super().__init__()
        self.config = {"widths": list(widths), "strides": list(strides), "soft": soft}
        self.config |= {"width": width, "scale": scale}
        self.encoder = signal_patches.PatchEncoder(widths, strides)
        self.into_words = nn.Linear(self.encoder.dim, width)
        self.freeze(True)
        self.soft = nn.Parameter(scale * torch.randn(soft, width))
        self.length = scale * width**0.5
        self.front = soft  # positions that stand for no part of the ECG
        self.positions = soft + signal_patches.positions(self.encoder.hop)

    @classmethod
    def build(cls, config: dict, shapes: Shapes) -> "PrototypePrefix":
        """An untrained one; `config` as of `initialise`."""
        sizes = {key: config[key] for key in ("widths", "strides", "soft")}
        return cls(**sizes, width=shapes.width, scale=shapes.scale)

    def freeze(self, frozen: bool) -> None:
        """Freeze what the contrast trains, or thaw it."""
        for part in (self.encoder, self.into_words):
            part.requires_grad_(not frozen)

    def read_ecgs(self, inputs: dict[str, Path], rows: np.ndarray) -> tuple:
        """Signals, and valid positions (N,), of these records."""
        return signal_patches.read_signals(Cohort.open(inputs["cohort"]), rows, self.encoder.hop)

    def vectors(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, 12, n) -> unit vectors (B, T, d_llm)."""
        return nn.functional.normalize(self.into_words(self.encoder(x)), dim=-1)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, 12, n), lengths (B,) -> embeddings (B, soft + T, d_llm), and valid lengths."""
        soft = self.soft.expand(len(x), -1, -1)
        embeddings = torch.cat([soft, self.length * self.vectors(x)], 1)
        return embeddings, lengths + len(self.soft)


Prefix = PrototypePrefix


def contrast(one: torch.Tensor, other: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """The loss of TEST for the ECGs' vectors in two views.

    Args:
        one, other: mean vectors (B, d) of the weak and of the strong view.
        prototypes: (k, d), of unit length.
    """
    instances = info_nce(one, other, TEMPERATURE)
    features = info_nce(one.T, other.T, TEMPERATURE)
    near = [nn.functional.normalize(view, dim=-1) @ prototypes.T for view in (one, other)]
    text = info_nce(near[0].T, near[1].T, TEMPERATURE) - near[0].amax(1).mean()
    return instances + features + text


def views(x: torch.Tensor, draw: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Weak (scaled) and strong (rotated by whole pieces) views of x (B, 12, n), with noise."""
    low, high = SCALES
    scale = low + (high - low) * torch.rand(len(x), 1, 1, generator=draw)
    turns = torch.randint(1, CUTS, (len(x),), generator=draw) * (x.shape[-1] // CUTS)
    strong = torch.stack([ecg.roll(int(turn), -1) for ecg, turn in zip(x, turns, strict=True)])
    noisy = (view + NOISE * torch.randn(x.shape, generator=draw) for view in (scale * x, strong))
    return tuple(noisy)


def text_prototypes(words: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """k-means centres (count, d) of word embeddings (V, d), scaled to unit length."""
    means = KMeans(count, n_init=3, random_state=seed).fit(words.float().cpu().numpy())
    return nn.functional.normalize(torch.from_numpy(means.cluster_centers_).float(), dim=-1)


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the encoder after the contrast, and a soft prompt as it is drawn.

    Config:
        widths: channels of the encoder after each stride.
        strides: of the encoder; their product is the hop.
        soft: vectors of the soft prompt.
        prototypes: k-means centres of the word embeddings; 10 as released.
        contrast_steps: updates of the contrast.
        contrast_batch: ECGs per update.
        contrast_rate: learning rate.

    Inputs: cohort, base.
    """
    machine.configure_torch()
    base, cohort = base_model.load(inputs["base"], machine), Cohort.open(inputs["cohort"])
    rows = cohort.rows("train")
    rows = rows[cohort.records["n_valid"].to_numpy()[rows] == SAMPLES]  # views have no padding
    prefix = draw_prefix(PrototypePrefix, base, None, config, seed).to(machine.device)
    words = base.model.get_input_embeddings().weight
    centres = text_prototypes(words, config["prototypes"], seed).to(machine.device)
    signals, _ = prefix.read_ecgs(inputs, rows)

    def loss_at(step: int) -> torch.Tensor:
        """Of an update."""
        batch = seeds.epoch_rows(len(rows), config["contrast_batch"], step, seed, "test").tolist()
        pair = views(signals[batch], seeds.generator(seed, "views", step))
        with machine.autocast():
            one, other = (prefix.vectors(view.to(machine.device)).mean(1) for view in pair)
            return contrast(one, other, centres)

    fit_contrast(prefix, loss_at, config, seed, out, "test")
