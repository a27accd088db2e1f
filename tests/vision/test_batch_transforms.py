"""Interpolation and colour products on small images, calculated by hand."""

import pytest
import torch

from onecycle.vision.batch_transforms import change_colour, sample_pixels
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
