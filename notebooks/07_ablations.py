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
# # Does HeartLLM gain from pretraining on tokens?
#
# | | |
# |---|---|
# | reads | the cohort (01), the language model (04), pretrained HeartLLM (05), HeartLLM (06) |
# | writes | HeartLLM tuned without token pretraining, its answers and reports, the differences |
# | paper items | HeartLLM, Fig. 3, "w/o FT" in the reading "without token forecasting" |
# | time | 15 s in `smoke`, 7 to 8 nominal minutes in `laptop` on two cores |
# | memory | 2 to 6 GB in `laptop`, by processor |
#
# After this notebook you can
#
# - say what an ablation must keep equal, and in what its arms differ,
# - say from the width of an interval and from chance which effect an ablation can detect at all,
# - say what each bar of the paper's figure leaves out.
#
# Previous: [06_instruction_tuning](06_instruction_tuning.py). Next:
# [08_alignment](08_alignment.py).
#
# HeartLLM trains the language model on ECG tokens (notebook
# [05_token_pretraining](05_token_pretraining.py)) before it is tuned on reports and questions. Here
# the small model already knows the words of the training texts (notebook 04). An *ablation* leaves
# one part of a method out and keeps everything else. This notebook leaves out token pretraining.

# %% tags=["plumbing"]
import numpy as np
import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    bootstrap,
    exact_match,
    finding_agreement,
    meteor,
    predictions,
    text_overlap,
    wide_tables,
)
from ecglib.figures import bars, curves
from ecglib.language import train_system
from ecglib.language.packing import answer_loss, backbone, collate
from ecglib.language.prompt import Prompt
from ecglib.language.system import load_prefix, open_system, prompted
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import read_codes

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws batches and starts of weights

# %% tags=["plumbing"]
stage = Stage("07", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## The paper's figure has four bars per panel
#
# Fig. 3 of the HeartLLM paper has four panels on PTB-XL: reports (BLEU, METEOR, ROUGE), and exact
# match on questions of the kinds *verify*, *choose* and *query*. Each panel compares the full model
# with three ablations. The numbers are not known to us.
#
# | bar | what is left out | trained in |
# |---|---|---|
# | full model | nothing | notebook 06 |
# | w/o FT | "FT" is not defined; read as token *forecasting*, that is, pretraining | here |
# | w/o FT | read as instruction *fine-tuning* | study `ablations` |
# | w/o TAB | age, sex, height and weight in the prompt | study `ablations` |
# | w/o DISC | the discrete tokens; continuous embeddings take their place | study `ablations` |
#
# Where the study [ablations](studies/ablations.py) has been run, its bars are in the last figure,
# which shows BLEU-4, METEOR and ROUGE-L for reports. The figure of the two arms also has ROUGE-1
# and the F1 of findings.
#
# ## The two arms
#
# Both arms share the tokenizer, the codes, the base language model, the questions, the batches and
# the number of updates in tuning. They differ in what tuning starts from. The arm with pretraining
# has had its updates on ECG tokens before that, so its training is the longer one. What the same
# time, spent on more tuning, would give is not tested.
#
# | | with pretraining | without |
# |---|---|---|
# | LoRA before tuning | pretrained on ECG tokens | untrained, so the model is the base |
# | embeddings before tuning | pretrained on ECG tokens | as initialised |
# | tuning | the settings of notebook 06 | the same |

# %%
inputs = stage.inputs("heartllm_no_pretraining")  # with `prefix`, the embeddings as initialised
pretrained = stage.input("05", "heartllm_pretrained")
starts = {"with": {"start": pretrained, "prefix": pretrained}}
starts["without"] = {"prefix": inputs["prefix"]}

# %% [markdown]
# ## One question through both arms
#
# Both arms compute the same loss. The line about the patient comes first, then the embeddings of
# the ECG's tokens, the instruction, the question and the answer. The model scores the next word at
# each position. The loss is the mean cross-entropy over the words of the answer. The next cell
# computes it for one training question before any tuning.

# %%
question, prompt = pd.read_parquet(inputs["questions"] / "train.parquet").iloc[0], Prompt()
record = Cohort.open(inputs["cohort"]).records.iloc[[question["row"]]]
for name in ("with", "without"):
    reads = {"base": inputs["base"], "codes": inputs["codes"]} | starts[name]
    system = open_system(reads, stage.machine, np.array([question["row"]]))
    system = prompted(system, prompt, record)
    asked_for = prompt.question(question["question"])
    text = train_system.answered(system.base, asked_for, question["answer"])
    answer = torch.tensor(text.answer, device=stage.machine.device)  # (A,), the end mark included
    with torch.no_grad():
        ecg, lengths = system.ecg_prefix([0])  # (1, pieces of the line + T + 2, d)
        words = torch.tensor([text.prompt + text.answer], device=stage.machine.device)
        words = system.model.get_input_embeddings()(words)  # (1, words, d)
        sequence = torch.cat([ecg.to(words.dtype), words], 1)
        hidden = backbone(system.model)(inputs_embeds=sequence, use_cache=False).last_hidden_state
        scores = system.model.get_output_embeddings()(hidden[0, -len(answer) - 1 : -1]).float()
        by_hand = torch.nn.functional.cross_entropy(scores, answer)
        batch = collate([[text]], system.base.eos)
        library = answer_loss(system.model, ecg, lengths, batch, len(answer))
    print(f"{name}: ECG {tuple(ecg.shape)}, words {tuple(words.shape)}, ", end="")
    print(f"scores {tuple(scores.shape)}, loss {by_hand:.3f} nats per word piece")
    assert torch.isclose(by_hand, library, rtol=0.03, atol=0.03)

# %% [markdown]
# ## Tuning
#
# The arm with pretraining was tuned in notebook 06. The other arm is tuned here, by the same
# function with the same settings.

# %%
tuned = {"with": stage.input("06", "heartllm"), "without": stage.make("heartllm_no_pretraining")}

# %% tags=["plumbing"]
stage.losses({"heartllm": tuned["with"], "heartllm_no_pretraining": tuned["without"]})

# %% [markdown]
# ## What is left of pretraining after tuning
#
# Tuning trains the same embeddings that pretraining has trained. If tuning adds the same to both
# arms, the difference that pretraining made stays as it was. If tuning brings both arms to the same
# place, that difference is lost. Distances show which of the two happens, each averaged over the
# codes that occur in the training ECGs: how far pretraining moved an embedding, how far tuning
# moved it, and how far the two arms are apart after tuning.

# %%
weights = {"drawn": load_prefix(inputs["prefix"]).weight}
weights |= {"pretrained": load_prefix(pretrained).weight}
weights |= {name: load_prefix(folder).weight for name, folder in tuned.items()}
weights = {name: weight.detach()[:-2] for name, weight in weights.items()}  # (codes, d), no bracket
learned = weights["pretrained"] - weights["drawn"]
apart = weights["with"] - weights["without"]
moves = {
    "length": weights["pretrained"].norm(dim=1),
    "pretraining": learned.norm(dim=1),
    "tuning_with": (weights["with"] - weights["pretrained"]).norm(dim=1),
    "tuning_without": (weights["without"] - weights["drawn"]).norm(dim=1),
    "arms_apart": apart.norm(dim=1),
    "cosine": torch.cosine_similarity(learned, apart, dim=1),
}
print("embeddings (codes, d):", tuple(learned.shape))

# %% tags=["plumbing"]
train_codes = read_codes(inputs["codes"], Cohort.open(inputs["cohort"]).rows("train"))
uses = np.bincount(train_codes.numpy().ravel(), minlength=len(learned))
frame = pd.DataFrame({name: values.numpy() for name, values in moves.items()}).round(5)
saved = stage.data("embedding_moves", frame.assign(uses=uses).rename_axis("code").reset_index())

# %% [markdown]
# ## The same questions, the same reports

# %%
asked = pd.read_parquet(inputs["questions"] / "test.parquet")
cohort, name = Cohort.open(inputs["cohort"]), "heartllm_no_pretraining"
scoring = stage.section("scoring")
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
out = stage.make("heartllm_no_pretraining_texts", rows=rows.tolist(), ecgs=rows.tolist())
written = pd.read_parquet(out / "texts.parquet")
reply = written[written["number"] >= 0].set_index("number").loc[asked["number"]]
print("answers:", len(reply), " reports:", int((written["number"] < 0).sum()))

# %% tags=["plumbing"]
of = cohort.records.iloc[asked["row"]]
length = {"tokens": reply["tokens"], "stop_reason": reply["stop_reason"]}
answers = predictions.build(of, name, seed, asked["item"], asked["answer"], reply["text"], **length)
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
reports = written[written["number"] < 0].set_index("row").loc[rows]
records = cohort.records.iloc[rows].reset_index(drop=True)
texts, stated = finding_agreement.read_reports(
    records, cohort.labels[rows], name, seed, reports, scored
)
stage.predictions("texts", texts)
overlap = text_overlap.scores(texts, meteor.open_wordnet())
saved = stage.predictions("answers", pd.concat([answers, overlap, stated], ignore_index=True))
print("predictions:", saved.name)

# %% [markdown]
# ## From here on: saved predictions
#
# Values with a 95 % interval are means over all training seeds of the run, unless a caption says
# otherwise. Losses, costs, examples and counts of single answers are of its own training seed.
#
# ## The losses

# %%
history = stage.read("history")
updates = history.loc[history["part"] == "train", "step"].nunique()
stage.figure(
    "loss",
    curves.loss(history, "Loss (nats per word piece)", late=True, reference="heartllm"),
    history,
    f"Tuning loss of both arms over {updates} updates on the same batches (a), and the loss minus "
    "that with pretraining (b). Lines: running mean; with markers: validation patients. HeartLLM "
    "is the arm with pretraining. One training seed. The first losses, of up to "
    f"{history['loss'].max():.1f}, are outside the axes.",
    "Two loss curves against the training step, with and without token pretraining, above their "
    "difference.",
)

# %%
held = history[history["part"] == "validation"].set_index(["step", "method"])["loss"]
for when, step in {"start": history["step"].min(), "end": history["step"].max()}.items():
    with_it, without = (held[step, method] for method in ("heartllm", "heartllm_no_pretraining"))
    print(f"validation loss at the {when}: {with_it:.3f} with pretraining, {without:.3f} without")

# %% [markdown]
# **What to see.** The arm with pretraining can begin higher: its LoRA learned ECG tokens alone, and
# that changes what the model makes of words. The curves can meet and part again, so compare the
# start, the middle and the end of panel b. A small difference of the loss at the end need not show
# in the answers.
#
# ## The embeddings of the two arms

# %%
moves = stage.read("embedding_moves")
used = moves[moves["uses"] > 0]
names = {
    "length": "length of a pretrained embedding",
    "pretraining": "moved by pretraining",
    "tuning_with": "moved by tuning, arm with pretraining",
    "tuning_without": "moved by tuning, arm without",
    "arms_apart": "distance of the two arms after tuning",
}
table = used[list(names)].mean().rename(names).rename_axis("mean over used codes")
table = table.rename("distance").round(3).reset_index()
table = stage.table(
    "embedding_moves", table, "Embeddings of the ECG tokens, moved by each training."
)
table

# %%
mean = used.drop(columns="code").mean()
times = mean["tuning_with"] / mean["pretraining"]
print(f"Tuning moves an embedding {times:.1f} times as far as pretraining did, and")
print(f"{mean['tuning_with'] / mean['length']:.1f} times its length.")
print(f"The two arms are then {mean['arms_apart']:.2f} apart; pretraining alone had put them")
print(f"{mean['pretraining']:.2f} apart. The cosine between the two differences is")
print(f"{mean['cosine']:.2f} (1: the same direction; 0: no common direction).")
along = (used["arms_apart"] * used["cosine"] * used["pretraining"]).sum()
kept = float(along / (used["pretraining"] ** 2).sum())
print("Along the direction in which pretraining moved them, the embeddings of the arms are still")
print(f"{100 * kept:.0f} % as far apart as before tuning. So tuning", end=" ")
print("keeps" if kept > 0.5 else "overwrites", "most of what pretraining made of them.")

# %% [markdown]
# ## Exact match with and without pretraining
#
# The answers with pretraining are read from the predictions of notebook 06. Both arms answered the
# same questions about the same ECGs, so they are compared question by question.

# %%
before = stage.read_seeds("answers", number="06")
before = before[before["method"] == "heartllm"]
both = pd.concat([before, stage.read_seeds("answers")], ignore_index=True)
questions = exact_match.select(both).drop(columns="type")
long = exact_match.summary(questions, seed=seed)
wide = wide_tables.wide(long, "method", "type")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("pretraining", wide, "Exact match [95 % interval].", best)

# %%
arm = dict(list(questions.groupby("method")))
full, ablated = arm["heartllm"], arm["heartllm_no_pretraining"]
drawn = long.rename(columns={"type": "metric"})
titles = {kind: kind.capitalize() for kind in drawn["metric"].unique()}
titles |= {"all": "All questions"}
level = {kind: exact_match.chance(full, kind, seed).value for kind in titles}
gain = {kind: exact_match.difference(full, ablated, kind, seed=seed) for kind in titles}
paired = wide_tables.estimates({titles[kind]: one for kind, one in gain.items()}, name="name")
label = "Exact match (share of answers; dashed: chance)"
differ = "Exact match, with minus without pretraining"
figure = bars.methods(drawn, titles, 2, label, level, paired, differ)
n_patients, asked = gain["all"].n, len(full) // full["seed"].nunique()
stage.figure(
    "pretraining",
    figure,
    drawn.assign(chance=drawn["metric"].map(level)),
    f"Exact match with and without token pretraining, by kind of question: {asked} questions "
    f"about {full['ecg'].nunique()} test ECGs of {n_patients} patients. Dashed: chance, the best "
    "that words alone can reach. Last panel: the paired differences. Whiskers: 95 % intervals "
    f"over {gain['all'].over}.",
    "Bars of the two arms for each kind of question with a dashed line for chance, and below them "
    "the differences of the arms around a line at zero.",
)

# %% [markdown]
# **What to see.** Look first at the distance of each bar from the dashed line, then at the last
# panel. Two arms at chance cannot show what pretraining is worth. Some verify
# questions have a third answer, not sure, so chance over all of them is below one half.

# %%
from ecglib.figures import style

table = wide_tables.estimates(gain, name="type").round(4)
table = stage.table("difference", table, "With minus without token pretraining.")
stage.claim("ablation.pretraining_minus_none.exact_match", **vars(gain["all"]))
above = {name: exact_match.gain(part, seed=seed) for name, part in arm.items()}
caption = f"Each arm minus chance, all questions [95 % interval over {gain['all'].over}]."
stage.table("above_chance", wide_tables.estimates(above, name="method").round(4), caption)
for name, value in above.items():
    print(f"{style.method(name).name}: {value.text()} above chance")
table

# %% [markdown]
# ## Reports
#
# The same two models wrote a report of each scored test ECG. This is the paper's panel of reports,
# with ROUGE, BLEU and METEOR for the wording and F1 for the findings that a report states.

# %%
kinds = {"macro_f1": "Macro-F1 of findings", "rouge_1": "ROUGE-1", "rouge_l": "ROUGE-L"}
kinds |= {"bleu_4": "BLEU-4", "meteor": "METEOR", "meteor_no_synonyms": "METEOR, no synonyms"}
overlap = both[both["item"].isin(text_overlap.METRICS)]
kinds = {name: kinds[name] for name in ["macro_f1", *overlap["item"].unique()]}
stated = both[both["item"].str.startswith("finding:")]
summary = pd.concat(
    [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
)
summary = summary[summary["metric"].isin(kinds)].reset_index(drop=True)
wide = wide_tables.wide(summary, "method", "metric")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("reports", wide, "Reports of both arms [95 % interval].", best)

# %%
of = {name: both[both["method"] == name] for name in ("heartllm", "heartllm_no_pretraining")}
reports = {
    metric: bootstrap.paired_difference(
        *(part[part["item"] == metric] for part in of.values()), seed=seed
    )
    for metric in overlap["item"].unique()
}
reports["macro_f1"] = finding_agreement.difference(*of.values(), "macro_f1", seed=seed)
reported = wide_tables.estimates({metric: reports[metric] for metric in kinds}, name="metric")
paired = reported.replace({"metric": kinds}).rename(columns={"metric": "name"})
stage.figure(
    "reports",
    bars.methods(
        summary,
        kinds,
        ncols=3,
        xlabel="Score",
        differences=paired,
        difference_label="Score, with minus without pretraining",
    ),
    pd.concat([summary, reported.assign(method="heartllm_minus_no_pretraining")]),
    f"Reports with and without token pretraining on {overlap['ecg'].nunique()} test ECGs: overlap "
    "of words with the reference, and macro-F1 of the stated findings over conditions. Last panel: "
    f"the paired differences. Whiskers: 95 % intervals over {gain['all'].over}.",
    f"Horizontal bars of the two arms in {len(kinds)} panels: {'; '.join(kinds.values())}. Below "
    "them the differences of the arms around a line at zero.",
)

# %%
table = wide_tables.estimates(reports, name="metric").round(4)
table = stage.table("report_difference", table, "Reports, with minus without token pretraining.")
table

# %% [markdown]
# A report has many more supervised tokens than an answer, so a small effect can be visible in
# reports first.

# %%
higher = [kinds[metric] for metric, one in reports.items() if one.value > 0]
clear = [kinds[metric] for metric, one in reports.items() if one.low > 0 or one.high < 0]
print(
    f"{len(higher)} of {len(reports)} scores of reports are higher with pretraining; clear of",
    end=" ",
)
print(f"zero: {'; '.join(clear) or 'none'}.")

# %% [markdown]
# ## The paper's figure, as far as it has been made
#
# A bar with a dagger (†) is of one training, a bar without one is the mean over the training seeds
# of the run. So a small difference between a bar of the one kind and a bar of the other can be due
# to the seed.

# %%
FIGURE = {"heartllm": "full model", "heartllm_no_patient": "without TAB"}
FIGURE |= {"heartllm_no_pretraining": "without FT", "heartllm_untuned": "without FT"}
FIGURE |= {"heartllm_continuous": "without DISC"}
joined = stage.join_study("ablations", "answers", both)
joined = joined[joined["method"].isin(FIGURE)]
answered = exact_match.summary(exact_match.select(joined).drop(columns="type"), seed=seed)
worded = text_overlap.summary(joined[joined["item"].isin(text_overlap.METRICS)], seed)
of_reports = ("bleu_4", *meteor.NAMES.values(), "rouge_l")
panels = {name: kinds[name] for name in of_reports if name in set(worded["metric"])}
panels |= {kind: kind.capitalize() for kind in ("verify", "choose", "query") if kind in titles}
drawn = pd.concat([answered.rename(columns={"type": "metric"}), worded], ignore_index=True)
drawn = drawn[drawn["metric"].isin(panels)]
order = list(FIGURE)
drawn = drawn.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
drawn.insert(1, "bar", drawn["method"].map(FIGURE))
n_ecgs = joined["ecg"].nunique()
stage.figure(
    "ablations",
    bars.methods(drawn, panels, 3, "Score (dashed: chance)", level),
    drawn,
    f"HeartLLM and its ablations on {n_ecgs} test ECGs: overlap of reports with the reference, and "
    "exact match by kind of question (dashed: chance). No patient line is the paper's w/o TAB, no "
    "tokens its w/o DISC; no pretraining and not tuned are two readings of its w/o FT. Whiskers: "
    f"95 % intervals over {gain['all'].over}.{stage.studies_note(drawn, bars.ONE_SEED)}",
    "Panels of horizontal bars, one per ablation, with a dashed line at chance.",
)

# %% [markdown]
# ## What this ablation can and cannot say


# %%
def verdict(value: bootstrap.Estimate) -> str:
    """Which arm is ahead, by the interval."""
    if value.low > 0:
        return "better with pretraining"
    return "worse with pretraining" if value.high < 0 else "no difference is established"


width = (gain["all"].high - gain["all"].low) / 2
compared = {titles[kind]: one for kind, one in gain.items()}
compared |= {f"{kinds[metric]} (reports)": one for metric, one in reports.items()}
for name, value in compared.items():
    print(f"- {name}: {value.text()}, {verdict(value)}")
apart = [name for name, value in compared.items() if value.low > 0 or value.high < 0]
places = ["seed", "ecg", "item", "target"]
replies = [part.sort_values(places)["prediction"] for part in (full, ablated)]
same = float((replies[0].to_numpy() == replies[1].to_numpy()).mean())
print(f"- The two arms give the same answer to {100 * same:.0f} % of the questions.")
if width > 0:
    print(f"- The interval reaches {width:.3f} to each side. A smaller effect would usually not be")
    print("  noticed.")
weak = [name for name, value in above.items() if value.low <= 0]
if len(weak) == 2:
    print(
        "- Neither arm is clearly above chance on the questions. An arm that does not read the ECG"
    )
    print("  cannot profit from knowing its tokens, so the questions do not test pretraining here.")
elif weak:
    print(
        f"- Of the two arms, only one is clearly above chance; {style.method(weak[0]).name} is not."
    )
else:
    print("- Both arms are above chance, so the questions do test pretraining.")

# %%
print(
    "- The released pretraining reads 70 % of 78,358 ECGs once. The table of budgets in notebook 06"
)
print("  has the ECG views of ours.")
print(f"- The interval is over {gain['all'].over}.")
if gain["all"].seeds == 1:
    print("  It lacks what the training's seed makes of the difference.")

# %% [markdown]
# Two limits do not depend on the numbers.
#
# - The arms differ in the LoRA and in the embeddings from which tuning starts. A difference cannot
#   be attributed to one of the two.
# - The other bars of the figure have one training seed each. What their differences say is judged
#   in the study [ablations](studies/ablations.py).
#
# ## What it means

# %%
words = {"better with pretraining": "Yes", "worse with pretraining": "No"}
answer = words.get(verdict(gain["all"]), "It is not shown")
print(f"Does HeartLLM gain from pretraining on tokens? {answer}, on {asked} questions about")
print(f"{full['ecg'].nunique()} ECGs: exact match changes by {gain['all'].text()}.")
print(f"Of {len(compared)} intervals, {len(apart)} leave out zero: {'; '.join(apart) or 'none'}.")
print("They are not corrected for their number.")
print(f"After tuning, the arms are still {100 * kept:.0f} % as far apart in the direction", end=" ")
print("of pretraining.")

# %% [markdown]
# A fair test needs two things that a small run may lack: a tuned model that is well above chance,
# and several training seeds per arm.
#
# ## Try it yourself
#
# 1. In the first cell of "The embeddings of the two arms", replace `> 0` by `== 0` and run it. It
#    then has only codes that never occur in training. Do they move?
# 2. In the cell of one question, change `.iloc[0]` to `.iloc[5]` and run it. Do both arms still
#    agree with the library?
# 3. In the cell of the difference, replace `exact_match.gain(part, seed=seed)` by
#    `exact_match.gain(part, "verify", seed)` and run it. What does it show?
#
# <details><summary>What happens</summary>
#
# 1. Yes. A code's vector is the sum of one of its own and of those of its four levels (notebook
#    05), and codes that do occur train the levels.
# 2. Yes. The shapes change with the words.
# 3. Whether one kind of question is above chance.
#
# </details>
#
# Previous: [06_instruction_tuning](06_instruction_tuning.py). Next:
# [08_alignment](08_alignment.py).

# %% tags=["plumbing"]
stage.finish()
