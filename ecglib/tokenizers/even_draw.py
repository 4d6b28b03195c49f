"""The ECGs that merges are learned from: drawn by chance, or evenly from clusters of like ECGs.

Merges are given to what is frequent. ECG-Byte's code therefore means to draw as many ECGs from each
of several clusters. It describes an ECG by 288 numbers (samples, spectrum, rate, waves), keeps the
components that hold 95 % of their variance, and groups these by k-means.

Ours: the numbers are those of `ecg_features` and of notebook 01, with a mark where a wave cannot be
measured. Each has the variance 1, and outliers are clipped, before the components are taken; the
release divides by the spread after it. An even draw goes round the clusters, where the release
draws a quota of each and the rest by chance.
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
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tqdm import tqdm

from ecglib.cohorts.store import Cohort
from ecglib.cohorts.workers import map_signals
from ecglib.signals.ecg_features import ecg_features
from ecglib.signals.leads import RATE
from ecglib.tokenizers.bpe import BPETokenizer
from ecglib.tokenizers.load import load
from ecglib.training import seeds
from ecglib.training.device import Machine

VARIANCE = 0.95  # share that the kept components hold
CLIP = 5.0  # standard deviations; no single number makes a cluster
SCORED = 2000  # ECGs of which the silhouette is computed
STARTS = 10  # of k-means
ROLES = ("tokenizer_train", "test")
DESCRIBED = ("amplitude", "power")  # the views that are read; a disturbance is no kind of ECG


def numbers_of(inputs: dict[str, Path], rows: np.ndarray, machine: Machine) -> np.ndarray:
    """What describes some ECGs, (n, numbers); NaN where a wave cannot be measured."""
    features = map_signals(inputs["cohort"], rows, partial(ecg_features, rate=RATE), machine)
    features = pd.DataFrame(tqdm(features, total=len(rows), desc="features", mininterval=2.0))
    features = features[[name for name in features if name.startswith(DESCRIBED)]]
    measured = pd.read_parquet(inputs["measurements"] / "measurements.parquet").iloc[rows]
    measured = measured[[name for name in measured if not name.endswith("axis")]]  # no line
    return np.concatenate([features, measured], axis=1, dtype=np.float64)


def released_rule(inertia: np.ndarray, silhouette: np.ndarray) -> int:
    """How many clusters the release looks for; both arrays (k,) are of 2, 3, ... clusters. Its
    elbow is where the inertia falls most, which is the first step of any curve that flattens. With
    fewer than three clusters it then tries DBSCAN, which is not done here."""
    elbow = int(np.argmin(np.diff(inertia))) + 2
    return min(elbow, int(np.argmax(silhouette)) + 2)


def cluster(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: `choice.parquet`, one row per number of clusters that was tried (clusters, inertia,
    silhouette), and `ecgs.parquet`, one row per ECG of the roles tokenizer_train and test (row,
    role, and its cluster among `few` and among `many`).

    Inputs: cohort, measurements (of the cohort).

    Config:
        most: clusters that are tried, from 2 on.
        few: clusters of the column of that name.
        many: clusters of the column of that name.
    """
    cohort = Cohort.open(inputs["cohort"])
    rows = {role: cohort.rows(role) for role in ROLES}
    numbers = {role: numbers_of(inputs, of, machine) for role, of in rows.items()}
    imputed = SimpleImputer(keep_empty_features=True, add_indicator=True)
    clipped = FunctionTransformer(np.clip, kw_args={"a_min": -CLIP, "a_max": CLIP})
    components = make_pipeline(imputed, StandardScaler(), clipped, PCA(VARIANCE, svd_solver="full"))
    train, tried, fitted = components.fit_transform(numbers[ROLES[0]]), [], {}
    most = max(config[name] for name in ("most", "few", "many"))
    for k in tqdm(range(2, most + 1), desc="k-means"):
        fitted[k] = KMeans(k, n_init=STARTS, random_state=seed).fit(train)
        drawn = {"sample_size": min(SCORED, len(train)), "random_state": seed}
        score = silhouette_score(train, fitted[k].labels_, **drawn)
        tried.append({"clusters": k, "inertia": fitted[k].inertia_, "silhouette": score})
    tables = []
    for role, of in rows.items():
        z = components.transform(numbers[role])
        groups = {name: fitted[config[name]].predict(z) for name in ("few", "many")}
        tables.append(pd.DataFrame({"row": of, "role": role, **groups}))
    pd.DataFrame(tried).to_parquet(out / "choice.parquet")
    pd.concat(tables, ignore_index=True).to_parquet(out / "ecgs.parquet")


def draw(groups: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Places of `number` ECGs whose groups are given (n,): each group in turn gives one, drawn by
    seed, until it has no more. With a group for each ECG it is a draw by chance."""
    order = np.random.default_rng(seed).permutation(len(groups))
    turn = pd.Series(order).groupby(groups[order]).cumcount().to_numpy()
    return order[np.argsort(turn, kind="stable")][:number]


def draw_by(by: str, known: pd.DataFrame, number: int, seed: int) -> np.ndarray:
    """Places of the ECGs that are drawn of `known`, evenly over its column `by`, or by chance if it
    has none of that name. Each `by` draws anew, so two by chance have hardly an ECG in common."""
    groups = known[by].to_numpy() if by in known else np.arange(len(known))
    return draw(groups, number, seeds.sub_seed(seed, "even_draw", by))


def fit(out: Path, inputs: dict[str, Path], config: dict, seed: int, machine: Machine) -> None:
    """Step: byte pairs whose merges are learned from ECGs that are drawn evenly from clusters, or
    by chance. The bins are given, so that an ECG has the same letters whatever was drawn.

    Inputs: cohort, clusters (of `cluster`), bins (byte pairs).

    Config:
        ecgs: number of ECGs from which the merges are learned.
        merges: number of merges.
        released: count, join and encode as the released code does.
        inverse: voltage of a letter, which the given bins have.
        by: a column of the clusters, or a name for a draw by chance.

    Raises ValueError: the ECGs have fewer pairs than merges.
    """
    machine.configure_torch()
    cohort = Cohort.open(inputs["cohort"])
    known = pd.read_parquet(inputs["clusters"] / "ecgs.parquet")
    known = known[known["role"] == ROLES[0]]
    drawn = draw_by(config["by"], known, config["ecgs"], seed)
    rows = np.sort(known["row"].to_numpy()[drawn])
    n_valid = cohort.records["n_valid"].to_numpy()[rows]
    ecgs = [x[:, :n] for x, n in zip(cohort.signals(rows), n_valid, strict=True)]
    bins = load(inputs["bins"]).bins
    tokenizer = BPETokenizer.fit(bins, ecgs, config["merges"], config["released"])
    if len(tokenizer.merges) < config["merges"]:
        got = f"{len(tokenizer.merges)} merges in {len(ecgs)} ECGs"
        raise ValueError(f"expected {config['merges']} merges, got {got}; draw more ECGs")
    tokenizer.save(out)
