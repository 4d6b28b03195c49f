"""Tables: the CSV is the truth, Markdown and LaTeX are renderings of it."""

import math
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from ecglib.figures.latex import Column, typeset

# Words of columns' names that a reader sees otherwise.
WORDS = {"rouge_l": "ROUGE-L", "rouge_1": "ROUGE-1", "bleu_4": "BLEU-4", "percent": "(%)"}
WORDS |= {"bleu_4_corpus": "BLEU-4, corpus", "meteor": "METEOR", "bert": "BERT"}
WORDS |= {"auc": "AUC", "ecg": "ECG", "ecgs": "ECGs", "f1": "F1", "mae": "MAE", "prd": "PRD"}
WORDS |= {"mhi": "MHI", "mv": "(mV)", "uv": "(µV)", "ms": "(ms)", "hz": "(Hz)", "n": "n"}
WORDS |= {"rr": "RR", "rmssd": "RMSSD", "pr": "PR", "qrs": "QRS", "qt": "QT", "qtc": "QTc"}
WORDS |= {"st": "ST", "rms": "RMS", "ece": "ECE", "tflops": "TFLOPs", "mflops": "MFLOPs"}
WORDS |= {"rvq": "RVQ", "vq": "VQ", "qinco": "QINCo", "fsq": "FSQ", "pca": "PCA", "tok": "Tok"}
INTERVAL = ["value", "low", "high"]
NAMED = ("method", "metric", "measure")  # columns of keys that a reader sees as names
VARIANTS = Path(__file__).with_name("variants.csv")
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]\d+)?")
HEAD = '<table border="1" class="dataframe">'  # as pandas begins a table
CEILINGS = ("reference", "template")  # methods that no other competes with


def csv(frame: pd.DataFrame, caption: str = "", best: dict | None = None) -> str:
    """Plain CSV with full precision: equal frames, equal bytes. It holds no caption."""
    return frame.to_csv(index=False, lineterminator="\n")


def cell(value: object) -> str:
    """A value as a reader wants it: three decimals, or three digits where that shows nothing.

    >>> cell(0.12345), cell(0.00012345), cell(3), cell(float("nan"))
    ('0.123', '0.000123', '3', '')
    """
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if 0 < abs(value) < 0.01 else f"{value:.3f}"
    return str(value)


def markdown(frame: pd.DataFrame, caption: str = "", best: dict | None = None) -> str:
    """A Markdown table with labels and names in words, numbers at the right.
    `best`: columns whose best value is bold, {column: "max" or "min"}, without ceilings."""
    lines = [_heads(frame)]
    numeric = map(pd.api.types.is_numeric_dtype, frame.dtypes)
    lines += [["--:" if right else "---" for right in numeric]]
    bold = [_best(frame, column, best) for column in frame.columns]
    for i, row in enumerate(_in_words(frame).itertuples(index=False)):
        texts = [cell(value).replace("|", r"\|") for value in row]
        lines.append([f"**{t}**" if i in rows else t for t, rows in zip(texts, bold, strict=True)])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (f"{caption}\n\n" if caption else "") + body + "\n"


class InWords(pd.DataFrame):
    """A table that a page shows as `markdown` has it, with its caption; values and labels stay as
    they are, and a part of the table keeps the caption."""

    _metadata: ClassVar[list[str]] = ["caption"]  # which pandas hands on to parts and copies
    caption = ""

    @property
    def _constructor(self) -> type:
        return InWords

    def _repr_html_(self) -> str | None:
        frame = pd.DataFrame(self)
        if frame.columns.nlevels == 1:
            frame = pd.DataFrame(_in_words(frame)).set_axis(_heads(frame), axis=1)
        if frame.index.name in NAMED:
            frame = frame.rename(index=word).rename_axis(label(frame.index.name))
        html = frame._repr_html_()
        if self.caption and html:
            html = html.replace(HEAD, f"{HEAD}\n  <caption>{escape(self.caption)}</caption>", 1)
        return html


def captioned(frame: pd.DataFrame, caption: str) -> InWords:
    """The table as a page shows it."""
    table = InWords(frame)
    table.caption = caption
    return table


def latex(frame: pd.DataFrame, caption: str = "", best: dict | None = None) -> str:
    """A LaTeX table that fits a page: labels and names in words, the best in bold.

    Labels are made from the columns' names, with their units. Methods are named as in figures.
    `best`: as for `markdown`.
    """
    columns, words = [], _in_words(frame)
    for column, head in zip(frame, _heads(frame), strict=True):
        alike = INTERVAL if column in INTERVAL else [column]
        texts, right = _texts(words[column], frame[frame.columns.intersection(alike)])
        columns.append(Column(head, texts, _best(frame, column, best), right))
    return typeset(columns, caption)


@cache
def _names() -> dict[str, str]:
    """The names of methods by their keys, and of variants that no figure draws by themselves."""
    from ecglib.figures.style import METHOD  # with matplotlib, which the command line need not load

    drawn = {key: look.name for key, look in METHOD.items()}
    return drawn | dict(pd.read_csv(VARIANTS, index_col="key")["name"])


def _heads(frame: pd.DataFrame) -> list[str]:
    """The columns' names as a reader wants them; keys of methods where each has a column."""
    names = _names() if len(frame.columns.intersection(list(_names()))) > 1 else {}
    return [names.get(column) or label(column) for column in frame]


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with names in place of keys of methods, metrics and measures."""
    named = [column for column in NAMED if column in frame]
    words = {column: [word(value) for value in frame[column]] for column in named}
    if "system" in frame:
        words["system"] = [_placed(value) for value in frame["system"]]
    return frame.assign(**words)


def _placed(system: object) -> object:
    """A system and its level in words: "clip, hidden" is "CLIP, last layer"."""
    if not isinstance(system, str):
        return system
    key, *levels = system.split(", ")
    levels = ["last layer" if level == "hidden" else level for level in levels]
    return ", ".join([_names().get(key, key), *levels])


def word(value: object) -> object:
    """A key in words; what is no text stays as it is."""
    return _names().get(value) or label(value) if isinstance(value, str) and value else value


def label(name: object) -> str:
    """A column's or a metric's name as a reader wants it.

    >>> label("tokens_per_ecg"), label("paper_percent"), label("rouge_l")
    ('Tokens per ECG', 'Paper (%)', 'ROUGE-L')
    """
    name = str(name)
    text = WORDS.get(name) or " ".join(map(_known, name.replace("_", " ").split(" ")))
    return text.strip("()") if name in WORDS else text[:1].upper() + text[1:]


def _known(word: str) -> str:
    """A word of a name as a reader wants it; a colon behind it stays."""
    bare = word.rstrip(":")
    return WORDS.get(bare, bare) + word[len(bare) :]


def _texts(column: pd.Series, alike: pd.DataFrame) -> tuple[list[str], bool]:
    """A column's cells as text, and whether all are numbers; decimals as those `alike` need."""
    texts = ["--" if cell(value) in ("", "-") else cell(value) for value in column]
    if pd.api.types.is_float_dtype(column):
        least = alike[alike != 0].abs().min(axis=None)
        digits = 4 if least < 0.01 else max(0, 2 - math.floor(math.log10(max(0.1, least))))
        digits *= (alike % 1 > 0).any(axis=None) or not column.max() > 1  # no decimals of counts
        texts = ["--" if v != v else f"{v:.{digits}f}" for v in column]
    right = all(re.match(r"-?\d|--$", text) for text in texts)
    return [re.sub(r"-(?=\d)", "−", text) if right else text for text in texts], right


def _best(frame: pd.DataFrame, column: str, best: dict | None) -> set[int]:
    """Rows with the best value of a column, "max" or "min", as far as digits show; no ceiling."""
    if column not in (best or {}):
        return set()
    texts = frame[column].map(lambda v: NUMBER.match(cell(v).replace(",", "")))
    numbers = texts.map(lambda first: float(first[0]) if first else math.nan)
    if "method" in frame:
        numbers = numbers.where(~frame["method"].isin(CEILINGS))
    return set(np.flatnonzero(numbers == numbers.agg(best[column])))


FORMATS = {".csv": csv, ".md": markdown, ".tex": latex}
