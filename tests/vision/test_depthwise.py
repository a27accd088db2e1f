"""The fast gradient of depthwise convolutions equals torch's, and is used only where torch's is slow."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from onecycle.vision.depthwise import DepthwiseConv2d, use_fast_depthwise_gradients
from onecycle.vision.model import ImageModel
from onecycle.vision.weights import create_backbone


def gradients(conv: nn.Conv2d, inputs: Tensor) -> tuple[str, list[Tensor]]:
    """Return the name of the outputs' function, and the outputs and gradients of inputs, weight and bias."""
    conv.zero_grad()
    inputs = inputs.clone().requires_grad_()
    outputs = conv(inputs)
    (outputs * torch.arange(outputs.numel()).view(outputs.shape).cos()).sum().backward()
    found = [outputs.detach(), inputs.grad, conv.weight.grad, *([] if conv.bias is None else [conv.bias.grad])]
    return outputs.grad_fn.name(), found


@pytest.mark.parametrize(
    ("kernel", "stride", "height", "width"),
    [(5, 1, 4, 4), (5, 1, 1, 3), (3, 1, 2, 2), (5, 2, 4, 4), (5, 2, 3, 7), (7, 1, 4, 9), ((5, 3), 1, 4, 6)],
)
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_equal_those_of_torch(
    kernel: int | tuple[int, int], stride: int, height: int, width: int, bias: bool
) -> None:
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    plain = nn.Conv2d(6, 6, kernel, stride, (sides[0] // 2, sides[1] // 2), groups=6, bias=bias)
    fast = copy.deepcopy(plain)
    use_fast_depthwise_gradients(fast)
    inputs = torch.randn(3, 6, height, width).to(memory_format=torch.channels_last)
    (_, expected), (function, actual) = gradients(plain, inputs), gradients(fast, inputs)
    assert "Depthwise" in function
    for one, other in zip(expected, actual, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_larger_maps_use_torch() -> None:
    conv = nn.Conv2d(6, 6, 5, padding=2, groups=6)
    use_fast_depthwise_gradients(conv)
    assert "Depthwise" not in gradients(conv, torch.randn(2, 6, 5, 5))[0]
    assert "Depthwise" not in gradients(conv.eval(), torch.randn(2, 6, 4, 4))[0]


@pytest.mark.parametrize("options", [{"groups": 1}, {"groups": 6, "dilation": 2}, {"groups": 6, "padding": "same"}])
def test_other_convolutions_are_not_changed(options: dict[str, object]) -> None:
    conv = nn.Conv2d(6, 6, 3, **options)
    use_fast_depthwise_gradients(conv)
    assert type(conv) is nn.Conv2d


def test_frozen_weights_have_no_gradient() -> None:
    conv = nn.Conv2d(6, 6, 5, padding=2, groups=6)
    use_fast_depthwise_gradients(conv)
    conv.weight.requires_grad_(False)
    inputs = torch.randn(2, 6, 3, 3, requires_grad=True)
    conv(inputs).sum().backward()
    assert inputs.grad is not None
    assert conv.weight.grad is None


def test_bf16_uses_torch() -> None:
    conv = nn.Conv2d(6, 6, 5, padding=2, groups=6)
    use_fast_depthwise_gradients(conv)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = conv(torch.randn(2, 6, 3, 3))
    assert outputs.dtype == torch.bfloat16
    assert "Depthwise" not in outputs.grad_fn.name()


def test_image_models_use_it() -> None:
    network = create_backbone("test_efficientnet", pretrained=False, num_classes=0)
    before = set(network.state_dict())
    model = ImageModel(network, 3, mean=[0.5] * 3, std=[0.5] * 3, name="test_efficientnet")
    assert any(isinstance(module, DepthwiseConv2d) for module in model.modules())
    assert set(network.state_dict()) == before
