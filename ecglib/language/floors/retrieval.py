"""The floor without a language model: the report of the most similar training ECG."""

import numpy as np
import torch


def mean_pool(z: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
    """Mean over the valid positions: z (N, T, D), lengths (N,) -> float64 (N, D)."""
    valid = (torch.arange(z.shape[1]) < lengths[:, None])[..., None]
    return ((z * valid).sum(1).double() / lengths[:, None]).numpy()


def nearest(
    train: np.ndarray, asked: np.ndarray, train_sites: np.ndarray, sites: np.ndarray
) -> np.ndarray:
    """Index of the training record that is most similar to each asked one.

    Cosine similarity after subtracting the training mean, because the part that all ECGs share
    would make all cosines alike. The search is within the same site, because the site decides how
    a report is worded and every other system knows the site too. For an ECG of a site without
    training records it is among all.

    Args:
        train: (N, D) pooled embeddings; train_sites (N,).
        asked: (M, D); sites (M,).

    Returns:
        (M,) indices into `train`; of equal ones the first.

    Raises:
        ValueError: no training record, or embeddings of different widths.
    """
    if len(train) == 0 or train.shape[1:] != asked.shape[1:]:
        raise ValueError(
            f"expected training embeddings of width {asked.shape[1:]}, got shape {train.shape}"
        )
    mean = train.mean(0)
    similarity = _unit(asked - mean) @ _unit(train - mean).T
    same = np.asarray(sites)[:, None] == np.asarray(train_sites)[None, :]
    allowed = same | ~same.any(1, keepdims=True)
    return np.where(allowed, similarity, -np.inf).argmax(1)


def _unit(x: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1.0)
