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
# # Is a token a moment of the ECG, or a channel of the encoder?
#
# | | |
# |---|---|
# | reads | cohort (01) |
# | writes | RVQ and QINCo along both axes, their errors, what readers find in their vectors |
# | paper items | ECG-Tok 2.2: which vectors are quantised, in the text and in the released code |
# | time | a minute in `smoke`; some 50 nominal minutes in `laptop`, after 01 |
# | memory | 4 GB in `laptop` |
#
# After this notebook you can
#
# - say which numbers of an encoder's output share a code, in the paper's text and in its code;
# - compare two tokenizers at equal bits whose sequences have different lengths;
# - tell what a token holds from what a reader of all tokens can put together.
#
# The encoder turns an ECG into a table of positions by channels. ECG-Tok's text quantises the
# vector of each position: a token is a moment. The released code hands the table over the other
# way round, so the vector of each *channel* over all ten seconds is quantised: a token is a
# channel. The authors' later documents call this a defect. One token along the channels predicts
# labels with an AUC of 0.58 to 0.60, they write, one along time with 0.86.
#
# Here both are trained in the same way, end to end, with a strided encoder in the manner of the
# paper's.

# %% tags=["plumbing"]
import time

import numpy as np
import pandas as pd
import torch

from ecglib.classify.classifier_parts import BEST
from ecglib.classify.train_classifier import train
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, bootstrap, predictions, reconstruction, wide_tables
from ecglib.evaluate.label_rows import label_rows
from ecglib.fidelity import round_trip
from ecglib.figures import bars, style
from ecglib.run.stage import Stage
from ecglib.tokenizers import encode, turned_vectors
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import SIZES
from ecglib.tokenizers.train import train_jointly

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-token_axis"  # the study's own run
seed = 0  # of the run; trainings have the seeds of the study

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("tokenizer")
heads = stage.section("classify")

# %%
cohort_folder = stage.input("01", "cohort")
only, cohort = {"cohort": cohort_folder}, Cohort.open(cohort_folder)

# %% [markdown]
# ## Equal bits
#
# A table of 4 positions by 3 channels has four vectors along time and three along the channels. A
# vector costs (number of codebooks) x log2(codewords) bits, so the shorter sequence may have more
# codebooks.

# %%
table = torch.arange(12.0).view(1, 4, 3)  # (B, positions, channels)
print("along time:", tuple(table.shape[1:]), "first vector", table[0, 0].tolist())
turned = table.transpose(1, 2)  # (B, channels, positions)
print("along the channels:", tuple(turned.shape[1:]), "first vector", turned[0, 0].tolist())

# %%
joint, own = sizes["train_jointly"], sizes["utilisation"]
common = {key: joint[key] for key in ("learning_rate", "commitment", "squared_weight")}
common |= {key: own[key] for key in ("steps", "batch")}
strided = {"kind": "strided"} | sizes["autoencoders"]["strided"] | {"widths": own["widths"]}
common |= {"autoencoder": strided, "init": "kmeans"}
common["revive_every"] = max(1, own["steps"] // 2 // settings["revivals"])
one, count = sizes["quantisers"]["vq"], settings["codebooks"]
positions = -(-2500 // int(np.prod(strided["strides"])))
equal = round(count * positions / strided["widths"][-1])  # codebooks along the channels
ARMS = {"time": ("time", count), "channel": ("channel", equal)}
ARMS["channel_same"] = "channel", count
print(f"{positions} positions x {count} codebooks against", end=" ")
print(f"{strided['widths'][-1]} channels x {equal}, of {one['codewords']} codewords each")

# %% [markdown]
# ## The trainings
#
# Encoder, quantiser and decoder learn together, with a gradient for the codebooks, from k-means
# centres, and dead codewords are revived: *ours* in the study [utilisation](utilisation.py). RVQ is
# trained with three seeds per arm. QINCo is trained once along each axis, at equal bits.

# %%
folders, reads = {}, {}  # (method, training seed) -> tokenizer; -> what a reader is given
for arm, (axis, books) in ARMS.items():
    quantiser = one | {"codebooks": books}
    config = common | {"axis": axis, "method": "rvq", "quantiser": quantiser}
    for s in settings["seeds"]:
        folders[f"rvq_{arm}", s] = stage.step(f"rvq_{arm}_{s}", train_jointly, config, only, s)
    if arm != "channel_same":
        config |= {"method": "qinco", "quantiser": quantiser | SIZES["fast"]}
        s = settings["seeds"][0]
        folders[f"qinco_{arm}", s] = stage.step(f"qinco_{arm}_{s}", train_jointly, config, only, s)
rates = []
for (name, s), folder in folders.items():
    rate = load(folder).rate()
    if s == settings["seeds"][0]:
        rates.append({"method": name, "bits": rate.bits_per_ecg, "codes": rate.tokens_per_ecg})
rates = stage.data("rates", pd.DataFrame(rates))

# %% [markdown]
# ## Errors, and two readers
#
# The *reader* is the paper's EfficientNetV2 on frozen vectors. It slides over time, so vectors
# along the channels are turned back first: it sees a table of the same shape in both arms.
#
# The *probe* is what a token says by itself. It averages the tokens in their own order, and a
# linear layer reads the mean. Along time this is the mean moment. Along the channels it is the mean
# of all channels at each moment.

# %%
codes = {
    key: stage.step(
        f"{key[0]}_{key[1]}_codes", encode.encode, sizes["encode"], only | {"tokenizer": of}
    )
    for key, of in folders.items()
}
head = heads["head"] | BEST
readers = {}
for (name, s), folder in folders.items():
    given = only | {"tokenizer": folder, "codes": codes[name, s]}
    turned = only | {"features": stage.step(f"{name}_{s}_turned", turned_vectors.write, {}, given)}
    config = head | {"network": "efficientnet", "reads": "features"}
    readers["reader", name, s] = stage.step(f"{name}_{s}_reader", train, config, turned, s)
    config = head | {"network": "linear", "reads": "vectors"}
    readers["probe", name, s] = stage.step(f"{name}_{s}_probe", train, config, given, s)

# %% tags=["plumbing"]
rows = np.sort(cohort.rows("test")[: settings["test_ecgs"]])
records = cohort.records.iloc[rows]
n_valid, scored = records["n_valid"].to_numpy(), []
for (name, s), folder in folders.items():
    decode = round_trip.reconstructions(load(folder), cohort, rows)
    errors = reconstruction.streamed(round_trip.originals(cohort, rows), decode, n_valid)
    score = errors["mae_mv"].round(6).to_numpy()
    scored.append(predictions.build(records, name, s, "mae_mv", score=score))
print("saved:", stage.predictions("errors", pd.concat(scored)).name)
for kind in ("reader", "probe"):
    parts = []
    for (of, name, s), folder in readers.items():
        if of == kind:
            scores = pd.read_parquet(folder / "scores.parquet")
            parts.append(label_rows(cohort.records, cohort.labels, scores, rows, name, s))
    print("saved:", stage.predictions(kind, pd.concat(parts)).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## What each axis costs and keeps

# %%
errors, options = stage.read("errors"), {"seed": seed, "resamples": heads["resamples"]}
labels = {kind: stage.read(kind) for kind in ("reader", "probe")}
lines, of_error = [], {name: part for name, part in errors.groupby("method")}
of_label = {
    (kind, name): part for kind, frame in labels.items() for name, part in frame.groupby("method")
}
order = ["rvq_time", "rvq_channel", "rvq_channel_same", "qinco_time", "qinco_channel"]
for name in order:
    value = bootstrap.mean(of_error[name], seed=seed)
    lines.append({"method": name, "metric": "mae_mv", **vars(value)})
    for kind in labels:
        value = auc.auc(of_label[kind, name], "macro", **options)
        lines.append({"method": name, "metric": kind, **vars(value)})
lines = pd.DataFrame(lines)

# %%
titles = {"mae_mv": "Error (mV)", "reader": "Macro-AUC, reader", "probe": "Macro-AUC, probe"}
of_auc = lines[lines["metric"] != "mae_mv"]
n_ecgs, n_patients = (errors[column].nunique() for column in ("ecg", "unit"))
seeds = len(settings["seeds"])
about = (
    f"RVQ ({seeds} training seeds) and QINCo (one) along both axes, on {n_ecgs} test ECGs of "
    f"{n_patients} patients. Whiskers: 95 % intervals over seeds and patients. Same codebooks: as "
    "many as along time, so fewer bits."
)
panels = {name: title for name, title in titles.items() if name != "mae_mv"}
figure = bars.methods(of_auc, panels, 2, "Macro-AUC", start=0.5)
caption = f"Macro-AUC of two readers of the frozen vectors. {about} Bars begin at 0.5."
alt = "Two panels of five horizontal bars: macro-AUC of the reader and of the probe."
stage.figure("auc", figure, of_auc, caption, alt)

# %%
of_error_alone = lines[lines["metric"] == "mae_mv"]
figure = bars.methods(of_error_alone, {"mae_mv": "Mean absolute error (mV)"}, 1)
caption = f"Mean absolute error of the reconstruction. {about}"
alt = "Five horizontal bars: the error of each arm."
stage.figure("errors", figure, of_error_alone, caption, alt)

# %%
wide = wide_tables.wide(lines.replace({"metric": titles}), "method", "metric")
wide = wide.merge(stage.read("rates").astype({"bits": int, "codes": int}), on="method")
caption = "Error and macro-AUC [95 % interval over seeds and patients], bits and codes of an ECG."
table = stage.table("axes", wide, caption)
table

# %% [markdown]
# **What to see.** The first two rows have equal bits. Compare their errors first: it is what the
# quantiser alone loses. If the reader's bars are equal and the probe's are not, the codes hold the
# same and only the layout differs. A language model reads tokens one by one, so for it the probe is
# the nearer of the two.
#
# ## The registered comparisons

# %%
gains = {}
for other, bits in {"rvq_channel": "same_bits", "rvq_channel_same": "same_codebooks"}.items():
    lost = bootstrap.paired_difference(of_error[other], of_error["rvq_time"], seed)
    gains[f"token_axis.mae.channel_minus_time.{bits}"] = lost
for kind in labels:
    pair = of_label[kind, "rvq_time"], of_label[kind, "rvq_channel"]
    gains[f"token_axis.{kind}.time_minus_channel"] = auc.difference(*pair, "macro", **options)
for name, gain in gains.items():
    stage.claim(name, **vars(gain))

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
for kind in labels:
    pair = of_label[kind, "qinco_time"], of_label[kind, "qinco_channel"]
    gain = auc.difference(*pair, "macro", **options).text()
    print(f"- QINCo, {kind}, macro-AUC along time minus along the channels: {gain} (one training).")
lost = bootstrap.paired_difference(of_error["qinco_channel"], of_error["qinco_time"], seed)
print(f"- QINCo, error along the channels minus along time: {lost.text(4)} mV (one training).")
for line in lines[lines["metric"] == "probe"].itertuples():
    print(f"- {style.method(line.method).name}, probe: {line.value:.3f}.")

# %% [markdown]
# Three limits apply. Our probe averages all tokens of an ECG, while the authors' numbers are of one
# token at a time. The encoder has fewer channels than theirs (64 against 128), so a token along the
# channels holds more of the ECG here. And a short training of a small encoder may not have found
# channels that are worth a token.
#
# ## Try it yourself
#
# - In "Equal bits", count the bits of both sides at 2 and at 16 codebooks along time.
# - Set `seeds: [0]` in `token_axis.yaml`. Which intervals become narrower, and why are they wrong?
#
# The quantisers are explained in [02_tokenizers](../02_tokenizers.py), the readers in
# [03_classification](../03_classification.py).

# %% tags=["plumbing"]
stage.finish()
