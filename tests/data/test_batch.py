"""Batches of samples: of any kind of inputs and targets, moved and cut into parts."""

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import DEVICE
from onecycle.data.batch import BadItem, Batch, even_slices
from onecycle.data.nested import join, move
from onecycle.errors import DataError

CPU, META = torch.device("cpu"), torch.device("meta")


def batch_of(count: int, **changes: Any) -> Batch:
    ragged = [torch.full((number % 3, 4), float(number)) for number in range(count)]
    return Batch(
        **{
            "inputs": {"values": torch.arange(count * 2.0).view(count, 2), "names": [f"n{n}" for n in range(count)]},
            "targets": ragged, "index": torch.arange(count), "geometries": torch.arange(count * 6.0).view(count, 6),
            **changes,
        }
    )  # fmt: skip


def test_a_batch_moves_to_a_device_with_or_without_targets() -> None:
    batch = batch_of(3)
    moved = batch.to(META)
    assert (moved.inputs["values"].device, moved.geometries.device) == (META, CPU)
    assert [boxes.device for boxes in moved.targets] == [META] * 3
    assert moved.inputs["names"] == ["n0", "n1", "n2"]
    assert batch.inputs["values"].device == CPU, "the batch itself stays"
    assert batch_of(2, targets=None, geometries=None).to(META).targets is None


def test_its_length_is_the_number_of_items() -> None:
    assert len(batch_of(5)) == 5
    assert len(Batch(torch.empty(0), None, torch.empty(0, dtype=torch.int64))) == 0


def test_bad_items_stay_with_the_whole_batch_only() -> None:
    bad = [BadItem(7, DataError("what", "expected", "fix"))]
    batch = batch_of(4, bad=bad)
    assert batch.to(META).bad is bad
    assert [part.bad for part in batch.split(2)] == [(), ()]
    assert pickle.loads(pickle.dumps(bad[0])).error.what == "what"


@pytest.mark.parametrize(
    ("count", "parts", "sizes"), [(8, 3, [3, 3, 2]), (7, 7, [1] * 7), (2, 5, [1, 1]), (6, 1, [6]), (65, 2, [33, 32])]
)
def test_a_batch_splits_into_even_parts(count: int, parts: int, sizes: list[int]) -> None:
    batch = batch_of(count)
    split = batch.split(parts)
    assert [len(part) for part in split] == sizes
    assert torch.equal(torch.cat([part.index for part in split]), batch.index)
    joined = join([part.inputs for part in split])
    assert torch.equal(joined["values"], batch.inputs["values"])
    assert joined["names"] == batch.inputs["names"]
    pairs = zip(join([part.targets for part in split]), batch.targets, strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert torch.equal(torch.cat([part.geometries for part in split]), batch.geometries)


def test_some_rows_are_taken() -> None:
    part = batch_of(5).take(slice(1, 3))
    assert (part.index.tolist(), part.inputs["names"]) == ([1, 2], ["n1", "n2"])
    assert batch_of(5, targets=None, geometries=None).take(slice(1, 3)).targets is None


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 300), st.integers(1, 40))
def test_slices_are_even_and_cover_everything_once(count: int, parts: int) -> None:
    slices = even_slices(count, parts)
    assert [row for rows in slices for row in range(count)[rows]] == list(range(count))
    sizes = [rows.stop - rows.start for rows in slices]
    assert len(slices) == max(min(parts, count), 1)
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.skipif(DEVICE.type != "cuda", reason="memory is pinned for CUDA alone; also with --device pretend")
def test_its_tensors_are_pinned_and_come_from_pinned_memory() -> None:
    pinned = batch_of(3).pin_memory()
    assert pinned.inputs["values"].is_pinned()
    assert all(boxes.is_pinned() for boxes in pinned.targets)
    assert pinned.inputs["names"] == ["n0", "n1", "n2"]
    wide = torch.ones(1, 1).expand(2, 5)
    assert move(wide, DEVICE).tolist() == wide.tolist(), "whose numbers share their places"
    moved = batch_of(3).to(DEVICE)
    assert moved.inputs["values"].device.type == "cuda"
    assert torch.equal(moved.inputs["values"].cpu(), batch_of(3).inputs["values"])
