from __future__ import annotations

import copy

import pytest
import torch

from onecycle.data.modality import Batch
from onecycle.data.target import Category, MultiCategory, Target
from onecycle.train.mix import CutMix, Mix, Mixup

CLASSES = ("a", "b", "c")
BATCH = Batch(torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8), torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(6))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_mixup_blends_inputs_and_targets_in_the_shares_drawn() -> None:
    mixed = Mixup(alpha=0.4)(BATCH, Category(CLASSES), generator())
    drawn = generator()
    order = torch.randperm(6, generator=drawn)
    one, other = torch._standard_gamma(torch.full((2, 6), 0.4), generator=drawn)
    share = torch.maximum(one / (one + other), other / (one + other))
    one_hot = torch.eye(3)[BATCH.targets]
    for row in range(6):
        other_row = int(order[row])
        expected = BATCH.inputs[row].float() * share[row] + BATCH.inputs[other_row].float() * (1 - share[row])
        torch.testing.assert_close(mixed.inputs[row], expected)
        torch.testing.assert_close(
            mixed.targets[row], one_hot[row] * share[row] + one_hot[other_row] * (1 - share[row])
        )


def test_cutmix_pastes_one_rectangle_and_weighs_targets_by_its_area() -> None:
    # Images of one value each, so that a pixel tells whose it is.
    batch = Batch(torch.arange(6).view(6, 1, 1, 1).expand(6, 3, 8, 8).contiguous(), BATCH.targets, BATCH.index)
    mixed = CutMix()(batch, Category(CLASSES), generator())
    order = torch.randperm(6, generator=generator())
    pasted = mixed.inputs[:, 0] != batch.inputs[:, 0]
    moved = order != torch.arange(6)
    assert moved.any()
    for row in torch.flatten(moved.nonzero()).tolist():
        assert (mixed.inputs[row, 0][pasted[row]] == order[row]).all()
        share = 1 - pasted[row].sum() / 64
        rows, columns = pasted[row].any(1).sum(), pasted[row].any(0).sum()
        assert pasted[row].sum() == rows * columns, "a rectangle"
        expected = torch.eye(3)[batch.targets[row]] * share + torch.eye(3)[batch.targets[order[row]]] * (1 - share)
        torch.testing.assert_close(mixed.targets[row], expected)


@pytest.mark.parametrize("mix", [Mixup(), Mixup(alpha=5), CutMix(), CutMix(alpha=0.1)], ids=repr)
class TestEveryMix:
    def test_targets_sum_to_one(self, mix: Mix) -> None:
        torch.testing.assert_close(mix(BATCH, Category(CLASSES), generator()).targets.sum(1), torch.ones(6))

    def test_most_of_each_item_stays_its_own(self, mix: Mix) -> None:
        mixed = mix(BATCH, Category(CLASSES), generator())
        assert (mixed.targets[torch.arange(6), BATCH.targets] >= 0.5 - 1e-6).all()

    def test_tags_stay_between_0_and_1(self, mix: Mix) -> None:
        tags = torch.tensor([[1.0, 0, 1]] * 3 + [[0, 1.0, 0]] * 3)
        mixed = mix(Batch(BATCH.inputs, tags, BATCH.index), MultiCategory(CLASSES), generator())
        assert ((mixed.targets >= 0) & (mixed.targets <= 1)).all()

    def test_leaves_what_it_was_given_unchanged(self, mix: Mix) -> None:
        batch = copy.deepcopy(BATCH)
        mix(batch, Category(CLASSES), generator())
        assert torch.equal(batch.inputs, BATCH.inputs)
        assert torch.equal(batch.targets, BATCH.targets)

    def test_repeats_with_the_seed(self, mix: Mix) -> None:
        first, second = (mix(BATCH, Category(CLASSES), generator()) for _ in range(2))
        assert torch.equal(first.inputs, second.inputs)
        assert torch.equal(first.targets, second.targets)

    @pytest.mark.parametrize("target", [Category(CLASSES), MultiCategory(CLASSES)], ids=lambda t: t.kind)
    def test_items_without_labels_stay_without(self, mix: Mix, target: Target) -> None:
        assert mix(Batch(BATCH.inputs, None, BATCH.index), target, generator()).targets is None
