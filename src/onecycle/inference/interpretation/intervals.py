"""95% intervals: how far a score could be from what it would be on other items of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

DRAWS = 1000
LEVEL = 0.95
_BLOCK = 2**22


def interval_of_counts(
    counts: NDArray[np.int64], score: Callable[[Floats], Floats], draws: int = DRAWS, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return the ends of a 95% interval of a score that is computed from how often each outcome occurred.

    Shares of the outcomes are drawn as the Bayesian bootstrap does (Rubin 1981), with half a count more of each, the
    prior of Jeffreys. The ordinary bootstrap, which draws items again, would claim that a class which was right 5 of 5
    times is right always (Brown, Cai & DasGupta 2001, "Interval Estimation for a Binomial Proportion").

    Args:
        counts: (..., outcomes).
        score: Returns the scores of shares, (draws, ..., outcomes), as (draws, ...).
        draws: How many shares to draw.
        seed: Decides them.
    Returns:
        The lower and the upper end, (...).
    Example:
        >>> low, high = interval_of_counts(np.array([[50, 50], [5, 0]]), lambda shares: shares[..., 0], draws=20_000)
        >>> [f"{a:.1f} to {b:.1f}" for a, b in zip(low, high)]
        ['0.4 to 0.6', '0.6 to 1.0']
    """
    generator = np.random.default_rng(seed)
    weights = generator.standard_gamma(np.broadcast_to(counts + 0.5, (draws, *counts.shape)))
    return _ends(score(weights / weights.sum(-1, keepdims=True)))


def interval_of_items(
    values: Floats, score: Callable[[Floats], Floats], draws: int = DRAWS, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return the ends of a 95% interval of a score of the mean over items, by the bootstrap (Efron 1979).

    Args:
        values: Of each item, (items, ...); what is not known of an item is 0.
        score: Returns the scores of means over items, (draws, ...), as (draws, ...).
        draws: How often as many items are drawn with replacement.
        seed: Decides them.
    Returns:
        The lower and the upper end, in the shape of one score; NaN without items.
    Example:
        >>> low, high = interval_of_items(np.array([1.0, 2.0, 3.0, 4.0]), lambda means: means)
        >>> bool(1 < low < 2.5 < high < 4)
        True
    """
    count = len(values)
    if not count:
        empty = score(np.full((1, *values.shape[1:]), np.nan))[0]
        return empty, empty
    generator, flat = np.random.default_rng(seed), values.reshape(count, -1)
    shares = np.full(count, 1 / count)
    block = max(_BLOCK // count, 1)
    means = [
        generator.multinomial(count, shares, size=min(block, draws - start)) @ flat / count
        for start in range(0, draws, block)
    ]
    return _ends(score(np.concatenate(means).reshape(draws, *values.shape[1:])))


def _ends(scores: Floats) -> tuple[Floats, Floats]:
    low, high = np.nanpercentile(scores, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
    return low, high
