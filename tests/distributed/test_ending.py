"""Nothing hangs: what ends one process ends all, at the same step and with its own error; or they go on together."""

from __future__ import annotations

import os
import re
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from group import Group
from runs import Left, assert_equal, assert_same_everywhere, learner_of, left, trained

import onecycle as oc
from learners import photo_bunch
from onecycle.data.batch import BadItem
from onecycle.errors import DataError
from onecycle.losses import CrossEntropy

SECONDS = 60.0


class InOne(oc.Callback):
    """Does something in process 1 alone, after a step or at another event."""

    def __init__(self, act: Any, event: str = "on_batch_end", step: int = 2) -> None:
        self.act, self.event, self.step = act, event, step

    def _act(self, state: Any, event: str, step: int) -> None:
        if state.processes.rank == 1 and event == self.event and step == self.step:
            self.act()

    def on_fit_start(self, state: Any, event: Any) -> None:
        self._act(state, "on_fit_start", self.step)

    def on_epoch_start(self, state: Any, event: Any) -> None:
        self._act(state, "on_epoch_start", self.step)

    def on_backward_end(self, state: Any, event: Any) -> None:
        self._act(state, "on_backward_end", event.step)

    def on_batch_end(self, state: Any, event: Any) -> None:
        self._act(state, "on_batch_end", event.step)

    def on_epoch_end(self, state: Any, event: Any) -> None:
        self._act(state, "on_epoch_end", self.step)

    def on_fit_end(self, state: Any, event: Any) -> None:
        self._act(state, "on_fit_end", self.step)


def raising(error: BaseException) -> Any:
    def act() -> None:
        raise error

    return act


def callback_run(photos: Path, error: BaseException, event: str) -> Left:
    """6 steps an epoch."""
    return trained(photo_bunch(photos, batch_size=2), callbacks=[InOne(raising(error), event)])


EVENTS = ["on_fit_start", "on_epoch_start", "on_backward_end", "on_batch_end", "on_epoch_end", "on_fit_end"]


@pytest.mark.parametrize("event", EVENTS)
def test_an_error_of_a_callback_is_raised_in_all(pair: Group, photos: Path, event: str) -> None:
    runs = pair.run(callback_run, photos, ZeroDivisionError("mine"), event, seconds=SECONDS)
    assert_same_everywhere(runs)
    assert runs[0].error == "ZeroDivisionError: mine"


@pytest.mark.parametrize("event", EVENTS[:-1])
def test_stop_training_in_one_ends_all_at_the_same_step(pair: Group, photos: Path, event: str) -> None:
    runs = pair.run(callback_run, photos, oc.StopTraining("enough"), event, seconds=SECONDS)
    assert_same_everywhere(runs)
    assert runs[0].error == ""
    assert runs[0].notes[-1].endswith("enough")


def test_stop_training_takes_effect_before_the_next_step(pair: Group, photos: Path) -> None:
    runs = pair.run(counting_run, photos, seconds=SECONDS)
    assert runs == [3, 3]


def counting_run(photos: Path) -> int:
    steps: list[int] = []

    class Count(oc.Callback):
        def on_batch_end(self, state: Any, event: Any) -> None:
            steps.append(event.step)

    trained(photo_bunch(photos, batch_size=2), callbacks=[Count(), InOne(raising(oc.StopTraining("enough")))])
    return len(steps)


# --- items that cannot be read ---


def unreadable_run(photos: Path, batch_size: int, on_bad_item: Any) -> Left:
    """All items of the second process in the second batch cannot be read; in the first epoch, with two processes."""
    bunch = photo_bunch(photos, batch_size=batch_size, on_bad_item=on_bad_item, cache=None, workers=0)
    bad = set(bunch.train.order(0).rows(torch.arange(9, 16, 2)).tolist())
    fetch = bunch.train.dataset.fetch
    error = DataError("It cannot be read.", "a photo.", "delete it.")
    bunch.train.dataset.fetch = lambda row: BadItem(row, error) if row in bad else fetch(row)  # type: ignore[method-assign]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trained(bunch)


def test_a_process_without_readable_items_takes_the_step_with_weight_0(pair: Group, photos: Path) -> None:
    runs = pair.run(unreadable_run, photos, 4, "skip", seconds=SECONDS)
    assert_same_everywhere(runs)
    assert_equal(runs, unreadable_run(photos, 8, "skip"))


def test_an_item_that_cannot_be_read_ends_all_with_its_error(pair: Group, photos: Path) -> None:
    runs = pair.run(unreadable_run, photos, 4, "raise", seconds=SECONDS)
    assert_same_everywhere(runs)
    assert re.fullmatch(
        r"DataError: \w+/\w+\.jpg: It cannot be read\.\nExpected a photo\.\nFix: delete it\.", runs[0].error or ""
    )


def nothing_readable(photos: Path) -> Left:
    bunch = photo_bunch(photos, batch_size=4, on_bad_item="skip", cache=None, workers=0)
    error = DataError("It cannot be read.", "a photo.", "delete it.")
    bunch.train.dataset.fetch = lambda row: BadItem(row, error)  # type: ignore[method-assign]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trained(bunch)


def test_where_no_process_has_a_readable_item_all_say_so(pair: Group, photos: Path) -> None:
    runs = pair.run(nothing_readable, photos, seconds=SECONDS)
    assert_same_everywhere(runs)
    assert "It cannot be read." in runs[0].error


# --- losses, memory ---


class InOneProcess(CrossEntropy):
    """A loss that goes wrong in process 1 alone, in a pass forward of some number, counted from 1."""

    def __init__(self, at: int, wrong: Any) -> None:
        super().__init__()
        self.at, self.wrong, self.passes = at, wrong, 0

    def means(self, outputs: Any, targets: Any) -> Any:
        means = super().means(outputs, targets)
        if torch.is_grad_enabled():
            self.passes += 1
            if self.passes == self.at and torch.distributed.get_rank() == 1:
                return self.wrong(means, len(outputs))
        return means


def not_finite(means: Any, items: int) -> Any:
    return means * float("nan")


def no_memory(means: Any, items: int) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def other_error(means: Any, items: int) -> Any:
    raise ZeroDivisionError("in the loss")


def loss_run(photos: Path, batch_size: int, at: int, wrong: Any, **options: Any) -> Left:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trained(photo_bunch(photos, batch_size=batch_size), loss=InOneProcess(at, wrong), **options)


def test_a_loss_that_is_not_finite_in_one_ends_all(pair: Group, photos: Path) -> None:
    """Passes of the first two steps are two each."""
    runs = pair.run(loss_run, photos, 2, 5, not_finite, seconds=SECONDS)
    assert_same_everywhere(runs)
    assert runs[0].error.startswith("TrainingError: The loss was not finite at step 3 of epoch 1")


@pytest.mark.parametrize("at", [1, 3], ids=["first step", "second step"])
def test_memory_that_runs_out_in_one_makes_all_compute_in_microbatches(pair: Group, photos: Path, at: int) -> None:
    runs = pair.run(loss_run, photos, 4, at, no_memory, seconds=SECONDS)
    assert_same_everywhere(runs)
    assert runs[0].notes == ["memory ran out: batches are now computed in 2 microbatches"]
    assert_equal([Left(one.weights, one.steps, one.epochs, [], one.error) for one in runs], plain_run(photos))


def plain_run(photos: Path) -> Left:
    return trained(photo_bunch(photos, batch_size=8), loss=CrossEntropy())


def test_memory_without_room_for_one_item_ends_all(pair: Group, photos: Path) -> None:
    runs = pair.run(loss_run, photos, 1, 1, no_memory, seconds=SECONDS)
    assert_same_everywhere(runs)
    assert runs[0].error == (
        "TrainingError: Process 1 is out of memory with a single item at a time.\n"
        "Expected a model and optimizer that leave room for an item.\n"
        "Fix: use smaller inputs or a smaller model; batch_size=1 is not what is too large."
    )


def test_an_error_in_the_first_steps_is_raised_in_all(pair: Group, photos: Path) -> None:
    runs = pair.run(loss_run, photos, 2, 1, other_error, seconds=SECONDS)
    assert_same_everywhere(runs)
    assert runs[0].error == "ZeroDivisionError: in the loss"


RAN_OUT = (
    "TrainingError: Memory ran out in a step no larger than steps that fitted before.\n"
    "Expected memory that no other program takes while several processes train together.\n"
    "Fix: pass a smaller batch_size= to databunch(), such as 1, and resume."
)


@pytest.mark.parametrize(("wrong", "error"), [(no_memory, RAN_OUT), (other_error, "ZeroDivisionError: in the loss")])
def test_an_error_in_a_later_step_is_raised_in_all(pair: Group, photos: Path, wrong: Any, error: str) -> None:
    """The others are adding up gradients already: the process that fails joins them, and all end after the step."""
    runs = pair.run(loss_run, photos, 2, 6, wrong, seconds=SECONDS)
    assert_same_everywhere(runs)
    assert runs[0].error == error


# --- what others cannot know ---


def dying_run(photos: Path) -> str:
    return callback_free_run(photos, InOne(lambda: os._exit(3), "on_backward_end", step=3))


def callback_free_run(photos: Path, callback: oc.Callback) -> str:
    return trained(photo_bunch(photos, batch_size=2), callbacks=[callback]).error


def test_a_process_that_dies_ends_the_others_within_seconds(pair: Group, photos: Path) -> None:
    (kind, error), other = pair.outcomes(dying_run, photos, seconds=SECONDS)
    assert other == ("raised", "process 1 died")
    assert kind == "returned"
    assert error.startswith("TrainingError: Process 0 of 2 lost the others: ")
    assert error.endswith(
        "Fix: look for the error of the process that ended first, and resume from the last checkpoint."
    )


# --- signals ---


def signalled_run(photos: Path, number: int, event: str, folder: Path) -> tuple[Left, bool]:
    callbacks = [
        oc.Checkpoint(folder / "last.ckpt"), InOne(lambda: os.kill(os.getpid(), number), event, step=4),
    ]  # fmt: skip
    before = signal.getsignal(number)
    run = trained(photo_bunch(photos, batch_size=2), callbacks=callbacks)
    return run, signal.getsignal(number) is before


@pytest.mark.parametrize("event", ["on_batch_end", "on_epoch_start", "on_epoch_end"])
@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, "KeyboardInterrupt: "), (signal.SIGTERM, "SystemExit: 143")],
    ids=["int", "term"],
)
def test_a_signal_to_one_ends_all_and_training_goes_on_from_there(
    pair: Group, photos: Path, tmp_path: Path, number: int, error: str, event: str
) -> None:
    (first, restored), (second, too) = pair.run(signalled_run, photos, number, event, tmp_path, seconds=SECONDS)
    assert restored
    assert too
    assert_same_everywhere([first, second])
    assert first.error == error
    resumed = learner_of(photo_bunch(photos, batch_size=4), callbacks=[oc.Checkpoint(tmp_path / "last.ckpt")])
    resumed.resume(tmp_path / "last.ckpt")
    assert_equal([left(resumed)], trained(photo_bunch(photos, batch_size=4)))
