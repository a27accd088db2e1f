"""Losses and slopes are worked out by hand or by a few lines of numpy; torch's own are a second witness."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from onecycle.errors import ModelError
from onecycle.train import losses
from onecycle.train.losses import IGNORE, Loss

NAN = float("nan")
PIXEL_LOSSES = [
    losses.CrossEntropy(),
    losses.CrossEntropy(weights=(1, 2, 0.5), smoothing=0.1),
    losses.Focal(),
    losses.Focal(gamma=0.5, weights=(1, 2, 0.5)),
    losses.Dice(),
    losses.CrossEntropy() + 0.5 * losses.Dice(),
]
DISTANCES = [losses.MSE(), losses.L1(), losses.SmoothL1(), losses.Wing(), losses.L1() + 2 * losses.MSE()]

# Probabilities of three classes for each of four pixels, 2 x 2; the last pixel does not count.
PROBABILITIES = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.9, 0.05, 0.05]])
CLASSES = [0, 1, 0, IGNORE]
LOGITS = torch.tensor(np.log(PROBABILITIES).T.reshape(1, 3, 2, 2) + 1.5, dtype=torch.float32)
MASK = torch.tensor(CLASSES, dtype=torch.uint8).view(1, 2, 2)


def slope(loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
    outputs = outputs.detach().clone().requires_grad_()
    loss(outputs, targets).backward()
    assert outputs.grad is not None
    return outputs.grad


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TestArithmetic:
    def test_losses_are_added_and_multiplied(self) -> None:
        entropy, dice, focal = losses.CrossEntropy(), losses.Dice(), losses.Focal()
        loss = entropy + 0.5 * dice + focal * 2
        expected = entropy(LOGITS, MASK) + 0.5 * dice(LOGITS, MASK) + 2 * focal(LOGITS, MASK)
        torch.testing.assert_close(loss(LOGITS, MASK), expected)
        torch.testing.assert_close(
            (3 * (entropy + dice))(LOGITS, MASK), 3 * entropy(LOGITS, MASK) + 3 * dice(LOGITS, MASK)
        )
        assert "factor=0.5" in repr(loss)

    def test_slopes_are_added_too(self) -> None:
        loss = losses.CrossEntropy() + 0.5 * losses.Dice()
        expected = slope(losses.CrossEntropy(), LOGITS, MASK) + 0.5 * slope(losses.Dice(), LOGITS, MASK)
        torch.testing.assert_close(slope(loss, LOGITS, MASK), expected)

    def test_weights_move_with_the_whole(self) -> None:
        loss = 0.5 * losses.CrossEntropy(weights=(1, 2, 3)) + losses.Dice()
        assert {buffer.device.type for buffer in copy.deepcopy(loss).to("meta").buffers()} == {"meta"}

    @pytest.mark.parametrize("other", [1, "dice", nn.MSELoss()])
    def test_what_is_no_loss_cannot_be_added(self, other: object) -> None:
        with pytest.raises(TypeError, match="unsupported operand"):
            losses.Dice() + other  # type: ignore[operator]

    def test_losses_cannot_be_multiplied_with_each_other(self) -> None:
        with pytest.raises(TypeError, match="unsupported operand"):
            losses.Dice() * losses.L1()  # type: ignore[operator]

    def test_a_loss_of_ones_own_joins_in(self) -> None:
        class Size(Loss):
            def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
                return outputs.abs().mean()

        outputs, targets = torch.tensor([[1.0, -3]]), torch.zeros(1, 2)
        assert float((losses.L1() + 0.5 * Size())(outputs, targets)) == pytest.approx(2 + 0.5 * 2)


class TestCrossEntropy:
    def test_it_is_the_mean_of_minus_the_logarithm_of_the_true_classes_probability(self) -> None:
        by_hand = -(math.log(0.5) + math.log(0.8) + math.log(0.2)) / 3
        assert float(losses.CrossEntropy()(LOGITS, MASK)) == pytest.approx(by_hand)

    def test_its_slope_is_probability_less_truth(self) -> None:
        by_hand = (PROBABILITIES - np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])) / 3
        by_hand[3] = 0
        found = slope(losses.CrossEntropy(), LOGITS, MASK)
        np.testing.assert_allclose(found.numpy().reshape(3, 4).T, by_hand, atol=1e-7)

    def test_weights_make_a_weighted_mean(self) -> None:
        by_hand = -(2 * math.log(0.5) + 3 * math.log(0.8) + 2 * math.log(0.2)) / (2 + 3 + 2)
        assert float(losses.CrossEntropy(weights=(2, 3, 7))(LOGITS, MASK)) == pytest.approx(by_hand)

    def test_smoothing_spreads_a_share_of_the_label_over_all_classes(self) -> None:
        by_hand = 0.0
        for probabilities, true in zip(PROBABILITIES[:3], CLASSES[:3], strict=True):
            spread = np.full(3, 0.3 / 3)
            spread[true] += 0.7
            by_hand -= float((spread * np.log(probabilities)).sum()) / 3
        assert float(losses.CrossEntropy(smoothing=0.3)(LOGITS, MASK)) == pytest.approx(by_hand)

    @pytest.mark.parametrize("loss", [losses.CrossEntropy(), losses.CrossEntropy((1, 2, 0.5), smoothing=0.1)])
    def test_one_class_an_item_is_as_torch_has_it(self, loss: losses.CrossEntropy) -> None:
        outputs, targets = drawn(0, 7, 3), torch.tensor([0, 1, 2, 2, 1, 0, 0])
        reference = nn.CrossEntropyLoss(loss.weights, label_smoothing=loss.smoothing)
        torch.testing.assert_close(loss(outputs, targets), reference(outputs, targets))
        softened = drawn(1, 7, 3).softmax(dim=1)
        torch.testing.assert_close(loss(outputs, softened), reference(outputs, softened))

    def test_ignored_pixels_are_left_out_as_torch_does_it(self) -> None:
        outputs, targets = drawn(0, 2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
        targets[:, 1] = IGNORE
        reference = nn.CrossEntropyLoss(torch.tensor([1, 2, 0.5]), ignore_index=IGNORE, label_smoothing=0.1)
        torch.testing.assert_close(PIXEL_LOSSES[1](outputs, targets), reference(outputs, targets))


class TestFocal:
    def test_easy_pixels_weigh_less(self) -> None:
        by_hand = -(0.5**2 * math.log(0.5) + 0.2**2 * math.log(0.8) + 0.8**2 * math.log(0.2)) / 3
        assert float(losses.Focal()(LOGITS, MASK)) == pytest.approx(by_hand)

    def test_weights_make_a_weighted_mean(self) -> None:
        terms = -(2 * 0.5 * math.log(0.5) + 3 * 0.2 * math.log(0.8) + 2 * 0.8 * math.log(0.2))
        assert float(losses.Focal(gamma=1, weights=(2, 3, 7))(LOGITS, MASK)) == pytest.approx(terms / (2 + 3 + 2))

    @pytest.mark.parametrize("weights", [None, (1, 2, 0.5)])
    def test_without_focus_it_is_the_cross_entropy(self, weights: tuple[float, ...] | None) -> None:
        focal, entropy = losses.Focal(gamma=0, weights=weights), losses.CrossEntropy(weights)
        torch.testing.assert_close(focal(LOGITS, MASK), entropy(LOGITS, MASK))
        torch.testing.assert_close(slope(focal, LOGITS, MASK), slope(entropy, LOGITS, MASK))

    def test_its_slope_is_that_of_the_formula(self) -> None:
        # By p: 2 (1 - p) ln(p) - (1 - p)^2 / p. By the true class's logit: that times p (1 - p).
        p = 0.3
        logits = torch.tensor([[math.log(p), math.log(1 - p)]])
        by_hand = (2 * (1 - p) * math.log(p) - (1 - p) ** 2 / p) * p * (1 - p)
        found = slope(losses.Focal(), logits, torch.tensor([0]))
        torch.testing.assert_close(found, torch.tensor([[by_hand, -by_hand]]))

    @pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
    def test_pixels_that_are_certain_have_a_finite_slope(self, gamma: float) -> None:
        logits = torch.tensor([[100.0, 0], [0, 100]])
        found = slope(losses.Focal(gamma), logits, torch.tensor([0, 0]))
        assert found.isfinite().all()
        assert found[0].tolist() == pytest.approx([0, 0])
        assert found[1].tolist() == pytest.approx([-0.5, 0.5], rel=1e-4)

    def test_a_negative_gamma_is_refused(self) -> None:
        with pytest.raises(ModelError, match=r"gamma=-1\.\nExpected a number of 0 or more\.\nFix: take the default, 2"):
            losses.Focal(gamma=-1)


class TestDice:
    def test_it_is_the_mean_over_the_classes_in_the_targets(self) -> None:
        # Class 0 has pixels 0 and 2, class 1 has pixel 1, class 2 has none; pixel 3 is left out of all sums.
        zero = 2 * (0.5 + 0.2) / ((0.5 + 0.1 + 0.2) + 2)
        one = 2 * 0.8 / ((0.25 + 0.8 + 0.6) + 1)
        assert float(losses.Dice()(LOGITS, MASK)) == pytest.approx(1 - (zero + one) / 2)

    def test_its_slope_is_that_of_the_formula(self) -> None:
        # One pixel, two classes, the first true: 1 - 2p / (p + 1), whose slope by p is -2 / (p + 1)^2.
        p = 0.3
        logits = torch.tensor([math.log(p), math.log(1 - p)]).view(1, 2, 1, 1)
        by_hand = -2 / (p + 1) ** 2 * p * (1 - p)
        found = slope(losses.Dice(), logits, torch.zeros(1, 1, 1, dtype=torch.uint8))
        torch.testing.assert_close(found.flatten(), torch.tensor([by_hand, -by_hand]))

    def test_it_is_summed_over_the_batch(self) -> None:
        # Pixel by pixel on one image, or one pixel on each of four.
        torch.testing.assert_close(
            losses.Dice()(LOGITS, MASK), losses.Dice()(LOGITS.view(3, 4).T[..., None, None], MASK.view(4, 1, 1))
        )

    def test_perfect_is_0_and_all_wrong_is_1(self) -> None:
        targets = torch.tensor([[[0, 1], [2, 1]]])
        right = nn.functional.one_hot(targets, 3).movedim(-1, 1).float() * 100
        assert float(losses.Dice()(right, targets)) == pytest.approx(0)
        assert float(losses.Dice()(-right, targets)) == pytest.approx(1)


@pytest.mark.parametrize("loss", PIXEL_LOSSES, ids=lambda loss: type(loss).__name__)
class TestPixelLosses:
    @given(seed=st.integers(0, 2**32 - 1), columns=st.integers(1, 4))
    @settings(max_examples=20, deadline=None)
    def test_ignoring_pixels_is_cropping_them_away(self, loss: Loss, seed: int, columns: int) -> None:
        outputs = drawn(seed, 2, 3, 4, 5) * 3
        targets = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(seed)).byte()
        cropped = slope(loss, outputs[..., columns:], targets[..., columns:])
        expected = loss(outputs[..., columns:], targets[..., columns:])
        targets[..., :columns] = IGNORE
        torch.testing.assert_close(loss(outputs, targets), expected)
        found = slope(loss, outputs, targets)
        torch.testing.assert_close(found[..., columns:], cropped)
        assert not found[..., :columns].any()

    def test_a_batch_of_which_nothing_counts_gives_0_and_a_slope_of_0(self, loss: Loss) -> None:
        nothing = torch.full((2, 4, 5), IGNORE, dtype=torch.uint8)
        assert float(loss(drawn(0, 2, 3, 4, 5), nothing)) == 0
        assert not slope(loss, drawn(0, 2, 3, 4, 5), nothing).any()

    def test_types_of_outputs_and_targets_make_no_difference(self, loss: Loss) -> None:
        outputs, targets = drawn(0, 2, 3, 4, 5).half(), torch.randint(0, 3, (2, 4, 5))
        targets[0, 0, 0] = IGNORE
        expected = loss(outputs.float(), targets)
        assert expected.dtype == torch.float32
        for answers in (outputs, outputs.double()):
            torch.testing.assert_close(loss(answers, targets.byte()), expected)
        brief = outputs.bfloat16()
        torch.testing.assert_close(loss(brief, targets.byte()), loss(brief.float(), targets))
        assert slope(loss, brief, targets).dtype == torch.bfloat16

    def test_inputs_are_left_as_they_are(self, loss: Loss) -> None:
        outputs, targets = LOGITS.clone(), MASK.clone()
        slope(loss, outputs, targets)
        assert outputs.equal(LOGITS)
        assert targets.equal(MASK)

    def test_sizes_that_do_not_match_are_refused(self, loss: Loss) -> None:
        with pytest.raises(
            ModelError,
            match=r"got outputs \(2, 3, 2, 2\) for targets \(2, 4, 4\)\.\nExpected \(batch, classes, height, width\) "
            r"[\s\S]*Fix: use a model that answers for every pixel",
        ):
            loss(torch.zeros(2, 3, 2, 2), torch.zeros(2, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize("loss", [losses.CrossEntropy((1, 2)), losses.Focal(weights=(1, 2))], ids=str)
def test_weights_must_be_one_a_class(loss: Loss) -> None:
    with pytest.raises(
        ModelError, match=r"has 2 weights for 3 classes\.\nExpected one weight a class\.\nFix: give as many"
    ):
        loss(LOGITS, MASK)


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
