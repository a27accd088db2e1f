"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from accelerate import Accelerator, DistributedType
from accelerate.utils import DynamoBackend
from torch import nn

from onecycle.data.batch import Batch
from onecycle.errors import StopTraining, TrainingError
from onecycle.inference.evaluation import evaluate
from onecycle.inference.predictor import Output, run_model
from onecycle.train import events
from onecycle.train.cached_features import CachedFeatures
from onecycle.train.ema import ExponentialMovingAverage
from onecycle.train.events import Callback
from onecycle.train.gradients import OptimizerStep
from onecycle.train.history import EpochRecord
from onecycle.train.layer_groups import GroupedModel, parameter_groups, set_training_mode, trained_layers
from onecycle.train.schedule import as_values, set_schedule_values
from onecycle.train.state import Fit, TrainState
from onecycle.train.step_losses import StepLosses


class Loop:
    """Trains the fit under way to its end.

    Args:
        state: The state of training; its `fit` says what to do.
        callbacks: Called at every event.
    """

    def __init__(self, state: TrainState, callbacks: Sequence[Callback]) -> None:
        assert state.fit is not None
        self.state, self.fit, self.callbacks = state, state.fit, callbacks
        self.features = state.cached_features if self.fit.passes else None
        self.module = trained_module(state, self.features)
        if self.fit.optimizer is None:
            self._make_optimizer(self.fit)
        self.step = OptimizerStep(state, *prepare(state.accelerator, self.module, self.fit.optimizer))
        accumulate = state.options.accumulate
        self.steps = -(-max(self.fit.passes, 1) * len(state.data.train) // accumulate)  # of an epoch
        self.good_weights, self.good_record = state.copy_weights(), state.weights_record

    def run(self) -> None:
        """Train epoch by epoch, until the fit is done or something ends it."""
        started: list[Callback] = []
        error: BaseException | None = None
        try:
            for callback in self.callbacks:
                started.append(callback)
                callback.on_fit_start(self.state, events.FitStart(self.fit.epochs, self.steps, self.fit.done))
            while self.fit.done < self.fit.epochs:
                self.epoch()
            self.state.fit = None
        except StopTraining as stop:
            self.state.history.notes.append(f"stopped after epoch {len(self.state.history)}: {stop.reason}")
            self.state.fit = None
        except FloatingPointError as not_finite:
            error = self._diverged(int(not_finite.args[0]))
            raise error from None
        except BaseException as other:
            error = other
            raise
        finally:
            self._finish(started, error)

    def epoch(self) -> None:
        """Train on every item once, validate, and call the callbacks."""
        start, state = time.perf_counter(), self.state
        for callback in self.callbacks:
            callback.on_epoch_start(state, events.EpochStart(self.fit.done))
        train_loss = self.train()
        values = self.validate()
        record = EpochRecord(
            len(state.history) + 1, trained_layers(state.model), state.data.modality.describe().model,
            max(self.fit.lrs), train_loss, values.pop("valid_loss"), values, time.perf_counter() - start,
            self.steps if self.features else 0,
        )  # fmt: skip
        state.history.epochs.append(record)
        state.weights_record = record
        self.fit.done += 1
        self.good_weights, self.good_record = state.copy_weights(), record
        self._tell_epoch_end(record)

    def train(self) -> float:
        """Take all steps of an epoch; return their mean loss."""
        state, fit = self.state, self.fit
        set_training_mode(state.model)
        self.step.begin_epoch()
        state.weights_record = None  # until the epoch ends, nothing is known of the weights
        losses, lrs = StepLosses(skip_not_finite=state.scaler.enabled), []
        with state.randomness(len(state.history)):
            for number, batches in enumerate(in_groups(self.batches(), state.options.accumulate)):
                step = fit.done * self.steps + number
                progress = min(step / (fit.epochs * self.steps), 1.0)
                lrs.append(set_schedule_values(fit.optimizer, as_values(fit.schedule(progress))))
                loss = self.step(batches, partial(self._tell_backward_end, step))
                if state.scaler.exhausted:
                    raise FloatingPointError(number + 1)
                if fit.ema:
                    fit.ema.update()
                losses.add(loss)
                for callback in self.callbacks:
                    callback.on_batch_end(state, events.BatchEnd(step, batches[-1], loss, lrs[-1]))
            losses.flush()
        return self._finish_epoch(losses, lrs)

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the next epoch."""
        epoch = len(self.state.history)
        if self.features:
            return self.features.train_batches(epoch, self.fit.passes)
        return self.state.train_batches(epoch)

    def validate(self) -> dict[str, float]:
        """Return loss and metrics on the validation items, with averaged weights where the fit has them."""
        state = self.state
        with state.averaged_weights():
            return evaluate(self._valid_outputs(), state.target, state.loss, state.metrics)

    def _valid_outputs(self) -> Iterator[Output]:
        state = self.state
        if self.features:
            batches = (batch.to(state.device) for batch in self.features.valid_batches())
            return run_model(self.module, batches, state.target, state.precision)
        return state.predictor().run(state.data.valid.epoch(0), most_items=state.data.batch_size)

    def _make_optimizer(self, fit: Fit) -> None:
        options = self.state.options
        fit.optimizer = options.optimizer(parameter_groups(self.state.model, fit.lrs, options.weight_decay))
        fit.ema = ExponentialMovingAverage(self.state.model, options.ema) if options.ema else None

    def _tell_backward_end(self, step: int) -> None:
        for callback in self.callbacks:
            callback.on_backward_end(self.state, events.BackwardEnd(step))

    def _tell_epoch_end(self, record: EpochRecord) -> None:
        """Call every callback, also when one of them ends the fit."""
        stop: StopTraining | None = None
        for callback in self.callbacks:
            try:
                callback.on_epoch_end(self.state, events.EpochEnd(self.fit.done - 1, record))
            except StopTraining as asked:
                stop = stop or asked
        if stop:
            raise stop

    def _finish_epoch(self, losses: StepLosses, lrs: list[float]) -> float:
        state = self.state
        state.history.steps += zip(losses.values, lrs, strict=False)
        state.head_steps += len(lrs) if self.features else 0
        if not losses.count:
            raise TrainingError("There was not one batch to train on.", "readable items.", "run bunch.check().")
        return losses.mean

    def _diverged(self, step: int) -> TrainingError:
        self.state.load_weights(self.good_weights)
        self.state.weights_record = self.good_record
        return TrainingError(
            f"The loss was not finite at step {step} of epoch {len(self.state.history) + 1}, "
            f"with lr={max(self.fit.lrs):g}.",
            "a finite loss; the weights are back to those of the last good epoch.",
            "lower lr, pass clip=1.0, or check the data with bunch.check().",
        )

    def _finish(self, started: Sequence[Callback], error: BaseException | None) -> None:
        state = self.state
        if self.fit.ema and error is None:
            self.fit.ema.swap()
        elif self.fit.ema:
            state.weights_record = None  # the record is of the averaged weights, which are needed to go on
        for callback in started:
            callback.on_fit_end(state, events.FitEnd(error))
        if summary := state.scaler.summary():
            state.history.notes.append(summary)
        release(state.accelerator)


def trained_module(state: TrainState, features: CachedFeatures | None) -> nn.Module:
    """Return what is trained: the head alone where the body's outputs are cached, else the whole model."""
    if features is None:
        return state.model
    assert isinstance(state.model, GroupedModel)
    return state.model.head


def prepare(accelerator: Accelerator, module: nn.Module, optimizer: Any) -> tuple[nn.Module, Any]:
    """Let the accelerator wrap both, unless it has nothing to add: its wrappers cost each step 0.2 ms."""
    if _needs_no_wrapper(accelerator):
        return module, optimizer
    prepared: tuple[nn.Module, Any] = accelerator.prepare(module, optimizer)
    return prepared


def release(accelerator: Accelerator) -> None:
    """Release what `prepare` wrapped."""
    if not _needs_no_wrapper(accelerator):
        accelerator.free_memory()


def in_groups(batches: Iterator[Batch], count: int) -> Iterator[list[Batch]]:
    """Yield `count` batches at a time, at the end those that are left."""
    while group := list(islice(batches, count)):
        yield group


def _needs_no_wrapper(accelerator: Accelerator) -> bool:
    """Return whether there is one process, without an accelerator's own precision or compiler."""
    return bool(
        accelerator.distributed_type == DistributedType.NO
        and accelerator.mixed_precision == "no"
        and accelerator.gradient_accumulation_steps == 1
        and accelerator.state.dynamo_plugin.backend == DynamoBackend.NO
    )
