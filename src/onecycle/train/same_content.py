"""Which judged files are items of the data already, byte by byte: people show a model what it learned from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from onecycle.data.bunch import DataBunch
from onecycle.data.rows import CONTENT, Rows

Place = tuple[str, int]
"""A split, and a row in it."""


def find_same(files: Iterable[str], bunch: DataBunch) -> dict[str, list[Place]]:
    """Return where among the data each of the files is, without those that are nowhere.

    Only what has the size of one of the files is read. Items in shards, and arrays, are not compared.
    """
    sizes = {file: size for file in files if (size := _size(file)) is not None}
    wanted, alike = set(sizes.values()), dict[str, list[Place]]()
    if not wanted:
        return {}
    for split in ("train", "valid", "test"):
        if split == "test" and bunch.test is None:
            continue
        rows = bunch.loader(split).dataset.rows
        for row in _of_sizes(rows, wanted):
            with suppress(OSError):  # an item that cannot be read is left out of the training too
                alike.setdefault(_digest_of_row(rows, row), []).append((split, row))
    digests = {file: _digest(Path(file).read_bytes()) for file in sizes} if alike else {}
    return {file: alike[digest] for file, digest in digests.items() if digest in alike}


def _of_sizes(rows: Rows, wanted: set[int]) -> Iterator[int]:
    if rows.shards is not None:
        return
    if CONTENT not in rows.table.column_names:
        yield from (row for row, path in enumerate(rows.located()) if _size(path) in wanted)
        return
    column = rows.table[CONTENT]
    if any(is_text(column.type) for is_text in (pa.types.is_string, pa.types.is_large_string)):
        yield from (row for row, size in enumerate(pc.binary_length(column).to_pylist()) if size in wanted)


def _digest_of_row(rows: Rows, row: int) -> str:
    item = rows.input(row)
    return _digest(item.encode() if CONTENT in rows.table.column_names else Path(item).read_bytes())


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
