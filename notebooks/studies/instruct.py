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
# # Does a chat template cost ECG-Tok its reports?
#
# | | |
# |---|---|
# | reads | cohort (01), QINCo (02), SmolLM2-135M-Instruct, saved floors (04) |
# | writes | ECG-Tok on it, asked directly and by chat, and the reports of both |
# | paper items | ECG-Tok, Table 1, rows *inst.*: chat template and request, at a small size |
# | time | half a minute in `smoke`; some 45 nominal minutes in `laptop`, with 01 |
# | memory | 6 GB in `laptop` |
#
# After this notebook you can
#
# - read a chat template, and say where the ECG stands in it;
# - say what changes between the two rows of the paper, and what is compared here;
# - tell a model that follows a request from one that ignores its words.
#
# In ECG-Tok's Table 1 instruction tuning has lower scores than direct generation (ROUGE-L of 0.427
# against 0.542), and the authors suspect that the words dilute the ECG. In the paper the model of
# the rows *inst.* is the Instruct form of Llama, the prompt is its chat template, and a request
# stands in it. Direct generation has the plain model and no words at all.
#
# Here the model is SmolLM2-135M-Instruct in both arms, and both arms have words. The direct one
# asks "Report of site A:". **Equal:** the model, the ECGs of each update, the LoRA, the learning
# rates, and the adapter after its warm-up on phrases. **Not equal,** and not told apart: the
# template, the system's turn, the length (a chat is some sixty word pieces longer), the varying
# wordings, and how far in front of the report the hospital is named. The study
# [table_1](table_1.py) compares short prompts on the small model, and [dilution](dilution.py) their
# lengths. In `smoke` a second small model stands in the place of SmolLM2.

# %% tags=["plumbing"]
import time

import pandas as pd

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    bootstrap,
    budgets,
    finding_agreement,
    text_overlap,
    wide_tables,
)
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.language import base as base_model
from ecglib.language import chat_turns
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-instruct"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring, settings = stage.section("scoring"), stage.section("study")
DIRECT, CHAT = "ecg_tok_smollm2", "ecg_tok_chat"

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## A chat, word for word
#
# The ECG's vectors stand in front, as in the release. Behind them come the turns of the system and
# of the user, and the beginning of the assistant's. What it writes is the report.

# %%
reads = stage.inputs(DIRECT)
base = base_model.load(reads["base"], stage.machine)
site = cohort.records["site"].iloc[rows[0]]
toy = chat_turns.turns(base, "Read the ECG.", f"What does it show at hospital {site}?")
print(f"<line about the patient><vectors of the ECG>{toy}<report><end>")
asks = [chat_turns.request(settings["wordings"], site, seed, "toy", i) for i in range(3)]
print("three draws of a request:", *asks, sep="\n- ")

# %% [markdown]
# ## Two trainings
#
# Both begin with the same adapter, which was warmed up on phrases.

# %%
like = stage.part(DIRECT).settings
steps = round(settings["share"] * like["steps"])
direct = stage.make(DIRECT, steps=steps)
SAME = ["adapt", "rank", "alpha", "targets", "batch", "patient", "parts", "model_rate"]
SAME += ["prefix_rate", "validate_every", "validation_ecgs"]
words = {"system": settings["system"], "wordings": settings["wordings"]}
config = {key: like[key] for key in SAME} | words | {"steps": steps}
chat = stage.step(CHAT, chat_turns.train, config, reads)
folders = {DIRECT: direct, CHAT: chat}
stage.losses(folders)
spent = stage.data("budgets", budgets.read(folders))
spent

# %% [markdown]
# ## Reports for the same test ECGs
#
# The chat is asked in the wordings of the training. Some of the ECGs are asked about four times
# more:
#
# - *again*, in another draw of the same wordings, to see what the words alone change;
# - in *unseen* wordings;
# - with the *other* hospital named: a model that follows the request writes as that one does;
# - with the ECG of another patient in front (*shuffled*), to see whether the ECG is read.

# %%
asked = pd.read_parquet(questions / "test.parquet")
out = stage.make(f"{DIRECT}_texts", rows=rows.tolist(), ecgs=rows.tolist())
written = {DIRECT: pd.read_parquet(out / "texts.parquet")}
fewer = scored_sample.test_rows(cohort, min(settings["again"], scoring["test_ecgs"]), seed)
partner = fewer[scored_sample.partners(cohort.records.iloc[fewer], seed)]
sites = sorted(cohort.records["site"].unique())
others = [sites[sites.index(of) - 1] for of in cohort.records["site"].iloc[fewer]]
own = {label: folder for label, folder in reads.items() if label not in ("prefix", "questions")}
ARMS = {
    CHAT: {"rows": rows.tolist(), "ecgs": rows.tolist(), "draw": "test"},
    "ecg_tok_chat_again": {"draw": "again"},
    "ecg_tok_chat_unseen": {"draw": "test", "wordings": settings["unseen"]},
    "ecg_tok_chat_other": {"draw": "test", "sites": others},
    "ecg_tok_chat_shuffled": {"draw": "test", "ecgs": partner.tolist()},
}
for name, changed in ARMS.items():
    config = {"rows": fewer.tolist(), "ecgs": fewer.tolist()} | words | changed
    config |= {key: scoring[key] for key in ("batch", "max_new")}
    out = stage.step(f"{name}_texts", chat_turns.write, config, own | {"system": chat})
    written[name] = pd.read_parquet(out / "texts.parquet")

# %%
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
texts, parts = [], []
for name, table in written.items():
    on = table.loc[table["number"] < 0, "row"].to_numpy()
    of = (cohort.records, cohort.labels, on, scored)
    own_texts, own_scores = score_texts({name: table}, asked.head(0), *of, seed)  # reports alone
    texts.append(own_texts)
    parts.append(own_scores)
stage.predictions("texts", pd.concat(texts, ignore_index=True))
print("saved:", stage.predictions("reports", pd.concat(parts, ignore_index=True)).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The trainings

# %%
history, spent = stage.read("history"), stage.read("budgets")
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
ends = stage.table("losses", ends, "Loss at the end, in nats per word piece of a report.")
caption = "What each system was given, its warm-up included, whose labels are phrases of reports."
stage.table("budgets", budgets.formatted(spent), caption)
ends

# %% [markdown]
# ## Reports
#
# Beside them stand two floors (majority and nearest neighbour) and the reference report, read back.

# %%
scores = stage.read_beside("reports", "04", ["majority", "retrieval", "reference"])
is_finding = scores["item"].str.startswith("finding:")
stated = scores[is_finding]
overlap = scores[~is_finding & ~scores["item"].str.startswith("bert_score")]
of = {name: part for name, part in stated.groupby("method")}
overlaps = {name: part for name, part in overlap.groupby("method")}
ORDER = ["majority", "retrieval", "ecg_tok_chat", "ecg_tok_smollm2", "reference"]
ecgs = {name: frozenset(of[name]["ecg"]) for name in ORDER}
if len(set(ecgs.values())) > 1:
    raise ValueError(f"expected the same ECGs of all, got {[*map(len, ecgs.values())]}")
is_shown = stated["method"].isin(ORDER), overlap["method"].isin(ORDER)
parts = [finding_agreement.summary(stated[is_shown[0]], seed=seed)]
parts.append(text_overlap.summary(overlap[is_shown[1]], seed))
long = pd.concat(parts, ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(ORDER.index), kind="stable")

# %%
wide = wide_tables.wide(long, "method", "metric")
n_ecgs, n_patients = (of["ecg_tok_chat"][column].nunique() for column in ("ecg", "unit"))
caption = f"Reports by how they are asked for [95 % interval], on {n_ecgs} test ECGs."
best = dict.fromkeys(wide.columns.drop("method"), "max")
reports = stage.table("reports", wide, caption, best)
titles = {"macro_f1": "Macro-F1 of findings", "rouge_l": "ROUGE-L"}
drawn = long[long["metric"].isin(titles)]
caption = (
    "Macro-F1 of findings and overlap with the reference report (ROUGE-L). ECG-Tok on SmolLM2 is "
    "asked directly; chat: by the chat template. Both have equal updates of one LoRA. ECG-Tok on "
    "SmolLM2 of notebook 04 is another training, of the study large_model. Majority and nearest "
    f"neighbour copy a report. Reference read back: the reference report itself. {n_ecgs} test "
    f"ECGs of {n_patients} patients. Whiskers: 95 % intervals over patients; one training seed."
)
alt = "Two panels of horizontal bars, one per way of asking, with floors."
figure = bars.methods(drawn, titles, ncols=2, xlabel="Score")
stage.figure("instruct", figure, drawn, caption, alt)
reports

# %% [markdown]
# **What to see.** The floors first: a system that does not beat the nearest neighbour's report has
# learned little in so few updates. Then compare the two ways of asking.
#
# ## The registered comparisons


# %%
def on_ecgs_of(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The rows about ECGs that the other frame has, too."""
    return frame[frame["ecg"].isin(other["ecg"])]


PAIRS = {
    "direct_minus_chat": ("ecg_tok_smollm2", "ecg_tok_chat"),
    "chat_minus_shuffled": ("ecg_tok_chat", "ecg_tok_chat_shuffled"),
    "again_minus_chat": ("ecg_tok_chat_again", "ecg_tok_chat"),
    "unseen_minus_again": ("ecg_tok_chat_unseen", "ecg_tok_chat_again"),
}


def compared(name: str, one: str, other: str) -> dict[str, str | int]:
    """A row of a table of differences, with its claims judged where any is registered."""
    pair = on_ecgs_of(of[one], of[other]), on_ecgs_of(of[other], of[one])
    gain = finding_agreement.difference(*pair, "macro_f1", seed)
    pair = on_ecgs_of(overlaps[one], overlaps[other]), on_ecgs_of(overlaps[other], overlaps[one])
    by_words = [part[part["item"] == "rouge_l"] for part in pair]
    of_words = bootstrap.paired_difference(*by_words, seed=seed)
    for metric, value in (("macro_f1", gain), ("rouge_l", of_words)):
        if f"instruct.{name}.{metric}" in stage.registry():
            stage.claim(f"instruct.{name}.{metric}", **vars(value))
    line = {"difference": name.replace("_", " "), "ECGs": pair[0]["ecg"].nunique()}
    return line | {"macro-F1": gain.text(), "ROUGE-L": of_words.text()}


lines = [compared(name, *pair) for name, pair in PAIRS.items()]
differences = stage.table("differences", pd.DataFrame(lines), "Paired differences [95 % interval].")
differences

# %% [markdown]
# ## Is that more than a second training changes?
#
# The study [large_model](large_model.py) trains the direct form, too, with the same settings and
# the same random numbers. It was made on another machine. The losses of the first update, after the
# warm-up, differ in the third digit, as they do where a processor rounds sums in another way. So
# the difference of the two is what chance does to the direct form. It was not registered: this cell
# was written after both trainings.

# %%
earlier = stage.of_study("large_model", "reports")
if earlier is None:
    print("The study large_model has not been made in this run.")
else:
    twin = earlier[earlier["method"] == DIRECT].assign(method="twin")
    of["twin"] = twin[twin["item"].str.startswith("finding:")]
    overlaps["twin"] = twin[~twin["item"].str.startswith("finding:")]
    lines = [
        compared("direct here minus direct in large_model", DIRECT, "twin"),
        compared("direct in large_model minus chat", "twin", CHAT),
    ]
    caption = "The direct form trained twice, paired differences [95 % interval]."
    stage.table("twice", pd.DataFrame(lines), caption)
    print(pd.DataFrame(lines).to_string(index=False))

# %% [markdown]
# Hospital A writes sentences that begin with a capital letter, and hospital B lower-case phrases.
# So the first letter says as which hospital a report is worded.

# %%
texts, follows = stage.read("texts"), []
share = bootstrap.Estimate(*[float("nan")] * 3, 0)  # of real hospitals: they have no such wording
texts = texts[texts["site"].isin(["A", "B"]) & texts["prediction"].str.contains("[A-Za-z]")]
names = ("ecg_tok_chat", "ecg_tok_chat_unseen", "ecg_tok_chat_other")
for name in names if len(texts) else ():
    part = texts[texts["method"] == name]
    letter = part["prediction"].str.extract("([A-Za-z])", expand=False)
    is_other = name == "ecg_tok_chat_other"
    named = part["site"].map({"A": "B", "B": "A"}) if is_other else part["site"]
    part = part.assign(score=(letter.str.isupper() == (named == "A")).astype(float))
    share = bootstrap.exact_ends(bootstrap.bounded(bootstrap.mean(part, seed=seed)))
    follows.append({"method": name, "share": share.text(), "ECGs": part["ecg"].nunique()})
stage.claim("instruct.follows.other_hospital", **vars(share))
caption = "Share of reports in the wording of the hospital that the request names [95 % interval]."
stage.table("follows", pd.DataFrame(follows, columns=["method", "share", "ECGs"]), caption)

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
cost = spent.set_index("method")["flops"]
print(f"- The chat takes {cost[CHAT] / cost[DIRECT]:.2f} times the operations of the direct form.")

# %% [markdown]
# In `laptop` it is not shown that a chat costs anything. In this pair of trainings the direct form
# is ahead by 0.030 of ROUGE-L and by 0.024 of macro-F1. Trained a second time, the direct form has
# 0.054 less ROUGE-L and 0.052 less macro-F1, and is behind the chat. So the claim on ROUGE-L holds
# for this pair alone. Its margin of 0.016 is what two trainings of the small model with all updates
# may differ by (`docs/evidence.md`). After 150 updates of SmolLM2 two trainings differ by more.
#
# The chat reads the ECG. With another patient's ECG in front it has 0.125 less macro-F1. Its
# macro-F1 is 0.223, and that of the nearest neighbour's report is 0.227. It follows the request:
# 97 of 100 reports are worded as at the hospital that is named, where that is not the patient's.
# In unseen wordings it follows less often, in 86 of 100 reports. Whether they cost findings is not
# shown (-0.015 [-0.033, 0.002]). Another draw of the known wordings changes macro-F1 by as much
# (0.017 [0.002, 0.032]).
#
# Four limits apply. The chat was trained once, and the direct form twice. After so few updates
# neither has finished learning. An ECG has twelve vectors here and one in the paper, and with few
# vectors words cost more (study [dilution](dilution.py)). The words are ours: the released system
# turn asks for a list with semicolons, and which questions the paper's rows had is not known. The
# study [instruct_byte](instruct_byte.py) asks ECG-Byte by the same chat.
#
# ## Try it yourself
#
# - Leave the hospital out of the wordings in `instruct.yaml`. Which measure falls, and which not?
# - Read a few reports of both: `stage.read("texts")`, the column `prediction`.

# %% tags=["plumbing"]
stage.finish()
