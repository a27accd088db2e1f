"""Where are the inputs? Items are rows of an Arrow table, so millions of them cost workers nothing."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.csv

from onecycle.data import split
from onecycle.data.modality import Modality
from onecycle.errors import DataError, some, suggest

# The columns that onecycle adds; '#' keeps them apart from any column of the user's. Where there is a column of
# contents, the modality reads those, and the item is only a name.
ITEM, LABEL, CONTENT = "#item", "#label", "#content"


LEAST_BLOCK, LARGEST_BLOCK = 2**20, 2**25
SLICE = 2**16


@dataclass(frozen=True)
class Part:
    """Some items: the rows, and the folder that their names are relative to (None: the item is the input itself)."""

    table: pa.Table
    root: Path | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def names(self) -> list[str]:
        """Return every item's name; for files, the path relative to the root with forward slashes."""
        return list(self.table[ITEM].to_pylist())

    def locate(self, name: str) -> str:
        """Return what the modality reads for the item called `name`."""
        # Not by pathlib, which puts the parts of every path into Python's table of names: workers grew by 4 to 7 MB.
        return name if self.root is None else os.path.join(self.root, name)

    def take(self, indices: Any) -> Part:
        """Return the part with only the rows at `indices`."""
        return Part(self.table.take(pa.array(indices)), self.root)

    def with_labels(self, labels: pa.Array) -> Part:
        """Return the part with a column of labels."""
        return Part(self.table.append_column(LABEL, labels), self.root)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the user's column called `name`.

        Raises:
            DataError: There is no such column.
        """
        known = [column for column in self.table.column_names if column not in (ITEM, LABEL, CONTENT)]
        if name not in known:
            raise missing_column(name, known)
        return self.table[name]


@dataclass(frozen=True)
class Skipped:
    """A file that was found but is not an item, and why."""

    path: str
    reason: str


SplitT = TypeVar("SplitT")


@dataclass(frozen=True, repr=False)
class ItemList(ABC, Generic[SplitT]):
    """The inputs, not yet split. `SplitT` is the modality's next stage, so that an editor completes what may follow."""

    items: Part
    modality: Modality
    skipped: tuple[Skipped, ...] = ()

    @abstractmethod
    def _split(self, train: Part, valid: Part, test: Part | None) -> SplitT:
        """Return the modality's split stage."""

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        text = f"{type(self).__name__}: {len(self):,} items"
        if self.items.root is not None:
            text += f" in {self.items.root}"
        if self.skipped:
            reasons = sorted({skipped.reason for skipped in self.skipped})
            counts = ((sum(s.reason == reason for s in self.skipped), reason) for reason in reasons)
            text += f" (left out: {', '.join(f'{count:,} {reason}' for count, reason in counts)}; see .skipped)"
        return text

    def split_random(self, valid: float = 0.2, *, seed: int = 42, stratify: str | None = None) -> SplitT:
        """Hold back a random fraction for validation.

        Args:
            valid: Fraction of the items, above 0 and below 1.
            seed: The same seed gives the same split.
            stratify: "folder", or a column's name: hold back the same fraction of each of its values.
        """
        strata = None
        if stratify == "folder":
            strata = [PurePosixPath(name).parent.name for name in self.items.names()]
        elif stratify is not None:
            strata = self.items.column(stratify).to_pylist()
        return self._sides(split.at_random(len(self), valid, seed, strata))

    def split_by_folder(
        self,
        *,
        valid: str | Sequence[str] = "valid",
        train: str | Sequence[str] | None = None,
        test: str | Sequence[str] | None = None,
    ) -> SplitT:
        """Split by the name of a folder on the item's path, such as `train/`, `valid/` and `test/`.

        Args:
            valid: Name or names of the folders held back for validation.
            train: Folders to train on; None takes all that is neither `valid` nor `test`.
            test: Folders of the test set, if any.
        """
        return self._sides(split.by_folder(self.items.names(), train, valid, test))

    def split_by_column(self, column: str = "is_valid", *, valid: object = True, test: object = None) -> SplitT:
        """Split by a column: rows equal to `valid` are held back, rows equal to `test` (if given) are the test set."""
        return self._sides(split.by_value(self.items.column(column).to_pylist(), column, valid, test))

    def split_from_file(self, path: str | Path) -> SplitT:
        """Hold back the items that a text file names, a line each: relative path, file name, or name without suffix."""
        return self._sides(split.by_names(self.items.names(), Path(path)))

    def split_by_index(self, valid: Sequence[int]) -> SplitT:
        """Hold back the items at these positions, counted from 0."""
        return self._sides(split.by_index(len(self), valid))

    def split_by_group(
        self,
        by: str | Callable[[Path], str] | None = None,
        *,
        pattern: str | None = None,
        valid: float = 0.2,
        seed: int = 42,
    ) -> SplitT:
        """Hold back whole groups, such as all the frames of one person, so that none is on both sides.

        Args:
            by: A column's name, or a function from the item's path to the name of its group.
            pattern: Instead of `by`: a regular expression whose first group, found in the item's relative path, names
                the item's group, such as r"(.+)_\\d+" for anna_01.jpg.
            valid: Fraction of the items to hold back; met as closely as whole groups allow.
            seed: The same seed gives the same split.
        """
        if (by is None) == (pattern is None):
            raise DataError("split_by_group() takes by= or pattern=.", "one of them.", "name a column, or a pattern.")
        if pattern is not None:
            groups: list[Any] = split.found_in(self.items.names(), pattern)
        elif isinstance(by, str):
            groups = self.items.column(by).to_pylist()
        else:
            assert by is not None
            groups = [by(Path(self.items.locate(name))) for name in self.items.names()]
        return self._sides(split.by_group(groups, valid, seed))

    def _sides(self, sides: split.Sides) -> SplitT:
        test = self.items.take(sides.test) if len(sides.test) else None
        return self._split(self.items.take(sides.train), self.items.take(sides.valid), test)


def as_table(rows: Any) -> pa.Table:
    """Return any table that exports the Arrow C stream (pandas, polars, DuckDB, Arrow) as an Arrow table.

    Raises:
        DataError: `rows` exports no Arrow stream.
    """
    if not hasattr(rows, "__arrow_c_stream__"):
        raise DataError(
            f"Cannot read a table from {type(rows).__name__}.",
            "a table that exports the Arrow C stream: pandas, polars, pyarrow, DuckDB, Hugging Face datasets.",
            "convert it, for example with pandas.DataFrame(rows).",
        )
    table = pa.table(rows)
    # Arrow cannot yet take or filter the "view" texts that polars exports.
    plain = [
        field.with_type(pa.large_string()) if pa.types.is_string_view(field.type) else field for field in table.schema
    ]
    return table.cast(pa.schema(plain, table.schema.metadata))


def read_csv(path: str | Path, *, separator: str = ",", encoding: str = "utf-8") -> pa.Table:
    """Read a CSV with every value as text ("007" stays "007"); byte-order marks and CRLF are handled.

    Args:
        path: The file.
        separator: What separates its fields.
        encoding: How its bytes are to be read.
    Raises:
        DataError: The file is missing, empty or not a table.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"No such file: {path}.", "a CSV file with a header line.", "check the path.")
    parsing = pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    # A row must fit into a block; Arrow's own of 1 MB are too small for a long document.
    block = min(max(path.stat().st_size + 1, LEAST_BLOCK), LARGEST_BLOCK)
    reading = pa.csv.ReadOptions(encoding=encoding, block_size=block)
    try:
        with pa.csv.open_csv(path, reading, parse_options=parsing) as head:
            names = head.schema.names
        texts = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        table = pa.csv.read_csv(path, reading, parse_options=parsing, convert_options=texts)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path} cannot be read as CSV: {error}.",
            f"{encoding.upper()} text with a header line and fields separated by {separator!r}.",
            "open it in an editor, or pass separator=...",
        ) from error
    # Arrow would hold on to the blocks, which are half as large again as a table of many rows.
    pa.default_memory_pool().release_unused()
    return table


def slices(column: pa.ChunkedArray) -> Iterator[list[Any]]:
    """Yield a column's values some at a time, so that millions of them are never Python objects at once."""
    for start in range(0, len(column), SLICE):
        yield column.slice(start, SLICE).to_pylist()


def missing_column(name: str, known: list[str]) -> DataError:
    """Return the error for a column that is not there; it notices a wrong separator."""
    lumped = [s for s in ";\t|" if len(known) == 1 and s in known[0]]
    fix = (
        f"the fields look separated by {lumped[0]!r}: pass separator={lumped[0]!r}."
        if lumped
        else ("check the column's name." + suggest(name, known))
    )
    return DataError(f"There is no column {name!r}.", f"one of: {some(known, 20)}.", fix)
