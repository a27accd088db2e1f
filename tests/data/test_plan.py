"""Plans: the same batches however they are looked at, and nothing of the size of the data held."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onecycle.data import plan
from onecycle.data.order import InOrder, Order, Shuffled
from onecycle.data.plan import Chunks, Contiguous, LengthBucketed, Plan
from onecycle.data.seeding import seeded

MakePlan = Callable[[int, int, int, int], Plan]


def chunks(count: int, size: int, rank: int, world: int) -> Plan:
    return Chunks(Shuffled(count, seeded(1)), size * world, rank, world)


def bucketed(count: int, size: int, rank: int, world: int) -> Plan:
    order = Shuffled(count, seeded(1))
    return LengthBucketed(order, size * world, torch.arange(count) % 11, lambda window: seeded(window), rank, world)


def longest_first(count: int, size: int, rank: int, world: int) -> Plan:
    return LengthBucketed(InOrder(count), size * world, torch.arange(count) % 11, None, rank, world)


def contiguous(count: int, size: int, rank: int, world: int) -> Plan:
    return Contiguous(InOrder(count), size * world, rank, world)


every_plan = pytest.mark.parametrize("make", [chunks, bucketed, longest_first, contiguous])


@every_plan
@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 300), size=st.integers(1, 9), world=st.integers(1, 4))
def test_processes_share_every_batch_of_a_single_one(make: MakePlan, count: int, size: int, world: int) -> None:
    shares = [list(make(count, size, rank, world)) for rank in range(world)]
    whole = list(make(count, size * world, 0, 1))
    assert [len(share) for share in shares] == [len(whole)] * world
    for place, rows in enumerate(whole):
        parts = [share[place] for share in shares]
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert max(map(len, parts)) <= size
        assert sorted(torch.cat(parts).tolist()) == sorted(rows.tolist())
    assert sorted(torch.cat(whole).tolist()) == list(range(count)), "no item twice, and none missing"


@every_plan
@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 300), size=st.integers(1, 9), other=st.integers(1, 30), first=st.integers(0, 40),
    second=st.integers(0, 10),
)  # fmt: skip
def test_what_some_batches_leave_can_be_taken_in_batches_of_another_size(
    make: MakePlan, count: int, size: int, other: int, first: int, second: int
) -> None:
    """Twice, as where an epoch is interrupted twice."""
    before = make(count, size, 0, 1)
    taken = [*before[:first]]
    rest = with_order(make(count, other, 0, 1), before.rest(first), other)
    taken += rest[:second]
    last = with_order(before, rest.rest(second), size)
    taken += last
    assert sorted(torch.cat(taken).tolist()) == list(range(count)), "no item twice, and none missing"


def with_order(like: Plan, order: Order, size: int) -> Plan:
    if isinstance(like, LengthBucketed):
        return LengthBucketed(order, size, like.lengths, like.generator)
    return type(like)(order, size)  # type: ignore[call-arg]


@every_plan
@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 300), size=st.integers(1, 9), world=st.integers(1, 5))
def test_every_row_is_in_one_share(make: MakePlan, count: int, size: int, world: int) -> None:
    whole = make(count, size, 0, 1)
    shares = [whole.share(rank, world) for rank in range(world)]
    drawn = sorted(row for share in shares for rows in share for row in rows.tolist())
    assert drawn == list(range(count))
    for place, rows in enumerate(whole):
        parts = [share[share.places.index(place)] for share in shares if place in share.places]
        assert torch.cat(parts).tolist() == rows.tolist(), "together they are the batch, in its order"
    sizes = [sum(len(rows) for rows in share) for share in shares]
    assert max(sizes) - min(sizes) <= 2 * max(size, -(-count // size)), "about a batch, or a stream"


@every_plan
def test_any_batch_is_known_without_those_before_it(make: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "ROWS", 40)
    whole = [rows.tolist() for rows in make(1000, 4, 1, 2)]
    assert len(whole) == 125
    for place in (124, 0, 60, 61, -1):
        assert make(1000, 4, 1, 2)[place].tolist() == whole[place]
    rest = make(1000, 4, 1, 2)[60:]
    assert [rows.tolist() for rows in rest] == whole[60:]
    assert (len(rest), rest[3:5][0].tolist()) == (65, whole[63])
    with pytest.raises(IndexError):
        rest[65]


@every_plan
def test_looking_at_a_plan_does_not_change_it(make: MakePlan) -> None:
    one = make(100, 7, 0, 1)
    first = [rows.tolist() for rows in one]
    assert one[3:][0].tolist() == first[3]
    assert [rows.tolist() for rows in one] == first


def test_a_window_is_computed_once() -> None:
    class Counting(InOrder):
        calls = 0

        def rows(self, positions: Tensor) -> Tensor:
            self.calls += 1
            return super().rows(positions)

    order = Counting(10 * plan.ROWS)
    for _ in Chunks(order, 64):
        pass
    assert order.calls == 10


def test_a_plan_of_a_billion_items_is_made_at_once() -> None:
    one = chunks(10**9, 64, 0, 1)
    assert len(one) == 10**9 // 64
    assert len(one[10_000_000].unique()) == 64


def test_batches_by_length_can_be_drawn_with_repetitions() -> None:
    class Repeating(InOrder):
        def rows(self, positions: Tensor) -> Tensor:
            return torch.tensor([3, 3, 1, 0, 2, 2])[positions]

    batches = LengthBucketed(Repeating(6), 2, torch.tensor([1, 2, 3, 4]), lambda window: seeded(window))
    assert sorted(torch.cat(list(batches)).tolist()) == [0, 1, 2, 2, 3, 3]


def test_windows_of_similar_length_differ_from_one_another() -> None:
    rows = torch.cat(list(bucketed(5000, 4, 0, 1)))
    lengths = rows.view(-1, 4) % 11
    assert (lengths.amax(1) - lengths.amin(1)).float().mean() < 1
    longest = lengths.amax(1).view(-1, plan.WINDOW)
    assert len({tuple(window.tolist()) for window in longest}) == len(longest), "each is drawn anew"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12))
def test_rows_of_contiguous_batches_are_consecutive(count: int, size: int) -> None:
    batches = [rows.tolist() for rows in contiguous(count, size, 0, 1)]
    assert sorted(row for rows in batches for row in rows) == list(range(count))
    for one, following in itertools.pairwise(batches):
        assert following == [row + 1 for row in one[: len(following)]]
    assert all(len(rows) == min(size, count) for rows in batches[:-1])
