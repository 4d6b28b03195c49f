"""Which device and number format the trainings use, and why, in one sentence."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

FASTER = 1.2  # bfloat16 must win by this much: a coin toss between formats would move every number


@dataclass(frozen=True)
class Machine:
    """Where trainings run. `dtype` is the language model's; tokenizers always train in float32."""

    device: str
    dtype: str
    threads: int
    reason: str

    @property
    def torch_dtype(self) -> torch.dtype:
        """`dtype` as torch names it."""
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[self.dtype]

    def start(self) -> None:
        """Set the thread count, and demand deterministic kernels."""
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True, warn_only=self.device != "cpu")
        # Filling every fresh buffer guards against kernels that read what nobody wrote; it costs a
        # tenth of a step, and none of ours does.
        torch.utils.deterministic.fill_uninitialized_memory = False


def seconds_per_step(device: str, dtype: torch.dtype, repeats: int = 5) -> float:
    """Seconds of one training step through a block shaped like the small language model's MLP."""
    generator = torch.Generator().manual_seed(0)
    block = nn.Sequential(nn.Linear(576, 1536), nn.SiLU(), nn.Linear(1536, 576)).to(device, dtype)
    x = torch.randn(512, 576, generator=generator).to(device, dtype).requires_grad_()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        block(x).square().mean().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def _timed_dtype(device: str, cache: Path | None) -> tuple[str, str]:
    """The faster format, measured once a machine and kept in `cache`, with the reason."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"cpu-{torch.get_num_threads()}"
    entry = f"{name} torch {torch.__version__}"
    known = json.loads(cache.read_text()) if cache is not None and cache.exists() else {}
    if entry not in known:
        ratio = seconds_per_step(device, torch.float32) / seconds_per_step(device, torch.bfloat16)
        known[entry] = {"dtype": "bfloat16" if ratio > FASTER else "float32", "ratio": ratio}
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps(known, indent=1))
    dtype = known[entry]["dtype"]
    faster = "is" if dtype == "bfloat16" else "is not"
    return dtype, f"bfloat16 {faster} at least {FASTER} times faster than float32 here"


def choose(hardware: dict, cache: Path | None = None) -> Machine:
    """The device and format for a profile's `hardware` section.

    Args:
        hardware: `device` (auto, cpu, cuda), `dtype` (auto, float32, bfloat16), `threads`.
        cache: JSON file that keeps the timed choice between runs of one machine.

    Raises:
        ValueError: an unknown device or format, or CUDA asked for where there is none.
    """
    device, dtype, threads = hardware["device"], hardware["dtype"], int(hardware["threads"])
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"hardware.device is {device!r}; use auto, cpu or cuda")
    if dtype not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"hardware.dtype is {dtype!r}; use auto, float32 or bfloat16")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("hardware.device is cuda, but torch sees no CUDA device; use auto or cpu")
    torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        reason = f"{device}, since torch sees {'a' if device == 'cuda' else 'no'} CUDA device"
    else:
        reason = f"{device}, since the profile says so"
    if dtype == "auto":
        dtype, why = _timed_dtype(device, cache)
    else:
        why = "since the profile says so"
    return Machine(device, dtype, threads, f"{reason}; language model in {dtype}, {why}")
