"""What is under way: a fit, and the stages of `fine_tune` that it is one of. A checkpoint holds both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from onecycle.data.bunch import DataBunch
from onecycle.train.ema import ExponentialMovingAverage
from onecycle.train.options import LearningRate
from onecycle.train.schedule import Schedule
from onecycle.train.step_losses import StepLosses

Size = int | tuple[int, int]


@dataclass
class Earlier:
    """The beginning of an epoch that was taken in batches of other sizes, by another number of processes.

    Attributes:
        taken: Its parts: (items a batch of all processes together, number of batches).
        steps: Optimizer steps that it took.
        share: Which part of the epoch it is, 0 to 1.
    """

    taken: list[tuple[int, int]] = field(default_factory=list)
    steps: int = 0
    share: float = 0.0


@dataclass
class Fit:
    """A fit under way: all that is needed to go on with it from any step.

    Attributes:
        epochs: How many in all.
        lrs: Peak learning rate of each layer group.
        schedule: Rate and momentum by progress.
        passes: Passes over cached features an epoch; 0 trains on the items themselves.
        copies: Copies of the training items whose features are cached, the plain one and augmented ones.
        batch_size: Items a batch, of each process.
        batch_items: Items a batch of all processes together, in which `batch` counts.
        done: Finished epochs.
        step: Optimizer steps made in the epoch under way.
        batch: Number of the next batch of the epoch under way, after what was taken `earlier`.
        earlier: What was taken of the epoch under way in batches of other sizes.
        seconds: How long the epoch under way has taken so far.
        losses: Losses of the epoch under way.
        step_lrs: Highest rate of each step of the epoch under way.
        stopped: Why a callback ended the fit, or None.
        optimizer: The optimizer, whose state is saved with the weights.
        ema: The weights' moving average, or None.
        carried: What a recurrent model remembers of the batch before, or None before the first step.
        weights: The weights at an interruption, where callbacks may have put others in their place; or None.
        notes: How many the history had at an interruption, before callbacks told what they did.
        exact: False where a step was left half done, so that only a checkpoint can be resumed.
    """

    epochs: int
    lrs: list[float]
    schedule: Schedule
    passes: int = 0
    copies: int = 0
    batch_size: int = 0
    batch_items: int = 0
    done: int = 0
    step: int = 0
    batch: int = 0
    earlier: Earlier = field(default_factory=Earlier)
    seconds: float = 0.0
    losses: StepLosses = field(default_factory=StepLosses)
    step_lrs: list[float] = field(default_factory=list)
    stopped: str | None = None
    optimizer: Any = None
    ema: ExponentialMovingAverage | None = None
    carried: dict[str, Any] | None = None
    weights: dict[str, Tensor] | None = None
    notes: int = 0
    exact: bool = True

    def end_epoch(self) -> None:
        """Count the epoch under way as finished."""
        self.done += 1
        self.step, self.batch, self.seconds, self.carried = 0, 0, 0.0, None
        self.losses, self.step_lrs, self.earlier = StepLosses(), [], Earlier()

    def progress(self, steps: int) -> float:
        """Return how far the fit is, 0 to 1, where an epoch has so many steps."""
        made = self.done * steps + self.step - self.earlier.steps
        return min((made + self.earlier.share * steps) / (self.epochs * steps), 1.0)


@dataclass(frozen=True)
class Stage:
    """One fit of `fine_tune`.

    Attributes:
        kind: "smaller" trains on smaller inputs, "frozen" the head alone, "main" all layers that should learn.
        epochs: Of the fit.
        freeze_to: The first layer group that learns.
        size: Size of the inputs from this stage on; None leaves it.
        spread: How many times lower the first layer group's rate is than the head's, after a frozen stage.
        open: Epochs, layers and rates are chosen when the stage begins, by what the frozen stage before it reached.
    """

    kind: Literal["smaller", "frozen", "main"]
    epochs: int
    freeze_to: int
    size: Size | None = None
    spread: float = 100.0
    open: bool = False


@dataclass
class Plan:
    """The stages of `fine_tune` under way.

    Attributes:
        stages: All of them, in order.
        lr: The rate that was asked for, or what the first stage found.
        data: The data when `fine_tune` began.
        current: Which stage is under way.
        sweeps: How many rates had been found when the stage began.
        size: The size that the data has been brought to, or None.
    """

    stages: list[Stage]
    lr: LearningRate
    data: DataBunch
    current: int = 0
    sweeps: int = 0
    size: Size | None = None
