"""Converts images of any mode to 8-bit RGB tile by tile, so that the whole image is never there in several forms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]

TILE_PIXELS, TILE_WIDTH = 2**18, 4096
_TILE_BYTES = 40  # a pixel: the tile, four forms of it on the way to RGB, or its greys as two times float64
# The last step of a resize changes the size by at least this factor; what is beyond is averaged, see `Image.resize`.
REDUCING_GAP = 2.0


def resize_as_rgb(
    image: Image.Image, size: tuple[int, int], box: Box, value_range: tuple[float, float] | None = None
) -> Image.Image:
    """Return the part `box` of an image as RGB of (width, height) `size`.

    Transparent pixels become white, deeper greys are scaled, palettes and CMYK are converted. The result is that of
    converting the image and resizing it; only a tile at a time is converted, and reduced at once.

    Args:
        image: The image.
        size: (width, height).
        box: The part of it.
        value_range: The values of deeper greys that become black and white; None takes what their kind holds.
    """
    if image.mode == "RGB":
        return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=REDUCING_GAP)
    factors = reducing_factors(size, box)
    left, top, right, bottom = _box_around(image.size, size, box, margin=0 if max(factors) > 1 else 1)
    reduced = Image.new("RGB", (-(-(right - left) // factors[0]), -(-(bottom - top) // factors[1])))
    convert = _converter(image, value_range)
    for tile in tiles((left, top, right, bottom), factors):
        converted = convert(image.crop(tile))
        place = ((tile[0] - left) // factors[0], (tile[1] - top) // factors[1])
        reduced.paste(converted.reduce(factors) if max(factors) > 1 else converted, place)
    inner = [(edge - start) / factor for edge, start, factor in zip(box, (left, top) * 2, factors * 2, strict=True)]
    return reduced.resize(size, Image.Resampling.BILINEAR, box=(inner[0], inner[1], inner[2], inner[3]))


def reducing_factors(size: tuple[int, int], box: Box) -> tuple[int, int]:
    """Return by which whole numbers a box can be reduced before it is resized to (width, height) `size`."""
    horizontal = int((box[2] - box[0]) / size[0] / REDUCING_GAP)
    return max(horizontal, 1), max(int((box[3] - box[1]) / size[1] / REDUCING_GAP), 1)


def tiles(box: tuple[int, int, int, int], factors: tuple[int, int] = (1, 1)) -> Iterator[tuple[int, int, int, int]]:
    """Cut a box into tiles of about `TILE_PIXELS`; all but the last ones are multiples of `factors` large."""
    left, top, right, bottom = box
    width, height = tile_size(right - left, factors)
    for upper in range(top, bottom, height):
        for start in range(left, right, width):
            yield start, upper, min(start + width, right), min(upper + height, bottom)


def tile_size(width: int, factors: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) of the tiles of a box of `width` pixels."""
    across = max(min(width, TILE_WIDTH) // factors[0], 1) * factors[0]
    across = across if across >= min(width, TILE_WIDTH) else across + factors[0]
    return across, max(TILE_PIXELS // across // factors[1], 1) * factors[1]


def conversion_bytes(whole: tuple[int, int], size: tuple[int, int]) -> int:
    """Return at most how many bytes `resize_as_rgb` takes beside an image of (width, height) `whole`."""
    factors = reducing_factors(size, (0, 0, *whole))
    across, down = tile_size(whole[0], factors)
    tile = min(across, whole[0]) * min(down, whole[1])
    reduced = -(-whole[0] // factors[0]) * -(-whole[1] // factors[1])
    return tile * _TILE_BYTES + reduced * 8 + size[0] * size[1] * 8


def _box_around(whole: tuple[int, int], size: tuple[int, int], box: Box, margin: int) -> tuple[int, int, int, int]:
    """Return the whole pixels that a bilinear resize of `box` reads, as Pillow cuts them out before it reduces."""
    if margin and whole[0] * whole[1] <= 16 * TILE_PIXELS:
        return 0, 0, *whole  # all of it, since another origin rounds differently
    reach = [(box[2 + axis] - box[axis]) / size[axis] / 2 + margin for axis in (0, 1)]
    return (
        max(int(box[0] - reach[0]), 0),
        max(int(box[1] - reach[1]), 0),
        min(math.ceil(box[2] + reach[0]), whole[0]),
        min(math.ceil(box[3] + reach[1]), whole[1]),
    )


def is_deep(image: Image.Image) -> bool:
    """Return whether an image has greys of more than 8 bits, or floats."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def _converter(image: Image.Image, value_range: tuple[float, float] | None) -> Callable[[Image.Image], Image.Image]:
    """Return the function that converts a tile of `image` to RGB."""
    if is_deep(image):
        low, times, over = _ratio_of(image) if value_range is None else _ratio_to(*value_range)
        return lambda tile: Image.fromarray(_to_eight_bits(np.asarray(tile), low, times, over)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white
    return lambda tile: tile.convert("RGB")


def _on_white(tile: Image.Image) -> Image.Image:
    tile = tile.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", tile.size, "white"), tile).convert("RGB")


def _ratio_to(low: float, high: float) -> tuple[float, float, float]:
    return low, 255, high - low


def _ratio_of(image: Image.Image) -> tuple[float, float, float]:
    """Return what takes an image's greys to 0..255: what is subtracted, multiplied by, and divided by."""
    white = white_of(image, extremes(image)[1] if not image.mode.startswith("I;16") else 0)
    return {1: (0, 255, 1), 255: (0, 1, 1)}.get(white, (0, 1, 257))


def white_of(image: Image.Image, highest: float) -> int:
    """Return which value of a deep image becomes white: floats up to 1 are fractions, above 255 all is of 16 bits."""
    if image.mode.startswith("I;16"):
        return 65535
    if image.mode == "F" and highest <= 1:
        return 1
    return 65535 if highest > 255 else 255


def extremes(image: Image.Image) -> tuple[float, float]:
    """Return the lowest and the highest value of an image; NaN and infinity are 0."""
    values = [_finite(np.asarray(image.crop(tile))) for tile in tiles((0, 0, *image.size))]
    return min(float(tile.min()) for tile in values), max(float(tile.max()) for tile in values)


def count_not_numbers(image: Image.Image) -> int:
    """Return how many values are NaN or infinite."""
    return sum(int((~np.isfinite(np.asarray(image.crop(tile)))).sum()) for tile in tiles((0, 0, *image.size)))


def _to_eight_bits(values: NDArray[Any], low: float, times: float, over: float) -> Pixels:
    """Return (values - low) * times / over, rounded to 0..255; NaN and infinity are black."""
    finite = _finite(values)
    # Whole numbers would wrap around.
    shifted = finite if (low, times) == (0, 1) else finite.astype(np.float64) - low
    pixels: Pixels = np.clip(np.rint(shifted * times / over), 0, 255).astype(np.uint8)
    return pixels


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    finite: NDArray[Any] = np.nan_to_num(values, posinf=0, neginf=0)
    return finite
