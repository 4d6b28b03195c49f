"""Two hundred malformed inputs: does each end in one clear sentence?

    bash run_all.sh bench malformed_inputs

A seeded mutator damages good inputs: recordings in three formats, cohorts, tokenizers, profiles,
data plans, claims and predictions. Bytes are cut off or changed; keys, columns and values of tables
and settings are taken away or replaced. Three verdicts are possible. *Refused*: `ValueError`,
`FileNotFoundError` or `RunError` with one line that names the file or the value. *Read*: no error,
because the damage leaves an input that is read; most are harmless, some are not, and all are
listed. *Wrong*: another error, or an unclear sentence. `value` is the share that is not wrong
(wanted: 1), the reference is the share that is refused.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb
import yaml
from _common import REPO, write

from ecglib.cohorts import build
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import claims, predictions
from ecglib.own_ecg.read_file import read_file
from ecglib.run.errors import RunError
from ecglib.run.paths import Paths
from ecglib.run.profiles import load_plan, load_profile, load_stages
from ecglib.signals.leads import LEADS, RATE
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

SEED, CASES, LONGEST = 20, 200, 600
MODELS = REPO / "reports" / "synthetic-laptop" / "models"
Rng = np.random.Generator


def recordings(folder: Path) -> None:
    """One ECG as CSV, NumPy array and WFDB record."""
    time = np.arange(10 * RATE) / RATE
    signal = np.sin(2 * np.pi * 1.2 * time) * np.linspace(0.2, 1.0, 12)[:, None]
    signal[2:6] = [signal[1] - signal[0], -(signal[0] + signal[1]) / 2, 0 * time, 0 * time]
    signal[4], signal[5] = signal[0] - signal[1] / 2, signal[1] - signal[0] / 2
    table = pd.DataFrame(signal.T.round(4), columns=[f"{lead} (mV)" for lead in LEADS])
    table.insert(0, "time (s)", time)
    table.to_csv(folder / "ecg.csv", index=False)
    np.save(folder / "ecg.npy", signal.T)
    sizes = {"fmt": ["16"] * 12, "adc_gain": [1000.0] * 12, "baseline": [0] * 12}
    about = {"sig_name": list(LEADS), "write_dir": str(folder), "units": ["mV"] * 12}
    wfdb.wrsamp("ecg", RATE, p_signal=signal.T, **about, **sizes)


def good_inputs(folder: Path) -> dict[str, tuple[Path, Callable[[Path], object]]]:
    """Name -> a folder with a good input, and what reads it."""
    places = {name: folder / name for name in ("recordings", "cohort", "repo", "predictions")}
    for place in places.values():
        place.mkdir()
    recordings(places["recordings"])
    machine = Machine("cpu", "float32", 1, "a benchmark")
    build.build(places["cohort"], {}, {"source": "synthetic", "patients": 6}, SEED, machine)
    shutil.copytree(REPO / "notebooks", places["repo"] / "notebooks")
    saved = pd.read_parquet(REPO / "reports/synthetic-laptop/predictions/02_reconstruction.parquet")
    saved.head(200).to_parquet(places["predictions"] / "some.parquet", index=False)
    given = {"csv": {}, "npy": {"rate": RATE, "unit": "mV", "leads": "standard"}, "hea": {}}
    inputs = {
        f"recording.{kind}": (
            places["recordings"],
            lambda at, kind=kind, options=options: read_file(at / f"ecg.{kind}", **options),
        )
        for kind, options in given.items()
    }
    inputs["cohort"] = places["cohort"], read_cohort
    for name in ("fsq", "rvq", "bpe"):
        inputs[f"tokenizer.{name}"] = MODELS / name, load
    for name, read in {"profile": load_profile, "plan": load_plan}.items():
        what = {"profile": "smoke", "plan": "simulated_to_ptbxl"}[name]
        inputs[name] = places["repo"], lambda at, read=read, what=what: read(repository(at), what)
    inputs["stages"] = places["repo"], lambda at: load_stages(repository(at))
    inputs["claims"] = places["repo"], lambda at: claims.load(at / "notebooks" / "claims.yaml")
    inputs["predictions"] = places["predictions"], read_predictions
    return inputs


def repository(folder: Path) -> Paths:
    """The paths of a copied repository."""
    return Paths(folder, folder / "artifacts", folder)


def read_cohort(folder: Path) -> np.ndarray:
    """All signals of a cohort, and its quarantine."""
    cohort = Cohort.open(folder)
    return cohort.signals(cohort.rows()), cohort.labels, cohort.quarantine


def read_predictions(folder: Path) -> pd.DataFrame:
    """One table of predictions."""
    file = folder / "some.parquet"
    return predictions.validate(predictions.read_table(file), file)


FILES = {  # what of an input is damaged
    "recording.csv": ["ecg.csv"],
    "recording.npy": ["ecg.npy"],
    "recording.hea": ["ecg.hea", "ecg.dat"],
    "cohort": ["cohort.json", "signals_00000.npy", "records.parquet", "quarantine.csv"],
    "tokenizer.fsq": ["config.json", "model.safetensors"],
    "tokenizer.rvq": ["config.json", "model.safetensors"],
    "tokenizer.bpe": ["config.json", "model.safetensors"],
    "profile": ["notebooks/profiles/smoke.yaml", "notebooks/profiles/laptop.yaml"],
    "plan": ["notebooks/data/simulated_to_ptbxl.yaml"],
    "stages": ["notebooks/stages.yaml"],
    "claims": ["notebooks/claims.yaml"],
    "predictions": ["some.parquet"],
}


def cut(file: Path, rng: Rng) -> str:
    """Only the first bytes are left."""
    content = file.read_bytes()
    left = int(rng.integers(0, max(1, len(content) - 1)))
    file.write_bytes(content[:left])
    return f"{left} of {len(content)} bytes"


def flip(file: Path, rng: Rng) -> str:
    """A few of the first bytes are others."""
    content = bytearray(file.read_bytes())
    places = rng.integers(0, min(len(content), 300), 4)
    for place in places:
        content[place] = int(rng.integers(0, 256))
    file.write_bytes(bytes(content))
    return f"bytes {places.tolist()} changed"


def delete(file: Path, rng: Rng) -> str:
    """The file is not there."""
    file.unlink()
    return "deleted"


ODD = [None, "", "many", -1, 0, 1e300, float("nan"), [], {}, [1, "a"], True, "../../x"]


def change_setting(file: Path, rng: Rng) -> str:
    """A value anywhere in a YAML or JSON file is another, or its key is gone."""
    is_json = file.suffix == ".json"
    content = (json.loads if is_json else yaml.safe_load)(file.read_text(encoding="utf-8"))
    holders = [(None, content)]
    for _, holder in holders:  # which grows
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        holders += [
            (key, value) for key, value in items if isinstance(value, dict | list) and value
        ]
    holder = holders[int(rng.integers(len(holders)))][1]
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key, value = keys[int(rng.integers(len(keys)))], ODD[int(rng.integers(len(ODD)))]
    if rng.random() < 0.3:
        del holder[key]
        done = f"without {key!r}"
    else:
        holder[key], done = value, f"{key!r} is {value!r}"
    text = json.dumps(content) if is_json else yaml.safe_dump(content, sort_keys=False)
    file.write_text(text, encoding="utf-8")
    return done


def change_table(file: Path, rng: Rng) -> str:
    """A column is gone, has another name, or one odd value."""
    is_csv = file.suffix == ".csv"
    table = pd.read_csv(file) if is_csv else pd.read_parquet(file)
    name = table.columns[int(rng.integers(len(table.columns)))]
    kind = int(rng.integers(3))
    if kind == 0:
        table, done = table.drop(columns=name), f"without {name!r}"
    elif kind == 1 or not len(table):
        table, done = table.rename(columns={name: "other"}), f"{name!r} renamed"
    else:
        value = (None, "many", "inf")[int(rng.integers(3))]
        table[name] = table[name].astype(str).astype(object)
        table.loc[table.index[int(rng.integers(len(table)))], name] = value
        done = f"{name!r} is text with {value!r}"
    table.to_csv(file, index=False) if is_csv else table.to_parquet(file, index=False)
    return done


def change_array(file: Path, rng: Rng) -> str:
    """The array has another shape, type or values."""
    array, kind = np.load(file), int(rng.integers(5))
    changed = (
        array[:, :5],
        array[..., None],
        array.astype(complex),
        np.full(array.shape, np.nan),
        array[:0],
    )[kind]
    np.save(file, changed)
    return f"array {changed.dtype} {changed.shape}"


MORE = {".yaml": change_setting, ".json": change_setting, ".csv": change_table}
MORE |= {".parquet": change_table, ".npy": change_array}


def verdict(read: Callable[[Path], object], folder: Path, file: Path) -> tuple[str, str]:
    """(refused, read or wrong; the sentence)."""
    try:
        read(folder)
    except (ValueError, FileNotFoundError, RunError) as error:
        text = str(error)
        names = (file.name, file.stem, file.parent.name, folder.name, ", got ")
        is_clear = "\n" not in text and 20 < len(text) < LONGEST
        has_name = any(name in text for name in names)
        return ("refused" if is_clear and has_name else "wrong"), f"{type(error).__name__}: {text}"
    except Exception as error:  # noqa: BLE001  what a user must never see is what is looked for
        return "wrong", f"{type(error).__name__}: {error}"
    return "read", ""


def main() -> None:
    """Damage, read, print and write reports/benchmarks/malformed_inputs.json."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        inputs = good_inputs(Path(name))
        for place, read in inputs.values():
            read(place)  # the good one is read
        for number in range(CASES):
            rng = np.random.default_rng([SEED, number])
            kind = list(inputs)[number % len(inputs)]
            place, read = inputs[kind]
            copy = Path(name) / f"case_{number}"
            shutil.copytree(place, copy)
            file = copy / FILES[kind][int(rng.integers(len(FILES[kind])))]
            ways = [cut, flip, delete, *([MORE[file.suffix]] * 4 if file.suffix in MORE else [])]
            done = ways[int(rng.integers(len(ways)))](file, rng)
            what, sentence = verdict(read, copy, file)
            sentence = sentence.replace(f"{copy}/", "").replace(str(copy), "")
            lines.append((kind, f"{file.name}: {done}", what, sentence))
            shutil.rmtree(copy)
    table = pd.DataFrame(lines, columns=["input", "damage", "verdict", "sentence"])
    parts = {name: table[table["verdict"] == name] for name in ("wrong", "read", "refused")}
    result = {
        "value": 1 - len(parts["wrong"]) / CASES,
        "unit": "share of damaged inputs that end in one sentence, or are read",
        "reference": {"what": "share refused", "value": len(parts["refused"]) / CASES},
        "ratio": 1 - len(parts["wrong"]) / CASES,
        "cases": CASES,
        "wrong": parts["wrong"].to_dict("records"),
        "read": parts["read"][["input", "damage"]].to_dict("records"),
        "examples": parts["refused"].groupby("input").head(1).to_dict("records"),
    }
    write("malformed_inputs", result, ("numpy", "pandas", "PyYAML"))


if __name__ == "__main__":
    sys.exit(main())
