"""Arrow tables that several processes need: a temporary file that all of them map into memory."""

from __future__ import annotations

import os
import tempfile
import weakref
from contextlib import suppress
from multiprocessing.context import get_spawning_popen

import pyarrow as pa

# Fewer bytes are copied to a process that is spawned; more lie in a file that all processes map into memory.
LEAST_SHARED = 2**22


def must_be_mapped(size: int) -> bool:
    """Return whether so many bytes are on their way to a process that is spawned, and too many to be copied."""
    return get_spawning_popen() is not None and size >= LEAST_SHARED


def write_shared(table: pa.Table, owner: object) -> str:
    """Write a table to a temporary file, which goes when its owner does; return the path."""
    handle, path = tempfile.mkstemp(prefix="onecycle-rows-", suffix=".arrow")
    table = table.unify_dictionaries()  # a file holds one dictionary a column
    with os.fdopen(handle, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    weakref.finalize(owner, _remove, path, os.getpid())
    return path


def map_table(path: str) -> pa.Table:
    """Return the table in an Arrow file, which is mapped into memory."""
    return pa.ipc.open_file(pa.memory_map(path)).read_all()


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:  # a worker that was forked ends without taking the file from the others
        with suppress(OSError):
            os.unlink(path)
