"""Training of the tokenizers, as step functions: a cohort in, a saved tokenizer out.

Protocol of the comparison (one for all): a shared start, an autoencoder trained jointly with RVQ;
from it every method trains on for the same number of steps and on the same batches. QINCo begins as
the very RVQ (its Delta is zero), so what differs afterwards is the method alone.
"""

from pathlib import Path

import pandas as pd
import torch

from ecglib.cohorts.loader import Batch, Loader
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.autoencoder import Autoencoder, masked_l1
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ, initialise, revive
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Recipe, fit


def loader(folder: Path, batch: int, seed: int, *names: str) -> Loader:
    """Shuffled batches of the role tokenizer_train, in an order of its own for these names."""
    cohort = Cohort.open(folder)
    rows = cohort.rows("tokenizer_train")
    return Loader(cohort, rows, batch, seeds.sub_seed(seed, "batches", *names))


def on_device(batch: Batch, machine: Machine) -> tuple[torch.Tensor, torch.Tensor]:
    """Signals (B, 12, n) in mV and n_valid (B,) of a batch, where the model is."""
    x, n_valid = torch.from_numpy(batch.signals), torch.from_numpy(batch.mask.sum(1))
    return x.to(machine.device), n_valid.to(machine.device)


def latent_loss(
    tokenizer: LatentTokenizer, x: torch.Tensor, n_valid: torch.Tensor, commitment: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """L1 + codebook term + alpha * commitment on the residual (ECG-Tok, section 2.2, corrected).

    The paper's literal loss stops the gradient at every codeword, which trains no codebook; the
    codebook term |sg(z) - zhat^(l)|^2, summed over stages, does. Latents of the padding behind a
    short recording are coded, since the decoder reads them, but teach neither term.
    Returns loss, and of the valid positions latents (N, D) and codes (N, S).
    """
    z = tokenizer.autoencoder.encode(x)
    flat, valid = z.flatten(0, 1), tokenizer.autoencoder.valid(n_valid).flatten()
    codes = tokenizer.quantiser.assign(flat)
    sums = tokenizer.quantiser.partial_sums(codes)
    inside, known = flat[valid], sums[:, valid]
    codebook = (known - inside.detach()).square().mean((1, 2)).sum()
    commit = (known.detach() - inside).square().mean((1, 2)).sum()
    through = flat + (sums[-1] - flat).detach()  # straight-through: the decoder sees the codewords
    y = tokenizer.autoencoder.decode(through.unflatten(0, z.shape[:2]))
    loss = masked_l1(x, y, n_valid) + codebook + commitment * commit
    return loss, inside.detach(), codes[valid]


def _fit_latent(
    tokenizer: LatentTokenizer,
    inputs: dict[str, Path],
    config: dict,
    seed: int,
    machine: Machine,
    out: Path,
    steps: int,
    stage: str,
) -> None:
    """Joint training of autoencoder and quantiser; codewords that die are revived."""
    batches = loader(inputs["cohort"], config["batch"], seed, "tokenizer", stage)
    tokenizer.to(machine.device).train()

    def loss_at(step: int) -> list:
        """The losses of one step, as functions for `training.loop.fit`."""
        x, n = on_device(batches.at(step), machine)

        def one() -> torch.Tensor:
            loss, z, codes = latent_loss(tokenizer, x, n, config["commitment"])
            if step % config["revive_every"] == 0 and step < steps // 2:
                revive(tokenizer.quantiser, z, codes, draw(step))
            return loss

        return [one]

    def draw(step: int) -> torch.Generator:
        return seeds.generator(seed, "revive", stage, step)

    recipe = Recipe(steps, warmup=min(50, steps // 5), floor=0.05)
    losses = fit(
        loss_at,
        {"tokenizer": tokenizer},
        {"tokenizer": config["learning_rate"]},
        recipe,
        seed,
        out,
        f"{tokenizer.method}-{stage}",
    )
    tokenizer.cpu().eval().save(out)
    pd.DataFrame({"step": range(steps), "loss": losses}).to_csv(out / "history.csv", index=False)


def start(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: the shared start, an autoencoder with RVQ from k-means; inputs: `cohort`."""
    machine.start()
    torch.manual_seed(seeds.sub_seed(seed, "tokenizer", "start"))
    autoencoder = Autoencoder(config["widths"], config["strides"], config["linear"])
    quantiser = ResidualVQ(config["widths"][-1], config["stages"], config["codewords"])
    tokenizer = LatentTokenizer(autoencoder, quantiser)
    first = loader(inputs["cohort"], 4 * config["batch"], seed, "k-means").at(0)
    with torch.no_grad():
        z = autoencoder.encode(torch.from_numpy(first.signals))
    valid = autoencoder.valid(torch.from_numpy(first.mask.sum(1)))
    initialise(quantiser, z[valid], seeds.generator(seed, "k-means"))
    _fit_latent(tokenizer, inputs, config, seed, machine, out, config["start_steps"], "start")


def rvq(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: the shared start, trained on with RVQ; inputs: `cohort`, `start`."""
    machine.start()
    tokenizer = load(inputs["start"])
    _fit_latent(tokenizer, inputs, config, seed, machine, out, config["steps"], "further")


def qinco(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: the shared start, trained on with QINCo; inputs: `cohort`, `start`."""
    machine.start()
    torch.manual_seed(seeds.sub_seed(seed, "tokenizer", "qinco"))
    begun = load(inputs["start"])
    old = begun.quantiser
    sizes = [config[key] for key in ("hidden", "blocks", "candidates")]
    quantiser = QINCo(old.dim, old.stages, old.codewords, *sizes)
    with torch.no_grad():
        quantiser.codebooks.copy_(old.codebooks)
    tokenizer = LatentTokenizer(begun.autoencoder, quantiser)
    _fit_latent(tokenizer, inputs, config, seed, machine, out, config["steps"], "further")


def leadwise(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: HeartLLM's stage 1, encoder, FSQ and decoder on the squared error; inputs: `cohort`."""
    machine.start()
    torch.manual_seed(seeds.sub_seed(seed, "leadwise"))
    shape = {key: config[key] for key in ("channels", "strides", "widths", "levels", "dims")}
    tokenizer = LeadwiseTokenizer(**shape).to(machine.device)
    batches = loader(inputs["cohort"], config["batch"], seed, "leadwise")

    def loss_at(step: int) -> list:
        """The losses of one step, as functions for `training.loop.fit`."""
        x, n = on_device(batches.at(step), machine)
        mask = (torch.arange(x.shape[-1], device=x.device) < n[:, None])[:, None]

        def one() -> torch.Tensor:
            y = tokenizer.reconstruct(tokenizer.grid(x))
            return ((x - y).square() * mask).sum() / (mask.sum() * x.shape[1])

        return [one]

    recipe = Recipe(config["steps"], warmup=min(50, config["steps"] // 5), floor=0.05)
    rates = {"tokenizer": config["learning_rate"]}
    losses = fit(loss_at, {"tokenizer": tokenizer}, rates, recipe, seed, out, "leadwise")
    tokenizer.cpu().eval().save(out)
    history = pd.DataFrame({"step": range(config["steps"]), "loss": losses})
    history.to_csv(out / "history.csv", index=False)
