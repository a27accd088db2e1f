"""Files and folders that commands are given."""

from __future__ import annotations

import os
from pathlib import Path

from onecycle.data.remote import address_of, is_remote
from onecycle.errors import DataError


def shown(place: Path) -> str:
    """Return a folder as a sentence names it: the address of one elsewhere, and "." in full.

    Example:
        >>> shown(Path("photos/")), shown(Path("s3:/bucket/photos"))
        ('photos', 's3://bucket/photos')
    """
    if is_remote(place):
        return address_of(place)
    return str(place if place.name not in ("", "..") else place.resolve())


def check_writable(folder: Path) -> None:
    """Check, without writing anything, that `folder` can be written to or created.

    Raises:
        DataError: It cannot.
    """
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        why = "is not writable" if nearest.is_dir() else "is a file"
        raise DataError(
            f"Cannot write to {folder}: {nearest} {why}.", "a folder that can be written to.", "pass another --out."
        )
