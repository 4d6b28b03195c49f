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
# # Does QINCo still win when seconds, operations, parameters or bits are equal?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01 |
# | writes | errors at equal steps, seconds, operations, parameters and bits, for three seeds |
# | paper items | ECG-Tok, section 3: QINCo beside RVQ and VQ |
# | time | a minute in `smoke`, 45 nominal minutes in `laptop`, after notebook 01 |
# | memory | 2.8 GB in `laptop` |
#
# [02_tokenizers](../02_tokenizers.py) compares the quantisers after equal steps, from one training
# seed. That is one kind of fairness. QINCo's step takes longer and does more floating-point
# operations (FLOPs), and QINCo has more parameters than RVQ. VQ spends fewer bits than either. This
# study makes seconds, operations, parameters and bits equal in turn, and trains everything with
# three seeds. All its trainings have three quarters of the default run's steps, so that it takes
# less than 45 minutes.
#
# After this notebook you can
#
# - name five ways to make a comparison of tokenizers fair, and say which of them a claim survives;
# - tell the uncertainty over patients from the uncertainty over training seeds, and add the two;
# - say how much of an error comes from the quantiser and how much from the encoder and decoder.
#
# The forward pass and the loss of each quantiser are written out in
# [02_tokenizers](../02_tokenizers.py).

# %% tags=["redraw", "plumbing"]
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, predictions, reconstruction
from ecglib.fidelity import round_trip
from ecglib.figures import forest
from ecglib.run.stage import Stage
from ecglib.tokenizers import train
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ
from ecglib.tokenizers.training_flops import frozen_encoder_step

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-tokenizers"  # the study's own run
seed = 0  # of the run; trainings have the seeds of the study

# %% tags=["redraw", "plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("tokenizer")

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
only = {"cohort": cohort_folder}

# %% [markdown]
# ## Equal steps
#
# As in notebook 02, one autoencoder is trained with VQ and one with RVQ, here for each seed. The
# encoder is then frozen, and each quantiser is trained further with its decoder. QINCo starts as a
# copy of the RVQ.
#
# This protocol is the third. Two earlier forms of it were run and scored on test patients. After
# the first results the protocol was changed so that the encoder is frozen. After the second it was
# changed so that the decoder is trained further. The settings were chosen on validation patients
# each time. The claims were registered before this run, but after these earlier results were known.


# %%
def shortened(config: dict) -> dict:
    """A config with the study's share of its updates."""
    counts = [key for key in ("steps", "unquantised_steps") if key in config]
    return config | {key: round(settings["share_of_steps"] * config[key]) for key in counts}


joint, frozen = (shortened(sizes[key]) for key in ("train_jointly", "train_frozen_encoder"))
quantisers, networks = sizes["quantisers"], sizes["quantisers"]["qinco"]
print(f"{settings['share_of_steps']:.0%} of the default run's steps:", end=" ")
print(f"{joint['steps']} joint ones, then {frozen['steps']} behind the frozen encoder")
JOINT_METHOD = {"vq": "vq", "rvq": "rvq", "qinco": "rvq"}


def train_jointly(name, suffix, s, config):
    """The joint training before a method's own: of the same method, or of RVQ for QINCo."""
    method = JOINT_METHOD[name]
    config = {"quantiser": quantisers[method]} | config | {"method": method}
    return stage.step(f"joint_{method}{suffix}_{s}", train.train_jointly, config, only, s)


def trained(name, suffix, s, config=joint, joint_suffix=None, **changes):
    """One method: its joint training, and the one behind the frozen encoder."""
    start = train_jointly(name, suffix if joint_suffix is None else joint_suffix, s, config)
    own = frozen | {"method": name} | changes
    own |= {"networks": networks} if name == "qinco" else {}
    inputs = only | {"joint": start}
    return stage.step(f"{name}{suffix}_{s}", train.train_frozen_encoder, own, inputs, s)


# %%
folders = {}
for s in settings["seeds"]:
    for name in JOINT_METHOD:
        folders[name, s] = trained(name, "", s)

# %% [markdown]
# ## Equal seconds
#
# Here RVQ is trained from the same start for as many steps as fit into QINCo's training time. The
# ratio was measured before the study and is one of its settings, so a slow moment of the machine
# does not change the result. The seconds that each step took are in `timings.csv` of this run.

# %%
steps = round(settings["seconds"] * frozen["steps"])
print(f"{frozen['steps']} steps of QINCo behind the frozen encoder, {steps} of RVQ")
for s in settings["seeds"]:
    folders["rvq_seconds", s] = trained("rvq", "_seconds", s, joint_suffix="", steps=steps)

# %% [markdown]
# ## Equal operations
#
# Seconds depend on the machine and on how well a method is programmed. Operations do not. One step
# of each method behind the frozen encoder is counted while it is done: products and convolutions,
# forwards and backwards, the search of the codewords included. RVQ is then trained for as many
# steps as QINCo's operations pay for.

# %%
cohort = Cohort.open(cohort_folder)
flops = {}
for name in JOINT_METHOD:
    tokenizer = load(folders[name, settings["seeds"][0]])
    flops[name] = frozen_encoder_step(tokenizer, cohort, frozen["batch"])
flops = pd.DataFrame({"method": list(flops), "flops": list(flops.values())})
flops = stage.data("flops", flops)

# %%
per_step = flops.set_index("method")["flops"]
more_steps = round(frozen["steps"] * per_step["qinco"] / per_step["rvq"])
print({name: f"{count / 1e9:.2f} GFLOP per step" for name, count in per_step.items()})
print(f"{frozen['steps']} steps of QINCo, {more_steps} of RVQ")
for s in settings["seeds"]:
    folders["rvq_flops", s] = trained("rvq", "_flops", s, joint_suffix="", steps=more_steps)

# %% [markdown]
# ## Equal parameters
#
# QINCo's networks are parameters that RVQ does not have. RVQ could use more codewords, but these
# would cost more bits. It gets as many parameters through wider latents instead, with its own joint
# training.


# %%
def parameters(quantiser: str, width: int) -> int:
    """Of the whole tokenizer with latents of this width; nothing is held in memory."""
    kind, options = (ResidualVQ, {}) if quantiser == "rvq" else (QINCo, networks)
    with torch.device("meta"):
        model = Autoencoder(**shape | {"widths": [*shape["widths"][:-1], width]})
        book = kind(width, **quantisers["rvq"], **options)
        return sum(p.numel() for p in LatentTokenizer(model, book).parameters())


shape = joint["autoencoder"]
width = shape["widths"][-1]
target = parameters("qinco", width)
while parameters("rvq", width) < target:
    width += 8
print(f"QINCo: {target:,} parameters with latents of {shape['widths'][-1]} numbers")
print(f"RVQ: {parameters('rvq', width):,} parameters with latents of {width} numbers")

# %%
wider = joint | {"autoencoder": shape | {"widths": [*shape["widths"][:-1], width]}}
for s in settings["seeds"]:
    folders["rvq_wide", s] = trained("rvq", "_wide", s, wider)

# %% [markdown]
# ## Equal bits
#
# RVQ has several codes per position, VQ has one. With a shorter hop (the time per position) VQ has
# more positions, and an ECG then costs nearly the same number of bits: in `laptop` 9 bits per 2
# samples, where RVQ spends 144 bits per 32. The settings are made for `laptop`; the printed ratio
# shows how close this run comes.

# %%
finer = joint | {"autoencoder": shape | settings["bits"]["autoencoder"]}
finer |= {"quantiser": {"codewords": settings["bits"]["codewords"]}}
for s in settings["seeds"]:
    folders["vq_fine", s] = trained("vq", "_fine", s, finer)
first = settings["seeds"][0]
rates = {name: load(folders[name, first]).rate() for name in ("vq", "vq_fine", "rvq")}
for name, rate in rates.items():
    print(f"{name}: {rate.tokens_per_ecg} codes, {rate.bits_per_ecg:.0f} bits per ECG, ", end="")
    print(f"{rate.bits_per_ecg / rates['rvq'].bits_per_ecg:.2f} of RVQ's")

# %% [markdown]
# ## Scoring on the test patients
#
# Each ECG and seed has one mean absolute error, on the same ECGs for all. For the low rate, RVQ and
# QINCo are cut to their first codes. The number of codes is the largest one with which quantisation
# causes at least half of RVQ's error. It is chosen on *validation* patients.

# %%
rows, held = cohort.rows("test"), cohort.rows("validation")
records = cohort.records.iloc[rows]


def mae(folder, rows, codebooks=None):
    """Mean absolute error of each of the records through a tokenizer (see `round_trip`)."""
    decoded = round_trip.reconstructions(load(folder), cohort, rows, codebooks)
    lengths = cohort.records["n_valid"].to_numpy()[rows]
    originals = round_trip.originals(cohort, rows)
    return reconstruction.streamed(originals, decoded, lengths)["mae_mv"].to_numpy()


# %%
choice = []
for s in settings["seeds"]:
    for count in range(quantisers["rvq"]["codebooks"] + 1):
        error = mae(folders["rvq", s], held, count).mean()
        choice.append({"seed": s, "codebooks": count, "mae_mv": error})
choice = stage.data("validation", pd.DataFrame(choice))

# %% tags=["redraw"]
choice = stage.read("validation").pivot(index="seed", columns="codebooks", values="mae_mv")
caused = 1 - choice[[0]].to_numpy() / choice.drop(columns=0)  # seeds x codebooks
enough = [count for count in caused if caused[count].mean() >= 0.5]
low = max(enough, default=1)
print("share of RVQ's error that quantisation causes, mean of the seeds, by codebooks:")
print(caused.mean().round(2).to_dict(), "-> low rate:", low if enough else "none, 1 is shown")

# %%
scored = []
for (name, s), folder in folders.items():
    method = name.split("_")[0]
    item = {"seconds": "same_seconds", "flops": "same_flops"}
    item |= {"wide": "same_parameters", "fine": "same_bits"}
    item = item.get(name.partition("_")[2], "mae_mv")
    scored.append(predictions.build(records, method, s, item, score=mae(folder, rows)))
    if name in ("rvq", "qinco"):
        lost = mae(folder, rows, low)
        scored.append(predictions.build(records, name, s, "low_rate", score=lost))
        latents = round_trip.latent_error(load(folder), cohort, rows)
        for part in latents:
            scored.append(predictions.build(records, name, s, part, score=latents[part].to_numpy()))
print("saved:", stage.predictions("errors", pd.concat(scored)).name)

# %% [markdown]
# ## Differences
#
# Each difference is the error of the method that is claimed to be worse, minus that of the method
# that is claimed to be better. It is positive where the claim holds. Differences are paired by ECG
# and averaged per patient. The training seed and the choice of test patients are two sources of
# uncertainty, and the interval of a claim covers both. Its variance is the variance between seeds
# over their number, plus the variance over patients of the mean over seeds. The t interval has the
# degrees of freedom of Satterthwaite. An interval over patients alone is beside it, and one row per
# seed.

# %% tags=["redraw"]
PAIRS = {
    "recon.mae.vq_minus_rvq": ("vq", "mae_mv", "rvq", "mae_mv"),
    "recon.mae.vq_minus_rvq.same_bits": ("vq", "same_bits", "rvq", "mae_mv"),
    "recon.mae.rvq_minus_qinco": ("rvq", "mae_mv", "qinco", "mae_mv"),
    "recon.mae.rvq_minus_qinco.low_rate": ("rvq", "low_rate", "qinco", "low_rate"),
    "recon.mae.rvq_minus_qinco.same_seconds": ("rvq", "same_seconds", "qinco", "mae_mv"),
    "recon.mae.rvq_minus_qinco.same_flops": ("rvq", "same_flops", "qinco", "mae_mv"),
    "recon.mae.rvq_minus_qinco.same_parameters": ("rvq", "same_parameters", "qinco", "mae_mv"),
}


def difference(frame, estimator, worse, worse_item, better, better_item):
    """Paired difference of two methods over some rows, by one of `bootstrap`'s estimators."""
    sides = []
    for method, item in ((worse, worse_item), (better, better_item)):
        part = frame[(frame["method"] == method) & (frame["item"] == item)]
        sides.append(part.assign(item="mae_mv"))
    return estimator(*sides, seed=seed)


# %% tags=["redraw"]
def share(totals):
    """Quantisation error over the spread of the latents, mean of the seeds that are given."""
    return (totals[:, 0::2] / totals[:, 1::2]).mean(1)


def latent_gain(frame, with_seeds):
    """Relative quantisation error of the latents, RVQ minus QINCo, mean of the seeds."""
    wide = frame[frame["item"].isin(["error", "spread"])].pivot_table(
        index="unit", columns=["seed", "method", "item"], values="score", aggfunc="sum"
    )
    sets = [
        (wide[s, "rvq"].to_numpy(), wide[s, "qinco"].to_numpy()) for s in frame["seed"].unique()
    ]
    if with_seeds:
        return bootstrap.across_seeds(share, sets, combine=np.subtract, seed=seed)
    both = (np.hstack(totals) for totals in zip(*sets, strict=True))
    return bootstrap.of_totals(share, *both, combine=np.subtract, seed=seed)


# %% tags=["redraw"]
scored = stage.read("errors")
estimates = {}
for label in ("all", "patients", *settings["seeds"]):
    part = scored[scored["seed"] == label] if label in settings["seeds"] else scored
    both = bootstrap.difference_across_seeds if label == "all" else bootstrap.paired_difference
    for name, sides in PAIRS.items():
        estimates[name, label] = difference(part, both, *sides)
    estimates["codes.error.rvq_minus_qinco", label] = latent_gain(part, label == "all")
    if not enough:  # the claim is about a rate that does not exist here
        gone = estimates["recon.mae.rvq_minus_qinco.low_rate", label]
        estimates["recon.mae.rvq_minus_qinco.low_rate", label] = replace(
            gone, value=np.nan, low=np.nan, high=np.nan
        )

# %% tags=["redraw"]
for (name, label), estimate in estimates.items():
    if label == "all":
        stage.claim(name, **vars(estimate), seeds=len(settings["seeds"]))
seeds = pd.DataFrame([{"claim": n, "seed": str(s), **vars(e)} for (n, s), e in estimates.items()])
caption = "Differences: over seeds and patients (all), over patients alone, and for each seed."
stage.table("seeds", seeds, caption).round(5)

# %% tags=["redraw"]
NAMES = {
    "recon.mae.vq_minus_rvq": "equal steps",
    "recon.mae.vq_minus_rvq.same_bits": "equal bits",
    "recon.mae.rvq_minus_qinco": "equal steps",
    "recon.mae.rvq_minus_qinco.low_rate": "low rate",
    "recon.mae.rvq_minus_qinco.same_seconds": "equal seconds",
    "recon.mae.rvq_minus_qinco.same_flops": "equal operations",
    "recon.mae.rvq_minus_qinco.same_parameters": "equal parameters",
}
drawn = seeds[seeds["claim"].isin(NAMES) & (seeds["seed"] != "patients")].sort_values(
    "claim", key=lambda claims: claims.map(list(NAMES).index), kind="stable"
)
drawn = drawn.assign(name=drawn["claim"].map(NAMES))
panel = {True: "VQ minus RVQ", False: "RVQ minus QINCo"}
drawn["panel"] = drawn["claim"].str.contains("vq_minus_rvq").map(panel)
drawn[["value", "low", "high"]] *= 1000
drawn = drawn[["panel", "name", "seed", "value", "low", "high"]]
label = "Difference of the mean absolute error (µV) [95 %]"
stage.figure(
    "differences",
    forest.differences(drawn, label),
    drawn.round(4),
    caption="Differences of the mean absolute error of the reconstruction on the ECGs of "
    f"{estimates['recon.mae.vq_minus_rvq', 'all'].n} test patients. Positive values favour the "
    "method named second. Large points: mean of the training seeds, with 95 % "
    "intervals over seeds and patients. Small points: one seed, with intervals over patients.",
    alt="Points with intervals around a line at zero: VQ minus RVQ at equal steps and bits, and "
    "RVQ minus QINCo at equal steps, low rate, equal seconds, operations and parameters.",
)

# %% [markdown]
# **What to see.** Where the small points of one line are further apart than their bars are wide,
# the training seed matters more than the choice of patients. The large bar is then much wider than
# the small ones. With three seeds it has few degrees of freedom, and can be wider than the seeds
# are apart. The next table has the interval over patients alone beside it, which is too narrow for
# a statement about the *method*.

# %% tags=["redraw"]
by_label = seeds.set_index(["claim", "seed"])[["value", "low", "high"]]
both, alone = (by_label.xs(label, level="seed") for label in ("all", "patients"))
compared = both.join(alone[["low", "high"]].add_suffix(", patients")).dropna()
covers_zero = (compared["low"] <= 0) & (compared["high"] >= 0)
print(f"over seeds and patients, {covers_zero.sum()} of {len(compared)} intervals contain", end=" ")
print("zero:", ", ".join(compared.index[covers_zero]) or "none")
narrow = (compared["low, patients"] <= 0) & (compared["high, patients"] >= 0)
print(f"over patients alone: {narrow.sum()}")
compared.round(5)

# %% [markdown]
# ## Each as its paper has it, and in the common autoencoder
#
# **Ours, not the papers':** the common autoencoder has linear maps beside its convolutions, which
# ECG-Tok does not have. HeartLLM's FSQ has an encoder of its own, with more positions, trained on
# the squared error. So the four are trained both ways. The table gives the bits as well, because
# those of FSQ differ.
#
# In the common autoencoder FSQ is trained jointly for as many steps as both phases have together.
# Its own encoder and decoder have their own steps and batches, so the number of ECGs read differs.
# The row of FSQ therefore does not compare decoders alone. Byte pairs have no decoder to train: a
# letter is decoded to the centre of its bin.

# %%
plain = joint | {"autoencoder": shape | {"linear": False}}
own = {name: trained(name, "_plain", first, plain) for name in JOINT_METHOD}
leadwise = shortened(stage.section("leadwise"))
own["fsq"] = stage.step(f"fsq_{first}", train.train_leadwise, leadwise, only, first)
grid = joint | {"method": "fsq", "steps": joint["steps"] + frozen["steps"]}
grid |= {"quantiser": {key: leadwise["model"][key] for key in ("levels", "dims")}}
shared = {name: folders[name, first] for name in ("vq", "rvq", "qinco")}
shared["fsq"] = stage.step(f"fsq_common_{first}", train.train_jointly, grid, only, first)

# %% tags=["plumbing"]
decoders, bits = [], []
for name in own:
    for column, folder in {"paper": own[name], "common": shared[name]}.items():
        lost = predictions.build(records, name, first, f"decoder_{column}", score=mae(folder, rows))
        decoders.append(lost)
        cost = load(folder).rate().bits_per_ecg
        bits.append({"method": name, "decoder": column, "bits_per_ecg": cost})
print("saved:", stage.predictions("decoders", pd.concat(decoders)).name)
bits = stage.data("bits", pd.DataFrame(bits))

# %% tags=["redraw"]
decoders = stage.read("decoders").groupby(["method", "item"])
table = []
for name, part in stage.read("bits").groupby("method", sort=False):
    row = {"method": name}
    for column, bits in zip(part["decoder"], part["bits_per_ecg"], strict=True):
        lost = decoders.get_group((name, f"decoder_{column}"))
        row[f"error, {column} (µV)"] = bootstrap.mean(lost, seed=seed).text(1, 1000)
        row[f"bits, {column}"] = round(bits)
    table.append(row)
stage.table(
    "decoders",
    pd.DataFrame(table),
    "Mean absolute error with the encoder and decoder of the paper, and the common ones.",
)

# %% [markdown]
# **What to see.** Compare two numbers of one row, then two numbers of one column. The first
# difference is due to the encoder and decoder, the second to the quantiser and its bits.
#
# ## What it means

# %% tags=["redraw"]
verdicts = stage.claims()
for row in verdicts.itertuples():
    scale, unit = (1000, "microvolts") if row.id.startswith("recon") else (100, "% of the variance")
    text = bootstrap.Estimate(row.value, row.low, row.high, row.n).text(3, scale)
    print(
        f"- {row.id}:", f"{row.verdict}, {text} {unit}" if row.value == row.value else row.verdict
    )

# %% tags=["plumbing"]
made_on = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", made_on).name)

# %% [markdown]
# A verdict that is the same in all lines of a pair does not depend on what is held equal. Where the
# verdicts differ, the answer to the question of the title is "it depends on the budget". How the
# methods compare at other rates is the question of the study [rates](rates.py).
#
# ## Try it yourself
#
# - **Give RVQ less time.** Set `seconds: 1.0` in `tokenizers.yaml` and run the study again. Only
#   the trainings of "equal seconds" are repeated, and their line should move to that of "equal
#   steps".
# - **Look closer.** Delete the lines of "equal seconds" and "equal parameters" from `NAMES` and run
#   that cell. The lower panel gets a scale on which smaller differences can be seen.
#
# The comparison that this study extends is in [02_tokenizers](../02_tokenizers.py). The next
# notebook of the main line is [03_classification](../03_classification.py).

# %%
stage.finish()
