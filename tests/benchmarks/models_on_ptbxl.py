"""What are the committed models, which were trained on simulated ECGs, worth on real ones?

    export ECGLIB_PTBXL_MINI=<folder>
    bash run_all.sh bench models_on_ptbxl

The models of `synthetic-laptop` read all ECGs of the folder; none of these was used in a training.
(The sizes of the simulated noise were fitted to such a part of PTB-XL.) Scored are labels that SCP
codes can express and that the simulator draws, with `LEAST` positives and negatives.

`value` is the macro-AUC of the classifier of QINCo's decoded ECGs, the reference that of the same
labels on the run's simulated test ECGs. Reports of each system are scored by the findings that they
state, beside the same with the ECG of another patient in front.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _common import REPO, data, write

from ecglib.classify import targets
from ecglib.cohorts import build, scored_sample
from ecglib.cohorts.split import persons
from ecglib.cohorts.store import Cohort
from ecglib.evaluate import auc, finding_agreement
from ecglib.evaluate.label_rows import label_rows
from ecglib.labels.label_set import ABSENT, LABELS, PRESENT
from ecglib.language import write_texts
from ecglib.own_ecg.apply_models import (
    CLASSIFIER,
    ITS_PREDICTIONS,
    encoded,
    label_logits,
)
from ecglib.own_ecg.load_models import LONGEST, READERS
from ecglib.training.device import Machine

REPORTS = REPO / "reports" / "synthetic-laptop"
MODELS = REPORTS / "models"
SEED, LEAST = 0, 10


def classifier_rows(cohort: Cohort, inputs: dict[str, Path], machine: Machine) -> pd.DataFrame:
    """Predictions of the classifier for all ECGs and its labels."""
    labels, logits = label_logits(cohort, inputs, MODELS / CLASSIFIER, machine)
    rows = cohort.rows()
    scores = targets.score_table(rows, labels, torch.sigmoid(logits.double()).numpy())
    return label_rows(cohort.records, cohort.labels, scores, rows, ITS_PREDICTIONS, SEED)


def enough(cohort: Cohort) -> list[int]:
    """Labels with `LEAST` ECGs that have them and as many that do not."""
    counts = [(cohort.labels == state).sum(0) for state in (PRESENT, ABSENT)]
    return np.flatnonzero(np.min(counts, 0) >= LEAST).tolist()


def report_rows(
    cohort: Cohort, inputs: dict[str, dict], folder: Path, machine: Machine
) -> dict[str, pd.DataFrame]:
    """Findings that each system states, with the own ECG and with that of another patient."""
    rows, result = cohort.rows(), {}
    scored = scored_sample.scorable_findings(cohort, rows, LEAST)
    other = rows[scored_sample.partners(cohort.records, SEED)]
    for name, tokenizer in READERS.items():
        folders = inputs[tokenizer] | {"base": MODELS / "base_small", "system": MODELS / name}
        for kind, ecgs in {"own": rows, "other": other}.items():
            out = folder / f"{name}_{kind}"
            out.mkdir()
            config = {"rows": rows.tolist(), "ecgs": ecgs.tolist(), "batch": 50}
            write_texts.write(out, folders, config | {"max_new": LONGEST}, SEED, machine)
            texts = pd.read_parquet(out / "texts.parquet").set_index("row").loc[rows]
            about = cohort.records.reset_index(drop=True), cohort.labels, name, SEED, texts, scored
            result[f"{name}_{kind}"] = finding_agreement.read_reports(*about)[1]
    return result


def main() -> None:
    """Measure, print and write reports/benchmarks/models_on_ptbxl.json."""
    root = data("ECGLIB_PTBXL_MINI", "PTB-XL or a part of it")
    dtype = json.loads((REPORTS / "run.json").read_text(encoding="utf-8"))["dtype"]
    machine = Machine("cpu", dtype, torch.get_num_threads(), "that of the run")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build.build(folder / "cohort", {"data": root}, {"source": "ptbxl"}, SEED, machine)
        table = folder / "cohort" / "records.parquet"
        pd.read_parquet(table).assign(site="A").to_parquet(table)  # whose wording reports have
        cohort, inputs = Cohort.open(folder / "cohort"), {}
        for tokenizer in READERS.values():
            place = folder / tokenizer
            inputs[tokenizer] = encoded(cohort, MODELS / tokenizer, place, machine)
        real = classifier_rows(cohort, inputs["qinco"], machine)
        stated = report_rows(cohort, inputs, folder, machine)
    simulated = pd.read_parquet(REPORTS / "predictions" / "03_labels.parquet")
    simulated = simulated[simulated["method"] == ITS_PREDICTIONS]
    items = {f"label:{label:02d}" for label in enough(cohort)} & set(simulated["item"])
    frames = {"real": real, "simulated": simulated}
    frames = {name: frame[frame["item"].isin(items)] for name, frame in frames.items()}
    whole = {name: auc.auc(frame, "macro", SEED) for name, frame in frames.items()}
    by_label = {
        name: auc.by_label(frame, SEED).set_index("label") for name, frame in frames.items()
    }
    rows = by_label["real"]
    result = {
        "value": whole["real"].value,
        "unit": "macro-AUC of the classifier of QINCo's decoded ECGs, on real ECGs",
        "reference": {
            "what": "the same labels on simulated test ECGs",
            "value": whole["simulated"].value,
        },
        "ratio": whole["real"].value / whole["simulated"].value,
        "low": whole["real"].low,
        "high": whole["real"].high,
        "ecgs": len(cohort),
        "patients": len(np.unique(persons(cohort.records))),
        "labels": {
            LABELS[label]: {"positives": int(line.positives)}
            | {key: round(float(line[key]), 3) for key in ("value", "low", "high")}
            | {"simulated": round(float(by_label["simulated"].loc[label, "value"]), 3)}
            for label, line in rows.iterrows()
        },
        "reports": {},
    }
    for name in READERS:
        own, other = stated[f"{name}_own"], stated[f"{name}_other"]
        values = {
            "macro_f1": finding_agreement.macro_f1(own, SEED),
            "macro_f1_other_ecg": finding_agreement.macro_f1(other, SEED),
            "difference": finding_agreement.difference(own, other, "macro_f1", SEED),
        }
        result["reports"][name] = {key: vars(value) for key, value in values.items()}
    conditions = finding_agreement.select_conditions(stated["ecg_tok_own"])
    present = conditions[conditions["target"] == "1"].groupby("item").size()
    result["conditions"] = {name: int(n) for name, n in present.items()}
    write("models_on_ptbxl", result, ("torch", "transformers", "numpy"))


if __name__ == "__main__":
    sys.exit(main())
