"""End-to-end training: an autoencoder together with a quantiser, or HeartLLM's tokenizer.

VQ, RVQ and QINCo of notebook 02 have one encoder, trained here together with an RVQ and then frozen
(`train_quantiser`, `train_decoder`). Trained here by themselves, each has an encoder of its own, as
in the paper.

The loss is the error of the reconstruction + codebook loss + commitment x commitment loss on the
residuals (ECG-Tok, section 2.2, corrected). The error is L1 as in the paper, with `squared_weight`
times the squared error beside it, because L1 alone gives up the height of the short R waves. The
paper's text (`literal`) stops the gradient at every codeword, and so trains no codebook; the
codebook loss of VQ-VAE does, and so do the running means of the released code (`released`).
`ecglib.tokenizers.bpe.fit_bpe` fits the byte pairs.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from ecglib.cohorts.loader import Batch, Loader
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.autoencoder import Autoencoder, mean_valid
from ecglib.tokenizers.codebooks import initialise_kmeans, initialise_uniform, revive
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import QUANTISERS, load, make_autoencoder
from ecglib.tokenizers.watch import Watch
from ecglib.tokenizers.window_pca import components
from ecglib.training import seeds
from ecglib.training.device import Machine
from ecglib.training.loop import Schedule, fit

INITS = ("kmeans", "uniform")
JOINT = "start"  # seeds the generators
PCA_ECGS = 500  # training ECGs of which the lead-wise PCA is made


def train_jointly(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: an autoencoder jointly with a quantiser of its latents.

    The autoencoder can first learn without the quantiser (`unquantised_steps`). It then learns
    several times as fast, and k-means finds codebooks that fit what it has learned.

    Inputs:
        cohort: its role tokenizer_train.
        start (optional): an output of `fit_pca_rvq`, where an autoencoder of kind `pca` starts, and
            an RVQ of equal size, unless its vectors are channels.

    Config:
        method: vq, rvq or qinco.
        quantiser: sizes of the method's class, all but `dim`.
        autoencoder: kind, `pca` or `strided`, and the arguments of `Autoencoder` or
            `StridedAutoencoder`.
        steps: updates.
        unquantised_steps (optional): how many of these come before the quantiser (default 0).
        batch: ECGs per update.
        learning_rate: peak, of all parameters.
        commitment: weight of the commitment loss.
        revive_every: updates between revivals of dead codewords; 0 for never.
        squared_weight (optional): of the squared error beside L1, per mV (default 0, the paper).
        axis (optional): `time` (default) or `channel`, see `LatentTokenizer`.
        init (optional): initial codebooks, `kmeans` (default) or `uniform`.
        literal (optional): true for the paper's loss without the codebook loss.
        released (optional): true to update the codebooks of VQ and RVQ by running means and to
            rotate the gradient, as the released code does, see `ResidualVQ`.
        watch (optional): `every` (updates) and `ecgs` (of the role validation): the use of the
            codebooks and the error at several times of the training, in `use.csv`, see
            `ecglib.tokenizers.watch`.
    """
    machine.configure_torch()
    method, axis, init = config["method"], config.get("axis", "time"), config.get("init", "kmeans")
    for key, value, known in (("method", method, QUANTISERS), ("init", init, INITS)):
        if value not in known:
            raise ValueError(f"expected {key} out of {', '.join(known)}, got {value!r}")
    torch.manual_seed(seeds.sub_seed(seed, "tokenizer", JOINT))
    autoencoder = make_autoencoder(config["autoencoder"])
    dim = autoencoder.dim if axis == "time" else autoencoder.positions
    if isinstance(autoencoder, Autoencoder):
        if "start" not in inputs:
            raise ValueError("an autoencoder of kind pca starts at a PCA: give the input start")
        first = load(inputs["start"]).autoencoder
        autoencoder.start(first.components, first.spread)
    released = {"released": True} if config.get("released") else {}
    quantiser = QUANTISERS[method](dim, **config["quantiser"], **released)
    tokenizer = LatentTokenizer(autoencoder, quantiser, axis)
    if "watch" not in config:
        _fit_latent(tokenizer, inputs, config, seed, machine, out)
        return
    cohort = Cohort.open(inputs["cohort"])
    held = cohort.rows("validation")[: config["watch"]["ecgs"]]
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[held])
    watch = Watch(torch.from_numpy(cohort.signals(held)), n_valid, config["watch"]["every"], out)
    _fit_latent(tokenizer, inputs, config, seed, machine, out, watch)
    watch.finish(tokenizer, config["steps"])


def _initialise(
    tokenizer: LatentTokenizer, inputs: dict[str, Path], config: dict, seed: int, device: str
) -> None:
    """Fill the codebooks as the config of `train_jointly` says (`init`)."""
    generator = seeds.generator(seed, "k-means")
    if config.get("init", "kmeans") == "uniform":
        initialise_uniform(tokenizer.quantiser, generator)
        return
    if "start" in inputs and tokenizer.method == "rvq" and tokenizer.axis == "time":
        state = load(inputs["start"]).quantiser.state_dict()
        tokenizer.quantiser.load_state_dict(state, strict=False)  # `released` counts uses, too
        return
    first = training_batches(inputs["cohort"], 4 * config["batch"], seed, "k-means").at(0)
    z = valid_latents(tokenizer, *tensors(first, device))
    initialise_kmeans(tokenizer.quantiser, z, generator)


def train_leadwise(
    out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine
) -> None:
    """Step: HeartLLM's stage 1, encoder, FSQ and decoder on the squared error.

    Inputs: cohort (its role tokenizer_train).

    Config:
        model: channels, strides, widths, levels, dims, sharing and pca of `LeadwiseTokenizer`.
        steps: updates.
        batch: ECGs per update.
        learning_rate: peak, of all parameters.
    """
    machine.configure_torch()
    torch.manual_seed(seeds.sub_seed(seed, "leadwise"))
    tokenizer = LeadwiseTokenizer(**config["model"]).to(machine.device)
    batches = training_batches(inputs["cohort"], config["batch"], seed, "leadwise")
    pca = None
    if tokenizer.components is not None:
        cohort, rows = Cohort.open(inputs["cohort"]), batches.order(0)
        rows = np.concatenate(rows[: -(-PCA_ECGS // config["batch"])])
        pca = components(cohort, rows, *tokenizer.components.shape, lead_by_lead=True)
    tokenizer.initialise(tensors(batches.at(0), machine.device)[0], pca)

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        x, n_valid = tensors(batches.at(step), machine.device)
        return [lambda: mean_valid((x - tokenizer(x)[0]).square(), n_valid)]

    rates = dict.fromkeys((name for name, _ in tokenizer.named_children()), config["learning_rate"])
    fit_parts(tokenizer, loss_at, rates, config["steps"], seed, out, "leadwise")


def latent_loss(
    tokenizer: LatentTokenizer,
    x: torch.Tensor,
    n_valid: torch.Tensor,
    commitment: float,
    literal: bool = False,
    squared_weight: float = 0.0,
) -> torch.Tensor:
    """Error + commitment x commitment loss + codebook loss; without the last where `literal`."""
    y, codebook_loss, commitment_loss = tokenizer(x, n_valid)
    loss = signal_error(x, y, n_valid, squared_weight) + commitment * commitment_loss
    return loss if literal else loss + codebook_loss


def signal_error(
    x: torch.Tensor, y: torch.Tensor, n_valid: torch.Tensor, squared_weight: float = 0.0
) -> torch.Tensor:
    """L1 + squared_weight x squared error of a reconstruction y of x (B, 12, n) in mV."""
    error = (x - y).abs()
    if squared_weight:
        error = error + squared_weight * error.square()
    return mean_valid(error, n_valid)


def _fit_latent(
    tokenizer: LatentTokenizer,
    inputs: dict[str, Path],
    config: dict,
    seed: int,
    machine: Machine,
    out: Path,
    watch: Watch | None = None,
) -> None:
    """Train autoencoder and quantiser together.

    Dead codewords are revived in the first half of the steps with the quantiser: those that no
    vector has chosen since the revival before, moved onto residuals of other ECGs. The count is
    part of the quantiser's state, so that an interrupted training resumes to the same weights.

    Raises ValueError: no step is left for the quantiser.
    """
    batches = training_batches(inputs["cohort"], config["batch"], seed, "tokenizer", JOINT)
    others = training_batches(inputs["cohort"], config["batch"], seed, "revive", JOINT)
    literal, every = config.get("literal", False), config["revive_every"]
    commitment, squared = config["commitment"], config.get("squared_weight", 0.0)
    alone = config.get("unquantised_steps", 0)
    half = (alone + config["steps"]) // 2
    if alone and alone >= config["steps"]:
        raise ValueError(
            f"expected fewer steps without the quantiser than the {config['steps']} in all, got "
            f"{alone}; lower unquantised_steps or raise steps"
        )
    tokenizer.to(machine.device).train()

    def loss_at(step: int) -> list[Callable[[], torch.Tensor]]:
        x, n_valid = tensors(batches.at(step), machine.device)
        if step < alone:
            autoencoder = tokenizer.autoencoder
            return [lambda: signal_error(x, autoencoder(x), n_valid, squared)]
        if step == alone:
            _initialise(tokenizer, inputs, config, seed, machine.device)
        if watch:
            watch.look(tokenizer, step)
        if every and alone < step < half and (step - alone) % every == 0:
            z = valid_latents(tokenizer, *tensors(others.at(step), machine.device))
            revive(tokenizer.quantiser, z, every, seeds.generator(seed, "revive", JOINT, step))
        return [lambda: latent_loss(tokenizer, x, n_valid, commitment, literal, squared)]

    rates = dict.fromkeys(("autoencoder", "quantiser"), config["learning_rate"])
    fit_parts(tokenizer, loss_at, rates, config["steps"], seed, out, f"{tokenizer.method}-{JOINT}")


def fit_parts(
    tokenizer: nn.Module,
    loss_at: Callable[[int], list[Callable[[], torch.Tensor]]],
    rates: dict[str, float],
    steps: int,
    seed: int,
    out: Path,
    name: str,
) -> None:
    """Train the parts that `rates` names; save the tokenizer and the loss of every step."""
    parts = {part: tokenizer.get_submodule(part) for part in rates}
    schedule = Schedule(steps, warmup=min(50, steps // 5), final_lr_share=0.05)
    losses = fit(loss_at, parts, rates, schedule, seed, out, name)
    tokenizer.cpu().eval().save(out)
    pd.DataFrame({"step": range(steps), "loss": losses}).to_csv(out / "history.csv", index=False)


def training_batches(folder: Path, batch: int, seed: int, *names: str) -> Loader:
    """Shuffled batches of the role tokenizer_train, in an order that seed and names decide."""
    cohort = Cohort.open(folder)
    rows = cohort.rows("tokenizer_train")
    return Loader(cohort, rows, batch, seeds.sub_seed(seed, "batches", *names))


def tensors(batch: Batch, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Signals (B, 12, n) in mV and n_valid (B,) of a batch, on a device."""
    x, n_valid = torch.from_numpy(batch.signals), torch.from_numpy(batch.mask.sum(1))
    return x.to(device), n_valid.to(device)


@torch.no_grad()
def valid_latents(
    tokenizer: LatentTokenizer, x: torch.Tensor, n_valid: torch.Tensor
) -> torch.Tensor:
    """x (B, 12, n) mV -> latents (N, D) of the positions with signal."""
    return tokenizer.latents(x)[tokenizer.valid(n_valid)]
