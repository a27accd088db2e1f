"""WebDataset tars: the files of an item have one name, and say by their suffix what they are."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa

from onecycle.data.contents import Contents
from onecycle.data.remote import is_remote, read_range
from onecycle.data.rows import is_utf8
from onecycle.data.shards.source import (
    NAME,
    SIZE,
    START,
    Place,
    ShardIndex,
    Shards,
    check_size,
    damaged_shard,
    reading,
)

MOST_LABEL_BYTES = 2**16
MOST_HEADER_BYTES = 2**20
MOST_PADDING = 2**20
BLOCK = 512
CONTENT = ""  # no suffix of a label


@dataclass(frozen=True)
class TarShards(Shards):
    """Tars; an item's place is that of its bytes, which are read on their own."""

    def read(self, place: Place, name: str) -> Contents:
        check_size(place.size, name)
        path = self.names[place.shard]
        with reading(path):
            data = self._range(path, place)
        if len(data) < place.size:
            raise damaged_shard(path, f"it ends within {name}")
        return Contents(name, data)

    def _range(self, path: str, place: Place) -> bytes:
        if is_remote(path):
            return read_range(path, place.start, place.size)
        with self.open(path) as file:
            file.seek(place.start)
            return file.read(place.size)


def index_tar(file: BinaryIO, suffixes: frozenset[str], labels: Sequence[str]) -> ShardIndex:
    """Find the items of a tar by reading the headers of its members, and its labels.

    Members that have one name up to the first dot of their last part make an item, wherever they are in the tar.
    Nothing is ever written: members whose names are absolute or contain ".." are left out, and counted.

    Args:
        file: The tar, opened.
        suffixes: Of the items, such as {"jpg"}.
        labels: Suffixes of labels that each item must have, such as ["cls"].
    """
    skipped: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    parts: dict[str, dict[str, tuple[str, int, int]]] = {}
    damage = None
    try:
        for member in _members(file):
            if reason := _reason_to_skip(member):
                skipped.append((_printable(member.name), reason))
                continue
            name = posixpath.normpath(member.name)
            folder, last = posixpath.split(name)
            stem, _, suffix = last.partition(".")
            suffix = suffix.lower()
            kind = CONTENT if suffix in suffixes else suffix
            if kind not in (CONTENT, *labels):
                others.append((posixpath.join(folder, stem), name))
            elif kind in (item := parts.setdefault(posixpath.join(folder, stem), {})):
                skipped.append((name, "repeated names"))
            else:
                item[kind] = (name, member.offset_data, member.size)
    except _CutOffError as error:
        damage = str(error)
    # What an item has besides is nothing that was left out.
    skipped += [(name, "other files") for item, name in others if CONTENT not in parts.get(item, ())]
    return _paired(file, parts, labels, skipped, damage)


def _paired(
    file: BinaryIO,
    parts: Mapping[str, Mapping[str, tuple[str, int, int]]],
    labels: Sequence[str],
    skipped: list[tuple[str, str]],
    damage: str | None,
) -> ShardIndex:
    columns: dict[str, list[object]] = {name: [] for name in (NAME, START, SIZE, *labels)}
    for item in parts.values():
        if CONTENT not in item:
            skipped += [(name, "labels without an item") for name, _, _ in item.values()]
            continue
        name, start, size = item[CONTENT]
        texts = [_text(file, item.get(label)) for label in labels]
        if None in texts:
            there = all(label in item for label in labels)
            skipped.append((name, "items whose label is not a short text" if there else "items without a label"))
            continue
        for column, value in zip(columns.values(), (name, start, size, *texts), strict=True):
            column.append(value)
    types = [pa.string(), pa.int64(), pa.int64(), *[pa.string()] * len(labels)]
    arrays = map(pa.array, columns.values(), types)
    return ShardIndex(pa.table(dict(zip(columns, arrays, strict=True))), skipped, damage)


def _text(file: BinaryIO, part: tuple[str, int, int] | None) -> str | None:
    if part is None or part[2] > MOST_LABEL_BYTES:
        return None
    file.seek(part[1])
    try:
        return file.read(part[2]).decode().strip()
    except UnicodeDecodeError:
        return None


class _CutOffError(Exception):
    """The rest of a tar cannot be read."""


def _members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the header of each member.

    Raises:
        _CutOffError: The file is no tar, or not complete.
    """
    length = file.seek(0, 2)
    file.seek(0)
    try:
        tar = tarfile.open(fileobj=cast(BinaryIO, _Headers(file)), mode="r:")  # noqa: SIM115
    except tarfile.TarError as error:
        raise _CutOffError(_why_no_tar(file, length)) from error
    end = -1
    try:
        while (member := tar.next()) is not None:
            cast(Any, tar).members.clear()  # which would grow with the tar
            if member.offset < end or member.size < 0:
                raise _CutOffError(f"{_printable(member.name)} overlaps what is before it")
            end = member.offset_data + member.size
            if end > length:
                raise _CutOffError(f"it ends within {_printable(member.name)}, after {length:,} bytes")
            yield member
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise _CutOffError(f"{error}") from error
    _check_end(file, tar.offset, length)


def _check_end(file: BinaryIO, offset: int, length: int) -> None:
    """Refuse a tar without the zeros that end it, or with more behind them: `tarfile` ends silently at either."""
    file.seek(offset)
    block = file.read(BLOCK)
    if len(block) < BLOCK:
        raise _CutOffError(f"it has no end mark, after {length:,} bytes")
    if block.strip(b"\0"):
        raise _CutOffError(f"there is no header at byte {offset:,}")
    if file.read(MOST_PADDING).strip(b"\0"):
        raise _CutOffError(f"there is more after its end at byte {offset:,}, as where tars were joined with cat")


def _why_no_tar(file: BinaryIO, length: int) -> str:
    file.seek(0)
    if file.read(2) == b"\x1f\x8b":
        return "it is compressed; decompress it with gzip -d"
    return "it is not a tar" if length else "it is empty (0 bytes)"


class _Headers:
    """A file of which no more is read at a time than a header can need, whatever length a header claims."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def read(self, count: int) -> bytes:
        if not 0 <= count <= MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {count:,} bytes")
        return self.file.read(count)

    def seek(self, place: int) -> int:
        return self.file.seek(place)

    def tell(self) -> int:
        return self.file.tell()


def _reason_to_skip(member: tarfile.TarInfo) -> str | None:
    name = member.name
    if member.isdir():
        return "folders"
    if not member.isreg() or member.issparse():
        return "links and special files"
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name:
        return "names that lead out of the shard"
    if any(part.startswith(".") and part != "." for part in name.split("/")) or "__MACOSX" in name:
        return "hidden"
    return None if is_utf8(name) else "names that are not UTF-8"


def _printable(name: str) -> str:
    return name if is_utf8(name) else ascii(name)
