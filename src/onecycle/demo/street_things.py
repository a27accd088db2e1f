"""What stands in a street: houses, hedges, trees, lamp posts, cars and people, in metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onecycle.demo.canvas import Canvas

# Some walls are as grey as roads: what they are can only be told from where they are.
WALLS = ((120, 118, 115), (150, 146, 140), (92, 90, 90), (140, 92, 72), (118, 78, 62), (196, 184, 160), (170, 150, 120))
PAINTS = ((225, 225, 222), (170, 173, 178), (95, 98, 104), (38, 38, 42), (150, 30, 30), (40, 62, 120), (50, 84, 66))


def draw_house(
    canvas: Canvas, right: float, ahead: tuple[float, float], light: float, rng: np.random.Generator
) -> None:
    """Draw a house whose front runs along the street; `light` is how much of it falls on that side, 0 to 1."""
    near, far = ahead
    floors, storey = int(rng.integers(2, 5)), rng.uniform(2.8, 3.4)
    top, shop = floors * storey + 0.6, rng.random() < 0.4
    wall = (np.array(rng.choice(WALLS)) + rng.normal(0, 4, 3)) * rng.uniform(0.8, 1.2)
    back = right + float(np.sign(right)) * 14
    canvas.facing((right, back), (0, top), near, wall * 0.8, "Building")  # seen where the next house is lower
    canvas.along(right, (0, top), ahead, wall * light, "Building")
    canvas.along(right, (top - 0.5, top), ahead, wall * light * 0.75, "Building")
    if near > 55:
        return  # windows would be smaller than pixels
    bays = max(int((far - near) / rng.uniform(2.4, 3.4)), 1)
    bay, glass = (far - near) / bays, mixed((35, 42, 52), (95, 110, 125), rng) * light
    for floor in range(floors):
        large = shop and floor == 0
        sill, margin = (0.4, 0.06 * bay) if large else (1.0, 0.26 * bay)
        for number in range(bays):
            window = (near + number * bay + margin, near + (number + 1) * bay - margin)
            height = (floor * storey + sill, (floor + 1) * storey - 0.5)
            canvas.along(right, height, window, glass * rng.uniform(0.7, 1.4), "Building")
    if shop:
        sign = mixed((40, 40, 45), rng.choice(PAINTS), rng) * light
        canvas.along(right, (storey - 0.45, storey), ahead, sign, "Building")


def draw_hedge(
    canvas: Canvas, right: float, ahead: tuple[float, float], light: float, rng: np.random.Generator
) -> None:
    """Draw bushes where a house could be."""
    near, far = ahead
    leaves = mixed((40, 58, 28), (70, 92, 48), rng) * light
    for row in np.linspace(far, near, 6):
        for _ in range(4):
            radius, behind = rng.uniform(0.7, 1.7), rng.uniform(0.8, 5)
            middle = (right + float(np.sign(right)) * behind, rng.uniform(0.5, 2.0), row)
            canvas.disc(middle, (radius * 1.2, radius), leaves * rng.uniform(0.75, 1.25), "Tree")
    canvas.along(right, (0, 1.1), ahead, leaves * 0.9, "Tree")


def draw_tree(canvas: Canvas, right: float, ahead: float, rng: np.random.Generator) -> None:
    """Draw a trunk and a crown of many leafy discs, the upper ones in the light."""
    height, spread = rng.uniform(5, 8.5), rng.uniform(1.2, 2.2)
    green = rng.random() < 0.75
    leaves = mixed((45, 70, 25), (95, 112, 55), rng) if green else mixed((110, 75, 30), (150, 105, 55), rng)
    bark = mixed((52, 42, 32), (90, 76, 62), rng)
    canvas.facing((right - 0.16, right + 0.16), (0, height * 0.7), ahead, bark, "Tree")
    for _ in range(26):
        away, turn, radius = spread * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.75)
        across, up = np.cos(turn) * away, 1.15 * np.sin(turn) * away
        light = 0.95 + 0.3 * up / spread + rng.normal(0, 0.1)
        canvas.disc((right + across, height - 0.9 * spread + up, ahead), (radius, radius), leaves * light, "Tree")


def draw_lamp_post(canvas: Canvas, right: float, ahead: float, rng: np.random.Generator) -> None:
    """Draw a thin post with an arm over the road: none of the classes, so void."""
    height, grey = rng.uniform(5, 7), np.full(3, rng.uniform(40, 130))
    half = max(0.05, 0.5 * ahead / canvas.focal)  # at least one pixel wide
    canvas.facing((right - half, right + half), (0, height), ahead, grey, "Void")
    canvas.facing((min(right, right * 0.75), max(right, right * 0.75)), (height, height + half), ahead, grey, "Void")


def draw_car(canvas: Canvas, right: float, ahead: float, rng: np.random.Generator) -> None:
    """Draw a car along the street: `right` is its middle, `ahead` its nearer end. On the left it comes towards us."""
    paint, dark = np.array(rng.choice(PAINTS)) * rng.uniform(0.8, 1.1), (24, 24, 26)
    glass = np.array([44, 50, 58]) * rng.uniform(0.8, 1.5)
    half, waist, roof = rng.uniform(0.8, 0.92), rng.uniform(0.85, 1.0), rng.uniform(1.4, 1.75)
    far = ahead + rng.uniform(3.6, 4.6)
    canvas.shade((right - half - 0.2, right + half + 0.2), (ahead - 0.25, far), 0.55)

    towards_us = 1.0 if right < canvas.eye[0] else -1.0  # which of its sides we see
    flank = right + towards_us * half
    cabin = flank - towards_us * 0.12  # the roof is narrower
    rear, front = ahead + 0.5, far - 1.2  # where the roof starts and ends
    canvas.along(flank, (0.25, waist), (ahead, far), paint * 0.75, "Car")
    pillars = [(flank, waist, ahead), (flank, waist, far - 0.6), (cabin, roof, front), (cabin, roof, rear)]
    canvas.polygon(pillars, paint * 0.7, "Car")
    pane = [
        (flank, waist, ahead + 0.6),
        (flank, waist, far - 1.1),
        (cabin, roof - 0.1, front),
        (cabin, roof - 0.1, rear + 0.3),
    ]
    canvas.polygon(pane, glass, "Car")
    for axle in (ahead + 0.75, far - 0.8):
        tyre = [(flank, 0.3 + 0.3 * np.sin(turn), axle + 0.3 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 9)]
        canvas.polygon(tyre, dark, "Car")

    for wheel in (right - half + 0.14, right + half - 0.14):
        canvas.facing((wheel - 0.12, wheel + 0.12), (0, 0.4), ahead, dark, "Car")
    for inset, low, high, colour in ((0.0, waist, roof, paint * 0.95), (0.13, waist + 0.06, roof - 0.1, glass * 1.1)):
        left, other, narrow = right - half + inset, right + half - inset, 0.12
        window = [(left, low, ahead), (other, low, ahead), (other - narrow, high, rear), (left + narrow, high, rear)]
        canvas.polygon(window, colour, "Car")
    canvas.facing((right - half, right + half), (0.25, waist), ahead, paint, "Car")
    canvas.facing((right - half, right + half), (0.25, 0.4), ahead, paint * 0.5, "Car")
    for lamp in (right - half + 0.16, right + half - 0.16):
        bulb = (235, 230, 205) if right < 0 else (190, 30, 25)
        canvas.facing((lamp - 0.12, lamp + 0.12), (waist - 0.3, waist - 0.12), ahead, bulb, "Car")
    canvas.facing((right - 0.24, right + 0.24), (0.42, 0.54), ahead, (225, 215, 150), "Car")


def draw_pedestrian(canvas: Canvas, right: float, ahead: float, rng: np.random.Generator) -> None:
    """Draw someone who stands or walks."""
    tall, stride = rng.uniform(1.55, 1.9), rng.uniform(0.02, 0.2)
    coat, trousers = np.array(rng.choice(PAINTS)) * rng.uniform(0.5, 1.1), mixed((20, 22, 28), (95, 92, 100), rng)
    skin, hair = mixed((90, 60, 45), (225, 180, 150), rng), mixed((20, 15, 12), (120, 95, 65), rng)
    hip, neck = 0.48 * tall, 0.84 * tall
    canvas.shade((right - 0.3, right + 0.3), (ahead - 0.2, ahead + 0.2), 0.4)
    limbs = [(foot, 0.07, 0.0, 0.1 * np.sign(foot), hip, trousers) for foot in (-stride, stride)]
    limbs += [(hand, 0.05, hip, 0.6 * hand, neck, coat * 0.8) for hand in (-0.3, 0.3)]
    limbs += [(0.0, 0.18, hip - 0.08, 0.0, neck, coat)]
    for low, half, bottom, high, top, colour in limbs:
        corners = [
            (right + low - half, bottom, ahead), (right + low + half, bottom, ahead),
            (right + high + half, top, ahead), (right + high - half, top, ahead),
        ]  # fmt: skip
        canvas.polygon(corners, colour, "Pedestrian")
    canvas.disc((right, tall - 0.12, ahead), (0.11, 0.14), hair, "Pedestrian")
    canvas.disc((right, tall - 0.15, ahead), (0.09, 0.11), skin, "Pedestrian")


def draw_bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw the bonnet of the car that carries the camera, at the bottom edge: void."""
    height, width = canvas.size
    paint = np.array(rng.choice(PAINTS)) * 0.7
    pixel = 1 / canvas.focal  # in metres, 1 m ahead
    middle = canvas.eye[0] + (width / 2 - canvas.vanishing[0]) * pixel
    bottom = canvas.eye[1] + (canvas.vanishing[1] - height) * pixel
    across, high = 0.62 * width * pixel, rng.uniform(0.05, 0.11) * height * pixel
    for part, light in ((1.0, 1.0), (0.75, 1.18), (0.4, 1.35)):
        canvas.disc((middle, bottom, 1.0), (across, high * part), paint * light, "Void")


def mixed(one: ArrayLike, other: ArrayLike, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a colour somewhere between two."""
    share = rng.random()
    return share * np.asarray(one, dtype=np.float64) + (1 - share) * np.asarray(other, dtype=np.float64)
