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
# # How far are measured intervals from the truth?
#
# | | |
# |---|---|
# | reads | the simulator; the cohort of notebook 01 and its measurements |
# | writes | bias and 95 % limits of each measure, the worst condition, medians by label |
# | paper items | none: the papers take intervals from their recorders |
# | time | 11 s in `laptop` on two cores, after notebook 01 |
# | memory | 0.5 GB in `laptop` |
#
# After this notebook you can
#
# - compute rate, QTc and frontal axis of an ECG by hand;
# - state the error of a measurement as bias and limits of agreement;
# - find a lead that does not belong to its recording.
#
# Back to [01_preprocess](../01_preprocess.py).
#
# A report may state "bradycardia" or "first-degree block". In the waveform this is, for example, a
# rate of 48 beats per minute or a PR interval of 240 ms. All such numbers in this compendium come
# from one function, `measure`. The questions of [06](../06_instruction_tuning.py), for example, use
# them.

# %% tags=["plumbing"]
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import ABSENT, LABELS, PRESENT, Label, column
from ecglib.run.stage import Stage
from ecglib.signals import quality
from ecglib.signals.agreement import agreement, medians
from ecglib.signals.leads import LEADS, RATE, from_limb_and_chest
from ecglib.signals.measure import MEASURES, measure
from ecglib.simulator import conditions
from ecglib.simulator.heart import HeartState
from ecglib.simulator.patients import DEVICES
from ecglib.simulator.recording_device import record as record_with
from ecglib.simulator.sample_heart import example_heart
from ecglib.simulator.truth import irregularity, truth
from ecglib.simulator.waveform import beat_times, simulate

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-measured_truth"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
asked = {  # measure: the labels that its limits define
    "heart_rate": [Label.BRADYCARDIA],
    "pr": [Label.AV_BLOCK_1],
    "qrs": [Label.LBBB, Label.RBBB],
    "qtc_bazett": [Label.LONG_QT],
    "qrs_axis": [Label.LEFT_AXIS, Label.RIGHT_AXIS],
    "rr_rmssd": [Label.AFIB],
}

# %% [markdown]
# ## The formulas are short
#
# RR is the time from one beat to the next. The QT interval shortens with RR, so it is corrected to
# a rate of 60 per minute. Bazett's correction is $QTc = QT / \sqrt{RR}$, and Fridericia's takes the
# cube root. The frontal axis is the direction of the area under the QRS, seen from lead I (0
# degrees) and aVF (90 degrees, drawn $\sqrt{3}/2$ as large). The numbers of this toy are chosen: a
# QRS of 100 ms as a squared sine, a T wave with smooth flanks, and no P wave.

# %%
second = np.arange(2500) / RATE
rr_true, qt_true, axis_true = 0.8, 0.38, 40.0
toy_wave = np.zeros_like(second)
for onset in np.arange(0.5, 10, rr_true):
    since = second - onset
    toy_wave += np.where((since > 0) & (since < 0.1), np.sin(np.pi * since / 0.1) ** 2, 0.0)
    flank = np.clip(np.minimum((since - 0.12) / 0.12, (qt_true - since) / 0.14), 0, 1)
    toy_wave += 0.3 * np.sin(np.pi / 2 * flank) ** 2
lead_i = np.cos(np.radians(axis_true)) * toy_wave
avf = np.sqrt(3) / 2 * np.sin(np.radians(axis_true)) * toy_wave
chest = np.array([-0.4, 0.3, 0.8, 1.1, 1.0, 0.8])[:, None] * toy_wave
toy_ecg = from_limb_and_chest(lead_i, avf + lead_i / 2, chest)
print("toy:", toy_ecg.shape, f"mV at {RATE} Hz")

# %% [markdown]
# The next cell measures the toy by hand. The tops of lead I are the beats, and the areas in leads I
# and aVF give the axis. The library's function finds the same values, and returns none for a wave
# that does not exist. Its QT is some 20 ms longer: it is tuned on real T waves, as cardiologists
# end them, and these run out more slowly than the toy's.

# %%
tops, _ = find_peaks(lead_i, height=0.5 * lead_i.max())
rr = np.diff(tops).mean() / RATE
qrs = slice(tops[3] - 12, tops[3] + 13)  # 100 ms around one top
axis = np.degrees(np.arctan2(2 / np.sqrt(3) * avf[qrs].sum(), lead_i[qrs].sum()))
measured = pd.Series(measure(toy_ecg, RATE))
assert abs(measured.heart_rate - 60 / rr) < 0.2
assert abs(measured.qrs_axis - axis) < 3
assert abs(measured.qt - 1000 * qt_true) < 40
assert np.isclose(measured.qtc_bazett, measured.qt / np.sqrt(60 / measured.heart_rate))
assert np.isnan(measured.pr)
print(f"rate {measured.heart_rate:.1f}, QT {measured.qt:.0f}, QTc {measured.qtc_bazett:.0f} ms,")
print(f"axis {measured.qrs_axis:.0f} degrees (by hand {axis:.0f}), PR not measurable")

# %% [markdown]
# ## A lead with its own clock belongs to another heart
#
# The quality score of notebook 01 has four defects per lead: lost time, wander, noise, and
# disagreement. Disagreement is computed without a model of a good lead. All leads record one heart,
# so their QRS complexes come at the same moments. The signal is filtered to 5 to 25 Hz, its energy
# is smoothed over a tenth of a second, its root is divided by its mean, and each lead is correlated
# with the median lead. In the next cell V3 is replaced by the V3 of another heart, which is clean
# and wrong.

# %%
heart = simulate(HeartState(), RATE, np.random.default_rng([seed, 1]))  # (12, 2500) mV
stranger = simulate(HeartState(rate=97.0), RATE, np.random.default_rng([seed, 2]))
mixed = heart.copy()
mixed[LEADS.index("V3")] = stranger[LEADS.index("V3")]
frequency = np.fft.rfftfreq(mixed.shape[1], 1 / RATE)
kept = np.where((frequency >= 5) & (frequency < 25), np.fft.rfft(mixed), 0)
envelope = np.sqrt(uniform_filter1d(np.fft.irfft(kept) ** 2, RATE // 10))  # (12, 2500)
typical = np.median(envelope / envelope.mean(axis=1, keepdims=True), axis=0)
same_time = np.array([np.corrcoef(one, typical)[0, 1] for one in envelope]).clip(0)
disagreement = quality.defects(mixed, RATE)[:, quality.DEFECTS.index("disagreement")]
assert np.allclose(1 - same_time, disagreement, atol=1e-4)
print("agreement:", *(f"{lead} {value:.2f}" for lead, value in zip(LEADS, same_time, strict=True)))

# %% [markdown]
# A logistic model turns the four defects $d$ into the score of a lead. The score of the recording
# counts the leads that cannot be read:
#
# $$ s_{lead} = \sigma(b - w \cdot d_{lead}), \quad
#    s_{record} = \sigma\big(a - c \textstyle\sum_{lead} (1 - s_{lead})\big) $$
#
# None of the seven numbers is negative, so a larger defect never raises a score. They were fitted
# to recordings of the PhysioNet/CinC Challenge 2011 that physicians had marked acceptable or not.
# Only whole recordings were marked, so the score of a lead is learned through the sum.

# %%
rng, v3 = np.random.default_rng([seed, 3]), LEADS.index("V3")
noisy, flat = heart.copy(), heart.copy()
noisy[v3] += rng.normal(0, 1.0, heart.shape[1])
flat[v3] = 0.0
toys = {"clean": heart, "V3 of a stranger": mixed, "V3 with noise": noisy, "V3 flat": flat}
toys["only noise"] = rng.normal(0, 0.5, heart.shape)
scores = {name: quality.score(ecg, RATE) for name, ecg in toys.items()}
scores = {name: [score.record, score.leads[v3], score.leads[0]] for name, score in scores.items()}
facts = json.loads(Path(quality.__file__).with_name("quality_model.json").read_text())["fit"]
print(f"AUC against physicians, five-fold cross-validation, {facts['records']} recordings:")
print(f"{facts['cross_validated_auc']:.3f} [{facts['low']:.3f}, {facts['high']:.3f}]")
pd.DataFrame(scores, index=["record", "V3", "I"]).T.round(3)

# %% [markdown]
# **What to see.** The stranger's lead has no noise and no wander. Still, in `laptop` its score
# falls from 0.96 to 0.57. The score of the recording hardly falls (0.98 to 0.93): one wrong lead of
# twelve. The score has two limits. It was learned on one kind of device. A lead at right angles to
# the heart's axis shows so little QRS that it scores too low.
#
# ## Measured minus true, on simulated hearts
#
# Real hearts are harder than the toy of the first section: noise, premature beats, no P wave in
# fibrillation, a QRS that runs into a raised ST segment. `measure` therefore searches for beats in
# all leads together. Beats of one shape are aligned, and their median is taken. In it QRS and T are
# delineated in each lead alone. PR, QRS and QT reach from the first onset to the last end over the
# leads, where about the third lead decides, so that one disturbed lead decides nothing. The true
# values of a simulated heart are known, so the error of each measurement is known too. A few hearts
# of every condition (two in `laptop`) are recorded by the noisier device. Standstill and exchanged
# cables are left out, because they have no true values.


# %%
def simulated(condition: str, number: int, hospital: str) -> tuple[dict, dict]:
    """What is measured in one simulated recording with noise, and what is true."""
    state, device = example_heart(condition, seed=number), DEVICES[hospital][0]
    times, early = beat_times(state, np.random.default_rng([seed, 91, number]))
    silent = simulate(state, device.rate, np.random.default_rng([seed, 91, number]))
    recorded = record_with(silent, device, np.random.default_rng([seed, 90, number]))
    inside = (times > 0.1) & (times < 9.9)
    known = {"rr_rmssd": irregularity(times[inside], early[inside])}
    return measure(recorded, device.rate), truth(state, times[inside]) | known


# %%
settings = stage.section("study")
names = [n for n in conditions.CONDITIONS if n not in ("standstill", "lead misplacement")]
names = np.repeat(names, settings["hearts"])
numbers = np.arange(len(names)) % settings["hearts"]
device = settings["device"]
pairs = [simulated(n, number, device) for n, number in zip(names, numbers.tolist(), strict=True)]
frames = {"measured": [ours for ours, _ in pairs], "true": [known for _, known in pairs]}
for kind, rows in frames.items():
    frame = pd.DataFrame(rows).reindex(columns=list(MEASURES))
    stage.data(f"hearts_{kind}", frame.assign(condition=names))
print(len(names), "recordings of", len(set(names)), "conditions")

# %% [markdown]
# What was measured in each ECG of the cohort is saved beside the labels that such measures define.

# %%
folder = stage.input("01", "measurements")
measurements = pd.read_parquet(folder / "measurements.parquet")
cohort = Cohort.open(stage.input("01", "cohort"))
columns = [column(label) for labels in asked.values() for label in labels]
stage.data("measurements", measurements[list(asked)].join(cohort.records[columns]))
print("measured:", measurements.shape, "of", len(cohort), "ECGs")

# %% [markdown]
# ## From here on: saved predictions
#
# ## Bias and limits
#
# The table gives the bias (the mean of measured minus true) and the 95 % limits of agreement (Bland
# and Altman): the bias minus and plus 1.96 standard deviations. They hold 95 % of the differences
# where these are normally distributed. *Missed* counts waves that exist and were not measured;
# *Invented* counts the reverse. *RR RMSSD* is the root mean square of the differences of successive
# RR intervals, as a share of their mean (unit 1).

# %%
ours, known = stage.read("hearts_measured"), stage.read("hearts_true")
measures = ["heart_rate", "rr_rmssd", "pr", "qrs", "qt", "qtc_bazett"]
measures += ["p_axis", "qrs_axis", "t_axis", "r_V5", "s_V1", "st_V3", "t_II"]
agreed = agreement(ours, known, {name: MEASURES[name] for name in measures})
stage.table("agreement", agreed.round(3), "Measured minus true on simulated hearts.")

# %% [markdown]
# Which conditions make measuring hard? The next table names, for each measure, the condition whose
# mean error is largest, and the error in the median condition. A mean of so few hearts names a
# candidate and no more.

# %%
far = []
for name in measures[:9]:
    gap = ours[name] - known[name]
    gap = (gap + 180) % 360 - 180 if MEASURES[name] == "degrees" else gap
    by_condition = gap.groupby(ours["condition"]).mean()
    worst = by_condition.abs().idxmax()
    row = {"measure": name, "unit": MEASURES[name], "condition": worst}
    far.append(row | {"off": by_condition[worst], "median_off": by_condition.median()})
far = pd.DataFrame(far)
heads = {"off": "mean error there", "median_off": "error in the median condition"}
caption = "The condition in which a measure is worst."
stage.table("hardest", far.round(3).rename(columns=heads), caption)

# %% [markdown]
# **What to see.** In `laptop` the median condition is off by at most 3 ms or degrees, and the worst
# by 41 to 66 ms: PR in Mobitz II, QRS in ventricular tachycardia, QT and QTc in atrial flutter. So
# a few conditions widen the limits of the table before, in which each condition counts equally. An
# end of a wave is a matter of definition. By ours, P and QRS truly begin and end where they reach
# 0.005 mV in a quarter of the leads. The method marks the return to rest, which is later. Against
# cardiologists, on real ECGs, the benchmark `measure_ludb` gives the errors.
#
# ## Medians by label, where no truth is used
#
# Of recordings of patients no truth is known, but there are labels. The median over the ECGs with a
# label should be on the side of the limit that the label's definition names. `lower` and `upper`
# are the quartiles.

# %%
values, parts = stage.read("measurements"), []
for name, labels in asked.items():
    states = {LABELS[label]: values[column(label)] for label in labels}
    groups = {label: state == PRESENT for label, state in states.items()}
    groups["none of these"] = np.all([state == ABSENT for state in states.values()], axis=0)
    parts.append(medians(values[name], groups))
by_label = pd.concat(parts, ignore_index=True)
by_label = by_label[by_label["n"] > 0]  # a source that cannot tell a label has none of its groups
by_label.insert(1, "unit", by_label["measure"].map(MEASURES))
stage.table("medians", by_label.round(3), "Medians by label in this cohort.")

# %% [markdown]
# **What to see.** Bradycardia is below 60 per minute, first-degree block above 200 ms, a bundle
# branch block at 120 ms or more. Each group with a label should be on its side of the limit. The
# group without it should be on the other side, unless other conditions change the same measure. In
# the default cohort they do for the QRS: without a bundle branch block its median is still above
# 120 ms, since pacing, for example, widens it too. `missing` counts ECGs in which the wave could
# not be measured.
#
# ## What it means

# %%
WORDS = {"heart_rate": "Heart rate", "pr": "PR", "qrs": "QRS", "qtc_bazett": "QTc after Bazett"}
for row in agreed[agreed["measure"].isin(list(WORDS))].itertuples():
    unit = row.unit.replace("1/min", "per minute")
    print(f"- {WORDS[row.measure]} of {row.n} hearts: bias {row.bias:.1f} {unit}, limits", end=" ")
    print(f"{row.low:.1f} to {row.high:.1f}; {row.missed} missed, {row.invented} invented.")
hearts = int(ours["condition"].value_counts().min())
worst = far.set_index("measure").loc["qrs"]
print(f"- The mean error of QRS is largest in {worst['condition']}: {worst['off']:.0f} ms", end=" ")
print(f"(mean of {hearts} recordings).")
print("- These are simulated hearts. What real ones add is in the benchmark `measure_ludb`.")

# %% [markdown]
# ## Try it yourself
#
# - Move the T wave of the toy with `qt_true = 0.45` and run the two toy cells again: QT and QTc
#   grow by 70 ms and more, and the rate stays.
# - Set `device: A` in `measured_truth.yaml` and run the study again. The recorder has less noise,
#   so the limits should become narrower.
# - Replace lead V3 of the stranger by V2 of the same heart. The disagreement stays small: an
#   exchange within the chest does not change the times of the beats.
#
# Back to [01_preprocess](../01_preprocess.py).

# %%
stage.finish()
