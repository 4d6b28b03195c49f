"""The network on the raw signal, trained on real ECGs, reads ECGs that were decoded from tokens."""

import numpy as np
import pandas as pd
import pytest
import torch
from frozen_cohort import LBBB, MACHINE, TALL_R
from safetensors.torch import load_file

from ecglib.classify import decoded, raw_network
from ecglib.classify.validation import macro_auc
from ecglib.cohorts.store import Cohort
from ecglib.labels.label_set import PRESENT
from ecglib.tokenizers.encode import read_codes
from ecglib.tokenizers.load import load

RAW = {"widths": [8, 8, 8, 16], "blocks": 1, "dropout": 0.1, "epochs": 12, "batch": 32}
RAW |= {"learning_rate": 2e-2, "min_positives": 5}


@pytest.fixture(scope="module")
def raw(frozen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    raw_network.train(folder, {"cohort": frozen["cohort"]}, RAW, 0, MACHINE)
    return folder


@pytest.mark.parametrize("method", ["tokenizer", "bpe"])
@pytest.mark.parametrize("chosen", [True, False])
def test_scores_of_decoded_ecgs_follow_from_the_network_by_hand(
    frozen, raw, tmp_path, method, chosen
):
    cohort = Cohort.open(frozen["cohort"])
    codes = frozen["codes" if method == "tokenizer" else "bpe_codes"]
    inputs = {"cohort": frozen["cohort"], "tokenizer": frozen[method], "codes": codes, "raw": raw}
    test, validation = cohort.rows("test"), cohort.rows("validation")
    config = {"rows": test[:3].tolist()} if chosen else {}
    decoded.score(tmp_path, inputs, config, 0, MACHINE)
    table = pd.read_parquet(tmp_path / "scores.parquet")
    assert list(table.columns) == ["row", "label", "score"]
    scored = test[:3] if chosen else np.r_[test, cohort.rows("transfer")]
    assert sorted(table["row"].unique()) == sorted(np.r_[validation, scored])
    wide = table.pivot(index="row", columns="label", values="score")
    assert wide.columns.tolist() == [LBBB, TALL_R]
    n_valid = cohort.records["n_valid"].to_numpy()
    short = wide.index[n_valid[wide.index] < 2500][0]
    network = raw_network.RawNetwork(2, *(RAW[key] for key in raw_network.SIZES)).eval()
    network.load_state_dict(load_file(raw / "model.safetensors"))
    for row in (short, scored[0]):
        x = load(frozen[method]).decode(read_codes(codes, np.array([row])))
        x[..., n_valid[row] :] = 0.0
        with torch.no_grad():
            by_hand = torch.sigmoid(network(x, torch.tensor([n_valid[row]])))[0]
        np.testing.assert_allclose(wide.loc[row], by_hand, rtol=1e-4)
    if method == "bpe":  # LBBB lifts all leads by 1 mV, which byte pairs hold after any training
        present = (cohort.labels[wide.index][:, [LBBB]] == PRESENT).astype(int)
        auc = macro_auc(present, np.ones_like(present, dtype=bool), wide[[LBBB]].to_numpy())
        assert auc > 0.95
