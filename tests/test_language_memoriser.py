"""The memoriser by hand: histograms of codes, and the vote of ECGs that were asked the same."""

import numpy as np
import pandas as pd
import pytest
from builds import refused

from ecglib.language import floors, memoriser

TRAIN = np.array([True, True, True, False])
CODES = np.array([[0, 0, 0, 0, 3], [0, 1, 1, 9, 9], [0, 2, -1, -1, -1], [1, 1, 1, 1, 2]])
COUNTS = {0: [4, 0, 0, 1], 1: [1, 2, 0, 0], 2: [1, 0, 1, 0], 3: [0, 4, 0, 0]}


@pytest.mark.parametrize("columns", [10, 20])
def test_histograms_count_valid_codes_of_the_first_codebooks(monkeypatch, columns):
    """Code 0 is in all three training ECGs, so it has no weight; codes 1 to 3 are in one each."""
    monkeypatch.setattr(memoriser, "COLUMNS", columns)
    codes = np.stack([CODES, np.where(CODES < 0, -1, 9 - CODES)], axis=2)  # highest code 9
    lengths = np.array([5, 3, 5, 4])
    vectors = memoriser.code_vectors(codes, lengths, TRAIN)
    assert vectors.shape == (4, columns) and vectors.dtype == np.float32
    expected = np.zeros((4, 10))
    expected[:, :4] = np.sqrt([COUNTS[i] for i in range(4)]) * [0, *[np.log(2)] * 3]
    np.testing.assert_allclose(vectors[:, :10], expected, rtol=1e-6)
    if columns == 20:  # the second codebook has the same counts in reversed order
        np.testing.assert_allclose(vectors[:, 10:], expected[:, ::-1], rtol=1e-6)


def test_the_nearest_that_were_asked_the_same_vote():
    """By angle, row 9 is near rows 2, 4, 5, 7 in this order; row 3 was asked something else."""
    angle = np.radians([10, 5, 15, 20, 170, 0])
    rows, vectors = np.array([2, 3, 4, 5, 7, 9]), np.stack([np.cos(angle), np.sin(angle)], 1)
    vectors -= vectors[:5].mean(0)
    past = pd.DataFrame({"row": [7, 2, 4, 5, 3], "type": "verify", "template": "v/0"})
    past["item"] = ["a", "a", "a", "a", "b"]
    past["answer"] = ["yes", "no", "yes", "yes", "not sure"]
    asked = pd.DataFrame({"row": [9, 9, 9], "type": "verify", "template": "v/0"})
    asked["item"] = ["a", "b", "c"]  # nobody was asked c: the commonest answer of the template
    answers = {k: memoriser.neighbour_answers(past, asked, rows, vectors, k) for k in (1, 2, 3, 99)}
    assert answers[1] == answers[2] == ["no", "not sure", "yes"]  # a tie is for the nearest
    assert answers[3] == answers[99] == ["yes", "not sure", "yes"]
    # training ECGs alone make the mean, each once: neither does row 11 move it between rows 2 and
    # 9, nor do many questions about row 3
    beside = 7 * vectors[[0, 5]].mean(0) - vectors.sum(0)
    more = np.r_[rows, 11], np.vstack([vectors, beside])
    often = pd.concat([past, *[past[4:].assign(item="d", template="d/0")] * 50])
    assert memoriser.neighbour_answers(often, asked, *more, 1) == answers[1]
    few = rows[1:], vectors[1:]
    refused("expected a vector of row 2", memoriser.neighbour_answers, past, asked, *few)


def test_budgets_say_what_each_floor_learned_from():
    table = floors.what_floors_saw(reports=10, answers=60, states=770).set_index("method")
    assert table.loc["memoriser", ["reports", "answers", "states"]].tolist() == [10, 60, 0]
    assert table.loc["probe", ["reports", "answers", "states"]].tolist() == [0, 0, 770]
    assert not table.loc[["template", "reference"], ["reports", "answers", "states"]].any(axis=None)
