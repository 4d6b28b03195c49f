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
# # Where does the paper's reader lose what the tokens hold?
#
# | | |
# |---|---|
# | reads | the cohort (01), tokenizers and codes (02), the raw network and the predictions (03) |
# | writes | classifiers of more representations, and more readers of the same |
# | paper items | ECG-Tok, section 2.4: a classifier of frozen vectors |
# | time | a minute in `smoke`, 12 nominal minutes in `laptop`, after 01 to 03 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - separate what quantisation costs from what a reader does not find;
# - name the floor of an encoder, and the floor of a tokenizer;
# - compare two quantisers at equal bits behind one encoder.
#
# [03_classification](../03_classification.py) reads tokens in two ways: decoded, by the network on
# the raw signal, and as vectors, by ECG-Tok's EfficientNetV2. The second finds less. Here they
# read more: the latents before quantisation, the vectors of an encoder that was not trained, and
# PCA with k-means. A linear layer reads vectors in the place of the EfficientNetV2.

# %% tags=["plumbing"]
import time
from dataclasses import replace

import pandas as pd

from ecglib.classify.classifier_parts import coded, further_part, head_part
from ecglib.classify.latent_features import write_latents
from ecglib.classify.train_classifier import train
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc
from ecglib.evaluate.label_rows import label_rows
from ecglib.figures import dots
from ecglib.run.stage import Stage
from ecglib.tokenizers.load import load
from ecglib.tokenizers.tokenizer_parts import quantiser_parts

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-readers"  # the study's own run
seed = 0  # of initial weights, batches and resampled patients

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("classify")
options = {"seed": seed, "resamples": sizes["resamples"]}

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
ready = ("encoder", "latents", "pca_rvq", "vq", "rvq", "qinco", "fsq", "bpe")
own = {name: stage.input("02", name) for name in ready} | {"cohort": cohort_folder}
for name in ("pca_rvq", "vq", "rvq", "qinco", "fsq", "bpe"):
    own[f"{name}_codes"] = stage.input("02", f"{name}_codes")
own["raw"] = stage.input("03", "raw")

# %% [markdown]
# ## VQ and RVQ at equal bits
#
# In notebook 03 RVQ has sixteen times the bits of VQ. Here a VQ with one code of many codewords and
# an RVQ with two codes of few have the same bits and the same encoder. What differs is residual
# quantisation alone.

# %%
of_run = stage.run.profile
parts = {}
for name, method, change in (
    ("vq_equal", "vq", {"codewords": settings["vq_codewords"]}),
    ("rvq_equal", "rvq", settings["rvq"]),
):
    parts |= {part.name: part for part in quantiser_parts(of_run, method, name=name, **change)}
    stage.remake(name, own, "", seed, parts)
    print(f"{name}: {load(own[name]).rate().bits_per_ecg:.0f} bits per ECG")

# %% [markdown]
# ## More representations under the two readers
#
# The latents are what the encoder gives before quantisation. The floor of the encoder is an equal
# one with initial weights, which is the PCA alone. The floor of the tokenizers is PCA with k-means.

# %%
only = {name: own[name] for name in ("cohort",)} | {"tokenizer": own["rvq"]}
for name in ("latents", "untrained"):
    config = {"untrained": name == "untrained"}
    own[f"{name}_features"] = stage.step(f"{name}_features", write_latents, config, only)
heads = {name: head_part(of_run, name) for name in ("fsq", "bpe", "pca_rvq")}
for name in ("latents", "untrained"):
    reads = {"cohort": "cohort", "features": f"{name}_features"}
    heads[name] = head_part(of_run, name, reads)
names = ("pca_rvq", "vq_equal", "rvq_equal")
further = {name: further_part(of_run, f"decoded_{name}", coded(name)) for name in names}
parts = {part.name: part for part in (*heads.values(), *further.values())}
folders = {name: stage.remake(f"head_{name}", own, "", seed, parts) for name in heads}
for name in names:
    folders[f"{name}_decoded"] = stage.remake(f"decoded_{name}", own, "", seed, parts)

# %% [markdown]
# ## Two more readers
#
# The reader of decoded ECGs goes on from the network on the raw signal. Is that a handicap, or an
# advantage? A network of the same size reads QINCo's decoded ECGs from nothing, for the epochs of
# both trainings together. And a linear layer on the mean vector, which sees more epochs, shows what
# of the second reader's result needs an EfficientNetV2.

# %%
part = further_part(of_run, "scratch", coded("qinco"))
epochs = sizes["raw"]["epochs"] + sizes["further"]["epochs"]
config = part.settings | {"epochs": epochs, "learning_rate": sizes["raw"]["learning_rate"]}
inputs = {label: of for label, of in part.inputs.items() if label != "start"}
scratch = replace(part, settings=config, inputs=inputs)
folders["qinco_scratch"] = stage.remake("scratch", own, "", seed, {"scratch": scratch})
linear = settings["linear"] | {"min_positives": sizes["head"]["min_positives"], "reads": "vectors"}
for name in ("vq", "rvq", "qinco"):
    read = {label: own[of] for label, of in coded(name).items()}
    folders[f"{name}_linear"] = stage.step(f"linear_{name}", train, linear, read)

# %% tags=["plumbing"]
rows, frames = cohort.rows("test"), []
for name, folder in folders.items():
    scores = pd.read_parquet(folder / "scores.parquet")
    frames.append(label_rows(cohort.records, cohort.labels, scores, rows, name, seed))
print("saved:", stage.predictions("labels", pd.concat(frames)).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions

# %%
of_03 = ["vq", "rvq", "qinco", "qinco_decoded", "raw_further"]
cells = stage.read_beside("labels", "03", of_03)
of_method = {name: part for name, part in cells.groupby("method")}
ROWS = {  # method -> what is read, and by whom
    "untrained": ("encoder with initial weights", "vectors"),
    "latents": ("unquantised", "vectors"),
    "pca_rvq": ("PCA, k-means", "vectors"),
    "vq": ("VQ", "vectors"),
    "rvq": ("RVQ", "vectors"),
    "qinco": ("QINCo", "vectors"),
    "fsq": ("FSQ", "vectors"),
    "bpe": ("Byte pairs", "vectors"),
    "vq_linear": ("VQ", "linear layer"),
    "rvq_linear": ("RVQ", "linear layer"),
    "qinco_linear": ("QINCo", "linear layer"),
    "pca_rvq_decoded": ("PCA, k-means", "decoded"),
    "vq_equal_decoded": ("VQ of 4,096 codewords", "decoded"),
    "rvq_equal_decoded": ("RVQ of 2 x 64 codewords", "decoded"),
    "qinco_decoded": ("QINCo", "decoded"),
    "qinco_scratch": ("QINCo", "decoded, from nothing"),
    "raw_further": ("raw signal", "signal"),
}
n_ecgs, n_patients = cells["ecg"].nunique(), cells["unit"].nunique()

# %%
results = []
for name, (what, reader) in ROWS.items():
    value = auc.auc(of_method[name], "macro", **options)
    results.append({"method": name, "reads": what, "reader": reader, **vars(value)})
results = pd.DataFrame(results)
caption = f"Macro-AUC over all labels on {n_ecgs} test ECGs, by what is read and by which reader."
stage.table("auc", results, caption)
results[["reads", "reader", "value", "low", "high"]].round(3)

# %%
drawn = results.assign(category=results["reads"])
looks = {"vectors": "of_vectors", "linear layer": "linear", "decoded": "decoded"}
looks |= {"decoded, from nothing": "from_nothing", "signal": "raw_further"}
drawn["method"] = drawn["reader"].map(looks)
stage.figure(
    "auc",
    dots.rows(drawn, xlabel="Macro-AUC"),
    drawn,
    f"Macro-AUC over all labels on {n_ecgs} test ECGs of {n_patients} patients, by what is read "
    "and, in colours, by which reader. VQ of 4,096 and RVQ of 2 x 64 codewords have equal bits and "
    "were trained for this study. Bars: 95 % intervals over patients; one training seed. The "
    f"axis is logarithmic in 1 - AUC.{dots.dashed(drawn)}",
    "One row per representation with a dot and an interval per reader.",
)

# %% [markdown]
# ## The registered comparisons

# %%
PAIRS = {
    "further_minus_scratch.qinco": ("qinco_decoded", "qinco_scratch"),
    "rvq_minus_vq": ("rvq_equal_decoded", "vq_equal_decoded"),
    "qinco_minus_pca_rvq": ("qinco_decoded", "pca_rvq_decoded"),
    "latents_minus_vectors.qinco": ("latents", "qinco"),
}
gains = {}
for name, pair in PAIRS.items():
    gains[name] = auc.difference(*(of_method[m] for m in pair), average="macro", **options)
    stage.claim(f"auc.macro.{name}", **vars(gains[name]))
stage.print_claims(digits=4)

# %% [markdown]
# ## What it means

# %%
value = results.set_index("method")["value"]
whole = value["raw_further"] - value["qinco"]
print(f"From the raw signal to QINCo's vectors {whole:.3f} of macro-AUC is lost. Of this", end=" ")
print(f"{value['raw_further'] - value['qinco_decoded']:.3f} is lost by the tokens", end=" ")
print(f"and {value['qinco_decoded'] - value['qinco']:.3f} by the reader of vectors.")
print(f"That reader finds {value['qinco']:.3f} in QINCo's vectors, {value['latents']:.3f}", end=" ")
print(f"before quantisation, {value['untrained']:.3f} without training the encoder, and", end=" ")
print(
    f"{value['pca_rvq']:.3f} in PCA with k-means. A linear layer finds {value['qinco_linear']:.3f}."
)
print(
    f"In vectors of 64 ms it finds {value['fsq']:.3f} (FSQ) and {value['bpe']:.3f} (byte", end=" "
)
print(
    "pairs). All others are of 128 ms. Decoded, FSQ is below QINCo in notebook 03, so its", end=" "
)
print("higher value here does not come from more information in the tokens.")

# %%
for called, name in (
    ("Decoded, QINCo's tokens minus those of PCA with k-means", "qinco_minus_pca_rvq"),
    ("Decoded, going on from the raw signal minus from nothing", "further_minus_scratch.qinco"),
):
    print(f"- {called}: {gains[name].text(4)} of macro-AUC.")

# %% [markdown]
# ECG-Tok's paper says that its tokens "carry more structured, clinically salient information than
# the byte-level embeddings" of ECG-Byte. It infers this from reports. The next line asks it of the
# paper's reader. No claim was registered.

# %%
pair = (of_method[name] for name in ("qinco", "bpe"))
salient = auc.difference(*pair, average="macro", **options)
print(f"- Vectors, QINCo minus byte pairs: {salient.text()} of macro-AUC", end=" ")
print(f"({value['qinco']:.3f} and {value['bpe']:.3f}).")

# %% [markdown]
# This is no equal comparison. A position of byte pairs has 64 ms, one of QINCo 128 ms, and byte
# pairs have more bits per ECG. It is a comparison of what this reader finds, not of what the tokens
# hold: decoded, both lose next to nothing in `laptop` (notebook 03).
#
# VQ with 4,096 codewords beats an RVQ with two codebooks of 64, at 948 bits per ECG each. Every sum
# of two RVQ codewords could be a VQ codeword, so VQ can lose only by its training. This does not
# speak about RVQ with 16 codebooks. A linear layer on the mean vector finds more in VQ than in RVQ
# and QINCo, although VQ has a sixteenth of their bits: what it finds is no measure of what is held.
#
# Decoded, QINCo minus PCA with k-means is -0.0002 [-0.0005, 0.0001] in `laptop`. It is not shown
# that training the tokenizer helps a reader of decoded ECGs.
#
# A part of what the reader of vectors loses is its training. The study
# [longer_readers](longer_readers.py) starts from 0.895, another training of the same recipe, and
# loses 0.085. In `laptop` four times the updates bring back 0.027 of this, and training ECGs
# shifted by a few samples another 0.025 (one seed). As trained here, it finds less in QINCo's
# vectors than the median beat gives, a floor of notebook 03. Below summary numbers, the other
# floor, it is not shown to be (-0.005 [-0.010, 0.001] there). Its values for FSQ and byte pairs are
# above summary numbers.
#
# Three limits apply. Each classifier was trained once. The classifier of vectors, trained again by
# the same recipe, has differed by 0.010, so the difference between latents and QINCo's vectors is
# no result. And the size of the EfficientNetV2 was chosen on validation patients with vectors of an
# earlier RVQ; another size may suit the latents better.
#
# ## Try it yourself
#
# - In `readers.yaml` set `rvq: {codebooks: 4, codewords: 8}`, which has as many bits, and run the
#   study again.
# - In the cell of the results, replace `"macro"` by `"micro"`. All values rise, because over pooled
#   labels prevalence alone separates frequent labels from rare ones.
#
# The readers are explained in [03_classification](../03_classification.py).

# %% tags=["plumbing"]
stage.finish()
