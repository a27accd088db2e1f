"""Which file does an annotation mean? Names as other machines wrote them, looked for in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from onecycle.data.split_names import role_of
from onecycle.errors import DataError, some
from onecycle.vision.image_index import ImageIndex, image_names

_MASKS = frozenset({"mask", "masks", "label", "labels", "annotations", "segmentationclass", "segmentationobject"})


class Finder:
    """Finds images below a folder.

    Args:
        folder: The folder.
        beside: Folders below it, relative, that are looked into first.
        index: Names of images that may be meant; None lists the folder.
    """

    def __init__(self, folder: Path, beside: Sequence[str] = (), index: Sequence[str] | None = None) -> None:
        if not folder.is_dir():
            raise DataError(f"No such folder: {folder}.", "the folder with the images.", "check folder=.")
        self._folder, self._beside = folder, beside
        self._index = ImageIndex(image_names(folder) if index is None else index)
        self._known = set(self._index.paths)

    def find(self, names: Sequence[str], split: str | None = None) -> str | None:
        """Return the image that one of several names means, relative to the folder; None where there is none.

        Raises:
            DataError: A name could mean two images.
        """
        for name in names:
            plain = os.path.normpath(name.replace("\\", "/")).replace(os.sep, "/")
            for place in (*self._beside, ""):
                path = f"{place}/{plain}" if place else plain
                if path in self._known:
                    return path
        for name in names:
            found = self._index.find(name) or self._index.find(name.replace("\\", "/").rpartition("/")[2])
            if len(found) > 1:
                found = [path for path in found if not _is_mask(path)] or found
                found = [path for path in found if _is_in(path, split)] or found
            if len(found) > 1:
                raise DataError(
                    f"{name!r} could mean more than one image in {self._folder}: {some(found, 4)}.",
                    "one image for each name.",
                    "pass one of the folders as folder=.",
                    shell_fix="train on one of the folders alone, with its annotations in it.",
                )
            if found:
                return found[0]
        return None

    def others(self, found: set[str]) -> Iterator[str]:
        """Yield the images beside those that were found."""
        folders = {os.path.dirname(path) for path in found}
        return (path for path in self._index.paths if path not in found and os.path.dirname(path) in folders)


def _is_mask(path: str) -> bool:
    """Return whether a file lies in a folder of masks, which are often named as their images are."""
    return any(folder in _MASKS for folder in path.casefold().split("/")[:-1])


def _is_in(path: str, split: str | None) -> bool:
    """Return whether a folder on a path is named after a split."""
    return split is not None and any(role_of(folder) == split for folder in path.split("/")[:-1])
