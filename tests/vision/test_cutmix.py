"""CutMix: rectangles of other images, and labels mixed by their areas."""

import copy

import pytest
import torch

from onecycle.data.batch import Batch
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.target import Target
from onecycle.vision.cutmix import CutMix

CLASSES = ("a", "b", "c")
PIXELS = torch.randint(0, 256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()
BATCH = Batch(PIXELS, torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(6))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_one_rectangle_is_pasted_and_targets_are_mixed_by_its_area() -> None:
    # Each image has one value, so that the value of a pixel is the number of its image.
    batch = Batch(torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 8, 8).contiguous(), BATCH.targets, BATCH.index)
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


@pytest.mark.parametrize("mix", [CutMix(), CutMix(alpha=0.1)], ids=repr)
class TestAnyAlpha:
    def test_targets_sum_to_one_and_most_of_each_image_remains(self, mix: CutMix) -> None:
        mixed = mix(BATCH, Category(CLASSES), generator())
        torch.testing.assert_close(mixed.targets.sum(1), torch.ones(6))
        assert (mixed.targets[torch.arange(6), BATCH.targets] >= 0.5 - 1e-6).all()

    def test_tags_stay_between_0_and_1(self, mix: CutMix) -> None:
        tags = torch.tensor([[1.0, 0, 1]] * 3 + [[0, 1.0, 0]] * 3)
        mixed = mix(Batch(PIXELS, tags, BATCH.index), MultiCategory(CLASSES), generator())
        assert ((mixed.targets >= 0) & (mixed.targets <= 1)).all()

    def test_the_batch_is_not_changed(self, mix: CutMix) -> None:
        batch = copy.deepcopy(BATCH)
        mix(batch, Category(CLASSES), generator())
        assert torch.equal(batch.inputs, BATCH.inputs)
        assert torch.equal(batch.targets, BATCH.targets)

    def test_it_repeats_with_the_seed(self, mix: CutMix) -> None:
        first, second = (mix(BATCH, Category(CLASSES), generator()) for _ in range(2))
        assert torch.equal(first.inputs, second.inputs)
        assert torch.equal(first.targets, second.targets)

    @pytest.mark.parametrize("target", [Category(CLASSES), MultiCategory(CLASSES)], ids=lambda t: t.kind)
    def test_images_without_labels_have_none_afterwards(self, mix: CutMix, target: Target) -> None:
        assert mix(Batch(PIXELS, None, BATCH.index), target, generator()).targets is None
