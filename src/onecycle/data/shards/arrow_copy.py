"""Copies of Parquet columns as Arrow files in the cache, from which any row is read without its neighbours."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from onecycle.data.cache_home import cache_home
from onecycle.data.file_state import state_of
from onecycle.data.shards.column import bytes_of
from onecycle.data.shards.source import OpenShard, reading
from onecycle.disk import replacing
from onecycle.errors import DataError

FORMAT = 1
COPIED = 64  # rows at a time


def arrow_copy(path: str, column: str, open_shard: OpenShard) -> str:
    """Return an Arrow file with the bytes in a column of a Parquet file, as they are now; made once, kept in the cache.

    Raises:
        DataError: It would take more than half of the room on the disk, or the Parquet file is damaged.
    """
    name = hashlib.sha256(json.dumps([FORMAT, os.path.abspath(path), column]).encode()).hexdigest()[:24]
    state = hashlib.sha256(json.dumps(list(state_of(path))).encode()).hexdigest()[:24]
    copy = cache_home() / "tables" / f"{name}-{state}.arrow"
    if copy.is_file():
        return str(copy)
    copy.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(copy.with_suffix(".lock")):  # several processes may want it
        if not copy.is_file():
            with reading(path), open_shard(path) as file:
                _write(pq.ParquetFile(file), path, column, copy)
            for old in copy.parent.glob(f"{name}-*.arrow"):
                if old != copy:
                    old.unlink(missing_ok=True)
    return str(copy)


def column_bytes(parquet: pq.ParquetFile, column: str) -> int:
    """Return how many bytes a column takes where it is not compressed."""
    groups = [parquet.metadata.row_group(number) for number in range(parquet.metadata.num_row_groups)]
    leaves = [group.column(place) for group in groups for place in range(group.num_columns)]
    named = [leaf for leaf in leaves if leaf.path_in_schema.split(".")[0] == column]
    return sum(leaf.total_uncompressed_size for leaf in named)


def _write(parquet: pq.ParquetFile, path: str, column: str, copy: Path) -> None:
    needed, free = column_bytes(parquet, column), shutil.disk_usage(copy.parent).free
    if needed > free // 2:
        raise DataError(
            f"The items of {path} take {needed / 2**20:,.0f} MB, and {copy.parent} has room for"
            f" {free / 2**20:,.0f} MB.",
            "twice as much room, for a copy that is read in any order.",
            "set the environment variable ONECYCLE_CACHE to another folder, or use from_shards(), which needs no copy.",
        )
    kind = parquet.schema_arrow.field(column).type
    schema = pa.schema([("content", kind.field("bytes").type if pa.types.is_struct(kind) else kind)])
    with replacing(copy) as part, pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in parquet.iter_batches(COPIED, columns=[column]):
            writer.write_batch(pa.record_batch([bytes_of(batch.column(0))], schema))
