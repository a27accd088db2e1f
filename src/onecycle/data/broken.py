"""Items that cannot be read: finding them, and deleting their files where that is asked for."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from onecycle.data.modality import Modality
from onecycle.data.progress import progress
from onecycle.data.rows import CONTENT, ITEM, Rows
from onecycle.errors import DataError, some, users_level


def broken_items(rows: Rows, modality: Modality) -> dict[str, str]:
    """Read every item in threads; return the names of those that cannot be read, and why."""
    if rows.shards is not None:
        raise DataError(
            "verify() reads files and texts, and these items are in shards.", "a list of files or texts.",
            'leave them out while training: databunch(on_bad_item="skip").',
        )  # fmt: skip
    contents = rows.table[CONTENT] if CONTENT in rows.table.column_names else None

    def reason(place: int) -> str | None:
        name = rows.table[ITEM][place].as_py()
        item = rows.locate(name) if contents is None else contents[place].as_py()
        try:
            modality.read(item, training=False)
        except DataError as error:
            return error.what
        return None

    with ThreadPoolExecutor() as pool:
        reasons = progress(pool.map(reason, range(len(rows))), "reading", len(rows))
        return {name: why for name, why in zip(rows.names(), reasons, strict=True) if why is not None}


def delete_files(root: Path | None, names: list[str]) -> None:
    """Delete files, and warn that they are gone.

    Raises:
        DataError: The items are not files.
    """
    if root is None:
        raise DataError("These items are not files.", "items found in a folder.", "leave delete= out.")
    for name in names:
        (root / name).unlink(missing_ok=True)
    if names:
        warnings.warn(f"Deleted {len(names):,} files in {root}: {some(names)}.", stacklevel=users_level())
