"""Figures: equal input gives equal bytes, marks are where the numbers are, bad input is refused."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from ecglib.figures import (
    bars,
    cost,
    curves,
    ecg_leads,
    ecg_page,
    forest,
    sim_vs_real,
    style,
    token_use,
    umap,
)
from ecglib.signals.leads import LEADS

RNG = np.random.default_rng(0)
SIGNAL = 0.1 * RNG.normal(size=(12, 2500)).astype(np.float32)
METHODS = ["rvq", "qinco"]
VALUES = pd.DataFrame(
    {
        "method": METHODS,
        "metric": "f1",
        "category": "Rhythm",
        "value": [0.7, 0.8],
        "low": [0.6, float("nan")],
        "high": [0.75, float("nan")],
        "tokens_per_ecg": [100, 300],
    }
)
LOSS = pd.DataFrame({"method": "rvq", "step": range(40), "loss": np.linspace(5, 1, 40)})
USAGE = pd.DataFrame({"method": "rvq", "codebook": [1, 1], "rank": [1, 2], "share": [0.9, 0.1]})
CLOUD = pd.DataFrame(
    {"method": "heartllm", "modality": ["ecg", "text"], "x": [0.0, 1.0], "y": [1.0, 0.0]}
)
TOKENS = pd.DataFrame({"rank": [1, 2, 3], "uses": [50, 7, 0]})
NEEDED = pd.DataFrame({"tokens": [30, 27]})
SEGMENTS = pd.DataFrame({"token": [4, 9, 4], "begin": [0.0, 0.3, 0.4], "end": [0.3, 0.4, 1.0]})
SEEDS = pd.DataFrame(
    {
        "panel": ["VQ - RVQ"] * 3 + ["RVQ - QINCo"] * 3,
        "name": "equal steps",
        "seed": ["all", "1", "2"] * 2,
        "value": [5.0, 4.0, 6.0, 0.1, float("nan"), 0.2],
        "low": [4.5, 3.0, 5.0, -0.1, float("nan"), 0.1],
        "high": [5.5, 5.0, 7.0, 0.3, float("nan"), 0.3],
    }
)
COSTS = pd.DataFrame(
    {
        "trainer": ["incremental", "incremental", "table", "table", "dictionary"],
        "ecgs": [25, 50, 25, 50, 25],
        "seconds": [0.4, 0.9, 1.3, 2.6, 17.0],
    }
)

HERTZ = ("0.5", "1", "8", "64")


def source(name: str, known: bool = True) -> pd.DataFrame:
    """All numbers of one source; without whiskers where too few patients are known."""
    rows = [("amplitude", lead, of, 0.1 * int(of) - 2) for lead in LEADS for of in ("1", "99")]
    rows += [("power", "II", of, -float(of) / 20) for of in HERTZ]
    rows += [("measure", "", of, 100.0) for of in sim_vs_real.MEASURES]
    table = pd.DataFrame(rows, columns=["view", "lead", "of", "q50"])
    table["q25"], table["q75"] = table["q50"] - 0.2, table["q50"] + 0.2
    table["q05"] = table["q50"] - 0.5 if known else np.nan
    table["q95"] = table["q50"] + 0.5 if known else np.nan
    return table.assign(source=name)


def two_sample_table() -> pd.DataFrame:
    rows = [
        (pair, seen, how, 0.8, 0.7, 0.9)
        for pair in ("real from simulated", "this from simulated")
        for seen in ("all", "waves")
        for how in (("alone", "shuffled") if seen != "all" else ("alone",))
    ]
    return pd.DataFrame(rows, columns=["pair", "seen", "how", "value", "low", "high"])


FIGURES = {
    "twelve_lead": lambda: ecg_page.twelve_lead(SIGNAL, title="One"),
    "overlay": lambda: ecg_page.overlay(SIGNAL, 0.9 * SIGNAL, "rvq", n_valid=2000),
    "closeup": lambda: ecg_leads.closeup(SIGNAL, {"rvq": SIGNAL, "qinco": SIGNAL}),
    "forecast": lambda: ecg_leads.forecast(SIGNAL, SIGNAL[:, :250], SIGNAL[:, :200]),
    "attention": lambda: ecg_leads.attention(SIGNAL, np.arange(50) / 50),
    "grouped": lambda: bars.grouped(VALUES, baseline=0.5),
    "methods": lambda: bars.methods(VALUES, {"f1": "Finding F1"}, baseline={"f1": 0.5}),
    "differences": lambda: forest.differences(VALUES.assign(name=METHODS), "Difference"),
    "differences by unit": lambda: forest.differences(
        VALUES.assign(name=METHODS, unit=["Microvolts", "Share"])
    ),
    "loss": lambda: curves.loss(LOSS, lines={"Unigram": 2.0}),
    "codes": lambda: token_use.codewords(USAGE),
    "umap": lambda: umap.scatter(CLOUD, {"heartllm": "0.62"}),
    "cost": lambda: cost.cost_quality(VALUES, "tokens_per_ecg", "Tokens", "F1"),
    "token_usage": lambda: token_use.byte_pairs(TOKENS, NEEDED),
    "token_overlay": lambda: token_use.overlay(SEGMENTS, SIGNAL[1], 250),
    "seeds": lambda: forest.differences(SEEDS, "Difference (µV)"),
    "sources": lambda: sim_vs_real.sources(pd.concat([source("real"), source("few", known=False)])),
    "two_sample": lambda: sim_vs_real.two_sample(two_sample_table()),
    "training_cost": lambda: cost.training_cost(COSTS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_equal_figures_give_equal_bytes(name, tmp_path):
    style.save(FIGURES[name](), tmp_path / "a.png")
    style.save(FIGURES[name](), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pdfs_are_stable_too_and_the_stamp_is_in_the_picture(tmp_path):
    for file in ("a.pdf", "b.pdf"):
        figure = FIGURES["loss"]()
        style.stamp(figure, "synthetic-smoke  0123456789ab")
        style.save(figure, tmp_path / file)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert figure.texts[-1].get_text().startswith("synthetic-smoke")


def test_the_callers_settings_are_left_alone():
    before = dict(mpl.rcParams)
    FIGURES["grouped"]()
    assert dict(mpl.rcParams) == before


def test_the_page_draws_millivolts_at_10_mm_and_seconds_at_25_mm():
    """A 1 mV step at 1 s in lead II: 10 mm up, 25 mm along, in the cell and in the strip."""
    signal = np.zeros((12, 2500))
    signal[1, 250:] = 1.0
    lines = ecg_page.twelve_lead(signal).axes[0].get_lines()
    strip = [line for line in lines if len(line.get_xdata()) == 2500]
    assert len(strip) == 1
    x, y = strip[0].get_data()
    assert x[250] == 25.0 and y[250] - y[249] == 10.0
    assert len([line for line in lines if len(line.get_xdata()) == 625]) == 12


def test_samples_beyond_n_valid_are_not_drawn():
    lines = ecg_page.twelve_lead(SIGNAL, n_valid=1250).axes[0].get_lines()
    assert max(max(line.get_xdata(), default=0) for line in lines) < 125


def test_running_mean_by_hand():
    assert curves.running_mean([0, 3, 6, 9], 3).tolist() == [1.5, 3.0, 6.0, 7.5]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"\(12, n\)"):
        ecg_page.twelve_lead(SIGNAL[:8])
    with pytest.raises(ValueError, match="unknown lead 'V7'"):
        ecg_leads.closeup(SIGNAL, {"rvq": SIGNAL}, leads=("V7",))
    with pytest.raises(ValueError, match="'magic' has no colour"):
        ecg_page.overlay(SIGNAL, SIGNAL, "magic")
    with pytest.raises(ValueError, match="expected attention weights"):
        ecg_leads.attention(SIGNAL, np.ones((3, 5)))


def test_the_overlay_has_a_span_a_token_and_equal_tokens_equal_colours():
    spans = token_use.overlay(SEGMENTS, SIGNAL[1], 250).axes[0].patches
    left = [span.get_x() for span in spans]
    assert left == [0.0, 0.3, 0.4] and spans[0].get_width() == pytest.approx(0.3)
    first, second, third = (span.get_facecolor() for span in spans)
    assert first == third != second


def test_the_title_of_token_usage_counts_those_never_used():
    titles = [axes.get_title("left") for axes in token_use.byte_pairs(TOKENS, NEEDED).axes]
    assert titles[0] == "Token usage (1 of 3 never used)"


def test_boxes_are_where_the_quantiles_are():
    """A box from 99.8 to 100.2, whiskers to 99.5 and 100.5; without them where they are unknown."""
    for known, reach in ((True, (99.5, 100.5)), (False, (99.8, 100.2))):
        figure = sim_vs_real.sources(source("one", known))
        axes = next(a for a in figure.axes if a.get_title("left").startswith("QRS"))
        heights = np.concatenate([line.get_ydata() for line in axes.get_lines()])
        assert (heights.min(), heights.max()) == pytest.approx(reach)


def test_a_measure_that_is_unknown_leaves_its_place_empty():
    table = source("one")
    table.loc[table["of"] == "pr", ["q05", "q25", "q50", "q75", "q95"]] = np.nan
    axes = next(a for a in sim_vs_real.sources(table).axes if a.get_title("left").startswith("PR"))
    assert not axes.get_lines() and not axes.patches


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="got no q50"):
        sim_vs_real.sources(source("one").drop(columns="q50"))
    with pytest.raises(ValueError, match="at most 3 sources"):
        sim_vs_real.sources(pd.concat([source(name) for name in "abcd"]))
