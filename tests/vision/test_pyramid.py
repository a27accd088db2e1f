"""Encoders with feature maps of several sizes, and the light decoder."""

import pytest
import torch
from torch import Tensor, nn

from onecycle.vision.heatmaps import HeatmapModel
from onecycle.vision.learner import image_statistics
from onecycle.vision.pyramid import Encoder, LightDecoder, copy_weights, create_light_pair, resize_maps
from onecycle.vision.segmentation import LIGHT_DECODER, SegmentationModel
from onecycle.vision.weights import create_backbone


@pytest.mark.parametrize("decoder", [LIGHT_DECODER, "unet", "fpn"])
def test_the_encoder_has_the_pretrained_weights_of_the_backbone(decoder: str) -> None:
    full = create_backbone("tf_efficientnet_lite0", True).state_dict()
    mean, std = image_statistics("tf_efficientnet_lite0")
    model = SegmentationModel("tf_efficientnet_lite0", 2, decoder=decoder, mean=mean, std=std, pretrained=True)
    network = getattr(model.body.network, "model", model.body.network)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, full[name], rtol=0, atol=0)
    torch.testing.assert_close(model.body.normalize.mean.flatten(), torch.tensor(mean) * 255)


def test_the_light_decoder_adds_up_the_maps() -> None:
    """One channel, lateral weights of 1, without smoothing: the finest map plus the enlarged deeper one."""
    decoder = LightDecoder([1, 1], 1, width=1).eval()
    for lateral in decoder.lateral:
        torch.nn.init.ones_(lateral.weight)  # type: ignore[arg-type]
        torch.nn.init.zeros_(lateral.bias)  # type: ignore[arg-type]
    decoder.smooth = torch.nn.Identity()  # type: ignore[assignment]
    fine, deep = torch.rand(1, 1, 4, 6), torch.rand(1, 1, 2, 3)
    torch.testing.assert_close(decoder([fine, deep]), fine + resize_maps(deep, (4, 6)))


def test_an_encoder_pads_with_copies_of_the_edge_and_returns_all_maps() -> None:
    class Recorder(nn.Module):
        def forward(self, inputs: Tensor) -> list[Tensor]:
            return [inputs]

    encoder = Encoder(Recorder(), [0.0] * 3, [1.0] * 3, 4)
    (padded,) = encoder(torch.full((1, 3, 5, 8), 255.0))
    assert padded.shape == (1, 3, 8, 8)
    assert (padded == 1).all()
    assert [encoder.padded_length(length) for length in (1, 4, 5)] == [4, 4, 8]


def test_an_encoder_has_maps_from_a_quarter_of_the_size_on() -> None:
    encoder, decoder = create_light_pair("test_efficientnet", 3, [0.5] * 3, [0.5] * 3, False)
    maps = encoder.eval()(torch.zeros(1, 3, 64, 96))
    assert maps[0].shape[-2:] == (16, 24)
    assert decoder.eval()(maps).shape == (1, 3, 16, 24)


def test_pyramid_models_have_the_microbatches_of_image_models() -> None:
    model = HeatmapModel("test_efficientnet", 2, mean=[0.5] * 3, std=[0.5] * 3)
    assert model.microbatch_size(torch.empty(64, 3, 128, 128)) == 16


def test_copied_weights_are_found_under_names_with_underscores() -> None:
    source, part = nn.Module(), nn.Module()
    source.stages = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    part.stages_1 = nn.Linear(2, 2)
    assert torch.equal(copy_weights(source, part).stages_1.weight, source.stages[1].weight)
