"""Where are the images? And what the rest of the library needs to know of them, in one object."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from onecycle.data.items import ITEM, ItemList, Part, Skipped, as_table, missing_column, read_csv
from onecycle.data.label import LabelledList, Labeller, SplitList
from onecycle.data.modality import Batch, Description, Sample
from onecycle.data.target import Target
from onecycle.errors import DataError, some, suggest
from onecycle.vision import augment as augments
from onecycle.vision.augment import Augment
from onecycle.vision.decode import Pixels, Resize, decode, is_image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Images:
    """How images are read, stacked, augmented and shown.

    Attributes:
        size: (height, width) that the model gets.
        method: How other aspect ratios are made to fit: "crop", "squish" or "pad".
        augment: Random changes while training.
    """

    size: tuple[int, int] = (224, 224)
    method: Resize = "crop"
    augment: Augment = field(default_factory=Augment)

    def _reading_size(self, *, training: bool) -> tuple[int, int]:
        """Training reads a little more than it needs ("presizing"), so that turning finds real pixels at the edges."""
        margin = self.augment.margin if training else 1.0
        return round(self.size[0] * margin), round(self.size[1] * margin)

    def sample(self, item: Any, label: Any, target: Target, index: int, *, training: bool) -> Sample:
        """Decode one image to uint8, (height, width, 3)."""
        pixels = decode(item, self._reading_size(training=training), self.method)
        return Sample(pixels, None if label is None else target.encode(label), index)

    def stack(self, inputs: Sequence[Pixels]) -> Tensor:
        """Return uint8, (batch, height, width, 3)."""
        return torch.from_numpy(np.stack(inputs))

    def prepare(self, batch: Batch, target: Target, generator: torch.Generator | None) -> Batch:
        """Augment; gives (batch, 3, height, width), channels last in memory, uint8 as read or float from 0 to 255."""
        images = batch.inputs.permute(0, 3, 1, 2)
        if generator is not None and (self.augment.augmentations or images.shape[-2:] != self.size):
            images = self.augment.apply(images, self.size, generator)
        return replace(batch, inputs=images.contiguous(memory_format=torch.channels_last))

    def item_shape(self, *, training: bool) -> tuple[int, ...]:
        """(height, width, 3)."""
        return (*self._reading_size(training=training), 3)

    def resize(self, size: int | tuple[int, int]) -> Self:
        """Return the same with another size."""
        return replace(self, size=_pair(size))

    def show(self, axes: Any, input: Tensor) -> None:
        """Draw one image, (3, height, width), from 0 to 255."""
        axes.imshow(input.permute(1, 2, 0).clamp(0, 255).to(torch.uint8).cpu().numpy())

    def describe(self) -> Description:
        """The steps from file to model."""
        height, width = self._reading_size(training=True)
        return Description(
            f"decode at the smallest scale that covers {height}x{width} pixels, turn as EXIF says, {self.method}",
            f"augment: {self.augment}",
            f"{self.size[0]}x{self.size[1]} pixels",
        )

    def to_config(self) -> dict[str, Any]:
        """Size and method; augmentation is no part of prediction."""
        return {"kind": "images", "size": list(self.size), "method": self.method}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Images:
        """Return the modality that `to_config` described."""
        return cls((int(config["size"][0]), int(config["size"][1])), config["method"])


@dataclass(frozen=True, repr=False)
class LabelledImages(LabelledList):
    """Images, split and labelled."""

    def transform(
        self, size: int | tuple[int, int] = 224, *, resize: Resize = "crop", augment: Augment | None = None
    ) -> LabelledImages:
        """Say which size the model gets, how to get there, and how training images are varied.

        Args:
            size: In pixels, one number for a square or (height, width).
            resize: "crop" cuts the middle out, "squish" changes the aspect ratio, "pad" adds black borders.
            augment: A preset such as `augment.satellite()`, or your own `Augment((HorizontalFlip(), Rotate(20)))`;
                None takes `augment.default()`.
        """
        if resize not in ("crop", "squish", "pad"):
            raise DataError(
                f"resize={resize!r}.",
                '"crop", "squish" or "pad".',
                f"pass one of them.{suggest(str(resize), ['crop', 'squish', 'pad'])}",
            )
        return replace(self, modality=Images(_pair(size), resize, augments.default() if augment is None else augment))


@dataclass(frozen=True, repr=False)
class SplitImages(SplitList[LabelledImages]):
    """Images, split."""

    def _labelled(
        self, train: Part, valid: Part, test: Part | None, target: Target, labeller: Labeller
    ) -> LabelledImages:
        return LabelledImages(train, valid, test, target, self.modality, labeller)


@dataclass(frozen=True, repr=False)
class ImageList(ItemList[SplitImages]):
    """Images, found."""

    def _split(self, train: Part, valid: Part, test: Part | None) -> SplitImages:
        return SplitImages(train, valid, test, self.modality)

    @classmethod
    def from_folder(cls, folder: str | Path) -> ImageList:
        """Find all images below a folder, by what is in the files, not by their names.

        Hidden files, empty files and files that only pretend to be images are left out and listed in `skipped`.

        Raises:
            DataError: There is no such folder, or no image in it.
        """
        root = Path(folder)
        if not root.is_dir():
            what = f"{root} is a file." if root.exists() else f"No such folder: {root}."
            raise DataError(what, "a folder with images in it.", "check the path.")
        skipped: list[Skipped] = []
        names = list(_image_names(root, skipped))
        if not names:
            kinds = sorted({Path(entry.path).suffix or "no suffix" for entry in skipped})
            raise DataError(
                f"No images in {root}: " + (f"found {some(kinds)}." if kinds else "the folder is empty."),
                "at least one JPEG, PNG, GIF, BMP, TIFF or WebP file in it or its folders.",
                "check the path.",
            )
        table = pa.table({ITEM: pa.array(sorted(names), pa.string())})
        return cls(Part(table, root), Images(), tuple(skipped))

    @classmethod
    def from_paths(cls, paths: Sequence[str | PurePath]) -> ImageList:
        """Take these files."""
        if not paths or isinstance(paths, str):
            raise DataError(f"paths={paths!r}.", "a list of at least one path.", "pass [path], or use from_folder().")
        return cls(Part(pa.table({ITEM: pa.array([str(path) for path in paths])}), Path()), Images())

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        folder: str | Path | None = None,
        column: str | None = None,
        suffix: str = "",
        separator: str = ",",
        missing: str = "raise",
    ) -> ImageList:
        """Take the images that a CSV names; all its columns stay at hand for splitting and labelling.

        Args:
            path: The CSV, with a header line.
            folder: Where the images are; None takes the CSV's own folder.
            column: Which column names the images; None takes the first.
            suffix: Added to each name, such as ".jpg".
            separator: What separates the CSV's fields.
            missing: "raise" refuses rows whose image is not there, "drop" leaves them out and lists them in `skipped`.
        Raises:
            DataError: A column or image is missing, or an image is named twice with different values.
        """
        root = Path(path).parent if folder is None else Path(folder)
        return cls.from_table(
            read_csv(path, separator=separator), folder=root, column=column, suffix=suffix, missing=missing
        )

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        folder: str | Path = ".",
        column: str | None = None,
        suffix: str = "",
        missing: str = "raise",
    ) -> ImageList:
        """Take the images that a table names: pandas, polars, Arrow, anything that exports the Arrow C stream.

        The arguments are those of `from_csv`.
        """
        if missing not in ("raise", "drop"):
            raise DataError(f"missing={missing!r}.", '"raise" or "drop".', "pass one of them.")
        rows, root = as_table(table), Path(folder)
        column = next(iter(rows.column_names), "") if column is None else column
        if column not in rows.column_names:
            raise missing_column(column, rows.column_names)
        rows, skipped = _without_repeats(rows, column)
        if not rows.num_rows:
            raise DataError("The table has no rows.", "a row an image.", "check the file, or what filtered its rows.")
        names = [f"{name}{suffix}" for name in rows[column].to_pylist()]
        there = _existing(root, names)
        absent = [name for name, found in zip(names, there, strict=True) if not found]
        if (absent and missing == "raise") or len(absent) == len(names):
            near = [f"{absent[0]}{end}" for end in sorted(IMAGE_SUFFIXES) if (root / f"{absent[0]}{end}").is_file()]
            raise DataError(
                f"{len(absent):,} of {len(names):,} images are not in {root}: {some(absent)}.",
                f"a file for every row, named by column {column!r}.",
                f"pass suffix={Path(near[0]).suffix!r}."
                if near and not suffix
                else "check folder= and suffix=, or pass missing='drop' to leave those rows out.",
            )
        skipped += [Skipped(name, "missing") for name in absent]
        rows = rows.append_column(ITEM, pa.array(names, pa.string())).filter(pa.array(there))
        return cls(Part(rows, root), Images(), tuple(skipped))


def _image_names(root: Path, skipped: list[Skipped]) -> Iterator[str]:
    """Yield the images below `root`, relative, with forward slashes; linked folders are followed, loops are not."""
    pending, visited = [""], {os.path.realpath(root)}
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
                skipped.append(Skipped(name, "hidden"))
            elif not _is_text(name):
                skipped.append(Skipped(ascii(name), "names that are not UTF-8"))
            elif entry.is_dir():
                real = os.path.realpath(entry.path)
                if real not in visited:
                    visited.add(real)
                    pending.append(name)
            elif not entry.is_file():
                skipped.append(Skipped(name, "unreadable"))  # a broken link, or a pipe that would block
            elif (reason := _not_an_image(entry.path)) is None:
                yield name
            else:
                skipped.append(Skipped(name, reason))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_an_image(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:
        return "unreadable"
    if is_image(head):
        return None
    if os.path.splitext(path)[1].lower() not in IMAGE_SUFFIXES:
        return "other files"
    return "images broken at their start" if head else "empty images"


def _without_repeats(rows: pa.Table, column: str) -> tuple[pa.Table, list[Skipped]]:
    """Drop rows that repeat another exactly; refuse those that name the same image with other values."""
    names = rows[column].to_pylist()
    if len(set(names)) == len(names):
        return rows, []
    first: dict[str, dict[str, Any]] = {}
    keep: list[bool] = []
    conflicts: list[str] = []
    for name, row in zip(names, rows.to_pylist(), strict=True):
        keep.append(name not in first)
        if first.setdefault(name, row) != row:
            conflicts.append(name)
    if conflicts:
        raise DataError(
            f"{len(conflicts):,} images are named twice, with different values: {some(dict.fromkeys(conflicts))}.",
            "one row an image.",
            "decide which row holds, and remove the other.",
        )
    repeated = [Skipped(name, "repeated rows") for name, kept in zip(names, keep, strict=True) if not kept]
    return rows.filter(pa.array(keep)), repeated


def _existing(root: Path, names: list[str]) -> list[bool]:
    """Tell which files are there, listing each folder once and not asking for each file."""
    listed: dict[str, frozenset[str]] = {}
    found = []
    for name in names:
        folder, _, file = str(name).rpartition("/")
        if folder not in listed:
            path = root / folder
            listed[folder] = frozenset(os.listdir(path)) if path.is_dir() else frozenset()
        found.append(file in listed[folder])
    return found


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise DataError(f"size={size!r}.", "pixels, one number or (height, width).", "pass size=128.")
    return height, width
