"""Perceptual hashes: copies of a picture, smaller, darker or compressed anew, differ in a few bits of 64."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SIDE, FREQUENCIES = 32, 8
BITS = FREQUENCIES**2
_LUMA = (0.299, 0.587, 0.114)


def perceptual_hash(images: Tensor) -> Tensor:
    """Return the pHash of each image, bool, (batch, 64): which of its lowest frequencies are above their median.

    Args:
        images: RGB, float, (batch, 3, height, width).
    Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions".
    Example:
        >>> images = torch.rand(2, 3, 64, 64) * 255
        >>> darker = perceptual_hash(images * 0.6) != perceptual_hash(images)
        >>> bool((darker.sum(1) <= 2).all())
        True
    """
    grey = (images * torch.tensor(_LUMA, device=images.device)[:, None, None]).sum(1, keepdim=True)
    small = nn.functional.interpolate(grey, size=(SIDE, SIDE), mode="area")[:, 0]
    cosines = _cosines().to(images.device)
    frequencies = (cosines @ small @ cosines.T).flatten(1)
    return frequencies > frequencies.median(1, keepdim=True).values


def _cosines() -> Tensor:
    """Return the lowest rows of the discrete cosine transform (DCT-II), (frequencies, side)."""
    angles = torch.arange(FREQUENCIES)[:, None] * (2 * torch.arange(SIDE) + 1) * (math.pi / (2 * SIDE))
    return angles.cos()
