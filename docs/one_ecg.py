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
# # What do the models say of one ECG?
#
# | | |
# |---|---|
# | reads | a recording of yours or a simulated one; models of the run `synthetic-laptop` |
# | writes | nothing that stays |
# | needs | a clone and its environment; no run |
# | time | half a minute |
#
# The steps are those of `bash run_all.sh read FILE` ([an ECG of your own](own_ecg.md)), one at a
# time. **Not for clinical use**: the models were trained on simulated hearts, and what they say of
# a real ECG is often wrong.

# %% tags=["parameters"]
file = ""  # WFDB (.hea), DICOM (.dcm), CSV or NumPy (.npy); empty: a simulated test ECG
age = float("nan")  # years, where the file does not say it
sex = ""  # F or M, likewise

# %%
import os
import tempfile
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # no bars: each step takes seconds

import pandas as pd
from IPython.display import Image

from ecglib.figures import ecg_page
from ecglib.own_ecg import html_page
from ecglib.own_ecg.apply_models import read_with_models
from ecglib.own_ecg.read_file import read_file
from ecglib.run.paths import Paths
from ecglib.signals.leads import LEADS, RATE

run = Paths.here().reports("synthetic-laptop")
folder = tempfile.TemporaryDirectory()  # deleted with the kernel
scratch = Path(folder.name)

# %% [markdown]
# ## The file
#
# Without a file of yours, this takes the first of ten simulated test ECGs that lie in the
# predictions, and writes it as a stranger would: a column of times, and one per lead.

# %%
truth = ""  # the reference report, where there is one
if not file:
    stored = pd.read_parquet(run / "predictions" / "09_ten_ecgs.parquet").iloc[0]
    table = pd.DataFrame({f"{lead} (mV)": stored[lead] / 1000 for lead in LEADS})
    table.insert(0, "time (s)", table.index / RATE)
    file, age, sex, truth = scratch / "ecg.csv", stored["age"], stored["sex"], stored["report"]
    table.to_csv(file, index=False)
    print(f"test ECG {stored['ecg']} as {Path(file).name}, {table.shape[0]} lines")

# %% [markdown]
# ## What is understood of it
#
# Nothing is guessed: a rate or a unit that the file does not say has to be given to `read_file`.
# The leads come back in one order, whatever that of the file.

# %%
recording = read_file(Path(file), age=age, sex=sex)
print("signal", recording.signal.shape, f"in mV at {recording.rate:g} Hz")  # (12, n)
print(*recording.notes, sep="\n")

# %% [markdown]
# ## The quality, before anything else
#
# The quality is scored on the recording as it came. Cleaning takes out wander and mains hum.

# %%
reading = read_with_models(recording, run, scratch / "models")
print(html_page.verdict(reading))
print(*(reading.cleaning or ["Neither wander nor hum was taken out."]), sep="\n")
ecg_page.twelve_lead(reading.signal).savefig(scratch / "ecg.png", dpi=150)
Image(scratch / "ecg.png")  # printed in its own size: 25 mm per second, 10 mm per mV

# %% [markdown]
# ## Its tokens
#
# QINCo and FSQ turn ten seconds into so many integers. Decoded again, QINCo's lie over the
# recording; what differs is lost.

# %%
print(reading.tokens.round(1).to_string(index=False))
both = ecg_page.overlay(reading.signal, reading.decoded["qinco"], "qinco")
both.savefig(scratch / "decoded.png", dpi=150)
Image(scratch / "decoded.png")

# %% [markdown]
# ## Findings
#
# A classifier reads what QINCo's tokens decode to. Its probabilities are calibrated on simulated
# patients, so they are those among simulated patients.

# %%
reading.findings.head(10).round(3)

# %% [markdown]
# ## Reports and answers
#
# ECG-Tok reads QINCo's vectors through an adapter, HeartLLM reads FSQ's codes as words. Both get
# the same questions. Reports have the wording of the simulated hospital A; the reference may have
# that of B. The models do not read the measurements: where the two disagree, believe these.

# %%
is_report = reading.texts["question"] == ""  # the report answers no question
print("reference:", truth or "none")
for method, report in reading.texts[is_report].set_index("method")["text"].items():
    print(f"{method}: {report}")

# %%
values = {name: round(float(value)) for name, value in reading.measured.items() if value == value}
print("measured:", values)  # per minute, ms and degrees
asked = reading.texts[~is_report]
answers = asked.pivot(index="question", columns="method", values="text")
answers.loc[asked["question"].unique()]

# %% [markdown]
# ## What this is worth on real ECGs

# %%
facts = html_page.worth(Paths.here().reports("benchmarks") / "models_on_ptbxl.json")
print(html_page.WARNING, *facts, sep="\n")
