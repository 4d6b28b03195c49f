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
# # How much do reports gain from more training patients?
#
# | | |
# |---|---|
# | reads | cohort (01), QINCo and its codes (02), what was saved of ECG-Tok (04, 06) |
# | writes | ECG-Tok trained on 10 % and 30 % of the patients: reports and answers |
# | paper items | ECG-Tok: more data, which the paper names as future work |
# | time | 30 s in `smoke`; 19 nominal minutes in `laptop`, with 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say whether more training patients would help at equal updates;
# - hold the updates fixed, so that only the number of patients changes;
# - compare a model that learns from more reports with a search among more reports.
#
# ECG-Tok's paper expects better reports from more data. Two things grow with a cohort: the number
# of different ECGs, and the time that is spent on them. Here the number of updates stays the same,
# so a model with a tenth of the patients sees each of its ECGs ten times as often.
#
# The shares are nested: the patients of the smaller share are among those of the larger one. The
# tokenizer stays that of notebook 02. It needs no reports, and ECGs without a report are easy to
# have. The language model is pretrained on the texts of the share alone.

# %% tags=["plumbing"]
import time

import pandas as pd

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
from ecglib.figures import curves, size_curves
from ecglib.language import fewer_patients, floors, write_texts
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import read_latents
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-data_scaling"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring, shares = stage.section("scoring"), stage.section("study")["shares"]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## Smaller cohorts
#
# Each share is a cohort of its own. Its questions are drawn anew, because a set of questions is
# balanced over the ECGs that may be asked. The test ECGs and the test questions stay those of
# notebook 04.

# %%
places, own_questions = {}, {}
for name, share in shares.items():
    place = stage.step(
        f"cohort_{name}", fewer_patients.keep_share, {"share": share}, {"cohort": cohort_folder}
    )
    reads = measured | {"cohort": place}
    own_questions[name] = stage.step(f"questions_{name}", balanced_sets.write_questions, ask, reads)
    places[name] = place
sizes = [
    {
        "share": f"{name} %",
        "patients": of.records["unit"].iloc[of.rows("train")].nunique(),
        "ECGs": len(of.rows("train")),
        "questions": len(pd.read_parquet(asked / "train.parquet")),
    }
    for name, of, asked in [
        *((n, Cohort.open(places[n]), own_questions[n]) for n in places),
        ("100", cohort, questions),
    ]
]
sizes = stage.data("sizes", pd.DataFrame(sizes))
sizes

# %% [markdown]
# ## Training and writing
#
# Language model, warm-up and training have the settings of notebook 04.

# %%
tokens = {"qinco": stage.input("02", "qinco"), "qinco_codes": stage.input("02", "qinco_codes")}
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
about |= {key: scoring[key] for key in ("batch", "max_new")}
folders, written = {}, {}
for name, place in places.items():
    own = tokens | {"cohort": place, "questions": own_questions[name]}
    called = f"ecg_tok_{name}"
    folders[called] = stage.remake("ecg_tok", own, f"_{name}")
    own |= {"cohort": cohort_folder, "questions": questions}  # what is asked in the test
    inputs = {label: own[of] for label, of in stage.part("ecg_tok_texts").inputs.items()}
    written[called] = stage.step(f"{called}_texts", write_texts.write, about, inputs)

# %% tags=["plumbing"]
stage.losses(folders)
stage.data("budgets", budgets.read(folders))

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
written = {name: pd.read_parquet(of / "texts.parquet") for name, of in written.items()}
of_cohort = (cohort.records, cohort.labels, rows, scored)
texts, answers = score_texts(written, asked, *of_cohort, seed)
stage.predictions("texts", texts)
print("saved:", stage.predictions("answers", answers).name)

# %% [markdown]
# ## The floor grows, too
#
# The nearest neighbour copies the report of the training ECG of the same hospital with the most
# similar mean latent. It is not trained: all that it gains is more reports to choose from. So it is
# searched among the patients of each share.

# %%
records = cohort.records.iloc[rows].reset_index(drop=True)
tokenizer, parts = load(tokens["qinco"]), []
about_test = read_latents(tokenizer, tokens["qinco_codes"], cohort, rows)
about_test = floors.mean_pool(*about_test)  # (test ECGs, D)
for name, place in places.items():
    train = Cohort.open(place).rows("train")
    past = cohort.records.iloc[train]
    pooled = floors.mean_pool(*read_latents(tokenizer, tokens["qinco_codes"], cohort, train))
    nearest = floors.nearest(pooled, about_test, past["site"].to_numpy(), records["site"])
    copied = pd.DataFrame({"text": past["report"].iloc[nearest].to_numpy()})
    copied = copied.assign(tokens=0, stop_reason="none")
    read = (records, cohort.labels[rows], f"retrieval_{name}", seed, copied, scored)
    parts.append(finding_agreement.read_reports(*read)[1])
print("saved:", stage.predictions("floors", pd.concat(parts, ignore_index=True)).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The trainings

# %%
from ecglib.evaluate import bootstrap

spent = stage.read_beside("budget", "06", ["ecg_tok"], own="budgets")
history = stage.read_beside("history", "06", ["ecg_tok"])
arms = [*(f"ecg_tok_{name}" for name in shares), "ecg_tok"]
names = ["training_loss", "validation_loss", "lowest_validation_loss"]
training = curves.ends(history).set_axis(names, axis=1).round(4).reset_index()
caption = (
    "Training loss (mean of the last fifth), and loss on validation patients, in nats per word "
    "piece. Each share has word pieces of its own, so losses are compared within a row."
)
training = stage.table("training", training, caption)
spent = spent.set_index("method").loc[arms].reset_index()
caption = "What each system was given, its warm-up included, whose labels are phrases of reports."
stage.table("budgets", budgets.formatted(spent), caption)
stage.table("sizes", stage.read("sizes"), "What each share has.")
training

# %% [markdown]
# **What to see.** Fewer patients leave a wider gap between the two losses. A lowest value that is
# clearly below the last one means that the model began to memorise its texts.
#
# ## Findings in reports, and answers

# %%
PERCENT = {f"{kind}_{name}": int(name) for kind in ("ecg_tok", "retrieval") for name in shares}
PERCENT |= {"ecg_tok": 100, "retrieval": 100}
reports = stage.read_beside("reports", "04", ["ecg_tok", "retrieval", "no_ecg"], own="answers")
reports = pd.concat([reports, stage.read("floors")], ignore_index=True)
answers = stage.read_beside("answers", "06", ["ecg_tok", "no_ecg"])
kind, asked = (of["item"].str.split(":").str[0] for of in (reports, answers))
is_other = kind.isin(["finding", *exact_match.TYPES]) | kind.str.startswith("bert_score")
stated, overlap = reports[kind == "finding"], reports[~is_other]
replies = answers[asked.isin(exact_match.TYPES)]

# %%
long = [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
long = pd.concat([*long, match], ignore_index=True)
order = ["no_ecg", "retrieval_10", "retrieval_30", "retrieval", *arms]
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
tables = {"reports": ["macro_f1", "f1", "precision", "recall", "rouge_l", "bleu_4"]}
tables["exact_match"] = list(match["metric"].unique())
captions = {"reports": "Reports by share of the training patients [95 % interval]."}
captions["exact_match"] = "Exact match by share of the training patients [95 % interval]."
for name, metrics in tables.items():
    wide = wide_tables.wide(long[long["metric"].isin(metrics)], "method", "metric")
    stage.table(name, wide, captions[name], dict.fromkeys(wide.columns.drop("method"), "max"))

# %%
macro = long[long["metric"] == "macro_f1"].set_index("method")
drawn = macro.loc[list(PERCENT)].reset_index()
drawn["percent"] = drawn["method"].map(PERCENT)
drawn["method"] = drawn["method"].str.replace(r"_\d+$", "", regex=True)
n_ecgs, n_patients = stated["ecg"].nunique(), stated["unit"].nunique()
caption = (
    "Macro-F1 of findings against the share of training patients, on "
    f"{n_ecgs} test ECGs of {n_patients} patients, for ECG-Tok at equal updates, and for the "
    "nearest report. Line across: the control without the ECG, with all patients. Bars and band: "
    "95 % intervals over patients; one training seed."
)
alt = "Two curves over 10, 30 and 100 per cent of the patients, and a line across."
label = "Training patients (%)"
levels = macro.loc[["no_ecg"]].reset_index()
figure = size_curves.curves(drawn, "percent", label, "Macro-F1 of findings", levels=levels)
stage.figure("by_share", figure, drawn, caption, alt)

# %% [markdown]
# **What to see.** Compare the slopes. A curve of ECG-Tok that is flat from 30 % to 100 % shows no
# gain in macro-F1 from more patients at equal updates. It does not show that they are of no use:
# compare F1 and ROUGE-L in the table of differences, where common findings and wording count for
# more. More updates of ECG-Tok are in the study [four_times](four_times.py). The nearest report
# shows what a search gains from more reports.
#
# ## The registered comparisons

# %%
of = {name: part for name, part in stated.groupby("method")}
by = {name: part for name, part in replies.groupby("method")}
PAIRS = {
    "all_minus_30": ("ecg_tok", "ecg_tok_30"),
    "30_minus_10": ("ecg_tok_30", "ecg_tok_10"),
    "10_minus_retrieval": ("ecg_tok_10", "retrieval"),
}
for name, (one, other) in PAIRS.items():
    gain = finding_agreement.difference(of[one], of[other], "macro_f1", seed)
    stage.claim(f"data_scaling.{name}.macro_f1", **vars(gain))
exact = exact_match.difference(by["ecg_tok"], by["ecg_tok_30"], seed=seed)
stage.claim("data_scaling.all_minus_30.exact_match", **vars(exact))

# %% [markdown]
# The same steps in other measures of reports, which no claim names.

# %%
words_of = {name: part for name, part in overlap.groupby(["method", "item"])}
lines = []
for one, other in (PAIRS["all_minus_30"], PAIRS["30_minus_10"]):
    measures = {"macro-F1": "macro_f1", "F1": "f1"}
    values = {
        called: finding_agreement.difference(of[one], of[other], measure, seed)
        for called, measure in measures.items()
    }
    pair = words_of[one, "rouge_l"], words_of[other, "rouge_l"]
    values["ROUGE-L"] = bootstrap.paired_difference(*pair, seed=seed)
    name = f"{PERCENT[one]} % minus {PERCENT[other]} %"
    lines += [{"patients": name, "metric": m, **vars(value)} for m, value in values.items()]
caption = "Paired differences of ECG-Tok's reports [95 % interval over patients]."
table = wide_tables.wide(pd.DataFrame(lines), "patients", "metric")
stage.table("differences", table, caption)
table

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
for name in arms:
    called = f"ECG-Tok, {PERCENT[name]} % of the patients"
    print(f"- {called}: macro-F1 {macro.loc[name, 'value']:.3f},", end=" ")
    print(f"exact match {exact_match.accuracy(by[name], seed=seed).text()}.")
copied = macro.loc[["retrieval_10", "retrieval"], "value"]
print(f"- The nearest report goes from {copied.iloc[0]:.3f} to {copied.iloc[1]:.3f}.")

# %% [markdown]
# In `laptop` macro-F1 rises by 0.114 from 10 % to 30 % of the patients, and not from 30 % to all.
#
# Four limits apply. There is one training seed and one draw of the patients per share. Two
# trainings of ECG-Tok may differ by 0.09 in macro-F1 and by 0.016 in ROUGE-L (`docs/evidence.md`).
# So the lead of 0.066 over the nearest report, with 10 % of the patients, is no safe result, and
# the gain of 0.018 in ROUGE-L from 30 % to all is hardly more than chance allows. A smaller share
# also asks fewer different questions in training, because rare options are dropped. All have the
# same updates, so the smallest one is trained for more epochs than anybody would choose; in
# `laptop`, at 10 %, the validation loss is lowest at update 200 of 500, and that model is not kept.
# And the simulator's reports have fewer wordings than a hospital's, so more patients may bring less
# here.
#
# ## Try it yourself
#
# - Set `shares: {"10": 0.03, "30": 0.3}` in the YAML file. How few patients are enough to beat the
#   control without the ECG? The key stays 10, so the figure draws the point at 10 %.
# - In the cell of the figure, replace `"macro_f1"` by `"recall"` and then by `"precision"`: do few
#   patients make the model silent, or wrong?
#
# ECG-Tok is explained in [04_report_generation](../04_report_generation.py).

# %% tags=["plumbing"]
stage.finish()
