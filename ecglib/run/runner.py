"""The runner: execute the notebooks that are not current, in order, and record their outputs."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecglib.run import (
    assets,
    claims_table,
    given,
    keys,
    manifest,
    models,
    report,
    roots,
    steps,
    studies,
    yardstick,
)
from ecglib.run.check import State, inspect
from ecglib.run.context import Run
from ecglib.run.errors import RunError
from ecglib.run.paths import SECOND_PART, only_process, require_disk, require_writable

if TYPE_CHECKING:
    from ecglib.run.shared_kernel import KernelOf

# Warnings of libraries that a reader of an executed notebook can do nothing about.
QUIET = ["ignore::FutureWarning:transformers.modeling_utils"]  # attributes that peft still uses
QUIET += ["ignore::UserWarning:joblib.externals.loky.process_executor"]  # an idle worker ended


def execute(
    run: Run, numbers: list[str], force: set[str], kernel_of: "KernelOf | None" = None
) -> None:
    """Bring the stages `numbers` up to date; those in `force` are made again with all their steps.

    Each notebook gets a fresh kernel, or that of `kernel_of`. Raises RunError: bad input, a failing
    cell, a dead kernel; the message says how to resume."""
    for folder in (run.paths.home, run.paths.out):
        require_writable(folder)
    given.require(run, numbers)  # before hours of a download
    for option in given.unread(run):
        print(f"note: no step of this run reads {option}", flush=True)
    _ = run.machine  # a GPU that is required and not there
    run.fetch_data()
    run.guard()
    place = run.paths.home / run.name
    place.mkdir(parents=True, exist_ok=True)
    refusal = (
        f"another process is making the run {run.name} in {run.paths.home}; "
        f"wait for it, or give this one {studies.apart(run.tag)}"
    )
    with only_process(place / ".lock", refusal):
        prefetch(run, numbers)
        results = []
        for number in numbers:
            started = time.time()
            if os.environ.get(SECOND_PART):
                from ecglib.run import second_part  # with the models' libraries

                second_part.require_first(run, number, numbers, kernel_environment(run))
            for item, key in run.upstream(run.stages[number]).items():
                if key is None:
                    raise run.missing_input(number, item)
            if number in force:
                _forget(run, number)
            state = inspect(run, number)
            if not state.reasons:
                verdict = _reuse(run, number, numbers)
            elif number not in force and _adopt(run, state):
                verdict = "taken from the main run"
            else:
                if number == next(iter(run.stages)):
                    roots.require_usable(run.plan, run.roots, run.seed)
                _make(run, state, numbers, kernel_of)
                verdict = "run"
            name, seconds = run.stages[number].notebook, time.time() - started
            results.append((name, seconds, verdict))
            print(f"{name}: {verdict}, {seconds:.1f} s", flush=True)
        report.write_run_card(run)
        report.write_timings(run)
        claims_table.write(run)
        report.print_summary(run, results)


def _adopt(run: Run, state: State) -> bool:
    """Take a stage of a study from the run without a tag, where its key is the same and all of its
    files are there, unchanged."""
    number, main = state.number, run.main
    content = manifest.read(run.paths.stage_manifest(main, number))
    if not studies.named(run.tag) or not content or content["key"] != keys.digest(state.parts):
        return False
    written = (run.paths.out, content["outputs"])
    if manifest.missing(*written) or manifest.changed(*written):
        return False
    folders = {name: run.paths.step(main, number, name) for name in content["steps"]}
    if not all(steps.is_whole(folders[n], number, key) for n, key in content["steps"].items()):
        return False
    for name, folder in folders.items():
        steps.link_to(run.paths.step(run.name, number, name), folder.resolve())
    kept = {n: digest for n, digest in content["outputs"].items() if "/models/" not in n}
    copies = {name: name.replace(f"/{main}/", f"/{run.name}/") for name in kept}
    for name, copy in copies.items():
        (run.paths.out / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.paths.out / name, run.paths.out / copy)
    content["outputs"] = {copies[name]: digest for name, digest in kept.items()}
    content["pages"] = [copies[name] for name in content["pages"]]
    _record(run, number, content)
    return True


def _resume(run: Run, number: str, numbers: list[str]) -> str:
    """The command that resumes after a failure. Finished stages are reused in any case."""
    everything = list(run.stages)
    if numbers == everything:
        return run.command()
    if numbers == everything[everything.index(numbers[0]) :]:
        return run.command("--from", number)
    return run.command("--only", ",".join(numbers[numbers.index(number) :]))


def _make(run: Run, state: State, numbers: list[str], kernel_of: "KernelOf | None") -> None:
    """Execute one notebook, of the stages `numbers`, and write its manifest."""
    from ecglib.run import notebook  # takes two seconds to import, which other commands need not

    number, started = state.number, time.time()
    for other in run.stages[number].reads:
        if other not in numbers and inspect(run, other).reasons:
            print(f"note: {other} is stale; {number} reads its earlier results")
    needed = run.profile["hardware"]["disk_gb"]
    key = f"the key hardware.disk_gb of profile {run.profile_name} asks for"
    require_disk(run.paths.home, needed, key)
    print(f"{run.stages[number].notebook}: {'; '.join(state.reasons[:4])}", flush=True)
    resume = _resume(run, number, numbers)
    source, place = run.notebook(number), run.paths.stage_manifest(run.name, number)
    finished, previous = place.with_suffix(".finished.json"), place.with_suffix(".previous.json")
    finished.unlink(missing_ok=True)
    if place.is_file():  # from here on its outputs may be written over: they prove nothing
        place.replace(previous)
    executed, environment = _executed(run, source), kernel_environment(run)
    client = kernel_of(environment) if kernel_of else None
    notebook.execute(source, executed, run.parameters, environment, resume, client)
    content = manifest.read(finished)
    if content is None:
        raise RunError(f"notebook {source.name} ended without stage.finish() in its last cell")
    written = [*content["outputs"], *models.write(run, number, content["steps"])]
    content["outputs"] = {n: manifest.sha256(run.paths.out / n) for n in written}
    content["started"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
    _render(run, source, content, numbers)
    content["seconds"] = round(time.time() - started, 1)
    own = content["seconds"] - content.pop("new_step_seconds")
    content["own_nominal_seconds"] = yardstick.nominal(own, content.pop("speed"))
    _record(run, number, content)
    finished.unlink()


def _record(run: Run, number: str, content: dict) -> None:
    """Write a stage's manifest. An old figure or step must not outlive the code that made it."""
    place = run.paths.stage_manifest(run.name, number)
    previous = place.with_suffix(".previous.json")
    before = manifest.read(previous) or manifest.read(place) or {}
    for name in set(before.get("outputs", ())) - set(content["outputs"]):
        (run.paths.out / name).unlink(missing_ok=True)
    for name in set(before.get("steps", ())) - set(content["steps"]):
        steps.remove(run.paths.step(run.name, number, name))
    manifest.write(place, content)
    previous.unlink(missing_ok=True)


def _executed(run: Run, source: Path) -> Path:
    return run.paths.home / run.name / "executed" / f"{source.stem}.ipynb"


def _render(run: Run, source: Path, content: dict, numbers: list[str]) -> None:
    """Write the report of an executed notebook, and note its pages in the stage's manifest."""
    stage_keys = {n: content["key"] for n, content in run.finished().items()}
    coming = [run.notebook(n).stem for n in numbers]
    reports = run.paths.reports(run.name)
    day = content["started"].partition("T")[0]
    commit = manifest.short_commit(content["commit"])
    caption = f"Run [{run.name}](RUN.md), commit {commit}, computed on {day}."
    figures = [run.paths.out / name for name in content["outputs"] if name.endswith(".png")]
    files = render(run, _executed(run, source), reports, stage_keys, figures, coming, caption)
    content["pages"] = [file.relative_to(run.paths.out).as_posix() for file in files]
    content["outputs"] |= {n: manifest.sha256(run.paths.out / n) for n in content["pages"]}
    content["prose"] = _prose(source)


def render(
    run: Run,
    executed: Path,
    folder: Path,
    stage_keys: dict[str, str],
    figures: Iterable[Path],
    coming: Sequence[str] = (),
    caption: str = "",
) -> list[Path]:
    """Write the page of an executed notebook and its pictures to a folder; returns the files.

    Args:
        stage_keys: of the run's stages, by number.
        figures: that the stage has saved.
        coming: notebooks whose pages are about to be written.
        caption: the line below the title.
    """
    from ecglib.run import notebook, page_links

    pages = page_links.Pages(run.paths, run.name, run.main, stage_keys, coming)
    reports = run.paths.reports(run.name)
    links = {manifest.sha256(path): os.path.relpath(path, reports) for path in figures}
    return notebook.render(executed, folder, _replacements(run), pages.address, caption, links)


def _reuse(run: Run, number: str, numbers: list[str]) -> str:
    """A current stage: nothing to do, but edited prose is put into its report."""
    source, place = run.notebook(number), run.paths.stage_manifest(run.name, number)
    content, executed = manifest.read(place), _executed(run, source)
    if content["prose"] == _prose(source) or not executed.is_file():
        return "reused"
    from ecglib.run import notebook

    notebook.replace_prose(source, executed)
    for name in content["pages"]:
        del content["outputs"][name]
    _render(run, source, content, numbers)
    manifest.write(place, content)
    return "reused, new prose"


def _prose(source: Path) -> str:
    return keys.digest({"prose": keys.notebook_cells(source)[2]})


def _forget(run: Run, number: str) -> None:
    """Drop a stage's steps and manifest, so that all of it is made again; but not a step that an
    earlier stage has made, too, which this one may read."""
    place = run.paths.home / run.name
    folder, stages = place / number, list(run.stages)
    earlier = stages[: stages.index(number)]
    kept = {link.resolve() for other in earlier for link in (place / other).glob("*")}
    for link in [path for path in folder.glob("*") if path.is_symlink()]:
        steps.remove(link, keep_shared=link.resolve() in kept)
    shutil.rmtree(folder, ignore_errors=True)
    place = run.paths.stage_manifest(run.name, number)
    if place.is_file():
        place.replace(place.with_suffix(".previous.json"))


def prefetch(run: Run, numbers: list[str]) -> None:
    """Fetch the assets that these stages use, and check them against their pins."""
    for name in sorted({n for number in numbers for n in run.asset_names(run.stages[number])}):
        assets.fetch(name, run.paths, run.local)


def kernel_environment(run: Run) -> dict[str, str]:
    """Variables that must be set before a kernel starts (hash seed, threads), and data folders:
    never a notebook parameter, since parameters are printed in the report."""
    threads = str(run.profile["hardware"]["threads"])
    path = os.pathsep.join(filter(None, [str(run.paths.repo), os.environ.get("PYTHONPATH")]))
    places = {"REPO": run.paths.repo, "HOME": run.paths.home, "OUT": run.paths.out}
    maps = {"DATA_ROOT": run.roots, "ASSETS": run.local, "FINGERPRINTS": run.fingerprints}
    for name, values in maps.items():  # NAME=VALUE of each, as `paths.from_environment` splits them
        places[name] = os.pathsep.join(f"{key}={value}" for key, value in values.items())
    return {
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": ",".join(QUIET),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "TOKENIZERS_PARALLELISM": "false",
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
        **dict.fromkeys(("HF_HUB_OFFLINE", "TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS"), "1"),
        **{f"ECGLIB_{name}": str(value) for name, value in places.items()},
    }


def _replacements(run: Run) -> dict[str, str]:
    """Absolute paths of this machine, and their replacements in a published report."""
    replaced = {str(run.paths.repo): ".", str(run.paths.home): "artifacts", str(run.paths.out): "."}
    replaced |= {str(root): f"<data {name}>" for name, root in run.roots.items()}
    replaced |= {str(path): f"<asset {name}>" for name, path in run.local.items()}
    replaced[sys.prefix] = "<environment>"
    return replaced | {tempfile.gettempdir(): "<temp>", str(Path.home()): "~"}
