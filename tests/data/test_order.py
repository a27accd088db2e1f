"""Orders: pure functions of a position, random as orders from a pack of cards are, and without memory of the rows."""

from __future__ import annotations

import pickle
from collections import Counter
from math import factorial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.data.order import InOrder, Shuffled, Weighted, cumulative_weights
from onecycle.data.seeding import seeded

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 97, 127, 128, 129, 1009, 4096, 4097, 65_535, 65_536, 65_537, 104_729]


def shuffled(count: int, *numbers: int) -> list[int]:
    return Shuffled(count, seeded(*numbers)).rows(torch.arange(count)).tolist()  # type: ignore[no-any-return]


def chi_square(counts: np.ndarray) -> float:
    """Return Pearson's statistic of counts that should be equal, as a number of standard deviations above its mean."""
    expected = counts.mean()
    freedom = counts.size - 1
    return float((((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom))


class TestShuffled:
    @pytest.mark.parametrize("count", SIZES)
    def test_every_row_comes_once(self, count: int) -> None:
        assert sorted(shuffled(count, 42, 0)) == list(range(count))

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
    def test_every_row_comes_once_whatever_the_size_and_seed(self, count: int, seed: int) -> None:
        assert sorted(shuffled(count, seed)) == list(range(count))

    @pytest.mark.parametrize("count", [10, 1000, 70_000])
    def test_any_position_is_known_without_the_others(self, count: int) -> None:
        order = Shuffled(count, seeded(3))
        whole = order.rows(torch.arange(count))
        some = torch.randint(count, (50,), generator=seeded(0))
        assert torch.equal(order.rows(some), whole[some])
        assert [int(order.rows(torch.tensor([place]))) for place in some.tolist()] == whole[some].tolist()
        assert order.rows(torch.tensor([], dtype=torch.int64)).tolist() == []

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [3, 4, 5])
    def test_all_orders_of_a_few_rows_are_equally_likely(self, count: int) -> None:
        seen = Counter(tuple(shuffled(count, seed)) for seed in range(60 * factorial(count)))
        assert len(seen) == factorial(count)
        assert chi_square(np.array(list(seen.values()))) < 4

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [6, 12, 17, 33])
    def test_every_row_is_equally_likely_at_every_position_and_every_pair_at_the_first_two(self, count: int) -> None:
        orders = np.array([shuffled(count, seed) for seed in range(3000)])
        places = np.array([np.bincount(column, minlength=count) for column in orders.T])
        assert chi_square(places) < 4
        pairs = np.bincount(orders[:, 0] * count + orders[:, 1], minlength=count**2).reshape(count, count)
        assert np.diag(pairs).sum() == 0
        assert chi_square(pairs[~np.eye(count, dtype=bool)]) < 4

    @pytest.mark.parametrize("count", [1000, 100_000])
    def test_neighbours_epochs_and_seeds_have_nothing_to_do_with_one_another(self, count: int) -> None:
        first = shuffled(count, 42, 0)
        # Four standard deviations of the correlation of independent orders.
        most = 4 / np.sqrt(count)
        others = {
            "the positions": list(range(count)),
            "the next position": [*first[1:], first[0]],
            "the next epoch": shuffled(count, 42, 1),
            "the next seed": shuffled(count, 43, 0),
        }
        for name, other in others.items():
            assert abs(np.corrcoef(first, other)[0, 1]) < most, name
            assert sum(one == two for one, two in zip(first, other, strict=True)) < 8, name

    def test_a_batch_of_rows_sees_all_parts_of_the_set(self) -> None:
        """As a hypergeometric draw would: of 256 of 10^9 rows, about 16 are in each sixteenth."""
        order = Shuffled(10**9, seeded(1))
        counts = np.zeros(16)
        for batch in range(100):
            rows = order.rows(torch.arange(batch * 256, (batch + 1) * 256)).numpy()
            counts += np.bincount(rows * 16 // 10**9, minlength=16)
        assert chi_square(counts) < 4

    def test_it_holds_nothing_of_the_size_of_the_set(self) -> None:
        assert len(pickle.dumps(Shuffled(10**12, seeded(1)))) < 2000


class TestWeighted:
    def test_rows_come_as_often_as_they_weigh_and_never_with_no_weight(self) -> None:
        weights = np.array([0.0, 1.0, 2.0, 0.0, 5.0, 0.0])
        order = Weighted(cumulative_weights(weights, 6), seeded(0))
        counts = np.bincount(order.rows(torch.arange(80_000)).numpy(), minlength=6)
        assert counts[weights == 0].tolist() == [0, 0, 0]
        assert chi_square(counts[weights > 0] / weights[weights > 0]) < 4

    def test_more_rows_than_torch_can_draw_from(self) -> None:
        """`torch.multinomial` takes at most 2^24 rows."""
        count = 2**24 + 100
        cumulative = cumulative_weights(np.ones(count, np.float32), count)
        rows = Weighted(cumulative, seeded(0)).rows(torch.arange(20_000))
        assert chi_square(np.bincount(rows.numpy() * 16 // count, minlength=16)) < 4
        assert len(rows.unique()) > 19_900

    def test_any_position_is_known_without_the_others(self) -> None:
        order = Weighted(cumulative_weights(np.arange(1.0, 101.0), 100), seeded(3))
        whole = order.rows(torch.arange(100))
        assert torch.equal(order.rows(torch.tensor([70, 3])), whole[[70, 3]])

    def test_draws_are_independent_of_one_another(self) -> None:
        order = Weighted(cumulative_weights(np.ones(4), 4), seeded(5))
        rows = order.rows(torch.arange(32_000)).numpy()
        assert chi_square(np.bincount(rows[::2] * 4 + rows[1::2], minlength=16)) < 4


def test_in_order_positions_are_rows() -> None:
    assert InOrder(5).rows(torch.tensor([3, 0])).tolist() == [3, 0]
    assert len(InOrder(5)) == 5
