"""Looks at the user's files and chooses the calls that find the inputs, split them and label them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onecycle.data.candidates import Candidate
from onecycle.data.tables import missing_column
from onecycle.errors import DataError, counted, some
from onecycle.recipes.annotation_layout import annotation_calls
from onecycle.recipes.class_folders import class_counts, empty_classes, one_class
from onecycle.recipes.data_kinds import find_task, people_of_biwi, table_for
from onecycle.recipes.found_tables import TABLES, only_table, tables_for
from onecycle.recipes.image_places import Place
from onecycle.recipes.label_kinds import find_kind
from onecycle.recipes.label_tables import (
    SPREADSHEETS,
    LabelTable,
    columns_of_flags,
    image_call,
    label_column,
    read_table,
    split_column,
    spreadsheet,
)
from onecycle.recipes.listing import Listing, existing_path, list_data
from onecycle.recipes.mask_layout import mask_calls
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.outside import labels_outside
from onecycle.recipes.pipeline import Call, Function
from onecycle.recipes.split_calls import images_to_test, split_call, test_set_call
from onecycle.recipes.split_folders import empty_split_folders, find_split_folders, held_folders
from onecycle.recipes.split_tables import Learned, TableItems, find_split_tables
from onecycle.recipes.unnamed_images import images_without_a_row
from onecycle.text.text_columns import SUFFIXES_OF_NAMES, choose_text_column, refuse_file_names
from onecycle.vision.decode import original_size


@dataclass(frozen=True)
class Layout:
    """How the user's data is read.

    Attributes:
        task: The kind of labels, never "auto".
        items: The call that finds the inputs.
        split: The call that splits them.
        label: The call that labels them.
        has_tags: Whether an item has several labels.
        test: The call that adds a test set, if it does not come with the split.
        findings: What was chosen, and from what evidence.
    """

    task: str
    items: Call
    split: Call
    label: Call
    has_tags: bool = False
    test: Call | None = None
    findings: tuple[str, ...] = ()


def find_layout(data: Path, options: FineTuneOptions, listing: Listing | None = None) -> Layout:
    """Look at a folder, or a table of labels, and return how it is read.

    Args:
        data: The folder or the table.
        options: What the user says of it.
        listing: The folder, where it is listed already.
    Raises:
        DataError: The files for the task are missing, the labels are not found, or there are two ways to read them.
    """
    findings: list[str] = []
    task: str = options.task
    if data.is_file():
        return _table_file(data, options, findings)
    listing = listing or list_data(data, _names(options.include))
    if task == "auto" and (options.masks is not None or options.codes is not None or options.colours is not None):
        task = "segment"
    if options.labels is not None:
        options = replace(options, labels=existing_path(options.labels, data))
    empty = empty_split_folders(listing) if options.include is None else []
    if (annotated := annotation_calls(data=listing, task=task, options=options, findings=findings)) is not None:
        test = test_set_call(listing, options, "ImageList")
        return Layout(
            annotated.task, annotated.items, annotated.split, annotated.label, annotated.task == "tag", test,
            (*findings, *empty),
        )  # fmt: skip
    inside = options.labels is not None and Path(options.labels).resolve().is_relative_to(data.resolve())
    beside = options.labels is not None and listing.with_suffix(*SUFFIXES_OF_NAMES)
    if task == "auto" and not listing.images and (inside or beside):
        task = "text"
        findings.append("task: text, since there are no images")
    if task == "auto" and options.labels is None:
        task, table, evidence = find_task(listing, options)
        findings.append(f"task: {'classify' if task == 'table' else task}, from {evidence}")
        if table is not None:
            findings[-1] = f"labels: {evidence}"
            task, options = "text" if task == "text" else "auto", replace(options, labels=data / table)
    elif options.labels is None and (found := table_for(task, listing, options)) is not None:
        findings.append(f"labels: {found[1]}")
        options = replace(options, labels=data / found[0])
    layout = _BUILDERS[task](listing, options, findings)
    return replace(layout, findings=(*findings, *empty, *_tables_left_out(listing, layout, options)))


def _tables_left_out(data: Listing, layout: Layout, options: FineTuneOptions) -> list[str]:
    """Return what to say of the tables for testing that are not used, beside labels that are in no table."""
    if options.labels is not None or layout.test is not None or "test" in layout.split.options:
        return []
    return [
        f"left out: {name}, a table for testing; pass test={name!r} to test on it" for name in tables_for(data, "test")
    ]


def _table_file(data: Path, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of a table as the data: of texts, or of images that it names."""
    if data.suffix.lower() in (".arrow", ".feather", ".zip", ".json", ".jsonl"):
        raise DataError(
            f"{data} is a {data.suffix[1:]} file.", "a folder, a Parquet, or a CSV file.",
            "unpack it, or convert it to Parquet or CSV.",
        )  # fmt: skip
    if data.suffix.lower() in SPREADSHEETS:
        raise spreadsheet(str(data))
    folder = list_data(data.parent, _names(options.include))
    options = replace(options, labels=data)
    if options.task in ("text", "sentiment"):
        layout = texts(folder, options, findings)
    elif options.task == "auto" and not folder.images:
        findings.append(f"task: text, from {data.name}, beside which there are no images")
        layout = texts(folder, options, findings)
    else:
        layout = _BUILDERS[options.task](folder, options, findings)
    return replace(layout, findings=tuple(findings))


def class_folders(data: Listing, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of images in a folder per class, or with classes or tags in a table."""
    if options.labels is not None:
        return class_table(data, options, findings)
    if options.task == "tag":
        raise labels_outside(data, options) or no_labels("tags")
    return _folders("ImageList", "classify", data, data.images, options, findings)


def class_table(data: Listing, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of images with classes or tags in a CSV file."""
    table = read_table(Path(str(options.labels)), options)
    items, images, place = image_call(table, data, options, findings)
    if options.column is None and (flags := columns_of_flags(table, images, options.task)):
        findings.append(f"labels: a tag for each of the columns {some(map(str.strip, flags), 6)}, which say yes or no")
        label = Call("label_from_columns", (flags,))
        split, test = _image_splits(table, images, flags, label, place, data, options, findings)
        return Layout("tag", items, split, label, has_tags=True, test=test)
    label, has_tags, column = table_labels(table, [images], options, findings)
    stratify = None if has_tags else column
    split, test = _image_splits(table, images, [column], label, place, data, options, findings, stratify)
    return Layout("tag" if has_tags else "classify", items, split, label, has_tags, test)


def table_labels(
    table: LabelTable, taken: Sequence[str], options: FineTuneOptions, findings: list[str],
    chosen: Candidate | None = None,
) -> tuple[Call, bool, str]:  # fmt: skip
    """Return the call that labels from a table's column, whether it gives tags, and the column."""
    chosen = chosen or label_column(table, _only(_names(options.column)), taken)
    kind = find_kind(table.counts(chosen.name), chosen.name, options.delimiter, _label_task(options))
    findings.append(f"labels: column {chosen.name!r} ({chosen.evidence}); {kind.evidence}")
    more: dict[str, Any] = {}
    if kind.has_tags:
        more = {**({"delimiter": kind.delimiter} if kind.delimiter else {}), "classes": "all"}
        if empty := table.table.num_rows - len(table.values(chosen.name)):
            findings.append(counted(empty, "row", ("has", "have")) + " no tag")
    elif options.missing == "drop":
        more = {"missing": "drop"}
    return Call("label_from_column", (chosen.name,), more), kind.has_tags, chosen.name


def _label_task(options: FineTuneOptions) -> str:
    return options.task if options.task in ("classify", "tag") else "auto"


def masks(data: Listing, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of images with masks, as CamVid and similar data is published."""
    items, split, label = mask_calls(data, options, findings)
    return Layout("segment", items, split, label, test=test_set_call(data, options, "ImageList"))


def points(data: Listing, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of images with points: a CSV file of x, y, x, y, ..., or the BIWI head pose database."""
    if options.labels is None:
        return _biwi(data, options)
    table = read_table(Path(str(options.labels)), options)
    items, images, place = image_call(table, data, options, findings)
    columns = _names(options.column) or [name for name in table.columns if name != images]
    every = columns == table.table.column_names[1:]
    findings.append(f"points: columns {some(columns, 4)}")
    label = Call("label_points", ("all" if every else columns,))
    split, test = _image_splits(table, images, columns, label, place, data, options, findings)
    return Layout("points", items, split, label, test=test)


def numbers(data: Listing, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of images with numbers in a CSV file: all its other columns, unless some are named."""
    if options.labels is None:
        raise labels_outside(data, options) or no_labels("numbers")
    table = read_table(Path(str(options.labels)), options)
    items, images, place = image_call(table, data, options, findings)
    split = split_column(table, [images])
    columns = _names(options.column) or [name for name in table.columns if name not in (images, *(split or ())[:1])]
    findings.append(f"numbers: columns {some(columns, 4)}")
    label = Call("label_numbers", (columns,))
    held, test = _image_splits(table, images, columns, label, place, data, options, findings)
    return Layout("numbers", items, held, label, test=test)


def texts(data: Listing, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of texts: a folder per class, or a CSV file."""
    if options.labels is None and not data.texts and (name := only_table(data)):
        findings.append(f"texts: {name}, since there are no text files")
        options = replace(options, labels=data.root / name)
    if options.labels is None:
        return _folders("TextList", "text", data, data.texts, options, findings)
    table = read_table(Path(str(options.labels)), options)
    column = options.text_column
    if column is None:
        chosen = choose_text_column(table.table, "text_column")
        column = chosen.name
        findings.append(f"texts: column {chosen}")
    label, has_tags, labels = table_labels(table, [column], options, findings)
    items = _texts_of(table, column)
    learned = Learned(table, items.keys, [labels], label, lambda other, role: _texts_of(other, column))
    stratify = None if has_tags else labels
    split, test = _table_splits(learned, [column, labels], [], "TextList", data, options, findings, stratify)
    return Layout("text", items.call, split, label, has_tags, test)


def _texts_of(table: LabelTable, column: str) -> TableItems:
    if column not in table.table.column_names:
        raise missing_column(column, table.table.column_names)
    refuse_file_names(column, table.table[column])
    call = Call(f"TextList.{table.maker}", (str(table.path),), {"column": column, **table.format.options})
    return TableItems(call, [str(text or "") for text in table.table[column].to_pylist()])


_BUILDERS: dict[str, Callable[[Listing, FineTuneOptions, list[str]], Layout]] = {
    "auto": class_folders, "classify": class_folders, "tag": class_folders, "segment": masks, "points": points,
    "numbers": numbers, "text": texts, "sentiment": texts,
}  # fmt: skip


def proportional_size(data: Path, shorter: int = 180) -> tuple[int, int]:
    """Return (height, width) in pixels with the proportions of the first image, so that images are not distorted."""
    images = list_data(data).images
    if not images:
        raise DataError(f"No images in {data}.", "images in the folder or below it.", "check the path.")
    height, width = original_size(data / images[0])
    scale = shorter / min(height, width)
    return max(round(height * scale / 4) * 4, 4), max(round(width * scale / 4) * 4, 4)


def _folders(
    kind: str, task: str, data: Listing, names: Sequence[str], options: FineTuneOptions, findings: list[str]
) -> Layout:
    """Return the layout of items in a folder per class, with or without folders for the splits."""
    split = None if options.group is not None or options.valid is not None else find_split_folders(names)
    call = Call(f"{kind}.from_folder", (str(data.root),), _included(options))
    test = test_set_call(data, options, kind)
    level = options.folder_level or 1
    label = Call("label_from_folder", (), {"level": level} if level > 1 else {})
    trained = [name for name in names if split is None or split.holds(name, "train")]
    counts = class_counts(trained, level)
    tables = data.with_suffix(*TABLES) if kind == "ImageList" else None
    if wrong := one_class(data, trained, counts, tables, level):
        raise labels_outside(data, options) or wrong
    findings.append(f"classes: {some((f'{name} ({count:,})' for name, count in sorted(counts.items())), 8)}")
    if empty := empty_classes(data, trained):
        findings.append(f"left out: {some(empty, 4)}, without one item")
    if split is None:
        return Layout(task, call, split_call(options, data, stratify="folder", level=level), label, test=test)
    if kind == "TextList" or (len(split.names) < len({name.split("/")[0] for name in names}) and not split.parent):
        call = Call(call.name, call.arguments, {"include": sorted(split.names)})
    held = held_folders(split, findings)
    if held is not None:
        return Layout(task, call, held, label, test=test)
    root = data.root / split.parent
    items = Call(f"{kind}.from_folder", (str(root),), {"include": list(split.train)})
    if test is None and split.test:
        test = Call("add_test", (Call(f"{kind}.from_folder", (str(root),), {"include": list(split.test)}),))
    return Layout(task, items, split_call(options, data, stratify="folder", level=level), label, test=test)


def _image_splits(
    table: LabelTable, images: str, columns: Sequence[str], label: Call, place: Place, data: Listing,
    options: FineTuneOptions, findings: list[str], stratify: str | None = None,
) -> tuple[Call, Call | None]:  # fmt: skip
    """Return the calls that split the images of a table, and that add a test set."""

    def read(other: LabelTable, role: str) -> TableItems:
        if role == "test":
            items = TableItems(*images_to_test(other, data))
        else:
            call, _, found = image_call(other, data, replace(options, image_column=None), [])
            items = TableItems(call, found.paths)
        used.update(items.keys)
        return items

    used = set(place.paths)
    learned = Learned(table, place.paths, columns, label, read)
    taken = [images, *columns]
    made = _table_splits(learned, taken, place.paths, "ImageList", data, options, findings, stratify)
    findings += images_without_a_row(data, table.path.name, used, options)
    return made


def _table_splits(
    learned: Learned, taken: Sequence[str], paths: Sequence[str | None], kind: str, data: Listing,
    options: FineTuneOptions, findings: list[str], stratify: str | None = None,
) -> tuple[Call, Call | None]:  # fmt: skip
    """Return the calls that split the rows of a table, and that add a test set.

    A column of a usual name splits, else another table, else folders of usual names, else chance.
    """
    table, held = learned.table, None
    asked = options.valid is not None or options.group is not None
    if not asked and (found := split_column(table, taken)):
        findings.append(f"split: column {found[0]!r}")
        held = Call("split_by_column", (found[0],), found[1])
    other, test = find_split_tables(learned, data, options, findings, is_split=asked or held is not None)
    held = held or other
    if not asked and held is None:
        folders = find_split_folders(path for path in paths if path is not None)
        held = held_folders(folders, findings) if folders is not None and folders.valid else None
    held = held or split_call(options, data, stratify=stratify, columns=table.table.column_names)
    return held, test or test_set_call(data, options, kind)


def _biwi(data: Listing, options: FineTuneOptions) -> Layout:
    people = people_of_biwi(data)
    if not people:
        raise labels_outside(data, options) or DataError(
            f"Where are the points of {data.root}?",
            "a CSV file of coordinates, or the folders of the BIWI database with rgb.cal in each.",
            "pass labels=.",
        )
    # A fifth of the people validate: images of one person look alike.
    chosen = sorted(random.Random(options.seed).sample(people, max(round(len(people) / 5), 1)))
    asked = options.valid is not None or options.group is not None
    split = split_call(options, data) if asked else Call("split_by_folder", (), {"valid": chosen})
    items = Call("ImageList.from_folder", (str(data.root),), _included(options))
    label = Call("label_points", (Function("biwi.head_centre"),))
    return Layout("points", items, split, label, test=test_set_call(data, options, "ImageList"))


def _included(options: FineTuneOptions) -> dict[str, Any]:
    return {"include": _names(options.include)} if options.include else {}


def _names(names: str | Sequence[str] | None) -> list[str] | None:
    return None if names is None else [names] if isinstance(names, str) else list(names)


def _only(columns: Sequence[str] | None) -> str | None:
    """Return the column that is named for labels, if one is.

    Raises:
        DataError: Several are named.
    """
    if columns and len(columns) > 1:
        raise DataError(
            f"{len(columns)} columns are named for one label: {some(columns, 12)}.",
            "one column of classes or tags; only numbers and points have several.",
            f"pass {' or '.join(f'column={name!r}' for name in columns[:4])}.",
        )
    return columns[0] if columns else None


def no_labels(what: str) -> DataError:
    return DataError(f"For {what}, labels= is missing.", f"a CSV file of {what}.", "pass labels='labels.csv'.")
