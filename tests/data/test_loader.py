"""Loaders: the order is a pure function of seed and epoch; how items are read changes nothing in the batches."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.data.batch import Batch
from onecycle.data.cache import Cache
from onecycle.data.categories import Category
from onecycle.data.dataset import Dataset
from onecycle.data.loader import DataLoader, default_num_workers, even_size
from onecycle.data.plan import Plan
from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.errors import DataError, SkippedItemWarning
from onecycle.vision.images import Images

TARGET = Category(("blue", "green", "red"))


def dataset_of(names: list[str], root: Path, *, labelled: bool = True) -> Dataset:
    """Photos at 8x8 pixels, labelled by their folder."""
    columns = {ITEM: names} | ({LABEL: [name.split("/")[0] for name in names]} if labelled else {})
    return Dataset(Rows(pa.table(columns), root), Images((8, 8)), TARGET, training=False)


def numbered(count: int) -> Dataset:
    """Items that are never read."""
    return dataset_of([f"red/{number}" for number in range(count)], Path("nowhere"))


@pytest.fixture
def dataset(photos: Path) -> Dataset:
    return dataset_of([f"{name}/{name}_{number}.jpg" for number in range(4) for name in TARGET.classes], photos)


@pytest.fixture
def with_a_bad_one(tmp_path: Path, photos: Path) -> Dataset:
    """Four photos; the third is cut short."""
    for number in range(4):
        data = (photos / f"red/red_{number}.jpg").read_bytes()
        (tmp_path / "red").mkdir(exist_ok=True)
        (tmp_path / "red" / f"{number}.jpg").write_bytes(data[:200] if number == 2 else data)
    return dataset_of([f"red/{number}.jpg" for number in range(4)], tmp_path)


def rows(loader: DataLoader, epoch: int) -> list[int]:
    """The rows of an epoch in their order."""
    order = loader.order(epoch)
    return order.rows(torch.arange(len(order))).tolist()  # type: ignore[no-any-return]


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
        assert torch.equal(one.index, other.index)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 8), st.booleans(), st.integers(0, 3))
def test_every_epoch_covers_everything_once(count: int, size: int, shuffle: bool, epoch: int) -> None:
    loader = DataLoader(numbered(count), batch_size=size, shuffle=shuffle)
    plan = loader.plan(epoch)
    assert len(plan) == len(loader)
    drawn = torch.cat(list(plan)).tolist()
    assert sorted(drawn) == list(range(count))


def test_the_order_depends_on_seed_and_epoch_and_nothing_else() -> None:
    first = DataLoader(numbered(50), batch_size=8, shuffle=True, seed=1)
    torch.manual_seed(5)
    again = DataLoader(numbered(50), batch_size=3, shuffle=True, seed=1, workers=2)
    again.order(7)
    other = DataLoader(numbered(50), batch_size=8, shuffle=True, seed=2)
    assert rows(first, 3) == rows(again, 3)
    assert rows(first, 3) != rows(first, 4)
    assert rows(first, 3) != rows(other, 3)


def test_without_shuffling_items_come_in_their_order() -> None:
    loader = DataLoader(numbered(5), batch_size=2)
    assert (
        [rows.tolist() for rows in loader.plan(0)]
        == [rows.tolist() for rows in loader.plan(9)]
        == [[0, 1], [2, 3], [4]]
    )


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (130, 64, [65, 65]),
        (128, 64, [64, 64]),
        (5, 2, [3, 2]),
        (1, 2, [1]),
        (3, 64, [3]),
        (95, 64, [48, 47]),
        (97, 64, [49, 48]),
        (200, 64, [67, 67, 66]),
        (23, 16, [12, 11]),
        (53, 4, [5] * 10 + [3]),
    ],
)
def test_shuffled_batches_have_nearly_one_size(count: int, size: int, expected: list[int]) -> None:
    """A small last batch would spoil the statistics of batch norms."""
    loader = DataLoader(numbered(count), batch_size=size, shuffle=True)
    assert [len(rows) for rows in loader.plan(0)] == expected
    assert len(loader) == len(expected)
    assert (loader.batch_size, loader.size) == (size, expected[0])


def test_batches_in_order_have_the_size_asked_for() -> None:
    loader = DataLoader(numbered(130), batch_size=64)
    assert [len(rows) for rows in loader.plan(0)] == [64, 64, 2]
    assert loader.size == 64


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2000), st.integers(1, 128))
def test_an_even_size_is_near_what_was_asked_for(count: int, size: int) -> None:
    even = even_size(count, size)
    batches = -(-count // even)
    assert even <= max(1.5 * size, count if count < 1.5 * size else 0) + 1
    if count > size:
        assert even >= size / 2
    if batches > 1 and count >= 4 * batches**2:
        assert count - even * (batches - 1) >= 0.75 * even, "the last batch is nearly full"


def test_batches_of_similar_length_are_even_too() -> None:
    lengths = torch.arange(130) % 7
    loader = DataLoader(numbered(130), batch_size=64, shuffle=True, lengths=lengths)
    assert [len(rows) for rows in loader.plan(1)] in ([65, 65], [33, 33, 33, 31])
    assert min(len(rows) for rows in loader.plan(1)) > 2


def test_weighted_drawing_makes_even_batches_too() -> None:
    loader = DataLoader(numbered(130), batch_size=64, shuffle=True, weights=np.ones(130))
    assert [len(rows) for rows in loader.plan(0)] == [65, 65]


def test_processes_share_the_batches_of_a_single_one() -> None:
    loader, single = DataLoader(numbered(11), batch_size=3, shuffle=True), DataLoader(numbered(11), batch_size=6)
    shares = [torch.cat(list(loader.plan(2, rank=rank, world=2))).tolist() for rank in range(2)]
    assert [len(share) for share in shares] == [6, 5]
    assert [row for pair in itertools.zip_longest(*shares) for row in pair][:11] == rows(loader, 2)
    assert loader.num_batches(2) == len(single) == 2
    assert loader.global_size(2) == 6


@pytest.mark.parametrize("how", [{}, {"workers": 1}, {"cache": Cache((8, 8, 3))}])
def test_a_process_gets_a_batch_without_items_where_others_have_some(dataset: Dataset, how: dict[str, Any]) -> None:
    """12 items in batches of 5, of all processes together, leave 2 for the last one."""
    loader = DataLoader(dataset, batch_size=1, **how)
    first, last = (list(loader.epoch(0, rank=rank, world=5)) for rank in (0, 4))
    assert [batch.index.tolist() for batch in first] == [[0], [5], [10]]
    assert [batch.index.tolist() for batch in last] == [[4], [9], []]
    assert [batch.number for batch in last] == [0, 1, 2]


def test_an_epoch_goes_on_in_batches_of_another_size() -> None:
    loader = DataLoader(numbered(20), batch_size=2, shuffle=True)
    taken = [*loader.plan(1)[:3], *loader.plan(1, world=4, before=[(2, 3)])]
    assert torch.cat(taken[:3]).tolist() == rows(loader, 1)[:6]
    whole = [torch.cat(list(loader.plan(1, rank=rank, world=2, before=[(2, 3), (8, 1)]))) for rank in range(2)]
    assert sorted(torch.cat(whole).tolist()) == sorted(rows(loader, 1)[14:])


def test_weights_draw_rare_items_more_often() -> None:
    weights = np.array([1.0] * 90 + [9.0] * 10)
    loader = DataLoader(numbered(100), batch_size=10, shuffle=True, weights=weights)
    drawn = torch.tensor([rows(loader, epoch) for epoch in range(50)])
    # Binomial(5000, 1/2): four standard deviations are 0.028.
    assert (drawn >= 90).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert rows(loader, 1) == rows(DataLoader(numbered(100), batch_size=7, shuffle=True, weights=weights), 1)
    assert rows(loader, 1) != rows(loader, 2)


@pytest.mark.parametrize(
    ("weights", "received"),
    [
        ([1.0, -0.5, 1.0], "3 numbers for 3 items, from -0.5 to 1."),
        ([1.0, float("nan"), 1.0], "3 numbers for 3 items, from nan to nan."),
        ([1.0, float("inf"), 1.0], "3 numbers for 3 items, from 1 to inf."),
        ([0.0, 0.0, 0.0], "3 numbers for 3 items, from 0 to 0."),
        ([1.0, 1.0], "2 numbers for 3 items, from 1 to 1."),
        ([], "0 numbers for 3 items."),
    ],
)
def test_weights_that_cannot_be_drawn_by_are_refused(weights: list[float], received: str) -> None:
    with pytest.raises(DataError) as error:
        DataLoader(numbered(3), batch_size=1, shuffle=True, weights=np.array(weights))
    assert str(error.value) == (
        f"weights= holds {received}\n"
        "Expected a finite number of 0 or more for each item, not all of them 0.\n"
        "Fix: check how the weights are computed; those of a target come from its item_weights()."
    )
    assert len(DataLoader(numbered(3), batch_size=1, shuffle=True, weights=np.array([1.0, 0.0, 2.0]))) == 3


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_holds_at_least_one_item(size: int) -> None:
    with pytest.raises(DataError, match=rf"batch_size={size}.\nExpected 1 or more.\nFix: pass batch_size=64"):
        DataLoader(numbered(3), batch_size=size)


def test_iterating_is_the_first_epoch(dataset: Dataset) -> None:
    loader = DataLoader(dataset, batch_size=5, shuffle=True)
    assert_same(list(loader), list(loader.epoch(0)))


@pytest.mark.parametrize("how", [{}, {"workers": 1}, {"cache": Cache((8, 8, 3))}, {"contiguous": True}])
@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_an_epoch_may_start_at_any_batch(dataset: Dataset, how: dict[str, Any], start: int) -> None:
    loader = DataLoader(dataset, batch_size=4, shuffle=True, **how)
    whole = list(loader.epoch(1))
    assert len(whole) == 3
    if start < 3:
        assert_same(list(loader.epoch(1, start=start)), whole[start:])
    else:
        assert list(loader.epoch(1, start=start)) == []


def test_the_batches_before_the_start_are_not_read(with_a_bad_one: Dataset) -> None:
    """The third item, which cannot be read, is the third batch."""
    loader = DataLoader(with_a_bad_one, batch_size=1)
    assert [batch.index.tolist() for batch in loader.epoch(0, start=3)] == [[3]]


def test_every_process_may_start_at_any_batch(dataset: Dataset) -> None:
    loader = DataLoader(dataset, batch_size=2, shuffle=True)
    for rank in range(2):
        whole = list(loader.epoch(1, rank=rank, world=2))
        assert_same(list(loader.epoch(1, rank=rank, world=2, start=2)), whole[2:])


@pytest.mark.slow
def test_a_spawned_worker_gives_the_same_batches_as_none(dataset: Dataset) -> None:
    """Everything that travels can be pickled, and one worker serves several epochs."""
    options: dict[str, Any] = {"batch_size": 5, "shuffle": True}
    spawned = DataLoader(dataset, **options, workers=1, multiprocessing_context="spawn")
    for epoch in range(2):
        assert_same(list(spawned.epoch(epoch)), list(DataLoader(dataset, **options).epoch(epoch)))


however_it_is_read = pytest.mark.parametrize(
    "how", [{"workers": 0}, {"workers": 1}, {"cache": Cache((8, 8, 3))}], ids=["no worker", "a worker", "a cache"]
)


@however_it_is_read
def test_a_bad_item_raises_the_same_error_however_it_is_read(how: dict[str, Any], with_a_bad_one: Dataset) -> None:
    batches = DataLoader(with_a_bad_one, batch_size=2, **how).epoch(0)
    assert next(batches).index.tolist() == [0, 1]
    with pytest.raises(
        DataError, match=r"red/2.jpg is damaged: .*\nExpected a complete image file.\nFix: .*on_bad_item"
    ):
        next(batches)


@however_it_is_read
def test_a_bad_item_may_be_skipped_with_one_warning(how: dict[str, Any], with_a_bad_one: Dataset) -> None:
    loader = DataLoader(with_a_bad_one, batch_size=2, on_bad_item="skip", **how)
    with pytest.warns(UserWarning, match=r"Skipped red/2.jpg: .*red/2.jpg is damaged") as caught:
        epochs = [[batch.index.tolist() for batch in loader.epoch(number)] for number in range(2)]
    assert epochs == [[[0, 1], [3]]] * 2
    assert [one.category for one in caught].count(SkippedItemWarning) == 1
    assert list(loader.bad) == [2]


def test_a_batch_of_bad_items_only_is_left_out(with_a_bad_one: Dataset) -> None:
    loader = DataLoader(with_a_bad_one, batch_size=1, on_bad_item="skip")
    with pytest.warns(UserWarning, match="Skipped"):
        assert [batch.index.tolist() for batch in loader] == [[0], [1], [3]]


def test_abandoning_an_epoch_does_not_spoil_the_next(dataset: Dataset) -> None:
    loader = DataLoader(dataset, batch_size=2, workers=1)
    next(loader.epoch(0))
    assert_same(list(loader.epoch(1)), list(DataLoader(dataset, batch_size=2).epoch(1)))


def test_workers_are_sent_one_batch_of_the_plan_at_a_time(dataset: Dataset) -> None:
    loader = DataLoader(dataset, batch_size=5, shuffle=True, workers=1)
    next(loader.epoch(0))
    assert isinstance(loader._plan.batches, Plan)
    assert list(loader._plan) == [rows.tolist() for rows in loader.plan(0)]


def test_there_are_a_few_workers_by_default() -> None:
    assert 1 <= default_num_workers() <= 8
