"""The device and the number format of the trainings, with the reason for the choice."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

# Required speed-up of bfloat16; with a smaller one, timing noise could flip the dtype between runs.
REQUIRED_SPEEDUP = 1.2


@dataclass(frozen=True)
class Machine:
    """Where trainings run, and in which number format."""

    device: str  # "cpu" or "cuda"
    dtype: str  # of the language model; tokenizers always train in float32
    threads: int
    reason: str  # for the choice, in one sentence

    @property
    def torch_dtype(self) -> torch.dtype:
        """`dtype` as a torch object."""
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[self.dtype]

    def autocast(self) -> torch.autocast:
        """Context in which the language model computes in `dtype`; no effect for float32."""
        return torch.autocast(self.device, self.torch_dtype, self.dtype != "float32")

    def configure_torch(self) -> None:
        """Set torch's thread count and require deterministic kernels."""
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True, warn_only=self.device != "cpu")
        # Filling new buffers guards against kernels that read uninitialised memory. Our kernels
        # never do, and filling costs a tenth of a step's time.
        torch.utils.deterministic.fill_uninitialized_memory = False


def seconds_per_step(device: str, dtype: torch.dtype) -> float:
    """Seconds per training step of a block as large as the small model's MLP, the best of 5."""
    generator = torch.Generator().manual_seed(0)
    block = nn.Sequential(nn.Linear(576, 1536), nn.SiLU(), nn.Linear(1536, 576)).to(device, dtype)
    x = torch.randn(512, 576, generator=generator).to(device, dtype).requires_grad_()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        block(x).square().mean().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def _timed_dtype(device: str, cache: Path | None) -> tuple[str, str]:
    """The faster format and the reason; measured once per machine and kept in `cache`."""
    cuda = device == "cuda"
    processor = torch.cuda.get_device_name() if cuda else f"cpu-{torch.get_num_threads()}"
    entry = f"{processor} torch {torch.__version__}"
    known = json.loads(cache.read_text()) if cache is not None and cache.exists() else {}
    if entry not in known:
        ratio = seconds_per_step(device, torch.float32) / seconds_per_step(device, torch.bfloat16)
        faster = "bfloat16" if ratio > REQUIRED_SPEEDUP else "float32"
        known[entry] = {"dtype": faster, "ratio": ratio}
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps(known, indent=1))
    dtype = known[entry]["dtype"]
    verb = "is" if dtype == "bfloat16" else "is not"
    return dtype, f"bfloat16 {verb} at least {REQUIRED_SPEEDUP} times faster than float32 here"


def choose_machine(hardware: dict, cache: Path | None = None) -> Machine:
    """Choose the device and the number format by a profile's `hardware` section.

    Args:
        hardware: `device` (auto, cpu, cuda), `dtype` (auto, float32, bfloat16), `threads`.
        cache: JSON file that keeps the timed choice for later runs on the same machine.

    Raises ValueError: the device or the format is unknown, or CUDA is required and torch sees none.
    """
    device, dtype, threads = hardware["device"], hardware["dtype"], int(hardware["threads"])
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"expected hardware.device auto, cpu or cuda, got {device!r}")
    if dtype not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"expected hardware.dtype auto, float32 or bfloat16, got {dtype!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("hardware.device is cuda, but torch sees no CUDA device; use auto or cpu")
    torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        reason = f"{device}, since torch sees {'a' if device == 'cuda' else 'no'} CUDA device"
    else:
        reason = f"{device}, since the profile says so"
    if dtype == "auto":
        dtype, dtype_reason = _timed_dtype(device, cache)
    else:
        dtype_reason = "since the profile says so"
    return Machine(device, dtype, threads, f"{reason}; language model in {dtype}, {dtype_reason}")
