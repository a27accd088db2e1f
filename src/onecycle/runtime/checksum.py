"""Whether an exported file is as it was written: its last bytes are a checksum of those before them."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from onecycle.errors import BundleError

DIGITS = 8
CHUNK = 2**20


class Ending(NamedTuple):
    """The bytes before and after the hexadecimal digits of the checksum, at the end of a file."""

    before: bytes
    after: bytes = b""


# An entry of the metadata, field 14 of ModelProto: protobuf reads fields in any order, so that it can be the last one.
ONNX = Ending(b"\x72\x1a\x0a\x0eonecycle_crc32\x12\x08")
XML = Ending(b"<!-- onecycle_crc32 ", b" -->\n")


def with_checksum(content: bytes, ending: Ending, weights: bytes = b"") -> bytes:
    """Return the content of a file with its checksum at the end.

    Args:
        content: Of the file.
        ending: How the file says it.
        weights: The content of a second file, which counts too.
    Example:
        >>> with_checksum(b"<net/>", XML)
        b'<net/><!-- onecycle_crc32 68054d22 -->\\n'
    """
    return content + ending.before + _digits(zlib.crc32(weights, zlib.crc32(content))) + ending.after


def check_checksum(source: Path | bytes, ending: Ending, name: str, weights: Path | None = None) -> None:
    """Refuse a file whose bytes are not those that were written. Older files have no checksum, and are not checked.

    Args:
        source: Where it is, or all of it.
        ending: How it says its checksum.
        name: What it is called in errors.
        weights: The second file, which counts too.
    Raises:
        BundleError: Bytes of it are others.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        length = file.seek(0, os.SEEK_END) - len(ending.before) - DIGITS - len(ending.after)
        file.seek(max(length, 0))
        last = file.read()
        if length < 0 or not (last.startswith(ending.before) and last.endswith(ending.after)):
            return
        file.seek(0)
        found = _crc32(file, length)
    if weights is not None:
        with weights.open("rb") as file:
            found = _crc32(file, weights.stat().st_size, found)
    said = last[len(ending.before) :][:DIGITS]
    if _digits(found) != said:
        both = "" if weights is None else f" with {weights.name}"
        raise BundleError(
            f"{name}{both} is not as it was written: its checksum is {_digits(found).decode()}, and not "
            f"{said.decode(errors='replace')}.",
            "all bytes as export() wrote them.", f"copy {'both' if both else 'it'} again, or export it again.",
        )  # fmt: skip


def _crc32(file: BinaryIO, length: int, before: int = 0) -> int:
    for start in range(0, length, CHUNK):
        before = zlib.crc32(file.read(min(CHUNK, length - start)), before)
    return before


def _digits(checksum: int) -> bytes:
    return f"{checksum:08x}".encode()
