"""A backbone that gives one vector an image, and a head on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.models import group_parameters
from torch import Tensor, nn

from onecycle.errors import ModelError
from onecycle.train.groups import GroupedModel
from onecycle.train.heads import make_head
from onecycle.train.pieces import in_pieces
from onecycle.vision.depthwise import quicken
from onecycle.vision.weights import create_backbone


class Normalize(nn.Module):
    """The model's first layer: pixels from 0 to 255, uint8 or float, to what the backbone was trained on.

    Args:
        mean: Of each colour, from 0 to 1.
        std: Of each colour.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1) * 255)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return float, of the shape of `pixels`, (batch, 3, height, width)."""
        return (pixels - self.mean) / self.std


class ImageModel(GroupedModel):
    """A timm backbone that gives one vector an image, and a head on it.

    Args:
        backbone: The backbone, made with `num_classes=0`.
        outputs: Numbers the head gives.
        mean: Of the images that the backbone was trained on, a colour each, from 0 to 1.
        std: Their standard deviation.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        dropout: Before the last layer; half of it before the hidden one.
        name: The backbone's name in timm, for bundles.
    """

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
        super().__init__()
        self.config = {
            "kind": "image_model", "backbone": name, "outputs": outputs, "mean": list(mean), "std": list(std),
            "hidden": hidden, "dropout": dropout,
        }  # fmt: skip
        self.body = nn.Sequential(Normalize(mean, std), backbone)
        width = int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]
        self.head = make_head(width, outputs, hidden, dropout)
        self.to(memory_format=torch.channels_last)
        quicken(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the head's outputs for pixels, (batch, 3, height, width)."""
        outputs: Tensor = self.head(in_pieces(self.body, inputs))
        return outputs

    def layer_groups(self) -> list[list[str]]:
        """Two halves of the backbone, by its own blocks, and the head."""
        backbone = self.body[1]  # type: ignore[index]
        blocks = list(group_parameters(backbone, backbone.group_matcher(coarse=True)).values())
        half = max(len(blocks) // 2, 1)
        early, late = (
            [f"body.1.{name}" for block in part for name in block] for part in (blocks[:half], blocks[half:])
        )
        return [group for group in (early, late, [f"head.{name}" for name, _ in self.head.named_parameters()]) if group]

    def checkpoint_activations(self) -> None:
        """Let the backbone recompute its activations."""
        checkpoint_backbone(self.body[1], str(self.config["backbone"]))  # type: ignore[index]

    def to_config(self) -> dict[str, Any]:
        """Everything but the weights."""
        return dict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImageModel:
        """Build the model that `to_config` described, with random weights."""
        parts = {key: value for key, value in config.items() if key not in ("kind", "backbone")}
        backbone = create_backbone(config["backbone"], pretrained=False, num_classes=0)
        return cls(backbone, name=config["backbone"], **parts)


def checkpoint_backbone(backbone: nn.Module, name: str) -> None:
    """Let a timm backbone recompute its activations in the backward pass.

    Raises:
        ModelError: It cannot.
    """
    try:
        backbone.set_grad_checkpointing(True)  # type: ignore[operator]
    except (AttributeError, AssertionError, TypeError) as error:
        raise ModelError(
            f"The backbone {name!r} cannot recompute its activations.",
            "a backbone of timm with set_grad_checkpointing().",
            "leave checkpoint_activations out; accumulate= and to_bf16() save memory too.",
        ) from error
