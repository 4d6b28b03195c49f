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
# # What does a language system of your own read in an ECG?
#
# | | |
# |---|---|
# | reads | cohort (01), your file (`--plugin FILE`), what was saved of the systems (04, 06) |
# | writes | your system's answers and reports, beside those of the run |
# | paper items | ECG-Tok, Table 1, and HeartLLM's tables, with one more row |
# | time | a minute in `smoke`; not measured yet in `laptop` |
# | memory | not measured yet in `laptop` |
#
# After this notebook you can
#
# - say what your system tells of an ECG that a system without the ECG cannot guess;
# - compare it with three published systems on the same questions, after as many updates on reports
#   and answers (ECG-Tok has a warm-up and HeartLLM a pretraining besides);
# - tell a well-worded report from a true one.
#
# A *system* is a language model and a prefix: embeddings that stand for the ECG, in front of the
# text. Your file has the prefix, `Prefix`, a step `initialise` and an entry, `SYSTEM`
# (`docs/adding.md` walks through an example). Language model, batches and number of updates are
# those of the run, which is not trained again.

# %% tags=["plumbing"]
import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    budgets,
    exact_match,
    finding_agreement,
    text_overlap,
    wide_tables,
)
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.language.system import load_prefix
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-own_system"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring = stage.section("scoring")

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## The prefix of one ECG
#
# The prefix reads what it wants of an ECG, as tensors, and turns it into embeddings. Here it reads
# the first training ECG, before it is trained on reports and answers. All else that the language
# model sees is text.

# %%
reads = stage.inputs("own_system")
prefix = load_prefix(reads["prefix"])
ecgs = [part[:1] for part in prefix.read_ecgs(reads, cohort.rows("train")[:1])]
with torch.no_grad():
    embeddings, lengths = prefix(*ecgs)  # (1, P, width), valid positions (1,)
print(f"reads {[tuple(part.shape) for part in ecgs]}", end=" ")
print(f"-> embeddings {tuple(embeddings.shape)}, of which {int(lengths[0])} are valid")
print(f"trained with it: {sum(p.numel() for p in prefix.parameters()):,} weights of the prefix")

# %% [markdown]
# ## Train it, and let it write
#
# It learns reports and answers together, in the batches of the others, and then writes about the
# same test ECGs.

# %%
folder = stage.make("own_system")
stage.losses({"own_system": folder})
stage.data("budgets", budgets.read({"own_system": folder}))
out = stage.make("own_system_texts", rows=rows.tolist(), ecgs=rows.tolist())

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
written = {"own_system": pd.read_parquet(out / "texts.parquet")}
of_cohort = (cohort.records, cohort.labels, rows, scored)
texts, answers = score_texts(written, asked, *of_cohort, seed)
stage.predictions("texts", texts)
print("saved:", stage.predictions("answers", answers).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The training

# %%
SYSTEMS = ["no_ecg", "ecg_tok", "heartllm", "ecg_byte"]
history = stage.read_beside("history", "04", ["ecg_tok", "no_ecg"])
spent = stage.read_beside("budget", "06", SYSTEMS, own="budgets")
figure = curves.loss(history, "Loss (nats per word piece)", log=True)
caption = (
    "Training loss of your system, of ECG-Tok and of the control without the ECG. Thin: each "
    "update; thick: running mean; with markers: validation patients. One training seed."
)
stage.figure("loss", figure, history, caption, "Falling curves of the loss against the update.")
table = budgets.formatted(spent)
stage.table("budgets", table, "What each system was given.")

# %% [markdown]
# ## Its answers and reports
#
# *No ECG* is the row to beat: it has learned the wording, and how often each answer is right.
# *Chance* is the most frequent answer of each question, given always.

# %%
everything = stage.read_beside("answers", "06", SYSTEMS)
kind = everything["item"].str.split(":").str[0]
replies, stated = everything[kind.isin(exact_match.TYPES)], everything[kind == "finding"]
overlap = everything[~kind.isin([*exact_match.TYPES, "finding"])]
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
findings = finding_agreement.summary(stated, seed=seed)
worded = text_overlap.summary(overlap, seed)
stage.table("exact_match", wide_tables.wide(match, "method", "metric"), "Exact match [95 %].")
metrics = ["macro_f1", "precision", "recall", "rouge_l", "bleu_4"]
parts = pd.concat([findings, worded], ignore_index=True)
parts = parts[parts["metric"].isin(metrics)]
stage.table("reports", wide_tables.wide(parts, "method", "metric"), "Reports [95 % interval].")

# %%
long = pd.concat([match[match["metric"] == "all"], findings], ignore_index=True)
titles = {"all": "Exact match, all questions", "macro_f1": "Finding F1 of reports (macro)"}
drawn = long[long["metric"].isin(titles)]
of = dict(iter(replies.groupby("method")))
chance = exact_match.chance(of["own_system"], seed=seed)
n_ecgs, n_patients = replies["ecg"].nunique(), replies["unit"].nunique()
caption = (
    f"Your system beside those of the run, on {n_ecgs} test ECGs of {n_patients} patients (dashed: "
    "chance). Whiskers: 95 % intervals over patients; one training seed."
)
figure = bars.methods(drawn, titles, 2, "Score", {"all": chance.value})
stage.figure("systems", figure, drawn, caption, "Two panels of horizontal bars, one per system.")

# %% [markdown]
# ## What it means
#
# No claim is registered here. Write one into `notebooks/studies/own_system_claims.yaml` before the
# run, if the numbers are to count.

# %%
f1 = dict(iter(stated.groupby("method")))
from ecglib.figures import style

for other in SYSTEMS:
    gain = exact_match.difference(of["own_system"], of[other], seed=seed)
    print(f"- Exact match, yours minus {style.method(other).name}: {gain.text()}", end="; ")
    gain = finding_agreement.difference(f1["own_system"], f1[other], "macro_f1", seed)
    print(f"macro-F1 of reports: {gain.text()}.")
print(f"- Your system answers {exact_match.accuracy(of['own_system'], seed=seed).text()}", end=" ")
print(f"of the questions exactly; chance is {chance.value:.3f}.")

# %% [markdown]
# ## Try it yourself
#
# - Add `"tokenizer": "qinco"` to `SYSTEM`, and read the codes in `read_ecgs` with
#   `ecglib.tokenizers.encode.read_codes`.
# - Change `steps` in `SYSTEM`: twice the updates for yours alone are no fair comparison, but they
#   say whether it had ended learning.
#
# The systems are explained in [04_report_generation](../04_report_generation.py) and
# [06_instruction_tuning](../06_instruction_tuning.py).

# %% tags=["plumbing"]
stage.finish()
