"""Where are the images? And what the rest of the library needs to know of them, in one object."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from onecycle.data.items import ITEM, ItemList, Part, Skipped, as_table, missing_column, read_csv, slices
from onecycle.data.label import LabelledList, Labeller, SplitList
from onecycle.data.modality import Batch, Description, Sample
from onecycle.data.target import Target
from onecycle.errors import DataError, some, suggest
from onecycle.vision import augment as augments
from onecycle.vision.augment import Augment
from onecycle.vision.decode import Frame, Pixels, Resize, decode_framed, is_image
from onecycle.vision.mask_files import Colour
from onecycle.vision.mask_labels import balanced_weights, look_at, mask_labeller, mask_target, weights_of
from onecycle.vision.point_labels import check_points, labelled, point_names, points_labeller
from onecycle.vision.points import points_target
from onecycle.vision.targets import SpatialTarget

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
        """Decode one image to uint8, (height, width, 3); its frame tells what it shows of the original."""
        pixels, shown = decode_framed(item, self._reading_size(training=training), self.method)
        frame = torch.tensor(shown, dtype=torch.float32)
        encoded = None if label is None else self.encode(label, target, frame, training=training)
        return Sample(pixels, encoded, index, frame)

    def encode(self, label: Any, target: Target, frame: Tensor | None, *, training: bool) -> Tensor:
        """Encode a label; one that lies in the image is cut and scaled as the image was."""
        if isinstance(target, SpatialTarget) and frame is not None:
            return target.place(label, Frame(*frame.tolist()), self._reading_size(training=training))
        return target.encode(label)

    def stack(self, inputs: Sequence[Pixels]) -> Tensor:
        """Return uint8, (batch, height, width, 3)."""
        return torch.from_numpy(np.stack(inputs))

    def prepare(self, batch: Batch, target: Target, generator: torch.Generator | None) -> Batch:
        """Augment; gives (batch, 3, height, width), channels last in memory, uint8 as read or float from 0 to 255."""
        images, targets = batch.inputs.permute(0, 3, 1, 2), batch.targets
        if generator is not None and (self.augment.augmentations or images.shape[-2:] != self.size):
            images, matrices = self.augment.apply(images, self.size, generator)
            if targets is not None and isinstance(target, SpatialTarget):
                targets = target.follow(targets, matrices, self.size)
        return replace(batch, inputs=images.contiguous(memory_format=torch.channels_last), targets=targets)

    def item_shape(self, *, training: bool) -> tuple[int, ...]:
        """(height, width, 3)."""
        return (*self._reading_size(training=training), 3)

    def lengths(self, part: Part) -> None:
        """All are of one size."""

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

    def steps(self, item: Any, input: Any) -> Sequence[str]:
        """`describe` says it all."""
        return ()

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
        self, size: int | tuple[int, int] = 224, *, resize: Resize | None = None, augment: Augment | None = None
    ) -> LabelledImages:
        """Say which size the model gets, how to get there, and how training images are varied.

        Args:
            size: In pixels, one number for a square or (height, width).
            resize: "crop" cuts the middle out, "squish" changes the aspect ratio, "pad" adds black borders; None takes
                "squish" for masks and points, so that nothing is cut away, else "crop".
            augment: A preset such as `augment.satellite()`, or your own `Augment((HorizontalFlip(), Rotate(20)))`;
                None takes `augment.default()`, which mirrors only where labels stay right.
        """
        spatial = isinstance(self.target, SpatialTarget)
        wrong_if_mirrored = self.target.check_mirroring() if isinstance(self.target, SpatialTarget) else None
        if augment is None:
            augment = augments.default(flip=wrong_if_mirrored is None)
        elif wrong_if_mirrored and augment.mirrors:
            warnings.warn(f"{augment}: {wrong_if_mirrored}. Leave mirroring out, or pass flip_pairs=.", stacklevel=2)
        if resize is None:
            resize = "squish" if spatial else "crop"
        if resize not in ("crop", "squish", "pad"):
            raise DataError(
                f"resize={resize!r}.",
                '"crop", "squish" or "pad".',
                f"pass one of them.{suggest(str(resize), ['crop', 'squish', 'pad'])}",
            )
        return replace(self, modality=Images(_pair(size), resize, augment))


@dataclass(frozen=True, repr=False)
class SplitImages(SplitList[LabelledImages]):
    """Images, split."""

    def _labelled(
        self, train: Part, valid: Part, test: Part | None, target: Target, labeller: Labeller
    ) -> LabelledImages:
        return LabelledImages(train, valid, test, target, self.modality, labeller)

    def label_masks(
        self,
        masks: str | Path | Callable[[Path], str | Path],
        *,
        classes: Sequence[str] | str | Path,
        ignore: str | int | Sequence[str | int] | None = None,
        colours: Sequence[Colour] | None = None,
        class_weights: Literal["balanced"] | Sequence[float] | None = "balanced",
    ) -> LabelledImages:
        """Label with masks: images of the same size whose values say which class each pixel is.

        Args:
            masks: A path in which `{stem}`, `{name}`, `{folder}` and `{parent}` stand for parts of the image's path,
                such as "camvid/labels/{stem}_P.png"; a folder of masks named after their images; or a function from
                the image's path to the mask's.
            classes: Names in the order of the masks' values, or a text file with a name a line (`codes.txt`).
            ignore: Classes by name, or values, whose pixels count neither in the loss nor in metrics, such as "Void".
            colours: (red, green, blue) of each class, where masks are colour-coded; None takes the values as they are.
            class_weights: "balanced" weighs classes by the inverse square root of their share of the pixels, counted in
                up to 200 training masks; None weighs them alike; or a weight a class.
        Raises:
            DataError: Masks are missing or compressed with loss, or hold values that are no class.
        """
        target = mask_target(classes, ignore, colours)
        labeller = mask_labeller(masks)
        train, valid = labeller(self.train), labeller(self.valid)
        counts = look_at(target, train)
        look_at(target, valid)
        if isinstance(class_weights, str) and class_weights == "balanced":
            target = replace(target, class_weights=balanced_weights(counts))
        elif class_weights is not None:
            target = replace(target, class_weights=weights_of(class_weights, target.classes))
        return self._label(labeller, target, train, valid)

    def label_points(
        self,
        points: Callable[[Path], Any] | Sequence[str] | Literal["all"],
        *,
        names: Sequence[str] | None = None,
        flip_pairs: Sequence[tuple[str, str]] = (),
    ) -> LabelledImages:
        """Label with points, in pixels of the original image; the middle of its first pixel is (0, 0).

        Points that are missing (an empty value, NaN) count neither in the loss nor in metrics. Points outside the image
        are kept, and counted in a warning.

        Args:
            points: A function from the image's path to a list of (x, y), or columns x, y, x, y, ...; "all" takes every
                column after the first.
            names: The points' names; None takes the columns', or numbers.
            flip_pairs: Names of points that change places in a mirrored image, such as [("left eye", "right eye")].
        Raises:
            DataError: A label is no list of points, or items have different numbers of them.
        """
        labeller = points_labeller(points, self.train)
        train, valid = labeller(self.train), labeller(self.valid)
        target = points_target(point_names(points, names, self.train, len(train[0])), flip_pairs)
        check_points(target, [*labelled(self.train, train), *labelled(self.valid, valid)])
        return self._label(labeller, target, train, valid)


@dataclass(frozen=True, repr=False)
class ImageList(ItemList[SplitImages]):
    """Images, found."""

    def _split(self, train: Part, valid: Part, test: Part | None) -> SplitImages:
        return SplitImages(train, valid, test, self.modality)

    @classmethod
    def from_folder(cls, folder: str | Path, *, include: Sequence[str] | None = None) -> ImageList:
        """Find all images below a folder, by what is in the files, not by their names.

        Hidden files, empty files and files that only pretend to be images are left out and listed in `skipped`.

        Args:
            folder: The folder.
            include: Names of the folders right below it to look in; None looks everywhere.
        Raises:
            DataError: There is no such folder, or no image in it.
        """
        root = Path(folder)
        if not root.is_dir():
            what = f"{root} is a file." if root.exists() else f"No such folder: {root}."
            raise DataError(what, "a folder with images in it.", "check the path.")
        absent = [name for name in include or () if not (root / name).is_dir()]
        if absent:
            there = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
            raise DataError(
                f"include= names folders that are not in {root}: {some(absent)}.",
                f"one of: {some(there, 12) or 'there are none'}.",
                "check include=." + suggest(absent[0], there),
            )
        skipped: list[Skipped] = []
        names = list(_image_names(root, skipped, [""] if include is None else list(dict.fromkeys(include))))
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
        if not rows.num_rows:
            raise DataError("The table has no rows.", "a row an image.", "check the file, or what filtered its rows.")
        rows, skipped = _without_repeats(rows.append_column(ITEM, _names(rows[column], suffix)), column)
        there = _existing(root, rows[ITEM])
        if there.all():
            return cls(Part(rows, root), Images(), tuple(skipped))
        absent = rows[ITEM].filter(pa.array(~there)).to_pylist()
        if missing == "raise" or not there.any():
            near = [f"{absent[0]}{end}" for end in sorted(IMAGE_SUFFIXES) if (root / f"{absent[0]}{end}").is_file()]
            raise DataError(
                f"{len(absent):,} of {len(there):,} images are not in {root}: {some(absent)}.",
                f"a file for every row, named by column {column!r}.",
                f"pass suffix={Path(near[0]).suffix!r}."
                if near and not suffix
                else "check folder= and suffix=, or pass missing='drop' to leave those rows out.",
            )
        skipped += [Skipped(name, "missing") for name in absent]
        return cls(Part(rows.filter(pa.array(there)), root), Images(), tuple(skipped))


def _image_names(root: Path, skipped: list[Skipped], pending: list[str]) -> Iterator[str]:
    """Yield the images in and below the folders `pending`, relative to `root`, with forward slashes.

    Linked folders are followed, loops are not.
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


def _names(column: pa.ChunkedArray, suffix: str) -> pa.ChunkedArray:
    """Return the items' names; texts that need no suffix are not copied."""
    if column.type == pa.string() and not suffix and not column.null_count:
        return column
    named = [pa.array([f"{name}{suffix}" for name in names], pa.string()) for names in slices(column)]
    return pa.chunked_array(named, pa.string())


def _without_repeats(rows: pa.Table, column: str) -> tuple[pa.Table, list[Skipped]]:
    """Drop rows that repeat another exactly; refuse those that name the same image with other values."""
    if all(len(set(names)) == len(names) for _, _, names in _by_folder(rows[ITEM])):
        return rows, []
    names = rows[column].to_pylist()
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


def _existing(root: Path, names: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Tell which files are there, listing each folder once and not asking for each file."""
    found = np.zeros(len(names), bool)
    for folder, rows, inside in _by_folder(names):
        path = root / folder
        listed = frozenset(os.listdir(path)) if path.is_dir() else frozenset()
        found[rows] = [name[len(folder) :] in listed for name in inside]
    return found


def _by_folder(names: pa.ChunkedArray) -> Iterator[tuple[str, NDArray[np.int64], list[str]]]:
    """Yield each folder, as its names begin, with their rows and the names: the Python objects of one at a time."""
    folders = pc.replace_substring_regex(names, "[^/]*$", "").dictionary_encode().combine_chunks()
    codes = folders.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    grouped, start = names.take(pa.array(order)), 0
    for folder, count in zip(folders.dictionary.to_pylist(), np.bincount(codes).tolist(), strict=True):
        yield folder, order[start : start + count], grouped.slice(start, count).to_pylist()
        start += count


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise DataError(f"size={size!r}.", "pixels, one number or (height, width).", "pass size=128.")
    return height, width
