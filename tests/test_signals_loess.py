"""LOESS as a fixed filter: hand-computed weights, and the fit of statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.nonparametric.smoothers_lowess import lowess

from ecglib.signals import loess


def test_weights_of_five_points_by_hand():
    """In the middle the distances are 2, 1, 0, 1, 2 and the radius 2.

    Tricube: (1 - 1)^3 = 0, (1 - 1/8)^3 = 343/512, 1. The slope drops out by symmetry, so the
    weights are these over their sum, 1 + 2 * 343/512 = 1198/512.
    """
    assert np.allclose(loess.weights(5)[2], np.array([0, 343, 512, 343, 0]) / 1198, atol=1e-15)


def test_every_place_in_the_window_reproduces_a_line():
    rows = loess.weights(11)
    place = np.arange(11)
    assert np.allclose(rows.sum(axis=1), 1)
    assert np.allclose(rows @ (3.0 * place - 7), 3.0 * place - 7)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(2, 30), st.integers(0, 80), st.integers(0, 99), st.floats(0.01, 100))
def test_it_is_statsmodels_everywhere(half, more, seed, step):
    span = 2 * half + 1
    values = np.random.default_rng(seed).normal(size=span + more)
    grid = step * np.arange(len(values))
    # A little above span / n, so that rounding cannot lose a point of the window.
    share = min(1.0, (span + 0.01) / len(values))
    theirs = lowess(values, grid, frac=share, it=0, delta=0.0, return_sorted=False)
    assert np.abs(loess.smooth(values, span) - theirs).max() < 1e-6


def test_leads_together_are_leads_apart():
    values = np.abs(np.random.default_rng(1).normal(size=(3, 12, 200)))
    together = loess.smooth(values, 31)
    apart = [[loess.smooth(lead, 31) for lead in record] for record in values]
    assert together.shape == values.shape
    assert np.array_equal(together, apart)
    assert np.array_equal(together, loess.smooth(np.asfortranarray(values), 31))


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(0, 99))
def test_it_is_linear(a, b, seed):
    x, y = np.random.default_rng(seed).normal(size=(2, 50))
    both = loess.smooth(a * x + b * y, 13)
    assert np.allclose(both, a * loess.smooth(x, 13) + b * loess.smooth(y, 13), atol=1e-9)


@pytest.mark.parametrize(("span", "words"), [(4, "odd"), (3, "5 points"), (51, "at least 51")])
def test_a_window_that_cannot_be_is_refused(span, words):
    with pytest.raises(ValueError, match=words):
        loess.smooth(np.zeros((12, 50)), span)
    with pytest.raises(ValueError, match="read-only"):
        loess.weights(5)[0, 0] = 1.0
