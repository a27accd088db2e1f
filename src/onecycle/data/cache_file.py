"""The file of a disk cache: there whole or not at all, checked when it is read, written by one process at a time.

It holds the inputs; geometries and checksums of all items, as safetensors; and the length and the SHA-256 of those. A
writer fills a `.part` file, which it holds locked, and renames it: a part without a lock is a dead writer's.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pyarrow as pa
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from onecycle.data.dataset import Dataset
from onecycle.data.file_state import state_of
from onecycle.data.remote import is_remote
from onecycle.errors import DataError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: writers of the same file work side by side, and the last one's stays
    fcntl = None

FORMAT = 2
_TRAILER = struct.Struct("<8sQ32s")
_MAGIC = b"onecycle"
_ROOM_BESIDE_INPUTS = 64  # bytes an item that are reserved for its geometry and checksum


class DamagedCacheError(ValueError):
    """The file is not what was written."""


class CacheContent(NamedTuple):
    """What a file holds.

    Attributes:
        inputs: uint8, (items, *shape), mapped: pages that are written to become this process's own.
        geometries: float32, (items, numbers); no numbers where inputs have no geometry.
        checksums: CRC-32 of each input, (items,).
    """

    inputs: Tensor
    geometries: Tensor
    checksums: Tensor


def checksum(input: Tensor) -> int:
    """Return the CRC-32 of one input: 4 GB a second, where decoding makes less than a tenth of that."""
    return zlib.crc32(input.numpy().data)


def read_cache_file(path: Path, shape: tuple[int, ...]) -> CacheContent:
    """Map the file at `path`, of inputs of `shape`, (items, ...). Inputs are to be compared with `checksums` when used.

    Raises:
        OSError: There is none, or it cannot be read.
        DamagedCacheError: Its length, or what is said of the inputs, is not what was written.
    """
    count = _size_of(shape)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < count + _TRAILER.size:
            raise DamagedCacheError(f"{size:,} bytes, where {count + _TRAILER.size:,} or more belong")
        file.seek(size - _TRAILER.size)
        magic, length, digest = _TRAILER.unpack(file.read())
        if magic != _MAGIC or count + length + _TRAILER.size != size:
            raise DamagedCacheError("its end is not where it belongs")
        file.seek(count)
        said = file.read(length)
    if hashlib.sha256(said).digest() != digest:
        raise DamagedCacheError("geometries or checksums differ from what was written")
    try:
        tensors = safetensors.torch.load(said)
        inputs = torch.from_file(str(path), shared=False, size=count, dtype=torch.uint8).view(shape)
        return CacheContent(inputs, tensors["geometries"], tensors["checksums"])
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise DamagedCacheError(str(error)) from error


class Part:
    """A file under way: `inputs` is for writing, then `finish` puts it in its place.

    Attributes:
        path: Where the file will be.
        inputs: uint8, (items, ...), mapped.
    """

    def __init__(self, path: Path, part: Path, handle: int, shape: tuple[int, ...]) -> None:
        self.path, self._part, self._handle, self._count = path, part, handle, _size_of(shape)
        with _told(path, shape):
            os.ftruncate(handle, 0)
            _reserve(handle, self._count + shape[0] * _ROOM_BESIDE_INPUTS)
            mapped = torch.from_file(str(part), shared=True, size=self._count, dtype=torch.uint8)
        self.inputs: Tensor = mapped.view(shape)

    def finish(self, geometries: Tensor, checksums: Tensor) -> CacheContent:
        """Write what is said of the inputs, put the file in its place, and return what it holds."""
        said = safetensors.torch.save({"geometries": geometries, "checksums": checksums})
        trailer = _TRAILER.pack(_MAGIC, len(said), hashlib.sha256(said).digest())
        shape = tuple(self.inputs.shape)
        del self.inputs  # no longer mapped for writing
        with _told(self.path, shape):
            with os.fdopen(os.dup(self._handle), "r+b") as file:
                file.seek(self._count)
                file.write(said + trailer)
                file.truncate()
            os.replace(self._part, self.path)
            return read_cache_file(self.path, shape)


@contextmanager
def part_file(path: Path, shape: tuple[int, ...]) -> Iterator[tuple[Path, int]]:
    """Hold the lock of the part of `path`, and give its path and handle; wait while another process fills the same.

    What is left of the part is removed in the end.

    Raises:
        DataError: It cannot be written.
    """
    part = path.with_suffix(".part" if fcntl else f".{os.getpid()}.part")
    with _told(path, shape):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        handle = _open_locked(part)
    try:
        yield part, handle
    finally:
        if _is_at(handle, part):
            with suppress(OSError):  # Windows keeps files that are mapped
                os.unlink(part)
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove the parts that no process holds locked: their writers were killed."""
    if fcntl is None:
        return
    for part in folder.glob("*.part"):
        with suppress(OSError):
            handle = os.open(part, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(handle, part):
                    os.unlink(part)
            finally:
                os.close(handle)


def _open_locked(part: Path) -> int:
    while True:
        handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except BaseException:
            os.close(handle)
            raise
        if _is_at(handle, part):
            return handle
        os.close(handle)  # renamed or removed by who held it


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _reserve(handle: int, count: int) -> None:
    """Take the disk's space now: a write to a mapped file that finds none later would end the process."""
    if hasattr(os, "posix_fallocate"):
        try:
            return os.posix_fallocate(handle, 0, count)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
    with os.fdopen(os.dup(handle), "r+b") as file:
        zeros = bytes(2**20)
        for start in range(0, count, len(zeros)):
            file.write(zeros[: count - start])
    return None


def cache_name(dataset: Dataset, shape: tuple[int, ...]) -> str:
    """Return the name of a dataset's file, made of all that decides its content: how items are read, and which.

    A file counts by its absolute path, size, times of modification and change, and inode.
    """
    modality = dataset.modality
    how = [FORMAT, f"{type(modality).__module__}.{type(modality).__qualname__}", modality.to_config()]
    digest = hashlib.sha256(json.dumps([*how, dataset.training, shape]).encode())
    shards = dataset.rows.shards
    for path in (*dataset.rows.located(), *(shards.names if shards else ())):
        path = path if is_remote(path) else os.path.abspath(path)
        digest.update(f"{path}\0{state_of(path)}\0".encode(errors="surrogateescape"))
    for content in dataset.contents():
        digest.update(pa.record_batch([content], ["content"]).serialize())
    return f"{digest.hexdigest()[:32]}.cache"


def _size_of(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


@contextmanager
def _told(path: Path, shape: tuple[int, ...]) -> Iterator[None]:
    """Turn an error of writing into one that names the folder."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"Cannot keep {_size_of(shape) / 2**20:,.0f} MB in {path.parent}: {error}.",
            "a folder with room to write.",
            'set the environment variable ONECYCLE_CACHE to another folder, or pass cache="memory" or None.',
        ) from error
