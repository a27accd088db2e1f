"""The learning-rate finder: sweep the rate up over a few short trainings, and read the curve of the loss."""

from __future__ import annotations

from collections.abc import Iterator

from onecycle.data.batch import Batch
from onecycle.errors import ModelError
from onecycle.train.cached_features import CachedFeatures, compute_features
from onecycle.train.distributed import Together
from onecycle.train.fine_tuning import unfrozen_lrs
from onecycle.train.layer_groups import (
    GroupedModel,
    body_is_frozen,
    group_lrs,
    layer_groups,
    parameter_groups,
    set_training_mode,
)
from onecycle.train.lr_curve import DEFAULT_HEAD_LR, Curve, LRFinderResult, find_lr, format_lr, sweep_lrs
from onecycle.train.optimizer_step import optimizer_step, release, step_threads
from onecycle.train.options import LearningRate
from onecycle.train.sharded import shards_weights
from onecycle.train.state import TrainState
from onecycle.train.step_losses import StepLosses


def lr_find(
    state: TrainState, *, start: float = 1e-6, stop: float = 1.0, steps: int | None = None, sweeps: int | None = None
) -> LRFinderResult:
    """Sweep the rate up over a few short trainings and suggest one. Weights and random state are as before.

    Args:
        state: What is trained.
        start: Lowest rate of the last layer group.
        stop: Highest.
        steps: Steps a sweep; None takes 60 on cached features, else about half an epoch, 20 to 60.
        sweeps: How many; None takes 3 on cached features, else 1.
    """
    features = features_for(state, 1)
    steps = steps or (60 if features else min(max(state.num_batches // 2, 20), 60))
    weights, head_only = state.copy_weights(), body_is_frozen(state.model)

    def sweep(number: int, lrs: Curve) -> list[float]:
        state.load_weights(weights)
        with state.randomness(number, 1), step_threads(state, features):
            return _sweep(state, features, number, lrs)

    try:
        return find_lr(
            sweep_lrs(start, stop, steps), sweep, sweeps or (3 if features else 1),
            None if head_only else state.frozen_lr, all_layers=not head_only,
            default=DEFAULT_HEAD_LR if head_only and state.uses_adamw() else None,
        )  # fmt: skip
    finally:
        state.load_weights(weights)
        release(state.accelerator)


def resolve_lr(state: TrainState, lr: LearningRate) -> list[float]:
    """Return the peak rate of each layer group; "auto" is looked up or found, and the reason noted in the history.

    Raises:
        ModelError: It is not a learning rate.
    """
    if isinstance(lr, str):
        if lr != "auto":
            raise ModelError(f"lr={lr!r}.", 'a number, a slice, or "auto".', f"pass lr={_as_number(lr)}.")
        lr, why = _auto_lr(state)
        state.history.notes.append(f"before epoch {len(state.history) + 1}: {why}")
    return group_lrs(lr, len(layer_groups(state.model)))


def _as_number(text: str) -> str:
    try:
        return f"{float(text):g}"
    except ValueError:
        return '"auto"'


def features_for(state: TrainState, epochs: int) -> CachedFeatures | None:
    """Return the frozen body's cached outputs, computing them if need be; None where they cannot be reused."""
    # Of divided weights no layer can be used without the whole model.
    usable = state.options.cache_features and state.options.mix is None and not shards_weights(state.accelerator)
    if not usable or not isinstance(state.model, GroupedModel) or not body_is_frozen(state.model):
        state.forget_features()  # the body is about to learn
        return None
    if not state.data.random_access:
        return None
    if state.cached_features is None or len(state.cached_features.copies) < min(epochs, 4):
        state.cached_features = compute_features(state.model, state.data, epochs, state.precision, state.processes)
    return state.cached_features


def _auto_lr(state: TrainState) -> tuple[float | slice, str]:
    """Return what lr="auto" stands for now, and the reason in words.

    A sweep of the whole model costs an epoch on little data, and says no more than what is known already: the rate of
    a frozen stage, or the rates that suit such a model.
    """
    if not body_is_frozen(state.model):
        if state.frozen_lr:
            lrs = unfrozen_lrs(state.frozen_lr)
            return lrs, f"lr={format_lr(lrs)}, from the rate of the frozen stage"
        default = state.default_lr()
        if default is not None:
            return default, f"lr={format_lr(default)}, the default of this model"
    result = lr_find(state)
    state.lr_finder_results.append(result)
    return result.lr, repr(result)


def _sweep(state: TrainState, features: CachedFeatures | None, number: int, lrs: Curve) -> list[float]:
    """Train one step at each rate until the loss explodes; return the losses."""
    # After the frozen stage the suggestion is a slice; without one, a single rate for all.
    spread = group_lrs(slice(0.01, 1.0) if state.frozen_lr else 1.0, len(layer_groups(state.model)))
    optimizer = state.options.optimizer(parameter_groups(state.model, spread, state.options.weight_decay))
    step = optimizer_step(state, features, optimizer)
    set_training_mode(state.model)
    losses: list[float] = []
    batches = ([batch] for batch in _endless_batches(state, features, number * 1000))
    steps = Together(state, step).steps(batches, StepLosses())
    for lr, (batch, common) in zip(lrs, steps, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * lr
        losses.append(float(state.processes.sum(step(batch, common=common))))
        # Exploded: far above both the best so far and where it began. (NaN is above nothing, and ends it too.)
        if not losses[-1] <= max(4 * min(losses), 2 * max(losses[:5])):
            losses.pop()
            break
    return losses


def _endless_batches(state: TrainState, features: CachedFeatures | None, first_epoch: int) -> Iterator[Batch]:
    epoch = first_epoch
    while True:
        yield from features.train_batches(epoch, 1) if features else state.train_batches(epoch)
        epoch += 1
