"""Faster gradients for depthwise convolutions on feature maps smaller than their kernel, as in small images.

oneDNN has no specialised routine for the weights' gradient there and uses a general one. On a processor with only AVX2
that takes nearly half of a training step of an EfficientNet at 64 pixels, with AVX-512 a few hundredths
(bench/README.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def use_fast_depthwise_gradients(model: nn.Module) -> None:
    """Turn a model's plain depthwise convolutions into `DepthwiseConv2d`, which has the same weights and outputs.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(8, 8, 5, padding=2, groups=8))
        >>> use_fast_depthwise_gradients(model)
        >>> type(model[0]).__name__
        'DepthwiseConv2d'
    """
    for module in model.modules():
        if type(module) is nn.Conv2d and _is_plain_depthwise(module):
            module.__class__ = DepthwiseConv2d


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel alone; it differs from `Conv2d` only in training on a CPU."""

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training and _has_slow_gradient(inputs, self.weight):
            outputs: Tensor = _Depthwise.apply(inputs, self.weight, self.bias, self.stride, self.padding)
            return outputs
        return super().forward(inputs)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(inputs, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        inputs_need, weight_needs, bias_needs = ctx.needs_input_grad[:3]
        inputs_gradient, _, bias_gradient = torch.ops.aten.convolution_backward(
            gradient, inputs, weight, [len(weight)], ctx.stride, ctx.padding, (1, 1), False, (0, 0), len(weight),
            (inputs_need, False, bias_needs),
        )  # fmt: skip
        weight_gradient = _weight_gradient(inputs, weight, gradient, ctx.stride, ctx.padding) if weight_needs else None
        return inputs_gradient, weight_gradient, bias_gradient, None, None


def _weight_gradient(
    inputs: Tensor, weight: Tensor, gradient: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """Correlate each map with its own gradient: again a depthwise convolution, of all items' channels at once."""
    count, channels = inputs.shape[:2]
    maps = _items_as_channels(inputs).permute(0, 3, 1, 2)
    kernels = _items_as_channels(gradient).permute(3, 0, 1, 2)
    per_item = functional.conv2d(maps, kernels, None, 1, padding, stride, groups=count * channels)
    height, width = weight.shape[-2:]  # a stride may leave rows that no kernel reaches
    summed = per_item[..., :height, :width].reshape(count, channels, height, width).sum(0).unsqueeze(1)
    return torch.empty_like(weight).copy_(summed)  # in the weight's order in memory, as processes add gradients up


def _items_as_channels(maps: Tensor) -> Tensor:
    """Return (1, height, width, batch * channels)."""
    return maps.permute(2, 3, 0, 1).flatten(2).unsqueeze(0)


def _has_slow_gradient(inputs: Tensor, weight: Tensor) -> bool:
    return (
        inputs.device.type == "cpu"
        and torch.is_grad_enabled()
        and weight.requires_grad
        and inputs.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and (inputs.shape[-2] < weight.shape[-2] or inputs.shape[-1] < weight.shape[-1])
    )


def _is_plain_depthwise(module: nn.Conv2d) -> bool:
    return (
        module.groups == module.in_channels == module.out_channels > 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and isinstance(module.padding, tuple)
    )
