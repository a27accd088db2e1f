"""Validation and prediction in several processes: each item counted once, the numbers those of a single process."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from group import Group
from task_learners import TASKS, broken, classes, make_files
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import onecycle as oc
from learners import photo_bunch, plain_model, tag_bunch, tiny
from onecycle.train.learner import Learner

Files = tuple[Path, Path, Path]
LONG = 240  # to start them takes most of it where the machine is busy


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, photos: Path, tagged: Path) -> Files:
    return make_files(tmp_path_factory.mktemp("tasks")), photos, tagged


def numbers_of_every_task(files: Files) -> dict[str, dict[str, float]]:
    found = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Skipped")
        for make in TASKS:
            learner = make(*files)
            found[make.__name__] = learner.validate()
            found[make.__name__]["items"] = sum(map(len, learner.state.valid_batches()))
    return found


@pytest.fixture(scope="session")
def alone(files: Files) -> dict[str, dict[str, float]]:
    return numbers_of_every_task(files)


@pytest.mark.parametrize("world", [2, 4])
def test_validation_is_that_of_one_process(
    world: int, files: Files, alone: dict[str, dict[str, float]], request: pytest.FixtureRequest
) -> None:
    group: Group = request.getfixturevalue({2: "pair", 4: "four"}[world])
    ranks = group.run(numbers_of_every_task, files, seconds=LONG)
    for task, expected in alone.items():
        items = [rank[task].pop("items") for rank in ranks]
        assert sum(items) == expected["items"], f"{task}: each item is in one process"
        assert max(items) < expected["items"], f"{task}: they are shared"
        for rank in ranks:
            assert rank[task] == {
                name: pytest.approx(value, abs=1e-6, rel=1e-6) for name, value in expected.items() if name != "items"
            }, task


def predictions_of(files: Files) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for make in TASKS[:6]:
        learner = make(*files)
        found[make.__name__] = learner.predict_all()
    learner = classes(*files)
    return found | {"train": learner.predict_all("train"), "tta": learner.tta(augmentations=2)}


@pytest.fixture(scope="session")
def predicted_alone(files: Files) -> dict[str, Any]:
    return predictions_of(files)


def test_predictions_are_those_of_one_process(pair: Group, files: Files, predicted_alone: dict[str, Any]) -> None:
    """All of them in the order of the dataset, and the augmented copies of `tta` the same ones."""
    for rank in pair.run(predictions_of, files, seconds=LONG):
        for name, expected in predicted_alone.items():
            assert rank[name].table.column_names == expected.table.column_names
            for column in expected.table.column_names:
                ours, theirs = (one.table[column].to_pylist() for one in (rank[name], expected))
                close = pytest.approx(theirs, abs=1e-6) if theirs and isinstance(theirs[0], float) else theirs
                assert ours == close, (name, column)


def with_fewer_items_than_processes(photos: Path) -> tuple[dict[str, float], list[str], list[str]]:
    split = oc.ImageList.from_folder(photos).split_by_index([4, 14])
    bunch = split.label_from_folder().transform(32, augment=oc.augment.none()).databunch(8)
    learner = tiny(bunch, metrics=["accuracy", "auroc"])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        numbers = learner.validate()
    absent = [str(one.message) for one in told if "all items that are measured" in str(one.message)]
    return numbers, learner.predict_all().table["item"].to_pylist(), absent


def test_fewer_items_than_processes(four: Group, photos: Path) -> None:
    """The main process alone tells of the class that none of the two items has."""
    numbers, names, absent = with_fewer_items_than_processes(photos)
    assert len(names) == 2
    assert len(absent) == 1
    ranks = four.run(with_fewer_items_than_processes, photos, seconds=LONG)
    for rank in ranks:
        assert rank[0] == pytest.approx(numbers, nan_ok=True)
        assert rank[1] == names
    assert [rank[2] for rank in ranks] == [absent, [], [], []]


def without_readable_items(files: Files) -> list[str]:
    learner = broken(*files)
    learner.data.valid.on_bad_item = "raise"
    told = []
    for what in (learner.validate, learner.predict_all):
        try:
            what()
        except oc.DataError as error:
            told.append(error.what)
    return told


def test_what_one_process_cannot_read_is_raised_in_all(pair: Group, files: Files) -> None:
    """The broken photos are in one process's share."""
    told = without_readable_items(files)
    assert len(told) == 2
    assert pair.run(without_readable_items, files, seconds=LONG) == [told] * 2


def thresholds(tagged: Path) -> float:
    return tiny(tag_bunch(tagged, batch_size=2), metrics=["f2"]).tune_threshold()


def test_all_find_the_same_threshold(pair: Group, tagged: Path) -> None:
    assert pair.run(thresholds, tagged, seconds=LONG) == [thresholds(tagged)] * 2


def pictures_in_the_main_process(photos: Path) -> int:
    learner = tiny(photo_bunch(photos))
    return len(learner.show_results(4, worst=True).axes) if learner.accelerator.is_main_process else 0


def test_pictures_can_be_drawn_in_one_process_alone(pair: Group, photos: Path) -> None:
    drawn, nothing = pair.run(pictures_in_the_main_process, photos, seconds=LONG)
    assert drawn >= 4
    assert nothing == 0


def with_a_sampler(fixed: bool) -> str:
    items = TensorDataset(torch.zeros(6, 3, 8, 8, dtype=torch.uint8), torch.zeros(6, dtype=torch.int64))
    loader: Any = DataLoader(items, 2, sampler=None if fixed else DistributedSampler(items))
    loss = torch.nn.functional.cross_entropy
    try:
        Learner.from_loaders(loader, loader, plain_model(), loss=loss, progress=False).validate()
    except oc.DataError as error:
        return str(error)
    return "done"


def test_a_plain_loader_that_is_shared_already_is_refused(pair: Group) -> None:
    told = (
        "The valid loader has a DistributedSampler, which repeats items so that all shares are equal.\n"
        "Expected a loader that gives all items in every process; each process computes a share of its batches.\n"
        "Fix: make the valid loader without sampler=."
    )
    assert pair.run(with_a_sampler, False, seconds=LONG) == [told] * 2
    assert pair.run(with_a_sampler, True, seconds=LONG) == ["done"] * 2


def read_rows(photos: Path) -> tuple[int, int]:
    learner = tiny(photo_bunch(photos, batch_size=2, cache="memory"))
    learner.validate()
    cache: Any = learner.data.valid.cache
    share = int(cache._partial.read.sum())
    cache.full(learner.data.valid.dataset)
    return share, len(cache.targets)


def test_a_cache_holds_what_its_process_needs(pair: Group, photos: Path) -> None:
    assert pair.run(read_rows, photos, seconds=LONG) == [(4, 6), (2, 6)]
