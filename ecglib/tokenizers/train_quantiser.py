"""Training of a quantiser on cached latents, behind an encoder that no longer moves.

RVQ and QINCo start from the same codebooks, those of residual k-means, and learn for equal updates
on the same vectors. The loss of a vector z is its squared error after 1, 2, ... codebooks, over its
own energy plus a floor,

    mean_l |z - zhat^(l)|^2 / (|z|^2 + e)        e: the median energy of the vectors

so that a few giant beats do not decide. This is ours: the papers train the quantiser together with
the autoencoder, or on normalised vectors.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from ecglib.tokenizers import cached_latents
from ecglib.tokenizers.codebooks import initialise_kmeans
from ecglib.tokenizers.load import QUANTISERS, load
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.train import fit_parts
from ecglib.training import seeds
from ecglib.training.device import Machine


def fit_codebooks(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: `codebooks.safetensors`, (codebooks, codewords, D), by residual k-means.

    Inputs: latents.

    Config:
        codebooks: how many.
        codewords: of each codebook.
        vectors: latents that k-means reads, at most.
    """
    machine.configure_torch()
    z = cached_latents.read(inputs["latents"])
    z = z[seeds.draw_rows(len(z), config["vectors"], seed, "codebooks")].float()
    start = ResidualVQ(z.shape[1], config["codebooks"], config["codewords"])
    initialise_kmeans(start, z, seeds.generator(seed, "k-means"))
    save_file({"codebooks": start.codebooks.detach()}, out / "codebooks.safetensors")


def train_quantiser(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: VQ, RVQ or QINCo on cached latents; a tokenizer whose decoder still has to learn.

    `validation.csv` has the relative error of validation latents after each codebook, at several
    times of the training: columns step, codebook, error.

    Inputs:
        encoder: a trained tokenizer, whose autoencoder is taken.
        latents: its latents.
        start: codebooks.

    Config:
        method: vq, rvq, qinco or one of your own.
        networks (optional): sizes of QINCo's networks and of its search, see `QINCo`; further
            arguments of a quantiser of your own.
        steps: updates.
        batch: latent vectors per update.
        learning_rate: peak.
        validate_every: updates between two looks at the validation patients.
    """
    machine.configure_torch()
    tokenizer, method = load(inputs["encoder"]), config["method"]
    codebooks = load_file(inputs["start"] / "codebooks.safetensors")["codebooks"]
    count, codewords, dim = codebooks.shape
    sizes = {"codewords": codewords} | ({} if method == "vq" else {"codebooks": count})
    torch.manual_seed(seeds.sub_seed(seed, "quantiser", method))
    quantiser = QUANTISERS[method](dim, **sizes, **config.get("networks", {}))
    quantiser.codebooks.data.copy_(codebooks)
    tokenizer.quantiser = quantiser
    tokenizer.to(machine.device).train()
    z = cached_latents.read(inputs["latents"])
    floor = z[:: max(1, len(z) // 50_000)].float().square().sum(1).median().item()
    held = cached_latents.read(inputs["latents"], "validation").float()
    looks = out / "checkpoint" / "looks"  # files that an interruption leaves
    looks.mkdir(parents=True, exist_ok=True)

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        if step % config["validate_every"] == 0:
            look(quantiser, held.to(machine.device), floor, step, looks)
        drawn = seeds.epoch_rows(len(z), config["batch"], step, seed, "quantiser")
        batch = z[drawn].float().to(machine.device)
        return [lambda: relative_error(quantiser, batch, floor).mean()]

    rates = {"quantiser": config["learning_rate"]}
    fit_parts(tokenizer, loss_at, rates, config["steps"], seed, out, f"{method}-quantiser")
    look(quantiser, held, floor, config["steps"], looks)
    lines = [pd.read_csv(file) for file in sorted(looks.glob("*.csv"))]
    pd.concat(lines).to_csv(out / "validation.csv", index=False)


def relative_error(quantiser: ResidualVQ, z: torch.Tensor, floor: float) -> torch.Tensor:
    """|z - zhat^(l)|^2 / (|z|^2 + floor) after l = 1, 2, ... codebooks: z (N, D) -> (S, N)."""
    sums = quantiser.partial_sums(quantiser.encode(z))
    return (sums - z).square().sum(-1) / (z.square().sum(-1) + floor)


@torch.no_grad()
def look(quantiser: ResidualVQ, z: torch.Tensor, floor: float, step: int, folder: Path) -> None:
    """Write the mean relative error of z (N, D) after each codebook, after `step` updates."""
    parts = [relative_error(quantiser, part, floor).sum(1) for part in z.split(4096)]
    error = (torch.stack(parts).sum(0) / len(z)).tolist()
    table = pd.DataFrame({"step": step, "codebook": range(1, len(error) + 1), "error": error})
    table.to_csv(folder / f"{step:06d}.csv", index=False)
