"""Several data sets in one folder of Parquet files, as the configurations of a data set on the Hugging Face hub are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from onecycle.data.class_labels import class_names, features, is_list
from onecycle.data.shards.source import reading
from onecycle.data.split_names import role_of, splits_of
from onecycle.errors import DataError, some
from onecycle.recipes.label_tables import LABEL_COLUMNS

_WORDS = re.compile(r"[a-z]+")


def check_configurations(root: Path, names: Sequence[str], columns: Sequence[str] = ()) -> list[str]:
    """Refuse Parquet files of several configurations that do not fit each other.

    Args:
        root: The folder.
        names: The files in it.
        columns: The columns of labels; none takes those of usual names.
    Returns:
        What to say of those that are read together.
    Raises:
        DataError: Their columns or classes differ, or their labels have nothing in common.
    """
    roles = splits_of(names)
    used = [name for name in names if roles[name] is not None] or list(names)
    groups: dict[str, list[str]] = {}
    for name in used:
        groups.setdefault(_configuration(name), []).append(name)
    if len(groups) < 2:
        return []
    described = {held[0]: _described(root / held[0]) for held in groups.values()}
    one, first = next(iter(described.items()))
    other, different = next((found for found in described.items() if found[1] != first), (one, first))
    if different != first:
        told = f"{one} has {_told(first, different)}, and {other} has {_told(different, first)}"
        raise _unlike(root, groups, told)
    for column in [name for name in first[0] if name in columns or (not columns and name.lower() in LABEL_COLUMNS)]:
        held = {files[0]: _labels(root, files, column) for files in groups.values()}
        known = held[one]
        apart = next((name for name, labels in held.items() if known and labels and not known & labels), None)
        if apart is not None:
            told = f"{one} has {_words(known)} in column {column!r}, and {apart} has {_words(held[apart])}"
            raise _unlike(root, groups, told)
    return [f"configurations: {some(map(_place, groups.values()), 4)} are read together, with the same columns"]


def _unlike(root: Path, groups: Mapping[str, Sequence[str]], told: str) -> DataError:
    folders = list(dict.fromkeys(_folder(held[0]) for held in groups.values()))
    if len(folders) == len(groups) and all(folders):
        fix = f"pass {' or '.join(f'include={folder!r}' for folder in folders[:4])}."
    else:
        fix = "move the files of each into a folder of its own, and pass the path of that folder."
    return DataError(
        f"{root} has {len(groups)} configurations that do not fit each other: {told}.",
        "Parquet files with the same columns and classes.",
        fix,
    )


def _place(files: Sequence[str]) -> str:
    return _folder(files[0]) or files[0]


def _labels(root: Path, files: Sequence[str], column: str) -> set[str]:
    """Return the labels in a column of texts, or of lists of these; nothing for numbers, which tell nothing apart."""
    found: set[str] = set()
    for name in files:
        with reading(str(root / name)):
            values = pq.read_table(root / name, columns=[column], partitioning=None)[column]
        if is_list(values.type):
            values = pc.list_flatten(values)
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            return set()
        found.update(value.strip() for value in pc.unique(values).to_pylist() if value)
    return found


def _words(labels: set[str]) -> str:
    return some(sorted(labels), 4)


_Described = tuple[dict[str, str], dict[str, tuple[str, ...]]]


def _described(path: Path) -> _Described:
    """Return the types of a file's columns, and the classes that it names."""
    with reading(str(path)):
        schema = pq.read_schema(path)
    said = {name: class_names(feature) for name, feature in features(schema).items()}
    return {field.name: str(field.type) for field in schema}, {name: tuple(held) for name, held in said.items() if held}


def _told(one: _Described, other: _Described) -> str:
    """Return what one has and another has not."""
    columns = [name for name in one[0] if name not in other[0]]
    if set(one[0]) != set(other[0]):
        return f"columns {some(columns or one[0], 6)}"
    if one[0] != other[0]:
        return some([f"{name} of {kind}" for name, kind in one[0].items() if kind != other[0][name]], 3)
    name = next(name for name in (*one[1], *other[1]) if one[1].get(name) != other[1].get(name))
    return f"classes {some(one[1].get(name, ()), 4) or 'without names'} in column {name!r}"


def _configuration(name: str) -> str:
    """Return a file's path without numbers and the words that name a split."""
    words = [word for word in _WORDS.findall(str(PurePosixPath(name).with_suffix("")).casefold()) if word != "of"]
    return " ".join(word for word in words if role_of(word) is None)


def _folder(name: str) -> str:
    """Return the folder of a configuration: that above the folders of its splits."""
    parts = list(PurePosixPath(name).parts[:-1])
    while parts and role_of(parts[-1]):
        parts.pop()
    return "/".join(parts)
