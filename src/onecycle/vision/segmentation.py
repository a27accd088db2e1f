"""Models that give a class for every pixel: a timm backbone as encoder, and a decoder on its feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onecycle.errors import ModelError, suggest
from onecycle.vision.depthwise import quicken
from onecycle.vision.pyramid import Encoder, LightDecoder, PyramidModel, copy_weights, create_encoder, resized
from onecycle.vision.weights import create_backbone

LIGHT = "light"
# Names of today's decoders, and their classes in segmentation-models-pytorch.
DECODERS = {
    "unet": "Unet", "unet++": "UnetPlusPlus", "fpn": "FPN", "deeplabv3+": "DeepLabV3Plus", "segformer": "Segformer",
    "linknet": "Linknet", "manet": "MAnet", "pspnet": "PSPNet", "upernet": "UPerNet",
}  # fmt: skip


class SegmentationModel(PyramidModel):
    """An encoder and a decoder that gives every pixel's classes.

    Batch-norm statistics of the encoder are trained with it: unlike for photos of single things, segmentation gained by
    that (bench/README.md).

    Args:
        backbone: Name in timm.
        outputs: Classes.
        decoder: "light", or one of `DECODERS`.
        mean: Of the images that the backbone was trained on, a colour each, from 0 to 1.
        std: Their standard deviation.
        pretrained: As for `create_backbone`.
    """

    frozen_epochs = 0  # with the encoder frozen, an epoch costs nearly as much and teaches far less

    def __init__(
        self,
        backbone: str,
        outputs: int,
        *,
        decoder: str = LIGHT,
        mean: Sequence[float],
        std: Sequence[float],
        pretrained: bool | str | Path = False,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "kind": "segmentation_model", "backbone": backbone, "outputs": outputs, "decoder": decoder,
            "mean": list(mean), "std": list(std),
        }  # fmt: skip
        if decoder == LIGHT:
            network = create_encoder(backbone, pretrained)
            channels = network.feature_info.channels()  # type: ignore[union-attr,operator]
            self.body = Encoder(network, mean, std, 1)
            self.head = LightDecoder(channels, outputs)
        else:
            encoder, self.head = _classical(decoder, backbone, outputs, pretrained)
            self.body = Encoder(encoder, mean, std, 32)
        self.to(memory_format=torch.channels_last)
        quicken(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of every pixel before the softmax, (batch, classes, height, width)."""
        height, width = inputs.shape[-2:]
        outputs = self.head(self.body(inputs))
        return resized(outputs, (self.body.filled(height), self.body.filled(width)))[..., :height, :width]


def _classical(decoder: str, backbone: str, outputs: int, pretrained: bool | str | Path) -> tuple[nn.Module, nn.Module]:
    if decoder not in DECODERS:
        known = [LIGHT, *DECODERS]
        raise ModelError(
            f"Unknown decoder {decoder!r}.", f"one of: {', '.join(known)}.", "check it." + suggest(decoder, known)
        )
    import segmentation_models_pytorch as smp

    full = create_backbone(backbone, pretrained)
    try:
        model = getattr(smp, DECODERS[decoder])(f"tu-{backbone}", encoder_weights=None, classes=outputs)
    except (RuntimeError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise ModelError(
            f"The decoder {decoder!r} does not fit the backbone {backbone!r}: {error}",
            "a backbone with feature maps of several sizes.",
            "use a convolutional backbone, such as tf_efficientnet_lite0 or resnet34.",
        ) from error
    copy_weights(full, model.encoder.model)
    return model.encoder, nn.Sequential(model.decoder, model.segmentation_head)
