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
# | paper items | ECG-Tok, section 2.1: before and after, cohort, label prevalence, split |
# | also | the simulator's conditions, and its ECGs beside real ones |
# | time | 26 s in `smoke`, 85 s in `laptop` on two cores |
# | memory | 0.9 GB in `laptop` |
#
# Three papers are compared in this compendium, and all of them start here: the same recordings, at
# one rate, in one unit, with the leads in one order, split once by patient.

# %%
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks, firwin
from scipy.stats import norm

from ecglib.classify import two_sample
from ecglib.cohorts import (
    build,
    cohort_features,
    merge_cohorts,
    reading_back,
    split,
    summary,
)
from ecglib.cohorts.loader import Loader
from ecglib.cohorts.quarantine import problem
from ecglib.cohorts.store import SHARD, Cohort
from ecglib.evaluate import auc
from ecglib.figures import bars, cleaning, ecg_leads, ecg_page, sim_vs_real
from ecglib.labels.label_set import ABSENT, LABELS, PRESENT, Label
from ecglib.run.stage import Stage

# %%
from ecglib.signals import highpass, loess, mains, quality
from ecglib.signals.agreement import agreement, medians
from ecglib.signals.clean import clean
from ecglib.signals.leads import (
    LEADS,
    RATE,
    SAMPLES,
    from_electrodes,
    from_limb_and_chest,
    limb_identities,
)
from ecglib.signals.measure import MEASURES, measure
from ecglib.signals.resample import to_rate
from ecglib.simulator import conditions
from ecglib.simulator.heart import HeartState
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.patients import DEVICES
from ecglib.simulator.recording_device import record as record_with
from ecglib.simulator.report_text import STYLE
from ecglib.simulator.sample_heart import example_heart
from ecglib.simulator.truth import irregularity, truth
from ecglib.simulator.waveform import beat_times, simulate

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
# recording is checked; one that violates an identity by more than 0.1 mV for over 1 % of the time
# goes to the quarantine.

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
left_of = np.abs(filtered[20:-20]).max()
print(f"amplitude left of the 170 Hz tone: {naive.max():.2f} naive, {left_of:.4f} filtered")
assert left_of < 0.01 < naive.max()

# %% [markdown]
# ## A heart that can be ordered
#
# Of a real ECG nobody knows the whole truth. So there is a simulator, and the default run uses
# nothing else. At each moment its heart is five numbers: a current dipole that points left, down
# and forward by so much, and two pieces of the chest wall that only the near electrodes see. P,
# QRS and T are bumps of these numbers in time, and the leads are a fixed mixture of them,
#
# $$ s(t) = \sum_{bump} e^{-(t - t_b)^2 / 2 w_b^2} \, v_b, \quad x(t) = D\, M s(t), $$
#
# with $M$ from the source to nine electrodes and $D$ from those to twelve leads, as above. So all
# leads show one heart: twelve curves, and no more than five of them are independent.

# %%
hearts = {name: example_heart(name) for name in conditions.CONDITIONS}  # of the same person
signals = {  # without noise, (12, 2500) mV
    name: simulate(heart, RATE, np.random.default_rng(3)) for name, heart in hearts.items()
}
alive = [x for x in signals.values() if np.abs(x).max() > 0.1]
sizes = np.stack([np.linalg.svd(x, compute_uv=False) for x in alive])
sizes /= sizes[:, :1]
print(f"{len(signals)} conditions; singular values of an ECG over the first, largest of all ECGs:")
print(*(f"{size:.0e}" for size in sizes.max(axis=0)[:8]))
assert sizes[:, 5:].max() < 1e-5

# %% [markdown]
# A condition changes the heart: a bundle that does not conduct makes the vectors late and turns
# them, an infarction takes some away. It sets no label. Labels are read off the heart afterwards,
# by the definitions that a reader has for the paper trace, so a label is true in the waveform, and
# one condition may bring several. Below: how often people have each condition where a data plan
# says `prevalence: paper` (as a hospital sees them) or `prevalence: enriched` (so that rare labels
# can be judged too), and the labels it adds to those of a healthy heart.

# %%
stated = {name: labels_of(heart) for name, heart in hearts.items()}
healthy = labels_of(example_heart()) == PRESENT
named = {name: np.flatnonzero((states == PRESENT) & ~healthy) for name, states in stated.items()}
ordered = pd.DataFrame(conditions.PER_CENT, index=["paper_percent", "enriched_percent"]).T
ordered = ordered.rename_axis("condition").reset_index()
ordered["labels"] = ["; ".join(LABELS[label] for label in named[c]) for c in ordered["condition"]]
stage.table("conditions", ordered, "Conditions of the simulator, and the labels that they bring.")
covered = set(np.flatnonzero((np.stack(list(stated.values())) == PRESENT).any(axis=0)))
print(f"{len(covered)} of the {len(LABELS)} labels are present in at least one of these hearts")
ordered

# %% [markdown]
# The same person, once with each condition, without noise: first what drives and conducts the
# heart, then its chambers and what ischaemia does.

# %%
of_the_drive = (*conditions.RHYTHMS, *conditions.AV_BLOCKS, *conditions.RATES, *conditions.EXTRA)
of_the_drive += (*conditions.BLOCKS, *conditions.AXES[:5], "lead misplacement")
of_the_shape = tuple(name for name in signals if name not in of_the_drive)
halves = {
    "drive": (of_the_drive, ("I", "II", "V1"), 4.0),
    "shape": (of_the_shape, ("aVF", "V2", "V4", "V6"), 2.0),
}
for half, (names, leads, long) in halves.items():
    few = {name: signals[name] for name in names}
    figure = ecg_leads.gallery(few, RATE, leads, start=3.9, seconds=long, columns=5)
    piece = slice(round(3.9 * RATE), round((3.9 + long) * RATE), 2)  # the table at half the rate
    table = {
        f"{name} {lead}": few[name][LEADS.index(lead), piece] for name in few for lead in leads
    }
    table = pd.DataFrame(table).round(2)
    table.insert(0, "seconds", np.arange(len(signals["standstill"][0]))[piece] / RATE)
    stage.figure(f"gallery_{half}", figure, table)

# %% [markdown]
# ## One recording
#
# The data plan says where the recordings come from, the profile how many patients there may be. The
# first recording of the first cohort is the one that is looked at below.

# %%
settings = {
    name: {key: plan[key] for key in build.SETTINGS if key in plan}
    | {"patients": stage.section("cohort")["patients"]}
    for name, plan in stage.plan["cohorts"].items()
}
first = stage.plan["roles"]["train"][0]
item = build.example(settings[first], stage.data_inputs(first), seed)
raw, rate = item["raw"], item["rate"]
print("as it came:", raw.shape, f"in mV at {rate:g} Hz")

# %% [markdown]
# ## Cleaning, step by step
#
# ECG-Tok cleans in three steps: resample to 250 Hz; take out baseline wander where it outweighs the
# ECG; find the lines of the mains and flatten them. Each step here sees one recording and nothing
# else, so an ECG has the same bytes alone, in a batch, and on any number of workers.
#
# The tool of the last step is LOESS: at each point a straight line is fitted to the nearest `span`
# points, near ones weighing more (the tricube), and its value at the point is kept. On equally
# spaced points the weights are the same everywhere, so the fit is one fixed filter. Written out:


# %%
def toy_loess(values, span):
    place = np.arange(span) - span // 2  # the window, seen from its middle
    weight = (1 - np.abs(place / place[-1]) ** 3) ** 3
    # The middle of a symmetric window: the slope drops out, a weighted mean is left.
    return np.convolve(values, weight / weight.sum(), mode="valid")


noisy = np.sin(np.arange(300) / 30) + rng.normal(0, 0.2, 300)
by_hand = toy_loess(noisy, 31)
fitted = loess.smooth(noisy, 31)  # the same, and lines of their own within half a span of the ends
print(by_hand.shape, "full windows of", fitted.shape)
assert np.allclose(by_hand, fitted[15:-15], atol=1e-12)

# %% [markdown]
# One recording after each step. `clean`, the function that cleaned the cohort, keeps what
# lies between. Amplitudes are those of sinusoids, so spectra of different rates can be compared.


# %%
def amplitude(signal):
    return 2 * np.abs(np.fft.rfft(signal.astype(float))) / signal.shape[-1]


done = clean(raw, rate)
named = {"Original": (rate, raw), "Resampled": (RATE, done.resampled)}
named |= {"High-passed": (RATE, done.high_passed), "Flattened": (RATE, done.signal)}
lead = LEADS.index("II")
spectra = [
    pd.DataFrame(
        {"frequency_hz": np.fft.rfftfreq(x.shape[1], 1 / hz), "amplitude_mv": amplitude(x[lead])}
    ).assign(step=name)
    for name, (hz, x) in named.items()
]
spectra = pd.concat(spectra, ignore_index=True)
print("leads high-passed:", int(done.filtered.sum()), "of 12")
print("lines flattened:", [f"{line.hertz:.2f} Hz" for line in done.lines])

# %%
traces = {name: (hz, x[lead]) for name, (hz, x) in named.items()}
figure = cleaning.steps(traces, spectra, title="Lead II after each step; grey: the step before")
stage.figure("cleaning_steps", figure, spectra[spectra["amplitude_mv"] > 1e-7])

# %% [markdown]
# ## Wander: only where it outweighs the ECG
#
# A high-pass at 1 Hz also bends ST segments. So the rule asks first: is the energy below 1 Hz,
# without the offset, more than ten times that of 1 to 30 Hz? The paper asks for each recording and
# names no filter; here it is asked for each lead, and the filter is a Butterworth of order 2 run
# both ways. The left arm of this recording is made to drift: leads I, III, aVL and aVR follow, more
# or less.

# %%
time = np.arange(done.resampled.shape[1]) / RATE
potential = np.zeros((9, len(time)))
potential[1] = 1.5 * np.sin(2 * np.pi * 0.3 * time)  # the left arm, 0.3 Hz, 1.5 mV
drifting = (done.resampled + from_electrodes(potential)).astype(np.float32)
ratio = highpass.energy_ratio(drifting)
wander = pd.DataFrame(
    {"lead": LEADS, "energy_ratio": ratio.round(2), "rule": ratio > highpass.TIMES}
)
wander["filtered"] = highpass.leads_to_filter(drifting)
stage.table("wander", wander, "The ten-times rule on a recording whose left arm drifts.")

# %% [markdown]
# Where the rule holds in one limb lead, all six are filtered. Filtering only some of them would
# leave the wander of the others in III - (II - I): the identity would break by as much as the
# wander is high. The same filter on all six cannot break it.

# %%
alone = highpass.high_pass(drifting, ratio > highpass.TIMES)
together = highpass.high_pass(drifting, highpass.leads_to_filter(drifting))
broken = max(limb_identities(alone).values())
kept_to = max(limb_identities(together).values())
print(f"largest violation of an identity: {broken:.3f} mV by lead, {kept_to:.6f} mV together")

# %% [markdown]
# ## Mains: a peak above the local mean is not enough
#
# The paper's rule takes a peak of more than two standard deviations above the local mean for a
# line. It came from spectra averaged over thousands of recordings. In a single one, chance passes
# it almost always somewhere in twelve leads. Two conditions are added: the power over the LOESS
# fit, averaged over the leads, must be at least 5 and 2.25 times the highest value 1 to 5 Hz away,
# where no mains can be (in a single lead: 16, and 4 times). A thousand seconds of noise:

# %%
trials, two_sd, with_ours = 100, 0, 0
hertz = mains.frequencies(2500)
near, band = np.abs(hertz - 50) <= mains.LOCAL, np.abs(hertz - 50) <= mains.BAND
for _ in range(trials):
    noise = from_electrodes(rng.normal(size=(9, 2500)))
    magnitude = np.abs(np.fft.rfft(noise))
    limit = magnitude[:, near].mean(axis=1) + 2 * magnitude[:, near].std(axis=1)
    two_sd += bool((magnitude[:, band] > limit[:, None]).any())
    with_ours += bool(mains.find_lines(noise))
print(f"'mains' in {trials} records of noise: {two_sd} by two sd alone, {with_ours} with both")
assert with_ours <= 3

# %% [markdown]
# ## A planted tone, before and after
#
# 50.03 Hz, as a power line may have it, enters at the electrodes with 0.1 mV. It lies between two
# bins of the spectrum (50.0 and 50.1 Hz) and leaks into all others. Its own frequency gives this
# leakage, which is subtracted; the peaks within 0.5 Hz come down to the LOESS fit, phases kept. The
# six limb leads share one factor a bin, the smallest that any of them needs, so that III = II - I
# survives; some of them end a little below their fit.

# %%
gain = from_electrodes(rng.normal(size=(9, 1)))
tone = 0.1 * gain / np.abs(gain[lead]) * np.sin(2 * np.pi * 50.03 * time)
untouched = done.signal
humming = (untouched + tone).astype(np.float32)
cleaned = clean(humming, RATE)
left = cleaned.signal - untouched
print("lines:", [f"{line.hertz:.3f} Hz" for line in cleaned.lines])
size, rest = (1000 * np.sqrt(2 * (x[lead].astype(float) ** 2).mean()) for x in (tone, left))
print(f"lead II: {size:.1f} uV of tone before, {rest:.1f} uV after")

# %%
samples = humming.shape[1]
quiet = np.abs(np.fft.rfft(mains.subtract_lines(humming, mains.find_lines(humming))))
fit = 2 * mains.fit_background(quiet, samples) / samples
line = pd.DataFrame(
    {"frequency_hz": mains.frequencies(samples), "before": amplitude(humming[lead])}
)
line["fit"], line["after"] = fit[lead], amplitude(cleaned.signal[lead])
pair = {"before": humming[lead], "after": cleaned.signal[lead], "truth": untouched[lead]}
figure = cleaning.line(pair, line, 50.03, title="Lead II with a planted tone of 50.03 Hz")
stage.figure("planted_tone", figure, line)

# %% [markdown]
# ## What the released code does instead
#
# The public code of the paper was read; what it does differs from what the paper says.

# %%
differences = [
    ("resampling", "to 250 Hz", "every second sample, no filter", "polyphase filter"),
    (
        "unit of work",
        "each recording",
        "batches of 10,000: scale and lines are the batch's",
        "one recording",
    ),
    (
        "1 Hz high-pass",
        "zero phase, ten-times rule",
        "absent",
        "as in the paper, limb leads together",
    ),
    (
        "peak rule",
        "two sd",
        "five sd of 5 Hz, any f from 20 Hz, lead I, batch mean",
        "two sd and two conditions",
    ),
    (
        "flattening",
        "to a LOESS fit",
        "a straight line between two edges found by LOESS",
        "to the LOESS fit",
    ),
    (
        "millivolts",
        "to match MHI",
        "mean spectrum of lead I set to PTB-XL's",
        "unit and gain of the file",
    ),
]
columns = ["step", "paper", "released code", "here"]
stage.table("released", pd.DataFrame(differences, columns=columns), "Cleaning: three versions.")

# %% [markdown]
# ## What nobody can use, and what is only poor
#
# Two questions are kept apart. *Can any method use this recording?* A file that cannot be read, a
# lead that is missing or flat, leads that are not what they are called, an electrode that was off:
# such a recording goes to the quarantine with its reason. *How well can it be read?* That is a
# score between 0 and 1, for the recording and for each lead, and it rejects nothing.
#
# The certain defects are tested first and the judged ones last. A toy shows three of them: two
# leads exchanged, one that came off for six seconds, and a spike of five samples, which PTB-XL
# does contain and which is no reason to lose an ECG.

# %%
heart = simulate(HeartState(), RATE, np.random.default_rng([seed, 1]))  # (12, 2500) mV
exchanged = heart[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
came_off, spiked = heart.copy(), heart.copy()
came_off[LEADS.index("V2"), 500:2000] = 0.0
spiked[LEADS.index("aVR"), 400:405] += 2.5
for what, toy_ecg in {"exchanged": exchanged, "came off": came_off, "spike": spiked}.items():
    print(f"{what:10s}", problem(toy_ecg, RATE))
assert problem(heart, RATE) is None and problem(spiked, RATE) is None
assert problem(exchanged, RATE).reason == "limb identities violated"

# %% [markdown]
# ## A lead that keeps its own time
#
# All twelve leads watch one heart, so their QRS complexes come at the same moments. That gives the
# strongest sign of a bad lead without knowing what a good one looks like: take the energy from 5 to
# 25 Hz, smooth it over a tenth of a second, divide by its mean, and correlate each lead with the
# median lead. Below, V3 is replaced by that of another heart. It is clean, and it is wrong.

# %%
stranger = simulate(HeartState(rate=97.0), RATE, np.random.default_rng([seed, 2]))
mixed = heart.copy()
mixed[LEADS.index("V3")] = stranger[LEADS.index("V3")]
spectrum = np.fft.rfft(mixed)
frequency = np.fft.rfftfreq(mixed.shape[1], 1 / RATE)
qrs = np.fft.irfft(np.where((frequency >= 5) & (frequency < 25), spectrum, 0))
envelope = np.sqrt(uniform_filter1d(qrs**2, RATE // 10))
envelope /= envelope.mean(axis=1, keepdims=True)
typical = np.median(envelope, axis=0)
same_time = np.array([np.corrcoef(one, typical)[0, 1] for one in envelope]).clip(0)
disagreement = quality.defects(mixed, RATE)[:, quality.DEFECTS.index("disagreement")]
assert np.allclose(1 - same_time, disagreement, atol=1e-4)
print("agreement:", *(f"{lead} {value:.2f}" for lead, value in zip(LEADS, same_time, strict=True)))

# %% [markdown]
# Three more defects have a unit that one can read on paper: the share of time in which a lead is
# flat or clipped, the wander below 0.7 Hz, and the noise above 40 Hz. A logistic model turns the
# four into the score of a lead, and the record's score counts the leads that cannot be read:
#
# $$ s_{lead} = \sigma(b - w \cdot d_{lead}), \quad
#    s_{record} = \sigma\big(a - c \textstyle\sum_{lead} (1 - s_{lead})\big) $$
#
# Seven numbers, none negative, so a larger defect never raises a score. They were fitted to 521
# recordings of the PhysioNet/CinC Challenge 2011 that physicians had marked acceptable or not.
# Only whole recordings are marked; what a lead's score means is learned through the sum.

# %%
rng = np.random.default_rng([seed, 3])
noisy, flat, hiss = heart.copy(), heart.copy(), rng.normal(0, 0.5, heart.shape)
noisy[LEADS.index("V3")] += rng.normal(0, 1.0, heart.shape[1])
flat[LEADS.index("V3")] = 0.0
toys = {"clean": heart, "V3 of a stranger": mixed, "V3 with noise": noisy, "V3 flat": flat}
judged = {name: quality.score(ecg_, RATE) for name, ecg_ in (toys | {"only noise": hiss}).items()}
scores = {name: [s.record, s.leads[LEADS.index("V3")], s.leads[0]] for name, s in judged.items()}
pd.DataFrame(scores, index=["record", "V3", "I"]).T.round(3)

# %%
facts = json.loads(Path(quality.__file__).with_name("quality_model.json").read_text())["fit"]
print(
    f"AUC against physicians, five-fold cross-validation, {facts['records']} recordings:"
    f" {facts['cross_validated_auc']:.3f} [{facts['low']:.3f}, {facts['high']:.3f}]"
)

# %% [markdown]
# What these tests found in published files, and no paper mentions: of the 339 PTB-XL recordings at
# hand four occur twice, and one of these pairs carries two patient numbers and lies in two official
# folds, so that a split by patient does not keep it apart. Within a cohort a repeated signal is
# therefore taken once, and patient numbers that share one are one person.
#
# The limits: the score was learned on one kind of device, and only whole recordings were marked.
# A lead at right angles to the heart's axis shows so little QRS that it scores too low.

# %% [markdown]
# ## The cohort
#
# Now all of them. Each cohort of the plan is read or simulated, checked, cleaned, split and stored
# by itself; then they are pooled, and every recording gets the one role that it may play.

# %%
built = {
    name: stage.step(f"cohort_{name}", build.build, settings[name], stage.data_inputs(name))
    for name in settings
}
folder = stage.step("cohort", merge_cohorts.merge_cohorts, {"roles": stage.plan["roles"]}, built)
cohort = Cohort.open(folder)
rows = cohort.rows("train")[:4]
print(f"{len(cohort)} ECGs; signals of four:", cohort.signals(rows).shape, "float32 in mV")
print("labels:", cohort.labels.shape, "int8, states", *np.unique(cohort.labels))
print(*cohort.manifest["notes"], sep="\n")

# %% [markdown]
# One row an ECG. `unit` and `ecg` are numbers drawn for this run, one a patient and one a
# recording; results carry only these. The patient's and the recording's own identifiers stay in the
# cohort's folder. A label is 1 present, 0 absent, 2 uncertain, 3 history, or -1 where this source
# cannot tell.

# %%
columns = ["unit", "ecg", "site", "age", "sex", "device", "n_valid", "quality", "report", "split"]
cohort.records.iloc[rows][columns]

# %%
stage.table("cohort", summary.describe(cohort.records), "The cohort and its split.")

# %% [markdown]
# Nothing is dropped without a trace: what was rejected, and how often each reason decided. Below
# it, how well the others can be read, and what the cleaning did to them.

# %%
rejected = cohort.quarantine["reason"].value_counts().rename_axis("reason")
rejected = rejected.reset_index(name="recordings")
rejected["percent"] = 100 * rejected["recordings"] / (len(cohort) + len(cohort.quarantine))
stage.table("quarantine", rejected, "Recordings that were rejected, by reason.")

# %%
good = cohort.records["quality"]
treated = {
    "quality score, 5th percentile": good.quantile(0.05),
    "quality score, median": good.median(),
    "score below 0.5 (% of ECGs)": 100 * (good < 0.5).mean(),
    "high-passed leads (% of leads)": 100 * (cohort.records["high_passed"] / len(LEADS)).mean(),
    "mains line flattened (% of ECGs)": 100 * (cohort.records["mains"] != "").mean(),
}
treated = pd.DataFrame(treated.items(), columns=["property", "value"]).round(3)
stage.table("quality", treated, "Readability, and what the cleaning did.")

# %% [markdown]
# The recording from above as the models see it: 25 mm a second, 10 mm a millivolt.

# %%
after = item["processed"]
figure = ecg_page.twelve_lead(after, n_valid=item["n_valid"], title="After preprocessing, 250 Hz")
values = pd.DataFrame(after.T, columns=list(LEADS)).round(4)
values.insert(0, "seconds", np.arange(after.shape[1]) / RATE)
stage.figure("twelve_leads", figure, values)

# %% [markdown]
# ## What can be measured in an ECG
#
# A report says "bradycardia" or "first-degree block"; the waveform says 48 beats a minute or a PR
# interval of 240 ms. Everything later that needs such a number takes it from one function. Its
# formulas are short. With the times of the beats, RR is the time from one to the next. The QT
# interval shortens with RR, so it is brought to a rate of 60 a minute: by Bazett,
# $QTc = QT / \sqrt{RR}$, or by Fridericia with the cube root. The frontal axis is the direction of
# the area under the QRS, seen from lead I (0 degrees) and aVF (90 degrees, drawn $\sqrt{3}/2$ as
# large). A toy whose numbers we choose: a QRS of 100 ms as half a sine, a T wave as a triangle.

# %%
second = np.arange(2500) / RATE
rr_true, qt_true, axis_true = 0.8, 0.38, 40.0
toy_wave = np.zeros_like(second)
for onset in np.arange(0.5, 10, rr_true):
    since = second - onset
    toy_wave += np.where((since > 0) & (since < 0.1), np.sin(np.pi * since / 0.1), 0.0)
    toy_wave += 0.3 * np.clip(np.minimum((since - 0.12) / 0.16, (qt_true - since) / 0.1), 0, 1)
lead_i = np.cos(np.radians(axis_true)) * toy_wave
avf = np.sqrt(3) / 2 * np.sin(np.radians(axis_true)) * toy_wave
chest = np.array([-0.4, 0.3, 0.8, 1.1, 1.0, 0.8])[:, None] * toy_wave
toy_ecg = from_limb_and_chest(lead_i, avf + lead_i / 2, chest)

# %% [markdown]
# By hand, from the toy's own signal: the tops of lead I are the beats, and the two areas give the
# axis. The library must say the same, and leave out what is not there: the toy has no P wave.

# %%
tops, _ = find_peaks(lead_i, height=0.5 * lead_i.max())
rr = np.diff(tops).mean() / RATE
qrs = slice(tops[3] - 12, tops[3] + 13)  # 100 ms around one top
axis = np.degrees(np.arctan2(2 / np.sqrt(3) * avf[qrs].sum(), lead_i[qrs].sum()))
measured = pd.Series(measure(toy_ecg, RATE))
assert abs(measured.heart_rate - 60 / rr) < 0.2
assert abs(measured.qrs_axis - axis) < 3
assert abs(measured.qt - 1000 * qt_true) < 12
assert np.isclose(measured.qtc_bazett, measured.qt / np.sqrt(60 / measured.heart_rate))
assert np.isnan(measured.pr)
print(f"rate {measured.heart_rate:.1f}, QT {measured.qt:.0f}, QTc {measured.qtc_bazett:.0f} ms,")
print(f"axis {measured.qrs_axis:.0f} degrees (by hand {axis:.0f}), PR not measurable")

# %% [markdown]
# Real hearts are harder: noise, premature beats, no P wave in fibrillation, a QRS that runs into a
# raised ST segment. So beats are looked for in all leads together, those of one shape are aligned,
# and the waves are found in their median. The simulator knows what each of its hearts does, so the
# error is known too: bias, and the limits that hold 95 % of the differences. Two hearts of every
# condition, recorded by the noisier device; without a beat (standstill) or with exchanged cables
# there is nothing true to compare with.


# %%
def simulated(condition: str, number: int) -> tuple[dict, dict]:
    """What is measured in one simulated recording with noise, and what is true."""
    state, device = example_heart(condition, seed=number), DEVICES["B"][0]
    times, early = beat_times(state, np.random.default_rng([seed, 91, number]))
    silent = simulate(state, device.rate, np.random.default_rng([seed, 91, number]))
    recorded = record_with(silent, device, np.random.default_rng([seed, 90, number]))
    inside = (times > 0.1) & (times < 9.9)
    known = {"rr_rmssd": irregularity(times[inside], early[inside])}
    return measure(recorded, device.rate), truth(state, times[inside]) | known


# %%
judged = [name for name in signals if name not in ("standstill", "lead misplacement")]
condition_of = np.repeat(judged, 2)
pairs = [simulated(name, number) for name in judged for number in range(2)]
ours, known = (pd.DataFrame(list(rows)) for rows in zip(*pairs, strict=True))
measures = ["heart_rate", "rr_rmssd", "pr", "qrs", "qt", "qtc_bazett"]
measures += ["p_axis", "qrs_axis", "t_axis"]
measures += ["r_V5", "s_V1", "st_V3", "t_II"]
agreed = agreement(ours, known, {name: MEASURES[name] for name in measures})
stage.table("agreement", agreed.round(3), "Measured minus true on simulated hearts.")

# %% [markdown]
# Which conditions make measuring hard? For each measure the condition that it is farthest off in.

# %%
far = []
for name in measures[:9]:
    gap = ours[name] - known[name]
    gap = (gap + 180) % 360 - 180 if MEASURES[name] == "degrees" else gap
    by_condition = gap.groupby(condition_of).mean()
    worst = by_condition.abs().idxmax()
    row = {"measure": name, "unit": MEASURES[name], "condition": worst}
    far.append(row | {"off": by_condition[worst], "median_off": by_condition.median()})
stage.table("hardest", pd.DataFrame(far).round(3), "The condition in which a measure is worst.")

# %% [markdown]
# A sum of smooth waves has no first and no last moment; P and QRS are said to begin and end where
# they are 0.02 mV in some lead. That makes part of the QRS bias: the method marks the return to
# rest, which lies later, most of all where the ST segment is raised. `missed` and `invented` count
# waves that are there and were not measured, and the reverse.
#
# And on the recordings of this cohort, whose truth nobody knows? There the labels can be asked. An
# ECG with the label should stand on the side of the limit that the label's definition names.

# %%
values = stage.step("measurements", cohort_features.measure_cohort, {}, {"cohort": folder})
measurements = pd.read_parquet(values / "measurements.parquet")
print("measured:", measurements.shape, "of", len(cohort), "ECGs")
asked = {
    "heart_rate": [Label.BRADYCARDIA],
    "pr": [Label.AV_BLOCK_1],
    "qrs": [Label.LBBB, Label.RBBB],
    "qtc_bazett": [Label.LONG_QT],
    "qrs_axis": [Label.LEFT_AXIS, Label.RIGHT_AXIS],
    "rr_rmssd": [Label.AFIB],
}
parts = []
for name, asked_labels in asked.items():
    states = {LABELS[label]: cohort.labels[:, label] for label in asked_labels}
    groups = {label: state == PRESENT for label, state in states.items()}
    groups["none of these"] = np.all([state == ABSENT for state in states.values()], axis=0)
    parts.append(medians(measurements[name], groups))

# %%
by_label = pd.concat(parts, ignore_index=True)
by_label = by_label[by_label["n"] > 0]  # a source that cannot tell a label has none of its groups
by_label.insert(1, "unit", by_label["measure"].map(MEASURES))
stage.table("medians", by_label.round(3), "Medians by label in this cohort.")

# %% [markdown]
# ## Labels
#
# The 77 labels in six categories are ECG-Tok's. A source states only some of them: SCP codes of
# PTB-XL name no leads for an inverted T wave, for instance, and the simulator draws what it can
# draw. The others are -1 and never scored. An axis is assessable in those ECGs of PTB-XL whose
# column `heart_axis` is filled. `mhi_percent` is the prevalence that the paper reports.

# %%
labels = summary.prevalence(cohort.records)
stage.table("labels", labels, "States of the 77 labels.")
stated = labels[labels["assessable"] > 0]
stated[stated["present"] > 0].sort_values("present", ascending=False).round(2)

# %% [markdown]
# How much can the test part tell? A label with few positives gives a wide AUC, and two methods must
# then differ by much before anyone can say so. The table holds the positives of each label in test
# and the smallest difference in AUC that would be found in four of five such tests (power of 80 %,
# two-sided at 5 %). The standard error is that of Hanley and McNeil for an AUC of 0.9; two methods
# see the same ECGs, so their AUCs go together, here with a correlation of 0.5. A smaller difference
# may be real and will mostly be missed.


# %%
def detectable(positives, negatives, auc=0.9, correlation=0.5, alpha=0.05, power=0.8):
    """Smallest difference in AUC that a test part of this size would show."""
    if not positives or not negatives:
        return np.nan
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    error = np.sqrt(spread / (positives * negatives))
    return (norm.isf(alpha / 2) + norm.isf(1 - power)) * np.sqrt(2 * (1 - correlation)) * error


# By hand: the error is the root of 42.15404 / (15 * 985), times 1.95996 + 0.84162.
assert abs(detectable(15, 985) - 0.14964) < 2e-4

# %%
in_test, present = cohort.labels[cohort.rows("test")], (cohort.labels == PRESENT).any(axis=0)
seen = pd.DataFrame(
    {
        "index": np.flatnonzero(present),
        "label": np.array(LABELS)[present],
        "positives": (in_test == PRESENT).sum(axis=0)[present],
        "negatives": (in_test == ABSENT).sum(axis=0)[present],
    }
)
counts = seen[["positives", "negatives"]].to_numpy().tolist()
seen["detectable"] = [detectable(*pair) for pair in counts]
seen = seen.sort_values(["positives", "index"], ignore_index=True)
stage.table("power", seen.round(3), "Positives in test, and the smallest difference in AUC to see.")
scored = seen[seen["positives"] > 0]
easy = int((scored["detectable"] <= 0.05).sum())
print(f"{len(scored)} labels have positives in test, the rarest {scored['positives'].min()};")
print(f"a difference of 0.05 in AUC could be seen in {easy} of them")
scored.round(3)

# %% [markdown]
# ## Reports, and reading them back
#
# What can a report teach? Only what stands in it. The two simulated hospitals write from the same
# truth in their own ways, A in sentences and B in abbreviations between commas. They leave out what
# goes without saying (who writes atrial fibrillation need not add that the rhythm is irregular),
# overlook some findings, hedge others and now and then deny one. What drives the heart is always
# stated, and "normal ECG" is never written because something was left out. A hedge stands for a
# finding that is there; no doubt is raised about one that is not. These habits are our choice, and
# the file `report_style.yaml` holds them. Real reports are whatever the data plan's source wrote.

# %%
rates = {
    "first wording of a finding that has several": STYLE.usual,
    "left out, most findings": STYLE.omitted[Label.LVH],
    "left out, a rhythm": STYLE.omitted[Label.AFIB],
    "left out, a major finding": STYLE.omitted[Label.ACUTE_MI],
    "left out, a measure or shape": STYLE.omitted[Label.NEGATIVE_QRS_III],
    "left out, where another finding implies it": STYLE.implied_omitted,
    "hedged, of findings about which readers hedge": STYLE.hedged,
    "with a negative, of reports that can have one": STYLE.denied,
}
pd.DataFrame({"simulated reports": rates.keys(), "percent": [100 * x for x in rates.values()]})

# %% [markdown]
# Some reports of this cohort beside its labels. What the labeller does not read as present stands
# in brackets: it was left out, doubted, or not understood.

# %%
pd.set_option("display.max_colwidth", None)
reading_back.examples(cohort.records)

# %% [markdown]
# The labeller of `ecglib.labels.labeller` reads all reports. Its rules know no patient and no
# label. Of each finding the table says how many ECGs have it, how the simulated reports state it
# (`plain`, `hedged`, `unstated`, in percent), and what was read. `recall_of_stated` asks only for
# what the report states plainly, so it judges the labeller alone; `recall` asks for all that is
# there.
# Between the two lies what the report keeps to itself. A finding left unsaid may still be read,
# where another one implies it: fibrillation says irregular. Only present counts as read, as in the
# scores of generated reports; a hedge counts as a miss.
#
# For recordings of patients the labels are not the truth of the waveform but another reading: for
# PTB-XL SCP codes, from which the text may itself be made, for MIMIC-IV-ECG the same words. What
# agrees there shows that two readings are consistent, not that either is right. Columns that only
# a simulated report can fill are left away, and so are ECGs without a report and labels that the
# source cannot tell.

# %%
back = reading_back.agreement(cohort.records)
total = reading_back.total(back)
filled = back.dropna(axis="columns", how="all").round(3)
stage.table("reading_back", filled, "What the labeller reads in the reports, by finding.")

# %%
enough = back[back["present"] >= 5]
figure = bars.label_recovery(enough, title="ECGs with each finding: what their reports say of it")
stage.figure("reading_back", figure, enough)
print(f"{len(back)} findings in {back['present'].sum()} cases: micro precision", end=" ")
print(f"{total['precision']:.3f}, recall {total['recall']:.3f}, F1 {total['f1']:.3f};")
print(f"{100 * total['doubted']:.1f} % of the cases are read as uncertain.")

# %% [markdown]
# ## Beside reality
#
# How like a real ECG is a simulated one? Three sets stand beside each other, cleaned and measured
# alike:
#
# - *this cohort*, or so many of its patients;
# - *simulated*: patients made for this, not those of the cohort, with their conditions as often as
#   a hospital has them (`prevalence: paper`), since a mixture that is rich in rare findings differs
#   for that alone;
# - *real, aggregates*: what was counted beforehand in recordings of PTB-XL. The recordings are not
#   part of this compendium. Its file holds quantiles over ECGs, each with ten patients or more on
#   either side, and says where they come from.
#
# In a run on recordings of people, *this cohort* is real, and the first two are the comparison.

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
features = {
    name: stage.step(
        name,
        cohort_features.extract_features,
        {"patients": most},
        {"cohort": c, "measurements": m},
    )
    for name, c, m in (
        ("ecg_features", folder, values),
        ("comparison_features", comparison, comparison_values),
    )
}

# %%
results = "reports/benchmarks/{}"
committed = stage.file(results.format("beside_reality.csv"))
print("".join(line for line in committed.read_text().splitlines(keepends=True) if line[0] == "#"))
frames = {name: pd.read_parquet(path / "ecg_features.parquet") for name, path in features.items()}
sources = {
    "Real, aggregates (PTB-XL)": cohort_features.read_distribution(committed),
    "Simulated, prevalence paper": cohort_features.distribution(frames["comparison_features"]),
    "This cohort": cohort_features.distribution(frames["ecg_features"]),
}
sources = [table.assign(source=name) for name, table in sources.items()]
sources = pd.concat(sources, ignore_index=True)

# %%
stage.figure("beside_reality", sim_vs_real.sources(sources), sources.round(4))

# %% [markdown]
# *a* Percentiles 1 and 99 of a lead's samples: the median over ECGs, and the middle half. *b* The
# spectrum in half octaves; the band holds 90 % of ECGs. *c* Boxes hold the middle half, whiskers
# 90 %.
# The same in numbers:

# %%
keys = ["view", "of", "lead", "unit"]
outer = (sources["view"] == "amplitude") & sources["of"].isin(["1", "99"])
bands = (sources["view"] == "power") & sources["of"].isin(["1", "8", "32", "90.51"])
chosen = (outer | bands) & sources["lead"].isin(["II", "V2", "V4"])
wide = sources[chosen | (sources["view"] == "measure")]
wide = wide.set_index([*keys, "source"])[["q05", "q50", "q95"]]
names = sources["source"].unique()
wide = pd.concat({name: wide.xs(name, level="source") for name in names}, axis=1)
wide.columns = [f"{source}: {q}" for source, q in wide.columns]
stage.table("beside_reality", wide.reset_index().round(3), "Quantiles over ECGs by source.")

# %% [markdown]
# Numbers side by side may agree while the ECGs do not. A classifier is a stricter judge: random
# trees on the numbers above and some more of each ECG, cross-validated by patient. An AUC of 0.5
# would be a simulator that cannot be told from reality; it is reported as it is. It is asked what
# it looks at in two ways. Each group of numbers *alone*: how well would it do if it saw nothing
# else? And each group *shuffled* among the held-out ECGs: how much does it lose without it, where
# the others may say the same?
#
# With the real recordings at hand this was done beforehand (`reports/benchmarks/`,
# `beside_reality.json`). Here it is done for this cohort against the simulated hospital.

# %%
live = stage.step(
    "two_sample",
    two_sample.score_sources,
    {},
    {"source_a": features["comparison_features"], "source_b": features["ecg_features"]},
)
before = json.loads(stage.file(results.format("beside_reality.json")).read_text())
aucs = auc.two_sample(pd.read_parquet(live / "scores.parquet"), ("seen", "how"), seed)
aucs["pair"] = "this cohort from simulated, prevalence paper"
aucs = pd.concat([pd.DataFrame(before["comparisons"]), aucs], ignore_index=True)
stage.table("apart", aucs[["pair", "seen", "how", "value", "low", "high", "n"]].round(3), "AUC.")
main = aucs[aucs["pair"].isin([aucs["pair"].iloc[0], aucs["pair"].iloc[-1]])]
stage.figure("apart", sim_vs_real.two_sample(main), main.round(4))

# %% [markdown]
# And the numbers that tell most by themselves, real against simulated, with their medians:

# %%
alone = pd.DataFrame(before["single"])
alone = alone[alone["pair"] == aucs["pair"].iloc[0]].rename(columns={"one": "simulated"})
alone = alone.rename(columns={"other": "real"})[["group", "number", "auc", "simulated", "real"]]
stage.table("single", alone, "Numbers that tell real from simulated by themselves.")

# %%
whole = aucs[aucs["seen"] == two_sample.ALL].set_index("pair")
for pair, row in whole.iterrows():
    print(f"{pair}: AUC {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]")

# %% [markdown]
# A simulated ECG is told from a real one almost without error, and it takes little to see why.
#
# - *The QRS is too smooth.* It is the sum of a few bell curves. From 30 to 45 Hz, where steep
#   slopes and notches have their power, V4 has about a seventh of what is real.
# - *The recorders are too noisy.* Above 60 Hz a simulated limb lead has several times the power of
#   one in PTB-XL, and its baseline wanders more in lead I. The wander itself is too slow: it ends
#   at 0.45 Hz, where that of people goes on.
# - *The proportions differ.* S in V2 and R in V4 are smaller, T waves larger beside the QRS, and
#   the intervals between sinus beats vary half as much.
#
# Rates, PR and QTc, which are drawn from ranges of textbooks, lie closer. The mixture has its part
# too: two mixtures of simulated patients are told apart better than by chance. So the simulator
# is good for what it is used for, findings that are true in the waveform and known without error;
# an AUC that a model reaches on it is none for patients.
#
# Limits: the real side is one collection with its own recorders and its own mix of patients, and
# `prevalence: paper` is the mix of another hospital.

# %% [markdown]
# ## One split, by patient
#
# A patient's second ECG resembles the first. With the two on different sides of a split, a model is
# praised for recognising a person. So patients are dealt, not recordings: first the test patients
# (20 %), then, from the rest, those for validation (10 %). Each goes where their labels are missing
# most, rarest label first, so that even rare findings reach every part where there are enough. A
# plan may take PTB-XL's official folds instead (`--data ptbxl_folds`).
#
# The table holds each part's share, how many positives test has, and `gap_points`, the largest
# difference in prevalence between two parts in percentage points.

# %%
dealt = cohort.records[cohort.records["split"].isin(split.FRACTIONS)]
shares = split.balance(dealt)
stage.table("split", shares.round(3), "Share of each part among patients, ECGs and labels.")

# %%
common = shares[shares["total"] >= 50]
goal = pd.Series(split.FRACTIONS)
off = (common[list(goal.index)] - goal).abs().max().max()
widest = shares.loc[shares["gap_points"].fillna(0).idxmax()]
few = split.scarce(dealt)
shared = split.shared_patients(cohort.records)
patients = len(np.unique(split.persons(cohort.records)))
stage.claim("split.patient_leakage", shared, shared, shared, patients)
assert shared == 0
print(f"fewer than {split.SCARCE} positives in test:", ", ".join(few) or "no label")

# %% [markdown]
# ## What a training reads
#
# Signals lie as int16 microvolts in shards of 15 megabytes, one file for each chunk of the work
# above. A chunk becomes visible only when it is whole, so a run that was killed goes on with the
# chunks that are missing; the cores of this machine and a Dask cluster (`--dask tcp://...`) write
# the same bytes.
#
# The loader draws a new order for each epoch from the seed alone. With each batch come the label
# states and a mask that is False where a recording had ended.

# %%
loader = Loader(cohort, cohort.rows("train"), batch=32, seed=seed)
batch = next(iter(loader.epoch(0)))
print(f"{len(loader)} batches an epoch; signals {batch.signals.shape} {batch.signals.dtype} in mV,")
print(f"labels {batch.labels.shape} {batch.labels.dtype}, mask {batch.mask.shape}")
assert np.array_equal(batch.signals, cohort.signals(batch.rows))
assert not batch.signals[~np.broadcast_to(batch.mask[:, None], batch.signals.shape)].any()
epochs = [np.concatenate(loader.order(number)) for number in range(2)]
assert (np.sort(epochs[0]) == np.sort(epochs[1])).all() and (epochs[0] != epochs[1]).any()

# %% [markdown]
# ## A million ECGs, on paper
#
# ECG-Tok's three sources hold 2.35 million ECGs together. What would a million take? The rates are
# those of the committed benchmarks, the width of the table is this cohort's, which overstates it
# while it is small. Building is the whole path on one core: reading a WFDB file, checks, cleaning,
# quality score, writing. The benchmark has simulated ECGs in PTB-XL's layout and counts processor
# time; waiting for a slow disk comes on top, and so does measuring what was stored.

# %%
benchmarks = "reports/benchmarks/{}.json"
building = json.loads(stage.file(benchmarks.format("cohort_rate")).read_text())
loading = json.loads(stage.file(benchmarks.format("loader_rate")).read_text())
ecgs, cores = 1_000_000, 16
shard_files = -(-ecgs // SHARD)
ecg_bytes, header = len(LEADS) * SAMPLES * 2, 128  # as int16; of a .npy file before its numbers
shard = cohort.manifest["shards"][0]
assert (folder / shard["file"]).stat().st_size == header + shard["records"] * ecg_bytes
signal_bytes = ecgs * ecg_bytes + shard_files * header
assert (shard_files, signal_bytes) == (3907, 60_000_000_000 + 3907 * 128)
table_bytes = (folder / "records.parquet").stat().st_size / len(cohort)
hours = ecgs / building["value"] / 3600
million = [
    ("ECGs", ecgs, "rows"),
    ("shards", shard_files, "files"),
    ("files in all", shard_files + 3, "files"),  # and the table, the quarantine, cohort.json
    ("one full shard", (header + SHARD * ecg_bytes) / 1e6, "MB"),
    ("signals", signal_bytes, "bytes"),
    ("signals", signal_bytes / 1e9, "GB"),
    ("table", ecgs * table_bytes / 1e9, "GB"),
    ("building on 1 core", hours, "hours"),
    (f"building on {cores} cores", hours / cores, "hours"),
    ("one chunk, the most that a kill costs a core", SHARD / building["value"], "seconds"),
    ("one epoch of the loader", ecgs / loading["slowest"] / 60, "minutes"),
]
million = pd.DataFrame(million, columns=["quantity", "value", "unit"])
stage.table("million", million.round(2), "A cohort of a million ECGs.")
further = ecgs / building["measured_per_second"] / 3600
print(f"Building takes {building['ratio']:.1f} times as long as cleaning alone;", end=" ")
print(f"{100 * building['reading_share']:.0f} % of it is reading files.")
print(f"Measuring the million takes {further:.1f} hours more on one core.")

# %% [markdown]
# ## What we saw

# %%
kept, lost = len(cohort), len(cohort.quarantine)
print(f"- {kept} ECGs of {patients} patients were kept, {lost} went to the quarantine.")
print(f"- Every second sample made 170 Hz into {peak:.0f} Hz; of it the filter left")
print(f"  {100 * left_of:.2f} %.")
print(f"- Of a planted tone of {size:.0f} uV at 50.03 Hz {rest:.1f} uV are left in lead II.")
print(f"- Two sd alone called {two_sd} of {trials} records of noise mains; with our conditions")
print(f"  {with_ours} were.")
print(f"- High-passing limb leads one by one broke an identity by {broken:.2f} mV, together by")
print(f"  {1000 * kept_to:.3f} uV.")
row = agreed.set_index("measure").loc["pr"]
print(f"- PR of {row['n']:.0f} simulated hearts: bias {row['bias']:.0f} ms, 95 % limits")
print(f"  {row['low']:.0f} to {row['high']:.0f} ms; {row['missed']:.0f} missed,", end=" ")
print(f"{row['invented']:.0f} invented.")
real = whole.iloc[0]
print(f"- Real ECGs are told from simulated ones with an AUC of {real['value']:.4f}.")
million = million.set_index("quantity")["value"]
hours = million["building on 16 cores"]
gigabytes = million["signals"].iloc[1]
print(f"- A million ECGs are {gigabytes:.0f} GB; 16 cores build them in {hours:.1f} hours.")
print(f"- {len(stated)} of 77 labels can be told from this source.")
print(f"- The labeller reads {100 * total['recall']:.0f} % of the findings back from the reports;")
print(f"  {100 * total['precision']:.1f} % of what it reads is there (micro-F1 {total['f1']:.2f}).")
print(f"- {shared} patients stand in two parts of the split; shares of the labels with at least")
print(f"  50 ECGs are off their goal by at most {100 * off:.1f} points. Prevalence differs most")
print(f"  for {widest['what']}: by {widest['gap_points']:.2f} points.")

# %%
stage.finish()
