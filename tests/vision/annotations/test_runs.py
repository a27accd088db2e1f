"""Runs of equal pixels: checked against pycocotools, and against an encoder of Label Studio's brush written here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from onecycle.vision.annotations.runs import bitmap, brush_bitmap, decompressed, runs_of

coco = pytest.importorskip("pycocotools.mask")
BITMAPS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def packed(values: list[int], lengths: tuple[int, ...] = (3, 4, 8, 16)) -> list[int]:
    """Encode as Label Studio does: equal values as one run, each other value as a run of its own."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in lengths)
    place = 0
    while place < len(values):
        end = place
        while end < len(values) and values[end] == values[place] and end - place < 2 ** lengths[-1]:
            end += 1
        size = next(number for number, length in enumerate(lengths) if end - place - 1 < 2**length)
        bits += f"{int(end - place > 1)}{size:02b}{end - place - 1:0{lengths[size]}b}{values[place]:08b}"
        place = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


@given(BITMAPS)
def test_runs_are_those_of_pycocotools(covered: np.ndarray) -> None:
    height, width = covered.shape
    encoded = coco.encode(np.asfortranarray(covered.astype(np.uint8)))
    assert decompressed(encoded["counts"].decode()) == runs_of(covered)
    assert (covered == bitmap(runs_of(covered), width, height).T).all()


@given(BITMAPS)
def test_a_brush_stroke_comes_back_as_it_was_painted(covered: np.ndarray) -> None:
    pixels = np.zeros((*covered.shape, 4), np.uint8)
    pixels[covered] = (10, 20, 30, 255)
    assert (brush_bitmap(packed(pixels.ravel().tolist()), *covered.shape) == covered).all()


def test_rows_of_runs_become_a_bitmap() -> None:
    assert bitmap([1, 2, 3], 2, 3).tolist() == [[False, True, True], [False, False, False]]
    with pytest.raises(ValueError, match=r"runs of 5 pixels for 3x2"):
        bitmap([1, 4], 2, 3)


@pytest.mark.parametrize("data", [[], [0, 0, 0, 16], [255] * 40])
def test_what_is_no_brush_stroke_is_refused(data: list[int]) -> None:
    with pytest.raises(ValueError, match=r"it ends early|values for 2x2 pixels"):
        brush_bitmap(data, 2, 2)


def test_what_is_no_compressed_mask_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'\\x00' is no letter"):
        decompressed("2\0")
