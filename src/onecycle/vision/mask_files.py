"""Mask files: the values in an index PNG or a colour-coded image, and nothing that compression made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from onecycle.errors import DataError, some
from onecycle.vision.decode import guarded

Indices = NDArray[np.uint8]
Colour = tuple[int, int, int]


def mask_values(source: str | Path, colours: Sequence[Colour] | None = None) -> Indices:
    """Read the values of a mask file, uint8, (height, width).

    Args:
        source: An index PNG (grey or with a palette), or with `colours` a colour-coded image.
        colours: The colour of each value.
    Raises:
        DataError: It cannot be read, is compressed with loss, or holds a colour that stands for nothing.
    """
    return guarded(str(source), lambda: _read_values(str(source), colours))


def _read_values(path: str, colours: Sequence[Colour] | None) -> Indices:
    with Image.open(path) as image:
        if image.format == "JPEG" or (image.format == "WEBP" and not image.info.get("lossless", False)):
            raise DataError(
                f"The mask {path} is a {image.format}: its compression changes values, so that classes are lost.",
                "a mask as PNG, or another format without loss.",
                "export the masks again as PNG.",
            )
        turned = ImageOps.exif_transpose(image)
        if colours is not None:
            return _from_colours(np.asarray(turned.convert("RGB")), colours, path)
        if turned.mode in ("RGB", "RGBA", "CMYK"):
            pixels = np.asarray(turned.convert("RGB"))
            if not (pixels == pixels[..., :1]).all():
                raise DataError(
                    f"The mask {path} is in colour, and it is not said which colour is which class.",
                    "an index mask, whose grey values are class numbers, or a table of colours.",
                    "pass colours=, a (red, green, blue) for each class.",
                )
            return np.ascontiguousarray(pixels[..., 0])
        # Of a mask with transparency, the first band holds the values.
        values = np.asarray(turned.getchannel(0) if turned.mode in ("LA", "La", "PA") else turned)
        small = values.dtype in (np.uint8, np.bool_)
        if not small and not ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
            raise DataError(
                f"The mask {path} holds values from {values.min():g} to {values.max():g}.",
                "whole numbers from 0 to 255.",
                "write the class numbers as 8-bit PNG.",
            )
        return values.astype(np.uint8)


def _from_colours(pixels: NDArray[np.uint8], colours: Sequence[Colour], path: str) -> Indices:
    weights = np.array([65536, 256, 1], np.int64)
    codes, table = pixels @ weights, np.array(colours, np.int64) @ weights
    order = np.argsort(table, kind="stable")
    found = order[np.searchsorted(table, codes, sorter=order).clip(max=len(table) - 1)]
    foreign = table[found] != codes
    if foreign.any():
        odd = Counter(map(tuple, pixels[foreign].tolist()))
        raise DataError(
            f"The mask {path} holds colours that stand for no class: "
            f"{some(f'{colour} ({count:,} pixels)' for colour, count in odd.most_common())}.",
            "only the colours of colours=.",
            "add them to colours= and classes=; blurred edges mean that the mask was scaled or compressed.",
        )
    return np.asarray(found, np.uint8)
