"""Shuffled by shard and buffer: a pure function of positions, of which every process has a stretch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.data.order import InOrder
from onecycle.data.seeding import seeded
from onecycle.data.shards.order import SHARDS_AT_ONCE, ShardShuffled, Stretch, check_mixing

shards = st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any)


def shuffled(counts: list[int], buffer: int, *seed: int) -> ShardShuffled:
    return ShardShuffled(np.array(counts), buffer, seeded(*seed))


def all_rows(order: ShardShuffled) -> list[int]:
    rows: list[int] = order.rows(torch.arange(len(order))).tolist()
    return rows


@settings(max_examples=60, deadline=None)
@given(shards, st.integers(1, 50), st.integers(0, 5))
def test_every_row_is_drawn_once(counts: list[int], buffer: int, seed: int) -> None:
    order = shuffled(counts, buffer, seed)
    assert len(order) == sum(counts)
    assert sorted(all_rows(order)) == list(range(sum(counts)))


@settings(max_examples=60, deadline=None)
@given(shards, st.integers(1, 50), st.data())
def test_any_position_is_known_without_those_before_it(counts: list[int], buffer: int, data: st.DataObject) -> None:
    whole = all_rows(shuffled(counts, buffer, 3))
    places = data.draw(st.lists(st.integers(0, sum(counts) - 1), max_size=20))
    again = shuffled(counts, buffer, 3)
    assert again.rows(torch.tensor(places, dtype=torch.int64)).tolist() == [whole[place] for place in places]


def test_the_order_depends_on_the_seed_and_the_epoch() -> None:
    counts = [30] * 8
    assert all_rows(shuffled(counts, 10, 1, 0)) == all_rows(shuffled(counts, 10, 1, 0))
    assert all_rows(shuffled(counts, 10, 1, 0)) != all_rows(shuffled(counts, 10, 1, 1))
    assert all_rows(shuffled(counts, 10, 1, 0)) != all_rows(shuffled(counts, 10, 2, 0))


def test_a_few_shards_are_read_at_once_and_merged_by_their_length() -> None:
    counts = [100, 50, 100, 50, 100, 50, 100, 50]
    order = shuffled(counts, 20, 5)
    shard_of = np.repeat(np.arange(8), counts)
    rows = np.array(all_rows(order))
    shard_sets = [set(shard_of[rows[start : start + 20]]) for start in range(0, 600, 20)]
    assert max(map(len, shard_sets)) == SHARDS_AT_ONCE
    assert np.mean([len(found) for found in shard_sets]) > SHARDS_AT_ONCE - 1
    for shard in range(8):  # the shards are left in their own order but for the buffer
        inside = rows[shard_of[rows] == shard]
        assert np.abs(inside - inside[0] - np.arange(len(inside))).max() <= 2 * 20
        assert np.abs(np.diff(np.flatnonzero(shard_of[rows] == shard))).max() <= 2 * 20


def test_shards_of_a_billion_items_are_merged_without_a_list_of_them() -> None:
    order = shuffled([10**9, 10**9 + 7, 5], 100, 1)
    places = torch.cat([torch.arange(1000), torch.arange(len(order) - 1000, len(order))])
    rows = order.rows(places).numpy()
    assert len(set(rows.tolist())) == 2000
    shares = [np.mean((rows[part] >= 10**9) & (rows[part] < 2 * 10**9)) for part in (slice(1000), slice(1000, 2000))]
    assert shares == pytest.approx([0.5, 0.5], abs=0.02)


def test_all_places_of_a_buffer_are_equally_likely() -> None:
    drawn = np.array([shuffled([20], 20, seed).rows(torch.tensor([0])).item() for seed in range(800)])
    counts = np.bincount(drawn, minlength=20)
    assert ((counts - 40) ** 2 / 40).sum() < 45  # chi-square of 19 degrees of freedom: 43.8 is exceeded once in 1,000


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 100), st.integers(1, 7))
def test_stretches_are_equally_long_and_repeat_no_more_than_it_takes(count: int, world: int) -> None:
    stretches = [Stretch(InOrder(count), rank, world) for rank in range(world)]
    drawn = [one.rows(torch.arange(len(one))).tolist() for one in stretches]
    assert {len(rows) for rows in drawn} == {-(-count // world)}
    everything = list(itertools.chain(*drawn))
    assert set(everything) == set(range(count))
    assert len(everything) - count < world


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_no_shard_but_at_their_ends(world: int) -> None:
    counts = [25] * 24
    order = shuffled(counts, 10, 7)
    shard_of = np.repeat(np.arange(24), counts)
    sets = []
    for rank in range(world):
        stretch = Stretch(order, rank, world)
        sets.append(set(shard_of[stretch.rows(torch.arange(len(stretch))).numpy()]))
    assert sum(map(len, sets)) - len(set().union(*sets)) <= (world - 1) * SHARDS_AT_ONCE


def test_classes_that_lie_together_are_told_and_a_larger_buffer_mixes_them() -> None:
    labels = [str(number // 20) for number in range(2000)]
    with pytest.warns(UserWarning, match=r"A batch holds \d+\.\d classes where \d+\.\d could be (.|\n)*than 50 to"):
        check_mixing(shuffled([500] * 4, 50, 1), labels, 32, 50)
    check_mixing(shuffled([500] * 4, 2000, 1), labels, 32, 2000)
    check_mixing(shuffled([500] * 4, 50, 1), ["a", "b"] * 1000, 32, 50)
    check_mixing(shuffled([5], 50, 1), ["a", "a", "b", "b", "c"], 32, 50)
