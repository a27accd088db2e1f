"""Converting tile by tile gives what converting the whole image gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onecycle.vision import rgb
from onecycle.vision.rgb import resize_as_rgb, tiles

MODES = ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"]


def noise(mode: str, width: int, height: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 4))
    if mode in ("I;16", "I", "F"):
        return Image.fromarray((values[..., 0] * 257).astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode]))
    return Image.fromarray(values.astype(np.uint8)).convert("RGB" if mode in ("CMYK", "P") else "RGBA").convert(mode)


def converted(image: Image.Image) -> Image.Image:
    """The whole image as RGB, by other means."""
    if image.mode in ("LA", "RGBA"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode in ("I;16", "I", "F"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


@settings(max_examples=120, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    whole=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    edges=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_tiles_make_no_difference(
    mode: str, whole: tuple[int, int], size: tuple[int, int], edges: tuple[float, ...]
) -> None:
    image = noise(mode, *whole)
    left, right = sorted(edge * whole[0] for edge in edges[:2])
    top, bottom = sorted(edge * whole[1] for edge in edges[2:])
    box = (min(left, whole[0] - 0.5), min(top, whole[1] - 0.5), max(right, left + 0.5), max(bottom, top + 0.5))
    box = (*box[:2], min(box[2], whole[0]), min(box[3], whole[1]))
    expected = converted(image).resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rgb, "TILE_PIXELS", 50)
        patch.setattr(rgb, "TILE_WIDTH", 12)
        actual = resize_as_rgb(image, size, box)
    # Where an image is not reduced it is cut before it is resized, and another origin may round the other way.
    difference = np.abs(np.asarray(actual, int) - np.asarray(expected, int))
    assert difference.max() <= (0 if max(rgb.reducing_factors(size, box)) > 1 else 1)


@pytest.mark.parametrize("factors", [(1, 1), (7, 3), (100, 1), (5000, 9)])
def test_tiles_cover_every_pixel_once_and_start_at_multiples(factors: tuple[int, int]) -> None:
    counts = np.zeros((300, 9000), int)
    for left, top, right, bottom in tiles((5, 7, 9000, 300), factors):
        counts[top:bottom, left:right] += 1
        assert ((left - 5) % factors[0], (top - 7) % factors[1]) == (0, 0)
    assert (counts[7:, 5:] == 1).all()
    assert counts.sum() == 293 * 8995


def test_no_tile_is_larger_than_its_share_of_memory() -> None:
    for left, top, right, bottom in tiles((0, 0, 100_000, 20_000), (2, 2)):
        assert (right - left) * (bottom - top) <= rgb.TILE_PIXELS
