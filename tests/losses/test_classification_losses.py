"""Losses and slopes are worked out by hand or by a few lines of numpy; torch's own are a second witness."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import onecycle.losses as losses
from onecycle.errors import ModelError
from onecycle.losses import IGNORE_INDEX, Loss
from slopes import drawn, slope

PIXEL_LOSSES = [
    losses.CrossEntropy(),
    losses.CrossEntropy(weights=(1, 2, 0.5), smoothing=0.1),
    losses.Focal(),
    losses.Focal(gamma=0.5, weights=(1, 2, 0.5)),
    losses.Dice(),
    losses.CrossEntropy() + 0.5 * losses.Dice(),
]

# Probabilities of three classes for each of four pixels, 2 x 2; the last pixel does not count.
PROBABILITIES = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [0.9, 0.05, 0.05]])
CLASSES = [0, 1, 0, IGNORE_INDEX]
LOGITS = torch.tensor(np.log(PROBABILITIES).T.reshape(1, 3, 2, 2) + 1.5, dtype=torch.float32)
MASK = torch.tensor(CLASSES, dtype=torch.uint8).view(1, 2, 2)


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
        reference = nn.CrossEntropyLoss(loss.class_weights, label_smoothing=loss.smoothing)
        torch.testing.assert_close(loss(outputs, targets), reference(outputs, targets))
        softened = drawn(1, 7, 3).softmax(dim=1)
        torch.testing.assert_close(loss(outputs, softened), reference(outputs, softened))

    def test_ignored_pixels_are_left_out_as_torch_does_it(self) -> None:
        outputs, targets = drawn(0, 2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
        targets[:, 1] = IGNORE_INDEX
        reference = nn.CrossEntropyLoss(torch.tensor([1, 2, 0.5]), ignore_index=IGNORE_INDEX, label_smoothing=0.1)
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

    def test_it_is_the_mean_over_the_items_that_show_anything(self) -> None:
        outputs = torch.cat([LOGITS, LOGITS.flip(2), LOGITS])
        targets = torch.cat([MASK, MASK, torch.full_like(MASK, IGNORE_INDEX)])
        alone = [float(losses.Dice()(outputs[n : n + 1], targets[n : n + 1])) for n in range(2)]
        assert float(losses.Dice()(outputs, targets)) == pytest.approx(sum(alone) / 2)
        assert float(losses.Dice().weight(targets)) == 2

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
        targets[..., :columns] = IGNORE_INDEX
        torch.testing.assert_close(loss(outputs, targets), expected)
        found = slope(loss, outputs, targets)
        torch.testing.assert_close(found[..., columns:], cropped)
        assert not found[..., :columns].any()

    def test_a_batch_of_which_nothing_counts_gives_0_and_a_slope_of_0(self, loss: Loss) -> None:
        nothing = torch.full((2, 4, 5), IGNORE_INDEX, dtype=torch.uint8)
        assert float(loss(drawn(0, 2, 3, 4, 5), nothing)) == 0
        assert not slope(loss, drawn(0, 2, 3, 4, 5), nothing).any()

    def test_types_of_outputs_and_targets_make_no_difference(self, loss: Loss) -> None:
        outputs, targets = drawn(0, 2, 3, 4, 5).half(), torch.randint(0, 3, (2, 4, 5))
        targets[0, 0, 0] = IGNORE_INDEX
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
            match=r"got outputs \(2, 3, 2, 2\) for targets \(2, 4, 4\)\.\nExpected outputs \(batch, classes, \.\.\.\) "
            r"and targets \(batch, \.\.\.\)[\s\S]*Fix: use a model that predicts every element of the target",
        ):
            loss(torch.zeros(2, 3, 2, 2), torch.zeros(2, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize("loss", [losses.CrossEntropy((1, 2)), losses.Focal(weights=(1, 2))], ids=str)
def test_weights_must_be_one_a_class(loss: Loss) -> None:
    with pytest.raises(
        ModelError, match=r"has 2 weights for 3 classes\.\nExpected one weight a class\.\nFix: give as many"
    ):
        loss(LOGITS, MASK)


def test_texts_have_one_element_a_token_and_their_own_ignored_value() -> None:
    outputs, tokens = drawn(0, 2, 9, 5), torch.randint(0, 9, (2, 5))
    tokens[0, 3:] = -100
    reference = nn.CrossEntropyLoss()(outputs, tokens)
    torch.testing.assert_close(losses.CrossEntropy(ignore_index=-100)(outputs, tokens), reference)


def test_ignored_classes_of_uint8_masks_do_not_wrap_around() -> None:
    mask = torch.tensor([[156, 1]], dtype=torch.uint8)  # -100 as uint8 is 156
    assert float(losses.CrossEntropy(ignore_index=-100).weight(mask)) == 2


def test_probabilities_of_pixels_are_as_torch_has_them() -> None:
    outputs, targets = drawn(0, 2, 3, 4, 5), drawn(1, 2, 3, 4, 5).softmax(dim=1)
    reference = nn.CrossEntropyLoss(torch.tensor([1, 2, 0.5]), label_smoothing=0.1)
    torch.testing.assert_close(PIXEL_LOSSES[1](outputs, targets), reference(outputs, targets))


@pytest.mark.parametrize(("shape", "targets"), [((4, 2), (4,)), ((4, 2, 3), (4, 3))])
def test_another_number_of_outputs_than_classes_is_refused(shape: tuple[int, ...], targets: tuple[int, ...]) -> None:
    more = ", ..." if len(shape) > 2 else ""
    with pytest.raises(
        ModelError,
        match=re.escape(
            f"CrossEntropy got 2 outputs for 5 classes: shape {shape}.\nExpected outputs (batch, 5{more}).\n"
            "Fix: give the model's head 5 outputs."
        ),
    ):
        losses.CrossEntropy(num_classes=5)(torch.zeros(shape), torch.zeros(targets, dtype=torch.int64))


def test_the_ignored_value_of_masks_may_not_be_one_of_many_classes() -> None:
    outputs, targets = torch.zeros(1, 300), torch.tensor([255])
    with pytest.raises(
        ModelError,
        match=r"CrossEntropy ignores the value 255, which is one of the 300 classes\.\nExpected a value that is no "
        r"class\.\nFix: pass ignore_index=-100\.",
    ):
        losses.CrossEntropy()(outputs, targets)
    assert float(losses.CrossEntropy(ignore_index=-100)(outputs, targets)) == pytest.approx(math.log(300), rel=1e-5)


class TestBinaryCrossEntropy:
    def test_it_is_the_mean_over_items_and_tags(self) -> None:
        outputs, targets = drawn(0, 4, 3), (drawn(1, 4, 3) > 0).float()
        chances = outputs.double().sigmoid()
        right = torch.where(targets > 0, chances, 1 - chances)
        assert float(losses.BinaryCrossEntropy()(outputs, targets)) == pytest.approx(float(-right.log().mean()))

    def test_present_tags_weigh_more_and_labels_are_smoothed_as_torch_does_it(self) -> None:
        outputs, targets, weights = drawn(0, 4, 3), (drawn(1, 4, 3) > 0).float(), torch.tensor([1.0, 2, 5])
        reference = nn.BCEWithLogitsLoss(pos_weight=weights)(outputs, targets * 0.8 + 0.1)
        loss = losses.BinaryCrossEntropy(weights.tolist(), smoothing=0.2)
        torch.testing.assert_close(loss(outputs, targets), reference)
        torch.testing.assert_close(loss(outputs.half().double(), targets.int()), loss(outputs.half(), targets))

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(
            ModelError,
            match=r"BinaryCrossEntropy got outputs \(4, 2\) for targets \(4, 3\)\.\nExpected outputs and targets of "
            r"the same shape, \(batch, tags\)\.\nFix: give the model's head one output a tag\.",
        ):
            losses.BinaryCrossEntropy()(torch.zeros(4, 2), torch.zeros(4, 3))

    def test_weights_must_be_one_a_tag(self) -> None:
        with pytest.raises(
            ModelError, match=r"has 2 weights for 3 tags\.\nExpected one weight a tag\.\nFix: give as many weights"
        ):
            losses.BinaryCrossEntropy((1, 2))(torch.zeros(4, 3), torch.zeros(4, 3))


def test_what_is_no_tensor_is_refused_by_its_type() -> None:
    with pytest.raises(ModelError, match=r"CrossEntropy got a model's output of type tuple[\s\S]*forward\(\)"):
        losses.CrossEntropy()((torch.zeros(1, 2),), torch.tensor([0]))
