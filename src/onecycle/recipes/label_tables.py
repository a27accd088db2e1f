"""Reads the user's tables of labels: which column, tags or classes, and where the images are that they name."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pyarrow as pa

from onecycle.data.tables import read_csv
from onecycle.errors import DataError, some, suggest
from onecycle.recipes.pipeline import Call

_LABEL_COLUMNS = ("tags", "labels", "label", "class", "category", "target", "sentiment")


def image_table(data: Path, labels: Path, missing: str) -> Call:
    """Return the call that reads the images that a CSV file names in its first column."""
    table = read_csv(labels)
    folder, suffix = _image_folder(data, [str(name) for name in table[table.column_names[0]].to_pylist()])
    options = {"folder": str(folder), **({"suffix": suffix} if suffix else {})}
    return Call("ImageList.from_csv", (str(labels),), options | ({"missing": missing} if missing != "raise" else {}))


def label_column(labels: Path, column: str | None) -> str:
    """Return the column of labels: the one that is named, one with a usual name, or the second of two."""
    names = read_csv(labels).column_names
    if column is None:
        column = next((name for name in _LABEL_COLUMNS if name in names), names[1] if len(names) == 2 else None)
    if column is None or column not in names:
        raise DataError(
            f"There is no column {column!r} in {labels}." if column else f"Which column of {labels} holds the labels?",
            f"one of: {some(names, 20)}.",
            "pass column= (--column)." + (suggest(column, names) if column else ""),
        )
    return column


def tag_delimiter(labels: Path, column: str) -> str | None:
    """Return the text between tags, if a column's labels are tags; else None."""
    table: pa.Table = read_csv(labels)
    values = [str(value or "") for value in table[column].to_pylist()]
    return next((each for each in (" ", ",", ";", "|") if _separates_tags(each, values)), None)


def _separates_tags(delimiter: str, values: list[str]) -> bool:
    """Return whether single words recur far more often than whole labels do."""
    several = [value for value in values if delimiter in value]
    if len(several) < max(len(values) / 20, 1):
        return False
    words = {word for value in several for word in re.split(re.escape(delimiter) + r"\s*", value) if word}
    alone = sum(value in words for value in values if delimiter not in value)
    # "polar bear" is one label: its words never stand alone. Tags do, or come in ever new combinations.
    return alone >= len(values) / 20 or len(set(several)) > len(words)


def _image_folder(data: Path, names: list[str]) -> tuple[Path, str]:
    """Return the folder with the images that a CSV file names, and the suffix that the file leaves out."""
    if not data.is_dir():
        raise DataError(f"No such folder: {data}.", "the folder with the images.", "check the path.")
    if any(os.path.isfile(data / name) for name in names[:20]):
        return data, ""
    first = set(names[:2000])
    for path in data.rglob("*"):
        if path.suffix and (path.name in first or path.stem in first):
            return path.parent, "" if path.name in first else path.suffix
    raise DataError(
        f"None of the images that the CSV file names are in {data}, such as {some(names, 3)}.",
        "images named in the first column of the CSV file, with or without suffix.",
        "pass the folder with the images.",
    )
