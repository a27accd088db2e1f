"""Metrics for language models: over all tokens that count, (tokens,), and their probabilities, (tokens, vocabulary)."""

from __future__ import annotations

from torch import Tensor

from onecycle.metrics.meters import CountMeter, as_float64, count_true, fraction, sum_and_count
from onecycle.metrics.metric import Metric, fits
from onecycle.registry import register


@register("metric", "perplexity")
@fits("next_token", "masked_token")
def perplexity() -> Metric:
    """Exponential of the mean negative log-probability of the right token: as uncertain as among that many tokens.

    Masked tokens are predicted from both sides, so their perplexity does not compare with that of next tokens.

    Example:
        >>> meter = perplexity().meter(NextToken())
        >>> meter.update(torch.tensor([[0.25, 0.75]]), torch.tensor([0]))
        >>> meter.compute()
        tensor(4., dtype=torch.float64)
    """
    return Metric(
        "perplexity",
        lambda target: CountMeter(lambda p, t: sum_and_count(_nll(p, t)), lambda counts: fraction(counts).exp()),
        higher_is_better=False,
    )


@register("metric", "token_accuracy")
@fits("next_token", "masked_token")
def token_accuracy() -> Metric:
    """Fraction of tokens to which the model gives the highest probability."""
    return Metric("token_accuracy", lambda target: CountMeter(_count_right, fraction))


def _count_right(probabilities: Tensor, tokens: Tensor) -> Tensor:
    return count_true(probabilities.argmax(dim=-1) == tokens)


def _nll(probabilities: Tensor, tokens: Tensor) -> Tensor:
    return -as_float64(probabilities.gather(1, tokens[:, None])[:, 0]).clamp_min(1e-30).log()
