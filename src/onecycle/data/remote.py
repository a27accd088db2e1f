"""Files at addresses such as s3://bucket/photos, by fsspec: copied into the cache once, or read where they are."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from onecycle.data.cache_home import cache_home
from onecycle.disk import replacing
from onecycle.errors import DataError

# `pathlib` makes one slash of two. Drives of Windows have one letter.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])")
_LOCAL = ("file", "local")
# The package that fsspec reads an address with, where it is not that of the extra `data`.
_PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp",
    "hf": "huggingface_hub", "az": "adlfs", "abfs": "adlfs", "sftp": "paramiko", "ssh": "paramiko",
}  # fmt: skip
_STATES = (
    "ETag", "etag", "md5Hash", "crc32c", "generation", "blob_id", "LastModified", "Last-Modified", "mtime", "updated",
    "created",
)  # fmt: skip
BLOCK = 2**20
DOWNLOADS = 16
INDEX = "index.json"
State = tuple[int | str, ...]


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Return whether this is an address of files elsewhere.

    Example:
        >>> is_remote("s3://bucket/photos"), is_remote(Path("s3://bucket/photos")), is_remote("C:/photos")
        (True, True, False)
    """
    return _ADDRESS.match(os.fspath(path)) is not None and not os.path.exists(path) and _scheme(path) not in _LOCAL


def address_of(path: str | os.PathLike[str]) -> str:
    """Return an address with its two slashes."""
    return _ADDRESS.sub(r"\1://", os.fspath(path), count=1)


def parent_of(path: str | os.PathLike[str]) -> str:
    """Return the folder that a file is in, here or elsewhere."""
    return address_of(path).rpartition("/")[0] if is_remote(path) else str(Path(path).parent)


def as_local(path: str | os.PathLike[str], wanted: Callable[[str], bool] | None = None) -> Path:
    """Return a path on this machine; files elsewhere are copied there first, see `local_copy`."""
    return local_copy(address_of(path), wanted) if is_remote(path) else Path(path)


def local_copy(address: str, wanted: Callable[[str], bool] | None = None) -> Path:
    """Copy a file, or all files of a folder, into the cache, and return where they are.

    What is there already and has not changed is not copied again; what is gone from the address is deleted.

    Args:
        address: Such as s3://bucket/photos.
        wanted: Tells by its name relative to the address whether a file is needed; None takes all.
    Raises:
        DataError: The address cannot be read, nothing is there, or the files would fill half of what is free.
    """
    from filelock import FileLock

    from onecycle.data.progress import progress

    system, inside = _open_system(address)
    with _told(address):
        system.invalidate_cache()
        files = _files_below(system, inside)
    single = list(files) == [""]
    home = cache_home() / "remote" / hashlib.sha256(address.encode()).hexdigest()[:16]
    root = home / (inside.partition("?")[0].rstrip("/").rpartition("/")[2] or "files")
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):
        known = _read_index(home / INDEX)
        with _told(address):
            chosen = {name: info for name, info in files.items() if wanted is None or single or wanted(name)}
            states = dict(zip(chosen, _in_threads(lambda info: _state(system, info), chosen.values()), strict=True))
        missing = [name for name in chosen if known.get(name) != states[name] or not (root / name).is_file()]
        _check_room(address, sum(int(states[name][0] or 0) for name in missing), home)
        for name in known.keys() - files.keys():
            (root / name).unlink(missing_ok=True)
        known = {name: state for name, state in known.items() if name in files}
        try:
            with _told(address):
                copied = _in_threads(lambda name: _download(system, files[name]["name"], root / name), missing)
                for name, _ in zip(missing, progress(copied, f"copying {address}", len(missing)), strict=True):
                    known[name] = states[name]
        finally:
            _write_index(home / INDEX, known)
    if missing:
        size = sum(int(states[name][0] or 0) for name in missing) / 2**20
        text = f"# {address}: copied {len(missing):,} of {len(chosen):,} files, {size:,.1f} MB, to {root}."
        print(text, file=sys.stderr)  # not among predictions
    return root


def list_remote(pattern: str, suffixes: Sequence[str]) -> list[str]:
    """Return the addresses of files: one, those that match a pattern, or those of some kinds in a folder.

    Raises:
        DataError: The address cannot be read, or nothing is there.
    """
    system, inside = _open_system(pattern)
    with _told(pattern):
        if any(letter in inside for letter in "*?["):
            found = sorted(system.glob(inside))
        elif system.isfile(inside):
            found = [inside]
        else:
            below = (info["name"] for info in _files_below(system, inside).values())
            found = sorted(name for name in below if name.lower().endswith(tuple(suffixes)))
    return [system.unstrip_protocol(name) for name in found]


def open_remote(address: str) -> BinaryIO:
    """Open a file at an address, as one that can be searched; it is read in blocks of a megabyte."""
    system, inside = _open_system(address)
    with _told(address):
        return cast(BinaryIO, system.open(inside, "rb", block_size=BLOCK))


def read_range(address: str, start: int, size: int) -> bytes:
    """Return some bytes of a file at an address, and read no others."""
    system, inside = _open_system(address)
    with _told(address):
        return bytes(system.cat_file(inside, start=start, end=start + size))


def remote_state(address: str) -> State:
    """Return what changes whenever a file at an address does."""
    system, inside = _open_system(address)
    with _told(address):
        system.invalidate_cache()
        return _state(system, system.info(inside))


def _scheme(path: str | os.PathLike[str]) -> str:
    match = _ADDRESS.match(os.fspath(path))
    return "" if match is None else match[1]


def _open_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it.

    Raises:
        DataError: A package is missing, or there is no such kind of address.
    """
    import fsspec

    scheme = _scheme(address)
    try:
        system, inside = fsspec.url_to_fs(address)
    except ImportError as error:
        package = _PACKAGES.get(scheme, scheme)
        raise DataError(
            f"{address} needs a package that is not installed: {error}.", f"the package that reads {scheme}://.",
            f"pip install {package}, or pip install 'onecycle[data]' for s3, gs, https and hf.",
        ) from error  # fmt: skip
    except ValueError as error:
        raise DataError(
            f"{address} cannot be read: {error}.",
            "an address that fsspec knows, such as s3://, gs://, https:// or hf://.",
            "check the address, or copy the files to a folder.",
        ) from error
    return system, inside


@contextmanager
def _told(address: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # each file system has its own
        raise DataError(
            f"{address} cannot be read: {type(error).__name__}: {error}.", "an address that can be read from here.",
            "check the address, the network, and your credentials.",
        ) from error  # fmt: skip


def _files_below(system: Any, inside: str) -> dict[str, dict[str, Any]]:
    """Return the files at a path by their names relative to it; "" is the path itself, where it is a file."""
    below = {name: {"name": name, **info} for name, info in system.find(inside, detail=True).items()}
    found = {name: info for name, info in below.items() if info.get("type", "file") == "file"}
    begin = inside.rstrip("/")
    if not found:
        raise FileNotFoundError("there is no such file or folder")
    if set(found) == {begin}:
        return {"": found[begin]}
    relative = {name.removeprefix(begin).lstrip("/"): info for name, info in found.items()}
    if begin.startswith("http"):  # names of links, and links that only sort a page
        relative = {unquote(name): info for name, info in relative.items() if "?" not in name}
    return {name: info for name, info in relative.items() if name and ".." not in name.split("/")}


def _state(system: Any, info: Mapping[str, Any]) -> State:
    """Return a file's size, and what its file system says of its content or time."""
    if info.get("size") is None:
        info = {**system.info(info["name"]), "name": info["name"]}  # a page of links tells no sizes
    return (int(info.get("size") or 0), *(str(info[name]) for name in _STATES if info.get(name) is not None))


def _in_threads(function: Callable[[Any], Any], values: Any) -> Iterator[Any]:
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        yield from pool.map(function, values)


def _download(system: Any, name: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        system.get_file(name, str(part))


def _check_room(address: str, needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free // 2:
        raise DataError(
            f"{address} has {needed / 2**20:,.0f} MB to copy, and {folder} has room for {free / 2**20:,.0f} MB.",
            "twice as much room.",
            "set the environment variable ONECYCLE_CACHE to another folder, or read shards with from_shards(), which "
            "copies nothing.",
        )


def _read_index(path: Path) -> dict[str, State]:
    try:
        return {str(name): tuple(state) for name, state in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _write_index(path: Path, known: Mapping[str, State]) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(known), encoding="utf-8")
