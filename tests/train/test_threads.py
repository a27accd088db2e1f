from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.train.threads import suitable_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_small_module_takes_one_and_others_are_as_before() -> None:
    with suitable_threads(nn.Linear(1280, 10), CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with suitable_threads(nn.Linear(1280, 1000), CPU):
        assert torch.get_num_threads() == 2
    with suitable_threads(nn.Linear(2, 2), torch.device("meta")):
        assert torch.get_num_threads() == 2


def test_they_are_as_before_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), suitable_threads(nn.Linear(2, 2), CPU):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


class Threads(oc.Callback):
    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_batch_end(self, state: object, event: object) -> None:
        self.seen.append(torch.get_num_threads())


def test_a_head_on_cached_features_takes_one_and_the_whole_model_all(photos: Path) -> None:
    for frozen in (True, False):
        watch = Threads()
        learner = tiny(photo_bunch(photos), frozen=frozen, callbacks=[watch])
        learner.fit(1)  # finds a rate first
        few = frozen and learner.state.device.type == "cpu"
        assert set(watch.seen) == {1 if few else 2}
    assert torch.get_num_threads() == 2
