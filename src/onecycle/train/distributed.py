"""What processes that train together tell one another, so that all take the same steps and end at the same point."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from onecycle.data.batch import Batch
from onecycle.errors import StopTraining, TrainingError
from onecycle.processes import in_all, is_in_all, sendable
from onecycle.train.gradients import CommonStep, OptimizerStep
from onecycle.train.interruption import Interruption
from onecycle.train.state import TrainState
from onecycle.train.step_losses import StepLosses


class Together:
    """The steps that all processes take, and what ends them: errors, Ctrl-C, `StopTraining` in one are raised in all.

    Before each step, one small sum tells every process the weight of the whole batch, the loss of the last step, and
    whether one of them has something to say. Only then words are exchanged. A process alone exchanges nothing.

    Args:
        state: What is trained.
        step: Takes the steps.
        interruption: Holds signals back, until all processes can act on them.

    Attributes:
        seconds: How long the main process has been training.
        half_done: Whether what ended the steps came in the middle of one.
    """

    def __init__(self, state: TrainState, step: OptimizerStep, interruption: Interruption | None = None) -> None:
        self.state, self.step, self.interruption = state, step, interruption
        self.processes, self.alone = state.processes, state.processes.world == 1
        self._terms: int | None = None
        self._failed: BaseException | None = None
        self._stopped: str | None = None
        self._started, self._seconds, self.half_done = time.monotonic(), 0.0, False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started if self.alone else self._seconds

    def steps(
        self, groups: Iterator[list[Batch]], losses: StepLosses
    ) -> Iterator[tuple[list[Batch], CommonStep | None]]:
        """Yield the batches of each step, and what is known of it, until no process has any left.

        A process that has none while others have gets one without items.

        Args:
            groups: Batches of this process, those of a step at a time.
            losses: Gets the losses of all processes together, each before the next step.
        """
        if self.alone:
            for group in groups:
                yield group, None
            return
        number = 0
        while True:
            batches: list[Batch] = []
            with self.noting():
                batches = next(groups, [])
            common = self._exchange(batches, losses)
            if common is None:
                return
            number = batches[-1].number if batches else number + 1
            yield batches or [Batch(torch.empty(0), None, torch.empty(0, dtype=torch.int64), number=number)], common

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what is raised, and go on to where all processes learn of it; in a process alone, it is raised."""
        if self.alone:
            yield
            return
        try:
            yield
        except FloatingPointError:  # of a loss that all have added up
            raise
        except StopTraining as stop:
            self._stopped = self._stopped or stop.reason
        except BaseException as error:
            self._failed = self._failed or error

    def agree(self) -> None:
        """Raise in all processes what was noted in one of them, an error first."""
        if not self.alone:
            self._act_on_signals()
            self._hear()

    def is_common(self, error: BaseException) -> bool:
        """Return whether all processes raise an error, so that they can still act together."""
        return self.alone or is_in_all(error)

    def explained(self, error: BaseException) -> BaseException:
        """Return what to raise for an error of this process alone: where another one has ended, that it has.

        A launcher's signal, which has ended the other outside a fit, has come here too, and is what is raised.
        """
        self._act_on_signals()
        if isinstance(self._failed, KeyboardInterrupt | SystemExit):
            return self._failed
        text = str(error)
        if not isinstance(error, RuntimeError) or not ("gloo" in text or "NCCL" in text):
            return error
        return TrainingError(
            f"Process {self.processes.rank} of {self.processes.world} lost the others: {text.splitlines()[0][:200]}",
            "all processes to train until the end.",
            "look for the error of the process that ended first, and resume from the last checkpoint.",
        )

    def _exchange(self, batches: list[Batch], losses: StepLosses) -> CommonStep | None:
        """Tell what this process knows of the next step; return what all know, or None where no batch is left."""
        self._act_on_signals()
        numbers = [self._weights(batches), *([] if losses.share is None else [losses.share[None]])]
        speaks = any(one is not None for one in (self._failed, self.step.failed, self._stopped))
        seconds = time.monotonic() - self._started if self.processes.is_main else 0.0
        flags = torch.tensor([bool(batches), speaks, self.step.may_not_fit(batches), seconds], dtype=torch.float64)
        flags, summed = self._sum(flags, torch.cat(numbers))
        left, speaks_one, careful, self._seconds = flags.tolist()
        weights = summed if losses.share is None else summed[:-1]
        if losses.share is not None:
            losses.share = None
            losses.add(summed[-1])
        if speaks_one:
            self._hear()
        return CommonStep(weights, careful > 0) if left else None

    def _weights(self, batches: list[Batch]) -> Tensor:
        """Return the weights of this process's batches, zeros where they cannot be told."""
        if self._terms is None:
            self._terms = self.processes.each(lambda: len(self.step.weights(batches)))[0]
        known: list[Tensor] = []
        with self.noting():
            known.append(self.step.weights(batches))
        return known[0] if known else torch.zeros(self._terms, device=self.state.device)

    def _sum(self, flags: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums of both over all processes: at once on a processor, else so that no accelerator waits."""
        if numbers.device.type != "cpu":
            return self.processes.sum(flags), self.processes.sum(numbers)
        both = self.processes.sum(torch.cat([flags, numbers.double()]))
        return both[: len(flags)], both[len(flags) :].to(numbers.dtype)

    def _act_on_signals(self) -> None:
        with self.noting():
            if self.interruption is not None:
                self.interruption.act()

    def _hear(self) -> None:
        """Exchange words, and raise what they say."""
        own, stopped, half_done = self.step.failed or self._failed, self._stopped, self.step.failed is not None
        self._failed = self._stopped = self.step.failed = None
        heard: list[Any] = self.processes.gather((own and sendable(own), stopped, half_done))
        self.half_done = any(half for *_, half in heard)
        errors = [error for error, *_ in heard if error is not None]
        if errors:
            raise in_all(own or errors[0])
        stops = [reason for _, reason, _ in heard if reason is not None]
        if stops:
            raise in_all(StopTraining(stops[0]))
