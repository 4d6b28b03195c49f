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
# # Do more byte pairs make ECG-Byte answer better?
# # Does it matter which ECGs byte pairs are learned from?
#
# | | |
# |---|---|
# | reads | cohort and measurements (01) |
# | writes | clusters of like ECGs; byte pairs from three kinds of draws, tried on unseen ECGs |
# | paper items | ECG-Byte: the clusters from which the ECGs for its merges are drawn |
# | time | 20 seconds in `smoke`; some 10 nominal minutes in `laptop`, with 01 |
# | memory | 4 GB in `laptop` |
#
# After this notebook you can
#
# - say why a draw by chance may leave rare kinds of ECGs without symbols of their own;
# - read an elbow and a silhouette, and say what the rule of the release makes of them;
# - tell whether the draw changes the length of the text that a language model reads.
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
# Each ECG is described by percentiles of its samples, its spectrum, its disturbances and its
# measured waves. K-means on the components of these numbers groups training ECGs. More clusters
# always have a smaller *inertia*, the sum of squared distances to the centres. An *elbow* is where
# it stops to fall fast. The *silhouette* of an ECG compares its distance to the own cluster with
# that to the next one: 1 is well inside, 0 is between two.

# %%
measured = given | {"measurements": stage.input("01", "measurements")}
config = {name: settings[name] for name in ("most", "many")}
clusters = stage.step("clusters", even_draw.cluster, config, measured)
choice = stage.data("choice", pd.read_parquet(clusters / "choice.parquet").round(4))
grouped = pd.read_parquet(clusters / "ecgs.parquet")
print(f"{len(grouped):,} ECGs; the rule of the release takes {grouped['rule'].nunique()} clusters")

# %% [markdown]
# ## Each cluster in turn
#
# An even draw goes round the clusters and takes one ECG of each, until it has enough. A cluster
# that has no more is left out. A toy has three clusters of 90, 8 and 2 ECGs:

# %%
toy = np.array([0] * 90 + [1] * 8 + [2] * 2)
drawn = even_draw.draw(toy, 21, seed)
by_chance = even_draw.draw(np.arange(len(toy)), 21, seed)
print("evenly:", np.bincount(toy[drawn], minlength=3).tolist())
print("by chance:", np.bincount(toy[by_chance], minlength=3).tolist())
assert np.bincount(toy[drawn]).tolist() == [11, 8, 2]

# %% [markdown]
# *Rule* draws evenly from as many clusters as the release takes, *many* from more. *Again* is a
# second draw by chance, the placebo. All draws have as many ECGs as that of notebook 02, and learn
# as many merges. The bins are those of the draw by chance of the same seed. (In the release, too,
# the bins do not depend on clusters.) So the letters of an ECG are equal in all arms, and so is the
# error of its reconstruction. The merges alone differ.

# %%
BY = ("chance", "again", "rule", "many")
own, folders = given | {"clusters": clusters}, {}
for by, s in product(BY, settings["seeds"]):
    folders[by, s] = stage.step(f"bpe_{by}_{s}", even_draw.fit, sizes | {"by": by}, own, s)
pairs = {key: load(folder) for key, folder in folders.items()}

# %% [markdown]
# A *small* cluster holds less than its even share of the training ECGs. An even draw takes more of
# its ECGs than chance does.

# %%
train = grouped[grouped["role"] == even_draw.ROLES[0]].reset_index(drop=True)
share = train["many"].value_counts(normalize=True).sort_index()  # of the training ECGs
small = share.index[share < 1 / settings["many"]]
lines = []
for by, s in pairs:
    drawn = train.iloc[even_draw.draw_by(by, train, sizes["ecgs"], s)]
    line = {"method": f"bpe_{by}", "seed": s, "drawn": len(drawn)}
    lines.append(line | {"of small clusters": int(drawn["many"].isin(small).sum())})
stage.data("draws", pd.DataFrame(lines))
stage.data("shares", share.rename("share").rename_axis("cluster").reset_index().round(5))

# %% [markdown]
# ## Unseen ECGs
#
# Each tokenizer writes the same test ECGs, about which no draw knows. Counted are the symbols that
# a second of all twelve leads needs.


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
of_test = grouped.set_index("row").loc[rows]
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
choice, shares = stage.read("choice"), stage.read("shares")["share"].to_numpy()
inertia, silhouette = (choice[name].to_numpy() for name in ("inertia", "silhouette"))
rule = int(min(np.argmin(np.diff(inertia)), np.argmax(silhouette))) + 2
figure = cluster_choice.panels(choice, rule, shares)
caption = (
    f"Clusters of training ECGs by k-means: inertia (a) and silhouette (b) by their number, with "
    f"the number that the rule of the release takes (dotted, {rule}); and the {len(shares)} "
    "clusters of the draw from many by their share of the training ECGs (c)."
)
alt = "A falling curve of the inertia, a curve of the silhouette, and bars of the cluster sizes."
stage.figure("clusters", figure, choice, caption, alt)

# %% [markdown]
# **What to see.** The rule takes the smaller of two numbers. One is the elbow, which the release
# looks for where the inertia falls most. That is the first step of any curve that flattens, so the
# rule takes two clusters whatever the ECGs are. The bars above the line in (c) are clusters from
# which an even draw takes fewer ECGs than chance does.
#
# ## Symbols for unseen ECGs

# %%
unseen, about = stage.read("unseen"), stage.read("about")
draws = stage.read("draws").groupby("method", sort=False).mean().drop(columns="seed").round(1)
draws = stage.table("draws", draws.reset_index(), "ECGs that were drawn, mean of the draws.")
draws

# %%
in_small = unseen["ecg"].isin(about.loc[about["small"], "ecg"])
GROUPS = {"all": "All test ECGs", "small": "Of small clusters", "large": "Of large clusters"}
METHODS = ["bpe_chance", "bpe_again", "bpe_rule", "bpe_many"]
parts = dict(zip(GROUPS, (unseen, unseen[in_small], unseen[~in_small]), strict=True))
of = {
    (group, method): part
    for group, frame in parts.items()
    for method, part in frame.groupby("method")
}
long = pd.DataFrame(
    {"method": method, "metric": group, **vars(bootstrap.mean(part, seed=seed))}
    for group, method in product(GROUPS, METHODS)
    for part in [of[group, method]]
)
n_ecgs, n_small = about["ecg"].nunique(), int(about["small"].sum())
caption = (
    f"Symbols per second that byte pairs need for {n_ecgs} unseen ECGs, and for the {n_small} of "
    f"them in clusters that hold less than their even share. Whiskers: 95 % intervals over "
    f"{unseen['seed'].nunique()} draws and over patients."
)
alt = "Three panels of four horizontal bars, one per kind of draw."
figure = bars.methods(long, GROUPS, 3, "Symbols per second")
stage.figure("symbols", figure, long, caption, alt)

# %%
wide = wide_tables.wide(long.replace({"metric": GROUPS}), "method", "metric", 1)
caption = "Symbols per second of unseen ECGs [95 % interval over draws and patients]."
wide = stage.table("unseen", wide, caption)
wide

# %% [markdown]
# **What to see.** The intervals of a row are wide, because ECGs differ, and so do the bins of five
# draws. The comparisons below are paired: the same ECGs in the same letters, written with other
# merges. *Again* minus *chance* says how far two draws by chance are apart.
#
# ## The registered comparisons

# %%
gains = {}
COMPARED = [("again", "all"), ("rule", "all")]
COMPARED += [("many", group) for group in GROUPS]
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
# A simulated hospital may have fewer rare shapes than a real one. With as many ECGs as the release
# draws (200,000 in place of 200), chance hits rare kinds, too.
#
# ## Try it yourself
#
# - In the cell of the toy, draw 60 ECGs. How many of each cluster are taken, and why not 20?
# - In `bpe_sample.yaml` set `many: 5`. Do small clusters still need fewer symbols?

# %% tags=["plumbing"]
stage.finish()
