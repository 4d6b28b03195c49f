"""Figures of classification: labels, subgroups, reliability, and many methods on a page."""

import pandas as pd
import pytest
from builds import refused
from test_figures import VALUES, same_bytes, table

from ecglib.figures import auc_and_bits, category_bars, dots, reliability, style
from ecglib.labels.label_set import LABELS

METHODS_LABELS = [(m, i) for m in ("qinco", "qinco_linear", "deepssl") for i in range(20)]
BY_LABEL = pd.DataFrame(METHODS_LABELS, columns=["method", "label"])
BY_LABEL = BY_LABEL.assign(count=9, value=1 - 0.1 / (1 + BY_LABEL["label"]), low=0.5, high=1.0)
BY_LABEL["category"] = [
    f"Label of a long name, which has the number {i}" for i in BY_LABEL["label"]
]
CALIBRATED = table(
    """method  lower upper cells predicted value low  high
       qinco   0.0   0.1   900   0.02      0.03  0.02 0.04
       qinco   0.1   0.2   30    0.15      0.2   0.1  0.3
       deepsl  0.0   0.1   940   0.03      0.03  -    -"""
)
SUBGROUPS = table(
    """method  panel category count value low  high
       qinco   Sex   Women    3     0.98  0.97 0.99
       qinco   Sex   Men      2     -     -    -
       qinco   Site  A        3     0.95  0.94 0.96"""
)
BY_CATEGORY = table(
    """method  category     value low  high
       qinco   Rhythm       0.95  0.93 0.96
       qinco   Pericarditis -     -    -
       deepsl  Rhythm       0.97  0.96 0.98
       deepsl  Pericarditis 0.45  0.40 0.50"""
)
PLACED = table(
    """method        bits_per_ecg value low  high
       vq_decoded    711          0.93  0.92 0.94
       qinco_decoded 11376        0.97  0.96 0.98
       rvq_decoded   11376        0.97  0.96 0.98
       qinco         11376        0.91  0.92 0.93"""
)
LEVELS = [("summary", 0.9, 0.88, 0.92), ("raw_further", 0.98, 0.97, 0.99)]
LEVELS = pd.DataFrame(LEVELS, columns=["method", "value", "low", "high"])
FIGURES = {
    "by category": lambda: category_bars.grouped(BY_CATEGORY, "Micro-AUC"),
    "AUC and bits": lambda: auc_and_bits.points(PLACED, LEVELS),
    "by label": lambda: dots.rows(BY_LABEL, "cut"),
    "by label, few": lambda: dots.rows(BY_LABEL[BY_LABEL["label"] < 5], "cut"),
    "reliability": lambda: reliability.diagram(CALIBRATED),
    "subgroups": lambda: dots.rows(SUBGROUPS, "below"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_equal_figures_give_equal_bytes(name, tmp_path):
    same_bytes(FIGURES[name], tmp_path)


def test_a_linear_probe_has_the_colour_of_its_method_and_open_markers():
    network, probe = style.method("qinco"), style.method("qinco_linear")
    assert (network.colour, network.marker) == (probe.colour, probe.marker)
    assert (network.fillstyle, probe.fillstyle) == ("full", "none")
    assert network.hatch != probe.hatch and probe.name == "QINCo, linear"


def test_rows_are_in_the_order_of_the_table_and_names_of_labels_stay_different():
    axes = dots.rows(BY_LABEL[BY_LABEL["label"] < 5], "cut").axes
    drawn = [line.get_xdata() for line in axes[0].get_lines() if len(line.get_xdata()) == 5]
    assert len(drawn) == 3 and drawn[0][0] == pytest.approx(0.1)  # 1 - AUC of the first, on top
    names = [dots.shorten(name) for name in LABELS]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= dots.LONGEST + 2


def test_a_row_is_shaded_from_the_better_floor_and_the_axis_ends_where_the_caption_says():
    three = ["deepssl", "qinco_linear", "qinco"]
    frame = pd.DataFrame({"method": three * 2, "category": ["a"] * 3 + ["b"] * 3})
    frame = frame.assign(value=[0.8, 0.9, 0.98, 0.97, 0.7, 0.96]).assign(low=0.7, high=1.0)
    axes = dots.rows(frame, "cut", tuple(three), "Macro-AUC").axes[0]
    (shade,) = [one for one in axes.collections if one.get_facecolor().any() and one.get_paths()]
    x, y = shade.get_paths()[0].vertices.T
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((0.02, 0.1, -0.5, 0.5))
    assert axes.get_xlabel() == "Macro-AUC (log scale of 1 - AUC)"
    assert axes.get_xlim() == dots.limits(frame) == pytest.approx((0.33, 0.01))
    assert "above 0.99 are" in dots.at_edge(frame) and dots.dashed(frame) == ""
    assert "0.5" in dots.dashed(frame.assign(low=0.45))


def test_many_methods_fit_a_page():
    every = [n for n in style.METHOD if not n.endswith(("_linear", "_decoded"))][:15]
    frame = pd.concat([VALUES.iloc[:1].assign(method=n) for n in every])
    frame = pd.concat([frame.assign(category=f"{i}") for i in range(7)])
    figure = dots.rows(frame)
    assert figure.get_figwidth() == 7.0 and figure.get_figheight() < 9.2


def test_bars_begin_at_chance_and_what_is_not_measured_is_written():
    axes = category_bars.grouped(BY_CATEGORY, "Micro-AUC").axes[0]
    assert axes.get_ylim() == pytest.approx((0.38, 1.0))  # 0.02 below the lowest end
    ends = {round(bar.get_y() + bar.get_height(), 3) for bar in axes.patches}
    assert ends == {0.5, 0.45, 0.95, 0.97} and {bar.get_y() for bar in axes.patches} == {0.5}
    assert [text.get_text() for text in axes.texts] == ["n/a"]
    higher = BY_CATEGORY[BY_CATEGORY["category"] == "Rhythm"]
    assert category_bars.grouped(higher, "Micro-AUC").axes[0].get_ylim()[0] == 0.5
    floor = higher.iloc[:1].assign(method="prevalence", value=0.7, low=0.3)  # drawn without its low
    axes = category_bars.grouped(higher.assign(positives=1234), "Micro-AUC", floor).axes[0]
    assert axes.get_ylim()[0] == 0.5
    assert [text.get_text() for text in axes.get_xticklabels()] == ["Rhythm\n(1,234)"]
    line = next(of for of in axes.collections if of.get_label() == "Prevalence only")
    assert line.get_segments()[0][:, 1].tolist() == [0.7, 0.7]


def test_points_of_equal_bits_are_side_by_side_around_their_place():
    points = [c.lines[0] for c in FIGURES["AUC and bits"]().axes[0].containers]
    assert [float(p.get_ydata()[0]) for p in points] == pytest.approx([0.07, 0.03, 0.03, 0.09])
    one, first, second, worst = (float(p.get_xdata()[0]) for p in points)
    left, right = (11376 * (1 + 2 * sign * auc_and_bits.ASIDE) for sign in (-1, 1))
    assert one == 711
    assert (worst, first, second) == pytest.approx((left, 11376, right))
    assert len({p.get_color() for p in points}) == 4


def test_tables_without_a_column_are_refused():
    refused("got no category", dots.rows, BY_LABEL.drop(columns="category"))
    refused("got 'above'", dots.rows, BY_LABEL, "above")
    refused("got no cells", reliability.diagram, CALIBRATED.drop(columns="cells"))
