"""Batches made one ahead, on a stream of their own, where there is a GPU; `pytest --device pretend` has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from devices import DEVICE
from onecycle.data.batch import Batch
from onecycle.data.prefetch import prefetched

CPU = torch.device("cpu")
on_gpu = pytest.mark.skipif(DEVICE.type != "cuda", reason="batches are made ahead on a GPU alone")


class Made(Iterator[Batch]):
    """Three batches on a device, and how many were made."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.count = device, 0
        self.factor = torch.full((2,), 2.0).to(device)

    def __next__(self) -> Batch:
        if self.count == 3:
            raise StopIteration
        self.count += 1
        inputs = torch.full((2,), float(self.count)).to(self.device) * self.factor
        return Batch(inputs, {"labels": [inputs + 1]}, torch.arange(2))


def test_on_the_processor_a_batch_is_made_when_it_is_asked_for() -> None:
    made = Made(CPU)
    assert [made.count for _ in prefetched(made, CPU)] == [1, 2, 3]


@on_gpu
def test_on_a_gpu_one_more_is_made() -> None:
    made = Made(DEVICE)
    assert [made.count for _ in prefetched(made, DEVICE)] == [2, 3, 3]


@pytest.mark.parametrize("device", [CPU, DEVICE], ids=["cpu", "device"])
def test_all_batches_come_in_their_order(device: torch.device) -> None:
    made = Made(device)
    seen = []
    for batch in prefetched(made, device):
        # The pretended device raises here if the batch was not waited for, and above if it did not wait for `factor`.
        seen.append(float((batch.inputs + batch.targets["labels"][0]).sum()))
        made.factor = made.factor * 1
    assert seen == [10.0, 18.0, 26.0]
    assert list(prefetched(iter(()), device)) == []


@pytest.mark.parametrize("device", [CPU, DEVICE], ids=["cpu", "device"])
def test_an_error_while_a_batch_is_made_is_raised(device: torch.device) -> None:
    def failing() -> Iterator[Batch]:
        yield Made(device).__next__()
        raise ValueError("unreadable")

    with pytest.raises(ValueError, match="unreadable"):
        list(prefetched(failing(), device))


@on_gpu
def test_the_memory_of_a_batch_is_kept_for_the_stream_that_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = []
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: recorded.append((tensor, stream)))
    (batch,) = prefetched([next(Made(DEVICE))], DEVICE)
    current = torch.cuda.current_stream(DEVICE)
    assert [stream for _, stream in recorded] == [current, current]
    assert {id(tensor) for tensor, _ in recorded} == {id(batch.inputs), id(batch.targets["labels"][0])}
