"""The canvas, compared with projections calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from onecycle.demo.canvas import Canvas

CODES = ("sky", "wall", "ball", "road")


@pytest.fixture
def canvas() -> Canvas:
    return Canvas((100, 200), CODES, vanishing=(100, 40), focal=50, eye=(0.5, 1.5))


def test_points_are_projected_by_a_pinhole_camera(canvas: Canvas) -> None:
    assert canvas.project((0.5, 1.5, 7)) == (100, 40)  # straight ahead, at the height of the camera
    assert canvas.project((2.5, 0, 5)) == pytest.approx((100 + 50 * 2 / 5, 40 + 50 * 1.5 / 5))


def test_every_shape_covers_the_same_pixels_in_picture_and_mask(canvas: Canvas) -> None:
    colours = {"wall": (200, 10, 10), "ball": (10, 200, 10), "road": (10, 10, 200)}
    canvas.draw_ground((-3, 3.3), (1.5, 40), colours["road"], "road")
    canvas.draw_side(-3, (0, 4.4), (3, 11), colours["wall"], "wall")
    canvas.draw_front((1, 2.7), (0.2, 2.1), 6, colours["wall"], "wall")
    canvas.draw_ellipse((0.3, 1.1, 4), (0.7, 0.9), colours["ball"], "ball")
    pixels, mask = np.asarray(canvas.picture), np.asarray(canvas.mask)
    for value, code in enumerate(CODES):
        covered = (pixels == colours.get(code, (0, 0, 0))).all(-1)
        assert covered.sum() > 100
        assert (covered == (mask == value)).all()


def test_shadows_darken_the_picture_and_do_not_change_the_mask(canvas: Canvas) -> None:
    canvas.draw_ground((-9, 9), (1.2, 40), (200, 100, 50), "road")
    mask = np.array(canvas.mask)
    canvas.draw_shadow((-9, 0.5), (1.2, 40), 0.5)
    pixels = np.asarray(canvas.picture)
    assert pixels[90, 20] == pytest.approx((100, 50, 25), abs=1)
    assert pixels[90, 180].tolist() == [200, 100, 50]
    assert (np.asarray(canvas.mask) == mask).all()


def test_colours_are_clipped_to_a_byte(canvas: Canvas) -> None:
    canvas.draw_front((-9, 9), (-9, 9), 1, np.array([300.0, -20.0, 12.9]), "wall")
    assert np.asarray(canvas.picture)[50, 50].tolist() == [255, 0, 12]
