"""Smooth noise, and images from arrays."""

import numpy as np
import pytest

from onecycle.demo.texture import smooth_noise, to_image


def test_noise_has_the_size_and_stays_between_zero_and_one() -> None:
    noise = smooth_noise((30, 50), 4, np.random.default_rng(0))
    assert noise.shape == (30, 50)
    assert 0 <= noise.min() < 0.3 < 0.7 < noise.max() <= 1


def test_fewer_cells_make_smoother_noise() -> None:
    coarse, fine = (smooth_noise((64, 64), cells, np.random.default_rng(0)) for cells in (3, 32))
    assert np.abs(np.diff(coarse)).mean() < np.abs(np.diff(fine)).mean() / 4


@pytest.mark.parametrize(("shape", "mode"), [((1, 3), "L"), ((1, 1, 3), "RGB")])
def test_values_are_clipped_to_a_byte(shape: tuple[int, ...], mode: str) -> None:
    image = to_image(np.array([-5.0, 100.9, 300.0]).reshape(shape))
    assert image.mode == mode
    assert np.asarray(image).ravel().tolist() == [0, 100, 255]
