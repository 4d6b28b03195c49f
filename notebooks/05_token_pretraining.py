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
# # Can a language model learn to continue an ECG?
#
# | | |
# |---|---|
# | reads | the cohort (01), HeartLLM's tokenizer and codes (02), language model and LoRA (04) |
# | writes | the pretrained model, its held-out losses, a forecast, rows with a meaning |
# | paper items | HeartLLM, stages 1 and 2: lead-wise encoder, FSQ, next-ECG-token pretraining |
# | time | 14 s in `smoke`, 3.3 min in `laptop` on two cores |
# | memory | 2.6 GB in `laptop` |
#
# ECG-Tok hands the language model a summary. HeartLLM makes the ECG part of the language: one word
# a time step, from a vocabulary of 1,296 new words, and a model that learns to predict the next
# one.

# %%
import numpy as np
import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, codebook_use, predictions
from ecglib.figures import curves, ecg_leads
from ecglib.language import base as base_model
from ecglib.language import finding_warmup, heartllm
from ecglib.language.system import load_prefix
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.fsq import FSQ
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws batches and starts of weights

# %%
stage = Stage("05", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## A codebook that nobody learns
#
# FSQ squeezes each of four numbers into [0, 1] and rounds it to one of six levels. The grid of
# 6 x 6 x 6 x 6 = 1,296 points is the codebook; there is nothing that could collapse.
#
# $$ z = \sigma(Wh + b), \qquad \hat z = \mathrm{round}(5 z) / 5, \qquad
#    \mathrm{code} = \sum_d \mathrm{level}_d\, 6^d $$
#
# Rounding has no gradient, so training pretends that it was not there (straight-through).

# %%
h = torch.tensor([[-2.0, 0.4, 9.0, -9.0]])  # four numbers of one time step
levels = torch.round(5 * torch.sigmoid(h)).long()
code = sum(int(level) * 6**d for d, level in enumerate(levels[0]))
print("levels", levels[0].tolist(), "-> code", code)
fsq = FSQ(dim=4, levels=6, dims=4)
fsq.project.weight.data.copy_(torch.eye(4))
fsq.project.bias.data.zero_()
assert fsq.encode(h).item() == code
every = torch.arange(1296)
assert (fsq.grid_to_codes(fsq.codes_to_grid(every)) == every).all()

# %% [markdown]
# ## One encoder, twelve leads
#
# The same small network reads each lead by itself; only at the end are the twelve results of a time
# step laid side by side and squeezed into one code. Notebook 02 trained it, on the squared error of
# the paper, and compared it with the others.

# %%
inputs = {"cohort": stage.input("01", "cohort"), "base": stage.input("04", "base")}
inputs |= {"tokenizer": stage.input("02", "fsq"), "codes": stage.input("02", "fsq_codes")}
cohort, tokenizer = Cohort.open(inputs["cohort"]), load(inputs["tokenizer"])
rate = tokenizer.rate()
x = torch.from_numpy(cohort.signals(cohort.rows("test")[:2]))
print("ECGs:", tuple(x.shape), "-> codes:", tuple(tokenizer.encode(x).shape))
print(f"{rate.tokens_per_ecg} tokens of {1000 * tokenizer.hop / RATE:.0f} ms, ", end="")
print(f"{rate.bits_per_ecg:.0f} bits an ECG, raw 16-bit samples {12 * 2500 * 16}")

# %%
test_codes = read_codes(inputs["codes"], cohort.rows("test"))
usage = codebook_use.per_codebook(
    codebook_use.usage_counts(test_codes.numpy(), tokenizer.fsq.codewords)
)
stage.table("usage", usage.round(4), "Use of the 1,296 codes on the test ECGs.")

# %% [markdown]
# ## New words
#
# The model's vocabulary grows by one row a code and two brackets; its own rows stay frozen. A row
# starts where the model's words are, and codes that are neighbours on the grid start as neighbours:
# they mean nearly the same wave. (The released code starts them at random, see the deviations.)

# %%
settings = stage.section("pretraining")
base = base_model.load(inputs["base"], stage.machine)
weight = heartllm.new_prefix(base, tokenizer, settings["start"], seed).weight.detach()
print("new rows:", tuple(weight.shape))
near = (weight[0] - weight[1]).norm()  # one level of one dimension apart
far = (weight[0] - weight[-3]).norm()  # opposite corners of the grid
print(f"distance of neighbours {near:.2f}, of opposite corners {far:.2f}")

# %% [markdown]
# LoRA starts from ECG-Tok's of notebook 04: reports first, questions from there, so that no step is
# spent on learning again how a report reads. (The untrained model has no LoRA.)

# %%
model = {key: inputs[key] for key in ("tokenizer", "base")}
initial = stage.step("initial", heartllm.initialise, {"start": settings["start"]}, model)
assert torch.equal(load_prefix(initial).weight, weight)

# %% [markdown]
# ## Next token, please
#
# $$ L = -\frac1T \sum_t \log P(\text{code}_t \mid \text{code}_{<t}) $$
#
# over the whole sequence. LoRA and the new rows learn. What it must beat is the unigram entropy:
# the loss of a model that knows only how frequent each code is (estimated on the training ECGs).

# %%
tokens = {key: inputs[key] for key in ("codes", "base")}
first = {"cohort": inputs["cohort"], **tokens, "prefix": initial}
first["lora"] = stage.input("04", "ecg_tok")
pretrained = stage.step("pretrained", heartllm.pretrain, settings["training"], first)
losses = pd.read_csv(pretrained / "history.csv")
chosen = scored_sample.test_rows(cohort, settings["test_ecgs"], seed)
held_out = {}
for name, folder in (("heartllm", pretrained), ("untrained", initial)):
    config = {"rows": chosen.tolist(), "batch": settings["training"]["batch"]}
    trained = {**tokens, "system": folder}
    out = stage.step(f"losses_{name}", heartllm.held_out, config, trained)
    held_out[name] = np.load(out / "losses.npy")  # (ECGs, T) nats
print("held-out losses:", held_out["heartllm"].shape)

# %%
train_codes = read_codes(inputs["codes"], cohort.rows("train"))[..., 0].numpy()
counts = np.bincount(train_codes.ravel(), minlength=tokenizer.fsq.codewords) + 1.0  # add-one
surprise = -np.log(counts / counts.sum())
unigram = surprise[read_codes(inputs["codes"], chosen)[..., 0].numpy()]
records = cohort.records.iloc[chosen].reset_index(drop=True)
frames = {
    name: predictions.build(records, name, seed, "token_bits", score=values.mean(1) / np.log(2))
    for name, values in {**held_out, "unigram": unigram}.items()
}
stage.predictions("losses", pd.concat(frames.values(), ignore_index=True))
bits = {name: bootstrap.mean(frame, seed=seed) for name, frame in frames.items()}
gain = bootstrap.paired_difference(frames["heartllm"], frames["unigram"], seed=seed)
stage.claim("pretraining.bits_below_unigram", **vars(gain))

# %%
drawn = losses.assign(method="heartllm")
level = {"unigram": bits["unigram"].value * np.log(2)}
figure = curves.loss(drawn, ylabel="Loss (nats a token)", lines=level, smooth=9)
stage.figure("loss", figure, drawn.round(4))

# %% [markdown]
# What has been learned shows in where it is certain: if at all, later tokens should profit from the
# beats that came before.

# %%
horizon = pd.DataFrame(
    {
        "seconds": np.arange(unigram.shape[1]) * tokenizer.hop / RATE,
        **{name: values.mean(0) for name, values in {**held_out, "unigram": unigram}.items()},
    }
)
thirds = pd.cut(horizon["seconds"], [-1, 1, 3.3, 6.6, 10.1], labels=["<1", "1-3", "3-7", "7-10"])
by_third = horizon.groupby(thirds, observed=True)[["heartllm", "untrained", "unigram"]].mean()
stage.table("loss_by_time", by_third.round(3).reset_index(), "Loss (nats) by seconds of context.")

# %% [markdown]
# ## A forecast, drawn as a signal
#
# The model reads the first part of a test ECG and writes the rest itself, token by token, the most
# likely one each time; the decoder turns the tokens into millivolts. Beside it what really
# followed, also through the tokenizer, so that only the forecast differs.

# %%
example = int(chosen[0])
ahead = {"row": example, "context": settings["context"]}
trained = {**tokens, "system": pretrained}
out = stage.step("forecast", heartllm.continue_ecg, ahead, trained)
forecast = torch.from_numpy(np.load(out / "codes.npy"))[None, :, None]
true = read_codes(inputs["codes"], np.array([example]))
context = settings["context"] * tokenizer.hop
waves = {
    "truth": tokenizer.decode(true)[0].numpy(),
    "forecast": tokenizer.decode(forecast)[0].numpy(),
}
hits = (forecast == true)[0, settings["context"] :].float().mean().item()
print(f"tokens read: {settings['context']}, written: {forecast.shape[1] - settings['context']}")

# %%
figure = ecg_leads.forecast(
    waves["truth"][:, :context],
    waves["truth"][:, context:],
    waves["forecast"][:, context:],
)
values = pd.DataFrame({"seconds": np.arange(2500) / RATE})
for lead in ("II", "V1", "V5"):
    for name, wave in waves.items():
        values[f"{name}_{lead}_mv"] = wave[LEADS.index(lead)].round(4)
stage.figure("forecast", figure, values)

# %% [markdown]
# ## Rows with a meaning
#
# A word of a language model means something before it stands in a sentence; a row that has learned
# only what follows what does not. So the rows are warmed up for some seconds: the mean of an ECG's
# rows should point to the words of the findings that the report of that training ECG mentions. (The
# report's text is read; the simulator's truth is never used.) Notebook 06 starts from here.

# %%
cold = {"cohort": inputs["cohort"], **tokens, "prefix": pretrained}
warmed_up = stage.step("warmed_up", finding_warmup.warm_up, settings["warm_up"], cold)
before, after = (load_prefix(folder).weight for folder in (pretrained, warmed_up))
moved, length = (after - before).norm(dim=1).mean(), before.norm(dim=1).mean()
print(f"mean distance that a row was moved: {moved:.2f}; mean length before: {length:.2f}")

# %% [markdown]
# ## What we saw

# %%
used = usage.iloc[0]
print(f"- {rate.tokens_per_ecg} tokens and {rate.bits_per_ecg:.0f} bits an ECG.")
print(
    f"- Held-out loss: {bits['heartllm'].text(2)} bits a token, unigram {bits['unigram'].text(2)},"
)
print(f"  untrained {bits['untrained'].text(2)}; gain over unigram {gain.text(2)}.")
first, last = by_third.iloc[0], by_third.iloc[-1]
print(f"- First second: {first['heartllm']:.2f} nats a token, unigram {first['unigram']:.2f};")
print(f"  after seven seconds: {last['heartllm']:.2f}, unigram {last['unigram']:.2f}.")
print(f"- {100 * hits:.0f} % of the greedy forecast's tokens are the true ones.")

# %%
stage.finish()
