"""Generates street scenes with a class for every pixel, as seen from a car."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from onecycle.demo.canvas import Canvas
from onecycle.demo.street_objects import (
    WALLS,
    draw_bonnet,
    draw_car,
    draw_hedge,
    draw_house,
    draw_lamp_post,
    draw_pedestrian,
    draw_tree,
    mix_colours,
)
from onecycle.demo.texture import smooth_noise, to_image

CODES = ("Sky", "Building", "Road", "Pavement", "Tree", "Car", "Pedestrian", "Void")

# Strength of each class's texture in grey levels: leaves are rough, paint is smooth.
GRAIN = {
    "Sky": 4, "Building": 18, "Road": 18, "Pavement": 15, "Tree": 65, "Car": 8, "Pedestrian": 15, "Void": 8,
}  # fmt: skip
END = 110.0  # distance of the houses at the end of the street, in metres

DrawCall = tuple[float, Callable[[], None]]  # metres ahead, and the function that draws the object


def make_camvid(
    folder: str | Path, *, train: int = 60, valid: int = 16, size: tuple[int, int] = (120, 160), seed: int = 0
) -> Path:
    """Draw street scenes in the layout of CamVid as fast.ai publishes it.

    Writes `images/<stem>.png`, `labels/<stem>_P.png` (each value is a line of codes.txt, counted from 0), `codes.txt`
    (one class a line) and `valid.txt` (file names of the validation images).

    Args:
        folder: Where to write.
        train: Number of training images.
        valid: Number of validation images.
        size: (height, width) in pixels.
        seed: The same seed draws the same images.
    Source: Brostow, Fauqueur and Cipolla 2009, "Semantic object classes in video: a high-definition ground truth
        database", for the original data.
    Example:
        >>> from tempfile import mkdtemp
        >>> folder = make_camvid(Path(mkdtemp()), train=2, valid=1, size=(60, 80))
        >>> sorted(path.name for path in folder.iterdir())
        ['codes.txt', 'images', 'labels', 'valid.txt']
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    stems = [f"street_{number:04d}" for number in range(train + valid)]
    for stem in stems:
        picture, mask = draw_street(size, rng)
        picture.save(folder / "images" / f"{stem}.png")
        mask.save(folder / "labels" / f"{stem}_P.png")
    (folder / "codes.txt").write_text("".join(f"{code}\n" for code in CODES), encoding="utf-8")
    (folder / "valid.txt").write_text("".join(f"{stem}.png\n" for stem in stems[train:]), encoding="utf-8")
    return folder


def draw_street(size: tuple[int, int], rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Draw one scene of `size` (height, width); return the picture, RGB, and its mask, one byte a pixel."""
    kerb = rng.uniform(3.2, 4.8)  # metres from the centre of the road
    wall = kerb + rng.uniform(2.0, 4.5)
    canvas = _new_canvas(size, kerb, rng)
    _draw_sky(canvas, rng)
    _draw_pavement_and_road(canvas, kerb, rng)
    sunny = float(rng.choice([-1.0, 1.0]))
    if rng.random() < 0.6:  # shadow of the houses on the street
        reach = sunny * rng.uniform(-0.9, 0.6) * kerb
        canvas.draw_shadow((-sunny * 3 * wall, reach), (1, END), rng.uniform(0.25, 0.5))
    _draw_far_end(canvas, wall, rng)
    draw_calls = _objects_on_road(canvas, kerb, rng)
    for side in (-1.0, 1.0):
        light = 1.0 if side == sunny else rng.uniform(0.55, 0.85)
        _draw_houses(canvas, side * wall, light, rng)  # everything else in the street is in front of them
        draw_calls += _objects_on_pavement(canvas, side, kerb, wall, rng)
    for _, draw in sorted(draw_calls, key=lambda call: -call[0]):  # near objects hide far ones
        draw()
    if rng.random() < 0.5:
        draw_bonnet(canvas, rng)
    return _add_camera_effects(canvas, rng), canvas.mask


def _new_canvas(size: tuple[int, int], kerb: float, rng: np.random.Generator) -> Canvas:
    """Return a canvas with a random camera above a road of half width `kerb`."""
    height, width = size
    return Canvas(
        size,
        CODES,
        vanishing=(width * rng.uniform(0.38, 0.62), height * rng.uniform(0.42, 0.54)),
        focal=width * rng.uniform(0.65, 0.85),
        eye=(rng.uniform(-0.5, 0.5) * kerb, 1.4),
    )


def _draw_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the picture with a gradient, brightest at the horizon, and clouds; the mask is "Sky" at first."""
    zenith, haze = mix_colours((80, 125, 180), (160, 190, 220), rng), mix_colours((195, 210, 220), (238, 240, 242), rng)
    if rng.random() < 0.35:  # overcast, as grey as a road
        zenith, haze = (
            mix_colours((120, 122, 126), (165, 168, 172), rng),
            mix_colours((180, 182, 184), (225, 226, 228), rng),
        )
    down = np.clip(np.arange(canvas.size[0]) / canvas.vanishing[1], 0, 1)[:, None, None]
    bumps = smooth_noise(canvas.size, 6, rng) + 0.4 * smooth_noise(canvas.size, 14, rng)
    clouds = np.clip(bumps - rng.uniform(0.6, 1.1), 0, 1)[..., None]
    canvas.picture.paste(to_image(zenith * (1 - down) + haze * down + 110 * clouds))


def _draw_pavement_and_road(canvas: Canvas, kerb: float, rng: np.random.Generator) -> None:
    """Draw pavement up to the horizon, the road on it, and its markings."""
    stone = mix_colours((105, 105, 106), (178, 172, 160), rng)
    canvas.draw_ground((-90, 90), (1, END), stone, "Pavement")
    for joint in np.geomspace(2.5, 40, 22):
        canvas.draw_ground((-90, 90), (joint, joint * 1.012), stone * 0.9, "Pavement")
    canvas.draw_ground((-kerb - 0.25, kerb + 0.25), (1, END), stone * rng.uniform(1.05, 1.25), "Pavement")
    tar, paint = np.full(3, rng.uniform(62, 128)) + rng.normal(0, 2, 3), np.full(3, rng.uniform(175, 225))
    canvas.draw_ground((-kerb, kerb), (1, END), tar, "Road")
    dash = rng.uniform(2, 4)
    for near in np.arange(rng.uniform(2, 6), 60, 2.2 * dash):
        canvas.draw_ground((-0.08, 0.08), (near, near + dash), paint, "Road")
    if rng.random() < 0.4:  # no parking
        for line in (-kerb + 0.3, kerb - 0.3):
            canvas.draw_ground((line - 0.06, line + 0.06), (1, END), paint * (1, 0.85, 0.4), "Road")


def _draw_far_end(canvas: Canvas, wall: float, rng: np.random.Generator) -> None:
    """Draw small, hazy houses and trees at the end of the street."""
    left = -3 * wall
    while left < 3 * wall:
        right = left + rng.uniform(6, 14)
        canvas.draw_front(
            (left, right), (0, rng.uniform(5, 13)), END, np.array(rng.choice(WALLS)) * 0.5 + 85, "Building"
        )
        left = right
    for _ in range(int(rng.integers(2, 8))):
        radius = rng.uniform(2, 4.5)
        centre = (rng.uniform(-2.5, 2.5) * wall, rng.uniform(2, 5), END)
        canvas.draw_ellipse(centre, (radius, radius), mix_colours((70, 88, 62), (105, 118, 90), rng), "Tree")


def _draw_houses(canvas: Canvas, right: float, light: float, rng: np.random.Generator) -> None:
    """Draw houses, and hedges in between, along one side of the street."""
    corners = rng.uniform(1.5, 6) + np.cumsum(rng.uniform(7, 16, 10))
    for near, far in reversed(list(pairwise([2.0, *corners.tolist()]))):
        draw = draw_house if rng.random() < 0.8 else draw_hedge
        draw(canvas, right, (near, far), light, rng)


def _objects_on_pavement(
    canvas: Canvas, side: float, kerb: float, wall: float, rng: np.random.Generator
) -> list[DrawCall]:
    """Return trees, lamp posts and people on the pavement, and parked cars next to it."""
    draw_calls: list[DrawCall] = []
    if rng.random() < 0.55:
        for ahead in np.arange(rng.uniform(6, 18), 80, rng.uniform(9, 22)):
            draw_calls.append((ahead, partial(draw_tree, canvas, side * (kerb + 0.8), ahead, rng)))
    if rng.random() < 0.6:
        for ahead in np.arange(rng.uniform(6, 14), 60, rng.uniform(16, 25)):
            draw_calls.append((ahead, partial(draw_lamp_post, canvas, side * (kerb + 0.35), ahead, rng)))
    if rng.random() < 0.55:
        for ahead in np.arange(rng.uniform(3.5, 12), 60, 6.5):
            if rng.random() < 0.75:
                draw_calls.append((ahead, partial(draw_car, canvas, side * (kerb - 1.1), ahead, rng)))
    for ahead in rng.uniform(4, 20, rng.poisson(3)):
        right = side * rng.uniform(kerb + 0.4, wall - 0.3)
        draw_calls.append((ahead, partial(draw_pedestrian, canvas, right, ahead, rng)))
    return draw_calls


def _objects_on_road(canvas: Canvas, kerb: float, rng: np.random.Generator) -> list[DrawCall]:
    """Return cars on both lanes, and sometimes a person who crosses the road."""
    draw_calls: list[DrawCall] = []
    for lane in (-0.5, 0.5):
        for ahead in np.cumsum(rng.uniform(7, 30, rng.poisson(2.5))):
            draw_calls.append((ahead, partial(draw_car, canvas, lane * (kerb - 1.0), ahead, rng)))
    if rng.random() < 0.4:
        ahead = rng.uniform(6, 16)
        draw_calls.append((ahead, partial(draw_pedestrian, canvas, rng.uniform(-0.8, 0.8) * kerb, ahead, rng)))
    return draw_calls


def _add_camera_effects(canvas: Canvas, rng: np.random.Generator) -> Image.Image:
    """Return the picture with each class's texture, random light, blur and sensor noise."""
    height, width = canvas.size
    strength = np.array([GRAIN[code] for code in CODES])[np.asarray(canvas.mask)]
    grain = (smooth_noise(canvas.size, height // 2, rng) + smooth_noise(canvas.size, height // 7, rng)) / 2 - 0.5
    pixels = np.asarray(canvas.picture, dtype=np.float64) + (strength * grain)[..., None]
    warmth, contrast, brightness = rng.uniform(-0.07, 0.07), rng.uniform(0.85, 1.15), rng.uniform(0.75, 1.15)
    pixels = ((pixels - 110) * contrast + 110) * brightness * (1 + warmth, 1, 1 - warmth)
    pixels = np.asarray(to_image(pixels).filter(ImageFilter.GaussianBlur(0.4)), dtype=np.float64)
    return to_image(pixels + rng.normal(0, rng.uniform(1.5, 5), (height, width, 3)))
