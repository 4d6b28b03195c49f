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
# | reads | the simulator, or a download or folder of the data plan |
# | writes | the cohort that all later notebooks read: signals, records, labels, split, quarantine |
# | paper items | ECG-Tok, section 2.1: before and after cleaning, cohort, 77 labels, split |
# | time, memory | 22 s in `smoke`, 2 nominal minutes and 1 GB in `laptop` |
#
# After this notebook you can
#
# - arrange, resample and clean a 12-lead ECG, and name what each step removes;
# - separate unusable recordings from poor ones, and absent labels from unknown ones;
# - say why a cohort needs cases on both sides of each definition;
# - split a cohort by patient and check the split.
#
# Next: [02_tokenizers](02_tokenizers.py).
#
# The compendium compares three papers on the same recordings. So all recordings get one rate, one
# unit, one order of the leads, and one split by patient. In the code, `stage.step` computes an
# expensive result or reuses it, `stage.data` saves a table, and `stage.table` and `stage.figure`
# show it.

# %% tags=["redraw", "plumbing"]
import io
from itertools import combinations

import numpy as np
import pandas as pd
from IPython.display import display
from scipy.signal import firwin

from ecglib.cohorts import build, cohort_features, merge_cohorts, split, summary
from ecglib.cohorts.loader import Loader
from ecglib.cohorts.quarantine import problem
from ecglib.cohorts.store import Cohort
from ecglib.figures import cleaning, definition_limits, ecg_page
from ecglib.labels.label_groups import GROUP_OF
from ecglib.labels.label_set import ABSENT, COLUMNS, LABELS, NOT_ASSESSABLE, PRESENT, Label
from ecglib.run.stage import Stage
from ecglib.signals import highpass, loess, mains
from ecglib.signals.clean import clean
from ecglib.signals.leads import LEADS, RATE, from_electrodes, limb_identities
from ecglib.signals.resample import to_rate
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import simulate

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws patients, split and public numbers

# %% tags=["redraw", "plumbing"]
stage = Stage("01", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## Eight of the twelve leads are independent
#
# Limb electrodes are on the right arm (RA), the left arm (LA) and the left leg (LL). Einthoven's
# leads are differences between their potentials:
#
# $$ I = LA - RA, \quad II = LL - RA, \quad III = LL - LA = II - I $$
#
# Goldberger's aVR, aVL and aVF compare one electrode with the mean of the other two. Each chest
# lead compares its electrode with the mean of all three. So four of the twelve follow from the
# others. An exchange of two leads breaks these identities: MIMIC-IV-ECG, for example, stores aVF
# before aVL. Leads are therefore arranged by name, and every recording is checked.

# %%
rng = np.random.default_rng(seed)
potential = rng.normal(size=(9, 500))  # RA, LA, LL and six chest electrodes, in mV
ra, la, ll = potential[:3]
einthoven = np.stack([la - ra, ll - ra, ll - la])
goldberger = np.stack([ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2])
chest = potential[3:] - (ra + la + ll) / 3  # against Wilson's terminal
toy = np.vstack([einthoven, goldberger, chest])
assert np.allclose(from_electrodes(potential), toy, atol=1e-5)
print("one ECG:", toy.shape, "in the order", *LEADS)
exchanged = toy[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
violations = {"as it is": limb_identities(toy), "exchanged": limb_identities(exchanged)}
pd.DataFrame(violations).rename_axis("largest violation (mV)").round(3)

# %% [markdown]
# ## Keeping every second sample folds high frequencies into the ECG
#
# All systems here work at 250 Hz, and most recordings come at 500 Hz. Some released code keeps
# every second sample. At 250 Hz a tone of 170 Hz then looks like a tone of 250 - 170 = 80 Hz. No
# later filter can remove it, because the notches of a broad QRS complex have the same frequencies.

# %%
tone = np.sin(2 * np.pi * 170 * np.arange(5000) / 500)  # (5000,): ten seconds at 500 Hz
naive = tone[::2]
peak = np.argmax(np.abs(np.fft.rfft(naive))) * 250 / len(naive)
kernel = firwin(41, 0.5, window=("kaiser", 5.0))  # 0.5 of the old half rate is 125 Hz
by_hand = np.convolve(tone, kernel, mode="same")[::2]
filtered = to_rate(tone, 500, 250)  # computes only the samples that it keeps
assert filtered.shape == (2500,) and round(peak) == 80
assert np.allclose(by_hand[20:-20], filtered[20:-20], atol=1e-5)
left_of_tone = np.abs(filtered[20:-20]).max()
print(f"170 Hz of amplitude 1 becomes {peak:.0f} Hz of amplitude {naive.max():.2f} if every second")
print(f"sample is kept; behind a low-pass filter {left_of_tone:.4f} of it is left")

# %% [markdown]
# ## One recording that needs cleaning
#
# The example is the first usable recording of the data plan. Two disturbances are added to it at
# the electrodes, where they arise in practice. The left arm drifts by 1.5 mV at 0.3 Hz. Mains hum
# of 50.03 Hz enters at all electrodes, with 0.1 mV in lead I. So the clean signal is known.

# %%
settings = {
    name: {key: plan[key] for key in build.SETTINGS if key in plan}
    | {"patients": stage.section("cohort")["patients"]}
    for name, plan in stage.plan["cohorts"].items()
}
first = stage.plan["roles"]["train"][0]
item = build.example(settings[first], stage.data_inputs(first), seed)
came, rate = item["raw"], item["rate"]  # (12, n) in mV
seconds = np.arange(came.shape[1]) / rate
drift = np.zeros((9, len(seconds)))
drift[1] = 1.5 * np.sin(2 * np.pi * 0.3 * seconds)  # electrode 1 is the left arm
gain = 0.1 * np.array([0.2, -0.8, 0.5, 0.3, -0.4, 0.6, 0.1, -0.5, 0.4])  # one per electrode
hum = gain[:, None] * np.sin(2 * np.pi * 50.03 * seconds)
drifting = (came + from_electrodes(drift)).astype(np.float32)
raw = (drifting + from_electrodes(hum)).astype(np.float32)
print("the example:", raw.shape, f"in mV at {rate:g} Hz")

# %% [markdown]
# ## Cleaning has three steps
#
# ECG-Tok resamples to 250 Hz, removes baseline wander where it outweighs the ECG, and flattens the
# lines of the mains in the spectrum. Each step here sees one recording only. The result is
# therefore the same, bit for bit, alone, in a batch and on any number of workers. `clean`, the
# function that cleaned the cohort, returns the signal after each step.

# %%
done = clean(raw, rate)
lead = LEADS.index("I")
steps = {"Original": (rate, raw), "Resampled": (RATE, done.resampled)}
steps |= {"High-passed": (RATE, done.high_passed), "Flattened": (RATE, done.signal)}
steps = [pd.DataFrame({"step": k, "rate": hz, "mv": x[lead]}) for k, (hz, x) in steps.items()]
stage.data("cleaning_traces", pd.concat(steps, ignore_index=True))
print("leads high-passed:", *np.array(LEADS)[done.filtered])
print("lines flattened:", *(f"{line.hertz:.2f} Hz" for line in done.lines))

# %% tags=["redraw"]
if stage.has("cleaning_traces"):  # no waveform of a patient is published
    steps, spectra = stage.read("cleaning_traces").groupby("step", sort=False), []
    traces = {name: (float(part["rate"].iloc[0]), part["mv"].to_numpy()) for name, part in steps}
    for name, (hz, x) in traces.items():
        table = {"step": name, "frequency_hz": np.fft.rfftfreq(len(x), 1 / hz)}
        table["amplitude_mv"] = 2 * np.abs(np.fft.rfft(x)) / len(x)  # of a sinusoid, at any rate
        spectra.append(pd.DataFrame(table))
    spectra = pd.concat(spectra, ignore_index=True)
    caption = (
        "Lead I of one recording after each cleaning step, and its spectrum (grey: a step before). "
        "A drift of 0.3 Hz and 1.5 mV and a hum of 50.03 Hz and 0.1 mV had been added to it."
    )
    alt = "Four rows of a trace and a spectrum: a slow wave, later a peak near 50 Hz, disappear."
    stage.figure("cleaning_steps", cleaning.steps(traces, spectra), spectra, caption, alt)

# %% [markdown]
# **What to see.** Resampling ends the spectrum at 125 Hz and leaves the trace alone. The high-pass
# filter takes out the slow wave. Flattening takes out the peak at 50 Hz and no other.
#
# ## Wander is filtered only where it outweighs the ECG
#
# A high-pass filter at 1 Hz also bends ST segments. So the paper asks first whether the energy
# below 1 Hz is more than ten times that of 1 to 30 Hz. **Ours, not the paper's:** the rule is
# tested in each lead without its offset, and the filter is a Butterworth of order 2 run in both
# directions. Where the rule holds in one limb lead, all six are filtered.

# %%
ratio = highpass.energy_ratio(done.resampled)
wander = {"lead": LEADS, "energy_ratio": ratio.round(2), "rule": ratio > highpass.TIMES}
stage.data("wander", pd.DataFrame(wander | {"filtered": done.filtered}))
alone = highpass.high_pass(done.resampled, ratio > highpass.TIMES)
broken = max(limb_identities(alone).values())
kept_to = max(limb_identities(done.high_passed).values())
print(f"largest violation of an identity: {broken:.3f} mV if leads are filtered one by one,")
print(f"{kept_to:.6f} mV if the limb leads are filtered together")

# %% tags=["redraw"]
caption = "The ten-times rule on a recording whose left arm drifts."
stage.table("wander", stage.read("wander"), caption)

# %% [markdown]
# **What to see.** The drift is in every limb lead but II, and a third of it is in the chest leads.
# If only some limb leads were filtered, III would no longer equal II - I.
#
# ## Mains: a peak above the local mean is not enough
#
# The paper calls a peak a line if it is more than two standard deviations above the local mean.
# That rule suits spectra averaged over thousands of recordings. **Ours, not the paper's:** the
# power relative to a smooth (LOESS) fit of the spectrum, averaged over the leads, must also be at
# least 5, and 2.25 times the highest value 1 to 5 Hz away. A hundred recordings of noise show why:

# %%
two_sd, with_ours = 0, 0
distance = np.abs(mains.frequencies(2500) - 50)
for _ in range(100):
    noise = from_electrodes(rng.normal(size=(9, 2500)))
    magnitude = np.abs(np.fft.rfft(noise))
    local = magnitude[:, distance <= mains.LOCAL]
    limit = local.mean(axis=1) + 2 * local.std(axis=1)
    two_sd += bool((magnitude[:, distance <= mains.BAND] > limit[:, None]).any())
    with_ours += bool(mains.find_lines(noise))
print(f"'mains' in 100 recordings: {two_sd} by two sd, {with_ours} with two further conditions")
assert with_ours <= 3

# %% [markdown]
# ## A planted tone, before and after
#
# The tone of 50.03 Hz is between two bins of the spectrum, so it leaks into all bins. A sinusoid of
# the tone's own frequency is fitted, and its leakage is subtracted. Within 0.5 Hz of the tone,
# peaks are lowered to a LOESS fit of the spectrum and keep their phases. The limb leads share their
# factors, so the identities hold. LOESS fits a line around each point, where near points weigh
# more. On equally spaced points it is a weighted mean, because the slope drops out.

# %%
noisy = np.sin(np.arange(300) / 30) + rng.normal(0, 0.2, 300)
weight = (1 - np.abs(np.arange(-15, 16) / 15) ** 3) ** 3  # the tricube, over 31 points
smooth = np.convolve(noisy, weight / weight.sum(), mode="valid")
assert np.allclose(smooth, loess.smooth(noisy, 31)[15:-15], atol=1e-12)
tone = {"before": done.high_passed, "after": done.signal}
tone["truth"] = clean(drifting, rate).signal  # the same recording without the tone, cleaned
tone["quiet"] = mains.subtract_lines(done.high_passed, done.lines)
tone = pd.DataFrame({name: x[lead].astype(float) for name, x in tone.items()})
stage.data("tone_traces", tone)
errors = 1000 * np.sqrt(2 * tone.sub(tone["truth"], axis=0).pow(2).mean())  # as sinusoids
print(f"lead I: {errors['before']:.0f} µV of tone before, {errors['after']:.1f} µV off afterwards")

# %% tags=["redraw"]
if stage.has("tone_traces"):
    pair = {name: column.to_numpy() for name, column in stage.read("tone_traces").items()}
    size = {name: np.abs(np.fft.rfft(x)) for name, x in pair.items()}
    n = len(pair["before"])
    line = {"before": size["before"], "fit": mains.fit_background(size["quiet"], n)}
    line = 2 / n * pd.DataFrame(line | {"after": size["after"]})
    line.insert(0, "frequency_hz", mains.frequencies(n))
    caption = (
        "Lead I with a planted tone of 50.03 Hz and 0.1 mV, before and after flattening (left), "
        "and the spectrum near the tone with its LOESS fit (right)."
    )
    alt = "A humming trace under one without the hum; a peak of the spectrum and its end at a fit."
    figure = cleaning.line({name: pair[name] for name in ("before", "after", "truth")}, line, 50.03)
    stage.figure("planted_tone", figure, line, caption, alt)

# %% [markdown]
# **What to see.** The trace after flattening should cover the dotted one, which never had the tone.
# The peak ends at the fit, or a little below it, because the six limb leads share a factor.
#
# ## The released code cleans differently from its paper

# %% tags=["redraw"]
text = """step | paper | released code | here
resampling | to 250 Hz | every second sample, no filter | polyphase filter
unit of work | each recording | batches of 10,000 share scale and lines | one recording
1 Hz high-pass | zero phase, ten-times rule | absent | as in the paper, limb leads together
peak rule | two sd | five sd of 5 Hz, from 20 Hz, lead I, batch mean | two sd and two conditions
flattening | to a LOESS fit | a straight line between two edges found by LOESS | to the LOESS fit
millivolts | to match MHI | mean spectrum of lead I set to PTB-XL's | unit and gain of the file
"""
released = pd.read_csv(io.StringIO(text), sep=r"\s*\|\s*", engine="python")
stage.table("released", released, "Cleaning in the paper, in its released code, and here.")

# %% [markdown]
# ## Unusable recordings are rejected; poor ones get a score
#
# *Can any method use this recording?* If not, it goes to the quarantine with its reason: a file
# that cannot be read, a missing or flat lead, leads under a wrong name, an electrode that was off.
# *How well can it be read?* The answer is a score between 0 and 1, which rejects nothing. A spike
# of five samples, as in some PTB-XL recordings, is no reason to lose an ECG.

# %%
heart = simulate(HeartState(), RATE, rng)  # (12, 2500) mV
exchanged = heart[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
came_off, spiked = heart.copy(), heart.copy()
came_off[LEADS.index("V2"), 500:2000] = 0.0
spiked[LEADS.index("aVR"), 400:405] += 2.5
assert problem(heart, RATE) is None and problem(spiked, RATE) is None
for toy_ecg in (exchanged, came_off):
    print(problem(toy_ecg, RATE))

# %% [markdown]
# The score of a lead counts lost time, wander, noise, and disagreement with the other leads about
# when a QRS comes. It was fitted to 521 recordings that physicians had judged (PhysioNet/CinC
# Challenge 2011). [A study](studies/measured_truth.py) computes the disagreement by hand.
#
# ## The cohort
#
# Each cohort of the plan is read or simulated ([how](studies/simulator.py)), checked, cleaned,
# split and stored. They are then merged, and each recording gets one use, such as training or test.
# The waves of each stored ECG are measured ([how well](studies/measured_truth.py)).
#
# The default plan simulates patients with 63 conditions (8,000 patients in `laptop`), drawn by the
# seed of the run. Seed 7701 is set aside: no choice was made on a cohort of it, so a conclusion can
# be confirmed on fresh patients with `--seed 7701`.

# %%
built = {
    name: stage.step(f"cohort_{name}", build.build, settings[name], stage.data_inputs(name))
    for name in settings
}
folder = stage.step("cohort", merge_cohorts.merge_cohorts, {"roles": stage.plan["roles"]}, built)
measured = stage.step("measurements", cohort_features.measure_cohort, {}, {"cohort": folder})
cohort = Cohort.open(folder)
print(f"{len(cohort)} ECGs; four: {cohort.signals(cohort.rows('train')[:4]).shape} float32 in mV")
print(*cohort.manifest["notes"], sep="\n")

# %% [markdown]
# `unit` and `ecg` are numbers drawn for this run, one per patient and one per recording. Results
# carry only these; the identifiers of patients stay in the cohort's folder. The tables below
# describe the cohort, count the rejections by reason, and say how well the rest can be read.

# %%
public = ["unit", "ecg", "source", "site", "split", "quality", "high_passed", "mains"]
stage.data("split", cohort.records[[*public, *COLUMNS]])
stage.data("cohort", summary.describe(cohort.records))
reasons = cohort.quarantine["reason"].value_counts().rename_axis("reason")
stage.data("quarantine", reasons.reset_index(name="recordings").astype({"reason": str}))
page = pd.DataFrame(item["processed"].T, columns=list(LEADS))
stage.data("page_traces", page.assign(valid=page.index < item["n_valid"]))
cohort.records.loc[cohort.rows("train")[:4], [*public[:7], "age", "sex", "device", "report"]]

# %% tags=["redraw"]
display(stage.table("cohort", stage.read("cohort"), "The cohort and its split."))
members, rejected = stage.read("split"), stage.read("quarantine")
rejected["percent"] = 100 * rejected["recordings"] / (len(members) + rejected["recordings"].sum())
display(stage.table("quarantine", rejected, "Recordings that were rejected, by reason."))
good = members["quality"]
treated = {
    "quality score, 5th percentile": good.quantile(0.05),
    "quality score, median": good.median(),
    "score below 0.5 (% of ECGs)": 100 * (good < 0.5).mean(),
    "high-passed leads (% of leads)": 100 * (members["high_passed"] / len(LEADS)).mean(),
    "mains line flattened (% of ECGs)": 100 * (members["mains"] != "").mean(),
}
treated = pd.DataFrame(treated.items(), columns=["property", "value"]).round(3)
stage.table("quality", treated, "Readability, and what the cleaning did.")

# %% tags=["redraw"]
if stage.has("page_traces"):
    page = stage.read("page_traces")
    values = page[list(LEADS)].round(4)
    figure = ecg_page.twelve_lead(values.to_numpy().T, n_valid=int(page["valid"].sum()))
    values.insert(0, "seconds", np.arange(len(values)) / RATE)
    caption = "The cleaned example at 250 Hz; 25 mm per second, 10 mm per mV."
    stage.figure("twelve_leads", figure, values, caption, "Twelve leads of one ECG on ECG paper.")

# %% [markdown]
# **What to see.** The example as a model gets it, without the planted disturbances.
#
# ## Unknown labels are masked, not counted as negatives
#
# ECG-Tok has 77 labels in six categories. A label is 1 present, 0 absent, 2 uncertain, 3 history,
# or -1 where its source does not decide: PTB-XL's codes name no leads for an inverted T wave. No
# loss and no score reads a -1, and `percent` is a share of the assessable ECGs. `mhi_percent` is
# the paper's prevalence.

# %% tags=["redraw"]
labels = summary.prevalence(members)
stage.table("labels", labels, "States of the 77 labels.")
stated = labels[labels["assessable"] > 0]
naive = 100 * stated["present"] / len(members)  # with "unknown" taken for "no"
for i in (stated["percent"] / naive).dropna().sort_values().tail(1).index:  # the worst
    print(f"{LABELS[i]}: {stated['percent'][i]:.2f} % of the ECGs that can tell,")
    print(f"{naive[i]:.2f} % if unknown counted as absent")
stated[stated["present"] > 0].sort_values("present", ascending=False).head(8).round(2)

# %% [markdown]
# ## A definition needs cases on both sides of its limit
#
# An earlier default cohort had full conditions and healthy hearts, and little between. Percentiles
# of the signal then sufficed to tell nearly every label, so no tokenizer could be better than
# another. Now each condition has a severity. Hearts lie on both sides of the limit of a definition,
# and conditions overlap wherever one heart can have both. Labels are read off the heart by
# definition: first-degree AV block is a PR above 200 ms, whatever was drawn. So a label is true and
# can still be hard to see. Notebook 03 measures how hard.
#
# The next cell compares labels with four quantities as they are measured in the stored ECGs. The
# voltage is that of Sokolow and Lyon, S in V1 plus the larger R of V5 and V6. Saved are the numbers
# of ECGs per bin.

# %%
values = pd.read_parquet(measured / "measurements.parquet")
values["sokolow"] = values["s_V1"].abs() + values[["r_V5", "r_V6"]].max(axis=1)
asked = {  # quantity: title, unit, limit, ends of the axis, labels
    "pr": ("PR: AV block", "ms", 200, (100, 320), [Label.AV_BLOCK_1]),
    "qrs": ("QRS: bundle branch block", "ms", 120, (70, 200), [Label.LBBB, Label.RBBB]),
    "qtc_bazett": ("QTc: long QT", "ms", 470, (360, 600), [Label.LONG_QT]),
    "sokolow": ("Voltage: hypertrophy", "mV", 3.5, (0.5, 6), [Label.SOKOLOW]),
}
bins = []
for name, (title, unit, limit, ends, of) in asked.items():
    states, edges = cohort.labels[:, of], np.linspace(*ends, 23)
    groups = {"present": (states == PRESENT).any(1), "absent": (states == ABSENT).all(1)}
    for state, belongs in groups.items():
        counts, _ = np.histogram(values.loc[belongs, name].dropna(), edges)
        rows = {"low": edges[:-1], "high": edges[1:], "ecgs": counts}
        bins.append(pd.DataFrame(rows | {"state": state}).assign(quantity=title, unit=unit))
        bins[-1]["limit"] = float(limit)
stage.data("severity", pd.concat(bins, ignore_index=True))

# %% tags=["redraw"]
bins = stage.read("severity")
caption = (
    "Four quantities as measured in the ECGs of the cohort, where the label is present (orange) "
    "and where it is absent (grey), stacked. Dashed: the limit of the definition."
)
alt = "Four histograms; the coloured part begins near a dashed line within the bulk of the ECGs."
stage.figure("severity", definition_limits.against_limits(bins), bins, caption, alt)
gap = (bins["low"] + bins["high"]) / 2 / bins["limit"] - 1
near = bins[gap.abs() < 0.1].groupby("quantity", sort=False)["ecgs"].sum()
for name, share in (
    (100 * near / bins.groupby("quantity")["ecgs"].sum()).reindex(near.index).items()
):
    print(f"{name}: {share:.0f} % of the ECGs within 10 % of the limit")

# %% [markdown]
# **What to see.** Cases begin near the limit, and there is no gap beside it. Some cases lie just
# below the limit, because a measurement is not exact. Grey bars reach beyond it where a definition
# has a second condition: a wide QRS that starts in a ventricle is no bundle branch block. In panel
# d some cases lie far to the left: where V1 begins with a deep Q and ends with a small R, its S is
# measured as zero, and the label counts the Q.
#
# Conditions also overlap. A label that always came with another would be counted twice. The next
# cell looks for such copies among labels of different groups; a committed table
# (`ecglib/labels/label_groups.csv`) puts the labels of one condition into one group.

# %% tags=["redraw"]
states = members[list(COLUMNS)].to_numpy()
present = states == PRESENT
pairs = []
for first, second in combinations(np.flatnonzero(present.sum(0) >= 10), 2):
    known = np.isin(states[:, [first, second]], (ABSENT, PRESENT)).all(1)
    a, b = present[known, first], present[known, second]
    if GROUP_OF[first] != GROUP_OF[second] and min(a.sum(), b.sum(), (~a).sum(), (~b).sum()) >= 10:
        pairs.append((np.corrcoef(a, b)[0, 1], LABELS[first], LABELS[second]))
per_ecg = present.sum(1)
print(f"labels present per ECG: {per_ecg.mean():.1f} on average, {per_ecg.max()} at most")
for value, first, second in sorted(pairs, key=lambda pair: -abs(pair[0]))[:3]:
    print(f"correlation {value:.2f}: {first} and {second}")

# %% [markdown]
# **What to see.** A correlation of 1 or -1 would be a copy. Premature ventricular beats are nearly
# one: beats of several shapes make "Monomorph" absent, and extra beats of one shape leave it
# unknown, because readers differ. So where it is known and extra beats are present, it is absent.
#
# ## The split is by patient
#
# A patient's second ECG resembles the first. A model that saw the first would get credit for
# recognising the person. So whole patients are assigned: first 20 % to test, then 10 % to
# validation. Patients with the rarest labels come first, and each goes to the part that lacks these
# labels most. A plan may take PTB-XL's official folds instead (`--data ptbxl_folds`).

# %% tags=["redraw"]
dealt = members.assign(patient_id=members["unit"])  # the public number stands for the patient
shares = split.balance(dealt[dealt["split"].isin(split.FRACTIONS)]).round(3)
display(stage.table("split", shares, "Share of each part in patients, ECGs and labels.").head(8))
shared, patients = split.shared_patients(dealt), dealt.groupby(["source", "unit"]).ngroups
stage.claim("split.patient_leakage", shared, shared, shared, patients)
assert shared == 0
order = np.random.default_rng(stage.seed).permutation(len(dealt))  # a split by recording instead
tested, learned = np.split(dealt["unit"].to_numpy()[order], [len(dealt) // 5])
seen = 100 * np.isin(tested, learned).mean()
print(f"{shared} patients are in two parts. A split by recording would let a training see the")
print(f"patient of {seen:.0f} % of the test ECGs.")

# %% [markdown]
# `gap_points` in the table is the largest difference in prevalence between two parts, in percentage
# points. Of 339 PTB-XL recordings four occur twice, one of them under two patient numbers. A
# repeated signal is therefore kept once, and patient numbers that share a signal are one person.
#
# ## What a training reads
#
# Signals are stored as int16 microvolts in files (shards) of 256 ECGs, also for
# [a million ECGs](studies/million.py). Each epoch has its own order, drawn from the seed. With a
# batch come the label states, and a mask that is False where a recording had ended.

# %%
loader = Loader(cohort, cohort.rows("train"), batch=32, seed=seed)
batch = next(iter(loader.epoch(0)))
print(f"{len(loader)} batches per epoch; signals {batch.signals.shape} {batch.signals.dtype} mV,")
print(f"labels {batch.labels.shape} {batch.labels.dtype}, mask {batch.mask.shape}")
unknown = 100 * (batch.labels == NOT_ASSESSABLE).mean()
print(f"{unknown:.0f} % of the label cells of this batch are unknown and have no loss")
assert np.array_equal(batch.signals, cohort.signals(batch.rows))
assert not batch.signals[~np.broadcast_to(batch.mask[:, None], batch.signals.shape)].any()

# %% [markdown]
# ## What it means

# %% tags=["redraw"]
common = shares.loc[shares["total"] >= 50, list(split.FRACTIONS)]
off = 100 * (common - pd.Series(split.FRACTIONS)).abs().max().max()
lost = rejected["recordings"].sum()
print(f"- {len(members)} ECGs of {patients} patients are kept, {lost} went to the quarantine.")
print(f"- {len(stated)} of {len(LABELS)} labels can be decided in them; the others are masked.")
print(f"- {shared} patients are in two parts. The parts' shares of a label with at least 50 ECGs")
print(f"  differ from their goal by at most {off:.1f} percentage points.")

# %% [markdown]
# [Simulated ECGs differ from real ones](studies/sim_vs_real.py), so no number from a simulated
# cohort holds for patients. [Reports state only a part of the truth](studies/reading_back.py).
#
# ## Try it yourself
#
# - Let the left arm drift at 1.5 Hz, and run the cells from there to the figure again. The rule
#   measures energy below 1 Hz only, so the wander stays.
# - Plant the hum at 57 Hz. It stays too, because no mains have this frequency.
# - Shorten the lost stretch of V2 to `500:1000`. The recording is no longer rejected.
#
# Next: [02_tokenizers](02_tokenizers.py).

# %%
stage.finish()
