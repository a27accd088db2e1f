"""What the names of folders, files and parts of data sets say of the split that they are for."""

from __future__ import annotations

import re

ROLES = {
    "train": ("train", "training", "trn"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing", "tst"),
}


def role_of(name: str) -> str | None:
    """Return the split that a folder of this name is for: "train", "valid", "test" or None.

    Example:
        >>> role_of("Train"), role_of("test-jpg"), role_of("contest")
        ('train', 'test', None)
    """
    words = re.findall(r"[a-z]+", name.casefold())
    return next((role for role, names in ROLES.items() if any(word in names for word in words)), None)
