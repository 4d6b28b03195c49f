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
# # Do more byte pairs make ECG-Byte answer better?
#
# | | |
# |---|---|
# | reads | cohort (01), byte pairs (02), language model (04), what was saved of ECG-Byte (06) |
# | writes | ECG-Byte with fewer and with more merges; how well pairs predict unseen ECGs |
# | paper items | ECG-Byte: answers by the number of merges; perplexity of the symbols |
# | time | a minute in `smoke`; some 50 nominal minutes in `laptop`, with 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - say what a merge changes for the language model: length of the text, size of the vocabulary;
# - say why perplexities of two vocabularies cannot be compared, and bits per second can;
# - tell whether ECG-Byte's answers depend on the number of merges.
#
# A *merge* makes one symbol of two that often follow each other. More merges write an ECG in fewer
# symbols, of more kinds. So a language model reads a shorter text, and sees each symbol less often.
# The released code learns 3,500 merges. Other numbers occur in its scripts, and the abstract names
# none. Byte pairs are explained in [02_tokenizers](../02_tokenizers.py), ECG-Byte in
# [06_instruction_tuning](../06_instruction_tuning.py).

# %% tags=["plumbing"]
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, budgets, exact_match, finding_agreement, wide_tables
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import bars, curves, size_curves, style
from ecglib.language import ecg_byte, write_texts
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.signals.leads import RATE
from ecglib.tokenizers import bpe
from ecglib.tokenizers.encode import chunks
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-merges"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, scoring = stage.section("study"), stage.section("scoring")

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## Fewer and more merges
#
# Merges are learned one after the other, so a tokenizer with few merges is the beginning of one
# with many. All are learned from the same training ECGs as the run's.

# %%
only, sizes = {"cohort": cohort_folder}, stage.section("bpe")
folders = {"run": stage.input("02", "bpe")}
for name in ("few", "many"):
    config = sizes | {"merges": round(settings[name] * sizes["merges"])}
    folders[name] = stage.step(f"bpe_{name}", bpe.fit_bpe, config, only)
pairs = {name: load(folder) for name, folder in folders.items()}
rates = {name: tokenizer.rate() for name, tokenizer in pairs.items()}
shared = min(len(pairs["run"].merges), len(pairs["many"].merges))
assert (pairs["run"].merges[:shared] == pairs["many"].merges[:shared]).all()
for name, rate in rates.items():
    print(f"{name}: {rate.vocabulary_size:,} kinds of symbols,", end=" ")
    print(f"{rate.tokens_per_ecg:,} symbols per ECG")

# %% [markdown]
# ## How well a table of pairs predicts an unseen ECG
#
# The *unigram* knows how frequent each symbol is. The *bigram* also knows which symbol came before:
#
# $$P(b \mid a) = \frac{n_{ab} + \lambda \, P(b)}{n_a + \lambda}$$
#
# $n_{ab}$ counts how often $b$ follows $a$ in training ECGs. The more merges, the rarer each pair,
# and the more the single symbols must help out: their strength $\lambda$ is chosen on validation
# ECGs. Notebook 05 does the same with HeartLLM's tokens.


# %%
def table_of_pairs(texts: list[np.ndarray], size: int) -> tuple[np.ndarray, dict]:
    """P(b), (size,), and the counts by key, sorted: key a has n_a, size + a * size + b has n_ab."""
    prior = np.bincount(np.concatenate(texts), minlength=size) + 1.0
    seen = np.concatenate([size + text[:-1] * size + text[1:] for text in texts])
    before = np.concatenate([text[:-1] for text in texts])
    keys, counts = np.unique(np.concatenate([before, seen]), return_counts=True)
    return prior / prior.sum(), {"keys": keys, "counts": counts}


def count(table: dict, keys: np.ndarray) -> np.ndarray:
    """How often each key was seen."""
    place = np.minimum(np.searchsorted(table["keys"], keys), len(table["keys"]) - 1)
    return np.where(table["keys"][place] == keys, table["counts"][place], 0)


def bits(text: np.ndarray, prior: np.ndarray, table: dict, strength: float) -> float:
    """-log2 P of a text (T,) by the bigram; its first symbol by the unigram."""
    a, b, size = text[:-1], text[1:], len(prior)
    chance = (count(table, size + a * size + b) + strength * prior[b]) / (
        count(table, a) + strength
    )
    return -np.log2(prior[text[0]]) - np.log2(chance).sum()


# %% [markdown]
# A toy text of two symbols shows that the function does what the formula says.

# %%
toy = np.array([0, 1, 0, 1, 1])
prior, table = table_of_pairs([toy], 2)
by_hand = -np.log2(prior[0]) - np.log2((2 + 1.0 * prior[1]) / (2 + 1.0))  # of the text 0 1
print(f"by hand {by_hand:.4f} bits, by the function {bits(toy[:2], prior, table, 1.0):.4f}")
assert np.isclose(by_hand, bits(toy[:2], prior, table, 1.0))


# %%
def texts_of(tokenizer: bpe.BPETokenizer, part: str) -> list[np.ndarray]:
    """The symbols of the first ECGs of a part of the split, one array per ECG."""
    chosen, written = cohort.rows(part)[: settings[f"{part}_ecgs"]], []
    for group, n_valid in chunks(cohort, chosen):
        codes = tokenizer.encode(torch.from_numpy(cohort.signals(group)), n_valid)[..., 0].numpy()
        written += [text[text != bpe.PADDING] for text in codes]
    return written


# %%
test_rows, most, predicted = cohort.rows("test")[: settings["test_ecgs"]], pairs["many"], []
about = cohort.records.iloc[test_rows][["unit", "ecg"]].to_dict("list")
seconds = cohort.records["n_valid"].to_numpy()[test_rows] / RATE
learned = [round(share * sizes["merges"]) for share in settings["counted"]]
for number in sorted({min(number, len(most.merges)) for number in learned}):
    symbols = most.symbols[: len(most.symbols) - len(most.merges) + number]
    tokenizer = bpe.BPETokenizer(most.bins, symbols, most.merges[:number])
    texts = {part: texts_of(tokenizer, part) for part in ("train", "validation", "test")}
    prior, table = table_of_pairs(texts["train"], len(symbols))
    tried = [
        sum(bits(text, prior, table, strength) for text in texts["validation"])
        for strength in settings["strengths"]
    ]
    strength = settings["strengths"][int(np.argmin(tried))]
    line = {"merges": number, **about, "symbols": [len(text) for text in texts["test"]]}
    line |= {"seconds": seconds, "strength": strength}
    line["unigram"] = [-np.log2(prior[text]).sum() for text in texts["test"]]
    line["bigram"] = [bits(text, prior, table, strength) for text in texts["test"]]
    predicted.append(pd.DataFrame(line))
predicted = stage.data("predicted", pd.concat(predicted, ignore_index=True).round(2))
predicted.groupby("merges")[["symbols", "unigram", "bigram", "strength"]].mean().round(1)

# %% [markdown]
# ## Three more trainings of ECG-Byte
#
# *Few* has a tenth of the merges and reads as many seconds as the run's ECG-Byte, so its text is
# longer. *Few, short* reads fewer seconds, so that its text is about as long as the run's. *Many*
# has three times the merges and as many seconds. All else is as in notebook 06.


# %%
def symbols_of(name: str, seconds: float) -> float:
    """Mean number of symbols that the test ECGs have in their first seconds."""
    read = ecg_byte.segments(cohort, pairs[name], rows, seconds)  # (N, T), padded
    return float((read != bpe.PADDING).sum(1).float().mean())


# %%
base, system = stage.part("ecg_byte").inputs["base"], stage.part("ecg_byte")
lengths = {name: rate.tokens_per_ecg for name, rate in rates.items()}
whole = system.settings["seconds"]
ARMS = {"few": ("few", whole), "many": ("many", whole)}
ARMS["few_short"] = "few", round(whole * lengths["run"] / lengths["few"], 3)
given = {"cohort": cohort_folder, base: stage.input("04", base), "questions": questions}
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
about |= {key: scoring[key] for key in ("batch", "max_new")}
trained, written, arms = {}, {}, [{"method": "ecg_byte", "merges": sizes["merges"]}]
arms[0] |= {"seconds": whole, "symbols": symbols_of("run", whole)}
for arm, (name, read) in ARMS.items():
    own, parts = given | {"bpe": folders[name]}, {}
    for part in ("ecg_byte_initial", "ecg_byte"):
        changed = stage.part(part).settings | {"seconds": read}
        parts[part] = replace(stage.part(part), settings=changed)
    trained[f"ecg_byte_{arm}"] = stage.remake("ecg_byte", own, f"_{arm}", parts=parts)
    inputs = {label: own[of] for label, of in stage.part("ecg_byte_texts").inputs.items()}
    out = stage.step(f"ecg_byte_{arm}_texts", write_texts.write, about, inputs)
    written[f"ecg_byte_{arm}"] = pd.read_parquet(out / "texts.parquet")
    line = {"method": f"ecg_byte_{arm}", "merges": len(pairs[name].merges), "seconds": read}
    arms.append(line | {"symbols": symbols_of(name, read)})

# %% tags=["plumbing"]
stage.losses(trained)
stage.data("budgets", budgets.read(trained))
stage.data("arms", pd.DataFrame(arms).round(3))

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
of_cohort = (cohort.records, cohort.labels, rows, scored)
_, answers = score_texts(written, asked, *of_cohort, seed)
print("saved:", stage.predictions("answers", answers).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The same second in fewer symbols
#
# The *perplexity* of a symbol is $2^{bits}$, the number of equally likely symbols that would be as
# hard to guess. It grows with the merges, because each symbol says more. What can be compared is
# the number of bits for a second of signal.

# %%
predicted, lines = stage.read("predicted"), []
per_second = {}  # merges -> of each patient, bits by the bigram and seconds
for number, part in predicted.groupby("merges"):
    totals = part.groupby("unit")[["symbols", "seconds", "unigram", "bigram"]].sum().sort_index()
    per_second[number] = totals[["bigram", "seconds"]].to_numpy()
    line = {"method": "bpe", "merges": number}
    line["symbols per second"] = totals["symbols"].sum() / totals["seconds"].sum()
    for name in ("unigram", "bigram"):
        each = totals[name].sum() / totals["symbols"].sum()
        line |= {f"bits per symbol, {name}": each, f"perplexity, {name}": 2**each}
    line["strength"] = part["strength"].iloc[0]
    lines.append(line | vars(bootstrap.of_totals(bootstrap.ratio, per_second[number], seed=seed)))
lines = pd.DataFrame(lines).drop(columns="seeds")
caption = "Unseen ECGs predicted from the single symbol and from pairs. Value: bits per second of "
caption += "all leads by the bigram [95 % interval over patients]."
symbols = stage.table("symbols", lines.round(2), caption)
symbols.rename(columns={"value": "bits per second", "low": "from", "high": "to"})

# %%
n_ecgs, n_patients = predicted["ecg"].nunique(), predicted["unit"].nunique()
caption = (
    "Bits that a table of pairs of symbols needs for a second of an unseen ECG (all leads) against "
    f"the number of merges, on {n_ecgs} test ECGs of {n_patients} patients. Bars: 95 % intervals "
    "over patients; one training of the byte pairs."
)
alt = "A curve of bits per second against the number of merges."
figure = size_curves.curves(lines, "merges", "Merges", "Bits per second, all leads")
stage.figure("symbols", figure, lines, caption, alt)

# %% [markdown]
# **What to see.** Each number of merges writes the same letters without loss, so fewer bits mean a
# better prediction. They are an upper bound, because other symbols could write the same letters. If
# the curve falls, longer symbols help: a pair of them spans more of the signal. If it rises at the
# end, the symbols are too rare to be counted in these ECGs, or the merges fit only the ECGs that
# they were learned from.
#
# ## Answers and reports

# %%
history = stage.read_beside("history", "06", ["ecg_byte"])
spent = stage.read_beside("budget", "06", ["ecg_byte"], own="budgets")
everything = stage.read_beside("answers", "06", ["ecg_byte", "no_ecg"])
kind = everything["item"].str.split(":").str[0]
replies, stated = everything[kind.isin(exact_match.TYPES)], everything[kind == "finding"]
by = {name: part for name, part in replies.groupby("method")}
of = {name: part for name, part in stated.groupby("method")}
order = ["no_ecg", "ecg_byte_few_short", "ecg_byte_few", "ecg_byte", "ecg_byte_many"]
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
stage.table("losses", ends, "Loss at the end, in nats per word piece.")
caption = "What each system was given, without the training of its tokenizer."
stage.table("budgets", budgets.formatted(spent), caption)

# %%
match = exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})
long = pd.concat([match, finding_agreement.summary(stated, seed=seed)], ignore_index=True)
long = long.sort_values("method", key=lambda name: name.map(order.index), kind="stable")
wide = wide_tables.wide(long[long["metric"].isin(match["metric"])], "method", "metric")
stage.table("exact_match", wide, "Exact match by kind of question [95 % interval].")
reads = stage.read("arms").set_index("method").reindex(order[1:])
scores = long[long["metric"].isin(["all", "macro_f1"])]
reads = reads.join(wide_tables.wide(scores, "method", "metric").set_index("method"))
reads = reads.rename(columns={"all": "exact match", "macro_f1": "macro-F1"}).round(2)
caption = "What each ECG-Byte reads of an ECG (mean symbols), and what comes out [95 % interval]."
reads = stage.table("arms", reads.reset_index(), caption)
reads

# %%
titles = {"all": "Exact match, all questions", "macro_f1": "Macro-F1 of findings"}
drawn = long[long["metric"].isin(titles)]
level = {"all": exact_match.chance(by["ecg_byte"], seed=seed).value}
n_ecgs, n_patients = by["ecg_byte"]["ecg"].nunique(), by["ecg_byte"]["unit"].nunique()
caption = (
    "ECG-Byte by the number of merges: exact match (dashed: chance) and macro-F1 of findings, on "
    f"{n_ecgs} test ECGs of {n_patients} patients. Short: as many symbols as the run's ECG-Byte, "
    "so fewer seconds. Whiskers: 95 % intervals over patients; one training seed."
)
alt = "Two panels of horizontal bars, one per system."
figure = bars.methods(drawn, titles, 2, "Score (dashed: chance)", level)
stage.figure("answers", figure, drawn, caption, alt)

# %% [markdown]
# ## The registered comparisons

# %%
learned = stage.read("arms").set_index("method")["merges"]
totals = [per_second[learned[name]] for name in ("ecg_byte_few", "ecg_byte")]
gain = bootstrap.of_totals(bootstrap.ratio, *totals, combine=np.subtract, seed=seed)
stage.claim("merges.few_minus_run.bits_per_second", **vars(gain))
PAIRS = {
    "run_minus_few": ("ecg_byte", "ecg_byte_few"),
    "run_minus_few_short": ("ecg_byte", "ecg_byte_few_short"),
    "many_minus_run": ("ecg_byte_many", "ecg_byte"),
}
differences = []
for name, (one, other) in PAIRS.items():
    gain = exact_match.difference(by[one], by[other], seed=seed)
    stage.claim(f"merges.{name}.exact_match", **vars(gain))
    in_reports = finding_agreement.difference(of[one], of[other], "macro_f1", seed)
    for metric, value in (("exact match", gain), ("macro-F1", in_reports)):
        differences.append({"name": name, "metric": metric, **vars(value)})
caption = "Paired differences [95 % interval over patients]."
called = {
    key: " minus ".join(style.method(of_pair).name for of_pair in pair)
    for key, pair in PAIRS.items()
}
wide = wide_tables.wide(pd.DataFrame(differences).replace({"name": called}), "name", "metric")
stage.table("differences", wide, caption)

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
chance = exact_match.chance(by["ecg_byte"], seed=seed).value
for name in order:
    accuracy = exact_match.accuracy(by[name], seed=seed).text()
    print(f"- {style.method(name).name}: exact match {accuracy}, chance {chance:.3f}.")
for line in differences:
    if line["metric"] == "macro-F1":  # not registered
        change = f"{line['value']:.3f} [{line['low']:.3f}, {line['high']:.3f}]"
        one, other = (style.method(of_pair).name for of_pair in PAIRS[line["name"]])
        print(f"- {one} minus {other}, macro-F1 of findings: {change}.")

# %% [markdown]
# Do more merges help? In `laptop` this is not shown for answers. From the same second, all
# differences of exact match are less than 0.024, by which two trainings of ECG-Byte may differ. So
# are the two that an interval over patients decides above, 0.015 and -0.013. A table of pairs
# predicts unseen ECGs best with 1,050 of the five numbers of merges. The 3,500 of the run need 2 %
# more bits, three times as many need 8 % more. With few merges a whole second gives 0.400 and 0.61
# s give 0.375, so the seconds may count for more than the merges (not tested).
#
# Five limits apply. There is one training seed per system. Two trainings of ECG-Byte may differ by
# 0.024 of exact match (`docs/evidence.md`), so a smaller difference says nothing about merges,
# whatever its interval. In `laptop` 200 ECGs teach all merges, so the last of many rest on few
# occurrences. All systems have the updates of the run, and ECG-Byte gains by more (study
# [four_times](four_times.py)), so an order may be one of speed. In `laptop` ECG-Byte reads the
# first second alone. And the table of pairs is no language model: what a network that reads all
# symbols before would predict was not measured.
#
# ## Try it yourself
#
# - Add `0.01` to `counted` in `merges.yaml`. How many symbols does a second have with 35 merges?
# - Set `train_ecgs` to 100. At which number of merges does the curve turn now?

# %% tags=["plumbing"]
stage.finish()
