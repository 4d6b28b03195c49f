"""Fitting ECG-Byte's tokenizer, as a step function: a cohort in, a saved tokenizer out."""

from pathlib import Path

import numpy as np

from ecglib.cohorts.store import Cohort
from ecglib.tokenizers.amplitude_bins import fit_letters
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.training import seeds
from ecglib.training.device import Machine


def bpe(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: bins and merges from ECGs of the role tokenizer_train; inputs: `cohort`.

    Keys of config: `ecgs` (the percentiles and the merges are learned from so many, drawn by seed),
    `merges`, `published` and `inverse`.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    rows = cohort.rows("tokenizer_train")
    drawn = np.random.default_rng(seeds.sub_seed(seed, "bpe")).permutation(rows)[: config["ecgs"]]
    drawn = np.sort(drawn)
    n_valid = cohort.records["n_valid"].to_numpy()[drawn]
    ecgs = [x[:, :n] for x, n in zip(cohort.signals(drawn), n_valid, strict=True)]
    letters = fit_letters(np.concatenate([ecg.ravel() for ecg in ecgs]), config["inverse"])
    BPETokenizer.fit(letters, ecgs, config["merges"], config["published"]).save(out)
