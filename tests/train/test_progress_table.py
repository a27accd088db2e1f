from __future__ import annotations

import io
import re
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import fake_notebook
import onecycle as oc
from learners import Break, photo_bunch, plain_model
from onecycle.data.bunch import DataBunch
from onecycle.errors import TrainingError
from onecycle.train.events import BatchEnd, EpochEnd, FitEnd, FitStart
from onecycle.train.history import EpochRecord, History
from onecycle.train.interruption import Interrupted
from onecycle.train.learner import Learner
from onecycle.train.progress_table import ProgressTable, Terminal


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


class Interrupt(oc.Callback):
    """Ctrl-C in the first step of an epoch, counted from 0 within the fit."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_batch_end(self, state: Any, event: Any) -> None:
        if event.step == self.epoch * len(state.data.train):
            signal.raise_signal(signal.SIGINT)


def terminal() -> tuple[ProgressTable, io.StringIO]:
    screen = io.StringIO()
    return ProgressTable(Terminal(Console(file=screen, force_terminal=True, width=120))), screen


def epochs_in(html: str) -> list[str]:
    return re.findall(r"<tr><td>(\d+)</td>", html)


class TestElsewhere:
    def test_it_prints_a_line_an_epoch(self, bunch: DataBunch, capsys: pytest.CaptureFixture[str]) -> None:
        learner = Learner(bunch, plain_model())
        learner.fit(2, 1e-3)
        lines = capsys.readouterr().err.splitlines()
        assert lines == repr(learner.history).splitlines()[1:]

    def test_the_last_epoch_before_a_stop_is_printed(
        self, bunch: DataBunch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        learner = Learner(bunch, plain_model(), callbacks=[Break(1, oc.StopTraining("enough"))])
        learner.fit(5, 1e-3)
        assert len(capsys.readouterr().err.splitlines()) == 2


class TestInATerminal:
    @pytest.mark.parametrize("error", [None, TrainingError("a", "b", "c")])
    def test_it_leaves_the_table_of_this_fit(self, bunch: DataBunch, error: Exception | None) -> None:
        table, screen = terminal()
        learner = Learner(bunch, plain_model(), progress=False)
        learner.fit(1, 1e-3)
        learner.callbacks = [table] if error is None else [table, Break(1, error)]
        if error is None:
            learner.fit(2, 1e-3)
        else:
            with pytest.raises(TrainingError):
                learner.fit(2, 1e-3)
        assert not table.screen.live.is_started, "the cursor is shown again"  # type: ignore[attr-defined]
        shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", screen.getvalue())
        last = [line.split() for line in shown.splitlines() if line.strip()][-3:]
        assert [row[0] for row in last] == ["epoch", "2", "3"]

    def test_a_running_fit_shows_its_progress(self) -> None:
        table, screen = terminal()
        state: Any = SimpleNamespace(history=History())
        table.on_fit_start(state, FitStart(epochs=2, steps=4, done=0))
        table.on_batch_end(state, BatchEnd(5, None, None, 0.01))  # type: ignore[arg-type]
        table.screen.live.refresh()  # type: ignore[attr-defined]
        record = EpochRecord(1, "head", "32x32 pixels", 0.01, 1.0, 0.9, {}, 0.5)
        state.history.epochs.append(record)
        table.on_epoch_end(state, EpochEnd(0, record))
        table.on_fit_end(state, FitEnd(None))
        assert "epoch 2 of 2, 50%, lr 0.01" in screen.getvalue()


class TestInANotebook:
    def test_one_output_ends_with_every_epoch_of_the_fit(
        self, bunch: DataBunch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        notebook = fake_notebook.install(monkeypatch)
        learner = Learner(bunch, plain_model(), metrics=["accuracy"])
        learner.fit(2, 1e-3)
        learner.fit(1, 1e-3)
        first, second = notebook.html
        assert epochs_in(first) == ["1", "2"]
        assert epochs_in(second) == ["3"]
        assert f"<td>{learner.history[2].metrics['accuracy']:.4f}</td>" in second
        assert "of 2" not in first
        assert repr(notebook.outputs[1]).startswith("History: 1 epoch\nepoch 3  trained all")

    def test_a_running_fit_shows_its_progress(self, monkeypatch: pytest.MonkeyPatch) -> None:
        notebook = fake_notebook.install(monkeypatch)
        table = ProgressTable()
        state: Any = SimpleNamespace(history=History())
        table.on_fit_start(state, FitStart(epochs=2, steps=4, done=0))
        table.on_batch_end(state, BatchEnd(1, None, None, 0.01))  # type: ignore[arg-type]
        table.on_batch_end(state, BatchEnd(2, None, None, 0.01))  # type: ignore[arg-type]
        assert notebook.html == ["<div>epoch 1 of 2, 50%, lr 0.01</div>"], "not at every step"

    def test_notes_of_the_fit_stand_below_the_table(self, bunch: DataBunch, monkeypatch: pytest.MonkeyPatch) -> None:
        notebook = fake_notebook.install(monkeypatch)
        learner = Learner(bunch, plain_model(), callbacks=[Break(0, oc.StopTraining("<enough>"))])
        learner.fit(5, 1e-3)
        assert "<div>stopped after epoch 1: &lt;enough&gt;</div>" in notebook.html[0]

    def test_an_interruption_is_one_line_and_the_fit_can_be_resumed(
        self, bunch: DataBunch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        notebook = fake_notebook.install(monkeypatch)
        learner = Learner(bunch, plain_model(), callbacks=[Interrupt(1)])
        with pytest.raises(Interrupted) as caught:
            learner.fit(2, 1e-3)
        line = "Interrupted in epoch 2. learner.resume() goes on from here."
        assert caught.value._render_traceback_() == [line]
        assert "<div>interrupted in epoch 2</div>" in notebook.html[0]
        learner.callbacks = []
        learner.resume()
        assert epochs_in(notebook.html[1]) == ["2"]

    def test_an_interrupted_step_says_that_only_a_checkpoint_helps(
        self, bunch: DataBunch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_notebook.install(monkeypatch)
        learner = Learner(bunch, plain_model(), callbacks=[Interrupt(0), Interrupt(0)])
        with pytest.raises(Interrupted, match=r"in the middle of a step of epoch 1\. Resume from a checkpoint"):
            learner.fit(2, 1e-3)

    def test_before_the_first_step_there_is_nothing_to_resume(
        self, bunch: DataBunch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_notebook.install(monkeypatch)
        monkeypatch.setattr("onecycle.train.fit.resolve_lr", lambda *arguments: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted, match=r"Interrupted before epoch 1\. Call fit\(\) again"):
            Learner(bunch, plain_model()).fit(2, 1e-3)


def test_elsewhere_an_interruption_is_pythons_own(bunch: DataBunch) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        Learner(bunch, plain_model(), callbacks=[Interrupt(1)], progress=False).fit(2, 1e-3)
    assert type(caught.value) is KeyboardInterrupt
