"""Files and folders that commands are given."""

from __future__ import annotations

import os
from pathlib import Path

from onecycle.errors import DataError


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
