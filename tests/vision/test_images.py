"""The modality of images: reading, batching, preparing and drawing."""

import math
import pickle
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
import torch
from torch import nn

import onecycle as oc
from onecycle.data.batch import Batch
from onecycle.data.categories import Category
from onecycle.errors import DataError
from onecycle.vision.image_size import as_size
from onecycle.vision.images import Images


def batch_of(modality: Images, photos: Path, *, training: bool) -> Batch:
    target = Category(("a", "b"))
    paths = [str(photos / "red" / f"red_{number}.jpg") for number in range(3)]
    samples = [modality.sample(path, "b", target, row, training=training) for row, path in enumerate(paths)]
    return Batch(
        modality.collate([s.input for s in samples]), torch.stack([s.target for s in samples]), torch.arange(3)
    )


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_is_uint8_as_read_and_float32_channels_last_when_prepared(training: bool, photos: Path) -> None:
    modality = Images((20, 31), augment=oc.augment.default())
    batch = batch_of(modality, photos, training=training)
    assert batch.inputs.dtype == torch.uint8
    assert batch.inputs.shape == (3, *modality.item_shape(training=training))
    generator = torch.Generator().manual_seed(0) if training else None
    prepared = modality.prepare(batch, Category(("a", "b")), generator)
    assert prepared.inputs.shape == (3, 3, 20, 31)
    assert prepared.inputs.is_contiguous(memory_format=torch.channels_last)
    assert prepared.inputs.dtype == torch.float32
    assert torch.equal(prepared.targets, batch.targets)


def test_prediction_uses_the_pixels_as_read(photos: Path) -> None:
    modality = Images((20, 31), augment=oc.augment.default())
    batch = batch_of(modality, photos, training=False)
    prepared = modality.prepare(batch, Category(("a", "b")), None)
    assert torch.equal(prepared.inputs.permute(0, 2, 3, 1), batch.inputs.float())


def test_training_reads_a_margin_and_prediction_does_not() -> None:
    modality = Images((100, 200), augment=oc.augment.default())
    assert modality.item_shape(training=True) == (115, 230, 3)
    assert modality.item_shape(training=False) == (100, 200, 3)
    assert Images((100, 200)).item_shape(training=True) == (100, 200, 3)


def test_an_item_without_a_label_has_no_target(photos: Path) -> None:
    sample = Images((8, 8)).sample(np.zeros((9, 9, 3), np.uint8), None, Category(("a", "b")), 7, training=False)
    assert (sample.target, sample.index) == (None, 7)


def test_resizing_keeps_method_and_augmentation() -> None:
    modality = Images((8, 8), "pad", oc.augment.satellite())
    assert modality.resize(16) == Images((16, 16), "pad", oc.augment.satellite())
    assert modality.resize((16, 24)).size == (16, 24)
    assert modality.size == (8, 8)


def test_a_config_contains_size_and_method_but_no_augmentation() -> None:
    config = Images((8, 12), "pad", oc.augment.default()).to_config()
    assert config == {"kind": "images", "size": [8, 12], "method": "pad"}
    assert Images.from_config(config) == Images((8, 12), "pad")


def test_images_can_be_pickled() -> None:
    modality = Images((8, 12), "pad", oc.augment.default())
    assert pickle.loads(pickle.dumps(modality)) == modality


def test_show_draws_the_pixels() -> None:
    axes = matplotlib.figure.Figure().subplots()
    Images().show(axes, torch.tensor([300.0, 100.4, -5.0]).view(3, 1, 1).expand(3, 4, 5))
    shown = axes.images[0].get_array()
    assert shown.shape == (4, 5, 3)
    assert shown[0, 0].tolist() == [255, 100, 0]


def test_describe_lists_the_steps() -> None:
    read, training, model = Images((10, 20), "pad", oc.augment.satellite()).describe()
    assert read.startswith("decode at the smallest scale that covers 12x23 pixels")
    assert read.endswith("pad")
    assert training.startswith("augment: Dihedral (1), Zoom 1.1 1 (0.75)")
    assert model == "10x20 pixels"


@pytest.mark.parametrize("augment", [oc.augment.none(), oc.augment.default()], ids=["plain", "augmented"])
def test_an_own_model_gets_float_pixels_in_training_and_validation(augment: oc.augment.Augment, photos: Path) -> None:
    labelled = oc.ImageList.from_folder(photos).split_random(0.2, seed=1, stratify="folder").label_from_folder()
    bunch = labelled.transform(32, augment=augment).databunch(8, workers=0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    for model in (body, nn.Sequential(oc.Normalize(), body)):
        learner = oc.Learner(bunch, model, progress=False)
        learner.fit(1, lr=1e-3)
        assert math.isfinite(learner.validate()["valid_loss"])
        assert len(learner.predict_all("valid")) == 6


def test_labels_with_positions_are_cropped_with_their_image() -> None:
    modality, target = Images((4, 4), "crop"), oc.Points(("a",))
    sample = modality.sample(np.zeros((4, 8, 3), np.uint8), [[4, 2]], target, 0, training=False)
    assert sample.geometry.tolist() == [4, 8, 2, 0, 6, 4]
    torch.testing.assert_close(sample.target, torch.tensor([[0.25, 0.25]]))


@pytest.mark.parametrize(
    ("size", "smaller"),
    [((96, 96), (64, 64)), ((128, 128), (88, 88)), ((64, 96), (40, 64)), ((72, 108), (48, 72)), ((63, 100), None)],
)
def test_smaller_is_two_thirds_in_steps_of_eight(size: tuple[int, int], smaller: tuple[int, int] | None) -> None:
    modality = Images(size, "pad", oc.augment.satellite())
    assert modality.smaller() == (None if smaller is None else Images(smaller, "pad", oc.augment.satellite()))


def test_find_items_lists_the_images_below_a_folder(photos: Path) -> None:
    assert Images().find_items(photos) == oc.ImageList.from_folder(photos).items.names()
    with pytest.raises(DataError, match="No such folder"):
        Images().find_items(photos / "nowhere")


def test_images_are_not_texts() -> None:
    assert not Images.reads_text_directly
    assert Images.kind == Images().to_config()["kind"]


def test_a_size_is_one_number_or_two() -> None:
    assert as_size(8) == as_size((8, 8)) == as_size([8, 8]) == as_size(np.int64(8)) == (8, 8)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"size=8.5.\nExpected pixels: one number, or \(height, width\).\nFix: pass"):
        as_size(8.5)  # type: ignore[arg-type]
