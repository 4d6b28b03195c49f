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
# # Do the systems answer about real ECGs after a training on simulated ones?
#
# | | |
# |---|---|
# | reads | cohort and measurements of a plan with the role `transfer` (01) |
# | writes | four systems trained on one source, and their answers about two |
# | paper items | HeartLLM: zero-shot, from MIMIC-IV-ECG to PTB-XL |
# | time | a minute in `smoke`; 43 nominal minutes in `laptop`, after 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say what has to be the same in two sources before an answer can be compared;
# - tell a system that reads foreign ECGs from one that repeats the habits of its own source;
# - say whether ECG-Byte, HeartLLM or ECG-Tok is shown to transfer.
#
# HeartLLM's paper trains on MIMIC-IV-ECG and tests on PTB-XL without adaptation. A data plan says
# the same with roles: one source has the roles `train`, `validation` and `test`, and the test part
# of the other has the role `transfer`. Nothing is fitted or chosen on it. The plan
# `simulated_to_ptbxl` takes simulated ECGs for training and recordings of PTB-XL for the transfer;
# `mimic_to_ptbxl` and `ptbxl_to_mimic` are the paper's direction and its reverse.
#
# This is the study with PTB-XL in a folder DIR:
#
#     bash run_all.sh study other_source --data simulated_to_ptbxl --data-root DIR
#
# **A check without data.** In a plan without that role the test ECGs stand in its place. Both
# sources are then one, and the columns *own* and *other* of each table must be equal.

# %% tags=["plumbing"]
import time

import numpy as np
import pandas as pd

from ecglib.cohorts import rename_site, scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    budgets,
    exact_match,
    finding_agreement,
    predictions,
    wide_tables,
)
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.language import memoriser, write_texts
from ecglib.questions import balanced_sets
from ecglib.questions.question_book import GROUPS
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import read_codes, read_latents
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "simulated_to_ptbxl"  # a data plan: notebooks/data/<name>.yaml
tag = "study-other_source"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring, share = stage.section("scoring"), stage.section("study")["least_share"]
NAMES = ["no_ecg", "ecg_byte", "heartllm", "ecg_tok"]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}

# %% [markdown]
# ## Two sets of ECGs, and questions about each
#
# The questions that may be asked are those that the training ECGs of the first source allow. Of
# these, PTB-XL can answer what its SCP codes and its signals say. Sets are balanced within each
# source, so each source has a chance level of its own.
#
# Most answers are *measured*: this library delineates the signal and measures the rate, the
# intervals and the axis, or finds disturbed leads. The others are *coded*: the simulated heart or
# the SCP codes of cardiologists say whether there is a condition.

# %%
rows = {"own": scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)}
role = "transfer" if len(cohort.rows("transfer")) else "test"
rows["other"] = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed, role)
asked, questions = {}, {}
for place, of_place in rows.items():
    ask = stage.section("questions") | {"rows": of_place.tolist()}
    questions[place] = stage.step(
        f"questions_{place}", balanced_sets.write_questions, ask, measured
    )
    asked[place] = pd.read_parquet(questions[place] / "test.parquet")
    print(f"{place}: {len(of_place)} ECGs, {len(asked[place])} questions")

# %% [markdown]
# Only items that are asked at both places are compared. An item is a question without its wording.

# %%
items = [set(table["item"]) for table in asked.values()]
common = items[0] & items[1]
asked = {place: table[table["item"].isin(common)] for place, table in asked.items()}
counted = {place: len(table) for place, table in asked.items()}
print(f"{len(items[0])} and {len(items[1])} items, {len(common)} in common; questions: {counted}")
for place, table in asked.items():
    groups = table["item"].str.split("[:.]", regex=True).str[1].value_counts()
    print(f"{place}:", ", ".join(f"{name} {n}" for name, n in groups.items()))

# %% [markdown]
# ## Four trainings on the first source
#
# All settings are those of notebooks 02, 04, 05 and 06.

# %%
own = {"cohort": cohort_folder, "questions": questions["own"]}
folders = {name: stage.remake(name, own, "") for name in NAMES}
stage.losses(folders)
spent = stage.data("budgets", budgets.read(folders))
spent

# %% [markdown]
# ## Answers and reports at both places
#
# At the other source each system also answers with the ECG of another patient: the same questions
# and the right line about the patient, the wrong ECG. What a system knows of the words alone stays,
# and what it reads is lost.

# %%
records = cohort.records
other = rows["other"]
ecgs = rows | {"shuffled": other[scored_sample.partners(records.iloc[other], seed)]}
scored = {}  # findings, by place
for place, read in ecgs.items():
    about = "own" if place == "own" else "other"
    config = {"rows": rows[about].tolist(), "ecgs": read.tolist()}
    config |= {key: scoring[key] for key in ("batch", "max_new")}
    written = {}
    for name in NAMES if place != "shuffled" else NAMES[1:]:
        of = own | {"questions": questions[about]}
        inputs = {label: of[key] for label, key in stage.part(f"{name}_texts").inputs.items()}
        out = stage.step(f"{name}_texts_{place}", write_texts.write, config, inputs)
        written[name] = pd.read_parquet(out / "texts.parquet")
    least = max(1, int(share * len(rows[about])))
    least = min(least, scoring["min_positives"])
    scored[about] = scored_sample.scorable_findings(cohort, rows[about], least)
    about = asked[about], records, cohort.labels, rows[about], scored[about]
    _, answers = score_texts(written, *about, seed)
    kept = answers["item"].str.split(":").str[0].isin(["finding", *exact_match.TYPES])
    print("saved:", stage.predictions(place, answers[kept]).name)

# %% [markdown]
# ## The same reports, asked for under a known name
#
# A prompt for a report names the hospital, because each words its reports in its own way. A name of
# the other source was never seen as that of a hospital. So the reports about its ECGs are asked for
# once more, under the name of the hospital with the most training ECGs, and again with the ECG of
# another patient.

# %%
known = records["site"].iloc[cohort.rows("train")].value_counts().idxmax()
config = {"site": known}
renamed = stage.step("renamed", rename_site.rename_site, config, {"cohort": cohort_folder})
about = records.iloc[other].reset_index(drop=True), cohort.labels[other]
for place in ("other", "shuffled"):
    config = {"rows": other.tolist(), "ecgs": ecgs[place].tolist()}
    config |= {key: scoring[key] for key in ("batch", "max_new")}
    stated = []
    for name in NAMES if place == "other" else NAMES[1:]:
        of = own | {"cohort": renamed}
        inputs = {label: of[key] for label, key in stage.part(f"{name}_texts").inputs.items()}
        inputs.pop("questions")  # reports alone
        out = stage.step(f"{name}_texts_renamed_{place}", write_texts.write, config, inputs)
        texts = pd.read_parquet(out / "texts.parquet").set_index("row").loc[other]
        read = finding_agreement.read_reports(*about, name, seed, texts, scored["other"])
        stated.append(read[1])
    saved = stage.predictions(f"renamed_{place}", pd.concat(stated, ignore_index=True))
    print("saved:", saved.name)

# %% [markdown]
# ## A floor that knows no language
#
# The memoriser of notebook 06 lets the training ECGs with the most similar codes vote. Here it
# answers about ECGs of the other source, too.

# %%
past = pd.read_parquet(questions["own"] / "train.parquet")
everyone = np.unique(np.concatenate([past["row"], *(table["row"] for table in asked.values())]))
reads = load(own["fsq"]), own["fsq_codes"], cohort, everyone
codes, is_past = read_codes(own["fsq_codes"], everyone).numpy(), np.isin(everyone, past["row"])
uses = memoriser.code_vectors(codes, read_latents(*reads)[1].numpy(), is_past)  # (ECGs, columns)
for place, table in asked.items():
    reply = memoriser.neighbour_answers(past, table, everyone, uses)
    of = records.iloc[table["row"]]
    replies = predictions.build(of, "memoriser", seed, table["item"], table["answer"], reply)
    print("saved:", stage.predictions(f"memoriser_{place}", replies).name)

# %% tags=["plumbing"]
sources = {
    place: ", ".join(sorted(records["cohort"].iloc[of].unique())) for place, of in rows.items()
}
facts = {
    "place": list(rows),
    "known_name": known,
    "source": list(sources.values()),
    "ecgs": [len(r) for r in rows.values()],
}
stage.data("places", pd.DataFrame(facts | {"questions": list(counted.values())}))
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The trainings, and the two places

# %%
from scipy.stats import binomtest

from ecglib.figures import style

history, places = stage.read("history"), stage.read("places")
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
stage.table("losses", ends, "Loss at the end, in nats per word piece, on the first source.")
stage.table("budgets", budgets.formatted(stage.read("budgets")), "What each system was given.")
places = stage.table("places", places, "ECGs and questions at both places, items in common.")
places

# %% [markdown]
# ## Exact match at both places

# %%
order = ["no_ecg", "memoriser", "ecg_byte", "heartllm", "ecg_tok"]
everything = {place: stage.read(place) for place in ("own", "other", "shuffled")}
for place in ("own", "other"):
    further = stage.read(f"memoriser_{place}")
    everything[place] = pd.concat([everything[place], further], ignore_index=True)
kind = {place: of["item"].str.split(":").str[0] for place, of in everything.items()}
replies = {place: of[kind[place] != "finding"] for place, of in everything.items()}
stated = {place: of[kind[place] == "finding"] for place, of in everything.items()}


def chance_beside(frame: pd.DataFrame) -> pd.DataFrame:
    """Exact match of each method by type (`exact_match.summary`), and chance as one more method."""
    asked_of = frame[frame["method"] == "heartllm"]
    rows = exact_match.summary_beside_chance(asked_of, seed=seed)
    rows = rows[rows["metric"] == "chance"].drop(columns="metric").assign(method="chance")
    return pd.concat([rows, exact_match.summary(frame, seed=seed)], ignore_index=True)


lines = [chance_beside(of).assign(place=place) for place, of in replies.items()]
long = pd.concat(lines, ignore_index=True)
order = ["chance", *order]
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")

# %%
whole = long[long["type"] == "all"].drop(columns="type").rename(columns={"place": "metric"})
wide = wide_tables.wide(whole, "method", "metric")
caption = (
    "Exact match of answers at the first source (own), at the other one, and there with the ECG of "
    "another patient (shuffled) [95 % interval]."
)
stage.table("exact_match", wide, caption)

# %%
by_type = wide_tables.wide(long[long["place"] == "other"], "method", "type")
caption = "Exact match at the other source by kind of question [95 % interval]."
stage.table("by_type", by_type, caption)

# %%
lines = []
for place, of in replies.items():
    group = of["item"].str.split("[:.]", regex=True).str[1]
    truth = group.map(lambda name: GROUPS[name].kind).isin(["range", "noise"])
    for name, part in {"measured": of[truth], "coded": of[~truth]}.items():
        rows = chance_beside(part)
        lines.append(rows[rows["type"] == "all"].assign(place=f"{place}, {name}"))
by_truth = pd.concat(lines, ignore_index=True)
questions = by_truth.groupby("place")["questions"].first().to_dict()
by_truth = by_truth.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
by_truth = wide_tables.wide(by_truth, "method", "place")
caption = "Exact match by what decides the answer, a measurement or a code [95 % interval]."
by_truth = stage.table("by_truth", by_truth, caption)
print("questions:", "; ".join(f"{place} {number}" for place, number in questions.items()))
by_truth

# %%
chance = whole[whole["method"] == "chance"].set_index("metric")["value"].to_dict()
CALLED = {"synthetic": "simulated", "ptbxl": "PTB-XL", "mimic": "MIMIC-IV-ECG", "mhi": "MHI"}
source = places.set_index("place")["source"].replace(CALLED)
titles = {"own": f"Test ECGs: {source['own']}", "other": f"Transfer: {source['other']}"}
titles |= {"other": "The same ECGs again"} if source["own"] == source["other"] else {}
n = {place: of["ecg"].nunique() for place, of in replies.items()}
caption = (
    f"Exact match (dashed: chance) on {n['own']} test ECGs of the source of the training and on "
    f"{n['other']} ECGs of the other source. Only ECGs with a question that both sources ask are "
    "counted. Whiskers: 95 % intervals over patients; one training seed."
)
alt = "Two panels of horizontal bars, one bar per system, with a dashed line at chance."
drawn = whole[whole["metric"].isin(titles) & (whole["method"] != "chance")]
figure = bars.methods(drawn, titles, 2, "Exact match (dashed: chance)", chance)
stage.figure("other_source", figure, drawn, caption, alt)

# %% [markdown]
# **What to see.** Within a panel, compare each bar with the dashed line and with the control. A bar
# above the line would show that a system reads the foreign ECGs. A bar below the line does not show
# the opposite, because a system repeats how often answers are right at its own source: in `laptop`
# even the control is below it. The column *shuffled* of the first table is the better test, because
# only the ECG differs. Do not compare the panels: the items are the same, but one place asks some
# of them more often, and other answers are frequent there. So the two panels are two exams.
#
# ## Findings in reports
#
# *Shuffled* is with the ECG of another patient. *Renamed* is asked for under the name of the
# hospital with the most training ECGs. At the other source only three conditions are scored in
# `laptop`, with 3 to 4 ECGs each, so the intervals are wide.

# %%
stated["renamed"] = stage.read("renamed_other")
stated["renamed, shuffled"] = stage.read("renamed_shuffled")
lines = [
    finding_agreement.summary(of, seed=seed).assign(place=place) for place, of in stated.items()
]
findings = pd.concat(lines, ignore_index=True)
findings = findings[findings["metric"] == "macro_f1"]
of_one = stated["other"][stated["other"]["method"] == "heartllm"]
cases = finding_agreement.select_conditions(of_one).groupby("item")["target"]
cases = cases.agg(lambda of: int((of == "1").sum()))  # by condition
caption = (
    "Macro-F1 of findings in reports at both places, there with another patient's ECG, and there "
    f"under the name of hospital {places['known_name'].iloc[0]} (renamed), also with another "
    "patient's ECG. A condition is scored even if few ECGs have it (`least_share`), so an interval "
    f"may be wide. At the other source {len(cases)} conditions are scored, of which {cases.min()} "
    f"to {cases.max()} ECGs have each."
)
wide = wide_tables.wide(findings, "method", "place")
wide = stage.table("macro_f1", wide, caption, dict.fromkeys(wide.columns.drop("method"), "max"))
wide

# %% [markdown]
# The conditions that are scored differ between the places, because each needs enough ECGs that have
# it. So *own* cannot be compared with the other columns, which are about the same ECGs.
#
# ## The registered comparisons

# %%
by = {place: dict(list(of.groupby("method"))) for place, of in replies.items()}
at_other = by["other"]
for name in NAMES[1:]:
    gain = exact_match.gain(at_other[name], seed=seed)
    stage.claim(f"other_source.gain.{name}.exact_match", **vars(gain))
    own_ecg = exact_match.difference(at_other[name], by["shuffled"][name], seed=seed)
    stage.claim(f"other_source.own_ecg.{name}.exact_match", **vars(own_ecg))
over = exact_match.difference(at_other["heartllm"], at_other["memoriser"], seed=seed)
stage.claim("other_source.over_memoriser.exact_match", **vars(over))
of = dict(list(stated["other"].groupby("method")))
gap = finding_agreement.difference(of["ecg_tok"], of["no_ecg"], "macro_f1", seed)
stage.claim("other_source.ecg_tok_minus_no_ecg.macro_f1", **vars(gap))
again, foreign = (
    dict(list(stated[place].groupby("method"))) for place in ("renamed", "renamed, shuffled")
)
for name in ("ecg_tok", "heartllm"):
    gap = finding_agreement.difference(again[name], foreign[name], "macro_f1", seed)
    stage.claim(f"other_source.known_name.{name}.macro_f1", **vars(gap))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
print(f"The claims about reports rest on {len(cases)} conditions with {cases.sum()} cases.")
print("A hit is a case that the report states; p is that of the exact sign test, paired by case.")
versus = {"ECG-Tok against no ECG": (of["ecg_tok"], of["no_ecg"])}
for name in ("ecg_tok", "heartllm"):
    called = f"{style.method(name).name}, known name, own against another ECG"
    versus[called] = again[name], foreign[name]
for called, pair in versus.items():
    one, other = (finding_agreement.select_conditions(part) for part in pair)
    both = one.merge(other, on=["unit", "ecg", "item"], suffixes=("", "_other"))
    more, less = ((both["tp"] - both["tp_other"] == sign).sum() for sign in (1, -1))
    p = binomtest(int(more), int(more + less)).pvalue if more + less else 1.0
    print(f"- {called}: {both['tp'].sum()} against {both['tp_other'].sum()} hits, p = {p:.2f}.")
if cases.min() < 10:
    print("A 95 % interval of macro-F1 from so few cases is not to be trusted, whatever its ends.")

# %%
print("Exact match minus chance, in the exam of the own source and in that of the other:")
for name in NAMES[1:]:
    gains = [exact_match.gain(by[place][name], seed=seed).text() for place in ("own", "other")]
    print(f"- {style.method(name).name}: {gains[0]}; {gains[1]}.")
print("Exact match at the other source, minus the control without the ECG (not registered):")
for name in NAMES[1:]:
    more = exact_match.difference(by["other"][name], by["other"]["no_ecg"], seed=seed)
    print(f"- {style.method(name).name}: {more.text()}.")

# %% [markdown]
# Do the systems answer about real ECGs? In `laptop`, on 66 ECGs, it is not shown for any of them:
# no system passes chance, and none answers more with the ECG in question than with another
# patient's. One claim about reports holds by its interval: that of ECG-Tok under a known name. It
# rests on 6 against 2 hits in 11 cases (p = 0.12), so it shows no reading either.
#
# Five limits apply. There is one training seed per system. What a system trained at the other
# source would reach was not measured here, so a low score may be the transfer or harder ECGs. Most
# answers are measured by this library, so they are not judgements of cardiologists. Coded answers
# are, but a condition that was not coded counts as absent if its code exists. With few patients a
# claim can fail for lack of data, and an interval of [0.000, 0.000] means no hit. And the claims
# about a known name are not new: the benchmark `models_on_ptbxl` had asked an earlier training
# about ECGs of PTB-XL in this way. The own ECG was ahead of another patient's by 0.11 (ECG-Tok) and
# 0.10 (HeartLLM). With today's training that is 0.06 [-0.02, 0.14] and 0.09 [0.02, 0.16]. Do not
# compare *renamed* with *other*: a text that states more has a higher macro-F1, whether it reads
# the ECG or not.
#
# ## Try it yourself
#
# - Run the study without a plan, `bash run_all.sh study other_source --profile smoke`. Are the
#   columns *own* and *other* equal?
# - In the cell of the table by kind, replace `"other"` by `"shuffled"`. Which kind of question can
#   be answered without the ECG?
#
# Two simulated hospitals are compared in the study [zero_shot](zero_shot.py), classifiers in
# [transfer](transfer.py).

# %% tags=["plumbing"]
stage.finish()
