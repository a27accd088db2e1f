"""Points are moved with their image, and predicted in pixels of the original."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import onecycle as oc
from onecycle.errors import DataError
from onecycle.vision import augment as augments
from onecycle.vision.augment import Augment
from onecycle.vision.augmentations import Dihedral, HorizontalFlip, Rotate, Shift, VerticalFlip, Warp, Zoom
from onecycle.vision.decode import compute_geometry
from onecycle.vision.points import Points, points_target
from vision.point_images import centre_of_light, discs, dotted, tiny_learner

CHANGES = {
    "nothing": Augment(), "flip": Augment((HorizontalFlip(1.0),)), "upside down": Augment((VerticalFlip(1.0),)),
    "dihedral": Augment((Dihedral(),)), "rotate": Augment((Rotate(25, 1.0),)), "zoom": Augment((Zoom(1.3, 0.9, 1.0),)),
    "shift": Augment((Shift(0.1, 1.0),)), "warp": Augment((Warp(0.2, 1.0),)),
    "photographs": augments.default(),
}  # fmt: skip
sides = st.integers(8, 300)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("resize", ["crop", "squish", "pad"])
def test_labels_are_at_the_positions_of_the_dots(change: str, resize: Any, tmp_path: Path) -> None:
    """Two dots are drawn; after reading and augmentation they are at the positions of the labels."""
    rng = np.random.default_rng(len(change) + len(resize))
    where: dict[str, list[tuple[int, int]]] = {}
    for number in range(4):
        height, width = int(rng.integers(70, 110)), int(rng.integers(70, 110))
        red, blue = ((int(rng.integers(25, width - 25)), int(rng.integers(25, height - 25))) for _ in range(2))
        name = str(dotted(tmp_path / f"{number}.png", (height, width), {(255, 0, 0): red, (0, 0, 255): blue}))
        where[name] = [red, blue]
    labelled = (
        oc.ImageList.from_folder(tmp_path).split_by_index([0]).label_points(lambda path: where[str(path)], names="ab")
    )
    # Mirrored on purpose: the two dots are not a pair, so they must not be swapped.
    with pytest.warns(UserWarning, match="mirrored images") if CHANGES[change].mirrors else nullcontext():
        bunch = labelled.transform((64, 80), resize=resize, augment=CHANGES[change]).databunch(3, workers=0)
    for epoch in range(3):
        batch = bunch.prepared(bunch.train.dataset, [0, 1, 2], seed=epoch)
        assert batch.targets is not None
        for image, target in zip(batch.inputs, batch.targets, strict=True):
            for channel, point in ((0, target[0]), (2, target[1])):
                x, y = ((point + 1) / 2 * torch.tensor([80, 64]) - 0.5).tolist()
                if not (6 < x < 73 and 6 < y < 57):
                    continue  # cropped, or reflected at the edge
                assert centre_of_light(image, channel) == pytest.approx((x, y), abs=1.2)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from(["crop", "squish", "pad"]), st.data())
def test_decoding_inverts_crop_and_scale(
    height: int, width: int, to_height: int, to_width: int, resize: Any, data: st.DataObject
) -> None:
    x, y = data.draw(st.floats(-5, width + 5)), data.draw(st.floats(-5, height + 5))
    target, frame = Points(("a",)), compute_geometry((height, width), (to_height, to_width), resize)
    placed = target.crop_and_scale([[x, y]], frame, (to_height, to_width))
    np.testing.assert_allclose(target.decode(placed, torch.tensor(frame)), [[x, y]], atol=0.01)


def test_the_centre_of_the_first_pixel_is_zero() -> None:
    """With ten pixels a side, pixel 0 reaches from -1 to -0.8, so its centre is -0.9."""
    placed = Points(("a", "b")).crop_and_scale(
        [[0, 0], [9, 4.5]], compute_geometry((10, 10), (10, 10), "squish"), (10, 10)
    )
    torch.testing.assert_close(placed, torch.tensor([[-0.9, -0.9], [0.9, 0.0]]))


@pytest.mark.parametrize(
    ("change", "swapped"), [(HorizontalFlip(1.0), True), (VerticalFlip(1.0), True), (Rotate(20, 1.0), False)]
)
def test_only_mirrored_images_swap_pairs(change: Any, swapped: bool) -> None:
    target = points_target(["left", "right", "nose"], [("left", "right")])
    points = torch.tensor([[[-0.5, -0.2], [0.5, -0.2], [0.0, 0.3]]])
    matrices = Augment((change,)).draw_geometry(1, torch.Generator().manual_seed(0))
    plain = Points(target.classes).transform(points, matrices, (10, 10))
    order = [1, 0, 2] if swapped else [0, 1, 2]
    torch.testing.assert_close(target.transform(points, matrices, (10, 10)), plain[:, order])
    if isinstance(change, HorizontalFlip):  # the point called left is on the left again
        torch.testing.assert_close(target.transform(points, matrices, (10, 10))[0, 0], torch.tensor([-0.5, -0.2]))


def test_missing_points_stay_missing_and_have_no_gradient() -> None:
    target = Points(("a", "b"))
    placed = target.crop_and_scale(
        [[1.0, 2.0], [math.nan, math.nan]], compute_geometry((9, 9), (9, 9), "squish"), (9, 9)
    )
    moved = target.transform(placed[None], Augment((Warp(0.2, 1.0),)).draw_geometry(1, torch.Generator()), (9, 9))
    assert moved.isnan().tolist() == [[[False, False], [True, True]]]
    outputs = torch.zeros(1, 2, 2, requires_grad=True)
    target.loss()(outputs, moved).backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 1].tolist() == [0, 0]
    assert outputs.grad[0, 0].abs().min() > 0


def test_flip_pairs_name_existing_points_once() -> None:
    with pytest.raises(DataError, match=r"flip_pairs= names lft.\nExpected the points' names: left, right.\nFix.*left"):
        points_target(["left", "right"], [("lft", "right")])
    with pytest.raises(DataError, match=r"flip_pairs= names left twice.\nExpected each point at most once"):
        points_target(["left", "right"], [("left", "right"), ("left", "left")])


def test_pictures_show_dots_at_the_labels(tmp_path: Path) -> None:
    bunch = discs(tmp_path, 10)
    figure = bunch.show_batch(2, split="valid")
    x, y = bunch.valid.dataset.labels()[0][0]  # of an image of 60 x 60, drawn at 48 x 48
    drawn = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(drawn, [[(x + 0.5) * 0.8 - 0.5, (y + 0.5) * 0.8 - 0.5]], atol=0.01)
    results = tiny_learner(bunch).show_results(3)
    assert all(len(one.collections) == 2 for one in results.axes)  # label and prediction
    assert "(1, 2)" in bunch.explain()
