"""Tables: the CSV is the truth, Markdown and LaTeX are renderings of it."""

import math
from pathlib import Path

import pandas as pd

LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_"}
LATEX |= {"{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Plain CSV with full precision: equal frames, equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n")


def write_table(frame: pd.DataFrame, stem: Path, caption: str) -> list[Path]:
    """Write `<stem>.csv`, `.md` and `.tex`; returns their paths."""
    paths = [stem.with_name(stem.name + suffix) for suffix in (".csv", ".md", ".tex")]
    write_csv(frame, paths[0])
    paths[1].write_text(markdown(frame, caption), encoding="utf-8")
    paths[2].write_text(latex(frame, caption), encoding="utf-8")
    return paths


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


def markdown(frame: pd.DataFrame, caption: str = "") -> str:
    """A Markdown table; numbers are right-aligned."""
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns]
    lines = [[str(name) for name in frame.columns]]
    lines += [["--:" if right else "---" for right in numeric]]
    lines += [[cell(v).replace("|", r"\|") for v in row] for row in frame.itertuples(index=False)]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (f"{caption}\n\n" if caption else "") + body + "\n"


def latex(frame: pd.DataFrame, caption: str = "") -> str:
    """A LaTeX table for booktabs, text escaped."""
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns]
    columns = "".join("r" if right else "l" for right in numeric)
    rows = [[escape(str(name)) for name in frame.columns]]
    rows += [[escape(cell(value)) for value in row] for row in frame.itertuples(index=False)]
    lines = [" & ".join(row) + r" \\" for row in rows]
    head = [rf"\caption{{{escape(caption)}}}"] if caption else []
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
    top, bottom = [r"\begin{table}", r"\centering"], [r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*top, *head, *body, *bottom, r"\end{table}", ""])


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(LATEX.get(character, character) for character in text)
