"""Tables of any library and CSV files as Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from onecycle.errors import DataError, some, suggest

LEAST_BLOCK, LARGEST_BLOCK = 2**20, 2**25
SLICE = 2**16


def as_table(rows: Any) -> pa.Table:
    """Return any table that exports the Arrow C stream (pandas, polars, DuckDB, Arrow) as an Arrow table.

    Raises:
        DataError: `rows` exports no Arrow stream.
    """
    if not hasattr(rows, "__arrow_c_stream__"):
        raise DataError(
            f"Cannot read a table from {type(rows).__name__}.",
            "a table that exports the Arrow C stream: pandas, polars, pyarrow, DuckDB, Hugging Face datasets.",
            "convert it, for example with pandas.DataFrame(rows).",
        )
    table = pa.table(rows)
    # Arrow cannot yet take or filter the "view" texts that polars exports.
    plain = [
        field.with_type(pa.large_string()) if pa.types.is_string_view(field.type) else field for field in table.schema
    ]
    return table.cast(pa.schema(plain, table.schema.metadata))


def read_csv(path: str | Path, *, separator: str = ",", encoding: str = "utf-8") -> pa.Table:
    """Read a CSV with every value as text ("007" stays "007"); byte-order marks and CRLF are handled.

    Args:
        path: The file.
        separator: What separates its fields.
        encoding: How its bytes are to be read.
    Raises:
        DataError: The file is missing, empty or not a table.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"No such file: {path}.", "a CSV file with a header line.", "check the path.")
    parsing = pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    # A row must fit into a block; Arrow's own of 1 MB are too small for a long document.
    block = min(max(path.stat().st_size + 1, LEAST_BLOCK), LARGEST_BLOCK)
    reading = pa.csv.ReadOptions(encoding=encoding, block_size=block)
    try:
        with pa.csv.open_csv(path, reading, parse_options=parsing) as head:
            names = head.schema.names
        texts = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        table = pa.csv.read_csv(path, reading, parse_options=parsing, convert_options=texts)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path} cannot be read as CSV: {error}.",
            f"{encoding.upper()} text with a header line and fields separated by {separator!r}.",
            "open it in an editor, or pass separator=...",
        ) from error
    # Arrow would hold on to the blocks, which are half as large again as a table of many rows.
    pa.default_memory_pool().release_unused()
    return table


def slices(column: pa.ChunkedArray) -> Iterator[list[Any]]:
    """Yield a column's values some at a time, so that millions of them are never Python objects at once."""
    for start in range(0, len(column), SLICE):
        yield column.slice(start, SLICE).to_pylist()


def missing_column(name: str, known: list[str]) -> DataError:
    """Return the error for a column that is not there; it notices a wrong separator."""
    lumped = [s for s in ";\t|" if len(known) == 1 and s in known[0]]
    fix = (
        f"the fields look separated by {lumped[0]!r}: pass separator={lumped[0]!r}."
        if lumped
        else ("check the column's name." + suggest(name, known))
    )
    return DataError(f"There is no column {name!r}.", f"one of: {some(known, 20)}.", fix)
