"""Which items are copies of one another, and the groups that copies of copies make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onecycle.review.rankings.features import ItemFeatures
from onecycle.review.rankings.perceptual_hash import BITS

# Neither the hash nor the features alone carry over from one set of photos to another (bench/corrections.py): bits that
# may differ, and the cosine that is needed then.
RULES = ((10, 0.8), (14, 0.9))
# Of items without a hash, such as texts: their features agree but for rounding.
SAME = 0.9995
ROWS = 2048


class Copies(NamedTuple):
    """Pairs of items that are copies, the first before the second.

    Attributes:
        first: Positions, int64, (pairs,).
        second: Positions, int64, (pairs,).
        similarity: Cosines of their features, (pairs,).
        groups: The number of the group of each item, (items,); one that has no copy is alone in its group.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    similarity: NDArray[np.float64]
    groups: NDArray[np.int64]


def find_copies(features: ItemFeatures) -> Copies:
    """Return all pairs of near-copies, and their connected components. Memory grows with the items, not their pairs."""
    units = features.units
    parts = list(_same(units) if features.hashes is None else _near(features.hashes, units))
    empty = torch.empty(0, dtype=torch.int64)
    first = torch.cat([empty, *(first for first, _ in parts)])
    second = torch.cat([empty, *(second for _, second in parts)])
    pairs = first.numpy(), second.numpy()
    return Copies(*pairs, _cosines(units, first, second).double().numpy(), components(*pairs, len(features)))


def _near(hashes: Tensor, units: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pairs whose hashes and features are alike by one of `RULES`."""
    signs = hashes.float() * 2 - 1
    for first, second, products in _blocks(signs, BITS - 2 * max(bits for bits, _ in RULES)):
        differing, cosines = (BITS - products) / 2, _cosines(units, first, second)
        alike = torch.zeros(len(first), dtype=torch.bool)
        for bits, cosine in RULES:
            alike |= (differing <= bits) & (cosines >= cosine)
        yield first[alike], second[alike]


def _same(units: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for first, second, _ in _blocks(units, SAME):
        yield first, second


def _blocks(vectors: Tensor, least: float) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield first and second of all pairs whose product is at least `least`, and the product, some rows at a time."""
    for start in range(0, len(vectors), ROWS):
        products = vectors[start : start + ROWS] @ vectors[start:].T
        first, second = (products >= least - 1e-6).nonzero(as_tuple=True)
        later = second > first
        first, second = first[later], second[later]
        yield first + start, second + start, products[first, second]


def _cosines(units: Tensor, first: Tensor, second: Tensor) -> Tensor:
    parts = [
        (units[first[start : start + ROWS]] * units[second[start : start + ROWS]]).sum(1)
        for start in range(0, len(first), ROWS)
    ]
    return torch.cat([torch.empty(0), *parts])


def components(first: NDArray[np.int64], second: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the number of the connected component of each of `count` nodes, in the order of their first nodes.

    Example:
        >>> components(np.array([0, 3]), np.array([2, 2]), 5).tolist()
        [0, 1, 0, 0, 2]
    """
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.unique([root(node) for node in range(count)], return_inverse=True)[1].astype(np.int64)
