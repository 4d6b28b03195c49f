"""ECG-Tok's report classifier, a BERT, instead of the labelling rules.

ECG-Tok labels reports with a BERT that gives 77 probabilities in the order of labels77.csv and
calls each present from its own threshold (section 2.1). The released classifier
``heartwise/Bert_diagnosis2classification`` is gated and therefore not fetched here. It does not
distinguish absent from uncertain, history or not assessable.

    python -m ecglib.language.bert_labels --model DIR --cohort DIR --out labels.csv

writes a label table of a finished cohort of notebook 01, with the source's own identifiers. In the
data folder, and named in the data plan (cohort key ``label_table``), it replaces the labels in the
next run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from ecglib.cohorts.label_table import write_label_table
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import BERT_THRESHOLD, LABELS, NOT_ASSESSABLE

WORDPIECES = 512  # of a report that the model sees


def label_with_bert(reports: Sequence[str], folder: Path, batch: int = 32) -> np.ndarray:
    """Label states of n reports by the authors' classifier: int8 (n, 77), PRESENT or ABSENT.

    Args:
        folder: a model of the transformers library: ``config.json``, ``model.safetensors`` and
            the files of its tokenizer.
        batch: reports at a time.

    Raises:
        FileNotFoundError: the folder has no config.json or no model.safetensors; pickled weights
            are not read.
        ValueError: the model does not have 77 outputs.
    """
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name} is missing; give the classifier's folder with safetensors weights"
            )
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    if model.config.num_labels != len(LABELS):
        raise ValueError(
            f"expected a model with the {len(LABELS)} labels of labels77.csv in {folder}, got "
            f"{model.config.num_labels} outputs"
        )
    model.eval()
    options = {"padding": True, "truncation": True, "max_length": WORDPIECES}
    states = [np.zeros((0, len(LABELS)), np.int8)]
    for start in range(0, len(reports), batch):
        words = tokenizer(list(reports[start : start + batch]), **options, return_tensors="pt")
        with torch.inference_mode():
            probability = torch.sigmoid(model(**words).logits).numpy()
        states.append((probability >= np.array(BERT_THRESHOLD)).astype(np.int8))
    return np.concatenate(states)


def main(arguments: list[str]) -> int:
    """Run the command line: exit status. ECGs without a report get -1 everywhere."""
    parser = argparse.ArgumentParser(prog="python -m ecglib.language.bert_labels")
    parser.add_argument("--model", type=Path, required=True, help="folder of the classifier")
    parser.add_argument("--cohort", type=Path, required=True, help="cohort folder of notebook 01")
    parser.add_argument("--out", type=Path, required=True, help="label table to write, a new file")
    options = parser.parse_args(arguments)
    if options.out.exists():
        raise FileExistsError(f"--out {options.out} exists; name a new file")
    records = Cohort.open(options.cohort).records
    reports = records["report"].tolist()
    states = label_with_bert(reports, options.model)
    states[[not report for report in reports]] = NOT_ASSESSABLE
    write_label_table(options.out, records["ecg_id"].tolist(), states)
    print(f"{options.out}: labels of {len(reports)} ECGs, {reports.count('')} without a report")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, FileNotFoundError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
