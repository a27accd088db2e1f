"""Generates satellite tiles with several tags each."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from onecycle.demo.texture import smooth_noise, to_image

WEATHER = ("clear", "partly_cloudy", "haze", "cloudy")
GROUND = {"primary": 0.85, "water": 0.35, "road": 0.35, "agriculture": 0.4, "habitation": 0.25}


def make_planet(folder: str | Path, *, train: int = 480, test: int = 24, pixels: int = 128, seed: int = 0) -> Path:
    """Draw satellite tiles in the layout of "Planet: Understanding the Amazon from Space".

    Writes `train_v2.csv` (image_name, tags), `train-jpg/` and `test-jpg/`. Each tile has exactly one of `WEATHER`, and
    any of `GROUND`.

    Args:
        folder: Where to write.
        train: Number of training tiles.
        test: Number of test tiles.
        pixels: Height and width.
        seed: The same seed draws the same tiles.
    Example:
        >>> from tempfile import mkdtemp
        >>> folder = make_planet(Path(mkdtemp()), train=2, test=1, pixels=32)
        >>> sorted(path.name for path in folder.iterdir())
        ['test-jpg', 'train-jpg', 'train_v2.csv']
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    for name in ("train-jpg", "test-jpg"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with (folder / "train_v2.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "tags"])
        for number in range(train):
            tile, tags = draw_tile(pixels, rng)
            tile.save(folder / "train-jpg" / f"train_{number}.jpg", quality=90)
            writer.writerow([f"train_{number}", " ".join(tags)])
    for number in range(test):
        draw_tile(pixels, rng)[0].save(folder / "test-jpg" / f"test_{number}.jpg", quality=90)
    return folder


def draw_tile(pixels: int, rng: np.random.Generator) -> tuple[Image.Image, list[str]]:
    """Draw one satellite tile; return it with its sorted tags."""
    weather = str(rng.choice(WEATHER, p=[0.55, 0.2, 0.15, 0.1]))
    if weather == "cloudy":  # nothing else is visible
        return _with_clouds(_terrain(pixels, (40, 70, 35), 18, rng), 0.93, 1.6, rng), ["cloudy"]
    ground = [name for name, probability in GROUND.items() if rng.random() < probability] or ["primary"]
    base = (38, 72, 36) if "primary" in ground else (120, 104, 70)
    tile = _terrain(pixels, base, 22 if "primary" in ground else 10, rng)
    draw = ImageDraw.Draw(tile)
    if "agriculture" in ground:
        _fields(draw, pixels, rng)
    if "water" in ground:
        _line(draw, pixels, rng, colour=(34, 52, 84), width=pixels // 9, bend=0.5)
    if "road" in ground:
        _line(draw, pixels, rng, colour=(190, 165, 125), width=max(pixels // 45, 2), bend=0.06)
    if "habitation" in ground:
        _houses(draw, pixels, rng)
    tile = tile.filter(ImageFilter.GaussianBlur(0.6))
    if weather == "partly_cloudy":
        tile = _with_clouds(tile, 0.95, 0.2, rng)
    elif weather == "haze":
        tile = Image.blend(tile, Image.new("RGB", tile.size, (200, 205, 210)), float(rng.uniform(0.4, 0.55)))
    return tile, sorted([weather, *ground])


def _terrain(pixels: int, colour: tuple[int, int, int], rough: int, rng: np.random.Generator) -> Image.Image:
    size = (pixels, pixels)
    texture = (
        0.5 * smooth_noise(size, pixels // 4, rng)
        + 0.3 * smooth_noise(size, pixels // 12, rng)
        + 0.2 * smooth_noise(size, 5, rng)
    )
    shades = np.array(colour) + (texture[..., None] - 0.5) * 4 * rough + rng.normal(0, 3, 3)
    return to_image(shades)


def _with_clouds(tile: Image.Image, density: float, cover: float, rng: np.random.Generator) -> Image.Image:
    size = (tile.height, tile.width)
    shape = 0.7 * smooth_noise(size, 5, rng) + 0.3 * smooth_noise(size, 14, rng)
    highest = np.quantile(shape, max(1 - cover, 0.0)) if cover < 1 else 0.0
    mask = Image.fromarray((np.clip((shape - highest) * (6 if cover < 1 else 40), 0, density) * 255).astype(np.uint8))
    white = Image.fromarray((225 + 25 * smooth_noise(size, 8, rng)).astype(np.uint8)).convert("RGB")
    return Image.composite(white, tile, mask)


def _line(
    draw: ImageDraw.ImageDraw,
    pixels: int,
    rng: np.random.Generator,
    *,
    colour: tuple[int, int, int],
    width: int,
    bend: float,
) -> None:
    """Draw a river or road from edge to edge; `bend` is its deviation from a line, as a fraction of the tile."""
    along = np.linspace(-0.1, 1.1, 30) * pixels
    phase, waves = rng.uniform(0, 2 * math.pi), rng.uniform(0.7, 1.6)
    across = pixels * (
        rng.uniform(0.25, 0.75) + rng.uniform(-0.35, 0.35) * (along / pixels - 0.5)
        + 0.3 * bend * np.sin(waves * 2 * math.pi * along / pixels + phase)
    )  # fmt: skip
    points = list(zip(along, across, strict=True)) if rng.random() < 0.5 else list(zip(across, along, strict=True))
    draw.line([(float(x), float(y)) for x, y in points], fill=colour, width=width, joint="curve")


def _fields(draw: ImageDraw.ImageDraw, pixels: int, rng: np.random.Generator) -> None:
    left, top = (float(rng.uniform(0, 0.35)) * pixels for _ in range(2))
    columns, rows, size = (
        int(rng.integers(2, 4)),
        int(rng.integers(2, 4)),
        pixels * float(rng.uniform(0.17, 0.24)),
    )
    for column in range(columns):
        for row in range(rows):
            shade = np.array([150, 150, 70]) + rng.normal(0, 25, 3)
            colour = (int(shade[0]) % 256, int(shade[1]) % 256, int(shade[2]) % 256)
            x, y = left + column * size, top + row * size
            draw.rectangle([x, y, x + size * 0.94, y + size * 0.94], fill=colour)
            for line in np.arange(x + 2, x + size * 0.94, 4):
                draw.line([(line, y), (line, y + size * 0.94)], fill=tuple(max(c - 22, 0) for c in colour))


def _houses(draw: ImageDraw.ImageDraw, pixels: int, rng: np.random.Generator) -> None:
    centre = rng.uniform(0.25, 0.75, 2) * pixels
    for _ in range(int(rng.integers(12, 22))):
        x, y = centre + rng.normal(0, pixels * 0.11, 2)
        size = pixels * float(rng.uniform(0.025, 0.05))
        grey = int(rng.integers(200, 250))
        roof = (grey, grey, grey) if rng.random() < 0.7 else (185, 95, 75)
        draw.rectangle([x, y, x + size, y + size], fill=roof)
