"""Where weights are not divided, nothing is changed; tests/distributed divides them."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import nn

from onecycle.train.sharded import all_whole, class_of, copied_as, divided_like, local, sharded, whole


def test_without_fsdp_a_model_stays_as_it_is() -> None:
    model = nn.Linear(2, 2)
    assert sharded(model, Accelerator()) is model
    assert class_of(model) is nn.Linear


def test_whole_tensors_stay_as_they_are() -> None:
    tensor = torch.arange(4.0)
    assert local(tensor) is whole(tensor) is tensor
    assert all_whole({"a": tensor})["a"] is tensor
    assert all_whole({"a": tensor}, keep=False) == {}
    assert divided_like({"a": torch.zeros(4)}, {"a": tensor, "b": tensor}) == {"a": tensor, "b": tensor}


def test_a_copy_lies_in_memory_as_the_tensor_does() -> None:
    like = torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last)
    copy = copied_as(like, torch.ones(2, 3, 4, 4, dtype=torch.float64))
    assert (copy.stride(), copy.dtype, float(copy.sum())) == (like.stride(), torch.float64, 96.0)
