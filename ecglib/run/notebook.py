"""One notebook: converted, its parameters compared, executed by Papermill, rendered as a report."""

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from unittest.mock import patch

import jupytext
import nbformat
import papermill
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import MarkdownExporter
from papermill.exceptions import PapermillExecutionError

from ecglib.run import keys, page_links, shared_kernel
from ecglib.run.errors import RunError, unknown

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
STYLE = re.compile(r"<style.*?</style>\s*", re.DOTALL)
WIDGET = "application/vnd.jupyter.widget-view+json"
PLUMBING = "plumbing"  # tag of cells that a reader may skip: folded on a page, hidden in Lab
BELOW = "saved"  # begins the names of pictures that are drawn from saved predictions
INJECTED = "injected-parameters"  # tag of the cell that Papermill adds
OPENS = "stage = Stage("  # in the cell that opens a notebook's stage; only imports stand before it
BEAT = 20.0  # seconds between progress lines


def convert(source: Path, target: Path, parameters: dict) -> list[nbformat.NotebookNode]:
    """Write a py:percent notebook as .ipynb for the kernel python3, its plumbing hidden; returns
    its cells. Raises RunError: a parameter that the notebook's parameters cell does not have."""
    notebook = jupytext.read(source)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"] = kernel
    for cell in notebook.cells:
        if PLUMBING in cell.metadata.get("tags", []):
            cell.metadata["jupyter"] = {"source_hidden": True}
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    known = papermill.inspect_notebook(str(target))
    for name in parameters:
        if name not in known:
            raise unknown(f"parameter of notebook {source.name}:", name, list(known))
    return notebook.cells


def parameterise(source: Path, target: Path, parameters: dict) -> None:
    """`convert`, with the parameters put in, for a notebook that a reader executes."""
    convert(source, target, parameters)
    names = {"input_path": str(target), "output_path": str(target), "parameters": parameters}
    papermill.execute_notebook(**names, prepare_only=True, progress_bar=False)


def execute(
    source: Path,
    target: Path,
    parameters: dict,
    environment: dict,
    resume: str,
    client: NotebookClient | None = None,
) -> None:
    """Run a notebook and write it, with its outputs, as an .ipynb.

    `environment`: variables that the kernel gets, set before it starts. `client`: of a kernel with
    this environment (`shared_kernel`), which is emptied first; without it the notebook gets a fresh
    one. Raises RunError: a parameter that the notebook does not have, a cell that failed, or a
    kernel that died; the message has `resume`, the command that continues.
    """
    log = target.with_suffix(".log")
    log.unlink(missing_ok=True)
    own = [cell.id for cell in convert(source, target, parameters)]  # Papermill adds others
    current = f"cell 1 of {len(own)}"

    def note(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal current
        if cell.id in own:
            current = f"cell {own.index(cell.id) + 1} of {len(own)}"

    with patch.dict(os.environ, environment), _heartbeat(target.stem, lambda: current):
        try:
            shared = {"engine_name": shared_kernel.NAME, "client": client} if client else {}
            executed = papermill.execute_notebook(
                str(target),
                str(target),
                parameters=parameters,
                kernel_name="python3",
                cwd=str(target.parent),
                progress_bar=False,
                log_output=False,
                extra_arguments=["--IPKernelApp.log_level=50"],
                on_cell_start=note,
                # one in a kernel of its own is saved after each cell, for whoever looks on
                request_save_on_cell_execute=client is None,
                **shared,
            )
            return _require_all_cells(executed, own, target.stem, resume)
        except PapermillExecutionError as error:
            text = "\n".join(error.traceback)
            problem = f" failed in {current}\n{_problem(error.source, error.ename, error.evalue)}"
        except DeadKernelError:
            text = f"the kernel of {target.stem} died in {current}"
            problem = (
                f": the kernel was killed in {current}, most likely for memory or a "
                "full disk; close other programs or choose a smaller profile"
            )
    log.write_text(ANSI.sub("", text) + "\n", encoding="utf-8")
    raise RunError(
        f"notebook {target.stem}{ANSI.sub('', problem)}\n  log: {log}\n  resume with: {resume}"
    )


def _problem(source: str, error: str, value: str) -> str:
    """Which cell failed, by its first line of code, and how."""
    lines = [line.strip() for line in source.splitlines()]
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return f"  cell begins: {first}\n  error: {error}: {value}"


def execute_saved(
    source: Path, target: Path, parameters: dict, first: str, client: NotebookClient
) -> None:
    """Execute in a kernel the code `first`, and then of a notebook what comes up to its stage, and
    what stands below `keys.LINE`; write it with their outputs. Raises RunError: the notebook has no
    such line, or a cell failed."""
    parameterise(source, target, parameters)
    client.nb = nbformat.read(target, as_version=4)
    client.nb.metadata["language_info"] = {"name": "python"}
    sources, marks = [cell.source for cell in client.nb.cells], {}
    for mark in (OPENS, keys.LINE):
        marks[mark] = [place for place, text in enumerate(sources) if mark in text]
        if not marks[mark]:
            raise RunError(f"notebook {target.stem} lacks {mark!r}, so it cannot be drawn again")
    opened, line = (of[0] for of in marks.values())
    places = [place for place in range(len(sources)) if place <= opened or place > line]
    begin = nbformat.v4.new_code_cell(f"{shared_kernel.RESET}\n{first}")
    client.nb.cells = [*client.nb.cells, begin]  # the last, so that the others keep their places
    for place in [len(sources), *places]:
        cell = client.nb.cells[place]
        try:
            client.execute_cell(cell, place)
        except CellExecutionError as error:
            problem = _problem(cell.source, error.ename, error.evalue)
            raise RunError(f"notebook {target.stem} cannot be drawn again\n{problem}") from error
    client.nb.cells.pop()
    nbformat.write(client.nb, target)


def _require_all_cells(
    executed: nbformat.NotebookNode, own: list[str], name: str, resume: str
) -> None:
    """An early exit counts as success for Papermill; here each code cell must have run."""
    for cell in executed.cells:
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            raise RunError(
                f"notebook {name} ended before cell {own.index(cell.id) + 1} of {len(own)} (an "
                f"exit in a cell?)\n  resume with: {resume}"
            )


@contextmanager
def _heartbeat(name: str, current: Callable[[], str]) -> Iterator[None]:
    """Print which cell runs, at most once in BEAT seconds: a long silence is not a dead kernel."""
    done, start = threading.Event(), time.monotonic()

    def beat() -> None:
        while not done.wait(BEAT):
            print(f"  {name}: {current()}, {time.monotonic() - start:.0f} s", flush=True)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def render(
    executed: Path,
    folder: Path,
    replacements: dict[str, str],
    address: Callable[[str], str],
    caption: str = "",
    figures: Mapping[str, str] = MappingProxyType({}),
) -> list[Path]:
    """Write an executed notebook to `folder` as Markdown with pictures; returns the files.

    Args:
        replacements: absolute paths that must not be published, and the text in their place.
        address: the link to the page of a notebook, by the notebook's name (`page_links`).
        caption: a line below the title: which run made the page, at which commit and on which day.
        figures: the links to saved figures, by their sha256. The page shows these files themselves.
    """
    notebook = nbformat.read(executed, as_version=4)
    notebook.cells = [part for cell in notebook.cells for part in _folded(cell)]
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    alts = [out.metadata.get("image/png", {}).get("alt", "a figure") for out in pictures]
    stem = executed.stem
    folder.mkdir(parents=True, exist_ok=True)
    pictures = folder / f"{stem}_files"
    for old in pictures.glob("*"):
        old.unlink()
    resources = {"output_files_dir": pictures.name, "unique_key": stem}
    body, resources = MarkdownExporter().from_notebook_node(notebook, resources=resources)
    saved = resources["outputs"]
    for alt in alts:
        body = body.replace("![png](", f"![{alt}](", 1)
    body = STYLE.sub("", ANSI.sub("", body))
    for path in sorted(replacements, key=len, reverse=True):
        body = body.replace(path, replacements[path])
    body = page_links.resolve(body, address)
    if caption:
        title, rest = body.split("\n", 1)
        body = f"{title}\n\n*{caption}*\n{rest}"
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in saved.items()}
    for name in [name for name, digest in digests.items() if digest in figures]:
        body = body.replace(f"({name})", f"({figures[digests[name]]})")
        del saved[name]
    above, line, below = body.partition(keys.LINE)
    below = below.replace(f"({pictures.name}/{stem}_", f"({pictures.name}/{BELOW}_")
    written = [folder / f"{stem}.md"]
    written[0].write_text(above + line + below, encoding="utf-8")
    for name, content in sorted(saved.items()):
        is_above = f"({name})" in above
        written.append(folder / (name if is_above else name.replace(f"/{stem}_", f"/{BELOW}_")))
        written[-1].parent.mkdir(exist_ok=True)
        written[-1].write_bytes(content)
    return written


def _folded(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """A cell as a page shows it: without widgets, and its code behind a click if it is plumbing."""
    if cell.cell_type != "code":
        return [cell]
    # a widget's view, such as a progress bar, is nothing on a page
    outputs = [one for one in cell.outputs if WIDGET not in one.get("data", {})]
    cell.outputs = outputs[:1]
    for one in outputs[1:]:  # a kernel may send what it prints in several pieces
        last = cell.outputs[-1]
        if one.output_type == last.output_type == "stream" and one.name == last.name:
            last.text += one.text
        else:
            cell.outputs.append(one)
    if PLUMBING not in cell.metadata.get("tags", []):
        return [cell]
    code = f"<details><summary>plumbing</summary>\n\n```python\n{cell.source}\n```\n\n</details>"
    cell.metadata["transient"] = {"remove_source": True}
    return [nbformat.v4.new_markdown_cell(code), cell]


def replace_prose(source: Path, executed: Path) -> None:
    """Give an executed notebook the Markdown cells of its edited source; outputs stay.

    The code cells must be equal: their key is.
    """
    old = nbformat.read(executed, as_version=4)
    code = [cell for cell in old.cells if cell.cell_type == "code"]
    fresh = []
    for cell in jupytext.read(source).cells:
        fresh.append(code.pop(0) if cell.cell_type == "code" else cell)
        if code and INJECTED in code[0].metadata.get("tags", []):
            fresh.append(code.pop(0))
    old.cells = fresh
    nbformat.write(old, executed)
