"""The labels of many items as an Arrow column, counted and checked without a Python object an item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from onecycle.data.tables import SLICE, slices


class Labels(Sequence[Any]):
    """A label an item: a sequence of Python values, of which only some are there at a time.

    Args:
        column: The labels. Texts are kept as a dictionary, which holds each distinct one once.

    Example:
        >>> labels = Labels.of(["cat", "dog", "cat"])
        >>> labels[1], list(labels), labels.counts()
        ('dog', ['cat', 'dog', 'cat'], {'cat': 2, 'dog': 1})
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        if pa.types.is_list(column.type) and pa.types.is_null(column.type.value_type):
            column = column.cast(pa.list_(pa.string()))  # no item has a tag
        texts = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        self.column = column.dictionary_encode() if texts else column

    @classmethod
    def of(cls, labels: Sequence[Any], label_type: pa.DataType | None = None) -> Labels:
        """Return labels of any kind as `Labels`."""
        if isinstance(labels, Labels):
            return labels
        held = pa.array(labels, label_type)
        return cls(held if isinstance(held, pa.ChunkedArray) else pa.chunked_array([held]))

    @classmethod
    def by_value(cls, column: pa.ChunkedArray, label_of: Callable[[Any], Any], label_type: pa.DataType) -> Labels:
        """Return labels that depend on the value of a column alone.

        Args:
            column: The values.
            label_of: Returns the label of a value, also of None; called once for each distinct value.
            label_type: What it returns.
        """
        numbers, values = distinct(column)
        entries = pa.array([label_of(value) for value in values], label_type)
        if not pa.types.is_list(label_type):
            entries = entries.dictionary_encode()
        parts = (entries.take(pa.array(numbers[start : start + SLICE])) for start in range(0, len(numbers), SLICE))
        return cls(pa.chunked_array(list(parts) or [entries[:0]]))

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> Labels: ...
    def __getitem__(self, place: Any) -> Any:
        return Labels(self.column[place]) if isinstance(place, slice) else self.column[place].as_py()

    def __iter__(self) -> Iterator[Any]:
        return (label for some_labels in slices(self.column) for label in some_labels)

    @property
    def several(self) -> bool:
        """Whether each item has any number of tags."""
        return bool(pa.types.is_list(self.column.type))

    def counts(self) -> dict[str, int]:
        """Return how often each class or tag occurs."""
        counted = pc.value_counts(self.tags).to_pylist()
        return {one["values"]: one["counts"] for one in counted if one["values"] is not None}

    @property
    def tags(self) -> pa.ChunkedArray:
        """All classes, or all tags of all items one after the other."""
        return pc.list_flatten(self.column) if self.several else self.column

    def numbers(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """Return the number among `classes` of each class or tag of `tags`, -1 for any other."""
        found = pc.index_in(_plain(self.tags), pa.array(classes, pa.string()))
        numbers: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        return numbers

    def first_with(self, names: Iterable[str]) -> int:
        """Return the first item with one of these classes or tags."""
        tag = int((self.numbers(tuple(names)) >= 0).argmax())
        if not self.several:
            return tag
        return int(np.searchsorted(np.cumsum(self.lengths()), tag, side="right"))

    def lengths(self) -> NDArray[np.int64]:
        """Return how many tags each item has."""
        lengths: NDArray[np.int64] = pc.fill_null(pc.list_value_length(self.column), 0).to_numpy().astype(np.int64)
        return lengths

    def missing(self) -> NDArray[np.int64]:
        """Return the items without a label."""
        return np.flatnonzero(self.column.is_null().to_numpy())


def distinct(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[Any]]:
    """Return the number of each row's value among the distinct ones, and these; a row without one has None."""
    if pa.types.is_nested(column.type):
        column = pa.chunked_array([[None if value is None else str(value) for value in column.to_pylist()]])
    encoded = column.dictionary_encode().unify_dictionaries()
    values = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    numbers = [pc.fill_null(chunk.indices, len(values)).to_numpy().astype(np.int64) for chunk in encoded.chunks]
    return np.concatenate(numbers) if numbers else np.empty(0, np.int64), [*values, None]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
