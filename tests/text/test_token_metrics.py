"""Metrics of language models, worked out by hand."""

import math

import pytest
import torch

from onecycle.data.categories import Category
from onecycle.errors import ModelError
from onecycle.text.language_targets import MaskedToken, NextToken
from onecycle.text.token_metrics import perplexity, token_accuracy


def test_perplexity_is_the_exponential_of_the_mean_nll() -> None:
    """Probabilities of the right tokens: 1/2, 1/8, 1/4, in two batches; the mean is ln 4."""
    meter = perplexity().meter(NextToken())
    meter.update(torch.tensor([[0.5, 0.5, 0.0], [0.125, 0.375, 0.5]]), torch.tensor([0, 0]))
    meter.update(torch.tensor([[0.25, 0.25, 0.5]]), torch.tensor([1]))
    assert float(meter.compute()) == pytest.approx(4)
    assert not perplexity().higher_is_better


def test_an_impossible_token_is_costly_but_finite() -> None:
    meter = perplexity().meter(NextToken())
    meter.update(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert math.isfinite(float(meter.compute()))


def test_token_accuracy_counts_the_most_probable() -> None:
    meter = token_accuracy().meter(MaskedToken())
    assert math.isnan(float(meter.compute()))
    meter.update(torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9]]), torch.tensor([0, 1, 1]))
    assert float(meter.compute()) == pytest.approx(2 / 3)


def test_they_are_for_tokens_alone() -> None:
    with pytest.raises(ModelError, match=r"perplexity.*\nExpected .*accuracy"):
        perplexity().meter(Category(("a", "b")))
