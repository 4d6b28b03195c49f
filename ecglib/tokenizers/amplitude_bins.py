"""Voltages as letters: ECG-Byte's quantisation of every sample into 26 equal bins.

x -> floor(26 * clip((x - low) / (high - low + 1e-6), 0, 1)), at most 25, where low and high are the
1st and 99th percentile of the training signals, moved outwards by 0.5 mV. Voltages beyond them are
clipped. This and the width of a bin are the only losses: byte-pair encoding is exact.
"""

from dataclasses import dataclass

import numpy as np

LETTERS = 26
MARGIN = 0.5  # mV beyond the percentiles
PERCENTILES = (1.0, 99.0)
EPSILON = 1e-6  # mV; the release's guard against a range of zero
INVERSES = ("centre", "released")


@dataclass(frozen=True)
class AmplitudeBins:
    """The 26 bins between two voltages.

    Attributes:
        low, high: mV.
        inverse: "centre" decodes a letter to the middle of its bin, "released" to k / 25 of the
            range, which misses by up to a whole bin.

    Raises ValueError: low is not below high, or the inverse is unknown.
    """

    low: float
    high: float
    inverse: str = "centre"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"expected low < high, got {self.low} and {self.high} mV")
        if self.inverse not in INVERSES:
            raise ValueError(f"expected inverse out of {', '.join(INVERSES)}, got {self.inverse!r}")

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Voltages in mV -> letters uint8, same shape. Raises ValueError: one is not finite."""
        if not np.isfinite(x).all():
            wrong = f"{int((~np.isfinite(x)).sum())} that are not"
            raise ValueError(f"expected finite voltages, got {wrong}; clean the ECG first")
        share = (x.astype(np.float64) - self.low) / (self.high - self.low + EPSILON)
        letters = np.minimum(np.floor(LETTERS * np.clip(share, 0.0, 1.0)), LETTERS - 1)
        return letters.astype(np.uint8)

    def decode(self, letters: np.ndarray) -> np.ndarray:
        """Letters -> voltages float32 in mV, same shape."""
        k = letters.astype(np.float64)
        share = (k + 0.5) / LETTERS if self.inverse == "centre" else k / (LETTERS - 1)
        return (self.low + share * (self.high - self.low)).astype(np.float32)


def fit_bins(values: np.ndarray, inverse: str = "centre") -> AmplitudeBins:
    """Bins for a sample of voltages in mV, of training patients only.

    The release takes its percentiles from three and a third ECGs, drawn without a seed before the
    split (ecg-byte.md, section 2).
    """
    low, high = np.percentile(values, PERCENTILES)
    return AmplitudeBins(float(low) - MARGIN, float(high) + MARGIN, inverse)
