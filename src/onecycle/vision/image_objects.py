"""Opened images and arrays in the columns of pandas and polars frames, as the files that tables hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from onecycle.data.frames import replace_objects

_PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")


def with_image_files(frame: Any) -> Any:
    """Return a frame with the images that it holds as PIL images or arrays of uint8 as files of the same pixels."""
    return replace_objects(frame, _encoder)


def _encoder(first: Any) -> Callable[[Any], bytes] | None:
    if isinstance(first, Image.Image):
        return _file_of
    if isinstance(first, np.ndarray) and first.ndim in (2, 3) and first.dtype == np.uint8:
        return lambda pixels: _file_of(Image.fromarray(pixels.squeeze()))
    return None


def _file_of(image: Image.Image) -> bytes:
    held = io.BytesIO()
    image.save(held, "PNG" if image.mode in _PNG_MODES else "TIFF", exif=image.getexif())
    return held.getvalue()
