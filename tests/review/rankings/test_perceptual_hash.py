"""Hashes against a discrete cosine transform of another library, and what they do not see."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from onecycle.review.rankings.perceptual_hash import perceptual_hash


def scenes(count: int = 6) -> Tensor:
    """Smooth pictures, as photos are."""
    noise = torch.rand(count, 3, 7, 7, generator=torch.Generator().manual_seed(0)) * 255
    return nn.functional.interpolate(noise, size=(96, 96), mode="bicubic").clamp(0, 255)


def test_it_is_the_median_of_the_lowest_frequencies_as_defined() -> None:
    image = scenes(1)
    grey = (image[0] * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0).double()
    small = grey.view(32, 3, 32, 3).mean((1, 3)).numpy()
    place = np.arange(32)
    own = np.array([
        [
            (small * np.outer(np.cos(np.pi * u * (2 * place + 1) / 64), np.cos(np.pi * v * (2 * place + 1) / 64))).sum()
            for v in range(8)
        ]
        for u in range(8)
    ])  # fmt: skip
    ordered = np.sort(own.ravel())
    assert perceptual_hash(image)[0].tolist() == (own.ravel() > ordered[31]).tolist()


def test_copies_differ_in_a_few_bits_and_other_pictures_in_many() -> None:
    images = scenes()
    hashes = perceptual_hash(images)
    changed = {
        "darker": images * 0.6,
        "half size": nn.functional.interpolate(images, scale_factor=0.5, mode="area"),
        "noisy": images + torch.randn(images.shape, generator=torch.Generator().manual_seed(1)) * 8,
    }
    for copies in changed.values():
        assert int((perceptual_hash(copies) != hashes).sum(1).max()) <= 6
    apart = (hashes[:, None] != hashes).sum(2)
    assert int(apart[~torch.eye(len(images), dtype=torch.bool)].min()) > 14
