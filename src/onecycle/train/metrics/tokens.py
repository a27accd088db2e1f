"""Metrics for language models, over all tokens that were asked for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.train.metrics.metric import MASKED_TOKEN, NEXT_TOKEN, Meter, Metric, check_fits


def perplexity() -> Metric:
    """The exponential of the mean negative log-probability of the right token: among how many the model wavers.

    Masked tokens are told from both sides, so their perplexity is not to be compared with that of next tokens.
    """
    return _mean("perplexity", _surprise, torch.exp, higher_is_better=False)


def token_accuracy() -> Metric:
    """Fraction of tokens that the model finds the most probable."""
    return _mean("token_accuracy", lambda p, t: (p.argmax(-1) == t).double(), lambda mean: mean)


class TokenMean:
    """A meter of the mean over all tokens.

    Args:
        of_each: Each token's value, from probabilities, (tokens, vocabulary), and tokens, int64, (tokens,).
        after: What becomes of the mean.
    """

    def __init__(self, of_each: Callable[[Tensor, Tensor], Tensor], after: Callable[[Tensor], Tensor]) -> None:
        self.of_each, self.after = of_each, after
        self.total, self.count = torch.zeros((), dtype=torch.float64), 0

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Count a batch: float, (tokens, vocabulary), and int64, (tokens,)."""
        self.total += self.of_each(probabilities, targets).sum().cpu()
        self.count += len(targets)

    def compute(self) -> Tensor:
        """Return the value over all tokens; NaN where there was none."""
        return self.after(self.total / self.count)


def _mean(
    name: str,
    of_each: Callable[[Tensor, Tensor], Tensor],
    after: Callable[[Tensor], Tensor],
    *,
    higher_is_better: bool = True,
) -> Metric:
    def meter(target: Target) -> Meter:
        check_fits(name, target, NEXT_TOKEN, MASKED_TOKEN)
        return TokenMean(of_each, after)

    return Metric(name, meter, higher_is_better)


def _surprise(probabilities: Tensor, tokens: Tensor) -> Tensor:
    return -probabilities.gather(1, tokens[:, None])[:, 0].double().clamp_min(1e-30).log()
