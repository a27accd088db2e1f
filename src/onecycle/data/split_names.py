"""What the names of folders, files and parts of data sets say of the split that they are for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from onecycle.errors import counted

ROLES = {
    "train": ("train", "training", "trn"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing", "tst"),
}

_WORDS = {"train": "training", "valid": "validation"}


def items_of(split: str) -> str:
    """Return what the items of a split are called.

    Example:
        >>> items_of("valid"), items_of("test")
        ('validation items', 'test items')
    """
    return f"{_WORDS.get(split, split)} items"


def counted_items(count: int, split: str) -> str:
    """Return how many items of a split there are.

    Example:
        >>> counted_items(1, "valid"), counted_items(1200, "test")
        ('1 validation item', '1,200 test items')
    """
    return counted(count, items_of(split).removesuffix("s"))


def role_of(name: str) -> str | None:
    """Return the split that a folder of this name is for: "train", "valid", "test" or None.

    Example:
        >>> role_of("Train"), role_of("test-jpg"), role_of("contest")
        ('train', 'test', None)
    """
    words = re.findall(r"[a-z]+", name.casefold())
    return next((role for role, names in ROLES.items() if any(word in names for word in words)), None)


def splits_of(names: Sequence[str]) -> dict[str, str | None]:
    """Return the split that each of some files is for, by its own name, else by the folder that it is in.

    None is for none of the splits, and so are all where the names tell no two apart. Where none is for training by its
    name, those without one are.

    Example:
        >>> splits_of(["data/train-0.parquet", "validation/0.parquet", "extra.parquet"])
        {'data/train-0.parquet': 'train', 'validation/0.parquet': 'valid', 'extra.parquet': None}
        >>> splits_of(["all.parquet", "test.parquet"]), splits_of(["train-0.parquet", "train-1.parquet"])
        ({'all.parquet': 'train', 'test.parquet': 'test'}, {'train-0.parquet': None, 'train-1.parquet': None})
    """
    found = {name: _split_of(PurePosixPath(name)) for name in names}
    if len(set(found.values())) < 2:
        return dict.fromkeys(names)
    rest = None if "train" in found.values() else "train"
    return {name: role or rest for name, role in found.items()}


def _split_of(path: PurePosixPath) -> str | None:
    parts = [path.name.partition(".")[0], *reversed(path.parts[:-1])]
    return next((role for part in parts if (role := role_of(part))), None)
