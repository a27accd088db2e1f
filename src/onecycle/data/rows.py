"""Items as rows of an Arrow table, so that millions of them cost workers nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from onecycle.data.shards.source import Place, Shards
from onecycle.data.shared_file import map_table, must_be_mapped, write_shared
from onecycle.data.tables import RESERVED, missing_column
from onecycle.errors import DataError, counted

# The columns that onecycle adds; '#' keeps them apart from any column of the user's. Where there is a column of
# contents, the modality reads those, and the item is only a name; where there are shards, a column of places in them.
# Until items are labelled, what corrections say of a label goes with them, as a text; null where they say nothing.
ITEM, LABEL, CONTENT, PLACE, CORRECTED = RESERVED


@dataclass(frozen=True)
class Rows:
    """Some items.

    Attributes:
        table: A row an item, see `ITEM`, `LABEL`, `CONTENT`, `PLACE` and `CORRECTED`, and the user's own columns.
        root: The folder that the items' names are relative to; None where an item is the input itself.
        shards: What the items are read from, where they are no files of their own.
    """

    table: pa.Table
    root: Path | None = None
    shards: Shards | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: Any) -> Any:
        """Return the item at `index`, with its label where there is one; or for a slice or a list, those rows."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if not isinstance(index, int | np.integer):
            chosen = np.asarray(index)
            return self.take(np.flatnonzero(chosen) if chosen.dtype == bool else chosen)
        if not -len(self) <= index < len(self):
            raise IndexError(
                f"There is no item {index}: there {'is' if len(self) == 1 else 'are'} {counted(len(self), 'item')}, "
                "counted from 0."
            )
        place = int(index) % len(self)
        if LABEL in self.table.column_names:
            return self._item(place), self.table[LABEL][place].as_py()
        return self._item(place)

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self)))

    def _item(self, place: int) -> Any:
        """Return the content at `place`, the path of the file, or the name of an item in a shard."""
        if self.shards is not None:
            return self.table[ITEM][place].as_py()
        if CONTENT in self.table.column_names:
            return self.table[CONTENT][place].as_py()
        return Path(self.locate(self.table[ITEM][place].as_py()))

    @property
    def paths(self) -> list[Path]:
        """The paths of the items' files.

        Raises:
            DataError: The items are no files.
        """
        if self.root is None or self.shards is not None:
            raise DataError("The items are not files.", "items that were found in a folder.", "iterate over the items.")
        return [Path(path) for path in self.located()]

    def __add__(self, other: Rows) -> Rows:
        """Return these items and then the others; a column that only one of them has is empty in the other."""
        if self.shards is not other.shards:
            raise DataError(
                "The items of two lists of shards, or of shards and files, cannot be put together.",
                "lists of files, or parts of one list of shards.",
                "name all shards in one list, such as from_shards([...]); of tables, make one before from_table().",
            )
        first, second = self, other
        if self.root != other.root:
            first, second = self._with_full_names(), other._with_full_names()
        try:
            joined = pa.concat_tables([first.table, second.table], promote_options="default")
        except pa.ArrowException as error:
            raise DataError(
                f"The columns of the two lists differ: {error}.",
                "columns of one type where they have one name.",
                "rename or convert a column in one of the tables.",
            ) from error
        return Rows(joined, first.root, self.shards)

    def _with_full_names(self) -> Rows:
        """Return the rows relative to where one stands; items that are no files keep their names."""
        if self.root is None:
            return self
        place = self.table.column_names.index(ITEM)
        return Rows(self.table.set_column(place, ITEM, pa.chunked_array([pa.array(self.located())])), Path())

    def __reduce__(self) -> tuple[Any, ...]:
        if must_be_mapped(self.table.nbytes):
            return _mapped, (self._file, self.root, self.shards)
        return Rows, (self.table, self.root, self.shards)

    @cached_property
    def _file(self) -> str:
        """The rows as a temporary file, which goes when they do."""
        return write_shared(self.table, self)

    @cached_property
    def checksum(self) -> str:
        """The SHA-256 of the names and labels, in their order; computed once, since every checkpoint has it."""
        table = self.table.select([name for name in (ITEM, LABEL) if name in self.table.column_names])
        table, digest = table.combine_chunks().replace_schema_metadata(None), _Digest()
        with pa.ipc.new_stream(pa.PythonFile(digest, "w"), table.schema) as writer:
            for batch in table.to_batches(max_chunksize=65536):
                writer.write_batch(batch)
        return digest.sha256.hexdigest()

    def names(self) -> list[str]:
        """Return every item's name; for files, the path relative to the root with forward slashes."""
        return list(self.table[ITEM].to_pylist())

    def names_at(self, places: NDArray[np.int64]) -> list[str]:
        """Return the names of some items."""
        return [self.table[ITEM][place].as_py() for place in places.tolist()]

    def folders(self) -> pa.ChunkedArray:
        """Return the part of every item's name up to its last slash, dictionary-encoded."""
        return folders(self.table[ITEM])

    def locate(self, name: str) -> str:
        """Return what the modality reads for the item called `name`."""
        # Not by pathlib, which puts the parts of every path into Python's table of names: workers grew by 4 to 7 MB.
        return name if self.root is None else os.path.join(self.root, name)

    def place(self, row: int) -> Place:
        """Return where the item at `row` is in the shards."""
        return Place(*self.table[PLACE][row].as_py().values())

    def input(self, row: int) -> Any:
        """Return what a modality reads at `row`: the content, lists as numpy arrays; or the located file.

        Raises:
            DataError: The item is in a shard, and cannot be read from it.
        """
        name = self.locate(str(self.table[ITEM][row].as_py()))
        if self.shards is not None:
            return self.shards.read(self.place(row), name)
        if CONTENT not in self.table.column_names:
            return name
        content = self.table[CONTENT][row]
        return content.values.to_numpy() if isinstance(content, pa.ListScalar) else content.as_py()

    @property
    def read_in_order(self) -> Shards | None:
        """The shards, where items that follow one another are read together; None where any is read by itself."""
        return None if self.shards is None or self.shards.any_order else self.shards

    @cached_property
    def shard_numbers(self) -> NDArray[np.int32]:
        """The number of the shard that each item is in, (rows,)."""
        numbers: NDArray[np.int32] = pc.struct_field(self.table[PLACE], "shard").to_numpy()
        return numbers

    def located(self) -> list[str]:
        """Return what the modality reads for every item, for files their paths."""
        return [self.locate(name) for name in self.names()]

    def take(self, indices: Any) -> Rows:
        """Return only the rows at `indices`."""
        places = np.asarray(indices, np.int64)
        if len(places) and (np.diff(places) > 0).all():
            # Arrow would join the chunks of a column first, which more than 2 GB of text do not survive.
            chosen = np.zeros(len(self), bool)
            chosen[places] = True
            return replace(self, table=self.table.filter(pa.array(chosen)))
        return replace(self, table=self.table.take(pa.array(places)))

    def with_labels(self, labels: pa.ChunkedArray) -> Rows:
        """Return the rows with a column of labels."""
        return replace(self, table=self.without_corrected().table.append_column(LABEL, labels))

    def without_corrected(self) -> Rows:
        """Return the rows without what corrections say of their labels."""
        known = CORRECTED in self.table.column_names
        return replace(self, table=self.table.drop_columns([CORRECTED])) if known else self

    def relabelled(self) -> NDArray[np.int64]:
        """Return the rows to which corrections give a label."""
        if CORRECTED not in self.table.column_names:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.table[CORRECTED].is_valid().to_numpy())

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the user's column called `name`.

        Raises:
            DataError: There is no such column.
        """
        known = [column for column in self.table.column_names if column not in RESERVED]
        if name not in known:
            raise missing_column(name, known)
        return self.table[name]


def _mapped(path: str, root: Path | None, shards: Shards | None) -> Rows:
    return Rows(map_table(path), root, shards)


def check_level(level: int) -> None:
    """Refuse a level of folders that there cannot be.

    Raises:
        DataError: It is below 1.
    """
    if level < 1:
        raise DataError(f"level={level}.", "1 for the folder that an item is in, or more.", "pass level=1.")


def folders(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the part of every name up to its last slash, dictionary-encoded."""
    return pc.replace_substring_regex(names, "[^/]*$", "").dictionary_encode()


class _Digest:
    """A file that is only written to, and keeps nothing but the checksum."""

    closed = False

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        self.closed = True


def is_utf8(name: str) -> bool:
    """Return whether a name can be written as UTF-8, as Arrow and JSON do; names of files may hold other bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
