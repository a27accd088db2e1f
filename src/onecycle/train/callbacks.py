"""Early stopping, the best weights, and checkpoints."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from onecycle.bundle.replace import part_path
from onecycle.errors import BundleError, ModelError, StopTraining, counted, suggest, users_level
from onecycle.train.checkpoint import save_checkpoint
from onecycle.train.events import Callback, EpochEnd, FitEnd, FitStart, ResumePoint
from onecycle.train.history import EpochRecord
from onecycle.train.schedule import schedule_to_config
from onecycle.train.state import TrainState


class _Monitor(Callback):
    """Follows one number and reports when it is the best so far."""

    def __init__(self, monitor: str = "valid_loss") -> None:
        self.monitor = monitor
        self.best: float | None = None
        self.inputs = ""

    def on_fit_start(self, state: TrainState, event: FitStart) -> None:
        self._sign(state)
        if self.monitor != "train_loss" and not state.data.validates:
            raise ModelError(
                f"{type(self).__name__} watches {self.monitor!r}, and there are no validation items.",
                "a number that is measured.",
                'pass "train_loss", or hold items back, as split_random(valid=0.2) does.',
            )

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "inputs": self.inputs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.inputs = state["best"], state["inputs"]

    def improved(self, state: TrainState, record: EpochRecord) -> bool:
        """Return whether `record` is the best so far, and remember it if so."""
        value = self._sign(state) * record.value(self.monitor)
        if record.inputs != self.inputs:  # numbers at another image size are not comparable
            self.best, self.inputs = None, record.inputs
        # NaN, where there was nothing to measure, is above nothing and below everything.
        if self.best is not None and not (value > self.best or math.isnan(self.best)):
            return False
        self.best = value
        return True

    def _sign(self, state: TrainState) -> int:
        better = {"train_loss": False, "valid_loss": False} | {m.name: m.higher_is_better for m in state.metrics}
        if self.monitor not in better:
            raise ModelError(
                f"{type(self).__name__} cannot watch {self.monitor!r}.",
                f"one of: {', '.join(better)}.",
                f"name one of them, or add the metric to the learner's metrics=.{suggest(self.monitor, better)}",
            )
        return 1 if better[self.monitor] else -1


class EarlyStopping(_Monitor):
    """Stop when a number has not improved for `patience` epochs.

    Args:
        monitor: "valid_loss", "train_loss" or a metric's name.
        patience: Epochs to wait.

    Example:
        >>> learner = oc.vision_learner(bunch, callbacks=[oc.EarlyStopping("accuracy", patience=2)], pretrained=False)
    """

    def __init__(self, monitor: str = "valid_loss", *, patience: int = 3) -> None:
        super().__init__(monitor)
        self.patience, self.wait = patience, 0

    def on_fit_start(self, state: TrainState, event: FitStart) -> None:
        super().on_fit_start(state, event)
        if event.done == 0:
            self.best, self.wait = None, 0

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "wait": self.wait}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.wait = state["wait"]

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        self.wait = 0 if self.improved(state, event.record) else self.wait + 1
        if self.wait >= self.patience:
            raise StopTraining(f"{self.monitor} has not improved for {counted(self.patience, 'epoch')}")


class KeepBest(_Monitor):
    """Keep the weights of the best epoch, and bring them back when the fit ends, also when it ends early.

    Of epochs that are equally good, the one with the lowest validation loss is kept.

    Args:
        monitor: "valid_loss", "train_loss" or a metric's name.

    Example:
        >>> learner = oc.vision_learner(bunch, callbacks=[oc.KeepBest("accuracy")], pretrained=False)
    """

    def __init__(self, monitor: str = "valid_loss") -> None:
        super().__init__(monitor)
        self.best_weights: dict[str, Tensor] | None = None
        self.best_record: EpochRecord | None = None

    def state_dict(self) -> dict[str, Any]:
        record = None if self.best_record is None else asdict(self.best_record)
        return {**super().state_dict(), "weights": self.best_weights, "record": record}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.best_weights = state["weights"]
        self.best_record = None if state["record"] is None else EpochRecord(**state["record"])

    def improved(self, state: TrainState, record: EpochRecord) -> bool:
        return super().improved(state, record) or self._breaks_tie(record)

    def _breaks_tie(self, record: EpochRecord) -> bool:
        best = self.best_record
        if best is None or best.inputs != record.inputs:
            return False
        return record.value(self.monitor) == best.value(self.monitor) and record.valid_loss < best.valid_loss

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        if self.improved(state, event.record):
            with state.averaged_weights():  # the weights that were validated
                self.best_weights, self.best_record = state.copy_weights(), event.record

    def on_fit_end(self, state: TrainState, event: FitEnd) -> None:
        if event.error is not None or not len(state.history) or self.best_record != state.history[-1]:
            self.restore(state)

    def restore(self, state: TrainState) -> None:
        """Bring back the weights of the best epoch, where there was one."""
        best = self.best_record
        if self.best_weights is None or best is None:
            return
        state.load_weights(self.best_weights)
        state.weights_record = best
        note = f"kept the weights of epoch {best.epoch}, the best {self.monitor}"
        if best.epoch != state.history[-1].epoch and note not in state.history.notes:
            state.history.notes.append(note)


class Checkpoint(Callback):
    """Save everything needed to go on, after every epoch, at intervals, and when training is interrupted.

    Ctrl-C and SIGTERM end training between two steps, and what was done until then is saved. In a learner made in the
    same way, `learner.resume(path)` goes on from there to the same weights. Where a checkpoint cannot be written, such
    as on a full disk, the history says so, and training goes on. Where several processes train together, each has this
    callback, and the main process writes.

    Args:
        path: The file, replaced as a whole each time. Where `keep` is more than 1, the ones before are kept beside it:
            last.1.ckpt, last.2.ckpt, ...
        every_minutes: Save this often between the ends of epochs too; None does not.
        every_steps: Save after so many optimizer steps of an epoch too; None does not.
        keep: How many to keep, the newest one included.

    Example:
        >>> learner = oc.vision_learner(
        ...     bunch, callbacks=[oc.Checkpoint("last.ckpt", every_minutes=5)], pretrained=False
        ... )
    """

    def __init__(
        self,
        path: str | Path = "last.ckpt",
        *,
        every_minutes: float | None = None,
        every_steps: int | None = None,
        keep: int = 1,
    ) -> None:
        for name, value in (("every_minutes", every_minutes), ("every_steps", every_steps), ("keep", keep)):
            if value is not None and not value > 0:
                raise ModelError(f"Checkpoint({name}={value!r}).", "a number above 0.", f"pass {name}=5.")
        self.path, self.keep = Path(path), keep
        self.every_minutes, self.every_steps = every_minutes, every_steps
        self.saved_at = 0.0

    def on_fit_start(self, state: TrainState, event: FitStart) -> None:
        assert state.fit is not None
        schedule_to_config(state.fit.schedule)  # refuses one that cannot be saved, before any time is spent
        self.saved_at = 0.0

    def on_resume_point(self, state: TrainState, event: ResumePoint) -> None:
        if event.epoch_end or event.interrupted or self._due(event):
            self.save(state)
            self.saved_at = event.seconds

    def _due(self, event: ResumePoint) -> bool:
        if self.every_steps is not None and event.step % self.every_steps == 0:
            return True
        return self.every_minutes is not None and event.seconds - self.saved_at >= 60 * self.every_minutes

    def save(self, state: TrainState) -> None:
        """Save now, or note in the history why that was not possible."""
        try:
            state.processes.decide(self._keep_previous)
            save_checkpoint(state, self.path)
        except (BundleError, OSError) as error:
            what = error.what if isinstance(error, BundleError) else str(error)
            note = f"epoch {len(state.history) + 1}: no checkpoint was written, training goes on: {what}"
            state.history.notes.append(note)
            if state.processes.is_main:
                warnings.warn(note, stacklevel=users_level())

    def _keep_previous(self) -> None:
        if self.keep > 1 and self.path.exists():
            keep_previous(self.path, self.keep - 1)


def keep_previous(path: Path, count: int) -> None:
    """Give the file or folder at `path` a second name, `path` with .1 before its suffix, and move older ones up.

    The one that is moved beyond `count` is deleted. `path` itself stays at all times.
    """
    kept = [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in range(1, count + 1)]
    if kept[-1].is_dir():
        shutil.rmtree(kept[-1])
    for older, newer in zip(reversed(kept[1:]), reversed(kept[:-1]), strict=True):
        if newer.exists():
            os.replace(newer, older)
    if path.is_dir():
        shutil.copytree(path, kept[0])
        return
    second = part_path(path)
    try:
        os.link(path, second)  # no copy: the next checkpoint replaces the name, not the file
    except OSError:
        shutil.copyfile(path, second)
    os.replace(second, kept[0])
