"""Tables: the CSV is the truth, Markdown and LaTeX are renderings of it."""

import math

import pandas as pd

LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_"}
LATEX |= {"{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


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
    """A Markdown table; numbers are right-aligned."""
    lines = [[str(name) for name in frame.columns]]
    lines += [["--:" if right else "---" for right in _numeric(frame)]]
    lines += [[cell(v).replace("|", r"\|") for v in row] for row in frame.itertuples(index=False)]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (f"{caption}\n\n" if caption else "") + body + "\n"


def latex(frame: pd.DataFrame, caption: str = "", best: dict | None = None) -> str:
    """A LaTeX table for booktabs, text escaped."""
    texts = frame.rename(columns=escape).reset_index(drop=True)
    style = texts.map(lambda value: escape(cell(value))).style.hide()
    return style.to_latex(
        hrules=True,
        column_format="".join("r" if right else "l" for right in _numeric(frame)),
        position_float="centering",
        caption=escape(caption) or None,
    )


def _numeric(frame: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns]


def escape(text: object) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(LATEX.get(character, character) for character in str(text))


FORMATS = {".csv": csv, ".md": markdown, ".tex": latex}
