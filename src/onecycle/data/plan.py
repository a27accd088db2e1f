"""Which rows are in which batch of an epoch: sequences that are computed where they are looked at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self, overload

import torch
from torch import Tensor

from onecycle.data.order import Order, Remaining

# So many rows are computed at a time, since one call for some batches takes hardly longer than one for a single batch.
ROWS = 2**13
# Batches of similar length are cut from windows of so many, and of no more than this share of an epoch. On film reviews
# of up to 256 words that leaves 1% to 3% of padding instead of 20%, and one in ten or fewer meets again in a batch.
WINDOW, SHARE = 50, 4


class Plan(Sequence[Tensor], ABC):
    """The row numbers of each batch, computed a window of batches at a time.

    Args:
        order: The rows in the order in which they are drawn.
        size: Items a batch, over all processes.
        window: How many batches are computed together.
        rank: Which of `world` processes this is; the shares of a batch differ by one item at most, and may be empty.
        world: How many processes share the batches.

    Example:
        >>> from onecycle.data.order import InOrder
        >>> plan = Chunks(InOrder(5), 2)
        >>> len(plan), plan[1], len(plan[1:])
        (3, tensor([2, 3]), 2)
    """

    def __init__(self, order: Order, size: int, window: int, rank: int = 0, world: int = 1) -> None:
        self.order, self.size, self.window, self.rank, self.world = order, size, max(window, 1), rank, world
        self.items = len(order)
        self.places = range(-(-self.items // size))
        self._computed: tuple[int, Sequence[Tensor]] = (-1, ())

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> Tensor: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            part = copy(self)
            part.places = self.places[place]
            return part
        number, inside = divmod(self.places[place], self.window)
        if self._computed[0] != number:
            self._computed = (number, self._batches(number))
        return self._computed[1][inside][self.rank :: self.world]

    def share(self, rank: int, world: int) -> Self:
        """Return one process's part of a plan for all: every item is in exactly one part, and none is repeated.

        Processes take whole batches in turn, so that each batch is what it is in a single process.
        """
        return self[rank::world]

    def rest(self, count: int) -> Order:
        """Return the order of the rows, of all processes together, that the first `count` batches leave."""
        number, inside = divmod(count, self.window)
        first = torch.empty(0, dtype=torch.int64)
        if count >= len(self):
            return Remaining(self.order, first, self.items)
        if inside:
            first = torch.cat(list(self._batches(number)[inside:]))
            number += 1
        return Remaining(self.order, first, number * self.window * self.size)

    @abstractmethod
    def _batches(self, number: int) -> Sequence[Tensor]:
        """Return the batches of a window, of all processes together."""

    def _rows(self, positions: Tensor) -> Tensor:
        return self.order.rows(positions)

    def _window_rows(self, number: int) -> Tensor:
        """Return the rows of a window in their order."""
        step = self.size * self.window
        return self._rows(torch.arange(number * step, min((number + 1) * step, self.items)))


class Chunks(Plan):
    """Batches one after the other."""

    def __init__(self, order: Order, size: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(order, size, ROWS // size, rank, world)

    def _batches(self, number: int) -> Sequence[Tensor]:
        return torch.split(self._window_rows(number), self.size)


class LengthBucketed(Plan):
    """Batches of similar length, so that little is padded.

    Args:
        order: The rows.
        size: Items a batch.
        lengths: Of each row, (items,).
        generator: Each window of some batches is sorted by itself, and their order drawn with what this returns for
            the window's number; None sorts all, longest first, so that memory that does not suffice shows at once.
        rank: As for `Plan`.
        world: As for `Plan`.
    """

    def __init__(
        self,
        order: Order,
        size: int,
        lengths: Tensor,
        generator: Callable[[int], torch.Generator] | None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        batches = -(-len(order) // size)
        super().__init__(order, size, min(WINDOW, -(-batches // SHARE)) if generator else batches + 1, rank, world)
        self.lengths, self.generator = lengths, generator

    def _batches(self, number: int) -> Sequence[Tensor]:
        rows = self._window_rows(number)
        batches = torch.split(rows[self.lengths[rows].argsort(descending=True, stable=True)], self.size)
        if self.generator is None:
            return batches
        return [batches[place] for place in torch.randperm(len(batches), generator=self.generator(number)).tolist()]


class Contiguous(Plan):
    """Streams of consecutive rows, as many as a batch has items; each batch holds the next row of each.

    Where streams cannot be equally long, the first ones are longer by one: a last, smaller batch.
    """

    def __init__(self, order: Order, size: int, rank: int = 0, world: int = 1) -> None:
        super().__init__(order, size, 1, rank, world)
        streams = min(size, self.items)
        self.least, longer = divmod(self.items, max(streams, 1))
        self.lengths = self.least + (torch.arange(streams) < longer).long()
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.places = range(self.least + (longer > 0))

    def share(self, rank: int, world: int) -> Self:
        """Return one process's part: some of the streams, each from its beginning to its end."""
        part = copy(self)
        mine = slice(len(self.starts) * rank // world, len(self.starts) * (rank + 1) // world)
        part.starts, part.lengths = self.starts[mine], self.lengths[mine]
        part.places = range(int(part.lengths.max())) if len(part.lengths) else range(0)
        part._computed = (-1, ())
        return part

    def rest(self, count: int) -> Order:
        ends = self.starts + self.lengths
        starts = torch.minimum(self.starts + count, ends)
        left = [torch.arange(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]
        first = torch.cat([torch.empty(0, dtype=torch.int64), *left])
        return Remaining(self.order, self._rows(first), self.items)

    def _batches(self, number: int) -> Sequence[Tensor]:
        return [self._rows(self.starts[self.lengths > number] + number)]
