"""Street scenes: the layout of fast.ai's CamVid, and masks that fit their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from demo.drawn import content
from onecycle.demo.streets import CODES, GRAIN, make_camvid

Scene = tuple[NDArray[np.float64], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_camvid(tmp_path_factory.mktemp("camvid"), train=14, valid=4)


@pytest.fixture(scope="module")
def scenes(camvid: Path) -> list[Scene]:
    """Pixels and masks."""
    images = sorted((camvid / "images").iterdir())
    return [
        (np.asarray(Image.open(path), dtype=float), np.asarray(Image.open(camvid / "labels" / f"{path.stem}_P.png")))
        for path in images
    ]


def test_the_published_layout(camvid: Path) -> None:
    assert sorted(entry.name for entry in camvid.iterdir()) == ["codes.txt", "images", "labels", "valid.txt"]
    images = sorted(path.name for path in (camvid / "images").iterdir())
    assert len(images) == 18
    assert sorted(path.name for path in (camvid / "labels").iterdir()) == [f"{name[:-4]}_P.png" for name in images]
    assert (camvid / "codes.txt").read_text().splitlines() == list(CODES)
    assert (camvid / "valid.txt").read_text().splitlines() == images[-4:]


def test_images_are_rgb_and_masks_have_one_byte_for_each_pixel(tmp_path: Path) -> None:
    make_camvid(tmp_path, train=1, valid=1, size=(60, 90))
    for folder, mode in (("images", "RGB"), ("labels", "L")):
        for path in (tmp_path / folder).iterdir():
            with Image.open(path) as image:
                assert (image.format, image.mode, image.size) == ("PNG", mode, (90, 60))


def test_values_are_lines_of_codes_and_most_scenes_contain_every_class(scenes: list[Scene]) -> None:
    counts = np.array([np.bincount(mask.ravel(), minlength=len(CODES)) for _, mask in scenes])
    assert counts.shape[1] == len(CODES) == len(GRAIN)
    assert ((counts > 0).mean(0) > 0.7).all()
    assert (counts.sum(0) / counts.sum() > 0.004).all()


def test_the_same_seed_draws_the_same_and_another_seed_does_not(camvid: Path, tmp_path: Path) -> None:
    assert content(make_camvid(tmp_path / "again", train=14, valid=4)) == content(camvid)
    other = content(make_camvid(tmp_path / "other", train=1, valid=0, seed=9))
    assert other["images/street_0000.png"] != content(camvid)["images/street_0000.png"]


def test_classes_are_at_realistic_heights(scenes: list[Scene]) -> None:
    rows = {code: np.mean([row_of(mask, code) for _, mask in scenes if has(mask, code)]) for code in CODES}
    assert rows["Sky"] < rows["Tree"] < rows["Car"] < rows["Road"]
    assert rows["Sky"] < rows["Building"] < rows["Pavement"] < rows["Road"]


def row_of(mask: NDArray[np.uint8], code: str) -> float:
    return float(np.nonzero(mask == CODES.index(code))[0].mean())


def has(mask: NDArray[np.uint8], code: str) -> bool:
    return bool((mask == CODES.index(code)).any())


def test_the_sky_is_brighter_and_bluer_than_the_street_and_leaves_are_greener(scenes: list[Scene]) -> None:
    pixels, mask = np.concatenate([p for p, _ in scenes]), np.concatenate([m for _, m in scenes])
    red, green, blue = (pixels[..., channel] for channel in range(3))
    sky, tree = mask == CODES.index("Sky"), mask == CODES.index("Tree")
    assert pixels[sky].mean() > pixels[~sky].mean() + 30
    assert (blue - red)[sky].mean() > (blue - red)[~sky].mean() + 10
    assert (green - blue)[tree].mean() > (green - blue)[~tree].mean() + 10


def test_grey_levels_do_not_separate_roads_from_houses(scenes: list[Scene]) -> None:
    greys = {
        code: [pixels[mask == CODES.index(code)].mean() for pixels, mask in scenes] for code in ("Road", "Building")
    }
    assert np.std(greys["Road"]) > 10
    assert min(greys["Building"]) < np.mean(greys["Road"]) < max(greys["Building"])


def test_edges_of_the_mask_are_edges_of_the_image(scenes: list[Scene]) -> None:
    shifts = {(down, across): edges_after(scenes, down, across) for down in (-2, 0, 2) for across in (-2, 0, 2)}
    assert max(shifts, key=lambda shift: shifts[shift]) == (0, 0)
    assert shifts[0, 0] > 1.2 * max(value for shift, value in shifts.items() if shift != (0, 0))


def edges_after(scenes: list[Scene], down: int, across: int) -> float:
    """Mean horizontal change of the image at the edges of the shifted mask."""
    changes = []
    for pixels, mask in scenes:
        shifted = np.roll(mask, (down, across), axis=(0, 1))
        edge = (shifted[:, 1:] != shifted[:, :-1])[4:-4, 4:-4]
        changes.append(np.abs(np.diff(pixels, axis=1)).mean(-1)[4:-4, 4:-4][edge].mean())
    return float(np.mean(changes))
