"""What answers that lie in the image have in common: they are read, cut, turned and led back together with it."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.vision.decode import Frame


@runtime_checkable
class SpatialTarget(Target, Protocol):
    """A target whose labels have a place in the image, such as masks and points."""

    def place(self, label: Any, frame: Frame, size: tuple[int, int]) -> Tensor:
        """Return a label of the original as it lies in a read image.

        Args:
            label: As it is kept in the column of labels.
            frame: What the read image shows of the original.
            size: (height, width) of the read image.
        """

    def follow(self, placed: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
        """Return labels, (batch, ...), after the images have been changed.

        Args:
            placed: Labels as they lie in the read images.
            matrices: (batch, 3, 3), from the changed images' coordinates to those of the read ones, as in `augment`.
            size: (height, width) of the changed images.
        """

    def check_mirroring(self) -> str | None:
        """Return why labels would be wrong in a mirrored image, or None where they are not."""


def shown(frames: Tensor) -> Tensor:
    """Return frames, (batch, 6), as (left, top, width, height) of their boxes in pixels of the original, (batch, 4)."""
    return torch.cat([frames[:, 2:4], frames[:, 4:6] - frames[:, 2:4]], dim=1)
