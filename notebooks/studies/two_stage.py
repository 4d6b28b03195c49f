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
# # Is one stage faster than two, and are its answers as good?
#
# | | |
# |---|---|
# | reads | cohort (01), language model (04), what was saved of ECG-Byte (06) |
# | writes | MERL, ViT, CLIP, CLIP with ViT below the language model; the same by LoRA; costs |
# | paper items | ECG-Byte: two-stage opponents; "3 times faster", "48% of the data" (abstract) |
# | time | a minute in `smoke`; some 55 nominal minutes in `laptop`, after 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say what each of the two stages trains, and on what;
# - turn "faster" into a number that does not depend on a machine;
# - say how much of a claim about speed depends on where a training is stopped.
#
# ECG-Byte trains one model in one stage: byte pairs of the signal are words. Its opponents need
# two. In stage one an encoder is trained on its own. In stage two it is frozen, gives one vector
# per ECG, and the language model learns to read that vector. Versions 2 and 3 of the abstract state
# that ECG-Byte trains "3 times faster" with "48% of the data" of two stages, version 1 in half the
# time with about 48 %. What counts as data is not stated. The README speaks of training on 25 % of
# each data set; an option of the code draws that share of the questions at random.
#
# **The released opponents** are large. MERL is a ResNet-101 with the medical text encoder MedCPT.
# ViT is a ViT-B/16 of ImageNet-21k, CLIP a CLIP-B/32, and CLIP + ViT both of them, fused. These
# three read the matrix of leads and samples as an image. Stage one has 20 epochs of batches of 64.
# Stage two does not run as released: training and generation raise an error. It would also learn to
# write padding, leave the fusion untrained and hide patches from the ViT.
#
# **Ours, not the paper's:** the encoders have 0.2 to 0.6 million numbers and are trained from
# nothing on the same ECGs. CLIP + ViT is one network with both losses. Stage one has 300 updates of
# 64 ECGs in `laptop`, 2.8 passes. In stage two the encoders are as stage one leaves them, nothing
# is hidden, and no padding is learned. All systems train the whole small language model, as
# ECG-Byte does in notebook 06. In a second comparison all five train a LoRA instead, as the
# released code does.

# %% tags=["plumbing"]
import time

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    budgets,
    exact_match,
    finding_agreement,
    text_overlap,
    wide_tables,
)
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.language.signal_patches import inside
from ecglib.language.system import load_prefix
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-two_stage"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring = stage.section("scoring")
NAMES = {"merl": "MERL", "vit": "ViT", "clip_two_stage": "CLIP", "clip_vit": "CLIP + ViT"}

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## Stage one: four encoders, three losses
#
# *MERL* has convolutions. Its loss asks an ECG to find its own report, and one view of an ECG to
# find another view of it. The other three have a transformer over patches of 0.2 s. *ViT* hides
# three quarters of the patches and predicts them from the rest. *CLIP* finds reports. *CLIP + ViT*
# does both.

# %%
drawn = {name: load_prefix(stage.make(f"{name}_initial")) for name in NAMES}
for name, prefix in drawn.items():
    numbers = sum(part.numel() for part in prefix.encoder.parameters())
    first = prefix.read_ecgs(stage.inputs(name), cohort.rows("train")[:1])
    embeddings, _ = prefix(*(part[:1] for part in first))
    print(f"{NAMES[name]}: {numbers:,} numbers; one ECG enters as {tuple(embeddings.shape)}")

# %% [markdown]
# ## The loss of hidden patches by hand
#
# The loss of the ViT is the squared error of the patches that were hidden. Below, the first
# training ECG has its first half hidden.

# %%
encoder = drawn["vit"].encoder
first = drawn["vit"].read_ecgs(stage.inputs("vit"), cohort.rows("train")[:1])
x, lengths = (part[:1] for part in first)
count = encoder.place.shape[0]  # patches
hidden = inside(lengths, count) & (torch.arange(count) < count // 2)  # (1, T)
with torch.no_grad():
    predicted = encoder.predict(encoder(x, hidden))  # (1, T, 12 hop)
    patches = x.unfold(2, encoder.hop, encoder.hop).transpose(1, 2).flatten(2)
    by_hand = (predicted - patches)[hidden].square().mean()
    library = encoder.masked_loss(x, hidden)
print(f"{int(hidden.sum())} of {count} patches hidden: {by_hand:.4f} mV^2, library {library:.4f}")
torch.testing.assert_close(by_hand, library)

# %% [markdown]
# ## Stage two, and the answers

# %%
folders = {name: stage.make(name) for name in NAMES}
stage.losses(folders)
stage.data("budgets", budgets.read(folders))
before = budgets.read({name: stage.make(f"{name}_initial") for name in NAMES})
stage.data("stage_one", before)

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
folders = {name: stage.make(f"{name}_texts", **about) for name in NAMES}
written = {name: pd.read_parquet(of / "texts.parquet") for name, of in folders.items()}
of_cohort = (cohort.records, cohort.labels, rows, scored)
texts, answers = score_texts(written, asked, *of_cohort, seed)
stage.predictions("texts", texts)
print("saved:", stage.predictions("answers", answers).name)

# %% [markdown]
# ## Stage two with a LoRA
#
# Now the language model is frozen but for a LoRA of the released rank and scale. Stage one is the
# same as above, so its encoders are taken. ECG-Byte is trained in the same way.

# %%
LORA = [f"{name}_lora" for name in (*NAMES, "ecg_byte")]
folders = {name: stage.make(name) for name in LORA}
stage.losses(folders, "lora_history")
folders = {name: stage.make(f"{name}_texts", **about) for name in LORA}
written = {name: pd.read_parquet(of / "texts.parquet") for name, of in folders.items()}
texts, answers = score_texts(written, asked, *of_cohort, seed)
stage.predictions("lora_texts", texts)
print("saved:", stage.predictions("lora", answers).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## How fast is each of them?
#
# Seconds depend on the machine and on the code. Operations and ECG views do not. They are counted
# until a loss on validation patients that all systems reach: the highest of their last ones.
# Between two looks the loss is taken to fall evenly. What stage one has cost is added to stage two.
# How many updates stage one has is a setting of this study, and the ratios depend on it. In
# `laptop` the opponent with the fewest views has 19,200 in stage one (2.8 passes) and 4,712 in
# stage two until the common loss. ECG-Byte has 8,000. With the 20 passes of the released code and
# the same stage two, the ratio of views would be 0.06 instead of 0.33.

# %%
from ecglib.figures import style

history = stage.read_beside("history", "06", ["ecg_byte"])
spent = stage.read_beside("budget", "06", ["ecg_byte"], own="budgets")
label = "Loss (nats per word piece)"
figure = curves.loss(history, label, late=True, reference="ecg_byte")
caption = (
    "Training loss of stage two of the four opponents, and of ECG-Byte, on the same batches (a), "
    "and the losses minus ECG-Byte's (b). Lines: running mean; with markers: validation patients. "
    f"One training seed. First losses, of up to {history['loss'].max():.1f}, are outside the axes."
)
alt = "Five falling curves of the loss against the update, above four curves of differences."
stage.figure("loss", figure, history, caption, alt)

# %%
spent = spent.set_index("method")
before = stage.read("stage_one").set_index("method").reindex(spent.index).fillna(0)
validated = history[history["part"] == "validation"].sort_values("step")
of_last = validated.groupby("method")["loss"].last()  # nats per word piece
common = of_last.max()


def until(name: str, level: float) -> dict:
    """What a system needs, both stages together, until its validation loss is at a level."""
    curve = validated[validated["method"] == name]
    loss, steps = np.minimum.accumulate(curve["loss"].to_numpy()), curve["step"].to_numpy()
    done = np.interp(-level, -loss, steps) / steps[-1]
    line = {"method": name, "share_of_updates": done}
    for cost in ("ecg_views", "flops"):
        in_stage_one = before.loc[name, cost]
        line[cost] = in_stage_one + done * (spent.loc[name, cost] - in_stage_one)
    return line


# %%
speed = pd.DataFrame([until(name, common) for name in of_last.index])
speed.insert(2, "last_loss", of_last.to_numpy())
speed["tflops"] = speed.pop("flops") / 1e12
caption = f"Until a validation loss of {common:.3f} nats per word piece, both stages together."
stage.table("speed", speed.round(3), caption)
caption = "What each system was given. The base's one pass over the reports is not counted."
stage.table("budgets", budgets.formatted(spent.reset_index()), caption)
speed.round(3)

# %% [markdown]
# The abstract does not say where its trainings end. So the next table counts to three ends: the
# common loss from above; 95 % of the own fall, from the first look to the last; and 1.05 times the
# own last loss. The released code pads every input to 1,024 positions. So the table has the
# operations as they are here, and as they were if each ECG of stage two took 1,024 positions of the
# language model.

# %%
byte = stage.part("ecg_byte")
model = stage.part(byte.inputs["base"]).settings
POSITIONS = 1024  # of the released code
padded = float("nan")  # operations per ECG; known of a small model that is trained whole
if "width" in model and byte.settings["adapt"] == "full":
    width, layers = model["width"], model["layers"]
    weights = layers * (4 * width**2 + 3 * width * model["feed_forward"]) + width * model["pieces"]
    per_position = 2 * weights + 4 * layers * POSITIONS * width  # a multiply-add is two operations
    padded = 3 * POSITIONS * per_position  # a backward pass counts as two

# %%
ends = []
for name, curve in validated.groupby("method"):
    first, lowest = curve["loss"].iloc[0], curve["loss"].min()
    levels = {"common loss": common, "95 % of the own fall": 0.95 * lowest + 0.05 * first}
    levels["1.05 times the own last loss"] = 1.05 * of_last[name]
    one, views = before.loc[name], spent.loc[name, "ecg_views"] - before.loc[name, "ecg_views"]
    for end, level in levels.items():
        line = {"until": end, "loss": level} | until(name, level)
        line["tflops"] = line.pop("flops") / 1e12
        line["tflops_padded"] = (one["flops"] + line["share_of_updates"] * views * padded) / 1e12
        ends.append(line)
ends = pd.DataFrame(ends).sort_values(
    "until", key=lambda of: of.map(list(levels).index), kind="stable"
)
ends.insert(1, "method", ends.pop("method"))
ends = ends.dropna(axis="columns", how="all")
caption = "What each system needs until three ends, both stages together."
stage.table("plateau", ends.round(3), caption)

# %%
costs = {"TFLOP": "tflops", "TFLOP, padded": "tflops_padded"}
costs = {name: column for name, column in costs.items() if column in ends}
ratios = {}
for end, part in ends.groupby("until", sort=False):
    part = part.set_index("method")
    others, own = part.loc[list(NAMES)], part.loc["ecg_byte"]
    ratio = {f"{k}, opponent / ECG-Byte": others[c].min() / own[c] for k, c in costs.items()}
    ratio["ECG views, ECG-Byte / opponent"] = own["ecg_views"] / others["ecg_views"].min()
    ratios[end] = ratio if own["ecg_views"] > 0 else dict.fromkeys(ratio, float("nan"))
ratios = pd.DataFrame(ratios).T.rename_axis("until").reset_index()
caption = "Ratios of the table above: the cheapest opponent, and the one with the fewest views."
stage.table("plateau_ratios", ratios.round(2), caption)
ratios.round(2)

# %% [markdown]
# **What to see.** Compare the operations first. ECG-Byte has some 250 positions per ECG, an
# opponent has one. So each update of ECG-Byte costs more, and the opponents pay for stage one
# instead. The abstract's "3 times faster" would be a ratio of 3 in the columns of operations. Its
# "48% of the data" would be one of 0.48 in that of views, if data are views. Only the common loss
# compares equal quality: at the two own ends the systems stop at different losses (column `loss`).
# The symbols of ECG-Byte mean nothing to the language model at the first look, so its loss falls
# from far above, and it has 95 % of that fall early. With padding every system costs the same per
# ECG of stage two, so that ratio is one of updates and of stage one. The looks at the validation
# patients are few.
#
# ## Answers and reports

# %%
answers = stage.read_beside("answers", "06", ["no_ecg", "ecg_byte"])
kind = answers["item"].str.split(":").str[0]
replies, stated = answers[kind.isin(exact_match.TYPES)], answers[kind == "finding"]
overlap = answers[~kind.isin([*exact_match.TYPES, "finding"])]
by = {name: part for name, part in replies.groupby("method")}
order = ["no_ecg", *NAMES, "ecg_byte"]

# %%
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
match = match.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
wide = wide_tables.wide(match, "method", "metric")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("exact_match", wide, "Exact match by kind of question [95 % interval].", best)
reports = [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
reports = pd.concat(reports, ignore_index=True)
stage.table("reports", wide_tables.wide(reports, "method", "metric"), "Reports [95 % interval].")

# %%
KEY = (  # to the names
    "In stage one the encoders of MERL and CLIP learn to find an ECG's own report, that of ViT to "
    "fill in hidden patches of the signal, that of CLIP + ViT both."
)
titles = {kind: kind.capitalize() for kind in match["metric"].unique()}
titles["all"] = "All questions"
level = {kind: exact_match.chance(by["ecg_byte"], kind, seed).value for kind in titles}
n_ecgs, n_patients = by["ecg_byte"]["ecg"].nunique(), by["ecg_byte"]["unit"].nunique()
caption = (
    f"Exact match of {len(by['ecg_byte'])} answers (dashed: chance), on {n_ecgs} test ECGs of "
    f"{n_patients} patients. {KEY} Whiskers: 95 % intervals over patients; one training seed."
)
alt = "Four panels of horizontal bars, one per method, with a dashed line at chance."
figure = bars.methods(match, titles, 2, "Exact match (dashed: chance)", level)
stage.figure("exact_match", figure, match, caption, alt)

# %% [markdown]
# ## The same with a LoRA
#
# A LoRA of rank 16 changes less of a language model that has never seen an ECG. The next figure and
# table have the answers of all five so trained beside those above.

# %%
by_lora, both = stage.read("lora"), []
kind = by_lora["item"].str.split(":").str[0]
is_known, known = kind.isin(exact_match.TYPES), [*NAMES, "ecg_byte"]
by_lora, reports_lora = by_lora[is_known], by_lora[~is_known]
first = {"full": "All weights", "lora": "LoRA of the run"}[byte.settings["adapt"]]
for trained, part in {first: replies, "LoRA of rank 16": by_lora}.items():
    part = part.assign(method=part["method"].str.removesuffix("_lora"))
    one = exact_match.summary(part[part["method"].isin(known)], seed=seed)
    both.append(one[one["type"] == "all"].assign(metric=trained))
both = pd.concat(both, ignore_index=True)
both = both.sort_values("method", key=lambda name: name.map(known.index), kind="stable")
titles = {name: name for name in both["metric"].unique()}
level = dict.fromkeys(titles, exact_match.chance(by["ecg_byte"], seed=seed).value)
figure = bars.methods(both, titles, 2, "Exact match (dashed: chance)", level)
caption = (
    "Exact match over all questions (dashed: chance) by what stage two trains of the language "
    f"model, on {n_ecgs} test ECGs of {n_patients} patients. {KEY} Whiskers: 95 % intervals over "
    "patients; one training seed."
)
alt = "Two panels of horizontal bars, one bar per method."
stage.figure("lora", figure, both, caption, alt)

# %%
match = exact_match.summary(by_lora, seed=seed).rename(columns={"type": "metric"})
is_finding = reports_lora["item"].str.startswith("finding:")
stated_lora, overlap_lora = reports_lora[is_finding], reports_lora[~is_finding]
long = [finding_agreement.summary(stated_lora, seed=seed), text_overlap.summary(overlap_lora, seed)]
wide = wide_tables.wide(match, "method", "metric")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("lora_exact_match", wide, "Exact match after a LoRA [95 % interval].", best)
wide = wide_tables.wide(pd.concat(long, ignore_index=True), "method", "metric")
stage.table("lora_reports", wide, "Reports after a LoRA [95 % interval].")
ends = curves.ends(stage.read("lora_history")).round(3).reset_index()
ends = stage.table("lora_losses", ends, "Loss at the end of a LoRA, in nats per word piece.")
ends

# %% [markdown]
# **What to see.** In `laptop` the order of the methods is the same in both panels, so it does not
# depend on what stage two trains. All bars on the right are lower. The losses in the table say why:
# a LoRA ends at a higher loss after as many updates.
#
# ## The registered comparisons

# %%
for name in NAMES:
    gain = exact_match.difference(by["ecg_byte"], by[name], seed=seed)
    stage.claim(f"two_stage.ecg_byte_minus_{name}.exact_match", **vars(gain))
    lora = (by_lora[by_lora["method"] == f"{of}_lora"] for of in ("ecg_byte", name))
    gain = exact_match.difference(*lora, seed=seed)
    stage.claim(f"two_stage.lora.ecg_byte_minus_{name}.exact_match", **vars(gain))
leading = min(NAMES, key=of_last.get)
gain = exact_match.difference(by[leading], by["no_ecg"], seed=seed)
stage.claim("two_stage.best_minus_no_ecg.exact_match", **vars(gain))
cost = speed.set_index("method")
opponents = cost.loc[list(NAMES)]
flops = opponents["tflops"].min() / cost.loc["ecg_byte", "tflops"]
views = cost.loc["ecg_byte", "ecg_views"] / opponents["ecg_views"].min()
for name, value in (("flops_ratio", flops), ("views_ratio", views)):
    stage.claim(f"two_stage.{name}", value, value, value, n_patients)  # of one training each

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
print(
    f"- Until the common loss the cheapest opponent needs {flops:.2f} times the operations of",
    end=" ",
)
print(f"ECG-Byte, and ECG-Byte {views:.2f} times the ECG views of the opponent with the fewest.")
print("  Without a margin a number is reported and not judged.")
for name, column in ratios.set_index("until").items():
    print(f"- {name}: from {column.min():.2f} to {column.max():.2f} over the three ends.")
chance = exact_match.chance(by["ecg_byte"], seed=seed).value
for name in order:
    accuracy = exact_match.accuracy(by[name], seed=seed).text()
    print(f"- {style.method(name).name}: exact match {accuracy}, chance {chance:.3f}.")

# %% [markdown]
# Is one stage faster than two? In `laptop` no, until a loss that all reach. This loss is ECG-Byte's
# own last one, so ECG-Byte is counted with its whole training. The cheapest opponent needs about a
# quarter of the operations, with padded inputs 0.6. At the two other ends, where the losses differ,
# the ratio with padded inputs is 1.87 and 1.05: ECG-Byte is cheaper at the first, and about equal
# at the second. Three of the four opponents answer more questions, with all weights and with a
# LoRA. ECG-Byte and the ViT are not told apart.
#
# Four limits apply. ECG-Byte reads the first second of an ECG, because all of its byte pairs would
# be too many for the language model; its opponents read ten seconds. There is one training seed per
# system. A ratio of two trainings has no interval over patients. And the opponents are small and
# see only the training ECGs of this run, while their papers train on hundreds of thousands.
#
# ## Try it yourself
#
# - In the cell of the costs, set `common` to a loss that only some systems reach. For the others
#   the costs are then those of the whole training, and the ratios say nothing.
# - In "The loss of hidden patches by hand", replace `<` by `>=`: the second half is hidden.
#
# ECG-Byte is explained in [06_instruction_tuning](../06_instruction_tuning.py).

# %% tags=["plumbing"]
stage.finish()
