"""Parquet files as one table, without the whole files that may be inside them, which are read when they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from onecycle.data.shards.find import find_shards
from onecycle.data.shards.parquet import holds_bytes
from onecycle.data.shards.source import open_file, reading
from onecycle.data.split_names import splits_of
from onecycle.data.tables import SPLIT, as_table, concatenated, missing_column, with_splits
from onecycle.errors import DataError

LOOKED_AT = 20  # rows


class ParquetTable(NamedTuple):
    """What is in some Parquet files.

    Attributes:
        table: All columns that hold no bytes; for `column` what these are called, where the files say that.
        column: The column of whole files, or None.
        files: The Parquet files.
        root: The folder that they are in.
    """

    table: pa.Table
    column: str | None
    files: tuple[str, ...]
    root: str
    starts: tuple[int, ...]


def read_parquet(
    path: str | Path | Sequence[str | Path], find_column: Callable[[pa.Table, str], str | None] = lambda *_: None
) -> ParquetTable:
    """Read Parquet files.

    Where their names tell splits, as `train-00000-of-00002.parquet` and `test-*` do, a column "split" says them.

    Args:
        path: See `find_shards`.
        find_column: Returns the column of whole files, from the first rows and what the table is called.
    Raises:
        DataError: There are no such files, they are damaged, or hold no rows.
    """
    form, files = find_shards(path)
    if form != "parquet":
        raise DataError(f"{files[0]} is a tar.", "Parquet files.", "use from_shards().")
    root = os.path.commonpath([os.path.dirname(file) or "." for file in files])
    column = find_column(first_rows(files[0]), files[0])
    tables = [_read(file, column) for file in files]
    if not any(map(len, tables)):
        raise DataError(
            f"{files[0] if len(files) == 1 else f'{root} ({len(files):,} Parquet files)'} has no rows.",
            "a row for each item.",
            "write the rows again, or pass the path of a file that has some.",
        )
    names = [Path(os.path.relpath(file, root)).as_posix() for file in files]
    if any(splits_of(names).values()) and SPLIT not in tables[0].column_names:
        table = with_splits(list(zip(names, tables, strict=True)))
    else:
        table = concatenated(tables)
    starts = tuple(np.cumsum([0, *map(len, tables)])[:-1].tolist())
    return ParquetTable(table, column, tuple(files), root, starts)


def without_bytes(table: pa.Table) -> pa.Table:
    """Return the columns that hold no whole files."""
    return table.select([field.name for field in table.schema if not holds_bytes(field.type)])


def has_paths(kind: pa.DataType) -> bool:
    """Return whether a column of this type says what its files are called."""
    return bool(pa.types.is_struct(kind) and kind.get_field_index("path") >= 0)


def first_rows(path: str | Path) -> pa.Table:
    """Return the first rows of a Parquet file."""
    path = str(path)
    with reading(path), open_file(path) as file:
        parquet = pq.ParquetFile(file)
        batch = next(parquet.iter_batches(LOOKED_AT), None)
        return parquet.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])


def _read(path: str, column: str | None) -> pa.Table:
    with reading(path), open_file(path) as file:
        parquet = pq.ParquetFile(file)
        schema = parquet.schema_arrow
        if column is not None and (column not in schema.names or not holds_bytes(schema.field(column).type)):
            raise missing_column(column, schema.names)
        named = column is not None and has_paths(schema.field(column).type)
        wanted = [field.name for field in schema if not holds_bytes(field.type)]
        table = parquet.read(columns=[*wanted, *([f"{column}.path"] if named else [])])
        if named:
            place = table.column_names.index(column)
            table = table.set_column(place, column, pc.struct_field(table[column], "path"))
        elif not table.num_columns:  # whose rows Arrow does not count
            table = pa.table({"row": np.arange(parquet.metadata.num_rows)})
    return as_table(table)
