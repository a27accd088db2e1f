"""Combined augmentations: seeded, interpolated once, and with matrices that masks and points can use."""

import pickle
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import v2

from onecycle.errors import DataError
from onecycle.registry import register
from onecycle.vision import augment
from onecycle.vision.augment import PRESETS, Augment, as_augment
from onecycle.vision.augmentations import (
    Brightness,
    Dihedral,
    Erase,
    Geometric,
    HorizontalFlip,
    Pixelwise,
    Rotate,
    Shift,
    VerticalFlip,
    Warp,
    Zoom,
)
from onecycle.vision.batch_transforms import sample_pixels
from vision.augmentation_images import blob, middle_of, noise, seeded
from vision.test_augmentations import EVERY, assert_contract

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_keeps_the_contract(preset: str) -> None:
    assert_contract(PRESETS[preset]())


def test_no_augmentation_does_not_change_a_pixel() -> None:
    images = noise(2, 9, 14)
    assert torch.equal(augment.none().apply(images, (9, 14), seeded())[0], images.float())


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, st.sampled_from(list(PRESETS)))
def test_images_of_any_size_are_resized_to_any_other(have: tuple[int, int], want: tuple[int, int], preset: str) -> None:
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
def test_points_move_by_the_inverse_matrix(
    kinds: list[Any], have: tuple[int, int], want: tuple[int, int], place: tuple[float, float], seed: int
) -> None:
    """A dot at (x, y), -1 to 1, is found at matrix^-1 (x, y, 1)."""
    matrix = Augment(tuple(kind() for kind in kinds)).draw_geometry(1, seeded(seed), aspect=want[1] / want[0])
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
def test_the_returned_matrices_are_those_that_moved_the_pixels(
    kinds: list[Any], have: tuple[int, int], want: tuple[int, int], place: tuple[float, float], seed: int
) -> None:
    """A dot in each of four images is found at the position given by the inverse of the image's matrix."""
    dot = blob(*have, row=((place[1] + 1) * have[0] - 1) / 2, column=((place[0] + 1) * have[1] - 1) / 2)
    images = dot.round().to(torch.uint8).repeat(4, 3, 1, 1)
    pixels, matrices = Augment(tuple(kind() for kind in kinds)).apply(images, want, seeded(seed))
    compared = 0
    for image, matrix in zip(pixels, matrices, strict=True):
        x, y, scale = (torch.linalg.inv(matrix) @ torch.tensor([*place, 1.0])).tolist()
        column, row = ((x / scale + 1) * want[1] - 1) / 2, ((y / scale + 1) * want[0] - 1) / 2
        if 9 < row < want[0] - 10 and 9 < column < want[1] - 10:
            compared += 1
            assert middle_of(image[None, :1], (row, column)) == pytest.approx((row, column), abs=0.5)
    assume(compared)


def test_unmoved_pixels_have_identity_matrices() -> None:
    identity = torch.eye(3).repeat(2, 1, 1)
    for chosen in (Augment(), Augment((Brightness(), Erase())), Augment((HorizontalFlip(0.0), Rotate(20, 0.0)))):
        for size in ((9, 14), (18, 7)):
            torch.testing.assert_close(chosen.apply(noise(2, 9, 14), size, seeded())[1], identity)


def test_masks_get_no_new_classes_from_nearest_sampling() -> None:
    mask = (torch.arange(5).repeat_interleave(9)[:, None] + torch.arange(5).repeat_interleave(9)[None]).float()[
        None, None
    ]
    matrices = augment.default().draw_geometry(1, seeded(3))
    moved = sample_pixels(mask, matrices, (45, 45), nearest=True)
    assert set(moved.unique().tolist()) <= set(range(9))
    interpolated = sample_pixels(mask, matrices, (45, 45))
    assert (moved - interpolated).abs().max() <= 1


def test_geometry_is_interpolated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        augment, "sample_pixels", lambda *args, **options: calls.append(1) or sample_pixels(*args, **options)
    )
    Augment(tuple(kind() for kind in EVERY)).apply(noise(2, 20, 20), (16, 16), seeded())
    assert len(calls) == 1


def test_augmentations_are_applied_in_order() -> None:
    """First rotated, then mirrored: the same as two steps of sampling."""
    image = blob(41, 41, 12, 25)
    both = Augment((Rotate(40, 1.0), HorizontalFlip(1.0)))
    one = sample_pixels(image, both.draw_geometry(1, seeded(4)), (41, 41))
    turned = sample_pixels(image, Augment((Rotate(40, 1.0),)).draw_geometry(1, seeded(4)), (41, 41))
    assert middle_of(one) == pytest.approx(middle_of(turned.flip(3)), abs=0.1)


def test_presets_mirror_and_rotate_as_their_images_allow() -> None:
    def mirrored(chosen: Augment) -> Tensor:
        return torch.linalg.det(chosen.draw_geometry(300, seeded())[:, :2, :2]) < 0

    assert mirrored(augment.default()).any()
    assert not mirrored(augment.default(flip=False)).any()
    assert not mirrored(augment.document()).any(), "text is never mirrored"
    quarter = augment.satellite(zoom=1.0).draw_geometry(300, seeded())[:, 0, 0].abs() < 0.01
    assert 100 < quarter.sum() < 200, "half of the eight orientations are quarter turns"


def test_a_margin_is_read_only_for_augmentations_that_need_it() -> None:
    assert [augment.PRESETS[name]().margin for name in PRESETS] == [1, 1.15, 1.15, 1.15, 1.15]
    assert Augment((HorizontalFlip(), Dihedral(), Brightness(), Erase())).margin == 1


# --- what is accepted ---


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("satellite", augment.satellite()),
        ([HorizontalFlip(), Rotate(20)], Augment((HorizontalFlip(), Rotate(20)))),
        ((Brightness(),), Augment((Brightness(),))),
        (Erase(), Augment((Erase(),))),
        (augment.document(), augment.document()),
        ([], augment.none()),
    ],
    ids=["name", "list", "tuple", "single", "Augment", "empty"],
)
def test_names_lists_and_augmentations_become_an_augment(value: Any, expected: Augment) -> None:
    assert as_augment(value) == expected


def test_an_unknown_preset_is_refused_with_a_suggestion() -> None:
    message = (
        r"^augment='satelite'.\nExpected the name of a preset: none, default, satellite, document, scenes.\n"
        r"Fix: check the name, or pass a list of augmentations. Did you mean 'satellite'\?$"
    )
    with pytest.raises(DataError, match=message):
        as_augment("satelite")


@pytest.mark.parametrize(
    ("value", "what", "fix"),
    [
        (HorizontalFlip, r"<class '.*HorizontalFlip'> \(ABCMeta\)", r"create an instance: HorizontalFlip\(\)."),
        (augment.satellite, r"<function satellite .*> \(function\)", r"call the preset: augment.satellite\(\)."),
        ("satellite", r"'satellite' \(str\)", "pass augment= the name of a preset in transform"),
        (augment.default(), r"Augment\(.*\) \(Augment\)", r"combine their augmentations: Augment\(\(\*augment.default"),
        (
            v2.RandomSolarize(100),
            r"RandomSolarize\(.*\) \(RandomSolarize\)",
            "subclass augment.Pixelwise, and call it in",
        ),
        (lambda images: images, r"<function .*> \(function\)", "subclass augment.Pixelwise"),
        (
            None,
            r"None \(NoneType\)",
            r"pass a list such as \[HorizontalFlip\(\), Rotate\(20\)\], or the name of a preset",
        ),
    ],
    ids=["class", "preset", "name", "Augment", "torchvision", "function", "None"],
)
def test_anything_else_in_an_augment_is_refused(value: Any, what: str, fix: str) -> None:
    expected = "augmentations such as HorizontalFlip\\(\\), or of a subclass of Geometric, Colour or Pixelwise."
    with pytest.raises(DataError, match=rf"^{what} is not an augmentation.\nExpected {expected}\nFix: {fix}"):
        Augment((HorizontalFlip(), value))


def test_an_augment_takes_a_tuple() -> None:
    message = r"HorizontalFlip\(.*\) .* is not an .*\n.*\nFix: pass a tuple: Augment\(\(HorizontalFlip\(...\),\)\)."
    with pytest.raises(DataError, match=message):
        Augment(HorizontalFlip())  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"'flip' \(str\) is not an augmentation"):
        Augment("flip")  # type: ignore[arg-type]
    assert Augment([HorizontalFlip()]) == Augment((HorizontalFlip(),))  # type: ignore[arg-type]


# --- the user's own ---


class Invert(Pixelwise):
    """Not a dataclass, always applied."""

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return 255 - images


@dataclass(frozen=True)
class Transpose(Geometric):
    """Swap x and y."""

    probability: float = 1.0
    needs_margin: ClassVar[bool] = False
    mirrors: ClassVar[bool] = True

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]).repeat(count, 1, 1)


def test_own_augmentations_are_applied_after_and_with_the_others() -> None:
    images = noise(2, 9, 9)
    chosen = Augment((Invert(), Transpose()))
    changed = chosen.apply(images, (9, 9), seeded())[0]
    torch.testing.assert_close(changed, 255 - images.float().mT, atol=0.01, rtol=0)
    assert (chosen.margin, chosen.mirrors) == (1.0, True)
    assert str(chosen) == "Invert (1), Transpose (1)"
    assert pickle.loads(pickle.dumps(augment.default())) == augment.default()


def test_a_registered_augmentation_is_found_by_its_name() -> None:
    @register("augmentation", "mirrored")
    def mirrored() -> Augment:
        return Augment((HorizontalFlip(1.0),))

    @register("augmentation", "always_mirrored")
    class AlwaysMirrored(HorizontalFlip):
        pass

    assert as_augment("mirrored") == Augment((HorizontalFlip(1.0),))
    assert as_augment("always_mirrored").augmentations == (AlwaysMirrored(),)
    with pytest.raises(DataError, match=r"augment='miror'[\s\S]*none, default, [\s\S]*mirrored\."):
        as_augment("miror")
