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
# # Which words of a report attend to the ECG, and which depend on it?
#
# | | |
# |---|---|
# | reads | cohort (01), ECG-Tok (04), HeartLLM and ECG-Byte (06) |
# | writes | attention and dependence of each word piece that they write in reports |
# | paper items | ECG-Byte: attention to the words of prompt and answer; ECG-Tok 4: hallucination |
# | time | half a minute in `smoke`; some 30 nominal minutes in `laptop`, with 01 |
# | memory | 4 GB in `laptop` |
#
# After this notebook you can
#
# - say what a word's attention to the ECG is, and why it is not the same as needing the ECG;
# - measure in nats how much a word depends on the ECG, with the ECGs of other patients;
# - judge whether either tells a true finding from an invented one.
#
# The code of ECG-Byte draws a bar per word of a question and of its answer: how much attention the
# word receives from the others of its block. How much a word of the answer gives to the ECG is
# never drawn. A reader may hope for this: the model attends to the ECG when it writes a finding,
# and where it does not, it invents one.
#
# Attention is held against two other numbers here:
#
# 1. The *dependence* of a word piece: the logarithm of how many times more likely it is behind this
#    ECG than, on average, behind the ECGs of other patients of the same hospital.
# 2. The model's *own probability* of what it writes. It needs no look inside the model, so it is
#    the opponent in the test against invented findings.
#
# **Ours, not the papers':** the dependence, and the test against invented findings. The study
# [attention](attention.py) has the words of questions, and the parts of the ECG.

# %% tags=["plumbing"]
import re
import time
from itertools import product

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, bootstrap, statements, wide_tables
from ecglib.evaluate.bootstrap import Estimate
from ecglib.figures import bars, style, word_bars
from ecglib.labels.findings import TRIVIAL
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.language import written_attention
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-written_words"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, scoring = stage.section("study"), stage.section("scoring")
SYSTEMS = ["heartllm", "ecg_tok", "ecg_byte"]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, min(settings["ecgs"], scoring["test_ecgs"]), seed)
about = cohort.records.iloc[rows].reset_index(drop=True)
scored = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed).tolist()
ask = stage.section("questions") | {"rows": scored}  # as in notebook 04, whose systems learned them
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
stage.step("questions", balanced_sets.write_questions, ask, measured)
print(f"{len(rows)} ECGs of {about['unit'].nunique()} patients")

# %% [markdown]
# ## Dependence, by hand
#
# A model writes "atrial" with a probability of 0.6 behind this ECG, and of 0.1 and 0.02 behind
# those of two other patients. The probabilities of the others are averaged, not their logarithms:
# one ECG behind which the word is nearly impossible must not decide.

# %%
here, elsewhere = torch.tensor(0.6), torch.tensor([0.1, 0.02])
dependence = (here / elsewhere.mean()).log()
assert torch.isclose(dependence, torch.tensor(10.0).log())
print(f"ten times more likely: {dependence:.2f} nats")

# %% [markdown]
# ## Reports, word by word
#
# Each system writes its report of each ECG, greedily. Then the report is read once more with all
# attention kept, and once behind each of some ECGs of other patients. The line about the patient,
# the prompt and the report so far stay as they are. The attention of a position is split among
# four parts, which sum to 1: the patient's line, the ECG, the prompt, and the report so far.

# %%
config = {key: settings[key] for key in ("layers", "others")} | {"rows": rows.tolist()}
config["max_new"], tables = scoring["max_new"], []
for system in SYSTEMS:
    of = stage.inputs(f"{system}_texts")
    names = ("cohort", "base", "system", "tokenizer", "codes")
    reads = {name: of[name] for name in names if name in of}
    out = stage.step(f"{system}_words", written_attention.measure, config, reads)
    tables.append(pd.read_parquet(out / "words.parquet").assign(method=system))
words = pd.concat(tables, ignore_index=True)
shares = [f"to_{name}" for name in written_attention.SHARES]
is_written = words["block"] != written_attention.PROMPT
assert np.allclose(words.loc[is_written, shares].sum(axis=1), 1, atol=1e-3)
print(f"{is_written.sum():,} word pieces of {len(SYSTEMS)} x {len(rows)} reports")

# %% [markdown]
# ## Phrases
#
# A report is a list of phrases. A phrase ends with a comma or a full stop behind which a blank
# follows. The first piece of a phrase decides most of what is said, and those behind it may only
# finish the words. So each piece is *first* or *later*, a *mark* (or a blank), which has no letter
# and no digit, or the *end*. Hospital B ends a phrase with a comma and so decides in a mark whether
# to go on. Hospital A decides it behind the mark.


# %%
def number_phrases(texts: list[str]) -> np.ndarray:
    """The number of the phrase that each piece of a report belongs to, (n,) from 0."""
    before = ["".join(texts[:number]) for number in range(len(texts))]
    starts = [
        bool(re.search(r"[.,;]\s*$", text)) and (text[-1:].isspace() or piece[:1].isspace())
        for text, piece in zip(before, texts, strict=True)
    ]
    return np.cumsum(starts)


toy = ["Sinus", " rhyth", "m", ".", " PR", " 0", ".", "2"]
print([f"{number}:{text}" for number, text in zip(number_phrases(toy), toy, strict=True)])
assert number_phrases(toy).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
assert number_phrases(["wide", " qrs", ",", " lae"]).tolist() == [0, 0, 0, 1]

# %%
words["phrase"], words["kind"] = -1, words["block"]
in_report = words["block"] == written_attention.REPORT
for _, place in words[in_report].groupby(["method", "row"], sort=False).groups.items():
    words.loc[place, "phrase"] = number_phrases(words.loc[place, "text"].tolist())
has_letters = words["text"].str.contains(r"[A-Za-z0-9]")
words.loc[in_report & ~has_letters, "kind"] = "mark"
of = words[in_report & has_letters]
is_later = of.duplicated(["method", "row", "phrase"])
words.loc[of.index, "kind"] = np.where(is_later, "later", "first")
of_row = about[["unit", "ecg", "site"]].assign(row=rows)
words = words.merge(of_row, on="row", validate="many_to_one")
print(words.groupby(["method", "kind"], sort=False).size().unstack())

# %% [markdown]
# A phrase that states a finding is *true* if the label of the ECG is present, and *invented* if it
# is absent; a hedge counts as a statement. Labels that are uncertain or were not assessed are left
# out, and so are sinus rhythm and "normal", which a constant answer gets right. The second mention
# of a finding in a report does not count.

# %%
states, place = cohort.labels[rows], {ecg: i for i, ecg in enumerate(about["ecg"])}
lines, report = [], words[words["phrase"] >= 0]
for (method, ecg, phrase), part in report.groupby(["method", "ecg", "phrase"], sort=False):
    text = "".join(part["text"]).strip(" .,;")
    for label, degree in statements.read_degrees(text).items():
        state = states[place[ecg], label]
        if degree > statements.UNMENTIONED and label not in TRIVIAL and state in (ABSENT, PRESENT):
            line = {"method": method, "ecg": ecg, "label": int(label), "phrase": phrase}
            lines.append(line | {"is_true": state == PRESENT})
columns = ["method", "ecg", "label", "phrase", "is_true"]
stated = pd.DataFrame(lines, columns=columns).drop_duplicates(["method", "ecg", "label"])
stated = stage.data("stated", stated.merge(about[["unit", "ecg", "site"]], on="ecg"))
print(stated.groupby("method")["is_true"].agg(["size", "mean"]))

# %% tags=["plumbing"]
whose_text = ["method", "ecg", "block", "number", "text"]  # not published of real patients
stage.data("words_texts", words[whose_text])
kept = ["method", "unit", "ecg", "site", "block", "kind", "phrase", "number", "received", *shares]
stage.data("words", words[[*kept, "even", "log_p", "dependence"]].round(5))
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## One report
#
# The report about the first ECG, by ECG-Byte and by HeartLLM. The upper panel is the released view:
# what a piece gets on average from all positions of its block, itself included, over all layers.
# Positions in front of it give it nothing and count, so late pieces have little whatever is
# written. The middle panel is what the position that writes a piece gives to the ECG.

# %%
words, stated = stage.read("words"), stage.read("stated")
n_ecgs, n_patients = words["ecg"].nunique(), words["unit"].nunique()
MOST = 70  # pieces of a figure


def draw_report(system: str) -> None:
    """The figure of a system's report about the first ECG."""
    of = words[(words["method"] == system) & (words["ecg"] == words["ecg"].iloc[0])]
    one = of.merge(stage.read("words_texts"), on=["method", "ecg", "block", "number"]).head(MOST)
    name = style.method(system).name
    caption = (
        f"{name}: prompt (grey) and the report that it writes about one test ECG, by word piece, "
        f"{MOST} at most. (a) Attention that a piece receives from the positions of its block, "
        "over all layers and heads, as in ECG-Byte's code. (b) Share of the attention that goes to "
        "the ECG at the position that writes the piece, over the last layers "
        f"({settings['layers']} at most); dashes: the ECG's share of all positions. (c) Log of how "
        "many times more likely the piece is behind this ECG than behind those of "
        f"{settings['others']} other patients. Grey fields: no value. The end mark comes last."
    )
    alt = "Three panels of bars, one bar per word piece."
    drawn = one[["block", "number", "text", *word_bars.PANELS, "even"]]
    stage.figure(f"{system}_report", word_bars.report(drawn, system), drawn, caption, alt)


# %%
if stage.has("words_texts"):  # texts about real patients are not published
    draw_report("ecg_byte")
    draw_report("heartllm")

# %% [markdown]
# **What to see.** Which bars of (c) stand out: the first words of phrases, or others? A bar below
# zero is a piece that other ECGs would have made more likely. Are the bars of (b) at the same
# pieces higher than their neighbours?
#
# ## Over all reports
#
# Attention changes along a report, because there are more and more words to attend to. So the share
# of the ECG is taken *above its mean* over the reports of the same hospital at the same number of
# the piece. Numbers that few reports reach are left out of what needs that mean.

# %%
written = words[words["block"] != "prompt"].copy()
at = written[written["phrase"] >= 0].groupby(["method", "site", "number"])
for column in ("to_ecg", "dependence"):
    above = written[column] - at[column].transform("mean")
    written[f"{column}_above"] = above.where(at[column].transform("size") >= settings["reports"])
lines, parts = [], {"to_patient": "patient", "to_ecg": "ECG", "to_prompt": "prompt"}
parts |= {"to_report": "report so far", "even": "ECG, by positions", "dependence": "nats"}
for system, kind in product(SYSTEMS, ("first", "later", "mark", "end")):
    of = written[(written["method"] == system) & (written["kind"] == kind)]
    for column, part in parts.items() if len(of) else ():
        value = bootstrap.mean(of, column, seed=seed)
        line = {"name": f"{style.method(system).name}, {kind}", "part": part}
        lines.append(line | vars(value))
caption = (
    "Mean share of the attention at the position that writes a piece, by what it goes to, and "
    "dependence in nats: first and later pieces of phrases, marks, and the end of the report [95 % "
    f"interval over patients]. {n_ecgs} test ECGs of {n_patients} patients; one training seed."
)
spread = stage.table("spread", wide_tables.wide(pd.DataFrame(lines), "name", "part"), caption)
spread


# %%
unknown = Estimate(np.nan, np.nan, np.nan, 0)  # where no report or finding has a score


def mean_of(rows: pd.DataFrame) -> Estimate:
    """Mean of the scores of reports."""
    return bootstrap.mean(rows, seed=seed) if len(rows) else unknown


def first_minus_later(system: str, column: str) -> Estimate:
    """The first pieces of a report minus the later ones, mean over reports. The first piece of a
    report is left out, because no later one stands at its number."""
    of = written[(written["method"] == system) & (written["number"] > 0)]
    mean = of.groupby(["unit", "ecg", "kind"])[column].mean().unstack()
    mean = mean.reindex(columns=["first", "later"])
    return mean_of((mean["first"] - mean["later"]).dropna().rename("score").reset_index())


LEAST = 5  # first pieces of a report whose ranks are compared


def agreement(system: str) -> Estimate:
    """Rank correlation of attention and dependence over the first pieces, mean over reports."""
    of = written[(written["method"] == system) & (written["kind"] == "first")]
    of, rows = of.dropna(subset=["to_ecg_above"]), []
    for (unit, ecg), part in of.groupby(["unit", "ecg"]):
        pair = part[["to_ecg_above", "dependence_above"]]
        if len(pair) >= LEAST and (pair.nunique() > 1).all():
            rows.append({"unit": unit, "ecg": ecg, "score": spearmanr(*pair.to_numpy().T)[0]})
    return mean_of(pd.DataFrame(rows))


# %%
COMPARED = {"to_ecg": "attention", "to_ecg_above": "attention above the mean", "dependence": "nats"}
ranks = {system: agreement(system) for system in SYSTEMS}
firsts = {
    (system, column): first_minus_later(system, column)
    for system, column in product(SYSTEMS, COMPARED)
}
lines = []
for system in SYSTEMS:
    line = {"method": system}
    for column, title in COMPARED.items():
        line[title] = firsts[system, column].text(2 if column == "dependence" else 4)
    lines.append(line | {"rank correlation": ranks[system].text(2)})
caption = (
    "First pieces of phrases minus later ones: share of the attention that goes to the ECG, the "
    "same above its mean at that number, and dependence in nats. Rank correlation: of attention "
    "and dependence, both above their means, over the first pieces of a report [95 % interval]."
)
pieces = stage.table("pieces", pd.DataFrame(lines), caption)
pieces

# %% [markdown]
# ## Does either tell an invented finding?
#
# Each phrase that states a finding gets five scores, without its marks:
#
# - *attention* to the ECG, the mean over its pieces, above the mean at each number;
# - *dependence*, the sum over its pieces;
# - its *own probability*, the sum of the logarithms;
# - the probability of its *first piece* alone, which like the last one needs no look inside;
# - its probability *behind other ECGs*, averaged piece by piece, which is the own one without the
#   dependence.
#
# The AUC separates true from invented statements of one finding in the wording of one hospital. Its
# mean over these asks what a score says beyond how common and how long a statement is.

# %%
pieces_of = written[written["kind"].isin(["first", "later"])]
pieces_of = pieces_of.assign(elsewhere=pieces_of["log_p"] - pieces_of["dependence"])
scores = pieces_of.groupby(["method", "ecg", "phrase"]).agg(
    attention=("to_ecg_above", "mean"),
    dependence=("dependence", "sum"),
    own_probability=("log_p", "sum"),
    own_first=("log_p", "first"),
    elsewhere=("elsewhere", "sum"),
)
MEASURES = list(scores.columns)
judged = stated.merge(scores.reset_index(), on=["method", "ecg", "phrase"], validate="many_to_one")
judged = judged.dropna(subset=MEASURES)
stratum = judged["label"] + 100 * pd.factorize(judged["site"], sort=True)[0]
judged["item"] = [f"label:{number:02d}" for number in stratum]
judged["target"] = judged["is_true"].astype(int).astype(str)
true = judged["is_true"].groupby([judged["method"], judged["item"]])
fewest = np.minimum(true.transform("sum"), true.transform("size") - true.transform("sum"))
judged = judged[fewest >= settings["least"]]
by = {
    (system, measure): part.assign(score=part[measure], seed=seed)
    for system, part in judged.groupby("method")
    for measure in MEASURES
}

# %%
aucs = {key: auc.auc(of, "macro", seed=seed) for key, of in by.items()}
lines, titles = [], {}
for system, measure in product(SYSTEMS, MEASURES):
    value = aucs.get((system, measure), unknown)
    lines.append({"method": measure, "metric": system, **vars(value)})
    of = judged.loc[judged["method"] == system, "is_true"]
    count = f"{of.sum():,} true, {(~of).sum():,} invented"
    titles[system] = f"{style.method(system).name}\n({count})"
caption = (
    "How well a score of a phrase tells a true statement of a finding from an invented one: AUC "
    "within a finding and a hospital's wording, mean over those with at least "
    f"{settings['least']} of both. {n_ecgs} test ECGs; bars begin at chance, 0.5. Whiskers: 95 % "
    "intervals over patients; one training seed."
)
alt = "A panel per system with five horizontal bars from a line at one half."
lines = pd.DataFrame(lines)
figure = bars.methods(lines, titles, 3, "Macro-AUC, true against invented", start=0.5)
stage.figure("invented", figure, lines, caption, alt)
in_a_line = {key: title.replace("\n", " ") for key, title in titles.items()}
wide = wide_tables.wide(lines.replace({"metric": in_a_line}), "method", "metric")
wide = stage.table("invented", wide, "Macro-AUC of true against invented [95 % interval].")
wide

# %% [markdown]
# **What to see.** A bar whose whisker crosses the line is not shown to separate anything. Compare
# attention and dependence with the model's own probability. The probability behind other ECGs knows
# the words and not this ECG.
#
# ## The registered comparisons

# %%
over_own = {}
for system in SYSTEMS:
    values = {"attention.first_minus_later": firsts[system, "to_ecg_above"]}
    values |= {"dependence.first_minus_later": firsts[system, "dependence"]}
    values |= {"rank": ranks[system]}
    for measure in ("attention", "dependence"):
        values[f"invented.{measure}"] = aucs.get((system, measure), unknown)
    for name in ("own_probability", "own_first"):
        pair = (by.get((system, measure)) for measure in ("dependence", name))
        known = (system, name) in by
        gain = auc.difference(*pair, "macro", seed=seed) if known else unknown
        values[f"invented.dependence_minus_{name}"] = gain
    over_own[system] = values["invented.dependence_minus_own_probability"]
    for name, value in values.items():
        if f"written_words.{system}.{name}" in stage.registry():
            stage.claim(f"written_words.{system}.{name}", **vars(value))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
for system in SYSTEMS:
    of = written[written["method"] == system]
    depends = (of["dependence"] > 1).groupby(of["kind"]).mean()
    parts = ", ".join(f"{share:.0%} of {kind}" for kind, share in depends.items())
    print(f"- {style.method(system).name}, pieces that depend by more than 1 nat: {parts}.")
    print(f"  Macro-AUC, dependence minus own probability: {over_own[system].text()}.")

# %% [markdown]
# In `laptop` attention to the ECG and dependence on it agree in part. The first piece of a phrase
# depends on the ECG by 0.45 nats in HeartLLM, by 0.95 in ECG-Tok and by 0.14 in ECG-Byte, and later
# pieces by 0.06, 0.12 and 0.03. (The claims leave out the first piece of each report and average by
# report, so their difference is another one.) HeartLLM and ECG-Tok attend to the ECG more where
# they begin a phrase. Among their first pieces attention and dependence have a rank correlation of
# 0.29 and 0.51. ECG-Byte attends to the ECG less where it begins a phrase, and among its first
# pieces the correlation is weak and negative (-0.12).
#
# The attention is not shown to separate true from invented findings in any of the three: the
# macro-AUC is 0.49 to 0.50, and its intervals lie between 0.45 and 0.54. The dependence separates
# some, most in HeartLLM (0.68). It is not shown to do so better than the probability that the model
# gives its own words (0.68 in HeartLLM, 0.58 in ECG-Byte). In ECG-Tok that probability separates
# better (0.67 against 0.59; not registered). The probability behind other ECGs alone is not shown
# to separate them (0.47 to 0.50).
#
# Six limits apply. There is one training per system. A piece is what the model finds most likely
# behind this ECG, so its dependence is above zero by selection. The dependence is that behind the
# model's own words: once "Acute" stands there, "infarction" may depend on nothing, and an earlier
# phrase may imply a finding. The ECGs of other patients may have the same finding, which makes a
# common one depend less. A first piece is mostly written by the position of a mark, a later one by
# that of a word, so the attention may follow the piece that was read. And attention is a mean over
# all heads of the layers, of which one head alone may read the ECG.
#
# ## Try it yourself
#
# - Set `others: 1` in `written_words.yaml`. Which number changes most, and why?
# - In the toy, which piece would depend on the ECG if all ECGs had sinus rhythm?

# %% tags=["plumbing"]
stage.finish()
