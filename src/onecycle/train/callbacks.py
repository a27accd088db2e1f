"""The callbacks that most people want."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from torch import Tensor

from onecycle.errors import ModelError, StopTraining, suggest
from onecycle.train.events import BatchEnd, Callback, EpochEnd, FitEnd, FitStart
from onecycle.train.history import EpochRecord, History

if TYPE_CHECKING:
    from onecycle.train.learner import Learner


class _Monitor(Callback):
    """Follows one number and knows when it is the best so far."""

    def __init__(self, monitor: str = "valid_loss") -> None:
        self.monitor = monitor
        self.best: float | None = None
        self.inputs = ""

    def on_fit_start(self, learner: Learner, event: FitStart) -> None:
        """Refuse a number that is not watched."""
        self._sign(learner)

    def improved(self, learner: Learner, record: EpochRecord) -> bool:
        """Tell whether `record` is the best so far, and remember it if so."""
        value = self._sign(learner) * record.value(self.monitor)
        if record.inputs != self.inputs:  # numbers at another image size are not comparable
            self.best, self.inputs = None, record.inputs
        # NaN, where there was nothing to measure, is above nothing and below everything.
        if self.best is not None and not (value > self.best or math.isnan(self.best)):
            return False
        self.best = value
        return True

    def _sign(self, learner: Learner) -> int:
        better = {"train_loss": False, "valid_loss": False} | {m.name: m.higher_is_better for m in learner.metrics}
        if self.monitor not in better:
            raise ModelError(
                f"{type(self).__name__} cannot watch {self.monitor!r}.",
                f"one of: {', '.join(better)}.",
                f"name one of them, or add the metric to the learner.{suggest(self.monitor, better)}",
            )
        return 1 if better[self.monitor] else -1


class EarlyStopping(_Monitor):
    """Stop when a number has not improved for `patience` epochs.

    Args:
        monitor: "valid_loss", "train_loss" or a metric's name.
        patience: Epochs to wait.
    """

    def __init__(self, monitor: str = "valid_loss", *, patience: int = 3) -> None:
        super().__init__(monitor)
        self.patience, self.waited = patience, 0

    def on_fit_start(self, learner: Learner, event: FitStart) -> None:
        """Begin to wait anew, but not where a fit is resumed."""
        super().on_fit_start(learner, event)
        if event.done == 0:
            self.best, self.waited = None, 0

    def on_epoch_end(self, learner: Learner, event: EpochEnd) -> None:
        """Count the epochs without improvement."""
        self.waited = 0 if self.improved(learner, event.record) else self.waited + 1
        if self.waited >= self.patience:
            raise StopTraining(f"{self.monitor} has not improved for {self.patience} epochs")


class KeepBest(_Monitor):
    """Keep the weights of the best epoch, and bring them back when the fit ends, also when it ends early.

    Args:
        monitor: "valid_loss", "train_loss" or a metric's name.
    """

    def __init__(self, monitor: str = "valid_loss") -> None:
        super().__init__(monitor)
        self.weights: dict[str, Tensor] | None = None
        self.epoch = 0

    def on_epoch_end(self, learner: Learner, event: EpochEnd) -> None:
        """Copy the weights if this epoch is the best."""
        if self.improved(learner, event.record):
            with learner.averaged():  # the weights that were validated
                self.weights, self.epoch = learner.copy_weights(), event.record.epoch

    def on_fit_end(self, learner: Learner, event: FitEnd) -> None:
        """Bring the best weights back."""
        if self.weights is None or (event.error is None and self.epoch == learner.history[-1].epoch):
            return
        learner.load_weights(self.weights)
        if self.epoch != learner.history[-1].epoch:
            learner.history.notes.append(f"kept the weights of epoch {self.epoch}, the best {self.monitor}")


class Checkpoint(Callback):
    """Save everything needed to go on, after every epoch. `learner.load(path)`, then `learner.resume()`.

    Args:
        path: The file, replaced as a whole each time.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_epoch_end(self, learner: Learner, event: EpochEnd) -> None:
        """Save."""
        learner.save(self.path)


class ProgressTable(Callback):
    """A live table of the history, in a terminal or notebook; elsewhere a line an epoch."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr)
        self.live: Live | None = None
        self.start = 0
        self.steps = self.step = 0

    def on_fit_start(self, learner: Learner, event: FitStart) -> None:
        """Open the table."""
        self.start, self.steps = len(learner.history), event.epochs * event.steps
        if self.console.is_terminal or self.console.is_jupyter:
            self.live = Live(console=self.console, refresh_per_second=4, transient=False)
            self.live.start()

    def on_batch_end(self, learner: Learner, event: BatchEnd) -> None:
        """Show how far the fit is."""
        if self.live is not None and event.step % 4 == 0:
            self._show(learner, [{"epoch": f"{event.step / max(self.steps, 1):.0%}", "lr": f"{event.lr:.2g}"}])

    def on_epoch_end(self, learner: Learner, event: EpochEnd) -> None:
        """Add a row."""
        if self.live is not None:
            self._show(learner)
        else:
            self.console.print(
                "  ".join(f"{name} {value}" for name, value in event.record.cells().items()),
                highlight=False,
                soft_wrap=True,
            )

    def on_fit_end(self, learner: Learner, event: FitEnd) -> None:
        """Leave the finished table."""
        if self.live is not None:
            self._show(learner)
            self.live.stop()
            self.live = None

    def _show(self, learner: Learner, extra: list[dict[str, str]] | None = None) -> None:
        assert self.live is not None
        self.live.update(History(learner.history.epochs[self.start :]).table(extra or []))
