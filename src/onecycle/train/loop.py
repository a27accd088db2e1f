"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

from onecycle.data.batch import Batch
from onecycle.data.modality import Modality
from onecycle.errors import StopTraining, TrainingError
from onecycle.inference.evaluation import evaluate
from onecycle.inference.predictor import Output, run_model
from onecycle.processes import in_all
from onecycle.train import events
from onecycle.train.distributed import Together
from onecycle.train.ema import ExponentialMovingAverage
from onecycle.train.events import Callback
from onecycle.train.gradients import CommonStep
from onecycle.train.history import EpochRecord
from onecycle.train.interruption import Interruption
from onecycle.train.joined_model import average_statistics
from onecycle.train.layer_groups import parameter_groups, set_training_mode, trained_layers
from onecycle.train.optimizer_step import optimizer_step, release, step_threads, trained_module
from onecycle.train.plan import Fit
from onecycle.train.schedule import as_values, set_schedule_values
from onecycle.train.state import TrainState


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
        self.step = optimizer_step(state, self.features, self.fit.optimizer)
        if state.options.compile and self.features is None:  # a head alone is fast as it is
            self.step.compile()
        self.steps = -(-max(self.fit.passes, 1) * state.num_batches // state.options.accumulate)  # of an epoch
        self.good_weights, self.good_record = state.copy_weights(), state.weights_record
        self.clock, self.interruption = time.perf_counter(), Interruption(shared=state.processes.world > 1)
        self.together = Together(state, self.step, self.interruption)

    def run(self) -> None:
        """Train epoch by epoch, until the fit is done or something ends it."""
        started: list[Callback] = []
        error: BaseException | None = None
        try:
            with self.interruption:
                self._run(started)
            self._note_stop()
            self.state.fit = None
        except FloatingPointError as not_finite:
            error = self._diverged(int(not_finite.args[0]))
            raise error from None
        except BaseException as other:
            error, common = other, self.together.is_common(other)
            half_done = self.interruption.broken or self.together.half_done
            self.fit.exact = self.fit.exact and common and not half_done
            if self.fit.exact:
                self._tell_resume_point(interrupted=True)
            if not common:
                raise self.together.explained(other) from None
            raise
        finally:
            self._finish(started, error)

    def _run(self, started: list[Callback]) -> None:
        fit = self.fit
        try:
            for callback in self.callbacks:
                started.append(callback)
                with self.together.noting():
                    callback.on_fit_start(self.state, events.FitStart(fit.epochs, self.steps, fit.done))
            self.together.agree()
            while fit.done < fit.epochs and fit.stopped is None:
                self.epoch()
            self.together.agree()
        except StopTraining as stop:
            fit.stopped = stop.reason

    def epoch(self) -> None:
        """Train on every item once, validate, and call the callbacks; after a resume, only on what is left."""
        state, fit = self.state, self.fit
        self.clock = time.perf_counter()
        self._tell("on_epoch_start", events.EpochStart(fit.done))
        self.together.agree()
        train_loss = self.train()
        average_statistics(state.model, fit.ema, state.processes)
        values = self.validate()
        with self.interruption.held():
            fit.exact = False
            self._count_seconds()
            head_steps = fit.step if self.features else 0
            modality = state.data.modality
            # Plain loaders read by themselves, and have no other modality for training.
            training: Modality = getattr(state.data.loader("train").dataset, "modality", modality)
            inputs, trained_on = (one.describe().model for one in (modality, training))
            record = EpochRecord(
                len(state.history) + 1, trained_layers(state.model), inputs, max(fit.lrs), train_loss,
                values.pop("valid_loss"), values, fit.seconds, head_steps, len(fit.step_lrs),
                "" if trained_on == inputs else trained_on,
            )  # fmt: skip
            state.history.epochs.append(record)
            state.history.steps.extend(zip(fit.losses.values, fit.step_lrs, strict=False))
            state.head_steps += head_steps
            state.weights_record = record
            state.energy.sample()
            fit.end_epoch()
            self.good_weights, self.good_record = state.copy_weights(), record
            fit.exact = True
            self._tell_epoch_end(record)
            self._tell_resume_point(epoch_end=True)

    def train(self) -> float:
        """Take the steps of an epoch that are left; return the mean loss of all."""
        state, fit = self.state, self.fit
        set_training_mode(state.model)
        self.step.begin_epoch(fit.carried)
        state.weights_record = None  # until the epoch ends, nothing is known of the weights
        fit.losses.skip_not_finite = state.scaler.enabled
        with state.randomness(len(state.history)), step_threads(state, self.features):
            groups = in_groups(self.batches(), state.options.accumulate)
            for batches, common in self.together.steps(groups, fit.losses):
                with self.interruption.held():
                    self._step(batches, common)
            with self.interruption.held():
                fit.losses.flush()
        if not fit.losses.count:
            raise in_all(TrainingError("There was not one batch to train on.", "readable items.", "run bunch.check()."))
        return fit.losses.mean

    def _step(self, batches: list[Batch], common: CommonStep | None) -> None:
        """Take one step, and count it."""
        state, fit = self.state, self.fit
        step = fit.done * self.steps + fit.step
        lr = set_schedule_values(fit.optimizer, as_values(fit.schedule(fit.progress(self.steps))))
        # Of each step anew, so that a resumed epoch draws what an uninterrupted one draws.
        state.seed_step(len(state.history), fit.step)
        fit.exact = False
        loss = self.step(batches, partial(self._tell_backward_end, step), common)
        if state.scaler.exhausted:
            raise FloatingPointError(fit.step + 1)
        if fit.ema:
            fit.ema.update()
        if common is None:
            fit.losses.add(loss)
        else:
            fit.losses.share, loss = loss, loss * state.processes.world
        fit.step_lrs.append(lr)
        fit.step, fit.batch, fit.carried = fit.step + 1, batches[-1].number + 1, self.step.carried.state_dict()
        fit.exact = True
        self._tell("on_batch_end", events.BatchEnd(step, batches[-1], loss, lr))
        self._tell_resume_point()

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the epoch under way that are left."""
        epoch, start = len(self.state.history), self.fit.batch
        if self.features:
            return self.features.train_batches(epoch, self.fit.passes, start)
        return self.state.train_batches(epoch, start, self.fit.earlier.taken)

    def validate(self) -> dict[str, float]:
        """Return loss and metrics on the validation items, with averaged weights where the fit has them."""
        state = self.state
        with state.averaged_weights(self.interruption.held):
            return evaluate(self._valid_outputs(), state.target, state.loss, state.metrics, state.sharing)

    def _valid_outputs(self) -> Iterator[Output]:
        state = self.state
        if self.features:
            return run_model(self.module, self.features.valid_batches(), state.target, state.precision)
        return state.predictor().run(state.valid_batches(), most_items=state.data.batch_size)

    def _make_optimizer(self, fit: Fit) -> None:
        options = self.state.options
        fit.optimizer = options.optimizer(parameter_groups(self.state.model, fit.lrs, options.weight_decay))
        fit.ema = ExponentialMovingAverage(self.state.model, options.ema) if options.ema else None

    def _tell(self, event: str, about: object, callbacks: Sequence[Callback] | None = None) -> None:
        for callback in self.callbacks if callbacks is None else callbacks:
            with self.together.noting():
                getattr(callback, event)(self.state, about)

    def _tell_backward_end(self, step: int) -> None:
        self._tell("on_backward_end", events.BackwardEnd(step))

    def _tell_epoch_end(self, record: EpochRecord) -> None:
        """Call every callback, also when one of them ends the fit."""
        event = events.EpochEnd(self.fit.done - 1, record)
        tell_each: list[Callable[[], None]] = [partial(one.on_epoch_end, self.state, event) for one in self.callbacks]
        for tell in (*tell_each, self.together.agree):
            try:
                with self.together.noting():
                    tell()
            except StopTraining as stop:
                self.fit.stopped = self.fit.stopped or stop.reason

    def _tell_resume_point(self, *, epoch_end: bool = False, interrupted: bool = False) -> None:
        self._count_seconds()
        made = self.fit.done * self.steps + self.fit.step
        self._tell("on_resume_point", events.ResumePoint(made, epoch_end, interrupted, self.together.seconds))

    def _count_seconds(self) -> None:
        now = time.perf_counter()
        self.fit.seconds, self.clock = self.fit.seconds + now - self.clock, now

    def _note_stop(self) -> None:
        if self.fit.stopped is not None:
            self.state.history.notes.append(f"stopped after epoch {len(self.state.history)}: {self.fit.stopped}")

    def _diverged(self, step: int) -> TrainingError:
        state, fit = self.state, self.fit
        state.load_weights(self.good_weights)
        state.weights_record = self.good_record
        state.fit = state.plan = None  # its optimizer has seen what is not finite
        return TrainingError(
            f"The loss was not finite at step {step} of epoch {len(state.history) + 1}, with lr={max(fit.lrs):g}.",
            "a finite loss; the weights are back to those of the last good epoch, or of the checkpoint resumed from.",
            "lower lr, pass clip=1.0, or check the data with bunch.check().",
        )

    def _finish(self, started: Sequence[Callback], error: BaseException | None) -> None:
        state, fit = self.state, self.fit
        if state.fit is not None:
            # The record is of averaged weights, and to go on, the others are needed; also where a callback brings back
            # those of another epoch.
            state.weights_record = None if fit.ema else state.weights_record
            fit.weights, fit.notes = state.copy_weights(), len(state.history.notes)
        elif fit.ema and error is None:
            fit.ema.swap()
        self._tell("on_fit_end", events.FitEnd(error), started)
        if error is None:
            self.together.agree()
        if state.fit is None and (summary := state.scaler.summary()):
            state.history.notes.append(summary)
        release(state.accelerator)


def in_groups(batches: Iterator[Batch], count: int) -> Iterator[list[Batch]]:
    """Yield `count` batches at a time, at the end those that are left."""
    while group := list(islice(batches, count)):
        yield group
