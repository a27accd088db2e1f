"""Draws shapes, given in metres in front of a camera, on a picture and its mask at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

Metres = tuple[float, float, float]  # to the right of the road's centre, above the ground, ahead of the camera


class Canvas:
    """A picture and its mask. Each shape is drawn on both, without antialiasing, so that they agree exactly.

    Args:
        size: (height, width) in pixels.
        codes: The classes; a mask's values are positions in this list. At first, the whole mask is the first class.
        vanishing: Vanishing point of lines straight ahead, (x, y) in pixels; y is the horizon.
        focal: Focal length in pixels: the width in pixels of 1 m at a distance of 1 m.
        eye: Position of the camera: metres to the right of the road's centre, and above the ground.
    """

    def __init__(
        self,
        size: tuple[int, int],
        codes: Sequence[str],
        *,
        vanishing: tuple[float, float],
        focal: float,
        eye: tuple[float, float],
    ) -> None:
        self.size, self.codes = size, codes
        self.vanishing, self.focal, self.eye = vanishing, focal, eye
        self.picture = Image.new("RGB", (size[1], size[0]))
        self.mask = Image.new("L", (size[1], size[0]))
        self._pens = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.mask)

    def project(self, point: Metres) -> tuple[float, float]:
        """Return the position of `point` in the picture, (x, y) in pixels."""
        right, up, ahead = point
        scale = self.focal / ahead
        return self.vanishing[0] + scale * (right - self.eye[0]), self.vanishing[1] + scale * (self.eye[1] - up)

    def draw_polygon(self, corners: Sequence[Metres], colour: ArrayLike, label: str) -> None:
        """Fill a polygon with a colour and a class."""
        points = [self.project(corner) for corner in corners]
        self._pens[0].polygon(points, fill=_rgb(colour))
        self._pens[1].polygon(points, fill=self.codes.index(label))

    def draw_front(
        self, across: tuple[float, float], up: tuple[float, float], ahead: float, colour: ArrayLike, label: str
    ) -> None:
        """Fill an upright rectangle that faces the camera."""
        (left, right), (low, high) = across, up
        corners = [(left, low, ahead), (right, low, ahead), (right, high, ahead), (left, high, ahead)]
        self.draw_polygon(corners, colour, label)

    def draw_side(
        self, right: float, up: tuple[float, float], ahead: tuple[float, float], colour: ArrayLike, label: str
    ) -> None:
        """Fill an upright rectangle parallel to the street."""
        (low, high), (near, far) = up, ahead
        corners = [(right, low, near), (right, low, far), (right, high, far), (right, high, near)]
        self.draw_polygon(corners, colour, label)

    def draw_ground(
        self, across: tuple[float, float], ahead: tuple[float, float], colour: ArrayLike, label: str
    ) -> None:
        """Fill a rectangle on the ground."""
        self.draw_polygon(_ground_corners(across, ahead), colour, label)

    def draw_ellipse(self, centre: Metres, radii: tuple[float, float], colour: ArrayLike, label: str) -> None:
        """Fill an ellipse that faces the camera; `radii` are horizontal and vertical, in metres."""
        x, y = self.project(centre)
        across, up = (radius * self.focal / centre[2] for radius in radii)
        box = (x - across, y - up, x + across, y + up)
        self._pens[0].ellipse(box, fill=_rgb(colour))
        self._pens[1].ellipse(box, fill=self.codes.index(label))

    def draw_shadow(self, across: tuple[float, float], ahead: tuple[float, float], strength: float) -> None:
        """Darken a rectangle on the ground, by `strength` from 0 to 1. The mask is not changed."""
        shadow = Image.new("L", self.picture.size)
        points = [self.project(corner) for corner in _ground_corners(across, ahead)]
        ImageDraw.Draw(shadow).polygon(points, fill=round(255 * strength))
        self.picture.paste((0, 0, 0), mask=shadow)


def _ground_corners(across: tuple[float, float], ahead: tuple[float, float]) -> list[Metres]:
    (left, right), (near, far) = across, ahead
    return [(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)]


def _rgb(colour: ArrayLike) -> tuple[int, int, int]:
    red, green, blue = (min(max(int(value), 0), 255) for value in np.asarray(colour))
    return red, green, blue
