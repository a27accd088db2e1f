"""Images that are inside a table: in a column of bytes, or of {bytes, path} as the Hugging Face hub stores them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from onecycle.data.parquet_files import LOOKED_AT, ParquetTable, has_paths, without_bytes
from onecycle.data.progress import progress
from onecycle.data.rows import ITEM, PLACE, Rows
from onecycle.data.shards.arrow_copy import arrow_copy
from onecycle.data.shards.column import ColumnShards, SharedColumn, map_column
from onecycle.data.shards.parquet import content_column, holds_bytes
from onecycle.data.shards.source import PLACE_TYPE, ContentKind, open_file
from onecycle.data.skipped import Skipped
from onecycle.data.tables import missing_column
from onecycle.errors import DataError, counted, some
from onecycle.vision.decode import is_image
from onecycle.vision.image_files import IMAGE_SUFFIXES

Numbers = NDArray[np.int64]

IMAGES = ContentKind("image", "Image", frozenset(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))


class TableOfImages(NamedTuple):
    """A table whose images are taken out of it.

    Attributes:
        table: The other columns.
        column: The images.
        paths: What the table calls each; None where it says nothing.
        files: What the table was read from.
        starts: The first row of each file.
    """

    table: pa.Table
    column: SharedColumn
    paths: pa.ChunkedArray | None
    files: tuple[str, ...] = ("table",)
    starts: tuple[int, ...] = (0,)


def find_column(table: pa.Table, kind: ContentKind, asked: str | None, what: str, option: str = "column") -> str | None:
    """Return the column of images; None where the images are not in the table.

    Args:
        table: The table, or its first rows.
        kind: What images are.
        asked: The column that the user names, which may also hold names of files.
        what: What the table is called in messages.
        option: The option that names the column, for an error.
    Raises:
        DataError: There is no such column, or several hold images.
    """
    if asked is not None:
        if asked not in table.column_names:
            raise missing_column(asked, table.column_names)
        return asked if holds_bytes(table.schema.field(asked).type) else None
    others = [name for name in table.column_names if not _holds_images(table[name])]
    if len(others) == table.num_columns:
        return None
    schema = pa.schema([field for field in table.schema if field.name not in others], table.schema.metadata)
    try:
        return content_column(schema, what, kind, None, option)
    except DataError as error:
        raise DataError(
            error.what,
            error.expected,
            f"{error.fix} Masks inside tables are not read: where one column holds these, write images and masks as "
            "files into two folders, and pass the path of the folder around them.",
        ) from None


def _holds_images(column: pa.ChunkedArray) -> bool:
    """Return whether a column is made for files, or one of its first values begins as an image does."""
    if not holds_bytes(column.type):
        return False
    if pa.types.is_struct(column.type):
        return True
    heads = pc.binary_slice(column.slice(0, LOOKED_AT), 0, 16).to_pylist()
    return any(head is not None and is_image(head) for head in heads)


def take_out(table: pa.Table, column: str) -> TableOfImages | pa.Table:
    """Take the images out of a table; where they are only named there, return it with the column of these names."""
    images = table[column]
    paths = pc.struct_field(images, "path") if has_paths(images.type) else None
    held = SharedColumn(images)
    if paths is not None and len(held) and held.missing().all():
        return table.set_column(table.column_names.index(column), column, paths)
    return TableOfImages(without_bytes(table), held, paths)


def images_of(found: ParquetTable) -> TableOfImages | pa.Table:
    """Return the images inside Parquet files, copied to where they are mapped from; or a table that names them."""
    if found.column is None:
        return found.table
    shown = progress(found.files, "copying images into the cache", len(found.files))
    copies = map_column(tuple(arrow_copy(file, found.column, open_file) for file in shown))
    if found.column not in found.table.column_names:
        return TableOfImages(found.table, copies, None, found.files, found.starts)
    if len(copies) and copies.missing().all():
        return found.table
    paths = found.table[found.column]
    return TableOfImages(found.table.drop_columns([found.column]), copies, paths, found.files, found.starts)


def rows_of_images(found: TableOfImages, missing: str) -> tuple[Rows, list[Skipped]]:
    """Return a row for each image, and what was left out.

    Args:
        found: The images, and what is beside them.
        missing: "raise" refuses rows without an image, "drop" leaves them out, "keep" lets reading them fail.
    Raises:
        DataError: There is no image, or one is missing.
    """
    count, starts = len(found.column), np.array(found.starts)
    rows = np.arange(count)
    shard = np.searchsorted(starts, rows, side="right") - 1
    places = [pa.array(shard, pa.int32()), pa.array(rows), pa.array(np.ones(count, np.int64))]
    place = pa.StructArray.from_arrays(places, fields=list(PLACE_TYPE))
    names = _names(found, rows - starts[shard], shard)
    table = found.table.append_column(ITEM, names).append_column(PLACE, pa.chunked_array([place]))
    absent = found.column.missing() & (missing != "keep")
    lacking = table[ITEM].filter(pa.array(absent)).to_pylist() if absent.any() else []
    if lacking and (missing == "raise" or len(lacking) == count):
        raise DataError(
            f"{counted(len(lacking), 'row', ('has', 'have'), of=count)} no image: {some(lacking)}.",
            "the bytes of an image in every row.",
            "write them into the table, or pass missing='drop' to leave those rows out.",
        )
    table = table.filter(pa.array(~absent)) if lacking else table
    shards = ColumnShards(found.files, 1, column=found.column, starts=found.starts)
    return Rows(table, None, shards), [Skipped(name, "rows without an image") for name in lacking]


def _names(found: TableOfImages, rows: Numbers, shard: Numbers) -> pa.ChunkedArray:
    """Return what each image is called: as the table says where that tells all apart, else by its row."""
    begins = [""] if len(found.files) == 1 else [f"{Path(file).name}/" for file in found.files]
    if len(set(begins)) < len(begins):
        begins = [f"{file}/" for file in found.files]
    file = pa.array([f"{begin}row " for begin in begins], pa.string()).take(pa.array(shard))
    numbered = pa.chunked_array([pc.binary_join_element_wise(file, pa.array(rows).cast(pa.string()), "")])
    if found.paths is None:
        return numbered
    paths = found.paths.cast(pa.string())
    named = pc.if_else(pc.fill_null(pc.not_equal(paths, ""), False), paths, numbered)
    return named if pc.count_distinct(named).as_py() == len(named) else numbered
