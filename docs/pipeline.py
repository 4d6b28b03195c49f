"""Draw docs/pipeline.png, the picture of the README: from an ECG to text and claims.

    python docs/pipeline.py

Run it in the environment of the project (`.venv/bin/python` where run_all.sh made one). A method
has the colour that it has in every figure (ecglib/figures/methods.csv).
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ecglib.figures import style

WIDTH, HEIGHT = 800, 268  # units of the drawing: pixels where the picture is 800 pixels wide
DPI = 100
UPPER, LOWER = (136, 124), (8, 96)  # lower edge and height of the two rows of boxes
CODES = (3, 0, 2, 3, 1, 2, 0, 1, 3, 1, 2, 3)  # of the row of tokens, drawn as shades


def box(axes: Axes, x: float, width: float, row: tuple[int, int], title: str, *texts: str) -> None:
    """A box with a title and lines of text. `key|text` puts the colour of the method before it."""
    y, height = row
    axes.add_patch(Rectangle((x, y), width, height, fc="white", ec=style.GREY, lw=0.8))
    axes.text(x + 9, y + height - 9, title, size=9.5, weight="bold", va="top")
    for number, line in enumerate(texts):
        key, _, text = line.rpartition("|")
        left, top = x + 9, y + height - 34 - 17 * number
        if key:
            colour = style.method(key).colour
            axes.add_patch(Rectangle((left, top - 10), 8, 8, fc=colour, ec="none"))
        axes.text(left + 13 * bool(key), top, text, size=8.5, va="top")


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow between two points."""
    look = {"arrowstyle": "-|>", "lw": 1.1, "color": style.BLACK, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=look)


def trace(axes: Axes, x: float, y: float, width: float) -> None:
    """Three beats of a lead as sums of Gaussians (P, Q, R, S, T)."""
    t = np.linspace(0, 3, 900)
    waves = [(0.22, 0.035, 5), (0.37, 0.010, -5), (0.40, 0.012, 36), (0.43, 0.011, -9)]
    waves += [(0.68, 0.06, 9)]
    beat = sum(size * np.exp(-((t % 1 - at) ** 2) / (2 * wide**2)) for at, wide, size in waves)
    axes.plot(x + width * t / 3, y + beat, color=style.BLACK, lw=0.9)


def tokens(axes: Axes, x: float, y: float) -> None:
    """A row of squares, one per ECG token; the shade is the code."""
    for number, code in enumerate(CODES):
        shade = str(0.8 - 0.25 * code)
        axes.add_patch(Rectangle((x + 14 * number, y), 11, 11, fc=shade, ec="none"))


def draw() -> Figure:
    """The whole picture."""
    with style.canvas(WIDTH / DPI, HEIGHT / DPI, constrained=False) as figure:
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
        axes.set_axis_off()
        box(axes, 8, 152, UPPER, "01  ECG", "", "", "", "clean, label,", "split by patient")
        trace(axes, 16, UPPER[0] + 54, 136)
        tokenizers = ("qinco|VQ, RVQ, QINCo (ECG-Tok)", "fsq|FSQ of all leads (HeartLLM)")
        box(axes, 188, 200, UPPER, "02  Tokenizer", *tokenizers, "bpe|byte pairs (ECG-Byte)")
        tokens(axes, 197, UPPER[0] + 16)
        prefixes = ("ecg_tok|a few vectors (ECG-Tok)", "heartllm|new words (the others)")
        words = ("in front of the text; all", "weights trained, or a LoRA")
        box(axes, 416, 200, UPPER, "04-08  Language model", *prefixes, *words)
        box(axes, 644, 148, UPPER, "Text", "04  report", "06  answers to", "      questions")

        probes = ("02  error of the decoded ECG", "03  AUC of the labels", "05  forecast of tokens")
        box(axes, 188, 200, LOWER, "What the tokens keep", *probes)
        controls = ("no_ecg|model without the ECG", "shuffled|another patient's ECG")
        floors = "retrieval|nearest ECG, words alone"
        box(axes, 416, 200, LOWER, "Controls and floors", *controls, floors)
        judged = ("predictions,", "95 % intervals,", "claims")
        box(axes, 644, 148, LOWER, "09  Evaluation", *judged)

        middles = [row[0] + row[1] / 2 for row in (UPPER, LOWER)]
        for left, right in ((160, 188), (388, 416), (616, 644)):
            arrow(axes, (left, middles[0]), (right, middles[0]))
        arrow(axes, (616, middles[1]), (644, middles[1]))
        for x in (288, 718):
            arrow(axes, (x, UPPER[0]), (x, sum(LOWER)))
        axes.text(17, LOWER[0] + 9, "Numbers are notebooks.", size=8.5)
    return figure


if __name__ == "__main__":
    style.save(draw(), Path(__file__).with_name("pipeline.png"))
