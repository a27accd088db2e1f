"""The target of masks: class numbers, cropping and augmentation with the image, tables and pictures."""

import io
import pickle
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
from onecycle.data.batch import Batch
from onecycle.data.target import Target, same_label_configs
from onecycle.errors import DataError
from onecycle.vision.augment import PRESETS
from onecycle.vision.decode import compute_geometry, decode_with_geometry
from onecycle.vision.images import Images
from onecycle.vision.masks import Mask
from onecycle.vision.targets import SpatialTarget
from patches import (
    blocks,
)
from vision.mask_examples import COLOURS, IGNORE, STREET, VALUES, assert_data_error, away_from_borders, saved, small

resizes = st.sampled_from(["crop", "squish", "pad"])
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def test_values_become_class_numbers_and_ignored_values_255(tmp_path: Path) -> None:
    encoded = STREET.encode(str(saved(VALUES, tmp_path / "mask.png")))
    assert encoded.dtype == torch.uint8
    assert encoded.tolist() == [[IGNORE, 0, 1], [2, 1, 0]]
    assert STREET.encode(VALUES).tolist() == encoded.tolist(), "an array of values is accepted too"


def test_unknown_values_are_reported_with_their_counts_and_the_file(tmp_path: Path) -> None:
    path = saved(small([0, 1, 9], [9, 200, 3]), tmp_path / "mask.png")
    assert_data_error(
        lambda: STREET.encode(str(path)),
        f"{path} contains values that are not classes: 9 (2 pixels), 200 (1 pixels).",
        "one of 0, 1, 2, 3, which stand for Sky, Road, Car.",
        "add the missing names to classes=, or pass ignore=9 where such pixels do not count.",
    )
    with pytest.raises(DataError, match=r"^The mask contains values that are not classes: 7 \(1 pixels\)"):
        STREET.encode(small([7]))


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    path = saved(VALUES, tmp_path / "mask.png")
    assert_data_error(
        lambda: STREET.crop_and_scale(str(path), compute_geometry((4, 6), (2, 3), "squish"), (2, 3)),
        f"The mask {path} is 3x2 pixels, its image 6x4.",
        "a mask of the size of its image.",
        "check which mask belongs to which image, or resize the mask without interpolation.",
    )


def test_padding_is_ignored() -> None:
    resized = STREET.crop_and_scale(np.full((2, 4), 3, np.uint8), compute_geometry((2, 4), (4, 4), "pad"), (4, 4))
    assert resized.tolist() == [[IGNORE] * 4, [2] * 4, [2] * 4, [IGNORE] * 4]


def test_cropping_cuts_out_the_middle() -> None:
    resized = STREET.crop_and_scale(small([1, 2, 3, 1]).repeat(2, 0), compute_geometry((2, 4), (2, 2), "crop"), (2, 2))
    assert resized.tolist() == [[1, 2], [1, 2]]


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, resizes, st.sampled_from(list(PRESETS)), st.integers(0, 1000))
def test_no_new_values_appear(
    have: tuple[int, int], size: tuple[int, int], resize: Any, preset: str, seed: int
) -> None:
    mask = blocks(seed, have, side=3)
    resized = STREET.crop_and_scale(mask, compute_geometry(have, size, resize), size)
    assert (tuple(resized.shape), resized.dtype) == (size, torch.uint8)
    there = set(STREET.encode(mask).unique().tolist()) | ({IGNORE} if resize == "pad" else set())
    assert set(resized.unique().tolist()) <= there
    matrices = PRESETS[preset]().draw_geometry(2, torch.Generator().manual_seed(seed))
    followed = STREET.transform(resized.repeat(2, 1, 1), matrices, (9, 14))
    assert (tuple(followed.shape), followed.dtype) == ((2, 9, 14), torch.uint8)
    assert set(followed.unique().tolist()) <= set(resized.unique().tolist())


def colours_of(mask: np.ndarray) -> np.ndarray:
    """An image in which the strongest colour is the class, whatever its brightness, saturation and contrast."""
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
    """After reading and augmentation as in training, each pixel has the colour of its class."""
    classes = np.random.default_rng(seed).integers(0, 3, (2, 3), np.uint8)
    mask = classes.repeat(-(-have[0] // 2), 0).repeat(-(-have[1] // 3), 1)[: have[0], : have[1]]
    target, modality = Mask(("red", "green", "blue"), (0, 1, 2)), Images(size, resize, PRESETS[preset]())
    pixels, shown = decode_with_geometry(colours_of(mask), modality.item_shape(training=True)[:2], resize)
    resized = target.crop_and_scale(mask, shown, pixels.shape[:2])
    batch = Batch(torch.from_numpy(pixels)[None].repeat(3, 1, 1, 1), resized.repeat(3, 1, 1), torch.arange(3))
    prepared = modality.prepare(batch, target, torch.Generator().manual_seed(seed))
    assert prepared.inputs.shape[2:] == prepared.targets.shape[1:] == size
    compared = 0
    for image, moved in zip(prepared.inputs, prepared.targets.numpy(), strict=True):
        certain = away_from_borders(moved, 2) & (moved != IGNORE)
        np.testing.assert_array_equal(image.argmax(0).numpy()[certain], moved[certain])
        compared += certain.sum()
    assume(compared)


def test_probabilities_of_targets_are_one_hot_and_zero_where_ignored() -> None:
    soft = STREET.to_probabilities(torch.tensor([[[0, 2, IGNORE]]], dtype=torch.uint8))
    assert soft.dtype == torch.float32
    assert soft[0, :, 0].T.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_activation_is_a_softmax_over_classes_in_float32() -> None:
    outputs = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    torch.testing.assert_close(STREET.activate(outputs), torch.softmax(outputs.float(), 1))


def test_ignored_pixels_have_no_influence_on_the_loss() -> None:
    target = Mask(STREET.classes, STREET.values, STREET.ignored, class_weights=(0.5, 1.0, 1.5))
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 3, 4, 5, generator=generator, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 5), generator=generator, dtype=torch.uint8)
    unknown = torch.rand(2, 4, 5, generator=generator) < 0.3
    labels[unknown] = IGNORE
    loss = target.loss()(outputs, labels)
    loss.backward()
    assert not outputs.grad.movedim(1, -1)[unknown].any()
    assert outputs.grad.movedim(1, -1)[~unknown].any(dim=-1).all()

    # By hand: the mean of -log p over known pixels, each weighed by its class's weight.
    log = outputs.detach().log_softmax(1).movedim(1, -1)[~unknown]
    known = labels[~unknown].long()
    weights = torch.tensor([0.5, 1.0, 1.5])[known]
    expected = -(weights * log[torch.arange(len(known)), known]).sum() / weights.sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_images_cannot_be_balanced_by_the_classes_in_their_masks() -> None:
    assert_data_error(
        lambda: STREET.item_weights(["mask.png"]),
        "balance= does not fit masks by sampling.",
        "a category or tags.",
        "leave balance= out.",
    )
    assert STREET.weighted(["mask.png"]) is STREET


def two_thirds_sky() -> Tensor:
    return STREET.to_probabilities(torch.tensor([[[0, 0, 2]]], dtype=torch.uint8))[0]


def test_scores_are_shares_of_the_image() -> None:
    assert STREET.scores(two_thirds_sky()) == pytest.approx({"Sky": 2 / 3, "Road": 0, "Car": 1 / 3})


def test_a_table_contains_each_mask_as_png_and_the_share_of_each_class() -> None:
    predictions = torch.stack([two_thirds_sky(), two_thirds_sky()])
    decoded = [small([1, 1, 3]), small([2, 2, 2])]
    columns = STREET.columns(predictions, decoded)
    assert list(columns) == ["prediction", "p(Sky)", "p(Road)", "p(Car)"]
    for png, mask in zip(columns["prediction"].to_pylist(), decoded, strict=True):
        with Image.open(io.BytesIO(png)) as image:
            assert (image.format, image.mode) == ("PNG", "P")
            np.testing.assert_array_equal(np.asarray(image), mask)
    assert columns["p(Car)"].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_an_empty_table_has_the_same_columns() -> None:
    columns = STREET.columns(torch.empty(0, 3, 4, 4), [])
    assert [len(column) for column in columns.values()] == [0, 0, 0, 0]


def test_cells_and_captions_contain_the_shares() -> None:
    mask = small([1, 1, 3, 0])
    assert STREET.cells(mask) == STREET.cells(STREET.to_png(mask)) == {"Sky": 0.5, "Road": 0, "Car": 0.25}
    assert STREET.caption(mask) == STREET.caption(STREET.to_png(mask)) == "Sky 50%, Car 25%"
    assert STREET.caption("labels/street_P.png") == "street_P.png"


def test_show_draws_the_palette_over_the_image_except_where_ignored() -> None:
    labels = torch.tensor([[0, 1, IGNORE]], dtype=torch.uint8)
    figure = Figure()
    for axes, label, prediction, title in zip(
        figure.subplots(1, 2), (labels, None), (None, two_thirds_sky()), ("label", "prediction"), strict=True
    ):
        STREET.show(axes, label, prediction)
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


def test_the_summary_names_the_classes() -> None:
    assert STREET.summary == "Mask, 3 classes: Sky, Road, Car; value 0 is ignored"
    assert Mask(("a", "b"), (0, 1)).summary == "Mask, 2 classes: a, b"


@pytest.mark.parametrize("colours", [None, COLOURS])
def test_a_config_contains_all_but_the_class_weights(colours: Any) -> None:
    target = Mask(STREET.classes, STREET.values, (0, 255), colours, (1.0, 2.0, 0.5))
    config = target.to_config()
    again = Mask.from_config(config)
    assert again == Mask(STREET.classes, STREET.values, (0, 255), colours)
    assert same_label_configs(again.to_config(), config)
    assert not same_label_configs(STREET.to_config(), config)


def test_it_is_a_spatial_target_and_can_be_pickled() -> None:
    assert isinstance(STREET, Target)
    assert isinstance(STREET, SpatialTarget)
    assert pickle.loads(pickle.dumps(STREET)) == STREET
    assert STREET.check_mirroring() is None


def test_metrics_do_not_count_ignored_pixels() -> None:
    target = torch.tensor([[[0, 1, IGNORE, IGNORE]]], dtype=torch.uint8)
    predicted = STREET.to_probabilities(torch.tensor([[[0, 0, 1, 2]]]))
    predictions, targets = STREET.metric_inputs(predicted, target, None)
    for metric, expected in ((oc.metrics.pixel_accuracy(), 1 / 2), (oc.metrics.mean_iou(), (1 / 2 + 0) / 2)):
        meter = metric.meter(STREET)
        meter.update(predictions, targets)
        assert float(meter.compute()) == pytest.approx(expected), "one of the two that count is right"
