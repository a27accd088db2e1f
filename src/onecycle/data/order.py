"""In which order an epoch draws its rows: pure functions from positions to rows, which hold no row of their own."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onecycle.errors import DataError

Words = NDArray[np.uint64]

# Of the Feistel network. With fewer, not all orders of a few rows would be equally likely.
ROUNDS, ROUNDS_OF_MANY, MANY = 16, 8, 2**16


class Order(Protocol):
    """The rows of an epoch, by position."""

    def __len__(self) -> int: ...

    def rows(self, positions: Tensor) -> Tensor:
        """Return the row numbers at some positions, both int64."""


class InOrder:
    """All rows, each at its own position."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def rows(self, positions: Tensor) -> Tensor:
        return positions


class Shuffled:
    """All rows once, in random order, by a Feistel network: any position is known without those before it.

    Args:
        count: How many rows there are.
        generator: Decides the order.

    Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains", for walking along a cycle.
    Example:
        >>> Shuffled(10**12, torch.Generator().manual_seed(0)).rows(torch.tensor([0, 1])).shape
        torch.Size([2])
    """

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count = count
        self.keys = random_words(ROUNDS if count < MANY else ROUNDS_OF_MANY, generator)
        bits = (count - 1).bit_length()
        self.right_bits = np.uint64(bits - bits // 2)
        self.masks = [np.uint64(2 ** (bits // 2) - 1), np.uint64(2 ** (bits - bits // 2) - 1)]

    def __len__(self) -> int:
        return self.count

    def rows(self, positions: Tensor) -> Tensor:
        found = self._permuted(positions.numpy().astype(np.uint64))
        # The network permutes the next power of two; what falls outside is sent through again until it is inside.
        outside = np.flatnonzero(found >= self.count)
        while len(outside):
            found[outside] = again = self._permuted(found[outside])
            outside = outside[again >= self.count]
        return torch.from_numpy(found.view(np.int64))

    def _permuted(self, numbers: Words) -> Words:
        halves = [numbers >> self.right_bits, numbers & self.masks[1]]
        for number, key in enumerate(self.keys):
            changed = number % 2
            halves[changed] ^= scrambled(halves[1 - changed], key) & self.masks[changed]
        return halves[0] << self.right_bits | halves[1]


class Weighted:
    """Rows drawn independently of one another, each as often as its weight says.

    Args:
        cumulative: See `cumulative_weights`.
        generator: Decides which rows are drawn.
    """

    def __init__(self, cumulative: NDArray[np.float64], generator: torch.Generator) -> None:
        self.cumulative, self.key = cumulative, random_words(1, generator)[0]

    def __len__(self) -> int:
        return len(self.cumulative)

    def rows(self, positions: Tensor) -> Tensor:
        words = scrambled(scrambled(positions.numpy().astype(np.uint64), self.key), self.key)
        places = (words >> np.uint64(11)) * 2.0**-53 * self.cumulative[-1]
        return torch.from_numpy(np.searchsorted(self.cumulative, places, side="right"))


class Remaining:
    """What is left of an order after a part of it: some rows by number, then all from a position on.

    Args:
        order: The whole order.
        first: Rows that come first, int64, (rows,).
        start: The position from which on the rest follows.
    """

    def __init__(self, order: Order, first: Tensor, start: int) -> None:
        self.order, self.first, self.start = order, first, start

    def __len__(self) -> int:
        return len(self.first) + max(len(self.order) - self.start, 0)

    def rows(self, positions: Tensor) -> Tensor:
        beyond = positions >= len(self.first)
        found = torch.empty_like(positions)
        found[~beyond] = self.first[positions[~beyond]]
        found[beyond] = self.order.rows(positions[beyond] - len(self.first) + self.start)
        return found


def cumulative_weights(weights: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the sums of the weights up to each row, (rows,), as `Weighted` takes them.

    Raises:
        DataError: There is not one weight a row, one is not a number of 0 or more, or all are 0.
    """
    cumulative = np.cumsum(weights, dtype=np.float64)
    if len(weights) != count or not (weights >= 0).all() or not 0 < cumulative[-1] < np.inf:
        raise DataError(
            f"weights= holds {len(weights):,} numbers for {count:,} items"
            + (f", from {np.min(weights):g} to {np.max(weights):g}." if len(weights) else "."),
            "a finite number of 0 or more for each item, not all of them 0.",
            "check how the weights are computed; those of a target come from its item_weights().",
        )
    return cumulative


def random_words(count: int, generator: torch.Generator) -> Words:
    """Return random numbers of 64 bits, (count,)."""
    halves = torch.randint(2**32, (2, count), generator=generator).numpy().astype(np.uint64)
    words: Words = halves[0] << np.uint64(32) | halves[1]
    return words


def scrambled(numbers: Words, key: np.uint64) -> Words:
    """Return a number of 64 random bits for each number, another one with another key.

    Source: the finalizer of MurmurHash3, with the constants of Stafford's variant 13.
    """
    words = (numbers ^ key) * np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(32)
    words *= np.uint64(0x94D049BB133111EB)
    return words ^ words >> np.uint64(31)
