"""Tables of any library and CSV files as Arrow tables."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from onecycle.data.class_labels import with_class_names
from onecycle.data.frames import unknown_objects, with_text_paths
from onecycle.data.split_names import splits_of
from onecycle.errors import DataError, some, suggest

LEAST_BLOCK, LARGEST_BLOCK = 2**20, 2**25
SLICE = 2**16
MOST_COLUMNS = 50_000
SPLIT = "split"
# The columns that onecycle adds, see `rows`.
RESERVED = ("#item", "#label", "#content", "#place", "#corrected")


def as_table(rows: Any) -> pa.Table:
    """Return any table that exports the Arrow C stream (pandas, polars, DuckDB, Arrow) as an Arrow table.

    So is a Hugging Face dataset. One with splits, or a dict of tables by split, has them in a column "split", as
    "train", "valid" and "test". Numbers of classes become their names, where the table says these as Hugging Face does.

    Raises:
        DataError: `rows` exports no Arrow stream, it cannot be read, or two of its columns have one name.
    """
    if isinstance(rows, Mapping) and rows and all(map(_is_table, rows.values())):
        return with_splits([(name, as_table(part)) for name, part in rows.items()])
    if not _is_table(rows):
        streamed = _is_dataset(rows, "IterableDataset") or _is_dataset(rows, "IterableDatasetDict")
        raise DataError(
            f"Cannot read a table from {type(rows).__name__}.",
            "a table that exports the Arrow C stream: pandas, polars, pyarrow, DuckDB, Hugging Face datasets.",
            "read a stream with from_shards()." if streamed else "convert it, for example with pandas.DataFrame(rows).",
        )
    rows = with_text_paths(rows)
    if hasattr(rows, "with_columns") and (objects := some(unknown_objects(rows))):  # polars exports their addresses
        raise DataError(
            f"The DataFrame has columns of Python objects: {objects}.", "columns of texts, numbers, bytes or lists.",
            "write such values into these columns, or leave them out: frame.drop(...).",
        )  # fmt: skip
    try:
        table = rows.with_format("arrow")[:] if _is_dataset(rows, "Dataset") else pa.table(rows)
        # Arrow cannot yet take or filter the "view" texts that polars exports.
        plain = [field.with_type(_without_views(field.type)) for field in table.schema]
        table = table.cast(pa.schema(plain, table.schema.metadata))
    except Exception as error:  # a column of mixed types, a stream that breaks: each library has its own
        objects = some(unknown_objects(rows))
        raise DataError(
            f"The {type(rows).__name__} cannot be read as a table: {error}.",
            "a table whose columns each have one type.",
            f"write texts, numbers or lists into the columns of other objects, {objects}, or leave these columns out."
            if objects
            else "convert the columns, for example with frame.astype(str), or save it as CSV and read that.",
        ) from error
    check_columns(table.column_names, f"The {type(rows).__name__}")
    return with_class_names(table)


def with_splits(parts: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    """Return some tables as one, with a column "split" that holds "train", "valid", "test", or the table's name.

    Raises:
        DataError: They have different columns, or one of this name.
    """
    named, roles = [], splits_of([name for name, _ in parts])
    for name, part in parts:
        if SPLIT in part.column_names:
            raise DataError(
                f"The tables {some(name for name, _ in parts)} have a column called {SPLIT!r}.",
                "other names: it would say which of them a row is from.",
                f"rename it, or pass one of them, such as dataset[{name!r}].",
            )
        role = pa.array([roles[name] or name], pa.string())
        column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(part), np.int32)), role)
        named.append(part.append_column(SPLIT, pa.chunked_array([column])))
    return concatenated(named)


def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of some tables as one table.

    Raises:
        DataError: They have different columns.
    """
    try:
        return pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    except pa.ArrowException as error:
        raise DataError(
            f"The columns of {len(tables):,} tables differ: {error}.", "columns of one type where they have one name.",
            "convert them, or pass the tables one at a time.",
        ) from error  # fmt: skip


def _is_table(value: Any) -> bool:
    return hasattr(value, "__arrow_c_stream__") or _is_dataset(value, "Dataset")


def _is_dataset(value: Any, name: str) -> bool:
    """Return whether this is a Hugging Face dataset of a kind; the library is never imported for it."""
    datasets = sys.modules.get("datasets")
    return datasets is not None and isinstance(value, getattr(datasets, name, ()))


def _without_views(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_views(field.type)) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_without_views(kind.value_type)))
    return kind


def check_columns(names: list[str], what: str) -> None:
    """Refuse columns that could not be told apart.

    Args:
        names: The columns' names.
        what: What has them, for the error.
    Raises:
        DataError: A name is there twice, or is one that onecycle adds.
    """
    counts = Counter(names)
    twice = [repr(name) for name, count in counts.items() if count > 1]
    if twice:
        raise DataError(
            f"{what} has more than one column called {some(twice)}.", "a different name for each column.",
            "rename or remove one of them.",
        )  # fmt: skip
    if reserved := [repr(name) for name in RESERVED if name in counts]:
        raise DataError(
            f"{what} has a column called {some(reserved)}.", "other names: onecycle adds columns of these names.",
            "rename it.",
        )  # fmt: skip


def read_csv(path: str | Path, *, separator: str = ",", encoding: str = "utf-8", header: bool = True) -> pa.Table:
    """Read a CSV with every value as text ("007" stays "007"); byte-order marks and CRLF are handled.

    Args:
        path: The file.
        separator: What separates its fields.
        encoding: How its bytes are to be read.
        header: Whether the first line names the columns; without it they are "column_1", "column_2", ...
    Raises:
        DataError: The file is missing, empty or not a table.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"No such file: {path}.", "a CSV file with a header line.", "check the path.")
    check_separator(separator)
    if (count := _count_columns(path, separator)) > MOST_COLUMNS:
        raise DataError(
            f"{path} has {count:,} columns.", f"at most {MOST_COLUMNS:,}, since each takes 20 KB while it is read.",
            "check separator=, or read the columns that you need with another library and use from_table().",
        )  # fmt: skip
    parsing = pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    # A row must fit into a block; Arrow's own of 1 MB are too small for a long document.
    block = min(max(path.stat().st_size + 1, LEAST_BLOCK), LARGEST_BLOCK)
    reading = pa.csv.ReadOptions(encoding=encoding, block_size=block, autogenerate_column_names=not header)
    try:
        with pa.csv.open_csv(path, reading, parse_options=parsing) as head:
            names = head.schema.names
        if not header:
            names = [f"column_{number}" for number in range(1, len(names) + 1)]
            reading.autogenerate_column_names, reading.column_names = False, names
        check_columns(names, str(path))
        texts = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        table = pa.csv.read_csv(path, reading, parse_options=parsing, convert_options=texts)
    except DataError:
        raise
    except Exception as error:  # Arrow's, and those of Python's decoders
        raise DataError(
            f"{path} cannot be read as CSV: {str(error) or type(error).__name__}.",
            f"{encoding.upper()} text with a header line and fields separated by {separator!r}.",
            "leave encoding= out to detect it, or pass the one that the file was written in."
            if isinstance(error, UnicodeError) or "UTF8" in str(error)
            else "open it in an editor, or pass separator=...",
        ) from error
    # Arrow would hold on to the blocks, which are half as large again as a table of many rows.
    pa.default_memory_pool().release_unused()
    return table


def check_separator(separator: str) -> None:
    """Refuse what cannot separate fields.

    Raises:
        DataError: It is not one ASCII character, or one that ends lines or quotes fields.
    """
    if not isinstance(separator, str) or len(separator) != 1 or separator in '\n\r"' or not separator.isascii():
        raise DataError(f"separator={separator!r}.", "one character, such as ',' or ';'.", "pass separator=','.")


def _count_columns(path: Path, separator: str) -> int:
    """Return the number of fields of a file's first record."""
    fields, quotes = 1, 0
    with path.open("rb") as file:
        for line in file:
            ended = line.split(b"\r", 1)[0] if quotes % 2 == 0 else line
            line = ended if ended.count(b'"') % 2 == 0 else line
            fields, quotes = fields + line.count(separator.encode()), quotes + line.count(b'"')
            if line.strip() and quotes % 2 == 0:
                break
    return fields


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


def check_missing(missing: str) -> None:
    """Refuse what `missing=` of a list or a label cannot be."""
    if missing not in ("raise", "drop"):
        raise DataError(f"missing={missing!r}.", '"raise" or "drop".', "pass one of them.")
