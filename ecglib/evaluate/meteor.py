"""METEOR with the synonyms of WordNet 3.0 where it is installed, else without (nltk's alignment).

nltk's `meteor_score` needs its own copy of WordNet: without one it raises LookupError at the first
word that neither equals another nor shares its stem. It also opens no folder outside its data path.
So the WordNet files are read here, with nltk's rules of inflection, and its three stages (exact,
stem, synonym) run on them. Without WordNet the first two run, and the metric has another name.

The third stage of nltk looks up stems, not words. So a word whose stem is no word ("premature",
"prematur") has no synonyms. This is kept, because the released evaluations use nltk.
"""

import zipfile
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import nltk
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.translate.meteor_score import single_meteor_score

SYSTEM = Path("/usr/share/wordnet")  # Debian's package wordnet-base
FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
VERSION = b"WordNet 3.0 Copyright"
NAMES = {True: "meteor", False: "meteor_no_synonyms"}


class _Lemma(NamedTuple):
    word: str

    def name(self) -> str:
        return self.word


class _Synset(NamedTuple):
    words: tuple[_Lemma, ...]

    def lemmas(self) -> tuple[_Lemma, ...]:
        return self.words


class WordNet:
    """The synonyms of English words, from a folder of WordNet's files (`index.noun`, `data.noun`,
    `noun.exc` and so on), with what `single_meteor_score` asks of a reader of nltk.

    Raises ValueError: the folder has no WordNet 3.0.
    """

    def __init__(self, folder: Path | zipfile.Path):
        self._folder = folder
        files = [f"{kind}.{name}" for kind in ("index", "data") for name in FILES.values()]
        lacking = [file for file in files if not (folder / file).is_file()]
        if lacking or VERSION not in self._data["a"][:2000]:
            reason = f"no {lacking[0]}" if lacking else "another version"
            raise ValueError(f"{folder}: expected the files of WordNet 3.0, got {reason}")

    @cached_property
    def _data(self) -> dict[str, bytes]:
        return {pos: (self._folder / f"data.{n}").read_bytes() for pos, n in FILES.items()}

    @cached_property
    def _offsets(self) -> dict[str, dict[str, list[int]]]:
        """Places of a word's synsets in the data file, by part of speech and word."""
        tables: dict[str, dict[str, list[int]]] = {}
        for pos, name in FILES.items():
            lines = (self._folder / f"index.{name}").read_text(encoding="utf-8").splitlines()
            parts = (line.split() for line in lines if not line.startswith(" "))
            tables[pos] = {p[0]: [int(place) for place in p[-int(p[2]) :]] for p in parts}
        return tables

    @cached_property
    def _exceptions(self) -> dict[str, dict[str, list[str]]]:
        tables: dict[str, dict[str, list[str]]] = {}
        for pos, name in FILES.items():
            lines = (self._folder / f"{name}.exc").read_text(encoding="utf-8").splitlines()
            tables[pos] = {parts[0]: parts[1:] for parts in map(str.split, lines)}
        return tables

    def _forms(self, word: str, pos: str) -> list[str]:
        """The word and what it may be an inflection of, as far as WordNet has them."""
        if (forms := self._exceptions[pos].get(word)) is None:
            rules = WordNetCorpusReader.MORPHOLOGICAL_SUBSTITUTIONS[pos]
            forms = [word[: -len(old)] + new for old, new in rules if word.endswith(old)]
        return [form for form in dict.fromkeys([word, *forms]) if form in self._offsets[pos]]

    @lru_cache(maxsize=1 << 16)  # noqa: B019 (one instance per run)
    def synsets(self, word: str) -> tuple[_Synset, ...]:
        """The sets of synonyms of a lower-case word, all parts of speech."""
        return tuple(
            self._synset(pos, place)
            for pos in FILES
            for form in self._forms(word, pos)
            for place in self._offsets[pos][form]
        )

    def _synset(self, pos: str, place: int) -> _Synset:
        data = self._data[pos]
        fields = data[place : data.index(b"\n", place)].decode("utf-8").split(" ")
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]  # each is followed by a number
        return _Synset(tuple(_Lemma(word.partition("(")[0]) for word in words))


class _NoWordNet:
    """Knows no synonyms: the third stage matches nothing."""

    def synsets(self, word: str) -> tuple[()]:
        return ()


def open_wordnet() -> WordNet | None:
    """WordNet from nltk's data path, else from the system's package; None where it is not
    installed. To be decided once per run: scores with and without it cannot be compared.

    Raises ValueError: the folder has another version.
    """
    places: list[Path | zipfile.Path] = [SYSTEM]
    for root in map(Path, nltk.data.path):
        places.insert(-1, root / "corpora" / "wordnet")
        if (packed := root / "corpora" / "wordnet.zip").is_file():
            places.insert(-1, zipfile.Path(packed, "wordnet/"))
    for place in places:
        if (place / "data.noun").is_file():
            return WordNet(place)
    return None


def meteor(reference: Sequence[str], output: Sequence[str], wordnet: WordNet | None) -> float:
    """METEOR of lower-case words, 0 to 1 (Lavie and Agarwal 2007, nltk's default parameters)."""
    return single_meteor_score(reference, output, wordnet=wordnet or _NoWordNet())
