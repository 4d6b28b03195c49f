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
# # What does the simulator draw, and which labels follow from it?
#
# | | |
# |---|---|
# | reads | the simulator, and the cohort of notebook 01 |
# | writes | the gallery of conditions, their labels, the smallest difference in AUC to be seen |
# | paper items | none: the papers have patients |
# | time | 13 s in `laptop` on two cores, after notebook 01 |
# | memory | 0.6 GB in `laptop` |
#
# After this notebook you can
#
# - compute twelve leads from a moving source of five numbers;
# - say which labels a condition brings, and why no label is set by hand;
# - tell from the number of positives which differences between two methods can be seen.
#
# Back to [01_preprocess](../01_preprocess.py).
#
# The whole truth of a real ECG is never known. The default run therefore uses a simulator, which
# knows the truth of each of its ECGs. This study shows what the simulator draws.

# %% tags=["plumbing"]
import numpy as np
import pandas as pd
from IPython.display import display
from scipy.stats import norm

from ecglib.cohorts.store import Cohort
from ecglib.figures import ecg_leads
from ecglib.labels.label_set import ABSENT, LABELS, PRESENT
from ecglib.run.stage import Stage
from ecglib.signals.leads import LEADS, RATE, from_electrodes
from ecglib.simulator import beats, conditions
from ecglib.simulator.labels_from_heart import labels_of
from ecglib.simulator.sample_heart import example_heart
from ecglib.simulator.waveform import simulate

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-simulator"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## All twelve leads show one source of five numbers
#
# At each moment the simulated heart is five numbers. Three are a current dipole that points left,
# down and forward by so much. Two describe current close to the chest wall, which only the nearest
# electrodes record. P, QRS and T are bumps of these numbers in time, and the leads are a fixed
# mixture of them:
#
# $$ s(t) = \sum_{bump} e^{-(t - t_b)^2 / 2 w_b^2} \, v_b, \quad x(t) = D\, M s(t) $$
#
# The matrix $M$ (9 x 5) leads from the source to nine electrodes, and $D$ (12 x 9) from those to
# twelve leads. The next cell computes one beat of three bumps by hand and by the library.

# %%
time = np.arange(250) / RATE  # one second
toy = [  # peak (s), width (s), source vector (mV): P, QRS, T
    (0.10, 0.025, [0.08, 0.12, 0.03]),
    (0.26, 0.018, [0.90, 0.70, -0.20]),
    (0.52, 0.050, [0.25, 0.15, 0.20]),
]
source = sum(
    np.exp(-((time - t) ** 2) / (2 * w**2)) * np.array([*v, 0, 0])[:, None] for t, w, v in toy
)
matrix = beats.electrode_matrix(np.ones(6))  # (9, 5), chest electrodes at their standard places
leads = from_electrodes(matrix @ source)
group = beats.bumps(*((t, w, w, v) for t, w, v in toy))
assert np.allclose(group.at(time), source)
print("source", source.shape, "-> electrodes", (matrix @ source).shape, "-> leads", leads.shape)

# %% [markdown]
# The simulator needs no training, so most of this study is computed when it is drawn. Only the
# positives of each label in the test part of this cohort are counted beforehand.

# %%
cohort = Cohort.open(stage.input("01", "cohort"))
in_test, present = cohort.labels[cohort.rows("test")], (cohort.labels == PRESENT).any(axis=0)
counts = {
    "index": np.flatnonzero(present),
    "label": np.array(LABELS)[present],
    "positives": (in_test == PRESENT).sum(axis=0)[present],
    "negatives": (in_test == ABSENT).sum(axis=0)[present],
}
stage.data("counts", pd.DataFrame(counts))
print(f"{present.sum()} labels are present in the cohort; {len(in_test)} ECGs are in test")

# %% [markdown]
# ## From here on: saved predictions
#
# What was saved are the counts of the last cell. The rest is simulated here.
#
# ## Every condition, in the same person
#
# The conditions are drawn for one person, without noise. The leads of such an ECG have at most five
# independent curves, so its sixth singular value is zero up to rounding.

# %%
hearts = {name: example_heart(name) for name in conditions.CONDITIONS}  # of the same person
signals = {  # without noise, (12, 2500) mV
    name: simulate(heart, RATE, np.random.default_rng(3)) for name, heart in hearts.items()
}
sizes = [np.linalg.svd(x, compute_uv=False) for x in signals.values() if np.abs(x).max() > 0.1]
sizes = np.stack([size / size[0] for size in sizes])
print(f"{len(signals)} conditions; singular values over the first, the largest of all ECGs:")
print(*(f"{size:.0e}" for size in sizes.max(axis=0)[:8]))
assert sizes[:, 5:].max() < 1e-5

# %% [markdown]
# ## A condition changes the heart; labels are read off the heart
#
# A bundle that does not conduct makes the vectors late and turns them. An infarction removes some
# of them. A condition sets no label. Labels are derived from the changed heart afterwards, by the
# definitions that a reader of the ECG would use. A label is therefore true in the waveform, and one
# condition may bring several labels.
#
# The table gives how often people have each condition. A data plan chooses `prevalence: paper` (as
# a hospital sees them), `prevalence: enriched` (so that rare labels can be judged too) or
# `prevalence: graded` (conditions of any severity, on both sides of their definitions). Its last
# column holds the labels that the condition adds to those of a healthy heart.

# %%
stated = {name: labels_of(heart) for name, heart in hearts.items()}
healthy = labels_of(example_heart()) == PRESENT
named = {name: np.flatnonzero((states == PRESENT) & ~healthy) for name, states in stated.items()}
kinds = [f"{kind}_percent" for kind in conditions.PREVALENCE]
ordered = pd.DataFrame(conditions.PER_CENT, index=kinds).T
ordered = ordered.rename_axis("condition").reset_index()
ordered["labels"] = ["; ".join(LABELS[label] for label in named[c]) for c in ordered["condition"]]
caption = "Conditions of the simulator, and the labels that they bring."
with pd.option_context("display.max_rows", None, "display.max_colwidth", None):
    display(stage.table("conditions", ordered, caption))
covered = set(np.flatnonzero((np.stack(list(stated.values())) == PRESENT).any(axis=0)))
many = max(named, key=lambda name: len(named[name]))
print(f"{len(covered)} of the {len(LABELS)} labels are present in at least one of these hearts")
print(f"{many} brings {len(named[many])} labels at once")

# %% [markdown]
# **What to see.** Labels come in groups. Findings that one condition always brings together are one
# observation and not several. A mean over labels counts such a condition more than once.
#
# ## The gallery
#
# The figures show each condition once, in the same person. The first figure has rhythms,
# conduction, rates and axes. The second has the chambers, ischaemia and the T wave.

# %%
of_the_drive = (*conditions.RHYTHMS, *conditions.AV_BLOCKS, *conditions.RATES, *conditions.EXTRA)
of_the_drive += (*conditions.BLOCKS, *conditions.AXES[:5], "lead misplacement")
of_the_shape = tuple(name for name in signals if name not in of_the_drive)
halves = {
    "drive": (of_the_drive, ("I", "II", "V1"), 4.0, "rhythms, conduction, rates and axes"),
    "shape": (of_the_shape, ("aVF", "V2", "V4", "V6"), 2.0, "chambers, ischaemia and the T wave"),
}
BEGIN = {"premature atrial complexes": 5.0}  # s, so that the early beat is drawn; others at 3.9 s
for half, (names, drawn, long, what) in halves.items():
    few = {name: signals[name][:, round(BEGIN.get(name, 3.9) * RATE) :] for name in names}
    figure = ecg_leads.gallery(few, RATE, drawn, start=0, seconds=long, columns=6)
    piece = slice(0, round(long * RATE), 2)  # the table at half the rate
    table = {f"{n} {lead}": few[n][LEADS.index(lead), piece] for n in few for lead in drawn}
    table = pd.DataFrame(table).round(2)
    table.insert(0, "seconds", np.arange(round(long * RATE))[piece] / RATE)
    caption = (
        f"Simulated ECGs of one person without noise, {len(few)} conditions: {what}. Leads "
        f"{', '.join(drawn)}, {long:g} s. All panels have the scale of the bars, 1 s and 1 mV. The "
        "leads of a row are further apart where a panel of it has large waves."
    )
    alt = f"A grid of {len(few)} small ECGs, each named by its condition."
    stage.figure(f"gallery_{half}", figure, table, caption, alt)

# %% [markdown]
# **What to see.** All leads of a panel change together, because they show one heart. Compare the
# width of the QRS in the bundle branch blocks with that in sinus arrhythmia. Compare the ST
# segments of the acute infarctions: the inferior one raises ST in aVF, the posterior one lowers it
# in V2.
#
# ## Few positives hide differences between methods
#
# The AUC of a label with few positives in test has a wide interval. Two methods must then differ by
# much before the difference can be established. The next table holds the positives of each label in
# the test part of this cohort. It also holds the smallest difference in AUC that would be found in
# four of five such tests (power of 80 %, two-sided at 5 %). The standard error is that of Hanley
# and McNeil for an AUC of 0.9:
#
# $$ SE^2 = \frac{A(1-A) + (n_+ - 1)(Q_1 - A^2) + (n_- - 1)(Q_2 - A^2)}{n_+ n_-}, \quad
#    Q_1 = \frac{A}{2-A}, \quad Q_2 = \frac{2A^2}{1+A} $$
#
# Two methods see the same ECGs, so their AUCs are correlated, here by 0.5.


# %%
def detectable(
    positives: int, negatives: int, auc: float, correlation: float, alpha: float, power: float
) -> float:
    """Smallest difference in AUC that a test part of this size would show."""
    if not positives or not negatives:
        return np.nan
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    error = np.sqrt(spread / (positives * negatives))
    return (norm.isf(alpha / 2) + norm.isf(1 - power)) * np.sqrt(2 * (1 - correlation)) * error


# By hand: the error is the root of 42.15404 / (15 * 985), times 1.95996 + 0.84162.
assert abs(detectable(15, 985, 0.9, 0.5, 0.05, 0.8) - 0.14964) < 2e-4

# %%
settings = stage.section("study")["power"]
seen = stage.read("counts").sort_values(["positives", "index"], ignore_index=True)
pairs = zip(seen["positives"], seen["negatives"], strict=True)
seen["detectable"] = [detectable(p, n, **settings) for p, n in pairs]
caption = "Positives in test, and the smallest difference in AUC that can be seen."
power = stage.table("power", seen.round(3), caption)
scored = seen[seen["positives"] > 0]
easy = int((scored["detectable"] <= 0.05).sum())
power[(seen["positives"] > 0).to_numpy()]

# %% [markdown]
# **What to see.** *Detectable* falls as positives rise, while negatives are many. It rises again
# where negatives are few. A smaller difference may be real and will mostly be missed. All numbers
# hold for an AUC of 0.9, and for one ECG per patient. Several per patient can hide more.
#
# ## What it means

# %%
rarest, widest = scored["positives"].min(), scored["detectable"].max()
added = {label for labels in named.values() for label in labels}
print(
    f"- {len(signals)} conditions add {len(added)} labels to the {healthy.sum()} of a healthy",
    end=" ",
)
print(f"heart; together {len(covered)} of {len(LABELS)}. No label is set")
print("  by hand: each is derived from the heart or its recording. How well it can be read is not")
print("  examined here.")
print(f"- {len(scored)} labels have positives in this test part, the rarest {rarest}. With a power")
print(
    f"  of {settings['power']:.0%}, and at an AUC of {settings['auc']}, a difference of 0.05",
    end=" ",
)
print(f"is detected in {easy}\n  of them; the worst label needs {widest:.2f}.")
print("- The simulator draws what its tables say. How far that is from patients is the subject of")
print("  the study `sim_vs_real`.")

# %% [markdown]
# ## Try it yourself
#
# - Give the toy's QRS the vector `[-0.9, 0.7, -0.2]` and look at `leads[0]`: lead I turns negative,
#   which a reader calls right axis deviation.
# - Draw `example_heart("left bundle branch block", "atrial fibrillation")` with `simulate` and read
#   its labels with `labels_of`: labels of both conditions are present.
# - Set `auc` in `simulator.yaml` to 0.98 and run the study again. Smaller differences can be seen,
#   because an AUC near 1 varies less.
#
# Back to [01_preprocess](../01_preprocess.py).

# %%
stage.finish()
