"""ECG-Tok's adapter on the frozen features of any tokenizer, also of one without latent vectors.

FSQ and the byte pairs have no latent space of ECG-Tok's kind. Their features are those that the
classifiers of the study `readers` read.
"""

from pathlib import Path

import torch

from ecglib.cohorts.store import Cohort
from ecglib.language import base as base_model
from ecglib.language.adapter import Adapter
from ecglib.language.system import Shapes, save_prefix
from ecglib.training.device import Machine
from ecglib.training.seeds import sub_seed


class FeatureAdapter(Adapter):
    """The adapter under a name of its own: its sizes come from the features of one ECG."""

    kind = "feature_adapter"


Prefix = FeatureAdapter


def initialise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the adapter as it is drawn, without LoRA.

    Config:
        vectors: how many stand for an ECG.
        hidden: width of the attention block.
        heads: of the attention block.

    Inputs: cohort, base, tokenizer, codes (its own of the cohort).
    """
    machine.configure_torch()
    base = base_model.load(inputs["base"], machine)
    first = Cohort.open(inputs["cohort"]).rows("train")[:1]
    features, _ = FeatureAdapter.read_ecgs(inputs, first)  # (1, T, D)
    positions, dim = features.shape[1:]
    torch.manual_seed(sub_seed(seed, "initialise", FeatureAdapter.kind))
    shapes = Shapes(base.width, base.embedding_scale, positions, dim)
    save_prefix(FeatureAdapter.build(config, shapes), out)
