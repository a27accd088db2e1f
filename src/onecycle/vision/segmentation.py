"""Models that predict a class for every pixel: a timm backbone as encoder, and a decoder on its feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from onecycle.errors import ModelError, suggest
from onecycle.registry import register
from onecycle.vision.pyramid import Encoder, PyramidModel, copy_weights, create_light_pair, resize_maps
from onecycle.vision.weights import create_backbone

LIGHT_DECODER = "light"
# Names of the other decoders, and their classes in segmentation-models-pytorch.
DECODERS = {
    "unet": "Unet", "unet++": "UnetPlusPlus", "fpn": "FPN", "deeplabv3+": "DeepLabV3Plus", "segformer": "Segformer",
    "linknet": "Linknet", "manet": "MAnet", "pspnet": "PSPNet", "upernet": "UPerNet",
}  # fmt: skip


@register("model", "segmentation_model")
class SegmentationModel(PyramidModel):
    """An encoder, and a decoder that predicts the class of every pixel.

    Batch-norm statistics of the encoder are trained too: unlike classification, segmentation gained from that
    (bench/README.md).

    Args:
        backbone: Name in timm.
        outputs: Number of classes.
        decoder: "light", or one of `DECODERS`.
        mean: Mean of each colour in the backbone's training images, from 0 to 1.
        std: Standard deviation of each colour in them.
        pretrained: As for `create_backbone`.
    Raises:
        ModelError: Backbone or decoder are unknown, or do not fit each other.
    """

    kind: ClassVar[str] = "segmentation_model"

    def __init__(
        self,
        backbone: str,
        outputs: int,
        *,
        decoder: str = LIGHT_DECODER,
        mean: Sequence[float],
        std: Sequence[float],
        pretrained: bool | str | Path = False,
    ) -> None:
        config = {
            "kind": self.kind, "backbone": backbone, "outputs": outputs, "decoder": decoder, "mean": list(mean),
            "std": list(std),
        }  # fmt: skip
        if decoder == LIGHT_DECODER:
            super().__init__(*create_light_pair(backbone, outputs, mean, std, pretrained), config)
        else:
            network, head = _create_smp_pair(decoder, backbone, outputs, pretrained)
            super().__init__(Encoder(network, mean, std, 32), head, config)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits of every pixel, (batch, classes, height, width)."""
        height, width = inputs.shape[-2:]
        outputs = self.head(self.body(inputs))
        padded = resize_maps(outputs, (self.body.padded_length(height), self.body.padded_length(width)))
        return padded[..., :height, :width]


def _create_smp_pair(
    decoder: str, backbone: str, outputs: int, pretrained: bool | str | Path
) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder of segmentation-models-pytorch, the encoder with timm's weights."""
    if decoder not in DECODERS:
        known = [LIGHT_DECODER, *DECODERS]
        raise ModelError(
            f"Unknown decoder {decoder!r}.", f"one of: {', '.join(known)}.",
            "check decoder=." + suggest(decoder, known),
        )  # fmt: skip
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
