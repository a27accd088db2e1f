"""Models that find points: a map of where each point is likely to be, and its centre of mass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onecycle.vision.depthwise import quicken
from onecycle.vision.pyramid import Encoder, LightDecoder, PyramidModel, create_encoder


class CentreOfMass(nn.Module):
    """Turns a map a point into coordinates: the mean place under a softmax over all places.

    Differentiable, finer than a pixel, and right for any input size ("integral regression", Sun et al. 2017,
    arXiv:1711.08229).
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return x and y from -1 to 1, (batch, points, 2), of maps (batch, points, height, width)."""
        height, width = maps.shape[-2:]
        likely = maps.float().flatten(2).softmax(dim=-1).view(maps.shape)
        x = (torch.arange(width, device=maps.device) * 2 + 1) / width - 1
        y = (torch.arange(height, device=maps.device) * 2 + 1) / height - 1
        return torch.stack([(likely.sum(dim=2) * x).sum(dim=-1), (likely.sum(dim=3) * y).sum(dim=-1)], dim=-1)


class HeatmapModel(PyramidModel):
    """An encoder, and a light decoder that gives one map a point.

    On faces it is far better than numbers from a pooled vector, which has forgotten where things are (bench/README.md).

    Args:
        backbone: Name in timm.
        points: How many.
        mean: Of the images that the backbone was trained on, a colour each, from 0 to 1.
        std: Their standard deviation.
        pretrained: As for `create_backbone`.
    """

    frozen_epochs = 0  # what a frozen encoder knows says little about places

    def __init__(
        self,
        backbone: str,
        points: int,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        pretrained: bool | str | Path = False,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "kind": "heatmap_model", "backbone": backbone, "points": points, "mean": list(mean), "std": list(std),
        }  # fmt: skip
        network = create_encoder(backbone, pretrained)
        self.body = Encoder(network, mean, std, 1)
        channels = network.feature_info.channels()  # type: ignore[union-attr,operator]
        self.head = nn.Sequential(LightDecoder(channels, points), CentreOfMass())
        self.to(memory_format=torch.channels_last)
        quicken(self)
