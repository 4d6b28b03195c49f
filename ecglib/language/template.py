"""The oracle: the true findings, put through the report templates. No model can state more.

It is a ceiling for findings, not for text overlap: a reference report chooses among wordings,
doubts, denies and leaves out, and no reader of the waveform can know which.
"""

from collections.abc import Iterable

import numpy as np

from ecglib.labels.full_report import full_report


def reports(labels: np.ndarray, sites: Iterable[str]) -> list[str]:
    """The oracle's report for each record: labels int8 (N, 77), sites (N,)."""
    return [full_report(states, site) for states, site in zip(labels, sites, strict=True)]
