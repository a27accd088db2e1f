"""Folders that onecycle wrote, which are no data although they may lie inside it."""

from __future__ import annotations

import os
from pathlib import Path

MARKER = ".onecycle"  # in a folder of predicted masks
_FILES = frozenset({MARKER, "model.onecycle", "last.ckpt"})


def is_own_output(folder: str | Path) -> bool:
    """Return whether a folder is that of a run, or of predictions."""
    try:
        names = set(os.listdir(folder))
    except OSError:
        return False
    return bool(names & _FILES) or ("run.json" in names and b'"options"' in _head(Path(folder) / "run.json"))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(65536)
    except OSError:
        return b""
