"""Whether ECG and text embeddings share a space, by numbers that a UMAP picture cannot fake.

Four measures compare the same two clouds: the accuracy of a linear probe that separates them (0.5
is mixed, 1.0 two islands), the distance of their centroids, the share of the other kind among the
nearest neighbours (0.5 is mixed, 0 two islands), and the rank of an ECG's own text among all texts.
Clouds are (n, d) arrays; index i of both belongs to one recording.
"""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ecglib.evaluate import predictions
from ecglib.labels.findings import FINDINGS, SCORED
from ecglib.labels.label_set import PRESENT

FOLDS = 5
CUTOFFS = (1, 5, 10)
NO_FINDING = "other or none"
COLOURED = 6  # findings that have a colour in a picture


def _pair(ecg: np.ndarray, text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ecg, text = np.asarray(ecg, dtype=np.float64), np.asarray(text, dtype=np.float64)
    if ecg.ndim != 2 or ecg.shape != text.shape or len(ecg) < 2:
        raise ValueError(
            f"expected two (n, d) arrays of one shape with n >= 2, got {ecg.shape}, {text.shape};"
            " give one embedding of each kind per recording"
        )
    return ecg, text


@threadpool_limits.wrap(limits=1, user_api="blas")  # as `fit_ridge` of classify
def probe_correct(ecg: np.ndarray, text: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Share of a recording's two embeddings that a linear probe classifies right, (n,).

    The values are 0, 0.5 and 1. The probe is a logistic regression on standardised coordinates,
    cross-validated so that no patient is in both parts of a fold. The mean is the probe's accuracy;
    bootstrap it by patient.
    """
    ecg, text = _pair(ecg, text)
    groups = np.concatenate([patients, patients])
    folds = min(FOLDS, len(np.unique(patients)))
    if folds < 2:
        raise ValueError("expected at least 2 patients for the modality probe, got 1; add patients")
    x = np.concatenate([ecg, text])
    y = np.repeat([0, 1], len(ecg))
    correct = np.zeros(len(x))
    for train, test in GroupKFold(folds).split(x, y, groups):
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        correct[test] = probe.fit(x[train], y[train]).predict(x[test]) == y[test]
    return (correct[: len(ecg)] + correct[len(ecg) :]) / 2.0


def centroid_distance(ecg: np.ndarray, text: np.ndarray) -> float:
    """Distance of the centroids over the root mean square distance of points to their own centroid.

    0 is one cloud; 1 means that the gap is as wide as the clouds. NaN when both are single points.
    """
    ecg, text = _pair(ecg, text)
    gap = np.linalg.norm(ecg.mean(axis=0) - text.mean(axis=0))
    spread = [((cloud - cloud.mean(axis=0)) ** 2).sum(axis=1).mean() for cloud in (ecg, text)]
    within = np.sqrt(np.mean(spread))
    return float(gap / within) if within > 0 else float("nan")


def mixing(ecg: np.ndarray, text: np.ndarray, neighbours: int) -> np.ndarray:
    """Share of the other kind among the nearest neighbours of a recording's two embeddings, (n,).

    Neighbours are the nearest by the cosine among all 2n embeddings; the own partner counts as any
    other. Of mixed clouds the mean is n / (2n - 1), about one half; of two islands it is 0."""
    ecg, text = _pair(ecg, text)
    both, is_text = np.concatenate([ecg, text]), np.repeat([False, True], len(ecg))
    count = min(neighbours, len(both) - 1)
    search = NearestNeighbors(n_neighbors=count, metric="cosine").fit(both)
    nearest = search.kneighbors(return_distance=False)  # (2n, count), without the point itself
    other = (is_text[nearest] != is_text[:, None]).mean(axis=1)
    return (other[: len(ecg)] + other[len(ecg) :]) / 2.0


def ranks(ecg: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Rank (from 1) of each ECG's own text by cosine similarity among all n texts, (n,).

    Both clouds are centred first, so that a constant gap between the modalities does not matter.
    Ties count half (identical texts share their rank), so a collapsed space ranks at (n + 1) / 2.
    """
    ecg, text = _pair(ecg, text)
    similarity = np.round(_unit(ecg) @ _unit(text).T, 9)
    own = np.diag(similarity)[:, None]
    return 0.5 + (similarity > own).sum(axis=1) + 0.5 * (similarity == own).sum(axis=1)


def _unit(cloud: np.ndarray) -> np.ndarray:
    centred = cloud - cloud.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 0, length, 1.0)


def retrieval(ecg: np.ndarray, text: np.ndarray, seed: int) -> pd.DataFrame:
    """True pairs beside shuffled ones: pairs, rank, reciprocal_rank, recall_at_K (K of CUTOFFS).

    The shuffled pairs are a seeded rotation of a random order, so that no text stays with its ECG.
    The means are MRR and R@k; bootstrap them by patient.
    """
    ecg, text = _pair(ecg, text)
    order = np.random.default_rng(seed).permutation(len(ecg))
    other = np.empty(len(ecg), dtype=int)
    other[order] = np.roll(order, 1)
    tables = []
    for name, paired in (("true", text), ("shuffled", text[other])):
        rank = ranks(ecg, paired)
        table = pd.DataFrame({"pairs": name, "rank": rank})
        table["reciprocal_rank"] = 1.0 / rank
        for k in CUTOFFS:
            table[f"recall_at_{k}"] = (rank <= k).astype(float)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def measures(
    records: pd.DataFrame, method: str, level: str, ecg: np.ndarray, text: np.ndarray, seed: int
) -> pd.DataFrame:
    """Predictions with what a recording adds to each measure of two clouds.

    Items are `probe:<level>`, for true and shuffled pairs `<metric>:<level>:<pairs>` with the
    metrics reciprocal_rank, recall_at_1, recall_at_5 and recall_at_10, and
    `centroids_apart:<level>`, which is one number of both clouds, the same for every recording.
    """
    right = probe_correct(ecg, text, records["unit"].to_numpy())
    parts = [predictions.build(records, method, seed, f"probe:{level}", score=right)]
    apart = np.full(len(records), centroid_distance(ecg, text))
    parts.append(predictions.build(records, method, seed, f"centroids_apart:{level}", score=apart))
    for pairs, table in retrieval(ecg, text, seed).groupby("pairs"):
        for metric in ("reciprocal_rank", *(f"recall_at_{k}" for k in CUTOFFS)):
            item, score = f"{metric}:{level}:{pairs}", table[metric]
            parts.append(predictions.build(records, method, seed, item, score=score))
    return pd.concat(parts, ignore_index=True)


def layout(ecg: np.ndarray, text: np.ndarray, neighbours: int, seed: int) -> pd.DataFrame:
    """One UMAP of both clouds, with cosine distances: a row per embedding with its `kind` (ECG or
    text), x and y. HeartLLM, Fig. 1, whose settings are unknown."""
    from umap import UMAP  # imports for seconds

    both = np.concatenate(_pair(ecg, text))
    neighbours = min(neighbours, len(both) - 1)
    settings = {"min_dist": 0.1, "metric": "cosine", "random_state": seed, "n_jobs": 1}
    points = UMAP(neighbours, **settings).fit_transform(both).round(4)
    frame = pd.DataFrame(points, columns=["x", "y"])
    frame.insert(0, "kind", np.repeat(["ECG", "text"], len(ecg)))
    return frame


def colouring_findings(states: np.ndarray) -> np.ndarray:
    """The name of a finding per recording, for a picture: of the COLOURED commonest scored findings
    that are present in it the rarest, or NO_FINDING. `states`: label states (N, 77)."""
    present = states == PRESENT
    commonest = sorted(SCORED, key=lambda label: -present[:, label].sum())[:COLOURED]
    names = np.full(len(states), NO_FINDING, dtype=object)
    for label in commonest:  # from the commonest to the rarest, so that the rarest is the last word
        names[present[:, label]] = FINDINGS[label].name
    return names
