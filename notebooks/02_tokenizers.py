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
# # What does an ECG lose when it becomes a few hundred codes?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01 |
# | writes | two tokenizers, RVQ and QINCo, from one shared start; the codes of every ECG |
# | paper items | ECG-Tok, section 3: codebook utilisation, reconstructions of QRS and T wave |
# | time | 12 s in `smoke`, 98 s in `laptop` on two cores |
# | memory | 1.1 GB in `laptop` |
#
# An encoder turns 256 ms of twelve leads into one vector, a quantiser turns the vector into a few
# integers, a decoder turns the integers back into millivolts. All that a language model will ever
# know of the ECG passes through those integers, so this notebook asks what they keep.

# %%
import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, codes, predictions, signal, tables
from ecglib.figures import codes as codes_figure
from ecglib.figures import curves, ecg
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE, SAMPLES
from ecglib.tokenizers import encode, train
from ecglib.tokenizers.autoencoder import Autoencoder
from ecglib.tokenizers.latent import LatentTokenizer
from ecglib.tokenizers.load import load
from ecglib.tokenizers.qinco import QINCo
from ecglib.tokenizers.rvq import ResidualVQ

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws initial weights, batches and codewords

# %%
stage = Stage("02", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## Quantise, then quantise what is left
#
# One codebook with $K$ codewords offers $K$ points. Residual vector quantisation (RVQ) stacks $S$
# small codebooks instead: each codes what the stages before it left over,
#
# $$ r^{(1)} = z, \quad s^{(l)} = \arg\min_k \lVert r^{(l)} - c^{(l)}_k \rVert^2, \quad
# r^{(l+1)} = r^{(l)} - c^{(l)}_{s^{(l)}}, \quad \hat z = \sum_l c^{(l)}_{s^{(l)}} $$
#
# so $S K$ stored vectors name $K^S$ points. Three points in the plane, two stages of two codewords:

# %%
points = torch.tensor([[4.2, 0.1], [3.9, 0.9], [-0.1, 1.2]])
books = torch.tensor([[[0.0, 0.0], [4.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])
by_hand = []
for z in points:
    residual, chosen = z, []
    for book in books:
        index = int((residual - book).square().sum(1).argmin())
        residual = residual - book[index]
        chosen.append(index)
    by_hand.append(chosen)
    print(f"{z.tolist()} -> {chosen}, left over {residual.tolist()}")

# %% [markdown]
# The library's class must choose the same codes and add the same codewords.

# %%
rvq = ResidualVQ(dim=2, stages=2, codewords=2)
rvq.codebooks.data = books.clone()
assert rvq.assign(points).tolist() == by_hand == [[1, 0], [1, 1], [0, 1]]
assert rvq.decode(torch.tensor(by_hand)).tolist() == [[4, 0], [4, 1], [0, 1]]

# %% [markdown]
# ## Codewords that move
#
# RVQ subtracts the same codeword wherever it is used, but what is left over differs from place to
# place. QINCo lets a small network move each stage's codewords, given what has been reconstructed:
#
# $$ c^{(l)}_k = c_k + \Delta_l(\hat z^{(l-1)}, c_k) $$
#
# New against RVQ: $\Delta_l$. It starts at zero, so a fresh QINCo *is* the RVQ that it copies.

# %%
torch.manual_seed(0)
qinco = QINCo(dim=2, stages=2, codewords=2, hidden=8, blocks=1, candidates=2)
qinco.codebooks.data = books.clone()
assert torch.equal(qinco.assign(points), rvq.assign(points))
assert torch.equal(qinco.decode(qinco.assign(points)), rvq.decode(rvq.assign(points)))

# %% [markdown]
# Once the gate opens, the second stage's codeword 1 depends on where the first stage has led: it is
# no longer (0, 1) for both.

# %%
qinco.adapt[0].gate.data.fill_(0.5)
sums = qinco.partial_sums(torch.tensor([[0, 1], [1, 1]]))
moved = (sums[1] - sums[0]).detach()
print("codeword 1 of stage 2, after stage 1 chose 0 or 1:", moved.numpy().round(2).tolist())
assert not torch.allclose(moved[0], moved[1])

# %% [markdown]
# ## Which loss reaches the codebooks?
#
# The choice of a codeword has no gradient. The straight-through trick hands the decoder's gradient
# past it to the encoder: the decoder sees $z + \mathrm{sg}(\hat z - z)$. ECG-Tok's text adds a
# commitment term with the gradient stopped at the codeword. Taken literally, no term then leads to
# a codebook:

# %%
z = points.clone().requires_grad_()
rvq.zero_grad()
zhat = rvq.decode(rvq.assign(z))
through = z + (zhat - z).detach()
literal = through.abs().mean() + 0.25 * (z - zhat.detach()).square().mean()
literal.backward()
print("gradient of the codebooks:", rvq.codebooks.grad, "| of the latents:", z.grad.norm().item())
assert rvq.codebooks.grad is None and z.grad.norm() > 0

# %% [markdown]
# So the library adds the codebook term of VQ-VAE, summed over stages, and pulls the encoder with
# the residual of each stage. With it, every stage learns, and so do the networks of QINCo.

# %%
for quantiser in (ResidualVQ(8, 3, 4), QINCo(8, 3, 4, hidden=8, blocks=1, candidates=4)):
    toy = LatentTokenizer(Autoencoder([8, 8], [4, 4], samples=64), quantiser)
    quantiser.codebooks.data.normal_(generator=torch.Generator().manual_seed(1))
    noise = torch.randn(2, 12, 64, generator=torch.Generator().manual_seed(2))
    loss, _, _ = train.latent_loss(toy, noise, torch.tensor([64, 64]), commitment=0.25)
    loss.backward()
    strength = quantiser.codebooks.grad.flatten(1).norm(dim=1)
    print(f"{quantiser.method:<5} gradient of the codebook of each stage:", strength.tolist())
    assert (strength > 0).all()
assert all(part.gate.grad.norm() > 0 for part in quantiser.adapt)

# %% [markdown]
# ## Training
#
# One autoencoder is trained with RVQ: the shared start. From there RVQ and QINCo go on for the same
# number of steps on the same batches, so that what differs in the end is the method. Codebooks
# begin as k-means centres of first latents, and codewords that nobody chooses are moved onto
# residuals; the paper and its code do neither.

# %%
sizes = stage.section("tokenizer")
cohort_folder = stage.input("01", "cohort")
shape = {key: sizes[key] for key in ("widths", "strides", "linear", "stages", "codewords")}
common = {key: sizes[key] for key in ("batch", "commitment", "revive_every")}
config = shape | common
config |= {"learning_rate": sizes["learning_rate"], "start_steps": sizes["start_steps"]}
start = stage.step("start", train.start, config, {"cohort": cohort_folder})

# %%
further = common | {"learning_rate": sizes["further_rate"], "steps": sizes["steps"]}
networks = {key: sizes[key] for key in ("hidden", "blocks", "candidates")}
inputs = {"cohort": cohort_folder, "start": start}
folders = {
    "rvq": stage.step("rvq", train.rvq, further, inputs),
    "qinco": stage.step("qinco", train.qinco, further | networks, inputs),
}
tokenizers = {name: load(folder) for name, folder in folders.items()}

# %%
begun, steps = pd.read_csv(start / "history.csv"), sizes["start_steps"]
history = [begun.assign(method="rvq")]
for name, folder in folders.items():
    later = pd.read_csv(folder / "history.csv")
    history.append(later.assign(step=later["step"] + steps, method=name))
history = pd.concat(history)[["method", "step", "loss"]]
title = f"Shared start to step {steps}, then each on its own"
stage.figure("losses", curves.loss(history, "Training loss", title=title), history)

# %% [markdown]
# ## Codes
#
# Every ECG is encoded once; the notebooks that follow read the codes. One ECG is a grid of
# positions and stages. A language model sees them as one row of integers, with a range for each
# stage; the way back loses nothing.

# %%
codes_folders = {}
for name, folder in folders.items():
    inputs = {"cohort": cohort_folder, "tokenizer": folder}
    step = f"{name}_codes"
    codes_folders[name] = stage.step(step, encode.encode, {"batch": sizes["batch"]}, inputs)
cohort = Cohort.open(cohort_folder)
rows = cohort.rows("test")
test_codes = {name: encode.read_codes(folder, rows) for name, folder in codes_folders.items()}
first = test_codes["qinco"][:1]
ids = tokenizers["qinco"].ids(first)
assert torch.equal(tokenizers["qinco"].codes_of(ids), first)
print("codes (ECGs, positions, stages):", tuple(test_codes["qinco"].shape))
print("codes of the first position:", first[0, 0].tolist())
print("the same as integers:", ids[0, : first.shape[2]].tolist())

# %% [markdown]
# What an ECG costs. Both methods spend the same: $\log_2 K$ bits a code. The recording itself has
# 12 leads of 2,500 samples of 16 bits.

# %%
raw_bits = 12 * SAMPLES * 16
rates = pd.DataFrame([{"method": n, **vars(t.rate())} for n, t in tokenizers.items()])
rates["bits_per_second"] = rates["bits_per_ecg"] * RATE / SAMPLES
rates["times_smaller"] = raw_bits / rates["bits_per_ecg"]
stage.table("rate", rates, "What one ECG costs.").round(1)

# %% [markdown]
# ## Are the codewords used?
#
# The paper reports the share of codewords in use: VQ 38.9 %, RVQ 88.41 %, QINCo 99.99 %. The
# released code counts distinct indices in a batch of 16 ECGs, all stages pooled into one range of
# $K$ (`pooled`). That figure rises with the number of stages alone. Beside it: the share of all
# codewords of all stages that ever occur, and the perplexity $2^H$ as a share of $K$, which is
# 100 % only when codewords are used evenly. Positions behind the end of an ECG do not count.

# %%
records, size = cohort.records.iloc[rows], sizes["codewords"]
hop = tokenizers["qinco"].autoencoder.hop
lengths = -(-records["n_valid"].to_numpy() // hop)
inside = np.arange(first.shape[1]) < lengths[:, None]
counts = {name: codes.usage_counts(c.numpy()[inside], size) for name, c in test_codes.items()}
stages = pd.concat([codes.per_stage(c).assign(method=name) for name, c in counts.items()])
stage.table("codebook_stages", stages, "Use of the codebook, stage by stage, on test ECGs.")
usage = pd.concat([codes.sorted_usage(c).assign(method=name) for name, c in counts.items()])
stage.figure("codebook_use", codes_figure.sorted_usage(usage), usage)


# %% [markdown]
# The pooled figure gets an interval like everything else: patients are drawn anew, their ECGs lined
# up, cut into batches of 16 and counted.


# %%
def pooled(present: np.ndarray, batch: int = 16) -> float:
    """present (ECGs, K): which codewords an ECG holds in any stage -> percent, mean of batches."""
    starts = np.arange(0, len(present), batch)
    return 100 * np.logical_or.reduceat(present, starts).mean()


rng = np.random.default_rng(seed)
patients, patient = np.unique(records["unit"], return_inverse=True)
ecgs_of = [np.flatnonzero(patient == i) for i in range(len(patients))]
resamples = rng.integers(len(patients), size=(500, len(patients)))
utilisation = {}
for name, chosen in test_codes.items():
    present = np.stack([np.bincount(c.ravel(), minlength=size) > 0 for c in chosen.numpy()])
    assert np.isclose(pooled(present), codes.pooled_utilisation_percent(chosen.numpy(), size))
    drawn = [pooled(present[np.concatenate([ecgs_of[i] for i in d])]) for d in resamples]
    interval = np.quantile(drawn, [0.025, 0.975])
    utilisation[name] = bootstrap.Estimate(pooled(present), *interval, len(patients))
    stage.claim(f"tokenizer.utilisation.{name}", **vars(utilisation[name]))

# %%
paper = {"rvq": 88.41, "qinco": 99.99}
evenness = {name: codes.per_stage(c)["perplexity_percent"].mean() for name, c in counts.items()}
use = pd.DataFrame(
    {
        "method": name,
        "pooled (%)": utilisation[name].text(1),
        "pooled, paper (%)": paper[name],
        "any stage, any ECG (%)": round(codes.utilisation_percent(c), 1),
        "perplexity share, mean of stages (%)": round(evenness[name], 1),
    }
    for name, c in counts.items()
)
stage.table("codebook_use", use, "Use of the codebooks on test ECGs.")

# %% [markdown]
# With a k-means start and revival, utilisation is near its ceiling for every quantiser and tells
# none from another. The paper's gap between RVQ and QINCo presumably needs their absence; that
# control is not part of this notebook, so nothing here speaks for or against it.
#
# ## What is lost
#
# Error in millivolts (MAE) and in percent of the signal's own variation (PRD), one value an ECG,
# on patients that no tokenizer has seen.

# %%
n_valid = records["n_valid"].to_numpy()


def recorded(part: slice) -> np.ndarray:
    """Some of the test ECGs, (n, 12, 2500) in mV."""
    return cohort.signals(rows[part])


def errors(name: str) -> pd.DataFrame:
    """The errors of one tokenizer, one row an ECG; a few ECGs are in memory at a time."""
    decode, chosen = tokenizers[name].decode, test_codes[name]
    return signal.streamed(recorded, lambda part: decode(chosen[part]).numpy(), n_valid)


# %%
scored = []
for name, tokenizer in tokenizers.items():
    measured, tokens = errors(name), tokenizer.rate().tokens_per_ecg
    for item in ("mae_mv", "prd_percent"):
        values = measured[item].to_numpy()
        scored.append(predictions.rows(records, name, seed, item, score=values, tokens=tokens))
scored = predictions.read(stage.predictions("reconstruction", pd.concat(scored)))

# %%
results = []
for (item, name), part in scored.groupby(["item", "method"], sort=False):
    found = bootstrap.mean(part, seed=seed)
    results.append({"method": name, "metric": item, **vars(found)})
results = pd.DataFrame(results)
stage.table("reconstruction", results, "Error of the reconstruction on test ECGs.")
tables.wide(results, "method", "metric", digits=4)

# %% [markdown]
# RVQ and QINCo decode the same ECGs, so their difference is taken patient by patient.

# %%
mae = scored[scored["item"] == "mae_mv"]
of = {name: part for name, part in mae.groupby("method")}
difference = bootstrap.paired_difference(of["qinco"], of["rvq"], seed=seed)
stage.claim("tokenizer.qinco_minus_rvq.mae", **vars(difference))
line = signal.streamed(recorded, lambda part: np.zeros_like(recorded(part)), n_valid)
flat = line["mae_mv"].mean()
print(f"QINCo minus RVQ: {difference.text(5)} mV; a flat line errs by {flat:.3f} mV")

# %% [markdown]
# ## Looking at it
#
# The ECG whose error is the median of all, neither the best nor the worst. First the page that a
# physician would see, then two beats from near: does the QRS complex keep its notch and height, is
# a T wave added or lost?

# %%
order = np.argsort(of["qinco"]["score"].to_numpy())
pick = [order[len(order) // 2]]
original = cohort.signals(rows[pick])[0]
shown = {name: t.decode(test_codes[name][pick]).numpy()[0] for name, t in tokenizers.items()}
title = "Median ECG of the test patients by error"
figure = ecg.overlay(original, shown["qinco"], "qinco", n_valid=n_valid[pick[0]], title=title)
lines = {"original": original, **shown}
values = {f"{who}_{lead}": x[i] for who, x in lines.items() for i, lead in enumerate(LEADS)}
values = pd.DataFrame({"seconds": np.arange(SAMPLES) / RATE, **values}).round(4)
stage.figure("overlay", figure, values)

# %%
figure = ecg.closeup(original, shown, leads=("II", "V2", "V5"), window=(1.0, 2.8))
stage.figure("closeup", figure, values[values["seconds"].between(1.0, 2.8)])

# %% [markdown]
# ## What we saw

# %%
bits = rates.set_index("method")["bits_per_ecg"]["qinco"]
value = results.set_index(["metric", "method"])["value"]
print(f"- {bits:.0f} bits an ECG, {raw_bits / bits:.0f} times fewer than the recording:")
for name in ("qinco", "rvq"):
    error, prd = 1000 * value["mae_mv", name], value["prd_percent", name]
    print(f"  {name}: mean absolute error {error:.0f} microvolts, PRD {prd:.0f} %;")
print(f"  a flat line errs by {1000 * flat:.0f} microvolts.")
print(f"- QINCo minus RVQ, after equal steps: {difference.text(2, 1000)} microvolts.")
print(f"- Codewords in use, pooled: RVQ {utilisation['rvq'].text(1)} %, QINCo")
print(f"  {utilisation['qinco'].text(1)} %. With k-means and revival this says little.")

# %%
stage.finish()
