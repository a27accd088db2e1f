"""What `predict` is to predict: files, folders, texts, or the rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from onecycle.data.remote import as_local, is_remote
from onecycle.errors import DataError, counted, some

TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class Input:
    """One thing to predict.

    Attributes:
        name: What it is called in the output: a path, a text as it was given, or the value in a table.
        item: What the model reads: a path, a text, or a function that reads what is inside a table.
        is_file: Whether it was given as a file, or found in a folder, so that its name may be shortened.
    """

    name: str
    item: str | Path | Callable[[], Any]
    is_file: bool = False


@dataclass(frozen=True)
class TableOptions:
    """How a table of inputs is read, where that is not found in it."""

    column: str | None = None
    separator: str | None = None
    encoding: str | None = None


def find_inputs(given: list[str], modality: Any, table: TableOptions) -> tuple[list[Input], str]:
    """Return the items that are meant, and what a column of their names is called.

    Args:
        given: As typed on the command line.
        modality: Finds its items in folders; `reads_text_directly` says whether an input may be a text itself.
        table: How a table is read.
    Raises:
        DataError: An input looks like a path, and nothing is there.
    """
    texts = modality.reads_text_directly
    inputs: list[Input] = []
    header = "image_name"
    for text in given:
        elsewhere = bool(text) and " " not in text and is_remote(text) and not (texts and text.startswith("http"))
        path = as_local(text) if elsewhere else Path(text)
        if text and _exists(path, Path.is_dir):  # an empty text is not the current folder
            found, column = _folder_inputs(path, text.rstrip("/") if elsewhere else None, modality, table)
            inputs, header = inputs + found, column or header
        elif path.suffix.lower() in TABLES and _exists(path, Path.is_file):
            rows, header = _table_inputs(path, table, texts=texts)
            inputs += rows
        elif texts and not _exists(path, Path.is_file):
            _check_text(text)
            inputs.append(Input(text, text))
            header = "text"
        else:
            inputs.append(Input(text, path, True))
    return inputs, header


def _folder_inputs(
    path: Path, address: str | None, modality: Any, table: TableOptions
) -> tuple[list[Input], str | None]:
    """Return an input for each item of a folder, or where it has none, for each row of its Parquet files, with their
    column.
    """
    try:
        names = modality.find_items(path)
    except DataError:
        parquet = sorted(each for each in path.rglob("*.parquet") if each.is_file())
        if not parquet:
            raise
        rows: list[Input] = []
        for each in parquet:
            found, column = _table_inputs(each, table, texts=modality.reads_text_directly)
            begin = "" if len(parquet) == 1 else f"{each.relative_to(path).as_posix()}/"
            rows += [replace(one, name=f"{begin}{one.name}" if one.is_file else one.name) for one in found]
        return rows, column
    named = [str(path / name) if address is None else f"{address}/{name}" for name in names]
    return [Input(each, path / name, True) for each, name in zip(named, names, strict=True)], None


def _table_inputs(path: Path, options: TableOptions, *, texts: bool) -> tuple[list[Input], str]:
    """Return an input for each row of a table, and the column that they are in."""
    from onecycle.recipes.image_places import find_place
    from onecycle.recipes.label_tables import image_column, read_table
    from onecycle.recipes.listing import list_data
    from onecycle.recipes.options import FineTuneOptions
    from onecycle.text.text_columns import choose_text_column
    from onecycle.vision.image_index import ImageIndex

    read = read_table(path, FineTuneOptions(separator=options.separator, encoding=options.encoding))
    if texts:
        column = options.column or choose_text_column(read.table).name
        values = [str(value or "") for value in _column(read.table, column).to_pylist()]
        return [Input(value, value) for value in values], column
    if (inside := _images_inside(path, options.column)) is not None:
        return inside
    folder = list_data(path.parent)
    index = ImageIndex(folder.images)
    try:
        column = image_column(read, index, options.column).name
    except DataError as error:
        raise DataError(
            error.what, f"images in {path.parent} or below it, named in a column of {path}.",
            "name the column as --column, or put the table into the folder of the images.",
        ) from None  # fmt: skip
    names = [str(value or "") for value in read.table[column].to_pylist()]
    if empty := [row for row, name in enumerate(names, 2) if not name.strip()]:
        raise DataError(
            f"{counted(len(empty), 'row', ('names', 'name'))} no image in column {column!r} of {path}: row "
            f"{some(empty)}, counted with the header.",
            "an image in every row.", "fill in the names, or remove those rows.",
        )  # fmt: skip
    try:
        places = find_place(names, index, str(path)).paths
    except DataError as error:
        raise DataError(
            error.what, error.expected,
            "write the folder into the names of the table, or predict the folder itself.",
        ) from None  # fmt: skip
    found = zip(names, places, strict=True)
    return [Input(name, folder.root / (place or name)) for name, place in found], column


def _images_inside(path: Path, asked: str | None) -> tuple[list[Input], str] | None:
    """Return the images inside a Parquet file, and the column that they are in; None where there are none in it."""
    if path.suffix.lower() != ".parquet":
        return None
    from onecycle.data.parquet_files import first_rows, read_parquet
    from onecycle.vision.image_tables import IMAGES, TableOfImages, find_column, images_of, rows_of_images

    column = find_column(first_rows(path), IMAGES, asked, str(path))
    found = images_of(read_parquet(path, lambda head, what: column))
    if column is None or not isinstance(found, TableOfImages):
        return None
    rows, _ = rows_of_images(found, "keep")
    return [Input(name, partial(rows.input, row), True) for row, name in enumerate(rows.names())], column


def _column(table: Any, name: str) -> Any:
    from onecycle.data.tables import missing_column

    if name not in table.column_names:
        raise missing_column(name, table.column_names)
    return table[name]


def _check_text(text: str) -> None:
    """Refuse a path that is mistyped, which would be taken for a text.

    Raises:
        DataError: It has no blanks, and looks like a path.
    """
    from onecycle.text.reading import looks_like_path

    if looks_like_path(text):
        raise DataError(
            f"No such file: {text}.", "a file, a folder, or a text.",
            f"check the path; a text that looks like one is predicted with a blank before it: ' {text}'.",
        )  # fmt: skip


def _exists(path: Path, kind: Any) -> bool:
    try:
        return bool(kind(path))
    except (OSError, ValueError):  # a text that is too long for a path, or that no path may contain
        return False
