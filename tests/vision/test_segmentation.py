"""Models that give a class for every pixel: every decoder, odd sizes, weights, and a learner from data to bundle."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import onecycle as oc
from onecycle.data.bunch import DataBunch
from onecycle.errors import DataError, ModelError
from onecycle.train import groups
from onecycle.vision.learner import image_statistics, unet_learner, vision_learner
from onecycle.vision.pyramid import LightDecoder, create_encoder, resized
from onecycle.vision.segmentation import DECODERS, LIGHT, SegmentationModel
from onecycle.vision.weights import create_backbone
from patches import NAMES, labelled, make_camvid, mask_bunch, picture, tiny_unet, true_mask

HALF = (0.5, 0.5, 0.5)


def model_of(backbone: str = "test_efficientnet", decoder: str = LIGHT, **options: object) -> SegmentationModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SegmentationModel(backbone, 3, decoder=decoder, mean=HALF, std=HALF, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_camvid(tmp_path_factory.mktemp("camvid") / "streets")


@pytest.fixture(scope="module")
def bunch(camvid: Path) -> DataBunch:
    return mask_bunch(camvid)


# --- models ---


@pytest.mark.parametrize("decoder", [LIGHT, *DECODERS])
def test_every_decoder_answers_every_pixel_of_any_size(decoder: str) -> None:
    """Sizes that are no multiple of 32, which the classical decoders could not take by themselves."""
    model = model_of("resnet18", decoder).eval()
    for size in ((64, 96), (50, 75), (33, 47)):
        with torch.inference_mode():
            outputs = model(torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8))
        assert outputs.shape == (2, 3, *size)
        assert outputs.isfinite().all()
    names = [name for group in model.layer_groups() for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    copy = SegmentationModel.from_config(model.to_config())
    copy.load_state_dict(model.state_dict())
    with torch.inference_mode():
        pixels = torch.randint(0, 256, (1, 3, 40, 56), dtype=torch.uint8)
        torch.testing.assert_close(copy.eval()(pixels), model(pixels))


@pytest.mark.parametrize("decoder", [LIGHT, "unet", "fpn"])
def test_the_encoder_has_the_backbone_s_pretrained_weights(decoder: str) -> None:
    full = create_backbone("tf_efficientnet_lite0", True).state_dict()
    mean, std = image_statistics("tf_efficientnet_lite0")
    model = SegmentationModel("tf_efficientnet_lite0", 2, decoder=decoder, mean=mean, std=std, pretrained=True)
    network = getattr(model.body.network, "model", model.body.network)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, full[name], rtol=0, atol=0)
    torch.testing.assert_close(model.body.normalize.mean.flatten(), torch.tensor(mean) * 255)


def test_the_light_decoder_sums_the_maps_by_hand() -> None:
    """One channel, lateral weights of 1, smoothing left out: the finest map plus the deeper one scaled up."""
    decoder = LightDecoder([1, 1], 1, width=1).eval()
    for lateral in decoder.lateral:
        torch.nn.init.ones_(lateral.weight)  # type: ignore[arg-type]
        torch.nn.init.zeros_(lateral.bias)  # type: ignore[arg-type]
    decoder.smooth = torch.nn.Identity()  # type: ignore[assignment]
    fine, deep = torch.rand(1, 1, 4, 6), torch.rand(1, 1, 2, 3)
    torch.testing.assert_close(decoder([fine, deep]), fine + resized(deep, (4, 6)))


def test_backbones_without_maps_of_several_sizes_are_told() -> None:
    message = (
        r"The backbone 'test_vit' has no feature maps of several sizes.\n"
        r"Expected a backbone that shrinks .*\nFix: use one of them; plain vision transformers keep one size"
    )
    with pytest.raises(ModelError, match=message):
        create_encoder("test_vit", False)
    with pytest.raises(ModelError, match=r"The decoder 'unet' does not fit the backbone 'test_vit': .*\nExpected a"):
        model_of("test_vit", "unet")


def test_windowed_transformers_whose_maps_have_their_channels_last_fit_too() -> None:
    model = model_of("swin_tiny_patch4_window7_224").eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 224, 224, dtype=torch.uint8)).shape == (1, 3, 224, 224)


def test_an_unknown_decoder_is_told_with_the_nearest() -> None:
    with pytest.raises(
        ModelError, match=r"Unknown decoder 'u-net'.\nExpected one of: light, unet, .*\nFix: .*mean 'unet'"
    ):
        model_of("resnet18", "u-net")


# --- the learner ---


def test_frozen_means_that_only_the_decoder_moves(bunch: DataBunch) -> None:
    learner = tiny_unet(bunch)
    learner.freeze()
    before = learner.copy_weights()
    learner.fit_one_cycle(1, lr=1e-2)
    moved = {
        name.split(".")[0] for name, tensor in learner.copy_weights().items() if not torch.equal(tensor, before[name])
    }
    assert moved == {"head"}
    assert learner.history[-1].stage == "head"


def test_masks_are_learnt_and_the_bundle_answers_alike(camvid: Path, bunch: DataBunch, tmp_path: Path) -> None:
    """Classes differ by colour alone, so a few epochs must find them; the answer is at the image's own size."""
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

    answers = learner.predict_all("valid")
    assert np.mean(answers.table["loss"].to_pylist()) == pytest.approx(learner.validate()["valid_loss"], rel=0.2)
    written = answers.save_masks(tmp_path / "answers")
    assert [path.name for path in written] == ["street_06.png", "street_07.png"]
    np.testing.assert_array_equal(
        np.asarray(Image.open(written[1])), learner.predict(camvid / "images/street_07.png").label
    )
    assert len(learner.show_results(2, worst=True).axes) >= 4


@pytest.mark.parametrize("cache", [None, "memory", "disk"])
def test_a_cache_changes_no_number(cache: str | None, camvid: Path) -> None:
    plain = tiny_unet(mask_bunch(camvid, cache=None, workers=0, augment=oc.augment.default()))
    kept = tiny_unet(mask_bunch(camvid, cache=cache, workers=0, augment=oc.augment.default()))
    for learner in (plain, kept):
        learner.fit_one_cycle(1, lr=1e-3)
    assert kept.history[0].train_loss == plain.history[0].train_loss
    assert kept.history[0].metrics == plain.history[0].metrics


def test_a_fit_goes_on_after_an_interruption_to_the_last_bit(camvid: Path, tmp_path: Path) -> None:
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


def test_sizes_grow_and_the_history_tells(bunch: DataBunch) -> None:
    learner = tiny_unet(bunch)
    learner.fine_tune([1, 2], sizes=[(16, 24), (32, 48)])
    assert [record.inputs for record in learner.history] == ["16x24 pixels", *["32x48 pixels"] * 2]
    assert len(learner.findings) == 2  # a rate found anew at each size
    assert groups.frozen_epochs(learner.model) == 0


@pytest.mark.parametrize("decoder", [LIGHT, "unet"])
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_rate_is_known_for_the_pretrained_default_with_its_light_decoder(
    bunch: DataBunch, decoder: str, pretrained: bool
) -> None:
    learner = unet_learner(bunch, decoder=decoder, pretrained=pretrained, progress=False)
    assert groups.usual_rates(learner.model) == (4e-3 if pretrained and decoder == LIGHT else None)


@pytest.mark.parametrize(
    "loss", [oc.losses.Dice(), oc.losses.Focal(), oc.losses.CrossEntropy() + 0.5 * oc.losses.Dice()]
)
def test_every_loss_learns(loss: torch.nn.Module, bunch: DataBunch) -> None:
    learner = tiny_unet(bunch, loss=loss)
    before = learner.validate()["valid_loss"]
    learner.fit_one_cycle(3, lr=1e-2)
    assert learner.validate()["valid_loss"] < before


def test_each_learner_is_for_its_own_labels(bunch: DataBunch, camvid: Path) -> None:
    with pytest.raises(ModelError, match=r"the labels are masks.\nExpected categories.*\nFix: use unet_learner"):
        vision_learner(bunch, "test_efficientnet", pretrained=False)
    classes = oc.ImageList.from_folder(camvid / "images").split_by_index([0]).label_from_function(
        lambda path: str(int(path.stem[-1]) % 2)
    )  # fmt: skip
    other = classes.transform(32).databunch(4)
    with pytest.raises(ModelError, match=r"predicts masks, but the labels are category.\nExpected .*\nFix: use vision"):
        unet_learner(other, "test_efficientnet", pretrained=False)
    with pytest.raises(ModelError, match=r"head='heatmap' for category.\nExpected .*points, else none.\nFix: leave"):
        vision_learner(other, "test_efficientnet", pretrained=False, head="heatmap")


def test_images_cannot_be_drawn_by_the_classes_in_their_masks(camvid: Path) -> None:
    with pytest.raises(
        DataError, match=r"balance= does not fit masks by sampling.\nExpected a category or tags.\nFix: leave"
    ):
        labelled(camvid).transform(32).databunch(4, balance="sampling")
