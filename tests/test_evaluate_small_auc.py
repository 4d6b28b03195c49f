"""The interval of an AUC on few positives."""

import numpy as np
import pytest
from builds import refused
from sklearn.metrics import roc_auc_score

from ecglib.evaluate import small_auc


def test_a_perfect_auc_on_three_positives_is_no_certainty():
    """At value 1 the lower end solves (1 - t) = z^2 t (1 + n (1 - t) / (2 - t) + ...) / (n1 n0)."""
    low, high = small_auc.newcombe(1.0, 3, 50)
    assert high == 1.0 and 0.4 < low < 0.8
    n, z2 = 53 / 2 - 1, 1.959964**2
    spread = 1 + n * (1 - low) / (2 - low) + n * low / (1 + low)
    assert (1 - low) == pytest.approx(z2 * low * spread / 150, abs=1e-6)
    assert small_auc.newcombe(1.0, 300, 5000)[0] > 0.98
    mirrored = small_auc.newcombe(0.2, 7, 40), small_auc.newcombe(0.8, 7, 40)
    assert mirrored[0] == pytest.approx([1 - end for end in reversed(mirrored[1])])
    refused("got 0 and 5; leave", small_auc.newcombe, 0.5, 0, 5)


def test_the_interval_covers_at_its_level():
    """Normal scores with a true AUC of 0.84, eight positives and forty negatives: about 95 %."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        score = np.r_[rng.normal(1.0, 1, 8) * 2**0.5, rng.normal(0, 1, 40) * 2**0.5]
        score[:8] += 2**0.5 * 0.4064  # mean difference over its sd: AUC = Phi(1.4064 / 2**0.5)
        target = np.arange(48) < 8
        value, low, high = small_auc.of_label(target, score)
        held += low <= 0.84 <= high
    assert value == pytest.approx(roc_auc_score(target, score))
    assert 0.93 <= held / 1000 <= 0.985
