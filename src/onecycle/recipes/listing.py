"""The user's data folder, listed once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from onecycle.data.remote import as_local, is_remote
from onecycle.errors import DataError, suggest
from onecycle.text.text_files import NOTE_NAMES, TEXT_SUFFIXES
from onecycle.vision.image_files import check_included, list_files
from onecycle.vision.image_index import looks_like_an_image


@dataclass(frozen=True)
class Listing:
    """The files of a folder, without hidden ones and without what onecycle wrote.

    Attributes:
        root: The folder.
        files: All files, relative with forward slashes, sorted.
        images: Those that are images.
    """

    root: Path
    files: tuple[str, ...]
    images: tuple[str, ...]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The text files; notes about the data and lists beside folders are none."""
        return tuple(name for name in self.files if "/" in name and _is_text(PurePosixPath(name)))

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Return the files whose names end so."""
        return [name for name in self.files if name.lower().endswith(suffixes)]


def list_data(root: Path, include: Sequence[str] | None = None) -> Listing:
    """List a folder, or only some folders in it.

    Raises:
        DataError: There is no such folder.
    """
    if not root.is_dir():
        above = root.parent
        beside = os.listdir(above) if above.is_dir() and os.access(above, os.R_OK) else []
        raise DataError(
            f"No such file or folder: {root}.", "the folder with the data, or a table.",
            f"check the path.{suggest(root.name, beside)}",
        )  # fmt: skip
    check_included(root, include)
    folders = [""] if include is None else [name.strip("/") for name in include if name != "."]
    listed = list(list_files(root, [], folders))
    if "." in (include or ()):  # the files of the folder itself
        listed += [(name, entry) for name, entry in list_files(root, [], [""]) if "/" not in name]
    files = sorted(listed, key=lambda file: file[0])
    images = tuple(name for name, entry in files if looks_like_an_image(entry))
    return Listing(root, tuple(name for name, _ in files), images)


def folder_of(name: str) -> str:
    """Return the part of a name above its last slash; "" for a file at the top."""
    return name.rpartition("/")[0]


def count_folders(names: Sequence[str]) -> Counter[str]:
    """Return how many files lie directly in each folder."""
    return Counter(map(folder_of, names))


def existing_path(given: str | Path, data: Path) -> Path:
    """Return a path that the user gave, relative to the data or to where one stands, whichever exists; or elsewhere.

    Raises:
        DataError: Both exist, and are different files.
    """
    if is_remote(given):
        return as_local(given)
    here, there = Path(given), data / given
    if here.exists() and there.exists() and not here.samefile(there):
        raise DataError(
            f"{given} is there twice: {here.resolve()} and {there.resolve()}.", "one file or folder of that path.",
            f"write it in full, such as {str(there.resolve())!r}.",
        )  # fmt: skip
    return there if there.exists() and not here.exists() else here


def path_of_all(root: Path, parts: Sequence[str], present: Sequence[str], *, whole: bool) -> str | list[str]:
    """Return the folder where all files in it are meant, else their paths."""
    if whole:
        shared = os.path.commonpath([folder_of(name) for name in parts]) if all(map(folder_of, parts)) else ""
        for folder in ("", shared):
            begin = f"{folder}/" if folder else ""
            if set(parts) == {name for name in present if name.startswith(begin)}:
                return str(root / folder)
    paths = [str(root / name) for name in parts]
    return paths[0] if len(paths) == 1 else paths


def _is_text(path: PurePosixPath) -> bool:
    return path.suffix.lower() in TEXT_SUFFIXES and path.stem.lower() not in NOTE_NAMES
