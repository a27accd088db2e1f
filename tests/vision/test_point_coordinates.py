"""Points of the image that a model sees, in the original image, and back."""

import numpy as np
import pytest
import torch

from onecycle.vision.decode import compute_geometry
from onecycle.vision.point_coordinates import to_original, to_resized

# A crop to the middle third, and padding by 50 rows above and below, both of 100 x 300 pixels.
CROP, PAD = compute_geometry((100, 300), (50, 50), "crop"), compute_geometry((100, 300), (60, 90), "pad")
CORNERS = [[-1.0, -1.0], [1.0, 1.0]]


@pytest.mark.parametrize("make", [torch.tensor, lambda values: np.array(values, np.float32)])
def test_corners_are_those_of_the_visible_boxes(make) -> None:  # type: ignore[no-untyped-def]
    geometries = make([list(CROP), list(PAD)])
    originals = to_original(make([CORNERS, CORNERS]), geometries)
    assert (originals + 0.5).tolist() == [[[100, 0], [200, 100]], [[0, -50], [300, 150]]]
    np.testing.assert_allclose(to_resized(originals, geometries).tolist(), [CORNERS, CORNERS], atol=1e-6)
