"""What a learner shows of its state: attributes that can be read and set, and methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from accelerate import Accelerator
from torch import Tensor, nn

from onecycle.data.target import Target
from onecycle.inference.precision import Precision
from onecycle.inference.predictor import Predictor
from onecycle.losses import Loss
from onecycle.metrics import Metric
from onecycle.train import events
from onecycle.train.history import History
from onecycle.train.lr_curve import LRFinderResult
from onecycle.train.state import TrainState

T = TypeVar("T")


class FromState(Generic[T]):
    """An attribute or method that `self.state` has under the same name.

    Example:
        >>> class Face:
        ...     real: FromState[float] = FromState()
        ...     def __init__(self, state):
        ...         self.state = state
        >>> Face(3 + 4j).real
        3.0
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, holder: Any, owner: type | None = None) -> T:
        value: T = getattr(holder.state, self.name)
        return value

    def __set__(self, holder: Any, value: T) -> None:
        setattr(holder.state, self.name, value)


class StateAttributes:
    """Attributes and methods of `self.state` under the same names."""

    state: TrainState

    model: FromState[nn.Module] = FromState()
    target: FromState[Target] = FromState()
    loss: FromState[Loss] = FromState()
    metrics: FromState[tuple[Metric, ...]] = FromState()
    history: FromState[History] = FromState()
    lr_finder_results: FromState[list[LRFinderResult]] = FromState()
    frozen_lr: FromState[float | None] = FromState()
    precision: FromState[Precision] = FromState()
    num_microbatches: FromState[int] = FromState()
    accelerator: FromState[Accelerator] = FromState()
    seed: FromState[int] = FromState()
    callbacks: FromState[Sequence[events.Callback]] = FromState()
    predictor: FromState[Callable[[], Predictor]] = FromState()
    copy_weights: FromState[Callable[[], dict[str, Tensor]]] = FromState()
    load_weights: FromState[Callable[[dict[str, Tensor]], None]] = FromState()
    averaged_weights: FromState[Callable[[], AbstractContextManager[None]]] = FromState()
