"""Temperatures: found where they are known, closer to 1 for fewer items, and refused where they make no sense."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import onecycle as oc
from onecycle.data.target import same_labels
from onecycle.data.temperature import SHRINKAGE, check_temperatures, fit_tag_temperatures, fit_temperature, scaled
from onecycle.errors import DataError, ModelError


def drawn(logits: torch.Tensor) -> torch.Tensor:
    """Draw a class for each row, with the probabilities that the logits say."""
    return torch.multinomial(logits.softmax(1), 1, generator=torch.Generator().manual_seed(0))[:, 0]


@pytest.fixture(scope="module")
def logits() -> torch.Tensor:
    return torch.randn(20_000, 4, generator=torch.Generator().manual_seed(1)) * 2


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_by_which_logits_are_too_large_is_found(logits: torch.Tensor, factor: float) -> None:
    assert fit_temperature(logits * factor, drawn(logits)) == pytest.approx(factor, rel=0.05)


def test_few_items_move_it_less_by_the_stated_formula(logits: torch.Tensor) -> None:
    truth = drawn(logits)
    whole = fit_temperature(logits * 3, truth, items=10**9)
    of_few = math.exp(math.log(whole) * 50 / (50 + SHRINKAGE))
    assert fit_temperature(logits * 3, truth, items=50) == pytest.approx(of_few, rel=0.05)


def test_a_model_without_mistakes_is_not_taken_for_one_that_makes_none() -> None:
    logits = torch.tensor([[2.0, 0.0]]).repeat(100, 1)
    temperature = fit_temperature(logits, torch.zeros(100, dtype=torch.int64))
    assert 1 - float((logits[0] / temperature).softmax(0)[0]) > 0.005  # half a mistake in a hundred


def test_each_tag_has_its_own_where_it_occurs_often() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(20_000, 3, generator=generator) * 2
    values[:, 2] -= 12  # next to never
    present = (torch.rand(20_000, 3, generator=generator) < values.sigmoid()).float()
    own = fit_tag_temperatures(values * torch.tensor([1.0, 3.0, 3.0]), present)
    assert own[:2] == pytest.approx((1.0, 3.0), rel=0.1)
    assert 1.0 < own[2] < 3.0, "as all tags together"


@pytest.mark.parametrize(
    ("target", "temperatures", "outputs"),
    [
        (oc.Category(("a", "b")), (2.0,), torch.tensor([[1.0, 3.0]])),
        (oc.MultiCategory(("a", "b")), (2.0, 4.0), torch.tensor([[1.0, 3.0]])),
        (oc.Mask(("a", "b"), (0, 1)), (2.0,), torch.randn(2, 2, 3, 3)),
    ],
)
def test_targets_divide_their_outputs_and_keep_it_in_their_config(
    target: Any, temperatures: tuple[float, ...], outputs: torch.Tensor
) -> None:
    warm = target.with_temperatures(temperatures)
    torch.testing.assert_close(warm.activate(outputs), target.activate(outputs / torch.tensor(temperatures))
                               if outputs.ndim == 2 else target.activate(outputs / 2))  # fmt: skip
    assert type(target).from_config(warm.to_config()) == warm
    assert "temperatures" not in target.to_config(), "as earlier versions wrote it"
    assert same_labels(target, warm)
    assert warm.with_temperatures(None) == target


@pytest.mark.parametrize("wrong", [(0.0,), (-1.0,), (2.0, 2.0, 2.0), (1e9,), (math.nan,), ()])
def test_temperatures_that_no_calibration_gives_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match=r"temperatures=.*\n.*\n.*calibrate and export the model again"):
        oc.Category.from_config({"kind": "category", "classes": ["a", "b"], "temperatures": list(wrong)})
    check_temperatures((1.5,), (1,))


def test_without_temperatures_outputs_stay_bit_for_bit() -> None:
    outputs = torch.from_numpy(np.float32([[0.1, 0.7]]))
    assert torch.equal(scaled(outputs, None), outputs)


def test_points_have_nothing_to_calibrate() -> None:
    with pytest.raises(ModelError, match=r"kind 'points' have no probabilities.*\nExpected categories, tags or masks"):
        oc.Points(1).calibration_inputs(None, None)


def test_of_masks_pixels_are_spread_over_the_image_and_ignored_ones_left_out() -> None:
    target = oc.Mask(("a", "b"), (0, 1), ignored=(9,))
    labels = torch.zeros(2, 50, 50, dtype=torch.uint8)
    labels[0, :25] = 255
    labels[1, 25:] = 1
    logits, truth = target.calibration_inputs(torch.zeros(2, 2, 50, 50), labels)
    assert logits.shape == (len(truth), 2)
    assert 1400 <= len(truth) <= 1600
    assert 0.2 < truth.double().mean() < 0.45
