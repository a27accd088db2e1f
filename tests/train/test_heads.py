"""Heads: linear or with one hidden layer, with outputs of unit scale at first."""

import pytest
import torch
from torch import nn

from onecycle.train.heads import make_head


def widths(head: nn.Module) -> list[tuple[int, int]]:
    return [(layer.in_features, layer.out_features) for layer in head.modules() if isinstance(layer, nn.Linear)]


def test_a_head_is_linear_or_has_one_hidden_layer() -> None:
    assert widths(make_head(8, 3, hidden=0, dropout=0.5)) == [(8, 3)]
    head = make_head(8, 3, hidden=5, dropout=0.5)
    assert widths(head) == [(8, 5), (5, 3)]
    assert [layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)] == [0.25, 0.5]


def test_outputs_of_a_new_head_have_unit_scale() -> None:
    """Kaiming 2015, arXiv:1502.01852, then 1/sqrt(width)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        outputs = make_head(256, 50, hidden=512, dropout=0.0).train()(torch.randn(400, 256))
    assert outputs.std().item() == pytest.approx(1, abs=0.35)
    assert outputs.mean().item() == pytest.approx(0, abs=0.1)
