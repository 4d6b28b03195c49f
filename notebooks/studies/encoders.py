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
# # Does it matter how HeartLLM's tokens are made?
#
# | | |
# |---|---|
# | reads | cohort (01), FSQ (02), language model (04), what was saved of HeartLLM (06) |
# | writes | HeartLLM with other encoders and other vocabularies, its answers and reports |
# | paper items | HeartLLM: one encoder for all leads, or twelve; the size of the vocabulary |
# | time | a minute in `smoke`; some 50 nominal minutes in `laptop`, after 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say what an encoder that sees each lead alone can and cannot put into a token;
# - say whether a larger vocabulary pays, beyond the bits that it costs;
# - tell "no difference was found" from "a difference above the margin is excluded" for two models.
#
# HeartLLM encodes each lead alone. The paper draws twelve identical encoders; in the released code,
# and here, one set of weights serves all leads. One linear map takes the vectors of all leads at a
# time step to four numbers, each of six levels: 1,296 codes. So a token holds all leads, but only
# as a weighted sum. This study changes both: twelve encoders with weights of their own, or one that
# sees all leads at once; and 64 codes (three numbers of four levels) or 4,096 (four of eight).
# Pretraining and tuning are repeated with the same settings.

# %% tags=["plumbing"]
import time

import pandas as pd

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    budgets,
    exact_match,
    finding_agreement,
    wide_tables,
)
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.language import write_texts
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.tokenizers import encode, train
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-encoders"  # the study's own run
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
# ## Other tokens
#
# A system with other tokens is trained from the tokenizer on: tokenizer, codes, pretraining and
# tuning, all with the settings of notebooks 02, 05 and 06. All encoders start at the same PCA of
# each lead. What the networks add differs, in form and in size: the cell below prints their
# numbers.

# %%
base = stage.part("heartllm").inputs["base"]
given = {base: stage.input("04", base), "questions": questions}
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
about |= {key: scoring[key] for key in ("batch", "max_new")}
rates, folders, written = [], {}, {}
bits = load(stage.input("02", "fsq")).rate().bits_per_ecg
rates.append({"method": "heartllm", "bits": bits})
for name, change in settings["tokenizers"].items():
    config = stage.section("leadwise") | {"model": stage.section("leadwise")["model"] | change}
    own = given | {"cohort": cohort_folder}
    own["fsq"] = stage.step(f"fsq_{name}", train.train_leadwise, config, {"cohort": cohort_folder})
    inputs = {"cohort": cohort_folder, "tokenizer": own["fsq"]}
    config = stage.part("fsq_codes").settings
    own["fsq_codes"] = stage.step(f"fsq_codes_{name}", encode.encode, config, inputs)
    system = stage.remake("heartllm", own, f"_{name}")
    inputs = {label: own[of] for label, of in stage.part("heartllm_texts").inputs.items()}
    called = f"heartllm_{name}"
    written[called] = stage.step(f"{called}_texts", write_texts.write, about, inputs)
    folders[called] = system
    own = load(own["fsq"])
    rates.append({"method": called, "bits": own.rate().bits_per_ecg})
    print(f"{called}: {sum(p.numel() for p in own.encoder.parameters()):,} numbers in the encoder")

# %% tags=["plumbing"]
stage.losses(folders)
stage.data("budgets", budgets.read(folders))
stage.data("rates", pd.DataFrame(rates))

# %% [markdown]
# ## Answers and reports for the same test ECGs

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
written = {name: pd.read_parquet(of / "texts.parquet") for name, of in written.items()}
of_cohort = (cohort.records, cohort.labels, rows, scored)
_, answers = score_texts(written, asked, *of_cohort, seed)
print("saved:", stage.predictions("answers", answers).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The trainings

# %%
from ecglib.figures import style

history = stage.read_beside("history", "06", ["heartllm"])
spent = stage.read_beside("budget", "06", ["heartllm"], own="budgets")
label = "Loss (nats per word piece)"
figure = curves.loss(history, label, late=True, reference="heartllm")
caption = (
    "Tuning loss of HeartLLM with other tokens, on the same batches (a), and the losses minus "
    "HeartLLM's (b). Lines: running mean; with markers: validation patients. One training seed. "
    f"The first losses, of up to {history['loss'].max():.1f}, are outside the axes."
)
alt = "Five falling curves of the loss against the update, above four curves of differences."
stage.figure("loss", figure, history, caption, alt)
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
ends = stage.table("losses", ends, "Loss at the end, in nats per word piece.")
caption = "What each system was given. Updates and tokens of HeartLLM's pretraining are counted."
stage.table("budgets", budgets.formatted(spent), caption)
ends

# %% [markdown]
# ## How the tokens are made
#
# The bits of an ECG follow from the vocabulary. The encoder changes what is in them. HeartLLM and
# the control without the ECG are those of notebook 06.

# %%
everything = stage.read_beside("answers", "06", ["heartllm", "no_ecg"])
kind = everything["item"].str.split(":").str[0]
replies, stated = everything[kind.isin(exact_match.TYPES)], everything[kind == "finding"]
by = {name: part for name, part in replies.groupby("method")}
of = {name: part for name, part in stated.groupby("method")}
order = ["no_ecg", "heartllm", *(name for name in by if name not in ("no_ecg", "heartllm"))]

# %%
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
long = pd.concat([match, finding_agreement.summary(stated, seed=seed)], ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
titles = {"all": "Exact match, all questions", "macro_f1": "Macro-F1 of findings"}
drawn = long[long["metric"].isin(titles)]
level = {"all": exact_match.chance(by["heartllm"], seed=seed).value}
n_ecgs, n_patients = by["heartllm"]["ecg"].nunique(), by["heartllm"]["unit"].nunique()
caption = (
    f"HeartLLM with tokens made in other ways: exact match (dashed: chance) and macro-F1 of "
    f"findings, on {n_ecgs} test ECGs of {n_patients} patients. Whiskers: 95 % intervals over "
    "patients; one training seed."
)
alt = "Two panels of horizontal bars, one per way to make the tokens."
figure = bars.methods(drawn, titles, 2, "Score (dashed: chance)", level)
stage.figure("encoders", figure, drawn, caption, alt)
wide = wide_tables.wide(match, "method", "metric")
stage.table("exact_match", wide, "Exact match by kind of question [95 % interval].")

# %%
accuracy = match[match["metric"] == "all"].set_index("method")
table = stage.read("rates").set_index("method")
for column in ("value", "low", "high"):
    table[column] = accuracy.loc[table.index, column]
caption = "Exact match over all questions, by how the tokens are made."
stage.table("tokens", table.reset_index(), caption)
named = table.rename(index=lambda name: style.method(name).name).round({"bits": 0})
named.rename(columns={"bits": "bits per ECG", "value": "exact match"}).round(3)

# %% [markdown]
# ## The registered comparisons

# %%
PAIRS = {
    "shared_minus_twelve": ("heartllm", "heartllm_twelve"),
    "shared_minus_joint": ("heartllm", "heartllm_joint"),
    "full_minus_few_codes": ("heartllm", "heartllm_few_codes"),
    "many_minus_full": ("heartllm_many_codes", "heartllm"),
}
differences = []
for name, (one, other) in PAIRS.items():
    gain = exact_match.difference(by[one], by[other], seed=seed)
    stage.claim(f"encoders.{name}.exact_match", **vars(gain))
    in_reports = finding_agreement.difference(of[one], of[other], "macro_f1", seed)
    for metric, value in (("exact match", gain), ("macro-F1", in_reports)):
        differences.append({"name": name, "metric": metric, **vars(value)})
caption = "Paired differences [95 % interval over patients]."
stage.table("differences", wide_tables.wide(pd.DataFrame(differences), "name", "metric"), caption)

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
chance = exact_match.chance(by["heartllm"], seed=seed).value
for name in order:
    accuracy = exact_match.accuracy(by[name], seed=seed).text()
    print(f"- {style.method(name).name}: exact match {accuracy}, chance {chance:.3f}.")
for line in differences:
    if line["metric"] == "macro-F1":  # not registered
        change = f"{line['value']:.3f} [{line['low']:.3f}, {line['high']:.3f}]"
        one, other = (style.method(of_pair).name for of_pair in PAIRS[line["name"]])
        print(f"- {one} minus {other}, macro-F1 of findings: {change}.")

# %% [markdown]
# Does it matter how the tokens are made? In `laptop` no choice moves exact match by more than two
# trainings may differ.
#
# Two limits apply. Each way to make tokens was trained with one seed, and the intervals are over
# patients. Two trainings of HeartLLM itself may differ by 0.032 of exact match and by 0.067 of
# macro-F1 (`docs/evidence.md`). No difference in the table above is larger. So "within 0.02" and
# "1,296 codes lead to more exact answers than 64" are statements about these trained models, not
# about the ways to make tokens. And all systems have the learning rates that were chosen for
# HeartLLM.
#
# ## Try it yourself
#
# - In `encoders.yaml` add `wide: {levels: 16, dims: 3}` under `tokenizers`, give `heartllm_wide` a
#   colour in `ecglib/figures/methods.csv`, and run the study again.
#
# The system is explained in [06_instruction_tuning](../06_instruction_tuning.py), its tokens in
# [02_tokenizers](../02_tokenizers.py).

# %% tags=["plumbing"]
stage.finish()
