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
# | reads | the cohort (01), HeartLLM's tokenizer and codes (02), the language model (04) |
# | writes | the pretrained model, its held-out losses, a forecast |
# | paper items | HeartLLM, stages 1 and 2: lead-wise encoder, FSQ, next-ECG-token pretraining |
# | time | 16 s in `smoke`, 2 to 4 nominal minutes in `laptop` on two cores |
# | memory | 2 GB in `laptop` |
#
# After this notebook you can
#
# - say what a token of HeartLLM describes, and how a language model gets an embedding for it,
# - compute the next-token loss of a language model from its scores, and compare it with that of
#   simple floors: a unigram, a bigram and a copy of the token one beat ago,
# - judge a forecast of an ECG from its tokens, its amplitude and its loss.
#
# Previous: [04_report_generation](04_report_generation.py). Next:
# [06_instruction_tuning](06_instruction_tuning.py).
#
# ECG-Tok gives the language model a few summary vectors per ECG. HeartLLM makes the ECG part of the
# vocabulary instead: one new token per time step, out of 1,296. Before the model reads ECGs and
# text together, it is trained to predict the next ECG token. How well does it learn that?

# %% tags=["plumbing"]
import numpy as np
import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, codebook_use, predictions
from ecglib.figures import curves, ecg_leads, style
from ecglib.labels.label_set import ABSENT, PRESENT, Label
from ecglib.language import base as base_model
from ecglib.language import next_tokens
from ecglib.language.packing import backbone
from ecglib.language.system import load_prefix
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws batches and starts of weights

# %% tags=["plumbing"]
stage = Stage("05", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## The tokens of one ECG
#
# Notebook 02 built and trained the tokenizer. One small encoder reads each of the twelve leads
# alone. At each time step the channels of all leads are projected to four numbers, which finite
# scalar quantisation (FSQ) rounds to six levels each. The grid of 6 x 6 x 6 x 6 = 1,296 points is
# the codebook. So one token describes all leads during one hop, the time between two tokens.

# %%
inputs = stage.inputs("heartllm_pretrained_initial")  # cohort, base, tokenizer, codes
cohort, tokenizer = Cohort.open(inputs["cohort"]), load(inputs["tokenizer"])
row = cohort.rows("test")[:1]
ecg = torch.from_numpy(cohort.signals(row))  # (1, 12, 2500) mV
codes = tokenizer.encode(ecg)[0, :, 0]  # (T,)
print("codes:", tuple(codes.shape), *codes[:8].tolist(), "...")

# %% [markdown]
# Turning lead V1 upside down changes nothing in what the encoder makes of lead II. It does change
# the codes, since they are made from all leads together.

# %%
turned = ecg.clone()
turned[:, LEADS.index("V1")] *= -1
end = tokenizer.positions * tokenizer.hop - ecg.shape[-1]
leads = [torch.nn.functional.pad(of[0], (0, end))[:, None] for of in (ecg, turned)]  # (12, 1, n)
with torch.no_grad():
    before, after = (tokenizer.encoder(of) for of in leads)  # (12, C, T)
assert torch.allclose(before[LEADS.index("II")], after[LEADS.index("II")], atol=1e-5)
assert not torch.allclose(before[LEADS.index("V1")], after[LEADS.index("V1")], atol=1e-5)
changed = int((tokenizer.encode(turned)[0, :, 0] != codes).sum())
print(f"features of lead II: unchanged; codes changed: {changed} of {len(codes)}")

# %% [markdown]
# A code depends only on a stretch of signal around it. **Ours, not the paper's:** the encoder
# normalises over the channels of each position, where the released one takes its statistics over
# the whole lead. Each token covers a longer hop than the released 32 ms in the `smoke` and `laptop`
# profiles, and the signal is read in millivolts and not z-scored.

# %%
rate = tokenizer.rate()
print(f"{rate.tokens_per_ecg} tokens of {1000 * tokenizer.hop / RATE:.0f} ms per ECG, ", end="")
print(f"{rate.bits_per_ecg:.0f} bits; raw 16-bit samples: {12 * ecg.shape[-1] * 16} bits")

# %% tags=["plumbing"]
codes_of = {name: read_codes(inputs["codes"], cohort.rows(name)) for name in ("train", "test")}
size = tokenizer.fsq.codewords
counted = {
    name: codebook_use.usage_counts(part.numpy(), size)[0] for name, part in codes_of.items()
}
saved = stage.data("code_use", pd.DataFrame({"code": np.arange(size), **counted}))

# %%
code_use = stage.read("code_use")
usage = codebook_use.per_codebook(code_use[["test"]].to_numpy().T)
stage.table("usage", usage.round(4), "Use of the 1,296 codes on the test ECGs.")
share = code_use["test"].max() / code_use["test"].sum()
print(f"{usage['used'].iloc[0]} of {len(code_use)} codes occur in the test ECGs; the commonest is")
print(f"{100 * share:.1f} % of all tokens")
usage.round(2)

# %% [markdown]
# **What to see.** The column *used* counts the codes that occur at all. The *perplexity* is the
# number of equally frequent codes that would have the same entropy. The points of a grid cannot
# collapse into one, but they can be used unevenly. The entropy is also the loss, in bits, of a
# model that knows these frequencies and nothing else.
#
# ## The vocabulary grows by 1,298 tokens
#
# The 1,296 codes get the ids 0 to 1,295, and two brackets follow: `<start_ecg>` and `<end_ecg>`.
# Each new token gets one embedding, apart from the embeddings of the text.

# %%
base = base_model.load(inputs["base"], stage.machine)
initial = stage.make("heartllm_pretrained_initial")
embedding = load_prefix(initial).to(stage.machine.device)
ids = embedding.bracket(codes[None])[0]  # (T + 2,)
print("ids of one ECG:", *ids[:6].tolist(), "...", *ids[-4:].tolist())
print(f"text tokens: {len(base.tokenizer)}; new embeddings: {tuple(embedding.weight.shape)}")
assert ids[0] == size and ids[-1] == size + 1  # the brackets
assert ids[1:-1].min() >= 0 and ids[1:-1].max() < size  # the codes

# %% [markdown]
# **Ours, not the paper's:** the embedding of a code is a sum. Each level of each of the four
# numbers of FSQ has a vector, and a code has one of its own. The levels start in order along a
# line, so that neighbouring points of the grid, which decode to nearly the same wave, start with
# nearly the same vector. The released code has one vector per code and leaves their start to its
# library. The documented rule draws them independently, from a normal with the mean and the
# covariance of the words. In the version that it pins, a faulty check copies the mean instead.

# %%
weight = embedding.weight.detach()
by_hand = embedding.own[777]  # (d,)
for place, of_level in enumerate(embedding.of_levels):  # the digits of 777 in base 6 are its levels
    by_hand = by_hand + of_level[777 // 6**place % 6]
assert torch.allclose(by_hand, weight[777], atol=1e-6)
near = (weight[0] - weight[1]).norm()  # one level of one dimension apart
far = (weight[0] - weight[size - 1]).norm()  # opposite corners of the grid
print(f"distance of neighbours {near:.2f}, of opposite corners {far:.2f}")

# %% [markdown]
# ## The next-token loss of three tokens, by hand
#
# The model reads a token and scores what may follow. The score of a candidate is the inner
# product of the model's last hidden state with the candidate's embedding, plus a bias. The bias
# starts as the logarithm of how often the candidate occurs in training, so that the model need
# not learn that. The loss of one token is minus the logarithm of the probability that the softmax
# of all scores gives to the true next token:
#
# $$ L = -\frac1T \sum_t \log P(\text{code}_t \mid \text{code}_{<t}) $$
#
# The next cell uses three tokens of the ECG in place of the whole sequence. Each of the three is
# predicted once, from `<start_ecg>` and the tokens before it.

# %%
three = codes[None, 20:23].to(stage.machine.device)  # (1, 3)
read = embedding.bracket(three)[:, :-1]  # (1, 4): <start_ecg> and the three codes
with torch.no_grad():
    vectors = embedding.embed(read).to(base.model.dtype)  # (1, 4, d)
    hidden = backbone(base.model)(inputs_embeds=vectors, use_cache=False).last_hidden_state
    scores = (hidden[:, :-1] @ embedding.weight.to(hidden.dtype).T)[0]  # (3, 1298)
    scores = (scores + embedding.bias).float()
    log_p = scores - scores.logsumexp(-1, keepdim=True)  # log-softmax
    by_hand = -log_p[torch.arange(3), three[0]]  # (3,) nats
    library = next_tokens.next_token_losses(base.model, embedding, three)[0]
print("hidden states:", tuple(hidden.shape), " scores:", tuple(scores.shape))
print("losses in nats:", by_hand.cpu().numpy().round(3))
print(f"a uniform guess over {size + 2} tokens has {np.log(size + 2):.3f} nats per token")
assert torch.allclose(by_hand, library, rtol=1e-2, atol=1e-2)

# %% [markdown]
# **Ours, not the paper's:** the bias, and the softmax over the new tokens alone. That of the
# released code runs over the whole vocabulary, but after `<start_ecg>` no text can follow.
#
# ## Three floors: unigram, bigram, and a copy of one beat ago
#
# A loss must be compared with a floor, a simple method that a model must beat. The *unigram* knows
# how frequent each code is in the training ECGs. The *bigram* also knows which code came
# immediately before. No floor is a neural network. From the count $n_{ab}$ of code $b$ after code
# $a$, with $n_a = \sum_b n_{ab}$,
#
# $$ P(b) = \frac{n_b + 1}{\sum_c (n_c + 1)}, \qquad
#    P(b \mid a) = \frac{n_{ab} + \lambda P(b)}{n_a + \lambda}. $$
#
# The smoothing $\lambda$ pulls the estimate after a rare $a$ towards the unigram. It is chosen on
# the validation ECGs.


# %%
def unigram(codes: np.ndarray, size: int) -> np.ndarray:
    """P(b), (size,), from training codes (B, T), with one count added to each code."""
    counts = np.bincount(codes.ravel(), minlength=size) + 1.0
    return counts / counts.sum()


def pair_counts(codes: np.ndarray, size: int) -> np.ndarray:
    """n_ab, (size + 1, size), from codes (B, T); the last row follows <start_ecg>."""
    before = np.pad(codes[:, :-1], ((0, 0), (1, 0)), constant_values=size)
    pairs = np.bincount((before * size + codes).ravel(), minlength=(size + 1) * size)
    return pairs.reshape(size + 1, size)


def bigram_losses(
    pairs: np.ndarray, prior: np.ndarray, strength: float, codes: np.ndarray
) -> np.ndarray:
    """-log P(b | a) in nats at each position of codes (B, T)."""
    before = np.pad(codes[:, :-1], ((0, 0), (1, 0)), constant_values=len(prior))
    chance = pairs[before, codes] + strength * prior[codes]
    return -np.log(chance / (pairs.sum(1)[before] + strength))


# %% [markdown]
# A toy with two codes and the training sequence 0 1 0 1 1: code 1 followed code 0 twice, and code 0
# followed code 1 once. With $\lambda = 1$, what is $P(1 \mid 0)$?

# %%
toy = np.array([[0, 1, 0, 1, 1]])
prior = unigram(toy, 2)  # (2 + 1) / 7 and (3 + 1) / 7
by_hand = (2 + 4 / 7) / (2 + 1)
losses = bigram_losses(pair_counts(toy, 2), prior, 1.0, np.array([[0, 1]]))
print(f"P(1 | 0) = {by_hand:.3f}, loss {-np.log(by_hand):.3f} nats")
assert np.isclose(losses[0, 1], -np.log(by_hand))

# %%
train_codes = codes_of["train"][..., 0].numpy()  # (training ECGs, T)
prior, pairs = unigram(train_codes, size), pair_counts(train_codes, size)
validation = read_codes(inputs["codes"], cohort.rows("validation"))[..., 0].numpy()
strengths = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]
choice = [bigram_losses(pairs, prior, one, validation).mean() for one in strengths]
stage.data("bigram_validation", pd.DataFrame({"strength": strengths, "nats": choice}))
strength = strengths[int(np.argmin(choice))]
print(f"chosen on {len(validation)} validation ECGs: strength {strength:g}")

# %% [markdown]
# The third floor knows that an ECG repeats itself. At each token it asks by which lag, between
# 0.3 s and 2 s, the tokens so far have repeated most often. The *copy* gives a share $w$ of the
# probability to the token at that lag before, and the rest as the bigram does.


# %%
def one_beat_ago(codes: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """The code at the best lag before each position, (B, T); -1 where there is none yet."""
    hits = np.zeros((len(lags), *codes.shape), np.int32)
    for repeated, lag in zip(hits, lags, strict=True):
        repeated[:, lag:] = codes[:, lag:] == codes[:, :-lag]
    past = hits.cumsum(2) - hits  # repetitions before each position
    before = np.arange(codes.shape[1]) - lags[past.argmax(0)]  # (B, T)
    copied = np.take_along_axis(codes, before.clip(min=0), 1)
    return np.where((past.max(0) > 0) & (before >= 0), copied, -1)


def copy_losses(bigram: np.ndarray, copied: np.ndarray, codes: np.ndarray, w: float) -> np.ndarray:
    """-log P in nats (B, T), from those of the bigram and the copied codes."""
    share = np.where(copied >= 0, w, 0.0)
    return -np.log((1 - share) * np.exp(-bigram) + share * (copied == codes))


# %%
toy = np.array([[5, 6, 7, 5, 6, 7, 5]])
assert one_beat_ago(toy, np.array([2, 3])).tolist() == [[-1, -1, -1, -1, 6, 7, 5]]
step = RATE / tokenizer.hop  # tokens a second
lags = np.arange(max(1, round(0.3 * step)), round(2 * step) + 1)
copied, least = one_beat_ago(validation, lags), bigram_losses(pairs, prior, strength, validation)
weights = [0.01, 0.03, 0.1, 0.2, 0.3]
choice = [copy_losses(least, copied, validation, one).mean() for one in weights]
stage.data("copy_validation", pd.DataFrame({"weight": weights, "nats": choice}))
weight_of_copy = weights[int(np.argmin(choice))]
print(f"right copies: {100 * (copied == validation).mean():.0f} % of the tokens;", end=" ")
print(f"chosen on validation ECGs: w = {weight_of_copy:g}")

# %% [markdown]
# ## Pretraining
#
# A LoRA on all linear layers of the language model, and the new embeddings, learn on ECGs of the
# training patients, each once before any comes again. They start from the base and from no other
# system. The weights of the base stay, but the LoRA changes what they make of words, too;
# notebook 06 goes on with the same LoRA. The loss covers the whole sequence, as the paper's text
# says. In the released code the model reads a window of tokens, and only the next block of at
# most 30 tokens is in the loss.

# %%
pretrained = stage.make("heartllm_pretrained")
entry = stage.part("heartllm_pretrained").settings
print(f"{entry['steps'] * entry['batch']} views of {len(train_codes)} training ECGs")
tokens = {key: inputs[key] for key in ("codes", "base")}

# %% [markdown]
# The losses on the held-out ECGs are computed token by token. Five methods are compared: the
# pretrained model, the model before this training (the base, embeddings as initialised), and the
# three floors.

# %%
sizes = stage.section("forecast")
chosen = scored_sample.test_rows(cohort, sizes["test_ecgs"], seed)
held_out = {}
for name, folder in (("heartllm", pretrained), ("untrained", initial)):
    config_of = {"rows": chosen.tolist(), "batch": 16}
    out = stage.step(f"losses_{name}", next_tokens.held_out, config_of, tokens | {"system": folder})
    held_out[name] = np.load(out / "losses.npy")  # (ECGs, T) nats
test_codes = read_codes(inputs["codes"], chosen)[..., 0].numpy()
held_out["unigram"] = -np.log(prior)[test_codes]
held_out["bigram"] = bigram_losses(pairs, prior, strength, test_codes)
copied = one_beat_ago(test_codes, lags)
held_out["copy"] = copy_losses(held_out["bigram"], copied, test_codes, weight_of_copy)
print("held-out losses (ECGs, T):", held_out["heartllm"].shape)

# %% tags=["plumbing"]
records = cohort.records.iloc[chosen].reset_index(drop=True)
frames = [
    predictions.build(records, name, seed, "token_bits", score=values.mean(1) / np.log(2))
    for name, values in held_out.items()
]
stage.predictions("losses", pd.concat(frames, ignore_index=True))
seconds = np.arange(held_out["unigram"].shape[1]) * tokenizer.hop / RATE
by_position = {name: values.mean(0) for name, values in held_out.items()}
stage.data("loss_by_position", pd.DataFrame({"seconds": seconds, **by_position}))
saved = stage.data("history", pd.read_csv(pretrained / "history.csv").assign(method="heartllm"))

# %% [markdown]
# ## A forecast
#
# The model reads the first part of a test ECG and writes the rest itself, reading its own output.
# The greedy forecast takes the most likely token each time; others are drawn from the model's
# probabilities. The decoder turns the tokens into millivolts. The true continuation also goes
# through the tokenizer, so that only the forecast differs. The ECG is the first of the held-out
# ones in sinus rhythm that is not labelled irregular. It can have other findings.

# %%
of_chosen = cohort.labels[chosen]  # (held-out ECGs, 77)
regular = of_chosen[:, Label.SINUS_RHYTHM] == PRESENT
regular &= of_chosen[:, Label.REGULAR] != ABSENT
example = int(chosen[np.argmax(regular)])  # the first one where none is in sinus rhythm
ahead = {"row": example, "context": sizes["context"], "samples": sizes["samples"]}
out = stage.step("forecast", next_tokens.continue_ecg, ahead, tokens | {"system": pretrained})
forecasts = torch.from_numpy(np.load(out / "codes.npy").astype(np.int64))[..., None]
true = read_codes(inputs["codes"], np.array([example]))  # (1, T, 1)
written = torch.cat([true, forecasts])  # what followed, the greedy forecast, drawn ones
waves = tokenizer.decode(written).numpy()  # (2 + samples, 12, n) mV
print(f"tokens read: {sizes['context']}, written: {true.shape[1] - sizes['context']}", end="; ")
print("waves:", waves.shape)

# %% tags=["plumbing"]
names = ["true", "greedy", *(f"drawn{number}" for number in range(1, len(written) - 1))]
traces = {"written": np.arange(waves.shape[2]) >= sizes["context"] * tokenizer.hop}
traces["sinus"] = np.full(waves.shape[2], regular.any())
for name, wave, of in zip(names, waves, written[..., 0].numpy(), strict=True):
    microvolts = np.rint(1000 * wave).astype(np.int32)
    traces |= {f"{name}_{lead}_uv": microvolts[i] for i, lead in enumerate(LEADS)}
    traces[f"{name}_token"] = np.repeat(of, tokenizer.hop)[: wave.shape[1]]
saved = stage.data("forecast_traces", pd.DataFrame(traces))

# %% [markdown]
# ## From here on: saved predictions
#
# Values with a 95 % interval are means over all training seeds of the run, unless a caption says
# otherwise. Losses, costs, examples and counts of single answers are of its own training seed.
#
# ## What pretraining learned
#
# The table, the differences below it and the summary at the end have the loss in bits per token.
# The figures and the table by seconds have it in nats. A nat is the unit of the natural logarithm,
# and 1 nat is 1.44 bits. The table has means over the training seeds. Each seed has a tokenizer and
# a model of its own, and the figures are of one. So their numbers differ in the same unit, too. The
# perplexity $2^{bits}$ is the number of equally likely tokens that would be as hard to guess. The
# claim of this notebook compares the model with the bigram.

# %%
losses = stage.read_seeds("losses")
frames = {name: part for name, part in losses.groupby("method")}
bits = {name: bootstrap.mean(part, seed=seed) for name, part in frames.items()}
below = {
    name: bootstrap.paired_difference(frames["heartllm"], frames[name], seed=seed)
    for name in ("unigram", "bigram", "copy")
}
ahead = bootstrap.paired_difference(frames["bigram"], frames["heartllm"], seed=seed)
stage.claim("pretraining.bits_below_bigram", **vars(ahead))
n_new = len(stage.read("code_use")) + 2
floors = {"uniform": bootstrap.Estimate(np.log2(n_new), np.nan, np.nan, bits["heartllm"].n)}
table = pd.DataFrame(
    {"method": name, **vars(estimate), "perplexity": 2**estimate.value}
    for name, estimate in {**floors, **bits}.items()
)
table = table.sort_values("value", ascending=False, kind="stable").reset_index(drop=True)
caption = f"Held-out next-token loss in bits per token, worst first [95 % over {ahead.over}]."
table = table.rename(columns={"value": "bits_per_token"})
best = {"bits_per_token": "min", "perplexity": "min"}
stage.table("losses", table.round(4), caption, best).round(2)

# %%
behind = below["bigram"]
for name, difference in below.items():
    print(f"HeartLLM minus {name}: {difference.text(2)} bits per token")
if behind.low > 0:
    print("The table of pairs predicts better than the language model: pretraining has not learned")
    print("as much as which code usually follows which.")
elif behind.high < 0:
    print("The language model predicts better than the table of pairs. Whether it uses a longer")
    print("past is asked below.")
else:
    print("The interval includes zero: the language model has not clearly passed the bigram.")
stage.print_claims(only=["pretraining.bits_below_bigram"])

# %% [markdown]
# **What to see.** *n* counts the patients, *low* and *high* bound the 95 % interval. *Untrained* is
# near the unigram and not near *uniform*, because the bias of its scores starts at the frequencies
# of the codes.

# %%
history = stage.read("history")
FLOOR = {"unigram": "Unigram", "bigram": "Bigram", "copy": "Copy of the last beat"}
own = losses[losses["seed"] == seed].groupby("method")["score"].mean() * np.log(2)  # nats
level = {name: own[name] for name in FLOOR}
n_ecgs, n_patients = frames["heartllm"]["ecg"].nunique(), bits["heartllm"].n
lines = {FLOOR[name]: of for name, of in level.items()}
figure = curves.loss(history, ylabel="Loss (nats per token)", lines=lines, smooth=9)
stage.figure(
    "loss",
    figure,
    history.round(4),
    f"Training loss of next-token pretraining over {len(history)} steps (faint: single steps; "
    f"strong: running mean). Lines across: the floors on {n_ecgs} held-out ECGs, on which HeartLLM "
    f"has a loss of {own['heartllm']:.2f} after training. The unigram knows how often each token "
    "occurs, the bigram which token follows which, and the copy of the last beat adds the token of "
    "one beat ago to the bigram. One training seed, also of the floors.",
    "A loss curve that falls with the training step, with three horizontal lines for the floors.",
)

end = history["loss"].tail(20).mean()
below = [name for name, of in level.items() if end < of] or ["none of the floors"]
print(f"Over the last 20 steps the loss is {end:.2f} nats per token, below:", ", ".join(below))

# %% [markdown]
# **What to see.** The curve is the loss on training ECGs, the lines are floors on held-out ECGs. So
# only the table above, all of it on held-out ECGs, shows which floor is beaten. The learning rate
# falls to zero at the end, so a flat end does not show that more updates would bring nothing.
#
# ## Does a longer past help?
#
# A model that recognises the beats of this patient should predict later tokens better than early
# ones. The unigram and the bigram cannot do this, because they never use more than one earlier
# token. Where they fall, the tokens themselves are easier to guess. The copy can do it. The next
# table (in nats) and figure are of one training seed.

# %%
horizon = stage.read("loss_by_position")
names = ["heartllm", "untrained", "unigram", "bigram", "copy"]
names_of = ["<1", "1-3.3", "3.3-6.6", "6.6-10"]
thirds = pd.cut(horizon["seconds"], [-1, 1, 3.3, 6.6, 10.1], labels=names_of)
by_third = horizon.groupby(thirds, observed=True)[names].mean()
caption = "Loss (nats per token) by seconds of context, one training seed."
stage.table("loss_by_time", by_third.round(3).reset_index(), caption)

# %%
looks = {"heartllm": (style.method("heartllm").colour, "-", "HeartLLM")}
looks["unigram"] = (style.BLACK, "--", FLOOR["unigram"])
looks["bigram"] = (style.BLACK, ":", FLOOR["bigram"])
looks["copy"] = (style.BLACK, "-.", FLOOR["copy"])
with style.canvas(style.COLUMN, 2.2) as figure:
    axes = figure.add_subplot()
    for name, (colour, line, label) in looks.items():
        smooth = curves.running_mean(horizon[name], 5)
        if name == "heartllm":
            axes.plot(horizon["seconds"], horizon[name], color=colour, lw=0.5, alpha=0.3)
        axes.plot(horizon["seconds"], smooth, color=colour, ls=line, label=label)
    axes.set(xlabel="Time of the token (s)", ylabel="Loss (nats per token)")
    axes.grid(True)
    style.legend(figure, axes, ncols=3)
stage.figure(
    "loss_by_position",
    figure,
    horizon.round(4),
    f"Held-out next-token loss by the token's time in the recording, mean of {n_ecgs} ECGs of "
    f"{n_patients} patients: running means over five tokens, and of HeartLLM each token (faint). "
    "At both ends the mean has fewer tokens, and the last token covers mostly the padding behind "
    "the end of the recording. One training seed. Without intervals; the table of losses has those "
    "of the means over all "
    "positions.",
    "Four curves of loss against time: the language model and the three floors.",
)
first, second, last = (by_third.iloc[place] for place in (0, 1, -1))
for name in ("heartllm", "unigram", "bigram", "copy"):
    early, late = second[name] - first[name], last[name] - second[name]
    called = FLOOR.get(name, "HeartLLM")
    print(f"{called}: {early:+.2f} nats from the first second to 1-3.3 s,", end=" ")
    print(f"{late:+.2f} nats from there to the last 3.4 s")
fall = {name: second[name] - last[name] for name in ("heartllm", "unigram", "bigram")}
more = fall["heartllm"] - max(fall["unigram"], fall["bigram"])
print(f"From 1-3.3 s to the end HeartLLM's loss falls by {more:.2f} nats more than", end=" ")
print("the unigram's or the bigram's, whichever falls more (one training seed, no interval).")

# %% [markdown]
# **What to see.** The first change needs no long past: tokens of the first second have hardly any
# context. Whether a longer past helps is shown by the second change. The unigram reads no context,
# so its fall shows how much easier the later tokens of these ECGs are. The bigram forgets all but
# one token. If HeartLLM's loss falls by more than both, it uses tokens from more than about a
# second back. If it does not, it can still use the few tokens before the last one. The copy of the
# last beat can fall only once there is a beat to copy.
#
# ## The forecast, drawn as a signal

# %%
if stage.has("forecast_traces"):  # of real patients no waveform is published
    traces = stage.read("forecast_traces")
    names = [name.removesuffix("_token") for name in traces.columns if name.endswith("_token")]
    begin = int(traces["written"].to_numpy().argmax())  # the first sample that the model wrote
    waves = {
        name: np.stack([traces[f"{name}_{lead}_uv"] / 1000 for lead in LEADS])  # (12, n) mV
        for name in names
    }

# %% [markdown]
# Some numbers describe the picture. The amplitude is the distance from the 1st to the 99th
# percentile of a lead. Its ratio to the truth is near 1 for a forecast with beats of the right
# size, and near 0 for a flat line. The first second of the forecast is left out, because the
# decoder still draws the end of the context there. The amplitude alone can mislead: a decoder that
# was hardly trained draws a large pattern for any token. So the tokens are counted too, with those
# of the first second. The *right tokens* are the share of the time at which the forecast has the
# true token. A flat line can score well there: it repeats one quiet token, which is right in many
# of the pauses between beats. A floor without a
# model, *repeated*, copies the end of the context again and again, as long as the median interval
# between its beats.

# %%
if stage.has("forecast_traces"):
    from ecglib.signals.heartbeats import r_peaks

    beats = r_peaks(waves["true"][:, :begin], RATE)
    lag = int(np.median(np.diff(beats))) if len(beats) > 1 else RATE  # samples
    again = np.arange(len(traces))
    again[begin:] = begin - lag + np.arange(len(traces) - begin) % lag
    waves["repeated"] = waves["true"][:, again]
    traces["repeated_token"] = traces["true_token"].to_numpy()[again]
    names = [*names, "repeated"]


# %%
def in_words(name: str) -> tuple[str, float, float]:
    """A forecast in words; its amplitude, as a share of the true one (median of leads), and the
    share of its commonest token."""
    tail = slice(begin + RATE, None)  # from one second after the context
    spread = {
        of: np.ptp(np.quantile(waves[of][:, tail], [0.01, 0.99], axis=1), 0)
        for of in (name, "true")
    }
    amplitude = float(np.median(spread[name] / np.maximum(spread["true"], 1e-6)))
    repeated = float(traces[f"{name}_token"].iloc[tail].value_counts(normalize=True).max())
    if amplitude < 0.25:
        return "a flat line", amplitude, repeated
    if repeated > 0.8:
        return "one token repeated", amplitude, repeated
    return f"{100 * amplitude:.0f} % of the true amplitude", amplitude, repeated


# %%
shape = "not published, since it is the ECG of a patient"
if stage.has("forecast_traces"):
    forecasts = {name: in_words(name) for name in names[1:]}
    shape = forecasts["greedy"][0]
    rows = [("truth", 1.0, traces["true_token"].iloc[begin:].nunique(), np.nan, "")]
    for name, (words, amplitude, _) in forecasts.items():
        of = traces.loc[begin:, [f"{name}_token", "true_token"]].to_numpy()
        rows.append((name, amplitude, len(set(of[:, 0])), (of[:, 0] == of[:, 1]).mean(), words))
    columns = ["forecast", "amplitude / true amplitude", "different tokens", "right tokens"]
    table = pd.DataFrame(rows, columns=[*columns, "after one second"]).round(3)
    stage.table("forecast", table, "The forecasts in numbers and in words.")
    print(table.to_string(index=False))

# %%
if stage.has("forecast_traces"):
    drawn = {
        f"{'Greedy' if name == 'greedy' else 'Drawn'}: {forecasts[name][0]}": waves[name][:, begin:]
        for name in names[1:3]
    }
    values = pd.DataFrame({"seconds": np.arange(len(traces)) / RATE})
    for lead in ("II", "V1", "V5"):
        for name in names[:3]:
            values[f"{name}_{lead}_mv"] = waves[name][LEADS.index(lead)].round(4)
    stage.figure(
        "forecast",
        ecg_leads.forecast(waves["true"][:, :begin], waves["true"][:, begin:], drawn),
        values,
        f"One held-out ECG{' in sinus rhythm' if traces['sinus'].all() else ''}. The model read "
        f"{begin / RATE:.1f} s and wrote the rest: the most likely token each time, or one drawn "
        "from its probabilities. Black: the last seconds of what it read. Grey: what truly "
        "followed, through the same tokenizer.",
        "Three leads: the context in black, what followed in grey and two forecasts in colour.",
    )

# %% [markdown]
# **What to see.** The legend says what each line is: flat, or with beats, which should come at the
# rhythm of the grey ones. A flat greedy line has a simple cause. Most tokens of an ECG belong to
# the quiet time between two beats. If the model does not know when the next beat comes, the most
# likely token is always a quiet one, and a greedy forecast never leaves it. A drawn one does leave
# it. Compare the intervals between its beats with those of the grey line. The share of right tokens
# does not measure the rhythm: a flat line has no beat and can still have the largest share, and
# *repeated*, which copies the rhythm of the context, can have a smaller one.
#
# ## What it means

# %%
print(f"- Held-out loss on {n_ecgs} ECGs: {bits['heartllm'].text(2)} bits per token.")
print(f"  Unigram {bits['unigram'].text(2)}, bigram {bits['bigram'].text(2)}.")
answer = "yes" if behind.high < 0 else "no"
print(
    f"- Does it predict better than the table of which code follows which? {answer.capitalize()}:"
)
print(f"  {behind.text(2)} bits per token against the bigram.")
verdict = "yes, by its loss" if behind.high < 0 else "by its loss no better than a table of pairs"
print(f"- Can it continue an ECG? To the next token {verdict}.")
print(f"  The greedy forecast after one second: {shape}.")
steps = second["heartllm"] - first["heartllm"], last["heartllm"] - second["heartllm"]
print(f"- HeartLLM's loss changes by {steps[0]:+.2f} nats from the first second to 1-3.3 s, and by")
print(f"  {steps[1]:+.2f} nats from there to the last 3.4 s, with 6.6 s of context or more.")
print(f"- The intervals are over {ahead.over}; there are {n_patients} test patients.")

# %% [markdown]
# A low next-token loss is not a goal of its own. It is worth something if the tuned model answers
# better: notebook [07_ablations](07_ablations.py) tests that. The paper pretrains a model of three
# billion parameters on tens of thousands of ECGs. The `laptop` profile gives a small model a small
# share of that, so this loss is no verdict on the paper.
#
# ## Try it yourself
#
# 1. In the cell of the copy, set `lags = np.array([1])`: the token that came immediately before is
#    then copied. Run the cells up to the table. Does the copy gain more or less over the bigram?
# 2. In the cell that turns V1 upside down, use `*= 1.1` in place of `*= -1`. Do more or fewer codes
#    change?
# 3. In the cell that chooses the smoothing, set `strengths = [0.001]` and run the cells up to the
#    table. What becomes of the bigram?
#
# <details><summary>What happens</summary>
#
# 1. It should gain less.
# 2. The printed number of changed codes should be smaller.
# 3. Pairs never seen in training then cost very much, so it should become worse.
#
# </details>
#
# Previous: [04_report_generation](04_report_generation.py). Next:
# [06_instruction_tuning](06_instruction_tuning.py).

# %% tags=["plumbing"]
stage.finish()
