"""Large batches of images through a model in pieces, where a processor is faster that way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# 16 images of 128 pixels, 5 of 224: larger tensors leave a processor's cache between layers. On two cores,
# against 32 images at once, at 128 and 224 pixels: 0.7 and 0.5 of the time with EfficientNet-Lite0, 1.0 and 0.9 with
# ResNet-18, 1.2 and 0.6 with ConvNeXt-Atto, and 0.9 (at 224) with ViT-Tiny. Training steps gain as well
# (bench/steps.py).
PIECE_PIXELS = 2**18


def in_pieces(model: nn.Module, inputs: Any) -> Any:
    """Return what `model` gives for `inputs`, as if they came at once; gradients flow back to it piece by piece too.

    Args:
        model: Treats every item by itself, but for batch norms; where one of them learns the statistics of the batch,
            it gets the batch as it is.
        inputs: On a CPU, images, (batch, channels, height, width), are handed over some at a time; else all at once.
    """
    if not isinstance(inputs, Tensor) or inputs.device.type != "cpu" or inputs.ndim != 4:
        return model(inputs)
    size = max(1, PIECE_PIXELS // (inputs.shape[2] * inputs.shape[3]))
    if len(inputs) <= size or _learns_statistics(model):
        return model(inputs)
    first, *others = torch.split(inputs, size)
    outputs = model(first)
    if not isinstance(outputs, Tensor):
        return model(inputs)
    return torch.cat([outputs, *(model(piece) for piece in others)])


def _learns_statistics(model: nn.Module) -> bool:
    return any(isinstance(module, _BatchNorm) and module.training for module in model.modules())
