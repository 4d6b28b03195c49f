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
# # Does ECG-Tok write better reports from QINCo's tokens than from others?
#
# | | |
# |---|---|
# | reads | cohort (01), tokenizers (02), what was saved of ECG-Tok and its floors (04, 06) |
# | writes | ECG-Tok on the tokens of PCA, VQ, RVQ and FSQ: reports and answers |
# | paper items | ECG-Tok: which tokens the language model should read |
# | time | a minute in `smoke`; 37 nominal minutes in `laptop`, with 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say whether trained tokens give better reports than those of a PCA;
# - name the tokens without training by gradient that every trained tokenizer must beat;
# - tell what a token holds from what a language model reads in it.
#
# ECG-Tok's paper chooses QINCo by its reconstructions and its classifier. It trains the language
# model on QINCo's tokens alone. Whether the choice matters for reports is left open. Here the
# tokens change, and nothing else: the adapter, its warm-up, the language model, the ECGs, their
# order and the number of updates stay those of notebook 04.
#
# The strongest opponent needs no gradient. *PCA and k-means*, fitted to training ECGs, cut the ECG
# into windows, project each on its principal components, and quantise them in 16 stages. They have
# as many bits as QINCo.

# %% tags=["plumbing"]
import time

import pandas as pd

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import budgets, exact_match, finding_agreement, text_overlap, wide_tables
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves
from ecglib.language.system import load_prefix
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-ecg_tok_by_tokenizer"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring = stage.section("scoring")
NAMES = ["ecg_tok_pca", "ecg_tok_vq", "ecg_tok_rvq", "ecg_tok_fsq"]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## Four kinds of tokens, one adapter
#
# The adapter reads what a tokenizer gives back for its codes, one vector per position. Here is the
# first training ECG for each tokenizer: bits of its codes, the vectors, and what the untrained
# adapter makes of them.

# %%
first, sizes = cohort.rows("train")[:1], []
for name in NAMES:
    reads = stage.inputs(name)
    adapter, rate = load_prefix(stage.make(f"{name}_initial")), load(reads["tokenizer"]).rate()
    z, lengths = adapter.read_ecgs(reads, first)  # (1, T, D), (1,)
    vectors, _ = adapter(z, lengths)  # (1, vectors, d)
    sizes.append([name, rate.bits_per_ecg, *z.shape[1:], *vectors.shape[1:]])
columns = ["method", "bits", "positions", "numbers", "vectors", "width"]
sizes = stage.data("tokens", pd.DataFrame(sizes, columns=columns))
sizes.round(0)

# %% [markdown]
# ## Training, reports and answers
#
# The warm-up and the training are those of ECG-Tok in notebook 04.

# %%
folders = {name: stage.make(name) for name in NAMES}
stage.losses(folders)
stage.data("budgets", budgets.read(folders))

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

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ECG-Tok on QINCo's tokens and the floors wrote about the same ECGs in notebooks 04 and 06. The
# memoriser there compares HeartLLM's codes.

# %%
from ecglib.figures import style

spent = stage.read_beside("budget", "06", ["ecg_tok"], own="budgets")
history = stage.read_beside("history", "06", ["ecg_tok"])
arms = [*NAMES, "ecg_tok"]
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
ends = stage.table("losses", ends, "Loss at the end, in nats per word piece.")
caption = "What each system was given, without the training of its tokenizer."
stage.table("budgets", budgets.formatted(spent), caption)
ends

# %% [markdown]
# ## Reports

# %%
reports = stage.read_beside("reports", "04", ["retrieval", "no_ecg", "ecg_tok"], own="answers")
answers = stage.read_beside("answers", "06", ["no_ecg", "ecg_tok", "memoriser"])
kind, asked = (of["item"].str.split(":").str[0] for of in (reports, answers))
is_other = kind.isin(["finding", *exact_match.TYPES]) | kind.str.startswith("bert_score")
stated, overlap = reports[kind == "finding"], reports[~is_other]
replies = answers[asked.isin(exact_match.TYPES)]
order = ["retrieval", "no_ecg", "memoriser", *arms]

# %%
long = [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
long = pd.concat([*long, match], ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
METRICS = ["macro_f1", "f1", "precision", "recall", "rouge_l", "bleu_4"]
tables = {"reports": METRICS, "exact_match": list(match["metric"].unique())}
captions = {
    "reports": "Reports of ECG-Tok by its tokens [95 % interval].",
    "exact_match": "Exact match [95 % interval]. The memoriser reads HeartLLM's codes.",
}
for name, metrics in tables.items():
    wide = wide_tables.wide(long[long["metric"].isin(metrics)], "method", "metric")
    stage.table(name, wide, captions[name], dict.fromkeys(wide.columns.drop("method"), "max"))

# %%
titles = {"macro_f1": "Macro-F1 of findings", "all": "Exact match, all questions"}
drawn = long[long["metric"].isin(titles)]
by = {name: part for name, part in replies.groupby("method")}
level = {"all": exact_match.chance(by["ecg_tok"], seed=seed).value}
n_ecgs, n_patients = stated["ecg"].nunique(), stated["unit"].nunique()
caption = (
    "ECG-Tok on the tokens of five tokenizers: macro-F1 of findings in its reports, and exact "
    f"match of its answers (dashed: chance), on {n_ecgs} test ECGs of {n_patients} patients. "
    "ECG-Tok without an addition reads QINCo's tokens, the memoriser HeartLLM's codes. n/a: the "
    "nearest neighbour stands here for reports alone, the memoriser for answers alone. "
    "Whiskers: 95 % intervals over patients; one training seed."
)
alt = "Two panels of horizontal bars, one per tokenizer, with floors."
figure = bars.methods(drawn, titles, 2, "Score (dashed: chance)", level)
stage.figure("by_tokenizer", figure, drawn, caption, alt)

# %% [markdown]
# **What to see.** Start at the bar of PCA. If a trained tokenizer is not ahead of it, no gain from
# its training is shown in these reports. Then compare VQ with RVQ: they share the encoder, so they
# differ in bits. The encoder was trained together with an RVQ, which favours RVQ. FSQ has more bits
# than VQ, but another encoder and four numbers per position. Last, the memoriser, which has no
# language model, answers more questions than any of the five.
#
# ## Bits and reports
#
# The errors of the tokenizers are in notebook [02_tokenizers](../02_tokenizers.py).

# %%
tokens = stage.read("tokens").set_index("method")
tokens.loc["ecg_tok"] = tokens.loc["ecg_tok_rvq"]  # QINCo's have the bits and the sizes of RVQ's
macro = long[long["metric"] == "macro_f1"].set_index("method")["value"]
tokens["macro-F1"] = macro
tokens["exact match"] = match[match["metric"] == "all"].set_index("method")["value"]
caption = "What each adapter reads of an ECG, and what comes out."
stage.table("tokens", tokens.round(3).reset_index(), caption)

# %% [markdown]
# ## The registered comparisons

# %%
of = {name: part for name, part in stated.groupby("method")}
lines = []
for name in ("rvq", "vq", "fsq", "pca"):
    other = f"ecg_tok_{name}"
    gain = finding_agreement.difference(of["ecg_tok"], of[other], "macro_f1", seed)
    stage.claim(f"ecg_tok_by_tokenizer.qinco_minus_{name}.macro_f1", **vars(gain))
    exact = exact_match.difference(by["ecg_tok"], by[other], seed=seed)
    for metric, value in (("macro-F1", gain), ("exact match", exact)):
        lines.append({"name": f"QINCo minus {name.upper()}", "metric": metric, **vars(value)})
stage.claim("ecg_tok_by_tokenizer.qinco_minus_pca.exact_match", **vars(exact))
caption = "Paired differences [95 % interval over patients]."
stage.table("differences", wide_tables.wide(pd.DataFrame(lines), "name", "metric"), caption)

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
for name in arms:
    print(f"- {style.method(name).name}: macro-F1 {macro[name]:.3f},", end=" ")
    print(f"exact match {exact_match.accuracy(by[name], seed=seed).text()}.")

# %% [markdown]
# Are the reports better from QINCo's tokens? In `laptop` one of four comparisons is safe: QINCo is
# ahead of FSQ by 0.162 of macro-F1. The verdicts on VQ (0.050 ahead) and on PCA and k-means (0.026
# behind) come from intervals over patients. Both differences are less than the 0.09 by which two
# trainings of one recipe may differ. In exact match that limit is 0.020: QINCo is ahead of FSQ by
# 0.054 and of VQ by 0.024, and level with RVQ and PCA.
#
# Four limits apply. There is one training seed per system. Two trainings of one recipe may differ
# by 0.09 of macro-F1, so a smaller difference is no safe result, whatever its interval over
# patients ([known problems](../../docs/known_problems.md)). The settings of the adapter and of its
# warm-up were chosen on QINCo's tokens, and a better reader could tell the tokens apart. The
# encoder of VQ, RVQ and QINCo starts at this very PCA, so a tie with it does not say that they
# found it anew. And the tokenizers do not have the same bits: VQ and FSQ have fewer, and FSQ has
# twice as many positions.
#
# ## Try it yourself
#
# - Add `ecg_tok_bpe: {like: ecg_tok, tokenizer: bpe, kind: feature_adapter}` to the YAML file and
#   the name to `NAMES`: the byte pairs, behind ECG-Tok's adapter. A method needs an entry in
#   `ecglib/figures/methods.csv`, too.
# - In the cell of the figure, replace `"macro_f1"` by `"recall"`: does a poor tokenizer make the
#   model silent, or wrong?
#
# The tokenizers are explained in [02_tokenizers](../02_tokenizers.py), ECG-Tok in
# [04_report_generation](../04_report_generation.py).

# %% tags=["plumbing"]
stage.finish()
