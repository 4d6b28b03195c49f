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
# # What may be believed, what did it cost, and what must not be done with it?
#
# | | |
# |---|---|
# | reads | the predictions, tables and claims of all notebooks; the tokenizers |
# | writes | the claims table, faithfulness of the reports, cost per ECG, model and data card |
# | paper items | claims of the three papers, deviations, limits, intended use |
# | time | 7 s in `smoke`, 16 s in `laptop` on two cores |
# | memory | 0.8 GB in `laptop` |
#
# Nothing is trained here and nothing is chosen. Every number below comes from predictions that the
# earlier notebooks saved, or from the claims that they reported.

# %%
import time

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, claims, predictions
from ecglib.figures import cost, forest
from ecglib.run.profiles import is_simulated
from ecglib.run.stage import Stage
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws the bootstrap

# %%
stage = Stage("09", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## Claims
#
# Each was written down, with its margin, before the run. `holds` means that the whole 95 % interval
# over patients lies on the right side. The paper's own numbers come from other data and far larger
# models: they are shown, and not judged.

# %%
registry = claims.load(stage.file("notebooks/claims.yaml"))
verdicts = stage.claims()
verdicts[["id", "value", "low", "high", "n", "paper", "verdict"]].round(4)

# %%
primary = [name for name, claim in registry.items() if claim["primary"]]
drawn = verdicts[verdicts["id"].isin(primary) & verdicts["id"].str.contains("minus|share")]
drawn = drawn.rename(columns={"id": "name"})[["name", "value", "low", "high"]]
factor = drawn["name"].map(lambda name: {"codes": 100, "recon": 1000}.get(name.split(".")[0], 1))
drawn[["value", "low", "high"]] = drawn[["value", "low", "high"]].mul(factor, axis=0)
units = {100: "Percent of the latents' variance", 1000: "Microvolts", 1: "Difference or share"}
drawn["unit"] = factor.map(units) + " [95 %]"
stage.figure("claims", forest.differences(drawn), drawn.round(5))

# %%
failed = verdicts[verdicts["verdict"] == "fails"]
for row in failed.itertuples():
    print(f"- {row.id}: {row.value:.4f} [{row.low:.4f}, {row.high:.4f}]. {row.statement}")
counts = verdicts["verdict"].value_counts()
print(f"{len(failed)} of {len(verdicts)} claims fail; they stay in the table.")

# %% [markdown]
# ## Where the overlap of words misleads
#
# ROUGE counts words. A report can share most of them with the reference and still invent a finding,
# or leave one out. Per report: findings stated that are not there, findings there that are not
# stated, and how many of the reports with a high ROUGE-L contain an invention.

# %%
frame = predictions.read(*stage.outputs("04", "predictions", "_reports.parquet"))
cells = frame[frame["item"].str.startswith("finding:")]
cells = cells.assign(
    invented=(cells["target"] == "0") & (cells["prediction"] == "1"),
    omitted=(cells["target"] == "1") & (cells["prediction"] == "0"),
)
by_report = cells.groupby(["method", "unit", "ecg"])[["invented", "omitted"]].sum().reset_index()
rouge = frame.loc[frame["item"] == "rouge_l", ["method", "unit", "ecg", "score"]]
by_report = by_report.merge(rouge, on=["method", "unit", "ecg"])
print("reports:", len(by_report), "of", by_report["method"].nunique(), "methods")

# %%
order = ["majority", "retrieval", "no_ecg", "shuffled", "ecg_tok", "oracle"]
faults = []
for method in order:
    part = by_report[by_report["method"] == method]
    row = {"method": method}
    for fault in ("invented", "omitted"):
        row[fault] = bootstrap.mean(part, fault, seed=seed).text(2)
    high = part[part["score"] >= 0.6]
    row["reports with ROUGE-L >= 0.6"] = len(high)
    row["of them with an invention"] = int((high["invented"] > 0).sum())
    faults.append(row)
stage.table("faithfulness", pd.DataFrame(faults), "Findings invented and omitted per report.")

# %% [markdown]
# ## What an ECG costs
#
# Tokens that a language model must read, bits that they carry with fixed-length codes, and the
# error of the signal that can be made from them. ECG-Tok reads QINCo's tokens through its adapter,
# as a few vectors; HeartLLM reads every token.

# %%
names = ("vq", "rvq", "qinco", "fsq", "bpe")
tokenizers = {name: load(stage.input("02", name)) for name in names}
errors = predictions.read(*stage.outputs("02", "predictions", "_reconstruction.parquet"))
errors = errors[errors["item"] == "mae_mv"]
rates = []
for name, tokenizer in tokenizers.items():
    error = bootstrap.mean(errors[errors["method"] == name], seed=seed)
    rates.append({"method": name, **vars(tokenizer.rate()), **vars(error)})
rates = pd.DataFrame(rates)
stage.table("cost", rates.round(4), "Tokens, bits and error (mean absolute, mV) per ECG.")

# %%
figure = cost.cost_quality(
    rates, "bits_per_ecg", xlabel="Bits per ECG", ylabel="Mean absolute error (mV)"
)
stage.figure("cost", figure, rates)

# %% [markdown]
# Milliseconds depend on the machine, so they stand in a file of their own and in no claim.

# %%
cohort = Cohort.open(stage.input("01", "cohort"))
x = torch.from_numpy(cohort.signals(cohort.rows("test")[:16]))
timing = []
for name, tokenizer in tokenizers.items():
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        tokenizer.encode(x)
        seconds.append(time.perf_counter() - begun)
    timing.append({"method": name, "encode_ms_per_ecg": 1000 * np.median(seconds) / len(x)})
timing = pd.DataFrame(timing)
stage.write("timing_cost.csv", timing.round(3))
timing.round(1)

# %% [markdown]
# ## Where we differ from papers and released code

# %%
deviations = pd.read_csv(stage.file("reports/deviations.csv"))
print(len(deviations), "deviations, each with the paper's form, the released code's, and ours")
deviations[["topic", "paper", "released", "ours", "effect"]]

# %% [markdown]
# ## Limits and intended use
#
# - Nothing here is for clinical use. No clinician has rated a report of this compendium.
# - Simulated ECGs obey the rules that the simulator was given. That a model finds what was put in
# says that the machinery works; it says nothing about patients. Real recordings have findings that
# overlap, labels that are wrong, and noise that nobody modelled.
# - The language model is small, its pretrained weights were rounded to four bits, and it was
# trained for minutes. Orderings at this scale need not hold at the papers' scale.
# - One training seed. The intervals cover the choice of patients, not that of seeds.

# %%
table = cohort.records.groupby("split").agg(ECGs=("ecg", "size"), patients=("unit", "nunique"))
settings = stage.section("language")
card = f"""---
pipeline_tag: image-to-text
tags: [ecg, research-only]
---
# Model card: {stage.name}

**What.** ECG tokenizers (RVQ, QINCo, FSQ) and two language systems (ECG-Tok, HeartLLM) trained by
the notebooks of this repository; adapters in PEFT format on the base asset `{settings["asset"]}`.

**Data.** {len(cohort)} ECGs, plan `{data}`; see the data card.

**Evaluation.** `claims.csv` and `tables/` of this run, 95 % intervals over patients.

**Limits.** Research only, not for clinical use. One training seed; trained for minutes on small
data. Reports invent and omit findings: see the table `09_faithfulness`.
"""
stage.write("cards/model.md", card)

# %%
lines = [f"- {name}: {n.ECGs} ECGs of {n.patients} patients" for name, n in table.iterrows()]
parts = "\n".join(lines)
if is_simulated(stage.plan):
    source, kept_out = "simulated: none is of a patient", ""
else:
    source, kept_out = "recordings as published", ", report texts"
card = f"""# Data card: {stage.name}

**Source.** Plan `{data}`, {source}.

**Form.** 12 leads, 10 s at 250 Hz, millivolts; labels in five states for 77 findings.

**Split.** By patient, none in two parts.

{parts}

**Not in this repository.** Waveforms, identifiers{kept_out}.
"""
stage.write("cards/data.md", card)
print(card)

# %% [markdown]
# ## What we saw

# %%
own = faults[order.index("ecg_tok")]
print("- Claims:", ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
print(f"- ECG-Tok invents {own['invented']} findings per report and omits {own['omitted']}.")
print(f"- {own['of them with an invention']} of its {own['reports with ROUGE-L >= 0.6']} ", end="")
print("reports with a ROUGE-L of 0.6 or more contain an invented finding.")

# %%
stage.finish()
