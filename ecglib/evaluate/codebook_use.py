"""How evenly a quantiser uses its codewords.

Per codebook over a whole set of ECGs: the share of codewords that occur, the entropy of their use
in bits, and the perplexity 2^entropy as a share of the codebook size (100 % is even use). The
paper's pooled figure (ECG-Tok, released metric) is the number of distinct indices of a batch, all
codebooks pooled, over the codebook size, averaged over batches. It favours quantisers with many
codebooks.
"""

import numpy as np
import pandas as pd

BATCH = 16  # records, in the released code


def usage_counts(codes: np.ndarray, size: int) -> np.ndarray:
    """Occurrences of each codeword of each codebook: integer codes -> (codebooks, size).

    The last axis of `codes` is the codebook, as in tokenizers: (records, positions, codebooks).

    Raises ValueError for a code outside 0..size-1.
    """
    codes = np.asarray(codes)
    if not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"expected integer codes, got {codes.dtype}")
    if codes.size == 0 or codes.min() < 0 or codes.max() >= size:
        span = f"{codes.min()}..{codes.max()}" if codes.size else "no codes"
        raise ValueError(f"expected codes in 0..{size - 1}, got {span}; check the codebook size")
    books = np.moveaxis(codes, -1, 0).reshape(codes.shape[-1], -1)
    return np.stack([np.bincount(book, minlength=size) for book in books])


def entropy_bits(counts: np.ndarray) -> np.ndarray:
    """Entropy in bits of counts (..., size) along the last axis; 0 log 0 = 0."""
    p = counts / counts.sum(axis=-1, keepdims=True)
    return -(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=-1)


def per_codebook(counts: np.ndarray) -> pd.DataFrame:
    """Table of counts (codebooks, size): codebook (from 1), size, used, utilisation_percent,
    entropy_bits, perplexity, perplexity_percent."""
    codebooks, size = counts.shape
    used = (counts > 0).sum(axis=1)
    entropy = entropy_bits(counts)
    table = {"codebook": np.arange(1, codebooks + 1), "size": size, "used": used}
    table |= {"utilisation_percent": 100.0 * used / size, "entropy_bits": entropy}
    table |= {"perplexity": 2.0**entropy, "perplexity_percent": 100.0 * 2.0**entropy / size}
    return pd.DataFrame(table)


def utilisation_percent(counts: np.ndarray) -> float:
    """Share of all codewords of all codebooks that occur at least once, in percent."""
    return float(100.0 * (counts > 0).mean())


def pooled_utilisation_percent(codes: np.ndarray, size: int) -> float:
    """The paper's figure: distinct indices per BATCH of records, codebooks pooled, over `size`.

    codes (records, ...) of integers below `size`. The mean runs over full batches and a last,
    smaller one, as the released code does.
    """
    usage_counts(codes, size)  # the range check
    batches = [codes[start : start + BATCH] for start in range(0, len(codes), BATCH)]
    return float(np.mean([100.0 * len(np.unique(part)) / size for part in batches]))


def sorted_usage(counts: np.ndarray) -> pd.DataFrame:
    """For drawing: codebook, rank (from 1), share of the codebook's codes, most used first."""
    share = np.sort(counts / counts.sum(axis=1, keepdims=True), axis=1)[:, ::-1]
    book, rank = np.indices(share.shape).reshape(2, -1) + 1
    return pd.DataFrame({"codebook": book, "rank": rank, "share": share.ravel()})
