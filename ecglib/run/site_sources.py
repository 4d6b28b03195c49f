"""The sources of the site (`bash run_all.sh site`), laid out as in the repository.

Sphinx reads a folder that has the repository's Markdown, figures and tables at their own places, so
every link of a page leads to the same file. Three things are made here: the lists of pages that the
site's menu shows, a gallery of all figures, and a page per room of the library.
"""

import re
import shutil
from pathlib import Path

COPIED = ("CHANGELOG.md", "CONTRIBUTING.md", "docs", "figures", "notebooks", "reports", "tests")
LEFT_OUT = ("models", "predictions", "site", "*.npy", "*.html", "__pycache__", ".ipynb_checkpoints")
PAGE = re.compile(r"\]\(\.\./(reports/[\w.-]+/\w+)\.md\)")


def stage_sources(repo: Path, out: Path, folder: Path) -> None:
    """Fill an empty folder with the sources: guides and notebooks of `repo`, results of `out`."""
    for name in COPIED:
        source = (out if name in ("figures", "reports") else repo) / name
        if source.is_dir():
            left_out = shutil.ignore_patterns(*LEFT_OUT)
            shutil.copytree(source, folder / name, ignore=left_out)
        else:
            shutil.copy(source, folder / name)
    items = (repo / "docs" / "items.md").read_text(encoding="utf-8")
    pages = [page for page in dict.fromkeys(PAGE.findall(items)) if _has(folder, page)]
    rooms = sorted(path.parent for path in (repo / "ecglib").glob("*/__init__.py"))
    documents = sorted(f"docs/{path.stem}" for path in (repo / "docs").glob("*.md"))
    menu = {
        "Notebooks": [page for page in pages if "-study-" not in page],
        "Studies": [page for page in pages if "-study-" in page],
        "Documents": documents,
        "Everything": ["gallery", "library", "CHANGELOG", "CONTRIBUTING"],
    }
    readme = (repo / "README.md").read_text(encoding="utf-8")
    lists = "".join(toctree(listed, caption) for caption, listed in menu.items())
    _write(folder / "README.md", readme + lists)
    _write(folder / "gallery.md", gallery(folder, pages))
    for room in rooms:
        _write(folder / "library" / f"{room.name}.md", room_page(room))
    listed = toctree([f"library/{room.name}" for room in rooms])
    _write(folder / "library.md", f"# The library, ecglib\n{listed}")


def _has(folder: Path, page: str) -> bool:
    return (folder / f"{page}.md").is_file()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def toctree(pages: list[str], caption: str = "") -> str:
    """A list of pages; one with a caption is part of the menu and not seen on the page."""
    options = [":maxdepth: 1", ":titlesonly:"]
    options += [f":caption: {caption}", ":hidden:"] if caption else []
    return "\n".join(["", "```{toctree}", *options, "", *pages, "```", ""])


def gallery(folder: Path, pages: list[str]) -> str:
    """All figures by run, in the order of the pages and then of other runs' names."""
    page_of: dict[str, str] = {}  # the first page of a run
    for page in pages:
        page_of.setdefault(page.split("/")[1], page)
    others = sorted(path.name for path in (folder / "figures").iterdir() if path.is_dir())
    text = ["# Gallery of figures", ""]
    for run in dict.fromkeys([*page_of, *others]):
        if figures := sorted((folder / "figures" / run).glob("*.png")):
            title = f"[{run}]({page_of[run]}.md)" if run in page_of else run
            text += [f"## {title}", "", "::::{container} gallery", *map(_figure, figures), "::::\n"]
    return "\n".join(text)


def _figure(png: Path) -> str:
    """One figure with the caption and the text for those who do not see it (`.txt` beside it)."""
    text = png.with_suffix(".txt").read_text(encoding="utf-8").strip()
    caption, _, alt = text.partition("Alt text:")
    place = "/".join(png.parts[-3:-1])
    files = [png.with_suffix(kind) for kind in (".png", ".pdf", ".csv")]
    links = ", ".join(f"[{p.suffix[1:].upper()}]({place}/{p.name})" for p in files if p.is_file())
    options = [f":alt: {' '.join(alt.split())}", ":loading: lazy"]
    opening = f":::{{figure}} {place}/{png.name}"
    return "\n".join([opening, *options, "", f"{' '.join(caption.split())} {links}", ":::"])


def room_page(room: Path) -> str:
    """The docstrings of one room's modules, in the order of their names."""
    text = [f"# {room.name}", "", _module(f"ecglib.{room.name}")]
    for path in sorted(room.glob("*.py")):
        if path.stem not in ("__init__", "__main__"):
            name = f"ecglib.{room.name}.{path.stem}"
            text += [f"## {path.stem}", "", _module(name, "   :members:")]
    return "\n".join(text)


def _module(name: str, *options: str) -> str:
    """Sphinx's `automodule`, which imports the module and writes reStructuredText."""
    return "\n".join(["```{eval-rst}", f".. automodule:: {name}", *options, "```", ""])
