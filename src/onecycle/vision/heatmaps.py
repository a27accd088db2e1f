"""Models that predict points: one map for each point, and the map's centre of mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from onecycle.registry import register
from onecycle.vision.pyramid import PyramidModel, create_light_pair


class CentreOfMass(nn.Module):
    """Turns one map per point into coordinates: the mean position, weighted by a softmax over all positions.

    It is differentiable, finer than a pixel, and works for any input size ("integral regression").

    Source: Sun et al. 2017, arXiv:1711.08229.
    Example:
        >>> maps = torch.full((1, 1, 5, 5), -100.0)
        >>> maps[0, 0, 2, 2] = 100.0
        >>> CentreOfMass()(maps).flatten().tolist()
        [0.0, 0.0]
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return x and y from -1 to 1, float32, (batch, points, 2), for maps (batch, points, height, width)."""
        height, width = maps.shape[-2:]
        weights = maps.float().flatten(2).softmax(dim=-1).view(maps.shape)
        x = (torch.arange(width, device=maps.device) * 2 + 1) / width - 1
        y = (torch.arange(height, device=maps.device) * 2 + 1) / height - 1
        return torch.stack([(weights.sum(dim=2) * x).sum(dim=-1), (weights.sum(dim=3) * y).sum(dim=-1)], dim=-1)


@register("model", "heatmap_model")
class HeatmapModel(PyramidModel):
    """An encoder, and a light decoder that returns one map for each point.

    On faces it is far more accurate than numbers from a pooled vector, which has lost the positions (bench/README.md).

    Args:
        backbone: Name in timm.
        points: Number of points.
        mean: Mean of each colour in the backbone's training images, from 0 to 1.
        std: Standard deviation of each colour in them.
        pretrained: As for `create_backbone`.
    """

    fine_tuning = replace(PyramidModel.fine_tuning, epochs=4)
    kind: ClassVar[str] = "heatmap_model"

    def __init__(
        self,
        backbone: str,
        points: int,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        pretrained: bool | str | Path = False,
    ) -> None:
        config = {"kind": self.kind, "backbone": backbone, "points": points, "mean": list(mean), "std": list(std)}
        encoder, decoder = create_light_pair(backbone, points, mean, std, pretrained)
        super().__init__(encoder, nn.Sequential(decoder, CentreOfMass()), config)
