"""Finds image files in folders, and matches the rows of tables with image files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.data.own_output import is_own_output
from onecycle.data.rows import ITEM, is_utf8
from onecycle.data.rows import folders as folders_of
from onecycle.data.skipped import Skipped
from onecycle.data.tables import slices
from onecycle.errors import DataError, counted, some, suggest
from onecycle.vision.decode import KINDS, is_image

JOINED = 2**30
IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif",
    ".heic", ".heif", ".jp2", ".ppm", ".pgm", ".pbm",
})  # fmt: skip


def find_images(root: Path, include: Sequence[str] | None = None) -> tuple[list[str], list[Skipped]]:
    """Find all image files below a folder by their content, whatever their names.

    Args:
        root: The folder.
        include: Names of the folders directly below it to search; None searches everywhere.
    Returns:
        The images' names, relative to `root` with forward slashes and sorted; and the files that were skipped.
    Raises:
        DataError: There is no such folder, or no image in it.
    """
    if not root.is_dir():
        what = f"{root} is a file." if root.exists() else f"No such folder: {root}."
        raise DataError(what, "a folder with images in it.", "check the path.")
    check_included(root, include)
    skipped: list[Skipped] = []
    names = sorted(_image_names(root, skipped, [""] if include is None else list(dict.fromkeys(include))))
    if not names:
        kinds = sorted({Path(entry.path).suffix or "no suffix" for entry in skipped})
        raise DataError(
            f"No images in {root}: " + (f"found {some(kinds)}." if kinds else "the folder is empty."),
            f"at least one {KINDS} file in it or its folders.",
            "check the path.",
        )
    return names, skipped


def _image_names(root: Path, skipped: list[Skipped], pending: list[str]) -> Iterator[str]:
    """Yield the images in and below the folders `pending`, and add all other files to `skipped`."""
    for name, entry in list_files(root, skipped, pending):
        if reason := _reason_to_skip(name, entry):
            skipped.append(Skipped(name if is_utf8(name) else ascii(name), reason))
        else:
            yield name


def list_files(root: Path, skipped: list[Skipped], pending: list[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the files in and below the folders `pending`, and add what is hidden and what onecycle wrote to `skipped`.

    Linked folders are followed; loops are not.
    """
    visited = {os.path.realpath(root / folder) for folder in pending}
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except PermissionError:
            skipped.append(Skipped(folder, "unreadable"))
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                skipped.append(Skipped(name if is_utf8(name) else ascii(name), "hidden"))
            elif not entry.is_dir():
                yield name, entry
            elif not is_utf8(name):
                skipped.append(Skipped(ascii(name), "names that are not UTF-8"))
            elif is_own_output(entry.path):
                skipped.append(Skipped(name, "folders that onecycle wrote"))
            elif (real := os.path.realpath(entry.path)) not in visited:
                visited.add(real)
                pending.append(name)


def _reason_to_skip(name: str, entry: os.DirEntry[str]) -> str | None:
    if not is_utf8(name):
        return "names that are not UTF-8"
    if not entry.is_file():
        return "unreadable"  # a broken link, or a pipe, which would block
    return _reason_not_an_image(entry.path)


def check_included(root: Path, include: Sequence[str] | None) -> None:
    """Refuse names of folders that are not in `root`.

    Raises:
        DataError: One of them is not there.
    """
    missing = [name for name in include or () if not (root / name).is_dir()]
    if missing:
        present = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        raise DataError(
            f"include= names folders that are not in {root}: {some(missing)}.",
            f"one of: {some(present, 12) or 'it has no folders'}.",
            "check include=." + suggest(missing[0], present),
        )


def _reason_not_an_image(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:
        return "unreadable"
    if is_image(head):
        return None
    if os.path.splitext(path)[1].lower() not in IMAGE_SUFFIXES:
        return "other files"
    return "images with a damaged header" if head else "empty images"


def is_below(folders: Sequence[str], name: str) -> bool:
    """Return whether a file is in one of some folders."""
    return any(name.startswith(f"{folder.strip('/')}/") for folder in folders)


def names_file(rows: pa.Table, column: str | None, suffix: str) -> Callable[[str], bool]:
    """Return a function that tells whether a column of a table, or any of them, names a file."""
    columns = rows.column_names if column is None else [name for name in rows.column_names if name == column]
    named = {str(name) for one in columns for name in item_names(rows[one], suffix).to_pylist()}
    return named.__contains__


def item_names(column: pa.ChunkedArray, suffix: str) -> pa.ChunkedArray:
    """Return a column's values with `suffix` added where they lack it, as text.

    A column of text is not copied without a suffix.
    """
    if column.type == pa.string() and not suffix and not column.null_count:
        return column

    def whole(name: Any) -> str:
        return str(name) if suffix and str(name).endswith(suffix) else f"{name}{suffix}"

    named = [pa.array(map(whole, names), pa.string()) for names in slices(column)]
    return pa.chunked_array(named, pa.string())


def drop_repeated_rows(rows: pa.Table, column: str) -> tuple[pa.Table, list[Skipped]]:
    """Drop rows that repeat another row exactly.

    Args:
        rows: A table whose column `ITEM` names images.
        column: The user's column that names them.
    Raises:
        DataError: Two rows name the same image with different values.
    """
    if all(len(set(names)) == len(names) for _, _, names in _by_folder(rows[ITEM])):
        return rows, []
    names, items = rows[column].to_pylist(), rows[ITEM].to_pylist()
    first: dict[str, dict[str, Any]] = {}
    keep: list[bool] = []
    conflicts: list[str] = []
    for name, item, row in zip(names, items, rows.to_pylist(), strict=True):
        keep.append(item not in first)
        if first.setdefault(item, row) != row:
            conflicts.append(name)
    if conflicts:
        raise DataError(
            f"{counted(len(conflicts), 'image', ('is', 'are'))} named twice, with different values: "
            f"{some(dict.fromkeys(conflicts))}.",
            "one row for each image.",
            "decide which row is right, and remove the other.",
        )
    repeated = [Skipped(name, "repeated rows") for name, kept in zip(names, keep, strict=True) if not kept]
    return rows.filter(pa.array(keep)), repeated


def find_existing(root: Path, names: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return which files exist, (names,); each folder is listed once instead of checking every file."""
    exists = np.zeros(len(names), bool)
    for folder, rows, inside in _by_folder(names):
        listed = _names_in(root / folder)
        exists[rows] = [name[len(folder) :] in listed for name in inside]
    return exists


def is_inside(names: pa.ChunkedArray, include: Sequence[str] | None) -> NDArray[np.bool_]:
    """Return which files are in one of some folders, (names,); all of them where `include` is None."""
    inside = np.full(len(names), include is None)
    for folder, rows, _ in _by_folder(names) if include is not None else ():
        inside[rows] = any(folder.startswith(f"{one.strip('/')}/") for one in include or ())
    return inside


def _names_in(folder: Path) -> frozenset[str]:
    """Return the names in a folder; none where a table names what cannot be one, such as a text of 9,000 letters."""
    try:
        return frozenset(os.listdir(folder))
    except (OSError, ValueError):
        return frozenset()


def _by_folder(names: pa.ChunkedArray) -> Iterator[tuple[str, NDArray[np.int64], list[str]]]:
    """Yield each folder with its rows and their names; only one folder's names are Python objects at a time."""
    folders = folders_of(names).combine_chunks()
    codes = folders.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    # Arrow joins the chunks, and a column of more than 2 GB cannot be one without wider offsets.
    joined = names.cast(pa.large_string()) if names.nbytes > JOINED else names
    grouped, start = joined.take(pa.array(order)), 0
    for folder, count in zip(folders.dictionary.to_pylist(), np.bincount(codes).tolist(), strict=True):
        yield folder, order[start : start + count], grouped.slice(start, count).to_pylist()
        start += count
