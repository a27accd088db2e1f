"""Models that predict a class for every pixel: every decoder, and images of any size."""

import pytest
import torch

from onecycle.errors import ModelError
from onecycle.vision.pyramid import create_encoder
from onecycle.vision.segmentation import DECODERS, LIGHT_DECODER, SegmentationModel

HALF = (0.5, 0.5, 0.5)


def model_of(backbone: str = "test_efficientnet", decoder: str = LIGHT_DECODER, **options: object) -> SegmentationModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SegmentationModel(backbone, 3, decoder=decoder, mean=HALF, std=HALF, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("decoder", [LIGHT_DECODER, *DECODERS])
def test_every_decoder_predicts_every_pixel_at_any_size(decoder: str) -> None:
    """Among them sizes that are not multiples of 32, which the decoders of segmentation-models-pytorch need."""
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


def test_backbones_without_maps_of_several_sizes_are_refused() -> None:
    message = (
        r"The backbone 'test_vit' has no feature maps of several sizes.\n"
        r"Expected a backbone that reduces .*\nFix: use one of them; plain vision transformers keep one size"
    )
    with pytest.raises(ModelError, match=message):
        create_encoder("test_vit", False)
    with pytest.raises(ModelError, match=r"The decoder 'unet' does not fit the backbone 'test_vit': .*\nExpected a"):
        model_of("test_vit", "unet")


def test_windowed_transformers_with_channels_last_maps_work() -> None:
    model = model_of("swin_tiny_patch4_window7_224").eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 224, 224, dtype=torch.uint8)).shape == (1, 3, 224, 224)


def test_an_unknown_decoder_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        ModelError, match=r"Unknown decoder 'u-net'.\nExpected one of: light, unet, .*\nFix: .*mean 'unet'"
    ):
        model_of("resnet18", "u-net")
