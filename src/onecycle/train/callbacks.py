"""Early stopping, the best weights, checkpoints, and the table of progress."""

from __future__ import annotations

import math
import sys
from pathlib import Path

from rich.console import Console
from rich.live import Live
from torch import Tensor

from onecycle.errors import ModelError, StopTraining, suggest
from onecycle.train.checkpoint import save_checkpoint
from onecycle.train.events import BatchEnd, Callback, EpochEnd, FitEnd, FitStart
from onecycle.train.history import EpochRecord, History
from onecycle.train.state import TrainState


class _Monitor(Callback):
    """Follows one number and reports when it is the best so far."""

    def __init__(self, monitor: str = "valid_loss") -> None:
        self.monitor = monitor
        self.best: float | None = None
        self.inputs = ""

    def on_fit_start(self, state: TrainState, event: FitStart) -> None:
        self._sign(state)

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

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        self.wait = 0 if self.improved(state, event.record) else self.wait + 1
        if self.wait >= self.patience:
            raise StopTraining(f"{self.monitor} has not improved for {self.patience} epochs")


class KeepBest(_Monitor):
    """Keep the weights of the best epoch, and bring them back when the fit ends, also when it ends early.

    Args:
        monitor: "valid_loss", "train_loss" or a metric's name.

    Example:
        >>> learner = oc.vision_learner(bunch, callbacks=[oc.KeepBest("accuracy")], pretrained=False)
    """

    def __init__(self, monitor: str = "valid_loss") -> None:
        super().__init__(monitor)
        self.best_weights: dict[str, Tensor] | None = None
        self.best_record: EpochRecord | None = None

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        if self.improved(state, event.record):
            with state.averaged_weights():  # the weights that were validated
                self.best_weights, self.best_record = state.copy_weights(), event.record

    def on_fit_end(self, state: TrainState, event: FitEnd) -> None:
        best = self.best_record
        if self.best_weights is None or best is None or (event.error is None and best == state.history[-1]):
            return
        state.load_weights(self.best_weights)
        state.weights_record = best
        if best.epoch != state.history[-1].epoch:
            state.history.notes.append(f"kept the weights of epoch {best.epoch}, the best {self.monitor}")


class Checkpoint(Callback):
    """Save everything needed to go on, after every epoch. `learner.load(path)`, then `learner.resume()`.

    Args:
        path: The file, replaced as a whole each time.

    Example:
        >>> learner = oc.vision_learner(bunch, callbacks=[oc.Checkpoint("last.ckpt")], pretrained=False)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        save_checkpoint(state, self.path)


class ProgressTable(Callback):
    """A live table of the history, in a terminal or notebook; elsewhere a line an epoch."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr)
        self.live: Live | None = None
        self.start = 0
        self.steps = self.step = 0

    def on_fit_start(self, state: TrainState, event: FitStart) -> None:
        self.start, self.steps = len(state.history), event.epochs * event.steps
        if self.console.is_terminal or self.console.is_jupyter:
            self.live = Live(console=self.console, refresh_per_second=4, transient=False)
            self.live.start()

    def on_batch_end(self, state: TrainState, event: BatchEnd) -> None:
        if self.live is not None and event.step % 4 == 0:
            self._show(state, [{"epoch": f"{event.step / max(self.steps, 1):.0%}", "lr": f"{event.lr:.2g}"}])

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        if self.live is not None:
            self._show(state)
        else:
            self.console.print(
                "  ".join(f"{name} {value}" for name, value in event.record.cells().items()),
                highlight=False,
                soft_wrap=True,
            )

    def on_fit_end(self, state: TrainState, event: FitEnd) -> None:
        if self.live is not None:
            self._show(state)
            self.live.stop()
            self.live = None

    def _show(self, state: TrainState, extra: list[dict[str, str]] | None = None) -> None:
        assert self.live is not None
        self.live.update(History(state.history.epochs[self.start :]).table(extra or []))
