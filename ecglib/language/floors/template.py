"""The oracle: the true findings in the wording of the report templates.

It is the ceiling of finding scores. It is none of text overlap, because a reference report chooses
among wordings, doubts, denies and omits, which no reader of the waveform can know.
"""

from collections.abc import Iterable

import numpy as np

from ecglib.labels.findings import full_report


def reports(labels: np.ndarray, sites: Iterable[str]) -> list[str]:
    """The oracle's report for each record: labels int8 (N, 77), sites (N,)."""
    return [full_report(states, site) for states, site in zip(labels, sites, strict=True)]
