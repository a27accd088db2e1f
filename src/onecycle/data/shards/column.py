"""A column of an Arrow table that holds whole files: any of them is at hand, and processes share the memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from onecycle.data.contents import Contents
from onecycle.data.shards.source import Place, Shards, check_size
from onecycle.data.shared_file import map_table, must_be_mapped, write_shared
from onecycle.errors import DataError


class SharedColumn:
    """A column that processes share: forked ones its memory, spawned ones a file that they map.

    Args:
        column: Bytes, or structs with a field "bytes".
        files: The Arrow files that it is mapped from, if it is, one after the other.
    """

    def __init__(self, column: pa.ChunkedArray, files: tuple[str, ...] = ()) -> None:
        self.column, self.files = column, files
        self._ends = np.cumsum([len(chunk) for chunk in column.chunks], dtype=np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.files:
            return map_column, (self.files,)
        if must_be_mapped(self.column.nbytes):
            return map_column, ((self._file,),)
        return SharedColumn, (self.column,)

    @cached_property
    def _file(self) -> str:
        return write_shared(pa.table({"content": self.column}), self)

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, row: int) -> pa.Scalar:
        """Return the bytes at `row`; `ChunkedArray` would look through all chunks for it."""
        chunk = int(np.searchsorted(self._ends, row, side="right"))
        value = self.column.chunk(chunk)[row - (int(self._ends[chunk - 1]) if chunk else 0)]
        return value["bytes"] if value.is_valid and pa.types.is_struct(value.type) else value

    def missing(self) -> NDArray[np.bool_]:
        """Return which rows have no bytes, (rows,)."""
        parts = [bytes_of(chunk) for chunk in self.chunks]
        return np.concatenate([np.zeros(0, bool), *(part.is_null().to_numpy(zero_copy_only=False) for part in parts)])

    @property
    def chunks(self) -> list[pa.Array]:
        """The column in its chunks."""
        return list(self.column.chunks)


def bytes_of(column: pa.Array) -> pa.Array:
    """Return the bytes of a column of them, or of structs with a field "bytes"."""
    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


def map_column(files: tuple[str, ...]) -> SharedColumn:
    """Return the column in some Arrow files, which are mapped into memory."""
    chunks = [chunk for path in files for chunk in map_table(path)["content"].chunks]
    return SharedColumn(pa.chunked_array(chunks), files)


@dataclass(frozen=True)
class ColumnShards(Shards):
    """A column of whole files; an item's place is its row in all of the column.

    Attributes:
        column: The column.
        starts: The first row of each of `names`.
    """

    column: SharedColumn = field(kw_only=True, repr=False)
    starts: tuple[int, ...] = (0,)

    any_order: ClassVar[bool] = True

    def read(self, place: Place, name: str) -> Contents:
        row = f"row {place.start - self.starts[place.shard]}"
        shown = name if name.endswith(row) else f"{name} ({row})"
        value = self.column[place.start]
        if not value.is_valid:
            raise DataError(
                f"{shown} has no bytes.", "the bytes of a file in every row.",
                "write the files' bytes into the table, or pass missing='drop'.",
            )  # fmt: skip
        check_size(value.as_buffer().size, shown)
        return Contents(shown, value.as_py())

    def contents(self) -> list[pa.Array]:
        return [] if self.column.files else self.column.chunks

    def __str__(self) -> str:
        count = len(self.names)
        return "in a table" if not self.column.files else f"in {count:,} Parquet file{'s' * (count > 1)}"
