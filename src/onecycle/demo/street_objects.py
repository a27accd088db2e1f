"""Draws the objects of a street: houses, hedges, trees, lamp posts, cars and pedestrians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onecycle.demo.canvas import Canvas

# Some walls are as grey as roads, so that only their position distinguishes them.
WALLS = ((120, 118, 115), (150, 146, 140), (92, 90, 90), (140, 92, 72), (118, 78, 62), (196, 184, 160), (170, 150, 120))
PAINTS = ((225, 225, 222), (170, 173, 178), (95, 98, 104), (38, 38, 42), (150, 30, 30), (40, 62, 120), (50, 84, 66))
TYRE = (24, 24, 26)


def draw_house(
    canvas: Canvas, right: float, ahead: tuple[float, float], light: float, rng: np.random.Generator
) -> None:
    """Draw a house with its front along the street; `light` is the brightness of that side, 0 to 1."""
    near, far = ahead
    floors, storey = int(rng.integers(2, 5)), rng.uniform(2.8, 3.4)
    top, shop = floors * storey + 0.6, rng.random() < 0.4
    wall = (np.array(rng.choice(WALLS)) + rng.normal(0, 4, 3)) * rng.uniform(0.8, 1.2)
    back = right + float(np.sign(right)) * 14
    canvas.draw_front((right, back), (0, top), near, wall * 0.8, "Building")  # visible where the next house is lower
    canvas.draw_side(right, (0, top), ahead, wall * light, "Building")
    canvas.draw_side(right, (top - 0.5, top), ahead, wall * light * 0.75, "Building")
    if near > 55:
        return  # windows would be smaller than pixels
    bays = max(int((far - near) / rng.uniform(2.4, 3.4)), 1)
    bay, glass = (far - near) / bays, mix_colours((35, 42, 52), (95, 110, 125), rng) * light
    for floor in range(floors):
        large = shop and floor == 0
        sill, margin = (0.4, 0.06 * bay) if large else (1.0, 0.26 * bay)
        for number in range(bays):
            window = (near + number * bay + margin, near + (number + 1) * bay - margin)
            height = (floor * storey + sill, (floor + 1) * storey - 0.5)
            canvas.draw_side(right, height, window, glass * rng.uniform(0.7, 1.4), "Building")
    if shop:
        sign = mix_colours((40, 40, 45), rng.choice(PAINTS), rng) * light
        canvas.draw_side(right, (storey - 0.45, storey), ahead, sign, "Building")


def draw_hedge(
    canvas: Canvas, right: float, ahead: tuple[float, float], light: float, rng: np.random.Generator
) -> None:
    """Draw bushes in the place of a house."""
    near, far = ahead
    leaves = mix_colours((40, 58, 28), (70, 92, 48), rng) * light
    for row in np.linspace(far, near, 6):
        for _ in range(4):
            radius, behind = rng.uniform(0.7, 1.7), rng.uniform(0.8, 5)
            centre = (right + float(np.sign(right)) * behind, rng.uniform(0.5, 2.0), row)
            canvas.draw_ellipse(centre, (radius * 1.2, radius), leaves * rng.uniform(0.75, 1.25), "Tree")
    canvas.draw_side(right, (0, 1.1), ahead, leaves * 0.9, "Tree")


def draw_tree(canvas: Canvas, right: float, ahead: float, rng: np.random.Generator) -> None:
    """Draw a trunk and a crown of many discs, the upper ones brighter."""
    height, spread = rng.uniform(5, 8.5), rng.uniform(1.2, 2.2)
    green = rng.random() < 0.75
    leaves = mix_colours((45, 70, 25), (95, 112, 55), rng) if green else mix_colours((110, 75, 30), (150, 105, 55), rng)
    bark = mix_colours((52, 42, 32), (90, 76, 62), rng)
    canvas.draw_front((right - 0.16, right + 0.16), (0, height * 0.7), ahead, bark, "Tree")
    for _ in range(26):
        away, turn, radius = spread * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.75)
        across, up = np.cos(turn) * away, 1.15 * np.sin(turn) * away
        light = 0.95 + 0.3 * up / spread + rng.normal(0, 0.1)
        canvas.draw_ellipse(
            (right + across, height - 0.9 * spread + up, ahead), (radius, radius), leaves * light, "Tree"
        )


def draw_lamp_post(canvas: Canvas, right: float, ahead: float, rng: np.random.Generator) -> None:
    """Draw a thin post with an arm over the road; it belongs to no class, so its class is "Void"."""
    height, grey = rng.uniform(5, 7), np.full(3, rng.uniform(40, 130))
    half = max(0.05, 0.5 * ahead / canvas.focal)  # at least one pixel wide
    canvas.draw_front((right - half, right + half), (0, height), ahead, grey, "Void")
    canvas.draw_front(
        (min(right, right * 0.75), max(right, right * 0.75)), (height, height + half), ahead, grey, "Void"
    )


@dataclass(frozen=True)
class _Car:
    """Where a car is, in metres, and its colours."""

    right: float
    rear: float
    front: float
    half_width: float
    waist: float
    roof: float
    paint: NDArray[np.float64]
    glass: NDArray[np.float64]

    @property
    def roof_range(self) -> tuple[float, float]:
        """Distances at which the roof starts and ends."""
        return self.rear + 0.5, self.front - 1.2


def draw_car(canvas: Canvas, right: float, ahead: float, rng: np.random.Generator) -> None:
    """Draw a car; `right` is its centre, `ahead` its nearer end. Cars on the left drive towards the camera."""
    paint = np.array(rng.choice(PAINTS)) * rng.uniform(0.8, 1.1)
    glass = np.array([44, 50, 58]) * rng.uniform(0.8, 1.5)
    half, waist, roof = rng.uniform(0.8, 0.92), rng.uniform(0.85, 1.0), rng.uniform(1.4, 1.75)
    car = _Car(right, ahead, ahead + rng.uniform(3.6, 4.6), half, waist, roof, paint, glass)
    canvas.draw_shadow((right - half - 0.2, right + half + 0.2), (ahead - 0.25, car.front), 0.55)
    _draw_car_side(canvas, car)
    _draw_car_rear(canvas, car)


def _draw_car_side(canvas: Canvas, car: _Car) -> None:
    """Draw the long side that is visible from the camera."""
    visible_side = 1.0 if car.right < canvas.eye[0] else -1.0
    flank = car.right + visible_side * car.half_width
    cabin = flank - visible_side * 0.12  # the roof is narrower
    rear, front = car.roof_range
    canvas.draw_side(flank, (0.25, car.waist), (car.rear, car.front), car.paint * 0.75, "Car")
    pillars = [
        (flank, car.waist, car.rear), (flank, car.waist, car.front - 0.6), (cabin, car.roof, front),
        (cabin, car.roof, rear),
    ]  # fmt: skip
    canvas.draw_polygon(pillars, car.paint * 0.7, "Car")
    pane = [
        (flank, car.waist, car.rear + 0.6), (flank, car.waist, car.front - 1.1), (cabin, car.roof - 0.1, front),
        (cabin, car.roof - 0.1, rear + 0.3),
    ]  # fmt: skip
    canvas.draw_polygon(pane, car.glass, "Car")
    for axle in (car.rear + 0.75, car.front - 0.8):
        tyre = [(flank, 0.3 + 0.3 * np.sin(turn), axle + 0.3 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 9)]
        canvas.draw_polygon(tyre, TYRE, "Car")


def _draw_car_rear(canvas: Canvas, car: _Car) -> None:
    """Draw the end that faces the camera."""
    left, right, ahead = car.right - car.half_width, car.right + car.half_width, car.rear
    for wheel in (left + 0.14, right - 0.14):
        canvas.draw_front((wheel - 0.12, wheel + 0.12), (0, 0.4), ahead, TYRE, "Car")
    roof_start, narrow = car.roof_range[0], 0.12
    for inset, low, high, colour in (
        (0.0, car.waist, car.roof, car.paint * 0.95),
        (0.13, car.waist + 0.06, car.roof - 0.1, car.glass * 1.1),
    ):
        window = [
            (left + inset, low, ahead), (right - inset, low, ahead), (right - inset - narrow, high, roof_start),
            (left + inset + narrow, high, roof_start),
        ]  # fmt: skip
        canvas.draw_polygon(window, colour, "Car")
    canvas.draw_front((left, right), (0.25, car.waist), ahead, car.paint, "Car")
    canvas.draw_front((left, right), (0.25, 0.4), ahead, car.paint * 0.5, "Car")
    for lamp in (left + 0.16, right - 0.16):
        bulb = (235, 230, 205) if car.right < 0 else (190, 30, 25)
        canvas.draw_front((lamp - 0.12, lamp + 0.12), (car.waist - 0.3, car.waist - 0.12), ahead, bulb, "Car")
    canvas.draw_front((car.right - 0.24, car.right + 0.24), (0.42, 0.54), ahead, (225, 215, 150), "Car")


def draw_pedestrian(canvas: Canvas, right: float, ahead: float, rng: np.random.Generator) -> None:
    """Draw a person who stands or walks."""
    tall, stride = rng.uniform(1.55, 1.9), rng.uniform(0.02, 0.2)
    coat, trousers = np.array(rng.choice(PAINTS)) * rng.uniform(0.5, 1.1), mix_colours((20, 22, 28), (95, 92, 100), rng)
    skin, hair = mix_colours((90, 60, 45), (225, 180, 150), rng), mix_colours((20, 15, 12), (120, 95, 65), rng)
    hip, neck = 0.48 * tall, 0.84 * tall
    canvas.draw_shadow((right - 0.3, right + 0.3), (ahead - 0.2, ahead + 0.2), 0.4)
    limbs = [(foot, 0.07, 0.0, 0.1 * np.sign(foot), hip, trousers) for foot in (-stride, stride)]
    limbs += [(hand, 0.05, hip, 0.6 * hand, neck, coat * 0.8) for hand in (-0.3, 0.3)]
    limbs += [(0.0, 0.18, hip - 0.08, 0.0, neck, coat)]
    for low, half, bottom, high, top, colour in limbs:
        corners = [
            (right + low - half, bottom, ahead), (right + low + half, bottom, ahead),
            (right + high + half, top, ahead), (right + high - half, top, ahead),
        ]  # fmt: skip
        canvas.draw_polygon(corners, colour, "Pedestrian")
    canvas.draw_ellipse((right, tall - 0.12, ahead), (0.11, 0.14), hair, "Pedestrian")
    canvas.draw_ellipse((right, tall - 0.15, ahead), (0.09, 0.11), skin, "Pedestrian")


def draw_bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw the bonnet of the camera's own car at the bottom edge, as "Void"."""
    height, width = canvas.size
    paint = np.array(rng.choice(PAINTS)) * 0.7
    pixel = 1 / canvas.focal  # in metres, 1 m ahead
    centre = canvas.eye[0] + (width / 2 - canvas.vanishing[0]) * pixel
    bottom = canvas.eye[1] + (canvas.vanishing[1] - height) * pixel
    across, high = 0.62 * width * pixel, rng.uniform(0.05, 0.11) * height * pixel
    for fraction, light in ((1.0, 1.0), (0.75, 1.18), (0.4, 1.35)):
        canvas.draw_ellipse((centre, bottom, 1.0), (across, high * fraction), paint * light, "Void")


def mix_colours(one: ArrayLike, other: ArrayLike, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random colour between two colours."""
    weight = rng.random()
    return weight * np.asarray(one, dtype=np.float64) + (1 - weight) * np.asarray(other, dtype=np.float64)
