"""Smooth noise, and images from arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def smooth_noise(size: tuple[int, int], cells: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return noise from 0 to 1, of `size` (height, width), with about `cells` bumps along each side."""
    small = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
    return np.asarray(small.resize((size[1], size[0]), Image.Resampling.BICUBIC), dtype=np.float64) / 255


def to_image(values: NDArray[np.float64]) -> Image.Image:
    """Return an image of `values`, (height, width) or (height, width, 3), clipped to 0 to 255."""
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
