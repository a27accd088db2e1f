"""Random masking of tokens, for masked language models."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from onecycle.text.token_losses import IGNORE_INDEX

# The share of all tokens that is to be predicted; of those, the share that becomes the mask token, and the share that
# becomes a random token. The others are not changed (Devlin et al. 2018, arXiv:1810.04805).
MASKED_SHARE, MASK_TOKEN_SHARE, RANDOM_TOKEN_SHARE = 0.15, 0.8, 0.1

_32_BITS = 2**32 - 1


def mask_tokens(
    inputs: Tensor,
    index: Tensor,
    *,
    mask: int,
    special_ids: Iterable[int],
    vocabulary_size: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return inputs with some tokens masked, and the tokens to predict.

    15% of the tokens are to be predicted: of these, 80% become the mask token, 10% a random token, and 10% stay.

    Args:
        inputs: Token ids, int64, (batch, length).
        index: Row number of each item within its split, int64, (batch,).
        mask: Id of the mask token.
        special_ids: Ids that are never masked: padding and special tokens.
        vocabulary_size: Number of token ids that a random token is chosen from.
        generator: Draws new masks at each call. None gives each row the same mask at each call, whatever batch the row
            is in, so that validation does not depend on the batch size.
    Returns:
        Inputs and targets, int64, (batch, length); targets are `IGNORE_INDEX` at all tokens that are not predicted.

    Example:
        >>> inputs, targets = mask_tokens(
        ...     torch.full((1, 10), 7), torch.tensor([0]), mask=3, special_ids=[0], vocabulary_size=9)
        >>> bool((targets[targets != IGNORE_INDEX] == 7).all())
        True
    """
    seed = 0 if generator is None else int(torch.randint(2**31, (), generator=generator))
    chosen_by, replaced_by, random_token = _random_integers(seed, index.to(inputs.device), inputs.shape[1], draws=3)
    special = torch.tensor(sorted(special_ids), device=inputs.device)
    predicted = (chosen_by < _threshold(MASKED_SHARE)) & ~torch.isin(inputs, special)
    masked = predicted & (replaced_by < _threshold(MASK_TOKEN_SHARE))
    randomized = predicted & ~masked & (replaced_by < _threshold(MASK_TOKEN_SHARE + RANDOM_TOKEN_SHARE))
    # Scales a number of 32 bits to 0 ... vocabulary_size - 1.
    random_ids = (random_token * vocabulary_size) >> 32
    changed = inputs.masked_fill(masked, mask).where(~randomized, random_ids)
    return changed, inputs.where(predicted, IGNORE_INDEX)


def _threshold(share: float) -> int:
    return int(share * 2**32)


def _random_integers(seed: int, index: Tensor, length: int, draws: int) -> list[Tensor]:
    """Return `draws` tensors of uniform integers of 32 bits, int64, (batch, length).

    Each integer is a hash of seed, row number, position and draw, computed for all of them at once. A generator would
    give a row other numbers in another batch, and a generator for each row would be slow.
    """
    positions = torch.arange(length, device=index.device)
    rows = _hash(_hash(index ^ seed) + seed)[:, None]
    cells = _hash(rows ^ _hash(positions + 1)[None])
    return [_hash(cells + draw) for draw in range(1, draws + 1)]


def _hash(values: Tensor) -> Tensor:
    """Return a permutation of the integers of 32 bits that looks random, for int64 tensors.

    Both factors are below 2**31, so that no product exceeds 63 bits.

    Source: Wellons 2018, https://nullprogram.com/blog/2018/07/31/ (hash-prospector, "lowbias32").
    """
    values = values & _32_BITS
    values = ((values ^ (values >> 16)) * 0x21F0AAAD) & _32_BITS
    values = ((values ^ (values >> 15)) * 0x735A2D97) & _32_BITS
    return values ^ (values >> 15)
