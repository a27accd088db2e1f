"""Are masks and points those of photos as they are stored, or turned as their EXIF data says?

Cameras store a photo as the sensor sees it, and note how to turn it. Tools differ in whether they turn it before one
draws on it; sizes tell which it was, and for square photos the edges of the masks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import DataError, counted, users_level
from onecycle.vision.decode import decode, open_source, original_size, read_safely
from onecycle.vision.decode_memory import is_turned
from onecycle.vision.mask_files import Indices
from onecycle.vision.read_options import Orientation, ReadOptions
from onecycle.vision.reading_notes import MOST_HEADERS
from onecycle.vision.spread import spread_over

MOST_COMPARED, SIDE = 16, 64
# Of two orientations, that in which the labels explain so many times as much of the colours, and so much more, fits.
_RATIO, _MORE = 1.5, 0.03

Vote = Orientation | None


@dataclass(frozen=True)
class _Turned:
    """A photo that its EXIF data turns.

    Attributes:
        row: Its number.
        path: Its file, or what else it is called.
        source: What it is read from.
        upright: (height, width) after it is turned.
        stored: (height, width) before.
    """

    row: int
    path: str
    source: Any
    upright: tuple[int, int]
    stored: tuple[int, int]


def settle_masks(
    options: ReadOptions, images: Sequence[str], masks: Sequence[str], read_mask: Callable[[str], Indices]
) -> ReadOptions:
    """Return how photos are read so that their masks fit.

    Args:
        options: How they are read, as far as it is known.
        images: The photos.
        masks: The mask of each.
        read_mask: Returns the values of a mask.
    Raises:
        DataError: Photos are turned, and nothing shows whether their masks are.
    """

    def vote(photo: _Turned) -> Vote:
        mask = masks[photo.row]
        if photo.upright != photo.stored:
            return _by_size(photo, original_size(mask))
        return _by_colours(photo, read_mask(mask))

    return _settle(options, [(path, partial(str, path)) for path in images], vote, "masks")


def settle_points(
    options: ReadOptions, images: Sequence[tuple[str, Callable[[], Any]]], points: Sequence[Any]
) -> ReadOptions:
    """Return how photos are read so that their points are inside of them.

    Args:
        options: How they are read, as far as it is known.
        images: What each photo is called, and what returns its source.
        points: The points of each.
    Raises:
        DataError: Photos are turned, and nothing shows whether their points are.
    """

    def vote(photo: _Turned) -> Vote:
        x, y = np.array(points[photo.row], np.float64).reshape(-1, 2).T
        fits = {side: _inside(x, y, size) for side, size in (("apply", photo.upright), ("ignore", photo.stored))}
        return None if fits["apply"] == fits["ignore"] else "apply" if fits["apply"] else "ignore"

    return _settle(options, images, vote, "points")


def _inside(x: NDArray[np.float64], y: NDArray[np.float64], size: tuple[int, int]) -> bool:
    height, width = size
    return not ((x > width - 0.5) | (y > height - 0.5)).any()


def _settle(
    options: ReadOptions, images: Sequence[tuple[str, Callable[[], Any]]], vote: Callable[[_Turned], Vote], what: str
) -> ReadOptions:
    if options.orientation is not None:
        return options
    looked_at = spread_over(list(enumerate(images)), MOST_HEADERS)
    with ThreadPoolExecutor() as pool:
        turned = [
            photo for photo in pool.map(lambda item: _turned_photo(item[0], *item[1]), looked_at) if photo is not None
        ]
        if not turned:
            return options
        votes = list(pool.map(lambda photo: _careful(vote, photo), spread_over(turned, MOST_COMPARED)))
    found = {one for one in votes if one is not None}
    told = (
        f"{counted(len(turned), 'photo', ('is', 'are'), of=len(looked_at))} turned by their EXIF orientation, such as "
        f"{turned[0].path}"
    )
    if len(found) != 1:
        split = f", and some of their {what} are turned too, some are not" if found else ""
        raise DataError(
            f"{told}{split or f', and nothing shows whether their {what} are turned too'}.",
            f"a word of which photos the {what} belong to.",
            f"pass orientation='apply' where the {what} are those of the turned photos, as a viewer shows them, or "
            "orientation='ignore' where they are those of the photos as they are stored.",
        )
    chosen = found.pop()
    seen = f"{sum(one is not None for one in votes):,} of {len(votes):,} that were compared"
    if chosen == "ignore":
        warnings.warn(
            f"{told}, and their {what} are not, as {seen} show. Photos are read as they are stored, as with "
            "orientation='ignore'; pass orientation='apply' to turn them all the same.",
            stacklevel=users_level(),
        )
    return replace(options, orientation=chosen)


def _careful(vote: Callable[[_Turned], Vote], photo: _Turned) -> Vote:
    try:
        return vote(photo)
    except DataError:
        return None  # the error comes up when the image or its label is read


def _turned_photo(row: int, path: str, source_of: Callable[[], Any]) -> _Turned | None:
    def read() -> _Turned | None:
        source = source_of()
        with open_source(source) as image:
            if not is_turned(image):
                return None
        stored = original_size(source, ReadOptions(orientation="ignore"))
        return _Turned(row, path, source, original_size(source), stored)

    try:
        return read_safely(path, read)
    except DataError:
        return None


def _by_size(photo: _Turned, size: tuple[int, int]) -> Vote:
    return "apply" if size == photo.upright else "ignore" if size == photo.stored else None


def _by_colours(photo: _Turned, mask: Indices) -> Vote:
    """Return in which orientation the classes of the mask have colours of their own."""
    height, width = mask.shape
    rows, columns = ((np.arange(SIDE) + 0.5) * side // SIDE for side in (height, width))
    classes = mask[rows.astype(int)[:, None], columns.astype(int)[None, :]]
    explained: dict[Orientation, float] = {
        side: _explained(decode(photo.source, (SIDE, SIDE), "squish", ReadOptions(orientation=side)), classes)
        for side in ("apply", "ignore")
    }
    ranked = sorted(explained, key=lambda side: -explained[side])
    best, other = explained[ranked[0]], explained[ranked[1]]
    return ranked[0] if best > _RATIO * other and best - other > _MORE else None


def _explained(pixels: NDArray[np.uint8], classes: Indices) -> float:
    """Return which share of the variance of the colours is between the classes."""
    colours = pixels.reshape(-1, 3).astype(np.float64)
    colours -= colours.mean(axis=0)
    total = float((colours**2).sum())
    labels = np.unique(classes, return_inverse=True)[1].ravel()
    counts = np.bincount(labels)
    sums = np.stack([np.bincount(labels, weights=channel) for channel in colours.T])
    return float((sums**2 / counts).sum()) / total if total else 0.0
