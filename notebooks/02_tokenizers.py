# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does an ECG lose when it becomes a few hundred codes?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01 |
# | writes | five tokenizers (VQ, RVQ, QINCo, FSQ, byte pairs); the codes of every ECG |
# | paper items | ECG-Tok, section 3: reconstructions; ECG-Byte: tokens |
# | time | 31 s in `smoke`, 18 nominal minutes in `laptop` on two cores |
# | memory | 6 GB in `laptop` |
#
# A tokenizer has three parts. The encoder turns 128 ms of twelve leads into one vector, a *latent*.
# The quantiser turns the vector into a few integers, the *codes*. The decoder turns the codes back
# into millivolts. A language model sees nothing of the ECG but the codes. This notebook measures
# what the codes keep.
#
# After this notebook you can
#
# - write down the forward pass and the loss of four quantisers (VQ, RVQ, QINCo and FSQ), and learn
#   byte pairs by hand;
# - compare tokenizers by their error *and* their bits, with an interval over patients.
#
# Previous: [01_preprocess](01_preprocess.py). Next: [03_classification](03_classification.py).

# %% tags=["redraw", "plumbing"]
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    bootstrap,
    predictions,
    reconstruction,
    wide_tables,
)
from ecglib.fidelity import round_trip
from ecglib.figures import cost, curves, ecg_leads, ecg_page, token_use
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE, SAMPLES
from ecglib.tokenizers import encode, train
from ecglib.tokenizers.amplitude_bins import LETTERS, fit_bins
from ecglib.tokenizers.autoencoder import Autoencoder, mean_valid
from ecglib.tokenizers.bpe import expansions, join
from ecglib.tokenizers.bpe_merges import BARRIER, learn_merges
from ecglib.tokenizers.codebooks import initialise_kmeans
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.leadwise import LeadwiseTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.vq import VQ

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws initial weights, batches and codewords

# %% tags=["redraw", "plumbing"]
stage = Stage("02", profile, data, seed, tag)
print(stage.banner())
pd.set_option("display.max_colwidth", None)  # statements in full

# %% [markdown]
# The next cells print the sizes of this run and load two training ECGs. Each method is first shown
# on these two ECGs, before it is trained.

# %% tags=["redraw"]
sizes = stage.section("tokenizer")
quantisers, networks = sizes["quantisers"], sizes["quantisers"]["qinco"]
quantisers = quantisers | {"qinco": quantisers["rvq"] | networks}
latent = ["vq", "rvq", "qinco"]  # the methods with learned codebooks
NAME = {"vq": "VQ", "rvq": "RVQ", "qinco": "QINCo", "fsq": "FSQ", "bpe": "byte pairs"}
book = {name: quantisers[name]["codewords"] for name in latent}
codebooks = quantisers["rvq"]["codebooks"]
print(f"VQ: 1 codebook of {book['vq']} codewords")
print(f"RVQ and QINCo: {codebooks} codebooks of {book['rvq']} codewords")

# %%
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
two = cohort.rows("tokenizer_train")[:2]
x = torch.from_numpy(cohort.signals(two))
ends = torch.tensor(cohort.records["n_valid"].to_numpy()[two])
print("x (ECGs, leads, samples) in mV:", tuple(x.shape), "| samples with signal:", ends.tolist())

# %% [markdown]
# ## The encoder makes one vector per eighth of a second
#
# VQ, RVQ and QINCo share an autoencoder. Its encoder has strided convolutions and residual blocks.
# Each stride divides the length of the signal. Here are its layers with untrained weights:

# %%
torch.manual_seed(0)
autoencoder = Autoencoder(**sizes["train_jointly"]["autoencoder"])
missing = autoencoder.positions * autoencoder.hop - SAMPLES
padded = nn.functional.pad(x, (0, missing))  # whole hops
h = padded
for layer in autoencoder.down:
    h = layer(h)
    print(f"{type(layer).__name__:<14}", tuple(h.shape))
if autoencoder.linear:
    h = h + autoencoder.linear_down(padded)
z = h.transpose(1, 2)
print("latents z (ECGs, positions, D): ", tuple(z.shape))
assert torch.allclose(z, autoencoder.encode(x), atol=1e-5)

# %% [markdown]
# A position is a step in time, as in ECG-Tok's text. The released code uses the channels as
# positions instead: each of its vectors describes one channel over the whole recording.
#
# The decoder is the mirror image of the encoder. It returns the shape of the ECG.

# %%
y = z.transpose(1, 2)
for layer in autoencoder.up:
    y = layer(y)
    print(f"{type(layer).__name__:<16}", tuple(y.shape))
if autoencoder.linear:
    y = y + autoencoder.linear_up(z.transpose(1, 2))
y = y[..., :SAMPLES]
assert torch.allclose(y, autoencoder.decode(z), atol=1e-5)

# %% [markdown]
# **Ours, not the paper's:** beside the convolutions there are two linear maps, `linear_down` in the
# encoder and `linear_up` in the decoder. The study in the section "Is the comparison fair?"
# measures their effect in its last table.
#
# **Ours, not the paper's:** the residual blocks normalise over the channels of each position, where
# the released code uses batch normalisation. A vector then depends neither on other ECGs nor on
# distant parts of its own. A step of 1 mV in the last second leaves the earlier vectors alone, so
# an ECG could be encoded while it is recorded:

# %%
disturbed = x.clone()
disturbed[..., -200:-100] += 1.0  # 1 mV for 0.4 s
early = slice(0, int(7.9 * RATE) // autoencoder.hop)  # positions of the first 7.9 s
change = (autoencoder.encode(disturbed) - z).abs().amax((0, 2))  # of each position
print(f"largest change in the first 7.9 s: {change[early].max():.1g}, later: {change.max():.1g}")
assert change[early].max() < 1e-6 < change.max()

# %% [markdown]
# ## VQ and RVQ: choose the nearest codeword, then quantise the residual
#
# A *codebook* is a table of $K$ learned vectors, its *codewords*. The code of a vector is the
# number of its nearest codeword. This is vector quantisation (VQ). Residual vector quantisation
# (RVQ) has $S$ small codebooks. Each codes the residual that the codebooks before it have left,
#
# $$ r^{(1)} = z, \quad s^{(l)} = \arg\min_k \lVert r^{(l)} - c^{(l)}_k \rVert^2, \quad
# r^{(l+1)} = r^{(l)} - c^{(l)}_{s^{(l)}}, \quad \hat z = \sum_l c^{(l)}_{s^{(l)}} $$
#
# so $S K$ stored vectors name $K^S$ points. ECG-Tok's paper has 512 codewords and gives no number
# of codebooks. The released code has eight codebooks of 512. The sizes of this run are printed
# above.
#
# The example has three points in the plane and two codebooks of two codewords:

# %%
points = torch.tensor([[4.2, 0.1], [3.9, 0.9], [-0.1, 1.2]])  # (N, D)
books = torch.tensor([[[0.0, 0.0], [4.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])  # (S, K, D)
by_hand = []
for point in points:
    residual, chosen = point, []
    for codewords in books:
        index = int((residual - codewords).square().sum(1).argmin())
        residual = residual - codewords[index]
        chosen.append(index)
    by_hand.append(chosen)
    print(
        "point", point.numpy().round(2), "-> codes", chosen, "residual", residual.numpy().round(2)
    )

# %% [markdown]
# The library's class chooses the same codes and adds the same codewords. Its first codebook alone
# is VQ.

# %%
vq = VQ(dim=2, codewords=2)
vq.codebooks.data = books[:1].clone()
assert vq.encode(points)[:, 0].tolist() == [chosen[0] for chosen in by_hand]
rvq = ResidualVQ(dim=2, codebooks=2, codewords=2)
rvq.codebooks.data = books.clone()
assert rvq.encode(points).tolist() == by_hand == [[1, 0], [1, 1], [0, 1]]
assert rvq.decode(torch.tensor(by_hand)).tolist() == [[4, 0], [4, 1], [0, 1]]

# %% [markdown]
# ## QINCo: codewords that depend on the reconstruction so far
#
# RVQ subtracts the same codeword wherever it is used. The residuals, however, depend on the
# codewords chosen before. In QINCo a small network therefore moves the codewords of each codebook
# but the first. The network reads the base codeword $c_k$ and the sum of the codewords chosen
# before, $\hat z^{(l-1)}$:
#
# $$ e = P c_k, \quad e \leftarrow e + W [e, \hat z^{(l-1)}] + b, \quad
# e \leftarrow e + V \, \mathrm{relu}(U e), \quad c^{(l)}_k = c_k + Q e $$
#
# $P$, $W$, $b$, $U$, $V$ and $Q$ belong to the network, and the step with $U$ and $V$ is repeated.
# For each vector, all $K$ codewords are adapted in this way, and the nearest is chosen. It is
# written out here for 200 vectors of 8 numbers and 3 codebooks of 16 codewords:


# %%
@torch.no_grad()
def adapt_all(network: nn.Module, base: torch.Tensor, partial: torch.Tensor) -> torch.Tensor:
    """Base codewords (K, D) and sums so far (N, D) -> adapted codewords (N, K, D)."""
    e = network.project(base)  # P c
    e = (e + network.from_base(e))[None] + network.from_sum(partial)[:, None]  # e + W [e, sum] + b
    for mlp in network.blocks:
        e = e + mlp(e)
    return base + network.back(e)  # c + Q e


@torch.no_grad()
def qinco_by_hand(quantiser: QINCo, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors (N, D) -> codes (N, S), reconstructions (N, D)."""
    zhat, codes, each = torch.zeros_like(z), [], torch.arange(len(z))
    for number, base in enumerate(quantiser.codebooks):
        codewords = base.expand(len(z), -1, -1)  # (N, K, D), not adapted in the first codebook
        if number:
            codewords = adapt_all(quantiser.adapt[number - 1], base, zhat)
        residual = z - zhat
        index = (residual[:, None] - codewords).square().sum(2).argmin(1)  # (N,)
        zhat = zhat + codewords[each, index]
        codes.append(index)
    return torch.stack(codes, 1), zhat


# %% [markdown]
# The library's class gives the same codes and the same reconstructions.

# %%
torch.manual_seed(0)
vectors = torch.randn(200, 8)
exact = QINCo(dim=8, codebooks=3, codewords=16, hidden=8, blocks=1, candidates=16)
initialise_kmeans(exact, vectors, torch.Generator().manual_seed(0))
for network in exact.adapt:
    network.back.weight.data.normal_(std=0.1)  # by hand; training moves Q away from zero
codes, zhat = qinco_by_hand(exact, vectors)
assert torch.equal(codes, exact.encode(vectors))
assert torch.allclose(zhat, exact.decode(codes), atol=1e-5)
print("codes (N, S):", tuple(codes.shape), "| reconstructions (N, D):", tuple(zhat.shape))

# %% [markdown]
# **Ours, not the paper's:** $Q$ is zero before training. An untrained QINCo is therefore equal to
# the RVQ whose codewords it copies, and both methods can start from the same state. With another
# $Q$, the same codeword of the second codebook depends on the first code:

# %%
fresh = QINCo(dim=2, codebooks=2, codewords=2, hidden=8, blocks=1, candidates=2)
fresh.codebooks.data = books.clone()
assert torch.equal(fresh.encode(points), rvq.encode(points))
assert torch.equal(fresh.decode(fresh.encode(points)), rvq.decode(rvq.encode(points)))
fresh.adapt[0].back.weight.data.fill_(0.5)
sums = fresh.partial_sums(torch.tensor([[0, 1], [1, 1]])).detach()  # (S, N, D)
moved = sums[1] - sums[0]
print("codeword 1 of codebook 2 after code 0:", moved[0].numpy().round(2), end=", ")
print("after code 1:", moved[1].numpy().round(2))
assert not torch.allclose(moved[0], moved[1])

# %% [markdown]
# This is the network of QINCo2 (2025). ECG-Tok cites the QINCo of 2024, whose codewords are $e$
# itself, without $P$ and $Q$; the class has it as `form="qinco"`. Published weights of both can be
# copied into the class, and a test compares the codes with the equations of the papers.
#
# ### Pre-selection saves most of the network's work
#
# For each vector all $K$ codewords go through the network, although only one of them is chosen.
# QINCo2 first selects the $A$ codewords whose base is nearest to the residual, and adapts only
# those. **Ours, not the paper's:** we pre-select by the base codewords. ECG-Tok adapts all
# codewords. QINCo2 learns a separate codebook for this selection (the option `preselection`) and
# keeps the best sums of a beam (`beam`). The next cell counts the codewords that pass through the
# networks:


# %%
def count_adapted(quantiser: QINCo, z: torch.Tensor) -> tuple[int, torch.Tensor]:
    """Codewords that pass through the networks while z (N, D) is encoded, and the codes."""
    adapted = []

    def count(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        adapted.append(output[..., 0].numel())

    hooks = [network.blocks[0].register_forward_hook(count) for network in quantiser.adapt]
    codes = quantiser.encode(z)
    for hook in hooks:
        hook.remove()
    return sum(adapted), codes


# %%
for candidates in (16, 8, 4, 2, 1):
    selective = QINCo(**exact.config() | {"candidates": candidates})
    selective.load_state_dict(exact.state_dict())
    evaluated, selected = count_adapted(selective, vectors)
    assert evaluated == len(vectors) * 2 * candidates  # the first codebook has no network
    error = (vectors - selective.decode(selected)).square().mean().item()
    same = (selected == codes).all(1).float().mean().item()
    print(f"A = {candidates:>2}: {evaluated:>5} codewords adapted,", end=" ")
    print(f"{100 * same:3.0f} % of vectors have the codes of A = 16, squared error {error:.3f}")
print(f"in this run K = {book['qinco']} and A = {networks['candidates']}: ", end="")
print(f"{book['qinco'] / networks['candidates']:.0f} times fewer codewords are adapted")

# %% [markdown]
# **What to see.** The work falls in proportion to $A$. A vector keeps its codes as long as the
# nearest adapted codeword is among the $A$ nearest base codewords. The networks of this toy have
# random weights, so they move the codewords at random. Only training can make the error smaller
# than RVQ's.
#
# ## Which loss reaches the codebooks?
#
# The choice of a codeword has no gradient. The straight-through trick lets the decoder read
# $z + \mathrm{sg}(\hat z - z)$, where sg stops the gradient. The decoder's gradient then passes to
# the encoder as if nothing had been quantised. ECG-Tok's text adds a commitment term, which pulls
# the latent to its codeword; the gradient is stopped at the codeword. If this loss is taken
# literally, no gradient reaches a codebook:

# %%
z_toy = points.clone().requires_grad_()
zhat = rvq.decode(rvq.encode(z_toy))
through = z_toy + (zhat - z_toy).detach()
literal = through.abs().mean() + 0.25 * (z_toy - zhat.detach()).square().mean()
literal.backward()
print("gradient of the codebooks:", rvq.codebooks.grad, f"| of z: {z_toy.grad.norm():.3f}")
assert rvq.codebooks.grad is None and z_toy.grad.norm() > 0

# %% [markdown]
# **Ours, not the paper's:** the loss has the codebook term of VQ-VAE as well,
#
# $$ L = \mathrm{mean}\,\lvert x - \hat x \rvert
# + \frac{1}{S} \sum_l \lVert \mathrm{sg}(z) - \hat z^{(l)} \rVert^2
# + \frac{\alpha}{S} \sum_l \lVert z - \mathrm{sg}(\hat z^{(l)}) \rVert^2, $$
#
# where $\hat z^{(l)}$ is the sum of the first $l$ codewords and $\lVert \cdot \rVert^2$ is the mean
# square over vectors and their numbers. Note that $z - \hat z^{(l)}$ is the residual $r^{(l+1)}$,
# and equals $r^{(l)} - c^{(l)}$. The commitment is therefore to the residual of each codebook. Both
# terms are means over the $S$ codebooks, as in the released code. Positions after the end of an ECG
# do not count.


# %%
def loss_by_hand(
    toy: LatentTokenizer, x: torch.Tensor, ends: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """L1, codebook term and commitment term of x (B, 12, n)."""
    z = toy.latents(x)  # (B, T, D)
    codes = toy.quantiser.encode(z.flatten(0, 1))  # (B T, S), without gradient
    sums = toy.quantiser.partial_sums(codes).unflatten(1, z.shape[:2])  # (S, B, T, D)
    signal = toy.valid(ends)  # (B, T)
    codebook = commitment = 0.0
    for zhat in sums:  # after 1, 2, ... codebooks
        codebook = codebook + (z.detach() - zhat)[signal].square().mean() / len(sums)
        commitment = commitment + (z - zhat.detach())[signal].square().mean() / len(sums)
    y = toy.signals(z + (sums[-1] - z).detach())  # straight through
    inside = torch.arange(x.shape[2]) < ends[:, None]  # (B, n)
    l1 = (x - y).abs().transpose(1, 2)[inside].mean()
    return l1, codebook, commitment


# %% [markdown]
# The sum equals the library's loss. With the codebook term each codebook has a gradient, and so
# have the networks of QINCo. The encoder has one, too.

# %%
width, generator = autoencoder.widths[-1], torch.Generator().manual_seed(1)
for quantiser in (ResidualVQ(width, 3, 8), QINCo(width, 3, 8, hidden=8, blocks=1, candidates=8)):
    quantiser.codebooks.data.normal_(std=0.3, generator=generator)
    toy = LatentTokenizer(autoencoder, quantiser)
    l1, codebook_term, commitment_term = loss_by_hand(toy, x, ends)
    loss = train.latent_loss(toy, x, ends, commitment=0.25)
    assert torch.allclose(loss, l1 + codebook_term + 0.25 * commitment_term, rtol=1e-4)
    autoencoder.zero_grad()
    loss.backward()
    strength = quantiser.codebooks.grad.flatten(1).norm(dim=1)
    print(f"{quantiser.method:<5} L1 {l1:.3f}, codebook term {codebook_term:.3f}, ", end="")
    print(f"gradient of each codebook {[round(s, 4) for s in strength.tolist()]}")
    assert (strength > 0).all() and autoencoder.down[0].weight.grad.norm() > 0
assert all(network.back.weight.grad.norm() > 0 for network in quantiser.adapt)

# %% [markdown]
# The sum $\hat z^{(l)}$ contains all earlier codewords, so the term of a later codebook also moves
# the earlier ones, as in QINCo's papers. **Ours, not the paper's:** the same holds for RVQ. In the
# released code each of its codebooks follows its own residuals only.
#
# **Ours, not the paper's:** in the runs some squared error is added to the mean absolute error
# (`squared_weight` in the profile). R waves are high and short. The mean absolute error gives up
# their height more easily than the squared error does.
#
# ## Training VQ, RVQ and QINCo
#
# Training has two phases. First, an autoencoder is trained jointly with VQ, and another one with
# RVQ. The first half of these steps comes without the quantiser, because an autoencoder learns
# several times as fast alone. Second, the encoder is frozen, and quantiser and decoder are trained
# further, on the same batches for the same number of steps. QINCo enters in the second phase: it
# starts as a copy of the trained RVQ and its decoder. RVQ and QINCo therefore code the same
# latents.
#
# **Ours, not the paper's:** the steps without a quantiser; the second phase with the frozen
# encoder; codebooks that start as k-means centres of latents; and *revival*. Revival looks for
# codewords that no ECG has used since the revival before, and moves them onto residuals. The paper
# and its code have none of the four. The released code updates the codewords of VQ and RVQ by a
# running mean and rotates the decoder's gradient; both are an option of the training (`released`),
# and not used in this run.
#
# The profile lists every training of this compendium with a name. `stage.make` makes one, and first
# all that it reads. It prints a card: the step function, its settings, and its inputs.

# %%
joint = {name: stage.make(f"joint_{name}") for name in ("vq", "rvq")}

# %%
folders = {name: stage.make(name) for name in latent}

# %% tags=["plumbing"]
histories = []
for phase, trained in {"joint": joint, "frozen encoder": folders}.items():
    for name, folder in reversed(trained.items()):  # RVQ's dashes over QINCo's line, else they hide
        history = pd.read_csv(folder / "history.csv")
        histories.append(history.assign(method=name, phase=phase))
losses = stage.data("losses", pd.concat(histories)[["phase", "method", "step", "loss"]])

# %% tags=["redraw"]
losses = stage.read("losses")
history = losses.loc[losses["phase"] == "frozen encoder", ["method", "step", "loss"]]
figure = curves.loss(history.reset_index(drop=True), "Error + quantiser's terms", log=True)
stage.figure(
    "losses",
    figure,
    history,
    caption="Loss of quantiser and decoder behind the frozen encoder, per training step, on a "
    f"logarithmic axis ({history['step'].max() + 1} steps of "
    f"{sizes['train_frozen_encoder']['batch']} ECGs). "
    "Thin lines: each step; thick lines: running mean.",
    alt="Line plot of the training loss against the step, one curve each for VQ, RVQ and QINCo.",
)

# %% [markdown]
# **What to see.** The second phase starts where the joint training has stopped, so the curves are
# flatter than those of a first training. The loss sums the terms of all codebooks. The heights of
# VQ and RVQ are therefore not comparable, but those of RVQ and QINCo are.

# %% tags=["redraw"]
tail = curves.last_fifth(history)
print("mean loss of the last fifth:", {NAME[name]: f"{tail[name]:.4f}" for name in latent})

# %% [markdown]
# ## FSQ: round four numbers to six levels
#
# HeartLLM has no learned codebook. Its encoder reads each lead alone, with one set of weights for
# the twelve leads. A linear map makes four numbers of the channels of all leads, a sigmoid bounds
# them, and each is rounded to one of six levels. This is finite scalar quantisation (FSQ). The
# four levels are the digits of one code out of $6^4 = 1296$.

# %%
torch.manual_seed(0)
leadwise = LeadwiseTokenizer(**stage.section("leadwise")["model"] | {"sharing": "shared"})
one, fsq = x[:1], leadwise.fsq
missing = leadwise.positions * leadwise.hop - SAMPLES
leads = nn.functional.pad(one, (0, missing)).reshape(12, 1, -1)  # twelve signals of one lead
h = leadwise.encoder(leads)  # (12, C, T)
z = torch.sigmoid(fsq.project(h.flatten(0, 1).T))  # (T, 4), between 0 and 1
levels = torch.round(z * (fsq.levels - 1))  # 0 to 5
code = (levels.long() * fsq.levels ** torch.arange(fsq.dims)).sum(1)  # (T,)
assert torch.equal(code, leadwise.encode(one)[0, :, 0])
print("leads", tuple(leads.shape), "-> channels", tuple(h.shape), "-> codes", tuple(code.shape))
print("levels of the first position:", levels[0].int().tolist(), "-> code", int(code[0]))

# %% [markdown]
# Rounding has no useful gradient either, so the straight-through trick is used again. The loss is
# the squared error alone, as in HeartLLM's paper.

# %%
grid = z + (levels / (fsq.levels - 1) - z).detach()  # straight through
y = leadwise.decoder(leadwise.widen(fsq.back(grid)).T[None])[..., :SAMPLES]
assert torch.allclose(y, leadwise(one)[0], atol=1e-5)
loss = (one - y).square()[..., : ends[0]].mean()
assert torch.allclose(loss, mean_valid((one - leadwise(one)[0]).square(), ends[:1]))
loss.backward()
print(f"squared error {loss.item():.3f}, gradient of the encoder's first convolution:", end=" ")
print(f"{leadwise.encoder[0].weight.grad.norm():.2g}")
assert leadwise.encoder[0].weight.grad.norm() > 0

# %% [markdown]
# ## Byte pairs: merge the commonest pair of neighbours, again and again
#
# ECG-Byte has no neural network at all. Every sample becomes one of 26 letters, by the bin of its
# voltage. The bins cover the range from the 1st to the 99th percentile of training ECGs, plus
# 0.5 mV on both sides.

# %%
bins = fit_bins(x.numpy().ravel())
share = (x.numpy().astype(float) - bins.low) / (bins.high - bins.low + 1e-6)
letters = np.minimum(np.floor(LETTERS * share.clip(0, 1)), LETTERS - 1).astype(np.uint8)
assert np.array_equal(letters, bins.encode(x.numpy()))
print("letters (ECGs, leads, samples):", letters.shape)
print("lead II begins:", "".join("abcdefghijklmnopqrstuvwxyz"[k] for k in letters[0, 1, :60]))

# %% [markdown]
# The commonest pair of neighbours then gets a symbol of its own. This *merge* is repeated many
# times. A plain trainer needs some 30 lines. It counts all pairs anew for each merge.


# %%
def count_pairs(tokens: list[int]) -> Counter:
    """How often each pair of neighbours occurs; the two of "aaa" overlap and count once."""
    counts, used = Counter(), False  # used: the left symbol is in a counted pair of equals
    for left, right in pairwise(tokens):
        overlaps = used and left == right
        if not overlaps and BARRIER not in (left, right):
            counts[left, right] += 1
        used = left == right and not overlaps
    return counts


def merge(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """The tokens with each occurrence of the pair replaced, from the left."""
    merged, place = [], 0
    while place < len(tokens):
        same = tuple(tokens[place : place + 2]) == pair
        merged.append(new if same else tokens[place])
        place += 2 if same else 1
    return merged


def plain_trainer(tokens: list[int], alphabet: int, merges: int) -> list[tuple[int, int]]:
    """Learn merges; of equally common pairs the one with the smallest symbols wins."""
    learned = []
    for new in range(alphabet, alphabet + merges):
        counts = count_pairs(tokens)
        pair = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if pair is None or counts[pair] < 2:
            break
        tokens = merge(tokens, pair, new)
        learned.append(pair)
    return learned


# %% [markdown]
# The word `aaabdaaabac` can be followed by hand. Both `aa` and `ab` are counted twice (a pair in
# `aaa` counts once). The first in the alphabet wins.

# %%
word = ["abcd".index(letter) for letter in "aaabdaaabac"]
pairs = plain_trainer(word, alphabet=4, merges=10)
symbols = ["".join("abcd"[k] for k in symbol) for symbol in expansions(np.array(pairs), 4)]
print("merges:", pairs, "-> new symbols", symbols[4:])
assert pairs == [(0, 0), (0, 1), (4, 5)] and symbols[4:] == ["aa", "ab", "aaab"]

# %% [markdown]
# The next corpus has the letters of two seconds of the two ECGs. The fast trainer of the library
# learns the same merges. A barrier between leads keeps merges within a lead. **Ours, not the
# paper's:** the barrier, and the count of one pair in `aaa`. The released code merges across leads
# and records, and counts the pair in `aaa` twice.

# %%
corpus = join([lead[: 2 * RATE] for ecg in letters for lead in ecg])  # (letters and barriers,)
plain = plain_trainer(corpus.tolist(), LETTERS, merges=30)
fast = learn_merges(corpus, LETTERS, merges=30)
assert [list(pair) for pair in plain] == fast.tolist()
alphabet = "abcdefghijklmnopqrstuvwxyz"
learned = ["".join(alphabet[k] for k in symbol) for symbol in expansions(fast, LETTERS)[LETTERS:]]
print(f"{len(corpus)} letters and barriers; the {len(fast)} new symbols:", " ".join(learned))

# %% [markdown]
# **What to see.** Look for symbols that repeat one letter. They are flat stretches, the commonest
# part of an ECG.
#
# Now FSQ and byte pairs are trained on the same patients as the others.
#
# **Ours, not the papers':** in FSQ's encoder each strided convolution comes before its block, not
# after it. The length of a position and the number of ECGs that FSQ reads are sizes of the run, and
# are printed below. HeartLLM has 32 ms per position. For byte pairs, bins and merges come from a
# seeded sample of *training* ECGs. The released percentiles come from some four ECGs, drawn before
# the split.

# %%
folders |= {name: stage.make(name) for name in ("fsq", "bpe")}
tokenizers = {name: load(folder) for name, folder in folders.items()}
bins = tokenizers["bpe"].bins
print(f"letters from {bins.low:.2f} to {bins.high:.2f} mV,", end=" ")
print(f"{len(tokenizers['bpe'].merges)} merges")
leadwise_sizes = stage.section("leadwise")
phases = sizes["train_jointly"], sizes["train_frozen_encoder"]
views = {"VQ, RVQ and QINCo": sum(phase["steps"] * phase["batch"] for phase in phases)}
views["FSQ"] = leadwise_sizes["steps"] * leadwise_sizes["batch"]
views["byte pairs"] = stage.section("bpe")["ecgs"]
print("ECGs read in training:", views)
print(f"FSQ has one code per {1000 * tokenizers['fsq'].hop / RATE:.0f} ms,", end=" ")
print(f"VQ, RVQ and QINCo one vector per {1000 * autoencoder.hop / RATE:.0f} ms")

# %% [markdown]
# ## Load a tokenizer and encode an ECG
#
# Every tokenizer is a folder, after a run `artifacts/<run>/02/<method>`. All are used in the same
# three lines; `load` comes from `ecglib.tokenizers.load`.

# %%
tokenizer = load(folders["qinco"])
codes = tokenizer.encode(x)  # (ECGs, 12, 2500) in mV -> (ECGs, positions, codebooks)
y = tokenizer.decode(codes)  # back to mV
print(tuple(x.shape), "->", tuple(codes.shape), codes.dtype, "->", tuple(y.shape))

# %% [markdown]
# Every ECG is encoded once, and later notebooks read the codes. A language model reads them as one
# sequence of integers, the *ids*, in which each codebook has its own range. The codes can be
# recovered from the ids without loss.

# %%
codes_folders = {name: stage.make(f"{name}_codes") for name in folders}
rows = cohort.rows("test")
test_codes = {name: encode.read_codes(folder, rows) for name, folder in codes_folders.items()}
first = test_codes["qinco"][:1]
ids = tokenizers["qinco"].to_ids(first)
assert torch.equal(tokenizers["qinco"].from_ids(ids), first)
print("codes (test ECGs, positions, codebooks):", tuple(test_codes["qinco"].shape))
print("codes of the first position:", first[0, 0].tolist())
print("the same as integers:", ids[0, : first.shape[2]].tolist())

# %% [markdown]
# The next cells measure each reconstruction on the test patients, whom no tokenizer has seen. The
# mean absolute error (MAE) is in millivolts. The percentage root-mean-square difference (PRD) is
# the root mean square of the error, as a share of the signal's own variation about the mean of each
# lead. A flat line at 0 mV is measured too. It is a *floor*: the result of a trivial method that a
# model must beat.

# %%
records = cohort.records.iloc[rows]
n_valid = records["n_valid"].to_numpy()
recorded = round_trip.originals(cohort, rows)


def errors(name: str) -> pd.DataFrame:
    """MAE and PRD of one tokenizer, one row per ECG; a few ECGs are in memory at a time."""
    decode, chosen = tokenizers[name].decode, test_codes[name]
    return reconstruction.streamed(recorded, lambda part: decode(chosen[part]).numpy(), n_valid)


measured = {name: errors(name) for name in tokenizers}
line = reconstruction.streamed(recorded, lambda part: np.zeros_like(recorded(part)), n_valid)

# %% tags=["plumbing"]
scored = []
for name, tokenizer in tokenizers.items():
    tokens = tokenizer.rate().tokens_per_ecg
    for item in ("mae_mv", "prd_percent"):
        values = measured[name][item].to_numpy()
        scored.append(predictions.build(records, name, seed, item, score=values, tokens=tokens))
stage.predictions("reconstruction", pd.concat(scored))
facts = {"n_valid": n_valid, "flat_line_mae_mv": line["mae_mv"].to_numpy()}
facts["byte_pair_tokens"] = (test_codes["bpe"][..., 0] >= 0).sum(1).numpy()
test_ecgs = stage.data("test_ecgs", records[["unit", "ecg"]].reset_index(drop=True).assign(**facts))

# %% tags=["redraw"]
test_ecgs = stage.read("test_ecgs")  # in the order of the records
n_patients = test_ecgs["unit"].nunique()
sample = f"{len(test_ecgs)} test ECGs of {n_patients} patients"
flat = test_ecgs["flat_line_mae_mv"].mean()
print(f"{sample}; a flat line has a mean absolute error of {1000 * flat:.0f} microvolts")

# %% [markdown]
# ## One ECG before and after
#
# The figure shows the test ECG with the median error of QINCo, so it is neither the best nor the
# worst one.

# %% tags=["redraw"]
CLOSE, WINDOW = ("II", "V2", "V5"), (1.0, 2.8)  # leads and seconds of the close-up

# %% tags=["plumbing"]
error = measured["qinco"]["mae_mv"].to_numpy()
pick = [np.argsort(error)[len(error) // 2]]
original = cohort.signals(rows[pick])[0]
decoded = {name: t.decode(test_codes[name][pick]).numpy()[0] for name, t in tokenizers.items()}
signals = {"original": original, **decoded}
time = {"seconds": np.arange(SAMPLES) / RATE}
page = {f"{who}_{i}": signals[who][LEADS.index(i)] for who in ("original", "qinco") for i in LEADS}
traces = stage.data("overlay_traces", pd.DataFrame(time | page).round(4)[: n_valid[pick[0]]])
close = {f"{who}_{i}": signal[LEADS.index(i)] for who, signal in signals.items() for i in CLOSE}
close = pd.DataFrame(time | close).round(4)
traces = stage.data("closeup_traces", close[close["seconds"].between(*WINDOW)])


# %% tags=["redraw", "plumbing"]
def leads_of(traces: pd.DataFrame, who: str) -> np.ndarray:
    """One source of saved traces as (12, 2500) in mV; NaN where nothing was saved."""
    signal, at = np.full((len(LEADS), SAMPLES), np.nan), (traces["seconds"] * RATE).round()
    for place, name in enumerate(LEADS):
        if f"{who}_{name}" in traces:
            signal[place, at.to_numpy(int)] = traces[f"{who}_{name}"]
    return signal


# %% tags=["redraw"]
if stage.has("overlay_traces"):  # of real patients no waveform is published
    traces = stage.read("overlay_traces")
    before, after = leads_of(traces, "original"), leads_of(traces, "qinco")
    figure = ecg_page.overlay(before, after, "qinco", n_valid=len(traces))
    stage.figure(
        "overlay",
        figure,
        traces,
        caption="One test ECG (black) and its reconstruction from QINCo's codes (colour). It is "
        f"the ECG with the median error of QINCo among {sample}. One small square is 0.04 s and "
        "0.1 mV.",
        alt="Twelve-lead ECG page with the reconstruction drawn over the original.",
    )

# %% [markdown]
# **What to see.** Where the coloured line covers the black one, nothing is lost. Look at the height
# of the QRS complexes and at small waves between them. The close-up shows the same ECG for all five
# tokenizers. Does the QRS complex keep its notch and its height? Is a T wave added or lost?

# %% tags=["redraw"]
if stage.has("closeup_traces"):
    traces = stage.read("closeup_traces")
    after = {name: leads_of(traces, name) for name in (*latent, "fsq", "bpe")}
    figure = ecg_leads.closeup(leads_of(traces, "original"), after, leads=CLOSE, window=WINDOW)
    stage.figure(
        "closeup",
        figure,
        traces,
        caption=f"The same ECG, leads {', '.join(CLOSE)}, seconds {WINDOW[0]} to {WINDOW[1]}: the "
        "original in black and the reconstruction of each tokenizer in colour.",
        alt="Grid of short ECG traces, one row per lead and one column per tokenizer, each with "
        "the reconstruction over the original.",
    )

# %% [markdown]
# ## How large is the error?

# %% tags=["redraw"]
scored = stage.read("reconstruction")
results = []
for (item, name), part in scored.groupby(["item", "method"], sort=False):
    results.append({"method": name, "metric": item, **vars(bootstrap.mean(part, seed=seed))})
results = pd.DataFrame(results)
stage.table("reconstruction", results, "Error of the reconstruction on test ECGs.")
wide_tables.wide(results, "method", "metric", digits=4)

# %% [markdown]
# **What to see.** Compare each error with that of the flat line above. Every pair of numbers in
# brackets is a 95 % interval. It comes from a bootstrap: the test patients are drawn 2,000 times
# with replacement. Patients are drawn and not ECGs, because the ECGs of one patient are not
# independent.
#
# All tokenizers decode the same ECGs. Differences are therefore taken patient by patient, which
# makes their intervals much narrower than those of the two errors. RVQ has several codebooks where
# VQ has one. QINCo is RVQ with codewords that move. Both differences are *claims*: statements that
# were registered before the run with a margin. Notebook 09 judges all claims.


# %% tags=["redraw"]
def compare(estimate: bootstrap.Estimate, better: str, worse: str) -> str:
    """What an interval of (error of `worse` minus error of `better`) says."""
    if estimate.low > 0:
        return f"{better} has the smaller error"
    if estimate.high < 0:
        return f"{worse} has the smaller error"
    return f"{better} and {worse} cannot be told apart"


mae = scored[scored["item"] == "mae_mv"]
of = {name: part for name, part in mae.groupby("method")}
difference = {}
for better, worse in (("qinco", "rvq"), ("rvq", "vq")):
    difference[better] = bootstrap.paired_difference(of[worse], of[better], seed=seed)
    stage.claim(f"recon.mae.{worse}_minus_{better}", **vars(difference[better]))
    text = difference[better].text(3, 1000)
    print(f"{NAME[worse]} minus {NAME[better]}: {text} microvolts;", end=" ")
    print(compare(difference[better], NAME[better], NAME[worse]))

# %% [markdown]
# A mean error says little to a reader of ECGs. What the codes leave of R waves, intervals, small
# waves and noise is measured in the study [faithfulness](studies/faithfulness.py), on the
# tokenizers of this run: `bash run_all.sh study faithfulness`. How many of the codewords are used,
# and whether that matters, is the question of the study [utilisation](studies/utilisation.py).
#
# ## What does an ECG cost in bits?
#
# Tokenizers cannot be compared by their error alone, because they spend different numbers of bits.
# A code out of $K$ costs $\log_2 K$ bits. The number of byte pairs depends on the ECG, so 15 more
# bits store their number. The recording itself has 12 leads of 2,500 samples of 16 bits.

# %%
rates = pd.DataFrame([{"method": n, **vars(t.rate())} for n, t in tokenizers.items()])
rates = stage.data("rates", rates)

# %% tags=["redraw"]
rates = stage.read("rates")
rates["bits_per_second"] = rates["bits_per_ecg"] * RATE / SAMPLES
rates["times_smaller"] = 12 * SAMPLES * 16 / rates["bits_per_ecg"]
stage.table("rate", rates, "What one ECG costs.").round(1)

# %% [markdown]
# This run has one point per method. The study [rates](studies/rates.py) trains each method at
# several rates, with three other seeds and three quarters of the steps. The lines of the figure are
# its committed results, computed apart from this run: `bash run_all.sh study rates`. Until it has
# been run, there are points alone.

# %% tags=["redraw"]
RATES = "reports/synthetic-laptop-study-rates/tables/study_rates.csv"
several = None
if stage.has_file(RATES):
    several = pd.read_csv(stage.file(RATES))
    several = several[(several["quantity"] == "mae_mv") & (several["setting"] != "own encoder")]
lines = "no lines: the study of rates has not been run" if several is None else "lines: that study"
print(f"points: this run; {lines}")

# %% tags=["redraw"]
value = results[results["metric"] == "mae_mv"].merge(rates, on="method")
labels = {"xlabel": "Bits per second", "ylabel": "Mean absolute error (mV)"}
stage.figure(
    "rate_distortion",
    cost.cost_quality(value, "bits_per_second", **labels, curves=several),
    value,
    caption=f"Error of the reconstruction against bits per second, on {sample}. Large points: this "
    "run, each tokenizer trained once, with 95 % intervals over patients. Lines with small points: "
    "each method at several rates, means of three training seeds, from the study of rates.",
    alt="Five large points, one per tokenizer, on falling thin curves: bits per second on a "
    "logarithmic axis, mean absolute error in millivolts on the other.",
)

# %% [markdown]
# **What to see.** A point further left is cheaper, and a point further down is more faithful. Two
# methods can be compared by their height alone only if they spend the same number of bits. A point
# far from the line of its colour shows what more steps, or another seed, change.

# %% tags=["redraw"]
bits = rates.set_index("method")["bits_per_ecg"]
for name in ("vq", "fsq", "bpe"):
    print(f"{NAME[name]}: {bits[name] / bits['rvq']:.2g} times the bits of RVQ and QINCo")

# %% [markdown]
# ### One rate at which all are compared
#
# RVQ and QINCo spend equal bits in this run, and the others do not. The lines give an error at a
# rate that no setting has: between two neighbours of a line it is read off a straight line on
# logarithmic axes. The next cell does so at the lowest rate of FSQ, and says which methods do not
# come that low.

# %%
at = "without the study of rates no common rate can be read off"
if several is not None:
    common = several.loc[several["method"] == "fsq", "bits_per_second"].min()
    at = f"at {common:.0f} bits per second:"
    for name, curve in several.sort_values("bits_per_second").groupby("method"):
        x, y = np.log(curve["bits_per_second"].to_numpy()), np.log(curve["value"].to_numpy())
        reached = x[0] <= np.log(common) + 1e-9 and np.log(common) <= x[-1] + 1e-9
        level = f"{1000 * np.exp(np.interp(np.log(common), x, y)):.1f} microvolts"
        rest = f"none; its rates are {np.exp(x[0]):.0f} to {np.exp(x[-1]):.0f}"
        at += f"\n  {NAME[name]}: {level if reached else rest}"
print(at)

# %% [markdown]
# ## How much of the error is quantisation?
#
# An autoencoder loses something even without a quantiser. The error that the quantiser adds is
# measured in the latents. It is the squared error of $\hat z$ as a share of the variance of $z$.

# %% tags=["plumbing"]
parts = []
for name in latent:
    lost = round_trip.latent_error(tokenizers[name], cohort, rows)
    for item, values in lost.items():
        item = f"latent_{item}"
        parts.append(predictions.build(records, name, seed, item, score=values.to_numpy()))
print("saved:", stage.predictions("latents", pd.concat(parts)).name)


# %% tags=["redraw"]
def share(totals: np.ndarray) -> np.ndarray:
    """Error over spread, (r, 2) -> (r,)."""
    return totals[:, 0] / totals[:, 1]


sums = {}
for name, part in stage.read("latents").groupby("method"):
    by_patient = part.pivot_table(index="unit", columns="item", values="score", aggfunc="sum")
    sums[name] = by_patient[["latent_error", "latent_spread"]].to_numpy()
    estimate = bootstrap.of_totals(share, sums[name], seed=seed)
    print(f"{NAME[name]}: {estimate.text(2, 100)} % of the variance of the latents")
gain = bootstrap.of_totals(share, sums["rvq"], sums["qinco"], combine=np.subtract, seed=seed)
stage.claim("codes.error.rvq_minus_qinco", **vars(gain))
print(f"RVQ minus QINCo: {gain.text(3, 100)} % of the variance")

# %% [markdown]
# The smaller this error is, the less QINCo has to gain. It is larger with fewer codebooks. RVQ and
# QINCo can be cut short, because the first $l$ codes of a position are codes too. The comparison
# *at the low rate* uses the largest number of codebooks with which quantisation causes at least
# half of RVQ's error. That number is chosen on *validation* patients. One caution applies: each
# decoder was trained on the sums of all codebooks. Here it reads shorter sums, and for the error
# without a quantiser the latents themselves. It was trained on neither.


# %%
def cut_short(name: str, rows: np.ndarray, first: int) -> np.ndarray:
    """MAE of records from the first codebooks' codes; with 0 codebooks, without a quantiser."""
    decoded = round_trip.reconstructions(tokenizers[name], cohort, rows, first)
    lengths = cohort.records["n_valid"].to_numpy()[rows]
    originals = round_trip.originals(cohort, rows)
    return reconstruction.streamed(originals, decoded, lengths)["mae_mv"].to_numpy()


held = cohort.rows("validation")
ecg = cohort.records["ecg"].to_numpy()[held]
validation = {count: cut_short("rvq", held, count) for count in range(codebooks + 1)}
validation = {count: {"ecg": ecg, "mae_mv": values} for count, values in validation.items()}
validation = [pd.DataFrame({"codebooks": count, **v}) for count, v in validation.items()]
validation = stage.data("validation", pd.concat(validation))

# %% tags=["redraw"]
validation = stage.read("validation").groupby("codebooks")["mae_mv"]
lost = {count: values.to_numpy().mean() for count, values in validation}
caused = {count: 1 - lost[0] / lost[count] for count in range(1, codebooks + 1)}
print("share of RVQ's error that quantisation causes, by number of codebooks:")
print({count: round(float(value), 2) for count, value in caused.items()})
enough = [count for count, value in caused.items() if value >= 0.5]
low = max(enough, default=1)
few = f"{low} of {codebooks} codebooks"
print(f"chosen: {few}" if enough else "nowhere half: 1 codebook is shown, without a claim")

# %%
low_rate = [
    predictions.build(records, name, seed, "mae_mv_low_rate", score=cut_short(name, rows, low))
    for name in ("rvq", "qinco")
]
print("saved:", stage.predictions("low_rate", pd.concat(low_rate)).name)

# %% tags=["redraw"]
low_rate = {name: part for name, part in stage.read("low_rate").groupby("method")}
at_low = bootstrap.paired_difference(low_rate["rvq"], low_rate["qinco"], seed=seed)
print(f"RVQ minus QINCo at {few}: {at_low.text(2, 1000)} microvolts;", end=" ")
print(compare(at_low, "QINCo", "RVQ"))
if not enough:  # the claim is about a rate that does not exist here
    at_low = bootstrap.Estimate(np.nan, np.nan, np.nan, at_low.n)
stage.claim("recon.mae.rvq_minus_qinco.low_rate", **vars(at_low))

# %% [markdown]
# ## Is the comparison fair?
#
# Equal steps favour the quantiser whose step takes longest, which is QINCo. There is also only one
# training seed here. The study [tokenizers](studies/tokenizers.py) makes seconds, floating-point
# operations, parameters and bits equal instead, with three other seeds. Its intervals cover seeds
# and patients. Run it with `bash run_all.sh study tokenizers`. Its committed results were computed
# apart from this run:

# %%
timing = stage.file("reports/synthetic-laptop-study-tokenizers/timing_made.csv")
timing = pd.read_csv(timing).iloc[0]
print(f"computed on {timing['day']} from commit {timing['commit']}, on simulated ECGs")
judged = stage.file("reports/synthetic-laptop-study-tokenizers/claims.csv")
pd.read_csv(judged)[["statement", "value", "low", "high", "verdict"]].round(5)

# %%
decoders = "reports/synthetic-laptop-study-tokenizers/tables/study_decoders.csv"
pd.read_csv(stage.file(decoders))

# %% [markdown]
# **What to see.** Compare the verdicts of equal steps, seconds, operations, parameters and bits.
# Where they differ, the verdict depends on the protocol and not on the method alone. In the second
# table, compare the column "paper" with "common" to see how much of an error comes from the encoder
# and decoder.
#
# ## Byte pairs on an ECG
#
# The next figures are those of ECG-Byte's paper: how often each token is used on test ECGs, how
# many tokens an ECG needs, and where the tokens are on a lead.

# %% tags=["plumbing"]
pairs_of = test_codes["bpe"][..., 0].numpy()  # (ECGs, tokens of the longest), padded with -1
times = np.bincount(pairs_of[pairs_of >= 0], minlength=len(tokenizers["bpe"].symbols))
stage.data("byte_pair_use", pd.DataFrame({"token": np.arange(len(times)), "uses": times}))
drawn = slice(0, 200)
pairs_of_signals = zip(recorded(drawn), n_valid[drawn], strict=True)
clipped = [bins.outside_share(signal[:, :n]) for signal, n in pairs_of_signals]
print(f"of {len(clipped)} ECGs {100 * np.mean(clipped):.2f} % of the samples are outside the bins")
print("and are clipped")

# %% tags=["redraw"]
uses = np.sort(stage.read("byte_pair_use")["uses"].to_numpy())[::-1]
usage = pd.DataFrame({"rank": np.arange(1, len(uses) + 1), "uses": uses})
needed = pd.DataFrame({"tokens": test_ecgs["byte_pair_tokens"]})
stage.figure(
    "token_usage",
    token_use.byte_pairs(usage, needed),
    pd.concat([usage, needed], axis=1),
    caption=f"Byte pairs on {sample}. Left: uses of each token against its rank. Right: tokens "
    "per ECG; the dashed line is the median.",
    alt="Left, a falling curve of token uses against rank on logarithmic axes. Right, a histogram "
    "of the number of tokens per ECG.",
)
top = max(1, len(uses) // 100)
print(f"{needed['tokens'].mean():.0f} tokens per ECG on average")
print(f"{(uses == 0).sum()} of {len(uses)} tokens are never used;", end=" ")
print(f"the {top} most used make up {100 * uses[:top].sum() / uses.sum():.0f} % of all")

# %% [markdown]
# The borders of the tokens come from the encoder that made the codes. The tokens of an ECG
# therefore fill its twelve leads exactly.

# %% tags=["plumbing"]
widths = tokenizers["bpe"].widths(test_codes["bpe"])
assert all(w.sum() == 12 * n for w, n in zip(widths, n_valid, strict=True))
lead, n = LEADS.index("II"), n_valid[0]
token_of_sample = np.repeat(np.arange(len(widths[0])), widths[0])[lead * n : (lead + 1) * n]
traced = {"mv": recorded(slice(0, 1))[0, lead, :n], "segment": token_of_sample}
traced["token"] = pairs_of[0][token_of_sample]
traced = stage.data("token_overlay_traces", pd.DataFrame(traced))

# %% tags=["redraw"]
if stage.has("token_overlay_traces"):
    traced = stage.read("token_overlay_traces")  # one row per sample of lead II
    samples = traced.assign(sample=traced.index).groupby("segment")
    segments = pd.DataFrame({"token": samples["token"].first()})
    segments["begin"] = samples["sample"].min() / RATE
    segments["end"] = (samples["sample"].max() + 1) / RATE
    segments = segments[segments["end"] <= 2.5]
    stage.figure(
        "token_overlay",
        token_use.overlay(segments, traced["mv"].to_numpy(), RATE),
        segments,
        caption=f"Lead II of a test ECG as byte pairs: {len(segments)} tokens in "
        f"{segments['end'].max():.1f} s. Equal tokens have equal colours.",
        alt="An ECG trace over coloured spans of different widths, one per token.",
    )

# %% [markdown]
# **What to see.** Compare the width of the spans on flat stretches and on the QRS complexes. A wide
# span is a symbol that many merges have made.
#
# Learning merges can be slow. The plain trainer above and the released one count all pairs anew
# for every merge. Ours corrects only the counts that a merge changes. The benchmark
# `bpe_train_vs_released` measured this apart from this run.

# %% tags=["redraw"]
bench = json.loads(stage.file("reports/benchmarks/bpe_train_vs_released.json").read_text())
seconds = [
    {"trainer": name, "ecgs": int(ecgs), "seconds": value}
    for name, times in bench["seconds_by_ecgs"].items()
    for ecgs, value in times.items()
]
seconds = pd.DataFrame(seconds)
stage.figure(
    "training_cost",
    cost.training_cost(seconds),
    seconds.round(3),
    caption=f"Seconds to learn {bench['merges']} merges against the number of ECGs of 30,000 "
    "letters, on one core. The dotted line is proportional to the number of ECGs.",
    alt="Training time against corpus size on logarithmic axes, for two trainers that recount all "
    "pairs and one that updates the counts.",
)
print(f"on {bench['compared']} ECGs ours is {bench['ratio']:.0f} times as fast as a full recount,")
print(f"with identical merges: {bench['identical_merges']}")

# %% [markdown]
# ## What it means

# %% tags=["redraw"]
value = results.set_index(["metric", "method"])["value"]
for name in (*latent, "fsq", "bpe"):
    error, prd = 1000 * value["mae_mv", name], value["prd_percent", name]
    print(f"- {NAME[name]}: {bits[name]:.0f} bits per ECG,", end=" ")
    print(f"error {error:.0f} microvolts, PRD {prd:.0f} %")
print(f"- A flat line has an error of {1000 * flat:.0f} microvolts.")
print(f"- RVQ against VQ: {compare(difference['rvq'], 'RVQ', 'VQ')}, by", end=" ")
print(f"{difference['rvq'].text(1, 1000)} microvolts. VQ spends {bits['vq'] / bits['rvq']:.2g} of")
print("  RVQ's bits and an encoder of its own, so this is no comparison of quantisers.")
verdict = compare(difference["qinco"], "QINCo", "RVQ")
print(f"- QINCo against RVQ, at equal bits and after equal steps: {verdict}")
print(f"  (RVQ minus QINCo {difference['qinco'].text(2, 1000)} microvolts).")
if enough:
    print(f"- The same at {few}: {compare(at_low, 'QINCo', 'RVQ')}", end=" ")
    print(f"({at_low.text(2, 1000)} microvolts).")
print(f"- RVQ's quantisation error minus QINCo's: {gain.text(3, 100)} % of the latents' variance.")

# %% [markdown]
# Three limits hold for all of these numbers. Each tokenizer was trained once, so the intervals
# cover the choice of test patients and not the training seed. A small error in millivolts does not
# show that a *finding* survives; notebook 03 measures that. And the default run reads simulated
# ECGs.
#
# ## Try it yourself
#
# - **Stop QINCo's networks.** In the cell that makes `exact`, change `std=0.1` to `std=0.0` and
#   run it and the cell with the candidates. Every number of candidates now gives the same codes,
#   because the nearest base codeword is the nearest adapted one. The error is smaller, too: it is
#   that of the RVQ, without the random networks. With `std=0.5` the pre-selection misses more.
# - **Learn more byte pairs.** Change `merges=30` to `merges=100` in both calls of the cell that
#   makes `corpus`. The symbols get longer, and the two trainers still agree.
# - **Look at other leads.** Change `CLOSE` and `WINDOW`, then run that cell, the next one and the
#   cell of the close-up.
#
# Previous: [01_preprocess](01_preprocess.py). Next: [03_classification](03_classification.py).

# %%
stage.finish()
