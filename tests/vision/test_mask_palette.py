"""Palettes of masks, and PNG files with them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onecycle.vision.mask_files import read_mask_values
from onecycle.vision.mask_labels import mask_target
from onecycle.vision.masks import Mask
from patches import (
    blocks,
)
from vision.mask_examples import COLOURS, STREET, VALUES

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), sizes, st.sampled_from([None, COLOURS]))
def test_a_png_contains_the_values_and_the_classes_colours(seed: int, size: tuple[int, int], colours: Any) -> None:
    target = Mask(STREET.classes, STREET.values, STREET.ignored, colours)
    mask = blocks(seed, size, side=2)
    with Image.open(io.BytesIO(target.to_png(mask))) as image:
        np.testing.assert_array_equal(np.asarray(image), mask)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), target.palette()[mask])


def test_a_written_mask_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(STREET.to_png(VALUES))
    np.testing.assert_array_equal(read_mask_values(tmp_path / "mask.png"), VALUES)


def test_the_palette_has_the_colours_of_the_files_or_distinct_ones() -> None:
    own = Mask(STREET.classes, STREET.values, STREET.ignored, COLOURS).palette()
    assert own[:4].tolist() == [list(colour) for colour in COLOURS]
    many = mask_target([str(number) for number in range(20)], None, None).palette()
    assert (many.shape, many.dtype) == ((256, 3), np.uint8)
    assert len(np.unique(many[:20], axis=0)) == 20
    assert STREET.palette()[0].tolist() == [0, 0, 0], "ignored values are black"
