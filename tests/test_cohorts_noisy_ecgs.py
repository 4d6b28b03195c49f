"""ECGs with noise under their own record numbers, and their codes among those of the cohort."""

import numpy as np
import pytest
from builds import build_cohort, refused

from ecglib.cohorts import noisy_ecgs
from ecglib.cohorts.store import Cohort
from ecglib.simulator.added_noise import KINDS
from ecglib.tokenizers import encode_again
from ecglib.tokenizers.encode import encode_rows
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


def ratio(clean: np.ndarray, noisy: np.ndarray) -> float:
    """Signal-to-noise ratio (dB) of an ECG (12, T)."""
    power = np.square(clean - clean.mean(1, keepdims=True)).mean()
    return 10 * np.log10(power / np.square(noisy - clean).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_its_size_up_to_the_end_of_an_ecg(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(noisy_ecgs, "SHARD", 2)  # so three ECGs need two shards
    plain = build_cohort(tmp_path / "plain", patients=8)
    n_valid = plain.records["n_valid"].to_numpy()
    rows = np.array([5, np.argmin(n_valid), np.argmax(n_valid)])
    signals = {}
    for snr in (12, 0):
        (out := tmp_path / f"{snr}").mkdir()
        config = {"rows": rows.tolist(), "kind": kind, "snr": snr}
        noisy_ecgs.add(out, {"cohort": plain.folder}, config, 0, MACHINE)
        noisy = Cohort.open(out)
        assert noisy.records.drop(columns="place").equals(plain.records.drop(columns="place"))
        others = np.setdiff1d(plain.rows(), rows)
        np.testing.assert_array_equal(noisy.signals(others), plain.signals(others))
        signals[snr] = noisy.signals(rows).astype(float)
        for row, one in zip(rows, signals[snr], strict=True):
            clean = plain.signals([row])[0].astype(float)
            until = n_valid[row]
            # the noise of a short ECG is scaled over ten seconds of it, of which a part is kept
            near = 0.1 if until == clean.shape[1] else 6.0
            assert ratio(clean[:, :until], one[:, :until]) == pytest.approx(snr, abs=near)
            assert not one[:, until:].any()
    clean = plain.signals(rows).astype(float)
    large, small = (signals[snr] - clean for snr in (0, 12))
    np.testing.assert_allclose(large, small * 10 ** (12 / 20), atol=4e-3)  # the same noise, in mV


def test_an_unknown_kind_of_noise_is_refused(tmp_path):
    plain = build_cohort(tmp_path / "plain", patients=4)
    config = {"rows": [0], "kind": "hiss", "snr": 0}
    refused("'hiss'", noisy_ecgs.add, tmp_path, {"cohort": plain.folder}, config, 0, MACHINE)


def test_noisy_ecgs_are_encoded_again_among_the_codes_of_the_others(frozen, tmp_path):
    cohort, tokenizer = Cohort.open(frozen["cohort"]), load(frozen["tokenizer"])
    rows = cohort.rows("test")[:3]
    for name in ("before", "noisy", "after"):
        (tmp_path / name).mkdir()
    codes = encode_rows(tokenizer, cohort, cohort.rows())
    np.save(tmp_path / "before" / "codes.npy", codes)
    config = {"rows": rows.tolist()}
    noise = config | {"kind": "muscle", "snr": 0}
    noisy_ecgs.add(tmp_path / "noisy", {"cohort": cohort.folder}, noise, 0, MACHINE)
    inputs = {"cohort": tmp_path / "noisy", "tokenizer": frozen["tokenizer"]}
    inputs |= {"codes": tmp_path / "before"}
    encode_again.encode(tmp_path / "after", inputs, config, 0, MACHINE)
    after, noisy = np.load(tmp_path / "after" / "codes.npy"), Cohort.open(tmp_path / "noisy")
    others = np.setdiff1d(cohort.rows(), rows)
    np.testing.assert_array_equal(after[others], codes[others])
    np.testing.assert_array_equal(after[rows], encode_rows(tokenizer, noisy, rows))
    assert (after[rows] != codes[rows]).any()
