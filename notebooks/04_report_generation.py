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
# # Can a language model write a report from ECG tokens, and does the report depend on the ECG?
#
# | | |
# |---|---|
# | reads | the cohort (01), QINCo and its codes (02) |
# | writes | questions, the language model, ECG-Tok and its controls, reports, Table 1 of this run |
# | paper items | ECG-Tok, section 2.3 and Table 1 (with floors, controls and a template writer) |
# | time | 21 s in `smoke`, 12 to 16 nominal minutes in `laptop` on two cores |
# | memory | 3 to 11 GB in `laptop`, by processor |
#
# After this notebook you can
#
# - write down how ECG-Tok turns ECG tokens into input vectors of a language model, layer by layer;
# - compute the training loss of one report by hand, and say which word pieces it covers;
# - judge a table of generated reports by its floors, its controls and its ceiling.
#
# Previous: [03_classification](03_classification.py).
# Next: [05_token_pretraining](05_token_pretraining.py).
#
# A fluent report gets some score even if its writer ignored the ECG, because reports repeat
# themselves. Each score in this notebook is therefore compared with three others. A *floor* is the
# score of a simple method that a model must beat, here one without a language model, such as a
# copied report. A *control* is ECG-Tok without the ECG, or with the ECG of another patient. There
# are two *ceilings*: the score of the reference reports themselves when they are read back, and
# that of a *template* that words every true finding.

# %% tags=["plumbing"]
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, gelu, linear

from ecglib.classify import label_thresholds
from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import (
    bootstrap,
    budgets,
    finding_agreement,
    meteor,
    text_overlap,
    wide_tables,
)
from ecglib.figures import bars, curves, style
from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import ABSENT, PRESENT
from ecglib.language import base as base_model
from ecglib.language import bert_score, floors, memoriser, phrase_warm_up
from ecglib.language.adapter import Adapter
from ecglib.language.packing import IGNORE, Text, answer_loss, collate
from ecglib.language.prompt import Prompt
from ecglib.language.system import load_prefix
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.tokenizers.encode import read_codes, read_latents
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws batches, starts of weights, test patients

# %% tags=["plumbing"]
stage = Stage("04", profile, data, seed, tag)
scoring = stage.section("scoring")
print(stage.banner())

# %% [markdown]
# ## The language model is given frozen latent vectors
#
# QINCo's codes (notebook 02) are turned back into T vectors of D numbers each, the sums of their
# codewords. They hold only what the codes hold. Training in this notebook does not change them.

# %%
inputs = {"cohort": stage.input("01", "cohort"), "tokenizer": stage.input("02", "qinco")}
inputs["codes"] = stage.input("02", "qinco_codes")
cohort = Cohort.open(inputs["cohort"])
tokenizer = load(inputs["tokenizer"])
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
z, lengths = read_latents(tokenizer, inputs["codes"], cohort, rows)
print("test ECGs:", len(rows), " latents (ECGs, T, D):", tuple(z.shape))

# %% [markdown]
# ## The adapter, layer by layer
#
# An adapter maps the latents of an ECG to a few vectors that have the size of word embeddings.
# These vectors are the *prefix*: the language model reads them before the first word. The next
# cells compute the adapter by hand, on a toy of two ECGs. The toy has T = 5 positions and D = 8
# channels, and the second ECG is shorter: only its first three positions are valid.
#
# **Projection.** A linear layer widens each latent vector to H = 12 numbers. Layer normalisation
# and GELU follow, and a learned vector per position is added, so that the model knows the order.

# %%
torch.manual_seed(0)
toy = Adapter(dim=8, positions=5, hidden=12, heads=2, vectors=3, width=16, scale=0.1).eval()
latents, valid = torch.randn(2, 5, 8), torch.tensor([5, 3])
padded = torch.arange(5) >= valid[:, None]  # (2, 5), true where the ECG has ended
to_hidden, norm = toy.input_projection[:2]
x = gelu(norm(to_hidden(latents))) + toy.place
print("latents (ECGs, T, D):", tuple(latents.shape), " projected (ECGs, T, H):", tuple(x.shape))


# %% [markdown]
# **Self-attention.** Each position compares its query with the keys of all valid positions, and
# takes the weighted mean of their values. Two heads do this on six channels each. The result is
# added to the input, and the sum is normalised.


# %%
def split_heads(part: torch.Tensor) -> torch.Tensor:
    """(ECGs, T, H) -> (ECGs, heads, T, H / heads)."""
    return part.unflatten(-1, (2, -1)).transpose(1, 2)


attention = toy.attention
projected = linear(x, attention.in_proj_weight, attention.in_proj_bias)  # (2, 5, 3 H)
query, key, value = (split_heads(part) for part in projected.chunk(3, dim=-1))
score = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
weight = score.masked_fill(padded[:, None, None], -torch.inf).softmax(-1)
mixed = (weight @ value).transpose(1, 2).flatten(2)  # the heads side by side again
x = toy.norm(x + attention.out_proj(mixed))
print("attention weights (ECGs, heads, T, T):", tuple(weight.shape), " output:", tuple(x.shape))

# %% [markdown]
# **Pooling with queries.** T vectors per ECG would be too many, because the cost of the language
# model grows with them. Learned queries $q_j$ therefore condense the T positions to a few vectors:
#
# $$ c_j = \sum_t \mathrm{softmax}_t(q_j \cdot x_t)\, x_t $$
#
# **Ours, not the paper's:** the paper pools with the plain mean over its positions, which are
# channels in the released code, and hands the language model one vector per ECG. With one query of
# zeros our formula gives exactly that mean, over time. The setting `vectors` is the number of
# queries.

# %%
score = (toy.queries @ x.transpose(1, 2)).masked_fill(padded[:, None], -torch.inf)
pooling = score.softmax(-1)
pooled = pooling @ x
print("pooling weights (ECGs, vectors, T):", tuple(pooling.shape), " pooled:", tuple(pooled.shape))
one = Adapter(dim=8, positions=5, hidden=12, heads=2, vectors=1, width=16, scale=0.1)
means = torch.stack([part[:n].mean(0) for part, n in zip(x, valid, strict=True)])
assert torch.allclose(one.pool(x, padded)[:, 0], means, atol=1e-6)  # the paper's mean

# %% [markdown]
# **Output projection.** A linear layer brings the vectors to d, the width of a word embedding, and
# normalises them. **Ours, not the paper's:** a learned vector per slot is added, and one learned
# factor sets the size of all. The factor starts at the size of the model's own word embeddings.

# %%
by_hand = toy.gain * (toy.output_projection(pooled) + toy.slots)
prefix, prefix_lengths = toy(latents, valid)
print("prefix (ECGs, vectors, d):", tuple(by_hand.shape), " lengths:", prefix_lengths.tolist())
assert torch.allclose(by_hand, prefix, atol=1e-5)  # all layers together are the library's Adapter

# %% [markdown]
# ## The language model
#
# Each system of this compendium is trained once, on reports and on questions together, and the
# language model learns both. So the questions are drawn here. Notebook 06 explains and asks them.
#
# **Ours, not the paper's:** the language model of a laptop run is small. It is a Llama of a few
# million parameters, with word pieces of its own. It is trained here from nothing, on the reports
# and questions of the training patients and without any ECG. It knows the language of these texts
# and no English. A pretrained model is another entry of `bases` in the profile.
#
# The *perplexity* is the number of equally likely word pieces that would be as hard to guess as the
# next one. A model of the same shape with random weights shows what training has brought. Here the
# reports follow one another without a prompt. The model learned each report alone, behind a prompt
# that names the hospital. So this number is much higher than e to the power of the losses below,
# which are of texts behind their prompts.

# %%
ask = stage.section("questions") | {"rows": rows.tolist()}
measured = {"cohort": inputs["cohort"], "measurements": stage.input("01", "measurements")}
stage.step("questions", balanced_sets.write_questions, ask, measured)
inputs["base"] = stage.inputs("ecg_tok_initial")["base"]
base = base_model.load(inputs["base"], stage.machine)
unseen = cohort.records["report"].iloc[cohort.rows("validation")[:50]]
pieces = [piece for report in unseen for piece in [*base.encode(" " + report), base.eos]]
perplexity = base_model.perplexity(base.model, pieces[:500])
random = base_model.perplexity(base_model.random_like(inputs["base"], seed), pieces[:500])
parameters = sum(p.numel() for p in base.model.parameters())
print(f"{parameters / 1e6:.2f} million parameters, {base.model.config.vocab_size} word pieces")
print(f"perplexity of validation reports {perplexity:.1f}, with random weights {random:.0f}")

# %% [markdown]
# ## One training example as tokens
#
# A training example has four parts: a line about the patient, the prefix of the ECG, a prompt,
# and the report as answer. The prompt names the hospital, because hospitals word their reports
# differently. All systems and controls get the same line and the same prompt. **Ours, not the
# paper's:** ECG-Tok has no line about the patient; HeartLLM has one, and all systems of this
# project read the same words. The table shows what the model reads at each position of
# the first training example, and what it must predict there. Where the table has "-", nothing is
# predicted. Only the pieces of the report and its end mark are targets.

# %%
row = cohort.rows("train")[:1]  # the first training ECG
record = cohort.records.iloc[row[0]]
line = base.encode(Prompt().line(record))
prompt = base.encode(Prompt().report(record["site"]))
answer = [*base.encode(" " + record["report"]), base.eos]
read = [*prompt, *answer[:-1]]  # the end mark is predicted, never read
targets = [IGNORE] * (len(prompt) - 1) + answer
batch = collate([[Text(prompt, answer)]], pad=base.eos)
assert batch.ids[0].tolist() == read and batch.targets[0].tolist() == targets

# %%
vectors = stage.part("ecg_tok").settings["vectors"]
part = ["patient"] * len(line) + ["prefix"] * vectors
part += ["prompt"] * len(prompt) + ["answer"] * (len(answer) - 1)
pieces = [repr(base.tokenizer.decode([i])) for i in line]
pieces += [f"[vector {j + 1}]" for j in range(vectors)]
pieces += [repr(base.tokenizer.decode([i])) for i in read]
wanted = ["-"] * (len(line) + vectors)
wanted += ["-" if i == IGNORE else repr(base.tokenizer.decode([i])) for i in targets]
print(f"{len(line) + len(targets)} text positions, of them {len(answer)} with a target")
pd.DataFrame({"part": part, "read": pieces, "predict": wanted})

# %% [markdown]
# ## From prefix and words to the loss
#
# At each position the model gives a probability to every word piece, given the prefix $c$, the
# prompt and the pieces so far. The loss of a report is the mean negative log-probability of its n
# pieces, the end mark included:
#
# $$ L = -\frac{1}{n} \sum_{i=1}^{n} \log P(w_i \mid c_1 .. c_k, \text{prompt}, w_{<i}) $$
#
# Five lines compute it on the real language model for the example above. The adapter has the random
# weights from which its training starts. `answer_loss` of the library can put several texts into
# one sequence (a *packed row*, see notebook 06), and must give the same number. The line about the
# patient is left out here.

# %%
common = {key: inputs[key] for key in ("cohort", "tokenizer", "codes", "base")}
drawn = stage.make("ecg_tok_initial")
device, embed = base.model.device, base.model.get_input_embeddings()
adapter = load_prefix(drawn).to(device)
one_z, one_length = (part.to(device) for part in adapter.read_ecgs(common, row))
with torch.no_grad(), stage.machine.autocast():
    prefix, prefix_lengths = adapter(one_z, one_length)  # (1, vectors, d)
    words = embed(torch.tensor([read], device=device))  # (1, words, d)
    logits = base.model(inputs_embeds=torch.cat([prefix.to(words.dtype), words], 1)).logits
    scores = logits[0, -len(answer) :].float()  # from the position before the first target on
    by_hand = cross_entropy(scores, torch.tensor(answer, device=device))
    packed = answer_loss(base.model, prefix, prefix_lengths, batch, len(answer))
print("prefix (1, vectors, d):", tuple(prefix.shape), " words (1, L, d):", tuple(words.shape))
print("logits (1, vectors + L, vocabulary):", tuple(logits.shape))
print(f"loss {by_hand:.3f} nats per word piece, by the library {packed:.3f}")
torch.testing.assert_close(by_hand, packed, rtol=0.02, atol=0.02)

# %% [markdown]
# ## LoRA in four lines
#
# A language model is adapted in one of two ways (`adapt` in the profile). The small model of a
# laptop run is trained in full: all its weights change. For a large model this is too expensive,
# and the paper uses LoRA (low-rank adaptation, Hu et al. 2021). The weights W then stay frozen.
# LoRA adds a product of two small matrices to some linear layers, and trains only these:
#
# $$ y = W x + \frac{\alpha}{r} B A x $$
#
# A has r rows and B has r columns; r is the *rank*. B starts at zero, so that training starts from
# the unchanged model. The four lines below are compared with a layer of PEFT, the package that the
# library uses.

# %%
from peft import LoraConfig, get_peft_model

rank, alpha = 2, 4
torch.manual_seed(0)
plain = torch.nn.ModuleDict({"q_proj": torch.nn.Linear(8, 8, bias=False)})
lora_toy = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["q_proj"])
layer = get_peft_model(plain, lora_toy).base_model.model["q_proj"]
x = torch.randn(3, 8)
W, A, B = (part.weight for part in (layer.base_layer, layer.lora_A.default, layer.lora_B.default))
assert torch.allclose(layer(x), x @ W.T, atol=1e-6)  # B is zero: nothing is added yet
torch.nn.init.normal_(B)  # as if it had been trained

frozen = x @ W.T
down = x @ A.T  # (3, 8) -> (3, rank)
up = down @ B.T  # (3, rank) -> (3, 8)
by_hand = frozen + alpha / rank * up
assert torch.allclose(layer(x), by_hand, atol=1e-5)
print("W:", tuple(W.shape), " A:", tuple(A.shape), " B:", tuple(B.shape))

# %% [markdown]
# ## The warm-up on phrases is ours
#
# **Ours, not the paper's:** before the adapter meets the language model, it is trained to point to
# words that reports use. The labels are *phrases*: clauses that many training reports have in
# common. Whether a report has a phrase is a comparison of texts. A *rule labeller*, that is, rules
# that find labels in the text of a report, scores the reports below. It takes no part in the
# warm-up. For each phrase there is a fixed direction in the space of word embeddings, made from the
# embeddings of its word pieces. A logit measures how far a prefix vector points into that
# direction, and a binary cross-entropy compares all logits with the report:
#
# $$ \ell_f = \tfrac14 \langle c_{s(f)} / \text{scale},\ d_f \rangle + b_f $$
#
# The formula has the prefix vector $c_{s(f)}$, the direction $d_f$ of phrase $f$, a learned bias
# $b_f$, and as scale the size of the model's word embeddings. With several prefix vectors, each
# vector serves some of the phrases: $s(f)$ is the vector for phrase $f$. The next cell computes the
# loss of the training example by hand.

# %%
reports = cohort.records["report"].iloc[cohort.rows("train")]
warm_up = stage.run.profile["systems"]["ecg_tok"]["warm_up"] or {"least": 20, "most": 64}
most = min(warm_up["most"], base.width)
phrases = phrase_warm_up.common_phrases(reports, warm_up["least"], most)
print(f"{len(phrases)} phrases, the first ones:", "; ".join(phrases[:5]))
stated_here = phrase_warm_up.has_phrases([record["report"]], phrases)  # (1, phrases)
directions = phrase_warm_up.phrase_directions(base, phrases).cpu()  # (phrases, d)
head = phrase_warm_up.PhraseHead(directions, base.embedding_scale)
c = adapter(one_z, one_length)[0].detach().float().cpu()  # (1, vectors, d)
own = torch.arange(len(phrases)) * vectors // len(phrases)  # s(f): its vector
logits = (c[:, own] / base.embedding_scale * directions).sum(-1) / 4 + head.bias
by_hand = binary_cross_entropy_with_logits(logits, stated_here)
assert torch.allclose(by_hand, head(c, stated_here), atol=1e-5)
named = [phrase for phrase, is_in in zip(phrases, stated_here[0], strict=True) if is_in]
print("the report:", record["report"])
print("phrases in it:", "; ".join(named) or "none")
print(f"loss before the warm-up: {by_hand:.3f} nats per phrase")

# %% [markdown]
# ## Training
#
# The adapter is warmed up on phrases, unless the profile leaves that out, as the paper does. Then
# the adapter and the language model are trained together, with the loss above. Each update has some
# ECGs, each with its report and some questions. The batches walk through epochs, so that every
# training ECG is seen. `stage.make` makes what the profile lists under a name, and first all that
# it reads. It prints a card of each step: the function, its settings, and its inputs.

# %%
system = {"ecg_tok": stage.make("ecg_tok")}

# %% [markdown]
# The control without the ECG has no warm-up. It is then trained for the same number of updates on
# the same batches. A learned constant takes the place of the prefix. The control still reads the
# line about the patient and the name of the hospital, so its reports can differ by age, sex and
# hospital, but not by the ECG. It is the control of all systems in notebooks 04 to 07.

# %%
system["no_ecg"] = stage.make("no_ecg")
stage.losses(system)
spent = stage.data("budget", budgets.read(system))

# %% [markdown]
# ## Writing reports
#
# Reports are written greedily: the most probable piece is taken at each step, up to `max_new`
# pieces. In the *shuffled* control, the trained ECG-Tok reads the ECG of another patient of the
# same hospital. If its reports score as well as ECG-Tok's, the reports do not depend on the ECG.

# %%
records = cohort.records.iloc[rows].reset_index(drop=True)
partner = scored_sample.partners(records, seed)
own, other = rows.tolist(), rows[partner].tolist()
folders = {name: stage.make(f"{name}_texts", rows=own, ecgs=own) for name in system}
folders["shuffled"] = stage.make("ecg_tok_texts", "shuffled_texts", rows=own, ecgs=other)
texts = {name: pd.read_parquet(folder / "texts.parquet") for name, folder in folders.items()}
written = {name: table[table["number"] == -1] for name, table in texts.items()}

# %% [markdown]
# ## Floors that copy a report
#
# *Majority* is the most frequent training report of the hospital. *Nearest neighbour* copies the
# report of the training ECG with the most similar mean latent, from the same hospital. The
# *memoriser* copies in the same way, but compares how often each codeword occurs in the tokens. Of
# many codebooks it counts the first ones alone (in `laptop` two of sixteen), and rare codewords
# weigh more.

# %%
train = cohort.rows("train")
past, sites = cohort.records.iloc[train], records["site"].to_numpy()
places = past["site"].to_numpy(), sites
pooled = floors.mean_pool(*read_latents(tokenizer, inputs["codes"], cohort, train))
nearest = floors.nearest(pooled, floors.mean_pool(z, lengths), *places)
both = np.concatenate([train, rows])
_, ends = read_latents(tokenizer, inputs["codes"], cohort, both)
is_train = np.arange(len(both)) < len(train)
uses = memoriser.code_vectors(read_codes(inputs["codes"], both).numpy(), ends.numpy(), is_train)
alike = floors.nearest(uses[is_train], uses[~is_train], *places)
copied = {"majority": floors.majority_reports(past, records)}
copied |= {"retrieval": past["report"].iloc[nearest], "memoriser": past["report"].iloc[alike]}

# %% [markdown]
# ## A classifier with report templates
#
# Is a language model needed at all? A classifier predicts labels, and each predicted label is
# worded by the templates of the hospital. A label is predicted above a threshold that is chosen on
# validation ECGs, the one with the highest F1 of this label. The classifiers of notebook 03 were
# trained on the true labels of the waveform, which a hospital does not have (on PTB-XL: on the SCP
# codes, of which its reports are made; on MIMIC-IV-ECG: on what the rules read in the same
# reports). These classifiers read:
#
# - *summary numbers* of the ECG, and these with its *median beat*, in a logistic regression;
# - the ECG that is *decoded* from ECG-Tok's tokens, in the network on the raw signal. What this one
#   recognises is in the tokens;
# - the vectors of the tokens, in ECG-Tok's own classifier (*Classifier, true labels*).
#
# One more, *Classifier, report labels*, reads the same vectors. It is trained on what the training
# reports state, as the rule labeller reads it.
#
# The *template* row words the true labels. It is a ceiling for findings, and none for text overlap.

# %%
readers = {name: stage.input("03", f"floor_{name}") for name in ("summary", "median_beat")}
readers = {name: (folder, cohort.labels) for name, folder in readers.items()}
readers["decoded"] = stage.input("03", "decoded_qinco"), cohort.labels
reported = pd.read_parquet(stage.make("report_targets") / "targets.parquet")
readers["probe"] = stage.make("probe"), cohort.labels
readers["probe_reports"] = stage.make("probe_reports"), reported.to_numpy(dtype="int8")
for name, (folder, states) in readers.items():
    scores = pd.read_parquet(folder / "scores.parquet")
    predicted = label_thresholds.predicted_states(scores, states, cohort.rows("validation"), rows)
    copied[name] = floors.template_reports(predicted, sites)
copied["template"] = floors.template_reports(cohort.labels[rows], sites)
for name, reports in copied.items():
    counted = {"tokens": 0, "stop_reason": "none"}
    written[name] = pd.DataFrame({"row": rows, "text": list(reports), **counted})
print("written by:", ", ".join(written))

# %% [markdown]
# ## Predictions: the only input of the evaluation
#
# Each report becomes prediction rows: its overlap with the reference report, and one row per
# finding. Overlap is measured by ROUGE-1 (common words), ROUGE-L (the longest common sequence of
# words), BLEU-4 (common runs of up to four words) and METEOR (aligned words and their stems, with
# synonyms where WordNet is installed). A finding row compares what the rule labeller reads in the
# text with the truth of the waveform. A *hedge* ("consider ...") counts as a statement: right where
# the finding is true, an invention where it is not. A finding can also be uncertain, or impossible
# to assess in this ECG (notebook 03): then it has no row, and a statement about it counts neither
# way. Findings that belong to one disease form one *scored condition* and count once. Only
# conditions with enough test cases are scored (in `laptop` 30). Three findings are left out,
# because a constant report mostly gets them right: sinus rhythm, a regular rhythm, and QRS
# complexes of one shape. The word "normal" is no finding. An empty report states nothing and misses
# every finding. The reference report itself, read back, is scored as if a method had written it.

# %%
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
parts = [
    finding_agreement.read_reports(records, cohort.labels[rows], name, seed, table, scored)
    for name, table in written.items()
]
parts.append(finding_agreement.read_reference(records, cohort.labels[rows], seed, scored))
texts, stated = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
overlap = text_overlap.scores(texts, meteor.open_wordnet())
print(f"{len(scored)} findings:", ", ".join(FINDINGS[label].name for label in scored))

# %% [markdown]
# BERTScore compares two texts by the hidden states of a language model: each word piece of one text
# is matched with the most similar one of the other. The model here is the base of this run, after
# half of its layers, so the numbers cannot be compared with those of other models. They are saved
# with the predictions, because the evaluation below has no model.

# %%
layer = base.model.config.num_hidden_layers // 2
pairs = texts["target"].tolist(), texts["prediction"].tolist()
matched = bert_score.score(base, stage.machine, *pairs, layer)
metric = f"bert_score_{stage.part('ecg_tok').settings['base']}"
bert = texts.assign(target="", prediction="", item=metric, score=matched["f1"].to_numpy())

# %% tags=["plumbing"]
stage.predictions("texts", texts)
stage.predictions("reports", pd.concat([overlap, bert, stated], ignore_index=True))
different = texts.groupby("method")["prediction"].nunique().rename("different").reset_index()
outputs = stage.data("outputs", text_overlap.empty_outputs(texts).merge(different, on="method"))
known = np.isin(cohort.labels[train], (ABSENT, PRESENT)).sum()
seen = stage.data("floors_saw", floors.what_floors_saw(len(train), 0, int(known)))

# %% [markdown]
# ## From here on: saved predictions
#
# Values with a 95 % interval are means over all training seeds of the run, unless a caption says
# otherwise. Losses, costs, examples and counts of single answers are of its own training seed.
#
# Everything above is made and saved. Everything below is computed from what was saved.

# %% tags=["plumbing"]
scores = stage.read("reports")
is_finding = scores["item"].str.startswith("finding:")
stated, overlap = scores[is_finding], scores[~is_finding]
outputs = stage.read("outputs").set_index("method")
n_ecgs, n_patients = stated["ecg"].nunique(), stated["unit"].nunique()
n_conditions = finding_agreement.select_conditions(stated)["item"].nunique()
order = ["majority", "retrieval", "memoriser", "summary", "median_beat", "decoded"]
order += ["probe_reports", "probe", "no_ecg", "shuffled", "ecg_tok", "reference", "template"]
written = set(stated["method"].unique())
order = [name for name in order if name in written]


def of(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    """The rows of one method."""
    return frame[frame["method"] == method]


# %% [markdown]
# ## Did the trainings last too long?
#
# If they had, the loss on validation patients would rise again. The number of updates was set by
# the time of a run. The learning rate falls to zero at the end, so the loss usually falls to the
# end, and cannot show whether more updates would help. The study [longer](studies/longer.py) has
# twice as many for HeartLLM, [four_times](studies/four_times.py) four times as many for ECG-Tok,
# HeartLLM and ECG-Byte.

# %%
history = stage.read("history")
updates = history.loc[history["part"] == "train", "step"].nunique()
caption = (
    f"Loss of ECG-Tok and of its control without the ECG over {updates} updates on the same "
    "batches. Thin: each update; thick: running mean; points: validation patients. One "
    "training seed."
)
ends = history[history["part"] == "validation"].groupby("method")["loss"].last()
alt = "Curves of the loss against the training step, which end on validation patients at "
alt += f"{ends['ecg_tok']:.2f} with the ECG and {ends['no_ecg']:.2f} without it."
figure = curves.loss(history, ylabel="Loss (nats per word piece)")
stage.figure("loss", figure, history, caption, alt)
held = history[history["part"] == "validation"].pivot(index="step", columns="method", values="loss")
last = held.iloc[-1]
print(f"validation loss at the end: {last['ecg_tok']:.3f} with the ECG,", end=" ")
print(f"{last['no_ecg']:.3f} without, in nats per word piece")
print(f"lowest after update {held['ecg_tok'].idxmin()} of {updates} with the ECG")

# %% [markdown]
# **What to see.** Both models can learn the wording of texts. A curve may rise at first, while the
# pretrained model adapts to its new input. At the end the distance between the two shows what the
# ECG adds. A validation curve that rises again at the end means that the training was too long.
#
# The next tables say what each system was given in training, and what the floors read. An *ECG
# view* is one ECG read once. The control reads a learned constant in its place, which counts as a
# view too. The updates of ECG-Tok are those of the warm-up and those with the language model. A
# supervised token is a word piece with a loss. The labels of the warm-up are phrases, and each
# training ECG with such labels is counted once. In the second table `reports` and `answers` count
# the training texts that a floor used, and `states` the known pairs of ECG and label. Its last two
# rows are ceilings, no floors. *Majority* reads the hospital or, of a question, its template
# (notebook 06).

# %%
caption = "What each system was given in training, the warm-up included."
stage.table("budget", budgets.formatted(stage.read("budget")), caption)

# %%
seen = stage.read("floors_saw")
stage.table("floors_saw", seen[seen["method"].isin(order)], "What the floors read.")

# %% [markdown]
# ## Whole reports of a good, a middling and a bad case
#
# Three test ECGs are chosen by a rule and not by hand. All test ECGs with at least one true scored
# finding are ranked by the F1 of the findings in ECG-Tok's report, then by ROUGE-L. The table shows
# the first, the middle and the last of the ranking.

# %%
PLACES = {"best": 0.0, "median": 0.5, "worst": 1.0}  # in the ranking, from 0 to 1

per_ecg = finding_agreement.select_conditions(stated)
per_ecg = per_ecg.groupby(["method", "ecg"])[finding_agreement.COUNTS].sum()
per_ecg["f1"] = finding_agreement.measure("f1", per_ecg.to_numpy(dtype=float))
rouge = overlap[overlap["item"] == "rouge_l"].set_index(["method", "ecg"])["score"]
per_ecg["rouge_l"] = rouge.reindex(per_ecg.index)
ranked = per_ecg[per_ecg["tp"] + per_ecg["fn"] > 0].loc["ecg_tok"]
ranked = ranked.sort_values(["f1", "rouge_l"], ascending=False, kind="stable").index
places = {name: round(place * (len(ranked) - 1)) for name, place in PLACES.items()}
cases = {name: ranked[place] for name, place in places.items() if len(ranked)}
print(f"{len(ranked)} of {n_ecgs} test ECGs have a true finding that is scored")

# %%
lines = []
if stage.has("texts"):
    texts = stage.read("texts").set_index(["ecg", "method"])
    for case, ecg in cases.items():
        text = texts.loc[ecg]
        for method in ("reference", "template", "ecg_tok", "no_ecg", "shuffled", "retrieval"):
            f1, rouge_l = per_ecg.loc[(method, ecg), ["f1", "rouge_l"]].map("{:.2f}".format)
            report = text.loc[method, "prediction"]
            lines.append((case, style.method(method).name, report, f1, rouge_l))
    columns = ["case", "writer", "report", "finding F1", "ROUGE-L"]
    with pd.option_context("display.max_colwidth", None):
        display(pd.DataFrame(lines, columns=columns).set_index(["case", "writer"]))
else:
    print("The texts of this run are not here: reports of real patients are not published.")

# %% [markdown]
# **What to see.** Read the reference first (*Reference read back*), then the template, which states
# all true findings. The F1 cannot be counted from the texts alone: findings that are not scored, or
# cannot be assessed in this ECG, count neither way. A report that stops inside a sentence reached
# the limit of word pieces. The reference can omit true findings, so a report can score well on
# findings and badly on ROUGE-L, or the other way round. Then compare ECG-Tok with the controls. A
# true finding that ECG-Tok states and no control states probably came from the ECG. A finding that
# the no-ECG control states as well may be a habit of the reports.

# %%
for method in ("ecg_tok", "no_ecg", "shuffled", "retrieval"):
    wrote = outputs.loc[method]
    name = style.method(method).name
    print(f"{name}: {wrote['different']} different reports for {wrote['n']} ECGs")

# %% [markdown]
# ## Table 1 of this run
#
# Macro-F1 is the mean F1 of the conditions. Precision, recall and F1 are micro-averages: true and
# false statements are added up over all ECGs and conditions first. ROUGE, BLEU-4, METEOR and
# BERTScore are means over ECGs; the corpus BLEU adds up word runs over all ECGs first. Where the
# run has siblings, which were trained with other seeds, values are means over the seeds. The
# small language model that scores is another one in each seed, and gives the same text another
# BERTScore. So a row of one seed and a row of three are compared by the other columns. A text
# that is compared with itself can stay below 1: a report of fewer than four words has no run of
# four for BLEU-4, and METEOR takes a little off in short texts. *METEOR no synonyms* was computed
# without WordNet, *BERT score small* with the small language model of this run.
#
# Studies add systems for the same ECGs, where they have been run:
#
# - [table_1](studies/table_1.py): ECG-Byte and ECG-Tok on reports alone, behind the fixed prompt
#   "Report of site A:" and behind no prompt. *ECG-Byte* itself is the system of notebook 06.
#   *ECG-Tok, no prompt* learns the reports of both hospitals. In `laptop` it trains all weights, as
#   the paper's final model does; in `gpu` it has a LoRA.
# - [two_stage](studies/two_stage.py): the opponents of ECG-Byte that have one vector per ECG.
#   *MERL* and *CLIP, one vector* are encoders trained on pairs of ECGs and reports. *ViT* is a
#   transformer that reads the ECG as a picture, cut into patches. *CLIP + ViT* has both.
# - [prefix](studies/prefix.py): ECG-Tok in the paper's form, which means one vector, no warm-up and
#   a LoRA; much else remains ours.
# - [final_model](studies/final_model.py): *trained at both, LoRA* learns reports alone, of both
#   hospitals, and trains a LoRA instead of all weights. The system with which the study compares
#   it, with all weights, is not in this table. *ECG-Tok, no prompt* is another training of that.
# - [large_model](studies/large_model.py): ECG-Tok and its control on SmolLM2, a model of 134
#   million parameters, and ECG-Tok on the small model (*few updates*). All three train a LoRA for
#   150 updates with the language model, where ECG-Tok itself has more (table above).
# - [instruct](studies/instruct.py) and [instruct_byte](studies/instruct_byte.py): ECG-Tok and
#   ECG-Byte on SmolLM2, asked by its chat template (*chat*), after as many updates. These are the
#   paper's rows *inst.*, at a small size. Two trainings of *ECG-Tok on SmolLM2* differ by more than
#   this one and the chat do (study `instruct`). After so few updates ECG-Byte's chat does not use
#   the ECG yet (study `instruct_byte`).
#
# Their BERTScore, of one training seed, is of the study [word_scores](studies/word_scores.py),
# which also asks what scores of words say about findings. *Nearest neighbour* copies the report of
# the training ECG with the most similar mean latent. The column `empty` counts reports without a
# word. A dash means that a number is undefined or was not computed here.

# %%
scores = stage.read_seeds("reports")
items = {item for item in scores["item"].unique() if not item.startswith("bert_score")}
for study, chat in {"instruct": "ecg_tok_chat", "instruct_byte": "ecg_byte_chat"}.items():
    joined = stage.join_study(study, "reports", scores, items)[len(scores) :]
    scores = pd.concat([scores, joined[joined["method"] == chat]], ignore_index=True)
for study in ("two_stage", "table_1", "prefix", "final_model", "large_model"):
    saved = "answers" if study == "two_stage" else "reports"
    scores = stage.join_study(study, saved, scores, items)
own = scores[scores["item"].str.startswith("bert_score")]
more = stage.join_study("word_scores", "bert_score", own)
scores = pd.concat([scores, more[~more["method"].isin(own["method"])]], ignore_index=True)
FURTHER = ["merl", "vit", "clip_two_stage", "clip_vit", "ecg_byte_none", "ecg_byte_fixed"]
FURTHER += ["ecg_byte", "no_ecg_smollm2", "ecg_byte_chat", "ecg_tok_chat", "ecg_tok_smollm2"]
FURTHER += ["ecg_tok_brief", "ecg_tok_paper", "ecg_tok_lora", "ecg_tok_none", "ecg_tok_fixed"]
known = set(scores["method"].unique())
joined = [name for name in FURTHER if name in known]
systems = [*order[: order.index("ecg_tok")], *joined, *order[order.index("ecg_tok") :]]
is_finding = scores["item"].str.startswith("finding:")
all_stated, all_overlap = scores[is_finding], scores[~is_finding]
long = pd.concat(
    [finding_agreement.summary(all_stated, seed=seed), text_overlap.summary(all_overlap, seed)]
)
over = finding_agreement.macro_f1(of(all_stated, "ecg_tok"), seed=seed).over
metrics = ["macro_f1", *finding_agreement.MEASURES, *text_overlap.METRICS, text_overlap.CORPUS]
known = set(long["metric"].unique())
metrics += sorted(name for name in known if name.startswith("bert_score"))
metrics = [name for name in metrics if name in known]
long = long.set_index(["method", "metric"])
listed = [(m, k) for m in systems for k in metrics if (m, k) in long.index]
long = long.loc[listed].reset_index()
table1 = wide_tables.wide(long, "method", "metric")
empty = outputs["empty"].reindex(systems).map("{:.0f}".format, na_action="ignore")
table1["empty"] = empty.fillna("-").to_numpy()
table1 = wide_tables.with_seeds(table1, long, "method")
best = dict.fromkeys(metrics, "max")
note = stage.studies_note(long)
stage.table("table1", table1, f"Report generation: value [95 % interval over {over}].{note}", best)

# %% [markdown]
# The next table has the numbers of the paper's Table 1. They are not comparable with ours: other
# ECGs, other reports, larger language models, and metrics of other definitions. What the paper
# calls precision, recall and F1 are BERTScores, as its code computes them. *Inst.* is an
# instruction before the ECG, with an instruct model; the study [table_1](studies/table_1.py) asks
# what an instruction changes here, and [instruct](studies/instruct.py) what a chat template changes
# on an instruct model.

# %%
from ecglib.figures.printed import ECG_TOK_TABLE_1

caption = "Table 1 as ECG-Tok's paper prints it, on MIMIC-IV-ECG. Not comparable with this run."
stage.table("paper", ECG_TOK_TABLE_1, caption)

# %%
drawn = long[long["metric"].isin(["macro_f1", "rouge_l"])]
ROWS = {
    "merl": "MERL, ViT and CLIP make one vector of an ECG. ",
    "ecg_tok_none": "Fixed prompt, no prompt: reports alone, behind four words or behind none. ",
    "ecg_tok_paper": "Paper form: one vector, no warm-up, a LoRA. ",
    "ecg_tok_lora": "Trained at both: reports of two hospitals, by a LoRA. ",
    "ecg_tok_brief": "Few updates: a LoRA of the small model after 150 updates. On SmolLM2: one "
    "of SmolLM2 after as many. ",
    "ecg_tok_chat": "Chat: SmolLM2, asked by its chat template. ECG-Tok on SmolLM2 is from another "
    "study; a second training of it stands beside the chat in the study instruct. ",
}
explained = "".join(text for name, text in ROWS.items() if name in joined)
titles = {"macro_f1": "Macro-F1 of findings", "rouge_l": "ROUGE-L"}
caption = (
    f"Macro-F1 over {n_conditions} conditions, and overlap with the reference report (ROUGE-L), on "
    f"{n_ecgs} test ECGs of {n_patients} patients. Nearest neighbour and Memoriser copy the report "
    "of a similar training ECG. Summary numbers, Median beat, Decoded (which reads what the tokens "
    "decode to) and the rows named Classifier find findings and word them by "
    f"templates. No ECG and Shuffled ECG are controls. {explained}Whiskers: 95 % intervals over "
    f"{over}."
    f"{stage.studies_note(long, bars.ONE_SEED)}"
)
reach = drawn[drawn["metric"] == "macro_f1"].set_index("method")["value"]
alt = "Two panels of horizontal bars, one bar per method. Macro-F1: "
alt += "; ".join(f"{style.method(name).name} {value:.2f}" for name, value in reach.items()) + "."
stage.figure("reports", bars.methods(drawn, titles, ncols=2, xlabel="Score"), drawn, caption, alt)

# %% [markdown]
# **What to see.** The lines below sort the methods by the paired difference of macro-F1, ECG-Tok
# minus the method, on the same patients. A method is on neither side where the interval covers
# zero.

# %%
level = long[long["metric"] == "macro_f1"].set_index("method")["value"]
own, gaps = of(all_stated, "ecg_tok"), {}
for name in level.index.drop("ecg_tok"):
    gaps[name] = finding_agreement.difference(own, of(all_stated, name), "macro_f1", seed)
below = [style.method(name).name for name, gap in gaps.items() if gap.low > 0]
above = [style.method(name).name for name, gap in gaps.items() if gap.high < 0]
print(f"ECG-Tok: {level['ecg_tok']:.3f}")
print(f"below it: {'; '.join(below) or 'none'}")
print(f"above it: {'; '.join(above) or 'none'}")
near = [style.method(name).name for name in gaps]
near = [name for name in near if name not in (*below, *above)]
print(f"on neither side: {'; '.join(near) or 'none'}")

# %% [markdown]
# A floor that is not below ECG-Tok is not shown to be worse. The reports of ECG-Tok are then not
# shown to need a language model. A control that is not below it is not shown to be worse either,
# and the reports are not shown to need the ECG. A classifier with templates above ECG-Tok means
# that findings can be read which the language model does not write; *decoded* says that they are in
# the tokens. The template's ROUGE-L can be below 1, because a reference report chooses among
# wordings and omits findings. A missing precision means that the method stated no finding that is
# scored.
#
# The next table has ECG-Tok beside a floor that copies and one that classifies. *Cases* are the
# true ones of the test set. A finding is listed with ten cases or more. The scores above need
# more, but of a condition, which can have several findings: `scoring: min_positives` of the
# profile, 30 in `laptop`. The finding with the lowest
# recall of ECG-Tok is first. The table `04_recall_by_finding` has the recall of all methods.

# %%
by_finding = finding_agreement.by_finding(stated)
recall = by_finding.pivot(index="label", columns="method", values="recall")[order]
true = by_finding[by_finding["method"] == "template"].set_index("label")
recall.insert(0, "cases", true["tp"] + true["fn"])
recall.insert(0, "finding", [FINDINGS[label].name for label in recall.index])
stage.table("recall_by_finding", recall.reset_index().round(3), "Recall by finding.")
enough = recall[recall["cases"] >= 10].sort_values("ecg_tok", kind="stable")
beside = enough[["finding", "cases"]]
for method in ("ecg_tok", "retrieval", "decoded"):
    one, name = by_finding[by_finding["method"] == method], style.method(method).name
    one = one.set_index("label")[["recall", "precision"]]
    beside = beside.join(one.add_prefix(f"{name}: "))
caption = (
    "Recall and precision of findings in reports, the lowest recall of ECG-Tok first. The run's "
    "own training seed, without intervals; notebook 09 has ECG-Tok over all seeds."
)
stage.table("by_finding", beside.reset_index(drop=True), caption).round(2)

# %%
rank = [f"{line.finding} {line.ecg_tok:.2f}" for line in enough.itertuples()]
print(f"{len(rank)} findings have ten test cases or more.")
if rank:
    never = enough.loc[enough["ecg_tok"] == 0, "finding"]
    print(f"- ECG-Tok names no true case of {len(never)} of them:", "; ".join(never) or "-")
    print("- ECG-Tok's recall is highest for:", ", ".join(rank[-3:]))

# %% [markdown]
# ## The ECG's contribution: paired differences
#
# Each difference is taken on the same patients, so that easy and hard patients cancel. The claims
# were registered before the run. They are judged one by one here; Holm's correction (notebook 03)
# over the whole run is in notebook 09. Finding F1 is the macro-F1 over conditions. The share of the
# reference says how far ECG-Tok comes from the better of the floors *majority* and *nearest
# neighbour* to what the reference reports themselves score when they are read back.

# %%
rouge = all_overlap[all_overlap["item"] == "rouge_l"]
gain = {}
for control in ("no_ecg", "shuffled"):
    gain[f"report.ecg_minus_{control}.rouge_l"] = bootstrap.paired_difference(
        of(rouge, "ecg_tok"), of(rouge, control), seed=seed
    )
opponents = {"no_ecg": "ecg_minus_no_ecg", "shuffled": "ecg_minus_shuffled"}
opponents |= {"retrieval": "ecg_tok_minus_retrieval", "decoded": "ecg_tok_minus_templates"}
for opponent, name in opponents.items():
    gain[f"report.{name}.finding_f1"] = finding_agreement.difference(
        of(all_stated, "ecg_tok"), of(all_stated, opponent), "macro_f1", seed
    )
copying = {name: of(all_stated, name) for name in ("majority", "retrieval")}
gain["report.share_of_reference.finding_f1"] = finding_agreement.share_of_reference(
    of(all_stated, "ecg_tok"), copying, of(all_stated, "reference"), "macro_f1", seed
)

# %%
for name, estimate in gain.items():
    stage.claim(name, **vars(estimate))
stage.table("gains", wide_tables.estimates(gain, name="claim").round(4), "Paired differences.")
stage.print_claims(only=gain)

# %% [markdown]
# ## Tokens beside encoders without tokens
#
# Two studies have opponents that make no tokens of an ECG. In [two_stage](studies/two_stage.py) an
# encoder gives one vector per ECG. In [systems](studies/systems.py) a network gives one vector per
# patch, of 64 ms in `laptop` and 32 ms in `gpu`. Those of two_stage are adapted as ECG-Tok is (all
# weights in `laptop`, a LoRA in `gpu`), those of systems by HeartLLM's LoRA. Where they have been
# run, the table has ECG-Tok minus each of them, on the same ECGs. The study
# [without_tokens](studies/without_tokens.py) trains the two strongest of them, MERL and CLIP, three
# times. It has the registered claims.

# %%
WITHOUT = ["merl", "clip_two_stage", "clip_vit", "vit", "clip", "test", "time_llm"]
encoded = stage.join_study("systems", "answers", scores, items)
beside, short = [], {"macro_f1": [], "rouge_l": []}
has = encoded["method"].unique()
for name in [name for name in WITHOUT if name in has]:
    pair = [encoded[encoded["method"] == method] for method in ("ecg_tok", name)]
    facts = [part[part["item"].str.startswith("finding:")] for part in pair]
    words = [part[part["item"] == "rouge_l"] for part in pair]
    gaps = {"macro_f1": finding_agreement.difference(*facts, "macro_f1", seed)}
    gaps["rouge_l"] = bootstrap.paired_difference(*words, seed=seed)
    for measure, gap in gaps.items():
        line = {"opponent": style.method(name).name, "measure": measure}
        beside.append(line | {"difference": gap.text(), "seeds of ECG-Tok": gap.seeds})
        below = " (ECG-Tok is below it)" if gap.high < 0 else ""
        short[measure] += [line["opponent"] + below] if gap.low <= 0 else []
if beside:
    caption = (
        "ECG-Tok minus systems without tokens: one unquantised vector of an encoder (MERL, ViT, "
        "CLIP, one vector, CLIP + ViT) or one per patch (CLIP; TEST, aligned with prototypes of "
        "words; Time-LLM, which writes patches of the signal as mixtures of words). Paired "
        f"difference [95 % interval over {over}]; one training of each opponent; not registered."
    )
    display(stage.table("encoders_beside", pd.DataFrame(beside), caption + stage.studies_note()))
    for measure, names in short.items():
        print(f"- {titles[measure]}: no gain of tokens is shown over", end=" ")
        print(f"{'; '.join(names) or 'none of them'}.")
    print("- Each opponent was trained once; the study without_tokens trains two three times.")

# %% [markdown]
# ## What it means

# %%
f1 = {name: finding_agreement.macro_f1(of(all_stated, name), seed=seed).text() for name in order}


def verdict(difference: bootstrap.Estimate) -> str:
    """Whether the 95 % interval excludes zero."""
    if difference.low > 0:
        return "its interval is above zero"
    return "its interval is below zero" if difference.high < 0 else "its interval includes zero"


# %%
moved, above = (gain[f"report.{name}.finding_f1"] for name in list(opponents.values())[1:3])
print(f"- Finding F1: {f1['ecg_tok']} with the ECG, {f1['no_ecg']} without, {f1['shuffled']} with")
print(f"  another patient's ECG. The nearest neighbour has {f1['retrieval']}.")
print(f"- Own minus another patient's ECG: {moved.text()}; {verdict(moved)}.")
print(f"- ECG-Tok minus nearest neighbour: {above.text()}; {verdict(above)}.")
share = gain["report.share_of_reference.finding_f1"]
print("- Share of the way from the better copied report (the commonest, or the nearest", end=" ")
print(f"neighbour's) to the reference: {share.text(2)}.")
if "memoriser" in order:  # it copies, too, but is no registered floor
    pair = of(all_stated, "ecg_tok"), of(all_stated, "memoriser")
    gap = finding_agreement.difference(*pair, "macro_f1", seed)
    print(f"- The memoriser copies another report: {f1['memoriser']}. ECG-Tok minus it:", end=" ")
    print(f"{gap.text()}; {verdict(gap)}.")
    pair = pair[0], {"memoriser": pair[1]}, of(all_stated, "reference")
    share = finding_agreement.share_of_reference(*pair, "macro_f1", seed)
    print(
        f"  From the memoriser, ECG-Tok comes {share.text(2)} of the way to the reference;", end=" "
    )
    print("the registered claim has the other two floors.")
for name in ("summary", "median_beat", "decoded", "probe_reports", "probe"):
    if name in order:
        pair = of(all_stated, "ecg_tok"), of(all_stated, name)
        gap = finding_agreement.difference(*pair, "macro_f1", seed)
        print(f"- {style.method(name).name}, templates: {f1[name]}.", end=" ")
        print(f"ECG-Tok minus it: {gap.text()}; {verdict(gap)}.")
print(f"- Empty reports of ECG-Tok: {int(outputs.loc['ecg_tok', 'empty'])} of {n_ecgs}.")

# %% [markdown]
# An interval above zero for "own minus another patient's ECG" means that the reports depend on the
# ECG. One that includes zero means that this run cannot show it. Intervals cover the test patients,
# and the training seeds of the run; with one seed they do not cover the training. Two limits hold
# for each data set:
#
# - The warm-up is ours. Its labels are phrases of the training reports. The
#   [study prefix](studies/prefix.py) trains ECG-Tok without it, and in the paper's form (one
#   vector, no warm-up, a LoRA).
# - Several prefix vectors are ours too; the paper uses one. The profile `gpu` has one vector and no
#   warm-up.
#
# One more holds for each kind of data:
#
# - In a run on `synthetic` data both the ECGs and the reports come from a simulator, so the scores
#   are not comparable with the paper's Table 1.
# - On PTB-XL labels and reference reports are both made from the SCP codes. So "the truth of the
#   waveform" is what the codes say, the reference's own score shows only how well the labeller
#   reads them, and ROUGE counts the wording of codes, not a cardiologist's words.
# - On MIMIC-IV-ECG the rules read the labels in the reports, and the scorer reads reports by the
#   same rules. So the reference read back is near 1 by construction, and the way from a floor to
#   the reference is longer there than on simulated ECGs.

# %% [markdown]
# ## Try it yourself
#
# 1. In the first cell of "The adapter, layer by layer", set `vectors=1`. Run it and the three cells
#    below it. What are the pooling weights now (print `pooling`)?
# 2. In "LoRA in four lines", replace `torch.nn.init.normal_(B)` by `torch.nn.init.zeros_(B)` and
#    run the cell. What is `layer(x)` now?
# 3. In "Whole reports", set `PLACES = {"upper quarter": 0.25, "lower quarter": 0.75}` and run the
#    two cells. Which reports does the table show?
#
# <details><summary>What happens</summary>
#
# 1. Equal over the valid positions: this is the paper's mean.
# 2. Equal to `x @ W.T`: an untrained LoRA changes nothing.
# 3. The ranking is the same, and the table shows two reports between its extremes.
#
# </details>
#
# Previous: [03_classification](03_classification.py).
# Next: [05_token_pretraining](05_token_pretraining.py).

# %% tags=["plumbing"]
stage.finish()
