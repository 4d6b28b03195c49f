"""Reads the tokenizer files that ECG-Byte's authors released, without trusting them.

Such a file is a pickle of (vocab, merges): vocab maps an id to its string, merges lists pairs of
(bytes of the expanded symbol, id). A pickle can name any function and have it called on loading;
this reader allows none, so it can hold nothing but numbers, texts, lists, tuples and dicts.
"""

import io
import pickle
from pathlib import Path

import numpy as np

from ecglib.tokenizers.amplitude_bins import LETTERS

FIRST = ord("a")
BYTES = 256  # ids below are single bytes; only those of a to z occur


class _Plain(pickle.Unpickler):
    """Refuses everything that is looked up by name: classes and functions."""

    def find_class(self, module: str, name: str) -> type:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, identifier: object) -> object:
        raise pickle.UnpicklingError("it names an object outside the file")


def read_released(path: Path) -> list[np.ndarray]:
    """The symbols of a released tokenizer.

    Args:
        path: a file such as ``tokenizer_5000_300000.pkl``.

    Returns:
        letters uint8 of each symbol: first the 26 letters, then the merges in the order of their
        ids. Released ids are our numbers + 97 for a letter, + 230 for a merge.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where it holds more than plain data, or not a tokenizer of this layout.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; give a tokenizer file of ECG-Byte")
    try:
        content = _Plain(io.BytesIO(path.read_bytes())).load()
    except (pickle.UnpicklingError, EOFError, IndexError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is no released tokenizer ({error or 'it ends early'}); such a file holds "
            "numbers, texts, lists, tuples and dicts only"
        ) from error
    return _symbols(path, content)


def _symbols(path: Path, content: object) -> list[np.ndarray]:
    wrong = ValueError(f"{path} is no released tokenizer; it should hold (vocab, merges)")
    if not (isinstance(content, tuple | list) and len(content) == 2):
        raise wrong
    vocabulary, merges = content
    if not (isinstance(vocabulary, dict) and isinstance(merges, tuple | list)):
        raise wrong
    found = [np.array([letter], np.uint8) for letter in range(LETTERS)]
    for place, merge in enumerate(merges):
        if not (isinstance(merge, tuple | list) and len(merge) == 2):
            raise wrong
        expanded, identifier = merge
        text = vocabulary.get(identifier)
        spelled = bytes(expanded).decode("latin-1") if _are_bytes(expanded) else None
        if identifier != BYTES + place or spelled is None or text != spelled:
            raise ValueError(
                f"{path}: merge {place} has id {identifier!r} and text {str(text)[:20]!r}; that "
                f"does not fit its bytes or the expected id {BYTES + place}"
            )
        letters = np.frombuffer(spelled.encode("latin-1"), np.uint8).astype(int) - FIRST
        if letters.size == 0 or letters.min() < 0 or letters.max() >= LETTERS:
            raise ValueError(f"{path}: merge {place} holds letters other than a to z")
        found.append(letters.astype(np.uint8))
    return found


def _are_bytes(values: object) -> bool:
    if not isinstance(values, list | tuple):
        return False
    return all(type(value) is int and 0 <= value < BYTES for value in values)


def released_ids(symbols: np.ndarray) -> np.ndarray:
    """Our symbols as the ids of the released code."""
    return np.where(symbols < LETTERS, symbols + FIRST, symbols + BYTES - LETTERS)
