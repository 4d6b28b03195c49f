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
# # Which findings survive in the tokens?
#
# | | |
# |---|---|
# | reads | the cohort of 01; the five tokenizers of 02 and their codes |
# | writes | floors, networks on the raw signal, classifiers of tokens; their probabilities |
# | paper items | ECG-Tok, Fig. 2: micro-AUC by category of QINCo, RVQ, VQ, DeepSL and DeepSSL |
# | time | a minute in `smoke`, 5 nominal minutes in `laptop`, hours in `overnight` |
# | memory | 6 GB in `overnight` |
#
# After this notebook you can
#
# - write down the forward pass and the loss of a multi-label classifier whose labels are partly
#   unknown,
# - say why a micro-AUC must be compared with prevalence and not with 0.5,
# - separate what the tokens hold from what the classifier on them can do,
# - write down the two contrastive losses from which a network learns without labels.
#
# Previous: [02_tokenizers](02_tokenizers.py). Next:
# [04_report_generation](04_report_generation.py).
#
# A small error in millivolts does not show that a finding is preserved. A P wave, for example, is
# small. A tokenizer that loses it has hardly a larger error. Here a classifier is trained on the
# frozen embeddings of the tokens, as in ECG-Tok (section 2.4). A label that the classifier
# separates is still in the tokens. A label that it does not separate may be lost, or the classifier
# may be too small or too briefly trained.
#
# The result therefore needs comparisons. A *floor* shows what can be read without the order of the
# waves. Networks on the raw signal show what training of this size reads without a tokenizer. A
# linear layer on the same vectors shows how much the classifier adds. A label for which floor and
# raw signal are equal cannot rank tokenizers.
#
# The classifiers take hours. The profile `overnight` trains them with three seeds. `laptop` trains
# the floors and one network on the raw signal. It reads the other predictions, which are about the
# same test patients, from the `overnight` run of the same data. Where there is no such run, the
# results below have the floors and the raw signal only, without any classifier of tokens.

# %% tags=["redraw", "plumbing"]
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from scipy.optimize import minimize
from scipy.stats import rankdata
from torch.nn.functional import cosine_similarity, pad, silu

from ecglib.classify import (
    deep_sl,
    deep_ssl_losses,
    efficientnet,
    frozen_features,
    frozen_head,
    linear_floors,
    prevalence,
    raw_network,
    summary_numbers,
    targets,
)
from ecglib.classify.loss import masked_bce
from ecglib.cohorts.store import Cohort

# %% tags=["redraw", "plumbing"]
from ecglib.evaluate import (
    auc,
    average_precision,
    calibration,
    class_counts,
    predictions,
    subgroups,
    thresholds,
    wide_tables,
)
from ecglib.figures import curves, dots, forest, reliability, style
from ecglib.labels.label_groups import GROUPS
from ecglib.labels.label_set import (
    ABSENT,
    CATEGORIES,
    LABELS,
    NOT_ASSESSABLE,
    PRESENT,
    UNCERTAIN,
    Label,
)
from ecglib.run.stage import Stage
from ecglib.signals.heartbeats import median_beat, r_peaks
from ecglib.signals.leads import LEADS, RATE
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop, overnight or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws initial weights, batches and resampled patients

# %% tags=["redraw", "plumbing"]
stage = Stage("03", profile, data, seed, tag)
print(stage.banner())
settings = stage.section("classify")
TOKENIZERS = ("vq", "rvq", "qinco", "fsq", "bpe")  # their frozen vectors are classified
PAPER = ("qinco", "rvq", "vq", "deepsl", "deepssl")  # the methods of ECG-Tok's Fig. 2
ONCE = ("fsq", "bpe", "latents", "untrained")  # not in the figure: the first seed only

# %% [markdown]
# ## Unknown labels are masked, not counted as negatives
#
# A label of an ECG is present (1), absent (0), uncertain (2), history (3) or not assessable (-1).
# Only the first two say what the ECG shows. With a target $y$ of 0 or 1 and a predicted probability
# $p$, the loss of one ECG and label is
#
# $$ -y \log p - (1 - y) \log (1 - p) $$
#
# and the loss of a batch is the mean over its known pairs of ECG and label. The toy is one ECG with
# four labels, all predicted with probability 0.8 (a logit of $\log 4$). The last line of the output
# shows a frequent mistake: the loss when unknown labels are counted as absent.

# %%
states = np.array([[PRESENT, ABSENT, UNCERTAIN, NOT_ASSESSABLE]])
target, known = map(torch.from_numpy, targets.binary_targets(states))  # both (1, 4)
logits = torch.full((1, 4), float(np.log(4.0)), requires_grad=True)
p = torch.sigmoid(logits)
pair_loss = -target * p.log() - (1 - target) * (1 - p).log()  # (1, 4), one loss per label
by_hand = (pair_loss * known).sum() / known.sum()
loss = masked_bce(logits, target, known)
print(f"known {known.int().tolist()}: by hand {by_hand:.4f}, library {loss:.4f}")
print(f"unknown counted as absent: {pair_loss.mean():.4f}")
assert torch.isclose(loss, by_hand)

# %% [markdown]
# The gradient of a known pair is $(p - y)$ divided by the number of known pairs. The gradient of an
# unknown pair is exactly zero, so an uncertain label neither raises nor lowers the prediction.

# %%
loss.backward()
print("gradient of the four logits:", logits.grad[0].numpy().round(2))
assert torch.allclose(logits.grad[known], ((p - target)[known] / known.sum()).detach())
assert (logits.grad[~known] == 0).all()

# %% [markdown]
# ## An AUC depends on ranks alone
#
# The AUC is the probability that a positive scores above a negative, with ties counted half. From
# the ranks $r$ of all scores (ties share their mean rank), with $n_1$ positives and $n_0$
# negatives, it is
#
# $$ \frac{\sum_{\text{positives}} r - n_1 (n_1 + 1) / 2}{n_1 n_0} $$
#
# The paper's figure pools all pairs of ECG and label of a category into one AUC, the *micro-AUC*.
# The *macro-AUC* is the mean of the labels' own AUCs. The toy has a label that 9 of 10 ECGs have,
# and one that 1 of 10 has. Each is scored by its prevalence, so no ECG is read.

# %%
truth = np.array([1] * 9 + [0] + [1] + [0] * 9)  # (20,) pairs: 10 of each label
score = np.repeat([0.9, 0.1], 10)
ranks = rankdata(score)
n1 = truth.sum()
n0 = len(truth) - n1
by_hand = (ranks[truth == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)

# %% [markdown]
# The library computes both from a table with one row per pair: the patient (`unit`), the label
# (`item`), the truth (`target`) and the score.

# %%
labels = np.repeat([Label.LBBB, Label.TALL_R_AVL], 10)
toy = pd.DataFrame({"unit": range(20), "item": [f"label:{i:02d}" for i in labels]})
toy = toy.assign(target=truth.astype(str), score=score)
micro, macro = (auc.auc(toy, average=kind, resamples=50).value for kind in ("micro", "macro"))
print(f"micro-AUC by ranks {by_hand:.2f}, library {micro:.2f}; macro-AUC {macro:.2f}")
assert np.isclose(micro, by_hand) and macro == 0.5

# %% [markdown]
# A score that reads no ECG has a micro-AUC of 0.9. So 0.5 is not the floor of a micro-AUC. The
# first floor here reads no ECG: its score is the training prevalence of each label at the patient's
# hospital. It cannot raise the macro-AUC much, because a label's own AUC needs scores that differ
# between ECGs. The macro-AUC therefore comes first below.
#
# ## Which labels are scored
#
# A label is scored if enough training ECGs have it, and enough lack it. The test patients have no
# influence on that choice. The labels that are left out are named.

# %%
config = settings["head"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
scored_labels = targets.scored_labels(cohort, config["min_positives"])
print(f"{len(scored_labels)} of {len(LABELS)} labels are present in {config['min_positives']}")
print("training ECGs or more, and absent in as many. Not scored:")
print("; ".join(LABELS[i] for i in range(len(LABELS)) if i not in scored_labels) or "none")

# %% [markdown]
# ## Summary numbers know nothing of the waves
#
# The second floor reads the ECG, but only 151 numbers of it. Twelve numbers describe each lead:
# percentiles, spread and skewness of its samples, and percentiles of their slopes. Seven describe
# the RR intervals. None of the twelve says *when* something happens. So a lead that is played
# backwards has the same twelve numbers, although its T waves now come before its QRS complexes.

# %%
ecg = cohort.signals(cohort.rows("train")[:1])[0].astype(float)  # (12, 2500) mV
v2 = ecg[LEADS.index("V2")] - ecg[LEADS.index("V2")].mean()  # (2500,)
slope = np.abs(np.diff(v2)) * RATE  # mV/s
by_hand = [*np.percentile(v2, (1, 5, 25, 50, 75, 95, 99)), v2.std(), (v2**3).mean() / v2.std() ** 3]
by_hand += [*np.percentile(slope, (1, 50, 99))]
numbers = summary_numbers.summary_numbers(ecg)  # (151,)
of_v2 = [n.endswith("_V2") for n in summary_numbers.SUMMARY_NAMES]
assert np.allclose(numbers[of_v2], by_hand)
backwards = summary_numbers.summary_numbers(ecg[:, ::-1])
assert np.allclose(numbers[:-7], backwards[:-7])  # all but those of the RR intervals
pd.Series(numbers, summary_numbers.SUMMARY_NAMES)[of_v2].to_frame("lead V2").T.round(2)

# %% [markdown]
# ## Logistic regression turns numbers into probabilities
#
# The numbers $x$ are standardised. Each label has a weight vector $w$ and an offset $b$. Its
# probability is $\sigma(x \cdot w + b)$ with $\sigma(z) = 1 / (1 + e^{-z})$. Training minimises the
# cross-entropy of the known pairs plus a penalty, the *ridge*, which keeps weights small:
#
# $$ \sum_{\text{known}} \big( \log(1 + e^{z}) - y z \big) + \frac{|w|^2}{2 C},
#    \quad z = x \cdot w + b $$
#
# The strength $C$ is chosen on validation patients, the same for all labels. The toy has 200 ECGs
# of three numbers and one label; every fourth label is unknown.

# %%
rng = np.random.default_rng(seed)
x = rng.normal(size=(200, 3))  # (ECGs, numbers)
y = (x[:, 0] - x[:, 1] + rng.normal(size=200) > 0.5).astype(float)
is_known = np.arange(200) % 4 > 0


def ridge_loss(weights: np.ndarray) -> float:
    """The loss above for C = 0.1; the last weight is the offset."""
    z = (x @ weights[:-1] + weights[-1])[is_known]
    return (np.logaddexp(0, z) - y[is_known] * z).sum() + (weights[:-1] ** 2).sum() / 0.2


by_hand = minimize(ridge_loss, np.zeros(4)).x
fitted = linear_floors.fit_ridge(x, y[:, None], is_known[:, None], strength=0.1)[:, 0]
print("weights and offset by hand:", by_hand.round(3), "library:", fitted.round(3))
assert np.allclose(by_hand, fitted, atol=5e-3)

# %% [markdown]
# ## The median beat adds the shape of the waves
#
# The third floor reads the same 151 numbers and the usual beat of each lead. The usual beat is the
# sample-wise median of the aligned beats, from 0.36 s before to 0.56 s after the middle of the QRS,
# with one number per 20 ms. It has the shape of P, QRS, ST and T. It does not have what differs
# between beats, and details shorter than 20 ms are averaged.

# %%
usual = median_beat(ecg, r_peaks(ecg, RATE), RATE)
assert np.allclose(usual.wave, np.median(usual.beats, axis=0))  # of (beats, 12, samples)
start = usual.centre - 90  # 0.36 s at 250 Hz
by_hand = usual.wave[:, start : start + 230].reshape(12, 46, 5).mean(axis=2)  # (12, 46)
numbers = summary_numbers.beat_numbers(ecg)  # (151 + 12 * 46,)
assert np.allclose(numbers[151:], by_hand.ravel())
print(f"median of {len(usual.beats)} beats: {usual.wave.shape} mV -> {by_hand.shape} numbers")

# %% [markdown]
# ## A plain network on the raw signal needs no tokens
#
# This network reads all 12 leads at 250 Hz. Four convolutions with stride give one position per 32
# samples (128 ms). Residual blocks follow. A small network then classifies the mean and the maximum
# over the positions. The next cell computes the output step by step.

# %%
torch.manual_seed(seed)
raw_sizes = {key: settings["raw"][key] for key in ("widths", "blocks", "dropout")}
plain = raw_network.RawNetwork(len(scored_labels), **raw_sizes).eval()  # initial weights
rows = cohort.rows("train")[:4]
signal = torch.from_numpy(cohort.signals(rows))  # (B, 12, 2500) mV
lengths = torch.from_numpy(cohort.records["n_valid"].to_numpy()[rows])  # (B,) samples
with torch.no_grad():
    h = plain.layers(signal)  # (B, C, T)
    valid = (32 * torch.arange(h.shape[2]) < lengths[:, None])[:, None]  # no padding is pooled
    mean, largest = (h * valid).sum(2) / valid.sum(2), (h * valid).amax(2)
    logits = plain.classifier(torch.cat([mean, largest], dim=1))  # (B, labels)
    assert torch.allclose(logits, plain(signal, lengths), atol=1e-5)
print("features (B, C, T):", tuple(h.shape), "-> logits:", tuple(logits.shape))
print("parameters of the network:", sum(weight.numel() for weight in plain.parameters()))

# %% [markdown]
# ## The vectors of the tokens
#
# A classifier of tokens reads one frozen vector per position, for example the sum of the codewords
# of RVQ. ECG-Tok's adapter in notebook 04 reads the same vectors of QINCo.
#
# **Ours, not the paper's:** byte pairs have no vectors of their own. Their tokens are laid on a
# grid of 64 ms per position. A position has four numbers per lead: the mean, the lowest and the
# highest voltage of the tokens there, and the mean logarithm of their lengths.

# %%
inputs = {
    name: {"tokenizer": stage.input("02", name), "codes": stage.input("02", f"{name}_codes")}
    for name in TOKENIZERS
}
for name in TOKENIZERS:
    vectors, ends = frozen_features.read_features(inputs[name], cohort, rows, "codes")
    print(f"{name}: vectors of four ECGs (B, T, D) {tuple(vectors.shape)}")
vectors, ends = frozen_features.read_features(inputs["qinco"], cohort, rows, "codes")

# %% [markdown]
# ## The linear probe shows the share of the classifier
#
# The simplest classifier, the *linear probe*, is one linear layer on the mean vector of an ECG. It
# knows nothing of the order of the positions. What the EfficientNetV2 reads beyond the probe is the
# share of the larger network.

# %%
torch.manual_seed(seed)
probe = efficientnet.LinearProbe(vectors.shape[-1], len(scored_labels)).eval()
inside = (torch.arange(vectors.shape[1]) < ends[:, None])[..., None]  # (B, T, 1) no padding
with torch.no_grad():
    mean = (vectors * inside).sum(1) / ends[:, None]  # (B, D)
    logits = probe.classifier(mean)  # (B, labels)
    assert torch.allclose(logits, probe(vectors, ends), atol=1e-4)
print("mean vector:", tuple(mean.shape), "-> logits:", tuple(logits.shape))

# %% [markdown]
# ## EfficientNetV2: a block that widens, looks along time, and narrows
#
# ECG-Tok trains a one-dimensional EfficientNetV2 on the vectors. Its first stages are plain
# convolutions. Its later stages are *MBConv* blocks. Such a block multiplies the channels, filters
# each channel on its own along time, scales the channels, and narrows again:
#
# $$ e = \mathrm{swish}(E x), \quad d_t = \mathrm{swish}\Big(\sum_k w_k \odot e_{t+k}\Big), \quad
#    g = \sigma(U\,\mathrm{swish}(S \bar d)), \quad y = x + P (d \odot g) $$
#
# The vector $g$ of the *squeeze and excitation* depends on the mean $\bar d$ over time. A batch
# norm follows the expansion $E$, the filter $w$ and the projection $P$. It changes almost nothing
# in an untrained block in evaluation mode. The toy has six positions of four channels.

# %%
block = efficientnet.MBConv(before=4, after=4, expansion=2, kernel=3, stride=1, drop=0.0).eval()
x = torch.randn(1, 6, 4)  # (B, T, C)
with torch.no_grad():
    e = silu(block.norm1(block.expand(x), None))  # (1, 6, 8), twice as wide
    weight, padded = block.depthwise.weight[:, 0, 0], pad(e, (0, 0, 1, 1))  # (8, 3), (1, 8, 8)
    d = sum(padded[:, k : k + 6] * weight[:, k] for k in range(3))  # each channel on its own
    d = silu(block.norm2(d, None))
    g = torch.sigmoid(block.excite(silu(block.squeeze(d.mean(1)))))  # (1, 8)
    by_hand = x + block.norm3(block.project(d * g[:, None]), None)
    assert torch.allclose(by_hand, block(x, None, None), atol=1e-5)
print(f"{tuple(x.shape)} -> widened {tuple(e.shape)} -> gate {tuple(g.shape)} -> ", end="")
print(tuple(by_hand.shape))

# %% [markdown]
# The whole network is a chain of blocks, one more convolution, a mean over the valid positions and
# a linear layer. The next cell follows four ECGs through it.

# %%
head = config | {"network": "efficientnet"}
classifier = frozen_head.build_head(head, vectors.shape[-1], len(scored_labels)).eval()
valid = efficientnet.valid_positions(ends, vectors.shape[1], vectors.dtype)
h, lengths = (vectors - classifier.mean) / classifier.scale, ends  # (B, T, D), (B,) positions
with torch.no_grad():
    for block in classifier.blocks:
        before, lengths = valid, efficientnet.strided(lengths, block.stride)
        valid = efficientnet.valid_positions(lengths, -(-h.shape[1] // block.stride), h.dtype)
        h = block(h, before, valid)
        print(f"{type(block).__name__:<10} (B, T, C): {tuple(h.shape)}")
    h = silu(classifier.head_norm(classifier.head(h), valid))
    logits = classifier.classifier(efficientnet.mean_over_time(h, valid))  # (B, labels)
    assert torch.allclose(logits, classifier(vectors, ends), atol=1e-4)
print("parameters:", sum(weight.numel() for weight in classifier.parameters()))

# %% [markdown]
# The loss of these four ECGs is the masked cross-entropy from above. Many labels of an ECG can be
# unknown, for example those that a wide QRS complex hides.

# %%
target, known = map(torch.from_numpy, targets.binary_targets(cohort.labels[rows][:, scored_labels]))
loss = masked_bce(logits, target, known)
print(f"known pairs: {int(known.sum())} of {known.numel()}; loss {loss:.3f} (log 2 is 0.693)")

# %% [markdown]
# ## DeepSL: the same network on the raw signal
#
# The paper's supervised baseline reads the signal itself. Here it is the same EfficientNetV2 behind
# a stem of convolutions with stride. So DeepSL and the classifier of tokens differ mainly in what
# they read. The weights of the epoch with the lowest validation loss are kept.

# %%
supervised = deep_sl.build(settings["deep_sl"], len(scored_labels)).eval()
samples = torch.from_numpy(cohort.records["n_valid"].to_numpy()[rows])  # (B,)
with torch.no_grad():
    h, lengths = supervised.stem(signal, samples)  # (B, T, C), (B,) positions
    logits = supervised.network(h, lengths)  # (B, labels)
    assert torch.allclose(logits, supervised(signal, samples), atol=1e-4)
print(f"signal {tuple(signal.shape)} -> stem {tuple(h.shape)} -> logits {tuple(logits.shape)}")

# %% [markdown]
# ## DeepSSL learns without labels: name what is masked
#
# The paper's other baseline is trained without labels, and a classifier reads its frozen features
# afterwards. Three ideas are combined. The first is *masked contrast* (wav2vec 2.0). Some positions
# are hidden, and the network must recognise the target $q_t$ of a hidden position $t$ among the
# targets of the other hidden positions. With the prediction $c_t$ and the cosine similarity,
#
# $$ L_t = -\log \frac{e^{\cos(c_t, q_t) / \tau}}{\sum_s e^{\cos(c_t, q_s) / \tau}} $$
#
# where $s$ runs over the hidden positions and the temperature $\tau$ is 0.1. The targets are local
# features of the signal, rounded to codewords that are learned at the same time. Positions with the
# codewords of $t$ are left out of the sum. The toy has one ECG of five positions, three of them
# hidden, and no two targets are equal.

# %%
generator = torch.Generator().manual_seed(seed)
predicted, wanted = torch.randn(2, 1, 5, 8, generator=generator)  # (B, T, D) each
hidden = torch.tensor([[True, False, True, True, False]])  # (B, T)
codes = torch.arange(5)[None, :, None].expand(1, 5, 2)  # (B, T, codebooks), all different
loss, right = deep_ssl_losses.masked_loss(predicted, wanted, hidden, codes)
c, q = predicted[hidden], wanted[hidden]  # (3, D)
score = torch.exp(cosine_similarity(c[:, None], q[None], dim=-1) / deep_ssl_losses.TEMPERATURE)
by_hand = -torch.log(score.diagonal() / score.sum(1)).mean()
print(f"masked contrast by hand {by_hand:.3f}, library {loss:.3f}; {right:.0%} recognised")
assert torch.isclose(loss, by_hand, atol=1e-4)

# %% [markdown]
# ## DeepSSL also learns that segments of one patient are alike
#
# The second idea is *contrastive multi-segment coding* (CLOCS): the mean features of two segments
# of one patient must be more alike than those of two patients. The third is *random lead masking*:
# each lead is removed with probability 0.5, so that the features do not depend on one lead. The toy
# has three ECGs of three patients, each with two segments.

# %%
one, other = torch.randn(2, 3, 8, generator=generator)  # mean features of both segments, (B, D)
loss, right = deep_ssl_losses.segment_loss(one, other, torch.tensor([7, 8, 9]))
score = torch.exp(
    cosine_similarity(one[:, None], other[None], dim=-1) / deep_ssl_losses.TEMPERATURE
)
by_hand = [-torch.log(part.diagonal() / part.sum(1)).mean() for part in (score, score.T)]
by_hand = torch.stack(by_hand).mean()  # from the first segment, and from the second
kept = deep_ssl_losses.draw_leads(4, generator)  # (B, 12)
print(f"segments by hand {by_hand:.3f}, library {loss:.3f}; leads kept:", kept.sum(1).tolist())
assert torch.isclose(loss, by_hand, atol=1e-4)

# %% [markdown]
# ## Training seeds
#
# One training may come out well or badly by chance. So the paper's five methods, the network on the
# raw signal and the pair of VQ and RVQ at equal bits are trained with several seeds. The tokenizers
# of the first seed are those of notebook 02. The next cells train VQ, RVQ and QINCo once more for
# each further seed, if there is one, in the same way. FSQ, byte pairs, the latents, the untrained
# encoder and the floors have the first seed only. The table `auc_overall` has the number of seeds.

# %%
seeds = list(range(seed, seed + settings["training_seeds"]))
print("training seeds:", seeds or "none; predictions of `overnight` are read, where they exist")


def make(name: str, s: int):
    """A part of a training seed. The first seed has no number in its name."""
    return stage.make(name if s == seed else f"{name}_{s - seed}")


for s in seeds[1:]:
    for name in ("vq", "rvq", "qinco"):
        make(f"{name}_codes", s)  # makes the joint training and the tokenizer first

# %% [markdown]
# ## VQ and RVQ at equal bits
#
# In the paper's figure RVQ has many more bits than VQ, because RVQ has several codebooks. So the
# figure cannot show that *residual* quantisation is better. For a comparison at equal bits, only
# the first codebooks of RVQ are read, and a second VQ has more positions per second. The bits of
# both are printed.

# %%
if seeds:
    make("vq_fine_codes", seed)
    fine_rate = load(make("vq_fine", seed)).rate()
    rvq_rate = load(inputs["rvq"]["tokenizer"]).rate()
    share = settings["low_codebooks"] / stage.section("tokenizer")["quantisers"]["rvq"]["codebooks"]
    print(f"VQ: {fine_rate.tokens_per_ecg} tokens per ECG, {fine_rate.bits_per_ecg:.0f} bits;")
    low_bits = share * rvq_rate.bits_per_ecg
    print(f"RVQ: {settings['low_codebooks']} of its codebooks, {low_bits:.0f} bits")

# %% [markdown]
# ## What each classifier reads
#
# All classifiers of frozen vectors of one seed see the same batches for the same number of epochs.
# Two of them read no tokens. The first reads the latents *before* they are quantised. RVQ and QINCo
# share these latents, so it shows what quantisation costs. The second reads the latents of an
# encoder that was never trained. It is a floor, because it shows what the classifier can read from
# a random projection of the signal.

# %%
READERS = (*TOKENIZERS, "latents", "untrained", "deepssl", "vq_fine", "rvq_low")
pretrained = {s: make("deep_ssl", s) for s in seeds}
reads = {s: [name for name in READERS if s == seed or name not in ONCE] for s in seeds}

# %% [markdown]
# ## Training
#
# The weights after the last step are scored; of DeepSL those with the lowest validation loss. No
# step, size or learning rate is chosen on test ECGs. In `overnight`, the learning rate, the dropout
# and the number of epochs of the EfficientNetV2 were chosen on validation ECGs with QINCo's tokens.
# They are the same for all.

# %%
folders = {}  # (method, seed) -> folder
for name in ("summary", "median_beat"):
    folders[name, seed] = stage.make(f"floor_{name}")
for s in seeds or [seed]:
    folders["raw", s] = make("raw", s)
for s in seeds:
    folders |= {(name, s): make(f"head_{name}", s) for name in reads[s]}
    folders["deepsl", s] = make("deepsl", s)

# %% [markdown]
# The linear probes are trained with the first seed only, because no claim is about them.

# %%
linear = {name: make(f"linear_{name}", seed) for name in (READERS if seeds else ())}
folders |= {(f"{name}_linear", seed): folder for name, folder in linear.items()}

# %% [markdown]
# Every known pair of a test ECG and a label becomes one row of the predictions. All results below
# are computed from these rows. Probabilities are saved with five digits. The validation curves, the
# budgets and the counts of training ECGs are saved too.


# %% tags=["plumbing"]
def known_pairs(name: str, s: int, of: str) -> pd.DataFrame:
    """The predictions of a method for the pairs of ECG and label whose state is known."""
    if name == "prevalence":
        frame = prevalence.scores(cohort, scored_labels, cohort.rows(of))
    else:
        frame = pd.read_parquet(folders[name, s] / "scores.parquet")
        frame = frame[frame["row"].isin(cohort.rows(of))]
    state = cohort.labels[frame["row"], frame["label"]]
    keep = (state == PRESENT) | (state == ABSENT)
    frame, state = frame[keep], state[keep]
    item = frame["label"].map("label:{:02d}".format)
    target, records = (state == PRESENT).astype(int).astype(str), cohort.records.iloc[frame["row"]]
    score = predictions.significant(frame["score"], 5)
    return predictions.build(records, name, s, item, target=target, score=score)


FLOORS = ("summary", "median_beat", "raw")
of_floors = [known_pairs(name, s, "test") for name, s in folders if name in FLOORS]
of_floors.append(known_pairs("prevalence", seed, "test"))
print("predictions:", stage.predictions("labels_floors", pd.concat(of_floors)).name)
of_tokens = [known_pairs(name, s, "test") for name, s in folders if name not in FLOORS]

# %% tags=["plumbing"]
if seeds:
    print("predictions:", stage.predictions("labels", pd.concat(of_tokens)).name)
chosen = [known_pairs(m, seed, "validation") for m in (*PAPER, "raw") if (m, seed) in folders]
stage.predictions("validation", pd.concat(chosen))
if len(cohort.rows("transfer")):
    elsewhere = [known_pairs(m, s, "transfer") for m, s in folders if s == seed]
    stage.predictions("labels_transfer", pd.concat(elsewhere))
choices = {name: folders[name, seed] / "choice.csv" for name in ("summary", "median_beat")}
choices = [pd.read_csv(path).assign(method=name) for name, path in choices.items()]
choices = stage.data("strengths", pd.concat(choices))


def gathered(file: str) -> pd.DataFrame:
    """A table that every training writes, of all trainings."""
    before = {("deepssl_pretraining", s): folder for s, folder in pretrained.items()}
    parts = [
        pd.read_csv(folder / file).assign(method=name, seed=s)
        for (name, s), folder in (folders | before).items()
        if (folder / file).is_file()
    ]
    return pd.concat(parts, ignore_index=True)


training = stage.data("training", gathered("validation.csv"))
budget = stage.data("budget", gathered("budget.csv"))

# %% tags=["plumbing"]
states = cohort.labels[cohort.rows("train")][:, scored_labels]
counted = {"label": scored_labels, "name": [LABELS[i] for i in scored_labels]}
counted |= {"present": (states == PRESENT).sum(0), "absent": (states == ABSENT).sum(0)}
counted["unknown"] = len(states) - counted["present"] - counted["absent"]
counted = stage.data("training_labels", pd.DataFrame(counted))

# %% [markdown]
# How many training ECGs does each label have, and how many are masked because the label is
# unknown? The table has the labels with most unknown ECGs.

# %% tags=["redraw"]
counted = stage.read("training_labels")
caption = "Training ECGs by state of each scored label; unknown ones are masked."
stage.table("training_labels", counted, caption)
share = counted["unknown"].sum() / counted[["present", "absent", "unknown"]].to_numpy().sum()
print(f"{100 * share:.1f} % of all training pairs of ECG and label are unknown and masked")
counted.nlargest(5, "unknown")

# %% [markdown]
# ## From here on: saved predictions
#
# Everything below is computed from the predictions. A run that trains no classifier of tokens reads
# those of `overnight`, if they are about the same test ECGs with the same labels. Otherwise tables
# and figures have the floors and the raw signal only, and what the text says about tokens, DeepSL
# and DeepSSL cannot be seen in this run.


# %% tags=["redraw"]
def trained(name: str) -> pd.DataFrame | None:
    """What this run saved of its classifiers, else what `overnight` saved, else None."""
    if settings["training_seeds"]:
        return stage.read(name)
    file = f"reports/{data}-overnight/predictions/03_{name}.parquet"
    return pd.read_parquet(stage.file(file)) if stage.has_file(file) else None


def tested(frame: pd.DataFrame) -> set:
    """The pairs of ECG and label of a method's predictions, with their truth."""
    return set(frame[["unit", "ecg", "item", "target"]].itertuples(index=False, name=None))


cells, learned = stage.read("labels_floors"), trained("labels")
source = "this run" if settings["training_seeds"] else f"{data}-overnight"
if learned is None:
    print(f"{source} has not been run: no classifier of tokens is compared")
else:
    qinco = learned[(learned["method"] == "qinco") & (learned["seed"] == learned["seed"].min())]
    if tested(qinco) == tested(cells[cells["method"] == "summary"]):
        print(f"classifiers of {source}, about the same test ECGs and labels")
        cells = pd.concat([cells, learned], ignore_index=True)
    else:
        print(f"{source} has other test ECGs or labels: no classifier of tokens is compared")
        learned = None

# %% [markdown]
# Notebook 09 compares the reports with what QINCo's classifier reads, so its predictions are saved
# once more, of one seed.

# %% tags=["plumbing"]
of_qinco = cells[cells["method"] == "qinco"]
of_qinco = of_qinco[of_qinco["seed"] == of_qinco["seed"].min()]
print("predictions:", stage.predictions("labels_qinco", of_qinco).name, len(of_qinco), "rows")

# %% [markdown]
# From the floors to the raw signal, the methods are always listed in this order:

# %% tags=["redraw"]
of_method = {name: part for name, part in cells.groupby("method")}
order = ["prevalence", "untrained", "summary", "median_beat", "bpe", "fsq", "vq", "rvq", "qinco"]
order += ["latents", "deepssl", "deepsl", "raw"]
order = [name for name in order if name in of_method]
linear = {name: f"{name}_linear" for name in order if f"{name}_linear" in of_method}
options = {"seed": seed, "resamples": settings["resamples"]}
count = {name: part["seed"].nunique() for name, part in of_method.items()}
n_ecgs, n_patients = cells["ecg"].nunique(), cells["unit"].nunique()
on_test = f"{n_ecgs} test ECGs of {n_patients} patients"
print(f"{on_test}; training seeds:", {name: count[name] for name in order})

# %% [markdown]
# ## Did the trainings last long enough?
#
# The loss on the validation patients after each epoch answers that. A loss that rises again means
# overfitting: the network fits training patients in ways that do not hold for others. The weights
# at the lowest point of DeepSL's curve are scored, and the last weights of all other methods.

# %% tags=["redraw"]
curve = stage.read("training") if learned is None else trained("training")
first = curve[(curve["seed"] == curve["seed"].min()) & curve["method"].isin(order)]
drawn = first.assign(step=first["epoch"])[["method", "step", "loss"]]
stage.table("training", first.round(4), "Loss and macro-AUC on validation ECGs after each epoch.")
axis = {"log": True, "xlabel": "Epoch", "smooth": 1}
figure = curves.loss(drawn, "Validation loss (nats per label)", **axis)
stage.figure(
    "loss",
    figure,
    drawn,
    "Masked cross-entropy on validation ECGs after each epoch, first training seed, on a "
    "logarithmic axis.",
    "One curve per classifier against the epoch.",
)
kept = curve.loc[curve[curve["method"] == "deepsl"].groupby("seed")["loss"].idxmin(), "epoch"]
if len(kept):  # the last epoch would mean that the loss has not stopped falling
    print("DeepSL keeps epoch", kept.tolist(), "of", curve["epoch"].max())

# %% [markdown]
# **What to see.** A curve that still falls at its end means that the training was stopped early.
# The AUC may then understate what the tokens, or the signal, hold. The next table says how large
# each classifier is and how much it was trained. An ECG view is one ECG in one epoch.

# %% tags=["redraw"]
budget = stage.read("budget") if learned is None else trained("budget")
budget = budget[budget["seed"] == budget["seed"].min()].drop(columns="seed")
of_all = [*order, *linear.values(), "vq_fine", "rvq_low", "deepssl_pretraining"]
budget = budget[budget["method"].isin(of_all)]
caption = (
    "Parameters, operations of a forward pass, epochs and ECG views of each classifier. Those of a "
    "frozen encoder and of its training are not in them."
)
stage.table("budget", budget.round(1), caption)
tried = stage.read("strengths").pivot(index="strength", columns="method")
tried.columns = [style.method(name).name for _, name in tried.columns]
caption = "Macro-AUC on validation patients by strength C of the ridge; the best one is scored."
stage.table("strengths", tried.reset_index().round(4), caption)
budget.set_index("method")

# %% [markdown]
# ## Micro-AUC by category: the paper's figure
#
# Fig. 2 of ECG-Tok has five methods in six categories of labels. A category stays empty where its
# labels cannot be assessed in this source, or where the test ECGs have no positive or no negative.

# %% tags=["redraw"]
in_figure = order if learned is None else list(PAPER)  # without classifiers of tokens: all
table = pd.concat(
    auc.by_category(
        pd.concat([of_method[m] for m in order]), CATEGORIES, average, **options
    ).assign(average=average)
    for average in ("macro", "micro")
)
table = table.sort_values("method", key=lambda column: column.map(order.index), kind="stable")
stage.table("auc_by_category", table, "AUC on test ECGs, by category of labels.")
macro, micro = (table[table["average"] == name] for name in ("macro", "micro"))
empty = macro[(macro["method"] == "raw") & macro["value"].isna()]["category"].tolist()
print("categories without both a positive and a negative:", ", ".join(empty) or "none")

# %% tags=["redraw"]
drawn = micro[micro["method"].isin(in_figure)]
drawn = drawn.sort_values("method", key=lambda column: column.map(in_figure.index), kind="stable")
of_figure = "floors and the raw signal" if learned is None else "the methods of ECG-Tok's Fig. 2"
over = "patients and the seeds of each method" if max(count.values()) > 1 else "patients"
stage.figure(
    "auc_by_category",
    dots.rows(drawn),
    drawn,
    f"Micro-AUC by category of labels on {on_test}, of {of_figure}. The axis is logarithmic in "
    f"1 - AUC. Bars: 95 % intervals over {over}. Dashed: 0.5, which is no floor of a micro-AUC.",
    f"Dots with intervals of {of_figure}, one row per category and one for all labels.",
)
as_printed = wide_tables.by_category(drawn, in_figure, overall=True)
stage.table("fig2", as_printed, f"Micro-AUC by category of labels, of {of_figure}.")
as_printed

# %% [markdown]
# **What to see.** A step from 0.90 to 0.99 is as long as one from 0.99 to 0.999. In a micro-AUC the
# frequent labels count most, and prevalence alone is far above 0.5 in the table `auc_overall`. The
# next sections show what this figure hides.
#
# ## Macro-AUC: every label counts once
#
# The macro-AUC over all scored labels is the primary measure here. First it is shown by category.

# %% tags=["redraw"]
counts = macro[macro["method"] == "raw"][["category", "labels", "positives"]]
grid = wide_tables.wide(macro, "category", "method")
print(f"macro-AUC [95 % interval over {over}]")
counts.merge(grid, on="category").T

# %% [markdown]
# Over all labels, each classifier of vectors is compared with its linear probe. The distance
# between the two is the share of the classifier.

# %% tags=["redraw"]
everything = {
    (name, average): auc.auc(of_method[name], average, **options)
    for name in (*order, *linear.values(), "vq_fine", "rvq_low")
    if name in of_method
    for average in ("macro", "micro")
}
overall = pd.DataFrame(
    {"method": name, "average": average, **vars(value), "seeds": count[name]}
    for (name, average), value in everything.items()
)
stage.table("auc_overall", overall, "AUC over all scored labels.")
for name in order:
    text = f"{style.method(name).name}: macro-AUC {everything[name, 'macro'].text()}"
    probe_auc = everything.get((linear.get(name, ""), "macro"))
    print(text + (f", linear {probe_auc.text()}" if probe_auc else ""))

# %% tags=["redraw"]
drawn = overall[overall["average"] == "macro"].copy()
is_linear = drawn["method"].isin(linear.values())
drawn["classifier"] = drawn["method"].str.removesuffix("_linear")
drawn["method"] = np.where(is_linear, "linear", "own_network")
drawn = drawn[drawn["classifier"].isin(order)]
drawn = drawn.sort_values("classifier", key=lambda of: of.map(order.index), kind="stable")
drawn["category"] = [style.method(name).name for name in drawn["classifier"]]
stage.figure(
    "head_share",
    dots.rows(drawn),
    drawn,
    f"Macro-AUC over all labels on {on_test}. Filled: EfficientNetV2, or the model of a floor or "
    "of the raw signal; open: a linear layer on the mean vector. Bars: 95 % intervals over "
    f"{over}.",
    "One row per method with a filled dot; classifiers of vectors also have an open one.",
)

# %% [markdown]
# **What to see.** An open dot far to the left of its filled one means that a linear layer on the
# mean vector misses much of what the EfficientNetV2 reads, for example the order of the positions.
# The row of the untrained encoder shows how much the EfficientNetV2 reads in a random projection.
#
# ## The registered comparisons
#
# All differences are paired: both methods are resampled with the same patients, and compared seed
# by seed. A method of one seed is compared with every seed of the other. The best supervised
# network is the better of DeepSL and the plain network, by the macro-AUC on validation patients.
#
# Two things favour one side. The settings of the classifier were chosen with QINCo's tokens, and
# DeepSL has the same ones, untuned. The VQ at equal bits has a smaller encoder than RVQ, and its
# classifier reads twice as many positions.

# %% tags=["redraw"]
ends_at = curve[curve["method"] == "raw"].groupby("seed")["epoch"].idxmax()
lowest = curve[curve["method"] == "deepsl"].groupby("seed")["loss"].idxmin()
reached = curve.loc[[*ends_at, *lowest]].groupby("method")["macro_auc"].mean()
best_supervised = reached.idxmax()
pairs = {
    "raw_minus_summary": ("raw", "summary"),
    "qinco_minus_summary": ("qinco", "summary"),
    "supervised_minus_qinco": (best_supervised, "qinco"),
    "rvq_minus_vq": ("rvq_low", "vq_fine"),
    "qinco_minus_rvq": ("qinco", "rvq"),
    "deepssl_minus_qinco": ("deepssl", "qinco"),
}
pairs = {name: pair for name, pair in pairs.items() if set(pair) <= set(of_method)}
print("macro-AUC on validation patients:", reached.round(3).to_dict())
gains = {
    name: auc.difference(of_method[a], of_method[b], average="macro", **options)
    for name, (a, b) in pairs.items()
}
for name, gain in gains.items():
    print(f"{name.replace('_', ' ')}: {gain.text()}")

# %% [markdown]
# The differences are claims; the levels are in the table `auc_overall`. A run claims only what it
# has trained itself.

# %% tags=["redraw"]
for name, gain in gains.items():
    if settings["training_seeds"] or name == "raw_minus_summary":
        stage.claim(f"auc.macro.{name}", **vars(gain), seeds=count[pairs[name][0]])

# %% [markdown]
# The figure has all differences of this run.

# %% tags=["redraw"]
pair_names = {
    name: " minus ".join(style.method(m).name for m in pair) for name, pair in pairs.items()
}
differences = pd.DataFrame({"name": pair_names[name], **vars(gain)} for name, gain in gains.items())
stage.table("auc_differences", differences, "Paired differences of macro-AUC over all labels.")
stage.figure(
    "auc_differences",
    forest.differences(differences, "Difference of macro-AUC"),
    differences,
    f"Paired differences of macro-AUC over all labels on {on_test}. Bars: 95 % intervals over "
    f"{over}.",
    "Points with intervals around a line at zero, one per comparison.",
)

# %% [markdown]
# **What to see.** QINCo minus the summary numbers is what the classifier of tokens reads beyond
# percentiles. The best supervised network minus QINCo is an estimate of what the tokens lose; the
# classifiers differ too. RVQ minus VQ compares quantisers at equal bits. The two in the paper's
# figure have unequal bits.
#
# ## Which labels are easy, and which are lost?
#
# A category pools easy and hard labels. The figure has one row per label. Its axis is logarithmic
# in 1 - AUC. A label without a positive, or without a negative, has no AUC. It is named and left
# out.

# %% tags=["redraw"]
missing = class_counts.left_out(cells, stage.read("training_labels")["label"])
names = [LABELS[i] for i in missing["label"]]
print("not measured:", "; ".join(names) or "none")
listed = [name for name in ("qinco", "rvq", "deepsl", "raw", "summary") if name in of_method]
by_label = auc.by_label(pd.concat([of_method[m] for m in listed]), **options)
by_label.insert(2, "name", [LABELS[i] for i in by_label["label"]])
stage.table("auc_by_label", by_label, "AUC on test ECGs, label by label.")
measured = by_label.dropna(subset="value")
measured = measured.assign(place=measured["method"].map(listed.index), category=measured["name"])
measured = measured.sort_values(["place", "value"]).rename(columns={"positives": "count"})
of = {name: measured[measured["method"] == name].set_index("name")["value"] for name in listed}
best = "qinco" if "qinco" in of else "raw"

# %% tags=["redraw"]
stage.figure(
    "auc_by_label",
    dots.rows(measured, "cut"),
    measured,
    f"AUC by label on {on_test}; the axis is logarithmic in 1 - AUC. The hardest labels for "
    f"{style.method(listed[0]).name} are first. In brackets: test ECGs with the label. Bars: 95 % "
    f"intervals over {over}. Dashed: 0.5.",
    "One row per label with a dot and an interval per method.",
)
saturated = 0.99
for name, value in of.items():
    easy = value > saturated
    left = (1 - value[~easy]).sum() / max((1 - value).sum(), 1e-12)
    print(f"{style.method(name).name}: {easy.sum()} of {len(value)} labels are above {saturated};")
    print(f"  the other {(~easy).sum()} have {100 * left:.0f} % of the sum of 1 - AUC")
print("hardest:", "; ".join(f"{name} {v:.2f}" for name, v in of[best].nsmallest(5).items()))

# %% [markdown]
# **What to see.** Labels that every method separates almost perfectly can hardly rank two
# tokenizers; they are at the end of the figure. In its first rows, compare QINCo with the raw
# signal.
#
# ## Labels of one condition count once
#
# A macro-AUC over labels counts a condition twice if it has two labels. Left ventricular
# hypertrophy, for example, has its two voltage criteria. A committed table
# (`ecglib/labels/label_groups.csv`) puts the labels of one condition into one group. The AUC of a
# group is the mean over its labels. The table and the figure have the groups of which 30 test ECGs
# or more show a label.

# %% tags=["redraw"]
compared = [m for m in ("summary", "median_beat", "fsq", "qinco", "raw") if m in of_method]
least = min(30, 1 + n_ecgs // 20)  # test ECGs; fewer in a small cohort
drawn = pd.concat([of_method[m] for m in compared])
by_group = auc.by_group(drawn, GROUPS, least, **options)
stage.table("auc_by_group", by_group, "AUC on test ECGs by group of labels, one per condition.")
conditions = by_group[by_group["group"] != "All groups"]
value = conditions.pivot(index="group", columns="method", values="value")
room_by_group = (value["raw"] - value["summary"]).sort_values(ascending=False)
print(f"{len(value)} of {len(GROUPS)} groups have {least} test ECGs; macro-AUC over groups:")
by_group[by_group["group"] == "All groups"][["method", "value", "low", "high"]].round(3)

# %% tags=["redraw"]
drawn = pd.concat(conditions[conditions["group"] == name] for name in room_by_group.index)
drawn = drawn.sort_values("method", key=lambda of: of.map(compared.index), kind="stable")
drawn = drawn.rename(columns={"group": "category", "positives": "count"})
stage.figure(
    "auc_by_group",
    dots.rows(drawn, "cut", span=("summary", "raw")),
    drawn,
    f"AUC by group of labels on {on_test}, in the order of the room between summary numbers and "
    "the raw signal (grey bars), the largest first. In brackets: test ECGs with a label of the "
    f"group. Bars: 95 % intervals over {over}. The axis is logarithmic in 1 - AUC.",
    "One row per group of labels with a dot per method and a grey bar from summary numbers to the "
    "raw signal.",
)
closed = [name for name in room_by_group.index if room_by_group[name] <= 0.01]
print(
    f"in {len(closed)} of {len(value)} groups the raw signal is at most 0.01 of AUC above", end=" "
)
print("summary numbers:", "; ".join(closed) or "-")

# %% [markdown]
# **What to see.** In rows with a long bar up to the raw signal the order of the waves matters, so
# these rows can rank tokenizers. Rows with a short bar hardly can.
#
# ## Average precision counts false alarms
#
# An AUC does not change when a label becomes rarer, although its false alarms then outnumber its
# hits. The *average precision* (AUPRC) does change. Its value for a random ranking is the share of
# positives.

# %% tags=["redraw"]
precision = pd.concat(
    pd.DataFrame([{"average": average, "method": name, **vars(value)}])
    for average in ("macro", "micro")
    for name in order
    for value in [average_precision.average_precision(of_method[name], average, **options)]
)
level = {k: average_precision.random_level(of_method["raw"], k) for k in ("macro", "micro")}
stage.table("average_precision", precision, "Average precision on test ECGs over all labels.")
print("a random ranking: " + ", ".join(f"{k} {v:.3f}" for k, v in level.items()))
wide_tables.wide(precision, "method", "average")

# %% [markdown]
# ## Can the probabilities be believed?
#
# A classifier is calibrated if three in ten of all pairs with a predicted probability of 0.3 are
# positive, and so on. The *expected calibration error* is the mean distance between the predicted
# probability and the share of positives. Most labels are rare, so most pairs are in the lowest bins
# and can make the pooled error small. The table therefore has the mean over labels.

# %% tags=["redraw"]
listed = [m for m in (*PAPER, "raw") if m in of_method]
scored = pd.concat([of_method[m] for m in listed])
bins = calibration.reliability(scored, **options)
bins = bins.sort_values("method", key=lambda of: of.map(listed.index), kind="stable")
errors = calibration.summary(scored, **options)
stage.table("calibration", errors, "Expected calibration error (ece) and Brier score.")
stage.figure(
    "calibration",
    reliability.diagram(bins),
    bins,
    "(a) Share of positives against the predicted probability, all labels pooled, on "
    f"{on_test}. Dashed: perfect calibration. Bars: 95 % intervals over {over}. (b) Pairs of ECG "
    "and label by predicted probability, on a logarithmic axis.",
    "One line per method beside the diagonal; below, one step curve of counts per method.",
)
wide_tables.wide(errors[errors["average"] == "macro"], "method", "measure")

# %% [markdown]
# ## F1, and two ways to flatter it
#
# An F1 needs a threshold. Here each label has its own, chosen on validation patients. The released
# code chooses the threshold on the test ECGs themselves. Its "micro-F1" averages over both classes
# of all pairs, which is the accuracy. Where labels are rare, a method that never predicts a
# positive has a high accuracy. The released F1 is computed here once, to show the difference. All
# values are those of the first training seed.

# %% tags=["redraw"]
validated = stage.read("validation")
if learned is not None:  # those of this run first: its thresholds fit its own classifiers
    others = trained("validation")
    validated = pd.concat([validated, others[~others["method"].isin(validated["method"])]])
limits = thresholds.choose(validated)
once = {m: part[part["seed"] == part["seed"].min()] for m, part in of_method.items()}
once = {m: once[m] for m in listed if m in set(limits["method"])}
f1_table = pd.DataFrame(
    {"method": m, "average": average, **vars(thresholds.f1(part, limits, average, **options))}
    for average in ("macro", "micro")
    for m, part in once.items()
)
f1_released = thresholds.released(pd.concat(once.values())).round(3)
stage.table("f1", f1_table, "F1 on test ECGs at thresholds chosen on validation ECGs.")
caption = "F1 as the released code computes it: thresholds from test ECGs."
stage.table("f1_released", f1_released, caption)
columns = {"macro": "macro-F1", "micro": "micro-F1", "micro_f1": "released micro-F1 (accuracy)"}
columns |= {"accuracy_all_absent": "accuracy without a positive call"}
columns |= {"micro_f1_of_positives": "micro-F1 of positives, released threshold"}
columns |= {"macro_f1": "released macro-F1"}
both_f1 = wide_tables.wide(f1_table, "method", "average").merge(f1_released, on="method")
both_f1.rename(columns=columns)

# %% [markdown]
# **What to see.** Compare the released micro-F1 with the accuracy without a positive call. Then
# compare the micro-F1 with the released one of the same method.
#
# ## Sex, age and site
#
# A label can be measured in a subgroup only if the subgroup has ECGs with and without it. The
# numbers below are over the labels that every subgroup of a column can measure, so they are
# comparable.

# %% tags=["redraw"]
sample = pd.concat([of_method[m] for m in listed])
split = {c: n for c, n in subgroups.SUBGROUPS.items() if sample[c].nunique() > 1}
caption = (
    f"Macro-AUC by sex, age band and site on {on_test}, over the labels that each subgroup of a "
    "panel can measure (their number in brackets). The axis is logarithmic in 1 - AUC. Bars: 95 % "
    f"intervals over {over}. Dashed: 0.5."
)
if split:
    parts = pd.concat(subgroups.by_subgroup(sample, column, **options) for column in split)
    parts = parts.sort_values("method", key=lambda of: of.map(listed.index), kind="stable")
    stage.table("subgroups", parts, "Macro-AUC by sex, age band and site.")
    drawn = parts.rename(columns={"subgroup": "category", "labels": "count"})
    drawn = drawn.assign(panel=drawn["column"].map(split))
    alt = "A panel per variable with a row per subgroup and a dot per method."
    stage.figure("subgroups", dots.rows(drawn, "below"), drawn, caption, alt)
    spread = parts.groupby(["column", "method"])["value"].agg(lambda v: v.max() - v.min())
    widest = spread.groupby("column").max().round(3).to_dict()
    print("largest distance between two subgroups:", widest)
else:
    print("Sex, age and site are the same, or unknown, in all test ECGs.")

# %% [markdown]
# ## ECGs of another source
#
# A data plan can give a cohort the role `transfer`. Nothing is trained or chosen on such ECGs. The
# classifiers of the first seed score them here, over the labels of which those ECGs and the test
# ECGs have a positive and a negative. The column `here` has the test ECGs, over the same labels.
# The default plan has no such cohort; [a study](studies/transfer.py) goes from one hospital to
# another, and to real ECGs.

# %% tags=["redraw"]
moved = stage.read("labels_transfer") if stage.has("labels_transfer") else cells.head(0)
labels = class_counts.measured(moved)[""] if len(moved) else []
labels = sorted(set(labels) & set(class_counts.measured(cells)[""]))
items = [f"label:{label:02d}" for label in labels]
lines = []
for name, part in moved[moved["item"].isin(items)].groupby("method"):
    home = of_method[name]
    home = home[(home["seed"] == home["seed"].min()) & home["item"].isin(items)]
    for place, rows_of in {"here": home, "elsewhere": part}.items():
        lines.append({"method": name, "ecgs": place, **vars(auc.auc(rows_of, "macro", **options))})
if lines:
    transfer = pd.DataFrame(lines)
    stage.table("auc_transfer", transfer, "Macro-AUC on test ECGs and on those of the transfer.")
    print(f"{moved['ecg'].nunique()} ECGs, {len(labels)} labels; [95 % interval over patients]")
    display(wide_tables.wide(transfer, "method", "ecgs"))
else:
    print("the data plan has no ECG with the role transfer that can be scored")

# %% [markdown]
# ## Are FSQ's tokens fine enough for rhythm and PR?
#
# HeartLLM reads the tokens of FSQ. Such a token is one integer that stands for a grid point of few
# rounded numbers, and the classifier reads these grid points along time. First-degree AV block is
# listed beside the rhythms, because its sign is a long PR interval.

# %% tags=["redraw"]
both = cells[cells["method"].isin(["qinco", "fsq", "raw"])]
timed = [f"label:{label:02d}" for label in (*CATEGORIES["Rhythm Disorder"], Label.AV_BLOCK_1)]
timed = auc.by_label(both[both["item"].isin(timed)], **options)
timed.insert(2, "name", [LABELS[i] for i in timed["label"]])
stage.table("fsq_rhythm", timed, "AUC of labels of rhythm and of first-degree AV block.")
timed.pivot(index="name", columns="method", values="value").round(3)

# %% [markdown]
# **What to see.** A label that FSQ's tokens lose has a lower AUC in the column `fsq` than in the
# others. HeartLLM will hardly state a finding that this classifier does not read in the tokens.
#
# ## What it means

# %% tags=["redraw"]
raw_gain = gains["raw_minus_summary"]
print(f"- Raw signal minus summary numbers: {raw_gain.text()} of macro-AUC.")
classified = [name for name in (*TOKENIZERS, "latents") if name in of_method]
if classified and raw_gain.low > 0:
    floor = everything["summary", "macro"].value
    reach = {m: (everything[m, "macro"].value - floor) / raw_gain.value for m in classified}
    reach = [f"{style.method(m).name} {100 * share:.0f} %" for m, share in reach.items()]
    print(f"  Of this difference the classifiers of vectors reach {', '.join(reach)}.")
if "qinco_minus_rvq" in gains:
    gain = gains["qinco_minus_rvq"]
    side = "above" if gain.low > 0 else "below" if gain.high < 0 else "not clearly apart from"
    print(f"- The macro-AUC of QINCo's tokens is {side} that of RVQ's: {gain.text(4)}.")
if "supervised_minus_qinco" in gains:
    gain = gains["supervised_minus_qinco"]
    name = style.method(best_supervised).name
    print(f"- {name} minus QINCo: {gain.text()}; the registered limit is 0.03.")
if "latents" in of_method and "qinco" in of_method:
    # the latents are those of the first seed, so both are compared with the same seed
    first_seed = {m: part[part["seed"] == part["seed"].min()] for m, part in of_method.items()}
    pair = first_seed["latents"], first_seed["qinco"]
    lost = auc.difference(*pair, average="macro", **options)
    pair = first_seed[best_supervised], first_seed["latents"]
    before = auc.difference(*pair, average="macro", **options)
    print(f"- First seed, latents before quantisation minus QINCo's tokens: {lost.text(4)}.")
    print(f"  {style.method(best_supervised).name} minus these latents: {before.text(4)}.")

# %% tags=["redraw"]
easy = {name: int((value > saturated).sum()) for name, value in of.items()}
best_name = style.method(best).name
print(f"- {easy[best]} of {len(of[best])} labels are above {saturated} with {best_name}, and")
print(f"  {easy['summary']} with summary numbers. These labels hardly rank tokenizers here.")
alone = everything["prevalence", "micro"], everything["prevalence", "macro"]
print(f"- Prevalence alone: micro-AUC {alone[0].text()}, macro-AUC {alone[1].text()}.")
if empty:
    print(f"- Nothing can be concluded about {', '.join(empty)}.")
print(f"- The intervals cover {over}.")

# %% [markdown]
# A classifier shows that information is in the tokens. It does not show that a language model can
# use it: notebook [04_report_generation](04_report_generation.py) tests that. Simulated ECGs differ
# from real ones, so an AUC on them says nothing about the clinic.
#
# Three studies go further. [few_labels](studies/few_labels.py) asks how many labelled ECGs a
# classifier of tokens needs, and [transfer](studies/transfer.py) how far it transfers to other
# hospitals. [ptbxl_tasks](studies/ptbxl_tasks.py) has the standard tasks of PTB-XL.
#
# ## Try it yourself
#
# - In the first toy, replace `ABSENT` by `UNCERTAIN` and run the two cells. One known label is
#   left: the loss becomes $-\log 0.8 = 0.22$, and three gradients are zero.
# - In the toy of ranks, set `score = np.repeat([0.6, 0.4], 10)` and run the two cells. The AUC does
#   not change, because the order does not change.
# - Leave the last term of `ridge_loss` out and run its cell. The weights grow, and the `assert`
#   fails.
# - In the toy of the masked contrast, set `predicted = wanted` and run the cell. The prediction is
#   then right for every hidden position, and the loss is near its lowest value.
# - In the section on labels, set `saturated = 0.999` and run the cells. No more labels than before
#   can count as saturated.
#
# Previous: [02_tokenizers](02_tokenizers.py). Next:
# [04_report_generation](04_report_generation.py).

# %% tags=["plumbing"]
stage.finish()
