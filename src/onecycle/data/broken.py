"""Items that cannot be read: finding them, and deleting their files where that is asked for."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

from onecycle.data.modality import Modality
from onecycle.data.progress import progress
from onecycle.data.rows import Rows
from onecycle.errors import DataError, counted, some, users_level


def broken_items(rows: Rows, modality: Modality) -> dict[str, str]:
    """Read every item in threads; return the names of those that cannot be read, and why."""
    if rows.shards is not None and rows.shards.forward_only:
        raise DataError(
            "verify() reads items in any order, and these are in a stream.", "a list of files, texts, or shards.",
            'leave them out while training: databunch(on_bad_item="skip").',
        )  # fmt: skip

    def reason(place: int) -> str | None:
        try:
            modality.read(rows.input(place), training=False)
        except DataError as error:
            return error.what
        return None

    with ThreadPoolExecutor() as pool:
        reasons = progress(pool.map(reason, range(len(rows))), "reading", len(rows))
        return {name: why for name, why in zip(rows.names(), reasons, strict=True) if why is not None}


def delete_files(rows: Rows, names: list[str]) -> None:
    """Delete files, and warn that they are gone.

    Raises:
        DataError: The items are not files.
    """
    if rows.root is None or rows.shards is not None:
        raise DataError("These items are not files.", "items found in a folder.", "leave delete= out.")
    for name in names:
        (rows.root / name).unlink(missing_ok=True)
    if names:
        warnings.warn(f"Deleted {counted(len(names), 'file')} in {rows.root}: {some(names)}.", stacklevel=users_level())
