"""All items of some shards as rows: counted once, the headers of tars kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from onecycle.data.cache_home import cache_home
from onecycle.data.class_labels import named_labels
from onecycle.data.file_state import state_of
from onecycle.data.progress import progress
from onecycle.data.remote import is_remote
from onecycle.data.rows import ITEM, PLACE, Rows
from onecycle.data.shards.find import find_shards
from onecycle.data.shards.iterable import (
    IterableShards,
    class_names_of,
    content_column_of,
    index_iterable,
    part_of,
    undecoded,
)
from onecycle.data.shards.parquet import ParquetShards, content_column, counted, index_parquet
from onecycle.data.shards.source import (
    NAME,
    PLACE_TYPE,
    SIZE,
    START,
    ContentKind,
    DamagedShardError,
    OnBadShard,
    OpenShard,
    ShardIndex,
    Shards,
    damaged_shard,
    empty_index,
    open_file,
    reading,
)
from onecycle.data.shards.tar import TarShards, index_tar
from onecycle.data.skipped import Skipped
from onecycle.data.tables import check_columns
from onecycle.disk import replacing
from onecycle.errors import DataError, some

FORMAT = 1


def shard_rows(
    shards: str | Path | Sequence[str | Path],
    *,
    kind: ContentKind,
    content: str | None,
    labels: Sequence[str],
    classes: Sequence[str] | None,
    buffer: int,
    on_bad_shard: OnBadShard,
    open_shard: OpenShard = open_file,
) -> tuple[Rows, list[Skipped]]:
    """Return a row for each item of tars or Parquet files, and what was left out.

    Args:
        shards: See `find_shards`.
        kind: What the items are.
        content: Their column, or suffix or suffixes ("jpg;png"); None takes the only column, or all of `kind`.
        labels: Columns, or suffixes, of labels.
        classes: Names of the labels that are numbers.
        buffer: See `Shards`.
        on_bad_shard: "raise", or "skip" to use what can be read of it.
        open_shard: Opens a shard.
    Raises:
        DataError: There is no item, a shard is damaged, or a column is missing.
    """
    format, paths = find_shards(shards)
    check_columns([*labels], "label=")
    root = Path(os.path.commonpath([os.path.dirname(path) or "." for path in paths]))
    made: Shards
    if format == "tar":
        wanted = frozenset(content.lower().split(";")) if content else kind.suffixes
        made = TarShards(tuple(paths), buffer, open_shard)
        indexes = _indexes(paths, lambda path: _tar(path, wanted, labels, open_shard), on_bad_shard)
    else:
        made = ParquetShards(
            tuple(paths), buffer, open_shard, column=_content_column(paths, kind, content, on_bad_shard, open_shard)
        )
        indexes = _indexes(paths, lambda path: _parquet(path, labels, classes, open_shard), on_bad_shard)
    rows, skipped = _rows(made, root, indexes, kind, labels)
    table = rows.table
    if format == "tar" and classes is not None:
        for label in labels:
            place = table.column_names.index(label)
            table = table.set_column(place, label, named_labels(table[label], label, classes))
    return replace(rows, table=table), skipped


def stream_rows(
    dataset: Any,
    *,
    kind: ContentKind,
    content: str | None,
    labels: Sequence[str],
    classes: Sequence[str] | None,
    length: int | Sequence[int] | None,
    buffer: int,
    on_bad_shard: OnBadShard,
) -> tuple[Rows, list[Skipped]]:
    """Return a row for each item of a Hugging Face `IterableDataset`, and what was left out.

    Args:
        dataset: The dataset.
        kind: What the items are.
        content: Their column; None takes the only one.
        labels: Columns of labels.
        classes: Names of the labels that are numbers, if the dataset does not say them.
        length: How many items there are, in all or in each shard: nothing is read then, and the label of an item is
            known when it is read. None goes through the labels once.
        buffer: See `Shards`.
        on_bad_shard: As for `shard_rows`.
    Raises:
        DataError: There is no item, a column is missing, or `length` does not fit.
    """
    column = content_column_of(dataset, kind, content)
    shards = 1 if isinstance(length, int) else int(dataset.num_shards)
    names = tuple(f"shard-{number:05}" for number in range(shards))
    made = IterableShards(names, buffer, dataset=undecoded(dataset, column), column=column)
    if length is None:
        parts = [part_of(made.dataset, number, shards) for number in range(shards)]
        numbered = dict(zip(names, parts, strict=True))
        indexes = _indexes(
            names, lambda name: index_iterable(numbered[name], name, column, labels, classes), on_bad_shard
        )
        return _rows(made, None, indexes, kind, labels)
    lengths = [length] if isinstance(length, int) else list(length)
    if len(lengths) != shards or not all(isinstance(one, int) and one > 0 for one in lengths) or len(labels) > 1:
        raise DataError(
            f"length={length!r} and {len(labels)} labels, for {shards:,} shards.",
            "how many items there are: one number, or a list of one for each shard; and one label at most.",
            "pass length=1_281_167, or leave it out to count.",
        )
    for label in labels:
        known = class_names_of(dataset, label) or (None if classes is None else tuple(classes))
        made = replace(made, label=label, classes=known)
    return _rows(made, None, [counted(one, {}) for one in lengths], kind, ())


def _rows(
    shards: Shards, root: Path | None, indexes: Sequence[ShardIndex], kind: ContentKind, labels: Sequence[str]
) -> tuple[Rows, list[Skipped]]:
    """Return the items of all shards."""
    skipped: list[Skipped] = []
    tables = []
    for number, (name, index) in enumerate(zip(shards.names, indexes, strict=True)):
        relative = name if root is None else Path(os.path.relpath(name, root)).as_posix()
        skipped += [Skipped(f"{relative}/{item}", reason) for item, reason in index.skipped]
        if index.damage is not None:
            skipped.append(Skipped(relative, "the rest of damaged shards"))
        tables.append(_with_places(index.table, number, relative))
    table = _joined([table for table in tables if table.num_rows] or tables[:1], shards.names)
    if not table.num_rows:
        reasons = sorted({entry.reason for entry in skipped})
        raise DataError(
            f"No items in {len(shards.names):,} shards, the first {shards.names[0]}"
            + (f": found {some(reasons)}, such as {skipped[0].path}." if skipped else "."),
            "items" + (f" with {some(labels)}." if labels else "."),
            f"check {kind.keyword}= and label=: the suffixes of a tar's members, or names of columns.",
        )
    return Rows(table, None if root is None or is_remote(root) else root, shards), skipped


def _joined(tables: Sequence[pa.Table], paths: Sequence[str]) -> pa.Table:
    try:
        return pa.concat_tables(tables)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"The {len(paths):,} shards, the first {paths[0]}, have labels of different types: {error}.",
            "columns of one type in all shards.",
            "write them anew with one type, or name shards of one data set.",
        ) from error


def _content_column(
    paths: Sequence[str], kind: ContentKind, content: str | None, on_bad_shard: OnBadShard, open_shard: OpenShard
) -> str:
    """Return the column of items, as the first shard that can be read has it."""
    for place, path in enumerate(paths):
        try:
            with reading(path), open_shard(path) as file:
                return content_column(pq.read_schema(file), path, kind, content)
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
    start, size = (index[name].combine_chunks() for name in (START, SIZE))
    place = pa.StructArray.from_arrays([shard, start, size], fields=list(PLACE_TYPE))
    prefix = pa.scalar(f"{relative}/")
    names = pc.binary_join_element_wise(prefix, index[NAME], "")
    columns = {name: index[name] for name in index.column_names if name not in (NAME, START, SIZE)}
    return pa.table({ITEM: names, PLACE: place, **columns})


def _parquet(path: str, labels: Sequence[str], classes: Sequence[str] | None, open_shard: OpenShard) -> ShardIndex:
    try:
        with reading(path), open_shard(path) as file:
            return index_parquet(file, labels, classes)
    except DamagedShardError as error:
        return empty_index(labels, error.what)


def _tar(path: str, suffixes: frozenset[str], labels: Sequence[str], open_shard: OpenShard) -> ShardIndex:
    """Return what is in a tar, from the cache where it was there before."""
    what = [FORMAT, os.path.abspath(path), list(state_of(path)), sorted(suffixes), list(labels)]
    kept = cache_home() / "shards" / f"{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]}.arrow"
    if (index := _load(kept, labels)) is not None:
        return index
    with reading(path), open_shard(path) as file:
        index = index_tar(file, suffixes, labels)
    with suppress(OSError):  # a cache that cannot be written is none
        _save(index, kept)
    return index


def _load(path: Path, labels: Sequence[str]) -> ShardIndex | None:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
        notes = json.loads(table.schema.metadata[b"onecycle"])
        if table.column_names != [NAME, START, SIZE, *labels]:
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
    with replacing(path) as part, pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
