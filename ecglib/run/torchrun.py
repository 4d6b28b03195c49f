"""A training in several processes: torchrun starts them, and each executes the step's function.

The first process writes into the folder of the step. Each other one writes into a folder of its own
that is thrown away, and begins with a copy of the checkpoint. When one is killed, torchrun ends the
others, and when torchrun is, they end by themselves. The last checkpoint stays, and the next run
goes on from it.

On several machines all of them see one folder `ECGLIB_HOME`. `ECGLIB_TORCHRUN` holds torchrun's
options; each further machine executes the file `torchrun.sh` of the notebook (docs/gpu.md).
"""

import importlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ecglib.run.errors import RunError
from ecglib.run.paths import PROCESSES
from ecglib.tokenizers import plugin

if TYPE_CHECKING:
    from ecglib.run.steps import StepFunction
    from ecglib.training.device import Machine

OPTIONS = "ECGLIB_TORCHRUN"  # of torchrun, where several machines take part
ORDER = "order.json"  # in the checkpoint: what the processes are to do
SCRIPT = "torchrun.sh"  # beside the steps of the notebook, while processes run
SCRATCH = ".rank"  # begins the folder of a process other than the first
PATIENCE = timedelta(hours=2)  # until a process that waits for another one gives up
AGENT = "agent"  # as the first word: torchrun itself


def processes(config: dict) -> int:
    """How many processes a step gets: those of `--processes` where its updates have micro-batches,
    else one. Raises RunError: the number is none."""
    wanted = os.environ.get(PROCESSES) or "1"
    if not wanted.isdigit() or wanted == "0":
        raise RunError(f"--processes: expected a number from 1 on, got {wanted!r}")
    return int(wanted) if "parts" in config else 1


def call(
    fn: "StepFunction",
    out: Path,
    inputs: dict[str, Path],
    config: dict,
    seed: int,
    machine: "Machine",
    count: int,
) -> None:
    """Execute a step function in `count` processes of this machine.

    Raises RunError: there are fewer GPUs than processes, or one of them failed or was killed."""
    _require_devices(machine, count)
    for left in out.parent.glob(f"{SCRATCH}*"):
        shutil.rmtree(left)
    order, threads = out / "checkpoint" / ORDER, max(1, machine.threads // count)
    order.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "function": f"{fn.__module__}.{fn.__qualname__}",
        "out": str(out.resolve()),
        "inputs": {label: str(folder.resolve()) for label, folder in inputs.items()},
        "config": config,
        "seed": seed,
        "machine": asdict(replace(machine, threads=threads)),
    }
    order.write_text(json.dumps(content, indent=1), encoding="utf-8")
    script = _write_script(out.parent / SCRIPT, order, count, threads)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(["bash", script, str(os.getpid())], **options) as agent:
        try:
            printed, errors = agent.communicate()
        except KeyboardInterrupt:
            agent.terminate()
            raise
    script.unlink()
    print(printed, end="")
    if agent.returncode:
        lines = [line for line in errors.splitlines() if "Error" in line] or ["no message"]
        log = out.parent / "torchrun.log"
        log.write_text(printed + errors, encoding="utf-8")
        raise RunError(
            f"a process of {content['function']} failed or was killed ({lines[0].strip()}); "
            f"log: {log}; the last checkpoint is kept, so run again"
        )


def _require_devices(machine: "Machine", count: int) -> None:
    if machine.device == "cuda":
        import torch

        gpus = torch.cuda.device_count()
        if gpus < count:
            raise RunError(f"--processes {count}: this machine has {gpus} GPUs; give no more")
        torch.cuda.empty_cache()  # what earlier steps reserved, the first process lacks


def _write_script(script: Path, order: Path, count: int, threads: int) -> Path:
    """The command of this machine and of each further one, with what it needs to be the same."""
    options = shlex.split(os.environ.get(OPTIONS, "--standalone"))
    words = [f"--nproc-per-node={count}", *options, "-m", "ecglib.run.torchrun", str(order)]
    begin = shlex.join([sys.executable, "-m", "ecglib.run.torchrun", AGENT])
    names = ("PYTHONPATH", "PYTHONSAFEPATH", plugin.VARIABLE, "CUBLAS_WORKSPACE_CONFIG")
    lines = [f"export {n}={shlex.quote(os.environ[n])}" for n in names if n in os.environ]
    lines += [f"export OMP_NUM_THREADS={threads}", f'exec {begin} "${{1:-0}}" {shlex.join(words)}']
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return script


def _end_with(parent: int) -> None:
    """End this process when the one that started it has ended: nobody waits for the result."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(words: list[str]) -> None:
    """torchrun itself (agent, the process that started it or 0, its options), or one of the
    processes that it starts (the order)."""
    if words[0] != AGENT:
        return execute(Path(words[0]))
    from torch.distributed.run import main as run

    if parent := int(words[1]):
        _end_with(parent)
    return run(words[2:])


def execute(file: Path) -> None:
    """What each process does: join the others, and execute the order."""
    _end_with(os.getppid())
    local, order = int(os.environ["LOCAL_RANK"]), json.loads(file.read_text("utf-8"))
    if order["machine"]["device"] == "cuda":  # before torch is imported: one GPU each
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        devices = visible.split(",") if visible else [str(i) for i in range(local + 1)]
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[local]
    from torch import distributed

    from ecglib.training import ranks
    from ecglib.training.device import Machine

    machine, out = Machine(**order["machine"]), Path(order["out"])
    distributed.init_process_group("nccl" if machine.device == "cuda" else "gloo", timeout=PATIENCE)
    module, _, name = order["function"].rpartition(".")
    found_in = plugin.module() if module == plugin.NAME else importlib.import_module(module)
    fn, inputs = getattr(found_in, name), {k: Path(of) for k, of in order["inputs"].items()}
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=out.parent) as scratch:
        if ranks.rank():
            shutil.copytree(out / "checkpoint", Path(scratch) / "checkpoint")
            out = Path(scratch)
        distributed.barrier()  # the first one changes no checkpoint before all have it
        fn(out, inputs, order["config"], order["seed"], machine)
        distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])
