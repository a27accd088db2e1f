"""Tiny photos to make in a test, and the tiny backbone that learns from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

# timm's own models for tests: real architectures of a few hundred thousand weights.
TINY = "test_efficientnet"
COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 48), seed: int = 0) -> Path:
    """Write a noisy image of one colour, (height, width) in pixels, in the format of the path's suffix."""
    noise = np.random.default_rng(seed).normal(0, 12, (*size, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(path)
    return path
