from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from learners import assert_same
from onecycle.inference.fuse_batchnorm import fuse_batchnorm


def settled(model: nn.Module) -> nn.Module:
    """Batch norms as after some training: statistics and scales of their own."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet"])
def test_a_folded_model_gives_the_same_with_fewer_layers(name: str) -> None:
    model = settled(timm.create_model(name, num_classes=0))
    example, other = torch.randn(2, 3, 32, 32), torch.randn(3, 3, 48, 48)
    quick = fuse_batchnorm(model, example)
    assert norms(quick) < norms(model)
    with torch.no_grad():
        torch.testing.assert_close(quick(other), model(other), rtol=1e-3, atol=1e-3)


def test_the_model_itself_is_left_as_it_is() -> None:
    model = settled(timm.create_model("test_efficientnet", num_classes=0))
    before, count = copy.deepcopy(model.state_dict()), norms(model)
    fuse_batchnorm(model, torch.randn(1, 3, 32, 32))
    assert_same(model.state_dict(), before)
    assert norms(model) == count


def test_a_model_without_batch_norms_is_returned_as_it_is() -> None:
    model = timm.create_model("test_vit", num_classes=0).eval()
    assert fuse_batchnorm(model, torch.randn(1, 3, 160, 160)) is model


def test_norms_that_only_stand_next_to_a_convolution_are_not_folded() -> None:
    class Crossed(nn.Module):
        """Written one after the other, called the other way round."""

        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.convolution(self.norm(inputs))

    torch.manual_seed(0)
    model = settled(Crossed())
    assert fuse_batchnorm(model, torch.randn(2, 3, 8, 8)) is model
