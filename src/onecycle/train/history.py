"""What happened while training: a record an epoch, a point a step."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor

from onecycle.calls import explains_calls
from onecycle.errors import counted
from onecycle.notebook import html_lines, html_table

if TYPE_CHECKING:
    from onecycle.figure import Picture


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: Counted from 1 over all fits.
        stage: "head", "all", or "from group n": what was trained.
        inputs: Short description of the inputs, such as the image size.
        lr: Highest peak rate of any group.
        train_loss: Mean over the epoch's training batches.
        valid_loss: Mean over the validation items.
        metrics: Name to value, on the validation items.
        seconds: Wall time with validation.
        cached_steps: Where the head was trained on cached features: its optimizer steps, over several passes; else 0.
        steps: Optimizer steps; 0 in histories of earlier versions.
        trained_on: Description of the training inputs where they are others than those that were validated on.
    """

    epoch: int
    stage: str
    inputs: str
    lr: float
    train_loss: float
    valid_loss: float
    metrics: dict[str, float]
    seconds: float
    cached_steps: int = 0
    steps: int = 0
    trained_on: str = ""

    @property
    def trained(self) -> str:
        """What was trained, and how often where an epoch was several passes over cached features."""
        return (
            f"{counted(self.cached_steps, f'{self.stage} step')} on cached features"
            if self.cached_steps
            else self.stage
        )

    @property
    def read(self) -> str:
        """What was trained and validated on."""
        return f"{self.trained_on}, validated on {self.inputs}" if self.trained_on else self.inputs

    def value(self, name: str) -> float:
        """Return the metric or loss called `name`."""
        return {"train_loss": self.train_loss, "valid_loss": self.valid_loss, **self.metrics}[name]

    def cells(self) -> dict[str, str]:
        """Return what a table shows, by column."""
        return {
            "epoch": str(self.epoch),
            "trained": self.trained,
            "inputs": self.read,
            "lr": f"{self.lr:.2g}",
            "train loss": f"{self.train_loss:.4f}",
            "valid loss": f"{self.valid_loss:.4f}",
            **{name: f"{value:.4f}" for name, value in self.metrics.items()},
            "time": f"{self.seconds:.1f} s",
        }


class StepLog(Sequence[tuple[float, float]]):
    """Loss and highest rate of every step, 16 bytes a step, so that millions of them are saved in no time.

    Example:
        >>> log = StepLog([(0.7, 1e-3)])
        >>> log.extend([(0.5, 2e-3)])
        >>> log[-1], len(log)
        ((0.5, 0.002), 2)
    """

    def __init__(self, steps: Iterable[tuple[float, float]] = ()) -> None:
        self._numbers = array("d")
        self.extend(steps)

    def __len__(self) -> int:
        return len(self._numbers) // 2

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return self._numbers[2 * place], self._numbers[2 * place + 1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(tuple.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"StepLog of {counted(len(self), 'step')}"

    def extend(self, steps: Iterable[tuple[float, float]]) -> None:
        """Add steps at the end."""
        for loss, lr in steps:
            self._numbers.extend((loss, lr))

    def to_tensor(self) -> Tensor:
        """Return a copy, float64, (steps, 2)."""
        return torch.from_numpy(np.array(self._numbers).reshape(-1, 2))

    @classmethod
    def from_tensor(cls, steps: Tensor) -> StepLog:
        """Return the steps that `to_tensor` copied."""
        log = cls()
        log._numbers.frombytes(steps.contiguous().numpy().tobytes())
        return log


@explains_calls
@dataclass
class History:
    """All epochs, in order, with notes on what ended training early.

    Attributes:
        epochs: A record an epoch.
        steps: Loss and highest rate of every step.
        notes: What a reader should know, such as why training stopped.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    steps: StepLog = field(default_factory=StepLog)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.epochs)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self.epochs)

    def __getitem__(self, index: int) -> EpochRecord:
        return self.epochs[index]

    def __repr__(self) -> str:
        lines = ["  ".join(f"{name} {value}" for name, value in record.cells().items()) for record in self.epochs]
        return "\n".join([f"History: {counted(len(self), 'epoch')}", *lines, *self.notes])

    def _repr_html_(self) -> str:
        table = html_table([record.cells() for record in self.epochs]) if self.epochs else ""
        return f"{table}{html_lines(chr(10).join(self.notes))}" or html_lines(repr(self))

    def table(self, extra: Sequence[dict[str, str]] = ()) -> Table:
        """Return a table for terminal or notebook; `extra` rows are shown below."""
        rows = [*(record.cells() for record in self.epochs), *extra]
        table = Table(box=None, pad_edge=False)
        for name in dict.fromkeys(name for row in rows for name in row):
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*(row.get(str(column.header), "") for column in table.columns))
        return table

    def to_csv(self, path: str | Path) -> None:
        """Write a row an epoch."""
        rows = [{**asdict(record), **record.metrics} for record in self.epochs]
        names = list(dict.fromkeys(name for row in rows for name in row if name != "metrics"))
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(rows)

    def plot(self) -> Picture:
        """Draw losses, metrics and learning rate."""
        from onecycle.figure import Picture

        figure = Picture(figsize=(11, 3.2), layout="constrained")
        losses, metrics, rates = figure.subplots(1, 3)
        numbers = [record.epoch for record in self.epochs]
        losses.plot(numbers, [record.train_loss for record in self.epochs], "o-", label="training")
        losses.plot(numbers, [record.valid_loss for record in self.epochs], "o-", label="validation")
        losses.set(title="loss", xlabel="epoch")
        for name in dict.fromkeys(name for record in self.epochs for name in record.metrics):
            shown = [(record.epoch, record.metrics[name]) for record in self.epochs if name in record.metrics]
            metrics.plot(*zip(*shown, strict=True), "o-", label=name)
        metrics.set(title="metrics on the validation items", xlabel="epoch")
        rates.plot(self._epoch_of_steps(), [rate for _, rate in self.steps], color="tab:green")
        cached = sum(record.cached_steps for record in self.epochs)
        label: str | None = f"shaded: {cached} head steps on cached features"
        for epoch, record in enumerate(self.epochs):
            if record.cached_steps:
                rates.axvspan(epoch, epoch + 1, color="0.9", linewidth=0, label=label)
                label = None
        rates.set(title="highest learning rate", xlabel="epoch")
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.18)}  # else it lies across the curve
        for axes, place in ((losses, {}), (metrics, {}), (rates, below)):
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(frameon=False, fontsize=8, **place)
        return figure.ready()

    def plot_steps(self) -> Picture:
        """Draw the loss and the rate of every step, with the stages of training marked."""
        from onecycle.figure import Picture

        figure = Picture(figsize=(9, 4.5), layout="constrained")
        losses, rates = figure.subplot_mosaic("l;l;l;r", sharex=True).values()
        raw = np.array([loss for loss, _ in self.steps])
        losses.plot(raw, color="0.8", linewidth=0.8, label="each step")
        if len(raw):
            losses.plot(running_mean(raw), color="tab:blue", label="running mean")
            losses.legend(frameon=False, fontsize=8)
        rates.plot([rate for _, rate in self.steps], color="tab:green")
        ends = np.cumsum([0, *self._steps_of_epochs()])
        for number, (first, last, _) in enumerate(self.stages()):
            start, stop = ends[int(first)], ends[int(last)]
            for axes in (losses, rates):
                axes.axvspan(start, stop, color=("0.97", "0.9")[number % 2], linewidth=0, zorder=-1)
            middle, top = (start + stop) / 2, losses.get_xaxis_transform()
            losses.text(middle, 1.01, str(number + 1), fontsize=8, ha="center", va="bottom", transform=top)
        losses.set(ylabel="training loss")
        rates.set(ylabel="highest rate", xlabel="step")
        names = [f"{number}: {stage}" for number, (_, _, stage) in enumerate(self.stages(), 1)]
        figure.supxlabel("\n".join(names), fontsize=8)
        return figure.ready()

    def _steps_of_epochs(self) -> list[int]:
        """Return how many steps each epoch had; histories of earlier versions do not say, but for cached ones."""
        known = [record.steps or record.cached_steps for record in self.epochs]
        unknown = known.count(0)
        share, more = divmod(max(len(self.steps) - sum(known), 0), max(unknown, 1))
        last = max((place for place, steps in enumerate(known) if not steps), default=0)
        return [steps or share + (more if place == last else 0) for place, steps in enumerate(known)]

    def _epoch_of_steps(self) -> list[float]:
        """Return where each step lies, in epochs, so that an epoch of many steps takes no more room than another."""
        places = [
            epoch + (step + 1) / count for epoch, count in enumerate(self._steps_of_epochs()) for step in range(count)
        ]
        return [*places, *(float(len(self.epochs)) for _ in range(len(self.steps) - len(places)))][: len(self.steps)]

    def stages(self) -> list[tuple[float, float, str]]:
        """Return the first and the last epoch of each run of epochs that trained the same on the same inputs."""
        stages: list[tuple[float, float, str]] = []
        for (stage, cached, inputs), group in groupby(self.epochs, _kind_of_stage):
            first = stages[-1][1] if stages else 0.0
            records = list(group)
            steps = sum(record.cached_steps for record in records)
            name = f"{counted(steps, f'{stage} step')} on cached features" if cached else f"{stage}, {inputs}"
            stages.append((first, first + len(records), name))
        return stages

    @property
    def cached_steps(self) -> int:
        """Steps on cached features at the beginning of the history."""
        return sum(record.cached_steps for record in takewhile(lambda record: record.cached_steps, self.epochs))

    def state_dict(self) -> dict[str, Any]:
        """Return the history as JSON and a tensor."""
        return {
            "epochs": [asdict(record) for record in self.epochs],
            "steps": self.steps.to_tensor(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> History:
        """Return the history that `state_dict` described; earlier checkpoints have the steps as a list."""
        steps = state["steps"]
        return cls(
            [EpochRecord(**record) for record in state["epochs"]],
            StepLog.from_tensor(steps) if isinstance(steps, Tensor) else StepLog((loss, lr) for loss, lr in steps),
            list(state["notes"]),
        )


def _kind_of_stage(record: EpochRecord) -> tuple[str, bool, str]:
    return record.stage, bool(record.cached_steps), record.read


def running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an exponential running mean over a tenth of the values, at most fifty, corrected at the beginning."""
    decay = 1 - 1 / min(max(len(values) / 10, 1), 50)
    mean, weight, means = 0.0, 0.0, []
    for value in values:
        mean, weight = decay * mean + (1 - decay) * float(value), decay * weight + (1 - decay)
        means.append(mean / weight)
    return np.array(means)
