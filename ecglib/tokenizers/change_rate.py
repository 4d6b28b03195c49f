"""A jointly trained VQ or RVQ at another rate, behind the same encoder, to be trained further.

A quantiser cut after its training is not a quantiser of that rate: its decoder was trained on the
sums of all codebooks. `train_frozen_encoder` therefore trains the result of this step.
"""

from pathlib import Path

import torch

from ecglib.tokenizers.codebooks import initialise_kmeans
from ecglib.tokenizers.load import QUANTISERS, load
from ecglib.tokenizers.train import tensors, training_batches, valid_latents
from ecglib.training import seeds
from ecglib.training.device import Machine


def change_rate(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: the first codebooks as they are, or new codebooks of another size by k-means.

    Inputs:
        cohort: its role tokenizer_train is read where codebooks are new.
        joint: an output of `train_jointly` with VQ or RVQ.

    Config:
        codebooks (optional): how many of the trained codebooks are kept.
        codewords (optional): size of new codebooks.
        ecgs: how many ECGs k-means reads.

    Raises ValueError: more codebooks than were trained.
    """
    machine.configure_torch()
    tokenizer = load(inputs["joint"])
    trained = tokenizer.quantiser
    sizes = {key: config[key] for key in ("codebooks", "codewords") if key in config}
    count = sizes.get("codebooks", trained.codes_per_vector)
    if count > trained.codes_per_vector:
        most = f"{trained.codes_per_vector} codebooks of {inputs['joint']}"
        raise ValueError(f"expected at most the {most}, got {count}; train it with as many")
    quantiser = QUANTISERS[tokenizer.method](**trained.config() | sizes)
    if quantiser.codewords == trained.codewords:
        with torch.no_grad():
            quantiser.codebooks.copy_(trained.codebooks[:count])
            quantiser.idle.copy_(trained.idle[:count])
    else:
        drawn = training_batches(inputs["cohort"], config["ecgs"], seed, "change_rate")
        z = valid_latents(tokenizer, *tensors(drawn.at(0), "cpu"))
        initialise_kmeans(quantiser, z, seeds.generator(seed, "change_rate", "k-means"))
    tokenizer.quantiser = quantiser
    tokenizer.save(out)
