"""The small language model with LoRA, as the benchmarks of its training step load it."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from _common import skip

from ecglib.run import assets
from ecglib.run.paths import Paths
from ecglib.training.device import Machine, choose_machine

LORA = {"rank": 16, "alpha": 32, "targets": ["q_proj", "v_proj"]}
GGUF = {"kind": "gguf", "file": "SmolLM2-135M-Instruct.Q4_1.gguf"}


def fetched() -> Path:
    """The folder of the asset smollm2.

    Raises:
        SystemExit: status 77 where it was not fetched.
    """
    paths = Paths.here()
    if not (paths.assets / "smollm2").is_dir():
        skip(
            f"{Path(sys.argv[0]).stem}: {paths.assets} holds no smollm2; fetch it with "
            "bash run_all.sh --prefetch."
        )
    return assets.folder("smollm2", paths, {})


@contextmanager
def small_model() -> Iterator[tuple[torch.nn.Module, Machine]]:
    """The asset smollm2 with LoRA on two CPU threads in bfloat16, and the machine it is on.

    Raises:
        SystemExit: status 77 where the asset was not fetched.
    """
    source = fetched()
    from ecglib.language import base as base_model  # transformers takes many seconds to import

    machine = choose_machine({"device": "cpu", "dtype": "bfloat16", "threads": 2})
    machine.configure_torch()
    with tempfile.TemporaryDirectory() as folder:
        base_model.prepare(Path(folder), {"asset": source}, GGUF, 0, machine)
        yield base_model.add_lora(base_model.load(Path(folder), machine), LORA, 0), machine
