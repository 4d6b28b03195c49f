"""A small labelled cohort, tokenizers of it and their codes: what the tests of heads only read."""

from pathlib import Path

import numpy as np
from _cohort import write_cohort
from builds import change

from ecglib.labels.label_set import LABELS, NOT_ASSESSABLE, UNCERTAIN, Label
from ecglib.signals.leads import SAMPLES
from ecglib.tokenizers import encode, train
from ecglib.tokenizers.bpe import fit_bpe
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")
TOKENIZER = {"method": "rvq", "quantiser": {"codebooks": 3, "codewords": 8}, "batch": 16}
TOKENIZER |= {"autoencoder": {"kind": "strided", "widths": [8, 16], "strides": [8, 8]}}
TOKENIZER |= {"learning_rate": 3e-3, "commitment": 0.25, "revive_every": 5, "steps": 10}
BPE = {"ecgs": 5, "merges": 20, "released": False, "inverse": "centre"}
NAMES = ("cohort", "tokenizer", "codes", "bpe", "bpe_codes", "features")
LBBB, TALL_R = Label.LBBB, Label.TALL_R_AVL


def make(base: Path) -> None:
    """Write 150 flat ECGs, except that LBBB lifts every lead by 1 mV. A patient has two.

    One more label is frequent, one always uncertain, one present once, the others unknown. Some
    test ECGs are of the role transfer. `features` are random.
    """
    folders, rng, records = {name: base / name for name in NAMES}, np.random.default_rng(0), []
    for i in range(150):
        labels = np.full(len(LABELS), NOT_ASSESSABLE, np.int8)
        labels[[LBBB, TALL_R, Label.SOKOLOW]] = i // 2 % 2, rng.random() < 0.3, UNCERTAIN
        labels[Label.T_INVERSION_LATERAL] = i == 0
        signal = 0.05 * rng.normal(size=(12, SAMPLES)) + labels[LBBB]
        record = {"signal": signal.astype(np.float32), "labels": labels, "age": 50.0, "sex": "F"}
        record |= {"ecg_id": f"e{i}", "patient_id": f"p{i // 2}", "site": "AB"[i % 3 == 0]}
        records.append(record | {"n_valid": SAMPLES if i % 5 else 1000})
    cohort = write_cohort(folders["cohort"], records, seed=0)
    split = cohort.records["split"].to_numpy().copy()
    split[np.flatnonzero(split == "test")[:6]] = "transfer"
    change(folders["cohort"] / "records.parquet", split=split)
    for name in NAMES[1:]:
        folders[name].mkdir()
    train.train_jointly(folders["tokenizer"], folders, TOKENIZER, 0, MACHINE)
    encode.encode(folders["codes"], folders, {"batch": 64}, 0, MACHINE)
    fit_bpe(folders["bpe"], folders, BPE, 0, MACHINE)
    of_bpe = folders | {"tokenizer": folders["bpe"]}
    encode.encode(folders["bpe_codes"], of_bpe, {"batch": 64}, 0, MACHINE)
    features = rng.normal(size=(len(records), 10, 4)).astype(np.float16)
    np.save(folders["features"] / "features.npy", features)
    np.save(folders["features"] / "lengths.npy", np.full(len(records), 10))
