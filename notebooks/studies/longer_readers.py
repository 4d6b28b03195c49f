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
# # Do QINCo's vectors catch up with DeepSL after a longer training?
#
# | | |
# |---|---|
# | reads | the cohort (01), QINCo (02), what notebook 03 saved |
# | writes | three classifiers after four times the updates, on shifted ECGs and on others |
# | paper items | ECG-Tok, Fig. 2: QINCo beside DeepSL and DeepSSL |
# | time | a minute in `smoke`; 35 nominal minutes in `laptop`, with 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say whether an order of classifiers is one of what they read or of how long they learned;
# - explain why a classifier of tokens must learn each wave at many places in a window;
# - name what an equal treatment of unequal methods is.
#
# In ECG-Tok's Fig. 2 the frozen vectors of QINCo are ahead of two networks on the raw signal,
# DeepSL and DeepSSL. In notebook 03 they are behind both. There each classifier has eight epochs.
# The paper trains to convergence. So each of the three is trained here for four times as many
# updates.

# %% tags=["plumbing"]
import time

import pandas as pd

from ecglib.classify import deep_ssl
from ecglib.classify.classifier_parts import BEST
from ecglib.classify.train_classifier import train
from ecglib.cohorts.later_starts import write_later_starts
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, wide_tables
from ecglib.evaluate.label_rows import label_rows
from ecglib.figures import dots, style
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import encode

# %% tags=["parameters"]
profile = "laptop"  # smoke or laptop: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-longer_readers"  # the study's own run
seed = 0  # of initial weights, batches and resampled patients

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
sizes, shifts = stage.section("classify"), stage.section("study")["shifts"]
METHODS = ["qinco", "deepssl", "deepsl"]

# %% tags=["plumbing"]
of_run = {"cohort": stage.input("01", "cohort")}
cohort = Cohort.open(of_run["cohort"])

# %% [markdown]
# ## The same ECGs, but they begin later
#
# A window of QINCo has 32 samples. The same beat gives other tokens where it begins four, ten or
# twenty samples later in a window. A classifier of tokens has to learn them all. DeepSL's first
# layer looks at the signal every 8 samples, so it meets a beat in fewer ways. Here three copies of
# each training ECG begin 8, 16 and 24 samples later, a quarter of a window each. The held-out ECGs
# stay as they are.

# %%
of_shifts = {"shifts": shifts}
later = {"cohort": stage.step("later_starts", write_later_starts, of_shifts, of_run)}
cohorts, copies = {"": of_run, "_shifted": later}, 1 + len(shifts)
n = {name: len(Cohort.open(of["cohort"]).rows("train")) for name, of in cohorts.items()}
print(f"{n['']} training ECGs as they are, {n['_shifted']} with their copies")
assert n["_shifted"] == copies * n[""]

# %% [markdown]
# ## What each method reads
#
# QINCo's tokens and DeepSSL's features are frozen, and computed for all ECGs and copies. DeepSSL is
# pretrained as in notebook 03, without copies and for as many updates.

# %%
model = stage.step("deep_ssl", deep_ssl.pretrain, sizes["deep_ssl"], of_run)
reads = {}
for name, of in cohorts.items():
    tokens = of | {"tokenizer": stage.input("02", "qinco")}
    codes = stage.step(f"qinco_codes{name}", encode, stage.section("tokenizer")["encode"], tokens)
    features = stage.step(f"features{name}", deep_ssl.features, {}, of | {"model": model})
    reads["qinco", name] = tokens | {"codes": codes}
    reads["deepssl", name] = of | {"features": features}
    reads["deepsl", name] = of

# %% [markdown]
# ## Six trainings of as many updates
#
# An epoch with the copies has four times the updates of one without. So the trainings with copies
# have the epochs of notebook 03, and the others four times as many. A label is scored where enough
# ECGs have it, and copies must not count for that: with them the least number is four times as
# large. The epoch with the lowest validation loss is kept, as in notebook 03.

# %%
head = sizes["head"] | BEST | {"network": "efficientnet"}
config = {"qinco": head | {"reads": "vectors"}, "deepssl": head | {"reads": "features"}}
config["deepsl"] = sizes["deep_sl"] | BEST | {"network": "deep_sl", "reads": "signals"}
folders = {}
for (method, name), inputs in reads.items():
    of = dict(config[method])
    of["epochs"] *= 1 if name else copies
    of["min_positives"] *= copies if name else 1
    folders[f"{method}_4x{name}"] = stage.step(f"{method}_4x{name}", train, of, inputs)

# %% tags=["plumbing"]
rows, frames, courses = cohort.rows("test"), [], []
for name, folder in folders.items():
    scores = pd.read_parquet(folder / "scores.parquet")
    frames.append(label_rows(cohort.records, cohort.labels, scores, rows, name, seed))
    course = pd.read_csv(folder / "validation.csv").assign(method=name)
    courses.append(course.merge(pd.read_csv(folder / "budget.csv")[["ecg_views"]], how="cross"))
print("saved:", stage.predictions("labels", pd.concat(frames)).name)
stage.data("courses", pd.concat(courses, ignore_index=True))
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Were four times the updates enough, or too many?
#
# The learning rate falls to zero at the end of each training. A training that keeps its last epoch
# could perhaps use more of them. One that keeps an early epoch learned its training ECGs by heart
# afterwards.

# %%
courses = stage.read("courses")
kept = courses.loc[courses.groupby("method", sort=False)["loss"].idxmin()].set_index("method")
last = courses.groupby("method", sort=False).last()
training = pd.DataFrame({"epoch kept": kept["epoch"], "epochs": last["epoch"]})
training["validation loss"], training["loss at the end"] = kept["loss"], last["loss"]
training["macro-AUC"], training["ECG views"] = kept["macro_auc"], last["ecg_views"]
caption = "Each training on validation patients: the epoch that is kept, of how many."
training = stage.table("training", training.reset_index().round(4), caption)
training

# %% [markdown]
# ## The macro-AUC of each method

# %%
OTHERS = ["raw_further", "qinco_decoded"]
cells = stage.read_beside("labels", "03", [*METHODS, *OTHERS])
of_method = {name: part for name, part in cells.groupby("method")}
options = {"seed": seed, "resamples": sizes["resamples"]}
TRAININGS = {
    "": "updates of the run",
    "_4x": "four times as many",
    "_4x_shifted": "as many, ECGs shifted",
}
results = []
for ending, called in TRAININGS.items():
    for name in METHODS + ([] if ending else OTHERS):
        for average in ("macro", "micro"):
            value = auc.auc(of_method[name + ending], average, **options)
            line = {"method": name + ending, "classifier": style.method(name).name}
            line |= {"training": called}
            results.append(line | {"average": average, **vars(value)})
results = pd.DataFrame(results)
n_ecgs, n_patients = cells["ecg"].nunique(), cells["unit"].nunique()
caption = f"AUC over all labels on {n_ecgs} test ECGs, by method and training; one training seed."
stage.table("auc", results, caption)
wide_tables.wide(results[results["average"] == "macro"], "classifier", "training")

# %%
drawn = results[(results["average"] == "macro") & ~results["method"].isin(OTHERS)]
drawn = drawn.assign(category=drawn["training"])
drawn["method"] = drawn["method"].str.split("_4x").str[0]
best = drawn.loc[drawn["value"].idxmax()]
whole = results.set_index(["method", "average"])["value"]["raw_further", "macro"]
stage.figure(
    "auc",
    dots.rows(drawn, xlabel="Macro-AUC"),
    drawn,
    f"Macro-AUC over all labels on {n_ecgs} test ECGs of {n_patients} patients, of the methods of "
    "ECG-Tok's Fig. 2, by training: with the updates of the run, with four times as many, and with "
    "as many of which three in four are on copies that begin later. Bars: 95 % intervals over "
    "patients; one training seed. The axis is logarithmic in 1 - AUC. The network of "
    f"notebook 03 on the raw signal has {whole:.3f}.{dots.dashed(drawn)}",
    f"Three rows with a dot and an interval for each of three methods. The highest macro-AUC is of "
    f"{style.method(best['method']).name}, {best['category']}: {best['value']:.3f}.",
)

# %% [markdown]
# ## The registered comparisons
#
# Two methods are compared after the same training. All differences are paired by patient.

# %%
PAIRS = {
    "qinco_minus_deepsl.shifted": ("qinco_4x_shifted", "deepsl_4x_shifted"),
    "qinco_minus_deepsl.unshifted": ("qinco_4x", "deepsl_4x"),
    "qinco_minus_deepssl.shifted": ("qinco_4x_shifted", "deepssl_4x_shifted"),
    "four_minus_once.qinco": ("qinco_4x", "qinco"),
    "four_minus_once.deepsl": ("deepsl_4x", "deepsl"),
    "shifted_minus_unshifted.qinco": ("qinco_4x_shifted", "qinco_4x"),
    "shifted_minus_unshifted.deepsl": ("deepsl_4x_shifted", "deepsl_4x"),
}
more = {"qinco_minus_deepsl.run": ("qinco", "deepsl"), "qinco_minus_deepssl.run": METHODS[:2]}
more |= {"qinco_minus_deepssl.unshifted": ("qinco_4x", "deepssl_4x")}
more |= {"four_minus_once.deepssl": ("deepssl_4x", "deepssl")}
more |= {"shifted_minus_unshifted.deepssl": ("deepssl_4x_shifted", "deepssl_4x")}
gains = {
    name: auc.difference(*(of_method[method] for method in pair), average="macro", **options)
    for name, pair in (PAIRS | more).items()
}
for name in PAIRS:
    stage.claim(f"longer_readers.{name}", **vars(gains[name]))

# %%
differences = []
for name, (one, other) in (PAIRS | more).items():
    line = {"method": one, "minus": other, "registered": name in PAIRS}
    differences.append(line | vars(gains[name]))
differences = pd.DataFrame(differences)
caption = "Paired differences of macro-AUC; those that are not registered are not claims."
stage.table("differences", differences, caption)
stage.print_claims(digits=4)

# %% [markdown]
# ## What it means

# %%
for name, called in {
    "run": "with the updates of the run",
    "unshifted": "after four times as many",
    "shifted": "after as many on shifted ECGs",
}.items():
    for other in METHODS[1:]:
        gain = gains[f"qinco_minus_{other}.{name}"]
        place = ["open beside", "ahead of", "behind"][(gain.low > 0) - (gain.high < 0)]
        print(f"- {called}, QINCo's vectors are {place} {style.method(other).name}:", end=" ")
        print(f"{gain.text(3)}.")
macro = results[results["average"] == "macro"].set_index("method")["value"]
best = macro.filter(like="qinco_4x").max()
print(f"- A network finds {macro['qinco_decoded']:.3f} in what QINCo's codes decode to.", end=" ")
print(f"The best reader of their vectors here finds {best:.3f}.")

# %% [markdown]
# Five limits apply. There is one training seed per row, and a classifier of vectors that is trained
# again by the same recipe has differed by 0.010; the intervals cover the choice of test patients
# alone. The learning rate and the sizes are those of the run, and were not chosen again for the
# longer training. DeepSSL's pretraining was not made longer. DeepSL has more operations per ECG
# than the classifier of vectors. And the shifts were found to help QINCo on validation patients
# before this study, while nothing of the kind was tried for DeepSL, which might gain more from
# another change of its training ECGs.
#
# ## Try it yourself
#
# - Why should shifts help a classifier of tokens more than a network on the raw signal?
# - Set `shifts: [4, 8, 12, 16, 20, 24, 28]` in `longer_readers.yaml` and run the study again. How
#   many epochs does each training with copies have now, and how many updates?
# - In the cell of the results, replace `"macro"` by `"micro"`. Does the order change?
#
# <details><summary>Answers</summary>
#
# 1. The tokenizer cuts the signal into windows of 32 samples, whatever the place of a beat. So the
#    same beat has other codes at each place, and the classifier must see them. DeepSL's first
#    layer moves on by 8 samples. A beat that begins 8 samples later gives the same numbers there,
#    one position later.
# 2. As many epochs as before, but each has eight times the updates of one without copies: the
#    trainings without copies get eight times the epochs, so the updates stay equal.
# 3. Read it in the table: pooled over labels, prevalence alone separates frequent labels from rare
#    ones, so all methods come closer together.
#
# </details>
#
# The classifiers are explained in [03_classification](../03_classification.py). What the tokens
# hold, whoever reads them, is in [readers](readers.py).

# %% tags=["plumbing"]
stage.finish()
