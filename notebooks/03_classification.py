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
# # Which findings survive in the tokens?
#
# | | |
# |---|---|
# | reads | the cohort of 01; the tokenizers RVQ and QINCo and the codes of 02 |
# | writes | one probe a tokenizer; probabilities of every finding on test ECGs |
# | paper items | ECG-Tok, Fig. 2: micro-AUC by category |
# | time | 7 s in `smoke`, 55 s in `laptop` on two cores |
# | memory | 1.6 GB in `laptop` |
#
# A small error in millivolts does not say that the finding is still there: a P wave is small. So a
# classifier is trained on the frozen embeddings, and what it can tell, the tokens hold.

# %%
import numpy as np
import pandas as pd
import torch

from ecglib.classify import prevalence, probe, targets
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, bootstrap, predictions, wide_tables
from ecglib.figures import bars, forest
from ecglib.labels.label_set import (
    ABSENT,
    CATEGORIES,
    LABELS,
    NOT_ASSESSABLE,
    PRESENT,
    UNCERTAIN,
    Label,
)
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws initial weights, batches and resampled patients

# %%
stage = Stage("03", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## A cell that nobody knows is not a "no"
#
# A label is present (1), absent (0), uncertain (2), history (3) or not assessable (-1). Only the
# first two say what the ECG shows. The others must pull on nothing: the loss is the mean of
#
# $$ -y \log p - (1 - y) \log (1 - p) $$
#
# over the known cells. One ECG, four labels, every probability 0.8 (a logit of $\log 4$):

# %%
states = np.array([[PRESENT, ABSENT, UNCERTAIN, NOT_ASSESSABLE]])
by_hand = -(np.log(0.8) + np.log(0.2)) / 2  # one known "yes", one known "no"
target, known = map(torch.from_numpy, targets.binary_targets(states))
loss = probe.masked_bce(torch.full((1, 4), np.log(4.0)), target, known)
print(f"by hand {by_hand:.4f}, library {loss:.4f}; known cells {known.int().tolist()}")
assert abs(loss.item() - by_hand) < 1e-6

# %% [markdown]
# ## A micro-AUC above one half is not yet an achievement
#
# The paper's figure pools all cells of a category, label by record, and takes one AUC: the chance
# that a cell that is present scores above one that is absent. Take a label that 9 of 10 ECGs have
# and one that 1 of 10 has, and score each by its prevalence, without looking at any ECG:

# %%
labels = np.repeat([Label.LBBB, Label.TALL_R_AVL], 10)
truth = np.array([1] * 9 + [0] + [1] + [0] * 9)
score = np.repeat([0.9, 0.1], 10)
pairs = score[truth == 1][:, None] - score[truth == 0][None, :]
by_hand = ((pairs > 0) + 0.5 * (pairs == 0)).mean()

# %%
toy = pd.DataFrame({"unit": range(20), "item": [f"label:{i:02d}" for i in labels]})
toy = toy.assign(target=truth.astype(str), score=score)
micro, macro = (auc.auc(toy, average=kind, resamples=50).value for kind in ("micro", "macro"))
print(f"micro-AUC by hand {by_hand:.2f}, library {micro:.2f}; mean over the labels {macro:.2f}")
assert np.isclose(micro, by_hand) and macro == 0.5

# %% [markdown]
# The floor of a micro-AUC is therefore not 0.5 but what prevalence alone reaches. It stands beside
# the classifiers everywhere below, and so does the macro-AUC, which it cannot raise.
#
# ## Probes
#
# Labels are scored where the training patients have enough of them; the test patients have no say.
# Both tokenizers get the same head, the same batches and the same number of steps, and the weights
# after the last step are scored.

# %%
settings = stage.section("classify")
config = settings["probe"]
cohort_folder = stage.input("01", "cohort")
folders = {}
for name in ("rvq", "qinco"):
    codes = stage.input("02", f"{name}_codes")
    inputs = {"cohort": cohort_folder, "tokenizer": stage.input("02", name), "codes": codes}
    folders[name] = stage.step(f"probe_{name}", probe.train, config, inputs)

# %%
cohort = Cohort.open(cohort_folder)
rows = cohort.rows("test")
scored_labels = pd.read_csv(folders["qinco"] / "labels.csv")["label"].tolist()
print(f"{len(scored_labels)} of {len(LABELS)} labels have {config['min_positives']} training ECGs")
scores = {name: pd.read_parquet(folder / "scores.parquet") for name, folder in folders.items()}
scores = {name: frame[frame["row"].isin(rows)] for name, frame in scores.items()}
scores["prevalence"] = prevalence.scores(cohort, scored_labels, rows)
scores["qinco"].head(3)

# %% [markdown]
# Every known cell of a test ECG is one row of the predictions. All numbers below come from these
# rows alone.

# %%
frames = []
for name in ("prevalence", "rvq", "qinco"):
    frame = scores[name]
    state = cohort.labels[frame["row"], frame["label"]]
    keep = (state == PRESENT) | (state == ABSENT)
    frame, state = frame[keep], state[keep]
    item = frame["label"].map("label:{:02d}".format)
    target, records = (state == PRESENT).astype(int).astype(str), cohort.records.iloc[frame["row"]]
    frames.append(predictions.build(records, name, seed, item, target=target, score=frame["score"]))
cells = predictions.read(stage.predictions("labels", pd.concat(frames)))
print(f"{len(cells)} rows of {cells['unit'].nunique()} patients")

# %% [markdown]
# ## By category
#
# A category stays empty where its labels cannot be told from this source, or are too rare.

# %%
options = {"seed": seed, "resamples": settings["resamples"]}
table = pd.concat(
    auc.by_category(cells, CATEGORIES, average, **options).assign(average=average)
    for average in ("micro", "macro")
)
order = ["prevalence", "rvq", "qinco"]
table = table.sort_values("method", key=lambda column: column.map(order.index), kind="stable")
stage.table("auc_by_category", table, "AUC on test ECGs, by category of labels.")
micro = table[table["average"] == "micro"]
empty = micro[(micro["method"] == "qinco") & micro["value"].isna()]["category"].tolist()
print("categories without both a positive and a negative cell:", ", ".join(empty) or "none")

# %%
wide = {k: wide_tables.wide(part, "category", "method") for k, part in table.groupby("average")}
counts = micro[micro["method"] == "qinco"][["category", "labels", "positives"]]
print("micro-AUC, 95 % interval over patients")
counts.merge(wide["micro"], on="category")

# %%
print("macro-AUC")
wide["macro"]

# %%
stage.figure("auc_by_category", bars.grouped(micro, baseline=0.5), micro)

# %% [markdown]
# ## By label
#
# The categories hide which findings carry them. A finding with few positives has a wide interval,
# and one that no test ECG shows has no value.

# %%
by_label = auc.by_label(cells, **options)
by_label.insert(2, "name", [LABELS[i] for i in by_label["label"]])
stage.table("auc_by_label", by_label, "AUC on test ECGs, label by label.")
of_qinco = by_label[by_label["method"] == "qinco"].set_index("name")
of_qinco[["positives", "negatives", "value", "low", "high"]].sort_values("value").round(3)

# %% [markdown]
# ## Differences
#
# The methods answered the same cells, so differences are taken under the same draws of patients.

# %%
cells_of = {name: part for name, part in cells.groupby("method")}
everything = auc.auc(cells_of["qinco"], **options)
stage.claim("classify.qinco.micro_auc", **vars(everything))
pairs = {"QINCo minus prevalence": "prevalence", "QINCo minus RVQ": "rvq"}
differences = []
for name, other in pairs.items():
    for average in ("micro", "macro"):
        gain = auc.difference(cells_of["qinco"], cells_of[other], average=average, **options)
        differences.append({"name": f"{name}, {average}", **vars(gain)})
        if average == "micro":
            stage.claim(f"classify.qinco_minus_{other}.micro_auc", **vars(gain))
differences = pd.DataFrame(differences)
stage.table("auc_differences", differences, "Paired differences of AUC over all labels.")
figure = forest.differences(differences, "Difference of AUC over all labels")
stage.figure("auc_differences", figure, differences)

# %% [markdown]
# ## What we saw

# %%
numbers = ["value", "low", "high", "n"]
all_labels = table[table["category"] == "All"].set_index(["average", "method"])
overall = {key: bootstrap.Estimate(*row) for key, *row in all_labels[numbers].itertuples()}
print(f"- {len(scored_labels)} labels on {len(rows)} test ECGs. Micro-AUC: prevalence alone")
print(f"  {overall['micro', 'prevalence'].text()}, RVQ {overall['micro', 'rvq'].text()},")
print(f"  QINCo {overall['micro', 'qinco'].text()}.")
print(f"- Macro-AUC: {overall['macro', 'prevalence'].text()}, {overall['macro', 'rvq'].text()},")
print(f"  {overall['macro', 'qinco'].text()}. A gap between micro and macro is prevalence at work.")
hardest = of_qinco["value"].dropna().nsmallest(3)
print("- Hardest for QINCo:", "; ".join(f"{name} {v:.2f}" for name, v in hardest.items()) + ".")
if empty:
    print(f"- Nothing can be said about {', '.join(empty)}.")

# %%
stage.finish()
