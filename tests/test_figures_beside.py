"""Figures of sets beside each other: equal bytes, gaps for what is unknown, bad input refused."""

import numpy as np
import pandas as pd
import pytest

from ecglib.figures import sim_vs_real, style
from ecglib.signals.leads import LEADS

HERTZ = ("0.5", "1", "8", "64")


def side(name: str, known: bool = True) -> pd.DataFrame:
    """All numbers of one side; without whiskers where too few patients are known."""
    rows = [("amplitude", lead, of, 0.1 * int(of) - 2) for lead in LEADS for of in ("1", "99")]
    rows += [("power", "II", of, -float(of) / 20) for of in HERTZ]
    rows += [("measure", "", of, 100.0) for of in sim_vs_real.MEASURES]
    table = pd.DataFrame(rows, columns=["view", "lead", "of", "q50"])
    table["q25"], table["q75"] = table["q50"] - 0.2, table["q50"] + 0.2
    table["q05"] = table["q50"] - 0.5 if known else np.nan
    table["q95"] = table["q50"] + 0.5 if known else np.nan
    return table.assign(side=name)


def told() -> pd.DataFrame:
    rows = [
        (pair, seen, how, 0.8, 0.7, 0.9)
        for pair in ("real from simulated", "this from simulated")
        for seen in ("all", "waves")
        for how in (("alone", "shuffled") if seen != "all" else ("alone",))
    ]
    return pd.DataFrame(rows, columns=["pair", "seen", "how", "value", "low", "high"])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: sim_vs_real.sides(pd.concat([side("real"), side("few", known=False)])),
        lambda: sim_vs_real.looked_at(told()),
    ],
    ids=["sides", "looked_at"],
)
def test_equal_figures_give_equal_bytes(draw, tmp_path):
    style.save(draw(), tmp_path / "a.png")
    style.save(draw(), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_boxes_stand_where_the_quantiles_are():
    """A box from 99.8 to 100.2, whiskers to 99.5 and 100.5; without them where they are unknown."""
    for known, reach in ((True, (99.5, 100.5)), (False, (99.8, 100.2))):
        figure = sim_vs_real.sides(side("one", known))
        axes = next(a for a in figure.axes if a.get_title("left").startswith("QRS"))
        heights = np.concatenate([line.get_ydata() for line in axes.get_lines()])
        assert (heights.min(), heights.max()) == pytest.approx(reach)


def test_a_measure_that_is_unknown_leaves_its_place_empty():
    table = side("one")
    table.loc[table["of"] == "pr", ["q05", "q25", "q50", "q75", "q95"]] = np.nan
    axes = next(a for a in sim_vs_real.sides(table).axes if a.get_title("left").startswith("PR"))
    assert not axes.get_lines() and not axes.patches


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="lacks the column q50"):
        sim_vs_real.sides(side("one").drop(columns="q50"))
    with pytest.raises(ValueError, match="at most 3 sides"):
        sim_vs_real.sides(pd.concat([side(name) for name in "abcd"]))
