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
# # What are frozen tokens worth where few ECGs have labels?
#
# | | |
# |---|---|
# | reads | the cohort (01), QINCo and its codes (02) |
# | writes | classifiers with labels of 5, 20 and 100 % of the training patients |
# | paper items | none; the papers train with all labels |
# | time | 2 min in `smoke`, 53 nominal minutes in `laptop`, after 01 and 02 |
# | memory | 8 GB in `laptop` |
#
# After this notebook you can
#
# - say what a tokenizer, or another model trained without labels, saves in labels;
# - compare trainings on few and on many labels at equal updates;
# - say which part of such a comparison the labelled validation patients pay for.
#
# The classifiers are explained in [03_classification](../03_classification.py).
#
# ECGs are cheap and labels are not: a hospital stores millions of ECGs, and a cardiologist reads
# some hundred a day. A tokenizer is trained without labels. So is DeepSSL, the self-supervised
# network of ECG-Tok's Fig. 2. Both see all training ECGs here, with or without labels. A network
# that is trained from scratch, DeepSL, sees the labelled ECGs alone. If frozen tokens help, they
# help where labels are few.

# %% tags=["plumbing"]
import time

import numpy as np
import pandas as pd

from ecglib.classify import deep_ssl, linear_floors
from ecglib.classify.classifier_parts import BEST
from ecglib.classify.targets import labelled_rows, scored_labels
from ecglib.classify.train_classifier import train
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, wide_tables
from ecglib.evaluate.label_rows import label_rows
from ecglib.figures import size_curves, style
from ecglib.labels.label_set import LABELS, PRESENT
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-few_labels"  # the study's own run
seed = 0  # of the run; trainings have a seed each

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("classify")
order = ["qinco", "deepssl", "deepsl", "summary"]


def percent(share: float) -> str:
    """A share as it is written in names of files and claims."""
    return f"{100 * share:g}_percent".replace(".", "_")


# %% [markdown]
# ## Which ECGs have labels
#
# Patients are drawn, not ECGs, because two ECGs of one patient are one patient's labels. The
# patients of 5 % are among those of 20 %. Each training seed draws its own patients, so the
# intervals below cover the choice of who is labelled.

# %%
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
seeds = settings["seeds"]
labels = scored_labels(cohort, sizes["head"]["min_positives"])
labelled = []
for share in settings["shares"]:
    for s in seeds:
        rows = labelled_rows(cohort, share, s)
        positives = (cohort.labels[rows][:, labels] == PRESENT).sum(0)
        units = cohort.records["unit"].iloc[rows].nunique()
        line = {"share": share, "seed": s, "patients": units, "labelled_ecgs": len(rows)}
        empty = [LABELS[i] for i, n in zip(labels, positives, strict=True) if n == 0]
        labelled.append(line | {"without_positive": len(empty), "named": "; ".join(empty)})
smallest = labelled_rows(cohort, settings["shares"][0], 0)
assert set(smallest) <= set(labelled_rows(cohort, settings["shares"][1], 0))
labelled = stage.data("labelled", pd.DataFrame(labelled))

# %% [markdown]
# ## Equal updates
#
# With a twentieth of the labels, equal epochs would mean a twentieth of the updates. A network that
# needs some hundred updates to leave its start would then look as if it needed labels. Here an
# epoch shows every labelled ECG 20 times at 5 % and 5 times at 20 %, so all trainings have about
# the same number of updates. A large network can then memorise its few ECGs. All networks therefore
# keep the weights of the epoch with the lowest validation loss.
#
# The validation patients have labels in every training. At 5 % they are more than the training
# patients. They choose an epoch of the networks, and for the logistic regression on summary numbers
# how strongly its weights are held small (the ridge). They do so for all methods alike, but a
# hospital with so few labels would not have them.

# %%
repeats = {share: max(1, round(1 / share)) for share in settings["shares"]}
only = {"cohort": cohort_folder}
tokens = only | {"tokenizer": stage.input("02", "qinco"), "codes": stage.input("02", "qinco_codes")}
head = sizes["head"] | BEST | {"network": "efficientnet"}
scratch = sizes["deep_sl"] | BEST | {"network": "deep_sl", "reads": "signals"}


def few(config: dict, share: float) -> dict:
    """A config for a share of the labels."""
    return config | {"label_share": share, "repeats": repeats[share]}


# %% [markdown]
# DeepSSL is trained once per seed on all training ECGs, without labels. Its features are then
# frozen, and the same head reads them.

# %%
folders = {}
for s in seeds:
    model = stage.step(f"deepssl_{s}", deep_ssl.pretrain, sizes["deep_ssl"], only, s)
    read = only | {"model": model}
    features = stage.step(f"deepssl_features_{s}", deep_ssl.features, {}, read, s)
    for share in settings["shares"]:
        name = f"{percent(share)}_{s}"
        config = few(head, share)
        folders["qinco", share, s] = stage.step(
            f"qinco_{name}", train, config | {"reads": "vectors"}, tokens, s
        )
        read = only | {"features": features}
        folders["deepssl", share, s] = stage.step(
            f"deepssl_{name}", train, config | {"reads": "features"}, read, s
        )
        folders["deepsl", share, s] = stage.step(
            f"deepsl_{name}", train, few(scratch, share), only, s
        )
        numbers = sizes["floors"] | {"numbers": "summary", "label_share": share}
        folders["summary", share, s] = stage.step(
            f"summary_{name}", linear_floors.train, numbers, only, s
        )

# %% tags=["plumbing"]
rows = np.sort(cohort.rows("test")[: settings["test_ecgs"]])
for share in settings["shares"]:
    parts = []
    for (method, of, s), folder in folders.items():
        if of == share:
            scores = pd.read_parquet(folder / "scores.parquet")
            parts.append(label_rows(cohort.records, cohort.labels, scores, rows, method, s))
    print("saved:", stage.predictions(percent(share), pd.concat(parts)).name)
courses = []
for (method, share, s), folder in folders.items():
    if method != "summary":
        course = pd.read_csv(folder / "validation.csv").assign(method=method, share=share, seed=s)
        courses.append(course.merge(pd.read_csv(folder / "budget.csv")[["ecg_views"]], how="cross"))
courses = stage.data("courses", pd.concat(courses, ignore_index=True))

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# How many ECGs have labels, and which labels cannot be learned from them?

# %%
labelled = stage.read("labelled")
counts = labelled.groupby("share", as_index=False)[
    ["patients", "labelled_ecgs", "without_positive"]
].mean()
stage.table("labelled", counts.round(3), "Labelled training patients and ECGs, mean over seeds.")

# %% [markdown]
# A label without a positive among the labelled ECGs cannot be learned. It stays in the score, since
# that is part of what few labels cost. It lowers the AUC of every method.

# %%
fewest = labelled[labelled["share"] == labelled["share"].min()]
print(f"Labels without a positive at {100 * fewest['share'].iloc[0]:g} %, first seed:")
print(fewest["named"].iloc[0] or "none")

# %% [markdown]
# ## Did they have equal updates, and where did each stop?

# %%
courses = stage.read("courses")
best = courses.loc[courses.groupby(["method", "share", "seed"])["loss"].idxmin()]
last = courses.groupby(["method", "share", "seed"], as_index=False)["epoch"].max()
budget = best.merge(last, on=["method", "share", "seed"], suffixes=("_kept", "s"))
budget = budget.groupby(["method", "share"])[["epoch_kept", "epochs", "ecg_views"]].mean()
caption = "Epoch whose weights are kept, of how many, and ECGs shown; means over seeds."
stage.table("budget", budget.reset_index().round(3), caption)

# %% [markdown]
# **What to see.** The ECGs shown should be about equal in all rows. The weights that are kept have
# seen fewer of them where an early epoch is kept. Such an epoch means that the validation loss rose
# behind it. It does not mean that the ranking became worse: in `laptop`, at 5 %, the macro-AUC on
# validation patients still rises behind the kept epoch, by 0.03 to 0.05 for QINCo and by 0.01 to
# 0.02 for DeepSL. So the rule that chooses the epoch costs QINCo more. In the last epoch QINCo is
# still some 0.09 behind DeepSL there, so the rule explains little.
#
# ## AUC against labelled ECGs

# %%
cells = {share: stage.read(percent(share)) for share in settings["shares"]}
options = {"seed": seed, "resamples": sizes["resamples"]}
of_share = counts.set_index("share")["labelled_ecgs"]
results = []
for share, frame in cells.items():
    for method in order:
        part = frame[frame["method"] == method]
        for average in ("macro", "micro"):
            line = {"method": method, "share": share, "labelled_ecgs": of_share[share]}
            estimate = auc.auc(part, average, **options)
            results.append(line | {"average": average, **vars(estimate)})
results = pd.DataFrame(results)
n_seeds = cells[settings["shares"][0]]["seed"].nunique()
stage.table("auc", results, "AUC on test ECGs by share of labelled training patients.").round(3)

# %%
macro = results[results["average"] == "macro"]
n_ecgs, n_patients = (cells[settings["shares"][-1]][key].nunique() for key in ("ecg", "unit"))
whole = macro.assign(column=[f"{100 * share:g} %" for share in macro["share"]])
whole["method"] = [style.method(name).name for name in whole["method"]]
print("macro-AUC [95 % interval over seeds and patients] by share of labelled patients")
wide_tables.wide(whole, "method", "column")

# %%
stage.figure(
    "auc",
    size_curves.curves(macro, "labelled_ecgs", "Labelled training ECGs", "Macro-AUC", of_auc=True),
    macro,
    f"Macro-AUC on {n_ecgs} test ECGs of {n_patients} patients against the number of labelled "
    "training ECGs. QINCo and DeepSSL were trained on all training ECGs without labels and are "
    "frozen; DeepSL, a network on the raw signal as DeepSSL is, is trained from scratch; summary "
    "numbers go into a logistic regression. The "
    "networks have equal updates, of which the epoch with the lowest validation loss is kept; "
    f"{n_seeds} training seeds. Bars: 95 % intervals over seeds and patients. The "
    "vertical axis is logarithmic in 1 - AUC. Points of one size are drawn slightly apart.",
    "Four rising curves over three numbers of labelled ECGs, one per method.",
)

# %% [markdown]
# **What to see.** Read the distance between a frozen method and DeepSL at the left end. If a frozen
# method is ahead there, its curve may cross that of DeepSL, and to the right of the crossing it is
# better to train from scratch. If it is below at all sizes, it saves no labels. A horizontal line
# from one curve to another shows how many labels the better method saves.
#
# ## Paired differences
#
# Each difference is taken on the same test patients and with the same labelled patients.

# %%
differences = []
for share, frame in cells.items():
    of_method = dict(list(frame.groupby("method")))
    for one, other in [*(("qinco", other) for other in order[1:]), ("deepssl", "deepsl")]:
        gain = auc.difference(of_method[one], of_method[other], average="macro", **options)
        name = f"{one}_minus_{other}.{percent(share)}"
        if f"few_labels.{name}" in stage.registry():
            stage.claim(f"few_labels.{name}", **vars(gain))
        called = f"{style.method(one).name} minus {style.method(other).name}, {100 * share:g} %"
        differences.append({"difference": called, **vars(gain)})
differences = pd.DataFrame(differences)
stage.table("differences", differences, "Paired differences of macro-AUC.").round(4)

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
value = macro.set_index(["method", "share"])["value"]
for share in settings["shares"]:
    at_share = value.xs(share, level="share")
    first = style.method(at_share.idxmax()).name
    print(f"- With labels of {100 * share:g} % of the patients, {first} has the highest", end=" ")
    print(f"mean macro-AUC: {at_share.max():.3f}; QINCo {at_share['qinco']:.3f}.")
print("  The table of differences has QINCo against each, and DeepSSL against DeepSL.")

# %% [markdown]
# What are frozen tokens worth here? In `laptop` they save no labels. With labels of 5 % of the
# patients they are 0.11 of macro-AUC behind DeepSL, and as much behind summary numbers. With all
# labels they are level with summary numbers and 0.028 behind DeepSL. A highest mean is no lead:
# DeepSSL minus DeepSL has an interval with zero in it at each share.
#
# Six limits apply. The epoch is chosen by the loss, while the score is an AUC. The tokenizer was
# trained once, so the intervals leave its variation out. Tokens are read here by the EfficientNetV2
# on frozen vectors, as ECG-Tok reads them. In notebook 03 this reader finds far less than a network
# on decoded ECGs, so the tokens may hold more than is read here. Sizes and learning rates were
# chosen with all labels, and other ones may suit few labels better. A simulated label is never
# wrong, while a label of a hospital often is. And the ECGs without labels come from the same two
# hospitals as those with labels, which is the best case for a tokenizer; the study
# [transfer](transfer.py) takes that away.
#
# ## Try it yourself
#
# - Set `shares: [0.01, 0.05, 0.2, 0.5, 1.0]` in `few_labels.yaml` and run the study again.
#   Finished trainings are reused.
# - In the cell of the results, replace `"macro"` by `"micro"` in the definition of `macro`. Pooled
#   over labels, all methods look better, because prevalence alone separates labels.
#
# The classifiers are explained in [03_classification](../03_classification.py).

# %% tags=["plumbing"]
stage.finish()
