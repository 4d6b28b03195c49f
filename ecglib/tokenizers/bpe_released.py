"""A reader, safe against foreign code, of the tokenizer files that ECG-Byte's authors released.

Such a file is a pickle of (vocab, merges): vocab maps an id to its string, merges lists pairs of
(bytes of the expanded symbol, id). A pickle can name any function and have it called on loading.
This reader allows none, so a file can hold only numbers, texts, lists, tuples and dicts.
"""

import io
import pickle
from pathlib import Path

import numpy as np

from ecglib.tokenizers.amplitude_bins import LETTERS

FIRST = ord("a")
BYTES = 256  # smaller ids are single bytes; only those of a to z occur


class _Plain(pickle.Unpickler):
    """Refuses everything that is looked up by name: classes and functions."""

    def find_class(self, module: str, name: str) -> type:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, identifier: object) -> object:
        raise pickle.UnpicklingError("it names an object outside the file")


def read_released(path: Path) -> list[np.ndarray]:
    """The symbols of a released tokenizer.

    `path`: a file such as ``tokenizer_5000_300000.pkl``.

    Returns:
        letters uint8 of each symbol: first the 26 letters, then the merges in the order of their
        ids. Released ids are our numbers + 97 for a letter, + 230 for a merge.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it holds more than plain data, or no tokenizer of this layout.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; give a tokenizer file of ECG-Byte")
    try:
        content = _Plain(io.BytesIO(path.read_bytes())).load()
    except (pickle.UnpicklingError, EOFError, IndexError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: expected a released tokenizer of plain data, got another pickle "
            f"({error or 'it ends early'}); download the file again"
        ) from error
    return _symbols(path, content)


def _symbols(path: Path, content: object) -> list[np.ndarray]:
    wrong = ValueError(
        f"{path}: expected a released tokenizer (vocab, merges), got another structure; "
        "give a tokenizer file of ECG-Byte"
    )
    if not (isinstance(content, tuple | list) and len(content) == 2):
        raise wrong
    vocabulary, merges = content
    if not (isinstance(vocabulary, dict) and isinstance(merges, tuple | list)):
        raise wrong
    symbols = [np.array([letter], np.uint8) for letter in range(LETTERS)]
    for number, merge in enumerate(merges):
        if not (isinstance(merge, tuple | list) and len(merge) == 2):
            raise wrong
        expanded, identifier = merge
        text = vocabulary.get(identifier)
        spelled = bytes(expanded).decode("latin-1") if _are_bytes(expanded) else None
        if identifier != BYTES + number or spelled is None or text != spelled:
            raise ValueError(
                f"{path}: expected id {BYTES + number} and the text of its bytes for merge "
                f"{number}, got {identifier!r} and {str(text)[:20]!r}; download the file again"
            )
        letters = np.frombuffer(spelled.encode("latin-1"), np.uint8).astype(int) - FIRST
        if letters.size == 0 or letters.min() < 0 or letters.max() >= LETTERS:
            raise ValueError(
                f"{path}: expected letters from a to z in merge {number}, got {spelled[:20]!r}; "
                "give a tokenizer file of ECG-Byte"
            )
        symbols.append(letters.astype(np.uint8))
    return symbols


def _are_bytes(values: object) -> bool:
    if not isinstance(values, list | tuple):
        return False
    return all(type(value) is int and 0 <= value < BYTES for value in values)


def released_ids(symbols: np.ndarray) -> np.ndarray:
    """Our symbols as the ids of the released code."""
    return np.where(symbols < LETTERS, symbols + FIRST, symbols + BYTES - LETTERS)
