"""A class for every pixel: masks are read as they are, lie where their image lies, and come back at its own size."""

import io
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

import onecycle as oc
from onecycle.data.modality import Batch
from onecycle.data.target import Target, same_answers
from onecycle.errors import DataError
from onecycle.vision import mask_labels
from onecycle.vision.augment import PRESETS
from onecycle.vision.decode import Frame, decode_framed, frame_of
from onecycle.vision.images import Images
from onecycle.vision.mask_files import mask_values
from onecycle.vision.mask_labels import balanced_weights, look_at, mask_target
from onecycle.vision.masks import Mask
from onecycle.vision.targets import SpatialTarget
from patches import NAMES, assert_told, blocks

IGNORE = 255
# As of codes.txt whose first line is ignored: class numbers and values in files differ by one.
STREET = Mask(("Sky", "Road", "Car"), (1, 2, 3), (0,))
COLOURS = ((128, 128, 128), (0, 0, 255), (0, 255, 0), (255, 0, 0))
resizes = st.sampled_from(["crop", "squish", "pad"])


def small(*rows: Sequence[int], dtype: Any = np.uint8) -> np.ndarray:
    return np.array(rows, dtype)


VALUES = small([0, 1, 2], [3, 2, 1])


def saved(image: Image.Image | np.ndarray, path: Path, **options: Any) -> Path:
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


def told(call: Callable[[], Any], what: str, expected: str, fix: str) -> None:
    with pytest.raises(DataError) as error:
        call()
    assert_told(error.value, what, expected, fix)


def frame(have: tuple[int, int], size: tuple[int, int], resize: Any) -> Tensor:
    return torch.tensor(frame_of(have, size, resize), dtype=torch.float32)


def away_from_borders(mask: np.ndarray, distance: int) -> np.ndarray:
    """Where all of the square of `distance` pixels around a pixel is of its value; what lies outside is not."""
    padded = np.pad(mask.astype(np.int64), distance, constant_values=-1)
    around = np.lib.stride_tricks.sliding_window_view(padded, (2 * distance + 1, 2 * distance + 1))
    return (around == mask[..., None, None]).all((2, 3))


# --- files ---


def in_palette(values: np.ndarray) -> Image.Image:
    image = Image.fromarray(values).convert("P")
    image.putpalette([200, 10, 20, 5, 6, 7, 200, 10, 20, 255, 255, 255])  # of which two colours are alike
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(VALUES),
        in_palette(VALUES),
        Image.fromarray(VALUES.astype(np.uint16)),
        Image.fromarray(VALUES[..., None].repeat(3, 2)),
        Image.merge("LA", [Image.fromarray(VALUES), Image.new("L", (3, 2), 255)]),
    ],
    ids=["grey", "palette", "16 bits", "grey as RGB", "grey and alpha"],
)
def test_an_index_mask_is_read_as_its_values(image: Image.Image, tmp_path: Path) -> None:
    values = mask_values(saved(image, tmp_path / "mask.png"))
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, VALUES)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif"])
def test_formats_without_loss_are_read_alike(suffix: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(mask_values(saved(VALUES, tmp_path / f"mask.{suffix}")), VALUES)


def test_a_mask_of_one_bit_holds_0_and_1(tmp_path: Path) -> None:
    path = saved(Image.fromarray(VALUES > 1), tmp_path / "mask.png")
    np.testing.assert_array_equal(mask_values(path), VALUES > 1)


def test_numbers_in_a_tiff_of_floats_are_read_where_they_are_whole(tmp_path: Path) -> None:
    np.testing.assert_array_equal(mask_values(saved(VALUES.astype(np.float32), tmp_path / "a.tif")), VALUES)


def test_a_mask_is_turned_as_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert mask_values(saved(VALUES, tmp_path / "mask.png", exif=exif)).tolist() == np.rot90(VALUES, -1).tolist()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_looked_up(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.array(COLOURS, np.uint8)[VALUES]).convert(mode, palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(mask_values(saved(image, tmp_path / "mask.png"), COLOURS), VALUES)


def test_black_and_white_are_two_colours(tmp_path: Path) -> None:
    target = mask_target(["ground", "building"], None, [(0, 0, 0), (255, 255, 255)])
    path = saved(small([0, 255, 255]), tmp_path / "mask.png")
    assert target.encode(str(path)).tolist() == [[0, 1, 1]]


def test_a_colour_that_stands_for_nothing_is_told_with_its_count(tmp_path: Path) -> None:
    pixels = np.array(COLOURS, np.uint8)[VALUES]
    pixels[0] = (9, 8, 7), (9, 8, 7), (1, 2, 3)
    path = saved(pixels, tmp_path / "mask.png")
    told(
        lambda: mask_values(path, COLOURS),
        f"The mask {path} holds colours that stand for no class: (9, 8, 7) (2 pixels), (1, 2, 3) (1 pixels).",
        "only the colours of colours=.",
        "add them to colours= and classes=; blurred edges mean that the mask was scaled or compressed.",
    )


def test_a_coloured_mask_without_a_table_is_told(tmp_path: Path) -> None:
    path = saved(np.array(COLOURS, np.uint8)[VALUES], tmp_path / "mask.png")
    told(
        lambda: mask_values(path),
        f"The mask {path} is in colour, and it is not said which colour is which class.",
        "an index mask, whose grey values are class numbers, or a table of colours.",
        "pass colours=, a (red, green, blue) for each class.",
    )


@pytest.mark.parametrize(("suffix", "kind"), [("jpg", "JPEG"), ("webp", "WEBP")])
@pytest.mark.parametrize("colours", [None, COLOURS])
def test_compression_with_loss_is_refused(suffix: str, kind: str, colours: Any, tmp_path: Path) -> None:
    path = saved(np.array(COLOURS, np.uint8)[VALUES], tmp_path / f"mask.{suffix}")
    told(
        lambda: mask_values(path, colours),
        f"The mask {path} is a {kind}: its compression changes values, so that classes are lost.",
        "a mask as PNG, or another format without loss.",
        "export the masks again as PNG.",
    )


@pytest.mark.parametrize(
    ("values", "span"),
    [
        (small([0, 256], dtype=np.uint16), "0 to 256"),
        (small([0, -1], dtype=np.int32), "-1 to 0"),
        (small([0, 1.5], dtype=np.float32), "0 to 1.5"),
    ],
    ids=["above 255", "below 0", "between"],
)
def test_values_that_are_no_bytes_are_told(values: np.ndarray, span: str, tmp_path: Path) -> None:
    path = saved(values, tmp_path / "mask.tif")
    told(
        lambda: mask_values(path),
        f"The mask {path} holds values from {span}.",
        "whole numbers from 0 to 255.",
        "write the class numbers as 8-bit PNG.",
    )


def test_a_broken_mask_is_told_as_any_broken_image(tmp_path: Path) -> None:
    content = saved(blocks(0, (64, 64), side=1), tmp_path / "mask.png").read_bytes()
    (tmp_path / "mask.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"mask.png is damaged: .*\nExpected a complete image file.\nFix: replace it"):
        mask_values(tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"^No such file: .*none.png.\nExpected an image file.\nFix: check the path.$"):
        mask_values(tmp_path / "none.png")


# --- what stands for what ---


def test_values_become_class_numbers_and_the_ignored_255(tmp_path: Path) -> None:
    encoded = STREET.encode(str(saved(VALUES, tmp_path / "mask.png")))
    assert encoded.dtype == torch.uint8
    assert encoded.tolist() == [[IGNORE, 0, 1], [2, 1, 0]]
    assert STREET.encode(VALUES).tolist() == encoded.tolist(), "an array of values does as well"


def test_foreign_values_are_told_with_their_counts_and_the_file(tmp_path: Path) -> None:
    path = saved(small([0, 1, 9], [9, 200, 3]), tmp_path / "mask.png")
    told(
        lambda: STREET.encode(str(path)),
        f"{path} holds values that are no class: 9 (2 pixels), 200 (1 pixels).",
        "one of 0, 1, 2, 3, which stand for Sky, Road, Car.",
        "add the missing names to classes=, or pass ignore=9 where such pixels do not count.",
    )
    with pytest.raises(DataError, match=r"^The mask holds values that are no class: 7 \(1 pixels\)"):
        STREET.encode(small([7]))


def test_classes_are_places_in_the_list_or_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_bytes("\ufeffVoid\r\nSky\r\n\r\nRoad \r\nCar".encode())
    for classes in (NAMES, tmp_path / "codes.txt", str(tmp_path / "codes.txt")):
        assert mask_target(classes, "Void", None) == STREET


@pytest.mark.parametrize(
    ("ignore", "ignored"),
    [(None, ()), ("Void", (0,)), (0, (0,)), (["Void", 255], (0, 255)), ([3, "Road"], (3, 2)), (200, (200,))],
)
def test_names_and_values_may_be_ignored(ignore: Any, ignored: tuple[int, ...]) -> None:
    target = mask_target(NAMES, ignore, None)
    values = tuple(value for value in range(4) if value not in ignored)
    assert target == Mask(tuple(NAMES[value] for value in values), values, ignored)
    assert target.encode(small(ignored)).tolist() == [[IGNORE] * len(ignored)]
    assert target.outputs == len(values)


def test_an_unknown_name_to_be_ignored_is_told_with_the_nearest() -> None:
    told(
        lambda: mask_target(NAMES, ["Viod"], None),
        "ignore= names Viod.",
        "one of the classes: Void, Sky, Road, Car.",
        "check it. Did you mean 'Void'?",
    )


@pytest.mark.parametrize("ignore", [-1, 256, [0, 300]])
def test_what_cannot_be_in_a_file_cannot_be_ignored(ignore: Any) -> None:
    told(
        lambda: mask_target(NAMES, ignore, None),
        f"ignore={ignore!r}.",
        "values from 0 to 255, or names of classes.",
        "check ignore=.",
    )


@pytest.mark.parametrize(
    ("classes", "ignore", "what"),
    [
        (["Sky"], None, "There are 1 classes to predict, 1 different names of 1."),
        (["Void", "Sky"], "Void", "There are 1 classes to predict, 2 different names of 2."),
        (["Sky", "Road", "Sky"], None, "There are 3 classes to predict, 2 different names of 3."),
        ([str(number) for number in range(255)], None, "There are 255 classes to predict, 255 different names of 255."),
    ],
    ids=["one", "one that counts", "twice", "many"],
)
def test_two_classes_or_more_each_with_a_name(classes: list[str], ignore: Any, what: str) -> None:
    told(
        lambda: mask_target(classes, ignore, None),
        what,
        "2 to 254, each with its own name.",
        "check classes= and ignore=.",
    )


def test_254_classes_fit() -> None:
    target = mask_target([str(number) for number in range(254)], None, None)
    every = np.arange(254, dtype=np.uint8)[None]
    np.testing.assert_array_equal(target.encode(every), every)


def test_an_unreadable_list_of_classes_is_told(tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_bytes(b"caf\xe9\n")
    message = r"^Cannot read .*codes.txt: .*utf-8.*\nExpected a text file, a class a line.\nFix: check classes=.$"
    with pytest.raises(DataError, match=message):
        mask_target(tmp_path / "codes.txt", None, None)
    with pytest.raises(DataError, match=r"^Cannot read none.txt: .*No such file"):
        mask_target("none.txt", None, None)


def test_a_colour_a_class() -> None:
    told(lambda: mask_target(NAMES, None, COLOURS[:3]), "3 colours for 4 classes.", "one a class.", "check colours=.")


@pytest.mark.parametrize(
    ("colours", "what"),
    [
        ([(0, 0, 0), (0, 0, 256)], "colours= holds (0, 0, 256)."),
        ([(0, 0, 0), (0, 9)], "colours= holds (0, 9)."),
        ([(7, 7, 7), (7, 7, 7)], "colours= names (7, 7, 7) more than once."),
    ],
)
def test_colours_are_three_bytes_and_differ(colours: Any, what: str) -> None:
    told(
        lambda: mask_target(["a", "b"], None, colours),
        what,
        "(red, green, blue) of each class, from 0 to 255, all different.",
        "check colours=.",
    )


def test_colours_may_be_an_array_of_numpy() -> None:
    assert mask_target(NAMES, None, np.array(COLOURS)).colours == COLOURS  # type: ignore[arg-type]


# --- looking at masks before training ---


def some_masks(folder: Path, count: int, bad: Sequence[int] = ()) -> list[str]:
    return [str(saved(small([1, 2, 9 if n in bad else 2, 0]), folder / f"{n:02}.png")) for n in range(count)]


def test_pixels_are_counted_class_by_class(tmp_path: Path) -> None:
    assert look_at(STREET, some_masks(tmp_path, 5)).tolist() == [5, 10, 0], "what is ignored is not counted"


def test_a_foreign_value_is_told_with_the_number_of_such_masks(tmp_path: Path) -> None:
    paths = some_masks(tmp_path, 6, bad=[1, 3, 4])
    told(
        lambda: look_at(STREET, paths),
        f"{paths[1]} holds values that are no class: 9 (1 pixels). So are 2 more of the 6 masks looked at.",
        "one of 0, 1, 2, 3, which stand for Sky, Road, Car.",
        "add the missing names to classes=, or pass ignore=9 where such pixels do not count.",
    )
    with pytest.raises(DataError, match=r"no class: 9 \(1 pixels\).\nExpected"):
        look_at(STREET, paths[:3])


def test_many_masks_are_looked_at_in_a_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_labels, "SAMPLE", 3)
    paths = some_masks(tmp_path, 9, bad=[1, 2, 3, 5, 6, 7])
    assert look_at(STREET, paths).tolist() == [3, 6, 0], "the first, the middle and the last"


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=6))
def test_balanced_weights_are_the_inverse_square_root_and_1_on_average(counts: list[int]) -> None:
    weights = np.array(balanced_weights(np.array(counts)))
    assert weights.mean() == pytest.approx(1)
    share = np.maximum(np.array(counts) / sum(counts), 1e-4)
    np.testing.assert_allclose(weights / weights[0], np.sqrt(share[0] / share))


def test_a_class_four_times_as_rare_weighs_twice_and_one_that_is_not_there_is_finite() -> None:
    assert balanced_weights(np.array([400, 100])) == pytest.approx((2 / 3, 4 / 3))
    assert all(math.isfinite(weight) for weight in balanced_weights(np.array([0, 0])))
    assert balanced_weights(np.array([100, 0]))[1] > 1


# --- with the image ---


def test_a_mask_of_another_size_is_told(tmp_path: Path) -> None:
    path = saved(VALUES, tmp_path / "mask.png")
    told(
        lambda: STREET.place(str(path), frame_of((4, 6), (2, 3), "squish"), (2, 3)),
        f"The mask {path} is 3x2 pixels, its image 6x4.",
        "a mask of the size of its image.",
        "check which mask belongs to which image, or scale the mask without interpolation.",
    )


def test_padding_is_ignored() -> None:
    placed = STREET.place(np.full((2, 4), 3, np.uint8), frame_of((2, 4), (4, 4), "pad"), (4, 4))
    assert placed.tolist() == [[IGNORE] * 4, [2] * 4, [2] * 4, [IGNORE] * 4]


def test_cropping_cuts_the_middle_out() -> None:
    placed = STREET.place(small([1, 2, 3, 1]).repeat(2, 0), frame_of((2, 4), (2, 2), "crop"), (2, 2))
    assert placed.tolist() == [[1, 2], [1, 2]]


sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, resizes, st.sampled_from(list(PRESETS)), st.integers(0, 1000))
def test_no_value_comes_about_that_was_not_there(
    have: tuple[int, int], size: tuple[int, int], resize: Any, preset: str, seed: int
) -> None:
    mask = blocks(seed, have, side=3)
    placed = STREET.place(mask, frame_of(have, size, resize), size)
    assert (tuple(placed.shape), placed.dtype) == (size, torch.uint8)
    there = set(STREET.encode(mask).unique().tolist()) | ({IGNORE} if resize == "pad" else set())
    assert set(placed.unique().tolist()) <= there
    matrices = PRESETS[preset]().geometry(2, torch.Generator().manual_seed(seed))
    followed = STREET.follow(placed.repeat(2, 1, 1), matrices, (9, 14))
    assert (tuple(followed.shape), followed.dtype) == ((2, 9, 14), torch.uint8)
    assert set(followed.unique().tolist()) <= set(placed.unique().tolist())


def rgb(mask: np.ndarray) -> np.ndarray:
    """A picture whose strongest colour tells the class, however bright, pale or flat it gets."""
    return np.array([(190, 60, 60), (60, 190, 60), (60, 60, 190)], np.uint8)[mask]


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=12, deadline=None)
@given(
    st.tuples(st.integers(40, 90), st.integers(40, 90)),
    st.tuples(st.integers(32, 72), st.integers(32, 72)),
    resizes,
    st.integers(0, 10_000),
)
def test_mask_and_image_move_together(
    preset: str, have: tuple[int, int], size: tuple[int, int], resize: Any, seed: int
) -> None:
    """Read, and augmented by the modality as in training: each pixel shows the colour of the class that it has."""
    classes = np.random.default_rng(seed).integers(0, 3, (2, 3), np.uint8)
    mask = classes.repeat(-(-have[0] // 2), 0).repeat(-(-have[1] // 3), 1)[: have[0], : have[1]]
    target, modality = Mask(("red", "green", "blue"), (0, 1, 2)), Images(size, resize, PRESETS[preset]())
    pixels, shown = decode_framed(rgb(mask), modality.item_shape(training=True)[:2], resize)
    placed = target.place(mask, shown, pixels.shape[:2])
    batch = Batch(torch.from_numpy(pixels)[None].repeat(3, 1, 1, 1), placed.repeat(3, 1, 1), torch.arange(3))
    prepared = modality.prepare(batch, target, torch.Generator().manual_seed(seed))
    assert prepared.inputs.shape[2:] == prepared.targets.shape[1:] == size
    compared = 0
    for image, moved in zip(prepared.inputs, prepared.targets.numpy(), strict=True):
        certain = away_from_borders(moved, 2) & (moved != IGNORE)
        np.testing.assert_array_equal(image.argmax(0).numpy()[certain], moved[certain])
        compared += certain.sum()
    assume(compared)


# --- answers ---


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(20, 90), st.integers(20, 90)),
    st.tuples(st.integers(16, 60), st.integers(16, 60)),
    resizes,
    st.integers(0, 1000),
)
def test_an_answer_is_led_back_to_the_original(
    have: tuple[int, int], size: tuple[int, int], resize: Any, seed: int
) -> None:
    mask = blocks(seed, have, side=max(have) // 3, lowest=1)
    shown = frame_of(have, size, resize)
    answer = STREET.soften(STREET.place(mask, shown, size)[None])[0]
    decoded = STREET.decode(answer, torch.tensor(shown, dtype=torch.float32))
    assert (decoded.shape, decoded.dtype) == (have, np.uint8)

    y, x = np.arange(have[0])[:, None] + 0.5, np.arange(have[1]) + 0.5
    edge = 1e-3  # a centre that lies on the edge itself may fall either way
    inside = (y > shown.top + edge) & (y < shown.bottom - edge) & (x > shown.left + edge) & (x < shown.right - edge)
    outside = (y < shown.top - edge) | (y > shown.bottom + edge) | (x < shown.left - edge) | (x > shown.right + edge)
    assert (decoded[outside] == 0).all(), "what was cut away is unknown, which is the ignored value"
    assert set(np.unique(decoded[inside])) <= {1, 2, 3}
    step = max((shown.bottom - shown.top) / size[0], (shown.right - shown.left) / size[1], 1)
    certain = inside & away_from_borders(mask, math.ceil(step))
    np.testing.assert_array_equal(decoded[certain], mask[certain])
    if resize != "crop":
        assert inside.all()


def test_what_was_cropped_away_is_255_where_nothing_is_ignored() -> None:
    target = Mask(("a", "b"), (0, 1))
    answer = torch.tensor([0.1, 0.9])[:, None, None].expand(2, 4, 4)
    assert target.decode(answer, frame((4, 8), (4, 4), "crop")).tolist() == [[255, 255, 1, 1, 1, 1, 255, 255]] * 4


def test_without_a_frame_the_input_is_the_original() -> None:
    answer = STREET.soften(STREET.encode(VALUES)[None])[0]
    np.testing.assert_array_equal(STREET.decode(answer)[VALUES > 0], VALUES[VALUES > 0])
    decoded = STREET.decode(answer, frame((2, 3), (2, 3), "squish"))
    np.testing.assert_array_equal(decoded[VALUES > 0], VALUES[VALUES > 0])


@pytest.mark.parametrize("have", [(20, 40), (40, 20), (5, 8), (333, 1000)])
def test_what_a_model_says_of_padding_does_not_run_into_the_edges(have: tuple[int, int]) -> None:
    size = (16, 16)
    shown = frame_of(have, size, "pad")
    placed = STREET.place(np.full(have, 1, np.uint8), shown, size)
    answer = torch.tensor([0.6, 0.4, 0.0])[:, None, None].repeat(1, *size)
    answer[:, placed == IGNORE] = torch.tensor([0.0, 0.0, 1.0])[:, None]
    assert (STREET.decode(answer, torch.tensor(shown)) == 1).all()


def test_probabilities_are_grown_and_not_classes() -> None:
    """Between a pixel that is sure and one that is not, the border lies nearer to the one that is not."""
    answer = torch.tensor([[[1.0, 0.4]], [[0.0, 0.6]], [[0.0, 0.0]]])
    decoded = STREET.decode(answer, frame((1, 20), (1, 2), "squish"))
    # Along the 10 pixels between the middles, class 0 falls from 1 to 0.4: below one half after 5 / 6 of the way.
    assert decoded.tolist() == [[1] * 13 + [2] * 7]


def test_softened_labels_are_one_hot_and_nought_where_ignored() -> None:
    soft = STREET.soften(torch.tensor([[[0, 2, IGNORE]]], dtype=torch.uint8))
    assert soft.dtype == torch.float32
    assert soft[0, :, 0].T.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_activation_is_a_softmax_over_classes_in_float32() -> None:
    outputs = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    torch.testing.assert_close(STREET.activate(outputs), torch.softmax(outputs.float(), 1))


def test_ignored_pixels_have_no_influence_on_the_loss() -> None:
    target = Mask(STREET.classes, STREET.values, STREET.ignored, class_weights=(0.5, 1.0, 1.5))
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 3, 4, 5, generator=generator, requires_grad=True)
    truth = torch.randint(0, 3, (2, 4, 5), generator=generator, dtype=torch.uint8)
    unknown = torch.rand(2, 4, 5, generator=generator) < 0.3
    truth[unknown] = IGNORE
    loss = target.loss()(outputs, truth)
    loss.backward()
    assert not outputs.grad.movedim(1, -1)[unknown].any()
    assert outputs.grad.movedim(1, -1)[~unknown].any(dim=-1).all()

    # By hand: the mean of -log p over known pixels, each weighed by its class's weight.
    log = outputs.detach().log_softmax(1).movedim(1, -1)[~unknown]
    known = truth[~unknown].long()
    weights = torch.tensor([0.5, 1.0, 1.5])[known]
    expected = -(weights * log[torch.arange(len(known)), known]).sum() / weights.sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_masks_cannot_be_balanced_by_drawing_images() -> None:
    told(
        lambda: STREET.item_weights(["mask.png"]),
        "balance= does not fit masks by sampling.",
        "a category or tags.",
        "leave balance= out.",
    )
    assert STREET.weighted(["mask.png"]) is STREET


# --- tables and pictures ---


def two_thirds_sky() -> Tensor:
    return STREET.soften(torch.tensor([[[0, 0, 2]]], dtype=torch.uint8))[0]


def test_scores_are_shares_of_the_image() -> None:
    assert STREET.scores(two_thirds_sky()) == pytest.approx({"Sky": 2 / 3, "Road": 0, "Car": 1 / 3})


def test_a_table_holds_each_mask_as_png_and_each_class_s_share() -> None:
    answers = torch.stack([two_thirds_sky(), two_thirds_sky()])
    decoded = [small([1, 1, 3]), small([2, 2, 2])]
    columns = STREET.columns(answers, decoded)
    assert list(columns) == ["prediction", "p(Sky)", "p(Road)", "p(Car)"]
    for png, mask in zip(columns["prediction"].to_pylist(), decoded, strict=True):
        with Image.open(io.BytesIO(png)) as image:
            assert (image.format, image.mode) == ("PNG", "P")
            np.testing.assert_array_equal(np.asarray(image), mask)
    assert columns["p(Car)"].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_a_table_of_nothing_has_the_same_columns() -> None:
    columns = STREET.columns(torch.empty(0, 3, 4, 4), [])
    assert [len(column) for column in columns.values()] == [0, 0, 0, 0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), sizes, st.sampled_from([None, COLOURS]))
def test_a_png_gives_the_values_back_in_the_classes_colours(seed: int, size: tuple[int, int], colours: Any) -> None:
    target = Mask(STREET.classes, STREET.values, STREET.ignored, colours)
    mask = blocks(seed, size, side=2)
    with Image.open(io.BytesIO(target.to_png(mask))) as image:
        np.testing.assert_array_equal(np.asarray(image), mask)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), target.palette()[mask])


def test_a_mask_that_was_written_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(STREET.to_png(VALUES))
    np.testing.assert_array_equal(mask_values(tmp_path / "mask.png"), VALUES)


def test_the_palette_is_the_files_own_or_told_apart() -> None:
    own = Mask(STREET.classes, STREET.values, STREET.ignored, COLOURS).palette()
    assert own[:4].tolist() == [list(colour) for colour in COLOURS]
    many = mask_target([str(number) for number in range(20)], None, None).palette()
    assert (many.shape, many.dtype) == ((256, 3), np.uint8)
    assert len(np.unique(many[:20], axis=0)) == 20
    assert STREET.palette()[0].tolist() == [0, 0, 0], "what is ignored is black"


def test_cells_and_captions_tell_the_shares() -> None:
    mask = small([1, 1, 3, 0])
    assert STREET.cells(mask) == STREET.cells(STREET.to_png(mask)) == {"Sky": 0.5, "Road": 0, "Car": 0.25}
    assert STREET.caption(mask) == STREET.caption(STREET.to_png(mask)) == "Sky 50%, Car 25%"
    assert STREET.caption("labels/street_P.png") == "street_P.png"


def test_show_lays_the_palette_s_colours_over_the_image_and_leaves_the_ignored_bare() -> None:
    truth = torch.tensor([[0, 1, IGNORE]], dtype=torch.uint8)
    figure = Figure()
    for axes, label, answer, title in zip(
        figure.subplots(1, 2), (truth, None), (None, two_thirds_sky()), ("label", "answer"), strict=True
    ):
        STREET.show(axes, label, answer)
        assert axes.get_title() == title
        (image,) = axes.images
        layer = image.get_array()
        assert layer.shape == (1, 3, 4)
        expected = [1, 2, None] if label is not None else [1, 1, 3]
        for pixel, value in zip(layer[0].tolist(), expected, strict=True):
            assert pixel[3] == (0 if value is None else 150)
            assert value is None or pixel[:3] == STREET.palette()[value].tolist()


def test_the_legend_names_each_class_in_its_colour() -> None:
    figure = Figure(layout="constrained")
    STREET.legend(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(STREET.classes)
    colours = [patch.get_facecolor()[:3] for patch in legend.get_patches()]
    np.testing.assert_allclose(np.array(colours) * 255, STREET.palette()[[1, 2, 3]])


def test_a_summary_says_what_is_predicted() -> None:
    assert STREET.summary == "Mask, 3 classes: Sky, Road, Car; value 0 is ignored"
    assert Mask(("a", "b"), (0, 1)).summary == "Mask, 2 classes: a, b"


# --- keeping ---


@pytest.mark.parametrize("colours", [None, COLOURS])
def test_a_bundle_describes_the_target_but_for_its_weights(colours: Any) -> None:
    target = Mask(STREET.classes, STREET.values, (0, 255), colours, (1.0, 2.0, 0.5))
    config = target.to_config()
    again = Mask.from_config(config)
    assert again == Mask(STREET.classes, STREET.values, (0, 255), colours)
    assert same_answers(again.to_config(), config)
    assert not same_answers(STREET.to_config(), config)


def test_it_is_a_target_that_lies_in_the_image_and_can_be_sent_to_a_worker() -> None:
    assert isinstance(STREET, Target)
    assert isinstance(STREET, SpatialTarget)
    assert pickle.loads(pickle.dumps(STREET)) == STREET
    assert STREET.check_mirroring() is None


def test_metrics_count_no_ignored_pixel() -> None:
    truth = torch.tensor([[[0, 1, IGNORE, IGNORE]]], dtype=torch.uint8)
    given = STREET.soften(torch.tensor([[[0, 0, 1, 2]]]))
    answers, targets = STREET.measured(given, truth, None)
    for metric, expected in ((oc.metrics.pixel_accuracy(), 1 / 2), (oc.metrics.mean_iou(), (1 / 2 + 0) / 2)):
        meter = metric.meter(STREET)
        meter.update(answers, targets)
        assert float(meter.compute()) == pytest.approx(expected), "of the two that count one is right"


def test_a_frame_of_nothing_cut_away_shows_all() -> None:
    assert frame_of((4, 6), (2, 3), "squish") == Frame(4, 6, 0, 0, 6, 4)
