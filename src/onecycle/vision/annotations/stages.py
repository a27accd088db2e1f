"""Images with annotations, and how they are split and labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.calls import explains_calls
from onecycle.data.items import ItemList
from onecycle.data.label import SplitList
from onecycle.data.labellers import Classes, Labeller, some_names
from onecycle.data.labels import Labels
from onecycle.data.rows import Rows
from onecycle.data.split import at_random
from onecycle.data.target import Target
from onecycle.errors import DataError, counted, some
from onecycle.losses import IGNORE_INDEX
from onecycle.vision.annotations.drawing import coco_masks, drawn_label
from onecycle.vision.annotations.found import (
    CHOICE,
    DRAWN,
    HEIGHT,
    MASK,
    POINTS,
    REGIONS,
    SPLIT,
    SPLITS,
    TAGS,
    VOID,
    WIDTH,
    Facts,
)
from onecycle.vision.annotations.sizes import Sizes, image_sizes, settle_annotations
from onecycle.vision.images import Images
from onecycle.vision.labelled_images import LabelledImages
from onecycle.vision.mask_files import read_mask_values
from onecycle.vision.mask_labels import ClassWeights, mask_target, weigh_classes
from onecycle.vision.masks import MAX_CLASSES, Mask
from onecycle.vision.orientation import settle_masks
from onecycle.vision.point_labels import check_points, labelled_items
from onecycle.vision.points import points_target
from onecycle.vision.read_options import Orientation, ReadOptions, read_options
from onecycle.vision.reading_notes import tell_how_images_are_read


@explains_calls
@dataclass(frozen=True, repr=False)
class SplitAnnotated(SplitList[LabelledImages]):
    """Images with annotations, split."""

    modality: Images
    facts: Facts

    def _labelled(
        self, train: Rows, valid: Rows, test: Rows | None, target: Target, labeller: Labeller
    ) -> LabelledImages:
        tell_how_images_are_read(train, self.modality.reading)
        return LabelledImages(train, valid, test, target, self.modality, labeller)

    def _settled(self) -> Self:
        """Return this with photos read as their annotations are: turned by their EXIF data, or as they are stored.

        Raises:
            DataError: Nothing shows it.
        """
        rows = (self.train, self.valid)
        reading = settle_annotations(
            self.modality.reading, self.facts.source, [name for one in rows for name in one.names()],
            [path for one in rows for path in one.located()], np.concatenate([_said_sizes(one) for one in rows]),
        )  # fmt: skip
        return self._read(reading)

    def _read(self, reading: ReadOptions) -> Self:
        return replace(self, modality=replace(self.modality, reading=reading))

    def label_tags(self, *, classes: Classes = None) -> LabelledImages:
        """Label with the classes of what is in each image, as tags.

        Args:
            classes: All classes in the order wanted; None takes those that occur, in the order of the file.
        """
        return self.label_from_column(TAGS, classes=self._occurring(TAGS) if classes is None else classes)

    def label_choice(self, *, classes: Classes = None) -> LabelledImages:
        """Label with the one class of each image, which was chosen for the image as a whole.

        Raises:
            DataError: The file has no such choices, or an image has several.
        """
        if CHOICE not in self.train.table.column_names:
            raise DataError(
                f"{self.facts.source} has no single choice for each image.", "one choice for each.",
                "use label_tags(), or name the control of the choices as choice=.",
            )  # fmt: skip
        return self.label_from_column(CHOICE, classes=classes)

    def label_masks(
        self,
        *,
        classes: Sequence[str] | None = None,
        background: str | None = "background",
        ignore: str | Sequence[str] = (),
        class_weights: ClassWeights = "balanced",
    ) -> LabelledImages:
        """Label with masks: drawn from polygons, runs and brush strokes when an image is read, or files of masks.

        Where regions overlap, the smaller lies above the larger. Crowd regions, and boxes without a polygon, are
        pixels that do not count.

        Args:
            classes: Names of the classes to be drawn; None takes those that have a region. For files of masks, the
                names of their values in order, where the files do not say them.
            background: What pixels without a region are called; None ignores them.
            ignore: Classes whose pixels do not count.
            class_weights: As for `ImageList`'s `label_masks`.
        Raises:
            DataError: There are no regions, a class is unknown, or an image has another size than its annotations.
        """
        ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        if MASK in self.train.table.column_names:
            return self._label_mask_files(classes, ignored, class_weights)
        coco_masks()  # that it is missing is told now, not when training reads the first image
        drawn = [name for name in self._occurring(DRAWN, tested=False) if name not in ignored]
        known = {*self.facts.classes, background}
        if unknown := [name for name in (*(classes or ()), *ignored) if name not in known]:
            raise DataError(
                f"{self.facts.source} has no class {some(map(repr, unknown))}.",
                f"some of: {some(self.facts.classes, 20)}.", "check classes= and ignore=.",
            )  # fmt: skip
        if not drawn:
            raise DataError(
                f"{self.facts.source} has no polygons or masks for the training images"
                f"{', boxes alone' if self.facts.mask_notes else ''}.",
                "polygons or masks.", "use label_tags(), which learns what is in an image.",
                shell_fix="pass --task tag, which learns what is in an image.",
            )  # fmt: skip
        names = [name for name in (classes or drawn) if name not in ignored and name != background]
        names = [*([background] if background is not None else []), *names]
        if not 2 <= len(names) <= MAX_CLASSES:
            raise DataError(
                f"{counted(len(names), 'class')} of pixels: {some(names)}.", f"2 to {MAX_CLASSES} of them.",
                'name more or fewer as classes=, or pass background="background".',
            )  # fmt: skip
        target = Mask(tuple(names), tuple(range(len(names))), ignored=(IGNORE_INDEX,))
        values = {name: number for number, name in enumerate(names)} | dict.fromkeys(ignored, IGNORE_INDEX)
        fill = IGNORE_INDEX if background is None else 0
        self._say(self.facts.mask_notes)
        split = self._settled()

        def labeller(rows: Rows) -> Labels:
            return _mask_labels(rows, split.facts, values, fill, split.modality.reading)

        train, valid = labeller(split.train), labeller(split.valid)
        return split._label(labeller, weigh_classes(target, train, valid, class_weights), train, valid)

    def _label_mask_files(
        self, classes: Sequence[str] | None, ignored: Sequence[str], class_weights: ClassWeights
    ) -> LabelledImages:
        names = classes or self.facts.mask_classes
        if not names:
            raise DataError(
                f"What are the classes of the masks in {self.facts.source}? The names of its objects are not Pascal "
                f"VOC's: {some(self.facts.classes, 6)}.",
                "the name of each value, or a labelmap.txt as CVAT writes it.",
                "pass classes=[...], in the order of the masks' values.",
                shell_fix="write a labelmap.txt with a line such as cat:128,0,0:: for each class.",
            )
        colours = None if classes else self.facts.mask_colours
        void: list[str | int] = [IGNORE_INDEX]
        if colours is not None:
            void = [name for name, colour in zip(names, colours, strict=True) if colour == VOID]
        target = mask_target(names, [*void, *ignored], colours)
        split = replace(self, train=self._with(self.train, MASK, "mask"), valid=self._with(self.valid, MASK, "mask"))

        def labeller(rows: Rows) -> list[str]:
            return [rows.locate(name) for name in rows.column(MASK).to_pylist()]

        train, valid = labeller(split.train), labeller(split.valid)
        target = weigh_classes(target, train, valid, class_weights)
        images = [*split.train.located(), *split.valid.located()]
        reading = settle_masks(
            self.modality.reading, images, [*train, *valid], lambda path: read_mask_values(path, colours)
        )
        return split._read(reading)._label(labeller, target, train, valid)

    def label_points(
        self, *, names: Sequence[str] | None = None, flip_pairs: Sequence[tuple[str, str]] | None = None
    ) -> LabelledImages:
        """Label with the points of the object in each image; where there are several, of the largest.

        Args:
            names: Names of the points to be learned; None takes all.
            flip_pairs: Points that swap places in a mirrored image; None takes those that the file names, and names
                that differ by left and right.
        Raises:
            DataError: There are no points, a name is unknown, or an image has another size than its annotations.
        """
        known = self.facts.points
        chosen = tuple(known if names is None else names)
        if unknown := [name for name in chosen if name not in known]:
            raise DataError(
                f"{self.facts.source} has no point {some(map(repr, unknown))}.", f"some of: {some(known, 20)}.",
                "check names=.",
            )  # fmt: skip
        places = [known.index(name) for name in chosen]
        train_rows, valid_rows = (self._with(rows, POINTS, "point") for rows in (self.train, self.valid))
        split = replace(self, train=train_rows, valid=valid_rows)._settled()
        reading = split.modality.reading
        self._say(self.facts.point_notes)
        pairs = flip_pairs
        if pairs is None:
            pairs = [pair for pair in self.facts.flip_pairs if set(pair) <= set(chosen)] or left_and_right(chosen)
            if pairs:
                print(f"Points that swap places when mirrored: {some((' and '.join(pair) for pair in pairs), 8)}.")

        def labeller(rows: Rows) -> list[list[list[float]]]:
            return _point_labels(rows, self.facts, places, reading)

        train, valid = labeller(split.train), labeller(split.valid)
        check_points([*labelled_items(split.train, train), *labelled_items(split.valid, valid)], reading)
        return split._label(labeller, points_target(chosen, pairs), train, valid)

    def _occurring(self, column: str, *, tested: bool = True) -> list[str]:
        """Return the classes that a column of lists holds, in the file's order; with the test set's or without."""
        held: set[str] = set()
        for rows in (self.train, self.valid, self.test if tested else None):
            if rows is not None:
                held |= set(Labels(rows.column(column)).counts())
        return [name for name in self.facts.classes if name in held]

    def _with(self, rows: Rows, column: str, what: str) -> Rows:
        """Return the rows that have something in a column, and say how many have not.

        Raises:
            DataError: None has.
        """
        there = rows.column(column).is_valid().to_numpy() if column in rows.table.column_names else np.empty(0, bool)
        if not there.any() and len(rows):
            raise DataError(
                f"No image of {self.facts.source} in one of the splits has a {what}.",
                f"{what}s for training and validation.",
                "use label_tags(), or split another way.",
                shell_fix="pass --task tag, or split another way with --valid.",
            )  # fmt: skip
        if missing := len(rows) - int(there.sum()):
            print(
                f"Left out: {counted(missing, 'image')} without a {what}: {some_names(rows, np.flatnonzero(~there))}."
            )
        return rows.take(np.flatnonzero(there))

    def _say(self, notes: Sequence[str]) -> None:
        for note in notes:
            print(f"{note}.")


@explains_calls
@dataclass(frozen=True, repr=False)
class AnnotatedImages(ItemList[SplitAnnotated]):
    """Images with annotations, not yet split, as `ImageList.from_coco` and the like return them."""

    modality: Images
    facts: Facts = field(default_factory=lambda: Facts(""))

    def _split(self, train: Rows, valid: Rows, test: Rows | None) -> SplitAnnotated:
        return SplitAnnotated(train, valid, test, self.modality, self.facts)

    def read_as(
        self,
        *,
        range: Sequence[float] | None = None,
        page: int | None = None,
        orientation: Orientation | None = None,
    ) -> Self:
        """Say how the files are read, as `ImageList.read_as` does.

        Args:
            range: The values that become black and white in images of more than 8 bits and of floats.
            page: The page of files that have several, from 0.
            orientation: "apply" turns photos as their EXIF data says, "ignore" reads them as they are stored. None
                goes by the width and height that the annotations say.
        """
        return replace(self, modality=replace(self.modality, reading=read_options(range, page, orientation)))

    def counts(self) -> dict[str, int]:
        """Return how many images have something for each kind of label.

        Returns:
            By "classify" (a single choice), "tag" (classes of what is in the image), "segment" (polygons, runs or a
            mask) and "points".
        """
        table = self.items.table

        def known(column: str) -> int:
            return table.num_rows - table[column].null_count if column in table.column_names else 0

        drawn, tags = (int((Labels(table[column]).lengths() > 0).sum()) for column in (DRAWN, TAGS))
        return {"classify": known(CHOICE), "tag": tags, "segment": max(drawn, known(MASK)), "points": known(POINTS)}

    @property
    def published_splits(self) -> tuple[str, ...]:
        """The splits that the files name."""
        if SPLIT not in self.items.table.column_names:
            return ()
        held = set(self.items.table[SPLIT].to_pylist())
        return tuple(name for name in SPLITS if name in held)

    def split_as_published(self, valid: float = 0.2, *, seed: int = 42) -> SplitAnnotated:
        """Split as the files say; images of no split are left out.

        Args:
            valid: Where the files hold back nothing for validation, this fraction of the training images is.
            seed: The same seed gives the same split.
        Raises:
            DataError: The files say nothing of splits, or name the same images for all of them.
        """
        if SPLIT not in self.items.table.column_names:
            raise DataError(
                f"{self.facts.source} has no splits. {' '.join(self.facts.split_notes)}".strip(),
                "training and validation images.", "use split_random(0.2).",
            )  # fmt: skip
        for note in self.facts.split_notes:
            print(f"{note}.")
        splits = np.array(self.items.column(SPLIT).to_pylist(), object)
        train, held, test = (np.flatnonzero(splits == name) for name in ("train", "valid", "test"))
        if left := int((splits == None).sum()):  # noqa: E711  an array is compared
            print(f"Left out: {counted(left, 'image')} of no split.")
        if not len(held):
            drawn = at_random(len(train), valid, seed)
            print(f"No image is named for validation: {valid:g} of the training images validate.")
            train, held = train[drawn.train], train[drawn.valid]
        rows = self.items
        return self._split(rows.take(train), rows.take(held), rows.take(test) if len(test) else None)

    def split_with(self, valid: Self) -> SplitAnnotated:
        """Train on all of these images, and validate on those of another list, of the same classes and points.

        Raises:
            DataError: The other list has classes or points that this one lacks.
        """
        return replace(super().split_with(valid), facts=self._joined(valid.facts))

    def __add__(self, other: Self) -> Self:
        return replace(super().__add__(other), facts=self._joined(other.facts))

    def _joined(self, other: Facts) -> Facts:
        new = [name for name in other.classes if name not in self.facts.classes]
        if new or other.points != self.facts.points or other.relative != self.facts.relative:
            raise DataError(
                f"{other.source} does not fit {self.facts.source}: "
                + (f"classes {some(new)} are new." if new else "other points, or coordinates of another kind."),
                "annotations of the same classes and points, in the same format.",
                "name the classes alike in both files.",
            )
        return replace(
            self.facts,
            mask_notes=(*self.facts.mask_notes, *other.mask_notes),
            point_notes=(*self.facts.point_notes, *other.point_notes),
        )


def _said_sizes(rows: Rows) -> NDArray[np.float64]:
    """Return the (height, width) that annotations say, (images, 2); NaN where they say nothing."""
    return np.stack([rows.column(name).to_numpy() for name in (HEIGHT, WIDTH)], axis=1).astype(np.float64)


def _sizes_of(rows: Rows, facts: Facts, reading: ReadOptions) -> Sizes:
    """Return the sizes of images, and check them against what the annotations say.

    Raises:
        DataError: They differ.
    """
    sizes, said = image_sizes(rows.located(), reading), _said_sizes(rows)
    differ = sizes.read & ~np.isnan(said).any(axis=1) & (said != sizes.pixels).any(axis=1)
    if differ.any():
        raise _wrong_sizes(rows, facts, sizes, said, differ)
    return sizes


def _wrong_sizes(
    rows: Rows, facts: Facts, sizes: Sizes, said: NDArray[np.float64], differ: NDArray[np.bool_]
) -> DataError:
    first = int(differ.argmax())
    height, width = sizes.pixels[first]
    what = (
        f"{int(differ.sum()):,} of {counted(len(rows), 'image', ('has', 'have'))} another size than "
        f"{facts.source} says: "
        f"{rows.names_at(np.array([first]))[0]} is {width}x{height}, not {said[first][1]:.0f}x{said[first][0]:.0f}."
    )
    return DataError(
        what, "the images that were annotated, in their size.",
        "put those images into the folder, or correct width and height together with the coordinates in the file.",
    )  # fmt: skip


def _mask_labels(rows: Rows, facts: Facts, values: dict[str, int], fill: int, reading: ReadOptions) -> Labels:
    """Return the label of each image's mask, which is drawn when the image is read.

    Raises:
        DataError: Nothing is annotated, as in a test set, or sizes differ.
    """
    _check_annotated(rows, facts)
    sizes = _sizes_of(rows, facts, reading)
    labels = []
    for size, tags, regions in zip(
        sizes.pixels.tolist(), rows.column(TAGS).to_pylist(), rows.column(REGIONS).to_pylist(), strict=True
    ):
        scale = (float(size[1]), float(size[0])) if facts.relative else (1.0, 1.0)
        drawn = {name: values[name] for name in tags if name in values}
        labels.append(drawn_label((size[0], size[1]), scale, drawn, fill, regions))
    return Labels(pa.chunked_array([pa.array(labels, pa.string())]))


def _check_annotated(rows: Rows, facts: Facts) -> None:
    if len(rows) and SPLIT in rows.table.column_names and set(rows.column(SPLIT).to_pylist()) == {"test"}:
        counts = Labels(rows.column(TAGS)).counts()
        if not counts and rows.column(POINTS).null_count == len(rows):
            raise DataError(
                f"The test images of {facts.source} have no annotations.", "annotations.", "only predict them."
            )


def _point_labels(rows: Rows, facts: Facts, places: Sequence[int], reading: ReadOptions) -> list[list[list[float]]]:
    _check_annotated(rows, facts)
    sizes = _sizes_of(rows, facts, reading)
    missing = [[float("nan")] * 2] * len(places)
    labels = []
    for size, points in zip(sizes.pixels.tolist(), rows.column(POINTS).to_pylist(), strict=True):
        chosen = missing if points is None else [points[place] for place in places]
        if facts.relative:  # 0 is the edge of the first pixel there, and its centre here
            chosen = [[x * size[1] - 0.5, y * size[0] - 0.5] for x, y in chosen]
        labels.append(chosen)
    return labels


def left_and_right(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names that differ by left and right alone.

    Example:
        >>> left_and_right(["nose", "left_eye", "right_eye", "Left ear", "Right ear"])
        [('left_eye', 'right_eye'), ('Left ear', 'Right ear')]
    """
    words = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
    others = ((name, name.replace(left, right)) for name in names for left, right in words if left in name)
    return [(name, other) for name, other in others if other in names]
