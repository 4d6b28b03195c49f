"""Repeat committed predictions of a run with its committed models, on the ten ECGs of notebook 09.

    python tests/repeat_predictions.py reports/synthetic-laptop

Prints, as JSON, the largest difference of a score for each classifier, and the share of equal
reports for each language model.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from _cohort import write_cohort

from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import LABELS
from ecglib.language import write_texts
from ecglib.own_ecg.apply_models import encoded, label_logits
from ecglib.signals.leads import LEADS
from ecglib.training.device import Machine

# the method of each classifier; the notebook and the tokenizer of each system
CLASSIFIERS = {"decoded_qinco": "qinco_decoded", "raw": "raw"}
SYSTEMS = {"ecg_tok": ("04", "qinco"), "heartllm": ("06", "fsq"), "ecg_byte": ("06", "bpe")}


def ten_ecgs(table: pd.DataFrame, folder: Path) -> Cohort:
    """A cohort of the saved ECGs; `ecg_id` is their public number."""
    signals = np.stack([np.stack(table[lead].to_list()) for lead in LEADS], 1) / 1000
    labels = np.zeros(len(LABELS), np.int8)
    records = []
    about = table.drop(columns=[*LEADS, "ecg"]).to_dict("records")
    for name, row, signal in zip(table["ecg"].astype(str), about, signals, strict=True):
        one = row | {"signal": signal.astype(np.float32), "labels": labels}
        records.append(one | {"ecg_id": name, "patient_id": name})
    return write_cohort(folder, records, 0)


def repeat(reports: Path, place: Path, machine: Machine) -> dict[str, dict[str, float]]:
    """What the models of the run give for the ten ECGs, beside its predictions."""
    saved, models = reports / "predictions", reports / "models"
    cohort = ten_ecgs(pd.read_parquet(saved / "09_ten_ecgs.parquet"), place / "cohort")
    ecgs, everything = cohort.records["ecg_id"].astype(int), cohort.rows()
    of_tokenizer = {}
    for name in ("qinco", "fsq", "bpe"):
        of_tokenizer[name] = encoded(cohort, models / name, place / name, machine)
    scores = pd.read_parquet(saved / "03_labels.parquet")
    differences = {}
    for name, method in CLASSIFIERS.items():
        labels, logits = label_logits(cohort, of_tokenizer["qinco"], models / name, machine)
        ours = torch.sigmoid(logits).numpy()
        theirs = scores[scores["method"] == method]
        theirs = theirs.pivot(index="ecg", columns="item", values="score")
        names = [f"label:{label:02d}" for label in labels]
        both = [label in theirs.columns for label in names]
        theirs = theirs.reindex(ecgs)[[name for name in names if name in theirs.columns]]
        differences[name] = float(np.nanmax(np.abs(ours[:, both] - theirs.to_numpy())))
    equal = {}
    for name, (number, tokenizer) in SYSTEMS.items():
        inputs = of_tokenizer[tokenizer] | {"base": models / "base_small", "system": models / name}
        (place / name).mkdir()
        texts = pd.read_parquet(saved / f"{number}_texts.parquet").set_index("ecg")
        texts = texts[texts["method"] == name]
        config = {"rows": everything.tolist(), "batch": len(cohort)}
        config |= {"max_new": int(texts["tokens"].max())}
        write_texts.write(place / name, inputs, config, 0, machine)
        ours = pd.read_parquet(place / name / "texts.parquet").sort_values("row")["text"]
        theirs = texts["prediction"].reindex(ecgs)
        equal[name] = float(np.mean(ours.to_numpy() == theirs.to_numpy()))
    return {"largest difference of a score": differences, "share of equal reports": equal}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        reports = Path(sys.argv[1])
        dtype = json.loads((reports / "run.json").read_text())["dtype"]
        machine = Machine("cpu", dtype, 2, "that of the run")
        print(json.dumps(repeat(reports, Path(folder), machine)))
