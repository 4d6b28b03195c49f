"""From what systems wrote to predictions: their answers, and their reports with findings and words.

A table of texts has a row per text: `number` of the question, or -1 for a report, `row` of the
record, `text`, `tokens`, `stop_reason`.
"""

import numpy as np
import pandas as pd

from ecglib.evaluate import finding_agreement, meteor, predictions, text_overlap


def score_texts(
    written: dict[str, pd.DataFrame],
    asked: pd.DataFrame,
    records: pd.DataFrame,
    states: np.ndarray,
    rows: np.ndarray,
    scored: list[int],
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of several systems about the same questions and the same reports.

    Args:
        written: a table of texts per method.
        asked: the test questions: number, row, item, answer.
        records, states: of the cohort; states (N, 77).
        rows: record numbers of the reports.
        scored: labels of the findings that are scored (`scored_sample.scorable_findings`).

    Returns:
        The reports as predictions `report`; and the answers, the stated findings and the overlap of
        words with the reference.
    """
    of, about = records.iloc[asked["row"]], records.iloc[rows].reset_index(drop=True)
    texts, parts = [], []
    for method, table in written.items():
        reply = table[table["number"] >= 0].set_index("number").loc[asked["number"]]
        length = {"tokens": reply["tokens"], "stop_reason": reply["stop_reason"]}
        answered = (of, method, seed, asked["item"], asked["answer"], reply["text"])
        parts.append(predictions.build(*answered, **length))
        reports = table[table["number"] < 0].set_index("row").loc[rows]
        read = (about, states[rows], method, seed, reports, scored)
        own, stated = finding_agreement.read_reports(*read)
        texts.append(own)
        parts.append(stated)
    texts = pd.concat(texts, ignore_index=True)
    parts.append(text_overlap.scores(texts, meteor.open_wordnet()))
    return texts, pd.concat(parts, ignore_index=True)
