"""Ellipsoids before a camera, against projections done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from onecycle.demo.balls import View

CAMERA = np.array([[100.0, 0, 60], [0, 100, 50], [0, 0, 1]])
RED, GREEN = (200, 0, 0), (0, 200, 0)


@pytest.fixture
def view() -> View:
    return View(np.zeros((100, 120, 3)), CAMERA, np.array([0.0, 0.0, -1.0]))


def ball(view: View, middle: list[float], radii: list[float], colour: tuple[int, int, int] = RED) -> None:
    view.draw(np.array(middle), np.eye(3), np.array(radii), colour)


def test_a_sphere_is_as_wide_as_its_tangents(view: View) -> None:
    ball(view, [0, 0, 500], [100, 100, 100])
    seen = view.pixels[..., 0] > 0
    radius = 100 * 100 / (500**2 - 100**2) ** 0.5  # focal length * radius / distance to where the rays touch
    assert seen.sum() == pytest.approx(np.pi * radius**2, rel=0.03)
    assert np.argwhere(seen).mean(0) == pytest.approx((50, 60))


def test_radii_are_along_its_own_axes(view: View) -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    view.draw(np.array([0.0, 0, 500]), quarter, np.array([150.0, 50, 50]), RED)
    seen = view.pixels[..., 0] > 0
    assert seen.any(1).sum() == pytest.approx(2 * 100 * 150 / 500, abs=2)
    assert seen.any(0).sum() == pytest.approx(2 * 100 * 50 / 500, abs=2)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_hides_the_farther_in_any_order(view: View, order: tuple[int, int]) -> None:
    both = [([0.0, 0.0, 500.0], [50.0] * 3, RED), ([0.0, 0.0, 800.0], [160.0] * 3, GREEN)]
    for number in order:
        ball(view, *both[number])
    assert view.pixels[50, 60].tolist()[1] == 0
    assert view.pixels[50, 75].tolist()[0] == 0
    assert view.pixels[50, 60, 0] > 0 < view.pixels[50, 75, 1]


def test_what_faces_the_light_is_brightest(view: View) -> None:
    ball(view, [0, 0, 500], [100, 100, 100])
    assert view.pixels[50, 60, 0] > view.pixels[50, 70, 0] > view.pixels[50, 78, 0] > 0


def test_what_is_beside_the_picture_is_not_drawn(view: View) -> None:
    ball(view, [2000, 0, 500], [100, 100, 100])
    assert not view.pixels.any()
