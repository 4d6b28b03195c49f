"""The memoriser: answers of the training ECGs that look alike in a method's own codes.

Nothing is trained. An ECG is described by how often it uses each codeword. Reports are copied from
the nearest training ECG (`floors.nearest`). A question is answered by the vote of the nearest
training ECGs that were asked the same. What a language model of the same codes adds must show
above this floor. With mean latents in place of the histograms it is the floor `retrieval`.
"""

import numpy as np
import pandas as pd

from ecglib.language.floors import majority_answers, unit

# Chosen on validation ECGs of a simulated cohort, see `code_vectors` and `neighbour_answers`.
COLUMNS = 1024
NEIGHBOURS = 11


def code_vectors(codes: np.ndarray, lengths: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Histograms of codes, float32 (N, columns): sqrt(count) x ln(ECGs / ECGs with the code).

    The square root keeps frequent codes from deciding the cosine, and the logarithm gives weight to
    rare ones. Of several codebooks, as many of the first are counted as fit into 1,024 columns, but
    at least one: two of RVQ's 16 with 512 codewords each. More gained nothing.

    Args:
        codes: int (N, T, S), those of `tokenizers.encode`.
        lengths: valid positions, (N,), those of `features`, for tokenizers with a code vector per
            position.
        train: bool (N,), the ECGs in which codes are looked for to weigh them.
    """
    codewords = int(codes.max()) + 1
    used = max(1, min(codes.shape[2], COLUMNS // codewords))
    counts = np.zeros((len(codes), used * codewords), np.float32)
    ecg, position, book = np.nonzero(
        (np.arange(codes.shape[1]) < np.asarray(lengths)[:, None])[..., None]
        & (codes[..., :used] >= 0)
    )
    np.add.at(counts, (ecg, codes[ecg, position, book] + book * codewords), 1.0)
    with_code = (counts[train] > 0).sum(0)
    weight = np.log((1 + np.sum(train)) / (1 + with_code)).astype(np.float32)
    return np.sqrt(counts) * weight


def neighbour_answers(
    past: pd.DataFrame,
    asked: pd.DataFrame,
    rows: np.ndarray,
    vectors: np.ndarray,
    neighbours: int = NEIGHBOURS,
) -> list[str]:
    """Answer each question by the vote of the nearest training ECGs that were asked the same item.

    Similarity is the cosine after subtracting the training mean. Of answers with equally many votes
    the one of the nearest ECG is taken. An item that no training ECG was asked gets the commonest
    answer of its template.

    Args:
        past: training questions, columns row, type, template, item, answer.
        asked: questions, columns row, type, template, item.
        rows: record numbers of the vectors, (N,), ascending; all of both tables.
        vectors: float (N, D), of `code_vectors` or mean latents.
        neighbours: that vote; all where fewer were asked.

    Raises:
        ValueError: a question is about an ECG without a vector.
    """
    missing = np.setdiff1d(np.union1d(past["row"], asked["row"]), rows)
    if len(missing):
        raise ValueError(
            f"expected a vector of row {missing[0]}, got those of {len(rows)} other ECGs; give one "
            "for every ECG that is asked about"
        )
    of_past, of_asked = (np.searchsorted(rows, table["row"]) for table in (past, asked))
    direction = unit(vectors - vectors[np.unique(of_past)].mean(0))
    answers = np.array(majority_answers(past, asked), dtype=object)
    answer_of, training = past["answer"].to_numpy(), past.groupby("item").indices
    for item, questions in asked.groupby("item").indices.items():
        if item not in training:
            continue
        known = training[item]
        similarity = direction[of_asked[questions]] @ direction[of_past[known]].T
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
        answers[questions] = [_vote(answer_of[known[nearest]]) for nearest in order]
    return answers.tolist()


def _vote(answers: np.ndarray) -> str:
    """The most frequent answer; of equally frequent ones the first."""
    names, first, counts = np.unique(answers, return_index=True, return_counts=True)
    return names[np.lexsort((first, -counts))[0]]
