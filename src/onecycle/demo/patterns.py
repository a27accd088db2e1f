"""Generates images of patterns, one folder for each class."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from onecycle.demo.texture import to_image


def make_patterns(folder: str | Path, *, each: int = 80, pixels: int = 128, seed: int = 1) -> Path:
    """Draw checks, dots, rings and stripes in random colours and angles, one folder for each class.

    Args:
        folder: Where to write.
        each: Number of images of each class.
        pixels: Height and width.
        seed: The same seed draws the same images.
    Example:
        >>> from tempfile import mkdtemp
        >>> folder = make_patterns(Path(mkdtemp()), each=2, pixels=16)
        >>> sorted(path.name for path in folder.iterdir())
        ['checks', 'dots', 'rings', 'stripes']
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    for name in ("checks", "dots", "rings", "stripes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            draw_pattern(name, pixels, rng).save(folder / name / f"{name}_{number:03d}.jpg", quality=90)
    return folder


def draw_pattern(name: str, pixels: int, rng: np.random.Generator) -> Image.Image:
    """Draw one pattern: "checks", "dots", "rings" or "stripes"."""
    y, x = np.mgrid[0:pixels, 0:pixels] / pixels
    angle, count = rng.uniform(0, math.pi), rng.uniform(5, 9)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    waves = {
        "stripes": np.sin(2 * math.pi * count * u),
        "checks": np.sin(2 * math.pi * count * u) * np.sin(2 * math.pi * count * v),
        "rings": np.sin(2 * math.pi * count * np.hypot(x - rng.uniform(0.2, 0.8), y - rng.uniform(0.2, 0.8))),
        "dots": np.cos(2 * math.pi * count * u) + np.cos(2 * math.pi * count * v) - 0.9,
    }
    ink, paper = rng.uniform(0, 140, 3), rng.uniform(115, 255, 3)
    cover = 1 / (1 + np.exp(-waves[name][..., None] * 12))
    noise = rng.normal(0, 14, (pixels, pixels, 1))
    return to_image(ink * cover + paper * (1 - cover) + noise)
