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
# # Can a language model write a report from ECG tokens, and does it look at them?
#
# | | |
# |---|---|
# | reads | the cohort (01), QINCo and its codes (02), the small language model |
# | writes | ECG-Tok and its controls, their reports, predictions, Table 1 of this run |
# | paper items | ECG-Tok, section 2.3 and Table 1 (with floor, controls and oracle beside it) |
# | time | 21 s in `smoke`, 13 min in `laptop` on two cores |
# | memory | 3.6 GB in `laptop` |
#
# A report can be fluent and score well without a glance at the recording: most ECGs show sinus
# rhythm, and reports repeat themselves. So every number here stands between a floor (what a
# constant or a copied report gets), a control (the same model without the ECG, trained for as many
# steps on the same batches) and an oracle (the true findings, put through templates).

# %%
import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, finding_agreement, text_overlap, wide_tables
from ecglib.figures import bars, curves
from ecglib.labels.findings import FINDINGS
from ecglib.language import base as base_model
from ecglib.language import ecg_tok, finding_warmup, floors, no_ecg, train_system, write_texts
from ecglib.language.ecg_tok import Adapter
from ecglib.language.packing import IGNORE, Text, collate
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import read_latents
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws batches, starts of weights, test patients

# %%
stage = Stage("04", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## What the language model is given
#
# QINCo turned an ECG into T latent vectors of D numbers. They come frozen from notebook 02: nothing
# that follows changes them.

# %%
inputs = {"cohort": stage.input("01", "cohort"), "tokenizer": stage.input("02", "qinco")}
inputs["codes"] = stage.input("02", "qinco_codes")
cohort = Cohort.open(inputs["cohort"])
tokenizer = load(inputs["tokenizer"])
settings = stage.section("ecg_tok")
rows = scored_sample.test_rows(cohort, settings["test_ecgs"], seed)
z, lengths = read_latents(tokenizer, inputs["codes"], cohort, rows)
print("test ECGs:", len(rows), " latents (ECGs, T, D):", tuple(z.shape))

# %% [markdown]
# ## From many vectors to a few
#
# An attention adapter maps them into the space of the model's word embeddings. After one
# self-attention block it pools over time. The paper takes the plain mean, one vector an ECG; here
# each of `vectors` vectors is a weighted mean, with weights that a query decides:
#
# $$ c_j = \sum_t \mathrm{softmax}_t(q_j \cdot x_t)\, x_t $$
#
# With one query of zeros every weight is 1/T: the paper's mean is where the dial starts.

# %%
torch.manual_seed(0)
toy = torch.randn(2, 5, 8)  # two ECGs, five positions, eight channels
weights = torch.softmax(torch.zeros(1, 8) @ toy.transpose(1, 2), dim=-1)  # (2, 1, 5)
by_hand = weights @ toy
assert torch.allclose(by_hand[:, 0], toy.mean(1), atol=1e-6)
one = Adapter(8, 5, 8, 2, vectors=1, width=16, scale=0.1).eval()
nothing_padded = torch.zeros(2, 5, dtype=torch.bool)
assert torch.allclose(one.pool(toy, nothing_padded), by_hand, atol=1e-6)
print("prefix for the language model:", tuple(one(toy, torch.tensor([5, 5]))[0].shape))

# %% [markdown]
# ## What it learns
#
# The prefix stands in front, then the hospital (it decides the wording, and the control gets it
# too), then the report. Only the report is predicted:
#
# $$ L = -\sum_i \log P(w_i \mid c_1..c_k, \text{site}, w_{<i}) $$
#
# Below, `7 8` is a prompt and `9 4 2` an answer with its end mark. The prompt is not a target,
# padding never is, and the end mark is: a model that never learns to stop is of no use.

# %%
batch = collate([[Text([7, 8], [9, 4, 2])], [Text([7], [5, 2])]], pad=0)
print("read:     ", batch.ids.tolist())
print("predicted:", batch.targets.tolist(), f"({IGNORE} = not a target)")
assert batch.targets[0].tolist() == [IGNORE, 9, 4, 2]
assert int((batch.targets != IGNORE).sum()) == 5

# %% [markdown]
# ## The language model
#
# Its text tokenizer and, where the profile uses them, its pretrained weights come from a pinned
# file; 4-bit weights are written out as plain numbers once. Whether the weights are in use is a
# fair question: a sentence of everyday English must surprise it far less than a model of the same
# shape with random weights.

# %%
language = stage.section("language")
asset = stage.asset(language["asset"])
inputs["base"] = stage.step("base", base_model.prepare, language["base"], {"asset": asset})
base = base_model.load(inputs["base"], stage.machine)
sentence = base.encode("The patient came to the hospital because of chest pain.")
perplexity = base_model.perplexity(base.model, sentence)
random = base_model.perplexity(base_model.random_like(inputs["base"], seed), sentence)
parameters = sum(p.numel() for p in base.model.parameters())
print(f"{parameters / 1e6:.1f} million parameters, perplexity {perplexity:.1f}")
print(f"with random weights {random:.0f}; vocabulary {base.model.config.vocab_size}")

# %% [markdown]
# ## Training, step by step
#
# First the wording: LoRA learns what reports look like, behind a constant. Then the adapter is
# warmed up on findings, as far as *the reports of the training patients* mention them (a rule
# labeller reads the text; the simulator's truth is never used). Then both train together on the
# reports.

# %%
common = {key: inputs[key] for key in ("cohort", "tokenizer", "codes", "base")}
training, vectors = settings["training"], {"vectors": settings["prefix"]["vectors"]}
only_base = {"base": inputs["base"]}
constant = {**vectors, "control_of": "report_style"}
words = {"cohort": inputs["cohort"], **only_base}
words["prefix"] = stage.step("initial_style", no_ecg.initialise, constant, only_base)
style = {**training, **settings["report_style"], "lora": language["lora"]}
lora = {"lora": stage.step("report_style", train_system.train, style, words)}
drawn = stage.step("initial", ecg_tok.initialise, settings["prefix"], common)
warm_up = {**common, "prefix": drawn}
adapter = stage.step("warm_adapter", finding_warmup.warm_up, settings["warm_up"], warm_up)
full = {**common, **lora, "prefix": adapter}
system = {"ecg_tok": stage.step("ecg_tok", train_system.train, training, full)}

# %% [markdown]
# Beside it, with the same number of steps on the same batches, the control: a learned constant
# takes the ECG's place. What the warm-up is worth, which the paper does not have, takes another
# training, and is asked in a study of its own (`bash run_all.sh study warm_up`).

# %%
control = {**vectors, "control_of": "ecg_tok"}
constant = stage.step("initial_no_ecg", no_ecg.initialise, control, only_base)
without = {**common, **lora, "prefix": constant}
system["no_ecg"] = stage.step("no_ecg", train_system.train, training, without)
history = pd.concat(
    [pd.read_csv(folder / "history.csv").assign(method=name) for name, folder in system.items()]
)

# %%
losses = history[["method", "step", "loss"]].round(4)
stage.figure("loss", curves.loss(losses, ylabel="Loss (nats a word piece)"), losses)

# %% [markdown]
# ## Writing
#
# Greedy decoding, at most `max_new` word pieces. The shuffled control is the tuned ECG-Tok fed the
# ECG of another patient of the same hospital, while everything else stays.

# %%
records = cohort.records.iloc[rows].reset_index(drop=True)
partner = scored_sample.partners(records, seed)
own, other = rows.tolist(), rows[partner].tolist()
systems = [(*pair, own) for pair in system.items()] + [("shuffled", system["ecg_tok"], other)]
written = {}
for name, folder, ecgs in systems:
    config = {"rows": own, "ecgs": ecgs, **settings["writing"]}
    out = stage.step(f"reports_{name}", write_texts.write, config, {**common, "system": folder})
    written[name] = pd.read_parquet(out / "texts.parquet")

# %% [markdown]
# ## Floor and oracle
#
# The floor needs no language model: the most frequent training report of the hospital, and the
# report of the training ECG whose mean latent is nearest. The oracle states every finding that is
# true in the waveform, in the hospital's wording: what perfect findings are worth in these metrics.

# %%
train = cohort.rows("train")
past = cohort.records.iloc[train]
pooled = floors.mean_pool(*read_latents(tokenizer, inputs["codes"], cohort, train))
nearest = floors.nearest(
    pooled, floors.mean_pool(z, lengths), past["site"].to_numpy(), records["site"].to_numpy()
)
floor = {
    "majority": floors.majority_reports(past, records),
    "retrieval": past["report"].iloc[nearest].tolist(),
    "oracle": floors.oracle_reports(cohort.labels[rows], records["site"]),
}
for name, texts in floor.items():
    written[name] = pd.DataFrame({"row": rows, "text": texts, "tokens": 0, "stop_reason": "none"})

# %% [markdown]
# ## Predictions: all that evaluation sees
#
# One row a report, and one a report and finding: the truth of the waveform beside what the labeller
# reads in the text. Scored are the findings with enough cases in the training split, never "sinus
# rhythm" and "normal". An empty report states nothing and misses everything.

# %%
scored = scored_sample.scorable_findings(cohort, settings["min_positives"])
texts, stated = [], []
for name, table in written.items():
    pair = finding_agreement.read_reports(records, cohort.labels[rows], name, seed, table, scored)
    texts.append(pair[0])
    stated.append(pair[1])
texts, stated = pd.concat(texts, ignore_index=True), pd.concat(stated, ignore_index=True)

# %%
overlap = text_overlap.scores(texts)
stage.predictions("texts", texts)
stage.predictions("reports", pd.concat([overlap, stated], ignore_index=True))
print(f"{len(scored)} findings:", ", ".join(FINDINGS[label].name for label in scored))
examples = texts[texts["ecg"] == records["ecg"][0]].set_index("method")
examples[["prediction"]].T.assign(reference=records["report"][0]).T

# %% [markdown]
# ## Table 1 of this run
#
# Means over ECGs (ROUGE, BLEU) and micro-averages over findings, with 95 % intervals over patients.

# %%
order = ["majority", "retrieval", "no_ecg", "shuffled", "ecg_tok", "oracle"]
long = pd.concat(
    [finding_agreement.summary(stated, seed=seed), text_overlap.summary(overlap, seed)]
)
metrics = ["rouge_1", "rouge_l", "bleu_4", "precision", "recall", "f1"]
long = long.set_index(["method", "metric"]).loc[[(m, k) for m in order for k in metrics]]
long = long.reset_index()
empty = text_overlap.empty_outputs(texts).set_index("method")["empty"]
table1 = wide_tables.wide(long, "method", "metric")
table1["empty"] = empty.reindex(order).to_numpy()
stage.table("table1", table1, "Report generation: value [95 % interval].")

# %%
drawn = long[long["metric"].isin(["rouge_l", "f1"])]
titles = {"rouge_l": "ROUGE-L", "f1": "finding F1"}
stage.figure("reports", bars.methods(drawn, titles, ncols=2), drawn)

# %% [markdown]
# Which findings, then? Recall of each, with the number of true cases in the test patients.

# %%
by_finding = finding_agreement.by_finding(stated)
names = {label: FINDINGS[label].name for label in scored}
recall = by_finding.pivot(index="label", columns="method", values="recall")[order]
true = by_finding[by_finding["method"] == "oracle"].set_index("label")
recall.insert(0, "cases", true["tp"] + true["fn"])
recall.insert(0, "finding", [names[label] for label in recall.index])
stage.table("recall_by_finding", recall.reset_index().round(3), "Recall by finding.")

# %% [markdown]
# ## Does it look?
#
# Paired differences on the same patients. The claims were registered before the run.


# %%
def of(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    return frame[frame["method"] == method]


rouge = overlap[overlap["item"] == "rouge_l"]
gain = {}
for control in ("no_ecg", "shuffled"):
    name = f"report.ecg_minus_{control}"
    gain[f"{name}.rouge_l"] = bootstrap.paired_difference(
        of(rouge, "ecg_tok"), of(rouge, control), seed=seed
    )
    gain[f"{name}.finding_f1"] = finding_agreement.difference(
        of(stated, "ecg_tok"), of(stated, control), seed=seed
    )
gain["report.share_of_oracle.finding_f1"] = finding_agreement.share_of_oracle(
    of(stated, "ecg_tok"), of(stated, "no_ecg"), of(stated, "oracle"), seed=seed
)
gain["report.rouge_l"] = bootstrap.mean(of(rouge, "ecg_tok"), seed=seed)

# %%
for name, estimate in gain.items():
    stage.claim(name, **vars(estimate))
stage.table("gains", wide_tables.estimates(gain, name="claim").round(4), "Paired differences.")

# %% [markdown]
# ## What we saw


# %%
def f1(method: str) -> str:
    return finding_agreement.micro(of(stated, method), seed=seed).text()


share = gain["report.share_of_oracle.finding_f1"]
print(f"- Finding F1: {f1('ecg_tok')} with the ECG, {f1('no_ecg')} without, {f1('oracle')} oracle.")
print(f"- With another patient's ECG: {f1('shuffled')}; nearest neighbour: {f1('retrieval')}.")
print(f"- ECG-Tok goes {share.text(2)} of the way from the no-ECG control to the oracle.")
print(f"- Empty reports: {int(empty['ecg_tok'])} of {len(rows)}.")

# %%
stage.finish()
