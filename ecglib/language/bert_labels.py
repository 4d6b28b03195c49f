"""ECG-Tok's report classifier, a BERT, instead of the labelling rules.

ECG-Tok labels reports with a BERT that gives 77 probabilities in the order of labels77.csv and
calls each present from its own threshold (section 2.1). The released classifier
``heartwise/Bert_diagnosis2classification`` is gated and therefore not fetched here. It does not
distinguish absent from uncertain, history or not assessable.

    python -m ecglib.language.bert_labels --model DIR --source mimic --data-root DIR --out FILE

writes a label table of all ECGs of a data folder, with the source's own identifiers; it reads no
signal. In the data folder, and named in the data plan (cohort key ``label_table``), it replaces the
labels. The new file changes the folder's fingerprint, so it belongs there before the first run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from ecglib.cohorts.label_table import write_label_table
from ecglib.cohorts.report_words import listed
from ecglib.labels.label_set import BERT_THRESHOLD, LABELS, NOT_ASSESSABLE
from ecglib.training.device import choose_machine

WORDPIECES = 512  # of a report that the model sees


def label_with_bert(
    reports: Sequence[str], folder: Path, batch: int = 32, device: str = "cpu"
) -> np.ndarray:
    """Label states of n reports by the authors' classifier: int8 (n, 77), PRESENT or ABSENT.

    Args:
        folder: a model of the transformers library: ``config.json``, ``model.safetensors`` and
            the files of its tokenizer.
        batch: reports at a time; reports of like length in sequence need the least padding.
        device: of the classifier, cpu or cuda.

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
    model.eval().to(device)
    options = {"padding": True, "truncation": True, "max_length": WORDPIECES}
    states = [np.zeros((0, len(LABELS)), np.int8)]
    for start in tqdm(range(0, len(reports), batch), unit="batch", disable=None):
        words = tokenizer(list(reports[start : start + batch]), **options, return_tensors="pt")
        with torch.inference_mode():
            probability = torch.sigmoid(model(**words.to(device)).logits).cpu().numpy()
        states.append((probability >= np.array(BERT_THRESHOLD)).astype(np.int8))
    return np.concatenate(states)


def main(arguments: list[str]) -> int:
    """Run the command line: exit status. ECGs without a report get -1 everywhere."""
    parser = argparse.ArgumentParser(prog="python -m ecglib.language.bert_labels")
    parser.add_argument("--model", type=Path, required=True, help="folder of the classifier")
    parser.add_argument("--source", required=True, help="the data plan's, such as mimic")
    parser.add_argument("--data-root", type=Path, required=True, help="folder of the release")
    parser.add_argument("--out", type=Path, required=True, help="label table to write, a new file")
    options = parser.parse_args(arguments)
    if options.out.exists():
        raise FileExistsError(f"--out {options.out} exists; name a new file")
    records = listed(options.source, options.data_root)
    reports = records["report"].tolist()
    distinct = sorted(set(reports), key=lambda text: (len(text), text))
    hardware = {"device": "auto", "dtype": "float32", "threads": torch.get_num_threads()}
    machine = choose_machine(hardware)
    chosen = machine.reason.partition(";")[0]
    print(f"{len(distinct)} distinct reports of {len(reports)} ECGs, on {chosen}")
    read = label_with_bert(distinct, options.model, device=machine.device)
    place = {text: row for row, text in enumerate(distinct)}
    states = read[[place[report] for report in reports]]
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
