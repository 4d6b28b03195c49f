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
# # What does an ECG lose when it becomes a sequence of codes?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01 |
# | writes | a floor, an encoder, five tokenizers (VQ, RVQ, QINCo, FSQ, byte pairs); all codes |
# | paper items | ECG-Tok, sections 2.2 and 3; ECG-Byte: tokens; HeartLLM: the tokenizer |
# | time | 60 s in `smoke`, 10 nominal minutes in `laptop` on two cores |
# | memory | 2 to 4 GB in `laptop`, by processor |
#
# All tokenizers here but byte pairs have three parts. The encoder turns a short stretch of the
# twelve leads (128 ms, for FSQ 64 ms) into one vector, a *latent*. The quantiser turns the vector
# into a few integers, the *codes*. The decoder turns the codes back into millivolts. A language
# model gets the codes as integers, or vectors that are rebuilt from them (ECG-Tok), and sees
# nothing else of the ECG. This notebook measures what the codes keep, and whether what was learned
# beats a linear transform.
#
# After this notebook you can
#
# - say what principal components do with an ECG, and what a network has to add to be worth it;
# - write down forward pass and loss of VQ, RVQ, QINCo and FSQ, and learn byte pairs by hand;
# - compare tokenizers by their error *and* their bits, with an interval over patients.
#
# Previous: [01_preprocess](01_preprocess.py). Next: [03_classification](03_classification.py).

# %% tags=["plumbing"]
from collections import Counter
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, predictions, reconstruction, wide_tables
from ecglib.fidelity import round_trip, traces
from ecglib.figures import cost, curves, ecg_leads
from ecglib.run.stage import Stage
from ecglib.signals.leads import RATE, SAMPLES
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
from ecglib.tokenizers.train_quantiser import relative_error
from ecglib.tokenizers.vq import VQ
from ecglib.tokenizers.window_pca import components

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws initial weights, batches and codewords

# %% tags=["plumbing"]
stage = Stage("02", profile, data, seed, tag)
print(stage.banner())
sizes = stage.section("tokenizer")
quantisers = sizes["quantisers"]
latent = ["vq", "rvq", "qinco"]  # the methods with learned codebooks
NAME = {"pca_rvq": "PCA", "vq": "VQ", "rvq": "RVQ", "qinco": "QINCo", "fsq": "FSQ"}
NAME["bpe"] = "byte pairs"
codebooks = quantisers["rvq"]["codebooks"]
print(f"VQ: 1 codebook of {quantisers['vq']['codewords']} codewords; PCA, RVQ and QINCo:", end=" ")
print(f"{codebooks} of {quantisers['rvq']['codewords']}; QINCo's networks:", quantisers["qinco"])

# %%
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
two = cohort.rows("tokenizer_train")[:2]
x = torch.from_numpy(cohort.signals(two))
ends = torch.tensor(cohort.records["n_valid"].to_numpy()[two])
print("x (ECGs, leads, samples) in mV:", tuple(x.shape), "| samples with signal:", ends.tolist())

# %% [markdown]
# Each method is first shown on these two ECGs or on a smaller toy, before it is trained.
#
# ## The floor: principal components of a window
#
# A *window* is a stretch of all twelve leads, for example 32 samples (128 ms): 384 numbers $w$. The
# leads of a heart move together, and a stretch of a heartbeat is smooth. So few directions hold
# nearly all of the variation. These are the principal components $P$, the first singular vectors
# of all windows. $z = P^T w$ is a linear code, and $P z$ decodes it. The toy fits $P$ to the 158
# windows of two ECGs, so 128 directions must keep nearly all of them.

# %%
hop, dim = (sizes["fit_pca_rvq"][key] for key in ("hop", "dim"))
missing = -SAMPLES % hop
padded = nn.functional.pad(x, (0, missing))  # whole windows
w = padded.unflatten(2, (-1, hop)).transpose(1, 2).flatten(2)  # (ECGs, windows, 12 hop)
P = torch.linalg.svd(w.flatten(0, 1), full_matrices=False).Vh[:dim].T
z = w @ P
print("windows w (ECGs, positions, numbers):", tuple(w.shape), "-> z:", tuple(z.shape))
kept = 1 - ((w - z @ P.T).square().sum() / w.square().sum()).item()
print(f"{dim} of {w.shape[2]} numbers keep {100 * kept:.2f} % of the energy of these two ECGs")
ours = components(cohort, two, hop, dim)  # the library adds up any number of ECGs
assert torch.allclose(w @ ours @ ours.T, z @ P.T, atol=1e-2)
assert torch.allclose(ours.T @ ours, torch.eye(dim), atol=1e-4)

# %% [markdown]
# A *floor* is a simple method that a tokenizer must beat. Here it is PCA whose vectors are coded by
# k-means, codebook by codebook, as RVQ does (below). Nothing in it is trained by gradient. It takes
# a minute, and a tokenizer that takes longer has to do better.
#
# ## The autoencoder starts at the PCA
#
# The encoder of VQ, RVQ and QINCo adds a network $f$ to the PCA, the decoder a network $g$:
#
# $$ z = P^T w + s\, f(w / u), \qquad \hat w = P \hat z + u\, g(\hat z / s) $$
#
# $\hat z$ is what the quantiser makes of $z$. $s$ and $u$ are the root mean squares of each
# component and of $w$. Both networks are three convolutions over neighbouring windows. The last one
# starts at zero, so the training starts at the PCA. **Ours, not the paper's:** ECG-Tok's encoder is
# a stack of strided convolutions that starts at random weights. An encoder in that manner is an
# option (`strided`), which the profile `gpu` trains; the study [rates](studies/rates.py) shows it
# at this size.

# %%
torch.manual_seed(0)
autoencoder = Autoencoder(hop, dim, sizes["autoencoders"]["pca"]["width"])
autoencoder.start(ours, (w @ ours).square().mean((0, 1)).sqrt())
autoencoder.encoder[-1].weight.data.normal_(std=0.1)  # by hand; training moves it away from zero
autoencoder.decoder[-1].weight.data.normal_(std=0.1)
s, u = autoencoder.spread, autoencoder.unit
h = autoencoder.encoder((w / u).transpose(1, 2))  # (ECGs, dim, positions)
z = w @ ours + s * h.transpose(1, 2)
assert torch.allclose(z, autoencoder.encode(x), atol=1e-4)
y = z @ ours.T + u * autoencoder.decoder((z / s).transpose(1, 2)).transpose(1, 2)
y = y.unflatten(2, (12, hop)).transpose(1, 2).flatten(2)[..., :SAMPLES]
assert torch.allclose(y, autoencoder.decode(z), atol=1e-4)
print("latents z (ECGs, positions, dim):", tuple(z.shape), "-> ECG:", tuple(y.shape))

# %% [markdown]
# ## VQ and RVQ: choose the nearest codeword, then quantise the residual
#
# A *codebook* is a table of $K$ learned vectors, its *codewords*. The code of a vector is the
# number of its nearest codeword. This is vector quantisation (VQ). Residual vector quantisation
# (RVQ) has $S$ codebooks. Each codes the residual that the codebooks before it have left,
#
# $$ r^{(1)} = z, \quad k^{(l)} = \arg\min_k \lVert r^{(l)} - c^{(l)}_k \rVert^2, \quad
# r^{(l+1)} = r^{(l)} - c^{(l)}_{k^{(l)}}, \quad \hat z = \sum_l c^{(l)}_{k^{(l)}} $$
#
# so $S K$ stored vectors name $K^S$ points. ECG-Tok's paper has 512 codewords and gives no number
# of codebooks; the released code has eight. **Ours, not the paper's:** `laptop` has sixteen. RVQ
# and QINCo are also compared after the first eight. The example has three points in the plane and
# two codebooks of two codewords. The library's class chooses the same codes. Its first codebook
# alone is VQ.

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
    print("point", point.tolist(), "-> codes", chosen, "residual", residual.numpy().round(2))

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
# RVQ subtracts the same codeword wherever it is used, although the residuals depend on the
# codewords chosen before. In QINCo a small network moves the codewords of each codebook but the
# first. It reads the base codeword $c_k$ and the sum of the codewords chosen before, $\hat
# z^{(l-1)}$:
#
# $$ e = P c_k, \quad e \leftarrow e + W [e, \hat z^{(l-1)}] + b, \quad
# e \leftarrow e + V \, \mathrm{relu}(U e), \quad c^{(l)}_k = c_k + Q e $$
#
# $P$ (here a layer, not the PCA), $W$, $b$, $U$, $V$ and $Q$ belong to the network, and the step
# with $U$ and $V$ is repeated. For each vector, all $K$ codewords are adapted in this way, and the
# nearest is chosen.


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


# %%
torch.manual_seed(0)
vectors = torch.randn(200, 8)
exact = QINCo(8, 3, 16, width=8, hidden=8, blocks=1, candidates=16)
initialise_kmeans(exact, vectors, torch.Generator().manual_seed(0))
for network in exact.adapt:
    network.back.weight.data.normal_(std=0.1)  # by hand; training moves Q away from zero
codes, zhat = qinco_by_hand(exact, vectors)
assert torch.equal(codes, exact.encode(vectors))
assert torch.allclose(zhat, exact.decode(codes), atol=1e-5)

# %% [markdown]
# **Ours, not the paper's:** $Q$ is zero before training. An untrained QINCo is therefore equal to
# the RVQ whose codewords it copies, and both methods start from the same state. This is the network
# of QINCo2 (2025). ECG-Tok cites the QINCo of 2024, whose codewords are $e$ itself, without $P$ and
# $Q$. For each vector all $K$ codewords go through the network, although only one of them is
# chosen. QINCo2 first selects $A$ candidates, and adapts only those, by small codebooks that it
# learns for this purpose. We select the $A$ codewords whose base is nearest to the residual
# (`candidates` in the card below).

# %%
fresh = QINCo(**exact.config())
fresh.codebooks.data = exact.codebooks.data.clone()
plain = ResidualVQ(8, 3, 16)
plain.codebooks.data = exact.codebooks.data.clone()
assert torch.equal(fresh.encode(vectors), plain.encode(vectors))

# %% [markdown]
# ## Which loss reaches the codebooks?
#
# The choice of a codeword has no gradient. The straight-through trick lets the decoder read
# $z + \mathrm{sg}(\hat z - z)$, where sg stops the gradient: the encoder learns as if nothing had
# been quantised. ECG-Tok's text adds a commitment term with the gradient stopped at the codeword.
# Taken literally, no gradient reaches a codebook. **Ours, not the paper's:** the codebook term,
#
# $$ L = \mathrm{mean}\,\lvert x - \hat x \rvert
# + \frac{1}{S} \sum_l \lVert \mathrm{sg}(z) - \hat z^{(l)} \rVert^2
# + \frac{\alpha}{S} \sum_l \lVert z - \mathrm{sg}(\hat z^{(l)}) \rVert^2, $$
#
# where $\hat z^{(l)}$ is the sum of the first $l$ codewords and $\lVert \cdot \rVert^2$ the mean
# square over vectors and their numbers. The last term is the commitment, with $\alpha = 0.25$. In
# the runs the squared error is added to the absolute one, times `squared_weight` of the profile,
# because the absolute error gives up the height of short R waves.
#
# In comments on shapes, B is the number of ECGs in a batch, T of positions, D of numbers in a
# vector, C of channels and S of codebooks.

# %%
quantiser = ResidualVQ(dim, 3, 8)
quantiser.codebooks.data.normal_(std=0.3, generator=torch.Generator().manual_seed(1))
toy = LatentTokenizer(autoencoder, quantiser)
z = toy.latents(x)  # (B, T, D)
codes = quantiser.encode(z.flatten(0, 1))  # (B T, S), without gradient
sums = quantiser.partial_sums(codes).unflatten(1, z.shape[:2])  # (S, B, T, D)
valid = toy.valid(ends)  # (B, T): padding does not count
codebook_term = (z.detach() - sums)[:, valid].square().mean()
commitment_term = (z - sums.detach())[:, valid].square().mean()
y = toy.signals(z + (sums[-1] - z).detach())  # straight through
literal = mean_valid((x - y).abs(), ends) + 0.25 * commitment_term

# %%
literal.backward(retain_graph=True)
assert quantiser.codebooks.grad is None  # the paper's text, taken literally
loss = train.latent_loss(toy, x, ends, commitment=0.25)
assert torch.allclose(loss, literal + codebook_term, rtol=1e-4)
loss.backward()
print("gradient of each codebook:", [round(b.norm().item(), 4) for b in quantiser.codebooks.grad])

# %% [markdown]
# ## One encoder for three quantisers
#
# If each quantiser had an encoder of its own, a comparison would mix the two. So one encoder is
# trained together with an RVQ, by the loss above, and then frozen. Its latents of all training ECGs
# are *cached*, and the quantisers learn on vectors. RVQ and QINCo start from the same codebooks,
# those of k-means, and have equal updates. The loss of a vector is its squared error over its own
# energy plus a constant $\epsilon$, the median energy of all vectors (`floor` in the code). Here
# $\lVert \cdot \rVert^2$ is again the sum over the D numbers of one vector:
#
# $$ \frac{1}{S} \sum_l \frac{\lVert z - \hat z^{(l)} \rVert^2}{\lVert z \rVert^2 + \epsilon} $$
#
# so that a few giant beats do not decide. Then each decoder learns on its fixed codes, for equal
# steps. **Ours, not the paper's:** all of this; ECG-Tok trains each method end to end. The study
# [utilisation](studies/utilisation.py) does so, too.

# %%
z = autoencoder.encode(x).detach().flatten(0, 1)  # (N, D)
floor = z.square().sum(1).median()
sums = quantiser.partial_sums(quantiser.encode(z))  # (S, N, D)
by_hand = (z - sums).square().sum(2) / (z.square().sum(1) + floor)
assert torch.allclose(by_hand, relative_error(quantiser, z, floor.item()))
print("errors (codebooks, vectors):", tuple(by_hand.shape))

# %% [markdown]
# `stage.make` makes a training by its name in the profile, and first all that it reads. It prints a
# card: the step function, its settings, and its inputs. `rvq_one` is a *placebo*: RVQ with one
# codebook is VQ. The two differ in their random draws alone, so their errors must agree within the
# margin that was registered. They need not be equal.

# %%
folders = {name: stage.make(name) for name in ("pca_rvq", *latent, "rvq_one")}

# %% tags=["plumbing"]
looks = {n: pd.read_csv(stage.make(f"{n}_quantiser") / "validation.csv") for n in ("rvq", "qinco")}
looks = stage.data("validation", pd.concat(t.assign(method=n) for n, t in looks.items()))

# %% [markdown]
# ## FSQ: round four numbers to six levels
#
# HeartLLM has no learned codebook. Its encoder reads each lead alone. One set of weights serves the
# twelve leads, as in the released code; the paper draws twelve identical encoders. A linear map
# makes four numbers of the channels of all leads, a sigmoid bounds them, and each is rounded to one
# of six levels. This is a form of finite scalar quantisation (FSQ), with a sigmoid in place of a
# shifted tanh. HeartLLM calls it a *fixed-scale quantiser*. The four levels are the digits of one
# code out of $6^4 = 1296$. The gradient passes straight through, and the loss is the squared error
# alone, as in the released code.

# %%
torch.manual_seed(0)
leadwise = LeadwiseTokenizer(
    **stage.section("leadwise")["model"] | {"sharing": "shared", "pca": False}
)
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
grid = z + (levels / (fsq.levels - 1) - z).detach()  # straight through
y = leadwise.decoder(leadwise.widen(fsq.back(grid)).T[None])[..., :SAMPLES]
assert torch.allclose(y, leadwise(one)[0], atol=1e-5)
mean_valid((one - y).square(), ends[:1]).backward()
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
assert np.array_equal(letters, bins.encode(x.numpy()))  # (ECGs, leads, samples)
alphabet = "abcdefghijklmnopqrstuvwxyz"
print("lead II begins:", "".join(alphabet[k] for k in letters[0, 1, :60]))

# %% [markdown]
# The commonest pair of neighbours then gets a symbol of its own. This *merge* is repeated many
# times. A plain trainer counts all pairs anew for each merge. In the word `aaabdaaabac` both `aa`
# and `ab` are counted twice, and the first in the alphabet wins.


# %%
def count_pairs(tokens: list[int]) -> Counter:
    """How often each pair of neighbours occurs; of "aaa" one pair counts, of "aaaa" two."""
    counts = Counter((a, b) for a, b in pairwise(tokens) if a != b and BARRIER not in (a, b))
    for symbol, run in groupby(tokens):
        counts[symbol, symbol] += len(list(run)) // 2 if symbol != BARRIER else 0
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
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        tokens = merge(tokens, pair, new)
        learned.append(pair)
    return learned


word = ["abcd".index(letter) for letter in "aaabdaaabac"]
assert plain_trainer(word, alphabet=4, merges=3) == [(0, 0), (0, 1), (4, 5)]  # aa, ab, aaab

# %% [markdown]
# The fast trainer of the library learns the same merges. It corrects only the counts that a merge
# changes. **Ours, not the paper's:** a barrier keeps merges within a lead, and `aaa` has one pair.
# The released code merges across leads and records, and counts two pairs there.

# %%
corpus = join([lead[: 2 * RATE] for ecg in letters for lead in ecg])  # (letters and barriers,)
plain = plain_trainer(corpus.tolist(), LETTERS, merges=30)
fast = learn_merges(corpus, LETTERS, merges=30)
assert [list(pair) for pair in plain] == fast.tolist()
learned = ["".join(alphabet[k] for k in symbol) for symbol in expansions(fast, LETTERS)[LETTERS:]]
print(f"the {len(fast)} new symbols:", " ".join(learned))

# %% [markdown]
# Symbols that repeat one letter are flat stretches, the commonest part of an ECG. Now FSQ and byte
# pairs are trained on the same patients as the others. **Ours, not the papers':** FSQ starts at a
# PCA of each lead's windows (not in `gpu`), and in its encoder each strided convolution comes
# before its block. Bins and merges come from a seeded sample of *training* ECGs; the released
# percentiles come from some four ECGs, drawn before the split.

# %%
folders |= {name: stage.make(name) for name in ("fsq", "bpe")}
tokenizers = {name: load(folder) for name, folder in folders.items()}
bins, fsq = tokenizers["bpe"].bins, tokenizers["fsq"]
print(f"letters from {bins.low:.2f} to {bins.high:.2f} mV,", end=" ")
print(f"{len(tokenizers['bpe'].merges)} merges; FSQ has one code per", end=" ")
print(f"{1000 * fsq.hop / RATE:.0f} ms, the others one vector per {1000 * hop / RATE:.0f} ms")

# %% [markdown]
# ## Every ECG becomes codes
#
# All tokenizers are used in the same three lines; `load` comes from `ecglib.tokenizers.load`. Every
# ECG is encoded once, and later notebooks read the codes. A language model reads them as one
# sequence of integers, the *ids*, in which each codebook has its own range. The codes can be
# recovered from the ids without loss.

# %%
tokenizer = load(folders["qinco"])
codes = tokenizer.encode(x)  # (ECGs, 12, 2500) in mV -> (ECGs, positions, codebooks)
y = tokenizer.decode(codes)  # back to mV
print(tuple(x.shape), "->", tuple(codes.shape), codes.dtype, "->", tuple(y.shape))
ids = tokenizer.to_ids(codes)
assert torch.equal(tokenizer.from_ids(ids), codes)
print("codes of a position:", codes[0, 0].tolist(), "as ids:", ids[0, : codes.shape[2]].tolist())
codes_folders = {name: stage.make(f"{name}_codes") for name in folders}
rows = cohort.rows("test")
test_codes = {name: encode.read_codes(folder, rows) for name, folder in codes_folders.items()}

# %% [markdown]
# Each reconstruction is measured on test patients, whom no tokenizer has seen. The mean absolute
# error (MAE) is saved in millivolts. The percentage root-mean-square difference (PRD) is the root
# mean square of the error over the signal's own variation. RVQ and QINCo are also compared in the
# latents, by the squared distance of an ECG's vectors from what the first eight codes give back.

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
lost = {
    name: round_trip.latent_error(tokenizers[name], cohort, rows, min(8, codebooks))["error"]
    for name in ("rvq", "qinco")
}

# %% tags=["plumbing"]
scored = []
for name, tokenizer in tokenizers.items():
    tokens = tokenizer.rate().tokens_per_ecg
    for item in ("mae_mv", "prd_percent"):
        values = measured[name][item].to_numpy()
        scored.append(predictions.build(records, name, seed, item, score=values, tokens=tokens))
for name, values in lost.items():
    score = np.log(values.to_numpy())
    scored.append(predictions.build(records, name, seed, "log_latent_error", score=score))
stage.predictions("reconstruction", pd.concat(scored))
facts = {"n_valid": n_valid, "flat_line_mae_mv": line["mae_mv"].to_numpy()}
stage.data("test_ecgs", records[["unit", "ecg"]].reset_index(drop=True).assign(**facts))
rates = pd.DataFrame([{"method": n, **vars(t.rate())} for n, t in tokenizers.items()])
stage.data("rates", rates)

error = measured["qinco"]["mae_mv"].to_numpy()
pick = [np.argsort(error)[len(error) // 2]]
decoded = {name: t.decode(test_codes[name][pick]).numpy()[0] for name, t in tokenizers.items()}
signals = {"original": recorded(slice(pick[0], pick[0] + 1))[0]} | decoded
saved = stage.data("closeup_traces", traces.traces_of(signals, ("II", "V2", "V5"), (1.0, 2.8)))

# %% [markdown]
# ## From here on: saved predictions
#
# Values with a 95 % interval are means over all training seeds of the run, unless a caption says
# otherwise. Losses, costs, examples and counts of single answers are of its own training seed.
#
# ## Did RVQ and QINCo learn?
#
# The figure has the error on *validation* patients while the quantisers learn on cached latents.

# %%
looks = stage.read("validation")
course = looks[looks["codebook"] == min(8, codebooks)].rename(columns={"error": "loss"})
course = course[["method", "step", "loss"]].reset_index(drop=True)
course["loss"] *= 100
stage.figure(
    "losses",
    curves.loss(course, "Relative squared error (%)"),
    course,
    caption=f"Relative squared error of validation latents after {min(8, codebooks)} codebooks, "
    "against the updates of the quantiser. One training seed.",
    alt="Two falling curves of the error against the update, one for RVQ and one for QINCo.",
)
for name, part in course.groupby("method"):
    begin, end = part["loss"].to_numpy()[[0, -1]]
    print(f"{NAME[name]}: {begin:.2f} % at the start, {end:.2f} % after the last update")

# %% [markdown]
# ## One ECG before and after

# %%
test_ecgs = stage.read("test_ecgs")  # in the order of the records
sample = f"{len(test_ecgs)} test ECGs of {test_ecgs['unit'].nunique()} patients"
flat = test_ecgs["flat_line_mae_mv"].mean()
if stage.has("closeup_traces"):  # of real patients no waveform is published
    close = stage.read("closeup_traces")
    window = close["seconds"].min(), close["seconds"].max()
    before = traces.leads_of(close, "original")
    after = {name: traces.leads_of(close, name) for name in NAME}
    stage.figure(
        "closeup",
        ecg_leads.closeup(before, after, leads=("II", "V2", "V5"), window=window),
        close,
        caption="Leads II, V2 and V5 of a test ECG, the original as a broad grey line and each "
        "reconstruction over it in its colour. Last row: the reconstruction of V5 minus the "
        "original. Below each name: the mean absolute error of what is drawn. It is the ECG with "
        f"the median error of QINCo among {sample}.",
        alt="Grid of short ECG traces, one row per lead and one column per tokenizer, each with "
        "the reconstruction over the original, and a last row of their differences.",
    )
    of = {who: close.filter(regex=f"^{who}_[IV]").to_numpy() for who in ("original", *NAME)}
    for name in NAME:
        off = 1000 * np.abs(of[name] - of["original"]).mean()
        kept = 100 * np.median(np.ptp(of[name], 0) / np.ptp(of["original"], 0))
        print(f"- {NAME[name]}: the drawn part is off by {off:.0f} microvolts;", end=" ")
        print(f"a lead keeps {kept:.0f} % of its height (median).")

# %% [markdown]
# ## How large is the error, and does training beat PCA?
#
# Every pair of numbers in brackets is a 95 % interval. With one training seed it is a bootstrap:
# test patients are drawn 2,000 times with replacement, and not ECGs, because those of one patient
# are not independent. With several seeds the variance between them is added, and the interval is a
# *t* interval.

# %%
from ecglib.figures import tables

scored = stage.read_seeds("reconstruction")
results = []
for (item, name), part in scored.groupby(["item", "method"], sort=False):
    if item != "log_latent_error":
        results.append({"method": name, "metric": item, **vars(bootstrap.mean(part, seed=seed))})
results = pd.DataFrame(results)
results.loc[results["metric"] == "mae_mv", ["value", "low", "high"]] *= 1000  # µV
results = results.replace({"metric": {"mae_mv": "mae_uv"}})
stage.table("reconstruction", results, "Error of the reconstruction on test ECGs.")
tables.InWords(wide_tables.wide(results, "method", "metric", digits=1))

# %% [markdown]
# All tokenizers decode the same ECGs, so differences are taken patient by patient. They are
# *claims*: statements that were registered before the run. Some have a margin that the difference
# must reach, or must stay within. Of an open question nothing was predicted. Notebook 09 judges all
# claims together.


# %%
def compare(estimate: bootstrap.Estimate, better: str, worse: str) -> str:
    """What an interval of (error of `worse` minus error of `better`) says."""
    if estimate.low > 0:
        return f"{better} has the smaller error"
    if estimate.high < 0:
        return f"{worse} has the smaller error"
    return f"{better} and {worse} cannot be told apart"


mae = {name: part for name, part in scored[scored["item"] == "mae_mv"].groupby("method")}
CLAIMED = {"pca_minus_rvq": ("pca_rvq", "rvq"), "rvq_minus_qinco": ("rvq", "qinco")}
CLAIMED |= {"rvq_one_minus_vq": ("rvq_one", "vq")}
difference = {}
for claim, (worse, better) in CLAIMED.items():
    difference[claim] = bootstrap.paired_difference(mae[worse], mae[better], seed=seed)
    stage.claim(f"recon.mae.{claim}", **vars(difference[claim]))

# %%
in_latents = scored[scored["item"] == "log_latent_error"]
pair = [in_latents[in_latents["method"] == name] for name in ("qinco", "rvq")]
log_ratio = bootstrap.paired_difference(*pair, seed=seed)
ratio = {key: float(np.exp(vars(log_ratio)[key])) for key in ("value", "low", "high")}
stage.claim("codes.error_ratio.qinco_over_rvq", **(vars(log_ratio) | ratio))
below = pair[0]["score"].to_numpy() < pair[1]["score"].to_numpy()
below = bootstrap.bounded(bootstrap.mean(pair[0].assign(score=below.astype(float)), seed=seed))
stage.claim("codes.error_ratio.share_below_one", **vars(below))
print(f"In the latents, QINCo's error over RVQ's is {ratio['value']:.3f}", end=" ")
print(f"[{ratio['low']:.3f}, {ratio['high']:.3f}] (geometric mean over ECGs, first", end=" ")
print(f"{min(8, codebooks)} codebooks); QINCo's is smaller in {100 * below.value:.0f} % of ECGs.")
of_ratio = [f"codes.error_ratio.{name}" for name in ("qinco_over_rvq", "share_below_one")]
stage.print_claims(digits=2, only=[*(f"recon.mae.{claim}" for claim in CLAIMED), *of_ratio])

# %% [markdown]
# ## What does an ECG cost in bits?
#
# Tokenizers cannot be compared by their error alone, because they spend different numbers of bits.
# A code out of $K$ codewords costs $\log_2 K$ bits. In a tokenizer with several codebooks $K$ is
# the size of one of them, so a code out of 512 costs 9 bits. The vocabulary of the table counts all
# ids that a language model sees, those of all codebooks.
#
# The number of byte pairs depends on the ECG, so 15 more bits store it. The table has the mean over
# the training ECGs from which the pairs were learned, which the training seed draws. The pairs fit
# these ECGs best. In the study [rates](studies/rates.py), whose byte pairs are counted on other
# ECGs, they are some 5 % more. The recording itself has 12 leads of 2,500 samples of 16 bits.

# %%
rates = stage.read("rates")
rates["bits_per_second"] = rates["bits_per_ecg"] * RATE / SAMPLES
rates["times_smaller"] = 12 * SAMPLES * 16 / rates["bits_per_ecg"]
stage.table("rate", rates, "What one ECG costs, with the run's own training seed.").round(1)

# %% [markdown]
# This run has one point per method. The study [rates](studies/rates.py) has several rates of each,
# and three other seeds. Beside a run on simulated ECGs its results are lines of the figure.

# %%
from ecglib.run.profiles import is_simulated

RATES = "reports/synthetic-laptop-study-rates/tables/study_rates.csv"
RATES_DRAWN = (
    " Lines with small points: the study of rates, on simulated ECGs, means of three training "
    "seeds and of fewer test ECGs. There RVQ and QINCo have three times as many updates as here, "
    "FSQ half, and byte pairs are counted on validation ECGs."
)
side = ["same bits", "placebo", "equal seconds"]
is_beside = is_simulated(stage.plan) and stage.has_file(RATES)
several = pd.read_csv(stage.file(RATES)) if is_beside else None
if several is not None:
    several = several[several["method"].isin(list(NAME)) & ~several["setting"].isin(side)]
    several = several[several["quantity"] == "mae_mv"]
    several["value"] *= 1000  # µV, as below
points = results[(results["metric"] == "mae_uv") & results["method"].isin(list(NAME))]
points = points.merge(rates, on="method")
axes = "Bits per second", "Mean absolute error (µV)"
at = [f"{NAME[p.method]} {p.value:.0f} µV at {p.bits_per_second:.0f}" for p in points.itertuples()]
stage.figure(
    "rate_distortion",
    cost.cost_quality(points, "bits_per_second", *axes, curves=several),
    points,
    caption=f"Error of the reconstruction against bits per second, on {sample}. Large points: this "
    f"run, with 95 % intervals over {log_ratio.over}. Points of "
    "equal bits (PCA, RVQ and QINCo) are drawn slightly apart."
    + (RATES_DRAWN if several is not None else ""),
    alt="One large point per tokenizer, axes logarithmic; error and bits per second: "
    + f"{'; '.join(at)}.",
)

# %% [markdown]
# Merging byte pairs loses nothing: all of their error comes from the letters, by their width and by
# the cut at the ends of their range. A point further left is cheaper, and a point further down is
# more faithful. Two methods can be
# compared by their height alone only if they spend the same number of bits: PCA, RVQ and QINCo do.

# %% [markdown]
# ## What it means

# %%
value = results.set_index(["metric", "method"])["value"]
bits, tokens = (rates.set_index("method")[key] for key in ("bits_per_ecg", "tokens_per_ecg"))
print(f"What does an ECG lose when it becomes {tokens['qinco']:.0f} codes of QINCo, at", end=" ")
print(
    f"{bits['qinco']:.0f} bits? {value['mae_uv', 'qinco']:.1f} microvolts per sample.",
    end=" ",
)
print(f"A flat line at zero would be off by {1000 * flat:.0f}, so this is", end=" ")
print(f"{value['mae_uv', 'qinco'] / flat / 10:.0f} % of it.")
for name in NAME:
    print(f"- {NAME[name]}: {bits[name]:.0f} bits, error {value['mae_uv', name]:.1f}", end=" ")
    print(f"microvolts, PRD {value['prd_percent', name]:.0f} %")

# %%
pca, qinco, one = (difference[claim] for claim in CLAIMED)
print(f"- Does training beat PCA at equal bits? {compare(pca, 'RVQ', 'PCA')}:", end=" ")
print(f"PCA minus RVQ is {pca.text(2, 1000)} microvolts.")
print(f"- In the ECG, {compare(qinco, 'QINCo', 'RVQ')}: RVQ minus QINCo is", end=" ")
print(f"{qinco.text(2, 1000)} microvolts.")
better = "less" if ratio["high"] < 1 else "more" if ratio["low"] > 1 else "neither less nor more"
print(f"- In the latents, QINCo errs {better} than RVQ: the ratio is {ratio['value']:.3f}.")
margin = stage.registry()["recon.mae.rvq_one_minus_vq"]["margin"]
passed = max(abs(one.low), abs(one.high)) < margin
print(
    f"- The placebo {'passes' if passed else 'FAILS'}: RVQ with one codebook minus VQ is", end=" "
)
print(f"{one.text(2, 1000)} microvolts, where less than {1000 * margin:.1f} was asked.")
if one.low > 0 or one.high < 0:
    print(
        "  It is not zero: two trainings with other random draws differ by as much, so no", end=" "
    )
    print("difference of this size between trained tokenizers means anything here.")

# %% [markdown]
# Intervals cover the test patients, and the training seeds that the table `02_reconstruction`
# counts in its column `seeds`; with one seed they do not cover the training. Three limits hold.
#
# *First*, a small error in microvolts does not show that a *measurement* or a *finding* survives. A
# *pacing spike* is the pulse of a pacemaker, a few milliseconds wide. In the study
# [faithfulness](studies/faithfulness.py) fewer than half of the ECGs with a spike still show it
# after RVQ or QINCo, none after VQ and FSQ, and all after byte pairs. RVQ and QINCo keep nearly all
# small P and Q waves there; VQ and FSQ lose many. That study measures intervals too, and notebook
# 03 reads findings in the codes.
#
# *Second*, RVQ and QINCo have equal updates, but an update of QINCo takes several times as long.
# The study [rates](studies/rates.py) compares them at equal seconds. *Third*, the default run reads
# simulated ECGs.
#
# ## Try it yourself
#
# 1. **Take fewer components.** Write `dim = 16` below the first line of the cell on PCA and run it.
#    How much of the energy is left?
# 2. **Pre-select.** Change `candidates=16` to `candidates=4` and run the cell. Which assertion
#    fails, and why?
# 3. **Learn more byte pairs.** Change `merges=30` to `merges=100` in both calls. Do the two
#    trainers still agree?
#
# <details><summary>What happens</summary>
#
# 1. In the run `synthetic-laptop` 92.6 %.
# 2. The first. `encode` now adapts four of the sixteen codewords only, and for 5 of the 200 vectors
#    the nearest one is not among them. The mean squared error grows by less than a thousandth.
# 3. Yes. The symbols get longer.
#
# </details>
#
# Previous: [01_preprocess](01_preprocess.py). Next: [03_classification](03_classification.py).

# %%
stage.finish()
