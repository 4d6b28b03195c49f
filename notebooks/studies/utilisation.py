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
# | reads | the cohort (01), VQ, RVQ, QINCo and their codes (02) |
# | writes | use of the codebooks of these; use and error of 32 trainings in eight ways |
# | paper items | ECG-Tok, section 3: utilisation 38.9 / 88.41 / 99.99 %, and what it explains |
# | time | two minutes in `smoke`; 52 nominal minutes in `laptop`, after 01 and 02 |
# | memory | 5 GB in `laptop` |
#
# ECG-Tok's paper explains the fidelity of QINCo by its utilisation: nearly all codewords are in
# use, where VQ uses 39 %. The first part counts the codewords that the tokenizers of
# [02_tokenizers](../02_tokenizers.py) use. In these tokenizers 98.9 to 100 % of the codewords occur
# on some test ECG. Their codebooks start at k-means centres of the latents of an encoder that no
# longer moves. The use is still uneven. The second part takes that care away piece by piece, with
# as many codebooks and codewords as in the released code, and looks at use and error together.
# There each method is trained end to end with its own encoder, as the paper does it. The updates of
# the codebooks, their start and their revival can be as released. The rest is ours, such as QINCo's
# network and the loss; a list is below, beside the paper's figures.
#
# After this notebook you can
#
# - say what a figure of codebook utilisation means, and when it means nothing;
# - say which part of a training keeps codewords in use;
# - say whether a tokenizer that uses more codewords has the smaller error;
# - tell three measures of utilisation apart by what they hide.

# %% tags=["plumbing"]
import time
from itertools import product

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, codebook_use, predictions, reconstruction
from ecglib.fidelity import round_trip
from ecglib.figures import token_use, use_and_error
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE
from ecglib.tokenizers.encode import encode_rows, read_codes
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import SIZES
from ecglib.tokenizers.train import train_jointly

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-utilisation"  # the study's own run
seed = 0  # of the run and of its trainings

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("tokenizer")
NAME = {"vq": "VQ", "rvq": "RVQ", "qinco": "QINCo"}
PAPER = {"vq": 38.9, "rvq": 88.41, "qinco": 99.99}  # pooled utilisation, %
FORM = ["method", "training", "init", "revival"]  # what differs between trainings
ENDS = {("released", "uniform", "none"): "As released", ("ours", "kmeans", "revival"): "Ours"}

# %%
cohort_folder = stage.input("01", "cohort")
only = {"cohort": cohort_folder}
cohort = Cohort.open(cohort_folder)
rows = cohort.rows("test")
codes = {name: read_codes(stage.input("02", f"{name}_codes"), rows).numpy() for name in NAME}
size, books = {}, {}  # codewords of a codebook, codebooks
for name in NAME:
    books[name] = codes[name].shape[2]
    size[name] = load(stage.input("02", name)).rate().vocabulary_size // books[name]
    print(f"{NAME[name]}: codebooks x codewords = {books[name]} x {size[name]}")

# %% [markdown]
# ## Pooled utilisation saturates, so it says little
#
# ECG-Tok's paper reports the share of codewords in use: VQ 38.9 %, RVQ 88.41 %, QINCo 99.99 %. The
# released code counts the distinct indices in a batch of 16 ECGs, all codebooks pooled into one
# range of $K$. This figure rises with the number of codebooks alone. Random codes reach it too,
# even where every codebook uses only a quarter of its codewords:

# %%
k = size["rvq"]
dice = np.random.default_rng(seed).integers(0, k, codes["rvq"].shape)
part = (dice % (k // 4) + np.arange(books["rvq"]) * (k // 4)) % k  # another one per codebook
for what, thrown in {"random codes": dice, "a quarter of each codebook": part}.items():
    share = codebook_use.utilisation_percent(codebook_use.usage_counts(thrown, k))
    percent = codebook_use.pooled_utilisation_percent(thrown, k)
    print(f"{what}: pooled {percent:.1f} %, really in use {share:.0f} %")

# %% [markdown]
# Two measures keep the codebooks apart. One is the share of codewords of each codebook that occur
# on any test ECG. It grows with the number of ECGs and can saturate, too. The other is the
# *perplexity* of the codes as a share of $K$, which does not. The perplexity is $2^H$, where $H$ is
# the entropy of the codes in bits: as many codewords in equal use would have this entropy. The
# perplexity is 100 % of $K$ only when all codewords are used equally often. Positions after the end
# of an ECG do not count.

# %% tags=["plumbing"]
n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
saved = []
for name, chosen in codes.items():
    inside = load(stage.input("02", name)).valid(n_valid).numpy()
    signal = [ecg[valid] for ecg, valid in zip(chosen, inside, strict=True)]
    uses = np.stack([codebook_use.usage_counts(ecg, size[name]) for ecg in signal])  # (ECGs, S, K)
    every = np.stack([codebook_use.usage_counts(ecg, size[name]) for ecg in chosen])
    assert np.array_equal(codebook_use.usage_counts(chosen[inside], size[name]), uses.sum(0))
    ecg, number = (index.ravel() for index in np.indices(uses.shape[:2]))
    use = {"method": name, **cohort.records.iloc[rows[ecg]][["unit", "ecg"]].to_dict("list")}
    flat = {"uses": uses, "padding": every - uses}
    flat = {what: list(counts.reshape(-1, size[name])) for what, counts in flat.items()}
    saved.append(pd.DataFrame(use | {"codebook": number + 1} | flat))
code_use = stage.data("code_use", pd.concat(saved))

# %% [markdown]
# The same is counted for byte pairs: uses of each token, tokens per ECG, and where they are on a
# lead.

# %% tags=["plumbing"]
pairs, coded = load(stage.input("02", "bpe")), read_codes(stage.input("02", "bpe_codes"), rows)
pairs_of = coded[..., 0].numpy()  # (ECGs, tokens of the longest), padded with -1
times = np.bincount(pairs_of[pairs_of >= 0], minlength=len(pairs.symbols))
stage.data("byte_pair_use", pd.DataFrame({"token": np.arange(len(times)), "uses": times}))
stage.data("byte_pair_lengths", pd.DataFrame({"tokens": (pairs_of >= 0).sum(1)}))
widths, n, lead = pairs.widths(coded[:1])[0], int(n_valid[0]), LEADS.index("II")
assert widths.sum() == 12 * n  # the tokens of an ECG fill its twelve leads exactly
token_of_sample = np.repeat(np.arange(len(widths)), widths)[lead * n : (lead + 1) * n]
traced = {"mv": cohort.signals(rows[:1])[0, lead, :n], "segment": token_of_sample}
traced = pd.DataFrame(traced | {"token": pairs_of[0][token_of_sample]})
saved = stage.data("token_overlay_traces", traced)

# %% [markdown]
# ## Eight ways to train three quantisers, end to end
#
# VQ has one codebook, RVQ and QINCo have several of the same size; the numbers are printed below.
# Three choices differ, and they alone can be as in the released code.
#
# - *Training*, which is how codebooks are updated. As released, the codewords of VQ and RVQ follow
#   a running mean of what chooses them (decay 0.8), and the decoder's gradient, on its way to the
#   encoder, is turned as the vector was (rotation trick) instead of copied. QINCo's codebooks have
#   a gradient there too. In ours, all codebooks have a gradient, and the decoder's is copied.
# - *Start.* Codebooks are uniformly random, as released, or k-means centres of latents.
# - *Revival.* Dead codewords stay where they are, as released, or move onto residuals.
#
# The autoencoder is a strided one in the manner of the paper's, with strides, norm and decoder of
# our own and fewer channels; the default run starts at a PCA. The trainings are longer than that
# run's. A quantiser is in place from the first step. The learning rate and the terms of the loss,
# with their weights, are those of the default run.

# %%
joint, own = sizes["train_jointly"], sizes["utilisation"]
common = {key: joint[key] for key in ("learning_rate", "commitment", "squared_weight")}
common |= {key: own[key] for key in ("steps", "batch")}
strided = {"kind": "strided"} | sizes["autoencoders"]["strided"]
common["autoencoder"] = strided | {"widths": own["widths"]}
steps = own["steps"]
common["watch"] = {"every": max(1, steps // settings["looks"]), "ecgs": settings["watch_ecgs"]}
one = sizes["quantisers"]["vq"]
many = one | {"codebooks": settings["codebooks"]}
quantisers = {"vq": one, "rvq": many, "qinco": many | SIZES["fast"]}
revivals = {"none": 0, "revival": max(1, steps // 2 // settings["revivals"])}
print(f"trainings of {steps} steps of {own['batch']} ECGs;", end=" ")
print(f"VQ has 1 codebook, RVQ and QINCo {many['codebooks']}, each of {one['codewords']} codewords")

# %% [markdown]
# RVQ and QINCo at the two ends, all three choices as released and all three as in ours, are trained
# with two more seeds each. All other trainings have one seed.

# %%
folders = {}  # method, training, start, revival, training seed
for training, init, revival in product(("released", "ours"), ("uniform", "kmeans"), revivals):
    for method, quantiser in quantisers.items():
        config = common | {"method": method, "quantiser": quantiser, "init": init}
        config |= {"released": training == "released", "revive_every": revivals[revival]}
        is_end = method != "vq" and (training, init, revival) in ENDS
        for more in (0, *(settings["more_seeds"] if is_end else ())):
            name = f"{method}_{training}_{init}_{revival}" + (f"_{more}" if more else "")
            folder = stage.step(name, train_jointly, config, only, seed + more)
            folders[method, training, init, revival, more] = folder

# %% tags=["plumbing"]
courses = []
for (*form, more), folder in folders.items():
    line = dict(zip(FORM, form, strict=True))
    if not more:
        courses.append(pd.read_csv(folder / "use.csv").assign(**line))
courses = stage.data("courses", pd.concat(courses))

# %% [markdown]
# At its end each tokenizer codes and decodes ECGs of test patients.

# %%
rows = cohort.rows("test")[: settings["test_ecgs"]]
records = cohort.records.iloc[rows]
n_valid = records["n_valid"].to_numpy()
scored, uses = [], []
for (*form, more), folder in folders.items():
    tokenizer, k = load(folder), one["codewords"]
    decode = round_trip.reconstructions(tokenizer, cohort, rows)
    errors = reconstruction.streamed(round_trip.originals(cohort, rows), decode, n_valid)
    item = f"mae_mv:{':'.join(form[1:])}"
    score = errors["mae_mv"].round(6).to_numpy()
    scored.append(predictions.build(records, form[0], seed + more, item, score=score))
    chosen = encode_rows(tokenizer, cohort, rows)
    inside = np.arange(chosen.shape[1]) * tokenizer.autoencoder.hop < n_valid[:, None]
    books = codebook_use.per_codebook(codebook_use.usage_counts(chosen[inside], k))
    line = dict(zip(FORM, form, strict=True)) | {"seed": seed + more}
    line["pooled_percent"] = codebook_use.pooled_utilisation_percent(chosen, k)
    line["used_percent"] = books["utilisation_percent"].mean()
    uses.append(line | {"perplexity_percent": books["perplexity_percent"].min()})
print("saved:", stage.predictions("errors", pd.concat(scored)).name)
uses = stage.data("uses", pd.DataFrame(uses))

# %% [markdown]
# ## What does the paper's loss do, taken literally?
#
# Notebook 02 shows that no gradient reaches a codebook if the paper's loss is taken literally. One
# control is made here, with k-means and without revival, for one step and for all steps of a short
# training. The encoder moves. The codebooks stay where k-means has put them, bit for bit. Beside it
# stands the same training with the codebook loss.

# %%
short = {key: value for key, value in common.items() if key != "watch"}
short |= {"steps": settings["control_steps"], "method": "rvq", "quantiser": many, "revive_every": 0}
literal = short | {"literal": True}
trained = {"literal_first": literal | {"steps": 1}, "literal": literal, "corrected": short}
trained = {
    name: load(stage.step(f"control_{name}", train_jointly, config, only))
    for name, config in trained.items()
}
first, last = (dict(trained[name].named_parameters()) for name in ("literal_first", "literal"))
moved = {name: (first[name] - last[name]).abs().max().item() for name in first}
codewords = moved.pop("quantiser.codebooks")
print(f"largest change of a weight: {max(moved.values()):.2g}; of a codeword: {codewords:.2g}")
assert codewords == 0 and max(moved.values()) > 0

# %% tags=["plumbing"]
lost = []
for name in ("literal", "corrected"):
    total = round_trip.latent_error(trained[name], cohort, rows).sum()
    lost.append({"loss": name, "error_percent": 100 * total["error"] / total["energy"]})
lost = stage.data("literal_loss", pd.DataFrame(lost))

# %% tags=["plumbing"]
made_on = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", made_on).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Use of the codebooks of notebook 02
#
# Three claims have the paper's numbers of utilisation. They are about quantisers on cached latents
# of an encoder that no longer moves, from k-means centres. The paper trains each quantiser with its
# encoder. That is done in the second part, whose utilisation stands beside the paper's below.

# %% tags=["plumbing"]
code_use = stage.read("code_use")  # ECG by ECG, codebook by codebook
units = code_use.drop_duplicates("ecg")["unit"].to_numpy()


def uses_of(name: str, column: str = "uses") -> np.ndarray:
    """Uses of each codeword in each test ECG, (ECGs, codebooks, K)."""
    uses = np.stack(code_use.loc[code_use["method"] == name, column])
    return uses.reshape(len(units), -1, uses.shape[1])


# %%
counts = {name: uses_of(name).sum(0) for name in NAME}  # (codebooks, K)
tables = [codebook_use.per_codebook(c).assign(method=name) for name, c in counts.items()]
stage.table("codebook_stages", pd.concat(tables), "Use of each codebook on test ECGs.")
usage = pd.concat([codebook_use.sorted_usage(c).assign(method=name) for name, c in counts.items()])
stage.figure(
    "codebook_use",
    token_use.codewords(usage),
    usage,
    caption=f"How often each codeword is used on {len(units)} test ECGs, sorted by use, one curve "
    "per codebook. The dashed line is equal use of all codewords. A curve that ends before the "
    "right border has codewords that are never used.",
    alt="Three panels for VQ, RVQ and QINCo: share of the codes against the rank of the codeword, "
    "one falling curve per codebook.",
)

# %% [markdown]
# The intervals come from a bootstrap over patients. For the pooled figure, the ECGs of the drawn
# patients are cut into batches of 16 and counted. For the perplexity, the counts of the drawn
# patients are added up, and the value of the codebook with the least even use is taken. A draw
# leaves out a third of the patients and repeats others, so its codes look less even than they are.
# The interval of the perplexity is therefore too low, and can even be below the value where a
# codebook has few codes per codeword. A claim of the form "at least" is therefore judged more
# strictly.


# %%
def pooled(present: np.ndarray, batch: int = 16) -> float:
    """present (ECGs, K): which codewords occur in each ECG -> percent, mean of batches."""
    starts = np.arange(0, len(present), batch)
    return 100 * np.logical_or.reduceat(present, starts).mean()


def lowest(counted: np.ndarray) -> np.ndarray:
    """counted (r, codebooks, K) -> the lowest perplexity share of a codebook, (r,)."""
    return (2 ** codebook_use.entropy_bits(counted) / counted.shape[-1]).min(axis=-1)


patients, patient = np.unique(units, return_inverse=True)
ecgs_of = [np.flatnonzero(patient == i) for i in range(len(patients))]
draws = np.random.default_rng(seed).integers(len(patients), size=(500, len(patients)))
utilisation, perplexity, dice = {}, {}, {}
for name in NAME:
    uses, every = uses_of(name), uses_of(name) + uses_of(name, "padding")
    present = every.any(1)  # (ECGs, K), with the padding, as in the release
    drawn = [pooled(present[np.concatenate([ecgs_of[i] for i in draw])]) for draw in draws]
    interval = np.quantile(drawn, [0.025, 0.975])
    utilisation[name] = bootstrap.Estimate(pooled(present), *interval, len(patients))
    stage.claim(f"codes.utilisation.{name}", **vars(utilisation[name]))
    totals = np.stack([uses[ecgs].sum(0).ravel() for ecgs in ecgs_of])  # (patients, codebooks K)
    shape = counts[name].shape
    perplexity[name] = bootstrap.of_totals(
        lambda t, shape=shape: lowest(t.reshape(-1, *shape)), totals, seed=seed, resamples=500
    )
    stage.claim(f"codes.perplexity_share.{name}", **vars(perplexity[name]))
    in_batch = 16 * every[0].sum()  # codes, of which each would be equally likely
    dice[name] = 100 * (1 - (1 - 1 / shape[1]) ** in_batch)

# %%
use = pd.DataFrame(
    {
        "method": name,
        "pooled in 16 ECGs (%)": utilisation[name].text(1),
        "random codes (%)": round(dice[name], 1),
        "pooled, paper (%)": PAPER[name],
        "any codebook, any ECG (%)": round(codebook_use.utilisation_percent(c), 1),
        "perplexity share, lowest codebook": perplexity[name].text(2),
    }
    for name, c in counts.items()
)
stage.table("codebook_use", use, "Use of the codebooks on test ECGs.")

# %%
for name in NAME:
    missing = dice[name] - utilisation[name].value
    meaning = "so counting alone explains its pooled figure"
    if missing > 1:
        meaning = (
            f"{missing:.0f} points more than {NAME[name]}: codes are used unequally often, or "
        )
        meaning += "an ECG repeats its own"
    print(f"- {NAME[name]}: random codes reach {dice[name]:.1f} %, {meaning}.", end=" ")
    print(f"The perplexity of its least even codebook is {perplexity[name].text(2, 100)} % of K.")

# %% [markdown]
# ## Byte pairs: which tokens are used, and where
#
# The next figures are after those of ECG-Byte's repository, whose README assigns them to section
# 5.4 of the paper: how often each token is used, how many tokens an ECG needs, and where the tokens
# are on a lead. Its counts are of segments of 2 s: 150 to 1,270 tokens, most often 330 to 440, and
# about 15 letters per token. Ours are of ECGs of 10 s; a fifth of the median is printed below. Its
# picture of tokens on a lead shows single letters: to find a merge, its code compares a tuple with
# a list, and these are never equal. Ours shows the tokens.

# %%
uses = np.sort(stage.read("byte_pair_use")["uses"].to_numpy())[::-1]
of_token = pd.DataFrame({"rank": np.arange(1, len(uses) + 1), "uses": uses})
needed = stage.read("byte_pair_lengths")
stage.figure(
    "token_usage",
    token_use.byte_pairs(of_token, needed),
    pd.concat([of_token, needed], axis=1),
    caption=f"Byte pairs on {len(needed)} test ECGs. (a) Uses of each token against its rank. "
    "(b) Tokens per ECG; the dashed line is the median.",
    alt="Left, a falling curve of token uses against rank on logarithmic axes. Right, a histogram "
    "of the number of tokens per ECG.",
)
top = max(1, len(uses) // 100)
print(f"{needed['tokens'].mean():.0f} tokens per ECG on average; {(uses == 0).sum()} of", end=" ")
print(f"{len(uses)} are never used; the {top} most used make up", end=" ")
print(f"{100 * uses[:top].sum() / uses.sum():.0f} % of all")
print(f"a fifth of the median, as of 2 s: {needed['tokens'].median() / 5:.0f} tokens")

# %%
if stage.has("token_overlay_traces"):  # of real patients no waveform is published
    traced = stage.read("token_overlay_traces")  # one row per sample of lead II
    samples = traced.assign(sample=traced.index).groupby("segment")
    segments = pd.DataFrame({"token": samples["token"].first()})
    segments["begin"] = samples["sample"].min() / RATE
    segments["end"] = (samples["sample"].max() + 1) / RATE
    early = segments[segments["begin"] < 1]  # begin on a flat stretch, so that no beat is cut
    begin = segments["begin"][(early["end"] - early["begin"]).idxmax()]
    segments = segments[(segments["begin"] >= begin) & (segments["end"] <= begin + 2)]
    figure = token_use.overlay(segments, traced["mv"].to_numpy(), RATE)
    figure.axes[0].set_ylabel("Lead II (mV)")
    stage.figure(
        "token_overlay",
        figure,
        segments,
        caption=f"Lead II of a test ECG as byte pairs: {len(segments)} tokens in "
        f"{segments['end'].max() - begin:.1f} s. Numbers: the tokens' ids, where there is room. "
        "Equal tokens have equal colours. Different tokens that touch have different colours.",
        alt="An ECG trace over coloured spans of different widths, one per token, with the numbers "
        "of the wider ones.",
    )
    width = 1000 * (segments["end"] - segments["begin"])
    print(f"The tokens are {width.min():.0f} to {width.max():.0f} ms wide. A wide one is a flat")
    print("stretch: a symbol that many merges have made.")

# %% [markdown]
# ## Use and error during training
#
# Both are measured on validation ECGs at several times of each training. The figure shows the two
# ends: updates, start and revival as released, and all three as in ours. The error is the mean
# absolute error of these ECGs together.

# %%
RELEASED = ("released", "uniform", "none")
CALLED = ENDS | {RELEASED: "Released updates and start"}  # the rest is not as released
courses = stage.read("courses")
form = list(zip(courses["training"], courses["init"], courses["revival"], strict=True))
drawn = courses.assign(form=[CALLED.get(key) for key in form], error_uv=1000 * courses["error"])
drawn = drawn.dropna(subset="form").sort_values("form", kind="stable")
drawn = drawn[["form", "method", "step", "used_percent", "error_uv"]]
stage.figure(
    "courses",
    use_and_error.courses(drawn),
    drawn.round(4),
    caption="Share of the codewords of all codebooks that occur on validation ECGs (above), and "
    "the mean absolute error of their reconstruction (below, on a logarithmic axis), during "
    "training. One training seed, without intervals.",
    alt="Two columns of panels, ours and released updates and start: codewords in use and error "
    "against the step, one curve each for VQ, RVQ and QINCo.",
)

# %% [markdown]
# **What to see.** A curve is a share over all codebooks of a method, so it cannot show whether one
# codebook collapses. Look at the error below at the same step. In `laptop`, with released updates
# and start, RVQ's share falls from 57 % at step 100 to 38 % at step 400, and VQ's from 80 % at step
# 700 to 65 % at the end. Both errors are lower afterwards, so here less use did not cost error.
#
# ## The end of each training, on test patients


# %%
def in_microvolts(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as the page shows it: errors in microvolts, ways of training in words."""
    ends = zip(frame["value"], frame["low"], frame["high"], strict=True)
    error = [f"{1000 * e:.1f} [{1000 * low:.1f}, {1000 * high:.1f}]" for e, low, high in ends]
    frame = frame.drop(columns=["value", "low", "high", "n"]).round(1).assign(error_uv=error)
    ways = {"kmeans": "k-means", "none": "no", "revival": "yes"}
    return frame.replace(ways).rename(columns={"init": "start"})


# %%
errors, scored, uses = [], stage.read("errors"), stage.read("uses")
of_one = scored[scored["seed"] == seed]
for (method, item), part in of_one.groupby(["method", "item"], sort=False):
    line = dict(zip(FORM, (method, *item.split(":")[1:]), strict=True))
    errors.append(line | vars(bootstrap.mean(part, seed=seed)))
table = uses[uses["seed"] == seed].drop(columns="seed").merge(pd.DataFrame(errors), on=FORM)
table["paper_percent"] = table["method"].map(PAPER)
caption = "Use of the codebooks and error (mV) of VQ, RVQ and QINCo, eight ways, one seed."
order = table["method"].map(list(PAPER).index)
table = table.iloc[order.argsort(kind="stable")].reset_index(drop=True)
stage.table("utilisation", table, caption)
in_microvolts(table)

# %%
stage.figure(
    "utilisation",
    use_and_error.scatter(table),
    table.round(5),
    caption="Mean absolute error of the reconstruction against three measures of codebook use, on "
    f"test ECGs of {table['n'].max()} patients; one point per training. Filled: codebooks are "
    "updated as released; open: as in ours. Large: codewords that no vector chooses are moved to "
    "vectors, which is their revival; small: they stay. Both starts (uniform, k-means) have one "
    "mark. The axis of the error is broken at its widest gap. In (a) points of QINCo and RVQ can "
    "overlap at 99 to 100 %. Strokes above the first panel: the use in the paper, which states no "
    "error. Bars are 95 % intervals over patients; one training seed.",
    alt="Three panels of points: the error against pooled utilisation, against codewords in use "
    "and against the perplexity share, for VQ, RVQ and QINCo with released updates and with ours.",
)

# %% [markdown]
# If fidelity came from utilisation, the points of one column would fall on one line that goes down
# to the right, whatever their colour.
#
# ## How much of the error does use explain?
#
# The next cell compares two differences: between methods that use equally many codewords, and
# between trainings of one method. The rank correlation is over the eight trainings of a method.

# %%
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
print("; ".join(f"{NAME[row.method]} {1000 * row.value:.1f} µV" for row in fullest.itertuples()))

# %% [markdown]
# ## Is QINCo ahead of RVQ because RVQ uses fewer codewords?
#
# Both have the same codebooks, and both are trained in the same eight ways. The table has the error
# of RVQ minus that of QINCo for each way, beside the share of codewords that each of them uses. The
# column "seeds" says over how many training seeds: with several, the interval covers these, too.

# %%
scored = scored.groupby(["item", "method"])
gains, lines = {}, []
for way in table.loc[table["method"] == "rvq", FORM[1:]].itertuples(index=False, name=None):
    name = f"mae_mv:{':'.join(way)}"
    pair = [scored.get_group((name, method)) for method in ("rvq", "qinco")]
    gains[way] = bootstrap.paired_difference(*pair, seed=seed)
    seeds = {"seeds": pair[0]["seed"].nunique()}
    lines.append(dict(zip(FORM[1:], way, strict=True)) | vars(gains[way]) | seeds)
by = {"index": FORM[1:], "columns": "method", "values": "used_percent"}
used = uses.pivot_table(**by)[["rvq", "qinco"]]  # means over seeds
gain = pd.DataFrame(lines).merge(used.add_suffix("_used_percent").reset_index(), on=FORM[1:])
caption = "Error of RVQ minus that of QINCo (mV) in eight ways of training, and codewords in use."
stage.table("gain_of_qinco", gain, caption)
in_microvolts(gain).rename(columns={"error_uv": "RVQ minus QINCo (µV)"})

# %% [markdown]
# If QINCo's networks were better whatever the use, all differences would be alike. If its gain
# comes from use, the difference is large in the lines where RVQ uses fewer codewords than QINCo,
# and small where both use all. The section "What it means" says which it is. Revivals end after
# half of a training. With running means a codeword that no vector chooses shrinks towards zero, so
# some are lost again after that.
#
# With the released updates RVQ's codebooks follow running means and QINCo's a gradient, so these
# lines compare two trainings and not quantisers alone.
#
# ## Are the paper's figures in reach?
#
# The paper gives pooled utilisation after training. The nearest of the eight trainings is shown,
# and the one with released updates and start and without revival.

# %%
looked_for = []
for method, part in table.groupby("method", sort=False):
    near = part.loc[(part["pooled_percent"] - PAPER[method]).abs().idxmin()]
    released = part[part[FORM[1:]].eq(list(RELEASED)).all(axis=1)].iloc[0]
    line = {"method": method, "paper (%)": PAPER[method]}
    line["released updates and start (%)"] = round(released["pooled_percent"], 2)
    line["nearest (%)"] = round(near["pooled_percent"], 2)
    looked_for.append(line | {"nearest training": ", ".join(near[FORM[1:]])})
looked_for = pd.DataFrame(looked_for)
stage.table("paper", looked_for, "Pooled utilisation: the paper's, and this study's.")

# %% [markdown]
# In `laptop` two of three are. With released updates and start RVQ has 91.2 % and QINCo 99.9 %.
# VQ's 38.9 % is not: released updates give 27 to 29 %, ours 3 to 4 % without revival, 71 % with it.
#
# What is not as released, in any of the eight trainings (numbers of `laptop`):
#
# - *QINCo's network*: that of QINCo2 in the size `fast`, which adapts and compares 2 candidates per
#   codebook; released is a network of the library without a skip from the base codeword, which
#   adapts and compares all 512 codewords.
# - *The rotation*: one rotation into the sum of all codewords; released is one per codebook.
# - *The loss*: L1 + 30 x squared error, and a codebook term where codebooks have a gradient;
#   released is L1 and the commitment, which also trains QINCo's codebooks.
# - *The optimiser*: AdamW at 2e-3 with one cosine and no weight decay; released is 3e-4 with a
#   cosine that restarts and a weight decay of 1e-4.
# - *The axis*: a vector per time step; released is a vector per channel.
# - *The sizes*: strides of 4, 4 and 2 and up to 64 channels, layer norm, the mirror image as the
#   decoder; released are strides of 2 with max-pooling, up to 128 channels, batch norm, and a
#   decoder without residual blocks.
# - *The data*: 1,500 updates on simulated ECGs; the paper has ten epochs of MIMIC-IV-ECG, MHI and
#   CODE-15 %.
#
# [09_discussion](../09_discussion.py) lists all deviations.
#
# ## What the loss taken literally costs

# %%
lost = stage.read("literal_loss").set_index("loss")["error_percent"]
for name, percent in lost.items():
    print(f"{name} loss: quantisation error {percent:.1f} % of the energy of the latents")

# %% [markdown]
# ## What it means

# %%
released = table[table[FORM[1:]].eq(list(RELEASED)).all(axis=1)]
ours = table[table[FORM[1:]].eq(["ours", "kmeans", "revival"]).all(axis=1)]
for (_, before), (_, after) in zip(released.iterrows(), ours.iterrows(), strict=True):
    print(f"- {NAME[before['method']]}: use {before['used_percent']:.1f} % with released", end=" ")
    print(f"updates and start, {after['used_percent']:.1f} % in ours;", end=" ")
    print(f"error {1000 * before['value']:.1f} and", end=" ")
    print(f"{1000 * after['value']:.1f} microvolts.")

for way, name in CALLED.items():
    text, many = gains[way].text(1, scale=1000), gain.set_index(FORM[1:])["seeds"][way]
    print(f"- RVQ minus QINCo, {name.lower()}: {text} microvolts, {many} training seeds.")

# %%
apart = utilisation["qinco"].value - utilisation["rvq"].value
print(
    f"- In notebook 02 the pooled utilisation of QINCo and RVQ differs by {abs(apart):.1f} points.",
    end=" ",
)
is_full = all(dice[name] - utilisation[name].value < 1 for name in ("rvq", "qinco"))
print("It cannot rank them: random codes reach as much." if is_full else "It is not saturated.")
worse = lost["literal"] > lost["corrected"]
print(f"- The literal loss quantises {'worse' if worse else 'no worse'} than the corrected one.")
stage.print_claims()

# %% [markdown]
# The claims are about the tokenizers of notebook 02: codebooks on cached latents, from k-means
# centres. The paper's numbers, which the first three quote, are of trainings end to end. So these
# three compare two kinds of training; end to end, utilisation is in the table "paper".
#
# Does fidelity come from utilisation? In part. In `laptop` our trainings with revival use 99 % of
# the codewords or more, and err less than those without, in each of the three methods. With
# released updates RVQ errs as little with 58 % in use. VQ with all codewords in use errs by more
# than RVQ with any use, so the number of codes per vector matters more.
#
# Is QINCo ahead because RVQ uses fewer codewords? In our way of training, yes: QINCo is ahead by
# 1.5 and 3.2 µV where RVQ uses fewer, and no difference is shown where both use 99 %. With released
# updates, no: RVQ uses fewer codewords in all four ways, and its error is smaller in all four. This
# does not say that QINCo as released is behind RVQ, because its network and the loss are ours.
#
# Use can explain the error only where it differs between methods that are otherwise alike. VQ
# spends one code per vector, RVQ and QINCo several, whatever their use. Most ways have one training
# seed, so a small difference between two points says nothing.
#
# ## Try it yourself
#
# - **Train longer.** Double `utilisation: steps` in the profile. All trainings are new.
# - **Look at other ends.** Add `("released", "kmeans", "none"): "From k-means"` to `ENDS`, in the
#   cell that opens the stage, and run it and the cell of the figure. It gets a third column. In a
#   run of the study, RVQ and QINCo are trained with more seeds there, too.
#
# The tokenizers of the default run are trained in [02_tokenizers](../02_tokenizers.py).

# %%
stage.finish()
