"""A column that is written piece by piece: in memory while it is small, in a mapped file when it is large."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

# Beyond so many bytes a column lies on disk: processes share it, and memory is left for models.
LARGE = 2**30


def column(pieces: Iterable[pa.Array], kind: pa.DataType, *, large: int | None = None) -> pa.ChunkedArray:
    """Gather pieces into one column.

    Args:
        pieces: Arrays of one type.
        kind: That type, for a column of no pieces.
        large: From so many bytes on the column lies in a file that goes away with it; None takes `LARGE`.
    """
    limit = LARGE if large is None else large
    held: list[pa.Array] = []
    size = 0
    remaining = iter(pieces)
    for piece in remaining:
        held.append(piece)
        size += piece.nbytes
        if size > limit:
            return _on_disk(held, remaining, kind)
    return pa.chunked_array(held, kind)


def _on_disk(held: list[pa.Array], remaining: Iterable[pa.Array], kind: pa.DataType) -> pa.ChunkedArray:
    home = Path(os.environ.get("ONECYCLE_CACHE") or Path.home() / ".cache" / "onecycle")
    home.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(suffix=".arrow", dir=home)
    os.close(handle)
    try:
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, pa.schema([("content", kind)])) as writer:
            while held:
                writer.write_batch(pa.record_batch([held.pop(0)], ["content"]))
            for piece in remaining:
                writer.write_batch(pa.record_batch([piece], ["content"]))
        return pa.ipc.open_file(pa.memory_map(path)).read_all()["content"]
    finally:
        os.unlink(path)  # what is mapped stays readable, and nothing is left behind
