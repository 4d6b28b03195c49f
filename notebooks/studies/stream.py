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
# # Can an ECG be read while it is recorded?
#
# | | |
# |---|---|
# | reads | cohort (01), FSQ (02), language model (04), HeartLLM (06) |
# | writes | codes of simulated streams, and reports about windows of them |
# | paper items | ours; HeartLLM reads ten seconds that are there already |
# | time | a minute in `smoke`; some 3 nominal minutes in `laptop`, after 01 and HeartLLM |
# | memory | 4 GB in `laptop` |
#
# After this notebook you can
#
# - say how far a code looks ahead, and measure it with samples that are not numbers;
# - encode a signal in pieces so that no code differs from those of the whole;
# - say how long a report lags behind a heart whose rhythm changes, and why.
#
# A monitor never has the whole ECG. The convolutions of a tokenizer such as FSQ see a few positions
# on each side of a position, and nothing in them averages over the recording. So a code is certain
# as soon as those few positions have arrived, and older samples can be forgotten. A language model
# then reads the codes of the last ten seconds, again and again.
#
# HeartLLM is the committed model of notebook 06, and nothing is trained. **Ours, not the paper's:**
# all of it.

# %% tags=["plumbing"]
import time

import numpy as np
import pandas as pd
import torch

from ecglib.cohorts import changing_rhythm, scored_sample
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import bootstrap
from ecglib.evaluate.statements import read_degrees
from ecglib.figures import rhythm_change
from ecglib.labels.label_set import LABELS
from ecglib.language import write_texts
from ecglib.questions import balanced_sets
from ecglib.run.stage import Stage
from ecglib.signals.leads import RATE
from ecglib.tokenizers import encode, stream_windows
from ecglib.tokenizers.load import load
from ecglib.tokenizers.stream import CodeStream, hop, of_length, reach

# %% tags=["parameters"]
profile = "laptop"  # smoke, laptop or gpu: sizes only
data = "synthetic"  # a data plan: notebooks/data/<name>.yaml
tag = "study-stream"  # the study's own run
seed = 0  # the run's

# %% tags=["plumbing"]
stage = Stage("study", profile, data, seed, tag)
print(stage.banner())
settings, scoring = stage.section("study"), stage.section("scoring")

# %% tags=["plumbing"]
cohort_folder = stage.input("01", "cohort")
rows = scored_sample.test_rows(Cohort.open(cohort_folder), scoring["test_ecgs"], seed)
ask = stage.section("questions") | {"rows": rows.tolist()}  # as in notebook 04
measured = {"cohort": cohort_folder, "measurements": stage.input("01", "measurements")}
stage.step("questions", balanced_sets.write_questions, ask, measured)
inputs = stage.inputs("heartllm_texts")
inputs.pop("questions")  # only reports are written here

# %%
tokenizer = load(inputs["tokenizer"])
size = hop(tokenizer)
print(f"a position of the tokenizer has {size} samples, {1000 * size / RATE:.0f} ms")

# %% [markdown]
# ## How far a code sees
#
# A sample that is not a number spoils every vector that is computed from it, and no other. So a
# position of such samples shows which vectors read it, whatever the layers of the encoder are.

# %%
x = torch.zeros(1, 12, 41 * size)  # (ECGs, leads, samples), 41 positions
x[0, 0, 20 * size : 21 * size] = torch.nan  # position 20 of lead I
latents = of_length(tokenizer, x.shape[2])._features(x)
spoiled = latents.isnan().any(2)[0].nonzero()[:, 0]
print("latents (ECGs, positions, numbers):", tuple(latents.shape), "spoiled:", spoiled.tolist())
assert int((spoiled - 20).abs().max()) == reach(tokenizer)

# %% [markdown]
# ## Streams of hearts whose rhythm changes
#
# A person is healthy, has a condition for some time, and is healthy again. The parts are simulated
# one by one and joined by a cross-fade of 40 ms; a beat at a join may look odd. Noise is added to
# the whole, and the whole is cleaned. The cleaning looks at all of a recording, so here only the
# tokenizer and the language model work while the signal arrives.

# %%
streams = max(2, scoring["test_ecgs"] // settings["ecgs_per_stream"])
conditions = settings["conditions"]
config = {"conditions": list(conditions), "streams": streams}
config |= {key: settings[key] for key in ("parts", "step")}
place = stage.step("streams", changing_rhythm.simulate_streams, config, {})
windows = pd.read_parquet(place / "windows.parquet")
signals = torch.from_numpy(np.load(place / "streams.npy"))
print("signals (streams, leads, samples):", tuple(signals.shape), f"with {len(windows)} windows")

# %% [markdown]
# ## Codes while the signal arrives
#
# The stream keeps what a code may still need. It encodes a few positions together, a *block*, as
# soon as the codes of all of them are certain.

# %%
stream = CodeStream(tokenizer)
first = signals[0]
given = [stream.feed(piece) for piece in first.split(settings["piece"], dim=1)]
given = torch.cat([*given, stream.close()])  # (positions, codebooks)
whole = of_length(tokenizer, first.shape[1]).encode(first[None])[0]
print(f"{len(given)} positions of the first stream, {int((given == whole).sum())} codes equal")
look_ahead, delay = (1000 * of / RATE for of in (stream.look_ahead, stream.delay))
print(f"a code is certain {look_ahead:.0f} ms behind its position, and given by {delay:.0f} ms")

# %% [markdown]
# All streams in this way, and each window once more by itself. At its two ends a window that is
# encoded alone sees zeros where the stream goes on, so a few of its codes differ.

# %%
reads = {"cohort": place, "tokenizer": inputs["tokenizer"]}
config = {"piece": settings["piece"]}
codes = {"stream": stage.step("codes", stream_windows.encode_windows, config, reads)}
codes["alone"] = stage.step("codes_alone", encode.encode, {"batch": 64}, reads)
agreement = stage.data("agreement", pd.read_csv(codes["stream"] / "agreement.csv"))
agreement.sum().drop("stream").astype(int).to_frame().T

# %% [markdown]
# ## A report every second
#
# HeartLLM reads the last ten seconds of each stream and writes a report, once per step. The labels
# that a report states are read by the same labeller as everywhere.

# %%
config = {"rows": windows["row"].tolist(), "batch": scoring["batch"]}
config |= {"max_new": scoring["max_new"]}
written = {}
for kind, folder in codes.items():
    of = inputs | {"cohort": place, "codes": folder}
    out = stage.step(f"texts_{kind}", write_texts.write, config, of)
    written[kind] = pd.read_parquet(out / "texts.parquet").set_index("row")["text"]
records = Cohort.open(place).records
about = windows.assign(unit=records["unit"].to_numpy(), ecg=records["ecg"].to_numpy())
about["look_ahead"] = stream.look_ahead  # samples
about["text"] = written["stream"].loc[about["row"]].to_numpy()
about["same_alone"] = (about["text"] == written["alone"].loc[about["row"]].to_numpy()).astype(int)

# %%
number = {name: LABELS.index(label) for name, label in conditions.items()}
pairs = zip(about["text"], about["condition"], strict=True)
about["stated"] = [int(read_degrees(text).get(number[name], 0) > 0) for text, name in pairs]
saved = stage.data("windows", about.drop(columns="row"))
print("saved:", len(saved), "windows")

# %% tags=["plumbing"]
dated = pd.DataFrame([{"day": time.strftime("%F"), "commit": stage.commit}])
print("saved:", stage.write("timing_made.csv", dated).name)

# %% [markdown]
# ## From here on: saved predictions
#
# ## Are the codes those of the whole?

# %%
agreement, saved = stage.read("agreement"), stage.read("windows")
equal = agreement["equal_whole"].sum() / agreement["codes"].sum()
alone = agreement["equal_alone"].sum() / agreement["codes_in_windows"].sum()
lines = [
    ("stream codes equal to those of the whole signal", equal, agreement["codes"].sum()),
    ("stream codes equal to those of a window alone", alone, agreement["codes_in_windows"].sum()),
    ("reports equal to those of a window alone", saved["same_alone"].mean(), len(saved)),
]
lines = pd.DataFrame(lines, columns=["what", "share", "n"])
stage.table("agreement", lines.round(6), "What a stream changes.")
lines

# %% [markdown]
# ## What the reports say while the rhythm changes
#
# A report is about a window of ten seconds, but its last codes need the samples that follow. So the
# time of a report is that of the newest sample that it needs.

# %%
from scipy.stats import binomtest

n_people = saved["unit"].nunique()
saved["score"], saved["item"] = saved["stated"].astype(float), "stated"
oldest, newest = saved["start"] - saved["look_ahead"], saved["end"] + saved["look_ahead"]
saved["seconds"] = newest / RATE
lines = []
for (condition, seconds), rows in saved.groupby(["condition", "seconds"], sort=False):
    times = binomtest(int(rows["stated"].sum()), len(rows))  # one report per person
    low, high = times.proportion_ci(method="exact")
    line = {"condition": condition, "method": "heartllm", "seconds": seconds}
    lines.append(line | {"value": times.statistic, "low": low, "high": high, "n": len(rows)})
lines = pd.DataFrame(lines)
starts = saved.groupby("condition", sort=False)[["from", "to"]].first() / RATE
needed = (newest - oldest).max() / RATE  # s of signal behind one report
spans = {name: (*starts.loc[name], needed) for name in starts.index}
caption = (
    f"Share of HeartLLM's reports about the last ten seconds that state the condition, for "
    f"{n_people} simulated persons who have it for some time. Light: a part of the signal that the "
    "report needs has the condition; dark: all of it. Band: 95 % intervals over persons, "
    "by Clopper and Pearson; one training seed."
)
alt = "A panel per condition with a curve that should rise in the shaded area and fall behind it."
figure = rhythm_change.shares(lines, spans)
stage.figure("rhythm_change", figure, lines, caption, alt)

# %% [markdown]
# **What to see.** In the dark area the curve is the share of episodes that the reports state. In
# the light area on the left, the window fills with the new rhythm: where the curve rises, enough of
# the ten seconds have it. In the light area on the right, the window still holds a part of the
# episode. A value above 0 before the first light area would be a false statement.
#
# ## The registered comparisons

# %%
within = {
    "before": newest <= saved["from"],
    "within": (oldest >= saved["from"] + saved["fade"]) & (newest <= saved["to"]),
    "after": oldest >= saved["to"] + saved["fade"],
}
keys = ["condition", "unit"]
mean = {part: saved[where].groupby(keys)["stated"].mean() for part, where in within.items()}
SHORT = {"ventricular tachycardia": "vt", "atrial flutter": "flutter"}
SHORT |= {"ventricular pacing": "pacing"}
stage.claim("stream.code_agreement", equal, equal, equal, n_people)


def over_persons(score: pd.Series) -> bootstrap.Estimate:
    """The mean of one number per person (index: unit), with its interval."""
    rows = score.rename("score").rename_axis("unit").reset_index()
    rows = rows.assign(ecg=rows["unit"], item="stated", method="heartllm", seed=seed)
    return bootstrap.mean(rows, seed=seed)


# %% [markdown]
# The *lag* is the time from the beginning of the condition to the first report that states it.
# Where no report does before the condition ends, its whole length counts. Reports lag at the end,
# too: the time from the end of the condition to the last report that states it is not registered.

# %%
during = (newest > saved["from"]) & (newest <= saved["to"])
lags, tails = {}, {}
for condition in starts.index:
    own = saved[during & (saved["condition"] == condition)]
    first = own[own["stated"] == 1].groupby("unit")["seconds"].min()
    begin, end = starts.loc[condition]
    persons = own["unit"].unique()
    lags[condition] = first.reindex(persons, fill_value=end) - begin
    late = saved[(newest > saved["to"]) & (saved["condition"] == condition)]
    last = late[late["stated"] == 1].groupby("unit")["seconds"].max()
    tails[condition] = last.reindex(persons, fill_value=end) - end
    # exact for the share of persons with a gain of 1; the others could lose
    gain = bootstrap.exact_ends(over_persons((mean["within"] - mean["before"])[condition]))
    stage.claim(f"stream.follows.{SHORT[condition]}.share", **vars(gain))
    lag = over_persons(lags[condition])
    stage.claim(f"stream.lag.{SHORT[condition]}.seconds", **vars(lag))

# %%
table = pd.DataFrame({part: of.groupby("condition").mean() for part, of in mean.items()})
table = table.loc[starts.index]
table["median lag (s)"] = [lags[name].median() for name in starts.index]
table["median tail (s)"] = [tails[name].median() for name in starts.index]
ends = (starts["to"] - starts["from"]).to_dict()
table["never stated"] = [int((lags[name] >= ends[name]).sum()) for name in starts.index]
table = table.rename_axis("condition").reset_index()
caption = (
    "Share of reports that state the condition before, within and after it. Lag: from its start to "
    "the first report that states it. Tail: from its end to the last one. Never stated: persons."
)
stage.table("parts", table.round(3), caption)
table.round(3)

# %% [markdown]
# ## What it means

# %%
stage.print_claims()

# %% [markdown]
# Can an ECG be read while it is recorded? In `laptop` the codes are exactly those of the whole
# signal. The median report states flutter after 5.8 s, pacing after 4.8 s and ventricular
# tachycardia after 7.9 s. Two of the 16 persons with tachycardia are never reported, so its mean
# lag is not shown to be below 10 s.
#
# Eight limits apply. Each condition has 16 persons. The printed low end 0.794 is exact for the
# share of persons with a full gain of 1, where 16 of 16 have it. The other 0.206 could each have a
# gain of -1, so the mean gain is only shown to be above 0.59. One person whose reports never state
# a condition counts with the whole 20 s, which can decide a claim about a mean lag. A lag leaves
# out the wait for a block of codes (0.45 s at most) and the time that writing takes. The streams
# are simulated, and so was the training. These hearts have one condition and are healthy otherwise,
# so they are easier to read than the test ECGs of notebook 06, which have several. A window with
# two rhythms is like nothing that HeartLLM was trained on. The cleaning saw the whole stream. And
# reports are counted window by window: no rule here says when an alarm would be given.
#
# ## Try it yourself
#
# - Feed the first stream in pieces of one sample. Are the codes the same? How much slower is it?
# - Set `parts` to `[2, 3, 2]` in `stream.yaml`, an episode of thirty seconds. Does the share of
#   reports that state it still change after all of the signal has the condition?
#
# `bash run_all.sh bench stream_rate` measures how fast a stream is encoded, and that its memory
# does not grow.

# %% tags=["plumbing"]
stage.finish()
