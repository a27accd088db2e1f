"""Losses and slopes are worked out by hand or by a few lines of numpy; torch's own are a second witness."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import onecycle.losses as losses
from onecycle.errors import ModelError
from onecycle.losses import Loss
from slopes import drawn, slope

NAN = float("nan")
DISTANCES = [losses.MSE(), losses.L1(), losses.SmoothL1(), losses.Wing(), losses.L1() + 2 * losses.MSE()]


@pytest.mark.parametrize(
    ("loss", "cost", "steepness"),
    [
        (losses.MSE(), lambda e: e**2, lambda e: 2 * e),
        (losses.L1(), abs, lambda e: math.copysign(1, e)),
        (
            losses.SmoothL1(beta=0.5),
            lambda e: e**2 / (2 * 0.5) if abs(e) < 0.5 else abs(e) - 0.25,
            lambda e: e / 0.5 if abs(e) < 0.5 else math.copysign(1, e),
        ),
        (
            losses.Wing(width=0.5, curvature=0.2),
            lambda e: 0.5 * math.log(1 + abs(e) / 0.2) if abs(e) < 0.5 else abs(e) - (0.5 - 0.5 * math.log(3.5)),
            lambda e: math.copysign(0.5 / (0.2 + abs(e)) if abs(e) < 0.5 else 1, e),
        ),
    ],
    ids=["MSE", "L1", "SmoothL1", "Wing"],
)
def test_distances_and_their_slopes_are_those_of_the_formula(
    loss: Loss, cost: Callable[[float], float], steepness: Callable[[float], float]
) -> None:
    errors = [-2, -0.5, -0.3, -0.01, 0.02, 0.4, 0.6, 3]
    targets = drawn(0, 2, 4)
    outputs = targets + torch.tensor(errors).view(2, 4)
    assert float(loss(outputs, targets)) == pytest.approx(sum(map(cost, errors)) / 8, rel=1e-5)
    expected = torch.tensor([steepness(error) / 8 for error in errors]).view(2, 4)
    torch.testing.assert_close(slope(loss, outputs, targets), expected, rtol=1e-4, atol=1e-5)


def test_wing_has_no_step_where_its_pieces_meet() -> None:
    loss, targets = losses.Wing(), torch.zeros(1)
    below, above = (float(loss(torch.tensor([0.1 + step]), targets)) for step in (-1e-6, 1e-6))
    assert below == pytest.approx(above, abs=1e-5)
    assert below == pytest.approx(0.1 * math.log(6), abs=1e-5)


@pytest.mark.parametrize("loss", DISTANCES, ids=lambda loss: type(loss).__name__)
class TestDistances:
    @given(seed=st.integers(0, 2**32 - 1), missing=st.integers(1, 3))
    @settings(max_examples=20, deadline=None)
    def test_missing_points_are_as_if_left_out(self, loss: Loss, seed: int, missing: int) -> None:
        outputs, targets = drawn(seed, 3, 4, 2), drawn(seed + 1, 3, 4, 2)
        expected = loss(outputs[:, missing:], targets[:, missing:])
        known = slope(loss, outputs[:, missing:], targets[:, missing:])
        targets[:, :missing] = NAN
        torch.testing.assert_close(loss(outputs, targets), expected)
        found = slope(loss, outputs, targets)
        torch.testing.assert_close(found[:, missing:], known)
        assert not found[:, :missing].any()

    def test_nothing_known_gives_0_and_a_slope_of_0(self, loss: Loss) -> None:
        nothing = torch.full((3, 4, 2), NAN)
        assert float(loss(drawn(0, 3, 8), nothing)) == 0
        assert not slope(loss, drawn(0, 3, 8), nothing).any()

    def test_perfect_is_0_and_has_no_slope(self, loss: Loss) -> None:
        targets = drawn(0, 3, 4)
        assert float(loss(targets, targets)) == 0
        assert not slope(loss, targets, targets).any()

    def test_outputs_take_the_shape_of_the_targets(self, loss: Loss) -> None:
        outputs, targets = drawn(0, 3, 8), drawn(1, 3, 4, 2)
        torch.testing.assert_close(loss(outputs, targets), loss(outputs.view(3, 4, 2), targets))
        assert float(loss(drawn(0, 3, 1), drawn(1, 3))) == float(loss(drawn(0, 3), drawn(1, 3)))

    def test_types_make_no_difference(self, loss: Loss) -> None:
        outputs, targets = drawn(0, 3, 4).half(), drawn(1, 3, 4)
        expected = loss(outputs.float(), targets)
        assert expected.dtype == torch.float32
        torch.testing.assert_close(loss(outputs, targets.double()), expected)

    @pytest.mark.parametrize("shape", [(3, 6), (6, 4)])
    def test_as_many_outputs_as_numbers_are_needed(self, loss: Loss, shape: tuple[int, ...]) -> None:
        with pytest.raises(
            ModelError,
            match=r"got outputs \(\d, \d\) for targets \(3, 4, 2\)\.\nExpected as many outputs an item[\s\S]*Fix: give",
        ):
            loss(torch.zeros(shape), torch.zeros(3, 4, 2))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: losses.SmoothL1(beta=0), "beta"),
        (lambda: losses.Wing(width=-1), "width"),
        (lambda: losses.Wing(curvature=NAN), "curvature"),
    ],
)
def test_sizes_of_0_or_less_are_refused(make: Callable[[], Loss], name: str) -> None:
    with pytest.raises(
        ModelError, match=rf"{name}=[\s\S]*a number above 0, in the unit of the targets[\s\S]*leave {name}="
    ):
        make()
