"""Reads the user's tables of labels: what the columns are, and where the images are that a table names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from onecycle.data.candidates import Candidate, choose
from onecycle.data.class_labels import check_no_records, holds_records
from onecycle.data.label_values import NO, YES, label_of, numbers_in
from onecycle.data.parquet_files import read_parquet
from onecycle.data.split_names import role_of
from onecycle.data.table_format import TableFormat, find_format, is_index, no_header
from onecycle.data.tables import missing_column
from onecycle.errors import DataError, counted, some, suggest
from onecycle.recipes.class_folders import not_read
from onecycle.recipes.image_places import Place, find_place
from onecycle.recipes.listing import Listing
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Call
from onecycle.recipes.split_folders import in_test_folder
from onecycle.vision.image_index import ImageIndex

IMAGE_COLUMNS = frozenset({
    "image", "images", "img", "file", "files", "filename", "file_name", "path", "filepath", "image_name", "image_id",
    "image_path", "name", "id", "photo", "picture",
})  # fmt: skip
LABEL_COLUMNS = frozenset({
    "tags", "labels", "label", "class", "classes", "class_name", "category", "categories", "target", "sentiment",
})  # fmt: skip
SPLIT_COLUMNS = frozenset({"is_valid", "split", "set", "subset", "partition", "dataset"})
MOST_TRIED, FIRST_ROWS = 50, 500
PARQUET = (".parquet", ".pq")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")


@dataclass(frozen=True)
class LabelTable:
    """A table with labels.

    Attributes:
        path: The file.
        format: How it is read.
        table: Its content, every value a text.
    """

    path: Path
    format: TableFormat
    table: pa.Table

    @property
    def maker(self) -> str:
        """The constructor of a list that reads the file."""
        return "from_parquet" if self.path.suffix.lower() in PARQUET else "from_csv"

    @cached_property
    def columns(self) -> list[str]:
        """The columns without an index that pandas wrote."""
        return [name for name in self.table.column_names if not is_index(name, self.table[name])]

    def values(self, column: str) -> list[str]:
        """Return a column without missing values."""
        return [value for value in map(label_of, self.table[column].to_pylist()) if value is not None]

    def counts(self, column: str) -> Counter[str]:
        """Return how often each value of a column occurs."""
        return Counter(self.values(column))


def read_table(path: Path, options: FineTuneOptions) -> LabelTable:
    """Read a table of labels.

    Raises:
        DataError: There is none, or its first line is no header.
    """
    if path.suffix.lower() in PARQUET and path.is_file():
        return LabelTable(path, TableFormat(), read_parquet(path).table)
    if path.suffix.lower() == ".jsonl" and path.is_file():
        raise not_read(str(path))
    if path.suffix.lower() in SPREADSHEETS and path.is_file():
        raise spreadsheet(str(path))
    form = find_format(path, options.separator, options.encoding, header=options.header)
    table = LabelTable(path, form, form.read(path))
    if not table.table.num_rows:
        raise DataError(f"{path} has no rows.", "a row for each item.", "check the file.")
    for name in table.columns[:MOST_TRIED] if options.header else ():
        # The header of a column that holds its own name again and again is a row.
        own = pc.sum(pc.equal(pc.utf8_trim_whitespace(table.table[name]), name.strip())).as_py() or 0
        if name and own > 1:
            raise no_header(name)
    return table


def spreadsheet(name: str) -> DataError:
    """Return the error for a table of a spreadsheet program."""
    return DataError(
        f"{name} is a spreadsheet, which is not read.", "a CSV or Parquet file of labels.",
        f"save it as CSV there, or with pandas.read_excel({name!r}).to_csv({Path(name).stem + '.csv'!r}, index=False).",
    )  # fmt: skip


def image_column(table: LabelTable, index: ImageIndex, given: str | None) -> Candidate:
    """Return the column that names the images, by how many of its values do; its score is the share of rows.

    Raises:
        DataError: No column names images, or two name about as many.
    """
    if given is not None and given not in table.table.column_names:
        raise missing_column(given, table.table.column_names)
    candidates, shares = [], {}
    columns = [given] if given is not None else table.columns[:MOST_TRIED]
    # Of a wide table, columns that name no image in the first rows are not gone through.
    likely = [name for name in columns if any(index.find_all(_first_values(table, name)))]
    for name in likely or columns:
        if table.format.header and "." in name and index.find(name):
            raise no_header(name)
        names = [str(value or "") for value in table.table[name].to_pylist()]
        found = index.find_all(names)
        spelled = sum(any(path.endswith(value) for path in paths) for value, paths in zip(names, found, strict=True))
        count, rows = sum(map(bool, found)), len(names)
        shares[name] = count / rows
        # Of two columns that name images, the one that spells them in full, or has a usual name, is likelier.
        bonus = 0.15 * (spelled / rows + (name.strip().lower() in IMAGE_COLUMNS)) if count else 0.0
        candidates.append(
            Candidate(
                name,
                count / rows + bonus,
                f"{count:,} of {counted(rows, 'row', ('names', 'name'))} an image",
            )
        )
    if not any(one.score for one in candidates):
        raise _no_images(table, index, given or table.columns[0])
    question = f"Which column of {table.path} names the images?"
    chosen = choose(question, candidates, expected="one column of names.", option="image_column")
    return Candidate(chosen.name, shares[chosen.name], chosen.evidence)


def _first_values(table: LabelTable, column: str) -> list[str]:
    return [str(value or "") for value in table.table[column].slice(0, FIRST_ROWS).to_pylist()]


def _no_images(table: LabelTable, index: ImageIndex, column: str) -> DataError:
    names = [str(value or "") for value in table.table[column].to_pylist()]
    return DataError(
        f"None of the images that the CSV file names are in the data folder, such as {some(names, 3)}.",
        f"images named in column {column!r} of {table.path}, with or without suffix.",
        "pass the folder with the images, or image_column= if another column names them.",
    )


def image_call(
    table: LabelTable, data: Listing, options: FineTuneOptions, findings: list[str]
) -> tuple[Call, str, Place]:
    """Return the call that finds the images of a table, the column that names them, and where they are."""
    usable = [name for name in data.images if options.include or not in_test_folder(name)]
    given = options.suffix or ""
    tests = ImageIndex([name for name in data.images if in_test_folder(name)] if not options.include else [])
    try:
        chosen = image_column(table, ImageIndex(usable), options.image_column)
    except DataError:
        names = [str(value or "") for name in table.columns[:1] for value in table.table[name].to_pylist()]
        if any(tests.find_all(names)):
            raise _only_test(table, tests, names) from None
        raise
    names = [f"{value or ''}{given}" for value in table.table[chosen.name].to_pylist()]
    place = find_place(names, images_for(table, names, usable), str(table.path))
    lacking = [name for name, path in zip(names, place.paths, strict=True) if path is None]
    if lacking and options.missing != "drop" and any(tests.find_all(lacking)):
        raise _only_test(table, tests, lacking)
    suffix = given or place.suffix
    call: dict[str, Any] = {"folder": str(data.root / place.folder)}
    call |= {"column": chosen.name} if chosen.name != table.table.column_names[0] else {}
    call |= {"suffix": suffix} if suffix and (place.literal or given) else {}
    call |= {} if place.literal else {"search": True}
    call |= {"include": inside} if (inside := _without_tests(place, data, usable)) else {}
    call |= table.format.options | ({"missing": "drop"} if options.missing == "drop" else {})
    where = place.folder or "the data folder"
    findings.append(f"images: column {chosen.name!r} of {table.path.name}, {place.evidence} in {where}")
    if table.format.options:
        findings.append(f"{table.path.name}: {table.format}")
    return Call(f"ImageList.{table.maker}", (str(table.path),), call), chosen.name, place


def images_for(table: LabelTable, names: Sequence[str], images: Sequence[str], role: str | None = None) -> ImageIndex:
    """Return the images that a table may mean: where folders of two splits have each name, those of the table's split.

    Args:
        table: The table.
        names: The images that it names.
        images: All images that it may name.
        role: The split that it is for; None takes that of its name.
    """
    index, role = ImageIndex(images), role or role_of(table.path.stem)
    others = [path for path in images if role not in (found := _roles_above(path)) and found]
    if role is None or not others:
        return index
    own = ImageIndex([path for path in images if path not in set(others)])
    there = any(role in _roles_above(path) for path in own.paths)
    return own if there and all(map(bool, own.find_all(names))) else index


def _roles_above(path: str) -> set[str]:
    return {role for part in path.split("/")[:-1] if (role := role_of(part))}


def _without_tests(place: Place, data: Listing, usable: Sequence[str]) -> list[str]:
    """Return the folders below that of the images which are used, where there are others, for testing; else none."""
    begin = f"{place.folder}/" if place.folder else ""
    if not {name for name in data.images if name.startswith(begin)} - set(usable):
        return []
    return sorted(
        {path.removeprefix(begin).split("/")[0] for path in place.paths if path and "/" in path[len(begin) :]}
    )


def _only_test(table: LabelTable, tests: ImageIndex, names: Sequence[str]) -> DataError:
    found = [paths[0] for paths in tests.find_all(names) if paths]
    folder = found[0].split("/")[0]
    return DataError(
        f"{counted(len(found), 'row')} of {table.path} {'names' if len(found) == 1 else 'name'} images that are in "
        f"test folders alone, such as {found[0]}.",
        "images outside of test folders to train on.",
        f"pass include={folder!r} if that folder is meant, or missing='drop' to leave those rows out.",
    )


def label_column(table: LabelTable, given: str | None, taken: Sequence[str]) -> Candidate:
    """Return the column of labels: the one that is named, or the one that looks most like labels.

    Args:
        table: The table.
        given: The column that the user names.
        taken: Columns that are something else.
    Raises:
        DataError: There is no such column, or two look as much like labels.
    """
    columns = [name for name in table.columns if name not in taken]
    if given is not None:
        if given not in table.table.column_names:
            raise DataError(
                f"There is no column {given!r} in {table.path}.",
                f"one of: {some(table.table.column_names, 20)}.",
                f"pass column=.{suggest(given, table.table.column_names)}",
            )
        check_no_records(given, table.table.schema.field(given).type)
        return Candidate(given, 1.0, "as asked for")
    if not columns:
        raise DataError(
            f"{table.path} has no column of labels beside {some(map(repr, taken))}.", "a column of labels.",
            "add one, or pass labels= for another table.",
        )  # fmt: skip
    records = [name for name in columns if holds_records(table.table.schema.field(name).type)]
    columns = [name for name in columns if name not in records]
    candidates = [_as_labels(table, name) for name in columns]
    if records and not any(one.score and _holds_words(table, one) for one in candidates):
        # Numbers beside them, such as the width of an image, describe it and are no labels.
        check_no_records(records[0], table.table.schema.field(records[0]).type)
    if not any(one.score for one in candidates) and len(columns) == 1:
        return Candidate(columns[0], 0.1, "the only column left")
    question = f"Which column of {table.path} holds the labels?"
    usual = [one for one in candidates if one.score >= 1]
    if len(usual) == 2 and (clearer := _same_labels(table, usual[0].name, usual[1].name)):
        return clearer
    return choose(question, candidates, expected=f"one of: {some(columns, 20)}.", option="column")


def columns_of_flags(table: LabelTable, images: str, task: str) -> list[str]:
    """Return the columns that hold 0 and 1, true and false, or -1 and 1, where no column looks like labels and all are
    such; else none.

    Raises:
        DataError: All columns are numbers, which may be points, numbers or classes.
    """
    split = split_column(table, [images])
    columns = [name for name in table.columns if name not in (images, *(split or ())[:1])]
    if len(columns) < 2 or any(name.strip().lower() in LABEL_COLUMNS for name in columns):
        return []
    values = [set(map(label_of, table.table[name].unique().to_pylist())) - {None} for name in columns]
    words = {str(value).strip().lower() for one in values for value in one}
    if words <= YES | NO or (words <= YES | {"-1", "-1.0"} and len(words) > 1):
        return columns
    if any(numbers_in(Counter(map(str, one))) is None for one in values):
        return []
    if task != "auto":
        return []
    raise DataError(
        f"All {len(columns)} columns of {table.path} beside the image are numbers: {some(columns, 6)}.",
        "a column of labels, or a word of what the numbers are.",
        "pass task='points' for x, y, x, y, ... in pixels, task='numbers' to predict each, or column= for labels.",
    )


def _as_labels(table: LabelTable, name: str) -> Candidate:
    counts = table.counts(name)
    rows, different = sum(counts.values()), len(counts)
    evidence = f"{counted(different, 'different value')} in {counted(rows, 'row')}"
    if name.strip().lower() in LABEL_COLUMNS:
        return Candidate(name, 1.0, f"a usual name; {evidence}")
    repeated = 1 - different / rows if different > 1 else 0.0
    return Candidate(name, 0.5 * repeated, evidence)


def _holds_words(table: LabelTable, column: Candidate) -> bool:
    """Return whether a column holds classes by its usual name, or words."""
    return column.score >= 1 or numbers_in(table.counts(column.name)) is None


def _same_labels(table: LabelTable, one: str, other: str) -> Candidate | None:
    """Return the column in words, where two columns say the same in numbers and in words."""
    pairs = set(zip(*(map(str, table.table[name].to_pylist()) for name in (one, other)), strict=True))
    if not len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
        return None
    words, codes = (one, other) if numbers_in(table.counts(other)) else (other, one)
    return Candidate(words, 1.0, f"column {codes!r} says the same")


def split_column(table: LabelTable, taken: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """Return the column that says which rows validate, and the options of `split_by_column`; None where none does."""
    for name in table.columns:
        if name in taken or name.strip().lower() not in SPLIT_COLUMNS:
            continue
        counts = table.counts(name)
        if {value.lower() for value in counts} <= {"true", "false", "1", "0"} and len(counts) == 2:
            return name, {}
        roles = {role_of(value): value for value in counts}
        if None not in roles and {"train", "valid"} <= set(roles) and len(roles) == len(counts):
            return name, {"valid": roles["valid"], **({"test": roles["test"]} if "test" in roles else {})}
    return None
