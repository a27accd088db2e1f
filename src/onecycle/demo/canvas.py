"""A street as a camera sees it: shapes given in metres, drawn on a picture and its mask at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

Metres = tuple[float, float, float]  # to the right of the road's middle, above the ground, ahead of the camera


class Canvas:
    """A picture and its mask. Each shape is drawn on both by one call, without smoothed edges, so they agree exactly.

    Args:
        size: (height, width) in pixels.
        codes: The classes; a mask's values are positions in it. The mask starts as the first.
        vanishing: Where lines straight ahead meet, (x, y) in pixels; y is the horizon.
        focal: Focal length in pixels: what is 1 m wide and 1 m away is that many pixels wide.
        eye: Where the camera is: metres to the right of the road's middle, and above the ground.
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
        """Return where `point` is seen, (x, y) in pixels."""
        right, up, ahead = point
        scale = self.focal / ahead
        return self.vanishing[0] + scale * (right - self.eye[0]), self.vanishing[1] + scale * (self.eye[1] - up)

    def polygon(self, corners: Sequence[Metres], colour: ArrayLike, label: str) -> None:
        """Fill what lies between `corners` with a colour and a class."""
        points = [self.project(corner) for corner in corners]
        self._pens[0].polygon(points, fill=_rgb(colour))
        self._pens[1].polygon(points, fill=self.codes.index(label))

    def facing(
        self, across: tuple[float, float], up: tuple[float, float], ahead: float, colour: ArrayLike, label: str
    ) -> None:
        """Fill a rectangle that faces the camera."""
        (left, right), (low, high) = across, up
        corners = [(left, low, ahead), (right, low, ahead), (right, high, ahead), (left, high, ahead)]
        self.polygon(corners, colour, label)

    def along(
        self, right: float, up: tuple[float, float], ahead: tuple[float, float], colour: ArrayLike, label: str
    ) -> None:
        """Fill an upright rectangle that runs along the street."""
        (low, high), (near, far) = up, ahead
        corners = [(right, low, near), (right, low, far), (right, high, far), (right, high, near)]
        self.polygon(corners, colour, label)

    def flat(self, across: tuple[float, float], ahead: tuple[float, float], colour: ArrayLike, label: str) -> None:
        """Fill a rectangle on the ground."""
        self.polygon(_on_the_ground(across, ahead), colour, label)

    def disc(self, middle: Metres, radii: tuple[float, float], colour: ArrayLike, label: str) -> None:
        """Fill an ellipse that faces the camera; `radii` are across and up, in metres."""
        x, y = self.project(middle)
        across, up = (radius * self.focal / middle[2] for radius in radii)
        box = (x - across, y - up, x + across, y + up)
        self._pens[0].ellipse(box, fill=_rgb(colour))
        self._pens[1].ellipse(box, fill=self.codes.index(label))

    def shade(self, across: tuple[float, float], ahead: tuple[float, float], strength: float) -> None:
        """Darken a rectangle on the ground, by `strength` from 0 to 1. The mask stays: light changes no class."""
        shadow = Image.new("L", self.picture.size)
        points = [self.project(corner) for corner in _on_the_ground(across, ahead)]
        ImageDraw.Draw(shadow).polygon(points, fill=round(255 * strength))
        self.picture.paste((0, 0, 0), mask=shadow)


def _on_the_ground(across: tuple[float, float], ahead: tuple[float, float]) -> list[Metres]:
    (left, right), (near, far) = across, ahead
    return [(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)]


def _rgb(colour: ArrayLike) -> tuple[int, int, int]:
    red, green, blue = (min(max(int(value), 0), 255) for value in np.asarray(colour))
    return red, green, blue
