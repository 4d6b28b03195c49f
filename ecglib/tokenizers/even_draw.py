"""The ECGs that byte pairs are learned from: drawn by chance, or evenly from clusters of like ECGs.

Merges are given to what is frequent. ECG-Byte's code therefore means to draw as many ECGs from each
of several clusters. It describes an ECG by 288 numbers (samples, spectrum, rate, waves), keeps the
components that hold 95 % of their variance, and groups these by k-means. Here are `ecg_features`
and the measurements of notebook 01, which are numbers of the same kinds, each with the variance 1
before the components are taken; the release divides by the spread after it.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.cohorts.workers import map_signals
from ecglib.signals.ecg_features import ecg_features
from ecglib.signals.leads import RATE
from ecglib.tokenizers.amplitude_bins import fit_bins
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.training import seeds
from ecglib.training.device import Machine

VARIANCE = 0.95  # share that the kept components hold
SCORED = 2000  # ECGs of which the silhouette is computed
STARTS = 10  # of k-means
AGAIN = 1000  # between the seeds of two draws by chance
ROLES = ("tokenizer_train", "test")


def numbers_of(inputs: dict[str, Path], rows: np.ndarray, machine: Machine) -> np.ndarray:
    """What describes some ECGs, (n, numbers); NaN where a wave cannot be measured."""
    features = map_signals(inputs["cohort"], rows, partial(ecg_features, rate=RATE), machine)
    features = list(tqdm(features, total=len(rows), desc="features", mininterval=2.0))
    measured = pd.read_parquet(inputs["measurements"] / "measurements.parquet").iloc[rows]
    return np.concatenate([pd.DataFrame(features), measured], axis=1, dtype=np.float64)


def ecgs_of(cohort: Cohort, rows: np.ndarray) -> list[np.ndarray]:
    """The valid samples of some ECGs, each (12, n) mV."""
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    return [x[:, :n] for x, n in zip(cohort.signals(rows), n_valid, strict=True)]


def released_rule(inertia: np.ndarray, silhouette: np.ndarray) -> int:
    """How many clusters the release takes; both arrays (k,) are of 2, 3, ... clusters. Its elbow
    is where the inertia falls most, which is the first step of any curve that flattens."""
    elbow = int(np.argmin(np.diff(inertia))) + 2
    return min(elbow, int(np.argmax(silhouette)) + 2)


def cluster(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `choice.parquet`, one row per number of clusters that was tried (clusters, inertia,
    silhouette), and `ecgs.parquet`, one row per ECG of the roles tokenizer_train and test (row,
    role, rule = its cluster by the release's number of clusters, many = by the configured one).

    Inputs: cohort, measurements (of the cohort).

    Config:
        most: clusters that are tried, from 2 on.
        many: clusters of the column of that name.
    """
    cohort = Cohort.open(inputs["cohort"])
    rows = {role: cohort.rows(role) for role in ROLES}
    numbers = {role: numbers_of(inputs, of, machine) for role, of in rows.items()}
    components = make_pipeline(
        SimpleImputer(keep_empty_features=True), StandardScaler(), PCA(VARIANCE, svd_solver="full")
    )
    train, tried, fitted = components.fit_transform(numbers[ROLES[0]]), [], {}
    for k in tqdm(range(2, max(config["most"], config["many"]) + 1), desc="k-means"):
        fitted[k] = KMeans(k, n_init=STARTS, random_state=seed).fit(train)
        drawn = {"sample_size": min(SCORED, len(train)), "random_state": seed}
        score = silhouette_score(train, fitted[k].labels_, **drawn)
        tried.append({"clusters": k, "inertia": fitted[k].inertia_, "silhouette": score})
    tried = pd.DataFrame(tried)
    rule = released_rule(tried["inertia"].to_numpy(), tried["silhouette"].to_numpy())
    tables = []
    for role, of in rows.items():
        z = components.transform(numbers[role])
        groups = {"rule": fitted[rule].predict(z), "many": fitted[config["many"]].predict(z)}
        tables.append(pd.DataFrame({"row": of, "role": role, **groups}))
    tried.to_parquet(out / "choice.parquet")
    pd.concat(tables, ignore_index=True).to_parquet(out / "ecgs.parquet")


def draw(groups: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Places of `number` ECGs whose groups are given (n,): each group in turn gives one, drawn by
    seed, until it has no more. With a group for each ECG it is a draw by chance."""
    order = np.random.default_rng(seeds.sub_seed(seed, "bpe")).permutation(len(groups))
    turn = pd.Series(order).groupby(groups[order]).cumcount().to_numpy()
    return order[np.argsort(turn, kind="stable")][:number]


def draw_by(by: str, known: pd.DataFrame, number: int, seed: int) -> np.ndarray:
    """Places of the ECGs that are drawn of `known`, a table with columns of clusters; `by` as in
    `fit`."""
    groups = np.arange(len(known)) if by in ("chance", "again") else known[by].to_numpy()
    return draw(groups, number, seed + AGAIN if by == "again" else seed)


def fit(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: byte pairs as of `bpe.fit_bpe`, whose merges are learned from ECGs that are drawn
    evenly from clusters. The bins are those of a draw by chance, so that the letters are equal.

    Inputs: cohort, clusters (of `cluster`).

    Config:
        ecgs: their number.
        merges: number of merges.
        released: count, join and encode as the released code does.
        inverse: voltage of a letter, as of `bpe.fit_bpe`.
        by: a column of the clusters; `chance`, the draw of `bpe.fit_bpe`; or `again`, another one.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    known = pd.read_parquet(inputs["clusters"] / "ecgs.parquet")
    known = known[known["role"] == ROLES[0]]
    chosen = [draw_by(by, known, config["ecgs"], seed) for by in ("chance", config["by"])]
    by_chance, ecgs = (ecgs_of(cohort, np.sort(known["row"].to_numpy()[of])) for of in chosen)
    bins = fit_bins(np.concatenate([ecg.ravel() for ecg in by_chance]), config["inverse"])
    BPETokenizer.fit(bins, ecgs, config["merges"], config["released"]).save(out)
