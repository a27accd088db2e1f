"""Images below a folder, found by whatever a table calls them."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from onecycle.errors import DataError, counted, some
from onecycle.vision.decode import is_image
from onecycle.vision.image_files import IMAGE_SUFFIXES, list_files

# Of files that are no images, so that they need not be opened to see that.
OTHER_SUFFIXES = frozenset({
    ".csv", ".tsv", ".txt", ".xml", ".json", ".jsonl", ".yaml", ".yml", ".md", ".py", ".ipynb", ".html", ".parquet",
    ".npy", ".npz", ".mat", ".zip", ".gz", ".tar", ".pdf", ".cal", ".h5", ".pkl", ".onecycle", ".ckpt",
})  # fmt: skip


class ImageIndex:
    """Images by name.

    A table may leave out folders and the suffix, write capitals, back-slashes and Unicode in another way, and name
    folders of another machine above the images.

    Args:
        paths: The images, relative to a folder, with forward slashes.

    Example:
        >>> ImageIndex(["a/1.JPG", "b/2.png"]).find("1.jpg")
        ['a/1.JPG']
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = list(paths)
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            name = _key(path).rpartition("/")[2]
            self._by_name[name].append(path)
            self._by_stem[os.path.splitext(name)[0]].append(path)

    def find(self, name: str) -> list[str]:
        """Return all images that a table may mean by `name`; one that is spelled the same before others."""
        folder, _, last = _key(name).rpartition("/")
        stem, suffix = os.path.splitext(last)
        found = self._by_name.get(last) or self._by_stem.get(last)
        if not found and suffix in IMAGE_SUFFIXES:
            found = self._by_stem.get(stem)
        if folder:
            found = [path for path in found or () if f"/{_key(path)}".rpartition("/")[0].endswith(f"/{folder}")]
        spelled = [path for path in found or () if f"/{path}".endswith(f"/{name}")]
        return spelled or list(found or ())

    def find_all(self, names: Sequence[str]) -> list[list[str]]:
        """Return the images of each name; folders that all names begin with are left out where they are not there."""
        found = [self.find(name) for name in names]
        if any(found) or not names:
            return found
        shared = os.path.commonpath([_key(name).rpartition("/")[0] for name in names])
        for count in range(1, len(_parts(shared)) + 1):
            shorter = ["/".join(_parts(name)[count:]) for name in names]
            found = [self.find(name) for name in shorter]
            if any(found):
                return found
        return found


def image_names(root: Path, include: Sequence[str] | None = None) -> list[str]:
    """Return the image files below a folder, or below some folders in it: those with a suffix of images, and others by
    their content. Hidden files and what onecycle wrote are left out.
    """
    listed = list_files(root, [], [""] if include is None else list(include))
    return sorted(name for name, entry in listed if looks_like_an_image(entry))


def looks_like_an_image(entry: os.DirEntry[str]) -> bool:
    """Return whether a file is an image by its suffix, or where that says nothing by its content."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    if suffix in OTHER_SUFFIXES or not entry.is_file():
        return False
    try:
        with open(entry.path, "rb") as file:
            return is_image(file.read(16))
    except OSError:
        return False


def match_images(root: Path, names: Sequence[str], column: str, include: Sequence[str] | None = None) -> list[str]:
    """Find the image of each name of a table, wherever it lies below `root`, or below some folders in it.

    Returns:
        The images' paths relative to `root`; a name that no image has stays as it is.
    Raises:
        DataError: A name could mean more than one image.
    """
    if not root.is_dir():
        raise DataError(f"No such folder: {root}.", "the folder with the images.", "check the path.")
    found = ImageIndex(image_names(root, include)).find_all(names)
    several = [(name, paths) for name, paths in zip(names, found, strict=True) if len(paths) > 1]
    if several:
        name, paths = several[0]
        raise DataError(
            f"{counted(len(several), 'name')} of column {column!r} could mean more than one image in {root}, such as "
            f"{name!r}: {some(paths, 4)}.",
            "one image for each name.",
            f"write the folder into the table, such as {paths[0]!r}, or pass one of the folders as folder=.",
            shell_fix=f"write the folder into the table, such as {paths[0]!r}, or name one folder with --include.",
        )
    return [paths[0] if paths else name for name, paths in zip(names, found, strict=True)]


def missing_files(root: Path, missing: Sequence[str], total: int, column: str, suffix: str) -> DataError:
    """Return the error for rows whose image does not exist; it notices a suffix or folders that were left out."""
    what = f"{counted(len(missing), 'image', ('is', 'are'), of=total)} not in {root}: {some(missing)}."
    expected = f"a file for every row, named by column {column!r}."
    found = ImageIndex(image_names(root)).find_all(missing) if root.is_dir() else [[]]
    near = [f"{missing[0]}{end}" for end in sorted(IMAGE_SUFFIXES) if os.path.isfile(root / f"{missing[0]}{end}")]
    if near and not suffix and all(os.path.isfile(root / f"{name}{Path(near[0]).suffix}") for name in missing):
        return DataError(what, expected, f"pass suffix={Path(near[0]).suffix!r}.")
    if any(found):
        count = sum(map(bool, found))
        return DataError(
            what, expected,
            f"pass search=True, which finds {count:,} of them by name, such as {next(filter(None, found))[0]}.",
            shell_fix="leave --suffix out, or pass --missing drop to leave those rows out.",
        )  # fmt: skip
    return DataError(
        what, expected, "check folder= and suffix=, or pass missing='drop' to leave those rows out.",
        shell_fix="check the folder of the data and --suffix, or pass --missing drop to leave those rows out.",
    )  # fmt: skip


def _parts(name: str) -> list[str]:
    return [part for part in name.strip().replace("\\", "/").split("/") if part not in ("", ".")]


def _key(name: str) -> str:
    """Return a name as it is compared."""
    return unicodedata.normalize("NFC", "/".join(_parts(name))).casefold()
