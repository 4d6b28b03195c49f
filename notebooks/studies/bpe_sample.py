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
# # Does it matter which ECGs merges are learned from?
#
# | | |
# |---|---|
# | reads | cohort and measurements (01), byte pairs (02) |
# | writes | clusters of like ECGs; merges from four kinds of draws, tried on unseen ECGs |
# | paper items | ECG-Byte: the clusters from which the ECGs for its merges are drawn |
# | time | 20 seconds in `smoke`; 4 nominal minutes in `laptop`, after 01 |
# | memory | 4 GB in `laptop` |
#
# After this notebook you can
#
# - say why a draw by chance may leave rare kinds of ECGs without symbols of their own;
# - read an elbow and a silhouette, and say what the rule of the release makes of them;
# - tell whether the draw changes in how many symbols an unseen ECG is written.
#
# Merges are given to what is frequent in the ECGs from which they are learned. Most ECGs of a
# hospital are alike, so a rare shape may get no symbol and must be written in many short ones.
# ECG-Byte's code therefore groups ECGs by k-means and means to draw as many of each cluster. In the
# released code that step changes nothing: the loop stops before the draw has a choice. Notebook 02
# draws by chance. Byte pairs are explained in [02_tokenizers](../02_tokenizers.py).

# %% tags=["plumbing"]
import time
from itertools import product

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, predictions, wide_tables
from ecglib.figures import bars, cluster_choice, style
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import PRESENT
from ecglib.run.stage import Stage
from ecglib.signals.leads import RATE
from ecglib.tokenizers import bpe, even_draw
from ecglib.tokenizers.encode import chunks
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-bpe_sample"  # the study's own run
seed = 0  # of the run; draws have the seeds of the study

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("bpe")

# %%
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
given = {"cohort": cohort_folder}

# %% [markdown]
# ## Clusters of like ECGs
#
# Each ECG is described by percentiles of its samples, its spectrum and its measured waves. K-means
# on the components of these numbers groups training ECGs. More clusters always have a smaller
# *inertia*, the sum of squared distances to the centres. An *elbow* is where it stops falling fast.
# The *silhouette* of an ECG compares its mean distance to the ECGs of its own cluster with that to
# the next cluster: 1 is well inside, 0 between two, and below 0 it is nearer to the other. The
# numbers, and their scaling before the components are taken, are ours.

# %%
measured = given | {"measurements": stage.input("01", "measurements")}
config = {name: settings[name] for name in ("most", "few", "many")}
clusters = stage.step("clusters", even_draw.cluster, config, measured)
choice = stage.data("choice", pd.read_parquet(clusters / "choice.parquet"))
grouped = pd.read_parquet(clusters / "ecgs.parquet")
curves = choice["inertia"].to_numpy(), choice["silhouette"].to_numpy()
rule = even_draw.released_rule(*curves)
stage.data("rule", pd.DataFrame([{"clusters": rule}]))
print(f"{len(grouped):,} ECGs; the rule of the release looks for {rule} clusters")

# %% [markdown]
# ## Each cluster in turn
#
# An even draw goes round the clusters and takes one ECG of each, until it has enough. A cluster
# that has no more is left out, and the others give more. A toy has three clusters of 90, 8 and 2:

# %%
toy, number = np.array([0] * 90 + [1] * 8 + [2] * 2), 21
drawn = even_draw.draw(toy, number, seed)
by_chance = even_draw.draw(np.arange(len(toy)), number, seed)
print("evenly:", np.bincount(toy[drawn], minlength=3).tolist())
print("by chance:", np.bincount(toy[by_chance], minlength=3).tolist())

# %% [markdown]
# *Few* draws evenly from two clusters, *many* from more. *Chance* and *again* are two draws by
# chance, which have hardly an ECG in common; their difference is the placebo. All draw as many ECGs
# as notebook 02 and learn as many merges. The bins are those of notebook 02 in all. So the letters
# of an ECG are equal, and so is the error of its reconstruction. The merges alone differ.

# %%
BY = ("chance", "again", "few", "many")
own = given | {"clusters": clusters, "bins": stage.input("02", "bpe")}
pairs = {}  # (kind of draw, seed) -> byte pairs
for by, s in product(BY, settings["seeds"]):
    pairs[by, s] = load(stage.step(f"bpe_{by}_{s}", even_draw.fit, sizes | {"by": by}, own, s))

# %% [markdown]
# A *small* cluster holds less than its even share of the training ECGs.

# %%
train = grouped[grouped["role"] == even_draw.ROLES[0]].reset_index(drop=True)
shares = train["many"].value_counts(normalize=True).sort_index().rename("share").to_frame()
small = shares.index[shares["share"] < 1 / settings["many"]]
for by in BY:
    chosen = [train.iloc[even_draw.draw_by(by, train, sizes["ecgs"], s)] for s in settings["seeds"]]
    counts = pd.concat(chosen)["many"].value_counts(normalize=True)
    shares[f"bpe_{by}"] = counts.reindex(shares.index, fill_value=0.0)
stage.data("shares", shares.rename_axis("cluster").reset_index().round(5))

# %% [markdown]
# What kind of ECGs are in small clusters? The findings whose frequency differs most:

# %%
present = cohort.labels[train["row"]] == PRESENT  # (ECGs, 77)
is_small = train["many"].isin(small).to_numpy()
kinds = pd.DataFrame({"finding": [FINDINGS[label].name for label in FINDINGS]})
for name, part in {"small": is_small, "large": ~is_small}.items():
    kinds[f"in {name} clusters (%)"] = 100 * present[part][:, list(FINDINGS)].mean(0)
differ = kinds["in small clusters (%)"] - kinds["in large clusters (%)"]
kinds = kinds.loc[differ.abs().sort_values(ascending=False).index[: settings["listed"]]]
kinds = stage.data("kinds", kinds.reset_index(drop=True).round(1))
kinds

# %% [markdown]
# ## Unseen ECGs
#
# Each tokenizer writes the same test ECGs, of which no draw knows anything. Counted are the symbols
# for a second of all twelve leads, over the whole ECG.


# %%
def symbols_per_second(tokenizer: bpe.BPETokenizer) -> np.ndarray:
    """Of each test ECG (n,)."""
    counts = []
    for group, n_valid in chunks(cohort, rows):
        codes = tokenizer.encode(torch.from_numpy(cohort.signals(group)), n_valid)[..., 0]
        counts.append((codes != bpe.PADDING).sum(1) / (n_valid / RATE))
    return torch.cat(counts).numpy()


# %%
rows = cohort.rows("test")[: settings["test_ecgs"]]
records, scored = cohort.records.iloc[rows], []
for (by, s), tokenizer in pairs.items():
    symbols = symbols_per_second(tokenizer).round(3)
    scored.append(predictions.build(records, f"bpe_{by}", s, "symbols", score=symbols))
print("saved:", stage.predictions("unseen", pd.concat(scored)).name)

# %%
of_test = grouped[grouped["role"] == even_draw.ROLES[1]].set_index("row").loc[rows]
about = records[["unit", "ecg"]].assign(small=of_test["many"].isin(small).to_numpy())
about = stage.data("about", about.reset_index(drop=True))
print(f"{about['small'].sum()} of {len(about)} test ECGs are of small clusters")

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## How many clusters?

# %%
choice, shares = stage.read("choice"), stage.read("shares")
(rule,) = stage.read("rule")["clusters"]
draws = stage.read("unseen")["seed"].nunique()
figure = cluster_choice.panels(choice, rule, shares, ["bpe_chance", "bpe_many"])
caption = (
    f"Clusters of training ECGs by k-means: inertia (a) and silhouette (b) by their number, with "
    f"the number that the rule of the release takes (dotted, {rule}); and the {len(shares)} "
    "clusters of the draw from many (c) by their share of all training ECGs, and of those that "
    f"were drawn, mean of {draws} draws. No intervals are drawn."
)
alt = "A falling curve of the inertia, a curve of the silhouette, and bars of the cluster sizes."
stage.figure("clusters", figure, choice, caption, alt)

# %% [markdown]
# **What to see.** The rule takes the smaller of two numbers. One is the best silhouette. The other
# is the elbow, which the release looks for where the inertia falls most. That is the first step of
# any curve that flattens, so there the rule takes two. With fewer than three clusters the release
# tries DBSCAN, another method, which is not done here. In (c), an even draw takes fewer ECGs than
# chance where its mark is below the bar.

# %%
stage.table("kinds", stage.read("kinds"), "Findings in training ECGs of small and large clusters.")

# %% [markdown]
# ## Symbols for unseen ECGs

# %%
unseen, about = stage.read("unseen"), stage.read("about")
GROUPS = {"all": "All test ECGs", "small": "Of small clusters", "large": "Of large clusters"}
METHODS = ["bpe_chance", "bpe_again", "bpe_few", "bpe_many"]
in_small = unseen["ecg"].isin(about.loc[about["small"], "ecg"])
parts = dict(zip(GROUPS, (unseen, unseen[in_small], unseen[~in_small]), strict=True))
parts = {group: frame for group, frame in parts.items() if len(frame)}
of = {
    (group, method): frame[frame["method"] == method]
    for group, frame in parts.items()
    for method in METHODS
}
long = pd.DataFrame(
    {"method": method, "metric": group, **vars(bootstrap.mean(part, seed=seed))}
    for (group, method), part in of.items()
)
n_ecgs, n_small = about["ecg"].nunique(), int(about["small"].sum())
caption = (
    f"Symbols per second that byte pairs need for {n_ecgs} unseen ECGs, and for the {n_small} of "
    "them in clusters that hold less than their even share. Bars: mean; whiskers: 95 % intervals "
    f"over {draws} draws and over patients, given one clustering."
)
alt = "Panels of four horizontal bars, one per kind of draw."
figure = bars.methods(long, {g: GROUPS[g] for g in parts}, 3, "Symbols per second")
stage.figure("symbols", figure, long, caption, alt)

# %%
wide = wide_tables.wide(long.replace({"metric": GROUPS}), "method", "metric", 1)
caption = "Symbols per second of unseen ECGs [95 % interval over draws and patients]."
wide = stage.table("unseen", wide, caption)
wide

# %% [markdown]
# **What to see.** The intervals of a row are wide, because ECGs differ. The comparisons below are
# paired: the same ECGs in the same letters, written with other merges. *Again* minus *chance* says
# how far two draws by chance are apart.
#
# ## The registered comparisons

# %%
COMPARED = [("again", "all"), ("few", "all"), *(("many", group) for group in parts)]
gains = {}
for by, group in COMPARED:
    pair = of[group, f"bpe_{by}"], of[group, "bpe_chance"]
    gains[by, group] = bootstrap.paired_difference(*pair, seed=seed)
    name = f"bpe_sample.{by}_minus_chance.symbols"
    name += "" if group == "all" else f".{group}_clusters"
    stage.claim(name, **vars(gains[by, group]))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
for (by, group), gain in gains.items():
    percent = 100 * gain.value / bootstrap.mean(of[group, "bpe_chance"], seed=seed).value
    print(
        f"- {style.method(f'bpe_{by}').name}. {GROUPS[group]}: {gain.text(2)} symbols per second,"
    )
    print(f"  {percent:.2f} % of what a draw by chance needs for them.")

# %% [markdown]
# Does the draw matter? In `laptop` it moves symbols from rare ECGs to common ones and hardly
# changes their number. Two draws by chance are equal to within 0.6 symbols per second. From 20
# clusters an unseen ECG of a small cluster needs 0.8 % fewer symbols and one of a large cluster 0.9
# % more; both are clear, and neither is clearly above the margin of 2 per second. Over all ECGs the
# even draw costs 0.4 %, because most ECGs are common. Two clusters, which the rule of the release
# looks for, change less. Small clusters do hold other ECGs: supraventricular tachycardia and left
# ventricular pacing are nearly all there.
#
# Three limits apply. All draws share one clustering, and its numbers are ours. A simulated hospital
# may have fewer rare shapes than a real one. And `laptop` learns from 200 ECGs, where the release
# draws 200,000; what an even draw changes there was not measured.
#
# ## Try it yourself
#
# - In the toy, draw 60 ECGs. How many of each cluster are taken, and why not 20?
# - In `bpe_sample.yaml` set `many: 5`. What do small clusters hold now?

# %% tags=["plumbing"]
stage.finish()
