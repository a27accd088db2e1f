"""Draws ellipsoids in front of a camera; nearer ones hide farther ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(eq=False)
class Scene:
    """A picture in which ellipsoids are drawn, in any order.

    Axes are the camera's: x to the right, y down, z away from it.

    Attributes:
        pixels: The background at first, then the picture: 0 to 255, (height, width, 3).
        camera: Intrinsic matrix, one focal length for both directions, (3, 3).
        light: Direction to the light, (3,).
    """

    pixels: Array
    camera: Array
    light: Array
    _depth: Array = field(init=False)  # of the visible point in each pixel, in mm

    def __post_init__(self) -> None:
        self._depth = np.full(self.pixels.shape[:2], np.inf)

    def draw(self, centre: Array, axes: Array, radii: Array, colour: ArrayLike) -> None:
        """Draw an ellipsoid where it is nearer than what is drawn there.

        Args:
            centre: In mm, (3,).
            axes: The ellipsoid's axes as columns, (3, 3).
            radii: Along these axes, in mm, (3,).
            colour: Red, green and blue in full light, 0 to 255.
        """
        focal, centre_x, centre_y = self.camera[0, 0], self.camera[0, 2], self.camera[1, 2]
        box = self._visible_box(centre, np.sqrt(((axes * radii) ** 2).sum(1)))
        rows, columns = np.mgrid[box]  # whole numbers are the centres of pixels
        rays = np.stack([(columns - centre_x) / focal, (rows - centre_y) / focal, np.ones(rows.shape)], axis=-1)
        # With lengths measured in radii, the ellipsoid is a sphere of radius 1, and a ray meets it where
        # |depth * ray - sphere_centre| = 1; of the two solutions, the nearer one is visible.
        to_sphere = axes.T / radii[:, None]
        ray, sphere_centre = rays @ to_sphere.T, to_sphere @ centre
        square, product = (ray**2).sum(-1), ray @ sphere_centre
        discriminant = product**2 - square * (sphere_centre @ sphere_centre - 1)
        depth = (product - np.sqrt(np.maximum(discriminant, 0))) / square  # in mm along z, since z of a ray is 1
        visible = (discriminant > 0) & (depth < self._depth[box])
        normals = (depth[visible, None] * ray[visible] - sphere_centre) @ to_sphere
        facing = normals @ self.light / (np.linalg.norm(normals, axis=-1) * np.linalg.norm(self.light))
        self._depth[box][visible] = depth[visible]
        self.pixels[box][visible] = np.asarray(colour) * (0.5 + 0.55 * np.maximum(facing, 0))[:, None]

    def _visible_box(self, centre: Array, extent: Array) -> tuple[slice, slice]:
        """Return the rows and columns that show a box with `extent` mm on each side of its centre."""
        corners = centre + extent * [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
        projected = (corners / corners[:, 2:]) @ self.camera.T
        height, width = self._depth.shape
        left, top = np.clip(np.floor(projected.min(0)[:2]), 0, (width, height)).astype(int).tolist()
        right, bottom = np.clip(np.ceil(projected.max(0)[:2]) + 1, 0, (width, height)).astype(int).tolist()
        return slice(top, bottom), slice(left, right)
