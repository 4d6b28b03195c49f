"""A step: an expensive computation whose result is a folder, reused while its key stays the same.

A step runs in `.<name>.<key12>.partial` beside its place and is moved there when whole. After a
crash the same key gets the same folder back, with only `checkpoint/` left in it, so that a training
continues; a folder of another key is thrown away.
"""

import contextlib
import fcntl
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ecglib.run import keys, manifest
from ecglib.run.errors import RunError

if TYPE_CHECKING:
    from ecglib.training.device import Machine

NAME = re.compile(r"[a-z0-9_]+")
StepFunction = Callable[[Path, dict[str, Path], dict, int, "Machine"], None]


def step_parts(
    fn: StepFunction,
    config: dict,
    identities: dict[str, str],
    seed: int,
    machine: "Machine",
    library: keys.Library,
) -> dict:
    """All that a step's result depends on; its key is the digest of this.

    Args:
        identities: for each input its key (a step), sha256 (an asset) or fingerprint (a folder).
    Raises:
        RunError: `fn` is not a module-level function of the library, or config is not plain data.
    """
    if fn.__module__.split(".")[0] != library.package or "." in fn.__qualname__:
        raise RunError(
            f"step function {fn.__module__}.{fn.__qualname__} must be a module-level function of "
            f"{library.package}: only that code is part of a key."
        )
    parts = {
        "function": f"{fn.__module__}.{fn.__qualname__}",
        "modules": library.closure(fn.__module__),
        "config": config,
        "seed": seed,
        "machine": {"device": machine.device, "dtype": machine.dtype},
        "versions": keys.versions(),
        "inputs": identities,
    }
    return json.loads(keys.canonical(parts))  # as a manifest will hold it: lists for tuples


def run_step(
    target: Path,
    fn: StepFunction,
    config: dict,
    inputs: dict[str, Path],
    parts: dict,
    machine: "Machine",
    commit: str,
) -> bool:
    """Make the folder `target`, or reuse it.

    Returns:
        True where the step ran, False where the result was there.
    Raises:
        RunError: the result's name is odd, or one of its files was changed after it was written.
    """
    stage, name, key = target.parent.name, target.name, keys.digest(parts)
    if not NAME.fullmatch(name):
        raise RunError(f"step name {name!r} may hold only a-z, 0-9 and underscores.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{name}.{key[:12]}.partial")
    with _lock(target.with_name(f".{name}.lock")):
        if is_current(target, key, stage):
            return False
        for other in target.parent.glob(f".{name}.*.partial"):
            if other != partial:
                shutil.rmtree(other)
        recorded = manifest.read(partial / "manifest.json")
        if recorded is None:  # else the crash fell between the last write and the move
            _clear_but_checkpoint(partial)
            started = time.time()
            fn(partial, dict(inputs), json.loads(json.dumps(config)), parts["seed"], machine)
            _record(partial, key, parts, commit, started)
        # Only now: hashing a large result takes minutes, and a kill in them must not cost it.
        shutil.rmtree(partial / "checkpoint", ignore_errors=True)
        _move(partial, target)
    return True


def is_current(target: Path, key: str, stage: str) -> bool:
    """Whether a step's folder holds the whole result of this key.

    Raises:
        RunError: the key is the same, but a file was changed after it was written.
    """
    recorded = manifest.read(target / "manifest.json")
    if recorded is None or recorded["key"] != key:
        return False
    manifest.require_intact(target, recorded["outputs"], stage)
    return not manifest.missing(target, recorded["outputs"])


def _clear_but_checkpoint(partial: Path) -> None:
    partial.mkdir(exist_ok=True)
    for path in partial.iterdir():
        if path.name == "checkpoint":
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _record(partial: Path, key: str, parts: dict, commit: str, started: float) -> None:
    content = {
        "key": key,
        "parts": parts,
        "commit": commit,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "peak_memory_mb": manifest.peak_memory_mb(),
        "outputs": manifest.contents(partial),
    }
    manifest.write(partial / "manifest.json", content)


def _move(partial: Path, target: Path) -> None:
    """Put the whole result in place; a crash on the way leaves it in `partial`, with manifest."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a file lock; a second process waits, and then finds the first one's result. The lock
    falls with its process, so a killed one leaves nothing to clean up."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
