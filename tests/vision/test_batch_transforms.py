"""Interpolation and colour products on small images, calculated by hand."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from onecycle.vision.batch_transforms import change_colour, reflect, sample_pixels
from vision.augmentation_images import noise


def test_four_quarter_turns_in_one_product_change_nothing() -> None:
    image = noise(1, 12, 12).float()
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    product = torch.linalg.matrix_power(quarter, 4)[None]
    torch.testing.assert_close(sample_pixels(image, product, (12, 12)), image, atol=0.01, rtol=0)


def test_pixels_outside_are_reflected() -> None:
    image = torch.arange(1.0, 5).view(1, 1, 1, 4)
    shifted = torch.eye(3)[None].clone()
    shifted[0, 0, 2] = 1.0  # by half the width
    assert sample_pixels(image, shifted, (1, 4)).flatten().tolist() == pytest.approx([3, 4, 4, 3])


def test_colours_are_clamped_to_0_and_255() -> None:
    grey = torch.full((1, 3, 2, 2), 200.0)
    assert (change_colour(grey, 2 * torch.eye(4)[None]) == 255).all()
    assert (change_colour(grey, -torch.eye(4)[None]) == 0).all()


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(1, 1), (5, 9), (16, 16)])
def test_positions_reflected_by_hand_show_what_torchs_reflection_shows(size: tuple[int, int], mode: str) -> None:
    """In float64: where a position is rounded, so is the pixel."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 2, *size, generator=generator, dtype=torch.float64)
    grid = (torch.rand(3, 20, 30, 2, generator=generator, dtype=torch.float64) - 0.5) * 9
    options: Any = {"mode": mode, "align_corners": False}
    expected = functional.grid_sample(images, grid, padding_mode="reflection", **options)
    found = functional.grid_sample(images, reflect(grid, size), padding_mode="zeros", **options)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
