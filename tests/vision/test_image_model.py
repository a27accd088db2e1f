"""vision/model.py: the normalising first layer, the head, layer groups for every family of backbones."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

import onecycle as oc
from conftest import TINY
from onecycle.data.bunch import DataBunch
from onecycle.train.groups import layer_groups
from onecycle.vision.learner import vision_learner
from onecycle.vision.model import ImageModel, Normalize, make_head
from onecycle.vision.weights import create_backbone

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FAMILIES = [
    "test_byobnet", "test_convnext", "test_efficientnet", "test_mambaout", "test_nfnet", "test_resnet", "test_vit",
    "test_vit3", "test_maxvit",
]  # fmt: skip


def model_of(name: str, outputs: int = 3, **options: int) -> ImageModel:
    backbone = create_backbone(name, False, num_classes=0)
    return ImageModel(backbone, outputs, mean=MEAN, std=STD, name=name, **{"hidden": 16, **options})


@pytest.fixture
def bunch(photos: Path) -> DataBunch:
    split = oc.ImageList.from_folder(photos).split_random(0.2, seed=1, stratify="folder")
    return split.label_from_folder().transform(32).databunch(8)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_normalize_is_the_formula_for_uint8_and_float_alike(dtype: torch.dtype) -> None:
    pixels = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5).to(dtype)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    torch.testing.assert_close(Normalize(MEAN, STD)(pixels), (pixels.float() / 255 - mean) / std)


def test_normalize_keeps_channels_last() -> None:
    pixels = torch.zeros(2, 3, 4, 5, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    assert Normalize(MEAN, STD)(pixels).is_contiguous(memory_format=torch.channels_last)


def test_normalize_travels_with_the_weights() -> None:
    layer = Normalize((0, 0, 0), (1, 1, 1))
    layer.load_state_dict(Normalize(MEAN, STD).state_dict())
    assert (layer.mean.flatten() / 255).tolist() == pytest.approx(MEAN)


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
def test_every_family_gives_the_targets_outputs_from_uint8(name: str) -> None:
    size = create_backbone(name, False).default_cfg["input_size"][-1]
    pixels = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    model = model_of(name).eval()
    outputs = model(pixels.contiguous(memory_format=torch.channels_last))
    assert outputs.shape == (2, 3)
    assert torch.isfinite(outputs).all()
    torch.testing.assert_close(outputs, model.head(model.body(pixels.float())), atol=1e-4, rtol=1e-4)


def test_weights_are_channels_last() -> None:
    convolutions = [one.weight for one in model_of(TINY).modules() if isinstance(one, nn.Conv2d)]
    assert convolutions
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in convolutions)


@pytest.mark.parametrize("hidden", [0, 16])
def test_a_model_is_built_again_from_its_config(hidden: int) -> None:
    model = model_of(TINY, hidden=hidden).eval()
    again = ImageModel.from_config(model.to_config()).eval()
    again.load_state_dict(model.state_dict())
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(model(pixels), again(pixels))
    assert again.to_config() == model.to_config()


def test_a_head_is_linear_or_has_one_hidden_layer() -> None:
    def widths(head: nn.Module) -> list[tuple[int, int]]:
        return [(one.in_features, one.out_features) for one in head.modules() if isinstance(one, nn.Linear)]

    assert widths(make_head(8, 3, hidden=0, dropout=0.5)) == [(8, 3)]
    head = make_head(8, 3, hidden=5, dropout=0.5)
    assert widths(head) == [(8, 5), (5, 3)]
    assert [one.p for one in head.modules() if isinstance(one, nn.Dropout)] == [0.25, 0.5]


def test_a_new_head_starts_without_an_opinion() -> None:
    """Outputs of unit scale: Kaiming 2015, arXiv:1502.01852, then 1/sqrt(width)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        outputs = make_head(256, 50, hidden=512, dropout=0.0).train()(torch.randn(400, 256))
    assert outputs.std().item() == pytest.approx(1, abs=0.35)
    assert outputs.mean().item() == pytest.approx(0, abs=0.1)


def test_a_learner_normalises_with_the_backbones_own_statistics(bunch: DataBunch) -> None:
    model = vision_learner(bunch, TINY, pretrained=False, progress=False).model
    config = timm.data.resolve_model_data_config(create_backbone(TINY, False))
    assert model.config["mean"] == list(config["mean"])
    assert (model.body[0].std.flatten() / 255).tolist() == pytest.approx(config["std"])


def test_a_pretrained_learner_starts_frozen_up_to_its_head(bunch: DataBunch) -> None:
    model = vision_learner(bunch, progress=False).model
    assert model.fixed_statistics
    assert model.first_tuned == 1
    assert model.config["hidden"] == 0
    assert not any(parameter.requires_grad for parameter in model.body.parameters())
    assert all(parameter.requires_grad for parameter in model.head.parameters())
    random = vision_learner(bunch, TINY, pretrained=False, progress=False).model
    assert all(parameter.requires_grad for parameter in random.parameters())
    assert random.first_tuned == 0


def test_the_seed_decides_the_head_and_leaves_the_users_randomness_alone(bunch: DataBunch) -> None:
    before = torch.get_rng_state()
    first, again, other = (
        vision_learner(bunch, TINY, pretrained=False, progress=False, seed=seed).model.state_dict()
        for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.2.weight"], other["head.2.weight"])
