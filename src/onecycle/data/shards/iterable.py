"""Hugging Face iterable datasets, which are read in order alone, by one process."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, ClassVar

import pyarrow as pa

from onecycle.data.class_labels import named_labels
from onecycle.data.contents import Contents
from onecycle.data.shards.order import SHARDS_AT_ONCE
from onecycle.data.shards.parquet import counted
from onecycle.data.shards.source import (
    ContentKind,
    DamagedShardError,
    Place,
    ShardIndex,
    Shards,
    check_size,
    reading,
)
from onecycle.data.tables import missing_column
from onecycle.errors import DataError, some

COUNTED = 1000  # rows that are counted at a time


class _Cursor:
    """Reads the rows of one shard in order; those that are passed over wait until they are asked for.

    Args:
        rows: The shard, which can be iterated anew, and skip rows.
        buffer: How far from one another the rows are that are asked for next.
    """

    def __init__(self, rows: Any, buffer: int) -> None:
        self.rows, self.buffer = rows, buffer
        self.waiting: dict[int, Any] = {}
        self._start(0)

    def take(self, row: int) -> Any:
        """Return a row, and forget it.

        Raises:
            StopIteration: The shard has fewer rows.
        """
        if row in self.waiting:
            return self.waiting.pop(row)
        if not self.position <= row <= self.position + 2 * self.buffer:
            self._start(max(row - self.buffer, 0))
        for passed in range(self.position, row):
            self.waiting[passed] = self._next()
        while len(self.waiting) > 2 * self.buffer:
            del self.waiting[next(iter(self.waiting))]
        return self._next()

    def _start(self, position: int) -> None:
        self.waiting, self.position = {}, position
        self.iterator: Iterator[Any] = iter(self.rows.skip(position) if position else self.rows)

    def _next(self) -> Any:
        value = next(self.iterator)
        self.position += 1
        return value


class _Cursors:
    """The shards that are being read, as many as are read at once; the one used longest ago goes first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.cursors: dict[int, _Cursor] = {}
        weakref.finalize(self, self.cursors.clear)  # what is half read is closed before modules are, at the end

    def __reduce__(self) -> tuple[Any, ...]:
        return _Cursors, ()


@dataclass(frozen=True)
class IterableShards(Shards):
    """The shards of a Hugging Face `IterableDataset`; an item's place is its row.

    Attributes:
        dataset: The dataset, whose items are not decoded.
        column: The column of items.
    """

    dataset: Any = field(default=None, repr=False)
    column: str = ""
    _open: _Cursors = field(default_factory=_Cursors, repr=False, compare=False)

    forward_only: ClassVar[bool] = True

    def read(self, place: Place, name: str) -> Contents:
        with self._open.lock, reading(self.names[place.shard]):
            try:
                row = self._cursor(place.shard).take(place.start)
            except StopIteration as error:
                raise DataError(
                    f"{name} is not there: the stream has fewer items.",
                    "as many items as length= says, or as were counted.",
                    "pass the right length= to from_shards().",
                ) from error
        label = None if self.label is None else self._named(row, name)
        return Contents(name, _bytes(row.get(self.column), self.column, name), label)

    def _cursor(self, number: int) -> _Cursor:
        held = self._open.cursors
        if number in held:
            held[number] = held.pop(number)  # the last one used
        else:
            held[number] = _Cursor(part_of(self.dataset, number, len(self.names)), self.buffer)
            while len(held) > 2 * SHARDS_AT_ONCE:
                del held[next(iter(held))]
        return held[number]

    def _named(self, row: Any, name: str) -> str:
        assert self.label is not None
        if self.label not in row:
            raise missing_column(self.label, list(row))
        found = named_labels(pa.chunked_array([pa.array([row[self.label]])]), self.label, self.classes)[0].as_py()
        if found is None:
            raise DataError(f"{name} has no label.", "a label.", "leave such items out of the stream.")
        return str(found)


def is_iterable_dataset(value: Any) -> bool:
    """Return whether this is a Hugging Face dataset that is streamed.

    Raises:
        DataError: It is a Hugging Face dataset of another kind.
    """
    datasets = sys.modules.get("datasets")
    if datasets is None:
        return False
    if isinstance(value, datasets.Dataset | datasets.DatasetDict | datasets.IterableDatasetDict):
        fix = "call to_iterable_dataset() on it." if isinstance(value, datasets.Dataset) else (
            f"pass one of its splits, such as dataset[{next(iter(value), 'train')!r}]."
        )  # fmt: skip
        raise DataError(
            f"from_shards() got a {type(value).__name__}.", "an IterableDataset, as streaming=True loads it.", fix
        )
    return isinstance(value, datasets.IterableDataset)


def content_column_of(dataset: Any, kind: ContentKind, asked: str | None) -> str:
    """Return the column of items of a dataset, the only one if `asked` is None.

    Raises:
        DataError: There is none, or not one.
    """
    features = dataset.features or {}
    if asked is not None and features and asked not in features:
        raise missing_column(asked, list(features))
    fitting = [name for name, feature in features.items() if type(feature).__name__ == kind.feature]
    found = [asked] if asked is not None else fitting
    if len(found) != 1:
        raise DataError(
            f"The dataset has {len(found)} columns of {kind.feature}()" + (f": {some(found)}." if found else "."),
            f"one column of {kind.feature}().",
            f"pass its name as {kind.keyword}=" + (f", one of: {some(features, 12)}." if features else "."),
        )
    return found[0]


def undecoded(dataset: Any, column: str) -> Any:
    """Return a dataset whose items are the bytes of their files."""
    feature: Any = (dataset.features or {}).get(column)
    return dataset.cast_column(column, replace(feature, decode=False)) if hasattr(feature, "decode") else dataset


def class_names_of(dataset: Any, label: str) -> tuple[str, ...] | None:
    """Return the names of the classes of a column of labels, where the dataset says them."""
    names = getattr((dataset.features or {}).get(label), "names", None)
    return tuple(names) if isinstance(names, list) else None


def part_of(dataset: Any, number: int, count: int) -> Any:
    """Return one of a dataset's shards."""
    return dataset if count == 1 else dataset.shard(num_shards=count, index=number)


def index_iterable(
    part: Any, path: str, column: str, labels: Sequence[str], classes: Sequence[str] | None
) -> ShardIndex:
    """Go once through a shard for its labels, or through its items where there are none, to count its items.

    What was read before an error is used, see `ShardIndex.damage`.
    """
    wanted, damage = list(labels) or [column], None
    batches: list[dict[str, list[Any]]] = []
    known = part.features or {}
    for label in labels:
        if known and label not in known:
            raise missing_column(label, list(known))
    try:
        with reading(path):
            for batch in part.select_columns(wanted).iter(batch_size=COUNTED):
                batches.append(batch if labels else {column: [None] * len(batch[column])})
    except DamagedShardError as error:
        damage = error.what
    count = sum(len(batch[wanted[0]]) for batch in batches)
    texts = {}
    for label in labels:
        values = pa.chunked_array([pa.array(list(chain.from_iterable(batch[label] for batch in batches)))])
        texts[label] = named_labels(values, label, class_names_of(part, label) or classes)
    return counted(count, texts)._replace(damage=damage)


def _bytes(value: Any, column: str, name: str) -> bytes:
    data = value.get("bytes") if isinstance(value, dict) else value
    path = value.get("path") if isinstance(value, dict) else None
    if data is None and isinstance(path, str) and os.path.isfile(path):
        check_size(os.path.getsize(path), name)
        with open(path, "rb") as file:
            return file.read()
    if not isinstance(data, bytes):
        raise DataError(
            f"{name} has no bytes in column {column!r}, but a {type(data).__name__}.",
            "the bytes of a file, as a feature such as datasets.Audio(decode=False) gives them.",
            "give the dataset features=, with the feature of its files for this column.",
        )
    check_size(len(data), name)
    return data
