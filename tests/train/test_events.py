from __future__ import annotations

import inspect
from typing import Any

import pytest

import onecycle as oc
from learners import Record
from onecycle.errors import ModelError
from onecycle.train import callbacks
from onecycle.train.events import EVENTS, Callback, checked
from onecycle.train.progress_table import ProgressTable

READY = [callbacks.EarlyStopping(), callbacks.KeepBest(), callbacks.Checkpoint("x.ckpt"), ProgressTable()]


@pytest.mark.parametrize("callback", [*READY, Record(), Callback()], ids=lambda callback: type(callback).__name__)
def test_a_callback_that_overrides_events_is_accepted(callback: Callback) -> None:
    assert checked(callback) is callback


def test_every_callback_of_the_library_is_tested() -> None:
    public = {
        cls
        for name, cls in inspect.getmembers(callbacks, inspect.isclass)
        if issubclass(cls, Callback) and not name.startswith("_") and cls is not Callback
    }
    assert public | {ProgressTable} == {type(callback) for callback in READY}


def test_events_are_the_methods_of_callback_in_the_documented_order() -> None:
    assert EVENTS == (
        "on_fit_start", "on_epoch_start", "on_backward_end", "on_batch_end", "on_epoch_end",
        "on_resume_point", "on_fit_end",
    )  # fmt: skip


def test_a_misspelt_event_is_refused_with_a_suggestion() -> None:
    class Mine(oc.Callback):
        def on_epoch_begin(self, state: Any, event: Any) -> None: ...
        def on_bach_end(self, state: Any, event: Any) -> None: ...

    with pytest.raises(ModelError, match=r"Mine\.on_bach_end would never be called[\s\S]*Did you mean 'on_batch_end'"):
        checked(Mine())


@pytest.mark.parametrize(
    "method",
    [
        lambda self, state: None,
        lambda self: None,
        lambda self, state, event, more: None,
        lambda self, state, *, event: None,
    ],
    ids=["no event", "nothing", "one too many", "by name only"],
)
def test_an_event_that_cannot_be_called_is_refused(method: Any) -> None:
    mine = type("Mine", (oc.Callback,), {"on_epoch_end": method})()
    with pytest.raises(
        ModelError, match=r"Mine\.on_epoch_end cannot be called with \(state, event\): .*\nExpected def"
    ):
        checked(mine)


def test_an_event_may_take_more_with_a_default() -> None:
    mine = type("Mine", (oc.Callback,), {"on_epoch_end": lambda self, state, event, more=1: None})()
    assert checked(mine) is mine


def test_an_event_that_is_not_a_method_is_refused() -> None:
    mine = type("Mine", (oc.Callback,), {"on_epoch_end": 3})()
    with pytest.raises(ModelError, match=r"Mine\.on_epoch_end cannot be called"):
        checked(mine)


def test_a_class_instead_of_an_instance_is_refused() -> None:
    with pytest.raises(ModelError, match=r"is not a callback[\s\S]*pass an instance: add \(\)"):
        checked(oc.KeepBest)


def test_an_object_that_is_not_a_callback_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"<function print> is not a callback|<built-in function print> is not a callback"
    ):
        checked(print)


def test_an_event_of_fastai_is_refused() -> None:
    class Other(Callback):
        def after_epoch(self) -> None: ...

    with pytest.raises(ModelError, match=r"Other\.after_epoch would never be called: that is an event of fastai"):
        checked(Other())

    class Renamed(Callback):
        def _after_epoch(self) -> None: ...

    assert checked(Renamed())
