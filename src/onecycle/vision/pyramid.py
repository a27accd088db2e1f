"""Models on feature maps of several sizes ("feature pyramids"): encoder, light decoder, and their common base."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional

from onecycle.errors import ModelError
from onecycle.train.layer_groups import FineTuning
from onecycle.vision.input_sizes import read_at_size
from onecycle.vision.model import VisionModel, checkpoint_backbone
from onecycle.vision.normalize import Normalize
from onecycle.vision.weights import build, create_backbone

DECODER_WIDTH = 96


class LightDecoder(nn.Module):
    """A feature pyramid that stops at a quarter of the image size: all maps are added up, from the deepest on.

    The last two stages of a U-Net, at half and full size, take most of its time and improve little (bench/README.md).

    Args:
        channels: Channels of each map of the encoder, the finest first.
        outputs: Channels of the result.
        width: Channels in between.
        dropout: Of whole channels before the last layer.
    Source: Lin et al. 2016, "Feature pyramid networks", arXiv:1612.03144; added up to one map as in panoptic FPN,
        Kirillov et al. 2019, arXiv:1901.02446.
    """

    def __init__(
        self, channels: Sequence[int], outputs: int, *, width: int = DECODER_WIDTH, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channel, width, 1) for channel in channels)
        self.smooth = nn.Sequential(
            *_convolution(width), *_convolution(width), nn.Dropout2d(dropout), nn.Conv2d(width, outputs, 1)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (batch, outputs, height, width), of the size of the finest map."""
        total: Tensor | None = None
        for lateral, features in zip(reversed(self.lateral), reversed(maps), strict=True):
            current: Tensor = lateral(features)
            total = current if total is None else current + resize_maps(total, current.shape[-2:])
        smoothed: Tensor = self.smooth(total)
        return smoothed


class Encoder(nn.Module):
    """Normalises pixels and returns the backbone's feature maps, the finest first.

    Args:
        network: Returns a list of maps.
        mean: Mean of each colour in the backbone's training images, from 0 to 1.
        std: Standard deviation of each colour in them.
        multiple: Height and width are padded to a multiple of this with copies of the edge.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], multiple: int) -> None:
        super().__init__()
        self.normalize, self.network, self.multiple = Normalize(mean, std), network, multiple

    def checkpoint_activations(self, name: str) -> None:
        """Make the network, timm's `name`, recompute its activations in the backward pass."""
        # segmentation-models-pytorch keeps timm's network as `model`.
        checkpoint_backbone(getattr(self.network, "model", self.network), name)

    def padded_length(self, length: int) -> int:
        """Return a height or width after padding."""
        return length + -length % self.multiple

    def halves(self) -> list[list[str]]:
        """Return the names of the earlier and the later half of the parameters."""
        names = [name for name, _ in self.named_parameters()]
        return [names[: len(names) // 2], names[len(names) // 2 :]]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Return the feature maps of pixels from 0 to 255, (batch, 3, height, width)."""
        height, width = pixels.shape[-2:]
        inputs = self.normalize(pixels)
        padding = (0, self.padded_length(width) - width, 0, self.padded_length(height) - height)
        if any(padding):
            inputs = functional.pad(inputs, padding, "replicate")
        maps: list[Tensor] = read_at_size(self.network, self.network, inputs)
        if str(getattr(self.network, "output_fmt", "NCHW")).endswith("NHWC"):  # of timm's windowed transformers
            maps = [features.permute(0, 3, 1, 2) for features in maps]
        return maps


class PyramidModel(VisionModel):
    """Base of the models whose body is an `Encoder` and whose head uses all its feature maps."""

    # Positions are mostly learned from fewer pixels, in a fraction of the time. With a frozen encoder, whose features
    # contain little about positions, an epoch takes nearly as long and improves far less.
    fine_tuning = FineTuning(epochs=7, frozen_epochs=0, smaller_epochs=1)
    body: Encoder
    config: dict[str, Any]

    def layer_groups(self) -> list[list[str]]:
        """Return two halves of the encoder, and the decoder."""
        halves = [[f"body.{name}" for name in half] for half in self.body.halves()]
        return [*halves, [f"head.{name}" for name, _ in self.head.named_parameters()]]

    def checkpoint_activations(self) -> None:
        self.body.checkpoint_activations(self.config["backbone"])

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the model that `to_config` described, with random weights."""
        if "pretrained" in config:
            raise ModelError(
                f"The model's config says pretrained={config['pretrained']!r}.",
                "a config that names no weights to read.",
                "export the model again.",
            )
        return cls(**{key: value for key, value in config.items() if key != "kind"})


def create_light_pair(
    backbone: str, outputs: int, mean: Sequence[float], std: Sequence[float], pretrained: bool | str | Path
) -> tuple[Encoder, LightDecoder]:
    """Return an encoder of timm's `backbone`, and the light decoder that fits it.

    Raises:
        ModelError: The backbone is unknown, or has no maps of several sizes.
    """
    network = create_encoder(backbone, pretrained)
    channels = network.feature_info.channels()  # type: ignore[union-attr,operator]
    return Encoder(network, mean, std, 1), LightDecoder(channels, outputs)


def create_encoder(backbone: str, pretrained: bool | str | Path) -> nn.Module:
    """Return a timm network that returns its feature maps, from a quarter of the image size on.

    Raises:
        ModelError: The backbone is unknown, or has no maps of several sizes.
    """
    full = create_backbone(backbone, pretrained)
    try:
        network = build(backbone.split(".")[0], features_only=True)
        reductions = network.feature_info.reduction()  # type: ignore[union-attr,operator]
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise _no_pyramid(backbone) from error
    indices = [index for index, reduction in enumerate(reductions) if reduction >= 4]
    if len({reductions[index] for index in indices}) < 3:
        raise _no_pyramid(backbone)
    network = build(backbone.split(".")[0], features_only=True, out_indices=tuple(indices))
    try:
        return copy_weights(full, network)
    except KeyError as error:  # timm wraps it in another way
        raise _no_pyramid(backbone) from error


def copy_weights(source: nn.Module, network: nn.Module) -> nn.Module:
    """Copy the weights of a whole backbone to `network`, which contains a part of it; return `network`."""
    # timm writes some dots in the names of such networks as underscores.
    by_name = {name.replace("_", "."): tensor for name, tensor in source.state_dict().items()}
    network.load_state_dict({name: by_name[name.replace("_", ".")] for name in network.state_dict()})
    return network


def resize_maps(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Interpolate maps, (batch, channels, any height, any width), to (height, width) `size`."""
    return functional.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def _no_pyramid(backbone: str) -> ModelError:
    return ModelError(
        f"The backbone {backbone!r} has no feature maps of several sizes.",
        "a backbone that reduces the image step by step, such as tf_efficientnet_lite0, resnet34 or convnext_tiny.",
        'use one of them; plain vision transformers keep one size. For points, head="regression" accepts any backbone.',
    )


def _convolution(width: int) -> list[nn.Module]:
    return [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
