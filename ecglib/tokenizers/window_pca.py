"""Principal components of the windows of an ECG: the best linear map to a few numbers, and back.

A window is `hop` samples of all leads, and windows do not overlap. The components P (numbers, dim)
are the first eigenvectors of the second moments of training windows. They are orthonormal:
z = P^T w codes a window, P z decodes it, and a squared error of z is the same error of the signal.
No mean is subtracted. The mean of a window is nearly zero, and so silence stays silence.
"""

import numpy as np
import torch
from torch import nn

from ecglib.cohorts.store import Cohort
from ecglib.signals.leads import LEADS

N_LEADS = len(LEADS)
CHUNK = 64  # ECGs in memory at a time


def windows(x: torch.Tensor, hop: int) -> torch.Tensor:
    """x (B, L, n) -> its windows (B, L * hop, T) with T = ceil(n / hop), padded with zeros."""
    x = nn.functional.pad(x, (0, -x.shape[-1] % hop))
    return x.unflatten(-1, (-1, hop)).transpose(2, 3).flatten(1, 2)


def signals(w: torch.Tensor, hop: int) -> torch.Tensor:
    """Windows (B, L * hop, T) -> the signal (B, L, T * hop): the inverse of `windows`."""
    return w.unflatten(1, (-1, hop)).transpose(2, 3).flatten(2)


@torch.no_grad()
def components(
    cohort: Cohort, rows: np.ndarray, hop: int, dim: int, lead_by_lead: bool = False
) -> torch.Tensor:
    """P (numbers of a window, dim) of the given records, each column's largest number positive.

    `lead_by_lead`: a window has one lead, and all leads count alike; P is (hop, dim). Padding is
    silent, and does not count.
    """
    size = hop if lead_by_lead else N_LEADS * hop
    moments = torch.zeros(size, size, dtype=torch.float64)
    for start in range(0, len(rows), CHUNK):
        x = torch.from_numpy(cohort.signals(rows[start : start + CHUNK]))
        w = windows(x.flatten(0, 1)[:, None] if lead_by_lead else x, hop)
        w = w.transpose(1, 2).flatten(0, 1).double()  # (windows, numbers)
        moments += w.T @ w
    vectors = torch.linalg.eigh(moments).eigenvectors.flip(1)[:, :dim].float()
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * largest.sign()
