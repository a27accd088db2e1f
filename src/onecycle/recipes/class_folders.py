"""A folder per class: which they are, and what only looks like one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from onecycle.data.own_output import is_own_output
from onecycle.data.split_names import role_of
from onecycle.errors import DataError, counted, some
from onecycle.recipes.listing import Listing, folder_of
from onecycle.recipes.split_folders import find_split_folders

# Folders of these names say nothing about what they hold.
GENERIC = frozenset({
    "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "jpegimages", "jpeg", "jpg", "png",
    "mask", "masks", "label", "labels", "annotation", "annotations", "segmentationclass", "data", "dataset",
})  # fmt: skip


def class_counts(names: Iterable[str], level: int = 1) -> Counter[str]:
    """Return how many files are in a folder of each name, 1 for the folder that a file is in; others are left out."""
    folders = (folder_of(name).split("/") for name in names)
    return Counter(parts[-level] for parts in folders if len(parts) >= level and parts[-level])


def one_class(
    data: Listing, names: Sequence[str], counts: Counter[str], tables: Sequence[str] | None, level: int
) -> DataError | None:
    """Return the error for items that are all in one folder, which is no class; None where they are in several.

    Args:
        data: The folder.
        names: The items.
        counts: How many are in a folder of each name.
        tables: Tables that may have the labels; None where a table cannot label such items, as it cannot text files.
        level: The level of the folders.
    """
    if len(counts) > 1:
        return None
    above = "" if level == 1 else f" {level} levels above them"
    where = f"in {next(iter(counts))}/" if counts else f"in no folder{above}"
    fix = ("pass folder_level=1, or " if level > 1 else "") + "put those of each class into a folder of its own"
    if tables is not None:
        fix += f", or pass labels={(*tables, 'labels.csv')[0]!r} where a table has the labels"
    return DataError(
        f"All {len(names):,} items of {data.root} that are trained on are {where}, so that there is one "
        "class.", "a folder for each of two classes or more.", f"{fix}.",
    )  # fmt: skip


def empty_classes(data: Listing, names: Iterable[str]) -> list[str]:
    """Return the folders beside those of the classes that have no item."""
    held = set(map(folder_of, names))
    above = {folder.rpartition("/")[0] for folder in held if folder}
    empty = []
    for parent in sorted(above):
        for entry in sorted(os.scandir(data.root / parent), key=lambda one: one.name):
            name = f"{parent}/{entry.name}" if parent else entry.name
            inside = any(folder == name or folder.startswith(f"{name}/") for folder in held)
            if entry.is_dir() and not inside and not entry.name.startswith(".") and not _is_ours(entry.path):
                empty.append(name)
    return empty


def _is_ours(folder: str) -> bool:
    return is_own_output(folder) or any(is_own_output(entry) for entry in Path(folder).iterdir() if entry.is_dir())


def why_no_classes(data: Listing) -> DataError | None:
    """Return the error for a folder whose folders are no classes; None where they are."""
    split = find_split_folders(data.images)
    names = [name for name in data.images if split is None or split.holds(name, "train")]
    counts = class_counts(names)
    if (nested := _nested(data, names)) is not None:
        return nested
    why = _why(data, counts, names)
    if why is None:
        return None
    if lines := data.with_suffix(".jsonl"):
        raised = not_read(lines[0])
        return DataError(f"What is to be learned from {data.root}? {why} {raised.what}", raised.expected, raised.fix)
    return DataError(
        f"What is to be learned from {data.root}? {why}",
        "a folder per class, a CSV file of labels, masks, or texts.",
        "pass labels='labels.csv', task='segment' for masks, or task='classify' where the folders are classes all the "
        "same.",
    )


def _nested(data: Listing, names: Sequence[str]) -> DataError | None:
    """Return the error for folders in folders, of which either may be the classes: photos of a person or a place are
    kept in a folder of their own, and classes below larger classes.
    """
    folders = sorted({folder_of(name) for name in names})
    shared = os.path.commonpath(folders) if folders and all(folders) else ""
    below = [folder.removeprefix(shared).strip("/").split("/") for folder in folders]
    tops, depth = sorted({parts[0] for parts in below}), len(below[0]) if below else 0
    inner = [parts[-1] for parts in below]
    plain = all(name.casefold() in GENERIC for name in inner)
    if depth < 2 or len(tops) < 2 or any(len(parts) != depth for parts in below):
        return None
    if all(role_of(name) or name.casefold() in GENERIC for name in tops) or any(map(role_of, inner)):
        return None
    if not plain and len(set(inner)) < len(inner):  # the same folders in each: the inner ones are the classes
        return None
    return DataError(
        f"Which folders of {data.root} are the classes? {some(tops, 4)} ({len(tops):,}), or {some(inner, 4)} "
        f"({len(set(inner)):,}) in them.",
        "one of both, so that nothing is guessed.",
        f"pass folder_level={depth} for {tops[0]}" + ("." if plain else f", or folder_level=1 for {inner[0]}."),
    )


def not_read(path: str) -> DataError:
    """Return the error for labels in a file of JSON lines, as image folders of the Hugging Face hub have them."""
    table = str(PurePosixPath(path).with_suffix(".csv"))
    return DataError(
        f"{path} is not read: it is of JSON lines.", "a CSV or Parquet file of labels.",
        f"convert it to CSV or Parquet, such as with pandas.read_json({path!r}, lines=True).to_csv({table!r}, "
        "index=False).",
    )  # fmt: skip


def _why(data: Listing, counts: Counter[str], names: list[str]) -> str | None:
    shown = some((f"{name} ({counted(count, 'image')})" for name, count in counts.items()), 4)
    if not data.images:
        kinds = sorted({PurePosixPath(name).suffix or "no suffix" for name in data.files})
        return f"It has no images, and {f'files such as {some(kinds)}' if kinds else 'no files at all'}."
    if len(counts) < 2:
        return f"Its {len(names):,} images are in one folder{f', {shown}' if counts else ''}."
    if all(role_of(name) for name in counts):
        return f"Its folders are named after splits, not after classes: {shown}."
    if all(role_of(name) or name.casefold() in GENERIC for name in counts):
        return f"The names of its folders are of no classes: {shown}."
    if len(counts) > len(names) / 2:
        return f"It has {counted(len(counts), 'folder')} for {counted(len(names), 'image')}."
    return _same_names(counts, names)


def _same_names(counts: Counter[str], names: list[str]) -> str | None:
    """Return why two folders are images and their masks: half of their files have the same names."""
    stems: dict[str, set[str]] = {}
    for name in names:
        stems.setdefault(PurePosixPath(folder_of(name)).name, set()).add(PurePosixPath(name).stem)
    generic = [name for name in counts if name.casefold() in GENERIC or "mask" in name.casefold()]
    for one in generic:
        for other in counts:
            if other != one and len(stems[one] & stems[other]) > len(stems[one]) / 2:
                return f"{one}/ and {other}/ have files of the same names, as images and their masks have."
    return None
