"""Which shards are meant: files, folders, and patterns such as `train-{000..099}.tar` and `*.parquet`."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from onecycle.data.remote import address_of, is_remote, list_remote
from onecycle.errors import DataError, some

SUFFIXES = {".tar": "tar", ".parquet": "parquet", ".pq": "parquet"}
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
MOST_SHARDS = 1_000_000


def find_shards(shards: str | Path | Sequence[str | Path]) -> tuple[str, list[str]]:
    """Return the kind of the shards, "tar" or "parquet", and their paths.

    Args:
        shards: A file, a folder, a pattern, or several of these.
    Raises:
        DataError: There are none, or they are of several kinds.
    """
    asked = [shards] if isinstance(shards, str | Path) else list(shards)
    found = list(dict.fromkeys(path for one in asked for path in _paths(str(one))))
    if len({os.path.isabs(path) for path in found if not is_remote(path)}) > 1:
        found = [os.path.abspath(path) for path in found]
    if not found:
        raise DataError("No shards are named.", "one or more tars, or Parquet files.", "pass their paths, or a folder.")
    for path in found:
        if path.lower().endswith(COMPRESSED):
            raise DataError(
                f"{path} is compressed.",
                "a plain tar, in which any item can be found.",
                "decompress it, for example with gzip -d.",
            )
        if not is_remote(path) and not os.path.isfile(path):
            raise DataError(f"No such shard: {path}.", "a file.", "check the path, and the numbers in { }.")
    kinds = {Path(path).suffix.lower() for path in found}
    known = sorted({SUFFIXES.get(suffix, "") for suffix in kinds})
    if len(known) > 1 or known == [""]:
        raise DataError(
            f"The shards end in {some(sorted(suffix or 'no suffix' for suffix in kinds))}, such as {found[0]}.",
            "either tars (.tar) or Parquet files (.parquet).",
            "name shards of one of these kinds.",
        )
    return known[0], found


def _paths(pattern: str) -> list[str]:
    if is_remote(pattern):
        found = [path for one in expand_braces(address_of(pattern)) for path in list_remote(one, tuple(SUFFIXES))]
        if not found:
            raise DataError(f"No shards in {pattern}.", "files that end in .tar or .parquet.", "check the path.")
        return found
    if os.path.isdir(pattern):
        inside = sorted(str(path) for path in Path(pattern).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not inside:
            raise DataError(f"No shards in {pattern}.", "files that end in .tar or .parquet.", "check the path.")
        return inside
    if os.path.exists(pattern):
        return [pattern]
    paths: list[str] = []
    for one in expand_braces(pattern):
        matching = sorted(glob.glob(one, recursive=True)) if glob.has_magic(one) else [one]
        if not matching:
            raise DataError(f"No file matches {one!r}.", "a pattern of existing shards.", "check the path.")
        paths += matching
    return paths


def expand_braces(pattern: str) -> Iterator[str]:
    """Yield what a pattern stands for, as a shell would: `{000..099}` counts, `{a,b}` lists.

    Raises:
        DataError: It stands for more than a million names.
    Example:
        >>> list(expand_braces("train-{08..10}.{tar,json}"))[:3]
        ['train-08.tar', 'train-08.json', 'train-09.tar']
    """
    match = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", pattern)
    if match is None:
        yield pattern
        return
    if match[3] is not None:
        choices: Iterator[str] = iter(match[3].split(","))
    else:
        first, last = int(match[1]), int(match[2])
        if abs(last - first) >= MOST_SHARDS:
            raise DataError(f"{match[0]} in {pattern!r}.", f"at most {MOST_SHARDS:,} numbers.", "check the numbers.")
        padded = len(match[1]) if match[1].startswith("0") or len(match[1]) == len(match[2]) else 0
        choices = (f"{number:0{padded}d}" for number in range(first, last + 1))
    for choice in choices:
        yield from expand_braces(pattern[: match.start()] + choice + pattern[match.end() :])
