"""`bash run_all.sh site`: guides, executed pages, figures and docstrings as a folder of HTML.

Nothing is executed: the pages are those that lie in reports/, and the library is only imported.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.run.site_sources import stage_sources

MARK = ".buildinfo"  # Sphinx writes it; a folder with it was a site


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    options = argparse.ArgumentParser(
        prog="bash run_all.sh site", description="Build the site: HTML that opens without a server."
    )
    options.add_argument("--out", type=Path, default=Path("site"), help="folder (default: site)")
    return options


def main(words: list[str]) -> int:
    """Build the site and print where it is; returns the exit status."""
    out, paths = parser().parse_args(words).out, Paths.here()
    warnings = build(paths, out)
    print(*warnings, sep="\n", end="\n" if warnings else "")
    print(f"site: {out / 'index.html'}")
    return 0


def build(paths: Paths, out: Path) -> list[str]:
    """Write the site to `out` in the place of an earlier one; returns Sphinx's warnings.

    Raises RunError: `out` holds something else than a site, or Sphinx failed."""
    if out.exists() and not (out / MARK).is_file() and (out.is_file() or any(out.iterdir())):
        raise RunError(f"{out} exists and is no site; name another folder with --out")
    with tempfile.TemporaryDirectory() as name:
        sources, html, log = (Path(name) / part for part in ("sources", "html", "warnings"))
        sources.mkdir()
        stage_sources(paths.repo, paths.out, sources)
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-j", "auto", "-w", log]
        command += ["-c", paths.repo / "docs" / "site", "-d", Path(name) / "read", sources, html]
        done = subprocess.run(command, cwd=paths.repo, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunError(f"Sphinx could not make the site: {done.stderr.strip()[-800:]}")
        shutil.copy(html / "README.html", html / "index.html")
        if out.exists():
            shutil.rmtree(out)
        shutil.copytree(html, out)
        text = log.read_text(encoding="utf-8").replace(f"{sources}/", "")
    return text.splitlines()
