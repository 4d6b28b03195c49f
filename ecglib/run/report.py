"""The end of a run: RUN.md, timings.csv, and the closing table on the screen."""

import math
from pathlib import Path

import pandas as pd

from ecglib.figures import tables
from ecglib.run import claims_table, environment, keys, manifest, roots, siblings, studies
from ecglib.run.context import Run

WARN_ABOVE = 0.2  # share of rejected recordings above which a run warns
VERSIONS = ("torch", "transformers", "peft", "numpy", "scipy", "pandas", "pyarrow", "matplotlib")


def write_run_card(run: Run) -> None:
    """RUN.md: command, data, machine, keys, commits, days and versions; the keys also in run.json,
    and of a study the digests of the predictions that it read of the run. No time of day, host
    name or path."""
    finished = run.finished()
    stage_keys = {number: content["key"] for number, content in finished.items()}
    executed = [number for number, content in finished.items() if not content.get("taken")]
    options = [] if len(finished) == len(run.stages) else ["--only", ",".join(executed)]
    before = manifest.read(run.paths.reports(run.name) / "run.json") or {}
    recipes, taken = before.get("recipes", {}), []
    for number, content in finished.items():
        steps = _steps(run, number, content)
        if number in executed:  # of a notebook that was taken, not all steps are here
            recipes[number] = siblings.recipe(steps)
        taken += [name for name, step in steps.items() if "taken_from" in step]
    record = {"keys": before.get("keys", {}) | stage_keys}  # files of other stages are still there
    record |= {"recipes": recipes, "dtype": run.machine.dtype}
    read = finished.get(studies.STAGE, {}).get("read", {})
    run.record(record | ({"read": read} if read else {}))
    lines = [
        f"# Run {run.name}",
        "",
        f"- command: `{run.command(*options)}`",
        f"- profile `{run.profile_name}`, data plan `{run.data_name}`, seed {run.seed}",
        f"- data folder (fingerprint): {roots.short(run.fingerprints)}",
        f"- machine: {run.machine.device}, {run.machine.dtype}",
        *([f"- committed models, not trained again: {', '.join(taken)}"] if taken else []),
        "",
    ]
    notebooks = []
    for number, of in finished.items():
        day = of["started"].partition("T")[0]
        commit = manifest.short_commit(of["commit"])
        notebooks.append((run.stages[number].notebook, f"`{of['key'][:12]}`", commit, day))
    columns = ["notebook", "key", "commit", "computed on"]
    versions = [("python", keys.versions()["python"])]
    versions += [(name, environment.installed(name)) for name in VERSIONS]
    lines += [tables.markdown(pd.DataFrame(notebooks, columns=columns))]
    lines += [tables.markdown(pd.DataFrame(versions, columns=["library", "version"]))]
    run.paths.reports(run.name).joinpath("RUN.md").write_text("\n".join(lines), encoding="utf-8")


def _steps(run: Run, number: str, stage: dict) -> dict[str, dict]:
    """The manifests of a stage's steps by name; {} of one that was deleted."""
    places = {name: run.paths.step(run.name, number, name) for name in stage["steps"]}
    return {name: manifest.read(at / "manifest.json") or {} for name, at in places.items()}


def timings(run: Run) -> pd.DataFrame:
    """Clock seconds, nominal seconds (`yardstick`) and peak memory, a row per step and per stage.

    A step's numbers are those of when it was computed, the seconds of a stage those of its last
    execution: a stage that reused its steps took less time than they did. The nominal seconds of a
    stage count the notebook and all of its steps, reused or not; a step that two stages share
    counts in the first one. They are empty where no yardstick was read (`yardstick.OFF`). The last
    row, `stage` = `all`, is the sum of the stages, and their largest memory.
    """
    rows, counted = [], set()
    for number, stage in run.finished().items():
        steps = {name: content for name, content in _steps(run, number, stage).items() if content}
        new = {step["key"]: step for step in steps.values() if step["key"] not in counted}
        counted |= new.keys()
        costs = [step["nominal_seconds"] for step in new.values()]
        stage["nominal_seconds"] = _sum([stage["own_nominal_seconds"], *costs])
        for name, content in {"": stage, **steps}.items():
            place = {"stage": number, "notebook": run.stages[number].notebook, "step": name}
            rows.append(place | {column: content[column] for column in manifest.COSTS})
    whole = [row for row in rows if not row["step"]]
    total = {column: _sum([row[column] for row in whole]) for column in manifest.COSTS}
    peaks = [row["peak_memory_mb"] for row in whole if row["peak_memory_mb"] is not None]
    total["peak_memory_mb"] = max(peaks, default=None)
    rows.append({"stage": "all", "notebook": "", "step": ""} | total)
    return pd.DataFrame(rows).astype({"nominal_seconds": float})


def _sum(values: list[float | None]) -> float | None:
    """The sum to a tenth of a second; None where a value is unknown."""
    return None if None in values else round(sum(values), 1)


def write_timings(run: Run) -> None:
    """Write `timings` to timings.csv."""
    path = run.paths.reports(run.name) / "timings.csv"
    path.write_text(tables.csv(timings(run)), encoding="utf-8")


def nominal_sentence(table: pd.DataFrame) -> str:
    """What the last row of `timings` says of nominal seconds, in words where it says nothing."""
    value = table["nominal_seconds"].iloc[-1]
    if not math.isnan(value):
        return f"nominal seconds, with all reused steps: {value:.1f}"
    unknown = table[:-1][table["nominal_seconds"][:-1].isna()]
    parts = [f"{row.stage}/{row.step}".rstrip("/") for row in unknown.itertuples()]
    named = ", ".join(parts[:4]) + (", ..." if parts[4:] else "")
    return f"nominal seconds: unknown, because {named} ({len(parts)} in all) have none"


def quarantined(reports: Path) -> str:
    """How many recordings notebook 01 kept and rejected, and the commonest reason; "" where it
    rejected none or has not been run."""
    saved = [reports / "predictions" / f"01_{name}.parquet" for name in ("split", "quarantine")]
    if not all(file.is_file() for file in saved):
        return ""
    kept, reasons = len(pd.read_parquet(saved[0])), pd.read_parquet(saved[1])
    rejected = int(reasons["recordings"].sum())
    if not rejected:
        return ""
    worst = reasons.loc[reasons["recordings"].idxmax()]
    often = f"most often: {worst['reason']} ({worst['recordings']})"
    warning = "warning: " if rejected > WARN_ABOVE * (kept + rejected) else ""
    return f"{warning}{kept} ECGs are kept, {rejected} went to the quarantine, {often}; see page 01"


def print_summary(run: Run, results: list[tuple[str, float, str]]) -> None:
    """The closing table: notebooks (name, seconds, verdict), claims beside the committed ones, and
    folders."""
    rows = [*results, ("all", sum(seconds for _, seconds, _ in results), "")]
    table = pd.DataFrame(rows, columns=["notebook", "seconds", "state"])
    print(f"\n{table.to_string(index=False, float_format='{:.1f}'.format)}")
    print(nominal_sentence(timings(run)))
    claims = claims_table.compare(run)
    if claims is not None:
        beside = "the committed ones (before) and this run's (now)"
        print(f"\nclaims{', ' + beside if 'before' in claims else '; none are committed'}")
        print(claims.to_string(index=False, na_rep="-", float_format="{:.4g}".format))
    reports = run.paths.reports(run.name)
    if rejected := quarantined(reports):
        print(f"\n{rejected}")
    print(f"\nreports: {reports}")
    print(f"figures: {run.paths.figures(run.name)}")
    if (reports / "claims.csv").is_file():
        print(f"claims:  {reports / 'claims.csv'}")
