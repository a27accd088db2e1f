"""Objects in a street: each is drawn in its own class, at its own position."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onecycle.demo import street_objects
from onecycle.demo.canvas import Canvas
from onecycle.demo.street_objects import draw_bonnet, draw_house, draw_pedestrian, mix_colours
from onecycle.demo.streets import CODES

RANGE = (8.0, 16.0)
OBJECTS: dict[str, tuple[Callable[..., None], tuple[Any, ...], str]] = {
    "house": (street_objects.draw_house, (5.0, RANGE, 0.8), "Building"),
    "hedge": (street_objects.draw_hedge, (5.0, RANGE, 0.8), "Tree"),
    "tree": (street_objects.draw_tree, (3.0, 10.0), "Tree"),
    "lamp post": (street_objects.draw_lamp_post, (3.0, 10.0), "Void"),
    "car": (street_objects.draw_car, (2.0, 10.0), "Car"),
    "pedestrian": (street_objects.draw_pedestrian, (2.0, 10.0), "Pedestrian"),
}


def new_canvas() -> Canvas:
    return Canvas((120, 160), CODES, vanishing=(80, 55), focal=120, eye=(0.0, 1.4))


def covered(canvas: Canvas, code: str) -> np.ndarray:
    return np.asarray(canvas.mask) == CODES.index(code)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_drawn_in_its_class_alone_and_to_the_right_of_the_camera(name: str) -> None:
    draw, arguments, code = OBJECTS[name]
    canvas = new_canvas()
    draw(canvas, *arguments, np.random.default_rng(0))
    assert set(np.unique(canvas.mask)) == {0, CODES.index(code)}
    columns = np.nonzero(covered(canvas, code))[1]
    assert columns.size > 20
    assert columns.mean() > 80


@pytest.mark.parametrize("name", ["tree", "car", "pedestrian"])
def test_farther_objects_are_smaller(name: str) -> None:
    draw, (right, _), code = OBJECTS[name]
    sizes = []
    for ahead in (8.0, 24.0):
        canvas = new_canvas()
        draw(canvas, right, ahead, np.random.default_rng(0))
        sizes.append(covered(canvas, code).sum())
    assert sizes[0] > 2 * sizes[1]


def test_a_pedestrian_is_as_tall_as_the_camera_projects_it() -> None:
    canvas = new_canvas()
    draw_pedestrian(canvas, 0.0, 6.0, np.random.default_rng(0))
    height = covered(canvas, "Pedestrian").any(1).sum() * 6 / 120  # in metres
    assert 1.5 < height < 2.0


def test_distant_houses_have_no_windows() -> None:
    near, far = new_canvas(), new_canvas()
    draw_house(near, 5.0, (8.0, 16.0), 1.0, np.random.default_rng(0))
    draw_house(far, 5.0, (60.0, 70.0), 1.0, np.random.default_rng(0))
    assert len(near.picture.getcolors()) > len(far.picture.getcolors())


def test_the_bonnet_is_at_the_bottom() -> None:
    canvas = new_canvas()
    draw_bonnet(canvas, np.random.default_rng(0))
    rows = np.nonzero(covered(canvas, "Void"))[0]
    assert rows.min() > 90
    assert rows.max() == 119


def test_mixed_colours_are_between_the_two() -> None:
    colours = [mix_colours((0, 100, 50), (100, 200, 50), np.random.default_rng(seed)) for seed in range(20)]
    assert all(0 <= red <= 100 and green == pytest.approx(red + 100) and blue == 50 for red, green, blue in colours)
    assert len({float(colour[0]) for colour in colours}) == 20
