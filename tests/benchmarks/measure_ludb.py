"""PR, QRS and QT against cardiologists, who set onsets and ends in every lead (LUDB).

    ECGLIB_LUDB=<folder> bash run_all.sh bench measure_ludb

The reference of a record is, for each beat, the annotators' second-earliest onset and second-latest
end over the leads, and the median over the beats. `scored` holds the records with odd numbers;
`tuned` those with even numbers, on which the constants of `delineate` and `p_wave` were chosen.
`value` is the worst of the three median absolute differences over its limit (10, 12 and 20 ms) on
the odd records; `bias` is the median of measured minus reference. `missed` counts records in which
the annotators see the wave and we do not, `invented` the reverse, `pr_in_fibrillation_or_flutter`
the PR intervals measured in records of these rhythms.

Three more fields are over all records, odd and even. `pacing` compares those whose header names
pacing with all others: how many beats of the annotators our detector loses, how many it adds
between their first beat and their last, and by how many ms our QRS is longer than theirs (median,
smallest and largest difference of a record). `sinus_tachycardia` counts PR and QT that the
annotators and we measure in records of that rhythm. `wide_qrs_without_diagnosis` counts QRS of
120 ms or more, the annotators' and ours, in records whose header names no slow conduction.

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
from _ludb import diagnoses, qrs_peaks, read, records, reference

from ecglib.signals.heartbeats import INDEPENDENT, r_peaks
from ecglib.signals.measure import measure

LIMITS = {"pr": 10.0, "qrs": 12.0, "qt": 20.0}  # ms
WITHOUT_P = ("fibrillation", "flutter")
PACED = "pacing"  # "wandering atrial pacemaker" is none
SLOW_CONDUCTION = ("bundle branch", "hemiblock", "conduction delay", PACED)
WIDE = 120.0  # ms
SAME_BEAT = 0.1  # s between a beat of the annotators and ours at most
TOO_LONG = 20.0  # ms that a QRS is longer than the annotators' to be counted
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


def judge_beats(signal: np.ndarray, true: np.ndarray, rate: float) -> dict[str, float]:
    """Count the beats that we lose, and those that we add between the first and the last true one.

    Args:
        signal: (12, n) mV.
        true: samples of the annotators' beats.
        rate: samples per second.
    """
    near = SAME_BEAT * rate
    detected = r_peaks(signal[INDEPENDENT].astype(float), rate)
    detected = detected[(detected > true[0] - near) & (detected < true[-1] + near)]
    apart = np.abs(detected[:, None] - true) > near
    lost, added = apart.all(axis=0).sum(), apart.all(axis=1).sum()
    return {"beats": len(true), "lost": int(lost), "added": int(added)}


def beats_and_qrs(rows: list[dict[str, float]]) -> dict:
    """Wrong beats of some records, and by how many ms their QRS is measured too long.

    Args:
        rows: of each record the annotated `beats`, those `lost` and `added`, and `longer`, our QRS
            less the annotators' in ms.
    """
    lost, added = (np.array([row[name] for row in rows]) for name in ("lost", "added"))
    longer = np.array([row["longer"] for row in rows])
    return {
        "records": len(rows),
        "beats": sum(row["beats"] for row in rows),
        "lost": int(lost.sum()),
        "added": int(added.sum()),
        "records_with_wrong_beats": int(((lost > 0) | (added > 0)).sum()),
        "qrs_longer_median": round(float(np.median(longer)), 2),
        "qrs_longer_smallest": round(float(longer.min()), 2),
        "qrs_longer_largest": round(float(longer.max()), 2),
        f"qrs_longer_than_{TOO_LONG:g}_ms": int((longer > TOO_LONG).sum()),
    }


def in_sinus_tachycardia(
    ours: Intervals, known: Intervals, rhythms: dict[str, str]
) -> dict[str, int]:
    """In how many records of sinus tachycardia the annotators and we measure PR and QT."""
    chosen = [name for name in ours if "sinus tachycardia" in rhythms[name].lower()]
    counts = {"records": len(chosen)}
    for who, table in (("annotated", known), ("measured", ours)):
        for key in ("pr", "qt"):
            counts[f"{key}_{who}"] = sum(bool(np.isfinite(table[name][key])) for name in chosen)
    return counts


def wide_without_diagnosis(
    ours: Intervals, known: Intervals, headers: dict[str, str]
) -> dict[str, int]:
    """In how many records without slow conduction the annotators and we measure a wide QRS."""
    chosen = [name for name in ours if not any(word in headers[name] for word in SLOW_CONDUCTION)]
    return {
        "records": len(chosen),
        "annotated": sum(known[name]["qrs"] >= WIDE for name in chosen),
        "measured": sum(ours[name]["qrs"] >= WIDE for name in chosen),
    }


def main() -> None:
    """Measure, print and write reports/benchmarks/measure_ludb.json."""
    folder = data("ECGLIB_LUDB", "LUDB or a part of it")
    ours, known, rhythms, headers = {}, {}, {}, {}
    by_pacing: dict[str, list[dict]] = {"paced": [], "unpaced": []}
    for name in records(folder):
        signal, rate, rhythms[name] = read(folder, name)
        row = measure(signal, rate)
        ours[name] = {key: row[key] for key in LIMITS}
        known[name] = reference(folder, name, rate)
        headers[name] = diagnoses(folder, name)
        judged = judge_beats(signal, qrs_peaks(folder, name, rate), rate)
        judged["longer"] = ours[name]["qrs"] - known[name]["qrs"]
        by_pacing["paced" if PACED in headers[name] else "unpaced"].append(judged)
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
            "pacing": {group: beats_and_qrs(rows) for group, rows in by_pacing.items() if rows},
            "sinus_tachycardia": in_sinus_tachycardia(ours, known, rhythms),
            "wide_qrs_without_diagnosis": wide_without_diagnosis(ours, known, headers),
        },
        ("numpy", "scipy", "wfdb"),
    )


if __name__ == "__main__":
    main()
