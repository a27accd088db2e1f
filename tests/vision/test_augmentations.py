"""Each augmentation: its strength and probability, against torch, torchvision and calculations by hand."""

import inspect
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import onecycle as oc
from onecycle.errors import DataError
from onecycle.vision import augment, augmentations
from onecycle.vision.augment import PRESETS, Augment
from onecycle.vision.augmentations import (
    Augmentation,
    Brightness,
    Colour,
    Contrast,
    Crop,
    Dihedral,
    Erase,
    Geometric,
    HorizontalFlip,
    Hue,
    Rotate,
    Saturation,
    Shift,
    VerticalFlip,
    Warp,
    Zoom,
)
from vision.augmentation_images import noise, seeded, smooth

EVERY = [
    HorizontalFlip,
    VerticalFlip,
    Dihedral,
    Rotate,
    Zoom,
    Crop,
    Shift,
    Warp,
    Brightness,
    Contrast,
    Saturation,
    Hue,
    Erase,
]
GEOMETRIC = [kind for kind in EVERY if issubclass(kind, Geometric)]
COLOUR = [kind for kind in EVERY if issubclass(kind, Colour)]


def concrete(kind: type) -> set[type]:
    found = {one for child in kind.__subclasses__() for one in concrete(child)}
    return found if inspect.isabstract(kind) or kind is Augmentation else found | {kind}


def test_all_augmentations_are_tested() -> None:
    assert {kind for kind in concrete(Augmentation) if kind.__module__ == augmentations.__name__} == set(EVERY)
    assert all(getattr(oc.augment, name) is preset for name, preset in PRESETS.items())


def assert_contract(chosen: Augment) -> None:
    """It repeats with the seed, does not change its input, keeps the shape, and stays between 0 and 255."""
    images = smooth(6, 21, 34)
    before = images.clone()
    first, matrices = chosen.apply(images, (21, 34), seeded(1))
    again = chosen.apply(images, (21, 34), seeded(1))
    assert torch.equal(first, again[0])
    assert torch.equal(matrices, again[1])
    assert torch.equal(images, before)
    assert (matrices.shape, matrices.dtype) == ((6, 3, 3), torch.float32)
    assert (first.shape, first.dtype) == (images.shape, torch.float32)
    assert 0 <= first.min() <= first.max() <= 255
    assert torch.isfinite(first).all()
    if chosen.augmentations:
        assert not torch.equal(first, chosen.apply(images, (21, 34), seeded(2))[0])
        assert not all(torch.equal(first[0], one) for one in first[1:]), "each image is changed differently"


@pytest.mark.parametrize("kind", EVERY)
def test_every_augmentation_keeps_the_contract(kind: Any) -> None:
    assert_contract(Augment((kind(),)))


@pytest.mark.parametrize("kind", EVERY)
def test_probability_zero_changes_nothing(kind: Any) -> None:
    images = noise(4, 13, 20)
    changed = Augment((kind(probability=0.0),)).apply(images, (13, 20), seeded())[0]
    torch.testing.assert_close(changed, images.float(), atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", GEOMETRIC + COLOUR)
def test_the_probability_is_the_fraction_of_images_that_change(kind: Any) -> None:
    matrices = kind(probability=0.3).draw_matrices(4000, seeded())
    changed = (matrices - torch.eye(matrices.shape[-1])).abs().amax((1, 2)) > 0
    expected = 0.3 * 7 / 8 if kind is Dihedral else 0.3  # one of the eight orientations is the identity
    assert changed.float().mean().item() == pytest.approx(expected, abs=0.03)  # four standard deviations


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_a_probability_is_between_zero_and_one(kind: Any, probability: float) -> None:
    name = kind.__name__
    message = rf"{name}\(probability={probability}\).\nExpected a probability from 0 to 1.\nFix: pass probability=0.5"
    with pytest.raises(DataError, match=message):
        kind(probability=probability)


def test_mirroring_augmentations_are_marked() -> None:
    assert [kind for kind in EVERY if Augment((Brightness(), kind())).mirrors] == [
        HorizontalFlip, VerticalFlip, Dihedral
    ]  # fmt: skip
    assert [name for name in PRESETS if PRESETS[name]().mirrors] == ["default", "satellite", "scenes"]
    assert not augment.default(flip=False).mirrors


def test_flips_equal_those_of_torch() -> None:
    images = noise(3, 8, 13)
    across = Augment((HorizontalFlip(1.0),)).apply(images, (8, 13), seeded())[0]
    down = Augment((VerticalFlip(1.0),)).apply(images, (8, 13), seeded())[0]
    torch.testing.assert_close(across, images.flip(3).float(), atol=0.01, rtol=0)
    torch.testing.assert_close(down, images.flip(2).float(), atol=0.01, rtol=0)


def test_dihedral_draws_exactly_the_eight_orientations() -> None:
    image = noise(1, 9, 9)
    eight = [turned for k in range(4) for turned in (image.rot90(k, (2, 3)), image.rot90(k, (2, 3)).flip(3))]
    seen = [
        next(number for number, one in enumerate(eight) if torch.allclose(out, one[0].float(), atol=0.01))
        for out in Augment((Dihedral(),)).apply(image.repeat(400, 1, 1, 1), (9, 9), seeded())[0]
    ]
    counts = [seen.count(number) for number in range(8)]
    assert min(counts) > 25, f"each about equally often, 50 of 400: {counts}"


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 60), st.integers(4, 60), st.integers(0, 100))
def test_rotation_does_not_shear_oblong_images(height: int, width: int, seed: int) -> None:
    """In pixels the matrix is orthogonal, with determinant 1."""
    matrix = Augment((Rotate(45, 1.0),)).draw_geometry(1, seeded(seed), aspect=width / height)[0]
    to_pixels = torch.diag(torch.tensor([width / 2, height / 2]))
    turn = to_pixels @ matrix[:2, :2] @ torch.linalg.inv(to_pixels)
    torch.testing.assert_close(turn @ turn.T, torch.eye(2), atol=1e-4, rtol=0)
    assert torch.linalg.det(turn).item() == pytest.approx(1, abs=1e-4)


def test_strengths_are_the_largest_changes() -> None:
    count = 2000
    turned = Rotate(10, 1.0).draw_matrices(count, seeded())
    angles = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 9.5 < angles.max() <= 10.001
    assert -10.001 <= angles.min() < -9.5
    factors = 1 / Zoom(1.2, 0.9, 1.0).draw_matrices(count, seeded())[:, 0, 0]
    assert (factors.min().item(), factors.max().item()) == pytest.approx((0.9, 1.2), abs=0.005)
    moved = Shift(0.1, 1.0).draw_matrices(count, seeded())[:, :2, 2]
    assert moved.abs().max().item() == pytest.approx(0.2, abs=0.005), "a tenth of the side, whose length is 2"
    light = Brightness(0.25, 1.0).draw_matrices(count, seeded())[:, 0, 0]
    assert (light.min().item(), light.max().item()) == pytest.approx((0.8, 1.25), abs=0.005)
    assert (light > 1).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_shift_moves_by_a_fraction_of_the_shorter_side() -> None:
    matrix = Augment((Shift(0.25, 1.0),)).draw_geometry(500, seeded(), aspect=2.0)
    across, down = (matrix[:, :2, 2].abs().amax(0) / 2).tolist()  # as fractions of the width and of the height
    assert (across * 40, down * 20) == pytest.approx((5, 5), abs=0.1)


@settings(max_examples=20, deadline=None)
@given(st.floats(1, 4), st.floats(0.4, 2.5), st.integers(0, 100))
def test_a_crop_is_a_part_of_the_image_of_the_same_shape(largest: float, aspect: float, seed: int) -> None:
    """Its corners lie inside the image, whose coordinates run from -1 to 1, however oblong the image is."""
    matrices = Augment((Crop(largest, 1.0),)).draw_geometry(50, seeded(seed), aspect=aspect)
    corners = matrices @ torch.tensor([[-1.0, 1.0, -1.0, 1.0], [-1.0, -1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    assert corners[:, :2].abs().max() <= 1 + 1e-5
    torch.testing.assert_close(matrices[:, 0, 0], matrices[:, 1, 1])


def test_crops_reach_every_edge_and_every_scale_as_often() -> None:
    matrices = Augment((Crop(4.0, 1.0),)).draw_geometry(4000, seeded(), aspect=0.5)
    factors = 1 / matrices[:, 0, 0]
    assert ((factors.min().item(), factors.max().item())) == pytest.approx((1, 4), rel=0.01)
    assert (factors > 2).float().mean().item() == pytest.approx(0.5, abs=0.04), "half of the octaves"
    ends = matrices[:, :2, 2].abs() + 1 / factors[:, None]
    assert (ends > 0.99).float().mean(0).min() > 0.02, "across and down"


def test_brightness_equals_that_of_torchvision() -> None:
    images = noise(3, 6, 7)
    chosen = Augment((Brightness(0.5, 1.0),))
    factors = chosen.draw_colour(3, seeded(2))[:, 0, 0].tolist()
    expected = [
        reference.adjust_brightness(one / 255, factor) * 255 for one, factor in zip(images, factors, strict=True)
    ]
    torch.testing.assert_close(chosen.apply(images, (6, 7), seeded(2))[0], torch.stack(expected), atol=0.01, rtol=0)


def test_saturation_equals_that_of_torchvision() -> None:
    images = noise(3, 6, 7)
    chosen = Augment((Saturation(0.5, 1.0),))
    matrices = chosen.draw_colour(3, seeded(2))
    factors = [(matrix[0, 0] - matrix[1, 0]).item() for matrix in matrices]  # both contain the same share of grey
    expected = [
        reference.adjust_saturation(one / 255, factor) * 255 for one, factor in zip(images, factors, strict=True)
    ]
    torch.testing.assert_close(chosen.apply(images, (6, 7), seeded(2))[0], torch.stack(expected), atol=0.1, rtol=0)


def test_contrast_scales_about_mid_grey() -> None:
    images = noise(3, 6, 7)
    chosen = Augment((Contrast(0.5, 1.0),))
    factors = chosen.draw_colour(3, seeded(2))[:, 0, 0].view(3, 1, 1, 1)
    expected = ((images.float() - 127.5) * factors + 127.5).clamp(0, 255)
    torch.testing.assert_close(chosen.apply(images, (6, 7), seeded(2))[0], expected, atol=0.01, rtol=0)


def test_hue_is_a_rotation_that_does_not_change_grey() -> None:
    matrices = Hue(30, 1.0).draw_matrices(500, seeded())[:, :3, :3]
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).expand_as(matrices), atol=1e-5, rtol=0)
    torch.testing.assert_close(matrices.sum(2), torch.ones(500, 3), atol=1e-5, rtol=0)
    angles = torch.rad2deg(torch.acos(((matrices.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)))
    assert 29 < angles.max() <= 30.1, "a rotation's trace is 1 + 2 cos(angle)"


def test_erase_fills_one_square_of_at_most_the_given_size() -> None:
    images = noise(200, 20, 30).clamp(max=100)
    erased = Augment((Erase(0.15, 1.0),)).apply(images, (20, 30), seeded())[0]
    grey = (erased == 127.5).all(1)
    assert torch.equal(erased[:, 0][~grey], images[:, 0][~grey].float())
    rows, columns = grey.any(2), grey.any(1)
    assert torch.equal(grey, rows[:, :, None] & columns[:, None, :]), "a rectangle"
    assert (rows.sum(1) <= 0.15**0.5 * 20 + 1).all()
    assert (columns.sum(1) <= 0.15**0.5 * 30 + 1).all()
    assert 0.02 < grey.float().mean() < 0.15


def test_augmentations_print_their_strength_and_probability() -> None:
    assert (
        str(Augment((Rotate(20, 0.5), Zoom(), HorizontalFlip())))
        == "Rotate 20 (0.5), Zoom 1.15 1 (0.75), HorizontalFlip (0.5)"
    )
    assert str(augment.none()) == "none"
