"""One HTML page about a recording, with its pictures inside, and the pictures as PNG beside it."""

import base64
import json
from html import escape
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ecglib.figures import ecg_page, style
from ecglib.own_ecg.apply_models import Reading
from ecglib.own_ecg.read_file import Recording
from ecglib.signals.leads import LEADS, SAMPLES
from ecglib.signals.measure import MEASURES

WARNING = (
    "Trained on simulated hearts. Not for clinical use: what these models say of real ECGs is "
    "often wrong."
)
READABLE, DOUBTFUL = 0.9, 0.75  # quality: from here on clear, and below here disturbed
LISTED = 0.5  # probability from which a finding is listed; the ten highest are, in any case
SHORT = (
    "<p>The recording is shorter than ten seconds. The page has columns of 2.5 seconds, so the "
    "leads to the right are cut or missing.</p>"
)
TOKENS = {"tokens": "tokens of 10 s", "bits": "bits of 10 s", "error_uv": "mean error (µV)"}
STYLE = """
body { font-family: sans-serif; max-width: 62rem; margin: 1rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 0.15rem 0.8rem 0.15rem 0; }
.warning { background: #fff3cd; border: 1px solid #d39e00; padding: 0.5rem 0.8rem; }
img { width: 100%; } .table { overflow-x: auto; }
"""


def verdict(reading: Reading) -> str:
    """The quality in one sentence."""
    score = reading.quality.record
    pairs = zip(LEADS, reading.quality.leads, strict=True)
    disturbed = [lead for lead, value in pairs if value < DOUBTFUL]
    words = "readable" if score >= READABLE else "doubtful" if score >= DOUBTFUL else "poor"
    rest = " No single lead is disturbed."
    rest = f" Disturbed leads: {', '.join(disturbed)}." if disturbed else rest
    return f"The recording is {words}: quality {score:.2f} of 1.{rest}"


def worth(file: Path) -> tuple[str, ...]:
    """What these models are worth on real ECGs, in sentences, from the benchmark that measured it;
    nothing where its result is absent."""
    if not file.is_file():
        return ()
    result = json.loads(file.read_text(encoding="utf-8"))
    span = f"{result['value']:.2f} [{result['low']:.2f}, {result['high']:.2f}]"
    reports = [
        f"{style.method(name).name} {of['macro_f1']['value']:.2f}, with another patient's ECG "
        f"{of['macro_f1_other_ecg']['value']:.2f}"
        for name, of in result["reports"].items()
    ]
    return (
        f"On {result['ecgs']} ECGs of PTB-XL the classifier of findings has a macro-AUC of {span} "
        f"over {len(result['labels'])} labels (simulated ECGs: "
        f"{result['reference']['value']:.2f}).",
        f"Macro-F1 of findings in reports there: {'; '.join(reports)}.",
    )


def write_page(
    out: Path, name: str, recording: Recording, reading: Reading, facts: tuple[str, ...] = ()
) -> Path:
    """Write `<name>.html`, `<name>_ecg.png` and `<name>_decoded.png` into a folder.

    Args:
        facts: sentences on what such models are worth on real ECGs, shown beside the warning.
    """
    out.mkdir(parents=True, exist_ok=True)
    drawn = ecg_page.twelve_lead(reading.signal)
    both = ecg_page.overlay(reading.signal, reading.decoded["qinco"], "qinco")
    findings = reading.findings
    findings = findings[(findings["probability"] >= LISTED) | (findings.index < 10)]
    texts = reading.texts
    reports = texts[texts["question"] == ""].set_index("method")["text"]
    asked = texts[texts["question"] != ""]
    answers = asked.pivot(index="question", columns="method", values="text")
    answers = answers.loc[asked["question"].unique()].reset_index().rename_axis(columns=None)
    named = {method: style.method(method).name for method in reports.index}
    measured = pd.DataFrame(
        {
            "measured": [f"{key.replace('_', ' ')} ({MEASURES[key]})" for key in reading.measured],
            "value": ["not found" if v != v else f"{v:.0f}" for v in reading.measured.values()],
        }
    )
    parts = [
        f"<h1>{escape(name)}</h1>",
        f'<p class="warning"><b>{WARNING}</b> {escape(" ".join(facts))}</p>',
        f"<p><b>{escape(verdict(reading))}</b></p>",
        *(f"<p>{escape(note)}</p>" for note in (*recording.notes, *reading.cleaning)),
        "<h2>The ECG, cleaned</h2>",
        SHORT if reading.signal.shape[1] < SAMPLES else "",
        _picture(drawn, out / f"{name}_ecg.png", "The recording on ECG paper"),
        _table(measured),
        "<h2>Its tokens, and what they decode to</h2>",
        _table(reading.tokens.rename(columns=TOKENS).round(1)),
        _picture(both, out / f"{name}_decoded.png", "The recording and QINCo's reconstruction"),
        "<h2>Findings</h2>",
        "<p>By the classifier of QINCo's decoded tokens. Probabilities are those among simulated "
        "patients.</p>",
        _table(findings.assign(probability=findings["probability"].map("{:.2f}".format))),
        "<h2>Reports</h2>",
        "<p>In the wording of the simulated hospital A.</p>",
        *(f"<p><b>{named[method]}</b>: {escape(text)}</p>" for method, text in reports.items()),
        "<h2>Answers</h2>",
        "<p>The systems do not read the measurements above. Where the two disagree, believe the "
        "measurements.</p>",
        _table(answers.rename(columns=named)),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>'
    head += f"{escape(name)}</title><style>{STYLE}</style>"
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'
    file = out / f"{name}.html"
    file.write_text(page + "\n", encoding="utf-8")
    return file


def _picture(figure: Figure, file: Path, alt: str) -> str:
    figure.savefig(file, dpi=200)
    content = base64.b64encode(file.read_bytes()).decode("ascii")
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{content}">'


def _table(table: pd.DataFrame) -> str:
    return f'<div class="table">{table.to_html(index=False, border=0)}</div>'
