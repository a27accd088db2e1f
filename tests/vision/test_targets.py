"""Targets with positions in the image."""

import pytest

import onecycle as oc
from onecycle.data.categories import Category
from onecycle.vision.targets import SpatialTarget


def test_masks_and_points_have_positions_and_categories_do_not() -> None:
    assert isinstance(oc.Mask(("a", "b"), (0, 1)), SpatialTarget)
    assert isinstance(oc.Points(("a",)), SpatialTarget)
    assert not isinstance(Category(("a", "b")), SpatialTarget)


def test_a_spatial_target_must_define_all_its_methods() -> None:
    class Incomplete(SpatialTarget):
        pass

    with pytest.raises(TypeError, match="abstract methods"):
        Incomplete()  # type: ignore[abstract]
