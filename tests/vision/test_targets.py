"""Targets with positions in the image."""

import pytest
import torch

import onecycle as oc
from onecycle.data.categories import Category
from onecycle.vision.decode import compute_geometry
from onecycle.vision.targets import SpatialTarget, visible_boxes


def test_masks_and_points_have_positions_and_categories_do_not() -> None:
    assert isinstance(oc.Mask(("a", "b"), (0, 1)), SpatialTarget)
    assert isinstance(oc.Points(("a",)), SpatialTarget)
    assert not isinstance(Category(("a", "b")), SpatialTarget)


def test_a_spatial_target_must_define_all_its_methods() -> None:
    class Incomplete(SpatialTarget):
        pass

    with pytest.raises(TypeError, match="abstract methods"):
        Incomplete()  # type: ignore[abstract]


def test_visible_boxes_are_position_and_size() -> None:
    """A crop to the middle third, and padding by 50 rows above and below, both of 100 x 300 pixels."""
    crop, pad = compute_geometry((100, 300), (50, 50), "crop"), compute_geometry((100, 300), (60, 90), "pad")
    boxes = visible_boxes(torch.tensor([crop, pad]))
    torch.testing.assert_close(boxes, torch.tensor([[100.0, 0, 100, 100], [0, -50, 300, 200]]))
