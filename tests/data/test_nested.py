"""Values of a batch: tensors, lists with an entry per item, and dicts and tuples of them."""

from collections import namedtuple
from itertools import pairwise
from typing import Any

import pytest
import torch

from onecycle.data.nested import join, move, take, tensors_in

Pair = namedtuple("Pair", "inputs lengths")
META = torch.device("meta")


class Packed:
    """An object with methods of its own, such as torch's nested tensors."""

    def __init__(self, rows: list[int], device: str = "cpu") -> None:
        self.rows, self.device = rows, device

    def to(self, device: torch.device) -> "Packed":
        return Packed(self.rows, device.type)

    def __getitem__(self, rows: slice) -> "Packed":
        return Packed(self.rows[rows], self.device)


def value() -> dict[str, Any]:
    return {
        "tensor": torch.arange(8).view(4, 2),
        "ragged": [torch.ones(number) for number in range(4)],
        "texts": ["a", "b", "c", "d"],
        "pair": Pair(torch.arange(4.0), torch.tensor([3, 2, 1, 0])),
        "tuple": (torch.arange(4), [None] * 4),
    }


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


def test_moving_moves_every_tensor_and_leaves_the_rest() -> None:
    moved = move(value(), META)
    assert {tensor.device for tensor in tensors_in(moved)} == {META}
    assert moved["texts"] == ["a", "b", "c", "d"]
    assert isinstance(moved["pair"], Pair)
    assert move(Packed([1]), META).device == "meta"
    assert move(None, META) is None


@pytest.mark.parametrize("rows", [slice(1, 3), torch.tensor([1, 2])], ids=["slice", "positions"])
def test_taking_rows_takes_them_of_everything(rows: Any) -> None:
    taken = take(value(), rows)
    assert_same(
        taken,
        {
            "tensor": torch.tensor([[2, 3], [4, 5]]),
            "ragged": [torch.ones(1), torch.ones(2)],
            "texts": ["b", "c"],
            "pair": Pair(torch.tensor([1.0, 2.0]), torch.tensor([2, 1])),
            "tuple": (torch.tensor([1, 2]), [None, None]),
        },
    )
    assert take(None, rows) is None


def test_positions_may_repeat_and_reverse() -> None:
    assert take(["a", "b"], torch.tensor([1, 0, 1])) == ["b", "a", "b"]
    assert take(Packed([1, 2, 3]), slice(1, 3)).rows == [2, 3]


@pytest.mark.parametrize("cuts", [[0, 4], [0, 1, 4], [0, 1, 2, 3, 4]])
def test_joining_undoes_taking(cuts: list[int]) -> None:
    parts = [take(value(), slice(start, stop)) for start, stop in pairwise(cuts)]
    assert_same(join(parts), value())


def test_what_cannot_be_joined_is_named() -> None:
    with pytest.raises(TypeError, match=r"Cannot join int; a batch holds tensors, lists, dicts and tuples\."):
        join([1, 2])
    assert join([1]) == 1


def test_all_tensors_are_found() -> None:
    assert len(tensors_in(value())) == 1 + 4 + 2 + 1
    assert tensors_in("text") == []


def test_numbers_of_64_bits_go_to_mps_in_32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *args, **options: tensor)  # there is no such device here
    moved = move({"wide": torch.zeros(2, dtype=torch.float64), "whole": torch.zeros(2).long()}, torch.device("mps"))
    assert (moved["wide"].dtype, moved["whole"].dtype) == (torch.float32, torch.int64)
