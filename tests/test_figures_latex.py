"""Tables in LaTeX: no wider and no longer than a page, every cell as it was, the best in bold."""

import re
from math import ceil
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from ecglib.figures import latex, tables

COMMITTED = sorted(Path(__file__).parents[1].glob("reports/**/tables/*.csv"))
INTERVAL = "0.410 [0.382, 0.438]"
TEXT = "The tokens hold more about the labels than summary numbers and the median beat do."


class Block(NamedTuple):
    """One table of a file: its width in points, and the lines of each cell, heads first."""

    long: bool
    places: list[str]  # of its columns: l, r or p{...}
    width: float
    height: int  # in lines, without the heads
    cells: list[list[list[str]]]


def read_cell(text: str) -> list[str]:
    """The lines of a cell as a reader sees them; * is before a line in bold."""
    lines = []
    for line in re.sub(r"^\\makecell\[..\]\{(.*)\}$", r"\1", text).split(r"\\"):
        line = re.sub(r"^\\textbf\{(.*)\}$", r"*\1", line).replace("{[}", "[")
        for sign, command in [*latex.SPECIAL.items()][::-1]:
            line = line.replace(command, sign)
        lines.append(line)
    return lines


def width_of(line: str) -> float:
    """The width of a line in digits."""
    return latex.digits(line.lstrip("*")) * (latex.BOLD if line[:1] == "*" else 1)


def read(text: str) -> list[Block]:
    """The tables of a file of LaTeX."""
    size = re.search(r"\\(small|footnotesize|scriptsize)\\setlength", text)
    digit, side = latex.SIZES["\\" + size[1] if size else ""]
    table = r"\\begin\{(tabular|longtable)\}\{([^\n]*)\}\n(.*?)\\end\{\1\}"
    blocks = []
    for name, aligned, body in re.findall(table, text, re.DOTALL):
        places = re.findall(r"[lr]|p\{\d+pt\}", re.sub(r">\{.*?\}", "", aligned))
        rooms = [int(place[2:-3]) if place[0] == "p" else None for place in places]
        lines = [re.sub(r" \\\\( \\addlinespace\[2pt\])?$", "", row) for row in body.split("\n")]
        start = lines.index(r"\endfoot" if name == "longtable" else r"\midrule") + 1
        rows = [row for row in lines[start:] if row not in (r"\bottomrule", "")]
        rows = [lines[lines.index(r"\toprule") + 1], *rows]
        cells = [[read_cell(part) for part in row.split(" & ")] for row in rows]
        width, heights = 0.0, [1] * len(cells)
        for column, room in zip(zip(*cells, strict=True), rooms, strict=True):
            widths = [max(map(width_of, one)) * digit for one in column]
            width += (room or max(widths)) + 2 * side
            least = [
                ceil(w / room) if room else len(c) for w, c in zip(widths, column, strict=True)
            ]
            heights = [*map(max, heights, least)]
        blocks.append(Block(name == "longtable", places, width, sum(heights[1:]), cells))
    return blocks


def column(head: str, texts: list[str], bold: int = -1) -> latex.Column:
    """A column of numbers if its texts begin with digits."""
    return latex.Column(head, texts, {bold} - {-1}, texts[0][:1].isdigit())


def test_a_table_that_fits_stays_in_one_line_a_row_and_in_a_column_of_a_page():
    text = latex.typeset([column("Method", ["a", "[b]"]), column("F1", ["1", "2"], bold=1)], "C")
    assert text.startswith("% Needs: booktabs\n\\begin{table}\n\\centering\n\\caption{C}\n")
    assert "Method & F1 \\\\\n\\midrule\na & 1 \\\\\n{[}b] & \\textbf{2} \\\\\n" in text


def test_a_wide_table_gets_smaller_type_then_intervals_below_values_then_blocks():
    def wide(n: int) -> str:
        numbers = [column(f"Measure {i}", [INTERVAL] * 3, bold=1) for i in range(n)]
        return latex.typeset([column("Method", ["a", "b", "c"]), *numbers], "Scores & more")

    assert r"\small" not in wide(3) and r"\begin{table*}" in wide(3)
    assert r"\footnotesize" in wide(5) and r"\makecell" not in wide(5)
    assert "\\makecell[tr]{0.410\\\\{[}0.382, 0.438]}" in wide(7)
    assert "\\makecell[tr]{\\textbf{0.410}\\\\\\textbf{[0.382, 0.438]}}" in wide(7)
    assert wide(7).startswith("% Needs: booktabs, makecell\n")
    text = wide(11)
    assert text.count(r"\begin{table*}") == 2 and text.count(r"\addtocounter{table}{-1}") == 1
    assert text.count(r"\caption{Scores \& more (continued)}") == 1
    first, second = (block.cells for block in read(text))
    assert [row[0] for row in first] == [row[0] for row in second]
    assert [*map(len, first), *map(len, second)] == [7] * 4 + [6] * 4
    for row in (1, 2, 3):
        mark = "*" if row == 2 else ""
        assert first[row][1:] + second[row][1:] == [[f"{mark}0.410", f"{mark}[0.382, 0.438]"]] * 11


def test_blocks_repeat_a_number_that_stands_before_a_name():
    columns = [column("Label", ["3", "4"]), column("Finding", ["ST", "QT"])]
    columns += [column(f"A measure {i}", ["0.12345678 mV"] * 2) for i in range(12)]
    blocks = read(latex.typeset(columns))
    assert len(blocks) > 1 and all(one.cells[1][:2] == [["3"], ["ST"]] for one in blocks)


def test_long_texts_are_broken_in_the_room_that_is_left():
    texts = [column("Statement", [TEXT] * 2), column("Other", [TEXT[:60]] * 2)]
    text = latex.typeset([*texts, column("Value", [INTERVAL] * 2)], "Claims")
    assert text.startswith("% Needs: array, booktabs, makecell\n")
    (block,) = read(text)
    assert block.places[0].startswith("p{") and block.places[2] == "r"
    assert latex.PAGE - 20 < block.width <= latex.PAGE and block.cells[1][0] == [TEXT]


def test_a_long_table_goes_on_over_pages_under_the_same_heads():
    def long(n: int, caption: str = "Labels") -> str:
        return latex.typeset([column("Label", [f"{i} mV" for i in range(n)])], caption)

    assert r"\begin{table}" in long(latex.LINES) and "longtable" not in long(latex.LINES)
    text = long(310)
    assert text.startswith("% Needs: booktabs, longtable; a page of one column\n")
    assert r"\begin{table" not in text and text.count("\\toprule\nLabel \\\\\n\\midrule\n") == 2
    assert text.count(r"\caption{Labels}") == 1 and r"\caption[]{(continued)}" in text
    assert [row[0] for row in read(text)[0].cells][1:] == [[f"{i} mV"] for i in range(310)]
    assert r"\caption" not in long(310, "")


def test_an_empty_table_is_one_too():
    assert r"\begin{tabular}{}" in latex.typeset([])
    assert r"Method \\" in tables.latex(pd.DataFrame({"method": []}), "None")


@pytest.mark.parametrize("run", sorted({path.parents[1].name for path in COMMITTED}))
def test_committed_tables_fit_a_page(run):
    for path in (path for path in COMMITTED if path.parents[1].name == run):
        frame = pd.read_csv(path)
        text = tables.latex(frame, "A caption", dict.fromkeys(frame, "max"))
        blocks = read(text)
        keys = sum(len(block.places) for block in blocks) - frame.shape[1]
        assert keys % max(1, len(blocks) - 1) == 0, path
        for block in blocks:
            assert block.width <= latex.PAGE, (path, block.width)
            assert len(block.cells) == len(frame) + 1, path
            assert block.long or block.height <= latex.LINES, (path, block.height)
            assert r"\begin{table}" not in text or block.width <= latex.COLUMN, path


def test_tables_name_variants_and_levels():
    """No key with an underscore is left in a column of methods or systems of a committed table."""
    columns = {"method": set(), "system": set()}
    for file in COMMITTED:
        frame = pd.read_csv(file)
        for column in columns.keys() & set(frame):
            columns[column] |= set(frame[column].dropna().astype(str))
    for column, keys in columns.items():
        text = tables.markdown(pd.DataFrame({column: sorted(keys)}))
        assert len(keys) > 4 and "_" not in text and "Ecg" not in text
    level = tables.markdown(pd.DataFrame({"system": ["clip, hidden"]}))
    assert level.splitlines()[-1] == "| CLIP, last layer |"


def test_pages_show_tables_in_words():
    """A table keeps its keys, and a page shows names in their place, in columns and as labels."""
    frame = tables.InWords({"method": ["rvq_one", "mine"], "mae_uv": [1.25, 2.0]})
    shown_as = frame.round(1).head(2)._repr_html_()
    assert all(word in shown_as for word in ("RVQ, 1 codebook", "MAE (µV)", "Mine", "1.2"))
    assert "rvq_one" not in shown_as and list(frame["method"]) == ["rvq_one", "mine"]
    assert "<caption>" not in shown_as
    frame.caption = "Error & bits."
    assert "<caption>Error &amp; bits.</caption>" in frame.round(1).head(1)._repr_html_()
    by_name = frame.set_index("method")
    assert by_name.at["mine", "mae_uv"] == 2.0 and "RVQ, 1 codebook" in by_name._repr_html_()
    wide = frame.pivot_table(index="method", columns=["mae_uv"], aggfunc="size")
    assert isinstance(wide._repr_html_(), str)
