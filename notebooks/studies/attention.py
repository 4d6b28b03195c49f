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
# | reads | cohort (01), FSQ and byte pairs (02), language model (04), HeartLLM (06) |
# | writes | ECG-Byte; attention, occlusion and deletion for the same ECGs and questions |
# | paper items | HeartLLM, Fig. 4a-b, over many ECGs; ECG-Byte's attention, to ECG and words |
# | time | a minute in `smoke`; some 70 nominal minutes in `laptop`, after 01 |
# | memory | 9 GB in `laptop` |
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
# 2. *Waves and leads.* A question about the width of the QRS is decided in the QRS, and one about
#    V4 in V4. The tokens there should stand out of the map.
#
# The *occlusion* is the reference in both: it hides a few tokens at a time and measures how much
# less likely the model's own answer becomes. **Ours, not the papers':** both tests, and that the
# mean map over ECGs is subtracted. The mean is taken by the number of the token. In HeartLLM that
# is a time. In ECG-Byte it is only roughly a lead, because its ECGs have different numbers of byte
# pairs. ECG-Byte's code averages the attention that a token gets from the other ECG tokens; here it
# is what the answer's first word gives to it, for both systems.
#
# HeartLLM is the committed model of notebook 06. ECG-Byte of the same notebook is trained once
# more, with the same seed. It reads the first second alone, lead after lead, so its tokens belong
# to a lead and a time, where a token of HeartLLM stands for all leads.

# %% tags=["plumbing"]
import json
import time
from itertools import product
from textwrap import shorten

import numpy as np
import pandas as pd
import torch
from IPython.display import display
from safetensors.numpy import load_file
from scipy.stats import rankdata

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, exact_match, predictions, wide_tables
from ecglib.figures import bars, ecg_leads, size_curves, style
from ecglib.language import ecg_byte, relevance, write_texts
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE, SAMPLES
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
SYSTEMS = ["heartllm", "ecg_byte"]

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
# All ECGs get all questions. ECG-Byte gets four more, which name leads: a byte pair belongs to one
# lead, while a token of HeartLLM stands for all of them.

# %%
whole = cohort.records["n_valid"].to_numpy()[rows] == SAMPLES
chosen = rows[whole][: settings["ecgs"]]
asked = pd.read_parquet(questions / "test.parquet").sort_values("number")
asked = asked[(asked["type"] == "verify") & asked["row"].isin(chosen)]
first = asked.groupby("item").first()
waves, leads = (
    {item: where for item, where in settings[of].items() if f"verify:{item}" in first.index}
    for of in ("questions", "leads")
)
items = {"heartllm": list(waves), "ecg_byte": [*waves, *leads]}
wording = {item: first.loc[f"verify:{item}", "question"] for item in items["ecg_byte"]}
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
# ## Maps and answers of the models
#
# Each map has a number per token. The rows of ECG-Byte end with NaN, since its ECGs have different
# numbers of tokens.

# %%
config = {key: settings[key] for key in ("layers", "width", "deleted")} | {"rows": chosen.tolist()}
reads, maps = {}, {}
for system in SYSTEMS:
    of = stage.inputs(f"{system}_texts")
    reads[system] = {key: of[key] for key in ("cohort", "tokenizer", "codes", "base", "system")}
    for item in items[system]:
        name = f"{system}_{item.replace('.', '_').lower()}"
        about = config | {"question": wording[item]}
        out = stage.step(name, relevance.score, about, reads[system])
        maps[system, item] = load_file(out / "relevance.safetensors")
    shapes = {name: of.shape for name, of in maps[system, item].items()}
    print(f"{system}: {shapes}")

# %% [markdown]
# ## Where the tokens are
#
# A token of HeartLLM covers 64 ms of all leads. A byte pair covers as many samples of one lead as
# its symbol has letters, and the leads follow one another.

# %%
tokenizers = {system: load(reads[system]["tokenizer"]) for system in SYSTEMS}
seconds = stage.part("ecg_byte").settings["seconds"]
symbols = ecg_byte.segments(cohort, tokenizers["ecg_byte"], chosen, seconds).numpy()  # (N, T)
widths = np.array([len(letters) for letters in tokenizers["ecg_byte"].symbols])
samples = round(seconds * RATE)  # of each lead
pieces = [widths[row[row >= 0]] for row in symbols]  # samples of each token, of each ECG
assert all(piece.sum() == samples * len(LEADS) for piece in pieces)
count = maps["heartllm", items["heartllm"][0]]["attention"].shape[1]
middles = {  # of the tokens of each ECG, in samples
    "heartllm": [tokenizers["heartllm"].hop * (np.arange(count) + 0.5)] * len(chosen),
    "ecg_byte": [(piece.cumsum() - piece / 2) % samples for piece in pieces],
}
print(f"{chosen[0]}: {len(pieces[0])} byte pairs, the first of {pieces[0][:8]} samples")

# %% [markdown]
# ## Where the waves are
#
# The usual beat of each ECG is delineated, and its waves are placed at every usual beat. *QRS* is
# the QRS complex, *P* the P wave. *PR* reaches from the start of P to that of the QRS. *ST* reaches
# from the end of the QRS to the end of T, so the T wave is in it. A token belongs to a wave if its
# middle lies inside. An ECG in which a wave is not found does not count for that wave. Leads that a
# question names are a place too, of ECG-Byte alone.


# %%
def wave_spans(row: int) -> dict[str, np.ndarray]:
    """Starts and ends of each wave at the usual beats of an ECG, (beats, 2) samples."""
    usual = usual_beat(cohort.signals([row])[0].astype(float), RATE)
    if usual is None:
        return {}
    beat, at = usual
    spans = {"P": (at.p_onset, at.p_end), "PR": (at.p_onset, at.qrs_onset)}
    spans |= {"QRS": (at.qrs_onset, at.qrs_end), "ST": (at.qrs_end, at.t_end)}
    places = beat.peaks[beat.usual][:, None] - beat.centre
    return {wave: places + np.array(span) for wave, span in spans.items()}


def inside(middle: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Which tokens lie in one of the spans, (T,) bool."""
    return ((middle >= spans[:, :1]) & (middle <= spans[:, 1:])).any(0)


def auc(score: np.ndarray, is_inside: np.ndarray) -> float:
    """Probability that a token of the wave stands above another one; NaN without one of both."""
    n = is_inside.sum()
    if n in (0, len(is_inside)):
        return np.nan
    ranks = rankdata(score)[is_inside]
    return (ranks.sum() - n * (n + 1) / 2) / (n * (len(is_inside) - n))


# %% [markdown]
# A *positive control* tells whether the tokens are placed rightly: how steep the signal is within a
# token. It knows no question and must mark the QRS.

# %%
signals = cohort.signals(chosen)
steep = np.abs(np.diff(signals, axis=2, prepend=signals[..., :1]))  # (N, 12, 2500)
hop = tokenizers["heartllm"].hop
whole = np.pad(steep.mean(1), ((0, 0), (0, count * hop - SAMPLES)))  # (N, tokens x hop)
steepness = {
    "heartllm": whole.reshape(len(chosen), count, hop).mean(2),
    "ecg_byte": [
        np.add.reduceat(part[:, :samples].ravel(), piece.cumsum() - piece) / piece
        for part, piece in zip(steep, pieces, strict=True)
    ],
}
print({system: len(of) for system, of in steepness.items()})

# %%
about = cohort.records.iloc[chosen].reset_index(drop=True)
spans, none = [wave_spans(row) for row in chosen], np.zeros((0, 2))
is_inside = {  # by system and wave, which tokens of each ECG
    (system, wave): [
        inside(middle, span.get(wave, none))
        for middle, span in zip(middles[system], spans, strict=True)
    ]
    for system, wave in product(SYSTEMS, ("P", "PR", "QRS", "ST"))
}
of_lead = [(piece.cumsum() - piece / 2) // samples for piece in pieces]  # the lead of each token
for named in leads.values():
    numbers = [LEADS.index(lead) for lead in named]
    is_inside["ecg_byte", ", ".join(named)] = [np.isin(lead, numbers) for lead in of_lead]

# %% [markdown]
# ## Attention to words
#
# The maps say how the attention to the ECG is spread. The next cell has how much of it goes to the
# ECG at all, and how much to the line about the patient and to each word piece of the question. The
# code of ECG-Byte draws such bars for the words of question and answer. It averages the attention
# that a piece gets from the others of its block. Ours is what the last piece of the question gives,
# which decides the answer's first word, and the words of the answer are left out. *Even* is the
# share by the number of positions, which attention would have that treats all alike.

# %%
config, words, spread = {"layers": settings["layers"], "rows": chosen.tolist()}, [], []
for system, item in maps:
    name = f"{system}_{item.replace('.', '_').lower()}_words"
    asks = config | {"question": wording[item]}
    out = stage.step(name, relevance.spread, asks, reads[system])
    of = load_file(out / "words.safetensors")  # share (N, 2 + W), positions (N, 2)
    parts_of = ["patient", "ECG", *json.loads((out / "pieces.json").read_text())]
    counts = np.concatenate([of["positions"], np.ones((len(chosen), len(parts_of) - 2))], 1)
    even = counts / counts.sum(1, keepdims=True)
    for number, piece in enumerate(parts_of):
        words.append({"method": system, "item": item, "number": number, "piece": piece})
        words[-1] |= {"even": even[:, number].mean()}
        named = (system, seed, f"words:{item}:{number}")
        spread.append(predictions.build(about, *named, score=of["share"][:, number]))
stage.predictions("spread", pd.concat(spread, ignore_index=True))
words = stage.data("words", pd.DataFrame(words).round(5))
print(f"{words['piece'].nunique()} different word pieces")

# %%
for system in SYSTEMS:
    parts, places = [], [where for of, where in is_inside if of == system]
    for item, wave in product(items[system], places):
        of = maps[system, item]
        marks = {"attention": of["attention"], "occlusion": of["occlusion"]}
        marks["above_mean"] = of["attention"] - np.nanmean(of["attention"], axis=0)
        marks["steepness"] = steepness[system]
        for method, array in marks.items():
            score = np.array(
                [
                    auc(row[: len(within)], within)
                    for row, within in zip(array, is_inside[system, wave], strict=True)
                ]
            )
            is_known = ~np.isnan(score)
            named = (method, seed, f"auc:{item}:{wave}")
            parts.append(predictions.build(about[is_known], *named, score=score[is_known]))
    for item, method in product(waves, relevance.ORDERS):
        for index, count in enumerate(settings["deleted"]):
            changed = 1 - maps[system, item][f"kept_{method}"][:, index].astype(float)
            named = (method, seed, f"changed:{item}:{count}")
            parts.append(predictions.build(about, *named, score=changed))
    print("saved:", stage.predictions(system, pd.concat(parts, ignore_index=True)).name)
facts = {"item": list(wording), "question": list(wording.values())}
facts |= {"wave": [waves.get(item) or ", ".join(leads[item]) for item in wording]}
facts |= {"is_lead": [item in leads for item in wording]}
stage.data("questions", pd.DataFrame(facts))

# %% [markdown]
# One ECG is drawn for each system: the one that was asked a question first, for ECG-Byte the first
# question, for HeartLLM the second. Notebook 08 draws another map of HeartLLM. The attention above
# the mean is written out as samples.


# %%
def save_map(system: str, number: int) -> None:
    """Save the map, the ECG and the answer of a system to the question of this number."""
    item = list(waves)[min(number, len(waves) - 1)]
    one, of = first.loc[f"verify:{item}"], maps[system, item]["attention"]
    place = list(chosen).index(one["row"])
    above = of[place] - np.nanmean(of, axis=0)
    if system == "ecg_byte":  # the leads follow one another
        by_sample = np.repeat(above[: len(pieces[place])], pieces[place]).reshape(len(LEADS), -1)
    else:
        by_sample = np.tile(np.repeat(above, hop)[:SAMPLES], (len(LEADS), 1))
    trace = cohort.signals(chosen[[place]])[0][:, : by_sample.shape[1]]
    for name, array in {"map": by_sample, "traces": trace}.items():
        table = pd.DataFrame(array.T.round(6), columns=list(LEADS))
        stage.data(f"{system}_{name}", table)
    config = {"rows": [int(one["row"])], "batch": 1, "max_new": scoring["max_new"]}
    out = stage.step(f"{system}_answer", write_texts.write, config, stage.inputs(f"{system}_texts"))
    says = pd.read_parquet(out / "texts.parquet").set_index("number").loc[one["number"], "text"]
    answered = {"question": one["question"], "reference": one["answer"], "answer": says.strip()}
    answered |= {"hop": hop}  # samples of a token of HeartLLM
    stage.data(f"{system}_question", pd.DataFrame([answered]))


save_map("ecg_byte", 0)
save_map("heartllm", 1)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Deletion

# %%
asked = stage.read("questions").set_index("item")
scores = pd.concat([stage.read(system).assign(system=system) for system in SYSTEMS])
parts = scores["item"].str.split(":", expand=True)
scores = scores.assign(measure=parts[0], question=parts[1], wave=parts[2])
scores["deleted"] = pd.to_numeric(parts[2], errors="coerce")
scores["decides"] = scores["wave"] == scores["question"].map(asked["wave"])
named = list(asked.loc[asked["is_lead"], "wave"])  # leads
scores["is_lead"] = scores["wave"].isin(named)
n_ecgs, n_patients = scores["ecg"].nunique(), scores["unit"].nunique()
order = [name for name in relevance.ORDERS if name in set(scores["method"])]


def of(measure: str, method: str, **where: object) -> pd.DataFrame:
    """The scores of one measure and method."""
    part = scores[(scores["measure"] == measure) & (scores["method"] == method)]
    for column, value in where.items():
        part = part[part[column] == value]
    added = ["system", "measure", "question", "wave", "deleted", "decides", "is_lead"]
    return part.drop(columns=added)


def extent(system: str) -> str:
    """How many tokens an ECG has, if its map was saved: runs of equal weights, by tens."""
    if not stage.has(f"{system}_traces"):  # traces of real patients are not published
        return ""
    weights = stage.read(f"{system}_map")
    runs = (weights.diff() != 0).sum()  # of each lead; a token of HeartLLM stands for all leads
    n_tokens = round(runs.sum() if system == "ecg_byte" else runs.iloc[0], -1)
    return f"The ECG of the map below has some {n_tokens} tokens in {len(weights) / RATE:g} s. "


# %%
counts = sorted(scores["deleted"].dropna().unique().astype(int))
alt = "Four curves of the share of changed answers against the number of hidden tokens."
label = "Share of answers that change"
for system in SYSTEMS:
    lines = []
    for method, count in product(order, counts):
        changed = of("changed", method, system=system, deleted=count)
        value = bootstrap.bounded(bootstrap.mean(changed, seed=seed))
        lines.append({"method": method, "deleted": count, **vars(value)})
    lines, name = pd.DataFrame(lines), style.method(system).name
    caption = (
        f"{name}: share of answers whose first word piece changes when so many ECG tokens are "
        f"hidden, in four orders. {extent(system)}{n_ecgs} test ECGs of {n_patients} patients, the "
        "questions about waves together. Points of one size are drawn slightly apart. Bars: 95 % "
        "intervals over patients; one training seed."
    )
    figure = size_curves.curves(lines, "deleted", "Hidden tokens", label)
    figure.axes[0].set_ylim(-0.03, 1)  # the same in both figures
    stage.figure(f"deletion_{system}", figure, lines, caption, alt)
    table = wide_tables.wide(
        lines.assign(deleted=lines["deleted"].astype(str)), "method", "deleted"
    )
    stage.table(f"deletion_{system}", table, f"{name}: answers that change.")

# %% [markdown]
# **What to see.** Compare each order with *random*: only the distance counts. The occlusion scores
# windows of a few tokens, one at a time. It is a reference for one window; it tests one window, not
# many windows together. An ECG has 157 tokens of HeartLLM for ten seconds, and on average some 250
# byte pairs of ECG-Byte for one second. The ECG of the map is one of them and may have more.
#
# ## Waves

# %%
PART = {"P": "P wave", "PR": "PR interval", "QRS": "QRS complex", "ST": "ST and T wave"}
lines, titles = [], {}
for system, item in product(SYSTEMS, asked.index[~asked["is_lead"]]):
    wave, name = asked.loc[item, "wave"], style.method(system).name
    for method in [*(name for name in order if name != "random"), "steepness"]:
        own = of("auc", method, system=system, question=item, wave=wave)
        value = bootstrap.bounded(bootstrap.mean(own, seed=seed))
        lines.append({"method": method, "metric": f"{system}:{item}", **vars(value)})
    titles[f"{system}:{item}"] = f"{name}: {PART[wave]}\n({own['ecg'].nunique()} ECGs)"
lines = pd.DataFrame(lines)
caption = (
    "How well a map tells the tokens of the wave that decides the question (in the title) from the "
    "others: the AUC within an ECG, mean over the test ECGs in which the wave is found (their "
    "number is in the title). Steepness of the signal is a positive control for the QRS alone. "
    "Bars begin at chance, 0.5. Whiskers: 95 % intervals over patients; one training seed."
)
alt = "A panel per system and question with four horizontal bars from a line at one half."
figure = bars.methods(lines, titles, 3, "AUC", start=0.5)
stage.figure("waves", figure, lines, caption, alt)
in_a_line = {key: title.replace("\n", " ") for key, title in titles.items()}
by_title = wide_tables.wide(lines.replace({"metric": in_a_line}), "method", "metric")
stage.table("waves", by_title, "AUC of the tokens of a wave.")

# %% [markdown]
# Attention that only follows the size of the signal would mark the QRS whatever the question is. So
# the next table has all waves for all questions.

# %%
lines = []
for system, item, wave in product(SYSTEMS, asked.index, ("P", "PR", "QRS", "ST")):
    own = of("auc", "above_mean", system=system, question=item, wave=wave)
    if len(own):
        value = bootstrap.bounded(bootstrap.mean(own, seed=seed))
        asks = f"{style.method(system).name}: {asked.loc[item, 'question']}"
        lines.append({"question": asks, "wave": wave, **vars(value)})
grid = wide_tables.wide(pd.DataFrame(lines), "question", "wave")
grid = stage.table(
    "all_waves", grid, "AUC of attention above the mean, by system, question and wave."
)
grid

# %% [markdown]
# The map can have a habit and follow the question as well. The next table has the same wave and the
# same ECG twice: when a question asks for the wave, and under the other questions. A difference
# above zero is what the question adds. It is not registered.

# %%
of_waves = asked.index[~asked["is_lead"]]
is_auc = (scores["measure"] == "auc") & scores["question"].isin(of_waves)
on_waves = scores[is_auc & scores["wave"].isin(asked.loc[of_waves, "wave"])]
lines = []
for system, method in product(SYSTEMS, ("above_mean", "occlusion")):
    part = on_waves[(on_waves["system"] == system) & (on_waves["method"] == method)]
    rest = part[~part["decides"]].groupby(["ecg", "wave"])["score"].mean()
    own = part[part["decides"]].set_index(["ecg", "wave"])
    own = own[own.index.isin(rest.index)]  # a small cohort may have one question alone
    gain = own.assign(score=own["score"] - rest.reindex(own.index)).reset_index()
    name = f"{style.method(system).name}: {style.method(method).name}"
    for wave, of_wave in [*gain.groupby("wave"), ("all", gain)]:
        if len(of_wave):
            value = bootstrap.mean(of_wave, seed=seed)
            lines.append({"map": name, "wave": wave, **vars(value)})
if lines:
    caption = "AUC of a wave's tokens when it is asked for, minus that under the other questions."
    display(stage.table("own_wave", wide_tables.wide(pd.DataFrame(lines), "map", "wave"), caption))

# %% [markdown]
# Four questions name leads. A system may have a habit for a lead, and another one for each kind of
# question. So the byte pairs of a lead are scored under all questions: the question that names it
# should stand out of its column, against the other one of its kind.

# %%
lines = []
for item, where in product(asked.index, named):
    own = of("auc", "attention", system="ecg_byte", question=item, wave=where)
    line = {"question": asked.loc[item, "question"], "leads": where}
    lines.append(line | vars(bootstrap.mean(own, seed=seed)))
if lines:
    leads = wide_tables.wide(pd.DataFrame(lines), "question", "leads")
    caption = "ECG-Byte: AUC of attention for the byte pairs of leads, by question."
    display(stage.table("leads", leads, caption))

# %% [markdown]
# **What to see.** In the table of leads compare within a column. Where its columns differ more than
# its rows, there is a habit for leads, whatever is asked. In the table of waves, if the attention
# goes where the question is decided, then the highest number of a row is that of its own wave. If
# all rows of a system look alike, its attention has a habit, and the table of differences says
# whether the question adds to it. The occlusion hides several tokens at a time, so it cannot tell
# the QRS from its neighbours.
#
# ## How much of the attention goes to the ECG?

# %%
words, spread = stage.read("words"), stage.read("spread")
rows, places = [], {0: "patient", 1: "ECG"}  # by number; the others are the question's pieces
for (system, item), part in words.groupby(["method", "item"], sort=False):
    line = {"method": system, "asked": asked.loc[item, "question"]}
    for where in ("patient", "ECG", "question"):
        inside = part[part["number"].map(places).fillna("question") == where]
        cells = [f"words:{item}:{number}" for number in inside["number"]]
        own = spread[(spread["method"] == system) & spread["item"].isin(cells)]
        own = own.groupby(["unit", "ecg"])["score"].sum().reset_index()
        share = bootstrap.bounded(bootstrap.mean(own, seed=seed))
        line |= {where: share.text(), f"even, {where}": round(inside["even"].sum(), 3)}
    rows.append(line)
caption = "Share of the attention of the question's last word piece, by what it goes to [95 % "
caption += "interval]. Even: the share of all positions."
with pd.option_context("display.max_colwidth", None):
    display(stage.table("attention_to_words", pd.DataFrame(rows), caption))

# %%
mean = spread.groupby(["method", "item"])["score"].mean().rename("attention").reset_index()
mean[["item", "number"]] = mean["item"].str.extract(r"words:(.*):(\d+)$")
pieces = words.merge(mean.astype({"number": int}), on=["method", "item", "number"])
pieces = pieces[pieces["number"] > 1]
stage.table("pieces", pieces[["method", "item", "number", "piece", "attention"]].round(4))
lines = []
for (system, item), part in pieces.groupby(["method", "item"], sort=False):
    most = part.nlargest(5, "attention").itertuples()
    text = ", ".join(f"{one.piece} {one.attention:.3f}" for one in most)
    lines.append({"method": system, "asked": asked.loc[item, "question"], "pieces": text})
caption = "The five pieces of the question with the most attention of its last piece, mean."
with pd.option_context("display.max_colwidth", None):
    display(stage.table("first_pieces", pd.DataFrame(lines), caption))

# %% [markdown]
# **What to see.** In the first table compare a share with the even one beside it. The instruction
# in front of every question counts as part of it. A share of the ECG that is far below says that
# the answer's first word looks mostly at words. A high share of the patient says little: models
# often rest spare attention on the first positions. Nor does a low share of the ECG say that it is
# not read, because a model can bring what it has read to a few positions first. The deletion above
# tests what depends on the ECG's tokens. In the second table a dot stands for a blank. The last
# piece also attends to itself.
#
# ## Two maps of one answer each
#
# The first is HeartLLM's over ten seconds, as the paper's Fig. 4. The second is ECG-Byte's over the
# one second that it reads.


# %%
def draw_map(system: str, unit: str, hint: str) -> None:
    """The figure of a system's saved map; `unit`: what a shade belongs to."""
    (one,) = stage.read(f"{system}_question").itertuples()
    hint = hint.format(ms=1000 * one.hop / RATE)
    weights, name = stage.read(f"{system}_map"), style.method(system).name
    is_right = exact_match.matches(one.reference, one.answer)
    judged = " (right)" if is_right else f"; reference: {one.reference}"
    says = shorten(one.answer, 40, placeholder=" ...") or "(nothing)"
    caption = (
        f"Attention of {name} over {len(weights) / RATE:g} s of one test ECG when it answers "
        f'"{one.question}" Its own answer is "{says}", and the reference is "{one.reference}". The '
        f"shade is the attention to a {unit} above the mean over {n_ecgs} ECGs with the same "
        "question, at the first word of the answer, over the heads of the last layers of the "
        f"language model ({settings['layers']} at most). Below the mean it is drawn as 0, and the "
        f"darkest shade is the 95th percentile or more. {hint}"
    )
    alt = "Three leads over time, with darker bands where a token gets more attention."
    look = {"label": "Attention above the mean over ECGs", "method": system}
    look["title"] = f"{one.question}\n{name}'s answer: {says}{judged}"
    above, trace = (table.to_numpy().T for table in (weights, stage.read(f"{system}_traces")))
    figure = ecg_leads.attention(trace, np.clip(above, 0, None), **look)
    stage.figure(f"{system}_map", figure, weights.round(5), caption, alt)


# %%
if stage.has("ecg_byte_traces"):  # traces of real patients are not published
    hint = "A token stands for {ms:.0f} ms of all leads; three of twelve are drawn."
    draw_map("heartllm", "token", hint)
    hint = "A byte pair belongs to one lead; three of twelve are drawn."
    draw_map("ecg_byte", "byte pair", hint)

# %% [markdown]
# **What to see.** As in notebook 08, check the answer first. One map of one ECG is an illustration.
# The tables above say what such maps are worth.
#
# ## The registered comparisons

# %%
AT = 16  # hidden tokens
at = AT if AT in counts else counts[-1]
for system, name in {"heartllm": "", "ecg_byte": "ecg_byte."}.items():
    changed = {method: of("changed", method, system=system, deleted=at) for method in order}
    for one, other in (("above_mean", "random"), ("occlusion", "above_mean")):
        gain = bootstrap.paired_difference(changed[one], changed[other], seed=seed)
        stage.claim(f"attention.{name}deletion.{one}_minus_{other}", **vars(gain))
    for method in ("above_mean", "occlusion"):
        rest = of("auc", method, system=system, decides=True, is_lead=False)
        gain = bootstrap.mean(rest.assign(score=rest["score"] - 0.5), seed=seed)
        stage.claim(f"attention.{name}waves.{method}", **vars(gain))

# %% [markdown]
# A claim about leads is about the question: the AUC of a lead's byte pairs when the question names
# it, minus the AUC when a question of the same kind names another one. The difference takes habits
# out, so the attention is taken as it is.

# %%
of_leads = scores[(scores["measure"] == "auc") & scores["is_lead"]]
kind = dict(zip(asked["wave"], asked.index.str.split(".").str[0], strict=True))  # of a lead
is_same = of_leads["wave"].map(kind) == of_leads["question"].str.split(".").str[0]
for method in ("attention", "occlusion"):
    part = of_leads[is_same & (of_leads["method"] == method)]
    rest = part[~part["decides"]].groupby(["ecg", "wave"])["score"].mean()
    own = part[part["decides"]].set_index(["ecg", "wave"])
    own = own[own.index.isin(rest.index)]  # a small cohort may have one question of a kind alone
    gain = own.assign(score=own["score"] - rest.reindex(own.index)).reset_index()
    unknown = bootstrap.Estimate(np.nan, np.nan, np.nan, 0)
    gain = bootstrap.mean(gain, seed=seed) if len(gain) else unknown
    stage.claim(f"attention.ecg_byte.leads.{method}", **vars(gain))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()

# %% [markdown]
# Does the attention show on which part an answer depends? In `laptop` for HeartLLM in part, for
# ECG-Byte hardly. Hiding the 16 tokens with the most attention above the mean changes 21 % of
# HeartLLM's answers, and hiding 16 random tokens changes 4 %. But this attention marks the QRS
# under all three questions (AUC 0.83). When the PR interval is asked for, its AUC there is 0.44,
# below chance. So "marks the wave that decides the question" holds for the mean of the questions,
# not for each. The question adds 0.018 [0.013, 0.023] of AUC to the attention, and 0.000 [-0.014,
# 0.014] to the occlusion. In ECG-Byte hiding changes 9 % of the answers against 7 %, and the AUC of
# the wave that is asked for is 0.50 to 0.51.
#
# The claims about waves are means over all pairs of an ECG and a question. A question whose wave is
# found in more ECGs counts for more, and a claim can hold although one question fails. A wave that
# is highest under all questions shows a habit. The habit does not exclude that the map follows the
# question as well: the table of differences tests that. The claims about deletion are of 16 hidden
# tokens. With another number the verdict can be another one: in `laptop`, ECG-Byte's attention is
# ahead of random tokens at 4 and 8 hidden tokens, and not at 16 or more.
#
# Six limits apply. The two questions about noise differ in their wording too, not in the lead
# alone. We did not hide as many random tokens of the QRS, so the deletion does not show that the
# map knows more than where the QRS is. A hidden token is no ECG that a heart could make, so a
# changed answer may be an answer to something strange. The first word piece of "yes" and "no" is
# the answer; of longer answers it is a part. The two systems cannot be compared by the number of
# hidden tokens, since theirs stand for other amounts of signal. And one training seed stands for
# each.
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
