"""Beginning fits, alone and as the stages of a plan, and going on with them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from onecycle.errors import ModelError
from onecycle.inference.arithmetic import has_cudnn, has_tf32
from onecycle.notebook import in_notebook
from onecycle.train.checkpoint import load_checkpoint
from onecycle.train.fine_tuning import run_plan
from onecycle.train.interruption import Interrupted
from onecycle.train.layer_groups import body_is_frozen
from onecycle.train.loop import Loop
from onecycle.train.lr_find import features_for, resolve_lr
from onecycle.train.memory import use_data
from onecycle.train.option_fields import is_whole
from onecycle.train.options import LearningRate
from onecycle.train.plan import Fit, Plan, Stage
from onecycle.train.progress_table import ProgressTable
from onecycle.train.schedule import OneCycle, Schedule, as_values
from onecycle.train.state import TrainState


def fit(state: TrainState, epochs: int, lr: LearningRate, schedule: Schedule) -> None:
    """Train for `epochs`, and forget what was interrupted before."""
    state.fit = state.plan = None
    with quiet_interruption(state):
        _fit(state, epochs, lr, schedule)


def fine_tune(state: TrainState, stages: Sequence[Stage], lr: LearningRate) -> None:
    """Run the stages of `fine_tune`, each a fit of one cycle."""
    state.fit, state.plan = None, Plan(list(stages), lr, state.data)
    with quiet_interruption(state):
        _run_plan(state)


def resume(state: TrainState, path: str | Path | None, *, allow_changes: bool) -> None:
    """Go on with what was interrupted, here or where the checkpoint at `path` was saved."""
    if path is not None:
        load_checkpoint(state, path, exact=not allow_changes)
    with quiet_interruption(state):
        if state.plan is None:
            _resume(state)
        else:
            _run_plan(state)


@contextmanager
def quiet_interruption(state: TrainState) -> Iterator[None]:
    """In a notebook, end with one line after Ctrl-C, which says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if not in_notebook():
            raise
        raise Interrupted(_how_to_go_on(state)) from None


def _how_to_go_on(state: TrainState) -> str:
    where = f"epoch {len(state.history) + 1}"
    if state.fit is None and state.plan is None:
        return f"Interrupted before {where}. Call fit() again."
    if state.fit is not None and not state.fit.exact:
        return f"Interrupted in the middle of a step of {where}. Resume from a checkpoint, or call fit() again."
    return f"Interrupted in {where}. learner.resume() goes on from here."


def _run_plan(state: TrainState) -> None:
    run_plan(state, fit=lambda epochs, lr: _fit(state, epochs, lr, OneCycle()), resume=lambda: _resume(state))


def _fit(state: TrainState, epochs: int, lr: LearningRate, schedule: Schedule) -> None:
    begin_fit(state, epochs, lr, schedule)
    _run(state)


def _resume(state: TrainState) -> None:
    continue_fit(state)
    _run(state)


def _run(state: TrainState) -> None:
    shown = state.options.progress and state.accelerator.is_main_process
    Loop(state, [*state.callbacks, *([ProgressTable()] if shown else [])]).run()


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
    begun = Fit(epochs, lrs, schedule, batch_size=state.data.batch_size, batch_items=_batch_items(state))
    _note_what_to_know(state)
    state.forget_calibration()
    if features := features_for(state, epochs):
        begun.passes = features.passes(epochs, state.options.head_steps, state.head_steps)
        begun.copies = len(features.copies)
    state.fit = begun  # from now on it can be resumed


def _note_what_to_know(state: TrainState) -> None:
    """Say once in the history that nothing validates, and what the GPU was allowed to do."""
    options, notes = state.options, []
    if not state.data.validates:
        notes.append("there are no validation items: nothing measures what was learned")
    if options.tf32 and state.precision.mode == "fp32" and has_tf32(state.device):
        notes.append("fp32 is multiplied in TF32; tf32=False uses all digits")
    if options.cudnn_benchmark and has_cudnn(state.device):
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
    """Make ready to go on with the fit that was interrupted, or that a checkpoint brought back.

    Raises:
        ModelError: There is none, or a second Ctrl-C left a step half done.
    """
    fit = state.fit
    if fit is None:
        raise ModelError(
            "There is no fit to resume.",
            "a fit that was interrupted, or a checkpoint that was saved during one, with the Checkpoint callback.",
            'pass the path of a checkpoint, resume("last.ckpt"), or call fit().',
        )
    if not fit.exact:
        raise ModelError(
            "The fit was interrupted in the middle of a step, so it cannot be resumed exactly.",
            "a fit that ended between two steps.",
            'resume from a checkpoint, resume("last.ckpt"), or call fit() to begin a new one.',
        )
    state.forget_calibration()
    if fit.weights is not None:
        state.load_weights(fit.weights)
        fit.weights = None
        del state.history.notes[fit.notes :]
    use_data(state, state.data, batch_size=fit.batch_size)
    if fit.batch_items not in (0, _batch_items(state)):
        _use_other_batches(state, fit)
    if fit.passes:
        features_for(state, fit.copies)


def _batch_items(state: TrainState) -> int:
    """Return the items a batch of all processes together."""
    items: int = state.data.train.global_size(state.processes.world)
    return items


def _use_other_batches(state: TrainState, fit: Fit) -> None:
    """Go on in batches of another size at the item where the fit was interrupted.

    A pass over cached features begins anew: it takes seconds.
    """
    before, now, items = fit.batch_items, _batch_items(state), max(len(state.data), 1)
    if fit.passes:
        fit.batch = fit.batch // -(-items // before) * state.num_batches
    elif fit.batch:
        fit.earlier.taken.append((before, fit.batch))
        fit.earlier.share = min(sum(size * count for size, count in fit.earlier.taken) / items, 1.0)
        fit.earlier.steps, fit.batch, fit.carried = fit.step, 0, None  # no stream goes on in the same place
    fit.batch_items = now
    if fit.step:
        epoch = len(state.history) + 1
        state.history.notes.append(
            f"epoch {epoch}: after step {fit.step} in batches of {now} items, before in batches of {before}"
        )
