"""PR, QRS and QT against cardiologists, who set onsets and ends in every lead (LUDB).

    ECGLIB_LUDB=<folder> bash run_all.sh bench measure_ludb

The reference of a record is, for each beat, the annotators' second-earliest onset and second-latest
end over the leads, and the median over the beats. `scored` holds the records with odd numbers;
`tuned` those with even numbers, on which the constants of `delineate` and `p_wave` were chosen.
`value` is the worst of the three median absolute differences over its limit (10, 12 and 20 ms) on
the odd records; `bias` is the median of measured minus reference. `missed` counts records in which
the annotators see the wave and we do not, `invented` the reverse, `pr_in_fibrillation_or_flutter`
the PR intervals measured in records of these rhythms.

The reference value is that of neurokit2 (method "prominence") on the same records. It does not
accept pandas 3, so it runs in an environment of its own; without it the comparison is left out:

    python -m venv DIR && DIR/bin/pip install neurokit2 "pandas<3" wfdb
    ECGLIB_NEUROKIT=DIR/bin/python ECGLIB_LUDB=<folder> bash run_all.sh bench measure_ludb
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from _common import data, write
from _ludb import read, records, reference

from ecglib.signals.measure import measure

LIMITS = {"pr": 10.0, "qrs": 12.0, "qt": 20.0}  # ms
WITHOUT_P = ("fibrillation", "flutter")
Intervals = dict[str, dict[str, float]]


def agreement(ours: Intervals, known: Intervals) -> dict[str, dict]:
    """Difference to the annotators by interval; both by record."""
    table = {}
    for name, limit in LIMITS.items():
        measured = np.array([ours.get(record, {}).get(name, np.nan) for record in known], float)
        truth = np.array([row[name] for row in known.values()])
        gap = (measured - truth)[np.isfinite(measured) & np.isfinite(truth)]
        table[name] = {
            "n": len(gap),
            "median_absolute_difference": round(float(np.median(np.abs(gap))), 2),
            "limit": limit,
            "bias": round(float(np.median(gap)), 2),
            "mean": round(float(gap.mean()), 2),
            "low": round(float(np.quantile(gap, 0.025)), 2),
            "high": round(float(np.quantile(gap, 0.975)), 2),
            "missed": int((np.isnan(measured) & np.isfinite(truth)).sum()),
            "invented": int((np.isfinite(measured) & np.isnan(truth)).sum()),
        }
    return table


def worst(table: dict[str, dict]) -> float:
    """The largest median absolute difference in units of its limit."""
    return max(row["median_absolute_difference"] / row["limit"] for row in table.values())


def by_neurokit(folder: Path) -> dict | None:
    """What `_neurokit_ludb` prints; None without an environment that has neurokit2."""
    python = os.environ.get("ECGLIB_NEUROKIT")
    if not python:
        return None
    here = Path(__file__).parent
    command = [python, str(here / "_neurokit_ludb.py"), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(here)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"measure_ludb: ECGLIB_NEUROKIT={python} failed: {done.stderr[-800:]}")
    return json.loads(done.stdout)


def without_p(ours: Intervals, rhythms: dict[str, str]) -> dict[str, int]:
    """In how many records of fibrillation or flutter a PR interval is measured."""
    chosen = [name for name in ours if any(word in rhythms[name].lower() for word in WITHOUT_P)]
    measured = sum(bool(np.isfinite(ours[name]["pr"])) for name in chosen)
    return {"records": len(chosen), "measured": measured}


def main() -> None:
    """Measure, print and write reports/benchmarks/measure_ludb.json."""
    folder = data("ECGLIB_LUDB", "LUDB or a part of it")
    ours, known, rhythms = {}, {}, {}
    for name in records(folder):
        signal, rate, rhythms[name] = read(folder, name)
        row = measure(signal, rate)
        ours[name] = {key: row[key] for key in LIMITS}
        known[name] = reference(folder, name, rate)
    other = by_neurokit(folder)
    result: dict = {}
    for part, rest in (("scored", 1), ("tuned", 0)):
        chosen = {name: row for name, row in known.items() if int(name) % 2 == rest}
        result[part] = {
            "records": len(chosen),
            "ours": agreement(ours, chosen),
            "pr_in_fibrillation_or_flutter": without_p(
                {name: ours[name] for name in chosen}, rhythms
            ),
        }
        if other:
            result[part]["neurokit2"] = agreement(other["intervals"], chosen)
    value = worst(result["scored"]["ours"])
    reference_value, what = 1.0, "the limits"  # without neurokit2
    if other:
        reference_value = worst(result["scored"]["neurokit2"])
        what = f"neurokit2 {other['version']}, prominence, same records"
    write(
        "measure_ludb",
        {
            "value": value,
            "unit": "worst median absolute difference over its limit",
            "reference": {"what": what, "value": reference_value},
            "ratio": reference_value / value,
            "neurokit2_failed": other["failed"] if other else None,
            **result,
        },
        ("numpy", "scipy", "wfdb"),
    )


if __name__ == "__main__":
    main()
