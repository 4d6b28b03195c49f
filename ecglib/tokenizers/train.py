"""Training of the tokenizers, as step functions: a cohort in, a saved tokenizer out.

Protocol of the comparison (one for all): an autoencoder is trained jointly with a quantiser, then
its encoder is frozen, and quantiser and decoder train further. VQ and RVQ have a joint training
each; QINCo begins as the very RVQ, behind the same frozen encoder and before the same decoder, so
both code the same latents. Steps and batches are the same for all.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from ecglib.cohorts.loader import Batch, Loader
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.autoencoder import Autoencoder, masked_l1
from ecglib.tokenizers.codebooks import INITS, initialise, initialise_uniform, revive
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.vq import VQ
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit


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
    tokenizer: LatentTokenizer,
    x: torch.Tensor,
    n_valid: torch.Tensor,
    commitment: float,
    literal: bool = False,
) -> torch.Tensor:
    """L1 + codebook term + alpha * commitment on the residual (ECG-Tok, section 2.2, corrected).
    FSQ has L1 alone.

    The paper's text (`literal`) stops the gradient at every codeword, which trains no codebook; the
    codebook term |sg(z) - zhat^(l)|^2, summed over stages, does. Latents of the padding behind a
    short recording are coded, since the decoder reads them, but teach neither term.
    """
    z = tokenizer.latents(x)
    flat, valid = z.flatten(0, 1), tokenizer.valid(n_valid).flatten()
    if isinstance(tokenizer.quantiser, FSQ):  # its grid is fixed and has a gradient of its own
        through = tokenizer.quantiser.back(tokenizer.quantiser.quantise(flat))
        y = tokenizer.signals(through.unflatten(0, z.shape[:2]))
        return masked_l1(x, y, n_valid)
    sums = tokenizer.quantiser.partial_sums(tokenizer.quantiser.assign(flat))
    commit = _squared(sums[:, valid].detach(), flat[valid])
    through = flat + (sums[-1] - flat).detach()  # straight-through: the decoder sees the codewords
    y = tokenizer.signals(through.unflatten(0, z.shape[:2]))
    loss = masked_l1(x, y, n_valid) + commitment * commit
    return loss if literal else loss + _squared(sums[:, valid], flat[valid].detach())


def _squared(sums: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Sum over stages of the mean |zhat^(l) - z|^2; sums (S, N, D), z (N, D)."""
    return (sums - z).square().mean((1, 2)).sum()


def _fit_latent(
    tokenizer: LatentTokenizer,
    inputs: dict[str, Path],
    config: dict,
    seed: int,
    machine: Machine,
    out: Path,
    stage: str,
    rates: dict[str, float],
) -> None:
    """Train the parts of a tokenizer that `rates` names, of each what requires a gradient.

    Codewords that die are revived. Whether one is dead is asked of other ECGs than the step's, four
    times as many, and in the first half of the training only. Nothing is counted between steps, so
    that a training that was stopped goes on to the same weights. `stage` names the random draws.
    """
    batches = loader(inputs["cohort"], config["batch"], seed, "tokenizer", stage)
    others = loader(inputs["cohort"], 4 * config["batch"], seed, "revive", stage)
    literal, every = config.get("literal", False), config["revive_every"]
    if isinstance(tokenizer.quantiser, FSQ):
        every = 0  # its grid is fixed
    tokenizer.to(machine.device).train()

    def loss_at(step: int) -> list:
        """The losses of one step, as functions for `training.loop.fit`."""
        x, n = on_device(batches.at(step), machine)
        if every and 0 < step < config["steps"] // 2 and step % every == 0:
            more, lengths = on_device(others.at(step), machine)
            draw = seeds.generator(seed, "revive", stage, step)
            revive(tokenizer.quantiser, _valid_latents(tokenizer, more, lengths), draw)
        return [lambda: latent_loss(tokenizer, x, n, config["commitment"], literal)]

    _fit(tokenizer, loss_at, rates, config["steps"], seed, out, f"{tokenizer.method}-{stage}")


def _fit(
    tokenizer: LatentTokenizer | LeadwiseTokenizer,
    loss_at: Callable[[int], list],
    rates: dict[str, float],
    steps: int,
    seed: int,
    out: Path,
    name: str,
) -> None:
    """Train the parts that `rates` names; save the tokenizer and the loss of every step."""
    trained = {part: tokenizer.get_submodule(part) for part in rates}
    schedule = Schedule(steps, warmup=min(50, steps // 5), final_lr_share=0.05)
    losses = fit(loss_at, trained, rates, schedule, seed, out, name)
    tokenizer.cpu().eval().save(out)
    pd.DataFrame({"step": range(steps), "loss": losses}).to_csv(out / "history.csv", index=False)


@torch.no_grad()
def _valid_latents(
    tokenizer: LatentTokenizer, x: torch.Tensor, n_valid: torch.Tensor
) -> torch.Tensor:
    """x (B, 12, n) mV -> latents (N, D) of the positions that hold signal."""
    return tokenizer.latents(x)[tokenizer.valid(n_valid)]


def _begin(tokenizer: LatentTokenizer, inputs: dict[str, Path], config: dict, seed: int) -> None:
    """Fill the codebooks as `config["init"]` says; FSQ has none."""
    if isinstance(tokenizer.quantiser, FSQ):
        return
    init, generator = config.get("init", "kmeans"), seeds.generator(seed, "k-means")
    if init not in INITS:
        raise ValueError(f"init is {init!r}; choose one of {', '.join(INITS)}")
    if init == "uniform":
        initialise_uniform(tokenizer.quantiser, generator)
    else:
        first = loader(inputs["cohort"], 4 * config["batch"], seed, "k-means").at(0)
        x, n_valid = torch.from_numpy(first.signals), torch.from_numpy(first.mask.sum(1))
        initialise(tokenizer.quantiser, _valid_latents(tokenizer, x, n_valid), generator)


def _quantiser(method: str, dim: int, config: dict) -> VQ | ResidualVQ | QINCo | FSQ:
    """An untrained quantiser of one of the four methods."""
    if method == "fsq":
        return FSQ(dim, config["levels"], config["dims"])
    if method == "vq":
        return VQ(dim, config["vq_codewords"])
    if method == "rvq":
        return ResidualVQ(dim, config["stages"], config["codewords"])
    if method != "qinco":
        raise ValueError(f"method is {method!r}; choose one of vq, rvq, qinco, fsq")
    sizes = [config[key] for key in ("stages", "codewords", "hidden", "blocks", "candidates")]
    return QINCo(dim, *sizes)


def joint(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: one `method` with an autoencoder, jointly and from the beginning; inputs: `cohort`.

    Further keys of config: `axis`, `init`, `literal` (see `latent_loss`) and `revive_every`, 0 for
    never.
    """
    machine.configure_torch()
    torch.manual_seed(seeds.sub_seed(seed, "tokenizer", "start"))
    autoencoder = Autoencoder(config["widths"], config["strides"], config["linear"])
    axis = config.get("axis", "time")
    dim = autoencoder.widths[-1] if axis == "time" else autoencoder.positions
    tokenizer = LatentTokenizer(autoencoder, _quantiser(config["method"], dim, config), axis)
    _begin(tokenizer, inputs, config, seed)
    rates = dict.fromkeys(("autoencoder", "quantiser"), config["learning_rate"])
    _fit_latent(tokenizer, inputs, config, seed, machine, out, "start", rates)


def further(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: quantiser and decoder, behind the frozen encoder; inputs: `cohort`, `start`.

    Latents that do not move any more are what a quantiser can settle on; the decoder must follow,
    or it reads codewords that are no longer where it has learned them. `method` "qinco" makes a
    QINCo of the RVQ in `start`; any other goes on with what is there.
    """
    machine.configure_torch()
    tokenizer = load(inputs["start"])
    if config["method"] == "qinco":
        torch.manual_seed(seeds.sub_seed(seed, "tokenizer", "qinco"))
        old = tokenizer.quantiser
        sizes = {"stages": old.stages, "codewords": old.codewords}
        tokenizer.quantiser = _quantiser("qinco", old.dim, config | sizes)
        with torch.no_grad():
            tokenizer.quantiser.codebooks.copy_(old.codebooks)
    if tokenizer.method != config["method"]:
        raise ValueError(
            f"method is {config['method']!r}, but {inputs['start']} holds {tokenizer.method!r}"
        )
    tokenizer.autoencoder.freeze_encoder()
    rates = {"quantiser": config["quantiser_rate"], "autoencoder": config["decoder_rate"]}
    _fit_latent(tokenizer, inputs, config, seed, machine, out, "further", rates)


def leadwise(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: HeartLLM's stage 1, encoder, FSQ and decoder on the squared error; inputs: `cohort`."""
    machine.configure_torch()
    torch.manual_seed(seeds.sub_seed(seed, "leadwise"))
    shape = {
        key: config[key] for key in ("channels", "strides", "widths", "levels", "dims", "sharing")
    }
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

    rates = dict.fromkeys((name for name, _ in tokenizer.named_children()), config["learning_rate"])
    _fit(tokenizer, loss_at, rates, config["steps"], seed, out, "leadwise")
