"""The normalising first layer."""

import pytest
import timm
import torch

import onecycle as oc
from onecycle.vision.normalize import Normalize

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_normalize_is_the_formula_for_uint8_and_float(dtype: torch.dtype) -> None:
    pixels = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5).to(dtype)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    torch.testing.assert_close(Normalize(MEAN, STD)(pixels), (pixels.float() / 255 - mean) / std)


def test_normalize_keeps_channels_last() -> None:
    pixels = torch.zeros(2, 3, 4, 5, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    assert Normalize(MEAN, STD)(pixels).is_contiguous(memory_format=torch.channels_last)


def test_mean_and_std_are_saved_with_the_weights() -> None:
    layer = Normalize((0, 0, 0), (1, 1, 1))
    layer.load_state_dict(Normalize(MEAN, STD).state_dict())
    assert (layer.mean.flatten() / 255).tolist() == pytest.approx(MEAN)


def test_the_defaults_are_those_of_imagenet() -> None:
    layer = Normalize()
    assert (layer.mean.flatten() / 255).tolist() == pytest.approx(timm.data.IMAGENET_DEFAULT_MEAN)
    assert (layer.std.flatten() / 255).tolist() == pytest.approx(timm.data.IMAGENET_DEFAULT_STD)
    assert oc.Normalize is Normalize
