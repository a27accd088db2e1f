"""Weights lie as they are fastest on the device, and as FSDP takes them."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import DistributedType
from torch import nn

import onecycle as oc
from devices import DEVICE
from learners import photo_bunch
from onecycle.train.learner import Learner
from onecycle.train.memory_format import placed
from onecycle.vision.normalize import Normalize


def accelerator(device: torch.device = DEVICE, kind: DistributedType = DistributedType.NO) -> Any:
    return SimpleNamespace(device=device, distributed_type=kind)


def last(module: nn.Module) -> bool:
    weight = next(parameter for parameter in module.parameters() if parameter.ndim >= 4)
    return not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)


def test_own_modules_have_their_channels_last_on_gpus_alone(photos: Any) -> None:
    model = nn.Sequential(Normalize(), nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    learner = Learner(photo_bunch(photos), model, progress=False)
    assert last(learner.model) == (DEVICE.type == "cuda")
    learner.fit(1, 1e-3)
    assert last(learner.model) == (DEVICE.type == "cuda")


def test_models_whose_inputs_come_in_another_order_keep_theirs() -> None:
    assert not last(placed(nn.Conv2d(3, 8, 3), accelerator(), channels_last=False))
    volume = nn.Sequential(nn.Conv3d(3, 4, 3), nn.Conv2d(3, 4, 3))
    assert placed(volume, accelerator(), channels_last=True) is volume


def test_fsdp_gets_contiguous_weights() -> None:
    model = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    assert last(model)
    placed(model, accelerator(kind=DistributedType.FSDP), channels_last=True)
    assert all(parameter.is_contiguous() for parameter in model.parameters())


@pytest.mark.parametrize("channels", [1, 3])
def test_outputs_are_the_same(channels: int) -> None:
    model, inputs = nn.Conv2d(channels, 8, 3), torch.randn(2, channels, 9, 9)
    expected = model(inputs)
    moved = placed(model, accelerator(), channels_last=True)
    torch.testing.assert_close(moved(inputs.to(DEVICE)).cpu(), expected, rtol=1e-4, atol=1e-5)


def test_a_models_own_loaders_keep_the_order_of_its_weights() -> None:
    """`view` after a convolution needs the order in which the inputs come."""

    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.last = nn.Conv2d(3, 2, 3), nn.Linear(2 * 36, 3)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            features = self.convolution(inputs)
            return self.last(features.view(len(inputs), -1))

    batches = [(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]))]
    learner = oc.Learner.from_loaders(
        batches, batches, Views(), loss=nn.functional.cross_entropy, progress=False
    )  # fmt: skip
    learner.fit(1, 1e-3)
    assert not last(learner.model)
