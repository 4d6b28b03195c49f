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
# # Does a long prompt dilute an ECG of few vectors?
#
# | | |
# |---|---|
# | reads | cohort (01), QINCo (02), the language model and what was saved of the floors (04) |
# | writes | ECG-Tok with 1, 4 and 16 vectors behind no, a short and a long prompt: reports |
# | paper items | ECG-Tok, section 4: why instruction tuning lost in Table 1 |
# | time | a minute in `smoke`; some 31 nominal minutes in `laptop`, with 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - turn an explanation into a prediction that can fail;
# - tell the effect of a prompt from its interaction with the number of vectors;
# - say what a constant text in front of the ECG can and cannot change.
#
# In ECG-Tok's Table 1, reports become worse by instruction tuning. The paper's explanation is that
# the words of the prompt dilute the supervision when few tokens stand for the ECG. ECG-Byte, which
# has many tokens, also loses in that table. So the explanation needs a test of its own.
#
# It predicts an *interaction*: a long prompt should cost more with one vector than with sixteen.
# Nine systems are trained on reports alone, with 1, 4 or 16 vectors per ECG and three prompts:
#
# | prompt | what the model reads beside the patient and the ECG |
# |---|---|
# | none | the site |
# | short | "Report of site A:" |
# | long | the same, and a paragraph of instructions in front of the ECG |

# %% tags=["plumbing"]
import time

import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, budgets, finding_agreement, text_overlap, wide_tables
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import curves, size_curves
from ecglib.language import long_prompt, write_texts
from ecglib.language.system import load_prefix
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-dilution"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring, text = stage.section("scoring"), stage.section("study")["text"]
VECTORS, PROMPTS = (1, 4, 16), ("none", "short", "long")
arms = [f"ecg_tok_{vectors}_{prompt}" for prompt in PROMPTS for vectors in VECTORS]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## A paragraph in front of the ECG
#
# The long prompt is the same for every ECG. Its words are embedded by the language model as they
# are pretrained, and stand in front of the vectors. Adapter and warm-up are those of the short
# prompt: only the words are added. Here is the first training ECG behind both prompts.

# %%
folders, reads = {}, stage.inputs("ecg_tok_1_short")
for vectors in VECTORS:
    for prompt in ("none", "short"):
        name = f"ecg_tok_{vectors}_{prompt}"
        folders[name] = stage.make(name)
warm = {vectors: stage.inputs(f"ecg_tok_{vectors}_short")["prefix"] for vectors in VECTORS}
words = {
    vectors: stage.step(
        f"ecg_tok_{vectors}_words",
        long_prompt.put_in_front,
        {"text": text},
        {"base": reads["base"], "prefix": folder},
    )
    for vectors, folder in warm.items()
}

# %%
first = cohort.rows("train")[:1]
short, long = load_prefix(warm[1]), load_prefix(words[1])
with torch.no_grad():
    ecg = short.read_ecgs(reads, first)
    without, behind = short(*ecg)[0], long(*ecg)[0]  # (1, 1, d), (1, pieces + 1, d)
print(f"{tuple(without.shape)} -> {tuple(behind.shape)}: {long.front} word pieces in front")
print(f"of {behind.shape[1]} embeddings, {without.shape[1]} tells of the ECG")
torch.testing.assert_close(behind[:, long.front :], without)

# %% [markdown]
# ## Nine trainings, nine sets of reports

# %%
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
about |= {key: scoring[key] for key in ("batch", "max_new")}
written = {}
for vectors in VECTORS:
    short, name = f"ecg_tok_{vectors}_short", f"ecg_tok_{vectors}_long"
    labelled, own = stage.part(short).inputs, stage.inputs(short) | {"prefix": words[vectors]}
    given = {of: own[label] for label, of in labelled.items()}
    folders[name] = stage.remake(short, given, "_behind_words")
for name in arms:  # all read the same tokens
    inputs = {key: reads[key] for key in ("cohort", "base", "tokenizer", "codes")}
    inputs |= {"system": folders[name]}
    written[name] = stage.step(f"{name}_texts", write_texts.write, about, inputs)

# %% tags=["plumbing"]
folders = {name: folders[name] for name in arms}
stage.losses(folders)
stage.data("budgets", budgets.read(folders))

# %%
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
written = {name: pd.read_parquet(written[name] / "texts.parquet") for name in arms}
of_cohort = (cohort.records, cohort.labels, rows, scored)
nothing = pd.DataFrame({"number": [], "row": [], "item": [], "answer": []})
texts, reports = score_texts(written, nothing.astype({"row": int}), *of_cohort, seed)
stage.predictions("texts", texts)
print("saved:", stage.predictions("reports", reports).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The trainings

# %%
history = stage.read("history")
ends = curves.ends(history).drop(columns="lowest").loc[arms].round(3).reset_index()
ends = stage.table("losses", ends, "Loss at the end, in nats per word piece of the report.")
caption = "What each system was given, its warm-up included, whose labels are phrases of reports."
stage.table("budgets", budgets.formatted(stage.read("budgets")), caption)
ends

# %% [markdown]
# ## Reports by vectors and prompt
#
# The nearest neighbour and the control without the ECG are those of notebook 04. The control was
# trained on questions as well, so it is no exact partner of these systems.

# %%
beside = ["retrieval", "no_ecg"]
reports = stage.read_beside("reports", "04", beside)
is_finding = reports["item"].str.startswith("finding:")
stated = reports[is_finding]
overlap = reports[~is_finding & ~reports["item"].str.startswith("bert_score")]
order = [*beside, *arms]
long = [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
long = pd.concat(long, ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
METRICS = ["macro_f1", "f1", "precision", "recall", "rouge_l", "bleu_4"]
wide = wide_tables.wide(long[long["metric"].isin(METRICS)], "method", "metric")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("reports", wide, "Reports by vectors and prompt [95 % interval].", best)

# %%
STYLE = {"none": "ecg_tok_none", "short": "ecg_tok_short", "long": "ecg_tok_long"}
drawn = long[(long["metric"] == "rouge_l") & long["method"].isin(arms)].copy()
parts = drawn["method"].str.split("_")
drawn["vectors"], drawn["method"] = parts.str[2].astype(int), parts.str[3].map(STYLE)
levels = long[(long["metric"] == "rouge_l") & (long["method"] == "retrieval")]
n_ecgs, n_patients = stated["ecg"].nunique(), stated["unit"].nunique()
caption = (
    "Overlap of ECG-Tok's reports with the reference (ROUGE-L) against the number of vectors per "
    f"ECG, behind no prompt, a short one and a long one, on {n_ecgs} test ECGs of {n_patients} "
    "patients. Line across: the report of the nearest neighbour. Bars and band: 95 % intervals "
    "over patients; one training seed."
)
alt = "Three curves over 1, 4 and 16 vectors, and a line across."
figure = size_curves.curves(drawn, "vectors", "Vectors per ECG", "ROUGE-L", levels=levels)
stage.figure("by_prompt", figure, drawn, caption, alt)

# %% [markdown]
# **What to see.** Dilution would spread the curves on the left and close them on the right. Curves
# that are parallel say that a prompt costs the same however many vectors stand for the ECG. The
# registered contrast, none minus long, changes the instruction and the paragraph at once. None
# minus short is the effect of the instruction. Short minus long is that of the paragraph and of a
# training that begins further from its goal (see the limits). In macro-F1 the cost need not fall in
# the same steps as in ROUGE-L.
#
# ## The registered comparisons

# %%
words_of = {n: part for n, part in overlap[overlap["item"] == "rouge_l"].groupby("method")}
of = {name: part for name, part in stated.groupby("method")}
KEYS, losses, lines = ["unit", "ecg", "item"], {}, []
for vectors in VECTORS:
    none, behind = words_of[f"ecg_tok_{vectors}_none"], words_of[f"ecg_tok_{vectors}_long"]
    cost = bootstrap.paired_difference(none, behind, seed=seed)
    stage.claim(f"dilution.none_minus_long.{vectors}.rouge_l", **vars(cost))
    pair = none.merge(behind[[*KEYS, "score"]], on=KEYS, suffixes=("", "_long"))
    losses[vectors] = pair.assign(score=pair["score"] - pair["score_long"])
    pair = of[f"ecg_tok_{vectors}_none"], of[f"ecg_tok_{vectors}_long"]
    findings = finding_agreement.difference(*pair, "macro_f1", seed)
    for metric, value in (("ROUGE-L", cost), ("macro-F1", findings)):
        lines.append({"name": f"{vectors}, none minus long", "metric": metric, **vars(value)})
    for one, other in (("none", "short"), ("short", "long")):
        pair = f"ecg_tok_{vectors}_{one}", f"ecg_tok_{vectors}_{other}"
        worded = bootstrap.paired_difference(*(words_of[name] for name in pair), seed=seed)
        stated_in = finding_agreement.difference(*(of[name] for name in pair), "macro_f1", seed)
        for metric, value in (("ROUGE-L", worded), ("macro-F1", stated_in)):
            name = f"{vectors}, {one} minus {other}"
            lines.append({"name": name, "metric": metric, **vars(value)})
    if vectors == 1:
        stage.claim("dilution.none_minus_long.1.macro_f1", **vars(findings))
interaction = bootstrap.paired_difference(losses[1], losses[16], seed=seed)
stage.claim("dilution.one_minus_sixteen.rouge_l", **vars(interaction))
caption = "Paired differences between prompts, by vectors [95 % interval over patients]."
wide = wide_tables.wide(pd.DataFrame(lines), "name", "metric")
wide = wide.rename(columns={"name": "vectors per ECG, and prompts compared"})
stage.table("differences", wide, caption)

# %% [markdown]
# ## What it means

# %%
from ecglib.figures import tables

stage.print_claims()
macro = long[long["metric"] == "macro_f1"].set_index("method")["value"]
for name in arms:
    print(f"- {tables.word(name)}: macro-F1 {macro[name]:.3f}.")

# %% [markdown]
# Four limits apply. There is one training seed per system. Two trainings of ECG-Tok may differ by
# 0.016 of ROUGE-L and 0.09 of macro-F1 (`docs/evidence.md`). So all differences between none and
# short may be chance, and so may the cost of the long prompt in macro-F1 with 16 vectors (0.055).
# The warm-up of an adapter was made without the words, so a training behind them begins further
# from its goal: in `laptop`, before the first update, its loss on validation patients is 1.9 to
# 2.0, without the words 0.8 to 1.1. The training loss, too, ends higher. So the interaction is
# shown, and dilution as its reason is not: a training that has not caught up after 500 updates
# would look the same. The words of the long prompt are frozen and always the same, so a model can
# learn to skip them; the paper's questions vary. And the paper's instructed model is another
# language model, which is not repeated here.
#
# ## Try it yourself
#
# - In `dilution.yaml`, write the paragraph twice. Does the cost grow with the length?
# - In the cell of the figure, replace `"rouge_l"` by `"macro_f1"` in both places: do the findings
#   follow the words?
#
# ECG-Tok is explained in [04_report_generation](../04_report_generation.py), what the prompts of
# the paper's Table 1 change in the study [table_1](table_1.py).

# %% tags=["plumbing"]
stage.finish()
