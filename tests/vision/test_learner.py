"""Learners for images: their models, and training from data to bundle."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import onecycle as oc
from noisy_photos import TINY
from onecycle.data.bunch import DataBunch
from onecycle.errors import DataError, ModelError
from onecycle.train.events import BatchEnd
from onecycle.train.layer_groups import fine_tuning_of
from onecycle.vision.heatmaps import HeatmapModel
from onecycle.vision.learner import unet_learner, vision_learner
from onecycle.vision.model import ImageModel
from onecycle.vision.segmentation import LIGHT_DECODER
from onecycle.vision.weights import create_backbone
from patches import NAMES, labelled, make_camvid, mask_bunch, picture, tiny_unet, true_mask
from vision.point_images import discs, tiny_learner


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_camvid(tmp_path_factory.mktemp("camvid") / "streets")


@pytest.fixture(scope="module")
def bunch(camvid: Path) -> DataBunch:
    return mask_bunch(camvid)


@pytest.fixture
def photo_bunch(photos: Path) -> DataBunch:
    split = oc.ImageList.from_folder(photos).split_random(0.2, seed=1, stratify="folder")
    return split.label_from_folder().transform(32).databunch(8)


def test_a_learner_normalises_with_the_backbones_statistics(photo_bunch: DataBunch) -> None:
    model = vision_learner(photo_bunch, TINY, pretrained=False, progress=False).model
    config = timm.data.resolve_model_data_config(create_backbone(TINY, False))
    assert model.config["mean"] == list(config["mean"])
    assert (model.body[0].std.flatten() / 255).tolist() == pytest.approx(config["std"])


def test_a_pretrained_learner_starts_frozen_up_to_its_head(photo_bunch: DataBunch) -> None:
    model = vision_learner(photo_bunch, progress=False).model
    assert model.fine_tuning.freeze_batchnorm_statistics
    assert model.fine_tuning.freeze_to == 1
    assert model.config["hidden"] == 0
    assert not any(parameter.requires_grad for parameter in model.body.parameters())
    assert all(parameter.requires_grad for parameter in model.head.parameters())
    random = vision_learner(photo_bunch, TINY, pretrained=False, progress=False).model
    assert all(parameter.requires_grad for parameter in random.parameters())
    assert random.fine_tuning.freeze_to == 0


def test_the_seed_determines_the_head_and_the_global_generator_is_not_changed(photo_bunch: DataBunch) -> None:
    before = torch.get_rng_state()
    first, again, other = (
        vision_learner(photo_bunch, TINY, pretrained=False, progress=False, seed=seed).model.state_dict()
        for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.2.weight"], other["head.2.weight"])


def test_with_a_frozen_encoder_only_the_decoder_changes(bunch: DataBunch) -> None:
    learner = tiny_unet(bunch)
    learner.freeze()
    before = learner.copy_weights()
    learner.fit_one_cycle(1, lr=1e-2)
    moved = {
        name.split(".")[0] for name, tensor in learner.copy_weights().items() if not torch.equal(tensor, before[name])
    }
    assert moved == {"head"}
    assert learner.history[-1].stage == "head"


def test_masks_are_learnt_and_the_bundle_predicts_the_same(camvid: Path, bunch: DataBunch, tmp_path: Path) -> None:
    """Classes differ only in colour, so a few epochs must learn them; the prediction has the image's own size."""
    learner = tiny_unet(bunch, metrics=["pixel_accuracy", "mean_iou", oc.metrics.iou("Road"), "dice"])
    assert learner.validate()["pixel_accuracy"] < 0.5
    learner.fine_tune(12, lr=2e-2)
    assert [record.stage for record in learner.history] == ["all"] * 12
    last = learner.history[-1].metrics
    assert last["pixel_accuracy"] > 0.75
    assert set(last) == {"pixel_accuracy", "mean_iou", "iou_Road", "dice"}

    large = tmp_path / "large.png"
    picture(true_mask(camvid, "street_07.png").repeat(2, 0).repeat(2, 1)).save(large)
    model = oc.load_model(learner.export(tmp_path / "streets.onecycle"))
    mask, shares = model.predict(large)
    assert (mask.shape, mask.dtype, list(shares)) == ((64, 96), np.uint8, list(NAMES[1:]))
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(mask, learner.predict(large).label)
    known = true_mask(camvid, "street_07.png")
    seen = known > 0
    assert (mask[::2, ::2][seen] == known[seen]).mean() > 0.7

    predictions = learner.predict_all("valid")
    assert np.mean(predictions.table["loss"].to_pylist()) == pytest.approx(learner.validate()["valid_loss"], rel=0.2)
    written = predictions.save_masks(tmp_path / "predictions")
    assert [path.name for path in written] == ["street_06.png", "street_07.png"]
    np.testing.assert_array_equal(
        np.asarray(Image.open(written[1])), learner.predict(camvid / "images/street_07.png").label
    )
    assert len(learner.show_results(2, worst=True).axes) >= 4


@pytest.mark.parametrize("cache", [None, "memory", "disk"])
def test_a_cache_does_not_change_training(cache: str | None, camvid: Path) -> None:
    plain = tiny_unet(mask_bunch(camvid, cache=None, workers=0, augment=oc.augment.default()))
    cached = tiny_unet(mask_bunch(camvid, cache=cache, workers=0, augment=oc.augment.default()))
    for learner in (plain, cached):
        learner.fit_one_cycle(1, lr=1e-3)
    assert cached.history[0].train_loss == plain.history[0].train_loss
    assert cached.history[0].metrics == plain.history[0].metrics


def test_an_interrupted_fit_resumes_bit_for_bit(camvid: Path, tmp_path: Path) -> None:
    class Stop(oc.Callback):
        def on_epoch_end(self, learner: oc.Learner, event: object) -> None:
            if len(learner.history) == 1:
                raise KeyboardInterrupt

    whole = tiny_unet(mask_bunch(camvid))
    whole.fit_one_cycle(2, lr=1e-3)
    first = tiny_unet(mask_bunch(camvid), callbacks=[oc.Checkpoint(tmp_path / "last.ckpt"), Stop()])
    with pytest.raises(KeyboardInterrupt):
        first.fit_one_cycle(2, lr=1e-3)
    second = tiny_unet(mask_bunch(camvid))
    second.load(tmp_path / "last.ckpt")
    second.resume()
    for name, tensor in whole.copy_weights().items():
        assert torch.equal(tensor, second.copy_weights()[name]), name


def test_growing_sizes_are_in_the_history(bunch: DataBunch) -> None:
    learner = tiny_unet(bunch)
    learner.fine_tune([1, 2], sizes=[(16, 24), (32, 48)])
    assert [record.inputs for record in learner.history] == ["16x24 pixels", *["32x48 pixels"] * 2]
    assert len(learner.lr_finder_results) == 2  # one search at each size
    assert fine_tuning_of(learner.model).frozen_epochs == 0


@pytest.mark.parametrize(
    ("backbone", "decoder", "pretrained", "rate"),
    [
        ("tf_efficientnet_lite0", LIGHT_DECODER, True, 4e-3),
        ("tf_efficientnet_lite2", LIGHT_DECODER, True, 4e-3),
        ("tf_efficientnet_lite0", "unet", True, None),
        ("tf_efficientnet_lite0", LIGHT_DECODER, False, None),
        (TINY, LIGHT_DECODER, False, None),
    ],
)
def test_only_packaged_weights_with_a_light_decoder_have_a_default_rate(
    bunch: DataBunch, backbone: str, decoder: str, pretrained: bool, rate: float | None
) -> None:
    learner = unet_learner(bunch, backbone, decoder=decoder, pretrained=pretrained, progress=False)
    assert fine_tuning_of(learner.model).default_lr == rate


@pytest.mark.parametrize(
    "loss", [oc.losses.Dice(), oc.losses.Focal(), oc.losses.CrossEntropy() + 0.5 * oc.losses.Dice()]
)
def test_masks_are_learnt_with_every_loss(loss: torch.nn.Module, bunch: DataBunch) -> None:
    learner = tiny_unet(bunch, loss=loss)
    before = learner.validate()["valid_loss"]
    learner.fit_one_cycle(10, lr=1e-2)
    assert learner.validate()["valid_loss"] < before / 3


def test_each_learner_refuses_labels_of_the_other(bunch: DataBunch, camvid: Path) -> None:
    with pytest.raises(ModelError, match=r"the labels are masks.\nExpected categories.*\nFix: use unet_learner"):
        vision_learner(bunch, "test_efficientnet", pretrained=False)
    classes = oc.ImageList.from_folder(camvid / "images").split_by_index([0]).label_from_function(
        lambda path: str(int(path.stem[-1]) % 2)
    )  # fmt: skip
    other = classes.transform(32).databunch(4)
    with pytest.raises(ModelError, match=r"predicts masks, but the labels are category.\nExpected .*\nFix: use vision"):
        unet_learner(other, "test_efficientnet", pretrained=False)
    with pytest.raises(
        ModelError, match=r"head='heatmap' for category.\nExpected .*points, else None.\nFix: leave head="
    ):
        vision_learner(other, "test_efficientnet", pretrained=False, head="heatmap")


def test_masks_cannot_be_balanced_by_sampling(camvid: Path) -> None:
    with pytest.raises(
        DataError, match=r"balance= does not fit masks by sampling.\nExpected a category or tags.\nFix: leave"
    ):
        labelled(camvid).transform(32).databunch(4, balance="sampling")


def test_points_are_learnt_exported_and_predicted_in_pixels_of_the_original(tmp_path: Path) -> None:
    bunch = discs(tmp_path)
    learner = tiny_learner(bunch)
    assert isinstance(learner.model, HeatmapModel)
    before = learner.validate()["pixel_error"]
    learner.fit_one_cycle(12, lr=3e-3)
    after = learner.validate()["pixel_error"]
    assert after < before / 2.5
    predictions = learner.predict_all()
    truth = np.array(bunch.valid.dataset.labels())
    errors = np.linalg.norm(np.array(predictions.table["prediction"].to_pylist()) - truth, axis=-1)
    assert errors.mean() == pytest.approx(after, rel=1e-4)
    assert predictions.worst(1)["item"].to_pylist() == [
        predictions.table["item"].to_pylist()[int(_losses(predictions).argmax())]
    ]
    learner.export(tmp_path / "discs.onecycle")
    item = str(tmp_path / bunch.valid.dataset.name(1))
    label, probabilities = oc.load_model(tmp_path / "discs.onecycle").predict(item)
    assert probabilities == {}
    np.testing.assert_allclose(label, predictions.table["prediction"].to_pylist()[1], atol=0.02)
    predictions.to_csv(tmp_path / "predictions.csv")
    assert (tmp_path / "predictions.csv").read_text().startswith("image_name,0_x,0_y\n00,")
    # At another size, the unit is still pixels of the original.
    learner.data = bunch.resize((24, 24))
    assert learner.validate()["pixel_error"] < 30


def _losses(predictions: Any) -> np.ndarray:
    return np.asarray(predictions.table["loss"].to_numpy())


@pytest.mark.parametrize("loss", [oc.losses.MSE, oc.losses.L1, oc.losses.SmoothL1, oc.losses.Wing])
def test_points_are_learnt_with_every_loss(loss: Any, tmp_path: Path) -> None:
    learner = tiny_learner(discs(tmp_path, 10), loss=loss())
    learner.fit(1, lr=1e-3)
    assert math.isfinite(learner.history[-1].train_loss)


def test_a_regression_head_trains_at_growing_sizes(tmp_path: Path) -> None:
    bunch = discs(tmp_path, 10)
    learner = tiny_learner(bunch, head="regression", hidden=8)
    assert isinstance(learner.model, ImageModel)
    learner.fine_tune([1, 1], lr=1e-3, sizes=[(24, 24), (32, 40)])
    assert [record.inputs for record in learner.history][-1] == "32x40 pixels"
    with pytest.raises(ModelError, match=r"head='map' for points.\nExpected \"heatmap\" or .*\nFix: leave head= out."):
        tiny_learner(bunch, head="map")
    with pytest.raises(ModelError, match=r"'test_vit' has no feature maps of several sizes.\n.*\nFix: .*regression"):
        oc.vision_learner(bunch, "test_vit", pretrained=False)


class Sizes(oc.Callback):
    """Records the size of the images in every step."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def on_batch_end(self, learner: oc.Learner, event: BatchEnd) -> None:
        self.seen.append(tuple(event.batch.inputs.shape[2:]))


def test_the_first_stage_of_fine_tune_trains_on_smaller_images(tmp_path: Path) -> None:
    sizes = Sizes()
    learner = tiny_learner(discs(tmp_path, 10).resize((96, 72)), callbacks=[sizes])
    whole = learner.data
    learner.fine_tune(1, lr=1e-3)
    assert sizes.seen == [(64, 48), (96, 72)]
    assert [record.inputs for record in learner.history] == ["96x72 pixels"] * 2  # both were validated at this size
    assert [record.trained_on for record in learner.history] == ["64x48 pixels", ""]
    assert learner.data is whole
    learner.fine_tune(1, lr=1e-3, frozen_epochs=0)
    assert sizes.seen[2:] == [(96, 72)]
    learner.fine_tune([1, 1], lr=1e-3, sizes=[64, 72])
    assert sizes.seen[3:] == [(64, 64), (72, 72)]


def test_one_rate_search_is_used_for_both_stages(tmp_path: Path) -> None:
    learner = tiny_learner(discs(tmp_path, 10).resize(64))
    learner.fine_tune(1)
    assert len(learner.lr_finder_results) == 1
    assert learner.history[0].lr == learner.history[1].lr == pytest.approx(learner.lr_finder_results[0].lr)


def test_an_interrupted_first_stage_restores_the_size(tmp_path: Path) -> None:
    class Interrupt(oc.Callback):
        def on_batch_end(self, learner: oc.Learner, event: BatchEnd) -> None:
            raise KeyboardInterrupt

    learner = tiny_learner(discs(tmp_path, 10).resize(64), callbacks=[Interrupt()])
    whole = learner.data
    with pytest.raises(KeyboardInterrupt):
        learner.fine_tune(1, lr=1e-3)
    assert learner.data is whole


def test_the_pretrained_default_trains_all_layers_at_a_default_rate(tmp_path: Path) -> None:
    bunch = discs(tmp_path, 10)
    maps = oc.vision_learner(bunch, progress=False).model
    assert (fine_tuning_of(maps).default_lr, fine_tuning_of(maps).freeze_to) == (4e-3, 0)
    numbers = oc.vision_learner(bunch, head="regression", progress=False).model
    assert (fine_tuning_of(numbers).default_lr, fine_tuning_of(numbers).freeze_to) == (None, 0)
    assert numbers.config["hidden"] == 512
    assert fine_tuning_of(tiny_learner(bunch).model).default_lr is None
