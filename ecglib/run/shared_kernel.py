"""One kernel for several notebooks, one after the other, because its imports take 20 seconds.

A run gives each notebook a fresh kernel. `redraw` shares one, and so do most tests.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines

NAME = "shared"  # of the engine
# Drops all names of a kernel; imported modules stay loaded, with the options that were set. What
# the notebook has left is collected. The rest, mostly modules, is then kept from the collector,
# which takes a second to go through it.
RESET = """%reset -f
__import__('pandas').reset_option('^display')
__import__('gc').collect()
__import__('gc').freeze()"""
KernelOf = Callable[[dict[str, str]], NotebookClient]


@contextmanager
def kernels() -> Iterator[KernelOf]:
    """Gives a kernel by its environment: one serves all notebooks that need the same."""
    started: dict[tuple, NotebookClient] = {}
    options = {"kernel_name": "python3", "extra_arguments": ["--IPKernelApp.log_level=50"]}
    with ExitStack() as stack:

        def of(environment: dict[str, str]) -> NotebookClient:
            key = tuple(sorted(environment.items()))
            if key not in started:
                started[key] = NotebookClient(nbformat.v4.new_notebook(), **options)
                # In a folder of its own: ipykernel drops the one that it stands in from the places
                # of modules, and that would be the repository.
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                with patch.dict(os.environ, environment):
                    stack.enter_context(started[key].setup_kernel(cwd=folder))
            return started[key]

        yield of


class SharedKernel(Engine):
    """Papermill's engine for a kernel that lives on. It drops what an earlier notebook has left."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        client: NotebookClient,
        on_cell_start: Callable | None = None,
        **_: object,
    ) -> None:
        """Execute a notebook's cells in the kernel of `client`; `on_cell_start` is called before
        each. Papermill hands both on."""
        hooks = {"on_cell_start": on_cell_start}
        runner = PapermillNotebookClient(nb_man, km=client.km, kernel_name=kernel_name, **hooks)
        runner.kc = client.kc
        reset = nbformat.v4.new_code_cell(RESET)
        client.nb = nbformat.v4.new_notebook(cells=[reset])
        client.execute_cell(reset, 0)
        runner.papermill_execute_cells()
        nb_man.nb.metadata["language_info"] = {"name": "python"}


papermill_engines.register(NAME, SharedKernel)
