"""A tiny data set of masks in CamVid's published layout: blocks of colour whose shades tell their class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import onecycle as oc
from onecycle.data.bunch import DataBunch
from onecycle.train.learner import Learner
from onecycle.vision.learner import unet_learner

# In the order of the masks' values. What is ignored comes first, so that no class number equals its value.
NAMES = ("Void", "Sky", "Road", "Car")
SHADES = np.array([(128, 128, 128), (30, 60, 220), (40, 200, 40), (220, 40, 40)], np.uint8)
SIZE = (32, 48)


def blocks(seed: int, size: tuple[int, int] = SIZE, *, side: int = 12, lowest: int = 0) -> NDArray[np.uint8]:
    """A mask of blocks of random values, uint8, (height, width)."""
    rows, columns = -(-size[0] // side), -(-size[1] // side)
    values = np.random.default_rng(seed).integers(lowest, len(NAMES), (rows, columns), np.uint8)
    return values.repeat(side, 0).repeat(side, 1)[: size[0], : size[1]]


def picture(mask: NDArray[np.uint8], seed: int = 0, *, noise: float = 10) -> Image.Image:
    """The image whose every pixel has the shade of its value."""
    drawn = SHADES[mask] + np.random.default_rng(seed).normal(0, noise, (*mask.shape, 3))
    return Image.fromarray(drawn.clip(0, 255).astype(np.uint8))


def make_camvid(root: Path, *, count: int = 8, valid: int = 2, size: tuple[int, int] = SIZE) -> Path:
    """fast.ai's layout: images/STEM.png, labels/STEM_P.png, codes.txt, and valid.txt, which names the last images."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    names = [f"street_{number:02}" for number in range(count)]
    for number, name in enumerate(names):
        mask = blocks(number, size)
        picture(mask, number).save(root / "images" / f"{name}.png")
        Image.fromarray(mask).save(root / "labels" / f"{name}_P.png")
    (root / "codes.txt").write_text("\n".join(NAMES) + "\n")
    (root / "valid.txt").write_text("\n".join(f"{name}.png" for name in names[count - valid :]) + "\n")
    return root


def split(root: Path) -> Any:
    return oc.ImageList.from_folder(root / "images").split_from_file(root / "valid.txt")


def labelled(root: Path, **options: Any) -> Any:
    template = str(root / "labels" / "{stem}_P.png")
    return split(root).label_masks(template, **{"classes": root / "codes.txt", "ignore": "Void", **options})


def mask_bunch(
    root: Path, *, size: Any = SIZE, resize: Any = None, augment: Any = None, batch_size: int = 4, **options: Any
) -> DataBunch:
    """The bunch of what `make_camvid` drew, not augmented unless asked for."""
    transformed = labelled(root).transform(size, resize=resize, augment=augment or oc.augment.none())
    return transformed.databunch(batch_size, **options)


def tiny_unet(bunch: DataBunch, backbone: str = "test_efficientnet", **options: Any) -> Learner:
    """A learner of a tiny encoder with random weights, not frozen."""
    return unet_learner(bunch, backbone, **{"pretrained": False, "progress": False, **options})


def true_mask(root: Path, name: str) -> NDArray[np.uint8]:
    """The values in the mask of the image called `name`."""
    return np.asarray(Image.open(root / "labels" / f"{Path(name).stem}_P.png"))


def assert_told(error: BaseException, what: str, expected: str, fix: str) -> None:
    """The three parts of our error, word for word."""
    assert str(error) == f"{what}\nExpected {expected}\nFix: {fix}"
