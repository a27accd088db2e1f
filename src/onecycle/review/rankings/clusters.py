"""k-means on features of length one."""

from __future__ import annotations

import torch
from torch import Tensor

from onecycle.data.seeding import seeded

STEPS = 20


def k_means(units: Tensor, count: int, *, seed: int = 0) -> Tensor:
    """Return the cluster of each item, int64, (items,); seeded with k-means++, so that the same seed gives the same.

    Args:
        units: (items, features).
        count: How many clusters, at most one an item.
        seed: Chooses the first centres.
    Source: Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding".
    Example:
        >>> k_means(torch.tensor([[1.0, 0.0], [0.99, 0.01], [0.0, 1.0]]), 2).unique(return_counts=True)[1].tolist()
        [2, 1]
    """
    count = max(min(count, len(units)), 1)
    centres = _first_centres(units, count, seeded(seed))
    for _ in range(STEPS):
        clusters = _nearest(units, centres)
        sizes = torch.bincount(clusters, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, clusters, units)
        moved = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp_min(1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return _nearest(units, centres)


def _first_centres(units: Tensor, count: int, generator: torch.Generator) -> Tensor:
    chosen = [int(torch.randint(len(units), (1,), generator=generator))]
    distances = _distances(units, units[chosen[-1:]])[:, 0]
    while len(chosen) < count:
        # Where all others lie on a centre already, any of them will do.
        weights = distances if float(distances.sum()) > 0 else torch.ones_like(distances)
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
        distances = torch.minimum(distances, _distances(units, units[chosen[-1:]])[:, 0])
    return units[chosen]


def _nearest(units: Tensor, centres: Tensor) -> Tensor:
    return _distances(units, centres).argmin(1)


def _distances(units: Tensor, centres: Tensor) -> Tensor:
    """Return squared distances, (items, centres)."""
    squares = units.square().sum(1, keepdim=True) + centres.square().sum(1)
    return (squares - 2 * units @ centres.T).clamp_min(0)
