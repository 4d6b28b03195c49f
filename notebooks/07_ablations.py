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
# # Is token pretraining worth its time?
#
# | | |
# |---|---|
# | reads | the cohort (01), the language model (04), tokens and starts (05), HeartLLM (06) |
# | writes | HeartLLM tuned without token pretraining, its answers, the difference |
# | paper items | HeartLLM, Fig. 3, "w/o FT" in the reading "without token forecasting" |
# | time | 11 s in `smoke`, 8.5 min in `laptop` on two cores |
# | memory | 4.3 GB in `laptop` |
#
# HeartLLM trains the language model on ECG tokens before it sees a word of text, and the paper's
# ablation credits that stage with part of the result. One thing is changed here: the stage is left
# out. Same tokens, same start of the rows, same questions, same steps.

# %%
import pandas as pd

from ecglib.cohorts.store import Cohort
from ecglib.evaluate import exact_match, predictions, wide_tables
from ecglib.figures import bars, curves
from ecglib.language import finding_warmup, train_system, write_texts
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws batches and starts of weights

# %%
stage = Stage("07", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## Two starts
#
# `start` is what pretraining began with: the LoRA of ECG-Tok and rows as they were drawn. Its rows
# are given meaning just as those of the pretrained model were, by the same steps on the same
# batches. An ablation is only as good as what it holds still, so the settings of notebooks 05 and
# 06 are used as they are.

# %%
inputs = {"cohort": stage.input("01", "cohort"), "base": stage.input("04", "base")}
inputs |= {"tokenizer": stage.input("02", "fsq"), "codes": stage.input("02", "fsq_codes")}
inputs["questions"] = stage.input("06", "questions")
settings = stage.section("instruction_tuning")
initial = stage.input("05", "initial")
begun = {key: inputs[key] for key in ("cohort", "codes", "base")} | {"prefix": initial}
warm_up = stage.section("pretraining")["warm_up"]
warmed_up = stage.step("warmed_up_without", finding_warmup.warm_up, warm_up, begun)
start = {**inputs, "lora": stage.input("04", "ecg_tok"), "prefix": warmed_up}
tuned = stage.step("tuned_without", train_system.train, settings["training"], start)

# %%
with_it = stage.input("06", "tuned")
losses = [
    pd.read_csv(folder / "history.csv").assign(method=name)
    for name, folder in (("heartllm", with_it), ("heartllm_no_pretraining", tuned))
]
history = pd.concat(losses)[["method", "step", "loss"]].round(4)
stage.figure("loss", curves.loss(history, ylabel="Loss (nats a word piece)"), history)

# %% [markdown]
# ## The same questions

# %%
asked = pd.read_parquet(inputs["questions"] / "test.parquet")
config = {"rows": sorted(set(asked["row"].tolist())), **settings["writing"]}
out = stage.step("answers_without", write_texts.write, config, {**inputs, "system": tuned})
reply = pd.read_parquet(out / "texts.parquet")
reply = reply[reply["number"] >= 0].set_index("number").loc[asked["number"]]
of = Cohort.open(inputs["cohort"]).records.iloc[asked["row"]]
length = dict(tokens=reply["tokens"], stop_reason=reply["stop_reason"])
name = "heartllm_no_pretraining"
without = predictions.build(of, name, seed, asked["item"], asked["answer"], reply["text"], **length)
stage.predictions("answers", without)
print("answers:", len(without))

# %% [markdown]
# The answers with pretraining are read from the predictions of notebook 06: evaluation needs
# nothing else, and both sides are compared question by question.

# %%
(path,) = stage.outputs("06", "predictions", "06_answers.parquet")
before = predictions.read(path)
before = before[(before["method"] == "heartllm") & ~before["item"].str.startswith("finding")]
both = pd.concat([exact_match.select(before).drop(columns="type"), without], ignore_index=True)
long = exact_match.summary(both, seed=seed)
stage.table("pretraining", wide_tables.wide(long, "method", "type"), "Exact match [95 % interval].")

# %%
drawn = long.rename(columns={"type": "metric"})
titles = {kind: kind for kind in drawn["metric"].unique()} | {"all": "all questions"}
figure = bars.methods(drawn, titles, ncols=2, xlabel="Exact match (share of answers)")
stage.figure("pretraining", figure, drawn)

# %%
pretrained = both[both["method"] == "heartllm"]
gain = {kind: exact_match.difference(pretrained, without, kind, seed=seed) for kind in titles}
table = wide_tables.estimates(gain, name="type").round(4)
stage.table("difference", table, "With minus without token pretraining.")
stage.claim("ablation.pretraining_minus_none.exact_match", **vars(gain["all"]))

# %% [markdown]
# ## What we saw

# %%
for kind in titles:
    print(f"- {kind}: pretraining changes exact match by {gain[kind].text()}.")
clear = gain["all"].low > 0 or gain["all"].high < 0
print(f"- The interval over patients {'excludes' if clear else 'includes'} no difference.")

# %%
stage.finish()
