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
# # What is ECG-Tok's warm-up worth?
#
# | | |
# |---|---|
# | reads | the cohort (01), QINCo and its codes (02), ECG-Tok, its control and predictions (04) |
# | writes | ECG-Tok without its warm-up, its reports, and the differences to both |
# | paper items | ECG-Tok, section 2.3: the paper trains the adapter on reports alone |
# | time | 20 s in `smoke`; 13 min expected in `laptop` (not yet executed) after 01, 02, 04 |
# | memory | 4 GB expected in `laptop` |
#
# In notebook 04 the adapter is warmed up before it meets the language model: its prefix learns to
# point to the words of the findings that the training reports mention. The paper has no such step.
# Here ECG-Tok is trained without it, from the same worded LoRA and on the same batches, and writes
# reports for the same test ECGs. Once for as many joint steps, so that the warm-up's own steps come
# on top for the other side, and once for as many seconds.
#
# One thing favours the warm-up, and cannot be taken away here: the labeller that reads its targets
# in the training reports also reads the findings in the reports that are scored.

# %%
import time

import pandas as pd

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    bootstrap,
    finding_agreement,
    predictions,
    text_overlap,
    wide_tables,
)
from ecglib.figures import bars, curves
from ecglib.labels.findings import FINDINGS
from ecglib.language import train_system, write_texts
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-warm_up"  # the study's own run
seed = 0  # the run's: the other side of each comparison was trained with it

# %%
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## Training without it
#
# `train` starts with the adapter as it was drawn. All else is what notebook 04 gave.

# %%
settings = stage.section("ecg_tok")
config = settings["training"]
common = {"cohort": stage.input("01", "cohort"), "base": stage.input("04", "base")}
common |= {"tokenizer": stage.input("02", "qinco"), "codes": stage.input("02", "qinco_codes")}
start = common | {"lora": stage.input("04", "report_style"), "prefix": stage.input("04", "initial")}
cold = {"ecg_tok_cold": stage.step("ecg_tok_cold", train_system.train, config, start)}

# %% [markdown]
# And for as long as the other side takes with its warm-up. The ratio was measured beforehand and
# stands in the study's settings, so that a slow moment of the machine does not change the result.

# %%
longer = config | {"steps": round(stage.section("study")["seconds"] * config["steps"])}
cold["ecg_tok_cold_longer"] = stage.step("ecg_tok_cold_longer", train_system.train, longer, start)
print(f"{config['steps']} joint steps with the warm-up before them, {longer['steps']} without")

# %%
folders = {"ecg_tok": stage.input("04", "ecg_tok"), "ecg_tok_cold": cold["ecg_tok_cold"]}
folders["no_ecg"] = stage.input("04", "no_ecg")
read = [pd.read_csv(f / "history.csv").assign(method=name) for name, f in folders.items()]
history = pd.concat(read)[["method", "step", "loss"]].round(4)
stage.figure("loss", curves.loss(history, ylabel="Loss (nats a word piece)"), history)

# %% [markdown]
# After equal joint steps the loss hardly tells them apart: most of it is wording, which all of them
# learn. What counts is which findings stand in the reports.

# %%
cohort = Cohort.open(common["cohort"])
rows = scored_sample.test_rows(cohort, settings["test_ecgs"], seed)
write = {"rows": rows.tolist(), **settings["writing"]}
written = {}
for name, folder in cold.items():
    out = stage.step(f"reports_{name}", write_texts.write, write, {**common, "system": folder})
    written[name] = pd.read_parquet(out / "texts.parquet")
print("reports:", {name: len(table) for name, table in written.items()})

# %% [markdown]
# ## Beside the reports of notebook 04
#
# The same rows as there: each report's overlap with its reference, and each finding as the labeller
# reads it in the text. The figure shows the trainings of equal joint steps, the tables all.

# %%
records = cohort.records.iloc[rows].reset_index(drop=True)
scored = scored_sample.scorable_findings(cohort, settings["min_positives"])
parts = []
for name, table in written.items():
    texts, stated = finding_agreement.read_reports(
        records, cohort.labels[rows], name, seed, table, scored
    )
    parts += [text_overlap.scores(texts), stated]
scores = pd.concat(parts, ignore_index=True)
stage.predictions("reports", scores)
print(f"{len(scored)} findings, {len(stated)} times judged in the {len(rows)} reports of each")

# %%
before = predictions.read(*stage.outputs("04", "predictions", "_reports.parquet"))
frame = pd.concat([before, scores], ignore_index=True)
stated = frame[frame["item"].str.startswith("finding:")]
overlap = frame[~frame["item"].str.startswith("finding:")]
order = ["no_ecg", "ecg_tok_cold", "ecg_tok_cold_longer", "ecg_tok", "oracle"]
long = pd.concat(
    [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
)
long = long[long["metric"].isin(["rouge_l", "precision", "recall", "f1"])]
long = long.set_index("method").loc[order].reset_index()
caption = "ECG-Tok with and without its warm-up: value [95 % interval]."
stage.table("reports", wide_tables.wide(long, "method", "metric"), caption)

# %%
compared = long["metric"].isin(["rouge_l", "f1"]) & (long["method"] != "ecg_tok_cold_longer")
drawn = long[compared]
titles = {"rouge_l": "ROUGE-L", "f1": "finding F1"}
stage.figure("reports", bars.methods(drawn, titles, ncols=2), drawn)

# %% [markdown]
# Recall of each finding: does the warm-up help with all of them, or with a few?

# %%
recall = finding_agreement.by_finding(stated).pivot(
    index="label", columns="method", values="recall"
)[order]
recall.insert(0, "finding", [FINDINGS[label].name for label in recall.index])
stage.table("recall_by_finding", recall.reset_index().round(3), "Recall by finding.")

# %% [markdown]
# ## Paired differences
#
# On the same test patients. One training seed: the intervals do not cover that of the training.


# %%
def of_method(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    return rows[rows["method"] == method]


rouge = overlap[overlap["item"] == "rouge_l"]
warm, short, as_long, control = (
    of_method(stated, m) for m in ("ecg_tok", "ecg_tok_cold", "ecg_tok_cold_longer", "no_ecg")
)
differences = {
    "report.warm_minus_cold.finding_f1": finding_agreement.difference(warm, short, seed=seed),
    "report.warm_minus_cold.rouge_l": bootstrap.paired_difference(
        of_method(rouge, "ecg_tok"), of_method(rouge, "ecg_tok_cold"), seed=seed
    ),
    "report.warm_minus_cold.finding_f1.same_seconds": finding_agreement.difference(
        warm, as_long, seed=seed
    ),
    "report.cold_minus_no_ecg.finding_f1": finding_agreement.difference(short, control, seed=seed),
}
for claim, estimate in differences.items():
    stage.claim(claim, **vars(estimate))
stage.table(
    "gains", wide_tables.estimates(differences, name="claim").round(4), "Paired differences."
)

# %% [markdown]
# ## What we saw

# %%
verdicts = stage.claims()
stage.write("timing_made.csv", pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}]))
f1 = {name: finding_agreement.micro(of_method(stated, name), seed=seed).text() for name in order}
print(f"- Finding F1: {f1['ecg_tok']} with the warm-up, {f1['ecg_tok_cold']} without,")
print(f"  {f1['ecg_tok_cold_longer']} without and as many seconds; {f1['no_ecg']} without the ECG.")
for row in verdicts.itertuples():
    print(f"- {row.id}: {row.value:.3f} [{row.low:.3f}, {row.high:.3f}] {row.verdict}")

# %%
stage.finish()
