from __future__ import annotations

import copy

import pytest
import torch

from onecycle.data.batch import Batch
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.target import Target
from onecycle.train.mix import Mix, Mixup

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


@pytest.mark.parametrize("mix", [Mixup(), Mixup(alpha=5)], ids=repr)
class TestEveryMix:
    def test_targets_sum_to_one(self, mix: Mix) -> None:
        torch.testing.assert_close(mix(BATCH, Category(CLASSES), generator()).targets.sum(1), torch.ones(6))

    def test_the_larger_share_is_the_items_own(self, mix: Mix) -> None:
        mixed = mix(BATCH, Category(CLASSES), generator())
        assert (mixed.targets[torch.arange(6), BATCH.targets] >= 0.5 - 1e-6).all()

    def test_tags_stay_between_0_and_1(self, mix: Mix) -> None:
        tags = torch.tensor([[1.0, 0, 1]] * 3 + [[0, 1.0, 0]] * 3)
        mixed = mix(Batch(BATCH.inputs, tags, BATCH.index), MultiCategory(CLASSES), generator())
        assert ((mixed.targets >= 0) & (mixed.targets <= 1)).all()

    def test_the_batch_is_not_changed(self, mix: Mix) -> None:
        batch = copy.deepcopy(BATCH)
        mix(batch, Category(CLASSES), generator())
        assert torch.equal(batch.inputs, BATCH.inputs)
        assert torch.equal(batch.targets, BATCH.targets)

    def test_repeats_with_the_seed(self, mix: Mix) -> None:
        first, second = (mix(BATCH, Category(CLASSES), generator()) for _ in range(2))
        assert torch.equal(first.inputs, second.inputs)
        assert torch.equal(first.targets, second.targets)

    @pytest.mark.parametrize("target", [Category(CLASSES), MultiCategory(CLASSES)], ids=lambda t: t.kind)
    def test_items_without_labels_have_none_afterwards(self, mix: Mix, target: Target) -> None:
        assert mix(Batch(BATCH.inputs, None, BATCH.index), target, generator()).targets is None
