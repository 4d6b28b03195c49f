"""A table in LaTeX that fits a page: by smaller type, cells of two lines, broken texts, blocks of
columns, whichever of these is enough first, and over several pages if it is long."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from re import fullmatch
from textwrap import wrap

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {sign: "\\" + sign for sign in "&%$#_{}"} | {"µ": r"\textmu{}", "≥": r"$\geq$"}
SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "−": "$-$"}
PACKAGES = {"array": r"\arraybackslash", "booktabs": r"\toprule"}
PACKAGES |= {"longtable": r"\begin{longtable}", "makecell": r"\makecell"}

PAGE = 510  # points, the width of a journal's page of text
COLUMN = 245  # points, one of two columns of that page
LINES = 45  # of a table that floats; a longer one goes on over pages
# Sizes of type where text has 10 pt: points of a digit, and of the space on each side of a column.
SIZES = {"": (5.0, 6), r"\small": (4.63, 3), r"\footnotesize": (4.25, 3), r"\scriptsize": (3.99, 3)}
NARROW, WIDE = " ,.:;()[]'|-ijlf", "ABCDEFGHKLMNOPQRSTUVWXYZ%&−+=<>≥@mwµ"
BOLD = 1.15  # times as wide as other type
SHORT = 20  # digits; wider texts may be broken into lines at least as wide
RAGGED = 1.2  # broken texts need so many more lines than full lines would hold


@dataclass(frozen=True)
class Column:
    """A column as a reader sees it: plain texts, the rows in bold, and whether it holds numbers."""

    head: str
    texts: Sequence[str]
    bold: set[int]
    right: bool

    @cached_property
    def widths(self) -> dict[bool, float]:
        """The width of the widest cell in digits: with intervals below their values, or without."""
        widths = {}
        for below in (False, True):
            cells = [max(map(digits, cell_lines(text, below))) for text in self.texts]
            cells = [width * (BOLD if i in self.bold else 1) for i, width in enumerate(cells)]
            widths[below] = max(cells, default=0)
        return widths

    @cached_property
    def longest(self) -> float:
        """The width of the longest word in digits."""
        words = " ".join([self.head, *self.texts]).split()
        return max(map(digits, words), default=0)


@dataclass(frozen=True)
class Setting:
    """A size of type, and what is set in several lines."""

    size: str = ""
    heads: bool = False
    intervals: bool = False
    texts: bool = False

    @property
    def digit(self) -> float:
        """The width of a digit, in points."""
        return SIZES[self.size][0]

    @property
    def side(self) -> int:
        """The space on each side of a column, in points."""
        return SIZES[self.size][1]


LINED = [(False, False), (True, False), (True, True)]
SETTINGS = [Setting(), *(Setting(size, True, *lined) for lined in LINED for size in SIZES)]


@dataclass(frozen=True)
class Placed:
    """A column in LaTeX: how it is aligned, its head and cells, and the lines of each cell."""

    aligned: str
    head: str
    cells: list[str]
    heights: list[int]


def typeset(columns: Sequence[Column], caption: str = "") -> str:
    """A table as LaTeX, no wider than a page.

    It has as few blocks of columns as possible, in the first of SETTINGS that allows that.
    The blocks are about equally wide.
    A block of more LINES goes on over pages; others float.
    The first line is a comment with the packages that it needs.
    """
    ways = [(setting, _split(columns, setting)) for setting in SETTINGS]
    setting, blocks = min(ways, key=lambda way: len(way[1]))
    even = (_split(columns, setting, room) for room in range(0, PAGE, 10))
    blocks = next((way for way in even if len(way) == len(blocks)), blocks)
    wide = max(sum(_widths(block, setting)) for block in blocks) > COLUMN
    text = _block(blocks[0], setting, escape(caption), wide)
    again = "\\addtocounter{table}{-1}\n" if caption else ""
    for block in blocks[1:]:
        text += again + _block(block, setting, f"{escape(caption)} (continued)", wide)
    needs = ", ".join(name for name, command in PACKAGES.items() if command in text)
    page = "; a page of one column" if "longtable" in needs else ""
    return f"% Needs: {needs}{page}\n{text}"


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(SPECIAL.get(character, character) for character in text.replace(">=", "≥"))


def digits(text: str) -> float:
    """About the width of a text in Computer Modern, in digits of it."""
    narrow, wide = (sum(map(text.count, signs)) for signs in (NARROW, WIDE))
    return len(text) - 0.3 * narrow + 0.5 * wide


def cell_lines(text: str, below: bool) -> list[str]:
    """The lines of a cell: its text, or its value and the interval below."""
    parts = fullmatch(r"(\S+) (\[.*)", text) if below else None
    return [*parts.groups()] if parts else [text]


def _split(columns: Sequence[Column], setting: Setting, room: float = PAGE) -> list[list[Column]]:
    """As few blocks of columns as fit a room in points.

    Each begins with all columns up to the first of numbers that follows one of text.
    If these take more than half a page, each begins with the first column.
    """
    widths = [_width(column, setting) for column in columns]
    starts = (i for i in range(1, len(columns)) if columns[i].right > columns[i - 1].right)
    keys = next(starts, 1)
    keys = keys if sum(widths[:keys]) <= PAGE / 2 else 1
    blocks, used = [[*columns[:keys]]], sum(widths[:keys])
    for column, width in zip(columns[keys:], widths[keys:], strict=True):
        if used + width > room and len(blocks[-1]) > keys:
            blocks.append([*columns[:keys]])
            used = sum(widths[:keys])
        blocks[-1].append(column)
        used += width
    return blocks


def _head(column: Column, setting: Setting) -> list[str]:
    """The lines of a head, which may be broken to be no wider than its cells."""
    if not setting.heads:
        return [column.head]
    room = max([int(column.widths[setting.intervals]), *map(len, column.head.split())])
    return wrap(column.head, max(1, room), break_on_hyphens=False) or [""]


def _width(column: Column, setting: Setting, whole: bool = False) -> float:
    """The least width of a column with its sides in points, or that with `whole` texts."""
    width = max(column.widths[setting.intervals], *map(digits, _head(column, setting)))
    if setting.texts and not whole and not column.right and width > SHORT:
        width = max(SHORT, column.longest)
    return width * setting.digit + 2 * setting.side


def _widths(block: Sequence[Column], setting: Setting) -> list[float]:
    """The widths of a block's columns in points; broken texts share the room that is left."""
    least = [_width(column, setting) for column in block]
    whole = [_width(column, setting, whole=True) for column in block]
    share = min(1, max(0, PAGE - sum(least)) / max(1, sum(whole) - sum(least)))
    return [low + share * (high - low) for low, high in zip(least, whole, strict=True)]


def _place(column: Column, width: float, setting: Setting) -> Placed:
    """A column in LaTeX that has a width in points with its sides."""
    side = "r" if column.right else "l"
    whole = width > _width(column, setting, whole=True) - 1
    lines = [cell_lines(text, setting.intervals and whole) for text in column.texts]
    cells = [_cell(line, "t" + side, i in column.bold) for i, line in enumerate(lines)]
    if whole:
        return Placed(side, _cell(_head(column, setting), "b" + side), cells, [*map(len, lines)])
    room = int(width) - 2 * setting.side
    aligned = rf">{{\raggedright\arraybackslash}}p{{{room}pt}}"
    heights = [ceil(digits(text) * setting.digit * RAGGED / room) for text in column.texts]
    return Placed(aligned, escape(column.head), cells, heights)


def _cell(lines: Sequence[str], aligned: str, bold: bool = False) -> str:
    """A cell of one or more lines; a row that begins with [ or * would be read as an option."""
    texts = [rf"\textbf{{{escape(line)}}}" if bold else escape(line) for line in lines]
    texts = [f"{{{text[0]}}}{text[1:]}" if text[:1] in ("[", "*") else text for text in texts]
    text = r"\\".join(texts)
    return text if len(texts) == 1 else rf"\makecell[{aligned}]{{{text}}}"


def _block(block: Sequence[Column], setting: Setting, caption: str, wide: bool) -> str:
    """A block of columns, as a table that floats or as a longtable."""
    pairs = zip(block, _widths(block, setting), strict=True)
    placed = [_place(column, width, setting) for column, width in pairs]
    heights = [max(row) for row in zip(*(column.heights for column in placed), strict=True)]
    end = r"\\ \addlinespace[2pt]" if max(heights, default=1) > 1 else r"\\"
    rows = zip(*(column.cells for column in placed), strict=True)
    body = "".join(f"{' & '.join(row)} {end}\n" for row in rows)
    head = f"\\toprule\n{' & '.join(column.head for column in placed)} \\\\\n\\midrule\n"
    size = f"{setting.size}\\setlength{{\\tabcolsep}}{{{setting.side}pt}}\n" if setting.size else ""
    aligned = "".join(column.aligned for column in placed)
    if sum(heights) > LINES:
        return _long(head, body, aligned, caption, size)
    name = "table*" if wide else "table"
    caption = f"\\caption{{{caption}}}\n" if caption else ""
    tabular = f"\\begin{{tabular}}{{{aligned}}}\n{head}{body}\\bottomrule\n\\end{{tabular}}\n"
    return f"\\begin{{{name}}}\n\\centering\n{caption}{size}{tabular}\\end{{{name}}}\n"


def _long(head: str, body: str, aligned: str, caption: str, size: str) -> str:
    """A longtable, whose head is repeated on each page."""
    first = f"\\caption{{{caption}}} \\\\\n" if caption else ""
    later = "\\caption[]{(continued)} \\\\\n" if caption else ""
    heads = f"{first}{head}\\endfirsthead\n{later}{head}\\endhead\n\\bottomrule\n\\endfoot\n"
    table = f"\\begin{{longtable}}{{{aligned}}}\n{heads}{body}\\end{{longtable}}\n"
    return f"\\begingroup\n\\setlength{{\\LTcapwidth}}{{\\linewidth}}\n{size}{table}\\endgroup\n"
