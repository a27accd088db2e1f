"""Losses of language models, against torch's own cross-entropy and hand-written sums."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from onecycle.text.language_model_output import LanguageModelOutput
from onecycle.text.token_losses import IGNORE_INDEX, RegularisedTokenLoss, TokenLoss


def random_case() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 6, 9, generator=generator)
    targets = torch.randint(9, (5, 6), generator=generator)
    targets[torch.rand(5, 6, generator=generator) < 0.4] = IGNORE_INDEX
    targets[3] = IGNORE_INDEX
    return logits, targets


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_mean_over_counted_tokens_is_torch_s(smoothing: float) -> None:
    logits, targets = random_case()
    expected = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX, label_smoothing=smoothing
    )  # fmt: skip
    torch.testing.assert_close(TokenLoss(smoothing)(logits, targets), expected)


def test_a_hand_calculation() -> None:
    logits = torch.zeros(2, 3, 10)
    logits[0, 0, 4] = 50.0
    targets = torch.tensor([[4, IGNORE_INDEX, IGNORE_INDEX], [IGNORE_INDEX, IGNORE_INDEX, 1]])
    assert TokenLoss()(logits, targets).item() == pytest.approx(math.log(10) / 2)
    assert TokenLoss().per_item(logits, targets).tolist() == pytest.approx([0.0, math.log(10)])
    weight = TokenLoss().weight(targets)
    assert (weight.item(), weight.dtype, weight.shape) == (2.0, torch.float32, ())


def test_without_counted_tokens_the_loss_is_0_and_so_is_its_gradient() -> None:
    logits, targets = torch.randn(2, 3, 10, requires_grad=True), torch.full((2, 3), IGNORE_INDEX)
    loss = TokenLoss()(logits, targets)
    loss.backward()
    assert logits.grad is not None
    assert (loss.item(), logits.grad.abs().sum().item(), TokenLoss().weight(targets).item()) == (0.0, 0.0, 0.0)
    assert TokenLoss().per_item(logits, targets).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("loss", [TokenLoss(0.1), RegularisedTokenLoss(2.0, 1.0, 0.1)], ids=["plain", "regularised"])
def test_per_item_is_the_loss_of_each_item_alone(loss: TokenLoss, training: bool) -> None:
    logits, targets = random_case()
    raw, dropped = torch.randn(2, 5, 6, 4, generator=torch.Generator().manual_seed(1))
    outputs = LanguageModelOutput(logits, raw, dropped) if training else logits
    alone = [
        loss(LanguageModelOutput(*(part[row : row + 1] for part in outputs)) if training else logits[row : row + 1],
             targets[row : row + 1])
        for row in range(5)
    ]  # fmt: skip
    torch.testing.assert_close(loss.per_item(outputs, targets), torch.stack(alone))


def test_the_penalties_are_the_published_ones() -> None:
    logits, targets = random_case()
    raw, dropped = torch.randn(2, 5, 6, 4, generator=torch.Generator().manual_seed(1))
    loss = RegularisedTokenLoss(ar=2.0, tar=3.0)
    expected = TokenLoss()(logits, targets) + 2 * dropped.square().mean() + 3 * raw.diff(dim=1).square().mean()
    torch.testing.assert_close(loss(LanguageModelOutput(logits, raw, dropped), targets), expected)
    torch.testing.assert_close(loss(logits, targets), TokenLoss()(logits, targets))
    assert list(loss.parameters()) == []


def test_a_chunk_of_one_token_has_no_neighbours() -> None:
    outputs = LanguageModelOutput(torch.zeros(2, 1, 3), torch.ones(2, 1, 4), torch.ones(2, 1, 4))
    loss = RegularisedTokenLoss(ar=2.0, tar=3.0)(outputs, torch.tensor([[1], [2]]))
    assert loss.item() == pytest.approx(math.log(3) + 2)


@pytest.mark.parametrize("sizes", [[5], [2, 3], [1, 1, 1, 1, 1]])
def test_parts_of_a_batch_add_up_to_the_whole_by_weight(sizes: list[int]) -> None:
    logits, targets = random_case()
    loss = TokenLoss(0.1)
    parts = list(zip(logits.split(sizes), targets.split(sizes), strict=True))
    total = sum(loss.weight(target) for _, target in parts)
    summed = sum(loss(outputs, target) * loss.weight(target) / total for outputs, target in parts)
    torch.testing.assert_close(summed, loss(logits, targets))
