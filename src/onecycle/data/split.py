"""How to split? Each way is a function from what is known of the items to row numbers; none changes its input."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.data.labels import distinct
from onecycle.data.rows import Rows
from onecycle.data.rows import folders as folders_of
from onecycle.data.shards.find import expand_braces
from onecycle.data.table_format import find_format
from onecycle.data.tables import slices
from onecycle.errors import DataError, counted, some, suggest

Indices = NDArray[np.int64]
Values: TypeAlias = "Sequence[object] | pa.ChunkedArray"


def _none() -> Indices:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Split:
    """Row numbers of each split, ascending. Splits never overlap; rows in none were left out on purpose."""

    train: Indices
    valid: Indices
    test: Indices = field(default_factory=_none)


def at_random(count: int, valid: float, seed: int, strata: Values | None = None) -> Split:
    """Hold back a random fraction, of each stratum where `strata` names one for every row."""
    _check_fraction(valid)
    rng = np.random.default_rng(seed)
    if strata is None:
        return _held_back(
            count, rng.permutation(count)[: round(count * valid)], f"valid={valid} of {counted(count, 'item')}"
        )
    members, groups = _members(strata)
    held: list[Indices] = []
    for rows in np.split(members.argsort(kind="stable"), np.cumsum(np.bincount(members, minlength=groups))[:-1]):
        # A stratum with one item goes to training: a class cannot be learned from a validation item alone.
        most = max(len(rows) - 1, 0)
        held.append(rng.permutation(rows)[: min(max(round(len(rows) * valid), 1), most)])
    return _held_back(count, np.concatenate(held) if held else _none(), f"valid={valid} of each of {len(held)} strata")


def by_folder(
    names: Values,
    train: str | Sequence[str] | None,
    valid: str | Sequence[str],
    test: str | Sequence[str] | None,
) -> Split:
    """Split by the names of the folders on each item's path."""
    wanted = {"train": _names(train), "valid": _names(valid), "test": _names(test)}
    rows, paths = distinct(folders_of(_column(names)))
    parents = [frozenset(PurePosixPath(path or "").parts) for path in paths]
    seen = frozenset[str]().union(*parents)
    for name, folders in wanted.items():
        for folder in sorted(folders - seen):
            raise DataError(
                f"No item is in a folder named {folder!r}, named by {name}=.",
                f"one of the folders on the items' paths: {some(sorted(seen), 12) or 'there are none'}.",
                f"name an existing folder, or use split_random().{suggest(folder, seen)}",
            )
    held = {name: np.array([bool(folders & on_path) for on_path in parents])[rows] for name, folders in wanted.items()}
    both = held["valid"] & held["test"] | held["valid"] & held["train"] | held["test"] & held["train"]
    if both.any():
        raise DataError(
            f"{counted(int(both.sum()), 'item', ('is', 'are'))} in folders of two splits, such as "
            f"{_column(names)[int(both.argmax())]}.",
            "folders that do not contain each other.",
            "name the folders so that every item is in one split.",
        )
    train_rows = held["train"] if wanted["train"] else ~(held["valid"] | held["test"])
    return _checked(
        Split(*(np.flatnonzero(chosen) for chosen in (train_rows, held["valid"], held["test"]))),
        "split_by_folder",
    )


def by_shards(items: Rows, valid: str | Sequence[str]) -> Split:
    """Hold back all items of the shards that `valid` names."""
    if items.shards is None:
        raise DataError(
            "split_by_shards() needs shards, and these items are files.",
            "a list that from_shards() made.",
            "use split_random(), or split_by_folder().",
        )
    names = items.shards.names
    held: set[int] = set()
    for pattern in [valid] if isinstance(valid, str) else valid:
        wanted = list(expand_braces(pattern))
        found = {
            number
            for number, name in enumerate(names)
            if any(fnmatchcase(name, one) or fnmatchcase(PurePath(name).name, one) for one in wanted)
        }
        if not found:
            raise DataError(
                f"No shard is called {pattern!r}.",
                f"names of shards, or patterns: {some((PurePath(name).name for name in names), 12)}.",
                f"check valid=.{suggest(pattern, [PurePath(name).name for name in names])}",
            )
        held |= found
    return _held_back(
        len(items), np.flatnonzero(np.isin(items.shard_numbers, sorted(held))), f"valid= names {len(held)} shards"
    )


def by_value(values: Values, column: str, valid: object, test: object) -> Split:
    """Split by equality with a value; text and typed values compare as equal ("True", "true" and "1" equal True)."""
    rows, found = distinct(_column(values))
    texts = np.array([_plain(value) for value in found])
    is_valid = (texts == _plain(valid))[rows]
    is_test = (texts == _plain(test))[rows] & (test is not None)
    cause = f"column {column!r} == {valid!r}; the column holds {some(np.unique(texts[np.unique(rows)]))}"
    return _checked(Split(*(np.flatnonzero(r) for r in (~is_valid & ~is_test, is_valid, is_test))), cause)


def by_names(names: Sequence[str], path: Path) -> Split:
    """Hold back the items that the file at `path` names: a line each, or in a column of a table."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        for alias in {name, PurePosixPath(name).name, PurePosixPath(name).stem}:
            rows.setdefault(alias, []).append(row)
    wanted = [name.strip() for name in _listed(path, rows) if name.strip()]
    absent = [name for name in wanted if name not in rows]
    if absent:
        raise DataError(
            f"{path} names {counted(len(absent), 'item', ('that is', 'that are'))} not there: {some(absent)}.",
            "relative paths, file names, or names without suffix, of items that were found.",
            "remove those lines, look for the inputs in the right folder, or add those rows to the table of labels.",
        )
    held = np.unique(np.array([row for name in wanted for row in rows[name]], np.int64))
    return _held_back(len(names), held, f"{path} names {counted(len(wanted), 'item')}")


def _listed(path: Path, known: Container[str]) -> list[str]:
    """Return the names in a file: its lines, or the column of a CSV file with a header that has the most known ones."""
    is_table = path.suffix.lower() in (".csv", ".tsv")
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace" if is_table else None).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}.", "a text file, a name a line.", "check the path.") from error
    if not is_table or lines[0].strip() in known:
        return lines
    table = find_format(path).read(path)
    columns = [[str(value or "") for value in column.to_pylist()] for column in table.columns]
    return max(columns, key=lambda names: sum(name.strip() in known for name in names))


def by_function(paths: Sequence[str], function: Callable[[Path], str | bool | None]) -> Split:
    """Ask a function for the split of each path: "train", "valid", "test", or None to leave the item out."""
    rows: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
    for row, path in enumerate(paths):
        try:
            answer = function(Path(path))
        except Exception as error:
            raise DataError(
                f"The split function failed on {path}: {type(error).__name__}: {error}.",
                'a function from a path to "train", "valid", "test" or None.',
                "fix the function.",
            ) from error
        name = ("valid" if answer else "train") if isinstance(answer, bool) else answer
        if name is not None and name not in rows:
            raise DataError(
                f"The split function returned {answer!r} for {path}.",
                '"train", "valid", "test", None, True (valid) or False (train).',
                f"fix the function.{suggest(str(name), rows)}",
            )
        if name is not None:
            rows[name].append(row)
    return _checked(Split(**{name: np.array(found, np.int64) for name, found in rows.items()}), "split_by")


def by_index(count: int, valid: Sequence[int]) -> Split:
    """Hold back the rows at these positions."""
    held = np.unique(np.asarray(valid, np.int64))
    outside = held[(held < 0) | (held >= count)]
    if len(outside):
        raise DataError(
            f"Index {some(outside.tolist())} lies outside the {counted(count, 'item')}.",
            f"numbers from 0 to {count - 1}.",
            "check valid=.",
        )
    return _held_back(count, held, f"valid= names {counted(len(held), 'row')}")


def by_group(groups: Values, valid: float, seed: int) -> Split:
    """Hold back whole groups, in random order, until the next one would lead further from the fraction asked for."""
    _check_fraction(valid)
    members, _ = _members(groups)
    sizes = np.bincount(members)
    if len(sizes) < 2:
        raise DataError(
            f"All {len(groups):,} items are in one group.",
            "two groups or more.",
            "check by=, or use split_random().",
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    held_after = np.cumsum(sizes[order])[:-1]  # at least one group stays for training
    take = int(np.abs(held_after - valid * len(groups)).argmin()) + 1
    return _held_back(len(groups), np.flatnonzero(np.isin(members, order[:take])), f"{len(sizes)} groups")


def _members(values: Values) -> tuple[Indices, int]:
    """Return the number of each value's text among the sorted distinct texts, and how many those are."""
    numbers, texts = distinct(_column(values))
    present = np.unique(numbers)
    ordered, places = np.unique([str(texts[number]).strip() for number in present], return_inverse=True)
    members: Indices = places[np.searchsorted(present, numbers)]
    return members, len(ordered)


def _column(values: Values) -> pa.ChunkedArray:
    if isinstance(values, pa.ChunkedArray):
        return values
    return pa.chunked_array([pa.array([str(value) for value in values], pa.string())])


def _names(names: str | Sequence[str] | None) -> frozenset[str]:
    return frozenset([names] if isinstance(names, str) else names or ())


def _plain(value: Any) -> str:
    text = str(value).strip()
    return {"true": "True", "1": "True", "false": "False", "0": "False"}.get(text.lower(), text)


def matches(names: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """Return what the first group of a regular expression finds in each name, dictionary-encoded.

    Raises:
        DataError: The pattern has not one group, or does not match a name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(
            f"The pattern {pattern!r} is not a regular expression: {error}.",
            "such as r'(.+)_[0-9]+'.",
            "fix the pattern.",
        ) from error
    if compiled.groups != 1:
        raise DataError(
            f"The pattern {pattern!r} has {compiled.groups} groups.", "one group.", "put ( ) around the part to take."
        )
    parts: list[pa.Array] = []
    lacking: list[str] = []
    for some_names in slices(names):  # a match is a large object: some at a time
        found = [compiled.search(name) for name in some_names]
        lacking += [name for name, match in zip(some_names, found, strict=True) if match is None]
        groups = pa.array([None if match is None else match.group(1) for match in found], pa.string())
        parts.append(groups.dictionary_encode())
    if lacking:
        raise DataError(
            f"The pattern {pattern!r} finds nothing in {counted(len(lacking), 'name', of=len(names))}: "
            f"{some(lacking, 3)}.",
            "a match in every path.",
            "fix the pattern.",
        )
    return pa.chunked_array(parts, pa.dictionary(pa.int32(), pa.string()))


def _check_fraction(valid: float) -> None:
    if not 0 < valid < 1:
        raise DataError(f"valid={valid} is not a fraction.", "a number above 0 and below 1.", "pass valid=0.2.")


def _held_back(count: int, held: Indices, cause: str) -> Split:
    is_valid = np.zeros(count, bool)
    is_valid[held] = True
    return _checked(Split(np.flatnonzero(~is_valid), np.flatnonzero(is_valid)), cause)


def _checked(split: Split, cause: str) -> Split:
    for name, rows in (("training", split.train), ("validation", split.valid)):
        if not len(rows):
            raise DataError(
                f"The {name} set is empty ({cause}).",
                "at least one item for training and one for validation.",
                "split another way, or add items.",
            )
    return split
