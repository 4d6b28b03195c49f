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
# # Do answers and reports stand when noise is added to the ECG?
#
# | | |
# |---|---|
# | reads | cohort (01), ECG-Tok (04), HeartLLM and ECG-Byte (06), and what was saved of them (06) |
# | writes | HeartLLM without tokens; what all four say about the same ECGs with noise |
# | paper items | HeartLLM, Fig. 4c: tokens that suppress noise, here judged by the answers |
# | time | a minute in `smoke`; some 45 nominal minutes in `laptop`, after 01 |
# | memory | 9 GB in `laptop` |
#
# After this notebook you can
#
# - add noise of a known size to an ECG, and say what stays true about it;
# - compare what noise costs two systems that are not equally good without it;
# - tell a system that resists noise from one that never read the ECG.
#
# HeartLLM's Fig. 4c shows a reconstruction with less noise than its input, and its paper says that
# tokens "suppress noise overfitting while preserving key information". The study
# [faithfulness](faithfulness.py) judges reconstructions. But nobody reads them: what counts is
# whether a report or an answer stays right. So noise is added to the test ECGs, and HeartLLM,
# ECG-Tok and ECG-Byte are asked again. Nothing is trained on noisy ECGs.
#
# **The opponent.** If rounding suppresses noise, HeartLLM must lose less than the same model that
# reads the encoder's vectors before they are rounded. That is the ablation *without DISC* of the
# study [ablations](ablations.py), and it is trained here.

# %% tags=["plumbing"]
import time
from itertools import product

import numpy as np
import pandas as pd

from ecglib.cohorts import noisy_ecgs, scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap, budgets, exact_match, finding_agreement, wide_tables
from ecglib.evaluate.score_texts import score_texts
from ecglib.figures import curves, noise_curves, style
from ecglib.language import ecg_byte, write_texts
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.tokenizers import bpe, encode_again
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.load import load

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-noisy_answers"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
scoring, settings = stage.section("scoring"), stage.section("study")
CODES = {"heartllm": "fsq", "ecg_tok": "qinco"}  # whose codes the systems read
SYSTEMS = [*CODES, "ecg_byte", "heartllm_continuous"]

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
cohort = Cohort.open(cohort_folder)
rows = scored_sample.test_rows(cohort, scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
questions = stage.step("questions", balanced_sets.write_questions, ask, measured)

# %% [markdown]
# ## ECGs with noise
#
# Four kinds of noise enter at the electrodes: baseline wander, mains hum, muscle, and an electrode
# that moves. They are added to the cleaned ECG, at a stated *signal-to-noise ratio* (SNR): at 12 dB
# the noise has a sixteenth of the power of the ECG, at 0 dB as much as the ECG. The ECG's own noise
# stays. What the heart does is the same, so all answers stay true, but those about noise.

# %%
of_rows, noisy = {"rows": rows.tolist()}, {}
for kind, snr in product(settings["kinds"], settings["snr"]):
    name = f"{kind.replace(' ', '_')}_{snr}"
    config = of_rows | {"kind": kind, "snr": snr}
    noisy[name] = stage.step(f"cohort_{name}", noisy_ecgs.add, config, {"cohort": cohort_folder})
one, clean = rows[:1], cohort.signals(rows[:1]).astype(float)  # (1, 12, 2500) mV
for name, folder in noisy.items():
    added = Cohort.open(folder).signals(one) - clean
    power = np.square(clean - clean.mean(2, keepdims=True)).sum() / np.square(added).sum()
    print(f"record {one[0]}, {name}: {10 * np.log10(power):.1f} dB")

# %% [markdown]
# ## HeartLLM without tokens
#
# All settings are those of HeartLLM without pretraining. It is asked about the ECGs without added
# noise first.

# %%
folder = stage.make("heartllm_continuous")
about = {"rows": rows.tolist(), "ecgs": rows.tolist()}
plain = {"heartllm_continuous": stage.make("heartllm_continuous_texts", **about)}

# %% tags=["plumbing"]
stage.losses({"heartllm_continuous": folder})
stage.data("budgets", budgets.read({"heartllm_continuous": folder}))

# %% [markdown]
# ## Asked again
#
# The tokenizers are as they were. HeartLLM and ECG-Tok read the new codes of the ECG. ECG-Byte
# writes its symbols from the ECG, and the model without tokens its vectors.

# %%
about |= {key: scoring[key] for key in ("batch", "max_new")}
written = {name: {} for name in noisy}
again = {name: {} for name in noisy}  # codes
for name, place in noisy.items():
    for of in CODES.values():
        reads = {"tokenizer": stage.input("02", of), "codes": stage.input("02", f"{of}_codes")}
        reads |= {"cohort": place}
        again[name][of] = stage.step(f"{of}_{name}", encode_again.encode, of_rows, reads)
    for system in SYSTEMS:
        inputs = stage.inputs(f"{system}_texts") | {"cohort": place, "questions": questions}
        if system in CODES:
            inputs["codes"] = again[name][CODES[system]]
        out = stage.step(f"{system}_{name}", write_texts.write, about, inputs)
        written[name][system] = pd.read_parquet(out / "texts.parquet")

# %% [markdown]
# ## What noise does to the tokens
#
# A token of FSQ changes if one of its four numbers is rounded to another level. QINCo's first code
# is the coarsest of a vector. Byte pairs stand for pieces of the signal that were frequent in
# training, and a noisy signal has fewer of them, so it needs more symbols.


# %%
def symbols(folder) -> float:
    """Mean number of byte pairs of a test ECG's first seconds."""
    codes = ecg_byte.segments(Cohort.open(folder), pairs, rows, seconds)  # (N, T), padded
    return float((codes != bpe.PADDING).sum(1).float().mean())


# %%
pairs, seconds = load(stage.input("02", "bpe")), stage.part("ecg_byte").settings["seconds"]
before = {of: read_codes(stage.input("02", f"{of}_codes"), rows) for of in CODES.values()}
changed = [{"name": "none", "fsq": 0.0, "qinco": 0.0, "symbols": symbols(cohort_folder)}]
for name, place in noisy.items():
    line = {"name": name, "symbols": symbols(place)}
    for of, codes in before.items():  # (N, T, S): all of FSQ's single code, QINCo's first
        other = read_codes(again[name][of], rows)[..., 0] != codes[..., 0]
        line[of] = float(other.float().mean())
    changed.append(line)
stage.data("tokens", pd.DataFrame(changed).round(4))

# %%
asked = pd.read_parquet(questions / "test.parquet")
scored = scored_sample.scorable_findings(cohort, rows, scoring["min_positives"])
of_cohort = (cohort.records, cohort.labels, rows, scored)
written["none"] = {name: pd.read_parquet(of / "texts.parquet") for name, of in plain.items()}
for name, texts in written.items():
    _, answers = score_texts(texts, asked, *of_cohort, seed)
    answers = answers[exact_match.is_question(answers) | answers["item"].str.startswith("finding")]
    print("saved:", stage.predictions(name, answers).name)

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## The training

# %%
history = stage.read_beside("history", "06", ["heartllm"])
spent = stage.read_beside("budget", "06", ["heartllm"], own="budgets")
ends = curves.ends(history).drop(columns="lowest").round(3).reset_index()
ends = stage.table("losses", ends, "Loss at the end, in nats per word piece.")
caption = "What each system was given. Updates and tokens of HeartLLM's pretraining are counted."
stage.table("budgets", budgets.formatted(spent), caption)
ends

# %% [markdown]
# ## Tokens that change

# %%
changed = stage.read("tokens").set_index("name")
changed = pd.DataFrame(
    {
        "FSQ tokens that change (%)": 100 * changed["fsq"],
        "first codes of QINCo that change (%)": 100 * changed["qinco"],
        "byte pairs that ECG-Byte reads, minus without noise (%)": 100
        * (changed["symbols"] / changed["symbols"]["none"] - 1),
    }
)
changed.index = changed.index.str.replace("_", " ").rename("added noise and its SNR (dB)")
changed = stage.table("tokens", changed.round(1).reset_index(), "What added noise does to tokens.")
changed

# %% [markdown]
# ## Exact match by noise
#
# Questions about noise are left out: with noise added their answers are no longer true.


# %%
def questions_of(answers: pd.DataFrame, about_noise: bool = False) -> pd.DataFrame:
    """The answers about noise, or all others."""
    asks = answers["item"].str.contains(":noise")
    return answers[exact_match.is_question(answers) & (asks == about_noise)]


# %%
ORDER = ["heartllm", "heartllm_continuous", "ecg_tok", "ecg_byte"]
saved = {"none": stage.read_beside("answers", "06", [*SYSTEMS[:3], "no_ecg"], own="none")}
names = {  # (kind, SNR) -> the name of its predictions
    (kind, snr): f"{kind.replace(' ', '_')}_{snr}"
    for kind, snr in product(settings["kinds"], settings["snr"])
}
saved |= {name: stage.read(name) for name in names.values()}
by = {(name, system): part for name, of in saved.items() for system, part in of.groupby("method")}
score = {key: exact_match.score(questions_of(part)) for key, part in by.items()}
lines = []
for kind, snr, system in product(settings["kinds"], [np.inf, *settings["snr"]], ORDER):
    name = names.get((kind, snr), "none")
    value = bootstrap.bounded(bootstrap.mean(score[name, system], seed=seed))
    lines.append({"kind": kind, "method": system, "snr": snr, **vars(value)})
lines = pd.DataFrame(lines)

# %%
floor = bootstrap.bounded(bootstrap.mean(score["none", "no_ecg"], seed=seed))
floor = pd.DataFrame([{"method": "no_ecg", **vars(floor)}])
n_ecgs, n_patients = (by["none", "heartllm"][column].nunique() for column in ("ecg", "unit"))
caption = (
    "Exact match by kind and size of the added noise, without questions about noise, on "
    f"{n_ecgs} test ECGs of {n_patients} patients. Dashed: the control that reads no ECG. Bars and "
    "band: 95 % intervals over patients; one training seed."
)
alt = "Four panels, one per kind of noise: exact match of four systems against the noise's size."
figure = noise_curves.by_kind(lines, "Exact match", floor)
stage.figure("exact_match", figure, lines, caption, alt)

# %% [markdown]
# **What to see.** Each line starts at the same point in all panels. Compare how far it falls, not
# where it ends: systems start at different heights. A line that reaches the dashed one says as
# little about the ECG as the control that never saw it.


# %%
KEY = ["unit", "ecg", "seed", "item", "target"]  # of a question about an ECG


def over_kinds(of: dict, system: str, snr: float) -> pd.DataFrame:
    """Score of each question, mean over the kinds of noise."""
    parts = [of[names[kind, snr], system] for kind in settings["kinds"]]
    return pd.concat(parts).groupby(KEY, as_index=False)["score"].mean()


def change(of: dict, system: str, snr: float) -> pd.DataFrame:
    """Score of each question with noise, minus without."""
    both = over_kinds(of, system, snr).merge(of["none", system], on=KEY, suffixes=("", "_clean"))
    return both.assign(score=both["score"] - both["score_clean"])[[*KEY, "score"]]


# %%
gains = []
for snr, system in product(settings["snr"], ORDER):
    lost = bootstrap.mean(change(score, system, snr), seed=seed)
    gains.append({"method": system, "metric": f"{snr} dB minus no noise", **vars(lost)})
    left = bootstrap.paired_difference(
        over_kinds(score, system, snr), score["none", "no_ecg"], seed
    )
    gains.append({"method": system, "metric": f"{snr} dB minus no ECG", **vars(left)})
gains = pd.DataFrame(gains)
caption = "Exact match, mean over the kinds of noise [95 % interval over patients]."
gained = stage.table("changes", wide_tables.wide(gains, "method", "metric"), caption)
gained

# %% [markdown]
# ## The findings in reports

# %%
lines = []
for name, system in product(saved, ORDER):
    stated = by[name, system]
    stated = stated[stated["item"].str.startswith("finding:")]
    value = finding_agreement.macro_f1(stated, seed)
    lines.append({"method": system, "noise": name.replace("_", " "), **vars(value)})
caption = "Macro-F1 of findings in reports, by added noise and its SNR in dB [95 % interval]."
wide = wide_tables.wide(pd.DataFrame(lines), "noise", "method")
findings = stage.table("macro_f1", wide, caption)
findings

# %% [markdown]
# ## The registered comparisons
#
# A system that is worse without noise has less to lose. So a comparison of two losses is fair only
# beside the table above, which says how far each still is above the control.

# %%
worst, least = min(settings["snr"]), max(settings["snr"])
lost = bootstrap.mean(change(score, "heartllm", worst), seed=seed)
stage.claim(f"noisy_answers.costs.{worst}.exact_match", **vars(lost))
for system in ("heartllm", "ecg_tok"):
    kept = bootstrap.mean(change(score, system, least), seed=seed)
    stage.claim(f"noisy_answers.{system}_keeps.{least}.exact_match", **vars(kept))
OTHERS = {"tokens_help": "heartllm_continuous", "heartllm_minus_ecg_byte": "ecg_byte"}
for name, other in OTHERS.items():
    pair = [change(score, system, worst) for system in ("heartllm", other)]
    stage.claim(
        f"noisy_answers.{name}.{worst}.exact_match",
        **vars(bootstrap.paired_difference(*pair, seed)),
    )

# %% [markdown]
# The last claim asks whether HeartLLM sees the noise at all. Asked whether noise or drift spoils a
# lead, it can say "yes", "no" or "not sure". Counted is how often it does not say "no".

# %%
asks = {key: questions_of(part, about_noise=True) for key, part in by.items()}
asks = {key: part[part["item"].str.startswith("verify")] for key, part in asks.items()}
denied = {
    key: part.assign(score=(part["prediction"].str.strip(" .").str.lower() != "no").astype(float))
    for key, part in asks.items()
}
seen = bootstrap.mean(change(denied, "heartllm", worst), seed=seed)
stage.claim(f"noisy_answers.sees_noise.{worst}", **vars(seen))
for name in saved:
    part = denied[name, "heartllm"]
    print(f"{name}: {len(part)} questions, not denied {part['score'].mean():.2f}")

# %% [markdown]
# ## What it means

# %%
stage.print_claims()
for line in gains.itertuples():
    change_of = f"{line.value:.3f} [{line.low:.3f}, {line.high:.3f}]"
    print(f"- {style.method(line.method).name}, {line.metric}: {change_of}.")

# %% [markdown]
# Four limits apply. There is one training seed per system. The noise is simulated and added after
# the cleaning of notebook 01, which would have removed most of a baseline wander or of mains hum
# before a system reads it. ECG-Byte reads the first second alone, and the SNR is that of ten
# seconds. And no system was trained on noisy copies, which is the usual remedy.
#
# ## Try it yourself
#
# - Add 6 to `snr` in `noisy_answers.yaml`. Where does each line begin to fall?
# - In `questions_of`, keep `item` that contains ":rate". Which questions stand the most noise?
#
# The noise is explained in the study [faithfulness](faithfulness.py), the systems in
# [04_report_generation](../04_report_generation.py) and
# [06_instruction_tuning](../06_instruction_tuning.py).

# %% tags=["plumbing"]
stage.finish()
