"""Several data sets in one folder of Parquet files, as the configurations of a data set on the Hugging Face hub are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq

from onecycle.data.class_labels import class_names, features
from onecycle.data.shards.source import reading
from onecycle.data.split_names import role_of, splits_of
from onecycle.errors import DataError, some

_WORDS = re.compile(r"[a-z]+")


def check_configurations(root: Path, names: Sequence[str]) -> None:
    """Refuse Parquet files of several configurations that do not fit each other.

    Args:
        root: The folder.
        names: The files in it.
    Raises:
        DataError: Their columns or classes differ.
    """
    roles = splits_of(names)
    used = [name for name in names if roles[name] is not None] or list(names)
    groups: dict[str, list[str]] = {}
    for name in used:
        groups.setdefault(_configuration(name), []).append(name)
    if len(groups) < 2:
        return
    described = {held[0]: _described(root / held[0]) for held in groups.values()}
    one, first = next(iter(described.items()))
    other, different = next((found for found in described.items() if found[1] != first), (one, first))
    if different == first:
        return
    folders = list(dict.fromkeys(_folder(held[0]) for held in groups.values()))
    if len(folders) == len(groups) and all(folders):
        fix = f"pass {' or '.join(f'include={folder!r}' for folder in folders[:4])}."
    else:
        fix = "move the files of each into a folder of its own, and pass the path of that folder."
    raise DataError(
        f"{root} has {len(groups)} configurations that do not fit each other: {one} has {_told(first, different)}, and "
        f"{other} has {_told(different, first)}.",
        "Parquet files with the same columns and classes.",
        fix,
    )


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
