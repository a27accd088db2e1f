"""A regular expression over the items' names that puts copies into one group, to split by."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# What names of copies, or of frames of one clip, have in common; the first group is the name of theirs.
PATTERNS = (
    r"(.+?)(?: \(\d+\)|[-_ ]?copy ?\d*)*\.[^./]+$",  # photo (1).jpg, photo_copy.jpg
    r"([^/]+)\.[^./]+$",  # the same name in several folders
    r"(.+)_[^_/]*$",  # anna_01.jpg
    r"(.+)-[^-/]*$",  # anna-01.jpg
    r"(.*?)[-_ ]*\d+\.[^./]+$",  # anna01.jpg
    r"(?:^|/)([^/_-]+)[_-][^/]*$",  # anna_left_01.jpg
    r"(.+)/[^/]*$",  # anna/01.jpg
)
LEAST_TOGETHER, MOST_IN_ONE, FEWEST_GROUPS = 0.9, 0.25, 10


def group_pattern(
    names: Sequence[str], labels: Sequence[object], first: NDArray[np.int64], second: NDArray[np.int64]
) -> str | None:
    """Return the pattern with the smallest groups that has nearly all pairs in one group each; None where none fits.

    A pattern that gives a few large groups, or the classes, is none: whole classes would be held back.

    Args:
        names: Of all items.
        labels: Theirs.
        first: Positions of the first of each pair.
        second: Positions of the second.
    Example:
        >>> names = [f"{person}_{frame}.jpg" for person in "abcdefghijkl" for frame in range(5)]
        >>> group_pattern(names, [None] * 60, np.arange(0, 60, 5), np.arange(1, 60, 5))
        '(.+)_[^_/]*$'
    """
    best: tuple[int, str] | None = None
    for pattern in PATTERNS if len(first) else ():
        found = [re.search(pattern, name) for name in names]
        if not all(found):
            continue
        texts, groups = np.unique([match[1] for match in found if match], return_inverse=True)
        together = float((groups[first] == groups[second]).mean())
        if together < LEAST_TOGETHER or not _divides(groups, len(texts), labels):
            continue
        if best is None or len(texts) > best[0]:
            best = len(texts), pattern
    return None if best is None else best[1]


def _divides(groups: NDArray[np.int64], count: int, labels: Sequence[object]) -> bool:
    """Return whether the groups are enough, none is large, and they are not the classes."""
    classes = len({str(label) for label in labels})
    pairs = len({(group, str(label)) for group, label in zip(groups.tolist(), labels, strict=True)})
    if classes > 1 and pairs == count <= 2 * classes:
        return False
    return count >= FEWEST_GROUPS and int(np.bincount(groups).max()) <= MOST_IN_ONE * len(groups)
