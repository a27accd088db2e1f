"""Parquet files with a column of whole files, as Hugging Face writes them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from onecycle.data.class_labels import class_names, feature_type, features, named_labels
from onecycle.data.contents import Contents
from onecycle.data.shards.source import (
    NAME,
    SIZE,
    START,
    ContentKind,
    Place,
    ShardIndex,
    Shards,
    check_size,
    reading,
)
from onecycle.data.tables import missing_column
from onecycle.errors import DataError, some


class _Groups:
    """Row groups that were read, as many as a buffer's items lie in; the one used longest ago goes first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ends: dict[str, NDArray[np.int64]] = {}
        self.columns: dict[tuple[str, int], pa.ChunkedArray] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _Groups, ()  # a worker reads its own


@dataclass(frozen=True)
class ParquetShards(Shards):
    """Parquet files; an item's place is its row.

    A file can only be read by whole groups of rows. Those in use are kept, with twice the buffer's items at most and
    some groups for the shards that are read at once.

    Attributes:
        column: The column of the items' bytes, binary, or a struct with a field "bytes".
    """

    column: str = ""
    _groups: _Groups = field(default_factory=_Groups, repr=False, compare=False)

    def read(self, place: Place, name: str) -> Contents:
        path = self.names[place.shard]
        with self._groups.lock, reading(path):
            number, row = self._find(path, place.start)
            column = self._group(path, number)
            value = column[row]
        if not value.is_valid:
            raise DataError(
                f"{name} has no bytes in column {self.column!r}.",
                "the bytes of a file in every row; a path alone cannot be read.",
                "write the files' bytes into the shards.",
                can_skip=True,
            )
        check_size(value.as_buffer().size, name)
        return Contents(name, value.as_py())

    def _find(self, path: str, row: int) -> tuple[int, int]:
        """Return the number of a row's group, and its row within it."""
        ends = self._groups.ends
        if path not in ends:
            with self.open(path) as file:
                groups = pq.ParquetFile(file).metadata
                ends[path] = np.cumsum([groups.row_group(number).num_rows for number in range(groups.num_row_groups)])
        number = int(np.searchsorted(ends[path], row, side="right"))
        return number, row - int(ends[path][number - 1] if number else 0)

    def _group(self, path: str, number: int) -> pa.ChunkedArray:
        held, key = self._groups.columns, (path, number)
        if key in held:
            held[key] = held.pop(key)  # the last one used
        else:
            held[key] = self._read_group(path, number)
            most = 2 * self.buffer + 4 * max(map(len, held.values()))
            while sum(map(len, held.values())) > most:
                del held[next(iter(held))]
        return held[key]

    def _read_group(self, path: str, number: int) -> pa.ChunkedArray:
        with self.open(path) as file:
            parquet = pq.ParquetFile(file)
            group = parquet.metadata.row_group(number)
            leaf = self._leaf(parquet.schema_arrow)
            sizes = [group.column(place) for place in range(group.num_columns)]
            needed = sum(one.total_uncompressed_size for one in sizes if one.path_in_schema == leaf)
            if needed > psutil.virtual_memory().available // 4:
                raise DataError(
                    f"A group of {group.num_rows:,} rows in {path} takes {needed / 2**20:,.0f} MB.",
                    "groups that fit into a quarter of the free memory, since a group is read whole.",
                    "write smaller groups, such as with pyarrow.parquet.write_table(table, path, row_group_size=100).",
                )
            column = parquet.read_row_group(number, columns=[leaf], use_threads=False)[self.column]
        return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column

    def _leaf(self, schema: pa.Schema) -> str:
        return f"{self.column}.bytes" if pa.types.is_struct(schema.field(self.column).type) else self.column


def content_column(
    schema: pa.Schema, path: str, kind: ContentKind, asked: str | None, option: str | None = None
) -> str:
    """Return the column of a Parquet file that holds the items.

    Args:
        schema: The file's.
        path: The file's path, for messages.
        kind: What the items are.
        asked: The column's name; None takes the only one that can be it.
        option: The argument that names it, for an error; None is that of `kind`.
    Raises:
        DataError: There is none, there are several, or `asked` is none.
    """
    if asked is not None and asked not in schema.names:
        raise missing_column(asked, schema.names)
    fitting = [one.name for one in schema if holds_bytes(one.type)]
    said = [name for name, feature in features(schema).items() if feature_type(feature) == kind.feature]
    named = [name for name in said if name in fitting]
    found = [asked] if asked in fitting else [] if asked is not None else named or fitting
    if len(found) != 1:
        what = f"Column {asked!r} of {path} is {schema.field(asked).type}." if asked else (
            f"{path} has {len(found)} columns that can hold items" + (f": {some(found)}." if found else ".")
        )  # fmt: skip
        raise DataError(
            what,
            "one column of bytes, or of {bytes, path} as Hugging Face writes it.",
            f"pass {option or kind.keyword}= with one of: {some(fitting or schema.names, 12)}.",
        )
    return str(found[0])


def index_parquet(file: BinaryIO, labels: Sequence[str], classes: Sequence[str] | None) -> ShardIndex:
    """Count the rows of a Parquet file, and read its labels; the items are not read.

    Args:
        file: The file, opened.
        labels: The columns of the labels. Numbers of classes become names where the schema says these, or `classes`.
        classes: Names of the numbers in `labels`, if the schema does not say them.
    Raises:
        DataError: A column is not there, or holds no labels.
    """
    parquet = pq.ParquetFile(file)
    for label in labels:
        if label not in parquet.schema_arrow.names:
            raise missing_column(label, parquet.schema_arrow.names)
    count, known = parquet.metadata.num_rows, features(parquet.schema_arrow)
    read = parquet.read(columns=list(labels), use_threads=False) if labels else None
    labelled = {}
    for label in labels:
        assert read is not None
        labelled[label] = named_labels(read[label], label, class_names(known.get(label)) or classes)
    return counted(count, labelled)


def counted(count: int, labels: Mapping[str, pa.ChunkedArray]) -> ShardIndex:
    """Return the index of a shard of `count` rows and their labels; rows without one are left out."""
    columns = {
        NAME: pa.array([str(row) for row in range(count)], pa.string()),
        START: pa.array(np.arange(count)),
        SIZE: pa.array(np.ones(count, np.int64)),
    }
    table, lacking = pa.table({**columns, **labels}), np.zeros(count, bool)
    for column in labels.values():
        lacking |= column.is_null().to_numpy()
    skipped = [(str(row), "items without a label") for row in np.flatnonzero(lacking).tolist()]
    return ShardIndex(table.filter(pa.array(~lacking)) if skipped else table, skipped, None)


def holds_bytes(kind: pa.DataType) -> bool:
    """Return whether a column of this type can hold whole files: bytes, or a struct with a field of them."""
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
