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
# | writes | probabilities of classifiers of decoded ECGs, of token vectors and of raw signals |
# | paper items | ECG-Tok, Fig. 2: micro-AUC by category of QINCo, RVQ, VQ, DeepSL and DeepSSL |
# | time | a minute in `smoke`, 13 to 16 nominal minutes in `laptop` |
# | memory | 3 to 9 GB in `laptop`, by processor |
#
# After this notebook you can
#
# - write down the forward pass and the loss of a multi-label classifier whose labels are partly
#   unknown,
# - say why a micro-AUC must be compared with prevalence and not with 0.5,
# - separate what the tokens hold from what a classifier reads easily in them,
# - write down the two contrastive losses from which a network learns without labels.
#
# Previous: [02_tokenizers](02_tokenizers.py). Next:
# [04_report_generation](04_report_generation.py).
#
# A small error in millivolts does not show that a finding is preserved. A P wave, for example, is
# small. A tokenizer that loses it has hardly a larger error. Here classifiers read the tokens, in
# two ways that answer two questions.
#
# - *What do the tokens hold?* The tokens are decoded, and a network that was trained on the raw
#   signal reads the result. The tokens have lost at most what it loses against the raw signal.
# - *What is easy to read in them?* ECG-Tok (section 2.4) trains a classifier on the frozen vectors
#   of the tokens. A finding that the first reader sees and this one misses was there to be read.
#
# Three *floors* need no network: prevalence, summary numbers, and these with the median beat.

# %% tags=["plumbing"]
import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch.nn.functional import cosine_similarity, pad, silu

from ecglib.classify import (
    deep_ssl_losses,
    efficientnet,
    prevalence,
    reads,
    summary_numbers,
    targets,
    train_classifier,
)
from ecglib.classify.loss import masked_bce
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, class_counts, wide_tables
from ecglib.evaluate.label_rows import label_rows
from ecglib.figures import auc_and_bits, category_bars, curves, dots, style

# %% tags=["plumbing"]
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
from ecglib.tokenizers.contract import mask_padding
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws initial weights, batches and resampled patients

# %% tags=["plumbing"]
stage = Stage("03", profile, data, seed, tag)
print(stage.banner())
settings = stage.section("classify")
TOKENIZERS = ("vq", "rvq", "qinco", "fsq", "bpe")  # their codes are decoded and read
PAPER = ("qinco", "rvq", "vq", "deepsl", "deepssl")  # the methods of ECG-Tok's Fig. 2

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
# In this toy a score that reads no ECG has a micro-AUC of 0.9. So 0.5 is not the floor of a
# micro-AUC. The first floor here reads no ECG: its score is the training prevalence of each label
# at the patient's hospital. It cannot raise the macro-AUC much, because a label's own AUC needs
# scores that differ between ECGs. The macro-AUC therefore comes first below.
#
# ## Which labels are scored
#
# A label is scored if enough training ECGs have it, and enough lack it. The test patients have no
# influence on that choice. The labels that are left out are named.

# %%
least = settings["head"]["min_positives"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
scored_labels = targets.scored_labels(cohort, least)
print(f"{len(scored_labels)} of {len(LABELS)} labels are present in {least}")
print("training ECGs or more, and absent in as many. Not scored:")
print("; ".join(LABELS[i] for i in range(len(LABELS)) if i not in scored_labels) or "none")

# %% [markdown]
# ## Summary numbers know nothing of the waves
#
# The second floor reads the ECG, but only 151 numbers of it, in a logistic regression. Twelve
# numbers describe each lead: percentiles, spread and skewness of its samples, and percentiles of
# their slopes. Seven describe the RR intervals. None of the twelve says *when* something happens.
# So a lead that is played backwards has the same twelve numbers, although its T waves now come
# before its QRS complexes.

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
# ## The median beat adds the shape of the waves
#
# The third floor reads the same 151 numbers and the median beat of each lead, which is the
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
# ## The first reader: a network on the signal
#
# This network reads all 12 leads at 250 Hz. Four convolutions with stride give one position per 32
# samples (128 ms). Residual blocks follow. A linear layer then classifies the mean and the maximum
# over the positions. The next cell computes the output step by step.

# %%
torch.manual_seed(seed)
plain = train_classifier.build(stage.part("raw").settings, len(scored_labels)).eval()
rows = cohort.rows("train")[:4]
signal, lengths = reads.reader("signals", {}, cohort, rows)(rows)  # (B, 12, 2500) mV, (B,) samples
with torch.no_grad():
    h = plain.layers(signal)  # (B, C, T)
    valid = (32 * torch.arange(h.shape[2]) < lengths[:, None])[:, None]  # no padding is pooled
    mean, largest = (h * valid).sum(2) / valid.sum(2), (h * valid).amax(2)
    logits = plain.classifier(torch.cat([mean, largest], dim=1))  # (B, labels)
    assert torch.allclose(logits, plain(signal, lengths), atol=1e-5)
print("features (B, C, T):", tuple(h.shape), "-> logits:", tuple(logits.shape))

# %% [markdown]
# It is trained once, on the raw signal. A decoded ECG looks different: it has less noise, for
# example. So a copy of the network is trained for two further epochs on the decoded training ECGs
# of each tokenizer. One more copy gets two further epochs on the originals. Otherwise a decoded ECG
# could look better than the original only because its reader was trained for longer.
#
# The cell decodes four ECGs. Their shape is that of the signal, so the network needs no change.

# %%
inputs = {
    name: {"tokenizer": stage.input("02", name), "codes": stage.input("02", f"{name}_codes")}
    for name in TOKENIZERS
}
for name, of in inputs.items():
    decoded = mask_padding(load(of["tokenizer"]).decode(read_codes(of["codes"], rows)), lengths)
    error = 1000 * (decoded - signal).abs().mean()
    print(f"{name}: decoded {tuple(decoded.shape)}, mean absolute error {error:.0f} microvolts")

# %% [markdown]
# ## The second reader: a classifier of the vectors
#
# ECG-Tok's classifier reads one frozen vector per position, for example the sum of the codewords of
# RVQ. The adapter in notebook 04 reads the same vectors of QINCo.

# %%
for name in ("vq", "rvq", "qinco"):
    tokenizer, codes = load(inputs[name]["tokenizer"]), read_codes(inputs[name]["codes"], rows)
    vectors, ends = tokenizer.features(codes, lengths)  # (B, T, D), (B,) positions
    print(f"{name}: codes {tuple(codes.shape)} -> vectors of four ECGs {tuple(vectors.shape)}")

# %% [markdown]
# ### EfficientNetV2: a block that widens, looks along time, and narrows
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
# a linear layer. The next cell follows four ECGs through it, scaled as the training vectors are.

# %%
head = stage.part("head_qinco").settings
classifier = train_classifier.build(head, len(scored_labels), vectors.shape[-1]).eval()
valid = efficientnet.valid_positions(ends, vectors.shape[1], vectors.dtype)
h, positions = (vectors - classifier.mean) / classifier.scale, ends  # (B, T, D), (B,)
with torch.no_grad():
    for block in classifier.blocks:
        before, positions = valid, efficientnet.strided(positions, block.stride)
        valid = efficientnet.valid_positions(positions, -(-h.shape[1] // block.stride), h.dtype)
        h = block(h, before, valid)
        print(f"{type(block).__name__:<10} (B, T, C): {tuple(h.shape)}")
    h = silu(classifier.head_norm(classifier.head(h), valid))
    logits = classifier.classifier(efficientnet.mean_over_time(h, valid))  # (B, labels)
    assert torch.allclose(logits, classifier(vectors, ends), atol=1e-4)
print("parameters:", sum(weight.numel() for weight in classifier.parameters()))

# %% [markdown]
# ## DeepSL: the same network on the raw signal
#
# The paper's supervised baseline reads the signal itself. Here it is the same EfficientNetV2 behind
# a stem of convolutions with stride. So DeepSL and the classifier of vectors differ mainly in what
# they read.

# %%
supervised = train_classifier.build(stage.part("deepsl").settings, len(scored_labels)).eval()
with torch.no_grad():
    h, positions = supervised.stem(signal, lengths)  # (B, T, C), (B,) positions
    logits = supervised.network(h, positions)  # (B, labels)
    assert torch.allclose(logits, supervised(signal, lengths), atol=1e-4)
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
# features of the signal, rounded to codewords that are learned at the same time. Other positions
# with the codewords of $t$ are left out of the sum. The toy has one ECG of five positions, three of
# them hidden, and no two targets are equal.

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
# ## Training
#
# For the methods of the paper's figure, the epoch with the lowest validation loss is scored; for
# the first reader, the last step. No step, size or learning rate is chosen on test ECGs. Sizes and
# learning rates were chosen on validation patients, once, and are the same for all tokenizers.

# %%
folders = {name: stage.make(f"floor_{name}") for name in ("summary", "median_beat")}
folders |= {name: stage.make(name) for name in ("raw", "raw_further", "deepsl")}
folders |= {f"{name}_decoded": stage.make(f"decoded_{name}") for name in TOKENIZERS}
folders |= {name: stage.make(f"head_{name}") for name in ("vq", "rvq", "qinco", "deepssl")}

# %% [markdown]
# Every known pair of a test ECG and a label becomes one row of the predictions. Validation curves,
# budgets, bits and counts of training ECGs are saved too.


# %% tags=["plumbing"]
def saved(name: str, role: str, methods: list[str]) -> str:
    """Save the predictions of some methods for the ECGs of a role."""
    of, parts = cohort.rows(role), []
    for method in methods:
        if method == "prevalence":
            scores = prevalence.scores(cohort, scored_labels, of)
        else:
            scores = pd.read_parquet(folders[method] / "scores.parquet")
        parts.append(label_rows(cohort.records, cohort.labels, scores, of, method, seed))
    return stage.predictions(name, pd.concat(parts)).name


print("predictions:", saved("labels", "test", ["prevalence", *folders]))
print("predictions:", saved("labels_qinco", "test", ["qinco_decoded"]))  # for notebook 09
print("predictions:", saved("validation", "validation", [*PAPER, "raw_further", "qinco_decoded"]))
if len(cohort.rows("transfer")):
    print("predictions:", saved("labels_transfer", "transfer", list(folders)))


# %% tags=["plumbing"]
def gathered(file: str) -> pd.DataFrame:
    """A table that every training writes, of all trainings."""
    every = folders | {"deepssl_pretraining": stage.make("deep_ssl")}
    files = {name: folder / file for name, folder in every.items()}
    parts = [pd.read_csv(path).assign(method=n) for n, path in files.items() if path.is_file()]
    return pd.concat(parts, ignore_index=True)


stage.data("training", gathered("validation.csv"))
stage.data("budget", gathered("budget.csv"))
rate = {name: load(of["tokenizer"]).rate() for name, of in inputs.items()}
stage.data("bits", pd.DataFrame([{"tokenizer": n, **vars(r)} for n, r in rate.items()]))
states = cohort.labels[cohort.rows("train")][:, scored_labels]
counted = {"label": scored_labels, "name": [LABELS[i] for i in scored_labels]}
counted |= {"present": (states == PRESENT).sum(0), "absent": (states == ABSENT).sum(0)}
counted["unknown"] = len(states) - counted["present"] - counted["absent"]
counted = stage.data("training_labels", pd.DataFrame(counted))

# %% [markdown]
# ## From here on: saved predictions
#
# Values with a 95 % interval are means over all training seeds of the run, unless a caption says
# otherwise. Losses, costs, examples and counts of single answers are of its own training seed.

# %%
cells = stage.read_seeds("labels")
of_method = {name: part for name, part in cells.groupby("method")}
order = ["prevalence", "summary", "median_beat", "vq", "rvq", "qinco", "deepssl", "deepsl"]
order += [f"{name}_decoded" for name in ("vq", "fsq", "bpe", "rvq", "qinco")]
order += ["raw", "raw_further"]
options = {"seed": seed, "resamples": settings["resamples"]}
on_test = f"{cells['ecg'].nunique()} test ECGs of {cells['unit'].nunique()} patients"
NAME = {name: style.method(name).name for name in order}
print(on_test)

# %% [markdown]
# How often is a label unknown? The table has the five labels that are unknown in the most training
# ECGs: uncertain, in the history only, or not assessable. A label cannot be assessed where another
# finding hides it. Unknown labels count in no loss and in no score.

# %%
counted = stage.read("training_labels")
caption = "Training ECGs by state of each scored label; unknown ones are masked."
stage.table("training_labels", counted, caption).nlargest(5, "unknown")

# %% [markdown]
# ## Did the trainings last too long?
#
# A loss on the validation patients that rises again means overfitting: the network fits training
# patients in ways that do not hold for others. The learning rate falls to zero at the end of a
# training, so the loss usually falls to the end as well. Therefore the curves cannot show whether
# more epochs would help. The loss is in *nats*, the unit of the natural logarithm.

# %%
course = stage.read("training")
drawn = course.assign(step=course["epoch"])[["method", "step", "loss"]]
stage.table("training", course.round(4), "Loss and macro-AUC on validation ECGs after each epoch.")
drawn = drawn[drawn["method"].isin([*PAPER, "raw"])]
ends_at = course.groupby("method")["epoch"].max()
epochs = ", ".join(f"{NAME[name]} {ends_at[name]}" for name in drawn["method"].unique())
figure = curves.loss(drawn, "Validation loss (nats per label)", log=True, xlabel="Epoch", smooth=1)
lowest_end = drawn.groupby("method")["loss"].last().idxmin()
stage.figure(
    "loss",
    figure,
    drawn,
    "Masked cross-entropy on validation ECGs after each epoch, on a logarithmic axis: the methods "
    f"of ECG-Tok's Fig. 2, and the network on the raw signal. Epochs: {epochs}. The table has all "
    f"{course['method'].nunique()} trainings. One training seed.",
    f"One curve per classifier against the epoch, lowest at the end: {NAME[lowest_end]}.",
)

# %%
lowest = course.loc[course.groupby("method")["loss"].idxmin()].set_index("method")["epoch"]
still = [NAME[name] for name in order if name in lowest and lowest[name] == ends_at[name]]
print(
    "Of all trainings in the table 03_training, those with the lowest validation loss at the last"
)
print("epoch, so without overfitting:", "; ".join(still))

# %% [markdown]
# A training that lasted too long would be missing from this list.
#
# How large is each classifier, and how much was it trained? An ECG view is one ECG in one epoch.
# *MFLOPs per ECG* are millions of floating-point operations of one forward pass. Readers that start
# from the raw network have its epochs behind them (*Epochs before*).

# %%
budget = stage.read("budget").set_index("method")
goes_on = [name for name in budget.index if name.endswith(("_decoded", "_further"))]
budget.loc[goes_on, "epochs_before"] = budget.loc["raw", "epochs"]
budget = budget.fillna({"epochs_before": 0}).reset_index().round(1)
stage.table("budget", budget, "Size and training of each classifier, tokenizers left out.")

# %% [markdown]
# ## What do the tokens hold? Macro-AUC
#
# The macro-AUC over all scored labels is the primary measure here, because every label counts once.
# The list goes from the floors to the raw signal. A name alone, such as *QINCo*, is the second
# reader: an EfficientNetV2 on the vectors. *QINCo, decoded* is the first reader: the network on
# decoded ECGs. FSQ and byte pairs have a second reader in the study [readers](studies/readers.py).

# %%
everything = {
    (name, average): auc.auc(of_method[name], average, **options)
    for average in ("macro", "micro")
    for name in order
}
overall = pd.DataFrame(
    {"method": name, "average": average, **vars(value)}
    for (name, average), value in everything.items()
)
stage.table("auc_overall", overall, "AUC over all scored labels.")
over = everything["qinco", "macro"].over
print(f"macro-AUC [95 % interval over {over}]")
for name in order:
    print(f"{NAME[name]}: {everything[name, 'macro'].text()}")

# %%
macro = overall[overall["average"] == "macro"].set_index("method")
bits = stage.read("bits").set_index("tokenizer")["bits_per_ecg"]
placed = [f"{name}_decoded" for name in TOKENIZERS] + [n for n in TOKENIZERS if n in macro.index]
drawn = macro.loc[placed].reset_index()
drawn["bits_per_ecg"] = drawn["method"].str.removesuffix("_decoded").map(bits)
levels = macro.loc[["summary", "median_beat", "raw_further"]].reset_index()
scored = drawn.set_index("method")["value"]
often = drawn["bits_per_ecg"].value_counts()
shared = " and ".join(f"{number:,.0f}" for number in sorted(often[often > 1].index))
shared = f", {shared} bits" if shared else ""
stage.figure(
    "auc_and_bits",
    auc_and_bits.points(drawn, levels),
    pd.concat([drawn, levels]),
    f"Macro-AUC over all labels against the bits of an ECG, on {on_test}. Both axes are "
    "logarithmic; the vertical one shows 1 - AUC, reversed. Decoded ECGs are read by the network "
    "on the raw signal after two further epochs on such ECGs, vectors by an EfficientNetV2. Lines: "
    f"two floors, and the raw signal. Bars and bands: 95 % intervals over {over}. Points of equal "
    f"bits are drawn slightly apart{shared}.",
    "Points with intervals, between lines of two floors and of the raw signal; the lowest point is "
    f"{NAME[scored.idxmin()]} ({scored.min():.2f}), the highest {NAME[scored.idxmax()]} "
    f"({scored.max():.2f}).",
)

# %% [markdown]
# **What to see.** The dotted line is of 151 summary numbers and a logistic regression, the dashed
# one of the median beat. A point below a line has the smaller macro-AUC. It is worse than that
# floor where its interval is below the floor's band. A point near the solid line has lost little.

# %%
for name, floor in {"summary": "summary numbers", "median_beat": "the median beat"}.items():
    under = [NAME[n] for n in placed if macro.at[n, "high"] < macro.at[name, "low"]]
    print(f"whole interval below that of {floor}: {'; '.join(under) or 'none'}")
lost = macro.at["raw_further", "value"] - macro.loc[placed, "value"]
lost = lost[lost.index.str.endswith("_decoded")].sort_values()
print("lost of the raw signal's macro-AUC:", end=" ")
print("; ".join(f"{NAME[name]} {value:z.3f}" for name, value in lost.items()))

# %% [markdown]
# ## The registered comparisons
#
# All differences below are paired: both methods are resampled with the same patients. Three are
# *primary* claims, on which the conclusions rest. With many claims, some hold by chance alone, so
# *Holm's correction* asks more of each primary claim, the more there are. Notebook 09 makes it over
# the whole run. The decoded tokens of QINCo must be above the strongest floor, the median beat.
# They may lose at most 0.02 against the raw signal under the same reader. And what they hold must
# be more than what the paper's reader finds in their vectors. That reader has more parameters, but
# fewer operations per ECG and fewer epochs (table above). If an open question fails, its interval
# also allows for no difference, or the opposite holds.

# %%
PAIRS = {
    "qinco_decoded_minus_median_beat": ("qinco_decoded", "median_beat"),
    "raw_minus_qinco_decoded": ("raw_further", "qinco_decoded"),
    "decoded_minus_vectors.qinco": ("qinco_decoded", "qinco"),
    "qinco_minus_rvq": ("qinco_decoded", "rvq_decoded"),
    "deepssl_minus_qinco": ("deepssl", "qinco"),
    "raw_minus_summary": ("raw", "summary"),
}
gains = {
    name: auc.difference(of_method[a], of_method[b], average="macro", **options)
    for name, (a, b) in PAIRS.items()
}
for name, gain in gains.items():
    stage.claim(f"auc.macro.{name}", **vars(gain))
for name in TOKENIZERS:
    stage.claim(f"auc.macro.{name}.decoded", **vars(everything[f"{name}_decoded", "macro"]))

# %%
named = {name: " minus ".join(NAME[method] for method in pair) for name, pair in PAIRS.items()}
differences = pd.DataFrame({"name": named[name], **vars(gain)} for name, gain in gains.items())
stage.table("auc_differences", differences, "Paired differences of macro-AUC over all labels.")
stage.print_claims(digits=4, only=[f"auc.macro.{name}" for name in gains])

# %% [markdown]
# ## Micro-AUC by category: the paper's figure
#
# Fig. 2 of ECG-Tok has five methods in six categories of labels. It pools all pairs of ECG and
# label of a category, so frequent labels count most. Where labels of a category differ in
# frequency, prevalence alone is above 0.5; with a single label it is near 0.5. The figure leaves a
# category out where its labels cannot be assessed in this source, or where the test ECGs have no
# positive or no negative.

# %%
table = pd.concat(
    auc.by_category(cells, CATEGORIES, average, **options).assign(average=average)
    for average in ("macro", "micro")
)
table = table.sort_values("method", key=lambda column: column.map(order.index), kind="stable")
stage.table("auc_by_category", table, "AUC on test ECGs, by category of labels.")
empty = table[(table["method"] == "raw") & table["value"].isna()]["category"].unique()
print("categories without both a positive and a negative:", ", ".join(empty) or "none")

# %%
pooled = table[table["average"] == "micro"]
floors = ["prevalence", "median_beat"]
drawn, floor = (pooled[pooled["method"].isin(names)] for names in (PAPER, floors))
in_order = [*wide_tables.FIGURE_2, "All"]
drawn = drawn.sort_values("category", key=lambda c: c.map(in_order.index), kind="stable")
drawn = drawn.sort_values("method", key=lambda column: column.map(PAPER.index), kind="stable")
empty = [] if set(drawn["category"]) <= set(empty) else empty  # something is drawn
in_figure, floor = (part[~part["category"].isin(empty)] for part in (drawn, floor))
left_out = f" Left out for lack of cases: {', '.join(empty)}." if len(empty) else ""
stage.figure(
    "auc_by_category",
    category_bars.grouped(in_figure, "Micro-AUC", floor),
    pd.concat([in_figure, floor]),
    f"Micro-AUC by category of labels on {on_test}, of the methods of ECG-Tok's Fig. 2. Whiskers: "
    f"95 % intervals over {over}. VQ has {bits['vq']:.0f} bits per ECG, RVQ {bits['rvq']:.0f}, "
    f"QINCo {bits['qinco']:.0f}. DeepSL and DeepSSL read the raw signal, DeepSSL after a training "
    "without labels. In brackets: pairs of an ECG and a label that it has. Bars begin at 0.5, and "
    "go down where a value is lower. But 0.5 is no floor of a micro-AUC. Two floors are black "
    "lines: solid, a guess by the prevalence at the ECG's hospital alone; dashed, a logistic "
    "regression on the median beat. Unknown labels do not count, so a category can have fewer "
    "patients than all labels. One label, anterior ST depression, is in two categories." + left_out,
    "Groups of five bars with intervals and lines for two floors, one group per category and one "
    "for all labels.",
)
as_printed = wide_tables.by_category(drawn, list(PAPER), overall=True)
as_printed = stage.table(
    "fig2", as_printed, "Micro-AUC by category of labels, methods of ECG-Tok's Fig. 2."
)
as_printed

# %%
micro = {name: everything[name, "micro"].value for name in PAPER}
best, worst = max(micro, key=micro.get), min(micro, key=micro.get)
print("In the paper, QINCo is level with DeepSL and DeepSSL, but for a slight decrease in classes")
print("such as Infarction, and VQ is clearly lower.")
by_method = drawn.set_index(["category", "method"])["value"].unstack()
for other in ("deepsl", "deepssl"):
    gap = (by_method[other] - by_method["qinco"]).reindex(list(wide_tables.FIGURE_2)).dropna()
    gap = gap.rename(wide_tables.FIGURE_2).sort_values(ascending=False)
    texts = "; ".join(f"{category} {less:z.3f}" for category, less in gap.items())
    print(f"Here {NAME[other]} minus QINCo, by category, the largest first: {texts or 'none'}.")
print(
    f"Here {NAME[best]} has the highest micro-AUC over all labels ({micro[best]:.3f}) and", end=" "
)
print(f"{NAME[worst]} the lowest ({micro[worst]:.3f}); QINCo has {micro['qinco']:.3f}.")
beat = everything["median_beat", "micro"].value
under = [NAME[name] for name in PAPER if micro[name] < beat]
print(
    f"The floor {NAME['median_beat']} has {beat:.3f}; lower than it: {'; '.join(under) or 'none'}."
)

# %% [markdown]
# ## Which labels are easy, and which are lost?
#
# A category pools easy and hard labels. The figure has one row per label. Its axis is logarithmic
# in 1 - AUC. A label without a positive, or without a negative, has no AUC. It is named and left
# out. A row has the short name of a finding; the file `03_auc_by_label.csv` has it beside the name
# in the paper's list. *Regular* is a regular rhythm, and *monomorph* means that all beats have one
# shape.

# %%
from ecglib.labels.findings import FINDINGS

missing = class_counts.left_out(cells, counted["label"])
print("not measured:", "; ".join(LABELS[i] for i in missing["label"]) or "none")
listed = ["qinco_decoded", "qinco", "raw_further", "median_beat"]
by_label = auc.by_label(pd.concat([of_method[m] for m in listed]), **options)
by_label.insert(2, "name", [LABELS[i] for i in by_label["label"]])
plain = {label: finding.name for label, finding in FINDINGS.items()}  # as other pages say it
by_label.insert(3, "finding", by_label["label"].map(plain).fillna(by_label["name"].str.lower()))
stage.table("auc_by_label", by_label, "AUC on test ECGs, label by label.")
measured = by_label.dropna(subset="value")
measured = measured.assign(place=measured["method"].map(listed.index))
measured = measured.sort_values(["place", "value"])
measured = measured.rename(columns={"positives": "count", "finding": "category"})
of = {name: measured[measured["method"] == name].set_index("category")["value"] for name in listed}

# %%
stage.figure(
    "auc_by_label",
    dots.rows(measured, "cut"),
    measured,
    f"AUC by label on {on_test}; the axis is logarithmic in 1 - AUC. {dots.at_edge(measured)} The "
    f"labels are in the order of {NAME[listed[0]]}, the hardest first. In brackets: test ECGs with "
    "the label. Labels that are unknown in an ECG do not count. "
    f"Lines: 95 % intervals over {over}.{dots.dashed(measured)}",
    "One row per label with a dot and an interval per method.",
)
saturated = 0.99
for name, value in of.items():
    print(f"{NAME[name]}: {(value > saturated).sum()} of {len(value)} labels are above {saturated}")
lost = (of["raw_further"] - of["qinco_decoded"]).nlargest(3)
print(
    "largest of all losses of AUC, raw signal minus decoded QINCo:",
    "; ".join(f"{n} {v:.3f}" for n, v in lost.items()),
)
unread = (of["qinco_decoded"] - of["qinco"]).nlargest(3)
print("held but not read in the vectors:", "; ".join(f"{n} {v:.3f}" for n, v in unread.items()))

# %% [markdown]
# ## What it means

# %%
of = {name: everything[name, "macro"].value for name in order}
floor = max(("summary", "median_beat"), key=of.get)
print("Which findings survive in the tokens? Under one reader, QINCo's tokens", end=" ")
print(f"have a macro-AUC of {of['qinco_decoded']:.3f}, the raw signal", end=" ")
kept = gains["raw_minus_qinco_decoded"]
print(f"{of['raw_further']:.3f} (difference {kept.text(4)}), and the strongest floor,", end=" ")
print(f"{NAME[floor]}, {of[floor]:.3f}.")
for name in TOKENIZERS:
    part = of_method[f"{name}_decoded"]
    lost = auc.difference(of_method["raw_further"], part, average="macro", **options)
    print(f"- {NAME[f'{name}_decoded']}: {bits[name]:.0f} bits, loses {lost.text()}")

# %%
unread = gains["decoded_minus_vectors.qinco"]
print(f"- The paper's reader finds {of['qinco']:.3f} in QINCo's vectors. The decoded", end=" ")
print(f"tokens minus these vectors: {unread.text()}.")
for one, other in (("raw_further", "deepsl"), ("deepsl", "qinco")):
    step = auc.difference(of_method[one], of_method[other], average="macro", **options)
    print(f"  - {NAME[one]} minus {NAME[other]}: {step.text()}")
below = auc.difference(of_method["qinco"], of_method["summary"], average="macro", **options)
print(f"  - {NAME['qinco']} minus {NAME['summary']}, a floor: {below.text()}")
print(f"- Intervals are over {over}.")

# %% [markdown]
# The first two differences add up to about this gap. The first is between two networks that read
# the raw signal, so it is due to the reader and its training. The second is mainly due to what is
# read; DeepSL has a trained stem as well.
#
# The first reader shows that information is in the tokens. Neither shows that a language model can
# use it: notebook [04_report_generation](04_report_generation.py) tests that. Simulated ECGs differ
# from real ones, so an AUC on them says nothing about the clinic.
#
# Six studies go further: [readers](studies/readers.py), more representations and readers;
# [longer_readers](studies/longer_readers.py), the classifiers of the paper's Fig. 2 after four
# times the updates; [reliability](studies/reliability.py), probabilities, thresholds and subgroups;
# [few_labels](studies/few_labels.py), how many labels are needed; [transfer](studies/transfer.py),
# other hospitals; [ptbxl_tasks](studies/ptbxl_tasks.py), the standard tasks of PTB-XL.
#
# ## Try it yourself
#
# 1. In the first toy, replace `ABSENT` by `UNCERTAIN` and run the cell. What becomes of the loss?
# 2. In the toy of the masked contrast, set `predicted = wanted` and run the cell. What is the loss
#    now?
#
# <details><summary>What happens</summary>
#
# 1. One known label is left: the loss becomes $-\log 0.8 = 0.22$.
# 2. The prediction is right for every hidden position, so the loss is near its lowest value.
#
# </details>
#
# Previous: [02_tokenizers](02_tokenizers.py). Next:
# [04_report_generation](04_report_generation.py).

# %% tags=["plumbing"]
stage.finish()
