"""A part of a file that was opened without waiting, and without following anything but files."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

BLOCK = 2**20


class Span(NamedTuple):
    """Bytes of an open file.

    Attributes:
        file: The file.
        start: Where they begin.
        size: How many there are.
    """

    file: BinaryIO
    start: int
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Return some of the bytes; fewer where the file ends before."""
        self.file.seek(self.start + offset)
        return self.file.read(size)

    def sha256(self) -> str:
        """Return the checksum of all of them, read in blocks."""
        digest = hashlib.sha256()
        for block in self._blocks():
            digest.update(block)
        return digest.hexdigest()

    def _blocks(self) -> Iterator[bytes]:
        self.file.seek(self.start)
        left = self.size
        while left > 0 and (block := self.file.read(min(BLOCK, left))):
            yield block
            left -= len(block)


class NotAFileError(ValueError):
    """What was to be opened is a pipe, a device, a socket, a folder, or a link where none may be."""


def open_file(path: Path, *, links: bool) -> tuple[BinaryIO, int]:
    """Return an open file and its size. It never waits, as opening a pipe would.

    Args:
        path: The file.
        links: Whether it may be a link to a file.
    Raises:
        OSError: It cannot be opened.
        NotAFileError: It is something else.
    """
    found = path.stat() if links else path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise NotAFileError(_describe(found.st_mode))
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | (0 if links else getattr(os, "O_NOFOLLOW", 0)))
    opened = os.fstat(descriptor)
    if not stat.S_ISREG(opened.st_mode):  # replaced in between
        os.close(descriptor)
        raise NotAFileError(_describe(opened.st_mode))
    return os.fdopen(descriptor, "rb"), opened.st_size


def _describe(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "no file")
