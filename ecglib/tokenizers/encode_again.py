"""Codes of a few ECGs that have changed, among those of their cohort."""

from pathlib import Path

import numpy as np

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.encode import encode_rows
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine


def encode(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `codes.npy` as in `tokenizers.encode`, of which some records are encoded again.

    Inputs:
        cohort: with the changed ECGs.
        tokenizer: a trained one whose sequences have one length.
        codes: of the whole cohort, for all other ECGs.

    Config:
        rows: record numbers of the changed ECGs.
    """
    machine.configure_torch()
    rows, codes = np.array(config["rows"]), np.load(inputs["codes"] / "codes.npy")
    codes[rows] = encode_rows(load(inputs["tokenizer"]), Cohort.open(inputs["cohort"]), rows)
    np.save(out / "codes.npy", codes)
