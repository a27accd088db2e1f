"""A sample of many files, for what is looked at before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

ItemT = TypeVar("ItemT")


def spread_over(items: Sequence[ItemT], count: int) -> list[ItemT]:
    """Return at most `count` of the items, evenly spread.

    Example:
        >>> spread_over("abcdefg", 3)
        ['a', 'd', 'g']
    """
    places = np.linspace(0, len(items) - 1, min(len(items), count)).astype(int)
    return [items[place] for place in places.tolist()]
