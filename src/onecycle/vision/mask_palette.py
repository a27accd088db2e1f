"""The colours in which masks are drawn and written to files."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onecycle.vision.mask_files import Colour, Indices

# Twenty colours that are easy to distinguish (Trubetskoy 2017, sashamaps.net).
DISTINCT_COLOURS: tuple[Colour, ...] = (
    (0, 130, 200), (230, 25, 75), (60, 180, 75), (255, 225, 25), (245, 130, 48), (145, 30, 180), (70, 240, 240),
    (240, 50, 230), (210, 245, 60), (250, 190, 212), (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 250, 200),
    (128, 0, 0), (170, 255, 195), (128, 128, 0), (255, 215, 180), (0, 0, 128), (128, 128, 128),
)  # fmt: skip


def make_palette(values: Sequence[int], colours: Sequence[Colour] | None) -> NDArray[np.uint8]:
    """Return a colour for each value of mask files, uint8, (256, 3); black for values without one.

    Args:
        values: The values that stand for classes.
        colours: The colour of each value from 0 on; None uses `DISTINCT_COLOURS` for `values`, repeated where needed.
    """
    palette = np.zeros((256, 3), np.uint8)
    if colours is not None:
        palette[: len(colours)] = colours
    else:
        palette[list(values)] = [DISTINCT_COLOURS[i % len(DISTINCT_COLOURS)] for i in range(len(values))]
    return palette


def to_palette_image(mask: Indices, palette: NDArray[np.uint8]) -> Image.Image:
    """Return a mask as an image whose pixels are its values and which is drawn in the palette's colours."""
    image = Image.fromarray(mask).convert("P")
    image.putpalette(palette.tobytes())
    return image


def to_png(mask: Indices, palette: NDArray[np.uint8]) -> bytes:
    """Return a mask as the content of a PNG file with a palette."""
    buffer = io.BytesIO()
    to_palette_image(mask, palette).save(buffer, "PNG")
    return buffer.getvalue()


def read_png(png: bytes) -> Indices:
    """Return the values in the content of a PNG file, uint8, (height, width)."""
    return np.asarray(Image.open(io.BytesIO(png)))
