"""The calls that split the items, and that add a test set, as the user says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from onecycle.errors import DataError, some
from onecycle.recipes.image_places import find_place
from onecycle.recipes.label_tables import PARQUET, LabelTable, image_column, images_for, read_table
from onecycle.recipes.listing import Listing, existing_path
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Call
from onecycle.vision.image_index import ImageIndex


def split_call(
    options: FineTuneOptions,
    data: Listing,
    *,
    stratify: str | None = None,
    columns: Sequence[str] = (),
    level: int = 1,
) -> Call:
    """Return the call that splits: as `valid=` says, in whole groups, or at random.

    Raises:
        DataError: `valid=` names more than one thing, or none.
    """
    valid = options.valid
    if options.group is not None:
        if isinstance(valid, str | Path):
            raise DataError(
                f"valid={str(valid)!r} and group={options.group!r}.", "one of them, or a fraction as valid=.",
                "leave group= out, or pass valid=0.2.",
            )  # fmt: skip
        share = 0.2 if valid is None else valid
        return Call("split_by_group", (), {"pattern": options.group, "valid": share, "seed": options.seed})
    if isinstance(valid, int | float) or valid is None:
        more = {"stratify": stratify} | ({"level": level} if level > 1 else {}) if stratify else {}
        return Call("split_random", (), {"valid": 0.2 if valid is None else valid, "seed": options.seed, **more})
    name = str(valid)
    ways: list[Call] = []
    if name in columns:
        ways.append(Call("split_by_column", (name,)))
    folders = {part for file in data.files for part in file.split("/")[:-1]}
    if name.strip("/") in folders:
        ways.append(Call("split_by_folder", (), {"valid": name.strip("/")}))
    file = existing_path(name, data.root)
    if file.is_file():
        ways.append(Call("split_from_file", (str(file),)))
    if len(ways) != 1:
        what = "is more than one thing: " + some(ways) if ways else "is no folder in the data, no file and no column"
        if not ways and (data.root / name).is_dir():
            raise DataError(
                f"valid={name!r} is an empty folder.", "a folder in the data with items in it.",
                "put items into it, or pass valid=0.2.",
            )  # fmt: skip
        raise DataError(
            f"valid={name!r} {what}.", "a folder in the data, a file that names items, a column, or a fraction.",
            "rename one of them." if ways else "check the name, or pass valid=0.2.",
        )  # fmt: skip
    return ways[0]


def test_set_call(data: Listing, options: FineTuneOptions, kind: str) -> Call | None:
    """Return the call that adds the test set that the user names."""
    if options.test is None:
        return None
    path = existing_path(options.test, data.root)
    if not path.exists():
        raise DataError(f"No such file or folder: {path}.", "a test set.", "check test=.")
    parquet = path.suffix.lower() in PARQUET or (path.is_dir() and any(path.glob("*.parquet")))
    if path.is_file() and kind == "ImageList" and not parquet:
        table = read_table(path, replace(options, separator=None, encoding=None))
        return Call("add_test", (images_to_test(table, data)[0],))
    maker = "from_parquet" if parquet else "from_folder" if path.is_dir() else "from_csv"
    return Call("add_test", (Call(f"{kind}.{maker}", (str(path),)),))


def images_to_test(table: LabelTable, data: Listing) -> tuple[Call, list[str | None]]:
    """Return the call that finds the images which a table of test items names, also those in folders for testing, and
    their paths.
    """
    index = ImageIndex(data.images)
    column = image_column(table, index, None).name
    names = [str(value or "") for value in table.table[column].to_pylist()]
    place = find_place(names, images_for(table, names, data.images, "test"), str(table.path))
    call: dict[str, Any] = {"folder": str(data.root / place.folder)}
    call |= {"column": column} if column != table.table.column_names[0] else {}
    call |= {"search": True} if not place.literal else {"suffix": place.suffix} if place.suffix else {}
    return Call(f"ImageList.{table.maker}", (str(table.path),), call | table.format.options), place.paths
