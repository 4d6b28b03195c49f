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
# | time | 22 s in `smoke`, 1 to 2 nominal minutes (of a reference machine) in `laptop` |
# | memory | 1 GB in `laptop` |
#
# After this notebook you can
#
# - name the waves and intervals of a heartbeat;
# - arrange, resample and clean a 12-lead ECG, and say what each step removes;
# - separate unusable recordings from poor ones, and absent labels from unknown ones;
# - say why a cohort needs cases on both sides of each definition, and a split by patient.
#
# Next: [02_tokenizers](02_tokenizers.py).
#
# The compendium compares three papers on the same recordings. So all recordings get one rate, one
# unit, one order of the leads, and one split by patient.
#
# The papers have real recordings. MIMIC-IV-ECG holds some 800,000 ECGs of a hospital in Boston,
# with the reports that its machines wrote. PTB-XL holds 21,799 ECGs from Germany. Its
# cardiologists' statements are codes of a standard for ECG files, SCP-ECG. The recordings of the
# Montreal Heart Institute (MHI) are not public. The default here is simulated: everybody can make
# it, and its true labels are known. A *data plan* takes real recordings instead (`docs/data.md`).
#
# In the code, `stage.step` computes an expensive result or reuses it, `stage.data` saves a table,
# and `stage.table` and `stage.figure` show it.

# %% tags=["plumbing"]
import numpy as np
import pandas as pd
from IPython.display import display

from ecglib.cohorts import build, cohort_features, merge_cohorts, split, summary
from ecglib.cohorts.quarantine import problem
from ecglib.cohorts.store import Cohort
from ecglib.figures import annotated_beat, cleaning, definition_limits, ecg_leads, ecg_page
from ecglib.labels.label_set import COLUMNS, LABELS, PRESENT, Label
from ecglib.run.stage import Stage
from ecglib.signals import highpass, mains
from ecglib.signals.clean import clean
from ecglib.signals.heartbeats import r_peaks
from ecglib.signals.leads import LEADS, RATE, from_electrodes, limb_identities
from ecglib.signals.measure import usual_beat
from ecglib.signals.quality import DEFECTS, defects, score
from ecglib.signals.resample import to_rate
from ecglib.simulator.added_noise import add_noise
from ecglib.simulator.heart import HeartState
from ecglib.simulator.waveform import simulate

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws patients, split and public numbers

# %% tags=["plumbing"]
stage = Stage("01", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## The waves of a heartbeat have names
#
# The atria make the *P wave*. The ventricles follow with the *QRS complex*: Q points down, R up, S
# down again. It ends at the *J point*. Then come the *ST segment* and the *T wave*, in which the
# ventricles recover. *PR* lasts from the start of P to that of QRS, *QT* from the start of QRS to
# the end of T, and *RR* from one R to the next. The heart below is simulated without noise. Its
# waves are measured as in any other ECG.

# %%
heart = simulate(HeartState(), RATE, np.random.default_rng(seed))  # (12, 2500) mV, healthy
beat, waves = usual_beat(heart, RATE)
this_r, next_r = r_peaks(heart, RATE)[2:4]  # samples
edges = {name: (at - beat.centre + this_r) / RATE for name, at in waves._asdict().items()}
samples = np.arange(this_r - 100, next_r + 50)
time, strip = samples / RATE, heart[LEADS.index("II"), samples]
figure = annotated_beat.annotated(time, strip, edges, next_r / RATE)
caption = "Lead II of a simulated healthy heart: its waves, and four intervals as measured."
alt = "P, QRS with Q, R and S, J point, ST and T of one beat; brackets for PR, QRS, QT and RR."
table = pd.DataFrame({"seconds": time, "lead_ii_mv": strip}).round(4)
stage.figure("heartbeat", figure, table, caption, alt)

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
# others. An exchange of two limb leads breaks these identities: MIMIC-IV-ECG, for example, stores
# aVF before aVL. Leads are therefore arranged by name, and the limb leads of every recording are
# checked. The check cannot see exchanged chest leads, nor exchanged electrodes.

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
filtered = to_rate(tone, 500, 250)  # computes only the samples that it keeps
assert filtered.shape == (2500,) and round(peak) == 80
print(f"170 Hz of amplitude 1 becomes {peak:.0f} Hz of amplitude {naive.max():.2f} if every second")
print(f"sample is kept; behind a low-pass {np.abs(filtered[20:-20]).max():.4f} of it is left")

# %% [markdown]
# ## Cleaning has three steps
#
# ECG-Tok resamples to 250 Hz, removes baseline wander where it outweighs the ECG, and flattens the
# lines of the mains in the spectrum. Each step here sees one recording only. The result is
# therefore the same, bit for bit, alone, in a batch and on any number of workers. The released code
# does otherwise (`reports/deviations.csv`).
#
# The example is the first usable recording of the data plan. Two disturbances are added to it at
# the electrodes, where they arise in practice. The left arm drifts by 1.5 mV at 0.3 Hz. Mains hum
# of 50.03 Hz enters at all electrodes, with 0.1 mV in lead I. The recording may have a weak hum of
# its own. So the reference is the recording with the drift but without the planted hum, cleaned.

# %%
settings = {
    name: {key: plan[key] for key in build.SETTINGS if key in plan} | stage.section("cohort")
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
done = clean(raw, rate)
lead = LEADS.index("I")
steps = {"Original": (rate, raw), "Resampled": (RATE, done.resampled)}
steps |= {"High-passed": (RATE, done.high_passed), "Flattened": (RATE, done.signal)}
steps = [pd.DataFrame({"step": k, "rate": hz, "mv": x[lead]}) for k, (hz, x) in steps.items()]
stage.data("cleaning_traces", pd.concat(steps, ignore_index=True))
print("leads high-passed:", *np.array(LEADS)[done.filtered])
print("lines flattened:", *(f"{line.hertz:.2f} Hz" for line in done.lines))

# %%
if stage.has("cleaning_traces"):  # no waveform of a patient is published
    steps = stage.read("cleaning_traces").groupby("step", sort=False)
    traces = {name: (float(part["rate"].iloc[0]), part["mv"].to_numpy()) for name, part in steps}
    spectra = cleaning.spectra(traces)  # amplitudes of sinusoids, 2 |X| / n
    caption = (
        "Lead I of one recording after each cleaning step, and its spectrum (grey: a step before). "
        "A drift of 0.3 Hz and 1.5 mV and a hum of 50.03 Hz and 0.1 mV had been added to it."
    )
    alt = "Four rows of a trace and a spectrum: a slow wave, later a peak near 50 Hz, disappear."
    stage.figure("cleaning_steps", cleaning.steps(traces, spectra), spectra, caption, alt)
    print("What to see:")
    for hz, step in ((0.3, "High-passed"), (50.0, "Flattened")):
        near = spectra[(spectra["frequency_hz"] - hz).abs() < 0.06]
        size = 1000 * near.groupby("step", sort=False)["amplitude_mv"].max()
        before = size.iloc[size.index.get_loc(step) - 1]
        verb = "takes out" if size[step] < 0.2 * before else "leaves much of"
        print(f"'{step}' {verb} the wave of {hz:g} Hz: {before:.0f} to {size[step]:.0f} µV.")

# %% [markdown]
# ## Wander is filtered only where it outweighs the ECG
#
# A high-pass filter at 1 Hz also bends ST segments. So the paper asks first whether the energy
# below 1 Hz is more than ten times that of 1 to 30 Hz. **Ours, not the paper's:** the rule is
# tested in each lead without its offset, and the filter is a Butterworth of order 2 run in both
# directions. Where the rule holds in one limb lead, all six are filtered, so that III = II - I.

# %%
fires = highpass.energy_ratio(done.resampled) > highpass.TIMES  # (12,)
alone = highpass.high_pass(done.resampled, fires)
broken, kept = (max(limb_identities(x).values()) for x in (alone, done.high_passed))
print("the rule holds in", *np.array(LEADS)[fires], end=". Largest violation of an identity:\n")
print(f"{broken:.3f} mV if these leads are filtered alone, {kept:.6f} mV with all limb leads")

# %% [markdown]
# ## Mains: a peak above the local mean is not enough
#
# The paper calls a peak a line if it is more than two standard deviations above the local mean.
# That rule suits spectra averaged over thousands of recordings. **Ours, not the paper's:** a peak
# must meet the paper's rule and two further conditions. They are about its power, divided by that
# of a smooth fit of the spectrum (LOESS: a line around each point). This ratio must be at least 5,
# and 2.25 times the highest ratio 1 to 5 Hz away, both averaged over the leads. In one lead alone
# the limits are 16 and 4 times. A hundred recordings of noise show why:

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
# The tone of 50.03 Hz is between two bins of the spectrum, so it leaks into all bins. A sinusoid of
# the tone's own frequency is fitted, and its leakage is subtracted. Within 0.5 Hz of the tone,
# peaks are lowered to a LOESS fit of the spectrum and keep their phases. The limb leads share their
# factors, so the identities hold. The factor is the smallest that one of them needs, so lead I can
# end below its own fit. In the figure, blue is the same trace without the tone. The
# dashed line is the LOESS fit, and the grey band covers the 0.5 Hz on both sides of the tone.
#
# The printed distances are amplitudes of a sinusoid, the root mean square times $\sqrt 2$. Before
# flattening the distance holds the planted 100 µV and the recording's own hum. The spectrum above
# shows less than 100 µV, because the tone lies between two bins. What is left afterwards is mostly
# in the last second, where the high-pass has no samples to come; the figure draws an earlier one.

# %%
tone = {"before": done.high_passed, "after": done.signal}
tone["truth"] = clean(drifting, rate).signal  # the same recording without the tone, cleaned
tone["quiet"] = mains.subtract_lines(done.high_passed, done.lines)
tone = pd.DataFrame({name: x[lead].astype(float) for name, x in tone.items()})
tone = stage.data("tone_traces", tone)

# %%
if stage.has("tone_traces"):
    pair = {name: column.to_numpy() for name, column in stage.read("tone_traces").items()}
    size = {name: np.abs(np.fft.rfft(x)) for name, x in pair.items()}
    n = len(pair["before"])
    line = {"before": size["before"], "fit": mains.fit_background(size["quiet"], n)}
    line = 2 / n * pd.DataFrame(line | {"after": size["after"]})
    line.insert(0, "frequency_hz", mains.frequencies(n))
    caption = "Lead I with a tone of 50.03 Hz, and its spectrum, before and after flattening."
    alt = "A humming trace over one without the hum; a peak of the spectrum and its end at a fit."
    figure = cleaning.line({name: pair[name] for name in ("before", "after", "truth")}, line, 50.03)
    stage.figure("planted_tone", figure, line, caption, alt)
    error = {k: 1000 * np.sqrt(2) * (pair[k] - pair["truth"]).std() for k in ("before", "after")}
    verb = "covers" if error["after"] < 0.1 * error["before"] else "does not cover"
    print(f"What to see: after flattening the trace {verb} the one that never had the tone, with")
    print(f"{error['after']:.1f} µV between them; before it is {error['before']:.0f} µV off.")

# %% [markdown]
# ## Unusable recordings are rejected; poor ones get a score
#
# *Can any method use this recording?* If not, it goes to the quarantine with its reason: a file
# that cannot be read, a missing or flat lead, leads under a wrong name, an electrode that was off.
#
# *How well can it be read?* The answer is a score between 0 and 1, which rejects nothing. Four
# defects of each lead count: lost time, wander, noise, and disagreement with the other leads about
# when a QRS comes ([computed by hand](studies/measured_truth.py)). The score was fitted to 521
# recordings that physicians had judged (PhysioNet/CinC Challenge 2011). Here the heart from above
# is recorded well, and poorly: noise everywhere, V1 lost for three seconds, a drift in V5. The
# figure has three leads and five seconds of each recording.

# %%
rng = np.random.default_rng(seed)
good, poor = (add_noise(heart, "muscle", decibels, rng) for decibels in (25, -3))
poor[LEADS.index("V1"), 750:1500] = 0.0
poor[LEADS.index("V5")] += np.sin(2 * np.pi * 0.3 * np.arange(2500) / RATE)
exchanged, came_off = heart[[0, 1, 2, 3, 5, 4, *range(6, 12)]], heart.copy()
came_off[LEADS.index("V2"), 500:2000] = 0.0
assert all(problem(usable, RATE) is None for usable in (heart, good, poor))
print("rejected:", problem(exchanged, RATE), problem(came_off, RATE), sep="\n- ")
marks = {"Good": score(good, RATE).record, "Poor": score(poor, RATE).record}
panels = {f"{k}: score {marks[k]:.2f}": x for k, x in (("Good", good), ("Poor", poor))}
caption = "One simulated heart in a good and in a poor recording, with their quality scores."
alt = "Leads II, V1, V5 twice: clean; then noisy, with V1 flat for some seconds and V5 drifting."
figure = ecg_leads.gallery(panels, RATE, seconds=5.0, columns=2)
table = pd.DataFrame(defects(poor, RATE), LEADS, DEFECTS).round(3).rename_axis("lead")
stage.figure("quality", figure, table.reset_index(), caption, alt)
worst = "; ".join(f"{defect} in {name}" for defect, name in table.idxmax().items())
print(f"What to see: score {marks['Good']:.2f} against {marks['Poor']:.2f}. Largest are: {worst}.")

# %% [markdown]
# ## The cohort
#
# Each cohort of the plan is read or simulated ([how](studies/simulator.py)), checked, cleaned,
# split and stored. They are then merged, and each recording gets one use, such as training or test.
# The waves of each stored ECG are measured ([how well](studies/measured_truth.py)). The default
# plan draws each patient's conditions from a list of 63, with the [noise of real
# recordings](studies/noise.py).

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
# carry only these. Signals are int16 microvolts in files (shards) of 256 ECGs, so that a million of
# them need no more memory. A training also gets masks that end where a recording ended.

# %%
public = ["unit", "ecg", "source", "site", "split", "quality", "high_passed", "mains"]
stage.data("split", cohort.records[[*public, *COLUMNS]])
stage.data("cohort", summary.describe(cohort.records))
reasons = cohort.quarantine["reason"].value_counts().rename_axis("reason")
stage.data("quarantine", reasons.reset_index(name="recordings").astype({"reason": str}))
page = pd.DataFrame(item["processed"].T, columns=list(LEADS))
page["labels"] = "; ".join(np.array(LABELS)[item["labels"] == PRESENT])
stage.data("page_traces", page.assign(valid=page.index < item["n_valid"]))
cohort.records.loc[cohort.rows("train")[:4], [*public[:7], "age", "sex", "device", "report"]]

# %% [markdown]
# ## A definition needs cases on both sides of its limit
#
# If every condition were drawn at full strength, percentiles of the signal would tell nearly every
# label, and no tokenizer could be better than another. Here each condition has a severity. Labels
# are read off the heart by definition: first-degree AV block is a PR above 200 ms, whatever was
# drawn. The figure below shows four quantities as measured in the ECG: PR, QRS, QTc and a voltage.
# QTc is QT corrected for the heart rate (Bazett). A bundle branch block, left or right, slows the
# way to one ventricle and makes QRS wide. The voltage is S in V1 plus the larger R of V5 and V6
# (Sokolow and Lyon); thick ventricles make it large. Its limit is 35 mm on paper, which are 3.5 mV.

# %%
values = pd.read_parquet(measured / "measurements.parquet")
values["sokolow"] = values["s_V1"].abs() + values[["r_V5", "r_V6"]].max(axis=1)
definitions = {  # quantity: name, unit, limit, ends of the axis, labels
    "pr": ("PR", "ms", 200, (100, 320), [Label.AV_BLOCK_1]),
    "qrs": ("QRS", "ms", 120, (70, 260), [Label.LBBB, Label.RBBB]),
    "qtc_bazett": ("QTc", "ms", 470, (360, 600), [Label.LONG_QT]),
    "sokolow": ("S V1 + R V5/6", "mV", 3.5, (0.5, 6), [Label.SOKOLOW]),
}
bins = stage.data("severity", summary.around_limits(values, cohort.labels, definitions))

# %% [markdown]
# ## From here on: saved predictions
#
# First the cohort, its quarantine, how well the rest can be read, and the example, cleaned.

# %%
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT

display(stage.table("cohort", stage.read("cohort"), "The cohort and its split."))
members, rejected = stage.read("split"), stage.read("quarantine")
rejected["percent"] = 100 * rejected["recordings"] / (len(members) + rejected["recordings"].sum())
stage.table("quarantine", rejected, "Recordings that were rejected, by reason.")
display(rejected) if len(rejected) else print("No recording was rejected.")
display(stage.table("quality", summary.readability(members), "Readability, and cleaning."))
if stage.has("page_traces"):
    page = stage.read("page_traces")
    wave = page[list(LEADS)].round(4)
    figure = ecg_page.twelve_lead(wave.to_numpy().T, n_valid=int(page["valid"].sum()))
    wave.insert(0, "seconds", np.arange(len(wave)) / RATE)
    named = {LABELS[label]: finding.name for label, finding in FINDINGS.items()}
    present = (named.get(name, name.lower()) for name in page["labels"].iloc[0].split("; "))
    caption = f"The cleaned example. Labels that are present: {'; '.join(present)}."
    stage.figure("twelve_leads", figure, wave, caption, "Twelve leads of one ECG on ECG paper.")

# %% [markdown]
# ## Unknown labels are masked, not counted as negatives
#
# ECG-Tok has 77 labels in six categories. A label is 1 present, 0 absent, 2 uncertain, 3 history,
# or -1 where its source does not decide: PTB-XL's codes name no leads for an inverted T wave. No
# loss and no score reads a -1. `percent` is of the assessable ECGs. `mhi_percent` is of the
# training ECGs of the MHI, from a file of the released code; the paper gives no prevalences.
# *Sinusal* is a rhythm of the sinus node, and *Monomorph* means that all QRS complexes have one
# shape.

# %%
labels = summary.prevalence(members)
stage.table("labels", labels, "States of the 77 labels.")
known = labels[labels["assessable"] > 0]
naive = 100 * known["present"] / len(members)  # with "unknown" taken for "no"
for i in (known["percent"] / naive).dropna().sort_values().tail(1).index:  # the worst
    print(f"{LABELS[i]}: {known['percent'][i]:.2f} % of the ECGs in which it can be decided,")
    print(f"{naive[i]:.2f} % if unknown counted as absent")
known[known["present"] > 0].sort_values("present", ascending=False).head(8).round(2)

# %%
from ecglib.run.profiles import is_simulated

DEFINED = {"PR": [Label.AV_BLOCK_1], "QRS": [Label.LBBB, Label.RBBB], "QTc": [Label.LONG_QT]}
DEFINED |= {"S V1 + R V5/6": [Label.SOKOLOW]}
bins = stage.read("severity")
bins = bins[bins.groupby("quantity")["ecgs"].transform("sum") > 0]  # labels that can be decided
titles = {name: " or ".join(FINDINGS[label].name for label in of) for name, of in DEFINED.items()}
bins["labels"] = bins["quantity"].map(titles)
letter = dict(zip(bins["quantity"].unique(), "abcd", strict=False))
elsewhere = []
for quantity, part in bins.groupby("quantity", sort=False):
    state = members[[COLUMNS[label] for label in DEFINED[quantity]]]
    decided = (state == PRESENT).any(axis=1) | (state == ABSENT).all(axis=1)
    elsewhere.append(f"{decided.sum() - part['ecgs'].sum():,.0f} in {letter[quantity]}")
why = "Labels are those of the source, which need not follow this measurement."
if is_simulated(stage.plan):
    a, b, c, d = (letter.get(name, "-") for name in ("PR", "QRS", "QTc", "S V1 + R V5/6"))
    why = (
        f"Grey beyond it fails another condition ({b}: a wide QRS of a ventricular rhythm, of "
        "pacing or of a delta wave, a slow start of QRS, is no bundle branch block) or is measured "
        "too long "
        f"({b}, {c}). In {a} it is a long PR outside conducted sinus rhythm, or one measured too "
        f"long. A bar can reach over the limit. Orange before it is measured too small: in {d} the "
        "measurement misses an S "
        "in V1 that comes before the highest upright wave."
    )

# %%
on_paper = " (35 mm are 3.5 mV)" if "S V1 + R V5/6" in letter else ""
caption = (
    "Quantities as measured in the ECGs of the cohort, stacked: orange where the label above the "
    f"panel is present, grey where it is absent. Dashed: the limit of the definition{on_paper}. "
    f"{why} Not drawn are ECGs beyond the ends of the axis, and those in which the quantity could "
    f"not be measured: {', '.join(elsewhere)}."
)
alt = "Histograms of ECGs, grey on orange, each with a dashed line at a limit."
if len(bins):
    stage.figure("severity", definition_limits.against_limits(bins), bins, caption, alt)
bins["near"] = ((bins["low"] + bins["high"]) / 2 / bins["limit"] - 1).abs() < 0.1
for quantity, part in bins.groupby("quantity", sort=False):
    near = part[part["near"]].groupby("state")["ecgs"].sum()
    near = near.reindex(["present", "absent"], fill_value=0)
    print(
        f"{quantity}: within 10 % of the limit are {near['present']:,} ECGs with the label", end=" "
    )
    print(f"and {near['absent']:,} without.")
    if near["present"] < 0.02 * near.sum():
        print(f"So few have it that the cohort hardly tests the limit of {quantity}.")

# %% [markdown]
# ## The split is by patient
#
# A patient's second ECG resembles the first. A model that saw the first would get credit for
# recognising the person. So whole patients are assigned: first 20 % to test, then 10 % to
# validation. Patients with the rarest labels come first, and each goes to the part that lacks these
# labels most. A plan may take PTB-XL's official folds instead (`--data ptbxl_folds`: eight to
# train, one to validation, one to test). A repeated signal is kept once, and patient numbers that
# share a signal are one person.
#
# In the table, *Train*, *Validation* and *Test* are shares of the row's total, and *In test* is the
# number in the test part: of patients in the first row, else of ECGs. *Gap points* is the largest
# difference of a label's prevalence between the parts, in percentage points.

# %%
people = members.assign(patient_id=members["unit"])  # the public number stands for the patient
shares = split.balance(people[people["split"].isin(split.FRACTIONS)]).round(3)
caption = "Share of each part; `gap_points`: largest difference in prevalence, percentage points."
display(stage.table("split", shares, caption).head(8))
shared, patients = split.shared_patients(people), people.groupby(["source", "unit"]).ngroups
stage.claim("split.patient_leakage", shared, shared, shared, patients)
assert shared == 0
order = np.random.default_rng(stage.seed).permutation(len(people))  # a split by recording instead
test, train = np.split(people["unit"].to_numpy()[order], [len(people) // 5])
leak = 100 * np.isin(test, train).mean()
print(
    f"patients in two parts: {shared}; of a split by recording, {leak:.0f} % of the test ECGs would"
)
print("be of a patient who is also in the rest")

# %% [markdown]
# ## What it means

# %%
common = shares.loc[shares["total"] >= 50, list(split.FRACTIONS)]
parts = people["split"][people["split"].isin(split.FRACTIONS)]
sizes = parts.value_counts(normalize=True)[list(split.FRACTIONS)]
off = 100 * (common - sizes).abs().max().max()
print("- An ECG must have its leads in order and one rate; strong wander and mains lines are taken")
print("  out. It is checked and scored, its unknown labels are masked, and its patient is in one")
print("  part of the split.")
print(f"- {len(members)} ECGs of {patients} patients are kept, {rejected['recordings'].sum()} went")
print(f"  to the quarantine; the median score of those kept is {members['quality'].median():.2f}.")
print(f"- {len(known)} of {len(LABELS)} labels can be decided in them.")
print(f"- Patients in two parts of the split: {shared}.")
if len(common):
    print(f"- The parts' shares of common labels are within {off:.1f} percentage points of the")
    print("  parts' sizes.")

# %% [markdown]
# [Simulated ECGs differ from real ones](studies/sim_vs_real.py), so no number from a simulated
# cohort holds for patients. [Reports state only a part of the truth](studies/reading_back.py).
#
# ## Try it yourself
#
# 1. Let the left arm drift at 1.5 Hz, and run the cells from there to the figure again. Is the
#    wander still found?
# 2. Plant the hum at 57 Hz. Is it removed?
# 3. Shorten the lost stretch of V2 to `500:1000`. Is the recording still rejected?
#
# <details><summary>What happens</summary>
#
# 1. No. The rule measures energy below 1 Hz only, so the wander stays.
# 2. No, because no mains have this frequency. A line at 50 Hz that is still flattened is the
#    recording's own.
# 3. No, it is accepted.
#
# </details>
#
# Next: [02_tokenizers](02_tokenizers.py).

# %%
stage.finish()
