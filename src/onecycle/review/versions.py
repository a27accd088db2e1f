"""Versions of a run's model: each beside the one before, `model.onecycle`, `model-2.onecycle`, `model-3.onecycle`, ...

The newest counts. One that is taken back is renamed to `model-3.undone.onecycle`: nothing is deleted, and no number is
used twice.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from onecycle.errors import DataError

FIRST = "model.onecycle"
_VERSION = re.compile(r"model-([1-9][0-9]*)(\.undone)?\.onecycle")


def current_version(folder: str | Path) -> Path:
    """Return the bundle that counts in the folder of a run, which need not be there.

    Example:
        >>> current_version("runs/photos").name
        'model.onecycle'
    """
    standing = {number: path for number, path, undone in _versions(Path(folder)) if not undone}
    return standing[max(standing)] if standing else Path(folder) / FIRST


def next_version(folder: str | Path) -> Path:
    """Return the path of the version after all that there are, also those that were taken back."""
    return Path(folder) / f"model-{max([1, *(number for number, _, _ in _versions(Path(folder)))]) + 1}.onecycle"


def undo_version(folder: str | Path) -> tuple[Path, Path]:
    """Take the newest version back; return where it is kept, and the version that counts again.

    Raises:
        DataError: There is none to take back.
    """
    newest = current_version(folder)
    if not newest.exists():
        raise DataError(
            f"{folder} has no model to take back.", "the folder of a run whose model learned.",
            "pass the --out of such a run, such as runs/photos.",
        )  # fmt: skip
    if newest.name == FIRST:
        raise DataError(
            f"{folder} has no version to take back: {FIRST} is what was trained.", "a version that learned.",
            "leave --undo out, or train again.",
        )  # fmt: skip
    kept = newest.with_suffix(".undone.onecycle")
    os.replace(newest, kept)
    return kept, current_version(folder)


def first_version(bundle: str | Path) -> Path:
    """Return the first version of a bundle, beside which the journal of all of them is.

    Example:
        >>> first_version("runs/photos/model-3.onecycle").name, first_version("photos-3.onecycle").name
        ('model.onecycle', 'photos-3.onecycle')
    """
    path = Path(bundle)
    return path.with_name(FIRST) if _VERSION.fullmatch(path.name) else path


def _versions(folder: Path) -> list[tuple[int, Path, bool]]:
    if not folder.is_dir():
        return []
    matches = ((path, _VERSION.fullmatch(path.name)) for path in folder.iterdir())
    return [(int(match[1]), path, bool(match[2])) for path, match in matches if match]
