"""The table of progress that a fit shows: in a notebook, in a terminal, or a line an epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live

from onecycle.notebook import CellOutput, in_notebook
from onecycle.train.events import BatchEnd, Callback, EpochEnd, FitEnd, FitStart
from onecycle.train.history import EpochRecord, History
from onecycle.train.state import TrainState

SECONDS_BETWEEN_UPDATES = 0.25


class ProgressTable(Callback):
    """A live table of the fit's epochs, in a terminal or notebook; elsewhere a line an epoch."""

    def __init__(self, screen: Screen | None = None) -> None:
        self.screen = screen or default_screen()
        self.first_epoch = self.first_note = 0
        self.epochs = self.steps = 0
        self.shown_at = -math.inf

    def on_fit_start(self, state: TrainState, event: FitStart) -> None:
        self.first_epoch, self.first_note = len(state.history), len(state.history.notes)
        self.epochs, self.steps = event.epochs, event.steps
        self.screen.open()

    def on_batch_end(self, state: TrainState, event: BatchEnd) -> None:
        if time.monotonic() - self.shown_at < SECONDS_BETWEEN_UPDATES:
            return
        epoch, step = divmod(event.step, self.steps)
        progress = f"epoch {epoch + 1} of {self.epochs}, {(step + 1) / self.steps:.0%}, lr {event.lr:.2g}"
        self.screen.update(self._epochs(state), progress)
        self.shown_at = time.monotonic()

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        self.screen.add(self._epochs(state), event.record)

    def on_fit_end(self, state: TrainState, event: FitEnd) -> None:
        notes = state.history.notes[self.first_note :]
        if isinstance(event.error, KeyboardInterrupt):
            notes = [*notes, f"interrupted in epoch {len(state.history) + 1}"]
        self.screen.close(self._epochs(state), notes)

    def _epochs(self, state: TrainState) -> Sequence[EpochRecord]:
        return state.history.epochs[self.first_epoch :]


class Screen:
    """Where progress is shown; this one shows nothing."""

    def open(self) -> None:
        """A fit begins."""

    def update(self, epochs: Sequence[EpochRecord], progress: str) -> None:
        """A step was taken."""

    def add(self, epochs: Sequence[EpochRecord], last: EpochRecord) -> None:
        """An epoch ended, the last one of `epochs`."""

    def close(self, epochs: Sequence[EpochRecord], notes: Sequence[str]) -> None:
        """The fit ended, however it did."""


class Lines(Screen):
    """A line an epoch, for logs."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def add(self, epochs: Sequence[EpochRecord], last: EpochRecord) -> None:
        cells = "  ".join(f"{name} {value}" for name, value in last.cells().items())
        self.console.print(cells, highlight=False, soft_wrap=True)


class Terminal(Screen):
    """A table that is drawn over itself."""

    def __init__(self, console: Console) -> None:
        self.live = Live(console=console, refresh_per_second=4, transient=False)

    def open(self) -> None:
        self.live.start()

    def update(self, epochs: Sequence[EpochRecord], progress: str) -> None:
        self.live.update(History(list(epochs)).table([{"epoch": progress}]))

    def add(self, epochs: Sequence[EpochRecord], last: EpochRecord) -> None:
        self.live.update(History(list(epochs)).table())

    def close(self, epochs: Sequence[EpochRecord], notes: Sequence[str]) -> None:
        self.live.update(History(list(epochs)).table())
        self.live.stop()


class Notebook(Screen):
    """A table as an output of the cell, which is saved with the notebook."""

    def __init__(self) -> None:
        self.output = CellOutput()

    def update(self, epochs: Sequence[EpochRecord], progress: str) -> None:
        self.output.show(History(list(epochs), notes=[progress]))

    def add(self, epochs: Sequence[EpochRecord], last: EpochRecord) -> None:
        self.output.show(History(list(epochs)))

    def close(self, epochs: Sequence[EpochRecord], notes: Sequence[str]) -> None:
        self.output.show(History(list(epochs), notes=list(notes)))


def default_screen() -> Screen:
    """Return the screen that suits where the code runs."""
    if in_notebook():
        return Notebook()
    console = Console(file=sys.stderr)
    return Terminal(console) if console.is_terminal else Lines(console)
