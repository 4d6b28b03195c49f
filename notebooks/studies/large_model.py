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
# # Does a pretrained language model of 135 million parameters write better reports?
#
# | | |
# |---|---|
# | reads | cohort (01), QINCo (02), SmolLM2-135M-Instruct, saved reports (04) |
# | writes | ECG-Tok and the control without the ECG, on SmolLM2 and on the small model |
# | paper items | ECG-Tok, section 4: scaling the decoder is not the primary path |
# | time | a minute in `smoke`; some 39 nominal minutes in `laptop`, with 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say whether a larger pretrained model is ahead after equally few updates;
# - say what a pretrained model brings at equal updates, and what an update of it costs;
# - tell a model that reads the ECG from one that writes well without it.
#
# The language model of notebook 04 has some 4 million parameters and knows nothing but the texts of
# this compendium. SmolLM2-135M-Instruct has 37 times as many and was trained on English. Here
# ECG-Tok is trained on both for a share of the updates of notebook 04, on reports alone, and so is
# the control without the ECG. What the control reaches is writing; what ECG-Tok adds is reading.
#
# **Equal:** the ECGs, the batches, the updates, the learning rates and the LoRA, a low-rank change
# of the attention's matrices. **Not equal:** the small model has read these training texts before,
# reports, questions and answers, for 250 updates without an ECG; SmolLM2 has not. The models cut
# words into different pieces. And SmolLM2's weights were stored with 4 bits and are used as plain
# numbers. In `smoke` a second small model stands in the place of SmolLM2.

# %% tags=["plumbing"]
import time

import pandas as pd
from transformers import AutoModelForCausalLM

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    bootstrap,
    budgets,
    exact_match,
    finding_agreement,
    text_overlap,
    wide_tables,
)
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-large_model"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring, share = stage.section("scoring"), stage.section("study")["share"]
NAMES = ["no_ecg_brief", "no_ecg_smollm2", "ecg_tok_brief", "ecg_tok_smollm2"]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## Two language models
#
# SmolLM2 cuts words into pieces of its own, so its losses per word piece cannot be compared with
# those of the small model. The vectors of its words are wider, and so are the adapter's outputs.

# %%
lines = []
for name, system in {"small": "ecg_tok_brief", "smollm2": "ecg_tok_smollm2"}.items():
    model = AutoModelForCausalLM.from_pretrained(stage.inputs(system)["base"])
    shape = {"layers": model.config.num_hidden_layers, "width": model.config.hidden_size}
    lines.append({"model": name, "weights": model.num_parameters(), **shape})
sizes = stage.data("sizes", pd.DataFrame(lines))
sizes

# %% [markdown]
# ## Four trainings
#
# The patients and the batches are those of notebook 04. ECG-Tok has the whole warm-up on phrases,
# which trains the adapter alone; the table counts it. What an update of the training itself costs
# is saved apart.

# %%
folders = {}
for name in NAMES:
    steps = round(share * stage.part(name).settings["steps"])
    folders[name] = stage.make(name, steps=steps)
stage.losses(folders)
spent = stage.data("budgets", budgets.read(folders))
costs = []
for name in ("ecg_tok_brief", "ecg_tok_smollm2"):
    whole, before = folders[name], stage.inputs(name)["prefix"]  # the adapter after its warm-up
    whole, before = budgets.of_training(whole), budgets.of_training(before)
    both = whole["flops"] - before["flops"], whole["updates"] - before["updates"]
    costs.append({"method": name, "updates": both[1], "flops_per_update": both[0] // both[1]})
costs = stage.data("costs", pd.DataFrame(costs))
costs

# %% [markdown]
# ## Reports for the same test ECGs
#
# Questions are asked as well, and the answers are dropped: no system here was trained on them.

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
folders = {name: stage.make(f"{name}_texts", **about) for name in NAMES}
written = {name: pd.read_parquet(of / "texts.parquet") for name, of in folders.items()}
of_cohort = (cohort.records, cohort.labels, rows, scored)
texts, answers = score_texts(written, asked, *of_cohort, seed)
is_report = ~answers["item"].str.split(":").str[0].isin(exact_match.TYPES)
stage.predictions("texts", texts)
print("saved:", stage.predictions("reports", answers[is_report]).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The trainings

# %%
history, spent = stage.read("history"), stage.read("budgets")
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
caption = "Loss at the end, in nats per word piece. The two models have different word pieces."
ends = stage.table("losses", ends, caption)
caption = "What each system was given, its warm-up included, whose labels are phrases of reports."
stage.table("budgets", budgets.formatted(spent), caption)
stage.table("sizes", stage.read("sizes"), "The language models.")
ends

# %% [markdown]
# ## Reports
#
# Beside them stand ECG-Tok and the control of notebook 04, which had all updates, all weights and
# questions, two floors (majority and nearest neighbour), and the reference report, read back.
# ECG-Tok on reports alone, with all updates and all weights, is in the study [table_1](table_1.py).

# %%
beside = ["majority", "retrieval", "no_ecg", "ecg_tok", "reference"]
scores = stage.read_beside("reports", "04", beside)
is_finding = scores["item"].str.startswith("finding:")
stated = scores[is_finding]
overlap = scores[~is_finding & ~scores["item"].str.startswith("bert_score")]
order = ["majority", "retrieval", "no_ecg_brief", "no_ecg_smollm2", "no_ecg", "ecg_tok_brief"]
order += ["ecg_tok_smollm2", "ecg_tok", "reference"]
long = [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
long = pd.concat(long, ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")

# %%
wide = wide_tables.wide(long, "method", "metric")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("reports", wide, "Reports by language model [95 % interval].", best)
titles = {"macro_f1": "Macro-F1 of findings", "rouge_l": "ROUGE-L"}
drawn = long[long["metric"].isin(titles)]
n_ecgs, n_patients = stated["ecg"].nunique(), stated["unit"].nunique()
caption = (
    f"Macro-F1 of findings and overlap with the reference report (ROUGE-L), on {n_ecgs} test ECGs "
    f"of {n_patients} patients. The systems on SmolLM2 and those with few updates have a LoRA of "
    "one form and equal updates on reports alone, the warm-up not counted. Those named few updates "
    "are on the small model. ECG-Tok and No ECG are those of notebook 04, with all updates. "
    "Majority and nearest neighbour copy a report. Reference read back: the reference report "
    "itself. Whiskers: 95 % intervals over patients; one training seed."
)
alt = "Two panels of horizontal bars, one per system and language model, with floors."
stage.figure(
    "large_model", bars.methods(drawn, titles, ncols=2, xlabel="Score"), drawn, caption, alt
)

# %% [markdown]
# **What to see.** Compare SmolLM2 with its own control first: if ECG-Tok is not ahead there, it
# reads nothing, and no other comparison means anything. Then compare the two models with few
# updates. The small one knew the texts before; SmolLM2 has more room.
#
# ## The registered comparisons

# %%
of = {name: part for name, part in stated.groupby("method")}
words = overlap[overlap["item"] == "rouge_l"]
words = {name: part for name, part in words.groupby("method")}
pairs = {"ecg_tok_minus_no_ecg": ("ecg_tok_smollm2", "no_ecg_smollm2")}
pairs["large_minus_small"] = ("ecg_tok_smollm2", "ecg_tok_brief")
for name, (one, other) in pairs.items():
    gain = finding_agreement.difference(of[one], of[other], "macro_f1", seed)
    stage.claim(f"large_model.{name}.macro_f1", **vars(gain))
    gain = bootstrap.paired_difference(words[one], words[other], seed=seed)
    stage.claim(f"large_model.{name}.rouge_l", **vars(gain))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
cost = stage.read("costs").set_index("method")["flops_per_update"]
ratio = cost["ecg_tok_smollm2"] / cost["ecg_tok_brief"]
print(f"- An update of SmolLM2 needs {ratio:.0f} times the operations of one of the small model.")
print("- A change of less than 0.02 is shown only where the whole interval is within 0.02 of zero.")
print("  The opposite is shown where the whole interval is outside. Otherwise neither is shown.")
for name, model in {"brief": "the small model", "smollm2": "SmolLM2"}.items():
    pair = of[f"ecg_tok_{name}"], of[f"no_ecg_{name}"]
    reading = finding_agreement.difference(*pair, "macro_f1", seed)
    print(f"- On {model}, ECG-Tok minus its control: macro-F1 {reading.text()}.")
copied = finding_agreement.difference(of["ecg_tok_smollm2"], of["retrieval"], "macro_f1", seed)
print(f"- ECG-Tok on SmolLM2 minus the nearest report: macro-F1 {copied.text()}.")

# %% [markdown]
# In `laptop` ECG-Tok's macro-F1 is 0.042 higher on SmolLM2 than on the small model, after few
# updates. On both it is below that of the nearest report. A second training on SmolLM2, on another
# machine, has 0.247 instead of 0.195, which is above it (study [instruct](instruct.py)).
#
# Four limits apply. There is one training seed per system, and two trainings of ECG-Tok may differ
# by 0.09 in macro-F1 (`docs/evidence.md`). So 0.042 may be chance. "The opposite is shown" refers
# to other patients, not to another training. After so few updates neither model has finished
# learning. So the page does not say what limits the reports of notebook 04. The learning rates were
# found for SmolLM2, and none was tuned for the small model with a LoRA. And the reports here are
# short phrases of a simulated hospital. Whether a difference comes from the size, from the
# knowledge of English or from the learning rate was not examined.
#
# ## Try it yourself
#
# - Set `share: 0.1` in `large_model.yaml`. Which of the two models gains more from its first
#   updates?
# - Read a few reports of both: `stage.read("texts")`, the column `prediction`.
#
# More layers of the small model are the question of the study [decoder_size](decoder_size.py).

# %% tags=["plumbing"]
stage.finish()
