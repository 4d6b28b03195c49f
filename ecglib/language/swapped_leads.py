"""Codes of ECGs whose leads stand in another order, as if a file had been read by position.

MIMIC-IV-ECG stores aVF before aVL, PTB-XL aVL before aVF. HeartLLM's released code reads both by
position. Here leads are read by name, so the mistake has to be made on purpose.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS
from ecglib.tokenizers.encode import encode_rows
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine


@dataclass(frozen=True)
class Reordered(Cohort):
    """A cohort whose leads are handed out in another order."""

    order: tuple[int, ...] = tuple(range(len(LEADS)))

    def signals(self, rows: np.ndarray) -> np.ndarray:
        """As of the cohort, (len(rows), 12, 2500) in mV, in this order of leads."""
        return super().signals(rows)[:, list(self.order)]


def encode(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `codes.npy` as in `tokenizers.encode`, where some ECGs have two leads exchanged.

    Inputs:
        cohort: the cohort.
        tokenizer: a trained one whose sequences have one length.
        codes: of the whole cohort, for all other ECGs.

    Config:
        rows: record numbers of the ECGs.
        leads: names of the two leads.

    Raises ValueError: not two leads of the twelve.
    """
    machine.configure_torch()
    if len(set(config["leads"]) & set(LEADS)) != 2 or len(config["leads"]) != 2:
        raise ValueError(f"expected two leads of {', '.join(LEADS)}, got {config['leads']}")
    one, other = (LEADS.index(lead) for lead in config["leads"])
    order = list(range(len(LEADS)))
    order[one], order[other] = other, one
    cohort, codes = Cohort.open(inputs["cohort"]), np.load(inputs["codes"] / "codes.npy")
    rows, swapped = np.array(config["rows"]), Reordered(**vars(cohort), order=tuple(order))
    codes[rows] = encode_rows(load(inputs["tokenizer"]), swapped, rows)
    np.save(out / "codes.npy", codes)
