"""From a text, or the file of one, to token ids: in training, in a bundle, and in an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onecycle.data.character_encoding import decode_bytes
from onecycle.errors import DataError
from onecycle.text.cleaning import clean
from onecycle.text.tokenizer import Tokenizer

TokenIds = NDArray[np.int32]


def read_token_ids(
    item: Any, tokenizer: Tokenizer, max_length: int, beginning: float, rules: Sequence[str]
) -> TokenIds:
    """Return the token ids, int32, (length,), of a text, of the `Path` of a text file, or of token ids.

    Args:
        item: The text.
        tokenizer: Splits it into tokens.
        max_length: The most tokens, prefix and suffix included; the middle of a longer text is left out.
        beginning: The fraction of a long text's tokens from its beginning.
        rules: Names of the cleaning rules.
    Raises:
        DataError: It is empty, cannot be read, or is of another type.
    Example:
        >>> read_token_ids("A good film.", Tokenizer("all-MiniLM-L6-v2"), 5, 0.25, ()).tolist()
        [101, 1037, 2143, 1012, 102]
    """
    if isinstance(item, Path):
        item = read_text_file(item)
    if isinstance(item, str):
        text = clean(item, tuple(rules))
        if not text:
            raise DataError(f"The text {item[:40]!r} is empty.", "at least one word.", "leave it out.")
        return np.array(tokenizer.encode(text, max_length, beginning), np.int32)
    if not isinstance(item, Sequence | np.ndarray):
        raise DataError(
            f"Cannot read a text from {type(item).__name__}.",
            "a text, the Path of a text file, or a list of token ids.",
            "pass str(...).",
        )
    token_ids = np.asarray(item, np.int32)
    if len(token_ids) <= max_length:
        return token_ids
    return np.array(tokenizer.truncate(token_ids.tolist(), max_length, beginning), np.int32)


def pad_token_ids(texts: Sequence[TokenIds], pad: int) -> NDArray[np.int64]:
    """Return token ids padded at the end to the longest text, (texts, length).

    Example:
        >>> pad_token_ids([np.array([5, 6]), np.array([7])], pad=0).tolist()
        [[5, 6], [7, 0]]
    """
    padded = np.full((len(texts), max(map(len, texts))), pad, np.int64)
    for row, token_ids in zip(padded, texts, strict=True):
        row[: len(token_ids)] = token_ids
    return padded


def read_text_file(path: Path) -> str:
    """Return what a text file says, whatever its character encoding.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return decode_bytes(path.read_bytes())[0]
    except (OSError, ValueError) as error:  # a name with a NUL byte is a ValueError
        raise DataError(f"Cannot read {path}: {error}.", "a text file.", "check the path.") from error


def check_max_length(length: int, tokenizer: Tokenizer) -> int:
    """Return a number of tokens that leaves room for at least one between prefix and suffix.

    Raises:
        DataError: It is too small.
    """
    minimum = len(tokenizer.prefix) + len(tokenizer.suffix) + 1
    if length < minimum:
        raise DataError(f"max_length={length}.", f"{minimum} tokens or more.", "pass max_length=128.")
    return length


def check_beginning(share: float) -> float:
    """Return a fraction of a text's tokens.

    Raises:
        DataError: It is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise DataError(f"beginning={share}.", "a fraction of a long text's tokens, 0 to 1.", "leave it out.")
    return share
