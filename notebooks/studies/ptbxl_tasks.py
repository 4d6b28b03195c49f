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
# # How do tokens do on the standard tasks of PTB-XL?
#
# | | |
# |---|---|
# | reads | the cohort (01), QINCo and its codes (02); the two tables of PTB-XL |
# | writes | classifiers of six tasks, and their macro-AUC beside published ones |
# | paper items | none; the tasks are those of Strodthoff et al. 2021 |
# | time | a minute in `smoke`; 7 nominal minutes in `mini`; not measured on the whole release |
# | memory | 6 GB for the whole release |
#
# After this notebook you can
#
# - say what the six tasks are, and which ECGs count in each;
# - compare a classifier with published numbers on the same folds;
# - say when such a comparison means nothing.
#
# The classifiers are explained in [03_classification](../03_classification.py). Run this study with
# `bash run_all.sh study ptbxl_tasks --data ptbxl_folds`, on the whole release.

# %% tags=["plumbing"]
import numpy as np
import pandas as pd

from ecglib.classify import ptbxl_tasks
from ecglib.classify.classifier_parts import BEST
from ecglib.classify.train_classifier import train
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, wide_tables
from ecglib.evaluate.label_rows import label_rows
from ecglib.figures import dots
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.run.stage import Stage
from ecglib.sources.ptbxl import RELEASES

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "ptbxl_folds"  # a data plan: notebooks/data/<name>.yaml
tag = "study-ptbxl_tasks"  # the study's own run
seed = 0  # of the run; classifiers have a seed each

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("classify")
order = ["qinco", "deepsl"]
options = {"seed": seed, "resamples": sizes["resamples"]}

# %% [markdown]
# ## Six tasks
#
# PTB-XL has 71 SCP statements. The tasks take all of them, the 44 diagnostic ones, the 19 of form,
# the 12 of rhythm, and the 23 subclasses and 5 superclasses of the diagnostic ones. A statement
# counts whatever likelihood the cardiologist gave it, as in the authors' code. An ECG without any
# statement of a task is no part of that task. The toy has three diagnostic statements.

# %%
toy = pd.DataFrame(index=["CLBBB", "LVH", "NORM", "SR"])
toy["diagnostic"], toy["rhythm"] = [1, 1, 1, np.nan], [np.nan, np.nan, np.nan, 1]
toy["diagnostic_class"] = ["CD", "HYP", "NORM", None]
of_code = ptbxl_tasks.classes(toy, "superdiagnostic")
written = ["{'CLBBB': 35.0, 'SR': 0.0}", "{'NORM': 80.0, 'LVH': 0.0}", "{'SR': 0.0}"]
states, named = ptbxl_tasks.task_states(written, of_code)
assert named == ["CD", "HYP", "NORM"]
assert states.tolist() == [[1, 0, 0], [0, 1, 1], [-1, -1, -1]]
pd.DataFrame(states, columns=named).assign(scp_codes=written)

# %% [markdown]
# ## The codes behind a cohort
#
# A cohort keeps the 77 labels and no SCP codes. The step below reads the two tables of the release
# again and matches them with the cohort by its own identifiers. These stay within the step. What it
# writes names an ECG by its row, as every result does.
#
# A data plan without PTB-XL has no codes. The six categories of the 77 labels then stand in for the
# tasks, so that the code can be tried. They are compared with nothing.

# %%
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
only = {"cohort": cohort_folder}
of_source = {stage.plan["cohorts"][name].get("source"): name for name in stage.plan["cohorts"]}
has_codes = ptbxl_tasks.SOURCE in of_source
targets = {}
if has_codes:
    inputs = only | stage.data_inputs(of_source[ptbxl_tasks.SOURCE])
    for task in ptbxl_tasks.TASKS:
        config = {"task": task}
        targets[task] = stage.step(f"targets_{task}", ptbxl_tasks.make_targets, config, inputs)
else:
    targets["categories"] = stage.step("targets", ptbxl_tasks.category_targets, {}, only)
tables = {task: pd.read_parquet(folder / "targets.parquet") for task, folder in targets.items()}
counted = []
for task, table in tables.items():
    line = {"task": task, "classes": table.shape[1]}
    for role in ("train", "validation", "test"):
        of_role = table.iloc[cohort.rows(role)]
        line |= {role: int(of_role.isin([ABSENT, PRESENT]).any(axis=1).sum())}
    empty = (of_role == PRESENT).sum() == 0
    line |= {"without_positive": int(empty.sum()), "named": "; ".join(table.columns[empty])}
    counted.append(line)
own = int((cohort.records["source"] == ptbxl_tasks.SOURCE).sum())
stage.data("counted", pd.DataFrame(counted))
stage.data("cohort", pd.DataFrame({"ecgs": [len(cohort)], "ptbxl_ecgs": [own]}))

# %% [markdown]
# ## Two classifiers per task
#
# The head of notebook 03 reads the frozen tokens of QINCo, which were learned without any label.
# DeepSL reads the raw signal and is trained from scratch. Fold 9 chooses the epoch of both and
# nothing else.

# %%
seeds = settings["seeds"]
tokens = only | {"tokenizer": stage.input("02", "qinco"), "codes": stage.input("02", "qinco_codes")}
least = {"min_positives": settings["min_positives"]}
head = BEST | {"reads": "vectors", "network": "efficientnet"} | sizes["head"] | least
scratch = BEST | {"reads": "signals", "network": "deep_sl"} | sizes["deep_sl"] | least
folders = {}
for task, folder in targets.items():
    for s in seeds:
        read = tokens | {"targets": folder}
        folders[task, "qinco", s] = stage.step(f"qinco_{task}_{s}", train, head, read, s)
        read = only | {"targets": folder}
        folders[task, "deepsl", s] = stage.step(f"deepsl_{task}_{s}", train, scratch, read, s)

# %% tags=["plumbing"]
rows = cohort.rows("test")
for task, table in tables.items():
    parts = []
    for (of, method, s), folder in folders.items():
        if of == task:
            scores = pd.read_parquet(folder / "scores.parquet")
            states = table.to_numpy(dtype=np.int8)
            parts.append(label_rows(cohort.records, states, scores, rows, method, s))
    print("saved:", stage.predictions(f"task_{task}", pd.concat(parts)).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The tasks in this cohort

# %%
counted, size = stage.read("counted"), stage.read("cohort").iloc[0]
columns = ["task", "classes", "train", "validation", "test", "without_positive"]
stage.table("tasks", counted[columns], "Classes of each task, and ECGs with a statement of it.")

# %% [markdown]
# A class without a positive among the test ECGs has no AUC. It is left out of the mean and named. A
# class without a positive among the training ECGs is not learned, and is left out as well. The
# column *Classes scored* of the next table counts the rest. The release has a positive of every
# class in fold 10. *Wavelet+NN* is the published baseline of the same authors.

# %%
for line in counted.itertuples():
    print(f"{line.task}: {line.without_positive} classes without a positive in test", end="")
    print(f": {line.named}" if line.named else "")


def warning() -> str:
    """What this run's numbers are worth beside the published ones."""
    whole, held = min(RELEASES.values()), int(size["ptbxl_ecgs"])
    if not held:
        return (
            "This run has no ECG of PTB-XL: the tasks are stand-ins, and no number is comparable."
        )
    if held < settings["whole"] * whole:
        return (
            f"This run has {held:,} of at least {whole:,} ECGs of PTB-XL. Its numbers mean nothing "
            "beside the published ones: they show that the code runs."
        )
    return f"This run has {held:,} ECGs of PTB-XL, folds 1 to 8 for training and 10 for test."


print(warning())

# %% [markdown]
# ## Macro-AUC beside the published one

# %%
results = []
for line in counted.itertuples():
    frame = stage.read(f"task_{line.task}")
    for method in order:
        part = frame[frame["method"] == method]
        value = auc.auc(part, "macro", **options)
        positives = part[part["target"] == "1"]["item"].nunique()
        row = {"method": method, "category": line.task, "scored": positives, **vars(value)}
        results.append(row | {"ecgs": part["ecg"].nunique(), "seeds": part["seed"].nunique()})
results = pd.DataFrame(results)
published = ptbxl_tasks.published().rename(columns={"task": "category"})
published = published[published["category"].isin(results["category"])]
published["low"] = published["value"] - published["plus_minus"]
published["high"] = published["value"] + published["plus_minus"]
both = pd.concat([results, published])[["method", "category", "value", "low", "high"]]
stage.table("auc", both, f"Macro-AUC on the test ECGs by task. {warning()}")
print(warning())
from ecglib.figures.tables import InWords

wide = wide_tables.wide(both, "category", "method")
least = wide["category"].map(results.groupby("category")["scored"].min())
most = wide["category"].map(counted.set_index("task")["classes"])
wide.insert(1, "classes scored", least.astype(str) + " of " + most.astype(str))
InWords(wide)

# %%
drawn = both[both["method"] != "Wavelet+NN"]
n_ecgs, n_seeds = results["ecgs"].max(), results["seeds"].max()
cover = "patients" if n_seeds == 1 else "seeds and patients"
stage.figure(
    "auc",
    dots.rows(drawn, xlabel="Macro-AUC"),
    drawn,
    f"Macro-AUC by task on up to {n_ecgs} test ECGs, {n_seeds} training "
    f"{'seed' if n_seeds == 1 else 'seeds'}, and the published one of xresnet1d101 (Strodthoff et "
    f"al. 2021) where there is one. Bars: 95 % intervals over {cover}, 90 % over ECGs "
    f"for the published. Ours are means over the classes that can be scored. The axis is "
    f"logarithmic in 1 - AUC.{dots.dashed(drawn)} {warning()}",
    "One row per task with a dot for each classifier and one for the published number.",
)

# %% [markdown]
# **What to see.** On the whole release, read how far the tokens are from the published network and
# from DeepSL. A distance to DeepSL may come from the tokens, the head or its training. A distance
# of DeepSL to the published network may come from size, training or the protocol (see below).
#
# ## What it means

# %%
print(f"- {warning()}")
value = both.set_index(["category", "method"])["value"]
for task in counted["task"]:
    line = f"- {task}: QINCo {value[task, 'qinco']:.3f}, DeepSL {value[task, 'deepsl']:.3f}"
    known = f", published {value[task, 'xresnet1d101']:.3f}" if len(published) else ""
    print(f"{line}{known}.")

# %% [markdown]
# Three differences to the published protocol remain on the whole release. The published networks
# read crops of 2.5 s at 100 Hz; ours read 10 s at 250 Hz, cleaned as in notebook 01. A cohort keeps
# one of several recordings with the same signal and leaves out unusable ones, so a few ECGs are
# missing. And the published intervals are taken over ECGs, ours over patients.
#
# ## Try it yourself
#
# - In the toy, write `'LVH': 0.0` as `'LVH': 20.0`. Nothing changes, because the likelihood does
#   not count.
# - Set `min_positives: 20` in `ptbxl_tasks.yaml` and run the study again. Rare classes are not
#   learned any more and are missing from the predictions. The macro-AUC is then over fewer classes
#   and cannot be compared with the published one.
#
# The classifiers are explained in [03_classification](../03_classification.py).

# %% tags=["plumbing"]
stage.finish()
