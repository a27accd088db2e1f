"""The way of a pixel, first half: from any image file to uint8 RGB of the wanted size, decoding no more than needed."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from onecycle.errors import DataError

Resize = Literal["crop", "squish", "pad"]
Pixels = NDArray[np.uint8]


class Frame(NamedTuple):
    """The original's (height, width), and the box of it that a read image shows, all in pixels of the original.

    A padded image shows more than the original: its box begins before 0 or ends beyond the edge.
    """

    height: float
    width: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom)."""
        return self[2:]


def frame_of(have: tuple[int, int], size: tuple[int, int], resize: Resize) -> Frame:
    """Return what an image of `size` shows of an original of (height, width) `have`."""
    (height, width), (wanted_height, wanted_width) = have, size
    if resize == "squish" or have == size:
        return Frame(height, width, 0, 0, width, height)
    if resize == "pad":
        left, top, inner_width, inner_height = padded((width, height), size)
        across, down = width / inner_width, height / inner_height
        right, bottom = (wanted_width - left) * across, (wanted_height - top) * down
        return Frame(height, width, -left * across, -top * down, right, bottom)
    scale = _scale(have, size, resize)
    across, down = wanted_width / scale, wanted_height / scale
    left_edge, top_edge = max((width - across) / 2, 0), max((height - down) / 2, 0)
    return Frame(height, width, left_edge, top_edge, min(left_edge + across, width), min(top_edge + down, height))


def padded(have: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return where an image of (width, height) `have` lies when padded to (height, width) `size`.

    Returns:
        Left, top, width and height, in pixels of the padded image.
    """
    height, width = size
    scale = _scale((have[1], have[0]), size, "pad")
    inner_width = min(max(round(have[0] * scale), 1), width)
    inner_height = min(max(round(have[1] * scale), 1), height)
    return (width - inner_width) // 2, (height - inner_height) // 2, inner_width, inner_height


# First bytes of the formats we read. A file is what its content says, whatever its name says.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")


def is_image(head: bytes) -> bool:
    """Tell from a file's first 16 bytes whether it is an image: JPEG, PNG, GIF, BMP, TIFF or WebP."""
    return head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def decode(source: Any, size: tuple[int, int], resize: Resize = "crop") -> Pixels:
    """Read an image at the wanted size; the arguments and errors are those of `decode_framed`."""
    return decode_framed(source, size, resize)[0]


def decode_framed(source: Any, size: tuple[int, int], resize: Resize = "crop") -> tuple[Pixels, Frame]:
    """Read an image at the wanted size, and tell which part of the original it shows.

    Args:
        source: A path, a PIL image, or an array of uint8 pixels, (height, width) or (height, width, 1, 3 or 4).
        size: Wanted (height, width).
        resize: "crop" cuts the middle out, "squish" changes the aspect ratio, "pad" adds black borders.
    Returns:
        RGB pixels, uint8, (height, width, 3), and the frame of the original that they show.
    Raises:
        DataError: The source is no readable image.
    """
    if isinstance(source, str | os.PathLike):
        return guarded(str(source), lambda: _decode_file(str(source), size, resize))
    if isinstance(source, Image.Image):
        return guarded("the image", lambda: _framed(ImageOps.exif_transpose(source), size, resize))
    if isinstance(source, np.ndarray):
        return _framed(_from_array(source), size, resize)
    raise DataError(
        f"Cannot read an image from {type(source).__name__}.",
        "a path, a PIL image or a numpy array.",
        "convert it first.",
    )


def decode_whole(source: Any) -> Pixels:
    """Read an image at its own size, with the errors of `decode`; uint8, (height, width, 3)."""
    return decode(source, original_size(source), "squish")


def original_size(source: Any) -> tuple[int, int]:
    """Return an image's own (height, width), turned as EXIF says; of a file only the head is read.

    Raises:
        DataError: The source is no readable image.
    """
    if isinstance(source, np.ndarray):
        return int(source.shape[0]), int(source.shape[1])
    if isinstance(source, Image.Image):
        return guarded("the image", lambda: _turned_size(source)[0])

    def read() -> tuple[int, int]:
        with Image.open(source) as image:
            return _turned_size(image)[0]

    return guarded(str(source), read)


def _turned_size(image: Image.Image) -> tuple[tuple[int, int], bool]:
    """Return (height, width) after turning, and whether it is turned by a quarter, so that they change places."""
    # Of a TIFF, PIL has turned the size already.
    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8) and image.format != "TIFF"
    return ((image.width, image.height) if turned else (image.height, image.width)), turned


def _decode_file(path: str, size: tuple[int, int], resize: Resize) -> tuple[Pixels, Frame]:
    with Image.open(path) as image:
        width, height = image.size
        own_size, turned = _turned_size(image)
        size_on_disk = (size[1], size[0]) if turned else size
        scale = _scale((height, width), size_on_disk, resize)
        # JPEG can decode at 1/2, 1/4 and 1/8: draft picks the smallest that still covers what is asked for.
        image.draft(None, (max(int(width * scale), 1), max(int(height * scale), 1)))
        return _resized(ImageOps.exif_transpose(image), size, resize), frame_of(own_size, size, resize)


def _framed(image: Image.Image, size: tuple[int, int], resize: Resize) -> tuple[Pixels, Frame]:
    return _resized(image, size, resize), frame_of((image.height, image.width), size, resize)


def _scale(have: tuple[int, int], want: tuple[int, int], resize: Resize) -> float:
    """Return how much of the resolution is kept along the axis that is shrunk least."""
    down, across = want[0] / have[0], want[1] / have[1]
    return min(down, across) if resize == "pad" else max(down, across)


def _resized(image: Image.Image, size: tuple[int, int], resize: Resize) -> Pixels:
    image = _as_rgb(image)
    height, width = size
    if resize != "pad":
        return _scaled(image, (width, height), frame_of((image.height, image.width), size, resize).box)
    left, top, inner_width, inner_height = padded(image.size, size)
    pixels = np.zeros((height, width, 3), np.uint8)
    inner = _scaled(image, (inner_width, inner_height), (0, 0, *image.size))
    pixels[top : top + inner_height, left : left + inner_width] = inner
    return pixels


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


ReadT = TypeVar("ReadT")


def guarded(name: str, read: Callable[[], ReadT]) -> ReadT:
    """Call `read`, and turn whatever it raises on the file called `name` into a `DataError`."""
    try:
        return read()
    except DataError:
        raise
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
        head = Path(name).read_bytes()[:16] if os.path.exists(name) else b""
        if is_image(head):
            raise _damaged(name, "it is cut off") from error
        what = f"{name} is no image: its content is none that we know." if head else f"{name} is empty (0 bytes)."
        raise DataError(what, "a JPEG, PNG, GIF, BMP, TIFF or WebP file.", "remove or replace it.") from error
    # PIL raises any of these on damaged files and metadata.
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error) as error:
        raise _damaged(name, str(error)) from error


def _damaged(name: str, why: str) -> DataError:
    return DataError(f"{name} is damaged: {why}.", "a complete image file.", "replace it, or pass on_bad_item='skip'.")
