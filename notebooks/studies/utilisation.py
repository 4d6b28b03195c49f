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
# # Does fidelity come from utilisation?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01 |
# | writes | use of the codebooks and error of 24 trainings of VQ, RVQ and QINCo |
# | paper items | ECG-Tok, section 3: utilisation 38.9 / 88.41 / 99.99 %, and what it explains |
# | time | a minute in `smoke`, 58 nominal minutes in `laptop` on two cores, after notebook 01 |
# | memory | about 2 GB in `laptop` |
#
# ECG-Tok's paper explains the fidelity of QINCo by its utilisation: nearly all codewords are in
# use, where VQ uses a third. [02_tokenizers](../02_tokenizers.py) has no such differences, because
# its codebooks start at k-means centres and dead codewords are revived. This study takes that care
# away piece by piece, at the sizes of the released code, and looks at use and error together.
#
# After this notebook you can
#
# - say which part of a training keeps codewords in use;
# - say whether a tokenizer that uses more codewords has the smaller error;
# - tell three measures of utilisation apart by what they hide.

# %% tags=["redraw", "plumbing"]
import time
from itertools import product

import numpy as np
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, codebook_use, predictions, reconstruction
from ecglib.fidelity import round_trip
from ecglib.figures import use_and_error
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import encode_rows
from ecglib.tokenizers.load import load
from ecglib.tokenizers.train import train_jointly

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-utilisation"  # the study's own run
seed = 0  # of the run and of its trainings

# %% tags=["redraw", "plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("tokenizer")
NAME = {"vq": "VQ", "rvq": "RVQ", "qinco": "QINCo"}
PAPER = {"vq": 38.9, "rvq": 88.41, "qinco": 99.99}  # pooled utilisation, %
FORM = ["method", "training", "init", "revival"]  # what differs between trainings

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
only = {"cohort": cohort_folder}
cohort = Cohort.open(cohort_folder)

# %% [markdown]
# ## Eight ways to train three quantisers
#
# VQ has one codebook, RVQ and QINCo have several of the same size; the numbers are printed below.
# Three choices differ.
#
# - *Training.* As released, the codewords of VQ and RVQ follow a running mean of what chooses them
#   (decay 0.8), and the decoder's gradient is rotated instead of copied. QINCo's codebooks have a
#   gradient there too. In ours, all codebooks have a gradient, and the decoder's is copied.
# - *Start.* Codebooks are uniformly random, as released, or k-means centres of latents.
# - *Revival.* Dead codewords stay where they are, as released, or move onto residuals.
#
# The autoencoder is smaller than that of the default run, and the trainings are longer. A quantiser
# is in place from the first step. The error beside the loss's other terms is that of the default
# run.

# %%
joint, own = sizes["train_jointly"], sizes["utilisation"]
common = {key: joint[key] for key in ("learning_rate", "commitment", "squared_weight")}
common |= {key: own[key] for key in ("steps", "batch")}
common["autoencoder"] = joint["autoencoder"] | {"widths": own["widths"]}
steps = own["steps"]
common["watch"] = {"every": max(1, steps // settings["looks"]), "ecgs": settings["watch_ecgs"]}
one = sizes["quantisers"]["vq"]
many = one | {"codebooks": settings["codebooks"]}
networks = sizes["quantisers"]["qinco"]
quantisers = {"vq": one, "rvq": many, "qinco": many | networks}
revivals = {"none": 0, "revival": max(1, steps // 2 // settings["revivals"])}
print(f"24 trainings of {steps} steps of {own['batch']} ECGs;", end=" ")
print(f"VQ has 1 codebook, RVQ and QINCo {many['codebooks']}, each of {one['codewords']} codewords")

# %%
folders = {}
for training, init, revival in product(("released", "ours"), ("uniform", "kmeans"), revivals):
    for method, quantiser in quantisers.items():
        config = common | {"method": method, "quantiser": quantiser, "init": init}
        config |= {"released": training == "released", "revive_every": revivals[revival]}
        name = f"{method}_{training}_{init}_{revival}"
        folder = stage.step(name, train_jointly, config, only)
        folders[method, training, init, revival] = folder

# %% tags=["plumbing"]
courses = []
for form, folder in folders.items():
    line = dict(zip(FORM, form, strict=True))
    courses.append(pd.read_csv(folder / "use.csv").assign(**line))
courses = stage.data("courses", pd.concat(courses))

# %% [markdown]
# ## Use and error during training
#
# Both are measured on validation ECGs at several times of each training. The figure shows the two
# ends: everything as released, and everything as in ours. The error is the mean absolute error of
# these ECGs together.

# %% tags=["redraw"]
ENDS = {("released", "uniform", "none"): "As released", ("ours", "kmeans", "revival"): "Ours"}
courses = stage.read("courses")
form = list(zip(courses["training"], courses["init"], courses["revival"], strict=True))
drawn = courses.assign(form=[ENDS.get(key) for key in form], error_uv=1000 * courses["error"])
drawn = drawn.dropna(subset="form").sort_values("form", kind="stable")
drawn = drawn[["form", "method", "step", "used_percent", "error_uv"]]
stage.figure(
    "courses",
    use_and_error.courses(drawn),
    drawn.round(4),
    caption="Share of the codewords of all codebooks that occur on validation ECGs (above), and "
    "the mean absolute error of their reconstruction (below), during training.",
    alt="Two columns of panels, as released and ours: codewords in use and error against the step, "
    "one curve each for VQ, RVQ and QINCo.",
)

# %% [markdown]
# **What to see.** A codebook collapses where its curve falls and stays low. Look at the error below
# at the same step: does it rise when the use falls?
#
# ## The end of each training, on test patients

# %%
rows = cohort.rows("test")[: settings["test_ecgs"]]
records = cohort.records.iloc[rows]
n_valid = records["n_valid"].to_numpy()
scored, uses = [], []
for form, folder in folders.items():
    tokenizer, k = load(folder), one["codewords"]
    decode = round_trip.reconstructions(tokenizer, cohort, rows)
    errors = reconstruction.streamed(round_trip.originals(cohort, rows), decode, n_valid)
    item = f"mae_mv:{':'.join(form[1:])}"
    score = errors["mae_mv"].round(6).to_numpy()
    scored.append(predictions.build(records, form[0], seed, item, score=score))
    codes = encode_rows(tokenizer, cohort, rows)
    inside = np.arange(codes.shape[1]) * tokenizer.autoencoder.hop < n_valid[:, None]
    counts = codebook_use.per_codebook(codebook_use.usage_counts(codes[inside], k))
    line = dict(zip(FORM, form, strict=True))
    line["pooled_percent"] = codebook_use.pooled_utilisation_percent(codes, k)
    line["used_percent"] = counts["utilisation_percent"].mean()
    uses.append(line | {"perplexity_percent": counts["perplexity_percent"].min()})
print("saved:", stage.predictions("errors", pd.concat(scored)).name)
uses = stage.data("uses", pd.DataFrame(uses))

# %% tags=["redraw"]
errors = []
for (method, item), part in stage.read("errors").groupby(["method", "item"], sort=False):
    line = dict(zip(FORM, (method, *item.split(":")[1:]), strict=True))
    errors.append(line | vars(bootstrap.mean(part, seed=seed)))
table = stage.read("uses").merge(pd.DataFrame(errors), on=FORM)
table["paper_percent"] = table["method"].map(PAPER)
caption = "Use of the codebooks and error (mV) of VQ, RVQ and QINCo, trained in eight ways."
order = table["method"].map(list(PAPER).index)
table = table.iloc[order.argsort(kind="stable")].reset_index(drop=True)
stage.table("utilisation", table, caption).round(4)

# %% tags=["redraw"]
stage.figure(
    "utilisation",
    use_and_error.scatter(table),
    table.round(5),
    caption="Mean absolute error of the reconstruction against three measures of codebook use, on "
    f"test ECGs of {table['n'].max()} patients; one point per training. Bars are 95 % intervals "
    "over patients; one training seed.",
    alt="Three panels of points: the error against pooled utilisation, against codewords in use "
    "and against the perplexity share, for VQ, RVQ and QINCo trained as released and in our way.",
)

# %% [markdown]
# **What to see.** If fidelity came from utilisation, the points of one panel would fall on one line
# that goes down to the right, whatever their colour. Compare points of different colours at the
# same use, and points of one colour at different use.
#
# ## How much of the error does use explain?
#
# The next cell compares two differences: between methods that use equally many codewords, and
# between trainings of one method. The rank correlation is over the eight trainings of a method.

# %% tags=["redraw"]
for method, part in table.groupby("method", sort=False):
    rank = part["used_percent"].rank().corr(part["value"].rank())
    low, high = part.loc[part["used_percent"].idxmin()], part.loc[part["used_percent"].idxmax()]
    print(
        f"{NAME[method]}: from {low['used_percent']:.1f} to {high['used_percent']:.1f} %", end=" "
    )
    print(
        f"of codewords in use, error {1000 * low['value']:.1f} and {1000 * high['value']:.1f}",
        end="",
    )
    print(f" microvolts; rank correlation of use and error {rank:.2f}")
fullest = table.loc[table.groupby("method")["used_percent"].idxmax()]
print("with most codewords in use:", end=" ")
print({NAME[row.method]: f"{1000 * row.value:.1f} microvolts" for row in fullest.itertuples()})

# %% [markdown]
# ## Is QINCo ahead of RVQ because RVQ uses fewer codewords?
#
# Both have the same codebooks, and both are trained in the same eight ways. The table has the error
# of RVQ minus that of QINCo for each way, beside the share of codewords that each of them uses.

# %% tags=["redraw"]
scored = stage.read("errors").groupby(["item", "method"])
gains, lines = {}, []
for way in table.loc[table["method"] == "rvq", FORM[1:]].itertuples(index=False, name=None):
    name = f"mae_mv:{':'.join(way)}"
    pair = (scored.get_group((name, method)) for method in ("rvq", "qinco"))
    gains[way] = bootstrap.paired_difference(*pair, seed=seed)
    lines.append(dict(zip(FORM[1:], way, strict=True)) | vars(gains[way]))
used = table.pivot(index=FORM[1:], columns="method", values="used_percent")[["rvq", "qinco"]]
gain = pd.DataFrame(lines).merge(used.add_suffix("_used_percent").reset_index(), on=FORM[1:])
caption = "Error of RVQ minus that of QINCo (mV) in eight ways of training, and codewords in use."
stage.table("gain_of_qinco", gain, caption).round(4)

# %% [markdown]
# **What to see.** If QINCo's networks were better whatever the use, all differences would be alike.
# If its gain comes from use, the difference is large in the lines where RVQ uses fewer codewords
# than QINCo, and small where both use all. Revivals end after half of a training. With running
# means a codeword that no vector chooses shrinks towards zero, so some are lost again after that.
#
# ## Are the paper's figures in reach?
#
# The paper gives pooled utilisation after training. The nearest of the eight trainings is shown,
# and the one that does all as released.

# %% tags=["redraw"]
looked_for = []
for method, part in table.groupby("method", sort=False):
    near = part.loc[(part["pooled_percent"] - PAPER[method]).abs().idxmin()]
    released = part[part[FORM[1:]].eq(["released", "uniform", "none"]).all(axis=1)].iloc[0]
    line = {"method": method, "paper (%)": PAPER[method]}
    line["all as released (%)"] = round(released["pooled_percent"], 2)
    line["nearest (%)"] = round(near["pooled_percent"], 2)
    looked_for.append(line | {"nearest training": ", ".join(near[FORM[1:]])})
looked_for = pd.DataFrame(looked_for)
stage.table("paper", looked_for, "Pooled utilisation: the paper's, and this study's.")

# %% [markdown]
# ## What it means

# %% tags=["redraw"]
released = table[table[FORM[1:]].eq(["released", "uniform", "none"]).all(axis=1)]
ours = table[table[FORM[1:]].eq(["ours", "kmeans", "revival"]).all(axis=1)]
for (_, before), (_, after) in zip(released.iterrows(), ours.iterrows(), strict=True):
    print(f"- {NAME[before['method']]}: use {before['used_percent']:.1f} % as released,", end=" ")
    print(f"{after['used_percent']:.1f} % in ours; error {1000 * before['value']:.1f} and", end=" ")
    print(f"{1000 * after['value']:.1f} microvolts.")

for way, name in ENDS.items():
    text = gains[way].text(1, scale=1000)
    print(f"- RVQ minus QINCo, {name.lower()}: {text} microvolts.")

# %% tags=["plumbing"]
made_on = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", made_on).name)

# %% [markdown]
# Use can explain the error only where it differs between methods that are otherwise alike. VQ
# spends one code per vector, RVQ and QINCo several, whatever their use. There is one seed, so a
# small difference between two points says nothing.
#
# ## Try it yourself
#
# - **Train longer.** Double `utilisation: steps` in the profile. All trainings are new.
# - **Look at other ends.** Add `("released", "kmeans", "none"): "From k-means"` to `ENDS` and run
#   that cell. The figure gets a third column.
#
# The codebooks of the default run are in [02_tokenizers](../02_tokenizers.py).

# %%
stage.finish()
