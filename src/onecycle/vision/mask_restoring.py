"""From a model's probabilities for a resized image to the classes of the original image's pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onecycle.vision.batch_transforms import sample_pixels
from onecycle.vision.decode import ImageGeometry


def restore_classes(probabilities: Tensor, geometry: ImageGeometry) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the most probable class of each pixel of the original image.

    Args:
        probabilities: Of the resized image, float, (classes, height, width).
        geometry: Which part of the original the resized image shows.
    Returns:
        Class numbers, uint8, and whether the resized image showed the pixel at all; both (height, width) of the
        original.
    """
    probabilities, shown = _without_padding(probabilities, geometry)
    height, width = round(shown.height), round(shown.width)
    matrix = _original_to_resized(shown).to(probabilities.device)
    best = torch.full((height, width), -1.0, device=probabilities.device)
    classes = torch.zeros((height, width), dtype=torch.uint8, device=probabilities.device)
    for number, probability in enumerate(probabilities):  # one class at a time: all at once may be gigabytes
        enlarged = sample_pixels(probability[None, None], matrix, (height, width))[0, 0]
        better = enlarged > best
        best, classes = torch.where(better, enlarged, best), classes.masked_fill(better, number)
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    visible = ((y >= shown.top) & (y <= shown.bottom))[:, None] & ((x >= shown.left) & (x <= shown.right))
    return classes.cpu().numpy(), visible


def _without_padding(probabilities: Tensor, geometry: ImageGeometry) -> tuple[Tensor, ImageGeometry]:
    """Cut off padding, where predictions have no meaning, so that they are not interpolated into the edges."""
    rows, columns = probabilities.shape[-2:]
    row_height, column_width = (geometry.bottom - geometry.top) / rows, (geometry.right - geometry.left) / columns
    top, left = max(round(-geometry.top / row_height), 0), max(round(-geometry.left / column_width), 0)
    bottom = max(round((geometry.bottom - geometry.height) / row_height), 0)
    right = max(round((geometry.right - geometry.width) / column_width), 0)
    shown = ImageGeometry(
        geometry.height, geometry.width, max(geometry.left, 0), max(geometry.top, 0),
        min(geometry.right, geometry.width), min(geometry.bottom, geometry.height),
    )  # fmt: skip
    return probabilities[:, top : rows - bottom, left : columns - right], shown


def _original_to_resized(geometry: ImageGeometry) -> Tensor:
    """Return the matrix from positions in the original, -1 to 1, to positions in the resized image, (1, 3, 3)."""
    box_width, box_height = geometry.right - geometry.left, geometry.bottom - geometry.top
    x_scale, y_scale = geometry.width / box_width, geometry.height / box_height
    x_offset = (geometry.width - 2 * geometry.left) / box_width - 1
    y_offset = (geometry.height - 2 * geometry.top) / box_height - 1
    return torch.tensor([[[x_scale, 0, x_offset], [0, y_scale, y_offset], [0, 0, 1]]], dtype=torch.float32)
