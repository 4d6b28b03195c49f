"""What the tokens hold: the network on the raw signal reads ECGs that were decoded from tokens.

The network is that of `raw_network`, trained on real signals and not trained further. What it
recognises in the decoded ECGs is in the tokens, whatever reads the tokens themselves.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from ecglib.classify.raw_network import RawNetwork
from ecglib.classify.train_classifier import HELD_OUT, write_scores
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.contract import mask_padding
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine


def score(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: write scores.parquet (row, label, score) of decoded ECGs, as `train_classifier` does.

    The labels are those that the network learned. A decoded ECG has zeros after the end of a short
    recording, as a stored one.

    Inputs: cohort, tokenizer, codes, raw (of `raw_network.train`).

    Config:
        rows (optional): record numbers to score beside the validation rows, on which thresholds are
            chosen; all of the roles test and transfer where absent.
    """
    machine.configure_torch()
    cohort, tokenizer = Cohort.open(inputs["cohort"]), load(inputs["tokenizer"]).to(machine.device)
    network = RawNetwork(**json.loads((inputs["raw"] / "config.json").read_text()))
    network.load_state_dict(load_file(inputs["raw"] / "model.safetensors"))
    n_valid = cohort.records["n_valid"].to_numpy().astype(np.int64)

    def read(rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = torch.from_numpy(n_valid[rows])
        codes = read_codes(inputs["codes"], rows).to(machine.device)
        return mask_padding(tokenizer.decode(codes), lengths), lengths

    given = [config["rows"]] if "rows" in config else [cohort.rows(role) for role in HELD_OUT[1:]]
    rows = np.unique(np.concatenate([cohort.rows("validation"), *given])).astype(np.int64)
    labels = pd.read_csv(inputs["raw"] / "labels.csv")["label"].tolist()
    write_scores(out, network, read, rows, labels, machine.device)
