"""The style sheet, the widths, and the one map from a method to its colour, marker, line and name.

A colour has one meaning. Tokenizers have the colours of Okabe and Ito. Systems have dark colours
of Tol's muted scheme, and a variant of a system or tokenizer a light tone of its colour. Controls
without the right ECG are yellow, floors are grey, a network on the raw signal is brown. Black is
the truth, the original, or data of no method in particular. ACCENT marks what is no method: a fit,
a scale bar, simulated among real. Findings have Tol's bright colours. Two methods of one figure
never share a colour, except a method and its linear probe (open markers, circles as hatch). What
codes decode to is a dark tone. Markers, line styles and hatches differ too, so none needs colour.

A figure is as wide as one column of a journal's page or as both, and no text is smaller than 7 pt.
"""

import warnings
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

SHEET = Path(__file__).with_name("ecglib.mplstyle")
COLUMN = 3.4  # inches, one column of a journal page
DOUBLE = 7.0  # inches, both columns

ORANGE, SKY, GREEN, BLUE, PURPLE = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#CC79A7"
BLACK, GREY, LIGHT_GREY, ACCENT = "#000000", "#7F7F7F", "#BFBFBF", "#D55E00"


@dataclass(frozen=True)
class Method:
    """How a method is drawn, everywhere."""

    colour: str
    marker: str
    linestyle: str
    name: str
    hatch: str = ""
    fillstyle: str = "full"


METHOD = {
    "pca_rvq": Method("#555555", "X", "--", "PCA, k-means", "---"),
    "vq": Method(SKY, "v", ":", "VQ", "..."),
    "rvq": Method(ORANGE, "s", "--", "RVQ", "///"),
    "qinco": Method(BLUE, "o", "-", "QINCo"),
    "fsq": Method(PURPLE, "D", "-.", "FSQ", "\\\\\\"),
    "bpe": Method(GREEN, "^", "-.", "Byte pairs", "---"),
    "latents": Method("#005A32", "8", "-", "Unquantised"),
    "rvq_one": Method("#F0DCA8", "<", "--", "RVQ, 1 codebook", "..."),
    "rvq_strided": Method("#B87A00", "P", "--", "RVQ, strided encoder", "xxx"),
    "fsq_no_pca": Method("#E8C4D8", "d", ":", "FSQ, no PCA start", "..."),
    "prevalence": Method(GREY, "x", ":", "Prevalence only"),
    "summary": Method("#A6A6A6", "<", ":", "Summary numbers", "..."),
    "median_beat": Method("#4D4D4D", ">", "--", "Median beat", "///"),
    "raw": Method("#7A4A1E", "*", "-", "Raw signal"),
    "raw_further": Method("#4A2A0C", "P", "-", "Raw signal, trained further", "xxx"),
    "deepsl": Method("#B8783D", "h", "--", "DeepSL", "///"),
    "deepssl": Method("#CC3311", "d", "-.", "DeepSSL", "xxx"),
    "xresnet1d101": Method(BLACK, "*", "-", "xresnet1d101, published"),
    "ecg_tok": Method("#332288", "o", "-", "ECG-Tok"),
    "ecg_tok_cold": Method("#A69FD6", "v", "--", "ECG-Tok, no warm-up", "///"),
    "ecg_tok_paper": Method("#7469BB", "*", "-.", "ECG-Tok, paper form", "xxx"),
    "ecg_tok_none": Method("#5B4FB3", "s", ":", "ECG-Tok, no prompt", "..."),
    "ecg_tok_fixed": Method("#8C82CF", "^", "--", "ECG-Tok, fixed prompt", "---"),
    "ecg_tok_long": Method("#221A5C", "D", "-.", "ECG-Tok, long prompt", "++"),
    "ecg_tok_full": Method("#3D2F99", "o", "-", "ECG-Tok, both, all weights"),
    "ecg_tok_slow": Method("#7B6FC4", "P", ":", "ECG-Tok, both, slow", "..."),
    "ecg_tok_lora": Method("#5A4DB0", "s", "--", "ECG-Tok, both, LoRA", "///"),
    "ecg_tok_full_one": Method("#B9AEE0", "v", "-.", "ECG-Tok, one, all weights", "xxx"),
    "ecg_tok_lora_one": Method("#D5CFEC", "d", ":", "ECG-Tok, one, LoRA", "---"),
    "ecg_tok_brief": Method("#9C93D9", "h", ":", "ECG-Tok, few updates", "oo"),
    "ecg_tok_smollm2": Method("#1B0F4D", "p", "--", "ECG-Tok on SmolLM2", "|||"),
    "ecg_tok_pca": Method("#6F6F8F", "X", "--", "ECG-Tok on PCA", "///"),
    "ecg_tok_vq": Method("#8FC1E3", "v", ":", "ECG-Tok on VQ", "..."),
    "ecg_tok_rvq": Method("#E3B04B", "s", "--", "ECG-Tok on RVQ", "xxx"),
    "ecg_tok_plugin": Method("#D4572A", "*", "-", "ECG-Tok on yours", "***"),
    "plugin": Method("#D4572A", "*", "-", "Yours", "***"),
    "own_system": Method("#D4572A", "*", "-", "Yours", "***"),
    "ecg_tok_fsq": Method("#B98AB0", "D", "-.", "ECG-Tok on FSQ", "++"),
    "heartllm": Method("#882255", "D", "-", "HeartLLM"),
    "heartllm_no_pretraining": Method("#D59BB8", "d", "--", "HeartLLM, no pretraining", "///"),
    "heartllm_no_patient": Method("#C77CA6", "s", ":", "HeartLLM, no patient line", "..."),
    "heartllm_untuned": Method("#EBCFDD", "x", ":", "HeartLLM, not tuned", "---"),
    "heartllm_continuous": Method("#4A1A5C", "^", "-.", "HeartLLM, no tokens", "++"),
    "heartllm_twelve": Method("#7E5AA6", "8", "--", "HeartLLM, twelve encoders", "oo"),
    "heartllm_joint": Method("#A03A2C", "h", "--", "HeartLLM, joint encoder", "|||"),
    "heartllm_few_codes": Method("#D98E73", "v", ":", "HeartLLM, 64 codes", "xx"),
    "heartllm_many_codes": Method("#3B0F2A", "P", "-.", "HeartLLM, 4,096 codes", "**"),
    "heartllm_longer": Method("#5C1740", "P", "-.", "HeartLLM, longer", "xxx"),
    "heartllm_1": Method("#B0567F", "v", "--", "HeartLLM of the first", "///"),
    "heartllm_2": Method("#E0B8CC", "s", ":", "HeartLLM of the second", "..."),
    "memoriser_1": Method("#6E6E6E", "X", "--", "Memoriser of the first", "xxx"),
    "memoriser_2": Method("#ABABAB", "X", ":", "Memoriser of the second", "---"),
    "heartllm_drawn": Method("#E08A3C", "d", ":", "HeartLLM, drawn"),
    "ecg_byte": Method("#00876C", "^", "-.", "ECG-Byte", "---"),
    "ecg_byte_released": Method("#7FC3B5", "v", "--", "ECG-Byte, as released", "///"),
    "ecg_byte_no_instruction": Method("#005F4C", "*", ":", "ECG-Byte, no instruction", "xxx"),
    "ecg_byte_none": Method("#4DB39E", "P", ":", "ECG-Byte, no prompt", "..."),
    "ecg_byte_fixed": Method("#A6D9CD", "X", "--", "ECG-Byte, fixed prompt", "xx"),
    "test": Method("#6699CC", "v", "--", "TEST", "///"),
    "time_llm": Method("#997700", "s", "-.", "Time-LLM", "..."),
    "clip": Method("#EE99AA", "P", ":", "CLIP", "xxx"),
    "merl": Method("#B2D4EE", "h", "--", "MERL", "oo"),
    "vit": Method("#C9B458", "d", "-.", "ViT", "|||"),
    "clip_two_stage": Method("#F2B5A7", "p", ":", "CLIP, one vector", "++"),
    "clip_vit": Method("#A85C90", "8", "--", "CLIP + ViT", "\\\\\\"),
    "no_ecg": Method("#999933", "s", "--", "No ECG", "\\\\\\"),
    "no_ecg_brief": Method("#DADAAE", "h", ":", "No ECG, few updates", "oo"),
    "no_ecg_smollm2": Method("#C2C27A", "p", ":", "No ECG, SmolLM2", "|||"),
    "shuffled": Method("#DDCC77", "^", "-.", "Shuffled ECG", "..."),
    "majority": Method(LIGHT_GREY, "x", ":", "Majority"),
    "retrieval": Method(GREY, "P", ":", "Nearest neighbour", "xxx"),
    "probe": Method("#117733", "D", "-", "Classifier, true labels", "///"),
    "probe_reports": Method("#44AA99", "d", "--", "Classifier, report labels", "..."),
    "text_only": Method("#5F5F5F", "h", ":", "Words alone", "|||"),
    "attention": Method("#4477AA", "o", "-", "Attention"),
    "above_mean": Method("#AA3377", "s", "--", "Attention above the mean", "///"),
    "occlusion": Method("#228833", "D", "-.", "Occlusion", "..."),
    "random": Method(LIGHT_GREY, "x", ":", "Random tokens", "xxx"),
    "steepness": Method("#555555", "<", ":", "Steepness of the signal", "|||"),
    "smoother": Method(GREY, "x", "-", "40 Hz low-pass"),
    "alone": Method(BLACK, "o", "-", "This alone"),
    "without": Method(ACCENT, "D", "--", "All, with this shuffled"),
    "linear": Method(GREY, "o", "--", "Linear layer", fillstyle="none"),
    "of_vectors": Method("#1F3A6E", "s", "-", "EfficientNetV2 of vectors", "\\\\\\"),
    "from_nothing": Method("#C49A6C", "v", ":", "Decoded, network from nothing", "..."),
    "untrained": Method("#C8C0B0", "p", ":", "Untrained", "---"),
    "reference": Method("#3B3B3B", "|", "--", "Reference read back", "++"),
    "memoriser": Method("#8C8C8C", "X", "--", "Memoriser", "///"),
    "decoded": Method("#999999", "p", "-", "Decoded, raw network", "..."),
    "template": Method(BLACK, "*", "-", "Truth in templates"),
    "oracle": Method(BLACK, "*", "-", "Oracle"),  # of older runs
}
# The linear probe of a method has the colour of the method and open markers.
OPEN = {"hatch": "oo", "fillstyle": "none"}
METHOD |= {
    f"{key}_linear": replace(METHOD[key], name=f"{METHOD[key].name}, linear", **OPEN)
    for key in ("vq", "rvq", "qinco")
}
# What the tokens decode to, read by the network on the raw signal: a dark tone of the tokenizer's.
DARK = {"pca_rvq": "#222222", "vq": "#1B6E9C", "rvq": "#8F6200", "qinco": "#00395C"}
DARK |= {"fsq": "#8A3F68", "bpe": "#004D38"}
METHOD |= {
    f"{key}_decoded": Method(colour, marker, ":", f"{METHOD[key].name}, decoded", "++")
    for marker, (key, colour) in zip("x<pHd8", DARK.items(), strict=True)
}
FINDINGS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")  # Tol, bright


def method(key: str) -> Method:
    """The drawing style of a method; ValueError for a name without an entry in METHOD."""
    if key not in METHOD:
        raise ValueError(
            f"method {key!r} has no colour; add it to METHOD in ecglib/figures/style.py, which has "
            f"{', '.join(METHOD)}"
        )
    return METHOD[key]


@contextmanager
def sheet() -> Iterator[None]:
    """Matplotlib's defaults plus this project's sheet, inside the block only."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.style.use(SHEET)
        yield


@contextmanager
def canvas(
    width: float, height: float, title: str = "", constrained: bool = True
) -> Iterator[Figure]:
    """An empty figure (inches) to draw on inside the block, where the sheet is in force.

    The figure is outside pyplot's registry, so nothing has to be closed.
    """
    with sheet():
        figure = Figure(figsize=(width, height), layout="constrained" if constrained else "none")
        FigureCanvasAgg(figure)
        if title:
            lines = [fill(line, int(15 * width)) for line in title.splitlines()]
            figure.suptitle("\n".join(lines), size=8, x=0.01, ha="left")
        yield figure


def require(names: Iterable[str], given: Container[str], owner: str) -> None:
    """Raise ValueError unless all names are given: columns of a table, keys of a mapping."""
    if missing := [name for name in names if name not in given]:
        raise ValueError(f"{owner} must have {', '.join(names)}; got no {', '.join(missing)}")


def interval(table: pd.DataFrame) -> np.ndarray:
    """Lengths of whiskers below and above the value, (2, n); 0 where there is no interval.

    `table`: columns value, low, high.
    """
    low, high = table["value"] - table["low"], table["high"] - table["value"]
    return np.nan_to_num(np.clip(np.stack([low, high]).astype(float), 0.0, None))


def legend(figure: Figure, *panels: Axes, ncols: int) -> None:
    """One legend of some panels for the whole figure; in as many columns as fit."""
    entries = {}
    for axes in panels:
        entries |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    widths = [0.44 + 0.058 * len(name) for name in entries]  # inches: the key, letters of 7 pt
    if sum(widths) > figure.get_figwidth() or ncols < len(widths):
        ncols = max(1, min(ncols, int(figure.get_figwidth() / max(widths))))
    figure.legend(entries.values(), entries.keys(), loc="outside upper right", ncols=ncols)


def panel_letters(*panels: Axes) -> None:
    """A bold letter above the top left corner of each panel: a, b, ..."""
    letter = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
    for axes, name in zip(panels, ascii_lowercase, strict=False):
        axes.annotate(name, (0, 1), (-4, 6), **letter, size=8, weight="bold")


def mark(axes: Axes, x: float, y: float, value: float) -> None:
    """Text where a bar or dot would not be seen: a black 0, or a grey "n/a" for no value."""
    text, colour = ("n/a", GREY) if np.isnan(value) else (f"{value:g}", BLACK)
    offset = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, (x, y), **offset, size=7, color=colour)


def stamp(figure: Figure, text: str) -> None:
    """A small grey line at the bottom right: which run and key made the figure."""
    layout = figure.get_layout_engine()
    if layout is not None:  # keep a strip free for the stamp
        layout.set(rect=(0, 0.14 / figure.get_figheight(), 1, 1 - 0.14 / figure.get_figheight()))
    look = {"size": 5, "color": GREY, "ha": "right", "va": "bottom", "family": "DejaVu Sans"}
    figure.text(0.995, 0.004, text, **look)


def _settle(figure: Figure) -> None:
    """Lay the figure out once, and round the places: their last digits differ by process."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 5))


def save(figure: Figure, path: Path) -> Path:
    """Write PDF or PNG (by suffix) such that equal figures give equal bytes."""
    fmt = path.suffix.removeprefix(".")
    metadata = {"pdf": {"CreationDate": None}, "png": {"Software": None}}
    if fmt not in metadata:
        raise ValueError(f"{path}: expected a figure as .pdf or .png, got {fmt!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with sheet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There are no gridspecs")  # of subfigures, harmless
        if figure.get_layout_engine() is not None:
            _settle(figure)
        figure.savefig(path, format=fmt, metadata=metadata[fmt])
    if fmt == "png":  # 256 colours are enough for a drawing and take a third of the space
        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            few.save(path, "PNG", optimize=True, dpi=picture.info["dpi"])
    return path
