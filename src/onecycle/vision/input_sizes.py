"""Which image sizes a backbone of timm can read, told where it fails at one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from torch import Tensor, nn

from onecycle.errors import ModelError

OutputT = TypeVar("OutputT")
# What torch says of tensors whose shapes do not fit; of timm's models most assert their size.
_OF_SHAPES = ("size of tensor", "is invalid for input of size", "greater than actual input size", "shapes cannot be")


def read_at_size(read: Callable[[Tensor], OutputT], backbone: nn.Module, inputs: Tensor) -> OutputT:
    """Return what a backbone puts out for images, or say which sizes it reads.

    Args:
        read: Calls the backbone.
        backbone: Of timm, or timm's wrapper that returns feature maps.
        inputs: The images, (batch, 3, height, width).
    Raises:
        ModelError: It cannot read images of this size.
    """
    try:
        return read(inputs)
    except (AssertionError, RuntimeError) as error:
        if (refused := wrong_size(error, backbone, inputs.shape[-2:])) is not None:
            raise refused from error
        raise


def wrong_size(error: Exception, backbone: nn.Module, size: Sequence[int]) -> ModelError | None:
    """Return the error for images of a size that a backbone cannot read; None where that is not why it failed.

    Args:
        error: What the backbone raised.
        backbone: Of timm, or timm's wrapper that returns feature maps.
        size: Height and width of the images in pixels.
    """
    config: Any = getattr(backbone, "pretrained_cfg", None) or {}
    if not isinstance(error, AssertionError) and not any(said in str(error) for said in _OF_SHAPES):
        return None
    if "input_size" not in config or tuple(size) == (usual := tuple(config["input_size"][1:])):
        return None
    height, width = size
    steps = _patch_size(backbone)
    expected = f"images of {usual[0]}x{usual[1]} pixels, for which it was made"
    if steps is not None:
        expected = f"a height that is divisible by {steps[0]}, and a width by {steps[1]}"
        usual = tuple(max(round(side / step), 1) * step for side, step in zip(size, steps, strict=True))
    square = str(usual[0]) if usual[0] == usual[1] else f"({usual[0]}, {usual[1]})"
    return ModelError(
        f"The backbone {config.get('architecture', '')!r} cannot read images of {height}x{width} pixels: "
        f"{str(error).splitlines()[0] if str(error) else type(error).__name__}",
        f"{expected}.",
        f"use transform({square}), in the shell --sizes {usual[0]}x{usual[1]}; or a backbone of convolutions, such as "
        "tf_efficientnet_lite0, which reads any size.",
    )


def _patch_size(backbone: nn.Module) -> tuple[int, int] | None:
    """Return height and width of the patches of a backbone that reads any number of them; None of another one."""
    patches: Any = getattr(backbone, "patch_embed", None)
    if not getattr(backbone, "dynamic_img_size", False) or getattr(patches, "patch_size", None) is None:
        return None
    height, width = patches.patch_size
    return int(height), int(width)
