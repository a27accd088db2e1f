"""Files and folders that commands are given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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


def expand_inputs(inputs: list[str], modality: Any) -> list[str | Path]:
    """Return the items that are meant: files, the files in folders, and for texts the texts themselves.

    Args:
        inputs: As typed on the command line.
        modality: Finds its items in folders; `reads_text_directly` says whether an input may be a text itself.
    """
    items: list[str | Path] = []
    for given in inputs:
        path = Path(given)
        if given and _exists(path, Path.is_dir):  # an empty text is not the current folder
            items += [path / name for name in modality.find_items(path)]
        elif modality.reads_text_directly and not _exists(path, Path.is_file):
            items.append(given)
        else:
            items.append(path)
    return items


def _exists(path: Path, kind: Any) -> bool:
    try:
        return bool(kind(path))
    except (OSError, ValueError):  # a text that is too long for a path, or that no path may contain
        return False
