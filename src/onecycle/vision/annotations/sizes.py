"""The sizes of many images, from their headers; and whether annotations are of photos as their EXIF data turns them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import DataError, counted
from onecycle.vision.decode import open_image, original_size, read_safely
from onecycle.vision.decode_memory import is_turned
from onecycle.vision.read_options import ReadOptions
from onecycle.vision.reading_notes import MOST_HEADERS
from onecycle.vision.spread import spread_over

_PLAIN = ReadOptions()


@dataclass(frozen=True)
class Sizes:
    """Sizes of images.

    Attributes:
        pixels: (height, width) of each as it is read, (images, 2); 1 of one that cannot be read.
        stored: The same without the EXIF orientation.
        turned: Whether an EXIF orientation turns or mirrors it.
        read: Whether it can be read.
    """

    pixels: NDArray[np.int64]
    stored: NDArray[np.int64]
    turned: NDArray[np.bool_]
    read: NDArray[np.bool_]


def image_sizes(paths: Sequence[str], options: ReadOptions = _PLAIN) -> Sizes:
    """Return the sizes of images; only their headers are read."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda path: _size(path, options), paths))
    table = np.array(found, np.int64).reshape(-1, 6)
    return Sizes(table[:, :2], table[:, 2:4], table[:, 4] > 0, table[:, 5] > 0)


def settle_annotations(
    options: ReadOptions, source: str, names: Sequence[str], paths: Sequence[str], said: NDArray[np.float64]
) -> ReadOptions:
    """Return how photos are read so that they have the size that their annotations say.

    Args:
        options: How they are read, as far as it is known.
        source: The annotations.
        names: What the photos are called.
        paths: Their files.
        said: (height, width) of each by the annotations, (photos, 2); NaN where these say nothing.
    Raises:
        DataError: Photos are turned, and nothing shows whether their annotations are; or some are, and some are not.
    """
    if options.orientation is not None:
        return options
    chosen = spread_over(range(len(paths)), MOST_HEADERS)
    sizes, said = image_sizes([paths[place] for place in chosen]), said[chosen]
    turned = sizes.turned & sizes.read
    if not turned.any():
        return options
    swapped = turned & (sizes.pixels != sizes.stored).any(axis=1)
    apply, ignore = (int((swapped & (said == one).all(axis=1)).sum()) for one in (sizes.pixels, sizes.stored))
    first = names[chosen[int(turned.argmax())]]
    told = (
        f"{int(turned.sum()):,} of {counted(len(chosen), 'photo', ('is', 'are'))} turned by their EXIF orientation, "
        f"such as {first}"
    )
    if bool(apply) == bool(ignore):
        why = (
            f"; by the width and height in {source}, {apply:,} are annotated as turned and {ignore:,} as stored"
            if apply
            else f", and {source} says no width and height that show whether its annotations are of the turned ones"
        )
        raise DataError(
            f"{told}{why}.",
            "a word of which photos the annotations belong to.",
            "pass orientation='apply' to read_as() where they are those of the turned photos, as a viewer shows them, "
            "or orientation='ignore' where they are those of the photos as they are stored.",
            shell_fix="pass --orientation apply where they are those of the turned photos, as a viewer shows them, or "
            "--orientation ignore where they are those of the photos as they are stored.",
        )
    if apply:
        print(f"{told}; by the width and height of {apply:,} in {source}, the annotations are of the turned photos.")
        return replace(options, orientation="apply")
    print(
        f"{told}; by the width and height of {ignore:,} in {source}, the annotations are of the photos as they are "
        "stored, which are read so, as with orientation='ignore'."
    )
    return replace(options, orientation="ignore")


def _size(path: str, options: ReadOptions) -> tuple[int, int, int, int, int, int]:
    def read() -> tuple[int, int, int, int, int, int]:
        with open_image(path) as image:
            turned = is_turned(image)
            size = original_size(image, options)
            stored = original_size(image, ReadOptions(orientation="ignore")) if turned else size
            return *size, *stored, int(turned), 1

    try:
        return read_safely(path, read)
    except DataError:
        return 1, 1, 1, 1, 0, 0  # the error comes up when the image is read
