"""Finding text files in folders, and reading them into a column of cleaned texts."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pyarrow as pa

from onecycle.data.character_encoding import decode_bytes
from onecycle.data.progress import progress
from onecycle.data.skipped import Skipped
from onecycle.errors import DataError, some, suggest, users_level
from onecycle.text.cleaning import clean
from onecycle.text.storage import build_column

TEXT_SUFFIXES = (".txt", ".text", ".md", "")
# Files beside the texts of published data sets, such as aclImdb, that are not texts themselves.
NOTE_NAMES = frozenset({"readme", "license", "licence", "makefile", "urls_neg", "urls_pos", "urls_unsup", "imdber"})
UNLABELLED_FOLDER = "unsup"
FILES_PER_BLOCK = 1000
READER_THREADS = 8


@dataclass
class CleanedTexts:
    """Cleaned texts, and what was noticed while reading them.

    Attributes:
        texts: The texts that are not empty after cleaning, large_string.
        names: The name of each.
        skipped: Items that are not texts.
        encodings: How many texts were read in each encoding; pure ASCII is not counted.
    """

    texts: pa.ChunkedArray
    names: list[str]
    skipped: list[Skipped]
    encodings: Counter[str] = field(default_factory=Counter)


def find_texts(
    root: Path, include: Sequence[str] | None = None, suffixes: Sequence[str] = TEXT_SUFFIXES
) -> tuple[list[str], list[Skipped]]:
    """Return the names of all text files below a folder, and the files that are left out.

    Args:
        root: The folder.
        include: Names of folders; only files in one of them, at any depth, are returned. None returns all files.
        suffixes: Suffixes of text files in lower case; "" stands for files without one.
    Returns:
        Names relative to `root`, with forward slashes, sorted; and the skipped files with the reasons.
    Raises:
        DataError: The folder does not exist, contains no text, or does not contain a folder named in `include`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "a.txt").write_text("some words")
        ...     find_texts(Path(folder))
        (['a.txt'], [])
    """
    if not root.is_dir():
        what = f"{root} is a file." if root.exists() else f"No such folder: {root}."
        raise DataError(what, "a folder with texts in it.", "check the path.")
    names: list[str] = []
    skipped: list[Skipped] = []
    folders: set[str] = set()
    for name, reason in _list_files(root, suffixes):
        parents = set(PurePosixPath(name).parts[:-1])
        folders |= parents
        if include is not None and not parents & set(include):
            continue
        if UNLABELLED_FOLDER in parents and UNLABELLED_FOLDER not in (include or ()):
            reason = f"in {UNLABELLED_FOLDER}/"
        if reason:
            skipped.append(Skipped(name, reason))
        else:
            names.append(name)
    _check_include(root, include, folders)
    if not names:
        raise _no_texts(root, suffixes, skipped)
    return sorted(names), skipped


def _check_include(root: Path, include: Sequence[str] | None, folders: set[str]) -> None:
    missing = [name for name in include or () if name not in folders]
    if missing:
        raise DataError(
            f"include= names folders that are not in {root}: {some(missing)}.",
            f"some of: {some(sorted(folders), 12) or 'there are none'}.",
            "check include=." + suggest(missing[0], folders),
        )


def _no_texts(root: Path, suffixes: Sequence[str], skipped: Sequence[Skipped]) -> DataError:
    found = sorted({PurePosixPath(entry.path).suffix or "no suffix" for entry in skipped})
    return DataError(
        f"No texts in {root}: " + (f"found {some(found)}." if found else "the folder is empty."),
        f"at least one file with the suffix {', '.join(suffix or 'none' for suffix in suffixes)}.",
        "check the path, or pass suffixes=.",
    )


def _list_files(root: Path, suffixes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the name of every file, and the reason to skip it; links to folders are followed, loops are not."""
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
                yield _check_file(name, entry, suffixes)


def _check_file(name: str, entry: os.DirEntry[str], suffixes: Sequence[str]) -> tuple[str, str]:
    """Return the name of a file, and the reason to skip it; empty where it is a text."""
    path = PurePosixPath(entry.name)
    try:
        name.encode()
    except UnicodeEncodeError:
        return ascii(name), "names that are not UTF-8"
    if not entry.is_file():
        return name, "unreadable"  # a broken link, or a pipe that would block
    # A number after a dot is part of the name, such as 10.1 in 20 newsgroups.
    suffix = "" if path.suffix[1:].isdecimal() else path.suffix.lower()
    if suffix not in suffixes:
        return name, "other files"
    return name, "notes about the data" if path.stem.lower() in NOTE_NAMES else ""


def read_text_files(root: Path, names: list[str], encoding: str | None, rules: Sequence[str]) -> CleanedTexts:
    """Read files into a column of cleaned texts; empty and unreadable ones are skipped.

    Args:
        root: The folder.
        names: The files, relative to `root`.
        encoding: The encoding of all files; None detects that of each.
        rules: Names of cleaning rules.
    """
    result = CleanedTexts(pa.chunked_array([], pa.large_string()), [], [])
    texts = _decode_files(root, names, encoding, result)
    _clean_into(result, progress(texts, "reading texts", len(names)), rules)
    if encoding is None:
        _warn_about_guesses(result.encodings)
    return result


def _decode_files(
    root: Path, names: list[str], encoding: str | None, result: CleanedTexts
) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the text of each file; unreadable files and encodings are noted in `result`."""
    with ThreadPoolExecutor(READER_THREADS) as pool:
        for start in range(0, len(names), FILES_PER_BLOCK):  # no more than a block is held as bytes
            block = names[start : start + FILES_PER_BLOCK]
            for name, data in zip(block, pool.map(lambda name: _read_bytes(root / name), block), strict=True):
                if data is None:
                    result.skipped.append(Skipped(name, "unreadable"))
                    continue
                text, used = decode_bytes(data, encoding)
                if not text.isascii():
                    result.encodings[used] += 1
                yield name, text


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def clean_rows(texts: Iterable[str | None], rules: Sequence[str], total: int) -> CleanedTexts:
    """Clean the texts of a column; empty ones are skipped.

    Args:
        texts: The texts, or None where a row has none.
        rules: Names of cleaning rules.
        total: Number of texts, for the progress bar.
    Returns:
        The texts, named after their rows ("row 0", "row 1", ...).

    Example:
        >>> cleaned = clean_rows(["one &amp; two", "", "three"], ["entities"], total=3)
        >>> cleaned.names, cleaned.texts.to_pylist()
        (['row 0', 'row 2'], ['one & two', 'three'])
    """
    result = CleanedTexts(pa.chunked_array([], pa.large_string()), [], [])
    named = ((f"row {row}", text) for row, text in enumerate(texts))
    _clean_into(result, progress(named, "cleaning texts", total), rules)
    return result


def _clean_into(result: CleanedTexts, named: Iterable[tuple[str, str | None]], rules: Sequence[str]) -> None:
    def blocks() -> Iterator[pa.Array]:
        block: list[str] = []
        for name, text in named:
            cleaned = "" if text is None else clean(text, rules)
            if not cleaned.strip():
                result.skipped.append(Skipped(name, "empty texts"))
                continue
            result.names.append(name)
            block.append(cleaned)
            if len(block) == FILES_PER_BLOCK:
                yield pa.array(block, pa.large_string())
                block.clear()
        if block:
            yield pa.array(block, pa.large_string())

    result.texts = build_column(blocks(), pa.large_string())


def _warn_about_guesses(encodings: Counter[str]) -> None:
    guessed = {name: count for name, count in encodings.items() if not name.startswith("utf")}
    if guessed:
        counts = some(f"{count:,} as {name}" for name, count in sorted(guessed.items()))
        warnings.warn(
            f"Texts that are not UTF-8 were read {counts}; pass encoding= if that is wrong.", stacklevel=users_level()
        )
