"""Processes that read items die with one clear error, and what is called next works."""

import multiprocessing
import os
import pickle
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

import onecycle as oc
from onecycle.data.batch import Reading
from onecycle.data.bunch import DataBunch
from onecycle.data.categories import Category
from onecycle.data.dataset import Dataset
from onecycle.data.loader import DataLoader
from onecycle.data.modality import Modality
from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.errors import DataError, WorkerError

CONTEXTS = [name for name in ("fork", "spawn") if name in multiprocessing.get_all_start_methods()]


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch looks every five seconds whether workers live, and waits as long for them to end."""
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(_MultiProcessingDataLoaderIter._try_get_data, "__defaults__", (0.1,))


@dataclass(frozen=True)
class Orders(Modality):
    """Reads a number from a file, or does what the file says."""

    def read(self, item: Any, *, training: bool) -> Reading:
        text = Path(item).read_text()
        if text == "be killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "exit":
            os._exit(3)
        if text == "fail":
            raise KeyError("no such thing")
        if text == "refuse":
            raise DataError("Refused.", "a number.", "write one.")
        return Reading(torch.tensor([float(text)]))

    def collate(self, inputs: Any) -> Any:
        stacked = super().collate(inputs)
        if stacked.max() > 99:
            raise DataError("Not one of a batch.", "numbers below 100.", "write smaller ones.")
        return stacked


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Eight files with their numbers."""
    for number in range(8):
        (tmp_path / str(number)).write_text(str(number))
    rows = Rows(pa.table({ITEM: list(map(str, range(8))), LABEL: ["a", "b"] * 4}), tmp_path)
    return Dataset(rows, Orders(), Category(("a", "b")), training=False)


def order(dataset: Dataset, text: str, item: int = 5) -> None:
    Path(dataset.item(item)).write_text(text)


def read(loader: DataLoader) -> list[float]:
    return [float(value) for batch in loader.epoch(0) for value in batch.inputs]


@pytest.mark.slow
@pytest.mark.parametrize("context", CONTEXTS)
def test_a_killed_worker_is_told_and_the_next_epoch_works(context: str, dataset: Dataset) -> None:
    """Seen: a raw error, and every later epoch failed."""
    loader = DataLoader(dataset, batch_size=2, workers=1, multiprocessing_context=context)
    order(dataset, "be killed")
    message = (
        r"1 of 1 processes that read items died: it was ended by SIGKILL, as the system does where memory runs out.\n"
        r"Expected workers that live as long.*\nFix: pass fewer workers= or a smaller batch_size=.*, or workers=0"
    )
    with pytest.raises(WorkerError, match=message):
        read(loader)
    order(dataset, "5")
    assert read(loader) == list(range(8))


def test_a_worker_that_exits_is_told(dataset: Dataset) -> None:
    loader = DataLoader(dataset, batch_size=2, workers=1)
    order(dataset, "exit")
    with pytest.raises(WorkerError, match=r"1 of 1 processes that read items died: it ended with exit code 3\."):
        read(loader)
    order(dataset, "5")
    assert read(loader) == list(range(8))
    assert read(DataLoader(dataset, batch_size=2, workers=0)) == list(range(8))


def test_workers_that_died_between_epochs_are_replaced_without_a_word(dataset: Dataset) -> None:
    loader = DataLoader(dataset, batch_size=2, workers=2)
    assert read(loader) == list(range(8))
    for process in loader._processes._loader._iterator._workers:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert read(loader) == list(range(8))


def test_a_dead_worker_is_told_only_where_the_next_batch_is_asked_for(dataset: Dataset) -> None:
    """torch would raise at whatever line runs then, such as within a step of the optimizer."""
    loader = DataLoader(dataset, batch_size=1, workers=1)
    batches = loader.epoch(0)
    next(batches)
    (process,) = loader._processes._loader._iterator._workers
    os.kill(process.pid, signal.SIGKILL)
    for _ in range(50):
        time.sleep(0.002)  # any of these lines would have raised
    with pytest.raises(WorkerError):
        list(batches)


def test_ctrl_c_in_a_terminal_leaves_workers_alive(dataset: Dataset) -> None:
    """It reaches every process of the terminal."""
    loader = DataLoader(dataset, batch_size=2, workers=1)
    assert read(loader) == list(range(8))
    (process,) = loader._processes._loader._iterator._workers
    os.kill(process.pid, signal.SIGINT)
    assert read(loader) == list(range(8))
    assert loader._processes._loader._iterator._workers[0].pid == process.pid
    assert process.is_alive()


def test_an_error_of_someone_elses_modality_comes_with_its_traceback(dataset: Dataset) -> None:
    loader = DataLoader(dataset, batch_size=2, workers=1)
    order(dataset, "fail")
    message = (
        r"Reading failed in a worker with KeyError: 'no such thing'.\n"
        r"Expected a modality and a target that read every item.*\nFix: fix what the traceback shows; with workers=0"
    )
    with pytest.raises(WorkerError, match=message) as caught:
        read(loader)
    assert 'raise KeyError("no such thing")' in caught.value.__notes__[0]
    with pytest.raises(KeyError, match="no such thing"):
        read(DataLoader(dataset, batch_size=2, workers=0))
    order(dataset, "5")
    assert read(loader) == list(range(8))


@pytest.mark.parametrize(("text", "what"), [("refuse", "5: Refused."), ("100", "Not one of a batch.")])
def test_an_error_of_the_data_comes_as_it_was_written(text: str, what: str, dataset: Dataset) -> None:
    loader = DataLoader(dataset, batch_size=2, workers=1)
    order(dataset, text)
    with pytest.raises(DataError, match=rf"^{what}\nExpected.*\nFix: write") as caught:
        read(loader)
    assert type(caught.value) is DataError
    order(dataset, "5")
    assert read(loader) == list(range(8))


def test_workers_that_cannot_start_are_no_dead_ones(dataset: Dataset) -> None:
    dataset.modality.__dict__["hook"] = lambda: None  # cannot be pickled
    loader = DataLoader(dataset, batch_size=2, workers=1, multiprocessing_context="spawn")
    with (
        pytest.warns(UserWarning, match="pickle"),
        pytest.raises((AttributeError, TypeError, pickle.PicklingError), match=r"local object"),
    ):
        read(loader)
    del dataset.modality.__dict__["hook"]
    assert read(loader) == list(range(8))


def test_a_learner_trains_on_after_a_worker_was_killed(dataset: Dataset, tmp_path: Path) -> None:
    items = oc.GenericList.from_table(pa.table({"n": list(map(str, range(8)))}), Orders(), column="n", folder=tmp_path)
    split = items.split_by_index([6, 7]).label_from_function(lambda path: "ab"[int(path.name) % 2])
    bunch: DataBunch = split.databunch(2, workers=1)
    learner = oc.Learner(bunch, torch.nn.Sequential(torch.nn.Linear(1, 2)))
    order(dataset, "be killed")
    with pytest.raises(WorkerError, match="SIGKILL"):
        learner.fit(1, lr=0.01)
    order(dataset, "5")
    learner.fit(1, lr=0.01)
    assert len(learner.history.epochs) == 1
    assert len(learner.predict_all("valid")) == 2
