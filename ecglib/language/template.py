"""The oracle: the true findings, put through the report templates. No model can state more.

It is a ceiling for findings, not for text overlap: a reference report chooses among wordings,
doubts, denies and leaves out, and no reader of the waveform can know which.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from ecglib.labels.findings import SITES
from ecglib.simulator import report_text


def oracle(labels: Sequence[int], site: str) -> str:
    """Every present finding in the site's usual wording, or in the canonical one for other sites.

    Args:
        labels: int8 (77,) states.
        site: the hospital; only the simulated ones have a wording of their own.
    """
    if site in SITES:
        return report_text.complete(labels, site)
    return report_text.canonical(labels)


def reports(labels: np.ndarray, sites: Iterable[str]) -> list[str]:
    """The oracle's report for each record: labels int8 (N, 77), sites (N,)."""
    return [oracle(states, site) for states, site in zip(labels, sites, strict=True)]
