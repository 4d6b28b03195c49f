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
# # Do ECG tokens and words share a space, and what does an answer look at?
#
# | | |
# |---|---|
# | reads | cohort (01), tokenizers (02), language model and questions (04), systems (05, 06) |
# | writes | embeddings of matched ECGs and reports, their UMAP, the attention of one answer |
# | paper items | HeartLLM, Fig. 1 (UMAP of both modalities), Fig. 4a-b (attention over a signal) |
# | time | 18 s in `smoke`, a minute in `laptop` on two cores |
# | memory | 1.3 GB in `laptop` |
#
# After this notebook you can
#
# - compute the embedding of an ECG and of its report, and the rank at which one finds the other;
# - say why overlapping clouds in a UMAP do not show that ECGs and words are aligned;
# - read an attention map, and name what it cannot prove.
#
# Previous: [07_ablations](07_ablations.py). Next: [09_discussion](09_discussion.py).
#
# UMAP is a method that arranges vectors of many dimensions as points in a plane, so that near
# vectors stay near. HeartLLM's Fig. 1 is a UMAP in which ECG tokens and text overlap. The paper
# concludes that both share one semantic space. A picture in two dimensions is weak evidence for
# that. The embeddings of new tokens start with the mean and the spread of the word embeddings, so
# some overlap might be there before anything is learned. **Ours, not the paper's:** the untrained
# model is the control, and numbers from the full space are printed beside the pictures.

# %% tags=["plumbing"]
from textwrap import shorten

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from ecglib.evaluate import bootstrap, exact_match, modality, wide_tables
from ecglib.figures import ecg_leads, umap
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws test patients, shuffled pairs, the layout of UMAP

# %% tags=["plumbing"]
stage = Stage("08", profile, data, seed, tag)
print(stage.banner())

# %% tags=["plumbing"]
import torch
from safetensors.numpy import load_file
from scipy.stats import norm
from transformers import LlamaConfig, LlamaForCausalLM

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.language import alignment
from ecglib.language.base import Base
from ecglib.language.heartllm import EcgTokenEmbedding
from ecglib.language.system import System
from ecglib.tokenizers.load import load as load_tokenizer

# %% [markdown]
# ## One embedding per ECG: the mean over its tokens
#
# A language model turns a sequence of L tokens into L vectors of d numbers. An ECG of T tokens
# enters between two brackets, so L = T + 2. Its embedding is the mean over the T positions between
# the brackets, scaled to length 1. Padding tokens of a short text are left out of the mean. Three
# toy ECGs follow, with d = 4. The third one has only two valid tokens.

# %%
draw = torch.Generator().manual_seed(seed)
hidden = torch.randn(3, 6, 4, generator=draw)  # (ECGs, positions, d)
valid = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]]).bool()
inside = hidden[:, 1:5]  # (3, 4, 4): without the two brackets
mean = torch.stack([vectors[keep].mean(0) for vectors, keep in zip(inside, valid, strict=True)])
by_hand = mean / mean.norm(dim=1, keepdim=True)
assert torch.allclose(by_hand, alignment.pool(inside, valid), atol=1e-6)
print("hidden states", tuple(hidden.shape), "-> embeddings", tuple(by_hand.shape))

# %% [markdown]
# ## Retrieval: does an ECG find its own report?
#
# Both clouds are centred first, so that a constant offset between ECGs and texts does not count.
# The similarity of an ECG and a text is the cosine of their embeddings. The rank of the own text is
# one plus the number of texts with a higher cosine, and the score is 1 / rank. The mean of the
# scores is the MRR (mean reciprocal rank). It is 1 when every ECG finds its own report first. Ties
# count half.

# %%
texts = by_hand + 0.5 * torch.randn(by_hand.shape, generator=draw)  # (3, 4): noisy partners
ecg, text = (cloud.numpy() - cloud.numpy().mean(0) for cloud in (by_hand, texts))
ecg, text = (cloud / np.linalg.norm(cloud, axis=1, keepdims=True) for cloud in (ecg, text))
cosine = ecg @ text.T  # (3, 3): row i is ECG i against all texts
own = np.diag(cosine)
rank = 1 + (cosine > own[:, None]).sum(1)
assert (rank == modality.ranks(by_hand.numpy(), texts.numpy())).all()
print(cosine.round(2), f"\nranks {rank}, reciprocal ranks {(1 / rank).round(2)}")
print(f"MRR {np.mean(1 / rank):.2f}")

# %% [markdown]
# ## The modality probe: can a line separate ECGs from texts?
#
# A probe is a small classifier; here it is linear and separates ECGs from texts. Take two Gaussian
# clouds of unit width whose centres are $\delta$ apart. The best linear probe cuts half-way between
# the centres. It is right with probability $\Phi(\delta / 2)$, where $\Phi$ is the distribution
# function of the standard normal: 0.5 when the two clouds coincide,
# 0.84 when they are two widths apart, and 0.98 at four widths. The library's probe is
# cross-validated by patient, so that no patient is in both parts of a fold.

# %%
rng = np.random.default_rng(seed)
people = np.arange(600)
toy = []
for delta in (0.0, 1.0, 2.0, 4.0):
    left, right = rng.normal(size=(2, len(people), 5))
    right[:, 0] += delta
    cut = np.mean([left[:, 0] < delta / 2, right[:, 0] >= delta / 2])  # the best cut, by hand
    probe = modality.probe_correct(left, right, people).mean()
    distance = modality.centroid_distance(left, right)
    toy.append((delta, norm.cdf(delta / 2), cut, probe, distance))
    assert abs(probe - norm.cdf(delta / 2)) < 0.04
    assert abs(probe - cut) < 0.04
toy = pd.DataFrame(toy, columns=["delta", "expected", "cut by hand", "probe", "centroids apart"])
toy.round(3)

# %% [markdown]
# `centroids apart` is the distance of the two centres over the root mean square distance of the
# points from their centre. In five dimensions that is √5 = 2.24 for clouds of unit width, so δ = 4
# gives 1.8.
#
# ## Overlap is not alignment
#
# Two clouds can overlap although no point is near its partner. The next cell makes two pairs of
# clouds. In the first pair the partners are noisy copies, in the second they are drawn anew. The
# modality probe should find both pairs mixed. Only the rank of the own partner should differ.

# %%
points = rng.normal(size=(200, 5))
partners = points + 0.1 * rng.normal(size=points.shape)
for name, cloud in (("copies", partners), ("drawn anew", rng.normal(size=points.shape))):
    probe = modality.probe_correct(points, cloud, np.arange(200)).mean()
    first = (modality.ranks(points, cloud) == 1).mean()
    print(f"{name:>10}: probe {probe:.2f}, own partner found first {first:.2f}")
recall = modality.retrieval(points, partners, seed).groupby("pairs")["recall_at_1"].mean()
assert recall["true"] > 0.8 and recall["shuffled"] < 0.05

# %% [markdown]
# ## Embeddings of test ECGs and their reports
#
# A test ECG and its report give one embedding each, at each of two levels. *Input* is the mean of
# the vectors that enter the model. *Hidden* is the mean of the vectors that leave its last layer.
# ECG and report pass through the model separately. If both were in one sequence, attention could
# copy the ECG's states into those of the report, and any model would look aligned. The untrained
# model is the base, and its ECG-token embeddings are as initialised. ECG-Byte's tokens are
# embeddings of the model as well, so it has the same two clouds.

# %%
settings = stage.section("alignment")
context = stage.inputs("heartllm_texts")  # what a step that uses HeartLLM reads
inputs = {key: context[key] for key in ("cohort", "base", "codes")}
systems = {"untrained": stage.input("05", "heartllm_pretrained_initial")}
systems["heartllm"] = context["system"]
of_bytes = stage.inputs("ecg_byte_texts")
of_bytes = {key: of_bytes[key] for key in (*inputs, "tokenizer", "system")}
cohort = Cohort.open(inputs["cohort"])
rows = scored_sample.test_rows(cohort, settings["ecgs"], seed)
rows = rows[cohort.records["report"].iloc[rows].str.strip().to_numpy() != ""]
records = cohort.records.iloc[rows].reset_index(drop=True)
config = {"rows": rows.tolist(), "batch": 16}
clouds = {}
reads = {name: inputs | {"system": system} for name, system in systems.items()}
for name, read in (reads | {"ecg_byte": of_bytes}).items():
    out = stage.step(f"embed_{name}", alignment.embed, config, read)
    clouds[name] = load_file(out / "embeddings.safetensors")
print({key: value.shape for key, value in clouds["heartllm"].items()}, "= (ECGs, d)")

# %% [markdown]
# All measures are taken in the full space of d dimensions. Every ECG gets three kinds of score: its
# share of right probe decisions, its reciprocal rank, and its recall at 1, 5 and 10 (R@1, R@5,
# R@10), that is, whether its own report is among the first 1, 5 or 10. The same ranks are computed
# for shuffled pairs, in which each ECG has the report of another ECG.

# %%
parts = []
for name, cloud in clouds.items():
    for level in alignment.LEVELS:
        pair = cloud[f"ecg_{level}"], cloud[f"text_{level}"]
        parts.append(modality.measures(records, name, level, *pair, seed))

# %% tags=["plumbing"]
stage.predictions("alignment", pd.concat(parts, ignore_index=True))

# %% [markdown]
# ## The layout of a picture
#
# UMAP lays the two clouds of a model out in two dimensions, with 15 neighbours, a minimal distance
# of 0.1, the cosine as similarity and a fixed seed. The paper does not give its settings. Each
# panel is a UMAP of its own, so positions must not be compared across panels. Three findings are
# nearly everywhere and are left out: sinus rhythm, a regular rhythm, and QRS complexes of one
# shape. The six commonest of the others have a colour each. An ECG with several of them has the
# colour of the rarest, one with none of them is light grey. Reports are not coloured by finding.

# %%
finding = modality.colouring_findings(cohort.labels[rows])  # (ECGs,)
coordinates = []
for level in alignment.LEVELS:
    for name, cloud in clouds.items():
        pair = cloud[f"ecg_{level}"], cloud[f"text_{level}"]
        points = modality.layout(*pair, settings["neighbours"], seed)
        points = points.assign(method=name, level=level, finding=np.tile(finding, 2))
        coordinates.append(points)
stage.data("umap", pd.concat(coordinates, ignore_index=True)).head(3)

# %% [markdown]
# ## Attention: from an answer to the ECG's tokens
#
# At the position that writes the first word of an answer, each attention head spreads a weight of 1
# over that position and all earlier ones. To make an attention map, these weights are averaged over
# the heads of the last four layers. Only the T positions of the ECG are kept, and their weights are
# divided by their sum. A toy language model with random weights shows the computation on four ECG
# tokens and a question of three words.

# %%
torch.manual_seed(seed)
shape = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2}
shape |= {"vocab_size": 11, "num_hidden_layers": 2, "initializer_range": 0.5}
model = LlamaForCausalLM(LlamaConfig(**shape)).eval()
model.set_attn_implementation("eager")  # fused kernels never form the weights
embedding = EcgTokenEmbedding(codewords=5, width=8, tokens=4)
torch.nn.init.normal_(embedding.own)
codes, question = torch.tensor([[0, 3, 1, 4]]), [7, 8, 9]
toy = System(Base(model, None), model, embedding, (codes,))
with torch.no_grad():
    words = model.get_input_embeddings()(torch.tensor([question]))
    entering = torch.cat([embedding(codes)[0], words], 1)  # (1, 4 + 2 + 3, 8)
    layers = model(inputs_embeds=entering, output_attentions=True).attentions  # 2 x (1, 2, 9, 9)
    by_head = torch.stack([layer[0, :, -1] for layer in layers])  # (layers, heads, positions)
    on_ecg = by_head.mean((0, 1))[1:5]  # (T,), without the brackets and the question
    library = alignment.first_answer_attention(toy, 0, question, layers=2)
assert torch.allclose(on_ecg / on_ecg.sum(), library, atol=1e-6)
print("share of each ECG token:", library.numpy().round(3))

# %% [markdown]
# Language models attend to certain positions whatever the input is. **Ours, not the paper's:** the
# mean map over ECGs is subtracted, so that this habit disappears. In the toy below, two ECGs have
# the same habit and one peak each. Both raw maps are highest at the habit, and the difference to
# the mean finds both peaks.

# %%
habit = np.array([6.0, 1.0, 1.0, 1.0, 1.0])
peaks = np.array([[0, 0, 2, 0, 0], [0, 0, 0, 0, 2]])
raw = (habit + peaks) / (habit + peaks).sum(1, keepdims=True)
print("most attention, raw:", raw.argmax(1), " above the mean:", (raw - raw.mean(0)).argmax(1))
assert (raw.argmax(1) == 0).all()
assert ((raw - raw.mean(0)).argmax(1) == [2, 4]).all()

# %% [markdown]
# The question is a test question whose reference answer is yes. One about extra beats is preferred,
# because extra beats have known places. All ECGs get this same question, so that the mean map is
# over ECGs and not over wordings. The model's own answer to it comes from notebook 06.

# %%
asked = pd.read_parquet(context["questions"] / "test.parquet")
asked = asked[(asked["type"] == "verify") & asked["row"].isin(rows)]
order = 2 * (asked["answer"] == "yes") + asked["item"].str.startswith("verify:ectopy")
chosen = asked.loc[order.sort_values(ascending=False, kind="stable").index[0]]
written = pd.read_parquet(stage.input("06", "heartllm_texts") / "texts.parquet")
answer = written.set_index("number").loc[chosen["number"], "text"].strip()
compared = [int(chosen["row"]), *[int(row) for row in rows if row != chosen["row"]][:31]]
config = {"rows": compared, "question": chosen["question"], "layers": 4}
read = {key: inputs[key] for key in ("cohort", "codes", "base")} | {"system": systems["heartllm"]}
weights = np.load(stage.step("attention", alignment.attend, config, read) / "attention.npy")
print("question:", chosen["question"], "\nreference:", chosen["answer"], "\nHeartLLM: ", answer)
print(f"weights {weights.shape} = (ECGs, tokens)")

# %% tags=["plumbing"]
row = compared[0]
n_valid = int(cohort.records["n_valid"].iloc[row])
trace = pd.DataFrame(cohort.signals([row])[0][:, :n_valid].T.round(3), columns=list(LEADS))
trace = stage.data("attention_traces", trace)
flat = {"ecg": np.repeat(np.arange(len(weights)), weights.shape[1])}
flat |= {"token": np.tile(np.arange(weights.shape[1]), len(weights)), "weight": weights.ravel()}
stage.data("attention", pd.DataFrame(flat))
hop = load_tokenizer(stage.input("02", "fsq")).hop
asked_once = {"question": chosen["question"], "reference": chosen["answer"], "answer": answer}
asked_once = pd.DataFrame([{**asked_once, "samples_per_token": hop}])
asked_once = stage.data("attention_question", asked_once)

# %% [markdown]
# ## From here on: saved predictions
#
# Values with a 95 % interval are means over all training seeds of the run, unless a caption says
# otherwise. Losses, costs, examples and counts of single answers are of its own training seed.
#
# ## Numbers that a UMAP cannot fake
#
# TEST, Time-LLM and CLIP, the other three panels of the paper's figure, are trained in the study
# [systems](studies/systems.py). Where it has been run, they are beside HeartLLM here. CLIP is the
# one with a contrast of pairs of ECGs and reports before its tuning.

# %%
scores = stage.join_study("systems", "alignment", stage.read_seeds("alignment"))
METHODS = {"test": "TEST", "time_llm": "Time-LLM", "clip": "CLIP"}
known = set(scores["method"].unique())
METHODS = {name: called for name, called in METHODS.items() if name in known}
METHODS |= {"untrained": "HeartLLM, untrained", "heartllm": "HeartLLM", "ecg_byte": "ECG-Byte"}
LEVELS = {"input": "input", "hidden": "last layer"}


def scores_of(method: str, item: str) -> pd.DataFrame:
    """The scores of one model, one row per ECG."""
    return scores[(scores["method"] == method) & (scores["item"] == item)]


def estimate(method: str, item: str) -> bootstrap.Estimate:
    """Mean over ECGs with its interval over patients, and over training seeds where there are."""
    value = bootstrap.mean(scores_of(method, item), seed=seed)
    return bootstrap.exact_ends(bootstrap.bounded(value))


# %%
names = {"probe:{}": "modality probe", "reciprocal_rank:{}:true": "MRR"}
names |= {"reciprocal_rank:{}:shuffled": "MRR, shuffled pairs"}
names |= {f"recall_at_{k}:{{}}:true": f"R@{k}" for k in (1, 5, 10)}
PAIRS = ("true", "shuffled")
OTHER_KIND = "neighbours of the other kind"
mixing = stage.of_study("systems", "mixing") if "test" in METHODS else None  # of the same ECGs
mixing = {} if mixing is None else dict(iter(mixing.groupby(["method", "item"])))
summary = []
for method in METHODS:
    for level in LEVELS:
        where = {"system": f"{method}, {level}"}
        gap = scores_of(method, f"centroids_apart:{level}")["score"].mean()
        summary.append({**where, "metric": "centroids apart", "value": gap})
        for item, metric in names.items():
            value = estimate(method, item.format(level))
            summary.append({**where, "metric": metric, **vars(value)})
        own, other = (scores_of(method, f"reciprocal_rank:{level}:{p}") for p in PAIRS)
        value = bootstrap.paired_difference(own, other.assign(item=own["item"].iloc[0]), seed=seed)
        summary.append({**where, "metric": "MRR minus shuffled", **vars(value)})
        if (method, f"mixing:{level}") in mixing:
            value = bootstrap.mean(mixing[method, f"mixing:{level}"], seed=seed)
            value = bootstrap.exact_ends(bootstrap.bounded(value))
            summary.append({**where, "metric": OTHER_KIND, **vars(value)})
summary = pd.DataFrame(summary)
table = wide_tables.wide(summary, "system", "metric")
table = wide_tables.with_seeds(table, summary, "system")
caption = (
    "Probe: 0.5 is mixed, 1 two islands. MRR: mean reciprocal rank. The distance of the centroids "
    "has no interval over patients. A value of exactly 0 or 1 has the interval of Clopper and "
    f"Pearson, because no resample differs.{stage.studies_note(summary)}"
)
if mixing:
    caption += " Neighbours of the other kind: their share among the nearest ones in the study "
    caption += "systems, half in one cloud, 0 in two islands; one training seed."
stage.table("alignment", table, caption)

# %% [markdown]
# **What to see.** A probe near 1 means that a plane separates ECGs from texts. They are then two
# islands, whatever a UMAP draws. The MRR shows whether pairs match. The column beside it shows what
# shuffled pairs reach by chance. *MRR minus shuffled* is the paired difference of the two, ECG by
# ECG: only where its interval is above zero do pairs match better than by chance. Reports of equal
# wording are equal points and share their rank, which also changes the MRR of shuffled pairs.
# CLIP's contrast pairs other vectors than these: those before the layer that leads into the
# language model. So its MRR may be no higher than by chance. The share of neighbours of the other
# kind, where the study has counted it, asks the same as the probe and needs no training: in one
# cloud half of an embedding's nearest neighbours are of the other kind.

# %%
n = scores["ecg"].nunique()
chance = {"MRR": (1 / np.arange(1, n + 1)).mean()} | {f"R@{k}": k / n for k in (1, 5, 10)}
by_chance = "; ".join(f"{name} {value:.3f}" for name, value in chance.items())
print(f"- By chance, among {n} different texts: {by_chance}.")
for method, called in METHODS.items():
    probe = estimate(method, "probe:hidden")
    own, shuffled = (estimate(method, f"reciprocal_rank:hidden:{p}") for p in PAIRS)
    verdict = "two islands" if probe.low > 0.9 else "mixed" if probe.high < 0.6 else "partly mixed"
    print(f"- {called}, last layer: probe {probe.text(2)}, that is {verdict}.")
    print(f"  MRR {own.text()}, shuffled pairs {shuffled.text()}.")

# %% [markdown]
# ## The pictures
#
# Above each upper panel are numbers from the full space, of the training that is drawn. The lower
# panel shows the cloud of ECGs of the panel above it, enlarged: there one sees whether ECGs with
# the same finding lie together. The first figure is of the last layer, the second of the input.

# %%
points = stage.join_study("systems", "umap", stage.read("umap"))
opponents = [METHODS[name] for name in ("test", "time_llm", "clip") if name in METHODS]
OPPONENTS = f" Opponents in HeartLLM's paper: {', '.join(opponents)}." if opponents else ""
drawn = scores[scores["seed"] == seed].groupby(["method", "item"])["score"].mean()
for level, name in {"hidden": "umap", "input": "umap_input"}.items():
    titles = {}
    for method, called in METHODS.items():
        probe = drawn[method, f"probe:{level}"]
        own, other = (drawn[method, f"reciprocal_rank:{level}:{pairs}"] for pairs in PAIRS)
        titles[method] = f"{called}\nprobe {probe:.2f}\nMRR {own:.3f} (shuffled {other:.3f})"
    part = points[points["level"] == level]
    drawn_points, rest = part.assign(panel=part["method"]), modality.NO_FINDING
    figure = umap.panels(drawn_points, titles, rest, by_kind=True)
    caption = (
        f"UMAP of the embeddings of {len(part) // (2 * len(titles))} test ECGs and of "
        f"their reports at the {'last layer' if level == 'hidden' else 'input'}, one UMAP per "
        "model: coloured by modality, and below it the ECGs alone, by finding. Above each model: "
        "the accuracy of a linear probe that separates ECGs from reports (0.5 is mixed, 1 is "
        "separated) and the mean reciprocal rank of the own report (MRR), beside that of another "
        "ECG's report (shuffled), all in the full space. The findings are the commonest of those "
        "that are scored; a "
        f"point with several of them has the colour of the rarest.{OPPONENTS} One training "
        f"seed.{stage.studies_note()}"
    )
    alt = "Scatter plots with circles for ECGs and triangles for reports, coloured by modality, "
    alt += "and of the ECGs alone, coloured by finding: "
    stage.figure(name, figure, part, caption, alt + "; ".join(METHODS.values()) + ".")

# %% [markdown]
# **What to see.** The numbers decide, because they come from the full space: where picture and
# numbers disagree, the numbers count.

# %%
probes = {method: estimate(method, "probe:hidden") for method in METHODS}
islands = [METHODS[method] for method, probe in probes.items() if probe.low > 0.9]
print(f"In {len(islands)} of {len(METHODS)} models the probe tells ECGs from reports in the last")
print(f"layer, with an accuracy above 0.9: {'; '.join(islands) or 'none'}.")
better = summary[summary["metric"] == "MRR minus shuffled"].set_index("system")["low"]
paired = [METHODS[method] for method in METHODS if better[f"{method}, hidden"] > 0]
print(f"Matching pairs are nearer than shuffled ones in: {'; '.join(paired) or 'none'}.")

# %% [markdown]
# Pairs can match in direction although ECGs and reports are apart. The second printed line says in
# which models they do. In `synthetic-laptop` the two groups of triangles are
# the two hospitals, which word their reports differently: nearly all of the 300 reports lie in the
# group of their hospital. The untrained model shows the same groups, so wording alone can make
# islands. The study [systems](studies/systems.py) draws the last layer of HeartLLM with three seeds
# and three numbers of neighbours. It also counts neighbours in the space in which CLIP's contrast
# drew its pairs together.
#
# ## The map of one answer

# %%
(one,) = stage.read("attention_question").itertuples()
maps = stage.read("attention").pivot(index="ecg", columns="token", values="weight").to_numpy()
others = maps[1:].mean(0)  # (tokens,)
above = maps[0] - others
answer = shorten(one.answer, 40, placeholder=" ...") or "(nothing)"
is_right = exact_match.matches(one.reference, one.answer)
judged = "right" if is_right else f"wrong, the reference is {one.reference}"
drawn = pd.DataFrame({"second": np.arange(len(above)) * one.samples_per_token / RATE})
drawn = drawn.assign(attention=maps[0], above_mean=above).round(6)
caption = (
    f'Attention of HeartLLM over one test ECG when it answers "{one.question}" Its own answer is '
    f'"{answer}", and the reference is "{one.reference}". The shade is the attention to a token '
    f"above the mean over {len(maps) - 1} other ECGs with the same question, at the first word of "
    "the "
    "answer, over the heads of the last four layers (all, if the model has no more). Attention "
    "below the mean is not shaded. The colour "
    "scale ends at the 95th percentile of the tokens (arrow)."
)
alt = "Three leads of one ECG over time, with darker bands where a token gets more attention."

# %%
if stage.has("attention_traces"):  # traces of real patients are not published
    trace = stage.read("attention_traces")
    tokens = -(-len(trace) // one.samples_per_token)
    look = {"label": "Attention above the mean over ECGs"}
    look["title"] = f"{one.question} HeartLLM: {answer} ({judged})"
    look["segment"] = one.samples_per_token / RATE
    figure = ecg_leads.attention(trace.to_numpy().T, np.clip(above[:tokens], 0, None), **look)
    stage.figure("attention", figure, drawn, caption, alt)

# %%
alike = np.corrcoef(maps[0], others)[0, 1]
top = drawn.nlargest(3, "above_mean")
most = top["second"]
marked = [f"{token.second:.1f} s ({token.above_mean:.3f})" for token in top.itertuples()]
print(f"- The model answers {answer!r}, which is {judged}.")
print(f"- The raw map of this ECG correlates {alike:.2f} with the mean map of the", end=" ")
print(f"{len(maps) - 1} other ECGs.")
print("- The three most marked tokens begin at", "; ".join(marked), "(attention above the mean)")

# %%
if stage.has("attention_traces"):
    from ecglib.signals.heartbeats import r_peaks

    beats = r_peaks(trace.to_numpy().T, RATE) / RATE  # seconds
    since = np.diff(beats, prepend=np.nan)  # the beat before
    for second in most:
        middle = second + one.samples_per_token / RATE / 2
        beat = np.abs(beats - middle).argmin() if len(beats) > 1 else None
        if beat and abs(beats[beat] - middle) < 0.1:
            share = 100 * since[beat] / np.nanmedian(since)
            print(f"  - {second:.1f} s: at the beat of {beats[beat]:.1f} s,", end=" ")
            print(f"which comes after {share:.0f} % of the usual interval")
        else:
            print(f"  - {second:.1f} s: the first beat, or none")

# %% [markdown]
# **What to see.** Check the answer first. If it is wrong, the map shows where a wrong answer came
# from. If it is right, a match of the dark bands with the beats in question is a hint only. If the
# question is about premature beats, those come well before 100 % of the usual interval; the list
# says where the marked ones come. The usual interval is the median between two beats. Two marked
# tokens can belong to one beat. The scale of the figure ends below the strongest tokens, so
# read their strength in the list. A high correlation with the mean map means that most of the
# attention does not depend on this ECG. One map of one ECG is an illustration. The study
# [attention](studies/attention.py) tests such maps on many ECGs: it hides the marked tokens and
# counts how many answers change. It draws a second map of HeartLLM, about another question, and
# one of ECG-Byte.
#
# ## What it means

# %%
item = "reciprocal_rank:{}:true"
gain = {
    level: bootstrap.paired_difference(
        *(scores_of(name, item.format(level)) for name in ("heartllm", "untrained")), seed=seed
    )
    for level in LEVELS
}
stage.claim("alignment.trained_minus_untrained.retrieval", **vars(gain["hidden"]))
probes = {level: estimate("heartllm", f"probe:{level}") for level in LEVELS}
share = all(probe.high < 0.6 for probe in probes.values())
pairs = summary[summary["metric"] == "MRR minus shuffled"]
matched = pairs.loc[pairs["low"] > 0, "system"].str.rsplit(", ", n=1)
matched = "; ".join(f"{METHODS[method]} ({level})" for method, level in matched) or "none"
clear = {k: "clearly better" if v.low > 0 else "not clear" for k, v in gain.items()}
display(
    Markdown(
        f"- **One space?** {'Yes' if share else 'No'}, by the probe: it separates ECGs from "
        f"reports with accuracy {probes['hidden'].text(2)} after training (last layer; 0.5 would "
        "be one mixed cloud).\n"
        f"- **Do pairs match better than before training?** The MRR changes by "
        f"{gain['input'].text()} at the input ({clear['input']}) and by "
        f"{gain['hidden'].text()} at the last layer ({clear['hidden']}).\n"
        f"- **Do pairs match at all?** Of {len(pairs)} intervals of *MRR minus shuffled* these are "
        f"above zero: {matched}. They are not corrected for their number.\n"
        f"- **Does the answer rest on the shaded beats?** The map cannot decide it. The answer to "
        f"the question in the figure is {judged}."
    )
)

# %% [markdown]
# The paper's figure shows ECG tokens and texts mixed. If the two kinds are apart in every picture
# above, this overlap is not found here, not even before training. Overlap in a UMAP and matching
# pairs are different properties. A model can answer questions from
# ECG tokens without placing them among its words, so the probe alone is no verdict on HeartLLM.
#
# ## Try it yourself
#
# 1. In "The layout of a picture", replace `settings["neighbours"]` by 3, then run that cell and the
#    cell below "The pictures". Which pictures change, and which numbers?
# 2. Replace `seed` by `seed + 1` there and run the same cells. Does a number change?
# 3. In the toy of the modality probe, raise the dimension from 5 to 200 and run the cell. Does the
#    assertion hold?
#
# <details><summary>What happens</summary>
#
# 1. The clouds of HeartLLM fall into small groups. Those of TEST, Time-LLM and CLIP are the study's
#    and stay, and so do the probe and the MRR above the panels.
# 2. No. The same pictures change.
# 3. No. The probe overfits 600 patients, and its accuracy falls below the best cut.
#
# </details>
#
# Previous: [07_ablations](07_ablations.py). Next: [09_discussion](09_discussion.py).

# %% tags=["plumbing"]
stage.finish()
