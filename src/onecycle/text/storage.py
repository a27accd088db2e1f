"""Columns built from many arrays: in memory while they are small, in a memory-mapped file when they are large."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

# Larger columns are kept on disk: processes share the file's pages, and memory is left for models.
MAX_BYTES_IN_MEMORY = 2**30


def build_column(arrays: Iterable[pa.Array], type: pa.DataType, *, max_bytes: int | None = None) -> pa.ChunkedArray:
    """Concatenate arrays into one column.

    Args:
        arrays: Arrays of one type, consumed one at a time.
        type: That type; it is needed where there is no array.
        max_bytes: A larger column is kept in a temporary file, which is deleted with the column; None means
            `MAX_BYTES_IN_MEMORY`.

    Example:
        >>> build_column([pa.array([1, 2]), pa.array([3])], pa.int64()).to_pylist()
        [1, 2, 3]
    """
    limit = MAX_BYTES_IN_MEMORY if max_bytes is None else max_bytes
    in_memory: list[pa.Array] = []
    size = 0
    remaining = iter(arrays)
    for array in remaining:
        in_memory.append(array)
        size += array.nbytes
        if size > limit:
            return _on_disk(in_memory, remaining, type)
    return pa.chunked_array(in_memory, type)


def _on_disk(in_memory: list[pa.Array], remaining: Iterable[pa.Array], type: pa.DataType) -> pa.ChunkedArray:
    folder = Path(os.environ.get("ONECYCLE_CACHE") or Path.home() / ".cache" / "onecycle")
    folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(suffix=".arrow", dir=folder)
    os.close(handle)
    try:
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, pa.schema([("content", type)])) as writer:
            while in_memory:
                writer.write_batch(pa.record_batch([in_memory.pop(0)], ["content"]))
            for array in remaining:
                writer.write_batch(pa.record_batch([array], ["content"]))
        return pa.ipc.open_file(pa.memory_map(path)).read_all()["content"]
    finally:
        os.unlink(path)  # mapped pages stay readable, and no file is left behind
