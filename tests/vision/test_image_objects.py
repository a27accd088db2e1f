"""Frames that hold opened images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

import onecycle as oc
from onecycle.errors import DataError
from onecycle.vision.decode import decode


def pixels(seed: int, mode: str) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (20, 24, 4)).astype(np.uint8)
    if mode == "F":
        return Image.fromarray(noise[..., 0].astype(np.float32) / 255)
    return Image.fromarray(noise) if mode == "RGBA" else Image.fromarray(noise[..., :3]).convert(mode)


def read(images: oc.ImageList, row: int) -> np.ndarray:
    found: np.ndarray = images.modality.read(images.items.input(row), training=False).input
    return found


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "F"])
@pytest.mark.parametrize("library", [pd, pl])
def test_images_of_any_mode_keep_their_pixels(library: Any, mode: str) -> None:
    held = [pixels(seed, mode) for seed in range(4)]
    images = oc.ImageList.from_table(
        library.DataFrame({"image": [*held, None], "label": [*"abab", "a"]}), missing="drop"
    )
    assert len(images) == 4
    for row in (0, 3):
        assert (read(images, row) == decode(held[row], images.modality.size)).all()


def test_photos_are_turned_as_their_exif_data_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels(0, "RGB").save(tmp_path / "a.png", exif=exif)
    images = oc.ImageList.from_table(pd.DataFrame({"image": [Image.open(tmp_path / "a.png")]}))
    assert (read(images, 0) == decode(str(tmp_path / "a.png"), images.modality.size)).all()


def test_arrays_and_paths_are_read_too(tmp_path: Path) -> None:
    arrays = [np.asarray(pixels(seed, "RGB")) for seed in range(2)]
    images = oc.ImageList.from_table(pd.DataFrame({"image": [*arrays, arrays[0][..., 0]]}))
    assert (read(images, 1) == decode(arrays[1], images.modality.size)).all()
    paths = [tmp_path / f"{seed}.png" for seed in range(2)]
    for path, array in zip(paths, arrays, strict=True):
        Image.fromarray(array).save(path)
    assert oc.ImageList.from_table(pd.DataFrame({"image": paths, "label": [*"ab"]})).paths == paths


def test_other_objects_are_refused_and_the_fix_reads_the_table() -> None:
    class Mine:
        pass

    for frame in (
        pd.DataFrame({"text": [*"abc"], "x": [Mine()] * 3}),
        pl.DataFrame({"text": [*"abc"], "x": [Mine()] * 3}),
    ):
        with pytest.raises(DataError, match=r"(?s)Fix: write .*, or leave (these columns|them) out") as caught:
            oc.TextList.from_table(frame)
        assert "'x' (Mine)" in str(caught.value)
        assert len(oc.TextList.from_table(frame[["text"]])) == 3
