"""Data that is in tables: Parquet files, Hugging Face datasets, frames; else in tars, or in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from onecycle.data.candidates import Candidate
from onecycle.data.class_labels import class_names, features, holds_records, inner_feature, is_list
from onecycle.data.label_values import label_of
from onecycle.data.parquet_files import first_rows, read_parquet, without_bytes
from onecycle.data.split_names import splits_of
from onecycle.data.table_format import TableFormat
from onecycle.data.tables import SPLIT, as_table
from onecycle.errors import DataError, counted, some
from onecycle.recipes.code import Given, quoted
from onecycle.recipes.configurations import check_configurations
from onecycle.recipes.label_tables import PARQUET, LabelTable, split_column
from onecycle.recipes.layout import Layout, find_layout, table_labels
from onecycle.recipes.listing import Listing, existing_path, list_data, path_of_all
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Call
from onecycle.recipes.split_calls import split_call, test_set_call
from onecycle.recipes.tar_layout import TEXT_TASKS, tar_layout
from onecycle.recipes.unused_options import refuse_unused
from onecycle.text.text_columns import choose_text_column
from onecycle.vision.image_objects import with_image_files
from onecycle.vision.image_tables import IMAGES, find_column

TARS = (".tar",)
IMAGE_COLUMN = "image_column"


@dataclass(frozen=True)
class Source:
    """Where rows come from: parts, such as files, each for a split or for none.

    Attributes:
        name: For messages.
        kind: "ImageList" or "TextList".
        roles: The split of each part by name, None where its name says none.
        call: Returns the call that makes a list of some parts.
    """

    name: str
    kind: str
    roles: Mapping[str, str | None]
    call: Callable[[Sequence[str]], Call]

    def of(self, *roles: str | None) -> list[str]:
        """Return the parts for some splits."""
        return [name for name, role in self.roles.items() if role in roles]


def layout_of(data: Any, options: FineTuneOptions) -> Layout:
    """Look at the data and return how it is read.

    Args:
        data: A folder, a file, a Hugging Face dataset, or a table of any library.
        options: What the user says of it.
    Raises:
        DataError: It is none of these, or cannot be read; or an option says something of what it has not.
    """
    layout = _layout_of(data, options)
    refuse_unused(layout, options)
    return layout


def _layout_of(data: Any, options: FineTuneOptions) -> Layout:
    if not isinstance(data, str | Path):
        return _frame(data, options)
    path = Path(data)
    if path.is_file() and options.labels is not None:
        raise DataError(
            f"labels={str(options.labels)!r} with the file {path}.", "a folder with labels=, or a table alone.",
            f"pass {path.parent} with labels={path.name!r}, or leave labels= out.",
        )  # fmt: skip
    if path.is_file() and path.suffix.lower() in PARQUET:
        return _parquet(path.parent, [path.name], list_data(path.parent, _listed(options)), options)
    if path.is_file() and path.suffix.lower() in TARS:
        return tar_layout(path.parent, [path.name], Listing(path.parent, (path.name,), ()), options)
    if options.labels is not None and path.is_dir():
        _refuse_images_in(existing_path(options.labels, path), options)
    if not path.is_dir() or options.labels is not None:
        return find_layout(path, options)
    listing = list_data(path, _listed(options))
    parquet, tars = listing.with_suffix(*PARQUET), listing.with_suffix(*TARS)
    if listing.images or not (parquet or tars):
        return find_layout(path, options, listing)
    if parquet and tars:
        raise DataError(
            f"{path} has Parquet files, such as {parquet[0]}, and tars, such as {tars[0]}.", "one of both.",
            f"pass the path of one kind, such as {path / parquet[0]}.",
        )  # fmt: skip
    return _parquet(path, parquet, listing, options) if parquet else tar_layout(path, tars, listing, options)


def _refuse_images_in(labels: Path, options: FineTuneOptions) -> None:
    """Refuse a Parquet file as a table of labels whose images are inside.

    Raises:
        DataError: They are.
    """
    if labels.suffix.lower() not in PARQUET or not labels.is_file():
        return
    inside = find_column(first_rows(labels), IMAGES, options.image_column, labels.name, IMAGE_COLUMN)
    if inside is not None:
        raise DataError(
            f"{labels} holds images itself, in column {inside!r}.", "as labels= a table that names images.",
            f"leave labels= out, and pass {str(labels)!r} as the data; or its folder, where the files beside it are "
            "its other splits.",
        )  # fmt: skip


def _frame(data: Any, options: FineTuneOptions) -> Layout:
    """Return the layout of a table of any library, or of a Hugging Face dataset with or without splits."""
    data = with_image_files(data)
    table, kind = as_table(data), type(data).__name__
    inside = find_column(table, IMAGES, options.image_column, f"The {kind}", IMAGE_COLUMN)
    roles: dict[str, str | None] = {"data": None}
    if isinstance(data, Mapping):
        roles = splits_of(list(data))

    def call(parts: Sequence[str]) -> Call:
        if len(parts) == len(roles):
            given = Given("data", data)
        elif len(parts) == 1:
            given = Given(f"data[{quoted(parts[0])}]", data[parts[0]])
        else:
            written = ", ".join(f"{quoted(name)}: data[{quoted(name)}]" for name in parts)
            given = Given(f"{{{written}}}", {name: data[name] for name in parts})
        return Call(f"{source.kind}.from_table", (given,), _column_options(source.kind, options))

    found = _Found(without_bytes(table), inside, Listing(Path(), (), ()))
    source = Source(f"the {kind}", _kind(found, options), roles, call)
    return _layout(source, found, options)


def _parquet(root: Path, names: Sequence[str], listing: Listing, options: FineTuneOptions) -> Layout:
    """Return the layout of Parquet files, with images inside or with texts; else of images that a file names."""
    inside = find_column(first_rows(root / names[0]), IMAGES, options.image_column, names[0], IMAGE_COLUMN)
    if inside is None and len(names) == 1 and (listing.images or options.image_column):
        return find_layout(root / names[0], options, listing)
    named = [options.column] if isinstance(options.column, str) else list(options.column or ())
    together = check_configurations(root, names, named)
    read = read_parquet([root / name for name in names], lambda head, what: find_column(head, IMAGES, inside, what))
    roles = splits_of(names)
    present = (list_data(root) if options.include else listing).with_suffix(*PARQUET)
    found = _Found(read.table.drop_columns([inside] if inside in read.table.column_names else []), inside, listing)

    def call(parts: Sequence[str]) -> Call:
        path = path_of_all(root, parts, present, whole=len(parts) > 1)
        return Call(f"{source.kind}.from_parquet", (path,), _column_options(source.kind, options))

    name = str(root / names[0]) if len(names) == 1 else f"{root} ({len(names):,} Parquet files)"
    source = Source(name, _kind(found, options), roles, call)
    layout = _layout(source, found, options)
    return replace(layout, findings=(*layout.findings, *together))


@dataclass(frozen=True)
class _Found:
    """What is in a source.

    Attributes:
        table: All columns but that of images.
        inside: The column of images, or None.
        listing: The files beside it.
    """

    table: pa.Table
    inside: str | None
    listing: Listing


def _kind(found: _Found, options: FineTuneOptions) -> str:
    """Return the kind of list: of images where they are inside, else of texts."""
    if options.task in TEXT_TASKS or (options.task == "auto" and found.inside is None):
        return "TextList"
    if found.inside is None:
        raise DataError(
            f"task={options.task!r}, and no column holds images: {some(found.table.column_names, 12)}.",
            "a column of bytes, or of {bytes, path} as the Hugging Face hub stores images.",
            "pass the folder of the images with labels= for the table, or task='text'.",
        )
    return "ImageList"


def _column_options(kind: str, options: FineTuneOptions) -> dict[str, Any]:
    if kind == "TextList":
        return {"column": options.text_column} if options.text_column else {}
    named = {"column": options.image_column} if options.image_column else {}
    return {**named, **({"missing": "drop"} if options.missing == "drop" else {})}


def _layout(source: Source, found: _Found, options: FineTuneOptions) -> Layout:
    findings = [f"task: texts of {source.name}" if source.kind == "TextList" else _said(source, found)]
    table = found.table
    taken: list[str] = []
    if source.kind == "TextList":
        chosen = choose_text_column(table, "text_column") if options.text_column is None else None
        text = options.text_column or (chosen.name if chosen else "")
        findings.append(f"texts: column {chosen or repr(text)}")
        taken = [text]
        source = replace(source, call=_with_column(source.call, text))
    if SPLIT in table.column_names and len(source.roles) > 1:
        taken.append(SPLIT)
    parts = _parts(source, found, options, taken, findings)
    label, column, task = _label(source, found, options, taken, parts.table, findings)
    stratify = column if task in ("classify", "text") else None
    split = parts.split or split_call(options, found.listing, stratify=stratify, columns=table.column_names)
    test = test_set_call(found.listing, options, source.kind) or parts.test
    return Layout(
        task, source.call(parts.used), split, label, has_tags="classes" in label.options, test=test,
        findings=tuple(findings),
    )  # fmt: skip


def _with_column(call: Callable[[Sequence[str]], Call], column: str) -> Callable[[Sequence[str]], Call]:
    def named(parts: Sequence[str]) -> Call:
        made = call(parts)
        return Call(made.name, made.arguments, {"column": column, **made.options})

    return named


def _said(source: Source, found: _Found) -> str:
    return f"images: inside column {found.inside!r} of {source.name}, {counted(len(found.table), 'row')}"


@dataclass(frozen=True)
class _Parts:
    """Which parts are used, for what.

    Attributes:
        used: The parts that train and validate, and test where the split says so.
        table: The rows to train on, and to validate on.
        split: The call that splits them; None where nothing in the data says how.
        test: The call that adds a test set, or None.
    """

    used: list[str]
    table: pa.Table
    split: Call | None = None
    test: Call | None = None


def _parts(
    source: Source, found: _Found, options: FineTuneOptions, taken: Sequence[str], findings: list[str]
) -> _Parts:
    """Choose the parts by their names: what is for testing never trains."""
    train, valid, test = source.of("train"), source.of("valid"), source.of("test")
    asked = options.valid is not None or options.group is not None
    if not train or not (valid or test):
        table = LabelTable(Path(source.name), TableFormat(), found.table)
        split = None if asked else split_column(table, taken)
        if split is None:
            return _Parts(list(source.roles), found.table)
        findings.append(f"split: column {split[0]!r}")
        return _Parts(list(source.roles), found.table, Call("split_by_column", (split[0],), split[1]))
    if others := source.of(None):
        findings.append(f"left out: {some(others, 4)}, whose names are of no split")
    used = [name for name in source.roles if name not in others]
    if not asked and valid:
        findings.append(f"split: {_names(train)} trains, {_names(valid)} validates")
        held = {"valid": "valid", **({"test": "test"} if test else {})}
        return _Parts(used, _rows(found.table, "train", "valid"), Call("split_by_column", (SPLIT,), held))
    training = _rows(found.table, "train", "valid")
    labelled = bool(test) and _same_classes(training, _rows(found.table, "test"), options, taken)
    if not asked and labelled:
        findings.append(f"split: {_names(train)} trains, {_names(test)} validates, since it has the same classes")
        return _Parts(used, training, Call("split_by_column", (SPLIT,), {"valid": "test"}))
    rest = [*train, *valid]
    if test:
        findings.append(f"split: {_names(rest)} trains; {_names(test)} is the test set")
    more = {"labelled": True} if labelled else {}
    return _Parts(rest, training, None, Call("add_test", (source.call(test),), more) if test else None)


def _rows(table: pa.Table, *splits: str) -> pa.Table:
    if SPLIT not in table.column_names:
        return table
    return table.filter(pc.is_in(table[SPLIT].cast(pa.string()), pa.array(splits)))


def _same_classes(train: pa.Table, test: pa.Table, options: FineTuneOptions, taken: Sequence[str]) -> bool:
    """Return whether a column of the test set, the one of labels, holds nothing but what training has there."""
    named = [options.column] if isinstance(options.column, str) else _named_classes(train, tags=options.task == "tag")
    columns = named or [
        name for name in train.column_names if name not in taken and name.lower() in ("label", "labels")
    ]
    if len(columns) != 1 or columns[0] not in test.column_names:
        return False
    known, held = (set(map(_one_label, part[columns[0]].to_pylist())) for part in (train, test))
    return None not in held and held <= known


def _one_label(value: Any) -> Any:
    return str(sorted(map(str, value))) if isinstance(value, list) else label_of(value)


def _names(parts: Sequence[str]) -> str:
    return some(parts, 3)


def _named_classes(table: pa.Table, *, tags: bool) -> list[str]:
    """Return the columns of which the table itself says that they hold classes; for tags those of lists."""
    said = {name: feature for name, feature in features(table.schema).items() if name in table.column_names}
    if tags:
        named = [name for name, feature in said.items() if class_names(inner_feature(feature))]
        return named or [field.name for field in table.schema if is_list(field.type) and not holds_records(field.type)]
    return [name for name, feature in said.items() if class_names(feature)]


def _label(
    source: Source, found: _Found, options: FineTuneOptions, taken: Sequence[str], rows: pa.Table, findings: list[str]
) -> tuple[Call, str, str]:
    """Return the call that labels, the column, and the task."""
    table = LabelTable(Path(source.name), TableFormat(), rows)
    task = "text" if source.kind == "TextList" else options.task
    if task in ("numbers", "points"):
        named = [options.column] if isinstance(options.column, str) else list(options.column or ())
        columns = named or [name for name in table.columns if name not in taken]
        findings.append(f"{task}: columns {some(columns, 4)}")
        return Call(f"label_{task}", (columns,)), columns[0], task
    if task == "segment":
        raise DataError(
            f"task='segment', and the images are inside {source.name}.", "images and masks in folders.",
            "write them to folders, and pass the path of these.",
        )  # fmt: skip
    chosen = None
    classes = _named_classes(rows, tags=options.task == "tag")
    if options.column is None and len(classes) == 1:
        chosen = Candidate(classes[0], 1.0, "lists" if options.task == "tag" else "its metadata names the classes")
        options = options if options.task == "tag" or source.kind == "TextList" else replace(options, task="classify")
    label, has_tags, column = table_labels(table, taken, options, findings, chosen)
    return label, column, "text" if task == "text" else "tag" if has_tags else "classify"


def _listed(options: FineTuneOptions) -> list[str] | None:
    return [options.include] if isinstance(options.include, str) else list(options.include) if options.include else None
