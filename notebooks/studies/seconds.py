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
# # Does ECG-Byte answer better when it reads more of an ECG?
#
# | | |
# |---|---|
# | reads | cohort (01), byte pairs (02), language model (04), what was saved of ECG-Byte (06) |
# | writes | ECG-Byte that reads half and twice as many seconds, and the same seconds twice |
# | paper items | ECG-Byte: two seconds of signal, as released; half a second is ours |
# | time | half a minute in `smoke`; 71 nominal minutes in `laptop`, with 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say what a longer stretch of signal costs a language model that reads symbols;
# - say why more signal and a longer text are two changes, and which control tells them apart;
# - tell whether ECG-Byte's answers are limited by the seconds that it reads.
#
# The released code cuts an ECG of ten seconds into five texts of two seconds, each with the whole
# report. Its ablations have pieces of one to eight seconds, of which training keeps the first 1,024
# positions. In `laptop` ECG-Byte reads the first second, because a second of twelve leads is a text
# of some 250 symbols. A rhythm cannot be judged from one beat, so more seconds may help. But a
# longer text also takes more operations. The control reads its first second twice: as many symbols,
# and nothing new. ECG-Byte is explained in [06_instruction_tuning](../06_instruction_tuning.py).

# %% tags=["plumbing"]
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.cohorts import repeated_start, scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import budgets, exact_match, finding_agreement, wide_tables
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves, style
from ecglib.language import ecg_byte, write_texts
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.tokenizers import bpe
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-seconds"  # the study's own run
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
# ## The same second twice
#
# The control's ECGs repeat their start. A toy recording of six samples repeats its first two:

# %%
toy = np.arange(6)
print(toy.tolist(), "->", repeated_start.twice(toy, 2).tolist())

# %%
system, tokenizer = stage.part("ecg_byte"), stage.input("02", "bpe")
whole, pairs = system.settings["seconds"], load(tokenizer)
again = stage.step("twice", repeated_start.repeat, {"seconds": whole}, {"cohort": cohort_folder})
ARMS = {"half": (cohort_folder, settings["half"] * whole), "double": (cohort_folder, 2 * whole)}
ARMS["double_same"] = again, 2 * whole

# %% [markdown]
# ## Three more trainings of ECG-Byte
#
# *Half* and *double* read half and twice as many seconds as the run's ECG-Byte. *Double, same*
# reads the first seconds twice. The byte pairs are those of notebook 02. Patients, texts, updates
# and batches are as in notebook 06; an update on a longer text takes more operations, which the
# table of budgets lists.


# %%
def symbols_of(folder: Path, seconds: float) -> float:
    """Mean number of symbols that the test ECGs of a cohort have in their first seconds."""
    read = ecg_byte.segments(Cohort.open(folder), pairs, rows, seconds)  # (N, T), padded
    return float((read != bpe.PADDING).sum(1).float().mean())


# %%
base = system.inputs["base"]
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
about |= {key: scoring[key] for key in ("batch", "max_new")}
trained, written = {}, {}
arms = [{"method": "ecg_byte", "seconds": whole, "symbols": symbols_of(cohort_folder, whole)}]
for arm, (folder, seconds) in ARMS.items():
    own = {"cohort": folder, base: stage.input("04", base), "questions": questions}
    own, parts = own | {"bpe": tokenizer}, {}
    if folder == cohort_folder:
        own["bpe_codes"] = stage.input("02", "bpe_codes")
    for part in ("ecg_byte_initial", "ecg_byte"):
        changed = stage.part(part).settings | {"seconds": seconds}
        parts[part] = replace(stage.part(part), settings=changed)
    trained[f"ecg_byte_{arm}"] = stage.remake("ecg_byte", own, f"_{arm}", parts=parts)
    inputs = {label: own[of] for label, of in stage.part("ecg_byte_texts").inputs.items()}
    out = stage.step(f"ecg_byte_{arm}_texts", write_texts.write, about, inputs)
    written[f"ecg_byte_{arm}"] = pd.read_parquet(out / "texts.parquet")
    line = {"method": f"ecg_byte_{arm}", "seconds": seconds}
    arms.append(line | {"symbols": symbols_of(folder, seconds)})
lengths = {line["method"]: line["symbols"] for line in arms}
assert abs(lengths["ecg_byte_double_same"] / lengths["ecg_byte_double"] - 1) < 0.1

# %% tags=["plumbing"]
stage.losses(trained)
stage.data("budgets", budgets.read(trained))
stage.data("arms", pd.DataFrame(arms).round(3))

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
of_cohort = (cohort.records, cohort.labels, rows, scored)
_, answers = score_texts(written, asked, *of_cohort, seed)
print("saved:", stage.predictions("answers", answers).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Answers and reports

# %%
history = stage.read_beside("history", "06", ["ecg_byte"])
spent = stage.read_beside("budget", "06", ["ecg_byte"], own="budgets")
everything = stage.read_beside("answers", "06", ["ecg_byte", "no_ecg"])
kind = everything["item"].str.split(":").str[0]
replies, stated = everything[kind.isin(exact_match.TYPES)], everything[kind == "finding"]
by = {name: part for name, part in replies.groupby("method")}
of = {name: part for name, part in stated.groupby("method")}
order = ["no_ecg", "ecg_byte_half", "ecg_byte", "ecg_byte_double_same", "ecg_byte_double"]
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
stage.table("losses", ends, "Loss at the end, in nats per word piece.")
caption = "What each system was given, without the training of its tokenizer."
stage.table("budgets", budgets.formatted(spent), caption)

# %%
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
long = pd.concat([match, finding_agreement.summary(stated, seed=seed)], ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
wide = wide_tables.wide(long[long["metric"].isin(match["metric"])], "method", "metric")
stage.table("exact_match", wide, "Exact match by kind of question [95 % interval].")
reads = stage.read("arms").set_index("method").reindex(order[1:])
scores = long[long["metric"].isin(["all", "macro_f1"])]
reads = reads.join(wide_tables.wide(scores, "method", "metric").set_index("method"))
reads = reads.rename(columns={"all": "exact match", "macro_f1": "macro-F1"}).round(2)
caption = "What each ECG-Byte reads of an ECG (mean symbols), and what comes out [95 % interval]."
reads = stage.table("arms", reads.reset_index(), caption)
reads

# %%
titles = {"all": "Exact match, all questions", "macro_f1": "Macro-F1 of findings"}
drawn = long[long["metric"].isin(titles)]
level = {"all": exact_match.chance(by["ecg_byte"], seed=seed).value}
n_ecgs, n_patients = by["ecg_byte"]["ecg"].nunique(), by["ecg_byte"]["unit"].nunique()
caption = (
    "ECG-Byte by the seconds that it reads: exact match (dashed: chance) and macro-F1 of findings, "
    f"on {n_ecgs} test ECGs of {n_patients} patients. Same: its first seconds twice. Whiskers: "
    "95 % intervals over patients; one training seed."
)
alt = "Two panels of horizontal bars, one per system."
figure = bars.methods(drawn, titles, 2, "Score (dashed: chance)", level)
stage.figure("answers", figure, drawn, caption, alt)

# %% [markdown]
# **What to see.** From *half* over the run's to *double* the seconds grow, and with them the text.
# *Double* against *double, same* compares two texts of one length: what differs is what the second
# half says about the ECG. *Double, same* against the run's is the longer text alone.
#
# ## The registered comparisons

# %%
PAIRS = {
    "run_minus_half": ("ecg_byte", "ecg_byte_half"),
    "double_minus_run": ("ecg_byte_double", "ecg_byte"),
    "double_minus_same": ("ecg_byte_double", "ecg_byte_double_same"),
    "same_minus_run": ("ecg_byte_double_same", "ecg_byte"),
}
differences = []
for name, (one, other) in PAIRS.items():
    gain = exact_match.difference(by[one], by[other], seed=seed)
    stage.claim(f"seconds.{name}.exact_match", **vars(gain))
    in_reports = finding_agreement.difference(of[one], of[other], "macro_f1", seed)
    if name == "double_minus_run":
        stage.claim(f"seconds.{name}.macro_f1", **vars(in_reports))
    for metric, value in (("exact match", gain), ("macro-F1", in_reports)):
        differences.append({"name": name, "metric": metric, **vars(value)})
rhythm = [by[name][by[name]["item"].str.contains(":rhythm")] for name in PAIRS["double_minus_same"]]
of_rhythm = exact_match.difference(*rhythm, seed=seed)
stage.claim("seconds.double_minus_same.rhythm", **vars(of_rhythm))
line = {"name": "double_minus_same", "metric": "exact match, rhythm"}
differences.append(line | vars(of_rhythm))
caption = "Paired differences [95 % interval over patients]."
called = {
    key: " minus ".join(style.method(of_pair).name for of_pair in pair)
    for key, pair in PAIRS.items()
}
wide = wide_tables.wide(pd.DataFrame(differences).replace({"name": called}), "name", "metric")
wide = stage.table("differences", wide, caption)
wide

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
chance = exact_match.chance(by["ecg_byte"], seed=seed).value
for name in order:
    accuracy = exact_match.accuracy(by[name], seed=seed).text()
    print(f"- {style.method(name).name}: exact match {accuracy}, chance {chance:.3f}.")

# %% [markdown]
# **From half a second to one, ECG-Byte answers better.** In `laptop` exact match rises by 0.038
# [0.026, 0.051]. **From one second to two, a gain is not shown.** It is 0.014 [0.003, 0.026], less
# than two trainings of ECG-Byte may differ by (0.024). Two seconds are ahead of the same second
# read twice by 0.016 [0.004, 0.028]. This, too, is less than 0.024. In questions about the rhythm
# the difference is 0.023 [-0.024, 0.075], and the interval contains zero (256 questions).
#
# **A longer text alone is not shown to change exact match.** The difference is -0.002 [-0.013,
# 0.009]. Over patients it is less than 0.024. If the interval covered the training, too, this would
# not be shown.
#
# **In reports nothing is safe.** Macro-F1 is 0.019 [0.007, 0.030] above the run's with the same
# second twice, and 0.033 [0.021, 0.044] above it with two seconds. Two trainings may differ by
# 0.053, and the run's seed is the lowest of three (0.178, 0.193, 0.194). Two seconds take 1.7 times
# the operations of one, the same second twice 1.8 times.
#
# Four limits apply.
#
# - There is one training seed per system (`docs/evidence.md` says what two trainings differ by).
# - All systems have the updates of the run. ECG-Byte answers better after four times as many (study
#   [four_times](four_times.py)), and a longer text may need more of them.
# - The step from half a second to one has no control. There the text grows as well as the signal.
# - The copy adds something false. Each lead has a step where it begins, and the distance between
#   the beats before and after this place is not the patient's. That could make the control worse
#   than one second, and *double* minus *double, same* too large. In exact match it is not shown to
#   be worse.
#
# ## Try it yourself
#
# - Set `half: 0.25` in `seconds.yaml`. Which kinds of questions lose most, and which nothing?
# - In the toy, repeat the first three samples. What is left of the recording?

# %% tags=["plumbing"]
stage.finish()
