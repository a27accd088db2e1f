"""Models for images: their common base, and a backbone with a head for one prediction per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from timm.models import group_parameters
from torch import Tensor, nn

from onecycle.errors import ModelError
from onecycle.inference.microbatches import in_microbatches
from onecycle.registry import register
from onecycle.train.heads import make_head
from onecycle.train.layer_groups import GroupedModel
from onecycle.vision.depthwise import use_fast_depthwise_gradients
from onecycle.vision.input_sizes import read_at_size
from onecycle.vision.normalize import Normalize
from onecycle.vision.weights import create_backbone

# 16 images of 128 pixels, 5 of 224: larger tensors leave a CPU's cache between layers. On two cores, relative to 32
# images at once, at 128 and 224 pixels: 0.7 and 0.5 of the time with EfficientNet-Lite0, 1.0 and 0.9 with ResNet-18,
# 1.2 and 0.6 with ConvNeXt-Atto, and 0.9 (at 224) with ViT-Tiny. Training steps gain as well (bench/steps.py).
MICROBATCH_PIXELS = 2**18


class VisionModel(GroupedModel):
    """Base of the models for images: pixels from 0 to 255, (batch, 3, height, width), to outputs.

    Args:
        body: Turns pixels into features.
        head: Turns features into outputs.
        config: What `to_config` returns: everything needed to build the model again, except its weights.
    """

    def __init__(self, body: nn.Module, head: nn.Module, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.body, self.head = body, head
        self.to(memory_format=torch.channels_last)
        use_fast_depthwise_gradients(self)

    def microbatch_size(self, inputs: Tensor) -> int | None:
        """Return how many images at a time are fastest on the inputs' device; None for all at once.

        Args:
            inputs: Pixels, (batch, 3, height, width).
        """
        if inputs.device.type != "cpu":
            return None
        return max(1, MICROBATCH_PIXELS // (inputs.shape[-2] * inputs.shape[-1]))

    def to_config(self) -> dict[str, Any]:
        return dict(self.config)


@register("model", "image_model")
class ImageModel(VisionModel):
    """A timm backbone that returns one vector for each image, and a head on it.

    Args:
        backbone: The backbone, created with `num_classes=0`.
        outputs: Number of outputs of the head.
        mean: Mean of each colour in the backbone's training images, from 0 to 1.
        std: Standard deviation of each colour in them.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        dropout: Before the last layer; half of it before the hidden layer.
        name: The backbone's name in timm, for bundles.
    Example:
        >>> backbone = create_backbone("resnet18", pretrained=False, num_classes=0)
        >>> model = ImageModel(backbone, 10, mean=[0.5] * 3, std=[0.2] * 3, name="resnet18").eval()
        >>> model(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 10])
    """

    kind: ClassVar[str] = "image_model"

    def __init__(
        self,
        backbone: nn.Module,
        outputs: int,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        hidden: int = 512,
        dropout: float = 0.5,
        name: str,
    ) -> None:
        width = int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]
        config = {
            "kind": self.kind, "backbone": name, "outputs": outputs, "mean": list(mean), "std": list(std),
            "hidden": hidden, "dropout": dropout,
        }  # fmt: skip
        body = nn.Sequential(Normalize(mean, std), backbone)
        super().__init__(body, make_head(width, outputs, hidden, dropout), config)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs for pixels, (batch, outputs)."""
        backbone: nn.Module = self.body[1]  # type: ignore[index]
        outputs: Tensor = self.head(read_at_size(self._features, backbone, inputs))
        return outputs

    def _features(self, inputs: Tensor) -> Tensor:
        features: Tensor = in_microbatches(self.body, inputs, self.microbatch_size(inputs))
        return features

    def layer_groups(self) -> list[list[str]]:
        """Return two halves of the backbone, divided between its own blocks, and the head."""
        backbone = self.body[1]  # type: ignore[index]
        blocks = list(group_parameters(backbone, backbone.group_matcher(coarse=True)).values())
        half = max(len(blocks) // 2, 1)
        early, late = (
            [f"body.1.{name}" for block in some_blocks for name in block]
            for some_blocks in (blocks[:half], blocks[half:])
        )
        return [group for group in (early, late, [f"head.{name}" for name, _ in self.head.named_parameters()]) if group]

    def checkpoint_activations(self) -> None:
        checkpoint_backbone(self.body[1], str(self.config["backbone"]))  # type: ignore[index]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImageModel:
        """Build the model that `to_config` described, with random weights."""
        options = {key: value for key, value in config.items() if key not in ("kind", "backbone")}
        backbone = create_backbone(config["backbone"], pretrained=False, num_classes=0)
        return cls(backbone, name=config["backbone"], **options)


def checkpoint_backbone(backbone: nn.Module, name: str) -> None:
    """Make a timm backbone recompute its activations in the backward pass, which saves memory.

    Raises:
        ModelError: It does not support that.
    """
    try:
        backbone.set_grad_checkpointing(True)  # type: ignore[operator]
    except (AttributeError, AssertionError, TypeError) as error:
        raise ModelError(
            f"The backbone {name!r} does not support recomputing its activations.",
            "a backbone of timm with set_grad_checkpointing().",
            "leave checkpoint_activations out; accumulate= and to_bf16() save memory too.",
        ) from error
