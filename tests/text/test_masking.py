"""Which tokens are masked: the published shares, and the same for a row in every batch at validation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onecycle.data.seeding import seeded
from onecycle.text.masking import mask_tokens
from onecycle.text.token_losses import IGNORE_INDEX

MASK, SPECIAL, VOCABULARY = 103, (0, 101), 30_000


def mask(inputs: Tensor, index: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    return mask_tokens(
        inputs, index, mask=MASK, special_ids=SPECIAL, vocabulary_size=VOCABULARY, generator=generator
    )  # fmt: skip


def chunks(count: int, length: int = 100) -> Tensor:
    token_ids = torch.randint(1000, 2000, (count, length), generator=seeded(5))
    token_ids[:, 0] = 101
    return token_ids


@pytest.mark.parametrize("generator", [None, 1, 2])
def test_shares_are_those_of_bert(generator: int | None) -> None:
    plain = chunks(400)
    inputs, targets = mask(plain, torch.arange(400), None if generator is None else seeded(generator))
    predicted = targets != IGNORE_INDEX
    assert torch.equal(targets[predicted], plain[predicted])
    assert torch.equal(inputs[~predicted], plain[~predicted])
    assert not predicted[:, 0].any()
    # Binomial of 39,600: four standard deviations are 0.007; of some 5,940 of those 0.02.
    assert predicted[:, 1:].float().mean().item() == pytest.approx(0.15, abs=0.007)
    assert (inputs[predicted] == MASK).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (inputs[predicted] == plain[predicted]).float().mean().item() == pytest.approx(0.1, abs=0.02)
    others = inputs[predicted & (inputs != MASK) & (inputs != plain)]
    assert (others.min() < VOCABULARY / 20, others.max() > VOCABULARY * 19 / 20) == (True, True)
    assert others.max() < VOCABULARY


@pytest.mark.parametrize("size", [1, 7, 64])
def test_without_a_generator_a_row_has_the_same_mask_in_every_batch(size: int) -> None:
    plain, index = chunks(150), torch.randperm(150, generator=seeded(0))
    whole = mask(plain[index], index)
    parts = [mask(plain[rows], rows) for rows in torch.split(index, size)]
    assert torch.equal(torch.cat([inputs for inputs, _ in parts]), whole[0])
    assert torch.equal(torch.cat([targets for _, targets in parts]), whole[1])


def test_rows_positions_and_generators_have_different_masks() -> None:
    plain = chunks(1, 200).expand(100, 200)
    masks = mask(plain, torch.arange(100))[1] != IGNORE_INDEX
    assert len({tuple(row.tolist()) for row in masks}) == 100
    # Neighbours agree as often as independent masks do: 0.15 ** 2 of the time, with four standard deviations.
    assert (masks[1:] & masks[:-1])[:, 1:].float().mean().item() == pytest.approx(0.0225, abs=0.0043)
    assert (masks[:, 2:] & masks[:, 1:-1]).float().mean().item() == pytest.approx(0.0225, abs=0.0043)
    drawn = [mask(plain, torch.arange(100), seeded(number))[0] for number in (3, 3, 4)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    generator = seeded(3)
    assert not torch.equal(
        mask(plain, torch.arange(100), generator)[0], mask(plain, torch.arange(100), generator)[0]
    )  # fmt: skip


def test_inputs_do_not_change() -> None:
    plain = chunks(4)
    before = plain.clone()
    mask(plain, torch.arange(4))
    assert torch.equal(plain, before)


def test_very_high_row_numbers_do_not_overflow() -> None:
    inputs, _ = mask(chunks(3), torch.tensor([2**31, 2**40, 2**62]))
    assert inputs.min() >= 0
    assert inputs.max() < VOCABULARY
