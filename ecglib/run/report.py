"""The end of a run: RUN.md, timings.csv, and the closing table on the screen."""

import pandas as pd

from ecglib.run import claims_table, environment, keys, manifest, roots, tables
from ecglib.run.context import Run

VERSIONS = ("torch", "transformers", "peft", "numpy", "scipy", "pandas", "pyarrow", "matplotlib")


def write_run_card(run: Run) -> None:
    """RUN.md: command, data, machine, keys and versions, and the keys in run.json. No clock time,
    host name or path."""
    seed, machine = run.seed, run.machine
    lines = [
        f"# Run {run.name}",
        "",
        f"- command: `{run.command()}`",
        f"- profile `{run.profile_name}`, data plan `{run.data_name}`, seed {seed}",
        f"- data folder (fingerprint): {roots.short(run.fingerprints)}",
        f"- machine: {machine.device}, {machine.dtype}",
        "",
        "| notebook | key |",
        "|---|---|",
    ]
    recorded = {n: manifest.read(run.paths.stage_manifest(run.name, n)) for n in run.stages}
    lines += [f"| {run.stages[n].notebook} | `{m['key'][:12]}` |" for n, m in recorded.items() if m]
    before = manifest.read(run.paths.reports(run.name) / "run.json") or {}
    stage_keys = before.get("keys", {})  # the files of other stages are still there
    run.record(stage_keys | {number: m["key"] for number, m in recorded.items() if m})
    lines += ["", "| library | version |", "|---|---|"]
    lines += [f"| python | {keys.versions()['python']} |"]
    lines += [f"| {name} | {environment.installed(name)} |" for name in VERSIONS]
    text = "\n".join(lines) + "\n"
    run.paths.reports(run.name).joinpath("RUN.md").write_text(text, encoding="utf-8")


def write_timings(run: Run) -> None:
    """timings.csv: seconds and peak memory of each step when it was computed, of each stage when it
    was last executed. A stage that reused its steps took less time than they did."""
    rows = []
    for number, spec in run.stages.items():
        stage = manifest.read(run.paths.stage_manifest(run.name, number))
        if stage is None:
            continue
        rows.append((number, spec.notebook, "", stage["seconds"], stage["peak_memory_mb"]))
        for name in stage["steps"]:
            step = manifest.read(run.paths.step(run.name, number, name) / "manifest.json")
            if step:
                rows.append((number, spec.notebook, name, step["seconds"], step["peak_memory_mb"]))
    columns = ["stage", "notebook", "step", "seconds", "peak_memory_mb"]
    path = run.paths.reports(run.name) / "timings.csv"
    path.write_text(tables.csv(pd.DataFrame(rows, columns=columns)), encoding="utf-8")


def print_summary(run: Run, results: list[tuple[str, float, str]]) -> None:
    """The closing table: stages, claims beside the committed ones, and folders."""
    width = max((len(run.stages[number].notebook) for number, _, _ in results), default=5)
    print(f"\n{'stage':<{width}}  seconds  state")
    for number, seconds, state in results:
        print(f"{run.stages[number].notebook:<{width}}  {seconds:7.1f}  {state}")
    print(f"{'all':<{width}}  {sum(seconds for _, seconds, _ in results):7.1f}")
    claims = claims_table.compare(run)
    if claims is not None:
        print("\nclaims, the committed ones (then) and this run's (now)")
        print(claims.to_string(index=False, na_rep="-", float_format="{:.4g}".format))
    reports = run.paths.reports(run.name)
    print(f"\nreports: {reports}")
    print(f"figures: {run.paths.figures(run.name)}")
    if (reports / "claims.csv").is_file():
        print(f"claims:  {reports / 'claims.csv'}")
