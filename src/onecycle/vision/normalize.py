"""The first layer of image models: pixels from 0 to 255 become numbers around zero."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """Subtracts the mean of each colour from pixels and divides by its standard deviation.

    Batches hold pixels from 0 to 255, so a model of your own starts with this layer.

    Args:
        mean: Mean of each colour on a scale from 0 to 1; ImageNet's by default.
        std: Standard deviation of each colour on the same scale.
    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(Normalize(), nn.Conv2d(3, 8, 3))
        >>> model(torch.full((1, 3, 32, 32), 255.0)).shape
        torch.Size([1, 8, 30, 30])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1) * 255)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return float32, of the shape of `pixels`, (batch, 3, height, width), uint8 or float from 0 to 255."""
        return (pixels - self.mean) / self.std
