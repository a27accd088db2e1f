"""Photos that their EXIF data turns, and masks or points that are turned too, or not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

import onecycle as oc
from onecycle.vision.decode import decode, original_size
from onecycle.vision.read_options import ReadOptions


def photos(folder: Path, size: tuple[int, int], orientation: int, *, turned: bool, plain: bool = False) -> None:
    """Write photos of (width, height) `size` and their masks, which are those of the stored or the turned photos."""
    for number in range(6):
        mask = np.zeros(size[::-1], np.uint8)
        mask[4 : size[1] // 2, 4 : size[0] // 3] = 1
        noise = np.random.default_rng(number).integers(0, 60, (*mask.shape, 3))
        pixels = noise + 0 if plain else noise + np.where(mask[..., None] == 1, [180, 20, 20], [20, 20, 180])
        exif = Image.Exif()
        exif[0x0112] = orientation
        for name in ("images", "masks"):
            (folder / name).mkdir(exist_ok=True)
        image = Image.fromarray(pixels.astype(np.uint8))
        image.save(folder / f"images/{number}.jpg", exif=exif)
        drawn = Image.fromarray(mask)
        if turned:
            drawn.getexif()[0x0112] = orientation
            drawn = ImageOps.exif_transpose(drawn)
        drawn.save(folder / f"masks/{number}.png")


def labelled(folder: Path, **reading: Any) -> Any:
    images = oc.ImageList.from_folder(folder / "images").read_as(**reading)
    return images.split_random(0.34).label_masks(folder / "masks", classes=["ground", "thing"])


def colour_of_things(found: Any) -> np.ndarray:
    """The mean colour of the pixels of a class, where photos and masks are read as they are in training."""
    dataset = found.transform(32, augment="none").databunch(batch_size=2, workers=0, cache=None).valid.dataset
    sample = dataset[0]
    return sample.input[np.asarray(sample.target) == 1].mean(axis=0)


@pytest.mark.parametrize("size", [(48, 48), (48, 32)], ids=["square", "not square"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_masks_of_photos_as_they_are_stored_are_told_and_fit(
    tmp_path: Path, size: tuple[int, int], orientation: int
) -> None:
    photos(tmp_path, size, orientation, turned=False)
    message = (
        r"6 of 6 photos are turned by their EXIF orientation, such as .*, and their masks are not, as 6 of 6 that were "
        r"compared show\. Photos are read as they are stored, as with orientation='ignore'; pass orientation='apply'"
    )
    with pytest.warns(UserWarning, match=message):
        found = labelled(tmp_path)
    assert found.modality.reading.orientation == "ignore"
    assert colour_of_things(found)[0] > 150
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert colour_of_things(labelled(tmp_path, orientation="ignore"))[0] > 150


@pytest.mark.parametrize("size", [(48, 48), (48, 32)], ids=["square", "not square"])
def test_masks_of_turned_photos_fit_without_a_word(tmp_path: Path, size: tuple[int, int]) -> None:
    photos(tmp_path, size, 6, turned=True)
    assert colour_of_things(labelled(tmp_path))[0] > 150


def test_where_nothing_shows_it_one_is_asked_and_each_fix_works(tmp_path: Path) -> None:
    photos(tmp_path, (48, 48), 6, turned=False, plain=True)
    message = (
        r"6 of 6 photos are turned by their EXIF orientation, such as .*, and nothing shows whether their masks are "
        r"turned too\.\nExpected a word of which photos the masks belong to\.\nFix: pass orientation='apply' where .* "
        r"or orientation='ignore' where"
    )
    with pytest.raises(oc.DataError, match=message):
        labelled(tmp_path)
    for orientation in ("apply", "ignore"):
        assert labelled(tmp_path, orientation=orientation).modality.reading.orientation == orientation


def test_masks_of_both_kinds_are_refused(tmp_path: Path) -> None:
    photos(tmp_path, (48, 32), 6, turned=False)
    mask = Image.open(tmp_path / "masks/3.png")
    mask.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "masks/3.png")
    with pytest.raises(oc.DataError, match=r"and some of their masks are turned too, some are not\."):
        labelled(tmp_path)


def points(folder: Path, place: tuple[float, float], **reading: Any) -> Any:
    images = oc.ImageList.from_folder(folder / "images").read_as(**reading)
    return images.split_random(0.34).label_points(lambda path: [place])


def test_points_of_photos_as_they_are_stored_are_told(tmp_path: Path) -> None:
    photos(tmp_path, (48, 32), 6, turned=False)
    with pytest.warns(UserWarning, match=r"their points are not, as 6 of 6 .*orientation='ignore'"):
        assert points(tmp_path, (40.0, 10.0)).modality.reading.orientation == "ignore"
    assert points(tmp_path, (10.0, 40.0)).modality.reading.orientation == "apply"
    with pytest.raises(oc.DataError, match=r"nothing shows whether their points are turned too"):
        points(tmp_path, (5.0, 5.0))
    for orientation in ("apply", "ignore"):
        assert points(tmp_path, (5.0, 5.0), orientation=orientation).modality.reading.orientation == orientation


def test_points_of_photos_in_a_table_are_told_too(tmp_path: Path) -> None:
    photos(tmp_path, (48, 32), 6, turned=False)
    files = sorted((tmp_path / "images").iterdir())
    columns = {"x": [40.0] * len(files), "y": [10.0] * len(files)}
    listed = oc.ImageList.from_table(pa.table({"image": [path.read_bytes() for path in files], **columns}))
    with pytest.warns(UserWarning, match=r"turned by their EXIF orientation, such as row \d, and their points are not"):
        found = listed.split_random(0.34).label_points(["x", "y"])
    assert found.modality.reading.orientation == "ignore"


def test_a_turned_tiff_is_read_as_it_is_stored_where_that_is_said(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3)).astype(np.uint8)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = str(tmp_path / f"{orientation}.tif")
        Image.fromarray(pixels).save(path, exif=exif)
        stored = ReadOptions(orientation="ignore")
        assert original_size(path, stored) == (32, 48)
        np.testing.assert_array_equal(decode(path, (32, 48), "squish", stored), pixels)
