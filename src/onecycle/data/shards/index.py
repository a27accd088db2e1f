"""All items of some shards as rows: counted once, the headers of tars kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from onecycle.data.cache_file import cache_home, state_of
from onecycle.data.items import Skipped
from onecycle.data.progress import progress
from onecycle.data.rows import ITEM, PLACE, Rows
from onecycle.data.shards.find import find_shards
from onecycle.data.shards.parquet import ParquetShards, image_column, index_parquet, named_labels
from onecycle.data.shards.source import (
    PLACE_TYPE,
    DamagedShardError,
    ShardIndex,
    Shards,
    damaged_shard,
    empty_index,
    open_file,
    reading,
)
from onecycle.data.shards.tar import TarShards, index_tar
from onecycle.data.tables import check_columns
from onecycle.errors import DataError, some

OnBadShard = Literal["raise", "skip"]
FORMAT = 1


def shard_rows(
    shards: str | Path | Sequence[str | Path],
    *,
    image: str | None,
    suffixes: frozenset[str],
    labels: Sequence[str],
    classes: Sequence[str] | None,
    buffer: int,
    on_bad_shard: OnBadShard,
) -> tuple[Rows, list[Skipped]]:
    """Return a row for each item of tars or Parquet files, and what was left out.

    Args:
        shards: See `find_shards`.
        image: The column, or the suffix or suffixes ("jpg;png"), of images; None takes the only column, or `suffixes`.
        suffixes: Of images, without a dot.
        labels: Columns, or suffixes, of labels.
        classes: Names of the labels that are numbers.
        buffer: See `Shards`.
        on_bad_shard: "raise", or "skip" to use what can be read of it.
    Raises:
        DataError: There is no item, a shard is damaged, or a column is missing.
    """
    kind, paths = find_shards(shards)
    check_columns([*labels], "label=")
    root = Path(os.path.commonpath([os.path.dirname(path) or "." for path in paths]))
    made: Shards
    if kind == "tar":
        wanted = frozenset(image.lower().split(";")) if image else suffixes
        made = TarShards(tuple(paths), buffer, open_file)
        indexes = _indexes(paths, lambda path: _tar(path, wanted, labels), on_bad_shard)
    else:
        made = ParquetShards(tuple(paths), buffer, open_file, _image_column(paths, image, on_bad_shard))
        indexes = _indexes(paths, lambda path: _parquet(path, labels, classes), on_bad_shard)
    skipped: list[Skipped] = []
    tables = []
    for number, (path, index) in enumerate(zip(paths, indexes, strict=True)):
        relative = Path(os.path.relpath(path, root)).as_posix()
        skipped += [Skipped(f"{relative}/{name}", reason) for name, reason in index.skipped]
        if index.damage is not None:
            skipped.append(Skipped(relative, "the rest of damaged shards"))
        tables.append(_with_places(index.table, number, relative))
    table = _joined([table for table in tables if table.num_rows] or tables[:1], paths)
    if not table.num_rows:
        reasons = sorted({entry.reason for entry in skipped})
        raise DataError(
            f"No images in {len(paths):,} shards, the first {paths[0]}"
            + (f": found {some(reasons)}, such as {skipped[0].path}." if skipped else "."),
            f"items with an image ({image or 'any kind'})" + (f" and a label ({some(labels)})." if labels else "."),
            "check image= and label=: the suffixes of a tar's members, or columns of a Parquet file.",
        )
    if kind == "tar" and classes is not None:
        for label in labels:
            place = table.column_names.index(label)
            table = table.set_column(place, label, named_labels(table[label], label, classes))
    return Rows(table, root, made), skipped


def _joined(tables: Sequence[pa.Table], paths: Sequence[str]) -> pa.Table:
    try:
        return pa.concat_tables(tables)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"The {len(paths):,} shards, the first {paths[0]}, have labels of different types: {error}.",
            "columns of one type in all shards.",
            "write them anew with one type, or name shards of one data set.",
        ) from error


def _image_column(paths: Sequence[str], image: str | None, on_bad_shard: OnBadShard) -> str:
    """Return the column of images, as the first shard that can be read has it."""
    for place, path in enumerate(paths):
        try:
            with reading(path), open_file(path) as file:
                return image_column(pq.read_schema(file), path, image)
        except DamagedShardError:
            if on_bad_shard == "raise" or place == len(paths) - 1:
                raise
    raise AssertionError("there is a shard")


def _indexes(paths: Sequence[str], index: Callable[[str], ShardIndex], on_bad_shard: OnBadShard) -> list[ShardIndex]:
    found: list[ShardIndex] = []
    for path in progress(paths, "counting the items of shards", len(paths)):
        one = index(path)
        if one.damage is not None and on_bad_shard == "raise":
            raise damaged_shard(path, one.damage)
        found.append(one)
    return found


def _with_places(index: pa.Table, number: int, relative: str) -> pa.Table:
    """Return the rows of a shard as those of a list."""
    count = index.num_rows
    shard = pa.array([number], pa.int32()).take(pa.array([0] * count, pa.int64()))
    start, size = (index[name].combine_chunks() for name in ("start", "size"))
    place = pa.StructArray.from_arrays([shard, start, size], fields=list(PLACE_TYPE))
    prefix = pa.scalar(f"{relative}/")
    names = pa.compute.binary_join_element_wise(prefix, index["name"], "")
    columns = {name: index[name] for name in index.column_names if name not in ("name", "start", "size")}
    return pa.table({ITEM: names, PLACE: place, **columns})


def _parquet(path: str, labels: Sequence[str], classes: Sequence[str] | None) -> ShardIndex:
    try:
        with reading(path), open_file(path) as file:
            return index_parquet(file, labels, classes)
    except DamagedShardError as error:
        return empty_index(labels, error.what)


def _tar(path: str, image: frozenset[str], labels: Sequence[str]) -> ShardIndex:
    """Return what is in a tar, from the cache where it was there before."""
    what = [FORMAT, os.path.abspath(path), list(state_of(path)), sorted(image), list(labels)]
    kept = cache_home() / "shards" / f"{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]}.arrow"
    if (index := _load(kept, labels)) is not None:
        return index
    with reading(path), open_file(path) as file:
        index = index_tar(file, image, labels)
    with suppress(OSError):  # a cache that cannot be written is none
        _save(index, kept)
    return index


def _load(path: Path, labels: Sequence[str]) -> ShardIndex | None:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
        notes = json.loads(table.schema.metadata[b"onecycle"])
        if table.column_names != ["name", "start", "size", *labels]:
            return None
        skipped = [(str(name), str(reason)) for name, reason in notes["skipped"]]
        return ShardIndex(table.replace_schema_metadata(None), skipped, notes["damage"])
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None


def _save(index: ShardIndex, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = index.table.replace_schema_metadata(
        {"onecycle": json.dumps({"skipped": index.skipped, "damage": index.damage})}
    )
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
