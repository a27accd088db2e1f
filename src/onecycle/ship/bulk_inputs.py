"""Which items a prediction in bulk is of: files, globs, folders, and addresses such as s3://bucket/photos."""

from __future__ import annotations

import glob
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from onecycle.data.modality import Modality
from onecycle.errors import DataError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")
_WILDCARD = re.compile(r"[*?\[]")


def is_address(text: str) -> bool:
    """Return whether a text is an address such as s3://bucket/photos, and not a sentence that begins with one."""
    return bool(_ADDRESS.match(text)) and not re.search(r"\s", text)


def is_glob(text: str) -> bool:
    """Return whether a text has wildcards, and is no file itself."""
    return bool(_WILDCARD.search(text)) and not os.path.exists(text)


def find_inputs(inputs: Sequence[str], modality: Modality) -> list[str]:
    """Return the items that are meant, in the order in which they are named.

    Args:
        inputs: Files, globs such as `photos/**/*.jpg`, folders, or addresses of these that pyarrow can open, such as
            `s3://bucket/photos`; for texts also the texts themselves.
        modality: Finds its items in folders.
    Raises:
        DataError: There are none.
    """
    items = [item for given in inputs for item in _items_of(str(given), modality)]
    if not items:
        raise DataError(
            f"There is nothing to predict: {', '.join(map(str, inputs)) or 'no inputs'}.",
            "a file, a folder with files, a glob that matches some, or an address such as s3://bucket/photos.",
            "check the path; quote a glob, so that the shell leaves it as it is.",
        )
    return items


@contextmanager
def opened(item: str) -> Iterator[str | Path]:
    """Give an item as a modality reads it; what lies at an address is fetched while the context lasts.

    Raises:
        DataError: It cannot be fetched.
    """
    if not is_address(item):
        yield Path(item) if os.path.isfile(item) else item
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PurePosixPath(item).name
        try:
            system, inside = _filesystem(item)
            with system.open_input_stream(inside) as stream:
                path.write_bytes(stream.read())
        except OSError as error:
            raise DataError(f"{item} could not be read: {error}.", "a file.", "check the address.") from error
        yield path


def _items_of(given: str, modality: Modality) -> list[str]:
    if is_address(given):
        return _items_at(given, modality)
    if os.path.isdir(given):
        return [os.path.join(given, name) for name in modality.find_items(Path(given))]
    if os.path.isfile(given) or modality.reads_text_directly:
        return [given]
    if _WILDCARD.search(given):
        return sorted(path for path in glob.glob(given, recursive=True) if os.path.isfile(path))
    return [given]  # that it is missing is told beside its name


def _items_at(address: str, modality: Modality) -> list[str]:
    """Return the files at an address: one, those in a folder, or those that match a glob."""
    from pyarrow.fs import FileSelector, FileType

    scheme = address[: address.index("://")]
    system, inside = _filesystem(address)
    first = _WILDCARD.search(inside)
    folder = inside if first is None else inside[: first.start()].rpartition("/")[0]
    try:
        if first is None and system.get_file_info(inside).type != FileType.Directory:
            return [address]
        found = system.get_file_info(FileSelector(folder, recursive=True))
    except OSError as error:
        raise DataError(
            f"{address} could not be listed: {error}.", "a folder that can be read.", "check address and permission."
        ) from error
    names = sorted(info.path for info in found if info.type == FileType.File)
    if first is not None:
        matches = _pattern(inside).fullmatch
        names = [name for name in names if matches(name)]
    elif modality.suffixes is not None:
        names = [name for name in names if PurePosixPath(name).suffix.lower() in modality.suffixes]
    return [f"{scheme}://{name}" for name in names]


def _pattern(wildcards: str) -> re.Pattern[str]:
    """Return a glob as a regular expression: only ** matches more than one folder."""
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", wildcards)
    return re.compile("".join(meanings.get(part, part if part.startswith("[") else re.escape(part)) for part in parts))


def _filesystem(address: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem

    try:
        system, inside = FileSystem.from_uri(re.sub(r"[*?\[].*", "", address))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{address} could not be opened: {error}.",
            "an address that pyarrow can open: s3://, gs://, hdfs:// or file://.",
            "check the address, or copy the files to a folder.",
        ) from error
    rest = _WILDCARD.search(address)
    if rest is None:
        return system, inside
    slash = "/" if address[: rest.start()].endswith("/") and not inside.endswith("/") else ""
    return system, inside + slash + address[rest.start() :]
