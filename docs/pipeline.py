"""Draw docs/pipeline.png, the picture of the README: from an ECG to the claims.

    python docs/pipeline.py

Run it in the environment of the project (`.venv/bin/python` where run_all.sh made one). Colours are
those that ECG-Tok, HeartLLM and ECG-Byte have in every figure (ecglib/figures/style.py).
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ecglib.figures import style

WIDTH, HEIGHT = 800, 356  # units of the drawing, which are pixels of the README
DPI = 100  # pixels per inch when the picture is 800 pixels wide
TOP, TALL = 206, 120  # lower edge and height of the upper row of boxes
LOW, SHORT = 36, 84  # and of the lower row
ECG_TOK, HEARTLLM, ECG_BYTE = (style.method(key).colour for key in ("ecg_tok", "heartllm", "bpe"))
CODES = (3, 0, 2, 3, 1, 2, 0, 1)  # of the row of tokens, as shades


def box(axes: Axes, x: float, y: float, width: float, height: float, title: str) -> None:
    """A rounded box with its title, at the lower left corner (x, y)."""
    rounded = "round,pad=0,rounding_size=6"
    patch = FancyBboxPatch((x, y), width, height, rounded, fc="white", ec="black", lw=0.9)
    axes.add_patch(patch)
    axes.text(x + 8, y + height - 8, title, size=9.5, weight="bold", va="top")


def lines(axes: Axes, x: float, y: float, texts: list[tuple[str, str]]) -> None:
    """Lines of text in their colours, the first one at height y."""
    for number, (text, colour) in enumerate(texts):
        axes.text(x, y - 15 * number, text, size=8.5, color=colour, va="top")


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow between two points."""
    look = {"arrowstyle": "-|>", "lw": 1.2, "color": "black", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=look)


def trace(axes: Axes, x: float, y: float, width: float) -> None:
    """Three beats of a lead as sums of Gaussians (P, Q, R, S, T), some 40 pixels high."""
    t = np.linspace(0, 3, 600)
    waves = [(0.22, 0.035, 5), (0.37, 0.010, -5), (0.40, 0.012, 36), (0.43, 0.011, -9)]
    waves += [(0.68, 0.06, 9)]
    beat = sum(size * np.exp(-((t % 1 - at) ** 2) / (2 * wide**2)) for at, wide, size in waves)
    axes.plot(x + width * t / 3, y + beat, color="black", lw=0.9)


def tokens(axes: Axes, x: float, y: float, colour: str) -> None:
    """A row of squares, one per ECG token; the shade is the code."""
    for number, code in enumerate(CODES):
        square = FancyBboxPatch((x + 13 * number, y), 10, 10, "square,pad=0", fc=colour, ec="none")
        square.set_alpha(0.25 + 0.25 * code)
        axes.add_patch(square)


def draw() -> Figure:
    """The whole picture."""
    with style.canvas(WIDTH / DPI, HEIGHT / DPI, constrained=False) as figure:
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
        axes.set_axis_off()
        axes.text(8, HEIGHT - 10, "From an ECG to words", size=11, weight="bold", va="center")

        box(axes, 8, TOP, 160, TALL, "01  ECG")
        trace(axes, 18, TOP + 50, 138)
        lines(axes, 16, TOP + 36, [("clean, label,", "black"), ("split by patient", "black")])

        box(axes, 200, TOP, 190, TALL, "02  Tokenizer")
        named = [("VQ, RVQ, QINCo (ECG-Tok)", ECG_TOK), ("FSQ per lead (HeartLLM)", HEARTLLM)]
        lines(axes, 208, TOP + 92, [*named, ("byte pairs (ECG-Byte)", ECG_BYTE)])
        tokens(axes, 210, TOP + 26, style.BLACK)
        axes.text(208, TOP + 20, "ECG tokens, and back to an ECG", size=8.5, va="top")

        box(axes, 422, TOP, 204, TALL, "04-07  Language model")
        named = [("adapter: a few vectors (ECG-Tok)", ECG_TOK), ("new words (HeartLLM)", HEARTLLM)]
        lines(axes, 430, TOP + 92, [*named, ("in front of the text;", "black")])
        lines(axes, 430, TOP + 47, [("frozen model, trained LoRA", "black")])

        box(axes, 658, TOP, 134, TALL, "Text")
        lines(axes, 666, TOP + 92, [("04  a report", "black"), ("06  answers to", "black")])
        lines(axes, 666, TOP + 62, [("      questions", "black")])

        box(axes, 200, LOW, 190, SHORT, "What the tokens keep")
        probes = ["02  reconstruction error", "03  labels (AUC)", "08  attention, shared space"]
        lines(axes, 208, LOW + 58, [(text, "black") for text in probes])

        box(axes, 422, LOW, 204, SHORT, "The same without the ECG")
        lines(axes, 430, LOW + 58, [("a learned constant instead,", style.VERMILION)])
        lines(axes, 430, LOW + 43, [("another patient's ECG,", style.VERMILION)])
        lines(axes, 430, LOW + 28, [("nearest neighbour, words alone", style.VERMILION)])

        box(axes, 658, LOW, 134, SHORT, "09  Evaluation")
        judged = ["predictions", "95 % intervals", "claims"]
        lines(axes, 666, LOW + 58, [(text, "black") for text in judged])

        middle = TOP + TALL / 2
        for left, right in ((168, 200), (390, 422), (626, 658)):
            arrow(axes, (left, middle), (right, middle))
        for x in (295, 524, 725):
            arrow(axes, (x, TOP), (x, LOW + SHORT))
        arrow(axes, (626, LOW + SHORT / 2), (658, LOW + SHORT / 2))
        note = "Numbers are notebooks. Everything is computed again by: bash run_all.sh"
        axes.text(8, 12, note, size=8.5, color=style.GREY, va="center")
    return figure


if __name__ == "__main__":
    style.save(draw(), Path(__file__).with_name("pipeline.png"))
