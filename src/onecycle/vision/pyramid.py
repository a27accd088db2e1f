"""Feature maps of several sizes ("a pyramid"): the encoder that gives them, and a light decoder that adds them up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import timm
from torch import Tensor, nn
from torch.nn import functional

from onecycle.errors import ModelError
from onecycle.train.groups import GroupedModel
from onecycle.vision.model import Normalize, checkpoint_backbone
from onecycle.vision.weights import create_backbone

WIDTH = 96


class LightDecoder(nn.Module):
    """A feature pyramid that stops at a quarter of the size: all maps are added up from the deepest to the finest.

    The last two stages of a U-Net, at half and full size, take most of its time and add little (bench/README.md). After
    "Feature Pyramid Networks" (Lin et al. 2016, arXiv:1612.03144), with one map in the end as in panoptic FPN.

    Args:
        channels: Of the encoder's maps, the finest first.
        outputs: Channels that it gives.
        width: Channels in between.
        dropout: Of whole channels before the last layer.
    """

    def __init__(self, channels: Sequence[int], outputs: int, *, width: int = WIDTH, dropout: float = 0.1) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channel, width, 1) for channel in channels)
        self.smooth = nn.Sequential(
            *_convolution(width), *_convolution(width), nn.Dropout2d(dropout), nn.Conv2d(width, outputs, 1)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (batch, outputs, height, width) of the finest map."""
        summed: Tensor | None = None
        for lateral, features in zip(reversed(self.lateral), reversed(maps), strict=True):
            here: Tensor = lateral(features)
            summed = here if summed is None else here + resized(summed, here.shape[-2:])
        smoothed: Tensor = self.smooth(summed)
        return smoothed


class Encoder(nn.Module):
    """Normalises pixels, and gives the backbone's feature maps, the finest first.

    Args:
        network: Gives a list of maps.
        mean: Of the images that the backbone was trained on, a colour each, from 0 to 1.
        std: Their standard deviation.
        multiple: Height and width are filled up to a multiple of this with copies of the edge.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], multiple: int) -> None:
        super().__init__()
        self.normalize, self.network, self.multiple = Normalize(mean, std), network, multiple

    def checkpoint_activations(self, name: str) -> None:
        """Let the network, timm's `name`, compute its activations again in the backward pass."""
        # segmentation-models-pytorch holds timm's network as `model`.
        checkpoint_backbone(getattr(self.network, "model", self.network), name)

    def filled(self, length: int) -> int:
        """Return a height or width after it was filled up."""
        return length + -length % self.multiple

    def halves(self) -> list[list[str]]:
        """Return the names of the earlier and the later half of the weights."""
        names = [name for name, _ in self.named_parameters()]
        return [names[: len(names) // 2], names[len(names) // 2 :]]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return the feature maps of pixels from 0 to 255, (batch, 3, height, width)."""
        height, width = pixels.shape[-2:]
        inputs = self.normalize(pixels)
        missing = (0, self.filled(width) - width, 0, self.filled(height) - height)
        maps: list[Tensor] = self.network(functional.pad(inputs, missing, "replicate") if any(missing) else inputs)
        if str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC"):  # of timm's windowed transformers
            maps = [features.permute(0, 3, 1, 2) for features in maps]
        return maps


class PyramidModel(GroupedModel):
    """An encoder as body, and as head what makes an answer of its feature maps."""

    smaller_epochs = 1  # what sees places learns most of it from fewer pixels, in two thirds of the time
    body: Encoder
    config: dict[str, Any]

    def layer_groups(self) -> list[list[str]]:
        """Two halves of the encoder, and the decoder."""
        halves = [[f"body.{name}" for name in half] for half in self.body.halves()]
        return [*halves, [f"head.{name}" for name, _ in self.head.named_parameters()]]

    def checkpoint_activations(self) -> None:
        """Let the encoder compute its activations again."""
        self.body.checkpoint_activations(self.config["backbone"])

    def to_config(self) -> dict[str, Any]:
        """Everything but the weights."""
        return dict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the model that `to_config` described, with random weights."""
        return cls(**{key: value for key, value in config.items() if key != "kind"})


def create_encoder(backbone: str, pretrained: bool | str | Path) -> nn.Module:
    """Return a timm network that gives its feature maps, from a quarter of the size on.

    Raises:
        ModelError: The backbone is unknown, or has no maps of several sizes.
    """
    full = create_backbone(backbone, pretrained)
    try:
        network: nn.Module = timm.create_model(backbone.split(".")[0], features_only=True)
        reductions = network.feature_info.reduction()  # type: ignore[union-attr,operator]
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise _no_pyramid(backbone) from error
    places = [place for place, reduction in enumerate(reductions) if reduction >= 4]
    if len({reductions[place] for place in places}) < 3:
        raise _no_pyramid(backbone)
    network = timm.create_model(backbone.split(".")[0], features_only=True, out_indices=tuple(places))
    return copy_weights(full, network)


def copy_weights(full: nn.Module, part: nn.Module) -> nn.Module:
    """Fill `part`, which gives the feature maps of `full`, with its weights; timm writes some dots of names as `_`."""
    named = {name.replace("_", "."): tensor for name, tensor in full.state_dict().items()}
    part.load_state_dict({name: named[name.replace("_", ".")] for name in part.state_dict()})
    return part


def _no_pyramid(backbone: str) -> ModelError:
    return ModelError(
        f"The backbone {backbone!r} has no feature maps of several sizes.",
        "a backbone that shrinks the image step by step, such as tf_efficientnet_lite0, resnet34 or convnext_tiny.",
        'use one of them; plain vision transformers keep one size. For points, head="regression" takes any backbone.',
    )


def _convolution(width: int) -> list[nn.Module]:
    return [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Interpolate maps to (height, width) `size`."""
    return functional.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
