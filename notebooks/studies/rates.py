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
# # How much error does a bit buy?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01 |
# | writes | errors of five tokenizers at several rates each, for three training seeds |
# | paper items | (no paper) rate and distortion of VQ, RVQ, QINCo, FSQ and byte pairs |
# | time | a minute in `smoke`, 50 nominal minutes in `laptop`, after notebook 01 |
# | memory | 2.4 GB in `laptop` |
#
# [02_tokenizers](../02_tokenizers.py) has one point per method, and each spends another number of
# bits. A curve per method shows what such a point cannot: whether one method is better than another
# at *equal* bits, and how much a further bit is worth. Every rate has its own training, with three
# seeds.
#
# After this notebook you can
#
# - read a curve of rate and distortion, and say at which rates two methods differ;
# - say what the QRS complex and the ST segment lose at a rate at which the mean error looks small;
# - name the price of a rate in the tokens that a language model reads.

# %% tags=["redraw", "plumbing"]
import math
import time

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, predictions, reconstruction
from ecglib.fidelity import round_trip, wave_error
from ecglib.figures import rate_distortion
from ecglib.run.stage import Stage
from ecglib.signals.leads import RATE, SAMPLES
from ecglib.tokenizers import train
from ecglib.tokenizers.amplitude_bins import LETTERS
from ecglib.tokenizers.bpe import BPETokenizer, fit_bpe
from ecglib.tokenizers.change_rate import change_rate
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-rates"  # the study's own run
seed = 0  # of the run; trainings have the seeds of the study

# %% tags=["redraw", "plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("tokenizer")
first = settings["seeds"][0]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
only = {"cohort": cohort_folder}

# %% [markdown]
# ## One autoencoder per seed, a quantiser and a decoder per rate
#
# An RVQ with eight codebooks can be decoded from its first four codes alone. That is no fair point
# of a curve, because its decoder was trained on the sums of eight. Each rate therefore has its own
# training here.
#
# The joint training of the autoencoder is shared. For each seed there is one with VQ, for the sizes
# of VQ, and one with RVQ at its highest rate, for the rates of RVQ and QINCo. Behind the frozen
# encoder, the quantiser is changed to the rate, and quantiser and decoder are trained further, as
# in notebook 02. Fewer codebooks begin as the first of the jointly trained ones. A codebook of
# another size begins as k-means of the latents. Within RVQ and QINCo this is fair, because both
# have the same encoder. What it does at the rates for which the encoder was not trained is measured
# below, with one RVQ that has a joint training of its own.
#
# All trainings of this study have a share of the default run's steps, so that it takes less than an
# hour. The share is printed.


# %%
def shortened(config: dict) -> dict:
    """A config with the study's share of its updates."""
    counts = [key for key in ("steps", "unquantised_steps") if key in config]
    return config | {key: round(settings["share_of_steps"] * config[key]) for key in counts}


joint, frozen = (shortened(sizes[key]) for key in ("train_jointly", "train_frozen_encoder"))
networks = sizes["quantisers"]["qinco"]
most = max(settings["codebooks"])
quantisers = {"vq": sizes["quantisers"]["vq"]}
quantisers["rvq"] = sizes["quantisers"]["rvq"] | {"codebooks": most}
print(f"{settings['share_of_steps']:.0%} of the default run's steps:", end=" ")
print(f"{joint['steps']} joint ones, then {frozen['steps']} behind the frozen encoder")


# %%
def train_jointly(method: str, suffix: str, s: int, quantiser: dict):
    """An autoencoder jointly with VQ or RVQ."""
    config = joint | {"method": method, "quantiser": quantiser}
    return stage.step(f"joint_{method}{suffix}_{s}", train.train_jointly, config, only, s)


def behind_frozen(name: str, size: int, suffix: str, s: int, start):
    """Quantiser and decoder of one rate, trained further from `start`."""
    config = frozen | {"method": name} | ({"networks": networks} if name == "qinco" else {})
    step = f"{name}_{size}{suffix}_{s}"
    return stage.step(step, train.train_frozen_encoder, config, only | {"joint": start}, s)


# %%
def at_rate(method: str, key: str, size: int, s: int):
    """The jointly trained VQ or RVQ of a seed with `size` codewords or codebooks."""
    start = train_jointly(method, "", s, quantisers[method])
    if size == quantisers[method][key]:
        return start
    config = {key: size, "ecgs": settings["kmeans_ecgs"]}
    inputs = only | {"joint": start}
    return stage.step(f"start_{method}_{size}_{s}", change_rate, config, inputs, s)


# %%
folders = {}  # (method, setting, seed) -> folder
for s in settings["seeds"]:
    for size in settings["codewords"]:
        start = at_rate("vq", "codewords", size, s)
        folders["vq", f"{size} codewords", s] = behind_frozen("vq", size, "", s, start)
    for size in settings["codebooks"]:
        start, setting = at_rate("rvq", "codebooks", size, s), f"codebooks: {size}"
        folders["rvq", setting, s] = behind_frozen("rvq", size, "", s, start)
        if size == 1:  # the first codebook of QINCo has no network
            folders["qinco", setting, s] = folders["rvq", setting, s]
        else:
            folders["qinco", setting, s] = behind_frozen("qinco", size, "", s, start)

# %% [markdown]
# With one codebook QINCo is RVQ, because the network of a codebook reads the codewords before it.
# The two share that point.
#
# The next cell trains the check: RVQ with an encoder that was trained for its own rate.

# %%
few = settings["own"]
start = train_jointly("rvq", f"_{few}", first, quantisers["rvq"] | {"codebooks": few})
folders["rvq", "own encoder", first] = behind_frozen("rvq", few, "_own", first, start)

# %% [markdown]
# ## FSQ, byte pairs and the bounds
#
# FSQ has no codebooks. Its rate is set by the hop, which is the time per position, and by the
# number of levels. Each setting is a training of HeartLLM's whole tokenizer, for as many steps as
# both phases above.

# %%
leadwise = shortened(stage.section("leadwise"))
for s in settings["seeds"]:
    for number, change in enumerate(settings["fsq"], 1):
        config = leadwise | {"model": leadwise["model"] | change}
        hop = 1000 * math.prod(change["strides"]) / RATE
        setting = f"{hop:.0f} ms, {change['levels']} levels"
        step = f"fsq_{number}_{s}"
        folders["fsq", setting, s] = stage.step(step, train.train_leadwise, config, only, s)

# %% [markdown]
# Byte pairs are learned one after the other. The first 400 merges of a long training are therefore
# the merges of a training that stops at 400, and one training per seed gives all rates. A merge
# changes the number of tokens and not the letters, so all rates of a seed have the same error.

# %%
pairs = {
    s: load(stage.step(f"bpe_{s}", fit_bpe, stage.section("bpe"), only, s))
    for s in settings["seeds"]
}
learned = min(len(tokenizer.merges) for tokenizer in pairs.values())
counts = [count for count in settings["merges"] if count < learned] + [learned]


def with_merges(tokenizer: BPETokenizer, count: int) -> BPETokenizer:
    """The tokenizer as it was after `count` merges."""
    symbols = tokenizer.symbols[: LETTERS + count]
    return BPETokenizer(tokenizer.bins, symbols, tokenizer.merges[:count])


# %% [markdown]
# Two bounds complete the picture. A flat line at 0 mV spends no bits. An autoencoder of the same
# shape that decodes its own latents is what no quantiser in this autoencoder can be expected to
# beat. It is trained for as many steps as both phases, all but the last one without a quantiser.

# %%
alone = joint | {"method": "rvq", "quantiser": quantisers["rvq"]}
alone |= {"steps": joint["steps"] + frozen["steps"]}
alone |= {"unquantised_steps": alone["steps"] - 1}
for s in settings["seeds"]:
    step = f"unquantised_{s}"
    folders["unquantised", "latents", s] = stage.step(step, train.train_jointly, alone, only, s)

# %% [markdown]
# ## What each setting costs
#
# A code out of $K$ costs $\log_2 K$ bits. The number of byte pairs depends on the ECG. Here it is
# the mean over validation ECGs, and 15 more bits store it. One code is one token of a language
# model.

# %%
cohort = Cohort.open(cohort_folder)
held = cohort.rows("validation")[: settings["held_ecgs"]]
held_ecgs = torch.from_numpy(cohort.signals(held))
ends = torch.tensor(cohort.records["n_valid"].to_numpy()[held])
costs = []
for (method, setting, s), folder in folders.items():
    if method != "unquantised":
        rate = load(folder).rate()
        cost = {"tokens_per_ecg": rate.tokens_per_ecg, "bits_per_ecg": rate.bits_per_ecg}
        costs.append({"method": method, "setting": setting, "seed": s, **cost})
for s, tokenizer in pairs.items():
    for count in counts:
        codes = with_merges(tokenizer, count).encode(held_ecgs, ends)
        tokens = float((codes >= 0).sum() / len(held))
        bits = tokens * math.log2(LETTERS + count) + math.log2(12 * SAMPLES)
        cost = {"tokens_per_ecg": tokens, "bits_per_ecg": bits}
        costs.append({"method": "bpe", "setting": f"merges: {count}", "seed": s, **cost})
costs = stage.data("costs", pd.DataFrame(costs))

# %% [markdown]
# ## Three errors on the test patients
#
# The mean absolute error counts all samples alike. Most of them are flat. Two more errors look
# where a cardiologist looks. The *QRS error* is the root mean square error within 60 ms of the
# middle of each QRS complex. The *ST error* is the error of the level 60 to 80 ms after the J
# point, the end of the QRS complex, over the level before it. The level is the median over beats,
# and the error the mean over leads. Beats and J points are those of the original ECG. An ECG in
# which no beats are alike has a mean absolute error only.

# %%
rows = cohort.rows("test")[: settings["test_ecgs"]]
records = cohort.records.iloc[rows]
n_valid = records["n_valid"].to_numpy()
recorded = round_trip.originals(cohort, rows)
marks = wave_error.landmarks(recorded, n_valid)
print(f"{len(rows)} test ECGs, {sum(mark is not None for mark in marks)} with beats that are alike")


# %%
def predicted(method: str, setting: str, s: int, decode: round_trip.SignalSlice) -> pd.DataFrame:
    """The three errors of each ECG through a tokenizer; it is decoded once."""
    starts = range(0, len(rows), round_trip.CHUNK)
    whole = np.concatenate([decode(slice(i, i + round_trip.CHUNK)) for i in starts])
    errors = wave_error.wave_errors(recorded, whole.__getitem__, n_valid, marks)
    errors["mae_mv"] = reconstruction.streamed(recorded, whole.__getitem__, n_valid)["mae_mv"]
    parts = []
    for quantity, values in errors.items():
        known, item = values.notna().to_numpy(), f"{quantity}:{setting}"
        score = values[known].round(6).to_numpy()
        parts.append(predictions.build(records[known], method, s, item, score=score))
    return pd.concat(parts)


# %%
scored = [predicted("flat", "flat line", first, lambda part: np.zeros_like(recorded(part)))]
for (method, setting, s), folder in folders.items():
    codebooks = 0 if method == "unquantised" else None
    decode = round_trip.reconstructions(load(folder), cohort, rows, codebooks)
    scored.append(predicted(method, setting, s, decode))
for s, tokenizer in pairs.items():
    bins = tokenizer.bins  # the letters hold all that merges keep
    letters = lambda part, bins=bins: bins.decode(bins.encode(recorded(part)))  # noqa: E731
    scored.append(predicted("bpe", "any merges", s, letters))
print("saved:", stage.predictions("errors", pd.concat(scored)).name)

# %% [markdown]
# ## The curves
#
# Each point is a mean over three training seeds. Its interval covers the choice of seeds and of
# patients: the variance is that between seeds over their number, plus that over patients of the
# mean over seeds. The t interval has the degrees of freedom of Satterthwaite.

# %% tags=["redraw"]
scored = stage.read("errors")
scored[["quantity", "setting"]] = scored["item"].str.split(":", n=1, expand=True)
estimates = []
for (method, setting, quantity), part in scored.groupby(
    ["method", "setting", "quantity"], sort=False
):
    line = {"method": method, "setting": setting, "quantity": quantity}
    estimate = bootstrap.mean_across_seeds(part, seed=seed)
    estimates.append(line | vars(estimate) | {"seeds": part["seed"].nunique()})
estimates = pd.DataFrame(estimates)

# %% tags=["redraw"]
rates = stage.read("costs").groupby(["method", "setting"], sort=False, as_index=False)
rates = rates[["tokens_per_ecg", "bits_per_ecg"]].mean()
rates["bits_per_second"] = rates["bits_per_ecg"] * RATE / SAMPLES
letters = estimates[estimates["method"] == "bpe"].drop(columns="setting")
curves = pd.concat(
    [
        rates.merge(estimates, on=["method", "setting"]),
        rates[rates["method"] == "bpe"].merge(letters, on="method"),
    ]
)
bounds = estimates[estimates["method"].isin(["flat", "unquantised"])]
stage.table("rates", curves, "Errors (mV) of each method at each rate.").round(4)

# %% tags=["redraw"]
shared = curves[curves["setting"] != "own encoder"]
n_patients = curves["n"].max()
stage.figure(
    "rates",
    rate_distortion.curves(shared, bounds),
    pd.concat([shared, bounds]),
    caption=f"Errors of the reconstruction against bits per second (a to c) and against the tokens "
    f"that a language model reads (d to f), on test ECGs of {n_patients} patients. Points are the "
    f"means of {curves['seeds'].max()} training seeds, bars 95 % intervals over seeds and "
    "patients.",
    alt="Six panels of falling curves on logarithmic axes, one curve per tokenizer, between a line "
    "for the flat signal and a line for latents that are not quantised.",
)

# %% [markdown]
# **What to see.** A curve that is lower at the same place is the better method at that price. Where
# a curve becomes flat, more bits buy nothing: the encoder and decoder are then the bottleneck.
# RVQ and QINCo share their encoders, so the two differ in the quantiser alone. VQ and FSQ have
# encoders of their own, so their curves compare encoder and quantiser together.
#
# Compare the first row with the second one. A method that is cheap in bits can be expensive in
# tokens, and a language model pays for tokens.
#
# ## QINCo beside RVQ, rate by rate
#
# Differences are paired by ECG and seed.

# %% tags=["redraw"]
mae = scored[scored["quantity"] == "mae_mv"].drop(columns=["quantity", "setting"])
differences = []
for size in settings["codebooks"]:
    part = mae[mae["item"] == f"mae_mv:codebooks: {size}"]
    both = {method: rows_of for method, rows_of in part.groupby("method")}
    estimate = bootstrap.difference_across_seeds(both["rvq"], both["qinco"], seed=seed)
    if size > 1:
        number = len(settings["seeds"])
        stage.claim(f"rates.mae.rvq_minus_qinco.{size}_codebooks", **vars(estimate), seeds=number)
    error = curves.set_index(["method", "setting", "quantity"])["value"]
    share = 100 * estimate.value / error["rvq", f"codebooks: {size}", "mae_mv"]
    line = {"codebooks": size, "RVQ minus QINCo (µV)": estimate.text(3, 1000)}
    differences.append(line | {"share of RVQ's error (%)": round(share, 2)})
stage.table("qinco", pd.DataFrame(differences), "RVQ minus QINCo at equal bits and steps.")

# %% [markdown]
# ## What does the shared encoder do?
#
# Here RVQ at one low rate has two encoders: the shared one, which was trained with the most
# codebooks, and one that was trained with the few codebooks of this rate.
#
# - *Shared minus own is positive*: the shared encoder fits this rate worse. The points at the low
#   rates are then too high by about as much.
# - *Shared minus own is negative*: the shared encoder is the better one. Joint training with few
#   codebooks then spoils the encoder, and the points at the low rates are lower than a training for
#   this rate alone would make them.
#
# Either way it holds for RVQ and QINCo alike, and their difference is not affected. Their distance
# from VQ and FSQ is.

# %% tags=["redraw"]
few = settings["own"]
of_rvq = mae[(mae["method"] == "rvq") & (mae["seed"] == first)]
sides = [
    of_rvq[of_rvq["item"] == f"mae_mv:{name}"].assign(item="mae_mv")
    for name in (f"codebooks: {settings['own']}", "own encoder")
]
own = bootstrap.paired_difference(*sides, seed=seed)
print(f"RVQ with {settings['own']} codebooks, shared encoder minus own encoder:", end=" ")
print(f"{own.text(2, 1000)} microvolts (one seed, interval over patients)")
share = 100 * abs(own.value) / error["rvq", "own encoder", "mae_mv"]
if own.high < 0:
    print(f"The shared encoder is the better one. The error is {share:.0f} % lower with it than")
    print("after a training for this rate alone. RVQ and QINCo owe this part of their low error")
    print("at the low rates to an encoder that was trained with more codebooks.")
elif own.low > 0:
    print(f"The shared encoder is the worse one. The error is {share:.0f} % higher with it than")
    print("after a training for this rate alone. The points of RVQ and QINCo at the low rates are")
    print("too high by about as much.")
else:
    print("No difference between the two encoders is visible at this rate.")

# %% [markdown]
# RVQ with one codebook is VQ: both replace a latent vector by the nearest of one set of codewords.
# Where the codewords are as many, the bits are the same too. What is left between the two points of
# the figure is the encoder. VQ's was trained with that one codebook, RVQ's with the most codebooks.

# %% tags=["redraw"]
bits = curves.drop_duplicates(["method", "setting"]).set_index(["method", "setting"])
bits, one = bits["bits_per_ecg"], "codebooks: 1"
alike = [setting for setting in bits["vq"].index if bits["vq", setting] == bits["rvq", one]]
for setting in alike:
    pair = [
        mae[(mae["method"] == method) & (mae["item"] == f"mae_mv:{name}")].assign(item="mae_mv")
        for method, name in (("vq", setting), ("rvq", one))
    ]
    gap = bootstrap.difference_across_seeds(*pair, seed=seed)
    levels = [1000 * error[key] for key in (("vq", setting, "mae_mv"), ("rvq", one, "mae_mv"))]
    print(f"VQ with {setting}: {levels[0]:.1f} microvolts; RVQ with one codebook: {levels[1]:.1f}.")
    print(f"VQ minus RVQ, the same quantiser behind two encoders: {gap.text(1, 1000)} microvolts.")
    if gap.low > 0 or gap.high < 0:
        better, worse = ("RVQ", "VQ") if gap.low > 0 else ("VQ", "RVQ")
        print("The encoders make this difference.", end=" ")
        print(f"It does not show that {better} quantises better than {worse}.")
    else:
        print("No difference between the two encoders is visible at this rate.")
if not alike:
    print("No setting of VQ has as many codewords as one codebook of RVQ in this run.")

# %% [markdown]
# ## One rate for four methods
#
# Few settings have equal bits. Between two neighbours of a curve the error can be read off a
# straight line on the logarithmic axes. The next table does so at the lowest rate of FSQ.

# %% tags=["redraw"]
common = shared.loc[shared["method"] == "fsq", "bits_per_second"].min()
at_common = []
for (method, quantity), part in shared.groupby(["method", "quantity"], sort=False):
    part = part.sort_values("bits_per_second")
    x, y = np.log(part["bits_per_second"]), np.log(part["value"])
    inside = x.iloc[0] <= np.log(common) * (1 + 1e-9) and np.log(common) <= x.iloc[-1]
    level = float(np.exp(np.interp(np.log(common), x, y))) if inside else np.nan
    at_common.append({"method": method, "quantity": quantity, "uv": 1000 * level})
    if not inside and quantity == "mae_mv":
        print(f"{method} has no setting at {common:.0f} bits per second: its rates are", end=" ")
        print(f"{part['bits_per_second'].iloc[0]:.0f} to {part['bits_per_second'].iloc[-1]:.0f}")
at_common = pd.DataFrame(at_common).pivot(index="method", columns="quantity", values="uv")
caption = f"Errors (µV) at {common:.0f} bits per second, read off the curves."
stage.table("one_rate", at_common.reset_index(), caption).round(1)

# %% [markdown]
# ## What it means

# %% tags=["redraw"]
verdicts = stage.claims()
for row in verdicts.itertuples():
    text = bootstrap.Estimate(row.value, row.low, row.high, row.n).text(3, 1000)
    print(f"- {row.id}: {row.verdict}, {text} microvolts")
error = curves[curves["quantity"] == "mae_mv"].set_index(["method", "setting"])["value"]
ends = [
    error["rvq", f"codebooks: {size}"]
    for size in (min(settings["codebooks"]), max(settings["codebooks"]))
]
limit = bounds.loc[(bounds["method"] == "unquantised") & (bounds["quantity"] == "mae_mv"), "value"]
print(f"- RVQ: {1000 * ends[0]:.1f} microvolts at its lowest rate,", end=" ")
print(f"{1000 * ends[1]:.1f} at its highest, {1000 * limit.iloc[0]:.1f} without a quantiser.")

# %% tags=["plumbing"]
made_on = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", made_on).name)

# %% [markdown]
# Four limits hold. The widths and depths of the networks are those of one size. The trainings are
# short, so a method that learns slowly looks worse than it is. VQ and FSQ have their own encoders,
# so a distance between their curves and those of RVQ and QINCo is no result about quantisers. And a
# small error does not show that a *finding* survives; notebook 03 measures that.
#
# ## Try it yourself
#
# - **Ask for HeartLLM's hop.** Add `{strides: [4, 2], levels: 6}` to `fsq` in `rates.yaml`: 32 ms
#   per position, 313 tokens. Only this training is new, and it takes twice as long as the others.
# - **Read another rate.** Replace the value of `common` and run that cell again.
#
# The point of each method in the default run is in [02_tokenizers](../02_tokenizers.py). Seconds,
# parameters and operations are made equal in [tokenizers](tokenizers.py).

# %%
stage.finish()
