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
# # Does the order of the systems survive four times the training?
#
# | | |
# |---|---|
# | reads | cohort (01), tokenizers (02), language model (04), what the systems saved (04, 06) |
# | writes | three systems after four times the updates, their answers and reports |
# | paper items | ECG-Tok, HeartLLM, ECG-Byte: answers and reports, after a longer training |
# | time | a minute in `smoke`; 97 nominal minutes in `laptop`, with 01 |
# | memory | 6 GB in `laptop` |
#
# After this notebook you can
#
# - say whether an order of systems is one of methods or one of the speed at which they learn;
# - tell a training that was too short from one that begins to learn its texts by heart;
# - say how much of a model's answers still comes without the ECG.
#
# In the default run each system has 500 updates of 16 ECGs. That is hardly more than one pass over
# the training ECGs. At equal updates the system that learns fastest is ahead. Another one may be
# ahead at the end. Here each system is trained once more, from the same start, for four times as
# many updates. The learning rate falls over the whole of a training, so the longer one is no
# continuation of the shorter.

# %% tags=["plumbing"]
import time

import pandas as pd

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, budgets, exact_match, finding_agreement, wide_tables
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke or laptop: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-four_times"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring, times = stage.section("scoring"), stage.section("study")["times"]
SYSTEMS = ["ecg_tok", "heartllm", "ecg_byte"]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## Three systems, four times the updates
#
# The cards below differ from those of notebooks 04 and 06 in the number of updates alone. The
# adapter of ECG-Tok has the warm-up of notebook 04, and HeartLLM the pretraining of notebook 05:
# these are not longer.

# %%
folders = {}
for name in SYSTEMS:
    updates = stage.part(f"{name}_4x").settings["steps"]
    folders[f"{name}_4x"] = stage.make(f"{name}_4x", steps=times * updates)
    print(f"{name}: {times} x {updates:,} updates")
stage.losses(folders)
stage.data("budgets", budgets.read(folders))

# %% [markdown]
# ## Their own ECG, and that of another patient
#
# Each model answers the questions and writes the report of each test ECG. Then it does the same
# with the ECG of another patient of the same hospital, behind the same words. What does not change
# needed no ECG.

# %%
partner = scored_sample.partners(cohort.records.iloc[rows].reset_index(drop=True), seed)
own, other = rows.tolist(), rows[partner].tolist()
for name in list(folders):
    folders[name] = stage.make(f"{name}_texts", rows=own, ecgs=own)
    shuffled = f"{name}_shuffled"
    folders[shuffled] = stage.make(f"{name}_texts", f"{shuffled}_texts", rows=own, ecgs=other)

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
written = {name: pd.read_parquet(of / "texts.parquet") for name, of in folders.items()}
of_cohort = (cohort.records, cohort.labels, rows, scored)
texts, answers = score_texts(written, asked, *of_cohort, seed)
stage.predictions("texts", texts)
print("saved:", stage.predictions("answers", answers).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Are the trainings at their end?
#
# The figure has both lengths of each system. The losses can be compared between systems, because
# all have the same word pieces, reports and questions.

# %%
from ecglib.figures import style

history = stage.read_beside("history", "06", SYSTEMS)
longer = [f"{name}_4x" for name in SYSTEMS]
figure = curves.loss(history, "Loss (nats per word piece)", late=True)
ends = curves.ends(history)
caption = (
    "Training loss of the three systems with the updates of the run and with four times as many. "
    "Lines: running mean; with markers: validation patients. One training seed. "
    f"The axis leaves out the first losses, of up to {history['loss'].max():.1f}."
)
named = [f"{style.method(name).name} {ends.loc[name, 'validation']:.2f}" for name in longer]
alt = (
    "Six falling curves of the loss against the update, three of them four times as long. Last "
    f"losses of the long ones on validation patients: {'; '.join(named)}."
)
stage.figure("loss", figure, history, caption, alt)

# %%
names = ["training_loss", "validation_loss", "lowest_validation_loss"]
training = ends.set_axis(names, axis=1).rename_axis("method").reset_index()
caption = "Training loss (mean of the last fifth), and loss on validation patients."
stage.table("training", training.round(4), caption)

# %%
spent = stage.read_beside("budget", "06", SYSTEMS, own="budgets")
caption = "What each system was given. Warm-up and pretraining are counted."
stage.table("budgets", budgets.formatted(spent), caption)

# %% [markdown]
# **What to see.** A validation loss that ends clearly above its lowest value says that the training
# learns its texts by heart. A few thousandths say little: the loss is measured on few ECGs. One
# that still falls at the end is no proof that more updates would help, because the learning rate
# falls to zero there.

# %%
for name in longer:
    last, lowest = ends.loc[name, ["validation", "lowest"]]
    gain = ends.loc[name.removesuffix("_4x"), "validation"] - last
    past = "at its lowest" if last == lowest else f"{last - lowest:.3f} above its lowest"
    print(f"- {style.method(name).name}: validation loss {last:.3f}, {past};", end=" ")
    print(f"{gain:.3f} lower than after the updates of the run.")

# %% [markdown]
# ## Answers and reports
#
# Beside the systems stand floors and opponents. The *memoriser* copies the report of the training
# ECG with the most similar codes, and answers by a vote of the nearest ones. *Decoded* is a
# classifier of what codes decode to. Both use QINCo's codes for reports and HeartLLM's for answers,
# so their macro-F1 belongs beside ECG-Tok alone. The classifier with *report labels* reads
# ECG-Tok's tokens, learns what training reports state, and fills templates.

# %%
OPPONENTS = ["no_ecg", "memoriser", "decoded", "probe_reports"]
reports = stage.read_beside("reports", "04", OPPONENTS[1:], own="answers")
answers = stage.beside("answers", "06", [*SYSTEMS, *OPPONENTS])  # of models, their reports, too
everything = pd.concat([reports, answers], ignore_index=True)
kind = everything["item"].str.split(":").str[0]
replies, stated = everything[kind.isin(exact_match.TYPES)], everything[kind == "finding"]
by = {name: part for name, part in replies.groupby("method")}
of = {name: part for name, part in stated.groupby("method")}

# %%
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
macro = finding_agreement.summary(stated, seed=seed)
long = pd.concat([match, macro[macro["metric"] == "macro_f1"]], ignore_index=True)
order = [*OPPONENTS, *(one for name in SYSTEMS for one in (name, f"{name}_4x"))]
long = long[long["method"].isin(order)]
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
wide = wide_tables.wide(long, "method", "metric")
best = dict.fromkeys(wide.columns.drop("method"), "max")
caption = "Exact match by kind of question, and macro-F1 of findings in reports."
stage.table("scores", wide, caption, best)

# %%
titles = {"all": "Exact match", "macro_f1": "Macro-F1 of findings"}
level = {"all": exact_match.chance(by["heartllm_4x"], seed=seed).value}
n_ecgs, n_patients = stated["ecg"].nunique(), stated["unit"].nunique()
drawn = long[long["metric"].isin(titles)]
caption = (
    f"Exact match of {len(by['heartllm_4x'])} answers (dashed: chance) and macro-F1 of findings in "
    f"reports, after the updates of the run and after four times as many, on {n_ecgs} test ECGs of "
    f"{n_patients} patients. Whiskers: 95 % intervals over patients; one training seed. "
    "Memoriser and Decoded read HeartLLM's codes in (a) and QINCo's in (b), so in (b) they are to "
    "be compared with ECG-Tok alone. n/a: a classifier that writes reports answers no questions."
)
value = long[long["metric"] == "all"].set_index("method")["value"]
named = [f"{style.method(name).name} {value[name]:.3f}" for name in (*SYSTEMS, *longer)]
alt = f"Two panels of horizontal bars. Exact match: {'; '.join(named)}."
figure = bars.methods(drawn, titles, 2, "Score (dashed: chance)", level)
stage.figure("scores", figure, drawn, caption, alt)

# %% [markdown]
# ## The order, paired
#
# All methods have the same questions about the same ECGs, so the differences are paired by patient.


# %%
def difference(one: str, other: str) -> dict[str, bootstrap.Estimate]:
    """One method minus another one, in both measures."""
    return {
        "exact_match": exact_match.difference(by[one], by[other], seed=seed),
        "macro_f1": finding_agreement.difference(of[one], of[other], "macro_f1", seed),
    }


# %%
PAIRS = [("ecg_tok", "heartllm"), ("heartllm", "ecg_byte")]
once = {(one, other): difference(one, other) for one, other in PAIRS}
four = {(one, other): difference(f"{one}_4x", f"{other}_4x") for one, other in PAIRS}
more = {name: difference(f"{name}_4x", name) for name in SYSTEMS}
read = {name: difference(f"{name}_4x", f"{name}_4x_shuffled") for name in SYSTEMS}

# %%
rows_of = []
for one, other in PAIRS:
    named = f"{style.method(one).name} minus {style.method(other).name}"
    rows_of.append({"comparison": named, "updates": "1 x", **once[one, other]})
    rows_of.append({"comparison": named, "updates": f"{times} x", **four[one, other]})
for name in SYSTEMS:
    called = style.method(name).name
    rows_of.append({"comparison": f"{called}, {times} x minus 1 x", "updates": "", **more[name]})
    named = f"{called}, own ECG minus another patient's"
    rows_of.append({"comparison": named, "updates": f"{times} x", **read[name]})
paired = pd.DataFrame(rows_of)
for measure in ("exact_match", "macro_f1"):
    paired[measure] = [value.text() for value in paired[measure]]
caption = "Paired differences [95 % interval over patients], one training seed."
stage.table("differences", paired, caption)

# %% [markdown]
# **What to see.** The order of the methods survives where the sign of a difference is the same
# after one and after four times the updates, and neither interval leaves it open.

# %%
words = {"exact_match": "exact match", "macro_f1": "macro-F1 of findings"}
for pair in PAIRS:
    one, other = (style.method(name).name for name in pair)
    for measure, called in words.items():
        first, last = once[pair][measure], four[pair][measure]
        ahead = ["open", one, other]
        at = [ahead[(e.low > 0) - (e.high < 0)] for e in (first, last)]
        print(f"- {called}, {one} and {other}: ahead after the updates of the run: {at[0]}", end="")
        print(f" ({first.text()}); after four times as many: {at[1]} ({last.text()}).")

# %% [markdown]
# ## The registered comparisons

# %%
for measure, value in four["ecg_tok", "heartllm"].items():
    stage.claim(f"four_times.ecg_tok_minus_heartllm.{measure}", **vars(value))
ahead = four["heartllm", "ecg_byte"]["exact_match"]
stage.claim("four_times.heartllm_minus_ecg_byte.exact_match", **vars(ahead))
for name, values in more.items():
    stage.claim(f"four_times.four_minus_once.{name}.exact_match", **vars(values["exact_match"]))
over = exact_match.difference(by["heartllm_4x"], by["memoriser"], seed=seed)
stage.claim("four_times.heartllm_minus_memoriser.exact_match", **vars(over))
pair = of["ecg_tok_4x"], of["probe_reports"]
over = finding_agreement.difference(*pair, "macro_f1", seed)
stage.claim("four_times.ecg_tok_minus_probe_reports.macro_f1", **vars(over))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
for name in longer:
    accuracy = exact_match.accuracy(by[name], seed=seed).text()
    findings = finding_agreement.macro_f1(of[name], seed).text()
    print(f"- {style.method(name).name}: exact match {accuracy}, macro-F1 {findings}.")
for name, values in read.items():
    added = {measure: value.text() for measure, value in values.items()}
    print(f"- {style.method(name).name}, what the own ECG adds to another patient's:", end=" ")
    print(f"exact match {added['exact_match']}, macro-F1 {added['macro_f1']}.")
for name in longer:
    wrong = exact_match.accuracy(by[f"{name}_shuffled"], seed=seed).text()
    print(f"- {style.method(name).name}, with another patient's ECG: exact match {wrong}", end=" ")
    print(f"(chance {level['all']:.3f}).")

# %% [markdown]
# Does the order survive? In `laptop` it does in part. HeartLLM stays ahead of ECG-Byte in both
# measures, by more than before. ECG-Tok is no longer ahead of HeartLLM in exact match: -0.008
# [-0.021, 0.005]. In macro-F1 its lead falls from 0.121 to 0.044. Do the long trainings learn their
# texts by heart? No validation loss ends clearly above its lowest value. But the training loss ends
# 0.057 (ECG-Tok), 0.077 (HeartLLM) and 0.115 (ECG-Byte) below the validation loss, against 0.006 to
# 0.012 after the updates of the run. So they begin to.
#
# Seven limits apply. There is one training seed per system and length, so the intervals cover the
# choice of test patients, not the variation between trainings. A difference of less than 0.09 in
# macro-F1 is no safe result (`docs/evidence.md`); both claims about macro-F1 are of less. The
# opponents were not trained for longer, and a classifier like the one with report labels gains from
# it (study [longer_readers](longer_readers.py)). The updates of the tuning are equal; the table of
# budgets adds ECG-Tok's warm-up and HeartLLM's pretraining, and the operations differ by more than
# a factor of two. HeartLLM trains a LoRA and the others all weights, and ECG-Byte reads the first
# second of an ECG. The learning rates are those of the run, and were not chosen again for the
# longer training. And the control without the ECG was not trained for longer: the ECG of another
# patient stands for it.
#
# ## Try it yourself
#
# - Which of the three would you expect to gain most from more updates, before you look? Why?
# - Set `times: 8` in `four_times.yaml` and run the study again. Which validation loss rises first?
# - In the cell that builds the table of scores, replace `"macro_f1"` by `"precision"`. Does a
#   longer training state more findings, or truer ones?
#
# <details><summary>Answers</summary>
#
# 1. The end of the short trainings does not tell. Their learning rate falls to zero there, so every
#    loss is nearly flat. In `laptop` ECG-Tok's loss falls most in the last 100 updates, but
#    HeartLLM gains most: see the table of differences.
# 2. That of the system whose validation loss ends furthest above its lowest value in the table.
# 3. Compare `"precision"` with `"recall"`, both from `finding_agreement.summary`.
#
# </details>
#
# The methods are explained in [04_report_generation](../04_report_generation.py) and in
# [06_instruction_tuning](../06_instruction_tuning.py).

# %% tags=["plumbing"]
stage.finish()
