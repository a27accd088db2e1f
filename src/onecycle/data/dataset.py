"""Items by index: inputs read by the modality, labels encoded by the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from onecycle.data.batch import BadItem, Batch, Sample
from onecycle.data.contents import Contents
from onecycle.data.labels import Labels
from onecycle.data.modality import Modality, collate
from onecycle.data.rows import CONTENT, ITEM, LABEL, Rows
from onecycle.data.tables import RESERVED
from onecycle.data.target import Target
from onecycle.errors import DataError


class Dataset:
    """The items of one split.

    Args:
        rows: The items, with or without labels.
        modality: How an item is read.
        target: How a label is encoded.
        training: Read items as for training, with room for augmentation, or as at prediction.

    Example:
        >>> dataset = bunch.valid.dataset
        >>> len(dataset), dataset.label(0), dataset[0].input.shape
        (6, 'blue', (32, 32, 3))
    """

    def __init__(self, rows: Rows, modality: Modality, target: Target, *, training: bool) -> None:
        # Only these Arrow columns travel to workers: no Python object an item, so that a worker's memory does not
        # grow as it reads (pytorch#13246), and nothing of the user's other columns.
        columns = [name for name in RESERVED if name in rows.table.column_names]
        rows = replace(rows, table=rows.table.select(columns))
        self.rows, self.modality, self.target, self.training = rows, modality, target, training
        self._items = rows.table[ITEM]
        self._labels = rows.table[LABEL] if LABEL in rows.table.column_names else None
        self._contents = rows.table[CONTENT] if CONTENT in rows.table.column_names else None

    def __reduce__(self) -> tuple[Any, ...]:
        # The columns are those of the rows, and would travel a second time.
        return partial(type(self), training=self.training), (self.rows, self.modality, self.target)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        item, label = self.item(index), self.label(index)
        if label is None and isinstance(item, Contents):
            label = item.label
        return self.modality.sample(item, label, self.target, index, training=self.training)

    @property
    def holds_contents(self) -> bool:
        """Return whether items need no reading, since their contents are in the table."""
        return self._contents is not None

    @property
    def forward_only(self) -> bool:
        """Whether items can only be read in order, by one process."""
        return self.rows.shards is not None and self.rows.shards.forward_only

    def item(self, index: int) -> Any:
        """Return what the modality reads, see `Rows.input`.

        Raises:
            DataError: The item is in a shard, and cannot be read from it.
        """
        return self.rows.input(index)

    def contents(self) -> list[pa.Array]:
        """Return the column of contents in its chunks; none where items are files."""
        if self.rows.shards is not None:
            return self.rows.shards.contents()
        return [] if self._contents is None else list(self._contents.chunks)

    def label(self, index: int) -> Any:
        """Return the label of the item at `index` as the user gave it, or None."""
        return None if self._labels is None else self._labels[index].as_py()

    def labels(self) -> Labels | None:
        """Return all labels, a sequence, or None where the items have none."""
        return None if self._labels is None else Labels(self._labels)

    def name(self, index: int) -> str:
        """Return the name of the item at `index`: for files, the path relative to their folder."""
        return str(self._items[index].as_py())

    def fetch(self, index: int) -> Sample | BadItem:
        """Return the item at `index`, or the reason why it cannot be read."""
        try:
            return self[index]
        except DataError as error:
            return BadItem(index, error)

    def collate(self, samples: Sequence[Sample | BadItem]) -> Batch:
        """Stack samples into a batch."""
        return collate(samples, self.modality, self.target)
