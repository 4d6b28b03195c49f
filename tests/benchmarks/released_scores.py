"""What the released codes compute under the names BLEU, ROUGE and METEOR, on our reports.

    bash run_all.sh bench released_scores

Three definitions are applied to the same committed reports of training seed 0:

- *ours*: lower-case words (`text_overlap`);
- *ECG-Byte, HeartLLM*: words are what stands between blanks, with case and full stops. BLEU-4 of a
  sentence with smoothing method 1, METEOR of these words, and ROUGE as the package `rouge` has it:
  each word counts once, and ROUGE-L joins the common words of all pairs of sentences;
- *ECG-Tok*: BLEU-4 of batches, every order of n-grams with one more match and one more n-gram;
  ROUGE is ours, and METEOR counts punctuation as words.

BERTScore, the precision, recall and F1 of ECG-Tok's Table 1, needs weights that are not at hand.
ECG-Byte's BLEU of answers stands beside exact match, with that of the true answers themselves.
`rouge_of` gave the numbers of the package (1.0.1) on all these reports.

`value` is the ROUGE-L of ECG-Tok's reports as we compute it, the reference that of the package.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from _common import REPO, write
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.util import ngrams
from scipy.stats import kendalltau

from ecglib.evaluate import exact_match, meteor, predictions, text_overlap

FOLDER = REPO / "reports" / "synthetic-laptop" / "predictions"
METHODS = {
    "04_texts": "ecg_tok probe_reports memoriser retrieval majority no_ecg shuffled reference"
}
METHODS |= {"06_texts": "heartllm ecg_byte"}
BATCH, ORDER = 16, 4  # ECGs whose n-grams are counted together (the release: a batch); words
SMOOTHING = SmoothingFunction().method1
WORDNET = meteor.open_wordnet()
METEOR = meteor.NAMES[WORDNET is not None]
Words = Sequence[str]


def bleu_of_blanks(reference: str, output: str) -> float:
    """BLEU-4 of one text as ECG-Byte and HeartLLM compute it: 0.178 for a right single word."""
    right, given = reference.split(), output.split()
    return float(sentence_bleu([right], given, smoothing_function=SMOOTHING)) if given else 0.0


def sentences(text: str) -> list[list[str]]:
    """The words of each sentence, as the package `rouge` splits a text."""
    return [part.split() for part in text.split(".") if part.split()]


def common(one: Words, other: Words) -> set[str]:
    """The words of a longest common subsequence, of which there may be several: the package's."""
    length = np.zeros((len(one) + 1, len(other) + 1), int)
    for i, word in enumerate(one, 1):
        for j, second in enumerate(other, 1):
            longest = max(length[i - 1, j], length[i, j - 1])
            length[i, j] = length[i - 1, j - 1] + 1 if word == second else longest
    i, j, words = len(one), len(other), set()
    while i and j:
        if one[i - 1] == other[j - 1]:
            words.add(one[i - 1])
            i, j = i - 1, j - 1
        elif length[i - 1, j] > length[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return words


def rouge_of(reference: str, output: str) -> dict[str, float]:
    """ROUGE-1 and ROUGE-L, F, as the package `rouge` has them: of sets of words."""
    right, given = sentences(reference), sentences(output)
    if not given:
        return {"rouge_1": 0.0, "rouge_l": 0.0}
    all_right, all_given = ({word for part in text for word in part} for text in (right, given))
    shared = {word for one in right for other in given for word in common(one, other)}
    values = {}
    for name, matches in {"rouge_1": all_right & all_given, "rouge_l": shared}.items():
        recall, precision = len(matches) / len(all_right), len(matches) / len(all_given)
        values[name] = 2 * recall * precision / (recall + precision + 1e-8)
    return values


def tokens(text: str) -> list[str]:
    """Words and punctuation with case, as `evaluate` splits a text for BLEU (mteval-v13a)."""
    text = re.sub(r"([{-~[-` -&(-+:-@/])", r" \1 ", f" {text} ")
    text = re.sub(r"([^0-9])([.,])", r"\1 \2 ", text)
    text = re.sub(r"([.,])([^0-9])", r" \1 \2", text)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", text).split()


def words_and_marks(text: str) -> list[str]:
    """Lower-case words, hyphens kept, and punctuation, as nltk's `word_tokenize` splits a text."""
    return re.findall(r"\w+(?:[-']\w+)*|[^\w\s]", text.lower())


def smoothed_bleu(pairs: Sequence[tuple[str, str]]) -> float:
    """BLEU-4 of a batch of (reference, output) as ECG-Tok's code asks `evaluate` for it."""
    match, total, right, given = np.zeros(ORDER), np.zeros(ORDER), 0, 0
    for reference, output in pairs:
        texts = tokens(reference), tokens(output)
        right, given = right + len(texts[0]), given + len(texts[1])
        for n in range(ORDER):
            own, other = (Counter(ngrams(text, n + 1)) for text in texts)
            match[n] += (own & other).total()
            total[n] += other.total()
    brevity = np.exp(min(0.0, 1.0 - right / max(given, 1)))
    return float(brevity * np.exp(np.log((match + 1) / (total + 1)).mean()))


def by_blanks(reference: str, output: str) -> dict[str, float]:
    """The scores of ECG-Byte and HeartLLM."""
    own = meteor.meteor(reference.lower().split(), output.lower().split(), WORDNET)
    blank = {"bleu_4": bleu_of_blanks(reference, output), METEOR: own}
    return rouge_of(reference, output) | blank


def mean_of(score: Callable[[str, str], dict], pairs: list[tuple[str, str]]) -> dict[str, float]:
    """The mean over pairs; equal pairs are scored once."""
    known = {pair: score(*pair) for pair in dict.fromkeys(pairs)}
    return pd.DataFrame([known[pair] for pair in pairs]).mean().to_dict()


def of_method(part: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The scores of one method's reports by the three definitions."""
    pairs = list(zip(part["target"], part["prediction"], strict=True))
    ours = mean_of(lambda *pair: text_overlap.overlap(*pair, WORDNET), pairs)
    batches = [smoothed_bleu(pairs[i : i + BATCH]) for i in range(0, len(pairs), BATCH)]
    words = mean_of(
        lambda right, out: {
            METEOR: meteor.meteor(words_and_marks(right), words_and_marks(out), WORDNET)
        },
        pairs,
    )
    ecg_tok = {name: ours[name] for name in ("rouge_1", "rouge_l")}
    ecg_tok |= {"bleu_4": float(np.mean(batches)), **words}
    return {"ours": ours, "ecg_byte": mean_of(by_blanks, pairs), "ecg_tok": ecg_tok}


def of_answers() -> dict[str, dict[str, float]]:
    """ECG-Byte's BLEU of answers beside exact match, and what the true answers get."""
    rows = predictions.read_table(FOLDER / "06_answers.parquet")
    rows = rows[rows["item"].str.split(":").str[0].isin(exact_match.TYPES)]
    values = {}
    for method in ("heartllm", "ecg_byte", "no_ecg"):
        part = rows[rows["method"] == method]
        pairs = list(zip(part["target"], part["prediction"], strict=True))
        blank = mean_of(lambda *pair: {"bleu_4": bleu_of_blanks(*pair)}, pairs)
        values[method] = blank | {"exact_match": exact_match.accuracy(part).value}
    truth = list(zip(part["target"], part["target"], strict=True))
    values["the true answers"] = mean_of(lambda *pair: {"bleu_4": bleu_of_blanks(*pair)}, truth)
    values["the true answers"]["exact_match"] = 1.0
    return values


def main() -> None:
    """Score, and write the result."""
    scores = {}
    for file, names in METHODS.items():
        texts = predictions.read_table(FOLDER / f"{file}.parquet").sort_values("ecg")
        for name in names.split():
            scores[name] = of_method(texts[texts["method"] == name])
    table = {
        way: pd.DataFrame({m: of[way] for m, of in scores.items()}).T
        for way in ("ours", "ecg_byte", "ecg_tok")
    }
    ranked = {
        way: {
            name: round(kendalltau(table["ours"][name], table[way][name])[0], 3)
            for name in table[way]
        }
        for way in ("ecg_byte", "ecg_tok")
    }
    own, package = (scores["ecg_tok"][way]["rouge_l"] for way in ("ours", "ecg_byte"))
    result = {
        "unit": "ROUGE-L of ECG-Tok's reports, ours",
        "value": round(own, 4),
        "reference": {
            "what": "the package `rouge`, as ECG-Byte and HeartLLM use it",
            "value": round(package, 4),
        },
        "ratio": round(own / package, 3),
        "ratio_is": "value / reference",
        "synonyms": WORDNET is not None,
        "scores": {
            name: {way: {m: round(v, 6) for m, v in of.items()} for way, of in ways.items()}
            for name, ways in scores.items()
        },
        "kendall_with_ours": ranked,
        "answers": {
            name: {m: round(v, 6) for m, v in of.items()} for name, of in of_answers().items()
        },
    }
    write("released_scores", result)


if __name__ == "__main__":
    main()
