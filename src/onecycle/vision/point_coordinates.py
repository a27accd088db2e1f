"""From coordinates in original images to those in the images that a model sees, and back: for arrays and tensors.

In an original image, whole numbers are the centres of pixels, as in OpenCV and matplotlib. In an image that the model
sees, coordinates run from -1 to 1, x to the right and y down.
"""

from __future__ import annotations

from typing import Any


def to_original(points: Any, geometries: Any) -> Any:
    """Return points in pixels of their originals.

    Args:
        points: x and y from -1 to 1, an array or a tensor, (batch, points, 2).
        geometries: `ImageGeometry` of each image as a row, of the same kind, (batch, 6).
    Example:
        >>> import numpy as np
        >>> to_original(np.zeros((1, 1, 2)), np.array([[100.0, 300.0, 100.0, 0.0, 200.0, 100.0]])).tolist()
        [[[149.5, 49.5]]]
    """
    corner, size = _visible_boxes(geometries)
    return corner + (points + 1) / 2 * size - 0.5


def to_resized(points: Any, geometries: Any) -> Any:
    """Return points of originals in coordinates of the images that show them: the inverse of `to_original`."""
    corner, size = _visible_boxes(geometries)
    return (points + 0.5 - corner) / size * 2 - 1


def _visible_boxes(geometries: Any) -> tuple[Any, Any]:
    """Return left and top, and width and height, of the box of its original that each image shows, (batch, 1, 2)."""
    corner = geometries[:, None, 2:4]
    return corner, geometries[:, None, 4:6] - corner
