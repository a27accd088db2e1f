"""Ellipsoids in front of a camera, hiding each other as they do in the world."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(eq=False)
class View:
    """A picture into which ellipsoids are drawn, in any order.

    Axes are the camera's: x to the right, y down, z away from it.

    Attributes:
        pixels: What is behind, and then the picture: 0 to 255, (height, width, 3).
        camera: Intrinsic matrix, one focal length for both directions, (3, 3).
        light: Direction to the light, (3,).
    """

    pixels: Array
    camera: Array
    light: Array
    _depth: Array = field(init=False)  # of what is seen in each pixel, in mm

    def __post_init__(self) -> None:
        self._depth = np.full(self.pixels.shape[:2], np.inf)

    def draw(self, middle: Array, axes: Array, radii: Array, colour: ArrayLike) -> None:
        """Draw an ellipsoid where it is nearer than what is there.

        Args:
            middle: In mm, (3,).
            axes: Its own axes, as columns, (3, 3).
            radii: Along its own axes, in mm, (3,).
            colour: Red, green and blue in full light, 0 to 255.
        """
        focal, across, down = self.camera[0, 0], self.camera[0, 2], self.camera[1, 2]
        box = self._box(middle, np.sqrt(((axes * radii) ** 2).sum(1)))
        rows, columns = np.mgrid[box]  # whole numbers are the middles of pixels
        rays = np.stack([(columns - across) / focal, (rows - down) / focal, np.ones(rows.shape)], axis=-1)
        # Where lengths are measured in radii, the ellipsoid is a sphere of radius 1, and a ray meets it where
        # |away * ray - heart| = 1; of the two roots, the nearer one is seen.
        to_sphere = axes.T / radii[:, None]
        ray, heart = rays @ to_sphere.T, to_sphere @ middle
        square, product = (ray**2).sum(-1), ray @ heart
        under_root = product**2 - square * (heart @ heart - 1)
        away = (product - np.sqrt(np.maximum(under_root, 0))) / square  # in mm along z, since a ray's own z is 1
        seen = (under_root > 0) & (away < self._depth[box])
        normals = (away[seen, None] * ray[seen] - heart) @ to_sphere
        facing = normals @ self.light / (np.linalg.norm(normals, axis=-1) * np.linalg.norm(self.light))
        self._depth[box][seen] = away[seen]
        self.pixels[box][seen] = np.asarray(colour) * (0.5 + 0.55 * np.maximum(facing, 0))[:, None]

    def _box(self, middle: Array, extent: Array) -> tuple[slice, slice]:
        """Return the rows and columns in which a box, from `middle` `extent` each way, is seen."""
        corners = middle + extent * [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
        seen_at = (corners / corners[:, 2:]) @ self.camera.T
        height, width = self._depth.shape
        left, top = np.clip(np.floor(seen_at.min(0)[:2]), 0, (width, height)).astype(int).tolist()
        right, bottom = np.clip(np.ceil(seen_at.max(0)[:2]) + 1, 0, (width, height)).astype(int).tolist()
        return slice(top, bottom), slice(left, right)
