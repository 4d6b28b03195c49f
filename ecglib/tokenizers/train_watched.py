"""A joint training that notes how many codewords are in use, and how large the error is.

It is `train.train_jointly` without the steps before the quantiser, so that what k-means, revival
and the released updates do to the codebooks can be followed from the first step to the last.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.loader import Batch, Loader
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.codebooks import initialise_kmeans, initialise_uniform, revive
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import QUANTISERS
from ecglib.tokenizers.train import latent_loss, signal_error
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

RELEASED_BATCH = 16  # ECGs in which the released metric counts the distinct indices


def train_watched(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: a tokenizer, and `use.csv` with its use and error at several times of its training.

    Columns of `use.csv`: step (updates so far), pooled_percent (the paper's figure, in batches of
    16 ECGs), used_percent (of all codewords of all codebooks, on any of the ECGs), perplexity_share
    (the lowest of a codebook) and error (L1, mV), all on the same validation ECGs.

    Inputs: cohort (its roles tokenizer_train and validation).

    Config:
        method: vq, rvq or qinco.
        quantiser: sizes of the method's class, all but `dim`.
        autoencoder: widths, strides and linear of `Autoencoder`.
        released: running means and rotated gradient, as `train_jointly`.
        init: initial codebooks, `kmeans` or `uniform`.
        steps: updates.
        batch: ECGs per update.
        learning_rate: peak, of all parameters.
        commitment: weight of the commitment loss.
        squared_weight: of the squared error beside L1, per mV.
        revive_every: updates between revivals, in the first half of the training; 0 for never.
        watch_every: updates between two lines of `use.csv`.
        watch_ecgs: validation ECGs on which these are measured.
    """
    machine.configure_torch()
    torch.manual_seed(seeds.sub_seed(seed, "watched"))
    autoencoder = Autoencoder(**config["autoencoder"])
    kind, released = QUANTISERS[config["method"]], config["released"]
    quantiser = kind(autoencoder.widths[-1], **config["quantiser"], released=released)
    tokenizer = LatentTokenizer(autoencoder, quantiser).to(machine.device).train()
    cohort = Cohort.open(inputs["cohort"])
    batches, others = (
        Loader(cohort, cohort.rows("tokenizer_train"), config["batch"], seeds.sub_seed(seed, name))
        for name in ("watched batches", "watched revival")
    )
    held = cohort.rows("validation")[: config["watch_ecgs"]]
    watched = torch.from_numpy(cohort.signals(held)).to(machine.device)
    ends = torch.tensor(cohort.records["n_valid"].to_numpy()[held], device=machine.device)
    every, lines = config["revive_every"], out / "checkpoint" / "use"
    lines.mkdir(parents=True, exist_ok=True)

    def note(step: int) -> None:
        """One line in a file of its own, so that an interrupted training keeps it."""
        line = pd.DataFrame([{"step": step, **use_and_error(tokenizer, watched, ends)}])
        line.to_csv(lines / f"{step:06d}.csv", index=False)

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        x, n_valid = _tensors(batches.at(step), machine)
        if step == 0:
            _initialise(tokenizer, cohort, config, seed, machine)
        if step % config["watch_every"] == 0:
            note(step)
        if every and 0 < step < config["steps"] // 2 and step % every == 0:
            z = _latents(tokenizer, *_tensors(others.at(step), machine))
            revive(tokenizer.quantiser, z, every, seeds.generator(seed, "watched revival", step))
        commitment, squared = config["commitment"], config["squared_weight"]
        return [lambda: latent_loss(tokenizer, x, n_valid, commitment, squared_weight=squared)]

    rates = dict.fromkeys(("autoencoder", "quantiser"), config["learning_rate"])
    parts = {name: tokenizer.get_submodule(name) for name in rates}
    steps = config["steps"]
    schedule = Schedule(steps, warmup=min(50, steps // 5), final_lr_share=0.05)
    name = f"{tokenizer.method}-watched"
    losses = fit(loss_at, parts, rates, schedule, seed, out, name)
    note(steps)
    tokenizer.cpu().eval().save(out)
    use = pd.concat([pd.read_csv(file) for file in sorted(lines.glob("*.csv"))])
    use.to_csv(out / "use.csv", index=False)
    pd.DataFrame({"step": range(steps), "loss": losses}).to_csv(out / "history.csv", index=False)


@torch.no_grad()
def use_and_error(
    tokenizer: LatentTokenizer, x: torch.Tensor, n_valid: torch.Tensor
) -> dict[str, float]:
    """The measurements of a line of `use.csv`, on ECGs x (B, 12, n) in mV."""
    tokenizer.eval()
    size, codes = tokenizer.quantiser.codewords, tokenizer.encode(x, n_valid)  # (B, T, S)
    pooled = [len(part.unique()) / size for part in codes.split(RELEASED_BATCH)]
    inside = codes[tokenizer.valid(n_valid)]  # (N, S)
    counts = np.stack([np.bincount(c, minlength=size) for c in inside.T.cpu().numpy()])
    share = counts / counts.sum(1, keepdims=True)
    entropy = -(share * np.log2(np.where(share > 0, share, 1.0))).sum(1)
    error = signal_error(x, tokenizer.decode(codes), n_valid).item()
    tokenizer.train()
    return {
        "pooled_percent": 100 * float(np.mean(pooled)),
        "used_percent": 100 * float((counts > 0).mean()),
        "perplexity_share": float((2**entropy / size).min()),
        "error": error,
    }


def _initialise(
    tokenizer: LatentTokenizer, cohort: Cohort, config: dict, seed: int, machine: Machine
) -> None:
    """Fill the codebooks as `init` says."""
    generator = seeds.generator(seed, "watched k-means")
    if config["init"] == "uniform":
        initialise_uniform(tokenizer.quantiser, generator)
        return
    rows, drawn = cohort.rows("tokenizer_train"), seeds.sub_seed(seed, "watched k-means")
    first = Loader(cohort, rows, 8 * config["batch"], drawn).at(0)
    initialise_kmeans(
        tokenizer.quantiser, _latents(tokenizer, *_tensors(first, machine)), generator
    )


def _tensors(batch: Batch, machine: Machine) -> tuple[torch.Tensor, torch.Tensor]:
    """Signals (B, 12, n) in mV and n_valid (B,) of a batch, on the machine's device."""
    x, n_valid = torch.from_numpy(batch.signals), torch.from_numpy(batch.mask.sum(1))
    return x.to(machine.device), n_valid.to(machine.device)


@torch.no_grad()
def _latents(tokenizer: LatentTokenizer, x: torch.Tensor, n_valid: torch.Tensor) -> torch.Tensor:
    """x (B, 12, n) mV -> latents (N, D) of the positions with signal."""
    return tokenizer.latents(x)[tokenizer.valid(n_valid)]
