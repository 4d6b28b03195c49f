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
# | reads | the cohort (01), the language model (04), HeartLLM untrained (05) and tuned (06) |
# | writes | pooled embeddings of matched ECGs and reports, and the attention of an answer |
# | paper items | HeartLLM, Fig. 1 (UMAP of both modalities), Fig. 4a-b (attention on a signal) |
# | time | 18 s in `smoke`, 87 s in `laptop` on two cores |
# | memory | 1.3 GB in `laptop` |
#
# HeartLLM shows a UMAP in which ECG tokens and text overlap, and concludes that both live in one
# space. A picture of two dimensions can be made to say that, and new rows of the embedding are
# *drawn* from the distribution of the old ones: they overlap before anything was learned. So the
# untrained model stands beside the trained one, and three numbers beside the picture.

# %%
import numpy as np
import pandas as pd
from safetensors.numpy import load_file
from scipy.stats import norm
from umap import UMAP

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, modality, predictions, wide_tables
from ecglib.figures import ecg_leads, umap
from ecglib.language import alignment
from ecglib.run.stage import Stage
from ecglib.tokenizers.load import load as load_tokenizer

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws test patients, shuffled pairs, the layout of UMAP

# %%
stage = Stage("08", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## The gap between two clouds, measured
#
# Take two Gaussian clouds of unit width whose centres are $\delta$ apart. The best a linear probe
# can do is to cut half-way, and it is right with probability $\Phi(\delta / 2)$: one half when the
# clouds are one, 0.84 at two widths, 0.98 at four.

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
# The probe is cross-validated by patient: nobody's ECG is on one side while the report is on the
# other. The last column is the distance of the centres in widths of the clouds.
#
# ## Overlap is not alignment
#
# Two clouds may lie on each other while no point lies near its partner. So a third measure: does an
# ECG find its own report among all? Below, the partners in the first pair of clouds are noisy
# copies, in the second they are strangers, drawn anew. To the probe both pairs are one mixed cloud.
# The rank of the own partner tells them apart.

# %%
points = rng.normal(size=(200, 5))
partners = points + 0.1 * rng.normal(size=points.shape)
similar = points @ partners.T / np.linalg.norm(partners, axis=1)
by_hand = np.mean(similar.argmax(1) == np.arange(200))
matched = modality.retrieval(points, partners, seed)
recall = matched.groupby("pairs")["recall_at_1"].mean()
for name, cloud in (("copies", partners), ("strangers", rng.normal(size=points.shape))):
    probe = modality.probe_correct(points, cloud, np.arange(200)).mean()
    first = (modality.ranks(points, cloud) == 1).mean()
    print(f"{name:>9}: probe {probe:.2f}, own partner found first {first:.2f}")
assert abs(recall["true"] - by_hand) < 0.1  # the library centres the clouds first
assert recall["true"] > 0.8 and recall["shuffled"] < 0.05

# %% [markdown]
# ## Embeddings of ECGs and their reports
#
# For each test ECG: the mean over its tokens, and the mean over the words of its report, scaled to
# length 1; once as they enter the model (*input*), once at its last layer (*hidden*). The two pass
# through the model separately: in one sequence, the words could copy the ECG through attention.
# The untrained model has no LoRA, and the ECG rows as they were drawn.

# %%
settings = stage.section("alignment")
inputs = {"cohort": stage.input("01", "cohort"), "base": stage.input("04", "base")}
inputs["codes"] = stage.input("02", "fsq_codes")
systems = {"untrained": stage.input("05", "initial"), "heartllm": stage.input("06", "tuned")}
cohort = Cohort.open(inputs["cohort"])
rows = scored_sample.test_rows(cohort, settings["ecgs"], seed)
rows = rows[cohort.records["report"].iloc[rows].str.strip().to_numpy() != ""]
records = cohort.records.iloc[rows].reset_index(drop=True)
config = {"rows": rows.tolist(), "batch": 16}
clouds = {}
for name, system in systems.items():
    out = stage.step(f"embed_{name}", alignment.embed, config, {**inputs, "system": system})
    clouds[name] = load_file(out / "embeddings.safetensors")
print({key: value.shape for key, value in clouds["heartllm"].items()})

# %% [markdown]
# ## Numbers

# %%
parts = []
for name, cloud in clouds.items():
    for level in alignment.LEVELS:
        heart, text = cloud[f"ecg_{level}"], cloud[f"text_{level}"]
        right = modality.probe_correct(heart, text, records["unit"].to_numpy())
        parts.append(predictions.build(records, name, seed, f"probe:{level}", score=right))
        for pairs, ranks in modality.retrieval(heart, text, seed).groupby("pairs"):
            for metric in ("reciprocal_rank", "recall_at_1", "recall_at_5", "recall_at_10"):
                item = f"{metric}:{level}:{pairs}"
                parts.append(predictions.build(records, name, seed, item, score=ranks[metric]))
scores = pd.concat(parts, ignore_index=True)
stage.predictions("alignment", scores)


# %%
def rows_of(method: str, item: str) -> pd.DataFrame:
    return scores[(scores["method"] == method) & (scores["item"] == item)]


names = {"probe:{}": "modality probe", "reciprocal_rank:{}:true": "MRR"}
names |= {"reciprocal_rank:{}:shuffled": "MRR, shuffled pairs"}
names |= {f"recall_at_{k}:{{}}:true": f"R@{k}" for k in (1, 5, 10)}
summary = []
for name, cloud in clouds.items():
    for level in alignment.LEVELS:
        where = {"method": name, "level": level}
        apart = modality.centroid_distance(cloud[f"ecg_{level}"], cloud[f"text_{level}"])
        summary.append({**where, "metric": "centroids apart", "value": apart})
        for item, metric in names.items():
            value = bootstrap.mean(rows_of(name, item.format(level)), seed=seed)
            summary.append({**where, "metric": metric, **vars(value)})
summary = pd.DataFrame(summary)
summary["system"] = summary["method"] + ", " + summary["level"]
table = wide_tables.wide(summary, "system", "metric")
stage.table("alignment", table, "Probe: 0.5 is mixed, 1 two islands. MRR: mean reciprocal rank.")

# %% [markdown]
# A probe near 1 with the centres many widths apart means two islands, whatever UMAP draws. The MRR
# says whether pairs match; beside it stands what shuffled pairs reach. Reports of the same wording
# are equal points and share their ranks.
#
# ## Pictures
#
# UMAP with 15 neighbours, minimal distance 0.1, cosine, a fixed seed, fitted to each model alone.


# %%
def layout(cloud: dict[str, np.ndarray], level: str) -> pd.DataFrame:
    """Coordinates of both modalities in one UMAP."""
    both = np.concatenate([cloud[f"ecg_{level}"], cloud[f"text_{level}"]])
    neighbours = min(settings["neighbours"], len(both) - 1)
    model = UMAP(neighbours, min_dist=0.1, metric="cosine", random_state=seed, n_jobs=1)
    table = pd.DataFrame(model.fit_transform(both), columns=["x", "y"]).round(4)
    table["modality"] = np.repeat(["ecg", "text"], len(both) // 2)
    return table


# %%
for level, title in (("hidden", "Last layer"), ("input", "Input embeddings")):
    parts = [layout(cloud, level).assign(method=name) for name, cloud in clouds.items()]
    drawn = pd.concat(parts, ignore_index=True)[["method", "modality", "x", "y"]]
    accuracy = {
        name: bootstrap.mean(rows_of(name, f"probe:{level}"), seed=seed).text(2) for name in clouds
    }
    stage.figure(f"umap_{level}", umap.scatter(drawn, accuracy, title), drawn)

# %% [markdown]
# ## What an answer looks at
#
# Attention from the position that writes the first word of an answer to the ECG's tokens. Models
# park attention on certain positions whatever the input is, so the raw map is mostly habit. Two
# toy records with the same habit and a peak of their own: the mean over records takes the habit
# away.

# %%
habit = np.array([6.0, 1.0, 1.0, 1.0, 1.0])
peaks = np.array([[0, 0, 2, 0, 0], [0, 0, 0, 0, 2]])
raw = (habit + peaks) / (habit + peaks).sum(1, keepdims=True)
print("most attention, raw:", raw.argmax(1), "- above the mean:", (raw - raw.mean(0)).argmax(1))
assert (raw.argmax(1) == 0).all()
assert ((raw - raw.mean(0)).argmax(1) == [2, 4]).all()

# %% [markdown]
# The question is one of the test questions with the answer yes; one about extra beats is preferred
# where there is one, since they are at known places. All ECGs get the same question, so that the
# mean is over the heart and not over the words.

# %%
asked = pd.read_parquet(stage.input("06", "questions") / "test.parquet")
asked = asked[(asked["type"] == "verify") & asked["row"].isin(rows)]
order = 2 * (asked["answer"] == "yes") + asked["item"].str.startswith("verify:ectopy")
chosen = asked.loc[order.sort_values(ascending=False, kind="stable").index[0]]
compared = [int(chosen["row"]), *[int(row) for row in rows if row != chosen["row"]][:31]]
config = {"rows": compared, "prompt": chosen["question"], "layers": 4, "batch": 4}
read = {key: inputs[key] for key in ("codes", "base")} | {"system": systems["heartllm"]}
weights = np.load(stage.step("attention", alignment.attend, config, read) / "attention.npy")
above = weights[0] - weights.mean(0)
print(f"{chosen['question']} ({chosen['answer']}); weights of {weights.shape} ECGs, tokens")

# %%
place = compared[0]
signal, n_valid = cohort.signals([place])[0], int(cohort.records["n_valid"].iloc[place])
hop = load_tokenizer(stage.input("02", "fsq")).hop
tokens = -(-n_valid // hop)
label = "Attention above the mean over ECGs"
positive = np.clip(above[:tokens], 0, None)
title = f"{chosen['question']} Answer: {chosen['answer']}"
figure = ecg_leads.attention(signal, positive, n_valid=n_valid, label=label, title=title)
drawn = pd.DataFrame({"second": np.arange(len(above)) * hop / 250, "attention": weights[0]})
stage.figure("attention", figure, drawn.assign(above_mean=above).round(6))

# %% [markdown]
# One map of one record illustrates; it proves nothing about what the answer rests on.
#
# ## What we saw

# %%
item = "reciprocal_rank:hidden:true"
gain = bootstrap.paired_difference(rows_of("heartllm", item), rows_of("untrained", item), seed=seed)
stage.claim("alignment.trained_minus_untrained.retrieval", **vars(gain))
for name in clouds:
    probe = bootstrap.mean(rows_of(name, "probe:hidden"), seed=seed)
    print(f"- {name}: the probe tells ECG from text with accuracy {probe.text(2)} (last layer).")
print(f"- MRR of the own report, trained minus untrained: {gain.text()}, {len(rows)} pairs.")
drift = np.corrcoef(weights[0], weights.mean(0))[0, 1]
print(f"- The attention map of one record correlates {drift:.2f} with the mean over records.")

# %%
stage.finish()
