"""Looks at the user's files, and finds the calls that read them: where inputs are, how they are split and labelled."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from onecycle.data.items import read_csv
from onecycle.errors import DataError, some, suggest
from onecycle.recipes.sentence import Call, Function
from onecycle.vision.decode import original_size
from onecycle.vision.images import IMAGE_SUFFIXES

_SIDES = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val"),
    "test": ("test", "testing"),
}
_LABEL_COLUMNS = ("tags", "labels", "label", "class", "category", "target", "sentiment")
# Folders of masks beside the images, and what is usually not meant to be learnt.
_MASK_FOLDERS = ("labels", "masks", "annotations", "SegmentationClass")
_VOID = ("void", "unlabelled", "unlabeled", "ignore", "background (ignored)")


def by_folder(data: Path, seed: int, group: str | None = None) -> tuple[Call, ...]:
    """Return the calls for a folder per class."""
    return (
        Call("ImageList.from_folder", (str(data),)),
        _split(_sides(data), seed, stratify="folder", group=group),
        Call("label_from_folder"),
    )


def by_masks(
    data: Path, masks: str | None, codes: Path | None, ignore: str | None, seed: int, group: str | None = None
) -> tuple[Call, ...]:
    """Return the calls for images with masks, in the layouts that CamVid was published in, and their like."""
    if not data.is_dir():
        raise DataError(f"No such folder: {data}.", "the folder with images and masks.", "check the path.")
    codes = codes or data / "codes.txt"
    if not codes.is_file():
        raise DataError(
            f"No such file: {codes}.",
            "a text file with the classes' names, one a line, in the order of the masks' values.",
            "pass codes= (--codes).",
        )
    names = [line.strip() for line in codes.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    ignore = ignore or next((name for name in names if name.lower() in _VOID), None)
    sides, images = _sides(data), data / "images"
    if sides:
        found = Call("ImageList.from_folder", (str(data),), {"include": sorted(set(sides.values()))})
    else:
        found = Call("ImageList.from_folder", (str(images if images.is_dir() else data),))
    listed = data / "valid.txt"
    split = Call("split_from_file", (str(listed),)) if listed.is_file() and not sides and not group else None
    options: dict[str, Any] = {"classes": str(codes), **({"ignore": ignore} if ignore else {})}
    label = Call("label_masks", (_mask_path(data, masks, sides),), options)
    return found, split or _split(sides, seed, group=group), label


def _mask_path(data: Path, masks: str | None, sides: dict[str, str]) -> str:
    if masks is not None:
        return masks if Path(masks).is_absolute() or masks.startswith(str(data)) else str(data / masks)
    if sides and (data / f"{sides['train']}annot").is_dir():
        return f"{data}/{{folder}}annot/{{stem}}.png"
    for name in _MASK_FOLDERS:
        if (data / name).is_dir():
            return str(data / name)
    raise DataError(
        f"Where are the masks of {data}?",
        f"a folder such as {', '.join(_MASK_FOLDERS)}, or trainannot beside train.",
        'pass masks= (--masks), such as "labels/{stem}_P.png".',
    )


def by_points(
    data: Path, labels: Path, columns: Sequence[str] | None, seed: int, missing: str, group: str | None = None
) -> tuple[Call, ...]:
    """Return the calls for a table of coordinates: the image, then x, y, x, y, ..."""
    found = _from_csv(data, labels, missing)
    split = _split({}, seed, group=group)
    return found, split, Call("label_points", ("all" if columns is None else list(columns),))


def by_biwi(data: Path, seed: int) -> tuple[Call, ...]:
    """Return the calls for the BIWI head pose database: a folder a person, a fifth of whom is held back."""
    people = sorted(path.parent.name for path in data.glob("*/rgb.cal"))
    if len(people) < 2:
        raise DataError(
            f"Where are the points of {data}?",
            "a CSV of coordinates, or BIWI's folders with rgb.cal in each.",
            "pass labels= (--labels).",
        )
    held = sorted(random.Random(seed).sample(people, max(round(len(people) / 5), 1)))
    return (
        Call("ImageList.from_folder", (str(data),)),
        Call("split_by_folder", (), {"valid": held}),
        Call("label_points", (Function("biwi.head_centre"),)),
    )


def by_numbers(
    data: Path, labels: Path, columns: Sequence[str] | None, seed: int, missing: str, group: str | None = None
) -> tuple[Call, ...]:
    """Return the calls for a table of numbers, all its columns but the first unless some are named."""
    names = list(columns) if columns else read_csv(labels).column_names[1:]
    found = _from_csv(data, labels, missing)
    return found, _split({}, seed, group=group), Call("label_numbers", (names,))


def by_texts(
    data: Path, labels: Path | None, column: str | None, delimiter: str | None, seed: int, group: str | None = None
) -> tuple[Call, ...]:
    """Return the calls for texts: a folder per class, such as aclImdb, or a table whose longest column holds them."""
    if data.is_file():
        data, labels = data.parent, data
    if labels is None:
        sides = _sides(data)
        within = {"include": sorted(set(sides.values()))} if sides else {}
        split = _split(sides, seed, stratify="folder", group=group)
        return Call("TextList.from_folder", (str(data),), within), split, Call("label_from_folder")
    column = _label_column(read_csv(labels), labels, column)
    tags = {"delimiter": delimiter, "classes": "all"} if delimiter else {}
    return (
        Call("TextList.from_csv", (str(labels),)),
        _split({}, seed, stratify=None if tags else column, group=group),
        Call("label_from_column", (column,), tags),
    )


def rectangle(data: Path, shorter: int = 180) -> tuple[int, int]:
    """Return (height, width) in the proportions of the first image below a folder, so that nothing is distorted."""
    for path in sorted(data.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            height, width = original_size(path)
            scale = shorter / min(height, width)
            return max(round(height * scale / 4) * 4, 4), max(round(width * scale / 4) * 4, 4)
    raise DataError(f"No images in {data}.", "images in it or its folders.", "check the path.")


def _from_csv(data: Path, labels: Path, missing: str) -> Call:
    table = read_csv(labels)
    folder, suffix = _where(data, [str(name) for name in table[table.column_names[0]].to_pylist()])
    options = {"folder": str(folder), **({"suffix": suffix} if suffix else {})}
    return Call("ImageList.from_csv", (str(labels),), options | ({"missing": missing} if missing != "raise" else {}))


def _sides(data: Path) -> dict[str, str]:
    """Return the folders of the sides, `train/` and `valid/` under their usual names; empty where they are absent."""
    folders = {entry.name for entry in data.iterdir() if entry.is_dir()} if data.is_dir() else set()
    found = {side: next((name for name in names if name in folders), None) for side, names in _SIDES.items()}
    held = {"valid": found["valid"], "test": found["test"]} if found["valid"] else {"valid": found["test"]}
    if not found["train"] or not held["valid"]:
        return {}
    return {side: name for side, name in {"train": found["train"], **held}.items() if name}


def _split(sides: dict[str, str], seed: int, *, stratify: str | None = None, group: str | None = None) -> Call:
    """Split by the folders of the sides, else at random: whole groups where a pattern says which, else single items."""
    if sides and group is None:
        return Call("split_by_folder", (), dict(sides))
    if group is not None:
        return Call("split_by_group", (), {"pattern": group, "valid": 0.2, "seed": seed})
    return Call("split_random", (), {"valid": 0.2, "seed": seed, **({"stratify": stratify} if stratify else {})})


def by_table(
    data: Path,
    labels: Path,
    column: str | None,
    delimiter: str | None,
    task: str,
    seed: int,
    missing: str,
    group: str | None = None,
) -> tuple[tuple[Call, ...], bool]:
    """Return the calls for a table of labels, and whether they are tags."""
    table = read_csv(labels)
    column = _label_column(table, labels, column)
    values = [str(value or "") for value in table[column].to_pylist()]
    delimiter = delimiter or (None if task == "classify" else _likely_delimiter(values))
    tags = task == "tag" or (task == "auto" and delimiter is not None)
    label: dict[str, Any] = {"delimiter": delimiter or " ", "classes": "all"} if tags else {}
    calls = (
        _from_csv(data, labels, missing),
        _split({}, seed, stratify=None if tags else column, group=group),
        Call("label_from_column", (column,), label),
    )
    return calls, tags


def _label_column(table: pa.Table, labels: Path, column: str | None) -> str:
    """Return the column of labels: the one that is named, one that is called so, or the second of two."""
    names = table.column_names
    if column is None:
        column = next((name for name in _LABEL_COLUMNS if name in names), names[1] if len(names) == 2 else None)
    if column is None or column not in names:
        raise DataError(
            f"There is no column {column!r} in {labels}." if column else f"Which column of {labels} holds the labels?",
            f"one of: {some(names, 20)}.",
            "pass column= (--column)." + (suggest(column, names) if column else ""),
        )
    return column


def _likely_delimiter(values: list[str]) -> str | None:
    """Return what separates tags, if the values look like tags: pieces recur far more than whole values do."""
    for delimiter in (" ", ",", ";", "|"):
        several = [value for value in values if delimiter in value]
        if len(several) < max(len(values) / 20, 1):
            continue
        pieces = {piece for value in several for piece in re.split(re.escape(delimiter) + r"\s*", value) if piece}
        alone = sum(value in pieces for value in values if delimiter not in value)
        # "polar bear" is one label: its pieces never stand alone. Tags do, or come in ever new combinations.
        if alone >= len(values) / 20 or len(set(several)) > len(pieces):
            return delimiter
    return None


def _where(data: Path, names: list[str]) -> tuple[Path, str]:
    """Find the folder below `data` that holds the images that the CSV names, and the suffix it leaves out."""
    if not data.is_dir():
        raise DataError(f"No such folder: {data}.", "the folder with the images.", "check the path.")
    first = set(names[:2000])
    for name in names[:20]:
        if (data / name).is_file():
            return data, ""
    for path in data.rglob("*"):
        if path.suffix and (path.name in first or path.stem in first):
            return path.parent, "" if path.name in first else path.suffix
    raise DataError(
        f"None of the images that the CSV names is below {data}, such as {some(names, 3)}.",
        "images named by the CSV's first column, with or without suffix.",
        "pass the folder with the images.",
    )
