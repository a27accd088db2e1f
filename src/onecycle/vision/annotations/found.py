"""What the readers of annotation files find, and how it becomes rows of images."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.data.rows import ITEM, Rows
from onecycle.data.skipped import Skipped
from onecycle.errors import DataError, counted, some
from onecycle.vision.annotations.locate import Finder

SPLITS = ("train", "valid", "test")
# Columns of an annotated list, besides the item.
SPLIT, TAGS, CHOICE, DRAWN, REGIONS, POINTS, MASK, HEIGHT, WIDTH = (
    "split", "tags", "choice", "drawn", "regions", "points", "mask", "height", "width",
)  # fmt: skip
_TYPES = {
    SPLIT: pa.string(), TAGS: pa.list_(pa.string()), CHOICE: pa.string(), DRAWN: pa.list_(pa.string()),
    REGIONS: pa.string(), POINTS: pa.list_(pa.list_(pa.float32())), MASK: pa.string(),
    HEIGHT: pa.int32(), WIDTH: pa.int32(),
}  # fmt: skip

VOID = (224, 224, 192)  # the colour of value 255 in Pascal VOC's masks, which is ignored

VOID = (224, 224, 192)  # the colour of value 255 in Pascal VOC's masks, which is ignored

FARTHEST = 1e9  # pixels from the image; NaN is no number below it either
NOT_LISTED = "annotations of images that are not listed"
NOT_IN_FOLDER = "images that the annotations name and the folder lacks"
NOT_NAMED = "images that the annotations do not name"
NOT_ANNOTATED = "images without annotation (empty='keep' takes them for images with nothing in them)"
DEGENERATE = "polygons of fewer than three points, or damaged"
BOXES = "boxes without a polygon, whose pixels are ignored"
CROWDS = "crowd regions, whose pixels are ignored"
OUTSIDE = "polygons that reach outside their image, where they are cut off"
SHAPELESS = "annotations without a polygon, mask or box, which are not drawn"
TWO_SPLITS = "images are in two splits, and only used in the one that is held back"
SAME_SPLITS = "images are named for training and for validation alike, so that these splits are not used"
SEVERAL = "images with points of several objects, of which the largest, or else the first, is used"


@dataclass
class FoundImage:
    """An image of an annotation file, and all that the file says of it.

    Attributes:
        names: What it may be called below the folder of images, the likeliest first.
        size: (height, width) by the file.
        split: "train", "valid", "test" or None.
        tags: Classes of what is in the image.
        choice: The one class of the image as a whole, where the file has such.
        regions: Polygons and masks, see `onecycle.vision.annotations.drawing`.
        objects: Points of each object by name, with the object's area.
        mask: A file with a class for every pixel.
        annotated: Whether the file says anything of it, if only that nothing is in it.
    """

    names: tuple[str, ...]
    size: tuple[int, int] | None = None
    split: str | None = None
    tags: list[str] = field(default_factory=list)
    choice: str | None = None
    regions: list[dict[str, Any]] = field(default_factory=list)
    objects: list[tuple[float, dict[str, tuple[float, float]]]] = field(default_factory=list)
    mask: str | None = None
    annotated: bool = False

    @property
    def drawn(self) -> list[str]:
        """The classes with a region that counts."""
        return list(dict.fromkeys(region["class"] for region in self.regions if not region.get("ignored")))

    def add_tag(self, name: str) -> None:
        self.annotated = True
        if name not in self.tags:
            self.tags.append(name)


@dataclass(frozen=True)
class Facts:
    """What holds for all images of an annotation file.

    Attributes:
        source: The file or folder.
        classes: Names in the file's order.
        points: Names of the points of an object.
        flip_pairs: Points that swap places in a mirrored image.
        relative: Whether coordinates are fractions of the image's size.
        mask_classes: Names of the values of mask files, if there are such files.
        mask_colours: Their colours, where the files are colour-coded.
        mask_notes: What is said when masks are used.
        point_notes: What is said when points are used.
        split_notes: What is said of the splits that the files name.
        image_sets: Lists of splits that could be taken instead, in Pascal VOC.
        controls: Those of Label Studio whose choices are read.
    """

    source: str
    classes: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[str, str], ...] = ()
    relative: bool = False
    mask_classes: tuple[str, ...] = ()
    mask_colours: tuple[tuple[int, int, int], ...] | None = None
    mask_notes: tuple[str, ...] = ()
    point_notes: tuple[str, ...] = ()
    split_notes: tuple[str, ...] = ()
    image_sets: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()


class Found:
    """Collects images and what is left out, while annotation files are read.

    Args:
        source: The file or folder that is read.
        empty: "drop" leaves images out of which nothing is said, "keep" takes them for images with nothing in them.
    """

    def __init__(self, source: str | Path, empty: str = "drop") -> None:
        if empty not in ("drop", "keep"):
            raise DataError(f"empty={empty!r}.", '"drop" or "keep".', "pass one of them.")
        self.source, self.empty = str(source), empty
        self.images: list[FoundImage] = []
        self.classes: dict[str, None] = {}
        self.points: dict[str, None] = {}
        self.skipped: list[Skipped] = []
        self._notes: dict[str, list[str]] = {}

    def leave_out(self, name: str, reason: str) -> None:
        self.skipped.append(Skipped(name, reason))

    def note(self, reason: str, name: str) -> None:
        self._notes.setdefault(reason, []).append(name)

    def add_polygons(
        self, image: FoundImage, name: str, polygons: Iterable[Sequence[float]], *, ignored: bool = False,
        layer: int = 0, edge: tuple[float, float] | None = None,
    ) -> bool:  # fmt: skip
        """Add a region of one polygon or several, without degenerate ones; return whether any is left.

        Args:
            image: Where it is.
            name: Its class.
            polygons: x, y, x, y, ... of each.
            ignored: Its pixels do not count.
            layer: Regions of higher layers lie above others.
            edge: Largest x and y inside the image; None takes the image's size.
        """
        given = list(polygons)
        whole = [corners for polygon in given if (corners := _corners(polygon)) is not None]
        for _ in range(len(given) - len(whole)):
            self.note(DEGENERATE, image.names[0])
        if not whole:
            return False
        width, height = edge or (image.size[::-1] if image.size else (math.inf, math.inf))
        slack = max(width, height) / 100 if math.isfinite(width) else 0.0
        if any(one.min() < -slack or (one.max(axis=0) > (width + slack, height + slack)).any() for one in whole):
            self.note(OUTSIDE, image.names[0])
        region: dict[str, Any] = {"class": name, "polygons": [corners.ravel().tolist() for corners in whole]}
        image.regions.append(region | ({"ignored": True} if ignored else {}) | ({"layer": layer} if layer else {}))
        return True

    def add_box(self, image: FoundImage, name: str, box: Sequence[float], *, why: str = BOXES) -> bool:
        """Add a box of (left, top, width, height), whose pixels are ignored in masks; return whether it is one."""
        if len(box) != 4 or not all(map(math.isfinite, box)) or box[2] <= 0 or box[3] <= 0:
            return False
        left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
        self.note(why, image.names[0])
        polygon = [left, top, right, top, right, bottom, left, bottom]
        image.regions.append({"class": name, "polygons": [polygon], "ignored": True, "box": True})
        return True

    def rows(self, folder: Path, finder: Finder | None = None) -> Rows:
        """Return a row for each image that is found in `folder`, and note what is left out.

        Raises:
            DataError: None of them is there, or a name could mean two of them.
        """
        if not self.images:
            raise DataError(
                f"{self.source} names no image.", "annotations of at least one image.", "check which file is read."
            )
        finder = finder or Finder(folder)
        found = self._in_folder(finder, folder)
        unlabelled = not any(image.annotated for image in found.values() if image.split == "test")
        kept: dict[str, FoundImage] = {}
        for path, image in found.items():
            if image.annotated or self.empty == "keep" or (image.split == "test" and unlabelled):
                kept[path] = image
            else:
                self.leave_out(path, NOT_ANNOTATED)
        if not kept:
            raise DataError(
                f"{self.source} names {counted(len(found), 'image')}, and annotates none of them.", "annotations.",
                "check which file is read.",
            )  # fmt: skip
        for path in finder.others(set(found)):
            self.leave_out(path, NOT_NAMED)
        self._check_split(kept)
        columns = {name: pa.array(values, _TYPES[name]) for name, values in self._columns(kept).items()}
        empty = [name for name in (SPLIT, CHOICE, MASK) if columns[name].null_count == len(kept)]
        for name in empty:
            del columns[name]
        return Rows(pa.table({ITEM: pa.array(list(kept), pa.string())} | columns), folder)

    def _in_folder(self, finder: Finder, folder: Path) -> dict[str, FoundImage]:
        found: dict[str, FoundImage] = {}
        for image in self.images:
            path = finder.find(image.names, image.split)
            if path is None:
                self.leave_out(image.names[0], NOT_IN_FOLDER)
            elif path not in found:
                found[path] = image
            elif found[path].split != image.split:
                self.note(TWO_SPLITS, path)
                found[path] = max(found[path], image, key=lambda one: SPLITS.index(one.split) if one.split else -1)
            else:
                _merge(found[path], image)
        if not found:
            names = some((image.names[0] for image in self.images), 3)
            raise DataError(
                f"None of the {len(self.images):,} images of {self.source} is in {folder}: {names}.",
                "the images in the folder or below it.",
                "pass folder=, where the images are.",
                shell_fix="put the images into the folder of the data, or check their names.",
            )
        return found

    def _check_split(self, images: dict[str, FoundImage]) -> None:
        """Forget splits that leave nothing to train on."""
        splits = {image.split for image in images.values()}
        if "train" in splits or splits == {None}:
            return
        if TWO_SPLITS in self._notes:
            self._notes = {SAME_SPLITS: self._notes.pop(TWO_SPLITS)} | self._notes
        for image in images.values():
            image.split = None

    def _columns(self, images: dict[str, FoundImage]) -> dict[str, list[Any]]:
        held = list(images.values())
        return {
            SPLIT: [one.split for one in held],
            TAGS: [one.tags for one in held],
            CHOICE: [one.choice for one in held],
            DRAWN: [one.drawn for one in held],
            REGIONS: [json.dumps(one.regions) for one in held],
            POINTS: [self._points_of(path, one) for path, one in images.items()],
            MASK: [one.mask for one in held],
            HEIGHT: [one.size[0] if one.size else None for one in held],
            WIDTH: [one.size[1] if one.size else None for one in held],
        }

    def _points_of(self, path: str, image: FoundImage) -> list[list[float]] | None:
        if not image.objects:
            return None
        if len(image.objects) > 1:
            self.note(SEVERAL, path)
        _, points = max(image.objects, key=lambda one: one[0])
        missing = (math.nan, math.nan)
        return [list(points.get(name, missing)) for name in self.points]

    def facts(self, **more: Any) -> Facts:
        """Return what holds for all images; call it after `rows`."""
        masks = (BOXES, CROWDS, DEGENERATE, OUTSIDE, SHAPELESS)
        return Facts(
            self.source, tuple(self.classes), tuple(self.points),
            mask_notes=tuple(self._lines(masks)), point_notes=tuple(self._lines([SEVERAL])),
            split_notes=tuple(self._lines([TWO_SPLITS, SAME_SPLITS])), **more,
        )  # fmt: skip

    def _lines(self, reasons: Iterable[str]) -> Iterator[str]:
        for reason in reasons:
            if names := self._notes.get(reason):
                yield f"{len(names):,} {reason}: {some(dict.fromkeys(names), 3)}"


def _corners(polygon: Sequence[float]) -> NDArray[np.float64] | None:
    """Return the corners of x, y, x, y, ..., (corners, 2); None of what is no polygon."""
    try:
        values = np.asarray(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if values.ndim != 1 or len(values) < 6 or len(values) % 2 or not (np.abs(values) < FARTHEST).all():
        return None
    corners: NDArray[np.float64] = values.reshape(-1, 2)
    # Three different ones nearly always are among the first few; of a million polygons, not all corners are looked at.
    different = any(len(set(map(tuple, some_corners.tolist()))) > 2 for some_corners in (corners[:4], corners))
    return corners if different else None


def _merge(first: FoundImage, second: FoundImage) -> None:
    """Add what a second entry of the same image says."""
    for tag in second.tags:
        first.add_tag(tag)
    first.regions += second.regions
    first.objects += second.objects
    first.annotated = first.annotated or second.annotated
    first.mask = first.mask or second.mask
