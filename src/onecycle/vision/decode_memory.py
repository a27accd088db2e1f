"""What decoding an image takes, told from its header, and the limit on what a process may take for it.

A file of a few kilobytes can hold an image of gigabytes. The limit is 1 GB a process; the environment variable
ONECYCLE_DECODE_LIMIT sets another, in bytes or as 500M or 4G. Threads that decode at the same time share it: who would
exceed it waits for the others.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from onecycle.errors import DataError

VARIABLE, DEFAULT_LIMIT = "ONECYCLE_DECODE_LIMIT", 10**9
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}

# Bytes a pixel that a codec holds besides the image itself, measured: WebP keeps two canvases, its own picture and a
# copy; AVIF its planes, their RGB and a copy; JPEG 2000 a whole number a sample, twice.
_CODEC_BYTES = {"WEBP": 16, "AVIF": 16, "HEIF": 16, "JPEG2000": 20, "BMP": 3, "GIF": 2, "PPM": 4}
_ROW_BYTES = 16  # two rows of at most 8 bytes a pixel


def decode_limit() -> int:
    """Return how many bytes decoding may take in this process.

    Raises:
        DataError: The environment variable holds something else than a number of bytes.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return DEFAULT_LIMIT
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)B?", text.strip().upper())
    if match is None or not (limit := int(float(match[1]) * _UNITS[match[2]])):
        raise DataError(
            f"{VARIABLE}={text!r}.", "a number of bytes, such as 1000000000, 500M or 4G.", f"set {VARIABLE}=1G."
        )
    return limit


def exif_orientation(image: Image.Image) -> Any:
    """Return the EXIF orientation of an opened image, 1 where it says none; damaged files may say anything."""
    return image.getexif().get(0x0112, 1)


def is_turned(image: Image.Image) -> bool:
    """Return whether the EXIF orientation of an opened image turns or mirrors it."""
    return exif_orientation(image) in range(2, 9)


def decoding_bytes(image: Image.Image, pixels_on_disk: int, file_bytes: int) -> int:
    """Return at most how many bytes it takes to decode an opened image and turn it upright.

    Args:
        image: Opened, and drafted at the scale at which it is to be decoded; its pixels are not read.
        pixels_on_disk: How many pixels the file holds, before the draft.
        file_bytes: The size of the file, which some codecs read whole.
    """
    pixels = image.width * image.height
    held = pixels * _bytes_per_pixel(image.mode)
    turned = held if exif_orientation(image) != 1 else 0
    return held + turned + _codec_bytes(image, pixels_on_disk) + image.width * _ROW_BYTES + file_bytes


def _bytes_per_pixel(mode: str) -> int:
    """Return what Pillow's memory takes for a pixel: RGB takes 4 bytes, too."""
    return 1 if mode in ("1", "L", "P") else 2 if mode.startswith("I;16") else 4


def _codec_bytes(image: Any, pixels: int) -> int:
    if image.format in ("JPEG", "MPO"):
        # A file of several scans is decoded from all its coefficients, 16 bits each, whatever the scale.
        shares = [horizontal * vertical for _, horizontal, vertical, _ in getattr(image, "layer", ())]
        return 2 * pixels * sum(shares) // max(*shares, 1) if shares else 8 * pixels
    if image.format == "TIFF":
        # A strip or tile may be the whole image, and a tile larger than it.
        tags = image.tag_v2
        tile = _first(tags.get(322)) * _first(tags.get(323))
        return max(pixels, tile) * max(sum(_numbers(tags.get(258))) // 8, 4)
    return pixels * _CODEC_BYTES.get(image.format or "", 0)


def _numbers(value: Any) -> list[int]:
    values = value if isinstance(value, tuple) else (value,)
    return [int(one) for one in values if one]


def _first(value: Any) -> int:
    return (_numbers(value) or [0])[0]


class _Budget:
    """How many bytes are taken now; whoever would exceed the limit waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0

    def take(self, count: int, limit: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + count <= limit)
            self._taken += count

    def give_back(self, count: int) -> None:
        with self._changed:
            self._taken -= count
            self._changed.notify_all()


_budget = _Budget()


def _forget() -> None:
    """Start anew in a forked worker: the threads that would give back are not there."""
    global _budget
    _budget = _Budget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def memory_for(name: str, image: Image.Image, needed: int) -> Iterator[None]:
    """Take `needed` bytes of the process's limit while an image is decoded; wait until they are there.

    Args:
        name: The file's name, for the error.
        image: The opened image, for the error.
        needed: Bytes, see `decoding_bytes`.
    Raises:
        DataError: The image alone exceeds the limit.
    """
    limit, budget = decode_limit(), _budget
    if needed > limit:
        raise DataError(
            f"{name} takes {_in_words(needed)} to decode: "
            f"{image.width}x{image.height} pixels, {image.format or 'an image'} of mode {image.mode}.",
            f"at most {_in_words(limit)}, which is what decoding may take in a process.",
            f"resize the image; or if you trust it, set the environment variable {VARIABLE}={needed // 10**6 + 1}M.",
        )
    budget.take(needed, limit)
    try:
        yield
    finally:
        budget.give_back(needed)


def _in_words(count: int) -> str:
    return f"{count / 10**9:,.1f} GB" if count >= 10**9 else f"{count / 10**6:,.1f} MB"
