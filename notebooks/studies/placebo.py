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
# # How far apart are two tokenizers that are the same?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01 |
# | writes | errors of VQ and of RVQ with one codebook, for five training seeds |
# | paper items | (no paper) the placebo of every comparison of tokenizers |
# | time | 30 seconds in `smoke`, 20 nominal minutes in `laptop`, after notebook 01 |
# | memory | 3 GB in `laptop` |
#
# After this notebook you can
#
# - say why a difference between two trained models needs a placebo beside it;
# - tell the spread over training seeds from the spread over patients;
# - say how large a difference in one training each must be before it is a result.
#
# An RVQ quantises what its earlier codebooks left. With *one* codebook nothing was left before: it
# is a VQ. The two classes differ, and so do their random draws: the k-means that starts the
# codebook, and the batches of the quantiser and of the decoder. If the two come out differently,
# the protocol makes differences of its own, and every comparison of tokenizers would have them.
#
# The study [rates](rates.py) asked this with three seeds. Its interval reached beyond the margin,
# so its claim fails. Here are five seeds that no other study has used. Margin, statement and
# recipe are those of `rates`. They were registered before the first run.

# %% tags=["plumbing"]
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, predictions, reconstruction
from ecglib.fidelity import round_trip
from ecglib.figures import forest
from ecglib.run.stage import Stage
from ecglib.tokenizers.load import load
from ecglib.tokenizers.tokenizer_parts import tokenizer_parts

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-placebo"  # the study's own run
seed = 0  # of the run; trainings have the seeds of the study

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings = stage.section("study")
PAIR = ("rvq_one", "vq")  # RVQ with one codebook, and VQ

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)

# %% [markdown]
# ## One encoder per seed, two trainings behind it
#
# Each seed has an encoder of its own, trained as in notebook 02 and then frozen. Both quantisers
# learn on its cached latents, for as many updates as in `rates`. Then each gets a decoder, trained
# for equal steps on its fixed codes.

# %%
parts = {part.name: part for part in tokenizer_parts(stage.run.profile)}
words = stage.section("tokenizer")["quantisers"]["vq"]["codewords"]
fitted = parts["rvq_one_codebooks"]  # as many codewords as VQ, in every profile
parts[fitted.name] = replace(fitted, settings=fitted.settings | {"codewords": words})
for name in PAIR:
    part = parts[f"{name}_quantiser"]
    longer = {k: round(settings["updates"] * part.settings[k]) for k in ("steps", "validate_every")}
    parts[part.name] = replace(part, settings=part.settings | longer)
folders = {}  # (method, seed) -> folder
for s in settings["seeds"]:
    own = {"cohort": cohort_folder}  # of all steps of this seed, by name
    for name in PAIR:
        folders[name, s] = stage.remake(name, own, f"_{s}", s, parts)

# %% [markdown]
# ## Errors on the test patients
#
# The error is the mean absolute error of an ECG over its twelve leads, in mV. Both tokenizers read
# the same ECGs.

# %%
rows = cohort.rows("test")[: settings["test_ecgs"]]
records = cohort.records.iloc[rows]
n_valid = records["n_valid"].to_numpy()
recorded, scored = round_trip.originals(cohort, rows), []
for (method, s), folder in folders.items():
    decode = round_trip.reconstructions(load(folder), cohort, rows)
    errors = reconstruction.streamed(recorded, decode, n_valid)["mae_mv"]
    scored.append(predictions.build(records, method, s, "mae_mv", score=np.round(errors, 6)))
print("saved:", stage.predictions("errors", pd.concat(scored)).name)

# %% tags=["plumbing"]
made_on = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", made_on).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Two spreads
#
# A row compares one training of RVQ with one of VQ. Its interval covers patients alone, because one
# training has nothing else that varies. The last row of the table, the diamond of the figure, is
# the mean over the seeds. Its variance is a sum: the variance between seeds, divided by their
# number, plus the variance over patients.

# %%
scored = stage.read("errors")
of_method = {name: scored[scored["method"] == name] for name in PAIR}
whole = bootstrap.paired_difference(*of_method.values(), seed=seed)
lines = []
for s in scored["seed"].unique():
    one = [part[part["seed"] == s] for part in of_method.values()]
    lines.append({"training seed": str(s)} | vars(bootstrap.paired_difference(*one, seed=seed)))
each = pd.DataFrame([*lines, {"training seed": "all"} | vars(whole)])
stage.table("placebo", each, "RVQ with one codebook minus VQ: mean absolute error (mV).")
in_uv = each.assign(**(1000 * each[["value", "low", "high"]])).round(2)
units = {name: f"{name} (µV)" for name in ("value", "low", "high")}
in_uv.rename(columns=units | {"n": "patients"})

# %%
margin = 1000 * stage.registry()["placebo.mae.rvq_one_minus_vq"]["margin"]  # to microvolts
drawn = each.rename(columns={"training seed": "seed"}).assign(name="RVQ with one codebook minus VQ")
drawn[["value", "low", "high"]] *= 1000
stage.figure(
    "placebo",
    forest.differences(drawn, "Difference of the mean absolute error (µV)", margin=margin),
    drawn,
    caption=f"RVQ with one codebook minus VQ: the same tokenizer trained twice behind one encoder. "
    f"Circles: one training seed, 95 % intervals over {whole.n} patients. Diamond: mean of "
    f"{whole.seeds} seeds, 95 % interval over seeds and patients. Dashed: the registered margin.",
    alt="One line with a diamond and five circles with their intervals, near a vertical line at 0.",
)

# %% [markdown]
# An interval over patients answers one question: would other *patients* have given another
# difference between these two trained models? It says nothing about another training. Where the
# circles are about as far apart as their bars are long, as in `laptop`, trainings vary as much as
# patients do, and the bars show only the patients.
#
# ## What it means

# %%
stage.claim("placebo.mae.rvq_one_minus_vq", **vars(whole))
single = drawn[drawn["seed"] != "all"]
spread, widest = single["value"].std(), ((single["high"] - single["low"]) / 2).max()
passed = max(abs(whole.low), abs(whole.high)) * 1000 <= margin
print(f"- The placebo {'passes' if passed else 'FAILS'}. RVQ with one codebook minus VQ is")
print(f"  {whole.text(2, 1000)} microvolts over {whole.over}; {margin:g} were allowed.")
excluding = int(((single["low"] > 0) | (single["high"] < 0)).sum())
print(f"- In {excluding} of {len(single)} pairs of trainings the interval over patients", end=" ")
print("excludes 0,\n  although nothing differs but the draws.")
print(f"- The differences of single trainings have a standard deviation of {spread:.2f}", end=" ")
print(f"microvolts; the widest interval over patients is +-{widest:.2f}.")
factor = stats.t.ppf(0.975, len(single) - 1) * np.sqrt(1 + 1 / len(single))
print("- Between two such tokenizers behind one encoder, the draws alone are expected to make a")
print(f"  difference of up to {factor * spread:.1f} microvolts in 95 % of new pairs", end=" ")
print(f"({factor:.1f} deviations, if\n  differences are normally distributed).")

# %% [markdown]
# Two limits hold. The two share an encoder, so the draws of the encoder are no part of a
# difference. And a placebo of another kind of method, of a network as large as QINCo's for example,
# may vary more.
#
# ## Try it yourself
#
# - **Add a seed.** Append 16 to `seeds` in `placebo.yaml`. Only its steps are new.
# - **Train longer.** Raise `updates`. Do the circles come closer to each other?
#
# The curves that this placebo belongs to are in [rates](rates.py).

# %%
stage.finish()
