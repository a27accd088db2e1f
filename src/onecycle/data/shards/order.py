"""Shuffling by shard and buffer, as pure functions from positions to rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onecycle.data.order import Order, Shuffled, random_words
from onecycle.data.seeding import seeded
from onecycle.errors import users_level

SHARDS_AT_ONCE = 4
SAMPLES = 16  # batches that are looked at
Numbers = NDArray[np.int64]


class ShardShuffled:
    """Shards in random order, some of them read at once, and their items shuffled within a buffer.

    `SHARDS_AT_ONCE` shards are merged, each as fast as its length asks for, and so are the next; windows of `buffer`
    items of that sequence are then shuffled. Any position is known without those before it, so that training goes on
    anywhere, and what it reads next lies in a few shards, near one another.

    Args:
        counts: How many rows each shard has, in the order of the rows, (shards,).
        buffer: Items a window.
        generator: Decides the order.
    """

    def __init__(self, counts: Numbers, buffer: int, generator: torch.Generator) -> None:
        counts = counts[counts > 0]
        chosen = torch.randperm(len(counts), generator=generator).numpy()
        self.count, self.buffer = int(counts.sum()), buffer
        self.key = int(random_words(1, generator)[0] >> np.uint64(32))
        self.counts, self.first_rows = counts[chosen], (np.cumsum(counts) - counts)[chosen]
        self.ends = np.cumsum(np.add.reduceat(self.counts, np.arange(0, len(counts), SHARDS_AT_ONCE)))

    def __len__(self) -> int:
        return self.count

    def rows(self, positions: Tensor) -> Tensor:
        places = self._shuffled(positions.numpy())
        groups = np.searchsorted(self.ends, places, side="right")
        rows = np.empty(len(places), np.int64)
        for group in np.unique(groups).tolist():
            inside = groups == group
            start = int(self.ends[group - 1]) if group else 0
            rows[inside] = self._merged(group, places[inside] - start)
        return torch.from_numpy(rows)

    def _shuffled(self, positions: Numbers) -> Numbers:
        windows, places = positions // self.buffer, positions.copy()
        for window in np.unique(windows).tolist():
            start = window * self.buffer
            order = Shuffled(min(self.buffer, self.count - start), seeded(self.key, window))
            inside = windows == window
            places[inside] = order.rows(torch.from_numpy(positions[inside] - start)).numpy() + start
        return places

    def _merged(self, group: int, places: Numbers) -> Numbers:
        """Return the rows at some places of some shards that are merged.

        Each shard is cut into as many blocks as the longest has items, some of them empty where it has fewer. The first
        blocks of all come first, then the second ones, and so on.
        """
        shards = slice(group * SHARDS_AT_ONCE, (group + 1) * SHARDS_AT_ONCE)
        counts, first_rows = self.counts[shards, None], self.first_rows[shards]
        blocks = int(counts.max())
        block = places * blocks // counts.sum()
        while (late := (counts * block // blocks).sum(0) > places).any():
            block = block - late
        while (early := (counts * (block + 1) // blocks).sum(0) <= places).any():
            block = block + early
        starts = counts * block // blocks
        ends = np.cumsum(counts * (block + 1) // blocks - starts, axis=0)
        inside = places - starts.sum(0)
        shard, item = (inside >= ends).sum(0), np.arange(len(places))
        before = np.where(shard, ends[shard - 1, item], 0)
        found: Numbers = first_rows[shard] + starts[shard, item] + inside - before
        return found


def check_mixing(order: Order, labels: Sequence[Any], batch_size: int, buffer: int) -> None:
    """Warn where batches hold hardly more than half as many classes as by chance, since those lie together in shards.

    Args:
        order: In which items are drawn.
        labels: Their classes, one each.
        batch_size: Items a batch.
        buffer: How many are shuffled together.
    """
    size = min(batch_size, len(order))
    starts = np.linspace(0, len(order) - size, SAMPLES).astype(np.int64)
    drawn = [[labels[row] for row in order.rows(torch.arange(start, start + size)).tolist()] for start in starts]
    shares = np.unique([label for batch in drawn for label in batch], return_counts=True)[1] / (SAMPLES * size)
    found, expected = float(np.mean([len(set(batch)) for batch in drawn])), float((1 - (1 - shares) ** size).sum())
    if found < 0.6 * expected:
        warnings.warn(
            f"A batch holds {found:.1f} classes where {expected:.1f} could be expected: items of a class lie together "
            f"in the shards. Pass a larger buffer= than {buffer:,} to from_shards(), or write shards in random order.",
            stacklevel=users_level(),
        )


class Stretch:
    """One process's share of an order: a stretch of it, so that hardly two processes read the same shard.

    All shares are equally long, so that all processes make equally many steps; where the items cannot be shared
    equally, the last stretches go on with the first items of the order, at most `world - 1` of them in all.

    Args:
        order: The order that all processes share.
        rank: Which of `world` processes this is.
        world: How many there are.
    """

    def __init__(self, order: Order, rank: int, world: int) -> None:
        self.order, self.count = order, -(-len(order) // world)
        self.start = rank * self.count

    def __len__(self) -> int:
        return self.count

    def rows(self, positions: Tensor) -> Tensor:
        return self.order.rows((self.start + positions) % len(self.order))
