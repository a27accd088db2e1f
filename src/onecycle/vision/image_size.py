"""The size that images are read at."""

from __future__ import annotations

from typing import Any

import numpy as np

from onecycle.errors import DataError

LARGEST_IMAGE = 2**25
"""Pixels of the largest size that images are read at, such as 8192 x 4096: a batch of one takes 400 MB as floats."""


def as_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return a size as (height, width).

    Raises:
        DataError: It is not one or two whole numbers of at least 1, or larger than `LARGEST_IMAGE`.
    Example:
        >>> as_size(128)
        (128, 128)
    """
    sides: Any = (size, size) if isinstance(size, int | np.integer) else size
    if (
        not isinstance(sides, tuple | list)
        or len(sides) != 2
        or not all(isinstance(side, int | np.integer) and side >= 1 for side in sides)
    ):
        raise DataError(f"size={size!r}.", "pixels: one number, or (height, width).", "pass size=128.")
    if sides[0] * sides[1] > LARGEST_IMAGE:
        raise DataError(
            f"size={size!r}, {sides[0] * sides[1]:,} pixels.",
            f"at most {LARGEST_IMAGE:,} pixels, such as (4096, 8192).",
            "pass a smaller size; masks can be predicted in tiles.",
        )
    return int(sides[0]), int(sides[1])
