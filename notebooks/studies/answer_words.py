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
# # Does a model look at the ECG more where its answer is right?
#
# | | |
# |---|---|
# | reads | cohort and questions (01), ECG-Tok (04), HeartLLM and ECG-Byte (06) |
# | writes | attention and dependence of each word piece that they answer |
# | paper items | ECG-Byte: attention to the words of a question and of its answer |
# | time | half a minute in `smoke`; some 60 nominal minutes in `laptop`, with 01 |
# | memory | 4 GB in `laptop` |
#
# After this notebook you can
#
# - say what ECG-Byte's bars over the words of a question and an answer show, and what they do not;
# - compare three scores that may tell a right answer from a wrong one without the truth;
# - say why such a comparison must be made among answers to the same words.
#
# The code of ECG-Byte draws a bar per word of a question and of its answer: how much attention the
# word receives from its own block. A user who gets an answer asks for something else: did the
# model read it from this ECG? Three scores of an answer could tell:
#
# 1. the *attention* that goes to the ECG where the answer is written;
# 2. the *own probability* that the model gives to its answer. It needs no look inside the model and
#    no other ECG, so it is the opponent;
# 3. the *dependence* of each word piece: the logarithm of its probability behind this ECG over its
#    mean probability behind the ECGs of other patients of the same hospital.
#
# The study [written_words](written_words.py) asks the same of the words of reports, and
# [attention](attention.py) has the parts of the ECG and the words of questions. **Ours, not the
# papers':** the dependence, and the test against wrong answers.

# %% tags=["plumbing"]
import time
from itertools import product

import numpy as np
import pandas as pd

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, bootstrap, exact_match, wide_tables
from ecglib.evaluate.bootstrap import Estimate
from ecglib.figures import bars, style, word_bars
from ecglib.language import answer_attention, written_attention
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-answer_words"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, scoring = stage.section("study"), stage.section("scoring")
SYSTEMS = ["heartllm", "ecg_tok", "ecg_byte"]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
scored = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed).tolist()
ask = stage.section("questions") | {"rows": scored}  # as in notebook 04, whose systems learned them
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)
rows = scored_sample.test_rows(cohort, min(settings["ecgs"], scoring["test_ecgs"]), seed)
asked = pd.read_parquet(questions / "test.parquet").sort_values("number")
asked = asked[asked["row"].isin(rows)].set_index("number")
print(f"{len(asked):,} questions about {len(rows)} ECGs")

# %% [markdown]
# ## Answers, word by word
#
# Each system answers all questions about each ECG, greedily. Then a question and its answer are
# read once more with all attention kept, and once behind each of some ECGs of other patients. The
# line about the patient, the question and the answer so far stay as they are. The attention of a
# position is split among four parts, which sum to 1: the patient's line, the ECG, the question, and
# the answer so far.

# %%
config = {key: settings[key] for key in ("layers", "others")} | {"rows": rows.tolist()}
config["max_new"], tables = scoring["max_new"], []
for system in SYSTEMS:
    of = stage.inputs(f"{system}_texts")
    names = ("cohort", "base", "system", "tokenizer", "codes")
    reads = {name: of[name] for name in names if name in of} | {"questions": questions}
    out = stage.step(f"{system}_answers", answer_attention.measure, config, reads)
    tables.append(pd.read_parquet(out / "words.parquet").assign(method=system))
words = pd.concat(tables, ignore_index=True)
is_answer = words["block"] != written_attention.PROMPT
words["block"] = words["block"].replace(written_attention.REPORT, "answer")
shares = [f"to_{name}" for name in written_attention.SHARES]
assert np.allclose(words.loc[is_answer, shares].sum(axis=1), 1, atol=1e-3)
print(f"{is_answer.sum():,} word pieces of {len(SYSTEMS)} x {len(asked):,} answers")

# %% [markdown]
# ## Right and wrong
#
# An answer is right as in [06](../06_instruction_tuning.py): it names the same things as the true
# one, in any order. The pieces are saved without texts, but for one question: the first of the type
# *query* whose true answer names something. It is chosen by its number and its true answer, and not
# by what a model answers.

# %%
given = words[is_answer].groupby(["method", "question"], sort=False)["answer"].first().reset_index()
of_question = asked[["row", "item", "question", "answer"]]
of_question.columns = ["row", "item", "wording", "target"]
given = given.rename(columns={"answer": "prediction"}).join(of_question, on="question")
pairs = zip(given["target"], given["prediction"], strict=True)
given["is_right"] = [exact_match.matches(*pair) for pair in pairs]
given["wording"] = pd.factorize(given["wording"], sort=True)[0]  # equal numbers, equal words
about = cohort.records.iloc[rows][["unit", "ecg", "site"]].assign(row=rows)
given = given.merge(about, on="row", validate="many_to_one").drop(columns="row")
given = stage.data("given", given)
print(given.groupby("method")["is_right"].agg(["size", "mean"]))

# %% tags=["plumbing"]
names_something = ~asked["answer"].isin(["none", "not sure"])
first = asked[(asked["type"] == "query") & names_something].index[:1]
example = words[words["question"].isin(first)]
# texts are not published of patients
stage.data("shown_texts", example[["method", "block", "number", "text"]])
kept = ["method", "question", "block", "number", "received", *shares, "even", "log_p", "dependence"]
stage.data("shown", example[kept].round(5))
stage.data("words", words.loc[is_answer, kept].drop(columns="received").round(5))
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## One question
#
# The same question to ECG-Byte and to HeartLLM. The upper panel is the view of ECG-Byte's code:
# what a piece gets on average from all positions of its block, itself included, over all layers.
# Positions in front of a piece give it nothing and count, so a late piece has little whatever it
# says. The middle panel is what the position that writes a piece gives to the ECG.

# %%
words, given = stage.read("words"), stage.read("given")
n_ecgs, n_patients = given["ecg"].nunique(), given["unit"].nunique()


def draw_answer(system: str) -> None:
    """The figure of a system's answer to one question."""
    keys = ["method", "block", "number"]
    one = stage.read("shown").merge(stage.read("shown_texts"), on=keys)
    one = one[one["method"] == system]
    name = style.method(system).name
    true = given.loc[given["question"] == one["question"].iloc[0], "target"].iloc[0]
    caption = (
        f"{name}: a question (grey) about one test ECG and the answer to it, by word piece. The "
        f'true answer is "{true}". '
        "(a) Attention that a piece receives from the positions of its block, over all layers and "
        "heads, as in ECG-Byte's code. (b) Share of the attention that goes to the ECG at the "
        f"position that writes the piece, over the last layers ({settings['layers']} at most); "
        "dashes: the ECG's share of all positions. (c) Log of how many times more likely the piece "
        f"is behind this ECG than, on average, behind those of {settings['others']} other "
        "patients; a bar near zero is not seen. Grey fields: no value. The end mark comes last."
    )
    alt = "Three panels of bars, one bar per word piece."
    drawn = one[["block", "number", "text", *word_bars.PANELS, "even"]]
    stage.figure(f"{system}_answer", word_bars.report(drawn, system), drawn, caption, alt)


# %%
# Texts about real patients are not published, and a small cohort may have no such question.
if stage.has("shown_texts") and len(stage.read("shown")):
    draw_answer("ecg_byte")
    draw_answer("heartllm")

# %% [markdown]
# **What to see.** Which word of the question has the highest bar in (a), and could the answer be
# told from it? Does (c) say that the answer was read from this ECG?
#
# ## Over all answers
#
# The *first* piece of an answer often decides what is said, but it may be no more than an article.
# *Later* ones may only finish the words. The *end* mark decides that nothing else is named.

# %%
words["kind"] = np.where(words["number"] == 0, "first", "later")
words.loc[words["block"] == written_attention.END, "kind"] = "end"
columns = ["method", "question", "unit", "ecg", "wording"]
words = words.merge(given[columns], on=["method", "question"], validate="many_to_one")
lines, parts = [], {"to_patient": "patient", "to_ecg": "ECG", "to_prompt": "question"}
parts |= {"to_report": "answer so far", "even": "ECG, by positions", "dependence": "nats"}
for system, kind in product(SYSTEMS, ("first", "later", "end")):
    of = words[(words["method"] == system) & (words["kind"] == kind)]
    for column, part in parts.items() if len(of) else ():
        value = bootstrap.mean(of, column, seed=seed)
        line = {"name": f"{style.method(system).name}, {kind}", "part": part}
        lines.append(line | vars(value))
caption = (
    "Mean share of the attention at the position that writes a piece, by what it goes to, and "
    "dependence in nats: first and later pieces of answers, and their end [95 % interval over "
    f"patients]. {len(given) // len(SYSTEMS):,} questions about {n_ecgs} test ECGs of {n_patients} "
    "patients; one training seed."
)
spread = stage.table("spread", wide_tables.wide(pd.DataFrame(lines), "name", "part"), caption)
spread

# %% [markdown]
# ## Five scores of an answer
#
# - *attention* to the ECG, the mean over its pieces without the end mark;
# - the *share of the positions* that are the ECG's, the mean over the same pieces. It is there for
#   comparison: attention would be this if all positions got the same;
# - its *own probability*, the sum of the logarithms over its pieces, end mark included;
# - its probability *behind other ECGs*, the same sum, with each piece's probability averaged over
#   the ECGs of other patients. It knows the words, the patient's line and the answer so far, and
#   not this ECG;
# - *dependence*, the sum over the same pieces. So own probability = behind other ECGs + dependence.
#
# The other ECGs are the same for all ECGs of a hospital. The sum is not the dependence of the whole
# answer, because each piece is read behind the answer so far. Answers that were cut off are left
# out.

# %%
keys, is_end = ["method", "question"], words["kind"] == "end"
words["elsewhere"] = words["log_p"] - words["dependence"]
means = words[~is_end].groupby(keys)[["to_ecg", "even"]].mean()
sums = words.groupby(keys)[["log_p", "elsewhere", "dependence"]].sum()
judged = given.join(means.join(sums), on=keys, how="inner")
ended = words.loc[is_end, keys].drop_duplicates()
judged = judged.merge(ended, on=keys, validate="one_to_one")
normal = judged["prediction"].map(lambda text: ", ".join(sorted(exact_match.parts(text))))
judged["words"] = judged["wording"].astype(str)
judged["equal"] = judged["words"] + " -> " + normal
pieces = words[~is_end].groupby(keys).size().rename("pieces")
judged["length"] = judged["words"] + " " + judged.join(pieces, on=keys)["pieces"].astype(str)
judged = judged[normal != ""]
print(f"{len(judged):,} of {len(given):,} answers have words and an end")

# %% [markdown]
# The answers were written once more, ECG by ECG. They should be those of notebook 06.

# %%
of_06 = stage.beside("answers", "06", SYSTEMS)[["method", "ecg", "item", "target", "prediction"]]
both = given.merge(of_06, on=["method", "ecg", "item", "target"], suffixes=("", "_06"))
share = (both["prediction"] == both["prediction_06"]).mean()
print(f"{len(both):,} answers are in notebook 06, and {share:.2%} of these are the same there")

# %% [markdown]
# ## Does the model look more where it is right?
#
# An answer is compared only with equal answers to the same words: of the ECGs about which a model
# says "yes" to the same question, does it look more at those where that is right? Otherwise a score
# would already gain by knowing which questions are easy and which answers are common. The AUC is
# the share of pairs of a right and a wrong answer in which the right one has the higher score. The
# macro-AUC is the mean over groups of such answers. Each group counts the same, whatever its size.
#
# By hand: about four ECGs a model is asked whether the QRS is wide, and says "yes" to all. Two of
# these answers are right.

# %%
score, is_right = np.array([0.9, 0.4, 0.5, 0.2]), np.array([True, True, False, False])
wins = score[is_right][:, None] > score[~is_right]
assert wins.mean() == 0.75
print("of", wins.size, "pairs of a right and a wrong answer", wins.sum(), "are in order")


# %%
def among(group: str) -> pd.DataFrame:
    """The answers that are compared within the groups of a column, as rows of labels for `auc`:
    those of groups with enough right and wrong ones."""
    right = judged["is_right"].groupby([judged["method"], judged[group]])
    fewest = np.minimum(right.transform("sum"), right.transform("size") - right.transform("sum"))
    kept = judged[fewest >= settings["least"]].drop(columns="item")
    numbers = pd.factorize(kept[group], sort=True)[0]
    kept["item"] = [f"label:{number:03d}" for number in numbers]
    return kept.assign(target=kept["is_right"].astype(int).astype(str), seed=seed)


MEASURES = {"attention": "to_ecg", "positions": "even", "own_answer": "log_p"}
MEASURES |= {"elsewhere": "elsewhere", "dependence": "dependence"}
unknown = Estimate(np.nan, np.nan, np.nan, 0)  # where no group has both right and wrong answers
DRAWN = {"equal": list(MEASURES), "length": list(MEASURES)[:3], "words": list(MEASURES)[2:]}
answers = {group: among(group) for group in DRAWN}
compared = {
    (group, system, measure): part.assign(score=part[MEASURES[measure]])
    for group, measures in DRAWN.items()
    for system, part in answers[group].groupby("method")
    for measure in measures
}
aucs = {key: auc.auc(of, "macro", seed=seed) for key, of in compared.items()}


# %%
def draw_right(group: str, among_what: str) -> pd.DataFrame:
    """The figure and the table of the scores of answers that are compared within a group."""
    lines, titles, least, measures = [], {}, settings["least"], DRAWN[group]
    parts = [answers[group][answers[group]["method"] == system] for system in SYSTEMS]
    groups, ecgs = ([part[column].nunique() for part in parts] for column in ("item", "ecg"))
    for system, part in zip(SYSTEMS, parts, strict=True):
        right = part["is_right"].sum()
        count = f"{right:,} right, {len(part) - right:,} wrong"
        titles[system] = f"{style.method(system).name}\n({count})"
        for measure in measures:
            value = aucs.get((group, system, measure), unknown)
            lines.append({"method": measure, "metric": system, **vars(value)})
    caption = (
        f"How well a score tells a right answer from a wrong one {among_what}: mean AUC over "
        f"groups with at least {least} right and {least} wrong answers ({min(groups)} to "
        f"{max(groups)} groups per system, of {min(ecgs)} to {max(ecgs)} of the {n_ecgs} test "
        "ECGs). Each group counts the same. Bars begin at chance, 0.5. Whiskers: 95 % intervals "
        "over patients; one training seed."
    )
    alt = f"A panel per system with {len(measures)} horizontal bars from a line at one half."
    lines = pd.DataFrame(lines)
    figure = bars.methods(lines, titles, 3, "Macro-AUC, right against wrong", start=0.5)
    stage.figure(f"right_{group}", figure, lines, caption, alt)
    in_a_line = {key: title.replace("\n", " ") for key, title in titles.items()}
    wide = wide_tables.wide(lines.replace({"metric": in_a_line}), "method", "metric")
    return stage.table(f"right_{group}", wide, f"Right against wrong {among_what}: macro-AUC.")


draw_right("equal", "among equal answers to the same words")

# %% [markdown]
# **What to see.** A bar whose whisker crosses the line is not shown to separate anything; a bar to
# the left of the line would be a finding, too. Compare attention with the share of the positions,
# and with the own probability. It is registered among equal answers alone.
#
# Where answers differ, a long answer gets another attention than a short one, and so may one of
# other words. The next figure compares answers of equal length to the same words. It was added
# after the results were known, and no claim is about it.

# %%
draw_right("length", "among answers of equal length to the same words")

# %% [markdown]
# **What to see.** Does attention say more here than among equal answers? If it does, it can be
# because it tells which answer was given.
#
# ## Does it help to ask behind other ECGs?
#
# Among equal answers to the same words, dependence and own probability order the answers much
# alike. They differ more where the answers do. There a model may prefer an answer whatever the ECG
# is. The balanced sets of questions are made so that this preference should help little, and
# dependence takes it away. So all answers to the same words are compared now.

# %%
draw_right("words", "among all answers to the same words")

# %% [markdown]
# What the equal answers that were compared are about, as shares:

# %%
of = answers["equal"][["method", "question"]].merge(given, on=["method", "question"])
subject = of["item"].str.extract(r":([^.]*)", expand=False).rename("subject")
share = subject.groupby(of["method"]).value_counts(normalize=True).unstack(0)
share = share.loc[share.mean(axis=1).nlargest(6).index].round(2)
share

# %% [markdown]
# ## The registered comparisons


# %%
def minus(group: str, system: str, one: str, other: str) -> Estimate:
    """The AUC of one score minus that of another, of the same answers."""
    if (group, system, one) not in compared:
        return unknown
    pair = (compared[group, system, measure] for measure in (one, other))
    return auc.difference(*pair, "macro", seed=seed)


gains = {}
for system in SYSTEMS:
    gains[system] = minus("words", system, "dependence", "own_answer")
    values = {
        "equal.attention": aucs.get(("equal", system, "attention"), unknown),
        "equal.attention_minus_positions": minus("equal", system, "attention", "positions"),
        "equal.own_probability": aucs.get(("equal", system, "own_answer"), unknown),
        "equal.own_minus_attention": minus("equal", system, "own_answer", "attention"),
        "words.dependence_minus_own": gains[system],
    }
    for name, value in values.items():
        stage.claim(f"answer_words.{system}.{name}", **vars(value))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
for system in SYSTEMS:
    of = words[words["method"] == system]
    depends = (of["dependence"] > 1).groupby(of["kind"]).mean()
    parts = ", ".join(f"{share:.0%} of {kind}" for kind, share in depends.items())
    print(f"- {style.method(system).name}, pieces that depend by more than 1 nat: {parts}.")
    print(f"  All answers to the same words, dependence minus own: {gains[system].text()}.")

# %% [markdown]
# In `laptop`, among equal answers to the same words, attention to the ECG is not shown to tell
# right from wrong in any of the three. Its macro-AUC is 0.47 to 0.54, and all three intervals
# include 0.5. A small effect is not excluded: in ECG-Tok the interval goes up to 0.57. The
# probability that a model gives to its own answer tells a little: 0.61 in HeartLLM, 0.59 in ECG-Tok
# and 0.56 in ECG-Byte. In each that is more than attention tells. On average over the groups, about
# four of ten pairs of a right and a wrong answer are in the wrong order even so.
#
# Among answers of equal length to the same words, attention tells a little in HeartLLM (0.544
# [0.508, 0.571]) and in ECG-Tok (0.559 [0.529, 0.591]). The own probability tells more there (0.62,
# 0.61). This is not registered, and attention may tell which answer was given.
#
# To ask behind the ECGs of other patients is not shown to help. Among all answers to the same words
# the dependence is not shown to tell more than the own probability. In ECG-Tok it tells less, by
# 0.042 [0.014, 0.070]. There the probability behind other ECGs alone is a little better than chance
# (0.543 [0.511, 0.569]). Dependence takes this part away, which may be why it tells less.
#
# The first piece of an answer depends on the ECG, by 0.32 nats in HeartLLM, by 0.45 in ECG-Tok and
# by 0.17 in ECG-Byte. Later pieces depend on it by 0.05, 0.11 and 0.02, the end by less than 0.01.
# In HeartLLM and ECG-Tok attention to the ECG falls from the first piece to later ones, too. In
# ECG-Byte it rises, from 0.39 to 0.47. So attention and dependence can go opposite ways. HeartLLM
# and ECG-Byte give the ECG about half of its share of the positions at the first piece, ECG-Tok
# about its share. In the view of ECG-Byte's code a bar is attention within the question or within
# the answer, so it cannot say whether an answer was read from the ECG.
#
# Six limits apply. There is one training per system. Only answers that were right at least twice
# and wrong at least twice, in the same words, are compared among equal ones: 42 % of HeartLLM's
# answers, 37 % of ECG-Tok's and 41 % of ECG-Byte's. Most of these groups mix the two hospitals, so
# a part of a score may tell the hospital. An answer is what the model finds most likely behind this
# ECG, so selection raises its dependence. The ECGs of other patients may have the same finding,
# which makes a common one depend less. And attention is a mean over all heads of the layers, of
# which one head alone may read the ECG.
#
# ## Try it yourself
#
# - Set `others: 1` in `answer_words.yaml`. Which number changes most, and why?
# - Compare all answers at once, by a column of `judged` that is the same in every row. Which score
#   gains most, and what does it know?

# %% tags=["plumbing"]
stage.finish()
