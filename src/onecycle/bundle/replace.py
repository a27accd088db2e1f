"""Replacing a file so that a reader finds the whole old one or the whole new one, whenever the writer dies."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from onecycle.disk import sync_folder

fcntl: Any = None
with contextlib.suppress(ImportError):  # Windows has none; there an open file cannot be removed, and needs no lock
    fcntl = importlib.import_module("fcntl")

_PART = re.compile(r"\..+\.[0-9a-f]{16}\.part")


class Part:
    """A file under a temporary name, locked while it is written, so that no other process takes it for a leftover.

    Attributes:
        file: What to write to.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self._path = file, path

    def become(self, target: Path) -> None:
        """Put what was written in the place of `target`, in one step, once it is on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        if os.name == "nt":  # which renames no open file
            self.file.close()
        os.replace(self._path, target)
        sync_folder(target.parent)


@contextlib.contextmanager
def writing(folder: Path, name: str) -> Iterator[Part]:
    """Open a part beside the file that it becomes; leftovers of writers that died are removed first.

    Raises:
        OSError: It cannot be written; then nothing is left of it.
    """
    _remove_leftovers(folder, name)
    file, path = _create(folder, name)
    try:
        with file:
            yield Part(file, path)
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def part_path(path: Path) -> Path:
    """Return a temporary name beside `path` that no other process uses; later writers remove what is left of it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def is_part(name: str) -> bool:
    """Return whether a file is a part that is being written, or was when its writer died."""
    return _PART.fullmatch(name) is not None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Wait for other writers of a folder, and give whether this is the only one; some file systems cannot tell."""
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        alone = _lock(descriptor, wait=True)
        try:
            yield alone
        finally:
            if alone:  # a process that was forked meanwhile has the descriptor, too, and would keep the lock
                fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _create(folder: Path, name: str) -> tuple[BinaryIO, Path]:
    while True:
        path = part_path(folder / name)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        file: BinaryIO = os.fdopen(os.open(path, flags, 0o666), "w+b")
        if fcntl is None or not _lock(file.fileno(), wait=False) or os.fstat(file.fileno()).st_nlink:
            return file, path
        file.close()  # another writer took it for a leftover before it was locked


def _remove_leftovers(folder: Path, name: str) -> None:
    for path in folder.iterdir():
        if path.name.startswith(f".{name}.") and is_part(path.name):
            with contextlib.suppress(OSError):
                _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    if fcntl is None:
        path.unlink()
        return
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _lock(descriptor, wait=False):
            path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
