"""Predicted masks at the size of the original image."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onecycle.vision.decode import compute_geometry
from onecycle.vision.mask_restoring import restore_classes
from onecycle.vision.masks import Mask
from patches import (
    blocks,
)
from vision.mask_examples import IGNORE, STREET, VALUES, away_from_borders

resizes = st.sampled_from(["crop", "squish", "pad"])


def geometry_of(have: tuple[int, int], size: tuple[int, int], resize: Any) -> Tensor:
    return torch.tensor(compute_geometry(have, size, resize), dtype=torch.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(20, 90), st.integers(20, 90)),
    st.tuples(st.integers(16, 60), st.integers(16, 60)),
    resizes,
    st.integers(0, 1000),
)
def test_predictions_are_restored_to_the_original_size(
    have: tuple[int, int], size: tuple[int, int], resize: Any, seed: int
) -> None:
    mask = blocks(seed, have, side=max(have) // 3, lowest=1)
    shown = compute_geometry(have, size, resize)
    prediction = STREET.to_probabilities(STREET.crop_and_scale(mask, shown, size)[None])[0]
    decoded = STREET.decode(prediction, torch.tensor(shown, dtype=torch.float32))
    assert (decoded.shape, decoded.dtype) == (have, np.uint8)

    y, x = np.arange(have[0])[:, None] + 0.5, np.arange(have[1]) + 0.5
    edge = 1e-3  # a centre exactly on the edge may count either way
    inside = (y > shown.top + edge) & (y < shown.bottom - edge) & (x > shown.left + edge) & (x < shown.right - edge)
    outside = (y < shown.top - edge) | (y > shown.bottom + edge) | (x < shown.left - edge) | (x > shown.right + edge)
    assert (decoded[outside] == 0).all(), "cropped pixels get the ignored value"
    assert set(np.unique(decoded[inside])) <= {1, 2, 3}
    step = max((shown.bottom - shown.top) / size[0], (shown.right - shown.left) / size[1], 1)
    certain = inside & away_from_borders(mask, math.ceil(step))
    np.testing.assert_array_equal(decoded[certain], mask[certain])
    if resize != "crop":
        assert inside.all()


def test_cropped_pixels_are_255_where_no_value_is_ignored() -> None:
    target = Mask(("a", "b"), (0, 1))
    prediction = torch.tensor([0.1, 0.9])[:, None, None].expand(2, 4, 4)
    assert (
        target.decode(prediction, geometry_of((4, 8), (4, 4), "crop")).tolist()
        == [[255, 255, 1, 1, 1, 1, 255, 255]] * 4
    )


def test_without_geometry_the_input_is_the_original() -> None:
    prediction = STREET.to_probabilities(STREET.encode(VALUES)[None])[0]
    np.testing.assert_array_equal(STREET.decode(prediction)[VALUES > 0], VALUES[VALUES > 0])
    decoded = STREET.decode(prediction, geometry_of((2, 3), (2, 3), "squish"))
    np.testing.assert_array_equal(decoded[VALUES > 0], VALUES[VALUES > 0])


@pytest.mark.parametrize("have", [(20, 40), (40, 20), (5, 8), (333, 1000)])
def test_predictions_for_padding_do_not_affect_the_edges(have: tuple[int, int]) -> None:
    size = (16, 16)
    shown = compute_geometry(have, size, "pad")
    resized = STREET.crop_and_scale(np.full(have, 1, np.uint8), shown, size)
    prediction = torch.tensor([0.6, 0.4, 0.0])[:, None, None].repeat(1, *size)
    prediction[:, resized == IGNORE] = torch.tensor([0.0, 0.0, 1.0])[:, None]
    assert (STREET.decode(prediction, torch.tensor(shown)) == 1).all()


def test_probabilities_are_interpolated_instead_of_classes() -> None:
    """Between a confident and an unsure pixel, the border is nearer to the unsure one."""
    prediction = torch.tensor([[[1.0, 0.4]], [[0.0, 0.6]], [[0.0, 0.0]]])
    decoded = STREET.decode(prediction, geometry_of((1, 20), (1, 2), "squish"))
    # Over the 10 pixels between the centres, class 0 decreases from 1 to 0.4: below one half after 5 / 6 of them.
    assert decoded.tolist() == [[1] * 13 + [2] * 7]


def test_probabilities_are_enlarged_as_torch_enlarges_them() -> None:
    probabilities = torch.rand(4, 7, 9, generator=torch.Generator().manual_seed(0))
    enlarged = torch.nn.functional.interpolate(probabilities[None], (33, 50), mode="bilinear", align_corners=False)[0]
    classes, visible = restore_classes(probabilities.numpy(), compute_geometry((33, 50), (7, 9), "squish"))
    assert visible.all()
    first, second = enlarged.topk(2, dim=0).values
    np.testing.assert_array_equal(classes[first - second > 1e-5], enlarged.argmax(0)[first - second > 1e-5])
