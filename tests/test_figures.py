"""Figures and tables for print: equal bytes, marks where the numbers are, bad input refused."""

from collections.abc import Callable
from io import StringIO
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from builds import refused
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from ecglib.figures import (
    annotated_beat,
    bars,
    cleaning,
    clinical_error,
    cost,
    dots,
    ecg_leads,
    ecg_page,
    forest,
    overview,
    rate_distortion,
    score_scatter,
    sim_vs_real,
    size_curves,
    style,
    tables,
    use_and_error,
    word_bars,
)
from ecglib.figures.confusion import matrices
from ecglib.figures.curves import loss, minus, running_mean
from ecglib.figures.definition_limits import against_limits
from ecglib.figures.lost_or_unsaid import lost_or_unsaid
from ecglib.figures.token_use import byte_pairs, codewords, neighbours_differ, overlay
from ecglib.figures.umap import panels
from ecglib.signals.leads import LEADS

RNG = np.random.default_rng(0)
REPO = Path(__file__).resolve().parents[1]
SIGNAL = 0.1 * RNG.normal(size=(12, 2500)).astype(np.float32)
HERTZ = ("0.5", "1", "8", "64")


def table(text: str, **types: type) -> pd.DataFrame:
    """A table of words; the first line names the columns, "-" is no value."""
    return pd.read_csv(StringIO(text), sep=r"\s+", na_values="-", dtype=types)


VALUES = table(
    """method metric category value low high tokens_per_ecg
       rvq    f1     Rhythm   0.7   0.6 0.75 100
       qinco  f1     Rhythm   0.8   -   -    300"""
)
NAMED = VALUES.assign(name=["rvq", "qinco"])
LOSS = pd.DataFrame({"method": "rvq", "step": range(40), "loss": np.linspace(5, 1, 40)})
ANSWERS = pd.DataFrame({"yes": [2, 5], "not sure": [0, 1]}, index=["yes", "no"])
WORDS = table("method findings rouge_l\n vq 0.2 0.5\n other 0.1 0.3")
USAGE = table("method codebook rank share\n rvq 1 1 0.9\n rvq 1 2 0.1")
POINTS = table(
    """panel    kind finding x y
       hidden   ECG  pacing  0 1
       hidden   text other   1 0
       input    ECG  other   1 1"""
)
TOKENS = table("rank uses\n 1 50\n 2 7\n 3 0")
NEEDED = table("tokens\n 30\n 27")
SEGMENTS = table("token begin end\n 4 0.0 0.3\n 9 0.3 0.4\n 4 0.4 1.0")
SEEDS = table(
    """panel      name        seed value low  high
       VQ-RVQ     equal_steps all   5.0  4.5  5.5
       VQ-RVQ     equal_steps 1     4.0  3.0  5.0
       RVQ-QINCo  equal_steps all   0.1 -0.1  0.3
       RVQ-QINCo  equal_steps 1     -    -    -
       RVQ-QINCo  equal_steps 2     0.2  0.1  0.3""",
    seed=str,
)
TRACES = {"Original": (500.0, SIGNAL[1]), "Flattened": (250.0, SIGNAL[2])}
SPECTRA = table("step frequency_hz amplitude_mv\n Original 1 0.1\n Flattened 1 0.1")
NEAR = table("frequency_hz before fit after\n 49 0.1 0.1 0.1\n 50 0.4 0.1 0.1")
STAGES = pd.DataFrame(
    [
        ("1", "ECG", "12 x 2,500", "data"),
        ("1", "encoder", "", "trained"),
        ("2", "codes", "9", "frozen"),
    ],
    columns=["stage", "box", "size", "role"],
)
TONE = dict(zip(("before", "after", "truth"), SIGNAL, strict=False))


def source(name: str, known: bool = True) -> pd.DataFrame:
    """All numbers of one source; without whiskers where too few patients are known."""
    rows = [("amplitude", lead, of, 0.1 * int(of) - 2) for lead in LEADS for of in ("1", "99")]
    rows += [("power", "II", of, -float(of) / 20) for of in HERTZ]
    rows += [("measure", "", of, 100.0) for of in sim_vs_real.MEASURES]
    frame = pd.DataFrame(rows, columns=["view", "lead", "of", "q50"]).assign(source=name)
    far = 0.5 if known else np.nan
    shifts = {"q05": -far, "q25": -0.2, "q75": 0.2, "q95": far}
    return frame.assign(**{column: frame["q50"] + shift for column, shift in shifts.items()})


FINDINGS = table(
    """name positives auc auc_low auc_high recall recall_low recall_high
       LVH 9 0.99 0.98 1 0.1 0 0.2
       PVC 5 0.8  0.7 0.9 0.1 0 0.2"""
).assign(reading=["stated in under half", "hard to read"])
FINDINGS[["precision", "precision_low", "precision_high"]] = 0.5

LIMITS = table("state low high ecgs\n absent 100 120 9\n present 100 120 1")
LIMITS = LIMITS.assign(quantity="PR", labels="AV block", unit="ms", limit=110.0)
BY_CONDITION = pd.concat([VALUES.assign(category=f"{i}", count=30 + i) for i in range(17)])


RATES = pd.DataFrame(
    [
        {"method": m, "quantity": q, "bits_per_second": 50.0 * k, "tokens_per_ecg": 79.0 * k}
        | {"value": 0.1 / k, "low": 0.09 / k, "high": 0.11 / k}
        for m in ("rvq", "qinco")
        for k in (1, 2, 4)
        for q in rate_distortion.QUANTITIES
    ]
)
LOSSES = pd.concat(  # QINCo's is lower by 0.1 in training, by 0.2 in validation
    LOSS.assign(method=name, part=part, loss=LOSS["loss"] - less)
    for name, part, less in (
        ("rvq", "train", 0.0),
        ("rvq", "validation", 0.0),
        ("qinco", "train", 0.1),
        ("qinco", "validation", 0.2),
    )
)
USES = pd.DataFrame(
    [
        {"method": m, "training": t, "revival": "none", "value": 0.05, "low": 0.04, "high": 0.06}
        | dict.fromkeys([*use_and_error.USES, "paper_percent"], 40.0)
        for m in ("vq", "rvq")
        for t in ("released", "ours")
    ]
)
COURSES = pd.DataFrame({"form": ["a", "a"], "method": "vq", "step": [0, 9]})
COURSES = COURSES.assign(used_percent=[90.0, 40.0], error_uv=[80.0, 60.0])
LEVELS = pd.DataFrame([{"method": "retrieval", "value": 0.5, "low": 0.4, "high": 0.6}])
LABELLED = pd.DataFrame(
    [
        {"method": m, "labelled_ecgs": n, "value": 0.9, "low": 0.8, "high": 0.95}
        for m in ("qinco", "deepsl")
        for n in (70, 700, 7000)
    ]
)
TALL = {name: SIGNAL.copy() for name in map("condition {}".format, range(7))}
TALL["condition 6"][1, 600:620] = -3.0  # deep in II where V1 is tall
TALL["condition 6"][6, 605:640] = 2.5
BY_METHOD = pd.DataFrame(
    [
        {"method": m, "condition": c, "quantity": q, "value": v, "ecgs": 12}
        for m in ("vq", "qinco")
        for c, v in (("low voltage", 2.0), ("standstill", 0.0))
        for q in clinical_error.SHORT
    ]
)
PIECES = table(
    """text    block  received to_ecg even dependence
       Report: prompt 0.1      -      -    -
       Sinus   report 0.2      0.3    0.7  1.0
       .       end    -        0.4    0.6  -0.5"""
)
EDGES = (0.2, 0.3, 0.36, 0.46, 0.8)  # of the waves, in s
FIGURES = {
    "AUC by labels": lambda: size_curves.curves(LABELLED, "labelled_ecgs", "ECGs", "AUC", True),
    "overview": lambda: overview.stages(STAGES),
    "overview with a part": lambda: overview.stages(STAGES.assign(inner=["", "", "LoRA"])),
    "F1 by vectors": lambda: size_curves.curves(
        LABELLED, "labelled_ecgs", "Vectors", "F1", levels=LEVELS
    ),
    "lost or unsaid": lambda: lost_or_unsaid(FINDINGS),
    "twelve_lead": lambda: ecg_page.twelve_lead(SIGNAL),
    "overlay": lambda: ecg_page.overlay(SIGNAL, 0.9 * SIGNAL, "rvq", n_valid=2000),
    "closeup": lambda: ecg_leads.closeup(SIGNAL, {"rvq": SIGNAL, "qinco": SIGNAL}),
    "forecast": lambda: ecg_leads.forecast(
        SIGNAL, SIGNAL[:, :250], {"Greedy": SIGNAL[:, :200], "Drawn": SIGNAL[:, 50:250]}
    ),
    "gallery": lambda: ecg_leads.gallery(TALL, 250, seconds=4.0),
    "by condition": lambda: clinical_error.by_condition(
        BY_METHOD, dict.fromkeys(clinical_error.SHORT, 1.0)
    ),
    "attention": lambda: ecg_leads.attention(SIGNAL, np.arange(50) / 50, "Attention"),
    "dots": lambda: dots.rows(VALUES),
    "dots in panels": lambda: dots.rows(pd.concat([VALUES.assign(panel=p) for p in "ab"])),
    "dots and spans": lambda: dots.rows(BY_CONDITION, "cut", span=("rvq", "qinco")),
    "heartbeat": lambda: annotated_beat.annotated(
        np.arange(375) / 250,
        SIGNAL[1, :375],
        dict(zip(annotated_beat.EDGES, EDGES, strict=True)),
        1.3,
    ),
    "limits": lambda: against_limits(LIMITS),
    "methods": lambda: bars.methods(VALUES, {"f1": "Finding F1"}, baseline={"f1": 0.5}),
    "methods and differences": lambda: bars.methods(VALUES, {"f1": "F1"}, differences=NAMED),
    "differences": lambda: forest.differences(NAMED, "Difference"),
    "differences by unit": lambda: forest.differences(NAMED.assign(unit=["Microvolts", "Share"])),
    "loss": lambda: loss(LOSS, lines={"Unigram": 2.0}),
    "losses apart": lambda: loss(LOSSES, late=True, reference="rvq"),
    "confusion": lambda: matrices({"Verify": ANSWERS, "Query": ANSWERS}),
    "codes": lambda: codewords(USAGE),
    "umap": lambda: panels(POINTS, {"hidden": "Last layer", "input": "Input"}),
    "umap by modality": lambda: panels(
        POINTS, {"hidden": "Last layer", "input": "Input"}, by_kind=True
    ),
    "scores of words": lambda: score_scatter.panels(WORDS, {"rouge_l": "ROUGE-L"}, ["vq"]),
    "cost": lambda: cost.cost_quality(VALUES, "tokens_per_ecg", "Tokens", "Error"),
    "cost and curves": lambda: cost.cost_quality(VALUES, "tokens_per_ecg", "T", "E", VALUES),
    "rates": lambda: rate_distortion.curves(RATES, RATES.head(3).assign(method="flat")),
    "use and error": lambda: use_and_error.scatter(USES),
    "use during training": lambda: use_and_error.courses(COURSES),
    "token_usage": lambda: byte_pairs(TOKENS, NEEDED),
    "token_overlay": lambda: overlay(SEGMENTS, SIGNAL[1], 250),
    "seeds": lambda: forest.differences(SEEDS, "Difference (µV)"),
    "sources": lambda: sim_vs_real.sources(pd.concat([source("real"), source("few", known=False)])),
    "cleaning steps": lambda: cleaning.steps(TRACES, SPECTRA),
    "mains line": lambda: cleaning.line(TONE, NEAR, 50.0),
    "words": lambda: word_bars.report(PIECES, "heartllm"),
}


def same_bytes(draw: Callable[[], Figure], folder: Path) -> None:
    """Two drawings are equal files of a width and with letters that journals print."""
    before = dict(mpl.rcParams)
    for file in ("a.png", "b.png"):
        figure = draw()
        style.save(figure, folder / file, dpi=60)
    with Image.open(folder / "a.png") as picture:
        assert picture.width == int(60 * figure.get_figwidth())
    assert figure.get_figwidth() in (3.4, 7.0)
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
    assert min(sizes) >= 7 and max(sizes) <= 8
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()
    assert dict(mpl.rcParams) == before, "the caller's settings are left alone"


@pytest.mark.parametrize("name", FIGURES)
def test_equal_figures_give_equal_bytes_at_a_width_that_journals_print(name, tmp_path):
    same_bytes(FIGURES[name], tmp_path)


def test_each_number_of_a_telling_finding_has_its_name():
    telling = FINDINGS[FINDINGS["reading"] != "stated in half or more"]
    *panels, key = lost_or_unsaid(FINDINGS).axes
    names = [line.split("  ", 1) for line in key.texts[0].get_text().splitlines()]
    assert sorted(name for _, name in names) == sorted(telling["name"])
    recall = telling.set_index("name")["recall"]
    for number, name in names:
        (mark,) = [text for text in panels[0].texts if text.get_text() == number]
        assert mark.xy[1] == recall[name]


def test_a_margin_is_dashed_on_both_sides_of_zero():
    for margin, dashed in ((0.02, [-0.02, 0.02]), (0.0, [])):
        lines = forest.differences(NAMED, margin=margin).axes[0].get_lines()
        assert [line.get_xdata()[0] for line in lines if line.get_linestyle() == "--"] == dashed


def test_losses_that_hide_each_other_come_apart_in_a_panel_of_differences():
    apart = minus(LOSSES, "rvq").groupby(["method", "part"])["loss"].agg(["min", "max"])
    assert apart.loc[("qinco", "train")].tolist() == pytest.approx([-0.1, -0.1])
    assert apart.loc[("qinco", "validation")].tolist() == pytest.approx([-0.2, -0.2])
    assert len(apart) == 2, "the reference itself is the line at zero"
    above, below = FIGURES["losses apart"]().axes
    assert below.get_ylabel() == "Loss minus\nRVQ's" and above.get_xlabel() == ""
    late = LOSSES.loc[LOSSES["step"] >= 3.9, "loss"].max()
    assert late < above.get_ylim()[1] < LOSSES["loss"].max()
    first = LOSSES.loc[LOSSES["step"] == 0, "loss"].max()
    drawn = np.concatenate(
        [line.get_ydata() for line in above.get_lines() if len(line.get_xdata())]
    )
    assert first > above.get_ylim()[1] and np.isnan(drawn).any(), "no line falls from off the axis"
    least, most = below.get_ylim()
    assert least < -0.2 and most > 0, "with the line at zero"
    alone = LOSSES[LOSSES["method"] == "rvq"]
    for table, reference in ((LOSSES, "fsq"), (alone, "rvq")):
        assert minus(table, reference).empty
        assert len(loss(table, late=True, reference=reference).axes) == 1
    diverged = LOSSES.assign(loss=LOSSES["loss"].where(LOSSES["step"] < 20))
    assert np.isfinite(loss(diverged, late=True, reference="rvq").axes[0].get_ylim()).all()


def test_pdfs_are_stable_too_and_the_stamp_is_in_the_picture(tmp_path):
    for file in ("a.pdf", "b.pdf"):
        figure = FIGURES["loss"]()
        style.stamp(figure, "synthetic-smoke  0123456789ab")
        style.save(figure, tmp_path / file)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert figure.texts[-1].get_text().startswith("synthetic-smoke")
    with Image.open(style.save(figure, tmp_path / "a.png")) as picture:
        assert picture.width == int(300 * figure.get_figwidth()), "as journals ask for"


def test_bad_input_is_refused():
    refused(r"\(12, n\)", ecg_page.twelve_lead, SIGNAL[:8])
    refused("unknown lead 'V7'", ecg_leads.closeup, SIGNAL, {"rvq": SIGNAL}, leads=("V7",))
    refused("'magic' has no colour", ecg_page.overlay, SIGNAL, SIGNAL, "magic")
    refused("expected attention weights", ecg_leads.attention, SIGNAL, np.ones((3, 5)), "")
    refused("got no q50", sim_vs_real.sources, source("one").drop(columns="q50"))
    resampled = TRACES | {"Resampled": (250.0, SIGNAL)}
    refused("got no Resampled", cleaning.steps, resampled, SPECTRA)
    tone = {"one": (100.0, 3 * np.sin(2 * np.pi * 5 * np.arange(200) / 100))}
    highest = cleaning.spectra(tone).nlargest(1, "amplitude_mv").iloc[0]
    assert highest["frequency_hz"] == 5 and highest["amplitude_mv"] == pytest.approx(3)
    refused("got no fit", cleaning.line, TONE, NEAR.drop(columns="fit"), 50.0)
    refused("got no after", cleaning.line, {"before": SIGNAL[0]}, NEAR, 50.0)
    refused("at most 3 sources", sim_vs_real.sources, pd.concat(map(source, "abcd")))


def test_the_page_draws_millivolts_at_10_mm_and_seconds_at_25_mm():
    """A 1 mV step at 1 s in lead II: 10 mm up, 25 mm along, in the cell and in the strip."""
    signal = np.zeros((12, 2500))
    signal[1, 250:] = 1.0
    lines = ecg_page.twelve_lead(signal).axes[0].get_lines()
    (strip,) = (line for line in lines if len(line.get_xdata()) == 2500)
    x, y = strip.get_data()
    assert x[250] == 25.0 and y[250] - y[249] == 10.0
    assert len([line for line in lines if len(line.get_xdata()) == 625]) == 12
    lines = ecg_page.twelve_lead(SIGNAL, n_valid=1250).axes[0].get_lines()
    assert max(max(line.get_xdata(), default=0) for line in lines) < 125


def test_tokens_have_a_span_each_a_colour_of_their_own_and_a_count_and_losses_a_mean():
    spans = overlay(SEGMENTS, SIGNAL[1], 250).axes[0].patches
    left = [span.get_x() for span in spans]
    assert left == [0.0, 0.3, 0.4] and spans[0].get_width() == pytest.approx(0.3)
    first, second, third = (span.get_facecolor() for span in spans)
    assert first == third != second
    colours, tokens = neighbours_differ([1, 2, 3, 1, 4, 4]), (1, 2, 3, 1, 4)
    assert all(colours[a] != colours[b] for a, b in pairwise(tokens))
    late = SEGMENTS.assign(begin=SEGMENTS["begin"] + 2, end=SEGMENTS["end"] + 2)
    axes = overlay(late, np.arange(2500.0), 250).axes[0]
    assert axes.get_lines()[-1].get_ydata()[[0, -1]].tolist() == [500, 749]
    assert [text.get_text() for text in axes.texts] == ["4", "9", "4"]
    title = byte_pairs(TOKENS, NEEDED).axes[0].get_title("left")
    assert title == "Token usage (1 of 3 never used)"
    assert running_mean([0, 3, 6, 9], 3).tolist() == [1.5, 3.0, 6.0, 7.5]


def test_no_trace_of_a_gallery_meets_the_next_and_all_have_one_scale():
    figure = ecg_leads.gallery(TALL, 250, seconds=4.0, columns=3)
    assert figure.get_figheight() < 9.2
    figure.draw_without_rendering()
    for axes in figure.axes[: len(TALL)]:
        upper, middle, lower = (line.get_ydata() for line in axes.get_lines()[:3])
        assert (upper > middle).all() and (middle > lower).all()
        assert axes.get_ylim()[0] < lower.min() and upper.max() < axes.get_ylim()[1]
    scales = [axes.get_window_extent().height / np.ptp(axes.get_ylim()) for axes in figure.axes]
    assert scales == pytest.approx([scales[0]] * len(scales), rel=2e-3)
    bar = figure.axes[len(TALL)].get_lines()[0]
    assert np.ptp(bar.get_xdata()) == 1.0 and np.ptp(bar.get_ydata()) == 1.0


def test_errors_of_equal_costs_are_side_by_side_on_log_axes():
    points = VALUES.assign(value=[10.0, 20.0], tokens_per_ecg=100.0, low=np.nan, high=np.nan)
    axes = cost.cost_quality(points, "tokens_per_ecg", "Tokens", "Error (µV)").axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    places = {float(c.lines[0].get_ydata()[0]): c.lines[0].get_xdata()[0] for c in axes.containers}
    assert places == pytest.approx({10.0: 98.0, 20.0: 102.0})


def test_an_answer_that_is_never_true_has_its_name_below_its_column():
    long = [f"an answer that is long, the number {n}" for n in (1, 2)]
    table = pd.DataFrame([[9, 1, 0], [4, 5, 1]], long, [*long, "another answer"])
    axes = matrices({"Query": table}).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "2", "another\nanswer"]
    assert axes.get_yticklabels()[1].get_text().startswith("2. an answer that is long")
    colours = [text.get_color() for text in axes.texts[:6]]
    assert colours == ["white", "black", "black", "black", "black", "black"]


def test_a_range_below_a_decade_has_more_numbers():
    axes = cost.cost_quality(VALUES, "tokens_per_ecg", "Tokens", "Error").axes[0]
    style.plain_log(axes.yaxis)
    for low, high, numbers in ((0.06, 0.25, "0.07 0.1 0.15 0.2"), (0.9, 60, "1 2 5 10 20 50")):
        axes.set_ylim(low, high)
        axes.figure.draw_without_rendering()
        ticks = [f"{tick:g}" for tick in axes.get_yticks() if low <= tick <= high]
        assert ticks == numbers.split()


def test_methods_of_one_figure_differ_in_colour_and_a_zero_from_a_missing_value():
    for names in (
        "vq rvq qinco fsq bpe prevalence",
        "qinco summary deepsl deepssl raw xresnet1d101",
        "majority text_only no_ecg shuffled ecg_tok ecg_tok_cold retrieval template",
        "majority retrieval no_ecg shuffled ecg_tok template probe probe_reports",
        "heartllm heartllm_no_pretraining no_ecg shuffled majority text_only",
        "prevalence summary median_beat vq fsq bpe rvq qinco deepssl deepsl raw raw_further",
        "linear of_vectors decoded from_nothing raw_further",
        "qinco_decoded qinco raw_further summary",
        "summary median_beat qinco rvq vq deepsl deepssl qinco_decoded raw_further",
        "vq_decoded rvq_decoded qinco_decoded fsq_decoded bpe_decoded vq rvq qinco median_beat",
    ):
        colours = [style.method(name).colour for name in names.split()]
        assert len(set(colours)) == len(colours)


def lab(colour: str) -> np.ndarray:
    """CIE L*a*b* of an sRGB colour, for light of D65."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ linear / [0.9505, 1.0, 1.089]
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_methods_of_a_committed_figure_can_be_told_apart():
    """By colour (CIE 1976), or by a smaller difference of colour and by the hatch."""
    key_of = {look.name: key for key, look in style.METHOD.items()} | {k: k for k in style.METHOD}
    pairs = set()
    for file in REPO.glob("figures/*/fig*.csv"):
        table = pd.read_csv(file)
        if "method" in table and "word_scores" not in file.parent.name:  # there most are grey
            keys = {key_of[name] for name in table["method"].dropna() if name in key_of}
            pairs |= set(combinations(sorted(keys), 2))
    assert len(pairs) > 300
    for pair in pairs:
        one, other = map(style.method, pair)
        distance = np.linalg.norm(lab(one.colour) - lab(other.colour))
        assert distance > (9 if one.hatch == other.hatch else 7), pair


def test_what_has_hardly_a_bar_is_written_and_bars_below_their_start_go_to_the_left():
    def drawn(values: list[float], start: float = 0.0) -> Axes:
        table = pd.concat([VALUES, VALUES.iloc[:1].assign(method="vq")]).assign(low=np.nan)
        table = table.assign(value=values, high=np.nan)
        return bars.methods(table, {"f1": "F1"}, start=start).axes[0]

    marks = [text.get_text() for text in drawn([0.0, np.nan, 0.9]).texts]
    assert marks == ["0", "n/a"]
    marks = [text.get_text() for text in drawn([0.00162, 0.02, 0.9]).texts]
    assert marks == ["0.0016"]
    table = VALUES.assign(value=np.nan)  # two columns, and one panel stays empty
    assert bars.methods(table, {"f1": "F1", "a": "A", "b": "B"}, 2).axes[-1].get_xlim()[0] == 0
    axes = drawn([0.4, 0.9, 0.7], start=0.5)
    ends = [(bar.get_x(), bar.get_width()) for bar in axes.patches[:3]]
    assert np.ravel(ends) == pytest.approx([0.5, -0.1, 0.5, 0.4, 0.5, 0.2])
    assert axes.get_xlim()[0] < 0.4 and drawn([0.6, 0.9, 0.7], 0.5).get_xlim()[0] == 0.5
    edges = [bar.get_edgecolor() for bar in axes.patches[3:]]
    assert edges == [bar.get_facecolor() for bar in axes.patches[:3]], "hatches hide no end"


def test_a_row_of_one_training_seed_is_marked_where_others_have_more():
    def names(seeds: list[int]) -> list[str]:
        axes = bars.methods(VALUES.assign(seeds=seeds), {"f1": "F1"}).axes[0]
        return [label.get_text() for label in axes.get_yticklabels()]

    first, second = names([1, 1])
    assert names([3, 1]) == [first, f"{second} {bars.ONE_SEED}"]


def test_latex_has_labels_names_and_the_best_but_not_the_ceiling_in_bold():
    scores = {
        "method": ["ecg_tok", "no_ecg", "template"],
        "f1": ["0.7 [0.6, 0.8]", "-", "1.0 [1, 1]"],
    }
    scores |= {"mae_mv": [0.02, -1.5, np.nan], "share_percent": [1.0, 20.0, 3.0]}
    small = pd.DataFrame({"p": [0.002, 1.2e-5], "views": ["9,600", "12,345"]})
    text = tables.latex(small, "", {"p": "min", "views": "max"})
    assert r"\textbf{0.0000}" in text and r"\textbf{12,345}" in text
    text = tables.latex(pd.DataFrame(scores), "A & B", {"f1": "max", "mae_mv": "min"})
    assert r"\caption{A \& B}" in text and r"{lrrr}" in text
    assert r"Method & F1 & MAE (mV) & Share (\%) \\" in text
    assert r"ECG-Tok & \textbf{0.7 [0.6, 0.8]} & 0.020 & 1 \\" in text
    assert r"No ECG & -- & \textbf{$-$1.500} & 20 \\" in text
    assert r"Truth in templates & 1.0 [1, 1] & -- & 3 \\" in text


def test_boxes_are_where_the_quantiles_are():
    """A box from 99.8 to 100.2, whiskers to 99.5 and 100.5; without them where they are unknown."""
    for known, reach in ((True, (99.5, 100.5)), (False, (99.8, 100.2))):
        table = source("one", known)
        table.loc[table["of"] == "pr", sim_vs_real.QUANTILES] = np.nan  # its place is empty
        panels = {axes.get_title("left"): axes for axes in sim_vs_real.sources(table).axes}
        heights = np.concatenate([line.get_ydata() for line in panels["QRS (ms)"].get_lines()])
        assert (heights.min(), heights.max()) == pytest.approx(reach)
        assert not panels["PR (ms)"].get_lines() and not panels["PR (ms)"].patches
