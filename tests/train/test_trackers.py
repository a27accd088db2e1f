"""Trackers of other projects get the numbers of the history. What is not installed is skipped."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import photo_bunch, plain_model
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.train.learner import Learner

CLASSES = {
    "tensorboard": oc.TensorBoardTracker, "mlflow": oc.MlflowTracker, "wandb": oc.WandbTracker,
    "trackio": oc.TrackioTracker,
}  # fmt: skip


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))


def trained(bunch: DataBunch, loggers: list[Any]) -> Learner:
    """A learner of two fits, of two epochs and one."""
    learner = Learner(bunch, plain_model(), metrics=["accuracy"], progress=False, loggers=loggers)
    learner.fit(2, 1e-3)
    learner.fit(1, 1e-3)
    return learner


def expected(learner: Learner, name: str) -> list[tuple[int, float]]:
    return [(3 * record.epoch, record.value(name)) for record in learner.history]


@pytest.mark.usefixtures("_here")
@pytest.mark.filterwarnings("ignore")
class TestLocalTrackers:
    def test_tensorboard_reads_the_numbers_of_all_fits(self, bunch: DataBunch, tmp_path: Path) -> None:
        pytest.importorskip("tensorboard")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        learner = trained(bunch, ["tensorboard"])
        (folder,) = (tmp_path / "runs" / "tensorboard").iterdir()
        events = EventAccumulator(str(folder))
        events.Reload()
        for name in ("valid_loss", "accuracy"):
            logged = [(event.step, event.value) for event in events.Scalars(name)]
            assert logged == [(step, pytest.approx(value)) for step, value in expected(learner, name)]

    def test_mlflow_has_one_run_of_all_fits(self, bunch: DataBunch) -> None:
        mlflow = pytest.importorskip("mlflow")
        pytest.importorskip("alembic")  # of its database, which mlflow-skinny lacks
        learner = trained(bunch, ["mlflow"])
        (run,) = mlflow.search_runs(experiment_names=["onecycle"], output_format="list")
        assert (run.data.params["epochs"], run.data.params["fit 2/epochs"]) == ("2", "1")
        logged = mlflow.MlflowClient().get_metric_history(run.info.run_id, "valid_loss")
        assert [(one.step, one.value) for one in logged] == expected(learner, "valid_loss")

    def test_trackio_has_one_run_of_all_fits(self, bunch: DataBunch, tmp_path: Path) -> None:
        pytest.importorskip("trackio")
        from trackio.sqlite_storage import SQLiteStorage

        learner = trained(bunch, [oc.TrackioTracker("project", "one")])
        logged = SQLiteStorage.get_logs("project", "one")
        assert [(one["step"], one["valid_loss"]) for one in logged] == expected(learner, "valid_loss")


class FakeModule:
    """Writes down what a client is asked for, whatever it is."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.config = self

    def update(self, config: Any, **_: Any) -> None:
        self.calls.append(("config", config["epochs"]))

    def init(self, **options: Any) -> FakeModule:
        self.calls.append(("init", options["id"]))
        return self

    def log(self, numbers: Any, step: int) -> None:
        self.calls.append(("log", (step, numbers["valid_loss"])))

    def finish(self) -> None:
        self.calls.append(("finish", None))


def test_wandb_goes_on_with_the_same_run(bunch: DataBunch, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeModule()
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    learner = trained(bunch, [oc.WandbTracker(name="one")])
    logs = [("log", pair) for pair in expected(learner, "valid_loss")]
    begun = [("init", "one"), ("config", 2)], [("init", "one"), ("config", 1)]
    assert fake.calls == [*begun[0], *logs[:2], ("finish", None), *begun[1], logs[2], ("finish", None)]


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_not_installed_is_told(name: str, bunch: DataBunch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ModelError, match=rf"{name} is not installed\.\nExpected {name}, for[\s\S]*Fix: pip install {name}, or"
    ):
        Learner(bunch, plain_model(), loggers=[name])


def test_names_find_the_classes() -> None:
    for name, kind in CLASSES.items():
        assert importlib.import_module("onecycle.registry").lookup("tracker", name) is kind


def test_one_name_is_not_a_list(bunch: DataBunch) -> None:
    with pytest.raises(ModelError, match=r"loggers='tensorboard'[\s\S]*a list of trackers"):
        Learner(bunch, plain_model(), loggers="tensorboard")
    assert Learner(bunch, plain_model(), loggers=[]).callbacks == []
