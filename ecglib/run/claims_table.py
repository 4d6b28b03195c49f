"""Claims of a run: whose key is current, and how they differ from the committed ones."""

import io
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ecglib.run import keys, manifest

if TYPE_CHECKING:
    from ecglib.run.context import Run


def claim_files(run: "Run", numbers: list[str]) -> dict[str, Path]:
    """The claims file of each of these stages that measured any."""
    folder = run.paths.reports(run.name) / "claims"
    files = {number: folder / f"{number}.csv" for number in numbers}
    return {number: path for number, path in files.items() if path.is_file()}


def current_keys(run: "Run", numbers: list[str], library: keys.Library) -> dict[str, str]:
    """What each stage's key is now, computed from what it depends on, not read from a manifest."""
    return {number: keys.digest(run.stage_parts(number, library)) for number in numbers}


def recorded_keys(run: "Run") -> dict[str, str]:
    """The key under which each finished stage was made."""
    recorded = {n: manifest.read(run.paths.stage_manifest(run.name, n)) for n in run.stages}
    return {number: content["key"] for number, content in recorded.items() if content}


def committed(run: "Run") -> pd.DataFrame | None:
    """The run's claims.csv in the last commit; None without git or where it was never committed."""
    file = f"HEAD:reports/{run.name}/claims.csv"
    command = ["git", "-C", str(run.paths.repo), "show", file]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return pd.read_csv(io.StringIO(done.stdout)) if done.returncode == 0 else None


def compare(run: "Run") -> pd.DataFrame | None:
    """Each claim beside the committed one (`evaluate.claims.compare`); None without claims."""
    from ecglib.evaluate import claims

    path = run.paths.reports(run.name) / "claims.csv"
    if not path.is_file():
        return None
    now, before = pd.read_csv(path), committed(run)
    return claims.compare(now, now.head(0) if before is None else before)
