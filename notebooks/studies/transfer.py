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
# # Does a classifier still work at another hospital?
#
# | | |
# |---|---|
# | reads | the cohort (01), QINCo and its codes (02) |
# | writes | classifiers of each hospital, scored at both; scores on the role `transfer` |
# | paper items | HeartLLM scores PTB-XL zero-shot; ECG-Tok has no transfer |
# | time | 2 min in `smoke`, 29 nominal minutes in `laptop`, after 01 and 02 |
# | memory | 6 GB in `laptop` |
#
# After this notebook you can
#
# - name what a transfer is compared with, and why a single AUC at the other hospital says little;
# - find the labels on which two sources can be compared at all;
# - read an AUC on few positives with an interval that does not flatter it.
#
# The classifiers are explained in [03_classification](../03_classification.py).
#
# A low AUC at another hospital has two possible reasons: the classifier does not transfer, or the
# patients there are harder. Each transfer is therefore compared with a classifier that was trained
# at that hospital on as many patients, on the same test ECGs.

# %% tags=["plumbing"]
import time

import numpy as np
import pandas as pd

from ecglib.classify import linear_floors
from ecglib.classify.classifier_parts import BEST
from ecglib.classify.targets import scored_labels
from ecglib.classify.train_classifier import train
from ecglib.classify.training_site import keep_site
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, bootstrap, small_auc, wide_tables
from ecglib.evaluate.label_rows import label_rows
from ecglib.figures import dots, forest, style
from ecglib.labels.label_set import ABSENT, LABELS, PRESENT
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-transfer"  # the study's own run
seed = 0  # of the run; classifiers have a seed each

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, sizes = stage.section("study"), stage.section("classify")
order = ["summary", "qinco", "deepsl"]
options = {"seed": seed, "resamples": sizes["resamples"]}

# %% [markdown]
# ## One cohort per hospital
#
# The two hospitals with most training patients are compared. Each gives as many training patients
# as the smaller one has. The simulated hospitals differ in the age of their patients, in the
# frequency of conditions and in their recorders. The test patients are those of the whole cohort.

# %%
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
learned = cohort.records.iloc[cohort.rows("train")].groupby("site")["unit"].nunique()
learned = learned.sort_values(ascending=False, kind="stable").head(2).sort_index()
sites, patients = learned.index.tolist(), int(learned.min())
seeds = settings["seeds"]
places = {}
for number, site in enumerate(sites, 1):
    config = {"site": site, "patients": patients}
    places[site] = stage.step(f"cohort_{number}", keep_site, config, {"cohort": cohort_folder})
print(f"hospitals {', '.join(sites)}: {patients} training patients each")

# %% [markdown]
# ## All that learns, learns at one hospital
#
# A tokenizer learns too, although without labels. A tokenizer that has seen both hospitals would
# hide a part of the difference. So each hospital has an encoder and a QINCo of its own, trained as
# in notebook 02.

# %%
coded = {}
for number, (site, place) in enumerate(places.items(), 1):
    own = {"cohort": place}  # the folders of its steps, by name
    for name in ("qinco", "qinco_codes"):
        stage.remake(name, own, f"_{number}")
    coded[site] = {"cohort": place, "tokenizer": own["qinco"], "codes": own["qinco_codes"]}


# %%
def classifiers(prefix: str, read: dict, s: int) -> dict:
    """Folders of the three classifiers of one training cohort and seed."""
    only = {"cohort": read["cohort"]}
    head = BEST | {"reads": "vectors", "network": "efficientnet"} | sizes["head"]
    scratch = BEST | {"reads": "signals", "network": "deep_sl"} | sizes["deep_sl"]
    numbers = sizes["floors"] | {"numbers": "summary"}
    return {
        "summary": stage.step(f"{prefix}_summary_{s}", linear_floors.train, numbers, only, s),
        "qinco": stage.step(f"{prefix}_qinco_{s}", train, head, read, s),
        "deepsl": stage.step(f"{prefix}_deepsl_{s}", train, scratch, only, s),
    }


folders = {
    (site, s): classifiers(f"site_{number}", read, s)
    for number, (site, read) in enumerate(coded.items(), 1)
    for s in seeds
}

# %% [markdown]
# A label is compared if both hospitals have enough training ECGs with and without it.

# %% tags=["plumbing"]
least = sizes["head"]["min_positives"]
shared = [set(scored_labels(Cohort.open(place), least)) for place in places.values()]
shared = sorted(set.intersection(*shared))
tested = cohort.rows("test")
tested = tested[cohort.records["site"].iloc[tested].isin(sites)][: settings["test_ecgs"]]
for number, site in enumerate(sites, 1):
    parts = []
    for s in seeds:
        for method, folder in folders[site, s].items():
            scores = pd.read_parquet(folder / "scores.parquet")
            scores = scores[scores["label"].isin(shared)]
            parts.append(label_rows(cohort.records, cohort.labels, scores, tested, method, s))
    print("saved:", stage.predictions(f"trained_at_{number}", pd.concat(parts)).name)
hospitals = {"number": range(1, len(sites) + 1), "site": sites, "training_patients": patients}
hospitals = stage.data("hospitals", pd.DataFrame(hospitals))

# %% [markdown]
# ## The role `transfer`: ECGs that nothing was fitted or chosen on
#
# A data plan can give a cohort the role `transfer`. `simulated_to_ptbxl` trains, validates and
# tests on simulated patients and gives this role to recordings of PTB-XL. The classifiers are those
# of the whole training part. In the default plan no ECG has the role, and this part is empty.
#
# Most labels of the simulator cannot be compared. SCP codes express only some of them, and of
# these some are in no ECG of the role. The two sources are compared on the labels that have a
# positive and a negative in both. The others are named.

# %%
moved = cohort.rows("transfer")
if len(moved):
    near = np.sort(cohort.rows("test")[: settings["test_ecgs"]])
    trained = scored_labels(cohort, least)
    both = [cohort.labels[rows][:, trained] for rows in (near, moved)]
    has = [(states == state).any(axis=0) for states in both for state in (PRESENT, ABSENT)]
    common = [label for label, here in zip(trained, np.all(has, axis=0), strict=True) if here]
    known = np.isin(both[1], (PRESENT, ABSENT)).any(axis=0)
    unknown = [LABELS[i] for i, here in zip(trained, known, strict=True) if not here]
    rare = [LABELS[i] for i, here in zip(trained, known, strict=True) if here and i not in common]
    read = {"cohort": cohort_folder, "tokenizer": stage.input("02", "qinco")}
    read |= {"codes": stage.input("02", "qinco_codes")}
    whole = {s: classifiers("whole", read, s) for s in seeds}
    print(f"{len(moved)} ECGs have the role; {len(common)} of {len(trained)} labels are compared.")
    print(f"Not known in the role's source: {'; '.join(unknown) or 'none'}")
    print(f"Known there, without a positive or a negative: {'; '.join(rare) or 'none'}")
else:
    whole = {}
    print("No ECG of this data plan has the role transfer; try --data simulated_to_ptbxl.")

# %% tags=["plumbing"]
for name, ecgs in {"role_test": near, "role_transfer": moved}.items() if whole else ():
    parts = []
    for s, of_method in whole.items():
        for method, folder in of_method.items():
            scores = pd.read_parquet(folder / "scores.parquet")
            scores = scores[scores["label"].isin(common)]
            parts.append(label_rows(cohort.records, cohort.labels, scores, ecgs, method, s))
    print("saved:", stage.predictions(name, pd.concat(parts)).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## From one hospital to the other

# %%
hospitals = stage.read("hospitals")
names = dict(zip(hospitals["number"], hospitals["site"], strict=True))
cells = {names[number]: stage.read(f"trained_at_{number}") for number in names}
n_seeds = next(iter(cells.values()))["seed"].nunique()


def of(trained: str, tested_at: str, method: str) -> pd.DataFrame:
    """Predictions of one method, trained at one hospital, on the test ECGs of one."""
    frame = cells[trained]
    return frame[(frame["site"] == tested_at) & (frame["method"] == method)]


# %%
in_words, results = "Trained at {}, tested at {}".format, []
for method in order:
    for trained in cells:
        for tested_at in cells:
            part = of(trained, tested_at, method)
            line = {"method": method, "category": in_words(trained, tested_at)}
            line |= {"labels": part["item"].nunique(), "ecgs": part["ecg"].nunique()}
            results.append(line | vars(auc.auc(part, "macro", **options)))
results = pd.DataFrame(results).sort_values(["category"], kind="stable")
stage.table("sites", results, "Macro-AUC, trained at one hospital and tested at one.")
wide_tables.wide(results, "category", "method")

# %%
stage.figure(
    "sites",
    dots.rows(results, xlabel="Macro-AUC"),
    results,
    "Macro-AUC by hospital of training and of test, each trained on "
    f"{hospitals['training_patients'].max()} patients, {n_seeds} training seeds. Bars: "
    "95 % intervals over seeds and patients. The axis is logarithmic in 1 - AUC."
    f"{dots.dashed(results)}",
    "One row per pair of hospitals with three dots: summary numbers, QINCo and DeepSL.",
)

# %% [markdown]
# **What to see.** Compare two rows that are tested at the same hospital: they have the same test
# ECGs. A difference between two test hospitals mixes the transfer with the difficulty of the
# patients.

# %%
costs = {}
for tested_at in cells:
    for method in order:
        for trained in cells:
            if trained != tested_at:
                pair = of(trained, tested_at, method), of(tested_at, tested_at, method)
                cost = auc.difference(*pair, average="macro", **options)
                costs[in_words(trained, tested_at), method] = cost
lines = [
    {"name": style.method(method).name, "panel": way, **vars(cost)}
    for (way, method), cost in costs.items()
]
lines = pd.DataFrame(lines)
lines if lines.empty else lines.round(4)

# %%
if costs:  # a cohort of one hospital has no transfer
    claimed = costs[in_words(names[1], names[2]), "qinco"]
    stage.claim("transfer.site.qinco", **vars(claimed))
    stage.table("costs", lines.round(6), "Macro-AUC trained elsewhere minus trained there.")
    stage.figure(
        "costs",
        forest.differences(
            lines, "Change of macro-AUC\n(trained elsewhere minus trained here)", one_scale=True
        ),
        lines,
        "Change of macro-AUC by the transfer between two hospitals: trained at the other hospital "
        "minus trained at this one, on as many patients, on the same test ECGs. Below 0 the "
        "transfer costs AUC. Bars: paired 95 % intervals over seeds and patients.",
        "Two panels of three points with intervals around a line at zero.",
    )
else:
    stage.claim("transfer.site.qinco", *[float("nan")] * 3, 0)

# %% [markdown]
# **What to see.** An interval below zero means that the method lost something on the way. One that
# includes zero is no proof that nothing was lost: read how far below zero it reaches.
#
# ## From simulated ECGs to the role `transfer`
#
# In the default plan no ECG has this role, so the next cells print nothing. The text says what they
# show with `--data simulated_to_ptbxl`.

# %%
roles = {}
if stage.has("role_transfer"):
    roles = {"Simulated test": stage.read("role_test"), "Transfer": stage.read("role_transfer")}
    results = []
    for role, frame in roles.items():
        for method in order:
            for average in ("macro", "micro"):
                part = frame[frame["method"] == method]
                line = {"method": method, "category": role, "average": average}
                line |= {"labels": part["item"].nunique(), "ecgs": part["ecg"].nunique()}
                results.append(line | vars(auc.auc(part, average, **options)))
    results = pd.DataFrame(results)
    caption = "AUC over the labels that both sources have, before and after the transfer."
    stage.table("roles", results.round(4), caption)
    print("macro-AUC [95 % interval over seeds and patients]")
    print(wide_tables.wide(results[results["average"] == "macro"], "category", "method"))

# %% [markdown]
# The macro-AUC of the role counts a label with one positive as much as one with a hundred. In a
# resample of the patients, a label without a positive is left out. The next table therefore has
# each label by itself, with the number of its positives. With few positives a bootstrap interval is
# too narrow, and it has no width at all where every positive scores above every negative. The
# intervals of the table are Newcombe's, which are wide there. They are of the first seed.

# %%
if roles:
    by_label = []
    for role, frame in roles.items():
        first = auc.select(frame[frame["seed"] == frame["seed"].min()])
        for (label, method), part in first.groupby(["label", "method"]):
            target = (part["target"] == "1").to_numpy()
            value, low, high = small_auc.of_label(target, part["score"].to_numpy())
            line = {"role": role, "label": label, "name": LABELS[label], "method": method}
            line |= {"positives": int(target.sum()), "negatives": int((~target).sum())}
            by_label.append(line | {"value": value, "low": low, "high": high})
    by_label = pd.DataFrame(by_label)
    stage.table("roles_by_label", by_label.round(4), "AUC by label in both sources, first seed.")
    far = by_label[(by_label["role"] == "Transfer") & (by_label["method"] == "qinco")]
    few = far[far["positives"] < settings["few"]]
    print(f"{len(few)} of {len(far)} labels have fewer than {settings['few']} positives.")

# %%
if roles:
    enough = far[far["positives"] >= min(settings["few"], far["positives"].max())]
    drawn = by_label[by_label["label"].isin(enough["label"])]
    drawn = drawn.rename(columns={"name": "category", "role": "panel"})
    drawn = drawn.sort_values("method", key=lambda of: of.map(order.index), kind="stable")
    stage.figure(
        "roles",
        dots.rows(drawn),
        drawn,
        "AUC of labels that both sources have, on simulated test ECGs and on the ECGs of the role "
        f"transfer, for labels with {enough['positives'].min()} or more positives there. Trained "
        "on simulated ECGs alone. Bars: Newcombe's 95 % intervals, first seed. The axes are "
        "logarithmic in 1 - AUC.",
        "Two panels of dots with intervals, simulated and transferred, one row per label.",
    )

# %% [markdown]
# **What to see.** In the default plan no ECG has the role transfer, so table and figure are not
# made. With a plan that has some, compare the two panels row by row. A label whose interval is wide
# on the right shows nothing, however high its dot. Labels and codes differ too: a label of the
# simulator is true in the waveform by definition, while an SCP code is what a cardiologist wrote.
#
# ## What it means

# %%
stage.print_claims()
for (way, method), cost in costs.items():
    print(f"- {way}, {style.method(method).name}: {cost.text()} of macro-AUC.")
if roles:
    after = results[(results["average"] == "macro") & (results["category"] == "Transfer")]
    for line in after.itertuples():
        value = bootstrap.Estimate(line.value, line.low, line.high, line.n).text(2)
        print(
            f"- Role transfer, {style.method(line.method).name}: macro-AUC {value}, over", end=" "
        )
        print(f"{line.labels} labels and {line.ecgs} ECGs.")

# %% [markdown]
# Does a classifier still work at the other hospital? In `laptop` no loss is shown: all six
# intervals include 0. The largest loss that an interval allows is 0.017 of macro-AUC (summary
# numbers, from A to B). The mean is over 77 labels, of which one has only 7 positive test ECGs, so
# the intervals may be too narrow.
#
# Four limits apply. Two simulated hospitals differ far less than two real ones: the physiology is
# the same program. The tokenizers were trained once per hospital, so the intervals leave their
# variation out. Their tokens are read by the EfficientNetV2 on frozen vectors, as ECG-Tok reads
# them; in notebook 03 this reader finds far less than a network on decoded ECGs. And a transfer of
# simulated training to real ECGs tests the simulator as much as the classifier; the study
# [sim_vs_real](sim_vs_real.py) shows how far the two sources differ.
#
# ## Try it yourself
#
# - Set `few: 3` in `transfer.yaml` and run the study with `--data simulated_to_ptbxl`. More labels
#   are drawn, and their intervals show why they were not.
# - In the cell of the costs, replace `"macro"` by `"micro"`. Pooled over labels, the transfer looks
#   cheaper or dearer, because the frequencies of the labels enter.
#
# The classifiers are explained in [03_classification](../03_classification.py).

# %% tags=["plumbing"]
stage.finish()
