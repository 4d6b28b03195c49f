"""Measurement of real recordings against what their statements say.

    ECGLIB_PTBXL_MINI=<folder> bash run_all.sh bench measure_ptbxl_mini

The folder has PTB-XL's layout. `medians` holds each measure's median by SCP code beside that of
the normal ECGs (NORM); `orders` says of each pair that a definition orders whether the medians
stand so. `value` counts those that do, `reference` how many were asked. The limits of the
delineation were set while looking at some of these recordings, so this shows that it serves, not
how well it would do on others.
"""

import ast

import numpy as np
import pandas as pd
from _common import data, write

from ecglib.signals.agreement import medians
from ecglib.signals.measure import measure
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


def main() -> None:
    """Measure, print and write reports/benchmarks/measure_ptbxl_mini.json."""
    folder = data("ECGLIB_PTBXL_MINI", "PTB-XL or a part of it")
    rows = ptbxl.read_table(folder)
    measured = pd.DataFrame([measure(*ptbxl.read(folder, name)) for name in rows["record"]])
    measured["sokolow"] = measured[["r_V5", "r_V6"]].max(axis=1) - measured["s_V1"]
    codes = [set(ast.literal_eval(text)) for text in rows["scp_codes"]]
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
        "orders": checks,
        "medians": table.round(3).astype(object).where(table.notna(), None).to_dict("records"),
    }
    write("measure_ptbxl_mini", result, ("numpy", "scipy", "wfdb"))


if __name__ == "__main__":
    main()
