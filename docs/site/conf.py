"""How Sphinx makes the site of `bash run_all.sh site` (sources: ecglib/run/site_sources.py)."""

import gc
import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

# All pages stay in memory until the end, so the garbage collector would look for nothing.
gc.set_threshold(200_000, 20, 100)

project = "ECG tokens and language models"
author = "The ECG token compendium authors"
root_doc = "README"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# pages
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
# every other page is reached from a page that is in a list
suppress_warnings = ["toc.not_included", "myst.header"]

# the library: imported, never executed
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_custom_sections = [("Config", "params_style"), ("Inputs", "params_style")]
napoleon_use_ivar = True

# looks; nothing is loaded from another server
html_theme = "furo"
html_title = project
html_static_path = ["."]
html_css_files = ["site.css"]
html_js_files = ["sort_tables.js"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"


def _mathml(node, display: str) -> str:
    """An equation as MathML, which browsers draw without a script."""
    return convert(node.astext().replace(r"\arg", r"\operatorname{arg}"), display=display)


def _inline(translator, node) -> None:
    """An equation within a sentence."""
    translator.body.append(_mathml(node, "inline"))
    raise SkipNode


def _display(translator, node) -> None:
    """An equation on a line of its own."""
    translator.body.append(f"<div class='equation'>{_mathml(node, 'block')}</div>")
    raise SkipNode


SECTION = re.compile(r"(Args|Attributes|Config|Inputs|Raises|Returns|Yields):$")
NAMES = re.compile(r"^ +\w+(, \w+)+(?=:)")  # "low, high:" is two names, not a name and its type
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
COLUMNS = re.compile(r"\S {2,}\S")  # aligned by hand


def _escaped(line: str) -> str:
    """A line whose `code` is marked and whose other bars and stars are only themselves."""
    parts = CODE.split(line)
    parts[1::2] = [f"``{code}``" for code in parts[1::2]]
    parts[::2] = [re.sub(r"([|*])", r"\\\1", text) for text in parts[::2]]
    return "".join(parts)


def _as_text(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are plain text: bars and stars are no markup, and a block with aligned columns or
    an indented line keeps its lines."""
    paragraphs = [block.split("\n") for block in re.split(r"\n{2,}", "\n".join(lines).strip())]
    result, in_section = [], False
    for block in paragraphs:
        if SECTION.match(block[0]) or not block[0].startswith(" "):
            in_section = bool(SECTION.match(block[0]))
        is_list = block[0].startswith(("- ", "1. "))
        indented = any(line.startswith(" ") for line in block) and not is_list
        if not in_section and (indented or any(COLUMNS.search(line) for line in block)):
            result += ["::", "", *(f"    {line}" for line in block), ""]
        else:
            named = [NAMES.sub(lambda m: m[0].replace(", ", ","), line) for line in block]
            result += [*map(_escaped, named), ""]
    lines[:] = result


def _fold(app, page: str, template: str, context: dict, tree) -> None:
    """The sidebar opens the branch of its page alone. The library has an entry per function. Open
    on every page, it would double the time that the site takes."""
    whole = context.get("toctree")
    if whole:
        context["toctree"] = lambda **options: whole(**(options | {"collapse": True}))


def setup(app) -> None:
    """Register the renderer of equations, the reader of docstrings and the fold of the sidebar."""
    app.connect("html-page-context", _fold, priority=100)  # before the theme asks for the tree
    app.connect("autodoc-process-docstring", _as_text, priority=100)
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
