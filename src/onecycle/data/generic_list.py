"""The stages of the data block for a modality of your own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from onecycle.calls import explains_calls
from onecycle.data.items import ItemList
from onecycle.data.label import LabelledList, SplitList
from onecycle.data.labellers import Labeller
from onecycle.data.modality import Modality
from onecycle.data.rows import ITEM, Rows
from onecycle.data.tables import as_table, missing_column
from onecycle.data.target import Target
from onecycle.errors import DataError


@dataclass(frozen=True, repr=False)
class SplitGenericList(SplitList[LabelledList]):
    """Items of any modality, split."""

    def _labelled(
        self, train: Rows, valid: Rows, test: Rows | None, target: Target, labeller: Labeller
    ) -> LabelledList:
        return LabelledList(train, valid, test, target, self.modality, labeller)


@explains_calls
@dataclass(frozen=True, repr=False)
class GenericList(ItemList[SplitGenericList]):
    """Items of any modality.

    Example:
        >>> class FileSize(oc.Modality):
        ...     def read(self, item, *, training):
        ...         return oc.Reading(torch.tensor([float(len(open(item, "rb").read()))]))
        >>> oc.GenericList.from_folder(photos, FileSize()).split_random(0.2).label_from_folder()
        LabelledList: 24 training, 6 validation
        Category, 3 classes: blue, green, red
    """

    def _split(self, train: Rows, valid: Rows, test: Rows | None) -> SplitGenericList:
        return SplitGenericList(train, valid, test, self.modality)

    @classmethod
    def from_folder(cls, folder: str | Path, modality: Modality) -> GenericList:
        """Take the items that `modality.find_items` finds below a folder, by default all files.

        Raises:
            DataError: There are none.
        """
        root = Path(folder)
        names = modality.find_items(root)
        if not names:
            raise DataError(f"No items in {root}.", "at least one file.", "check the path.")
        return cls(Rows(pa.table({ITEM: pa.array(names, pa.string())}), root), modality)

    @classmethod
    def from_table(cls, table: Any, modality: Modality, *, column: str, folder: str | Path = ".") -> GenericList:
        """Take the files that a column of a table names; all columns are available for splitting and labelling.

        Raises:
            DataError: There is no such column.
        """
        rows = as_table(table)
        if column not in rows.column_names:
            raise missing_column(column, rows.column_names)
        return cls(Rows(rows.append_column(ITEM, rows[column].cast(pa.string())), Path(folder)), modality)
