"""Byte pairs of an ECG on a grid of time and leads: what a classifier can read.

Byte pairs have no embedding of their own, and their number differs between the leads. This grid is
ours; no paper has it.
"""

import numpy as np

from ecglib.signals.leads import LEADS

CELL = 16  # samples (64 ms) per position
PAIR_NUMBERS = 4  # per lead and position


def pair_grid(tokens: np.ndarray, widths: np.ndarray, samples: int) -> np.ndarray:
    """The grid of one ECG.

    A cell is 64 ms of one lead. Its four numbers describe the tokens that it overlaps, weighted by
    the overlap where a mean is taken: mean of the tokens' mean voltages, lowest and highest of
    their first, mean and last voltages, and mean log2 of their lengths.

    Args:
        tokens: (t, 4) of `BPETokenizer.describe`: first, mean and last voltage (mV), log2 length.
        widths: samples of each token, (t,); their sum is 12 n.
        samples: n, the valid samples per lead.

    Returns float32 (ceil(n / 16), 48), lead by lead within a position.
    """
    voltages = tokens[:, :3]
    numbers = [tokens[:, 1], voltages.min(1), voltages.max(1), tokens[:, 3]]
    shape = (len(LEADS), samples)
    mean, low, high, length = (np.repeat(of, widths).reshape(shape) for of in numbers)
    starts = np.arange(0, samples, CELL)
    counts = np.diff(np.append(starts, samples))
    cells = [
        np.add.reduceat(mean, starts, axis=1) / counts,
        np.minimum.reduceat(low, starts, axis=1),
        np.maximum.reduceat(high, starts, axis=1),
        np.add.reduceat(length, starts, axis=1) / counts,
    ]
    return np.stack(cells, -1).transpose(1, 0, 2).reshape(len(starts), -1).astype(np.float32)
