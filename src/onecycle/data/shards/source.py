"""What all kinds of shards have in common: an item is read from its place in a shard, into memory only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, ClassVar, Literal, NamedTuple

import pyarrow as pa

from onecycle.data.remote import is_remote, open_remote
from onecycle.errors import DataError

MOST_BYTES = 2**28
"""Bytes of the largest item that is read from a shard, a quarter of what decoding may take by default."""

# Columns of an index, beside those of the labels.
NAME, START, SIZE = "#name", "#start", "#size"
PLACE_TYPE = pa.struct([("shard", pa.int32()), ("start", pa.int64()), ("size", pa.int64())])


@dataclass(frozen=True)
class ContentKind:
    """What the items of a list are, in words of the shards' formats.

    Attributes:
        keyword: The name of the argument that says where they are.
        feature: What Hugging Face calls a column of them.
        suffixes: Of their files, without a dot.
    """

    keyword: str
    feature: str
    suffixes: frozenset[str]


OnBadShard = Literal["raise", "skip"]
OpenShard = Callable[[str], BinaryIO]


class Place(NamedTuple):
    """Where an item is.

    Attributes:
        shard: The shard's number among `Shards.names`.
        start: For tars the first byte, else the number of the row in the shard.
        size: For tars the number of bytes, else 1.
    """

    shard: int
    start: int
    size: int


def open_file(path: str) -> BinaryIO:
    """Open a shard on this machine, or at an address such as s3://bucket/a.tar."""
    return open_remote(path) if is_remote(path) else open(path, "rb")


@dataclass(frozen=True)
class Shards(ABC):
    """Shards of one kind.

    Attributes:
        names: The shards' paths, or what else tells them apart.
        buffer: How many items that follow one another in the shards are shuffled together.
        open: Opens a shard by its name, as a file that can be searched.
        forward_only: Whether items can only be read in order, by one process.
        any_order: Whether any item is read as fast as the one that follows, so that they are shuffled as files are.
        label: What labels are called that are only known when their items are read, or None.
        classes: The names of these labels, or None.
    """

    names: tuple[str, ...]
    buffer: int
    open: OpenShard = field(default=open_file, repr=False)

    forward_only: ClassVar[bool] = False
    any_order: ClassVar[bool] = False
    label: str | None = field(default=None, kw_only=True)
    classes: tuple[str, ...] | None = field(default=None, kw_only=True)

    @abstractmethod
    def read(self, place: Place, name: str) -> Any:
        """Return what a modality reads for the item at `place`, such as `Contents`.

        Raises:
            DataError: It cannot be read; the error says its name, which says the shard.
        """

    def contents(self) -> list[pa.Array]:
        """Return what the items are, where neither `names` nor their files' states tell that."""
        return []

    def __str__(self) -> str:
        return f"of {len(self.names):,} shards" if len(self.names) > 1 else "of 1 shard"


class ShardIndex(NamedTuple):
    """What is in a shard.

    Attributes:
        table: A row an item: `NAME`, `START` and `SIZE`, as in `Place`, and a column a label.
        skipped: (name, reason) of what is no item.
        damage: Why the rest of it cannot be read, or None.
    """

    table: pa.Table
    skipped: list[tuple[str, str]]
    damage: str | None


def empty_index(labels: Sequence[str], damage: str) -> ShardIndex:
    """Return the index of a shard of which nothing can be read."""
    types = {NAME: pa.string(), START: pa.int64(), SIZE: pa.int64()} | dict.fromkeys(labels, pa.string())
    return ShardIndex(pa.schema(types).empty_table(), [], damage)


class DamagedShardError(DataError):
    """Not all of a shard can be read."""


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn what goes wrong while a shard is read into a `DataError` that names it."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"No such shard: {path}.", "a file.", "check the path.") from error
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be read: permission denied.", "permission to read it.", f"chmod +r {path}"
        ) from error
    except Exception as error:  # Arrow's own, those of tarfile, and of files that lie elsewhere
        raise damaged_shard(path, f"{type(error).__name__}: {error}") from error


def damaged_shard(path: str, why: str) -> DamagedShardError:
    """Return the error for a shard of which not all can be read."""
    return DamagedShardError(
        f"The shard {path} is damaged: {why}.",
        "a complete file.",
        'copy it again, or pass on_bad_shard="skip" to from_shards(), which uses what can be read of it.',
        shell_fix="copy it again, or move it out of the folder to do without it.",
    )


def check_size(size: int, name: str) -> None:
    """Refuse an item that would fill the memory.

    Raises:
        DataError: It is larger than `MOST_BYTES`.
    """
    if size > MOST_BYTES:
        raise DataError(
            f"{name} has {size:,} bytes.",
            f"at most {MOST_BYTES:,}, so that no item can exhaust the memory.",
            "write it smaller into the shard.",
            can_skip=True,
        )
