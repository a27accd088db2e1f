"""Documents joined and cut into chunks of equal length, for language models."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.errors import DataError
from onecycle.text.tokenizer import Tokenizer

# Chunks, and the labels of each: list<int32>, (chunks,).
Chunks = tuple[pa.Array, pa.Array]


def make_next_token_chunks(documents: Iterable[pa.Array], length: int) -> Chunks:
    """Join documents and cut them into chunks; the label of each token is the token after it.

    Args:
        documents: The documents' token ids, list<int32>, in any number of arrays.
        length: Tokens in each chunk; the tokens left over at the end are dropped.
    Returns:
        The chunks, each continuing the one before, and their labels.
    Raises:
        DataError: There are not enough tokens for one chunk.

    Example:
        >>> chunks, labels = make_next_token_chunks([pa.array([[1, 2, 3], [4, 5, 6, 7]], pa.list_(pa.int32()))], 3)
        >>> chunks.to_pylist(), labels.to_pylist()
        ([[1, 2, 3], [4, 5, 6]], [[2, 3, 4], [5, 6, 7]])
    """
    token_ids = _join(documents)
    count = (len(token_ids) - 1) // length
    _check_count(count, len(token_ids), length)
    return _to_lists(token_ids[: count * length], length), _to_lists(token_ids[1 : count * length + 1], length)


def make_masked_chunks(documents: Iterable[pa.Array], tokenizer: Tokenizer, length: int) -> Chunks:
    """Join documents and cut them into chunks that begin and end like single texts; their labels are the same tokens.

    Args:
        documents: The documents' token ids, list<int32>, in any number of arrays.
        tokenizer: The tokenizer that made them, for the prefix and suffix of each chunk.
        length: Tokens in each chunk, prefix and suffix included; the tokens left over at the end are dropped.
    Raises:
        DataError: There are not enough tokens for one chunk.
    """
    token_ids = _join(documents)
    prefix, suffix = (np.array(ids, np.int32) for ids in (tokenizer.prefix, tokenizer.suffix))
    inner = token_ids[~np.isin(token_ids, prefix)] if len(prefix) else token_ids  # suffixes stay, between documents
    inner_length = length - len(prefix) - len(suffix)
    count = len(inner) // inner_length
    _check_count(count, len(token_ids), length)
    rows = inner[: count * inner_length].reshape(count, inner_length)
    chunks = np.hstack([np.tile(prefix, (count, 1)), rows, np.tile(suffix, (count, 1))])
    lists = _to_lists(chunks.ravel(), length)
    return lists, lists


def _join(documents: Iterable[pa.Array]) -> NDArray[np.int32]:
    arrays = [array.values.to_numpy() for array in documents]
    return np.concatenate(arrays) if arrays else np.empty(0, np.int32)


def _to_lists(values: NDArray[np.int32], length: int) -> pa.Array:
    offsets = np.arange(0, len(values) + 1, length, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(values)))


def _check_count(count: int, tokens: int, length: int) -> None:
    if count < 1:
        raise DataError(
            f"The texts of one split have {tokens:,} tokens in all, and a chunk has {length}.",
            "enough tokens for one chunk in each split.",
            "add texts, or pass a smaller sequence= to tokenize().",
        )
