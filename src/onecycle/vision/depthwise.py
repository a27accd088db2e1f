"""Depthwise convolutions on maps smaller than their kernel, as small images give, with a quick gradient.

oneDNN has no routine of its own for the weights' gradient there and takes a general one. On a processor with AVX2
alone that costs nearly half of a training step of an EfficientNet at 64 pixels, with AVX-512 a few hundredths
(bench/README.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def quicken(model: nn.Module) -> None:
    """Turn a model's plain depthwise convolutions into `DepthwiseConv2d`, which has the same weights and outputs."""
    for module in model.modules():
        if type(module) is nn.Conv2d and _is_plain_depthwise(module):
            module.__class__ = DepthwiseConv2d


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself; only while it learns, on a processor, does it differ from `Conv2d`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (batch, channels, height, width)."""
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
        for_inputs, for_weight, for_bias = ctx.needs_input_grad[:3]
        of_inputs, _, of_bias = torch.ops.aten.convolution_backward(
            gradient, inputs, weight, [len(weight)], ctx.stride, ctx.padding, (1, 1), False, (0, 0), len(weight),
            (for_inputs, False, for_bias),
        )  # fmt: skip
        of_weight = _of_weight(inputs, weight, gradient, ctx.stride, ctx.padding) if for_weight else None
        return of_inputs, of_weight, of_bias, None, None


def _of_weight(
    inputs: Tensor, weight: Tensor, gradient: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """Correlate each map with its own gradient: a depthwise convolution again, of all items' channels at once."""
    count, channels = inputs.shape[:2]
    maps = _items_as_channels(inputs).permute(0, 3, 1, 2)
    kernels = _items_as_channels(gradient).permute(3, 0, 1, 2)
    each = functional.conv2d(maps, kernels, None, 1, padding, stride, groups=count * channels)
    height, width = weight.shape[-2:]  # a stride may leave rows that no kernel reached
    return each[..., :height, :width].reshape(count, channels, height, width).sum(0).unsqueeze(1)


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
