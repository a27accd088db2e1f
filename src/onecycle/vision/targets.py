"""Labels with positions in the image, such as masks and points: they are cropped, scaled and augmented with it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

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
