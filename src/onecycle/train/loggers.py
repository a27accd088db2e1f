"""Trackers: where the numbers of a training run are kept, and the callback that sends them there."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

from onecycle.errors import ModelError, with_article
from onecycle.registry import lookup
from onecycle.train.events import Callback, EpochEnd, FitEnd, FitStart
from onecycle.train.layer_groups import trained_layers
from onecycle.train.state import TrainState

METHODS = ("log_config", "log_metrics", "finish")


class Tracker(Protocol):
    """Where numbers go: a file, or the client of a service. Pass one to `Track`.

    Example:
        >>> @oc.register("tracker", "lines")
        ... class Lines:
        ...     def log_config(self, config):
        ...         print(config)
        ...
        ...     def log_metrics(self, metrics, step):
        ...         print(step, metrics)
        ...
        ...     def finish(self):
        ...         print("done")
    """

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Take what describes a fit, JSON values by name; called when a fit starts."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Take the numbers of an epoch.

        Args:
            metrics: Value by name: "epoch", "train_loss", "valid_loss", the metrics, "lr" and "seconds".
            step: Optimizer steps so far, over all fits of the learner.
        """

    def finish(self) -> None:
        """Store what was logged; called when a fit ends, also early. Another fit may follow."""


class Track(Callback):
    """Sends the options of every fit and the numbers of every epoch to a tracker.

    Args:
        tracker: A `Tracker`, or the name of a registered one that is made without arguments.
    Raises:
        ModelError: It has not the methods of a tracker, or the name is not registered.
    Example:
        >>> learner = oc.vision_learner(bunch, callbacks=[oc.Track(oc.CsvTracker("run.csv"))])
    """

    def __init__(self, tracker: Tracker | str) -> None:
        made = lookup("tracker", tracker)() if isinstance(tracker, str) else tracker
        name = made.__name__ if isinstance(made, type) else type(made).__name__
        missing = [method for method in METHODS if not callable(getattr(made, method, None))]
        if missing or isinstance(made, type):
            raise ModelError(
                f"The tracker is {with_article(name)} without {', '.join(missing)}."
                if missing
                else f"The tracker is the class {name}.",
                "an object with log_config(config), log_metrics(metrics, step) and finish().",
                "define them." if missing else f"write {name}().",
            )
        self.tracker: Tracker = made

    def on_fit_start(self, state: TrainState, event: FitStart) -> None:
        if state.accelerator.is_main_process:
            self.tracker.log_config(fit_config(state, event))

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        if state.accelerator.is_main_process:
            record = event.record
            numbers = {
                "epoch": record.epoch, "train_loss": record.train_loss, "valid_loss": record.valid_loss,
                **record.metrics, "lr": record.lr, "seconds": record.seconds,
            }  # fmt: skip
            self.tracker.log_metrics(numbers, len(state.history.steps))

    def on_fit_end(self, state: TrainState, event: FitEnd) -> None:
        if state.accelerator.is_main_process:
            self.tracker.finish()


class CsvTracker:
    """Writes a row for every epoch into a CSV file, and the options of the last fit into a JSON file beside it.

    Args:
        path: The CSV file; the other one has the suffix .json.
        append: Add rows to a file that exists, as after an interruption.
    Raises:
        ModelError: The file exists, and `append` is not set.
    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> tracker = CsvTracker(Path(mkdtemp()) / "run.csv")
        >>> tracker.log_metrics({"epoch": 1, "valid_loss": 0.5}, step=20)
        >>> tracker.path.read_text().splitlines()
        ['step,epoch,valid_loss', '20,1,0.5']
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self.path = Path(path)
        if self.path.exists() and not append:
            raise ModelError(
                f"{self.path} exists, perhaps from an earlier run.",
                "a new file.",
                "pass another path, or append=True to add rows to it.",
            )

    def log_config(self, config: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.with_suffix(".json").write_text(json.dumps(dict(config), indent=1) + "\n", encoding="utf-8")

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        row = {"step": step, **metrics}
        names = self._columns() or list(row)
        if unknown := sorted(row.keys() - set(names)):
            raise ModelError(
                f"{self.path} has no column for {', '.join(unknown)}.",
                f"its columns: {', '.join(names)}.",
                "use a new file for other metrics.",
            )
        begun = self.path.exists()
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, restval="")
            if not begun:
                writer.writeheader()
            writer.writerow(row)

    def finish(self) -> None:
        """Do nothing: every row is written when it is logged."""

    def _columns(self) -> list[str]:
        if not self.path.exists():
            return []
        with open(self.path, newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])


def fit_config(state: TrainState, event: FitStart) -> dict[str, Any]:
    """Return what describes a fit, as JSON: model, data, and the options that are numbers, texts, or on and off."""
    options = {field.name: getattr(state.options, field.name) for field in fields(state.options)}
    plain = {name: value for name, value in options.items() if value is None or isinstance(value, str | int | float)}
    assert state.fit is not None
    return {
        "model": type(state.model).__name__,
        "target": state.target.summary,
        "training_items": len(state.data),
        "batch_size": state.data.batch_size,
        "trained": trained_layers(state.model),
        "epochs": event.epochs,
        "steps": event.steps,
        "lrs": state.fit.lrs,
        "precision": state.precision.mode,
        **plain,
        "seed": state.seed,
    }
