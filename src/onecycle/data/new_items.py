"""Items to predict, however they are given: a list of the data block, a folder, a file, or a list of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from onecycle.data.items import ItemList
from onecycle.data.modality import Modality
from onecycle.data.rows import Rows
from onecycle.errors import DataError, suggest, with_article
from onecycle.given_items import in_order

NewItems: TypeAlias = "ItemList[Any] | Rows | str | PathLike[str] | Iterable[Any]"


def rows_of(items: NewItems, modality: Modality) -> Rows:
    """Return items as rows that the modality reads.

    Raises:
        DataError: There is no such file or folder, or no item in it.
    """
    if isinstance(items, ItemList):
        return items.items
    if isinstance(items, Rows):
        return items
    if isinstance(items, str | PathLike):
        path = Path(items)
        return modality.rows_in(path) if path.is_dir() else modality.rows_from([items])
    listed = list(in_order(items))
    if listed:
        return modality.rows_from(listed)
    raise DataError(
        f"Items to predict are given as {with_article(type(items).__name__)} without any.",
        "a list of the data block, before split_...(); a folder, a file, or a list of files.",
        "pass one item or more; or the folder itself.",
    )


def check_is_path(name: str, splits: Sequence[str]) -> None:
    """Refuse a text that is neither the name of a split nor a path.

    Raises:
        DataError: There is no such file or folder.
    """
    if not Path(name).exists():
        raise DataError(
            f"There is no split and no file {name!r}.",
            f"one of: {', '.join(splits)}; or the path of a folder or file.",
            f"add a test set with add_test() before databunch(), or check the path.{suggest(name, splits)}",
        )
