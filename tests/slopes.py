"""Random outputs, and the slopes of losses at them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slope(loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
    outputs = outputs.detach().clone().requires_grad_()
    loss(outputs, targets).backward()
    assert outputs.grad is not None
    return outputs.grad
