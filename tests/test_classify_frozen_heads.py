"""What every classifier trains on and writes."""

import numpy as np
import pandas as pd
import pytest
import torch
from builds import refused
from frozen_cohort import LBBB, MACHINE, TALL_R
from safetensors.torch import load_file
from sklearn.metrics import log_loss, roc_auc_score

from ecglib.classify import train_classifier
from ecglib.classify.efficientnet import LinearProbe
from ecglib.classify.reads import reader
from ecglib.classify.targets import binary_targets, labelled_rows
from ecglib.classify.validation import Validation, macro_auc
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers import encode
from ecglib.tokenizers.load import load
from ecglib.tokenizers.pair_grid import pair_grid
from ecglib.training import loop

LINEAR = {"network": "linear", "epochs": 4, "batch": 8, "learning_rate": 5e-2, "min_positives": 5}
LINEAR |= {"reads": "vectors"}
HEAD = {"network": "efficientnet", "widths": [4, 4, 8, 8], "depths": [1, 1, 1, 1]}
HEAD |= {"expansions": [1, 1, 2, 2], "kernels": [3, 3, 5, 3], "strides": [1, 2, 1, 2]}
HEAD |= {"dropout": 0.0, "stochastic_depth": 0.1, "epochs": 2, "batch": 32}
HEAD |= {"learning_rate": 1e-2, "min_positives": 5, "reads": "vectors"}
RAW = LINEAR | {"network": "raw", "reads": "signals", "widths": [4, 4, 4, 8], "blocks": 1}
RAW |= {"dropout": 0.1, "label_share": 0.5, "epochs": 2, "batch": 32}
DEEP_SL = HEAD | {"network": "deep_sl", "reads": "signals", "stem_widths": [4, 8]}
DEEP_SL |= {"stem_strides": [8, 4], "learning_rate": 5e-2, "keep_best": True}
FILES = {"scores.parquet", "history.csv", "validation.csv", "budget.csv", "labels.csv"}
FILES |= {"model.safetensors", "config.json"}


def test_byte_pairs_on_a_grid_by_hand(frozen):
    """Two tokens per lead of 20 samples: 12 samples, then 8 from the first cell into the second."""
    one, other = [1.0, 2.0, 3.0, 5.0], [-1.0, 0.0, 4.0, 2.0]  # first, mean, last, log2 length
    tokens = np.array([one, other] * 12, np.float32)
    grid = pair_grid(tokens, np.array([12, 8] * 12), 20)
    assert grid.shape == (2, 48)
    first = [(12 * 2.0 + 4 * 0.0) / 16, -1.0, 4.0, (12 * 5.0 + 4 * 2.0) / 16]
    np.testing.assert_allclose(grid[0], first * 12)
    np.testing.assert_allclose(grid[1], [0.0, -1.0, 4.0, 2.0] * 12)
    cohort, rows = Cohort.open(frozen["cohort"]), np.array([9, 5])
    n_valid = torch.tensor(cohort.records["n_valid"].to_numpy()[rows])
    codes = encode.read_codes(frozen["bpe_codes"], rows)
    vectors, lengths = load(frozen["bpe"]).features(codes, n_valid)
    assert vectors.shape == (2, 157, 48) and lengths.tolist() == [157, 63]
    assert (vectors[1, 63:] == 0).all()
    decoded = load(frozen["bpe"]).decode(encode.read_codes(frozen["bpe_codes"], rows))
    cells = decoded[0, :, :2496].unflatten(1, (156, 16)).mean(2).T  # of the decoded voltages
    error = (vectors[0, :156].unflatten(1, (12, 4))[..., 0] - cells).abs().mean()
    assert error < 0.5 * cells.abs().mean()


def test_labelled_patients_are_nested(frozen):
    cohort = Cohort.open(frozen["cohort"])
    units = cohort.records["unit"].to_numpy()
    rows = {share: labelled_rows(cohort, share, 3) for share in (0.05, 0.3, 1.0)}
    assert (rows[1.0] == cohort.rows("train")).all()
    assert set(rows[0.05]) < set(rows[0.3]) < set(rows[1.0])
    patients = len(np.unique(units[rows[1.0]]))
    assert len(np.unique(units[rows[0.3]])) == np.ceil(0.3 * patients)
    train_rows = cohort.rows("train")
    whole = train_rows[np.isin(units[train_rows], units[rows[0.3]])]
    assert (rows[0.3] == whole).all()  # all ECGs of a drawn patient
    assert set(labelled_rows(cohort, 0.3, 4)) != set(rows[0.3])
    refused("above 0 and at most 1", labelled_rows, cohort, 0.0, 0)


@pytest.mark.parametrize("method", ["head", "linear", "raw", "deep_sl"])
def test_every_training_writes_the_same_files(frozen, tmp_path, method):
    cohort = Cohort.open(frozen["cohort"])
    config = {"head": HEAD, "linear": LINEAR, "raw": RAW, "deep_sl": DEEP_SL}[method]
    train_classifier.train(tmp_path, frozen, config, 0, MACHINE)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == FILES
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    roles = cohort.records["split"].to_numpy()[scores["row"]]
    assert set(roles) == {"validation", "test", "transfer"} and not scores["score"].isna().any()
    assert pd.read_csv(tmp_path / "labels.csv")["label"].tolist() == scores["label"][:2].tolist()
    budget = pd.read_csv(tmp_path / "budget.csv")
    ecgs = len(labelled_rows(cohort, config.get("label_share", 1), 0))
    assert budget.loc[0, "labelled_ecgs"] == ecgs
    assert budget.loc[0, "ecg_views"] == config["epochs"] * ecgs
    steps = config["epochs"] * int(np.ceil(ecgs / config["batch"]))
    assert len(pd.read_csv(tmp_path / "history.csv")) == steps
    # The scores of the validation rows have the loss and the AUC that the table gives.
    table = pd.read_csv(tmp_path / "validation.csv")
    assert table["epoch"].tolist() == list(range(1, config["epochs"] + 1))
    scored = table.loc[table["loss"].idxmin()] if method == "deep_sl" else table.iloc[-1]
    chosen = scores[roles == "validation"]
    target = cohort.labels[chosen["row"], chosen["label"]]
    assert scored["loss"] == pytest.approx(log_loss(target, chosen["score"]), abs=1e-5)
    areas = [roc_auc_score(target[of], chosen["score"][of]) for of in by_label(chosen)]
    assert scored["macro_auc"] == pytest.approx(np.mean(areas))


def by_label(scores: pd.DataFrame) -> list[np.ndarray]:
    return [scores["label"].to_numpy() == label for label in scores["label"].unique()]


def test_standardised_by_the_valid_positions_of_training_ecgs(frozen, tmp_path):
    """With those of test ECGs, or of padding, a probe would know the set that it is scored on."""
    x, lengths = torch.randn(700, 5, 3), torch.randint(1, 6, (700,))
    inside = torch.cat([row[:n] for row, n in zip(x, lengths, strict=True)])
    mean, scale = train_classifier.moments(lambda rows: (x[rows], lengths[rows]), np.arange(700))
    torch.testing.assert_close(mean, inside.mean(0))
    torch.testing.assert_close(scale, inside.std(0, unbiased=False), atol=1e-5, rtol=1e-5)
    train_classifier.train(tmp_path, frozen, LINEAR | {"epochs": 1}, 0, MACHINE)
    cohort, stored = Cohort.open(frozen["cohort"]), load_file(tmp_path / "model.safetensors")
    rows = cohort.rows("train")
    mean, scale = train_classifier.moments(reader("vectors", frozen, cohort, rows), rows)
    torch.testing.assert_close(stored["mean"], mean)
    torch.testing.assert_close(stored["scale"], scale)


@pytest.mark.parametrize("keep_best", [False, True])
def test_an_interrupted_training_ends_in_the_same_files(frozen, tmp_path, monkeypatch, keep_best):
    """It is stopped after a checkpoint, some epochs later; the table and the best weights agree."""
    cohort = Cohort.open(frozen["cohort"])
    short = lambda *given, **options: loop.Schedule(*given, **options, checkpoint_every=7)  # noqa: E731
    monkeypatch.setattr(train_classifier, "Schedule", short)
    torch.manual_seed(0)
    vectors = torch.randn(len(cohort), 3, 4)
    lengths = torch.full((len(cohort),), 3)
    labels, rows = [int(LBBB), int(TALL_R)], cohort.rows("train")
    calls = []

    def run(out, stop: int) -> None:
        def read(wanted: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            calls.append(len(wanted))
            if len(calls) == stop:
                raise KeyboardInterrupt
            return vectors[wanted], lengths[wanted]

        calls.clear()
        torch.manual_seed(1)
        task = train_classifier.Task(cohort, labels, rows, read, cohort.labels)
        given = (LINEAR | {"batch": 16}, "toy", 0, MACHINE, 0.0, keep_best)
        train_classifier.train_and_score(out, LinearProbe(4, 2), task, *given)

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    run(tmp_path / "one", 0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "two", len(calls) - 8)
    assert (tmp_path / "two" / "checkpoint" / "toy").is_dir()
    run(tmp_path / "two", 0)
    for file in FILES - {"config.json"}:
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two, file


def test_the_best_epoch_is_compared_with_earlier_ones_only(tmp_path):
    target, known = torch.tensor([[1.0], [0.0]]), torch.ones(2, 1, dtype=torch.bool)
    record = Validation(tmp_path, "toy", target, known, keep_best=True)
    network = LinearProbe(2, 1)

    def add(epoch: int, certainty: float) -> None:
        with torch.no_grad():
            network.classifier.bias.fill_(epoch)
        record.add(epoch, network, certainty * (2 * target - 1))

    add(1, 0.5)
    add(2, 2.0)  # the best
    add(3, 1.0)
    record.finish(tmp_path, network)
    assert network.classifier.bias.item() == 2
    add(2, 2.0)  # a resumed training repeats epoch 2
    add(3, 3.0)  # and goes another way
    record.finish(tmp_path, network)
    assert network.classifier.bias.item() == 3
    table = pd.read_csv(tmp_path / "validation.csv")
    assert table["epoch"].tolist() == [1, 2, 3] and table["macro_auc"].tolist() == [1.0] * 3
    assert table["loss"].tolist() == pytest.approx([np.log1p(np.exp(-c)) for c in (0.5, 2, 3)])


def test_a_macro_auc_skips_labels_without_a_positive():
    rng = np.random.default_rng(0)
    states = rng.integers(0, 4, size=(50, 3)).astype(np.int8)
    states[:, 2] = np.where(states[:, 2] == 1, 0, states[:, 2])
    target, known = binary_targets(states)
    score = rng.normal(size=(50, 3)).round(1)
    areas = [roc_auc_score(target[known[:, k], k], score[known[:, k], k]) for k in (0, 1)]
    assert macro_auc(target, known, score) == pytest.approx(np.mean(areas))
