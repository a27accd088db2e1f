"""Image models: layer groups for every family of backbones, microbatches, configs."""

import pytest
import torch
from torch import nn

from noisy_photos import TINY
from onecycle.errors import ModelError
from onecycle.train.layer_groups import layer_groups
from onecycle.vision.model import ImageModel, checkpoint_backbone
from onecycle.vision.weights import create_backbone

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FAMILIES = [
    "test_byobnet", "test_convnext", "test_efficientnet", "test_mambaout", "test_nfnet", "test_resnet", "test_vit",
    "test_vit3", "test_maxvit",
]  # fmt: skip


def model_of(name: str, outputs: int = 3, **options: int) -> ImageModel:
    backbone = create_backbone(name, False, num_classes=0)
    return ImageModel(backbone, outputs, mean=MEAN, std=STD, name=name, **{"hidden": 16, **options})


@pytest.mark.parametrize("name", FAMILIES)
def test_layer_groups_cover_every_parameter_once_from_input_to_head(name: str) -> None:
    model = model_of(name)
    groups = layer_groups(model)
    assert len(groups) == 3
    grouped = [parameter for group in groups for parameter in group]
    assert sorted(grouped) == sorted(parameter for parameter, _ in model.named_parameters())
    assert len(set(grouped)) == len(grouped)
    assert all(parameter.startswith("head.") for parameter in groups[-1])
    assert next(model.body.named_parameters())[0] in {one.removeprefix("body.") for one in groups[0]}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_predicts_from_uint8_and_float_pixels(name: str) -> None:
    size = create_backbone(name, False).default_cfg["input_size"][-1]
    pixels = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    model = model_of(name).eval()
    outputs = model(pixels.contiguous(memory_format=torch.channels_last))
    assert outputs.shape == (2, 3)
    assert torch.isfinite(outputs).all()
    torch.testing.assert_close(outputs, model.head(model.body(pixels.float())), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("size", "expected"), [((128, 128), 16), ((224, 224), 5), ((512, 512), 1), ((1000, 1000), 1)])
def test_microbatches_on_a_cpu_have_at_most_2_to_the_18_pixels(size: tuple[int, int], expected: int) -> None:
    assert model_of(TINY).microbatch_size(torch.empty(64, 3, *size)) == expected


def test_other_devices_get_all_images_at_once() -> None:
    assert model_of(TINY).microbatch_size(torch.empty(64, 3, 128, 128, device="meta")) is None


def test_backbones_that_cannot_recompute_activations_are_refused() -> None:
    message = (
        r"The backbone 'plain' does not support recomputing its activations.\nExpected a backbone of timm .*\n"
        "Fix: leave checkpoint_activations out"
    )
    with pytest.raises(ModelError, match=message):
        checkpoint_backbone(nn.Linear(2, 2), "plain")


def test_weights_are_channels_last() -> None:
    convolutions = [one.weight for one in model_of(TINY).modules() if isinstance(one, nn.Conv2d)]
    assert convolutions
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in convolutions)


@pytest.mark.parametrize("hidden", [0, 16])
def test_a_model_is_rebuilt_from_its_config(hidden: int) -> None:
    model = model_of(TINY, hidden=hidden).eval()
    again = ImageModel.from_config(model.to_config()).eval()
    again.load_state_dict(model.state_dict())
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(model(pixels), again(pixels))
    assert again.to_config() == model.to_config()
