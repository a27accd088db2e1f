from __future__ import annotations

from pathlib import Path

import pytest
import torch

from learners import photo_bunch, tiny
from onecycle.errors import ModelError
from onecycle.vision.input_sizes import wrong_size
from onecycle.vision.pyramid import create_encoder, create_light_pair
from onecycle.vision.weights import create_backbone

STATISTICS = ([0.5] * 3, [0.2] * 3)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_transformers_read_any_size_and_have_the_same_weights(name: str) -> None:
    model = create_backbone(name, pretrained=False, num_classes=0).eval()
    fixed = create_backbone(name, pretrained=False, num_classes=0, img_size=96).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 96, 64)).shape == fixed(torch.zeros(2, 3, 96, 96)).shape
    assert model.state_dict().keys() >= {name for name, _ in fixed.named_parameters()}


def test_a_vision_transformer_is_trained_and_exported_at_another_size(photos: Path, tmp_path: Path) -> None:
    learner = tiny(photo_bunch(photos, size=48), "test_vit")
    learner.fit(1, 1e-3)
    assert tuple(learner.model.body[1].pretrained_cfg["input_size"]) == (3, 160, 160)
    assert learner.export(tmp_path / "model.onnx").exists()


def test_a_backbone_of_one_size_says_which(photos: Path) -> None:
    learner = tiny(photo_bunch(photos, size=96), "gmlp_ti16_224")
    with pytest.raises(
        ModelError,
        match=r"^The backbone 'gmlp_ti16_224' cannot read images of 96x96 pixels: Input height \(96\) doesn't match "
        r"model \(224\)\.\nExpected images of 224x224 pixels, for which it was made\.\nFix: use transform\(224\), in "
        r"the shell --sizes 224x224; or a backbone of convolutions, such as tf_efficientnet_lite0, which reads any "
        r"size\.$",
    ):
        learner.validate()
    with torch.no_grad():  # the fix
        assert learner.model(torch.zeros(1, 3, 224, 224, device=learner.state.device)).shape == (1, 3)


def test_a_transformer_of_any_size_says_what_its_patches_divide(photos: Path) -> None:
    learner = tiny(photo_bunch(photos, size=(52, 100)), "test_vit")
    with pytest.raises(
        ModelError,
        match=r"cannot read images of 52x100 pixels: .*\nExpected a height that is divisible by 16, and a width by 16\."
        r"\nFix: use transform\(\(48, 96\)\), in the shell --sizes 48x96;",
    ):
        learner.validate()
    with torch.no_grad():  # the fix
        assert learner.model(torch.zeros(1, 3, 48, 96, device=learner.state.device)).shape == (1, 3)


def test_an_encoder_says_it_too() -> None:
    encoder, _ = create_light_pair("test_maxvit", 3, *STATISTICS, False)
    with pytest.raises(ModelError, match=r"'test_maxvit' cannot read images of 72x100 pixels: .*\n.*160x160 pixels"):
        encoder(torch.zeros(1, 3, 72, 100))
    assert encoder(torch.zeros(1, 3, 160, 160))[0].shape[-1] == 40  # the fix


def test_encoders_that_timm_wraps_in_another_way_are_refused() -> None:
    with pytest.raises(ModelError, match="'coat_lite_tiny' has no feature maps of several sizes"):
        create_encoder("coat_lite_tiny", False)


def test_other_failures_stay_what_they_are() -> None:
    model = create_backbone("test_vit", pretrained=False)
    assert wrong_size(RuntimeError("CUDA error: out of memory"), model, (96, 96)) is None
    assert wrong_size(AssertionError("a bug"), model, (160, 160)) is None  # the size it was made for
