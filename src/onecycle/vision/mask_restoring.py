"""From a model's probabilities for a resized image to the classes of the original image's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onecycle.vision.decode import ImageGeometry

IGNORED_VALUE = 255
"""The value of pixels that were cut off, in files of which no value is ignored."""

Floats = NDArray[np.float32]


def restore_mask(
    probabilities: Floats, geometry: ImageGeometry | None, values: Sequence[int], ignored: Sequence[int] = ()
) -> NDArray[np.uint8]:
    """Return the most probable class of each pixel of the original image, as its value in mask files.

    Args:
        probabilities: Of the resized image, (classes, height, width).
        geometry: Which part of the original it shows; None treats it as the original.
        values: The value of each class.
        ignored: Values of pixels that do not count; those that were cut off get the first, or 255.
    Returns:
        uint8, (height, width) of the original.
    Example:
        >>> probabilities = np.array([[[0.9, 0.2]], [[0.1, 0.8]]], np.float32)
        >>> restore_mask(probabilities, ImageGeometry(1, 4, 0, 0, 4, 1), values=(1, 2)).tolist()
        [[1, 1, 2, 2]]
    """
    by_class = np.array(values, np.uint8)
    if geometry is None:
        return np.asarray(by_class[probabilities.argmax(axis=0)], np.uint8)
    classes, visible = restore_classes(probabilities, geometry)
    mask = np.asarray(by_class[classes], np.uint8)
    mask[~visible] = ignored[0] if ignored else IGNORED_VALUE
    return mask


def restore_classes(probabilities: Floats, geometry: ImageGeometry) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the most probable class of each pixel of the original image.

    Args:
        probabilities: Of the resized image, (classes, height, width).
        geometry: Which part of the original the resized image shows.
    Returns:
        Class numbers, uint8, and whether the resized image showed the pixel at all; both (height, width) of the
        original.
    """
    probabilities, shown = _without_padding(probabilities, geometry)
    height, width = round(shown.height), round(shown.width)
    rows = _neighbours(height, shown.top, shown.bottom, probabilities.shape[1])
    columns = _neighbours(width, shown.left, shown.right, probabilities.shape[2])
    best = np.full((height, width), -1.0, np.float32)
    classes = np.zeros((height, width), np.uint8)
    for number, probability in enumerate(probabilities):  # one class at a time: all at once may be gigabytes
        enlarged = _interpolated(_interpolated(probability, rows).T, columns).T
        better = enlarged > best
        classes[better] = number
        np.maximum(best, enlarged, out=best)
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    visible = ((y >= shown.top) & (y <= shown.bottom))[:, None] & ((x >= shown.left) & (x <= shown.right))
    return classes, visible


def _without_padding(probabilities: Floats, geometry: ImageGeometry) -> tuple[Floats, ImageGeometry]:
    """Cut off padding, where predictions have no meaning, so that they are not interpolated into the edges."""
    rows, columns = probabilities.shape[-2:]
    row_height, column_width = (geometry.bottom - geometry.top) / rows, (geometry.right - geometry.left) / columns
    top, left = max(round(-geometry.top / row_height), 0), max(round(-geometry.left / column_width), 0)
    bottom = max(round((geometry.bottom - geometry.height) / row_height), 0)
    right = max(round((geometry.right - geometry.width) / column_width), 0)
    shown = ImageGeometry(
        geometry.height, geometry.width, max(geometry.left, 0), max(geometry.top, 0),
        min(geometry.right, geometry.width), min(geometry.bottom, geometry.height),
    )  # fmt: skip
    return probabilities[:, top : rows - bottom, left : columns - right], shown


class _Neighbours(NamedTuple):
    """Between which two rows each row of the original lies, and how near it is to the second, from 0 to 1."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    nearness: Floats


def _neighbours(count: int, start: float, stop: float, resized: int) -> _Neighbours:
    """Return where the centres of `count` rows lie among the `resized` rows that show those from `start` to `stop`."""
    places = ((np.arange(count) + 0.5 - start) / (stop - start) * resized - 0.5).clip(0, resized - 1)
    first = places.astype(np.intp)
    return _Neighbours(first, np.minimum(first + 1, resized - 1), (places - first).astype(np.float32))


def _interpolated(values: Floats, rows: _Neighbours) -> Floats:
    """Return values, (height, width), with the rows in between."""
    first, second = values[rows.first], values[rows.second]
    second -= first
    second *= rows.nearness[:, None]
    second += first
    return second
