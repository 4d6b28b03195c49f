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
# # Can the probabilities of the classifiers be believed, and for whom?
#
# | | |
# |---|---|
# | reads | the predictions of notebook 03 of the main run, and nothing else |
# | writes | average precision, calibration, F1, AUC by condition, sex, age and site |
# | paper items | (no paper) what a macro-AUC does not show |
# | time | a minute, after notebook 03 |
# | memory | 2 GB |
#
# After this notebook you can
#
# - say which measure changes when a label becomes rarer, and which does not;
# - tell a ranking that is right from a probability that is right;
# - name two ways in which an F1 can be made to look better than it is.
#
# The classifiers are those of [03_classification](../03_classification.py). "QINCo, decoded" is the
# network on the raw signal, trained further on what QINCo's tokens decode to. "Raw signal, trained
# further" had as many further epochs on the original ECGs.

# %% tags=["plumbing"]
import time

import pandas as pd
from IPython.display import display

from ecglib.evaluate import (
    auc,
    average_precision,
    calibration,
    class_counts,
    subgroups,
    thresholds,
    wide_tables,
)
from ecglib.figures import dots, reliability, style
from ecglib.labels.label_groups import GROUPS
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-reliability"  # the study's own run
seed = 0  # of the resampled patients

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
listed = stage.section("study")["methods"]
options = {"seed": seed, "resamples": stage.section("classify")["resamples"]}

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions

# %%
cells = stage.beside("labels", "03", listed)
of_method = {name: part for name, part in cells.groupby("method")}
n_ecgs, n_patients = cells["ecg"].nunique(), cells["unit"].nunique()
on_test, over = f"{n_ecgs} test ECGs of {n_patients} patients", "patients"
print(f"{on_test}:", "; ".join(style.method(name).name for name in listed))

# %% [markdown]
# ## Labels of one condition count once
#
# A macro-AUC over labels counts a condition twice if it has two labels. Left ventricular
# hypertrophy, for example, has its two voltage criteria. A committed table
# (`ecglib/labels/label_groups.csv`) puts the labels of one condition into one group. The AUC of a
# group is the mean over its labels. The table and the figure have the groups of which 30 test ECGs
# or more show a label.

# %%
compared = ["summary", "median_beat", "qinco", "qinco_decoded", "raw_further"]
least = min(30, 1 + n_ecgs // 20)  # test ECGs; fewer in a small cohort
by_group = auc.by_group(pd.concat([of_method[m] for m in compared]), GROUPS, least, **options)
stage.table("auc_by_group", by_group, "AUC on test ECGs by group of labels, one per condition.")
conditions = by_group[by_group["group"] != "All groups"]
value = conditions.pivot(index="group", columns="method", values="value")
floor = value[["summary", "median_beat"]].max(axis=1)  # the better one, of each group
room_by_group = (value["raw_further"] - floor).sort_values(ascending=False)
print(f"{len(value)} of {len(GROUPS)} groups have {least} test ECGs or more. Macro-AUC:")
by_group[by_group["group"] == "All groups"][["method", "value", "low", "high"]].round(3)

# %%
drawn = pd.concat(conditions[conditions["group"] == name] for name in room_by_group.index)
drawn = drawn.sort_values("method", key=lambda of: of.map(compared.index), kind="stable")
drawn = drawn.rename(columns={"group": "category", "positives": "count"})
stage.figure(
    "auc_by_group",
    dots.rows(drawn, "cut", span=("summary", "median_beat", "raw_further")),
    drawn,
    f"AUC by group of labels on {on_test}, in the order of the room between the better floor "
    "(summary numbers or median beat) and the raw signal, the largest first. This room is shaded; "
    "it looks wider where AUCs are high, because the axis is logarithmic in 1 - AUC. Where nothing "
    "is shaded a floor is as high as the raw signal or higher. A group can hold several labels, so "
    "it can have more ECGs than a label of like name. In brackets: test ECGs with a label of the "
    f"group. Bars: 95 % intervals over patients. {dots.at_edge(drawn)}",
    "One row per group of labels with a dot per method and a shade from the better floor to the "
    "raw signal.",
)
closed = [name for name in room_by_group.index if room_by_group[name] <= 0.01]
less = (1 - value["raw_further"] < (1 - floor) / 2)[closed]
near = [name for name in closed if not less[name]]
below = [name for name in closed if room_by_group[name] < 0]
print(f"In {len(closed)} of {len(value)} groups the raw signal is at most 0.01 above the", end=" ")
print("better floor. Even so, in these its 1 - AUC is less than half of the floor's:")
print("; ".join(name for name in closed if less[name]) or "-")
print("In the others a high AUC does not show that more than a median beat or summary", end=" ")
print("numbers is kept:", "; ".join(near) or "-")
print("A floor is above the raw signal in:", "; ".join(below) or "none of them")

# %% [markdown]
# ## Average precision counts false alarms
#
# An AUC does not change when a label becomes rarer, although its false alarms then outnumber its
# hits. The *average precision* (AUPRC) does change. Its value for a random ranking is the share of
# positives. Resampled patients repeat positives, which raises the macro average precision. So its
# intervals lie a little too high.

# %%
precision = pd.concat(
    pd.DataFrame([{"average": average, "method": name, **vars(value)}])
    for average in ("macro", "micro")
    for name in listed
    for value in [average_precision.average_precision(of_method[name], average, **options)]
)
level = {k: average_precision.random_level(of_method["raw_further"], k) for k in ("macro", "micro")}
stage.table("average_precision", precision, "Average precision on test ECGs over all labels.")
print("a random ranking: " + ", ".join(f"{k} {v:.3f}" for k, v in level.items()))
wide_tables.wide(precision, "method", "average")

# %% [markdown]
# ## Can the probabilities be believed?
#
# A classifier is calibrated if three in ten of all pairs with a predicted probability of 0.3 are
# positive, and so on. The *expected calibration error* is the mean distance between the predicted
# probability and the share of positives. Most labels are rare, so most pairs are in the lowest bins
# and can make the pooled error small. The table therefore has the mean over labels.
#
# Chance alone makes this error larger than 0. The column `ece_if_calibrated` is the error of a
# classifier with the same probabilities if it were calibrated: each pair is then positive with its
# predicted probability. It has the mean and the central 95 % of 200 such draws. An error above that
# range is one that chance does not explain. The error itself has no interval, because resampled
# patients would add their chance to it.

# %%
scored = pd.concat([of_method[m] for m in listed])
bins = calibration.reliability(scored, **options)
bins = bins.sort_values("method", key=lambda of: of.map(listed.index), kind="stable")
errors = calibration.summary(scored, **options)
caption = "Expected calibration error (ece), what it would be if calibrated, and Brier score."
stage.table("calibration", errors, caption)
stage.figure(
    "calibration",
    reliability.diagram(bins[bins["method"].isin(compared)]),
    bins,
    "(a) Share of positives against the predicted probability, all labels pooled, "
    f"{len(compared)} of the {len(listed)} methods, on {on_test}. Bars: 95 % intervals over "
    f"{over}. (b) Pairs of ECG and label by predicted probability, on a logarithmic axis.",
    "One line per method beside the diagonal; below, one step curve of counts per method.",
)
wide_tables.wide(errors[errors["average"] == "macro"], "method", "measure")

# %% [markdown]
# **What to see.** Above the diagonal a probability is too low, below it too high. In `laptop` the
# network on the raw signal and the one on decoded ECGs are too cautious from 0.3 to 0.9: of the
# pairs with a probability of about 0.65, some 72 % are positive. Points of decoded QINCo lie on or
# below those of the raw signal and can hide them.
#
# ## F1, and two ways to flatter it
#
# An F1 needs a threshold. Here each label has its own, chosen on validation patients. The released
# code chooses thresholds on the test ECGs themselves, which flatters. It takes the threshold of the
# largest sensitivity plus specificity (Youden), which is not that of the best F1. So its macro-F1
# is lower here all the same. The flattering number is its "micro-F1": it averages over both classes
# of all pairs, which is the accuracy. Where labels are rare, a method that never predicts a
# positive has a high accuracy. The released F1 is computed here once, to show the difference. The
# two floors have no saved validation scores, so they have no F1 here.

# %%
limits = thresholds.choose(stage.beside("validation", "03", listed))
once = {m: of_method[m] for m in listed if m in set(limits["method"])}
f1_table = pd.DataFrame(
    {"method": m, "average": average, **vars(thresholds.f1(part, limits, average, **options))}
    for average in ("macro", "micro")
    for m, part in once.items()
)
f1_released = thresholds.released(pd.concat(once.values())).round(3)
stage.table("f1", f1_table, "F1 on test ECGs at thresholds chosen on validation ECGs.")
caption = "F1 as the released code computes it: thresholds from test ECGs."
stage.table("f1_released", f1_released, caption)
columns = {"macro": "macro-F1", "micro": "micro-F1", "micro_f1": "released micro-F1 (accuracy)"}
columns |= {"accuracy_all_absent": "accuracy without a positive call"}
columns |= {"micro_f1_of_positives": "micro-F1 of positives, released threshold"}
columns |= {"macro_f1": "released macro-F1"}
both_f1 = wide_tables.wide(f1_table, "method", "average").merge(f1_released, on="method")
both_f1.rename(columns=columns)

# %%
flattered = both_f1.set_index("method")[["micro_f1", "accuracy_all_absent"]]
best = flattered["micro_f1"].idxmax()
print(f"The highest released micro-F1 is {flattered['micro_f1'][best]:.3f}", end=" ")
print(f"({style.method(best).name}). A method that never calls a positive would", end=" ")
print(f"have {flattered['accuracy_all_absent'][best]:.3f}.")

# %% [markdown]
# ## Sex, age and site
#
# A label can be measured in a subgroup only if the subgroup has ECGs with and without it. The
# numbers below are over the labels that every subgroup of a column can measure, so they are
# comparable.

# %%
sample = pd.concat([of_method[m] for m in listed])
split = {c: n for c, n in subgroups.SUBGROUPS.items() if sample[c].nunique() > 1}
caption = (
    f"Macro-AUC by sex, age band and site on {on_test}, over the labels that each subgroup of a "
    "panel can measure. In brackets: ECGs. The axis is logarithmic in 1 - AUC. Bars: 95 % "
    f"intervals over {over}."
)
if split:
    parts = pd.concat(subgroups.by_subgroup(sample, column, **options) for column in split)
    parts = parts.sort_values("method", key=lambda of: of.map(listed.index), kind="stable")
    stage.table("subgroups", parts, "Macro-AUC by sex, age band and site.")
    drawn = parts.rename(columns={"subgroup": "category", "ecgs": "count"})
    drawn["panel"] = drawn["column"].map(split) + [f", {n} labels" for n in drawn["labels"]]
    called = {"F": "Women", "M": "Men", "<40": "Under 40", "80+": "80 and over"}
    drawn["category"] = drawn["category"].replace(called)
    alt = "A panel per variable with a row per subgroup and a dot per method."
    figure = dots.rows(drawn, "below", xlabel="Macro-AUC")
    stage.figure("subgroups", figure, drawn, caption + dots.dashed(drawn), alt)
    spread = parts.groupby(["column", "method"])["value"].agg(lambda v: v.max() - v.min())
    widest = spread.xs("raw_further", level="method").round(3).to_dict()
    print("distance between the best and the worst subgroup, network on the raw signal:", end=" ")
    print("; ".join(f"{split[column]} {distance}" for column, distance in widest.items()))
else:
    print("Sex, age and site are the same, or unknown, in all test ECGs.")

# %% [markdown]
# A label weighs as much in this mean with one positive ECG as with a hundred. The next lines count
# the labels that a subgroup has in three ECGs or fewer. Where they are many, a few patients move
# the macro-AUC, and the interval can be too narrow.

# %%
FEW = 3  # ECGs
for column in split:
    counts = class_counts.class_counts(sample, column)
    least_of = counts.groupby("label")[["positives", "negatives"]].min().min(axis=1)
    counts = counts[counts["label"].map(least_of) > 0]  # measured in each subgroup
    rare = counts[counts["positives"] <= FEW].groupby(column).size()
    for name, n in rare.items():
        print(f"- {split[column]}, {called.get(name, name)}, with {FEW} positive ECGs or", end=" ")
        print(f"fewer: {n} of {counts['label'].nunique()} labels.")

# %% [markdown]
# ## ECGs of another source
#
# A data plan can give a cohort the role `transfer`. Nothing is trained or chosen on such ECGs. The
# classifiers of notebook 03 score them here, over the labels of which those ECGs and the test ECGs
# have a positive and a negative. The default plan has no such cohort, so no table is printed. With
# such a cohort the column `here` has the test ECGs, over the same labels. The study
# [transfer](transfer.py) goes from one hospital to another, and the study
# [other_source](other_source.py) to real ECGs.

# %%
has_moved = stage.has("labels_transfer", "03")
moved = stage.beside("labels_transfer", "03", listed) if has_moved else cells.head(0)
labels = class_counts.measured(moved)[""] if len(moved) else []
labels = sorted(set(labels) & set(class_counts.measured(cells)[""]))
items = [f"label:{label:02d}" for label in labels]
lines = []
for name, part in moved[moved["item"].isin(items)].groupby("method"):
    home = cells[(cells["method"] == name) & cells["item"].isin(items)]
    for place, rows_of in {"here": home, "elsewhere": part}.items():
        lines.append({"method": name, "ecgs": place, **vars(auc.auc(rows_of, "macro", **options))})
if lines:
    transfer = pd.DataFrame(lines)
    stage.table("auc_transfer", transfer, "Macro-AUC on test ECGs and on those of the transfer.")
    print(f"{moved['ecg'].nunique()} ECGs, {len(labels)} labels; [95 % interval over patients]")
    display(wide_tables.wide(transfer, "method", "ecgs"))
else:
    print("the data plan has no ECG with the role transfer that can be scored")

# %% [markdown]
# ## What it means

# %%
of_labels = errors[errors["average"] == "macro"].set_index(["measure", "method"])
ece, if_calibrated = of_labels.loc["ece", "value"], of_labels.loc["ece_if_calibrated"]
beyond = [style.method(name).name for name in listed if ece[name] > if_calibrated["high"][name]]
print(f"- The calibration error, mean over labels, is from {ece.min():.3f}", end=" ")
print(f"({style.method(ece.idxmin()).name}) to {ece.max():.3f}", end=" ")
print(f"({style.method(ece.idxmax()).name}). It is above what chance explains in", end=" ")
print(f"{len(beyond)} of {len(listed)} methods{': ' if beyond else ''}{', '.join(beyond)}.")
macro = precision[precision["average"] == "macro"].set_index("method")["value"]
best = macro.idxmax()
print(f"- The highest average precision, macro, is that of {style.method(best).name}:", end=" ")
print(f"{macro[best]:.3f}, where a random ranking has {level['macro']:.3f}.")
if split:
    column = max(widest, key=widest.get)
    print(f"- On the raw signal the macro-AUC differs most by {split[column].lower()}:", end=" ")
    print(f"by {widest[column]:.3f} between two of its subgroups. This is the largest of several")
    print("  ranges, and it is not tested.")
over_chance = (ece - if_calibrated["value"])[["qinco_decoded", "raw_further"]]
print("- The calibration error minus what chance explains is", end=" ")
print(f"{over_chance['qinco_decoded']:.4f} for the network on ECGs decoded by QINCo and", end=" ")
print(f"{over_chance['raw_further']:.4f} for the network on the raw signal.")

# %% [markdown]
# Two limits apply. The numbers are of one training seed of notebook 03 alone, so the intervals
# leave the training seed out. And simulated patients differ from real ones in what sex, age and
# site do to an ECG.
#
# ## Try it yourself
#
# - In the cell of the subgroups, keep one method: `sample = of_method["qinco_decoded"]`.
# - In the cell of the F1, replace `stage.beside("validation", "03", listed)` by `cells`. The
#   thresholds are then chosen on the test ECGs, and the macro-F1 rises. That is the first way to
#   flatter it.
#
# The classifiers are explained in [03_classification](../03_classification.py).

# %% tags=["plumbing"]
stage.finish()
