"""Images with dots at known positions, and learners for them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import onecycle as oc
from onecycle.data.bunch import DataBunch

TINY = "test_efficientnet"


def dotted(path: Path, size: tuple[int, int], dots: dict[tuple[int, int, int], tuple[int, int]]) -> Path:
    """A dark image with a disc of 3 pixels radius in each colour at (x, y)."""
    pixels = np.zeros((*size, 3), np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    for colour, (middle_x, middle_y) in dots.items():
        pixels[(x - middle_x) ** 2 + (y - middle_y) ** 2 <= 9.5] = colour
    Image.fromarray(pixels).save(path)
    return path


def centre_of_light(image: Tensor, channel: int) -> tuple[float, float]:
    """Centre of mass of the bright pixels in a channel of (3, height, width), in pixels."""
    bright = image[channel].float().clamp(min=60) - 60
    y, x = torch.meshgrid(*(torch.arange(length) for length in bright.shape), indexing="ij")
    return float((bright * x).sum() / bright.sum()), float((bright * y).sum() / bright.sum())


def discs(folder: Path, count: int = 24, *, augment: Any = None) -> DataBunch:
    """Images of differing sizes with one red disc."""
    rng = np.random.default_rng(0)
    where = {}
    for number in range(count):
        size = (48, 64) if number % 2 else (60, 60)
        middle = (int(rng.integers(8, size[1] - 8)), int(rng.integers(8, size[0] - 8)))
        where[str(dotted(folder / f"{number:02}.png", size, {(255, 40, 40): middle}))] = middle
    split = oc.ImageList.from_folder(folder).split_by_index(range(6))
    labelled = split.label_points(lambda path: where[str(path)])
    return labelled.transform((48, 48), augment=augment or oc.augment.none()).databunch(6, workers=0)


def tiny_learner(bunch: DataBunch, **options: Any) -> Any:
    return oc.vision_learner(bunch, TINY, **{"pretrained": False, "progress": False, **options})


def csv_of(folder: Path, header: str, *rows: str) -> Path:
    for number in range(len(rows)):
        Image.new("RGB", (20, 10)).save(folder / f"{number}.png")
    path = folder / "points.csv"
    path.write_text("\n".join([header, *(f"{number}.png,{row}" for number, row in enumerate(rows))]) + "\n")
    return path


def split_of(path: Path) -> Any:
    return oc.ImageList.from_csv(path, folder=path.parent).split_by_index([0])
