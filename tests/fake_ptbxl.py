"""A small tree in the layout of PTB-XL: noise that obeys the identities of the limb leads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecglib.signals.leads import LEADS

GAIN = 1000.0  # units per mV, as in the release
UPPER = tuple(lead.upper() for lead in LEADS)  # AVR, AVL, AVF
STATEMENTS = [
    ("NORM", "normal ECG", 1, "", ""),
    ("CLBBB", "complete left bundle branch block", 1, "", ""),
    ("LVH", "left ventricular hypertrophy", 1, "", ""),
    ("2AVB", "second degree AV block", 1, "", ""),
    ("LAO/LAE", "left atrial overload/enlargement", 1, "", ""),
    ("RAO/RAE", "right atrial overload/enlargement", 1, "", ""),
    ("PVC", "ventricular premature complex", "", 1, ""),
    ("SR", "sinus rhythm", "", "", 1),
    ("AFIB", "atrial fibrillation", "", "", 1),
]
CODES = [
    "{'NORM': 100.0, 'SR': 0.0}",
    "{'CLBBB': 100.0, 'SR': 0.0, 'PVC': 0.0}",
    "{'CLBBB': 35.0, 'AFIB': 0.0}",
    "{'LVH': 0.0, 'SR': 0.0}",
]


def signal(seed: int, samples: int) -> np.ndarray:
    """Noise (12, samples) in mV on the grid of GAIN, limb leads consistent to 1 unit."""
    rng = np.random.default_rng([seed, 7])
    one, two = rng.normal(0, 0.3, (2, samples))
    chest = rng.normal(0, 0.3, (6, samples))
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.vstack([*limb, chest])


def write_record(
    folder: Path,
    name: str,
    x: np.ndarray,
    rate: int,
    seed: int = 0,
    names: tuple[str, ...] = UPPER,
    gain: float = GAIN,
    order: Sequence[int] = (),
) -> None:
    """Write x (12, n) mV as WFDB, leads named as `names`, in the order given or a shuffled one.

    By hand, in format 16, because `wfdb.wrsamp` takes thirty times as long.
    """
    order = list(order) or np.random.default_rng([seed, 8]).permutation(12)
    units = np.rint(x[order].T * gain).astype("<i2")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.dat").write_bytes(units.tobytes())
    checksums = units.sum(axis=0, dtype=np.int64) % 65536
    lines = [f"{name} 12 {rate} {len(units)}"]
    for lead, first, checksum in zip(order, units[0], checksums, strict=True):
        lines.append(f"{name}.dat 16 {gain}(0)/mV 16 0 {first} {checksum} 0 {names[lead]}")
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


def write_tree(
    root: Path, n: int = 8, rates: tuple[int, ...] = (500, 100), release: str = "1.0.1"
) -> None:
    """Write n ECGs of n // 2 patients; their signals are `signal(ecg_id, 5000)` at 500 Hz.

    In release 1.0.3 an ecg_id is left out, numbers have no ".0" and leads are named aVR.
    """
    rows, newer = [], release == "1.0.3"
    for ecg_id in [i for i in range(1, n + 1 + newer) if not newer or i != 2]:
        names = {}
        for rate, kind in ((500, "hr"), (100, "lr")):
            names[kind] = f"records{rate}/00000/{ecg_id:05d}_{kind}"
            if rate in rates:
                x, folder = signal(ecg_id, 10 * rate), root / f"records{rate}" / "00000"
                leads = LEADS if newer else UPPER
                write_record(folder, f"{ecg_id:05d}_{kind}", x, rate, ecg_id, leads)
        patient = 100 + ecg_id % (n // 2)
        row = {"ecg_id": ecg_id, "patient_id": patient if newer else float(patient)}
        row |= {"age": 300.0 if ecg_id == 1 else 40.0 + ecg_id, "sex": ecg_id % 2}
        row |= {"height": np.nan, "weight": 70.0, "site": 0.0 if ecg_id % 3 else np.nan}
        row |= {"device": "CS-12   E", "report": "sinusrhythmus"}
        row |= {"scp_codes": CODES[ecg_id % len(CODES)], "validated_by_human": ecg_id % 2 == 0}
        row |= {"strat_fold": 1 + ecg_id % 10}
        rows.append(row | {"filename_lr": names["lr"], "filename_hr": names["hr"]})
    pd.DataFrame(rows).to_csv(root / "ptbxl_database.csv", index=False)
    columns = ["", "description", "diagnostic", "form", "rhythm"]
    pd.DataFrame(STATEMENTS, columns=columns).to_csv(root / "scp_statements.csv", index=False)
