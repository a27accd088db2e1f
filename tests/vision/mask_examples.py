"""A target for masks, small masks, and comparisons for the tests of masks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onecycle.errors import DataError
from onecycle.vision.masks import Mask
from patches import assert_told

IGNORE = 255
# As for a codes.txt whose first line is ignored: class numbers and values in files differ by one.
STREET = Mask(("Sky", "Road", "Car"), (1, 2, 3), (0,))
COLOURS = ((128, 128, 128), (0, 0, 255), (0, 255, 0), (255, 0, 0))


def small(*rows: Sequence[int], dtype: Any = np.uint8) -> np.ndarray:
    return np.array(rows, dtype)


VALUES = small([0, 1, 2], [3, 2, 1])


def assert_data_error(call: Callable[[], Any], what: str, expected: str, fix: str) -> None:
    """`call` raises a DataError with exactly these three parts."""
    with pytest.raises(DataError) as error:
        call()
    assert_told(error.value, what, expected, fix)


def saved(image: Image.Image | np.ndarray, path: Path, **options: Any) -> Path:
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


def away_from_borders(mask: np.ndarray, distance: int) -> np.ndarray:
    """Where all pixels at most `distance` away have the same value; pixels outside the mask do not."""
    padded = np.pad(mask.astype(np.int64), distance, constant_values=-1)
    around = np.lib.stride_tricks.sliding_window_view(padded, (2 * distance + 1, 2 * distance + 1))
    return (around == mask[..., None, None]).all((2, 3))
