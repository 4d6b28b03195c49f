"""A small tree in the layout of the Montreal Heart Institute: a Parquet table of .npy files."""

from pathlib import Path

import fake_ptbxl
import numpy as np
import pandas as pd

from ecglib.labels.label_set import LABELS
from ecglib.sources.mhi import TO_MILLIVOLTS

NO_BREAK = "RV1 + SV6\u00a0> 11 mm"  # as some tables write label 56


def write_signal(path: Path, x: np.ndarray, singleton: bool) -> None:
    """Write x (12, 2500) mV as int16 (2500, 12) or (2500, 12, 1)."""
    units = np.rint(x.T / TO_MILLIVOLTS).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, units[..., None] if singleton else units)


def table(n: int = 6) -> pd.DataFrame:
    """n ECGs, two per patient, every third not validated; label i is 1 where 7 divides i + row."""
    rows = []
    for number in range(n):
        row = {
            "waveform_path": f"ecg_npy/{number:04d}.npy",
            "new_PatientID": 7000 + number // 2,
            "report": f"Sinus rhythm {number}",
            "validated by MD": int(number % 3 != 2),
        }
        row |= {name: int((i + number) % 7 == 0) for i, name in enumerate(LABELS)}
        rows.append(row)
    return pd.DataFrame(rows).rename(columns={LABELS[56]: NO_BREAK})


def write_tree(root: Path, n: int = 6) -> None:
    """Write n ECGs."""
    frame = table(n)
    for number, name in enumerate(frame["waveform_path"]):
        write_signal(root / name, fake_ptbxl.signal(300 + number, 2500), singleton=number % 2 == 1)
    frame.to_parquet(root / "ecgs.parquet", index=False)
