"""Where the files in a zip lie. Only zips as `write_bundle` makes them are read: plain files, one after another."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

from onecycle.bundle.span import Span

# A zip with a larger directory is not read at all: a bundle has two files.
LARGEST_DIRECTORY = 2**20
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError)


class NotOurZipError(ValueError):
    """It is a zip, but not one that `write_bundle` made."""


def find_members(file: BinaryIO, size: int, check_names: Callable[[list[str]], None]) -> dict[str, Span]:
    """Return where each file of a zip lies.

    Args:
        file: The zip.
        size: Its length in bytes.
        check_names: Called with the names, before anything else is looked at.
    Raises:
        ValueError: It is no zip, or was cut short.
        NotOurZipError: It has other data, a name twice, or links, or is compressed or encrypted.
    """
    _check_end(file, size)
    try:
        archive = zipfile.ZipFile(file)
        entries, directory = archive.infolist(), archive.start_dir
    except _UNREADABLE as error:
        raise ValueError(str(error)) from error
    names = [entry.filename for entry in entries]
    check_names(names)
    if len(set(names)) != len(names):
        raise NotOurZipError("it has a file twice")
    found, end = {}, 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        _check_entry(entry)
        if entry.header_offset != end:
            raise NotOurZipError("it has data before or between its files")
        start = end + _header_length(file, entry)
        end = start + entry.file_size
        found[entry.filename] = Span(file, start, entry.file_size)
    if end != directory:
        raise NotOurZipError("it has data after its files")
    return found


def _check_end(file: BinaryIO, size: int) -> None:
    """Refuse a zip that does not end where its file ends, or with a directory that would take much memory."""
    file.seek(max(size - 98, 0))
    tail = file.read(98)
    end = tail[-22:]
    if len(end) < 22 or not end.startswith(b"PK\5\6") or not end.endswith(b"\0\0"):
        raise ValueError("it does not end as a zip does")
    lengths = [int.from_bytes(end[12:16], "little")]
    if tail[-42:-38] == b"PK\6\7":
        lengths = [int.from_bytes(tail[-98 + 40 : -98 + 48], "little")]
    if max(lengths) > LARGEST_DIRECTORY:
        raise ValueError(f"its list of files has {max(lengths):,} bytes")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise NotOurZipError(f"{entry.filename} is a link or no file")
    if entry.flag_bits & 0x1:
        raise NotOurZipError(f"{entry.filename} is encrypted")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise NotOurZipError(f"{entry.filename} is compressed")


def _header_length(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) < 30 or not header.startswith(b"PK\3\4"):
        raise NotOurZipError(f"{entry.filename} has no header")
    name, extra = struct.unpack("<2H", header[26:30])
    if file.read(name) != entry.filename.encode():
        raise NotOurZipError(f"{entry.filename} has another name in its header")
    return int(30 + name + extra)
