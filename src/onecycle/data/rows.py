"""Items as rows of an Arrow table, so that millions of them cost workers nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from onecycle.data.tables import RESERVED, missing_column

# The columns that onecycle adds; '#' keeps them apart from any column of the user's. Where there is a column of
# contents, the modality reads those, and the item is only a name.
ITEM, LABEL, CONTENT = RESERVED


@dataclass(frozen=True)
class Rows:
    """Some items.

    Attributes:
        table: A row an item, see `ITEM`, `LABEL` and `CONTENT`, and the user's own columns.
        root: The folder that the items' names are relative to; None where an item is the input itself.
    """

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

    def located(self) -> list[str]:
        """Return what the modality reads for every item, for files their paths."""
        return [self.locate(name) for name in self.names()]

    def take(self, indices: Any) -> Rows:
        """Return only the rows at `indices`."""
        return Rows(self.table.take(pa.array(indices)), self.root)

    def with_labels(self, labels: pa.Array) -> Rows:
        """Return the rows with a column of labels."""
        return Rows(self.table.append_column(LABEL, labels), self.root)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the user's column called `name`.

        Raises:
            DataError: There is no such column.
        """
        known = [column for column in self.table.column_names if column not in (ITEM, LABEL, CONTENT)]
        if name not in known:
            raise missing_column(name, known)
        return self.table[name]
