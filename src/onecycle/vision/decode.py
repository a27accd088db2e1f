"""Decodes any image file to uint8 RGB of a given size, at the smallest scale that the size needs."""

from __future__ import annotations

import importlib
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from onecycle.data.contents import Contents
from onecycle.errors import DataError
from onecycle.given_items import contents_of_opened
from onecycle.vision.decode_memory import decoding_bytes, exif_orientation, memory_for
from onecycle.vision.read_options import ReadOptions
from onecycle.vision.rgb import Box, Pixels, conversion_bytes, resize_as_rgb

Resize = Literal["crop", "squish", "pad"]
KINDS = "JPEG, PNG, GIF, BMP, TIFF, WebP, AVIF, HEIC, JPEG 2000 or PPM"
_PLAIN = ReadOptions()
_CHANNELS = (1, 3, 4)


class ImageGeometry(NamedTuple):
    """The size of an original image, and the box of it that a resized image shows, all in pixels of the original.

    A padded image shows more than the original: its box starts below 0 or ends beyond the edge.
    """

    height: float
    width: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def box(self) -> Box:
        """(left, top, right, bottom)."""
        return self[2:]


Decoded = tuple[Pixels, ImageGeometry]


def compute_geometry(original: tuple[int, int], size: tuple[int, int], resize: Resize) -> ImageGeometry:
    """Return which box of an original of (height, width) `original` an image of (height, width) `size` shows.

    Example:
        >>> compute_geometry((100, 300), (50, 50), "crop").box
        (100.0, 0.0, 200.0, 100.0)
    """
    (height, width), (new_height, new_width) = original, size
    if resize == "squish" or original == size:
        return ImageGeometry(height, width, 0, 0, width, height)
    if resize == "pad":
        left, top, inner_width, inner_height = padding_box((width, height), size)
        x_scale, y_scale = width / inner_width, height / inner_height
        right, bottom = (new_width - left) * x_scale, (new_height - top) * y_scale
        return ImageGeometry(height, width, -left * x_scale, -top * y_scale, right, bottom)
    scale = _scale(original, size, resize)
    box_width, box_height = new_width / scale, new_height / scale
    left_edge, top_edge = max((width - box_width) / 2, 0), max((height - box_height) / 2, 0)
    right_edge, bottom_edge = min(left_edge + box_width, width), min(top_edge + box_height, height)
    return ImageGeometry(height, width, left_edge, top_edge, right_edge, bottom_edge)


def padding_box(original: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box of an image of (width, height) `original` after padding to (height, width) `size`.

    Returns:
        Left, top, width and height, in pixels of the padded image.
    """
    height, width = size
    scale = _scale((original[1], original[0]), size, "pad")
    inner_width = min(max(round(original[0] * scale), 1), width)
    inner_height = min(max(round(original[1] * scale), 1), height)
    return (width - inner_width) // 2, (height - inner_height) // 2, inner_width, inner_height


# What is decoded. Pillow reads others, too, and starts a foreign program for one of them (PostScript).
_FORMATS = frozenset({"JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "HEIF", "JPEG2000", "PPM"})
# First bytes of the supported formats. The content decides, not the file's name.
_SIGNATURES = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
    b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51",
)  # fmt: skip
_PPM = re.compile(rb"P[1-6]\s+[\d#]")
_AVIF = frozenset({b"avif", b"avis"})
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})


def is_image(head: bytes) -> bool:
    """Return whether a file's first 16 bytes are those of an image of a supported format, see `KINDS`.

    Example:
        >>> is_image(b"GIF89a"), is_image(b"hello")
        (True, False)
    """
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_SIGNATURES) or webp or _brand(head) in _AVIF | _HEIF or bool(_PPM.match(head))


def _brand(head: bytes) -> bytes:
    """Return which of the formats in an ISO container this is; empty where it is none."""
    return head[8:12] if head[4:8] == b"ftyp" else b""


def decode(source: Any, size: tuple[int, int], resize: Resize = "crop", options: ReadOptions = _PLAIN) -> Pixels:
    """Read an image at a given size.

    Args:
        source: A path, the bytes of a file, an opened file, a PIL image, or an array of uint8 pixels, (height, width)
            or (height, width, 1, 3 or 4). Bytes are decoded as the file they are from; of a PIL image, which has its
            pixels already, the last digits differ.
        size: Output (height, width).
        resize: "crop" cuts out the middle, "squish" changes the aspect ratio, "pad" adds black borders.
        options: The range of deep greys, the page, and whether EXIF orientation is applied.
    Returns:
        RGB pixels, uint8, (height, width, 3).
    Raises:
        DataError: The source is not a readable image.
    Example:
        >>> import numpy as np
        >>> decode(np.zeros((100, 200, 3), np.uint8), (32, 48)).shape
        (32, 48, 3)
    """
    return decode_with_geometry(source, size, resize, options)[0]


def decode_with_geometry(
    source: Any, size: tuple[int, int], resize: Resize = "crop", options: ReadOptions = _PLAIN
) -> tuple[Pixels, ImageGeometry]:
    """Read an image as `decode` does; also return which part of the original it shows."""
    source = _as_contents(source)
    if isinstance(source, str | os.PathLike):
        return read_safely(str(source), lambda: _decode_file(str(source), size, resize, options))
    if isinstance(source, Contents):
        return read_safely(source.name, lambda: _decode_contents(source, size, resize, options), source.data[:16])
    if isinstance(source, Image.Image):
        return read_safely("the image", lambda: _decode_image(source, size, resize, options))
    if isinstance(source, np.ndarray):
        return _resize_with_geometry(_from_array(source), size, resize, options)
    fixes = {
        "list": "call predict_many([...]) for several images.",
        "Tensor": "convert it: (tensor * 255).byte().permute(1, 2, 0).numpy(), for values from 0 to 1.",
    }
    raise DataError(
        f"Cannot read an image from {type(source).__name__}.",
        "a path, the bytes of a file, an opened file, a PIL image or a numpy array.",
        fixes.get(type(source).__name__, "pass the path of an image."),
    )


def check_is_no_image(items: Any) -> None:
    """Refuse an array that is one image in the place of several: its rows would be read as grey images.

    Raises:
        DataError: It is one.
    """
    if isinstance(items, np.ndarray) and items.dtype == np.uint8 and items.ndim == 3 and items.shape[2] in _CHANNELS:
        raise DataError(
            f"One image, an array of shape {items.shape}.", "a list of images, or an array (images, height, width, 3).",
            "call predict(image), or pass [image].",
        )  # fmt: skip


def _as_contents(source: Any) -> Any:
    """Return the bytes of a file, or an opened one, as what is decoded like a file; anything else as it is."""
    if not isinstance(source, bytes | bytearray | memoryview):
        if isinstance(source, Image.Image) or not callable(getattr(source, "read", None)):
            return source
        source = contents_of_opened(source)
        if isinstance(source, str):
            raise DataError(
                "The file was opened as text.", "one opened for bytes.", "pass its path, or open(path, 'rb')."
            )
    return Contents("the image", bytes(source))


def original_size(source: Any, options: ReadOptions = _PLAIN) -> tuple[int, int]:
    """Return an image's own (height, width) as it is read: turned by its EXIF orientation, unless that is ignored.

    Only a file's header is read.

    Raises:
        DataError: The source is not a readable image.
    """
    source = _as_contents(source)
    if isinstance(source, np.ndarray):
        return int(source.shape[0]), int(source.shape[1])
    if isinstance(source, Image.Image):
        return read_safely("the image", lambda: _oriented_size(source, options)[0])
    if isinstance(source, Contents):
        return read_safely(source.name, lambda: _size_of_contents(source, options), source.data[:16])

    def read() -> tuple[int, int]:
        with open_image(str(source)) as image:
            turn_to_page(image, str(source), options)
            return _oriented_size(image, options)[0]

    return read_safely(str(source), read)


@contextmanager
def open_image(path: str) -> Iterator[Image.Image]:
    """Open an image file of a supported format; only its header is read."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise IsADirectoryError(path) if os.path.isdir(path) else _not_a_file(path)  # a pipe would block
    with _open_known(path) as image:
        yield image


@contextmanager
def open_source(source: str | Contents) -> Iterator[Image.Image]:
    """Open an image file, or the contents of one; only its header is read."""
    with open_image(source) if isinstance(source, str) else _open_known(io.BytesIO(source.data)) as image:
        yield image


@contextmanager
def _open_known(file: str | BinaryIO) -> Iterator[Image.Image]:
    try:
        opened = Image.open(file)
    except UnidentifiedImageError:
        if not _reads_heif(file):
            raise
        opened = Image.open(file)
    with opened as image:
        if image.format not in _FORMATS:
            raise UnidentifiedImageError(f"{image.format} is not read")
        yield image


def _reads_heif(file: str | BinaryIO) -> bool:
    """Return whether a file is in HEIF, and `pillow-heif` is there to read it; Pillow knows of it from then on."""
    if isinstance(file, str):
        head = _head(file)
    else:
        file.seek(0)
        head = file.read(16)
        file.seek(0)
    if _brand(head) not in _HEIF:
        return False
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True


def turn_to_page(image: Image.Image, name: str, options: ReadOptions) -> None:
    """Go to the page of an opened file that is to be read.

    Raises:
        DataError: It has fewer pages.
    """
    if not options.page:
        return
    count = getattr(image, "n_frames", 1)
    if options.page >= count:
        raise DataError(
            f"{name} has {count:,} page{'s' if count > 1 else ''}, and page={options.page} was asked for.",
            f"a page from 0 to {count - 1}." if count > 1 else "page=0 for files of one page.",
            f"pass page={count - 1}, or leave out files with fewer pages.",
        )
    image.seek(options.page)


def _oriented_size(image: Image.Image, options: ReadOptions = _PLAIN) -> tuple[tuple[int, int], bool]:
    """Return (height, width) as the image is read, and whether the EXIF orientation swaps those of the opened one."""
    # PIL applies the orientation of a TIFF to its size already.
    sideways = exif_orientation(image) in (5, 6, 7, 8)
    swapped = sideways and (image.format != "TIFF") == options.upright
    return ((image.width, image.height) if swapped else (image.height, image.width)), swapped


def _decode_file(path: str, size: tuple[int, int], resize: Resize, options: ReadOptions) -> Decoded:
    with open_image(path) as image:
        return _decode_opened(image, path, os.path.getsize(path), size, resize, options)


def _decode_contents(contents: Contents, size: tuple[int, int], resize: Resize, options: ReadOptions) -> Decoded:
    with _open_known(io.BytesIO(contents.data)) as image:
        return _decode_opened(image, contents.name, len(contents.data), size, resize, options)


def _size_of_contents(contents: Contents, options: ReadOptions) -> tuple[int, int]:
    with _open_known(io.BytesIO(contents.data)) as image:
        return _oriented_size(image, options)[0]


def _decode_opened(
    image: Image.Image, name: str, file_bytes: int, size: tuple[int, int], resize: Resize, options: ReadOptions
) -> Decoded:
    turn_to_page(image, name, options)
    width, height = image.size
    own_size, swapped = _oriented_size(image, options)
    size_on_disk = (size[1], size[0]) if swapped else size
    scale = _scale((height, width), size_on_disk, resize)
    # JPEG can decode at 1/2, 1/4 and 1/8: draft picks the smallest scale that covers the requested size.
    image.draft(None, (max(int(width * scale), 1), max(int(height * scale), 1)))
    needed = decoding_bytes(image, width * height, file_bytes)
    with memory_for(name, image, needed + conversion_bytes(image.size, size)):
        return _resize(_turned(image, options), size, resize, options), compute_geometry(own_size, size, resize)


def _turned(image: Image.Image, options: ReadOptions) -> Image.Image:
    """Return an image turned as its EXIF data says, or as it is stored."""
    if options.upright:
        ImageOps.exif_transpose(image, in_place=True)
        return image
    orientation = exif_orientation(image)
    if image.format != "TIFF" or orientation not in _TURNED_BACK:
        return image
    image.load()  # which turns a TIFF
    return image.transpose(_TURNED_BACK[orientation])


# What undoes each orientation.
_TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def _decode_image(image: Image.Image, size: tuple[int, int], resize: Resize, options: ReadOptions) -> Decoded:
    needed = decoding_bytes(image, image.width * image.height, 0)
    with memory_for("The image", image, needed + conversion_bytes(image.size, size)):
        return _resize_with_geometry(_turned(image.copy(), options), size, resize, options)


def _resize_with_geometry(image: Image.Image, size: tuple[int, int], resize: Resize, options: ReadOptions) -> Decoded:
    return _resize(image, size, resize, options), compute_geometry((image.height, image.width), size, resize)


def _scale(original: tuple[int, int], size: tuple[int, int], resize: Resize) -> float:
    """Return the scale at which an image covers a (height, width), or fits into it for "pad"."""
    vertical, horizontal = size[0] / original[0], size[1] / original[1]
    return min(vertical, horizontal) if resize == "pad" else max(vertical, horizontal)


def _resize(image: Image.Image, size: tuple[int, int], resize: Resize, options: ReadOptions) -> Pixels:
    height, width = size
    if resize != "pad":
        box = compute_geometry((image.height, image.width), size, resize).box
        return np.array(resize_as_rgb(image, (width, height), box, options.range), np.uint8)
    left, top, inner_width, inner_height = padding_box(image.size, size)
    pixels = np.zeros((height, width, 3), np.uint8)
    inner = resize_as_rgb(image, (inner_width, inner_height), (0, 0, *image.size), options.range)
    pixels[top : top + inner_height, left : left + inner_width] = np.asarray(inner)
    return pixels


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in _CHANNELS)
    if pixels.dtype != np.uint8 or not is_image or not pixels.size:
        raise DataError(
            f"Cannot read an image from an array of {pixels.dtype}, shape {pixels.shape}.",
            "uint8 pixels from 0 to 255, of shape (height, width) or (height, width, 1, 3 or 4).",
            _how_to_convert(pixels),
        )
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _how_to_convert(pixels: NDArray[Any]) -> str:
    """Return the fix for an array that is no image."""
    if not pixels.size:
        return "leave it out: it has no pixel."
    steps = "array"
    if pixels.ndim == 3 and pixels.shape[2] not in _CHANNELS and pixels.shape[0] in _CHANNELS:
        steps += ".transpose(1, 2, 0)"
    elif pixels.ndim == 4:
        return "pass one of its images to predict(), or all of them as predict_many(array)."
    elif pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in _CHANNELS):
        return "pass an array of one of these shapes, such as array[..., :3] of more channels."
    if pixels.dtype == np.uint8:
        return f"pass {steps}."
    if pixels.dtype == np.uint16:
        return f"convert it, for example ({steps} // 257).astype('uint8') where white is 65535."
    if pixels.dtype == bool or (np.issubdtype(pixels.dtype, np.floating) and np.nanmax(np.abs(pixels)) <= 1):
        return f"convert it, for example ({steps} * 255).astype('uint8')."
    return f"convert it, for example {steps}.clip(0, 255).astype('uint8')."


ReadT = TypeVar("ReadT")


def read_safely(name: str, read: Callable[[], ReadT], head: bytes | None = None) -> ReadT:
    """Call `read`, and turn any error about the image file called `name` into a `DataError`.

    Args:
        name: The file's path, or the name of what has none.
        read: Reads it.
        head: Its first 16 bytes; None reads them from the file where an error needs them.
    """
    try:
        return read()
    except DataError:
        raise
    except Exception as error:  # codecs raise any kind for damaged files and metadata
        raise _as_data_error(name, error, head) from error


def _as_data_error(name: str, error: Exception, head: bytes | None) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"No such file: {name}.", "an image file.", "check the path.")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{name} is a directory.", "an image file.", "remove it from the list, or list its files.")
    if isinstance(error, PermissionError):
        return DataError(
            f"{name} cannot be read: permission denied.", "permission to read it.", f"chmod +r {name}", can_skip=True
        )
    if isinstance(error, Image.DecompressionBombError):
        return DataError(
            f"{name} is too large: {error}",
            f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, so that no image can exhaust the memory.",
            "resize it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it.",
            shell_fix="resize it.",
            can_skip=True,
        )
    if isinstance(error, MemoryError):
        return DataError(
            f"{name} takes more memory to decode than there is.", "an image that fits into memory.",
            "replace or resize it, or use fewer workers.", can_skip=True,
        )  # fmt: skip
    if isinstance(error, UnidentifiedImageError):
        head = _head(name) if head is None else head
        if _brand(head) in _AVIF | _HEIF:
            return _no_reader(name, _brand(head))
        if is_image(head):
            return _damaged(name, "it is truncated")
        what = f"{name} is not an image of a known format." if head else f"{name} is empty (0 bytes)."
        return DataError(what, f"a {KINDS} file.", "remove or replace it.", can_skip=True)
    return _damaged(name, str(error) or type(error).__name__)


def _no_reader(name: str, brand: bytes) -> DataError:
    if brand in _AVIF and not features.check("avif"):
        return DataError(
            f"{name} is an AVIF image, which Pillow {PIL.__version__} does not read here.",
            "Pillow 11.3 or newer, with AVIF.", "pip install -U pillow, or convert it to JPEG.",
        )  # fmt: skip
    if brand in _AVIF or sys.modules.get("pillow_heif") is not None:
        return _damaged(name, "it is truncated")
    return DataError(
        f"{name} is a HEIC image, which Pillow reads with pillow-heif alone.", "the extra `heif`.",
        "pip install 'onecycle[heif]', or convert it to JPEG.",
    )  # fmt: skip


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _not_a_file(path: str) -> DataError:
    return DataError(f"{path} is not a regular file.", "an image file.", "remove it from the list.")


def _damaged(name: str, why: str) -> DataError:
    return DataError(f"{name} is damaged: {why}.", "a complete image file.", "replace it.", can_skip=True)
