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

MARK = ".ecglib-site"  # in a folder that this command wrote, which it may replace


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

    Raises RunError: `out` is something else than a site, there is no page to show, or Sphinx
    failed. What lay there before stays until the new site is whole."""
    out = out.absolute()
    require_free(out, paths.repo)
    if not (paths.out / "reports").is_dir() or not (paths.out / "figures").is_dir():
        raise RunError(f"{paths.out} holds no reports and figures; make a run first")
    with tempfile.TemporaryDirectory() as name:
        sources, html, log = (Path(name) / part for part in ("sources", "html", "warnings"))
        sources.mkdir()
        stage_sources(paths.repo, paths.out, sources)
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-j", "auto", "-w", log]
        command += ["-c", paths.repo / "docs" / "site", "-d", Path(name) / "read", sources, html]
        done = subprocess.run(command, cwd=paths.repo, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = " ".join(done.stderr.split())[-400:]
            raise RunError(f"Sphinx could not make the site: {reason}")
        shutil.copy(html / "README.html", html / "index.html")
        (html / MARK).touch()
        beside = out.with_name(f".{out.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(html, beside)
        if out.exists():
            shutil.rmtree(out)
        beside.rename(out)
        text = log.read_text(encoding="utf-8").replace(f"{sources}/", "")
    return text.splitlines()


def require_free(out: Path, repo: Path) -> None:
    """Raise RunError where a site must not be written: over anything but an empty folder or an
    earlier site, through a link, or over the repository."""
    is_site = (out / MARK).is_file()
    is_taken = out.is_symlink() or out.is_file() or (out.is_dir() and any(out.iterdir()))
    if repo.is_relative_to(out) or (is_taken and (out.is_symlink() or not is_site)):
        raise RunError(f"{out} exists and is no site; name another folder with --out")
    if not out.parent.is_dir():
        raise RunError(f"{out.parent} is not a folder; make it, or name another with --out")
