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
# | reads | the cohort of 01; the tokenizers RVQ and QINCo and the codes of 02 |
# | writes | one probe per tokenizer; the probability of every label on every test ECG |
# | paper items | ECG-Tok, Fig. 2: micro-AUC by category |
# | time | 9 s in `smoke`, 60 s in `laptop` on two cores |
# | memory | 1.6 GB in `laptop` |
#
# After this notebook you can
#
# - write down the forward pass and the loss of a multi-label probe whose labels are partly unknown,
# - say why a micro-AUC must be compared with prevalence and not with 0.5,
# - see in a table of labels whether an AUC can rank two tokenizers at all.
#
# Previous: [02_tokenizers](02_tokenizers.py). Next:
# [04_report_generation](04_report_generation.py).
#
# A small error in millivolts does not show that a finding is preserved. A P wave, for example, is
# small. A tokenizer that loses it has hardly a larger error. Here a classifier is trained on the
# frozen embeddings of the tokens. Such a classifier is called a *probe*. A label that the probe
# separates is still in the tokens. A label that it does not separate may be lost, or the probe may
# be too small or too briefly trained.
#
# **Ours, not the paper's:** ECG-Tok trains a 1-D EfficientNetV2 on the same frozen embeddings. The
# probe here is a small 1-D residual network with attention pooling. The paper's Fig. 2 also has
# VQ and two networks on the raw signal, DeepSL and DeepSSL; these three bars are missing here.

# %% tags=["redraw", "plumbing"]
import numpy as np
import pandas as pd
import torch
import yaml
from scipy.stats import rankdata

from ecglib.classify import prevalence, probe, targets
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, bootstrap, predictions, wide_tables
from ecglib.figures import bars, curves, forest
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
from ecglib.tokenizers.encode import read_latents
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws initial weights, batches and resampled patients

# %% tags=["redraw", "plumbing"]
stage = Stage("03", profile, data, seed, tag)
print(stage.banner())

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
cell = -target * p.log() - (1 - target) * (1 - p).log()  # (1, 4), one loss per label
by_hand = (cell * known).sum() / known.sum()
loss = probe.masked_bce(logits, target, known)
print(f"known {known.int().tolist()}: by hand {by_hand:.4f}, library {loss:.4f}")
print(f"unknown counted as absent: {cell.mean():.4f}")
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
truth = np.array([1] * 9 + [0] + [1] + [0] * 9)
score = np.repeat([0.9, 0.1], 10)
ranks = rankdata(score)
n1 = truth.sum()
n0 = len(truth) - n1
by_hand = (ranks[truth == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)

# %%
labels = np.repeat([Label.LBBB, Label.TALL_R_AVL], 10)
toy = pd.DataFrame({"unit": range(20), "item": [f"label:{i:02d}" for i in labels]})
toy = toy.assign(target=truth.astype(str), score=score)
micro, macro = (auc.auc(toy, average=kind, resamples=50).value for kind in ("micro", "macro"))
print(f"micro-AUC by ranks {by_hand:.2f}, library {micro:.2f}; macro-AUC {macro:.2f}")
assert np.isclose(micro, by_hand) and macro == 0.5

# %% [markdown]
# A score that reads no ECG has a micro-AUC of 0.9. So 0.5 is not the floor of a micro-AUC. A
# *floor* is the score of a trivial method that a model must beat. The floor here reads no ECG: its
# score is the training prevalence of each label at the patient's hospital. It appears beside the
# probes in every table below. It cannot raise the macro-AUC much, since a label's own AUC needs
# scores that differ between ECGs.
#
# ## The probe, layer by layer
#
# A label is scored if enough training ECGs have it. The test patients have no influence on that
# choice. The probe reads the frozen vectors of the codes, one per time step. ECG-Tok's adapter in
# notebook 04 reads the same vectors.

# %%
settings = stage.section("classify")
config = settings["probe"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
scored_labels = targets.scored_labels(cohort, config["min_positives"])
print(f"{len(scored_labels)} of {len(LABELS)} labels have {config['min_positives']} training ECGs")
inputs = {
    name: {"tokenizer": stage.input("02", name), "codes": stage.input("02", f"{name}_codes")}
    for name in ("rvq", "qinco")
}
rows = cohort.rows("train")[:4]
tokenizer = load(inputs["qinco"]["tokenizer"])
vectors, lengths = read_latents(tokenizer, inputs["qinco"]["codes"], cohort, rows)
print("vectors of four ECGs (B, T, D):", tuple(vectors.shape), "valid lengths:", lengths.tolist())

# %% [markdown]
# First the vectors are standardised and projected to the width $W$ of the probe. Then come residual
# blocks of two convolutions over time. A mask keeps padding at zero where a recording is shorter
# than 10 s.

# %%
torch.manual_seed(seed)
sizes = {key: config[key] for key in ("width", "blocks", "heads", "dropout")}
untrained = probe.Probe(vectors.shape[-1], len(scored_labels), **sizes).eval()
mask = (torch.arange(vectors.shape[1]) < lengths[:, None])[..., None]  # (B, T, 1)
with torch.no_grad():
    h = untrained.input_projection((vectors - untrained.mean) / untrained.scale)  # (B, T, W)
    for block in untrained.blocks:
        inner = (block.norm(h) * mask).transpose(1, 2)  # (B, W, T), as convolutions read it
        inner = torch.nn.functional.gelu(block.conv1(inner)) * mask.transpose(1, 2)
        h = h + block.conv2(inner).transpose(1, 2)
    h = untrained.norm(h)
print("features (B, T, W):", tuple(h.shape))

# %% [markdown]
# Each attention head gives every time step a weight, and the weights of a head sum to one over the
# valid steps. The weighted means of all heads are concatenated and mapped to one logit per label.

# %%
with torch.no_grad():
    weight = untrained.attention(h).masked_fill(~mask, -torch.inf).softmax(1)  # (B, T, heads)
    means = [(weight[..., i : i + 1] * h).sum(1) for i in range(config["heads"])]
    pooled = torch.cat(means, dim=1)  # (B, heads * W)
    logits = untrained.classifier(pooled)  # (B, labels)
    assert torch.allclose(logits, untrained(vectors, lengths), atol=1e-5)
print("pooled:", tuple(pooled.shape), "-> logits:", tuple(logits.shape))
print("parameters of the probe:", sum(part.numel() for part in untrained.parameters()))

# %% [markdown]
# The loss of these four ECGs is the masked cross-entropy from above. Many labels of an ECG can be
# unknown, for example those that a wide QRS complex hides.

# %%
target, known = map(torch.from_numpy, targets.binary_targets(cohort.labels[rows][:, scored_labels]))
loss = probe.masked_bce(logits, target, known)
print(f"known pairs: {int(known.sum())} of {known.numel()}; loss {loss:.3f} (log 2 is 0.693)")

# %% [markdown]
# ## Training
#
# Both tokenizers get the same probe, the same batches and the same number of steps. The weights
# after the last step are scored. No step, size or threshold is chosen on validation or test ECGs.

# %%
folders = {}
for name, of_tokenizer in inputs.items():
    read = {"cohort": cohort_folder, **of_tokenizer}
    folders[name] = stage.step(f"probe_{name}", probe.train, config, read)

# %% [markdown]
# Every known pair of a test ECG and a label becomes one row of the predictions. All results below
# are computed from these rows. The counts of training ECGs and the training losses are saved too.

# %% tags=["plumbing"]
rows = cohort.rows("test")
scores = {name: pd.read_parquet(folder / "scores.parquet") for name, folder in folders.items()}
scores = {name: frame[frame["row"].isin(rows)] for name, frame in scores.items()}
scores["prevalence"] = prevalence.scores(cohort, scored_labels, rows)


def known_pairs(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Scores by row and label -> predictions of the pairs whose state is known."""
    state = cohort.labels[frame["row"], frame["label"]]
    keep = (state == PRESENT) | (state == ABSENT)
    frame, state = frame[keep], state[keep]
    item = frame["label"].map("label:{:02d}".format)
    target, records = (state == PRESENT).astype(int).astype(str), cohort.records.iloc[frame["row"]]
    return predictions.build(records, name, seed, item, target=target, score=frame["score"])


frames = [known_pairs(name, scores[name]) for name in ("prevalence", "rvq", "qinco")]
print("predictions:", stage.predictions("labels", pd.concat(frames)).name)

# %% tags=["plumbing"]
states = cohort.labels[cohort.rows("train")][:, scored_labels]
counted = {"label": scored_labels, "name": [LABELS[i] for i in scored_labels]}
counted |= {"present": (states == PRESENT).sum(0), "absent": (states == ABSENT).sum(0)}
counted["unknown"] = len(states) - counted["present"] - counted["absent"]
counted = stage.data("training_labels", pd.DataFrame(counted))
stage.losses(folders)

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

# %% tags=["redraw"]
history = stage.read("history")
last = curves.last_fifth(history)
stage.figure(
    "loss",
    curves.loss(history, ylabel="Masked cross-entropy (nats per label)"),
    history,
    f"Training loss of the probes on the tokens of RVQ and QINCo, {history['step'].max() + 1} "
    "steps each on the same batches. Faint: single steps; strong: running mean.",
    "Two falling loss curves, one per tokenizer, against the training step.",
)

# %% [markdown]
# **What to see.** Check whether both curves have become flat. A curve that still falls at its end
# means that the probe was stopped early, and its AUC may then understate what the tokens hold.

# %% tags=["redraw"]
print(f"mean loss of the last fifth: RVQ {last['rvq']:.4f}, QINCo {last['qinco']:.4f}")

# %% [markdown]
# ## Micro-AUC by category: the paper's figure
#
# A category stays empty where its labels cannot be assessed in this source, or where the test ECGs
# have no positive or no negative.

# %% tags=["redraw"]
cells = stage.read("labels")
options = {"seed": seed, "resamples": stage.section("classify")["resamples"]}
table = pd.concat(
    auc.by_category(cells, CATEGORIES, average, **options).assign(average=average)
    for average in ("micro", "macro")
)
order = ["prevalence", "rvq", "qinco"]
table = table.sort_values("method", key=lambda column: column.map(order.index), kind="stable")
stage.table("auc_by_category", table, "AUC on test ECGs, by category of labels.")
micro = table[table["average"] == "micro"]
empty = micro[(micro["method"] == "qinco") & micro["value"].isna()]["category"].tolist()
print("categories without both a positive and a negative:", ", ".join(empty) or "none")

# %% tags=["redraw"]
wide = {k: wide_tables.wide(part, "category", "method") for k, part in table.groupby("average")}
counts = micro[micro["method"] == "qinco"][["category", "labels", "positives"]]
print("micro-AUC [95 % interval over patients]")
counts.merge(wide["micro"], on="category")

# %% tags=["redraw"]
print("macro-AUC [95 % interval over patients]")
wide["macro"]

# %% tags=["redraw"]
n_ecgs, n_patients = cells["ecg"].nunique(), cells["unit"].nunique()
on_test = f"{n_ecgs} test ECGs of {n_patients} patients"
stage.figure(
    "auc_by_category",
    bars.grouped(micro, baseline=0.5),
    micro,
    f"Micro-AUC of the probes by category of labels on {on_test}, beside prevalence alone. "
    "The axis is logarithmic in 1 - AUC, so that differences near 1 can be seen. Bars: 95 % "
    "intervals over patients. Dashed: 0.5.",
    "Dots with intervals for prevalence, RVQ and QINCo, in one row per category and one for all.",
)

# %% [markdown]
# **What to see.** Look first at the distance from each probe to *prevalence* in the same category,
# not to 0.5. Look then at the distance between RVQ and QINCo. On this axis a step from 0.90 to 0.99
# is as long as one from 0.99 to 0.999.

# %% tags=["redraw"]
numbers = ["value", "low", "high", "n"]
all_labels = table[table["category"] == "All"].set_index(["average", "method"])
overall = {key: bootstrap.Estimate(*row) for key, *row in all_labels[numbers].itertuples()}
best = max(overall["micro", name].value for name in ("rvq", "qinco"))
print(f"prevalence alone: micro-AUC {overall['micro', 'prevalence'].text()},")
print(f"  macro-AUC {overall['macro', 'prevalence'].text()}")
print(f"room above the better probe: {1 - best:.4f} of micro-AUC")

# %% [markdown]
# ## What the figure hides: saturated labels
#
# A category pools easy and hard labels. A label is called saturated here if its AUC is above 0.99.
# Such a label can hardly rank two tokenizers, because both separate it almost perfectly.

# %% tags=["redraw"]
by_label = auc.by_label(cells, **options)
by_label.insert(2, "name", [LABELS[i] for i in by_label["label"]])
stage.table("auc_by_label", by_label, "AUC on test ECGs, label by label.")
saturated = 0.99
of = {name: by_label[by_label["method"] == name].set_index("name") for name in ("rvq", "qinco")}
values = {name: part["value"].dropna() for name, part in of.items()}
for name, value in values.items():
    easy = value[value > saturated]
    missing = (1 - value[value <= saturated]).sum() / max((1 - value).sum(), 1e-12)
    print(f"{name}: {len(easy)} of {len(value)} labels have an AUC above {saturated}; the other")
    print(f"  {len(value) - len(easy)} carry {100 * missing:.0f} % of what is missing to 1")

# %% tags=["redraw"]
columns = ["positives", "negatives", "value", "low", "high"]
of["qinco"][columns].sort_values("value").round(3)

# %% [markdown]
# A label with few positives has a wide interval, and one that no test ECG has shows no value. The
# next figure takes the labels with the lowest AUC, where the two tokenizers can differ, and draws
# QINCo minus RVQ. Both probes are resampled with the same patients, so the difference is paired.

# %% tags=["redraw"]
pairs = {name: dict(list(part.groupby("item"))) for name, part in cells.groupby("method")}
hardest = of["qinco"].dropna(subset=["value"]).nsmallest(12, "value")
paired = []
for name, label in hardest["label"].items():
    item = f"label:{label:02d}"
    gain = auc.difference(pairs["qinco"][item], pairs["rvq"][item], **options)
    paired.append({"name": name, "auc_qinco": hardest.at[name, "value"], **vars(gain)})
paired = pd.DataFrame(paired)
stage.table("label_differences", paired, "AUC of QINCo minus RVQ for the hardest labels.")
clear = {"ahead": (paired["low"] > 0).sum(), "behind": (paired["high"] < 0).sum()}

# %% tags=["redraw"]
stage.figure(
    "label_differences",
    forest.differences(paired, "AUC of QINCo minus RVQ"),
    paired,
    f"AUC of QINCo minus AUC of RVQ for the {len(paired)} labels with the lowest AUC of QINCo, "
    f"lowest first, on {on_test}. Bars: paired 95 % intervals over patients.",
    "Points with intervals around a line at zero, one per label.",
)
print(f"QINCo is clearly ahead in {clear['ahead']} of {len(paired)} labels, clearly behind in")
print(f"  {clear['behind']}; the other intervals include zero")

# %% [markdown]
# **What to see.** Check on which side of zero the intervals are. With twelve labels, one interval
# that excludes zero by chance is not unusual, because these intervals are not corrected for their
# number.
#
# ## Differences over all labels
#
# The two comparisons can differ in size by orders of magnitude, so each has a scale of its own.

# %% tags=["redraw"]
of_method = {name: part for name, part in cells.groupby("method")}
everything = auc.auc(of_method["qinco"], **options)
stage.claim("classify.qinco.micro_auc", **vars(everything))
differences, gains = [], {}
for panel, other in {"QINCo minus prevalence": "prevalence", "QINCo minus RVQ": "rvq"}.items():
    for average in ("micro", "macro"):
        gain = auc.difference(of_method["qinco"], of_method[other], average=average, **options)
        gains[other, average] = gain
        differences.append({"panel": panel, "name": f"{average}-AUC", **vars(gain)})
    stage.claim(f"classify.qinco_minus_{other}.micro_auc", **vars(gains[other, "micro"]))
differences = pd.DataFrame(differences)
stage.table("auc_differences", differences, "Paired differences of AUC over all labels.")
stage.figure(
    "auc_differences",
    forest.differences(differences, "Difference of AUC over all labels"),
    differences,
    f"Paired differences of micro-AUC and macro-AUC over all labels on {on_test}; the two panels "
    "have different scales. Bars: 95 % intervals over patients.",
    "Two panels with two points each: QINCo minus prevalence, and QINCo minus RVQ.",
)

# %% [markdown]
# **What to see.** In panel a, the distance from zero is what the probe gains from the ECG. In panel
# b, read the numbers on the axis first: they show how small or large the difference between the two
# tokenizers is.
#
# ## Are FSQ's tokens fine enough for rhythm and PR?
#
# HeartLLM reads the tokens of FSQ, one small integer per token instead of QINCo's vector. The same
# probe reads their grid points along time. First-degree AV block is listed beside the rhythms,
# because its sign is a long PR interval.

# %%
read = {"cohort": cohort_folder, "tokenizer": stage.input("02", "fsq")}
read |= {"codes": stage.input("02", "fsq_codes")}
frame = pd.read_parquet(stage.step("probe_fsq", probe.train, config, read) / "scores.parquet")
of_fsq = known_pairs("fsq", frame[frame["row"].isin(rows)])
print("predictions:", stage.predictions("labels_fsq", of_fsq).name)

# %% tags=["redraw"]
both = pd.concat([cells[cells["method"] == "qinco"], stage.read("labels_fsq")])
timed = [f"label:{label:02d}" for label in (*CATEGORIES["Rhythm Disorder"], Label.AV_BLOCK_1)]
timed = auc.by_label(both[both["item"].isin(timed)], **options)
timed.insert(2, "name", [LABELS[i] for i in timed["label"]])
stage.table("fsq_rhythm", timed, "AUC of labels of rhythm and of first-degree AV block.")
timed.pivot(index="name", columns="method", values="value").round(3)

# %% [markdown]
# **What to see.** A label that FSQ's tokens lose has a lower AUC in the column `fsq`. HeartLLM can
# hardly read from its tokens what the probe does not find in them.
#
# ## What it means

# %% tags=["redraw"]
gain = gains["rvq", "micro"]
side = (
    "better than"
    if gain.low > 0
    else "worse than"
    if gain.high < 0
    else "not clearly different from"
)
print(f"- On {on_test}, the tokens of QINCo are")
print(f"  {side} those of RVQ in micro-AUC: {gain.text(4)}.")
rest = {name: 1 - overall["micro", name].value for name in ("rvq", "qinco")}
if rest["rvq"] > 0:
    print(f"- What is missing to 1 is {rest['qinco']:.4f} for QINCo and {rest['rvq']:.4f} for RVQ,")
    print(f"  a ratio of {rest['qinco'] / rest['rvq']:.2f}.")
registry = yaml.safe_load(stage.file("notebooks/claims.yaml").read_text(encoding="utf-8"))
tolerance = {claim["id"]: claim["tolerance"] for claim in registry}
allowed = tolerance["classify.qinco_minus_rvq.micro_auc"]
print(f"- The registered claim 'no worse' allows a loss of {allowed}. What is missing to 1 for RVQ")
print(f"  is {rest['rvq']:.4f}.")
if allowed > 0.5 * rest["rvq"]:
    print("  A tolerance of that size is hardly ever exceeded, so the verdict 'holds' says little.")

# %% tags=["redraw"]
easy = {name: int((value > saturated).sum()) for name, value in values.items()}
print(f"- {easy['qinco']} of {len(values['qinco'])} labels are saturated with QINCo's tokens, and")
print(f"  {easy['rvq']} with RVQ's. Only the others can rank tokenizers on these data.")
lowest = values["qinco"].nsmallest(3)
print("- Hardest for QINCo:", "; ".join(f"{name} {v:.2f}" for name, v in lowest.items()) + ".")
if empty:
    print(f"- Nothing can be concluded about {', '.join(empty)}.")
print(f"- The intervals cover patients; each probe was trained once, with seed {seed}.")

# %% [markdown]
# A probe shows that information is in the tokens. It does not show that a language model can use
# it: notebook [04_report_generation](04_report_generation.py) tests that. Simulated ECGs are
# cleaner and simpler than real ones, so an AUC near 1 here says nothing about the clinic.
#
# ## Try it yourself
#
# - In the first toy, replace `ABSENT` by `UNCERTAIN` and run the two cells. One known label is
#   left: the loss becomes $-\log 0.8 = 0.22$, and three gradients are zero.
# - In the toy of ranks, set `score = np.repeat([0.6, 0.4], 10)` and run the two cells. The AUC does
#   not change, because the order does not change.
# - In the section on saturated labels, set `saturated = 0.999` and run the cell. No more labels
#   than before can count as saturated; see how much of the deficit the others then carry.
#
# Previous: [02_tokenizers](02_tokenizers.py). Next:
# [04_report_generation](04_report_generation.py).

# %% tags=["plumbing"]
stage.finish()
