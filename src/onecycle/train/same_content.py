"""Which judged files are items of the data already, byte by byte: people show a model what it learned from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from onecycle.data.bunch import DataBunch
from onecycle.data.rows import CONTENT, Rows

Place = tuple[str, int]
"""A split, and a row in it."""


def find_same(files: Iterable[str], bunch: DataBunch) -> dict[str, list[Place]]:
    """Return where among the data each of the files is, without those that are nowhere.

    Only what has the size of one of the files is read; texts are compared as the model reads them.
    Items in shards, and arrays, are not compared.
    """
    if bunch.modality.reads_text_directly:
        return _find_texts(files, bunch)
    sizes = {file: size for file in files if (size := _size(file)) is not None}
    wanted, alike = set(sizes.values()), dict[str, list[Place]]()
    if not wanted:
        return {}
    for split, rows in _splits(bunch):
        for row in _of_sizes(rows, wanted):
            with suppress(OSError):  # an item that cannot be read is left out of the training too
                alike.setdefault(_digest_of_row(rows, row), []).append((split, row))
    digests = {file: _digest(Path(file).read_bytes()) for file in sizes} if alike else {}
    return {file: alike[digest] for file, digest in digests.items() if digest in alike}


def _splits(bunch: DataBunch) -> Iterator[tuple[str, Rows]]:
    for split in ("train", "valid", "test"):
        if split != "test" or bunch.test is not None:
            yield split, bunch.loader(split).dataset.rows


def _of_sizes(rows: Rows, wanted: set[int]) -> Iterator[int]:
    if rows.shards is None and CONTENT not in rows.table.column_names:
        yield from (row for row, path in enumerate(rows.located()) if _size(path) in wanted)


def _digest_of_row(rows: Rows, row: int) -> str:
    return _digest(Path(rows.input(row)).read_bytes())


def _find_texts(files: Iterable[str], bunch: DataBunch) -> dict[str, list[Place]]:
    there = [file for file in files if Path(file).is_file()]
    if not there:
        return {}
    alike: dict[bytes, list[Place]] = {}
    for split, rows in _splits(bunch):
        if rows.shards is None and CONTENT in rows.table.column_names:
            for row in range(len(rows)):
                alike.setdefault(_as_read(rows.input(row), bunch), []).append((split, row))
    read = bunch.modality.rows_from([Path(file) for file in there])
    read_as = {file: _as_read(read.input(row), bunch) for row, file in enumerate(there)}
    return {file: alike[found] for file, found in read_as.items() if found in alike}


def _as_read(text: Any, bunch: DataBunch) -> bytes:
    """Return what the model reads of a text; the data may hold that already instead of the text."""
    ids = bunch.modality.read(text, training=False).input if isinstance(text, str) else text
    return np.asarray(ids, np.int64).tobytes()


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
