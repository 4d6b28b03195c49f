"""The floor under the language systems: majority, nearest neighbour, oracle."""

import numpy as np
import pandas as pd
import pytest
import torch

from ecglib.labels.findings import FINDINGS
from ecglib.labels.label_set import LABELS, PRESENT
from ecglib.labels.labeller import read_findings
from ecglib.language import floors


def test_majority_report_of_the_site_and_answer_of_the_template():
    train = pd.DataFrame({"site": list("AAABB"), "report": ["x", "y", "y", "z", "w"]})
    asked = pd.DataFrame({"site": ["A", "B", "C"]})
    # B is tied and takes the first of the alphabet; C has no training record: y leads overall.
    assert floors.majority_reports(train, asked) == ["y", "w", "y"]
    # the majority answer is that of the template, else of the type, else of all
    verify, query, choose = "verify", "query", "choose"
    train = pd.DataFrame({"type": [verify, verify, verify, query, verify]})
    train["template"] = ["verify/0", "verify/0", "verify/1", "query_axis/0", "verify/1"]
    train["answer"] = ["yes", "yes", "no", "none", "no"]
    asked = pd.DataFrame({"type": [verify, verify, query, choose]})
    asked["template"] = ["verify/1", "verify/0", "query_axis/1", "choose/0"]
    assert floors.majority_answers(train, asked) == ["no", "yes", "none", "no"]


def test_nearest_neighbour_by_cosine_within_the_site():
    """Mean of the four is 0, so similarities are plain cosines: (2, 1) is nearest to (1, 0)."""
    train = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    sites = np.array(["A", "A", "B", "B"])
    asked = np.array([[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [-9.0, 1.0]])
    nearest = floors.nearest(train, asked, sites, np.array(["A", "B", "elsewhere", "elsewhere"]))
    assert nearest.tolist() == [0, 2, 0, 1]
    z = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])  # the last position is padding
    np.testing.assert_allclose(floors.mean_pool(z, torch.tensor([2])), [[2.0, 3.0]])
    with pytest.raises(ValueError, match="training"):
        floors.most_common([])
    with pytest.raises(ValueError, match="width"):
        floors.nearest(np.zeros((2, 3)), np.zeros((2, 4)), np.zeros(2), np.zeros(2))


@pytest.mark.parametrize("site", ["A", "B", "a real hospital"])
def test_oracle_states_every_present_finding(site):
    rng = np.random.default_rng(0)
    for _ in range(50):
        labels = np.zeros(len(LABELS), np.int8)
        chosen = rng.choice(list(FINDINGS), rng.integers(0, 5), replace=False)
        labels[chosen] = PRESENT
        report = floors.oracle_reports(labels[None], [site])[0]
        read = {label for label, state in read_findings(report).items() if state == PRESENT}
        assert read >= {int(label) for label in chosen}, report
        assert report == floors.oracle_reports(labels[None], [site])[0]
