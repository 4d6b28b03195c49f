"""ECGs from which merges are learned, drawn by chance and evenly from clusters."""

import numpy as np
import pandas as pd
import pytest

from ecglib.cohorts import cohort_features
from ecglib.cohorts.store import Cohort
from ecglib.tokenizers import bpe, even_draw
from ecglib.tokenizers.load import load
from ecglib.training.device import Machine

MACHINE = Machine("cpu", "float32", 1, "test")


def test_each_group_in_turn_gives_one_until_it_has_no_more():
    groups = np.array([0] * 90 + [1] * 8 + [2] * 2)
    drawn = even_draw.draw(groups, 21, seed=0)
    assert len(set(drawn)) == 21
    assert np.bincount(groups[drawn]).tolist() == [11, 8, 2]
    assert set(drawn) != set(even_draw.draw(groups, 21, seed=1))


def test_the_released_rule_looks_for_two_clusters_where_the_inertia_flattens():
    k = np.arange(2, 12)
    silhouette = np.exp(-((k - 7.0) ** 2))  # best at 7
    assert even_draw.released_rule(1 / k, silhouette) == 2
    assert even_draw.released_rule(-(k**2), silhouette) == 7  # it falls ever more


def test_merges_are_learned_from_the_ecgs_that_are_drawn(frozen, tmp_path):
    for name in ("measurements", "clusters", "own", "chance", "again", "few"):
        (tmp_path / name).mkdir()
    only = {"cohort": frozen["cohort"]}
    cohort_features.measure_cohort(tmp_path / "measurements", only, {}, 0, MACHINE)
    given = only | {"measurements": tmp_path / "measurements"}
    sizes = {"most": 4, "few": 2, "many": 3}
    even_draw.cluster(tmp_path / "clusters", given, sizes, 0, MACHINE)
    ecgs = pd.read_parquet(tmp_path / "clusters" / "ecgs.parquet")
    train = ecgs[ecgs["role"] == "tokenizer_train"]
    assert train["row"].tolist() == Cohort.open(frozen["cohort"]).rows("tokenizer_train").tolist()
    assert set(train["many"]) == {0, 1, 2} and set(train["few"]) == {0, 1}
    choice = pd.read_parquet(tmp_path / "clusters" / "choice.parquet")
    assert choice["clusters"].tolist() == [2, 3, 4] and choice["silhouette"].between(-1, 1).all()
    config = {"ecgs": 5, "merges": 40, "released": False, "inverse": "centre"}
    bpe.fit_bpe(tmp_path / "own", only, config, 3, MACHINE)
    given = only | {"clusters": tmp_path / "clusters", "bins": tmp_path / "own"}
    fitted = {"own": load(tmp_path / "own")}
    for by in ("chance", "again", "few"):
        even_draw.fit(tmp_path / by, given, config | {"by": by}, 3, MACHINE)
        fitted[by] = load(tmp_path / by)
        assert vars(fitted[by].bins) == vars(fitted["own"].bins), "the letters are equal"
    assert len({of.merges.tobytes() for of in fitted.values()}) == len(fitted)
    with pytest.raises(ValueError, match="draw more ECGs"):
        even_draw.fit(tmp_path / "few", given, config | {"by": "few", "merges": 10**6}, 3, MACHINE)
