"""The first stages for images: where they are, and how they are split and labelled."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from onecycle.calls import explains_calls
from onecycle.data.candidates import Candidate, choose
from onecycle.data.corrections import Corrections
from onecycle.data.items import ItemList
from onecycle.data.label import SplitList
from onecycle.data.labellers import Labeller
from onecycle.data.remote import as_local, is_remote, parent_of
from onecycle.data.rows import ITEM, Rows
from onecycle.data.shards.source import OnBadShard
from onecycle.data.skipped import Skipped
from onecycle.data.table_format import find_format, is_index, no_header
from onecycle.data.tables import as_table, check_missing
from onecycle.data.target import Target
from onecycle.errors import DataError, some
from onecycle.vision.annotations.formats import AnnotationFormats
from onecycle.vision.image_files import (
    drop_repeated_rows,
    find_existing,
    find_images,
    is_below,
    is_inside,
    item_names,
    names_file,
)
from onecycle.vision.image_index import ImageIndex, image_names, match_images, missing_files
from onecycle.vision.image_tables import IMAGES
from onecycle.vision.images import Images
from onecycle.vision.labelled_images import LabelledImages
from onecycle.vision.mask_files import Colour, read_mask_values
from onecycle.vision.mask_labels import ClassWeights, mask_labeller, mask_target, weigh_classes
from onecycle.vision.orientation import settle_masks, settle_points
from onecycle.vision.point_labels import check_points, labelled_items, point_names, points_labeller
from onecycle.vision.points import points_target
from onecycle.vision.read_options import Orientation, ReadOptions, read_options
from onecycle.vision.reading_notes import tell_how_images_are_read

MOST_TRIED = 50  # columns of a table that are compared with the images


@explains_calls
@dataclass(frozen=True, repr=False)
class SplitImages(SplitList[LabelledImages]):
    """Images, split."""

    modality: Images

    def _labelled(
        self, train: Rows, valid: Rows, test: Rows | None, target: Target, labeller: Labeller
    ) -> LabelledImages:
        tell_how_images_are_read(train, self.modality.reading)
        return LabelledImages(train, valid, test, target, self.modality, labeller)

    def label_masks(
        self,
        masks: str | Path | Callable[[Path], str | Path],
        *,
        classes: Sequence[str] | str | Path,
        ignore: str | int | Sequence[str | int] | None = None,
        colours: Sequence[Colour] | None = None,
        values: Sequence[int] | None = None,
        class_weights: ClassWeights = "balanced",
    ) -> LabelledImages:
        """Label with masks: images of the same size whose values are the classes of the pixels.

        Args:
            masks: A path in which `{stem}`, `{name}`, `{folder}` and `{parent}` are replaced by parts of the image's
                path, such as "camvid/labels/{stem}_P.png"; a folder of masks named after their images; or a function
                from the image's path to the mask's path.
            classes: Names in the order of the masks' values, or a text file with one name a line (`codes.txt`).
            ignore: Classes, by name or value, whose pixels count neither in the loss nor in metrics, such as "Void".
            colours: (red, green, blue) of each class for colour-coded masks; None uses the values in the files.
            values: The value of each class in the files, such as [0, 255]; None counts from 0.
            class_weights: "balanced" weights classes by the inverse square root of their share of the pixels, counted
                in up to 200 training masks; None weights all classes equally; or one weight for each class.
        Raises:
            DataError: Masks are missing or lossily compressed, or contain values that are not classes; or the images
                are in shards.
        """
        _check_files(self.train, "label_masks")
        target = mask_target(classes, ignore, colours, values)
        labeller = mask_labeller(masks)
        train, valid = labeller(self.train), labeller(self.valid)
        target = weigh_classes(target, train, valid, class_weights)
        images = [*self.train.located(), *self.valid.located()]
        reading = settle_masks(
            self.modality.reading, images, [*train, *valid], lambda path: read_mask_values(path, colours)
        )
        return self._read(reading)._label(labeller, target, train, valid)

    def _read(self, reading: ReadOptions) -> SplitImages:
        return replace(self, modality=replace(self.modality, reading=reading))

    def label_points(
        self,
        points: Callable[[Path], Any] | Sequence[str] | Literal["all"],
        *,
        names: Sequence[str] | None = None,
        flip_pairs: Sequence[tuple[str, str]] = (),
    ) -> LabelledImages:
        """Label with points, in pixels of the original image; the centre of its first pixel is (0, 0).

        Missing points (an empty value, NaN) count neither in the loss nor in metrics. Points outside the image are
        kept, with a warning.

        Args:
            points: A function from the image's path to a list of (x, y), or columns x, y, x, y, ...; "all" uses every
                column after the first.
            names: The points' names; None uses the columns' names, or numbers.
            flip_pairs: Names of points that swap places in a mirrored image, such as [("left eye", "right eye")].
        Raises:
            DataError: A label is not a list of points, items have different numbers of points, or the images are in
                shards; of images in a table, columns can be points, and functions cannot.
        """
        if callable(points) or self.train.read_in_order is not None:
            _check_files(self.train, "label_points")
        labeller = points_labeller(points, self.train)
        train, valid = labeller(self.train), labeller(self.valid)
        target = points_target(point_names(points, names, self.train, len(train[0])), flip_pairs)
        items = [*labelled_items(self.train, train), *labelled_items(self.valid, valid)]
        reading = self.modality.reading
        if self.train.shards is None or self.train.shards.any_order:
            sources = [(item.name, item.read) for item in items]
            reading = settle_points(reading, sources, [item.points for item in items])
        check_points(items, reading)
        return self._read(reading)._label(labeller, target, train, valid)


def _check_files(rows: Rows, method: str) -> None:
    if rows.shards is not None:
        raise DataError(
            f"{method}() needs files, and these images are in {'a table' if rows.shards.any_order else 'shards'}.",
            "images and their labels in folders.",
            "unpack the shards and use from_folder(); or label with classes, tags or numbers.",
        )


@explains_calls
@dataclass(frozen=True, repr=False)
class ImageList(AnnotationFormats, ItemList[SplitImages]):
    """Images that were found, not yet split.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> import onecycle as oc
        >>> from onecycle.demo import make_patterns
        >>> folder = make_patterns(Path(mkdtemp()), each=4, pixels=32)
        >>> images = oc.ImageList.from_folder(folder)
        >>> len(images)
        16
        >>> images.split_random(0.25).label_from_folder().transform(32).target.classes
        ('checks', 'dots', 'rings', 'stripes')
    """

    modality: Images

    def _split(self, train: Rows, valid: Rows, test: Rows | None) -> SplitImages:
        return SplitImages(train, valid, test, self.modality)

    def read_as(
        self,
        *,
        range: Sequence[float] | None = None,
        page: int | None = None,
        orientation: Orientation | None = None,
    ) -> ImageList:
        """Say how the files are read, where they do not say it themselves; predictions read them the same way.

        Args:
            range: The values that become black and white in images of more than 8 bits and of floats, such as
                [0, 4095] for 12 bits in files of 16. None takes all that 16 bits hold, of floats 0 to 1.
            page: The page of files that have several, from 0. None takes the first, and says so.
            orientation: "apply" turns photos as their EXIF data says, "ignore" reads them as they are stored. None
                turns them, unless masks or points turn out to be those of photos that are not.
        Raises:
            DataError: An argument is not one of these.
        Example:
            >>> images = oc.ImageList.from_folder(photos).read_as(range=[0, 4095])
            >>> images.modality.reading.range
            (0, 4095)
        """
        return replace(self, modality=replace(self.modality, reading=read_options(range, page, orientation)))

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        include: Sequence[str] | None = None,
        corrections: Corrections | str | Path | None = None,
    ) -> ImageList:
        """Find all images below a folder by their content, whatever their names.

        Hidden files, empty files and files that are not images are listed in `skipped`.

        Args:
            folder: The folder, or an address such as s3://bucket/photos, of which a copy is kept in the cache.
            include: Names of the folders directly below it to search; None searches everywhere.
            corrections: What people decided about the images, see `corrected`, which lists from elsewhere have too.
        Raises:
            DataError: There is no such folder, or no image in it.
        """
        root = as_local(folder, None if include is None else partial(is_below, include))
        names, skipped = find_images(root, include)
        found = cls(Rows(pa.table({ITEM: pa.array(names, pa.string())}), root), Images(), tuple(skipped))
        return found if corrections is None else found.corrected(corrections)

    @classmethod
    def from_paths(cls, paths: Sequence[str | PurePath]) -> ImageList:
        """Use these files.

        Raises:
            DataError: There is none, or `paths` is a single text.
        """
        if not paths or isinstance(paths, str):
            raise DataError(f"paths={paths!r}.", "a list of at least one path.", "pass [path], or use from_folder().")
        return cls(Rows(pa.table({ITEM: pa.array([str(path) for path in paths])}), Path()), Images())

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        folder: str | Path | None = None,
        column: str | None = None,
        suffix: str = "",
        separator: str | None = None,
        encoding: str | None = None,
        header: bool = True,
        search: bool = False,
        include: Sequence[str] | None = None,
        missing: str = "raise",
    ) -> ImageList:
        """Use the images named in a CSV file; all its columns are available for splitting and labelling.

        Args:
            path: The CSV file, or its address, such as s3://bucket/labels.csv.
            folder: Where the images are, also at an address; None uses the CSV file's own folder.
            column: Which column names the images; None uses the first, or where that names none the one that does. The
                index that pandas writes is never used.
            suffix: Added to each name, such as ".jpg".
            separator: Separates the CSV's fields; None finds it.
            encoding: The file's character encoding; None detects it.
            header: Whether the first line names the columns; without it they are "column_1", "column_2", ...
            search: Find each image by its name in any folder below `folder`, whatever its suffix and capitals.
            include: Folders in `folder`; images in others are as good as missing. None uses all.
            missing: "raise" refuses rows whose image does not exist, "drop" lists them in `skipped`.
        Raises:
            DataError: A column or image is missing, or an image is named twice with different values.
        """
        root = parent_of(path) if folder is None else folder
        path = as_local(path)
        table = find_format(path, separator, encoding, header=header).read(path)
        return cls.from_table(
            table, folder=root, column=column, suffix=suffix, search=search, include=include, missing=missing
        )

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        folder: str | Path = ".",
        column: str | None = None,
        suffix: str = "",
        search: bool = False,
        include: Sequence[str] | None = None,
        missing: str = "raise",
    ) -> ImageList:
        """Use the images of a table: pandas, polars, Arrow, a Hugging Face dataset, or any other Arrow C stream.

        A column of bytes, or of {bytes, path} as the Hugging Face hub stores images, holds the images themselves; they
        stay where they are, and are decoded one by one when they are needed. PIL images and arrays in a frame are
        written as files into such a column first. Any other column names images, as for `from_csv`.

        The arguments are those of `from_csv`; `column` may be one of images as well.
        """
        check_missing(missing)
        # Reading whole files out of tables, and out of Parquet, takes a while to import.
        from onecycle.vision.image_objects import with_image_files
        from onecycle.vision.image_tables import TableOfImages, find_column, rows_of_images, take_out

        rows = as_table(with_image_files(table))
        if not rows.num_rows:
            raise DataError(
                "The table has no rows.", "one row for each image.", "check the file, or how rows were filtered."
            )
        if (inside := find_column(rows, IMAGES, column, "The table")) is not None:
            found = take_out(rows, inside)
            if isinstance(found, TableOfImages):
                _check_no_files(suffix=suffix, search=search, include=include)
                images, skipped = rows_of_images(found, missing)
                return cls(images, Images(), tuple(skipped))
            rows, column = found, inside
        root = as_local(folder, None if search or not is_remote(folder) else names_file(rows, column, suffix))
        column = _image_column(rows, root, suffix, search) if column is None else column
        names = item_names(rows[column], suffix)
        if search:
            names = pa.chunked_array([pa.array(match_images(root, names.to_pylist(), column, include), pa.string())])
        rows, skipped = drop_repeated_rows(rows.append_column(ITEM, names), column)
        exists = find_existing(root, rows[ITEM]) & is_inside(rows[ITEM], include)
        absent = rows[ITEM].filter(pa.array(~exists)).to_pylist()
        if absent and (missing == "raise" or not exists.any()):
            raise missing_files(root, absent, len(exists), column, suffix)
        skipped += [Skipped(name, "rows without an image") for name in absent]
        rows = rows.filter(pa.array(exists)) if absent else rows
        return cls(Rows(rows, root), Images(), tuple(skipped))

    @classmethod
    def from_parquet(
        cls,
        path: str | Path | Sequence[str | Path],
        *,
        folder: str | Path | None = None,
        column: str | None = None,
        suffix: str = "",
        search: bool = False,
        include: Sequence[str] | None = None,
        missing: str = "raise",
    ) -> ImageList:
        """Use the images inside Parquet files, or named in them; all other columns can split and label.

        The bytes of images are copied once into the cache, in a form that is mapped into memory: any image is read by
        itself, processes share the pages, and training shuffles all of them. For more than the disk has room for, use
        `from_shards`, which reads the files as they are. Where the files are called after splits, as
        `train-00000-of-00002.parquet`, `validation-*` and `test-*` are, a column "split" holds "train", "valid" or
        "test": use `split_by_column("split", valid="valid", test="test")`.

        Args:
            path: A file, a folder, a pattern such as `train-*.parquet`, or several; also at an address, such as
                hf://datasets/USER/NAME or s3://bucket/data.
            folder: Where images that are only named are; None uses the folder of the files.
            column: The column of images, or of their names; None finds it.
            suffix: As for `from_csv`, for images that are only named.
            search: As for `from_csv`.
            include: As for `from_csv`.
            missing: "raise" refuses rows without an image, "drop" lists them in `skipped`.
        Raises:
            DataError: There are no such files, they are damaged, or several columns hold images.
        """
        from onecycle.data.parquet_files import read_parquet
        from onecycle.vision.image_tables import TableOfImages, find_column, images_of, rows_of_images

        check_missing(missing)
        read = read_parquet(path, lambda head, what: find_column(head, IMAGES, column, what))
        found = images_of(read)
        if isinstance(found, TableOfImages):
            _check_no_files(suffix=suffix, search=search, include=include)
            images, skipped = rows_of_images(found, missing)
            return cls(images, Images(), tuple(skipped))
        named, root = read.column or column, read.root if folder is None else str(folder)
        return cls.from_table(
            found, folder=root, column=named, suffix=suffix, search=search, include=include, missing=missing
        )

    @classmethod
    def from_shards(
        cls,
        shards: str | Path | Sequence[str | Path] | Any,
        *,
        image: str | None = None,
        label: str | Sequence[str] = (),
        classes: Sequence[str] | None = None,
        length: int | Sequence[int] | None = None,
        buffer: int = 1000,
        on_bad_shard: OnBadShard = "raise",
    ) -> ImageList:
        """Use images that lie many to a file: WebDataset tars, Parquet files, or a Hugging Face `IterableDataset`.

        Items are counted once, from the headers of tars (kept in the cache) or the metadata of Parquet files; images
        are read when they are needed, into memory alone. Training takes the shards in random order, some at once, and
        shuffles within `buffer`; each of several processes has a stretch of that order, and so shards of its own but
        at its ends, however few there are.

        Args:
            shards: A file, a folder, a pattern such as `train-{000..099}.tar` or `train-*.parquet`, or several, also at
                an address such as `s3://bucket/train-*.tar`, from where items are read without a copy; or an
                `IterableDataset`, which is read in order, by this process alone.
            image: Suffix of images in tars, or several, such as "jpg;png"; else the column of images. None takes all
                usual suffixes, or the only column that it can be.
            label: Suffix of labels in tars, such as "cls"; else a column, or several: columns of these names are there
                for `label_from_column` and the like. Items without one are left out, see `skipped`.
            classes: Names of labels that are numbers; what Hugging Face writes says them itself.
            length: Items of an `IterableDataset`, in all or in each of its shards: skips going through its labels to
                count. Its classes must be known then, and of `label_from_column` they are read with the items.
            buffer: How many items are shuffled together. More mix better; all are in memory but for tars.
            on_bad_shard: "raise" stops at a damaged shard and names it, "skip" uses what can be read of it.
        Raises:
            DataError: There are no such shards or no images in them, or a shard is damaged.
        Example:
            >>> images = oc.ImageList.from_shards(f"{shards}/photos-{{000..003}}.tar", image="jpg", label="cls")
            >>> images
            ImageList: 30 items of 4 shards in ...
            >>> images.split_by_shards(valid="photos-003.tar").label_from_column("cls")
            LabelledImages: 24 training, 6 validation
            Category, 3 classes: blue, green, red
        """
        # Tars and Parquet are only read here, and reading them takes a while to import.
        from onecycle.data.shards.index import shard_rows, stream_rows
        from onecycle.data.shards.iterable import is_iterable_dataset

        if buffer < 1:
            raise DataError(f"buffer={buffer}.", "1 or more items.", "pass buffer=1000.")
        if on_bad_shard not in get_args(OnBadShard):
            raise DataError(f"on_bad_shard={on_bad_shard!r}.", '"raise" or "skip".', "pass one of them.")
        options: dict[str, Any] = {
            "kind": IMAGES, "content": image, "labels": (label,) if isinstance(label, str) else tuple(label),
            "classes": classes, "buffer": buffer, "on_bad_shard": on_bad_shard,
        }  # fmt: skip
        if is_iterable_dataset(shards):
            rows, skipped = stream_rows(shards, length=length, **options)
        elif length is not None:
            raise DataError(
                f"length={length!r}, for files, whose items are counted in no time.",
                "a Hugging Face IterableDataset.",
                "leave length= out.",
            )
        else:
            rows, skipped = shard_rows(shards, **options)
        return cls(rows, Images(), tuple(skipped))


def _check_no_files(**given: Any) -> None:
    """Refuse options of files, for images that are inside a table.

    Raises:
        DataError: One is given.
    """
    if unused := [f"{name}={value!r}" for name, value in given.items() if value]:
        raise DataError(
            f"{some(unused)}, and the images are inside the table.", "none of these: they say where files are.",
            "leave them out, or name the column of files as column=.",
        )  # fmt: skip


def _image_column(rows: pa.Table, root: Path, suffix: str, search: bool) -> str:
    """Return the first column where it names images, else the one that names most of them.

    Raises:
        DataError: The table has no header, or two columns fit about as well.
    """
    columns: list[str] = [name for name in rows.column_names if not is_index(name, rows[name])] or rows.column_names
    index = ImageIndex(image_names(root)) if search and root.is_dir() else None
    candidates = []
    for name in columns[:MOST_TRIED]:
        if name and os.path.isfile(root / f"{name}{suffix}"):
            raise no_header(name)
        names = item_names(rows[name], suffix)
        if index is None:
            exists = find_existing(root, names)
        else:
            exists = np.array([bool(found) for found in index.find_all(names.to_pylist())])
        if name == rows.column_names[0] and exists.mean() > 0.5:
            return name
        candidates.append(Candidate(name, exists.mean(), f"{exists.sum():,} of {len(exists):,} rows name an image"))
    if not any(one.score for one in candidates):
        return columns[0]
    chosen = choose(
        f"Which column names the images in {root}?", candidates, expected="one column of names.", option="column"
    )
    if chosen.name != rows.column_names[0]:
        print(f"Images: column {chosen}.")
    return chosen.name
