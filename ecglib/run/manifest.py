"""Manifests: JSON beside a result that says what it was made from and what its files contain."""

import hashlib
import json
import os
import resource
import subprocess
from pathlib import Path

from ecglib.run.errors import RunError

COSTS = ("seconds", "nominal_seconds", "peak_memory_mb")  # of a stage or a step
LARGE = 1 << 20  # bytes
_KNOWN: dict[tuple[int, ...], str] = {}  # digests of large files


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes. A large file is read once in a process, as long as its size and
    times are the same: all steps of a notebook that read one cohort check it."""
    status = path.stat()
    entry = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if entry in _KNOWN:
        return _KNOWN[entry]
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if status.st_size >= LARGE:
        _KNOWN[entry] = digest
    return digest


def contents(folder: Path) -> dict[str, str]:
    """sha256 of each file under a folder, by relative path; manifest and checkpoint left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    names = [name for name in files if not name.startswith("checkpoint/")]
    return {name: sha256(files[name]) for name in names if name != "manifest.json"}


def write(path: Path, content: dict) -> None:
    """Write JSON so that a reader sees the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    partial.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)


def read(path: Path) -> dict | None:
    """The manifest at a path, or None where there is none. Raises RunError: the file is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise RunError(f"manifest {path} is damaged ({error}); delete it and run again") from error


def missing(base: Path, outputs: dict[str, str]) -> list[str]:
    """Outputs that no longer exist."""
    return [name for name in outputs if not (base / name).is_file()]


def changed(base: Path, outputs: dict[str, str]) -> list[str]:
    """Outputs that exist and no longer have the bytes that were written."""
    existing = {name: base / name for name in outputs if (base / name).is_file()}
    return [name for name, path in existing.items() if sha256(path) != outputs[name]]


def require_intact(base: Path, outputs: dict[str, str], stage: str) -> None:
    """Every existing output still has the bytes that were written. Raises RunError: a file was
    changed afterwards; names the file and the option that remakes it."""
    for name in changed(base, outputs):
        raise RunError(
            f"{base / name} was changed after stage {stage} wrote it; restore it, or delete it and "
            f"run again (trained steps are kept), or make all of it again with --force {stage}"
        )


def git(repo: Path, *words: str) -> str:
    """The output of a git command in a checkout; "" where it fails or there is no git."""
    command = ["git", "-C", str(repo), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def short_commit(commit: str) -> str:
    """A commit in seven digits, with "+dirty" where the checkout was changed."""
    return commit[:7] + ("+dirty" if commit.endswith("+dirty") else "")


def git_commit(repo: Path) -> str:
    """The commit of a checkout, "+dirty" with uncommitted changes, "none" where git has none. What
    a run writes, below reports/ and figures/, is no change."""
    commit = git(repo, "rev-parse", "HEAD")
    changes = ("status", "--porcelain", "--untracked-files=no", "--", ".", ":!reports", ":!figures")
    return (commit + ("+dirty" if git(repo, *changes) else "")) or "none"


def peak_memory_mb() -> int:
    """The largest resident memory of this process so far, in MB (Linux counts in kB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
