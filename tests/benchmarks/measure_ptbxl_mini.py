"""Measurement of real recordings against what their statements say.

    ECGLIB_PTBXL_MINI=<folder> bash run_all.sh bench measure_ptbxl_mini

The folder has PTB-XL's layout. `medians` holds each measure's median by SCP code beside that of
the normal ECGs (NORM); `orders` says of each pair that a definition orders whether the medians
stand so. `value` counts those that do, `reference` how many were asked. The limits of the
delineation were set while looking at some of these recordings, so this shows that it serves, not
how well it would do on others.

The other fields count where measuring fails. `not_measured_by_group` gives, for ECGs chosen by SCP
code, report and measured rate, how many have no PR or QT interval; there a sinus tachycardia is
coded STACH or named in the report, as not every one has the code. `simulated_sinus_tachycardia`
gives the same for simulated hearts. `paced` are the ECGs coded PACE; whether their beats are right
is not known, but a heart rate, a QRS and a QT exist or not. `normal` counts, among the ECGs coded
NORM, those with an interval (ms) at a usual limit or above it, and `normal_answers` what the
questions about intervals then answer of them. `repeated` ECGs have the same
measurements as an earlier one: release 1.0.1 holds some recordings twice, and each counts here.
"""

import ast

import numpy as np
import pandas as pd
from _common import data, write

from ecglib.labels.label_set import COLUMNS, NOT_ASSESSABLE, PRESENT, UNCERTAIN
from ecglib.questions.facts import group_facts
from ecglib.signals.agreement import medians
from ecglib.signals.measure import measure
from ecglib.simulator import recording_device, sample_heart
from ecglib.simulator.patients import DEVICES
from ecglib.simulator.waveform import simulate
from ecglib.sources import ptbxl

# measure: groups from the smallest median to the largest, by the definition of the statements.
ORDERS = {
    "heart_rate": [("SBRAD", "NORM"), ("NORM", "STACH")],
    "pr": [("NORM", "1AVB")],
    "qrs": [("NORM", "IRBBB"), ("IRBBB", "CRBBB"), ("NORM", "CLBBB"), ("IRBBB", "CLBBB")],
    "qtc_bazett": [("NORM", "LNGQT")],
    "qtc_fridericia": [("NORM", "LNGQT")],
    "qrs_axis": [("LAFB", "NORM"), ("NORM", "LPFB")],
    "rr_rmssd": [("NORM", "SARRH"), ("NORM", "AFIB")],
    "sokolow": [("NORM", "LVH")],
}
LIMITS = [  # measure, group, side, limit: what the definition says of the median itself
    ("heart_rate", "SBRAD", "below", 60.0),
    ("heart_rate", "STACH", "above", 100.0),
    ("pr", "1AVB", "above", 200.0),
    ("qrs", "CRBBB", "above", 120.0),
    ("qrs", "CLBBB", "above", 120.0),
    ("qrs", "NORM", "below", 110.0),
    ("qrs_axis", "LAFB", "below", -30.0),
    ("qrs_axis", "LPFB", "above", 90.0),
]
NORMAL_LIMITS = {"pr": 200.0, "qrs": 120.0, "qtc_bazett": 460.0, "qtc_fridericia": 460.0}  # ms
NO_SINUS = {"AFIB", "AFLT", "SVTAC", "PSVT", "SVARR", "PACE"}  # codes of other rhythms
FAST, RATHER_FAST, SLOW = 100.0, 80.0, 60.0  # beats a minute
HEARTS, SEED = 200, 2027  # simulated sinus tachycardias


def sinus_and_fast(table: pd.DataFrame, rate: pd.Series) -> dict[str, np.ndarray]:
    """Groups of ECGs in which P and T are near each other, beside usual ones.

    Args:
        table: `ptbxl.read_table` with a set of SCP codes in `codes`.
        rate: measured beats a minute.

    Returns:
        name -> bool (n,), the ECGs of the group.
    """

    def coded(names: set[str]) -> np.ndarray:
        return np.array([bool(names & have) for have in table["codes"]])

    def between(low: float, high: float) -> np.ndarray:
        return rate.between(low, high, "left").to_numpy()

    report = table["report"].fillna("").str.lower()
    named = report.str.contains(r"sinus\s?tachy").to_numpy()
    usual = coded({"SR", "NORM"}) & ~coded(NO_SINUS)
    return {
        "SR": coded({"SR"}),
        "NORM": coded({"NORM"}),
        "SR or NORM, 60 to 80 a minute": usual & between(SLOW, RATHER_FAST),
        "SR or NORM, 80 to 100 a minute": usual & between(RATHER_FAST, FAST),
        "STACH": coded({"STACH"}),
        "sinus tachycardia, by code or report": coded({"STACH"}) | named,
        "any rhythm, below 100 a minute": (rate < FAST).to_numpy(),
        "any rhythm, 100 a minute or more": (rate >= FAST).to_numpy(),
    }


def absent(measured: pd.DataFrame) -> dict[str, int]:
    """How many ECGs there are, and how many have no PR or QT interval."""
    counts = {f"without_{name}": int(measured[name].isna().sum()) for name in ("pr", "qt")}
    return {"recordings": len(measured)} | counts


def simulated_tachycardias() -> pd.DataFrame:
    """Measurements of simulated hearts in sinus tachycardia, noise of a device included."""
    device, rows = DEVICES["B"][0], []
    for index in range(HEARTS):
        state = sample_heart.example_heart("sinus tachycardia", seed=SEED + index)
        clean = simulate(state, device.rate, np.random.default_rng([SEED, index, 1]))
        ecg = recording_device.record(clean, device, np.random.default_rng([SEED, index, 2]))
        rows.append(measure(ecg, device.rate))
    return pd.DataFrame(rows)


def at_limit(measured: pd.DataFrame) -> dict[str, dict]:
    """How many ECGs have an interval (ms) at a limit or above it."""
    return {
        name: {
            "limit": limit,
            "measured": int(measured[name].notna().sum()),
            "at_or_above": int((measured[name] >= limit).sum()),
        }
        for name, limit in NORMAL_LIMITS.items()
    }


def answers(measured: pd.DataFrame, sex: pd.Series) -> dict[str, dict[str, int]]:
    """How many ECGs without labels have each answer to the questions about PR, QRS and QTc."""
    records = pd.DataFrame(NOT_ASSESSABLE, index=measured.index, columns=list(COLUMNS))
    counts = {}
    for facts in group_facts(records.assign(sex=sex), measured):
        if facts.group.rule.get("measurement") in NORMAL_LIMITS:
            names = [option.name for option in facts.options]
            counts[facts.group.name] = dict(
                zip(names, (facts.states == PRESENT).sum(axis=0).tolist(), strict=True)
            ) | {"not sure": int((facts.states == UNCERTAIN).any(axis=1).sum())}
    return counts


def paced(measured: pd.DataFrame) -> dict:
    """What is measured in paced ECGs: counts without a value, and the median QRS in ms."""
    names = ("heart_rate", "qrs", "qt")
    median = measured["qrs"].median()
    return {
        "recordings": len(measured),
        "not_measured": {name: int(measured[name].isna().sum()) for name in names},
        "qrs_median": round(float(median), 1) if np.isfinite(median) else None,
    }


def main() -> None:
    """Measure, print and write reports/benchmarks/measure_ptbxl_mini.json."""
    folder = data("ECGLIB_PTBXL_MINI", "PTB-XL or a part of it")
    rows = ptbxl.read_table(folder)
    measured = pd.DataFrame([measure(*ptbxl.read(folder, name)) for name in rows["record"]])
    measured["sokolow"] = measured[["r_V5", "r_V6"]].max(axis=1) - measured["s_V1"]
    codes = [set(ast.literal_eval(text)) for text in rows["scp_codes"]]
    rows = rows.assign(codes=codes)
    names = sorted({code for pairs in ORDERS.values() for pair in pairs for code in pair})
    groups = {name: np.array([name in have for have in codes]) for name in names}
    table = pd.concat([medians(measured[measure_], groups) for measure_ in ORDERS])
    middle = table.set_index(["measure", "group"])["median"]
    checks = [
        {
            "claim": f"{name}: {low} below {high}",
            "holds": bool(middle[name, low] < middle[name, high]),
        }
        for name, pairs in ORDERS.items()
        for low, high in pairs
    ]
    for name, group, side, limit in LIMITS:
        value = middle[name, group]
        holds = value < limit if side == "below" else value > limit
        checks.append({"claim": f"{name}: {group} {side} {limit:g}", "holds": bool(holds)})
    right = sum(check["holds"] for check in checks)
    unmeasured = {
        name: int(measured[name].isna().sum()) for name in ("heart_rate", "pr", "qrs", "qt")
    }
    result = {
        "value": right,
        "unit": "orders and limits that hold",
        "reference": {"what": "orders and limits asked", "value": len(checks)},
        "ratio": right / len(checks),
        "recordings": len(rows),
        "not_measured": unmeasured,
        "repeated": int(measured.duplicated().sum()),
        "not_measured_by_group": {
            name: absent(measured[member])
            for name, member in sinus_and_fast(rows, measured["heart_rate"]).items()
        },
        "simulated_sinus_tachycardia": absent(simulated_tachycardias()),
        "paced": paced(measured[["PACE" in have for have in codes]]),
        "normal": at_limit(measured[groups["NORM"]]),
        "normal_answers": answers(
            measured[groups["NORM"]], rows["sex"].map(ptbxl.SEXES)[groups["NORM"]]
        ),
        "orders": checks,
        "medians": table.round(3).astype(object).where(table.notna(), None).to_dict("records"),
    }
    write("measure_ptbxl_mini", result, ("numpy", "scipy", "wfdb"))


if __name__ == "__main__":
    main()
