"""Augmentation: seeded, once interpolated, and masks and points can follow the image by the same matrix."""

import inspect
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

import onecycle as oc
from onecycle.errors import DataError
from onecycle.vision import augment
from onecycle.vision.augment import (
    PRESETS,
    Augment,
    Augmentation,
    Brightness,
    Colour,
    Contrast,
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
    change_colour,
    sample_pixels,
)

EVERY = [
    HorizontalFlip,
    VerticalFlip,
    Dihedral,
    Rotate,
    Zoom,
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
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, height, width), generator=seeded(), dtype=torch.uint8)


def smooth(count: int, height: int, width: int) -> Tensor:
    """Colours that grow to the right, downwards, and to the right and down."""
    y, x = torch.meshgrid(torch.linspace(20, 235, height), torch.linspace(20, 235, width), indexing="ij")
    return torch.stack([x, y, (x + y) / 2]).round().to(torch.uint8).repeat(count, 1, 1, 1)


def blob(height: int, width: int, row: float, column: float) -> Tensor:
    """A bright round dot, float, (1, 1, height, width)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (255 * torch.exp(-((y - row) ** 2 + (x - column) ** 2) / 4))[None, None]


def middle_of(image: Tensor, near: tuple[float, float] | None = None) -> tuple[float, float]:
    """Row and column of the centre of light of an image, (1, 1, height, width).

    With `near`, of what lies within 9 pixels of there: at the edges a dot may be seen again, reflected.
    """
    weights = image[0, 0].clone()
    if near is not None:
        weights[(torch.arange(weights.shape[0]) - near[0]).abs() > 9] = 0
        weights[:, (torch.arange(weights.shape[1]) - near[1]).abs() > 9] = 0
    weights /= weights.sum()
    rows, columns = weights.sum(1), weights.sum(0)
    return (rows * torch.arange(len(rows))).sum().item(), (columns * torch.arange(len(columns))).sum().item()


def concrete(kind: type) -> set[type]:
    found = {one for child in kind.__subclasses__() for one in concrete(child)}
    return found if inspect.isabstract(kind) or kind is Augmentation else found | {kind}


def test_the_list_of_contracts_is_complete() -> None:
    assert {kind for kind in concrete(Augmentation) if kind.__module__ == augment.__name__} == set(EVERY)
    assert all(getattr(oc.augment, name) is preset for name, preset in PRESETS.items())


def contract(chosen: Augment) -> None:
    """Repeats with the seed, leaves its input unchanged, keeps the shape, stays within 0 to 255."""
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
        assert not all(torch.equal(first[0], one) for one in first[1:]), "each image has its own draw"


@pytest.mark.parametrize("kind", EVERY)
def test_every_augmentation_keeps_the_contract(kind: Any) -> None:
    contract(Augment((kind(),)))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_keeps_the_contract(preset: str) -> None:
    contract(PRESETS[preset]())


@pytest.mark.parametrize("kind", EVERY)
def test_probability_nought_changes_nothing(kind: Any) -> None:
    images = noise(4, 13, 20)
    changed = Augment((kind(probability=0.0),)).apply(images, (13, 20), seeded())[0]
    torch.testing.assert_close(changed, images.float(), atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", GEOMETRIC + COLOUR)
def test_the_probability_is_how_often_an_image_changes(kind: Any) -> None:
    matrices = kind(probability=0.3).matrix(4000, seeded())
    changed = (matrices - torch.eye(matrices.shape[-1])).abs().amax((1, 2)) > 0
    expected = 0.3 * 7 / 8 if kind is Dihedral else 0.3  # one of the eight orientations is the image itself
    assert changed.float().mean().item() == pytest.approx(expected, abs=0.03)  # four standard deviations


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_a_probability_lies_between_nought_and_one(kind: Any, probability: float) -> None:
    message = rf"{kind.__name__}\(probability={probability}\).\nExpected a number from 0 to 1.\nFix: pass 0.5"
    with pytest.raises(DataError, match=message):
        kind(probability=probability)


def test_no_augmentation_leaves_pixels_bit_for_bit() -> None:
    images = noise(2, 9, 14)
    assert torch.equal(augment.none().apply(images, (9, 14), seeded())[0], images.float())


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, st.sampled_from(list(PRESETS)))
def test_odd_and_oblong_images_come_out_at_any_size(have: tuple[int, int], want: tuple[int, int], preset: str) -> None:
    out = PRESETS[preset]().apply(noise(2, *have), want, seeded())[0]
    assert out.shape == (2, 3, *want)
    assert 0 <= out.min() <= out.max() <= 255


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([HorizontalFlip, VerticalFlip, Rotate, Zoom, Shift, Warp]), min_size=1, max_size=4),
    st.tuples(st.integers(41, 72), st.integers(41, 72)),
    st.tuples(st.integers(41, 72), st.integers(41, 72)),
    st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    st.integers(0, 1000),
)
def test_a_point_lands_where_the_inverse_matrix_says(
    kinds: list[Any], have: tuple[int, int], want: tuple[int, int], place: tuple[float, float], seed: int
) -> None:
    """The proof that points can follow: a dot at (x, y), -1 to 1, is found at matrix^-1 (x, y, 1)."""
    matrix = Augment(tuple(kind() for kind in kinds)).geometry(1, seeded(seed), aspect=want[1] / want[0])
    x, y, scale = (torch.linalg.inv(matrix[0]) @ torch.tensor([*place, 1.0])).tolist()
    column, row = ((x / scale + 1) * want[1] - 1) / 2, ((y / scale + 1) * want[0] - 1) / 2
    assume(9 < row < want[0] - 10 and 9 < column < want[1] - 10)

    image = blob(*have, row=((place[1] + 1) * have[0] - 1) / 2, column=((place[0] + 1) * have[1] - 1) / 2)
    assert middle_of(sample_pixels(image, matrix, want), (row, column)) == pytest.approx((row, column), abs=0.5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from([HorizontalFlip, VerticalFlip, Dihedral, Rotate, Zoom, Shift, Warp, Brightness]),
        min_size=1,
        max_size=5,
    ),
    st.tuples(st.integers(41, 72), st.integers(41, 72)),
    st.tuples(st.integers(41, 72), st.integers(41, 72)),
    st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    st.integers(0, 1000),
)
def test_the_matrices_that_come_with_the_pixels_are_those_that_moved_them(
    kinds: list[Any], have: tuple[int, int], want: tuple[int, int], place: tuple[float, float], seed: int
) -> None:
    """A dot in each of four images is found where the inverse of the image's own matrix puts it."""
    dot = blob(*have, row=((place[1] + 1) * have[0] - 1) / 2, column=((place[0] + 1) * have[1] - 1) / 2)
    images = dot.round().to(torch.uint8).repeat(4, 3, 1, 1)
    pixels, matrices = Augment(tuple(kind() for kind in kinds)).apply(images, want, seeded(seed))
    followed = 0
    for image, matrix in zip(pixels, matrices, strict=True):
        x, y, scale = (torch.linalg.inv(matrix) @ torch.tensor([*place, 1.0])).tolist()
        column, row = ((x / scale + 1) * want[1] - 1) / 2, ((y / scale + 1) * want[0] - 1) / 2
        if 9 < row < want[0] - 10 and 9 < column < want[1] - 10:
            followed += 1
            assert middle_of(image[None, :1], (row, column)) == pytest.approx((row, column), abs=0.5)
    assume(followed)


def test_pixels_that_were_not_moved_come_with_the_identity() -> None:
    still = torch.eye(3).repeat(2, 1, 1)
    for chosen in (Augment(), Augment((Brightness(), Erase())), Augment((HorizontalFlip(0.0), Rotate(20, 0.0)))):
        for size in ((9, 14), (18, 7)):
            torch.testing.assert_close(chosen.apply(noise(2, 9, 14), size, seeded())[1], still)


def test_what_mirrors_says_so() -> None:
    assert [kind for kind in EVERY if Augment((Brightness(), kind())).mirrors] == [
        HorizontalFlip, VerticalFlip, Dihedral
    ]  # fmt: skip
    assert [name for name in PRESETS if PRESETS[name]().mirrors] == ["default", "satellite"]
    assert not augment.default(flip=False).mirrors


def test_a_mask_follows_its_image_without_new_classes() -> None:
    mask = (torch.arange(5).repeat_interleave(9)[:, None] + torch.arange(5).repeat_interleave(9)[None]).float()[
        None, None
    ]
    matrices = augment.default().geometry(1, seeded(3))
    moved = sample_pixels(mask, matrices, (45, 45), nearest=True)
    assert set(moved.unique().tolist()) <= set(range(9))
    interpolated = sample_pixels(mask, matrices, (45, 45))
    assert (moved - interpolated).abs().max() <= 1


def test_flips_are_those_of_torch() -> None:
    images = noise(3, 8, 13)
    across = Augment((HorizontalFlip(1.0),)).apply(images, (8, 13), seeded())[0]
    down = Augment((VerticalFlip(1.0),)).apply(images, (8, 13), seeded())[0]
    torch.testing.assert_close(across, images.flip(3).float(), atol=0.01, rtol=0)
    torch.testing.assert_close(down, images.flip(2).float(), atol=0.01, rtol=0)


def test_dihedral_gives_exactly_the_eight_orientations() -> None:
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
def test_rotate_turns_an_oblong_image_without_shearing(height: int, width: int, seed: int) -> None:
    """In pixels the matrix is orthogonal, with determinant 1."""
    matrix = Augment((Rotate(45, 1.0),)).geometry(1, seeded(seed), aspect=width / height)[0]
    to_pixels = torch.diag(torch.tensor([width / 2, height / 2]))
    turn = to_pixels @ matrix[:2, :2] @ torch.linalg.inv(to_pixels)
    torch.testing.assert_close(turn @ turn.T, torch.eye(2), atol=1e-4, rtol=0)
    assert torch.linalg.det(turn).item() == pytest.approx(1, abs=1e-4)


def test_strengths_are_the_most_that_happens() -> None:
    count = 2000
    turned = Rotate(10, 1.0).matrix(count, seeded())
    angles = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 9.5 < angles.max() <= 10.001
    assert -10.001 <= angles.min() < -9.5
    factors = 1 / Zoom(1.2, 0.9, 1.0).matrix(count, seeded())[:, 0, 0]
    assert (factors.min().item(), factors.max().item()) == pytest.approx((0.9, 1.2), abs=0.005)
    moved = Shift(0.1, 1.0).matrix(count, seeded())[:, :2, 2]
    assert moved.abs().max().item() == pytest.approx(0.2, abs=0.005), "a tenth of the side, which is 2 long"
    light = Brightness(0.25, 1.0).matrix(count, seeded())[:, 0, 0]
    assert (light.min().item(), light.max().item()) == pytest.approx((0.8, 1.25), abs=0.005)
    assert (light > 1).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_shift_moves_by_a_fraction_of_the_shorter_side() -> None:
    matrix = Augment((Shift(0.25, 1.0),)).geometry(500, seeded(), aspect=2.0)
    across, down = (matrix[:, :2, 2].abs().amax(0) / 2).tolist()  # as fractions of the width and of the height
    assert (across * 40, down * 20) == pytest.approx((5, 5), abs=0.1)


def test_geometry_is_interpolated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = torch.nn.functional.grid_sample
    monkeypatch.setattr(
        torch.nn.functional, "grid_sample", lambda *args, **options: calls.append(1) or original(*args, **options)
    )
    Augment(tuple(kind() for kind in EVERY)).apply(noise(2, 20, 20), (16, 16), seeded())
    assert len(calls) == 1


def test_four_quarter_turns_in_one_product_lose_no_sharpness() -> None:
    image = noise(1, 12, 12).float()
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    product = torch.linalg.matrix_power(quarter, 4)[None]
    torch.testing.assert_close(sample_pixels(image, product, (12, 12)), image, atol=0.01, rtol=0)


def test_augmentations_apply_in_the_order_given() -> None:
    """First turned, then mirrored: the same as two steps of sampling."""
    image = blob(41, 41, 12, 25)
    both = Augment((Rotate(40, 1.0), HorizontalFlip(1.0)))
    one = sample_pixels(image, both.geometry(1, seeded(4)), (41, 41))
    turned = sample_pixels(image, Augment((Rotate(40, 1.0),)).geometry(1, seeded(4)), (41, 41))
    assert middle_of(one) == pytest.approx(middle_of(turned.flip(3)), abs=0.1)


def test_what_lies_outside_is_a_reflection() -> None:
    image = torch.arange(1.0, 5).view(1, 1, 1, 4)
    shifted = torch.eye(3)[None].clone()
    shifted[0, 0, 2] = 1.0  # by half the width
    assert sample_pixels(image, shifted, (1, 4)).flatten().tolist() == pytest.approx([3, 4, 4, 3])


def test_brightness_is_torchvisions() -> None:
    images = noise(3, 6, 7)
    chosen = Augment((Brightness(0.5, 1.0),))
    factors = chosen.colour(3, seeded(2))[:, 0, 0].tolist()
    expected = [
        reference.adjust_brightness(one / 255, factor) * 255 for one, factor in zip(images, factors, strict=True)
    ]
    torch.testing.assert_close(chosen.apply(images, (6, 7), seeded(2))[0], torch.stack(expected), atol=0.01, rtol=0)


def test_saturation_is_torchvisions() -> None:
    images = noise(3, 6, 7)
    chosen = Augment((Saturation(0.5, 1.0),))
    matrices = chosen.colour(3, seeded(2))
    factors = [(matrix[0, 0] - matrix[1, 0]).item() for matrix in matrices]  # both lose the same share of grey
    expected = [
        reference.adjust_saturation(one / 255, factor) * 255 for one, factor in zip(images, factors, strict=True)
    ]
    torch.testing.assert_close(chosen.apply(images, (6, 7), seeded(2))[0], torch.stack(expected), atol=0.1, rtol=0)


def test_contrast_scales_about_mid_grey() -> None:
    images = noise(3, 6, 7)
    chosen = Augment((Contrast(0.5, 1.0),))
    factors = chosen.colour(3, seeded(2))[:, 0, 0].view(3, 1, 1, 1)
    expected = ((images.float() - 127.5) * factors + 127.5).clamp(0, 255)
    torch.testing.assert_close(chosen.apply(images, (6, 7), seeded(2))[0], expected, atol=0.01, rtol=0)


def test_hue_is_a_rotation_that_leaves_grey_alone() -> None:
    matrices = Hue(30, 1.0).matrix(500, seeded())[:, :3, :3]
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).expand_as(matrices), atol=1e-5, rtol=0)
    torch.testing.assert_close(matrices.sum(2), torch.ones(500, 3), atol=1e-5, rtol=0)
    angles = torch.rad2deg(torch.acos(((matrices.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)))
    assert 29 < angles.max() <= 30.1, "a rotation's trace is 1 + 2 cos(angle)"


def test_colours_stay_within_range() -> None:
    grey = torch.full((1, 3, 2, 2), 200.0)
    assert (change_colour(grey, 2 * torch.eye(4)[None]) == 255).all()
    assert (change_colour(grey, -torch.eye(4)[None]) == 0).all()


def test_erase_fills_one_square_of_grey_no_larger_than_asked() -> None:
    images = noise(200, 20, 30).clamp(max=100)
    erased = Augment((Erase(0.15, 1.0),)).apply(images, (20, 30), seeded())[0]
    grey = (erased == 127.5).all(1)
    assert torch.equal(erased[:, 0][~grey], images[:, 0][~grey].float())
    rows, columns = grey.any(2), grey.any(1)
    assert torch.equal(grey, rows[:, :, None] & columns[:, None, :]), "a rectangle"
    assert (rows.sum(1) <= 0.15**0.5 * 20 + 1).all()
    assert (columns.sum(1) <= 0.15**0.5 * 30 + 1).all()
    assert 0.02 < grey.float().mean() < 0.15


def test_presets_suit_their_pictures() -> None:
    def mirrored(chosen: Augment) -> Tensor:
        return torch.linalg.det(chosen.geometry(300, seeded())[:, :2, :2]) < 0

    assert mirrored(augment.default()).any()
    assert not mirrored(augment.default(flip=False)).any()
    assert not mirrored(augment.document()).any(), "text is never mirrored"
    quarter = augment.satellite(zoom=1.0).geometry(300, seeded())[:, 0, 0].abs() < 0.01
    assert 100 < quarter.sum() < 200, "half of the eight orientations are quarter turns"


def test_a_margin_is_read_only_where_pixels_beyond_the_edge_are_wanted() -> None:
    assert [augment.PRESETS[name]().margin for name in ("none", "default", "satellite", "document")] == [
        1,
        1.15,
        1.15,
        1.15,
    ]
    assert Augment((HorizontalFlip(), Dihedral(), Brightness(), Erase())).margin == 1


def test_augmentations_print_their_strength_and_probability() -> None:
    assert (
        str(Augment((Rotate(20, 0.5), Zoom(), HorizontalFlip())))
        == "Rotate 20 (0.5), Zoom 1.15 1 (0.75), HorizontalFlip (0.5)"
    )
    assert str(augment.none()) == "none"
