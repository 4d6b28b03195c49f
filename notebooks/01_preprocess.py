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
# # What must happen to an ECG before a model may learn from it?
#
# | | |
# |---|---|
# | reads | the simulator, or a folder of PTB-XL or MIMIC-IV-ECG (`--data-root`) |
# | writes | the cohort that all later notebooks read: signals, records, labels, split, quarantine |
# | paper items | ECG-Tok, section 2.1: before and after, cohort, label prevalence, split |
# | time | 12 s in `smoke`, 24 s in `laptop` on two cores |
# | memory | 0.6 GB in `laptop` |
#
# Three papers are compared in this compendium, and all of them start here: the same recordings, at
# one rate, in one unit, with the leads in one order, split once by patient.

# %%
import numpy as np
import pandas as pd
from scipy.signal import firwin, welch

from ecglib.cohorts import build, split, summary
from ecglib.cohorts.store import Cohort
from ecglib.figures import ecg
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE, from_electrodes, limb_identities
from ecglib.signals.resample import to_rate

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws patients, split and public numbers

# %%
stage = Stage("01", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## Twelve leads are eight
#
# Three limb electrodes give six leads. With the potentials of right arm, left arm and left leg,
#
# $$ I = LA - RA, \quad II = LL - RA, \quad III = LL - LA = II - I $$
#
# by Einthoven, and aVR, aVL, aVF by Goldberger as the potential of one electrode against the mean
# of the other two. Potentials of two seconds of noise are enough to see it.

# %%
rng = np.random.default_rng(seed)
potential = rng.normal(size=(9, 500))  # RA, LA, LL and six chest electrodes, in mV
ra, la, ll = potential[:3]
einthoven = np.stack([la - ra, ll - ra, ll - la])
goldberger = np.stack([ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2])
chest = potential[3:] - (ra + la + ll) / 3  # against Wilson's terminal
toy = np.vstack([einthoven, goldberger, chest])
print("one ECG:", toy.shape, "in the order", *LEADS)
assert np.allclose(toy[2], toy[1] - toy[0])
assert np.allclose(toy[3:5], [-(toy[0] + toy[1]) / 2, toy[0] - toy[1] / 2])

# %% [markdown]
# The library's function must say the same. What the identities are good for: files do not agree on
# the order of the leads (MIMIC-IV-ECG stores aVF before aVL), and an exchange that no eye would
# notice in a table of numbers breaks them at once. So leads are arranged by name, and every
# recording is checked; one that violates an identity by more than 0.1 mV goes to the quarantine.

# %%
assert np.allclose(from_electrodes(potential), toy, atol=1e-5)
exchanged = toy[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
violations = {"as it is": limb_identities(toy), "exchanged": limb_identities(exchanged)}
pd.DataFrame(violations).rename_axis("largest violation (mV)").round(3)

# %% [markdown]
# ## Taking every second sample is not resampling
#
# All systems here work at 250 Hz, most recordings come at 500 Hz. Released code often keeps every
# second sample. At 250 samples a second nothing above 125 Hz can be told apart from something
# below it: a tone of 170 Hz comes back as one of 250 - 170 = 80 Hz, where muscles and the notches
# of a broad QRS complex have theirs, and no later filter can take it out again.

# %%
seconds = np.arange(5000) / 500
tone = np.sin(2 * np.pi * 170 * seconds)
naive = tone[::2]
spectrum = np.abs(np.fft.rfft(naive)) / len(naive) * 2
peak = np.argmax(spectrum) * 250 / len(naive)
print(f"170 Hz before, {peak:.0f} Hz after, amplitude {spectrum.max():.2f}")
assert round(peak) == 80

# %% [markdown]
# The remedy is a low-pass filter at the new half rate first. Written out: a windowed sinc, then
# every second sample. The library's polyphase filter computes only the samples that it keeps; the
# two agree to rounding away from the ends, where the library continues the signal in a line.

# %%
kernel = firwin(41, 0.5, window=("kaiser", 5.0))  # 0.5 of the old half rate is 125 Hz
by_hand = np.convolve(tone, kernel, mode="same")[::2]
filtered = to_rate(tone, 500, 250)
assert filtered.shape == (2500,)
assert np.allclose(by_hand[20:-20], filtered[20:-20], atol=1e-5)
left = np.abs(filtered[20:-20]).max()
print(f"amplitude left of the 170 Hz tone: {naive.max():.2f} naive, {left:.4f} filtered")
assert left < 0.01 < naive.max()

# %% [markdown]
# ## The cohort
#
# The data plan says where the recordings come from, the profile how many patients. The step reads
# or simulates them, sends what cannot be used to the quarantine, resamples, splits and stores.

# %%
name = stage.plan["roles"]["train"][0]
plan = stage.plan["cohorts"][name]
options = {key: plan[key] for key in ("sites", "findings", "translation", "reports") if key in plan}
config = {"source": plan["source"], "patients": stage.section("cohort")["patients"], **options}
folder = stage.step("cohort", build.build, config, stage.data_inputs(name))
cohort = Cohort.open(folder)
rows = cohort.rows("train")[:4]
print(f"{len(cohort)} ECGs; signals of four:", cohort.signals(rows).shape, "float32 in mV")
print("labels:", cohort.labels.shape, "int8, states", *np.unique(cohort.labels))

# %% [markdown]
# One row an ECG. `unit` and `ecg` are numbers drawn for this run, one a patient and one a
# recording; results carry only these. The patient's and the recording's own identifiers stay in the
# cohort's folder. A label is 1 present, 0 absent, 2 uncertain, 3 history, or -1 where this source
# cannot tell.

# %%
shown = ["unit", "ecg", "site", "age", "sex", "device", "rate", "n_valid", "report", "split"]
cohort.records.iloc[rows][shown]

# %%
stage.table("cohort", summary.describe(cohort.records), "The cohort and its split.")

# %% [markdown]
# Nothing is dropped without a trace: what was rejected, and how often each reason decided.

# %%
rejected = cohort.quarantine["reason"].value_counts().rename_axis("reason")
rejected = rejected.reset_index(name="recordings")
rejected["percent"] = 100 * rejected["recordings"] / (len(cohort) + len(cohort.quarantine))
stage.table("quarantine", rejected, "Recordings that were rejected, by reason.")

# %% [markdown]
# ## Before and after
#
# One recording as it came and as the models see it. Below 100 Hz the two spectra should lie on each
# other; above 125 Hz the processed signal has none.

# %%
item = build.example(config, stage.data_inputs(name), seed, index=0)
raw, rate, after = item["raw"], item["rate"], item["processed"]
print("before:", raw.shape, f"at {rate:g} Hz; after:", after.shape, f"at {RATE} Hz")
lead = LEADS.index("II")
frequency, power = welch(raw[lead], rate, nperseg=int(4 * rate))
spectra = pd.DataFrame({"frequency_hz": frequency, "before": power})
_, power = welch(after[lead, : item["n_valid"]], RATE, nperseg=4 * RATE)
spectra["after"] = pd.Series(power)  # same 0.25 Hz grid, NaN above 125 Hz
below = spectra[spectra["frequency_hz"].between(0.5, 100)]
change = 10 * np.log10(below["after"] / below["before"]).abs().median()

# %%
figure = ecg.before_after(raw, int(rate), after, leads=("II", "V1"), spectra=spectra)
stage.figure("before_after", figure, spectra)

# %% [markdown]
# The same recording as a physician sees it: 25 mm a second, 10 mm a millivolt.

# %%
figure = ecg.twelve_lead(after, n_valid=item["n_valid"], title="After preprocessing, 250 Hz")
values = pd.DataFrame(after.T, columns=list(LEADS)).round(4)
values.insert(0, "seconds", np.arange(after.shape[1]) / RATE)
stage.figure("twelve_leads", figure, values)

# %% [markdown]
# ## Labels
#
# The 77 labels in six categories are ECG-Tok's. A source states only some of them: SCP codes of
# PTB-XL name no leads for an inverted T wave, for instance, and the simulator draws what it can
# draw. The others are -1 and never scored. `mhi_percent` is the prevalence that the paper reports.

# %%
labels = summary.prevalence(cohort.records)
stage.table("labels", labels, "States of the 77 labels.")
stated = labels[labels["assessable"] > 0]
stated[stated["present"] > 0].sort_values("present", ascending=False).round(2)

# %% [markdown]
# ## One split, by patient
#
# A patient's second ECG resembles the first. With the two on different sides of a split, a model is
# praised for recognising a person. So patients are dealt, not recordings: first the test patients
# (20 %), then, from the rest, those for validation (10 %). Each goes where their labels are missing
# most, rarest label first, so that even rare findings reach every part where there are enough.

# %%
shares = split.balance(cohort.records)
stage.table("split", shares.round(3), "Share of each part among patients, ECGs and labels.")

# %%
common = shares[shares["total"] >= 50]
goal = pd.Series(split.FRACTIONS)
off = (common[list(goal.index)] - goal).abs().max().max()
shared = split.shared_patients(cohort.records)
patients = cohort.records["patient_id"].nunique()
stage.claim("split.patient_leakage", shared, shared, shared, patients)
assert shared == 0

# %% [markdown]
# ## What we saw

# %%
kept, lost = len(cohort), len(cohort.quarantine)
print(f"- {kept} ECGs of {patients} patients were kept, {lost} went to the quarantine.")
print(f"- Every second sample made 170 Hz into {peak:.0f} Hz; the filter left {100 * left:.2f} %.")
print(f"- Between 0.5 and 100 Hz the spectrum of lead II moved by {change:.2f} dB (median).")
print(f"- {len(stated)} of 77 labels can be told from this source.")
print(f"- {shared} patients stand in two parts of the split; shares of the labels with at least")
print(f"  50 ECGs are off their goal by at most {100 * off:.1f} points.")

# %%
stage.finish()
