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
# # How does a tokenizer of your own do beside the five?
#
# | | |
# |---|---|
# | reads | cohort (01), your file (`--plugin FILE`), what was saved of the five (02, 03, 04) |
# | writes | your tokenizer's error, its classifier and its reports, beside those of the run |
# | paper items | ECG-Tok, Fig. 2 and Table 1, with one more row |
# | time | a minute in `smoke`; not measured yet in `laptop` |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say what your tokens keep of the signal, and at how many bits;
# - say what a classifier and a language model read in them;
# - tell a better signal from a better report.
#
# Your file has a class `Tokenizer`, a step `fit` and its settings, `SETTINGS`
# (`docs/adding.md` walks through an example). It is executed, and it is part of the keys of what it
# makes. Nothing of the committed run is trained again.

# %% tags=["plumbing"]
import pandas as pd
import torch

from ecglib.classify.classifier_parts import head_part
from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    auc,
    bootstrap,
    exact_match,
    finding_agreement,
    predictions,
    reconstruction,
    text_overlap,
    wide_tables,
)
from ecglib.evaluate.label_rows import label_rows
from ecglib.evaluate.score_texts import score_texts
from ecglib.fidelity import round_trip
from ecglib.figures import bars
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-plugin"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring = stage.section("scoring")

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
records, rows = cohort.records, cohort.rows("test")

# %% [markdown]
# ## Fit, encode, decode
#
# The tokenizer learns on the ECGs of the training patients, as the five did. Here is the first test
# ECG: its codes, its ids, and what comes back. The ids must give the codes again, without loss.

# %%
folder, codes_folder = stage.make("plugin"), stage.make("plugin_codes")
tokenizer = load(folder)
x = torch.from_numpy(cohort.signals(rows[:1]))  # (1, 12, 2500) in mV
codes = tokenizer.encode(x)  # (1, positions, codes per position)
ids = tokenizer.to_ids(codes)
assert torch.equal(tokenizer.from_ids(ids), codes)
y = tokenizer.decode(codes)
print(f"{tuple(x.shape)} -> {tuple(codes.shape)} -> ids {tuple(ids.shape)} -> {tuple(y.shape)}")
rate = tokenizer.rate()
print(f"{rate.vocabulary_size} words, {rate.tokens_per_ecg} tokens, {rate.bits_per_ecg:.0f} bits")

# %% [markdown]
# ## The error on test patients

# %%
test_codes = read_codes(codes_folder, rows)
recorded, n_valid = round_trip.originals(cohort, rows), records["n_valid"].to_numpy()[rows]


def decoded(part: slice):
    """Some test ECGs, decoded."""
    return tokenizer.decode(test_codes[part]).numpy()


errors, saved = reconstruction.streamed(recorded, decoded, n_valid), []
for item in ("mae_mv", "prd_percent"):
    values = errors[item].to_numpy()
    saved.append(predictions.build(records.iloc[rows], "plugin", seed, item, score=values))
stage.predictions("reconstruction", pd.concat(saved))
stage.data("rates", pd.DataFrame([{"method": "plugin", **vars(rate)}]))

# %% [markdown]
# ## A classifier of its vectors
#
# The reader is the EfficientNetV2 of notebook 03, with the same epochs and the same batches.

# %%
own = {"cohort": cohort_folder, "plugin": folder, "plugin_codes": codes_folder}
head = head_part(stage.run.profile, "plugin")
head_folder = stage.remake("head_plugin", own, "", seed, {head.name: head})
scores = pd.read_parquet(head_folder / "scores.parquet")
cells = label_rows(records, cohort.labels, scores, rows, "plugin", seed)
print("saved:", stage.predictions("labels", cells).name)

# %% [markdown]
# ## ECG-Tok on its vectors
#
# The adapter, its warm-up, the language model, the ECGs, their order and the number of updates are
# those of notebook 04.

# %%
written_about = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": written_about.tolist()}
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)
stage.make("ecg_tok_plugin")
about = {"rows": written_about.tolist(), "ecgs": written_about.tolist()}
out = stage.make("ecg_tok_plugin_texts", **about)

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, written_about, scoring["min_positives"])
written = {"ecg_tok_plugin": pd.read_parquet(out / "texts.parquet")}
texts, answers = score_texts(written, asked, records, cohort.labels, written_about, scored, seed)
stage.predictions("texts", texts)
print("saved:", stage.predictions("answers", answers).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Its signal beside the five tokenizers, and beside PCA with k-means

# %%
FIVE = ["pca_rvq", "vq", "rvq", "qinco", "fsq", "bpe"]
signals = stage.read_beside("reconstruction", "02", FIVE)
bits = stage.read_beside("rates", "02", FIVE).set_index("method")["bits_per_ecg"]
lines = []
for name in [*FIVE, "plugin"]:
    own_rows = signals[(signals["method"] == name) & (signals["item"] == "mae_mv")]
    error = bootstrap.mean(own_rows.assign(score=1000 * own_rows["score"]), seed=seed)
    lines.append({"method": name, "metric": "error", **vars(error)})
lines = pd.DataFrame(lines)
table = lines.assign(bits=lines["method"].map(bits))[["method", "bits", "value", "low", "high"]]
table = table.rename(columns={"value": "error_uv", "low": "low_uv", "high": "high_uv"})
caption = "Error of the decoded signal in µV [95 % interval], and bits."
stage.table("signal", table.round(2), caption)

# %% [markdown]
# ## What is read in it

# %%
labels = stage.read_beside("labels", "03", ["vq", "rvq", "qinco", "deepsl", "summary"])
found_by = {name: auc.auc(part, "macro", seed=seed) for name, part in labels.groupby("method")}
reports = stage.read_beside("reports", "04", ["retrieval", "no_ecg", "ecg_tok"], own="answers")
kind = reports["item"].str.split(":").str[0]
stated = reports[kind == "finding"]
is_other = kind.isin(["finding", *exact_match.TYPES]) | kind.str.startswith("bert_score")
overlap = text_overlap.summary(reports[~is_other], seed)
long = pd.concat([finding_agreement.summary(stated, seed=seed), overlap], ignore_index=True)
macro = [{"method": name, "metric": "macro_auc", **vars(v)} for name, v in found_by.items()]
long = pd.concat([long, pd.DataFrame(macro)], ignore_index=True)
for name, metrics in {
    "classifier": ["macro_auc"],
    "table1": ["macro_f1", "precision", "recall", "rouge_l", "bleu_4"],
}.items():
    wide = wide_tables.wide(long[long["metric"].isin(metrics)], "method", "metric")
    stage.table(name, wide, f"{name} [95 % interval over patients].")

# %% [markdown]
# Each figure has the methods of its kind: the nearest neighbour has no vectors, and no report was
# written from VQ's tokens.

# %%
titles = {"macro_auc": "Macro-AUC over the labels", "macro_f1": "Finding F1 of reports (macro)"}
n_ecgs, n_patients = stated["ecg"].nunique(), stated["unit"].nunique()
about = {
    "macro_auc": "classifiers of tokenizers' vectors, of the raw signal (DeepSL) and of summary "
    "numbers, about all test ECGs",
    "macro_f1": "reports of ECG-Tok on your tokens and on QINCo's, of the control without the ECG "
    f"and of the nearest neighbour, about {n_ecgs} test ECGs of {n_patients} patients",
}
for metric, name in {"macro_auc": "plugin_classifier", "macro_f1": "plugin_reports"}.items():
    drawn = long[long["metric"] == metric]
    caption = (
        f"Your tokenizer beside those of the run: {about[metric]}. Whiskers: 95 % intervals over "
        "patients; one training seed."
    )
    figure = bars.methods(drawn, {metric: titles[metric]}, 2, "Score")
    stage.figure(name, figure, drawn, caption, "Horizontal bars, one per method.")

# %% [markdown]
# ## What it means
#
# No claim is registered here. Write one into `notebooks/studies/plugin_claims.yaml` before the run,
# if the numbers are to count.

# %%
own_error = lines.set_index("method").loc["plugin"]
print(f"Your tokenizer: {bits['plugin']:.0f} bits per ECG, an error of", end=" ")
print(f"{own_error['value']:.1f} µV [{own_error['low']:.1f}, {own_error['high']:.1f}],", end=" ")
print(f"macro-AUC {found_by['plugin'].text()} where QINCo's vectors have", end=" ")
print(f"{found_by['qinco'].text()}.")
gain = finding_agreement.difference(
    *(stated[stated["method"] == name] for name in ("ecg_tok_plugin", "ecg_tok")), "macro_f1", seed
)
print(f"Macro-F1 of reports, yours minus QINCo's: {gain.text()}.")

# %% [markdown]
# ## Try it yourself
#
# - Change `SETTINGS` in your file and run the study again: only what depends on it is made anew.
# - Decode fewer bits: which of the three numbers falls first?
#
# The tokenizers are explained in [02_tokenizers](../02_tokenizers.py), the classifier in
# [03_classification](../03_classification.py), ECG-Tok in
# [04_report_generation](../04_report_generation.py).

# %% tags=["plumbing"]
stage.finish()
