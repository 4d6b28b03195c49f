"""`bash run_all.sh ipynb`: executed pages as notebooks with their outputs, executing nothing.

The repository holds pages, not notebooks, because a page can be read in a diff. Here a page becomes
a notebook again: code cells with what they printed, tables, and figures within the file.
"""

import argparse
import base64
import os
import re
import textwrap
from difflib import SequenceMatcher
from pathlib import Path

import nbformat
from nbformat import v4

from ecglib.run.errors import RunError
from ecglib.run.paths import Paths

FOLDED, UNFOLDED = "<details><summary>plumbing</summary>", "</details>"
WIDTH = 640  # pixels on the screen; the figures have 300 dots per inch
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+\.png)\)")
LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)\s]+)(\))")


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    options = argparse.ArgumentParser(
        prog="bash run_all.sh ipynb",
        description="Write the executed pages of runs as notebooks with their outputs.",
    )
    options.add_argument("runs", nargs="*", metavar="RUN", help="default: all committed runs")
    options.add_argument("--out", type=Path, default=Path("ipynb"), help="folder (default: ipynb)")
    return options


def main(words: list[str]) -> int:
    """Write the notebooks of the runs that are named; returns the exit status. Raises RunError: a
    run has no page."""
    given, paths = parser().parse_args(words), Paths.here()
    if given.out.exists() and not given.out.is_dir():
        raise RunError(f"{given.out} is not a folder; name another with --out")
    every = sorted(path.parent.name for path in paths.reports("").glob("*/RUN.md"))
    for run in given.runs or every:
        pages = sorted(paths.reports(run).glob("*.md"))
        pages = [page for page in pages if page.stem != "RUN"]
        if not pages and given.runs:
            raise RunError(f"{paths.reports(run)} holds no executed page; name another run")
        for page in pages:
            target = given.out / run / f"{page.stem}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(as_notebook(page, target.parent), target)
            print(target)
    return 0


def as_notebook(page: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook of a page; its links lead from `folder` to where those of the page do. Raises
    RunError: a block of code that does not end, or a picture that is not there."""
    cells = []
    for text, cell in pieces(page.read_text(encoding="utf-8"), page.parent):
        cells += [cell] if cell else _prose(text, page.parent, folder)
    notebook = v4.new_notebook(cells=cells)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"  # the same in every notebook of a page
    return notebook


def pieces(text: str, here: Path | None = None) -> list[tuple[str, nbformat.NotebookNode | None]]:
    """A page in pieces that make it up again when joined: prose, with None, and code with what it
    has put out, with its cell.

    `here`: the page's folder; without it cells have no pictures. Raises RunError: as `as_notebook`.
    """
    every = text.splitlines(keepends=True)
    lines, parts, start = [line.rstrip("\n") for line in every], [], 0
    while lines:
        begin, hidden = len(every) - len(lines), lines[0] == FOLDED
        if hidden or lines[0] == "```python":
            del lines[: 3 if hidden else 1]
            cell = _code(lines, hidden)
            if hidden and lines[:2] == ["", UNFOLDED]:
                del lines[:2]
            cell.outputs = _outputs(lines, here)
            while lines and not lines[0]:
                del lines[0]
            parts += [("".join(every[start:begin]), None)]
            start = len(every) - len(lines)
            parts += [("".join(every[begin:start]), cell)]
        elif lines.pop(0).startswith("```"):  # a block of another language is prose
            _until(lines, "```")
    return [*parts, ("".join(every[start:]), None)]


def with_prose(page: str, fresh: str) -> str:
    """A page with the prose of a fresh one. Its code, with all it has put out, stays; so does the
    prose beside a cell that the fresh page has not, for it may be about what that cell shows."""
    kept, new = pieces(page), pieces(fresh)  # prose at even places, code at odd ones
    code = [[cell.source for _, cell in of[1::2]] for of in (kept, new)]
    blocks = SequenceMatcher(None, *code, autojunk=False).get_matching_blocks()
    same = {of.a + i: of.b + i for of in blocks for i in range(of.size)}
    same |= {-1: -1, len(code[0]): len(code[1])}
    texts = [text for text, _ in kept]
    for place in range(len(code[0]) + 1):
        before, after = same.get(place - 1), same.get(place)
        if None not in (before, after) and after == before + 1:
            texts[2 * place] = new[2 * after][0]
    return "".join(texts)


def _until(lines: list[str], end: str) -> list[str]:
    """Take the lines up to `end`, and `end`."""
    if end not in lines:
        raise RunError(f"the page has a block without its end {end!r}; make it again with redraw")
    place = lines.index(end) + 1
    taken, lines[:] = lines[:place], lines[place:]
    return taken


def _code(lines: list[str], hidden: bool) -> nbformat.NotebookNode:
    cell = v4.new_code_cell("\n".join(_until(lines, "```")[:-1]))
    if hidden:
        cell.metadata = {"tags": ["plumbing"], "jupyter": {"source_hidden": True}}
    return cell


def _prose(text: str, here: Path, target: Path) -> list[nbformat.NotebookNode]:
    """A Markdown cell, or none for blank lines."""
    text = LINK.sub(lambda m: m[1] + os.path.relpath(here / m[2], target) + m[3], text.strip())
    return [v4.new_markdown_cell(text)] if text else []


def _outputs(lines: list[str], here: Path | None) -> list[nbformat.NotebookNode]:
    """Take what a cell has printed and displayed: indented text, tables of HTML, figures with
    their captions. What follows is prose. Without the page's folder figures are not read."""
    outputs = []
    while lines:
        blank = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
        first = lines[blank] if blank < len(lines) else ""
        if first.startswith("    "):
            del lines[:blank]
            end = next((i for i, line in enumerate(lines) if line[:1].strip()), len(lines))
            text = textwrap.dedent("\n".join(lines[:end])).strip("\n")
            del lines[:end]
            outputs.append(v4.new_output("stream", name="stdout", text=f"{text.rstrip()}\n"))
        elif first == "<div>":
            del lines[:blank]
            outputs.append(_display({"text/html": "\n".join(_until(lines, "</div>"))}))
        elif picture := PICTURE.fullmatch(first):
            del lines[: blank + 1]
            content = _picture(here / picture[2]) if here else ""
            outputs.append(_display({"image/png": content, "text/plain": picture[1]}))
            outputs[-1].metadata = {"image/png": {"width": WIDTH}}
        elif outputs and re.fullmatch(r"\*[^*].*[^*]\*", first) and "image/png" in _kinds(outputs):
            del lines[: blank + 1]
            outputs.append(_display({"text/markdown": first}))
        else:
            break
    return outputs


def _picture(path: Path) -> str:
    if not path.is_file():
        raise RunError(f"{path} is missing; make it again with redraw")
    return base64.b64encode(path.read_bytes()).decode()


def _kinds(outputs: list[nbformat.NotebookNode]) -> dict:
    return outputs[-1].get("data", {})


def _display(data: dict[str, str]) -> nbformat.NotebookNode:
    return v4.new_output("display_data", data=data)
