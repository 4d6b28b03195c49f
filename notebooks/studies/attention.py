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
# # Does the attention show on which part of an ECG an answer depends?
#
# | | |
# |---|---|
# | reads | cohort (01), FSQ (02), language model (04), HeartLLM (06) |
# | writes | attention, occlusion and deletion for the same ECGs and questions |
# | paper items | HeartLLM, Fig. 4a-b, over many ECGs; ECG-Byte's attention, by the same measures |
# | time | a minute in `smoke`; some 6 nominal minutes in `laptop`, after 01; nothing is trained |
# | memory | 4 GB in `laptop` |
#
# After this notebook you can
#
# - say what a map of attention claims, and which experiment can refute it;
# - hide a part of an ECG from a language model, and measure what its answer loses;
# - compare a map with the places of the waves in the signal.
#
# HeartLLM's Fig. 4 shades the parts of two ECGs that get much attention, and ECG-Byte shows such
# maps as well. [08_alignment](../08_alignment.py) draws one. A map of one ECG can be lucky. Here
# the maps of many ECGs are held against two tests:
#
# 1. *Deletion.* If a map shows what matters, then hiding its first tokens changes the answer more
#    often than hiding as many random tokens.
# 2. *Waves.* A question about the width of the QRS is decided in the QRS. Its tokens should stand
#    out of the map.
#
# The *occlusion* is the reference in both: it hides a few tokens at a time and measures how much
# less likely the model's own answer becomes. **Ours, not the papers':** both tests, and that the
# mean map over ECGs is subtracted.

# %% tags=["plumbing"]
import time
from itertools import product

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file
from scipy.stats import rankdata

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, predictions, wide_tables
from ecglib.figures import bars, size_curves
from ecglib.language import relevance
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.signals.measure import usual_beat
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-attention"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, scoring = stage.section("study"), stage.section("scoring")

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## ECGs and questions
#
# The ECGs are the first test ECGs of full length. The questions are chosen by the wave that decides
# them, in the first wording that a test question has. Both are fixed before any answer is known.
# All ECGs get all questions.

# %%
whole = cohort.records["n_valid"].to_numpy()[rows] == SAMPLES
chosen = rows[whole][: settings["ecgs"]]
asked = pd.read_parquet(questions / "test.parquet").sort_values("number")
first = asked[asked["type"] == "verify"].groupby("item")["question"].first()
waves = {item: wave for item, wave in settings["questions"].items() if f"verify:{item}" in first}
wording = {item: first[f"verify:{item}"] for item in waves}
print(f"{len(chosen)} ECGs;", "; ".join(wording.values()))

# %% [markdown]
# ## Hiding a token, by hand
#
# A hidden token gets the mean vector of all tokens. Below, an ECG of four tokens with vectors of
# two numbers loses its third.

# %%
x = torch.tensor([[[9.0, 9.0], [1, 0], [0, 1], [2, 2], [1, 1], [9, 9]]])  # (1, L, d), 4 tokens
tokens, mask = slice(1, 5), torch.tensor([[False, False, True, False]])
neutral = x[0, tokens].mean(0)
by_hand = x.clone()
by_hand[0, 3] = neutral
assert torch.equal(relevance.hide(x, tokens, mask, neutral), by_hand)
print(relevance.hide(x, tokens, mask, neutral)[0, tokens].tolist())

# %% [markdown]
# ## Maps and answers of the model

# %%
reads = stage.inputs("heartllm_texts")
hop = load(reads["tokenizer"]).hop
reads = {key: reads[key] for key in ("cohort", "codes", "base", "system")}
config = {key: settings[key] for key in ("layers", "width", "deleted")} | {"rows": chosen.tolist()}
maps = {}
for item, question in wording.items():
    name = "relevance_" + item.replace(".", "_")
    out = stage.step(name, relevance.score, config | {"question": question}, reads)
    maps[item] = load_file(out / "relevance.safetensors")
print({name: array.shape for name, array in maps[next(iter(maps))].items()})

# %% [markdown]
# ## Where the waves are
#
# The usual beat of each ECG is delineated, and its waves are placed at every usual beat. A token
# belongs to a wave if its middle lies inside.

# %%
middles = hop * (np.arange(maps[next(iter(maps))]["attention"].shape[1]) + 0.5)  # samples


def tokens_of(row: int, wave: str) -> np.ndarray:
    """Which tokens of an ECG lie in a wave, (T,) bool; none where it has no such wave."""
    usual = usual_beat(cohort.signals([row])[0].astype(float), RATE)
    if usual is None:
        return np.zeros(len(middles), bool)
    beat, at = usual
    spans = {"QRS": (at.qrs_onset, at.qrs_end), "PR": (at.p_onset, at.qrs_onset)}
    start, end = (spans | {"ST": (at.qrs_end, at.t_end)})[wave]
    places = beat.peaks[beat.usual][:, None] - beat.centre
    return ((middles >= places + start) & (middles <= places + end)).any(0)


def auc(score: np.ndarray, inside: np.ndarray) -> float:
    """Probability that a token of the wave stands above another one; NaN without one of both."""
    n = inside.sum()
    if n in (0, len(inside)):
        return np.nan
    return (rankdata(score)[inside].sum() - n * (n + 1) / 2) / (n * (len(inside) - n))


# %%
about = cohort.records.iloc[chosen].reset_index(drop=True)
parts = []
inside = {wave: [tokens_of(row, wave) for row in chosen] for wave in sorted(set(waves.values()))}
for item in waves:
    of = maps[item]
    marks = {"attention": of["attention"], "occlusion": of["occlusion"]}
    marks["above_mean"] = of["attention"] - of["attention"].mean(0)
    for (method, array), wave in product(marks.items(), inside):
        score = np.array([auc(*pair) for pair in zip(array, inside[wave], strict=True)])
        is_known = ~np.isnan(score)
        named = (method, seed, f"auc:{item}:{wave}")
        parts.append(predictions.build(about[is_known], *named, score=score[is_known]))
    for method in relevance.ORDERS:
        for index, count in enumerate(settings["deleted"]):
            changed = 1 - of[f"kept_{method}"][:, index].astype(float)
            named = (method, seed, f"changed:{item}:{count}")
            parts.append(predictions.build(about, *named, score=changed))
print("saved:", stage.predictions("relevance", pd.concat(parts, ignore_index=True)).name)
facts = {"item": list(wording), "question": list(wording.values()), "wave": list(waves.values())}
stage.data("questions", pd.DataFrame(facts))

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Deletion

# %%
scores = stage.read("relevance")
parts = scores["item"].str.split(":", expand=True)
scores = scores.assign(measure=parts[0], question=parts[1], wave=parts[2])
scores["deleted"] = pd.to_numeric(parts[2], errors="coerce")
asked = stage.read("questions").set_index("item")
decides = scores["wave"] == scores["question"].map(asked["wave"])
n_ecgs, n_patients = scores["ecg"].nunique(), scores["unit"].nunique()
order = [name for name in relevance.ORDERS if name in set(scores["method"])]


def of(measure: str, method: str, **where: object) -> pd.DataFrame:
    """The scores of one measure and method."""
    part = scores.assign(decides=decides)
    part = part[(part["measure"] == measure) & (part["method"] == method)]
    for column, value in where.items():
        part = part[part[column] == value]
    return part.drop(columns=["measure", "question", "wave", "deleted", "decides"])


# %%
counts = sorted(scores["deleted"].dropna().unique().astype(int))
lines = []
for method in order:
    for count in counts:
        value = bootstrap.bounded(bootstrap.mean(of("changed", method, deleted=count), seed=seed))
        lines.append({"method": method, "deleted": count, **vars(value)})
lines = pd.DataFrame(lines)
caption = (
    f"Share of answers whose first word piece changes when so many ECG tokens of some 157 are "
    f"hidden, in four orders. {n_ecgs} test ECGs of {n_patients} patients, all questions together. "
    "Bars: 95 % intervals over patients; one training seed."
)
alt = "Four curves of the share of changed answers against the number of hidden tokens."
figure = size_curves.curves(lines, "deleted", "Hidden tokens", "Answers that change")
stage.figure("deletion", figure, lines, caption, alt)
table = lines.assign(deleted=lines["deleted"].astype(str))
stage.table("deletion", wide_tables.wide(table, "method", "deleted"), "Answers that change.")

# %% [markdown]
# **What to see.** Compare each order with *random*: only the distance counts. The occlusion scores
# windows of a few tokens, one at a time. It is a reference for one window; of many windows together
# it knows nothing.
#
# ## Waves

# %%
lines = []
for method in [name for name in order if name != "random"]:
    for item in asked.index:
        own = of("auc", method, question=item, wave=asked.loc[item, "wave"])
        value = bootstrap.bounded(bootstrap.mean(own, seed=seed))
        lines.append({"method": method, "metric": item, **vars(value)})
lines = pd.DataFrame(lines)
titles = {item: f"{item}: {about['wave']}" for item, about in asked.iterrows()}
caption = (
    "How well a map tells the tokens of the wave that decides the question from the others: the "
    f"AUC within an ECG, mean over {n_ecgs} test ECGs. Dashed: chance. Whiskers: 95 % intervals "
    "over patients; one training seed."
)
alt = "A panel per question with three horizontal bars and a dashed line at one half."
figure = bars.methods(lines, titles, 3, "AUC", dict.fromkeys(titles, 0.5))
stage.figure("waves", figure, lines, caption, alt)
stage.table("waves", wide_tables.wide(lines, "method", "metric"), "AUC of the tokens of a wave.")
asked

# %% [markdown]
# Attention that only follows the size of the signal would mark the QRS whatever the question is. So
# the next table has all waves for all questions.

# %%
lines = []
for item, wave in product(asked.index, sorted(set(asked["wave"]))):
    value = bootstrap.mean(of("auc", "above_mean", question=item, wave=wave), seed=seed)
    lines.append({"question": item, "wave": wave, **vars(bootstrap.bounded(value))})
grid = wide_tables.wide(pd.DataFrame(lines), "question", "wave")
stage.table("all_waves", grid, "AUC of attention above the mean, by question and wave.")
grid

# %% [markdown]
# **What to see.** If the attention goes where the question is decided, then the highest number of a
# row is that of its own wave. If all rows are alike, the attention has one habit for all questions.
# The occlusion hides several tokens at a time, so it cannot tell the QRS from its neighbours.
#
# ## The registered comparisons

# %%
AT = 16  # hidden tokens
at = AT if AT in counts else counts[-1]
changed = {method: of("changed", method, deleted=at) for method in order}
for one, other in (("above_mean", "random"), ("occlusion", "above_mean")):
    gain = bootstrap.paired_difference(changed[one], changed[other], seed=seed)
    stage.claim(f"attention.deletion.{one}_minus_{other}", **vars(gain))
for method in ("above_mean", "occlusion"):
    rest = of("auc", method, decides=True)
    gain = bootstrap.mean(rest.assign(score=rest["score"] - 0.5), seed=seed)
    stage.claim(f"attention.waves.{method}", **vars(gain))

# %% [markdown]
# ## What it means

# %%
for claim in stage.claims().itertuples():
    print(f"- {claim.statement}")
    print(f"  {claim.value:.3f} [{claim.low:.3f}, {claim.high:.3f}]: {claim.verdict}")

# %% [markdown]
# The claims about waves are means over three questions: read them with the table of all waves. Four
# limits apply. As many tokens of the QRS were not hidden whatever the map says, so the deletion
# does not show that the map knows more than where the QRS is. A hidden token is no ECG that a heart
# could make, so a changed answer may be an answer to something strange. The first word piece of
# "yes" and "no" is the answer; of longer answers it is a part. And one training seed stands for the
# method.
#
# ## Try it yourself
#
# - In "Hiding a token, by hand", hide all four tokens. What is left knows nothing of the ECG.
# - In `attention.yaml` replace `pr.long` by `rate.slow`, with the wave QRS. The rate is in the
#   distances of the QRS complexes, so hiding a few tokens should change little.
#
# The map of one answer is explained in [08_alignment](../08_alignment.py).

# %% tags=["plumbing"]
stage.finish()
