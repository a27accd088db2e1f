"""Reads mask files: the values of an index PNG or of a colour-coded image, without lossy compression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from onecycle.errors import DataError, some
from onecycle.vision.decode import read_safely

Indices = NDArray[np.uint8]
Colour = tuple[int, int, int]


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
    with Image.open(path) as image:
        if image.format == "JPEG" or (image.format == "WEBP" and not image.info.get("lossless", False)):
            raise DataError(
                f"The mask {path} is a {image.format}: lossy compression changes values, and with them classes.",
                "a mask as PNG, or in another lossless format.",
                "export the masks again as PNG.",
            )
        oriented = ImageOps.exif_transpose(image)
        if colours is not None:
            return _from_colours(np.asarray(oriented.convert("RGB")), colours, path)
        return _from_index_image(oriented, path)


def _from_index_image(image: Image.Image, path: str) -> Indices:
    if image.mode in ("RGB", "RGBA", "CMYK"):
        pixels = np.asarray(image.convert("RGB"))
        if not (pixels == pixels[..., :1]).all():
            raise DataError(
                f"The mask {path} is in colour, and colours= was not passed.",
                "an index mask, whose grey values are class numbers, or the colour of each class.",
                "pass colours=, a (red, green, blue) for each class.",
            )
        return np.ascontiguousarray(pixels[..., 0])
    # In a mask with transparency, the first channel holds the values.
    values = np.asarray(image.getchannel(0) if image.mode in ("LA", "La", "PA") else image)
    is_byte = values.dtype in (np.uint8, np.bool_)
    if not is_byte and not ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
        raise DataError(
            f"The mask {path} contains values from {values.min():g} to {values.max():g}.",
            "whole numbers from 0 to 255.",
            "write the class numbers as 8-bit PNG.",
        )
    return values.astype(np.uint8)


def _from_colours(pixels: NDArray[np.uint8], colours: Sequence[Colour], path: str) -> Indices:
    weights = np.array([65536, 256, 1], np.int64)
    codes, table = pixels @ weights, np.array(colours, np.int64) @ weights
    order = np.argsort(table, kind="stable")
    indices = order[np.searchsorted(table, codes, sorter=order).clip(max=len(table) - 1)]
    unknown = table[indices] != codes
    if unknown.any():
        counts = Counter(map(tuple, pixels[unknown].tolist()))
        raise DataError(
            f"The mask {path} contains colours that are not in colours=: "
            f"{some(f'{colour} ({count:,} pixels)' for colour, count in counts.most_common())}.",
            "only the classes' colours.",
            "add them to colours= and classes=; blurred edges mean that the mask was resized or compressed.",
        )
    return np.asarray(indices, np.uint8)
