from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from onecycle.train.packing import pack, unpack

STATES: dict[str, Any] = {
    "plain": {"a": 1, "b": 0.1, "c": "text", "d": None, "e": True},
    "tensors": {"a": torch.arange(3), "b": [torch.ones(2), {"c": torch.zeros(1)}]},
    "tuples": (1, (torch.ones(1), [2, 3])),
    "an optimizer's rows": {0: {"step": torch.tensor(3.0)}, 2: {"exp_avg": torch.ones(2, 2)}},
    "empty": {"a": {}, "b": [], "c": ()},
}


def same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_what_is_packed_comes_back_from_json(state: Any) -> None:
    tensors: dict[str, Tensor] = {}
    packed = json.loads(json.dumps(pack(state, "part", tensors)))
    assert all(name.startswith("part") for name in tensors)
    assert same(unpack(packed, tensors), state)


@pytest.mark.parametrize("state", [{"a": object()}, {("a", 1): 2}, [{1, 2}]], ids=["object", "key", "set"])
def test_what_cannot_be_packed_is_named(state: Any) -> None:
    with pytest.raises(TypeError, match=r"^part.* is of type"):
        pack(state, "part", {})
