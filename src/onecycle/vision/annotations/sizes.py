"""The sizes of many images, from their headers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import DataError
from onecycle.vision.decode import open_image, original_size, read_safely
from onecycle.vision.decode_memory import is_turned


@dataclass(frozen=True)
class Sizes:
    """Sizes of images as they are shown.

    Attributes:
        pixels: (height, width) of each, (images, 2); 1 of one that cannot be read.
        turned: Whether an EXIF orientation turns or mirrors it.
        read: Whether it can be read.
    """

    pixels: NDArray[np.int64]
    turned: NDArray[np.bool_]
    read: NDArray[np.bool_]


def image_sizes(paths: Sequence[str]) -> Sizes:
    """Return the sizes of images; only their headers are read."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_size, paths))
    table = np.array(found, np.int64).reshape(-1, 4)
    return Sizes(table[:, :2], table[:, 2] > 0, table[:, 3] > 0)


def _size(path: str) -> tuple[int, int, int, int]:
    def read() -> tuple[int, int, int, int]:
        with open_image(path) as image:
            return (*original_size(image), int(is_turned(image)), 1)

    try:
        return read_safely(path, read)
    except DataError:
        return 1, 1, 0, 0  # the error comes up when the image is read
