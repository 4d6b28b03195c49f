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
# # What may be believed, what did it cost, and what must not be done with it?
#
# | | |
# |---|---|
# | reads | predictions and claims of all notebooks; the tokenizers (02), for their time only |
# | writes | the claims, findings lost or unsaid, faithfulness, cost, model and data card |
# | paper items | the claims of the three papers, the deviations, limits, intended use |
# | time | 7 s in `smoke`, half a minute in `laptop` on two cores |
# | memory | 1.2 to 2.1 GB in `laptop` |
#
# After this notebook you can
#
# - say which claims hold in this run, which fail, and which it cannot judge;
# - tell a finding that is hard to read in the tokens from one that the reports do not state;
# - say for each of the three papers what was built, what came out, and what is missing.
#
# Previous: [08_alignment](08_alignment.py). First: [01_preprocess](01_preprocess.py).
#
# Nothing is trained here and nothing is chosen. All numbers but the encoding times come from
# predictions and claims that the earlier notebooks saved.

# %% tags=["plumbing"]
import pandas as pd
from IPython.display import Markdown, display

from ecglib.evaluate import (
    auc,
    bootstrap,
    claims,
    confirmation,
    exact_match,
    finding_agreement,
    report_faults,
    wide_tables,
)
from ecglib.figures import forest, overview, style, tables
from ecglib.figures.lost_or_unsaid import lost_or_unsaid
from ecglib.labels.findings import FINDINGS
from ecglib.run import cards
from ecglib.run.profiles import is_simulated
from ecglib.run.stage import Stage

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = ""  # a name of one's own for this run
seed = 0  # draws the bootstrap

# %% tags=["plumbing"]
stage = Stage("09", profile, data, seed, tag)
print(stage.banner())
pd.set_option("display.max_colwidth", None)  # statements in full

# %% tags=["plumbing"]
import time

import numpy as np
import torch

from ecglib.cohorts import scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS
from ecglib.tokenizers.load import load

# %% [markdown]
# ## The time to encode an ECG
#
# Everything else in this notebook comes from saved results. The time that a tokenizer needs does
# not: it depends on the machine. It is saved in a file of its own, and no claim uses it.

# %%
cohort = Cohort.open(stage.input("01", "cohort"))
x = torch.from_numpy(cohort.signals(cohort.rows("test")[:16]))  # (ECGs, 12, 2500) mV
timing = []
for name in ("vq", "rvq", "qinco", "fsq", "bpe"):
    tokenizer, seconds = load(stage.input("02", name)), []
    for _ in range(5):
        begun = time.perf_counter()
        tokenizer.encode(x)
        seconds.append(time.perf_counter() - begun)
    timing.append({"method": name, "encode_ms_per_ecg": 1000 * np.median(seconds) / len(x)})
timing = pd.DataFrame(timing)
stage.write("timing_cost.csv", timing.round(3))
timing.round(1)

# %% tags=["plumbing"]
by_split = cohort.records.groupby("split")
splits = by_split.agg(ecgs=("ecg", "size"), patients=("unit", "nunique")).reset_index()
splits = stage.data("splits", splits)

# %% [markdown]
# ## Ten ECGs to try the models on
#
# The models of a reference run are committed under `reports/<run>/models`. Ten of the test ECGs
# that 04 and 06 wrote about are saved here, in microvolts, so that anybody can repeat ten of the
# committed predictions without making the cohort. ECGs of real patients are not published.

# %%
if is_simulated(stage.plan):
    rows = scored_sample.test_rows(cohort, stage.section("scoring")["test_ecgs"], seed)[:10]
    signals = (1000 * cohort.signals(rows)).round().astype("int16")  # (10, 12, 2500) microvolts
    leads = {lead: list(signals[:, i]) for i, lead in enumerate(LEADS)}
    known = ["ecg", "n_valid", "site", "age", "sex", "height", "weight", "report"]
    stage.data("ten_ecgs", cohort.records.iloc[rows][known].assign(**leads))
    print("saved:", signals.shape, "int16")

# %% [markdown]
# ## From here on: saved predictions
#
# Values with a 95 % interval are means over all training seeds of the run, unless a caption says
# otherwise. Losses, costs, examples and counts of single answers are of its own training seed.
#
# ## Claims that hold, fail, or cannot be judged
#
# A claim is a statement with a number, a margin and a date of registration. `holds` means that the
# whole 95 % interval, over patients and over training seeds where there are several, is on the
# claimed side of the margin. A claim may also name a *least value*, which the value itself must
# reach. "At least 15 points" has the margin 0.10 and the least value 0.15. A *primary* claim, one
# on which the conclusions rest, must also pass Holm's correction for the number of primary claims
# in the run: its corrected one-sided p-value, computed from the interval, is below 0.025. `not
# comparable` marks a number of a paper that comes from other data and a larger model. `not run`
# means that the notebook was not run or is older than its inputs, or that the claim is registered
# for other runs. `no margin` marks a level, which is reported and not judged.
#
# `fails` means that the interval reaches the margin or lies beyond it, that the value is below the
# least value, or that the corrected p-value is too large. Where the whole interval says the
# contrary, `the opposite is shown` is added. A *confirmatory* claim was registered before any
# result of its kind was known, an *exploratory* one when such results were known. Nobody expected a
# certain answer to *an open question*.

# %%
registry = stage.registry()
verdicts = stage.claims()
SCALES = {"mV": (1000, "µV"), "share of the latents' variance": (100, "% of the variance")}


def worded(row: pd.Series, end: str = "", digits: int = 3, with_unit: bool = False) -> str:
    """A claim's value with its interval, or its verdict where there is none; `end` of the names."""
    times, unit = SCALES.get(row["measure_unit"], (1, row["measure_unit"]))
    value, low, high = (row[f"{name}{end}"] for name in ("value", "low", "high"))
    if pd.isna(value):
        return row[f"verdict{end}"]
    text = wide_tables.cell(value, low, high, digits, times)
    return f"{text} {unit}" if with_unit else text


def number(id: str, digits: int = 3, with_unit: bool = False) -> str:
    """`worded` of a claim of this run."""
    return worded(verdicts.set_index("id").loc[id], digits=digits, with_unit=with_unit)


def claimed(claim: dict) -> str:
    """What an interval, and its value, must reach; "-" where it is not our own or not judged."""
    if claim["paper"] is not None or claim["margin"] is None:
        return "-"
    times, unit = SCALES.get(claim["measure_unit"], (1, ""))
    sign = {"above": ">", "below": "<", "within": "within ±"}[claim["direction"]]
    least = f", value ≥ {claim['least']:g}" if "least" in claim else ""
    return f"{sign} {times * claim['margin']:g} {unit}".strip() + least


# %%
table = verdicts[["statement", "paper", "verdict"]].copy()
table["paper"] = table["paper"].astype(object).where(table["paper"].notna(), "-")
table["verdict"] = [
    claims.outcome(registry[row.id], row.verdict, row.low, row.high)
    for row in verdicts.itertuples()
]
table.insert(1, "claimed", [claimed(registry[name]) for name in verdicts["id"]])
table.insert(2, "value", [number(name, with_unit=True) for name in verdicts["id"]])
table["kind"] = [registry[name]["kind"] for name in verdicts["id"]]
table["primary"] = verdicts["primary"].map({True: "yes", False: "no"})
caption = (
    "Claims: what the interval must reach, value with its 95 % interval, the paper's number where "
    "there is one, verdict (of primary claims after Holm's correction)."
)
stage.table("claims", table, caption)

# %%
counts = verdicts["verdict"].value_counts()
explored = sum(claim["kind"] == "exploratory" for claim in registry.values())
print("Verdicts:", ", ".join(f"{verdict} {count}" for verdict, count in counts.items()))
print(f"{explored} of {len(registry)} claims are exploratory.")
failed = verdicts[verdicts["verdict"] == "fails"]
for row in failed.itertuples():
    print(f"- fails: {row.statement} Measured: {number(row.id, with_unit=True)}.")

# %% [markdown]
# A failed claim stays in the table. Claims that were withdrawn or changed after a result was seen
# are in `notebooks/claims_withdrawn.yaml`, with their values and the reason.
#
# The figure shows our own primary claims. For each claim it shows by how much the value exceeds its
# margin in the claimed direction. Suppose that all true values were exactly at their margins. By
# Holm's correction, at least one of these claims would then hold in at most about 2.5 % of samples.

# %%
ratios = "ratio, F1 or share"
drawn = []
for row in verdicts.dropna(subset=["low", "high"]).itertuples():
    claim = registry[row.id]
    if not claim["primary"] or claim["paper"] is not None or row.low == row.high:
        continue
    times, unit = SCALES.get(row.measure_unit, (1, row.measure_unit))
    unit = unit if "%" in unit or unit in ("AUC", "µV", "bits per token") else ratios
    ends = sorted(times * claims.beyond(claim, end) for end in (row.low, row.high))
    line = {"name": row.statement, "verdict": row.verdict}
    line |= {"value": times * claims.beyond(claim, row.value)}
    drawn.append({**line, "low": ends[0], "high": ends[1], "unit": f"Beyond the margin ({unit})"})
drawn = pd.DataFrame(drawn, columns=["name", "verdict", "value", "low", "high", "unit"])
drawn = drawn.sort_values("unit", kind="stable")
caption = (
    f"The {len(drawn)} primary claims of our own with an interval: value minus margin, in the "
    "claimed direction, with the 95 % interval (over patients, and over training seeds where there "
    "are several) before Holm's correction. The claim of an interval that reaches 0 fails. Open "
    "marks: claims that fail. An interval that cannot be seen is narrower than its mark. A mark "
    "right of 0 can fail by Holm's correction, or because it is below its least value: the claim "
    "of 15 points has the margin 0.10."
)
alt = (
    "Points with horizontal intervals, one line per claim, in panels by unit, with a vertical line "
    f"at 0. {int((drawn['low'] > 0).sum())} of {len(drawn)} intervals are wholly right of it."
)
if len(drawn):  # none where no earlier notebook is current
    stage.figure("claims", forest.differences(drawn), drawn.round(5), caption, alt)

# %% [markdown]
# **What to see.** A claim whose interval reaches 0 fails or cannot be decided by this run. One with
# an interval that almost reaches 0 can fail by the correction. The panel of ratios, F1 and shares
# has several measures without a unit on one axis. Compare distances only between claims of one
# measure. A claim far to the right of 0 had a margin that is small beside the effect.
#
# ## Confirmed on another cohort?
#
# The protocol was made while results of this cohort were known. So one cohort, that of seed 7701,
# was set aside. The whole run is made on it once, with tokenizers trained anew, after everything is
# frozen (`docs/evidence.md` says how). A primary claim that holds here is *confirmed* if it holds
# there, too. Holm's correction is made for each run by itself.

# %%
elsewhere, of_each = stage.confirmation(), {}
if elsewhere is None:
    print("No run on another cohort stands beside this one under the tag confirm.")
else:
    both = confirmation.side_by_side(verdicts, elsewhere)
    table = both[["statement", "outcome"]].copy()
    rows = [row for _, row in both.iterrows()]
    table.insert(1, "here", [worded(row, with_unit=True) for row in rows])
    table.insert(2, "verdict", both["verdict"])
    table.insert(3, "there", [worded(row, "_there", with_unit=True) for row in rows])
    table.insert(4, "verdict there", both["verdict_there"])
    caption = "Primary claims here and on the cohort set aside."
    display(stage.table("confirmation", table, caption))
    of_each = both["outcome"].value_counts().to_dict()
    print("; ".join(f"{outcome}: {count}" for outcome, count in of_each.items()))

# %% [markdown]
# ## Lost in the tokens, or left unsaid?
#
# A finding can be absent from a report for two reasons. The tokenizer may have removed it, or the
# language model may not state it although the tokens show it. Notebook 03 has the predictions of a
# network that reads what QINCo's tokens decode to. Its AUC shows what the tokens hold, and that of
# the same network on the raw signal what they could hold at most. In notebook 04 ECG-Tok wrote
# reports from QINCo's tokens, and recall and precision show what the reports state. All are joined
# here by finding, on the same test ECGs.
#
# **Ours, not a paper's:** the two limits. A finding that the reports state in fewer than half of
# its cases is *hard to read* when its AUC in the decoded ECGs is below 0.95. Otherwise it is called
# *stated in under half*. The name follows the value alone, whatever its interval. A finding that is
# hard to read is not lost unless the network reads it better in the raw signal.

# %%
RARELY, HELD = 0.50, 0.95  # of recall, of AUC
probed = stage.read_seeds("labels_qinco", "03")
reports = stage.read_seeds("reports", "04")
stated = finding_agreement.select(reports[reports["method"] == "ecg_tok"])
both = stated["ecg"].unique()
probed = probed[probed["ecg"].isin(both)]
by_label = auc.by_label(probed, seed=seed).set_index("label") if len(probed) else probed
labels = stage.read_seeds("labels", "03")
in_signal = labels[(labels["method"] == "raw_further") & labels["ecg"].isin(both)]
in_signal = auc.by_label(in_signal, resamples=10).set_index("label")["value"]  # no interval
least = stage.section("scoring")["min_positives"]


def reading(auc_value: float, recall: float) -> str:
    """What a finding's two numbers say."""
    if recall >= RARELY:
        return "stated in half or more"
    return "stated in under half" if auc_value >= HELD else "hard to read"


# %%
from dataclasses import replace

MEASURES = ("auc", "recall", "precision")
lines = []
for label, part in stated.groupby("label"):
    of_one_seed = part[part["seed"] == part["seed"].iloc[0]]
    positives = int((of_one_seed["target"] == "1").sum())
    if positives < least or label not in by_label.index:
        continue
    numbers = {"auc": bootstrap.Estimate(*by_label.loc[label, ["value", "low", "high", "n"]])}
    for name, cell in {"recall": "target", "precision": "prediction"}.items():
        value = finding_agreement.micro(part, name, seed=seed, grain="finding")
        patients = part.loc[part[cell] == "1", "unit"].nunique()  # over whom it is a share
        numbers[name] = bootstrap.exact_ends(replace(value, n=max(patients, 1)))
    line = {"name": FINDINGS[label].name, "positives": positives}
    for name, value in numbers.items():
        line |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
    line["auc_raw"] = in_signal.get(label, float("nan"))
    lines.append(line | {"reading": reading(line["auc"], line["recall"])})
ends = [name + end for name in MEASURES for end in ("", "_low", "_high")]
by_finding = pd.DataFrame(lines, columns=["name", "positives", *ends, "auc_raw", "reading"])
READINGS = ["hard to read", "stated in under half", "stated in half or more"]  # in this order
by_finding["reading"] = pd.Categorical(by_finding["reading"], READINGS, ordered=True)
by_finding = by_finding.sort_values(["reading", "auc"], ignore_index=True).astype({"reading": str})
table = by_finding[["name", "positives", "reading"]].rename(columns={"name": "finding"})
for place, name in enumerate(MEASURES, start=2):
    numbers = by_finding[[name, f"{name}_low", f"{name}_high"]].itertuples(index=False)
    table.insert(place, name, [wide_tables.cell(*three) for three in numbers])
table.insert(3, "AUC, raw signal", by_finding["auc_raw"].round(3))
caption = (
    "AUC in QINCo's decoded ECGs and in the raw signal, recall and precision of ECG-Tok's reports, "
    "by finding. A share of exactly 0 or 1 has the interval of Clopper and Pearson."
)
stage.table("by_finding", table, caption)

# %%
from ecglib.figures.lost_or_unsaid import NAMED

number_of = by_finding["reading"].value_counts()
caption = (
    f"{len(by_finding)} findings with at least {least} positives among the {len(both)} test ECGs "
    "that have a report. AUC of the network that reads QINCo's decoded ECGs (log scale of 1 - AUC) "
    "against (a) recall and (b) precision of the finding in ECG-Tok's reports (95 % intervals). "
    "The area of a mark grows with the positives. Named are findings with a recall below "
    f"{RARELY}, at most {NAMED}, those with the lowest: squares have an AUC below {HELD}, "
    f"triangles an AUC of {HELD} or more. Panel (b) leaves out findings that no report of "
    "one of the trainings states: there they have no precision."
)
alt = (
    "Two scatter plots of findings, AUC from low at the left to high at the right against recall "
    f"and precision. Findings that are hard to read: {number_of.get('hard to read', 0)}. Findings "
    "that the tokens hold and that reports state in under half of their cases: "
    f"{number_of.get('stated in under half', 0)}."
)
if not by_finding.empty:
    stage.figure("lost_or_unsaid", lost_or_unsaid(by_finding), by_finding.round(4), caption, alt)
else:
    print("no figure: no finding that is scored in QINCo's decoded ECGs has", end=" ")
    print(f"{least} positives among these {len(both)} ECGs")

# %%
for name in ("hard to read", "stated in under half"):
    names = by_finding.loc[by_finding["reading"] == name, "name"]
    print(f"{name}: {len(names)} of {len(by_finding)}: {', '.join(names) or '-'}")
loss = (by_finding["auc_raw"] - by_finding["auc"]).max()
print(f"AUC in the raw signal minus AUC in the decoded ECGs: {loss:z.3f} at most")
unsaid, hard = (number_of.get(name, 0) for name in ("stated in under half", "hard to read"))
if unsaid + hard:
    print(
        f"{unsaid + hard} findings are stated in under half of their cases. In the decoded", end=" "
    )
    print(f"ECGs {unsaid} of them have an AUC of {HELD} or more, and {hard} a lower one.")

# %% [markdown]
# **What to see.** Marks at the left are findings that the network reads least well in decoded ECGs.
# Only a difference from the raw signal is a loss. Without one, the network is too small or too
# briefly trained, or the finding is hard to see. Marks at the lower right are findings that the
# language model does not state, although the network recognises them in what QINCo's tokens decode
# to. An AUC only ranks ECGs, but a report must decide. A rare finding can therefore have a high AUC
# and still be hard to state without false alarms. A finding close to one of the two limits may be
# on either side of it by chance. Labels that one condition always brings together, such as anterior
# and lateral ST elevation in pericarditis, are separate marks.
#
# ## Faithfulness: findings invented, omitted and denied
#
# For each report, two kinds of fault are counted, by condition. An *invention* is stated, but the
# waveform does not have it; it may be hedged ("consider ..."). An *omission* is in the waveform but
# not in the report; it is a *contradiction* if the report denies it. A rule labeller reads the
# reports. The floors (simple methods that a model must beat) and the controls (ECG-Tok without the
# right ECG) of notebook 04 are in the same table, with HeartLLM and ECG-Byte of notebook 06 and the
# systems of five studies, where these have been run.
#
# *Nearest neighbour* is the report of the most similar training ECG. *Decoded* is a template of
# what a network finds in decoded ECGs. *Shuffled ECG* is ECG-Tok with another patient's ECG.
# *Reference read back* is the true report, and *Truth in templates* words all true findings. The
# table has faults per 100 reports. Hedged inventions are part of the inventions, contradictions
# part of the omissions. What the tokens alone change, in a cardiologist's measurements, is in the
# study [faithfulness](studies/faithfulness.py).

# %%
HIGH = 0.6  # ROUGE-L
report_of = ["method", "seed", "unit", "ecg"]
answered = stage.read_seeds("answers", "06")
others = answered[answered["method"].isin(["heartllm", "ecg_byte"])]
others = others[others["item"].isin([*reports["item"].unique()])]
written = pd.concat([reports, others], ignore_index=True)
WROTE = {"systems": "answers", "two_stage": "answers"}  # study -> where its reports are saved
WROTE |= dict.fromkeys(["table_1", "prefix", "large_model"], "reports")
FURTHER = ["test", "time_llm", "clip", "merl", "vit", "clip_two_stage", "clip_vit"]
FURTHER += ["ecg_byte_none", "ecg_byte_fixed", "ecg_tok_none", "ecg_tok_fixed", "ecg_tok_paper"]
FURTHER += ["ecg_tok_smollm2"]
needed = {item for item in written["item"].unique() if not item.startswith("bert_score")}
for study, saved in WROTE.items():
    joined = stage.join_study(study, saved, written, needed)[len(written) :]
    written = pd.concat([written, joined[joined["method"].isin(FURTHER)]], ignore_index=True)
rouge = written.loc[written["item"] == "rouge_l", [*report_of, "score"]]
of_run = report_faults.by_report(written[written["seed"] == seed])
by_report = of_run.merge(rouge, on=report_of)
order = ["majority", "retrieval", "memoriser", "summary", "median_beat", "decoded"]
order += ["probe_reports", "probe", "no_ecg", "shuffled", "ecg_byte", "heartllm"]
order += ["ecg_tok", *FURTHER, "reference", "template"]
known = set(by_report["method"].unique())
order = [name for name in order if name in known]
per_100 = report_faults.per_100_reports(written, seed=seed)
faults = wide_tables.wide(per_100, "method", "fault", digits=0).set_index("method").loc[order]
high = by_report[by_report["score"] >= HIGH]
high = high.groupby("method")["invention"]
counted = {
    f"reports with ROUGE-L >= {HIGH}": high.size(),
    "of them with an invention": high.agg(lambda counts: (counts > 0).sum()),
}
faults = faults.assign(**{k: v.reindex(order, fill_value=0) for k, v in counted.items()})
table = faults.rename(columns=lambda c: c.replace("_", " ")).reset_index()
caption = (
    "Faults per 100 reports: conditions invented, omitted and denied. The counts of reports with a "
    f"high ROUGE-L are of this run's own training.{stage.studies_note(per_100)}"
)
stage.table("faithfulness", wide_tables.with_seeds(table, per_100, "method"), caption)

# %% [markdown]
# **What to see.** A method that states nothing invents nothing, so inventions and omissions must be
# read together. The template states exactly the true findings, so its counts should be zero or
# close to it. The true report itself leaves out findings of the waveform (*Reference read back*). A
# system that learns from such reports cannot be expected to omit fewer. The hallucination that
# section 4 of ECG-Tok's paper shows, "*** CONSIDER ACUTE ST ELEVATION MI ***", is a hedged
# invention. The report with it had a ROUGE-L of 0.652 and an F1 of 0.897. A dash means that the
# run's predictions do not say how firmly a text states.
#
# ## Where the overlap of words misleads
#
# ROUGE-L measures the longest sequence of words that report and reference have in common. A report
# can share most words with its reference and still invent a finding.

# %%
own = by_report[by_report["method"] == "ecg_tok"]
high = own[own["score"] >= HIGH]
invented = int((high["invention"] > 0).sum())
perfect = own[(own["invention"] == 0) & (own["omission"] == 0)]
print(f"{invented} of ECG-Tok's {len(high)} reports with ROUGE-L >= {HIGH} invent a finding.")
print(f"{int((perfect['score'] < HIGH).sum())} of its {len(perfect)} reports without any fault")
print(f"have a ROUGE-L below {HIGH}.")

# %% [markdown]
# The next cell prints a report with an invention in full. Of ECG-Tok's reports with one, it has the
# highest ROUGE-L. Report texts of real patients are not printed.

# %% tags=["plumbing"]
with_invention = own[own["invention"] > 0].sort_values("score", ascending=False)
if is_simulated(stage.plan) and len(with_invention):
    worst = with_invention.iloc[0]
    texts = stage.read("texts", "04")
    (text,) = texts[(texts["method"] == "ecg_tok") & (texts["ecg"] == worst["ecg"])].itertuples()
    its = stated[(stated["ecg"] == worst["ecg"]) & (stated["seed"] == seed)]
    its = finding_agreement.select_conditions(its)
    extra, absent = (", ".join(its.loc[its[kind] == 1, "item"]) or "none" for kind in ("fp", "fn"))
    print(f"reference: {text.target}\nECG-Tok:   {text.prediction}")
    print(f"ROUGE-L {worst['score']:.2f}; invented: {extra}; omitted: {absent}")
else:
    print("no such report, or reports of real patients")

# %% [markdown]
# ## What an ECG costs
#
# An ECG has three costs: its tokens, its bits, and the error of the signal that is decoded from the
# tokens. The bits are the tokens times log2 of the choices per token, as with codes of fixed
# length. A method with several codebooks chooses within one of them, so its bits per token follow
# from the codewords of one codebook, not from the whole vocabulary.

# %%
rates = stage.read("rates", "02")
rates = rates[["method", "vocabulary_size", "tokens_per_ecg", "bits_per_ecg"]]
errors = stage.read_seeds("reconstruction", "02")
errors = errors[errors["item"] == "mae_mv"]
quality = [
    vars(bootstrap.mean(errors[errors["method"] == name], seed=seed)) for name in rates["method"]
]
quality = pd.DataFrame(quality, index=rates.index)
quality[["value", "low", "high"]] *= 1000  # µV
rates = rates.join(quality)
table = rates.rename(columns={"value": "error (µV)", "n": "patients"})
stage.table("cost", table, "Tokens, bits and error (mean absolute) per ECG.").round(2)

# %%
tokens = rates.set_index("method")["tokens_per_ecg"]
vectors = stage.part("ecg_tok").settings["vectors"]
seconds = stage.part("ecg_byte").settings["seconds"]
print(f"A language model reads {vectors} vectors per ECG in ECG-Tok, {tokens['fsq']:.0f} tokens in")
print(f"HeartLLM. In ECG-Byte a whole ECG would be {tokens['bpe']:.0f} byte pairs, so its language")
print(f"model reads the first {seconds:g} s only.")

# %% [markdown]
# **What to see.** A good tokenizer has few tokens, few bits and a small error. Notebook 02 draws
# the error against the bits. Byte pairs keep the signal up to the width of their 26 amplitude bins,
# and cut off what lies outside their range; they need the longest sequence. RVQ and QINCo need
# equally many tokens and bits. ECG-Tok's adapter reads QINCo's tokens and gives the language model
# a few vectors, so its language model reads the shortest sequence. The language model of HeartLLM
# reads one token per time step.

# %% [markdown]
# ## What every system needs, and what it reaches
#
# The table lists each system that was trained on reports and questions. The operations are those of
# all training with ECGs, the warm-up and the training of an encoder included. They leave out the
# training of the tokenizer and of the base language model. Systems of the studies
# [systems](studies/systems.py), [two_stage](studies/two_stage.py),
# [ablations](studies/ablations.py), [encoders](studies/encoders.py), [longer](studies/longer.py),
# [four_times](studies/four_times.py), [ecg_tok_by_tokenizer](studies/ecg_tok_by_tokenizer.py),
# [data_scaling](studies/data_scaling.py) and [decoder_size](studies/decoder_size.py) stand there
# where these have been run. All were tuned for the updates of notebook 06, with three exceptions:
# *not tuned* has a single one, with a rate of zero, which changes nothing, *longer* has twice as
# many, and *4 x updates* four times as many. Earlier trainings come on top of these updates. A name
# says where a system learned from 10 % or 30 % of the patients. *Vectors* is how many vectors of
# one ECG the language model reads. TEST, Time-LLM and CLIP read one vector per time step, as
# HeartLLM does; what stands in front of these is no ECG and is not counted. The number of ECG-Byte
# is the mean of whole ECGs, scaled to the seconds it reads.

# %%
everything, spent = answered, stage.read("budget", "06")
STUDIES = ["systems", "two_stage", "ablations", "encoders", "longer", "four_times"]
STUDIES += ["ecg_tok_by_tokenizer", "data_scaling", "decoder_size"]
for study in STUDIES:
    everything = stage.join_study(study, "answers", everything)
    spent = stage.join_study(study, "budgets", spent)
part = everything["method"].isin(spent["method"])
replies = everything[part & exact_match.is_question(everything)]
stated = everything[part & everything["item"].str.startswith("finding:")]
reached = [exact_match.summary(replies, seed=seed).rename(columns={"type": "metric"})]
reached += [finding_agreement.summary(stated, seed=seed)]
reached = pd.concat(reached, ignore_index=True)
reached = reached[reached["metric"].isin(["all", "macro_f1"])]
ends = reached[reached["metric"] == "all"].set_index("method")[["low", "high"]]
note = stage.studies_note(reached)
by_seeds = wide_tables.wide(reached, "method", "metric")
reached = wide_tables.with_seeds(by_seeds, reached, "method").set_index("method")

# %%
of_start = round(tokens["bpe"] * seconds / 10)  # of an ECG of 10 s
reads = {"ecg_tok": vectors, "no_ecg": f"0 (learned: {vectors})", "ecg_byte": of_start}
reads |= dict.fromkeys(["heartllm", "test", "time_llm", "clip"], round(tokens["fsq"]))
reads |= dict.fromkeys(["merl", "vit", "clip_two_stage", "clip_vit"], 1)


def vectors_of(system: str) -> str:
    """How many vectors of one ECG a system reads: as the longest name that begins its own."""
    known = [name for name in reads if f"{system}_".startswith(f"{name}_")]
    return str(reads[max(known, key=len)]) if known else "-"


needs = spent.set_index("method").sort_values("flops")
needs = pd.DataFrame(
    {
        "vectors": needs.index.map(vectors_of),
        "ECG views": needs["ecg_views"].map("{:,}".format),
        "supervised tokens": needs["supervised_tokens"].map("{:,}".format),
        "training (TFLOP)": (needs["flops"] / 1e12).round(1),
    }
)
reached.columns = ["exact match", "finding macro-F1", "seeds"]
listed = needs.join(reached).reset_index()
caption = "Systems by the operations of their training without the tokenizer [95 % interval]."
stage.table("systems", listed, caption + note, dict.fromkeys(reached.columns[:2], "max"))

# %% [markdown]
# **What to see.** Compare systems of one kind: with tokens, whose tokenizer is not counted, or with
# an encoder that is. The table begins with the cheapest training, so a system that reaches as much
# as one below it is the cheaper one. A score no higher than that of *No ECG* needs no ECG.

# %%
if "no_ecg" in ends.index:
    blind = ends.index[ends["low"] <= ends.at["no_ecg", "high"]].drop("no_ecg")
    blind = "; ".join(style.method(name).name for name in blind)
    print(f"exact match not clearly above No ECG: {blind or 'none'}")

# %% [markdown]
# ## ECG-Tok: which quantiser serves reports best?
#
# *Towards Clinically Faithful ECG Reports via Quantization-Based Tokenization*, NeurIPS 2025
# workshop.
#
# **The question.** Which quantiser makes ECG tokens from which a language model writes faithful
# reports? The paper compares VQ, RVQ and QINCo, a residual quantiser whose codewords depend on the
# codewords chosen before. It reports that QINCo uses 99.99 % of its codewords (VQ 38.9 %, RVQ
# 88.41 %) and that a classifier on its tokens is on par with the ECG networks DeepSL and DeepSSL,
# but for a slight decrease in classes such as Infarction. Its reports on MIMIC-IV-ECG reach a
# ROUGE-L of 0.542, those of its final model 0.667. It warns that text metrics miss hallucinations.
#
# **What was built.** Cleaning (01), one encoder, three quantisers of its latents and a decoder for
# each (02), the EfficientNetV2 on the frozen tokens beside DeepSL and DeepSSL (03), and an adapter
# with a small language model that writes reports (04). The reports are compared with floors without
# a language model, with a control trained without the ECG, with a control that reads the ECG of
# another patient, and with a template that states the true findings. The next figure is the paper's
# overview with the sizes of this run.

# %%
COLUMNS = ["stage", "box", "size", "role", "inner"]
LANGUAGE = {  # how a language model learns: its box
    "lora": ("language model", "", "frozen", "LoRA"),
    "full": ("language model", "all weights", "trained"),
}


def language_model(name: str) -> tuple[str, ...]:
    """The box of a system's language model, as it is trained in this run."""
    return LANGUAGE[stage.part(name).settings["adapt"]]


def draw_overview(
    paper: str, name: str, stages: dict[str, list[tuple[str, ...]]], steps: str = ""
) -> None:
    """The overview figure of a paper; `stages`: title -> boxes, `steps`: a last sentence."""
    lines = [(title, *box) for title, boxes in stages.items() for box in boxes]
    drawn = pd.DataFrame([(*line, "")[: len(COLUMNS)] for line in lines], columns=COLUMNS)
    grey = "; grey: frozen" if "frozen" in set(drawn["role"]) else ""
    alt = f"Rows of boxes joined by arrows: {'; '.join(stages)}."
    caption = f"The method of {paper}, stage by stage, as it is trained in this run and with its "
    caption += f"sizes. Orange: trained in this stage{grey}; white: data.{steps}"
    stage.figure(f"overview_{name}", overview.stages(drawn), drawn, caption, alt)


# %%
books = round(tokens["qinco"] / tokens["vq"])
words = rates.set_index("method")["vocabulary_size"]
signal = ("ECG", "12 leads x 2,500 samples", "data")
codes = ("tokens", f"{tokens['qinco']:,.0f} per ECG", "data")
each = f"{books} codebooks of {words['qinco'] // books} codewords"
encode = [signal, ("encoder", f"{tokens['vq']:.0f} vectors", "trained")]
quantise = [("QINCo", each, "trained"), ("decoder", "", "trained"), signal]
read = [codes, ("EfficientNetV2", "", "trained"), ("77 labels", "", "data")]
write = [codes, ("adapter", f"{vectors} vectors", "trained")]
write += [language_model("ecg_tok"), ("report or answer", "", "data")]
steps = " In 1a the encoder is trained first, beside an RVQ, then QINCo, then the decoder. "
steps += "What was trained before is frozen."
boxes = {"1a  Tokenizer": encode + quantise, "1b  Labels from frozen tokens": read}
if stage.part("ecg_tok").settings.get("warm_up"):  # the language model takes no part in it
    boxes["2  Warm-up of the adapter (ours)"] = [*write[:2], ("phrases of reports", "", "data")]
    boxes["3  Adapter and language model"] = write
else:
    boxes["2, 3  Adapter and language model"] = write
draw_overview("ECG-Tok", "ecg_tok", boxes, steps)

# %%


def f1(frame: pd.DataFrame, method: str) -> str:
    """Micro-averaged F1 of findings in the reports of a method."""
    return finding_agreement.micro(frame[frame["method"] == method], seed=seed).text()


def rouge_l(method: str) -> str:
    """Mean ROUGE-L of the reports of a method in notebook 04."""
    return bootstrap.bounded(bootstrap.mean(rouge[rouge["method"] == method], seed=seed)).text()


# %%
def from_studies(**named: list[str]) -> None:
    """Show claims of studies of this run, with value and verdict; `named`: study = ids."""
    lines = []
    for study, ids in named.items():
        table = stage.study_claims(study)
        for id in [id for id in ids if id in table.index]:
            row = table.loc[id].copy()
            if row["low"] == row["high"]:  # a count, without an interval
                row[["low", "high"]] = float("nan")
            value = worded(row, with_unit=True)
            outcome = row["outcome"].replace("no margin", "reported, not judged")
            lines.append(f"- {row['statement']} {value}: {outcome} (`{study}`).")
    text = "\n".join(lines) or "No study stands beside this run."
    head = "**From the studies.** Each study trained its systems once"
    head += ", `without_tokens` three times. " if "without_tokens" in named else ". "
    head += "Where it compares them with a system of the run, it read the training that the run "
    head += (
        "had when the study was made. Verdicts are by intervals over patients. Two trainings of "
    )
    head += "one recipe differ, too, so a small difference of single trainings may be chance "
    head += "whatever its verdict (`docs/evidence.md` says by how much)."
    display(Markdown(f"{head}\n\n{text}"))


# %%
USE = "reports/synthetic-laptop-study-utilisation/tables/study_codebook_use.csv"
used = "not counted on these ECGs (study `utilisation`)"
if is_simulated(stage.plan) and stage.has_file(USE):
    use = pd.read_csv(stage.file(USE)).set_index("method")
    use = use[["pooled in 16 ECGs (%)", "random codes (%)"]].itertuples(name=None)
    used = ", ".join(f"{name.upper()} {share} (random codes: {dice})" for name, share, dice in use)
    used = used.replace("QINCO", "QINCo")
macro = {
    name: finding_agreement.macro_f1(reports[reports["method"] == name], seed).text()
    for name in ("memoriser", "retrieval")
}
display(
    Markdown(
        "**What came out.**\n\n"
        "- Utilisation by the paper's measure, in % of the codewords, simulated ECGs, quantisers "
        "behind a frozen encoder, not trained end to end (random codes: what dice in place of "
        f"codes would reach): {used}.\n"
        "- Error in the ECG in µV, at equal bits: PCA minus RVQ "
        f"{number('recon.mae.pca_minus_rvq')}, RVQ minus QINCo "
        f"{number('recon.mae.rvq_minus_qinco')}. In the latents, at 8 codebooks, QINCo's error is "
        f"{number('codes.error_ratio.qinco_over_rvq')} of RVQ's.\n"
        "- Classification, macro-AUC: QINCo's tokens minus RVQ's "
        f"{number('auc.macro.qinco_minus_rvq', 4)}; QINCo's tokens minus the median beat "
        f"{number('auc.macro.qinco_decoded_minus_median_beat')}.\n"
        f"- Reports: ROUGE-L {rouge_l('ecg_tok')}, nearest neighbour {rouge_l('retrieval')}, "
        f"without the ECG {rouge_l('no_ecg')}. Micro-F1 of findings "
        f"{f1(reports, 'ecg_tok')}, nearest neighbour {f1(reports, 'retrieval')}, without the ECG "
        f"{f1(reports, 'no_ecg')}.\n"
        "- Share of the way in macro-F1 from the better copied report (the commonest, or the "
        "nearest neighbour's) to the reference: "
        f"{number('report.share_of_reference.finding_f1')}. The memoriser, which is no floor of "
        f"this claim, copies a better report (macro-F1 {macro['memoriser']}, nearest neighbour "
        f"{macro['retrieval']})."
    )
)

# %%
from_studies(
    faithfulness=["faithful.qrs_duration.mae.qinco", "faithful.pr.mae.qinco"],
    longer_readers=[
        "longer_readers.qinco_minus_deepsl.shifted",
        "longer_readers.qinco_on_par_with_deepsl.shifted",
        "longer_readers.qinco_minus_deepsl.unshifted",
        "longer_readers.qinco_minus_deepssl.shifted",
    ],
    ecg_tok_by_tokenizer=[
        "ecg_tok_by_tokenizer.qinco_minus_rvq.macro_f1",
        "ecg_tok_by_tokenizer.qinco_minus_pca.macro_f1",
    ],
    prefix=["report.paper_form_minus_retrieval.finding_f1", "prefix.warm_up_minus_none.finding_f1"],
    final_model=["final_model.both_minus_one.own.rouge_l", "final_model.slow_minus_equal.rouge_l"],
    large_model=["large_model.ecg_tok_minus_no_ecg.macro_f1"],
    instruct=["instruct.chat_minus_shuffled.macro_f1", "instruct.direct_minus_chat.rouge_l"],
    instruct_byte=[
        "instruct_byte.chat_minus_shuffled.macro_f1",
        "instruct_byte.ecg_tok_minus_ecg_byte_chat.rouge_l",
    ],
    without_tokens=[
        "without_tokens.ecg_tok_minus_merl.exact_match",
        "without_tokens.ecg_tok_minus_merl.rouge_l",
        "without_tokens.ecg_tok_minus_clip.exact_match",
        "without_tokens.ecg_tok_minus_clip.rouge_l",
    ],
    four_times=[
        "four_times.ecg_tok_minus_heartllm.exact_match",
        "four_times.ecg_tok_minus_heartllm.macro_f1",
        "four_times.ecg_tok_minus_probe_reports.macro_f1",
    ],
    dilution=["dilution.none_minus_long.1.rouge_l"],
    data_scaling=["data_scaling.all_minus_30.macro_f1"],
)

# %% [markdown]
# Three statements of the paper carry no number. Beside each is what this run and its studies say.

# %%
measured, qrs = stage.study_claims("faithfulness"), []
for name in ("vq", "rvq", "qinco"):
    if (id := f"faithful.qrs_duration.mae.{name}") in measured.index:
        qrs.append(f"{style.method(name).name} {worded(measured.loc[id], digits=1)}")
qrs = f"{', '.join(qrs)} ms; the margin is 10 ms" if qrs else "not measured beside this run"
read = stage.join_study("readers", "labels", labels[labels["method"] == "qinco"])
read = read[read["seed"] == seed]
called = {"qinco": "QINCo (notebook 03)", "bpe": "byte pairs (study `readers`, another training)"}
in_vectors = {}
for name in called:
    part = read[read["method"] == name]
    if len(part):
        in_vectors[name] = auc.auc(part, "macro", seed=seed, resamples=500)
agrees = ""
if len(in_vectors) == 2 and in_vectors["bpe"].low > in_vectors["qinco"].high:
    agrees = " So in the vectors the statement does not come out."
in_vectors = ", ".join(f"{called[name]} {value.text()}" for name, value in in_vectors.items())
has_both = set(called) <= set(read["method"])
lengths = " A position has 64 ms in byte pairs, 128 ms in QINCo." if has_both else ""
written_by = {"ecg_tok": reports, "ecg_byte": answered}
for name, rows in written_by.items():
    macro[name] = finding_agreement.macro_f1(rows[rows["method"] == name], seed).text()
tflop = (spent.set_index("method")["flops"] / 1e12).round(1)

# %%
display(
    Markdown(
        "**The paper also says**\n\n"
        '- that VQ and RVQ "frequently failed to accurately reconstruct critical features such as '
        f'the QRS complex". Here the error of the QRS duration, lost ones counted: {qrs} (study '
        "`faithfulness`).\n"
        '- that its tokens "carry more structured, clinically salient information than the '
        'byte-level embeddings", which it infers from reports. Here, macro-F1 of the findings in '
        f"reports: ECG-Tok {macro['ecg_tok']}, ECG-Byte {macro['ecg_byte']}, which reads "
        f"{seconds:g} s of an ECG. Macro-AUC of the paper's reader of vectors, one training seed: "
        f"{in_vectors}.{lengths}{agrees}\n"
        "- that a few tokens per ECG reduce the time of training and inference. Here a language "
        f"model reads {vectors} vectors in ECG-Tok and {of_start} byte pairs in ECG-Byte. Training "
        f"with ECGs takes {tflop['ecg_tok']:g} TFLOP (the warm-up included) and "
        f"{tflop['ecg_byte']:g} TFLOP, without the tokenizers, of which only ECG-Tok's is a "
        "network. The benchmark `report_cost` counts the operations of writing a report."
    )
)

# %% [markdown]
# **What differs.** In `laptop` the reports start from a prefix of several vectors; the paper has
# one. There the adapter is first warmed up on phrases of the training reports. The warm-up is ours.
# The study [prefix](studies/prefix.py) takes both away and trains the paper's form, which means one
# vector, no warm-up and a LoRA; much else remains ours. QINCo and RVQ start from the same k-means
# codebooks. Both have 16 codebooks of 512 codewords in `laptop`, where the released code has 8 of
# 512. Each classifier of notebook 03 has eight epochs. After four times the updates DeepSL is
# further ahead of QINCo's vectors; with copies of the training ECGs that begin a little later they
# come close to it and pass DeepSSL (study [longer_readers](studies/longer_readers.py)). Our F1
# compares findings with the labels of the waveform. The paper's columns "Precision", "Recall" and
# "F1" are most likely BERTScore, because the released code computes BERTScore under such names.
#
# **What is missing.** The final model on MIMIC-IV-ECG and the hospital's data; and no cardiologist
# has read a report. The paper asks for that too.
#
# **What studies add.** The study [final_model](studies/final_model.py) has the final model on two
# simulated hospitals. The study
# [table_1](studies/table_1.py) trains both systems without an instruction. The paper's rows
# *inst.* have an instruct model and a chat template. The study [instruct](studies/instruct.py) asks
# ECG-Tok on SmolLM2 directly and by chat; that the chat costs anything is not shown, since two
# trainings of the direct form differ by more. [instruct_byte](studies/instruct_byte.py) asks
# ECG-Byte by the same chat. After 150 updates it does not use the ECG yet, so its row says nothing
# about the chat.
#
# ## HeartLLM: can an ECG be part of the vocabulary?
#
# *HeartLLM: Discretized ECG Tokenization for LLM-Based Diagnostic Reasoning* (first version:
# *DiagECG*), AAAI 2026.
#
# **The question.** Can an ECG become part of a language model's vocabulary, so that one model
# answers questions and writes reports? Each lead is encoded by itself, and finite scalar
# quantisation (FSQ) gives one token per time step. The model first learns to forecast ECG tokens
# and is then tuned on instructions. The paper reports an exact match of 56.63 % on MIMIC-IV-ECG and
# 54.98 % on PTB-XL, and a space that ECGs and text share without explicit pairing.
#
# **What was built.** The lead-wise encoder with FSQ (02), new embeddings with pretraining on the
# next token (05), LoRA tuning on reports and questions behind a line about the patient (06), the
# ablation without pretraining (07), and the alignment (08). Questions are asked in balanced sets:
# the same words about ECGs with different answers. A model that ignores the ECG answers at most one
# question per set correctly.

# %%
codes = ("tokens", f"{tokens['fsq']:.0f} per ECG", "data")
each = f"{words['fsq']:,} codes"
leads = [signal, ("encoder of each lead", "", "trained"), ("FSQ", each, "trained")]
forecast = [codes, ("embeddings of codes", "", "trained"), language_model("heartllm_pretrained")]
tune = [("tokens, patient and question", "", "data")]
tune += [("embeddings of codes", "words: the model's own", "trained")]
tune += [language_model("heartllm"), ("report or answer", "", "data")]
boxes = {"1  Tokenizer": [*leads, ("decoder", "", "trained"), signal]}
boxes |= {"2  Next token": [*forecast, ("next token", "", "data")], "3  Instructions": tune}
draw_overview("HeartLLM", "heartllm", boxes)

# %%
of_heartllm = answered[answered["method"] == "heartllm"]
guess = exact_match.chance(of_heartllm, seed=seed)
read_ecgs = of_heartllm.loc[of_heartllm["item"] == "rouge_l", "ecg"].nunique()
display(
    Markdown(
        "**What came out.**\n\n"
        f"- Exact match: {number('qa.exact_match', 1)} % of the questions, where chance is "
        f"{guess.text(1, 100)} %. As a share, its gain over chance is "
        f"{number('qa.gain_over_chance.exact_match')}, over the control without the ECG "
        f"{number('qa.ecg_minus_no_ecg.exact_match')}, over the memoriser of its own codes "
        f"{number('qa.heartllm_minus_memoriser.exact_match')}.\n"
        f"- Micro-F1 of findings in its reports {f1(answered, 'heartllm')}, without the ECG "
        f"{f1(answered, 'no_ecg')}, on {read_ecgs} test ECGs (ECG-Tok: {len(both)}).\n"
        "- Its next-token loss is below that of a table of pairs of tokens by "
        f"{number('pretraining.bits_below_bigram')} bits per token. Pretraining changes the "
        f"exact match by {number('ablation.pretraining_minus_none.exact_match')}.\n"
        "- Training changes the reciprocal rank of an ECG's own report by "
        f"{number('alignment.trained_minus_untrained.retrieval')}. [08_alignment](08_alignment.md) "
        "says whether ECGs and words share a space."
    )
)

# %%
from_studies(
    systems=[
        "systems.heartllm_minus_test.exact_match",
        "systems.heartllm_minus_time_llm.exact_match",
        "systems.heartllm_minus_clip.exact_match",
    ],
    ablations=[
        "ablations.full_minus_no_patient.exact_match",
        "ablations.full_minus_continuous.exact_match",
    ],
    encoders=["encoders.shared_minus_twelve.exact_match"],
    longer=["longer.twice_minus_once.exact_match"],
    four_times=[
        "four_times.heartllm_minus_ecg_byte.exact_match",
        "four_times.heartllm_minus_memoriser.exact_match",
    ],
    zero_shot=["zero_shot.cost.exact_match", "zero_shot.swap.exact_match"],
    noisy_answers=[
        "noisy_answers.heartllm_keeps.12.exact_match",
        "noisy_answers.costs.0.exact_match",
    ],
    attention=["attention.deletion.above_mean_minus_random"],
)

# %% [markdown]
# **What differs.** The language model is smaller than the paper's LLaMA-3.2-3B: in `gpu` all
# systems have Llama-3.2-1B, elsewhere a far smaller one. Outside `gpu` it is trained for minutes,
# and an ECG token covers 64 ms, not 32 ms. Inputs are in millivolts, not standardised per record.
# One model is tuned on reports and questions together. The questions are ours and not those of
# ECG-QA, so the exact match is not comparable with the paper's. The study
# [ecg_qa](studies/ecg_qa.py) asks those of ECG-QA and has the comparable claims.
#
# **What is missing.** The paper's data sets, and doctors who judge its answers.
#
# **What studies add.** The study
# [noisy_answers](studies/noisy_answers.py) adds noise to the ECGs that it is asked about: at 12 dB
# no loss of exact match is shown, and at 0 dB it loses answers. The study
# [zero_shot](studies/zero_shot.py) has HeartLLM at a hospital that it has never seen, and with two
# leads exchanged. The study [other_source](studies/other_source.py) asks models that have learned
# from simulated ECGs about 66 recordings of PTB-XL; no claim about its answers holds there, and one
# of three about reports does, on 11 cases. The study [systems](studies/systems.py) trains its three
# known opponents, [ablations](studies/ablations.py) leaves out one part at a time, and
# [faithfulness](studies/faithfulness.py) has the reconstructions under noise. With so little
# training, a weak result here is no evidence against the method.
#
# ## ECG-Byte: does an ECG need an encoder?
#
# *ECG-Byte: A Tokenizer for End-to-End Generative Electrocardiogram Language Modeling*, MLHC 2025.
#
# **The question.** Does an ECG need an encoder at all? ECG-Byte writes the signal as letters, one
# per amplitude bin, merges frequent pairs of letters into tokens, and trains a language model on
# them end to end. Versions 2 and 3 of the abstract state that training is three times faster than
# with two stages, and needs 48 % of the data; version 1 has half the time. What counts as data is
# not stated.
#
# **What was built.** The letters and a byte-pair trainer that agrees with a plain one (02), token
# usage (study [utilisation](studies/utilisation.py)), the language model on byte pairs of a short
# segment, for reports and questions (06), a study of its released form and of the form without
# instruction ([ecg_byte_released](studies/ecg_byte_released.py)), and the effect of a split by
# question item (06).


# %%
def exact(method: str) -> str:
    """Exact match of a system on the questions of notebook 06."""
    return exact_match.accuracy(answered[answered["method"] == method], seed=seed).text()


pairs = ("merges of pairs", f"{words['bpe']:,} symbols", "trained")
letters = [signal, ("letters", "30,000 of 26 kinds", "data"), pairs]
letters += [("byte pairs", f"{tokens['bpe']:,.0f} per ECG", "data")]
answer = [("byte pairs", f"of {seconds:g} s", "data"), ("embeddings", "", "trained")]
answer += [language_model("ecg_byte"), ("report or answer", "", "data")]
boxes = {"1  Tokenizer, without a network": letters, "2  One stage of training": answer}
draw_overview("ECG-Byte", "ecg_byte", boxes)

# %%
of_bpe = rates.set_index("method").loc["bpe"]
display(
    Markdown(
        "**What came out.**\n\n"
        f"- Byte pairs need {of_bpe['tokens_per_ecg']:.0f} tokens and {of_bpe['bits_per_ecg']:.0f} "
        f"bits per ECG of 30,000 letters. That is {30000 / of_bpe['tokens_per_ecg']:.1f} letters "
        f"per token. QINCo needs {tokens['qinco']:.0f} tokens.\n"
        f"- Their reconstruction error is {of_bpe['value']:.1f} µV, set by the width of the "
        "amplitude bins and the cut at the ends of their range, not by the merges, which lose "
        "nothing.\n"
        f"- It answers {exact('ecg_byte')} of the questions exactly, HeartLLM {exact('heartllm')}, "
        f"ECG-Tok {exact('ecg_tok')}. Micro-F1 of findings {f1(answered, 'ecg_byte')}.\n"
        "- A split by question item, as the released code makes it, raises the exact match of a "
        "memoriser of notes (notebook 06) by "
        f"{number('leak.item_minus_patient.exact_match')} over a split by patient."
    )
)

# %%
from_studies(
    two_stage=[
        "two_stage.ecg_byte_minus_merl.exact_match",
        "two_stage.ecg_byte_minus_vit.exact_match",
        "two_stage.ecg_byte_minus_clip_two_stage.exact_match",
        "two_stage.lora.ecg_byte_minus_merl.exact_match",
        "two_stage.flops_ratio",
        "two_stage.views_ratio",
    ],
    table_1=["table_1.ecg_tok_minus_ecg_byte.directed.rouge_l"],
    ecg_byte_released=["ecg_byte.corrected_minus_released.exact_match"],
    four_times=["four_times.four_minus_once.ecg_byte.exact_match"],
    seconds=["seconds.double_minus_run.exact_match", "seconds.same_minus_run.exact_match"],
    attention=["attention.ecg_byte.deletion.above_mean_minus_random"],
)

# %% [markdown]
# The ratio of operations is the lowest of six in the study [two_stage](studies/two_stage.py). It
# depends on the opponent, on the loss or score to be reached, and on padding.
#
# **What differs.** Merges do not cross leads or recordings. Bins come from training ECGs only. A
# letter is decoded to the middle of its bin. Letters are encoded by applying the merges in the
# order in which they were learned. In a profile, `bpe.released: true` restores the borders, the
# counting and the encoding of the released code, and `bpe.inverse: released` its inverse. Its
# draw of the percentiles is not offered. In the released code all ECG tokens share one embedding
# that is never trained; here each symbol has its own, which is. The model reads only the start of
# an ECG (1 s in `laptop`), so it sees no beat that comes later. In the study
# [seconds](studies/seconds.py) it reads the first two seconds, the length of one text of the
# released code. In `synthetic-laptop` it then answers more questions exactly, but by less than two
# of its trainings may differ.
#
# **What is missing.** Five texts per ECG, as in the released code; pieces of more than two seconds;
# the paper's data sets; and answers on ECG-QA.
#
# **What studies add.** Its attention to words is in the studies
# [answer_words](studies/answer_words.py) and [written_words](studies/written_words.py). The study
# [merges](studies/merges.py) varies the number of merges: in `synthetic-laptop` 3,500 of
# them are not shown to give more exact answers than 350, and a table of pairs predicts unseen ECGs
# best with 1,050. The study [two_stage](studies/two_stage.py) trains its opponents and counts what
# each needs until a loss that all reach, and until its own plateau. The study
# [attention](studies/attention.py) draws its attention over a signal and tests it.
#
# ## All deviations
#
# Every known difference between a paper, its released code and this compendium, by subject. "None
# known" does not mean that there is none.

# %%
deviations = pd.read_csv(stage.file("reports/deviations.csv"), keep_default_na=False)
named = {"topic": "what", "released": "released code", "ours": "here", "option": "how to change"}
print(len(deviations), "deviations")
for subject, part in deviations.groupby("subject", sort=False):
    table = tables.markdown(part.drop(columns="subject").rename(columns=named))
    display(Markdown(f"### {subject}\n\n{table}"))

# %% [markdown]
# ## Limits and intended use
#
# The intended use is research: to compare tokenizers, to check claims, and to learn the methods.
#
# - Nothing here is for clinical use. No clinician has rated a report of this compendium.
# - Simulated ECGs obey the rules that the simulator was given. A model that finds what was put in
#   shows that the pipeline works. It shows nothing about patients. Real recordings have findings
#   that overlap, labels that are wrong, and noise that is not modelled.
# - Summary numbers of the signal, which know nothing of the order of its waves, already separate
#   many simulated findings. Notebook 03 measures how much more a network on the raw signal reads.
#   Without this comparison a high score does not show that a tokenizer is good.
# - The language model of `laptop` has some 4 million parameters, that of `smoke` some thirty
#   thousand. Both are trained in the run, on its texts alone: models of this compendium's language,
#   not of English. Orderings at this scale need not hold at the papers' scale.
# - Where a table says one seed, the interval covers the choice of patients and not that of a
#   training. A sibling of the run (`--training-seed 1`) adds one.
# - A rule labeller reads the findings that are scored. A finding in words that it does not know
#   counts as omitted.
# - The warm-up learns phrases that several training reports share. Whether it helps with other
#   findings was not measured.
#
# ## Cards
#
# The model card and the data card state what a user of the models or of the data must know.

# %%
splits, base = stage.read("splits"), stage.part("ecg_tok").settings["base"]
base = {"name": base, **stage.run.profile["bases"][base]}
model_card = cards.model_card(stage.name, data, stage.plan, base, splits)
stage.write("cards/model.md", model_card)
data_card = cards.data_card(stage.name, data, stage.plan, splits)
stage.write("cards/data.md", data_card)
display(Markdown(data_card.replace("# Data card", "### Data card", 1)))

# %% [markdown]
# ## What it means

# %%
ecg_tok = faults.loc["ecg_tok"]
held, hard = number_of.get("stated in under half", 0), number_of.get("hard to read", 0)
is_hard = by_finding["reading"] == "hard to read"
sure = int((is_hard & (by_finding["auc_high"] < HELD)).sum())
more = "More findings are hard to read than are left unsaid"
if held >= hard:
    more = f"{'More' if held > hard else 'As many'} findings are left unsaid "
    more += f"{'than' if held > hard else 'as'} are hard to read"
if by_finding.empty:
    more = "Whether findings are hard to read or left unsaid cannot be said here"
holding = verdicts.loc[verdicts["verdict"] == "holds", "id"]
explored = sum(registry[name]["kind"] == "exploratory" for name in holding)
first = ""
if of_each.get("confirmed"):
    first = f"- **Believe first** the {of_each['confirmed']} primary claims that hold here and on "
    first += "the cohort set aside.\n"
longer, further = stage.study_claims("four_times"), ""
over = "heartllm_minus_memoriser.exact_match"
if f"four_times.{over}" in longer.index:
    after = worded(longer.loc[f"four_times.{over}"])
    further = (
        "- **With more updates one difference changes its sign.** HeartLLM minus the memoriser is "
    )
    further += f"{number(f'qa.{over}')} of exact match here, and {after} after four times the "
    further += (
        "updates, in one training (study `four_times`). Of other failures this is not shown.\n"
    )

# %%
display(
    Markdown(
        f"{first}- **Believe** the {len(holding)} claims that hold, at the size and on the data "
        f"of this run (`{stage.name}`). {explored} of them are exploratory: results of their kind "
        f"were known. {counts.get('fails', 0)} fail, and "
        f"{counts.get('not comparable', 0)} with a paper's number cannot be judged here. "
        f"{counts.get('no margin', 0)} report a level only.\n"
        f"{further}"
        f"- **{more}.** {held} of {len(by_finding)} findings are in the tokens and in under half "
        f"of the reports that should state them. {hard} more are in under half of these reports "
        f"and have an AUC below {HELD} in the decoded ECGs, {sure} of them by the whole interval. "
        f"In the raw signal no finding's AUC is more than {loss:z.3f} higher.\n"
        f"- **Do not trust a report** because it reads well: ECG-Tok invents "
        f"{ecg_tok['invention']} and omits {ecg_tok['omission']} conditions per 100 reports, and "
        f"{invented} of its {len(high)} reports with a high ROUGE-L contain an invention.\n"
        "- **Do not use** any of this for patients."
    )
)

# %% [markdown]
# ## Try it yourself
#
# 1. Set `HIGH` to 0.9 in the cell below "Faithfulness" and run it and the first cell of "Where the
#    overlap of words misleads". Does any report with so much overlap still invent a finding?
# 2. Set `RARELY` to 0.8 and run the cells of "Lost in the tokens, or left unsaid?". Which findings
#    get a name as well?
# 3. Set `seed` to 1 and run the cells of the faithfulness table. What stays, and what changes?
#
# <details><summary>What happens</summary>
#
# 1. The table then counts fewer reports, or as many; its last column answers the question.
# 2. Those with a recall between 0.5 and 0.8.
# 3. The faults per 100 reports stay. Their intervals may change in the last digits, because other
#    patients are drawn. The two counts at the right become those of training seed 1, where there is
#    one.
#
# </details>
#
# Previous: [08_alignment](08_alignment.py). First: [01_preprocess](01_preprocess.py).

# %% tags=["plumbing"]
stage.finish()
