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
# # Does the tuned model answer from the ECG, or from the question?
#
# | | |
# |---|---|
# | reads | cohort and measures (01), QINCo and codes (02), language model (04), HeartLLM (05) |
# | writes | HeartLLM tuned on reports and questions, its control, their answers |
# | paper items | HeartLLM, stage 3: question answering (verify, choose, query) and reports |
# | time | 19 s in `smoke`, 16 min in `laptop` on two cores |
# | memory | 4.4 GB in `laptop` |
#
# "Is there atrial fibrillation?" can be answered "no" and be right most of the time. So questions
# are asked in sets: the same words, of ECGs that all give different answers. Whoever does not look
# is right once a set at most. Beside the tuned model stand the most frequent answer to each kind of
# question, a guesser that reads the words alone, and a model tuned just as long without the ECG.

# %%
import numpy as np
import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import exact_match, finding_agreement, predictions, text_overlap, wide_tables
from ecglib.figures import bars, curves
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.language import floors, no_ecg, train_system, write_texts
from ecglib.language.packing import Text, block_mask, collate, pack
from ecglib.questions import balanced_sets, leak_check
from ecglib.questions.facts import GroupFacts
from ecglib.questions.question_book import GROUPS
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import read_latents
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws questions, batches, test patients

# %%
stage = Stage("06", profile, data, seed, tag)
print(stage.banner())
pd.set_option("display.max_colwidth", None)  # questions in full

# %% [markdown]
# ## Why the words alone gain nothing
#
# A toy: of 100 ECGs, 10 have premature beats. Asked of all, "are there extra beats?" is answered
# rightly by "no" nine times in ten, and nothing was looked at. Now each ECG that has them gets one
# partner that does not, and both are asked in the same words. Whatever those who read only the
# words say, they say it to both, and are right once.

# %%
truth = np.array(["yes"] * 10 + ["no"] * 90)
sets = np.stack([truth[:10], truth[10:20]], axis=1)  # the same words, two different answers
for answer in ("yes", "no"):
    print(f"always {answer!r}: {np.mean(truth == answer):.2f} of all ECGs, ", end="")
    print(f"{np.mean(sets == answer):.2f} of {sets.size} questions in {len(sets)} sets")

# %% [markdown]
# With three answers (yes, no, not sure) a set has up to three ECGs, and the share is a third. In
# general *chance* is the number of sets over the number of questions. The library draws such sets
# for every question, however it is worded. Even a guesser who knew all true answers, and for every
# wording said the one that is right most often, gets no more than chance.


# %%
def best_by(table: pd.DataFrame, what: str) -> float:
    """Share of right answers of one who knows the table and sees the column `what`."""
    counts = table.groupby([what, "answer"]).size()
    return counts.groupby(what).max().sum() / len(table)


states = np.where(truth == "yes", PRESENT, ABSENT).astype(np.int8)[:, None]
known = GroupFacts(GROUPS["ectopy"], GROUPS["ectopy"].options[:1], states, np.array([True]))
drawn = balanced_sets.draw_questions([known], range(len(truth)), per_ecg=1, seed=seed)
assert len(drawn) == sets.size and best_by(drawn, "question") == np.mean(sets == "no")
drawn.groupby(["question", "answer"]).size().unstack(fill_value=0)

# %% [markdown]
# ## Questions from labels and measurements
#
# Three kinds: *verify* (yes or no), *choose* (one of two, both, none), *query* (name what there
# is), about diagnosis, rhythm, form, axis, intervals, leads, noise and the stage of an infarction.
# They are made from the labels and from what is measured in the recording. Where a label is
# uncertain, or a number within its error of a limit, the answer is "not sure"; what cannot be told
# is never asked. Which things can be asked is decided on the training patients.

# %%
inputs = {"cohort": stage.input("01", "cohort"), "base": stage.input("04", "base")}
measured = {"cohort": inputs["cohort"], "measurements": stage.input("01", "measurements")}
inputs |= {"tokenizer": stage.input("02", "fsq"), "codes": stage.input("02", "fsq_codes")}
cohort = Cohort.open(inputs["cohort"])
settings = stage.section("instruction_tuning")
rows = scored_sample.test_rows(cohort, settings["test_ecgs"], seed)
question_sets = stage.section("question_sets")
ask = question_sets | {"rows": rows.tolist()}
inputs["questions"] = stage.step("questions", balanced_sets.write_questions, ask, measured)
past = pd.read_parquet(inputs["questions"] / "train.parquet")
asked = pd.read_parquet(inputs["questions"] / "test.parquet")
rows = np.unique(asked["row"])  # an ECG of which nothing can be told is not asked
print(f"questions: {len(past)} in training, {len(asked)} about {len(rows)} test ECGs")


# %%
def attribute(items: pd.Series) -> list[str]:
    """ "verify:conduction.06" -> "diagnosis"."""
    groups = items.str.split(":").str[1].str.split(".").str[0]
    return [GROUPS[name].attribute for name in groups]


about = np.array(attribute(asked["item"]))
kinds = pd.crosstab(about, asked["type"], margins=True, margins_name="all")
kinds = kinds.rename_axis("attribute").rename_axis(columns=None).reset_index()
stage.table("questions", kinds, "Test questions by attribute and kind.")

# %% [markdown]
# Every kind of answer, with an example. "None" is the true answer where nothing of what is asked
# for is there, "not sure" where the label or the measurement leaves it open. A model that always
# commits itself gets these wrong, and one that never does gets the others wrong.

# %%
plain = asked["answer"].isin(["yes", "no", "both", "none", "not sure"])
given_as = asked["answer"].where(plain, "by name").rename("given as")
first = {"questions": ("number", "size"), "question": ("question", "first")}
first |= {"answer": ("answer", "first")}
examples = asked.groupby(["type", given_as]).agg(**first).reset_index()
stage.table("answers", examples, "Test questions by kind of answer, and the first of each.")

# %% [markdown]
# Each question has several wordings, drawn anew for each set, so that a model learns what is asked
# and not a sentence. In one wording the answers differ from ECG to ECG: that is a set, or several.

# %%
wordings = past.groupby("item")["question"].nunique()
kind_of = wordings.index.str.split(":").str[0]
richest = [wordings[kind_of == kind].idxmax() for kind in kind_of.unique()]
answers_to = past[past["item"].isin(richest)].groupby(["item", "question"])["answer"]
usual = answers_to.agg(lambda texts: " | ".join(texts.value_counts().index[:4]))
paraphrases = answers_to.agg(asked="size", different="nunique").assign(commonest=usual)
caption = "A question of each kind in all its wordings, with its commonest answers, in training."
stage.table("paraphrases", paraphrases.reset_index(), caption)

# %% [markdown]
# Does the toy's promise hold for the real questions? Each wording is asked of whole sets, so who
# knew all the answers to it would still get no more than chance.

# %%
by_words, by_item = best_by(asked, "question"), best_by(asked, "item")
print(f"knowing all answers to each wording: {by_words:.3f}; sets over questions: {by_item:.3f}")
assert by_words == by_item

# %% [markdown]
# ## Many questions, one reading
#
# An ECG costs far more tokens than a question. So a training row holds one ECG and, behind it, its
# report and several questions, which must not see one another. Short rows share a line, where each
# is a world of its own: padding would cost as much as text. The mask below is that of a line with a
# row of two ECG tokens (first two columns), a question of three tokens and one of two, and a row of
# two ECG tokens and one question. Each token sees its own ECG and its own text, nothing else. (Rows
# of many questions fill a line each; it is the reports of notebook 04 that share.)

# %%
toy = collate([[Text([5, 6], [7, 2]), Text([8], [9, 2])], [Text([5], [2])]], pad=0)
packed = pack(toy, prefix_lengths=torch.tensor([2, 2]), width=2)
mask = block_mask(packed)[0, 0]
print("sequence of each token:  ", packed.sequence[0].tolist())
print("position in its sequence:", packed.position[0].tolist())
print(mask.int())
assert not mask[5:, 2:5].any()  # the second question sees nothing of the first
assert mask[2:7, :2].all()  # both see the ECG
assert not mask[7:, :7].any()  # the second row sees nothing of the first

# %% [markdown]
# ## Tuning
#
# From the model that was pretrained on ECG tokens and whose rows were given a meaning, LoRA and the
# ECG rows learn reports and questions together; every step draws other ECGs, each with its report
# and at most `questions_per_ecg` of its questions. The control starts from the same LoRA and sees
# the same batches, with a learned constant where the ECG's tokens stood.

# %%
common = {key: inputs[key] for key in ("cohort", "tokenizer", "codes", "base", "questions")}
start = {**common, "lora": stage.input("05", "pretrained")}
tokens = {**start, "prefix": stage.input("05", "warmed_up")}
tuned = stage.step("tuned", train_system.train, settings["training"], tokens)
drawn = {**settings["control"], "control_of": "heartllm"}
constant = stage.step("initial_no_ecg", no_ecg.initialise, drawn, {"base": inputs["base"]})
without = {**start, "prefix": constant}
control = stage.step("no_ecg", train_system.train, settings["training"], without)
losses = [
    pd.read_csv(folder / "history.csv").assign(method=name)
    for name, folder in (("heartllm", tuned), ("no_ecg", control))
]

# %%
history = pd.concat(losses)[["method", "step", "loss"]].round(4)
stage.figure("loss", curves.loss(history, ylabel="Loss (nats a word piece)"), history)

# %% [markdown]
# ## Answering
#
# Each test ECG is read once; its questions are answered greedily from there. In the shuffled
# control the tuned model reads the ECG of another patient of the same hospital.

# %%
records = cohort.records.iloc[rows].reset_index(drop=True)
partner = scored_sample.partners(records, seed)
own, other = rows.tolist(), rows[partner].tolist()
systems = [("heartllm", tuned, own), ("no_ecg", control, own), ("shuffled", tuned, other)]
given = {}
for name, folder, ecgs_of in systems:
    config = {"rows": own, "ecgs": ecgs_of, **settings["writing"]}
    out = stage.step(f"answers_{name}", write_texts.write, config, {**common, "system": folder})
    given[name] = pd.read_parquet(out / "texts.parquet")
table = given["heartllm"]
print("answers:", len(table), " of them reports:", int((table["number"] < 0).sum()))

# %% [markdown]
# ## Predictions
#
# An answer counts if it names the same set as the true one, without order and case. Two floors
# never see an ECG: the commonest training answer to each template, and a guesser that reads the
# words, with a bag of words and word pairs and a logistic regression on the training answers.

# %%
of = cohort.records.iloc[asked["row"]]
blind = {"majority": floors.majority_answers(past, asked)}
blind["text_only"] = floors.text_only_answers(past, asked)
replies = [
    predictions.build(of, name, seed, asked["item"], asked["answer"], answer)
    for name, answer in blind.items()
]
for name, table in given.items():
    reply = table[table["number"] >= 0].set_index("number").loc[asked["number"]]
    length = dict(tokens=reply["tokens"], stop_reason=reply["stop_reason"])
    replies.append(
        predictions.build(of, name, seed, asked["item"], asked["answer"], reply["text"], **length)
    )
replies = pd.concat(replies, ignore_index=True)
guesses = replies[replies["method"] == "text_only"]
exact_match.check_sets(guesses)
caption = "The guesser that reads the words, beside chance [95 % interval over patients]."
stage.table(
    "text_only",
    wide_tables.wide(exact_match.summary_beside_chance(guesses, seed), "type", "metric"),
    caption,
)

# %% [markdown]
# The guesser's accuracy is at most chance: it has learned from training what is said most often,
# and in a set of the test that is right once at most. So `gain` is zero or a little below.
#
# The same model also wrote reports; they are scored like those of ECG-Tok.

# %%
scored = scored_sample.scorable_findings(cohort, question_sets["min_positives"])
texts, stated = [], []
for name, table in given.items():
    written = table[table["number"] < 0].set_index("row").loc[rows]
    pair = finding_agreement.read_reports(records, cohort.labels[rows], name, seed, written, scored)
    texts.append(pair[0])
    stated.append(pair[1])
texts, stated = pd.concat(texts, ignore_index=True), pd.concat(stated, ignore_index=True)
overlap = text_overlap.scores(texts)
stage.predictions("texts", texts)
stage.predictions("answers", pd.concat([replies, overlap, stated], ignore_index=True))

# %% [markdown]
# ## Exact match by kind of question
#
# Dashed in the figure is chance. What a bar has beyond it was read from the ECG.

# %%
order = ["majority", "text_only", "no_ecg", "shuffled", "heartllm"]
long = exact_match.summary(replies, seed=seed).set_index("method").loc[order].reset_index()
stage.table("exact_match", wide_tables.wide(long, "method", "type"), "Exact match [95 % interval].")

# %%
drawn = long.rename(columns={"type": "metric"})
titles = {kind: kind for kind in drawn["metric"].unique()} | {"all": "all questions"}
lines = {kind: exact_match.chance(guesses, kind, seed).value for kind in titles}
label = "Exact match (share of answers; dashed: chance)"
figure = bars.methods(drawn, titles, ncols=2, xlabel=label, baseline=lines)
stage.figure("exact_match", figure, drawn.assign(chance=drawn["metric"].map(lines)))

# %% [markdown]
# A model that has learned the questions and not the ECG stays at chance. By attribute: how often
# the tuned model was right in *verify* where the answer was yes, no, or not sure.

# %%
verify = exact_match.score(replies[replies["method"] == "heartllm"])
verify = verify[verify["type"] == "verify"]
verify = verify.assign(attribute=attribute(verify["item"]))
right = verify.pivot_table(index="attribute", columns="target", values="score", aggfunc="mean")
right.insert(0, "questions", verify.groupby("attribute")["score"].size())
right = right.round(3).astype(object).where(right.notna(), "-").reset_index()
stage.table("verify", right, "Share of right answers by attribute and truth.")

# %% [markdown]
# ## What a split by question would hide
#
# The released code of ECG-Byte deals questions, not patients, to training and test. Below, the
# questions of this notebook are dealt its way: 70 % train, 12 % validation, 18 % test. Of an ECG
# with $k$ questions, none of the others is trained on with probability $0.3^{k-1}$.

# %%
items = pd.concat([past, asked], ignore_index=True)
ecgs, items["row"] = np.unique(items["row"], return_inverse=True)
patients = cohort.records["unit"].to_numpy()[ecgs]
part = leak_check.assign_parts(len(items))
shared = leak_check.overlap(items, part, patients)
k = items.groupby("row")["row"].transform("size")  # of the ECG of each question
print(f"expected for the same ECG: {100 * np.mean(1 - 0.3 ** (k - 1)):.1f} %")
stage.table("item_split", shared.round(2), "Test questions whose ECG or patient is trained on.")

# %% [markdown]
# What that is worth is seen without training anything. A memoriser notes what the training answers
# say about each ECG. Asked about something, it takes the note on the ECG whose mean latent is
# nearest. Where its notes on the very ECG are struck out it must look at others, and where all
# notes on the patient are, at other patients. On four ECGs, the first two of one patient:

# %%
noted, place, owner = ["yes", "no", "yes", "no"], np.array([0.0, 0.1, 0.3, 4.0]), [7, 7, 8, 9]
by_distance = np.argsort(np.abs(place - place[0]))
by_hand = [noted[by_distance[0]], noted[by_distance[1]]]
by_hand.append(next(noted[i] for i in by_distance if owner[i] != owner[0]))
toy_notes = pd.DataFrame({"row": range(4), "item": "verify:conduction.06", "answer": noted})
toy_place = np.column_stack([np.cos(place), np.sin(place)])  # cosine falls with the distance
groups = (None, np.arange(4), np.array(owner))
toy = [leak_check.memorised_answers(toy_notes, toy_notes[:1], toy_place, g)[0] for g in groups]
print("own ECG, own patient's other ECG, another patient:", *by_hand)
assert toy == by_hand

# %% [markdown]
# Now the real questions. All three memorisers answer the same test questions from the same training
# questions, apart from those struck out. The latents are QINCo's, frozen, of notebook 02.

# %%
qinco, codes = load(stage.input("02", "qinco")), stage.input("02", "qinco_codes")
pooled = floors.mean_pool(*read_latents(qinco, codes, cohort, ecgs))
train, test = items[part == "train"], items[part == "test"]
about = cohort.records.iloc[ecgs[test["row"]]]
given_by = {"majority": floors.majority_answers(train, test)}
strike = {"patient_split": patients, "ecg_split": np.arange(len(ecgs)), "item_split": None}
for name, apart in strike.items():
    given_by[name] = leak_check.memorised_answers(train, test, pooled, apart)

# %%
memory = [
    predictions.build(about, name, seed, test["item"], test["answer"], answer)
    for name, answer in given_by.items()
]
memory = pd.concat(memory, ignore_index=True)
stage.predictions("leak", memory)
leaked = (
    exact_match.summary(memory, seed=seed).set_index("method").loc[list(given_by)].reset_index()
)
caption = "Exact match of a memoriser under three splits [95 % interval]."
stage.table("leak", wide_tables.wide(leaked, "method", "type"), caption)

# %% [markdown]
# What stands above the patient split is praise for recognising a recording. Above the majority
# stands what similar hearts of other people really tell. The majority itself can fall below chance
# here: dealing single questions tears the sets apart, and where a set lost its "yes" to the test,
# its "no" is what was left to learn from.

# %% [markdown]
# ## Reports from the same model

# %%
reports = pd.concat(
    [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
)
scores = reports[reports["metric"].isin(["rouge_1", "rouge_l", "bleu_4", "f1"])]
stage.table("reports", wide_tables.wide(scores, "method", "metric"), "HeartLLM's reports.")

# %% [markdown]
# ## Claims


# %%
def by(method: str) -> pd.DataFrame:
    return replies[replies["method"] == method]


gain = exact_match.difference(by("heartllm"), by("no_ecg"), seed=seed)
moved = exact_match.difference(by("heartllm"), by("shuffled"), seed=seed)
match = {name: exact_match.accuracy(by(name), seed=seed) for name in order}
stage.claim("qa.ecg_minus_no_ecg.exact_match", **vars(gain))
level = match["heartllm"]
stage.claim("qa.exact_match", 100 * level.value, 100 * level.low, 100 * level.high, level.n)

# %%
parts = {name: memory[memory["method"] == name] for name in given_by}
leak = exact_match.difference(parts["item_split"], parts["patient_split"], seed=seed)
stage.claim("leak.item_minus_patient.exact_match", **vars(leak))

# %% [markdown]
# ## What we saw

# %%
checked = exact_match.accuracy(by("heartllm"), "verify", seed=seed)
print(f"- Exact match {level.text()} with the ECG, {match['no_ecg'].text()} without,")
print(f"  {match['majority'].text()} for the commonest answer; {len(asked)} questions.")
print(f"- The ECG is worth {gain.text()}; with another patient's ECG {moved.text()} is lost.")
guess = exact_match.chance(guesses, "verify", seed)
print(f"- Verify: {checked.text()}, where guessing gives {guess.text()}.")
floor, gained = exact_match.chance(guesses, seed=seed), exact_match.gain(guesses, seed=seed)
print(f"- The words alone get {match['text_only'].text()}, chance is {floor.text()}:")
print(f"  they gain {gained.text()}.")
print(f"- Dealt by question, {shared['percent'].iloc[0]:.1f} % of test questions meet their ECG in")
print(f"  training; that alone is worth {leak.text()} of exact match to a memoriser.")

# %%
stage.finish()
