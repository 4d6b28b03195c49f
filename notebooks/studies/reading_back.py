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
# # How much of the truth does a report state?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01: its reports and labels |
# | writes | per finding: how reports state it, and what the labeller reads |
# | paper items | none; the labeller stands in for the classifiers that the papers use |
# | time | 9 s in `laptop` on two cores, after notebook 01 |
# | memory | 0.5 GB in `laptop` |
#
# After this notebook you can
#
# - separate what a report omits from what a labeller misses;
# - read precision and recall of a labeller by finding;
# - say why repeating the reference report word for word does not reach an F1 of 1.
#
# Back to [01_preprocess](../01_preprocess.py).
#
# A model can learn from reports only what they state. Generated reports are scored by a labeller
# that reads findings in their text. This study measures both limits.

# %% tags=["plumbing"]
import pandas as pd
from IPython.display import display

from ecglib.cohorts import reading_back
from ecglib.cohorts.store import Cohort
from ecglib.figures import bars
from ecglib.labels.findings import SCORED
from ecglib.labels.label_set import COLUMNS, LABELS, PRESENT, UNCERTAIN, Label
from ecglib.labels.labeller import read_labels
from ecglib.run.stage import Stage
from ecglib.simulator.report_text import STYLE

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-reading_back"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
pd.set_option("display.max_colwidth", None)  # reports in full
print(stage.banner())

# %% [markdown]
# ## The simulated hospitals omit, hedge and deny at stated rates
#
# Two simulated hospitals write from the same truth in their own ways: A in sentences, B in
# abbreviations between commas. They sometimes leave out what another finding implies. (A report of
# atrial fibrillation need not add that the rhythm is irregular.) They overlook some findings, hedge
# others, and sometimes deny an absent one. The rhythm is always stated, unless another rhythm
# implies it. "Normal ECG" is never written only because a finding was left out. Only findings that
# are present are hedged.
#
# **Ours, not the papers':** these rates are our choice, and `report_style.yaml` holds them. In a
# run on real recordings, the reports are those of the data source.

# %%
rates = {
    "first wording of a finding that has several": STYLE.usual,
    "left out, most findings": STYLE.omitted[Label.LVH],
    "left out, a rhythm": STYLE.omitted[Label.AFIB],
    "left out, a major finding": STYLE.omitted[Label.ACUTE_MI],
    "left out, a measure or shape": STYLE.omitted[Label.NEGATIVE_QRS_III],
    "left out, where another finding implies it": STYLE.implied_omitted,
    "hedged, of findings about which readers hedge": STYLE.hedged,
    "with a negative, of reports that can have one": STYLE.denied,
}
pd.DataFrame({"simulated reports": rates.keys(), "percent": [100 * x for x in rates.values()]})

# %% [markdown]
# ## The labeller reads one text and nothing else
#
# Its rules use neither the patient nor the labels. A finding is read as present, uncertain or
# absent. A finding that is not mentioned has no state.

# %%
text = "Atrial fibrillation. Possible left ventricular hypertrophy. No acute infarction."
states = {LABELS[label]: state for label, state in read_labels(text).items()}
print(text)
print(states, f"({PRESENT} present, {UNCERTAIN} uncertain, 0 absent)")
assert read_labels(text)[Label.AFIB] == PRESENT

# %% [markdown]
# The next cell shows some reports of this cohort with their findings. A finding in brackets is
# present in the ECG, but the labeller does not read it as present: the report omits or hedges it,
# or the labeller does not understand it.

# %%
cohort = Cohort.open(stage.input("01", "cohort"))
stage.data("report_texts", cohort.records[["site", "report", *COLUMNS]])
reading_back.examples(cohort.records)

# %% [markdown]
# ## From here on: saved predictions
#
# ## What was left unsaid, and what was misread
#
# All reports are read. For each finding the table shows how many ECGs have it, and in what
# percentage of them the simulated report states it (`plain`, `hedged`, `unstated`). `recall` is a
# share of all ECGs that have the finding. `recall_of_stated` is a share of those whose report
# states it plainly, so it measures the labeller alone. The difference between the two comes from
# the reports. A finding left unsaid may still be read where another one implies it. A finding
# counts as read only if it is read as present, as in the scores of generated reports. A hedge
# counts as a miss. `read` and `doubted` are the percentages that the labeller reads as present and
# as uncertain. `false` counts ECGs without the finding in whose report it is read.
#
# For recordings of patients the labels are another reading of the same ECG, and not its truth. For
# PTB-XL they are SCP codes, from which the text may itself be made. For MIMIC-IV-ECG they are read
# from the same words. Agreement there shows that two readings are consistent, not that either is
# right. Columns that only a simulated report can fill are left out then.

# %%
if stage.has("report_texts"):  # no report of a patient is published
    back = reading_back.agreement(stage.read("report_texts"))
    filled = back.dropna(axis="columns", how="all").round(3)
    caption = "What the labeller reads in the reports, by finding."
    with pd.option_context("display.max_rows", None):
        display(stage.table("reading_back", filled, caption).drop(columns="label"))
    enough = back[back["present"] >= stage.section("study")["min_cases"]]
    enough = enough.sort_values(["read", "doubted"], ascending=False, kind="stable")
    caption = (
        f"What reports say of findings that are present, {len(enough)} findings with at least "
        f"{stage.section('study')['min_cases']} ECGs, the largest share read first. Bars: of the "
        "ECGs with the finding, the percentage in whose report the labeller reads it, reads it as "
        "uncertain, or does not read it. Dots: precision, the percentage of readings that are "
        "right, where it is below 99.5 %. In brackets: ECGs with the finding. No "
        "intervals are drawn."
    )
    alt = "Two columns of stacked horizontal bars, one bar per finding, most of each bar filled."
    stage.figure("reading_back", bars.label_recovery(enough), enough, caption, alt)

# %% [markdown]
# **What to see.** Compare *Recall of stated* with *Recall*. Where the first is 1 and the second is
# lower, the reports omit or hedge the finding and the labeller misses nothing. In `laptop` 6 to 14
# % of the ECGs with a finding that readers hedge are read as uncertain. One precision is far below
# 1 (the dot in the figure): a delta wave is read as pre-excitation, which it need not be if PR is
# long. That the labeller reads all that is stated is no surprise: we wrote its rules and the
# wordings. Reports of other hospitals are not covered.
#
# ## What it means

# %%
if stage.has("report_texts"):
    total, cases = reading_back.total(back), back["present"].sum()
    print(f"- {len(back)} of {len(SCORED)} findings occur, in {cases:,} cases. A case is", end=" ")
    print("one finding of one ECG.")
    if back["plain"].notna().any():  # of simulated reports alone
        stated = back[["plain", "hedged", "unstated"]].mul(back["present"], axis=0).sum() / cases
        print(f"- The reports state {stated['plain']:.1f} % of the cases plainly, hedge", end=" ")
        print(f"{stated['hedged']:.1f} % and leave {stated['unstated']:.1f} % unsaid.")
    print(f"- The labeller reads with a micro precision of {total['precision']:.3f},", end=" ")
    print(f"a recall of {total['recall']:.3f} and an F1 of {total['f1']:.3f}.", end=" ")
    print(f"It reads {100 * total['doubted']:.1f} % of the cases as uncertain.")
    print("- A generator that repeats the reference report word for word reaches an F1 of")
    print(f"  {total['f1']:.2f} against the labels. One that states every true finding reaches 1")
    print("  (row `template` of notebook 04).")

# %% [markdown]
# ## Try it yourself
#
# - Change the text of the labeller's cell to "Atrial fibrillation is not seen." and run the cell
#   again without its assert: the finding is read as absent.
# - Set `min_cases` in `reading_back.yaml` to 500 and run the study again. Rarer findings leave the
#   figure; the table keeps them.
#
# Back to [01_preprocess](../01_preprocess.py).

# %%
stage.finish()
