"""Looks at the user's files and chooses the calls that find the inputs, split them and label them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from onecycle.data.tables import read_csv
from onecycle.errors import DataError
from onecycle.recipes.label_tables import image_table, label_column, tag_delimiter
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Call, Function
from onecycle.vision.decode import original_size
from onecycle.vision.image_files import IMAGE_SUFFIXES

_SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val"),
    "test": ("test", "testing"),
}
# Folders of masks beside the images, and the classes that usually do not count.
_MASK_FOLDERS = ("labels", "masks", "annotations", "SegmentationClass")
_VOID = ("void", "unlabelled", "unlabeled", "ignore", "background (ignored)")


@dataclass(frozen=True)
class Layout:
    """How the user's data is read.

    Attributes:
        task: The kind of labels, never "auto".
        items: The call that finds the inputs.
        split: The call that splits them.
        label: The call that labels them.
        has_tags: Whether an item has several labels.
    """

    task: str
    items: Call
    split: Call
    label: Call
    has_tags: bool = False


def find_layout(data: Path, options: FineTuneOptions) -> Layout:
    """Look at the data and return how it is read.

    Raises:
        DataError: The files for the task are missing, or the labels are not found.
    """
    task: str = options.task
    if task == "auto" and (options.masks is not None or options.codes is not None):
        task = "segment"
    if task in _BUILDERS:
        return _BUILDERS[task](data, options)
    if options.labels is None:
        if task == "tag":
            raise _no_labels("tags")
        return class_folders(data, options)
    return class_table(data, Path(options.labels), options)


def class_folders(data: Path, options: FineTuneOptions) -> Layout:
    """Return the layout of images in a folder per class."""
    split = _split(_split_folders(data), options, stratify="folder")
    return Layout("classify", Call("ImageList.from_folder", (str(data),)), split, Call("label_from_folder"))


def class_table(data: Path, labels: Path, options: FineTuneOptions) -> Layout:
    """Return the layout of images with classes or tags in a CSV file."""
    column = label_column(labels, _first(_columns(options)))
    delimiter = options.delimiter or (None if options.task == "classify" else tag_delimiter(labels, column))
    tags = options.task == "tag" or (options.task == "auto" and delimiter is not None)
    return Layout(
        "tag" if tags else "classify",
        image_table(data, labels, options.missing),
        _split({}, options, stratify=None if tags else column),
        Call("label_from_column", (column,), {"delimiter": delimiter or " ", "classes": "all"} if tags else {}),
        has_tags=tags,
    )


def masks(data: Path, options: FineTuneOptions) -> Layout:
    """Return the layout of images with masks, as CamVid and similar data is published."""
    if not data.is_dir():
        raise DataError(f"No such folder: {data}.", "the folder with images and masks.", "check the path.")
    codes, folders = Path(options.codes or data / "codes.txt"), _split_folders(data)
    ignore = options.ignore or next((name for name in _class_names(codes) if name.lower() in _VOID), None)
    if folders:
        items = Call("ImageList.from_folder", (str(data),), {"include": sorted(set(folders.values()))})
    else:
        images = data / "images"
        items = Call("ImageList.from_folder", (str(images if images.is_dir() else data),))
    label = {"classes": str(codes), **({"ignore": ignore} if ignore else {})}
    return Layout(
        "segment", items, _mask_split(data, folders, options),
        Call("label_masks", (_mask_path(data, options.masks, folders),), label),
    )  # fmt: skip


def points(data: Path, options: FineTuneOptions) -> Layout:
    """Return the layout of images with points: a CSV file of x, y, x, y, ..., or the BIWI head pose database."""
    if options.labels is None:
        return _biwi(data, options)
    columns = _columns(options)
    return Layout(
        "points", image_table(data, Path(options.labels), options.missing), _split({}, options),
        Call("label_points", ("all" if columns is None else columns,)),
    )  # fmt: skip


def numbers(data: Path, options: FineTuneOptions) -> Layout:
    """Return the layout of images with numbers in a CSV file: all its columns but the first, unless some are named."""
    if options.labels is None:
        raise _no_labels("numbers")
    labels = Path(options.labels)
    columns = _columns(options) or read_csv(labels).column_names[1:]
    return Layout(
        "numbers", image_table(data, labels, options.missing), _split({}, options), Call("label_numbers", (columns,))
    )


def texts(data: Path, options: FineTuneOptions) -> Layout:
    """Return the layout of texts: a folder per class, or a CSV file whose column with the longest texts is read."""
    labels = data if data.is_file() else options.labels
    if labels is None:
        folders = _split_folders(data)
        items = Call(
            "TextList.from_folder", (str(data),), {"include": sorted(set(folders.values()))} if folders else {}
        )
        return Layout("text", items, _split(folders, options, stratify="folder"), Call("label_from_folder"))
    column = label_column(Path(labels), _first(_columns(options)))
    tags = {"delimiter": options.delimiter, "classes": "all"} if options.delimiter else {}
    return Layout(
        "text", Call("TextList.from_csv", (str(labels),)), _split({}, options, stratify=None if tags else column),
        Call("label_from_column", (column,), tags), has_tags=bool(tags),
    )  # fmt: skip


_BUILDERS: dict[str, Callable[[Path, FineTuneOptions], Layout]] = {
    "segment": masks, "points": points, "numbers": numbers, "text": texts, "sentiment": texts,
}  # fmt: skip


def proportional_size(data: Path, shorter: int = 180) -> tuple[int, int]:
    """Return (height, width) in pixels with the proportions of the first image, so that images are not distorted."""
    for path in sorted(data.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            height, width = original_size(path)
            scale = shorter / min(height, width)
            return max(round(height * scale / 4) * 4, 4), max(round(width * scale / 4) * 4, 4)
    raise DataError(f"No images in {data}.", "images in the folder or below it.", "check the path.")


def _biwi(data: Path, options: FineTuneOptions) -> Layout:
    people = sorted(path.parent.name for path in data.glob("*/rgb.cal"))
    if len(people) < 2:
        raise DataError(
            f"Where are the points of {data}?",
            "a CSV file of coordinates, or the folders of the BIWI database with rgb.cal in each.",
            "pass labels= (--labels).",
        )
    # A fifth of the people validate: images of one person look alike.
    chosen = sorted(random.Random(options.seed).sample(people, max(round(len(people) / 5), 1)))
    return Layout(
        "points", Call("ImageList.from_folder", (str(data),)), Call("split_by_folder", (), {"valid": chosen}),
        Call("label_points", (Function("biwi.head_centre"),)),
    )  # fmt: skip


def _class_names(codes: Path) -> list[str]:
    if not codes.is_file():
        raise DataError(
            f"No such file: {codes}.",
            "a text file with the class names, one per line, in the order of the values in the masks.",
            "pass codes= (--codes).",
        )
    return [line.strip() for line in codes.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _mask_path(data: Path, given: str | None, folders: dict[str, str]) -> str:
    if given is not None:
        return given if Path(given).is_absolute() or given.startswith(str(data)) else str(data / given)
    if folders and (data / f"{folders['train']}annot").is_dir():
        return str(data / "{folder}annot" / "{stem}.png")
    for name in _MASK_FOLDERS:
        if (data / name).is_dir():
            return str(data / name)
    raise DataError(
        f"Where are the masks of {data}?",
        f"a folder such as {', '.join(_MASK_FOLDERS)}, or trainannot beside train.",
        'pass masks= (--masks), such as "labels/{stem}_P.png".',
    )


def _mask_split(data: Path, folders: dict[str, str], options: FineTuneOptions) -> Call:
    listed = data / "valid.txt"
    if listed.is_file() and not folders and not options.group:
        return Call("split_from_file", (str(listed),))
    return _split(folders, options)


def _split_folders(data: Path) -> dict[str, str]:
    """Return the folders of the splits, `train/` and `valid/` under their usual names; empty where they are absent."""
    there = {entry.name for entry in data.iterdir() if entry.is_dir()} if data.is_dir() else set()
    found = {split: next((name for name in names if name in there), None) for split, names in _SPLIT_FOLDERS.items()}
    # Without a folder for validation, the test set validates.
    held = {"valid": found["valid"], "test": found["test"]} if found["valid"] else {"valid": found["test"]}
    if not found["train"] or not held["valid"]:
        return {}
    return {split: name for split, name in {"train": found["train"], **held}.items() if name}


def _split(folders: dict[str, str], options: FineTuneOptions, *, stratify: str | None = None) -> Call:
    """Return the call that splits by folders; at random without them, or whole groups where a pattern names them."""
    if options.group is not None:
        return Call("split_by_group", (), {"pattern": options.group, "valid": 0.2, "seed": options.seed})
    if folders:
        return Call("split_by_folder", (), dict(folders))
    return Call(
        "split_random", (), {"valid": 0.2, "seed": options.seed, **({"stratify": stratify} if stratify else {})}
    )


def _columns(options: FineTuneOptions) -> list[str] | None:
    if options.column is None:
        return None
    return [options.column] if isinstance(options.column, str) else list(options.column)


def _first(columns: Sequence[str] | None) -> str | None:
    return columns[0] if columns else None


def _no_labels(what: str) -> DataError:
    return DataError(
        f"For {what}, labels= is missing.", f"a CSV file of {what}.", "pass labels='labels.csv' (--labels labels.csv)."
    )
