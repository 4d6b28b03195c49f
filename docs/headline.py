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
# # Do the headline numbers follow from the saved predictions?
#
# | | |
# |---|---|
# | reads | predictions of `synthetic-laptop` by training seed, a row per ECG and item; its tables |
# | writes | nothing |
# | needs | pandas with pyarrow, and matplotlib; nothing of this compendium's library |
# | time | a minute |
#
# The scores of this compendium are computed from predictions that lie beside it. This notebook
# computes three of them again with code of its own, draws them, and compares the values with the
# committed tables. It runs in a clone and on Binder as it is, on Colab with the address below.

# %% tags=["parameters"]
repository = ""  # on Colab: the address from which git clones this repository
draws = 300  # resampled sets of patients per interval

# %%
import json
import subprocess
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

if repository and not Path("compendium").is_dir():
    subprocess.run(["git", "clone", "--depth", "1", repository, "compendium"], check=True)
places = [Path("compendium"), Path.cwd(), *Path.cwd().parents]
runs = [place / "reports" / "synthetic-laptop" for place in places]
run = next((folder for folder in runs if folder.is_dir()), None)
assert run, "no reports/synthetic-laptop here: set `repository` to the address of this repository"


def recipes(folder: Path) -> dict:
    """Code and settings of each stage: equal in runs that differ in their training seed alone."""
    return json.loads((folder / "run.json").read_text())["recipes"]


others = sorted(run.parent.glob(f"{run.name}-seed*"))
seeds = [run, *[other for other in others if recipes(other) == recipes(run)]]
print("reads", *seeds)


def read(file: str) -> pd.DataFrame:
    """The predictions in this file, of every training seed."""
    files = [folder / "predictions" / file for folder in seeds]
    return pd.concat(
        [pd.read_parquet(path).assign(training=k) for k, path in enumerate(files) if path.is_file()]
    )


# %% [markdown]
# ## An interval over patients
#
# A patient may have several ECGs, and an ECG several questions. So the patients are drawn with
# replacement, each with all of their rows, and the middle 95 % of the means are the interval.


# %%
def mean_and_interval(frame: pd.DataFrame) -> pd.Series:
    """The mean of the column `score`, and its 95 % interval over patients (`unit`)."""
    sums = frame.groupby("unit")["score"].agg(["sum", "size"]).to_numpy()  # (patients, 2)
    drawn = np.random.default_rng(0).integers(len(sums), size=(draws, len(sums)))
    means = sums[drawn].sum(1)
    low, high = np.quantile(means[:, 0] / means[:, 1], [0.025, 0.975])
    return pd.Series({"value": frame["score"].mean(), "low": low, "high": high})


def bars(table: pd.DataFrame, label: str) -> None:
    """Horizontal bars, one per method, with whiskers where there are intervals."""
    _, axis = plt.subplots(figsize=(6, 0.35 * len(table) + 1), layout="constrained")
    axis.barh(table.index, table["value"], color="#0072B2")
    if "low" in table:
        axis.hlines(table.index, table["low"], table["high"], color="black")
    axis.invert_yaxis()
    axis.set_xlabel(label)
    plt.show()


# %% [markdown]
# ## The error of the reconstructions
#
# What an ECG loses when it becomes codes: the mean absolute error in microvolts, after decoding.

# %%
saved = read("02_reconstruction.parquet")
error = saved[saved["item"] == "mae_mv"].groupby("method")[["unit", "score"]]
error = 1000 * error.apply(mean_and_interval).sort_values("value")
bars(error, "Mean absolute error (µV)")
error.round(1)

# %% [markdown]
# ## Do the language models answer from the ECG?
#
# An answer is a set of parts, and an exact match names the same set. `no_ecg` never sees an ECG,
# `shuffled` answers with that of another patient, `median_beat` and `summary` are classifiers of a
# few numbers.


# %%
def parts(answer: pd.Series) -> pd.Series:
    """ "LVH, Sinus rhythm." -> {"lvh", "sinus rhythm"}."""
    pieces = answer.str.lower().str.split(",")
    return pieces.map(lambda of: frozenset(p for piece in of if (p := piece.strip(" ."))))


saved = read("06_answers.parquet")
asked = saved[saved["item"].str.split(":").str[0].isin(["verify", "choose", "query"])]
right = parts(asked["prediction"]) == parts(asked["target"])
answers = asked.assign(score=right.astype(float)).groupby("method")[["unit", "score"]]
answers = answers.apply(mean_and_interval).sort_values("value")
bars(answers, "Exact match")
answers.round(3)

# %% [markdown]
# ## Which findings survive in the tokens (ECG-Tok, Fig. 2)?
#
# The area under the ROC curve of a label is the probability that an ECG with it scores above one
# without it, so ranks suffice. The macro-AUC is its mean over labels and training seeds.

# %%
saved = read("03_labels.parquet")
label = ["training", "method", "item"]
saved["rank"] = saved.groupby(label)["score"].rank()
present = saved[saved["target"] == "1"].groupby(label)["rank"].agg(["sum", "size"])
every = saved.groupby(label).size()
n = present["size"]
by_label = (present["sum"] - n * (n + 1) / 2) / (n * (every - n))
macro = by_label.groupby("method").mean().sort_values().to_frame("value")
bars(macro, "Macro-AUC")
macro.round(3)

# %% [markdown]
# ## Are these the committed numbers?

# %%
committed = {
    "error": ("02_reconstruction", "metric == 'mae_uv'", "value", error),
    "exact match": ("06_exact_match", "method != ''", "all", answers),
    "macro-AUC": ("03_auc_overall", "average == 'macro'", "value", macro),
}
for name, (table, rows, column, here) in committed.items():
    stored = pd.read_csv(run / "tables" / f"{table}.csv").query(rows).set_index("method")[column]
    stored = stored.astype(str).str.split().str[0].astype(float)  # "0.432 [0.414, 0.449]"
    apart = (here["value"] - stored).abs().dropna()
    print(f"{name}: {len(apart)} methods, largest difference {apart.max():.2g}")
    assert len(apart) > 5 and apart.max() < 0.001
