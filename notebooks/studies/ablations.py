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
# # Which parts of HeartLLM do its answers need?
#
# | | |
# |---|---|
# | reads | cohort (01), FSQ (02), language model (04), what was saved of HeartLLM (06, 07) |
# | writes | HeartLLM without one part at a time, its answers and reports |
# | paper items | HeartLLM, Fig. 3: without TAB, without FT in both readings, without DISC |
# | time | a minute in `smoke`; some 20 nominal minutes in `laptop`, after 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - name what each bar of the paper's figure leaves out, and what else changes with it;
# - say whether discrete tokens help the language model, or only cost what they round away;
# - tell "no difference was found" from "there is no difference".
#
# HeartLLM's Fig. 3 compares the full model with three ablations. *TAB* is the line about the
# patient. *FT* is not defined. It can be the forecasting of tokens, that is, pretraining, which
# notebook [07_ablations](../07_ablations.py) leaves out, or fine-tuning. *DISC* are the discrete
# tokens. How the tokens are made is the question of the study [encoders](encoders.py).

# %% tags=["plumbing"]
import time

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
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-ablations"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring = stage.section("scoring")
OWN = ("heartllm_no_patient", "heartllm_untuned", "heartllm_continuous")

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## Without the tokens: what rounding takes away
#
# In the full model the encoder's vector of a time step is projected to four numbers, and each is
# rounded to one of six levels. The ablation *without DISC* gives the language model the vector
# itself, through a linear layer. Here is the first training ECG before and after rounding.

# %%
reads = stage.inputs("heartllm_continuous")
prefix, tokenizer = load_prefix(reads["prefix"]), load(reads["tokenizer"])
z, lengths = (part[:1] for part in prefix.read_ecgs(reads, cohort.rows("train")[:1]))
with torch.no_grad():
    smooth = torch.sigmoid(tokenizer.fsq.project(z))  # (1, T, 4)
    grid = tokenizer.fsq.to_grid(z)
    embeddings, _ = prefix(z, lengths)
print("encoder", tuple(z.shape), "-> before rounding", tuple(smooth.shape), end=" ")
print("-> into the language model", tuple(embeddings.shape))
print("the first step:", smooth[0, 0].numpy().round(3), "->", grid[0, 0].numpy().round(1))
assert (smooth - grid).abs().max() <= 0.1 + 1e-6  # half a level

# %% [markdown]
# ## Three ablations of the model
#
# *Not tuned* is the pretrained model of notebook 05. It has read ECG tokens, and the words of
# reports and questions, but never both together. It goes through the same function as the others,
# with one update at a learning rate of 0. Its loss on words is known to be high: pretraining on ECG
# tokens has moved the LoRA, and nothing has moved it back. So its bar says what tuning repairs.

# %%
folders = {name: stage.make(name) for name in OWN}
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
written = {name: stage.make(f"{name}_texts", **about) for name in OWN}

# %% tags=["plumbing"]
stage.losses({name: of for name, of in folders.items() if name != "heartllm_untuned"})
stage.data("budgets", budgets.read(folders))

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
    "Tuning loss of HeartLLM and of two ablations on the same batches (a), and the losses minus "
    "HeartLLM's (b). Lines: running mean; with markers: validation patients. One training seed. "
    f"The first losses, of up to {history['loss'].max():.1f}, are outside the axes."
)
alt = "Three falling curves of the loss against the update, above two curves of differences."
stage.figure("loss", figure, history, caption, alt)
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
ends = stage.table("losses", ends, "Loss at the end, in nats per word piece.")
caption = "What each system was given. Updates and tokens of HeartLLM's pretraining are counted."
stage.table("budgets", budgets.formatted(spent), caption)
ends

# %% [markdown]
# ## The paper's figure
#
# Four panels: the wording of reports, and exact match by kind of question.

# %%
everything = stage.read_beside("answers", "06", ["heartllm", "no_ecg"])
untrained = stage.beside("answers", "07", ["heartllm_no_pretraining"])
everything = pd.concat([everything, untrained], ignore_index=True)
kind = everything["item"].str.split(":").str[0]
replies, stated = everything[kind.isin(exact_match.TYPES)], everything[kind == "finding"]
overlap = everything[~kind.isin([*exact_match.TYPES, "finding"])]
by = {name: part for name, part in replies.groupby("method")}
of = {name: part for name, part in stated.groupby("method")}
order = ["heartllm", "heartllm_no_patient", "heartllm_no_pretraining", "heartllm_untuned"]
order += ["heartllm_continuous", "no_ecg"]  # that of notebook 07

# %%
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
worded = text_overlap.summary(overlap, seed)
findings = finding_agreement.summary(stated, seed=seed)
long = pd.concat([match, worded, findings], ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
kinds = [kind for kind in ("verify", "choose", "query") if kind in set(match["metric"])]
titles = {"rouge_l": "Reports, ROUGE-L"} | {kind: kind.capitalize() for kind in kinds}
level = {kind: exact_match.chance(by["heartllm"], kind, seed).value for kind in kinds}
drawn = long[long["metric"].isin(titles)]
n_ecgs, n_patients = by["heartllm"]["ecg"].nunique(), by["heartllm"]["unit"].nunique()
caption = (
    "HeartLLM, its ablations and the control without the ECG: ROUGE-L of reports, and exact match "
    f"by kind of question (dashed: chance), on {n_ecgs} test ECGs of {n_patients} patients. "
    "Whiskers: 95 % intervals over patients; one training seed."
)
alt = "Four panels of six horizontal bars, with a dashed line at chance in those of exact match."
figure = bars.methods(drawn, titles, 2, "Score (dashed: chance)", level)
stage.figure("ablations", figure, drawn, caption, alt)

# %% [markdown]
# **What to see.** First compare each bar with the control without the ECG, then the full model with
# each ablation. The intervals of two bars are no test. The paired differences below are.

# %%
wide = wide_tables.wide(match, "method", "metric")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("exact_match", wide, "Exact match by kind of question [95 % interval].", best)
METRICS = ["macro_f1", "f1", "rouge_1", "rouge_l", "bleu_4", "meteor", "meteor_no_synonyms"]
parts = pd.concat([findings, worded], ignore_index=True)
parts = parts[parts["metric"].isin(METRICS)]
stage.table("reports", wide_tables.wide(parts, "method", "metric"), "Reports [95 % interval].")

# %% [markdown]
# ## The registered comparisons

# %%
PAIRS = {
    "full_minus_no_patient": ("heartllm", "heartllm_no_patient"),
    "full_minus_untuned": ("heartllm", "heartllm_untuned"),
    "full_minus_continuous": ("heartllm", "heartllm_continuous"),
    "no_pretraining_minus_continuous": ("heartllm_no_pretraining", "heartllm_continuous"),
}
differences = []
for name, (one, other) in PAIRS.items():
    gain = exact_match.difference(by[one], by[other], seed=seed)
    stage.claim(f"ablations.{name}.exact_match", **vars(gain))
    in_reports = finding_agreement.difference(of[one], of[other], "macro_f1", seed)
    for metric, value in (("exact match", gain), ("macro-F1", in_reports)):
        differences.append({"name": name, "metric": metric, **vars(value)})
    if name == "full_minus_continuous":
        stage.claim(f"ablations.{name}.macro_f1", **vars(in_reports))
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
    if line["metric"] == "macro-F1":  # one of them is registered
        change = f"{line['value']:.3f} [{line['low']:.3f}, {line['high']:.3f}]"
        one, other = (style.method(of_pair).name for of_pair in PAIRS[line["name"]])
        print(f"- {one} minus {other}, macro-F1 of findings: {change}.")
ends = [(line, max(-line["low"], line["high"])) for line in differences]
near = [line["name"] for line, most in ends if line["metric"] == "exact match" and most < 0.02]
near = "; ".join(" and ".join(style.method(of).name for of in PAIRS[name]) for name in near)
print(f"- In exact match within 0.02 of each other (not registered): {near or 'none'}.")

# %% [markdown]
# Which parts do the answers need? In `laptop` tuning alone is shown to be needed.
#
# Three limits apply. Each system was trained with one seed, and the intervals are over patients.
# Two trainings of HeartLLM may differ by 0.032 of exact match and by 0.067 of macro-F1
# (`docs/evidence.md`). Only the differences of the system that is not tuned are larger. So "reports
# state the findings better with discrete tokens" (0.020) and the better reports without the patient
# line (-0.023) hold for these trainings alone. The ablation without tokens differs from HeartLLM in
# three things: nothing is rounded, nothing is projected to four numbers, and there is no
# pretraining. Against HeartLLM without pretraining the sign of exact match is reversed, and the
# interval includes 0 (-0.009 [-0.021, 0.002]). And all systems have the learning rates that were
# chosen for HeartLLM.
#
# ## Try it yourself
#
# - In the last cell that prints, subtract the exact match of "no_ecg" from that of every arm. What
#   is left is what an arm gains over a model without the ECG. It is not the ECG alone: the control
#   trains all weights, and the arms train a LoRA. The arm that is not tuned falls below zero.
# - In "Without the tokens", replace `cohort.rows("train")[:1]` by `cohort.rows("train")[1:2]`:
#   another ECG, and the same half a level.
#
# The system is explained in [06_instruction_tuning](../06_instruction_tuning.py), its tokens in
# [02_tokenizers](../02_tokenizers.py).

# %% tags=["plumbing"]
stage.finish()
