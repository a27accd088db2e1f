from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from onecycle.train.history import EpochRecord, History, StepLog, running_mean


@pytest.fixture
def history() -> History:
    """Two epochs, the second with one more metric."""
    return History(
        [
            EpochRecord(1, "head", "32x32 pixels", 0.01, 0.9, 0.8, {"accuracy": 0.5}, 1.25),
            EpochRecord(2, "all", "64x64 pixels", 0.002, 0.5, 0.4, {"accuracy": 0.75, "f1": 0.7}, 2.5),
        ],
        StepLog([(1.0, 0.005), (0.8, 0.01), (0.5, 0.002)]),
        ["stopped after epoch 2: enough"],
    )


def test_csv_has_a_row_an_epoch_and_a_column_a_number(history: History, tmp_path: Path) -> None:
    history.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch", "stage", "inputs", "lr", "train_loss", "valid_loss", "seconds", "cached_steps", "steps",
        "trained_on", "accuracy", "f1",
    ]  # fmt: skip
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["f1"] for row in rows] == ["", "0.7"]
    assert rows[1]["stage"] == "all"


def test_it_prints_a_line_an_epoch_and_the_notes(history: History) -> None:
    assert repr(history).splitlines() == [
        "History: 2 epochs",
        "epoch 1  trained head  inputs 32x32 pixels  lr 0.01  train loss 0.9000  valid loss 0.8000  accuracy 0.5000  time 1.2 s",  # noqa: E501
        "epoch 2  trained all  inputs 64x64 pixels  lr 0.002  train loss 0.5000  valid loss 0.4000  accuracy 0.7500  f1 0.7000  time 2.5 s",  # noqa: E501
        "stopped after epoch 2: enough",
    ]


def test_a_notebook_shows_every_epoch_and_the_notes_escaped(history: History) -> None:
    history.notes.append("<script>")
    html = history._repr_html_()
    assert html.count("<tr>") == 3
    assert "<td>0.7500</td>" in html
    assert html.endswith("<div>stopped after epoch 2: enough</div><div>&lt;script&gt;</div>")
    assert History()._repr_html_() == "<div>History: 0 epochs</div>"


def test_table_has_a_column_for_every_number_and_leaves_gaps_empty(history: History) -> None:
    table = history.table([{"epoch": "50%", "lr": "0.01"}])
    assert [column.header for column in table.columns][-2:] == ["time", "f1"]
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    assert len(lines) == 4
    assert lines[-1].split() == ["50%", "0.01"]


def test_a_history_is_a_sequence_of_epochs(history: History) -> None:
    assert len(history) == 2
    assert [record.epoch for record in history] == [1, 2]
    assert history[-1].epoch == 2


def test_values_are_found_by_name(history: History) -> None:
    assert [history[1].value(name) for name in ("train_loss", "valid_loss", "f1")] == [0.5, 0.4, 0.7]


def test_plot_draws_losses_metrics_and_rates(history: History) -> None:
    losses, metrics, rates = history.plot().axes
    assert [list(line.get_ydata()) for line in losses.lines] == [[0.9, 0.5], [0.8, 0.4]]
    assert {line.get_label(): list(line.get_ydata()) for line in metrics.lines} == {
        "accuracy": [0.5, 0.75],
        "f1": [0.7],
    }
    assert list(rates.lines[0].get_ydata()) == [0.005, 0.01, 0.002]


def test_a_single_epoch_has_a_single_tick(history: History) -> None:
    losses, metrics, _ = History(history.epochs[:1]).plot().axes
    for axes in (losses, metrics):
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]


def test_head_steps_on_cached_features_are_called_what_they_are(history: History) -> None:
    cached = History([replace(history[0], cached_steps=2), history[1]], history.steps, [])
    assert cached[0].trained == cached[0].cells()["trained"] == "2 head steps on cached features"
    assert cached[1].trained == "all"
    assert cached.cached_steps == 2
    _, _, rates = cached.plot().axes
    assert [text.get_text() for text in rates.get_legend().get_texts()] == ["shaded: 2 head steps on cached features"]
    assert history.plot().axes[2].get_legend() is None


def test_steps_on_cached_features_after_other_epochs_are_not_at_the_beginning(history: History) -> None:
    later = History([history[0], replace(history[1], cached_steps=7)], history.steps, [])
    assert later.cached_steps == 0


def test_a_history_of_the_first_edition_is_read(history: History) -> None:
    state = history.state_dict()
    state["steps"] = [list(step) for step in history.steps]
    for record in state["epochs"]:
        del record["cached_steps"]
    assert History.from_state_dict(state) == history


def test_an_empty_history_can_be_printed_drawn_and_written(tmp_path: Path) -> None:
    assert repr(History()) == "History: 0 epochs"
    assert len(History().plot().axes) == 3
    History().to_csv(tmp_path / "empty.csv")


def test_it_comes_back_from_its_state(history: History) -> None:
    state = history.state_dict()
    state["epochs"] = json.loads(json.dumps(state["epochs"]))
    assert History.from_state_dict(state) == history


class TestStepLog:
    def test_it_is_a_sequence_of_pairs(self) -> None:
        log = StepLog([(0.5, 1e-3), (0.25, 2e-3), (0.125, 3e-3)])
        assert (len(log), log[0], log[-1], log[1:]) == (3, (0.5, 1e-3), (0.125, 3e-3), [(0.25, 2e-3), (0.125, 3e-3)])
        assert log == [(0.5, 1e-3), (0.25, 2e-3), (0.125, 3e-3)]
        assert log != [(0.5, 1e-3), (0.25, 2e-3), (0.125, 4e-3)]
        assert log != log[:2]
        with pytest.raises(IndexError):
            log[3]

    def test_a_million_steps_are_16_megabytes(self) -> None:
        log = StepLog((float(step), 1e-3) for step in range(1_000_000))
        saved = log.to_tensor()
        assert saved.numel() * saved.element_size() == 16_000_000
        assert StepLog.from_tensor(saved) == log
        log.extend([(0.0, 0.0)])  # the copy is not affected
        assert len(saved) == 1_000_000


class TestSteps:
    def history(self) -> History:
        """Four steps on cached features, then two epochs of two steps on other layers."""
        return History(
            [
                EpochRecord(1, "head", "32x32 pixels", 0.01, 0.9, 0.8, {}, 1.0, cached_steps=4, steps=4),
                EpochRecord(2, "all", "32x32 pixels", 0.002, 0.5, 0.4, {}, 1.0, steps=2),
                EpochRecord(3, "all", "32x32 pixels", 0.002, 0.5, 0.4, {}, 1.0, steps=2),
            ],
            StepLog([(1 / (step + 1), 0.01) for step in range(8)]),
        )

    def test_an_epoch_of_many_steps_takes_no_more_room_than_another(self) -> None:
        line = self.history().plot().axes[2].lines[0]
        assert line.get_xdata() == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0])

    def test_the_loss_of_every_step_is_drawn_with_the_stages(self) -> None:
        figure = self.history().plot_steps()
        losses, rates = figure.axes
        assert list(losses.lines[0].get_ydata()) == [1 / (step + 1) for step in range(8)]
        assert [(text.get_text(), text.get_position()[0]) for text in losses.texts] == [("1", 2), ("2", 6)]
        assert figure.get_supxlabel() == "1: 4 head steps on cached features\n2: all, 32x32 pixels"
        assert len(rates.lines[0].get_ydata()) == 8

    def test_earlier_histories_do_not_say_how_many_steps_an_epoch_had(self) -> None:
        history = self.history()
        history.epochs = [replace(record, steps=0) for record in history.epochs]
        assert history._steps_of_epochs() == [4, 2, 2]

    def test_a_running_mean_of_constants_is_the_constant(self) -> None:
        assert running_mean(np.full(30, 0.7)) == pytest.approx(np.full(30, 0.7))
        assert running_mean(np.array([1.0, 0.0]))[0] == 1.0

    def test_nothing_done_is_drawn_too(self) -> None:
        History().plot_steps()
        History().plot()
