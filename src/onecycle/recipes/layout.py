"""Looks at the user's files and chooses the calls that find the inputs, split them and label them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onecycle.data.candidates import Candidate
from onecycle.errors import DataError, some
from onecycle.recipes.annotation_layout import annotation_calls
from onecycle.recipes.class_folders import class_counts, empty_classes
from onecycle.recipes.data_kinds import find_task, only_table, tables_for
from onecycle.recipes.label_kinds import find_kind
from onecycle.recipes.label_tables import (
    LabelTable,
    columns_of_flags,
    image_call,
    label_column,
    read_table,
    split_column,
)
from onecycle.recipes.listing import Listing, existing_path, list_data
from onecycle.recipes.mask_layout import mask_calls
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Call, Function
from onecycle.recipes.split_calls import split_call, test_set_call
from onecycle.recipes.split_folders import SplitFolders, find_split_folders
from onecycle.text.text_columns import choose_text_column
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
    if (annotated := annotation_calls(data=listing, task=task, options=options, findings=findings)) is not None:
        test = test_set_call(listing, options, "ImageList")
        return Layout(
            annotated.task, annotated.items, annotated.split, annotated.label, annotated.task == "tag", test,
            tuple(findings),
        )  # fmt: skip
    inside = options.labels is not None and Path(options.labels).resolve().is_relative_to(data.resolve())
    if task == "auto" and not listing.images and inside:
        task = "text"
        findings.append("task: text, since there are no images")
    if task == "auto" and options.labels is None:
        task, table, evidence = find_task(listing, options)
        findings.append(f"task: {'classify' if task == 'table' else task}, from {evidence}")
        if table is not None:
            findings[-1] = f"labels: {evidence}"
            task, options = "text" if task == "text" else "auto", replace(options, labels=data / table)
    layout = _BUILDERS[task](listing, options, findings)
    return replace(layout, findings=(*findings, *_tables_left_out(listing, layout, options)))


def _tables_left_out(data: Listing, layout: Layout, options: FineTuneOptions) -> list[str]:
    """Return what to say of the tables for validation and for testing that are not used, beside that of the labels."""
    labels = data.root if options.labels is None else Path(options.labels)
    found: list[str] = []
    named = labels.is_file() and layout.items.name.startswith("ImageList")  # a text has no name to be listed by
    if named and options.valid is None and layout.split.name == "split_random":
        found += [
            f"left out: {name}, a table for validation; pass valid={name!r}, which validates on the items that it "
            f"names, once {labels.name} has its rows too"
            for name in tables_for(data, "valid") if (data.root / name).resolve() != labels.resolve()
        ]  # fmt: skip
    if layout.test is None and "test" not in layout.split.options:
        found += [
            f"left out: {name}, a table for testing; pass test={name!r} to test on it"
            for name in tables_for(data, "test") if (data.root / name).resolve() != labels.resolve()
        ]  # fmt: skip
    return found


def _table_file(data: Path, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of a table as the data: of texts, or of images that it names."""
    if data.suffix.lower() in (".arrow", ".feather", ".zip", ".json", ".jsonl"):
        raise DataError(
            f"{data} is a {data.suffix[1:]} file.", "a folder, a Parquet, or a CSV file.",
            "unpack it, or convert it to Parquet or CSV.",
        )  # fmt: skip
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
        raise no_labels("tags")
    return _folders("ImageList", "classify", data, data.images, options, findings)


def class_table(data: Listing, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of images with classes or tags in a CSV file."""
    table = read_table(Path(str(options.labels)), options)
    items, images, place = image_call(table, data, options, findings)
    test = test_set_call(data, options, "ImageList")
    if options.column is None and (flags := columns_of_flags(table, images, options.task)):
        findings.append(f"labels: a tag for each of the columns {some(flags, 6)}, which hold 0 and 1")
        split = _table_split(table, [images, *flags], place.paths, data, options, findings)
        return Layout("tag", items, split, Call("label_from_columns", (flags,)), has_tags=True, test=test)
    label, has_tags, column = table_labels(table, [images], options, findings)
    split = _table_split(table, [images, column], place.paths, data, options, findings, None if has_tags else column)
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
            findings.append(f"{empty:,} rows have no tag")
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
    split = _table_split(table, [images, *columns], place.paths, data, options, findings)
    label = Call("label_points", ("all" if every else columns,))
    return Layout("points", items, split, label, test=test_set_call(data, options, "ImageList"))


def numbers(data: Listing, options: FineTuneOptions, findings: list[str]) -> Layout:
    """Return the layout of images with numbers in a CSV file: all its other columns, unless some are named."""
    if options.labels is None:
        raise no_labels("numbers")
    table = read_table(Path(str(options.labels)), options)
    items, images, place = image_call(table, data, options, findings)
    split = split_column(table, [images])
    columns = _names(options.column) or [name for name in table.columns if name not in (images, *(split or ())[:1])]
    findings.append(f"numbers: columns {some(columns, 4)}")
    held = _table_split(table, [images, *columns], place.paths, data, options, findings)
    test = test_set_call(data, options, "ImageList")
    return Layout("numbers", items, held, Call("label_numbers", (columns,)), test=test)


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
    split = _table_split(table, [column, labels], [], data, options, findings, None if has_tags else labels)
    items = Call(f"TextList.{table.maker}", (str(table.path),), {"column": column, **table.format.options})
    return Layout("text", items, split, label, has_tags, test_set_call(data, options, "TextList"))


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
    label = Call("label_from_folder")
    trained = [name for name in names if split is None or split.holds(name, "train")]
    counts = class_counts(trained)
    findings.append(f"classes: {some((f'{name} ({count:,})' for name, count in sorted(counts.items())), 8)}")
    if empty := empty_classes(data, trained):
        findings.append(f"left out: {some(empty, 4)}, without one item")
    if split is None:
        return Layout(task, call, split_call(options, data, stratify="folder"), label, test=test)
    if kind == "TextList" or (len(split.names) < len({name.split("/")[0] for name in names}) and not split.parent):
        call = Call(call.name, call.arguments, {"include": sorted(split.names)})
    held = _held_folders(split, findings)
    if held is not None:
        return Layout(task, call, held, label, test=test)
    root = data.root / split.parent
    items = Call(f"{kind}.from_folder", (str(root),), {"include": list(split.train)})
    if test is None and split.test:
        test = Call("add_test", (Call(f"{kind}.from_folder", (str(root),), {"include": list(split.test)}),))
    return Layout(task, items, split_call(options, data, stratify="folder"), label, test=test)


def _held_folders(split: SplitFolders, findings: list[str]) -> Call | None:
    """Return the call that splits by folders; None where no folder can validate."""
    train, valid, test = (_one(names) for names in (split.train, split.valid, split.test))
    if split.valid:
        findings.append(f"split: {_shown(split.train)} trains, {_shown(split.valid)} validates")
        return Call("split_by_folder", (), {"train": train, "valid": valid, **({"test": test} if split.test else {})})
    if split.test_is_labelled:
        findings.append(
            f"split: {_shown(split.train)} trains, {_shown(split.test)} validates, since it has the same classes"
        )
        return Call("split_by_folder", (), {"train": train, "valid": test})
    findings.append(
        f"split: {_shown(split.train)} trains, a fifth of it validates; {_shown(split.test)} has no labels and is the "
        "test set"
    )
    return None


def _shown(names: Sequence[str]) -> str:
    return " and ".join(f"{name}/" for name in names)


def _one(names: Sequence[str]) -> str | list[str] | None:
    return names[0] if len(names) == 1 else list(names) or None


def _table_split(
    table: LabelTable, taken: Sequence[str], paths: Sequence[str | None], data: Listing, options: FineTuneOptions,
    findings: list[str], stratify: str | None = None,
) -> Call:  # fmt: skip
    """Return the call that splits the rows of a table: by a column or folders of a usual name, else at random."""
    if options.valid is None and options.group is None:
        if found := split_column(table, taken):
            findings.append(f"split: column {found[0]!r}")
            return Call("split_by_column", (found[0],), found[1])
        folders = find_split_folders(path for path in paths if path is not None)
        if folders is not None and folders.valid:
            held = _held_folders(folders, findings)
            if held is not None:
                return held
    return split_call(options, data, stratify=stratify, columns=table.table.column_names)


def _biwi(data: Listing, options: FineTuneOptions) -> Layout:
    people = sorted(path.parent.name for path in data.root.glob("*/rgb.cal"))
    if len(people) < 2:
        raise DataError(
            f"Where are the points of {data.root}?",
            "a CSV file of coordinates, or the folders of the BIWI database with rgb.cal in each.",
            "pass labels=.",
        )
    # A fifth of the people validate: images of one person look alike.
    chosen = sorted(random.Random(options.seed).sample(people, max(round(len(people) / 5), 1)))
    return Layout(
        "points", Call("ImageList.from_folder", (str(data.root),)), Call("split_by_folder", (), {"valid": chosen}),
        Call("label_points", (Function("biwi.head_centre"),)),
    )  # fmt: skip


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
