"""The way of a pixel, first half: from any image file to uint8 RGB of the wanted size, decoding no more than needed."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from onecycle.errors import DataError

Resize = Literal["crop", "squish", "pad"]
Pixels = NDArray[np.uint8]

# First bytes of the formats we read. A file is what its content says, whatever its name says.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")


def is_image(head: bytes) -> bool:
    """Tell from a file's first 16 bytes whether it is an image: JPEG, PNG, GIF, BMP, TIFF or WebP."""
    return head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def decode(source: Any, size: tuple[int, int], resize: Resize = "crop") -> Pixels:
    """Read an image at the wanted size.

    Args:
        source: A path, a PIL image, or an array of uint8 pixels, (height, width) or (height, width, 1, 3 or 4).
        size: Wanted (height, width).
        resize: "crop" cuts the middle out, "squish" changes the aspect ratio, "pad" adds black borders.
    Returns:
        RGB pixels, uint8, (height, width, 3).
    Raises:
        DataError: The source is no readable image.
    """
    if isinstance(source, str | os.PathLike):
        return _guarded(str(source), lambda: _decode_file(str(source), size, resize))
    if isinstance(source, Image.Image):
        return _guarded("the image", lambda: _resized(ImageOps.exif_transpose(source), size, resize))
    if isinstance(source, np.ndarray):
        return _resized(_from_array(source), size, resize)
    raise DataError(
        f"Cannot read an image from {type(source).__name__}.",
        "a path, a PIL image or a numpy array.",
        "convert it first.",
    )


def _decode_file(path: str, size: tuple[int, int], resize: Resize) -> Pixels:
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112, 1) >= 5  # by a quarter: width and height change places
        size_on_disk = (size[1], size[0]) if turned else size
        scale = _scale((height, width), size_on_disk, resize)
        # JPEG can decode at 1/2, 1/4 and 1/8: draft picks the smallest that still covers what is asked for.
        image.draft(None, (max(int(width * scale), 1), max(int(height * scale), 1)))
        return _resized(ImageOps.exif_transpose(image), size, resize)


def _scale(have: tuple[int, int], want: tuple[int, int], resize: Resize) -> float:
    """Return how much of the resolution is kept along the axis that is shrunk least."""
    down, across = want[0] / have[0], want[1] / have[1]
    return min(down, across) if resize == "pad" else max(down, across)


def _resized(image: Image.Image, size: tuple[int, int], resize: Resize) -> Pixels:
    image = _as_rgb(image)
    height, width = size
    if resize == "squish" or image.size == (width, height):
        return _scaled(image, (width, height), (0, 0, *image.size))
    scale = _scale((image.height, image.width), size, resize)
    if resize == "pad":
        inner = (
            min(max(round(image.width * scale), 1), width),
            min(max(round(image.height * scale), 1), height),
        )
        pixels = np.zeros((height, width, 3), np.uint8)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        pixels[top : top + inner[1], left : left + inner[0]] = _scaled(image, inner, (0, 0, *image.size))
        return pixels
    across, down = width / scale, height / scale
    left_edge, top_edge = max((image.width - across) / 2, 0), max((image.height - down) / 2, 0)
    box = (left_edge, top_edge, min(left_edge + across, image.width), min(top_edge + down, image.height))
    return _scaled(image, (width, height), box)


def _scaled(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Pixels:
    if image.size == size and tuple(box) == (0, 0, *image.size):
        return np.array(image, np.uint8)
    return np.array(image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0))


def _as_rgb(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB: alpha is laid on white, deeper greys are scaled down, palettes and CMYK are converted."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_to_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(values: NDArray[Any]) -> Pixels:
    """Scale greys to 0..255: floats up to 1 as fractions, integers above 255 as 16-bit; what is no number is black."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    top = float(values.max(initial=0))
    if np.issubdtype(values.dtype, np.floating) and top <= 1:
        values = values * 255
    elif top > 255 or values.dtype == np.uint16:
        values = values / 257
    pixels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise DataError(
            f"Cannot read an image from an array of {pixels.dtype}, shape {pixels.shape}.",
            "uint8 pixels from 0 to 255, of shape (height, width) or (height, width, 1, 3 or 4).",
            "convert it, for example (array * 255).astype('uint8').",
        )
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _guarded(name: str, read: Callable[[], Pixels]) -> Pixels:
    try:
        return read()
    except FileNotFoundError as error:
        raise DataError(f"No such file: {name}.", "an image file.", "check the path.") from error
    except IsADirectoryError as error:
        raise DataError(
            f"{name} is a directory.", "an image file.", "leave it out, or name the files in it."
        ) from error
    except PermissionError as error:
        raise DataError(f"{name} may not be read.", "permission to read it.", f"chmod +r {name}") from error
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name} is too large: {error}",
            f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, so that no image can exhaust the memory.",
            "shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it.",
        ) from error
    except UnidentifiedImageError as error:
        size = Path(name).stat().st_size if os.path.exists(name) else 0
        what = f"{name} is empty (0 bytes)." if not size else f"{name} is no image: its content is none that we know."
        raise DataError(what, "a JPEG, PNG, GIF, BMP, TIFF or WebP file.", "remove or replace it.") from error
    # PIL raises any of these on damaged files and metadata.
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error) as error:
        raise DataError(
            f"{name} is damaged: {error}.",
            "a complete image file.",
            "replace it, or pass on_bad_item='skip'.",
        ) from error
