"""Beginning a fit, and going on with one."""

from __future__ import annotations

import inspect

from onecycle.errors import ModelError
from onecycle.inference.arithmetic import has_tf32
from onecycle.train.layer_groups import body_is_frozen
from onecycle.train.lr_find import features_for, resolve_lr
from onecycle.train.option_fields import is_whole
from onecycle.train.options import LearningRate
from onecycle.train.schedule import Schedule, as_values
from onecycle.train.state import Fit, TrainState


def begin_fit(state: TrainState, epochs: int, lr: LearningRate, schedule: Schedule) -> None:
    """Make the fit of `epochs` that the loop will train: its rates, and whether it trains on cached features.

    Raises:
        ModelError: There are no epochs, `lr` is not a learning rate, or `schedule` not a schedule.
    """
    if not is_whole(epochs) or epochs < 1:
        raise ModelError(f"epochs={epochs!r}.", "a whole number of 1 or more.", "pass epochs=1.")
    _check_schedule(schedule)
    lrs = resolve_lr(state, lr)
    if body_is_frozen(state.model):
        state.frozen_lr = lrs[-1]
    state.fit = Fit(epochs, lrs, schedule)
    _note_arithmetic(state)
    if features := features_for(state, epochs):
        state.fit.passes = features.passes(epochs, state.options.head_steps, state.head_steps)
        state.fit.copies = len(features.copies)


def _note_arithmetic(state: TrainState) -> None:
    """Say once in the history what the GPU was allowed to do."""
    options, notes = state.options, []
    if not has_tf32(state.device):
        return
    if options.tf32 and state.precision.mode == "fp32":
        notes.append("fp32 is multiplied in TF32; tf32=False uses all digits")
    if options.cudnn_benchmark:
        notes.append("cudnn_benchmark=True: the same seed need not give the same weights")
    state.history.notes += [note for note in notes if note not in state.history.notes]


def _check_schedule(schedule: Schedule) -> None:
    """Refuse what is no schedule now, not once the learning rate is found."""
    try:
        if isinstance(schedule, type):
            raise TypeError
        inspect.signature(schedule).bind(0.0)
    except TypeError:
        raise ModelError(
            f"schedule={schedule!r}, of type {type(schedule).__name__}.",
            "a function of progress from 0 to 1, such as OneCycle().",
            "pass OneCycle(), Cosine(), or a function of your own.",
        ) from None
    as_values(schedule(0.0))


def continue_fit(state: TrainState) -> None:
    """Make ready to go on with the fit that a checkpoint brought back.

    Raises:
        ModelError: There is none.
    """
    if state.fit is None:
        raise ModelError(
            "There is no fit to resume.",
            "a checkpoint that was saved during a fit, with the Checkpoint callback.",
            "load one, or call fit().",
        )
    if state.fit.passes:
        features_for(state, state.fit.copies)
