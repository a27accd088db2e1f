"""Photos that are hard to tell apart, as folders of classes: what bench/hard.py trains on, about a minute each."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from onecycle.demo import make_patterns
from onecycle.demo.texture import smooth_noise, to_image


@dataclass(frozen=True)
class Case:
    """A set of photos.

    Attributes:
        draw: Fills a folder, a folder in it per class, from the folder of the data sets.
        size: Pixels along a side that both programs read.
        held: Share of the photos that validate.
        chosen_on: The recipe's rules were chosen on it, so it is no proof.
        easy: Pretrained features nearly suffice.
    """

    draw: Callable[[Path, Path], None]
    size: int = 64
    held: float = 0.3
    chosen_on: bool = False
    easy: bool = False


def monkeys(data: Path, folder: Path) -> None:
    """Ten species of monkeys, too small to see much of them."""
    for path in sorted((data / "monkeys10" / "training").rglob("*.*")):
        _link(path, folder / path.parent.name / path.name)


def scenes(data: Path, folder: Path) -> None:
    """21 kinds of land use from above, 40 photos of each."""
    for path in sorted((data / "landuse" / "images").iterdir()):
        _link(path, folder / path.stem.rstrip("0123456789") / path.name)


def people(data: Path, folder: Path, count: int = 60) -> None:
    """Faces of people, twelve frames of each."""
    frames: dict[str, list[Path]] = {}
    for path in sorted((data / "faces" / "images").iterdir()):
        frames.setdefault(path.stem.rpartition("_")[0], []).append(path)
    for name in random.Random(1).sample(sorted(frames), count):
        for path in frames[name]:
            _link(path, folder / name / path.name)


def parts(data: Path, folder: Path, each: int = 200, pixels: int = 48) -> None:
    """Cut-outs of street scenes, eight kinds of things that look alike without what is around them."""
    names = (data / "camvid" / "codes.txt").read_text().split()
    chosen = ("Building", "Fence", "Pavement", "Car", "Pedestrian", "Bicyclist", "Tree", "SignSymbol")
    rng = np.random.default_rng(1)
    cuts: dict[str, list[Image.Image]] = {name: [] for name in chosen}
    photos = sorted((data / "camvid" / "train").glob("*.jpg")) + sorted((data / "camvid" / "val").glob("*.jpg"))
    for number in rng.permutation(len(photos)):
        path = photos[number]
        image = Image.open(path).convert("RGB")
        mask = np.asarray(Image.open(path.parent.parent / f"{path.parent.name}annot" / f"{path.stem}.png"))
        for name in chosen:
            if len(cuts[name]) < each and (box := _box(mask == names.index(name), pixels, rng)):
                cuts[name].append(image.crop(box))
    for name, images in cuts.items():
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            image.save(folder / name / f"{name}_{number:03d}.jpg", quality=95)


def _box(there: np.ndarray, pixels: int, rng: np.random.Generator) -> tuple[int, int, int, int] | None:
    """Return a square around a pixel of a class, where the class fills a quarter of it at least."""
    rows, columns = np.nonzero(there[pixels // 2 : -pixels // 2, pixels // 2 : -pixels // 2])
    for _ in range(4 if len(rows) else 0):
        place = rng.integers(len(rows))
        top, left = int(rows[place]), int(columns[place])
        if there[top : top + pixels, left : left + pixels].mean() > 0.25:
            return left, top, left + pixels, top + pixels
    return None


def weaves(data: Path, folder: Path, each: int = 110, pixels: int = 96) -> None:
    """Drawn textures: two waves that cross at one of six angles, whatever their own angle, width, colour and noise."""
    del data
    rng = np.random.default_rng(1)
    for kind in range(6):
        (folder / f"weave{kind}").mkdir(parents=True)
        for number in range(each):
            _weave(kind, pixels, rng).save(folder / f"weave{kind}" / f"weave{kind}_{number:03d}.jpg", quality=90)


def _weave(kind: int, pixels: int, rng: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[0:pixels, 0:pixels] / pixels
    first, between = rng.uniform(0, np.pi), np.pi / 2 * (kind + 1) / 6
    cover = np.zeros_like(x)
    for angle in (first, first + between):
        wave = x * np.cos(angle) + y * np.sin(angle)
        cover += np.sin(2 * np.pi * (rng.uniform(6, 12) * wave + rng.uniform()))
    cover = cover[..., None] / 4 + 0.5 + 0.5 * (smooth_noise((pixels, pixels), 5, rng)[..., None] - 0.5)
    ink, paper = rng.uniform(0, 140, 3), rng.uniform(115, 255, 3)
    return to_image(ink * cover + paper * (1 - cover) + rng.normal(0, 25, (pixels, pixels, 1)))


def patterns(data: Path, folder: Path) -> None:
    """Drawn checks, dots, rings and stripes."""
    del data
    make_patterns(folder, each=160, pixels=64)


def digits(data: Path, folder: Path) -> None:
    """Written digits of 8x8 pixels, each second one that scikit-learn comes with."""
    from sklearn.datasets import load_digits

    del data
    found = load_digits()
    for number in range(0, len(found.target), 2):
        name = str(found.target[number])
        (folder / name).mkdir(parents=True, exist_ok=True)
        to_image(found.images[number] * 15.9).resize((64, 64), Image.Resampling.BICUBIC).convert("RGB").save(
            folder / name / f"{number:04d}.png"
        )


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(path.resolve())


CASES = {
    "monkeys": Case(monkeys, chosen_on=True),
    "parts": Case(parts, chosen_on=True),
    "weaves": Case(weaves, chosen_on=True),
    "scenes": Case(scenes, held=0.5),
    "people": Case(people, held=0.5),
    "digits": Case(digits),
    "monkeys128": Case(monkeys, size=128, held=0.2, easy=True),
    "patterns": Case(patterns, easy=True),
}
