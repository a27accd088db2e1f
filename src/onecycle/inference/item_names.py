"""Short names of items that still tell them apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePosixPath


def short_names(items: Sequence[str], *, suffix: bool = False) -> list[str]:
    """Return the file's name of each item, and as much of its path as is needed to tell all items apart.

    Args:
        items: Paths.
        suffix: Keep the suffixes also where they are not needed.
    Example:
        >>> short_names(["x/a/0.png", "x/a/1.png"]), short_names(["x/a/0.png", "x/b/0.png"])
        (['0', '1'], ['a/0', 'b/0'])
    """
    paths = [PurePosixPath(item.replace("\\", "/")) for item in items]
    count = len(set(items))
    folder = _common_folder(paths)
    inside = [path.relative_to(folder) if folder else path for path in paths]
    ways = [
        [path.stem for path in paths], [str(path.with_suffix("")) for path in inside],
        [path.name for path in paths], [str(path) for path in inside],
    ]  # fmt: skip
    return next((names for names in (ways[2:] if suffix else ways) if len(set(names)) == count), list(items))


def _common_folder(paths: Sequence[PurePosixPath]) -> str:
    try:
        return os.path.commonpath([str(path.parent) for path in paths]).removeprefix(".")
    except ValueError:  # none, or absolute beside relative ones
        return ""
