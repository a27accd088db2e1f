"""Finds text files in folders, and reads them into one column of cleaned texts."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pyarrow as pa

from onecycle.data.items import Skipped
from onecycle.data.progress import progress
from onecycle.errors import DataError, some, suggest
from onecycle.text.cleaning import clean
from onecycle.text.encoding import decode
from onecycle.text.storage import column

SUFFIXES = (".txt", ".text", ".md", "")
# What lies beside the texts of published data sets, aclImdb's and others', and is none of them.
NOTES = frozenset({"readme", "license", "licence", "makefile", "urls_neg", "urls_pos", "urls_unsup", "imdber"})
UNLABELLED = "unsup"
PIECE = 1000
READERS = 8


@dataclass
class Reading:
    """Texts, and what was noticed while they were read.

    Attributes:
        texts: The texts, cleaned; None where nothing is left.
        names: What each is called.
        skipped: What is no text.
        encodings: How many were read in each encoding.
    """

    texts: pa.ChunkedArray
    names: list[str]
    skipped: list[Skipped]
    encodings: Counter[str] = field(default_factory=Counter)


def find_texts(root: Path, include: Sequence[str] | None, suffixes: Sequence[str]) -> tuple[list[str], list[Skipped]]:
    """Return the names of all text files below a folder, relative with forward slashes, sorted; and what is none.

    Raises:
        DataError: There is no such folder, or no text in it, or `include` names a folder that is not there.
    """
    if not root.is_dir():
        what = f"{root} is a file." if root.exists() else f"No such folder: {root}."
        raise DataError(what, "a folder with texts in it.", "check the path.")
    names: list[str] = []
    skipped: list[Skipped] = []
    folders: set[str] = set()
    for name, reason in _files(root, suffixes):
        on_path = PurePosixPath(name).parts[:-1]
        folders.update(on_path)
        if include is not None and not set(on_path) & set(include):
            continue
        if UNLABELLED in on_path and UNLABELLED not in (include or ()):
            skipped.append(Skipped(name, f"in {UNLABELLED}/"))
        elif reason:
            skipped.append(Skipped(name, reason))
        else:
            names.append(name)
    absent = [name for name in include or () if name not in folders]
    if absent:
        raise DataError(
            f"include= names folders that are not in {root}: {some(absent)}.",
            f"some of: {some(sorted(folders), 12) or 'there are none'}.",
            "check include=." + suggest(absent[0], folders),
        )
    if not names:
        kinds = sorted({PurePosixPath(entry.path).suffix or "no suffix" for entry in skipped})
        raise DataError(
            f"No texts in {root}: " + (f"found {some(kinds)}." if kinds else "the folder is empty."),
            f"at least one file with the suffix {', '.join(suffix or 'none' for suffix in suffixes)}.",
            "check the path, or pass suffixes=.",
        )
    return sorted(names), skipped


def _files(root: Path, suffixes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield every file's name, and why it is no text; linked folders are followed, loops are not."""
    visited = {os.path.realpath(root)}
    pending = [""]
    while pending:
        folder = pending.pop()
        for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name):
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                yield ascii(name)[1:-1], "hidden"
            elif entry.is_dir():
                if (real := os.path.realpath(entry.path)) not in visited:
                    visited.add(real)
                    pending.append(name)
            else:
                yield _judged(name, entry, suffixes)


def _judged(name: str, entry: os.DirEntry[str], suffixes: Sequence[str]) -> tuple[str, str]:
    path = PurePosixPath(entry.name)
    try:
        name.encode()
    except UnicodeEncodeError:
        return ascii(name), "names that are not UTF-8"
    if not entry.is_file():
        return name, "unreadable"  # a broken link, or a pipe that would block
    # A number behind a dot is part of a name, such as 20 newsgroups' 10.1.
    suffix = "" if path.suffix[1:].isdecimal() else path.suffix.lower()
    if suffix not in suffixes:
        return name, "other files"
    return name, "notes about the data" if path.stem.lower() in NOTES else ""


def read_files(root: Path, names: list[str], encoding: str | None, rules: Sequence[str]) -> Reading:
    """Read files into a column of cleaned texts; empty ones, and those that cannot be read, are skipped."""
    reading = Reading(pa.chunked_array([], pa.large_string()), [], [])

    def read(name: str) -> bytes | None:
        try:
            return (root / name).read_bytes()
        except OSError:
            return None

    def texts() -> Iterator[tuple[str, str | None]]:
        with ThreadPoolExecutor(READERS) as pool:
            for start in range(0, len(names), PIECE):  # never more than a piece as bytes
                piece = names[start : start + PIECE]
                for name, data in zip(piece, pool.map(read, piece), strict=True):
                    if data is None:
                        reading.skipped.append(Skipped(name, "unreadable"))
                        continue
                    text, found = decode(data, encoding)
                    if not text.isascii():
                        reading.encodings[found] += 1
                    yield name, text

    _gather(progress(texts(), "reading texts", len(names)), rules, reading)
    _warn_of_encodings(reading.encodings, encoding)
    return reading


def read_rows(texts: Iterable[str | None], rules: Sequence[str], total: int) -> Reading:
    """Clean texts that are at hand; empty ones are skipped. They are called after their rows, counted from 0."""
    reading = Reading(pa.chunked_array([], pa.large_string()), [], [])
    named = ((f"row {row}", text) for row, text in enumerate(texts))
    _gather(progress(named, "cleaning texts", total), rules, reading)
    return reading


def _gather(named: Iterable[tuple[str, str | None]], rules: Sequence[str], reading: Reading) -> None:
    def pieces() -> Iterator[pa.Array]:
        held: list[str] = []
        for name, text in named:
            cleaned = "" if text is None else clean(text, rules)
            if not cleaned.strip():
                reading.skipped.append(Skipped(name, "empty texts"))
                continue
            reading.names.append(name)
            held.append(cleaned)
            if len(held) == PIECE:
                yield pa.array(held, pa.large_string())
                held.clear()
        if held:
            yield pa.array(held, pa.large_string())

    reading.texts = column(pieces(), pa.large_string())


def _warn_of_encodings(encodings: Counter[str], given: str | None) -> None:
    guessed = {name: count for name, count in encodings.items() if not name.startswith("utf")}
    if guessed and given is None:
        told = some(f"{count:,} as {name}" for name, count in sorted(guessed.items()))
        warnings.warn(f"Texts that are not UTF-8 were read {told}; pass encoding= if that is wrong.", stacklevel=4)
