"""Typed events. A callback observes them; a misspelt or ill-typed event is refused when it is handed over."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from onecycle.data.batch import Batch
from onecycle.errors import ModelError, suggest
from onecycle.train.history import EpochRecord
from onecycle.train.state import TrainState


@dataclass(frozen=True)
class FitStart:
    """A fit begins: `epochs` epochs of `steps` steps each, `done` of them already (after a resume)."""

    epochs: int
    steps: int
    done: int


@dataclass(frozen=True)
class EpochStart:
    """An epoch begins, counted from 0 within the fit."""

    epoch: int


@dataclass(frozen=True)
class BackwardEnd:
    """Gradients are computed and clipped, and not yet used."""

    step: int


@dataclass(frozen=True)
class BatchEnd:
    """The weights have been updated: step within the fit, batch, its loss (detached, scalar), highest rate.

    Where several processes train together, `batch` is this process's share, which may have no items, and the mean of
    `loss` over the processes is the loss of the whole batch.
    """

    step: int
    batch: Batch
    loss: Tensor
    lr: float


@dataclass(frozen=True)
class EpochEnd:
    """Training and validation of an epoch are done."""

    epoch: int
    record: EpochRecord


@dataclass(frozen=True)
class ResumePoint:
    """Training can be resumed from here: every callback has seen the last step, or the last epoch.

    Attributes:
        step: Optimizer steps made within the fit.
        epoch_end: Whether an epoch has just ended.
        interrupted: Whether training ends here before its time.
        seconds: Since the fit began, or went on; the same in all processes that train together.
    """

    step: int
    epoch_end: bool = False
    interrupted: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class FitEnd:
    """The fit is over; `error` is what ended it early (Ctrl-C included), or None."""

    error: BaseException | None


class Callback:
    """Observes a fit. Override what you need; raise `StopTraining(reason)` to end training now.

    Where several processes train together, each calls its own callbacks, and what one of them raises ends the fit in
    all processes: at the latest before the next step.

    Every method takes the `TrainState`, which has the model, the data, the history and the options, and the event.
    They are called in this order::

        on_fit_start
        for each epoch:
            on_epoch_start
            for each step:
                forward and backward pass, gradient clipping
                on_backward_end
                optimizer step
                on_batch_end
                on_resume_point
            validation
            on_epoch_end
            on_resume_point
        on_fit_end(error)        always, also after Ctrl-C

    A callback that remembers something from one epoch to the next gives it to checkpoints with `state_dict`.

    Example:
        >>> class PrintLoss(oc.Callback):
        ...     def on_epoch_end(self, state, event):
        ...         print(event.record.valid_loss)
    """

    def on_fit_start(self, state: TrainState, event: FitStart) -> None:
        """Called before the first step."""

    def on_epoch_start(self, state: TrainState, event: EpochStart) -> None:
        """Called before the epoch's first batch."""

    def on_backward_end(self, state: TrainState, event: BackwardEnd) -> None:
        """Called between the backward pass and the optimizer's step."""

    def on_batch_end(self, state: TrainState, event: BatchEnd) -> None:
        """Called after the optimizer's step."""

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        """Called after validation."""

    def on_resume_point(self, state: TrainState, event: ResumePoint) -> None:
        """Called when all callbacks have seen a step or an epoch; what is saved now can be resumed exactly."""

    def on_fit_end(self, state: TrainState, event: FitEnd) -> None:
        """Called at the end, however it came."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint should hold: numbers, texts, tensors, and dicts, lists and tuples of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Bring back what `state_dict` returned."""


EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))


def checked(callback: object) -> Callback:
    """Return `callback` if every event it names exists and takes (state, event).

    Raises:
        ModelError: It is no callback, or one of its events could never be called.
    """
    if not isinstance(callback, Callback):
        raise ModelError(
            f"{callback!r} is not a callback.",
            "an instance of a class that derives from onecycle.Callback.",
            "derive from it" + (", and pass an instance: add ()." if isinstance(callback, type) else "."),
        )
    for name in dir(callback):
        if name.startswith("on_") and name not in EVENTS:
            raise ModelError(
                f"{type(callback).__name__}.{name} would never be called: there is no such event.",
                f"one of: {', '.join(EVENTS)}.",
                f"rename it.{suggest(name, EVENTS)}",
            )
        if name.startswith(("after_", "before_")) and callable(getattr(callback, name)):
            raise ModelError(
                f"{type(callback).__name__}.{name} would never be called: that is an event of fastai.",
                f"one of: {', '.join(EVENTS)}.",
                "rename it, or begin its name with an underscore if it is a method of your own.",
            )
    for name in EVENTS:
        try:
            inspect.signature(getattr(callback, name)).bind("state", "event")
        except TypeError as error:
            raise ModelError(
                f"{type(callback).__name__}.{name} cannot be called with (state, event): {error}.",
                f"def {name}(self, state, event).",
                "change its parameters.",
            ) from error
    return callback
