"""Reads mask files: the values of an index PNG or of a colour-coded image, without lossy compression."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from onecycle.errors import DataError, some
from onecycle.vision.decode import open_image, read_safely
from onecycle.vision.decode_memory import decoding_bytes, memory_for
from onecycle.vision.rgb import TILE_PIXELS, tiles

Indices = NDArray[np.uint8]
Colour = tuple[int, int, int]

# AVIF and HEIC may be lossless, but nothing in them says so.
_LOSSY = ("JPEG", "MPO", "AVIF", "HEIF")
_MANY_COLOURS = 1000  # with more unknown ones, the rest of the mask is not read
_TILE_BYTES = 64  # a pixel of a tile: its colour as several arrays of int64


def read_mask_values(source: str | Path, colours: Sequence[Colour] | None = None) -> Indices:
    """Return the values in a mask file, uint8, (height, width).

    Args:
        source: An index PNG (grey or with a palette); with `colours`, a colour-coded image.
        colours: The colour of each value from 0 on.
    Raises:
        DataError: It cannot be read, is lossily compressed, or contains a colour that is not in `colours`.
    """
    return read_safely(str(source), lambda: _read_values(str(source), colours))


def _read_values(path: str, colours: Sequence[Colour] | None) -> Indices:
    with open_image(path) as image:
        if image.format in _LOSSY or (image.format == "WEBP" and not is_lossless_webp(path)):
            raise DataError(
                f"The mask {path} is a {image.format}: lossy compression changes values, and with them classes.",
                "a mask as PNG, or in another lossless format.",
                "export the masks again as PNG.",
            )
        if image.format == "TIFF" and (pages := getattr(image, "n_frames", 1)) > 1:
            raise DataError(
                f"The mask {path} has {pages} pages.", "one page, so that nothing is guessed.",
                "save the page with the classes as PNG.",
            )  # fmt: skip
        pixels = image.width * image.height
        needed = decoding_bytes(image, pixels, os.path.getsize(path)) + pixels + TILE_PIXELS * _TILE_BYTES
        with memory_for(path, image, needed):
            ImageOps.exif_transpose(image, in_place=True)
            if colours is not None:
                return _from_colours(image, colours, path)
            return _from_index_image(image, path)


def values_in(paths: Sequence[str]) -> tuple[int, ...]:
    """Return the values that masks hold, without those that cannot be read; none where they are in colour."""

    def read(path: str) -> NDArray[np.uint8]:
        try:
            return np.unique(read_mask_values(path))
        except DataError:
            return np.empty(0, np.uint8)

    with ThreadPoolExecutor() as pool:
        return tuple(np.unique(np.concatenate([np.empty(0, np.uint8), *pool.map(read, paths)])).tolist())


def is_lossless_webp(path: str) -> bool:
    """Return whether the image in a WebP file is in a chunk of its lossless kind, VP8L."""
    with open(path, "rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = head[:4], int.from_bytes(head[4:], "little")
            if name in (b"VP8L", b"VP8 "):
                return name == b"VP8L"
            # A frame of an animation has 16 bytes of its own before its chunks.
            file.seek(16 if name == b"ANMF" else size + size % 2, os.SEEK_CUR)
    return False


def _by_tiles(image: Image.Image, read: Callable[[Image.Image], NDArray[Any]]) -> Indices:
    """Return what `read` makes of each tile of an image, as one array."""
    indices = np.empty((image.height, image.width), np.uint8)
    for left, top, right, bottom in tiles((0, 0, *image.size)):
        indices[top:bottom, left:right] = read(image.crop((left, top, right, bottom)))
    return indices


def _from_index_image(image: Image.Image, path: str) -> Indices:
    if image.mode in ("RGB", "RGBA", "CMYK"):
        return _by_tiles(image, lambda tile: _from_grey_colours(tile, path))
    lowest, highest, whole = np.inf, -np.inf, True

    def read(tile: Image.Image) -> NDArray[Any]:
        nonlocal lowest, highest, whole
        # In a mask with transparency, the first channel holds the values.
        values = np.asarray(tile.getchannel(0) if tile.mode in ("LA", "La", "PA") else tile)
        if values.dtype not in (np.uint8, np.bool_):
            lowest, highest = np.minimum(lowest, values.min()), np.maximum(highest, values.max())
            whole = whole and bool((values == np.floor(values)).all())
            values = np.nan_to_num(values).clip(0, 255)
        return values.astype(np.uint8)

    indices = _by_tiles(image, read)
    if whole and lowest >= 0 and highest <= 255:  # NaN is neither
        return indices
    raise DataError(
        f"The mask {path} contains values from {lowest:g} to {highest:g}.",
        "whole numbers from 0 to 255.",
        "write the class numbers as 8-bit PNG.",
    )


def _from_grey_colours(tile: Image.Image, path: str) -> Indices:
    pixels = np.asarray(tile.convert("RGB"))
    if not (pixels == pixels[..., :1]).all():
        raise DataError(
            f"The mask {path} is in colour, and colours= was not passed.",
            "an index mask, whose grey values are class numbers, or the colour of each class.",
            "pass colours=, a (red, green, blue) for each class.",
        )
    values: Indices = pixels[..., 0]
    return values


def _from_colours(image: Image.Image, colours: Sequence[Colour], path: str) -> Indices:
    weights = np.array([65536, 256, 1], np.int64)
    table = np.array(colours, np.int64) @ weights
    order = np.argsort(table, kind="stable")
    unknown: Counter[Colour] = Counter()

    def read(tile: Image.Image) -> NDArray[Any]:
        pixels = np.asarray(tile.convert("RGB"))
        codes = pixels @ weights
        indices: NDArray[np.int64] = order[np.searchsorted(table, codes, sorter=order).clip(max=len(table) - 1)]
        other, counts = np.unique(codes[table[indices] != codes], return_counts=True)
        for code, count in zip(other.tolist(), counts.tolist(), strict=True):
            unknown[code >> 16, code >> 8 & 255, code & 255] += count
        if len(unknown) > _MANY_COLOURS:
            raise _unknown_colours(path, unknown)
        return indices

    values = _by_tiles(image, read)
    if unknown:
        raise _unknown_colours(path, unknown)
    return values


def _unknown_colours(path: str, unknown: Counter[Colour]) -> DataError:
    return DataError(
        f"The mask {path} contains colours that are not in colours=: "
        f"{some(f'{colour} ({count:,} pixels)' for colour, count in unknown.most_common())}.",
        "only the classes' colours.",
        "add them to colours= and classes=; blurred edges mean that the mask was resized or compressed.",
    )
