"""Two smoke runs, one of an older tree and one of this one, compared through same_results.yaml.

    python tests/benchmarks/same_results.py --old OUT HOME --new OUT HOME [--run synthetic-smoke]

OUT holds reports/ and figures/ of a tree (`ECGLIB_OUT`), HOME its artifacts (`ECGLIB_HOME`).
Compared are the predictions, the tables, the data behind the figures, the claims without their
key, and of every step the tensors, arrays and tables. Whatever the map does not rename must be the
same: cells of a CSV as text, columns of a Parquet file by type and value, tensors and arrays by
their bytes. Files named timing* are left out, and JSON files, which hold names and settings.
The exit status is 1 where anything differs.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from _common import skip
from safetensors.torch import load_file

MAP = Path(__file__).with_suffix(".yaml")
DATA = (".csv", ".parquet", ".npy", ".safetensors")
KEY = "key"  # of a claim: hashes the code, so it differs wherever the code does


class Names:
    """The committed map of old names to new ones."""

    def __init__(self, content: dict):
        self.content = content

    def path(self, old: str) -> str:
        """The new path of a table, prediction file or figure."""
        return self.content["files"].get(old, old)

    def step(self, old: str) -> str:
        """The new stage/step of an old one."""
        for pattern, new in self.content["steps"].items():
            if match := re.fullmatch(pattern, old):
                return match.expand(new)
        return old

    def step_file(self, step: str, old: str) -> str:
        """The new path of a file inside the old step `step`."""
        for entry in self.content["step_files"]:
            if fnmatch(step, entry["step"]) and entry["old"] == old:
                return entry["new"]
        return old

    def is_removed(self, path: str) -> bool:
        """Whether the new tree no longer writes this old file."""
        return any(fnmatch(path, pattern) for pattern in self.content["removed_files"])

    def is_added(self, path: str) -> bool:
        """Whether the new tree writes this file in addition."""
        return any(fnmatch(path, pattern) for pattern in self.content["added_files"])

    def tensor(self, step: str, old: str) -> str:
        """The new key of a tensor of the old step `step`."""
        for entry in self.content["tensors"]:
            if fnmatch(step, entry["step"]):
                old = re.sub(entry["old"], entry["new"], old)
        return old

    def frame(self, path: str, frame: pd.DataFrame) -> pd.DataFrame:
        """An old table with the new names of its columns and values; `path` is the new one."""
        here = [entry for entry in self.content["columns"] if fnmatch(path, entry["file"])]
        frame = frame.rename(columns={entry["old"]: entry["new"] for entry in here})
        for entry in self.content["values"]:
            column = entry["column"]
            if fnmatch(path, entry["file"]) and column in frame:
                hit = frame[column] == entry["old"]
                for other, value in entry.get("where", {}).items():
                    hit &= frame[other].isna() if value is None else frame[other] == value
                frame[column] = frame[column].mask(hit, entry["new"])
        return frame

    def added(self, path: str) -> set[str]:
        """Columns that the new tree adds to a table."""
        entries = self.content["added_columns"]
        return {entry["column"] for entry in entries if fnmatch(path, entry["file"])}


def read(path: Path) -> pd.DataFrame:
    """A CSV as text, or a Parquet file with its types."""
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    return pd.read_parquet(path)


def compare_tables(old: Path, new: Path, name: str, names: Names) -> Iterator[str]:
    """Differences between two tables, one phrase each."""
    before, after = names.frame(name, read(old)), read(new)
    after = after.drop(columns=names.added(name) - set(before.columns), errors="ignore")
    if Path(name).name == "claims.csv" or name.startswith("claims/"):
        before, after = (f.drop(columns=KEY, errors="ignore") for f in (before, after))
    if set(before) != set(after):
        yield f"columns {sorted(set(before) ^ set(after))} are in one of the two only"
        return
    if len(before) != len(after):
        yield f"{len(before)} rows became {len(after)}"
        return
    for column in before:
        one, other = before[column], after[column]
        if one.dtype != other.dtype or not one.equals(other):
            rows = [
                i for i, (a, b) in enumerate(zip(one, other, strict=True)) if repr(a) != repr(b)
            ]
            example = f", first {one[rows[0]]!r} and {other[rows[0]]!r}" if rows else " by type"
            yield f"column {column} differs in {len(rows)} rows{example}"


def compare_tensors(old: Path, new: Path, step: str, names: Names) -> Iterator[str]:
    """Differences between two files of tensors, one phrase each."""
    before = {names.tensor(step, key): value for key, value in load_file(old).items()}
    after = load_file(new)
    if before.keys() != after.keys():
        yield f"tensors {sorted(before.keys() ^ after.keys())[:6]} are in one of the two only"
    for key in before.keys() & after.keys():
        one, other = (value.contiguous() for value in (before[key], after[key]))
        same = one.dtype == other.dtype and one.shape == other.shape
        if not same or one.numpy().tobytes() != other.numpy().tobytes():
            yield f"tensor {key} differs"


def compare(old: Path, new: Path, name: str, step: str, names: Names) -> list[str]:
    """Differences between two files of data, one phrase each."""
    if old.suffix == ".safetensors":
        return list(compare_tensors(old, new, step, names))
    if old.suffix == ".npy":
        one, other = np.load(old), np.load(new)
        same = one.dtype == other.dtype and one.shape == other.shape
        return [] if same and one.tobytes() == other.tobytes() else ["the array differs"]
    return list(compare_tables(old, new, name, names))


def data_files(folder: Path) -> list[str]:
    """Relative paths of the files of data in a folder, clock times left out."""
    paths = [path for path in folder.rglob("*") if path.suffix in DATA and path.is_file()]
    kept = [path for path in paths if not path.name.startswith("timing")]
    return sorted(path.relative_to(folder).as_posix() for path in kept)


def pairs_of_files(old: Path, new: Path, run: str, names: Names) -> Iterator[tuple]:
    """(kind, old file, new file, new name) of reports and figures; None where a file is absent."""
    for kind in ("reports", "figures"):
        before, after = old / kind / run, new / kind / run
        waiting = set(data_files(after))
        for path in data_files(before):
            renamed = names.path(path)
            waiting.discard(renamed)
            if names.is_removed(path):
                continue
            file = after / renamed
            yield kind, before / path, file if file.is_file() else None, renamed
        for path in sorted(waiting):
            if not names.is_added(path):
                yield kind, None, after / path, path


def pairs_of_steps(old: Path, new: Path, run: str, names: Names) -> Iterator[tuple]:
    """(stage/step of the old tree, old file, new file, new name), as above."""
    waiting = {p.parent.relative_to(new / run).as_posix() for p in manifests(new / run)}
    for place in manifests(old / run):
        step = place.parent.relative_to(old / run).as_posix()
        target = names.step(step)
        waiting.discard(target)
        if names.is_removed(step):
            continue
        for path in data_files(place.parent):
            if names.is_removed(f"{step}/{path}"):
                continue
            renamed = names.step_file(step, path)
            file = new / run / target / renamed
            name = f"{target}/{renamed}"
            yield step, place.parent / path, file if file.is_file() else None, name
    for step in sorted(waiting):
        if not names.is_added(step):
            yield step, None, new / run / step, step


def manifests(folder: Path) -> list[Path]:
    """The manifests of the steps of a run."""
    return sorted(folder.glob("[0-9s]*/*/manifest.json"))


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    if not arguments:
        skip("same_results: name the outputs of two trees with --old OUT HOME --new OUT HOME.")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for tree in ("--old", "--new"):
        parser.add_argument(tree, nargs=2, type=Path, metavar=("OUT", "HOME"), required=True)
    parser.add_argument("--run", default="synthetic-smoke", help="name of the run")
    options = parser.parse_args(arguments)
    names = Names(yaml.safe_load(MAP.read_text(encoding="utf-8")))
    (old_out, old_home), (new_out, new_home) = options.old, options.new
    compared: dict[str, int] = {}
    differences = []
    steps = pairs_of_steps(old_home, new_home, options.run, names)
    everything = [("steps", *pair) for pair in steps]
    files = pairs_of_files(old_out, new_out, options.run, names)
    everything += [(kind, "", old, new, name) for kind, old, new, name in files]
    for kind, step, old, new, name in everything:
        compared[kind] = compared.get(kind, 0) + 1
        if old is None or new is None:
            differences.append(f"{kind} {name}: {'new only' if old is None else 'old only'}")
            continue
        differences += [f"{kind} {name}: {d}" for d in compare(old, new, name, step, names)]
    print("\n".join(differences))
    for kind, count in compared.items():
        print(f"{kind}: {count} files compared")
    sizes = {key: len(value) for key, value in names.content.items()}
    print("map:", ", ".join(f"{count} {key}" for key, count in sizes.items()))
    print(f"{len(differences)} differences" if differences else "the two runs are the same")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
