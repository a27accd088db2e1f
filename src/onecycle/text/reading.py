"""From a text, or the file of one, to token ids: in training, in a bundle, and in an exported file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onecycle.data.character_encoding import decode_bytes, looks_binary
from onecycle.errors import DataError, with_article
from onecycle.given_items import contents_of_opened
from onecycle.text.cleaning import clean
from onecycle.text.tokenizer import Tokenizer

TokenIds = NDArray[np.int32]
# What looks like the name of a file rather than like a text, where there are no blanks in it.
_SUFFIXES = (".txt", ".text", ".md", ".html", ".json", ".jsonl", ".pdf", ".docx", ".csv", ".tsv", ".parquet")


def read_token_ids(
    item: Any, tokenizer: Tokenizer, max_length: int, beginning: float, rules: Sequence[str]
) -> TokenIds:
    """Return the token ids, int32, (length,), of a text.

    Args:
        item: The text; the `Path` of a text file, its bytes, or the file opened; or token ids.
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
    item = _contents(item)
    if isinstance(item, str):
        text = clean(item, tuple(rules))
        if not text:
            raise DataError(f"The text {item[:40]!r} is empty.", "at least one word.", "leave it out.")
        return np.array(tokenizer.encode(text, max_length, beginning), np.int32)
    token_ids = item if isinstance(item, np.ndarray) and item.dtype == np.int32 else _token_ids(item, tokenizer)
    if len(token_ids) <= max_length:
        return token_ids
    return np.array(tokenizer.truncate(token_ids.tolist(), max_length, beginning), np.int32)


def read_text(item: Any) -> str:
    """Return a text, given as such, as the `Path` of a text file, its bytes, or the file opened.

    Raises:
        DataError: It cannot be read, or is something else.
    """
    contents = _contents(item)
    if not isinstance(contents, str):
        raise _no_text(item)
    return contents


def _contents(item: Any) -> Any:
    """Return what a text file says, given as its path, its bytes, or opened; anything else as it is."""
    if isinstance(item, Path):
        return read_text_file(item)
    item = contents_of_opened(item)
    return _decoded(bytes(item), "The file") if isinstance(item, bytes | bytearray | memoryview) else item


def _token_ids(item: Any, tokenizer: Tokenizer) -> TokenIds:
    """Return token ids that somebody wrote down."""
    if not isinstance(item, Sequence | np.ndarray) or not all(isinstance(each, int | np.integer) for each in item):
        raise _no_text(item)
    numbers = np.asarray(item, np.int64)
    if not len(numbers) or not 0 <= numbers.min() <= numbers.max() < tokenizer.embedding_rows:
        raise DataError(
            f"Token ids reach from {numbers.min()} to {numbers.max()}." if len(numbers) else "There are no token ids.",
            f"some from 0 to {tokenizer.embedding_rows - 1}, as the model's tokenizer gives them.",
            "pass the text itself.",
        )
    return numbers.astype(np.int32)


def _no_text(item: Any) -> DataError:
    several = isinstance(item, Sequence | np.ndarray) and any(isinstance(each, str | Path) for each in item)
    return DataError(
        f"Cannot read a text from {with_article(type(item).__name__)}{' of texts' if several else ''}.",
        "a text, the Path of a text file, or a list of token ids.",
        "pass one of them; predict_many([...]) takes several." if several else "pass str(...).",
    )


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
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a name with a NUL byte is a ValueError
        raise DataError(f"Cannot read {path}: {error}.", "a text file.", "check the path.") from error
    return _decoded(data, str(path))


def _decoded(data: bytes, name: str) -> str:
    if looks_binary(data):
        raise DataError(
            f"{name} is not a text: its bytes are those of an image, an archive or the like.", "a text file.",
            "pass the text itself or a text file; images are for models of images.",
        )  # fmt: skip
    return decode_bytes(data)[0]


def looks_like_path(text: str) -> bool:
    """Return whether a text is written like the path of a file: without blanks, and with a folder or a suffix in it.

    Example:
        >>> [looks_like_path(text) for text in ("reviews/1.txt", "./a", "good/bad", "a film.txt", "8.5/10")]
        [True, True, False, False, False]
    """
    if not text or any(letter.isspace() for letter in text) or len(text) > 255:
        return False
    first = text.replace("\\", "/").split("/")[0]
    below = "/" in text.strip("/") and (first in ("", ".", "..", "~") or os.path.isdir(first))
    return below or text.startswith(("/", "./", "../", "~")) or text.lower().endswith(_SUFFIXES)


def check_is_text(item: Any) -> None:
    """Refuse a path in the place of a text: of a file that is there, or mistyped.

    Raises:
        DataError: It is a path.
    """
    if not isinstance(item, str):
        return
    is_file = _may_be_file(item) and os.path.isfile(item)
    if not is_file and not looks_like_path(item):
        return
    what = f"{item!r} is the path of a file, and texts are given as texts." if is_file else f"No such file: {item}."
    raise DataError(
        what, "a text, or the Path of a text file.",
        f"pass Path({item!r}); a text that looks like a path is predicted with a blank before it: ' {item}'."
        if is_file else
        f"check the path, and pass it as Path(...); a text that looks like one is predicted with a blank before it: "
        f"' {item}'.",
    )  # fmt: skip


def _may_be_file(text: str) -> bool:
    """Return whether it is worth looking for a file of this name: a word alone is a text, whatever lies around."""
    return 0 < len(text) <= 1024 and "\n" not in text and "\0" not in text and ("/" in text or "." in text[-6:])


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
