from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.train.threads import suitable_threads, two_at_a_time

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


def test_two_inputs_are_computed_side_by_side_and_come_in_order_each_with_its_own() -> None:
    both = threading.Barrier(2, timeout=60)

    def compute(number: int) -> tuple[int, int]:
        both.wait()  # passes only once two are here
        return number * 10, torch.get_num_threads()

    found = list(two_at_a_time(compute, range(6), CPU))
    assert found == [(number, (number * 10, 1)) for number in range(6)]
    assert torch.get_num_threads() == 2


def test_they_are_read_two_ahead_at_most() -> None:
    read: list[int] = []

    def inputs() -> Iterator[int]:
        for number in range(10):
            read.append(number)
            yield number

    for number, _ in two_at_a_time(str, inputs(), CPU):
        assert len(read) <= number + 3


def test_what_fails_is_raised_where_its_output_would_come() -> None:
    outputs = two_at_a_time(lambda number: 1 // (2 - number), range(5), CPU)
    assert next(outputs) == (0, 0)
    assert next(outputs) == (1, 1)
    with pytest.raises(ZeroDivisionError):
        next(outputs)


@pytest.mark.parametrize(("threads", "device"), [(1, CPU), (2, torch.device("meta"))])
def test_one_thread_or_another_device_computes_as_inputs_come(threads: int, device: torch.device) -> None:
    torch.set_num_threads(threads)
    here = threading.get_ident()
    found = list(two_at_a_time(lambda _: (threading.get_ident(), torch.get_num_threads()), range(3), device))
    assert found == [(number, (here, threads)) for number in range(3)]
