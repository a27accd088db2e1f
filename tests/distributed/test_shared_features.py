"""Features of a frozen body: each process computes a share of them, and all get the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from group import Group

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.train import cached_features
from onecycle.train.cached_features import CachedFeatures, compute_features
from onecycle.train.learner import Learner

LONG = 240


def learner_of(photos: Path) -> Learner:
    return tiny(photo_bunch(photos, augment=oc.augment.default(), batch_size=2))


def features_of(learner: Learner) -> CachedFeatures | None:
    state: Any = learner.state
    return compute_features(state.model, state.data, 2, state.precision, state.processes)


def computed(photos: Path) -> dict[str, Any]:
    learner = learner_of(photos)
    features = features_of(learner)
    assert features is not None
    return {
        "tables": [(one.inputs, one.targets, one.known) for one in (*features.copies, features.valid)],
        "batches": [batch.index.tolist() for batch in features.train_batches(3, 2)],
        "valid": [batch.index.tolist() for batch in features.valid_batches()],
    }


def test_features_are_those_of_one_process(pair: Group, photos: Path) -> None:
    """Of augmented copies too, bit for bit: each batch is what it would be in one process."""
    alone, ranks = computed(photos), pair.run(computed, photos, seconds=LONG)
    for rank in ranks:
        for ours, theirs in zip(rank["tables"], alone["tables"], strict=True):
            for one, other in zip(ours, theirs, strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    first, second = (rank["batches"] for rank in ranks)
    assert len(first) == len(second), "all take as many steps"
    assert all(0 < len(batch) <= 2 for batch in first + second)
    for half in (slice(0, len(first) // 2), slice(len(first) // 2, None)):
        seen = [row for batch in first[half] + second[half] for row in batch]
        assert sorted(seen) == list(range(24)), "each pass has every item"
    assert ranks[0]["valid"] == alone["valid"][::2]
    assert ranks[1]["valid"] == alone["valid"][1::2]


def read_in_each(photos: Path) -> int:
    """Return how many items this process has read of those that are computed without augmentation."""
    learner = learner_of(photos)
    read: list[int] = []
    dataset_class: Any = type(learner.data.train.dataset)
    fetch = dataset_class.fetch
    with mock.patch.object(dataset_class, "fetch", lambda self, row: (read.append(row), fetch(self, row))[1]):
        features_of(learner)
    return len(read)


def test_each_process_reads_its_share(pair: Group, photos: Path) -> None:
    alone, (first, second) = read_in_each(photos), pair.run(read_in_each, photos, seconds=LONG)
    few = 6  # with which a frozen body is tried in every process: all validation items, kept in its cache from then on
    assert alone == 24 * 2 + few
    assert first == second == 24 + few


def with_little_memory_in_one(photos: Path) -> bool:
    learner = learner_of(photos)
    available = 10 if learner.accelerator.process_index == 1 else 2**40
    memory = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=available))
    with mock.patch.object(cached_features, "psutil", memory):
        return features_of(learner) is None


def test_where_memory_does_not_suffice_in_one_process_none_keeps_features(pair: Group, photos: Path) -> None:
    assert pair.run(with_little_memory_in_one, photos, seconds=LONG) == [True, True]


def failing_in_one(photos: Path) -> str:
    learner = learner_of(photos)
    if learner.accelerator.process_index == 1:
        learner.model.body.register_forward_hook(fail)
    with pytest.raises(RuntimeError) as error:
        features_of(learner)
    return str(error.value)


def fail(*arguments: Any) -> None:
    raise RuntimeError("of one process")


def test_what_fails_in_one_process_is_raised_in_all(pair: Group, photos: Path) -> None:
    assert pair.run(failing_in_one, photos, seconds=LONG) == ["of one process"] * 2
