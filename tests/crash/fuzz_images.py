"""Reads mutated images and masks. argv: how many. Exits with 1 where anything but our own error comes out.

Decoding is limited to 200 MB, so that what takes more than it was told to take shows.
"""

from __future__ import annotations

import io
import os
import random
import sys
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import MUTATIONS, Case, main
from PIL import Image, features

from onecycle.vision.decode import decode_with_geometry
from onecycle.vision.mask_files import read_mask_values

LIMIT = 200_000_000

KINDS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "JPEG": [("RGB", {}), ("RGB", {"progressive": True}), ("L", {}), ("CMYK", {})],
    "PNG": [("RGB", {}), ("RGBA", {}), ("P", {}), ("L", {}), ("1", {}), ("LA", {}), ("I;16", {})],
    "WEBP": [("RGB", {}), ("RGBA", {}), ("RGB", {"lossless": True}), ("RGB", {"save_all": True})],
    "GIF": [("P", {}), ("RGB", {"save_all": True})],
    "BMP": [("RGB", {}), ("P", {}), ("1", {})],
    "TIFF": [
        ("RGB", {}), ("RGB", {"compression": "tiff_lzw"}), ("RGB", {"compression": "jpeg"}), ("I;16", {}),
        ("F", {"compression": "tiff_adobe_deflate"}), ("P", {"compression": "packbits"}),
        ("1", {"compression": "group4"}),
    ],
    "AVIF": [("RGB", {}), ("RGBA", {})],
}  # fmt: skip
AVAILABLE = [kind for kind in KINDS if kind not in ("WEBP", "AVIF") or features.check(kind.lower())]


@cache
def whole(kind: str, variant: int) -> bytes:
    """Return an image file that is not damaged."""
    mode, options = KINDS[kind][variant]
    rng = np.random.default_rng(variant)
    smooth = np.add.outer(np.arange(60), np.arange(80))[..., None] + rng.integers(0, 9, (60, 80, 3))
    image: Image.Image = Image.fromarray((smooth % 256).astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray((smooth[..., 0] * 300 % 65536).astype(np.uint16))
    elif mode != "RGB":
        image = image.convert(mode)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    extra = {"append_images": [image.rotate(90)]} if options.get("save_all") else {}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options, **extra, **({} if kind in ("GIF", "BMP") else {"exif": exif.tobytes()}))
    return buffer.getvalue()


def with_right_checksums(data: bytearray) -> None:
    """Give every chunk of a PNG the checksum of what it holds now, so that more than the checksum is tried."""
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 8 + length
        data[end : end + 4] = zlib.crc32(data[place + 4 : end]).to_bytes(4, "big")
        place = end + 4


def case(number: int, folder: Path) -> Case:
    rng = random.Random(number)
    kind = AVAILABLE[number % len(AVAILABLE)]
    mutate = MUTATIONS[number // len(AVAILABLE) % len(MUTATIONS)]
    data = bytearray(whole(kind, rng.randrange(len(KINDS[kind]))))
    mutate(data, rng)
    if kind == "PNG" and rng.random() < 0.5:
        with_right_checksums(data)
    path = folder / f"image{rng.choice(('.jpg', '.png', '.tif'))}"
    path.write_bytes(data)

    def read() -> object:
        use = rng.choice(("image", "image", "mask", "colours"))
        if use == "image":
            size, method = rng.choice(((32, 32), (7, 90))), rng.choice(("crop", "squish", "pad"))
            return decode_with_geometry(path, size, method)
        return read_mask_values(path, [(value, value, value) for value in range(256)] if use == "colours" else None)

    return kind, mutate.__name__, read


if __name__ == "__main__":
    os.environ["ONECYCLE_DECODE_LIMIT"] = str(LIMIT)
    if len(sys.argv) == 4:
        decode_with_geometry(np.zeros((600, 600, 4), np.uint8), (32, 32), "crop")  # what is loaded at first use
        Image.init()
    main(__file__, case, LIMIT + 30_000_000)
