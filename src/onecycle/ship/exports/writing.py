"""Exported files on the disk: whole ones, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from onecycle.disk import replacing
from onecycle.errors import BundleError


@contextlib.contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Have the folder of a path, and tell in three lines what keeps it from being written.

    Raises:
        BundleError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise BundleError(
            f"Cannot write {path}: {error.strerror or error}.", "a folder with enough room that may be written to.",
            "free some room or choose another path; what was there before is untouched.",
        ) from error  # fmt: skip


def write_content(path: Path, content: bytes, proof: object) -> Path:
    """Write a whole file in one step, and say what was proved.

    Raises:
        BundleError: It cannot be written.
    """
    with writing_to(path), replacing(path) as part:
        part.write_bytes(content)
    print(f"{path.name}: {proof}")
    return path
