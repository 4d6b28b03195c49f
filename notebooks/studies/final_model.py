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
# # What makes ECG-Tok's final model better: more hospitals, or all weights?
#
# | | |
# |---|---|
# | reads | cohort (01), QINCo (02), the language model and what was saved of the floors (04) |
# | writes | ECG-Tok of one hospital and of two, by LoRA and in full: reports |
# | paper items | ECG-Tok, section 3: the final model |
# | time | 30 s in `smoke`; 23 nominal minutes in `laptop`, with 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - name what the paper changes at once in its final model, and which two of it are crossed here;
# - read a 2 x 2 design, where each effect is seen at both levels of the other;
# - say what a second hospital gives to the first one, at equal updates.
#
# The paper's best row is its *final model*: ROUGE-L 0.667 instead of 0.542. It is trained on
# MIMIC-IV-ECG *and* on the reports of a second hospital (MHI), *without* LoRA, and tested on both.
# So the row differs from Table 1 in the training data, in what is trained, and in the test ECGs. In
# the released code the recipe differs, too: AdamW with a warm-up of 10 % and a cosine instead of
# Adam with the Noam schedule, batches of 16 instead of 2, and ten epochs instead of one. Here all
# systems share the optimiser, the batches and the number of updates, and all are tested on the same
# ECGs: those of hospital A, those of B, and all. The two other changes are crossed:
#
# | | LoRA | all weights |
# |---|---|---|
# | hospital A | as Table 1 | |
# | hospitals A and B | | the final model |
#
# All are trained on reports alone, without an instruction, for the same number of updates. In
# `laptop` all have the 12 vectors and the warm-up of notebook 04, where the paper has one vector
# and no warm-up. In the released code, the language model learns at a hundredth of the adapter's
# rate. A fifth system, *slow*, does that on both hospitals. In the other trainings of all weights
# the language model learns at the adapter's rate in `laptop`, and at a tenth of it in `gpu`.

# %% tags=["plumbing"]
import time

import pandas as pd

from ecglib.classify import training_site
from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, budgets, finding_agreement, text_overlap, wide_tables
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.language import write_texts
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-final_model"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring = stage.section("scoring")
BOTH = ["ecg_tok_lora", "ecg_tok_full", "ecg_tok_slow"]
ONE = {"ecg_tok_lora_one": "ecg_tok_lora", "ecg_tok_full_one": "ecg_tok_full"}

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## One hospital
#
# The first hospital keeps all its training patients. The others keep their place in the table, but
# nothing learns from them: neither the language model, nor the warm-up, nor the system. QINCo is
# that of notebook 02, which reads no reports. The two hospitals word their reports differently.

# %%
sites = sorted(cohort.records["site"].iloc[cohort.rows("train")].unique())
first, config = sites[0], {"site": sites[0], "patients": 0}
place = stage.step("cohort_one", training_site.keep_site, config, {"cohort": cohort_folder})
of_place = measured | {"cohort": place}
own_questions = stage.step("questions_one", balanced_sets.write_questions, ask, of_place)
one = Cohort.open(place)
print(f"hospitals {', '.join(sites)}; training ECGs of all: {len(cohort.rows('train'))},", end=" ")
print(f"of {first} alone: {len(one.rows('train'))}")
for site in sites:
    example = cohort.records[cohort.records["site"] == site].iloc[0]
    print(f"a report of {site}: {example['report']}")

# %% [markdown]
# ## Five trainings
#
# The systems of both hospitals are entries of the study's YAML file, which says of each whether it
# has a LoRA, also where the systems of notebook 04 have one (`gpu`). Those of one hospital are the
# same entries, trained on the smaller cohort.

# %%
folders = {name: stage.make(name) for name in BOTH}
inputs_of = {name: stage.inputs(name) for name in BOTH}
reads = inputs_of["ecg_tok_full"]
tokens = {"qinco": reads["tokenizer"], "qinco_codes": reads["codes"]}
own = tokens | {"cohort": place, "questions": own_questions}
for name, like in ONE.items():
    folders[name] = stage.remake(like, own, "_one")
    inputs_of[name] = inputs_of[like] | {"base": own[stage.part(like).inputs["base"]]}

# %%
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
about |= {key: scoring[key] for key in ("batch", "max_new")}
written = {}
for name, folder in folders.items():
    inputs = {key: inputs_of[name][key] for key in ("cohort", "base", "tokenizer", "codes")}
    inputs |= {"system": folder}
    written[name] = stage.step(f"{name}_texts", write_texts.write, about, inputs)

# %% tags=["plumbing"]
stage.losses(folders)
stage.data("budgets", budgets.read(folders))

# %%
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
written = {name: pd.read_parquet(of / "texts.parquet") for name, of in written.items()}
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
arms = ["ecg_tok_lora_one", "ecg_tok_full_one", "ecg_tok_lora", "ecg_tok_slow", "ecg_tok_full"]
ends = curves.ends(history).drop(columns="lowest").loc[arms].round(3).reset_index()
caption = (
    "Loss at the end, in nats per word piece. A system is validated on its own hospitals and has "
    "their word pieces, so losses are compared within one training set."
)
ends = stage.table("losses", ends, caption)
caption = "What each system was given, its warm-up included, whose labels are phrases of reports."
stage.table("budgets", budgets.formatted(stage.read("budgets")), caption)
ends

# %% [markdown]
# ## Reports by hospital of the test ECGs
#
# Two methods of notebook 04 wrote about the same ECGs. The nearest neighbour is a floor: it was
# searched among the training ECGs of both hospitals, each in its own. The control without the ECG
# is no exact partner of these systems, because it was trained on questions as well.

# %%
beside = ["retrieval", "no_ecg"]
reports = stage.read_beside("reports", "04", beside)
is_finding = reports["item"].str.startswith("finding:")
words = reports[reports["item"] == "rouge_l"]
order, sites = [*beside, *arms], sorted(words["site"].unique())
places = {"all": sites} | {site: [site] for site in sites}
long = []
for place, own_sites in places.items():
    here = reports["site"].isin(own_sites)
    stated = finding_agreement.summary(reports[is_finding & here], seed=seed)
    overlap = text_overlap.summary(words[words["site"].isin(own_sites)], seed)
    parts = [stated[stated["metric"] == "macro_f1"], overlap]
    long.append(pd.concat(parts, ignore_index=True).assign(place=place))
long = pd.concat(long, ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")

# %%
for metric, name in {"rouge_l": "ROUGE-L", "macro_f1": "Macro-F1 of findings"}.items():
    part = long[long["metric"] == metric]
    wide = wide_tables.wide(part, "method", "place")
    best = dict.fromkeys(wide.columns.drop("method"), "max")
    stage.table(metric, wide, f"{name}, by hospital of the test ECGs [95 % interval].", best)

# %%
drawn = long[long["metric"] == "rouge_l"].drop(columns="metric")
drawn = drawn.rename(columns={"place": "metric"})
titles = {place: f"Hospital {place}" for place in sites} | {"all": "All test ECGs"}
n_ecgs, n_patients = words["ecg"].nunique(), words["unit"].nunique()
caption = (
    f"ROUGE-L of ECG-Tok's reports after training at hospital {sites[0]} or at both, by LoRA "
    'or in full ("slow": the language model learns at a hundredth of the adapter\'s rate), by '
    f"hospital of the test ECGs ({n_ecgs} ECGs of {n_patients} patients in all). Nearest "
    "neighbour: the report of the most similar training ECG. No ECG: a control with learned "
    "constants, trained on questions too. Whiskers: 95 % intervals over patients; one training "
    "seed."
)
alt = "Panels of horizontal bars, one per system, floor and control, by hospital of the test ECGs."
stage.figure("final_model", bars.methods(drawn, titles, 3, "ROUGE-L"), drawn, caption, alt)

# %% [markdown]
# **What to see.** Compare within a panel. On the hospital that was trained on, a second hospital
# takes half of the updates away; on the other one it brings the wording. The effect of LoRA is seen
# twice, once per training set. Then read the lines about macro-F1 at the end: words and
# findings need not agree.
#
# ## The registered comparisons

# %%
by = {name: part for name, part in words.groupby("method")}


def gain(one: str, other: str, places: list[str]) -> bootstrap.Estimate:
    """ROUGE-L of one system minus another one, on the same test ECGs of these hospitals."""
    pair = (by[name][by[name]["site"].isin(places)] for name in (one, other))
    return bootstrap.paired_difference(*pair, seed=seed)


# %%
PAIRS = {
    "full_minus_lora": ("ecg_tok_full", "ecg_tok_lora", sites),
    "both_minus_one.own": ("ecg_tok_full", "ecg_tok_full_one", sites[:1]),
    "both_minus_one.other": ("ecg_tok_full", "ecg_tok_full_one", sites[1:]),
    "slow_minus_equal": ("ecg_tok_slow", "ecg_tok_full", sites),
}
for name, pair in PAIRS.items():
    none = bootstrap.Estimate(*[float("nan")] * 3, 0)  # a cohort of one hospital has no other
    value = gain(*pair) if pair[-1] else none
    stage.claim(f"final_model.{name}.rouge_l", **vars(value))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
whole = gain("ecg_tok_full", "ecg_tok_lora_one", sites)
print("- The words in parentheses of the first statement are wrong: the paper's Table 1 has one")
print("  hospital and a LoRA.")
print(f"- ROUGE-L, both hospitals and all weights minus one hospital and a LoRA: {whole.text()}.")
of = {name: part for name, part in reports[is_finding].groupby("method")}
pair = of["ecg_tok_full"], of["ecg_tok_lora_one"]  # not registered
loss_of_findings = finding_agreement.difference(*pair, "macro_f1", seed)
print(f"- Macro-F1 of findings, the same difference: {loss_of_findings.text()}.")
for places in filter(None, (sites, sites[:1], sites[1:])):  # not registered
    pair = (of[name] for name in ("ecg_tok_full", "ecg_tok_full_one"))
    pair = (part[part["site"].isin(places)] for part in pair)
    change = finding_agreement.difference(*pair, "macro_f1", seed)
    where = " and ".join(places)
    print(f"- Macro-F1 at {where}, all weights, both hospitals minus one: {change.text()}.")
alone = gain("ecg_tok_full_one", "ecg_tok_lora_one", sites)
print(f"- ROUGE-L, all weights minus LoRA, trained on one hospital: {alone.text()}.")
for places in filter(None, (sites, sites[:1], sites[1:])):  # not registered
    change = gain("ecg_tok_lora", "ecg_tok_lora_one", places)
    print(f"- ROUGE-L at {' and '.join(places)}, LoRA, both minus one: {change.text()}.")
value = long.set_index(["method", "metric", "place"])["value"]
print(f"- Both and all weights: ROUGE-L {value['ecg_tok_full', 'rouge_l', 'all']:.3f},", end=" ")
print(f"macro-F1 of findings {value['ecg_tok_full', 'macro_f1', 'all']:.3f}.")

# %% [markdown]
# The scores that the paper prints for its final model are below. They cannot be compared with ours:
# other ECGs, other reports, another language model and another recipe. The paper gives no score of
# findings for it.

# %%
columns = ["system", "ROUGE-1", "ROUGE-L", "BLEU-4", "METEOR"]
PAPER = [
    ("ECG-Tok, final model, on MIMIC-IV-ECG and MHI", 0.671, 0.667, 0.415, 0.640),
    ("ECG-Tok, Table 1, on MIMIC-IV-ECG", 0.548, 0.542, 0.293, 0.518),
]
caption = "ECG-Tok's final model as its paper prints it. Not comparable with this run."
stage.table("paper", pd.DataFrame(PAPER, columns=columns), caption)

# %% [markdown]
# What makes the final model better? In `laptop` two hospitals with all weights have 0.038 more
# ROUGE-L than one hospital with a LoRA. All weights give about half of this (0.018), whichever
# hospitals are trained on. Two trainings of ECG-Tok may differ by 0.016 (`docs/evidence.md`), so
# this is a small effect. With all weights, a second hospital costs words at A (-0.038) and gains
# words at B (0.076). It costs findings at both: macro-F1 changes by -0.036 at A and by -0.070 at B.
# So "writes better" in a claim means overlap of words alone.
#
# Four limits apply. There is one training seed per system, and a difference of less than 0.09 in
# macro-F1 is no safe result (`docs/evidence.md`). The learning rate was chosen for training all
# weights of a small model; a LoRA and the slow form may want others, or more updates. The paper's
# other changes, of optimiser, batch and epochs, are not repeated, so no arm is its final model. And
# the simulated hospitals differ in patients, recorders and wording, and share their physiology. "No
# worse" means: by less than 0.02 of ROUGE-L. "Better" in a statement means the overlap of words
# alone. A system can gain words and lose findings: compare the lines on macro-F1.
#
# ## Try it yourself
#
# - In `final_model.yaml` set `steps: 1000` for all three. Is *slow* only late?
# - In the cell of the figure replace `"rouge_l"` by `"macro_f1"`. What of the loss at the other
#   hospital is wording, and what is findings?
#
# ECG-Tok is explained in [04_report_generation](../04_report_generation.py), how classifiers fare
# at another hospital in the study [transfer](transfer.py).

# %% tags=["plumbing"]
stage.finish()
