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
# # Can a simulated ECG be told from a real one?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01 and its measurements; aggregates of PTB-XL recordings |
# | writes | quantiles of both sides, and the AUC of a classifier between them |
# | paper items | none: the papers have patients |
# | time | 32 s in `laptop` on two cores, after notebook 01 |
# | memory | 0.7 GB in `laptop` |
#
# After this notebook you can
#
# - compare two sources of ECGs without sharing a recording;
# - test with a classifier whether two sources differ, and by what;
# - say what a result on simulated ECGs does not show.
#
# Back to [01_preprocess](../01_preprocess.py).
#
# Three sets of ECGs, cleaned and measured in the same way, are compared.
#
# - *This cohort* has the patients of notebook 01, or some of them.
# - *Simulated* patients were made for this study and are not in the cohort. Their conditions are as
#   frequent as in a hospital (`prevalence: paper`), because a mixture rich in rare findings would
#   differ for that reason alone.
# - *Real, aggregates* are quantiles that were computed beforehand from recordings of PTB-XL. The
#   recordings are not part of this compendium. Each quantile has at least ten patients below it and
#   ten above it.
#
# In a run on recordings of people, *this cohort* is real too.

# %% tags=["plumbing"]
import json

import numpy as np
import pandas as pd

from ecglib.classify import two_sample
from ecglib.cohorts import cohort_features
from ecglib.evaluate import auc
from ecglib.figures import dots, sim_vs_real
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-sim_vs_real"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## Each ECG becomes a row of named numbers
#
# The numbers are percentiles of each lead's samples, its power in half octaves, its disturbances,
# and the rates, intervals, axes and waves that notebook 01 measured.

# %%
most = int(np.clip(stage.section("cohort")["patients"] // 10, 50, 400))
comparison = stage.step(
    "comparison_cohort",
    cohort_features.build_comparison_cohort,
    {"source": "synthetic", "patients": most, "prevalence": "paper"},
)
comparison_values = stage.step(
    "comparison_measurements", cohort_features.measure_cohort, {}, {"cohort": comparison}
)
cohort, values = stage.input("01", "cohort"), stage.input("01", "measurements")
pairs = {
    "ecg_features": {"cohort": cohort, "measurements": values},
    "comparison_features": {"cohort": comparison, "measurements": comparison_values},
}
features = {
    name: stage.step(name, cohort_features.extract_features, {"patients": most}, inputs)
    for name, inputs in pairs.items()
}

# %%
frames = {name: pd.read_parquet(path / "ecg_features.parquet") for name, path in features.items()}
described = {
    "Simulated, prevalence paper": cohort_features.distribution(frames["comparison_features"]),
    "This cohort": cohort_features.distribution(frames["ecg_features"]),
}
described = pd.concat(described, names=["source"]).reset_index("source")
stage.data("distribution", described)
for name, frame in frames.items():
    print(f"{name}: {frame.shape[1] - 2} numbers of {len(frame)} ECGs", end="; ")
    print(frame["patient"].nunique(), "patients")

# %% [markdown]
# ## A classifier learns to tell them apart
#
# It reads the numbers of *simulated* patients and of *this cohort*, and predicts which of the two
# an ECG is from. A later section says how it is examined.

# %%
inputs = {"source_a": features["comparison_features"], "source_b": features["ecg_features"]}
live = stage.step("two_sample", two_sample.score_sources, {}, inputs)
scores = stage.data("scores", pd.read_parquet(live / "scores.parquet"))
print(f"{len(scores)} scores of {scores['unit'].nunique()} patients of both sources")

# %% [markdown]
# ## From here on: saved predictions
#
# ## Amplitudes, spectra and intervals compared

# %%
committed = stage.file("reports/benchmarks/beside_reality.csv")
print("".join(line for line in committed.read_text().splitlines(keepends=True) if line[0] == "#"))
HOSPITAL = "frequencies of a hospital"  # of the simulated conditions: `prevalence: paper`
REAL, SIMULATED = "Real, aggregates (PTB-XL)", f"Simulated, {HOSPITAL}"
real = cohort_features.read_distribution(committed).assign(source=REAL)
saved = stage.read("distribution").replace({"source": {"Simulated, prevalence paper": SIMULATED}})
sources = pd.concat([real, saved], ignore_index=True)
ecgs = sources.groupby("source", sort=False)["ecgs"].max()
caption = (
    "a: percentiles 1 and 99 of a lead's samples, the median over ECGs and the middle half. b: the "
    "spectrum of lead II in half octaves, the median over ECGs (with marks) and the band of 90 % "
    "of them (between thin lines). c to g: rate, intervals and axis; boxes hold the middle half, "
    "whiskers 90 %, as far as ten patients are beyond them. Frequencies of a hospital: conditions "
    "are as frequent as in a hospital's patients. "
    + "; ".join(f"{name}: {n} ECGs" for name, n in ecgs.items())
    + "."
)
alt = (
    "Three sources of ECGs drawn side by side: amplitudes by lead, a spectrum, and five box plots."
)
stage.figure("beside_reality", sim_vs_real.sources(sources), sources.round(4), caption, alt)

# %% [markdown]
# The same quantiles as a table, for three leads and four frequencies:

# %%
keys = ["view", "of", "lead", "unit"]
outer = (sources["view"] == "amplitude") & sources["of"].isin(["1", "99"])
bands = (sources["view"] == "power") & sources["of"].isin(["1", "8", "32", "90.51"])
chosen = (outer | bands) & sources["lead"].isin(["II", "V2", "V4"])
wide = sources[chosen | (sources["view"] == "measure")]
wide = wide.set_index([*keys, "source"])[["q05", "q50", "q95"]]
wide = pd.concat({name: wide.xs(name, level="source") for name in ecgs.index}, axis=1)
QUANTILES = {"q05": "5 %", "q50": "median", "q95": "95 %"}
wide.columns = [f"{source}: {QUANTILES[q]}" for source, q in wide.columns]
wide = wide.reset_index().rename(columns={"view": "kind", "of": "measure"}).round(3)
stage.table("beside_reality", wide, "Quantiles over ECGs by source.")

# %% [markdown]
# **What to see.** The simulated hospital's medians of rate, PR, QRS and QTc are near the real ones:
# the simulator draws these values from textbook ranges. In this cohort conditions are more
# frequent, and QRS and QTc are longer. Of the intervals the upper end of QRS differs most: too many
# simulated hearts conduct slowly. Compare the two ends of the spectra, too. The next lines give
# ratios of some medians, simulated over real.

# %%
middle = sources.pivot_table(index=["view", "of", "lead"], columns="source", values="q50")
simulated, true = middle[SIMULATED], middle[REAL]
power = 10 ** (simulated - true).loc["power"]  # of log10 powers
ratio = (simulated / true).loc[["amplitude", "measure"]]
print("power of V4 at 32 and 45 Hz, where a QRS has its slopes and notches:", end=" ")
print(f"{power['32', 'V4']:.2f} and {power['45.25', 'V4']:.2f}")
print("power of lead I at 64 and 91 Hz, the recorder's noise:", end=" ")
print(f"{power['64', 'I']:.1f} and {power['90.51', 'I']:.1f}")
print(f"power of lead I at 0.5 Hz, wander: {power['0.5', 'I']:.2f}")
print(f"99th percentile of V4, its R wave: {ratio['amplitude', '99', 'V4']:.2f}")
print(f"T over QRS in V5: {ratio['measure', 't_over_qrs', 'V5']:.2f}")
print(f"standard deviation of RR: {ratio['measure', 'rr_sd', '']:.2f}")
ends = sources[sources["of"].isin(["qrs", "pr"])]
ends = ends.pivot(index="of", columns="source", values="q95")
for name, text in {"qrs": "QRS", "pr": "PR"}.items():
    line = ends.loc[name, [SIMULATED, REAL]]
    print(f"{text}, 95th percentile: {line[SIMULATED]:.0f} ms simulated, {line[REAL]:.0f} ms real")

# %% [markdown]
# ## A classifier is a stricter judge
#
# Numbers may agree one by one although the ECGs differ. A classifier of random trees therefore
# reads all numbers of an ECG and predicts its source, cross-validated by patient. An AUC of 0.5
# would mean that simulated and real ECGs cannot be distinguished. (The AUC of 0.998 in the README
# is from the benchmark `sim_vs_real`, on patients that were held out once.) The classifier is
# examined in two ways. In the first, it reads one group of numbers *alone*. In the second, one
# group is *shuffled* among the held-out ECGs; the loss in AUC shows how much this classifier leans
# on the group. It does not show that the other groups lack the information.
#
# The comparison with real recordings was made beforehand, on a machine that had the recordings
# (`reports/benchmarks/beside_reality.json`). Here the same test compares this cohort with the
# simulated hospital.

# %%
before = stage.file("reports/benchmarks/beside_reality.json").read_text()
before = json.loads(before.replace("prevalence paper", HOSPITAL))
aucs = auc.two_sample(stage.read("scores"), ("seen", "how"), stage.seed)
aucs["pair"] = f"this cohort from simulated, {HOSPITAL}"
aucs = pd.concat([pd.DataFrame(before["comparisons"]), aucs], ignore_index=True)
columns = ["pair", "seen", "how", "value", "low", "high", "n"]
stage.table("apart", aucs[columns].round(3), "AUC of a classifier between two sources of ECGs.")
PAIRS = {  # in the figure
    aucs["pair"].iloc[0]: "Real ECGs (PTB-XL) or the simulated hospital?",
    aucs["pair"].iloc[-1]: "This cohort or the simulated hospital?",
}
main = aucs[aucs["pair"].isin(PAIRS)].replace({"pair": PAIRS})
patients = main.groupby("pair", sort=False)["n"].max()
of_pairs = "; ".join(f"{pair}: {n} patients" for pair, n in patients.items())
caption = (
    "AUC of a classifier that tells two sources of ECGs apart by numbers of each ECG: by one group "
    "of them alone, or by all of them with one group shuffled among the ECGs. Row all: all "
    "numbers, none shuffled. In the simulated "
    "hospital conditions are as frequent as in a hospital's patients. Bars: 95 % intervals over "
    "patients; the axis is logarithmic in 1 - AUC. Intervals beyond the right edge end there. "
    f"{of_pairs}.{dots.dashed(main)}"
)
alt = f"Two panels of points with intervals, one row per group of numbers.{dots.dashed(main)}"
drawn = main.rename(columns={"pair": "panel", "seen": "category"})
drawn["method"] = drawn["how"].replace("shuffled", "without")
stage.figure("apart", dots.rows(drawn), main.round(4), caption, alt)

# %% [markdown]
# The next table lists the single numbers that best separate real from simulated ECGs, at most four
# per group, with their medians.

# %%
alone = pd.DataFrame(before["single"])
alone = alone[alone["pair"] == aucs["pair"].iloc[0]].rename(columns={"one": "simulated"})
assert len(alone), "no single number of this pair"
alone = alone.rename(columns={"other": "real"})[["group", "number", "auc", "simulated", "real"]]
stage.table("single", alone, "Numbers that separate real from simulated ECGs by themselves.")

# %% [markdown]
# **What to see.** Compare each diamond with the row *all*. A small loss says that the classifier
# manages without the group. A large loss says that it leans on the group, and not that the others
# lack the information: with the spectrum shuffled the AUC of panel a falls to 0.62, although waves
# alone reach 0.99. Where one group alone has a higher AUC than all numbers, the classifier is no
# ceiling, and its AUC is a lower bound of how far the sources differ. In the second panel both
# sources are simulated. They differ in how frequent conditions are, and in how severe: this cohort
# is *graded*. A mixture with more of the rare conditions but without grades is `enriched` in the
# lines below.
#
# ## What it means

# %%
whole = aucs[aucs["seen"] == two_sample.ALL].set_index("pair")
ENRICHED = "Simulated with more of the rare conditions, or the simulated hospital?"
for pair, row in whole.iterrows():
    print(f"- {PAIRS.get(pair, ENRICHED)} AUC {row['value']:.3f}", end=" ")
    print(f"[{row['low']:.3f}, {row['high']:.3f}].")
first = whole.iloc[0]
answer = "can be told" if first["low"] > 0.5 else "cannot be told"
print(f"- A simulated ECG {answer} from a real one. What a model reaches on simulated ECGs is no")
print("  estimate of what it reaches on patients.")
print("- Findings of a simulated ECG are true in its waveform and known without error. The")
print("  simulator is used for that.")

# %% [markdown]
# Two limits apply. The real ECGs come from one collection, with its own recorders and its own mix
# of patients. The simulated patients have the mix of another hospital (`prevalence: paper`).
#
# ## Try it yourself
#
# - Draw the figure with `sources[sources["source"] != "This cohort"]`: only simulated and real ECGs
#   remain.
# - Change `["II", "V2", "V4"]` to `["I", "aVF", "V6"]` in the cell of the table. The limb leads
#   show the recorder's noise best.
# - Run `two_sample.single_number_auc` on the two frames of the second cell: it lists the numbers
#   that separate this cohort from the simulated hospital.
#
# Back to [01_preprocess](../01_preprocess.py).

# %%
stage.finish()
