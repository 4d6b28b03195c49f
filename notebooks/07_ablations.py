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
# | reads | the cohort (01), language model and LoRA (04), embeddings (05), HeartLLM (06) |
# | writes | HeartLLM tuned without token pretraining, its answers and reports, the differences |
# | paper items | HeartLLM, Fig. 3, "w/o FT" in the reading "without token forecasting" |
# | time | 15 s in `smoke`, 9 min in `laptop` on two cores |
# | memory | 4.3 GB in `laptop` |
#
# After this notebook you can
#
# - say what an ablation must keep equal, and check it before both arms are trained,
# - say from the width of an interval and from chance which effect an ablation can detect at all,
# - say which bars of the paper's figure this run has and which are missing.
#
# Previous: [06_instruction_tuning](06_instruction_tuning.py). Next:
# [08_alignment](08_alignment.py).
#
# HeartLLM trains the language model on ECG tokens before it learns any text about ECGs. Notebook
# [05_token_pretraining](05_token_pretraining.py) shows that training. An *ablation* leaves one part
# of a method out and keeps everything else. This notebook leaves out token pretraining.

# %% tags=["redraw", "plumbing"]
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    bootstrap,
    exact_match,
    finding_agreement,
    predictions,
    text_overlap,
    wide_tables,
)
from ecglib.figures import bars, curves
from ecglib.language import finding_warmup, train_system, write_texts
from ecglib.language.packing import answer_loss, backbone, collate
from ecglib.language.system import load_prefix, open_system
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import read_codes

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws batches and starts of weights

# %% tags=["redraw", "plumbing"]
stage = Stage("07", profile, data, seed, tag)
print(stage.banner())

# %% [markdown]
# ## The paper's figure has four bars per panel; this run has two
#
# Fig. 3 of the HeartLLM paper has four panels on PTB-XL: reports (BLEU, METEOR, ROUGE), and exact
# match on questions of the kinds *verify*, *choose* and *query*. Each panel compares the full model
# with three ablations. The numbers are known only from the picture.
#
# | bar | what is left out | in this notebook |
# |---|---|---|
# | full model | nothing | yes, from notebook 06 |
# | w/o FT | "FT" is not defined; read as token *forecasting*, that is, pretraining | yes |
# | w/o FT | read as instruction *fine-tuning* | missing |
# | w/o TAB | age, sex, height and weight in the prompt | missing: our prompts have none |
# | w/o DISC | the discrete tokens; continuous embeddings take their place | missing |
#
# The panel of reports has ROUGE and BLEU here, and F1 of the findings; METEOR is missing.
#
# ## The two arms
#
# Both arms share the tokenizer, the codes, the language model, the questions, the batches and the
# number of steps. **Ours, not the paper's:** both arms also share the warm-up of notebook 05, which
# makes the embeddings point to the words of findings. The arms differ in two things: the LoRA and
# the embeddings from which the warm-up starts.
#
# | | with pretraining | without |
# |---|---|---|
# | LoRA before tuning | ECG-Tok's, then pretrained on ECG tokens | ECG-Tok's |
# | embeddings before the warm-up | pretrained on ECG tokens | as initialised |
# | warm-up, tuning | the settings of notebooks 05 and 06 | the same |

# %%
inputs = {"cohort": stage.input("01", "cohort"), "base": stage.input("04", "base")}
inputs |= {"tokenizer": stage.input("02", "fsq"), "codes": stage.input("02", "fsq_codes")}
inputs["questions"] = stage.input("06", "questions")
settings = stage.section("instruction_tuning")
initial, pretrained = stage.input("05", "initial"), stage.input("05", "pretrained")
begun = {key: inputs[key] for key in ("cohort", "codes", "base")} | {"prefix": initial}
warm_up = stage.section("pretraining")["warm_up"]
warmed_up = stage.step("warmed_up_without", finding_warmup.warm_up, warm_up, begun)
lora = {"with": pretrained, "without": stage.input("04", "ecg_tok")}
prefix = {"with": stage.input("05", "warmed_up"), "without": warmed_up}

# %% [markdown]
# ## What is left of pretraining before tuning begins
#
# The warm-up trains the same embeddings that pretraining has trained. If it moves them far and in
# the same way in both arms, little of the difference between the arms is left in them. Three
# distances show that, each averaged over the codes that occur in the training ECGs: how far
# pretraining moved an embedding, how far the warm-up moved it, and how far the two arms are apart
# after the warm-up.

# %%
weights = {"drawn": load_prefix(initial).weight, "pretrained": load_prefix(pretrained).weight}
weights |= {name: load_prefix(folder).weight for name, folder in prefix.items()}
weights = {name: weight.detach()[:-2] for name, weight in weights.items()}  # (codes, d), no bracket
learned = weights["pretrained"] - weights["drawn"]
apart = weights["with"] - weights["without"]
moves = {
    "length": weights["pretrained"].norm(dim=1),
    "pretraining": learned.norm(dim=1),
    "warm_up_with": (weights["with"] - weights["pretrained"]).norm(dim=1),
    "warm_up_without": (weights["without"] - weights["drawn"]).norm(dim=1),
    "arms_apart": apart.norm(dim=1),
    "cosine": torch.cosine_similarity(learned, apart, dim=1),
}
print("embeddings (codes, d):", tuple(learned.shape))

# %% [markdown]
# The LoRA of the two arms differs as well. The warm-up does not change it. The next cell measures
# how far pretraining changed the LoRA, relative to its size.

# %% tags=["plumbing"]
train_codes = read_codes(inputs["codes"], Cohort.open(inputs["cohort"]).rows("train"))
uses = np.bincount(train_codes.numpy().ravel(), minlength=len(learned))
frame = pd.DataFrame({name: values.numpy() for name, values in moves.items()}).round(5)
stage.data("embedding_moves", frame.assign(uses=uses).rename_axis("code").reset_index())
file = "adapter_model.safetensors"
old, new = (load_file(lora[name] / "lora" / file) for name in ("without", "with"))
size = sum(float(part.double().square().sum()) for part in old.values()) ** 0.5
change = sum(float((new[name] - old[name]).double().square().sum()) for name in old) ** 0.5
saved = stage.data("lora_change", pd.DataFrame({"size": [size], "change": [change]}).round(5))

# %% tags=["redraw"]
moves = stage.read("embedding_moves")
used = moves[moves["uses"] > 0]
change = stage.read("lora_change").iloc[0]
names = {
    "length": "length of a pretrained embedding",
    "pretraining": "moved by pretraining",
    "warm_up_with": "moved by the warm-up, arm with pretraining",
    "warm_up_without": "moved by the warm-up, arm without",
    "arms_apart": "distance of the two arms after the warm-up",
}
table = used[list(names)].mean().rename(names).rename_axis("mean over used codes")
table = table.rename("distance").round(3).reset_index()
stage.table("embedding_moves", table, "Embeddings of the ECG tokens before the tuning.")
table

# %% tags=["redraw"]
mean = used.drop(columns="code").mean()
times = mean["warm_up_with"] / mean["pretraining"]
print(f"The warm-up moves an embedding {times:.1f} times as far as pretraining did, and")
print(f"{mean['warm_up_with'] / mean['length']:.1f} times its length.")
print(f"The two arms are then {mean['arms_apart']:.2f} apart; pretraining alone had put them")
print(f"{mean['pretraining']:.2f} apart. The cosine between the two differences is")
print(f"{mean['cosine']:.2f} (1: the same direction; 0: no common direction).")
along = (used["arms_apart"] * used["cosine"] * used["pretraining"]).sum()
kept = float(along / (used["pretraining"] ** 2).sum())
print(f"So {100 * kept:.0f} % of what pretraining changed in the embeddings is still there when")
print(
    f"tuning begins. The LoRA was changed by {100 * change['change'] / change['size']:.0f} % of its"
)
print("size.")

# %% [markdown]
# **What to see.** Look at the ratio and at the share that is kept. A share near 0 means that the
# warm-up has overwritten what the embeddings learned. A share near 1 with a ratio well above 1
# means that the change is still there, but small beside what the warm-up added in both arms. In
# both cases the ablation tests the pretrained LoRA more than the pretrained tokens.
#
# ## One question through both arms
#
# Both arms compute the same loss. The embeddings of the ECG's tokens come first, then the words of
# the question and of the answer. The model scores the next word at each position. The loss is the
# mean cross-entropy over the words of the answer. The next cell computes it for one training
# question before any tuning.

# %%
question = pd.read_parquet(inputs["questions"] / "train.parquet").iloc[0]
for name in ("with", "without"):
    reads = {"base": inputs["base"], "codes": inputs["codes"]}
    reads |= {"lora": lora[name], "prefix": prefix[name]}
    system = open_system(reads, stage.machine, np.array([question["row"]]))
    text = train_system.answered(system.base, question["question"], question["answer"])
    answer = torch.tensor(text.answer, device=stage.machine.device)  # (A,), the end mark included
    with torch.no_grad():
        ecg, lengths = system.ecg_prefix([0])  # (1, T + 2, d)
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
start = {**inputs, "lora": lora["without"], "prefix": warmed_up}
tuned = stage.step("tuned_without", train_system.train, settings["training"], start)

# %% tags=["plumbing"]
stage.losses({"heartllm": stage.input("06", "tuned"), "heartllm_no_pretraining": tuned})

# %% tags=["redraw"]
history = stage.read("history")
stage.figure(
    "loss",
    curves.loss(history, ylabel="Loss (nats per word piece)"),
    history,
    f"Tuning loss of both arms over {history['step'].max() + 1} steps on the same batches. "
    "Faint: single steps; strong: running mean.",
    "Two loss curves against the training step, with and without token pretraining.",
)

# %% [markdown]
# **What to see.** Check whether the arm without pretraining begins higher, and whether it catches
# up. Curves that end together leave little room for a difference on the test questions.
#
# ## The same questions, the same reports

# %%
asked = pd.read_parquet(inputs["questions"] / "test.parquet")
config = {"rows": sorted(set(asked["row"].tolist())), **settings["writing"]}
out = stage.step("answers_without", write_texts.write, config, {**inputs, "system": tuned})
written = pd.read_parquet(out / "texts.parquet")
reply = written[written["number"] >= 0].set_index("number").loc[asked["number"]]
print("answers:", len(reply), " reports:", int((written["number"] < 0).sum()))

# %% tags=["plumbing"]
cohort, name = Cohort.open(inputs["cohort"]), "heartllm_no_pretraining"
of = cohort.records.iloc[asked["row"]]
length = {"tokens": reply["tokens"], "stop_reason": reply["stop_reason"]}
answers = predictions.build(of, name, seed, asked["item"], asked["answer"], reply["text"], **length)
rows = np.array(config["rows"])
minimum = stage.section("question_sets")["min_positives"]
scored = scored_sample.scorable_findings(cohort, minimum)
reports = written[written["number"] < 0].set_index("row").loc[rows]
records = cohort.records.iloc[rows].reset_index(drop=True)
texts, stated = finding_agreement.read_reports(
    records, cohort.labels[rows], name, seed, reports, scored
)
stage.predictions("texts", texts)
overlap = text_overlap.scores(texts)
saved = stage.predictions("answers", pd.concat([answers, overlap, stated], ignore_index=True))
print("predictions:", saved.name)

# %% [markdown]
# The answers with pretraining are read from the predictions of notebook 06. Both arms answered the
# same questions about the same ECGs, so they are compared question by question.

# %% tags=["redraw"]
before = stage.read("answers", number="06")
both = pd.concat([before[before["method"] == "heartllm"], stage.read("answers")], ignore_index=True)
questions = exact_match.select(both).drop(columns="type")
long = exact_match.summary(questions, seed=seed)
wide = wide_tables.wide(long, "method", "type")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("pretraining", wide, "Exact match [95 % interval].", best)

# %% tags=["redraw"]
arm = dict(list(questions.groupby("method")))
full, ablated = arm["heartllm"], arm["heartllm_no_pretraining"]
drawn = long.rename(columns={"type": "metric"})
titles = {kind: kind for kind in drawn["metric"].unique()} | {"all": "all questions"}
level = {kind: exact_match.chance(full, kind, seed).value for kind in titles}
gain = {kind: exact_match.difference(full, ablated, kind, seed=seed) for kind in titles}
paired = wide_tables.estimates({titles[kind]: one for kind, one in gain.items()}, name="name")
label = "Exact match (share of answers; dashed: chance)"
figure = bars.methods(drawn, titles, 2, label, level, paired, "With minus without pretraining")
n_patients = gain["all"].n
stage.figure(
    "pretraining",
    figure,
    drawn.assign(chance=drawn["metric"].map(level)),
    f"Exact match with and without token pretraining, by kind of question: {len(full)} questions "
    f"about {full['ecg'].nunique()} test ECGs of {n_patients} patients. Dashed: chance, the best "
    "that words alone can reach. Last panel: the paired differences. Whiskers: 95 % intervals "
    "over patients.",
    "Bars of the two arms for each kind of question with a dashed line for chance, and below them "
    "the differences of the arms around a line at zero.",
)

# %% [markdown]
# **What to see.** Look first at the distance of each bar from the dashed line, then at the last
# panel. Two arms at chance cannot show what pretraining is worth.

# %% tags=["redraw"]
table = wide_tables.estimates(gain, name="type").round(4)
stage.table("difference", table, "With minus without token pretraining.")
stage.claim("ablation.pretraining_minus_none.exact_match", **vars(gain["all"]))
above = {name: exact_match.gain(part, seed=seed) for name, part in arm.items()}
caption = "Exact match of each arm minus chance, all questions [95 % interval over patients]."
stage.table("above_chance", wide_tables.estimates(above, name="method").round(4), caption)
for name, value in above.items():
    print(f"{name}: {value.text()} above chance")
table

# %% [markdown]
# ## Reports
#
# The same two models wrote a report of each test ECG. This is the paper's fourth panel, with ROUGE
# and BLEU for the wording and F1 for the findings that a report states.

# %% tags=["redraw"]
kinds = {"rouge_1": "ROUGE-1", "rouge_l": "ROUGE-L", "bleu_4": "BLEU-4", "f1": "F1 of findings"}
overlap = both[both["item"].isin(text_overlap.METRICS)]
stated = both[both["item"].str.startswith("finding:")]
summary = pd.concat(
    [text_overlap.summary(overlap, seed), finding_agreement.summary(stated, seed=seed)]
)
summary = summary[summary["metric"].isin(kinds)].reset_index(drop=True)
wide = wide_tables.wide(summary, "method", "metric")
best = dict.fromkeys(wide.columns.drop("method"), "max")
stage.table("reports", wide, "Reports of both arms [95 % interval over patients].", best)
stage.figure(
    "reports",
    bars.methods(summary, kinds, ncols=2, xlabel="Score"),
    summary,
    f"Reports with and without token pretraining on {overlap['ecg'].nunique()} test ECGs: overlap "
    "of words with the reference, and F1 of the stated findings. Whiskers: 95 % intervals over "
    "patients.",
    "Horizontal bars of the two arms in four panels: ROUGE-1, ROUGE-L, BLEU-4 and F1.",
)

# %% tags=["redraw"]
of = {name: both[both["method"] == name] for name in ("heartllm", "heartllm_no_pretraining")}
reports = {
    metric: bootstrap.paired_difference(
        *(part[part["item"] == metric] for part in of.values()), seed=seed
    )
    for metric in text_overlap.METRICS
}
reports["f1"] = finding_agreement.difference(*of.values(), seed=seed)
table = wide_tables.estimates(reports, name="metric").round(4)
stage.table("report_difference", table, "Reports, with minus without token pretraining.")
table

# %% [markdown]
# **What to see.** Check whether questions and reports agree on the sign. A report has many more
# supervised tokens than an answer, so a small effect may be visible there first.
#
# ## What this ablation can and cannot say


# %% tags=["redraw"]
def verdict(value: bootstrap.Estimate) -> str:
    """Which arm is ahead, by the interval."""
    if value.low > 0:
        return "better with pretraining"
    return "worse with pretraining" if value.high < 0 else "no difference is established"


width = (gain["all"].high - gain["all"].low) / 2
print(f"- Questions: {gain['all'].text()}, {verdict(gain['all'])}.")
for metric, name in (("f1", "F1 of findings"), ("rouge_l", "ROUGE-L")):
    print(f"- Reports, {name}: {reports[metric].text()}, {verdict(reports[metric])}.")
replies = [part.sort_values(["ecg", "item", "target"])["prediction"] for part in (full, ablated)]
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
    print(f"- Of the two arms, only one is clearly above chance; {weak[0]} is not.")
else:
    print("- Both arms are above chance, so the questions do test pretraining.")

# %% tags=["redraw"]
training, tuning = (
    stage.section(name)["training"] for name in ("pretraining", "instruction_tuning")
)
print(f"- Budget: {training['steps'] * training['batch']} ECG views in pretraining and")
print(f"  {tuning['steps'] * tuning['batch']} in tuning. The released pretraining reads 70 % of")
print("  78,358 ECGs once.")
print(f"- One training per arm, with seed {seed}. The interval covers patients. The difference of")
print("  two trainings also varies with the seed, and that part is not in the interval.")

# %% [markdown]
# Three limits do not depend on the numbers.
#
# - The warm-up, which is ours, comes between pretraining and tuning in both arms. The paper has no
#   such step. The comparison is therefore an ablation of our variant, not the paper's ablation.
# - The arms also differ in the LoRA from which tuning starts. A difference cannot be attributed to
#   the tokens alone.
# - The other bars of the paper's figure are missing, as the first table says. Nothing follows here
#   about tabular features or about discrete against continuous tokens.
#
# ## What it means

# %% tags=["redraw"]
words = {"better with pretraining": "Yes", "worse with pretraining": "No"}
answer = words.get(verdict(gain["all"]), "It is not shown")
print(f"Is token pretraining worth its time? {answer}, on {len(full)} questions about")
print(f"{full['ecg'].nunique()} ECGs: exact match changes by {gain['all'].text()}.")
print(
    f"Before tuning, {100 * kept:.0f} % of pretraining's change in the embeddings is left, beside"
)
print(f"a warm-up that moved them {times:.1f} times as far.")

# %% [markdown]
# A fair test needs three things that a small run does not have: a tuned model that is well above
# chance, an arm without the warm-up, and several training seeds per arm.
#
# ## Try it yourself
#
# - In the cell that prints the ratio, replace `used` by `moves` and run it together with the cell
#   before. Codes that never occur in training are then included. The warm-up hardly moves them, so
#   the means change.
# - In the cell of one question, change `.iloc[0]` to `.iloc[5]` and run it. The shapes change with
#   the words, and both arms still agree with the library.
# - In the cell of the difference, replace `exact_match.gain(part, seed=seed)` by
#   `exact_match.gain(part, "verify", seed)` and run it. It shows whether one kind of question is
#   above chance.
#
# Previous: [06_instruction_tuning](06_instruction_tuning.py). Next:
# [08_alignment](08_alignment.py).

# %% tags=["plumbing"]
stage.finish()
