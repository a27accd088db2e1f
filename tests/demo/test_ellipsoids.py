"""Ellipsoids in front of a camera, compared with projections calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from onecycle.demo.ellipsoids import Scene

CAMERA = np.array([[100.0, 0, 60], [0, 100, 50], [0, 0, 1]])
RED, GREEN = (200, 0, 0), (0, 200, 0)


@pytest.fixture
def scene() -> Scene:
    return Scene(np.zeros((100, 120, 3)), CAMERA, np.array([0.0, 0.0, -1.0]))


def draw_ball(scene: Scene, centre: list[float], radii: list[float], colour: tuple[int, int, int] = RED) -> None:
    scene.draw(np.array(centre), np.eye(3), np.array(radii), colour)


def test_a_sphere_is_as_wide_as_its_tangents(scene: Scene) -> None:
    draw_ball(scene, [0, 0, 500], [100, 100, 100])
    visible = scene.pixels[..., 0] > 0
    radius = 100 * 100 / (500**2 - 100**2) ** 0.5  # focal length * radius / distance of the tangent points
    assert visible.sum() == pytest.approx(np.pi * radius**2, rel=0.03)
    assert np.argwhere(visible).mean(0) == pytest.approx((50, 60))


def test_radii_are_along_the_ellipsoids_axes(scene: Scene) -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    scene.draw(np.array([0.0, 0, 500]), quarter, np.array([150.0, 50, 50]), RED)
    visible = scene.pixels[..., 0] > 0
    assert visible.any(1).sum() == pytest.approx(2 * 100 * 150 / 500, abs=2)
    assert visible.any(0).sum() == pytest.approx(2 * 100 * 50 / 500, abs=2)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_nearer_ellipsoids_hide_farther_ones_in_any_order(scene: Scene, order: tuple[int, int]) -> None:
    both = [([0.0, 0.0, 500.0], [50.0] * 3, RED), ([0.0, 0.0, 800.0], [160.0] * 3, GREEN)]
    for number in order:
        draw_ball(scene, *both[number])
    assert scene.pixels[50, 60].tolist()[1] == 0
    assert scene.pixels[50, 75].tolist()[0] == 0
    assert scene.pixels[50, 60, 0] > 0 < scene.pixels[50, 75, 1]


def test_surfaces_facing_the_light_are_brightest(scene: Scene) -> None:
    draw_ball(scene, [0, 0, 500], [100, 100, 100])
    assert scene.pixels[50, 60, 0] > scene.pixels[50, 70, 0] > scene.pixels[50, 78, 0] > 0


def test_ellipsoids_outside_the_picture_are_not_drawn(scene: Scene) -> None:
    draw_ball(scene, [2000, 0, 500], [100, 100, 100])
    assert not scene.pixels.any()
