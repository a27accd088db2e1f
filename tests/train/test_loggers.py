"""Trackers get the options of every fit and the numbers of every epoch."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import Break, Grouped, photo_bunch, plain_model
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.train.learner import Learner


class Notes:
    """Writes down every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def log_config(self, config: Any) -> None:
        self.calls.append(("log_config", config))

    def log_metrics(self, metrics: Any, step: int) -> None:
        self.calls.append(("log_metrics", metrics, step))

    def finish(self) -> None:
        self.calls.append(("finish",))

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


def learner_with(bunch: DataBunch, tracker: Any, **options: Any) -> Learner:
    return Learner(bunch, plain_model(), callbacks=[oc.Track(tracker)], progress=False, **options)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


class TestTrack:
    def test_every_fit_is_logged_from_its_options_to_its_end(self, bunch: DataBunch) -> None:
        notes = Notes()
        learner = learner_with(bunch, notes)
        learner.fit(2, 1e-3)
        learner.fit(1, 1e-3)
        assert notes.names == [
            "log_config",
            "log_metrics",
            "log_metrics",
            "finish",
            "log_config",
            "log_metrics",
            "finish",
        ]

    def test_the_numbers_are_those_of_the_history(self, bunch: DataBunch) -> None:
        notes = Notes()
        learner = learner_with(bunch, notes, metrics=["accuracy"])
        learner.fit(2, 1e-3)
        logged = [call[1:] for call in notes.calls if call[0] == "log_metrics"]
        assert logged == [
            ({"epoch": record.epoch, "train_loss": record.train_loss, "valid_loss": record.valid_loss,
              "accuracy": record.metrics["accuracy"], "lr": 1e-3, "seconds": record.seconds}, 3 * record.epoch)
            for record in learner.history
        ]  # fmt: skip

    def test_the_options_are_json(self, bunch: DataBunch) -> None:
        notes = Notes()
        learner = Learner(bunch, Grouped(), callbacks=[oc.Track(notes)], progress=False, accumulate=2, clip=1.0)
        learner.freeze_to(1)
        learner.fit_one_cycle(1, slice(1e-4, 1e-2))
        config = json.loads(json.dumps(notes.calls[0][1]))
        expected = {"model": "Grouped", "trained": "from group 1", "epochs": 1, "steps": 2, "batch_size": 8,
                    "training_items": 24, "lrs": [1e-4, 1e-3, 1e-2], "accumulate": 2, "clip": 1.0, "ema": None,
                    "precision": "fp32", "seed": 42}  # fmt: skip
        assert {name: config[name] for name in expected} == expected
        assert "callbacks" not in config

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), oc.StopTraining("enough")], ids=repr)
    def test_a_fit_that_ends_early_is_finished(self, bunch: DataBunch, error: BaseException) -> None:
        notes = Notes()
        callbacks = [oc.Track(notes), Break(0, error)]
        learner = Learner(bunch, plain_model(), callbacks=callbacks, progress=False)
        with suppress(KeyboardInterrupt):
            learner.fit(3, 1e-3)
        assert notes.names == ["log_config", "log_metrics", "finish"]

    def test_a_registered_tracker_goes_by_its_name(self, bunch: DataBunch) -> None:
        oc.register("tracker", "notes")(Notes)
        track = oc.Track("notes")
        Learner(bunch, plain_model(), callbacks=[track], progress=False).fit(1, 1e-3)
        assert isinstance(track.tracker, Notes)
        assert track.tracker.names == ["log_config", "log_metrics", "finish"]

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(ModelError, match="Unknown tracker 'nowhere'"):
            oc.Track("nowhere")

    def test_an_object_without_the_methods_is_refused(self) -> None:
        with pytest.raises(
            ModelError,
            match=r"The tracker is an int without log_config, log_metrics, finish\.\n"
            r"Expected an object with log_config\(config\), log_metrics\(metrics, step\) and finish\(\)\.\n"
            r"Fix: define them\.",
        ):
            oc.Track(3)  # type: ignore[arg-type]

    def test_a_class_instead_of_an_instance_is_refused(self) -> None:
        with pytest.raises(ModelError, match=r"The tracker is the class Notes\.\n.*\nFix: write Notes\(\)\."):
            oc.Track(Notes)  # type: ignore[arg-type]


class TestCsvTracker:
    def test_it_writes_a_row_an_epoch_over_all_fits(self, bunch: DataBunch, tmp_path: Path) -> None:
        learner = learner_with(bunch, oc.CsvTracker(tmp_path / "new" / "run.csv"), metrics=["accuracy"])
        learner.fit(2, 1e-3)
        learner.fit(1, 1e-3)
        rows = rows_of(tmp_path / "new" / "run.csv")
        assert [int(row["step"]) for row in rows] == [3, 6, 9]
        assert [float(row["valid_loss"]) for row in rows] == [record.valid_loss for record in learner.history]
        assert [float(row["accuracy"]) for row in rows] == [record.metrics["accuracy"] for record in learner.history]
        assert json.loads((tmp_path / "new" / "run.json").read_text())["epochs"] == 1

    def test_a_file_that_exists_is_not_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "run.csv"
        path.write_text("step,epoch\n3,1\n")
        with pytest.raises(
            ModelError,
            match=r"run\.csv exists, perhaps from an earlier run\.\nExpected a new file\.\n"
            r"Fix: pass another path, or append=True to add rows to it\.",
        ):
            oc.CsvTracker(path)
        oc.CsvTracker(path, append=True).log_metrics({"epoch": 2}, step=6)
        assert path.read_text() == "step,epoch\n3,1\n6,2\n"

    def test_a_value_without_a_column_is_refused(self, tmp_path: Path) -> None:
        tracker = oc.CsvTracker(tmp_path / "run.csv")
        tracker.log_metrics({"epoch": 1}, step=3)
        with pytest.raises(
            ModelError,
            match=r"run\.csv has no column for f1\.\nExpected its columns: step, epoch\.\nFix: use a new file",
        ):
            tracker.log_metrics({"epoch": 2, "f1": 0.5}, step=6)
