"""Models that predict points from maps."""

import torch

from onecycle.vision.heatmaps import CentreOfMass, HeatmapModel


def test_the_centre_of_mass_of_one_peak_is_its_pixel() -> None:
    maps = torch.full((1, 1, 6, 8), -1e4)
    maps[0, 0, 2, 5] = 0
    torch.testing.assert_close(CentreOfMass()(maps)[0, 0], torch.tensor([(5 * 2 + 1) / 8 - 1, (2 * 2 + 1) / 6 - 1]))


def test_the_centre_of_mass_is_float32_for_any_float_type() -> None:
    assert CentreOfMass()(torch.zeros(1, 1, 6, 8, dtype=torch.bfloat16)).dtype == torch.float32


def test_of_two_equal_peaks_the_centre_of_mass_is_half_way() -> None:
    maps = torch.full((1, 1, 5, 5), -1e4)
    maps[0, 0, 2, 0] = maps[0, 0, 2, 4] = 0
    torch.testing.assert_close(CentreOfMass()(maps), torch.zeros(1, 1, 2))


def test_every_parameter_is_in_one_group_and_a_copy_predicts_the_same() -> None:
    model = HeatmapModel("test_efficientnet", 4, mean=[0.5] * 3, std=[0.5] * 3).eval()
    names = [name for group in model.layer_groups() for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    copy = HeatmapModel.from_config(model.to_config()).eval()
    copy.load_state_dict(model.state_dict())
    images = torch.rand(2, 3, 37, 45) * 255
    outputs = model(images)
    assert outputs.shape == (2, 4, 2)
    torch.testing.assert_close(copy(images), outputs)
