"""The reports of a data folder: how much of them the labelling rules understand, and what not.

    python -m ecglib.cohorts.report_words --source mimic --data-root DIR

reads no signal. A report with a word that no rule knows keeps the findings that it states, but none
of its labels is absent (`sources.mimic.labels`). Many such reports make findings look commoner than
they are, so look here before you train on another hospital's text.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ecglib.cohorts.build import READERS
from ecglib.labels import labeller

MOST = 30  # clauses that are printed
WHOLE, UNFINISHED = "understood wholly", "not analysed to the end"
UNKNOWN, EMPTY = "with a clause that no rule knows", "empty"


def listed(source: str, root: Path) -> pd.DataFrame:
    """All ECGs of a data folder, also those that a cohort will not keep: columns ecg_id and report.

    `source`: one of `build.READERS`, with its default settings, so without a plan's translation or
    table. Raises FileNotFoundError and ValueError: an unknown source, no ECG, or as the reader does
    for a folder that it cannot read.
    """
    if source not in READERS:
        raise ValueError(f"unknown source {source!r}; valid: {', '.join(READERS)}")
    records, _ = READERS[source].records(root)
    if not records:
        raise ValueError(f"{root} lists no ECG that the source {source} reads by default")
    return pd.DataFrame(records, columns=["ecg_id", "report"])


def understood(reports: Sequence[str]) -> tuple[dict[str, int], Counter]:
    """How many reports are of each kind; and in how many each clause occurs that no rule knows.

    A report that is unknown in part and not analysed to the end counts as unknown.
    """
    kinds, unknown = dict.fromkeys((WHOLE, UNKNOWN, UNFINISHED, EMPTY), 0), Counter()
    for text, times in tqdm(Counter(reports).items(), unit="text", disable=None):
        reading = labeller.read(text)
        clauses = {part.text.strip() for part in reading.stretches if part.kind == labeller.UNKNOWN}
        unknown.update(dict.fromkeys(clauses, times))
        kind = UNKNOWN if clauses else WHOLE if reading.finished else UNFINISHED
        kinds[kind if text.strip() else EMPTY] += times
    return kinds, unknown


def main(arguments: list[str]) -> int:
    """Run the command line: exit status."""
    parser = argparse.ArgumentParser(prog="python -m ecglib.cohorts.report_words")
    parser.add_argument("--source", required=True, help=f"one of {', '.join(READERS)}")
    parser.add_argument("--data-root", type=Path, required=True, help="folder of the release")
    options = parser.parse_args(arguments)
    table = listed(options.source, options.data_root)
    kinds, unknown = understood(table["report"].tolist())
    for kind, number in kinds.items():
        print(f"reports, {kind}: {number:,} of {len(table):,} ({100 * number / len(table):.1f} %)")
    print(f"clauses that no rule knows: {len(unknown):,}; the commonest, with their reports:")
    for clause, number in unknown.most_common(MOST):
        print(f"  {number:,}  {clause}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
