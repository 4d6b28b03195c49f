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
# # What would a million ECGs take?
#
# | | |
# |---|---|
# | reads | the cohort of notebook 01, and two committed benchmarks |
# | writes | disk and time of a cohort of a million ECGs |
# | paper items | none; ECG-Tok's three sources hold 2.35 million ECGs |
# | time | 8 s in `laptop` on two cores, after notebook 01 |
# | memory | 0.5 GB in `laptop` |
#
# After this notebook you can
#
# - compute the size of a cohort from its shape;
# - stop a build or a training anywhere and continue with the same bytes;
# - say which step of a build costs most.
#
# Back to [01_preprocess](../01_preprocess.py).

# %% tags=["redraw", "plumbing"]
import json

import numpy as np
import pandas as pd

from ecglib.cohorts.loader import Loader
from ecglib.cohorts.store import SHARD, Cohort
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, SAMPLES

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-million"  # the study's own run
seed = 0  # the run's

# %% tags=["redraw", "plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## A cohort grows by shards
#
# A shard is one file. It holds the ECGs of 256 recordings, or of 256 simulated patients, who have
# one ECG or more each. Signals are stored as int16 microvolts, (ECGs, 12, 2500) per file. A file
# appears under its name only when it is complete. A build that was killed continues with the
# missing files. The cores of one machine and a Dask cluster (`--dask tcp://...`) write the same
# bytes.

# %%
folder = stage.input("01", "cohort")
cohort = Cohort.open(folder)
shard = cohort.manifest["shards"][0]
ecg_bytes, header = len(LEADS) * SAMPLES * 2, 128  # as int16; of a .npy file before its numbers
assert (folder / shard["file"]).stat().st_size == header + shard["records"] * ecg_bytes
table_bytes = (folder / "records.parquet").stat().st_size
measured = {"ecgs": [len(cohort)], "ecg_bytes": [ecg_bytes], "table_bytes": [table_bytes]}
stage.data("sizes", pd.DataFrame(measured))
print(f"{len(cohort.manifest['shards'])} shards; the first holds {shard['records']} ECGs,")
print(f"one ECG takes {ecg_bytes / 1000:.0f} kB and {table_bytes / len(cohort):.0f} B of the table")

# %% [markdown]
# ## The loader needs nothing but the seed and a step
#
# Each epoch visits every ECG once. Its order depends only on the seed and the number of the epoch.
# A training that continues at any step therefore reads the same batches as one that was never
# interrupted.

# %%
loader = Loader(cohort, cohort.rows("train"), batch=32, seed=seed)
by_hand = np.random.default_rng([seed, 1]).permutation(cohort.rows("train"))[:32]
resumed = loader.at(len(loader))  # the first batch of the second epoch, read directly
assert np.array_equal(resumed.rows, by_hand)
epochs = [np.concatenate(loader.order(number)) for number in range(2)]
assert (np.sort(epochs[0]) == np.sort(epochs[1])).all() and (epochs[0] != epochs[1]).any()
print(f"{len(loader)} batches per epoch; signals {resumed.signals.shape} mV")

# %% [markdown]
# ## Disk and hours
#
# The rates come from the committed benchmarks. A build reads a WFDB file, checks it, cleans it,
# computes the quality score and writes the result, here on one core. The benchmark reads simulated
# ECGs in the layout of PTB-XL and counts processor time. A slow disk adds waiting time. The table
# is assumed to need as many bytes per ECG as in this cohort, which is too many if the cohort is
# small.

# %% tags=["redraw"]
settings, sizes = stage.section("study"), stage.read("sizes").iloc[0]
building = json.loads(stage.file("reports/benchmarks/cohort_rate.json").read_text())
loading = json.loads(stage.file("reports/benchmarks/loader_rate.json").read_text())
ecgs, cores = settings["ecgs"], settings["cores"]
shard_files = -(-ecgs // SHARD)
signal_bytes = ecgs * int(sizes["ecg_bytes"]) + shard_files * 128
table_gb = ecgs * sizes["table_bytes"] / sizes["ecgs"] / 1e9
hours = ecgs / building["value"] / 3600
million = [
    ("ECGs", ecgs, "rows"),
    ("shards", shard_files, "files"),
    ("files in all", shard_files + 3, "files"),  # and the table, the quarantine, cohort.json
    ("one full shard", (128 + SHARD * sizes["ecg_bytes"]) / 1e6, "MB"),
    ("signals", signal_bytes, "bytes"),
    ("signals", signal_bytes / 1e9, "GB"),
    ("table", table_gb, "GB"),
    ("building on 1 core", hours, "hours"),
    (f"building on {cores} cores", hours / cores, "hours"),
    ("one chunk, the most that a kill costs a core", SHARD / building["value"], "seconds"),
    ("one epoch of the loader", ecgs / loading["slowest"] / 60, "minutes"),
]
million = pd.DataFrame(million, columns=["quantity", "value", "unit"])
stage.table("million", million.round(2), "A cohort of a million ECGs.")

# %% [markdown]
# **What to see.** Signals fill the disk, and the table is small beside them. Signals are
# memory-mapped, so a training needs the memory of its batches and of the table only.
#
# ## What it means

# %% tags=["redraw"]
further = ecgs / building["measured_per_second"] / 3600
print(f"- {ecgs:,} ECGs are {signal_bytes / 1e9:.0f} GB. {cores} cores build them in", end=" ")
print(f"{hours / cores:.1f} hours.")
print(f"- Building takes {building['ratio']:.1f} times as long as cleaning alone;", end=" ")
print(f"{100 * building['reading_share']:.0f} % of it is reading files.")
print(f"- Measuring waves and intervals takes {further:.1f} hours more on one core.")

# %% [markdown]
# ## Try it yourself
#
# - Set `ecgs: 2350000` in `million.yaml` and run the study again: the size of ECG-Tok's sources.
# - Read `loader.at(3)` and `loader.at(3 + len(loader))`: the same place in two epochs holds
#   different ECGs.
#
# Back to [01_preprocess](../01_preprocess.py).

# %%
stage.finish()
