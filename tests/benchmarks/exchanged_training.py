"""Do the claims of studies survive another training of the systems that they compare with?

    bash run_all.sh bench exchanged_training

Studies compare what they train with the systems of `synthetic-laptop`, of one training each. That
run has been trained twice by the same recipe (docs/evidence.md): some studies stand beside the
training before, whose rows they keep. Here they are drawn again beside the training of today, in a
temporary folder, and their claims are judged anew. What else a study has saved of the earlier
training stays: in `table_1` ECG-Byte's reports, in `readers` the latents of the earlier encoder.

`value` is the share of claims with the same verdict, of those that hold or fail and whose numbers
depend on the run. Left out is `ONE_MODEL`, which compares a model with itself.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from _common import REPO, skip, write

from ecglib.run import manifest, studies

MAIN = "synthetic-laptop"
NUMBERS = ["value", "low", "high", "verdict"]
ONE_MODEL = "zero_shot.swap.exact_match"  # with the leads exchanged, and without


def beside_earlier() -> list[str]:
    """The studies that have read predictions of the earlier training, and report claims."""
    today, chosen = REPO / "reports" / MAIN / "predictions", []
    for record in sorted((REPO / "reports").glob(f"{MAIN}-{studies.PREFIX}*/run.json")):
        read = (manifest.read(record) or {}).get("read", {})
        if manifest.changed(today, read) and (record.parent / "claims.csv").is_file():
            chosen.append(record.parent.name)
    return chosen


def exchange(folder: Path, names: list[str]) -> None:
    """Copy the run and its studies into a folder, in which the studies have kept today's rows."""
    reports = REPO / "reports"
    for name in (MAIN, *names):
        ignored = shutil.ignore_patterns("models", "tables", "*.md", "*_files")
        shutil.copytree(reports / name, folder / "reports" / name, ignore=ignored)
    for name in names:
        for kept in (folder / "reports" / name / "predictions").glob("study_beside_*.parquet"):
            today = reports / MAIN / "predictions" / kept.name.removeprefix("study_beside_")
            rows, methods = pd.read_parquet(today), set(pd.read_parquet(kept)["method"])
            rows[rows["method"].isin(methods)].to_parquet(kept, index=False)


def redraw(folder: Path, names: list[str]) -> None:
    """Judge the claims of the studies in the folder again. Raises RuntimeError: redraw ends."""
    environment = os.environ | {"ECGLIB_OUT": str(folder), "ECGLIB_HOME": str(folder / "nothing")}
    command = [sys.executable, "-m", "ecglib.run", "redraw", *names]
    done = subprocess.run(
        command, cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])


def compare(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The claims that hold or fail and whose numbers differ, as before and now, by id."""
    judged = before[before["verdict"].isin(["holds", "fails"]) & (before["id"] != ONE_MODEL)]
    old, new = (frame.set_index("id")[NUMBERS] for frame in (judged, now))
    both = old.join(new.add_suffix("_now")).dropna(subset=["value", "value_now"])
    differs = (both["value"] - both["value_now"]).abs() > 1e-9
    return both[differs | (both["verdict"] != both["verdict_now"])]


def main() -> None:
    """Measure, print and write reports/benchmarks/exchanged_training.json."""
    names = beside_earlier()
    if not names:
        skip("exchanged_training: no committed study was made beside an earlier training.")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        exchange(folder, names)
        redraw(folder, names)
        files = [
            (REPO, folder)[now] / "reports" / name / "claims.csv"
            for name in names
            for now in (0, 1)
        ]
        frames = [pd.read_csv(file) for file in files]
    claims = pd.concat([compare(*pair) for pair in zip(frames[::2], frames[1::2], strict=True)])
    same = claims["verdict"] == claims["verdict_now"]
    moved = (claims["value"] - claims["value_now"]).abs()
    result = {
        "value": float(same.mean()),
        "unit": "share of study claims with the same verdict beside another training of the run",
        "reference": {"what": "no verdict depends on the draw of a training", "value": 1.0},
        "ratio": float(same.mean()),
        "claims": len(claims),
        "median_change_of_the_value": float(moved.median()),
        "largest_change_of_the_value": float(moved.max()),
        "by_claim": claims.round(4).to_dict("index"),
    }
    write("exchanged_training", result, ("pandas", "numpy"))


if __name__ == "__main__":
    main()
