"""Labels with positions in the image, such as masks and points: they are cropped, scaled and augmented with it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.vision.decode import ImageGeometry


class SpatialTarget(Target):
    """A target whose labels have positions in the image."""

    @abstractmethod
    def crop_and_scale(self, label: Any, geometry: ImageGeometry, size: tuple[int, int]) -> Tensor:
        """Return a label of the original image, encoded in the coordinates of the image that was read.

        Args:
            label: As in the column of labels.
            geometry: Which part of the original the read image shows.
            size: (height, width) of the read image.
        """

    @abstractmethod
    def transform(self, encoded: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
        """Return encoded labels, (batch, ...), in the coordinates of the augmented images.

        Args:
            encoded: Labels in the coordinates of the read images.
            matrices: (batch, 3, 3), from positions in the augmented images to positions in the read ones.
            size: (height, width) of the augmented images.
        """

    @abstractmethod
    def check_mirroring(self) -> str | None:
        """Return why labels would be wrong in a mirrored image, or None where they stay right."""


def visible_boxes(geometries: Tensor) -> Tensor:
    """Return which box of its original each image shows.

    Args:
        geometries: `ImageGeometry` of each image as a row, (batch, 6).
    Returns:
        (left, top, width, height) in pixels of the original, (batch, 4).
    Example:
        >>> visible_boxes(torch.tensor([ImageGeometry(100, 300, 100, 0, 200, 100)])).tolist()
        [[100, 0, 100, 100]]
    """
    return torch.cat([geometries[:, 2:4], geometries[:, 4:6] - geometries[:, 2:4]], dim=1)
